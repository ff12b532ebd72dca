//! FindCoordinator (key 10): which broker leads the partition of a group. Makes `__consumer_offsets` when it is first asked for.

use std::sync::Arc;

use ottla_metadata::Image;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use tracing::warn;

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
        let image = node.image();
        let seat = |key: &str| node.group_partition(key);
        let found = keys.iter().map(|key| find(&image, key_type, key, seat(key), &listener)).collect();
        to.with(&response(version, found))
    };
    let image = node.image();
    let needed = node.config().groups.offsets_replication_factor;
    if key_type != GROUP || image.topics.by_name(topic_names::OFFSETS).is_some() {
        if let Some(hint) =
            image.partition(topic_names::OFFSETS, 0).and_then(|p| thin(needed, p.replicas.len()))
            && node.groups().is_news(&hint)
        {
            warn!("{hint}");
        }
        return answer(&node).map(Outcome::Reply);
    }
    let alive = image.brokers.values().filter(|broker| broker.is_active()).count();
    if let Some(shortage) = shortage(needed, alive) {
        // The controller would only refuse it, and clients ask again every 100 ms: told once, until it is another one.
        if node.groups().is_news(&shortage) {
            warn!("{shortage}");
        }
        return answer(&node).map(Outcome::Reply);
    }
    Ok(Outcome::Later(Box::pin(async move {
        node.auto_create(vec![topic_names::OFFSETS.to_owned()]).await;
        answer(&node)
    })))
}

/// Why `__consumer_offsets` cannot be made yet.
fn shortage(needed: i16, alive: usize) -> Option<String> {
    (usize::try_from(needed).is_ok_and(|needed| alive < needed)).then(|| {
        format!(
            "offsets topic needs {needed} brokers, {alive} alive: groups wait until there are more, or until \
             offsets.topic.replication.factor is lower"
        )
    })
}

/// What is said when `__consumer_offsets` was made with fewer replicas than are configured now: the key counts only when
/// the topic is made, and whoever raised it believes that groups outlive a node.
fn thin(needed: i16, replicas: usize) -> Option<String> {
    (usize::try_from(needed).is_ok_and(|needed| replicas < needed)).then(|| {
        format!(
            "offsets.topic.replication.factor={needed} but __consumer_offsets has {replicas}: the key counts only when \
             the topic is made; raise the topic's replicas with kafka-reassign-partitions"
        )
    })
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

/// Who coordinates `key`, whose offsets partition is `partition`, for the clients of a listener.
fn find(image: &Image, key_type: i8, key: &str, partition: i32, listener: &str) -> Coordinator {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::three_brokers::image;

    fn found(partition: i32, listener: &str) -> (i16, i32, String, i32) {
        let one = find(&image(topic_names::OFFSETS), GROUP, "g", partition, listener);
        (one.error_code, one.node_id, one.host, one.port)
    }

    #[test]
    fn the_leader_is_named_where_the_client_can_reach_it() {
        assert_eq!(found(0, "PLAIN"), (0, 1, "host1".into(), 9000));
        assert_eq!(found(0, "INSIDE"), (0, 1, "host1".into(), 9001));
        let nobody = (ErrorCode::CoordinatorNotAvailable.code(), -1, String::new(), -1);
        assert_eq!(found(1, "PLAIN"), nobody, "a fenced broker coordinates nothing");
        assert_eq!(found(2, "INSIDE"), nobody, "it does not listen there");
        assert_eq!(found(3, "PLAIN"), nobody, "nobody leads");
        assert_eq!(found(9, "PLAIN"), nobody, "there is no such partition");
    }

    #[test]
    fn a_topic_is_not_made_before_there_are_brokers_for_it() {
        assert_eq!(shortage(2, 2), None);
        assert_eq!(shortage(-1, 1), None);
        assert!(shortage(2, 1).unwrap().starts_with("offsets topic needs 2 brokers, 1 alive"));
    }

    #[test]
    fn an_offsets_topic_with_too_few_replicas_is_pointed_out() {
        assert_eq!((thin(3, 3), thin(1, 1), thin(1, 3)), (None, None, None));
        assert!(
            thin(2, 1)
                .unwrap()
                .starts_with("offsets.topic.replication.factor=2 but __consumer_offsets has 1")
        );
    }
}
