//! Every version carries the answers; only the metadata partition is meant.

use ottla_protocol::messages::{FetchRequest, FetchSnapshotRequest, VoteRequest};
use ottla_quorum::METADATA_TOPIC_ID;
use ottla_raft::SnapshotId;

use super::*;
use bytes::Bytes;
use ottla_protocol::messages::{fetch_request, fetch_snapshot_request, vote_request};
use ottla_protocol::wire::Message;
use ottla_raft::EpochEnd;
use uuid::Uuid;

fn leader() -> Leader {
    Leader { id: Some(2), epoch: 5, at: Some(HostPort::new("two", 9093)) }
}

/// Every version can carry the answer.
fn fits<M: Message>(answer: impl Fn(i16) -> M, from: i16) {
    for version in from.max(M::MIN_VERSION)..=M::MAX_VERSION {
        answer(version).to_vec(version).unwrap_or_else(|error| panic!("{} {version}: {error}", M::NAME));
    }
}

#[test]
fn every_version_carries_the_answers() {
    let vote = || message::VoteResponse { error: Fault::None, leader: leader(), granted: true };
    fits(|version| voted(Some(Response::Vote(vote())), version), 0);
    let epoch = || message::EpochResponse { error: Fault::FencedLeaderEpoch, leader: leader() };
    fits(|version| began(Some(Response::BeginQuorumEpoch(epoch())), version), 0);
    fits(|version| ended(Some(Response::EndQuorumEpoch(epoch())), version), 0);
    let fetch = || message::FetchResponse {
        error: Fault::None,
        leader: leader(),
        high_watermark: 9,
        log_start: 3,
        diverging: Some(EpochEnd { epoch: 4, end_offset: 8 }),
        snapshot: Some(SnapshotId { end_offset: 3, epoch: 1 }),
        records: Bytes::from_static(b"batch"),
        batches: Vec::new(),
    };
    fits(|version| fetched(Some(Response::Fetch(fetch())), version), 12);
    let snapshot = || message::FetchSnapshotResponse {
        error: Fault::None,
        leader: leader(),
        snapshot: Some(SnapshotId { end_offset: 3, epoch: 1 }),
        size: 10,
        position: 5,
        bytes: Bytes::from_static(b"bytes"),
    };
    fits(|version| fetched_snapshot(Some(Response::FetchSnapshot(snapshot())), version), 0);
    let told = fetched(Some(Response::Fetch(fetch())), 17);
    let partition = &told.responses[0].partitions[0];
    assert_eq!((partition.diverging_epoch.epoch, partition.snapshot_id.end_offset), (4, 3));
    assert_eq!((told.node_endpoints[0].node_id, told.node_endpoints[0].port), (2, 9093));
    assert_eq!(voted(None, 2).error_code, -1);
    assert_eq!(voted(Some(INVALID), 2).error_code, 42);
}

#[test]
fn only_the_metadata_partition_is_meant() {
    let request = |topic: &str, index: i32| VoteRequest {
        voter_id: 1,
        topics: vec![vote_request::TopicData {
            topic_name: topic.to_owned(),
            partitions: vec![vote_request::PartitionData {
                partition_index: index,
                replica_id: 2,
                replica_epoch: 5,
                voter_directory_id: Uuid::from_u128(1),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let vote_of = vote(request(METADATA_TOPIC, 0)).unwrap();
    assert_eq!((vote_of.candidate, vote_of.epoch), (ReplicaKey { id: 2, directory: None }, 5));
    assert_eq!(vote_of.voter, Some(ReplicaKey::new(1, Uuid::from_u128(1))));
    assert!(vote(request("t", 0)).is_none() && vote(request(METADATA_TOPIC, 1)).is_none());
    assert!(vote(VoteRequest::default()).is_none());
}

#[test]
fn fetches_name_the_topic_by_its_id() {
    let request = |topic: &str, topic_id: Uuid| FetchRequest {
        replica_id: 3,
        replica_state: fetch_request::ReplicaState { replica_id: 4, replica_epoch: -1 },
        topics: vec![fetch_request::FetchTopic {
            topic: topic.to_owned(),
            topic_id,
            partitions: vec![fetch_request::FetchPartition { fetch_offset: 7, ..Default::default() }],
        }],
        ..Default::default()
    };
    let old = fetch(request("", METADATA_TOPIC_ID), 14).unwrap();
    assert_eq!((old.replica.id, old.offset), (3, 7));
    assert_eq!(fetch(request("", METADATA_TOPIC_ID), 15).unwrap().replica.id, 4);
    for version in FetchRequest::MIN_VERSION..=13 {
        assert!(fetch(request(METADATA_TOPIC, Uuid::nil()), version).is_none(), "version {version}");
    }
}

#[test]
fn other_snapshots_are_unknown() {
    let request = |index: i32| FetchSnapshotRequest {
        topics: vec![fetch_snapshot_request::TopicSnapshot {
            name: METADATA_TOPIC.to_owned(),
            partitions: vec![fetch_snapshot_request::PartitionSnapshot {
                partition: index,
                position: 9,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    assert_eq!(fetch_snapshot(request(0)).unwrap().position, 9);
    let refused = fetch_snapshot(request(1)).unwrap_err();
    assert_eq!(refused.topics[0].partitions[0].error_code, 3);
    assert!(fetch_snapshot(FetchSnapshotRequest::default()).is_err());
}
