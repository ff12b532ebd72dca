//! Committed offsets: what is stored, what is on its way to the log, and what open transactions hold back.
//!
//! Every partition has one stable value, the one a plain fetch sees, and beside it the values of appends
//! that have no outcome yet, in the order they were issued. Decisions look at the latest of these; an append
//! that fails takes only its own value away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ottla_protocol::coordinator_records::offset_commit_value::OffsetCommitValue;
use uuid::Uuid;

use crate::api::AppendId;

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    /// -1 when the client did not say.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Box<str>,
    pub(crate) commit_ms: i64,
    /// Only for clients that set a retention time (OffsetCommit up to version 4).
    pub(crate) expire_ms: Option<i64>,
    /// Nil when the record has none.
    pub(crate) topic_id: Uuid,
    /// Where the record stands in the log; -1 until it is there.
    pub(crate) record_offset: i64,
}

impl Committed {
    pub(crate) fn of_record(value: OffsetCommitValue, record_offset: i64) -> Committed {
        Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into(),
            commit_ms: value.commit_timestamp,
            expire_ms: (value.expire_timestamp != -1).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
            record_offset,
        }
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Cell {
    stable: Option<Committed>,
    issued: Vec<(AppendId, Option<Committed>)>,
}

impl Cell {
    fn latest(&self) -> Option<&Committed> {
        self.issued.last().map_or(self.stable.as_ref(), |(_, value)| value.as_ref())
    }

    fn is_bare(&self) -> bool {
        self.stable.is_none() && self.issued.is_empty()
    }
}

type Topics<V> = BTreeMap<Arc<str>, BTreeMap<i32, V>>;

/// The partition of an offset, and of which group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) group: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// The offsets of all groups of a shard.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: HashMap<Arc<str>, Topics<Cell>>,
    /// Offsets of open transactions, by producer.
    pending: HashMap<i64, BTreeMap<Place, Committed>>,
    /// The producers with an open transaction on a partition.
    open: HashMap<Arc<str>, Topics<BTreeSet<i64>>>,
}

impl Offsets {
    fn cell(&self, group: &str, topic: &str, partition: i32) -> Option<&Cell> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    fn cell_mut(&mut self, place: &Place) -> &mut Cell {
        let topics = self.groups.entry(place.group.clone()).or_default();
        topics.entry(place.topic.clone()).or_default().entry(place.partition).or_default()
    }

    fn prune(&mut self, place: &Place) {
        let Some(topics) = self.groups.get_mut(&place.group) else { return };
        let Some(partitions) = topics.get_mut(&place.topic) else { return };
        if partitions.get(&place.partition).is_some_and(Cell::is_bare) {
            partitions.remove(&place.partition);
        }
        if partitions.is_empty() {
            topics.remove(&place.topic);
        }
        if topics.is_empty() {
            self.groups.remove(&place.group);
        }
    }

    /// What the log holds, as far as it is committed.
    pub(crate) fn stable(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.cell(group, topic, partition)?.stable.as_ref()
    }

    /// What the log will hold if everything on its way arrives.
    pub(crate) fn latest(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.cell(group, topic, partition)?.latest()
    }

    /// Every stable offset of a group, by topic and partition.
    pub(crate) fn all_stable<'a>(
        &'a self,
        group: &str,
    ) -> impl Iterator<Item = (&'a Arc<str>, i32, &'a Committed)> {
        self.groups.get(group).into_iter().flatten().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .filter_map(move |(partition, cell)| Some((topic, *partition, cell.stable.as_ref()?)))
        })
    }

    /// Every latest offset of a group, by topic and partition.
    pub(crate) fn all_latest<'a>(
        &'a self,
        group: &str,
    ) -> impl Iterator<Item = (&'a Arc<str>, i32, &'a Committed)> {
        self.groups.get(group).into_iter().flatten().flat_map(|(topic, partitions)| {
            partitions.iter().filter_map(move |(partition, cell)| Some((topic, *partition, cell.latest()?)))
        })
    }

    /// Whether a group has any offset, on its way included.
    pub(crate) fn has_any(&self, group: &str) -> bool {
        self.all_latest(group).next().is_some()
    }

    /// The groups with offsets, by id.
    pub(crate) fn group_ids(&self) -> BTreeSet<Arc<str>> {
        self.groups.keys().cloned().collect()
    }

    /// How many stable offsets there are.
    pub(crate) fn len(&self) -> usize {
        self.groups.values().flatten().map(|(_, p)| p.values().filter(|c| c.stable.is_some()).count()).sum()
    }

    /// Takes in what the log says: an offset, or a tombstone, which also ends what transactions hold there.
    pub(crate) fn put(&mut self, place: Place, value: Option<Committed>) {
        if value.is_none() {
            self.forget_pending(&place);
        }
        self.cell_mut(&place).stable = value;
        self.prune(&place);
    }

    /// A value is on its way to the log with append `id`.
    pub(crate) fn issue(&mut self, id: AppendId, place: &Place, value: Option<Committed>) {
        self.cell_mut(place).issued.push((id, value));
    }

    /// Append `id` has an outcome for this partition: the record's offset, or `None` if it failed.
    pub(crate) fn settle(&mut self, id: AppendId, place: Place, record_offset: Option<i64>) {
        let cell = self.cell_mut(&place);
        let Some(at) = cell.issued.iter().position(|(issued, _)| *issued == id) else {
            panic!("GROUPS-5 append {id} settles an offset it never issued");
        };
        let (_, value) = cell.issued.remove(at);
        match record_offset {
            // While a log is read the end of a transaction counts at once, and what is further up in the log only when the
            // high watermark has passed it: the later record wins all the same.
            Some(record_offset) if !self.is_newer(&place, record_offset) => {
                self.put(place, value.map(|value| Committed { record_offset, ..value }));
            }
            _ => self.prune(&place),
        }
    }

    /// Whether what is stored for this partition stands behind `record_offset` in the log.
    fn is_newer(&self, place: &Place, record_offset: i64) -> bool {
        let there = self.stable(&place.group, &place.topic, place.partition);
        there.is_some_and(|there| there.record_offset > record_offset)
    }

    /// An offset was written by a transaction that is still open.
    pub(crate) fn put_pending(&mut self, producer_id: i64, place: Place, value: Committed) {
        let topics = self.open.entry(place.group.clone()).or_default();
        let partitions = topics.entry(place.topic.clone()).or_default();
        partitions.entry(place.partition).or_default().insert(producer_id);
        self.pending.entry(producer_id).or_default().insert(place, value);
    }

    fn close(&mut self, producer_id: i64, place: &Place) {
        let Some(topics) = self.open.get_mut(&place.group) else { return };
        let Some(partitions) = topics.get_mut(&place.topic) else { return };
        if let Some(producers) = partitions.get_mut(&place.partition) {
            producers.remove(&producer_id);
            if producers.is_empty() {
                partitions.remove(&place.partition);
            }
        }
        if partitions.is_empty() {
            topics.remove(&place.topic);
        }
        if topics.is_empty() {
            self.open.remove(&place.group);
        }
    }

    fn forget_pending(&mut self, place: &Place) {
        for producer_id in self.open_on(&place.group, &place.topic, place.partition) {
            if let Some(places) = self.pending.get_mut(&producer_id) {
                places.remove(place);
            }
            self.close(producer_id, place);
        }
    }

    fn open_on(&self, group: &str, topic: &str, partition: i32) -> Vec<i64> {
        let producers = || self.open.get(group)?.get(topic)?.get(&partition);
        producers().map(|producers| producers.iter().copied().collect()).unwrap_or_default()
    }

    /// The marker of `producer_id`'s transaction: its offsets become visible, or are dropped.
    ///
    /// An offset committed outside of the transaction and later in the log wins over the transaction's.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        for (place, value) in self.pending.remove(&producer_id).unwrap_or_default() {
            self.close(producer_id, &place);
            if committed && !self.is_newer(&place, value.record_offset) {
                self.put(place, Some(value));
            }
        }
    }

    /// Whether an open transaction has written to this partition.
    pub(crate) fn is_open(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.open.get(group).and_then(|t| t.get(topic)).is_some_and(|p| p.contains_key(&partition))
    }

    /// The partitions of a group that open transactions have written to.
    pub(crate) fn all_open<'a>(&'a self, group: &str) -> impl Iterator<Item = (&'a Arc<str>, i32)> {
        let topics = self.open.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| partitions.keys().map(move |partition| (topic, *partition)))
    }

    /// Every partition with a latest or pending offset of a topic in `wanted`; the pending one counts with
    /// its own topic id.
    pub(crate) fn of_topics(&self, wanted: impl Fn(&str, Uuid) -> bool) -> BTreeSet<Place> {
        let place = |group: &Arc<str>, topic: &Arc<str>, partition| Place {
            group: group.clone(),
            topic: topic.clone(),
            partition,
        };
        let mut found = BTreeSet::new();
        for group in self.groups.keys() {
            for (topic, partition, value) in self.all_latest(group) {
                if wanted(topic, value.topic_id) {
                    found.insert(place(group, topic, partition));
                }
            }
        }
        for (at, value) in self.pending.values().flatten() {
            if wanted(&at.topic, value.topic_id) {
                found.insert(at.clone());
            }
        }
        found
    }

    /// Stable and pending offsets in a comparable order, for checks that two shards agree.
    pub(crate) fn dump(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (group, topics) in &self.groups {
            for (topic, partitions) in topics {
                for (partition, cell) in partitions {
                    if let Some(value) = &cell.stable {
                        lines.push(format!("offset {group} {topic}-{partition} {value:?}"));
                    }
                }
            }
        }
        for (producer_id, places) in &self.pending {
            for (at, value) in places {
                lines.push(format!(
                    "pending {} {}-{} of {producer_id} {value:?}",
                    at.group, at.topic, at.partition
                ));
            }
        }
        lines.sort();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> Place {
        Place { group: "g".into(), topic: "t".into(), partition }
    }

    fn value(offset: i64, record_offset: i64) -> Committed {
        Committed {
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            commit_ms: 0,
            expire_ms: None,
            topic_id: Uuid::nil(),
            record_offset,
        }
    }

    fn stable(offsets: &Offsets) -> Option<i64> {
        offsets.stable("g", "t", 0).map(|v| v.offset)
    }

    fn latest(offsets: &Offsets) -> Option<i64> {
        offsets.latest("g", "t", 0).map(|v| v.offset)
    }

    #[test]
    fn a_failed_append_takes_only_its_own_value_away() {
        let mut offsets = Offsets::default();
        offsets.put(at(0), Some(value(1, 0)));
        offsets.issue(10, &at(0), Some(value(2, -1)));
        offsets.issue(11, &at(0), None);
        offsets.issue(12, &at(0), Some(value(4, -1)));
        assert_eq!((stable(&offsets), latest(&offsets)), (Some(1), Some(4)));
        offsets.settle(10, at(0), Some(5));
        offsets.settle(11, at(0), None);
        assert_eq!((stable(&offsets), latest(&offsets)), (Some(2), Some(4)));
        offsets.settle(12, at(0), None);
        assert_eq!((stable(&offsets), latest(&offsets)), (Some(2), Some(2)));
        offsets.issue(13, &at(0), None);
        assert!(!offsets.has_any("g"));
        offsets.settle(13, at(0), Some(6));
        assert!(offsets.groups.is_empty(), "nothing is kept for what is gone");
    }

    #[test]
    fn one_append_may_write_a_partition_twice() {
        let mut offsets = Offsets::default();
        offsets.issue(1, &at(0), Some(value(7, -1)));
        offsets.issue(1, &at(0), Some(value(8, -1)));
        offsets.settle(1, at(0), Some(0));
        offsets.settle(1, at(0), Some(1));
        assert_eq!(stable(&offsets), Some(8));
    }

    #[test]
    fn a_transaction_shows_its_offsets_with_the_commit_marker_only() {
        let mut offsets = Offsets::default();
        offsets.put(at(0), Some(value(1, 0)));
        offsets.put_pending(77, at(0), value(5, 1));
        offsets.put_pending(78, at(0), value(6, 2));
        assert!(offsets.is_open("g", "t", 0) && stable(&offsets) == Some(1));
        offsets.end_transaction(77, false);
        assert!(offsets.is_open("g", "t", 0) && stable(&offsets) == Some(1));
        offsets.end_transaction(78, true);
        assert!(!offsets.is_open("g", "t", 0) && stable(&offsets) == Some(6));
        assert!(offsets.open.is_empty() && offsets.pending.is_empty());
    }

    #[test]
    fn a_later_plain_commit_wins_over_the_transaction() {
        let mut offsets = Offsets::default();
        offsets.put_pending(77, at(0), value(5, 1));
        offsets.put(at(0), Some(value(3, 2)));
        offsets.end_transaction(77, true);
        assert_eq!(stable(&offsets), Some(3));
    }

    #[test]
    fn a_transaction_wins_over_what_stands_before_it_and_is_committed_after_it() {
        let mut offsets = Offsets::default();
        offsets.issue(1, &at(0), Some(value(3, -1)));
        offsets.put_pending(77, at(0), value(5, 2));
        offsets.end_transaction(77, true);
        offsets.settle(1, at(0), Some(1));
        assert_eq!((stable(&offsets), latest(&offsets)), (Some(5), Some(5)));
    }

    #[test]
    fn a_tombstone_ends_what_transactions_hold_there() {
        let mut offsets = Offsets::default();
        offsets.put_pending(77, at(0), value(5, 1));
        offsets.put_pending(77, at(1), value(6, 2));
        offsets.put(at(0), None);
        assert!(!offsets.is_open("g", "t", 0) && offsets.is_open("g", "t", 1));
        offsets.end_transaction(77, true);
        assert_eq!(stable(&offsets), None);
        assert_eq!(offsets.stable("g", "t", 1).map(|v| v.offset), Some(6));
    }
}
