//! How far every replica is, and what follows from it: the high watermark.

use ottla_records::ids::Offset;

use crate::{Endpoints, Millis, ReplicaKey};

/// What a leader knows of one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Id and directory.
    pub key: ReplicaKey,
    /// Listeners, for voters.
    pub endpoints: Endpoints,
    /// Everything before this is durable there: the offset of its last valid fetch; for the leader itself
    /// the end of what it flushed.
    pub end_offset: Option<Offset>,
    /// When it last fetched.
    pub last_fetch: Option<Millis>,
    /// When it last had everything the leader had.
    pub last_caught_up: Option<Millis>,
    /// The leader's log end at that fetch.
    leader_end_at_fetch: Option<Offset>,
}

impl Progress {
    /// A replica that was never heard of.
    pub fn unknown(key: ReplicaKey, endpoints: Endpoints) -> Self {
        Self {
            key,
            endpoints,
            end_offset: None,
            last_fetch: None,
            last_caught_up: None,
            leader_end_at_fetch: None,
        }
    }

    /// A valid fetch at `offset` arrived while the leader's log ended at `leader_end`.
    pub fn fetched(&mut self, now: Millis, offset: Offset, leader_end: Offset) {
        if offset >= leader_end {
            self.last_caught_up = self.last_caught_up.max(Some(now));
        } else if self.leader_end_at_fetch.is_some_and(|then| offset >= then) {
            self.last_caught_up = self.last_caught_up.max(self.last_fetch);
        }
        self.leader_end_at_fetch = Some(leader_end);
        self.last_fetch = self.last_fetch.max(Some(now));
        self.end_offset = Some(offset);
    }
}

/// The largest offset that more than half of the voters hold; `None` if fewer are known.
pub fn majority_offset<'a>(voters: impl Iterator<Item = &'a Progress>) -> Option<Offset> {
    let mut ends: Vec<Option<Offset>> = voters.map(|voter| voter.end_offset).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.get(ends.len() / 2).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ends: &[Option<Offset>]) -> Option<Offset> {
        let voters: Vec<Progress> = ends
            .iter()
            .enumerate()
            .map(|(i, end)| {
                let key = ReplicaKey { id: i as i32, directory: None };
                Progress { end_offset: *end, ..Progress::unknown(key, Endpoints::empty()) }
            })
            .collect();
        majority_offset(voters.iter())
    }

    #[test]
    fn the_watermark_stands_on_a_majority() {
        assert_eq!(at(&[Some(7)]), Some(7));
        assert_eq!(at(&[Some(7), Some(3)]), Some(3));
        assert_eq!(at(&[Some(7), None]), None);
        assert_eq!(at(&[Some(7), Some(5), None]), Some(5));
        assert_eq!(at(&[Some(9), Some(8), Some(2), Some(1)]), Some(2));
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn caught_up_is_judged_by_the_previous_fetch_too() {
        let key = ReplicaKey { id: 2, directory: None };
        let mut replica = Progress::unknown(key, Endpoints::empty());
        replica.fetched(10, 5, 8);
        assert_eq!(replica.last_caught_up, None);
        replica.fetched(20, 8, 12);
        assert_eq!(replica.last_caught_up, Some(10));
        replica.fetched(30, 12, 12);
        assert_eq!(replica.last_caught_up, Some(30));
    }
}
