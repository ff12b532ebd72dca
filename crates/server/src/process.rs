//! What this process takes of the machine, under the names that every Prometheus client has.

use std::fs;

use ottla_ops::{Figure, Kind};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// Tells the figures of the process; those that this system does not tell are left out.
pub(crate) fn measure(tell: &mut dyn FnMut(Figure<'_>)) {
    let mut say = |name, help, kind, value| tell(Figure { name, help, kind, labels: &[], value });
    if let Some((seconds, start)) = times() {
        let help = "Processor time, user and system.";
        say("process_cpu_seconds_total", help, Kind::Counter, seconds);
        if let Some(booted) = booted() {
            let help = "When the process was started, seconds since 1970.";
            say("process_start_time_seconds", help, Kind::Gauge, booted + start);
        }
    }
    if let Some(bytes) = resident_bytes() {
        say("process_resident_memory_bytes", "Memory in use.", Kind::Gauge, bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The directory that is being read is one of them.
        say(
            "process_open_fds",
            "Open files and sockets.",
            Kind::Gauge,
            open.count().saturating_sub(1) as f64,
        );
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        say("process_max_fds", "Open files and sockets that there may be.", Kind::Gauge, most as f64);
    }
    let labels: &[(&str, &str)] = &[("version", env!("CARGO_PKG_VERSION")), ("kafka_version", "4.3.1")];
    let (name, help) = ("ottla_build_info", "1 for the release that runs.");
    tell(Figure { name, help, kind: Kind::Gauge, labels, value: 1.0 });
}

/// Processor seconds, and when the process started, in seconds after the machine did.
fn times() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may have blanks.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let each = clock_ticks_per_second() as f64;
    Some(((ticks(11)? + ticks(12)?) / each, ticks(19)? / each))
}

/// When the machine started, seconds since 1970.
fn booted() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn resident_bytes() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_size() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let mut told = Vec::new();
        measure(&mut |figure| told.push((figure.name, figure.value)));
        let value = |name: &str| told.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert!(value("process_resident_memory_bytes").expect("told") > 1e5);
        assert!(value("process_open_fds").expect("told") >= 3.0);
        let started = value("process_start_time_seconds").expect("told");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        assert!((0.0..3600.0).contains(&(now.as_secs_f64() - started)), "{started}");
        assert_eq!(value("ottla_build_info"), Some(1.0));
    }
}
