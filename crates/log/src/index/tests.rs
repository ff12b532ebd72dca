//! Indexes of all sizes, written in all ways, against a list.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::fs::{Disk, SimDisk};
use crate::{DirOptions, Handles};

fn dir() -> LogDir {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/p")).unwrap();
    let options = DirOptions { disk: Arc::new(disk), handles: Handles::new(16), ..DirOptions::default() };
    LogDir::open(Path::new("/"), options).unwrap()
}

fn place(dir: &LogDir) -> Place<'_> {
    Place { dir, path: Path::new("/p"), base: 1000, key: 4 }
}

fn entry(n: u32) -> OffsetEntry {
    OffsetEntry { offset: n * 10 + 9, position: n * 5000 }
}

#[test]
fn entries_have_kafkas_bytes() {
    let mut out = Vec::new();
    OffsetEntry { offset: 0x0102_0304, position: 0x7fff_fffe }.encode(&mut out);
    TimeEntry { timestamp: 0x0102_0304_0506_0708, offset: 0x090a_0b0c }.encode(&mut out);
    let expected = [1, 2, 3, 4, 0x7f, 0xff, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    assert_eq!(out, expected);
    assert_eq!(OffsetEntry::decode(&out[..8]), OffsetEntry { offset: 0x0102_0304, position: 0x7fff_fffe });
    assert_eq!(
        TimeEntry::decode(&out[8..]),
        TimeEntry { timestamp: 0x0102_0304_0506_0708, offset: 0x090a_0b0c }
    );
}

#[test]
fn every_entry_is_found_whether_written_or_waiting() {
    let dir = dir();
    let place = place(&dir);
    for count in [0, 1, 63, 64, 65, 512, 513, 5000] {
        let mut index = Index::default();
        index.reset(place).unwrap();
        for n in 0..count {
            index.push(place, entry(n)).unwrap();
        }
        for round in 0..2 {
            assert_eq!(index.len(), count);
            for target in (0..count).step_by(1 + count as usize / 200).chain(count.checked_sub(1)) {
                for (offset, expected) in [
                    (target * 10 + 8, target.checked_sub(1).map(entry)),
                    (target * 10 + 9, Some(entry(target))),
                    (target * 10 + 10, Some(entry(target))),
                ] {
                    let found = index.last_before(place, |entry| entry.offset <= offset).unwrap();
                    assert_eq!(found, expected, "{offset} of {count}, round {round}");
                }
            }
            index.write(place).unwrap();
            assert_eq!(place.len(FileKind::OffsetIndex).unwrap(), Some(u64::from(count) * 8));
        }
        let loaded = Index::<OffsetEntry>::load(place).unwrap().unwrap();
        assert_eq!((loaded.len(), loaded.last(place).unwrap()), (count, count.checked_sub(1).map(entry)));
    }
}

#[test]
fn a_file_that_cannot_be_an_index_is_none() {
    let dir = dir();
    let place = place(&dir);
    assert!(Index::<OffsetEntry>::load(place).unwrap().is_none(), "missing");
    place.create(FileKind::OffsetIndex).unwrap();
    assert!(Index::<OffsetEntry>::load(place).unwrap().is_some(), "empty");
    place.write(FileKind::OffsetIndex, &[0; 9], 0).unwrap();
    assert!(Index::<OffsetEntry>::load(place).unwrap().is_none(), "9 bytes");
    // A file that becomes shorter while it is used is an error and no panic.
    place.write(FileKind::OffsetIndex, &[0; 16], 0).unwrap();
    let index = Index::<OffsetEntry>::load(place).unwrap().unwrap();
    place.truncate(FileKind::OffsetIndex, 3).unwrap();
    assert!(matches!(index.get(place, 1), Err(Error::Corrupt { position: 8, .. })));
    assert!(index.partition_point(place, |_| true).is_err());
}

fn aborted(n: i64) -> AbortedTxn {
    AbortedTxn {
        producer_id: n % 3,
        first_offset: 1000 + n * 10,
        last_offset: 1000 + n * 10 + 9,
        last_stable_offset: 1000 + n * 10 + 10,
    }
}

#[test]
fn aborted_transactions_are_kept_found_and_cut() {
    let dir = dir();
    let place = place(&dir);
    assert!(AbortedIndex::load(place).unwrap().unwrap().is_empty());
    let mut index = AbortedIndex::default();
    for n in 0..300 {
        index.push(place, &aborted(n)).unwrap();
    }
    let collect = |index: &AbortedIndex, from, to| {
        let mut found = Vec::new();
        let complete = index.collect(place, from, to, &mut found).unwrap();
        (found.iter().map(|txn| (txn.first_offset - 1000) / 10).collect::<Vec<_>>(), complete)
    };
    let index = AbortedIndex::load(place).unwrap().unwrap();
    assert_eq!(collect(&index, 1000, 1010), (vec![0], true));
    assert_eq!(collect(&index, 2205, 2221), (vec![120, 121, 122], true));
    assert_eq!(collect(&index, 3980, 9999), (vec![298, 299], false));
    let mut index = index;
    index.truncate_to(place, 2209).unwrap();
    assert_eq!(collect(&index, 2100, 9999).0, (110..120).collect::<Vec<_>>());
    assert_eq!(place.len(FileKind::TxnIndex).unwrap(), Some(120 * 34));
    index.push(place, &aborted(120)).unwrap();
    assert_eq!(collect(&index, 2200, 9999).0, [120]);
    // Damage: a version from the future, an order that cannot be, half an entry.
    for (position, bytes) in [(34, &[0, 1][..]), (34 + 18, &[0; 8]), (121 * 34, &[0; 5])] {
        let mut copy = vec![0; 121 * 34];
        place.read(FileKind::TxnIndex, &mut copy, 0).unwrap();
        place.write(FileKind::TxnIndex, bytes, position).unwrap();
        assert!(AbortedIndex::load(place).unwrap().is_none(), "{position}");
        place.create(FileKind::TxnIndex).unwrap();
        place.write(FileKind::TxnIndex, &copy, 0).unwrap();
        assert!(AbortedIndex::load(place).unwrap().is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_and_growing_keeps_the_entries(steps in proptest::collection::vec((0..900u32, 0..200u32, any::<bool>()), 1..12)) {
        let dir = dir();
        let place = place(&dir);
        let mut index = Index::default();
        index.reset(place).unwrap();
        let mut model: Vec<OffsetEntry> = Vec::new();
        for (grow, cut, write) in steps {
            for _ in 0..grow {
                let next = entry(model.last().map_or(0, |last| last.offset / 10 + 1));
                index.push(place, next).unwrap();
                model.push(next);
            }
            if write {
                index.write(place).unwrap();
            }
            let keep = (model.len() as u32).saturating_sub(cut);
            index.truncate(place, keep).unwrap();
            model.truncate(keep as usize);
            prop_assert_eq!(index.len() as usize, model.len());
            for target in [0, 9, 500, 3333, u32::MAX] {
                let expected = model.partition_point(|entry| entry.offset <= target) as u32;
                prop_assert_eq!(index.partition_point(place, |entry| entry.offset <= target).unwrap(), expected);
            }
        }
    }
}
