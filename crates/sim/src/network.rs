//! Which messages arrive, when, and how often.

use std::collections::BTreeSet;

use crate::random::Random;

/// The links between all nodes.
#[derive(Debug, Clone)]
pub struct Network {
    /// Directions that are cut, as (from, to).
    blocked: BTreeSet<(usize, usize)>,
    /// Messages lost, of a thousand.
    pub loss: u64,
    /// Messages that arrive twice, of a thousand.
    pub duplicates: u64,
    /// The longest a message takes, in milliseconds.
    pub delay_ms: i64,
    random: Random,
}

/// What a message takes on a network without trouble, at most.
const QUIET_MS: i64 = 4;

impl Network {
    /// A network without trouble.
    pub fn new(random: Random) -> Network {
        Network { blocked: BTreeSet::new(), loss: 0, duplicates: 0, delay_ms: QUIET_MS, random }
    }

    /// Ends all trouble.
    pub fn heal(&mut self) {
        *self = Network::new(self.random.clone());
    }

    /// Cuts one direction.
    pub fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    /// Cuts both directions.
    pub fn cut(&mut self, one: usize, other: usize) {
        self.block(one, other);
        self.block(other, one);
    }

    /// Ends the cuts, not the rest.
    pub fn unblock(&mut self) {
        self.blocked.clear();
    }

    /// Delays of the copies of a message that arrive; none if it is lost.
    pub fn arrivals(&mut self, from: usize, to: usize) -> Vec<i64> {
        if self.blocked.contains(&(from, to)) || self.random.chance(self.loss) {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.random.chance(self.duplicates));
        (0..copies).map(|_| self.random.between(1, self.delay_ms)).collect()
    }
}
