//! `%020d.index`: offset to position. Entries of 8 bytes: last offset of a batch minus the segment's base i32,
//! position of the batch's first byte i32. About one per `index.interval.bytes` of log.

use super::{Entry, FileKind};

/// Key: the last offset of a batch, relative to the segment; value: where the batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) offset: u32,
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const KIND: FileKind = FileKind::OffsetIndex;
    const SIZE: usize = 8;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> OffsetEntry {
        let bytes: &[u8; 8] = bytes.try_into().expect("LOG-4: an offset entry has 8 bytes");
        let value = u64::from_be_bytes(*bytes);
        OffsetEntry { offset: (value >> 32) as u32, position: value as u32 }
    }
}
