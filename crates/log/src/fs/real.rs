//! The operating system's file system.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockType};

use super::{DirEntry, Disk, DiskFile, LockError, LockGuard, OpenMode, Stamp, Stat};

/// System calls on the paths as they are given.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(File);

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read);
        match mode {
            OpenMode::Read | OpenMode::Write => {}
            OpenMode::Create => {
                options.create(true).truncate(false);
            }
            OpenMode::Replace => {
                options.create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        std::fs::read_dir(dir)?
            .map(|entry| {
                let entry = entry?;
                let kind = entry.file_type()?;
                // A link counts as what it leads to; one that leads nowhere is a file that cannot be opened.
                let is_dir = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
                Ok(DirEntry { name: entry.file_name(), is_dir })
            })
            .collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let metadata = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Some(Stat {
            len: metadata.len(),
            modified_ms: i64::try_from(modified.as_millis()).unwrap_or(i64::MAX),
            is_dir: metadata.is_dir(),
        }))
    }

    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        let metadata = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        let changed_ns = metadata.ctime().wrapping_mul(1_000_000_000).wrapping_add(metadata.ctime_nsec());
        Ok(Some(Stamp { inode: metadata.ino(), changed_ns }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(_) if path.is_dir() && !path.is_symlink() => std::fs::remove_dir(path),
            result => result,
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(dir)?)?)
    }

    /// Takes an `fcntl` lock, which is what the JVM takes and which names its holder. A process loses such a lock
    /// when it closes *any* descriptor of the file, so a second opener in this process is kept from opening it.
    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        let mut held = LOCKED.lock();
        if let Ok(metadata) = std::fs::metadata(path)
            && held.contains(&(metadata.dev(), metadata.ino()))
        {
            return Err(LockError::Held { pid: Some(std::process::id()) });
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => {
                return Err(LockError::Held { pid: holder(&file) });
            }
            Err(error) => return Err(LockError::Io(error.into())),
        }
        let metadata = file.metadata().map_err(LockError::Io)?;
        let key = (metadata.dev(), metadata.ino());
        held.push(key);
        Ok(Box::new(Locked { file: Some(file), key }))
    }
}

/// Device and inode of the files this process holds locked.
static LOCKED: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

struct Locked {
    file: Option<File>,
    key: (u64, u64),
}

impl Drop for Locked {
    fn drop(&mut self) {
        let mut held = LOCKED.lock();
        // Closing the descriptor gives the lock back.
        self.file = None;
        held.retain(|key| *key != self.key);
    }
}

/// The process that holds the lock on `file`; unknown if it is in another pid namespace.
fn holder(file: &File) -> Option<u32> {
    let held = rustix::process::fcntl_getlk(file, &Flock::from(FlockType::WriteLock)).ok()??;
    held.pid.map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
}

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, mut bufs: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            // The kernel takes at most 1024 buffers at once.
            let batch = &bufs[..bufs.len().min(1024)];
            match rustix::io::pwritev(&self.0, batch, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut bufs, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_file_system(&self) -> Option<io::Result<()>> {
        Some(rustix::fs::syncfs(&self.0).map_err(io::Error::from))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn as_std(&self) -> Option<&File> {
        Some(&self.0)
    }
}
