//! Clients, a coordinator and partitions from a seed: messages are delayed, lost and repeated, the coordinator is lost between
//! any two steps and another one goes on from the log, producers disappear and others take over their transactional ids.
//!
//! At the end of each run, when nothing fails any more: every transaction has ended, what was committed stands in all of its
//! partitions and what was not stands in none. `SEEDS=1000` runs more of them.

mod clients;
mod partitions;
mod world;

use world::World;

#[test]
fn transactions_are_whole_whatever_fails() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    let (mut committed, mut aborted, mut coordinators) = (0, 0, 0);
    for seed in 0..seeds {
        let mut world = World::new(seed);
        world.run(4_000);
        world.heal();
        let tally = world.verify();
        committed += tally.committed;
        aborted += tally.aborted;
        coordinators += tally.coordinators;
    }
    // The runs are about something.
    assert!(committed > seeds * 5, "{committed} transactions were committed");
    assert!(aborted > seeds * 5, "{aborted} transactions were aborted");
    assert!(coordinators > seeds * 2, "{coordinators} coordinators");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let history = |seed| {
        let mut world = World::new(seed);
        world.run(2_000);
        world.heal();
        world.history()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}
