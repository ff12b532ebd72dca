//! What goes into a node at start, and what its calls answer.

use ottla_records::ids::{LeaderEpoch, Offset};

use crate::{Election, History, LogView, SnapshotId, VoterSet};

/// What the disk said at start.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// `quorum-state`, if there is one.
    pub election: Option<Election>,
    /// The log and the snapshots.
    pub log: LogView,
    /// KRAFT_VOTERS of the newest snapshot and of the log after it, to its end.
    pub voters: History<VoterSet>,
    /// KRAFT_VERSION likewise.
    pub kraft_versions: History<i16>,
}

/// The disk contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Invariant 7.
    #[error("the log starts at offset {start}, but no snapshot reaches that far (latest: {latest:?})")]
    MissingSnapshot {
        /// Log start.
        start: Offset,
        /// Newest snapshot.
        latest: Option<SnapshotId>,
    },
    /// The zero uuid cannot be a directory's id.
    #[error("the metadata directory has no id")]
    NoDirectoryId,
}

/// The control state a snapshot carries.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SnapshotContent {
    /// KRAFT_VERSION, if there is one.
    pub kraft_version: Option<i16>,
    /// KRAFT_VOTERS, if there is one.
    pub voters: Option<VoterSet>,
}

/// Where a proposal stands in the log. It is committed once the high watermark passes `last_offset` while
/// this node leads `epoch`; if the leadership is lost before that, its fate is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// First offset.
    pub base_offset: Offset,
    /// Last offset.
    pub last_offset: Offset,
    /// The epoch.
    pub epoch: LeaderEpoch,
}

/// The proposal was not appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the leader of epoch {epoch}; the leader is {leader:?}")]
pub struct NotLeader {
    /// The leader, if known.
    pub leader: Option<i32>,
    /// Current epoch.
    pub epoch: LeaderEpoch,
}

/// `kraft.version` was not upgraded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Only leaders upgrade.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// The level cannot be reached from here; the text says why.
    #[error("invalid update of kraft.version from {from} to {to}: {why}")]
    Invalid {
        /// Finalized level.
        from: i16,
        /// Wanted level.
        to: i16,
        /// Why not.
        why: &'static str,
    },
}
