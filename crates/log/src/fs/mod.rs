//! The seam to the file system: the few calls everything in this crate goes through.
//!
//! [`RealDisk`] makes the system calls. [`SimDisk`] keeps files in memory, forgets on a power cut what was not
//! synced, tears writes and fails on the call you choose.
//!
//! What a caller may count on after a power cut is what POSIX promises and no more: bytes of a file are there
//! once [`DiskFile::sync`] has returned, and names (of new, renamed and removed files) once
//! [`Disk::sync_dir`] has returned for the directory that holds them.

mod real;
mod sim;

use std::any::Any;
use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use real::RealDisk;
pub use sim::{Fault, SimDisk};

/// How [`Disk::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Must be there; only read.
    Read,
    /// Must be there; read and written.
    Write,
    /// Made if it is not there; read and written.
    Create,
    /// Made if it is not there, emptied if it is; read and written.
    Replace,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory's.
    pub name: OsString,
    /// Whether it is a directory itself.
    pub is_dir: bool,
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Which file a name leads to, and when it was last changed in any way. Unlike the time of the last writing nobody can
/// set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The file's number in its file system.
    pub inode: u64,
    /// When its content or what is known of it was last changed, in nanoseconds since 1970; of a directory, when a name in
    /// it was.
    pub changed_ns: i64,
}

/// Why [`Disk::lock`] did not get the lock.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else has it.
    Held {
        /// The process that has it, where the system tells.
        pid: Option<u32>,
    },
    /// The lock file could not be made or locked.
    Io(io::Error),
}

/// A lock that lasts until it is dropped.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// A file system.
pub trait Disk: Send + Sync + Debug {
    /// Opens a file; or a directory, to read nothing from it.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Length and time of a file; `None` if it is not there.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;
    /// By what a file or directory can be known again; `None` if it is not there, or where that is not offered.
    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        let _ = path;
        Ok(None)
    }
    /// Gives a file or directory another name, replacing a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, or a directory that is empty.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory whose parent is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything durable that was written anywhere on the file system that holds `dir`.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on a file, which is made if it is not there.
    fn lock(&self, path: &Path) -> Result<LockGuard, LockError>;
}

/// An open file. It stays usable after the file was renamed or removed.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads at `position` until `buf` is full or the file ends; returns the bytes read.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bufs`, one behind the other, at `position`. After an error any part may be written.
    fn write_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts the file to `len` bytes, or lengthens it with zeros.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Makes everything durable that was written to the file system this file is on, since this file was opened;
    /// `None` where that is not offered. One call may do for many files, but it also waits for what others wrote.
    fn sync_file_system(&self) -> Option<io::Result<()>> {
        None
    }
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// The operating system's file, if there is one: for `sendfile` and memory maps.
    fn as_std(&self) -> Option<&std::fs::File>;
}

/// Reads a whole file; `None` if it is not there.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // Most are small, and there are thousands at start: their length need not be asked for.
    let mut small = [0; 1024];
    let read = file.read_at(&mut small, 0)?;
    if read < small.len() {
        return Ok(Some(small[..read].to_vec()));
    }
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts `bytes` in a file's place so that after a crash it holds the old or the new bytes, whole: written to
/// `<name>.tmp`, synced, renamed, directory synced.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file_unsynced_name(disk, path, bytes)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// [`replace_file`] without the last step: after a crash the file may still be the old one.
pub(crate) fn replace_file_unsynced_name(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let file = disk.open(&temporary, OpenMode::Replace)?;
    file.write_at(&mut [IoSlice::new(bytes)], 0)?;
    file.sync()?;
    drop(file);
    disk.rename(&temporary, path)
}

/// The name under which a file is written before it gets its own.
pub(crate) fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
