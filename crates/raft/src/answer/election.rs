//! Answers to Vote, BeginQuorumEpoch and EndQuorumEpoch.

use super::Common;
use crate::Millis;
use crate::message::{EpochResponse, VoteResponse};
use crate::node::Node;
use crate::role::Role;

impl Node {
    pub(super) fn vote_answered(&mut self, now: Millis, peer: i32, vote: VoteResponse) -> bool {
        match self.common(now, peer, vote.error, &vote.leader) {
            Common::Done(well) => return well,
            Common::Continue if !vote.error.is_none() => return self.unexpected(peer, vote.error),
            Common::Continue => {}
        }
        match &mut self.role {
            Role::Prospective(role) => {
                role.tally.record(peer, vote.granted);
                let (won, lost) = (role.tally.is_won(), role.tally.is_lost());
                if won {
                    self.become_candidate(now);
                } else if lost {
                    self.lose_pre_election(now);
                }
            }
            Role::Candidate(role) => {
                role.tally.record(peer, vote.granted);
                if role.tally.is_won() {
                    self.become_leader(now);
                }
            }
            _ => {}
        }
        true
    }

    pub(super) fn epoch_answered(
        &mut self,
        now: Millis,
        peer: i32,
        answer: EpochResponse,
        ending: bool,
    ) -> bool {
        match self.common(now, peer, answer.error, &answer.leader) {
            Common::Done(well) => return well,
            Common::Continue if !answer.error.is_none() => return self.unexpected(peer, answer.error),
            Common::Continue => {}
        }
        if ending && let Role::Resigned(role) = &mut self.role {
            role.unacknowledged.remove(&peer);
        }
        true
    }
}
