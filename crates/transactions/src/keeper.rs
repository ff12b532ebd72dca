//! A shard on the log of its partition: reads the log when it takes over, appends what the shard wants appended, and
//! tells it what the high watermark has passed. How the log is kept, where answers go and how markers are written is the
//! caller's to say.

use std::collections::VecDeque;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::coordinator::{self, Found, each_record, whole_batches};
use ottla_records::ids::{Offset, ProducerId};
use ottla_records::{BatchBuilder, Decompressor, Moment, NewRecord};

use crate::api::{AppendId, Effect, MarkId, Markers, Notice, Record, Request, Response, Token};
use crate::config::Config;
use crate::record::ReplayError;
use crate::shard::Shard;
use crate::txn::TopicPartition;

/// The partition of `__transaction_state` that a [`Keeper`] works on.
pub trait Journal {
    /// Appends a batch if the partition is led here in `leader_epoch`: the offset behind it, which is the high watermark
    /// that commits it.
    fn append(&mut self, batch: &[u8], leader_epoch: i32, wall_ms: i64) -> Result<Offset, ErrorCode>;

    /// The offset below which everything is committed; `None` when the partition is not led here in `leader_epoch`
    /// (any more), and what was appended in that epoch may have been replaced.
    fn high_watermark(&self, leader_epoch: i32) -> Option<Offset>;
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
    /// Writes these markers, and reports with [`Keeper::marked`].
    Mark(Markers),
    /// Something worth a log line.
    Notice(Notice),
}

/// Why the log of a shard cannot be read.
pub type LoadError = coordinator::LoadError<ReplayError>;

/// A [`Shard`] and what it has on its way to the log.
#[derive(Debug)]
pub struct Keeper {
    shard: Shard,
    leader_epoch: i32,
    /// Appends that are in the log but not yet below the high watermark, in the order of the log, with the high watermark
    /// that commits each.
    uncommitted: VecDeque<(AppendId, Offset)>,
    /// How far the log has been read.
    read_to: Offset,
    /// Whether the log has been read to its end, and the high watermark is not there yet.
    awaits_tail: bool,
    /// Records without a key that were passed over.
    keyless: usize,
}

impl Keeper {
    /// A shard that is still to be loaded, of a partition that is led here in `leader_epoch`.
    pub fn new(config: Config, leader_epoch: i32) -> Keeper {
        Keeper {
            shard: Shard::new(config, leader_epoch),
            leader_epoch,
            uncommitted: VecDeque::new(),
            read_to: 0,
            awaits_tail: false,
            keyless: 0,
        }
    }

    /// The epoch in which the partition is led here.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The partition is led here in another epoch from now on, with the same log: what the shard knows stays true.
    pub fn lead_on(&mut self, leader_epoch: i32) {
        self.leader_epoch = leader_epoch;
        self.shard.lead_on(leader_epoch);
    }

    /// Other settings apply from now on.
    pub fn configure(&mut self, config: Config) {
        self.shard.configure(config);
    }

    /// Whether something in the log waits for the high watermark.
    pub fn waits(&self) -> bool {
        self.awaits_tail || !self.uncommitted.is_empty()
    }

    /// When [`Keeper::tick`] has something to do, on the running clock.
    pub fn next_deadline(&self) -> Option<i64> {
        self.shard.next_deadline()
    }

    /// Number of transactional ids.
    pub fn size(&self) -> usize {
        self.shard.size()
    }

    /// Records without a key that were passed over while the log was read.
    pub fn keyless(&self) -> usize {
        self.keyless
    }

    /// [`Shard::lacks_producer_id`].
    pub fn lacks_producer_id(&self) -> bool {
        self.shard.lacks_producer_id()
    }

    /// [`Shard::stock`].
    pub fn stock(&mut self, producer_id: ProducerId) {
        self.shard.stock(producer_id);
    }

    /// [`Shard::handle`]; [`Keeper::settle`] comes next.
    pub fn handle(&mut self, now: Moment, token: Token, request: Request) {
        self.shard.handle(now, token, request);
    }

    /// [`Shard::tick`]; [`Keeper::settle`] comes next.
    pub fn tick(&mut self, now: Moment) {
        self.shard.tick(now);
    }

    /// [`Shard::marked`]; [`Keeper::settle`] comes next.
    pub fn marked(
        &mut self,
        now: Moment,
        transactional_id: &str,
        id: MarkId,
        outcomes: impl IntoIterator<Item = (TopicPartition, ErrorCode)>,
    ) {
        self.shard.marked(now, transactional_id, id, outcomes);
    }

    /// The partition is given up: everyone who waits is told so by the [`Keeper::settle`] that comes next.
    pub fn unload(&mut self) {
        self.uncommitted.clear();
        self.awaits_tail = false;
        self.shard.unload();
    }

    /// Takes in what stands in the log from `offset` on, as far as whole batches are in `bytes`. Gives how many records
    /// there were, and the offset to go on from.
    pub fn read(
        &mut self,
        decompressor: &mut Decompressor,
        bytes: &[u8],
        offset: Offset,
    ) -> Result<(usize, Offset), LoadError> {
        let mut records = 0;
        let next = whole_batches(bytes, offset, |batch| {
            records += each_record(decompressor, batch, &mut self.keyless, |found| match found {
                Found::Record { key, value, .. } => self.shard.replay(key, value),
                Found::EndTransaction { .. } => Ok(()),
            })?;
            Ok(())
        })?;
        self.read_to = next;
        Ok((records, next))
    }

    /// The log has been read to its end. [`Keeper::settle`] comes next.
    ///
    /// The ids are served once everything that was found in the log is committed here: a step above the watermark may be lost
    /// with this leader, and its markers must not have been written then. (Kafka serves at once.)
    pub fn loaded(&mut self) {
        self.awaits_tail = true;
    }

    /// Does what the shard wants done, in its order. Comes after every other call, and whenever the high watermark has
    /// moved while something [`waits`](Keeper::waits). Without a journal every append is refused.
    pub fn settle(&mut self, mut journal: Option<&mut dyn Journal>, now: Moment, said: &mut dyn FnMut(Said)) {
        self.commit(journal.as_deref(), now);
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Append(append) => {
                    let appended = match journal.as_deref_mut() {
                        Some(journal) => self.append(journal, &append.records, now),
                        None => Err(ErrorCode::NotCoordinator),
                    };
                    match appended {
                        Ok(end_offset) => {
                            self.uncommitted.push_back((append.id, end_offset));
                            self.commit(journal.as_deref(), now);
                        }
                        Err(error) => self.shard.appended(now, append.id, Err(error)),
                    }
                }
                Effect::Mark(markers) => said(Said::Mark(markers)),
                Effect::Reply { token, response } => said(Said::Reply { token, response }),
                Effect::Notice(notice) => said(Said::Notice(notice)),
            }
        }
    }

    /// Tells the shard of appends that the high watermark has passed.
    fn commit(&mut self, journal: Option<&dyn Journal>, now: Moment) {
        let Some(journal) = journal.filter(|_| self.waits()) else { return };
        // Once another epoch has begun the high watermark may count records that others wrote in the place of ours.
        let Some(high_watermark) = journal.high_watermark(self.leader_epoch) else { return };
        if self.awaits_tail && self.read_to <= high_watermark {
            self.awaits_tail = false;
            self.shard.loaded(now);
        }
        while let Some(&(id, end_offset)) = self.uncommitted.front() {
            if end_offset > high_watermark {
                return;
            }
            self.uncommitted.pop_front();
            self.shard.appended(now, id, Ok(()));
        }
    }

    fn append(
        &mut self,
        journal: &mut dyn Journal,
        records: &[Record],
        now: Moment,
    ) -> Result<Offset, ErrorCode> {
        let mut batch = BatchBuilder::new(0).leader_epoch(self.leader_epoch);
        for record in records {
            batch.append(&NewRecord::new(now.wall_ms, Some(&record.key), record.value.as_deref()));
        }
        journal.append(&batch.build(), self.leader_epoch, now.wall_ms)
    }
}

#[cfg(test)]
mod tests;
