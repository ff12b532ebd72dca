//! DescribeCluster, ElectLeaders, UpdateFeatures, UnregisterBroker.

use ottla_metadata::Image;
use ottla_metadata::decide::{Decision, FeatureContext};
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use ottla_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, ElectLeadersRequest, ElectLeadersResponse,
    UnregisterBrokerRequest, UnregisterBrokerResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use ottla_protocol::{ErrorCode, Listener};

use crate::controller_host::{Turn, Unavailable};
use crate::dispatch::Call;
use crate::handle::metadata::for_controller;
use crate::handle::operations;
use crate::reply::{Outcome, Refusal};

/// Kinds of endpoints that DescribeCluster can ask for (KIP-919).
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
/// The time that requests without a timeout of their own get.
const TIMEOUT_MS: i32 = 30_000;

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeClusterRequest = call.owned()?;
    let version = call.version();
    let asked = if version >= 1 { request.endpoint_type } else { BROKERS };
    let here = match call.peer.listener {
        Listener::Broker => BROKERS,
        Listener::Controller => CONTROLLERS,
    };
    if let Some((code, message)) = endpoint_type_error(version, asked, here) {
        return call.reply(&DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(message),
            ..Default::default()
        });
    }
    let node = call.node();
    let image = node.image();
    let listener = &*call.peer.listener_name;
    let (brokers, controller_id) = if here == BROKERS {
        (
            brokers(&image, listener, version >= 2 && request.include_fenced_brokers),
            for_controller(&image, node.node_id(), listener),
        )
    } else {
        (controllers(&image, listener), node.controller().leader().unwrap_or(-1))
    };
    let operations =
        if request.include_cluster_authorized_operations { operations::CLUSTER } else { i32::MIN };
    call.reply(&DescribeClusterResponse {
        endpoint_type: here,
        cluster_id: node.cluster_id().to_owned(),
        // A node that is not in the list would only confuse clients.
        controller_id: if brokers.iter().any(|b| b.broker_id == controller_id) { controller_id } else { -1 },
        brokers,
        cluster_authorized_operations: operations,
        ..Default::default()
    })
}

fn endpoint_type_error(version: i16, asked: i8, here: i8) -> Option<(ErrorCode, String)> {
    let name = |kind: i8| if kind == BROKERS { "BROKER" } else { "CONTROLLER" };
    let (code, message) = if !matches!(asked, BROKERS | CONTROLLERS) {
        (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {asked}"))
    } else if asked != here {
        let message = format!(
            "The request was sent to an endpoint of type {}, but we wanted an endpoint of type {}",
            name(here),
            name(asked)
        );
        (ErrorCode::MismatchedEndpointType, message)
    } else {
        return None;
    };
    // Clients of version 0 know neither of the codes.
    Some((if version == 0 { ErrorCode::InvalidRequest } else { code }, message))
}

fn brokers(image: &Image, listener: &str, with_fenced: bool) -> Vec<DescribeClusterBroker> {
    let shown = image.brokers.values().filter(|broker| with_fenced || !broker.fenced);
    shown
        .filter_map(|broker| {
            let endpoint = broker.endpoint(listener)?;
            Some(DescribeClusterBroker {
                broker_id: broker.id,
                host: endpoint.host.clone(),
                port: endpoint.port.into(),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
            })
        })
        .collect()
}

fn controllers(image: &Image, listener: &str) -> Vec<DescribeClusterBroker> {
    image
        .controllers
        .values()
        .filter_map(|controller| {
            let endpoint = controller.endpoints.iter().find(|endpoint| endpoint.name == listener)?;
            Some(DescribeClusterBroker {
                broker_id: controller.id,
                host: endpoint.host.clone(),
                port: endpoint.port.into(),
                rack: None,
                is_fenced: false,
            })
        })
        .collect()
}

pub(crate) fn elect_leaders(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: ElectLeadersRequest = call.owned()?;
    if call.version() == 0 {
        // The first version elects preferred leaders only.
        request.election_type = 0;
    }
    let (node, to, version) = (call.node().clone(), call.reply_to(), call.version());
    Ok(Outcome::Later(Box::pin(async move {
        let asked = request.topic_partitions.clone().unwrap_or_default();
        let answer = node
            .controller()
            .ask(&node, request.timeout_ms, move |turn| turn.controller.view().elect_leaders(&request));
        let mut body = answer.await.unwrap_or_else(|error| {
            let refused = |&partition_id: &i32| PartitionResult {
                partition_id,
                error_code: error.code().code(),
                error_message: Some(error.to_string()),
            };
            ElectLeadersResponse {
                error_code: error.code().code(),
                replica_election_results: asked
                    .iter()
                    .map(|topic| ReplicaElectionResult {
                        topic: topic.topic.clone(),
                        partition_result: topic.partitions.iter().map(refused).collect(),
                    })
                    .collect(),
                ..Default::default()
            }
        });
        if version == 0 {
            // It has no error of its own yet, only those of partitions.
            body.error_code = 0;
        }
        to.with(&body)
    })))
}

pub(crate) fn update_features(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: UpdateFeaturesRequest = call.owned()?;
    let request_version = call.version();
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let answer = node.controller().ask(&node, request.timeout_ms.max(TIMEOUT_MS), move |turn| {
            decide_features(turn, &request, request_version)
        });
        let body = answer.await.unwrap_or_else(|error| features_refused(error.code(), error.to_string()));
        to.with(&body)
    })))
}

/// The records of a feature update. `kraft.version` lives in raft's own records: raft raises it before these are
/// appended, and if it refuses nothing is.
fn decide_features(
    turn: &mut Turn<'_>,
    request: &UpdateFeaturesRequest,
    request_version: i16,
) -> Decision<UpdateFeaturesResponse> {
    let status = turn.quorum.status();
    let context = FeatureContext {
        request_version,
        kraft_version: status.kraft_version,
        voters: status.voters.ids().collect(),
    };
    let decision = turn.controller.view().update_features(request, &context);
    let Some(level) = decision.reply.raise_kraft_version else {
        return decision.map(|reply| reply.response);
    };
    let refusal = match turn.quorum.upgrade_kraft_version(turn.epoch, level, false) {
        Ok(Ok(_)) => return decision.map(|reply| reply.response),
        Ok(Err(ottla_raft::UpgradeError::NotLeader(_))) | Err(ottla_quorum::Stopped) => {
            let error = Unavailable::NotController;
            (error.code(), error.to_string())
        }
        Ok(Err(error @ ottla_raft::UpgradeError::Invalid { .. })) => {
            let message = format!(
                "The update failed for all features since the following feature had an error: Invalid update version \
                 {level} for feature kraft.version. {error}"
            );
            (ErrorCode::InvalidUpdateVersion, message)
        }
    };
    Decision::read(features_refused(refusal.0, refusal.1))
}

fn features_refused(code: ErrorCode, message: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
}

pub(crate) fn unregister_broker(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: UnregisterBrokerRequest = call.owned()?;
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let answer = node
            .controller()
            .ask(&node, TIMEOUT_MS, move |turn| turn.controller.view().unregister_broker(&request));
        let body = answer.await.unwrap_or_else(|error| UnregisterBrokerResponse {
            error_code: error.code().code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        });
        to.with(&body)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_must_ask_for_what_the_listener_is() {
        assert_eq!(endpoint_type_error(1, BROKERS, BROKERS), None);
        assert_eq!(endpoint_type_error(2, CONTROLLERS, CONTROLLERS), None);
        let (code, message) = endpoint_type_error(1, CONTROLLERS, BROKERS).unwrap();
        assert_eq!(code, ErrorCode::MismatchedEndpointType);
        assert_eq!(
            message,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
        );
        assert_eq!(endpoint_type_error(0, BROKERS, CONTROLLERS).unwrap().0, ErrorCode::InvalidRequest);
        assert_eq!(endpoint_type_error(1, 7, BROKERS).unwrap().0, ErrorCode::UnsupportedEndpointType);
    }

    #[test]
    fn fenced_brokers_are_told_to_those_who_ask_for_them() {
        let image = crate::handle::three_brokers::image("t");
        let told = |listener: &str, with_fenced: bool| -> Vec<(i32, bool, i32)> {
            let brokers = brokers(&image, listener, with_fenced).into_iter();
            brokers.map(|b| (b.broker_id, b.is_fenced, b.port)).collect()
        };
        assert_eq!(told("PLAIN", false), [(1, false, 9000), (3, false, 9000)]);
        assert_eq!(told("PLAIN", true), [(1, false, 9000), (2, true, 9000), (3, false, 9000)]);
        assert_eq!(told("INSIDE", true), [(1, false, 9001), (2, true, 9001)]);
    }

    #[test]
    fn controllers_are_told_with_the_listener_of_the_question() {
        let image = crate::handle::three_brokers::image("t");
        let told: Vec<_> =
            controllers(&image, "CONTROLLER").into_iter().map(|c| (c.broker_id, c.host, c.port)).collect();
        assert_eq!(told, [(4, "host4".into(), 9093)]);
    }
}
