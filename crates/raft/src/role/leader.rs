//! Leader: appends, answers fetches, moves the high watermark, and steps down when the quorum is silent.

use std::collections::{BTreeMap, BTreeSet};

use ottla_records::ids::Offset;
use ottla_records::mutant;

use crate::message::{BeginEpochRequest, FetchRequest};
use crate::node::Node;
use crate::role::Role;
use crate::watermark::{Progress, majority_offset};
use crate::{Effect, Endpoints, Millis, NEVER, Notice, ReplicaKey, Request, RequestId, VoterSet, invariants};

/// Observers that have not fetched for this long are forgotten (a constant of Kafka).
const OBSERVER_SESSION_MS: Millis = 300_000;
/// A would-be voter must have fetched within this time.
const CAUGHT_UP_WITHIN_MS: Millis = 3_600_000;

/// A Fetch that waits for something to answer with.
#[derive(Clone, Debug)]
pub struct ParkedFetch {
    /// Whom to answer.
    pub request: RequestId,
    /// Listener it came in on.
    pub listener: String,
    /// What was asked.
    pub fetch: FetchRequest,
    /// When an empty answer is due.
    pub until: Millis,
}

/// AddRaftVoter under way.
#[derive(Clone, Debug)]
pub struct Adding {
    /// Whom to answer; `None` once answered.
    pub request: Option<RequestId>,
    /// The new voter.
    pub voter: ReplicaKey,
    /// Where it listens.
    pub endpoints: Endpoints,
    /// Answer after commit?
    pub ack_when_committed: bool,
    /// Offset of the voters record, once appended.
    pub appended: Option<Offset>,
    /// When to give up.
    pub until: Millis,
}

/// RemoveRaftVoter under way.
#[derive(Clone, Debug)]
pub struct Removing {
    /// Whom to answer.
    pub request: RequestId,
    /// Offset of the voters record.
    pub appended: Offset,
    /// When to give up.
    pub until: Millis,
}

/// What a leader remembers.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Offset of this epoch's first record.
    pub epoch_start: Offset,
    /// Voters that elected it.
    pub granting: Vec<i32>,
    /// Unknown until a record of this epoch is committed.
    pub high_watermark: Option<Offset>,
    /// Voters by id, itself included while it is one.
    pub voters: BTreeMap<i32, Progress>,
    /// Everybody else who fetches.
    pub observers: BTreeMap<ReplicaKey, Progress>,
    /// Voters heard of since the check-quorum timer started.
    pub(crate) heard: BTreeSet<i32>,
    pub(crate) check_quorum_at: Millis,
    pub(crate) begin_at: Millis,
    /// One voter change at a time.
    pub adding: Option<Adding>,
    /// One voter change at a time.
    pub removing: Option<Removing>,
    /// At `kraft.version` 0: the static voters with what they said of themselves, needed to upgrade.
    pub volatile_voters: Option<VoterSet>,
    /// An upgrade of `kraft.version` was appended.
    pub upgrading: Option<i16>,
    /// Steps down at the next occasion.
    pub resign_requested: bool,
    pub(crate) parked: Vec<ParkedFetch>,
}

impl Leader {
    /// The replica's record, found among voters or observers; a new observer if it was unknown.
    pub(crate) fn progress(&mut self, key: ReplicaKey) -> &mut Progress {
        match self.voters.get(&key.id) {
            Some(voter) if voter.key.covers(&key) => self.voters.get_mut(&key.id).expect("looked up above"),
            _ => self.observers.entry(key).or_insert_with(|| Progress::unknown(key, Endpoints::empty())),
        }
    }

    pub(crate) fn is_voter(&self, key: &ReplicaKey) -> bool {
        self.voters.get(&key.id).is_some_and(|voter| voter.key.covers(key))
    }

    /// Follows a change of the voter set: voters become observers and the other way round, with what is
    /// known of them.
    pub(crate) fn sync_voters(&mut self, set: &VoterSet) {
        let mut old = std::mem::take(&mut self.voters);
        for voter in set.iter() {
            let known = match old.get(&voter.key.id) {
                Some(progress) if progress.key.covers(&voter.key) => old.remove(&voter.key.id),
                _ => self.observers.remove(&voter.key),
            };
            let mut progress = known.unwrap_or_else(|| Progress::unknown(voter.key, Endpoints::empty()));
            progress.key = voter.key;
            progress.endpoints = voter.endpoints.clone();
            self.voters.insert(voter.key.id, progress);
        }
        for (_, mut progress) in old {
            progress.endpoints = Endpoints::empty();
            self.observers.entry(progress.key).or_insert(progress);
        }
    }

    /// A voter fetched validly: the quorum is alive once a majority did.
    pub(crate) fn heard_from(&mut self, key: &ReplicaKey, local: i32, now: Millis, timeout: Millis) {
        if key.id != local && self.is_voter(key) {
            self.heard.insert(key.id);
        }
        let needed = self.voters.len() / 2 + 1 - usize::from(self.voters.contains_key(&local));
        if self.heard.len() >= needed {
            self.heard.clear();
            self.check_quorum_at = now + timeout;
        }
    }

    pub(crate) fn forget_silent_observers(&mut self, now: Millis, local: ReplicaKey) {
        self.observers.retain(|key, progress| {
            *key == local || progress.last_fetch.is_some_and(|at| now - at < OBSERVER_SESSION_MS)
        });
    }

    /// Has this observer been caught up once, and fetched within the hour?
    pub(crate) fn is_caught_up(&self, key: &ReplicaKey, now: Millis) -> bool {
        self.observers.get(key).is_some_and(|progress| {
            progress.last_caught_up.is_some()
                && progress.last_fetch.is_some_and(|at| at > now - CAUGHT_UP_WITHIN_MS)
        })
    }

    /// Voters other than `local`, best log first.
    pub(crate) fn successors(&self, local: ReplicaKey) -> Vec<ReplicaKey> {
        let mut others: Vec<&Progress> =
            self.voters.values().filter(|voter| !voter.key.covers(&local)).collect();
        others.sort_by_key(|voter| std::cmp::Reverse(voter.end_offset));
        others.into_iter().map(|voter| voter.key).collect()
    }
}

impl Node {
    /// 1.5 x the fetch timeout, as Kafka has it.
    pub(crate) fn check_quorum_timeout(&self) -> Millis {
        self.config.fetch_timeout_ms * 3 / 2
    }

    pub(crate) fn drive_leader(&mut self, now: Millis) -> Millis {
        let begin_period = self.config.fetch_timeout_ms / 2;
        let Role::Leader(role) = &mut self.role else { return now };
        let alone = role.voters.len() == 1 && role.voters.contains_key(&self.config.node_id);
        let quorum_lost = !alone && now >= role.check_quorum_at;
        if self.stopping.is_some() || role.resign_requested || quorum_lost {
            if quorum_lost {
                let silent_ms = self.check_quorum_timeout();
                self.notice(Notice::QuorumLost { silent_ms, epoch: self.epoch });
            }
            self.become_resigned(now);
            return now;
        }
        let mut wake = if alone { NEVER } else { role.check_quorum_at };
        if alone {
            role.begin_at = now;
        } else if now >= role.begin_at {
            role.begin_at = now + begin_period;
            self.announce(now, begin_period);
        }
        let Role::Leader(role) = &self.role else { return now };
        if !alone {
            wake = wake.min(role.begin_at);
        }
        self.answer_parked(now, |parked| parked.until <= now);
        self.expire_changes(now);
        let Role::Leader(role) = &self.role else { return now };
        wake = role.parked.iter().map(|parked| parked.until).fold(wake, Millis::min);
        wake = role.adding.iter().map(|adding| adding.until).fold(wake, Millis::min);
        role.removing.iter().map(|removing| removing.until).fold(wake, Millis::min)
    }

    /// BeginQuorumEpoch to the voters that have not fetched for a while.
    fn announce(&mut self, now: Millis, period: Millis) {
        let Role::Leader(role) = &self.role else { return };
        let local = self.config.node_id;
        let silent: Vec<ReplicaKey> = role
            .voters
            .values()
            .filter(|voter| voter.key.id != local && voter.last_fetch.is_none_or(|at| now - at >= period))
            .map(|voter| voter.key)
            .collect();
        for voter in silent {
            let request = BeginEpochRequest {
                cluster_id: Some(self.config.cluster_id.clone()),
                voter: Some(voter),
                leader_id: local,
                epoch: self.epoch,
                endpoints: self.config.endpoints.clone(),
            };
            self.send_to_voter(now, voter.id, Request::BeginQuorumEpoch(request));
        }
    }

    /// Recomputes the high watermark after a flush, a fetch or a change of voters.
    pub(crate) fn advance_watermark(&mut self, now: Millis) {
        let (local, flushed) = (self.config.key(), self.log.flushed());
        let Role::Leader(role) = &mut self.role else { return };
        role.progress(local).end_offset = Some(flushed);
        let observers = role.observers.values().filter(|_| mutant::is("count-observers"));
        let Some(mut reached) = majority_offset(role.voters.values().chain(observers)) else { return };
        if mutant::is("commit-before-majority") {
            reached = role.voters.values().filter_map(|voter| voter.end_offset).max().unwrap_or(reached);
        }
        // A record of this very epoch must be among the committed ones (Raft, 5.4.2). Falling values come
        // from changes of the voter set and mean nothing.
        let own_epoch = reached > role.epoch_start || mutant::is("commit-old-epoch");
        if !own_epoch || role.high_watermark.is_some_and(|known| reached <= known) {
            return;
        }
        if !mutant::is("commit-before-majority") && !mutant::is("count-observers") {
            invariants::majority_holds(reached, role.voters.values());
        }
        role.high_watermark = Some(reached);
        self.set_high_watermark(reached);
        self.changes_committed(now);
        self.answer_parked(now, |_| true);
    }

    /// Answers the parked fetches that `due` picks.
    pub(crate) fn answer_parked(&mut self, _now: Millis, due: impl Fn(&ParkedFetch) -> bool) {
        let Role::Leader(role) = &mut self.role else { return };
        let (ready, parked): (Vec<_>, Vec<_>) = role.parked.drain(..).partition(due);
        role.parked = parked;
        for fetch in ready {
            let (response, read) = self.fetch_answer(&fetch.fetch, &fetch.listener);
            self.effects.push_back(Effect::Reply { request: fetch.request, response, read });
        }
    }
}
