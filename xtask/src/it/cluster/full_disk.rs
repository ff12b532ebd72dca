//! `cluster-full-disk`: the data directory of one node of three fills up. The others go on, nothing is lost, and with room
//! again the node has everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::super::batch;
use super::ledger::Ledger;
use super::nodes::{Nodes, Shape, Voters};
use super::wire;
use crate::machine::Need;
use crate::process;
use crate::server::{CLUSTER, System};
use crate::tally::Tally;

pub const NEEDS: &[Need] = &[Need::Mount, Need::Kcat];

const TOPIC: &str = "ledger";
const BALLAST: &str = "ballast";
const SOME: usize = 300;
const LIMIT: Duration = Duration::from_secs(60);

pub fn run(tally: &mut Tally, system: System) {
    tally.check("a full data directory on one node of three", || full(system));
}

/// A file system in memory, for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn at(dir: &Path, size: &str) -> Result<Mounted> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir);
        process::checked(&mut mount, LIMIT)?;
        Ok(Mounted(dir.to_owned()))
    }

    fn resize(&self, size: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.0);
        process::checked(&mut mount, LIMIT).map(drop)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn full(system: System) -> Result<()> {
    let mut nodes = Nodes::make(system, "cluster-full-disk", Shape::Combined(3), Voters::Static)?;
    let small = 2;
    let data = nodes.node(small).data();
    fs::remove_dir_all(&data)?;
    fs::create_dir_all(&data)?;
    let disk = Mounted::at(&data, "32m")?;
    nodes.format_as(small, CLUSTER, &[])?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    let code = wire::create_topic(nodes.ports()[0], BALLAST, 1, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.whole(TOPIC)?;
    nodes.whole(BALLAST)?;
    fill(&nodes, small)?;
    // Whether it ends (its only directory is gone) or stays without a partition: it is in no ISR.
    let start = Instant::now();
    loop {
        let view = nodes.view()?;
        let holds = view.partitions.iter().filter(|(_, p)| p.isr.contains(&small)).count();
        if holds == 0 {
            break;
        }
        ensure!(start.elapsed() < LIMIT, "{holds} partitions have it in sync{}", nodes.node(small).tail());
        if start.elapsed() > Duration::from_secs(10) {
            fill(&nodes, small)?;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let log = nodes.node(small).log().to_lowercase();
    ensure!(log.contains("no space left"), "no word of the full disk{}", nodes.node(small).tail());
    ledger.until_more(SOME)?;
    // Room again: started again it comes back by itself.
    disk.resize("512m")?;
    if nodes.is_there(small) {
        nodes.stop(small)?;
    }
    nodes.start(small)?;
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    nodes.whole(BALLAST)?;
    ledger.until_more(SOME)?;
    // What it has it has whole: it does without each of the others in turn.
    for other in [1, 3] {
        nodes.kill(other)?;
        ledger.until_more(SOME)?;
        nodes.start(other)?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
    }
    let verdict = ledger.close(&nodes)?;
    println!(
        "      {} records acknowledged and read back; the longest silence was {} ms",
        verdict.records,
        verdict.silence.as_millis()
    );
    // Replicas that cannot write leave the ISR because they say so, not because they are late (30 s).
    let longest = Duration::from_secs(20);
    ensure!(verdict.silence < longest, "a silence of {} ms", verdict.silence.as_millis());
    drop(disk);
    nodes.no_panic()
}

/// Writes until the small node is out of a partition's ISR, or 60 MB are written.
fn fill(nodes: &Nodes, small: i32) -> Result<()> {
    let big = batch::Batch::of(batch::record(0, &[b'x'; 500_000]), 1).bytes();
    for _ in 0..120 {
        let view = nodes.view()?;
        let Some(partition) = view.partitions.get(&(BALLAST.to_owned(), 0)) else { bail!("no ballast") };
        if !partition.isr.contains(&small) {
            return Ok(());
        }
        if let Some(port) = view.brokers.get(&partition.leader) {
            // A leader that is the small one refuses at the end.
            let _ = batch::produce(*port, BALLAST, &big);
        }
    }
    Ok(())
}
