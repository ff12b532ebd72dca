//! Reading snapshots: batch by batch, checked on the way, never more in memory than one batch.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_log::fs::{Disk, DiskFile, OpenMode};
use ottla_raft::{Control, SnapshotContent};
use ottla_records::batch::{BatchError, FRAME_SIZE, peek};
use ottla_records::control::ControlRecord;
use ottla_records::ids::TimestampMs;

use crate::batches::{MetadataError, decode_first, from_record};
use crate::snapshots::{SnapshotError, SnapshotHeader};

/// A data batch of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotBatch {
    /// Record values.
    pub values: Vec<Bytes>,
    /// When the batch was written.
    pub timestamp: TimestampMs,
    /// Bytes of the batch.
    pub size: usize,
}

/// A snapshot file being read. The header is there once it is open; the footer is insisted on at the end.
#[derive(Debug)]
pub struct SnapshotReader {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    size: u64,
    position: u64,
    header: SnapshotHeader,
    finished: bool,
}

impl SnapshotReader {
    /// Opens a file and reads its first batch, which must hold the header.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, SnapshotError> {
        let io = |source| SnapshotError::Io { path: path.to_owned(), source };
        let file = disk.open(path, OpenMode::Read).map_err(io)?;
        let size = file.len().map_err(io)?;
        let header = SnapshotHeader::default();
        let path = path.to_owned();
        let mut reader = Self { path, file, size, position: 0, header, finished: false };
        let first = reader.read_batch()?.map(|decoded| decoded.control).unwrap_or_default();
        let mut records = first.into_iter().map(|(_, record)| record);
        match records.next() {
            Some(ControlRecord::SnapshotHeader(header)) => {
                reader.header.last_contained_timestamp = header.last_contained_log_timestamp;
            }
            _ => return Err(reader.malformed(0, "a snapshot must begin with its header")),
        }
        reader.take_content(records);
        Ok(reader)
    }

    /// What the snapshot says about itself.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next data batch; `None` after the footer.
    pub fn next_batch(&mut self) -> Result<Option<SnapshotBatch>, SnapshotError> {
        loop {
            let start = self.position;
            let Some(decoded) = self.read_batch()? else {
                if self.finished {
                    return Ok(None);
                }
                return Err(self.malformed(start, "a snapshot must end with its footer"));
            };
            if self.finished {
                return Err(self.malformed(start, "nothing may follow the footer of a snapshot"));
            }
            if decoded.control.is_empty() {
                let (timestamp, size) = (decoded.timestamp, decoded.size);
                return Ok(Some(SnapshotBatch { values: decoded.values, timestamp, size }));
            }
            let footer =
                |(_, record): &(i64, ControlRecord)| matches!(record, ControlRecord::SnapshotFooter(_));
            self.finished = decoded.control.iter().any(footer);
            self.take_content(decoded.control.into_iter().map(|(_, record)| record));
        }
    }

    /// Reads to the end, checking everything; the control state that was found on the way.
    pub fn verify(mut self) -> Result<SnapshotContent, SnapshotError> {
        while self.next_batch()?.is_some() {}
        Ok(self.header.content)
    }

    fn take_content(&mut self, records: impl Iterator<Item = ControlRecord>) {
        for record in records {
            match from_record(record) {
                Some(Control::KraftVersion(level)) => self.header.content.kraft_version = Some(level),
                Some(Control::Voters(voters)) => self.header.content.voters = Some(voters),
                _ => {}
            }
        }
    }

    fn read_batch(&mut self) -> Result<Option<crate::batches::Decoded>, SnapshotError> {
        let (start, left) = (self.position, self.size - self.position);
        if left == 0 {
            return Ok(None);
        }
        let corrupt = |path: &Path, source: MetadataError| SnapshotError::Corrupt {
            path: path.to_owned(),
            position: start,
            source,
        };
        let torn = |needed: usize| BatchError::Torn { needed, available: left as usize }.into();
        if left < FRAME_SIZE as u64 {
            return Err(corrupt(&self.path, torn(FRAME_SIZE)));
        }
        let mut bytes = BytesMut::zeroed(FRAME_SIZE);
        self.fill(&mut bytes, start)?;
        let frame = peek(&bytes).map_err(|error| corrupt(&self.path, error.into()))?;
        // The length is checked against the file before anything of that size is allocated.
        if frame.size as u64 > left {
            return Err(corrupt(&self.path, torn(frame.size)));
        }
        bytes.resize(frame.size, 0);
        self.fill(&mut bytes[FRAME_SIZE..], start + FRAME_SIZE as u64)?;
        self.position += frame.size as u64;
        decode_first(&bytes.freeze()).map(Some).map_err(|error| corrupt(&self.path, error))
    }

    fn fill(&self, into: &mut [u8], position: u64) -> Result<(), SnapshotError> {
        let io = |source| SnapshotError::Io { path: self.path.clone(), source };
        let read = self.file.read_at(into, position).map_err(io)?;
        if read < into.len() {
            return Err(io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn malformed(&self, position: u64, why: &'static str) -> SnapshotError {
        SnapshotError::Malformed { path: self.path.clone(), position, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshots::{Partials, SnapshotWriter};
    use ottla_log::fs::RealDisk;
    use ottla_raft::SnapshotId;

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let id = SnapshotId { epoch: 3, end_offset: 50 };
        let header = SnapshotHeader { last_contained_timestamp: 77, ..Default::default() };
        let mut writer = SnapshotWriter::create(
            Arc::new(RealDisk),
            directory.path(),
            &Partials::default(),
            id,
            &header,
            99,
        )
        .expect("created");
        let values: Vec<Bytes> = (0..3000).map(|i| Bytes::from(format!("record {i}"))).collect();
        values.iter().for_each(|value| writer.append(value.clone()).expect("appended"));
        let size = writer.finish().expect("finished");
        let path = crate::snapshots::path(directory.path(), id);
        let mut reader = SnapshotReader::open(&RealDisk, &path).expect("opened");
        assert_eq!((reader.size(), reader.header()), (size, &header));
        let mut read = Vec::new();
        while let Some(batch) = reader.next_batch().expect("sound") {
            assert_eq!(batch.timestamp, 99);
            assert!(batch.values.len() <= 1024);
            read.extend(batch.values);
        }
        assert_eq!(read, values);
    }

    #[test]
    fn cut_and_changed_files_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let id = SnapshotId { epoch: 1, end_offset: 9 };
        let mut writer = SnapshotWriter::create(
            Arc::new(RealDisk),
            directory.path(),
            &Partials::default(),
            id,
            &SnapshotHeader::default(),
            1,
        )
        .expect("created");
        writer.append(Bytes::from_static(b"a record")).expect("appended");
        writer.finish().expect("finished");
        let path = crate::snapshots::path(directory.path(), id);
        let whole = std::fs::read(&path).expect("readable");
        let path = directory.path().join("changed");
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("writable");
            assert!(
                SnapshotReader::open(&RealDisk, &path).and_then(SnapshotReader::verify).is_err(),
                "cut at {cut}"
            );
        }
        for at in 12..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x40;
            std::fs::write(&path, &bad).expect("writable");
            let outcome = SnapshotReader::open(&RealDisk, &path).and_then(SnapshotReader::verify);
            // The leader epoch is not covered by a checksum, and means nothing in here.
            let covered = ![12usize, 13, 14, 15].iter().any(|field| is_epoch_byte(&whole, at, *field));
            assert_eq!(outcome.is_err(), covered, "byte {at}");
        }
        std::fs::write(&path, [whole.as_slice(), whole.as_slice()].concat()).expect("writable");
        assert!(SnapshotReader::open(&RealDisk, &path).and_then(SnapshotReader::verify).is_err(), "twice");
    }

    /// Does `at` fall on byte `field` of one of the batches, or on its base offset (not covered either)?
    fn is_epoch_byte(whole: &[u8], at: usize, field: usize) -> bool {
        let mut start = 0;
        while start < whole.len() {
            let frame = peek(&whole[start..]).expect("sound");
            if at == start + field || (start..start + 8).contains(&at) {
                return true;
            }
            start += frame.size;
        }
        false
    }
}
