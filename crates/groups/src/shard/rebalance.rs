//! From one generation to the next: the join phase, the sync phase, and the timers that end them.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;

use super::desk::{Desk, Then};
use crate::api::{AppendId, Notice, Response};
use crate::classic::{Classic, JoinTimer, State};
use crate::record;
use crate::timers::Timer;

/// A join phase that nobody came to is looked at again no sooner, whatever the members asked for: a rebalance
/// timeout of 0 must not keep the coordinator busy.
const SHORTEST_RETRY_MS: i32 = 1_000;

impl Desk {
    /// A change among the members: begins a rebalance, or ends the join phase if that was all it waited for.
    /// Returns the append that this caused, if any.
    pub(super) fn rebalance_or_complete(&mut self, group: &mut Classic, reason: String) -> Option<AppendId> {
        if group.state == State::PreparingRebalance {
            self.complete_if_everyone_joined(group)
        } else {
            self.prepare_rebalance(group, reason)
        }
    }

    /// Begins a join phase. A group that was empty first gives more members time to come.
    pub(super) fn prepare_rebalance(&mut self, group: &mut Classic, reason: String) -> Option<AppendId> {
        if group.state == State::CompletingRebalance {
            self.withdraw_assignment(group, ErrorCode::RebalanceInProgress);
        }
        group.unsynced.clear();
        self.timers.cancel(&Timer::Sync { group: group.id.clone() });

        let is_initial = group.is_empty();
        group.transition(State::PreparingRebalance, self.wall_ms());
        self.notice(Notice::RebalanceStarted {
            group: group.id.clone(),
            generation: group.generation,
            reason,
        });
        if is_initial {
            let delay_ms = self.config.initial_rebalance_delay_ms;
            let remaining_ms = group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            self.set_join_timer(group, delay_ms, JoinTimer::Initial { delay_ms, remaining_ms });
            None
        } else if group.everyone_joined() {
            self.complete_join(group)
        } else {
            self.set_join_timer(group, group.rebalance_timeout_ms(), JoinTimer::Complete);
            None
        }
    }

    fn set_join_timer(&mut self, group: &mut Classic, ms: i32, meaning: JoinTimer) {
        group.join_timer = meaning;
        let deadline = self.after(ms);
        self.timers.set(Timer::Join { group: group.id.clone() }, deadline);
    }

    /// Ends the join phase if nobody is missing; the initial delay, though, runs its time.
    pub(super) fn complete_if_everyone_joined(&mut self, group: &mut Classic) -> Option<AppendId> {
        let is_joining = group.state == State::PreparingRebalance && group.previous != State::Empty;
        if is_joining && group.everyone_joined() { self.complete_join(group) } else { None }
    }

    /// The join timer of a group went off.
    pub(super) fn join_time_over(&mut self, group: &mut Classic) {
        if group.state != State::PreparingRebalance {
            return;
        }
        match group.join_timer {
            JoinTimer::Initial { delay_ms, remaining_ms }
                if group.prolong_initial_delay && remaining_ms != 0 =>
            {
                group.prolong_initial_delay = false;
                let next_ms = self.config.initial_rebalance_delay_ms.min(remaining_ms);
                let remaining_ms = remaining_ms.saturating_sub(delay_ms).max(0);
                self.set_join_timer(group, next_ms, JoinTimer::Initial { delay_ms: next_ms, remaining_ms });
            }
            _ => drop(self.complete_join(group)),
        }
    }

    /// Ends the join phase. Dynamic members that have not come back are out; static ones keep their place
    /// until their session ends. With members left the next generation begins and every parked join is
    /// answered; without any the group is empty, which is recorded.
    pub(super) fn complete_join(&mut self, group: &mut Classic) -> Option<AppendId> {
        self.timers.cancel(&Timer::Join { group: group.id.clone() });
        for id in group.member_ids() {
            let missing = group.member(&id).is_some_and(|m| m.joining.is_none() && m.instance.is_none());
            if missing {
                self.remove_member(group, &id, "it did not rejoin in time");
            }
        }
        if !group.elect_joined_leader() && group.member_count() > 0 {
            // Only static members are left, and none of them has come: wait for them or for their sessions.
            let again_ms = group.rebalance_timeout_ms().max(SHORTEST_RETRY_MS);
            self.set_join_timer(group, again_ms, JoinTimer::Complete);
            return None;
        }
        group.prolong_initial_delay = false;
        group.start_generation(self.wall_ms());
        if group.is_empty() {
            self.notice(Notice::GroupEmpty { group: group.id.clone(), generation: group.generation });
            let record = record::group(group, |_| Bytes::new());
            return Some(self.append_group(group, vec![record], Then::Nothing));
        }
        self.notice(Notice::GenerationStarted {
            group: group.id.clone(),
            generation: group.generation,
            members: group.member_count(),
        });
        for id in group.member_ids() {
            if let Some(parked) = group.take_join(&id) {
                let response = self.current_generation(group, &id);
                self.reply_join(parked, response);
            }
            group.expect_member(&id).is_new = false;
            self.renew_session(group, &id);
            group.unsynced.insert(id);
        }
        let deadline = self.after(group.rebalance_timeout_ms());
        self.timers.set(Timer::Sync { group: group.id.clone() }, deadline);
        None
    }

    /// What JoinGroup says of the generation a group is in; the leader is told the members.
    pub(super) fn current_generation(&self, group: &Classic, id: &str) -> JoinGroupResponse {
        JoinGroupResponse {
            generation_id: group.generation,
            protocol_type: group.protocol_type.clone(),
            protocol_name: group.protocol_name.clone(),
            leader: group.leader.as_deref().unwrap_or("").to_owned(),
            member_id: id.to_owned(),
            members: if group.is_leader(id) { group.for_leader() } else { Vec::new() },
            ..Default::default()
        }
    }

    /// The sync timer of a group went off: members that never asked for their assignment are out.
    pub(super) fn sync_time_over(&mut self, group: &mut Classic) {
        let waits = matches!(group.state, State::CompletingRebalance | State::Stable);
        if !waits || group.unsynced.is_empty() {
            return;
        }
        let missing: Vec<Arc<str>> = group.unsynced.iter().cloned().collect();
        for id in &missing {
            self.remove_member(group, id, "it did not sync in time");
        }
        let reason = format!("{} members did not sync in time", missing.len());
        self.prepare_rebalance(group, reason);
    }

    /// A member's session, or a pending member's time, is over.
    pub(super) fn session_over(&mut self, group: &mut Classic, id: &Arc<str>) {
        if group.pending.contains_key(id) {
            group.remove(id);
            self.complete_if_all_joined_now(group);
        } else if group.member(id).is_some_and(|member| !member.is_excused()) {
            self.remove_member(group, id, "its session timed out");
            if group.state == State::PreparingRebalance {
                self.complete_if_all_joined_now(group);
            } else {
                self.rebalance_or_complete(group, format!("member {id} timed out"));
            }
        }
    }

    /// Like [`Desk::complete_if_everyone_joined`], also in the initial delay: what expired there was the last
    /// one anybody could have waited for.
    fn complete_if_all_joined_now(&mut self, group: &mut Classic) {
        if group.state == State::PreparingRebalance && group.everyone_joined() {
            self.complete_join(group);
        }
    }

    /// Takes every member's assignment back and answers the parked syncs with `error`.
    pub(super) fn withdraw_assignment(&mut self, group: &mut Classic, error: ErrorCode) {
        group.assign(|_| Bytes::new());
        self.answer_syncs(group, error);
    }

    /// Answers all parked syncs: with the assignments, or with an error. Sessions begin anew, because they
    /// may have run out, unheeded, during the wait.
    pub(super) fn answer_syncs(&mut self, group: &mut Classic, error: ErrorCode) {
        for id in group.member_ids() {
            let Some(token) = group.expect_member(&id).syncing.take() else { continue };
            let response = self.assignment_of(group, &id, error);
            self.reply(token, response);
            self.renew_session(group, &id);
        }
    }

    /// The SyncGroup answer for a member.
    pub(super) fn assignment_of(&self, group: &Classic, id: &str, error: ErrorCode) -> Response {
        let is_good = error == ErrorCode::None;
        Response::SyncGroup(SyncGroupResponse {
            error_code: error.code(),
            protocol_type: group.protocol_type.clone().filter(|_| is_good),
            protocol_name: group.protocol_name.clone().filter(|_| is_good),
            assignment: group.member(id).map(|member| member.assignment.clone()).unwrap_or_default(),
            ..Default::default()
        })
    }
}
