//! `%020d.snapshot`: the producers as they are just before an offset.
//!
//! `i16 version = 1, u32 CRC-32C of all that follows, i32 count`, then per producer 46 bytes: id i64, epoch i16,
//! last sequence i32, last offset i64, offset delta i32, timestamp i64, coordinator epoch i32, first offset of
//! the open transaction i64 (−1). Only the last batch of each producer is kept. Big-endian.

use ottla_records::crc::crc32c;
use ottla_records::ids::{NO_SEQUENCE, ProducerId};

use super::entry::{AppendedBatch, ProducerEntry};

const VERSION: i16 = 1;
const HEAD: usize = 10;
const ENTRY: usize = 46;

/// The bytes of a snapshot.
pub(crate) fn encode<'a>(entries: impl Iterator<Item = (ProducerId, &'a ProducerEntry)>) -> Vec<u8> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by_key(|(id, _)| *id);
    let mut out = Vec::with_capacity(HEAD + entries.len() * ENTRY);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for (id, entry) in entries {
        let last = entry.batches().last().copied();
        let last = last.unwrap_or(AppendedBatch {
            last_sequence: NO_SEQUENCE,
            last_offset: -1,
            offset_delta: 0,
            timestamp: 0,
        });
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&entry.epoch.to_be_bytes());
        out.extend_from_slice(&last.last_sequence.to_be_bytes());
        out.extend_from_slice(&last.last_offset.to_be_bytes());
        out.extend_from_slice(&last.offset_delta.to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.transaction_start.to_be_bytes());
    }
    let crc = crc32c(&out[6..]);
    out[2..6].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads a snapshot; the error says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(ProducerId, ProducerEntry)>, String> {
    let head: &[u8; HEAD] = bytes.first_chunk().ok_or("snapshot is cut off")?;
    let version = i16::from_be_bytes([head[0], head[1]]);
    if version != VERSION {
        return Err(format!("snapshot has an unknown version {version}"));
    }
    let stored = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let computed = crc32c(&bytes[6..]);
    if stored != computed {
        return Err(format!("snapshot is corrupt (stored crc = {stored}, computed crc = {computed})"));
    }
    let count = i32::from_be_bytes([head[6], head[7], head[8], head[9]]);
    let body = &bytes[HEAD..];
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(ENTRY)) != Some(body.len()) {
        return Err(format!("snapshot of {count} producers has {} bytes", bytes.len()));
    }
    Ok(body.chunks_exact(ENTRY).map(decode_entry).collect())
}

fn decode_entry(bytes: &[u8]) -> (ProducerId, ProducerEntry) {
    let long = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("LOG-1: 8 bytes"));
    let int = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("LOG-2: 4 bytes"));
    let epoch = i16::from_be_bytes([bytes[8], bytes[9]]);
    let (timestamp, last_offset) = (long(26), long(14));
    let mut entry = ProducerEntry::unknown();
    entry.epoch = epoch;
    entry.last_timestamp = timestamp;
    if last_offset >= 0 {
        let batch = AppendedBatch { last_sequence: int(10), last_offset, offset_delta: int(22), timestamp };
        entry.add_batch(epoch, batch);
    }
    entry.coordinator_epoch = int(34);
    entry.transaction_start = long(38).max(-1);
    (long(0), entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(ProducerId, ProducerEntry)> {
        let mut idempotent = ProducerEntry::unknown();
        idempotent.add_batch(
            2,
            AppendedBatch {
                last_sequence: 41,
                last_offset: 99,
                offset_delta: 9,
                timestamp: 1_700_000_000_000,
            },
        );
        let mut open = idempotent.clone();
        open.coordinator_epoch = 5;
        open.transaction_start = 77;
        let mut marked = ProducerEntry::unknown();
        marked.epoch = 1;
        marked.coordinator_epoch = 9;
        marked.last_timestamp = 12;
        vec![(3, idempotent), (1000, open), (i64::MAX, marked)]
    }

    #[test]
    fn snapshots_round_trip() {
        let sample = sample();
        let bytes = encode(sample.iter().rev().map(|(id, entry)| (*id, entry)));
        assert_eq!(bytes.len(), HEAD + 3 * ENTRY);
        assert_eq!(decode(&bytes).unwrap(), sample);
        assert_eq!(decode(&encode(std::iter::empty())).unwrap(), []);
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let sample = sample();
        let bytes = encode(sample.iter().map(|(id, entry)| (*id, entry)));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
