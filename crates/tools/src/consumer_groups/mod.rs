//! `kafka-consumer-groups`: groups listed, described and deleted, their offsets reset and deleted.

pub(crate) mod command;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod layout;
mod list;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod reset;
pub(crate) mod server;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use options::parser;
pub(crate) use plan::java_order;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, ClusterError};

use crate::args::jopt::{Found, Parser};
use crate::runtime::{self, Out, Stop, Thrown};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-consumer-groups", args, consumer_groups)
}

const COMMAND: command::Command =
    command::Command { kind: "consumer", parser: options::parser, check: options::check, not_served: None };

fn consumer_groups(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let (parser, found) = COMMAND.read(args, out)?;
    if let Some(pattern) = found.value("validate-regex") {
        return validate(pattern, out);
    }
    COMMAND.on_cluster(&parser, &found, async |cluster| act(cluster, &parser, &found, out).await)
}

async fn act(cluster: &Cluster, parser: &Parser, found: &Found, out: &mut Out) -> Result<(), Failure> {
    if found.has("list") {
        list::list(cluster, found, out).await
    } else if found.has("describe") {
        describe::describe(cluster, found, out).await
    } else if found.has("delete") {
        delete::groups(cluster, found, out).await
    } else if found.has("reset-offsets") {
        reset::reset(cluster, parser, found, out).await
    } else {
        delete::offsets(cluster, found, out).await
    }
}

/// Why an action did not come to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// As Java's exception leaves the action: an IllegalArgumentException shows the usage.
    Thrown(Thrown),
    /// Everything is decided.
    Stop(Stop),
}

impl From<Thrown> for Failure {
    fn from(thrown: Thrown) -> Failure {
        Failure::Thrown(thrown)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Failure {
        Failure::Stop(stop)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Stop(error.into())
    }
}

impl From<ClusterError> for Failure {
    /// What a future's `get` throws.
    fn from(error: ClusterError) -> Failure {
        executed(error.into()).into()
    }
}

/// `ExecutionException`: its message is the text of its cause.
pub(crate) fn executed(cause: Thrown) -> Thrown {
    Thrown {
        class: "java.util.concurrent.ExecutionException",
        message: format!("{}: {}", cause.class, cause.message),
        causes: cause.causes,
    }
}

/// `RuntimeException` around what [`executed`] gives.
pub(crate) fn rethrown(cause: Thrown) -> Thrown {
    let cause = executed(cause);
    let message = format!("{}: {}", cause.class, cause.message);
    Thrown { class: "java.lang.RuntimeException", message, causes: cause.causes }
}

/// How the group tools say an error on standard output: an empty line before it.
pub(crate) fn error_line(message: &str) -> String {
    format!("\nError: {message}")
}

fn validate(pattern: &str, out: &mut Out) -> Result<(), Stop> {
    match regex_lite::Regex::new(pattern) {
        Ok(_) => writeln!(out, "The regular expression `{pattern}` is valid.")?,
        Err(why) => writeln!(out, "The regular expression `{pattern}` is invalid: {why}.")?,
    }
    Ok(())
}
