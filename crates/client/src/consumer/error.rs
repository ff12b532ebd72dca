//! Why a consumer has nothing to give, in Kafka's words.

use ottla_protocol::ErrorCode;
use ottla_records::{BatchError, DecompressError, RecordError};
use thiserror::Error;

use crate::exception;
use crate::properties::PropertiesError;
use crate::{ClusterError, TopicPartition};

/// What went wrong with a consumer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The configuration will not do.
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something needs a group, and there is no `group.id`.
    #[error(
        "To use the group management or offset commit APIs, you must provide a valid group.id in the consumer \
         configuration."
    )]
    NoGroup,
    /// The consumer was given neither topics nor partitions.
    #[error("Consumer is not subscribed to any topics or assigned any partitions")]
    NothingToRead,
    /// The consumer does not have this partition.
    #[error("No current assignment for partition {0}")]
    NotAssigned(TopicPartition),
    /// The names of topics are none.
    #[error("Invalid topics: [{}]", .0.join(", "))]
    InvalidTopics(Vec<String>),
    /// The group's coordinator does not take this member.
    #[error("{}", .message.as_deref().unwrap_or_else(|| exception::message(*.code)))]
    Group {
        /// Why.
        code: ErrorCode,
        /// Words of our own.
        message: Option<String>,
    },
    /// A commit that came too late: the partitions belong to others by now.
    #[error(
        "Offset commit cannot be completed since the consumer is not part of an active group for auto partition \
         assignment; it is likely that the consumer was kicked out of the group."
    )]
    CommitFailed,
    /// The broker refuses a partition.
    #[error("{partition}: {}", exception::message(*.code))]
    Partition {
        /// Which.
        partition: TopicPartition,
        /// Why.
        code: ErrorCode,
    },
    /// There is no offset to begin at, and `auto.offset.reset` is `none`.
    #[error("Undefined offset with no reset policy for partitions: [{0}]")]
    NoOffset(TopicPartition),
    /// The offset is not there, and `auto.offset.reset` is `none`.
    #[error(
        "Fetch position {offset} is out of range for partition {partition}, and no reset policy is configured"
    )]
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The offset.
        offset: i64,
    },
    /// A batch that is damaged.
    #[error("{partition}: a batch behind offset {offset}: {why}")]
    Batch {
        /// The partition.
        partition: TopicPartition,
        /// Where reading began.
        offset: i64,
        /// What is wrong.
        why: BatchError,
    },
    /// A batch that cannot be decompressed.
    #[error("{partition}: batch at offset {offset}: {why}")]
    Compressed {
        /// The partition.
        partition: TopicPartition,
        /// Its first offset.
        offset: i64,
        /// What is wrong.
        why: DecompressError,
    },
    /// A record that is damaged.
    #[error("{partition}: batch at offset {offset}: {why}")]
    Record {
        /// The partition.
        partition: TopicPartition,
        /// The batch's first offset.
        offset: i64,
        /// What is wrong.
        why: RecordError,
    },
    /// Something that this release does not do.
    #[error("{0}")]
    NotServed(String),
}

impl ConsumerError {
    /// The Java exception that stands for it, and that exception's message.
    pub fn exception(&self) -> (&'static str, String) {
        let class = match self {
            ConsumerError::Properties(_) => "org.apache.kafka.common.config.ConfigException",
            ConsumerError::Cluster(error) => return error.exception(),
            ConsumerError::NoGroup => exception::class(ErrorCode::InvalidGroupId),
            ConsumerError::NothingToRead | ConsumerError::NotAssigned(_) => "java.lang.IllegalStateException",
            ConsumerError::InvalidTopics(_) => exception::class(ErrorCode::InvalidTopicException),
            ConsumerError::Group { code, .. } | ConsumerError::Partition { code, .. } => {
                exception::class(*code)
            }
            ConsumerError::CommitFailed => "org.apache.kafka.clients.consumer.CommitFailedException",
            ConsumerError::NoOffset(_) => "org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
            ConsumerError::OutOfRange { .. } => "org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
            ConsumerError::Batch { .. } | ConsumerError::Compressed { .. } | ConsumerError::Record { .. } => {
                "org.apache.kafka.common.KafkaException"
            }
            ConsumerError::NotServed(_) => exception::class(ErrorCode::UnsupportedVersion),
        };
        (class, self.to_string())
    }

    /// Kafka's error code, where one is behind it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ConsumerError::Group { code, .. } | ConsumerError::Partition { code, .. } => Some(*code),
            ConsumerError::Cluster(error) => error.code(),
            _ => None,
        }
    }
}
