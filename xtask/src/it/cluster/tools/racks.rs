//! KIP-392: consumers with a rack read from the replica there, and from the leader when it goes.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::nodes::{Nodes, Shape, Voters};
use super::super::wire;
use super::SOON;
use crate::compat::mixed::programs::{self, Java};
use crate::machine::Need;
use crate::process;
use crate::server::System;

const TOPIC: &str = "near";
const RECORDS: usize = 2000;
const SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

pub fn run(system: System) -> Result<()> {
    let heap: &[&str] = &["-Xmx384m", "-XX:TieredStopAtLevel=1"];
    let settings = [("replica.selector.class", SELECTOR)];
    let shape = Shape::Combined(3);
    let mut nodes =
        Nodes::of_kinds(&[system], heap, "cluster-tools-racks", shape, Voters::Static, &settings)?;
    for node in &nodes.all {
        let mut text = std::fs::read_to_string(node.file())?;
        text.push_str(&format!("broker.rack=rack-{}\n", node.id));
        std::fs::write(node.file(), text)?;
    }
    nodes.start_all()?;
    nodes.ready()?;
    let code = wire::create_topic(nodes.ports()[0], TOPIC, 1, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.whole(TOPIC)?;
    let file = nodes.dir().join("lines");
    let line = |n: usize| format!("{n} {}\n", "x".repeat(1000));
    std::fs::write(&file, (0..RECORDS).map(line).collect::<String>())?;
    let kcat = Need::Kcat.find().with_context(|| format!("lacking: {}", Need::Kcat.how()))?;
    let mut command = Command::new(kcat);
    command.args(["-P", "-b", &nodes.bootstrap(), "-t", TOPIC, "-X", "acks=all", "-l"]).arg(&file);
    process::checked(&mut command, Duration::from_secs(60))?;
    let leader = nodes.leader(TOPIC, 0)?;
    let near = leader % 3 + 1;
    let java = Java::of("failover", "Rack")?;
    let bootstrap = nodes.bootstrap();
    let most = |rack: &str| -> Result<i32> {
        let mut command = java.command(&bootstrap, &[TOPIC, rack, &RECORDS.to_string()]);
        let said = process::checked(&mut command, Duration::from_secs(90))?;
        ensure!(said.contains(&format!("read {RECORDS}")), "{said}");
        let bytes = said.lines().filter_map(|l| l.strip_prefix("node ")?.split_once(' '));
        let bytes =
            bytes.filter_map(|(id, total)| Some((total.parse::<i64>().ok()?, id.parse::<i32>().ok()?)));
        let (total, id) = bytes.max().with_context(|| said.clone())?;
        ensure!(total > 1000 * RECORDS as i64 / 2, "most of it from one broker: {said}");
        Ok(id)
    };
    let found = most(&format!("rack-{near}"))?;
    ensure!(found == near, "rack-{near}: read from node {found}, and {leader} leads");
    let found = most(&format!("rack-{leader}"))?;
    ensure!(found == leader, "the leader's own rack: read from node {found}, and {leader} leads");
    let found = most("a rack without brokers")?;
    ensure!(found == leader, "an unknown rack: read from node {found}, and {leader} leads");
    // The near one goes: the leader serves the same consumers.
    nodes.kill(near)?;
    programs::until("an ISR without it", SOON, || {
        Ok(!nodes.view()?.partitions[&(TOPIC.to_owned(), 0)].isr.contains(&near))
    })?;
    let leader = nodes.leader(TOPIC, 0)?;
    let found = most(&format!("rack-{near}"))?;
    ensure!(found == leader, "without node {near}: read from node {found}, and {leader} leads");
    nodes.start(near)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    let found = most(&format!("rack-{near}"))?;
    ensure!(found == near, "rack-{near} again: read from node {found}, and {leader} leads");
    nodes.no_panic()
}
