//! Prospective: asks the voters whether it would win before it raises the epoch (KIP-996), so that a node
//! that cannot win disturbs nobody.

use crate::node::Node;
use crate::role::{Role, Tally};
use crate::{Endpoints, Millis, ReplicaKey};

/// What a prospective candidate remembers.
#[derive(Clone, Debug)]
pub struct Prospective {
    /// The leader it has not given up on yet.
    pub leader: Option<i32>,
    /// Where that leader is.
    pub leader_endpoints: Endpoints,
    /// Whom it voted for in this epoch.
    pub voted: Option<ReplicaKey>,
    /// Pre-votes.
    pub tally: Tally,
    /// When it stops asking.
    pub election_at: Millis,
}

impl Node {
    pub(crate) fn drive_prospective(&mut self, now: Millis) -> Millis {
        let Role::Prospective(role) = &self.role else { return now };
        let (election_at, tally) = (role.election_at, role.tally.clone());
        if self.is_stopping() {
            return self.ask_for_votes(now, &tally, true).min(self.stop_deadline());
        }
        if now >= election_at {
            self.lose_pre_election(now);
            return now;
        }
        self.ask_for_votes(now, &tally, true).min(election_at)
    }

    /// Back to the leader it had, if it can be reached; else unattached in the same epoch.
    pub(crate) fn lose_pre_election(&mut self, now: Millis) {
        let Role::Prospective(role) = &self.role else { return };
        match (role.leader, role.leader_endpoints.clone()) {
            (Some(leader), endpoints) if !endpoints.is_empty() => {
                self.become_follower(now, self.epoch, leader, endpoints);
            }
            (leader, _) => self.become_unattached(now, self.epoch, leader),
        }
    }
}
