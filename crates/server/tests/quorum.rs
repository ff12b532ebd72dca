//! Three controllers as processes: an election, the leader killed, a new one without any timer, the old one back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_local_cluster::{Cluster, Leader, Quorum, Topology};

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");
const LIMIT: Duration = Duration::from_secs(30);
/// A follower that only waits gives its leader up after so long: longer than anything here takes. What happens within
/// [`LIMIT`] happened because a connection broke or a leader took its leave, not because a timer ran out.
const FETCH_TIMEOUT_MS: &str = "120000";

fn wait_for<T>(what: &str, cluster: &mut Cluster, mut found: impl FnMut(&Cluster) -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = found(cluster) {
            return Ok(found);
        }
        if let Some((id, status)) = cluster.exits()?.first() {
            anyhow::bail!("node {id} ended ({status})\n{}", cluster.node(*id).log_tail(15));
        }
        ensure!(start.elapsed() < LIMIT, "{what}: not within {} s\n{}", LIMIT.as_secs(), logs(cluster));
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn logs(cluster: &Cluster) -> String {
    cluster.nodes().iter().map(|node| format!("--- {}\n{}\n", node.id, node.log_tail(15))).collect()
}

fn started(cluster: &Cluster, id: i32) -> usize {
    cluster.node(id).log().matches("Kafka Server started").count()
}

/// The last end of the metadata log that a node said it has, by its files: they only grow.
fn metadata_bytes(cluster: &Cluster, id: i32) -> u64 {
    let log = cluster.node(id).data().join("__cluster_metadata-0/00000000000000000000.log");
    std::fs::metadata(log).map_or(0, |file| file.len())
}

fn lives_on(quorum: Quorum) -> Result<()> {
    let copies = ["offsets.topic.replication.factor", "transaction.state.log.replication.factor"];
    let topology = copies.into_iter().fold(Topology::split(0, 3).quorum(quorum), |t, key| t.with(key, "3"));
    let topology = topology
        .with("default.replication.factor", "3")
        .with("controller.quorum.fetch.timeout.ms", FETCH_TIMEOUT_MS);
    let mut cluster = Cluster::ephemeral(OTTLA, topology)?;
    // One alone waits, and says for whom; it ends when it is told to.
    cluster.start(1)?;
    wait_for("a line about who is missing", &mut cluster, |c| {
        c.node(1).log().contains("Waiting for controller quorum: 1 of 3 reachable, need 2").then_some(())
    })?;
    std::thread::sleep(Duration::from_secs(2));
    let lines = cluster.node(1).log().lines().count();
    ensure!(lines < 40, "{lines} lines while it waits:\n{}", cluster.node(1).log());
    cluster.stop(1, LIMIT)?;
    ensure!(cluster.node(1).log().contains("stopped"), "its log");

    cluster.start_in_order(&[3, 1, 2], Duration::from_millis(300))?;
    let first: Leader = wait_for("a leader", &mut cluster, Cluster::controller)?;
    wait_for("three that started", &mut cluster, |c| {
        [1, 2, 3].iter().all(|id| started(c, *id) > 0).then_some(())
    })?;

    let killed = Instant::now();
    cluster.kill(first.id)?;
    let second = wait_for("a new leader", &mut cluster, |c| {
        c.controller().filter(|leader| leader.epoch > first.epoch)
    })?;
    let took = killed.elapsed();
    ensure!(second.id != first.id, "{second:?} after {first:?}");
    println!("{quorum:?}: a new leader {} ms after kill -9", took.as_millis());

    let before = started(&cluster, first.id);
    cluster.start(first.id)?;
    wait_for("the old leader back", &mut cluster, |c| (started(c, first.id) > before).then_some(()))?;
    let now = cluster.controller().context("a leader")?;
    ensure!(now == second, "whoever comes back disturbs nobody: {now:?}, before {second:?}");
    // It has what was written without it, and what is written from now on.
    let end = metadata_bytes(&cluster, second.id) + 1;
    wait_for("the metadata on the node that came back", &mut cluster, |c| {
        (metadata_bytes(c, first.id) >= end).then_some(())
    })?;

    // A leader that is told to stop hands over.
    cluster.stop(second.id, LIMIT)?;
    let third = wait_for("a third leader", &mut cluster, |c| {
        c.controller().filter(|leader| leader.epoch > second.epoch)
    })?;
    ensure!(third.id != second.id, "{third:?} after {second:?}");
    Ok(())
}

#[test]
fn static_voters_outlive_their_leader() -> Result<()> {
    lives_on(Quorum::Static)
}

#[test]
fn dynamic_voters_outlive_their_leader() -> Result<()> {
    lives_on(Quorum::InitialControllers)
}
