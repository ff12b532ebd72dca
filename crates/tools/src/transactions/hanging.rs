//! Hanging transactions: open on a partition, and no coordinator knows of them.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Cluster, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_response::ProducerState;

use super::{failed, now_ms, server};
use crate::args::argparse::Namespace;
use crate::runtime::{self, Out, Stop, Thrown};

/// How many topics or partitions one request asks about.
const BATCH: usize = 500;
const MINUTE_MS: i64 = 60_000;

const HEADERS: [&str; 8] = [
    "Topic",
    "Partition",
    "ProducerId",
    "ProducerEpoch",
    "CoordinatorEpoch",
    "StartOffset",
    "LastTimestamp",
    "Duration(min)",
];

/// A transaction that has been open for long.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Open {
    pub(super) at: TopicPartition,
    pub(super) producer: ProducerState,
}

pub(super) async fn find(cluster: &Cluster, ns: &Namespace, out: &mut Out) -> Result<(), Stop> {
    let broker = ns.integer("broker_id");
    let longest_ms = i64::from(ns.integer("max_transaction_timeout").unwrap_or(15)) * MINUTE_MS;
    let partitions = scope(cluster, ns, broker).await?;
    let mut open = Vec::new();
    for batch in partitions.chunks(BATCH) {
        let producers = server::producers(cluster, batch, broker).await.map_err(|thrown| {
            let broker = broker.map_or("Optional.empty".to_owned(), |id| format!("Optional[{id}]"));
            failed(
                format!("Failed to describe producers for {} partitions on broker {broker}", batch.len()),
                thrown,
            )
        })?;
        open.extend(long_open(producers, longest_ms, now_ms()));
    }
    let hanging = if open.is_empty() { open } else { unknown_to_coordinators(cluster, open).await? };
    let now = now_ms();
    let rows: Vec<Vec<String>> = hanging.iter().map(|open| row(open, now)).collect();
    runtime::table(out, &HEADERS, &rows)?;
    Ok(())
}

/// The partitions to look at: one, those of a topic, or all; with a broker only those it has a replica of.
async fn scope(cluster: &Cluster, ns: &Namespace, broker: Option<i32>) -> Result<Vec<TopicPartition>, Stop> {
    let topic = ns.text("topic");
    if let (Some(topic), Some(partition)) = (topic, ns.integer("partition")) {
        return Ok(vec![TopicPartition::new(topic, partition)]);
    }
    let names = topic.map(|topic| vec![topic]);
    let metadata = cluster.metadata(names.as_deref()).await.map_err(|error| {
        let what = if topic.is_some() { "Failed to describe 1 topics" } else { "Failed to list topics" };
        failed(what.to_owned(), error.into())
    })?;
    let mut partitions = Vec::new();
    for described in &metadata.topics {
        let name = described.name.as_deref().unwrap_or_default();
        if topic.is_some() {
            Thrown::of_item(described.error_code, None)
                .map_err(|thrown| failed("Failed to describe 1 topics".to_owned(), thrown))?;
        }
        for at in &described.partitions {
            if broker.is_none_or(|broker| at.replica_nodes.contains(&broker)) {
                partitions.push(TopicPartition::new(name, at.partition_index));
            }
        }
    }
    Ok(partitions)
}

/// Transactions whose producer has said nothing for longer than a transaction may take.
pub(super) fn long_open(
    producers: BTreeMap<TopicPartition, Vec<ProducerState>>,
    longest_ms: i64,
    now_ms: i64,
) -> Vec<Open> {
    let all = producers.into_iter();
    all.flat_map(|(at, states)| states.into_iter().map(move |producer| Open { at: at.clone(), producer }))
        .filter(|open| open.producer.current_txn_start_offset >= 0)
        .filter(|open| now_ms - open.producer.last_timestamp > longest_ms)
        .collect()
}

async fn unknown_to_coordinators(cluster: &Cluster, open: Vec<Open>) -> Result<Vec<Open>, Stop> {
    let producers: BTreeSet<i64> = open.iter().map(|open| open.producer.producer_id).collect();
    let listed = server::list(cluster, producers.iter().copied().collect(), -1, None).await;
    let listed = listed.map_err(|thrown| {
        failed(format!("Failed to list transactions for {} producers", producers.len()), thrown)
    })?;
    let ids: BTreeMap<i64, String> = listed
        .into_values()
        .flatten()
        .filter(|listing| producers.contains(&listing.producer_id))
        .map(|listing| (listing.producer_id, listing.transactional_id))
        .collect();
    let mut known = BTreeMap::new();
    for (producer, id) in &ids {
        match server::describe(cluster, id).await {
            Ok((_, state)) => {
                known.insert(*producer, server::partitions(&state));
            }
            Err(thrown) if thrown.class == exception::class(ErrorCode::TransactionalIdNotFound) => {}
            Err(thrown) => {
                return Err(failed(format!("Failed to describe {} transactions", ids.len()), thrown));
            }
        }
    }
    Ok(hanging(open, &known))
}

/// Those whose coordinator is not going to write their marker: it does not have the partition in the transaction.
pub(super) fn hanging(open: Vec<Open>, known: &BTreeMap<i64, BTreeSet<TopicPartition>>) -> Vec<Open> {
    let is_known = |open: &Open| {
        known.get(&open.producer.producer_id).is_some_and(|partitions| partitions.contains(&open.at))
    };
    open.into_iter().filter(|open| !is_known(open)).collect()
}

fn row(open: &Open, now_ms: i64) -> Vec<String> {
    let producer = &open.producer;
    vec![
        open.at.topic.to_string(),
        open.at.partition.to_string(),
        producer.producer_id.to_string(),
        producer.producer_epoch.to_string(),
        producer.coordinator_epoch.max(-1).to_string(),
        producer.current_txn_start_offset.to_string(),
        producer.last_timestamp.to_string(),
        ((now_ms - producer.last_timestamp) / MINUTE_MS).to_string(),
    ]
}
