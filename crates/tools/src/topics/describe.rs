//! Topics described: one line per topic, one per partition, with every report flag.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ottla_client::{Cluster, ClusterError};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use ottla_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{
    DescribeConfigsRequest, DescribeTopicPartitionsRequest, ListPartitionReassignmentsRequest,
    MetadataRequest,
};
use ottla_records::uuid_text;
use uuid::Uuid;

use super::{Failure, must_exist, named, written};
use crate::args::jopt::Found;
use crate::runtime::{Out, Thrown, java};

/// A topic resource in DescribeConfigs.
const TOPIC: i8 = 2;
/// DEFAULT_CONFIG: what nobody has set.
const DEFAULT: i8 = 5;

struct Topic {
    name: String,
    id: Uuid,
    partitions: Vec<Partition>,
}

struct Partition {
    index: i32,
    leader: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    /// `None`: the server does not tell.
    elr: Option<Vec<i32>>,
    last_known_elr: Option<Vec<i32>>,
}

type Reassignments = BTreeMap<(String, i32), OngoingPartitionReassignment>;

pub(super) async fn describe(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let id = match found.value("topic-id") {
        Some(text) => {
            let id = uuid_text::decode(text).map_err(|error| {
                // Java's decoder complains of a single letter behind the last four before anybody counts bytes.
                let single = text.len() % 4 == 1
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
                Thrown::illegal_argument(match single {
                    true => "Last unit does not have enough valid bits".to_owned(),
                    false => error.to_string(),
                })
            })?;
            Some(id).filter(|id| !id.is_nil())
        }
        None => None,
    };
    let topics = match id {
        Some(id) => by_id(cluster, found, id).await?,
        None => by_name(cluster, found).await?,
    };
    let configs = configs(cluster, &topics).await?;
    let live: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let reassignments = reassignments(cluster, &topics).await?;
    let report = Report { found, live };
    for (topic, configs) in topics.iter().zip(configs) {
        written(report.print(topic, &configs, &reassignments, out))?;
    }
    Ok(())
}

async fn by_id(cluster: &Cluster, found: &Found, id: Uuid) -> Result<Vec<Topic>, Failure> {
    let exclude = found.has("exclude-internal");
    let all = cluster.metadata(None).await?;
    let there = all.topics.iter().any(|topic| topic.topic_id == id && !(exclude && topic.is_internal));
    if !there && found.has("if-exists") {
        return Ok(Vec::new());
    }
    if !there {
        let id = uuid_text::encode(&id);
        return Err(Thrown::illegal_argument(format!("TopicId '{id}' does not exist as expected")).into());
    }
    let wanted = MetadataRequestTopic { topic_id: id, name: None };
    let request = MetadataRequest {
        topics: Some(vec![wanted]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let answer = cluster.any(&request).await?;
    let mut topics = Vec::new();
    for topic in answer.topics {
        Thrown::of_item(topic.error_code, None)?;
        let partitions = topic.partitions.into_iter().map(|partition| Partition {
            index: partition.partition_index,
            leader: partition.leader_id,
            replicas: partition.replica_nodes,
            isr: partition.isr_nodes,
            elr: None,
            last_known_elr: None,
        });
        let partitions = partitions.collect();
        topics.push(Topic { name: topic.name.unwrap_or_default(), id: topic.topic_id, partitions });
    }
    Ok(sorted(topics))
}

async fn by_name(cluster: &Cluster, found: &Found) -> Result<Vec<Topic>, Failure> {
    let names = named(cluster, found).await?;
    must_exist(&names, found)?;
    let mut topics: BTreeMap<String, Topic> = BTreeMap::new();
    let mut cursor = None;
    let limit = found.integer("partition-size-limit-per-response").unwrap_or(2000);
    while !names.is_empty() {
        let from: Option<&Cursor> = cursor.as_ref();
        let rest = names.iter().filter(|name| from.is_none_or(|from| **name >= from.topic_name));
        let request = DescribeTopicPartitionsRequest {
            topics: rest.map(|name| TopicRequest { name: name.clone() }).collect(),
            response_partition_limit: limit,
            cursor: cursor.clone(),
        };
        let answer = match cluster.any(&request).await {
            // A server before Kafka 3.8 does not know it, and tells nothing of eligible leaders.
            Err(error) if error.code() == Some(ErrorCode::UnsupportedVersion) => {
                return by_metadata(cluster, &names).await;
            }
            other => other?,
        };
        for topic in answer.topics {
            Thrown::of_item(topic.error_code, None)?;
            let name = topic.name.unwrap_or_default();
            let id = topic.topic_id;
            let slot =
                topics.entry(name.clone()).or_insert_with(|| Topic { name, id, partitions: Vec::new() });
            slot.partitions.extend(topic.partitions.into_iter().map(|partition| Partition {
                index: partition.partition_index,
                leader: partition.leader_id,
                replicas: partition.replica_nodes,
                isr: partition.isr_nodes,
                elr: Some(partition.eligible_leader_replicas.unwrap_or_default()),
                last_known_elr: Some(partition.last_known_elr.unwrap_or_default()),
            }));
        }
        match answer.next_cursor {
            Some(next) => {
                cursor = Some(Cursor { topic_name: next.topic_name, partition_index: next.partition_index });
            }
            None => break,
        }
    }
    Ok(sorted(topics.into_values().collect()))
}

async fn by_metadata(cluster: &Cluster, names: &[String]) -> Result<Vec<Topic>, Failure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = cluster.metadata(Some(&names)).await?;
    let mut topics = Vec::new();
    for topic in answer.topics {
        Thrown::of_item(topic.error_code, None)?;
        let partitions = topic.partitions.into_iter().map(|partition| Partition {
            index: partition.partition_index,
            leader: partition.leader_id,
            replicas: partition.replica_nodes,
            isr: partition.isr_nodes,
            elr: None,
            last_known_elr: None,
        });
        let partitions = partitions.collect();
        topics.push(Topic { name: topic.name.unwrap_or_default(), id: topic.topic_id, partitions });
    }
    Ok(sorted(topics))
}

fn sorted(mut topics: Vec<Topic>) -> Vec<Topic> {
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    for topic in &mut topics {
        topic.partitions.sort_by_key(|partition| partition.index);
    }
    topics
}

/// The configurations of each topic, in the order of Java's map.
async fn configs(
    cluster: &Cluster,
    topics: &[Topic],
) -> Result<Vec<Vec<DescribeConfigsResourceResult>>, Failure> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let request = DescribeConfigsRequest {
        resources: topics
            .iter()
            .map(|topic| DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: topic.name.clone(),
                configuration_keys: None,
            })
            .collect(),
        include_synonyms: false,
        include_documentation: false,
    };
    let answer = cluster.any(&request).await?;
    let mut by_name = BTreeMap::new();
    for result in answer.results {
        Thrown::of_item(result.error_code, result.error_message.as_deref())?;
        by_name.insert(result.resource_name, java::hash_order(result.configs, |config| &config.name));
    }
    Ok(topics.iter().map(|topic| by_name.remove(&topic.name).unwrap_or_default()).collect())
}

async fn reassignments(cluster: &Cluster, topics: &[Topic]) -> Result<Reassignments, Failure> {
    if topics.is_empty() {
        return Ok(Reassignments::new());
    }
    let request = ListPartitionReassignmentsRequest {
        timeout_ms: 30_000,
        topics: Some(
            topics
                .iter()
                .map(|topic| ListPartitionReassignmentsTopics {
                    name: topic.name.clone(),
                    partition_indexes: topic.partitions.iter().map(|partition| partition.index).collect(),
                })
                .collect(),
        ),
    };
    let answer = match cluster.controller(&request).await {
        Err(error) if is_unserved(&error) => return Ok(Reassignments::new()),
        other => other?,
    };
    Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    let mut ongoing = Reassignments::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            ongoing.insert((topic.name.clone(), partition.partition_index), partition);
        }
    }
    Ok(ongoing)
}

/// A describe goes on without what the server cannot or will not tell about reassignments.
fn is_unserved(error: &ClusterError) -> bool {
    matches!(error.code(), Some(ErrorCode::UnsupportedVersion | ErrorCode::ClusterAuthorizationFailed))
}

struct Report<'a> {
    found: &'a Found,
    live: Vec<i32>,
}

impl Report<'_> {
    fn print(
        &self,
        topic: &Topic,
        configs: &[DescribeConfigsResourceResult],
        reassignments: &Reassignments,
        out: &mut Out,
    ) -> io::Result<()> {
        let reports = ["unavailable", "under-replicated", "under-min-isr", "at-min-isr"];
        let everything = reports.iter().all(|report| !self.found.has(&format!("{report}-partitions")));
        let overridden: Vec<&DescribeConfigsResourceResult> =
            configs.iter().filter(|config| config.config_source != DEFAULT).collect();
        let only_overridden = self.found.has("topics-with-overrides");
        let of = |partition: &Partition| reassignments.get(&(topic.name.clone(), partition.index));
        if everything && (!only_overridden || !overridden.is_empty()) {
            let factor = topic.partitions.first().map_or(0, |first| first.replication_factor(of(first)));
            write!(out, "Topic: {}", topic.name)?;
            if !topic.id.is_nil() {
                write!(out, "\tTopicId: {}", uuid_text::encode(&topic.id))?;
            }
            let configs: Vec<String> = overridden
                .iter()
                .map(|config| format!("{}={}", config.name, config.value.as_deref().unwrap_or("null")))
                .collect();
            writeln!(
                out,
                "\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
                topic.partitions.len(),
                configs.join(",")
            )?;
        }
        if only_overridden {
            return Ok(());
        }
        let min_isr = configs.iter().find(|config| config.name == "min.insync.replicas");
        let min_isr: usize = min_isr.and_then(|config| config.value.as_deref()?.parse().ok()).unwrap_or(1);
        for partition in &topic.partitions {
            if everything || self.reported(partition, of(partition), min_isr) {
                partition.print(&topic.name, of(partition), out)?;
            }
        }
        Ok(())
    }

    fn reported(
        &self,
        partition: &Partition,
        moving: Option<&OngoingPartitionReassignment>,
        min_isr: usize,
    ) -> bool {
        let in_sync = partition.isr.len();
        let leaderless = partition.leader < 0;
        (self.found.has("under-replicated-partitions") && partition.replication_factor(moving) > in_sync)
            || (self.found.has("unavailable-partitions") && !self.live.contains(&partition.leader))
            || (self.found.has("under-min-isr-partitions") && (leaderless || in_sync < min_isr))
            || (self.found.has("at-min-isr-partitions") && in_sync == min_isr)
    }
}

impl Partition {
    /// How many replicas it is to have; while it is moved, those that are added do not count.
    fn replication_factor(&self, moving: Option<&OngoingPartitionReassignment>) -> usize {
        match moving {
            Some(moving)
                if self.replicas.iter().any(|id| {
                    moving.adding_replicas.contains(id) || moving.removing_replicas.contains(id)
                }) =>
            {
                moving.replicas.len().saturating_sub(moving.adding_replicas.len())
            }
            _ => self.replicas.len(),
        }
    }

    fn print(
        &self,
        topic: &str,
        moving: Option<&OngoingPartitionReassignment>,
        out: &mut Out,
    ) -> io::Result<()> {
        let leader = if self.leader < 0 { "none".to_owned() } else { self.leader.to_string() };
        write!(
            out,
            "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
            self.index,
            ids(&self.replicas),
            ids(&self.isr)
        )?;
        if let Some(moving) = moving {
            let (adding, removing) = (ids(&moving.adding_replicas), ids(&moving.removing_replicas));
            write!(out, "\tAdding Replicas: {adding}\tRemoving Replicas: {removing}")?;
        }
        let or_unknown = |list: &Option<Vec<i32>>| list.as_deref().map_or("N/A".into(), ids);
        writeln!(out, "\tElr: {}\tLastKnownElr: {}", or_unknown(&self.elr), or_unknown(&self.last_known_elr))
    }
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
