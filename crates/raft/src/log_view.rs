//! What the machine knows of the log: its bounds, its epochs, its snapshots. Never its bytes.

use std::collections::BTreeMap;

use ottla_records::ids::{LeaderEpoch, Offset};

/// A snapshot's name: everything before `end_offset` is in it, `epoch` is that of the last record in it.
/// Ordered by epoch, then offset, as Kafka orders them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SnapshotId {
    /// Epoch of the last contained record.
    pub epoch: LeaderEpoch,
    /// First offset that is not contained.
    pub end_offset: Offset,
}

impl SnapshotId {
    /// The checkpoint that formatting writes; it is never handed to other nodes.
    pub const BOOTSTRAP: SnapshotId = SnapshotId { epoch: 0, end_offset: 0 };
}

/// Where an epoch ends in some log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// First offset after it.
    pub end_offset: Offset,
}

/// What a leader makes of a follower's (offset, last epoch).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validity {
    /// The follower's log is a prefix of ours.
    Valid,
    /// It is not: cut back to this point.
    Diverging(EpochEnd),
    /// Its history is gone here: load this snapshot.
    Snapshot(SnapshotId),
}

/// A mirror of the log's metadata, kept in step by the effects the machine asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogView {
    start: Offset,
    end: Offset,
    flushed: Offset,
    epochs: Vec<(LeaderEpoch, Offset)>,
    snapshots: BTreeMap<SnapshotId, u64>,
}

impl LogView {
    /// A view of a log that was just opened: everything in it counts as flushed. `epochs` are
    /// (epoch, start offset) ascending; `snapshots` are (id, bytes).
    pub fn new(
        start: Offset,
        end: Offset,
        epochs: Vec<(LeaderEpoch, Offset)>,
        snapshots: impl IntoIterator<Item = (SnapshotId, u64)>,
    ) -> Self {
        Self { start, end, flushed: end, epochs, snapshots: snapshots.into_iter().collect() }
    }

    /// First offset.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Next offset.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// First offset that may be lost by a power cut.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// (epoch, start offset), ascending.
    pub fn epochs(&self) -> &[(LeaderEpoch, Offset)] {
        &self.epochs
    }

    /// Epoch of the last record, or of the snapshot the log starts at, or 0.
    pub fn last_epoch(&self) -> LeaderEpoch {
        match self.epochs.last() {
            Some((epoch, _)) => *epoch,
            None => self.latest_snapshot().map_or(0, |id| id.epoch),
        }
    }

    /// Newest snapshot.
    pub fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.last_key_value().map(|(id, _)| *id)
    }

    /// Oldest snapshot.
    pub fn earliest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.first_key_value().map(|(id, _)| *id)
    }

    /// Bytes of a snapshot, if it is here.
    pub fn snapshot_size(&self, id: SnapshotId) -> Option<u64> {
        self.snapshots.get(&id).copied()
    }

    /// Is (last epoch, end offset) of some candidate at least as new as this log?
    pub fn is_behind_or_equal(&self, epoch: LeaderEpoch, end: Offset) -> bool {
        (epoch, end) >= (self.last_epoch(), self.end)
    }

    /// Where `epoch` ends here: the end of the largest known epoch not above it. An epoch above all known
    /// ones answers with the end of the log.
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> EpochEnd {
        let whole = EpochEnd { epoch: self.last_epoch(), end_offset: self.end };
        let next = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let Some((_, next_start)) = self.epochs.get(next).copied() else { return whole };
        // Below every known epoch: the request's own epoch, ending where ours begin.
        let floor = if next == 0 { epoch } else { self.epochs[next - 1].0 };
        let found = EpochEnd { epoch: floor, end_offset: next_start };
        match self.earliest_snapshot() {
            Some(first) if first.end_offset == found.end_offset && found.epoch == epoch => {
                EpochEnd { epoch: first.epoch, end_offset: first.end_offset }
            }
            _ => found,
        }
    }

    /// Judges a follower's position (KIP-595 and KIP-630).
    pub fn validate(&self, offset: Offset, epoch: LeaderEpoch) -> Validity {
        if self.start == 0 && offset == 0 {
            return Validity::Valid;
        }
        if let (Some(first), Some(last)) = (self.earliest_snapshot(), self.latest_snapshot())
            && (offset < self.start || (offset == self.start && epoch != first.epoch) || epoch < first.epoch)
        {
            return Validity::Snapshot(last);
        }
        let end = self.end_of_epoch(epoch);
        if end.epoch != epoch || end.end_offset < offset {
            return Validity::Diverging(end);
        }
        Validity::Valid
    }

    /// Where to cut this log so that it agrees with a leader that said its `theirs.epoch` ends there.
    pub fn truncation_point(&self, theirs: EpochEnd) -> Offset {
        let point = if theirs.epoch == 0 {
            theirs.end_offset
        } else {
            let ours = self.end_of_epoch(theirs.epoch);
            if ours.epoch == theirs.epoch { ours.end_offset.min(theirs.end_offset) } else { ours.end_offset }
        };
        point.clamp(self.start, self.end)
    }

    /// Records were appended: `epoch` starts at the first of them unless it is known already.
    pub(crate) fn append(&mut self, last_offset: Offset, epoch: LeaderEpoch) {
        if self.epochs.last().is_none_or(|(known, _)| *known < epoch) {
            self.epochs.push((epoch, self.end));
        }
        self.end = last_offset + 1;
    }

    pub(crate) fn set_flushed(&mut self, up_to: Offset) {
        self.flushed = self.flushed.max(up_to.min(self.end));
    }

    pub(crate) fn truncate(&mut self, to: Offset) {
        self.end = to;
        self.flushed = self.flushed.min(to);
        while self.epochs.last().is_some_and(|(_, start)| *start >= to) {
            self.epochs.pop();
        }
    }

    /// The log was thrown away in favour of a snapshot and starts, empty, at its end.
    pub(crate) fn restart_at(&mut self, id: SnapshotId, size: u64) {
        self.start = id.end_offset;
        self.end = id.end_offset;
        self.flushed = id.end_offset;
        self.epochs.clear();
        self.snapshots = BTreeMap::from([(id, size)]);
    }

    pub(crate) fn add_snapshot(&mut self, id: SnapshotId, size: u64) {
        self.snapshots.insert(id, size);
    }

    /// Old records and the snapshots before them were dropped.
    pub(crate) fn raise_start(&mut self, start: Offset) {
        self.start = self.start.max(start);
        self.snapshots.retain(|id, _| id.end_offset >= start);
        let first = self.epochs.iter().rposition(|(_, begin)| *begin <= start).unwrap_or(0);
        self.epochs.drain(..first);
        if let Some((_, begin)) = self.epochs.first_mut() {
            *begin = (*begin).max(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> LogView {
        LogView::new(0, 30, vec![(1, 0), (3, 10), (5, 20)], [])
    }

    #[test]
    fn epochs_end_where_the_next_one_starts() {
        let log = view();
        assert_eq!(log.end_of_epoch(3), EpochEnd { epoch: 3, end_offset: 20 });
        assert_eq!(log.end_of_epoch(4), EpochEnd { epoch: 3, end_offset: 20 });
        assert_eq!(log.end_of_epoch(0), EpochEnd { epoch: 0, end_offset: 0 });
        assert_eq!(log.end_of_epoch(9), EpochEnd { epoch: 5, end_offset: 30 });
    }

    #[test]
    fn a_follower_is_valid_diverging_or_in_need_of_a_snapshot() {
        let mut log = view();
        assert_eq!(log.validate(20, 3), Validity::Valid);
        assert_eq!(log.validate(25, 3), Validity::Diverging(EpochEnd { epoch: 3, end_offset: 20 }));
        assert_eq!(log.validate(31, 5), Validity::Diverging(EpochEnd { epoch: 5, end_offset: 30 }));
        let id = SnapshotId { epoch: 3, end_offset: 15 };
        log.add_snapshot(id, 7);
        log.raise_start(15);
        assert_eq!(log.validate(3, 1), Validity::Snapshot(id));
        assert_eq!(log.validate(15, 3), Validity::Valid);
        assert_eq!(log.validate(15, 1), Validity::Snapshot(id));
        assert_eq!(log.epochs(), &[(3, 15), (5, 20)]);
    }

    #[test]
    fn truncation_finds_the_common_prefix() {
        let log = view();
        assert_eq!(log.truncation_point(EpochEnd { epoch: 3, end_offset: 14 }), 14);
        assert_eq!(log.truncation_point(EpochEnd { epoch: 4, end_offset: 28 }), 20);
        let mut cut = log;
        cut.truncate(20);
        assert_eq!((cut.end(), cut.last_epoch()), (20, 3));
    }

    #[test]
    fn an_empty_log_takes_its_epoch_from_the_snapshot() {
        let mut log = view();
        log.restart_at(SnapshotId { epoch: 9, end_offset: 100 }, 5);
        assert_eq!((log.start(), log.end(), log.last_epoch()), (100, 100, 9));
    }
}
