//! Raft's messages as they stand on the wire: one partition unwrapped from requests and wrapped into responses.

mod fetch;
mod snapshot;
#[cfg(test)]
mod tests;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse,
    VoteRequest, VoteResponse, begin_quorum_epoch_response as begin_out,
    end_quorum_epoch_response as end_out, vote_response as vote_out,
};
use ottla_raft::message::{self, Leader};
use ottla_raft::{Endpoints, Fault, HostPort, ReplicaKey, Response};

pub(crate) use fetch::{fetch, fetched};
pub(crate) use snapshot::{fetch_snapshot, fetched_snapshot};

use crate::handle::quorum::METADATA_TOPIC;

/// What a request that does not name the metadata partition gets.
pub(super) const INVALID: Response = Response::Refused(Fault::InvalidRequest);

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

pub(crate) fn vote(request: VoteRequest) -> Option<message::VoteRequest> {
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

pub(crate) fn voted(answer: Option<Response>, version: i16) -> VoteResponse {
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

pub(crate) fn begin_epoch(request: BeginQuorumEpochRequest) -> Option<message::BeginEpochRequest> {
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

pub(crate) fn began(answer: Option<Response>, version: i16) -> BeginQuorumEpochResponse {
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

pub(crate) fn end_epoch(request: EndQuorumEpochRequest, version: i16) -> Option<message::EndEpochRequest> {
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

pub(crate) fn ended(answer: Option<Response>, version: i16) -> EndQuorumEpochResponse {
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
