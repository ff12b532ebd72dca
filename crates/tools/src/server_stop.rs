//! `kafka-server-stop`: SIGTERM to the servers of this machine, found as Kafka's script finds them: by `kafka.Kafka` in
//! their command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

use crate::config_file;

/// Stops the Kafka servers of this machine.
#[derive(Debug, Parser)]
#[command(name = "kafka-server-stop")]
struct Arguments {
    /// Only servers of this role: broker or controller.
    #[arg(long)]
    process_role: Option<String>,
    /// Only the server of this node id.
    #[arg(long)]
    node_id: Option<i32>,
}

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    let name = OsString::from("kafka-server-stop");
    let wanted = match Arguments::try_parse_from(std::iter::once(&name).chain(args)) {
        Ok(wanted) => wanted,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    let servers: Vec<Pid> = servers().into_iter().filter(|s| s.matches(&wanted)).map(|s| s.pid).collect();
    if servers.is_empty() {
        match (&wanted.process_role, wanted.node_id) {
            (None, None) => println!("No kafka server to stop"),
            (role, id) => {
                let role = role.as_deref().map_or(String::new(), |r| format!(" with role {r}"));
                let id = id.map_or(String::new(), |id| format!(" with node id {id}"));
                println!("No kafka server{role}{id} to stop");
            }
        }
        return ExitCode::from(1);
    }
    let mut code = ExitCode::SUCCESS;
    for pid in servers {
        if let Err(error) = kill_process(pid, Signal::TERM) {
            eprintln!("cannot stop the server of pid {}: {error}", pid.as_raw_nonzero());
            code = ExitCode::from(1);
        }
    }
    code
}

struct Server {
    pid: Pid,
    config: Option<PathBuf>,
    overrides: Vec<(String, String)>,
}

impl Server {
    fn matches(&self, wanted: &Arguments) -> bool {
        if wanted.process_role.is_none() && wanted.node_id.is_none() {
            return true;
        }
        let Some(path) = &self.config else { return false };
        let Ok(loaded) = config_file::load(path, &self.overrides) else { return false };
        let roles = loaded.config.roles;
        let role = match wanted.process_role.as_deref() {
            None => true,
            Some("broker") => roles.broker,
            Some("controller") => roles.controller,
            Some(_) => false,
        };
        role && wanted.node_id.is_none_or(|id| id == loaded.config.node_id)
    }
}

/// Every process whose command line has the word `kafka.Kafka`, Apache Kafka's own ones among them.
fn servers() -> Vec<Server> {
    let mut servers = Vec::new();
    let own = std::process::id();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()).filter(|id| *id != own)
        else {
            continue;
        };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let words: Vec<String> =
            line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        let Some(at) = words.iter().position(|w| w == "kafka.Kafka") else { continue };
        let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { continue };
        let base = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let mut config = None;
        let mut overrides = Vec::new();
        let mut rest = words[at + 1..].iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--override" => {
                    overrides.extend(
                        rest.next().and_then(|kv| kv.split_once('=')).map(|(k, v)| (k.into(), v.into())),
                    );
                }
                word if word.is_empty() || word.starts_with('-') => {}
                file => config = config.or_else(|| Some(base.join(file))),
            }
        }
        servers.push(Server { pid, config, overrides });
    }
    servers
}
