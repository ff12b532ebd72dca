//! A look over a metadata log that nobody has opened yet: what its records say, before a single file is changed.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_log::fs::{Disk, OpenMode};
use ottla_records::control::ControlRecord;

use crate::batches::{self, Decoded, MetadataError};
use crate::snapshots::{self, SnapshotError, SnapshotReader, Stage};
use crate::{MAX_BATCH_BYTES, METADATA_DIRECTORY};

/// Bytes of a segment that are read at once.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// Why a look was not finished.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A snapshot cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A record that whoever looks does not take.
    #[error("{}, {place}: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// `offset N`, or `record N` of a snapshot.
        place: String,
        /// Why not.
        why: String,
    },
}

/// Gives every record that a start would replay to `record`: those of the newest snapshot and of the log behind it,
/// committed or not; and the level of `kraft.version` wherever it is set to `kraft_version`.
/// Changes nothing and stops quietly where the log is damaged: recovery knows what to say of that.
///
/// # Errors
/// What `record` or `kraft_version` refuses, with its place; files that cannot be read.
pub fn survey(
    disk: &dyn Disk,
    metadata_log_directory: &Path,
    record: &mut dyn FnMut(&Bytes) -> Result<(), String>,
    kraft_version: &mut dyn FnMut(i16) -> Result<(), String>,
) -> Result<(), SurveyError> {
    let directory = metadata_log_directory.join(METADATA_DIRECTORY);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| SurveyError::Io { path, source }
    };
    if disk.stat(&directory).map_err(io(&directory))?.is_none() {
        return Ok(());
    }
    let entries = disk.list(&directory).map_err(io(&directory))?;
    let names = || entries.iter().filter_map(|entry| entry.name.to_str());
    let complete = |name| snapshots::parse_file_name(name).filter(|(_, stage)| *stage == Stage::Complete);
    let newest = names().filter_map(complete).map(|(id, _)| id).max();
    let mut from = 0;
    if let Some(id) = newest {
        from = id.end_offset;
        snapshot(disk, &snapshots::path(&directory, id), record, kraft_version)?;
    }
    let mut segments: Vec<(i64, &str)> =
        names().filter_map(|name| Some((base_offset(name)?, name))).collect();
    segments.sort_unstable();
    for (at, (_, name)) in segments.iter().enumerate() {
        // It ends where the next one begins.
        if segments.get(at + 1).is_none_or(|(next, _)| *next > from) {
            segment(disk, &directory.join(name), from, record, kraft_version)?;
        }
    }
    Ok(())
}

/// `%020d.log`.
fn base_offset(name: &str) -> Option<i64> {
    let digits =
        name.strip_suffix(".log").filter(|d| d.len() == 20 && d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

fn snapshot(
    disk: &dyn Disk,
    path: &Path,
    record: &mut dyn FnMut(&Bytes) -> Result<(), String>,
    kraft_version: &mut dyn FnMut(i16) -> Result<(), String>,
) -> Result<(), SurveyError> {
    let refused = |place: String, why| SurveyError::Refused { path: path.to_owned(), place, why };
    let mut reader = SnapshotReader::open(disk, path)?;
    let mut number = 0;
    while let Some(batch) = reader.next_batch()? {
        for value in &batch.values {
            record(value).map_err(|why| refused(format!("record {number}"), why))?;
            number += 1;
        }
    }
    let level = reader.header().content.kraft_version;
    level.map_or(Ok(()), kraft_version).map_err(|why| refused("control records".to_owned(), why))
}

fn segment(
    disk: &dyn Disk,
    path: &Path,
    from: i64,
    record: &mut dyn FnMut(&Bytes) -> Result<(), String>,
    kraft_version: &mut dyn FnMut(i16) -> Result<(), String>,
) -> Result<(), SurveyError> {
    let io = |source| SurveyError::Io { path: path.to_owned(), source };
    let file = disk.open(path, OpenMode::Read).map_err(io)?;
    let (mut position, mut size) = (0, READ_BYTES);
    loop {
        let mut bytes = vec![0; size];
        let read = file.read_at(&mut bytes, position).map_err(io)?;
        bytes.truncate(read);
        let mut run = Bytes::from(bytes);
        let before = position;
        loop {
            match batches::decode_first(&run) {
                Ok(batch) => {
                    let _ = run.split_to(batch.size);
                    position += batch.size as u64;
                    look(&batch, from, record, kraft_version).map_err(|(offset, why)| {
                        SurveyError::Refused { path: path.to_owned(), place: format!("offset {offset}"), why }
                    })?;
                }
                // The rest of it is in the file, or it is where the log ends.
                Err(MetadataError::Batch(error)) if error.is_torn() => break,
                Err(_) => return Ok(()),
            }
        }
        if read < size {
            return Ok(());
        }
        // A batch that is larger than what was read.
        if position == before {
            if size > MAX_BATCH_BYTES {
                return Ok(());
            }
            size *= 2;
        }
    }
}

fn look(
    batch: &Decoded,
    from: i64,
    record: &mut dyn FnMut(&Bytes) -> Result<(), String>,
    kraft_version: &mut dyn FnMut(i16) -> Result<(), String>,
) -> Result<(), (i64, String)> {
    if batch.last_offset < from {
        return Ok(());
    }
    for (offset, value) in (batch.base_offset..).zip(&batch.values) {
        record(value).map_err(|why| (offset, why))?;
    }
    for (offset, control) in &batch.control {
        if let ControlRecord::KRaftVersion(version) = control {
            kraft_version(version.kraft_version).map_err(|why| (*offset, why))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ottla_log::fs::SimDisk;
    use ottla_raft::{Body, Control};

    use super::*;

    fn value(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    /// A log of two segments, the last batch cut off.
    fn disk() -> SimDisk {
        let disk = SimDisk::new();
        let dir = Path::new("/d").join(METADATA_DIRECTORY);
        disk.create_dir(Path::new("/d")).unwrap();
        disk.create_dir(&dir).unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let file = disk.open(&dir.join(name), OpenMode::Create).unwrap();
            file.write_at(&mut [std::io::IoSlice::new(bytes)], 0).unwrap();
        };
        let large = Bytes::from(vec![b'x'; 3 * READ_BYTES / 2]);
        let mut first = batches::build(0, 1, &Body::Control(vec![Control::KraftVersion(1)]), 5);
        first.extend(batches::build(1, 1, &Body::Data(vec![value("one"), large.clone(), large]), 5));
        put("00000000000000000000.log", &first);
        let mut second = batches::build(4, 1, &Body::Data(vec![value("two")]), 5);
        let cut = batches::build(5, 1, &Body::Data(vec![value("three")]), 5);
        second.extend(&cut[..cut.len() - 1]);
        put("00000000000000000004.log", &second);
        disk
    }

    #[test]
    fn every_record_is_seen_and_nothing_is_changed() {
        let disk = disk();
        let (mut seen, mut levels) = (Vec::new(), Vec::new());
        let mut record = |value: &Bytes| {
            seen.push(value.slice(..value.len().min(5)));
            Ok(())
        };
        let mut level = |level| {
            levels.push(level);
            Ok(())
        };
        survey(&disk, Path::new("/d"), &mut record, &mut level).unwrap();
        assert_eq!(seen, ["one", "xxxxx", "xxxxx", "two"]);
        assert_eq!(levels, [1]);
        survey(&disk, Path::new("/none"), &mut |_| Err("a record".into()), &mut |_| Ok(())).unwrap();
    }

    #[test]
    fn what_is_refused_is_named_with_its_place() {
        let mut refuse = |bytes: &Bytes| if bytes == "two" { Err("not this".to_owned()) } else { Ok(()) };
        let error = survey(&disk(), Path::new("/d"), &mut refuse, &mut |_| Ok(())).unwrap_err();
        let expected = "/d/__cluster_metadata-0/00000000000000000004.log, offset 4: not this";
        assert_eq!(error.to_string(), expected);
        let mut level = |level| if level > 0 { Err(format!("level {level}")) } else { Ok(()) };
        let error = survey(&disk(), Path::new("/d"), &mut |_| Ok(()), &mut level).unwrap_err();
        assert!(error.to_string().ends_with("offset 0: level 1"), "{error}");
    }
}
