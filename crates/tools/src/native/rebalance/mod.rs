//! `ottla rebalance`: every live broker gets its share of replicas and leaderships, with as few moves as that takes. On
//! top of Kafka's reassignment: the plan is the file that kafka-reassign-partitions reads, and may be given to it.

mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ottla_client::{Cluster, ClusterError, Properties, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest,
    MetadataResponse, alter_partition_reassignments_request as reassign, elect_leaders_request as elect,
};
use serde_json::{Value, json};

use super::status::table;
use super::{Form, block_on, end, parse};
use plan::{Broker, Placed};

/// Spread replicas and leaders over the brokers, for example after one has joined empty.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Show what would move (this is the default).
    #[arg(long, conflicts_with = "execute")]
    plan: bool,
    /// Move it, wait until it is done, and let the new preferred leaders lead.
    #[arg(long)]
    execute: bool,
    /// Only these topics; all if left out.
    #[arg(short, long, value_name = "NAME")]
    topic: Vec<String>,
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    /// json: the plan as kafka-reassign-partitions reads it.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  ottla rebalance --plan
  ottla rebalance --execute
  ottla rebalance --plan -o json > plan.json    for kafka-reassign-partitions --throttle";

const TIMEOUT_MS: i32 = 30_000;
/// ElectLeaders' type of election: the first replica of the list.
const PREFERRED: i8 = 0;
/// How often it is asked what still moves.
const LOOK: Duration = Duration::from_millis(300);

pub(super) fn run(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("rebalance", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    block_on(async { end(work(&wanted).await.map(|()| ExitCode::SUCCESS)) })
}

/// A partition's replicas before and after.
struct Change<'a> {
    now: &'a Placed,
    then: &'a Placed,
}

async fn work(wanted: &Arguments) -> Result<(), String> {
    let say = |error: ClusterError| error.to_string();
    let cluster = Cluster::connect(&wanted.bootstrap, &Properties::new()).await.map_err(|error| {
        format!(
            "{error}\n    next: is the cluster up? give its addresses with -b (asked: {})",
            wanted.bootstrap
        )
    })?;
    let moving = moving(&cluster).await?;
    if !moving.is_empty() {
        return Err(format!(
            "{} partitions are being moved already, and where they will lie is not where they are\n    next: wait; \
             kafka-reassign-partitions --list shows them",
            moving.len()
        ));
    }
    cluster.describe(true, false).await.map_err(say)?;
    let brokers: Vec<Broker> = cluster
        .nodes()
        .into_iter()
        .filter(|node| !node.fenced)
        .map(|node| Broker { id: node.id, rack: node.rack })
        .collect();
    let names: Vec<&str> = wanted.topic.iter().map(String::as_str).collect();
    let metadata = cluster.metadata((!names.is_empty()).then_some(&names[..])).await.map_err(say)?;
    let now = placed(&metadata)?;
    let then = plan::plan(&brokers, &now);
    let changes: Vec<Change<'_>> =
        now.iter().zip(&then).map(|(now, then)| Change { now, then }).filter(|c| c.now != c.then).collect();
    if !wanted.execute {
        match wanted.output {
            Form::Json => println!("{}", for_kafka(&changes)),
            Form::Text => print!("{}", shown(&brokers, &now, &then, &changes)),
        }
        return Ok(());
    }
    if changes.is_empty() {
        println!("{BALANCED}");
        return Ok(());
    }
    start(&cluster, &changes).await?;
    println!("moving {} replicas of {} partitions", moves(&changes), changes.len());
    finish(&cluster, &changes).await?;
    lead(&cluster, &changes).await?;
    println!("done");
    Ok(())
}

const BALANCED: &str = "balanced: nothing to move";

/// The partitions that are being moved now.
async fn moving(cluster: &Cluster) -> Result<BTreeSet<(String, i32)>, String> {
    let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics: None };
    let answer = cluster.controller(&request).await.map_err(|error| error.to_string())?;
    if answer.error_code != 0 {
        return Err(answer.error_message.unwrap_or_else(|| meaning(answer.error_code).to_owned()));
    }
    let topics = answer.topics.into_iter();
    Ok(topics
        .flat_map(|t| t.partitions.into_iter().map(move |p| (t.name.clone(), p.partition_index)))
        .collect())
}

/// Every partition as it lies, by name and number.
fn placed(metadata: &MetadataResponse) -> Result<Vec<Placed>, String> {
    let mut all = Vec::new();
    for topic in &metadata.topics {
        let name = topic.name.clone().unwrap_or_default();
        if topic.error_code != 0 {
            return Err(format!("{name}: {}", meaning(topic.error_code)));
        }
        all.extend(topic.partitions.iter().map(|partition| Placed {
            topic: name.clone(),
            partition: partition.partition_index,
            replicas: partition.replica_nodes.clone(),
        }));
    }
    all.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    Ok(all)
}

async fn start(cluster: &Cluster, changes: &[Change<'_>]) -> Result<(), String> {
    let mut topics: BTreeMap<&str, Vec<reassign::ReassignablePartition>> = BTreeMap::new();
    for Change { then, .. } in changes {
        let partition = reassign::ReassignablePartition {
            partition_index: then.partition,
            replicas: Some(then.replicas.clone()),
        };
        topics.entry(&then.topic).or_default().push(partition);
    }
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| reassign::ReassignableTopic { name: name.to_owned(), partitions });
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: TIMEOUT_MS,
        allow_replication_factor_change: true,
        topics: topics.collect(),
    };
    let answer = cluster.controller(&request).await.map_err(|error| error.to_string())?;
    let mut failed = String::new();
    if answer.error_code != 0 {
        failed = answer.error_message.unwrap_or_else(|| meaning(answer.error_code).to_owned());
    }
    for topic in answer.responses {
        for partition in topic.partitions.into_iter().filter(|partition| partition.error_code != 0) {
            let why = partition.error_message.unwrap_or_else(|| meaning(partition.error_code).to_owned());
            let _ = write!(failed, "\n{}-{}: {why}", topic.name, partition.partition_index);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.trim_start().to_owned()) }
}

/// Until nothing of it moves any more. Ending the program does not end the moves.
async fn finish(cluster: &Cluster, changes: &[Change<'_>]) -> Result<(), String> {
    let mut told = usize::MAX;
    loop {
        let left = moving(cluster).await?;
        let ours = |change: &&Change<'_>| left.contains(&(change.then.topic.clone(), change.then.partition));
        let count = changes.iter().filter(ours).count();
        if count == 0 {
            return Ok(());
        }
        if count < told {
            println!("{count} partitions to go");
            told = count;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Partitions whose first replica is another one now are led by it.
async fn lead(cluster: &Cluster, changes: &[Change<'_>]) -> Result<(), String> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for Change { now, then } in changes {
        if now.replicas.first() != then.replicas.first() {
            topics.entry(&then.topic).or_default().push(then.partition);
        }
    }
    if topics.is_empty() {
        return Ok(());
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partitions)| elect::TopicPartitions { topic: topic.to_owned(), partitions });
    let request = ElectLeadersRequest {
        election_type: PREFERRED,
        topic_partitions: Some(topics.collect()),
        timeout_ms: TIMEOUT_MS,
    };
    let answer = cluster.controller(&request).await.map_err(|error| error.to_string())?;
    if answer.error_code != 0 {
        return Err(meaning(answer.error_code).to_owned());
    }
    let mut elected = 0;
    for topic in answer.replica_election_results {
        for partition in topic.partition_result {
            match ErrorCode::from_i16(partition.error_code) {
                Some(ErrorCode::None | ErrorCode::ElectionNotNeeded) => elected += 1,
                // auto.leader.rebalance.enable tries it again by itself.
                _ => println!(
                    "{}-{} keeps its leader for now: {}",
                    topic.topic,
                    partition.partition_id,
                    partition.error_message.as_deref().unwrap_or(meaning(partition.error_code))
                ),
            }
        }
    }
    println!("{elected} partitions are led by their new first replica");
    Ok(())
}

/// Kafka's words for an error that came without any.
fn meaning(code: i16) -> &'static str {
    ErrorCode::from_i16(code).map_or("an error that this release does not know", exception::message)
}

/// How many replicas come to lie on another broker.
fn moves(changes: &[Change<'_>]) -> usize {
    let new = |c: &Change<'_>| c.then.replicas.iter().filter(|id| !c.now.replicas.contains(id)).count();
    changes.iter().map(new).sum()
}

/// The plan as kafka-reassign-partitions reads it.
fn for_kafka(changes: &[Change<'_>]) -> Value {
    let partitions = changes.iter().map(|Change { then, .. }| {
        json!({ "topic": then.topic, "partition": then.partition, "replicas": then.replicas })
    });
    json!({ "version": 1, "partitions": partitions.collect::<Vec<_>>() })
}

fn shown(brokers: &[Broker], now: &[Placed], then: &[Placed], changes: &[Change<'_>]) -> String {
    let replicas = |placed: &[Placed], id: i32| placed.iter().filter(|p| p.replicas.contains(&id)).count();
    let leads =
        |placed: &[Placed], id: i32| placed.iter().filter(|p| p.replicas.first() == Some(&id)).count();
    let change = |before: usize, after: usize| match before == after {
        true => before.to_string(),
        false => format!("{before} -> {after}"),
    };
    let rows = brokers.iter().map(|Broker { id, .. }| {
        vec![
            id.to_string(),
            change(replicas(now, *id), replicas(then, *id)),
            change(leads(now, *id), leads(then, *id)),
        ]
    });
    let mut out = String::new();
    table(&mut out, &["broker", "replicas", "preferred leader of"], rows.collect());
    if changes.is_empty() {
        let _ = writeln!(out, "\n{BALANCED}");
        return out;
    }
    let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let rows = changes.iter().map(|Change { now, then }| {
        vec![format!("{}-{}", now.topic, now.partition), ids(&now.replicas), ids(&then.replicas)]
    });
    let _ = writeln!(out, "\n{} replicas move, of {} partitions", moves(changes), changes.len());
    table(&mut out, &["partition", "replicas now", "then"], rows.collect());
    let _ = writeln!(out, "\nnext: ottla rebalance --execute");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_shown_and_is_kafkas_file() {
        let brokers = [1, 2, 4].map(|id| Broker { id, rack: None });
        let placed = |partition, replicas: &[i32]| Placed {
            topic: "names".to_owned(),
            partition,
            replicas: replicas.to_vec(),
        };
        let now = [placed(0, &[1, 2]), placed(1, &[2, 1])];
        let then = [placed(0, &[4, 2]), placed(1, &[2, 1])];
        let changes = [Change { now: &now[0], then: &then[0] }];
        let text = shown(&brokers, &now, &then, &changes);
        assert!(text.contains("1 replicas move, of 1 partitions") && text.contains("2 -> 1"), "{text}");
        assert!(text.contains("names-0") && !text.contains("names-1"), "{text}");
        assert_eq!(
            for_kafka(&changes).to_string(),
            r#"{"version":1,"partitions":[{"topic":"names","partition":0,"replicas":[4,2]}]}"#
        );
        assert!(shown(&brokers, &now, &now, &[]).contains(BALANCED));
    }
}
