//! `cargo xtask compat config`: the table of configuration keys, the `.properties` parser and the answers about configs
//! against Apache Kafka's own definitions, its classes and a running broker of it. The comparisons are tests of the config
//! crate; here they get the jars.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::peers;
use crate::process;
use crate::tally::Tally;

/// Runs the judge.
pub fn run() -> Result<()> {
    let jars = peers::install()?;
    let mut path = vec![jars.jdk.join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path)?;
    let mut tally = Tally::new("compat config");
    for test in ["table_vs_jar", "files_vs_jar", "answers_vs_broker"] {
        tally.check(test, || {
            let mut cargo: Command = process::cargo();
            cargo.args(["test", "--quiet", "--package", "ottla-config", "--test", test, "--", "--ignored"]);
            cargo.env("KAFKA_LIBS", &jars.dir).env("JAVA_HOME", &jars.jdk).env("PATH", &path);
            let text = process::checked(&mut cargo, Duration::from_secs(600))?;
            ensure!(text.contains("1 passed") || text.contains("2 passed"), "no test ran: {text}");
            Ok(())
        });
    }
    tally.close()
}
