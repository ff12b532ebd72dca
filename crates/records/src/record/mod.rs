//! The records of a magic 2 batch, read one after the other without copying.
//!
//! ```text
//! varint  length of what follows
//! i8      attributes, unused
//! varlong timestamp, counted from the batch's base timestamp
//! varint  offset, counted from the batch's base offset
//! varint  key length (negative: null), key
//! varint  value length (negative: null), value
//! varint  number of headers; each: varint key length, key, varint value length (negative: null), value
//! ```
//!
//! A record that is handed out is sound to its last byte, headers included. Headers keep their order, and
//! headers with equal keys stay apart.

mod skim;

use crate::batch::BatchHeader;
use crate::ids::{NO_SEQUENCE, Offset, Sequence, TimestampMs, add_sequence};
use crate::varint;
use crate::{Batch, Compression, TimestampType};

pub(crate) use skim::skim_record;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// A number, key, value or header runs over the end of the record, or a number is malformed.
    #[error("record structure runs over its end")]
    Overrun,
    /// The record's own length is negative or larger than what is left of the batch.
    #[error("invalid record size {size}: {left} bytes are left in the batch")]
    BadSize {
        /// The record's length field.
        size: i32,
        /// Bytes left.
        left: usize,
    },
    /// The fields of the record end before its length says.
    #[error("invalid record size {size}: its fields take {read} bytes")]
    Slack {
        /// The record's length field.
        size: usize,
        /// Bytes its fields take.
        read: usize,
    },
    /// A negative number of headers, or more than the record has bytes for.
    #[error("invalid number of record headers {count}")]
    BadHeaderCount {
        /// The number of headers.
        count: i32,
    },
    /// A header with a negative key length.
    #[error("invalid negative header key size {size}")]
    BadHeaderKey {
        /// The key length.
        size: i32,
    },
    /// The batch says it has a negative number of records.
    #[error("invalid record count {count}")]
    BadCount {
        /// The batch's count.
        count: i32,
    },
    /// The batch goes on behind the last record it counts.
    #[error("incorrect declared batch size: {left} bytes remain behind the last record")]
    TrailingBytes {
        /// Bytes left.
        left: usize,
    },
}

/// A record that is not sound, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record {index}: {fault}")]
pub struct RecordError {
    /// Index of the record in its batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    #[source]
    pub fault: RecordFault,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The record's attributes byte; Kafka writes 0.
    pub attributes: i8,
    /// Absolute offset.
    pub offset: Offset,
    /// The producer's timestamp, or the batch's append time.
    pub timestamp: TimestampMs,
    /// Sequence, −1 if the batch has none.
    pub sequence: Sequence,
    /// The key; `None` for a null key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` for a null value, which is a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
    /// Bytes the record takes in the (decompressed) batch, its length field included.
    pub size_in_bytes: usize,
}

/// The headers of a record. Iterating never fails: they were checked with the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// One header of a record. Keys are UTF-8 when written by Kafka's clients, but nothing enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key, possibly empty; several headers may have the same.
    pub key: &'a [u8],
    /// The value; `None` for a null value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in the order they were written.
    pub fn iter(&self) -> HeaderIter<'a> {
        HeaderIter { left: self.count, bytes: self.bytes, at: 0 }
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Headers`].
#[derive(Debug, Clone)]
pub struct HeaderIter<'a> {
    left: usize,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(read_header(self.bytes, &mut self.at).expect("RECORDS-3: headers are checked with their record"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

/// A record as it lies in the batch: deltas instead of absolute numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRecord<'a> {
    pub(crate) attributes: i8,
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

/// Reads the record at `*at` and moves `*at` behind it; the whole record is checked.
#[inline]
pub(crate) fn read_record<'a>(body: &'a [u8], at: &mut usize) -> Result<RawRecord<'a>, RecordFault> {
    let size = varint::read_i32(body, at).map_err(|_| RecordFault::Overrun)?;
    let left = body.len() - *at;
    // A negative size becomes huge as an unsigned number, so one comparison is enough.
    if size as u32 as usize > left {
        return Err(RecordFault::BadSize { size, left });
    }
    let record = &body[*at..*at + size as usize];
    *at += size as usize;

    let attributes = *record.first().ok_or(RecordFault::Overrun)? as i8;
    let mut pos = 1;
    let timestamp_delta = varint::read_i64(record, &mut pos).map_err(|_| RecordFault::Overrun)?;
    let offset_delta = varint::read_i32(record, &mut pos).map_err(|_| RecordFault::Overrun)?;
    let key = read_nullable(record, &mut pos)?;
    let value = read_nullable(record, &mut pos)?;
    let count = varint::read_i32(record, &mut pos).map_err(|_| RecordFault::Overrun)?;
    let headers = if count == 0 { Headers::default() } else { read_headers(record, &mut pos, count)? };
    if pos != record.len() {
        return Err(RecordFault::Slack { size: record.len(), read: pos });
    }
    Ok(RawRecord { attributes, timestamp_delta, offset_delta, key, value, headers })
}

#[inline]
fn read_nullable<'a>(record: &'a [u8], pos: &mut usize) -> Result<Option<&'a [u8]>, RecordFault> {
    let length = varint::read_i32(record, pos).map_err(|_| RecordFault::Overrun)?;
    if length < 0 {
        return Ok(None);
    }
    let bytes = record[*pos..].get(..length as usize).ok_or(RecordFault::Overrun)?;
    *pos += length as usize;
    Ok(Some(bytes))
}

#[cold]
fn read_headers<'a>(record: &'a [u8], pos: &mut usize, count: i32) -> Result<Headers<'a>, RecordFault> {
    let start = *pos;
    // Every header takes at least two bytes.
    if count < 0 || count as usize > (record.len() - start) / 2 {
        return Err(RecordFault::BadHeaderCount { count });
    }
    for _ in 0..count {
        read_header(record, pos)?;
    }
    Ok(Headers { count: count as usize, bytes: &record[start..*pos] })
}

fn read_header<'a>(record: &'a [u8], pos: &mut usize) -> Result<Header<'a>, RecordFault> {
    let size = varint::read_i32(record, pos).map_err(|_| RecordFault::Overrun)?;
    if size < 0 {
        return Err(RecordFault::BadHeaderKey { size });
    }
    let key = record[*pos..].get(..size as usize).ok_or(RecordFault::Overrun)?;
    *pos += size as usize;
    Ok(Header { key, value: read_nullable(record, pos)? })
}

/// Iterates over the records of one batch; ends after the batch's count or the first unsound record.
///
/// As in Kafka, the last record comes out only if nothing lies behind it.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    body: &'a [u8],
    at: usize,
    index: i32,
    count: i32,
    failed: bool,
    base_offset: Offset,
    base_timestamp: TimestampMs,
    base_sequence: Sequence,
    append_time: Option<TimestampMs>,
}

impl<'a> RecordIter<'a> {
    /// The records in `body`, which is the plain or decompressed body of the batch that `header` belongs to.
    pub fn new(header: &BatchHeader, body: &'a [u8]) -> RecordIter<'a> {
        let append_time =
            (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp);
        RecordIter {
            body,
            at: 0,
            index: 0,
            count: header.count,
            failed: false,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            base_sequence: header.base_sequence,
            append_time,
        }
    }

    fn read(&mut self) -> Result<Option<Record<'a>>, RecordFault> {
        if self.index >= self.count {
            return match (self.count, self.body.len() - self.at) {
                (count, _) if count < 0 => Err(RecordFault::BadCount { count }),
                (_, 0) => Ok(None),
                (_, left) => Err(RecordFault::TrailingBytes { left }),
            };
        }
        let start = self.at;
        let raw = read_record(self.body, &mut self.at)?;
        if self.index + 1 == self.count && self.at != self.body.len() {
            return Err(RecordFault::TrailingBytes { left: self.body.len() - self.at });
        }
        self.index += 1;
        Ok(Some(Record {
            attributes: raw.attributes,
            offset: self.base_offset.wrapping_add(i64::from(raw.offset_delta)),
            timestamp: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(raw.timestamp_delta)),
            sequence: match self.base_sequence {
                base if base >= 0 => add_sequence(base, raw.offset_delta),
                _ => NO_SEQUENCE,
            },
            key: raw.key,
            value: raw.value,
            headers: raw.headers,
            size_in_bytes: self.at - start,
        }))
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.read()
            .map_err(|fault| RecordError { index: self.index, fault })
            .inspect_err(|_| self.failed = true)
            .transpose()
    }
}

impl<'a> Batch<'a> {
    /// The records of a batch that is not compressed; `None` if it is: see
    /// [`Decompressor::records`](crate::compress::Decompressor::records), which reads both.
    pub fn plain_records(&self) -> Option<RecordIter<'a>> {
        (self.compression() == Some(Compression::None)).then(|| RecordIter::new(self.header(), self.body()))
    }
}
