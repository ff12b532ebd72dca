//! `kafka-storage`: random-uuid, format, info, version-mapping, feature-dependencies (Kafka's `StorageTool`).

mod arguments;
mod features;
mod format;
mod info;

use std::ffi::OsString;
use std::process::ExitCode;

use ottla_records::uuid_text;

pub use format::{FormatError, FormatPlan, Formatted, Voters, format};

use crate::runtime;
use arguments::Command;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    let mut read = None;
    let ended = runtime::tool("kafka-storage", args, |args, out| {
        read = Some(arguments::parse(args, out)?);
        Ok(())
    });
    let Some(command) = read else { return ended };
    let done = match command {
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
