//! Inbound requests, one file per family. Every request gets exactly one reply, now or later.

mod describe;
mod election;
mod fetch;
mod snapshot;
mod upgrade;
mod voters;

use ottla_records::ids::LeaderEpoch;

use crate::node::Node;
use crate::{Effect, Endpoints, Fault, Millis, Notice, ReplicaKey, Request, RequestId, Response};

impl Node {
    /// A peer, a client or a tool asks. `listener` is the one the request came in on: answers name the
    /// leader's address on it. The answer is an [`Effect::Reply`] with the same `request`.
    pub fn handle_request(&mut self, now: Millis, request: RequestId, listener: &str, body: Request) {
        match body {
            Request::Vote(vote) => self.serve_vote(now, request, listener, vote),
            Request::BeginQuorumEpoch(begin) => self.serve_begin(now, request, listener, begin),
            Request::EndQuorumEpoch(end) => self.serve_end(now, request, listener, end),
            Request::Fetch(fetch) => self.serve_fetch(now, request, listener, fetch),
            Request::FetchSnapshot(fetch) => self.serve_fetch_snapshot(now, request, listener, fetch),
            Request::DescribeQuorum => self.serve_describe(now, request, listener),
            Request::AddVoter(add) => self.serve_add_voter(now, request, add),
            Request::RemoveVoter(remove) => self.serve_remove_voter(now, request, remove),
            Request::UpdateVoter(update) => self.serve_update_voter(now, request, listener, update),
            Request::ApiVersions => self.reply(request, Response::Refused(Fault::InvalidRequest)),
        }
        self.drive(now);
    }

    /// The client of this request is gone; a parked fetch need not be answered any more.
    pub fn forget_request(&mut self, request: RequestId) {
        if let crate::Role::Leader(role) = &mut self.role {
            role.parked.retain(|parked| parked.request != request);
        }
    }

    pub(crate) fn reply(&mut self, request: RequestId, response: Response) {
        self.effects.push_back(Effect::Reply { request, response, read: None });
    }

    pub(crate) fn is_other_cluster(&self, cluster_id: &Option<String>) -> bool {
        cluster_id.as_ref().is_some_and(|id| *id != self.config.cluster_id)
    }

    /// Requests between voters: the sender's epoch must not be old.
    fn check_voter_request(&self, sender: i32, epoch: LeaderEpoch) -> Fault {
        if epoch < self.epoch {
            Fault::FencedLeaderEpoch
        } else if sender < 0 {
            Fault::InvalidRequest
        } else {
            Fault::None
        }
    }

    /// Requests to the leader: it must lead exactly this epoch and mean to stay.
    fn check_leader_request(&self, epoch: LeaderEpoch) -> Fault {
        if epoch < self.epoch {
            Fault::FencedLeaderEpoch
        } else if epoch > self.epoch {
            Fault::UnknownLeaderEpoch
        } else if !self.is_leader() {
            Fault::NotLeaderOrFollower
        } else if self.is_stopping() {
            Fault::BrokerNotAvailable
        } else {
            Fault::None
        }
    }

    /// Is the request meant for this replica, as far as it says?
    fn is_meant(&self, voter: &Option<ReplicaKey>) -> bool {
        voter.as_ref().is_none_or(|voter| voter.covers(&self.config.key()))
    }

    /// Could `leader` lead `epoch`, after all this node knows? Two leaders in one epoch cannot be.
    pub(crate) fn is_consistent(&self, leader: Option<i32>, epoch: LeaderEpoch) -> bool {
        match leader {
            None => true,
            Some(id) if id == self.config.node_id => epoch <= self.epoch && self.leader() == Some(id),
            Some(id) => epoch != self.epoch || self.leader().is_none_or(|known| known == id),
        }
    }

    /// Follows a newer epoch, or a leader (or an address of it) this node had not heard of.
    /// Returns whether that changed anything; a claim that cannot be is refused with a notice.
    pub(crate) fn adopt(
        &mut self,
        now: Millis,
        leader: Option<i32>,
        epoch: LeaderEpoch,
        endpoints: Endpoints,
    ) -> Result<bool, Fault> {
        if !self.is_consistent(leader, epoch) {
            let known = self.leader();
            self.notice(Notice::TwoLeaders { claimed: leader, known, epoch });
            return Err(Fault::InvalidRequest);
        }
        let known_addresses = self.role.leader_endpoints(&self.config.endpoints).len();
        match leader {
            Some(leader) if epoch > self.epoch => {
                if endpoints.is_empty() {
                    self.become_unattached(now, epoch, Some(leader));
                } else {
                    self.become_follower(now, epoch, leader, endpoints);
                }
            }
            None if epoch > self.epoch => self.become_unattached(now, epoch, None),
            Some(leader)
                if epoch == self.epoch
                    && leader != self.config.node_id
                    && endpoints.len() > if self.leader().is_some() { known_addresses } else { 0 } =>
            {
                self.become_follower(now, epoch, leader, endpoints);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
