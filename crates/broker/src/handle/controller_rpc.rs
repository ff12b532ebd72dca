//! What brokers and controllers ask the active controller: registrations, heartbeats, blocks of producer ids, changes
//! of in-sync replicas and directories. Only on the controllers' listeners.

use ottla_metadata::Decision;
use ottla_metadata::decide::RegistrationContext;
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterPartitionRequest, AlterPartitionResponse,
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, BrokerHeartbeatRequest,
    BrokerHeartbeatResponse, BrokerRegistrationRequest, BrokerRegistrationResponse,
    ControllerRegistrationRequest, ControllerRegistrationResponse,
};
use ottla_protocol::wire::Message;
use tracing::info;

use crate::controller_host::{Turn, Unavailable};
use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

/// The time that requests without a timeout of their own get.
const TIMEOUT_MS: i32 = 30_000;

/// Has the controller decide; answers with its reply, or with what `failed` makes of the reason there is none.
fn ask<M: Message + Send + 'static>(
    call: &Call<'_>,
    decide: impl FnOnce(&mut Turn<'_>) -> Decision<M> + Send + 'static,
    failed: impl FnOnce(Unavailable) -> M + 'static,
) -> Result<Outcome, Refusal> {
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let answer = node.controller().committed(TIMEOUT_MS, decide).await;
        to.with(&answer.map_or_else(failed, |(reply, _)| reply))
    })))
}

pub(crate) fn register_broker(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: BrokerRegistrationRequest = call.owned()?;
    let request_version = call.version();
    let decide = move |turn: &mut Turn<'_>| {
        let context = RegistrationContext {
            request_version,
            next_offset: turn.next_offset,
            kraft_version: turn.quorum.status().kraft_version,
            now_ms: turn.now_ms,
        };
        let refusal = turn
            .controller
            .sessions()
            .and_then(|sessions| turn.controller.view().registration_refusal(&request, sessions, context));
        if let Some(refusal) = refusal {
            // The response has no room for the reason.
            info!("[QuorumController] broker {} is not registered: {refusal}", request.broker_id);
        }
        turn.controller.register_broker(&request, context)
    };
    ask(call, decide, |error| BrokerRegistrationResponse {
        error_code: error.code().code(),
        ..Default::default()
    })
}

pub(crate) fn broker_heartbeat(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: BrokerHeartbeatRequest = call.owned()?;
    let decide =
        move |turn: &mut Turn<'_>| turn.controller.broker_heartbeat(&request, turn.next_offset, turn.now_ms);
    ask(call, decide, |error| BrokerHeartbeatResponse {
        error_code: error.code().code(),
        ..Default::default()
    })
}

pub(crate) fn register_controller(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ControllerRegistrationRequest = call.owned()?;
    let decide = move |turn: &mut Turn<'_>| turn.controller.view().register_controller(&request);
    ask(call, decide, |error| ControllerRegistrationResponse {
        error_code: error.code().code(),
        error_message: Some(error.to_string()),
        ..Default::default()
    })
}

pub(crate) fn allocate_producer_ids(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: AllocateProducerIdsRequest = call.owned()?;
    let decide = move |turn: &mut Turn<'_>| turn.controller.view().allocate_producer_ids(&request);
    ask(call, decide, |error| AllocateProducerIdsResponse {
        error_code: error.code().code(),
        ..Default::default()
    })
}

pub(crate) fn alter_partition(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: AlterPartitionRequest = call.owned()?;
    let version = call.version();
    let decide = move |turn: &mut Turn<'_>| turn.controller.view().alter_partition(&request, version);
    ask(call, decide, |error| AlterPartitionResponse {
        error_code: error.code().code(),
        ..Default::default()
    })
}

pub(crate) fn assign_replicas_to_dirs(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: AssignReplicasToDirsRequest = call.owned()?;
    let decide = move |turn: &mut Turn<'_>| turn.controller.view().assign_replicas_to_dirs(&request);
    ask(call, decide, |error| AssignReplicasToDirsResponse {
        error_code: error.code().code(),
        ..Default::default()
    })
}
