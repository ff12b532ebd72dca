//! 33: in one generation of a group a partition has at most one owner among those who were told what they own.

use std::collections::BTreeMap;

use super::hold;

/// Who was told to own a partition, by group and generation.
#[derive(Debug, Default)]
pub struct Owners(BTreeMap<(String, i32, u8), String>);

impl Owners {
    /// Somebody is told its partitions.
    pub fn told(&mut self, group: &str, generation: i32, identity: &str, partitions: &[u8]) {
        for partition in partitions {
            let place = (group.to_owned(), generation, *partition);
            let owner = self.0.entry(place).or_insert_with(|| identity.to_owned());
            hold!(
                33,
                owner == identity,
                "{owner} and {identity} own partition {partition} in generation {generation} of {group}"
            );
        }
    }
}
