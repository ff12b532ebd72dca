//! What idempotent and transactional producers may append (Kafka: `ProducerAppendInfo`, and
//! `UnifiedLog.analyzeAndValidateProducerState`).
//!
//! Nothing is changed while batches are checked: the outcome is an [`Update`], applied once they are written.

use ottla_records::ids::{NO_PRODUCER_EPOCH, Offset, ProducerId, Sequence, TimestampMs};
use ottla_records::mutant;
use ottla_records::{Batch, ControlRecord};
use smallvec::SmallVec;

use super::Producers;
use super::entry::{AppendedBatch, ProducerEntry};
use super::verify::VerificationGuard;
use crate::error::AppendError;

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client, through a produce request: everything is checked.
    Client,
    /// A group or transaction coordinator: sequences are not checked.
    Coordinator,
    /// The leader, through replication, or this log itself, when it is read again: nothing is refused, the leader
    /// has decided.
    Replication,
}

/// A batch on its way into the log, with the fields the leader has set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) batch: Batch<'a>,
    pub(crate) base_offset: Offset,
    pub(crate) max_timestamp: TimestampMs,
}

impl Incoming<'_> {
    pub(crate) fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(self.batch.last_offset_delta))
    }
}

/// What the transaction coordinator has said about the producer, and the version of its protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transaction {
    /// The guard that was made when the coordinator was asked (KIP-890); `None` if it was not.
    pub guard: Option<VerificationGuard>,
    /// `transaction.version` of the append, for markers; 0 and 1 let a marker have the producer's current epoch,
    /// from 2 on it must have a higher one.
    pub version: i16,
    /// Whether transactional batches need an open transaction or a guard
    /// (`transaction.partition.verification.enable`).
    pub verify: bool,
}

/// A transaction that a marker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletedTxn {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    /// The marker's own offset.
    pub(crate) last_offset: Offset,
    pub(crate) aborted: bool,
}

/// What checked batches change once they are written.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(super) entries: SmallVec<[(ProducerId, ProducerEntry); 1]>,
    pub(super) started: SmallVec<[(Offset, ProducerId); 1]>,
    pub(crate) completed: SmallVec<[CompletedTxn; 1]>,
    /// Transactional batches, as (producer, whether it was a marker, its epoch): they end verifications.
    pub(super) verified: SmallVec<[(ProducerId, bool, i16); 1]>,
}

/// The outcome of checking.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and lives for one append")]
pub(crate) enum Checked {
    /// A client sends a batch again that is in the log already.
    Duplicate(AppendedBatch),
    /// To be applied once the batches are written.
    New(Update),
}

impl Producers {
    /// Checks batches that are to be appended in this order.
    pub(crate) fn check(
        &self,
        origin: Origin,
        transaction: Transaction,
        batches: &[Incoming<'_>],
    ) -> Result<Checked, AppendError> {
        let mut update = Update::default();
        for incoming in batches.iter().filter(|incoming| incoming.batch.has_producer_id()) {
            let batch = &incoming.batch;
            let known = self.entries.get(&batch.producer_id);
            if origin == Origin::Client
                && !mutant::is("duplicates-unknown")
                && let Some(duplicate) = known.and_then(|entry| {
                    entry.duplicate_of(batch.producer_epoch, batch.base_sequence, batch.last_sequence())
                })
            {
                return Ok(Checked::Duplicate(*duplicate));
            }
            if origin != Origin::Replication && batch.is_transactional() {
                self.check_verified(transaction, incoming, known)?;
            }
            let at = match update.entries.iter().position(|(id, _)| *id == batch.producer_id) {
                Some(at) => at,
                None => {
                    let entry = known.cloned().unwrap_or_else(ProducerEntry::unknown);
                    update.entries.push((batch.producer_id, entry));
                    update.entries.len() - 1
                }
            };
            let entry = &mut update.entries[at].1;
            if batch.is_control() {
                if let Some(completed) = marker(entry, origin, transaction.version, incoming)? {
                    update.completed.push(completed);
                }
            } else if self.data(entry, known.is_some(), origin, incoming)? {
                update.started.push((incoming.base_offset, batch.producer_id));
            }
            if batch.is_transactional() {
                update.verified.push((batch.producer_id, batch.is_control(), batch.producer_epoch));
            }
        }
        Ok(Checked::New(update))
    }

    /// A transactional batch needs an open transaction, or a guard that says the coordinator knows about it.
    fn check_verified(
        &self,
        transaction: Transaction,
        incoming: &Incoming<'_>,
        known: Option<&ProducerEntry>,
    ) -> Result<(), AppendError> {
        let batch = &incoming.batch;
        let ongoing = known
            .is_some_and(|entry| entry.open_transaction().is_some() && entry.epoch == batch.producer_epoch);
        if ongoing {
            return Ok(());
        }
        if let Some(entry) = known.filter(|entry| batch.producer_epoch < entry.epoch) {
            return Err(invalid_epoch(incoming, entry.epoch));
        }
        let needed = transaction.verify && !batch.is_control();
        if needed && !self.verifications.matches(batch.producer_id, transaction.guard) {
            return Err(AppendError::InvalidTxnState {
                producer_id: batch.producer_id,
                offset: incoming.base_offset,
                reason: "record was not part of an ongoing transaction",
            });
        }
        Ok(())
    }

    /// Returns whether the batch begins a transaction.
    fn data(
        &self,
        entry: &mut ProducerEntry,
        known: bool,
        origin: Origin,
        incoming: &Incoming<'_>,
    ) -> Result<bool, AppendError> {
        let batch = &incoming.batch;
        if origin != Origin::Replication && batch.producer_epoch < entry.epoch {
            return Err(invalid_epoch(incoming, entry.epoch));
        }
        if origin == Origin::Client {
            let first = batch.base_sequence;
            let lowest = self.verifications.lowest_sequence(batch.producer_id);
            // A producer of transaction version 2 begins at 0 where nothing is known of it; and while its
            // first batch is being verified, none may overtake it.
            let too_high = lowest.is_some_and(|(lowest, starts_at_zero)| {
                first > lowest || (starts_at_zero && !known && first != 0)
            });
            if too_high || !follows(entry, batch.producer_epoch, first) {
                return Err(AppendError::OutOfOrderSequence {
                    producer_id: batch.producer_id,
                    offset: incoming.base_offset,
                    sequence: first,
                    expected_after: entry.last_sequence(),
                });
            }
        }
        let appended = AppendedBatch {
            last_sequence: batch.last_sequence(),
            last_offset: incoming.last_offset(),
            offset_delta: batch.last_offset_delta,
            timestamp: incoming.max_timestamp,
        };
        match (entry.open_transaction(), batch.is_transactional()) {
            (Some(_), false) if origin != Origin::Replication => Err(AppendError::InvalidTxnState {
                producer_id: batch.producer_id,
                offset: incoming.base_offset,
                reason: "expected transactional write from producer",
            }),
            (None, true) => {
                entry.add_batch(batch.producer_epoch, appended);
                entry.transaction_start = incoming.base_offset;
                Ok(true)
            }
            (Some(_), _) | (None, false) => {
                entry.add_batch(batch.producer_epoch, appended);
                Ok(false)
            }
        }
    }
}

/// Whether a batch may follow what is known. Where nothing is known (all records of the producer may have been
/// deleted) any sequence may come; a new epoch begins at 0.
fn follows(entry: &ProducerEntry, epoch: i16, first: Sequence) -> bool {
    if entry.epoch == NO_PRODUCER_EPOCH || mutant::is("sequences-unchecked") {
        return true;
    }
    if epoch != entry.epoch {
        return first == 0;
    }
    let last = entry.last_sequence();
    i64::from(first) == i64::from(last) + 1 || (first == 0 && last == Sequence::MAX)
}

fn marker(
    entry: &mut ProducerEntry,
    origin: Origin,
    version: i16,
    incoming: &Incoming<'_>,
) -> Result<Option<CompletedTxn>, AppendError> {
    let batch = &incoming.batch;
    // Compaction leaves control batches without records; their transactions are gone.
    let Some(Ok(record)) = batch.plain_records().and_then(|mut records| records.next()) else {
        return Ok(None);
    };
    let Ok(ControlRecord::EndTransaction { commit, coordinator_epoch }) = ControlRecord::parse(&record)
    else {
        return Ok(None);
    };
    if origin != Origin::Replication {
        let stale = if version >= 2 {
            // A marker written again after its answer was lost comes with the current epoch.
            let repeated = batch.producer_epoch == entry.epoch
                && (entry.open_transaction().is_none() || batch.producer_epoch == i16::MAX);
            batch.producer_epoch <= entry.epoch && !repeated
        } else {
            batch.producer_epoch < entry.epoch
        };
        if stale {
            return Err(invalid_epoch(incoming, entry.epoch));
        }
        if entry.coordinator_epoch > coordinator_epoch {
            return Err(AppendError::CoordinatorFenced {
                producer_id: batch.producer_id,
                offset: incoming.base_offset,
                epoch: coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
    }
    let completed = entry.open_transaction().map(|first_offset| CompletedTxn {
        producer_id: batch.producer_id,
        first_offset,
        last_offset: incoming.base_offset,
        aborted: !commit,
    });
    entry.set_epoch(batch.producer_epoch);
    entry.coordinator_epoch = coordinator_epoch;
    entry.transaction_start = -1;
    entry.last_timestamp = record.timestamp;
    Ok(completed)
}

fn invalid_epoch(incoming: &Incoming<'_>, current: i16) -> AppendError {
    AppendError::InvalidProducerEpoch {
        producer_id: incoming.batch.producer_id,
        offset: incoming.base_offset,
        epoch: incoming.batch.producer_epoch,
        current,
    }
}
