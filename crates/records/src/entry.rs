//! What lies in a segment file, whatever its format: magic 2 batches and older messages behind one view.

use crate::batch::{Batch, BatchError, peek};
use crate::compress::{DecompressError, Decompressor};
use crate::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset, TimestampMs};
use crate::legacy::{LegacyError, LegacyMessage, LegacyMessages};
use crate::record::{Record, RecordError, RecordIter};
use crate::{Compression, TimestampType};

/// One batch of magic 2, or one message (possibly a wrapper) of magic 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// Magic 2.
    Batch(Batch<'a>),
    /// Magic 0 or 1.
    Legacy(LegacyMessage<'a>),
}

/// Why an entry cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A magic 2 batch, or the frame of either.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A message of magic 0 or 1.
    #[error(transparent)]
    Legacy(LegacyError),
    /// The records of a magic 2 batch cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// A record of a magic 2 batch.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<LegacyError> for EntryError {
    fn from(error: LegacyError) -> EntryError {
        match error {
            LegacyError::Frame(error) => EntryError::Batch(error),
            error => EntryError::Legacy(error),
        }
    }
}

impl EntryError {
    /// Whether more bytes could make the entry whole; everything else is corruption.
    pub fn is_torn(&self) -> bool {
        matches!(self, EntryError::Batch(error) if error.is_torn())
    }
}

impl<'a> Entry<'a> {
    /// The entry at the start of `bytes`, which may go on behind it. The CRC is not checked.
    pub fn parse(bytes: &'a [u8]) -> Result<Entry<'a>, EntryError> {
        Ok(match peek(bytes)?.magic {
            0 | 1 => Entry::Legacy(LegacyMessage::parse(bytes)?),
            _ => Entry::Batch(Batch::parse(bytes)?),
        })
    }

    /// Checks the CRC, and of a magic 2 batch count and offsets.
    pub fn verify(&self) -> Result<(), EntryError> {
        match self {
            Entry::Batch(batch) => Ok(batch.verify()?),
            Entry::Legacy(message) => Ok(message.verify()?),
        }
    }

    /// All bytes of the entry.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Entry::Batch(batch) => batch.bytes(),
            Entry::Legacy(message) => message.bytes(),
        }
    }

    /// 0, 1 or 2.
    pub fn magic(&self) -> i8 {
        match self {
            Entry::Batch(_) => crate::batch::MAGIC,
            Entry::Legacy(message) => message.magic,
        }
    }

    /// Offset of the last record, known without decompressing anything.
    pub fn last_offset(&self) -> Offset {
        match self {
            Entry::Batch(batch) => batch.last_offset(),
            Entry::Legacy(message) => message.offset,
        }
    }

    /// Offset of the first record. For a wrapper it is in the compressed data.
    pub fn base_offset(&self, decompressor: &mut Decompressor, cap: usize) -> Result<Offset, EntryError> {
        match self {
            Entry::Batch(batch) => Ok(batch.base_offset),
            Entry::Legacy(message) => {
                let first = message.messages(decompressor, cap)?.next();
                Ok(first.map_or(message.offset, |record| record.offset))
            }
        }
    }

    /// Largest timestamp; −1 in magic 0.
    pub fn max_timestamp(&self) -> TimestampMs {
        match self {
            Entry::Batch(batch) => batch.max_timestamp,
            Entry::Legacy(message) => message.timestamp,
        }
    }

    /// Whose clock the timestamps come from.
    pub fn timestamp_type(&self) -> TimestampType {
        match self {
            Entry::Batch(batch) => batch.timestamp_type(),
            Entry::Legacy(message) => message.timestamp_type(),
        }
    }

    /// The compression; `None` for an id that is not defined.
    pub fn compression(&self) -> Option<Compression> {
        match self {
            Entry::Batch(batch) => batch.compression(),
            Entry::Legacy(message) => message.compression(),
        }
    }

    /// The leader epoch; −1 in formats that have none.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        match self {
            Entry::Batch(batch) => batch.partition_leader_epoch,
            Entry::Legacy(_) => NO_LEADER_EPOCH,
        }
    }

    /// The batch, if it is one.
    pub fn as_batch(&self) -> Option<&Batch<'a>> {
        match self {
            Entry::Batch(batch) => Some(batch),
            Entry::Legacy(_) => None,
        }
    }

    /// The records, decompressed first if need be, to at most `cap` bytes.
    pub fn records<'s>(
        &self,
        decompressor: &'s mut Decompressor,
        cap: usize,
    ) -> Result<EntryRecords<'s>, EntryError>
    where
        'a: 's,
    {
        Ok(match self {
            Entry::Batch(batch) => EntryRecords::Batch(decompressor.records(batch, cap)?),
            Entry::Legacy(message) => EntryRecords::Legacy(message.messages(decompressor, cap)?),
        })
    }
}

/// The records of an [`Entry`].
#[derive(Debug, Clone)]
pub enum EntryRecords<'a> {
    /// Of a magic 2 batch.
    Batch(RecordIter<'a>),
    /// Of a message of magic 0 or 1.
    Legacy(LegacyMessages<'a>),
}

impl<'a> Iterator for EntryRecords<'a> {
    type Item = Result<Record<'a>, EntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            EntryRecords::Batch(records) => records.next().map(|record| record.map_err(EntryError::from)),
            EntryRecords::Legacy(messages) => messages.next().map(Ok),
        }
    }
}
