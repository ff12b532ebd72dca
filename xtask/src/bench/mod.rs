//! `cargo xtask bench`: what a node costs and gives, beside a warm Apache Kafka in the same run. The load comes from
//! programs that are not ours: Apache Kafka's performance tools and librdkafka's. Printed as ratios with the raw figures
//! and saved as JSON in `target/bench/`.

mod cache;
mod cluster;
mod floor;
mod load;
mod report;
mod scale;
mod still;
mod tools;

use anyhow::{Context, Result, bail, ensure};

use crate::machine::{self, Need};
use crate::peers;
use crate::server::{self, Server, Site, System};
use load::{Load, Target};
use report::{Figures, Report};

pub use floor::serve as serve_floor;

const USAGE: &str = "\
usage: cargo xtask bench [--quick] [--only start|load|floor|partitions|cluster|tools|scale] [--against apache|ottla]

  --quick      a tenth of the records and partitions: shows that it runs, not what is true
  --only PART  one part of it
";

/// How much of everything.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Records of 100 bytes before anything is measured; a third as many of 1 KiB.
    pub warm: u64,
    /// Measured records of 100 bytes; half as many of 1 KiB.
    pub records: u64,
    /// Records that go through the node one after another.
    pub latency: u64,
    pub partitions: u64,
    /// Seconds of doing nothing.
    pub idle: u64,
}

const FULL: Scale =
    Scale { warm: 3_000_000, records: 3_000_000, latency: 5_000, partitions: 10_000, idle: 20 };
const QUICK: Scale = Scale { warm: 300_000, records: 300_000, latency: 500, partitions: 1_000, idle: 5 };

/// Runs the benchmark.
pub fn run(words: &[&str]) -> Result<()> {
    let (mut scale, mut only, mut systems) = (FULL, None, vec![System::Apache, System::Ottla]);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => scale = QUICK,
            "--only" => only = Some(*words.next().context(USAGE)?),
            "--against" => systems = vec![System::parse(words.next().context(USAGE)?)?],
            other => bail!("bench: '{other}'?\n\n{USAGE}"),
        }
    }
    ensure!(
        only.is_none_or(
            |part| ["start", "load", "floor", "partitions", "cluster", "tools", "scale"].contains(&part)
        ),
        "{USAGE}"
    );
    let lacking = machine::lacking(&[Need::Jdk, Need::Maven]);
    if let Some(need) = lacking.first() {
        bail!("lacking: {}", need.how());
    }
    let jars = peers::install()?;
    if systems.contains(&System::Ottla) {
        server::build()?;
    }
    let wanted = |part: &str| only.is_none_or(|only| only == part);
    let load = Load::new(jars, scale)?;
    let mut report = Report::default();
    let both = systems.len() == 2;
    for system in systems {
        println!("-- {}", system.name());
        let mut figures = Figures::default();
        if wanted("start") {
            still::start(system, scale, &mut figures)?;
        }
        if wanted("load") {
            loaded(system, &load, &mut figures)?;
        }
        if wanted("partitions") {
            still::partitions(system, &load, scale, &mut figures)?;
        }
        if wanted("cluster") {
            cluster::measure(system, &load, &mut figures)?;
        }
        // Long: only where it is asked for.
        if only == Some("scale") {
            scale::measure(system, scale, &mut figures)?;
        }
        report.put(system, figures);
    }
    ensure!(both || only != Some("tools"), "the tools are measured beside each other: without --against");
    if wanted("tools") && both {
        tools::measure(&load, &mut report)?;
    }
    if wanted("floor") || wanted("load") {
        println!("-- a bare loop of recv, pwritev and send");
        report.floor(floor::measure(&load)?);
    }
    report.print();
    report.save(scale)
}

/// Everything under load, on one node that stays up for all of it.
fn loaded(system: System, load: &Load, figures: &mut Figures) -> Result<()> {
    let site = Site::fresh(&format!("bench-{system:?}").to_lowercase())?;
    let server = Server::start(system, &site)?;
    let target = Target::one(&server);
    load.warm(&target)?;
    for acks in ["1", "all"] {
        for (size, part) in [(100, 1), (1024, 2)] {
            let records = load.scale.records / part;
            let topic = load.produce(&target, size, records, acks, figures)?;
            if acks == "all" {
                load.consume(&target, &topic, size, records, figures)?;
            }
        }
    }
    load.latency(&target, figures)?;
    load.foreign_producer(&target, &["1", "-1"], figures)?;
    figures.put("RSS after the load", "MiB", target.resident_mib()?);
    server.stop().map(drop)
}
