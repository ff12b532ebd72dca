//! The partitions of this node, by topic name and by topic id.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;
use uuid::Uuid;

use super::Partition;

type Map<K, V> = HashMap<K, V, RandomState>;

/// The partitions of one topic that this node holds, by index.
struct Topic {
    name: Arc<str>,
    id: Uuid,
    partitions: RwLock<Vec<Option<Arc<Partition>>>>,
}

#[derive(Default)]
struct Topics {
    by_name: Map<Arc<str>, Arc<Topic>>,
    by_id: Map<Uuid, Arc<Topic>>,
}

/// All partitions of this node.
#[derive(Default)]
pub(crate) struct PartitionTable {
    topics: RwLock<Topics>,
    /// Those whose logs could not be opened.
    offline: RwLock<HashSet<(Uuid, i32), RandomState>>,
}

impl Topic {
    fn get(&self, index: i32) -> Option<Arc<Partition>> {
        self.partitions.read().get(usize::try_from(index).ok()?)?.clone()
    }
}

impl PartitionTable {
    pub(crate) fn by_name(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topics.read().by_name.get(topic)?.get(index)
    }

    pub(crate) fn by_id(&self, topic: Uuid, index: i32) -> Option<Arc<Partition>> {
        self.topics.read().by_id.get(&topic)?.get(index)
    }

    /// The topic's name as this node keeps it, so that requests need no copy of their own.
    pub(crate) fn name(&self, topic: &str) -> Option<Arc<str>> {
        self.topics.read().by_name.get_key_value(topic).map(|(name, _)| name.clone())
    }

    /// How many partitions there are, nearly: places between them count too.
    pub(crate) fn count(&self) -> usize {
        self.topics.read().by_id.values().map(|topic| topic.partitions.read().len()).sum()
    }

    /// Every partition, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let topics: Vec<Arc<Topic>> = self.topics.read().by_id.values().cloned().collect();
        topics
            .iter()
            .flat_map(|t| t.partitions.read().iter().flatten().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// The partitions of one topic.
    pub(crate) fn of_topic(&self, topic: &str) -> Vec<Arc<Partition>> {
        let found = self.topics.read().by_name.get(topic).cloned();
        found.map_or_else(Vec::new, |t| t.partitions.read().iter().flatten().cloned().collect())
    }

    /// This node should hold the partition and cannot open its log.
    pub(crate) fn set_offline(&self, topic: Uuid, index: i32) {
        self.offline.write().insert((topic, index));
    }

    /// Whether the partition's log could not be opened.
    pub(crate) fn is_offline(&self, topic: Uuid, index: i32) -> bool {
        self.offline.read().contains(&(topic, index))
    }

    pub(crate) fn insert(&self, partition: Arc<Partition>) {
        if !self.offline.read().is_empty() {
            self.offline.write().remove(&(partition.topic_id(), partition.index()));
        }
        let Ok(index) = usize::try_from(partition.index()) else { return };
        let topic = {
            let mut topics = self.topics.write();
            match topics.by_id.get(&partition.topic_id()) {
                Some(topic) => topic.clone(),
                None => {
                    let name = partition.shared_topic();
                    let topic =
                        Arc::new(Topic { name, id: partition.topic_id(), partitions: RwLock::default() });
                    topics.by_name.insert(topic.name.clone(), topic.clone());
                    topics.by_id.insert(topic.id, topic.clone());
                    topic
                }
            }
        };
        let mut partitions = topic.partitions.write();
        if partitions.len() <= index {
            partitions.resize(index + 1, None);
        }
        partitions[index] = Some(partition);
    }

    /// Takes a partition out; the topic goes with its last one.
    pub(crate) fn remove(&self, topic: Uuid, index: i32) -> Option<Arc<Partition>> {
        if !self.offline.read().is_empty() {
            self.offline.write().remove(&(topic, index));
        }
        let mut topics = self.topics.write();
        let found = topics.by_id.get(&topic)?.clone();
        let mut partitions = found.partitions.write();
        let removed = partitions.get_mut(usize::try_from(index).ok()?)?.take();
        if partitions.iter().all(Option::is_none) {
            topics.by_id.remove(&topic);
            if topics.by_name.get(&found.name).is_some_and(|t| t.id == topic) {
                topics.by_name.remove(&found.name);
            }
        }
        removed
    }
}
