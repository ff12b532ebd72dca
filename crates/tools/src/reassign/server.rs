//! What `kafka-reassign-partitions` asks of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Cluster, TopicPartition, exception};
use ottla_metadata::decide::{UsableBroker, place};
use ottla_metadata::random::Random;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use ottla_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, DescribeLogDirsRequest,
    IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest,
};

use super::Failure;
use super::plan::{Assignment, Ongoing, Replica, command_failed};
use crate::consumer_groups::executed;
use crate::runtime::{Thrown, java};

const TIMEOUT_MS: i32 = 60_000;
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;

/// What limits copies between brokers, in bytes per second.
pub(super) const REPLICATION_RATES: [&str; 2] =
    ["leader.replication.throttled.rate", "follower.replication.throttled.rate"];
/// What limits copies between directories of one broker.
pub(super) const DIR_RATE: [&str; 1] = ["replica.alter.log.dirs.io.max.bytes.per.second"];
const THROTTLED_REPLICAS: [&str; 2] =
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

/// The directories of a replica: where it is, and where it is being copied to.
#[derive(Debug, Default, Clone)]
pub(super) struct Dirs {
    pub(super) current: Option<String>,
    pub(super) future: Option<String>,
}

fn refused(code: i16, message: Option<&str>) -> Result<(), Failure> {
    Thrown::of_item(code, message).map_err(|thrown| executed(thrown).into())
}

/// All reassignments under way.
pub(super) async fn ongoing(cluster: &Cluster) -> Result<Ongoing, Failure> {
    let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics: None };
    let answer = cluster.controller(&request).await?;
    refused(answer.error_code, answer.error_message.as_deref())?;
    let mut ongoing = Ongoing::new();
    for topic in answer.topics {
        for of in topic.partitions {
            ongoing.insert(TopicPartition::new(topic.name.as_str(), of.partition_index), of);
        }
    }
    Ok(ongoing)
}

/// The replicas of the topics that are there; a topic that is not is left out.
pub(super) async fn replicas_there(
    cluster: &Cluster,
    topics: &BTreeSet<&str>,
) -> Result<Assignment, Failure> {
    let mut replicas = Assignment::new();
    if topics.is_empty() {
        return Ok(replicas);
    }
    let names: Vec<&str> = topics.iter().copied().collect();
    for topic in cluster.metadata(Some(&names)).await?.topics {
        if topic.error_code == ErrorCode::UnknownTopicOrPartition as i16 {
            continue;
        }
        refused(topic.error_code, None)?;
        let name = topic.name.unwrap_or_default();
        for partition in topic.partitions {
            replicas.insert(
                TopicPartition::new(name.as_str(), partition.partition_index),
                partition.replica_nodes,
            );
        }
    }
    Ok(replicas)
}

/// The same, but every topic must be there.
pub(super) async fn replicas_of_topics(
    cluster: &Cluster,
    topics: &BTreeSet<&str>,
) -> Result<Assignment, Failure> {
    let replicas = replicas_there(cluster, topics).await?;
    match topics.iter().find(|topic| !replicas.keys().any(|at| *at.topic == ***topic)) {
        Some(missing) => Err(unknown(format!("Topic {missing} not found."))),
        None => Ok(replicas),
    }
}

/// The replicas of these partitions, which must all be there.
pub(super) async fn replicas_of(
    cluster: &Cluster,
    partitions: BTreeSet<TopicPartition>,
) -> Result<Assignment, Failure> {
    let topics = partitions.iter().map(|at| &*at.topic).collect();
    let mut replicas = replicas_of_topics(cluster, &topics).await?;
    replicas.retain(|at, _| partitions.contains(at));
    let missing: Vec<String> =
        partitions.iter().filter(|at| !replicas.contains_key(*at)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(replicas);
    }
    Err(unknown(format!("Unable to find partition: {}", missing.join(", "))))
}

fn unknown(message: String) -> Failure {
    executed(Thrown::new(exception::class(ErrorCode::UnknownTopicOrPartition), message)).into()
}

/// Every replica of an assignment.
pub(super) fn replicas(assignment: &Assignment) -> BTreeSet<Replica> {
    let all = assignment.iter();
    all.flat_map(|(at, brokers)| brokers.iter().map(|broker| Replica { broker: *broker, at: at.clone() }))
        .collect()
}

/// The directories of replicas, asked of their brokers. A replica in no live directory has none.
pub(super) async fn dirs(
    cluster: &Cluster,
    replicas: &BTreeSet<Replica>,
) -> Result<BTreeMap<Replica, Dirs>, Failure> {
    let live: BTreeSet<i32> = cluster.nodes().iter().map(|node| node.id).collect();
    let mut by_broker: BTreeMap<i32, BTreeMap<String, Vec<i32>>> = BTreeMap::new();
    for replica in replicas.iter().filter(|replica| live.contains(&replica.broker)) {
        let topics = by_broker.entry(replica.broker).or_default();
        topics.entry(replica.at.topic.to_string()).or_default().push(replica.at.partition);
    }
    let mut found: BTreeMap<Replica, Dirs> = BTreeMap::new();
    for (broker, topics) in by_broker {
        let topics =
            topics.into_iter().map(|(topic, partitions)| DescribableLogDirTopic { topic, partitions });
        let request = DescribeLogDirsRequest { topics: Some(topics.collect()) };
        let answer = cluster.node(broker, &request).await?;
        refused(answer.error_code, None)?;
        for dir in answer.results.iter().filter(|dir| dir.error_code == 0) {
            for topic in &dir.topics {
                for partition in &topic.partitions {
                    let at = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    let dirs = found.entry(Replica { broker, at }).or_default();
                    let slot = if partition.is_future_key { &mut dirs.future } else { &mut dirs.current };
                    *slot = Some(dir.log_dir.clone());
                }
            }
        }
    }
    Ok(found)
}

/// Random bits for placement.
struct Dice;

impl Random for Dice {
    fn next_u64(&mut self) -> u64 {
        uuid::Uuid::new_v4().as_u64_pair().1.rotate_left(17) ^ uuid::Uuid::new_v4().as_u64_pair().0
    }
}

/// A candidate assignment: every topic placed anew on the given brokers, as the controller places new topics.
pub(super) fn propose(
    cluster: &Cluster,
    current: &Assignment,
    brokers: &[i32],
    rack_aware: bool,
) -> Result<Assignment, Failure> {
    let nodes = cluster.nodes();
    let usable: Vec<UsableBroker> = nodes
        .into_iter()
        .filter(|node| brokers.contains(&node.id))
        .map(|node| UsableBroker { id: node.id, rack: node.rack.filter(|_| rack_aware), fenced: false })
        .collect();
    let rackless = usable.iter().filter(|broker| broker.rack.is_none()).count();
    if rack_aware && rackless != 0 && rackless != usable.len() {
        return Err(Thrown::new(
            "org.apache.kafka.server.common.AdminOperationException",
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.",
        )
        .into());
    }
    let mut topics: BTreeMap<&str, Vec<&Vec<i32>>> = BTreeMap::new();
    for (at, replicas) in current {
        topics.entry(&at.topic).or_default().push(replicas);
    }
    let mut proposed = Assignment::new();
    for (topic, partitions) in topics {
        let factor = i16::try_from(partitions[0].len()).unwrap_or(i16::MAX);
        let placed = place(&usable, partitions.len(), factor, &mut Dice).map_err(|refusal| {
            Thrown::of_item(refusal.code.into(), refusal.message.as_deref()).expect_err("a refusal")
        })?;
        for (partition, replicas) in (0..).zip(placed) {
            proposed.insert(TopicPartition::new(topic, partition), replicas);
        }
    }
    Ok(proposed)
}

/// Asks for other replicas (`None`: back to what they were); errors by partition.
pub(super) async fn alter(
    cluster: &Cluster,
    wanted: BTreeMap<TopicPartition, Option<Vec<i32>>>,
    may_change_factor: bool,
) -> Result<BTreeMap<TopicPartition, String>, Failure> {
    let mut topics: Vec<ReassignableTopic> = Vec::new();
    for (at, replicas) in wanted {
        if topics.last().is_none_or(|topic| topic.name != *at.topic) {
            topics.push(ReassignableTopic { name: at.topic.to_string(), partitions: Vec::new() });
        }
        let topic = topics.last_mut().expect("one has just been put there");
        topic.partitions.push(ReassignablePartition { partition_index: at.partition, replicas });
    }
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: TIMEOUT_MS,
        allow_replication_factor_change: may_change_factor,
        topics,
    };
    let answer = cluster.controller(&request).await?;
    refused(answer.error_code, answer.error_message.as_deref())?;
    let mut errors = BTreeMap::new();
    for topic in &answer.responses {
        for partition in &topic.partitions {
            if let Err(thrown) = Thrown::of_item(partition.error_code, partition.error_message.as_deref()) {
                errors.insert(
                    TopicPartition::new(topic.name.as_str(), partition.partition_index),
                    thrown.message,
                );
            }
        }
    }
    Ok(errors)
}

/// Asks brokers to move replicas to other directories; those that have begun are given back.
pub(super) async fn alter_dirs(
    cluster: &Cluster,
    wanted: &BTreeMap<Replica, String>,
) -> Result<Vec<Replica>, Failure> {
    let mut by_broker: BTreeMap<i32, BTreeMap<&str, BTreeMap<String, Vec<i32>>>> = BTreeMap::new();
    for (replica, dir) in wanted {
        let topics = by_broker.entry(replica.broker).or_default().entry(dir).or_default();
        topics.entry(replica.at.topic.to_string()).or_default().push(replica.at.partition);
    }
    let mut begun = Vec::new();
    for (broker, dirs) in by_broker {
        let dirs = dirs.into_iter().map(|(path, topics)| AlterReplicaLogDir {
            path: path.to_owned(),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| AlterReplicaLogDirTopic { name, partitions })
                .collect(),
        });
        let answer = cluster.node(broker, &AlterReplicaLogDirsRequest { dirs: dirs.collect() }).await?;
        for topic in &answer.results {
            for partition in &topic.partitions {
                let at = TopicPartition::new(topic.topic_name.as_str(), partition.partition_index);
                let replica = Replica { broker, at };
                match Thrown::of_item(partition.error_code, None) {
                    Ok(()) => begun.push(replica),
                    // The broker does not have it yet.
                    Err(_) if partition.error_code == ErrorCode::ReplicaNotAvailable as i16 => {}
                    Err(thrown) => {
                        let failed = command_failed(format!("Failed to alter dir for {replica}"));
                        return Err(failed.caused(&thrown.text()).into());
                    }
                }
            }
        }
    }
    begun.sort_unstable();
    Ok(begun)
}

/// A broker takes its own configurations alone; those of topics go to the controller.
async fn set(cluster: &Cluster, resources: Vec<AlterConfigsResource>) -> Result<(), Failure> {
    let mut calls: BTreeMap<Option<i32>, Vec<AlterConfigsResource>> = BTreeMap::new();
    for resource in resources {
        let broker =
            (resource.resource_type == BROKER).then(|| resource.resource_name.parse().ok()).flatten();
        calls.entry(broker).or_default().push(resource);
    }
    for (broker, resources) in calls {
        let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
        let answer = match broker {
            Some(broker) => cluster.node(broker, &request).await?,
            None => cluster.controller(&request).await?,
        };
        answer.responses.iter().try_for_each(|of| refused(of.error_code, of.error_message.as_deref()))?;
    }
    Ok(())
}

fn resource(
    kind: i8,
    name: String,
    configs: impl Iterator<Item = (&'static str, Option<String>)>,
) -> AlterConfigsResource {
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name,
        configs: configs
            .map(|(name, value)| AlterableConfig {
                name: name.to_owned(),
                config_operation: if value.is_some() { SET } else { DELETE },
                value,
            })
            .collect(),
    }
}

/// Names the replicas of topics that copy with a limit.
pub(super) async fn throttle_topics(
    cluster: &Cluster,
    throttles: &BTreeMap<String, (String, String)>,
) -> Result<(), Failure> {
    let of = |(topic, (leaders, followers)): (&String, &(String, String))| {
        let values = [Some(leaders.clone()), Some(followers.clone())];
        resource(TOPIC, topic.clone(), THROTTLED_REPLICAS.into_iter().zip(values))
    };
    set(cluster, throttles.iter().map(of).collect()).await
}

/// Sets limits of brokers.
pub(super) async fn throttle_brokers(
    cluster: &Cluster,
    brokers: &BTreeSet<i32>,
    keys: &[&'static str],
    rate: i64,
) -> Result<(), Failure> {
    let values = || keys.iter().map(|key| (*key, Some(rate.to_string())));
    set(cluster, brokers.iter().map(|broker| resource(BROKER, broker.to_string(), values())).collect()).await
}

/// Takes all limits of brokers away.
pub(super) async fn clear_broker_throttles(
    cluster: &Cluster,
    brokers: &BTreeSet<i32>,
) -> Result<(), Failure> {
    let keys = || REPLICATION_RATES.into_iter().chain(DIR_RATE).map(|key| (key, None));
    set(cluster, brokers.iter().map(|broker| resource(BROKER, broker.to_string(), keys())).collect()).await
}

/// Takes the lists of limited replicas of topics away.
pub(super) async fn clear_topic_throttles(cluster: &Cluster, topics: &BTreeSet<&str>) -> Result<(), Failure> {
    let topics = java::hash_order(topics.iter().copied().collect(), |topic: &&str| topic);
    let keys = || THROTTLED_REPLICAS.into_iter().map(|key| (key, None));
    set(cluster, topics.iter().map(|topic| resource(TOPIC, (*topic).to_owned(), keys())).collect()).await
}
