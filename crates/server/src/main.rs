//! The thin binary: argv, signals, logging. Everything else is in the crates below.
//!
//! `ottla dev` is a node for trying out; `ottla kafka-server-start FILE` is Kafka's way; every other name is a tool. A link
//! or copy of the binary under a tool's name is that tool.

mod addresses;
mod daemon;
mod dev;
mod logging;
mod notify;
mod ops;
mod owner;
mod port_owner;
mod previous;
mod process;
mod signals;
mod start;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
usage: ottla COMMAND [ARGUMENTS]

  dev [--nodes N] [--controllers M] [--port N] [--data-dir DIR] [--ephemeral]
                                                    a cluster for trying out; formats an empty ./ottla-data
  status, health [-b HOST:PORT,...] [-o json]       a cluster on one screen, and in one exit code
  doctor [-b ...] | doctor --before-move FILE       what would not work: a cluster, a node of Apache Kafka
  topic list | describe | create | delete | grow | set | set-rf
  group list | describe | members | reset | delete
  rebalance --plan | --execute                      replicas and leaders spread over the brokers
  produce, consume -t TOPIC                         records from and to a pipe, with kcat's letters
  config init | check | explain | migrate           configuration files
  completion bash | zsh | fish, man [NAME]          words for the shell, manual pages
  kafka-storage random-uuid | format | info ...     as bin/kafka-storage.sh
  kafka-server-start [-daemon] FILE [--override property=value]*
  kafka-server-stop [--process-role ROLE] [--node-id ID]
  version
";

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let own = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    owner::follow();
    // The allocator's arena would otherwise be backed by huge pages: 16 MiB for a node that needs two.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Called by a tool's name, through a link or as a copy?
    let name = Path::new(&own).file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    if let Some(code) = run(&name, &args) {
        return code;
    }
    let Some(command) = args.first().map(|a| a.to_string_lossy().into_owned()) else {
        print!("{USAGE}");
        return ExitCode::from(1);
    };
    run(&command, &args[1..]).unwrap_or_else(|| unknown(&command))
}

/// Runs the command `name`, if there is one.
fn run(name: &str, args: &[OsString]) -> Option<ExitCode> {
    Some(match name.strip_suffix(".sh").unwrap_or(name) {
        "dev" => dev::run(args),
        "kafka-server-start" | "server-start" | "kafka.Kafka" => start::run(args),
        "version" | "--version" | "-V" => {
            println!("ottla {} (serves Apache Kafka 4.3.1)", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        tool => ottla_tools::find(tool)?(args),
    })
}

fn unknown(command: &str) -> ExitCode {
    eprintln!("unknown command '{command}'\n{USAGE}");
    ExitCode::from(1)
}
