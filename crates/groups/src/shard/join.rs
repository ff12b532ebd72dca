//! JoinGroup: who may come in, under which id, and whether that begins a rebalance.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group_request::JoinGroupRequest;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use uuid::Uuid;

use super::desk::{Desk, Renamed, Then, Undo, Write};
use super::{Group, Shard};
use crate::api::{Client, Token};
use crate::classic::{Classic, State};
use crate::config::NEW_MEMBER_JOIN_TIMEOUT_MS;
use crate::foreign::Kind;
use crate::member::{Member, Parked, Protocol, protocols_of};
use crate::record;

/// From this version on a new dynamic member is given an id first, and joins with it (KIP-394).
const MEMBER_ID_REQUIRED_FROM: i16 = 4;
/// From this version on a returning static leader can be told to lead without assigning (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// A join, with what is needed of its request.
struct Join<'a> {
    parked: Parked,
    client: Client<'a>,
    member_id: String,
    instance: Option<Arc<str>>,
    protocol_type: String,
    protocols: Vec<Protocol>,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
    reason: String,
    fresh: Uuid,
}

impl Join<'_> {
    fn reason(&self, what: &str) -> String {
        format!("{what}; client reason: {}", self.reason)
    }
}

impl Shard {
    pub(super) fn join(&mut self, client: Client<'_>, token: Token, request: JoinGroupRequest, fresh: Uuid) {
        let parked = Parked { token, api_version: client.api_version };
        let is_new_member = request.member_id.is_empty();
        let mut replaced = None;
        match self.groups.get(&*request.group_id) {
            Some(Group::Classic(_)) => {}
            Some(Group::Foreign(group)) if !group.is_empty() || group.kind == Kind::Share => {
                return self.desk.refuse_join(parked, "", ErrorCode::InconsistentGroupProtocol);
            }
            _ if !is_new_member => {
                return self.desk.refuse_join(parked, &request.member_id, ErrorCode::UnknownMemberId);
            }
            // An empty group of another protocol gives way, like one that was never there.
            _ => replaced = self.groups.remove_entry(&*request.group_id),
        }
        let is_new_group = !self.groups.contains_key(&*request.group_id);
        if is_new_group {
            self.create(&request.group_id);
        }
        let Some(Group::Classic(group)) = self.groups.get_mut(&*request.group_id) else {
            unreachable!("it is classic or was just created");
        };
        let join = Join {
            parked,
            client,
            member_id: request.member_id,
            instance: request.group_instance_id.map(Into::into),
            protocol_type: request.protocol_type,
            protocols: protocols_of(request.protocols),
            session_timeout_ms: request.session_timeout_ms,
            // Version 0 has no rebalance timeout; the session's served as both.
            rebalance_timeout_ms: match client.api_version {
                0 => request.session_timeout_ms,
                _ => request.rebalance_timeout_ms,
            },
            reason: request.reason.filter(|r| !r.is_empty()).unwrap_or_else(|| "not provided".to_owned()),
            fresh,
        };
        self.desk.join(group, join);
        if is_new_group {
            self.desk.record_new_group(group, replaced);
        }
    }
}

impl Desk {
    /// A group is in the log before its first generation is, so that its offsets have somewhere to hang.
    fn record_new_group(&mut self, group: &mut Classic, replaced: Option<(Arc<str>, Group)>) {
        let mut records = Vec::new();
        if let Some((_, Group::Foreign(foreign))) = &replaced {
            records.extend(foreign.tombstones());
        }
        records.push(record::new_group(group));
        let undo = replaced.map(|(id, group)| Undo::Restore(id, group));
        group.records_on_the_way += 1;
        self.append(
            records,
            Write {
                group: Some((group.id.clone(), group.incarnation)),
                then: Then::Created,
                undo: undo.into_iter().collect(),
                ..Write::default()
            },
        );
    }

    fn join(&mut self, group: &mut Classic, join: Join<'_>) {
        if !self.has_room(group, &join.member_id) {
            if let Some((id, _)) = group.pending.get_key_value(&*join.member_id) {
                let id = id.clone();
                self.end_session(group, &id);
                group.remove(&id);
            } else if let Some(id) = group.member(&join.member_id).map(|member| member.id.clone()) {
                self.remove_member(group, &id, "the group has reached its maximum size");
            }
            self.refuse_join(join.parked, "", ErrorCode::GroupMaxSizeReached);
            self.complete_if_everyone_joined(group);
        } else if join.member_id.is_empty() {
            self.join_as_new(group, join);
        } else {
            self.join_again(group, join);
        }
    }

    /// Whether the group takes the member in under `group.max.size`. While a group rebalances the members
    /// that have joined count, not those that were there before: so a group that is too large (the limit was
    /// lowered) keeps the members that come first.
    fn has_room(&self, group: &Classic, id: &str) -> bool {
        match group.state {
            State::Empty => true,
            State::PreparingRebalance => {
                group.member(id).is_some_and(|member| member.joining.is_some())
                    || group.joining() < self.config.max_size
            }
            State::CompletingRebalance | State::Stable => {
                group.member(id).is_some() || group.member_count() < self.config.max_size
            }
        }
    }

    fn join_as_new(&mut self, group: &mut Classic, join: Join<'_>) {
        if !group.accepts(&join.protocol_type, &join.protocols) {
            return self.refuse_join(join.parked, "", ErrorCode::InconsistentGroupProtocol);
        }
        let prefix = join.instance.as_deref().unwrap_or(join.client.id);
        let id: Arc<str> = format!("{prefix}-{}", join.fresh).into();
        if id.len() > i16::MAX as usize {
            // No version of any message or record could carry it.
            return self.refuse_join(join.parked, "", ErrorCode::InvalidRequest);
        }
        let holder = join.instance.as_deref().and_then(|instance| group.static_member(instance)).cloned();
        if let Some(holder) = holder {
            self.return_of_static(group, &holder, id, join);
        } else if join.instance.is_none() && join.parked.api_version >= MEMBER_ID_REQUIRED_FROM {
            group.pending.insert(id.clone(), join.session_timeout_ms);
            self.set_session(group, &id, join.session_timeout_ms);
            self.refuse_join(join.parked, &id, ErrorCode::MemberIdRequired);
        } else {
            self.add_member(group, id, join);
        }
    }

    fn add_member(&mut self, group: &mut Classic, id: Arc<str>, join: Join<'_>) {
        if group.state == State::PreparingRebalance && group.previous == State::Empty {
            group.prolong_initial_delay = true;
        }
        let reason = match &join.instance {
            Some(instance) => {
                join.reason(&format!("Adding new member {id} with group instance id {instance}"))
            }
            None => join.reason(&format!("Adding new member {id}")),
        };
        group.add(
            Member {
                id: id.clone(),
                instance: join.instance,
                client_id: join.client.id.to_owned(),
                client_host: join.client.host.to_owned(),
                rebalance_timeout_ms: join.rebalance_timeout_ms,
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols,
                assignment: Default::default(),
                joining: Some(join.parked),
                syncing: None,
                is_new: true,
            },
            &join.protocol_type,
        );
        self.set_session(group, &id, NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete(group, reason);
    }

    /// A join under an id that the client has from us.
    fn join_again(&mut self, group: &mut Classic, join: Join<'_>) {
        let id = join.member_id.clone();
        if !group.accepts(&join.protocol_type, &join.protocols) {
            return self.refuse_join(join.parked, &id, ErrorCode::InconsistentGroupProtocol);
        }
        if let Some((pending, _)) = group.pending.get_key_value(&*id) {
            if join.instance.is_some() {
                // Ids are only given out in advance to dynamic members.
                return self.refuse_join(join.parked, "", ErrorCode::UnknownServerError);
            }
            let pending = pending.clone();
            return self.add_member(group, pending, join);
        }
        if let Err(error) = group.check_member(&id, join.instance.as_deref()) {
            return self.refuse_join(join.parked, &id, error);
        }
        let is_unchanged = group.member(&id).is_some_and(|member| member.protocols == join.protocols);
        let reason = match group.state {
            // Nobody is a member of an empty group.
            State::Empty => return self.refuse_join(join.parked, &id, ErrorCode::UnknownMemberId),
            State::PreparingRebalance => format!("Member {id} is joining"),
            // The leader starts a rebalance by joining, for reasons that its own metadata does not show
            // (a topic has got more partitions).
            State::Stable if group.is_leader(&id) => format!("Leader {id} is joining again"),
            // It may have missed the answer to the join before.
            State::CompletingRebalance | State::Stable if is_unchanged => {
                let response = self.current_generation(group, &id);
                return self.reply_join(join.parked, response);
            }
            State::CompletingRebalance | State::Stable => format!("Updating metadata for member {id}"),
        };
        let reason = join.reason(&reason);
        group.update(&id, join.protocols, join.rebalance_timeout_ms, join.session_timeout_ms);
        self.park_join(group, &id, join.parked);
        self.rebalance_or_complete(group, reason);
    }

    /// Parks a join. One that waited there already belongs to a connection the client has given up; it is
    /// told to try again.
    fn park_join(&mut self, group: &mut Classic, id: &str, parked: Parked) {
        if let Some(earlier) = group.park_join(id, parked) {
            self.refuse_join(earlier, id, ErrorCode::CoordinatorLoadInProgress);
        }
    }

    /// A static member came back without its member id: it gets the new id `id` in the place of `holder`, and
    /// whoever still uses the old one is fenced. If the group need not choose another protocol because of it,
    /// there is no rebalance: it goes on with the assignment it had.
    fn return_of_static(&mut self, group: &mut Classic, holder: &Arc<str>, id: Arc<str>, join: Join<'_>) {
        let leader = group.leader.clone();
        self.end_session(group, holder);
        let (joining, syncing) = group.rename(holder, &id);
        if let Some(parked) = joining {
            self.refuse_join(parked, holder, ErrorCode::FencedInstanceId);
        }
        if let Some(token) = syncing {
            self.reply(token, crate::answer::sync_error(ErrorCode::FencedInstanceId));
        }
        let generation = group.generation;
        let member = group.expect_member(&id);
        let before = Renamed {
            generation,
            old: holder.clone(),
            new: id.clone(),
            leader,
            protocols: member.protocols.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
        };
        let instance = join.instance.as_deref().unwrap_or_default();
        let reason = join.reason(&format!("static member {id} with instance id {instance} came back"));
        group.update(&id, join.protocols, join.rebalance_timeout_ms, join.session_timeout_ms);
        self.park_join(group, &id, join.parked);
        self.renew_session(group, &id);
        match group.state {
            State::Stable if group.protocol_name.as_deref() == Some(&*group.select_protocol()) => {
                let assignments =
                    |id: &str| group.member(id).map(|m| m.assignment.clone()).unwrap_or_default();
                let record = record::group(group, assignments);
                self.append_group(group, vec![record], Then::Renamed(Box::new(before)));
            }
            // The leader may have been told of the old id already, and would assign to that one.
            State::Stable | State::CompletingRebalance => drop(self.prepare_rebalance(group, reason)),
            State::PreparingRebalance => drop(self.complete_if_everyone_joined(group)),
            State::Empty => panic!("GROUPS-21 the empty group {} has a static member", group.id),
        }
    }

    /// The new id of a static member is stored, or could not be stored. If the group has begun a rebalance in
    /// the meantime, that answers the join and stores the id.
    pub(super) fn static_returned(
        &mut self,
        group: &mut Classic,
        renamed: Renamed,
        outcome: Result<(), ErrorCode>,
    ) {
        let Renamed { old, new, leader, .. } = renamed;
        let is_same = group.state == State::Stable && group.generation == renamed.generation;
        if !is_same || group.member(&new).is_none() {
            return;
        }
        let Some(parked) = group.take_join(&new) else { return };
        let leader = leader.as_deref().unwrap_or("").to_owned();
        if let Err(error) = outcome {
            group.update(&new, renamed.protocols, renamed.rebalance_timeout_ms, renamed.session_timeout_ms);
            self.end_session(group, &new);
            let (_, syncing) = group.rename(&new, &old);
            if let Some(token) = syncing {
                self.reply(token, crate::answer::sync_error(ErrorCode::UnknownMemberId));
            }
            self.renew_session(group, &old);
            let response = JoinGroupResponse {
                error_code: error.code(),
                leader,
                members: Vec::new(),
                ..self.current_generation(group, "")
            };
            return self.reply_join(parked, response);
        }
        let mut response = self.current_generation(group, &new);
        if parked.api_version >= SKIP_ASSIGNMENT_FROM {
            response.skip_assignment = group.is_leader(&new);
        } else {
            // Named as its own leader it would assign, and its assignment would be ignored: the group is
            // stable. So it is told of the leader that was, which it does not recognize as itself.
            response.leader = leader;
            response.members = Vec::new();
        }
        self.reply_join(parked, response);
        self.renew_session(group, &new);
    }
}
