//! Fetch of the metadata partition, and FetchSnapshot.

use ottla_protocol::messages::{
    FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, fetch_request,
    fetch_snapshot_request as snapshot_request,
};
use ottla_protocol::wire::Records;
use ottla_quorum::METADATA_TOPIC_ID;
use ottla_raft::message;
use ottla_raft::{EpochEnd, Fault, Response, SnapshotId};

use super::{directory, leader, refusal};
use crate::handle::quorum::METADATA_TOPIC;

/// First versions of Fetch by topic id, with a replica state, with a directory, and with a high watermark.
const BY_ID_FROM: i16 = 13;
const STATE_FROM: i16 = 15;
const DIRECTORY_FROM: i16 = 17;
const WATERMARK_FROM: i16 = 18;
/// The first version of FetchSnapshot with a directory.
const SNAPSHOT_DIRECTORY_FROM: i16 = 1;
/// What a partition may take is bounded by the whole answer.
const NO_PARTITION_LIMIT: i32 = i32::MAX;

pub(in super::super) fn fetch(fetch: &message::FetchRequest, version: i16) -> FetchRequest {
    let mut partition = fetch_request::FetchPartition {
        partition: 0,
        current_leader_epoch: fetch.epoch,
        fetch_offset: fetch.offset,
        last_fetched_epoch: fetch.last_epoch,
        log_start_offset: -1,
        partition_max_bytes: NO_PARTITION_LIMIT,
        ..Default::default()
    };
    if version >= DIRECTORY_FROM {
        partition.replica_directory_id = directory(&fetch.replica);
    }
    if version >= WATERMARK_FROM {
        partition.high_watermark = fetch.high_watermark;
    }
    let by_id = version >= BY_ID_FROM;
    let topic = fetch_request::FetchTopic {
        topic: if by_id { String::new() } else { METADATA_TOPIC.to_owned() },
        topic_id: if by_id { METADATA_TOPIC_ID } else { uuid::Uuid::nil() },
        partitions: vec![partition],
    };
    let mut request = FetchRequest {
        cluster_id: fetch.cluster_id.clone(),
        max_wait_ms: fetch.max_wait_ms,
        min_bytes: 0,
        max_bytes: fetch.max_bytes,
        topics: vec![topic],
        ..Default::default()
    };
    if version >= STATE_FROM {
        request.replica_state =
            fetch_request::ReplicaState { replica_id: fetch.replica.id, replica_epoch: -1 };
    } else {
        request.replica_id = fetch.replica.id;
    }
    request
}

pub(in super::super) fn fetched(mut answer: FetchResponse) -> Option<Response> {
    if let Some(refused) = refusal(answer.error_code) {
        return Some(refused);
    }
    let partition = answer.responses.pop()?.partitions.pop()?;
    let endpoints = answer.node_endpoints.into_iter();
    // A port that is none is an address that is not known.
    let endpoints = endpoints.filter_map(|at| Some((at.node_id, at.host, u16::try_from(at.port).ok()?)));
    let (end, snapshot, told) =
        (&partition.diverging_epoch, &partition.snapshot_id, &partition.current_leader);
    let diverging = (end.epoch >= 0 || end.end_offset >= 0)
        .then_some(EpochEnd { epoch: end.epoch, end_offset: end.end_offset });
    let snapshot = (snapshot.epoch >= 0 || snapshot.end_offset >= 0)
        .then_some(SnapshotId { end_offset: snapshot.end_offset, epoch: snapshot.epoch });
    Some(Response::Fetch(message::FetchResponse {
        error: Fault::from_code(partition.error_code),
        leader: leader(told.leader_id, told.leader_epoch, endpoints),
        high_watermark: partition.high_watermark,
        log_start: partition.log_start_offset,
        diverging,
        snapshot,
        records: partition.records.as_ref().and_then(Records::as_bytes).cloned().unwrap_or_default(),
        batches: Vec::new(),
    }))
}

pub(in super::super) fn fetch_snapshot(
    fetch: &message::FetchSnapshotRequest,
    version: i16,
) -> FetchSnapshotRequest {
    let mut partition = snapshot_request::PartitionSnapshot {
        partition: 0,
        current_leader_epoch: fetch.epoch,
        snapshot_id: snapshot_request::SnapshotId {
            end_offset: fetch.snapshot.end_offset,
            epoch: fetch.snapshot.epoch,
        },
        position: fetch.position,
        ..Default::default()
    };
    if version >= SNAPSHOT_DIRECTORY_FROM {
        partition.replica_directory_id = directory(&fetch.replica);
    }
    FetchSnapshotRequest {
        cluster_id: fetch.cluster_id.clone(),
        replica_id: fetch.replica.id,
        max_bytes: fetch.max_bytes,
        topics: vec![snapshot_request::TopicSnapshot {
            name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
        }],
    }
}

pub(in super::super) fn fetched_snapshot(mut answer: FetchSnapshotResponse) -> Option<Response> {
    if let Some(refused) = refusal(answer.error_code) {
        return Some(refused);
    }
    let partition = answer.topics.pop()?.partitions.pop()?;
    let endpoints = answer.node_endpoints.into_iter().map(|at| (at.node_id, at.host, at.port));
    let id = SnapshotId { end_offset: partition.snapshot_id.end_offset, epoch: partition.snapshot_id.epoch };
    let told = &partition.current_leader;
    Some(Response::FetchSnapshot(message::FetchSnapshotResponse {
        error: Fault::from_code(partition.error_code),
        leader: leader(told.leader_id, told.leader_epoch, endpoints),
        snapshot: (partition.error_code == 0).then_some(id),
        size: partition.size,
        position: partition.position,
        bytes: partition.unaligned_records.as_bytes().cloned().unwrap_or_default(),
    }))
}
