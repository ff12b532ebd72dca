//! Three nodes on this machine, a producer and a consumer that never stop, and kill -9 for one node after the other:
//! what the cluster promises, checked while you watch.
//!
//! `cargo build --release && cargo run --release -p cluster`. It ends with 1 when a promise is broken; `--stay` leaves
//! the cluster up.

mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use ottla_local_cluster::{Cluster, Topology};
use traffic::Counters;

const TOPIC: &str = "orders";
const PARTITIONS: usize = 3;
/// How long anything may take before it counts as a promise that was not kept.
const LIMIT: Duration = Duration::from_secs(60);

/// Three local nodes, running counters, kill -9, and the promises checked.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to run [default: `ottla` beside this one].
    #[arg(long)]
    ottla: Option<PathBuf>,
    /// Leave the cluster up at the end, until Ctrl-C.
    #[arg(long)]
    stay: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nBROKEN: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let mut cluster = Cluster::ephemeral(binary(arguments)?, Topology::combined(3))?;
    cluster.start_all()?;
    cluster.wait_ready(LIMIT)?;
    println!("three nodes serve after {} ms: {}", start.elapsed().as_millis(), cluster.bootstrap());
    for node in cluster.nodes() {
        println!("  node {}: pid {}", node.id, node.pid().context("it runs")?);
    }
    let ports: Vec<(i32, u16)> = cluster.nodes().iter().filter_map(|n| Some((n.id, n.port?))).collect();
    let counters = Arc::new(Counters::new(PARTITIONS));
    let traffic = traffic::begin(TOPIC, ports, counters.clone());
    println!(
        "\n`{TOPIC}`: {PARTITIONS} partitions, three replicas each; an idempotent producer with acks=all, and a consumer\n"
    );
    let mut exercise = Exercise { cluster, counters };
    exercise.flows("before anything happens")?;
    exercise.whole()?;

    let leader = exercise.leader(0)?;
    exercise.kill(&format!("the leader of {TOPIC}-0"), leader)?;
    let controller = exercise.cluster.controller().context("no active controller")?.id;
    exercise.kill("the active controller", controller)?;
    for partition in 1..PARTITIONS {
        let leader = exercise.leader(partition as i32)?;
        exercise.kill(&format!("two in turn: the leader of {TOPIC}-{partition}"), leader)?;
    }

    let Exercise { cluster, counters } = exercise;
    counters.finish();
    traffic.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))?;
    counters.broken()?;
    let (acknowledged, read) = (counters.acknowledged(), counters.read());
    ensure!(read >= acknowledged, "{acknowledged} records were acknowledged and {read} read");
    println!("\n{acknowledged} records acknowledged, every one read back once and in order. Lost: 0.");
    println!("The longest silence of acknowledgements: {} ms.", counters.longest().as_millis());
    if arguments.stay {
        println!("\nThe cluster stays at {} until Ctrl-C.", cluster.bootstrap());
        loop {
            thread::park();
        }
    }
    Ok(())
}

fn binary(arguments: &Arguments) -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("ottla"));
    let binary = arguments.ottla.clone().or_else(beside).context("where is ottla? --ottla FILE")?;
    ensure!(binary.is_file(), "there is no {}: cargo build --release, or --ottla FILE", binary.display());
    Ok(binary)
}

struct Exercise {
    cluster: Cluster,
    counters: Arc<Counters>,
}

impl Exercise {
    /// kill -9, then the same node again; tells what that cost.
    fn kill(&mut self, what: &str, id: i32) -> Result<()> {
        println!("kill -9 of node {id} ({what})");
        self.counters.new_silence();
        let killed = Instant::now();
        self.cluster.kill(id)?;
        self.flows("with two nodes")?;
        self.cluster.start(id)?;
        self.whole()?;
        let again = killed.elapsed();
        self.flows("with all three")?;
        println!(
            "  the longest silence of acks: {} ms; the ISR is whole {} ms after the kill\n",
            self.counters.silence().as_millis(),
            again.as_millis()
        );
        Ok(())
    }

    /// Until every partition has acknowledged and handed out some more records, showing the counters.
    fn flows(&self, when: &str) -> Result<()> {
        let (start, before) = (Instant::now(), self.counters.each());
        loop {
            self.counters.broken()?;
            let now = self.counters.each();
            let moved = before.iter().zip(&now).all(|(old, new)| new.0 >= old.0 + 100 && new.1 > old.1);
            if moved && start.elapsed() > Duration::from_millis(500) {
                println!(
                    "  {when}: {} acknowledged, {} read",
                    self.counters.acknowledged(),
                    self.counters.read()
                );
                return Ok(());
            }
            if start.elapsed() > LIMIT {
                bail!(
                    "{when}: (acknowledged, read) by partition went from {before:?} to {now:?} in {} s",
                    LIMIT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn leader(&self, partition: i32) -> Result<i32> {
        let view = self.cluster.view()?;
        let leader = view.partition(TOPIC, partition).map(|p| p.leader).filter(|leader| *leader >= 0);
        leader.with_context(|| format!("{TOPIC}-{partition} has no leader"))
    }

    /// Until every node serves and every replica is in sync.
    fn whole(&mut self) -> Result<()> {
        let start = Instant::now();
        self.cluster.wait_ready(LIMIT)?;
        loop {
            let view = self.cluster.view().unwrap_or_default();
            let mine = view.partitions.iter().filter(|p| p.topic == TOPIC && p.isr.len() == 3);
            if mine.count() == PARTITIONS {
                return Ok(());
            }
            ensure!(start.elapsed() < LIMIT, "the ISR is not whole after {} s: {view:?}", LIMIT.as_secs());
            thread::sleep(Duration::from_millis(5));
        }
    }
}
