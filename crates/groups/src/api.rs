//! What goes into a shard and what comes out: requests, replies, records to append, notices.

use std::fmt;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;
use ottla_protocol::messages::join_group_request::JoinGroupRequest;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::LeaveGroupRequest;
use ottla_protocol::messages::leave_group_response::LeaveGroupResponse;
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::list_groups_response::ListGroupsResponse;
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequest;
use ottla_protocol::messages::offset_commit_response::OffsetCommitResponse;
use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use ottla_protocol::messages::offset_delete_response::OffsetDeleteResponse;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::sync_group_request::SyncGroupRequest;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequest;
use ottla_protocol::messages::txn_offset_commit_response::TxnOffsetCommitResponse;
pub use ottla_records::coordinator::{AppendId, Record, Token};
use ottla_records::ids::{ProducerEpoch, ProducerId};
use uuid::Uuid;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    /// `client_id` of the request header, empty when it is null. It starts the ids of dynamic members.
    pub id: &'a str,
    /// The peer's address as Java prints it: `/127.0.0.1`.
    pub host: &'a str,
    /// The version of the request; several answers depend on it.
    pub api_version: i16,
}

/// A request for the shard that owns its group (see [`partition_for`](crate::partition_for)).
///
/// The caller has authorized it already and has taken out what it answers itself: topics a client may not
/// see, and, for commits and offset deletions, topics and partitions that do not exist.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// JoinGroup. `fresh` becomes part of the member id if this join creates one.
    JoinGroup {
        /// The request as it came.
        request: JoinGroupRequest,
        /// A random uuid, drawn by the caller for this request.
        fresh: Uuid,
    },
    /// SyncGroup.
    SyncGroup(SyncGroupRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup, of any version: the single member of versions 0-2 is read from where it stands there.
    LeaveGroup(LeaveGroupRequest),
    /// OffsetCommit. Every topic has its name; `topic_id` is stored with the offset (nil when unknown). For
    /// version 10 the caller has filled in the names; a topic whose name is still empty is answered with
    /// UNKNOWN_TOPIC_ID.
    OffsetCommit(OffsetCommitRequest),
    /// TxnOffsetCommit: the offsets count when the producer's transaction commits. `guard` is what the partition's log gave
    /// out when the transaction coordinator was asked about it (KIP-890), and gets back with the append.
    TxnOffsetCommit {
        /// The request as it came; topics that do not exist are taken out.
        request: TxnOffsetCommitRequest,
        /// Opaque here.
        guard: Option<u64>,
    },
    /// A transaction has ended: its marker is to be written to this shard's partition.
    EndTransaction {
        /// The producer and its epoch in the marker.
        producer: (ProducerId, ProducerEpoch),
        /// How it ended, and who says so.
        marker: Marker,
    },
    /// One group of an OffsetFetch; [`offset_fetch::groups`](crate::offset_fetch::groups) splits a request
    /// into these, [`offset_fetch::response`](crate::offset_fetch::response) puts the answers together.
    /// Topics as in `OffsetCommit`; `topics: None` asks for all, and then `topic_id` of the answer is nil:
    /// for version 10 the caller fills it in by name and drops the topics it does not know.
    OffsetFetch {
        /// The group and what to fetch of it.
        group: OffsetFetchRequestGroup,
        /// Wait for pending commits, and refuse partitions with an open transaction.
        require_stable: bool,
    },
    /// OffsetDelete.
    OffsetDelete(OffsetDeleteRequest),
    /// DescribeGroups, as far as the groups live on this shard.
    DescribeGroups(Vec<String>),
    /// ListGroups: the groups of this shard. The caller asks every shard and joins the lists.
    ListGroups(ListGroupsRequest),
    /// DeleteGroups, as far as the groups live on this shard.
    DeleteGroups(Vec<String>),
}

/// The answer to the [`Request`] of the same name, ready to be encoded in the client's version.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// To JoinGroup.
    JoinGroup(JoinGroupResponse),
    /// To SyncGroup.
    SyncGroup(SyncGroupResponse),
    /// To Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// To LeaveGroup.
    LeaveGroup(LeaveGroupResponse),
    /// To OffsetCommit.
    OffsetCommit(OffsetCommitResponse),
    /// To TxnOffsetCommit.
    TxnOffsetCommit(TxnOffsetCommitResponse),
    /// To EndTransaction: NONE when the marker is committed.
    EndTransaction(ErrorCode),
    /// To one group of an OffsetFetch.
    OffsetFetch(OffsetFetchResponseGroup),
    /// To OffsetDelete.
    OffsetDelete(OffsetDeleteResponse),
    /// To DescribeGroups.
    DescribeGroups(Vec<DescribedGroup>),
    /// To ListGroups.
    ListGroups(ListGroupsResponse),
    /// To DeleteGroups.
    DeleteGroups(Vec<DeletableGroupResult>),
}

/// Records to append to the shard's partition: in one batch, all or none. Several appends may share a batch,
/// in the order they came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// To be handed back with the outcome, once the records are committed (below the high watermark) or lost.
    pub id: AppendId,
    /// Never empty, but for a marker.
    pub records: Vec<Record>,
    /// For what belongs to a transaction.
    pub transaction: Option<InTransaction>,
}

/// What makes a batch part of a producer's transaction, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InTransaction {
    /// The producer's id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// What was given with [`Request::TxnOffsetCommit`].
    pub guard: Option<u64>,
    /// Set for a marker, which has no records.
    pub marker: Option<Marker>,
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Commit or abort.
    pub commit: bool,
    /// The epoch of the transaction coordinator that says so.
    pub coordinator_epoch: i32,
    /// The transaction version by which the log checks the producer's epoch (KIP-1228).
    pub transaction_version: i16,
}

/// Something the caller has to do, in the order the effects come.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Append these records, and report with [`Shard::appended`](crate::Shard::appended).
    Append(Append),
    /// Answer a request. Every request gets exactly one reply.
    Reply {
        /// The request's token.
        token: Token,
        /// The answer.
        response: Response,
    },
    /// Something worth a log line or a metric; never something to act on.
    Notice(Notice),
}

/// What happened, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Notice {
    /// A group began to rebalance.
    RebalanceStarted { group: Arc<str>, generation: i32, reason: String },
    /// A join phase ended with members; the group waits for the leader's assignment.
    GenerationStarted { group: Arc<str>, generation: i32, members: usize },
    /// The assignment of a generation is stored and handed out.
    RebalanceCompleted { group: Arc<str>, generation: i32 },
    /// A member is gone.
    MemberRemoved { group: Arc<str>, member: Arc<str>, reason: &'static str },
    /// A group has no members any more.
    GroupEmpty { group: Arc<str>, generation: i32 },
    /// Records of the group could not be stored.
    WriteFailed { group: Arc<str>, error: ErrorCode },
    /// Tombstones were issued for expired offsets and the groups that held nothing else.
    Expired { offsets: usize, groups: usize },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::RebalanceStarted { group, generation, reason } => {
                write!(f, "group {group} prepares a rebalance, old generation {generation} ({reason})")
            }
            Notice::GenerationStarted { group, generation, members } => {
                write!(f, "group {group} starts generation {generation} with {members} members")
            }
            Notice::RebalanceCompleted { group, generation } => {
                write!(f, "group {group} is stable in generation {generation}")
            }
            Notice::MemberRemoved { group, member, reason } => {
                write!(f, "group {group} removed member {member}: {reason}")
            }
            Notice::GroupEmpty { group, generation } => {
                write!(f, "group {group} is empty in generation {generation}")
            }
            Notice::WriteFailed { group, error } => {
                write!(f, "group {group} could not store its records: {error:?}")
            }
            Notice::Expired { offsets, groups } => {
                write!(f, "expired {offsets} offsets and {groups} groups")
            }
        }
    }
}
