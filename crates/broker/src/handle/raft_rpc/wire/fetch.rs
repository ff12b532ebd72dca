//! Fetch of the metadata partition.

use ottla_protocol::messages::{FetchRequest, FetchResponse, fetch_response as fetch_out};
use ottla_protocol::wire::Records;
use ottla_quorum::METADATA_TOPIC_ID;
use ottla_raft::message;
use ottla_raft::{ReplicaKey, Response};

use super::{id, only, reachable, top_level};
use crate::handle::quorum::METADATA_TOPIC;

/// First versions of Fetch by topic id, with a replica state, and that tell where the leader is.
const FETCH_BY_ID_FROM: i16 = 13;
const FETCH_STATE_FROM: i16 = 15;
const FETCH_ENDPOINTS_FROM: i16 = 17;

pub(crate) fn fetch(request: FetchRequest, version: i16) -> Option<message::FetchRequest> {
    let replica_id =
        if version >= FETCH_STATE_FROM { request.replica_state.replica_id } else { request.replica_id };
    // Kafka knows the topic by its id alone: versions that only have the name are refused with what they name.
    let topic =
        only(request.topics, |topic| version >= FETCH_BY_ID_FROM && topic.topic_id == METADATA_TOPIC_ID)?;
    let asked = only(topic.partitions, |partition| partition.partition == 0)?;
    Some(message::FetchRequest {
        cluster_id: request.cluster_id,
        replica: ReplicaKey::new(replica_id, asked.replica_directory_id),
        epoch: asked.current_leader_epoch,
        offset: asked.fetch_offset,
        last_epoch: asked.last_fetched_epoch,
        high_watermark: asked.high_watermark,
        max_wait_ms: request.max_wait_ms,
        max_bytes: request.max_bytes,
    })
}

pub(crate) fn fetched(answer: Option<Response>, version: i16) -> FetchResponse {
    let Some(Response::Fetch(fetch)) = answer else {
        return FetchResponse { error_code: top_level(&answer), ..Default::default() };
    };
    let mut partition = fetch_out::PartitionData {
        partition_index: 0,
        error_code: fetch.error.code(),
        high_watermark: fetch.high_watermark,
        log_start_offset: fetch.log_start,
        current_leader: fetch_out::LeaderIdAndEpoch {
            leader_id: id(&fetch.leader),
            leader_epoch: fetch.leader.epoch,
        },
        records: Some(Records::Bytes(fetch.records)),
        ..Default::default()
    };
    if let Some(end) = fetch.diverging {
        partition.diverging_epoch =
            fetch_out::EpochEndOffset { epoch: end.epoch, end_offset: end.end_offset };
    }
    if let Some(id) = fetch.snapshot {
        partition.snapshot_id = fetch_out::SnapshotId { end_offset: id.end_offset, epoch: id.epoch };
    }
    let by_id = version >= FETCH_BY_ID_FROM;
    let topic = fetch_out::FetchableTopicResponse {
        topic: if by_id { String::new() } else { METADATA_TOPIC.to_owned() },
        topic_id: if by_id { METADATA_TOPIC_ID } else { uuid::Uuid::nil() },
        partitions: vec![partition],
    };
    let told = version >= FETCH_ENDPOINTS_FROM;
    let endpoint = reachable(&fetch.leader, told).map(|(node_id, at)| fetch_out::NodeEndpoint {
        node_id,
        host: at.host,
        port: at.port.into(),
        rack: None,
    });
    FetchResponse {
        responses: vec![topic],
        node_endpoints: endpoint.into_iter().collect(),
        ..Default::default()
    }
}
