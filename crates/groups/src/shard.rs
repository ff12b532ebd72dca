//! One partition's groups and offsets: the doors of the machine, and what all its rooms share.

mod admin;
mod commit;
mod desk;
mod expiry;
mod fetch;
mod join;
mod leave;
mod rebalance;
mod replay;
mod sync;
mod transaction;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::list_groups_response::ListGroupsResponse;
use ottla_records::mutant;

use crate::answer;
use crate::api::{Client, Effect, Request, Response, Token};
use crate::classic::Classic;
use crate::config::Config;
use crate::foreign::Foreign;
use crate::member::Parked;
use crate::offsets::Offsets;
use crate::timers::Timer;
use desk::Desk;
use fetch::WaitingFetch;
pub use replay::Logged;

/// A group of one protocol or another.
#[derive(Debug, Clone)]
pub(crate) enum Group {
    Classic(Box<Classic>),
    Foreign(Box<Foreign>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading,
    Active,
    Unloaded,
}

/// The coordinator of the groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Shard {
    groups: BTreeMap<Arc<str>, Group>,
    offsets: Offsets,
    desk: Desk,
    phase: Phase,
    incarnations: u64,
    fetches: VecDeque<WaitingFetch>,
}

impl Shard {
    /// A shard that is still to be loaded: until [`Shard::loaded`] it answers COORDINATOR_LOAD_IN_PROGRESS.
    pub fn new(config: Config) -> Shard {
        Shard {
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            desk: Desk::new(config),
            phase: Phase::Loading,
            incarnations: 0,
            fetches: VecDeque::new(),
        }
    }

    /// The next thing to do; `None` when everything is done that can be done now.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.desk.effects.pop_front()
    }

    /// When [`Shard::tick`] has something to do; a moment that has passed means now.
    pub fn next_deadline(&self) -> Option<i64> {
        self.desk.timers.next_deadline()
    }

    /// Says what the wall clock shows (milliseconds since 1970) while the caller's clock shows `now_ms`; until then the
    /// two are taken for one.
    ///
    /// Deadlines (sessions, rebalances, waiting answers) go by the `now_ms` of the calls, which should come from a
    /// clock that never jumps. What is stored in records, or compared with what is stored there (commits, retention),
    /// goes by the wall clock.
    pub fn set_wall_clock(&mut self, now_ms: i64, wall_ms: i64) {
        self.desk.wall_ahead_ms = wall_ms.saturating_sub(now_ms);
    }

    /// Takes in a request. It is answered by exactly one [`Effect::Reply`] with its `token`: now, or when its
    /// records are committed, or (JoinGroup, SyncGroup) when the group has come that far.
    ///
    /// Deadlines that have passed do not go off in here. A caller that was late hands in the requests that
    /// piled up first and ticks then, so that members whose heartbeats were on their way live on.
    pub fn handle(&mut self, now_ms: i64, client: Client<'_>, token: Token, request: Request) {
        self.desk.now_ms = now_ms;
        if let Some(response) = self.refusal(client.api_version, &request) {
            self.desk.reply(token, response);
            return;
        }
        match request {
            Request::JoinGroup { request, fresh } => self.join(client, token, request, fresh),
            Request::SyncGroup(request) => self.sync(token, request),
            Request::Heartbeat(request) => self.heartbeat(token, &request),
            Request::LeaveGroup(request) => self.leave(client.api_version, token, request),
            Request::OffsetCommit(request) => self.commit(client.api_version, token, request),
            Request::TxnOffsetCommit { request, guard } => self.commit_in_transaction(token, request, guard),
            Request::EndTransaction { producer, marker } => self.write_marker(token, producer, marker),
            Request::OffsetFetch { group, require_stable } => {
                self.fetch(client.api_version, token, group, require_stable);
            }
            Request::OffsetDelete(request) => self.delete_offsets(token, request),
            Request::DescribeGroups(groups) => self.describe(client.api_version, token, groups),
            Request::ListGroups(request) => self.list(token, &request),
            Request::DeleteGroups(groups) => self.delete_groups(token, groups),
        }
    }

    /// What a request is answered with before anything is looked up: it cannot be right, or this shard has
    /// nothing to say.
    fn refusal(&self, api_version: i16, request: &Request) -> Option<Response> {
        self.mistake(api_version, request).or_else(|| self.absence(api_version, request))
    }

    fn mistake(&self, api_version: i16, request: &Request) -> Option<Response> {
        let group = match request {
            Request::JoinGroup { request, .. } => {
                let shortest = self.desk.config.min_session_timeout_ms;
                let longest = self.desk.config.max_session_timeout_ms;
                let error = if request.group_id.is_empty() {
                    ErrorCode::InvalidGroupId
                } else if !(shortest..=longest).contains(&request.session_timeout_ms) {
                    ErrorCode::InvalidSessionTimeout
                } else {
                    return None;
                };
                let parked = Parked { token: 0, api_version };
                return Some(answer::join(parked, answer::join_error(&request.member_id, error)));
            }
            Request::SyncGroup(request) => {
                if api_version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
                    return Some(answer::sync_error(ErrorCode::InconsistentGroupProtocol));
                }
                &request.group_id
            }
            Request::Heartbeat(request) => &request.group_id,
            Request::LeaveGroup(request) => &request.group_id,
            Request::OffsetDelete(request) => &request.group_id,
            Request::TxnOffsetCommit { request, .. } => &request.group_id,
            // For the others the empty id is a group like any other: old consumers and tools use it.
            _ => return None,
        };
        group.is_empty().then(|| answer::refusal(request, api_version, ErrorCode::InvalidGroupId))
    }

    fn absence(&self, api_version: i16, request: &Request) -> Option<Response> {
        match (self.phase, request) {
            (Phase::Active, _) => None,
            // Nobody is thrown out because the coordinator is still reading.
            (Phase::Loading, Request::Heartbeat(_)) => Some(answer::heartbeat(ErrorCode::None)),
            (Phase::Loading, _) => {
                Some(answer::refusal(request, api_version, ErrorCode::CoordinatorLoadInProgress))
            }
            // The list of all groups is put together from many shards; one that has moved adds nothing.
            (Phase::Unloaded, Request::ListGroups(_)) => {
                Some(Response::ListGroups(ListGroupsResponse::default()))
            }
            (Phase::Unloaded, _) => Some(answer::refusal(request, api_version, ErrorCode::NotCoordinator)),
        }
    }

    /// Lets go off what is due at `now_ms`.
    pub fn tick(&mut self, now_ms: i64) {
        self.desk.now_ms = now_ms;
        while let Some(timer) = self.desk.timers.pop(now_ms) {
            match timer {
                Timer::Session { group, member } => self.with_classic(&group, |desk, group| {
                    desk.session_over(group, &member);
                }),
                Timer::Join { group } => self.with_classic(&group, Desk::join_time_over),
                Timer::Sync { group } => self.with_classic(&group, Desk::sync_time_over),
                Timer::Write { append } => self.write_time_over(append),
                Timer::Fetch { token } => self.fetch_time_over(token),
                Timer::Expiry => self.expire(),
            }
        }
    }

    fn with_classic(&mut self, id: &str, act: impl FnOnce(&mut Desk, &mut Classic)) {
        if let Some(Group::Classic(group)) = self.groups.get_mut(id) {
            act(&mut self.desk, group);
        }
    }

    /// The classic group of this id and incarnation, if it is still there.
    fn incarnation(&mut self, id: &str, incarnation: u64) -> Option<&mut Classic> {
        match self.groups.get_mut(id) {
            Some(Group::Classic(group)) if group.incarnation == incarnation => Some(group),
            _ => None,
        }
    }

    fn create(&mut self, id: &str) -> &mut Classic {
        let id: Arc<str> = id.into();
        self.incarnations += 1;
        let group = Classic::new(id.clone(), self.incarnations, self.desk.wall_ms());
        let group = Group::Classic(Box::new(group));
        self.groups.insert(id.clone(), group);
        match self.groups.get_mut(&id) {
            Some(Group::Classic(group)) => group,
            _ => unreachable!("it was just inserted"),
        }
    }

    /// The log has been read to its end: sessions of all members begin now.
    pub fn loaded(&mut self, now_ms: i64) {
        assert_eq!(self.phase, Phase::Loading, "GROUPS-18 a shard is loaded once");
        self.phase = Phase::Active;
        self.desk.now_ms = now_ms;
        for id in self.offsets.group_ids() {
            self.ensure_group(&id);
        }
        for group in self.groups.values_mut() {
            let Group::Classic(group) = group else { continue };
            for id in group.member_ids() {
                self.desk.renew_session(group, &id);
            }
            if group.member_count() > self.desk.config.max_size {
                let reason =
                    format!("the loaded group has {} members, over group.max.size", group.member_count());
                self.desk.prepare_rebalance(group, reason);
            }
        }
        self.desk.plan_expiry();
    }

    /// The partition is lost: everybody who waits is told NOT_COORDINATOR, and everything is forgotten.
    /// Outcomes of appends that arrive later are ignored.
    pub fn unload(&mut self) {
        self.phase = Phase::Unloaded;
        let error = ErrorCode::NotCoordinator;
        for group in std::mem::take(&mut self.groups).into_values() {
            let Group::Classic(mut group) = group else { continue };
            for id in group.member_ids() {
                if let Some(member) = group.remove(&id) {
                    self.desk.dismiss(&member, &id, error);
                }
            }
        }
        for write in std::mem::take(&mut self.desk.writes).into_values() {
            for (token, response) in write.replies {
                let answer = match mutant::is("lost-lead-stores") {
                    true => response,
                    false => answer::spoiled(response, error),
                };
                self.desk.reply(token, answer);
            }
        }
        for fetch in std::mem::take(&mut self.fetches) {
            self.refuse_fetch(&fetch, error);
        }
        self.desk.timers.clear();
        self.offsets = Offsets::default();
    }

    /// Number of groups, and of committed offsets, for metrics.
    pub fn size(&self) -> (usize, usize) {
        (self.groups.len(), self.offsets.len())
    }
}
