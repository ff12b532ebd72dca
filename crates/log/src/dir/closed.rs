//! `.ottla-closed-logs`: what was known of each log when its directory was closed cleanly, so that the next start need
//! not look into thousands of directories to find it out again.
//!
//! It is a cache, never the truth. It counts only beside the very clean-shutdown marker it was written for: whoever
//! starts on the directory in between, Apache Kafka included, removes that marker. And it counts for a partition only as
//! long as nothing in the partition's directory was made, renamed or removed since, which the directory's change time
//! tells. All integers are big-endian:
//!
//! ```text
//! "OTTLACL1"  marker inode u64  marker change time i64 (ns)  count u32
//! count x  { position u32 }                                    ascending by name
//! count x  { name length u16, name, inode u64, change time i64, topic id 16 bytes (zeros: none), end offset i64,
//!            segments u16 x { base i64, size u32, offset index entries u32, time index entries u32 },
//!            snapshots u16 x { offset i64 },  epochs u16 x { epoch i32, start offset i64 } }
//! CRC-32C u32 of everything before
//! ```

use std::cmp::Ordering;
use std::path::Path;

use ottla_records::crc::crc32c;
use ottla_records::ids::Offset;
use uuid::Uuid;

use super::shutdown;
use crate::epochs::EpochEntry;
use crate::fs::{Disk, OpenMode, Stamp, read_file};

/// The file, in the log directory.
pub(super) const FILE: &str = ".ottla-closed-logs";
const MAGIC: &[u8; 8] = b"OTTLACL1";
/// Magic, marker, count.
const HEAD: usize = 8 + 16 + 4;

/// What is known of a log that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedLog {
    /// The name of its directory.
    pub(crate) name: String,
    pub(crate) topic_id: Option<Uuid>,
    pub(crate) end: Offset,
    pub(crate) segments: Vec<ClosedSegment>,
    /// Offsets of producer snapshots.
    pub(crate) snapshots: Vec<Offset>,
    pub(crate) epochs: Vec<EpochEntry>,
}

/// What is known of a segment without aborted transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedSegment {
    pub(crate) base: Offset,
    /// Bytes of the log file.
    pub(crate) size: u32,
    /// Entries of the indexes.
    pub(crate) offsets: u32,
    pub(crate) times: u32,
}

/// What a directory says of its logs.
#[derive(Debug)]
pub struct ClosedLogs {
    bytes: Vec<u8>,
    count: usize,
}

/// Writes the file for the marker that is there now. Logs of which something does not fit are left out.
pub(super) fn write(disk: &dyn Disk, dir: &Path, logs: &[ClosedLog]) -> std::io::Result<()> {
    let Some(marker) = disk.stamp(&dir.join(shutdown::FILE))? else { return Ok(()) };
    let mut stamped = Vec::with_capacity(logs.len());
    for log in logs {
        if let Some(stamp) = disk.stamp(&dir.join(&log.name))? {
            stamped.push((log, stamp));
        }
    }
    stamped.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let bytes = encode(marker, &stamped);
    let file = disk.open(&dir.join(FILE), OpenMode::Replace)?;
    file.write_at(&mut [std::io::IoSlice::new(&bytes)], 0)
}

/// Reads the file; `None` if there is none, or it is not of the marker that is there.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Option<ClosedLogs> {
    let marker = disk.stamp(&dir.join(shutdown::FILE)).ok()??;
    let bytes = read_file(disk, &dir.join(FILE)).ok()??;
    ClosedLogs::new(bytes, marker)
}

fn encode(marker: Stamp, logs: &[(&ClosedLog, Stamp)]) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut positions = Vec::with_capacity(logs.len());
    for (log, stamp) in logs {
        let at = entries.len();
        let lengths = [log.name.len(), log.segments.len(), log.snapshots.len(), log.epochs.len()];
        let (Ok(at), true) =
            (u32::try_from(at), lengths.iter().all(|length| *length <= usize::from(u16::MAX)))
        else {
            continue;
        };
        positions.push(at);
        let length = |length: usize| (length as u16).to_be_bytes();
        entries.extend_from_slice(&length(log.name.len()));
        entries.extend_from_slice(log.name.as_bytes());
        entries.extend_from_slice(&stamp.inode.to_be_bytes());
        entries.extend_from_slice(&stamp.changed_ns.to_be_bytes());
        entries.extend_from_slice(log.topic_id.unwrap_or_default().as_bytes());
        entries.extend_from_slice(&log.end.to_be_bytes());
        entries.extend_from_slice(&length(log.segments.len()));
        for segment in &log.segments {
            entries.extend_from_slice(&segment.base.to_be_bytes());
            for number in [segment.size, segment.offsets, segment.times] {
                entries.extend_from_slice(&number.to_be_bytes());
            }
        }
        entries.extend_from_slice(&length(log.snapshots.len()));
        log.snapshots.iter().for_each(|offset| entries.extend_from_slice(&offset.to_be_bytes()));
        entries.extend_from_slice(&length(log.epochs.len()));
        for entry in &log.epochs {
            entries.extend_from_slice(&entry.epoch.to_be_bytes());
            entries.extend_from_slice(&entry.start_offset.to_be_bytes());
        }
    }
    let mut bytes = Vec::with_capacity(HEAD + 4 * positions.len() + entries.len() + 4);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&marker.inode.to_be_bytes());
    bytes.extend_from_slice(&marker.changed_ns.to_be_bytes());
    bytes.extend_from_slice(&(positions.len() as u32).to_be_bytes());
    positions.iter().for_each(|at| bytes.extend_from_slice(&at.to_be_bytes()));
    bytes.extend_from_slice(&entries);
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

impl ClosedLogs {
    /// Takes the file's bytes, if they are whole and of this marker.
    fn new(mut bytes: Vec<u8>, marker: Stamp) -> Option<ClosedLogs> {
        let body = bytes.len().checked_sub(4).filter(|body| *body >= HEAD)?;
        let crc = Cursor(&bytes[body..]).u32()?;
        if crc32c(&bytes[..body]) != crc || !bytes.starts_with(MAGIC) {
            return None;
        }
        bytes.truncate(body);
        let mut head = Cursor(&bytes[MAGIC.len()..]);
        let found = Stamp { inode: head.u64()?, changed_ns: head.i64()? };
        let count = usize::try_from(head.u32()?).ok()?;
        let is_there = count.checked_mul(4)?.checked_add(HEAD)? <= bytes.len();
        (found == marker && is_there).then_some(ClosedLogs { bytes, count })
    }

    /// How many logs there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The log of this directory, and what its directory was then.
    pub(crate) fn find(&self, name: &str) -> Option<(ClosedLog, Stamp)> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut entry = self.entry(middle)?;
            match entry.text()?.cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return entry.log(name),
            }
        }
        None
    }

    fn entry(&self, at: usize) -> Option<Cursor<'_>> {
        let position = Cursor(self.bytes.get(HEAD + 4 * at..)?).u32()?;
        let entries = HEAD + 4 * self.count;
        Some(Cursor(self.bytes.get(entries.checked_add(usize::try_from(position).ok()?)?..)?))
    }
}

/// Bytes that are read from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<usize> {
        self.take().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u16()?;
        (0..count).map(|_| one(self)).collect()
    }

    /// What stands behind the name.
    fn log(mut self, name: &str) -> Option<(ClosedLog, Stamp)> {
        let stamp = Stamp { inode: self.u64()?, changed_ns: self.i64()? };
        let topic_id = Uuid::from_bytes(self.take()?);
        let log = ClosedLog {
            name: name.to_owned(),
            topic_id: (!topic_id.is_nil()).then_some(topic_id),
            end: self.i64()?,
            segments: self.list(|cursor| {
                let base = cursor.i64()?;
                let [size, offsets, times] = [cursor.u32()?, cursor.u32()?, cursor.u32()?];
                Some(ClosedSegment { base, size, offsets, times })
            })?,
            snapshots: self.list(Cursor::i64)?,
            epochs: self.list(|cursor| {
                let epoch = i32::from_be_bytes(cursor.take()?);
                Some(EpochEntry { epoch, start_offset: cursor.i64()? })
            })?,
        };
        Some((log, stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(name: &str, end: Offset) -> ClosedLog {
        ClosedLog {
            name: name.to_owned(),
            topic_id: (end % 2 == 0).then(|| Uuid::from_u128(7)),
            end,
            segments: vec![ClosedSegment { base: 3, size: 900, offsets: 2, times: 1 }],
            snapshots: vec![end],
            epochs: vec![EpochEntry { epoch: 4, start_offset: 3 }],
        }
    }

    #[test]
    fn every_log_is_found_and_no_damage_is_believed() {
        let marker = Stamp { inode: 9, changed_ns: -5 };
        let logs: Vec<ClosedLog> =
            ["a-0", "a-1", "b-10", "c-7"].iter().zip(3..).map(|(name, end)| closed(name, end)).collect();
        let stamp = |at: usize| Stamp { inode: at as u64, changed_ns: 100 + at as i64 };
        let stamped: Vec<_> = logs.iter().enumerate().map(|(at, log)| (log, stamp(at))).collect();
        let bytes = encode(marker, &stamped);
        let read = ClosedLogs::new(bytes.clone(), marker).unwrap();
        assert_eq!(read.len(), 4);
        for (at, log) in logs.iter().enumerate() {
            assert_eq!(read.find(&log.name), Some((log.clone(), stamp(at))));
        }
        for name in ["", "a", "a-2", "d-0"] {
            assert_eq!(read.find(name), None);
        }
        let other = Stamp { changed_ns: -4, ..marker };
        assert!(ClosedLogs::new(bytes.clone(), other).is_none(), "another marker");
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(ClosedLogs::new(bad, marker).is_none(), "byte {at}");
            assert!(ClosedLogs::new(bytes[..at].to_vec(), marker).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn another_layout_is_not_read_and_what_does_not_fit_is_left_out() {
        let marker = Stamp { inode: 1, changed_ns: 2 };
        let (small, mut large) = (closed("a-0", 8), closed("b-0", 9));
        large.snapshots = vec![1; usize::from(u16::MAX) + 1];
        let whole = encode(marker, &[(&small, marker), (&large, marker)]);
        let read = ClosedLogs::new(whole.clone(), marker).unwrap();
        assert_eq!((read.len(), read.find("b-0")), (1, None));
        assert_eq!(read.find("a-0"), Some((small, marker)));
        let mut other = whole[..whole.len() - 4].to_vec();
        other[MAGIC.len() - 1] += 1;
        let crc = crc32c(&other);
        other.extend_from_slice(&crc.to_be_bytes());
        assert!(ClosedLogs::new(other, marker).is_none(), "a sound sum, and another magic");
    }

    #[test]
    fn a_sound_sum_over_nonsense_is_no_panic() {
        let marker = Stamp { inode: 1, changed_ns: 2 };
        let log = closed("a-0", 8);
        let whole = encode(marker, &[(&log, marker)]);
        for cut in HEAD..whole.len() - 4 {
            for fill in [0, 0xff] {
                let mut bytes = whole[..cut].to_vec();
                bytes.resize(whole.len() - 4, fill);
                let crc = crc32c(&bytes);
                bytes.extend_from_slice(&crc.to_be_bytes());
                if let Some(read) = ClosedLogs::new(bytes, marker) {
                    let _ = read.find("a-0");
                }
            }
        }
    }
}
