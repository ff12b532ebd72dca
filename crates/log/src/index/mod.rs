//! The index files of a segment: what they have in common.
//!
//! An index is a file of entries of one size, in ascending order, searched by halving. Kafka maps it into memory
//! at its full size; here new entries wait in a small buffer and the file is read with ordinary reads, a page
//! at a time, so that an index nobody uses costs nothing. Files are never longer than what they hold.

mod aborted;
mod offset;
mod time;

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_records::ids::Offset;

use crate::dir::LogDir;
use crate::error::Error;
use crate::fs::{DiskFile, OpenMode};

pub(crate) use aborted::AbortedIndex;
pub use aborted::AbortedTxn;
pub(crate) use offset::OffsetEntry;
pub(crate) use time::TimeEntry;

/// Entries that wait in memory before they are written together.
const BUFFERED: usize = 64;
/// Bytes read at once while searching.
const PAGE: usize = 4096;

/// The files of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Log,
    OffsetIndex,
    TimeIndex,
    TxnIndex,
}

impl FileKind {
    pub(crate) const ALL: [FileKind; 4] =
        [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex];

    pub(crate) fn extension(self) -> &'static str {
        match self {
            FileKind::Log => "log",
            FileKind::OffsetIndex => "index",
            FileKind::TimeIndex => "timeindex",
            FileKind::TxnIndex => "txnindex",
        }
    }
}

/// Where a segment's files are, and under which keys they are kept open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a LogDir,
    /// The partition's directory.
    pub(crate) path: &'a Path,
    /// Base offset of the segment.
    pub(crate) base: Offset,
    /// First of four keys.
    pub(crate) key: u64,
}

impl Place<'_> {
    pub(crate) fn path_of(&self, kind: FileKind) -> PathBuf {
        self.path.join(format!("{:020}.{}", self.base, kind.extension()))
    }

    /// The open file; it must be there.
    pub(crate) fn file(&self, kind: FileKind) -> Result<Arc<dyn DiskFile>, Error> {
        let opened = self
            .dir
            .handles()
            .get(self.key + kind as u64, || self.dir.disk().open(&self.path_of(kind), OpenMode::Write));
        opened.map_err(|source| Error::io("open", &self.path_of(kind), source))
    }

    /// Makes the file empty, whatever was there, or new.
    pub(crate) fn create(&self, kind: FileKind) -> Result<Arc<dyn DiskFile>, Error> {
        self.close(kind);
        let made = self
            .dir
            .handles()
            .get(self.key + kind as u64, || self.dir.disk().open(&self.path_of(kind), OpenMode::Replace));
        match made {
            Ok(file) => Ok(file),
            Err(error) => self.dir.changed("create", &self.path_of(kind), Err(error)),
        }
    }

    pub(crate) fn close(&self, kind: FileKind) {
        self.dir.handles().close(self.key + kind as u64);
    }

    /// Length of the file; `None` if it is not there.
    pub(crate) fn len(&self, kind: FileKind) -> Result<Option<u64>, Error> {
        let path = self.path_of(kind);
        let stat = self.dir.disk().stat(&path).map_err(|source| Error::io("stat", &path, source))?;
        Ok(stat.map(|stat| stat.len))
    }

    pub(crate) fn read(&self, kind: FileKind, buf: &mut [u8], position: u64) -> Result<usize, Error> {
        let read = self.file(kind)?.read_at(buf, position);
        read.map_err(|source| Error::io("read", &self.path_of(kind), source))
    }

    pub(crate) fn write(&self, kind: FileKind, bytes: &[u8], position: u64) -> Result<(), Error> {
        let written = self.file(kind)?.write_at(&mut [IoSlice::new(bytes)], position);
        written.or_else(|error| self.dir.changed("write", &self.path_of(kind), Err(error)))
    }

    pub(crate) fn truncate(&self, kind: FileKind, len: u64) -> Result<(), Error> {
        let cut = self.file(kind)?.truncate(len);
        cut.or_else(|error| self.dir.changed("truncate", &self.path_of(kind), Err(error)))
    }

    pub(crate) fn corrupt(&self, kind: FileKind, position: u64, reason: impl Into<String>) -> Error {
        Error::corrupt(&self.path_of(kind), position, reason)
    }
}

/// An entry of an index.
pub(crate) trait Entry: Copy {
    const KIND: FileKind;
    const SIZE: usize;
    fn encode(self, out: &mut Vec<u8>);
    /// `bytes` are exactly [`Entry::SIZE`].
    fn decode(bytes: &[u8]) -> Self;
}

/// An offset or time index: entries in the file, and some that are still to be written.
#[derive(Debug)]
pub(crate) struct Index<E> {
    /// Entries in the file.
    written: u32,
    /// Entries behind them.
    pending: Vec<E>,
}

impl<E> Default for Index<E> {
    fn default() -> Self {
        Index { written: 0, pending: Vec::new() }
    }
}

impl<E: Entry> Index<E> {
    /// An index that is in its file. `None` if the file is missing or cannot be an index by its length.
    pub(crate) fn load(place: Place<'_>) -> Result<Option<Index<E>>, Error> {
        Ok(match place.len(E::KIND)? {
            Some(len) if len % E::SIZE as u64 == 0 && len <= i32::MAX as u64 => {
                Some(Index { written: (len / E::SIZE as u64) as u32, pending: Vec::new() })
            }
            _ => None,
        })
    }

    /// An index of which is known how many entries its file has.
    pub(crate) fn in_file(entries: u32) -> Index<E> {
        Index { written: entries, pending: Vec::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        self.written + self.pending.len() as u32
    }

    pub(crate) fn push(&mut self, place: Place<'_>, entry: E) -> Result<(), Error> {
        self.pending.push(entry);
        if self.pending.len() < BUFFERED {
            return Ok(());
        }
        match self.write(place) {
            // The entries wait for the next one, so that a full disk never leaves log and index apart.
            Err(Error::DiskFull { .. }) => Ok(()),
            result => result,
        }
    }

    /// Writes what is pending, and gives the buffer back.
    pub(crate) fn write(&mut self, place: Place<'_>) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.pending.len() * E::SIZE);
        self.pending.iter().for_each(|entry| entry.encode(&mut bytes));
        place.write(E::KIND, &bytes, u64::from(self.written) * E::SIZE as u64)?;
        self.written += self.pending.len() as u32;
        self.pending = Vec::new();
        Ok(())
    }

    /// Forgets all entries and makes the file empty.
    pub(crate) fn reset(&mut self, place: Place<'_>) -> Result<(), Error> {
        *self = Index::default();
        place.create(E::KIND).map(drop)
    }

    /// Keeps the first `len` entries.
    pub(crate) fn truncate(&mut self, place: Place<'_>, len: u32) -> Result<(), Error> {
        if len >= self.written {
            self.pending.truncate((len - self.written) as usize);
            return Ok(());
        }
        self.pending = Vec::new();
        self.written = len;
        place.truncate(E::KIND, u64::from(len) * E::SIZE as u64)
    }

    pub(crate) fn get(&self, place: Place<'_>, at: u32) -> Result<E, Error> {
        if at >= self.written {
            return Ok(self.pending[(at - self.written) as usize]);
        }
        let mut bytes = [0; 16];
        let bytes = &mut bytes[..E::SIZE];
        self.read_page(place, at, bytes)?;
        Ok(E::decode(bytes))
    }

    pub(crate) fn last(&self, place: Place<'_>) -> Result<Option<E>, Error> {
        match self.len() {
            0 => Ok(None),
            len => self.get(place, len - 1).map(Some),
        }
    }

    /// How many entries at the start satisfy `before`, which must hold for a prefix of them.
    pub(crate) fn partition_point(
        &self,
        place: Place<'_>,
        before: impl Fn(&E) -> bool,
    ) -> Result<u32, Error> {
        if self.written == 0 || self.pending.first().is_some_and(&before) {
            return Ok(self.written + self.pending.partition_point(&before) as u32);
        }
        let per_page = (PAGE / E::SIZE) as u32;
        let (mut low, mut high) = (0, self.written);
        // Most searches are for the end: look at the last page before halving.
        if high > per_page && before(&self.get(place, high - per_page)?) {
            low = high - per_page;
        }
        while high - low > per_page {
            let middle = low + (high - low) / 2;
            if before(&self.get(place, middle)?) { low = middle + 1 } else { high = middle }
        }
        let mut bytes = [0; PAGE];
        let page = &mut bytes[..(high - low) as usize * E::SIZE];
        self.read_page(place, low, page)?;
        let entries: &[u8] = page;
        let mut found = low;
        for entry in entries.chunks_exact(E::SIZE) {
            if !before(&E::decode(entry)) {
                break;
            }
            found += 1;
        }
        Ok(found)
    }

    /// The last entry that satisfies `before`, which must hold for a prefix of them.
    pub(crate) fn last_before(
        &self,
        place: Place<'_>,
        before: impl Fn(&E) -> bool,
    ) -> Result<Option<E>, Error> {
        match self.partition_point(place, before)? {
            0 => Ok(None),
            found => self.get(place, found - 1).map(Some),
        }
    }

    fn read_page(&self, place: Place<'_>, at: u32, page: &mut [u8]) -> Result<(), Error> {
        let position = u64::from(at) * E::SIZE as u64;
        if place.read(E::KIND, page, position)? < page.len() {
            return Err(place.corrupt(E::KIND, position, "the index has become shorter than it was"));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
