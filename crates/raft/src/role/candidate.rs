//! Candidate: has raised the epoch, voted for itself, and asks the others.

use crate::message::VoteRequest;
use crate::node::Node;
use crate::role::{Role, Tally};
use crate::{Millis, NEVER, Request};

/// What a candidate remembers.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Votes.
    pub tally: Tally,
    /// When the election is void. A lost candidate waits for it too: that is the back-off.
    pub election_at: Millis,
}

impl Node {
    pub(crate) fn drive_candidate(&mut self, now: Millis) -> Millis {
        let Role::Candidate(role) = &self.role else { return now };
        let (election_at, tally) = (role.election_at, role.tally.clone());
        if self.is_stopping() {
            return self.ask_for_votes(now, &tally, false).min(self.stop_deadline());
        }
        if now >= election_at {
            self.become_prospective(now);
            return now;
        }
        self.ask_for_votes(now, &tally, false).min(election_at)
    }

    /// Sends Vote to every voter that has not answered. Returns when to try again.
    pub(crate) fn ask_for_votes(&mut self, now: Millis, tally: &Tally, pre_vote: bool) -> Millis {
        if tally.is_lost() {
            return NEVER;
        }
        let mut wake = NEVER;
        for voter in tally.unheard() {
            let request = VoteRequest {
                cluster_id: Some(self.config.cluster_id.clone()),
                voter: Some(voter),
                candidate: self.config.key(),
                epoch: self.epoch,
                last_epoch: self.log.last_epoch(),
                end_offset: self.log.end(),
                pre_vote,
            };
            wake = wake.min(self.send_to_voter(now, voter.id, Request::Vote(request)));
        }
        wake
    }
}
