//! Entry points for fuzzers: every function takes any bytes at all, does with them what a node would, and must
//! return. Memory stays below four times the input plus the decompressor's `cap`.

use crate::batch::{BatchIter, LeaderFields};
use crate::builder::recompress;
use crate::compress::{Compressor, Decompressor};
use crate::control::ControlRecord;
use crate::entry::Entry;
use crate::record::Record;
use crate::validate::{Rules, produced, sound_records};
use crate::{Compression, TimestampType, uuid_text};

/// The bytes as a run of batches of any format, as found in a segment file. Returns the records read.
pub fn log(bytes: &[u8], decompressor: &mut Decompressor, cap: usize) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Ok(entry) = Entry::parse(&bytes[at..]) {
        // Unsound entries are looked into as well: only they hold surprises.
        let _ = entry.verify();
        let _ = entry.base_offset(decompressor, cap);
        if let Ok(records) = entry.records(decompressor, cap) {
            for record in records.map_while(Result::ok) {
                std::hint::black_box(bytes_of(&record));
                count += 1;
            }
        }
        if let Some(batch) = entry.as_batch() {
            let _ = sound_records(batch, decompressor, cap);
        }
        at += entry.bytes().len();
    }
    count + BatchIter::verified(bytes).filter(Result::is_ok).count()
}

/// The bytes as what a produce request carries for one partition, by the default rules of a topic and by strict
/// ones. Returns whether either accepted them.
pub fn produce(bytes: &[u8], decompressor: &mut Decompressor, cap: usize) -> bool {
    let now_ms = 1_700_000_000_000;
    let loose = Rules { max_decompressed_bytes: cap, ..Rules::default() };
    let strict = Rules {
        require_keys: true,
        inspect_compressed: true,
        timestamp_before_max_ms: 1000,
        timestamp_after_max_ms: 1000,
        ..loose
    };
    let append_time =
        Rules { timestamp_type: TimestampType::LogAppendTime, inspect_compressed: true, ..loose };
    let mut accepted = false;
    for rules in [loose, strict, append_time] {
        match produced(bytes, &rules, now_ms, decompressor) {
            Ok(taken) => {
                accepted = true;
                let fields =
                    LeaderFields { base_offset: 7, leader_epoch: 1, timestamp: Some(taken.timestamp) };
                let stored = [&taken.batch.patched_header(&fields)[..], taken.batch.body()].concat();
                let stored = crate::Batch::parse(&stored).expect("RECORDS-19: an accepted batch is whole");
                stored.verify().expect("RECORDS-20: an accepted and patched batch is sound");
            }
            Err(rejected) => drop(rejected.to_string()),
        }
    }
    accepted
}

/// The bytes as compressed by each codec; what decompresses must survive a round trip. Returns how many did.
pub fn decompress(bytes: &[u8], decompressor: &mut Decompressor, cap: usize) -> usize {
    Compression::ALL
        .into_iter()
        .filter(|codec| decompressor.decompress(*codec, bytes, cap).is_ok_and(|output| output.len() <= cap))
        .count()
}

/// The first batch of the bytes, compressed anew with each codec.
pub fn recompressed(
    bytes: &[u8],
    decompressor: &mut Decompressor,
    compressor: &mut Compressor,
    cap: usize,
) -> usize {
    let Ok(batch) = crate::Batch::parse(bytes) else { return 0 };
    Compression::ALL
        .into_iter()
        .filter(|codec| recompress(&batch, *codec, None, decompressor, compressor, cap).is_ok())
        .count()
}

/// The bytes as key and value of a control record, and as text of a UUID. Returns whether one was read.
pub fn control(bytes: &[u8]) -> bool {
    let _ = std::str::from_utf8(bytes).map(uuid_text::decode);
    let (key, value) = bytes.split_at(bytes.len().min(4));
    match ControlRecord::parse_parts(Some(key), Some(value)) {
        Ok(ControlRecord::Unknown { .. }) | Err(_) => false,
        Ok(record) => {
            let again = ControlRecord::parse_parts(Some(&record.control_type().key()), Some(&record.value()));
            // An unknown version of a marker is read as version 0, so its bytes may differ, its meaning not.
            assert_eq!(again, Ok(record), "RECORDS-21: a control record is read as it was written");
            true
        }
    }
}

fn bytes_of(record: &Record<'_>) -> usize {
    record.key.map_or(0, <[u8]>::len)
        + record.value.map_or(0, <[u8]>::len)
        + record
            .headers
            .iter()
            .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len))
            .sum::<usize>()
}
