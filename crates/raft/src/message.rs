//! What nodes say to each other. One metadata partition is meant everywhere, so topics do not appear;
//! whoever speaks the wire protocol wraps and unwraps these.

use bytes::Bytes;
use ottla_records::ids::{LeaderEpoch, Offset};

use crate::{
    Control, Endpoints, EpochEnd, Fault, HostPort, Millis, ReplicaKey, SnapshotId, VersionRange, Voter,
};

/// A request, inbound or outbound.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Request {
    Vote(VoteRequest),
    BeginQuorumEpoch(BeginEpochRequest),
    EndQuorumEpoch(EndEpochRequest),
    Fetch(FetchRequest),
    FetchSnapshot(FetchSnapshotRequest),
    DescribeQuorum,
    AddVoter(AddVoterRequest),
    RemoveVoter(RemoveVoterRequest),
    UpdateVoter(UpdateVoterRequest),
    /// Outbound only: asks a would-be voter for its `kraft.version` range.
    ApiVersions,
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Response {
    /// A top-level error and nothing else; for requests without a partition level, the error itself.
    Refused(Fault),
    Vote(VoteResponse),
    BeginQuorumEpoch(EpochResponse),
    EndQuorumEpoch(EpochResponse),
    Fetch(FetchResponse),
    FetchSnapshot(FetchSnapshotResponse),
    DescribeQuorum(DescribeResponse),
    AddVoter(ChangeResponse),
    RemoveVoter(ChangeResponse),
    UpdateVoter(UpdateVoterResponse),
    ApiVersions(ApiVersionsResponse),
}

/// Whom the answering node takes for the leader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leader {
    /// Its id, or `None` if unknown (-1 on the wire).
    pub id: Option<i32>,
    /// The answering node's epoch.
    pub epoch: LeaderEpoch,
    /// Where the leader is, on the listener the request came in on.
    pub at: Option<HostPort>,
}

/// Vote (52): standard vote or pre-vote.
#[derive(Clone, PartialEq, Debug)]
pub struct VoteRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// Whom the candidate believes it is asking.
    pub voter: Option<ReplicaKey>,
    /// The candidate.
    pub candidate: ReplicaKey,
    /// Epoch it wants to win, or (pre-vote) is in.
    pub epoch: LeaderEpoch,
    /// Epoch of its last record.
    pub last_epoch: LeaderEpoch,
    /// Its log end.
    pub end_offset: Offset,
    /// Only asking whether it would win.
    pub pre_vote: bool,
}

/// Answer to Vote.
#[derive(Clone, PartialEq, Debug)]
pub struct VoteResponse {
    /// Partition-level error.
    pub error: Fault,
    /// The voter's epoch and leader.
    pub leader: Leader,
    /// Yes or no.
    pub granted: bool,
}

/// BeginQuorumEpoch (53): a leader announces itself to voters that do not fetch from it.
#[derive(Clone, PartialEq, Debug)]
pub struct BeginEpochRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// Whom the leader believes it is telling.
    pub voter: Option<ReplicaKey>,
    /// The leader.
    pub leader_id: i32,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Its addresses (version 1 and later).
    pub endpoints: Endpoints,
}

/// EndQuorumEpoch (54): a leader steps down and names who should follow it.
#[derive(Clone, PartialEq, Debug)]
pub struct EndEpochRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// The leader that resigns.
    pub leader_id: i32,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Voters, best log first.
    pub successors: Vec<ReplicaKey>,
    /// Its addresses (version 1 and later).
    pub endpoints: Endpoints,
}

/// Answer to BeginQuorumEpoch and EndQuorumEpoch.
#[derive(Clone, PartialEq, Debug)]
pub struct EpochResponse {
    /// Partition-level error.
    pub error: Fault,
    /// The answering node's view.
    pub leader: Leader,
}

/// Fetch (1) of the metadata partition.
#[derive(Clone, PartialEq, Debug)]
pub struct FetchRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// Who fetches; a negative id is a client and no replica.
    pub replica: ReplicaKey,
    /// The fetcher's epoch.
    pub epoch: LeaderEpoch,
    /// Its log end.
    pub offset: Offset,
    /// Epoch of its last record.
    pub last_epoch: LeaderEpoch,
    /// Its high watermark: -1 unknown; `i64::MAX` from versions before 18, which never ask to hear of it.
    pub high_watermark: Offset,
    /// How long the leader may park the request.
    pub max_wait_ms: i32,
    /// How much it may answer (at least one batch comes anyway).
    pub max_bytes: i32,
}

/// Answer to Fetch.
#[derive(Clone, PartialEq, Debug)]
pub struct FetchResponse {
    /// Partition-level error.
    pub error: Fault,
    /// The answering node's view.
    pub leader: Leader,
    /// The leader's high watermark, -1 while unknown.
    pub high_watermark: Offset,
    /// The leader's log start.
    pub log_start: Offset,
    /// Cut back and fetch again.
    pub diverging: Option<EpochEnd>,
    /// Load this snapshot first.
    pub snapshot: Option<SnapshotId>,
    /// Whole batches, back to back. Empty in the answer a leader makes: its runner reads them from the log.
    pub records: Bytes,
    /// What is in `records`, one entry per batch; filled by whoever received them, after checking CRCs.
    pub batches: Vec<BatchMeta>,
}

/// One batch of a fetched run.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchMeta {
    /// First offset.
    pub base_offset: Offset,
    /// Last offset.
    pub last_offset: Offset,
    /// partitionLeaderEpoch.
    pub epoch: LeaderEpoch,
    /// Bytes of the batch in the run.
    pub len: usize,
    /// Control records with their offsets; empty for data.
    pub control: Vec<(Offset, Control)>,
}

/// FetchSnapshot (59).
#[derive(Clone, PartialEq, Debug)]
pub struct FetchSnapshotRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// Who fetches.
    pub replica: ReplicaKey,
    /// The fetcher's epoch.
    pub epoch: LeaderEpoch,
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// From which byte.
    pub position: i64,
    /// At most this many bytes.
    pub max_bytes: i32,
}

/// Answer to FetchSnapshot.
#[derive(Clone, PartialEq, Debug)]
pub struct FetchSnapshotResponse {
    /// Partition-level error.
    pub error: Fault,
    /// The answering node's view.
    pub leader: Leader,
    /// Echo of the id; `None` when it is not there.
    pub snapshot: Option<SnapshotId>,
    /// Bytes of the whole snapshot.
    pub size: i64,
    /// Echo of the position.
    pub position: i64,
    /// A slice of it. Empty in the answer a leader makes: its runner reads it from the file.
    pub bytes: Bytes,
}

/// DescribeQuorum (55). Times are on the machine's own clock, `None` if never.
#[derive(Clone, PartialEq, Debug)]
pub struct DescribeResponse {
    /// Partition-level error; all else is empty then.
    pub error: Fault,
    /// The answering node's view.
    pub leader: Leader,
    /// -1 if unknown.
    pub high_watermark: Offset,
    /// Voters, the leader among them.
    pub voters: Vec<ReplicaInfo>,
    /// Others that fetched within five minutes.
    pub observers: Vec<ReplicaInfo>,
    /// When this was asked: the leader reports it as its own two times.
    pub now: Millis,
}

/// One replica as its leader sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaInfo {
    /// Id and directory.
    pub key: ReplicaKey,
    /// Last fetch offset; -1 unknown; the leader's own log end for itself.
    pub end_offset: Offset,
    /// Last fetch.
    pub last_fetch: Option<Millis>,
    /// Last time it had everything.
    pub last_caught_up: Option<Millis>,
    /// Listeners; empty for observers.
    pub endpoints: Endpoints,
}

/// AddRaftVoter (80).
#[derive(Clone, PartialEq, Debug)]
pub struct AddVoterRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// How long the client waits.
    pub timeout_ms: i32,
    /// The new voter.
    pub voter: ReplicaKey,
    /// Where it listens.
    pub endpoints: Endpoints,
    /// Answer after commit (true) or right after the append.
    pub ack_when_committed: bool,
}

/// RemoveRaftVoter (81).
#[derive(Clone, PartialEq, Debug)]
pub struct RemoveVoterRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// Who has to go.
    pub voter: ReplicaKey,
}

/// Answer to AddRaftVoter and RemoveRaftVoter.
#[derive(Clone, PartialEq, Debug)]
pub struct ChangeResponse {
    /// The error.
    pub error: Fault,
    /// Words for the person who asked.
    pub message: Option<String>,
}

/// UpdateRaftVoter (82).
#[derive(Clone, PartialEq, Debug)]
pub struct UpdateVoterRequest {
    /// `None` is not checked.
    pub cluster_id: Option<String>,
    /// The sender's epoch.
    pub epoch: LeaderEpoch,
    /// The sender as it is now.
    pub voter: Voter,
}

/// Answer to UpdateRaftVoter.
#[derive(Clone, PartialEq, Debug)]
pub struct UpdateVoterResponse {
    /// The error.
    pub error: Fault,
    /// The answering node's view.
    pub leader: Leader,
}

/// What ApiVersions told us.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiVersionsResponse {
    /// Top-level error.
    pub error: Fault,
    /// The `kraft.version` range among the supported features.
    pub kraft_versions: Option<VersionRange>,
}
