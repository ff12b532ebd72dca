//! Changes of the voter set, and what a would-be voter supports.

use ottla_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, ApiVersionsResponse, RemoveRaftVoterRequest,
    RemoveRaftVoterResponse, UpdateRaftVoterRequest, UpdateRaftVoterResponse, add_raft_voter_request,
    update_raft_voter_request,
};
use ottla_raft::message;
use ottla_raft::{Fault, HostPort, Response, VersionRange};

use super::{directory, leader};

/// The first version of AddRaftVoter that can be acknowledged before the commit.
const ACK_CHOICE_FROM: i16 = 1;

pub(in super::super) fn add_voter(add: &message::AddVoterRequest, version: i16) -> AddRaftVoterRequest {
    let listener = |(name, at): (&str, &HostPort)| add_raft_voter_request::Listener {
        name: name.to_owned(),
        host: at.host.clone(),
        port: at.port,
    };
    AddRaftVoterRequest {
        cluster_id: add.cluster_id.clone(),
        timeout_ms: add.timeout_ms,
        voter_id: add.voter.id,
        voter_directory_id: directory(&add.voter),
        listeners: add.endpoints.iter().map(listener).collect(),
        ack_when_committed: version < ACK_CHOICE_FROM || add.ack_when_committed,
    }
}

pub(in super::super) fn added(answer: AddRaftVoterResponse) -> Response {
    Response::AddVoter(message::ChangeResponse {
        error: Fault::from_code(answer.error_code),
        message: answer.error_message,
    })
}

pub(in super::super) fn remove_voter(remove: &message::RemoveVoterRequest) -> RemoveRaftVoterRequest {
    RemoveRaftVoterRequest {
        cluster_id: remove.cluster_id.clone(),
        voter_id: remove.voter.id,
        voter_directory_id: directory(&remove.voter),
    }
}

pub(in super::super) fn removed(answer: RemoveRaftVoterResponse) -> Response {
    Response::RemoveVoter(message::ChangeResponse {
        error: Fault::from_code(answer.error_code),
        message: answer.error_message,
    })
}

pub(in super::super) fn update_voter(update: &message::UpdateVoterRequest) -> UpdateRaftVoterRequest {
    let listener = |(name, at): (&str, &HostPort)| update_raft_voter_request::Listener {
        name: name.to_owned(),
        host: at.host.clone(),
        port: at.port,
    };
    UpdateRaftVoterRequest {
        cluster_id: update.cluster_id.clone(),
        current_leader_epoch: update.epoch,
        voter_id: update.voter.key.id,
        voter_directory_id: directory(&update.voter.key),
        listeners: update.voter.endpoints.iter().map(listener).collect(),
        kraft_version_feature: update_raft_voter_request::KRaftVersionFeature {
            min_supported_version: update.voter.kraft_versions.min,
            max_supported_version: update.voter.kraft_versions.max,
        },
    }
}

pub(in super::super) fn updated(answer: UpdateRaftVoterResponse) -> Response {
    let told = answer.current_leader;
    // A port that is none is an address that is not known.
    let port = u16::try_from(told.port).ok().filter(|port| *port > 0);
    let endpoint = port.map(|port| (told.leader_id, told.host, port));
    Response::UpdateVoter(message::UpdateVoterResponse {
        error: Fault::from_code(answer.error_code),
        leader: leader(told.leader_id, told.leader_epoch, endpoint.into_iter()),
    })
}

pub(in super::super) fn versions(answer: &ApiVersionsResponse) -> Response {
    let feature = answer.supported_features.iter().find(|feature| feature.name == "kraft.version");
    Response::ApiVersions(message::ApiVersionsResponse {
        error: Fault::from_code(answer.error_code),
        kraft_versions: feature
            .map(|feature| VersionRange { min: feature.min_version, max: feature.max_version }),
    })
}
