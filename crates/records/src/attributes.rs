//! The attribute bits of a batch: compression, timestamp type, transactional, control, delete horizon.

use std::fmt;

/// How the records of a batch are compressed (attribute bits 0-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy: in the xerial stream framing when written by Java clients, raw when written by some others.
    Snappy,
    /// LZ4 frame format.
    Lz4,
    /// Zstandard (KIP-110; magic 2 only).
    Zstd,
}

impl Compression {
    /// All kinds, in the order of their ids.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The id carried in the attributes, 0 to 4.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The kind with this id; `None` for an id Kafka does not define.
    pub fn from_id(id: u8) -> Option<Compression> {
        Compression::ALL.get(usize::from(id)).copied()
    }

    /// The name used in configurations and by the tools: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    pub fn name(self) -> &'static str {
        ["none", "gzip", "snappy", "lz4", "zstd"][self as usize]
    }

    /// The kind of this name (any case, as Kafka reads it).
    pub fn from_name(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose clock a batch's timestamps come from (attribute bit 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer's: every record has its own.
    #[default]
    CreateTime,
    /// The leader's: all records have the batch's max timestamp.
    LogAppendTime,
}

/// The 16 attribute bits of a magic 2 batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;
const KNOWN: i16 = 0x7f;

impl Attributes {
    /// The compression id, 0 to 7; ids above 4 are not defined.
    #[inline]
    pub fn compression_id(self) -> u8 {
        (self.0 & COMPRESSION_MASK) as u8
    }

    /// The compression; `None` for an id that is not defined.
    #[inline]
    pub fn compression(self) -> Option<Compression> {
        Compression::from_id(self.compression_id())
    }

    /// Bit 3.
    #[inline]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Bit 4: the batch belongs to a transaction.
    #[inline]
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Bit 5: the batch holds control records, which are never handed to applications.
    #[inline]
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Bit 6: the base timestamp is the time from which the batch's tombstones may be dropped.
    #[inline]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// Bits 7 to 15, which have no meaning yet.
    #[inline]
    pub fn reserved(self) -> i16 {
        self.0 & !KNOWN
    }

    /// The same bits with this compression.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Attributes {
        Attributes(self.0 & !COMPRESSION_MASK | i16::from(compression.id()))
    }

    /// The same bits with this timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Attributes {
        self.with(LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime)
    }

    /// The same bits with the transactional bit set or cleared.
    #[must_use]
    pub fn with_transactional(self, transactional: bool) -> Attributes {
        self.with(TRANSACTIONAL, transactional)
    }

    /// The same bits with the control bit set or cleared.
    #[must_use]
    pub fn with_control(self, control: bool) -> Attributes {
        self.with(CONTROL, control)
    }

    /// The same bits with the delete-horizon bit set or cleared.
    #[must_use]
    pub fn with_delete_horizon(self, delete_horizon: bool) -> Attributes {
        self.with(DELETE_HORIZON, delete_horizon)
    }

    fn with(self, bit: i16, on: bool) -> Attributes {
        Attributes(if on { self.0 | bit } else { self.0 & !bit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_is_where_kafka_has_it() {
        let plain = Attributes::default();
        assert_eq!(plain.with_compression(Compression::Zstd).0, 4);
        assert_eq!(plain.with_timestamp_type(TimestampType::LogAppendTime).0, 8);
        assert_eq!(plain.with_transactional(true).0, 16);
        assert_eq!(plain.with_control(true).0, 32);
        assert_eq!(plain.with_delete_horizon(true).0, 64);
        let all = Attributes(0x7f).with_compression(Compression::Gzip);
        assert_eq!(all.with_control(false).0, 0x59);
        assert_eq!(Attributes(0x7f).reserved(), 0);
        assert_eq!(Attributes(-1).reserved(), -128);
        assert_eq!(Attributes(5).compression(), None);
    }

    #[test]
    fn names_round_trip() {
        for kind in Compression::ALL {
            assert_eq!(Compression::from_name(&kind.to_string().to_uppercase()), Some(kind));
            assert_eq!(Compression::from_id(kind.id()), Some(kind));
        }
        assert_eq!(Compression::from_name("producer"), None);
    }
}
