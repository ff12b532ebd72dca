//! Checkpoint files: a few lines of text, replaced as a whole.
//!
//! ```text
//! 0                     version
//! 2                     entries
//! orders 0 1532         topic partition offset, or in leader-epoch-checkpoint: epoch offset
//! orders 1 17
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_records::ids::Offset;

use crate::error::Error;
use crate::fs::{Disk, read_file, replace_file};

/// Which of a log directory's checkpoint files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckpointKind {
    /// `recovery-point-offset-checkpoint`: below it everything is durable, indexes too.
    RecoveryPoint,
    /// `log-start-offset-checkpoint`: only of logs that start later than their first segment.
    LogStart,
    /// `replication-offset-checkpoint`: high watermarks.
    HighWatermark,
    /// `cleaner-offset-checkpoint`: first dirty offsets of compacted partitions.
    Cleaner,
}

impl CheckpointKind {
    /// The file's name.
    pub fn file_name(self) -> &'static str {
        match self {
            CheckpointKind::RecoveryPoint => "recovery-point-offset-checkpoint",
            CheckpointKind::LogStart => "log-start-offset-checkpoint",
            CheckpointKind::HighWatermark => "replication-offset-checkpoint",
            CheckpointKind::Cleaner => "cleaner-offset-checkpoint",
        }
    }
}

/// One line of a checkpoint file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckpointEntry {
    /// The topic. Entries of one topic share it, when they are read.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: Offset,
}

pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<CheckpointEntry>, Error> {
    let bytes = read_file(disk, path).map_err(|source| Error::io("read", path, source))?;
    let mut last: Option<Arc<str>> = None;
    decode(&bytes.unwrap_or_default(), |line| {
        let mut words = line.split_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        let topic = last.take().filter(|last| **last == *topic).unwrap_or_else(|| topic.into());
        last = Some(topic.clone());
        let entry =
            CheckpointEntry { topic, partition: partition.parse().ok()?, offset: offset.parse().ok()? };
        words.next().is_none().then_some(entry)
    })
    .map_err(|(position, reason)| Error::corrupt(path, position, reason))
}

pub(super) fn write(disk: &dyn Disk, path: &Path, entries: &[CheckpointEntry]) -> io::Result<()> {
    let mut text = format!("0\n{}\n", entries.len());
    for CheckpointEntry { topic, partition, offset } in entries {
        text.push_str(&format!("{topic} {partition} {offset}\n"));
    }
    replace_file(disk, path, text.as_bytes())
}

/// The text of a checkpoint of number pairs, such as `leader-epoch-checkpoint`.
pub(crate) fn encode_pairs(pairs: impl ExactSizeIterator<Item = (i32, Offset)>) -> Vec<u8> {
    let mut text = format!("0\n{}\n", pairs.len());
    for (first, second) in pairs {
        text.push_str(&format!("{first} {second}\n"));
    }
    text.into_bytes()
}

/// The pairs of a checkpoint of number pairs; the error has the byte position of the line.
pub(crate) fn decode_pairs(bytes: &[u8]) -> Result<Vec<(i32, Offset)>, (u64, String)> {
    decode(bytes, |line| {
        let mut words = line.split_whitespace();
        let pair = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(pair)
    })
}

fn decode<T>(bytes: &[u8], mut parse: impl FnMut(&str) -> Option<T>) -> Result<Vec<T>, (u64, String)> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| (error.valid_up_to() as u64, "not UTF-8 text".to_owned()))?;
    let at = |line: &str| (line.as_ptr().addr() - text.as_ptr().addr()) as u64;
    let mut lines = text.lines();
    // Both an empty file and one with the version only hold no entries.
    let Some(version) = lines.next() else { return Ok(Vec::new()) };
    if version.trim() != "0" {
        return Err((0, format!("unrecognised version '{version}', expected 0")));
    }
    let Some(count) = lines.next() else { return Ok(Vec::new()) };
    let malformed = |line: &str| (at(line), format!("malformed line '{line}'"));
    let expected: usize = count.trim().parse().map_err(|_| malformed(count))?;
    let entries: Vec<T> =
        lines.map(|line| parse(line).ok_or_else(|| malformed(line))).collect::<Result<_, _>>()?;
    if entries.len() != expected {
        return Err((at(count), format!("expected {expected} entries, found {}", entries.len())));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{OpenMode, SimDisk};

    #[test]
    fn entries_round_trip_in_kafkas_text() {
        let disk = SimDisk::new();
        let path = Path::new("/replication-offset-checkpoint");
        assert_eq!(read(&disk, path).unwrap(), []);
        let entries = vec![
            CheckpointEntry { topic: "orders".into(), partition: 0, offset: 1532 },
            CheckpointEntry { topic: "a.b_c-d".into(), partition: 11, offset: 0 },
        ];
        write(&disk, path, &entries).unwrap();
        let bytes = read_file(&disk, path).unwrap().unwrap();
        assert_eq!(bytes, b"0\n2\norders 0 1532\na.b_c-d 11 0\n");
        assert_eq!(read(&disk, path).unwrap(), entries);
        // The old content survives a crash at any point of replacing it.
        let before = disk.calls();
        write(&disk, path, &[]).unwrap();
        for call in 0..disk.calls() - before {
            for seed in 0..8 {
                let disk = SimDisk::new();
                write(&disk, path, &entries).unwrap();
                disk.fail_at(disk.calls() + call, crate::fs::Fault::PowerCut);
                write(&disk, path, &[]).unwrap_err();
                disk.power_on(seed);
                let read = read(&disk, path).unwrap();
                assert!(read.is_empty() || read == entries);
            }
        }
    }

    #[test]
    fn damaged_files_are_refused_with_the_place() {
        let disk = SimDisk::new();
        let path = Path::new("/recovery-point-offset-checkpoint");
        let cases: [(&[u8], u64); 6] = [
            (b"1\n0\n", 0),
            (b"0\nx\n", 2),
            (b"0\n2\na 0 1\n", 2),
            (b"0\n1\na 0\n", 4),
            (b"0\n1\na 0 1 2\n", 4),
            (b"0\n1\n\xff\n", 4),
        ];
        for (bytes, expected) in cases {
            let file = disk.open(path, OpenMode::Replace).unwrap();
            file.write_at(&mut [io::IoSlice::new(bytes)], 0).unwrap();
            match read(&disk, path) {
                Err(Error::Corrupt { position, .. }) => assert_eq!(position, expected, "{bytes:?}"),
                other => panic!("{other:?}"),
            }
        }
        for empty in [&b""[..], b"0\n", b"0\n0\n"] {
            let file = disk.open(path, OpenMode::Replace).unwrap();
            file.write_at(&mut [io::IoSlice::new(empty)], 0).unwrap();
            assert_eq!(read(&disk, path).unwrap(), []);
        }
    }
}
