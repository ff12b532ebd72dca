//! What a node takes to start and to be there: empty, and with many partitions.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Scale;
use super::load::{Load, Target};
use super::report::Figures;
use crate::server::{Server, Site, System, cpu_seconds, resident_mib};

/// From the start of the process to its first answer, on a formatted directory; memory and processor time at rest.
pub fn start(system: System, scale: Scale, figures: &mut Figures) -> Result<()> {
    let site = Site::fresh(&format!("bench-start-{system:?}").to_lowercase())?;
    let mut times = Vec::new();
    // The first start also reads the program from the disk.
    for _ in 0..4 {
        let server = Server::start(system, &site)?;
        times.push(server.ready.as_secs_f64() * 1000.0);
        server.stop()?;
    }
    figures.put("start to first answer", "ms", median(&times[1..]));
    let server = Server::start(system, &site)?;
    thread::sleep(Duration::from_secs(5));
    figures.put("RSS idle", "MiB", resident_mib(server.pid())?);
    let before = cpu_seconds(server.pid())?;
    thread::sleep(Duration::from_secs(scale.idle));
    let spent = cpu_seconds(server.pid())? - before;
    figures.put("idle CPU", "% of a core", spent / scale.idle as f64 * 100.0);
    server.stop().map(drop)
}

/// The same with many partitions that nobody uses.
pub fn partitions(system: System, load: &Load, scale: Scale, figures: &mut Figures) -> Result<()> {
    let site = Site::fresh(&format!("bench-partitions-{system:?}").to_lowercase())?;
    let server = Server::start_within(system, &site, Duration::from_secs(120))?;
    thread::sleep(Duration::from_secs(3));
    let empty = resident_mib(server.pid())?;
    let each = 500;
    for _ in 0..scale.partitions / each {
        load.topic(&Target::one(&server), each)?;
    }
    server.stop()?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let server = Server::start_within(system, &site, Duration::from_secs(600))?;
        times.push(server.ready.as_secs_f64() * 1000.0);
        thread::sleep(Duration::from_secs(5));
        let grown = (resident_mib(server.pid())? - empty) * 1024.0 / scale.partitions as f64;
        if times.len() == 2 {
            figures.put("RSS per idle partition", "KiB", grown);
        }
        server.stop()?;
    }
    figures.put(&format!("start with {} partitions", scale.partitions), "ms", times[1]);
    Ok(())
}

/// The one in the middle.
pub fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
