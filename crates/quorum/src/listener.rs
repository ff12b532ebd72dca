//! What the quorum tells others, and what it needs from them.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_raft::{Destination, Request, VoterSet};
use ottla_records::ids::{LeaderEpoch, Offset, TimestampMs};

use crate::handle::Reply;
use crate::replica::QuorumError;
use crate::snapshots::{SnapshotError, SnapshotReader};

/// A committed batch: one decision, applied whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Epoch of the leader that wrote it.
    pub epoch: LeaderEpoch,
    /// When it was appended (wall clock).
    pub timestamp: TimestampMs,
    /// Bytes it takes in the log.
    pub size: usize,
    /// Record values, in order. Empty for raft's own control batches, which only move the offset.
    pub values: Vec<Bytes>,
}

/// Who leads, as the state machine has to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leadership {
    /// The leader, if known.
    pub leader: Option<i32>,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// This node leads, and has been given every record that was committed before its own epoch: it may
    /// act. Told only then.
    pub active: bool,
}

/// The state machine. Called on the quorum's thread, so it must be quick: nothing is replicated or
/// answered meanwhile.
pub trait Listener: Send + 'static {
    /// Forget everything and start from this snapshot: read its batches to the end.
    fn load_snapshot(
        &mut self,
        end_offset: Offset,
        epoch: LeaderEpoch,
        snapshot: &mut SnapshotReader,
    ) -> Result<(), SnapshotError>;

    /// Whether more may be read from the log for it. Asked before each read; what this node appended as leader is
    /// given in any case. After a `false` nothing comes until [`crate::Handle::go_on`] says that there is room, or
    /// something else happens: a state machine that is slower than the disk need not hold all there is.
    fn has_room(&mut self) -> bool {
        true
    }

    /// The next committed batch. Offsets follow on each other without gaps.
    fn commit(&mut self, batch: Committed);

    /// The leader or the epoch is another. Losing the lead is told at once, gaining it once caught up.
    fn leadership(&mut self, leadership: Leadership);

    /// The quorum cannot go on on this node; nothing follows.
    fn failed(&mut self, error: &QuorumError) {
        let _ = error;
    }
}

/// The way out to other nodes. Must not block.
pub trait Transport: Send + 'static {
    /// Sends a request. Its answer, or `None` when there will be none, goes to
    /// [`crate::Handle::response`] with the same correlation id.
    fn send(&mut self, to: Destination, correlation: u64, request: Request);
}

/// How a replica is doing; see [`crate::Handle::status`].
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Raft's name for the node's role.
    pub role: &'static str,
    /// The leader, if known.
    pub leader: Option<i32>,
    /// Current epoch.
    pub epoch: LeaderEpoch,
    /// Everything before this is committed; -1 if unknown.
    pub high_watermark: Offset,
    /// First offset of the log.
    pub log_start: Offset,
    /// Next offset of the log.
    pub log_end: Offset,
    /// Epoch of the last record.
    pub last_epoch: LeaderEpoch,
    /// End offset of the newest snapshot; 0 if there is none but the bootstrap checkpoint.
    pub latest_snapshot_end: Offset,
    /// The newest voter set.
    pub voters: VoterSet,
    /// Finalized `kraft.version`.
    pub kraft_version: i16,
    /// Is this node a voter?
    pub is_voter: bool,
    /// Peers (voters by their ids, bootstrap servers by negative numbers) that said they belong to another cluster.
    pub strangers: BTreeSet<i32>,
}

/// Where the answer to an inbound request goes.
pub(crate) type ReplyTo = Box<dyn FnOnce(Reply) + Send>;
