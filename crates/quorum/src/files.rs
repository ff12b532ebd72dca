//! The few things this crate does to files besides the log's own segments, over the log's file system seam.

use std::io::{self, ErrorKind, IoSlice};
use std::path::Path;

use ottla_log::fs::{Disk, DiskFile, OpenMode};

/// The whole file; `None` if it is not there.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Puts `bytes` in the file's place so that after a crash it holds the old or the new content, whole.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let file = disk.open(temporary, OpenMode::Replace)?;
    file.write_at(&mut [IoSlice::new(bytes)], 0)?;
    if !ottla_records::mutant::is("vote-unsynced") {
        file.sync()?;
    }
    drop(file);
    rename(disk, temporary, path)
}

/// Kafka's finished snapshots are read-only; so are ours, where there are permissions.
pub(crate) fn make_read_only(file: &dyn DiskFile) -> io::Result<()> {
    let Some(file) = file.as_std() else { return Ok(()) };
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)
}

/// Renames within a directory and makes the rename durable.
pub(crate) fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    disk.rename(from, to)?;
    disk.sync_dir(to.parent().unwrap_or(Path::new(".")))
}

/// Makes the directory if it is not there.
pub(crate) fn ensure_directory(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => disk.sync_dir(path.parent().unwrap_or(Path::new("."))),
    }
}
