//! Walking over the batches of a log file: headers only, to find a place; or whole batches, to check or read
//! them.

use ottla_records::batch::{BatchHeader, FRAME_SIZE, HEADER_SIZE, peek};
use ottla_records::ids::{LeaderEpoch, NO_LEADER_EPOCH, NO_TIMESTAMP, Offset, TimestampMs};
use ottla_records::{Entry, EntryError};

use crate::error::Error;
use crate::fs::DiskFile;
use crate::index::{FileKind, Place};

/// Bytes read at once for headers: as much as lies between two entries of the offset index.
const HEAD_CHUNK: usize = 4096;
/// Bytes read at once for whole batches.
const BODY_CHUNK: usize = 256 * 1024;
/// Where a magic 1 message has its timestamp.
const LEGACY_TIMESTAMP_AT: usize = 18;

/// What the head of a batch, or of a message of an older format, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where it begins in the file.
    pub(crate) position: u32,
    /// Its bytes.
    pub(crate) size: u32,
    /// First offset; in the older formats that of the last record, the first is not known.
    pub(crate) base_offset: Offset,
    pub(crate) last_offset: Offset,
    /// −1 in magic 0.
    pub(crate) max_timestamp: TimestampMs,
    pub(crate) leader_epoch: LeaderEpoch,
}

impl Head {
    /// Position of what follows.
    pub(crate) fn end(&self) -> u32 {
        self.position + self.size
    }
}

/// Walks over the heads of batches between two positions of a log file that is known to be sound.
pub(crate) struct Heads<'a> {
    place: Place<'a>,
    file: &'a dyn DiskFile,
    position: u32,
    end: u32,
    buffer: [u8; HEAD_CHUNK],
    /// What of the file is in the buffer.
    start: u32,
    filled: usize,
}

impl<'a> Heads<'a> {
    /// `position` must be the start of a batch, `end` the end of one.
    pub(crate) fn new(place: Place<'a>, file: &'a dyn DiskFile, position: u32, end: u32) -> Heads<'a> {
        Heads { place, file, position, end, buffer: [0; HEAD_CHUNK], start: position, filled: 0 }
    }

    /// The next head; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Head>, Error> {
        if self.position >= self.end {
            return Ok(None);
        }
        let left = (self.end - self.position) as usize;
        let wanted = left.min(HEADER_SIZE);
        let mut at = (self.position - self.start) as usize;
        if at + wanted > self.filled {
            let chunk = left.min(HEAD_CHUNK);
            let read = self.file.read_at(&mut self.buffer[..chunk], u64::from(self.position));
            let path = || self.place.path_of(FileKind::Log);
            self.filled = read.map_err(|source| Error::io("read", &path(), source))?;
            self.start = self.position;
            at = 0;
        }
        let bytes = &self.buffer[at..self.filled.max(at)];
        let corrupt = |reason: String| self.place.corrupt(FileKind::Log, self.position.into(), reason);
        let head = head(bytes, self.position).map_err(|error| corrupt(error.to_string()))?;
        if head.size as usize > left {
            return Err(corrupt(format!("a batch of {} bytes runs over the end", head.size)));
        }
        self.position = head.end();
        Ok(Some(head))
    }
}

fn head(bytes: &[u8], position: u32) -> Result<Head, EntryError> {
    let frame = peek(bytes)?;
    let size = u32::try_from(frame.size).expect("LOG-9: a length field is an i32");
    if frame.magic < 2 {
        let timestamp = bytes.get(LEGACY_TIMESTAMP_AT..LEGACY_TIMESTAMP_AT + 8);
        let max_timestamp = match timestamp {
            Some(bytes) if frame.magic == 1 => i64::from_be_bytes(bytes.try_into().expect("LOG-10: 8 bytes")),
            _ => NO_TIMESTAMP,
        };
        return Ok(Head {
            position,
            size,
            base_offset: frame.base_offset,
            last_offset: frame.base_offset,
            max_timestamp,
            leader_epoch: NO_LEADER_EPOCH,
        });
    }
    let header = BatchHeader::parse(bytes)?;
    Ok(Head {
        position,
        size,
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        max_timestamp: header.max_timestamp,
        leader_epoch: header.partition_leader_epoch,
    })
}

/// A position, and the batch there or why there is none.
pub(crate) type Found<'a> = (u32, Result<Entry<'a>, EntryError>);

/// Walks over whole batches of a log file, which need not be sound.
pub(crate) struct Batches<'a> {
    place: Place<'a>,
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    start: u64,
    filled: usize,
}

impl<'a> Batches<'a> {
    /// From `position` to `end`, which must not be beyond the end of the file.
    pub(crate) fn new(place: Place<'a>, file: &'a dyn DiskFile, position: u64, end: u64) -> Batches<'a> {
        Batches { place, file, position, end, buffer: Vec::new(), start: position, filled: 0 }
    }

    /// The next batch, unverified, and its position. The inner error says why there is no sound batch: the end
    /// of the batch lies beyond the file, or it makes no sense.
    pub(crate) fn next(&mut self) -> Result<Option<Found<'_>>, Error> {
        if self.position >= self.end {
            return Ok(None);
        }
        self.fill(FRAME_SIZE)?;
        let size = match peek(self.buffered()) {
            Ok(frame) => frame.size,
            Err(error) => return Ok(Some((self.position as u32, Err(error.into())))),
        };
        self.fill(size)?;
        let position = self.position;
        let at = (position - self.start) as usize;
        match Entry::parse(&self.buffer[at..self.filled]) {
            Ok(entry) => {
                self.position += entry.bytes().len() as u64;
                Ok(Some((position as u32, Ok(entry))))
            }
            Err(error) => Ok(Some((position as u32, Err(error)))),
        }
    }

    fn buffered(&self) -> &[u8] {
        &self.buffer[(self.position - self.start) as usize..self.filled]
    }

    /// Has `wanted` bytes from the position on in the buffer, or all that there are.
    fn fill(&mut self, wanted: usize) -> Result<(), Error> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        if self.buffered().len() >= wanted {
            return Ok(());
        }
        let chunk = wanted.max(BODY_CHUNK).min(left);
        if self.buffer.len() < chunk {
            self.buffer = vec![0; chunk];
        }
        let read = self.file.read_at(&mut self.buffer[..chunk], self.position);
        let path = || self.place.path_of(FileKind::Log);
        self.filled = read.map_err(|source| Error::io("read", &path(), source))?;
        self.start = self.position;
        Ok(())
    }
}
