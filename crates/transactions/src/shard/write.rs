//! What becomes of records: committed, refused, or too slow to wait for.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use ottla_records::Moment;

use super::desk::{Change, Reply, Then};
use super::{Pending, Phase, Shard, end};
use crate::api::{AppendId, Notice, Response};
use crate::state::State;
use crate::txn::{EPOCH_BUMP_FROM, Txn};

/// What a client is told when the log refuses records with `error`: errors of the partition become errors of the
/// coordinator, which clients know how to retry.
fn of_write(error: ErrorCode) -> ErrorCode {
    use ErrorCode::*;
    match error {
        UnknownTopicOrPartition | NotEnoughReplicas | NotEnoughReplicasAfterAppend | RequestTimedOut => {
            CoordinatorNotAvailable
        }
        NotLeaderOrFollower | KafkaStorageError => NotCoordinator,
        MessageTooLarge | RecordListTooLarge => UnknownServerError,
        other => other,
    }
}

impl Shard {
    /// `id` waits for append `append`.
    pub(super) fn wait_for(&mut self, id: &str, append: AppendId) {
        let held = self.ids.get_mut(id).expect("TRANSACTIONS-17 the id is there");
        assert!(
            !matches!(held.pending, Some(Pending::Record(_))),
            "TRANSACTIONS-8 {id} takes one step at a time"
        );
        held.pending = Some(Pending::Record(append));
    }

    /// Append `id` has an outcome: its records are committed, or they are refused for this reason, and will not show up in the
    /// log. Outcomes come in the order of the appends. After [`Shard::unload`] they are ignored.
    pub fn appended(&mut self, now: Moment, id: AppendId, outcome: Result<(), ErrorCode>) {
        if self.phase == Phase::Unloaded {
            return;
        }
        self.desk.now = now;
        let write = self.desk.settled(id);
        for (of, _) in &write.changes {
            let held = self.ids.get_mut(of).expect("TRANSACTIONS-17 the id is there");
            assert!(
                matches!(held.pending, Some(Pending::Record(waits)) if waits == id),
                "TRANSACTIONS-7 {of} waits for append {id} and nothing else"
            );
            held.pending = None;
        }
        match outcome {
            Ok(()) => self.committed(write.changes, write.then),
            Err(error) => self.refused(write.changes, &write.then, error),
        }
    }

    fn committed(&mut self, changes: Vec<Change>, then: Then) {
        for (id, next) in changes {
            let Some(next) = next else {
                self.ids.remove(&id);
                continue;
            };
            self.answer(&id, &next, then.reply);
            self.apply(&id, next);
        }
    }

    fn apply(&mut self, id: &Arc<str>, next: Txn) {
        let held = self.ids.get_mut(id).expect("TRANSACTIONS-17 the id is there");
        if let Some(before) = &held.txn {
            let grows = next.epoch >= before.epoch && next.producer_id == before.producer_id;
            let is_new_id = next.producer_id != before.producer_id && next.epoch == 0;
            assert!(grows || is_new_id, "TRANSACTIONS-11 {id} goes from {before:?} to {next:?}");
        }
        let state = next.state;
        held.txn = Some(next);
        if state.is_prepared() {
            self.begin_marking(id);
        } else if state == State::Ongoing {
            self.desk.plan_abort_check();
        }
    }

    fn answer(&mut self, id: &Arc<str>, next: &Txn, reply: Reply) {
        match reply {
            Reply::Nobody => {}
            Reply::InitProducerId(token) => {
                self.desk.notice(Notice::Initialized {
                    transactional_id: id.clone(),
                    producer_id: next.producer_id,
                    epoch: next.epoch,
                });
                let response = InitProducerIdResponse {
                    producer_id: next.producer_id,
                    producer_epoch: next.epoch,
                    ..Default::default()
                };
                self.desk.reply(token, Response::InitProducerId(response));
            }
            Reply::InitLater(_) => self.desk.answer_late(reply, ErrorCode::ConcurrentTransactions),
            Reply::AddPartitions(token) => self.desk.reply(token, Response::AddPartitions(ErrorCode::None)),
            // The client goes on at once; the markers follow.
            Reply::EndTxn(token) if next.client_version >= EPOCH_BUMP_FROM => {
                let (producer_id, epoch) = next.after_completion();
                self.desk.reply(token, end::answer(ErrorCode::None, producer_id, epoch));
            }
            Reply::EndTxn(token) => self.desk.reply(token, end::refused(ErrorCode::None)),
        }
    }

    fn refused(&mut self, changes: Vec<Change>, then: &Then, error: ErrorCode) {
        self.desk.answer_late(then.reply, of_write(error));
        for (id, next) in changes {
            self.desk.notice(Notice::WriteFailed { transactional_id: id.clone(), error });
            let held = self.ids.get_mut(&id).expect("TRANSACTIONS-17 the id is there");
            if then.completes {
                // Until this coordinator is told that it is none any more, it is the one to end the transaction.
                held.pending = Some(Pending::Completion);
                self.desk.retry_markers(&id);
            } else if held.txn.is_none() && next.is_some() {
                self.ids.remove(&id);
            }
        }
    }

    /// A record takes longer than a client should wait. Its outcome is still to come and counts then.
    pub(super) fn write_time_over(&mut self, id: AppendId) {
        let Some(write) = self.desk.writes.get_mut(&id) else { return };
        let reply = std::mem::replace(&mut write.then.reply, Reply::Nobody);
        self.desk.answer_late(reply, of_write(ErrorCode::RequestTimedOut));
    }
}
