//! The reasons for which a leader refuses a batch, with Kafka's texts.

use crate::batch::BatchError;
use crate::compress::DecompressError;
use crate::ids::{Offset, Sequence, TimestampMs};
use crate::record::RecordError;

/// Most records that [`Rejected::Records`] lists.
pub const LISTED_MAX: usize = 1000;

/// The kinds of refusal for which Kafka has an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// `CORRUPT_MESSAGE`
    Corrupt,
    /// `INVALID_RECORD`
    Invalid,
    /// `INVALID_TIMESTAMP`
    Timestamp,
    /// `MESSAGE_TOO_LARGE`
    TooLarge,
}

/// Why a batch is refused. The texts leave out the topic partition, which the caller knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No bytes at all.
    #[error("Record batch has no batches at all")]
    Empty,
    /// More than one batch, or bytes behind the batch.
    #[error(
        "Produce requests are only allowed to contain exactly one record batch per partition, with {left} bytes behind it"
    )]
    Trailing {
        /// Bytes behind the batch.
        left: usize,
    },
    /// A message of magic 0 or 1.
    #[error("Produce requests are only allowed to contain record batches with magic version 2, not {magic}")]
    OldMagic {
        /// Its magic.
        magic: i8,
    },
    /// Cut off, wrong length field, wrong magic or wrong CRC.
    #[error("Record is corrupt: {0}")]
    Corrupt(BatchError),
    /// Larger than the topic allows.
    #[error("The record batch size is {size} bytes which exceeds the maximum configured value of {max}")]
    TooLarge {
        /// Bytes of the batch.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Offsets are the leader's to give.
    #[error("The baseOffset of the record batch should be 0, but it is {base_offset}")]
    BaseOffset {
        /// What it is.
        base_offset: Offset,
    },
    /// A negative last offset delta.
    #[error("Batch has an invalid offset range: [{base_offset}, {last_offset}]")]
    OffsetRange {
        /// First offset.
        base_offset: Offset,
        /// Last offset.
        last_offset: Offset,
    },
    /// No records, or a negative number.
    #[error("Invalid reported count for record batch: {count}")]
    Count {
        /// The count.
        count: i32,
    },
    /// Not as many records as offsets.
    #[error("Inconsistent batch offset range [{base_offset}, {last_offset}] and count of records {count}")]
    CountMismatch {
        /// First offset.
        base_offset: Offset,
        /// Last offset.
        last_offset: Offset,
        /// The count.
        count: i32,
    },
    /// The control bit.
    #[error("Clients are not allowed to write control records")]
    Control,
    /// A producer id without a sequence.
    #[error("Invalid sequence number {sequence} in record batch with producerId {producer_id}")]
    Sequence {
        /// The sequence.
        sequence: Sequence,
        /// The producer id.
        producer_id: i64,
    },
    /// Attribute bits that are not defined, or that only compaction sets.
    #[error("Record batch has attribute bits set that clients may not set: {bits:#06x}")]
    Attributes {
        /// Those bits.
        bits: i16,
    },
    /// A compression id that is not defined.
    #[error("Unknown compression type id: {id}")]
    UnknownCodec {
        /// The id.
        id: u8,
    },
    /// The records cannot be decompressed, or become too large.
    #[error("Failed to decompress record stream: {0}")]
    Decompress(DecompressError),
    /// A record is not sound.
    #[error("Invalid record in batch: {0}")]
    Structure(RecordError),
    /// The offset of a record is not the one after that of the record before.
    #[error("Inner record {index} has offset delta {offset_delta}")]
    OffsetDelta {
        /// Index of the record.
        index: i32,
        /// Its offset delta.
        offset_delta: i32,
    },
    /// Sound records that the topic does not take.
    #[error("{}", records_text(*.total, .records))]
    Records {
        /// First and last timestamp that is allowed.
        window: (TimestampMs, TimestampMs),
        /// How many there are.
        total: usize,
        /// The first of them in order, at most [`LISTED_MAX`]: a small compressed batch must not become a
        /// large answer.
        records: Vec<RejectedRecord>,
    },
}

/// One record that the topic does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Index of the record in the batch.
    pub index: i32,
    /// Why.
    pub reason: RecordReason,
}

/// Why a topic does not take a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordReason {
    /// A null key on a compacted topic.
    MissingKey,
    /// This timestamp is outside the window.
    Timestamp(TimestampMs),
    /// The batch claims LogAppendTime, which is the leader's to give.
    LogAppendTime,
}

impl RejectedRecord {
    /// Kafka's text for the record; `window` is that of [`Rejected::Records`].
    pub fn message(&self, window: (TimestampMs, TimestampMs)) -> String {
        match self.reason {
            RecordReason::MissingKey => "Compacted topic cannot accept message without key".into(),
            RecordReason::Timestamp(timestamp) => format!(
                "Timestamp {timestamp} of message with offset {} is out of range. The timestamp should be within [{}, {}]",
                self.index, window.0, window.1
            ),
            RecordReason::LogAppendTime => {
                "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
                    .into()
            }
        }
    }
}

fn records_text(total: usize, records: &[RejectedRecord]) -> String {
    if records.iter().any(|record| record.reason != RecordReason::MissingKey) {
        return "One or more records have been rejected due to invalid timestamp".into();
    }
    format!("One or more records have been rejected due to {total} record errors in total")
}

impl Rejected {
    /// Which of Kafka's errors says it.
    pub fn kind(&self) -> RejectionKind {
        match self {
            Rejected::Corrupt(_) => RejectionKind::Corrupt,
            Rejected::TooLarge { .. } | Rejected::Decompress(DecompressError::TooLarge { .. }) => {
                RejectionKind::TooLarge
            }
            Rejected::Records { records, .. }
                if records.iter().any(|record| record.reason != RecordReason::MissingKey) =>
            {
                RejectionKind::Timestamp
            }
            _ => RejectionKind::Invalid,
        }
    }
}
