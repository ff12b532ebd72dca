//! `kafka-cluster`: the cluster's id, its endpoints, brokers taken off its list.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, ClusterError, Properties};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::UnregisterBrokerRequest;

use crate::args::argparse::{Arg, Kind, Namespace, Parser};
use crate::runtime::{self, Out, Stop, Thrown};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-cluster", args, cluster)
}

/// The id of the cluster whose controllers listen at `addresses` (`host:port`, separated by commas), if one answers.
#[must_use]
pub fn id_of(addresses: &str) -> Option<String> {
    let properties = Properties::default();
    runtime::block_on(async {
        let cluster = runtime::connect_either(None, Some(addresses), &properties).await.ok()?;
        Some(cluster.cluster_id().to_string())
    })
}

fn connected(parser: Parser) -> Parser {
    parser
        .exclusive(
            true,
            vec![
                Arg::option(&["--bootstrap-server", "-b"]).help("A list of host/port pairs to use for establishing the connection to the Kafka cluster."),
                Arg::option(&["--bootstrap-controller", "-C"]).help("A list of host/port pairs to use for establishing the connection to the KRaft controllers."),
            ],
        )
        .arg(Arg::option(&["--config"]).help("(DEPRECATED) A property file containing configurations for the Admin client. This option will be removed in a future version. Use --command-config instead."))
        .arg(Arg::option(&["--command-config", "-c"]).help("Config properties file for the Admin client."))
}

pub(crate) fn parser() -> Parser {
    let unregister = connected(Parser::sub("unregister").about("Unregister a broker.")).arg(
        Arg::option(&["--id", "-i"])
            .kind(Kind::Integer)
            .required()
            .help("The ID of the broker to unregister."),
    );
    let endpoints = connected(Parser::sub("list-endpoints").about("List endpoints")).arg(
        Arg::option(&["--include-fenced-brokers"])
            .store_true()
            .help("Whether to include fenced brokers when listing broker endpoints"),
    );
    Parser::new("kafka-cluster")
        .default_help()
        .description("The Kafka cluster tool.")
        .subcommands("command")
        .subcommand(connected(Parser::sub("cluster-id").about("Get information about the ID of a cluster.")))
        .subcommand(unregister)
        .subcommand(endpoints)
}

fn cluster(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let ns = parser().parse(args, out)?;
    let file = match (ns.text("config"), ns.text("command_config")) {
        (Some(_), Some(_)) => {
            return Err(Stop::error("--config and --command-config cannot be specified together."));
        }
        (Some(old), None) => {
            runtime::deprecated(
                "Option --config has been deprecated and will be removed in a future version. Use --command-config instead.",
            );
            Some(old)
        }
        (None, file) => file,
    };
    let properties = runtime::properties(file)?;
    let of_controllers = ns.given("bootstrap_controller");
    if ns.flag("include_fenced_brokers") && of_controllers {
        return Err(Stop::error(
            "The option --include-fenced-brokers is only supported with --bootstrap-server option",
        ));
    }
    runtime::block_on(async {
        let (server, controller) = (ns.text("bootstrap_server"), ns.text("bootstrap_controller"));
        let cluster = runtime::connect_either(server, controller, &properties).await?;
        match ns.text("command").unwrap_or_default() {
            "cluster-id" => Ok(writeln!(out, "Cluster ID: {}", cluster.cluster_id())?),
            "unregister" => unregister(&cluster, &ns, out).await,
            _ => list_endpoints(&cluster, ns.flag("include_fenced_brokers"), out).await,
        }
    })
}

async fn unregister(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let id = ns.integer("id").unwrap_or_default();
    let answer = match cluster.controller(&UnregisterBrokerRequest { broker_id: id }).await {
        Err(error) if error.code() == Some(ErrorCode::UnsupportedVersion) => {
            return Ok(writeln!(out, "The target cluster does not support the broker unregistration API.")?);
        }
        other => other?,
    };
    Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    Ok(writeln!(out, "Broker {id} is no longer registered.")?)
}

async fn list_endpoints(cluster: &Cluster, fenced: bool, out: &mut Out) -> Result<(), Stop> {
    let answer = match cluster.describe(fenced, false).await {
        Err(error) if error.code() == Some(ErrorCode::UnsupportedVersion) => {
            return Ok(writeln!(out, "{}", ClusterError::exception(&error).1)?);
        }
        other => other?,
    };
    let mut nodes = answer.brokers;
    nodes.sort_by_key(|node| node.broker_id);
    let widest = |texts: Vec<&str>, none: usize| texts.iter().map(|text| text.len()).max().unwrap_or(none);
    let host = widest(nodes.iter().map(|node| node.host.as_str()).collect(), 100);
    let rack = widest(nodes.iter().filter_map(|node| node.rack.as_deref()).collect(), 10);
    if cluster.of_controllers() {
        writeln!(
            out,
            "{:<10} {:<host$} {:<10} {:<rack$} {:<15}",
            "ID", "HOST", "PORT", "RACK", "ENDPOINT_TYPE"
        )?;
    } else {
        writeln!(
            out,
            "{:<10} {:<host$} {:<10} {:<rack$} {:<10} {:<15}",
            "ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"
        )?;
    }
    for node in &nodes {
        let own_rack = node.rack.as_deref().unwrap_or("null");
        write!(out, "{:<10} {:<host$} {:<10} {own_rack:<rack$} ", node.broker_id, node.host, node.port)?;
        if cluster.of_controllers() {
            writeln!(out, "{:<15}", "controller")?;
        } else {
            writeln!(out, "{:<10} {:<15}", if node.is_fenced { "fenced" } else { "unfenced" }, "broker")?;
        }
    }
    Ok(())
}
