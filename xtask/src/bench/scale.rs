//! Very many partitions over three nodes: to create them, to keep them, to restart a node and to lose the active
//! controller while they are there.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::Scale;
use super::report::Figures;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::it::cluster::wire;
use crate::server::{System, cpu_seconds, resident_mib};

const COPIES: i16 = 3;
/// Partitions of one topic.
const EACH: u64 = 1_000;
/// Ten times the partitions of a single node's part.
const TIMES: u64 = 10;
/// However slow it is, that is slower.
const LIMIT: Duration = Duration::from_secs(1_800);

/// All of it, on one cluster.
pub fn measure(system: System, scale: Scale, figures: &mut Figures) -> Result<()> {
    let count = scale.partitions * TIMES;
    let what = |text: &str| format!("{count} partitions on three nodes: {text}");
    let mut nodes = Nodes::make(system, "bench-scale", Shape::Combined(3), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    thread::sleep(Duration::from_secs(3));
    let empty = resident(&nodes)?;

    let begun = Instant::now();
    for topic in 0..count / EACH {
        create(&nodes, &format!("many-{topic}"), EACH as i32)?;
    }
    figures.put(&what("to create them"), "s", begun.elapsed().as_secs_f64());
    whole(&nodes, count)?;
    figures.put(&what("until all are in sync"), "s", begun.elapsed().as_secs_f64());
    thread::sleep(Duration::from_secs(5));
    let kib = (resident(&nodes)? - empty) * 1024.0 / (count * COPIES as u64) as f64;
    figures.put(&what("RSS a replica"), "KiB", kib);
    let before = processor(&nodes)?;
    thread::sleep(Duration::from_secs(scale.idle));
    let spent = (processor(&nodes)? - before) / 3.0;
    figures.put(&what("idle CPU of a node"), "% of a core", spent / scale.idle as f64 * 100.0);

    let leader = nodes.controller()?;
    let restarted = leader % 3 + 1;
    let begun = Instant::now();
    nodes.stop(restarted)?;
    figures.put(&what("to stop a node"), "s", begun.elapsed().as_secs_f64());
    thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    nodes.start(restarted)?;
    until_serving(&nodes, restarted)?;
    figures.put(&what("restart until a node answers"), "s", begun.elapsed().as_secs_f64());
    whole(&nodes, count)?;
    figures.put(&what("restart until all are in sync"), "s", begun.elapsed().as_secs_f64());

    let mut silences = Vec::new();
    for round in 0..3 {
        let leader = nodes.controller()?;
        nodes.kill(leader)?;
        let begun = Instant::now();
        create_with(&nodes, &format!("after-{round}"), 1, 2)?;
        silences.push(begun.elapsed().as_secs_f64() * 1000.0);
        nodes.start(leader)?;
        until_serving(&nodes, leader)?;
        whole(&nodes, count)?;
    }
    silences.sort_by(f64::total_cmp);
    figures.put(&what("kill -9 of the controller, until a topic can be created"), "ms", silences[1]);
    nodes.no_panic()
}

/// Creates a topic, however often that takes.
fn create(nodes: &Nodes, name: &str, partitions: i32) -> Result<()> {
    create_with(nodes, name, partitions, COPIES)
}

fn create_with(nodes: &Nodes, name: &str, partitions: i32, copies: i16) -> Result<()> {
    let begun = Instant::now();
    loop {
        for port in nodes.ports() {
            match wire::create_topic(port, name, partitions, copies) {
                // TOPIC_ALREADY_EXISTS: an earlier attempt came through, only its answer did not.
                Ok(0 | 36) => return Ok(()),
                _ if begun.elapsed() > LIMIT => bail!("topic {name} is not created after {LIMIT:?}"),
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// Until as many partitions as there are to be have all their replicas in sync, as every node sees it.
fn whole(nodes: &Nodes, count: u64) -> Result<()> {
    let begun = Instant::now();
    for port in nodes.ports() {
        loop {
            let view = wire::view(port).unwrap_or_default();
            let many = view.partitions.iter().filter(|((name, _), _)| name.starts_with("many-"));
            let in_sync = many.filter(|(_, p)| p.isr.len() == p.replicas.len()).count() as u64;
            if in_sync == count {
                break;
            }
            ensure!(begun.elapsed() < LIMIT, "{in_sync} of {count} partitions are in sync after {LIMIT:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

/// Until a node lists all brokers.
fn until_serving(nodes: &Nodes, id: i32) -> Result<()> {
    let begun = Instant::now();
    let port = nodes.all.iter().find(|node| node.id == id).and_then(|node| node.port).unwrap_or_default();
    while wire::view(port).map_or(0, |view| view.brokers.len()) < 3 {
        ensure!(begun.elapsed() < LIMIT, "node {id} does not serve after {LIMIT:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn resident(nodes: &Nodes) -> Result<f64> {
    nodes.all.iter().filter_map(|node| node.pid()).map(resident_mib).sum()
}

fn processor(nodes: &Nodes) -> Result<f64> {
    nodes.all.iter().filter_map(|node| node.pid()).map(cpu_seconds).sum()
}
