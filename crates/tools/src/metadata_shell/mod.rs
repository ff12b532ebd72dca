//! `kafka-metadata-shell`: the metadata of a snapshot, or of a piece of the metadata log, walked like a file system.

mod commands;
mod glob;
mod load;
mod node;
mod text;

use std::ffi::OsString;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::args::argparse::{Arg, Parser};
use crate::runtime::{self, Out, Stop};
use commands::{Ended, Shell};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-metadata-shell", args, shell)
}

fn parser() -> Parser {
    Parser::new("kafka-metadata-shell")
        .default_help()
        .description("The Apache Kafka metadata shell")
        .arg(Arg::option(&["--snapshot", "-s"]).required().help("The metadata snapshot file to read."))
        .arg(Arg::positional("command").nargs("*").help("The command to run."))
}

fn shell(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let ns = parser().parse(args, out)?;
    let path = ns.text("snapshot").unwrap_or_default();
    let image = load::image(std::path::Path::new(path))?;
    let command: Vec<String> = ns.texts("command").into_iter().map(str::to_owned).collect();
    if !command.is_empty() {
        let mut shell = Shell::new(image, false);
        shell.run(&command, out)?;
        return Ok(out.flush()?);
    }
    writeln!(out, "Loading...\nStarting...\n[ Kafka Metadata Shell ]")?;
    let mut shell = Shell::new(image, true);
    let stdin = std::io::stdin();
    let terminal = stdin.is_terminal();
    let mut lines = stdin.lock().lines();
    loop {
        write!(out, ">> ")?;
        out.flush()?;
        let Some(line) = lines.next() else {
            if terminal {
                writeln!(out)?;
            }
            return Ok(());
        };
        let line = line.map_err(|error| Stop::error(format!("Unexpected error: {error}")))?;
        shell.remember(&line);
        if shell.run(&commands::words(&line), out)? == Ended::Exit {
            return Ok(());
        }
    }
}
