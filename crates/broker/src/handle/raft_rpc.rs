//! Raft's own requests, handed to the quorum: Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch and FetchSnapshot of the
//! metadata partition, AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter.
//!
//! On the wire each of them could name many partitions; there is one. A request that does not name exactly that one is
//! refused as Kafka refuses it. `wire` has the translation both ways.

mod voters;
pub(crate) mod wire;

use ottla_protocol::wire::Message;
use ottla_raft::{Request, Response};
use tokio::sync::oneshot;

use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

pub(crate) use voters::{add_voter, remove_voter, update_voter};

/// Hands a request to the quorum and answers with what `encode` makes of its answer, `None` if the quorum has stopped.
fn ask<M: Message>(
    call: &Call<'_>,
    request: Request,
    encode: impl FnOnce(Option<Response>, i16) -> M + 'static,
) -> Result<Outcome, Refusal> {
    let (sender, receiver) = oneshot::channel();
    let quorum = call.node().controller().quorum();
    // Whoever asked may be gone by then.
    quorum.request(&call.peer.listener_name, request, move |answer| _ = sender.send(answer));
    let (to, version) = (call.reply_to(), call.version());
    Ok(Outcome::Later(Box::pin(async move { to.with(&encode(receiver.await.ok(), version)) })))
}

pub(crate) fn vote(call: &Call<'_>) -> Result<Outcome, Refusal> {
    match wire::vote(call.owned()?) {
        Some(request) => ask(call, Request::Vote(request), wire::voted),
        None => call.reply(&wire::voted(Some(wire::INVALID), call.version())),
    }
}

pub(crate) fn begin_epoch(call: &Call<'_>) -> Result<Outcome, Refusal> {
    match wire::begin_epoch(call.owned()?) {
        Some(request) => ask(call, Request::BeginQuorumEpoch(request), wire::began),
        None => call.reply(&wire::began(Some(wire::INVALID), call.version())),
    }
}

pub(crate) fn end_epoch(call: &Call<'_>) -> Result<Outcome, Refusal> {
    match wire::end_epoch(call.owned()?, call.version()) {
        Some(request) => ask(call, Request::EndQuorumEpoch(request), wire::ended),
        None => call.reply(&wire::ended(Some(wire::INVALID), call.version())),
    }
}

pub(crate) fn fetch(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let version = call.version();
    match wire::fetch(call.owned()?, version) {
        Some(request) => ask(call, Request::Fetch(request), wire::fetched),
        None => call.reply(&wire::fetched(Some(wire::INVALID), version)),
    }
}

pub(crate) fn fetch_snapshot(call: &Call<'_>) -> Result<Outcome, Refusal> {
    match wire::fetch_snapshot(call.owned()?) {
        Ok(request) => ask(call, Request::FetchSnapshot(request), wire::fetched_snapshot),
        Err(refused) => call.reply(&refused),
    }
}
