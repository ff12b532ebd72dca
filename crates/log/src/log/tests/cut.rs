//! A truncation whose effect must be as durable as what is appended after it.

use super::*;
use crate::fs::Disk;

/// The log is cut inside its first segment, and what follows begins a second one. A flush makes that durable; the
/// cut must not be taken back by a power cut, or two segments would hold the same offsets and recovery would throw
/// the newer one away.
#[test]
fn a_flush_after_a_truncation_makes_the_cut_durable() {
    let bench = Bench::new(LogConfig { segment_bytes: 1_000, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 3, 2);
    log.flush(NOW).unwrap();
    assert_eq!(bench.names().iter().filter(|name| name.ends_with(".log")).count(), 1);
    log.truncate_to(4, NOW).unwrap();
    log.roll(NOW).unwrap();
    append(&mut log, &batch(5, NOW + 7)).unwrap();
    log.flush(NOW).unwrap();
    let whole = records(&log, 0);
    assert_eq!(whole.len(), 9);
    drop(log);
    // Seeds choose what of the unsynced changes is kept; none of it may matter.
    bench.disk.power_off();
    for seed in 0..8 {
        bench.disk.power_on(seed);
        let (log, report) = bench.open(false, 0);
        assert_eq!(records(&log, 0), whole, "seed {seed}: {:?}", report.repairs);
        drop(log);
        bench.disk.power_off();
    }
}

/// The same directory after the first power cut: what was cut stays cut on the disk itself.
#[test]
fn the_cut_is_on_the_disk_itself() {
    let bench = Bench::new(LogConfig { segment_bytes: 1_000, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 3, 2);
    log.flush(NOW).unwrap();
    log.truncate_to(4, NOW).unwrap();
    log.roll(NOW).unwrap();
    append(&mut log, &batch(1, NOW)).unwrap();
    log.flush(NOW).unwrap();
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let now = bench.disk.stat(path).unwrap().unwrap().len as usize;
    assert_eq!(bench.disk.durable(path, <[u8]>::len), Some(now));
}
