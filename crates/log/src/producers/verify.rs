//! Verification of transactional appends (KIP-890): between asking the transaction coordinator whether a
//! partition is part of a transaction and the first append of that transaction.
//!
//! Each verification has a guard of its own: an answer that comes late, after a marker has ended the
//! transaction, does not let anything into the next one.

use ottla_records::ids::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// Identifies one verification. Comes back with the append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerificationGuard(u64);

impl VerificationGuard {
    /// The guard as a number, for those that only carry it.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The guard that gave this [`number`](VerificationGuard::number). A number of nobody's is one that matches nothing.
    pub fn from_number(number: u64) -> VerificationGuard {
        VerificationGuard(number)
    }
}

#[derive(Debug, Clone, Copy)]
struct Verification {
    producer_id: ProducerId,
    guard: VerificationGuard,
    since_ms: TimestampMs,
    lowest_sequence: Sequence,
    epoch: ProducerEpoch,
    supports_epoch_bump: bool,
}

/// The verifications under way: few, and short-lived.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    list: Vec<Verification>,
    last_guard: u64,
}

impl Verifications {
    /// The guard of the producer's verification, begun if there is none.
    pub(super) fn begin(
        &mut self,
        now_ms: TimestampMs,
        producer_id: ProducerId,
        sequence: Sequence,
        epoch: ProducerEpoch,
        supports_epoch_bump: bool,
    ) -> VerificationGuard {
        if let Some(known) = self.list.iter_mut().find(|known| known.producer_id == producer_id) {
            // A batch may overtake an earlier one on its way here; the lowest sequence must be the first.
            if epoch == known.epoch && sequence < known.lowest_sequence {
                known.lowest_sequence = sequence;
            } else if epoch > known.epoch {
                known.epoch = epoch;
                known.lowest_sequence = sequence;
            }
            return known.guard;
        }
        self.last_guard += 1;
        let guard = VerificationGuard(self.last_guard);
        self.list.push(Verification {
            producer_id,
            guard,
            since_ms: now_ms,
            lowest_sequence: sequence,
            epoch,
            supports_epoch_bump,
        });
        guard
    }

    fn find(&self, producer_id: ProducerId) -> Option<&Verification> {
        self.list.iter().find(|known| known.producer_id == producer_id)
    }

    pub(super) fn matches(&self, producer_id: ProducerId, guard: Option<VerificationGuard>) -> bool {
        guard.is_some() && self.find(producer_id).map(|known| known.guard) == guard
    }

    /// The lowest sequence seen, and whether the producer has to begin at 0.
    pub(super) fn lowest_sequence(&self, producer_id: ProducerId) -> Option<(Sequence, bool)> {
        self.find(producer_id).map(|known| (known.lowest_sequence, known.supports_epoch_bump))
    }

    /// A transactional batch was written: the verification has done its work. A marker of the epoch that is
    /// being verified belongs to the transaction before, if the producer changes its epoch with each.
    pub(super) fn end(&mut self, producer_id: ProducerId, marker: bool, epoch: ProducerEpoch) {
        self.list.retain(|known| {
            known.producer_id != producer_id || (known.supports_epoch_bump && marker && epoch == known.epoch)
        });
    }

    pub(super) fn expire(&mut self, now_ms: TimestampMs, after_ms: i64) {
        self.list.retain(|known| now_ms.saturating_sub(known.since_ms) < after_ms);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
}
