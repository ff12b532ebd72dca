//! What opening a log repairs, and what it refuses.

use super::*;
use crate::fs::OpenMode;

fn small() -> LogConfig {
    let size = batch(5, NOW).len() as u32;
    LogConfig { segment_bytes: 4 * size, index_interval_bytes: size / 2, ..LogConfig::default() }
}

/// A log of 50 records in three segments (base offsets 0, 20, 40), closed.
fn closed() -> (Bench, Vec<(Offset, i64, u8)>) {
    let bench = Bench::new(small());
    let mut log = bench.create();
    fill(&mut log, 10, 5);
    let all = records(&log, 0);
    log.close().unwrap();
    (bench, all)
}

const INDEX: &str = "00000000000000000020.index";
const TIME: &str = "00000000000000000020.timeindex";
const LAST: &str = "00000000000000000040.log";
const MIDDLE: &str = "00000000000000000020.log";

#[test]
fn a_clean_log_is_opened_without_reading_it() {
    let (bench, all) = closed();
    let calls = bench.disk.calls();
    let (log, report) = bench.open(true, 0);
    assert_eq!(report, LoadReport::default());
    assert_eq!(bench.disk.calls(), calls, "nothing is written");
    assert_eq!((log.log_start(), log.log_end(), log.recovery_point()), (0, 50, 50));
    assert_eq!(records(&log, 0), all);
}

#[test]
fn an_unclean_log_is_checked_from_the_segment_of_the_recovery_point() {
    let (bench, all) = closed();
    for (recovery_point, checked) in [(0, 3), (19, 3), (20, 2), (39, 2), (45, 1), (50, 1), (1000, 1)] {
        let (log, report) = bench.open(false, recovery_point);
        assert_eq!((report.segments_checked, &report.repairs[..]), (checked, &[][..]), "{recovery_point}");
        assert_eq!(log.recovery_point(), recovery_point.min(50));
        assert_eq!(records(&log, 0), all);
    }
}

#[test]
fn indexes_made_anew_are_as_they_were() {
    let (bench, _) = closed();
    let names: Vec<String> = bench.names().into_iter().filter(|name| name.contains("index")).collect();
    let before: Vec<Vec<u8>> = names.iter().map(|name| bench.file(name)).collect();
    assert_eq!(names.len(), 6);
    drop(bench.open(false, 0));
    for (name, before) in names.iter().zip(before) {
        assert_eq!(bench.file(name), before, "{name}");
    }
}

#[test]
fn a_torn_tail_is_cut_off_at_every_length() {
    let (bench, all) = closed();
    let whole = bench.file(LAST);
    for len in 0..whole.len() {
        bench.overwrite(LAST, &whole[..len]);
        let (log, report) = bench.open(false, 40);
        let batches = len / batch(5, NOW).len();
        let records_left = 40 + 5 * batches;
        assert_eq!(log.log_end(), records_left as i64, "{len} bytes");
        assert_eq!(records(&log, 0), all[..records_left]);
        let cut = report.repairs.iter().find_map(|repair| match repair {
            Repair::CutOff { bytes, .. } => Some(*bytes as usize),
            _ => None,
        });
        let surplus = len % batch(5, NOW).len();
        assert_eq!(cut, (surplus > 0).then_some(surplus), "{len} bytes");
        assert_eq!(bench.file(LAST).len(), len - surplus);
    }
}

#[test]
fn a_damaged_batch_ends_the_log_and_later_segments_go() {
    let (bench, all) = closed();
    let size = batch(5, NOW).len();
    let mut bytes = bench.file(MIDDLE);
    bytes[size + 200] ^= 4;
    bench.overwrite(MIDDLE, &bytes);
    let (mut log, report) = bench.open(false, 0);
    assert_eq!(log.log_end(), 25);
    assert_eq!(records(&log, 0), all[..25]);
    let text: Vec<String> = report.repairs.iter().map(ToString::to_string).collect();
    let place = format!("00000000000000000020.log at position {size}: batch is corrupt");
    assert!(text[0].contains(&place), "{text:?}");
    assert!(text[1].contains("removed segment /data/t-0/00000000000000000040.log"), "{text:?}");
    fill(&mut log, 5, 5);
    log.close().unwrap();
    assert_eq!(bench.open(true, 0).0.log_end(), 50);
}

#[test]
fn damage_below_the_recovery_point_is_refused_with_its_place() {
    let (bench, _) = closed();
    let mut bytes = bench.file(MIDDLE);
    bytes[100] ^= 4;
    bench.overwrite(MIDDLE, &bytes);
    // Nobody looks there ...
    assert_eq!(bench.open(false, 40).0.log_end(), 50);
    // ... until the indexes are missing.
    bench.disk.remove(Path::new("/data/t-0").join(INDEX).as_path()).unwrap();
    let options = OpenOptions { recovery_point: 40, ..bench.options(false) };
    let error = Log::open(&bench.dir(), &partition(), &options).unwrap_err();
    assert!(
        error.to_string().starts_with("/data/t-0/00000000000000000020.log is corrupt at position 0"),
        "{error}"
    );
}

#[test]
fn missing_and_wrong_indexes_are_made_anew() {
    let (bench, all) = closed();
    let (index, time) = (bench.file(INDEX), bench.file(TIME));
    let preallocated = {
        let mut bytes = index.clone();
        bytes.resize(1024, 0);
        bytes
    };
    let beyond: Vec<u8> = [&index[..8], &[0, 0, 0, 19, 0, 255, 0, 0]].concat();
    let backwards: Vec<u8> = time[time.len() - 12..].iter().chain(&time[..12]).copied().collect();
    let cases: [(&str, Option<&[u8]>); 7] = [
        (INDEX, None),
        (INDEX, Some(&index[..index.len() - 3])),
        (INDEX, Some(&preallocated)),
        (INDEX, Some(&beyond)),
        (TIME, None),
        (TIME, Some(&time[..5])),
        (TIME, Some(&backwards)),
    ];
    for (clean, recovery_point) in [(true, 0), (false, 40)] {
        // After a clean stop only what shows by its length is noticed.
        let by_length =
            |damage: Option<&[u8]>| damage.is_none_or(|bytes| bytes.len() % 4 != 0 || bytes.len() > 999);
        for (name, damage) in cases.into_iter().filter(|(_, damage)| !clean || by_length(*damage)) {
            match damage {
                Some(bytes) => bench.overwrite(name, bytes),
                None => bench.disk.remove(&Path::new("/data/t-0").join(name)).unwrap(),
            }
            let (mut log, report) = bench.open(clean, recovery_point);
            assert!(matches!(report.repairs[..], [Repair::RebuiltIndexes { .. }]), "{name} {report:?}");
            assert_eq!(records(&log, 22), all[22..]);
            assert_eq!(
                (bench.file(INDEX), bench.file(TIME)),
                (index.clone(), time.clone()),
                "{name} {damage:?}"
            );
            let found = log.offset_for_timestamp(all[33].1, &mut Decompressor::new()).unwrap();
            assert_eq!(found.unwrap().offset, 33);
        }
    }
}

#[test]
fn the_last_segments_index_is_checked_even_after_a_clean_stop() {
    let (bench, all) = closed();
    let index = "00000000000000000040.index";
    let right = bench.file(index);
    assert_eq!(right.len(), 8);
    for wrong in [[0, 0, 0, 9, 0, 0, 0, 100], [0, 0, 0, 8, 0, 0, 2, 148], [0, 0, 0, 9, 0, 255, 0, 0]] {
        bench.overwrite(index, &wrong);
        let (log, report) = bench.open(true, 0);
        assert_eq!((log.log_end(), records(&log, 0)), (50, all.clone()));
        assert_eq!(bench.file(index), right);
        assert!(matches!(report.repairs[..], [Repair::RebuiltIndexes { .. }]), "{report:?}");
    }
}

#[test]
fn a_snapshot_of_records_that_were_truncated_is_not_believed() {
    let bench = Bench::new(small());
    let mut log = bench.create();
    for n in 0..10 {
        append(&mut log, &idempotent(1, 0, n * 5, 5)).unwrap();
    }
    drop(log);
    // It has come back after a crash: producer 9 has no record in this log.
    let mut other = Bench::new(small()).create();
    append(&mut other, &idempotent(9, 0, 0, 5)).unwrap();
    bench.overwrite("00000000000000000045.snapshot", &other.producers.encode());
    let (mut log, _) = bench.open(false, 0);
    log.truncate_to(45, NOW).unwrap();
    assert_eq!(log.producers().map(|(id, entry)| (id, entry.last_sequence())).collect::<Vec<_>>(), [(1, 44)]);
}

#[test]
fn a_segment_that_overlaps_the_one_before_is_removed() {
    let (bench, all) = closed();
    // A deleted segment that has come back after a crash.
    bench.overwrite("00000000000000000018.log", &build(BatchBuilder::new(18), 5, NOW));
    let (log, report) = bench.open(false, 0);
    assert_eq!((log.log_end(), records(&log, 0)), (20, all[..20].to_vec()));
    assert!(matches!(report.repairs[..], [.., Repair::RemovedSegment { .. }]), "{report:?}");
}

#[test]
fn leftovers_of_a_compaction_are_finished_or_removed() {
    let (bench, all) = closed();
    let rename = |from: &str, to: &str| {
        let dir = Path::new("/data/t-0");
        bench.disk.rename(&dir.join(from), &dir.join(to)).unwrap();
    };
    // Unfinished: the old segments count.
    for name in ["00000000000000000000.log.cleaned", "00000000000000000000.index.cleaned", "x.deleted"] {
        bench.overwrite(name, b"half a file");
    }
    bench.overwrite("00000000000000000000.log.swap", b"part of a split");
    bench.overwrite("00000000000000000007.timeindex", b"orphan");
    bench.overwrite("00000000000000000017-0000000001.checkpoint.deleted", b"not the log's");
    let (log, report) = bench.open(true, 0);
    assert_eq!(records(&log, 0), all);
    assert_eq!(report.repairs.len(), 5, "{report:?}");
    assert!(bench.names().iter().all(|name| !name.ends_with(".cleaned") && !name.ends_with(".swap")));
    assert!(bench.names().iter().any(|name| name.ends_with(".checkpoint.deleted")));
    drop(log);
    // Finished: two segments become one, whose files have not got their names yet.
    let both = [bench.file("00000000000000000000.log"), bench.file(MIDDLE)].concat();
    bench.overwrite("00000000000000000000.log.swap", &both);
    rename("00000000000000000000.log", "00000000000000000000.log.deleted");
    let (log, _) = bench.open(true, 0);
    assert_eq!(log.segments().map(|(base, _)| base).collect::<Vec<_>>(), [0, 40]);
    assert_eq!(records(&log, 0), all);
    assert!(!bench.names().iter().any(|name| name.starts_with("00000000000000000020")));
}

#[test]
fn a_log_whose_files_were_removed_goes_on_at_its_log_start() {
    let (bench, _) = closed();
    let options = OpenOptions { log_start: 60, ..bench.options(true) };
    let (mut log, report) = Log::open(&bench.dir(), &partition(), &options).unwrap();
    assert_eq!(report.repairs, [Repair::StartedAnew { log_start: 60, log_end: 50 }]);
    assert_eq!((log.log_start(), log.log_end()), (60, 60));
    fill(&mut log, 1, 5);
    assert_eq!(records(&log, 60).len(), 5);
    drop(log);
    let (log, _) =
        Log::open(&bench.dir(), &partition(), &OpenOptions { log_start: 62, ..bench.options(false) })
            .unwrap();
    assert_eq!((log.log_start(), log.log_end()), (62, 65));
}

#[test]
fn damaged_checkpoints_are_refused_or_set_again() {
    let (bench, _) = closed();
    bench.overwrite("leader-epoch-checkpoint", b"0\n2\n0 0\n");
    let error = Log::open(&bench.dir(), &partition(), &bench.options(true)).unwrap_err();
    assert!(error.to_string().contains("expected 2 entries, found 1"), "{error}");
    bench.overwrite("leader-epoch-checkpoint", b"0\n1\n0 0\n");
    bench.overwrite("partition.metadata", b"version: 0\ntopic_");
    Log::open(&bench.dir(), &partition(), &bench.options(true)).unwrap_err();
    let (mut log, report) = bench.open(false, 0);
    assert!(matches!(report.repairs[..], [Repair::LostTopicId { .. }]), "{report:?}");
    log.set_topic_id(uuid::Uuid::from_u128(5)).unwrap();
    drop(log);
    assert_eq!(bench.open(false, 0).0.topic_id(), Some(uuid::Uuid::from_u128(5)));
}

#[test]
fn epochs_come_back_from_the_batches() {
    let bench = Bench::new(small());
    let mut log = bench.create();
    for epoch in [0, 2, 5] {
        log.begin_epoch(epoch);
        fill(&mut log, 3, 5);
    }
    let epochs = log.epochs().to_vec();
    drop(log);
    assert!(!bench.names().contains(&"leader-epoch-checkpoint".to_owned()), "never flushed");
    let (mut log, _) = bench.open(false, 0);
    assert_eq!(log.epochs(), epochs);
    log.flush(NOW).unwrap();
    assert_eq!(bench.file("leader-epoch-checkpoint"), b"0\n3\n0 0\n2 15\n5 30\n");
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was_and_goes_on() {
    let bench = Bench::new(small());
    let mut log = bench.create();
    fill(&mut log, 2, 5);
    let next = batch(5, NOW + 10);
    let fail = |kind| bench.disk.fail_at(bench.disk.calls(), crate::fs::Fault::HalfDone(kind));
    fail(std::io::ErrorKind::StorageFull);
    let error = append(&mut log, &next).unwrap_err();
    assert!(matches!(error, AppendError::Storage(Error::DiskFull { .. })), "{error}");
    assert_eq!(bench.file("00000000000000000000.log").len(), 2 * next.len(), "nothing is left of it");
    append(&mut log, &next).unwrap();
    assert_eq!(records(&log, 0).len(), 15);
    // Any other failure takes the directory offline.
    fail(std::io::ErrorKind::Other);
    append(&mut log, &next).unwrap_err();
    assert!(matches!(append(&mut log, &next), Err(AppendError::Storage(Error::Offline { .. }))));
    assert!(log.dir().offline().unwrap().to_string().contains("cannot write /data/t-0/"));
    assert!(matches!(log.flush(NOW), Err(Error::Offline { .. })));
    drop(log);
    let (log, _) = bench.open(false, 0);
    assert_eq!(records(&log, 0).len(), 15);
}

#[test]
fn a_failed_fsync_takes_the_directory_offline() {
    let bench = Bench::new(small());
    let mut log = bench.create();
    fill(&mut log, 2, 5);
    let work = log.flush_work().unwrap().unwrap();
    // The epochs' file comes first: opened, written, synced, renamed; then the log file.
    for call in bench.disk.calls()..bench.disk.calls() + 12 {
        bench.disk.fail_at(call, crate::fs::Fault::Error(std::io::ErrorKind::StorageFull));
    }
    bench.disk.open(Path::new("/data/x"), OpenMode::Create).unwrap_err();
    let error = work.run().unwrap_err();
    drop(error);
    assert_eq!(log.recovery_point(), 0);
    let bench = Bench::new(small());
    let mut log = bench.create();
    fill(&mut log, 2, 5);
    log.flush(NOW).unwrap();
    fill(&mut log, 1, 5);
    bench.disk.fail_at(bench.disk.calls(), crate::fs::Fault::Error(std::io::ErrorKind::StorageFull));
    log.flush(NOW).unwrap_err();
    assert!(matches!(log.dir().check(), Err(Error::Offline { .. })), "after a failed fsync nothing is known");
    assert_eq!(log.recovery_point(), 10);
}
