//! Where decisions are written down: effects, timers, records on their way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_records::Moment;
use ottla_records::ids::{ProducerId, TimestampMs};

use super::{end, init};
use crate::api::{Append, AppendId, Effect, MarkId, Notice, Record, Response, Token};
use crate::config::Config;
use crate::txn::Txn;

/// What goes off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// A reply has waited long enough for its record.
    Write(AppendId),
    /// The markers of this id that were refused, or the record of its completion, are tried again.
    Markers(Arc<str>),
    /// Time to look for transactions that are open for too long.
    AbortCheck,
    /// Time to look for ids that were not used for long.
    ExpirationCheck,
}

/// All deadlines of a shard; those of the same moment go off in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<(i64, u64), Timer>,
    set: u64,
}

impl Timers {
    fn set(&mut self, timer: Timer, deadline_ms: i64) -> (i64, u64) {
        self.set += 1;
        self.queue.insert((deadline_ms, self.set), timer);
        (deadline_ms, self.set)
    }

    fn cancel(&mut self, place: (i64, u64)) {
        self.queue.remove(&place);
    }

    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.queue.keys().next().map(|(deadline, _)| *deadline)
    }

    pub(super) fn pop(&mut self, now_ms: i64) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now_ms).then(|| entry.remove())
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}

/// Who is answered when a record is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Nobody,
    /// With the producer id and epoch of the new value.
    InitProducerId(Token),
    /// The producer was fenced, and its transaction ends: whoever asked has to ask again.
    InitLater(Token),
    AddPartitions(Token),
    EndTxn(Token),
}

/// What the outcome of a record decides.
#[derive(Debug)]
pub(super) struct Then {
    pub(super) reply: Reply,
    /// Whether it says that the transaction is complete: that is tried until it succeeds.
    pub(super) completes: bool,
}

/// The new value of an id; `None` forgets it.
pub(super) type Change = (Arc<str>, Option<Txn>);

/// An append without an outcome.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) changes: Vec<Change>,
    pub(super) then: Then,
    timer: Option<(i64, u64)>,
}

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) coordinator_epoch: i32,
    pub(super) now: Moment,
    pub(super) effects: VecDeque<Effect>,
    pub(super) timers: Timers,
    pub(super) writes: BTreeMap<AppendId, Write>,
    /// The producer id that is given out next.
    pub(super) fresh: Option<ProducerId>,
    issued: AppendId,
    marks: MarkId,
    /// Whether transactions past their timeout are looked for.
    checks_aborts: bool,
}

impl Desk {
    pub(super) fn new(config: Config, coordinator_epoch: i32) -> Desk {
        Desk {
            config,
            coordinator_epoch,
            now: Moment { running_ms: 0, wall_ms: 0 },
            effects: VecDeque::new(),
            timers: Timers::default(),
            writes: BTreeMap::new(),
            fresh: None,
            issued: 0,
            marks: 0,
            checks_aborts: false,
        }
    }

    pub(super) fn wall_ms(&self) -> TimestampMs {
        self.now.wall_ms
    }

    fn after(&self, ms: i64) -> i64 {
        self.now.running_ms.saturating_add(ms.max(1))
    }

    pub(super) fn reply(&mut self, token: Token, response: Response) {
        self.effects.push_back(Effect::Reply { token, response });
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }

    pub(super) fn next_mark(&mut self) -> MarkId {
        self.marks += 1;
        self.marks
    }

    /// Issues an append.
    pub(super) fn append(&mut self, records: Vec<Record>, changes: Vec<Change>, then: Then) -> AppendId {
        assert!(!records.is_empty(), "TRANSACTIONS-13 an append has records");
        self.issued += 1;
        let id = self.issued;
        let waits = then.reply != Reply::Nobody;
        let deadline = self.after(self.config.write_timeout_ms);
        let timer = waits.then(|| self.timers.set(Timer::Write(id), deadline));
        self.writes.insert(id, Write { changes, then, timer });
        self.effects.push_back(Effect::Append(Append { id, records }));
        id
    }

    /// Takes out an append that has its outcome.
    pub(super) fn settled(&mut self, id: AppendId) -> Write {
        let Some(write) = self.writes.remove(&id) else {
            panic!("TRANSACTIONS-14 append {id} has one outcome");
        };
        if let Some(timer) = write.timer {
            self.timers.cancel(timer);
        }
        write
    }

    pub(super) fn retry_markers(&mut self, id: &Arc<str>) {
        let deadline = self.after(self.config.marker_retry_ms);
        self.timers.set(Timer::Markers(id.clone()), deadline);
    }

    /// There is an open transaction: its timeout is looked at.
    pub(super) fn plan_abort_check(&mut self) {
        if !self.checks_aborts {
            self.checks_aborts = true;
            let deadline = self.after(self.config.abort_check_interval_ms);
            self.timers.set(Timer::AbortCheck, deadline);
        }
    }

    pub(super) fn abort_check_done(&mut self) {
        self.checks_aborts = false;
    }

    pub(super) fn plan_expiration_check(&mut self) {
        let deadline = self.after(self.config.expiration_check_interval_ms);
        self.timers.set(Timer::ExpirationCheck, deadline);
    }

    /// Answers who waited for a record that is not committed.
    pub(super) fn answer_late(&mut self, reply: Reply, error: ErrorCode) {
        match reply {
            Reply::Nobody => {}
            Reply::InitProducerId(token) | Reply::InitLater(token) => self.reply(token, init::refused(error)),
            Reply::AddPartitions(token) => self.reply(token, Response::AddPartitions(error)),
            Reply::EndTxn(token) => self.reply(token, end::refused(error)),
        }
    }
}
