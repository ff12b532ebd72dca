//! The rules of the metadata quorum, asserted in release builds too. A broken one is a bug here, never the
//! doing of a peer (what peers get wrong is refused with a [`crate::Notice`]), and going on would corrupt
//! the cluster: the process dies with the rule's number, which `docs/INVARIANTS.md` explains.
//!
//! 1 one leader per epoch; 2 epochs never decrease, votes are durable first; 3 the high watermark never
//! falls; 4 it stands only on what a majority flushed; 5 the committed prefix never changes; 6 a leader
//! holds every committed record and never truncates; 7 a log that does not start at 0 has a snapshot
//! there; 8 one voter change at a time; 9 pre-votes disturb nobody; 10 with a majority there is progress.
//! Rules 1, 5, 9 and 10 speak of several nodes: the simulation checks them.

use ottla_records::ids::{LeaderEpoch, Offset};

use crate::watermark::Progress;
use crate::{LogView, ReplicaKey};

macro_rules! invariant {
    ($number:literal, $holds:expr, $($words:tt)+) => {
        if !$holds {
            panic!("invariant {} broken: {}", $number, format_args!($($words)+));
        }
    };
}

/// 1: a node votes once per epoch.
pub(crate) fn votes_once(voted: Option<ReplicaKey>, next: ReplicaKey, epoch: LeaderEpoch) {
    invariant!(1, voted.is_none(), "second vote for {next:?} in epoch {epoch} after {voted:?}");
}

/// 2: epochs do not go back.
pub(crate) fn epoch_grows(old: LeaderEpoch, new: LeaderEpoch) {
    invariant!(2, new >= old, "epoch {old} -> {new}");
}

/// 3: the high watermark does not go back.
pub(crate) fn watermark_grows(old: Option<Offset>, new: Offset) {
    invariant!(3, old.is_none_or(|old| new >= old), "high watermark {old:?} -> {new}");
}

/// 4: a majority of the present voters, the leader only with what it flushed, reaches the watermark.
pub(crate) fn majority_holds<'a>(
    high_watermark: Offset,
    voters: impl ExactSizeIterator<Item = &'a Progress>,
) {
    let all = voters.len();
    let holding = voters.filter(|voter| voter.end_offset.is_some_and(|end| end >= high_watermark)).count();
    invariant!(4, holding > all / 2, "{holding} of {all} voters hold {high_watermark}");
}

/// 5: truncation never reaches below the high watermark.
pub(crate) fn keeps_committed(high_watermark: Option<Offset>, to: Offset) {
    invariant!(
        5,
        high_watermark.is_none_or(|committed| to >= committed),
        "truncation to {to} below high watermark {high_watermark:?}"
    );
}

/// 6: leaders only append.
pub(crate) fn not_leading(is_leader: bool, what: &str) {
    invariant!(6, !is_leader, "a leader must not {what}");
}

/// 7: what was dropped from the log is in a snapshot.
pub(crate) fn start_is_covered(log: &LogView) {
    let covered = log.start() == 0 || log.latest_snapshot().is_some_and(|id| id.end_offset >= log.start());
    invariant!(
        7,
        covered,
        "log starts at {} and the latest snapshot is {:?}",
        log.start(),
        log.latest_snapshot()
    );
}

/// 8: the voter set of the last change is committed before the next.
pub(crate) fn change_is_alone(last_change: Option<Offset>, high_watermark: Option<Offset>, pending: bool) {
    let committed = match (last_change, high_watermark) {
        (None, Some(_)) => true,
        (Some(changed), Some(committed)) => changed < committed,
        (_, None) => false,
    };
    invariant!(
        8,
        committed && !pending,
        "voter change on top of one at {last_change:?}, watermark {high_watermark:?}, pending {pending}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "invariant 3 broken")]
    fn a_falling_watermark_panics() {
        watermark_grows(Some(5), 4);
    }

    #[test]
    #[should_panic(expected = "invariant 5 broken")]
    fn truncating_committed_records_panics() {
        keeps_committed(Some(5), 4);
    }

    #[test]
    #[should_panic(expected = "invariant 8 broken")]
    fn a_second_voter_change_panics() {
        change_is_alone(Some(9), Some(9), false);
    }
}
