//! Topics that come into being because a client asks for them (Kafka's `AutoTopicCreationManager`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::NodeConfig;
use ottla_metadata::decide::CreateContext;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::CreateTopicsRequest;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::wire::Message;
use tracing::{info, warn};

use super::Turn;
use crate::node::Node;
use crate::topic_names;

/// How long a client's Metadata request waits for its topics at most.
const LONGEST_MS: i32 = 5_000;

/// Creates topics, and waits until this node's image shows them. Gives back, for each name, why it is not there.
pub(crate) async fn auto_create(node: &Arc<Node>, topics: Vec<String>) -> Vec<(String, Option<ErrorCode>)> {
    let config = node.config();
    let mut created = Vec::with_capacity(topics.len());
    let mut wanted: Vec<CreatableTopic> = Vec::new();
    for name in topics {
        if topic_names::check(&name).is_err() {
            created.push((name, Some(ErrorCode::InvalidTopicException)));
        } else if !wanted.iter().any(|other| other.name == name) {
            wanted.push(creatable(&config, &name));
        }
    }
    if wanted.is_empty() {
        return created;
    }
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let timeout_ms = config.requests.timeout_ms.clamp(1, LONGEST_MS);
    let request = CreateTopicsRequest { topics: wanted, timeout_ms, validate_only: false };
    let decide = |request: &CreateTopicsRequest, turn: &mut Turn<'_>| {
        let mut context = CreateContext { access: &|_, _| true, forwarded: true, random: &mut *turn.random };
        turn.controller.view().create_topics(request, &mut context)
    };
    let (own, timeout) = (IpAddr::from([127, 0, 0, 1]), Duration::from_millis(timeout_ms as u64));
    let request = (request, CreateTopicsRequest::MAX_VERSION);
    let answer = node.controller().channel().decide_or_forward(node, request, own, timeout, decide).await;
    let mut outcomes: HashMap<String, Option<ErrorCode>> = HashMap::new();
    match answer {
        Ok(response) => {
            for topic in response.topics {
                let error = outcome(topic.error_code);
                if topic.error_code == 0 {
                    info!("topic {} was created for a client that asked for it", topic.name);
                } else if error.is_some() {
                    let message = topic.error_message.unwrap_or_default();
                    warn!(
                        "auto topic creation failed for {} with error {}: {message}",
                        topic.name, topic.error_code
                    );
                }
                outcomes.insert(topic.name, error);
            }
        }
        Err(error) => warn!("auto topic creation failed for {}: {error}", names.join(", ")),
    }
    let there: Vec<&String> = names.iter().filter(|name| matches!(outcomes.get(*name), Some(None))).collect();
    await_shown(node, &there, timeout).await;
    created.extend(names.into_iter().map(|name| {
        let error = outcomes.remove(&name).unwrap_or(Some(ErrorCode::UnknownTopicOrPartition));
        (name, error)
    }));
    created
}

/// Waits until this node's image has all of these topics, or the time is over.
async fn await_shown(node: &Node, names: &[&String], timeout: Duration) {
    let mut changes = node.image_changes();
    let all = changes.wait_for(|_| {
        let image = node.image();
        names.iter().all(|name| image.topics.by_name(name).is_some())
    });
    let _ = tokio::time::timeout(timeout, all).await;
}

/// What a client is told of a topic that could not be created: to ask again, unless asking again is no use.
fn outcome(error_code: i16) -> Option<ErrorCode> {
    match ErrorCode::from_i16(error_code) {
        // Another client's request came first.
        Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => None,
        Some(ErrorCode::InvalidTopicException) => Some(ErrorCode::InvalidTopicException),
        _ => Some(ErrorCode::UnknownTopicOrPartition),
    }
}

/// The topic that comes into being under this name. The cluster's own topics have settings of their own.
fn creatable(config: &NodeConfig, name: &str) -> CreatableTopic {
    let settings = config.settings();
    let topic = |num_partitions: i32, replication_factor: i16, configs: &[(&str, String)]| CreatableTopic {
        name: name.to_owned(),
        num_partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: configs
            .iter()
            .map(|(key, value)| CreatableTopicConfig { name: (*key).to_owned(), value: Some(value.clone()) })
            .collect(),
    };
    match name {
        topic_names::OFFSETS => topic(
            config.groups.offsets_partitions,
            config.groups.offsets_replication_factor,
            &[
                ("cleanup.policy", "compact".to_owned()),
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", config.groups.offsets_segment_bytes.to_string()),
            ],
        ),
        topic_names::TRANSACTIONS => topic(
            config.transactions.state_partitions,
            config.transactions.state_replication_factor,
            &[
                ("unclean.leader.election.enable", "false".to_owned()),
                ("compression.type", "uncompressed".to_owned()),
                ("cleanup.policy", "compact".to_owned()),
                ("min.insync.replicas", config.transactions.state_min_isr.to_string()),
                ("segment.bytes", config.transactions.state_segment_bytes.to_string()),
            ],
        ),
        topic_names::SHARE => topic(
            settings.int("share.coordinator.state.topic.num.partitions"),
            settings.short("share.coordinator.state.topic.replication.factor"),
            &[
                ("cleanup.policy", "delete".to_owned()),
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", settings.int("share.coordinator.state.topic.segment.bytes").to_string()),
                ("min.insync.replicas", settings.short("share.coordinator.state.topic.min.isr").to_string()),
                ("retention.ms", "-1".to_owned()),
            ],
        ),
        // What the file does not say is the controller's choice.
        _ => topic(
            if settings.is_set("num.partitions") { config.topics.partitions } else { -1 },
            if settings.is_set("default.replication.factor") {
                i16::try_from(config.topics.replication_factor).unwrap_or(i16::MAX)
            } else {
                -1
            },
            &[],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str) -> NodeConfig {
        let base = "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
                    controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:9093\n";
        NodeConfig::load("test", format!("{base}{file}").as_bytes(), &[]).expect("a valid file").config
    }

    fn configs(topic: &CreatableTopic) -> Vec<(&str, &str)> {
        topic.configs.iter().map(|c| (c.name.as_str(), c.value.as_deref().unwrap_or("null"))).collect()
    }

    #[test]
    fn the_offsets_topic_follows_its_own_keys() {
        let file = "offsets.topic.num.partitions=7\noffsets.topic.replication.factor=1\n\
                    offsets.topic.segment.bytes=1048576\nnum.partitions=3\n";
        let topic = creatable(&config(file), "__consumer_offsets");
        assert_eq!((topic.num_partitions, topic.replication_factor), (7, 1));
        assert_eq!(
            configs(&topic),
            [("cleanup.policy", "compact"), ("compression.type", "producer"), ("segment.bytes", "1048576")]
        );
    }

    #[test]
    fn other_internal_topics_have_theirs() {
        let config = config("transaction.state.log.num.partitions=5\ntransaction.state.log.min.isr=1\n");
        let topic = creatable(&config, "__transaction_state");
        assert_eq!((topic.num_partitions, topic.replication_factor), (5, 3));
        assert!(configs(&topic).contains(&("min.insync.replicas", "1")));
        let topic = creatable(&config, "__share_group_state");
        assert_eq!((topic.num_partitions, topic.replication_factor), (50, 3));
        assert!(configs(&topic).contains(&("retention.ms", "-1")));
    }

    #[test]
    fn plain_topics_take_what_the_file_says_or_leave_it_to_the_controller() {
        let topic = creatable(&config(""), "t");
        assert_eq!((topic.num_partitions, topic.replication_factor), (-1, -1));
        let topic = creatable(&config("num.partitions=3\ndefault.replication.factor=2\n"), "t");
        assert_eq!((topic.num_partitions, topic.replication_factor), (3, 2));
        assert_eq!(configs(&topic), []);
    }

    #[test]
    fn clients_ask_again_unless_that_is_no_use() {
        assert_eq!(outcome(0), None);
        assert_eq!(outcome(ErrorCode::TopicAlreadyExists.code()), None);
        let invalid = ErrorCode::InvalidTopicException;
        assert_eq!(outcome(invalid.code()), Some(invalid));
        let factor = ErrorCode::InvalidReplicationFactor;
        assert_eq!(outcome(factor.code()), Some(ErrorCode::UnknownTopicOrPartition));
    }
}
