//! Where decisions about a group are written down: effects, timers, appends on their way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;

use super::Group;
use crate::answer;
use crate::api::{Append, AppendId, Effect, InTransaction, Notice, Record, Response, Token};
use crate::classic::Classic;
use crate::config::Config;
use crate::member::{Member, Parked, Protocol};
use crate::offsets::{Committed, Place};
use crate::timers::{Timer, Timers};

/// What the outcome of an append decides about a group, besides its replies.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// The group was new: without its record it is taken back.
    Created,
    /// The leader's assignment for a generation: it is handed out, or the group rebalances.
    Assigned {
        generation: i32,
        assignments: BTreeMap<String, Bytes>,
    },
    /// A static member came back under a new id: it is answered, or has its old id again.
    Renamed(Box<Renamed>),
}

#[derive(Debug)]
pub(super) struct Renamed {
    pub(super) generation: i32,
    pub(super) old: Arc<str>,
    pub(super) new: Arc<str>,
    /// Who led the group before.
    pub(super) leader: Option<Arc<str>>,
    pub(super) protocols: Vec<Protocol>,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
}

/// What a failed append puts back.
#[derive(Debug)]
pub(super) enum Undo {
    /// The group was to be deleted.
    Restore(Arc<str>, Group),
    /// The group was made only to hold the offsets of this append.
    Uncreate(Arc<str>, u64),
}

/// An append without an outcome.
#[derive(Debug)]
pub(super) struct Write {
    /// The classic group (and its incarnation) whose record is in it.
    pub(super) group: Option<(Arc<str>, u64)>,
    /// The offsets in it, with the positions of their records.
    pub(super) offsets: Vec<(Place, usize)>,
    /// The transaction it belongs to, and the offsets of that.
    pub(super) transaction: Option<InTransaction>,
    pub(super) in_transaction: Vec<(Place, Committed)>,
    pub(super) then: Then,
    pub(super) undo: Vec<Undo>,
    pub(super) replies: Vec<(Token, Response)>,
}

impl Default for Write {
    fn default() -> Self {
        Write {
            group: None,
            offsets: Vec::new(),
            transaction: None,
            in_transaction: Vec::new(),
            then: Then::Nothing,
            undo: Vec::new(),
            replies: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) config: Config,
    pub(super) now_ms: i64,
    /// What the wall clock is ahead of `now_ms`.
    pub(super) wall_ahead_ms: i64,
    pub(super) timers: Timers,
    pub(super) effects: VecDeque<Effect>,
    pub(super) writes: BTreeMap<AppendId, Write>,
    pub(super) issued: AppendId,
}

impl Desk {
    pub(super) fn new(config: Config) -> Desk {
        Desk {
            config,
            now_ms: 0,
            wall_ahead_ms: 0,
            timers: Timers::default(),
            effects: VecDeque::new(),
            writes: BTreeMap::new(),
            issued: 0,
        }
    }

    pub(super) fn reply(&mut self, token: Token, response: Response) {
        self.effects.push_back(Effect::Reply { token, response });
    }

    pub(super) fn reply_join(&mut self, parked: Parked, response: JoinGroupResponse) {
        self.reply(parked.token, answer::join(parked, response));
    }

    pub(super) fn refuse_join(&mut self, parked: Parked, member_id: &str, error: ErrorCode) {
        self.reply_join(parked, answer::join_error(member_id, error));
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }

    /// Milliseconds since 1970: the time that records carry and are compared with.
    pub(super) fn wall_ms(&self) -> i64 {
        self.now_ms.saturating_add(self.wall_ahead_ms)
    }

    /// The deadline `ms` from now; a negative time has passed already.
    pub(super) fn after(&self, ms: impl Into<i64>) -> i64 {
        self.now_ms.saturating_add(ms.into())
    }

    /// Issues an append. Its offsets are to be issued with the id that is returned.
    pub(super) fn append(&mut self, records: Vec<Record>, write: Write) -> AppendId {
        let transaction = write.transaction;
        let is_marker = transaction.is_some_and(|transaction| transaction.marker.is_some());
        assert!(records.is_empty() == is_marker, "GROUPS-19 an append has records, or is a marker");
        self.issued += 1;
        let id = self.issued;
        let timeout = self.after(self.config.write_timeout_ms);
        self.timers.set(Timer::Write { append: id }, timeout);
        self.writes.insert(id, write);
        self.effects.push_back(Effect::Append(Append { id, records, transaction }));
        id
    }

    /// Issues an append with the record of `group`.
    pub(super) fn append_group(&mut self, group: &mut Classic, records: Vec<Record>, then: Then) -> AppendId {
        group.records_on_the_way += 1;
        let group = Some((group.id.clone(), group.incarnation));
        self.append(records, Write { group, then, ..Write::default() })
    }

    /// Sends `response` when append `id` is committed, or now if nothing was to be appended.
    pub(super) fn reply_after(&mut self, id: Option<AppendId>, token: Token, response: Response) {
        match id {
            None => self.reply(token, response),
            Some(id) => {
                let write = self.writes.get_mut(&id).expect("GROUPS-20 the append was issued just now");
                write.replies.push((token, response));
            }
        }
    }

    pub(super) fn set_session(&mut self, group: &Classic, member: &Arc<str>, ms: i32) {
        let deadline = self.after(ms);
        self.timers.set(Timer::Session { group: group.id.clone(), member: member.clone() }, deadline);
    }

    /// A sign of life: the member's session begins anew.
    pub(super) fn renew_session(&mut self, group: &Classic, id: &str) {
        if let Some(member) = group.member(id) {
            self.set_session(group, &member.id, member.session_timeout_ms);
        }
    }

    pub(super) fn end_session(&mut self, group: &Classic, member: &Arc<str>) {
        self.timers.cancel(&Timer::Session { group: group.id.clone(), member: member.clone() });
    }

    /// Answers what a removed member has parked.
    pub(super) fn dismiss(&mut self, member: &Member, member_id: &str, error: ErrorCode) {
        if let Some(parked) = member.joining {
            self.refuse_join(parked, member_id, error);
        }
        if let Some(token) = member.syncing {
            self.reply(token, answer::sync_error(error));
        }
    }

    /// Takes a member out of its group. What it waits for is answered with UNKNOWN_MEMBER_ID and no member
    /// id, so that a client that is alive after all joins as a new member.
    pub(super) fn remove_member(&mut self, group: &mut Classic, id: &Arc<str>, reason: &'static str) {
        self.end_session(group, id);
        if let Some(member) = group.remove(id) {
            self.dismiss(&member, "", ErrorCode::UnknownMemberId);
            self.notice(Notice::MemberRemoved { group: group.id.clone(), member: id.clone(), reason });
        }
    }

    /// The cancelled timers of a group that goes away.
    pub(super) fn end_timers(&mut self, group: &Classic) {
        self.timers.cancel(&Timer::Join { group: group.id.clone() });
        self.timers.cancel(&Timer::Sync { group: group.id.clone() });
        for id in group.pending.keys().cloned().chain(group.member_ids()) {
            self.end_session(group, &id);
        }
    }
}
