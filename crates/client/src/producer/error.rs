//! Why a record was not delivered, in Kafka's words.

use std::time::Duration;

use ottla_protocol::ErrorCode;
use thiserror::Error;

use crate::exception;
use crate::properties::PropertiesError;
use crate::{ClusterError, TopicPartition};

/// Why a record was not taken, or not delivered.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The configuration will not do.
    #[error(transparent)]
    Properties(#[from] PropertiesError),
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The topic's name is none.
    #[error("Invalid topics: [{0}]")]
    InvalidTopic(String),
    /// Nobody knows the topic.
    #[error("Topic {topic} not present in metadata after {} ms.", .after.as_millis())]
    NoTopic {
        /// Its name.
        topic: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The topic has fewer partitions.
    #[error(
        "Partition {partition} of topic {topic} with partition count {count} is not present in metadata after {} ms.",
        .after.as_millis()
    )]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: i32,
        /// How many it has.
        count: i32,
        /// How long it was waited for.
        after: Duration,
    },
    /// The record is larger than a request may be.
    #[error(
        "The message is {size} bytes when serialized which is larger than {max}, which is the value of the \
         max.request.size configuration."
    )]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The record is larger than all of the memory.
    #[error(
        "The message is {0} bytes when serialized which is larger than the total memory buffer you have configured \
         with the buffer.memory configuration."
    )]
    LargerThanMemory(usize),
    /// There was no room within `max.block.ms`.
    #[error(
        "Failed to allocate {wanted} bytes within the configured max blocking time {} ms. Total memory: {total} \
         bytes. Available memory: {free} bytes. Poolable size: {wanted} bytes",
        .after.as_millis()
    )]
    NoMemory {
        /// What was asked for.
        wanted: usize,
        /// `buffer.memory`.
        total: usize,
        /// What of it was free.
        free: usize,
        /// `max.block.ms`.
        after: Duration,
    },
    /// `delivery.timeout.ms` is over.
    #[error(
        "Expiring {records} record(s) for {partition}:{} ms has passed since batch creation. The request has not \
         been sent, or no server response has been received yet.{}",
        .after.as_millis(), .why.as_deref().map(|why| format!(" Last: {why}")).unwrap_or_default()
    )]
    Expired {
        /// Where it was to go.
        partition: TopicPartition,
        /// Records in the batch.
        records: i32,
        /// The batch's age.
        after: Duration,
        /// What stood in the way the last time.
        why: Option<String>,
    },
    /// The broker refused it.
    #[error("{}", .message.as_deref().unwrap_or_else(|| exception::message(*.code)))]
    Rejected {
        /// Where it was to go.
        partition: TopicPartition,
        /// Why.
        code: ErrorCode,
        /// The broker's words.
        message: Option<String>,
    },
    /// The producer was closed before the record was delivered.
    #[error("Producer is closed forcefully.")]
    Closed,
    /// Transactions come in their order: the producer is made the one of its id, then each begins and ends.
    #[error("{0}")]
    NoTransaction(&'static str),
    /// Something that this release does not do.
    #[error("{0}")]
    NotServed(String),
}

impl ProducerError {
    /// The Java exception that stands for it, and that exception's message.
    pub fn exception(&self) -> (&'static str, String) {
        let class = match self {
            ProducerError::Properties(_) => "org.apache.kafka.common.config.ConfigException",
            ProducerError::Cluster(error) => return error.exception(),
            ProducerError::InvalidTopic(_) => exception::class(ErrorCode::InvalidTopicException),
            ProducerError::TooLarge { .. } | ProducerError::LargerThanMemory(_) => {
                exception::class(ErrorCode::MessageTooLarge)
            }
            ProducerError::NoTopic { .. }
            | ProducerError::NoPartition { .. }
            | ProducerError::Expired { .. } => "org.apache.kafka.common.errors.TimeoutException",
            ProducerError::NoMemory { .. } => "org.apache.kafka.clients.producer.BufferExhaustedException",
            ProducerError::Rejected { code, .. } => exception::class(*code),
            ProducerError::NoTransaction(_) => "java.lang.IllegalStateException",
            ProducerError::Closed => "org.apache.kafka.common.KafkaException",
            ProducerError::NotServed(_) => exception::class(ErrorCode::UnsupportedVersion),
        };
        (class, self.to_string())
    }

    /// Kafka's error code, where one is behind it.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ProducerError::Rejected { code, .. } => Some(*code),
            ProducerError::Cluster(error) => error.code(),
            _ => None,
        }
    }
}
