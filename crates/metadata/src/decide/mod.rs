//! Decisions: one request, one image, some volatile state in; records and a reply out.
//!
//! A decision changes nothing by itself. Its records go into the log, are replayed on the controller's image at
//! once, and the reply leaves when they are committed. Every refusal is in Kafka's own wording, because tools and
//! tests of other people read it.

mod acls;
mod alter_partition;
mod bootstrap;
mod change;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod directories;
mod elect;
mod features;
mod heartbeat;
mod names;
mod place;
mod producer_ids;
mod quotas;
mod reassign;
mod register;
mod scram;
mod sessions;

pub use bootstrap::{Bootstrap, activation};
pub use change::{ChangeBuilder, Election};
pub use create_topics::CreateContext;
pub use features::{FeatureContext, FeatureReply};
pub use names::validate_topic_name;
pub use place::{UsableBroker, place};
pub use producer_ids::PRODUCER_ID_BLOCK;
pub use register::RegistrationContext;
pub use scram::{DeriveKeys, DerivedKeys};
pub use sessions::{BrokerState, Sessions};

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::no_op_record::NoOpRecord;
use uuid::Uuid;

use crate::image::config::ConfigMap;
use crate::image::{ConfigResource, Image, directory};
use crate::random::Random;

/// A record and the version to write it in.
pub type Record = (MetadataRecord, i16);

/// Records one user request may cause; what needs more is refused (Kafka's `MAX_RECORDS_PER_USER_OP`).
pub const MAX_RECORDS_PER_REQUEST: usize = 10_000;
/// Records one batch may hold.
pub const MAX_RECORDS_PER_BATCH: usize = 10_000;

/// What a request leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<R> {
    /// Records to append, in this order.
    pub records: Vec<Record>,
    /// Whether all of them must be in one batch. Otherwise they may be split into batches of
    /// [`MAX_RECORDS_PER_BATCH`].
    pub atomic: bool,
    /// The answer; it may leave once the records are committed.
    pub reply: R,
}

impl<R> Decision<R> {
    /// Records that may be split over batches.
    pub fn of(records: Vec<Record>, reply: R) -> Decision<R> {
        Decision { records, atomic: false, reply }
    }

    /// Records that belong in one batch.
    pub fn atomic(records: Vec<Record>, reply: R) -> Decision<R> {
        Decision { records, atomic: true, reply }
    }

    /// An answer without records.
    pub fn read(reply: R) -> Decision<R> {
        Decision { records: Vec::new(), atomic: false, reply }
    }

    /// The same decision with another reply.
    pub fn map<S>(self, to: impl FnOnce(R) -> S) -> Decision<S> {
        Decision { records: self.records, atomic: self.atomic, reply: to(self.reply) }
    }

    /// The same answer without its records: what a request that only validates gets.
    fn only_validated(mut self, validate_only: bool) -> Decision<R> {
        if validate_only {
            self.records.clear();
        }
        self
    }
}

/// Why a request, or one part of it, is refused (Kafka's `ApiError`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {}", message.as_deref().unwrap_or("no message"))]
pub struct Refusal {
    /// The error code.
    pub code: ErrorCode,
    /// The message for people; none means that the code says it all.
    pub message: Option<String>,
}

impl Refusal {
    /// A refusal with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: Some(message.into()) }
    }

    /// The request would cause more than [`MAX_RECORDS_PER_REQUEST`] records.
    fn too_large() -> Refusal {
        Refusal::new(ErrorCode::PolicyViolation, "Unable to perform excessively large batch operation.")
    }

    /// A refusal whose code says it all.
    pub fn code(code: ErrorCode) -> Refusal {
        Refusal { code, message: None }
    }
}

/// The error code and message of a result, as response fields.
fn outcome<T>(result: Result<T, Refusal>) -> (i16, Option<String>) {
    match result {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(refusal) => (refusal.code.code(), refusal.message),
    }
}

/// What the controller's node is configured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// This node's id.
    pub node_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `broker.session.timeout.ms`.
    pub session_timeout_ms: i64,
    /// `min.insync.replicas` of the node's file, or its default.
    pub static_min_insync_replicas: i32,
    /// `unclean.leader.election.enable` of the node's file, or its default.
    pub static_unclean_leader_election: bool,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// Elections one balancing pass may do.
    pub max_elections_per_pass: usize,
    /// `ottla.early.fencing.enable`: whether a broker's next life is let in before the session of a former one ends
    /// that is known to be over.
    pub early_fencing: bool,
}

impl Settings {
    /// Kafka's defaults for a node of a cluster.
    pub fn new(node_id: i32, cluster_id: &str) -> Settings {
        Settings {
            node_id,
            cluster_id: cluster_id.to_owned(),
            default_partitions: 1,
            default_replication_factor: 1,
            session_timeout_ms: 9_000,
            static_min_insync_replicas: 1,
            static_unclean_leader_election: false,
            delete_topic_enable: true,
            max_elections_per_pass: 1_000,
            early_fencing: true,
        }
    }
}

/// One configuration of a topic as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveConfig {
    /// The key.
    pub name: String,
    /// The value; withheld by the controller if it is sensitive.
    pub value: Option<String>,
    /// Where it comes from, as in DescribeConfigs: 1 topic, 2 broker, 3 all brokers, 4 the node's file, 5 default.
    pub source: i8,
    /// Whether the value must not be shown.
    pub is_sensitive: bool,
    /// Whether it cannot be changed.
    pub read_only: bool,
}

/// What the configuration table knows; implemented where that table is.
pub trait ConfigRules {
    /// Checks the keys a resource would have (`new`) in place of those it has (`old`). The controller has checked
    /// the resource's name and type before.
    fn validate(&self, resource: &ConfigResource, new: &ConfigMap, old: &ConfigMap) -> Result<(), Refusal>;

    /// Whether a key's values are lists, so that entries can be appended and subtracted.
    fn is_list(&self, kind: i8, key: &str) -> bool;

    /// A key's default, as text.
    fn default_value(&self, kind: i8, key: &str) -> Option<String>;

    /// Every configuration of a topic in force, in name order, given what is set for the topic, for this node and
    /// for all brokers.
    fn effective_topic_configs(
        &self,
        topic: &ConfigMap,
        node: &ConfigMap,
        cluster: &ConfigMap,
    ) -> Vec<EffectiveConfig>;
}

/// What a requester wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicAction {
    /// Create it.
    Create,
    /// Delete it.
    Delete,
    /// Know that it exists.
    Describe,
    /// Read its configuration.
    DescribeConfigs,
    /// Change it.
    Alter,
}

/// Who may do what; a closure over the authorizer and the requester. `&|_, _| true` allows everything.
pub type Access<'a> = &'a dyn Fn(TopicAction, &str) -> bool;

/// What every decision can see.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The metadata, uncommitted records included.
    pub image: &'a Image,
    /// The node's settings.
    pub settings: &'a Settings,
    /// The configuration table.
    pub rules: &'a dyn ConfigRules,
}

impl View<'_> {
    /// The record that keeps the high watermark moving when nothing else is written
    /// (`metadata.max.idle.interval.ms`).
    pub fn no_op(&self) -> Decision<()> {
        Decision::of(vec![(MetadataRecord::NoOpRecord(NoOpRecord::default()), 0)], ())
    }

    /// Brokers that may get replicas, by id: registered, not leaving, with a directory that takes some.
    fn usable_brokers(&self) -> Vec<UsableBroker> {
        let brokers = self.image.brokers.values();
        let usable = brokers.filter(|broker| !broker.in_controlled_shutdown && broker.has_uncordoned_dirs());
        usable
            .map(|broker| UsableBroker { id: broker.id, rack: broker.rack.clone(), fenced: broker.fenced })
            .collect()
    }

    /// The directory a new replica on a broker is assigned to.
    fn default_dir(&self, broker: i32) -> Uuid {
        if !self.image.metadata_version().has_directories() {
            return directory::MIGRATING;
        }
        self.image.broker(broker).map_or(directory::UNASSIGNED, |broker| broker.default_dir())
    }

    /// Refuses requests of a broker that is not registered under the epoch it gives.
    fn check_broker_epoch(&self, id: i32, epoch: i64) -> Result<(), Refusal> {
        match self.image.broker(id) {
            None => Err(Refusal::new(
                ErrorCode::StaleBrokerEpoch,
                format!("No broker registration found for broker id {id}"),
            )),
            Some(broker) if broker.epoch != epoch => Err(Refusal::new(
                ErrorCode::StaleBrokerEpoch,
                format!("Expected broker epoch {}, but got broker epoch {epoch}", broker.epoch),
            )),
            Some(_) => Ok(()),
        }
    }

    fn min_isr(&self, topic: &crate::image::Topic) -> usize {
        let settings = self.settings;
        self.image.effective_min_isr(topic, settings.node_id, settings.static_min_insync_replicas)
    }

    fn unclean_election_enabled(&self, topic: &str) -> bool {
        let settings = self.settings;
        self.image.unclean_election_enabled(topic, settings.node_id, settings.static_unclean_leader_election)
    }
}

/// Values given more than once in a list.
fn duplicates<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// An id no topic has.
fn new_topic_id(image: &Image, random: &mut dyn Random) -> Uuid {
    loop {
        let id = random.uuid();
        if image.topics.by_id(id).is_none() {
            return id;
        }
    }
}
