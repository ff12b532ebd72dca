//! `__cluster_metadata-0` as a log of `ottla-log`: ordinary segments, appended with their offsets set.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::fs::Disk;
use ottla_log::{Error, Log};
use ottla_raft::{Control, Election, History, LogView, Restored, SnapshotId};
use ottla_records::ids::{LeaderEpoch, Offset, TimestampMs};

use crate::batches;
use crate::replica::QuorumError;
use crate::snapshots::SnapshotStore;

/// How much of the log is scanned at a time at start.
const SCAN_BYTES: usize = 4 * 1024 * 1024;

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

#[derive(Debug)]
pub(crate) struct MetadataLog {
    log: Log,
}

impl MetadataLog {
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        directory: &Path,
        _limits: LogLimits,
        _now: TimestampMs,
    ) -> Result<Self, QuorumError> {
        Ok(Self { log: Log::open(disk, directory)? })
    }

    pub(crate) fn start(&self) -> Offset {
        self.log.start()
    }

    pub(crate) fn end(&self) -> Offset {
        self.log.end()
    }

    pub(crate) fn size(&self) -> u64 {
        self.log.size()
    }

    pub(crate) fn epochs(&self) -> Vec<(LeaderEpoch, Offset)> {
        self.log.epochs()
    }

    /// Epoch of the last record; 0 for an empty log.
    pub(crate) fn last_epoch(&self) -> LeaderEpoch {
        self.epochs().last().map_or(0, |(epoch, _)| *epoch)
    }

    pub(crate) fn append(&mut self, batches: &[u8], base_offset: Offset) -> Result<(), Error> {
        debug_assert_eq!(base_offset, self.end());
        self.log.append(batches)
    }

    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.log.flush()
    }

    pub(crate) fn truncate(&mut self, to: Offset) -> Result<(), Error> {
        self.log.truncate(to);
        Ok(())
    }

    pub(crate) fn restart_at(&mut self, offset: Offset) -> Result<(), Error> {
        self.log.restart(offset);
        Ok(())
    }

    pub(crate) fn raise_start(&mut self, offset: Offset, _now: TimestampMs) -> Result<(), Error> {
        self.log.raise(offset);
        Ok(())
    }

    pub(crate) fn maintain(&mut self, _now: TimestampMs) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn set_high_watermark(&mut self, _to: Offset) {}

    pub(crate) fn read(&self, from: Offset, max_bytes: usize) -> Result<Bytes, Error> {
        Ok(self.log.read(from, max_bytes).into())
    }

    pub(crate) fn close(mut self) -> Result<(), QuorumError> {
        self.flush()?;
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
        let found = batches::decode_run(run).map_err(|source| QuorumError::Corrupt { offset: next, source })?;
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
