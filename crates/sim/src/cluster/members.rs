//! Members of consumer groups: each joins, syncs, asks for the offsets of what it owns, reads on from there, heartbeats
//! and commits, one request at a time. Some are static, some leave, stop, pause, or change what they subscribe to.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_groups::{Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::HeartbeatRequest;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use super::ask::{Answer, Ask, Party, Purpose};
use super::plan::Plan;
use super::world::{Event, TOPIC, World};

/// Partitions that every group reads.
pub const READ: u8 = 4;
/// How long an answer is waited for that should come at once. Longer than any message takes: what is given up has arrived.
const PATIENCE_MS: i64 = 3_500;

/// How far a member has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Off,
    Joining,
    Syncing,
    /// Asks where to read on.
    Fetching,
    Working,
}

/// A member.
#[derive(Debug)]
pub struct Member {
    group: usize,
    instance: Option<String>,
    /// The version of its JoinGroup requests.
    version: i16,
    stage: Stage,
    member_id: String,
    generation: i32,
    share: Bytes,
    /// Where it reads on, of each partition that it owns.
    positions: BTreeMap<i32, i64>,
    coordinator: Option<usize>,
    /// The newest leader epoch of the coordinator's partition that it was told of: an older one is not believed.
    known_epoch: i32,
    /// The question on its way: its number, and whom.
    asking: Option<(u64, usize)>,
    /// What it assigns to all, if it leads its group.
    to_assign: Vec<SyncGroupRequestAssignment>,
    /// Changes with what it subscribes to.
    mood: u64,
    /// Only its newest turn counts.
    turn: u64,
    /// Commits acknowledged.
    pub committed: u64,
}

/// The name of a group.
pub fn group_name(group: usize) -> String {
    format!("g{group}")
}

impl Member {
    fn draw(index: usize, plan: &Plan, random: &mut crate::random::Random) -> Member {
        let is_static = random.chance(400);
        Member {
            group: index % plan.groups,
            instance: is_static.then(|| format!("i{index}")),
            version: if is_static { 5 + random.index(5) } else { random.index(10) } as i16,
            stage: Stage::Off,
            member_id: String::new(),
            generation: -1,
            share: Bytes::new(),
            positions: BTreeMap::new(),
            coordinator: None,
            known_epoch: -1,
            asking: None,
            to_assign: Vec::new(),
            mood: 0,
            turn: 0,
            committed: 0,
        }
    }

    /// Another process, or none: what it knew is gone.
    fn forget(&mut self, stage: Stage) {
        self.stage = stage;
        self.member_id.clear();
        self.generation = -1;
        self.share = Bytes::new();
        self.positions.clear();
        self.asking = None;
        self.to_assign.clear();
    }

    fn join(&self, plan: &Plan) -> Request {
        let metadata = Bytes::from(format!("mood {}", self.mood));
        let protocol = JoinGroupRequestProtocol { name: "range".to_owned(), metadata };
        let request = JoinGroupRequest {
            group_id: group_name(self.group),
            session_timeout_ms: plan.member_session_ms as i32,
            rebalance_timeout_ms: plan.rebalance_ms as i32,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![protocol],
            reason: None,
        };
        Request::JoinGroup { request, fresh: uuid::Uuid::nil() }
    }

    fn sync(&self) -> Request {
        Request::SyncGroup(SyncGroupRequest {
            group_id: group_name(self.group),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: self.to_assign.clone(),
        })
    }

    fn heartbeat(&self) -> Request {
        Request::Heartbeat(HeartbeatRequest {
            group_id: group_name(self.group),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
        })
    }

    fn commit(&self, number: u64, by: usize) -> Request {
        let partition = |(index, offset): (&i32, &i64)| OffsetCommitRequestPartition {
            partition_index: *index,
            committed_offset: *offset,
            committed_metadata: Some(super::rules::ledger::metadata(number, by)),
            ..OffsetCommitRequestPartition::default()
        };
        Request::OffsetCommit(OffsetCommitRequest {
            group_id: group_name(self.group),
            generation_id_or_member_epoch: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            retention_time_ms: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: TOPIC.to_owned(),
                partitions: self.positions.iter().map(partition).collect(),
                ..OffsetCommitRequestTopic::default()
            }],
        })
    }

    fn leave(&self) -> Request {
        let identity = MemberIdentity {
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
            reason: None,
        };
        Request::LeaveGroup(LeaveGroupRequest {
            group_id: group_name(self.group),
            member_id: self.member_id.clone(),
            members: vec![identity],
        })
    }

    fn joined(&mut self, response: &JoinGroupResponse) {
        self.member_id.clone_from(&response.member_id);
        self.generation = response.generation_id;
        self.stage = Stage::Syncing;
        self.to_assign.clear();
        if response.leader != response.member_id || response.skip_assignment {
            return;
        }
        // From one generation to the next everything moves on by one.
        let (count, shift) = (response.members.len(), response.generation_id as usize);
        let owns = |at: usize, partition: u8| (usize::from(partition) + shift) % count == at;
        for (at, member) in response.members.iter().enumerate() {
            let share: Vec<u8> = (0..READ).filter(|partition| owns(at, *partition)).collect();
            self.to_assign.push(SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: share.into(),
            });
        }
    }

    fn fetched(&mut self, response: &OffsetFetchResponseGroup) {
        self.positions.clear();
        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
            self.positions.insert(partition.partition_index, partition.committed_offset.max(0));
        }
        self.stage = Stage::Working;
    }
}

/// What an answer says first.
fn error_of(response: &Response) -> ErrorCode {
    let code = match response {
        Response::JoinGroup(it) => it.error_code,
        Response::SyncGroup(it) => it.error_code,
        Response::Heartbeat(it) => it.error_code,
        Response::OffsetFetch(it) => it.error_code,
        Response::OffsetCommit(it) => {
            let partitions = it.topics.iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| partition.error_code).find(|code| *code != 0).unwrap_or(0)
        }
        other => panic!("SIM: nobody asked for {other:?}"),
    };
    ErrorCode::from_i16(code).expect("SIM: an error that is known")
}

impl World {
    /// Members as the plan has them.
    pub(super) fn begin_members(&mut self) {
        for index in 0..self.plan.members {
            let member = Member::draw(index, &self.plan, &mut self.random);
            self.members.push(member);
            let after = self.random.between(1_800, 4_000);
            self.next_turn(index, after);
        }
    }

    fn next_turn(&mut self, member: usize, after: i64) {
        self.members[member].turn += 1;
        let turn = self.members[member].turn;
        self.post(after, Event::Member { member, turn });
    }

    /// A member's turn.
    pub(super) fn member_turn(&mut self, member: usize, turn: u64) {
        let me = &mut self.members[member];
        if me.turn != turn {
            return;
        }
        if me.asking.take().is_some() {
            // No answer. Whether the request counted is not known; what was assigned meanwhile neither.
            me.coordinator = None;
            if me.stage == Stage::Syncing {
                me.stage = Stage::Joining;
            }
        }
        if self.troubled && self.random.chance(self.plan.churn) && self.stray(member) {
            return;
        }
        if self.members[member].stage == Stage::Off {
            self.members[member].forget(Stage::Joining);
        }
        let Some(coordinator) = self.find_coordinator(member) else {
            return self.next_turn(member, 150);
        };
        let commits = self.random.chance(500);
        let me = &mut self.members[member];
        let (version, request) = match me.stage {
            Stage::Off => return,
            Stage::Joining => (me.version, me.join(&self.plan)),
            Stage::Syncing => (5, me.sync()),
            Stage::Fetching => {
                let group = super::seats::fetch(&group_name(me.group), me.share.iter().copied());
                (8, Request::OffsetFetch { group, require_stable: false })
            }
            Stage::Working if self.writing && commits && !me.positions.is_empty() => {
                me.positions.values_mut().for_each(|offset| *offset += 1);
                self.numbers += 1;
                (8, me.commit(self.numbers, member))
            }
            Stage::Working => (4, me.heartbeat()),
        };
        let patience = match me.stage {
            Stage::Joining | Stage::Syncing => PATIENCE_MS + self.plan.rebalance_ms + self.plan.delay_ms,
            _ => PATIENCE_MS,
        };
        let asked = self.ask_coordinator(member, coordinator, version, request);
        self.members[member].asking = Some((asked, coordinator));
        self.next_turn(member, patience);
    }

    fn ask_coordinator(&mut self, member: usize, to: usize, version: i16, request: Request) -> u64 {
        let index = self.coordinator_of(self.members[member].group);
        let ask = Ask::Group { index, version, request: Box::new(request) };
        self.send(Party::Member(member), to, ask, Purpose::Nothing)
    }

    /// Something that members do of their own accord; false if it was nothing.
    fn stray(&mut self, member: usize) -> bool {
        let me = &mut self.members[member];
        let after = match self.random.index(5) {
            0 => {
                me.forget(Stage::Off);
                self.random.between(50, 6_000)
            }
            // It comes back before its session is over: a static member keeps its place.
            1 => {
                me.forget(Stage::Off);
                self.random.between(1, 500)
            }
            2 if !me.member_id.is_empty() => {
                let (request, to) = (me.leave(), me.coordinator);
                me.forget(Stage::Off);
                if let Some(to) = to {
                    self.ask_coordinator(member, to, 4, request);
                }
                self.random.between(50, 4_000)
            }
            3 => self.random.between(50, 6_000),
            4 if me.stage == Stage::Working => {
                me.mood += 1;
                me.stage = Stage::Joining;
                1
            }
            _ => return false,
        };
        let stage = self.members[member].stage;
        self.note(format_args!("member {member} is now {stage:?}"));
        self.next_turn(member, after);
        true
    }

    /// Who coordinates its group, as some broker that serves would tell it.
    fn find_coordinator(&mut self, member: usize) -> Option<usize> {
        if let Some(known) = self.members[member].coordinator {
            return Some(known);
        }
        let key = (self.offsets?, self.coordinator_of(self.members[member].group));
        let (leader, epoch) = self.told_leader(key)?;
        let me = &mut self.members[member];
        if leader < 0 || epoch < me.known_epoch {
            return None;
        }
        me.known_epoch = epoch;
        me.coordinator = Some(leader as usize - 1);
        me.coordinator
    }

    /// An answer to a member.
    pub(super) fn member_told(&mut self, member: usize, number: u64, answer: Answer) {
        if self.members[member].asking.take_if(|(asked, _)| *asked == number).is_none() {
            return;
        }
        let pause = self.random.between(20, 400);
        let me = &mut self.members[member];
        let Answer::Group(response) = answer else {
            me.coordinator = None;
            if me.stage == Stage::Syncing {
                me.stage = Stage::Joining;
            }
            return self.next_turn(member, pause);
        };
        let after = match error_of(&response) {
            ErrorCode::None => match *response {
                Response::JoinGroup(response) => {
                    me.joined(&response);
                    1
                }
                Response::SyncGroup(response) => {
                    me.share = response.assignment;
                    me.stage = if me.share.is_empty() { Stage::Working } else { Stage::Fetching };
                    me.positions.clear();
                    1
                }
                Response::OffsetFetch(response) => {
                    me.fetched(&response);
                    pause
                }
                Response::OffsetCommit(_) => {
                    me.committed += 1;
                    pause
                }
                _ => pause,
            },
            ErrorCode::MemberIdRequired => {
                if let Response::JoinGroup(response) = *response {
                    me.member_id = response.member_id;
                }
                1
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                me.member_id.clear();
                me.stage = Stage::Joining;
                1
            }
            ErrorCode::RebalanceInProgress => {
                me.stage = Stage::Joining;
                1
            }
            // Somebody else has its name. It is the only one: an older request of its own came late.
            ErrorCode::FencedInstanceId => {
                me.forget(Stage::Off);
                pause
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                me.coordinator = None;
                if me.stage == Stage::Syncing {
                    me.stage = Stage::Joining;
                }
                pause
            }
            ErrorCode::CoordinatorLoadInProgress => pause,
            other => panic!("SIM: member {member} is told {other:?}"),
        };
        self.next_turn(member, after);
    }

    /// Connections to a node broke: whoever waits there need not wait.
    pub(super) fn members_lose(&mut self, node: usize) {
        for member in 0..self.members.len() {
            if let Some((id, to)) = self.members[member].asking
                && to == node
            {
                let after = self.random.between(1, 20);
                let route = super::ask::Route { party: Party::Member(member), id, purpose: Purpose::Nothing };
                self.post(after, Event::Answer { route, answer: Answer::Refused });
            }
        }
    }

    /// 35: every member is in the newest generation of its group, and every partition has one owner.
    pub fn groups_are_whole(&self) -> bool {
        (0..self.plan.groups).all(|group| {
            let members: Vec<&Member> = self.members.iter().filter(|it| it.group == group).collect();
            let mut owned: Vec<u8> = members.iter().flat_map(|it| it.share.to_vec()).collect();
            owned.sort_unstable();
            let working = members.iter().all(|it| {
                it.stage == Stage::Working
                    && it.generation == members[0].generation
                    && (it.share.is_empty() || it.committed > 0)
            });
            members.is_empty() || (working && owned == (0..READ).collect::<Vec<u8>>())
        })
    }

    /// Commits acknowledged to each group.
    pub fn commits_of_groups(&self) -> Vec<u64> {
        let of = |group| self.members.iter().filter(|it| it.group == group).map(|it| it.committed).sum();
        (0..self.plan.groups).map(of).collect()
    }
}
