//! Votes of one election, counted.

use std::collections::BTreeMap;

use ottla_records::mutant;

use crate::{ReplicaKey, VoterSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ballot {
    Unknown,
    Granted,
    Rejected,
}

/// The voters at the start of an election and what each of them said.
#[derive(Clone, Debug)]
pub struct Tally(BTreeMap<i32, (ReplicaKey, Ballot)>);

impl Tally {
    /// An election among `voters` in which `own` has voted for itself.
    pub(crate) fn new(voters: &VoterSet, own: i32) -> Self {
        let mut tally =
            Self(voters.iter().map(|voter| (voter.key.id, (voter.key, Ballot::Unknown))).collect());
        tally.record(own, true);
        tally
    }

    /// Notes an answer. Answers of nodes that are not voters are ignored.
    pub(crate) fn record(&mut self, voter: i32, granted: bool) {
        if let Some((_, ballot)) = self.0.get_mut(&voter) {
            *ballot = if granted { Ballot::Granted } else { Ballot::Rejected };
        }
    }

    fn count(&self, of: Ballot) -> usize {
        self.0.values().filter(|(_, ballot)| *ballot == of).count()
    }

    fn majority(&self) -> usize {
        self.0.len() / 2 + usize::from(!mutant::is("half-is-a-majority"))
    }

    /// Did a majority say yes?
    pub fn is_won(&self) -> bool {
        self.count(Ballot::Granted) >= self.majority()
    }

    /// Can a majority no longer say yes?
    pub fn is_lost(&self) -> bool {
        self.count(Ballot::Granted) + self.count(Ballot::Unknown) < self.majority()
    }

    /// Voters that have not answered.
    pub(crate) fn unheard(&self) -> Vec<ReplicaKey> {
        self.0.values().filter(|(_, ballot)| *ballot == Ballot::Unknown).map(|(key, _)| *key).collect()
    }

    /// Ids of the voters that said yes.
    pub fn granting(&self) -> Vec<i32> {
        self.0.iter().filter(|(_, (_, ballot))| *ballot == Ballot::Granted).map(|(id, _)| *id).collect()
    }
}
