//! Answers to this node's own requests, one file per family.

mod election;
mod fetch;
mod snapshot;
mod voters;

use crate::message::Leader;
use crate::node::Node;
use crate::{Endpoints, Fault, Millis, Notice, Response};

/// What the common rules leave to do with an answer.
pub(crate) enum Common {
    /// Nothing more; the flag says whether the peer behaved (else it gets a pause).
    Done(bool),
    /// The answer itself is to be looked at.
    Continue,
}

impl Node {
    /// The answer to an [`crate::Effect::Send`], or `None` when none came (refused connection, broken
    /// connection, no API in common). Answers that are no longer waited for are ignored.
    pub fn handle_response(&mut self, now: Millis, correlation: u64, response: Option<Response>) {
        if let Some(peer) = self.connections.expected_from(correlation) {
            let well = self.take_response(now, peer, response);
            self.connections.answered(correlation, well, now);
        }
        self.drive(now);
    }

    fn take_response(&mut self, now: Millis, peer: i32, response: Option<Response>) -> bool {
        match response {
            None => {
                self.new_voter_answered(now, peer, None);
                false
            }
            Some(Response::Refused(fault)) => self.refused(now, peer, fault),
            Some(Response::Vote(vote)) => self.vote_answered(now, peer, vote),
            Some(Response::BeginQuorumEpoch(begin)) => self.epoch_answered(now, peer, begin, false),
            Some(Response::EndQuorumEpoch(end)) => self.epoch_answered(now, peer, end, true),
            Some(Response::Fetch(fetch)) => self.fetch_answered(now, peer, fetch),
            Some(Response::FetchSnapshot(fetch)) => self.snapshot_answered(now, peer, fetch),
            Some(Response::AddVoter(change)) => self.join_answered(now, peer, change),
            Some(Response::RemoveVoter(change)) => self.join_answered(now, peer, change),
            Some(Response::UpdateVoter(update)) => self.update_answered(now, peer, update),
            Some(Response::ApiVersions(versions)) => self.new_voter_answered(now, peer, Some(versions)),
            Some(Response::DescribeQuorum(_)) => self.unexpected(peer, Fault::Other),
        }
    }

    fn refused(&mut self, now: Millis, peer: i32, fault: Fault) -> bool {
        match fault {
            // A voter older than pre-votes: run at once, as before KIP-996.
            Fault::UnsupportedVersion if matches!(self.role, crate::Role::Prospective(_)) => {
                self.become_candidate(now);
                true
            }
            Fault::BrokerNotAvailable => false,
            fault => self.unexpected(peer, fault),
        }
    }

    pub(crate) fn unexpected(&mut self, peer: i32, fault: Fault) -> bool {
        self.notice(Notice::UnexpectedError { peer, code: fault.code() });
        false
    }

    /// What every answer may bring: news of an epoch or a leader, or a reason to stop here.
    pub(crate) fn common(&mut self, now: Millis, peer: i32, error: Fault, leader: &Leader) -> Common {
        let endpoints = match (leader.id, &leader.at) {
            (Some(_), Some(at)) => Endpoints::single(&self.config.listener, at.clone()),
            (Some(id), None) => self.voters().endpoints(id),
            (None, _) => Endpoints::empty(),
        };
        if leader.epoch < self.epoch || error == Fault::UnknownLeaderEpoch {
            return Common::Done(error.is_none());
        }
        let stale_view = matches!(error, Fault::FencedLeaderEpoch | Fault::NotLeaderOrFollower);
        let news = leader.epoch > self.epoch || stale_view;
        let finds_leader = leader.id.is_some() && self.leader().is_none();
        if news || finds_leader {
            return match self.adopt(now, leader.id, leader.epoch, endpoints) {
                Ok(_) if !news && error.is_none() => Common::Continue,
                // A node that is not the leader and knows no better is not asked again at once.
                Ok(changed) => Common::Done(changed),
                Err(_) => Common::Done(false),
            };
        }
        match error {
            Fault::BrokerNotAvailable => Common::Done(false),
            // The voter set is behind, or two nodes share an id: there is nobody else to send to.
            Fault::InvalidVoterKey => Common::Done(false),
            Fault::InvalidRequest => Common::Done(self.unexpected(peer, error)),
            _ => Common::Continue,
        }
    }
}
