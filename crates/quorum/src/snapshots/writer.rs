//! Writing snapshots: of this node's own state, of a leader's bytes, and the checkpoints of formatting.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ottla_log::fs::{Disk, DiskFile, OpenMode};
use ottla_raft::{SnapshotId, VoterSet};
use ottla_records::control::{self, ControlRecord};
use ottla_records::ids::{Offset, TimestampMs};

use crate::batches::{build_data, version_record, voters_record};
use crate::files;
use crate::snapshots::{SnapshotError, SnapshotHeader, path};

/// Records per batch, as Kafka's writer groups them.
const RECORDS_PER_BATCH: usize = 1024;
/// A batch is at most this large.
pub(crate) const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// What a record adds to its value at most, and a batch to its records.
const RECORD_OVERHEAD: usize = 32;
const BATCH_OVERHEAD: usize = 61;

/// Numbers the partial files of one open replica: two of one snapshot, the node's own and the leader's, never share a name.
/// What an earlier life left is removed when the directory is opened, so that the numbers begin anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Partials(Arc<AtomicU64>);

impl Partials {
    pub(super) fn path(&self, directory: &Path, id: SnapshotId) -> PathBuf {
        let name = super::file_name(id);
        let stem = name.trim_end_matches(".checkpoint");
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        directory.join(format!("{stem}-{number}.checkpoint.part"))
    }
}

/// A snapshot of this node's own state in the making. Dropped before [`Self::finish`], it leaves a partial
/// file that the next start removes.
#[derive(Debug)]
pub struct SnapshotWriter {
    id: SnapshotId,
    disk: Arc<dyn Disk>,
    temporary: PathBuf,
    target: PathBuf,
    file: Arc<dyn DiskFile>,
    size: u64,
    next_offset: Offset,
    timestamp: TimestampMs,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    /// Snapshots are; the file that formatting leaves beside the log is not.
    read_only: bool,
}

impl SnapshotWriter {
    /// Starts the file and writes its header. `now` (wall clock) stamps every batch.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        directory: &Path,
        partials: &Partials,
        id: SnapshotId,
        header: &SnapshotHeader,
        now: TimestampMs,
    ) -> Result<Self, SnapshotError> {
        let target = path(directory, id);
        Self::create_at(disk, target, partials.path(directory, id), id, header, now)
    }

    fn create_at(
        disk: Arc<dyn Disk>,
        target: PathBuf,
        temporary: PathBuf,
        id: SnapshotId,
        header: &SnapshotHeader,
        now: TimestampMs,
    ) -> Result<Self, SnapshotError> {
        let file = disk
            .open(&temporary, OpenMode::Replace)
            .map_err(|source| SnapshotError::Io { path: temporary.clone(), source })?;
        let mut writer = Self {
            id,
            disk,
            temporary,
            target,
            file,
            size: 0,
            next_offset: 0,
            timestamp: now,
            pending: Vec::new(),
            pending_bytes: 0,
            read_only: true,
        };
        let mut first = vec![ControlRecord::SnapshotHeader(control::SnapshotHeader {
            version: 0,
            last_contained_log_timestamp: header.last_contained_timestamp,
        })];
        if let Some(level) = header.content.kraft_version.filter(|level| *level >= 1) {
            first.push(version_record(level));
            first.extend(header.content.voters.as_ref().map(voters_record));
        }
        writer.put_control(&first)?;
        Ok(writer)
    }

    /// The snapshot's name.
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// Adds one record value.
    pub fn append(&mut self, value: Bytes) -> Result<(), SnapshotError> {
        let size = value.len() + RECORD_OVERHEAD;
        if size + BATCH_OVERHEAD > MAX_BATCH_BYTES {
            return Err(SnapshotError::RecordTooLarge { size: value.len() });
        }
        let full = self.pending_bytes + size + BATCH_OVERHEAD > MAX_BATCH_BYTES;
        if self.pending.len() == RECORDS_PER_BATCH || full {
            self.put_pending()?;
        }
        self.pending_bytes += size;
        self.pending.push(value);
        Ok(())
    }

    /// Writes the footer, makes the file durable and gives it its name. Returns its size in bytes.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        self.put_pending()?;
        self.put_control(&[ControlRecord::SnapshotFooter(control::SnapshotFooter { version: 0 })])?;
        let temporary = self.temporary;
        let failed = |source| SnapshotError::Io { path: temporary.clone(), source };
        if self.read_only {
            files::make_read_only(&*self.file).map_err(failed)?;
        }
        self.file.sync().map_err(failed)?;
        files::rename(&*self.disk, &temporary, &self.target)
            .map_err(|source| SnapshotError::Io { path: self.target.clone(), source })?;
        Ok(self.size)
    }

    fn put_pending(&mut self) -> Result<(), SnapshotError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let values = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let batch = build_data(self.next_offset, self.id.epoch, &values, self.timestamp);
        self.put(&batch, values.len())
    }

    fn put_control(&mut self, records: &[ControlRecord]) -> Result<(), SnapshotError> {
        let batch = control::control_batch(self.next_offset, self.id.epoch, self.timestamp, records);
        self.put(&batch, records.len())
    }

    fn put(&mut self, batch: &[u8], records: usize) -> Result<(), SnapshotError> {
        self.file
            .write_at(&mut [IoSlice::new(batch)], self.size)
            .map_err(|source| SnapshotError::Io { path: self.temporary.clone(), source })?;
        self.size += batch.len() as u64;
        self.next_offset += records as Offset;
        Ok(())
    }
}

/// A snapshot that arrives from the leader, byte for byte.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) id: SnapshotId,
    disk: Arc<dyn Disk>,
    temporary: PathBuf,
    file: Arc<dyn DiskFile>,
    size: u64,
}

impl Download {
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        directory: &Path,
        partials: &Partials,
        id: SnapshotId,
    ) -> Result<Self, SnapshotError> {
        let temporary = partials.path(directory, id);
        let file = disk
            .open(&temporary, OpenMode::Replace)
            .map_err(|source| SnapshotError::Io { path: temporary.clone(), source })?;
        Ok(Self { id, disk, temporary, file, size: 0 })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file
            .write_at(&mut [IoSlice::new(bytes)], self.size)
            .map_err(|source| SnapshotError::Io { path: self.temporary.clone(), source })?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Where the bytes are until [`Self::finish`].
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    pub(crate) fn finish(self, directory: &Path) -> Result<(), SnapshotError> {
        let Self { id, disk, temporary, file, .. } = self;
        files::make_read_only(&*file)
            .and_then(|()| file.sync())
            .map_err(|source| SnapshotError::Io { path: temporary.clone(), source })?;
        let target = path(directory, id);
        files::rename(&*disk, &temporary, &target)
            .map_err(|source| SnapshotError::Io { path: target, source })
    }

    pub(crate) fn abandon(self) {
        if let Err(error) = self.disk.remove(&self.temporary) {
            tracing::warn!(path = %self.temporary.display(), %error, "partial snapshot stays until the next start");
        }
    }
}

/// `<log dir>/bootstrap.checkpoint`: the records a new cluster starts with.
pub(crate) fn write_bootstrap(
    disk: Arc<dyn Disk>,
    directory: &Path,
    values: &[Bytes],
    now: TimestampMs,
) -> Result<(), SnapshotError> {
    let target = directory.join("bootstrap.checkpoint");
    let temporary = directory.join("bootstrap.checkpoint.tmp");
    let header = SnapshotHeader::default();
    let mut writer = SnapshotWriter::create_at(disk, target, temporary, SnapshotId::BOOTSTRAP, &header, now)?;
    writer.read_only = false;
    values.iter().try_for_each(|value| writer.append(value.clone()))?;
    writer.finish().map(drop)
}

/// `0-0.checkpoint` of a dynamic quorum: its first voters.
pub(crate) fn write_dynamic_bootstrap(
    disk: Arc<dyn Disk>,
    directory: &Path,
    kraft_version: i16,
    voters: VoterSet,
    now: TimestampMs,
) -> Result<(), SnapshotError> {
    let content = ottla_raft::SnapshotContent { kraft_version: Some(kraft_version), voters: Some(voters) };
    let header = SnapshotHeader { last_contained_timestamp: now, content };
    SnapshotWriter::create(disk, directory, &Partials::default(), SnapshotId::BOOTSTRAP, &header, now)?
        .finish()
        .map(drop)
}
