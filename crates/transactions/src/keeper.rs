//! A shard on the log of its partition: reads the log when it takes over, appends what the shard wants appended, and
//! tells it what the high watermark has passed. How the log is kept, where answers go and how markers are written is the
//! caller's to say.

use std::collections::VecDeque;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::coordinator::{self, whole_batches};
use ottla_records::ids::{Offset, ProducerId};
use ottla_records::{Batch, BatchBuilder, Decompressor, Moment, NewRecord};

use crate::api::{AppendId, Effect, MarkId, Markers, Notice, Record, Request, Response, Token};
use crate::config::Config;
use crate::record::ReplayError;
use crate::shard::Shard;
use crate::txn::TopicPartition;

/// What one record batch may become when it is decompressed.
const LOAD_BATCH_BYTES: usize = 256 * 1024 * 1024;

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
            records += self.read_batch(decompressor, batch)?;
            Ok(())
        })?;
        self.read_to = next;
        Ok((records, next))
    }

    fn read_batch(&mut self, decompressor: &mut Decompressor, batch: &Batch<'_>) -> Result<usize, LoadError> {
        if batch.header().is_control() {
            return Ok(0);
        }
        let base_offset = batch.header().base_offset;
        let mut records = 0;
        let all = decompressor.records(batch, LOAD_BATCH_BYTES);
        for record in all.map_err(|error| LoadError::Compressed { offset: base_offset, error })? {
            let record = record.map_err(|error| LoadError::Record { offset: base_offset, error })?;
            let Some(key) = record.key else {
                self.keyless += 1;
                continue;
            };
            let taken = self.shard.replay(key, record.value);
            taken.map_err(|error| LoadError::Replay { offset: record.offset, error })?;
            records += 1;
        }
        Ok(records)
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
mod tests {
    use super::*;
    use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;

    /// A log in memory; records are committed when the test says so.
    #[derive(Default)]
    struct Memory {
        bytes: Vec<u8>,
        end: Offset,
        high_watermark: Offset,
        is_full: bool,
    }

    impl Journal for Memory {
        fn append(&mut self, batch: &[u8], _: i32, _: i64) -> Result<Offset, ErrorCode> {
            if self.is_full {
                return Err(ErrorCode::NotEnoughReplicas);
            }
            self.bytes.extend_from_slice(&self.end.to_be_bytes());
            self.bytes.extend_from_slice(&batch[8..]);
            self.end += Batch::parse(batch).unwrap().header().next_offset();
            Ok(self.end)
        }

        fn high_watermark(&self, _: i32) -> Option<Offset> {
            Some(self.high_watermark)
        }
    }

    const NOW: Moment = Moment { running_ms: 5, wall_ms: 1_000 };

    fn settle(keeper: &mut Keeper, log: &mut Memory) -> Vec<Said> {
        let mut all = Vec::new();
        keeper.settle(Some(log), NOW, &mut |said| all.push(said));
        all
    }

    fn init(id: &str) -> Request {
        Request::InitProducerId(InitProducerIdRequest {
            transactional_id: Some(id.into()),
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        })
    }

    fn answers(said: &[Said]) -> Vec<(Token, i16, ProducerId, i16)> {
        said.iter()
            .filter_map(|said| match said {
                Said::Reply { token, response: Response::InitProducerId(body) } => {
                    Some((*token, body.error_code, body.producer_id, body.producer_epoch))
                }
                _ => None,
            })
            .collect()
    }

    fn served(log: &mut Memory) -> Keeper {
        let mut keeper = Keeper::new(Config::default(), 3);
        let (bytes, end) = (log.bytes.clone(), log.end);
        if end > 0 {
            assert_eq!(keeper.read(&mut Decompressor::new(), &bytes, 0).unwrap().1, end);
        }
        keeper.loaded();
        settle(&mut keeper, log);
        keeper
    }

    #[test]
    fn an_answer_leaves_when_the_high_watermark_passes_its_record() {
        let mut log = Memory::default();
        let mut keeper = served(&mut log);
        assert!(keeper.lacks_producer_id());
        keeper.stock(70);
        keeper.handle(NOW, 1, init("tx"));
        assert_eq!(answers(&settle(&mut keeper, &mut log)), []);
        assert!(keeper.waits());
        log.high_watermark = log.end;
        assert_eq!(answers(&settle(&mut keeper, &mut log)), [(1, 0, 70, 0)]);
        assert!(!keeper.waits());
    }

    #[test]
    fn what_was_found_in_the_log_is_served_once_it_is_committed() {
        let mut log = Memory::default();
        let mut before = served(&mut log);
        before.stock(70);
        before.handle(NOW, 1, init("tx"));
        settle(&mut before, &mut log);

        let mut keeper = served(&mut log);
        assert!(keeper.waits() && !keeper.lacks_producer_id());
        keeper.handle(NOW, 2, init("tx"));
        let loading = ErrorCode::CoordinatorLoadInProgress.code();
        assert_eq!(answers(&settle(&mut keeper, &mut log)), [(2, loading, -1, -1)]);
        log.high_watermark = log.end;
        settle(&mut keeper, &mut log);
        keeper.handle(NOW, 3, init("tx"));
        settle(&mut keeper, &mut log);
        log.high_watermark = log.end;
        assert_eq!(answers(&settle(&mut keeper, &mut log)), [(3, 0, 70, 1)], "the next epoch, by the log");
    }

    #[test]
    fn a_refused_record_leaves_nothing_behind() {
        let mut log = Memory { is_full: true, ..Memory::default() };
        let mut keeper = served(&mut log);
        keeper.stock(70);
        keeper.handle(NOW, 1, init("tx"));
        let unavailable = ErrorCode::CoordinatorNotAvailable.code();
        assert_eq!(answers(&settle(&mut keeper, &mut log)), [(1, unavailable, -1, -1)]);
        assert_eq!((keeper.size(), keeper.waits()), (0, false));
    }
}
