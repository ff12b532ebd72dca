//! `cargo xtask compat mixed`: Apache Kafka's nodes and ours in one cluster, and a cluster that moves from one to the other
//! and back on its own disks.
//!
//! After every check the nodes' logs are compared batch by batch, and what each kind made of the metadata by a dump.

mod agree;
mod answers;
mod brokers;
mod changes;
mod coordinator;
mod figures;
mod moving;
pub mod programs;
mod quorum;
mod refused;
mod replicas;
mod state;
mod voters;

use anyhow::{Result, ensure};

use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::machine::Need;
use crate::server::{self, System};
use crate::tally::Tally;

/// What the judge needs of the machine, beyond what cargo brings.
pub const NEEDS: &[Need] = &[Need::Jdk, Need::Maven, Need::Kcat];

const A: System = System::Apache;
const O: System = System::Ottla;

/// Apache Kafka's nodes with as little memory as they can do with: three of them share a machine with everything else.
const HEAP: &[&str] = &["-Xmx256m", "-XX:TieredStopAtLevel=1"];

type Group = fn(&mut Tally);
const GROUPS: &[(&str, Group)] = &[
    ("quorum", quorum::run),
    ("brokers", brokers::run),
    ("replicas", replicas::run),
    ("coordinator", coordinator::run),
    ("voters", voters::run),
    ("changes", changes::run),
    ("move", moving::run),
    ("refused", refused::run),
    ("answers", answers::run),
    ("figures", figures::run),
];

/// Runs every group, or the one that is named, or of that one the checks with `word` in their names.
pub fn run(only: Option<&str>, word: Option<&str>) -> Result<()> {
    server::build()?;
    let mut tally = Tally::new("compat mixed").only(word);
    let mut found = false;
    for (name, group) in GROUPS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        println!("-- {name}");
        found = true;
        group(&mut tally);
    }
    let names: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
    ensure!(found, "no group '{}': {}", only.unwrap_or_default(), names.join(", "));
    tally.close()
}

/// What a hosted job runs: the move and what is refused, in less than four minutes.
pub fn short() -> Result<()> {
    server::build()?;
    let mut tally = Tally::new("compat mixed, the short form");
    refused::run(&mut tally);
    moving::static_voters(&mut tally);
    tally.close()
}

/// What makes a judge's cluster quick to snapshot and quick to miss a node.
const QUICK: &[(&str, &str)] = &[
    ("metadata.log.max.record.bytes.between.snapshots", "2000"),
    ("broker.session.timeout.ms", "6000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("controlled.shutdown.retry.backoff.ms", "500"),
    // On a busy machine a quorum needs its time.
    ("initial.broker.registration.timeout.ms", "180000"),
];

/// A formatted cluster of these kinds in turn, brokers first; nothing runs yet.
fn cluster(name: &str, kinds: &[System], shape: Shape, voters: Voters) -> Result<Nodes> {
    Nodes::of_kinds(kinds, HEAP, &format!("mixed-{name}"), shape, voters, QUICK)
}

/// `2 Apache Kafka, 1 Ottla`.
fn shown(kinds: &[System]) -> String {
    let count = |kind: System| kinds.iter().filter(|k| **k == kind).count();
    format!("{} Apache Kafka, {} Ottla", count(A), count(O))
}

fn ids(nodes: &Nodes, kind: System) -> Vec<i32> {
    nodes.all.iter().filter(|n| n.system == kind).map(|n| n.id).collect()
}

fn kind(nodes: &Nodes, id: i32) -> System {
    nodes.all.iter().find(|n| n.id == id).expect("a node of this cluster").system
}
