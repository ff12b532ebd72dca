//! The log as its users see it: on the simulated disk, so that nothing depends on the machine.

mod closed;
mod crash;
mod cut;
mod hostile;
mod kafka_files;
mod model;
mod recovery;
mod retention;
mod transactions;

use std::path::Path;
use std::sync::Arc;

use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::ids::{Offset, ProducerEpoch, ProducerId, Sequence};
use ottla_records::validate::Accepted;
use ottla_records::{Batch, BatchIter, Decompressor, TimestampType};

use super::*;
use crate::dir::DirOptions;
use crate::fs::{Disk, SimDisk};
use crate::handles::Handles;
use crate::map::Windows;
use crate::{AbortedTxn, AppendError, Appended, LeaderAppend, Origin, ReadUpTo};

const NOW: i64 = 1_700_000_000_000;

/// A log directory `/data` on a simulated disk, and the partition `t-0` in it.
struct Bench {
    disk: SimDisk,
    config: Arc<LogConfig>,
}

impl Bench {
    fn new(config: LogConfig) -> Bench {
        let disk = SimDisk::new();
        disk.set_time(NOW);
        disk.create_dir(Path::new("/data")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        Bench { disk, config: Arc::new(config) }
    }

    fn dir(&self) -> LogDir {
        self.try_dir().unwrap()
    }

    fn try_dir(&self) -> Result<LogDir, crate::DirError> {
        let options = DirOptions {
            disk: Arc::new(self.disk.clone()),
            handles: Handles::new(32),
            windows: Windows::new(0),
            lock: true,
        };
        LogDir::open(Path::new("/data"), options)
    }

    fn options(&self, clean: bool) -> OpenOptions {
        OpenOptions::new(self.config.clone(), NOW, clean)
    }

    fn create(&self) -> Log {
        Log::create(&self.dir(), &partition(), None, &self.options(true)).unwrap()
    }

    /// Opens the partition again; everything that used it before must be gone.
    fn open(&self, clean: bool, recovery_point: Offset) -> (Log, LoadReport) {
        let options = OpenOptions { recovery_point, high_watermark: i64::MAX, ..self.options(clean) };
        Log::open(&self.dir(), &partition(), &options).unwrap()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        crate::fs::read_file(&self.disk, &Path::new("/data/t-0").join(name)).unwrap().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = self.disk.list(Path::new("/data/t-0")).unwrap();
        entries.into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    }

    fn overwrite(&self, name: &str, bytes: &[u8]) {
        let path = Path::new("/data/t-0").join(name);
        let file = self.disk.open(&path, crate::fs::OpenMode::Replace).unwrap();
        file.write_at(&mut [std::io::IoSlice::new(bytes)], 0).unwrap();
    }
}

fn partition() -> PartitionDir {
    PartitionDir::current("t", 0)
}

/// A batch of `count` records of 100 bytes with timestamps from `timestamp` on.
fn batch(count: i32, timestamp: i64) -> Vec<u8> {
    build(BatchBuilder::new(0), count, timestamp)
}

fn build(mut builder: BatchBuilder, count: i32, timestamp: i64) -> Vec<u8> {
    for n in 0..count {
        builder.append(&NewRecord::new(timestamp + i64::from(n), Some(b"key"), Some(&[n as u8; 100])));
    }
    builder.build()
}

fn idempotent(id: ProducerId, epoch: ProducerEpoch, sequence: Sequence, count: i32) -> Vec<u8> {
    build(BatchBuilder::new(0).producer(id, epoch, sequence), count, NOW)
}

fn accepted(bytes: &[u8]) -> Accepted<'_> {
    let batch = Batch::parse(bytes).unwrap();
    Accepted { batch, timestamp: (TimestampType::CreateTime, batch.max_timestamp) }
}

fn append(log: &mut Log, bytes: &[u8]) -> Result<Appended, AppendError> {
    let epoch = log.latest_epoch().unwrap_or(0);
    log.append_as_leader(&LeaderAppend::from_client(NOW, epoch), &[accepted(bytes)])
}

/// Appends batches of `count` records each, `batches` times.
fn fill(log: &mut Log, batches: usize, count: i32) {
    for n in 0..batches {
        let timestamp = NOW + log.log_end();
        append(log, &batch(count, timestamp)).unwrap_or_else(|error| panic!("batch {n}: {error}"));
    }
    log.set_high_watermark(log.log_end());
}

/// All records from `from` on, as (offset, timestamp, value's first byte), through as many reads as it takes.
fn records(log: &Log, from: Offset) -> Vec<(Offset, i64, u8)> {
    let mut found = Vec::new();
    let mut at = from;
    let mut decompressor = Decompressor::new();
    loop {
        let fetched = log.read(at, 1000, true, ReadUpTo::LogEnd).unwrap();
        if fetched.slice.is_empty() {
            return found;
        }
        for batch in BatchIter::new(&fetched.slice.to_vec().unwrap()) {
            let batch = match batch {
                Err(error) if error.error.is_torn() => break,
                batch => batch.unwrap(),
            };
            batch.verify().unwrap();
            for record in decompressor.records(&batch, 1 << 20).unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    found.push((record.offset, record.timestamp, record.value.map_or(0, |value| value[0])));
                }
            }
            at = batch.next_offset();
        }
    }
}

#[test]
fn records_come_back_with_the_offsets_they_got() {
    let bench = Bench::new(LogConfig::default());
    let mut log = bench.create();
    let first = append(&mut log, &batch(3, NOW)).unwrap();
    assert_eq!((first.first_offset, first.last_offset, first.duplicate), (0, 2, false));
    let two = [batch(2, NOW + 10), batch(5, NOW + 20)];
    let both = [accepted(&two[0]), accepted(&two[1])];
    let second = log.append_as_leader(&LeaderAppend::from_client(NOW, 7), &both).unwrap();
    assert_eq!((second.first_offset, second.last_offset), (3, 9));
    assert_eq!(log.log_end(), 10);
    let found = records(&log, 0);
    assert_eq!(found.len(), 10);
    assert!(found.iter().enumerate().all(|(at, record)| record.0 == at as i64));
    assert_eq!(found[5], (5, NOW + 20, 0));
    assert_eq!(records(&log, 4), found[4..]);
    let bytes = log.read(5, 1, true, ReadUpTo::LogEnd).unwrap().slice.to_vec().unwrap();
    assert_eq!(Batch::parse(&bytes).unwrap().partition_leader_epoch, 7);
    assert_eq!(
        log.epochs(),
        [EpochEntry { epoch: 0, start_offset: 0 }, EpochEntry { epoch: 7, start_offset: 3 }]
    );
}

#[test]
fn append_time_is_written_into_the_header() {
    let bench = Bench::new(LogConfig::default());
    let mut log = bench.create();
    let bytes = batch(2, 5);
    let accepted = Accepted { timestamp: (TimestampType::LogAppendTime, NOW), ..accepted(&bytes) };
    let appended = log.append_as_leader(&LeaderAppend::from_client(NOW, 0), &[accepted]).unwrap();
    assert_eq!(appended.log_append_time, NOW);
    assert_eq!(records(&log, 0).iter().map(|record| record.1).collect::<Vec<_>>(), [NOW, NOW]);
}

#[test]
fn reads_keep_to_their_bounds() {
    let bench = Bench::new(LogConfig::default());
    let mut log = bench.create();
    fill(&mut log, 30, 2);
    log.set_high_watermark(31);
    let size = batch(2, NOW).len();
    let read = |offset, max, min_one, up_to| log.read(offset, max, min_one, up_to).unwrap();
    assert_eq!(read(0, 3 * size, false, ReadUpTo::LogEnd).slice.len(), 3 * size);
    assert_eq!(read(0, 3 * size + 1, false, ReadUpTo::LogEnd).slice.len(), 3 * size + 1, "a cut-off batch");
    assert!(read(0, 10, false, ReadUpTo::LogEnd).first_incomplete);
    assert_eq!(read(0, 10, true, ReadUpTo::LogEnd).slice.len(), size);
    assert_eq!(
        read(20, usize::MAX, true, ReadUpTo::HighWatermark).slice.len(),
        5 * size,
        "up to the batch of 31"
    );
    assert_eq!(
        read(30, usize::MAX, true, ReadUpTo::HighWatermark).slice.len(),
        0,
        "the batch is not whole below"
    );
    assert_eq!(read(31, usize::MAX, true, ReadUpTo::HighWatermark).slice.len(), 0);
    assert_eq!(read(59, usize::MAX, true, ReadUpTo::HighWatermark).slice.len(), 0);
    assert_eq!(read(60, 1, true, ReadUpTo::LogEnd).slice.len(), 0);
    assert!(matches!(log.read(61, 1, true, ReadUpTo::LogEnd), Err(Error::OffsetOutOfRange { end: 60, .. })));
    log.delete_records_before(7).unwrap();
    assert!(matches!(log.read(6, 1, true, ReadUpTo::LogEnd), Err(Error::OffsetOutOfRange { start: 7, .. })));
    assert_eq!(records(&log, 7).len(), 53);
}

#[test]
fn a_slice_outlives_its_segment() {
    let bench = Bench::new(LogConfig { segment_bytes: 2000, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 20, 5);
    let slice = log.read(0, usize::MAX, true, ReadUpTo::LogEnd).unwrap().slice;
    let before = slice.to_vec().unwrap();
    log.truncate_fully(500, NOW).unwrap();
    log.dir().remove_doomed(i64::MAX).unwrap();
    assert_eq!(bench.names().iter().filter(|name| name.ends_with(".log")).count(), 1);
    assert_eq!(slice.to_vec().unwrap(), before);
    assert!(slice.read_at(before.len(), &mut [0]).is_err());
    assert_eq!(slice.truncated(10).to_vec().unwrap(), before[..10]);
}

#[test]
fn batches_a_leader_has_numbered_keep_their_numbers() {
    let bench = Bench::new(LogConfig { segment_bytes: 3000, ..LogConfig::default() });
    let mut log = bench.create();
    let numbered = |base: Offset, epoch| build(BatchBuilder::new(base).leader_epoch(epoch), 4, NOW + base);
    let mut bytes: Vec<u8> = [numbered(0, 1), numbered(4, 1), numbered(10, 3)].concat();
    let whole = bytes.len();
    bytes.extend_from_slice(&numbered(14, 3)[..70]);
    let taken = log.append_as_follower(NOW, 3, &bytes).unwrap();
    assert_eq!((taken.offsets, taken.bytes), (Some((0, 13)), whole), "the cut-off batch is left out");
    assert_eq!(log.log_end(), 14);
    assert_eq!(log.latest_epoch(), Some(3));
    assert_eq!(log.end_of_epoch(1), Some((1, 10)));
    assert_eq!(records(&log, 5).len(), 7, "offsets 8 and 9 are not there");

    let error = log.append_as_follower(NOW, 3, &numbered(13, 3)).unwrap_err();
    assert!(matches!(error, AppendError::UnexpectedOffset { first: 13, expected: 14, .. }), "{error}");
    let descending = [numbered(20, 3), numbered(16, 3)].concat();
    let error = log.append_as_follower(NOW, 3, &descending).unwrap_err();
    assert!(matches!(error, AppendError::OffsetsOutOfOrder { .. }), "{error}");
    let mut corrupt = numbered(14, 3);
    corrupt[100] ^= 1;
    let error = log.append_as_follower(NOW, 3, &corrupt).unwrap_err();
    assert!(matches!(error, AppendError::Corrupt { position: 0, .. }), "{error}");
    assert_eq!(log.log_end(), 14);

    let newer = [numbered(14, 3), numbered(18, 4)].concat();
    let taken = log.append_as_follower(NOW, 3, &newer).unwrap();
    assert_eq!(taken.offsets, Some((14, 17)), "a batch of a later leader is left out");
    let many: Vec<u8> = (0..40).flat_map(|n| numbered(18 + 4 * n, 4)).collect();
    assert!(log.append_as_raft_leader(NOW, 5, &many).is_err(), "not the leader's epoch");
    assert!(log.append_as_raft_leader(NOW, 4, &many).unwrap().rolled);
    assert!(log.segments().len() > 5, "segments are rolled within one append");
    assert!(log.segments().all(|(_, size)| size <= 3000));
    assert_eq!(records(&log, 0).len(), 12 + 4 + 160);
}

#[test]
fn a_gap_beyond_an_indexs_reach_begins_a_segment() {
    let bench = Bench::new(LogConfig::default());
    let mut log = bench.create();
    let far = 3_000_000_000;
    for base in [0, far, far + 10] {
        log.append_as_follower(NOW, 0, &build(BatchBuilder::new(base).leader_epoch(0), 2, NOW)).unwrap();
    }
    assert_eq!(log.segments().map(|(base, _)| base).collect::<Vec<_>>(), [0, far]);
    assert_eq!(
        records(&log, 1).iter().map(|record| record.0).collect::<Vec<_>>(),
        [1, far, far + 1, far + 10, far + 11]
    );
    let mut empty = Bench::new(LogConfig::default()).create();
    empty.append_as_follower(NOW, 0, &build(BatchBuilder::new(far).leader_epoch(0), 2, NOW)).unwrap();
    assert_eq!(empty.segments().map(|(base, _)| base).collect::<Vec<_>>(), [far]);
}

#[test]
fn segments_are_rolled_by_size_age_and_index() {
    let size = batch(5, NOW).len() as u32;
    let bench = Bench::new(LogConfig { segment_bytes: 3 * size, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 7, 5);
    assert_eq!(log.segments().map(|(base, _)| base).collect::<Vec<_>>(), [0, 15, 30]);
    let error = append(&mut log, &batch(50, NOW)).unwrap_err();
    assert!(matches!(error, AppendError::LargerThanSegment { .. }), "{error}");

    let bench = Bench::new(LogConfig { segment_ms: 1000, ..LogConfig::default() });
    let mut log = bench.create();
    for timestamp in [NOW, NOW + 990, NOW + 991 + 9, NOW + 1001, NOW + 1500] {
        append(&mut log, &batch(1, timestamp)).unwrap();
    }
    assert_eq!(log.segments().map(|(base, _)| base).collect::<Vec<_>>(), [0, 3], "by the batches' time");

    let bench =
        Bench::new(LogConfig { segment_index_bytes: 24, index_interval_bytes: 1, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 9, 1);
    assert!(log.segments().len() > 2, "{:?}", log.segments().collect::<Vec<_>>());
    assert_eq!(records(&log, 0).len(), 9);
}

#[test]
fn the_index_has_an_entry_when_more_than_the_interval_lies_behind() {
    let size = batch(5, NOW).len() as u32;
    let bench = Bench::new(LogConfig { index_interval_bytes: size, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 10, 5);
    log.close().unwrap();
    let index = bench.file("00000000000000000000.index");
    let positions: Vec<u32> =
        index.chunks(8).map(|e| u32::from_be_bytes(e[4..].try_into().unwrap()) / size).collect();
    assert_eq!(positions, [2, 4, 6, 8]);
}

#[test]
fn offsets_are_found_by_time() {
    let size = batch(5, NOW).len() as u32;
    let bench =
        Bench::new(LogConfig { segment_bytes: 4 * size, index_interval_bytes: size, ..LogConfig::default() });
    let mut log = bench.create();
    for base in 0..20 {
        append(&mut log, &batch(5, NOW + base * 100)).unwrap();
    }
    log.set_high_watermark(100);
    let mut decompressor = Decompressor::new();
    let mut at = |log: &mut Log, timestamp| {
        log.offset_for_timestamp(timestamp, &mut decompressor)
            .unwrap()
            .map(|found| (found.offset, found.timestamp))
    };
    assert_eq!(at(&mut log, 0), Some((0, NOW)));
    assert_eq!(at(&mut log, NOW + 702), Some((37, NOW + 702)));
    assert_eq!(at(&mut log, NOW + 705), Some((40, NOW + 800)));
    assert_eq!(at(&mut log, NOW + 1904), Some((99, NOW + 1904)));
    assert_eq!(at(&mut log, NOW + 1905), None);
    log.delete_records_before(38).unwrap();
    assert_eq!(at(&mut log, 0), Some((38, NOW + 703)));
    // An older batch behind does not hide the latest.
    append(&mut log, &batch(2, NOW)).unwrap();
    let latest = log.max_timestamp(&mut Decompressor::new()).unwrap().unwrap();
    assert_eq!((latest.offset, latest.timestamp, latest.leader_epoch), (99, NOW + 1904, Some(0)));
    let mut empty = Bench::new(LogConfig::default()).create();
    assert_eq!(empty.max_timestamp(&mut Decompressor::new()).unwrap(), None);
    assert_eq!(empty.offset_for_timestamp(0, &mut Decompressor::new()).unwrap(), None);
}

#[test]
fn truncation_removes_the_end() {
    let size = batch(5, NOW).len() as u32;
    let bench =
        Bench::new(LogConfig { segment_bytes: 4 * size, index_interval_bytes: 1, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 10, 5);
    log.begin_epoch(3);
    fill(&mut log, 4, 5);
    let all = records(&log, 0);
    assert!(!log.truncate_to(70, NOW).unwrap());
    assert!(log.truncate_to(55, NOW).unwrap());
    assert_eq!((log.log_end(), log.high_watermark()), (55, 55));
    assert_eq!(records(&log, 0), all[..55]);
    assert!(log.truncate_to(23, NOW).unwrap());
    assert_eq!(log.log_end(), 23);
    assert_eq!(records(&log, 0), all[..20], "the batch of 23 goes as a whole");
    assert_eq!(log.epochs(), [EpochEntry { epoch: 0, start_offset: 0 }]);
    fill(&mut log, 1, 5);
    assert_eq!(records(&log, 0).last().unwrap().0, 27);
    assert_eq!(log.max_timestamp(&mut Decompressor::new()).unwrap().unwrap().offset, 27);
    log.dir().remove_doomed(i64::MAX).unwrap();
    log.close().unwrap();
    let (mut log, report) = bench.open(true, 0);
    assert_eq!(report, LoadReport::default());
    assert_eq!(records(&log, 0).len(), 25);
    log.truncate_fully(1000, NOW).unwrap();
    assert_eq!((log.log_start(), log.log_end(), log.high_watermark()), (1000, 1000, 1000));
    fill(&mut log, 1, 5);
    assert_eq!(records(&log, 1000).len(), 5);
    log.delete_records_before(1002).unwrap();
    log.truncate_to(900, NOW).unwrap();
    assert_eq!((log.log_start(), log.log_end()), (900, 900), "a log that begins behind it is emptied");
}

#[test]
fn idle_logs_keep_no_files_open_and_go_on() {
    let bench = Bench::new(LogConfig { index_interval_bytes: 1, ..LogConfig::default() });
    let mut log = bench.create();
    fill(&mut log, 10, 5);
    assert!(log.dir().handles().open_files() > 0);
    log.release().unwrap();
    assert_eq!(log.dir().handles().open_files(), 0);
    assert_eq!(bench.file("00000000000000000000.index").len(), 9 * 8);
    fill(&mut log, 10, 5);
    assert_eq!(records(&log, 0).len(), 100);
    log.rename(&partition().with_kind(crate::DirKind::Delete(uuid::Uuid::from_u128(7)))).unwrap();
    assert_eq!(records(&log, 0).len(), 100);
    let dirs = log.dir().partitions().unwrap();
    assert_eq!(dirs.len(), 1);
    log.dir().clone().remove_partition(&dirs[0]).unwrap();
    assert_eq!(log.dir().partitions().unwrap(), []);
}
