//! `%020d.timeindex`: timestamp to offset. Entries of 12 bytes: the largest timestamp so far i64, the last offset
//! of the batch that has it minus the segment's base i32. Written along with the offset index where the timestamp
//! has grown, and when a segment is rolled or closed.

use ottla_records::ids::TimestampMs;

use super::{Entry, FileKind};

/// No record before `offset` is as late as `timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: TimestampMs,
    pub(crate) offset: u32,
}

impl Entry for TimeEntry {
    const KIND: FileKind = FileKind::TimeIndex;
    const SIZE: usize = 12;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> TimeEntry {
        let bytes: &[u8; 12] = bytes.try_into().expect("LOG-5: a time entry has 12 bytes");
        let (timestamp, offset) = bytes.split_at(8);
        TimeEntry {
            timestamp: i64::from_be_bytes(timestamp.try_into().expect("LOG-6: split at 8")),
            offset: u32::from_be_bytes(offset.try_into().expect("LOG-7: 4 of 12 are left")),
        }
    }
}
