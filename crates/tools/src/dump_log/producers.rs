//! `%020d.snapshot`: the producers as they were before an offset.

use std::io::Write as _;
use std::path::Path;

use ottla_records::crc::crc32c;

use super::unreadable;
use crate::runtime::{Out, Stop};

/// Version i16, checksum u32, count i32.
const HEAD: usize = 10;
const ENTRY: usize = 46;

/// A producer's entry in the file.
#[derive(Debug, PartialEq, Eq)]
struct Producer {
    id: i64,
    epoch: i16,
    last_sequence: i32,
    last_offset: i64,
    offset_delta: i32,
    timestamp: i64,
    coordinator_epoch: i32,
    transaction_start: i64,
}

pub(super) fn dump(path: &Path, out: &mut Out) -> Result<(), Stop> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    match read(&bytes) {
        Ok(producers) => {
            for producer in producers {
                writeln!(out, "{}", line(&producer))?;
            }
        }
        // Kafka goes on with the next file.
        Err(why) => {
            out.flush()?;
            eprintln!("{why}");
        }
    }
    Ok(())
}

fn line(p: &Producer) -> String {
    let start = match p.transaction_start {
        start if start >= 0 => format!("OptionalLong[{start}]"),
        _ => "OptionalLong.empty".to_owned(),
    };
    let mut line = format!(
        "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {start} lastTimestamp: {}",
        p.id, p.epoch, p.coordinator_epoch, p.timestamp
    );
    if p.last_offset >= 0 {
        let first = decremented(p.last_sequence, p.offset_delta);
        line += &format!(
            " firstSequence: {first} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
            p.last_sequence, p.last_offset, p.offset_delta, p.timestamp
        );
    }
    line
}

/// Sequences count from 0 to the largest `i32` and begin again.
fn decremented(sequence: i32, by: i32) -> i32 {
    if sequence < by { i32::MAX - (by - sequence) + 1 } else { sequence - by }
}

fn read(bytes: &[u8]) -> Result<Vec<Producer>, String> {
    let schema = |why: &str| format!("Snapshot failed schema validation: {why}");
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Err(schema("the file is cut off")) };
    let version = i16::from_be_bytes([head[0], head[1]]);
    if version != 1 {
        return Err(schema(&format!("Snapshot contained an unknown file version {version}")));
    }
    let stored = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let count = i32::from_be_bytes([head[6], head[7], head[8], head[9]]);
    let entries = usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_mul(ENTRY))
        .and_then(|size| bytes.get(HEAD..HEAD + size))
        .ok_or_else(|| {
            schema(&format!(
                "Tried to allocate a collection of size {count}, but there are only {} bytes remaining.",
                bytes.len() - HEAD
            ))
        })?;
    let computed = crc32c(&bytes[6..]);
    if stored != computed {
        return Err(format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
        ));
    }
    Ok(entries.chunks_exact(ENTRY).map(entry).collect())
}

fn entry(e: &[u8]) -> Producer {
    let long = |at: usize| i64::from_be_bytes(*e[at..].first_chunk().expect("T-5: entries are whole"));
    let int = |at: usize| i32::from_be_bytes(*e[at..].first_chunk().expect("T-6: entries are whole"));
    Producer {
        id: long(0),
        epoch: i16::from_be_bytes([e[8], e[9]]),
        last_sequence: int(10),
        last_offset: long(14),
        offset_delta: int(22),
        timestamp: long(26),
        coordinator_epoch: int(34),
        transaction_start: long(38),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kafkas() {
        let mut producer = Producer {
            id: 7,
            epoch: 2,
            last_sequence: 1,
            last_offset: 99,
            offset_delta: 3,
            timestamp: 12,
            coordinator_epoch: -1,
            transaction_start: -1,
        };
        assert_eq!(
            line(&producer),
            "producerId: 7 producerEpoch: 2 coordinatorEpoch: -1 currentTxnFirstOffset: OptionalLong.empty \
             lastTimestamp: 12 firstSequence: 2147483646 lastSequence: 1 lastOffset: 99 offsetDelta: 3 timestamp: 12"
        );
        (producer.last_offset, producer.transaction_start) = (-1, 5);
        assert_eq!(
            line(&producer),
            "producerId: 7 producerEpoch: 2 coordinatorEpoch: -1 currentTxnFirstOffset: OptionalLong[5] \
             lastTimestamp: 12"
        );
    }

    #[test]
    fn a_damaged_snapshot_is_told() {
        let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let crc = crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(read(&bytes), Ok(vec![]));
        bytes[9] = 1;
        assert!(read(&bytes).unwrap_err().contains("only 0 bytes remaining"));
        bytes[9] = 0;
        bytes[3] ^= 1;
        assert!(
            read(&bytes)
                .unwrap_err()
                .starts_with("Snapshot is corrupt (CRC is no longer valid). Stored crc: ")
        );
        assert!(read(&bytes[..5]).is_err());
        bytes[1] = 9;
        assert!(read(&bytes).unwrap_err().ends_with("unknown file version 9"));
    }
}
