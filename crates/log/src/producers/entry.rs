//! What a log remembers of one producer: its epoch, its last five batches, its open transaction.

use ottla_records::ids::{
    NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, Offset, ProducerEpoch, Sequence, TimestampMs, sub_sequence,
};

/// Batches remembered per producer: how many a client may have in flight (Kafka: `NUM_BATCHES_TO_RETAIN`).
pub const BATCHES_REMEMBERED: usize = 5;

/// A batch that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppendedBatch {
    /// Sequence of its last record.
    pub last_sequence: Sequence,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Last offset minus first offset.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: TimestampMs,
}

impl AppendedBatch {
    /// Offset of its first record.
    pub fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// Sequence of its first record.
    pub fn first_sequence(&self) -> Sequence {
        sub_sequence(self.last_sequence, self.offset_delta)
    }
}

/// The state of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Its newest epoch; −1 if none is known.
    pub epoch: ProducerEpoch,
    /// Epoch of the transaction coordinator that wrote its last marker; −1 if none did.
    pub coordinator_epoch: i32,
    /// Timestamp of its last batch or marker.
    pub last_timestamp: TimestampMs,
    /// First offset of its open transaction; −1 if it has none.
    pub transaction_start: Offset,
    batches: [AppendedBatch; BATCHES_REMEMBERED],
    count: u8,
}

impl ProducerEntry {
    /// A producer nothing is known of.
    pub fn unknown() -> ProducerEntry {
        ProducerEntry {
            epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: NO_TIMESTAMP,
            transaction_start: -1,
            batches: Default::default(),
            count: 0,
        }
    }

    /// The batches remembered, oldest first.
    pub fn batches(&self) -> &[AppendedBatch] {
        &self.batches[..usize::from(self.count)]
    }

    /// First offset of its open transaction.
    pub fn open_transaction(&self) -> Option<Offset> {
        (self.transaction_start >= 0).then_some(self.transaction_start)
    }

    /// Sequence of the last record; −1 if no batch of this epoch is remembered.
    pub fn last_sequence(&self) -> Sequence {
        self.batches().last().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// The remembered batch that has exactly these sequences, in this epoch.
    pub(super) fn duplicate_of(
        &self,
        epoch: ProducerEpoch,
        first: Sequence,
        last: Sequence,
    ) -> Option<&AppendedBatch> {
        if epoch != self.epoch {
            return None;
        }
        self.batches().iter().find(|batch| batch.last_sequence == last && batch.first_sequence() == first)
    }

    /// A new epoch makes the batches of the old one forgotten.
    pub(super) fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.count = 0;
        }
    }

    pub(super) fn add_batch(&mut self, epoch: ProducerEpoch, batch: AppendedBatch) {
        self.set_epoch(epoch);
        if usize::from(self.count) == BATCHES_REMEMBERED {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = batch;
        self.count += 1;
        self.last_timestamp = batch.timestamp;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(last_sequence: Sequence, last_offset: Offset) -> AppendedBatch {
        AppendedBatch { last_sequence, last_offset, offset_delta: 9, timestamp: last_offset }
    }

    #[test]
    fn five_batches_of_the_newest_epoch_are_remembered() {
        let mut entry = ProducerEntry::unknown();
        assert_eq!(entry.last_sequence(), NO_SEQUENCE);
        for n in 0..7 {
            entry.add_batch(3, batch(n * 10 + 9, i64::from(n) * 10 + 109));
        }
        let firsts: Vec<_> = entry.batches().iter().map(AppendedBatch::first_sequence).collect();
        assert_eq!(firsts, [20, 30, 40, 50, 60]);
        assert_eq!(entry.duplicate_of(3, 20, 29).unwrap().first_offset(), 120);
        assert_eq!(entry.duplicate_of(3, 10, 19), None, "forgotten");
        assert_eq!(entry.duplicate_of(3, 20, 28), None, "not the same batch");
        assert_eq!(entry.duplicate_of(4, 20, 29), None, "another epoch");
        entry.add_batch(4, batch(9, 200));
        assert_eq!(entry.batches(), [batch(9, 200)]);
    }

    #[test]
    fn sequences_that_wrap_are_found() {
        let mut entry = ProducerEntry::unknown();
        entry.add_batch(0, batch(4, 100));
        assert_eq!(entry.batches()[0].first_sequence(), i32::MAX - 4);
        assert!(entry.duplicate_of(0, i32::MAX - 4, 4).is_some());
    }
}
