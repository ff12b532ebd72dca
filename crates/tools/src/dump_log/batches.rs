//! A segment or a metadata snapshot: one line per batch, one per record.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ottla_records::batch::{FRAME_SIZE, HEADER_SIZE};
use ottla_records::compress::Decompressor;
use ottla_records::control::ControlType;
use ottla_records::entry::Entry;
use ottla_records::legacy::LegacyMessage;
use ottla_records::{Compression, Record, TimestampType};

use super::decoders::Decoders;
use super::{Findings, Wanted, absolute, first_offset, thrown, unreadable};
use crate::record_json;
use crate::runtime::{Out, Stop};

/// The most that one batch may decompress to.
pub(super) const DECOMPRESSED_LIMIT: usize = i32::MAX as usize;
/// The smallest length field of a batch, as Kafka checks it before anything else.
const SMALLEST_LENGTH: i32 = 14;

/// A segment's bytes, one batch at a time.
pub(super) struct Batches<'p> {
    path: &'p Path,
    file: File,
    /// Where reading ends.
    pub(super) end: u64,
    /// Where the next batch starts.
    pub(super) position: u64,
    bytes: Vec<u8>,
}

impl<'p> Batches<'p> {
    /// The batches from `start` on, up to `limit` bytes of them.
    pub(super) fn open(path: &'p Path, start: u64, limit: u64) -> Result<Batches<'p>, Stop> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        if start > size {
            return Err(thrown(
                "java.lang.IllegalArgumentException",
                format!("Slice from position {start} exceeds end position of {}", path.display()),
            )
            .and_err("    cause: the index points behind the end of the log; the broker rebuilds it when it starts"));
        }
        let end = size.min(start.saturating_add(limit));
        Ok(Batches { path, file, end, position: start, bytes: Vec::new() })
    }

    /// The whole next batch; `None` at the end or where the rest is too short to hold it.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, Stop> {
        if self.position + FRAME_SIZE as u64 >= self.end {
            return Ok(None);
        }
        let path = self.path;
        let failed = |error: io::Error| unreadable(path, &error);
        let mut head = [0; FRAME_SIZE];
        self.file.read_exact_at(&mut head, self.position).map_err(failed)?;
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if length < SMALLEST_LENGTH {
            return Err(thrown(
                "org.apache.kafka.common.errors.CorruptRecordException",
                format!(
                    "Found record size {length} smaller than minimum record overhead (14) in file {}.",
                    self.path.display()
                ),
            )
            .and_err(format!("    cause: no batch begins at byte {}", self.position)));
        }
        let size = 12 + length as u64;
        if self.position + size > self.end {
            return Ok(None);
        }
        self.bytes.resize(size as usize, 0);
        self.file.read_exact_at(&mut self.bytes, self.position).map_err(failed)?;
        let at = self.position;
        self.position += size;
        Entry::parse(&self.bytes).map(Some).map_err(|error| {
            thrown("org.apache.kafka.common.errors.CorruptRecordException", error)
                .and_err(format!("    cause: no batch begins at byte {at} of {}", path.display()))
        })
    }
}

pub(super) fn dump(
    path: &Path,
    file_name: &str,
    wanted: &Wanted,
    findings: &mut Findings,
    out: &mut Out,
) -> Result<(), Stop> {
    let decoders = wanted.decoders.as_ref().map_err(Stop::clone)?;
    if file_name.ends_with(".log") {
        writeln!(out, "Log starting offset: {}", first_offset(file_name)?)?;
    } else if file_name == "bootstrap.checkpoint" {
        writeln!(out, "KRaft bootstrap snapshot")?;
    } else {
        let (offset, epoch) = snapshot_id(file_name).ok_or_else(|| {
            thrown("java.util.NoSuchElementException", "No value present")
                .and_err("    cause: a metadata snapshot is called OFFSET-EPOCH.checkpoint, 20 and 10 digits")
        })?;
        writeln!(out, "Snapshot end offset: {offset}, epoch: {epoch}")?;
    }
    if wanted.max_bytes < 0 {
        return Err(thrown(
            "java.lang.IllegalArgumentException",
            format!("Invalid size: {} in read from {}", wanted.max_bytes, path.display()),
        ));
    }
    let mut batches = Batches::open(path, 0, wanted.max_bytes as u64)?;
    let mut decompressor = Decompressor::new();
    let mut last_offset = -1;
    loop {
        let position = batches.position;
        let Some(entry) = batches.next()? else { break };
        batch_line(&entry, position, out)?;
        if wanted.deep {
            records(&entry, path, &mut decompressor, &mut last_offset, (wanted, decoders), findings, out)?;
        }
    }
    let left = batches.end - batches.position;
    if left > 0 && wanted.max_bytes == i32::MAX {
        writeln!(out, "Found {left} invalid bytes at the end of {file_name}")?;
    }
    Ok(())
}

/// `OFFSET-EPOCH.checkpoint`, with 20 and 10 digits.
fn snapshot_id(file_name: &str) -> Option<(i64, i32)> {
    let name = file_name.strip_suffix(".checkpoint")?;
    let (offset, epoch) = (name.get(..20)?, name.get(21..31)?);
    (name.len() == 31 && name.as_bytes()[20] == b'-').then_some(())?;
    Some((offset.parse().ok()?, epoch.parse().ok()?))
}

fn timestamp_type(entry: &Entry<'_>) -> &'static str {
    match entry {
        Entry::Legacy(message) if message.magic == 0 => "NoTimestampType",
        entry => type_name(entry.timestamp_type()),
    }
}

fn type_name(timestamp_type: TimestampType) -> &'static str {
    match timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn batch_line(entry: &Entry<'_>, position: u64, out: &mut Out) -> Result<(), Stop> {
    let (crc, valid) = match entry {
        Entry::Batch(batch) => {
            let h = batch.header();
            write!(
                out,
                "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
                 producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: ",
                h.base_offset,
                h.last_offset(),
                h.count,
                h.base_sequence,
                h.last_sequence(),
                h.producer_id,
                h.producer_epoch,
                h.partition_leader_epoch,
                h.is_transactional(),
                h.is_control()
            )?;
            match h.delete_horizon() {
                Some(horizon) => write!(out, "OptionalLong[{horizon}]")?,
                None => write!(out, "OptionalLong.empty")?,
            }
            (h.crc, h.size_in_bytes() >= HEADER_SIZE && h.crc == batch.compute_crc())
        }
        Entry::Legacy(message) => {
            write!(out, "offset: {}", message.offset)?;
            (legacy_crc(message), message.verify().is_ok())
        }
    };
    let Some(compression) = entry.compression() else {
        return Err(thrown(
            "java.lang.IllegalArgumentException",
            format!("Unknown compression type id in the batch at position {position}"),
        ));
    };
    writeln!(
        out,
        " position: {position} {}: {} size: {} magic: {} compresscodec: {} crc: {crc} isvalid: {valid}",
        timestamp_type(entry),
        entry.max_timestamp(),
        entry.bytes().len(),
        entry.magic(),
        compression.name()
    )?;
    Ok(())
}

fn legacy_crc(message: &LegacyMessage<'_>) -> u32 {
    let bytes = message.bytes();
    u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

/// Checksum of every message of magic 0 or 1 in the entry, and whether it is right.
fn legacy_checks(entry: &Entry<'_>) -> Vec<(u32, bool)> {
    let Entry::Legacy(message) = entry else { return Vec::new() };
    let check = |message: &LegacyMessage<'_>| (legacy_crc(message), message.verify().is_ok());
    let (Some(codec), Some(value)) = (message.compression(), message.value) else { return Vec::new() };
    if codec == Compression::None {
        return vec![check(message)];
    }
    let mut decompressor = Decompressor::new();
    let Ok(mut rest) = decompressor.decompress(codec, value, DECOMPRESSED_LIMIT) else { return Vec::new() };
    let mut checks = Vec::new();
    while let Ok(inner) = LegacyMessage::parse(rest) {
        checks.push(check(&inner));
        rest = &rest[inner.size_in_bytes()..];
    }
    checks
}

fn records(
    entry: &Entry<'_>,
    path: &Path,
    decompressor: &mut Decompressor,
    last_offset: &mut i64,
    (wanted, decoders): (&Wanted, &Decoders),
    findings: &mut Findings,
    out: &mut Out,
) -> Result<(), Stop> {
    let corrupt = |error: &dyn std::fmt::Display| {
        thrown("org.apache.kafka.common.InvalidRecordException", error)
            .and_err(format!("    cause: a record of {} cannot be read", path.display()))
    };
    let control = entry.as_batch().is_some_and(|batch| batch.is_control());
    let mut checks = legacy_checks(entry).into_iter();
    for record in entry.records(decompressor, DECOMPRESSED_LIMIT).map_err(|error| corrupt(&error))? {
        let record = record.map_err(|error| corrupt(&error))?;
        if record.offset != *last_offset + 1 {
            findings.gaps.entry(absolute(path)).or_default().insert(*last_offset, record.offset);
        }
        *last_offset = record.offset;
        if !wanted.skip_record_metadata {
            record_head(entry, &record, out)?;
            match (entry.magic(), checks.next()) {
                (2, _) => {
                    write!(out, " sequence: {} headerKeys: [", record.sequence)?;
                    for (i, header) in record.headers.iter().enumerate() {
                        let comma = if i > 0 { "," } else { "" };
                        write!(out, "{comma}{}", String::from_utf8_lossy(header.key))?;
                    }
                    write!(out, "]")?;
                }
                (_, Some((crc, valid))) => write!(out, " isValid: {valid} crc: {crc}")?,
                (_, None) => {}
            }
            if control {
                control_record(&record, out)?;
            }
        }
        if wanted.print && !control {
            let mut prefix = if wanted.skip_record_metadata { "| " } else { " " };
            let (key, value) = decoders.show(&record)?;
            if let Some(key) = key {
                write!(out, "{prefix}key: ")?;
                out.write_all(&key)?;
                prefix = " ";
            }
            if let Some(value) = value {
                write!(out, "{prefix}payload: ")?;
                out.write_all(&value)?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn record_head(entry: &Entry<'_>, record: &Record<'_>, out: &mut Out) -> io::Result<()> {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    write!(
        out,
        "| offset: {} {}: {} keySize: {} valueSize: {}",
        record.offset,
        timestamp_type(entry),
        record.timestamp,
        size(record.key),
        size(record.value)
    )
}

fn control_record(record: &Record<'_>, out: &mut Out) -> Result<(), Stop> {
    let invalid = |why: String| thrown("org.apache.kafka.common.InvalidRecordException", why);
    let key = record.key.unwrap_or_default();
    if key.len() < 4 {
        return Err(invalid(format!(
            "Invalid value size found for control record key. Must have at least 4 bytes, but found only {}",
            key.len()
        )));
    }
    let version = i16::from_be_bytes([key[0], key[1]]);
    if version < 0 {
        return Err(invalid(format!(
            "Invalid version found for control record: {version}. May indicate data corruption"
        )));
    }
    let id = i16::from_be_bytes([key[2], key[3]]);
    let value = record.value.unwrap_or_default();
    let json = |name: &str| record_json::control(name, value).map_err(invalid);
    match ControlType::from_id(id) {
        kind @ (ControlType::Abort | ControlType::Commit) => {
            // A version of two bytes, then the epoch of the coordinator that ended the transaction.
            let epoch = value.get(2..).and_then(|rest| rest.first_chunk::<4>()).copied();
            let epoch = epoch.ok_or_else(|| {
                invalid(format!(
                    "Invalid value size found for end transaction marker. Must have at least 6 bytes, but found \
                     only {}",
                    value.len()
                ))
            })?;
            let name = if kind == ControlType::Abort { "ABORT" } else { "COMMIT" };
            write!(out, " endTxnMarker: {name} coordinatorEpoch: {}", i32::from_be_bytes(epoch))?;
        }
        ControlType::LeaderChange => write!(out, " LeaderChange: {}", json("LeaderChangeMessage")?)?,
        ControlType::SnapshotHeader => write!(out, " SnapshotHeader {}", json("SnapshotHeaderRecord")?)?,
        ControlType::SnapshotFooter => write!(out, " SnapshotFooter {}", json("SnapshotFooterRecord")?)?,
        ControlType::KRaftVersion => write!(out, " KRaftVersion {}", json("KRaftVersionRecord")?)?,
        ControlType::KRaftVoters => write!(out, " KRaftVoters {}", json("VotersRecord")?)?,
        _ => write!(out, " controlType: UNKNOWN({id})")?,
    }
    Ok(())
}
