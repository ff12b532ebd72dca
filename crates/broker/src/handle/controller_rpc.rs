//! What brokers and controllers ask the active controller: registrations, heartbeats, blocks of producer ids, changes
//! of in-sync replicas and directories. Only on the controllers' listeners.

use ottla_protocol::messages::BrokerHeartbeatRequest;

use crate::controller_host::{Asked, Origin};
use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

/// The time that requests without a timeout of their own get.
const TIMEOUT_MS: i32 = 30_000;

/// Has this node's controller decide; answers with its reply, or with the reason there is none.
pub(crate) fn handle<R: Asked>(call: &Call<'_>) -> Result<Outcome, Refusal> {
    decide::<R>(call, call.owned()?)
}

/// As the others; the connection is remembered as the one that carries the broker's life.
pub(crate) fn broker_heartbeat(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: BrokerHeartbeatRequest = call.owned()?;
    decide(call, request)
}

fn decide<R: Asked>(call: &Call<'_>, request: R) -> Result<Outcome, Refusal> {
    let origin = Origin { version: call.version(), own_process: false };
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let decide = move |turn: &mut crate::controller_host::Turn<'_>| request.decide(turn, origin);
        let answer = node.controller().committed(TIMEOUT_MS, decide).await;
        to.with(&answer.map_or_else(R::failed, |(reply, _)| reply))
    })))
}
