//! `__cluster_metadata-0` as a log of `ottla-log`: ordinary segments, appended with their offsets set.

use std::sync::Arc;

use bytes::Bytes;
use ottla_log::{Log, LogConfig, LogDir, OpenOptions, PartitionDir, ReadUpTo, Replicated};
use ottla_raft::{Control, Election, History, LogView, Restored, SnapshotId};
use ottla_records::BatchIter;
use ottla_records::ids::{LeaderEpoch, Offset, TimestampMs};

use crate::batches::{self, MetadataError};
use crate::replica::QuorumError;
use crate::snapshots::SnapshotStore;
use crate::{METADATA_DIRECTORY, METADATA_TOPIC_ID};

/// How much of the log is scanned at a time at start.
const SCAN_BYTES: usize = 1024 * 1024;

/// `metadata.log.segment.*`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    /// `metadata.log.segment.bytes`
    pub segment_bytes: u32,
    /// `metadata.log.segment.ms`
    pub segment_ms: i64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { segment_bytes: 1 << 30, segment_ms: 7 * 24 * 3600 * 1000 }
    }
}

/// The partition's log. Everything it is given has its offsets and epochs already.
#[derive(Debug)]
pub(crate) struct MetadataLog {
    log: Log,
}

impl MetadataLog {
    /// Opens the log, or makes it. Unless the directory was left cleanly, everything in it is checked.
    pub(crate) fn open(
        dir: &LogDir,
        limits: LogLimits,
        clean: bool,
        now: TimestampMs,
    ) -> Result<Self, QuorumError> {
        let config = LogConfig {
            segment_bytes: limits.segment_bytes,
            segment_ms: limits.segment_ms,
            retention_ms: -1,
            retention_bytes: -1,
            ..LogConfig::default()
        };
        let partition = PartitionDir::parse(METADATA_DIRECTORY).expect("the metadata directory's name");
        let options = OpenOptions::new(Arc::new(config), now, clean);
        let there = dir.disk().stat(&dir.partition_path(&partition)).map_err(|source| {
            ottla_log::Error::Io { action: "look for", path: dir.partition_path(&partition), source }
        })?;
        let mut log = match there {
            None => Log::create(dir, &partition, Some(METADATA_TOPIC_ID), &options)?,
            Some(_) => {
                let (log, report) = Log::open(dir, &partition, &options)?;
                for repair in &report.repairs {
                    tracing::warn!("metadata log: {repair}");
                }
                log
            }
        };
        // The machine takes what is found for durable. A process that was killed, while the system went on, may
        // have left more than it synced: records, names in the directory, the directory's own name.
        log.flush(now)?;
        for directory in [dir.path(), log.path()] {
            dir.disk().sync_dir(directory).map_err(|source| {
                dir.poison(|| source.to_string());
                ottla_log::Error::Io { action: "sync", path: directory.to_owned(), source }
            })?;
        }
        match log.topic_id() {
            // Formatting makes the directory of a dynamic quorum, and nothing but a snapshot in it.
            None => log.set_topic_id(METADATA_TOPIC_ID)?,
            Some(METADATA_TOPIC_ID) => {}
            Some(found) => return Err(QuorumError::WrongTopic { found }),
        }
        Ok(Self { log })
    }

    pub(crate) fn start(&self) -> Offset {
        self.log.log_start()
    }

    pub(crate) fn end(&self) -> Offset {
        self.log.log_end()
    }

    pub(crate) fn size(&self) -> u64 {
        self.log.size()
    }

    pub(crate) fn epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        self.log.epochs().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
    }

    /// Epoch of the last record; 0 for an empty log.
    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        self.log.latest_epoch().unwrap_or(0)
    }

    /// Appends a batch that this node wrote as leader of `epoch`.
    pub(crate) fn append(
        &mut self,
        now: TimestampMs,
        epoch: LeaderEpoch,
        batch: &[u8],
    ) -> Result<(), QuorumError> {
        let appended = self.log.append_as_raft_leader(now, epoch, batch)?;
        self.check_whole(appended, batch.len())
    }

    /// Appends batches that were fetched. They were looked through already: the log must take all of them.
    pub(crate) fn append_fetched(
        &mut self,
        now: TimestampMs,
        epoch: LeaderEpoch,
        run: &[u8],
    ) -> Result<(), QuorumError> {
        let appended = self.log.append_as_follower(now, epoch, run)?;
        self.check_whole(appended, run.len())
    }

    /// A log that took less than it was given, and a machine that believes otherwise, must not go on.
    fn check_whole(&self, appended: Replicated, given: usize) -> Result<(), QuorumError> {
        match appended.bytes == given {
            true => Ok(()),
            false => Err(QuorumError::ShortAppend { end: self.end(), taken: appended.bytes, given }),
        }
    }

    pub(crate) fn flush(&mut self, now: TimestampMs) -> Result<(), QuorumError> {
        self.log.flush(now)?;
        Ok(())
    }

    pub(crate) fn truncate(&mut self, to: Offset, now: TimestampMs) -> Result<(), QuorumError> {
        self.log.truncate_to(to, now)?;
        Ok(())
    }

    /// Throws everything away; the log goes on, empty, at `offset`.
    pub(crate) fn restart_at(&mut self, offset: Offset, now: TimestampMs) -> Result<(), QuorumError> {
        self.log.truncate_fully(offset, now)?;
        self.log.set_high_watermark(offset);
        Ok(())
    }

    /// What lies before `offset` is in a snapshot and may go.
    pub(crate) fn raise_start(&mut self, offset: Offset) -> Result<(), QuorumError> {
        self.log.delete_records_before(offset)?;
        Ok(())
    }

    /// Deletes segments below the log start, and the files whose time has come.
    pub(crate) fn sweep(&mut self, now: TimestampMs) -> Result<(), QuorumError> {
        self.log.apply_retention(now)?;
        self.log.dir().remove_doomed(now)?;
        Ok(())
    }

    pub(crate) fn set_high_watermark(&mut self, to: Offset) {
        self.log.set_high_watermark(to);
    }

    /// Batches from the one on that holds `from`: at least one whole batch, then as many bytes as asked for.
    pub(crate) fn read(&self, from: Offset, max_bytes: usize) -> Result<Bytes, QuorumError> {
        let fetched = self.log.read(from, max_bytes, true, ReadUpTo::LogEnd)?;
        let bytes = fetched.slice.to_vec().map_err(|source| ottla_log::Error::Io {
            action: "read",
            path: self.log.path().to_owned(),
            source,
        })?;
        Ok(bytes.into())
    }

    /// Says in which file, and where in it, the first batch from `from` on lies that cannot be read.
    fn damage(&self, from: Offset, source: MetadataError) -> QuorumError {
        let fetched = match self.log.read(from, SCAN_BYTES, true, ReadUpTo::LogEnd) {
            Ok(fetched) => fetched,
            Err(error) => return error.into(),
        };
        let bytes = fetched.slice.to_vec().unwrap_or_default();
        let wrong = BatchIter::verified(&bytes).find_map(Result::err);
        // Where every batch is sound as one, it is the records of one that are not.
        let position = fetched.slice.position() + wrong.map_or(0, |error| error.position as u64);
        let base = self.log.segments().map(|(base, _)| base).take_while(|base| *base <= from).last();
        let file = self.log.path().join(format!("{:020}.log", base.unwrap_or_default()));
        QuorumError::Damaged { file, position, source }
    }

    /// Makes everything durable and closes the files.
    pub(crate) fn close(mut self, now: TimestampMs) -> Result<(), QuorumError> {
        self.flush(now)?;
        self.log.close()?;
        Ok(())
    }
}

/// Everything the machine wants to know at start: bounds, epochs, snapshots, and the control records of the
/// newest snapshot and of the log after it, to its end.
pub(crate) fn restore(
    log: &MetadataLog,
    snapshots: &SnapshotStore,
    election: Option<Election>,
) -> Result<Restored, QuorumError> {
    let (mut voters, mut kraft_versions) = (History::default(), History::default());
    let mut next = log.start();
    if let Some(id) = snapshots.latest() {
        // The checkpoint of formatting stands before offset 0; all others after what they contain.
        let at = if id == SnapshotId::BOOTSTRAP { -1 } else { id.end_offset - 1 };
        let content = snapshots.open(id)?.verify()?;
        if let Some(set) = content.voters {
            voters.add(at, set);
        }
        if let Some(level) = content.kraft_version {
            kraft_versions.add(at, level);
        }
        next = next.max(id.end_offset);
    }
    while next < log.end() {
        let run = log.read(next, SCAN_BYTES)?;
        let found = batches::decode_run(run).map_err(|source| log.damage(next, source))?;
        let Some(last) = found.last().map(|batch| batch.last_offset) else {
            return Err(QuorumError::Gap { from: next, start: log.start() });
        };
        for (offset, record) in found.into_iter().flat_map(|batch| batch.control) {
            match batches::from_record(record) {
                Some(Control::KraftVersion(level)) => kraft_versions.add(offset, level),
                Some(Control::Voters(set)) => voters.add(offset, set),
                _ => {}
            }
        }
        next = last + 1;
    }
    let known = snapshots.known().iter().map(|(id, size)| (*id, *size));
    let view = LogView::new(log.start(), log.end(), log.epochs(), known);
    Ok(Restored { election, log: view, voters, kraft_versions })
}
