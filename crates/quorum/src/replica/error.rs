//! Why a replica stops.

use std::path::PathBuf;

use ottla_raft::RestoreError;
use ottla_records::ids::Offset;

use crate::batches::MetadataError;
use crate::snapshots::SnapshotError;
use crate::state_file::StateFileError;

/// The quorum cannot go on on this node.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// The log said no. After a failed write or fsync its content on disk is not known.
    #[error("metadata log: {0}")]
    Log(#[from] ottla_log::Error),
    /// The log refused an append.
    #[error("metadata log: {0}")]
    Append(#[from] ottla_log::AppendError),
    /// The log took less than it was given.
    #[error("metadata log: {taken} of {given} bytes were appended; the log ends at {end}")]
    ShortAppend {
        /// Log end.
        end: Offset,
        /// Bytes appended.
        taken: usize,
        /// Bytes given.
        given: usize,
    },
    /// `partition.metadata` names another topic.
    #[error("the metadata directory belongs to topic {found}, not to the cluster's metadata")]
    WrongTopic {
        /// Its topic id.
        found: uuid::Uuid,
    },
    /// `quorum-state` cannot be read or written.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// A snapshot cannot be read or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Bytes of the log are not metadata batches.
    #[error("metadata log at offset {offset}: {source}")]
    Corrupt {
        /// Where.
        offset: Offset,
        /// What is wrong.
        source: MetadataError,
    },
    /// A batch that was written once cannot be read any more.
    #[error("{} is damaged at byte {position}: {source}", file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where in it the batch begins.
        position: u64,
        /// What is wrong.
        source: MetadataError,
    },
    /// The directory contradicts itself.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A committed offset is neither in the log nor in a snapshot.
    #[error("committed records from offset {from} are missing: the log starts at {start}")]
    Gap {
        /// The next one needed.
        from: Offset,
        /// Where the log starts.
        start: Offset,
    },
    /// The thread could not be started.
    #[error("cannot start the quorum thread: {0}")]
    Thread(std::io::Error),
}
