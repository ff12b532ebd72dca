//! The 61 bytes in front of a batch's records, and the 17 that every format has in common.

use crate::attributes::{Attributes, Compression, TimestampType};
use crate::ids::{
    LeaderEpoch, NO_PRODUCER_ID, NO_SEQUENCE, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs,
    add_sequence,
};

/// Bytes in front of the records of a magic 2 batch.
pub const HEADER_SIZE: usize = 61;
/// Bytes in front of what the length field counts: base offset and length.
pub const LOG_OVERHEAD: usize = 12;
/// Bytes that have the same meaning in every format: base offset, length, (leader epoch or CRC), magic.
pub const FRAME_SIZE: usize = 17;
/// The format this crate reads, verifies and builds; 0 and 1 are only read.
pub const MAGIC: i8 = 2;

pub(crate) const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = 21;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;

/// The smallest length field any format has: a magic 0 message without key and value.
const SMALLEST_LENGTH: i32 = 14;

/// Why bytes are not a (whole, sound) batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does: a torn tail, or a batch cut at a fetch's size limit.
    #[error("batch is cut off: {needed} bytes needed, {available} there")]
    Torn {
        /// Bytes the batch needs, as far as is known: header first, then the whole batch.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The length field is smaller than a batch of this magic can be.
    #[error("batch length field {length} is smaller than the minimum {minimum}")]
    BadLength {
        /// The length field.
        length: i32,
        /// The least it can be.
        minimum: i32,
    },
    /// Not a magic that is known here.
    #[error("invalid magic {magic}")]
    BadMagic {
        /// The magic byte.
        magic: i8,
    },
    /// The stored checksum is not that of the bytes.
    #[error("batch is corrupt (stored crc = {stored}, computed crc = {computed})")]
    BadCrc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A negative count or offset delta, more records than offsets, or offsets outside `0..i64::MAX`.
    #[error(
        "batch header contradicts itself: base offset {base_offset}, last offset delta {last_offset_delta}, records count {count}"
    )]
    BadOffsets {
        /// Base offset.
        base_offset: Offset,
        /// Last offset delta.
        last_offset_delta: i32,
        /// Records count.
        count: i32,
    },
}

impl BatchError {
    /// Whether more bytes could make the batch whole; everything else is corruption.
    pub fn is_torn(&self) -> bool {
        matches!(self, BatchError::Torn { .. })
    }
}

/// What the first 17 bytes of a batch or a legacy message say: enough to step over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Base offset of a magic 2 batch; offset of a magic 0 or 1 message (of its last record if it is a wrapper).
    pub base_offset: Offset,
    /// Bytes from its first to its last, both included. At least 26.
    pub size: usize,
    /// 0, 1 or 2.
    pub magic: i8,
}

/// Reads the frame of whatever format starts at `bytes`; the bytes behind the frame need not be there.
#[inline]
pub fn peek(bytes: &[u8]) -> Result<Frame, BatchError> {
    let Some(frame) = bytes.first_chunk::<FRAME_SIZE>() else {
        return Err(BatchError::Torn { needed: FRAME_SIZE, available: bytes.len() });
    };
    let length = be_i32(frame, 8);
    let magic = frame[MAGIC_AT] as i8;
    if length < SMALLEST_LENGTH {
        return Err(BatchError::BadLength { length, minimum: SMALLEST_LENGTH });
    }
    if !(0..=MAGIC).contains(&magic) {
        return Err(BatchError::BadMagic { magic });
    }
    Ok(Frame { base_offset: be_i64(frame, 0), size: LOG_OVERHEAD + length as usize, magic })
}

/// The fields of a magic 2 batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record the batch was built with.
    pub base_offset: Offset,
    /// Bytes behind the length field; at least 49.
    pub length: i32,
    /// Epoch of the leader that took the batch in; −1 before that.
    pub partition_leader_epoch: LeaderEpoch,
    /// CRC-32C of all bytes from the attributes on.
    pub crc: u32,
    /// The attribute bits.
    pub attributes: Attributes,
    /// Offset of the last record, counted from the base offset; kept by compaction.
    pub last_offset_delta: i32,
    /// What the records' timestamps are counted from (the delete horizon if that bit is set).
    pub base_timestamp: TimestampMs,
    /// Largest timestamp of the records, or the append time.
    pub max_timestamp: TimestampMs,
    /// −1 for a batch of a producer that is not idempotent.
    pub producer_id: ProducerId,
    /// −1 for a batch of a producer that is not idempotent.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record; −1 for a batch of a producer that is not idempotent.
    pub base_sequence: Sequence,
    /// Records the batch holds; after compaction fewer than offsets, possibly 0.
    pub count: i32,
}

impl BatchHeader {
    /// Parses the first 61 bytes; what follows them need not be there. Checks length field and magic only.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let Some(header) = bytes.first_chunk::<HEADER_SIZE>() else {
            // A foreign magic or a bad length shows before the header is whole.
            let frame = peek(bytes)?;
            require_magic(frame.magic)?;
            return Err(BatchError::Torn { needed: HEADER_SIZE, available: bytes.len() });
        };
        let parsed = BatchHeader {
            base_offset: be_i64(header, 0),
            length: be_i32(header, 8),
            partition_leader_epoch: be_i32(header, LEADER_EPOCH_AT),
            crc: be_i32(header, CRC_AT) as u32,
            attributes: Attributes(i16::from_be_bytes([header[21], header[22]])),
            last_offset_delta: be_i32(header, 23),
            base_timestamp: be_i64(header, 27),
            max_timestamp: be_i64(header, MAX_TIMESTAMP_AT),
            producer_id: be_i64(header, 43),
            producer_epoch: i16::from_be_bytes([header[51], header[52]]),
            base_sequence: be_i32(header, 53),
            count: be_i32(header, 57),
        };
        require_magic(header[MAGIC_AT] as i8)?;
        let minimum = (HEADER_SIZE - LOG_OVERHEAD) as i32;
        if parsed.length < minimum {
            return Err(BatchError::BadLength { length: parsed.length, minimum });
        }
        Ok(parsed)
    }

    /// The 61 bytes, with the `crc` field as it stands.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut out = [0; HEADER_SIZE];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16] = MAGIC as u8;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.count.to_be_bytes());
        out
    }

    /// Bytes of the whole batch, header included.
    #[inline]
    pub fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.length as usize
    }

    /// Offset of the last record the batch was built with.
    #[inline]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset that follows the batch.
    #[inline]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// Sequence of the last record, wrapped past `i32::MAX`; −1 if the batch has none.
    #[inline]
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == NO_SEQUENCE {
            NO_SEQUENCE
        } else {
            add_sequence(self.base_sequence, self.last_offset_delta)
        }
    }

    /// Whether a producer id is set.
    #[inline]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The compression; `None` for an id that is not defined.
    #[inline]
    pub fn compression(&self) -> Option<Compression> {
        self.attributes.compression()
    }

    /// Whose clock the timestamps come from.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// Whether the batch belongs to a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether the batch holds control records.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// The time from which the batch's tombstones may be dropped, if compaction has set it (KIP-534).
    #[inline]
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    /// Checks count and offsets against each other; holds for everything Kafka writes, compacted batches included.
    pub fn check_offsets(&self) -> Result<(), BatchError> {
        let sound = self.base_offset >= 0
            && self.last_offset_delta >= 0
            && self.count >= 0
            && i64::from(self.count) <= i64::from(self.last_offset_delta) + 1
            && self.base_offset < i64::MAX - i64::from(self.last_offset_delta);
        if sound {
            return Ok(());
        }
        Err(BatchError::BadOffsets {
            base_offset: self.base_offset,
            last_offset_delta: self.last_offset_delta,
            count: self.count,
        })
    }
}

#[inline]
fn require_magic(magic: i8) -> Result<(), BatchError> {
    if magic == MAGIC { Ok(()) } else { Err(BatchError::BadMagic { magic }) }
}

#[inline]
pub(crate) fn be_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
pub(crate) fn be_i64(bytes: &[u8], at: usize) -> i64 {
    (i64::from(be_i32(bytes, at)) << 32) | i64::from(be_i32(bytes, at + 4) as u32)
}
