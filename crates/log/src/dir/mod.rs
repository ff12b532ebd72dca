//! One log directory: its lock, its identity, its checkpoints, the partitions in it, and whether it still works.

mod checkpoint;
pub(crate) mod closed;
mod meta_properties;
mod names;
mod poison;
mod shutdown;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Error;
use crate::flush::Flusher;
use crate::fs::{Disk, DiskFile, LockError, LockGuard, OpenMode, RealDisk, temporary_name};
use crate::handles::Handles;
use crate::map::Windows;

pub use checkpoint::{CheckpointEntry, CheckpointKind};
pub(crate) use checkpoint::{decode_pairs, encode_pairs};
pub use closed::{ClosedLog, ClosedLogs};
pub use meta_properties::{MetaProperties, MetaPropertiesError};
pub use names::{DirKind, NameError, PartitionDir};
use poison::Poison;
pub use shutdown::CleanShutdown;

/// The lock file of a log directory.
pub const LOCK_FILE: &str = ".lock";

/// What a log directory shares with others, and how it works.
#[derive(Debug, Clone)]
pub struct DirOptions {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The open files' budget; one may serve all directories of a process.
    pub handles: Arc<Handles>,
    /// Memory maps for reading; one may serve all directories of a process.
    pub windows: Arc<Windows>,
    /// Whether to take the lock: not for tools that only look.
    pub lock: bool,
}

impl Default for DirOptions {
    /// The real file system, 4,096 open files, 16 MiB mapped, locked.
    fn default() -> DirOptions {
        DirOptions {
            disk: Arc::new(RealDisk),
            handles: Handles::new(4096),
            windows: Windows::new(16 << 20),
            lock: true,
        }
    }
}

/// Why a log directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// There is nothing of this name.
    #[error("log directory {} does not exist", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// It is a file.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Another process works in it.
    #[error(
        "failed to acquire lock on file {}: {}; a process using this directory is running",
        lock_file.display(), held_by(.pid)
    )]
    Locked {
        /// The lock file.
        lock_file: PathBuf,
        /// The process that holds the lock, where the system tells.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error("cannot use log directory {}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

fn held_by(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("it is held by process {pid}"),
        None => "it is held by another process".into(),
    }
}

/// A log directory in use. Clones are handles to the same one; the lock is given back with the last.
#[derive(Debug, Clone)]
pub struct LogDir {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    handles: Arc<Handles>,
    windows: Arc<Windows>,
    poison: Poison,
    doomed: Mutex<Vec<Doomed>>,
    flusher: Flusher,
    /// The directory, open since before anything was written to it.
    handle: Arc<dyn DiskFile>,
    /// Files that are complete under their temporary name and get their own once they are durable.
    unnamed: Mutex<Vec<PathBuf>>,
    _lock: Option<LockGuard>,
}

/// A file that has got its `.deleted` name and is removed at its time.
#[derive(Debug)]
struct Doomed {
    due_ms: i64,
    path: PathBuf,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogDir").field("path", &self.path).field("poison", &self.poison).finish()
    }
}

impl LogDir {
    /// Takes a directory that is there into use. Whether it is formatted shows [`LogDir::meta_properties`].
    pub fn open(path: &Path, options: DirOptions) -> Result<LogDir, DirError> {
        let DirOptions { disk, handles, windows, lock } = options;
        let io_error = |source| DirError::Io { path: path.to_owned(), source };
        match disk.stat(path).map_err(io_error)? {
            None => return Err(DirError::Missing { path: path.to_owned() }),
            Some(stat) if !stat.is_dir => return Err(DirError::NotADirectory { path: path.to_owned() }),
            Some(_) => {}
        }
        let lock_file = path.join(LOCK_FILE);
        let lock = match lock.then(|| disk.lock(&lock_file)).transpose() {
            Ok(lock) => lock,
            Err(LockError::Held { pid }) => return Err(DirError::Locked { lock_file, pid }),
            Err(LockError::Io(source)) => return Err(io_error(source)),
        };
        let handle = disk.open(path, OpenMode::Read).map_err(io_error)?;
        Ok(LogDir {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                handle,
                unnamed: Mutex::default(),
                disk,
                handles,
                windows,
                poison: Poison::default(),
                doomed: Mutex::default(),
                flusher: Flusher::default(),
                _lock: lock,
            }),
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Its file system.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.shared.disk
    }

    /// Its open files.
    pub fn handles(&self) -> &Arc<Handles> {
        &self.shared.handles
    }

    /// Its memory maps.
    pub fn windows(&self) -> &Arc<Windows> {
        &self.shared.windows
    }

    /// Its group commit.
    pub fn flusher(&self) -> &Flusher {
        &self.shared.flusher
    }

    /// Why nothing works here any more, if so: the first write or fsync that failed.
    pub fn offline(&self) -> Option<Error> {
        let reason = self.shared.poison.reason()?;
        Some(Error::Offline { dir: self.shared.path.clone(), reason: reason.to_owned() })
    }

    /// Fails if the directory is offline.
    pub fn check(&self) -> Result<(), Error> {
        self.offline().map_or(Ok(()), Err)
    }

    /// Takes the directory offline for good.
    pub fn poison(&self, reason: impl FnOnce() -> String) {
        self.shared.poison.set(reason);
    }

    /// `meta.properties`; `None` if the directory is not formatted.
    pub fn meta_properties(&self) -> Result<Option<MetaProperties>, MetaPropertiesError> {
        MetaProperties::read(&*self.shared.disk, self.path())
    }

    /// Replaces `meta.properties`.
    pub fn write_meta_properties(&self, properties: &MetaProperties) -> Result<(), Error> {
        self.check()?;
        let written = properties.write(&*self.shared.disk, self.path());
        self.changed("write", &self.path().join(meta_properties::FILE), written)
    }

    /// Reads one of the checkpoint files; no entries if it is not there.
    pub fn read_checkpoint(&self, kind: CheckpointKind) -> Result<Vec<CheckpointEntry>, Error> {
        checkpoint::read(&*self.shared.disk, &self.path().join(kind.file_name()))
    }

    /// Replaces one of the checkpoint files, durably.
    pub fn write_checkpoint(
        &self,
        kind: CheckpointKind,
        entries: impl IntoIterator<Item = CheckpointEntry>,
    ) -> Result<(), Error> {
        self.check()?;
        let path = self.path().join(kind.file_name());
        let entries: Vec<_> = entries.into_iter().collect();
        let written = checkpoint::write(&*self.shared.disk, &path, &entries);
        self.changed("write", &path, written)
    }

    /// Whether the last user stopped cleanly. The marker stays: see [`LogDir::forget_clean_shutdown`].
    pub fn clean_shutdown(&self) -> Result<Option<CleanShutdown>, Error> {
        let path = self.path().join(shutdown::FILE);
        shutdown::read(&*self.shared.disk, &path).map_err(|source| Error::io("read", &path, source))
    }

    /// Removes the marker, durably. Called after all logs are open and before the first write: from then on a
    /// crash is a crash.
    pub fn forget_clean_shutdown(&self) -> Result<(), Error> {
        self.check()?;
        let path = self.path().join(shutdown::FILE);
        let removed = shutdown::remove(&*self.shared.disk, self.path(), &path);
        self.changed("remove", &path, removed)
    }

    /// Makes everything in the directory durable, then leaves the marker. Called after all logs are closed.
    pub fn mark_clean_shutdown(&self, broker_epoch: i64) -> Result<(), Error> {
        self.check()?;
        let disk = &*self.shared.disk;
        self.changed("sync", self.path(), disk.sync_all(self.path()))?;
        let unnamed = std::mem::take(&mut *self.shared.unnamed.lock());
        if !unnamed.is_empty() {
            for path in unnamed {
                self.rename_file(&temporary_name(&path), &path)?;
            }
            self.changed("sync", self.path(), disk.sync_all(self.path()))?;
        }
        let path = self.path().join(shutdown::FILE);
        let written = shutdown::write(disk, self.path(), &path, broker_epoch);
        self.changed("write", &path, written)
    }

    /// Leaves for the next start what is known of the logs, after [`LogDir::mark_clean_shutdown`]. Where it cannot be
    /// written the next start takes longer, and nothing else.
    pub fn write_closed_logs(&self, mut logs: Vec<ClosedLog>) -> Result<(), Error> {
        // A start that looks into the directory removes what waits for its removal there.
        let doomed: HashSet<PathBuf> = self
            .shared
            .doomed
            .lock()
            .iter()
            .filter_map(|file| Some(file.path.parent()?.to_owned()))
            .collect();
        logs.retain(|log| !doomed.contains(&self.path().join(&log.name)));
        let path = self.path().join(closed::FILE);
        closed::write(&*self.shared.disk, self.path(), &logs)
            .map_err(|source| Error::io("write", &path, source))
    }

    /// What [`LogDir::write_closed_logs`] left, if nobody worked here since. To be read before
    /// [`LogDir::forget_clean_shutdown`].
    pub fn closed_logs(&self) -> Option<ClosedLogs> {
        closed::read(&*self.shared.disk, self.path())
    }

    /// All partition directories, also those to be deleted, moved or not assigned. Other names are skipped, but
    /// for directories that look like partitions and are none: those are errors, as in Kafka.
    pub fn partitions(&self) -> Result<Vec<PartitionDir>, Error> {
        let entries = self.shared.disk.list(self.path());
        let entries = entries.map_err(|source| Error::io("list", self.path(), source))?;
        let dirs = entries.into_iter().filter(|entry| entry.is_dir);
        dirs.filter_map(|entry| {
            // Directories of others: a file system's lost+found, the remote log's index cache.
            let name = entry.name.to_str().unwrap_or("");
            if name == "lost+found" || name == "remote-log-index-cache" || name.starts_with('.') {
                return None;
            }
            Some(
                PartitionDir::parse(name)
                    .map_err(|error| Error::corrupt(&self.path().join(&entry.name), 0, error.to_string())),
            )
        })
        .collect()
    }

    /// The path of a partition directory.
    pub fn partition_path(&self, partition: &PartitionDir) -> PathBuf {
        self.path().join(partition.to_string())
    }

    /// Renames a partition directory that no open [`Log`](crate::Log) uses, durably.
    pub fn rename_partition(&self, from: &PartitionDir, to: &PartitionDir) -> Result<(), Error> {
        self.check()?;
        let (from, to) = (self.partition_path(from), self.partition_path(to));
        self.changed("rename", &from, self.shared.disk.rename(&from, &to))?;
        self.changed("sync", self.path(), self.shared.disk.sync_dir(self.path()))
    }

    /// Removes a partition directory and all that is in it. What is gone already is no error.
    pub fn remove_partition(&self, partition: &PartitionDir) -> Result<(), Error> {
        self.check()?;
        let path = self.partition_path(partition);
        let disk = &*self.shared.disk;
        let entries = match disk.list(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|source| Error::io("list", &path, source))?,
        };
        for entry in entries {
            self.remove_file(&path.join(entry.name))?;
        }
        self.remove_file(&path)
    }

    /// Removes the files whose time has come. Returns when the next one is due, if there are more.
    ///
    /// Cheap when nothing is due; meant for a timer. A file that is gone already is no error: its partition may
    /// have been removed as a whole.
    pub fn remove_doomed(&self, now_ms: i64) -> Result<Option<i64>, Error> {
        let due: Vec<Doomed> = {
            let mut doomed = self.shared.doomed.lock();
            let (due, later) = doomed.drain(..).partition(|file| file.due_ms <= now_ms);
            *doomed = later;
            due
        };
        for file in due {
            self.check()?;
            self.remove_file(&file.path)?;
        }
        Ok(self.shared.doomed.lock().iter().map(|file| file.due_ms).min())
    }

    /// Has `path` removed at `due_ms` by [`LogDir::remove_doomed`].
    pub(crate) fn doom(&self, path: PathBuf, due_ms: i64) {
        self.shared.doomed.lock().push(Doomed { due_ms, path });
    }

    /// Writes a file under its temporary name; [`LogDir::mark_clean_shutdown`] gives it its own. A crash before that
    /// leaves the old file.
    pub(crate) fn replace_at_shutdown(&self, path: PathBuf, bytes: &[u8]) -> Result<(), Error> {
        let file = self.open_file(&temporary_name(&path), OpenMode::Replace)?;
        let written = file.write_at(&mut [io::IoSlice::new(bytes)], 0);
        self.changed("write", &path, written)?;
        self.shared.unnamed.lock().push(path);
        Ok(())
    }

    pub(crate) fn handle(&self) -> &Arc<dyn DiskFile> {
        &self.shared.handle
    }

    /// Removes a file; that it is not there is no error.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), Error> {
        match self.shared.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => self.changed("remove", path, result),
        }
    }

    pub(crate) fn rename_file(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.changed("rename", from, self.shared.disk.rename(from, to))
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        self.changed("sync", path, self.shared.disk.sync_dir(path))
    }

    /// Opens a file for writing outside the budget.
    pub(crate) fn open_file(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, Error> {
        match self.shared.disk.open(path, mode) {
            Ok(file) => Ok(file),
            // Not being able to read is not a reason to give up the directory.
            Err(source) if matches!(mode, OpenMode::Read | OpenMode::Write) => {
                Err(Error::io("open", path, source))
            }
            Err(error) => self.changed("create", path, Err(error)),
        }
    }

    /// Turns the result of a changing call into an [`Error`]. A failure takes the directory offline, but for a
    /// full disk.
    pub(crate) fn changed<T>(
        &self,
        action: &'static str,
        path: &Path,
        result: io::Result<T>,
    ) -> Result<T, Error> {
        result.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded if action != "sync" => {
                Error::DiskFull { path: path.to_owned() }
            }
            _ => {
                let error = Error::io(action, path, source);
                self.poison(|| error.to_string());
                error
            }
        })
    }
}

#[cfg(test)]
mod tests;
