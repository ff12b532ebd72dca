//! `cluster-history`: Jepsen's list for Kafka (without transactions) over real processes that are killed, paused, stopped
//! and started again.

mod checker;
mod workload;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::nodes::{Nodes, Shape, Voters};
use super::wire;
use crate::server::System;
use crate::tally::Tally;
pub use checker::anomalies;
use checker::{Operation, Outcome, What};
pub use workload::{Places, Workload};

pub const TOPIC: &str = "history";
pub const PARTITIONS: i32 = 2;
pub const PROCESSES: usize = 6;
/// How long faults last.
const TROUBLE: Duration = Duration::from_secs(90);
const SOON: Duration = Duration::from_secs(60);

pub fn run(tally: &mut Tally, system: System) {
    for seed in [1, 2] {
        tally.check(&format!("kill -9, SIGSTOP and SIGTERM for 90 s, seed {seed}: no anomaly"), || {
            trouble(system, seed)
        });
    }
}

fn trouble(system: System, seed: u64) -> Result<()> {
    let mut nodes =
        Nodes::make(system, &format!("cluster-history-{seed}"), Shape::Combined(3), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let code = wire::create_topic(nodes.ports()[0], TOPIC, PARTITIONS, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.whole(TOPIC)?;
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let places: Places = nodes.all.iter().filter_map(|n| Some((n.id, at(n.port?)))).collect();
    let workload = Workload::start(&places, TOPIC, PARTITIONS, PROCESSES);
    workload.until_more(200, SOON)?;
    let start = Instant::now();
    let mut state = seed;
    let mut faults = Vec::new();
    while start.elapsed() < TROUBLE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let id = ((state >> 33) % 3) as i32 + 1;
        let pause = Duration::from_millis(500 + (state >> 40) % 3000);
        match (state >> 52) % 5 {
            0 => {
                faults.push("kill");
                nodes.kill(id)?;
                thread::sleep(pause);
            }
            1 => {
                faults.push("kill of the leader");
                if let Ok(leader) = nodes.leader(TOPIC, 0) {
                    nodes.kill(leader)?;
                }
                thread::sleep(pause / 4);
            }
            2 => {
                faults.push("pause");
                nodes.pause(id, true)?;
                thread::sleep(pause * 4);
                nodes.pause(id, false)?;
            }
            3 => {
                faults.push("stop");
                nodes.stop(id)?;
            }
            _ => {
                faults.push("kill of all");
                for id in 1..=3 {
                    nodes.kill(id)?;
                }
            }
        }
        nodes.start_all()?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
        workload.until_more(50, SOON)?;
    }
    judge(workload, &faults)?;
    nodes.no_panic()
}

/// Ends the workload and judges its history.
pub fn judge(workload: Workload, faults: &[&str]) -> Result<()> {
    let history = workload.finish()?;
    let found = anomalies(&history);
    let count = |wanted: &dyn Fn(&Operation) -> bool| history.iter().filter(|op| wanted(op)).count();
    let outcome = |op: &Operation| match op.what {
        What::Send { outcome, .. } => Some(outcome),
        What::Poll { .. } => None,
    };
    let taken = count(&|op| matches!(outcome(op), Some(Outcome::Taken(_))));
    let unknown = count(&|op| outcome(op) == Some(Outcome::Unknown));
    let refused = count(&|op| outcome(op) == Some(Outcome::Refused));
    let polls = count(&|op| outcome(op).is_none());
    println!(
        "      {} faults; {taken} sends acknowledged, {unknown} unknown, {refused} refused; {polls} polls; {} anomalies",
        faults.len(),
        found.len()
    );
    ensure!(taken > 500 && polls > 200, "too little was done to judge anything");
    ensure!(found.is_empty(), "{}", found[..found.len().min(10)].join("\n"));
    Ok(())
}
