//! What a leader asks of a batch that a producer sends (Kafka: `ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`).
//!
//! Always checked, from the header alone: exactly one batch of magic 2 and exactly its length, size limit,
//! CRC, base offset 0, count above 0 and as many records as offsets, no control batch, no bits that only
//! brokers set, a known compression, a sequence when there is a producer id.
//!
//! The records of a plain batch are walked over once without allocating: structure to the last byte, offsets
//! consecutive from 0, keys where the topic is compacted, timestamps in the topic's window. Those of a
//! compressed batch are looked at only if something asks for it: a compacted topic, a window into the past,
//! a max timestamp in the header that is beyond the window, or [`Rules::inspect_compressed`]. Otherwise the
//! CRC vouches that they are what the producer sent, and the header's max timestamp is believed.

mod rejected;

pub use rejected::{LISTED_MAX, RecordReason, Rejected, RejectedRecord, RejectionKind};

use crate::batch::{Batch, BatchError, BatchHeader, LeaderFields, MAGIC, MAGIC_AT, peek};
use crate::compress::Decompressor;
use crate::ids::{LeaderEpoch, NO_TIMESTAMP, Offset, TimestampMs};
use crate::record::{RecordError, RecordFault, skim_record};
use crate::{Compression, TimestampType};

/// What the topic asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `max.message.bytes`: largest batch, header included.
    pub max_batch_bytes: usize,
    /// Every record must have a key: `cleanup.policy` contains `compact`.
    pub require_keys: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far in the past a CreateTime timestamp may lie.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far in the future a CreateTime timestamp may lie.
    pub timestamp_after_max_ms: i64,
    /// Whether compressed records are looked at although no other rule needs it. Needed before
    /// [`recompress`](crate::builder::recompress).
    pub inspect_compressed: bool,
    /// Most bytes that a compressed batch may become while it is looked at.
    pub max_decompressed_bytes: usize,
}

impl Default for Rules {
    /// Kafka 4.3's defaults for a topic.
    fn default() -> Rules {
        Rules {
            max_batch_bytes: 1_048_588,
            require_keys: false,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            inspect_compressed: false,
            max_decompressed_bytes: 128 << 20,
        }
    }
}

/// A batch that may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The batch, as the producer sent it.
    pub batch: Batch<'a>,
    /// The topic's timestamp type, and the append time or the largest timestamp of the records.
    pub timestamp: (TimestampType, TimestampMs),
}

impl Accepted<'_> {
    /// What the leader writes into the batch's header.
    #[inline]
    pub fn leader_fields(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> LeaderFields {
        LeaderFields { base_offset, leader_epoch, timestamp: Some(self.timestamp) }
    }
}

/// Checks what a produce request carries for one partition.
///
/// Allocates only to decompress (into `decompressor`, at most [`Rules::max_decompressed_bytes`]) and to list
/// offending records.
pub fn produced<'a>(
    bytes: &'a [u8],
    rules: &Rules,
    now_ms: TimestampMs,
    decompressor: &mut Decompressor,
) -> Result<Accepted<'a>, Rejected> {
    let batch = one_batch(bytes)?;
    if batch.base_offset != 0 {
        return Err(Rejected::BaseOffset { base_offset: batch.base_offset });
    }
    if bytes.len() > rules.max_batch_bytes {
        return Err(Rejected::TooLarge { size: bytes.len(), max: rules.max_batch_bytes });
    }
    let computed = batch.compute_crc();
    if computed != batch.crc {
        return Err(Rejected::Corrupt(BatchError::BadCrc { stored: batch.crc, computed }));
    }
    let codec = check_header(batch.header())?;

    let window = Window::new(rules, now_ms);
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        let total = batch.count as usize;
        let records = (0..batch.count)
            .take(LISTED_MAX)
            .map(|index| RejectedRecord { index, reason: RecordReason::LogAppendTime })
            .collect();
        return Err(Rejected::Records { window: (window.first, window.last), total, records });
    }
    let look = codec == Compression::None
        || rules.inspect_compressed
        || rules.require_keys
        || (window.bounded_below && rules.timestamp_type == TimestampType::CreateTime)
        || batch.max_timestamp > window.last;
    let mut max_timestamp = batch.max_timestamp;
    if look {
        let body = decompressor.body(&batch, rules.max_decompressed_bytes).map_err(Rejected::Decompress)?;
        max_timestamp = check_records(batch.header(), body, rules.require_keys, &window)?;
    }
    let timestamp = match rules.timestamp_type {
        TimestampType::CreateTime => (TimestampType::CreateTime, max_timestamp),
        TimestampType::LogAppendTime => (TimestampType::LogAppendTime, now_ms),
    };
    Ok(Accepted { batch, timestamp })
}

/// Whether the records of a batch, decompressed to at most `cap` bytes, are sound and their offsets lie in
/// the batch in ascending order: true of every batch in a log, compacted ones included.
///
/// The batch's header is checked too; its CRC is not.
pub fn sound_records(batch: &Batch<'_>, decompressor: &mut Decompressor, cap: usize) -> Result<(), Rejected> {
    batch.check_offsets().map_err(Rejected::Corrupt)?;
    let body = decompressor.body(batch, cap).map_err(Rejected::Decompress)?;
    let mut at = 0;
    let mut next_delta = 0;
    for index in 0..batch.count {
        let record =
            skim_record(body, &mut at).map_err(|fault| Rejected::Structure(RecordError { index, fault }))?;
        if record.offset_delta < next_delta || record.offset_delta > batch.last_offset_delta {
            return Err(Rejected::OffsetDelta { index, offset_delta: record.offset_delta });
        }
        next_delta = record.offset_delta.saturating_add(1);
    }
    no_trailing(batch.count, body, at)
}

#[inline]
fn one_batch(bytes: &[u8]) -> Result<Batch<'_>, Rejected> {
    if bytes.is_empty() {
        return Err(Rejected::Empty);
    }
    let batch = Batch::parse(bytes).map_err(|error| match error {
        BatchError::BadMagic { magic } if (0..MAGIC).contains(&magic) => Rejected::OldMagic { magic },
        // A message of an old format may well be shorter than a batch header.
        error => match peek(bytes) {
            Ok(frame) if frame.magic < MAGIC => Rejected::OldMagic { magic: bytes[MAGIC_AT] as i8 },
            _ => Rejected::Corrupt(error),
        },
    })?;
    match bytes.len() - batch.size_in_bytes() {
        0 => Ok(batch),
        left => Err(Rejected::Trailing { left }),
    }
}

#[inline]
fn check_header(header: &BatchHeader) -> Result<Compression, Rejected> {
    let (base_offset, last_offset, count) = (header.base_offset, header.last_offset(), header.count);
    if header.last_offset_delta < 0 {
        return Err(Rejected::OffsetRange { base_offset, last_offset });
    }
    if count <= 0 {
        return Err(Rejected::Count { count });
    }
    if count - 1 != header.last_offset_delta {
        return Err(Rejected::CountMismatch { base_offset, last_offset, count });
    }
    if header.is_control() {
        return Err(Rejected::Control);
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return Err(Rejected::Sequence { sequence: header.base_sequence, producer_id: header.producer_id });
    }
    let for_brokers = header.attributes.with_delete_horizon(false);
    if for_brokers != header.attributes || header.attributes.reserved() != 0 {
        let bits = header.attributes.reserved() | (header.attributes.0 ^ for_brokers.0);
        return Err(Rejected::Attributes { bits });
    }
    header.compression().ok_or(Rejected::UnknownCodec { id: header.attributes.compression_id() })
}

/// Timestamps the topic takes, both ends included; −1 (none) is always taken.
struct Window {
    first: TimestampMs,
    last: TimestampMs,
    bounded_below: bool,
}

impl Window {
    fn new(rules: &Rules, now_ms: TimestampMs) -> Window {
        match rules.timestamp_type {
            TimestampType::CreateTime => Window {
                first: now_ms.saturating_sub(rules.timestamp_before_max_ms),
                last: now_ms.saturating_add(rules.timestamp_after_max_ms),
                bounded_below: rules.timestamp_before_max_ms < i64::MAX,
            },
            TimestampType::LogAppendTime => Window { first: i64::MIN, last: i64::MAX, bounded_below: false },
        }
    }
}

/// Walks over the records once; returns their largest timestamp. Offending ones are listed by a second walk,
/// which sound input never sees.
fn check_records(
    header: &BatchHeader,
    body: &[u8],
    require_keys: bool,
    window: &Window,
) -> Result<TimestampMs, Rejected> {
    let mut at = 0;
    let mut max_timestamp = NO_TIMESTAMP;
    let mut suspicious = false;
    let mut deltas_differ = 0;
    for index in 0..header.count {
        let record =
            skim_record(body, &mut at).map_err(|fault| Rejected::Structure(RecordError { index, fault }))?;
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        // Gathered without branching: nearly every batch is sound.
        deltas_differ |= record.offset_delta ^ index;
        suspicious |=
            (timestamp < window.first) | (timestamp > window.last) | (require_keys & !record.has_key);
    }
    no_trailing(header.count, body, at)?;
    if deltas_differ != 0 || suspicious {
        list_offenders(header, body, require_keys, window)?;
    }
    Ok(max_timestamp)
}

fn no_trailing(count: i32, body: &[u8], at: usize) -> Result<(), Rejected> {
    match body.len() - at {
        0 => Ok(()),
        left => {
            let fault = RecordFault::TrailingBytes { left };
            Err(Rejected::Structure(RecordError { index: count - 1, fault }))
        }
    }
}

#[cold]
fn list_offenders(
    header: &BatchHeader,
    body: &[u8],
    require_keys: bool,
    window: &Window,
) -> Result<(), Rejected> {
    let (mut at, mut total, mut records) = (0, 0, Vec::new());
    for index in 0..header.count {
        let record =
            skim_record(body, &mut at).map_err(|fault| Rejected::Structure(RecordError { index, fault }))?;
        if record.offset_delta != index {
            return Err(Rejected::OffsetDelta { index, offset_delta: record.offset_delta });
        }
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        let reason = if require_keys && !record.has_key {
            RecordReason::MissingKey
        } else if timestamp != NO_TIMESTAMP && !(window.first..=window.last).contains(&timestamp) {
            RecordReason::Timestamp(timestamp)
        } else {
            continue;
        };
        total += 1;
        if records.len() < LISTED_MAX {
            records.push(RejectedRecord { index, reason });
        }
    }
    if records.is_empty() {
        return Ok(());
    }
    Err(Rejected::Records { window: (window.first, window.last), total, records })
}

#[cfg(test)]
mod tests;
