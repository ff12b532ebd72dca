//! SyncGroup and Heartbeat: what members of a generation ask.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::heartbeat_request::HeartbeatRequest;
use ottla_protocol::messages::sync_group_request::SyncGroupRequest;
use ottla_records::mutant;

use super::desk::{Desk, Then};
use super::{Group, Shard};
use crate::answer;
use crate::api::{Notice, Token};
use crate::classic::{Classic, State};
use crate::record;
use crate::timers::Timer;

impl Shard {
    pub(super) fn sync(&mut self, token: Token, request: SyncGroupRequest) {
        match self.groups.get_mut(&*request.group_id) {
            Some(Group::Classic(group)) if !group.is_empty() => self.desk.sync(group, token, request),
            _ => self.desk.reply(token, answer::sync_error(ErrorCode::UnknownMemberId)),
        }
    }

    pub(super) fn heartbeat(&mut self, token: Token, request: &HeartbeatRequest) {
        let error = match self.groups.get_mut(&*request.group_id) {
            Some(Group::Classic(group)) => self.desk.heartbeat(group, request),
            _ => ErrorCode::UnknownMemberId,
        };
        self.desk.reply(token, answer::heartbeat(error));
    }
}

/// Both say which, and not the same.
fn contradicts(asked: Option<&str>, known: Option<&str>) -> bool {
    matches!((asked, known), (Some(asked), Some(known)) if asked != known)
}

fn check_sync(group: &Classic, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    if contradicts(request.protocol_type.as_deref(), group.protocol_type.as_deref())
        || contradicts(request.protocol_name.as_deref(), group.protocol_name.as_deref())
    {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    if group.state == State::PreparingRebalance {
        return Err(ErrorCode::RebalanceInProgress);
    }
    Ok(())
}

impl Desk {
    fn sync(&mut self, group: &mut Classic, token: Token, request: SyncGroupRequest) {
        if let Err(error) = check_sync(group, &request) {
            return self.reply(token, answer::sync_error(error));
        }
        let id = &*request.member_id;
        group.unsynced.remove(id);
        if group.unsynced.is_empty() {
            self.timers.cancel(&Timer::Sync { group: group.id.clone() });
        }
        if group.state == State::Stable {
            let response = self.assignment_of(group, id, ErrorCode::None);
            return self.reply(token, response);
        }
        if let Some(earlier) = group.expect_member(id).syncing.replace(token) {
            // It belongs to a connection that the client has given up.
            self.reply(earlier, answer::sync_error(ErrorCode::RebalanceInProgress));
        }
        // A leader that asks twice gets the answer to what it said first: that is what the log will hold.
        if group.is_leader(id) && !group.is_assigning {
            self.store_assignment(group, request);
        }
    }

    /// The leader has assigned: the generation goes to the log, and to the members when it is there.
    fn store_assignment(&mut self, group: &mut Classic, request: SyncGroupRequest) {
        // Copied for the same reason as the members' metadata: they outlive the request.
        let copied = |assignment: Bytes| Bytes::copy_from_slice(&assignment);
        let assignments: BTreeMap<String, Bytes> =
            request.assignments.into_iter().map(|of| (of.member_id, copied(of.assignment))).collect();
        let record = record::group(group, |id| assignments.get(id).cloned().unwrap_or_default());
        let generation = group.generation;
        if mutant::is("generation-unwritten") {
            return self.assigned(group, generation, &assignments, Ok(()));
        }
        group.is_assigning = true;
        self.append_group(group, vec![record], Then::Assigned { generation, assignments });
    }

    /// The assignment of a generation is stored, or could not be stored. A group that has gone on to the next
    /// rebalance does not care any more.
    pub(super) fn assigned(
        &mut self,
        group: &mut Classic,
        generation: i32,
        assignments: &BTreeMap<String, Bytes>,
        outcome: Result<(), ErrorCode>,
    ) {
        if group.state != State::CompletingRebalance || group.generation != generation {
            return;
        }
        group.is_assigning = false;
        match outcome {
            Ok(()) => {
                group.assign(|id| assignments.get(id).cloned().unwrap_or_default());
                self.answer_syncs(group, ErrorCode::None);
                group.transition(State::Stable, self.wall_ms());
                self.notice(Notice::RebalanceCompleted { group: group.id.clone(), generation });
            }
            Err(error) => {
                self.withdraw_assignment(group, error);
                let reason = format!("{error} when the assignment was to be stored");
                self.rebalance_or_complete(group, reason);
            }
        }
    }

    fn heartbeat(&mut self, group: &Classic, request: &HeartbeatRequest) -> ErrorCode {
        let instance = request.group_instance_id.as_deref();
        if let Err(error) = group.check_member(&request.member_id, instance) {
            return error;
        }
        if request.generation_id != group.generation {
            return ErrorCode::IllegalGeneration;
        }
        self.renew_session(group, &request.member_id);
        match group.state {
            State::PreparingRebalance => ErrorCode::RebalanceInProgress,
            _ => ErrorCode::None,
        }
    }
}
