//! The rules of one replica, asserted in release builds too. A broken one is a bug of this crate or of the
//! program around it, never the doing of a peer (what peers get wrong is refused), and going on would lose
//! records: the process dies with the rule's name, which `docs/INVARIANTS.md` lists.

use ottla_records::ids::{LeaderEpoch, Offset};

use crate::BrokerId;

macro_rules! invariant {
    ($number:literal, $holds:expr, $($words:tt)+) => {
        if !$holds {
            panic!("REPLICATION-{}: {}", $number, format_args!($($words)+));
        }
    };
}

/// 1: the high watermark of a leader does not fall.
pub(crate) fn watermark_grows(old: Offset, new: Offset) {
    invariant!(1, new >= old, "high watermark {old} -> {new}");
}

/// 2: log start, high watermark and log end are in order.
pub(crate) fn watermark_is_inside(log_start: Offset, high_watermark: Offset, log_end: Offset) {
    invariant!(
        2,
        0 <= log_start && log_start <= high_watermark && high_watermark <= log_end,
        "log {log_start}..{log_end} with high watermark {high_watermark}"
    );
}

/// 3: the high watermark of a leader stands only on what every replica of the maximal ISR holds, and moves only
/// while the ISR has its minimum.
pub(crate) fn watermark_is_held(
    high_watermark: Offset,
    holders: impl Iterator<Item = (BrokerId, Offset)>,
    in_sync: usize,
    minimum: usize,
) {
    invariant!(3, in_sync >= minimum, "high watermark {high_watermark} with {in_sync} of {minimum} in sync");
    for (id, log_end) in holders {
        invariant!(3, log_end >= high_watermark, "{id} ends at {log_end}, high watermark {high_watermark}");
    }
}

/// 4: the ISR is a part of the replicas, each once; what a leader proposes has the leader in it.
pub(crate) fn in_sync_are_replicas(in_sync: &[BrokerId], replicas: &[BrokerId], leader: Option<BrokerId>) {
    let parts = in_sync.iter().all(|id| replicas.contains(id));
    invariant!(4, parts, "ISR {in_sync:?} of replicas {replicas:?}");
    let once = in_sync.iter().enumerate().all(|(at, id)| !in_sync[..at].contains(id));
    invariant!(4, once, "ISR {in_sync:?} names a replica twice");
    let led = leader.is_none_or(|leader| in_sync.contains(&leader));
    invariant!(4, led, "ISR {in_sync:?} without its leader {leader:?}");
}

/// 5: one change of the ISR is in flight at a time.
pub(crate) fn proposal_is_alone(in_flight: bool) {
    invariant!(5, !in_flight, "a second proposal while one is in flight");
}

/// 6: a leader's log only grows.
pub(crate) fn leader_appends(old: Offset, new: Offset) {
    invariant!(6, new >= old, "the leader's log end {old} -> {new}");
}

/// 7: a replica leads what it is a replica of.
pub(crate) fn leads_its_replica(id: BrokerId, replicas: &[BrokerId]) {
    invariant!(7, replicas.contains(&id), "{id} leads replicas {replicas:?}");
}

/// 8: after an append of what was fetched the log ends no earlier, and with no later leader's records.
pub(crate) fn fetched_is_appended(
    old: Offset,
    new: Offset,
    last_epoch: Option<LeaderEpoch>,
    leader_epoch: LeaderEpoch,
) {
    invariant!(8, new >= old, "the log end {old} -> {new} by an append");
    let known = last_epoch.is_none_or(|epoch| epoch <= leader_epoch);
    invariant!(8, known, "epoch {last_epoch:?} appended under leader epoch {leader_epoch}");
}

/// 9: the log ends where it was told to.
pub(crate) fn truncation_is_done(told: Offset, found: Offset) {
    invariant!(9, found <= told, "the log ends at {found} after a truncation to {told}");
}

/// 10: the high watermark of a follower falls only by a truncation below it.
pub(crate) fn follower_watermark_grows(old: Offset, new: Offset) {
    invariant!(10, new >= old, "a follower's high watermark {old} -> {new} without a truncation");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "REPLICATION-1: high watermark 5 -> 4")]
    fn a_falling_watermark_panics() {
        watermark_grows(5, 4);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-2: ")]
    fn a_watermark_behind_the_log_end_panics() {
        watermark_is_inside(0, 5, 4);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-3: 2 ends at 4")]
    fn a_watermark_that_a_member_lacks_panics() {
        watermark_is_held(5, [(3, 5), (2, 4)].into_iter(), 3, 2);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-3: high watermark 5 with 1 of 2")]
    fn a_watermark_under_the_minimum_panics() {
        watermark_is_held(5, [].into_iter(), 1, 2);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-4: ")]
    fn a_stranger_in_sync_panics() {
        in_sync_are_replicas(&[1, 4], &[1, 2, 3], None);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-4: ")]
    fn an_isr_without_its_leader_panics() {
        in_sync_are_replicas(&[2, 3], &[1, 2, 3], Some(1));
    }

    #[test]
    #[should_panic(expected = "REPLICATION-5: ")]
    fn a_second_proposal_panics() {
        proposal_is_alone(true);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-9: ")]
    fn a_truncation_that_was_not_done_panics() {
        truncation_is_done(5, 6);
    }

    #[test]
    #[should_panic(expected = "REPLICATION-8: ")]
    fn a_later_leaders_records_panic() {
        fetched_is_appended(5, 6, Some(4), 3);
    }
}
