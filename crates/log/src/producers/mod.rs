//! What a log knows of its idempotent and transactional producers (Kafka: `ProducerStateManager`).

mod check;
mod entry;
pub(crate) mod snapshot;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ottla_records::ids::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

pub(crate) use check::{Checked, CompletedTxn, Incoming, Update};
pub use check::{Origin, Transaction};
pub use entry::{AppendedBatch, BATCHES_REMEMBERED, ProducerEntry};
pub use verify::VerificationGuard;
use verify::Verifications;

/// The producers of one log, as they are at an offset.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    entries: HashMap<ProducerId, ProducerEntry, FixedState>,
    /// Open transactions by their first offset.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Transactions that have ended, by their first offset, with the offset of the marker: they hold back the
    /// last stable offset until the high watermark has passed the marker.
    unreplicated: BTreeMap<Offset, Offset>,
    verifications: Verifications,
    /// The offset up to which batches have been taken in.
    pub(crate) end_offset: Offset,
    /// Offset of the newest snapshot, or what stands for one.
    pub(crate) snapshot_offset: Offset,
}

impl Producers {
    /// Nobody, at an offset.
    pub(crate) fn none_at(end_offset: Offset) -> Producers {
        Producers { end_offset, ..Producers::default() }
    }

    /// Takes in what was checked and is now written.
    pub(crate) fn apply(&mut self, update: Update) -> UpdateDone {
        let mut done = UpdateDone::default();
        for (id, entry) in update.entries {
            self.entries.insert(id, entry);
        }
        self.ongoing.extend(update.started);
        for completed in update.completed {
            let last_stable_offset = self.stable_without(&completed);
            self.ongoing.remove(&completed.first_offset);
            self.unreplicated.insert(completed.first_offset, completed.last_offset);
            if completed.aborted {
                done.aborted.push((completed, last_stable_offset));
            }
        }
        for (id, marker, epoch) in update.verified {
            self.verifications.end(id, marker, epoch);
        }
        done
    }

    /// The last stable offset once this transaction has ended and nothing else has.
    fn stable_without(&self, completed: &CompletedTxn) -> Offset {
        let next = self.ongoing.iter().find(|(_, id)| **id != completed.producer_id);
        next.map_or(completed.last_offset + 1, |(first, _)| *first)
    }

    /// The first offset that a reader of committed records must not pass.
    pub(crate) fn first_unstable_offset(&self) -> Option<Offset> {
        let undecided = self.ongoing.keys().next();
        let unreplicated = self.unreplicated.keys().next();
        undecided.into_iter().chain(unreplicated).min().copied()
    }

    /// First offset of the oldest open transaction.
    pub(crate) fn first_undecided_offset(&self) -> Option<Offset> {
        self.ongoing.keys().next().copied()
    }

    /// Timestamp of the last batch of the oldest open transaction: what shows a transaction left hanging.
    pub(crate) fn oldest_transaction_timestamp(&self) -> Option<TimestampMs> {
        let (_, id) = self.ongoing.first_key_value()?;
        self.entries.get(id).map(|entry| entry.last_timestamp)
    }

    pub(crate) fn on_high_watermark(&mut self, high_watermark: Offset) {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, marker| *marker >= high_watermark);
        }
    }

    pub(crate) fn on_log_start(&mut self, log_start: Offset) {
        self.on_high_watermark(log_start);
        self.end_offset = self.end_offset.max(log_start);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, end_offset: Offset) {
        *self = Producers::none_at(end_offset);
    }

    /// Takes in a snapshot, without producers that have expired.
    pub(crate) fn load(
        &mut self,
        offset: Offset,
        producers: Vec<(ProducerId, ProducerEntry)>,
        now_ms: TimestampMs,
        expire_after_ms: i64,
    ) {
        self.clear(offset);
        self.snapshot_offset = offset;
        for (id, entry) in producers {
            if is_expired(&entry, now_ms, expire_after_ms) {
                continue;
            }
            self.ongoing.extend(entry.open_transaction().map(|first| (first, id)));
            self.entries.insert(id, entry);
        }
    }

    /// Forgets producers without an open transaction that have been silent for this long.
    pub(crate) fn expire(&mut self, now_ms: TimestampMs, after_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| !is_expired(entry, now_ms, after_ms));
        self.verifications.expire(now_ms, after_ms);
        if self.entries.is_empty() {
            self.entries = HashMap::default();
        }
        before - self.entries.len()
    }

    pub(crate) fn get(&self, id: ProducerId) -> Option<&ProducerEntry> {
        self.entries.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.unreplicated.is_empty()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        snapshot::encode(self.iter())
    }

    /// See [`Log::begin_verification`](crate::Log::begin_verification).
    pub(crate) fn begin_verification(
        &mut self,
        now_ms: TimestampMs,
        id: ProducerId,
        sequence: Sequence,
        epoch: ProducerEpoch,
        supports_epoch_bump: bool,
    ) -> Option<VerificationGuard> {
        let entry = self.entries.get(&id);
        if entry.is_some_and(|entry| entry.open_transaction().is_some() && entry.epoch == epoch) {
            return None;
        }
        Some(self.verifications.begin(now_ms, id, sequence, epoch, supports_epoch_bump))
    }

    pub(crate) fn forget_verifications(&mut self) {
        self.verifications.clear();
    }
}

/// What an applied update leaves to do.
#[derive(Debug, Default)]
pub(crate) struct UpdateDone {
    /// Aborted transactions, each with the last stable offset at that moment: for the transaction index.
    pub(crate) aborted: smallvec::SmallVec<[(CompletedTxn, Offset); 1]>,
}

fn is_expired(entry: &ProducerEntry, now_ms: TimestampMs, after_ms: i64) -> bool {
    entry.open_transaction().is_none() && now_ms.saturating_sub(entry.last_timestamp) >= after_ms
}
