//! A shard on the log of its partition: reads the log when it takes over, appends what the shard wants appended, and
//! tells it what the high watermark has passed. How the log is kept and where answers go is the caller's to say.

use std::collections::VecDeque;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::control::end_transaction_batch;
use ottla_records::coordinator::{self, Found, each_record, whole_batches};
use ottla_records::ids::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use ottla_records::{Batch, BatchBuilder, Decompressor, Moment, NewRecord, mutant};
use uuid::Uuid;

use crate::api::{Append, AppendId, Client, Effect, Marker, Notice, Record, Request, Response, Token};
use crate::config::Config;
use crate::record::ReplayError;
use crate::shard::{Logged, Shard};

/// The partition of `__consumer_offsets` that a [`Keeper`] works on.
pub trait Journal {
    /// Appends a batch if the partition is led here in `leader_epoch`: its first offset and the one behind it. `check` is
    /// for batches of transactions.
    fn append(
        &mut self,
        batch: &[u8],
        leader_epoch: i32,
        wall_ms: i64,
        check: TransactionCheck,
    ) -> Result<(i64, i64), ErrorCode>;

    /// The offset below which everything is committed; `None` when the partition is not led here in `leader_epoch`
    /// (any more), and what was appended in that epoch may have been replaced.
    fn high_watermark(&self, leader_epoch: i32) -> Option<i64>;
}

/// What a log has to know to check a batch of a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionCheck {
    /// What was given with [`Request::TxnOffsetCommit`].
    pub guard: Option<u64>,
    /// The transaction version of a marker.
    pub version: i16,
}

/// What comes out of a [`Keeper`].
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Answers the request of this token.
    Reply {
        /// The request's token.
        token: Token,
        /// The answer.
        response: Response,
    },
    /// Something worth a log line.
    Notice(Notice),
}

/// Why the log of a shard cannot be read.
pub type LoadError = coordinator::LoadError<ReplayError>;

/// An append on its way to being committed.
#[derive(Debug, Clone, Copy)]
struct Uncommitted {
    id: AppendId,
    base_offset: i64,
    /// The high watermark that commits it.
    end_offset: i64,
}

/// A [`Shard`] and what it has on its way to the log.
#[derive(Debug)]
pub struct Keeper {
    shard: Shard,
    leader_epoch: i32,
    /// Appends that are in the log but not yet below the high watermark, in the order of the log.
    uncommitted: VecDeque<Uncommitted>,
    /// Whether the log has been read to its end, and what was uncommitted in it still is.
    awaits_tail: bool,
    /// Records without a key that were passed over.
    keyless: usize,
}

impl Keeper {
    /// A shard that is still to be loaded, of a partition that is led here in `leader_epoch`.
    pub fn new(config: Config, leader_epoch: i32) -> Keeper {
        Keeper {
            shard: Shard::new(config),
            leader_epoch,
            uncommitted: VecDeque::new(),
            awaits_tail: false,
            keyless: 0,
        }
    }

    /// The epoch in which the partition is led here.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The partition is led here in another epoch from now on, with the same log: that alone changes nothing for the
    /// groups (Kafka: an active coordinator stays active).
    pub fn lead_on(&mut self, leader_epoch: i32) {
        self.leader_epoch = leader_epoch;
    }

    /// Whether something in the log waits for the high watermark.
    pub fn waits(&self) -> bool {
        !self.uncommitted.is_empty()
    }

    /// When [`Keeper::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<i64> {
        self.shard.next_deadline()
    }

    /// Number of groups, and of committed offsets.
    pub fn size(&self) -> (usize, usize) {
        self.shard.size()
    }

    /// Records without a key that were passed over while the log was read.
    pub fn keyless(&self) -> usize {
        self.keyless
    }

    fn shard_at(&mut self, now: Moment) -> &mut Shard {
        self.shard.set_wall_clock(now.running_ms, now.wall_ms);
        &mut self.shard
    }

    /// [`Shard::handle`]; [`Keeper::settle`] comes next.
    pub fn handle(&mut self, now: Moment, client: Client<'_>, token: Token, request: Request) {
        self.shard_at(now).handle(now.running_ms, client, token, request);
    }

    /// [`Shard::tick`]; [`Keeper::settle`] comes next.
    pub fn tick(&mut self, now: Moment) {
        self.shard_at(now).tick(now.running_ms);
    }

    /// [`Shard::topics_deleted`]; [`Keeper::settle`] comes next.
    pub fn topics_deleted(&mut self, now: Moment, topics: &[(&str, Uuid)]) {
        self.shard_at(now).topics_deleted(now.running_ms, topics);
    }

    /// The partition is given up: everyone who waits is told so by the [`Keeper::settle`] that comes next.
    pub fn unload(&mut self, now: Moment) {
        self.uncommitted.clear();
        self.awaits_tail = false;
        self.shard_at(now).unload();
    }

    /// Takes in what stands in the log from `offset` on, as far as whole batches are in `bytes`. What is below
    /// `high_watermark` is committed; what is above it will be, now that the partition is led here, but not yet.
    ///
    /// Gives how many records there were, and the offset to go on from.
    pub fn read(
        &mut self,
        decompressor: &mut Decompressor,
        bytes: &[u8],
        offset: i64,
        high_watermark: Option<i64>,
    ) -> Result<(usize, i64), LoadError> {
        // When the lead is lost just now, nothing counts as committed.
        let high_watermark = high_watermark.unwrap_or(-1);
        let mut records = 0;
        let next = whole_batches(bytes, offset, |batch| {
            records += self.read_batch(decompressor, batch, high_watermark)?;
            Ok(())
        })?;
        Ok((records, next))
    }

    /// Takes in the records of one batch; gives how many they are.
    fn read_batch(
        &mut self,
        decompressor: &mut Decompressor,
        batch: &Batch<'_>,
        high_watermark: i64,
    ) -> Result<usize, LoadError> {
        let header = *batch.header();
        let (base_offset, end_offset) = (header.base_offset, header.next_offset());
        // What follows on something uncommitted is settled after it, even if the watermark has passed both by now:
        // otherwise the older value would be the last one to arrive.
        let is_committed = end_offset <= high_watermark && self.uncommitted.is_empty();
        if !is_committed && mutant::is("loading-stops-early") {
            return Ok(0);
        }
        let id = (!is_committed && !header.is_control()).then(|| {
            let id = self.shard.begin_uncommitted();
            self.uncommitted.push_back(Uncommitted { id, base_offset, end_offset });
            id
        });
        let producer_id = if header.is_transactional() { header.producer_id } else { NO_PRODUCER_ID };
        each_record(decompressor, batch, &mut self.keyless, |found| match (found, id) {
            (Found::Record { offset, key, value }, Some(id)) => {
                self.shard.replay_uncommitted(id, base_offset, Logged { offset, producer_id, key, value })
            }
            (Found::Record { offset, key, value }, None) => {
                self.shard.replay(Logged { offset, producer_id, key, value })
            }
            (Found::EndTransaction { commit }, _) => {
                self.shard.replay_marker(header.producer_id, commit);
                Ok(())
            }
        })
    }

    /// The log has been read to its end. [`Keeper::settle`] comes next.
    ///
    /// The groups are served once everything that was found in the log is committed here. What was above the watermark may
    /// have been acknowledged by the leader before, whose watermark was further: an older offset would take a commit
    /// back. Or it may be lost with this leader: then a generation that was told of would be assigned a second time.
    /// (Kafka serves at once.) Until then clients are told to wait, and heartbeats are answered.
    pub fn loaded(&mut self, now: Moment) {
        self.awaits_tail = self.waits() && !mutant::is("tail-not-awaited");
        if !self.awaits_tail {
            self.shard_at(now).loaded(now.running_ms);
        }
    }

    /// Whether the log has been read and is not committed to where it ended then.
    pub fn awaits_tail(&self) -> bool {
        self.awaits_tail
    }

    /// Does what the shard wants done, in its order. Comes after every other call, and whenever the high watermark has
    /// moved while something [`waits`](Keeper::waits). Without a journal every append is refused.
    pub fn settle(&mut self, mut journal: Option<&mut dyn Journal>, now: Moment, said: &mut dyn FnMut(Said)) {
        self.commit(journal.as_deref(), now);
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Append(append) => {
                    let appended = match journal.as_deref_mut() {
                        Some(journal) => self.append(journal, &append, now),
                        None => Err(ErrorCode::NotCoordinator),
                    };
                    match appended {
                        Ok((base_offset, _)) if mutant::is("stored-before-committed") => {
                            self.shard_at(now).appended(now.running_ms, append.id, Ok(base_offset));
                        }
                        Ok((base_offset, end_offset)) => {
                            self.uncommitted.push_back(Uncommitted {
                                id: append.id,
                                base_offset,
                                end_offset,
                            });
                            self.commit(journal.as_deref(), now);
                        }
                        Err(error) => self.shard_at(now).appended(now.running_ms, append.id, Err(error)),
                    }
                }
                Effect::Reply { token, response } => said(Said::Reply { token, response }),
                Effect::Notice(notice) => said(Said::Notice(notice)),
            }
        }
    }

    /// Tells the shard of appends that the high watermark has passed.
    fn commit(&mut self, journal: Option<&dyn Journal>, now: Moment) {
        let Some(journal) = journal else { return };
        if self.uncommitted.is_empty() {
            return;
        }
        // Once another epoch has begun the high watermark may count records that others wrote in the place of ours.
        let Some(high_watermark) = journal.high_watermark(self.leader_epoch) else { return };
        while let Some(&Uncommitted { id, base_offset, end_offset }) = self.uncommitted.front() {
            if end_offset > high_watermark {
                return;
            }
            self.uncommitted.pop_front();
            self.shard_at(now).appended(now.running_ms, id, Ok(base_offset));
            // Nothing else is appended before.
            if self.awaits_tail && self.uncommitted.is_empty() {
                self.awaits_tail = false;
                self.shard_at(now).loaded(now.running_ms);
            }
        }
    }

    fn append(
        &mut self,
        journal: &mut dyn Journal,
        append: &Append,
        now: Moment,
    ) -> Result<(i64, i64), ErrorCode> {
        let mut check = TransactionCheck::default();
        let mut producer = None;
        if let Some(transaction) = append.transaction {
            let of = (transaction.producer_id, transaction.producer_epoch);
            if let Some(Marker { commit, coordinator_epoch, transaction_version }) = transaction.marker {
                check.version = transaction_version;
                let (epoch, now_ms) = (self.leader_epoch, now.wall_ms);
                let marker = end_transaction_batch(0, epoch, now_ms, of, commit, coordinator_epoch);
                return journal.append(&marker, epoch, now_ms, check);
            }
            check.guard = transaction.guard;
            producer = Some(of);
        }
        let batch = batch(&append.records, self.leader_epoch, now.wall_ms, producer);
        journal.append(&batch, self.leader_epoch, now.wall_ms, check)
    }
}

/// The batch of coordinator records, of a transaction if it has a producer. The sequence is Kafka's, with a producer and
/// without; nobody counts the batches of coordinators.
fn batch(records: &[Record], leader_epoch: i32, wall_ms: i64, producer: Option<(i64, i16)>) -> Vec<u8> {
    let (id, epoch) = producer.unwrap_or((NO_PRODUCER_ID, NO_PRODUCER_EPOCH));
    let batch = BatchBuilder::new(0).leader_epoch(leader_epoch).producer(id, epoch, 0);
    let mut batch = batch.transactional(producer.is_some());
    for record in records {
        batch.append(&NewRecord::new(wall_ms, Some(&record.key), record.value.as_deref()));
    }
    batch.build()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ottla_records::BatchIter;

    use super::*;

    #[test]
    fn a_batch_of_records_has_the_header_that_kafkas_coordinator_writes() {
        let record = Record { key: Bytes::from_static(b"k"), value: None };
        let header = |producer| {
            let bytes = batch(std::slice::from_ref(&record), 7, 1000, producer);
            let header = *BatchIter::new(&bytes).next().unwrap().unwrap().header();
            (header.producer_id, header.producer_epoch, header.base_sequence, header.partition_leader_epoch)
        };
        assert_eq!(header(None), (-1, -1, 0, 7));
        assert_eq!(header(Some((5, 2))), (5, 2, 0, 7));
    }
}
