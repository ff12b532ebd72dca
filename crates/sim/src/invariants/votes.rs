//! 2: epochs never fall, a node votes once in an epoch, and a vote is on disk before anybody hears of it;
//! crashes change none of it.

use std::collections::BTreeMap;

use ottla_raft::ReplicaKey;

use super::hold;
use crate::durable::Durable;

/// Epochs and votes of all nodes.
#[derive(Debug, Default)]
pub struct Votes {
    epochs: BTreeMap<usize, i32>,
    votes: BTreeMap<(usize, i32), ReplicaKey>,
}

impl Votes {
    /// A node is in this epoch, and so is its disk.
    pub fn epoch_is(&mut self, node: usize, epoch: i32) {
        let known = self.epochs.entry(node).or_insert(epoch);
        hold!(2, epoch >= *known, "node {} fell from epoch {known} to {epoch}", node + 1);
        *known = epoch;
    }

    /// A node told a candidate (which may be itself) that it has its vote.
    pub fn granted(&mut self, voter: usize, candidate: ReplicaKey, epoch: i32, durable: &Durable) {
        let first = *self.votes.entry((voter, epoch)).or_insert(candidate);
        let same = first.id == candidate.id;
        hold!(2, same, "node {} voted for {first:?} and {candidate:?} in epoch {epoch}", voter + 1);
        let Durable::Election(stored) = durable else { return };
        let written = stored.as_ref().is_some_and(|stored| {
            stored.epoch > epoch
                || (stored.epoch == epoch && stored.voted.is_some_and(|voted| voted.id == candidate.id))
        });
        hold!(
            2,
            written,
            "node {} voted for {candidate:?} in epoch {epoch} while its disk says {stored:?}",
            voter + 1
        );
    }
}
