//! The same conversation, the same bytes: what Apache Kafka 4.3.1 wrote into `__consumer_offsets` when its
//! console consumer joined a group, was assigned a topic, committed two offsets and left.

use bytes::Bytes;
use ottla_groups::{Client, Config, Effect, Record, Request, Response, Shard};
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use uuid::Uuid;

/// Key and value, in the order of the log.
const WRITTEN_BY_KAFKA: [(&[u8], &[u8]); 5] = [
    (
        b"\x00\x02\x00\x08classic1",
        b"\x00\x03\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x01\xa1\xfc\x1a}\xa2\x00\x00\x00\
      \x00",
    ),
    (
        b"\x00\x02\x00\x08classic1",
        b"\x00\x03\x00\x08consumer\x00\x00\x00\x01\x00\x05range\x005console-consumer-007bf5ef-5a21-4\
      cfe-b239-aeafb7ea3b3b\x00\x00\x01\xa1\xfc\x1a~&\x00\x00\x00\x01\x005console-consumer-007bf\
      5ef-5a21-4cfe-b239-aeafb7ea3b3b\xff\xff\x00\x10console-consumer\x00\x0a/127.0.0.1\x00\x04\
      \x93\xe0\x00\x00\xaf\xc8\x00\x00\x00\x17\x00\x03\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\
      \x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\x00\x00\x00\x19\x00\x03\x00\x00\x00\x01\x00\x01t\
      \x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff",
    ),
    (
        b"\x00\x01\x00\x08classic1\x00\x01t\x00\x00\x00\x01",
        b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\x00\x01\x00\x00\x01\xa1\xfc\x1a\x817\
      \x01\x00\x10\x84%r\x12\xbb\xa0O\xc6\xaf\xcf,2\xaf\x9axO",
    ),
    (
        b"\x00\x01\x00\x08classic1\x00\x01t\x00\x00\x00\x00",
        b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x01\x00\x00\x01\xa1\xfc\x1a\x817\
      \x01\x00\x10\x84%r\x12\xbb\xa0O\xc6\xaf\xcf,2\xaf\x9axO",
    ),
    (
        b"\x00\x02\x00\x08classic1",
        b"\x00\x03\x00\x08consumer\x00\x00\x00\x02\xff\xff\xff\xff\x00\x00\x01\xa1\xfc\x1a\x81O\x00\
      \x00\x00\x00",
    ),
];

const MEMBER: &str = "console-consumer-007bf5ef-5a21-4cfe-b239-aeafb7ea3b3b";
const SUBSCRIPTION: &[u8] =
    b"\x00\x03\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff";
const ASSIGNMENT: &[u8] =
    b"\x00\x03\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff";

struct Run {
    shard: Shard,
    written: Vec<Record>,
}

impl Run {
    fn ask(&mut self, now_ms: i64, request: Request) {
        let client = Client { id: "console-consumer", host: "/127.0.0.1", api_version: 9 };
        self.shard.handle(now_ms, client, 0, request);
        self.carry_out(now_ms);
    }

    fn carry_out(&mut self, now_ms: i64) {
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Append(append) => {
                    let base = self.written.len() as i64;
                    self.written.extend(append.records);
                    self.shard.appended(now_ms, append.id, Ok(base));
                }
                Effect::Reply { response: Response::JoinGroup(response), .. } => {
                    assert_eq!(response.member_id, MEMBER);
                }
                _ => {}
            }
        }
    }

    fn join(&mut self, now_ms: i64, member_id: &str) {
        let request = JoinGroupRequest {
            group_id: "classic1".into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            member_id: member_id.into(),
            protocol_type: "consumer".into(),
            protocols: vec![
                JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(SUBSCRIPTION) },
                JoinGroupRequestProtocol {
                    name: "cooperative-sticky".into(),
                    metadata: Bytes::from_static(b"not chosen"),
                },
            ],
            ..Default::default()
        };
        let fresh = Uuid::parse_str("007bf5ef-5a21-4cfe-b239-aeafb7ea3b3b").unwrap();
        self.ask(now_ms, Request::JoinGroup { request, fresh });
    }
}

#[test]
fn the_same_conversation_writes_the_same_bytes() {
    let mut shard = Shard::new(Config { initial_rebalance_delay_ms: 0, ..Config::default() });
    shard.loaded(1_795_230_956_000);
    let mut run = Run { shard, written: Vec::new() };
    run.join(1_795_230_956_962, "");
    run.join(1_795_230_957_090, MEMBER);
    run.shard.tick(1_795_230_957_094);
    run.carry_out(1_795_230_957_094);
    let assignment =
        SyncGroupRequestAssignment { member_id: MEMBER.into(), assignment: Bytes::from_static(ASSIGNMENT) };
    run.ask(
        1_795_230_957_100,
        Request::SyncGroup(SyncGroupRequest {
            group_id: "classic1".into(),
            generation_id: 1,
            member_id: MEMBER.into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![assignment],
            ..Default::default()
        }),
    );
    let partition =
        |partition_index, committed_offset, committed_leader_epoch| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch,
            committed_metadata: Some(String::new()),
        };
    let topic = OffsetCommitRequestTopic {
        name: "t".into(),
        topic_id: Uuid::parse_str("84257212-bba0-4fc6-afcf-2c32af9a784f").unwrap(),
        partitions: vec![partition(1, 20, 0), partition(0, 0, -1)],
    };
    run.ask(
        1_795_230_957_879,
        Request::OffsetCommit(OffsetCommitRequest {
            group_id: "classic1".into(),
            generation_id_or_member_epoch: 1,
            member_id: MEMBER.into(),
            topics: vec![topic],
            ..Default::default()
        }),
    );
    run.ask(
        1_795_230_957_903,
        Request::LeaveGroup(LeaveGroupRequest {
            group_id: "classic1".into(),
            members: vec![MemberIdentity { member_id: MEMBER.into(), ..Default::default() }],
            ..Default::default()
        }),
    );
    assert_eq!(run.written.len(), WRITTEN_BY_KAFKA.len());
    for (at, (record, (key, value))) in run.written.iter().zip(WRITTEN_BY_KAFKA).enumerate() {
        assert_eq!(record.key, key, "key {at}");
        assert_eq!(record.value.as_deref(), Some(value), "value {at}");
    }
}
