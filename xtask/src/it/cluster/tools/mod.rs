//! Apache Kafka's own tools against a cluster: what they print, what they change, and that producers notice nothing.

mod moves;
mod quorum;
mod racks;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::ledger::Ledger;
use super::nodes::{Nodes, Shape, Voters};
use super::wire;
use crate::compat::mixed::programs::{self, tool};
use crate::machine::Need;
use crate::peers;
use crate::process;
use crate::server::{CLUSTER, System};
use crate::tally::Tally;

pub const NEEDS: &[Need] = &[Need::Jdk, Need::Maven, Need::Kcat];

const TOPIC: &str = "ledger";
const SOME: usize = 200;
const SOON: Duration = Duration::from_secs(60);

/// `cluster-tools`.
pub fn run(tally: &mut Tally, system: System) {
    tally.check("kafka-metadata-quorum describe --status and --replication", || quorum::describe(system));
    tally.check("kafka-metadata-quorum add-controller, remove-controller, add-controller again", || {
        quorum::change(system)
    });
    tally
        .check("kafka-topics: create, describe, alter, what is short of replicas, delete", || topics(system));
    tally.check("kafka-cluster: id, endpoints, unregister", || cluster(system));
    tally.check("kafka-reassign-partitions: generate, execute, verify, cancel while producing", || {
        moves::reassign(system)
    });
    tally.check("kafka-leader-election: preferred, and unclean when no other is left", || {
        moves::elections(system)
    });
    tally
        .check("kafka-verifiable-producer and -consumer over a kill -9 of the leader", || verifiable(system));
    tally.check("KIP-392: a consumer with a rack reads from the follower there", || racks::run(system));
}

/// A cluster that runs.
fn cluster_of(system: System, name: &str, shape: Shape, settings: &[(&str, &str)]) -> Result<Nodes> {
    let name = format!("cluster-tools-{name}");
    let heap: &[&str] = &["-Xmx384m", "-XX:TieredStopAtLevel=1"];
    let mut nodes = Nodes::of_kinds(&[system], heap, &name, shape, Voters::Static, settings)?;
    nodes.start_all()?;
    nodes.ready()?;
    Ok(nodes)
}

/// The column behind `label` of a line `Topic: T<TAB>Partition: 0<TAB>Leader: 1 ...`.
fn field<'l>(line: &'l str, label: &str) -> Result<&'l str> {
    let cell = line.split('\t').find_map(|cell| cell.trim().strip_prefix(label)?.strip_prefix(": "));
    Ok(cell.with_context(|| format!("no {label} in '{line}'"))?.trim())
}

fn topics(system: System) -> Result<()> {
    let mut nodes = cluster_of(system, "topics", Shape::Combined(3), &[])?;
    let bootstrap = nodes.bootstrap();
    let topics =
        |words: &[&str]| tool("kafka-topics", &[&["--bootstrap-server", &bootstrap], words].concat());
    let said = topics(&["--create", "--topic", "even", "--partitions", "10", "--replication-factor", "3"])?;
    ensure!(said.contains("Created topic even."), "{said}");
    topics(&["--create", "--topic", "placed", "--replica-assignment", "3:1,1:2,2:3"])?;
    nodes.whole("even")?;
    nodes.whole("placed")?;
    let text = topics(&["--describe", "--topic", "even"])?;
    let mut lines = text.lines();
    let head = lines.next().context("a header")?;
    ensure!(field(head, "PartitionCount")? == "10" && field(head, "ReplicationFactor")? == "3", "{head}");
    let rows: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    ensure!(rows.len() == 10, "ten partitions: {text}");
    for id in ["1", "2", "3"] {
        let led = rows.iter().filter(|row| field(row, "Leader").is_ok_and(|l| l == id)).count();
        ensure!((3..=4).contains(&led), "S4-13: node {id} leads {led} of ten: {text}");
    }
    for row in &rows {
        ensure!(field(row, "Replicas")? == field(row, "Isr")?, "all in sync as placed: {row}");
    }
    let text = topics(&["--describe", "--topic", "placed"])?;
    for (row, replicas) in text.lines().skip(1).zip(["3,1", "1,2", "2,3"]) {
        ensure!(field(row, "Replicas")? == replicas, "{replicas}: {row}");
    }
    topics(&["--alter", "--topic", "even", "--partitions", "12"])?;
    programs::until("twelve partitions", SOON, || {
        Ok(topics(&["--describe", "--topic", "even"])?.lines().filter(|l| l.starts_with('\t')).count() == 12)
    })?;
    nodes.whole("even")?;
    ensure!(topics(&["--describe", "--under-replicated-partitions"])?.trim().is_empty(), "none is short");
    nodes.kill(3)?;
    programs::until("short of replicas", SOON, || {
        let text = topics(&["--describe", "--under-replicated-partitions"])?;
        // Twelve of `even`, two of `placed`.
        Ok(text.lines().filter(|l| !l.trim().is_empty()).count() == 14)
    })?;
    let text = topics(&["--describe", "--under-replicated-partitions", "--topic", "even"])?;
    for row in text.lines().filter(|l| !l.trim().is_empty()) {
        ensure!(!field(row, "Isr")?.contains('3') && field(row, "Leader")? != "3", "{row}");
    }
    ensure!(topics(&["--describe", "--unavailable-partitions"])?.trim().is_empty(), "all have leaders");
    // `min.insync.replicas` of 2 and two nodes: `placed` has partitions with one.
    let text = topics(&["--describe", "--under-min-isr-partitions"])?;
    ensure!(text.lines().filter(|l| l.contains("placed")).count() == 2, "two below their minimum: {text}");
    nodes.start(3)?;
    nodes.ready()?;
    nodes.whole("even")?;
    topics(&["--delete", "--topic", "even"])?;
    programs::until("gone", SOON, || Ok(!topics(&["--list"])?.lines().any(|l| l == "even")))?;
    nodes.no_panic()
}

fn cluster(system: System) -> Result<()> {
    let mut nodes = cluster_of(system, "cluster", Shape::Split(3, 1), &[])?;
    let bootstrap = nodes.bootstrap();
    let said = tool("kafka-cluster", &["cluster-id", "--bootstrap-server", &bootstrap])?;
    ensure!(said.trim() == format!("Cluster ID: {CLUSTER}"), "{said}");
    let controller = nodes.all.iter().find_map(|n| n.controller_port).context("a controller")?;
    let at_controller = format!("localhost:{controller}");
    let said = tool("kafka-cluster", &["cluster-id", "--bootstrap-controller", &at_controller])?;
    ensure!(said.trim() == format!("Cluster ID: {CLUSTER}"), "{said}");
    let said = tool("kafka-cluster", &["list-endpoints", "--bootstrap-server", &bootstrap])?;
    for port in nodes.all_ports() {
        ensure!(said.lines().any(|l| l.contains(&port.to_string())), "port {port}: {said}");
    }
    nodes.stop(3)?;
    let unregister = ["unregister", "--bootstrap-server", &bootstrap, "--id", "3"];
    programs::until("unregistered", SOON, || {
        Ok(tool("kafka-cluster", &unregister)?.contains("Broker 3 is no longer registered."))
    })?;
    let fenced = ["list-endpoints", "--bootstrap-server", &bootstrap, "--include-fenced-brokers"];
    let said = tool("kafka-cluster", &fenced)?;
    ensure!(!said.lines().skip(1).any(|l| l.split_whitespace().next() == Some("3")), "3 is gone: {said}");
    // It registers anew when it starts.
    nodes.start(3)?;
    nodes.ready()?;
    nodes.no_panic()
}

fn verifiable(system: System) -> Result<()> {
    let mut nodes = cluster_of(system, "verifiable", Shape::Combined(3), &[])?;
    let bootstrap = nodes.bootstrap();
    let code = wire::create_topic(nodes.ports()[0], TOPIC, 3, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.whole(TOPIC)?;
    let jars = peers::install()?;
    let count = "3000";
    let mut command = peers::tool(&jars, "kafka-verifiable-producer")?;
    command.args(["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--max-messages", count]);
    command.args(["--throughput", "300"]);
    let producer = programs::Program::start(nodes.dir(), "verifiable-producer", command)?;
    let acknowledged = |text: &str| -> Vec<String> {
        let values = text.lines().filter(|l| l.contains("producer_send_success"));
        values.filter_map(|l| json(l)?.get("value")?.as_str().map(str::to_owned)).collect()
    };
    programs::until("a third acknowledged", SOON, || Ok(acknowledged(&producer.said()).len() > 1000))?;
    let id = nodes.leader(TOPIC, 0)?;
    nodes.kill(id)?;
    programs::until("all acknowledged", SOON * 2, || Ok(producer.said().contains("shutdown_complete")))?;
    let said = producer.end(false)?;
    // It never sends again: what was under way to the leader that was killed is an error, and may be there or not.
    let sent = acknowledged(&said);
    let errors: Vec<String> = said
        .lines()
        .filter(|l| l.contains("producer_send_error"))
        .filter_map(|l| json(l)?.get("value")?.as_str().map(str::to_owned))
        .collect();
    ensure!(sent.len() + errors.len() == 3000, "{} acknowledged, {} not", sent.len(), errors.len());
    ensure!(errors.len() < 300, "{} of 3000 failed", errors.len());
    nodes.start(id)?;
    nodes.ready()?;
    let mut command = peers::tool(&jars, "kafka-verifiable-consumer")?;
    command.args(["--bootstrap-server", &bootstrap, "--topic", TOPIC, "--group-id", "verifiers"]);
    let least = sent.len().to_string();
    command.args(["--max-messages", &least, "--verbose", "--reset-policy", "earliest"]);
    let said = process::checked(&mut command, SOON * 2)?;
    let mut read: Vec<String> = said
        .lines()
        .filter_map(json)
        .filter(|line| line["name"] == "record_data")
        .filter_map(|line| line["value"].as_str().map(str::to_owned))
        .collect();
    read.sort();
    let distinct = read.len();
    read.dedup();
    ensure!(read.len() == distinct, "{} records were read twice", distinct - read.len());
    // It ends with the batch in which it has read enough.
    let lost = sent.iter().filter(|value| read.binary_search(value).is_err()).count();
    let unacknowledged = read.iter().filter(|value| errors.contains(value)).count();
    ensure!(lost <= unacknowledged, "{lost} acknowledged records were not read");
    ensure!(said.contains("\"offsets_committed\"") && !said.contains("\"success\":false"), "{said}");
    nodes.no_panic()
}

fn json(line: &str) -> Option<serde_json::Value> {
    serde_json::from_str(line).ok()
}

fn finish(nodes: &Nodes, ledger: Ledger) -> Result<()> {
    let verdict = ledger.close(nodes)?;
    println!(
        "      {} records acknowledged and read back; the longest silence was {} ms",
        verdict.records,
        verdict.silence.as_millis()
    );
    nodes.no_panic()
}
