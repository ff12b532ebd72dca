//! The partition that a request names, or why there is none here.

use std::sync::Arc;

use ottla_metadata::image;
use ottla_protocol::ErrorCode;
use uuid::Uuid;

use crate::node::Node;
use crate::partition::Partition;

/// A partition by its topic's name.
pub(super) fn by_name(node: &Node, topic: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
    node.partitions().by_name(topic, index).ok_or_else(|| {
        let image = node.image();
        let offline = image.topics.id_of(topic).is_some_and(|id| node.partitions().is_offline(id, index));
        absence(offline, image.partition(topic, index))
    })
}

/// A partition by its topic's id.
pub(super) fn by_id(node: &Node, topic: Uuid, index: i32) -> Result<Arc<Partition>, ErrorCode> {
    node.partitions().by_id(topic, index).ok_or_else(|| match node.image().topics.by_id(topic) {
        Some(known) => absence(node.partitions().is_offline(topic, index), known.partition(index)),
        None => ErrorCode::UnknownTopicId,
    })
}

/// Why a partition that the metadata may know is not in the table. It may be about to come or have just gone while the
/// image says otherwise for a moment: a replica of Apache Kafka takes a storage error for a fault and reports it.
fn absence(offline: bool, known: Option<&image::Partition>) -> ErrorCode {
    match known {
        None => ErrorCode::UnknownTopicOrPartition,
        Some(_) if offline => ErrorCode::KafkaStorageError,
        Some(_) => ErrorCode::NotLeaderOrFollower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::PartitionTable;

    #[test]
    fn only_a_log_that_cannot_be_opened_is_a_storage_error() {
        let (table, id) = (PartitionTable::default(), Uuid::from_u128(7));
        let image = ottla_metadata::Image::default();
        assert_eq!(
            absence(table.is_offline(id, 0), image.partition("t", 0)),
            ErrorCode::UnknownTopicOrPartition
        );
        let mut delta = ottla_metadata::Delta::new(image);
        let topic = ottla_protocol::metadata_records::TopicRecord { name: "t".into(), topic_id: id };
        delta.replay(&topic.into()).unwrap();
        let partition = ottla_protocol::metadata_records::PartitionRecord {
            partition_id: 0,
            topic_id: id,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::from_u128(9)],
            ..Default::default()
        };
        delta.replay(&partition.into()).unwrap();
        let known = delta.after().partition("t", 0);
        assert_eq!(absence(table.is_offline(id, 0), known), ErrorCode::NotLeaderOrFollower);
        table.set_offline(id, 0);
        assert_eq!(absence(table.is_offline(id, 0), known), ErrorCode::KafkaStorageError);
    }
}
