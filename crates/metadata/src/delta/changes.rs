//! What differs between two images, and what that means for one broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::Delta;
use crate::image::{ConfigResource, Image, Partition, QuotaEntity, SharedMap, Topic};

/// What records touched. A touched thing need not differ: it may have been set to what it was.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Finalized features.
    pub features: bool,
    /// Brokers registered, changed or gone.
    pub brokers: BTreeSet<i32>,
    /// Controllers registered anew.
    pub controllers: BTreeSet<i32>,
    /// Topics created, deleted or with changed partitions.
    pub topics: BTreeMap<Uuid, TopicChange>,
    /// Resources with changed configurations.
    pub configs: BTreeSet<ConfigResource>,
    /// Entities with changed quotas.
    pub quotas: BTreeSet<QuotaEntity>,
    /// The next block of producer ids.
    pub producer_ids: bool,
    /// Access control entries added or gone.
    pub acls: BTreeSet<Uuid>,
    /// SCRAM credentials changed or gone.
    pub scram: BTreeSet<(i8, String)>,
    /// Delegation tokens changed or gone.
    pub tokens: BTreeSet<String>,
}

/// What happened to one topic.
#[derive(Debug, Clone, Default)]
pub struct TopicChange {
    /// It was not there before.
    pub created: bool,
    /// It is gone; this is what it was when it was removed.
    pub deleted: Option<Arc<Topic>>,
    /// Partitions touched.
    pub partitions: BTreeSet<i32>,
    /// Elections that may have lost records.
    pub unclean_elections: u32,
    /// Elections that took a leader from the eligible leader replicas.
    pub elr_elections: u32,
}

/// One partition before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionChange<'a> {
    /// Its topic: as it is after, or as it was if it is gone.
    pub topic: &'a Arc<Topic>,
    /// Its index.
    pub index: i32,
    /// Before; nothing if it is new.
    pub before: Option<&'a Partition>,
    /// After; nothing if it is gone.
    pub after: Option<&'a Partition>,
}

impl Changes {
    /// True if nothing was touched.
    pub fn is_empty(&self) -> bool {
        !self.features
            && !self.producer_ids
            && self.brokers.is_empty()
            && self.controllers.is_empty()
            && self.topics.is_empty()
            && self.configs.is_empty()
            && self.quotas.is_empty()
            && self.acls.is_empty()
            && self.scram.is_empty()
            && self.tokens.is_empty()
    }

    /// The entry of one topic.
    pub(super) fn topic(&mut self, id: Uuid) -> &mut TopicChange {
        self.topics.entry(id).or_default()
    }

    /// Notes that a topic is gone; one created by the same records leaves no trace.
    pub(super) fn removed_topic(&mut self, id: Uuid, topic: Arc<Topic>) {
        let change = self.topic(id);
        match (change.created, &change.deleted) {
            (true, None) => {
                self.topics.remove(&id);
            }
            // Deleted before, created again under its old id, and deleted again.
            (true, Some(_)) => change.created = false,
            (false, _) => change.deleted = Some(topic),
        }
    }

    /// Finds what differs by comparing.
    pub fn between(before: &Image, after: &Image) -> Changes {
        let mut changes = Changes {
            features: before.features != after.features,
            producer_ids: before.next_producer_id != after.next_producer_id,
            brokers: differing(before.brokers.iter(), after.brokers.iter()),
            controllers: differing(before.controllers.iter(), after.controllers.iter()),
            configs: differing(before.configs.iter(), after.configs.iter()),
            quotas: differing_map(&before.quotas, &after.quotas),
            acls: differing_map(&before.acls, &after.acls),
            scram: differing_map(&before.scram, &after.scram),
            tokens: differing_map(&before.tokens, &after.tokens),
            topics: BTreeMap::new(),
        };
        for topic in before.topics.iter() {
            if after.topics.by_id(topic.id).is_none() {
                changes.topic(topic.id).deleted = Some(topic.clone());
            }
        }
        for topic in after.topics.iter() {
            match before.topics.by_id(topic.id) {
                None => {
                    let change = changes.topic(topic.id);
                    change.created = true;
                    change.partitions = topic.partitions.keys().copied().collect();
                }
                Some(old) if Arc::ptr_eq(old, topic) => {}
                Some(old) => {
                    let partitions = differing_map(&old.partitions, &topic.partitions);
                    if !partitions.is_empty() {
                        changes.topic(topic.id).partitions = partitions;
                    }
                }
            }
        }
        changes
    }

    /// Ids of topics that are new.
    pub fn created_topics(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.topics.iter().filter(|(_, change)| change.created).map(|(&id, _)| id)
    }

    /// Topics that are gone, as they were.
    pub fn deleted_topics(&self) -> impl Iterator<Item = &Arc<Topic>> + '_ {
        self.topics.values().filter_map(|change| change.deleted.as_ref())
    }

    pub(super) fn partitions<'a>(
        &'a self,
        before: &'a Image,
        after: &'a Image,
    ) -> impl Iterator<Item = PartitionChange<'a>> + 'a {
        self.topics.iter().flat_map(move |(&id, change)| {
            let old = before.topics.by_id(id);
            let new = after.topics.by_id(id);
            let topic = new.or(old).or(change.deleted.as_ref());
            let mut indices = new.map(|_| change.partitions.clone()).unwrap_or_default();
            // A topic that went takes all its partitions along, touched or not.
            if let Some(old) = old.filter(|_| new.is_none() || change.deleted.is_some()) {
                indices.extend(old.partitions.keys());
            }
            indices.into_iter().filter_map(move |index| {
                let before = old.and_then(|topic| topic.partition(index));
                let after = new.and_then(|topic| topic.partition(index));
                (before != after).then_some(PartitionChange { topic: topic?, index, before, after })
            })
        })
    }
}

fn differing<'a, K: Ord + Clone + 'a, V: PartialEq + 'a>(
    before: impl Iterator<Item = (&'a K, &'a V)>,
    after: impl Iterator<Item = (&'a K, &'a V)>,
) -> BTreeSet<K> {
    let mut old: BTreeMap<&K, &V> = before.collect();
    let mut keys = BTreeSet::new();
    for (key, value) in after {
        if old.remove(key) != Some(value) {
            keys.insert(key.clone());
        }
    }
    keys.extend(old.into_keys().cloned());
    keys
}

fn differing_map<K: Ord + Clone, V: PartialEq>(
    before: &SharedMap<K, V>,
    after: &SharedMap<K, V>,
) -> BTreeSet<K> {
    if before.is_same(after) { BTreeSet::new() } else { differing(before.iter(), after.iter()) }
}

/// A replica of one broker and its partition's new state.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition's index.
    pub index: i32,
    /// The partition after the change.
    pub partition: Partition,
    /// True if the leader epoch differs from the one before, or there was none.
    pub new_leader_epoch: bool,
    /// The directory the replica is now assigned to, if the assignment changed and names a real directory.
    pub moved_to: Option<Uuid>,
}

/// What a change of the metadata means for one broker (Kafka's `LocalReplicaChanges`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LocalChanges {
    /// Replicas to stop and delete: (topic name, topic id, index, true if the whole topic is gone).
    pub deletes: Vec<(Arc<str>, Uuid, i32, bool)>,
    /// Partitions to lead, or to go on leading with changed replicas.
    pub leaders: Vec<LocalPartition>,
    /// Partitions to follow.
    pub followers: Vec<LocalPartition>,
}

/// See [`Delta::local_changes`].
pub(super) fn local(delta: &Delta, broker: i32) -> LocalChanges {
    let mut local = LocalChanges::default();
    for change in delta.partition_changes() {
        let (topic, index) = (change.topic, change.index);
        let was_here = change.before.is_some_and(|before| before.replicas.contains(&broker));
        let Some(after) = change.after.filter(|after| after.replicas.contains(&broker)) else {
            if was_here {
                let topic_gone = delta.after().topics.by_id(topic.id).is_none();
                local.deletes.push((topic.name.clone(), topic.id, index, topic_gone));
            }
            continue;
        };
        let directory = after.directory(broker);
        let moved = change.before.and_then(|before| before.directory(broker)) != directory;
        let partition = LocalPartition {
            topic: topic.name.clone(),
            topic_id: topic.id,
            index,
            partition: after.clone(),
            new_leader_epoch: change.before.is_none_or(|before| before.leader_epoch != after.leader_epoch),
            moved_to: directory.filter(|&id| moved && !crate::image::directory::is_reserved(id)),
        };
        if after.leader == broker { &mut local.leaders } else { &mut local.followers }.push(partition);
    }
    local
}
