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

/// One voter of the other kind, and the reverse.
const QUORUMS: [([System; 3], Voters); 4] = [
    ([A, O, O], Voters::Static),
    ([A, O, A], Voters::Dynamic),
    ([O, A, A], Voters::Static),
    ([O, A, O], Voters::Dynamic),
];

pub fn run(tally: &mut Tally) {
    for (kinds, voters) in QUORUMS {
        let how = if voters == Voters::Static { "static" } else { "dynamic" };
        let first = kinds[0].name().replace(' ', "-");
        let place = |what: &str| format!("quorum-{what}-{how}-{first}");
        tally.check(&format!("{}, {how} voters: each kind leads, dies, follows", shown(&kinds)), || {
            led(&place("led"), &kinds, voters)
        });
        tally
            .check(&format!("{}, {how} voters: a new disk is filled from a snapshot", shown(&kinds)), || {
                filled(&place("snapshot"), &kinds, voters)
            });
        tally.check(
            &format!("{}, {how} voters: an end that nobody else has is cut off", shown(&kinds)),
            || cut_off(&place("cut"), &kinds, voters),
        );
    }
}

fn led(name: &str, kinds: &[System], voters: Voters) -> Result<()> {
    let (mut nodes, ledger) = started(name, kinds, voters)?;
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
}

fn filled(name: &str, kinds: &[System], voters: Voters) -> Result<()> {
    let (mut nodes, ledger) = started(name, kinds, voters)?;
    for (leads, wiped) in [(A, O), (O, A)] {
        let mut leader = nodes.controller()?;
        // Again if another node led by the time the disk was full.
        for _ in 0..4 {
            elect(&mut nodes, &ledger, leads)?;
            snapshots(&nodes)?;
            leader = nodes.controller()?;
            let id = *ids(&nodes, wiped).iter().find(|id| **id != leader).context("a follower")?;
            nodes.stop(id)?;
            // A voter of a dynamic quorum is its directory, too: a new disk would be another voter.
            if voters == Voters::Static {
                nodes.wipe(id)?;
            } else {
                forget(&nodes, id)?;
            }
            ledger.until_more(SOME)?;
            nodes.start(id)?;
            nodes.ready()?;
            nodes.whole(TOPIC)?;
            let first = first_offset(&agree::batches(nodes.node(id), agree::METADATA)?);
            ensure!(first > 0, "node {id} has the log from its beginning: it took no snapshot");
            if kind(&nodes, leader) == leads && nodes.controller()? == leader {
                break;
            }
        }
        ensure!(kind(&nodes, leader) == leads, "no node of {} led long enough", leads.name());
    }
    finish(&nodes, ledger)
}

/// The end of a leader of each kind is cut off under a leader of the other kind.
fn cut_off(name: &str, kinds: &[System], voters: Voters) -> Result<()> {
    let (mut nodes, ledger) = started(name, kinds, voters)?;
    for leads in [A, O] {
        let mut seen = Vec::new();
        for _ in 0..6 {
            let id = elect(&mut nodes, &ledger, leads)?;
            let (next, lost) = diverge(&mut nodes, id)?;
            nodes.ready()?;
            nodes.whole(TOPIC)?;
            ledger.until_more(SOME)?;
            seen.push(format!("{lost} batches under {}", kind(&nodes, next).name()));
            if lost > 0 && kind(&nodes, next) != leads {
                println!("      {}: {}", leads.name(), seen.join(", "));
                seen.clear();
                break;
            }
        }
        ensure!(seen.is_empty(), "{} lost no end to a leader of the other kind: {seen:?}", leads.name());
    }
    finish(&nodes, ledger)
}

fn first_offset(batches: &agree::Batches) -> i64 {
    batches.keys().next().copied().unwrap_or(0)
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
        nodes.whole(ledger.topic())?;
        ledger.until_more(SOME)?;
    }
    bail!("no node of {} was elected in six elections", wanted.name())
}

/// Until the active controller can give a snapshot away.
fn snapshots(nodes: &Nodes) -> Result<()> {
    let start = Instant::now();
    let id = nodes.controller()?;
    let dir = nodes.node(id).data().join(agree::METADATA);
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

/// The node's copy of the metadata is gone, its directory is its own still, and it has not heard of a leader: Apache Kafka's
/// process ends when it finds the leader that it remembers and knows no voters.
fn forget(nodes: &Nodes, id: i32) -> Result<()> {
    let dir = nodes.node(id).data().join(agree::METADATA);
    for entry in std::fs::read_dir(&dir)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kept = ["quorum-state", "partition.metadata"].contains(&name.as_str());
        // The voters of the beginning stay known.
        if !kept && name != "00000000000000000000-0000000000.checkpoint" {
            std::fs::remove_file(entry.path())?;
        }
    }
    let file = dir.join("quorum-state");
    let text = std::fs::read_to_string(&file)?;
    let (before, after) = text.split_once("\"leaderId\":").context("a leader's id")?;
    let (_, after) = after.split_once(',').context("more than a leader's id")?;
    Ok(std::fs::write(&file, format!("{before}\"leaderId\":-1,{after}"))?)
}

/// The leader `id` appends what its followers do not get, dies, and comes back to others that went on without it. Who led
/// them, and how many batches of its own it has no more.
fn diverge(nodes: &mut Nodes, id: i32) -> Result<(i32, usize)> {
    let system = kind(nodes, id);
    // One of the other kind wakes first, so that it mostly leads.
    let mut others: Vec<i32> = nodes.all.iter().map(|n| n.id).filter(|other| *other != id).collect();
    others.sort_by_key(|other| kind(nodes, *other) == system);
    for other in &others {
        nodes.pause(*other, true)?;
    }
    // Records that keep an idle quorum moving; a leader that hears nobody for 3 s resigns. The first of them may be the
    // answer to a fetch that the followers had sent.
    let count = |nodes: &Nodes| agree::batches(nodes.node(id), agree::METADATA).map(|b| b.len());
    let (start, before) = (Instant::now(), count(nodes)?);
    while count(nodes)? < before + 3 && start.elapsed() < Duration::from_millis(2500) {
        thread::sleep(Duration::from_millis(50));
    }
    nodes.kill(id)?;
    let alone = agree::batches(nodes.node(id), agree::METADATA)?;
    for other in &others {
        nodes.pause(*other, false)?;
        thread::sleep(Duration::from_millis(700));
    }
    let next = nodes.controller()?;
    ensure!(next != id, "it is dead and leads");
    nodes.start(id)?;
    nodes.ready()?;
    // Now all have the same; what a follower was sent before it stood still may have been kept by all.
    agree::logs(nodes, agree::METADATA)?;
    let now = agree::batches(nodes.node(id), agree::METADATA)?;
    let lost = alone.range(first_offset(&now)..).filter(|(base, batch)| now.get(base) != Some(batch));
    let lost = lost.count();
    // Whoever leads by now, this one was there when the ends met.
    Ok((next, lost))
}
