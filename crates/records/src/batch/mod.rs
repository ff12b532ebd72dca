//! One magic 2 batch, seen through its first 61 bytes: parsed, verified, walked over, and given the few
//! fields that belong to the leader.
//!
//! | at | field | | at | field |
//! |---|---|---|---|---|
//! | 0 | base offset i64 | | 27 | base timestamp i64 |
//! | 8 | length i32: bytes that follow | | 35 | max timestamp i64 |
//! | 12 | partition leader epoch i32 | | 43 | producer id i64 |
//! | 16 | magic i8 = 2 | | 51 | producer epoch i16 |
//! | 17 | CRC-32C u32, of all bytes from 21 on | | 53 | base sequence i32 |
//! | 21 | attributes i16 | | 57 | records count i32 |
//! | 23 | last offset delta i32 | | 61 | the records, compressed as one blob or plain |
//!
//! Base offset and leader epoch lie in front of what the CRC covers, so that a leader can set them for free.

mod header;
mod walk;

use std::ops::Deref;

pub(crate) use header::{ATTRIBUTES_AT, MAGIC_AT, be_i32, be_i64};
pub use header::{BatchError, BatchHeader, FRAME_SIZE, Frame, HEADER_SIZE, LOG_OVERHEAD, MAGIC, peek};
use header::{CRC_AT, LEADER_EPOCH_AT, MAX_TIMESTAMP_AT};
pub use walk::{BatchIter, BatchIterError};

use crate::attributes::TimestampType;
use crate::crc;
use crate::ids::{LeaderEpoch, Offset, TimestampMs};

/// A borrowed view of one whole batch. The header's fields and methods are reached directly (`Deref`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    header: BatchHeader,
}

impl Deref for Batch<'_> {
    type Target = BatchHeader;

    #[inline]
    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, which may go on behind it. Checks length and magic, not the CRC.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let size = header.size_in_bytes();
        match bytes.get(..size) {
            Some(bytes) => Ok(Batch { bytes, header }),
            None => Err(BatchError::Torn { needed: size, available: bytes.len() }),
        }
    }

    /// The parsed header.
    #[inline]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All bytes of the batch.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes behind the header: records, compressed or plain.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_SIZE..]
    }

    /// Checks CRC, then count and offsets. What the records hold is not looked at.
    #[inline]
    pub fn verify(&self) -> Result<(), BatchError> {
        let computed = self.compute_crc();
        if computed != self.header.crc {
            return Err(BatchError::BadCrc { stored: self.header.crc, computed });
        }
        self.header.check_offsets()
    }

    /// CRC-32C of all bytes from the attributes on.
    #[inline]
    pub fn compute_crc(&self) -> u32 {
        crc::crc32c(&self.bytes[ATTRIBUTES_AT..])
    }

    /// A copy of the header with the leader's fields set. Written in front of [`Batch::body`], which stays as
    /// it came, it makes the batch as the log keeps it.
    ///
    /// The CRC is computed again only if timestamp type or max timestamp change. Panics if `fields.base_offset`
    /// leaves no room for the batch's offsets below `i64::MAX`: offsets are the log's own and cannot get there.
    #[inline]
    pub fn patched_header(&self, fields: &LeaderFields) -> [u8; HEADER_SIZE] {
        let mut header = [0; HEADER_SIZE];
        header.copy_from_slice(&self.bytes[..HEADER_SIZE]);
        fields.write(&self.header, &mut header, self.body());
        header
    }
}

/// The fields of a batch that belong to the partition's leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderFields {
    /// Offset the log gives to the first record.
    pub base_offset: Offset,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Timestamp type and max timestamp: the append time on a LogAppendTime topic, what validation found on a
    /// CreateTime one. `None` leaves both as the producer wrote them.
    pub timestamp: Option<(TimestampType, TimestampMs)>,
}

impl LeaderFields {
    /// Sets the fields in a batch that is owned, such as one just built. The error is [`Batch::parse`]'s.
    pub fn patch_in_place(&self, batch: &mut [u8]) -> Result<(), BatchError> {
        let parsed = *Batch::parse(batch)?.header();
        let (header, body) = batch.split_at_mut(HEADER_SIZE);
        let header: &mut [u8; HEADER_SIZE] = header.try_into().expect("split at the header's size");
        self.write(&parsed, header, &body[..parsed.size_in_bytes() - HEADER_SIZE]);
        Ok(())
    }

    #[inline]
    fn write(&self, old: &BatchHeader, header: &mut [u8; HEADER_SIZE], body: &[u8]) {
        assert!(
            self.base_offset < i64::MAX - i64::from(old.last_offset_delta.max(0)),
            "RECORDS-1: base offset {} leaves no room for {} more",
            self.base_offset,
            old.last_offset_delta
        );
        header[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        header[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&self.leader_epoch.to_be_bytes());
        let Some((timestamp_type, max_timestamp)) = self.timestamp else { return };
        if (timestamp_type, max_timestamp) == (old.timestamp_type(), old.max_timestamp) {
            return;
        }
        let attributes = old.attributes.with_timestamp_type(timestamp_type);
        header[ATTRIBUTES_AT..23].copy_from_slice(&attributes.0.to_be_bytes());
        header[MAX_TIMESTAMP_AT..43].copy_from_slice(&max_timestamp.to_be_bytes());
        let crc = crc::crc32c_of_two(&header[ATTRIBUTES_AT..], body);
        header[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
