//! Deleting from the start.

use super::*;
use crate::Deleted;

/// Five segments of 20 records, the last one with 10; a record has the timestamp `NOW +` its offset.
fn bench(config: LogConfig) -> (Bench, Log) {
    let size = batch(5, NOW).len() as u32;
    let bench = Bench::new(LogConfig { segment_bytes: 4 * size, ..config });
    let mut log = bench.create();
    fill(&mut log, 18, 5);
    assert_eq!(bases(&log), [0, 20, 40, 60, 80]);
    (bench, log)
}

fn bases(log: &Log) -> Vec<Offset> {
    log.segments().map(|(base, _)| base).collect()
}

fn sweep(log: &mut Log, now_ms: i64) -> Deleted {
    log.apply_retention(now_ms).unwrap()
}

#[test]
fn segments_go_when_their_newest_record_is_too_old() {
    let (_bench, mut log) = bench(LogConfig { retention_ms: 1000, ..LogConfig::default() });
    assert_eq!(sweep(&mut log, NOW + 1019).segments(), 0);
    assert_eq!(sweep(&mut log, NOW + 1020), Deleted { by_time: 1, ..Deleted::default() });
    assert_eq!((log.log_start(), bases(&log)), (20, vec![20, 40, 60, 80]));
    // Nothing above the high watermark goes.
    log.set_high_watermark(60);
    assert_eq!(sweep(&mut log, NOW + 10_000).by_time, 2);
    log.set_high_watermark(90);
    assert_eq!(sweep(&mut log, NOW + 10_000).by_time, 2, "the active one is rolled and goes too");
    assert_eq!((log.log_start(), log.log_end(), bases(&log)), (90, 90, vec![90]));
    assert_eq!(sweep(&mut log, NOW + 20_000).segments(), 0);
    fill(&mut log, 1, 5);
    assert_eq!(records(&log, 90).len(), 5);
}

#[test]
fn segments_go_while_the_rest_is_large_enough() {
    let size = batch(5, NOW).len() as i64;
    let (_bench, mut log) = bench(LogConfig { retention_bytes: 9 * size, ..LogConfig::default() });
    assert_eq!(sweep(&mut log, NOW), Deleted { by_size: 2, ..Deleted::default() });
    assert_eq!((log.log_start(), log.size()), (40, 10 * size as u64));
    assert_eq!(sweep(&mut log, NOW).segments(), 0);
}

#[test]
fn only_what_is_below_the_log_start_goes_without_the_delete_policy() {
    let never = LogConfig {
        retention_bytes: 0,
        retention_ms: 0,
        delete: false,
        compact: true,
        ..LogConfig::default()
    };
    let (_bench, mut log) = bench(never);
    assert_eq!(sweep(&mut log, NOW + 1_000_000).segments(), 0);
    log.set_high_watermark(70);
    assert!(log.delete_records_before(71).is_err(), "above the high watermark");
    assert!(log.delete_records_before(55).unwrap());
    assert!(!log.delete_records_before(30).unwrap());
    assert_eq!(sweep(&mut log, NOW), Deleted { below_start: 2, ..Deleted::default() });
    assert_eq!((log.log_start(), bases(&log)), (55, vec![40, 60, 80]));
    assert_eq!(records(&log, 55).len(), 35);
}

#[test]
fn files_stay_under_another_name_for_a_while() {
    let (bench, mut log) = bench(LogConfig { file_delete_delay_ms: 500, ..LogConfig::default() });
    log.delete_records_before(45).unwrap();
    sweep(&mut log, NOW);
    let deleted = |bench: &Bench| bench.names().iter().filter(|name| name.ends_with(".deleted")).count();
    assert_eq!(deleted(&bench), 6);
    assert!(!bench.names().contains(&"00000000000000000020.snapshot".to_owned()));
    assert_eq!(log.dir().remove_doomed(NOW + 499).unwrap(), Some(NOW + 500));
    assert_eq!(deleted(&bench), 6);
    assert_eq!(log.dir().remove_doomed(NOW + 500).unwrap(), None);
    assert_eq!(deleted(&bench), 0);
    log.close().unwrap();
    let (log, report) = bench.open(true, 0);
    assert_eq!(
        (report, log.log_start()),
        (LoadReport::default(), 40),
        "the checkpoint is the caller's business"
    );
}

#[test]
fn a_follower_takes_its_leaders_log_start() {
    let (_bench, mut log) = bench(LogConfig::default());
    log.set_high_watermark(10);
    assert!(log.follow_log_start(70));
    assert_eq!((log.log_start(), log.high_watermark()), (70, 70));
    assert!(!log.follow_log_start(60));
    assert!(log.follow_log_start(1000));
    assert_eq!((log.log_start(), log.log_end()), (90, 90));
}

#[test]
fn records_without_timestamps_age_with_their_file() {
    let (bench, mut log) = bench(LogConfig { retention_ms: 1000, ..LogConfig::default() });
    log.truncate_fully(0, NOW).unwrap();
    for _ in 0..9 {
        append(&mut log, &build_without_time()).unwrap();
    }
    log.set_high_watermark(log.log_end());
    bench.disk.set_time(NOW);
    let segments = log.segments().len();
    assert!(segments > 1);
    assert_eq!(sweep(&mut log, NOW + 1000).segments(), 0);
    assert_eq!(sweep(&mut log, NOW + 1001).by_time, segments);
}

fn build_without_time() -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..5 {
        builder.append(&NewRecord::new(-1, None, Some(&[0; 100])));
    }
    builder.build()
}
