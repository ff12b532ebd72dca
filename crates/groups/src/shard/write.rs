//! What becomes of appends: committed, lost, or too slow to wait for.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;

use super::desk::{Desk, Then, Undo, Write};
use super::{Group, Phase, Shard};
use crate::answer;
use crate::api::{AppendId, Notice, Token};
use crate::timers::Timer;

impl Shard {
    /// Append `id` has an outcome: its records are committed, the first at this offset of the log, or they
    /// are lost for this reason, and will not show up in the log.
    ///
    /// Outcomes come in the order of the appends. After [`Shard::unload`] they are ignored.
    pub fn appended(&mut self, now_ms: i64, id: AppendId, outcome: Result<i64, ErrorCode>) {
        if self.phase == Phase::Unloaded {
            return;
        }
        self.desk.now_ms = now_ms;
        let Some(mut write) = self.desk.writes.remove(&id) else {
            panic!("GROUPS-22 append {id} has one outcome");
        };
        self.desk.timers.cancel(&Timer::Write { append: id });
        let mut touched = Vec::new();
        for (place, index) in std::mem::take(&mut write.offsets) {
            let record_offset = outcome.ok().map(|base| base.saturating_add(index as i64));
            touched.push(place.group.clone());
            self.offsets.settle(id, place, record_offset);
        }
        if let (Some(transaction), Ok(base)) = (write.transaction, outcome) {
            let offsets = std::mem::take(&mut write.in_transaction);
            self.transaction_written(transaction, offsets, base);
        }
        let told = outcome.map(drop).map_err(answer::of_write);
        if let Err(error) = outcome {
            self.report_failure(&write, touched.first(), error);
        }
        if let Some((group, incarnation)) = write.group.take() {
            self.group_written(&group, incarnation, write.then, told);
            touched.push(group);
        }
        if outcome.is_err() {
            for undo in write.undo.into_iter().rev() {
                self.undo(undo);
            }
            // Offsets that came back, or were committed meanwhile, need a group to belong to.
            for group in &touched {
                self.ensure_group(group);
            }
        }
        for (token, response) in write.replies {
            let response = match told {
                Ok(()) => response,
                Err(error) => answer::spoiled(response, error),
            };
            self.desk.reply(token, response);
        }
        self.release_fetches();
    }

    fn report_failure(&mut self, write: &Write, of_offsets: Option<&Arc<str>>, error: ErrorCode) {
        if let Some(group) = write.group.as_ref().map(|(group, _)| group).or(of_offsets) {
            self.desk.notice(Notice::WriteFailed { group: group.clone(), error });
        }
    }

    fn group_written(&mut self, id: &str, incarnation: u64, then: Then, told: Result<(), ErrorCode>) {
        let Shard { groups, desk, .. } = self;
        let group = match groups.get_mut(id) {
            Some(Group::Classic(group)) if group.incarnation == incarnation => group,
            _ => return,
        };
        group.records_on_the_way -= 1;
        match then {
            Then::Nothing => {}
            Then::Created => {
                if let Err(error) = told {
                    self.uncreate(id, error);
                }
            }
            Then::Assigned { generation, assignments } => {
                desk.assigned(group, generation, &assignments, told)
            }
            Then::Renamed(renamed) => desk.static_returned(group, *renamed, told),
        }
    }

    /// A new group did not get into the log. Unless a later record of it may still, it never was.
    fn uncreate(&mut self, id: &str, error: ErrorCode) {
        let Shard { groups, desk, .. } = self;
        let Some(Group::Classic(group)) = groups.get_mut(id) else { return };
        if group.records_on_the_way > 0 {
            return;
        }
        desk.end_timers(group);
        for member in group.member_ids() {
            if let Some(member) = group.remove(&member) {
                desk.dismiss(&member, "", error);
            }
        }
        groups.remove(id);
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Uncreate(id, incarnation) => {
                let has_offsets = self.offsets.has_any(&id);
                let group = self.incarnation(&id, incarnation);
                if group.is_some_and(|group| group.is_simple() && !has_offsets) {
                    self.groups.remove(&id);
                }
            }
            // If the id was taken again, the new group stays; it has its own records.
            Undo::Restore(id, group) => {
                let is_simple = |there: &Group| matches!(there, Group::Classic(there) if there.is_simple());
                if self.groups.get(&id).is_none_or(is_simple) {
                    self.groups.insert(id.clone(), group);
                    self.with_classic(&id, |desk, group| {
                        for (pending, ms) in group.pending.clone() {
                            desk.set_session(group, &pending, ms);
                        }
                    });
                }
            }
        }
    }

    /// Offsets always belong to a group; one that nobody joined is made for those that have none.
    pub(super) fn ensure_group(&mut self, id: &Arc<str>) {
        if !self.groups.contains_key(id) && self.offsets.has_any(id) {
            self.create(id);
        }
    }

    /// An append takes longer than a client should wait. Its outcome is still to come and counts then; only
    /// the answers go out, as errors. A generation whose assignment is that late is given up.
    pub(super) fn write_time_over(&mut self, id: AppendId) {
        let error = answer::of_write(ErrorCode::RequestTimedOut);
        let Shard { groups, desk, .. } = self;
        let Some(write) = desk.writes.get_mut(&id) else { return };
        let replies = std::mem::take(&mut write.replies);
        let assigned = match &write.then {
            Then::Assigned { .. } => {
                Some((std::mem::replace(&mut write.then, Then::Nothing), write.group.clone()))
            }
            _ => None,
        };
        if let Some((Then::Assigned { generation, assignments }, Some((id, incarnation)))) = assigned {
            match groups.get_mut(&id) {
                Some(Group::Classic(group)) if group.incarnation == incarnation => {
                    desk.assigned(group, generation, &assignments, Err(error));
                }
                _ => {}
            }
        }
        desk.answer_late(replies, error);
    }
}

impl Desk {
    fn answer_late(&mut self, replies: Vec<(Token, crate::api::Response)>, error: ErrorCode) {
        for (token, response) in replies {
            self.reply(token, answer::spoiled(response, error));
        }
    }
}
