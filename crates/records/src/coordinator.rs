//! What all machines share that keep their state in a log of records: the two clocks they go by, the records that such a
//! log is made of, and how it is read.

use bytes::Bytes;

use crate::batch::{Batch, BatchIter, BatchIterError};
use crate::compress::{DecompressError, Decompressor};
use crate::control::ControlRecord;
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

/// Names a request to whoever runs the machine; the reply carries the same number. Opaque to the machine.
pub type Token = u64;

/// Names records that the machine wants appended, to whoever appends them and reports the outcome.
pub type AppendId = u64;

/// A record of the log, as it stands in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Record type and key message.
    pub key: Bytes,
    /// Value version and value message; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// What a batch of the log holds for the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record.
    Record {
        /// Its position.
        offset: Offset,
        /// As [`Record::key`].
        key: &'a [u8],
        /// As [`Record::value`].
        value: Option<&'a [u8]>,
    },
    /// The transaction of the batch's producer ends here.
    EndTransaction {
        /// Commit or abort.
        commit: bool,
    },
}

/// What one batch of the log may become when it is decompressed.
const LOAD_BATCH_BYTES: usize = 256 * 1024 * 1024;

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

/// Hands what stands in a batch to `take`, in its order. Records without a key say nothing to a machine: they are passed over
/// and added to `keyless`. So are control records that end no transaction. Gives how many records `take` has got.
pub fn each_record<E>(
    decompressor: &mut Decompressor,
    batch: &Batch<'_>,
    keyless: &mut usize,
    mut take: impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<usize, LoadError<E>> {
    let (base_offset, is_control) = (batch.header().base_offset, batch.header().is_control());
    let mut records = 0;
    let all = decompressor.records(batch, LOAD_BATCH_BYTES);
    for record in all.map_err(|error| LoadError::Compressed { offset: base_offset, error })? {
        let record = record.map_err(|error| LoadError::Record { offset: base_offset, error })?;
        let offset = record.offset;
        let found = if is_control {
            match ControlRecord::parse(&record) {
                Ok(ControlRecord::EndTransaction { commit, .. }) => Found::EndTransaction { commit },
                _ => continue,
            }
        } else if let Some(key) = record.key {
            records += 1;
            Found::Record { offset, key, value: record.value }
        } else {
            *keyless += 1;
            continue;
        };
        take(found).map_err(|error| LoadError::Replay { offset, error })?;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{BatchBuilder, NewRecord};
    use crate::control::end_transaction_batch;
    use crate::{Compression, HEADER_SIZE};

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

    fn records_of(
        bytes: &[u8],
        refused: Option<Offset>,
    ) -> (Result<usize, LoadError<&'static str>>, usize, String) {
        let (mut keyless, mut seen) = (0, String::new());
        let batch = Batch::parse(bytes).unwrap();
        let counted = each_record(&mut Decompressor::new(), &batch, &mut keyless, |found| {
            match found {
                Found::Record { offset, .. } if refused == Some(offset) => return Err("no"),
                Found::Record { offset, key, value } => {
                    let value = value.map(<[u8]>::escape_ascii).map_or("-".into(), |value| value.to_string());
                    seen += &format!("{offset} {}={value} ", key.escape_ascii());
                }
                Found::EndTransaction { commit } => seen += &format!("end {commit} "),
            }
            Ok(())
        });
        (counted, keyless, seen)
    }

    #[test]
    fn records_with_a_key_are_handed_out_and_others_counted() {
        for compression in [Compression::None, Compression::Zstd] {
            let mut batch = BatchBuilder::new(10).compression(compression, None);
            batch.append(&NewRecord::new(1, Some(b"a"), Some(b"1")));
            batch.append(&NewRecord::new(1, None, Some(b"2")));
            batch.append(&NewRecord::new(1, Some(b"b"), None));
            let bytes = batch.build();
            let (records, keyless, seen) = records_of(&bytes, None);
            assert_eq!((records.unwrap(), keyless, &*seen), (2, 1, "10 a=1 12 b=- "));
            let (records, _, seen) = records_of(&bytes, Some(12));
            assert!(matches!(records, Err(LoadError::Replay { offset: 12, error: "no" })));
            assert_eq!(seen, "10 a=1 ");
        }
    }

    #[test]
    fn of_control_records_only_the_ends_of_transactions_are_handed_out() {
        for commit in [true, false] {
            let marker = end_transaction_batch(5, 0, 1, (7, 2), commit, 3);
            let (records, keyless, seen) = records_of(&marker, None);
            assert_eq!((records.unwrap(), keyless, seen), (0, 0, format!("end {commit} ")));
        }
        let mut other = BatchBuilder::new(5).control(true);
        other.append(&NewRecord::new(1, Some(&[0, 0, 0, 2]), Some(b"")));
        let (records, keyless, seen) = records_of(&other.build(), None);
        assert_eq!((records.unwrap(), keyless, &*seen), (0, 0, ""));
    }

    #[test]
    fn bytes_that_are_no_records_are_errors_of_their_batch() {
        let mut batch = BatchBuilder::new(5).compression(Compression::Gzip, None);
        batch.append(&NewRecord::new(1, Some(b"a"), Some(b"1")));
        let mut bytes = batch.build();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(matches!(records_of(&bytes, None).0, Err(LoadError::Compressed { offset: 5, .. })));
        let mut batch = BatchBuilder::new(5);
        batch.append(&NewRecord::new(1, Some(b"a"), Some(b"1")));
        let mut bytes = batch.build();
        bytes[HEADER_SIZE] ^= 0x40;
        assert!(matches!(records_of(&bytes, None).0, Err(LoadError::Record { offset: 5, .. })));
    }
}
