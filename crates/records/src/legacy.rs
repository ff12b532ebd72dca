//! Magic 0 and 1 messages, as brokers before 0.11 kept them: read, never written.
//!
//! ```text
//! i64 offset, i32 size of what follows
//! u32 CRC-32 of all bytes from magic on
//! i8  magic, i8 attributes (bits 0-2 compression, bit 3 LogAppendTime)
//! i64 timestamp, in magic 1 only
//! i32 key length (negative: null), key
//! i32 value length (negative: null), value
//! ```
//!
//! A compressed message is a wrapper: its value holds messages of its own, and its offset is that of the last
//! of them. Inside a magic 1 wrapper offsets are relative; inside a magic 0 one they are absolute.

use crate::attributes::{Compression, TimestampType};
use crate::batch::{BatchError, LOG_OVERHEAD, MAGIC_AT, be_i32, be_i64, peek};
use crate::compress::{DecompressError, Decompressor};
use crate::crc;
use crate::ids::{NO_SEQUENCE, NO_TIMESTAMP, Offset, TimestampMs};
use crate::record::{Headers, Record};

const CRC_AT: usize = 12;
const ATTRIBUTES_AT: usize = 17;
const BODY_AT: [usize; 2] = [18, 26];
const COMPRESSION_MASK: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;

/// Why bytes are not a sound message set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    /// Torn, of another magic, too short or with a wrong CRC.
    #[error(transparent)]
    Frame(#[from] BatchError),
    /// Key or value run over the end of the message.
    #[error("message structure runs over its end")]
    Overrun,
    /// Message bytes remain behind the value.
    #[error("{left} bytes remain behind the value of the message")]
    Slack {
        /// How many.
        left: usize,
    },
    /// The wrapper's value cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// Zstd came with magic 2.
    #[error("magic {magic} wrapper with compression id {id}")]
    BadCodec {
        /// The wrapper's magic.
        magic: i8,
        /// The compression id.
        id: u8,
    },
    /// A wrapper without a value, or with no message in it.
    #[error("compressed message set without messages")]
    EmptyWrapper,
    /// A compressed message inside a wrapper.
    #[error("inner messages must not be compressed")]
    NestedWrapper,
    /// The wrapper's offset is less than the last relative offset in it.
    #[error("wrapper offset {wrapper} is less than the last inner message offset {inner} and it is not zero")]
    BadWrapperOffset {
        /// The wrapper's offset.
        wrapper: Offset,
        /// Relative offset of its last message.
        inner: Offset,
    },
}

/// One message of magic 0 or 1, plain or a wrapper; structure checked, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyMessage<'a> {
    bytes: &'a [u8],
    /// Its offset; of a wrapper, the offset of the last message in it.
    pub offset: Offset,
    /// 0 or 1.
    pub magic: i8,
    attributes: u8,
    /// −1 in magic 0; of a wrapper, the largest of the messages in it, or the append time.
    pub timestamp: TimestampMs,
    /// The key; `None` for a null key.
    pub key: Option<&'a [u8]>,
    /// The value, of a wrapper the compressed messages; `None` for a null value.
    pub value: Option<&'a [u8]>,
}

impl<'a> LegacyMessage<'a> {
    /// The message at the start of `bytes`, which may go on behind it. The CRC is not checked.
    pub fn parse(bytes: &'a [u8]) -> Result<LegacyMessage<'a>, LegacyError> {
        let frame = peek(bytes)?;
        if frame.magic > 1 {
            return Err(BatchError::BadMagic { magic: frame.magic }.into());
        }
        let Some(bytes) = bytes.get(..frame.size) else {
            return Err(BatchError::Torn { needed: frame.size, available: bytes.len() }.into());
        };
        let body_at = BODY_AT[frame.magic as usize];
        if bytes.len() < body_at + 8 {
            let minimum = (body_at + 8 - LOG_OVERHEAD) as i32;
            return Err(BatchError::BadLength { length: be_i32(bytes, 8), minimum }.into());
        }
        let timestamp = if frame.magic == 0 { NO_TIMESTAMP } else { be_i64(bytes, ATTRIBUTES_AT + 1) };
        let (key, rest) = nullable(&bytes[body_at..])?;
        let (value, rest) = nullable(rest)?;
        if !rest.is_empty() {
            return Err(LegacyError::Slack { left: rest.len() });
        }
        Ok(LegacyMessage {
            bytes,
            offset: frame.base_offset,
            magic: frame.magic,
            attributes: bytes[ATTRIBUTES_AT],
            timestamp,
            key,
            value,
        })
    }

    /// All bytes of the message, offset and size included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of the message, offset and size included.
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Checks the CRC of the message (of a wrapper: of its compressed value; not of the messages inside).
    pub fn verify(&self) -> Result<(), LegacyError> {
        let stored = be_i32(self.bytes, CRC_AT) as u32;
        let computed = crc::crc32(&self.bytes[MAGIC_AT..]);
        if stored == computed { Ok(()) } else { Err(BatchError::BadCrc { stored, computed }.into()) }
    }

    /// The compression; `None` for an id that these formats do not have.
    pub fn compression(&self) -> Option<Compression> {
        Compression::from_id(self.attributes & COMPRESSION_MASK).filter(|codec| *codec != Compression::Zstd)
    }

    /// Whose clock the timestamp is; CreateTime in magic 0, which has none.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic > 0 && self.attributes & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The message itself, or the messages in the wrapper, decompressed to at most `cap` bytes.
    ///
    /// The whole wrapper is walked over before the first message comes out; messages do not fail afterwards.
    pub fn messages<'s>(
        &self,
        decompressor: &'s mut Decompressor,
        cap: usize,
    ) -> Result<LegacyMessages<'s>, LegacyError>
    where
        'a: 's,
    {
        let codec = self
            .compression()
            .ok_or(LegacyError::BadCodec { magic: self.magic, id: self.attributes & COMPRESSION_MASK })?;
        if codec == Compression::None {
            return Ok(LegacyMessages { single: Some(*self), inner: &[], base_offset: 0, append_time: None });
        }
        let value = self.value.ok_or(LegacyError::EmptyWrapper)?;
        let inner = if self.magic == 0 {
            decompressor.decompress_magic_0(codec, value, cap)?
        } else {
            decompressor.decompress(codec, value, cap)?
        };
        let (whole, last_offset) = walk(inner)?;
        let base_offset = match self.magic {
            0 => 0,
            // Some versions of librdkafka sent wrappers with an offset of 0.
            _ if self.offset == 0 => 0,
            _ if self.offset < last_offset => {
                return Err(LegacyError::BadWrapperOffset { wrapper: self.offset, inner: last_offset });
            }
            _ => self.offset - last_offset,
        };
        let append_time = (self.timestamp_type() == TimestampType::LogAppendTime).then_some(self.timestamp);
        Ok(LegacyMessages { single: None, inner: &inner[..whole], base_offset, append_time })
    }

    fn is_plain(&self) -> bool {
        self.attributes & COMPRESSION_MASK == 0
    }
}

/// Checks all messages of a wrapper; returns the bytes they take and the offset of the last. A torn message
/// at the end is left out, as Kafka does.
fn walk(inner: &[u8]) -> Result<(usize, Offset), LegacyError> {
    let (mut at, mut last_offset) = (0, None);
    while at < inner.len() {
        match LegacyMessage::parse(&inner[at..]) {
            Ok(message) if !message.is_plain() => return Err(LegacyError::NestedWrapper),
            Ok(message) => {
                at += message.size_in_bytes();
                last_offset = Some(message.offset);
            }
            Err(LegacyError::Frame(error)) if error.is_torn() => break,
            Err(error) => return Err(error),
        }
    }
    last_offset.map(|offset| (at, offset)).ok_or(LegacyError::EmptyWrapper)
}

fn nullable(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), LegacyError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(LegacyError::Overrun)?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Err(_) => Ok((None, rest)),
        Ok(length) => {
            let (bytes, rest) = rest.split_at_checked(length).ok_or(LegacyError::Overrun)?;
            Ok((Some(bytes), rest))
        }
    }
}

/// The messages of a [`LegacyMessage`], with absolute offsets, as records without headers and sequence.
#[derive(Debug, Clone)]
pub struct LegacyMessages<'a> {
    single: Option<LegacyMessage<'a>>,
    inner: &'a [u8],
    base_offset: Offset,
    append_time: Option<TimestampMs>,
}

impl<'a> Iterator for LegacyMessages<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let message = match self.single.take() {
            Some(message) => message,
            None if self.inner.is_empty() => return None,
            None => {
                let mut message =
                    LegacyMessage::parse(self.inner).expect("RECORDS-18: wrappers are walked before");
                self.inner = &self.inner[message.size_in_bytes()..];
                message.offset = message.offset.wrapping_add(self.base_offset);
                if message.magic > 0 {
                    message.timestamp = self.append_time.unwrap_or(message.timestamp);
                }
                message
            }
        };
        Some(Record {
            attributes: message.attributes as i8,
            offset: message.offset,
            timestamp: message.timestamp,
            sequence: NO_SEQUENCE,
            key: message.key,
            value: message.value,
            headers: Headers::default(),
            size_in_bytes: message.size_in_bytes(),
        })
    }
}
