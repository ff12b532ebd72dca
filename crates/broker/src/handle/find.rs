//! The partition that a request names, or why there is none here.

use std::sync::Arc;

use ottla_metadata::image;
use ottla_protocol::ErrorCode;
use uuid::Uuid;

use crate::node::Node;
use crate::partition::Partition;

/// A partition by its topic's name.
pub(super) fn by_name(node: &Node, topic: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
    node.partitions().by_name(topic, index).ok_or_else(|| absence(node, node.image().partition(topic, index)))
}

/// A partition by its topic's id.
pub(super) fn by_id(node: &Node, topic: Uuid, index: i32) -> Result<Arc<Partition>, ErrorCode> {
    node.partitions().by_id(topic, index).ok_or_else(|| match node.image().topics.by_id(topic) {
        Some(topic) => absence(node, topic.partition(index)),
        None => ErrorCode::UnknownTopicId,
    })
}

/// Why a partition that the metadata may know is not in the table.
fn absence(node: &Node, known: Option<&image::Partition>) -> ErrorCode {
    match known {
        None => ErrorCode::UnknownTopicOrPartition,
        // Its log could not be opened.
        Some(partition) if partition.replicas.contains(&node.node_id()) => ErrorCode::KafkaStorageError,
        Some(_) => ErrorCode::NotLeaderOrFollower,
    }
}
