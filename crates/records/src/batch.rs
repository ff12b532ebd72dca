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

use std::ops::Deref;

use crate::attributes::{Attributes, Compression, TimestampType};
use crate::crc;
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
const MAX_TIMESTAMP_AT: usize = 35;

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

/// Where and why a walk over batches ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {error}")]
pub struct BatchIterError {
    /// Start of the offending batch, counted from the start of the run.
    pub position: usize,
    /// What is wrong with it.
    #[source]
    pub error: BatchError,
}

/// Walks over magic 2 batches that lie back to back; ends at the end of the bytes or after the first error.
#[derive(Debug, Clone)]
pub struct BatchIter<'a> {
    bytes: &'a [u8],
    position: usize,
    verify: bool,
    failed: bool,
}

impl<'a> BatchIter<'a> {
    /// Checks lengths and magic only.
    pub fn new(bytes: &'a [u8]) -> BatchIter<'a> {
        BatchIter { bytes, position: 0, verify: false, failed: false }
    }

    /// Checks every batch with [`Batch::verify`] before it is handed out.
    pub fn verified(bytes: &'a [u8]) -> BatchIter<'a> {
        BatchIter { verify: true, ..BatchIter::new(bytes) }
    }

    /// Bytes walked over so far: the end of the last sound batch.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<Batch<'a>, BatchIterError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.position..];
        if rest.is_empty() || self.failed {
            return None;
        }
        let batch = Batch::parse(rest).and_then(|batch| {
            if self.verify {
                batch.verify()?;
            }
            Ok(batch)
        });
        match batch {
            Ok(batch) => {
                self.position += batch.size_in_bytes();
                Some(Ok(batch))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(BatchIterError { position: self.position, error }))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(base_offset: Offset, body: &[u8]) -> Vec<u8> {
        let mut header = BatchHeader {
            base_offset,
            length: (HEADER_SIZE - LOG_OVERHEAD + body.len()) as i32,
            partition_leader_epoch: 3,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: 4,
            base_timestamp: 1000,
            max_timestamp: 1007,
            producer_id: 9,
            producer_epoch: 1,
            base_sequence: i32::MAX - 1,
            count: 5,
        };
        header.crc = crc::crc32c_of_two(&header.encode()[ATTRIBUTES_AT..], body);
        [&header.encode()[..], body].concat()
    }

    #[test]
    fn header_round_trips_and_derives_its_fields() {
        let bytes = sample(40, b"records");
        let batch = Batch::parse(&bytes).unwrap();
        batch.verify().unwrap();
        assert_eq!(batch.header().encode()[..], bytes[..HEADER_SIZE]);
        assert_eq!((batch.base_offset, batch.last_offset(), batch.next_offset()), (40, 44, 45));
        assert_eq!((batch.size_in_bytes(), batch.body()), (68, &b"records"[..]));
        assert_eq!(batch.last_sequence(), 2);
        assert_eq!(peek(&bytes), Ok(Frame { base_offset: 40, size: 68, magic: 2 }));
    }

    #[test]
    fn every_flipped_bit_behind_the_crc_is_noticed() {
        let bytes = sample(0, b"some records");
        for at in CRC_AT..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let result = Batch::parse(&bytes).unwrap().verify();
                assert!(matches!(result, Err(BatchError::BadCrc { .. })), "byte {at} bit {bit}: {result:?}");
            }
        }
    }

    #[test]
    fn leader_fields_do_not_touch_the_crc_unless_the_timestamp_changes() {
        let bytes = sample(0, b"some records");
        let batch = Batch::parse(&bytes).unwrap();
        let mut fields = LeaderFields { base_offset: 1 << 40, leader_epoch: 77, timestamp: None };
        let header = batch.patched_header(&fields);
        assert_eq!(header[CRC_AT..], bytes[CRC_AT..HEADER_SIZE]);
        let patched = [&header[..], batch.body()].concat();
        let view = Batch::parse(&patched).unwrap();
        view.verify().unwrap();
        assert_eq!((view.base_offset, view.partition_leader_epoch), (1 << 40, 77));

        fields.timestamp = Some((TimestampType::LogAppendTime, 5_000));
        let patched = [&batch.patched_header(&fields)[..], batch.body()].concat();
        let view = Batch::parse(&patched).unwrap();
        view.verify().unwrap();
        assert_eq!((view.timestamp_type(), view.max_timestamp), (TimestampType::LogAppendTime, 5_000));
        assert_ne!(view.crc, batch.crc);

        let mut owned = [&bytes[..], b"next batch"].concat();
        fields.patch_in_place(&mut owned).unwrap();
        assert_eq!(owned[..bytes.len()], patched[..]);
        assert_eq!(&owned[bytes.len()..], b"next batch");
    }

    #[test]
    fn a_walk_ends_at_the_torn_or_corrupt_batch_and_says_where() {
        let one = sample(0, b"first");
        let mut run = [&one[..], &sample(5, b"second")].concat();
        assert_eq!(BatchIter::verified(&run).map(|b| b.unwrap().base_offset).collect::<Vec<_>>(), [0, 5]);
        for cut in one.len() + 1..run.len() {
            let results: Vec<_> = BatchIter::new(&run[..cut]).collect();
            assert_eq!(results.len(), 2);
            let error = results[1].unwrap_err();
            assert!(error.position == one.len() && error.error.is_torn(), "{cut}: {error}");
        }
        *run.last_mut().unwrap() ^= 1;
        assert_eq!(BatchIter::new(&run).filter(Result::is_ok).count(), 2);
        let mut walk = BatchIter::verified(&run);
        assert!(walk.next().unwrap().is_ok());
        let error = walk.next().unwrap().unwrap_err();
        assert!(error.position == one.len() && matches!(error.error, BatchError::BadCrc { .. }));
        assert!(walk.next().is_none() && walk.position() == one.len());
    }

    #[test]
    fn bad_lengths_and_magics_are_corruption_not_a_torn_tail() {
        let good = sample(0, b"");
        for length in [i32::MIN, -1, 0, 13, 14, 48] {
            let mut bytes = good.clone();
            bytes[8..12].copy_from_slice(&i32::to_be_bytes(length));
            assert!(matches!(Batch::parse(&bytes), Err(BatchError::BadLength { .. })), "{length}");
        }
        let mut bytes = good.clone();
        bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(
            Batch::parse(&bytes),
            Err(BatchError::Torn { needed: 12 + i32::MAX as usize, available: 61 })
        );
        for magic in [-1i8, 0, 1, 3] {
            let mut bytes = good.clone();
            bytes[MAGIC_AT] = magic as u8;
            assert_eq!(Batch::parse(&bytes), Err(BatchError::BadMagic { magic }));
            assert_eq!(Batch::parse(&bytes[..20]), Err(BatchError::BadMagic { magic }));
        }
    }

    #[test]
    fn headers_that_contradict_themselves_are_refused() {
        let sound = *Batch::parse(&sample(0, b"")).unwrap().header();
        sound.check_offsets().unwrap();
        BatchHeader { count: 0, ..sound }.check_offsets().unwrap();
        for bad in [
            BatchHeader { count: -1, ..sound },
            BatchHeader { count: 6, ..sound },
            BatchHeader { last_offset_delta: -1, count: 0, ..sound },
            BatchHeader { base_offset: -1, ..sound },
            BatchHeader { base_offset: i64::MAX - 4, ..sound },
        ] {
            assert!(matches!(bad.check_offsets(), Err(BatchError::BadOffsets { .. })), "{bad:?}");
        }
    }
}
