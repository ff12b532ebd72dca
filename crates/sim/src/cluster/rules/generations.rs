//! 33 and 36: the generations of a group grow, from one coordinator to the next, too; within one, nobody's assignment
//! changes, whatever a static member is called by now.

use std::collections::BTreeMap;

use super::hold;
use super::ledger::Generation;

/// The stored generations of every group, in the order of the log.
#[derive(Debug, Default)]
pub struct Generations(BTreeMap<String, Vec<Generation>>);

impl Generations {
    /// A generation is in the log for good.
    pub fn logged(&mut self, generation: Generation) {
        let before = self.0.entry(generation.group.clone()).or_default();
        if let Some(last) = before.last() {
            let (old, new) = (last.number, generation.number);
            hold!(33, old <= new, "the generation of {} fell from {old} to {new}", generation.group);
            let same = old != new || last.shares == generation.shares;
            hold!(36, same, "generation {new} was assigned twice: {last:?}, then {generation:?}");
        }
        before.push(generation);
    }

    /// A group was deleted.
    pub fn gone(&mut self, group: &str) {
        self.0.remove(group);
    }

    /// The generation that was the last to be stored before an offset of the log; -1 for none.
    pub fn before(&self, group: &str, at: i64) -> i32 {
        let mut stored = self.0.get(group).into_iter().flatten().filter(|it| it.at < at);
        stored.next_back().map_or(-1, |it| it.number)
    }

    /// Somebody was told its share of a generation: so it is stored.
    pub fn told(&self, group: &str, number: i32, identity: &str, share: &[u8]) {
        let mut stored = self.0.get(group).into_iter().flatten().filter(|it| it.number == number);
        let known = stored.any(|it| it.shares.get(identity).is_some_and(|stored| stored == share));
        hold!(
            33,
            known,
            "{identity} is told of generation {number} of {group} what is not stored: {share:?}"
        );
    }
}
