//! FindCoordinator (key 10): which broker leads the partition of a group. Makes `__consumer_offsets` when it is first asked for.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::dispatch::Call;
use crate::node::Node;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// The first version that asks for several keys at once.
const BATCHED_FROM: i16 = 4;

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: FindCoordinatorRequest = call.owned()?;
    let version = call.version();
    let keys = if version >= BATCHED_FROM { request.coordinator_keys } else { vec![request.key] };
    call.afford(keys.len(), size_of::<Coordinator>())?;
    let key_type = if version >= 1 { request.key_type } else { GROUP };
    let (node, to, listener) = (call.node().clone(), call.reply_to(), call.peer.listener_name.clone());
    let answer = move |node: &Arc<Node>| {
        let found: Vec<Coordinator> = keys.iter().map(|key| find(node, key_type, key, &listener)).collect();
        to.with(&response(version, found))
    };
    if key_type != GROUP || node.image().topics.by_name(topic_names::OFFSETS).is_some() {
        return answer(&node).map(Outcome::Reply);
    }
    Ok(Outcome::Later(Box::pin(async move {
        node.auto_create(vec![topic_names::OFFSETS.to_owned()]).await;
        answer(&node)
    })))
}

fn response(version: i16, mut found: Vec<Coordinator>) -> FindCoordinatorResponse {
    if version >= BATCHED_FROM {
        return FindCoordinatorResponse { coordinators: found, ..Default::default() };
    }
    let one = found.remove(0);
    FindCoordinatorResponse {
        error_code: one.error_code,
        error_message: one.error_message,
        node_id: one.node_id,
        host: one.host,
        port: one.port,
        ..Default::default()
    }
}

fn find(node: &Node, key_type: i8, key: &str, listener: &str) -> Coordinator {
    let failed = |error: ErrorCode, message: Option<&str>| Coordinator {
        key: key.to_owned(),
        node_id: -1,
        port: -1,
        error_code: error.code(),
        error_message: message.map(str::to_owned),
        ..Default::default()
    };
    match key_type {
        GROUP => {}
        TRANSACTION => {
            // Not a retriable error: a producer would wait for what does not come.
            return failed(
                ErrorCode::InvalidRequest,
                Some("Transactions are not served by this release yet."),
            );
        }
        _ => return failed(ErrorCode::InvalidRequest, Some("Unknown coordinator key type.")),
    }
    let image = node.image();
    let partition = node.group_partition(key);
    let leader = image.partition(topic_names::OFFSETS, partition).map(|p| p.leader);
    let endpoint = leader
        .filter(|&id| image.is_alive(id, listener))
        .and_then(|id| image.broker(id).and_then(|b| b.endpoint(listener).map(|e| (id, e))));
    match endpoint {
        Some((node_id, endpoint)) => Coordinator {
            key: key.to_owned(),
            node_id,
            host: endpoint.host.to_string(),
            port: endpoint.port.into(),
            ..Default::default()
        },
        None => failed(ErrorCode::CoordinatorNotAvailable, None),
    }
}
