//! What a proposer was told is so: an acknowledged proposal is in the log, once, where it was said to be; a
//! refused one never is.

use std::collections::BTreeMap;

use ottla_quorum::Committed;

use super::committed::History;
use super::hold;
use crate::proposals::{Outcome, number_of};

/// Proposals by number.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Where a proposal was committed.
    found: BTreeMap<u64, i64>,
    refused: BTreeMap<u64, ()>,
    acknowledged: u64,
}

impl Ledger {
    /// A batch was committed that was not before.
    pub fn committed(&mut self, batch: &Committed) {
        let Some(number) = batch.values.first().and_then(|value| number_of(value)) else { return };
        let base = batch.base_offset;
        if let Some(first) = self.found.insert(number, base) {
            panic!("invariant 18 broken: proposal {number} is committed at {first} and again at {base}");
        }
        let refused = self.refused.contains_key(&number);
        hold!(18, !refused, "proposal {number} was refused and is committed at {base}");
    }

    /// A proposer got its answer.
    pub fn told(&mut self, number: u64, outcome: &Outcome, history: &History) {
        match outcome {
            Outcome::Acknowledged(proposed) => {
                self.acknowledged += 1;
                let batch = history.batch_at(proposed.base_offset);
                let there = batch.is_some_and(|batch| {
                    batch.last_offset == proposed.last_offset
                        && batch.epoch == proposed.epoch
                        && batch.values.iter().all(|value| number_of(value) == Some(number))
                });
                hold!(18, there, "proposal {number} is acknowledged at {proposed:?}; there is {batch:?}");
            }
            Outcome::Refused => {
                let found = self.found.get(&number);
                hold!(18, found.is_none(), "proposal {number} is refused and committed at {found:?}");
                self.refused.insert(number, ());
            }
            Outcome::Unknown => {}
        }
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}
