//! What the log says of one transactional id, and the steps from one such value to the next (Kafka:
//! `TransactionMetadata`, whose `prepare*` methods these are).

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::ids::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, ProducerEpoch, ProducerId, TimestampMs};

use crate::state::State;

/// The epoch from which on a producer id is not given out again: the one above it is left for fencing (Kafka:
/// `TransactionMetadata.isEpochExhausted`).
pub(crate) const LAST_EPOCH: ProducerEpoch = ProducerEpoch::MAX - 1;

/// From this transaction version on a transaction's end changes the producer's epoch (KIP-890).
pub(crate) const EPOCH_BUMP_FROM: i16 = 2;

/// A partition that a transaction writes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

/// One transactional id, as its newest record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Txn {
    pub(crate) producer_id: ProducerId,
    /// The producer id of the value before.
    pub(crate) previous_producer_id: ProducerId,
    /// The producer id from the transaction's completion on, when this one's epochs are used up.
    pub(crate) next_producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    /// The epoch that the producer had before, where it may ask again with it. Not in the log, as in Kafka.
    pub(crate) last_epoch: ProducerEpoch,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// When the transaction began; -1 for none.
    pub(crate) started_ms: TimestampMs,
    pub(crate) updated_ms: TimestampMs,
    /// The transaction version of the client that caused this value.
    pub(crate) client_version: i16,
}

/// Why a step is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The producer's epoch is not the current one.
    Fenced,
}

impl Txn {
    /// A transactional id that is heard of for the first time.
    pub(crate) fn new(producer_id: ProducerId, timeout_ms: i32, now_ms: TimestampMs) -> Txn {
        Txn {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            epoch: NO_PRODUCER_EPOCH,
            last_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now_ms,
            client_version: 0,
        }
    }

    /// Refuses whoever is not the producer that has the transactional id now.
    pub(crate) fn check_producer(&self, id: ProducerId, epoch: ProducerEpoch) -> Result<(), ErrorCode> {
        if self.producer_id != id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if self.epoch != epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(())
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.epoch >= LAST_EPOCH
    }

    /// Such a transaction has no timeout: an outside coordinator decides about it.
    pub(crate) fn is_two_phase(&self) -> bool {
        self.timeout_ms == i32::MAX
    }

    fn to(&self, state: State) -> Txn {
        assert!(
            state.may_follow(self.state),
            "TRANSACTIONS-1 {:?} does not follow on {:?}",
            state,
            self.state
        );
        Txn { state, previous_producer_id: self.producer_id, ..self.clone() }
    }

    fn at_rest(&self, timeout_ms: i32, now_ms: TimestampMs) -> Txn {
        Txn {
            timeout_ms,
            partitions: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now_ms,
            ..self.to(State::Empty)
        }
    }

    /// The producer begins anew with the next epoch. `expected` is the epoch it believes to have (KIP-360).
    pub(crate) fn next_epoch(
        &self,
        expected: Option<ProducerEpoch>,
        timeout_ms: i32,
        now_ms: TimestampMs,
    ) -> Result<Txn, Refused> {
        let (epoch, last_epoch) = match expected {
            None => (self.bumped(), NO_PRODUCER_EPOCH),
            Some(expected) if self.epoch == NO_PRODUCER_EPOCH || expected == self.epoch => {
                (self.bumped(), self.epoch)
            }
            // It asks again because the answer was lost. Another producer in between would have made this -1.
            Some(expected) if expected == self.last_epoch => (self.epoch, self.last_epoch),
            Some(_) => return Err(Refused::Fenced),
        };
        Ok(Txn { epoch, last_epoch, ..self.at_rest(timeout_ms, now_ms) })
    }

    fn bumped(&self) -> ProducerEpoch {
        assert!(!self.is_exhausted(), "TRANSACTIONS-2 epoch {} is the last that is given out", self.epoch);
        self.epoch + 1
    }

    /// The producer begins anew with another id, because the epochs of this one are used up.
    pub(crate) fn next_id(
        &self,
        producer_id: ProducerId,
        is_same_producer: bool,
        timeout_ms: i32,
        now_ms: TimestampMs,
    ) -> Txn {
        let last_epoch = if is_same_producer { self.epoch } else { NO_PRODUCER_EPOCH };
        Txn { producer_id, epoch: 0, last_epoch, ..self.at_rest(timeout_ms, now_ms) }
    }

    /// More partitions take part.
    pub(crate) fn with_partitions(
        &self,
        added: impl IntoIterator<Item = TopicPartition>,
        client_version: i16,
        now_ms: TimestampMs,
    ) -> Txn {
        let started_ms = if self.state == State::Ongoing { self.started_ms } else { now_ms };
        let mut next = Txn { started_ms, updated_ms: now_ms, client_version, ..self.to(State::Ongoing) };
        next.partitions.extend(added);
        next
    }

    /// The outcome is decided. From version 2 on the producer has the next epoch from here on, or the next id when
    /// there is no next epoch: `next_producer_id` is given then.
    pub(crate) fn prepared(
        &self,
        commit: bool,
        client_version: i16,
        next_producer_id: Option<ProducerId>,
        now_ms: TimestampMs,
    ) -> Txn {
        let mut next = self.to(if commit { State::PrepareCommit } else { State::PrepareAbort });
        if client_version >= EPOCH_BUMP_FROM {
            // The last epoch of all belongs to nobody; an abort gets along with it.
            assert!(!commit || self.epoch < ProducerEpoch::MAX, "TRANSACTIONS-3 no epoch for a commit");
            next.epoch = self.epoch.saturating_add(1);
            next.last_epoch = self.epoch;
        }
        if self.state != State::Ongoing {
            // Nothing has begun; the time is needed all the same.
            next.started_ms = now_ms;
        }
        next.next_producer_id = next_producer_id.unwrap_or(NO_PRODUCER_ID);
        next.client_version = client_version;
        next.updated_ms = now_ms;
        next
    }

    /// The coordinator ends the transaction of a producer that is fenced with it.
    pub(crate) fn fenced(
        &self,
        transaction_version: i16,
        next_producer_id: Option<ProducerId>,
        now_ms: TimestampMs,
    ) -> Txn {
        if transaction_version >= EPOCH_BUMP_FROM {
            return self.prepared(false, transaction_version, next_producer_id, now_ms);
        }
        let epoch = self.epoch.saturating_add(1);
        Txn { epoch, last_epoch: NO_PRODUCER_EPOCH, ..self.prepared(false, 0, None, now_ms) }
    }

    /// Every partition has its marker.
    pub(crate) fn completed(&self, now_ms: TimestampMs) -> Txn {
        let state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
        };
        let mut next = self.to(state);
        (next.producer_id, next.epoch) = self.after_completion();
        next.next_producer_id = NO_PRODUCER_ID;
        next.partitions = BTreeSet::new();
        next.updated_ms = now_ms;
        next
    }

    /// What the producer goes on with after its transaction that is prepared here.
    pub(crate) fn after_completion(&self) -> (ProducerId, ProducerEpoch) {
        if self.client_version >= EPOCH_BUMP_FROM && self.next_producer_id != NO_PRODUCER_ID {
            (self.next_producer_id, 0)
        } else {
            (self.producer_id, self.epoch)
        }
    }
}
