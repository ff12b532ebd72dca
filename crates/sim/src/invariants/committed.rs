//! 5 and 6: what is committed once is committed for ever, the same everywhere, and every later leader has it.

use std::collections::BTreeMap;

use ottla_quorum::Committed;
use ottla_raft::{Node, Validity};

use super::hold;
use crate::machine::State;

#[derive(Debug)]
struct Entry {
    batch: Committed,
    after: State,
    first: usize,
}

/// All committed batches, by base offset.
#[derive(Debug, Default)]
pub struct History {
    entries: BTreeMap<i64, Entry>,
    end: i64,
    epoch: i32,
}

impl History {
    /// Notes a batch that a node was given; true when nobody was given it before.
    pub fn extend(&mut self, node: usize, batch: &Committed, after: State) -> bool {
        let base = batch.base_offset;
        if base == self.end {
            self.end = batch.last_offset + 1;
            self.epoch = batch.epoch;
            self.entries.insert(base, Entry { batch: batch.clone(), after, first: node });
            return true;
        }
        hold!(5, base < self.end, "node {} is given {base}; nobody committed {}", node + 1, self.end);
        let Some(known) = self.entries.get(&base) else {
            panic!("invariant 5 broken: node {} is given a batch at {base}, inside another", node + 1);
        };
        let theirs = &known.batch;
        let same = theirs.last_offset == batch.last_offset
            && theirs.epoch == batch.epoch
            && theirs.values == batch.values
            && known.after == after;
        hold!(
            5,
            same,
            "nodes {} and {} were given different batches at {base}: {:?} and {:?}",
            known.first + 1,
            node + 1,
            (theirs.last_offset, theirs.epoch, theirs.values.len(), known.after),
            (batch.last_offset, batch.epoch, batch.values.len(), after)
        );
        false
    }

    /// A node begins to lead: its log must hold all of this.
    pub fn is_held_by_leader(&self, index: usize, node: &Node) {
        let (log, end) = (node.log(), self.end);
        let held = end == 0
            || (log.end() >= end && (log.start() >= end || log.validate(end, self.epoch) == Validity::Valid));
        hold!(
            6,
            held,
            "node {} leads epoch {} with a log that ends at {} ({:?}); committed are {end} offsets up to epoch {}",
            index + 1,
            node.epoch(),
            log.end(),
            log.epochs(),
            self.epoch
        );
    }

    /// Everything before this is committed somewhere.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// What a machine is after everything before this offset; `None` inside a batch.
    pub fn state_at(&self, end_offset: i64) -> Option<State> {
        if end_offset == 0 {
            return Some(State::default());
        }
        let (_, entry) = self.entries.range(..end_offset).next_back()?;
        (entry.batch.last_offset + 1 == end_offset).then_some(entry.after)
    }

    /// The values of the batch at this offset.
    pub fn batch_at(&self, base_offset: i64) -> Option<&Committed> {
        self.entries.get(&base_offset).map(|entry| &entry.batch)
    }
}
