//! What the machine asks its runner to do, in order.

use bytes::Bytes;
use ottla_records::ids::{LeaderEpoch, Offset};

use crate::{Destination, ReplicaKey, Request, Response, SnapshotId, VoterSet};

/// The caller's name for an inbound request; it comes back in [`Effect::Reply`], exactly once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// One thing to do. Finish it before polling the next: later effects assume it is done.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Write `quorum-state` and fsync it (invariant 2: before anything that follows).
    PersistElection(Election),
    /// Append as leader. Offsets are assigned already; no fsync is asked for yet.
    Append(Append),
    /// Append whole batches fetched from the leader, as they are.
    AppendFetched {
        /// The batches.
        records: Bytes,
        /// Offset of the first record; equals the log end.
        base_offset: Offset,
        /// Offset of the last record.
        last_offset: Offset,
    },
    /// fsync the log, then call [`crate::Node::handle_flushed`] with the token.
    Flush {
        /// Names this flush.
        token: u64,
        /// The log end when it was asked for.
        up_to: Offset,
    },
    /// Cut the log back so that it ends here.
    Truncate {
        /// New log end.
        to: Offset,
    },
    /// Start an empty temporary file for this snapshot, dropping an earlier attempt.
    BeginSnapshot {
        /// Which.
        id: SnapshotId,
    },
    /// Append to the temporary file.
    WriteSnapshot {
        /// Which.
        id: SnapshotId,
        /// Bytes that are in the file already.
        position: u64,
        /// More of it.
        bytes: Bytes,
    },
    /// Fsync and rename the file, drop the whole log, restart it empty at the snapshot's end, then call
    /// [`crate::Node::handle_snapshot_installed`] (or `handle_snapshot_rejected` if it does not verify).
    InstallSnapshot {
        /// Which.
        id: SnapshotId,
        /// Its bytes.
        size: u64,
    },
    /// Drop the temporary file.
    AbandonSnapshot {
        /// Which.
        id: SnapshotId,
    },
    /// Send a request; its answer, or its failure, goes to [`crate::Node::handle_response`].
    Send {
        /// To whom.
        to: Destination,
        /// Comes back with the answer.
        correlation: u64,
        /// What.
        request: Request,
    },
    /// Answer an inbound request, after filling in what `read` names.
    Reply {
        /// Which.
        request: RequestId,
        /// With what.
        response: Response,
        /// Bytes to be read from the log or a snapshot into the answer.
        read: Option<Read>,
    },
    /// Everything before this offset is committed.
    HighWatermark(Offset),
    /// The leader, or the epoch, is another.
    LeaderChanged(LeaderAndEpoch),
    /// Something a person should know.
    Notice(Notice),
    /// [`crate::Node::shutdown`] is through.
    ShutdownComplete {
        /// `false` if the timeout struck before a successor was known.
        graceful: bool,
    },
}

/// What `quorum-state` stores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Election {
    /// Current epoch.
    pub epoch: LeaderEpoch,
    /// Its leader, if known.
    pub leader: Option<i32>,
    /// Whom this node voted for in it.
    pub voted: Option<ReplicaKey>,
    /// Voter ids; stored by `data_version` 0 only.
    pub voters: Vec<i32>,
    /// Finalized `kraft.version`, which picks the file's `data_version`.
    pub kraft_version: i16,
}

/// A batch to append as leader.
#[derive(Clone, PartialEq, Debug)]
pub struct Append {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// partitionLeaderEpoch.
    pub epoch: LeaderEpoch,
    /// The records.
    pub body: Body,
}

/// One batch.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Control records: raft's own.
    Control(Vec<Control>),
    /// Record values: the state machine's.
    Data(Vec<Bytes>),
}

impl Body {
    /// How many records.
    pub fn len(&self) -> usize {
        match self {
            Body::Control(records) => records.len(),
            Body::Data(values) => values.len(),
        }
    }

    /// No records?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Control records that live in the log.
#[derive(Clone, PartialEq, Debug)]
pub enum Control {
    /// First record of every epoch.
    LeaderChange {
        /// The new leader.
        leader: i32,
        /// All voters.
        voters: Vec<i32>,
        /// Those that voted for it.
        granting: Vec<i32>,
    },
    /// The finalized `kraft.version`.
    KraftVersion(i16),
    /// The voters from here on.
    Voters(VoterSet),
}

/// Bytes a reply needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// Uncommitted batches from the log, at least one.
    Log {
        /// From this offset.
        from: Offset,
        /// At most this many bytes, unless the first batch is larger.
        max_bytes: i32,
    },
    /// A slice of a snapshot.
    Snapshot {
        /// Which.
        id: SnapshotId,
        /// From this byte.
        position: u64,
        /// At most this many bytes.
        max_bytes: i32,
    },
}

/// Who leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaderAndEpoch {
    /// The leader, if known.
    pub leader: Option<i32>,
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// For this node as leader: where its epoch starts. What is before must be applied before it acts.
    pub epoch_start: Option<Offset>,
}

/// Worth a log line. Nothing here is fatal to the machine; most of it means that a peer is not what it
/// should be.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Notice {
    /// Invariant 1, as a peer tells it.
    #[error("peer claims leader {claimed:?} in epoch {epoch}, but {known:?} leads it; refused")]
    TwoLeaders {
        /// Its leader.
        claimed: Option<i32>,
        /// Ours.
        known: Option<i32>,
        /// The epoch.
        epoch: LeaderEpoch,
    },
    /// Invariant 5, as the leader tells it: committed records would be lost.
    #[error("leader asks to truncate to {to}, below the high watermark {high_watermark}; refused")]
    TruncationBelowWatermark {
        /// Asked for.
        to: Offset,
        /// Ours.
        high_watermark: Offset,
    },
    /// Fetched batches that do not continue the log.
    #[error("fetched batch at offset {base_offset} epoch {epoch} does not continue a log that ends at {end}")]
    BatchOutOfOrder {
        /// Of the batch.
        base_offset: Offset,
        /// Of the batch.
        epoch: LeaderEpoch,
        /// Ours.
        end: Offset,
    },
    /// A FetchSnapshot answer that is not the one asked for.
    #[error("snapshot answer does not continue {wanted:?} at byte {position}")]
    SnapshotOutOfOrder {
        /// Asked for.
        wanted: SnapshotId,
        /// Asked for.
        position: u64,
    },
    /// An error where raft expects none.
    #[error("peer {peer} answered with unexpected error {code}")]
    UnexpectedError {
        /// Who.
        peer: i32,
        /// Kafka's number.
        code: i16,
    },
    /// Check-quorum struck.
    #[error("no majority of voters fetched for {silent_ms} ms; leader of epoch {epoch} resigns")]
    QuorumLost {
        /// How long.
        silent_ms: i64,
        /// Which epoch.
        epoch: LeaderEpoch,
    },
    /// Invariant 8, as the log tells it.
    #[error("voter set at offset {offset} shares no majority with the one before it")]
    VotersDoNotOverlap {
        /// Where.
        offset: Offset,
    },
}
