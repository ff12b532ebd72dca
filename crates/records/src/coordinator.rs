//! What all machines share that keep their state in a log of records: the two clocks they go by, and how such a log is
//! read.

use crate::batch::{Batch, BatchIter, BatchIterError};
use crate::compress::DecompressError;
use crate::ids::Offset;
use crate::record::RecordError;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds on a clock that never goes back: deadlines go by it.
    pub running_ms: i64,
    /// Milliseconds since 1970: what is stored goes by it.
    pub wall_ms: i64,
}

/// Why a log cannot be read. `E` says why a record cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// Bytes that are no sound batch.
    #[error("after offset {offset}: {error}")]
    Malformed {
        /// The last offset before them.
        offset: Offset,
        /// What is wrong with them.
        error: BatchIterError,
    },
    /// A batch with bytes that are no sound record.
    #[error("batch at offset {offset}: {error}")]
    Record {
        /// The batch's first offset.
        offset: Offset,
        /// What is wrong with it.
        error: RecordError,
    },
    /// A batch that cannot be decompressed.
    #[error("offset {offset}: {error}")]
    Compressed {
        /// The batch's first offset.
        offset: Offset,
        /// What is wrong with it.
        error: DecompressError,
    },
    /// A record that cannot be taken in.
    #[error("offset {offset}: {error}")]
    Replay {
        /// The record's offset.
        offset: Offset,
        /// What is wrong with it.
        error: E,
    },
    /// The bytes end within the first batch.
    #[error("no whole batch at offset {offset}")]
    NoBatch {
        /// Where one should begin.
        offset: Offset,
    },
}

/// Hands the whole batches of one read to `take`, from the one that holds `offset` on; the last may be cut off by the size
/// that was asked for. Gives the offset to go on from.
pub fn whole_batches<E>(
    bytes: &[u8],
    offset: Offset,
    mut take: impl FnMut(&Batch<'_>) -> Result<(), LoadError<E>>,
) -> Result<Offset, LoadError<E>> {
    let mut at = offset;
    for batch in BatchIter::verified(bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            // The size asked for cut it off: the next read begins with it.
            Err(e) if e.error.is_torn() && at > offset => break,
            Err(e) => return Err(LoadError::Malformed { offset: at, error: e }),
        };
        if batch.header().next_offset() <= at {
            continue;
        }
        take(&batch)?;
        at = batch.header().next_offset();
    }
    if at == offset { Err(LoadError::NoBatch { offset }) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{BatchBuilder, NewRecord};

    fn log() -> Vec<u8> {
        let mut bytes = Vec::new();
        for base in [0, 2, 4] {
            let mut batch = BatchBuilder::new(base);
            for _ in 0..2 {
                batch.append(&NewRecord::new(1, Some(b"k"), Some(b"v")));
            }
            bytes.extend(batch.build());
        }
        bytes
    }

    fn read(bytes: &[u8], offset: Offset) -> (Result<Offset, LoadError<()>>, Vec<Offset>) {
        let mut seen = Vec::new();
        let next = whole_batches(bytes, offset, |batch| {
            seen.push(batch.header().base_offset);
            Ok(())
        });
        (next, seen)
    }

    #[test]
    fn whole_batches_from_the_offset_on_and_none_that_is_cut_off() {
        let bytes = log();
        let (next, seen) = read(&bytes, 0);
        assert_eq!((next.unwrap(), seen), (6, vec![0, 2, 4]));
        let (next, seen) = read(&bytes, 3);
        assert_eq!((next.unwrap(), seen), (6, vec![2, 4]), "a batch that holds the offset counts");
        let (next, seen) = read(&bytes[..bytes.len() - 1], 0);
        assert_eq!((next.unwrap(), seen), (4, vec![0, 2]));
        assert!(matches!(read(&bytes[..20], 0).0, Err(LoadError::Malformed { offset: 0, .. })));
        assert!(matches!(read(&[], 0).0, Err(LoadError::NoBatch { offset: 0 })));
        let mut damaged = bytes;
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert!(matches!(read(&damaged, 0).0, Err(LoadError::Malformed { offset: 4, .. })));
    }
}
