//! Follower: knows the leader and fetches from it. As a voter it runs when fetching stops working.

use crate::message::{
    AddVoterRequest, FetchRequest, FetchSnapshotRequest, RemoveVoterRequest, UpdateVoterRequest,
};
use crate::node::Node;
use crate::role::Role;
use crate::{Destination, Endpoints, Millis, NEVER, ReplicaKey, Request, SnapshotId};

/// Between the early runs of two voters whose leader is gone: a pre-vote and a vote with their writes fit in.
pub(crate) const EARLY_STEP_MS: Millis = 40;

/// A snapshot on its way here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Download {
    /// Which.
    pub id: SnapshotId,
    /// Bytes that are here.
    pub position: u64,
    /// All bytes are here and the runner is putting it in place.
    pub installing: bool,
}

/// What a follower remembers.
#[derive(Clone, Debug)]
pub struct Follower {
    /// The leader.
    pub leader: i32,
    /// Where it is.
    pub endpoints: Endpoints,
    /// Whom this node voted for in the epoch.
    pub voted: Option<ReplicaKey>,
    /// When it gives the leader up.
    pub fetch_until: Millis,
    /// When it next looks whether its own voter entry is right.
    pub update_voter_at: Millis,
    /// Has a fetch from this leader succeeded?
    pub has_fetched: bool,
    /// Has this leader been told our directory and versions (`kraft.version` 0)?
    pub has_updated_leader: bool,
    /// Snapshot being fetched.
    pub download: Option<Download>,
}

impl Node {
    /// A peer's endpoint refuses connections: its process is gone, or not there yet. A follower of that peer
    /// stops hearing from it (so it grants pre-votes) and runs soon instead of waiting for the fetch
    /// timeout. The voters do so one after the other, in the order of their ids, each a little at random, so
    /// that they do not split the votes. It is only a hint: should the leader live, the pre-vote of the
    /// others, who hear from it, keeps everything as it is.
    pub fn handle_peer_refused(&mut self, now: Millis, peer: i32) {
        let wait = self.early_turn(Some(peer));
        let longest = self.voters().len() as Millis * EARLY_STEP_MS;
        if self.config.early_election
            && let Role::Follower(role) = &mut self.role
            && role.leader == peer
        {
            role.has_fetched = false;
            // Hints that follow on the first do not put it off, nor bring it forward.
            if role.fetch_until > now + longest {
                role.fetch_until = now + wait;
            }
        }
        self.drive(now);
    }

    /// How long this voter lets those with lower ids run first; `gone` does not.
    pub(crate) fn early_turn(&mut self, gone: Option<i32>) -> Millis {
        let own = self.config.node_id;
        let rank = self.voters().ids().filter(|id| Some(*id) != gone && *id < own).count() as Millis;
        rank * EARLY_STEP_MS + self.random.below(EARLY_STEP_MS / 2)
    }

    pub(crate) fn drive_follower(&mut self, now: Millis) -> Millis {
        let Role::Follower(role) = &self.role else { return now };
        let (fetch_until, update_at) = (role.fetch_until, role.update_voter_at);
        if self.is_stopping() {
            return self.stop_deadline();
        }
        if !self.is_voter() {
            return match self.join_request() {
                Some(request) if now >= update_at => self.send_voter_upkeep(now, request),
                Some(_) => self.fetch_from_best(now).min(update_at),
                None => self.fetch_from_best(now),
            };
        }
        if now >= fetch_until {
            self.become_prospective(now);
            return now;
        }
        let wake = match self.update_request() {
            Some(request) if now >= update_at => self.send_voter_upkeep(now, request),
            Some(_) => self.fetch_from_best(now).min(update_at),
            None => {
                if now >= update_at {
                    self.postpone_voter_upkeep(now);
                }
                self.fetch_from_best(now)
            }
        };
        wake.min(fetch_until)
    }

    /// UpdateRaftVoter, if the leader should hear how this voter really is.
    fn update_request(&self) -> Option<Request> {
        let Role::Follower(role) = &self.role else { return None };
        let own = self.config.voter();
        let wanted = if self.kraft_version() >= 1 {
            self.voters().needs_update(&own)
        } else {
            !role.has_updated_leader
        };
        wanted.then(|| {
            Request::UpdateVoter(UpdateVoterRequest {
                cluster_id: Some(self.config.cluster_id.clone()),
                epoch: self.epoch,
                voter: own,
            })
        })
    }

    /// AddRaftVoter or RemoveRaftVoter, if this observer has to become a voter by itself.
    fn join_request(&self) -> Option<Request> {
        if !self.config.auto_join || !self.config.can_become_voter || self.kraft_version() < 1 {
            return None;
        }
        let cluster_id = Some(self.config.cluster_id.clone());
        Some(match self.voters().get(self.config.node_id) {
            // The same node with the directory it had before: that one has to go first.
            Some(old) => Request::RemoveVoter(RemoveVoterRequest { cluster_id, voter: old.key }),
            None => Request::AddVoter(AddVoterRequest {
                cluster_id,
                timeout_ms: self.config.request_timeout_ms.min(i64::from(i32::MAX)) as i32,
                voter: self.config.key(),
                endpoints: self.config.endpoints.clone(),
                ack_when_committed: false,
            }),
        })
    }

    fn send_voter_upkeep(&mut self, now: Millis, request: Request) -> Millis {
        let Some(leader) = self.leader_destination() else { return NEVER };
        let (sent, wake) = self.try_send(now, leader, |_| request);
        if sent {
            self.postpone_voter_upkeep(now);
        }
        wake
    }

    pub(crate) fn postpone_voter_upkeep(&mut self, now: Millis) {
        let period = self.config.fetch_timeout_ms;
        if let Role::Follower(role) = &mut self.role {
            role.update_voter_at = now + period;
        }
    }

    pub(crate) fn leader_destination(&self) -> Option<Destination> {
        let Role::Follower(role) = &self.role else { return None };
        let at = role.endpoints.get(&self.config.listener)?;
        Some(Destination { id: role.leader, at: at.clone() })
    }

    /// Fetches from the leader; from anyone else when the leader does not answer.
    fn fetch_from_best(&mut self, now: Millis) -> Millis {
        // What was fetched last must be on disk, and a whole snapshot in place, before we say that we
        // have it: the offset in a Fetch is a promise.
        let Role::Follower(role) = &self.role else { return now };
        if role.download.is_some_and(|download| download.installing) || self.is_flush_owed() {
            return NEVER;
        }
        let Some(leader) = self.leader_destination() else { return self.fetch_from_bootstrap(now) };
        if self.connections.has_timed_out(leader.id, now) {
            self.connections.reset(leader.id);
            return self.fetch_from_bootstrap(now);
        }
        if self.connections.is_backing_off(leader.id, now) {
            return self.fetch_from_bootstrap(now).min(self.connections.ready_at(leader.id));
        }
        if let Some(until) = self.connections.in_flight_until(now) {
            return until;
        }
        let (_, wake) = self.try_send(now, leader, Node::fetch_request);
        wake
    }

    /// Asks one of the bootstrap servers: its answer, even an error, names the leader.
    pub(crate) fn fetch_from_bootstrap(&mut self, now: Millis) -> Millis {
        if self.is_flush_owed() {
            return NEVER;
        }
        let (own, listener) = (self.config.node_id, &self.config.listener);
        let voters = self.voters().clone();
        let known = voters.iter().filter(|voter| voter.key.id != own).filter_map(|voter| {
            Some(Destination { id: voter.key.id, at: voter.endpoints.get(listener)?.clone() })
        });
        match self.connections.bootstrap_server(now, &mut self.random, known) {
            Ok(server) => self.try_send(now, server, Node::plain_fetch_request).1,
            Err(wake) => wake,
        }
    }

    fn fetch_request(&self) -> Request {
        let Role::Follower(Follower { download: Some(download), .. }) = &self.role else {
            return self.plain_fetch_request();
        };
        Request::FetchSnapshot(FetchSnapshotRequest {
            cluster_id: Some(self.config.cluster_id.clone()),
            replica: self.config.key(),
            epoch: self.epoch,
            snapshot: download.id,
            position: download.position as i64,
            max_bytes: self.config.fetch_snapshot_max_bytes,
        })
    }

    fn plain_fetch_request(&self) -> Request {
        Request::Fetch(FetchRequest {
            cluster_id: Some(self.config.cluster_id.clone()),
            replica: self.config.key(),
            epoch: self.epoch,
            offset: self.log.end(),
            last_epoch: self.log.last_epoch(),
            high_watermark: self.high_watermark.unwrap_or(-1),
            max_wait_ms: self.config.fetch_max_wait_ms,
            max_bytes: self.config.fetch_max_bytes,
        })
    }
}
