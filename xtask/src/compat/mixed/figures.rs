//! How long a node with 1,000 partitions is away when it is swapped, beside a restart of Apache Kafka in the same run; and how long
//! a producer waits for an acknowledgement meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::programs::{self, Java, Program};
use super::{A, O, agree, kind, quorum};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::it::cluster::wire;
use crate::server::System;
use crate::tally::Tally;

/// What the swapped node has replicas of.
const MANY: &str = "many";
const PARTITIONS: i32 = 1000;
/// What the producers write to.
const WRITTEN: &str = "written";
/// The node that is swapped.
const NODE: i32 = 3;
/// Times that each step is taken: one alone would be chance.
const ROUNDS: usize = 3;
/// Of the size that Kafka's own script asks for: 1,000 partitions are too many for less.
const HEAP: &[&str] = &["-Xmx1g"];
/// Everything else is as a user has it. Snapshots are compared at the end.
const SETTINGS: &[(&str, &str)] = &[("metadata.log.max.snapshot.interval.ms", "45000")];
/// The most that a swap may take of Apache Kafka's own restart.
const SHARE: f64 = 1.0 / 3.0;
/// The longest that an acknowledgement may be waited for while a node goes and comes cleanly.
const SILENCE: u64 = 1000;

/// What one step took.
struct Step {
    whole: Duration,
    /// Of a Java producer, in milliseconds.
    silence: u64,
}

pub fn run(tally: &mut Tally) {
    for leads in [O, A] {
        tally.check(
            &format!(
                "a node's swap beside Apache Kafka's own restart, {PARTITIONS} partitions, led by {}",
                leads.name()
            ),
            || measured(leads),
        );
    }
}

fn measured(leads: System) -> Result<()> {
    let java = Java::new()?;
    let name = format!("figures-{}", leads.name().replace(' ', "-"));
    let kinds = if leads == O { [O, O, A] } else { [A, O, A] };
    let place = format!("mixed-{name}");
    let mut nodes = Nodes::of_kinds(&kinds, HEAP, &place, Shape::Combined(3), Voters::Static, SETTINGS)?;
    nodes.start_all()?;
    nodes.ready()?;
    let created = wire::create_topic(nodes.ports()[0], MANY, PARTITIONS, 3)?;
    ensure!(created == 0, "CreateTopics: error {created}");
    nodes.whole(MANY)?;
    let ledger = Ledger::open(&nodes, WRITTEN, 3, 3)?;
    nodes.whole(WRITTEN)?;
    // Not by the node that is swapped.
    while quorum::elect(&mut nodes, &ledger, leads)? == NODE {
        nodes.kill(NODE)?;
        nodes.controller()?;
        nodes.start(NODE)?;
        nodes.ready()?;
    }
    nodes.whole(MANY)?;
    ledger.close(&nodes)?;
    let mut restarts = Vec::new();
    let mut swaps = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        restarts.push(step(&mut nodes, &java, A)?);
        swaps.push(step(&mut nodes, &java, O)?);
        ours.push(step(&mut nodes, &java, O)?);
        step(&mut nodes, &java, A)?;
    }
    ensure!(kind(&nodes, nodes.controller()?) == leads, "the leader changed meanwhile: try again");
    let middle = |steps: &[Step]| {
        let mut all: Vec<f64> = steps.iter().map(|step| step.whole.as_secs_f64()).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (restart, swap, again) = (middle(&restarts), middle(&swaps), middle(&ours));
    println!(
        "      the middle of {ROUNDS}: Apache Kafka's restart {restart:.2} s, the swap {swap:.2} s ({:.2} of it), a restart of Ottla {again:.2} s ({:.2})",
        swap / restart,
        again / restart
    );
    let silence = restarts.iter().chain(&swaps).chain(&ours).map(|step| step.silence).max().unwrap_or(0);
    println!("      the longest silence of acknowledgements: {silence} ms");
    agree::everything(&nodes, &[WRITTEN])?;
    ensure!(swap / restart <= SHARE, "the swap takes {:.2} of Apache Kafka's restart", swap / restart);
    ensure!(silence < SILENCE, "a producer waited {silence} ms for an acknowledgement");
    Ok(())
}

/// The node is stopped, is this program from now on, and is back in every ISR.
fn step(nodes: &mut Nodes, java: &Java, to: System) -> Result<Step> {
    let from = kind(nodes, NODE);
    let dir = nodes.dir().to_path_buf();
    let book = dir.join("figures.book");
    // Of the step before.
    let _ = std::fs::remove_file(&book);
    let words = ["produce", WRITTEN, "java", &book.display().to_string()];
    let producer = Program::start(&dir, "figures-producer", java.command(&nodes.bootstrap(), &words))?;
    // The client has warmed up, and what it waited for at first is no silence.
    acknowledges(&book, 400)?;
    let start = Instant::now();
    nodes.stop(NODE)?;
    let stopped = start.elapsed();
    nodes.give(NODE, to)?;
    nodes.start(NODE)?;
    nodes.ready()?;
    nodes.whole(MANY)?;
    nodes.whole(WRITTEN)?;
    let whole = start.elapsed();
    acknowledges(&book, 200)?;
    let said = producer.end(false)?;
    ensure!(said.contains(" failed 0 "), "the Java producer: {said}");
    let silence = said.split_whitespace().last().and_then(|ms| ms.parse().ok()).context("its silence")?;
    println!(
        "      {} to {}: stopped in {:.2} s, in every ISR after {:.2} s, silence {silence} ms",
        from.name(),
        to.name(),
        stopped.as_secs_f64(),
        whole.as_secs_f64()
    );
    Ok(Step { whole, silence })
}

/// Until so many more lines are in the book.
fn acknowledges(book: &Path, more: usize) -> Result<()> {
    let lines = || std::fs::read_to_string(book).map_or(0, |text| text.lines().count());
    let before = lines();
    programs::until("acknowledged", Duration::from_secs(120), || Ok(lines() >= before + more))
}
