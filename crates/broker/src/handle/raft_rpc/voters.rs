//! Changes of the voter set (KIP-853).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::update_raft_voter_response::CurrentLeader;
use ottla_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
    UpdateRaftVoterRequest, UpdateRaftVoterResponse,
};
use ottla_raft::message::{AddVoterRequest, RemoveVoterRequest, UpdateVoterRequest};
use ottla_raft::{Endpoints, HostPort, ReplicaKey, Request, Response, VersionRange, Voter};

use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

pub(crate) fn add_voter(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: AddRaftVoterRequest = call.owned()?;
    let listeners = request.listeners.into_iter().map(|at| (at.name, HostPort::new(at.host, at.port)));
    let request = Request::AddVoter(AddVoterRequest {
        cluster_id: request.cluster_id,
        timeout_ms: request.timeout_ms,
        voter: ReplicaKey::new(request.voter_id, request.voter_directory_id),
        endpoints: Endpoints::from_pairs(listeners),
        ack_when_committed: call.version() < 1 || request.ack_when_committed,
    });
    super::ask(call, request, |answer, _| {
        let (error_code, error_message) = changed(answer);
        AddRaftVoterResponse { error_code, error_message, ..Default::default() }
    })
}

pub(crate) fn remove_voter(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: RemoveRaftVoterRequest = call.owned()?;
    let request = Request::RemoveVoter(RemoveVoterRequest {
        cluster_id: request.cluster_id,
        voter: ReplicaKey::new(request.voter_id, request.voter_directory_id),
    });
    super::ask(call, request, |answer, _| {
        let (error_code, error_message) = changed(answer);
        RemoveRaftVoterResponse { error_code, error_message, ..Default::default() }
    })
}

/// The error of a change, and the words for whoever asked for it.
fn changed(answer: Option<Response>) -> (i16, Option<String>) {
    match answer {
        Some(Response::AddVoter(change) | Response::RemoveVoter(change)) => {
            (change.error.code(), change.message)
        }
        Some(Response::Refused(fault)) => (fault.code(), None),
        _ => (ErrorCode::UnknownServerError.code(), None),
    }
}

pub(crate) fn update_voter(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: UpdateRaftVoterRequest = call.owned()?;
    let listeners = request.listeners.into_iter().map(|at| (at.name, HostPort::new(at.host, at.port)));
    let versions = request.kraft_version_feature;
    let request = Request::UpdateVoter(UpdateVoterRequest {
        cluster_id: request.cluster_id,
        epoch: request.current_leader_epoch,
        voter: Voter {
            key: ReplicaKey::new(request.voter_id, request.voter_directory_id),
            endpoints: Endpoints::from_pairs(listeners),
            kraft_versions: VersionRange {
                min: versions.min_supported_version,
                max: versions.max_supported_version,
            },
        },
    });
    super::ask(call, request, |answer, _| updated(answer))
}

fn updated(answer: Option<Response>) -> UpdateRaftVoterResponse {
    let failed = |error_code| UpdateRaftVoterResponse { error_code, ..Default::default() };
    match answer {
        Some(Response::UpdateVoter(update)) => {
            let at = update.leader.at.unwrap_or_else(|| HostPort::new("", 0));
            UpdateRaftVoterResponse {
                current_leader: CurrentLeader {
                    leader_id: update.leader.id.unwrap_or(-1),
                    leader_epoch: update.leader.epoch,
                    host: at.host,
                    port: at.port.into(),
                },
                ..failed(update.error.code())
            }
        }
        Some(Response::Refused(fault)) => failed(fault.code()),
        _ => failed(ErrorCode::UnknownServerError.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_raft::Fault;
    use ottla_raft::message::{ChangeResponse, Leader, UpdateVoterResponse};

    #[test]
    fn errors_and_their_words_are_passed_on() {
        let change = ChangeResponse { error: Fault::DuplicateVoter, message: Some("there is one".into()) };
        assert_eq!(changed(Some(Response::AddVoter(change))), (126, Some("there is one".into())));
        assert_eq!(changed(Some(Response::Refused(Fault::InconsistentClusterId))), (104, None));
        assert_eq!(changed(None), (-1, None));
    }

    #[test]
    fn updates_name_the_leader() {
        let at = Some(HostPort::new("h", 9));
        let leader = Leader { id: Some(3), epoch: 8, at };
        let answer = updated(Some(Response::UpdateVoter(UpdateVoterResponse { error: Fault::None, leader })));
        let told = answer.current_leader;
        assert_eq!((told.leader_id, told.leader_epoch, told.host.as_str(), told.port), (3, 8, "h", 9));
        assert_eq!(updated(None).error_code, -1);
    }
}
