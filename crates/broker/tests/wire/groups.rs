//! Consumer groups frame by frame: members come, rebalance, leave, fall silent, return; their coordinator goes away.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    DeleteTopicsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};

use crate::offsets::{committed, find_group};
use crate::support::{Client, PATIENCE, Server, code};

/// The version in which old clients join: no member id is asked for first.
const OLD: i16 = 2;
/// The first version that knows static members.
const STATIC: i16 = 5;

/// A member of group g and its connection.
struct Member {
    client: Client,
    id: String,
    instance: Option<String>,
    generation: i32,
    session_timeout_ms: i32,
}

impl Member {
    fn of(server: &Server) -> Member {
        let mut client = server.client();
        find_group(&mut client, "g");
        Member { client, id: String::new(), instance: None, generation: -1, session_timeout_ms: 10_000 }
    }

    fn join_version(&self) -> i16 {
        if self.instance.is_some() { STATIC } else { OLD }
    }

    /// Sends a JoinGroup, which may be parked.
    fn ask_to_join(&mut self) {
        let request = JoinGroupRequest {
            group_id: "g".into(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: 60_000,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: "m".into() }],
            ..Default::default()
        };
        self.client.send(self.join_version(), &request);
    }

    /// The answer to [`Member::ask_to_join`].
    fn joined(&mut self) -> JoinGroupResponse {
        let (_, answer) = self.client.receive::<JoinGroupRequest>(self.join_version());
        if answer.error_code == 0 {
            (self.id, self.generation) = (answer.member_id.clone(), answer.generation_id);
        }
        answer
    }

    fn join(&mut self) -> JoinGroupResponse {
        self.ask_to_join();
        let answer = self.joined();
        assert_eq!(answer.error_code, 0, "{answer:?}");
        answer
    }

    /// Sends a SyncGroup, with assignments if this member leads.
    fn ask_for_assignment(&mut self, assignments: &[(&str, &str)]) {
        let assignments = assignments.iter().map(|(member_id, assignment)| SyncGroupRequestAssignment {
            member_id: (*member_id).to_owned(),
            assignment: Bytes::copy_from_slice(assignment.as_bytes()),
        });
        let request = SyncGroupRequest {
            group_id: "g".into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            assignments: assignments.collect(),
            ..Default::default()
        };
        self.client.send(1, &request);
    }

    fn assigned(&mut self) -> (i16, String) {
        let (_, answer) = self.client.receive::<SyncGroupRequest>(1);
        (answer.error_code, String::from_utf8_lossy(&answer.assignment).into_owned())
    }

    /// Joins alone, and assigns `what` to itself.
    fn join_alone(&mut self, what: &str) {
        assert_eq!(self.join().leader, self.id);
        let id = self.id.clone();
        self.ask_for_assignment(&[(&id, what)]);
        assert_eq!(self.assigned(), (0, what.to_owned()));
    }

    fn heartbeat(&mut self) -> i16 {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        };
        self.client.ask(3, &request).error_code
    }

    fn commit(&mut self, generation: i32, offset: i64) -> i16 {
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic =
            OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: generation,
            member_id: self.id.clone(),
            retention_time_ms: -1,
            topics: vec![topic],
            ..Default::default()
        };
        self.client.ask(2, &request).topics[0].partitions[0].error_code
    }
}

/// The state of group g and its member ids.
fn described(client: &mut Client) -> (String, Vec<String>) {
    let mut answer = client.ask(0, &DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() });
    let group = answer.groups.remove(0);
    assert_eq!(group.error_code, 0);
    (group.group_state, group.members.into_iter().map(|member| member.member_id).collect())
}

#[test]
fn a_second_member_comes_and_leaves() {
    let server = Server::start();
    let (mut a, mut b) = (Member::of(&server), Member::of(&server));
    a.join_alone("everything");
    assert_eq!(a.heartbeat(), 0);

    b.ask_to_join();
    let begun = Instant::now();
    while a.heartbeat() != code(ErrorCode::RebalanceInProgress) {
        assert!(begun.elapsed() < PATIENCE, "the first member is told of the second");
    }
    let first = a.join();
    let second = b.joined();
    assert_eq!((first.generation_id, second.generation_id), (2, 2));
    assert_eq!((&first.leader, &second.leader), (&a.id, &a.id));
    assert_eq!((first.members.len(), second.members.len()), (2, 0), "only the leader knows the members");

    b.ask_for_assignment(&[]);
    let (of_a, of_b) = (a.id.clone(), b.id.clone());
    a.ask_for_assignment(&[(&of_a, "one half"), (&of_b, "the other")]);
    assert_eq!(a.assigned(), (0, "one half".into()));
    assert_eq!(b.assigned(), (0, "the other".into()));
    let (state, mut members) = described(&mut server.client());
    members.sort();
    let mut expected = vec![of_a, of_b];
    expected.sort();
    assert_eq!((state.as_str(), members), ("Stable", expected));

    let leave = LeaveGroupRequest { group_id: "g".into(), member_id: b.id.clone(), ..Default::default() };
    assert_eq!(b.client.ask(1, &leave).error_code, 0);
    assert_eq!(a.heartbeat(), code(ErrorCode::RebalanceInProgress));
    assert_eq!(b.heartbeat(), code(ErrorCode::UnknownMemberId));
    a.join_alone("everything");
    assert_eq!(a.generation, 3);
}

#[test]
fn a_static_member_returns_without_a_rebalance() {
    let server = Server::start();
    let mut a = Member::of(&server);
    a.instance = Some("one".into());
    a.join_alone("everything");

    // The process starts anew, and knows nothing of its member id.
    let mut again = Member::of(&server);
    again.instance = Some("one".into());
    assert_eq!(again.join().generation_id, a.generation);
    assert_ne!(again.id, a.id);
    assert_eq!(a.heartbeat(), code(ErrorCode::FencedInstanceId), "the older one is out");
    assert_eq!(again.heartbeat(), 0);
    again.ask_for_assignment(&[]);
    assert_eq!(again.assigned(), (0, "everything".into()));

    // An administrator takes it out by its name.
    let member = MemberIdentity { group_instance_id: Some("one".into()), ..Default::default() };
    let leave = LeaveGroupRequest { group_id: "g".into(), members: vec![member], ..Default::default() };
    let left = again.client.ask(3, &leave);
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    assert_eq!(again.heartbeat(), code(ErrorCode::UnknownMemberId));
    assert_eq!(described(&mut server.client()), ("Empty".into(), vec![]));
}

#[test]
fn a_silent_member_goes_when_its_session_is_over_and_not_before() {
    let server = Server::with("group.min.session.timeout.ms=100");
    let mut a = Member::of(&server);
    a.session_timeout_ms = 1_000;
    a.join_alone("everything");
    // Longer than a session, but never silent.
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!(a.heartbeat(), 0);
    }
    let silent_since = Instant::now();
    let mut other = server.client();
    while described(&mut other).0 != "Empty" {
        assert!(silent_since.elapsed() < PATIENCE, "its session ends");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(silent_since.elapsed() >= Duration::from_millis(950), "{:?}", silent_since.elapsed());
    assert_eq!(a.heartbeat(), code(ErrorCode::UnknownMemberId));
}

#[test]
fn only_the_members_of_the_generation_commit() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut a = Member::of(&server);
    a.join_alone("everything");
    assert_eq!(a.commit(1, 5), 0);
    // The leader joins again: a new generation.
    a.join_alone("everything");
    assert_eq!(a.generation, 2);
    assert_eq!(a.commit(1, 6), code(ErrorCode::IllegalGeneration));
    assert_eq!(a.commit(-1, 7), code(ErrorCode::IllegalGeneration));
    let id = std::mem::replace(&mut a.id, "stranger".into());
    assert_eq!(a.commit(2, 8), code(ErrorCode::UnknownMemberId));
    a.id = String::new();
    assert_eq!(a.commit(-1, 9), code(ErrorCode::UnknownMemberId), "nobody commits from outside of it");
    a.id = id;
    assert_eq!(committed(&mut a.client, "g", "t", 0), 5);
    assert_eq!(a.commit(2, 10), 0);
    assert_eq!(committed(&mut a.client, "g", "t", 0), 10);
}

#[test]
fn a_parked_join_is_answered_when_its_coordinator_goes() {
    let server = Server::start();
    let (mut a, mut b) = (Member::of(&server), Member::of(&server));
    a.join_alone("everything");
    // Parked for the rebalance timeout: the first member does not come.
    b.ask_to_join();
    let begun = Instant::now();
    while described(&mut server.client()).1.len() != 2 {
        assert!(begun.elapsed() < PATIENCE, "the join has arrived");
    }
    let topic = DeleteTopicState { name: Some("__consumer_offsets".into()), ..Default::default() };
    let delete = DeleteTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    assert_eq!(server.client().ask(6, &delete).responses[0].error_code, 0);
    let begun = Instant::now();
    assert_eq!(b.joined().error_code, code(ErrorCode::NotCoordinator));
    assert!(begun.elapsed() < Duration::from_secs(3), "at once, not with a timeout");
    assert_eq!(a.heartbeat(), code(ErrorCode::NotCoordinator));

    // As clients of every age do: they find the coordinator, and join.
    for version in 0..=2 {
        let request = FindCoordinatorRequest { key: "g".into(), ..Default::default() };
        let found = b.client.ask(version, &request);
        assert_eq!((found.error_code, found.node_id), (0, 1), "version {version}");
    }
    find_group(&mut b.client, "g");
    b.id = String::new();
    b.join_alone("everything");
}

#[test]
fn groups_wait_for_the_brokers_that_the_offsets_topic_needs() {
    let server = Server::with("offsets.topic.replication.factor=2");
    let mut client = server.client();
    for version in 0..=3 {
        let request = FindCoordinatorRequest { key: "g".into(), ..Default::default() };
        let found = client.ask(version, &request);
        assert_eq!(found.error_code, code(ErrorCode::CoordinatorNotAvailable), "version {version}");
        assert_eq!((found.node_id, found.port), (-1, -1));
    }
}
