//! Our formatted files beside those of Kafka's own `kafka-storage format` (4.3.1): the same to the byte,
//! but for the moments they were made at.

use std::sync::Arc;

use ottla_log::fs::{Disk, RealDisk};
use ottla_quorum::{METADATA_DIRECTORY, format};

const BOOTSTRAP: &[u8] = include_bytes!("fixtures/kafka-4.3.1-bootstrap.checkpoint");
const FIRST_VOTERS: &[u8] = include_bytes!("fixtures/kafka-4.3.1-first-voters.checkpoint");
const FIRST_VOTERS_FILE: &str = "00000000000000000000-0000000000.checkpoint";

/// The file with what depends on the time (timestamps, and so the checksums) blanked out.
fn timeless(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let mut start = 0;
    while start < bytes.len() {
        let length = i32::from_be_bytes(bytes[start + 8..start + 12].try_into().expect("four")) as usize;
        bytes[start + 17..start + 21].fill(0);
        bytes[start + 27..start + 43].fill(0);
        start += 12 + length;
    }
    // SNAPSHOT_HEADER's own time: after batch header, record header, key and version.
    bytes[61 + 13..61 + 21].fill(0);
    bytes
}

#[test]
fn formatted_files_are_kafkas() {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (theirs, ours) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let metadata = theirs.path().join(METADATA_DIRECTORY);
    std::fs::create_dir(&metadata).expect("made");
    std::fs::write(theirs.path().join("bootstrap.checkpoint"), BOOTSTRAP).expect("written");
    std::fs::write(metadata.join(FIRST_VOTERS_FILE), FIRST_VOTERS).expect("written");

    let records = format::read_bootstrap(&*disk, theirs.path()).expect("sound").expect("there");
    assert_eq!(records.len(), 6, "six features");
    assert_eq!(&records[0][..], b"\x01\x0c\x00\x11metadata.version\x00\x1e\x00");
    let content = format::read_first_voters(&*disk, theirs.path()).expect("sound").expect("there");
    let voters = content.voters.expect("a voter set");
    assert_eq!((content.kraft_version, voters.ids().collect::<Vec<_>>()), (Some(1), vec![3]));

    format::write_bootstrap(&disk, ours.path(), &records, 1).expect("written");
    format::write_first_voters(&disk, ours.path(), 1, voters, 1).expect("written");
    let read = |name: &str| std::fs::read(ours.path().join(name)).expect("readable");
    assert_eq!(timeless(&read("bootstrap.checkpoint")), timeless(BOOTSTRAP));
    let voters_file = format!("{METADATA_DIRECTORY}/{FIRST_VOTERS_FILE}");
    assert_eq!(timeless(&read(&voters_file)), timeless(FIRST_VOTERS));
    let mode = |name: &str| ours.path().join(name).metadata().expect("there").permissions().readonly();
    assert!(!mode("bootstrap.checkpoint") && mode(&voters_file));
}
