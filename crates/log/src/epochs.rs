//! Which leader epoch began at which offset (Kafka: `LeaderEpochFileCache`; KIP-101, KIP-279).
//!
//! Kept in `leader-epoch-checkpoint`. The file is written when the log is flushed or closed, not with every
//! election: entries behind the recovery point come back from the batches, which carry their epoch.

use std::io;
use std::path::Path;

use ottla_records::ids::{LeaderEpoch, Offset};

use crate::dir::{decode_pairs, encode_pairs};
use crate::error::Error;
use crate::fs::{Disk, read_file, replace_file};

pub(crate) const FILE: &str = "leader-epoch-checkpoint";

/// An epoch and the offset of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Offset of the first record of it; at the start of a log that was cut, the log start.
    pub start_offset: Offset,
}

/// The epochs of a log, ascending in both fields.
#[derive(Debug)]
pub(crate) struct Epochs {
    entries: Vec<EpochEntry>,
    /// Counts changes.
    version: u32,
    /// The version that is in the file.
    written: u32,
    /// What begins before this offset is as in the file.
    changed_from: Offset,
}

impl Default for Epochs {
    fn default() -> Epochs {
        Epochs { entries: Vec::new(), version: 0, written: 0, changed_from: Offset::MAX }
    }
}

impl Epochs {
    /// Reads the file in a partition's directory. Entries that contradict later ones are dropped.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Epochs, Error> {
        let path = dir.join(FILE);
        let bytes = read_file(disk, &path).map_err(|source| Error::io("read", &path, source))?;
        let Some(bytes) = bytes else { return Ok(Epochs::default()) };
        let pairs = decode_pairs(&bytes).map_err(|(at, reason)| Error::corrupt(&path, at, reason))?;
        let mut epochs = Epochs::default();
        for (epoch, start_offset) in pairs {
            if epoch < 0 || start_offset < 0 {
                return Err(Error::corrupt(&path, 0, format!("invalid entry {epoch} {start_offset}")));
            }
            epochs.assign(epoch, start_offset);
        }
        epochs.set_written(epochs.version);
        Ok(epochs)
    }

    /// Entries that are in the file.
    pub(crate) fn in_file(entries: Vec<EpochEntry>) -> Epochs {
        Epochs { entries, ..Epochs::default() }
    }

    /// The file's content.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode_pairs(self.entries.iter().map(|entry| (entry.epoch, entry.start_offset)))
    }

    /// The version that is not in the file yet.
    pub(crate) fn unwritten(&self) -> Option<u32> {
        (self.version != self.written).then_some(self.version)
    }

    /// Notes that the file holds this version.
    pub(crate) fn set_written(&mut self, version: u32) {
        self.written = version;
        if version == self.version {
            self.changed_from = Offset::MAX;
        }
    }

    /// Whether the file says something else of epochs that begin before `end`. Those that begin there have no records,
    /// and who opens a log drops them.
    pub(crate) fn is_unwritten_before(&self, end: Offset) -> bool {
        self.changed_from < end
    }

    /// What begins at `offset` or later is not as in the file any more.
    fn changed(&mut self, offset: Offset) {
        self.version += 1;
        self.changed_from = self.changed_from.min(offset);
    }

    /// Replaces the file, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        replace_file(disk, &dir.join(FILE), &self.encode())
    }

    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub(crate) fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// Notes that `epoch` begins at `start_offset`, unless it is the latest and has begun before. Entries that
    /// are not older in both fields are dropped: their records were never written, or are overwritten.
    #[inline]
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        let needed =
            self.latest().is_none_or(|latest| latest.epoch != epoch || start_offset < latest.start_offset);
        if !needed || epoch < 0 {
            return;
        }
        while self.latest().is_some_and(|latest| latest.epoch >= epoch || latest.start_offset >= start_offset)
        {
            let dropped = self.entries.pop().map_or(start_offset, |entry| entry.start_offset);
            self.changed_from = self.changed_from.min(dropped);
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        self.changed(start_offset);
    }

    /// Brings the entries in line with a batch that is on the disk. The file may be older than the log: it does not
    /// know of a truncation, and of what was appended after it, that came shortly before a crash. What it says of
    /// later offsets stays until their batches say something else.
    pub(crate) fn found(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if epoch < 0 {
            return;
        }
        let begun = self.entries.partition_point(|entry| entry.start_offset <= offset);
        let older = self.entries[..begun].partition_point(|entry| entry.epoch <= epoch);
        let known = older.checked_sub(1).is_some_and(|last| self.entries[last].epoch == epoch);
        if known && older == begun {
            return;
        }
        let dropped = self.entries.get(older).map_or(offset, |entry| entry.start_offset);
        self.entries.truncate(older);
        if !known {
            self.entries.pop_if(|entry| entry.start_offset == offset);
            self.entries.push(EpochEntry { epoch, start_offset: offset });
        }
        self.changed(dropped.min(offset));
    }

    /// Drops epochs that begin at `end_offset` or later.
    pub(crate) fn truncate_end(&mut self, end_offset: Offset) {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        if keep < self.entries.len() {
            self.changed(self.entries[keep].start_offset);
        }
        self.entries.truncate(keep);
    }

    /// Drops epochs that ended at or before `start_offset`; the one it falls into begins there now.
    pub(crate) fn truncate_start(&mut self, start_offset: Offset) {
        let begun = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        if begun == 0 || (begun == 1 && self.entries[0].start_offset == start_offset) {
            return;
        }
        self.entries.drain(..begun - 1);
        self.entries[0].start_offset = start_offset;
        self.changed(Offset::MIN);
    }

    pub(crate) fn clear(&mut self) {
        if !self.entries.is_empty() {
            self.changed(Offset::MIN);
        }
        self.entries.clear();
    }

    /// The end of an epoch: the largest epoch that is not above `epoch`, and the offset behind its last record.
    /// For an epoch older than all that are known, the epoch itself and the first known start.
    pub(crate) fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        if epoch < 0 {
            return None;
        }
        if latest.epoch == epoch {
            return Some((epoch, log_end));
        }
        let next = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(next)?.start_offset;
        let floor = next.checked_sub(1).map_or(epoch, |at| self.entries[at].epoch);
        Some((floor, end))
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let begun = self.entries.partition_point(|entry| entry.start_offset <= offset);
        begun.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// Gives memory back that is not needed.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;

    fn epochs(entries: &[(LeaderEpoch, Offset)]) -> Epochs {
        let mut epochs = Epochs::default();
        entries.iter().for_each(|(epoch, start)| epochs.assign(*epoch, *start));
        epochs
    }

    fn pairs(epochs: &Epochs) -> Vec<(LeaderEpoch, Offset)> {
        epochs.entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
    }

    #[test]
    fn a_new_epoch_drops_what_contradicts_it() {
        let mut e = epochs(&[(1, 0), (1, 5), (2, 10), (5, 30)]);
        assert_eq!(pairs(&e), [(1, 0), (2, 10), (5, 30)]);
        e.assign(5, 20);
        assert_eq!(pairs(&e), [(1, 0), (2, 10), (5, 20)], "an epoch may turn out to begin earlier");
        e.assign(6, 10);
        assert_eq!(pairs(&e), [(1, 0), (6, 10)], "epochs 2 and 5 had no records");
        e.assign(3, 50);
        assert_eq!(pairs(&e), [(1, 0), (3, 50)]);
        e.assign(-1, 60);
        assert_eq!(pairs(&e), [(1, 0), (3, 50)], "a batch without an epoch begins none");
    }

    #[test]
    fn ends_of_epochs() {
        let e = epochs(&[(2, 10), (4, 20), (7, 35)]);
        let cases = [(7, Some((7, 50))), (4, Some((4, 35))), (5, Some((4, 35))), (2, Some((2, 20)))];
        for (epoch, expected) in cases {
            assert_eq!(e.end_of(epoch, 50), expected, "{epoch}");
        }
        assert_eq!(e.end_of(1, 50), Some((1, 10)), "older than all");
        assert_eq!(e.end_of(8, 50), None, "newer than all");
        assert_eq!(e.end_of(-1, 50), None);
        assert_eq!(Epochs::default().end_of(0, 0), None);
        let at: Vec<_> = [9, 10, 19, 20, 99].into_iter().map(|offset| e.epoch_at(offset)).collect();
        assert_eq!(at, [None, Some(2), Some(2), Some(4), Some(7)]);
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut e = epochs(&[(2, 10), (4, 20), (7, 35)]);
        e.truncate_start(5);
        assert_eq!(pairs(&e), [(2, 10), (4, 20), (7, 35)]);
        e.truncate_start(20);
        assert_eq!(pairs(&e), [(4, 20), (7, 35)]);
        e.truncate_start(25);
        assert_eq!(pairs(&e), [(4, 25), (7, 35)]);
        e.truncate_end(36);
        assert_eq!(pairs(&e), [(4, 25), (7, 35)]);
        e.truncate_end(35);
        assert_eq!(pairs(&e), [(4, 25)]);
    }

    #[test]
    fn the_file_is_kafkas() {
        let disk = SimDisk::new();
        let dir = Path::new("/");
        assert_eq!(pairs(&Epochs::load(&disk, dir).unwrap()), []);
        let e = epochs(&[(0, 0), (3, 17)]);
        e.write(&disk, dir).unwrap();
        assert_eq!(read_file(&disk, &dir.join(FILE)).unwrap().unwrap(), b"0\n2\n0 0\n3 17\n");
        let loaded = Epochs::load(&disk, dir).unwrap();
        assert_eq!(pairs(&loaded), [(0, 0), (3, 17)]);
        assert_eq!(loaded.unwritten(), None);
    }

    #[test]
    fn batches_on_the_disk_are_right_and_the_file_is_not() {
        let file = || epochs(&[(1, 0), (2, 41), (4, 60)]);
        let after = |epoch, offset| {
            let mut epochs = file();
            epochs.found(epoch, offset);
            pairs(&epochs)
        };
        assert_eq!(after(2, 50), [(1, 0), (2, 41), (4, 60)]);
        assert_eq!(after(1, 41), [(1, 0)], "epoch 2 was cut off and older records took its place");
        assert_eq!(
            after(3, 45),
            [(1, 0), (2, 41), (3, 45)],
            "what the file says of later offsets is older still"
        );
        assert_eq!(after(5, 41), [(1, 0), (5, 41)], "epoch 2 was cut off and newer records took its place");
        assert_eq!(after(-1, 41), [(1, 0), (2, 41), (4, 60)], "a batch of before there were epochs");
        let unwritten = file();
        let mut same = file();
        same.found(4, 99);
        assert_eq!(same.unwritten(), unwritten.unwritten());
    }
}
