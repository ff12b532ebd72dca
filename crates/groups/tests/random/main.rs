//! Many members that join, leave, fail, pause and come back, on a coordinator that fails over and whose log
//! sometimes refuses: drawn from a seed, checked at every step.
//!
//! Names of the checks are the invariants of groups: one owner per partition and generation; committed offsets
//! neither lost nor moved back, and none from a fenced generation; every partition owned soon after the churn
//! ends; a static member keeps its assignment; one answer per request; the log says what the shard says.

#[path = "../support/mod.rs"]
mod support;

mod checks;
mod client;
mod world;

use world::World;

/// Runs of the churn; the environment variable `SEEDS` asks for more.
const SEEDS: u64 = 40;

#[test]
fn churn_breaks_nothing() {
    let seeds = std::env::var("SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("SEEDS is a number"));
    for seed in 0..seeds {
        World::new(seed).run();
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 14, 15] {
        assert_eq!(World::new(seed).run(), World::new(seed).run(), "seed {seed}");
    }
}
