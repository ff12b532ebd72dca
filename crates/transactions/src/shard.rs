//! One partition's transactional ids: the doors of the machine, and what all its rooms share.

mod desk;
mod end;
mod init;
pub(crate) mod look;
mod mark;
mod partitions;
mod sweep;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::Moment;
use ottla_records::ids::{ProducerEpoch, ProducerId};

use crate::api::{AppendId, Effect, Notice, Request, Response, Token};
use crate::config::Config;
use crate::record::{Parsed, ReplayError, parse};
use crate::state::State;
use crate::txn::Txn;
use desk::{Desk, Timer};
use mark::Marking;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading,
    Active,
    Unloaded,
}

/// What an id waits for. While it does, no other step is taken.
#[derive(Debug)]
enum Pending {
    /// A record is on its way.
    Record(AppendId),
    /// The transaction is decided, and partitions lack their markers.
    Markers(Marking),
    /// All have them; the record that says so could not be stored, and is tried again.
    Completion,
}

/// A transactional id.
#[derive(Debug)]
struct Held {
    /// What its newest committed record says; `None` while the first is on its way.
    txn: Option<Txn>,
    pending: Option<Pending>,
}

/// The coordinator of the transactional ids of one partition of `__transaction_state`.
#[derive(Debug)]
pub struct Shard {
    ids: BTreeMap<Arc<str>, Held>,
    desk: Desk,
    phase: Phase,
}

impl Shard {
    /// A shard that is still to be loaded: until [`Shard::loaded`] it answers COORDINATOR_LOAD_IN_PROGRESS. Its partition
    /// is led here in `coordinator_epoch`.
    pub fn new(config: Config, coordinator_epoch: i32) -> Shard {
        Shard { ids: BTreeMap::new(), desk: Desk::new(config, coordinator_epoch), phase: Phase::Loading }
    }

    /// The next thing to do; `None` when everything is done that can be done now.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.desk.effects.pop_front()
    }

    /// When [`Shard::tick`] has something to do, on the running clock; a moment that has passed means now.
    pub fn next_deadline(&self) -> Option<i64> {
        self.desk.timers.next_deadline()
    }

    /// The partition is led here in another epoch from now on, with the same log: later markers carry it.
    pub fn lead_on(&mut self, coordinator_epoch: i32) {
        self.desk.coordinator_epoch = coordinator_epoch;
    }

    /// Other settings apply from now on.
    pub fn configure(&mut self, config: Config) {
        self.desk.config = config;
    }

    /// Whether a producer id should be [stocked](Shard::stock) before the next InitProducerId or EndTxn: a step that needs
    /// one and finds none answers COORDINATOR_LOAD_IN_PROGRESS, on which clients ask again.
    pub fn lacks_producer_id(&self) -> bool {
        self.phase == Phase::Active && self.desk.fresh.is_none()
    }

    /// Gives the shard a producer id that nobody has had. One that it cannot use any more is simply lost.
    pub fn stock(&mut self, producer_id: ProducerId) {
        self.desk.fresh = Some(producer_id);
    }

    /// Number of transactional ids, for logs and metrics.
    pub fn size(&self) -> usize {
        self.ids.len()
    }

    /// Takes in a record of the log, `value` `None` for a tombstone. Records of unknown types are passed over; they stay in
    /// the log. Records appended by this shard come back as [`Shard::appended`] only, not through here.
    ///
    /// # Errors
    /// [`ReplayError`]: then the shard must not be served.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ReplayError> {
        match parse(key, value)? {
            Parsed::Txn(id, txn) => {
                self.ids.insert(id.into(), Held { txn: Some(txn), pending: None });
            }
            Parsed::Tombstone(id) => drop(self.ids.remove(&*id)),
            Parsed::Unknown => {}
        }
        Ok(())
    }

    /// The log has been read to its end, and all of it is committed: decided transactions go on.
    pub fn loaded(&mut self, now: Moment) {
        assert_eq!(self.phase, Phase::Loading, "TRANSACTIONS-12 a shard is loaded once");
        self.phase = Phase::Active;
        self.desk.now = now;
        let ids: Vec<Arc<str>> = self.ids.keys().cloned().collect();
        for id in ids {
            let Some(txn) = self.ids.get(&id).and_then(|held| held.txn.as_ref()) else { continue };
            match txn.state {
                State::PrepareCommit | State::PrepareAbort => {
                    self.desk.notice(Notice::Resumed {
                        transactional_id: id.clone(),
                        commit: txn.state == State::PrepareCommit,
                        partitions: txn.partitions.len(),
                    });
                    self.begin_marking(&id);
                }
                State::Ongoing => self.desk.plan_abort_check(),
                State::Empty | State::CompleteCommit | State::CompleteAbort => {}
            }
        }
        self.desk.plan_expiration_check();
    }

    /// Takes in a request. It is answered by exactly one [`Effect::Reply`] with its `token`: now, or when its record is
    /// committed.
    pub fn handle(&mut self, now: Moment, token: Token, request: Request) {
        self.desk.now = now;
        if let Some(error) = self.absence() {
            let response = self.refusal(&request, error);
            return self.desk.reply(token, response);
        }
        match request {
            Request::InitProducerId(request) => self.init(token, &request),
            Request::AddPartitions { producer, partitions, client_version } => {
                self.add_partitions(token, &producer, partitions, client_version);
            }
            Request::Verify { producer, partitions } => self.verify(token, &producer, &partitions),
            Request::EndTxn { request, client_version } => self.end(token, &request, client_version),
            Request::Describe(ids) => self.describe(token, ids),
            Request::List(request) => self.list(token, &request),
        }
    }

    fn absence(&self) -> Option<ErrorCode> {
        match self.phase {
            Phase::Active => None,
            Phase::Loading => Some(ErrorCode::CoordinatorLoadInProgress),
            Phase::Unloaded => Some(ErrorCode::NotCoordinator),
        }
    }

    /// Lets go off what is due.
    pub fn tick(&mut self, now: Moment) {
        self.desk.now = now;
        while let Some(timer) = self.desk.timers.pop(now.running_ms) {
            match timer {
                Timer::Write(append) => self.write_time_over(append),
                Timer::Markers(id) => self.try_again(&id),
                Timer::AbortCheck => self.abort_timed_out(),
                Timer::ExpirationCheck => self.expire(),
            }
        }
    }

    /// The partition is lost: everybody who waits is told NOT_COORDINATOR, and everything is forgotten. Outcomes of appends
    /// and markers that arrive later are ignored.
    pub fn unload(&mut self) {
        self.phase = Phase::Unloaded;
        for write in std::mem::take(&mut self.desk.writes).into_values() {
            self.desk.answer_late(write.then.reply, ErrorCode::NotCoordinator);
        }
        self.desk.timers.clear();
        self.ids.clear();
    }

    /// What the log says of each id, in a fixed order: two shards that have read the same log have the same lines, and so has
    /// the one that wrote it, once it is at rest.
    pub fn dump(&self) -> Vec<String> {
        let stored = |(id, held): (&Arc<str>, &Held)| {
            // The epoch before the current one is not in the log.
            let txn = held.txn.as_ref().map(|txn| Txn { last_epoch: -1, ..txn.clone() });
            txn.map(|txn| format!("{id} {txn:?}"))
        };
        self.ids.iter().filter_map(stored).collect()
    }

    /// The producer id and epoch of an id, for checks.
    pub fn producer_of(&self, transactional_id: &str) -> Option<(ProducerId, ProducerEpoch)> {
        let txn = self.ids.get(transactional_id)?.txn.as_ref()?;
        Some((txn.producer_id, txn.epoch))
    }

    fn refusal(&self, request: &Request, error: ErrorCode) -> Response {
        match request {
            Request::InitProducerId(_) => init::refused(error),
            Request::AddPartitions { .. } => Response::AddPartitions(error),
            Request::Verify { partitions, .. } => Response::Verify(vec![error; partitions.len()]),
            Request::EndTxn { .. } => end::refused(error),
            Request::Describe(ids) => look::describe_refused(ids, error),
            Request::List(_) => self.list_refused(error),
        }
    }
}
