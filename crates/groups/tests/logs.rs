//! Logs that others wrote: groups of other protocols, transactions, old and broken records.

mod support;

use ottla_groups::{Client, Config, Effect, Logged, Record, ReplayError, Request, Shard};
use ottla_protocol::coordinator_records::consumer_group_current_member_assignment_value::ConsumerGroupCurrentMemberAssignmentValue;
use ottla_protocol::coordinator_records::consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey;
use ottla_protocol::coordinator_records::consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue;
use ottla_protocol::coordinator_records::consumer_group_metadata_key::ConsumerGroupMetadataKey;
use ottla_protocol::coordinator_records::consumer_group_metadata_value::ConsumerGroupMetadataValue;
use ottla_protocol::coordinator_records::consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue;
use ottla_protocol::coordinator_records::group_metadata_key::GroupMetadataKey;
use ottla_protocol::coordinator_records::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use ottla_protocol::coordinator_records::offset_commit_key::OffsetCommitKey;
use ottla_protocol::coordinator_records::offset_commit_value::OffsetCommitValue;
use ottla_protocol::coordinator_records::share_group_metadata_value::ShareGroupMetadataValue;
use ottla_protocol::coordinator_records::share_group_state_partition_metadata_value::ShareGroupStatePartitionMetadataValue;
use ottla_protocol::coordinator_records::streams_group_metadata_value::StreamsGroupMetadataValue;
use ottla_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::wire::Message;
use support::{short, show_effect, uuid};

/// A shard with the log it reads.
struct Reader {
    shard: Shard,
    offset: i64,
}

fn record<K: Message, V: Message>(record_type: i16, key: &K, version: i16, value: Option<&V>) -> Record {
    let mut bytes = record_type.to_be_bytes().to_vec();
    key.encode(&mut bytes, 0).unwrap();
    let value = value.map(|value| {
        let mut bytes = version.to_be_bytes().to_vec();
        value.encode(&mut bytes, version).unwrap();
        bytes.into()
    });
    Record { key: bytes.into(), value }
}

/// A key that is a group id alone; every type's key looks like it.
fn of_group<V: Message>(record_type: i16, group: &str, value: Option<&V>) -> Record {
    record(record_type, &ConsumerGroupMetadataKey { group_id: group.into() }, 0, value)
}

fn of_member<V: Message>(record_type: i16, group: &str, member: &str, value: Option<&V>) -> Record {
    let key = ConsumerGroupMemberMetadataKey { group_id: group.into(), member_id: member.into() };
    record(record_type, &key, 0, value)
}

fn offset(group: &str, partition: i32, value: Option<i64>) -> Record {
    let key = OffsetCommitKey { group: group.into(), topic: "t".into(), partition };
    let value = value.map(|offset| OffsetCommitValue { offset, ..Default::default() });
    record(1, &key, 4, value.as_ref())
}

impl Reader {
    fn new() -> Reader {
        Reader { shard: Shard::new(Config { initial_rebalance_delay_ms: 0, ..Config::default() }), offset: 0 }
    }

    fn read_as(&mut self, producer_id: i64, record: &Record) -> Result<(), ReplayError> {
        let logged =
            Logged { offset: self.offset, producer_id, key: &record.key, value: record.value.as_deref() };
        self.offset += 1;
        self.shard.replay(logged)
    }

    fn read(&mut self, record: &Record) {
        self.read_as(-1, record).unwrap();
    }

    /// What the shard does about a request, a line per effect.
    fn ask(&mut self, api_version: i16, request: Request) -> Vec<String> {
        let client = Client { id: "c", host: "/10.0.0.1", api_version };
        self.shard.handle(0, client, 0, request);
        let mut lines = Vec::new();
        while let Some(effect) = self.shard.poll_effect() {
            if let Effect::Append(append) = &effect {
                let base = self.offset;
                self.offset += append.records.len() as i64;
                self.shard.appended(0, append.id, Ok(base));
            }
            if !matches!(effect, Effect::Notice(_)) {
                lines.push(short(&show_effect(&effect)));
            }
        }
        lines
    }

    fn fetch(&mut self, group: &str, require_stable: bool) -> String {
        let topic =
            OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
        let group = OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        self.ask(9, Request::OffsetFetch { group, require_stable }).remove(0)
    }

    fn list(&mut self) -> String {
        self.ask(5, Request::ListGroups(ListGroupsRequest::default())).remove(0)
    }

    fn join(&mut self, group: &str, member_id: &str) -> Vec<String> {
        let request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            member_id: member_id.into(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata: "m".into() }],
            ..Default::default()
        };
        self.ask(9, Request::JoinGroup { request, fresh: uuid(1) })
    }

    fn commit(&mut self, group: &str, member_id: &str, generation: i32) -> Vec<String> {
        let partition =
            OffsetCommitRequestPartition { partition_index: 0, committed_offset: 9, ..Default::default() };
        let topic =
            OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        self.ask(
            9,
            Request::OffsetCommit(OffsetCommitRequest {
                group_id: group.into(),
                generation_id_or_member_epoch: generation,
                member_id: member_id.into(),
                topics: vec![topic],
                ..Default::default()
            }),
        )
    }

    fn delete_offset(&mut self, group: &str) -> Vec<String> {
        let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
        let topics = vec![OffsetDeleteRequestTopic { name: "t".into(), partitions }];
        self.ask(0, Request::OffsetDelete(OffsetDeleteRequest { group_id: group.into(), topics }))
    }
}

/// A consumer group (KIP-848) of one member that reads t.
fn consumer_group(reader: &mut Reader, epoch: i32) {
    let member =
        ConsumerGroupMemberMetadataValue { subscribed_topic_names: vec!["t".into()], ..Default::default() };
    reader.read(&of_member(5, "k848", "m", Some(&member)));
    reader.read(&of_group(3, "k848", Some(&ConsumerGroupMetadataValue { epoch, ..Default::default() })));
    let target = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: epoch, ..Default::default() };
    reader.read(&of_group(6, "k848", Some(&target)));
    let current = ConsumerGroupCurrentMemberAssignmentValue { member_epoch: epoch, ..Default::default() };
    reader.read(&of_member(8, "k848", "m", Some(&current)));
}

#[test]
fn a_consumer_group_is_kept_with_its_members_and_offsets() {
    let mut reader = Reader::new();
    reader.read(&offset("k848", 0, Some(5)));
    consumer_group(&mut reader, 3);
    reader.shard.loaded(0);

    assert_eq!(reader.list(), "ListGroups NONE [k848 type='consumer' Stable consumer]");
    assert_eq!(reader.fetch("k848", true), "OffsetFetch k848 NONE [t-0 5 epoch=-1 metadata='']");
    assert_eq!(reader.join("k848", ""), ["JoinGroup INCONSISTENT_GROUP_PROTOCOL member="]);
    assert_eq!(reader.commit("k848", "", -1), ["OffsetCommit [t-0 UNKNOWN_MEMBER_ID]"]);
    assert_eq!(reader.delete_offset("k848"), ["OffsetDelete NONE [t-0 GROUP_SUBSCRIBED_TO_TOPIC]"]);
    assert_eq!(
        reader.ask(2, Request::DeleteGroups(vec!["k848".into()])),
        ["DeleteGroups [k848 NON_EMPTY_GROUP]"]
    );
    assert_eq!(
        reader.ask(6, Request::DescribeGroups(vec!["k848".into()])),
        ["DescribeGroups k848: GROUP_ID_NOT_FOUND Group k848 is not a classic group. 'Dead' type='' data=''"]
    );

    // Nothing of it expires while it reads the topic, however long.
    reader.shard.tick(i64::MAX / 2);
    assert_eq!(reader.shard.poll_effect(), None);
}

#[test]
fn the_state_of_a_consumer_group_is_derived_from_its_epochs() {
    let mut reader = Reader::new();
    consumer_group(&mut reader, 3);
    let group = ConsumerGroupMetadataValue { epoch: 4, ..Default::default() };
    reader.read(&of_group(3, "k848", Some(&group)));
    reader.shard.loaded(0);
    assert_eq!(reader.list(), "ListGroups NONE [k848 type='consumer' Assigning consumer]");
    let target = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: 4, ..Default::default() };
    reader.read(&of_group(6, "k848", Some(&target)));
    assert_eq!(reader.list(), "ListGroups NONE [k848 type='consumer' Reconciling consumer]");
    let current = ConsumerGroupCurrentMemberAssignmentValue { member_epoch: 4, ..Default::default() };
    reader.read(&of_member(8, "k848", "m", Some(&current)));
    assert_eq!(reader.list(), "ListGroups NONE [k848 type='consumer' Stable consumer]");
}

#[test]
fn an_empty_consumer_group_gives_way_to_classic_members() {
    let mut reader = Reader::new();
    consumer_group(&mut reader, 3);
    reader.read(&of_member(8, "k848", "m", None::<&ConsumerGroupMetadataValue>));
    reader.read(&of_member(5, "k848", "m", None::<&ConsumerGroupMetadataValue>));
    reader.shard.loaded(0);
    assert_eq!(reader.list(), "ListGroups NONE [k848 type='consumer' Empty consumer]");
    assert_eq!(reader.join("k848", "m"), ["JoinGroup UNKNOWN_MEMBER_ID member=m"]);
    assert_eq!(
        reader.join("k848", ""),
        [
            "JoinGroup MEMBER_ID_REQUIRED member=c-#1",
            "append 1\n  type 6 \\x00\\x04k848 tombstone\n  type 3 \\x00\\x04k848 tombstone\n  group k848 v3 \
             generation=0 type='' protocol=- leader=- since=0"
        ]
    );
    assert_eq!(reader.list(), "ListGroups NONE [k848 type='' Empty classic]");
}

#[test]
fn a_consumer_group_comes_back_if_its_tombstones_are_not_stored() {
    let mut reader = Reader::new();
    consumer_group(&mut reader, 3);
    reader.read(&of_member(5, "k848", "m", None::<&ConsumerGroupMetadataValue>));
    reader.shard.loaded(0);
    let before = reader.shard.dump();
    let client = Client { id: "c", host: "/h", api_version: 2 };
    reader.shard.handle(0, client, 7, Request::DeleteGroups(vec!["k848".into()]));
    let Some(Effect::Append(append)) = reader.shard.poll_effect() else { panic!("tombstones are issued") };
    assert_eq!(append.records.len(), 3);
    assert_ne!(reader.shard.dump(), before);
    reader.shard.appended(0, append.id, Err(ottla_protocol::ErrorCode::NotLeaderOrFollower));
    assert_eq!(reader.shard.dump(), before);
}

#[test]
fn deleting_an_empty_consumer_group_leaves_nothing_of_it() {
    let mut reader = Reader::new();
    reader.read(&offset("k848", 0, Some(5)));
    consumer_group(&mut reader, 3);
    reader.read(&of_member(5, "k848", "m", None::<&ConsumerGroupMetadataValue>));
    reader.shard.loaded(0);
    let done = reader.ask(2, Request::DeleteGroups(vec!["k848".into()]));
    assert_eq!(
        done,
        [
            "append 1\n  offset k848 t-0 tombstone\n  type 8 \\x00\\x04k848\\x00\\x01m tombstone\n  type 6 \
             \\x00\\x04k848 tombstone\n  type 3 \\x00\\x04k848 tombstone",
            "DeleteGroups [k848 NONE]"
        ]
    );
    assert!(reader.shard.dump().is_empty());
}

#[test]
fn share_and_streams_groups_are_listed_and_left_alone() {
    let mut reader = Reader::new();
    reader.read(&of_group(11, "share", Some(&ShareGroupMetadataValue { epoch: 1, ..Default::default() })));
    reader.read(&of_group(15, "share", Some(&ShareGroupStatePartitionMetadataValue::default())));
    reader.read(&of_group(
        17,
        "streams",
        Some(&StreamsGroupMetadataValue { epoch: 1, ..Default::default() }),
    ));
    reader.read(&of_member(19, "streams", "m", Some(&member_of_streams())));
    reader.shard.loaded(0);
    assert_eq!(
        reader.list(),
        "ListGroups NONE [share type='share' Empty share] [streams type='streams' NotReady streams]"
    );
    assert_eq!(reader.join("share", ""), ["JoinGroup INCONSISTENT_GROUP_PROTOCOL member="]);
    assert_eq!(reader.join("streams", ""), ["JoinGroup INCONSISTENT_GROUP_PROTOCOL member="]);
    assert_eq!(reader.commit("share", "", -1), ["OffsetCommit [t-0 GROUP_ID_NOT_FOUND]"]);
    let delete = Request::DeleteGroups(vec!["share".into(), "streams".into()]);
    assert_eq!(reader.ask(2, delete), ["DeleteGroups [share UNSUPPORTED_VERSION] [streams NON_EMPTY_GROUP]"]);
}

fn member_of_streams() -> impl Message {
    ottla_protocol::coordinator_records::streams_group_member_metadata_value::StreamsGroupMemberMetadataValue {
        user_endpoint: None,
        ..Default::default()
    }
}

#[test]
fn transactional_offsets_wait_for_their_marker() {
    let mut reader = Reader::new();
    reader.read(&offset("g", 0, Some(1)));
    reader.read_as(77, &offset("g", 0, Some(5))).unwrap();
    reader.shard.loaded(0);
    assert_eq!(reader.fetch("g", false), "OffsetFetch g NONE [t-0 1 epoch=-1 metadata='']");
    assert_eq!(
        reader.fetch("g", true),
        "OffsetFetch g NONE [t-0 -1 epoch=-1 metadata='' UNSTABLE_OFFSET_COMMIT]"
    );

    // The group and the offset are held while the transaction is open.
    reader.shard.tick(i64::MAX / 2);
    assert_eq!(reader.shard.poll_effect(), None);

    reader.shard.replay_marker(77, true);
    assert_eq!(reader.fetch("g", true), "OffsetFetch g NONE [t-0 5 epoch=-1 metadata='']");

    reader.read_as(78, &offset("g", 0, Some(6))).unwrap();
    reader.shard.replay_marker(78, false);
    reader.shard.replay_marker(79, true);
    assert_eq!(reader.fetch("g", true), "OffsetFetch g NONE [t-0 5 epoch=-1 metadata='']");

    // A group made by nothing but an open transaction can be deleted, and what it holds with it.
    reader.read_as(80, &offset("h", 0, Some(7))).unwrap();
    assert_eq!(
        reader.ask(2, Request::DeleteGroups(vec!["h".into()])),
        ["append 1\n  offset h t-0 tombstone\n  group h tombstone", "DeleteGroups [h NONE]"]
    );
    reader.shard.replay_marker(80, true);
    assert_eq!(reader.fetch("h", false), "OffsetFetch h NONE [t-0 -1 epoch=-1 metadata='']");
}

#[test]
fn deleted_topics_end_transactions_on_them_too() {
    let mut reader = Reader::new();
    reader.read_as(77, &offset("g", 0, Some(5))).unwrap();
    reader.shard.loaded(0);
    reader.shard.topics_deleted(0, &[("t", uuid(4))]);
    let Some(Effect::Append(append)) = reader.shard.poll_effect() else { panic!("a tombstone is issued") };
    assert_eq!(append.records, [offset("g", 0, None)]);
    reader.shard.appended(0, append.id, Ok(1));
    reader.shard.replay_marker(77, true);
    assert_eq!(reader.fetch("g", true), "OffsetFetch g NONE [t-0 -1 epoch=-1 metadata='']");
}

fn classic(version: i16, instances: [Option<&str>; 2]) -> Record {
    let member = |(i, instance): (usize, Option<&str>)| MemberMetadata {
        member_id: format!("m{i}"),
        group_instance_id: instance.map(str::to_owned),
        session_timeout: 7_000,
        subscription: "s".into(),
        assignment: "a".into(),
        ..Default::default()
    };
    let value = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 4,
        protocol: Some("range".into()),
        leader: Some("m1".into()),
        current_state_timestamp: 5,
        members: instances.into_iter().enumerate().map(member).collect(),
    };
    record(2, &GroupMetadataKey { group: "g".into() }, version, Some(&value))
}

#[test]
fn groups_of_every_record_version_are_read() {
    for version in 0..=4 {
        let mut reader = Reader::new();
        reader.read(&classic(version, [None, None]));
        reader.shard.loaded(0);
        assert_eq!(reader.list(), "ListGroups NONE [g type='consumer' Stable classic]", "version {version}");
        // Up to version 0 one timeout is both.
        assert_eq!(reader.shard.next_deadline(), Some(7_000));
        assert!(
            reader.shard.dump()[0].contains("[m1 None   7000 7000 Some(b\"s\") b\"a\"]"),
            "version {version}"
        );
    }
}

#[test]
fn a_tombstone_ends_a_group_and_a_later_record_begins_it_anew() {
    let mut reader = Reader::new();
    let tombstone = record(2, &GroupMetadataKey { group: "g".into() }, 3, None::<&GroupMetadataValue>);
    reader.read(&classic(3, [None, None]));
    reader.read(&tombstone);
    assert!(reader.shard.dump().is_empty());
    consumer_group(&mut reader, 1);
    reader.read(&tombstone);
    reader.read(&classic(3, [None, Some("i")]));
    reader.shard.loaded(0);
    assert_eq!(
        reader.list(),
        "ListGroups NONE [g type='consumer' Stable classic] [k848 type='consumer' Stable consumer]"
    );
}

#[test]
fn broken_records_are_named_and_never_panic() {
    let mut reader = Reader::new();
    let duplicate = reader.read_as(-1, &classic(3, [Some("i"), Some("i")])).unwrap_err();
    assert_eq!(duplicate.to_string(), "group g: two members have the instance id i");

    let good = [
        classic(3, [None, Some("i")]),
        offset("g", 0, Some(5)),
        of_group(3, "k", Some(&ConsumerGroupMetadataValue::default())),
        of_member(5, "k", "m", Some(&ConsumerGroupMemberMetadataValue::default())),
    ];
    for record in good {
        let value = record.value.clone().unwrap();
        for cut in 0..record.key.len() {
            let cut = Record { key: record.key.slice(..cut), value: Some(value.clone()) };
            assert!(Reader::new().read_as(-1, &cut).is_err(), "{cut:?}");
        }
        for cut in 0..value.len() {
            let cut = Record { key: record.key.clone(), value: Some(value.slice(..cut)) };
            assert!(Reader::new().read_as(-1, &cut).is_err(), "{cut:?}");
        }
        for at in 0..value.len() {
            let mut bent = value.to_vec();
            bent[at] ^= 0xff;
            let mut reader = Reader::new();
            let bent = Record { key: record.key.clone(), value: Some(bent.into()) };
            if reader.read_as(-1, &bent).is_ok() {
                reader.shard.loaded(0);
                reader.shard.tick(i64::MAX / 2);
                reader.join("g", "");
            }
        }
    }
}

#[test]
fn an_unknown_record_type_means_nothing() {
    let mut reader = Reader::new();
    reader.read(&Record { key: vec![0, 9, 1, 2, 3].into(), value: Some(vec![0, 0].into()) });
    reader.read(&Record { key: vec![0, 99].into(), value: None });
    reader.shard.loaded(0);
    assert!(reader.shard.dump().is_empty());
    let groups = reader.ask(5, Request::ListGroups(ListGroupsRequest::default()));
    assert_eq!(groups, ["ListGroups NONE"]);
}
