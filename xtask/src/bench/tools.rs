//! Our tools beside Apache Kafka's on the same node: how long a short one takes, and how fast and at which cost the
//! consumers read.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::load::{Load, Target};
use super::report::{Figures, Report};
use super::still::median;
use crate::process;
use crate::server::{Server, Site, System, children_cpu_seconds};

const LIMIT: Duration = Duration::from_secs(600);
/// Topics that `kafka-topics --describe` has to show.
const TOPICS: u32 = 10;

/// Everything, on a node of ours: the faster one, so that it holds neither of them up.
pub fn measure(load: &Load, report: &mut Report) -> Result<()> {
    let server = Server::start(System::Ottla, &Site::fresh("bench-tools")?)?;
    let target = Target::one(&server);
    for _ in 0..TOPICS {
        load.topic(&target, 3)?;
    }
    let mut nowhere = Figures::quiet();
    let topic = load.produce(&target, 100, load.scale.records, "1", &mut nowhere)?;
    for system in [System::Apache, System::Ottla] {
        println!("-- the tools of {}", system.name());
        let mut figures = Figures::default();
        short(system, load, &target, &mut figures)?;
        console(system, load, &target, &topic, &mut figures)?;
        perf(system, load, &target, &topic, &mut figures)?;
        report.put(system, figures);
    }
    server.stop().map(drop)
}

fn tool(system: System, load: &Load, name: &str) -> Result<Command> {
    match system {
        System::Apache => load.command(name),
        System::Ottla => system.program(name),
    }
}

/// The wall time of `--help` and of one question to the node.
fn short(system: System, load: &Load, target: &Target, figures: &mut Figures) -> Result<()> {
    let describe = ["--bootstrap-server", &target.bootstrap, "--describe"];
    // The first one also reads the program from the disk.
    let rounds = if system == System::Apache { 6 } else { 51 };
    for (name, words) in [("--help", &["--help"][..]), ("--describe", &describe)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let mut command = tool(system, load, "kafka-topics")?;
            command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let start = Instant::now();
            let status = command.status()?;
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            // Apache's --help ends with 1.
            ensure!(status.success() || name == "--help", "kafka-topics {name}: {status}");
        }
        figures.put(&format!("kafka-topics {name}: wall time"), "ms", median(&times[1..]));
    }
    Ok(())
}

/// `kafka-console-consumer` with its output thrown away: from its start to its end, as whoever types it waits for it.
fn console(system: System, load: &Load, target: &Target, topic: &str, figures: &mut Figures) -> Result<()> {
    let count = load.scale.records.to_string();
    let mut command = tool(system, load, "kafka-console-consumer")?;
    command.args(["--bootstrap-server", &target.bootstrap, "--topic", topic, "--from-beginning"]);
    command.args(["--max-messages", &count, "--timeout-ms", "60000"]);
    let (took, cpu, said) = run(&mut command, Stdio::null())?;
    ensure!(said.contains(&format!("total of {count} messages")), "kafka-console-consumer: {said}");
    let mb = load.scale.records as f64 * 100.0 / 1e6;
    figures.put("kafka-console-consumer 100 B: rate", "MB/s", mb / took.as_secs_f64());
    figures.put("kafka-console-consumer 100 B: CPU", "s", cpu);
    Ok(())
}

/// `kafka-consumer-perf-test`: the rate is its own, without its start; the processor time is the whole process's.
fn perf(system: System, load: &Load, target: &Target, topic: &str, figures: &mut Figures) -> Result<()> {
    let count = load.scale.records.to_string();
    let mut command = tool(system, load, "kafka-consumer-perf-test")?;
    command.args(["--bootstrap-server", &target.bootstrap, "--topic", topic]);
    command.args(["--num-records", &count, "--timeout", "60000"]);
    let path = process::target().join("judges/bench-tools/perf");
    let (_, cpu, _) = run(&mut command, File::create(&path)?.into())?;
    let text = fs::read_to_string(&path)?;
    let row: Vec<&str> = text.lines().last().context("no row")?.split(',').map(str::trim).collect();
    ensure!(row.len() > 9, "kafka-consumer-perf-test says: {text}");
    ensure!(row[4].parse::<u64>()? >= load.scale.records, "not all was read: {text}");
    figures.put("kafka-consumer-perf-test 100 B: rate", "MB/s", row[8].parse()?);
    figures.put("kafka-consumer-perf-test 100 B: CPU", "s", cpu);
    Ok(())
}

/// How long it took, its processor time, and its standard error.
fn run(command: &mut Command, stdout: Stdio) -> Result<(Duration, f64, String)> {
    let path = process::target().join("judges/bench-tools/said");
    command.stdin(Stdio::null()).stdout(stdout).stderr(File::create(&path)?);
    let before = children_cpu_seconds()?;
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| process::shown(command))?;
    let status = process::wait(&mut child, LIMIT)?;
    let took = start.elapsed();
    let said = fs::read_to_string(&path)?;
    match status {
        Some(status) => ensure!(status.success(), "{} ended with {status}: {said}", process::shown(command)),
        None => {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("{} took longer than {} s", process::shown(command), LIMIT.as_secs());
        }
    }
    Ok((took, children_cpu_seconds()? - before, said))
}
