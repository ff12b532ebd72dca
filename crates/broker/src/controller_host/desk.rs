//! The desk: the thread that owns the controller. Requests, the quorum's news and the clock come in, one at a time.
//!
//! Records get their offsets from a count kept here, which is what the log will give them: nobody else appends
//! data batches, and raft's own batches are added to the count when they are committed. Should one of those slip in
//! between decision and append, the count is behind by its records for a moment. That is harmless: what is pending
//! is matched with what is committed by its order, and offsets of decisions still only go up.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_metadata::controller::batches;
use ottla_metadata::decide::Bootstrap;
use ottla_metadata::random::Seeded;
use ottla_metadata::{Controller, Decision, Image, Record};
use ottla_quorum::{Handle, Leadership, MAX_BATCH_BYTES, ProposeError};
use tracing::{error, info, warn};

use super::ear::Batch;
use super::lead::Lead;
use super::{Answer, Turn, Unavailable};

/// What a batch and a record of it take besides the values, at most.
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 32;

/// Something for the desk to do.
pub(super) type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// What comes in.
pub(super) enum Event {
    Job(Job),
    Committed(Arc<Batch>),
    Snapshot(Image),
    Leadership(Leadership),
    /// A batch of this epoch was not appended, or its fate is not known.
    Refused {
        epoch: i32,
        why: Option<ProposeError>,
    },
    Stop,
}

type Done = Box<dyn FnOnce(Result<i64, Unavailable>) + Send>;

/// A batch that was proposed and is not committed yet.
struct Appended {
    /// The offset of its last record as the controller counted it.
    last_offset: i64,
    records: usize,
    /// Answers that leave once it is committed.
    done: Vec<Done>,
}

/// What the active controller does by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chore {
    /// Keeps the high watermark moving (`metadata.max.idle.interval.ms`).
    NoOp,
    /// Looks for brokers that were not heard of.
    FenceStale,
    /// Gives partitions back to their preferred leaders.
    Balance,
    /// Elects leaders that may miss records, where topics allow it.
    ElectUnclean,
}

/// How often the chores are done, in milliseconds; nothing for never.
#[derive(Debug, Clone, Copy)]
pub(super) struct Periods {
    pub(super) no_op_ms: Option<i64>,
    pub(super) balance_ms: Option<i64>,
    pub(super) unclean_ms: i64,
}

struct Round {
    chore: Chore,
    every_ms: i64,
    due_ms: i64,
}

/// The controller and what it needs to do its work.
pub(super) struct Desk {
    controller: Controller,
    quorum: Handle,
    events: mpsc::Sender<Event>,
    random: Seeded,
    clock: Instant,
    bootstrap: Bootstrap,
    lead: Lead,
    rounds: Vec<Round>,
    /// The epoch this node leads while it is active.
    epoch: i32,
    next_offset: i64,
    /// Offset of the last committed batch.
    committed: i64,
    waiting: VecDeque<Appended>,
}

impl Desk {
    pub(super) fn new(
        controller: Controller,
        quorum: Handle,
        events: mpsc::Sender<Event>,
        seed: u64,
        bootstrap: Bootstrap,
        lead: Lead,
        periods: Periods,
    ) -> Desk {
        let fence_ms = (controller.settings().session_timeout_ms / 8).max(1);
        let rounds = [
            (Chore::NoOp, periods.no_op_ms),
            (Chore::FenceStale, Some(fence_ms)),
            (Chore::Balance, periods.balance_ms),
            (Chore::ElectUnclean, Some(periods.unclean_ms)),
        ];
        let rounds = rounds.into_iter().filter_map(|(chore, every_ms)| {
            Some(Round { chore, every_ms: every_ms?.max(1), due_ms: i64::MAX })
        });
        Desk {
            controller,
            quorum,
            events,
            random: Seeded(seed),
            clock: Instant::now(),
            bootstrap,
            lead,
            rounds: rounds.collect(),
            epoch: -1,
            next_offset: 0,
            committed: -1,
            waiting: VecDeque::new(),
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Event>) {
        loop {
            let due_ms = self.rounds.iter().map(|round| round.due_ms).min().unwrap_or(i64::MAX);
            // Standby there is nothing to do by the clock.
            let wait_ms = due_ms.saturating_sub(self.now_ms()).clamp(0, 3_600_000);
            match inbox.recv_timeout(Duration::from_millis(wait_ms as u64)) {
                Ok(Event::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Ok(event) => self.take(event),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.do_chores();
        }
        self.lead.set(None);
        self.fail_waiting(Unavailable::Stopped);
    }

    fn now_ms(&self) -> i64 {
        self.clock.elapsed().as_millis() as i64
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Job(job) => job(self),
            Event::Committed(batch) => self.committed(&batch),
            Event::Snapshot(image) => {
                self.committed = image.provenance.offset;
                self.controller.load_snapshot(image);
            }
            Event::Leadership(leadership) => self.leadership(leadership),
            Event::Refused { epoch, why } => self.refused(epoch, why),
            Event::Stop => unreachable!("the loop ends on it"),
        }
    }

    /// Decides, and answers when the records are committed.
    pub(super) fn decide<R: Send + 'static>(
        &mut self,
        decide: impl FnOnce(&mut Turn<'_>) -> Decision<R>,
        done: impl FnOnce(Answer<R>) + Send + 'static,
    ) {
        if !self.controller.is_active() {
            return done(Err(Unavailable::NotController));
        }
        let mut turn = Turn {
            next_offset: self.next_offset,
            now_ms: self.clock.elapsed().as_millis() as i64,
            epoch: self.epoch,
            controller: &mut self.controller,
            random: &mut self.random,
            quorum: &self.quorum,
        };
        let decision = decide(&mut turn);
        self.append(decision, done);
    }

    fn append<R: Send + 'static>(
        &mut self,
        decision: Decision<R>,
        done: impl FnOnce(Answer<R>) + Send + 'static,
    ) {
        let Decision { records, atomic, reply } = decision;
        let done: Done = Box::new(move |outcome| done(outcome.map(|offset| (reply, offset))));
        if records.is_empty() {
            // The answer may tell of what is not committed yet: then it waits for that.
            match self.waiting.back_mut() {
                Some(last) => last.done.push(done),
                None => done(Ok(self.committed)),
            }
            return;
        }
        let encoded: Vec<Vec<Bytes>> = batches(&records, atomic).map(encode).collect();
        if let Some(size) =
            encoded.iter().map(|values| batch_size(values)).find(|&size| size > MAX_BATCH_BYTES)
        {
            error!("a decision of {size} bytes does not fit into a metadata batch of {MAX_BATCH_BYTES}");
            return done(Err(Unavailable::TooLarge));
        }
        self.controller.append(self.next_offset, &records, atomic);
        for values in encoded {
            self.next_offset += values.len() as i64;
            self.waiting.push_back(Appended {
                last_offset: self.next_offset - 1,
                records: values.len(),
                done: Vec::new(),
            });
            let ticket = Ticket { events: self.events.clone(), epoch: self.epoch, settled: false };
            self.quorum.propose(Some(self.epoch), values, move |outcome| ticket.settle(outcome.err()));
        }
        let last = self.waiting.back_mut().expect("CONTROLLER-1 a decision with records was appended");
        last.done.push(done);
    }

    fn committed(&mut self, batch: &Batch) {
        self.committed = batch.last_offset;
        if !self.controller.is_active() {
            if batch.records.is_empty() {
                return;
            }
            if let Err(error) = self.controller.replay_committed(batch.base_offset, &batch.records) {
                // The follower finds the same and ends the node; this controller must not lead on a wrong image.
                panic!("CONTROLLER-2 committed metadata cannot be replayed: {error}");
            }
            return;
        }
        if batch.records.is_empty() {
            self.next_offset += batch.last_offset - batch.base_offset + 1;
            return;
        }
        let appended = self.waiting.pop_front();
        let appended = appended.expect("CONTROLLER-3 only the active controller appends records");
        assert_eq!(appended.records, batch.records.len(), "CONTROLLER-4 batches are committed as proposed");
        self.controller.commit(appended.last_offset);
        for done in appended.done {
            done(Ok(batch.last_offset));
        }
    }

    fn leadership(&mut self, leadership: Leadership) {
        let Leadership { leader, epoch, active } = leadership;
        self.lead.turn(leader, epoch);
        if self.controller.is_active() {
            self.deactivate(&format!("the quorum is in epoch {epoch} with leader {leader:?}"));
        }
        if !active {
            return;
        }
        self.epoch = epoch;
        self.next_offset = self.committed + 1;
        let now_ms = self.now_ms();
        let first = self.controller.activate(&self.bootstrap, now_ms);
        let records = first.records.len();
        info!(
            "[QuorumController id={}] becoming the active controller at epoch {epoch}, next write offset {}",
            self.id(),
            self.next_offset
        );
        if records > 0 {
            info!("[QuorumController id={}] appending {records} first records", self.id());
        }
        let lead = self.lead.clone();
        self.append(first, move |outcome| {
            if outcome.is_ok() {
                lead.set(Some(epoch));
            }
        });
        for round in &mut self.rounds {
            round.due_ms = now_ms + round.every_ms;
        }
    }

    fn deactivate(&mut self, why: &str) {
        warn!("[QuorumController id={}] no longer the active controller: {why}", self.id());
        self.lead.set(None);
        self.controller.deactivate();
        for round in &mut self.rounds {
            round.due_ms = i64::MAX;
        }
        self.fail_waiting(Unavailable::NotController);
    }

    fn fail_waiting(&mut self, why: Unavailable) {
        for done in self.waiting.drain(..).flat_map(|appended| appended.done) {
            done(Err(why.clone()));
        }
    }

    /// What this controller decided is not what the log holds: it goes back to what is committed, and the quorum
    /// finds a leader anew.
    fn refused(&mut self, epoch: i32, why: Option<ProposeError>) {
        if !self.controller.is_active() || epoch != self.epoch {
            return;
        }
        let why = why.map_or_else(|| "the quorum has stopped".to_owned(), |error| error.to_string());
        self.deactivate(&format!("records were not appended: {why}"));
        self.quorum.resign(epoch);
    }

    fn do_chores(&mut self) {
        let now_ms = self.now_ms();
        for at in 0..self.rounds.len() {
            let Round { chore, every_ms, due_ms } = self.rounds[at];
            if due_ms > now_ms || !self.controller.is_active() {
                continue;
            }
            let decision = match chore {
                Chore::NoOp => self.controller.view().no_op().map(|()| false),
                Chore::FenceStale => self.controller.fence_stale_broker(now_ms),
                Chore::Balance => self.controller.view().balance_leaders(),
                Chore::ElectUnclean => self.controller.view().elect_unclean_leaders(),
            };
            let again = decision.reply;
            self.rounds[at].due_ms = if again { now_ms } else { now_ms + every_ms };
            if !decision.records.is_empty() {
                self.append(decision, |_| {});
            }
        }
    }

    fn id(&self) -> i32 {
        self.controller.settings().node_id
    }
}

fn encode(records: &[Record]) -> Vec<Bytes> {
    let encode = |(record, version): &Record| match record.encode_framed(*version) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => panic!("CONTROLLER-5 a decided record cannot be written: {error} ({record:?})"),
    };
    records.iter().map(encode).collect()
}

fn batch_size(values: &[Bytes]) -> usize {
    BATCH_OVERHEAD + values.iter().map(|value| value.len() + RECORD_OVERHEAD).sum::<usize>()
}

/// Tells the desk of a proposal that failed, also if the quorum ended without a word about it.
struct Ticket {
    events: mpsc::Sender<Event>,
    epoch: i32,
    settled: bool,
}

impl Ticket {
    fn settle(mut self, why: Option<ProposeError>) {
        self.settled = true;
        if why.is_some() {
            let _ = self.events.send(Event::Refused { epoch: self.epoch, why });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            let _ = self.events.send(Event::Refused { epoch: self.epoch, why: None });
        }
    }
}
