//! Raft's messages as they stand on the wire: one partition unwrapped from requests and wrapped into responses.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse,
    FetchRequest, FetchResponse, FetchSnapshotRequest, FetchSnapshotResponse, VoteRequest, VoteResponse,
    begin_quorum_epoch_response as begin_out, end_quorum_epoch_response as end_out,
    fetch_response as fetch_out, fetch_snapshot_response as snapshot_out, vote_response as vote_out,
};
use ottla_protocol::wire::Records;
use ottla_quorum::METADATA_TOPIC_ID;
use ottla_raft::message::{self, Leader};
use ottla_raft::{Endpoints, Fault, HostPort, ReplicaKey, Response, SnapshotId};

use crate::handle::quorum::METADATA_TOPIC;

/// What a request that does not name the metadata partition gets.
pub(super) const INVALID: Response = Response::Refused(Fault::InvalidRequest);
/// First versions of Fetch by topic id, with a replica state, and that tell where the leader is.
const FETCH_BY_ID_FROM: i16 = 13;
const FETCH_STATE_FROM: i16 = 15;
const FETCH_ENDPOINTS_FROM: i16 = 17;

/// The one element there may be, if it is as it must be.
fn only<T>(list: Vec<T>, is_metadata: impl FnOnce(&T) -> bool) -> Option<T> {
    let [one] = <[T; 1]>::try_from(list).ok()?;
    is_metadata(&one).then_some(one)
}

/// The top-level error of an answer without partitions.
fn top_level(answer: &Option<Response>) -> i16 {
    match answer {
        Some(Response::Refused(fault)) => fault.code(),
        _ => ErrorCode::UnknownServerError.code(),
    }
}

/// Who leads and where, if both are known and the version can say it.
fn reachable(leader: &Leader, told: bool) -> Option<(i32, HostPort)> {
    if !told {
        return None;
    }
    Some((leader.id?, leader.at.clone()?))
}

fn id(leader: &Leader) -> i32 {
    leader.id.unwrap_or(-1)
}

pub(super) fn vote(request: VoteRequest) -> Option<message::VoteRequest> {
    let topic = only(request.topics, |topic| topic.topic_name == METADATA_TOPIC)?;
    let asked = only(topic.partitions, |partition| partition.partition_index == 0)?;
    let voter = (request.voter_id >= 0).then(|| ReplicaKey::new(request.voter_id, asked.voter_directory_id));
    Some(message::VoteRequest {
        cluster_id: request.cluster_id,
        voter,
        candidate: ReplicaKey::new(asked.replica_id, asked.replica_directory_id),
        epoch: asked.replica_epoch,
        last_epoch: asked.last_offset_epoch,
        end_offset: asked.last_offset,
        pre_vote: asked.pre_vote,
    })
}

pub(super) fn voted(answer: Option<Response>, version: i16) -> VoteResponse {
    let Some(Response::Vote(vote)) = answer else {
        return VoteResponse { error_code: top_level(&answer), ..Default::default() };
    };
    let partition = vote_out::PartitionData {
        partition_index: 0,
        error_code: vote.error.code(),
        leader_id: id(&vote.leader),
        leader_epoch: vote.leader.epoch,
        vote_granted: vote.granted,
    };
    let endpoint = reachable(&vote.leader, version >= 1).map(|(node_id, at)| vote_out::NodeEndpoint {
        node_id,
        host: at.host,
        port: at.port,
    });
    VoteResponse {
        error_code: 0,
        topics: vec![vote_out::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
        }],
        node_endpoints: endpoint.into_iter().collect(),
    }
}

pub(super) fn begin_epoch(request: BeginQuorumEpochRequest) -> Option<message::BeginEpochRequest> {
    let topic = only(request.topics, |topic| topic.topic_name == METADATA_TOPIC)?;
    let told = only(topic.partitions, |partition| partition.partition_index == 0)?;
    let voter = (request.voter_id >= 0).then(|| ReplicaKey::new(request.voter_id, told.voter_directory_id));
    let endpoints = request.leader_endpoints.into_iter().map(|at| (at.name, HostPort::new(at.host, at.port)));
    Some(message::BeginEpochRequest {
        cluster_id: request.cluster_id,
        voter,
        leader_id: told.leader_id,
        epoch: told.leader_epoch,
        endpoints: Endpoints::from_pairs(endpoints),
    })
}

pub(super) fn began(answer: Option<Response>, version: i16) -> BeginQuorumEpochResponse {
    let Some(Response::BeginQuorumEpoch(epoch)) = answer else {
        return BeginQuorumEpochResponse { error_code: top_level(&answer), ..Default::default() };
    };
    let partition = begin_out::PartitionData {
        partition_index: 0,
        error_code: epoch.error.code(),
        leader_id: id(&epoch.leader),
        leader_epoch: epoch.leader.epoch,
    };
    let endpoint = reachable(&epoch.leader, version >= 1).map(|(node_id, at)| begin_out::NodeEndpoint {
        node_id,
        host: at.host,
        port: at.port,
    });
    BeginQuorumEpochResponse {
        error_code: 0,
        topics: vec![begin_out::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
        }],
        node_endpoints: endpoint.into_iter().collect(),
    }
}

pub(super) fn end_epoch(request: EndQuorumEpochRequest, version: i16) -> Option<message::EndEpochRequest> {
    let topic = only(request.topics, |topic| topic.topic_name == METADATA_TOPIC)?;
    let told = only(topic.partitions, |partition| partition.partition_index == 0)?;
    let successors = if version >= 1 {
        let key = |candidate: &ottla_protocol::messages::end_quorum_epoch_request::ReplicaInfo| {
            ReplicaKey::new(candidate.candidate_id, candidate.candidate_directory_id)
        };
        told.preferred_candidates.iter().map(key).collect()
    } else {
        told.preferred_successors.iter().map(|&id| ReplicaKey { id, directory: None }).collect()
    };
    let endpoints = request.leader_endpoints.into_iter().map(|at| (at.name, HostPort::new(at.host, at.port)));
    Some(message::EndEpochRequest {
        cluster_id: request.cluster_id,
        leader_id: told.leader_id,
        epoch: told.leader_epoch,
        successors,
        endpoints: Endpoints::from_pairs(endpoints),
    })
}

pub(super) fn ended(answer: Option<Response>, version: i16) -> EndQuorumEpochResponse {
    let Some(Response::EndQuorumEpoch(epoch)) = answer else {
        return EndQuorumEpochResponse { error_code: top_level(&answer), ..Default::default() };
    };
    let partition = end_out::PartitionData {
        partition_index: 0,
        error_code: epoch.error.code(),
        leader_id: id(&epoch.leader),
        leader_epoch: epoch.leader.epoch,
    };
    let endpoint = reachable(&epoch.leader, version >= 1).map(|(node_id, at)| end_out::NodeEndpoint {
        node_id,
        host: at.host,
        port: at.port,
    });
    EndQuorumEpochResponse {
        error_code: 0,
        topics: vec![end_out::TopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
        }],
        node_endpoints: endpoint.into_iter().collect(),
    }
}

pub(super) fn fetch(request: FetchRequest, version: i16) -> Option<message::FetchRequest> {
    let replica_id =
        if version >= FETCH_STATE_FROM { request.replica_state.replica_id } else { request.replica_id };
    let topic = only(request.topics, |topic| {
        if version >= FETCH_BY_ID_FROM {
            topic.topic_id == METADATA_TOPIC_ID
        } else {
            topic.topic == METADATA_TOPIC
        }
    })?;
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

pub(super) fn fetched(answer: Option<Response>, version: i16) -> FetchResponse {
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

/// What is asked for; or the answer, if it is another partition's snapshot.
pub(super) fn fetch_snapshot(
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

pub(super) fn fetched_snapshot(answer: Option<Response>, version: i16) -> FetchSnapshotResponse {
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

#[cfg(test)]
mod tests {
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
    fn fetches_name_the_topic_by_name_or_id() {
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
        let old = fetch(request(METADATA_TOPIC, Uuid::nil()), 12).unwrap();
        assert_eq!((old.replica.id, old.offset), (3, 7));
        assert_eq!(fetch(request("", METADATA_TOPIC_ID), 15).unwrap().replica.id, 4);
        assert!(fetch(request(METADATA_TOPIC, Uuid::nil()), 13).is_none());
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
}
