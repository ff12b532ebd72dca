//! What a controller reads when it starts: a metadata snapshot, the records in it, the state of the quorum.

use std::io::IoSlice;
use std::path::Path;

use ottla_log::fs::{Disk, OpenMode, SimDisk};
use ottla_metadata::snapshot;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_quorum::{SnapshotReader, state_file};

use crate::seal::seal;

/// The first byte: 0 a snapshot file, 1 one whose checksums are put right, 2 metadata records (`u16 length, bytes`
/// each), 3 a quorum-state file.
pub fn snapshot(input: &[u8]) {
    match input {
        [0, file @ ..] => snapshot_file(file),
        [1, file @ ..] => {
            let mut file = file.to_vec();
            seal(&mut file);
            snapshot_file(&file);
        }
        [2, values @ ..] => image(split(values)),
        [3, file @ ..] => quorum_state(file),
        _ => {}
    }
}

fn disk_with(name: &str, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    let file = disk.open(&Path::new("/").join(name), OpenMode::Create).expect("a file can be made");
    file.write_at(&mut [IoSlice::new(bytes)], 0).expect("a file can be written");
    disk
}

fn snapshot_file(bytes: &[u8]) {
    let disk = disk_with("it.checkpoint", bytes);
    let Ok(mut reader) = SnapshotReader::open(&disk, Path::new("/it.checkpoint")) else { return };
    let mut values = Vec::new();
    while let Ok(Some(batch)) = reader.next_batch() {
        values.extend(batch.values);
    }
    image(values.iter().map(|value| &value[..]));
}

fn split(mut values: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let [high, low, rest @ ..] = values else { return None };
        let size = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (value, behind) = rest.split_at(size);
        values = behind;
        Some(value)
    })
}

/// Builds an image, and from what a snapshot of it would hold, the same image again.
fn image<'a>(values: impl Iterator<Item = &'a [u8]>) {
    let mut reader = snapshot::Reader::default();
    for value in values {
        let Ok((record, version)) = MetadataRecord::decode_framed(value) else { return };
        record.encode_framed(version).expect("what was decoded can be encoded");
        if reader.record(&record).is_err() {
            return;
        }
    }
    let image = reader.finish(1, 1, 0);
    for (record, version) in snapshot::records(&image) {
        record.encode_framed(version).expect("an image's records can be encoded");
    }
}

fn quorum_state(bytes: &[u8]) {
    let disk = disk_with("quorum-state", bytes);
    let Ok(Some(election)) = state_file::read(&disk, Path::new("/")) else { return };
    state_file::write(&disk, Path::new("/"), &election).expect("an election can be written");
    let again = state_file::read(&disk, Path::new("/")).expect("what was written can be read");
    assert_eq!(again, Some(election), "a quorum-state is read as it was written");
}
