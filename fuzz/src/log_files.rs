//! A log directory in which every file may be anything: opened after a clean and an unclean stop, read, appended to,
//! closed and opened again.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use ottla_log::fs::{Disk, OpenMode, SimDisk};
use ottla_log::map::Windows;
use ottla_log::{
    CheckpointKind, DirOptions, Handles, LeaderAppend, Log, LogConfig, LogDir, OpenOptions, PartitionDir,
    ReadUpTo,
};
use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::validate::{Rules, produced};
use ottla_records::{BatchIter, Decompressor};
use uuid::Uuid;

use crate::seal::seal;
use crate::{NOW_MS, pack};

const DIRECTORY: &str = "/data";

/// The first byte: bit 0 a clean stop, bit 1 checksums of segments are put right. Then files, as [`pack::files`].
pub fn log_files(input: &[u8]) {
    let [flags, files @ ..] = input else { return };
    let (clean, sealed) = (flags & 1 != 0, flags & 2 != 0);
    let disk = SimDisk::new();
    disk.set_time(NOW_MS);
    for dir in [DIRECTORY, "/data/t-0"] {
        disk.create_dir(Path::new(dir)).expect("an empty disk takes a directory");
    }
    for (kind, base, bytes) in pack::files(files) {
        let path = Path::new(DIRECTORY).join(pack::path(kind, base));
        let mut bytes = bytes.to_vec();
        if sealed && path.extension().is_some_and(|e| e == "log") {
            seal(&mut bytes);
        }
        let file = disk.open(&path, OpenMode::Replace).expect("a file can be made");
        file.write_at(&mut [IoSlice::new(&bytes)], 0).expect("a file can be written");
    }
    let dir = open_directory(&disk);
    let _ = dir.meta_properties();
    let _ = dir.clean_shutdown();
    let _ = dir.partitions();
    let checkpoint = |kind| {
        let entries = dir.read_checkpoint(kind).unwrap_or_default();
        entries.iter().find(|e| &*e.topic == "t" && e.partition == 0).map_or(0, |e| e.offset)
    };
    let config = LogConfig { segment_bytes: 1 << 20, segment_index_bytes: 1 << 10, ..LogConfig::default() };
    let options = OpenOptions {
        recovery_point: checkpoint(CheckpointKind::RecoveryPoint),
        log_start: checkpoint(CheckpointKind::LogStart),
        high_watermark: checkpoint(CheckpointKind::HighWatermark),
        ..OpenOptions::new(Arc::new(config), NOW_MS, clean)
    };
    let _ = checkpoint(CheckpointKind::Cleaner);
    let partition = PartitionDir::current("t", 0);
    let Ok((mut log, _)) = Log::open(&dir, &partition, &options) else { return };
    if log.topic_id().is_none() && log.set_topic_id(Uuid::from_u128(7)).is_err() {
        return;
    }
    use_it(&mut log);
    let (start, end) = (log.log_start(), log.log_end());
    if log.close().is_err() {
        return;
    }
    let again = OpenOptions { clean: true, recovery_point: end, log_start: start, ..options };
    let (log, _) = Log::open(&dir, &partition, &again).expect("a log that was closed can be opened");
    assert_eq!((log.log_start(), log.log_end()), (start, end), "a log that was closed is as it was");
}

fn open_directory(disk: &SimDisk) -> LogDir {
    let options = DirOptions {
        disk: Arc::new(disk.clone()),
        handles: Handles::new(32),
        windows: Windows::new(0),
        lock: true,
    };
    LogDir::open(Path::new(DIRECTORY), options).expect("the directory is there")
}

/// What a broker does with a log. Files that were trusted may turn out to be anything, so everything may fail.
fn use_it(log: &mut Log) {
    let mut decompressor = Decompressor::new();
    for up_to in [ReadUpTo::LogEnd, ReadUpTo::HighWatermark, ReadUpTo::LastStableOffset] {
        read(log, up_to);
    }
    let _ = log.read(log.log_start(), 1, true, ReadUpTo::LogEnd).map(|fetched| fetched.slice.to_vec());
    let _ = log.aborted_transactions(log.log_start(), log.log_end());
    for timestamp in [0, NOW_MS, i64::MAX] {
        let _ = log.offset_for_timestamp(timestamp, &mut decompressor);
    }
    let _ = log.max_timestamp(&mut decompressor);
    let epoch = log.latest_epoch().unwrap_or(0);
    let _ = (log.end_of_epoch(epoch), log.epoch_at(log.log_start()));
    let mut builder = BatchBuilder::new(0);
    builder.append(&NewRecord::new(NOW_MS, Some(b"key"), Some(b"value")));
    let batch = builder.build();
    let accepted =
        produced(&batch, &Rules::default(), NOW_MS, &mut decompressor).expect("a batch of our own");
    let end = log.log_end();
    if let Ok(appended) = log.append_as_leader(&LeaderAppend::from_client(NOW_MS, epoch), &[accepted]) {
        assert_eq!((appended.first_offset, log.log_end()), (end, end + 1));
        let fetched = log.read(end, 1 << 16, true, ReadUpTo::LogEnd).expect("what was appended can be read");
        let bytes = fetched.slice.to_vec().expect("what was appended can be read");
        let batch = BatchIter::verified(&bytes).last().expect("a batch").expect("what was appended is sound");
        assert_eq!(batch.base_offset, end);
    }
    let _ = log.flush(NOW_MS);
    let _ = log.roll(NOW_MS);
    let _ = log.apply_retention(NOW_MS);
}

fn read(log: &Log, up_to: ReadUpTo) {
    let mut at = log.log_start();
    // A file that is not what its index says could lead in a circle; a broker's client would give up as well.
    for _ in 0..1000 {
        let Ok(fetched) = log.read(at, 4096, true, up_to) else { return };
        let Ok(bytes) = fetched.slice.to_vec() else { return };
        let last = BatchIter::new(&bytes).map_while(Result::ok).last().map(|batch| batch.last_offset());
        match last {
            Some(last) if last >= at && last < i64::MAX => at = last + 1,
            _ => return,
        }
    }
}
