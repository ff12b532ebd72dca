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
fn survive(seed: u64, setup: Setup, faults: Faults) -> u64 {
    let mut cluster = Cluster::new(seed, setup);
    workload::torment(&mut cluster, faults, 20_000);
    workload::heal_and_expect_progress(&mut cluster);
    cluster.checks.digest()
}

fn nodes(seed: u64) -> usize {
    [1, 2, 3, 3, 5][(seed % 5) as usize]
}

#[test]
fn static_voters_survive_drops_partitions_and_crashes() {
    for seed in 0..150 {
        survive(seed, Setup::fixed(nodes(seed)), Faults::all());
    }
}

#[test]
fn dynamic_voters_survive_changes_of_the_set_as_well() {
    for seed in 1000..1150 {
        survive(seed, Setup::dynamic(nodes(seed).max(2), 2), Faults::all().with_voter_changes());
    }
}

#[test]
fn observers_follow() {
    for seed in 2000..2040 {
        survive(seed, Setup::fixed(3).with_observers(2), Faults::all());
    }
}

#[test]
fn snapshots_replace_lost_history() {
    for seed in 3000..3060 {
        survive(seed, Setup::fixed(3).with_observers(1), Faults::all().with_snapshots());
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let once = survive(7, Setup::dynamic(3, 2), Faults::all().with_voter_changes().with_snapshots());
    let again = survive(7, Setup::dynamic(3, 2), Faults::all().with_voter_changes().with_snapshots());
    assert_eq!(once, again);
    let other = survive(8, Setup::dynamic(3, 2), Faults::all().with_voter_changes().with_snapshots());
    assert_ne!(once, other);
}

/// Invariant 9: a node that was cut off and comes back does not unseat a leader that has its majority.
#[test]
fn a_returning_node_disturbs_nobody() {
    for seed in 4000..4030 {
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
    for seed in 5000..5030 {
        let mut cluster = Cluster::new(seed, Setup::fixed(3));
        workload::heal_and_expect_progress(&mut cluster);
        let leader = cluster.leader().expect("a leader after a quiet start");
        cluster.resign(leader);
        cluster.run_for(1_500);
        let next = cluster.leader().expect("a successor");
        assert_ne!(next, leader, "seed {seed}");
    }
}
