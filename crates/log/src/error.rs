//! Errors of the storage engine: what the disk says, and what an append may be refused for.

use std::io;
use std::path::{Path, PathBuf};

use ottla_records::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

/// Why the storage engine could not do what was asked. Kafka answers all of them with `KAFKA_STORAGE_ERROR`,
/// but for [`Error::OffsetOutOfRange`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An earlier write or fsync in this directory failed; what it holds in memory can no longer be trusted to
    /// be on disk, so nothing is done there until the process starts again.
    #[error("log directory {} is offline: {reason}", dir.display())]
    Offline {
        /// The log directory.
        dir: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// The disk is full. The file is as it was before; the directory stays in use.
    #[error("no space left to write {}", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `sync` ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file does not hold what its format asks for.
    #[error("{} is corrupt at position {position}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The offset is below the log start or beyond the log end.
    #[error("offset {offset} is out of range {start}..={end}")]
    OffsetOutOfRange {
        /// The offset that was asked for.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        Error::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, position: u64, reason: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), position, reason: reason.into() }
    }

    /// Whether the file or directory is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Why batches were not appended; nothing was written then, unless the disk failed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch does not follow the last one of its producer (`OUT_OF_ORDER_SEQUENCE_NUMBER`).
    #[error(
        "out of order sequence number for producer {producer_id} at offset {offset}: {sequence} (incoming), {expected_after} (current end)"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The offset the batch would have got.
        offset: Offset,
        /// Its first sequence.
        sequence: Sequence,
        /// The last sequence known; −1 for none.
        expected_after: Sequence,
    },
    /// A newer epoch of the producer has written already (`INVALID_PRODUCER_EPOCH`).
    #[error(
        "epoch of producer {producer_id} at offset {offset} is {epoch}, the last seen epoch is {current}"
    )]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The offset the batch would have got.
        offset: Offset,
        /// The batch's epoch.
        epoch: ProducerEpoch,
        /// The newest epoch seen.
        current: ProducerEpoch,
    },
    /// A plain batch while the producer has a transaction open, or a transactional one that the transaction
    /// coordinator does not know about (`INVALID_TXN_STATE`).
    #[error("producer {producer_id} at offset {offset}: {reason}")]
    InvalidTxnState {
        /// The producer.
        producer_id: ProducerId,
        /// The offset the batch would have got.
        offset: Offset,
        /// Which of the two.
        reason: &'static str,
    },
    /// A marker of a transaction coordinator that has been replaced (`TRANSACTION_COORDINATOR_FENCED`).
    #[error(
        "coordinator epoch {epoch} for producer {producer_id} at offset {offset} is older than the known {current}"
    )]
    CoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// The offset the marker would have got.
        offset: Offset,
        /// The marker's coordinator epoch.
        epoch: i32,
        /// The newest one seen.
        current: i32,
    },
    /// More bytes than a segment may have (`RECORD_LIST_TOO_LARGE`).
    #[error("batches of {size} bytes exceed the maximum segment size of {max} bytes")]
    LargerThanSegment {
        /// Bytes to append.
        size: usize,
        /// `segment.bytes`.
        max: u32,
    },
    /// Batches that come with their offsets start below the log end.
    #[error("unexpected offset in append: {first} is less than the next offset {expected}")]
    UnexpectedOffset {
        /// Base offset of the first batch.
        first: Offset,
        /// Last offset of the last batch.
        last: Offset,
        /// The log end offset.
        expected: Offset,
    },
    /// Batches that come with their offsets are not in ascending order.
    #[error("out of order offsets in append: {offset} after {previous}")]
    OffsetsOutOfOrder {
        /// Last offset of the offending batch.
        offset: Offset,
        /// Last offset of the batch before.
        previous: Offset,
    },
    /// A batch does not carry the epoch of the raft leader that appends it.
    #[error("append from raft leader of epoch {expected} has a batch of epoch {epoch}")]
    WrongEpoch {
        /// The batch's epoch.
        epoch: LeaderEpoch,
        /// The leader's.
        expected: LeaderEpoch,
    },
    /// A batch that another replica sent is damaged (`CORRUPT_MESSAGE`).
    #[error("corrupt batch at byte {position} of the append: {error}")]
    Corrupt {
        /// Where in the bytes to append.
        position: usize,
        /// What is wrong.
        error: ottla_records::EntryError,
    },
    /// The log cannot number any more records.
    #[error("the log has run out of offsets")]
    OffsetsExhausted,
    /// The disk.
    #[error(transparent)]
    Storage(#[from] Error),
}
