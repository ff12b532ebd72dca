//! Tells the controller in which directory each replica of this broker lies (KIP-858, Kafka's `AssignmentsManager`):
//! when a directory fails, the controller knows what was in it.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_metadata::Image;
use ottla_protocol::messages::AssignReplicasToDirsRequest;
use ottla_protocol::messages::assign_replicas_to_dirs_request::{DirectoryData, PartitionData, TopicData};
use tracing::{info, warn};
use uuid::Uuid;

use super::channel::Channel;
use crate::node::Node;

/// How long the controller may be away.
const PATIENCE: Duration = Duration::from_secs(120);

/// A replica: its topic and its index.
type Replica = (Uuid, i32);

/// The replicas among these whose directory the metadata does not say, as a request; nothing if it says all.
pub(super) fn missing(
    node: &Node,
    image: &Image,
    broker_epoch: i64,
    replicas: impl Iterator<Item = Replica>,
) -> Option<AssignReplicasToDirsRequest> {
    let own = node.node_id();
    // Brokers from before directories are known not to have any.
    if broker_epoch < 0 || !image.metadata_version().has_directories() {
        return None;
    }
    let lies_in = |&(topic, index): &Replica| {
        let partition = node.partitions().by_id(topic, index)?;
        Some(node.dirs()[partition.dir()].id())
    };
    let recorded = |&(topic, index): &Replica| image.topics.by_id(topic)?.partition(index)?.directory(own);
    let misplaced = replicas.filter_map(|replica| {
        let directory = lies_in(&replica)?;
        (recorded(&replica)? != directory).then_some((directory, replica))
    });
    request(own, broker_epoch, misplaced)
}

/// Groups replicas by directory and topic.
fn request(
    broker_id: i32,
    broker_epoch: i64,
    misplaced: impl Iterator<Item = (Uuid, Replica)>,
) -> Option<AssignReplicasToDirsRequest> {
    let mut directories: BTreeMap<Uuid, BTreeMap<Uuid, Vec<PartitionData>>> = BTreeMap::new();
    for (directory, (topic, partition_index)) in misplaced {
        let partitions = directories.entry(directory).or_default().entry(topic).or_default();
        partitions.push(PartitionData { partition_index });
    }
    if directories.is_empty() {
        return None;
    }
    let topics = |topics: BTreeMap<Uuid, Vec<PartitionData>>| {
        topics.into_iter().map(|(topic_id, partitions)| TopicData { topic_id, partitions }).collect()
    };
    let directories =
        directories.into_iter().map(|(id, of_topics)| DirectoryData { id, topics: topics(of_topics) });
    Some(AssignReplicasToDirsRequest { broker_id, broker_epoch, directories: directories.collect() })
}

/// Hands the request to the controller; nobody waits for the answer.
pub(super) fn hand_over(channel: &Channel, request: AssignReplicasToDirsRequest) {
    let count: usize =
        request.directories.iter().flat_map(|d| &d.topics).map(|topic| topic.partitions.len()).sum();
    let answer = channel.ask(request, PATIENCE);
    channel.spawn(async move {
        match answer.await {
            Ok(response) if response.error_code != 0 => {
                warn!("the directories of {count} replicas were not taken: error {}", response.error_code);
            }
            Ok(_) => info!("the directories of {count} replicas are known to the controller"),
            Err(error) => warn!("the directories of {count} replicas were not taken: {error}"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_grouped_by_directory_and_topic() {
        let [a, b, t, u] = [1, 2, 3, 4].map(Uuid::from_u128);
        assert_eq!(request(1, 5, std::iter::empty()), None);
        let misplaced = [(b, (t, 0)), (a, (t, 1)), (b, (u, 0)), (b, (t, 2))];
        let request = request(1, 5, misplaced.into_iter()).unwrap();
        assert_eq!((request.broker_id, request.broker_epoch), (1, 5));
        let flat: Vec<(Uuid, Uuid, Vec<i32>)> = request
            .directories
            .iter()
            .flat_map(|d| {
                let indexes =
                    |topic: &TopicData| topic.partitions.iter().map(|p| p.partition_index).collect();
                d.topics.iter().map(move |topic| (d.id, topic.topic_id, indexes(topic)))
            })
            .collect();
        assert_eq!(flat, [(a, t, vec![1]), (b, t, vec![0, 2]), (b, u, vec![0])]);
    }
}
