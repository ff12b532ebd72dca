//! Partitions with replicas of both kinds: each leads and follows in turn, is killed, truncates what nobody acknowledged.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{A, O, agree, cluster, programs, shown};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Node, Nodes, Shape, Voters};
use crate::machine::Need;
use crate::process;
use crate::server::System;
use crate::tally::Tally;

const TOPIC: &str = "ledger";
const SOME: usize = 150;

pub fn run(tally: &mut Tally) {
    for kinds in [[A, O, O], [O, A, A]] {
        tally.check(&format!("{}: every node leads, is killed, follows", shown(&kinds)), || {
            let (mut nodes, ledger) = started(&kinds, "kills")?;
            for id in 1..=3 {
                leads(&nodes, id)?;
                nodes.kill(id)?;
                ledger.until_more(SOME)?;
                nodes.start(id)?;
                nodes.ready()?;
                nodes.whole(TOPIC)?;
                ledger.until_more(SOME)?;
            }
            finish(&nodes, ledger)
        });
        tally.check(
            &format!("{}: what a dead leader had alone is cut off when it follows", shown(&kinds)),
            || {
                let (mut nodes, ledger) = started(&kinds, "truncation")?;
                // Node 1 is the only one of its kind; so is a follower then, and a leader.
                for id in [1, 2] {
                    leads(&nodes, id)?;
                    truncated(&mut nodes, id)?;
                    ledger.until_more(SOME)?;
                }
                finish(&nodes, ledger)
            },
        );
    }
}

fn started(kinds: &[System], name: &str) -> Result<(Nodes, Ledger)> {
    let first = kinds[0].name().replace(' ', "-");
    let mut nodes = cluster(&format!("replicas-{name}-{first}"), kinds, Shape::Combined(3), Voters::Static)?;
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

/// Every preferred leader leads, so that `id` does.
fn leads(nodes: &Nodes, id: i32) -> Result<()> {
    let bootstrap = nodes.bootstrap();
    let arguments =
        ["--bootstrap-server", &bootstrap, "--election-type", "preferred", "--all-topic-partitions"];
    programs::until("elected", Duration::from_secs(30), || {
        programs::tool("kafka-leader-election", &arguments).map(|_| true)
    })?;
    let led = || -> Result<bool> {
        let view = nodes.view()?;
        let mine: Vec<_> = view.partitions.iter().filter(|((topic, _), _)| topic == TOPIC).collect();
        Ok(mine.iter().all(|(_, p)| p.leader == p.replicas[0]) && mine.iter().any(|(_, p)| p.leader == id))
    };
    programs::until("leading", Duration::from_secs(20), led)
}

fn node(nodes: &Nodes, id: i32) -> &Node {
    nodes.all.iter().find(|n| n.id == id).expect("a node of this cluster")
}

/// Leader `id` takes a record with acks=1 that no follower fetches, dies, and follows another leader afterwards.
fn truncated(nodes: &mut Nodes, id: i32) -> Result<()> {
    let view = nodes.view()?;
    let mine = view.partitions.iter().find(|((topic, _), p)| topic == TOPIC && p.leader == id);
    let ((_, partition), _) = mine.context("a partition that it leads")?;
    let name = format!("{TOPIC}-{partition}");
    let others: Vec<i32> = (1..=3).filter(|other| *other != id).collect();
    for other in &others {
        nodes.pause(*other, true)?;
    }
    // What the leader holds of their fetches has run out by then; else it would answer them with the record.
    thread::sleep(Duration::from_millis(1200));
    let port = node(nodes, id).port.context("a broker")?;
    let kcat = Need::Kcat.find().with_context(|| format!("lacking: {}", Need::Kcat.how()))?;
    let file = node(nodes, id).data().with_file_name("alone");
    std::fs::write(&file, "a record that only the leader has\n")?;
    let mut command = Command::new(kcat);
    command.args(["-P", "-b", &format!("localhost:{port}"), "-t", TOPIC, "-p", &partition.to_string()]);
    command.args(["-X", "acks=1", "-X", "message.timeout.ms=2500", "-l"]).arg(&file);
    process::checked(&mut command, Duration::from_secs(10)).context("a record with acks=1")?;
    nodes.kill(id)?;
    let alone = agree::batches(node(nodes, id), &name)?;
    for other in &others {
        nodes.pause(*other, false)?;
    }
    programs::until("led by another", Duration::from_secs(40), || {
        let leader = nodes.leader(TOPIC, *partition)?;
        Ok(leader != id)
    })?;
    thread::sleep(Duration::from_secs(1));
    let leader = nodes.leader(TOPIC, *partition)?;
    let kept = agree::batches(node(nodes, leader), &name)?;
    let only = |batch: &[u8]| batch.windows(33).any(|w| w == b"a record that only the leader has");
    ensure!(alone.values().any(|b| only(b)), "the leader did not append it: the check shows nothing");
    ensure!(!kept.values().any(|b| only(b)), "a follower has it: the check shows nothing");
    nodes.start(id)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    let now = agree::batches(node(nodes, id), &name)?;
    ensure!(!now.values().any(|b| only(b)), "it still has the record");
    Ok(())
}
