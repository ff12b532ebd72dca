//! Replicas and leaderships that an operator moves, while records are written.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::ledger::Ledger;
use super::super::nodes::{Nodes, Shape};
use super::{SOME, SOON, TOPIC, cluster_of, finish};
use crate::compat::mixed::programs::{self, tool};
use crate::machine::Need;
use crate::process;
use crate::server::System;

/// (topic, partition) and its replicas: what a reassignment file holds.
fn written(file: &Path, rows: &[(&str, i32, &[i32])]) -> Result<String> {
    let row = |(topic, partition, replicas): &(&str, i32, &[i32])| {
        format!("{{\"topic\":\"{topic}\",\"partition\":{partition},\"replicas\":{replicas:?}}}")
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    std::fs::write(file, format!("{{\"version\":1,\"partitions\":[{}]}}", rows.join(",")))?;
    Ok(file.display().to_string())
}

fn replicas(nodes: &Nodes, topic: &str, partition: i32) -> Result<Vec<i32>> {
    let view = nodes.view()?;
    Ok(view.partitions.get(&(topic.to_owned(), partition)).context("the partition")?.replicas.clone())
}

pub fn reassign(system: System) -> Result<()> {
    let slow = [("broker.session.timeout.ms", "60000"), ("ottla.early.fencing.enable", "false")];
    let mut nodes = cluster_of(system, "reassign", Shape::Split(4, 1), &slow)?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    let bootstrap = nodes.bootstrap();
    let reassign = |words: &[&str]| {
        tool("kafka-reassign-partitions", &[&["--bootstrap-server", &bootstrap], words].concat())
    };
    let list = nodes.dir().join("topics.json");
    std::fs::write(&list, format!("{{\"version\":1,\"topics\":[{{\"topic\":\"{TOPIC}\"}}]}}"))?;
    let list = list.display().to_string();
    let plan = nodes.dir().join("plan.json");
    for brokers in ["2,3,4", "1,2,3", "4,1,2"] {
        let said = reassign(&["--topics-to-move-json-file", &list, "--broker-list", brokers, "--generate"])?;
        let proposed = said.split("Proposed partition reassignment configuration").nth(1);
        let proposed = proposed.with_context(|| format!("a proposal: {said}"))?.trim();
        std::fs::write(&plan, proposed)?;
        let file = plan.display().to_string();
        reassign(&["--reassignment-json-file", &file, "--execute"])?;
        ledger.until_more(SOME)?;
        programs::until("completed", SOON, || {
            let said = reassign(&["--reassignment-json-file", &file, "--verify"])?;
            Ok(said.matches("is completed").count() == 3)
        })?;
        nodes.whole(TOPIC)?;
        for partition in 0..3 {
            let now = replicas(&nodes, TOPIC, partition)?;
            let asked = now.iter().all(|id| brokers.contains(&id.to_string()));
            ensure!(now.len() == 3 && asked, "partition {partition} on {brokers}, not on {now:?}");
        }
        let said = reassign(&["--list"])?;
        ensure!(said.contains("No partition reassignments found."), "{said}");
        ledger.until_more(SOME)?;
    }
    // A new replica that does not come: dead, and for a minute nobody notices. What is cancelled is as it was before.
    let file = written(&plan, &[(TOPIC, 0, &[3, 1, 2]), (TOPIC, 1, &[3, 4, 1]), (TOPIC, 2, &[3, 2, 4])])?;
    let before: Vec<Vec<i32>> = (0..3).map(|p| replicas(&nodes, TOPIC, p)).collect::<Result<_>>()?;
    nodes.kill(3)?;
    programs::until("under way", SOON, || {
        reassign(&["--reassignment-json-file", &file, "--execute"])?;
        Ok(true)
    })?;
    ledger.until_more(SOME)?;
    let said = reassign(&["--reassignment-json-file", &file, "--verify", "--preserve-throttles"])?;
    ensure!(said.contains("is still in progress"), "{said}");
    let said = reassign(&["--reassignment-json-file", &file, "--cancel", "--preserve-throttles"])?;
    ensure!(said.contains("Successfully cancelled"), "{said}");
    let sorted = |mut all: Vec<Vec<i32>>| {
        all.iter_mut().for_each(|replicas| replicas.sort_unstable());
        all
    };
    let after: Vec<Vec<i32>> = (0..3).map(|p| replicas(&nodes, TOPIC, p)).collect::<Result<_>>()?;
    ensure!(sorted(after.clone()) == sorted(before.clone()), "as before: {before:?}, not {after:?}");
    nodes.start(3)?;
    ledger.until_more(SOME)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    finish(&nodes, ledger)
}

fn kcat(nodes: &Nodes, words: &[&str]) -> Result<String> {
    let kcat = Need::Kcat.find().with_context(|| format!("lacking: {}", Need::Kcat.how()))?;
    let mut command = Command::new(kcat);
    command.args(["-b", &nodes.bootstrap()]).args(words);
    process::checked(&mut command, Duration::from_secs(40))
}

/// Nodes 1 to 3 are brokers, node 4 is the controller.
pub fn elections(system: System) -> Result<()> {
    let mut nodes = cluster_of(system, "elections", Shape::Split(3, 1), &[("min.insync.replicas", "1")])?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    let bootstrap = nodes.bootstrap();
    let elect = |words: &[&str]| {
        tool("kafka-leader-election", &[&["--bootstrap-server", &bootstrap], words].concat())
    };
    let new = nodes.view()?;
    ensure!(new.partitions.values().all(|p| p.leader == p.replicas[0]), "new ones are led by the preferred");
    let id = nodes.leader(TOPIC, 0)?;
    nodes.kill(id)?;
    ledger.until_more(SOME)?;
    nodes.start(id)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    ensure!(nodes.leader(TOPIC, 0)? != id, "the leadership came back by itself: the check shows nothing");
    elect(&["--election-type", "preferred", "--all-topic-partitions"])?;
    programs::until("led by the preferred", SOON, || {
        Ok(nodes.view()?.partitions.values().all(|p| p.leader == p.replicas[0]))
    })?;
    ledger.until_more(SOME)?;

    // Two replicas: 1 is alone in sync and dies; 2 lacks a record.
    let topics =
        ["--create", "--topic", "pair", "--replica-assignment", "1:2", "--bootstrap-server", &bootstrap];
    tool("kafka-topics", &topics)?;
    nodes.whole("pair")?;
    let file = nodes.dir().join("one");
    std::fs::write(&file, "on both\n")?;
    let produce = ["-P", "-t", "pair", "-X", "acks=all", "-l", &file.display().to_string()];
    kcat(&nodes, &produce)?;
    nodes.kill(2)?;
    programs::until("alone in sync", SOON, || {
        let view = nodes.view()?;
        Ok(view.partitions[&("pair".to_owned(), 0)].isr == [1])
    })?;
    std::fs::write(&file, "on one alone\n")?;
    kcat(&nodes, &produce)?;
    nodes.kill(1)?;
    nodes.start(2)?;
    nodes.ready()?;
    std::thread::sleep(Duration::from_secs(1));
    let leader = nodes.view()?.partitions[&("pair".to_owned(), 0)].leader;
    ensure!(leader == -1, "no clean leader, not {leader}");
    let one = ["--topic", "pair", "--partition", "0", "--election-type"];
    // A preferred election has nobody to elect, and says so.
    ensure!(elect(&[&one[..], &["preferred"]].concat()).is_err(), "a leader that is not there was elected");
    elect(&[&one[..], &["unclean"]].concat())?;
    programs::until("led by 2", SOON, || Ok(nodes.view()?.partitions[&("pair".to_owned(), 0)].leader == 2))?;
    let read = kcat(&nodes, &["-C", "-e", "-q", "-o", "beginning", "-t", "pair"])?;
    ensure!(read == "on both\n", "what 2 has, not: {read}");
    std::fs::write(&file, "afterwards\n")?;
    kcat(&nodes, &produce)?;
    nodes.start(1)?;
    nodes.ready()?;
    nodes.whole("pair")?;
    // 1 has cut off what only it had.
    nodes.kill(2)?;
    programs::until("led by 1", SOON, || Ok(nodes.view()?.partitions[&("pair".to_owned(), 0)].leader == 1))?;
    let read = kcat(&nodes, &["-C", "-e", "-q", "-o", "beginning", "-t", "pair"])?;
    ensure!(read == "on both\nafterwards\n", "the new leader's history, not: {read}");
    nodes.start(2)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    finish(&nodes, ledger)
}
