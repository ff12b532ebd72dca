//! Three nodes, three replicas, acks=all: what a cluster costs, and how long it is silent when a node is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::load::{Load, Target};
use super::report::Figures;
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::it::cluster::wire;
use crate::server::System;

const COPIES: i16 = 3;
/// Records a second while a node is killed.
const PACE: &str = "200";

/// All of it, on one cluster after the other.
pub fn measure(system: System, load: &Load, figures: &mut Figures) -> Result<()> {
    figures.put("three nodes: from nothing to the first acknowledged record", "ms", first_record(system)?);
    under_load(system, load, figures)?;
    killed(system, load, figures)
}

fn three(system: System, name: &str) -> Result<Nodes> {
    Nodes::make(system, name, Shape::Combined(3), Voters::Static)
}

/// From the start of three processes on formatted, empty directories to an acknowledgement by acks=all.
fn first_record(system: System) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let mut nodes = three(system, "bench-first")?;
        let start = Instant::now();
        nodes.start_all()?;
        let ledger = loop {
            // Until a topic of three replicas can be made.
            let port = nodes.ports()[0];
            if wire::create_topic(port, "first", 1, COPIES).is_ok_and(|code| matches!(code, 0 | 36)) {
                break Ledger::begin(&nodes, "first", 1, COPIES)?;
            }
            ensure!(start.elapsed() < Duration::from_secs(120), "no topic after 120 s");
            thread::sleep(Duration::from_millis(2));
        };
        ledger.until_more(1)?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        ledger.close(&nodes)?;
    }
    times.sort_by(f64::total_cmp);
    Ok(times[1])
}

fn under_load(system: System, load: &Load, figures: &mut Figures) -> Result<()> {
    let mut nodes = three(system, "bench-cluster")?;
    nodes.start_all()?;
    nodes.ready()?;
    thread::sleep(Duration::from_secs(5));
    let target = Target {
        bootstrap: nodes.bootstrap(),
        pids: nodes.all.iter().filter_map(|node| node.pid()).collect(),
        copies: COPIES as usize,
    };
    figures.put("three nodes: RSS idle", "MiB", target.resident_mib()?);
    let mut plain = Figures::quiet();
    load.warm(&target)?;
    for (size, part) in [(100, 1), (1024, 2)] {
        let records = load.scale.records / part;
        let topic = load.produce(&target, size, records, "all", &mut plain)?;
        load.consume(&target, &topic, size, records, &mut plain)?;
    }
    load.latency(&target, &mut plain)?;
    load.foreign_producer(&target, &["-1"], &mut plain)?;
    for (name, unit, value) in plain.into_rows() {
        figures.put(&format!("three nodes: {name}"), unit, value);
    }
    figures.put("three nodes: RSS after the load", "MiB", target.resident_mib()?);
    nodes.no_panic()
}

/// kill -9 of the leader of everything the Java producer writes, then of the active controller.
fn killed(system: System, load: &Load, figures: &mut Figures) -> Result<()> {
    let mut silences = Vec::new();
    let mut creations = Vec::new();
    for round in 0..3 {
        let mut nodes = three(system, "bench-killed")?;
        nodes.start_all()?;
        nodes.ready()?;
        let topic = format!("killed-{round}");
        // Each node leads a partition of the book, so the killed one does.
        let ledger = Ledger::open(&nodes, &format!("book-{round}"), 3, COPIES)?;
        ensure!(wire::create_topic(nodes.ports()[0], &topic, 1, COPIES)? == 0, "{topic} was not made");
        nodes.whole(&topic)?;
        let java = Acknowledged::of(load, &nodes.bootstrap(), &topic)?;
        java.until(400)?;
        let leader = nodes.leader(&topic, 0)?;
        nodes.kill(leader)?;
        java.until(400)?;
        silences.push((java.end()?, ledger.close(&nodes)?.silence.as_secs_f64() * 1000.0));
        nodes.start(leader)?;
        nodes.ready()?;
        nodes.whole(&topic)?;
        let controller = nodes.controller()?;
        nodes.kill(controller)?;
        let start = Instant::now();
        let name = format!("after-{round}");
        loop {
            let port = nodes.ports()[0];
            if wire::create_topic(port, &name, 1, 2).is_ok_and(|code| matches!(code, 0 | 36)) {
                break;
            }
            ensure!(
                start.elapsed() < Duration::from_secs(60),
                "no topic within 60 s of the controller's death"
            );
            thread::sleep(Duration::from_millis(5));
        }
        creations.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let worst = |values: Vec<f64>| values.into_iter().fold(0.0, f64::max);
    let (java, own): (Vec<f64>, Vec<f64>) = silences.into_iter().unzip();
    figures.put("three nodes: kill -9 of a leader, longest silence, Java", "ms", worst(java));
    figures.put("three nodes: kill -9 of a leader, longest silence, wire", "ms", worst(own));
    figures.put("three nodes: kill -9 of the controller, until a topic is made", "ms", worst(creations));
    Ok(())
}

/// `kafka-verifiable-producer`, whose lines tell when each record was acknowledged.
struct Acknowledged {
    child: Child,
    lines: Receiver<String>,
    times: std::cell::RefCell<Vec<i64>>,
}

impl Acknowledged {
    fn of(load: &Load, bootstrap: &str, topic: &str) -> Result<Acknowledged> {
        let mut command = load.command("kafka-verifiable-producer")?;
        command.args([
            "--bootstrap-server",
            bootstrap,
            "--topic",
            topic,
            "--acks",
            "-1",
            "--throughput",
            PACE,
        ]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = BufReader::new(child.stdout.take().context("its output")?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Acknowledged { child, lines, times: Vec::new().into() })
    }

    /// Until so many further records are acknowledged.
    fn until(&self, more: usize) -> Result<()> {
        let wanted = self.times.borrow().len() + more;
        while self.times.borrow().len() < wanted {
            let line =
                self.lines.recv_timeout(Duration::from_secs(60)).context("no acknowledgement in 60 s")?;
            self.see(&line);
        }
        Ok(())
    }

    fn see(&self, line: &str) {
        let Ok(event) = serde_json::from_str::<Value>(line) else { return };
        if event["name"] == "producer_send_success"
            && let Some(time) = event["timestamp"].as_i64()
        {
            self.times.borrow_mut().push(time);
        }
    }

    /// The longest time between two acknowledgements, ms.
    fn end(mut self) -> Result<f64> {
        self.child.kill()?;
        self.child.wait()?;
        let times = self.times.borrow();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        Ok(gap.context("two acknowledgements")? as f64)
    }
}
