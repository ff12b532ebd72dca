//! The Java program that fills a node and says what it serves.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::peers::{self, Jars};
use crate::process;
use crate::server::Server;

/// `Disk.java`, compiled.
pub struct Client {
    jars: Jars,
    classes: PathBuf,
}

impl Client {
    /// Compiles it against the jars of the release.
    pub fn new() -> Result<Client> {
        let jars = peers::install()?;
        let source = process::root().join("xtask/judges/disk/Disk.java");
        let classes = process::target().join("peers/judge-disk");
        fs::create_dir_all(&classes)?;
        let mut javac = Command::new(jars.javac());
        javac
            .args(["-nowarn", "-proc:none", "-d"])
            .arg(&classes)
            .arg("-cp")
            .arg(jars.class_path())
            .arg(source);
        process::checked(&mut javac, Duration::from_secs(120))?;
        Ok(Client { jars, classes })
    }

    /// Does `steps` with the node.
    pub fn steps(&self, server: &Server, steps: &[&str]) -> Result<()> {
        let logging = process::root().join("xtask/judges/peers/log4j2.properties");
        let mut java = Command::new(self.jars.java());
        java.args(["-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dpeer.log.level=ERROR"]);
        java.arg(format!("-Dlog4j2.configurationFile={}", logging.display())).arg("-cp");
        java.arg(format!("{}:{}", self.classes.display(), self.jars.class_path()));
        java.arg("Disk").arg(server.bootstrap()).args(steps);
        let what = || format!("{} with {}", steps.join(" "), server.system.name());
        process::checked(&mut java, Duration::from_secs(180)).map(drop).with_context(what)
    }

    /// What the node serves, line by line.
    pub fn dump(&self, server: &Server, name: &str) -> Result<Vec<String>> {
        let file = server.site.dir.join(format!("{name}.dump"));
        self.steps(server, &[&format!("dump={}", file.display())])?;
        let text = fs::read_to_string(&file)?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}
