//! `kafka-configs`: the configuration of topics, brokers, groups, clients and whatever else has one.

mod names;
mod options;
mod pairs;
mod quotas;
mod resource;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, ClusterError};

use crate::args::jopt::Found;
use crate::runtime::{self, Out, Stop, Thrown};

use options::{CLIENTS, Entities, IPS, USERS};

const ABOUT: &str = "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group";
const UNSUPPORTED: &str = "org.apache.kafka.common.errors.UnsupportedVersionException";

#[cfg(test)]
pub(crate) use options::parser;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-configs", args, configs)
}

/// Why it did not work: refused here, or by the cluster.
enum Failure {
    Stop(Stop),
    Thrown(Thrown),
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

impl From<Thrown> for Failure {
    fn from(thrown: Thrown) -> Failure {
        Failure::Thrown(thrown)
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Failure {
        Failure::Thrown(error.into())
    }
}

/// What Kafka refuses with an `IllegalArgumentException`: the message alone.
fn refuse<T>(message: impl std::fmt::Display) -> Result<T, Failure> {
    Err(Failure::Stop(Stop::error(message)))
}

fn configs(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut parser = options::parser();
    let found = parser.parse(args)?;
    parser.help_or_version(&found, ABOUT, out)?;
    let entities = Entities::of(&found);
    options::check(&parser, &found, &entities)?;
    let properties = runtime::properties(found.value("command-config"))?;
    let done = runtime::block_on(async {
        let (server, controller) = (found.value("bootstrap-server"), found.value("bootstrap-controller"));
        let cluster = runtime::open_either(server, controller, &properties)
            .await
            .map_err(|thrown| thrown.calling("listTopics"))?;
        if found.has("alter") {
            alter(&cluster, &found, &entities, out).await
        } else {
            describe(&cluster, &found, &entities, out).await
        }
    });
    done.map_err(|failure| match failure {
        Failure::Stop(stop) => stop,
        // Topics are a broker's business: Kafka's client does not even ask a controller.
        Failure::Thrown(thrown)
            if found.has("bootstrap-controller")
                && thrown.message == "The node does not support METADATA" =>
        {
            let unsupported = Thrown::new(
                "org.apache.kafka.common.errors.UnsupportedEndpointTypeException",
                "This Admin API is not yet supported when communicating directly with the controller quorum.",
            );
            while_executing(args, &unsupported)
        }
        Failure::Thrown(thrown) => while_executing(args, &thrown),
    })
}

/// Kafka says what it was doing before it shows the exception.
fn while_executing(args: &[String], thrown: &Thrown) -> Stop {
    Stop::error(format!(
        "Error while executing config command with args '{}'\njava.util.concurrent.ExecutionException: {}",
        args.join(" "),
        thrown.text()
    ))
}

async fn alter(cluster: &Cluster, found: &Found, entities: &Entities, out: &mut Out) -> Result<(), Failure> {
    let add = pairs::to_add(found)?;
    let delete = pairs::to_delete(found);
    let kind = entities.types[0].as_str();
    match kind {
        USERS | CLIENTS | IPS => quotas::alter(cluster, entities, &add, &delete).await?,
        _ => resource::alter(cluster, kind, &entities.names[0], &add, &delete).await?,
    }
    let name = &entities.names[0];
    if name.is_empty() {
        writeln!(out, "Completed updating default config for {kind} in the cluster.")?;
    } else {
        writeln!(out, "Completed updating config for {} {name}.", singular(kind))?;
    }
    Ok(())
}

async fn describe(
    cluster: &Cluster,
    found: &Found,
    entities: &Entities,
    out: &mut Out,
) -> Result<(), Failure> {
    match entities.types[0].as_str() {
        USERS | CLIENTS => quotas::describe_users_and_clients(cluster, entities, out).await,
        IPS => quotas::describe(cluster, entities, out).await,
        kind => {
            let name = entities.names.first().map(String::as_str);
            resource::describe(cluster, kind, name, found.has("all"), out).await
        }
    }
}

/// A kind without its last letter, as Kafka makes it singular.
fn singular(kind: &str) -> &str {
    &kind[..kind.len() - 1]
}
