//! Offsets of moments, of epochs and of groups.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_protocol::messages::{
    FindCoordinatorRequest, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest,
};
use uuid::Uuid;

use crate::support::{Client, PATIENCE, Server, batch_at, code, now_ms};

pub(crate) fn moment(topic: &str, partition_index: i32, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition { partition_index, timestamp, ..Default::default() };
    let topic = ListOffsetsTopic { name: topic.into(), partitions: vec![partition] };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

/// Finds a group's coordinator, which is to be loaded soon.
pub(crate) fn find_group(client: &mut Client, group: &str) {
    let begun = std::time::Instant::now();
    loop {
        let request = FindCoordinatorRequest { key: group.into(), ..Default::default() };
        let found = client.ask(3, &request);
        let offsets = OffsetFetchRequest { group_id: group.into(), topics: None, ..Default::default() };
        if found.error_code == 0 && client.ask(7, &offsets).error_code == 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found:?}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Commits `offset` for partition `index`; the error.
pub(crate) fn commit(client: &mut Client, group: &str, topic: &str, index: i32, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: offset,
        committed_metadata: Some("note".into()),
        ..Default::default()
    };
    let topic =
        OffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..simple() };
    client.ask(7, &request).topics[0].partitions[0].error_code
}

/// A commit from outside of any generation.
fn simple() -> OffsetCommitRequest {
    OffsetCommitRequest { generation_id_or_member_epoch: -1, retention_time_ms: -1, ..Default::default() }
}

pub(crate) fn committed(client: &mut Client, group: &str, topic: &str, index: i32) -> i64 {
    let topic = OffsetFetchRequestTopic { name: topic.into(), partition_indexes: vec![index] };
    let request =
        OffsetFetchRequest { group_id: group.into(), topics: Some(vec![topic]), ..Default::default() };
    let answer = client.ask(7, &request);
    assert_eq!(answer.error_code, 0);
    answer.topics[0].partitions[0].committed_offset
}

#[test]
fn special_moments_came_one_by_one() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    let now = now_ms();
    for (n, age) in [30_000, 10_000, 20_000].into_iter().enumerate() {
        client.append("t", 0, batch_at(now - age, &[&format!("{n}")]));
    }
    // (timestamp, first version, offset, timestamp in the answer)
    let moments = [
        (-2, 1, 0, -1),
        (-1, 1, 3, -1),
        (-3, 7, 1, now - 10_000),
        (-4, 8, 0, -1),
        (-5, 9, -1, -1),
        (-6, 11, -1, -1),
        (now - 25_000, 1, 1, now - 10_000),
        (now - 30_000, 1, 0, now - 30_000),
        (now, 1, -1, -1),
    ];
    for (timestamp, from, offset, at) in moments {
        for version in 1..=11 {
            let answer = client.ask(version, &moment("t", 0, timestamp)).topics[0].partitions[0].clone();
            let expected = match version >= from {
                true => (0, offset, at),
                false => (code(ErrorCode::UnsupportedVersion), -1, -1),
            };
            let told = (answer.error_code, answer.offset, answer.timestamp);
            assert_eq!(told, expected, "{timestamp} in version {version}");
        }
    }
    for (timestamp, version) in [(-7, 11), (i64::MIN, 11), (-12, 1)] {
        let answer = client.ask(version, &moment("t", 0, timestamp));
        assert_eq!(answer.topics[0].partitions[0].error_code, code(ErrorCode::UnsupportedVersion));
    }
    let mut twice = moment("t", 0, -1);
    twice.topics.extend(twice.topics.clone());
    let answer = client.ask(5, &twice);
    assert!(answer.topics.iter().all(|t| t.partitions[0].error_code == code(ErrorCode::InvalidRequest)));
    let missing = client.ask(5, &moment("none", 0, -1)).topics[0].partitions[0].clone();
    assert_eq!(missing.error_code, code(ErrorCode::UnknownTopicOrPartition));
    let mut epoch = moment("t", 0, -1);
    epoch.topics[0].partitions[0].current_leader_epoch = 9;
    let answer = client.ask(5, &epoch).topics[0].partitions[0].clone();
    assert_eq!(answer.error_code, code(ErrorCode::UnknownLeaderEpoch));
}

#[test]
fn epochs_end_where_the_next_begins() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    server.client().append("t", 0, batch_at(now_ms(), &["a", "b"]));
    let server = server.restart();
    let mut client = server.client();
    client.append("t", 0, batch_at(now_ms(), &["c"]));
    let mut ask = |leader_epoch, current_leader_epoch, partition| {
        let partition = OffsetForLeaderPartition { partition, leader_epoch, current_leader_epoch };
        let topic = OffsetForLeaderTopic { topic: "t".into(), partitions: vec![partition] };
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] };
        let answer = client.ask(4, &request).topics[0].partitions[0].clone();
        (answer.error_code, answer.leader_epoch, answer.end_offset)
    };
    let (_, latest, end) = ask(0, -1, 0);
    assert_eq!((latest, end), (0, 2));
    let (error, latest, _) = ask(1_000, -1, 0);
    assert_eq!((error, latest), (0, -1), "no such epoch yet");
    assert_eq!(ask(0, 0, 0), (code(ErrorCode::FencedLeaderEpoch), -1, -1));
    assert_eq!(ask(0, 1_000, 0), (code(ErrorCode::UnknownLeaderEpoch), -1, -1));
    assert_eq!(ask(0, -1, 3), (code(ErrorCode::UnknownTopicOrPartition), -1, -1));
}

#[test]
fn commits_have_their_errors_partition_by_partition() {
    let server = Server::start();
    let id = server.topic("t", 2, &[]);
    let mut client = server.client();
    find_group(&mut client, "g");
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 7,
        ..Default::default()
    };
    let topic = |name: &str, indexes: &[i32]| OffsetCommitRequestTopic {
        name: name.into(),
        partitions: indexes.iter().map(|p| partition(*p)).collect(),
        ..Default::default()
    };
    let topics = vec![topic("t", &[0, 5, 1]), topic("none", &[0])];
    for version in 2..=9 {
        let request = OffsetCommitRequest { group_id: "g".into(), topics: topics.clone(), ..simple() };
        let answer = client.ask(version, &request);
        let mut told: Vec<_> = answer
            .topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| (t.name.as_str(), p.partition_index, p.error_code)))
            .collect();
        told.sort_unstable();
        assert_eq!(told, [("none", 0, 3), ("t", 0, 0), ("t", 1, 0), ("t", 5, 3)], "version {version}");
    }
    let by_id = |topic_id: Uuid| OffsetCommitRequestTopic {
        topic_id,
        partitions: vec![partition(0)],
        ..Default::default()
    };
    let topics = vec![by_id(id), by_id(Uuid::from_u128(3))];
    let answer = client.ask(10, &OffsetCommitRequest { group_id: "g".into(), topics, ..simple() });
    let told: Vec<_> = answer.topics.iter().map(|t| (t.topic_id, t.partitions[0].error_code)).collect();
    assert_eq!(told, [(id, 0), (Uuid::from_u128(3), code(ErrorCode::UnknownTopicId))]);
    let none = OffsetCommitRequest { group_id: "nobody".into(), topics: vec![], ..simple() };
    assert!(client.ask(9, &none).topics.is_empty());
    // Fetched back: a partition without an offset is no error.
    assert_eq!(committed(&mut client, "g", "t", 0), 7);
    assert_eq!(committed(&mut client, "g", "t", 9), -1);
    let topic =
        |topic_id| OffsetFetchRequestTopics { topic_id, partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_epoch: -1,
        topics: Some(vec![topic(id), topic(Uuid::from_u128(3))]),
        ..Default::default()
    };
    let answer = client.ask(10, &OffsetFetchRequest { groups: vec![group], ..Default::default() });
    let told: Vec<_> = answer.groups[0]
        .topics
        .iter()
        .map(|t| (t.topic_id, t.partitions[0].committed_offset, t.partitions[0].error_code))
        .collect();
    assert_eq!(told, [(id, 7, 0), (Uuid::from_u128(3), -1, code(ErrorCode::UnknownTopicId))]);
}
