//! Ottla's own commands, in their own style beside Kafka's tools: short names, `-o json`, exit codes for scripts (0 well,
//! 1 an error, 2 a command line that says nothing). They are found by their bare name alone; `kafka-NAME` is Kafka's.

mod cat;
pub mod config;
mod doctor;
mod group;
mod handbook;
mod rebalance;
mod status;
mod topic;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::Tool;

/// The command of this name, if there is one.
#[must_use]
pub fn find(name: &str) -> Option<Tool> {
    Some(match name {
        "completion" => handbook::completion,
        "config" => config::run,
        "consume" => cat::consume,
        "doctor" => doctor::run,
        "group" => group::run,
        "health" => status::health,
        "man" => handbook::man,
        "produce" => cat::produce,
        "rebalance" => rebalance::run,
        "status" => status::status,
        "topic" => topic::run,
        "zookeeper-server-start" | "zookeeper-server-stop" => no_zookeeper,
        _ => return None,
    })
}

/// Tutorials of before Kafka 4 start a ZooKeeper first: scripts that do so go on.
fn no_zookeeper(_: &[OsString]) -> ExitCode {
    eprintln!(
        "ZooKeeper is not needed; skip this step. Next: bin/kafka-server-start.sh config/server.properties"
    );
    ExitCode::SUCCESS
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs: one JSON value.
    Json,
}

/// Parses a command line with clap; `Err` is the exit code of what was printed instead.
pub(crate) fn parse<P: clap::Parser>(name: &str, args: &[OsString]) -> Result<P, ExitCode> {
    let name = OsString::from(format!("ottla {name}"));
    P::try_parse_from(std::iter::once(&name).chain(args)).map_err(|error| {
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
    })
}

/// Runs a command that talks to a cluster, on this thread.
pub(crate) fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            eprintln!("cannot start: {error}");
            ExitCode::from(1)
        }
    }
}

/// Ends a command: what it says goes to standard error.
pub(crate) fn end(done: Result<ExitCode, String>) -> ExitCode {
    done.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(1)
    })
}
