//! FindCoordinator (key 10): which broker leads the partition of a group or a transactional id. Makes `__consumer_offsets` and
//! `__transaction_state` when they are first asked for.

use std::sync::Arc;

use ottla_config::NodeConfig;
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

/// What a kind of coordinator is for.
#[derive(Debug, Clone, Copy)]
struct Kind {
    topic: &'static str,
    /// The topic in words, and who waits for it.
    name: &'static str,
    clients: &'static str,
    replication_key: &'static str,
}

const GROUPS: Kind = Kind {
    topic: topic_names::OFFSETS,
    name: "offsets topic",
    clients: "groups",
    replication_key: "offsets.topic.replication.factor",
};

const TRANSACTIONS: Kind = Kind {
    topic: topic_names::TRANSACTIONS,
    name: "transaction state topic",
    clients: "transactions",
    replication_key: "transaction.state.log.replication.factor",
};

impl Kind {
    fn of(key_type: i8) -> Option<Kind> {
        match key_type {
            GROUP => Some(GROUPS),
            TRANSACTION => Some(TRANSACTIONS),
            _ => None,
        }
    }

    fn replicas(self, config: &NodeConfig) -> i16 {
        match self.topic {
            topic_names::TRANSACTIONS => config.transactions.state_replication_factor,
            _ => config.groups.offsets_replication_factor,
        }
    }

    fn seat(self, node: &Node, key: &str) -> i32 {
        match self.topic {
            topic_names::TRANSACTIONS => node.transaction_partition(key),
            _ => node.group_partition(key),
        }
    }

    /// What clients cause every 100 ms is said once, until it is something else.
    fn say(self, node: &Node, line: &str) {
        let is_news = match self.topic {
            topic_names::TRANSACTIONS => node.transactions().is_news(line),
            _ => node.groups().is_news(line),
        };
        if is_news {
            warn!("{line}");
        }
    }
}

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: FindCoordinatorRequest = call.owned()?;
    let version = call.version();
    let keys = if version >= BATCHED_FROM { request.coordinator_keys } else { vec![request.key] };
    call.afford(keys.len(), size_of::<Coordinator>())?;
    let key_type = if version >= 1 { request.key_type } else { GROUP };
    let (node, to, listener) = (call.node().clone(), call.reply_to(), call.peer.listener_name.clone());
    let kind = Kind::of(key_type);
    let answer = move |node: &Arc<Node>| {
        let image = node.image();
        let find = |key: &String| match kind {
            Some(kind) => find(&image, kind, key, kind.seat(node, key), &listener),
            None => failed(key, ErrorCode::InvalidRequest, Some("Unknown coordinator key type.")),
        };
        let found = keys.iter().map(find).collect();
        to.with(&response(version, found))
    };
    let Some(kind) = kind else { return answer(&node).map(Outcome::Reply) };
    let image = node.image();
    let needed = kind.replicas(&node.config());
    if image.topics.by_name(kind.topic).is_some() {
        if let Some(hint) = image.partition(kind.topic, 0).and_then(|p| thin(kind, needed, p.replicas.len()))
        {
            kind.say(&node, &hint);
        }
        return answer(&node).map(Outcome::Reply);
    }
    let alive = image.brokers.values().filter(|broker| broker.is_active()).count();
    if let Some(shortage) = shortage(kind, needed, alive) {
        // The controller would only refuse it.
        kind.say(&node, &shortage);
        return answer(&node).map(Outcome::Reply);
    }
    Ok(Outcome::Later(Box::pin(async move {
        node.auto_create(vec![kind.topic.to_owned()]).await;
        answer(&node)
    })))
}

/// Why the topic cannot be made yet.
fn shortage(kind: Kind, needed: i16, alive: usize) -> Option<String> {
    let Kind { name, clients, replication_key, .. } = kind;
    (usize::try_from(needed).is_ok_and(|needed| alive < needed)).then(|| {
        format!(
            "{name} needs {needed} brokers, {alive} alive: {clients} wait until there are more, or until \
             {replication_key} is lower"
        )
    })
}

/// What is said when the topic was made with fewer replicas than are configured now: the key counts only when the topic is
/// made, and whoever raised it believes that its clients outlive a node.
fn thin(kind: Kind, needed: i16, replicas: usize) -> Option<String> {
    let Kind { topic, replication_key, .. } = kind;
    (usize::try_from(needed).is_ok_and(|needed| replicas < needed)).then(|| {
        format!(
            "{replication_key}={needed} but {topic} has {replicas}: the key counts only when \
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

fn failed(key: &str, error: ErrorCode, message: Option<&str>) -> Coordinator {
    Coordinator {
        key: key.to_owned(),
        node_id: -1,
        port: -1,
        error_code: error.code(),
        error_message: message.map(str::to_owned),
        ..Default::default()
    }
}

/// Who coordinates `key`, whose partition is `partition`, for the clients of a listener.
fn find(image: &Image, kind: Kind, key: &str, partition: i32, listener: &str) -> Coordinator {
    let leader = image.partition(kind.topic, partition).map(|p| p.leader);
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
        None => failed(key, ErrorCode::CoordinatorNotAvailable, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::three_brokers::image;

    fn found(partition: i32, listener: &str) -> (i16, i32, String, i32) {
        let one = find(&image(topic_names::TRANSACTIONS), TRANSACTIONS, "tx", partition, listener);
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
        assert_eq!(shortage(GROUPS, 2, 2), None);
        assert_eq!(shortage(GROUPS, -1, 1), None);
        assert!(shortage(GROUPS, 2, 1).unwrap().starts_with("offsets topic needs 2 brokers, 1 alive"));
        let of_transactions = shortage(TRANSACTIONS, 3, 1).unwrap();
        assert!(
            of_transactions.starts_with("transaction state topic needs 3 brokers, 1 alive: transactions")
        );
    }

    #[test]
    fn an_offsets_topic_with_too_few_replicas_is_pointed_out() {
        assert_eq!((thin(GROUPS, 3, 3), thin(GROUPS, 1, 1), thin(GROUPS, 1, 3)), (None, None, None));
        assert!(
            thin(GROUPS, 2, 1)
                .unwrap()
                .starts_with("offsets.topic.replication.factor=2 but __consumer_offsets has 1")
        );
    }
}
