//! Topics created, given more partitions, and deleted.

use std::io::Write;

use ottla_client::Cluster;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};

use super::{Failure, must_exist, named, written};
use crate::args::jopt::Found;
use crate::runtime::{Out, Thrown, java};

/// How long a controller may take, in ms.
const TIMEOUT_MS: i32 = 30_000;

pub(super) async fn create(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let name = found.value("topic").unwrap_or_default();
    let assignment = assignment(found)?;
    let configs = configs(&found.values("config"))?;
    if name.contains(['.', '_']) {
        written(writeln!(
            out,
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both."
        ))?;
    }
    let factor = found.integer("replication-factor");
    if factor.is_some_and(|factor| !(1..=i32::from(i16::MAX)).contains(&factor)) {
        let message = format!("The replication factor must be between 1 and {} inclusive", i16::MAX);
        return Err(Thrown::illegal_argument(message).into());
    }
    if found.integer("partitions").is_some_and(|partitions| partitions < 1) {
        return Err(Thrown::illegal_argument("The partitions must be greater than 0").into());
    }
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.to_owned(),
            num_partitions: found.integer("partitions").unwrap_or(-1),
            replication_factor: factor.and_then(|factor| factor.try_into().ok()).unwrap_or(-1),
            assignments: (0..)
                .zip(assignment)
                .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
                    partition_index,
                    broker_ids,
                })
                .collect(),
            configs,
        }],
        timeout_ms: TIMEOUT_MS,
        validate_only: false,
    };
    let answer = cluster.controller(&request).await?;
    for topic in &answer.topics {
        if topic.error_code == ErrorCode::TopicAlreadyExists as i16 && found.has("if-not-exists") {
            return Ok(());
        }
        Thrown::of_item(topic.error_code, topic.error_message.as_deref())?;
    }
    written(writeln!(out, "Created topic {name}."))
}

pub(super) async fn alter(cluster: &Cluster, found: &Found) -> Result<(), Failure> {
    let assignment = assignment(found)?;
    let topics = named(cluster, found).await?;
    must_exist(&topics, found)?;
    if topics.is_empty() {
        return Ok(());
    }
    let count = found.integer("partitions").unwrap_or_default();
    let mut wanted = Vec::with_capacity(topics.len());
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let has_assignment = !assignment.is_empty();
    let known = if has_assignment { cluster.metadata(Some(&names)).await?.topics } else { Vec::new() };
    for name in &topics {
        let assignments = has_assignment.then(|| {
            let existing = known.iter().find(|topic| topic.name.as_deref() == Some(name));
            let existing = existing.map_or(0, |topic| topic.partitions.len());
            // Only partitions beyond those that are there are new.
            let new = assignment.iter().skip(existing).cloned();
            new.map(|broker_ids| CreatePartitionsAssignment { broker_ids }).collect()
        });
        wanted.push(CreatePartitionsTopic { name: name.clone(), count, assignments });
    }
    let request = CreatePartitionsRequest { topics: wanted, timeout_ms: TIMEOUT_MS, validate_only: false };
    let answer = cluster.controller(&request).await?;
    for topic in &answer.results {
        Thrown::of_item(topic.error_code, topic.error_message.as_deref())?;
    }
    Ok(())
}

pub(super) async fn delete(cluster: &Cluster, found: &Found) -> Result<(), Failure> {
    let topics = named(cluster, found).await?;
    must_exist(&topics, found)?;
    if topics.is_empty() {
        return Ok(());
    }
    let request = DeleteTopicsRequest {
        topics: topics
            .into_iter()
            .map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() })
            .collect(),
        timeout_ms: TIMEOUT_MS,
        ..DeleteTopicsRequest::default()
    };
    let answer = cluster.controller(&request).await?;
    for topic in &answer.responses {
        Thrown::of_item(topic.error_code, topic.error_message.as_deref())?;
    }
    Ok(())
}

/// `1:2,2:3`: the replicas of each partition.
pub(super) fn assignment(found: &Found) -> Result<Vec<Vec<i32>>, Thrown> {
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    let Some(text) = found.value("replica-assignment").filter(|text| !text.is_empty()) else {
        return Ok(partitions);
    };
    for (i, list) in text.trim_end_matches(',').split(',').enumerate() {
        let brokers: Result<Vec<i32>, String> =
            list.trim_end_matches(':').split(':').map(|id| java::int(id.trim())).collect();
        let brokers = brokers.map_err(|message| Thrown::new("java.lang.NumberFormatException", message))?;
        let mut twice: Vec<String> = Vec::new();
        for (at, broker) in brokers.iter().enumerate() {
            let again = brokers[..at].contains(broker);
            if again && !twice.contains(&broker.to_string()) {
                twice.push(broker.to_string());
            }
        }
        if !twice.is_empty() {
            return Err(Thrown::new(
                "org.apache.kafka.tools.AdminCommandFailedException",
                format!("Partition replica lists may not contain duplicate entries: {}", twice.join(",")),
            ));
        }
        if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
            let brokers = crate::runtime::java_list(&brokers);
            return Err(Thrown::new(
                "org.apache.kafka.tools.AdminOperationException",
                format!("Partition {i} has different replication factor: {brokers}"),
            ));
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

/// `--config name=value`, each once or more; the last one of a name counts.
pub(super) fn configs(given: &[&str]) -> Result<Vec<CreatableTopicConfig>, Thrown> {
    let mut configs: Vec<CreatableTopicConfig> = Vec::new();
    for pair in given {
        // Java's split drops empty parts at the end: "key=" is one part, "key=a=b" is three.
        let parts: Vec<&str> = pair.trim_end_matches('=').split('=').collect();
        let [name, value] = parts.as_slice() else {
            return Err(Thrown::illegal_argument(
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
            ));
        };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        configs.retain(|config| config.name != name);
        configs.push(CreatableTopicConfig { name, value: Some(value) });
    }
    Ok(configs)
}
