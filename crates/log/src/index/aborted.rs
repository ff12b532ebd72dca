//! `%020d.txnindex`: aborted transactions, in the order of their markers. Entries of 34 bytes: version 0 i16,
//! producer id i64, first offset i64, last offset (of the marker) i64, last stable offset at that moment i64.
//! The file is made when the first transaction is aborted.

use ottla_records::ids::{Offset, ProducerId};

use super::{FileKind, Place};
use crate::error::Error;

const SIZE: u64 = 34;
const KIND: FileKind = FileKind::TxnIndex;
/// Entries read at once.
const CHUNK: usize = 120;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Its producer.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of its marker.
    pub last_offset: Offset,
    /// The last stable offset when the marker was written: no transaction that is aborted later has its first
    /// record before it.
    pub last_stable_offset: Offset,
}

impl AbortedTxn {
    fn encode(&self) -> [u8; SIZE as usize] {
        let mut out = [0; SIZE as usize];
        out[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        out[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        out[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        out[26..34].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<AbortedTxn, String> {
        let long = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("LOG-8: 8 bytes"));
        match i16::from_be_bytes([bytes[0], bytes[1]]) {
            0 => Ok(AbortedTxn {
                producer_id: long(2),
                first_offset: long(10),
                last_offset: long(18),
                last_stable_offset: long(26),
            }),
            version => Err(format!("unexpected aborted transaction version {version}")),
        }
    }
}

/// The transaction index of a segment; most segments have none.
#[derive(Debug, Default)]
pub(crate) struct AbortedIndex {
    entries: u32,
}

impl AbortedIndex {
    /// The index that is in its file, checked; `None` if the file cannot be one.
    pub(crate) fn load(place: Place<'_>) -> Result<Option<AbortedIndex>, Error> {
        let Some(len) = place.len(KIND)? else { return Ok(Some(AbortedIndex::default())) };
        if len % SIZE != 0 || len / SIZE > i32::MAX as u64 {
            return Ok(None);
        }
        let index = AbortedIndex { entries: (len / SIZE) as u32 };
        let mut previous = place.base - 1;
        let sound = index.visit(place, |txn| {
            let ascending = txn.last_offset > previous && txn.first_offset <= txn.last_offset;
            previous = txn.last_offset;
            ascending
        });
        match sound {
            Ok(sound) => Ok(sound.then_some(index)),
            Err(Error::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub(crate) fn push(&mut self, place: Place<'_>, txn: &AbortedTxn) -> Result<(), Error> {
        if self.entries == 0 {
            place.create(KIND)?;
        }
        place.write(KIND, &txn.encode(), u64::from(self.entries) * SIZE)?;
        self.entries += 1;
        Ok(())
    }

    /// Forgets all entries; the file, if there is one, becomes empty.
    pub(crate) fn reset(&mut self, place: Place<'_>) -> Result<(), Error> {
        self.entries = 0;
        if place.len(KIND)?.is_some() { place.create(KIND).map(drop) } else { Ok(()) }
    }

    /// Forgets transactions whose marker is at `offset` or later.
    pub(crate) fn truncate_to(&mut self, place: Place<'_>, offset: Offset) -> Result<(), Error> {
        let mut keep = 0;
        self.visit(place, |txn| {
            let before = txn.last_offset < offset;
            keep += u32::from(before);
            before
        })?;
        if keep < self.entries {
            place.truncate(KIND, u64::from(keep) * SIZE)?;
            self.entries = keep;
        }
        Ok(())
    }

    /// Collects transactions that have records in `from..to` or a marker in or behind it. Returns whether none
    /// of the later ones can have any.
    pub(crate) fn collect(
        &self,
        place: Place<'_>,
        from: Offset,
        to: Offset,
        into: &mut Vec<AbortedTxn>,
    ) -> Result<bool, Error> {
        let go_on = self.visit(place, |txn| {
            if txn.last_offset >= from && txn.first_offset < to {
                into.push(*txn);
            }
            txn.last_stable_offset < to
        })?;
        Ok(!go_on)
    }

    /// Calls `each` with the entries in order until it returns false. Returns whether it never did.
    fn visit(&self, place: Place<'_>, mut each: impl FnMut(&AbortedTxn) -> bool) -> Result<bool, Error> {
        let mut bytes = [0; CHUNK * SIZE as usize];
        let mut at = 0;
        while at < self.entries {
            let count = (self.entries - at).min(CHUNK as u32);
            let page = &mut bytes[..count as usize * SIZE as usize];
            let position = u64::from(at) * SIZE;
            if place.read(KIND, page, position)? < page.len() {
                return Err(place.corrupt(KIND, position, "the index has become shorter than it was"));
            }
            for (n, entry) in page.chunks_exact(SIZE as usize).enumerate() {
                let txn = AbortedTxn::decode(entry)
                    .map_err(|reason| place.corrupt(KIND, position + n as u64 * SIZE, reason))?;
                if !each(&txn) {
                    return Ok(false);
                }
            }
            at += count;
        }
        Ok(true)
    }
}
