//! One to five nodes on a bad network with bad disks, many seeds, every rule of the quorum checked as it
//! goes; then the faults stop and the cluster must come to life again.

#![allow(unreachable_pub)]

mod checks;
mod cluster;
mod disk;
mod workload;

use cluster::{Cluster, Setup};
use workload::Faults;

/// Faults on for a while, then a quiet network: safe all the time, alive at the end.
fn survive(seed: u64, setup: Setup, faults: Faults) {
    let mut cluster = Cluster::new(seed, setup);
    workload::torment(&mut cluster, faults, 20_000);
    workload::heal_and_expect_progress(&mut cluster);
}

/// A hash of everything that happened.
fn digest(seed: u64) -> u64 {
    let mut cluster = Cluster::new(seed, Setup::dynamic(3, 2));
    cluster.checks.start_trace();
    workload::torment(&mut cluster, Faults::all().with_voter_changes().with_snapshots(), 20_000);
    workload::heal_and_expect_progress(&mut cluster);
    cluster.checks.digest()
}

/// `count` seeds, or as many times that as `OTTLA_SIM_FACTOR` says: for a night on a spare machine.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let factor = std::env::var("OTTLA_SIM_FACTOR").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    first..first + count * factor
}

fn nodes(seed: u64) -> usize {
    [1, 2, 3, 3, 5][(seed % 5) as usize]
}

#[test]
fn static_voters_survive_drops_partitions_and_crashes() {
    for seed in seeds(0, 80) {
        survive(seed, Setup::fixed(nodes(seed)), Faults::all());
    }
}

#[test]
fn dynamic_voters_survive_changes_of_the_set_as_well() {
    for seed in seeds(1_000_000, 80) {
        survive(seed, Setup::dynamic(nodes(seed).max(2), 2), Faults::all().with_voter_changes());
    }
}

#[test]
fn observers_follow() {
    for seed in seeds(2_000_000, 20) {
        survive(seed, Setup::fixed(3).with_observers(2), Faults::all());
    }
}

#[test]
fn snapshots_replace_lost_history() {
    for seed in seeds(3_000_000, 40) {
        survive(seed, Setup::fixed(3).with_observers(1), Faults::all().with_snapshots());
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

/// Invariant 9: a node that was cut off and comes back does not unseat a leader that has its majority.
#[test]
fn a_returning_node_disturbs_nobody() {
    for seed in seeds(4_000_000, 20) {
        let mut cluster = Cluster::new(seed, Setup::fixed(3));
        workload::heal_and_expect_progress(&mut cluster);
        let leader = cluster.leader().expect("a leader after a quiet start");
        let epoch = cluster.epoch(leader);
        let outcast = (0..3).find(|node| *node != leader).expect("three nodes");
        cluster.isolate(outcast);
        cluster.run_for(10_000);
        assert_eq!(cluster.epoch(outcast), epoch, "seed {seed}: an outcast must not raise its epoch");
        cluster.heal();
        cluster.run_for(5_000);
        assert_eq!(cluster.leader(), Some(leader), "seed {seed}: the leader was disturbed");
        assert_eq!(cluster.epoch(leader), epoch, "seed {seed}: the epoch was raised");
    }
}

/// A leader that is asked to leave hands over within about one election timeout.
#[test]
fn a_leader_hands_over() {
    for seed in seeds(5_000_000, 20) {
        let mut cluster = Cluster::new(seed, Setup::fixed(3));
        workload::heal_and_expect_progress(&mut cluster);
        let leader = cluster.leader().expect("a leader after a quiet start");
        cluster.resign(leader);
        cluster.run_for(1_500);
        let next = cluster.leader().expect("a successor");
        assert_ne!(next, leader, "seed {seed}");
    }
}
