//! A consumer, as far as the coordinator sees one: it joins, syncs, heartbeats, commits, and does what the
//! errors say.

use bytes::Bytes;
use ottla_groups::{Request, Response};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::support::uuid;

pub(crate) const PARTITIONS: u8 = 6;
pub(crate) const SESSION_MS: i32 = 10_000;
pub(crate) const REBALANCE_MS: i32 = 15_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Off,
    Joining,
    Syncing,
    Member,
}

pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) instance: Option<String>,
    pub(crate) api_version: i16,
    pub(crate) stage: Stage,
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) assignment: Bytes,
    /// What its metadata says; a change of it rebalances.
    pub(crate) mood: u64,
    pub(crate) paused_until_ms: i64,
    /// What it waits for: the token, and when it gives up.
    pub(crate) waits: Option<(u64, i64)>,
    to_assign: Vec<SyncGroupRequestAssignment>,
    generation_before: Option<(i32, Bytes)>,
}

impl Client {
    pub(crate) fn new(name: String, group: String, instance: Option<String>, api_version: i16) -> Client {
        Client {
            name,
            group,
            instance,
            api_version,
            stage: Stage::Off,
            member_id: String::new(),
            generation: -1,
            assignment: Bytes::new(),
            mood: 0,
            paused_until_ms: 0,
            waits: None,
            to_assign: Vec::new(),
            generation_before: None,
        }
    }

    /// Who owns what it owns: a static member is its instance, whatever its member id.
    pub(crate) fn identity(&self) -> String {
        self.instance.clone().unwrap_or_else(|| self.member_id.clone())
    }

    /// A new process. A static member remembers nothing but its instance id.
    pub(crate) fn start(&mut self) {
        let before = (self.generation, self.assignment.clone());
        self.generation_before = (self.instance.is_some() && self.stage == Stage::Member).then_some(before);
        self.stop();
        self.stage = Stage::Joining;
    }

    pub(crate) fn stop(&mut self) {
        self.stage = Stage::Off;
        self.waits = None;
        self.member_id.clear();
        self.generation = -1;
        self.assignment = Bytes::new();
    }

    /// What it wants to ask now; `draw` decides between heartbeat and commit, and names what is new.
    pub(crate) fn request(&mut self, draw: u64) -> Request {
        let (group_id, member_id) = (self.group.clone(), self.member_id.clone());
        let group_instance_id = self.instance.clone();
        match self.stage {
            Stage::Off => panic!("{} is off", self.name),
            Stage::Joining => {
                let metadata = Bytes::from(format!("mood {}", self.mood));
                let range = JoinGroupRequestProtocol { name: "range".into(), metadata: metadata.clone() };
                let other = JoinGroupRequestProtocol { name: format!("p{}", self.mood % 3), metadata };
                Request::JoinGroup {
                    request: JoinGroupRequest {
                        group_id,
                        session_timeout_ms: SESSION_MS,
                        rebalance_timeout_ms: REBALANCE_MS,
                        member_id,
                        group_instance_id,
                        protocol_type: "consumer".into(),
                        protocols: vec![range, other],
                        reason: None,
                    },
                    fresh: uuid(draw),
                }
            }
            Stage::Syncing => Request::SyncGroup(SyncGroupRequest {
                group_id,
                generation_id: self.generation,
                member_id,
                group_instance_id,
                protocol_type: Some("consumer".into()),
                protocol_name: None,
                assignments: self.to_assign.clone(),
            }),
            Stage::Member if draw.is_multiple_of(3) => {
                let partition = (draw % u64::from(PARTITIONS)) as i32;
                Request::OffsetCommit(OffsetCommitRequest {
                    group_id,
                    generation_id_or_member_epoch: self.generation,
                    member_id,
                    group_instance_id,
                    retention_time_ms: -1,
                    topics: vec![OffsetCommitRequestTopic {
                        name: "t".into(),
                        partitions: vec![OffsetCommitRequestPartition {
                            partition_index: partition,
                            committed_offset: draw as i64,
                            ..Default::default()
                        }],
                        ..Default::default()
                    }],
                })
            }
            Stage::Member => Request::Heartbeat(HeartbeatRequest {
                group_id,
                generation_id: self.generation,
                member_id,
                group_instance_id,
            }),
        }
    }

    /// Its good-bye.
    pub(crate) fn leave(&self) -> Request {
        let identity = MemberIdentity {
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            reason: None,
        };
        Request::LeaveGroup(LeaveGroupRequest {
            group_id: self.group.clone(),
            member_id: self.member_id.clone(),
            members: vec![identity],
        })
    }

    /// An answer has come. Returns how long to wait before the next request.
    pub(crate) fn take(&mut self, response: &Response) -> i64 {
        let error = match response {
            Response::JoinGroup(r) => r.error_code,
            Response::SyncGroup(r) => r.error_code,
            Response::Heartbeat(r) => r.error_code,
            Response::OffsetCommit(r) => r.topics[0].partitions[0].error_code,
            other => panic!("{} did not ask for {other:?}", self.name),
        };
        match ErrorCode::from_i16(error).unwrap() {
            ErrorCode::None => match response {
                Response::JoinGroup(response) => self.joined(response),
                Response::SyncGroup(response) => {
                    self.assignment = response.assignment.clone();
                    self.stage = Stage::Member;
                    self.check_static_assignment();
                    100
                }
                _ => 2_000,
            },
            ErrorCode::MemberIdRequired => {
                let Response::JoinGroup(response) = response else { panic!("only to a join") };
                self.member_id = response.member_id.clone();
                0
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                self.member_id.clear();
                self.rejoin()
            }
            ErrorCode::FencedInstanceId => {
                // Somebody else has its name: fatal for a consumer.
                self.stop();
                0
            }
            ErrorCode::RebalanceInProgress => self.rejoin(),
            ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress => {
                if self.stage == Stage::Syncing {
                    self.rejoin();
                }
                300
            }
            other => panic!("{} got {other}", self.name),
        }
    }

    fn rejoin(&mut self) -> i64 {
        self.stage = Stage::Joining;
        50
    }

    fn joined(&mut self, response: &JoinGroupResponse) -> i64 {
        self.member_id = response.member_id.clone();
        self.generation = response.generation_id;
        self.stage = Stage::Syncing;
        let leads = response.leader == response.member_id && !response.skip_assignment;
        let members = response.members.len();
        self.to_assign = if leads {
            let assign = |(i, member): (usize, &_)| of(i, members, member);
            response.members.iter().map(|m| m.member_id.as_str()).enumerate().map(assign).collect()
        } else {
            Vec::new()
        };
        0
    }

    /// If the group did not rebalance, a static member that came back has what it had.
    fn check_static_assignment(&mut self) {
        if let Some((generation, assignment)) = self.generation_before.take()
            && generation == self.generation
        {
            assert_eq!(assignment, self.assignment, "{} lost its assignment by a restart", self.name);
        }
    }
}

/// The partitions of the i-th of `members` members, one byte each.
fn of(i: usize, members: usize, member_id: &str) -> SyncGroupRequestAssignment {
    let partitions: Vec<u8> = (0..PARTITIONS).filter(|p| usize::from(*p) % members == i).collect();
    SyncGroupRequestAssignment { member_id: member_id.to_owned(), assignment: partitions.into() }
}
