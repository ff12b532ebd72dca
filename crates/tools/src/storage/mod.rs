//! `kafka-storage`: random-uuid, format, info, version-mapping, feature-dependencies (Kafka's `StorageTool`).

mod arguments;
mod features;
mod format;
mod info;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use ottla_records::uuid_text;

pub use format::{FormatError, FormatPlan, Formatted, Voters, format};

use arguments::{Arguments, Command};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    let name = OsString::from("kafka-storage");
    let arguments = match Arguments::try_parse_from(std::iter::once(&name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            // Kafka's parser ends with 1 on a usage error; asking for help is no error.
            return if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    let done = match arguments.command {
        Command::RandomUuid => {
            println!("{}", uuid_text::encode(&uuid_text::random()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Format(wanted) => format::run(&wanted),
        Command::Info(wanted) => info::run(&wanted),
        Command::VersionMapping(wanted) => features::version_mapping(&wanted),
        Command::FeatureDependencies(wanted) => features::dependencies(&wanted),
    };
    done.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::from(1)
    })
}
