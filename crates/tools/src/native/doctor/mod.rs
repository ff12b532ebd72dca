//! `ottla doctor`: what would not work, before it does not. With `--before-move FILE` it looks at a node of Apache Kafka that
//! Ottla is to take over; without, at a running cluster as this machine reaches it.

mod cluster;
mod takeover;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::{block_on, end, parse};

/// Looks for what would not work; changes nothing. Exit code 0: nothing stands in the way.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// The server.properties of a node of Apache Kafka that is to run as Ottla.
    #[arg(long, value_name = "FILE")]
    before_move: Option<PathBuf>,
    /// Brokers of a running cluster, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
}

const EXAMPLES: &str = "\
Examples:
  ottla doctor -b kafka1:9092                                        a cluster, as this machine reaches it
  ottla doctor --before-move /opt/kafka/config/server.properties    a node of Apache Kafka";

/// What was found, in the order in which it was looked for.
#[derive(Debug, Default)]
struct Findings {
    lines: Vec<String>,
    /// What will not work, and what works differently or not for ever.
    stops: usize,
    odd: usize,
}

impl Findings {
    fn good(&mut self, what: impl Display) {
        self.lines.push(format!("good    {what}"));
    }

    fn know(&mut self, what: impl Display) {
        self.odd += 1;
        self.lines.push(format!("know    {what}"));
    }

    fn stop(&mut self, what: impl Display) {
        self.stops += 1;
        self.lines.push(format!("STOPS   {what}"));
    }

    fn end(&self, good: &str, bad: &str) -> ExitCode {
        for line in &self.lines {
            println!("{line}");
        }
        match (self.stops, self.odd) {
            (0, 0) => println!("{good}"),
            (0, odd) => println!("{good}, {odd} to know"),
            (stops, _) => println!("{bad}: {stops} would stop it; nothing was changed"),
        }
        ExitCode::from(u8::from(self.stops > 0))
    }
}

pub(super) fn run(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("doctor", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    match &wanted.before_move {
        Some(file) => end(takeover::look(file).map(|findings| findings.end("ready to move", "not ready"))),
        None => block_on(async { cluster::look(&wanted.bootstrap).await.end("all is well", "not well") }),
    }
}
