//! Why a record could not be replayed.

use uuid::Uuid;

/// A metadata record that does not fit the image it is replayed on, or cannot be understood.
///
/// Records in the log were decided by a controller against exactly the image they are replayed on, so any of
/// these means that the log is damaged, or was written by a version this node does not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A partition, configuration or removal record names a topic id that does not exist.
    #[error("{record}: there is no topic with id {topic_id}")]
    UnknownTopicId {
        /// Kind of record.
        record: &'static str,
        /// The id it names.
        topic_id: Uuid,
    },
    /// A record names a topic that does not exist.
    #[error("{record}: there is no topic named {name}")]
    UnknownTopic {
        /// Kind of record.
        record: &'static str,
        /// The name it gives.
        name: String,
    },
    /// A change record names a partition that does not exist.
    #[error("PartitionChangeRecord: topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// Name of the topic.
        topic: String,
        /// Index of the partition.
        partition: i32,
    },
    /// A second topic record for a name or id that is in use.
    #[error("TopicRecord: topic {name} with id {topic_id} exists already")]
    DuplicateTopic {
        /// Name of the topic.
        name: String,
        /// Its id.
        topic_id: Uuid,
    },
    /// A registration change for a broker that is not registered, or registered under another epoch.
    #[error("{record}: broker {broker_id} is not registered with epoch {epoch}")]
    UnknownBroker {
        /// Kind of record.
        record: &'static str,
        /// The broker.
        broker_id: i32,
        /// The epoch the record gives.
        epoch: i64,
    },
    /// A field holds a value that means nothing.
    #[error("{record}: field {field} cannot be {value}")]
    BadField {
        /// Kind of record.
        record: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// A list of log directories is not as long as the list of replicas it belongs to.
    #[error("{record}: {directories} directories for {replicas} replicas")]
    DirectoryCount {
        /// Kind of record.
        record: &'static str,
        /// How many directories the record names.
        directories: usize,
        /// How many replicas the partition has.
        replicas: usize,
    },
    /// A feature level this node cannot serve.
    #[error(
        "FeatureLevelRecord: {name} level {level} is not supported by this node, which supports {min} to {max}"
    )]
    UnsupportedFeature {
        /// Name of the feature.
        name: String,
        /// The level.
        level: i16,
        /// Lowest level this node serves.
        min: i16,
        /// Highest level this node serves.
        max: i16,
    },
    /// A removal of something that is not there.
    #[error("{record}: {what} does not exist")]
    Missing {
        /// Kind of record.
        record: &'static str,
        /// What was to be removed.
        what: String,
    },
    /// The next producer id goes backwards.
    #[error("ProducerIdsRecord: next producer id {next} is not above {current}")]
    ProducerIdBackwards {
        /// The id the record gives.
        next: i64,
        /// The id already reached.
        current: i64,
    },
    /// Begin inside a transaction, or end or abort outside of one (KIP-868).
    #[error("{record} {}", if *.open { "inside a metadata transaction" } else { "outside of a metadata transaction" })]
    Transaction {
        /// Kind of record.
        record: &'static str,
        /// Whether a transaction is open.
        open: bool,
    },
}
