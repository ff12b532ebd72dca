//! Metadata (key 3): brokers, topics, partitions; creates missing topics when the client and the node allow it.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_metadata::image::describe::Leader;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::{MetadataRequestView, MetadataResponse};
use uuid::Uuid;

use crate::dispatch::Call;
use crate::handle::operations;
use crate::node::Node;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

/// The first version in which a topic may be named by its id (KIP-516).
const IDS_FROM: i16 = 12;
/// The first version that tells a leader without the client's listener from no leader at all.
const LISTENER_ERROR_FROM: i16 = 6;
/// What is noted of a topic while duplicates are looked for.
const SEEN_BYTES: usize = 2 * size_of::<&str>();

/// What one request wants to know besides its topics.
#[derive(Clone)]
struct Ask {
    version: i16,
    listener_name: Arc<str>,
    cluster_operations: bool,
    topic_operations: bool,
}

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: MetadataRequestView<'_> = call.view()?;
    let version = call.version();
    let ask = Ask {
        version,
        listener_name: call.peer.listener_name.clone(),
        cluster_operations: (8..=10).contains(&version) && request.include_cluster_authorized_operations,
        topic_operations: version >= 8 && request.include_topic_authorized_operations,
    };
    let node = call.node();
    let image = node.image();
    // Version 0 says "all" by an empty array, later ones by null.
    let Some(topics) = request.topics.filter(|t| version > 0 || !t.is_empty()) else {
        let topics = image.topics.iter_by_name().map(|t| describe(&image, t, &ask)).collect();
        return call.reply(&answer(node, &image, &ask, topics));
    };
    if version < IDS_FROM && topics.iter().any(|t| t.name.is_none() || !t.topic_id.is_nil()) {
        // Versions 10 and 11 have room for ids, which no broker ever understood.
        let name = |name: Option<&str>| {
            absent(ErrorCode::InvalidRequest, Some(name.unwrap_or_default()), Uuid::nil())
        };
        let topics = topics.iter().map(|t| name(t.name)).collect();
        return call.reply(&MetadataResponse { topics, ..Default::default() });
    }
    call.afford(topics.len(), size_of::<MetadataResponseTopic>() + SEEN_BYTES)?;
    let mut found = Vec::with_capacity(topics.len().min(4096));
    let mut missing: Vec<String> = Vec::new();
    // What is named twice is told once.
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for wanted in topics {
        let by_id = wanted.name.is_none() || !wanted.topic_id.is_nil();
        let is_new = if by_id { ids.insert(wanted.topic_id) } else { names.insert(wanted.name) };
        if !is_new {
            continue;
        }
        if by_id {
            found.push(match image.topics.by_id(wanted.topic_id) {
                Some(topic) => describe(&image, topic, &ask),
                None => absent(ErrorCode::UnknownTopicId, None, wanted.topic_id),
            });
            continue;
        }
        let name = wanted.name.unwrap_or_default();
        match image.topics.by_name(name) {
            Some(topic) => found.push(describe(&image, topic, &ask)),
            None if topic_names::check(name).is_err() => {
                found.push(absent(ErrorCode::InvalidTopicException, Some(name), Uuid::nil()));
            }
            None => missing.push(name.to_owned()),
        }
    }
    let create = node.config().topics.auto_create && (version < 4 || request.allow_auto_topic_creation);
    if missing.is_empty() || !create {
        found
            .extend(missing.iter().map(|n| absent(ErrorCode::UnknownTopicOrPartition, Some(n), Uuid::nil())));
        return call.reply(&answer(node, &image, &ask, found));
    }
    let (node, to) = (node.clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let created = node.auto_create(missing).await;
        let image = node.image();
        for (name, error) in created {
            found.push(match (image.topics.by_name(&name), error) {
                (Some(topic), _) => describe(&image, topic, &ask),
                (None, Some(error)) => absent(error, Some(&name), Uuid::nil()),
                (None, None) => absent(ErrorCode::LeaderNotAvailable, Some(&name), Uuid::nil()),
            });
        }
        to.with(&answer(&node, &image, &ask, found))
    })))
}

fn absent(error: ErrorCode, name: Option<&str>, topic_id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: error.code(),
        name: name.map(str::to_owned),
        topic_id,
        is_internal: name.is_some_and(topic_names::is_internal),
        ..Default::default()
    }
}

fn describe(image: &Image, topic: &Topic, ask: &Ask) -> MetadataResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|(&partition_index, partition)| {
            let view = image.describe(partition, &ask.listener_name);
            // Version 0 leaves out replicas that are not there, and says so.
            let is_there = |id: &i32| ask.version > 0 || image.is_alive(*id, &ask.listener_name);
            let replica_nodes: Vec<i32> = partition.replicas.iter().copied().filter(is_there).collect();
            let isr_nodes: Vec<i32> = partition.isr.iter().copied().filter(is_there).collect();
            let all_there =
                replica_nodes.len() == partition.replicas.len() && isr_nodes.len() == partition.isr.len();
            let error = match view.leader {
                Leader::Reachable(_) if !all_there => ErrorCode::ReplicaNotAvailable,
                Leader::Reachable(_) => ErrorCode::None,
                Leader::ListenerMissing(_) if ask.version >= LISTENER_ERROR_FROM => {
                    ErrorCode::ListenerNotFound
                }
                Leader::ListenerMissing(_) | Leader::None => ErrorCode::LeaderNotAvailable,
            };
            MetadataResponsePartition {
                error_code: error.code(),
                partition_index,
                leader_id: view.leader.id(),
                leader_epoch: partition.leader_epoch,
                replica_nodes,
                isr_nodes,
                offline_replicas: view.offline_replicas,
            }
        })
        .collect();
    MetadataResponseTopic {
        error_code: 0,
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: topic_names::is_internal(&topic.name),
        partitions,
        topic_authorized_operations: if ask.topic_operations { operations::TOPIC } else { i32::MIN },
    }
}

/// The broker that clients may take for the controller: this node if it can be used, else any other that can (-1: none).
/// Any of them hands on what only the controller can do (KIP-590).
pub(super) fn for_controller(image: &Image, node_id: i32, listener: &str) -> i32 {
    if image.is_alive(node_id, listener) {
        return node_id;
    }
    image.alive_brokers(listener).next().map_or(-1, |(broker, _)| broker.id)
}

/// The brokers that clients of a listener can use.
fn brokers(image: &Image, listener: &str) -> Vec<MetadataResponseBroker> {
    let alive = image.alive_brokers(listener);
    alive
        .map(|(broker, endpoint)| MetadataResponseBroker {
            node_id: broker.id,
            host: endpoint.host.to_string(),
            port: endpoint.port.into(),
            rack: broker.rack.as_ref().map(ToString::to_string),
        })
        .collect()
}

fn answer(node: &Node, image: &Image, ask: &Ask, topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
    MetadataResponse {
        brokers: brokers(image, &ask.listener_name),
        cluster_id: Some(node.cluster_id().to_owned()),
        controller_id: for_controller(image, node.node_id(), &ask.listener_name),
        topics,
        cluster_authorized_operations: if ask.cluster_operations { operations::CLUSTER } else { i32::MIN },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::three_brokers::image;

    /// Error, leader, replicas, ISR and offline replicas.
    type Told = (ErrorCode, i32, Vec<i32>, Vec<i32>, Vec<i32>);

    /// The partitions of the topic.
    fn partitions(version: i16, listener: &str) -> Vec<Told> {
        let image = image("t");
        let ask = Ask {
            version,
            listener_name: listener.into(),
            cluster_operations: false,
            topic_operations: false,
        };
        let topic = describe(&image, image.topics.by_name("t").unwrap(), &ask);
        assert!(topic.partitions.iter().all(|p| p.leader_epoch == 5));
        let shown = topic.partitions.into_iter().map(|p| {
            let error = ErrorCode::from_i16(p.error_code).unwrap();
            (error, p.leader_id, p.replica_nodes, p.isr_nodes, p.offline_replicas)
        });
        shown.collect()
    }

    #[test]
    fn brokers_are_told_as_the_listener_s_clients_can_reach_them() {
        let told = |listener: &str| -> Vec<(i32, String, i32, Option<String>)> {
            let brokers = brokers(&image("t"), listener).into_iter();
            brokers.map(|b| (b.node_id, b.host, b.port, b.rack)).collect()
        };
        let first = |port| (1, "host1".to_owned(), port, Some("r1".to_owned()));
        assert_eq!(told("PLAIN"), [first(9000), (3, "host3".into(), 9000, None)]);
        assert_eq!(told("INSIDE"), [first(9001)]);
        assert_eq!(told("NOWHERE"), []);
    }

    #[test]
    fn leaders_and_replicas_are_told_as_they_can_be_reached() {
        let (all, isr) = (vec![1, 2, 3], vec![1, 3]);
        let led = |leader| (ErrorCode::None, leader, all.clone(), isr.clone(), vec![2]);
        let nobody = (ErrorCode::LeaderNotAvailable, -1, all.clone(), isr.clone(), vec![2]);
        // A fenced leader is named as long as the metadata names it, as Kafka does.
        assert_eq!(partitions(9, "PLAIN"), [led(1), led(2), led(3), nobody.clone()]);

        let offline = vec![2, 3];
        let inside = partitions(9, "INSIDE");
        assert_eq!(inside[0], (ErrorCode::None, 1, all.clone(), isr.clone(), offline.clone()));
        assert_eq!(inside[2], (ErrorCode::ListenerNotFound, -1, all.clone(), isr.clone(), offline.clone()));
        assert_eq!(inside[3].0, ErrorCode::LeaderNotAvailable);
        // Versions before 6 do not know that error.
        assert_eq!(partitions(5, "INSIDE")[2].0, ErrorCode::LeaderNotAvailable);
    }

    #[test]
    fn version_0_leaves_out_what_is_not_there() {
        let told = partitions(0, "PLAIN");
        assert_eq!(told[0], (ErrorCode::ReplicaNotAvailable, 1, vec![1, 3], vec![1, 3], vec![2]));
        assert_eq!(told[3].0, ErrorCode::LeaderNotAvailable);
    }

    #[test]
    fn the_controller_of_clients_is_a_broker_that_they_can_use() {
        let image = image("t");
        assert_eq!(for_controller(&image, 3, "PLAIN"), 3);
        assert_eq!(for_controller(&image, 2, "PLAIN"), 1, "a fenced one names another");
        assert_eq!(for_controller(&image, 3, "INSIDE"), 1);
        assert_eq!(for_controller(&image, 1, "NOWHERE"), -1);
    }
}
