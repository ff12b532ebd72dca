//! A part of a log file: what a read returns. It stays readable after the log's lock is released, and after the
//! segment was rolled, renamed or deleted.

use std::io;
use std::sync::Arc;

use crate::fs::DiskFile;
use crate::map::{Mapped, Windows};

/// Some batches of a log, by place. The last one may be cut off by the size asked for.
#[derive(Debug, Clone)]
pub struct Slice {
    source: Option<Source>,
    position: u32,
    len: u32,
}

#[derive(Debug, Clone)]
struct Source {
    key: u64,
    file: Arc<dyn DiskFile>,
    windows: Arc<Windows>,
}

impl Slice {
    /// No bytes.
    pub fn empty() -> Slice {
        Slice { source: None, position: 0, len: 0 }
    }

    pub(crate) fn new(
        key: u64,
        file: Arc<dyn DiskFile>,
        windows: Arc<Windows>,
        position: u32,
        len: u32,
    ) -> Slice {
        Slice { source: Some(Source { key, file, windows }), position, len }
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Position of its first byte in the file.
    pub fn position(&self) -> u64 {
        self.position.into()
    }

    /// The first `len` bytes of it.
    #[must_use]
    pub fn truncated(&self, len: usize) -> Slice {
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(self.len);
        Slice { len, ..self.clone() }
    }

    /// Copies bytes into `buf`, beginning `skip` bytes into the slice. Fails with `UnexpectedEof` if the log has
    /// been truncated below the end of the slice, and with `InvalidInput` if the slice is too short.
    pub fn read_at(&self, skip: usize, buf: &mut [u8]) -> io::Result<()> {
        if skip.checked_add(buf.len()).is_none_or(|end| end > self.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let Some(source) = self.source.as_ref().filter(|_| !buf.is_empty()) else { return Ok(()) };
        if source.file.read_at(buf, self.position() + skip as u64)? < buf.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len()];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// The slice in memory maps, for [`write_gathered`](crate::map::write_gathered); `None` where the disk has no
    /// real files.
    pub fn map(&self) -> io::Result<Option<Mapped>> {
        let Some(source) = &self.source else { return Ok(None) };
        let Some(file) = source.file.as_std() else { return Ok(None) };
        source.windows.map(source.key, file, self.position(), self.len()).map(Some)
    }

    /// The operating system's file, to be read from [`Slice::position`] on (for `sendfile`); `None` where the disk
    /// has no real files.
    pub fn file(&self) -> Option<&std::fs::File> {
        self.source.as_ref().and_then(|source| source.file.as_std())
    }
}
