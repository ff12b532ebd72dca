//! FetchSnapshot.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    FetchSnapshotRequest, FetchSnapshotResponse, fetch_snapshot_response as snapshot_out,
};
use ottla_protocol::wire::Records;
use ottla_raft::message;
use ottla_raft::{ReplicaKey, Response, SnapshotId};

use super::{id, reachable, top_level};
use crate::handle::quorum::METADATA_TOPIC;

/// What is asked for; or the answer, if it is another partition's snapshot.
pub(crate) fn fetch_snapshot(
    request: FetchSnapshotRequest,
) -> Result<message::FetchSnapshotRequest, FetchSnapshotResponse> {
    let is_metadata = matches!(
        &request.topics[..],
        [topic] if topic.name == METADATA_TOPIC
            && matches!(&topic.partitions[..], [partition] if partition.partition == 0)
    );
    let Some(asked) =
        request.topics.first().and_then(|topic| topic.partitions.first()).filter(|_| is_metadata)
    else {
        return Err(unknown_snapshots(request));
    };
    Ok(message::FetchSnapshotRequest {
        replica: ReplicaKey::new(request.replica_id, asked.replica_directory_id),
        epoch: asked.current_leader_epoch,
        snapshot: SnapshotId { end_offset: asked.snapshot_id.end_offset, epoch: asked.snapshot_id.epoch },
        position: asked.position,
        max_bytes: request.max_bytes,
        cluster_id: request.cluster_id,
    })
}

fn unknown_snapshots(request: FetchSnapshotRequest) -> FetchSnapshotResponse {
    let unknown = |index: i32| snapshot_out::PartitionSnapshot {
        index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        ..Default::default()
    };
    let topics = request.topics.into_iter().map(|topic| snapshot_out::TopicSnapshot {
        name: topic.name,
        partitions: topic.partitions.iter().map(|partition| unknown(partition.partition)).collect(),
    });
    FetchSnapshotResponse { topics: topics.collect(), ..Default::default() }
}

pub(crate) fn fetched_snapshot(answer: Option<Response>, version: i16) -> FetchSnapshotResponse {
    let Some(Response::FetchSnapshot(fetch)) = answer else {
        return FetchSnapshotResponse { error_code: top_level(&answer), ..Default::default() };
    };
    let id_of = fetch.snapshot.map_or_else(snapshot_out::SnapshotId::default, |id| {
        snapshot_out::SnapshotId { end_offset: id.end_offset, epoch: id.epoch }
    });
    let partition = snapshot_out::PartitionSnapshot {
        index: 0,
        error_code: fetch.error.code(),
        snapshot_id: id_of,
        current_leader: snapshot_out::LeaderIdAndEpoch {
            leader_id: id(&fetch.leader),
            leader_epoch: fetch.leader.epoch,
        },
        size: fetch.size,
        position: fetch.position,
        unaligned_records: Records::Bytes(fetch.bytes),
    };
    let endpoint = reachable(&fetch.leader, version >= 1).map(|(node_id, at)| snapshot_out::NodeEndpoint {
        node_id,
        host: at.host,
        port: at.port,
    });
    FetchSnapshotResponse {
        topics: vec![snapshot_out::TopicSnapshot {
            name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
        }],
        node_endpoints: endpoint.into_iter().collect(),
        ..Default::default()
    }
}
