//! Look-ups that answer clients: live brokers, partitions as Metadata and DescribeTopicPartitions show them.

use super::broker::{Broker, Endpoint};
use super::config::{BROKER, ConfigResource, MIN_INSYNC_REPLICAS, TOPIC, UNCLEAN_LEADER_ELECTION};
use super::partition::{NO_LEADER, Partition};
use super::{Image, Topic};
use std::sync::Arc;

/// A partition as one listener's clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView<'a> {
    /// The registration.
    pub partition: &'a Partition,
    /// The leader, if it can be reached through the listener.
    pub leader: Leader,
    /// Replicas that clients cannot reach: fenced, unregistered, without the listener, or with a failed
    /// directory; in replica order.
    pub offline_replicas: Vec<i32>,
}

/// What clients are told about a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leader {
    /// The leader's id; clients can reach it.
    Reachable(i32),
    /// There is a leader, but it does not listen where the client is (LISTENER_NOT_FOUND).
    ListenerMissing(i32),
    /// Nobody leads, or the leader is not registered (LEADER_NOT_AVAILABLE).
    None,
}

impl Leader {
    /// The leader id in a response: -1 unless it can be reached.
    pub fn id(self) -> i32 {
        match self {
            Leader::Reachable(id) => id,
            Leader::ListenerMissing(_) | Leader::None => NO_LEADER,
        }
    }
}

impl Image {
    /// A registered broker.
    pub fn broker(&self, id: i32) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// Whether a broker is registered, not fenced and not leaving.
    pub fn is_active(&self, id: i32) -> bool {
        self.broker(id).is_some_and(|broker| broker.is_active())
    }

    /// Brokers that are not fenced and listen under `listener`, with that address, by id.
    pub fn alive_brokers<'a>(
        &'a self,
        listener: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<Broker>, &'a Endpoint)> + 'a {
        let alive = self.brokers.values().filter(|broker| !broker.fenced);
        alive.filter_map(move |broker| Some((broker, broker.endpoint(listener)?)))
    }

    /// Whether a broker is alive under a listener.
    pub fn is_alive(&self, id: i32, listener: &str) -> bool {
        self.broker(id).is_some_and(|broker| !broker.fenced && broker.endpoint(listener).is_some())
    }

    /// A partition by topic name and index.
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topics.by_name(topic)?.partition(index)
    }

    /// What the clients of a listener are told about a partition.
    pub fn describe<'a>(&self, partition: &'a Partition, listener: &str) -> PartitionView<'a> {
        let leader = match self.broker(partition.leader) {
            Some(broker) if broker.endpoint(listener).is_some() => Leader::Reachable(broker.id),
            Some(broker) => Leader::ListenerMissing(broker.id),
            None => Leader::None,
        };
        let offline = |&(at, &id): &(usize, &i32)| match self.broker(id) {
            Some(broker) => {
                let directory = partition.directories.get(at).copied().unwrap_or_default();
                broker.fenced || broker.endpoint(listener).is_none() || !broker.has_online_dir(directory)
            }
            None => true,
        };
        let offline_replicas =
            partition.replicas.iter().enumerate().filter(offline).map(|(_, &id)| id).collect();
        PartitionView { partition, leader, offline_replicas }
    }

    /// All partitions of all topics.
    pub fn partitions(&self) -> impl Iterator<Item = (&Arc<Topic>, i32, &Partition)> + '_ {
        self.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |(&index, partition)| (topic, index, partition))
        })
    }

    /// A topic's key as the dynamic configuration sets it: the topic's own value, else what is set for the
    /// asking node, else for all brokers. Only right for keys that have the same name on topics and brokers.
    pub fn dynamic_topic_config(&self, topic: &str, node_id: i32, key: &str) -> Option<&str> {
        self.configs
            .get(&ConfigResource::new(TOPIC, topic), key)
            .or_else(|| self.configs.get(&ConfigResource::new(BROKER, &node_id.to_string()), key))
            .or_else(|| self.configs.get(&ConfigResource::new(BROKER, ""), key))
    }

    /// How many replicas must be in sync for acks=all to be given, capped by the replication factor of the
    /// topic's first partition (Kafka's `getTopicEffectiveMinIsr`).
    pub fn effective_min_isr(&self, topic: &Topic, node_id: i32, static_default: i32) -> usize {
        let configured = self
            .dynamic_topic_config(&topic.name, node_id, MIN_INSYNC_REPLICAS)
            .and_then(|value| value.trim().parse::<i32>().ok())
            .unwrap_or(static_default);
        let replication_factor = topic.partition(0).map_or(usize::MAX, |partition| partition.replicas.len());
        usize::try_from(configured).unwrap_or(0).min(replication_factor)
    }

    /// Whether a topic prefers being online to keeping every record.
    pub fn unclean_election_enabled(&self, topic: &str, node_id: i32, static_default: bool) -> bool {
        match self.dynamic_topic_config(topic, node_id, UNCLEAN_LEADER_ELECTION) {
            Some(value) => value.trim().eq_ignore_ascii_case("true"),
            None => static_default,
        }
    }
}
