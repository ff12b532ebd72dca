//! Resigned: led this epoch and leads no more, but nobody else may lead it either. Tells the voters.

use std::collections::BTreeSet;

use crate::message::EndEpochRequest;
use crate::node::Node;
use crate::role::Role;
use crate::{Endpoints, Millis, ReplicaKey, Request};

/// What a resigned leader remembers.
#[derive(Clone, Debug)]
pub struct Resigned {
    /// Voters that have not acknowledged.
    pub unacknowledged: BTreeSet<i32>,
    /// Voters, best log first; empty after a restart.
    pub successors: Vec<ReplicaKey>,
    /// When it joins the next epoch.
    pub election_at: Millis,
}

impl Node {
    pub(crate) fn drive_resigned(&mut self, now: Millis) -> Millis {
        let Role::Resigned(role) = &self.role else { return now };
        let (election_at, unacknowledged) = (role.election_at, role.unacknowledged.clone());
        let request = EndEpochRequest {
            cluster_id: Some(self.config.cluster_id.clone()),
            leader_id: self.config.node_id,
            epoch: self.epoch,
            successors: role.successors.clone(),
            endpoints: Endpoints::empty(),
        };
        if !self.is_stopping() && now >= election_at {
            self.become_unattached(now, self.epoch + 1, None);
            return now;
        }
        let mut wake = if self.is_stopping() { self.stop_deadline() } else { election_at };
        for voter in unacknowledged {
            wake = wake.min(self.send_to_voter(now, voter, Request::EndQuorumEpoch(request.clone())));
        }
        wake
    }
}
