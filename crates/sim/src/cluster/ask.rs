//! What nodes and clients ask of each other. Requests to the controller are Kafka's own messages; what followers and
//! producers send is what the machines of replication say, as the broker's handlers take it apart.

use ottla_groups::{Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionRequest, AlterPartitionResponse,
    AssignReplicasToDirsRequest, BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
    BrokerRegistrationResponse, CreateTopicsRequest, ElectLeadersRequest,
};
use ottla_replication::EpochEnd;
use ottla_replication::follower::{Fetch, OffsetQuery};
use std::fmt;
use uuid::Uuid;

/// A partition: its topic's id and its index.
pub type Key = (Uuid, i32);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// A process on a node.
    Node { index: usize, incarnation: u64 },
    /// A producer.
    Client(usize),
    /// A member of a consumer group.
    Member(usize),
    /// Somebody who does not care for the answer.
    Nobody,
}

/// A question.
#[derive(Debug, Clone)]
pub enum Ask {
    Register(BrokerRegistrationRequest),
    Heartbeat(BrokerHeartbeatRequest),
    AlterPartition(AlterPartitionRequest),
    CreateTopics(CreateTopicsRequest),
    Reassign(AlterPartitionReassignmentsRequest),
    Elect(ElectLeadersRequest),
    AssignDirs(AssignReplicasToDirsRequest),
    Fetch {
        key: Key,
        replica: i32,
        broker_epoch: i64,
        fetch: Fetch,
    },
    Offset {
        key: Key,
        query: OffsetQuery,
    },
    Produce {
        key: Key,
        acks_all: bool,
        number: u64,
        records: Vec<u8>,
    },
    /// To the coordinator on a partition of `__consumer_offsets`, in a version.
    Group {
        index: i32,
        version: i16,
        request: Box<Request>,
    },
}

/// What a follower gets.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub diverging: Option<EpochEnd>,
    pub records: Vec<u8>,
    pub high_watermark: i64,
    pub log_start: i64,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The node is not the active controller, or stopped being it before the answer was certain.
    NotController,
    /// Nobody listens there.
    Refused,
    Registered(BrokerRegistrationResponse),
    Beat(BrokerHeartbeatResponse),
    Altered(AlterPartitionResponse),
    /// Anything an administrator asked.
    Administered,
    Fetched(Result<Fetched, ErrorCode>),
    Offset(Result<i64, ErrorCode>),
    Produced(Result<i64, ErrorCode>),
    /// The node does not lead the group's partition.
    NotCoordinator,
    Group(Box<Response>),
}

/// What an answer is for; known to who asked.
#[derive(Debug, Clone)]
pub enum Purpose {
    Life,
    Proposals,
    Fetch { key: Key, asked: Fetch },
    Offset { key: Key, asked: OffsetQuery },
    Write,
    Nothing,
}

/// Where an answer goes.
#[derive(Debug, Clone)]
pub struct Route {
    pub party: Party,
    pub id: u64,
    pub purpose: Purpose,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Node { index, .. } => write!(f, "{}", index + 1),
            Party::Client(client) => write!(f, "client {client}"),
            Party::Member(member) => write!(f, "member {member}"),
            Party::Nobody => write!(f, "nobody"),
        }
    }
}

/// A question in a few words, for the trace. Whatever a node decides by must be in them.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Register(it) => {
                write!(
                    f,
                    "Register {} {} after {}",
                    it.broker_id, it.incarnation_id, it.previous_broker_epoch
                )
            }
            Ask::Heartbeat(it) => write!(
                f,
                "Heartbeat {} of {} at {}, leaves: {}",
                it.broker_id, it.broker_epoch, it.current_metadata_offset, it.want_shut_down
            ),
            Ask::AlterPartition(it) => {
                write!(f, "AlterPartition by {} of {}", it.broker_id, it.broker_epoch)?;
                for data in it.topics.iter().flat_map(|topic| &topic.partitions) {
                    let isr = data.new_isr_with_epochs.iter().map(|it| (it.broker_id, it.broker_epoch));
                    let isr: Vec<_> = isr.collect();
                    let (index, epoch, version) =
                        (data.partition_index, data.leader_epoch, data.partition_epoch);
                    write!(f, " -{index} in {epoch} version {version} {isr:?}")?;
                }
                Ok(())
            }
            Ask::CreateTopics(it) => write!(f, "CreateTopics {}", it.topics.len()),
            Ask::Reassign(it) => {
                let parts = it.topics.iter().flat_map(|topic| &topic.partitions);
                let parts: Vec<_> = parts.map(|it| (it.partition_index, &it.replicas)).collect();
                write!(f, "Reassign {parts:?}")
            }
            Ask::AssignDirs(it) => write!(f, "AssignDirs {} of {}", it.broker_id, it.broker_epoch),
            Ask::Elect(it) => write!(f, "Elect {}", it.election_type),
            Ask::Fetch { key, replica, broker_epoch, fetch } => write!(
                f,
                "Fetch -{} by {replica} of {broker_epoch} in {} from {} of {:?}, committed {}",
                key.1, fetch.leader_epoch, fetch.offset, fetch.last_epoch, fetch.high_watermark
            ),
            Ask::Offset { key, query } => {
                write!(f, "Offset -{} in {} {:?}", key.1, query.leader_epoch, query.which)
            }
            Ask::Produce { key, acks_all, number, records } => {
                write!(f, "Produce -{} {number}, {} bytes, all: {acks_all}", key.1, records.len())
            }
            Ask::Group { index, request, .. } => {
                write!(f, "-{index} ")?;
                match &**request {
                    Request::JoinGroup { request: it, .. } => {
                        let (member, instance) = (&it.member_id, it.group_instance_id.as_deref());
                        write!(f, "JoinGroup {} {member} {instance:?}", it.group_id)
                    }
                    Request::SyncGroup(it) => {
                        let shares =
                            it.assignments.iter().map(|share| (&share.member_id, &share.assignment[..]));
                        let shares: Vec<_> = shares.collect();
                        let (group, member) = (&it.group_id, &it.member_id);
                        write!(f, "SyncGroup {group} {} {member} {shares:?}", it.generation_id)
                    }
                    Request::Heartbeat(it) => {
                        write!(f, "Heartbeat {} {} {}", it.group_id, it.generation_id, it.member_id)
                    }
                    Request::OffsetCommit(it) => {
                        let (group, member) = (&it.group_id, &it.member_id);
                        write!(f, "OffsetCommit {group} {} {member}", it.generation_id_or_member_epoch)?;
                        let partitions = it.topics.iter().flat_map(|topic| &topic.partitions);
                        partitions.into_iter().try_for_each(|it| {
                            let (index, offset) = (it.partition_index, it.committed_offset);
                            write!(f, " {index}: {offset} {:?}", it.committed_metadata)
                        })
                    }
                    other => write!(f, "{other:?}"),
                }
            }
        }
    }
}

/// An answer in a few words.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Registered(it) => write!(f, "Registered {} {}", it.error_code, it.broker_epoch),
            Answer::Beat(it) => {
                write!(f, "Beat {} fenced {} stop {}", it.error_code, it.is_fenced, it.should_shut_down)
            }
            Answer::Altered(it) => {
                write!(f, "Altered {}", it.error_code)?;
                for data in it.topics.iter().flat_map(|topic| &topic.partitions) {
                    let (index, code, version) =
                        (data.partition_index, data.error_code, data.partition_epoch);
                    write!(f, " -{index} {code} version {version} {:?}", data.isr)?;
                }
                Ok(())
            }
            Answer::Fetched(Ok(it)) => {
                let (bytes, committed) = (it.records.len(), it.high_watermark);
                write!(f, "{bytes} bytes, committed {committed}, diverging {:?}", it.diverging)
            }
            Answer::NotController | Answer::NotCoordinator | Answer::Refused | Answer::Administered => {
                write!(f, "{self:?}")
            }
            Answer::Group(response) => match &**response {
                Response::JoinGroup(it) => {
                    let (generation, leader) = (it.generation_id, &it.leader);
                    write!(f, "Joined {} {generation} {} led by {leader}", it.error_code, it.member_id)
                }
                Response::SyncGroup(it) => write!(f, "Synced {} {:?}", it.error_code, &it.assignment[..]),
                Response::OffsetCommit(it) => {
                    let partitions = it.topics.iter().flat_map(|topic| &topic.partitions);
                    let codes: Vec<_> = partitions.map(|it| (it.partition_index, it.error_code)).collect();
                    write!(f, "Committed {codes:?}")
                }
                Response::OffsetFetch(it) => {
                    write!(f, "Offsets {}", it.error_code)?;
                    let mut partitions = it.topics.iter().flat_map(|topic| &topic.partitions);
                    partitions.try_for_each(|it| {
                        let (index, offset) = (it.partition_index, it.committed_offset);
                        write!(f, " {index}: {offset} {:?}", it.metadata)
                    })
                }
                other => write!(f, "{other:?}"),
            },
            Answer::Fetched(Err(error)) => write!(f, "Fetched {error:?}"),
            Answer::Offset(found) => write!(f, "Offset {found:?}"),
            Answer::Produced(done) => write!(f, "Produced {done:?}"),
        }
    }
}
