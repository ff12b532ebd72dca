//! A log that rests: its followers go on fetching it, and nobody tells the leader of each of those fetches.

use ottla_replication::leader::{Assignment, LogEnds, Settings};
use ottla_replication::{Broker, BrokerId, Brokers, Leader};

/// Broker 2 was heard of at this time.
struct Heard(Option<i64>);

impl Brokers for Heard {
    fn broker(&self, _: BrokerId) -> Option<Broker> {
        Some(Broker { epoch: 1, fenced: false, shutting_down: false })
    }

    fn last_fetch_ms(&self, _: BrokerId) -> Option<i64> {
        self.0
    }
}

const LAG: i64 = 30_000;

fn leader() -> Leader {
    let settings = Settings { min_insync_replicas: 1, replica_lag_time_max_ms: LAG };
    let assignment =
        Assignment { leader_epoch: 1, replicas: vec![1, 2], isr: vec![1, 2], ..Assignment::default() };
    let ends = LogEnds { start: 0, end: 10, high_watermark: 10 };
    let (mut leader, _) = Leader::new(1, 1, settings, assignment, ends, &Heard(None), 0);
    leader.follower_fetched(2, 1, 10, 0, &Heard(None), 0).map(drop).expect("a replica");
    leader
}

#[test]
fn the_first_append_after_a_rest_costs_nobody_its_place() {
    let (mut leader, later) = (leader(), 10 * LAG);
    assert!(leader.out_of_sync(later).is_empty(), "it has everything");
    let brokers = Heard(Some(later - 400));
    let _ = leader.appended(11, &brokers, later);
    assert!(leader.poll(&brokers, later + 1).proposal.is_none());
    // From here on it has to fetch this.
    assert!(leader.out_of_sync(later - 400 + LAG).is_empty());
    assert_eq!(leader.out_of_sync(later - 400 + LAG + 1), [2]);
}

#[test]
fn who_was_not_heard_of_for_long_leaves_with_the_first_append() {
    let (mut leader, later) = (leader(), 10 * LAG);
    let _ = leader.appended(11, &Heard(Some(5)), later);
    assert_eq!(leader.out_of_sync(later + 1), [2]);
    let mut leader = self::leader();
    let _ = leader.appended(11, &Heard(None), later);
    assert_eq!(leader.out_of_sync(later + 1), [2]);
}
