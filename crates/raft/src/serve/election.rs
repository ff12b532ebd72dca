//! Vote, BeginQuorumEpoch and EndQuorumEpoch.

use ottla_records::mutant;

use crate::message::{BeginEpochRequest, EndEpochRequest, EpochResponse, VoteRequest, VoteResponse};
use crate::node::Node;
use crate::role::{Prospective, Role, Unattached};
use crate::{Effect, Endpoints, Fault, Millis, ReplicaKey, RequestId, Response, invariants};

impl Node {
    pub(super) fn serve_vote(&mut self, now: Millis, request: RequestId, listener: &str, vote: VoteRequest) {
        if self.is_other_cluster(&vote.cluster_id) {
            return self.reply(request, Response::Refused(Fault::InconsistentClusterId));
        }
        let (error, granted) = match self.judge_vote(now, &vote) {
            Ok(granted) => (Fault::None, granted),
            Err(error) => (error, false),
        };
        let leader = self.leader_info(listener);
        self.reply(request, Response::Vote(VoteResponse { error, leader, granted }));
    }

    fn judge_vote(&mut self, now: Millis, vote: &VoteRequest) -> Result<bool, Fault> {
        // A standard candidate has raised its epoch past its log; a prospective one has not.
        let last_possible = if vote.pre_vote { vote.epoch } else { vote.epoch.saturating_sub(1) };
        if vote.end_offset < 0 || vote.last_epoch < 0 || vote.last_epoch > last_possible {
            return Err(Fault::InvalidRequest);
        }
        match self.check_voter_request(vote.candidate.id, vote.epoch) {
            Fault::None => {}
            fault => return Err(fault),
        }
        if vote.epoch > self.epoch {
            self.become_unattached(now, vote.epoch, None);
        }
        if !self.is_meant(&vote.voter) {
            return Err(Fault::InvalidVoterKey);
        }
        let up_to_date = self.log.is_behind_or_equal(vote.last_epoch, vote.end_offset);
        let up_to_date = up_to_date || mutant::is("vote-for-stale-log");
        let mut granted = self.role.grants(&vote.candidate, up_to_date, vote.pre_vote);
        granted |= mutant::is("vote-twice") && up_to_date && self.leader().is_none();
        if granted && !vote.pre_vote {
            self.cast_vote(now, vote.candidate);
        }
        Ok(granted)
    }

    /// Writes the vote down before the answer leaves, and gives the candidate a full election's time.
    fn cast_vote(&mut self, now: Millis, candidate: ReplicaKey) {
        let (epoch, is_voter) = (self.epoch, self.is_voter());
        let timeout = self.config.election_timeout_ms;
        let deadline = now + timeout + self.random.below(timeout);
        let (Role::Unattached(Unattached { voted, election_at, .. })
        | Role::Prospective(Prospective { voted, election_at, .. })) = &mut self.role
        else {
            return;
        };
        if voted.is_some() {
            return;
        }
        invariants::votes_once(*voted, candidate, epoch);
        *voted = Some(candidate);
        if is_voter {
            *election_at = deadline;
        }
        let election = self.election();
        if !mutant::is("vote-unwritten") {
            self.effects.push_back(Effect::PersistElection(election));
        }
    }

    /// Addresses a leader gave of itself, or else those of the voter set.
    fn addresses(&self, leader: i32, given: Endpoints) -> Endpoints {
        if given.is_empty() { self.voters().endpoints(leader) } else { given }
    }

    pub(super) fn serve_begin(
        &mut self,
        now: Millis,
        request: RequestId,
        listener: &str,
        begin: BeginEpochRequest,
    ) {
        if self.is_other_cluster(&begin.cluster_id) {
            return self.reply(request, Response::Refused(Fault::InconsistentClusterId));
        }
        let mut error = self.check_voter_request(begin.leader_id, begin.epoch);
        if error.is_none() {
            let endpoints = self.addresses(begin.leader_id, begin.endpoints);
            error = match self.adopt(now, Some(begin.leader_id), begin.epoch, endpoints) {
                Ok(_) if !self.is_meant(&begin.voter) => Fault::InvalidVoterKey,
                Ok(_) => Fault::None,
                Err(fault) => fault,
            };
        }
        let leader = self.leader_info(listener);
        self.reply(request, Response::BeginQuorumEpoch(EpochResponse { error, leader }));
    }

    pub(super) fn serve_end(
        &mut self,
        now: Millis,
        request: RequestId,
        listener: &str,
        end: EndEpochRequest,
    ) {
        if self.is_other_cluster(&end.cluster_id) {
            return self.reply(request, Response::Refused(Fault::InconsistentClusterId));
        }
        let mut error = self.check_voter_request(end.leader_id, end.epoch);
        if error.is_none() {
            let endpoints = self.addresses(end.leader_id, end.endpoints);
            match self.adopt(now, Some(end.leader_id), end.epoch, endpoints) {
                Ok(_) => self.expect_election(now, end.leader_id, &end.successors),
                Err(fault) => error = fault,
            }
        }
        let leader = self.leader_info(listener);
        self.reply(request, Response::EndQuorumEpoch(EpochResponse { error, leader }));
    }

    /// The leader is going: give it up at once if we are its first choice, a little later otherwise.
    fn expect_election(&mut self, now: Millis, resigning: i32, successors: &[ReplicaKey]) {
        let local = self.key();
        let position = successors.iter().position(|key| key.covers(&local));
        let wait = self.election_backoff(position, successors.len());
        if let Role::Follower(role) = &mut self.role
            && role.leader == resigning
        {
            role.fetch_until = now + wait;
        }
    }

    /// Strictly growing waits for the successors in their order, so that they do not run against each other.
    fn election_backoff(&self, position: Option<usize>, all: usize) -> Millis {
        let longest = self.config.election_backoff_max_ms;
        match position {
            Some(0) => 0,
            Some(position) => {
                let first = longest.checked_shr(all as u32 - 1).unwrap_or(0);
                let factor = 1i64.checked_shl(position as u32 - 1).unwrap_or(i64::MAX);
                first.saturating_mul(factor).min(longest)
            }
            None => longest,
        }
    }
}
