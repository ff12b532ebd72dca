//! 34: a committed offset is neither lost nor moved back, none is acknowledged or shown that is not committed, and what
//! one coordinator has acknowledged every later one shows.

use std::collections::BTreeMap;

use super::hold;
use super::ledger::Commit;

/// A partition that a group reads.
type Place = (String, i32);

/// All committed offsets of a partition of `__consumer_offsets`.
#[derive(Debug, Default)]
pub struct Commits {
    /// In the order of the log.
    logged: BTreeMap<Place, Vec<Commit>>,
    /// Where the newest commit stands that a coordinator of an epoch has acknowledged.
    acknowledged: BTreeMap<Place, BTreeMap<i32, i64>>,
}

impl Commits {
    /// A commit is in the log for good. Members only commit what lies behind what they were shown, one commit at a time.
    /// What one has given up, because no answer came, may still arrive after its next: nobody else's may.
    pub fn logged(&mut self, commit: Commit) {
        let place = (commit.group.clone(), commit.partition);
        let before = self.logged.entry(place).or_default();
        if let Some(last) = before.last() {
            let forward = last.offset <= commit.offset || last.by == commit.by;
            hold!(34, forward, "a commit was moved back: {last:?}, then {commit:?}");
        }
        before.push(commit);
    }

    /// An offset was deleted.
    pub fn gone(&mut self, group: &str, partition: i32) {
        let place = (group.to_owned(), partition);
        self.logged.remove(&place);
        self.acknowledged.remove(&place);
    }

    fn find(&self, place: &Place, number: u64) -> Option<&Commit> {
        self.logged.get(place)?.iter().rev().find(|commit| commit.number == number)
    }

    /// A member was told that its commit is stored, by a coordinator of this epoch. Gives where the record stands.
    pub fn acknowledged(&mut self, epoch: i32, group: &str, partition: i32, number: u64) -> i64 {
        let place = (group.to_owned(), partition);
        let found = self.find(&place, number).map(|commit| commit.at);
        hold!(34, found.is_some(), "commit {number} of {place:?} is acknowledged, and not committed");
        let at = found.unwrap_or(-1);
        let newest = self.acknowledged.entry(place).or_default().entry(epoch).or_insert(at);
        *newest = at.max(*newest);
        at
    }

    /// A coordinator of this epoch shows this offset; -1 for none.
    pub fn shown(&self, epoch: i32, group: &str, partition: i32, offset: i64, number: u64) {
        let place = (group.to_owned(), partition);
        let at = match offset {
            -1 => None,
            _ => {
                let found = self.find(&place, number).map(|commit| commit.at);
                hold!(34, found.is_some(), "{offset} of {place:?} is shown, and not committed");
                found
            }
        };
        let told = self.acknowledged.get(&place);
        let least = told.and_then(|told| told.range(..=epoch).map(|(_, at)| *at).max());
        hold!(
            34,
            at >= least,
            "the coordinator in {epoch} shows {offset} of {place:?}, from {at:?}; acknowledged was {least:?}"
        );
    }
}
