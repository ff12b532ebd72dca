//! Raft's messages on their way out: requests wrapped into Kafka's, answers unwrapped. The reverse of what the
//! handlers of the same requests do.

mod change;
mod replicate;
#[cfg(test)]
mod tests;

use ottla_protocol::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, EndQuorumEpochRequest, EndQuorumEpochResponse,
    VoteRequest, VoteResponse, begin_quorum_epoch_request as begin, end_quorum_epoch_request as end,
    vote_request,
};
use ottla_raft::message::{self, Leader};
use ottla_raft::{Fault, HostPort, ReplicaKey, Response};
use uuid::Uuid;

pub(super) use change::{add_voter, added, remove_voter, removed, update_voter, updated, versions};
pub(super) use replicate::{fetch, fetch_snapshot, fetched, fetched_snapshot};

use crate::handle::quorum::METADATA_TOPIC;

/// The first version of Vote with pre-votes.
const PRE_VOTE_FROM: i16 = 2;

/// The directory as it stands on the wire: zero for one that is not known.
fn directory(key: &ReplicaKey) -> Uuid {
    key.directory.unwrap_or_default()
}

/// The leader, and its address among those that came along.
fn leader(id: i32, epoch: i32, mut endpoints: impl Iterator<Item = (i32, String, u16)>) -> Leader {
    let at = endpoints.find(|(node, ..)| *node == id).map(|(_, host, port)| HostPort::new(host, port));
    Leader { id: (id >= 0).then_some(id), epoch, at }
}

/// The top-level error, if there is one.
fn refusal(code: i16) -> Option<Response> {
    (code != 0).then(|| Response::Refused(Fault::from_code(code)))
}

/// The request; nothing for a pre-vote in a version without them.
pub(super) fn vote(vote: &message::VoteRequest, version: i16) -> Option<VoteRequest> {
    if vote.pre_vote && version < PRE_VOTE_FROM {
        return None;
    }
    let partition = vote_request::PartitionData {
        partition_index: 0,
        replica_epoch: vote.epoch,
        replica_id: vote.candidate.id,
        replica_directory_id: directory(&vote.candidate),
        voter_directory_id: vote.voter.as_ref().map(directory).unwrap_or_default(),
        last_offset_epoch: vote.last_epoch,
        last_offset: vote.end_offset,
        pre_vote: vote.pre_vote,
    };
    let topic =
        vote_request::TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition] };
    let voter_id = vote.voter.as_ref().map_or(-1, |voter| voter.id);
    Some(VoteRequest { cluster_id: vote.cluster_id.clone(), voter_id, topics: vec![topic] })
}

pub(super) fn voted(mut answer: VoteResponse) -> Option<Response> {
    if let Some(refused) = refusal(answer.error_code) {
        return Some(refused);
    }
    let partition = answer.topics.pop()?.partitions.pop()?;
    let endpoints = answer.node_endpoints.into_iter().map(|at| (at.node_id, at.host, at.port));
    Some(Response::Vote(message::VoteResponse {
        error: Fault::from_code(partition.error_code),
        leader: leader(partition.leader_id, partition.leader_epoch, endpoints),
        granted: partition.vote_granted,
    }))
}

pub(super) fn begin_epoch(told: &message::BeginEpochRequest, version: i16) -> BeginQuorumEpochRequest {
    let partition = begin::PartitionData {
        partition_index: 0,
        voter_directory_id: told.voter.as_ref().map(directory).unwrap_or_default(),
        leader_id: told.leader_id,
        leader_epoch: told.epoch,
    };
    let endpoints = told.endpoints.iter().filter(|_| version >= 1);
    let endpoints = endpoints.map(|(name, at)| begin::LeaderEndpoint {
        name: name.to_owned(),
        host: at.host.clone(),
        port: at.port,
    });
    BeginQuorumEpochRequest {
        cluster_id: told.cluster_id.clone(),
        voter_id: told.voter.as_ref().map_or(-1, |voter| voter.id),
        topics: vec![begin::TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition] }],
        leader_endpoints: endpoints.collect(),
    }
}

pub(super) fn began(mut answer: BeginQuorumEpochResponse) -> Option<Response> {
    if let Some(refused) = refusal(answer.error_code) {
        return Some(refused);
    }
    let partition = answer.topics.pop()?.partitions.pop()?;
    let endpoints = answer.node_endpoints.into_iter().map(|at| (at.node_id, at.host, at.port));
    Some(Response::BeginQuorumEpoch(message::EpochResponse {
        error: Fault::from_code(partition.error_code),
        leader: leader(partition.leader_id, partition.leader_epoch, endpoints),
    }))
}

pub(super) fn end_epoch(told: &message::EndEpochRequest, version: i16) -> EndQuorumEpochRequest {
    let (mut successors, mut candidates, mut endpoints) = (Vec::new(), Vec::new(), Vec::new());
    if version < 1 {
        successors = told.successors.iter().map(|key| key.id).collect();
    } else {
        let candidate = |key: &ReplicaKey| end::ReplicaInfo {
            candidate_id: key.id,
            candidate_directory_id: directory(key),
        };
        candidates = told.successors.iter().map(candidate).collect();
        let endpoint = |(name, at): (&str, &HostPort)| end::LeaderEndpoint {
            name: name.to_owned(),
            host: at.host.clone(),
            port: at.port,
        };
        endpoints = told.endpoints.iter().map(endpoint).collect();
    }
    let partition = end::PartitionData {
        partition_index: 0,
        leader_id: told.leader_id,
        leader_epoch: told.epoch,
        preferred_successors: successors,
        preferred_candidates: candidates,
    };
    EndQuorumEpochRequest {
        cluster_id: told.cluster_id.clone(),
        topics: vec![end::TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition] }],
        leader_endpoints: endpoints,
    }
}

pub(super) fn ended(mut answer: EndQuorumEpochResponse) -> Option<Response> {
    if let Some(refused) = refusal(answer.error_code) {
        return Some(refused);
    }
    let partition = answer.topics.pop()?.partitions.pop()?;
    let endpoints = answer.node_endpoints.into_iter().map(|at| (at.node_id, at.host, at.port));
    Some(Response::EndQuorumEpoch(message::EpochResponse {
        error: Fault::from_code(partition.error_code),
        leader: leader(partition.leader_id, partition.leader_epoch, endpoints),
    }))
}
