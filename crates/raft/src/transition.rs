//! From role to role. Every durable step is persisted before anything else is said.

use std::mem;

use ottla_records::ids::LeaderEpoch;
use ottla_records::mutant;

use crate::message::{ChangeResponse, Response};
use crate::node::Node;
use crate::role::{
    Candidate, EARLY_STEP_MS, Follower, Leader, Prospective, Resigned, Role, Tally, Unattached,
};
use crate::watermark::Progress;
use crate::{
    Body, Control, Effect, Election, Endpoints, Fault, LeaderAndEpoch, Millis, NEVER, ReplicaKey, invariants,
};

impl Node {
    /// Picks the role to start in from `quorum-state` (KIP-595, as amended by KIP-996).
    pub(crate) fn restore_role(&mut self, election: Option<Election>, now: Millis) {
        let log_epoch = self.log.last_epoch();
        let stored = election.filter(|stored| stored.epoch >= log_epoch && !mutant::is("epoch-forgotten"));
        let epoch = stored.as_ref().map_or(log_epoch, |stored| stored.epoch);
        let (leader, voted) = stored.map_or((None, None), |stored| (stored.leader, stored.voted));
        self.epoch = epoch;
        let local = self.key();
        let election_at = self.election_deadline(now);
        if leader == Some(local.id) && !mutant::is("resumes-lead") {
            // It led this epoch: it must neither vote in it nor use its offsets again.
            let unacknowledged = self.voters().ids().filter(|id| *id != local.id).collect();
            self.role = Role::Resigned(Resigned { unacknowledged, successors: Vec::new(), election_at });
        } else if (voted.is_some_and(|voted| voted.covers(&local)) || leader == Some(local.id))
            && self.is_voter()
        {
            let tally = Tally::new(self.voters(), local.id);
            self.role = Role::Candidate(Candidate { tally, election_at });
        } else {
            let endpoints = leader.map(|id| self.voters().endpoints(id)).unwrap_or_default();
            self.role = match leader {
                Some(leader) if !endpoints.is_empty() => self.new_follower(now, leader, endpoints, voted),
                _ => {
                    let election_at = self.first_election(now, election_at);
                    Role::Unattached(Unattached { leader, voted, election_at })
                }
            };
        }
        self.persist();
        self.announce_leader();
        if self.is_only_voter() && !matches!(self.role, Role::Candidate(_)) {
            self.become_prospective(now);
        } else if let Role::Candidate(role) = &self.role
            && role.tally.is_won()
        {
            self.become_leader(now);
        }
    }

    fn persist(&mut self) {
        self.effects.push_back(Effect::PersistElection(self.election()));
    }

    /// When a node that begins without a leader runs. Nothing is known yet of a leader whose time would have to run
    /// out: if there is one, the voters that hear from it refuse the pre-vote, and name it. So those who begin
    /// together need not wait for each other's timeouts. Not in Kafka.
    fn first_election(&mut self, now: Millis, patient: Millis) -> Millis {
        if !self.config.early_start {
            return patient;
        }
        // Time to find out who leads.
        now + EARLY_STEP_MS + self.early_turn(None)
    }

    /// A moment in [T, 2T) from now.
    fn election_deadline(&mut self, now: Millis) -> Millis {
        let timeout = self.config.election_timeout_ms;
        now + timeout + self.random.below(timeout)
    }

    fn new_follower(
        &self,
        now: Millis,
        leader: i32,
        endpoints: Endpoints,
        voted: Option<ReplicaKey>,
    ) -> Role {
        Role::Follower(Follower {
            leader,
            endpoints,
            voted,
            fetch_until: now + self.config.fetch_timeout_ms,
            update_voter_at: now + self.config.fetch_timeout_ms,
            has_fetched: false,
            has_updated_leader: false,
            download: None,
        })
    }

    /// Puts the new role in place, persists it if asked, and lets go of what the old one held.
    fn enter(&mut self, epoch: LeaderEpoch, role: Role, durable: bool) {
        invariants::epoch_grows(self.epoch, epoch);
        self.transitions += 1;
        self.epoch = epoch;
        let old = mem::replace(&mut self.role, role);
        self.connections.reset_all();
        if durable {
            self.persist();
        }
        match old {
            Role::Leader(old) => self.dismiss_leader(*old),
            Role::Follower(Follower { download: Some(download), .. }) if !download.installing => {
                self.effects.push_back(Effect::AbandonSnapshot { id: download.id });
            }
            _ => {}
        }
        self.announce_leader();
    }

    /// Nobody who waits for a leader is left waiting when it is one no more.
    fn dismiss_leader(&mut self, old: Leader) {
        for parked in old.parked {
            let response = self.fetch_refusal(Fault::NotLeaderOrFollower, &parked.listener);
            self.reply(parked.request, response);
        }
        let refusal = || ChangeResponse { error: Fault::NotLeaderOrFollower, message: None };
        if let Some(request) = old.adding.and_then(|adding| adding.request) {
            self.reply(request, Response::AddVoter(refusal()));
        }
        if let Some(removing) = old.removing {
            self.reply(removing.request, Response::RemoveVoter(refusal()));
        }
    }

    fn announce_leader(&mut self) {
        let epoch_start = match &self.role {
            Role::Leader(role) => Some(role.epoch_start),
            _ => None,
        };
        // A resigned leader has not been replaced: to the state machine it is gone all the same.
        let leader = if matches!(self.role, Role::Resigned(_)) { None } else { self.leader() };
        let current = LeaderAndEpoch { leader, epoch: self.epoch, epoch_start };
        if current != self.announced {
            self.announced = current;
            self.effects.push_back(Effect::LeaderChanged(current));
        }
    }

    /// A newer epoch without a reachable leader, or a pre-election that came to nothing.
    pub(crate) fn become_unattached(&mut self, now: Millis, epoch: LeaderEpoch, leader: Option<i32>) {
        let inherited = match &self.role {
            Role::Unattached(role) => Some(role.election_at),
            Role::Candidate(role) => Some(role.election_at),
            Role::Resigned(role) => Some(role.election_at),
            Role::Prospective(role) if !role.tally.is_lost() => Some(role.election_at),
            _ => None,
        };
        let election_at = match inherited {
            // Only if nobody else manages to: a removed voter is the last resort.
            _ if !self.is_voter() && self.may_run() => {
                self.election_deadline(now) + 4 * self.config.election_timeout_ms
            }
            _ if !self.is_voter() => NEVER,
            Some(at) if at != NEVER => at.max(now),
            _ => self.election_deadline(now),
        };
        let voted = if epoch == self.epoch { self.role.voted(self.key()) } else { None };
        self.enter(epoch, Role::Unattached(Unattached { leader, voted, election_at }), true);
    }

    /// The leader of an epoch and its address are known.
    pub(crate) fn become_follower(
        &mut self,
        now: Millis,
        epoch: LeaderEpoch,
        leader: i32,
        endpoints: Endpoints,
    ) {
        invariants::not_leading(self.is_leader() && epoch == self.epoch, "follow in its own epoch");
        let voted = if epoch == self.epoch { self.role.voted(self.key()) } else { None };
        let role = self.new_follower(now, leader, endpoints, voted);
        self.enter(epoch, role, true);
    }

    /// Starts a pre-election in the current epoch.
    pub(crate) fn become_prospective(&mut self, now: Millis) {
        // A leader it might return to, if it cannot win; never itself, out of a former life.
        let leader = self.leader().filter(|leader| *leader != self.config.node_id);
        let voted = self.role.voted(self.key());
        let role = Prospective {
            leader,
            leader_endpoints: self.role.leader_endpoints(&self.config.endpoints),
            voted,
            tally: Tally::new(self.voters(), self.config.node_id),
            election_at: self.election_deadline(now),
        };
        let won = role.tally.is_won();
        self.enter(self.epoch, Role::Prospective(role), false);
        if won {
            self.become_candidate(now);
        }
    }

    /// Raises the epoch and votes for itself; on disk before the first request leaves.
    pub(crate) fn become_candidate(&mut self, now: Millis) {
        let tally = Tally::new(self.voters(), self.config.node_id);
        let won = tally.is_won();
        let election_at = self.election_deadline(now);
        self.enter(self.epoch + 1, Role::Candidate(Candidate { tally, election_at }), true);
        if won {
            self.become_leader(now);
        }
    }

    /// Takes the lead of its epoch and writes its first batch.
    pub(crate) fn become_leader(&mut self, now: Millis) {
        let Role::Candidate(candidate) = &self.role else { return };
        let granting = candidate.tally.granting();
        let (local, set, own) = (self.config.node_id, self.voters().clone(), self.config.voter());
        let voters = set
            .iter()
            .map(|voter| (voter.key.id, Progress::unknown(voter.key, voter.endpoints.clone())))
            .collect();
        let volatile_voters =
            if self.kraft_version() == 0 { set.with_updated_by_id(own.clone()) } else { None };
        let leader = Leader {
            epoch_start: self.log.end(),
            granting: granting.clone(),
            high_watermark: None,
            voters,
            observers: Default::default(),
            heard: Default::default(),
            check_quorum_at: now + self.check_quorum_timeout(),
            begin_at: now,
            adding: None,
            removing: None,
            volatile_voters,
            upgrading: None,
            resign_requested: false,
            parked: Vec::new(),
        };
        self.enter(self.epoch, Role::Leader(Box::new(leader)), true);
        let mut first = vec![Control::LeaderChange { leader: local, voters: set.ids().collect(), granting }];
        // The set of the bootstrap checkpoint enters the log here, and so does news about the leader itself.
        if self.kraft_version() >= 1 && (self.voters_offset() == Some(-1) || set.needs_update(&own)) {
            first.push(Control::KraftVersion(self.kraft_version()));
            first.push(Control::Voters(set.with_updated(own).unwrap_or(set)));
        }
        self.append(now, Body::Control(first));
    }

    /// Gives up the lead without giving up the epoch. Nothing is written: on disk it stays "leader is me".
    pub(crate) fn become_resigned(&mut self, now: Millis) {
        let (local, key) = (self.config.node_id, self.key());
        let Role::Leader(leader) = &self.role else { return };
        let successors = leader.successors(key);
        let unacknowledged = self.voters().ids().filter(|id| *id != local).collect();
        let election_at = self.election_deadline(now);
        self.enter(self.epoch, Role::Resigned(Resigned { unacknowledged, successors, election_at }), false);
    }
}
