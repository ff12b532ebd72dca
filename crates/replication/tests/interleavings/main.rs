//! Three replicas of one partition, a controller with ELR, messages that are late, lost or out of order, brokers
//! that are fenced, stopped, and power-cut, in random order. What was committed stays: on whoever may lead, in
//! what every replica believes to be committed. Then the trouble ends, and all have to come together.
//!
//! `OTTLA_SIM_FACTOR=100` for a night.

#![allow(unreachable_pub)]

mod cluster;
mod controller;
mod node;

use cluster::{Cluster, Event};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = Event> {
    let broker = 1..=3i32;
    prop_oneof![
        16 => (broker.clone(), 1..4u8).prop_map(|(at, count)| Event::Produce { at, count }),
        24 => broker.clone().prop_map(|from| Event::SendFetch { from }),
        26 => any::<u8>().prop_map(|which| Event::ServeFetch { which }),
        26 => any::<u8>().prop_map(|which| Event::TakeAnswer { which }),
        3 => any::<u8>().prop_map(|which| Event::LoseMessage { which }),
        14 => broker.clone().prop_map(|at| Event::ApplyImage { at }),
        8 => any::<u8>().prop_map(|which| Event::ServeProposal { which }),
        8 => any::<u8>().prop_map(|which| Event::TakeDecision { which }),
        6 => (broker.clone(), prop_oneof![3 => 1..50i64, 1 => 500..1500i64])
            .prop_map(|(at, ms)| Event::Poll { at, ms }),
        2 => broker.clone().prop_map(|id| Event::Fence { id }),
        4 => broker.clone().prop_map(|id| Event::Unfence { id }),
        1 => broker.clone().prop_map(|id| Event::Restart { id }),
        1 => (broker, any::<u8>()).prop_map(|(id, kept)| Event::PowerCut { id, kept }),
        1 => Just(Event::ElectAgain),
        4 => Just(Event::Breathe),
    ]
}

fn cases(count: u32) -> ProptestConfig {
    let factor = std::env::var("OTTLA_SIM_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    ProptestConfig { cases: count * factor, max_shrink_iters: 4000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn what_is_committed_stays(
        minimum in 1..=3usize,
        events in prop::collection::vec(event(), 1..800),
    ) {
        let mut cluster = Cluster::new(minimum);
        for event in events {
            cluster.happens(event);
            cluster.check();
        }
        cluster.heal();
    }
}

/// The faults that matter do come in what is generated.
#[test]
fn the_events_reach_what_they_are_for() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = cluster::Seen::default();
    for round in 0..150 {
        let events =
            prop::collection::vec(event(), 800..1000).new_tree(&mut runner).expect("events").current();
        let mut cluster = Cluster::new(1 + round % 3);
        for event in events {
            cluster.happens(event);
            cluster.check();
        }
        cluster.heal();
        seen.add(&cluster.seen);
    }
    assert!(seen.acked > 1000, "{seen:?}");
    assert!(seen.elections > 100 && seen.eligible_elections > 5, "{seen:?}");
    assert!(seen.truncations > 20 && seen.shrinks > 50 && seen.expansions > 50, "{seen:?}");
    assert!(seen.ineligible > 5 && seen.stale_versions > 5 && seen.stale_epochs > 5, "{seen:?}");
    assert!(seen.not_admitted > 20 && seen.power_cuts > 20, "{seen:?}");
}
