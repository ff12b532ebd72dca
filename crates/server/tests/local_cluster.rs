//! `ottla-local-cluster` on this very binary: what it does to processes really happens to them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottla_local_cluster::{Cluster, Quorum, Topology, view};

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");
const LIMIT: Duration = Duration::from_secs(60);

fn exists(pid: u32) -> bool {
    // A process that has ended and was not waited for yet is a zombie: as good as gone.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn a_node_is_killed_paused_wiped_and_started_again() -> Result<()> {
    for quorum in [Quorum::Static, Quorum::InitialControllers, Quorum::Standalone] {
        let mut cluster = Cluster::ephemeral(OTTLA, Topology::combined(1).quorum(quorum))?;
        cluster.start_all()?;
        cluster.wait_ready(LIMIT)?;
        ensure!(cluster.view()?.brokers == [1], "{:?}", cluster.view()?);
        let leader = cluster.controller().context("a controller")?;
        ensure!(leader.id == 1, "{leader:?}");
        let (port, pid) = (cluster.node(1).port.context("a port")?, cluster.node(1).pid().context("a pid")?);

        cluster.pause(1)?;
        ensure!(view(port, Duration::from_millis(200)).is_err(), "a paused node answers");
        ensure!(exists(pid), "a paused node is there");
        cluster.resume(1)?;
        ensure!(view(port, LIMIT)?.brokers == [1], "it goes on");

        cluster.kill(1)?;
        ensure!(!exists(pid), "kill -9 left it there");
        ensure!(view(port, Duration::from_millis(200)).is_err(), "a dead node answers");
        cluster.start(1)?;
        cluster.wait_ready(LIMIT)?;
        let again = cluster.controller().context("a controller")?;
        ensure!(again.epoch > leader.epoch, "a new life is a new epoch: {leader:?}, then {again:?}");
        cluster.stop(1, LIMIT)?;
        ensure!(cluster.node(1).log().contains("stopped"), "its log");
    }
    Ok(())
}

#[test]
fn a_wiped_node_has_its_cluster_and_none_of_its_data() -> Result<()> {
    let mut cluster = Cluster::ephemeral(OTTLA, Topology::combined(1))?;
    let meta = cluster.node(1).data().join("meta.properties");
    let before = std::fs::read_to_string(&meta)?;
    cluster.wipe(1)?;
    let after = std::fs::read_to_string(&meta)?;
    let id = |text: &str| text.lines().find(|l| l.starts_with("cluster.id=")).map(str::to_owned);
    ensure!(id(&before) == id(&after) && id(&after).is_some(), "the cluster's id:\n{before}\n{after}");
    ensure!(before != after, "a directory id of its own");
    Ok(())
}

#[test]
fn the_same_directory_is_the_same_cluster() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let id = Cluster::create(OTTLA, dir.path(), Topology::split(1, 1))?.cluster_id().to_owned();
    let again = Cluster::create(OTTLA, dir.path(), Topology::split(1, 1))?;
    ensure!(again.cluster_id() == id, "{id}, then {}", again.cluster_id());
    ensure!(again.nodes().len() == 2 && again.node(2).port.is_none(), "{:?}", again.nodes());
    Ok(())
}

#[test]
fn nodes_end_with_their_owner_however_it_ends() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut cluster = Cluster::create(OTTLA, dir.path(), Topology::combined(1))?;
    cluster.start_all()?;
    cluster.wait_ready(LIMIT)?;
    let pid = cluster.node(1).pid().context("a pid")?;
    drop(cluster);
    ensure!(!exists(pid), "dropped, and still there");
    orphan(dir.path())
}

/// A node whose owner is not its parent does not even begin.
fn orphan(dir: &Path) -> Result<()> {
    let mut command = Command::new(OTTLA);
    command.arg("kafka-server-start").arg(dir.join("node-1/server.properties"));
    let start = Instant::now();
    let output = command.env(ottla_local_cluster::OWNER, "1").output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && said.contains("is gone"), "{}: {said}", output.status);
    ensure!(start.elapsed() < LIMIT, "at once");
    Ok(())
}
