//! The six roles of a node. Each file holds what its role remembers and what it does when time passes.
//! "Observer" is not a role: it is any node that is not in the voter set.

mod candidate;
mod follower;
mod leader;
mod prospective;
mod resigned;
mod tally;
mod unattached;

pub use candidate::Candidate;
pub(crate) use follower::EARLY_STEP_MS;
pub use follower::{Download, Follower};
pub use leader::{Adding, Leader, ParkedFetch, Removing};
pub use prospective::Prospective;
pub use resigned::Resigned;
pub use tally::Tally;
pub use unattached::Unattached;

use crate::{Endpoints, ReplicaKey};

/// What a node is in its epoch.
#[derive(Debug)]
pub enum Role {
    /// Knows no way to a leader.
    Unattached(Unattached),
    /// Asks whether it would win an election.
    Prospective(Prospective),
    /// Runs for leader.
    Candidate(Candidate),
    /// Leads.
    Leader(Box<Leader>),
    /// Fetches from the leader.
    Follower(Follower),
    /// Led this epoch and gave it up (or restarted in it).
    Resigned(Resigned),
}

impl Role {
    /// Kafka's name of the role.
    pub fn name(&self) -> &'static str {
        match self {
            Role::Unattached(_) => "Unattached",
            Role::Prospective(_) => "Prospective",
            Role::Candidate(_) => "Candidate",
            Role::Leader(_) => "Leader",
            Role::Follower(_) => "Follower",
            Role::Resigned(_) => "Resigned",
        }
    }

    /// The leader this role knows of; `local` is this node's id.
    pub(crate) fn leader(&self, local: i32) -> Option<i32> {
        match self {
            Role::Unattached(role) => role.leader,
            Role::Prospective(role) => role.leader,
            Role::Candidate(_) => None,
            Role::Leader(_) | Role::Resigned(_) => Some(local),
            Role::Follower(role) => Some(role.leader),
        }
    }

    /// Whom this node voted for in the epoch, as `quorum-state` stores it.
    pub(crate) fn voted(&self, local: ReplicaKey) -> Option<ReplicaKey> {
        match self {
            Role::Unattached(role) => role.voted,
            Role::Prospective(role) => role.voted,
            Role::Candidate(_) => Some(local),
            Role::Follower(role) => role.voted,
            Role::Leader(_) | Role::Resigned(_) => None,
        }
    }

    /// Addresses of the leader, as far as the role knows them; `local` are this node's own.
    pub(crate) fn leader_endpoints(&self, local: &Endpoints) -> Endpoints {
        match self {
            Role::Prospective(role) => role.leader_endpoints.clone(),
            Role::Follower(role) => role.endpoints.clone(),
            Role::Leader(_) | Role::Resigned(_) => local.clone(),
            Role::Unattached(_) | Role::Candidate(_) => Endpoints::empty(),
        }
    }

    /// May `candidate` have this node's vote? `up_to_date` says its log is no older than ours.
    pub(crate) fn grants(&self, candidate: &ReplicaKey, up_to_date: bool, pre_vote: bool) -> bool {
        match self {
            Role::Unattached(role) if !pre_vote => {
                grants_unbound(role.leader, role.voted, candidate, up_to_date)
            }
            Role::Prospective(role) if !pre_vote => {
                grants_unbound(role.leader, role.voted, candidate, up_to_date)
            }
            Role::Unattached(_) | Role::Prospective(_) => up_to_date,
            // A follower that hears from its leader helps nobody to disturb it (KIP-996).
            Role::Follower(role) => pre_vote && up_to_date && !role.has_fetched,
            Role::Candidate(_) | Role::Resigned(_) => pre_vote && up_to_date,
            Role::Leader(_) => false,
        }
    }
}

fn grants_unbound(
    leader: Option<i32>,
    voted: Option<ReplicaKey>,
    candidate: &ReplicaKey,
    up_to_date: bool,
) -> bool {
    match voted {
        Some(voted) => voted.covers(candidate),
        None => leader.is_none() && up_to_date,
    }
}
