//! The markers of a decided transaction: written to every partition of it, again and again where that fails, and then the
//! record that the transaction is complete.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::Moment;

use super::desk::{Reply, Then};
use super::{Pending, Phase, Shard};
use crate::api::{Effect, MarkId, Markers, Notice};
use crate::state::State;
use crate::txn::TopicPartition;

/// Markers on their way.
#[derive(Debug)]
pub(super) struct Marking {
    /// What was sent last; outcomes of anything else are of no interest.
    sent: MarkId,
    /// Partitions whose marker has no outcome yet.
    on_the_way: BTreeSet<TopicPartition>,
    /// Partitions whose marker was refused, to be tried again.
    again: BTreeSet<TopicPartition>,
    /// A later coordinator does the rest.
    is_fenced: bool,
}

impl Shard {
    /// The transaction of `id` is decided, and that is committed.
    pub(super) fn begin_marking(&mut self, id: &Arc<str>) {
        let txn = self.ids.get(id).and_then(|held| held.txn.as_ref());
        let partitions = txn.expect("TRANSACTIONS-17 the id is there").partitions.clone();
        self.mark(id, partitions);
    }

    fn mark(&mut self, id: &Arc<str>, partitions: BTreeSet<TopicPartition>) {
        if partitions.is_empty() {
            return self.complete(id);
        }
        let held = self.ids.get_mut(id).expect("TRANSACTIONS-17 the id is there");
        let txn = held.txn.as_ref().expect("TRANSACTIONS-9 a decided transaction has a value");
        assert!(
            txn.state.is_prepared() && partitions.is_subset(&txn.partitions),
            "TRANSACTIONS-9 markers of {id} for {partitions:?} in {txn:?}"
        );
        let sent = self.desk.next_mark();
        self.desk.effects.push_back(Effect::Mark(Markers {
            id: sent,
            transactional_id: id.clone(),
            producer_id: txn.producer_id,
            epoch: txn.epoch,
            commit: txn.state == State::PrepareCommit,
            coordinator_epoch: self.desk.coordinator_epoch,
            transaction_version: txn.client_version,
            partitions: partitions.iter().cloned().collect(),
        }));
        let again = BTreeSet::new();
        held.pending =
            Some(Pending::Markers(Marking { sent, on_the_way: partitions, again, is_fenced: false }));
    }

    /// What came of markers: for each partition NONE when the marker is committed, or the partition does not exist (any more);
    /// else why not. May be called for one partition after the other; each of them has one outcome.
    pub fn marked(
        &mut self,
        now: Moment,
        transactional_id: &str,
        id: MarkId,
        outcomes: impl IntoIterator<Item = (TopicPartition, ErrorCode)>,
    ) {
        if self.phase != Phase::Active {
            return;
        }
        self.desk.now = now;
        let Some((name, _)) = self.ids.get_key_value(transactional_id) else { return };
        let name = name.clone();
        let Some(held) = self.ids.get_mut(&name) else { return };
        let Some(Pending::Markers(marking)) = held
            .pending
            .as_mut()
            .filter(|pending| matches!(pending, Pending::Markers(marking) if marking.sent == id))
        else {
            return;
        };
        for (partition, error) in outcomes {
            if !marking.on_the_way.remove(&partition) {
                continue;
            }
            match error {
                ErrorCode::None => {}
                // The partition has seen later epochs of the producer: this transaction is over there.
                ErrorCode::InvalidProducerEpoch
                | ErrorCode::UnsupportedForMessageFormat
                | ErrorCode::UnsupportedVersion => {
                    self.desk.notice(Notice::MarkerOvertaken {
                        transactional_id: name.clone(),
                        partition,
                        error,
                    });
                }
                ErrorCode::TransactionCoordinatorFenced => {
                    marking.is_fenced = true;
                    self.desk.notice(Notice::Fenced { transactional_id: name.clone(), partition });
                }
                error => {
                    marking.again.insert(partition.clone());
                    self.desk.notice(Notice::MarkerRefused {
                        transactional_id: name.clone(),
                        partition,
                        error,
                    });
                }
            }
        }
        if marking.is_fenced || !marking.on_the_way.is_empty() {
            return;
        }
        if marking.again.is_empty() {
            self.complete(&name);
        } else {
            self.desk.retry_markers(&name);
        }
    }

    /// The pause after a failure is over.
    pub(super) fn try_again(&mut self, id: &Arc<str>) {
        match self.ids.get_mut(id).and_then(|held| held.pending.as_mut()) {
            Some(Pending::Markers(marking)) if marking.on_the_way.is_empty() => {
                let again = std::mem::take(&mut marking.again);
                self.mark(id, again);
            }
            Some(Pending::Completion) => self.complete(id),
            _ => {}
        }
    }

    /// Every partition has its marker.
    fn complete(&mut self, id: &Arc<str>) {
        let held = self.ids.get_mut(id).expect("TRANSACTIONS-17 the id is there");
        let is_marked = match &held.pending {
            Some(Pending::Markers(marking)) => marking.on_the_way.is_empty() && marking.again.is_empty(),
            _ => true,
        };
        assert!(is_marked, "TRANSACTIONS-10 {id} is complete only when every partition has its marker");
        let txn = held.txn.as_ref().expect("TRANSACTIONS-9 a decided transaction has a value");
        let next = txn.completed(self.desk.now.wall_ms);
        let record = crate::record::record(id, &next, self.desk.config.transaction_version);
        let then = Then { reply: Reply::Nobody, completes: true };
        let append = self.desk.append(vec![record], vec![(id.clone(), Some(next))], then);
        self.wait_for(id, append);
    }
}
