//! What must hold at every moment, one file each. A broken one ends the run with its number in
//! `docs/INVARIANTS.md`.

mod committed;
mod leaders;
mod promises;
mod proposals;
mod snapshots;
mod votes;
mod watermarks;

use ottla_quorum::Committed;
use ottla_raft::{Node, ReplicaKey};

use crate::durable::Durable;
use crate::machine::State;
use crate::proposals::Outcome;

/// Ends the run.
macro_rules! hold {
    ($number:literal, $holds:expr, $($words:tt)+) => {
        if !$holds {
            panic!("invariant {} broken: {}", $number, format_args!($($words)+));
        }
    };
}
pub(crate) use hold;

/// Everything the simulator remembers of a run to judge it.
#[derive(Debug, Default)]
pub struct Invariants {
    leaders: leaders::Leaders,
    votes: votes::Votes,
    watermarks: watermarks::Watermarks,
    committed: committed::History,
    proposals: proposals::Ledger,
}

impl Invariants {
    /// A process begins: what only memory holds may start over.
    pub fn started(&mut self, node: usize) {
        self.watermarks.started(node);
    }

    /// After every step of a node. `log_ends` are the durable ends of all logs, asked for only when needed.
    pub fn look(&mut self, index: usize, node: &Node, log_ends: &dyn Fn(i32) -> i64) {
        self.votes.epoch_is(index, node.epoch());
        if node.is_leader() && self.leaders.leads(index, node.epoch()) {
            self.committed.is_held_by_leader(index, node);
        }
        self.watermarks.look(index, node, log_ends);
    }

    /// A vote was granted and the answer has left.
    pub fn vote_granted(&mut self, voter: usize, candidate: ReplicaKey, epoch: i32, durable: &Durable) {
        self.votes.granted(voter, candidate, epoch, durable);
    }

    /// A node says that it has everything before this offset, and would count for it.
    pub fn promised(&self, node: usize, offset: i64, durable: &Durable) {
        promises::is_kept(node, offset, durable);
    }

    /// A node was given a committed batch.
    pub fn committed(&mut self, node: usize, batch: &Committed, state: State) {
        if self.committed.extend(node, batch, state) {
            self.proposals.committed(batch);
        }
    }

    /// A node started over from a snapshot.
    pub fn loaded(&self, node: usize, end_offset: i64, state: State) {
        snapshots::equals_history(&self.committed, node, end_offset, state);
    }

    /// A proposer was told something.
    pub fn proposed(&mut self, number: u64, outcome: &Outcome) {
        self.proposals.told(number, outcome, &self.committed);
    }

    /// Everything before this is committed somewhere.
    pub fn committed_end(&self) -> i64 {
        self.committed.end()
    }

    /// What every node must have become by now.
    pub fn final_state(&self) -> State {
        self.committed.state_at(self.committed.end()).unwrap_or_default()
    }

    /// Proposals acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.proposals.acknowledged()
    }
}
