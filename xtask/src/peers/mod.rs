//! `cargo xtask peers`: the real Apache Kafka beside ours. It comes from Maven as ordinary artefacts; nothing of it is
//! committed.

mod install;
mod node;
mod tool;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

pub use install::{Jars, VERSION, client_jars, install};
pub use tool::{HEAP_OF_SERVER, class, java, tool};

const USAGE: &str = "\
usage: cargo xtask peers COMMAND

  install                        fetch Apache Kafka's jars with Maven (once)
  run TOOL ARGS...               any tool by the name its release gives it (`.sh` optional), or a class
  up DIR N [key=value ...]       start N combined nodes: ids 1..N, clients on BASE+id, controllers on BASE+100+id
  down DIR                       stop them (SIGTERM), keep the files
  kill DIR ID | start DIR ID     kill -9 one node, start it again

PEER_PORT_BASE is BASE (19091).
";

/// Runs one `peers` command.
pub fn run(words: &[&str]) -> Result<()> {
    match words {
        ["install"] => {
            let jars = install()?;
            println!("Apache Kafka {} in {}", install::VERSION, jars.dir.display());
            Ok(())
        }
        ["run", name, arguments @ ..] => {
            let mut command = tool(&install()?, name)?;
            command.args(arguments);
            become_it(command)
        }
        ["up", dir, count, overrides @ ..] => {
            let count: u16 = count.parse()?;
            node::up(&install()?, &absolute(dir)?, count, overrides)
        }
        ["down", dir] => node::down(&absolute(dir)?),
        ["kill", dir, id] => node::kill(&absolute(dir)?, id.parse()?),
        ["start", dir, id] => node::start(&install()?, &absolute(dir)?, id.parse()?).map(drop),
        _ => bail!("no such command\n\n{USAGE}"),
    }
}

fn absolute(dir: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    Ok(Path::new(dir).canonicalize()?)
}

/// The tool takes this process's place, its exit code included.
fn become_it(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec().into())
}
