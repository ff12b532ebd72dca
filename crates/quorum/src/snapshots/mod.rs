//! Snapshots of the metadata (KIP-630): files named `%020d-%010d.checkpoint` after the first offset that is
//! not in them and the epoch of the last record that is.
//!
//! A file is a run of ordinary batches whose offsets start at 0: a control batch with SNAPSHOT_HEADER (and
//! KRAFT_VERSION and KRAFT_VOTERS from `kraft.version` 1 on), data batches, a control batch with
//! SNAPSHOT_FOOTER. It is written under a temporary name, fsynced, then renamed.

mod reader;
mod store;
mod writer;

use std::path::{Path, PathBuf};

use ottla_raft::SnapshotId;
use ottla_records::ids::TimestampMs;

use crate::batches::MetadataError;

pub use reader::{SnapshotBatch, SnapshotReader};
pub use store::{Retention, SnapshotStore};
pub use writer::SnapshotWriter;

pub(crate) use writer::{Download, Partials, write_bootstrap, write_dynamic_bootstrap};

/// What a snapshot says about itself in its first batch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SnapshotHeader {
    /// Append time of the last record that is in it; 0 for bootstrap checkpoints.
    pub last_contained_timestamp: TimestampMs,
    /// `kraft.version` and voters, from version 1 on.
    pub content: ottla_raft::SnapshotContent,
}

/// Why a snapshot cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A batch in it is not sound.
    #[error("{path} at byte {position}: {source}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where the batch starts.
        position: u64,
        /// What is wrong.
        source: MetadataError,
    },
    /// The order of batches is not that of a snapshot.
    #[error("{path} at byte {position}: {why}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A record that fits into no batch.
    #[error("a metadata record of {size} bytes is larger than a batch may be")]
    RecordTooLarge {
        /// Its size.
        size: usize,
    },
}

/// What a file name says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Complete,
    Partial,
    Deleted,
}

/// `%020d-%010d.checkpoint`.
pub fn file_name(id: SnapshotId) -> String {
    format!("{:020}-{:010}.checkpoint", id.end_offset, id.epoch)
}

pub(crate) fn path(directory: &Path, id: SnapshotId) -> PathBuf {
    directory.join(file_name(id))
}

/// The id and stage of a file in the metadata directory; `None` for files that are not snapshots.
pub(crate) fn parse_file_name(name: &str) -> Option<(SnapshotId, Stage)> {
    let stem = name.get(..31)?;
    let (offset, epoch) = stem.split_once('-')?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(offset, 20) || !digits(epoch, 10) {
        return None;
    }
    let id = SnapshotId { end_offset: offset.parse().ok()?, epoch: epoch.parse().ok()? };
    let rest = &name[31..];
    let stage = match rest {
        ".checkpoint" => Stage::Complete,
        ".checkpoint.deleted" => Stage::Deleted,
        _ if rest.ends_with(".checkpoint.part") => Stage::Partial,
        _ => return None,
    };
    Some((id, stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Invariant 44: nothing of a process is in the name, or two runs of one seed would differ in it.
    #[test]
    fn partial_files_are_numbered_for_each_replica() {
        let id = SnapshotId { epoch: 7, end_offset: 1234 };
        let names = || {
            let partials = super::Partials::default();
            [partials.path(Path::new("d"), id), partials.clone().path(Path::new("d"), id)]
        };
        let [first, second] = names();
        assert_eq!(first, Path::new("d/00000000000000001234-0000000007-1.checkpoint.part"));
        assert_ne!(first, second);
        assert_eq!(names(), [first.clone(), second]);
        let name = first.file_name().and_then(|name| name.to_str()).expect("a name");
        assert_eq!(parse_file_name(name), Some((id, Stage::Partial)));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let id = SnapshotId { end_offset: 1234, epoch: 7 };
        assert_eq!(file_name(id), "00000000000000001234-0000000007.checkpoint");
        assert_eq!(parse_file_name(&file_name(id)), Some((id, Stage::Complete)));
        let deleted = "00000000000000001234-0000000007.checkpoint.deleted";
        assert_eq!(parse_file_name(deleted), Some((id, Stage::Deleted)));
        let partial = "00000000000000001234-0000000007-8812763.checkpoint.part";
        assert_eq!(parse_file_name(partial), Some((id, Stage::Partial)));
        for other in [
            "bootstrap.checkpoint",
            "00000000000000000000.log",
            "quorum-state",
            "0000000000000000123é-0000000007.checkpoint",
            "00000000000000001234-0000000007.checkpoint.old",
        ] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
