//! Offset index, time index and transaction index, checked against the log that lies beside them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ottla_records::compress::Decompressor;

use super::batches::{Batches, DECOMPRESSED_LIMIT};
use super::{Findings, Wanted, absolute, first_offset, thrown, unreadable};
use crate::runtime::{Out, Stop};

const OFFSET_ENTRY: usize = 8;
const TIME_ENTRY: usize = 12;
const ABORTED_ENTRY: usize = 34;

fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn beside(path: &Path, file_name: &str, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{}{suffix}", file_name.split('.').next().unwrap_or_default()))
}

fn int(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(*bytes.first_chunk().expect("T-3: entries are whole"))
}

fn long(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(*bytes.first_chunk().expect("T-4: entries are whole"))
}

fn corrupt(message: String) -> Stop {
    thrown("org.apache.kafka.storage.internals.log.CorruptIndexException", message)
        .and_err("    next: delete the index while the broker is stopped; it is rebuilt at the next start")
}

/// The offset index's entries: offset and position in the log.
fn offset_entries(bytes: &[u8], base: i64) -> Vec<(i64, u64)> {
    let entry = |e: &[u8]| (base + i64::from(int(e)), u64::from(int(&e[4..]) as u32));
    bytes.chunks_exact(OFFSET_ENTRY).map(entry).collect()
}

/// The largest indexed position whose offset is at most `offset`, by Kafka's binary search.
fn lookup(entries: &[(i64, u64)], offset: i64) -> u64 {
    let (mut low, mut high) = (0, entries.len());
    while low < high {
        let middle = (low + high) / 2;
        if entries[middle].0 <= offset { low = middle + 1 } else { high = middle }
    }
    low.checked_sub(1).map_or(0, |at| entries[at].1)
}

pub(super) fn dump_offsets(
    path: &Path,
    file_name: &str,
    wanted: &Wanted,
    findings: &mut Findings,
    out: &mut Out,
) -> Result<(), Stop> {
    let base = first_offset(file_name)?;
    let log = beside(path, file_name, ".log");
    fs::metadata(&log).map_err(|error| unreadable(&log, &error))?;
    let bytes = read(path)?;
    let entries = offset_entries(&bytes, base);
    let Some(&(last, _)) = entries.last() else {
        writeln!(out, "{} is empty.", path.display())?;
        return Ok(());
    };
    if wanted.sanity_only {
        if last < base {
            return Err(corrupt(format!(
                "Corrupt index found, index file {} has non-zero size but the last offset is {last} which is less \
                 than the base offset {base}",
                absolute(path)
            )));
        }
        if !bytes.len().is_multiple_of(OFFSET_ENTRY) {
            return Err(corrupt(format!(
                "Index file {} is corrupt, found {} bytes which is neither positive nor a multiple of 8",
                absolute(path),
                bytes.len()
            )));
        }
        writeln!(out, "{} passed sanity check.", path.display())?;
        return Ok(());
    }
    for (i, &(offset, position)) in entries.iter().enumerate() {
        // After a crash the rest of a preallocated file is zeros.
        if offset == base && i > 0 {
            return Ok(());
        }
        let mut batches = Batches::open(&log, position, wanted.max_message_size)?;
        let last = match batches.next()? {
            Some(batch) => batch.last_offset(),
            None => {
                return Err(thrown(
                    "java.util.NoSuchElementException",
                    format!("no batch at position {position}"),
                )
                .and_err(
                    "    cause: the index points to no whole batch, or the batch is larger than \
                         --max-message-size",
                ));
            }
        };
        if last != offset {
            findings.index_mismatches.entry(absolute(path)).or_default().insert(offset, last);
        }
        if !wanted.verify_only {
            writeln!(out, "offset: {offset} position: {position}")?;
        }
    }
    Ok(())
}

pub(super) fn dump_times(
    path: &Path,
    file_name: &str,
    wanted: &Wanted,
    findings: &mut Findings,
    out: &mut Out,
) -> Result<(), Stop> {
    let base = first_offset(file_name)?;
    let log = beside(path, file_name, ".log");
    fs::metadata(&log).map_err(|error| unreadable(&log, &error))?;
    let offsets = offset_entries(&read(&beside(path, file_name, ".index"))?, base);
    let bytes = read(path)?;
    let entries: Vec<(i64, i64)> =
        bytes.chunks_exact(TIME_ENTRY).map(|e| (long(e), base + i64::from(int(&e[8..])))).collect();
    if wanted.sanity_only {
        check_times(path, base, &entries, bytes.len())?;
        writeln!(out, "{} passed sanity check.", path.display())?;
        return Ok(());
    }
    let mut decompressor = Decompressor::new();
    let mut previous = -1;
    for (i, &(timestamp, offset)) in entries.iter().enumerate() {
        if offset == base && i > 0 {
            return Ok(());
        }
        let mut batches = Batches::open(&log, lookup(&offsets, offset), u64::MAX)?;
        let mut found = None;
        while let Some(batch) = batches.next()? {
            if batch.last_offset() < offset {
                continue;
            }
            let last = batch.last_offset();
            let mut largest = -1;
            if last == offset {
                let invalid = |error: &dyn std::fmt::Display| {
                    thrown("org.apache.kafka.common.InvalidRecordException", error)
                };
                for record in
                    batch.records(&mut decompressor, DECOMPRESSED_LIMIT).map_err(|error| invalid(&error))?
                {
                    largest = largest.max(record.map_err(|error| invalid(&error))?.timestamp);
                }
            }
            found = Some((last, largest));
            break;
        }
        let file = || absolute(path);
        match found {
            Some((last, largest)) if last == offset => {
                if largest != timestamp {
                    findings.time_mismatches.entry(file()).or_default().push((timestamp, largest));
                }
                if previous >= timestamp {
                    findings.time_disorder.entry(file()).or_default().push((timestamp, previous));
                }
            }
            other => {
                let last = other.map_or(-1, |(last, _)| last);
                findings.time_unknown.entry(file()).or_default().push((offset, last));
            }
        }
        if !wanted.verify_only {
            writeln!(out, "timestamp: {timestamp} offset: {offset}")?;
        }
        previous = timestamp;
    }
    Ok(())
}

fn check_times(path: &Path, base: i64, entries: &[(i64, i64)], length: usize) -> Result<(), Stop> {
    let head = || {
        format!(
            "Corrupt time index found, time index file ({}) has non-zero size but the last",
            absolute(path)
        )
    };
    if let (Some(&(first, _)), Some(&(last, offset))) = (entries.first(), entries.last()) {
        if last < first {
            return Err(corrupt(format!(
                "{} timestamp is {last} which is less than the first timestamp {first}",
                head()
            )));
        }
        if offset < base {
            return Err(corrupt(format!(
                "{} offset is {offset} which is less than the first offset {base}",
                head()
            )));
        }
    }
    if !length.is_multiple_of(TIME_ENTRY) {
        return Err(corrupt(format!(
            "Time index file {} is corrupt, found {length} bytes which is neither positive nor a multiple of 12",
            absolute(path)
        )));
    }
    Ok(())
}

pub(super) fn dump_aborted(path: &Path, out: &mut Out) -> Result<(), Stop> {
    let bytes = read(path)?;
    for entry in bytes.chunks_exact(ABORTED_ENTRY) {
        let version = i16::from_be_bytes([entry[0], entry[1]]);
        if version > 0 {
            return Err(thrown(
                "org.apache.kafka.common.KafkaException",
                format!("Unexpected aborted transaction version {version}, current version is 0"),
            ));
        }
        writeln!(
            out,
            "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            long(&entry[2..]),
            long(&entry[10..]),
            long(&entry[18..]),
            long(&entry[26..])
        )?;
    }
    Ok(())
}
