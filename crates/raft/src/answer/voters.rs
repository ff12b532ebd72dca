//! Answers to UpdateRaftVoter, and to the Add / RemoveRaftVoter of a controller that joins by itself.

use super::Common;
use crate::message::{ChangeResponse, UpdateVoterResponse};
use crate::node::Node;
use crate::role::Role;
use crate::{Fault, Millis};

impl Node {
    pub(super) fn update_answered(&mut self, now: Millis, peer: i32, update: UpdateVoterResponse) -> bool {
        // An old leader does not know this API and says nothing about itself.
        if update.error != Fault::UnsupportedVersion {
            match self.common(now, peer, update.error, &update.leader) {
                Common::Done(well) => return well,
                Common::Continue if !update.error.is_none() => return self.unexpected(peer, update.error),
                Common::Continue => {}
            }
        }
        if let Role::Follower(role) = &mut self.role {
            role.has_updated_leader = true;
            self.fetch_succeeded(now);
        }
        true
    }

    pub(super) fn join_answered(&mut self, now: Millis, peer: i32, change: ChangeResponse) -> bool {
        match change.error {
            Fault::None | Fault::RequestTimedOut | Fault::DuplicateVoter | Fault::VoterNotFound => {
                self.postpone_voter_upkeep(now);
                true
            }
            error => self.unexpected(peer, error),
        }
    }
}
