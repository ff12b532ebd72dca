//! Several nodes on this machine, and what happens to their records when nodes are killed, paused, wiped, restarted.
//!
//! In every check, idempotent writers (acks=all) keep a book of what was acknowledged and kcat reads all of it back:
//! nothing lost, nothing doubled, everything in order.

pub mod coordinator;
mod dev;
pub mod full_disk;
pub mod history;
pub mod ledger;
pub mod networks;
pub mod nodes;
pub mod standalone;
pub mod strangers;
pub mod tools;
pub mod wire;

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::server::System;
use crate::tally::Tally;
pub use dev::run as dev;
use ledger::Ledger;
use nodes::{Nodes, Shape, Voters};

const THREE: Shape = Shape::Combined(3);
const TOPIC: &str = "ledger";
const PARTITIONS: i32 = 3;
/// Records between two events.
const SOME: usize = 300;

/// `cluster-topologies`: every shape of the tutorials, in any order of starts, takes records.
pub fn topologies(tally: &mut Tally, system: System) {
    let rows: &[(&str, Shape, Voters)] = &[
        ("three combined nodes, static voters", THREE, Voters::Static),
        ("three combined nodes, dynamic voters", THREE, Voters::Dynamic),
        ("two combined nodes", Shape::Combined(2), Voters::Static),
        ("2 brokers + 1 controller", Shape::Split(2, 1), Voters::Static),
        ("3 brokers + 3 controllers", Shape::Split(3, 3), Voters::Static),
    ];
    for (at, (name, shape, voters)) in rows.iter().enumerate() {
        tally.check(name, || {
            let mut nodes = Nodes::make(system, &format!("cluster-shape-{at}"), *shape, *voters)?;
            // The last first: brokers wait for controllers in one row, controllers for each other in the next.
            let mut order: Vec<i32> = nodes.all.iter().map(|n| n.id).collect();
            if at % 2 == 0 {
                order.reverse();
            }
            for id in order {
                nodes.start(id)?;
                thread::sleep(Duration::from_millis(150));
            }
            nodes.ready()?;
            let copies = nodes.all_ports().len() as i16;
            let ledger = Ledger::open(&nodes, TOPIC, PARTITIONS, copies)?;
            ledger.until_more(SOME)?;
            finish(nodes, ledger)
        });
    }
}

/// `cluster-kills`: kill -9, of whatever it hurts most.
pub fn kills(tally: &mut Tally, system: System) {
    tally.check("kill -9 of a partition's leader", || {
        killed(system, "leader", |nodes| nodes.leader(TOPIC, 0))
    });
    tally.check("kill -9 of a follower", || {
        killed(system, "follower", |nodes| nodes.leader(TOPIC, 0).map(|leader| leader % 3 + 1))
    });
    tally.check("kill -9 of the active controller", || killed(system, "controller", Nodes::controller));
}

/// `cluster-outages`: more than one node at a time, or one after the other.
pub fn outages(tally: &mut Tally, system: System) {
    tally.check("kill -9 of two nodes in turn", || {
        let (mut nodes, ledger) = three(system, "two")?;
        for partition in 0..2 {
            let id = nodes.leader(TOPIC, partition)?;
            nodes.kill(id)?;
            ledger.until_more(SOME)?;
            nodes.start(id)?;
            nodes.ready()?;
            nodes.whole(TOPIC)?;
        }
        finish(nodes, ledger)
    });
    tally.check("kill -9 of two nodes at once: no acknowledgement before one is back", || {
        let (mut nodes, ledger) = three(system, "both")?;
        nodes.kill(1)?;
        nodes.kill(2)?;
        thread::sleep(Duration::from_millis(500));
        nodes.start(1)?;
        nodes.start(2)?;
        nodes.ready()?;
        ledger.until_more(SOME)?;
        nodes.whole(TOPIC)?;
        finish(nodes, ledger)
    });
    tally.check("kill -9 of all nodes, then all again", || {
        let (mut nodes, ledger) = three(system, "all")?;
        for id in 1..=3 {
            nodes.kill(id)?;
        }
        nodes.start_all()?;
        nodes.ready()?;
        ledger.until_more(SOME)?;
        nodes.whole(TOPIC)?;
        finish(nodes, ledger)
    });
}

/// `cluster-pause`: a leader that stands still is left, and acknowledges nothing when it goes on.
pub fn pause(tally: &mut Tally, system: System) {
    tally.check("SIGSTOP of a leader for 20 s", || {
        let (mut nodes, ledger) = three(system, "pause")?;
        let id = nodes.leader(TOPIC, 0)?;
        nodes.pause(id, true)?;
        thread::sleep(Duration::from_secs(20));
        ledger.until_more(SOME)?;
        ensure!(nodes.leader(TOPIC, 0)? != id, "it stands still and leads");
        nodes.pause(id, false)?;
        ledger.until_more(SOME)?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
        finish(nodes, ledger)
    });
}

/// `cluster-rolling`: every node stopped by SIGTERM and started again.
pub fn rolling(tally: &mut Tally, system: System) {
    tally.check("a rolling restart by SIGTERM", || {
        let (mut nodes, ledger) = three(system, "rolling")?;
        for id in 1..=3 {
            nodes.stop(id)?;
            ledger.until_more(SOME)?;
            nodes.start(id)?;
            nodes.ready()?;
            nodes.whole(TOPIC)?;
        }
        finish(nodes, ledger)
    });
}

/// `cluster-wipe`: a new disk.
pub fn wipe(tally: &mut Tally, system: System) {
    tally.check("a node whose disk was wiped and formatted anew", || {
        let (mut nodes, ledger) = three(system, "wipe")?;
        let id = nodes.leader(TOPIC, 0)?;
        nodes.stop(id)?;
        nodes.wipe(id)?;
        ledger.until_more(SOME)?;
        nodes.start(id)?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
        // What it has now it has from the others: it must do without them.
        for other in (1..=3).filter(|other| *other != id) {
            nodes.kill(other)?;
            ledger.until_more(SOME)?;
            nodes.start(other)?;
            nodes.ready()?;
            nodes.whole(TOPIC)?;
        }
        finish(nodes, ledger)
    });
}

/// Three combined nodes that take records.
fn three(system: System, name: &str) -> Result<(Nodes, Ledger)> {
    let mut nodes = Nodes::make(system, &format!("cluster-{name}"), THREE, Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, PARTITIONS, 3)?;
    nodes.whole(TOPIC)?;
    ledger.until_more(SOME)?;
    Ok((nodes, ledger))
}

/// One node is killed while records are written, and comes back.
fn killed(system: System, name: &str, choose: impl Fn(&Nodes) -> Result<i32>) -> Result<()> {
    let (mut nodes, ledger) = three(system, name)?;
    let id = choose(&nodes)?;
    nodes.kill(id)?;
    ledger.until_more(SOME)?;
    nodes.start(id)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    ledger.until_more(SOME)?;
    finish(nodes, ledger)
}

fn finish(nodes: Nodes, ledger: Ledger) -> Result<()> {
    let verdict = ledger.close(&nodes)?;
    println!(
        "      {} records acknowledged and read back; the longest silence was {} ms",
        verdict.records,
        verdict.silence.as_millis()
    );
    nodes.no_panic()
}
