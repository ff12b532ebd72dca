//! Metadata quorums of both kinds: each is elected, followed, killed, comes back; logs, snapshots and divergent ends pass
//! between them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{A, O, agree, cluster, ids, kind, shown};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::server::System;
use crate::tally::Tally;

const TOPIC: &str = "ledger";
const SOME: usize = 150;

pub fn run(tally: &mut Tally) {
    for (kinds, voters) in [([A, O, O], Voters::Static), ([A, O, A], Voters::Dynamic)] {
        let how = if voters == Voters::Static { "static" } else { "dynamic" };
        tally.check(&format!("{}, {how} voters: each kind leads, dies, follows", shown(&kinds)), || {
            let (mut nodes, ledger) = started(&format!("quorum-{how}"), &kinds, voters)?;
            for wanted in [A, O] {
                let id = elect(&mut nodes, &ledger, wanted)?;
                ledger.until_more(SOME)?;
                nodes.kill(id)?;
                ledger.until_more(SOME)?;
                nodes.start(id)?;
                nodes.ready()?;
                nodes.whole(TOPIC)?;
            }
            finish(&nodes, ledger)
        });
        tally.check(
            &format!("{}, {how} voters: a new disk is filled from a snapshot", shown(&kinds)),
            || {
                let (mut nodes, ledger) = started(&format!("snapshot-{how}"), &kinds, voters)?;
                for (leads, wiped) in [(A, O), (O, A)] {
                    elect(&mut nodes, &ledger, leads)?;
                    snapshots(&nodes)?;
                    let leader = nodes.controller()?;
                    let id = *ids(&nodes, wiped).iter().find(|id| **id != leader).context("a follower")?;
                    // A voter of a dynamic quorum is its directory, too: a new disk would be another voter.
                    if voters == Voters::Static {
                        nodes.stop(id)?;
                        nodes.wipe(id)?;
                    } else {
                        nodes.stop(id)?;
                        forget(&nodes, id)?;
                    }
                    ledger.until_more(SOME)?;
                    nodes.start(id)?;
                    nodes.ready()?;
                    nodes.whole(TOPIC)?;
                    let first = agree::batches(node(&nodes, id), agree::METADATA)?;
                    let first = first.keys().next().copied().unwrap_or(0);
                    ensure!(first > 0, "node {id} has the log from its beginning: it took no snapshot");
                }
                finish(&nodes, ledger)
            },
        );
        tally.check(
            &format!("{}, {how} voters: an end that nobody else has is cut off", shown(&kinds)),
            || {
                let (mut nodes, ledger) = started(&format!("diverge-{how}"), &kinds, voters)?;
                for leads in [A, O] {
                    let id = elect(&mut nodes, &ledger, leads)?;
                    diverge(&mut nodes, id)?;
                    nodes.ready()?;
                    nodes.whole(TOPIC)?;
                    ledger.until_more(SOME)?;
                }
                finish(&nodes, ledger)
            },
        );
    }
}

fn node(nodes: &Nodes, id: i32) -> &crate::it::cluster::nodes::Node {
    nodes.all.iter().find(|n| n.id == id).expect("a node of this cluster")
}

fn started(name: &str, kinds: &[System], voters: Voters) -> Result<(Nodes, Ledger)> {
    let mut nodes = cluster(name, kinds, Shape::Combined(3), voters)?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    ledger.until_more(SOME)?;
    Ok((nodes, ledger))
}

fn finish(nodes: &Nodes, ledger: Ledger) -> Result<()> {
    let verdict = ledger.close(nodes)?;
    println!(
        "      {} records acknowledged and read back; the longest silence was {} ms",
        verdict.records,
        verdict.silence.as_millis()
    );
    agree::everything(nodes, &[TOPIC])
}

/// Until a node of this kind is the active controller: those of the other kind that lead are killed and started again.
pub fn elect(nodes: &mut Nodes, ledger: &Ledger, wanted: System) -> Result<i32> {
    for _ in 0..6 {
        let id = nodes.controller()?;
        if kind(nodes, id) == wanted {
            return Ok(id);
        }
        nodes.kill(id)?;
        // With two of the other kind left, who wins is chance; alone, a node of the wanted kind meets one that has just
        // started and waits longer.
        let others: Vec<i32> = ids(nodes, kind(nodes, id)).into_iter().filter(|other| *other != id).collect();
        for other in &others {
            nodes.kill(*other)?;
        }
        thread::sleep(Duration::from_millis(if others.is_empty() { 0 } else { 2500 }));
        if others.is_empty() {
            ledger.until_more(SOME)?;
        }
        nodes.start_all()?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
        ledger.until_more(SOME)?;
    }
    bail!("no node of {} was elected in six elections", wanted.name())
}

/// Until the active controller can give a snapshot away.
fn snapshots(nodes: &Nodes) -> Result<()> {
    let start = Instant::now();
    let id = nodes.controller()?;
    let dir = node(nodes, id).data().join(agree::METADATA);
    loop {
        let there = std::fs::read_dir(&dir)?.flatten().any(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name.ends_with(".checkpoint") && !name.starts_with("00000000000000000000-")
        });
        if there {
            return Ok(());
        }
        ensure!(start.elapsed() < Duration::from_secs(60), "node {id} writes no snapshot");
        thread::sleep(Duration::from_millis(200));
    }
}

/// The node's copy of the metadata is gone, its directory is its own still.
fn forget(nodes: &Nodes, id: i32) -> Result<()> {
    let dir = node(nodes, id).data().join(agree::METADATA);
    for entry in std::fs::read_dir(&dir)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kept = ["quorum-state", "partition.metadata"].contains(&name.as_str());
        // The voters of the beginning stay known.
        if !kept && name != "00000000000000000000-0000000000.checkpoint" {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The leader `id` appends what its followers do not get, dies, and comes back to others that went on without it.
fn diverge(nodes: &mut Nodes, id: i32) -> Result<()> {
    let others: Vec<i32> = nodes.all.iter().map(|n| n.id).filter(|other| *other != id).collect();
    for other in &others {
        nodes.pause(*other, true)?;
    }
    // Long enough for records that keep an idle quorum moving, too short for the leader to resign.
    thread::sleep(Duration::from_millis(1800));
    nodes.kill(id)?;
    let alone = agree::batches(node(nodes, id), agree::METADATA)?;
    for other in &others {
        nodes.pause(*other, false)?;
    }
    let leader = nodes.controller()?;
    ensure!(leader != id, "it is dead and leads");
    thread::sleep(Duration::from_secs(1));
    let went_on = agree::batches(node(nodes, leader), agree::METADATA)?;
    ensure!(agree::end(&went_on) > 0, "the others have no log");
    nodes.start(id)?;
    nodes.ready()?;
    // Now all have the same; what a follower was sent before it stood still may have been kept by all.
    agree::logs(nodes, agree::METADATA)?;
    let now = agree::batches(node(nodes, id), agree::METADATA)?;
    let lost = alone.iter().filter(|(base, batch)| now.get(base) != Some(batch)).count();
    ensure!(lost > 0, "nothing of the leader's end was its own: the check shows nothing");
    Ok(())
}
