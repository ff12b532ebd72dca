//! `kafka-topics`: topics created, listed, described, changed and deleted.

mod change;
mod describe;
pub(crate) mod filter;
mod options;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::Cluster;

pub(crate) use options::CONFIGS;

use crate::args::jopt::Found;
use crate::runtime::{self, Out, Stop, Thrown};

#[cfg(test)]
pub(crate) use options::parser;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-topics", args, topics)
}

fn topics(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut parser = options::parser();
    let found = parser.parse(args).map_err(|misuse| {
        // A number that is none is found when the tool already works.
        if misuse.is_conversion() {
            Stop::said(format!("Error while executing topic command : {}", misuse.message()))
        } else {
            misuse.into()
        }
    })?;
    options::check(&parser, &found, out)?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let done = async {
            let call = if found.has("create") { "createTopics" } else { "listTopics" };
            let cluster = runtime::open(server, &properties).await.map_err(|thrown| thrown.calling(call))?;
            act(&cluster, &found, out).await
        };
        done.await.map_err(|failure| match failure {
            Failure::Thrown(thrown) => said(&thrown),
            Failure::Stop(stop) => stop,
        })
    })
}

/// Errors of the cluster are said in this tool's own way; a broken output is not one of them.
pub(super) enum Failure {
    Thrown(Thrown),
    Stop(Stop),
}

impl<T: Into<Thrown>> From<T> for Failure {
    fn from(thrown: T) -> Failure {
        Failure::Thrown(thrown.into())
    }
}

/// Kafka says the message on standard output and logs the exception.
fn said(thrown: &Thrown) -> Stop {
    if thrown.class.ends_with("ConfigException") {
        // The client was not even made: that is said on standard error alone.
        return Stop::error("Failed to create new KafkaAdminClient").and_err(thrown.text());
    }
    runtime::log(
        "ERROR",
        &format!("{}: {}", thrown.class, thrown.message),
        "org.apache.kafka.tools.TopicCommand",
    );
    Stop::said(format!("Error while executing topic command : {}", thrown.message)).and_err(&thrown.causes)
}

async fn act(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    if found.has("create") {
        change::create(cluster, found, out).await
    } else if found.has("alter") {
        change::alter(cluster, found).await
    } else if found.has("list") {
        let topics = named(cluster, found).await?;
        written(writeln!(out, "{}", topics.join("\n")))
    } else if found.has("describe") {
        describe::describe(cluster, found, out).await
    } else {
        change::delete(cluster, found).await
    }
}

/// What writing came to: a closed pipe is no error of the cluster.
pub(super) fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| Failure::Stop(error.into()))
}

/// The topics that are meant, sorted.
async fn named(cluster: &Cluster, found: &Found) -> Result<Vec<String>, Failure> {
    let exclude = found.has("exclude-internal");
    let pattern = found.value("topic").map(filter::TopicPattern::new).transpose()?;
    let all = cluster.metadata(None).await?;
    let names = all.topics.into_iter().filter(|topic| !(exclude && topic.is_internal)).filter_map(|t| t.name);
    let mut names: Vec<String> = names
        .filter(|name| match &pattern {
            Some(pattern) => pattern.allows(name, exclude),
            None => !(exclude && filter::is_internal(name)),
        })
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Kafka's complaint when a named topic is not there.
fn must_exist(topics: &[String], found: &Found) -> Result<(), Thrown> {
    match found.value("topic") {
        Some(name) if !name.is_empty() && !found.has("if-exists") && topics.is_empty() => {
            Err(Thrown::illegal_argument(format!("Topic '{name}' does not exist as expected")))
        }
        _ => Ok(()),
    }
}
