//! The snapshots in the metadata directory: found at start, pruned as they age.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::fs::{Disk, OpenMode};
use ottla_raft::SnapshotId;
use ottla_records::ids::{Offset, TimestampMs};

use crate::snapshots::{SnapshotError, SnapshotReader, Stage, parse_file_name, path};

/// How much history to keep besides the newest snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// `metadata.max.retention.bytes`: log and snapshots together; negative is no limit.
    pub bytes: i64,
    /// `metadata.max.retention.ms`: by the time in a snapshot's header; negative is no limit.
    pub ms: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { bytes: 100 * 1024 * 1024, ms: 7 * 24 * 3600 * 1000 }
    }
}

/// The snapshots of one directory.
#[derive(Debug)]
pub struct SnapshotStore {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    known: BTreeMap<SnapshotId, u64>,
    doomed: Vec<(TimestampMs, PathBuf)>,
}

impl SnapshotStore {
    /// Looks through the directory. Partial and deleted files are removed, and so are snapshots that end
    /// before the log starts.
    pub fn recover(disk: Arc<dyn Disk>, directory: &Path, log_start: Offset) -> Result<Self, SnapshotError> {
        let io = |source| SnapshotError::Io { path: directory.to_owned(), source };
        let names = disk.list(directory).map_err(io)?;
        let mut store =
            Self { disk, directory: directory.to_owned(), known: BTreeMap::new(), doomed: Vec::new() };
        for entry in names {
            let Some((id, stage)) = entry.name.to_str().and_then(parse_file_name) else { continue };
            let path = directory.join(&entry.name);
            if stage == Stage::Complete && id.end_offset >= log_start {
                let size = store.disk.stat(&path).map_err(io)?.map_or(0, |stat| stat.len);
                store.known.insert(id, size);
            } else {
                tracing::info!(file = %path.display(), "removing a snapshot file that is not needed");
                store.disk.remove(&path).map_err(|source| SnapshotError::Io { path, source })?;
            }
        }
        Ok(store)
    }

    /// Ids and sizes, oldest first.
    pub fn known(&self) -> &BTreeMap<SnapshotId, u64> {
        &self.known
    }

    /// The newest.
    pub fn latest(&self) -> Option<SnapshotId> {
        self.known.last_key_value().map(|(id, _)| *id)
    }

    /// Opens one.
    pub fn open(&self, id: SnapshotId) -> Result<SnapshotReader, SnapshotError> {
        SnapshotReader::open(&*self.disk, &path(&self.directory, id))
    }

    /// Bytes out of one, for a follower.
    pub fn read(&self, id: SnapshotId, position: u64, max_bytes: usize) -> Result<Bytes, SnapshotError> {
        let path = path(&self.directory, id);
        let io = |source| SnapshotError::Io { path: path.clone(), source };
        let file = self.disk.open(&path, OpenMode::Read).map_err(io)?;
        let count = (max_bytes as u64).min(file.len().map_err(io)?.saturating_sub(position));
        let mut bytes = vec![0; count as usize];
        let read = file.read_at(&mut bytes, position).map_err(io)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }

    /// A file got its final name.
    pub(crate) fn add(&mut self, id: SnapshotId, size: u64) {
        self.known.insert(id, size);
    }

    /// The snapshot up to which history may go: every older one breaks a limit. `log_size` is in bytes.
    pub(crate) fn surplus(
        &self,
        retention: Retention,
        log_size: u64,
        now: TimestampMs,
    ) -> Result<Option<SnapshotId>, SnapshotError> {
        let mut total: u64 = self.known.values().sum();
        let mut keep = None;
        for ((id, size), next) in self.known.iter().zip(self.known.keys().skip(1)) {
            let too_large = retention.bytes >= 0 && log_size + total > retention.bytes as u64;
            let too_old = retention.ms >= 0
                && now.saturating_sub(self.open(*id)?.header().last_contained_timestamp) > retention.ms;
            if !too_large && !too_old {
                break;
            }
            total -= size;
            keep = Some(*next);
        }
        Ok(keep)
    }

    /// Takes snapshots older than `keep` out of use; their files go at [`Self::sweep`].
    pub(crate) fn retire_before(&mut self, keep: SnapshotId, now: TimestampMs) -> Result<(), SnapshotError> {
        let newer = self.known.split_off(&keep);
        for id in std::mem::replace(&mut self.known, newer).into_keys() {
            let from = path(&self.directory, id);
            let mut to = from.clone().into_os_string();
            to.push(".deleted");
            let to = PathBuf::from(to);
            match self.disk.rename(&from, &to) {
                Ok(()) => self.doomed.push((now, to)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(SnapshotError::Io { path: from, source }),
            }
        }
        Ok(())
    }

    /// Removes the files that were retired `delay_ms` ago or earlier. Readers may have them open until then.
    pub(crate) fn sweep(&mut self, delay_ms: i64, now: TimestampMs) {
        let disk = &self.disk;
        self.doomed.retain(|(since, path)| {
            if now - since < delay_ms {
                return true;
            }
            if let Err(error) = disk.remove(path) {
                tracing::warn!(path = %path.display(), %error, "deleted snapshot stays until the next start");
            }
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshots::{Partials, SnapshotHeader, SnapshotWriter};
    use ottla_log::fs::RealDisk;

    fn write(directory: &Path, end_offset: i64, timestamp: i64) -> SnapshotId {
        let id = SnapshotId { epoch: 1, end_offset };
        let header = SnapshotHeader { last_contained_timestamp: timestamp, ..Default::default() };
        SnapshotWriter::create(Arc::new(RealDisk), directory, &Partials::default(), id, &header, 0)
            .and_then(SnapshotWriter::finish)
            .expect("written");
        id
    }

    #[test]
    fn old_and_large_history_goes_but_the_newest_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let ids: Vec<_> = [(10, 100), (20, 200), (30, 300)]
            .map(|(end, time)| write(directory.path(), end, time))
            .into_iter()
            .collect();
        std::fs::write(directory.path().join("00000000000000000009-0000000001-1.checkpoint.part"), b"x")
            .expect("writable");
        let mut store = SnapshotStore::recover(Arc::new(RealDisk), directory.path(), 0).expect("recovered");
        assert_eq!(store.known().keys().copied().collect::<Vec<_>>(), ids);
        let none = Retention { bytes: -1, ms: -1 };
        assert_eq!(store.surplus(none, 1 << 40, 1 << 40).expect("readable"), None);
        let by_age = Retention { bytes: -1, ms: 50 };
        assert_eq!(store.surplus(by_age, 0, 160).expect("readable"), Some(ids[1]));
        assert_eq!(store.surplus(by_age, 0, 1000).expect("readable"), Some(ids[2]));
        let by_size = Retention { bytes: 0, ms: -1 };
        assert_eq!(store.surplus(by_size, 0, 0).expect("readable"), Some(ids[2]));
        store.retire_before(ids[2], 5).expect("renamed");
        store.sweep(60, 30);
        let count = || std::fs::read_dir(directory.path()).expect("readable").count();
        assert_eq!(count(), 3);
        store.sweep(60, 65);
        assert_eq!(count(), 1);
        assert_eq!(store.latest(), Some(ids[2]));
    }

    #[test]
    fn leftovers_are_removed_at_start() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), 10, 1);
        let kept = write(directory.path(), 20, 1);
        for name in [
            "00000000000000000030-0000000001-77.checkpoint.part",
            "00000000000000000005-0000000001.checkpoint.deleted",
        ] {
            std::fs::write(directory.path().join(name), b"x").expect("writable");
        }
        let store = SnapshotStore::recover(Arc::new(RealDisk), directory.path(), 15).expect("recovered");
        assert_eq!(store.known().keys().copied().collect::<Vec<_>>(), [kept]);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1);
    }
}
