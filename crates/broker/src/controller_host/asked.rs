//! What brokers and controllers ask the active controller, and how its desk decides on it: the same whether it comes
//! from this process or over the wire.

use ottla_metadata::Decision;
use ottla_metadata::decide::RegistrationContext;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterPartitionRequest, AlterPartitionResponse,
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerHeartbeatRequest,
    BrokerHeartbeatResponse, BrokerRegistrationRequest, BrokerRegistrationResponse,
    ControllerRegistrationRequest, ControllerRegistrationResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse,
};
use ottla_protocol::wire::{Message, Request};
use tracing::info;

use super::{Turn, Unavailable};

/// Where a question comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The version of the request.
    pub(crate) version: i16,
    /// It comes from the broker in the controller's own process.
    pub(crate) own_process: bool,
}

/// A request that the active controller decides on.
pub(crate) trait Asked: Request<Response: Send> + Send + Sync + 'static {
    /// The newest version whose fields this node fills in.
    const VERSION: i16;

    /// The records and the answer.
    fn decide(&self, turn: &mut Turn<'_>, origin: Origin) -> Decision<Self::Response>;

    /// The answer when there is no decision.
    fn failed(why: Unavailable) -> Self::Response;

    /// The error of an answer.
    fn code(response: &Self::Response) -> i16;
}

impl Asked for BrokerRegistrationRequest {
    const VERSION: i16 = 4;

    fn decide(&self, turn: &mut Turn<'_>, origin: Origin) -> Decision<BrokerRegistrationResponse> {
        let context = RegistrationContext {
            request_version: origin.version,
            next_offset: turn.next_offset,
            kraft_version: turn.quorum.status().kraft_version,
            now_ms: turn.now_ms,
            own_process: origin.own_process,
        };
        let refusal = turn
            .controller
            .sessions()
            .and_then(|sessions| turn.controller.view().registration_refusal(self, sessions, context));
        if let Some(refusal) = refusal {
            // The response has no room for the reason.
            info!("[QuorumController] broker {} is not registered: {refusal}", self.broker_id);
        }
        turn.controller.register_broker(self, context)
    }

    fn failed(why: Unavailable) -> BrokerRegistrationResponse {
        BrokerRegistrationResponse { error_code: why.code().code(), ..Default::default() }
    }

    fn code(response: &BrokerRegistrationResponse) -> i16 {
        response.error_code
    }
}

impl Asked for BrokerHeartbeatRequest {
    const VERSION: i16 = BrokerHeartbeatRequest::MAX_VERSION;

    fn decide(&self, turn: &mut Turn<'_>, _: Origin) -> Decision<BrokerHeartbeatResponse> {
        turn.controller.broker_heartbeat(self, turn.next_offset, turn.now_ms)
    }

    fn failed(why: Unavailable) -> BrokerHeartbeatResponse {
        BrokerHeartbeatResponse { error_code: why.code().code(), ..Default::default() }
    }

    fn code(response: &BrokerHeartbeatResponse) -> i16 {
        response.error_code
    }
}

impl Asked for ControllerRegistrationRequest {
    const VERSION: i16 = ControllerRegistrationRequest::MAX_VERSION;

    fn decide(&self, turn: &mut Turn<'_>, _: Origin) -> Decision<ControllerRegistrationResponse> {
        turn.controller.view().register_controller(self)
    }

    fn failed(why: Unavailable) -> ControllerRegistrationResponse {
        ControllerRegistrationResponse {
            error_code: why.code().code(),
            error_message: Some(why.to_string()),
            ..Default::default()
        }
    }

    fn code(response: &ControllerRegistrationResponse) -> i16 {
        response.error_code
    }
}

impl Asked for AllocateProducerIdsRequest {
    const VERSION: i16 = AllocateProducerIdsRequest::MAX_VERSION;

    fn decide(&self, turn: &mut Turn<'_>, _: Origin) -> Decision<AllocateProducerIdsResponse> {
        turn.controller.view().allocate_producer_ids(self)
    }

    fn failed(why: Unavailable) -> AllocateProducerIdsResponse {
        AllocateProducerIdsResponse { error_code: why.code().code(), ..Default::default() }
    }

    fn code(response: &AllocateProducerIdsResponse) -> i16 {
        response.error_code
    }
}

impl Asked for AlterPartitionRequest {
    const VERSION: i16 = AlterPartitionRequest::MAX_VERSION;

    fn decide(&self, turn: &mut Turn<'_>, origin: Origin) -> Decision<AlterPartitionResponse> {
        turn.controller.view().alter_partition(self, origin.version)
    }

    fn failed(why: Unavailable) -> AlterPartitionResponse {
        AlterPartitionResponse { error_code: why.code().code(), ..Default::default() }
    }

    fn code(response: &AlterPartitionResponse) -> i16 {
        response.error_code
    }
}

impl Asked for AssignReplicasToDirsRequest {
    const VERSION: i16 = AssignReplicasToDirsRequest::MAX_VERSION;

    fn decide(&self, turn: &mut Turn<'_>, _: Origin) -> Decision<AssignReplicasToDirsResponse> {
        turn.controller.view().assign_replicas_to_dirs(self)
    }

    fn failed(why: Unavailable) -> AssignReplicasToDirsResponse {
        AssignReplicasToDirsResponse { error_code: why.code().code(), ..Default::default() }
    }

    fn code(response: &AssignReplicasToDirsResponse) -> i16 {
        response.error_code
    }
}

impl Asked for UnregisterBrokerRequest {
    const VERSION: i16 = UnregisterBrokerRequest::MAX_VERSION;

    fn decide(&self, turn: &mut Turn<'_>, _: Origin) -> Decision<UnregisterBrokerResponse> {
        turn.controller.view().unregister_broker(self)
    }

    fn failed(why: Unavailable) -> UnregisterBrokerResponse {
        UnregisterBrokerResponse {
            error_code: why.code().code(),
            error_message: Some(why.to_string()),
            ..Default::default()
        }
    }

    fn code(response: &UnregisterBrokerResponse) -> i16 {
        response.error_code
    }
}
