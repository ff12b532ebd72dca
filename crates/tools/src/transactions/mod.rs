//! `kafka-transactions`: transactions and producers shown, hanging transactions found and aborted.

mod hanging;
mod options;
mod server;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use options::parser;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_client::{Cluster, TopicPartition};
use ottla_protocol::messages::describe_producers_response::ProducerState;

use crate::args::argparse::Namespace;
use crate::runtime::{self, Out, Stop, Thrown};
use server::Marker;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-transactions", args, transactions)
}

fn transactions(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let ns = options::parser().parse(args, out)?;
    let properties = runtime::properties(ns.text("command_config"))?;
    let server = ns.text("bootstrap_server").unwrap_or_default();
    let command = ns.text("command").unwrap_or_default();
    check(command, &ns)?;
    runtime::block_on(async {
        let call = match command {
            "list" => "listTransactions",
            "describe" => "describeTransactions",
            "forceTerminateTransaction" => "fenceProducer",
            _ => "describeProducers",
        };
        let cluster = runtime::open(server, &properties).await;
        let cluster = cluster.map_err(|thrown| failed(what(command, &ns), thrown.calling(call)))?;
        match command {
            "list" => list(&cluster, &ns, out).await,
            "describe" => describe(&cluster, &ns, out).await,
            "describe-producers" => describe_producers(&cluster, &ns, out).await,
            "abort" => abort(&cluster, &ns).await,
            "find-hanging" => hanging::find(&cluster, &ns, out).await,
            _ => force_terminate(&cluster, &ns).await,
        }
    })
}

/// What is wrong with the arguments together is said before anybody is asked.
fn check(command: &str, ns: &Namespace) -> Result<(), Stop> {
    let refuse = |wrong: bool, message: &str| if wrong { Err(Stop::error(message)) } else { Ok(()) };
    match command {
        "abort" if !ns.given("start_offset") => {
            refuse(
                !ns.given("producer_id"),
                "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)",
            )?;
            refuse(!ns.given("producer_epoch"), "Missing required argument --producer-epoch")?;
            refuse(!ns.given("coordinator_epoch"), "Missing required argument --coordinator-epoch")
        }
        "find-hanging" => {
            let (topic, broker) = (ns.given("topic"), ns.given("broker_id"));
            refuse(
                !topic && !broker,
                "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search",
            )?;
            refuse(
                ns.given("partition") && !topic,
                "The --partition argument requires --topic to be provided",
            )
        }
        _ => Ok(()),
    }
}

/// Kafka's sentence for what a command could not do.
fn what(command: &str, ns: &Namespace) -> String {
    let id = |name: &str| ns.text(name).unwrap_or_default();
    match command {
        "list" => "Failed to list transactions".to_owned(),
        "describe" => {
            format!("Failed to describe transaction state of transactional-id `{}`", id("transactional_id"))
        }
        "describe-producers" => {
            let at = ns.integer("broker_id").map_or("leader".to_owned(), |id| format!("broker {id}"));
            format!("Failed to describe producers for partition {} on {at}", partition(ns))
        }
        "abort" => format!("Failed to validate producer state for partition {}", partition(ns)),
        "find-hanging" => "Failed to list topics".to_owned(),
        _ => format!("Failed to force terminate transactionalId `{}`", id("transactionalId")),
    }
}

/// `printErrorAndExit`.
fn failed(what: String, thrown: Thrown) -> Stop {
    Stop::error(format!("{what}: {}. Enable debug logging for additional detail.", thrown.message))
        .and_err(thrown.causes)
}

fn partition(ns: &Namespace) -> TopicPartition {
    TopicPartition::new(ns.text("topic").unwrap_or_default(), ns.integer("partition").unwrap_or_default())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn list(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let duration = ns.long("duration_filter").unwrap_or(-1);
    let pattern = ns.text("transactional_id_pattern").filter(|pattern| !pattern.is_empty());
    let listed = server::list(cluster, Vec::new(), duration, pattern).await;
    let listed = listed.map_err(|thrown| failed(what("list", ns), thrown))?;
    let rows: Vec<Vec<String>> = listed
        .into_iter()
        .flat_map(|(broker, listings)| {
            listings.into_iter().map(move |listing| {
                vec![
                    listing.transactional_id,
                    broker.to_string(),
                    listing.producer_id.to_string(),
                    server::state(&listing.transaction_state),
                ]
            })
        })
        .collect();
    runtime::table(out, &["TransactionalId", "Coordinator", "ProducerId", "TransactionState"], &rows)?;
    Ok(())
}

async fn describe(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let id = ns.text("transactional_id").unwrap_or_default();
    let described = server::describe(cluster, id).await;
    let (coordinator, state) = described.map_err(|thrown| failed(what("describe", ns), thrown))?;
    runtime::table(out, &DESCRIPTION, &[description(coordinator, id, &state, now_ms())])?;
    Ok(())
}

const DESCRIPTION: [&str; 9] = [
    "CoordinatorId",
    "TransactionalId",
    "ProducerId",
    "ProducerEpoch",
    "TransactionState",
    "TransactionTimeoutMs",
    "CurrentTransactionStartTimeMs",
    "TransactionDurationMs",
    "TopicPartitions",
];

fn description(coordinator: i32, id: &str, state: &server::Described, now_ms: i64) -> Vec<String> {
    let begun = state.transaction_start_time_ms;
    let (start, duration) = match begun {
        0.. => (begun.to_string(), (now_ms - begun).to_string()),
        _ => ("None".to_owned(), "None".to_owned()),
    };
    let partitions: Vec<String> =
        server::partitions(state).iter().map(std::string::ToString::to_string).collect();
    vec![
        coordinator.to_string(),
        id.to_owned(),
        state.producer_id.to_string(),
        state.producer_epoch.to_string(),
        server::state(&state.transaction_state),
        state.transaction_timeout_ms.to_string(),
        start,
        duration,
        partitions.join(","),
    ]
}

async fn describe_producers(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let at = partition(ns);
    let producers = server::producers(cluster, std::slice::from_ref(&at), ns.integer("broker_id")).await;
    let producers = producers.map_err(|thrown| failed(what("describe-producers", ns), thrown))?;
    let rows: Vec<Vec<String>> = producers.into_values().flatten().map(|state| producer(&state)).collect();
    runtime::table(out, &PRODUCERS, &rows)?;
    Ok(())
}

const PRODUCERS: [&str; 6] = [
    "ProducerId",
    "ProducerEpoch",
    "LatestCoordinatorEpoch",
    "LastSequence",
    "LastTimestamp",
    "CurrentTransactionStartOffset",
];

fn producer(state: &ProducerState) -> Vec<String> {
    let begun = state.current_txn_start_offset;
    vec![
        state.producer_id.to_string(),
        state.producer_epoch.to_string(),
        state.coordinator_epoch.max(-1).to_string(),
        state.last_sequence.to_string(),
        state.last_timestamp.to_string(),
        if begun < 0 { "None".to_owned() } else { begun.to_string() },
    ]
}

async fn abort(cluster: &Cluster, ns: &Namespace) -> Result<(), Stop> {
    let at = partition(ns);
    let marker = match ns.long("start_offset") {
        Some(start) => {
            let producers = server::producers(cluster, std::slice::from_ref(&at), None).await;
            let producers = producers.map_err(|thrown| failed(what("abort", ns), thrown))?;
            let open =
                producers.into_values().flatten().find(|state| state.current_txn_start_offset == start);
            let Some(open) = open.filter(|_| start >= 0) else {
                return Err(Stop::error(format!(
                    "Could not find any open transactions starting at offset {start} on partition {at}"
                ))
                .and_err("    next: kafka-transactions describe-producers shows where transactions begin"));
            };
            Marker {
                at,
                producer_id: open.producer_id,
                // Java cuts it to the 16 bits that an epoch has.
                producer_epoch: open.producer_epoch as i16,
                coordinator_epoch: open.coordinator_epoch.max(0),
            }
        }
        None => Marker {
            at,
            producer_id: ns.long("producer_id").unwrap_or_default(),
            producer_epoch: ns.integer("producer_epoch").and_then(|e| e.try_into().ok()).unwrap_or_default(),
            // A producer whose first transaction hangs is told with -1: no leader's epoch is below 0.
            coordinator_epoch: ns.integer("coordinator_epoch").unwrap_or_default().max(0),
        },
    };
    let aborted = server::abort(cluster, &marker).await;
    aborted.map_err(|thrown| failed(format!("Failed to abort transaction {marker}"), thrown))
}

async fn force_terminate(cluster: &Cluster, ns: &Namespace) -> Result<(), Stop> {
    let id = ns.text("transactionalId").unwrap_or_default();
    let fenced = server::fence(cluster, id).await;
    fenced.map_err(|thrown| failed(what("forceTerminateTransaction", ns), thrown))
}
