//! A snapshot or a log's segment as an image: every whole batch is replayed, as a node would.

use std::fs;
use std::path::Path;

use ottla_metadata::Loader;
use ottla_metadata::image::Image;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_records::compress::Decompressor;
use ottla_records::entry::Entry;

use crate::runtime::{self, Stop};

/// The most that one batch of metadata may decompress to.
const LIMIT: usize = i32::MAX as usize;

fn unexpected(message: impl std::fmt::Display) -> Stop {
    Stop::error(format!("Unexpected error: {message}"))
}

/// A node holds its directory's lock as long as it runs; a tool that reads the directory takes it too, if it is there.
fn take_lock(path: &Path) -> Result<Option<fs::File>, Stop> {
    let absolute = std::path::absolute(path).map_err(unexpected)?;
    let parent = absolute.parent().unwrap_or(&absolute);
    let directory = parent.parent().unwrap_or(parent);
    let file = match fs::OpenOptions::new().read(true).write(true).open(directory.join(".lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unexpected(error)),
    };
    // Kafka's lock is a record lock (fcntl), which is not the same as flock: ask for what Java asks for.
    match rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(unexpected(format!(
            "Unable to lock {}. Please ensure that no broker or controller process is using this directory before \
             proceeding.",
            directory.display()
        ))
        .and_err("    next: stop the node, or copy the snapshot to another directory and look at the copy")),
    }
}

/// The metadata in the file.
pub(super) fn image(path: &Path) -> Result<Image, Stop> {
    let _lock = take_lock(path)?;
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            unexpected(format!("java.nio.file.NoSuchFileException: {}", path.display())).and_err(
                "    next: give the path of a snapshot, for example \
                 LOG_DIR/__cluster_metadata-0/00000000000000000100-0000000001.checkpoint",
            )
        }
        _ => unexpected(format!("{}: {error}", path.display())),
    })?;
    let mut loader = Loader::new(Image::default());
    let mut decompressor = Decompressor::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let entry = match Entry::parse(rest) {
            Ok(entry) => entry,
            Err(error) if error.is_torn() => break,
            Err(error) => {
                return Err(unexpected(format!(
                    "{}: byte {}: {error}",
                    path.display(),
                    bytes.len() - rest.len()
                ))
                .and_err(
                    "    cause: the file is no snapshot and no segment of the metadata log, or it is damaged",
                ));
            }
        };
        rest = &rest[entry.bytes().len()..];
        if let Entry::Batch(batch) = &entry
            && batch.is_control()
        {
            continue;
        }
        let mut records = Vec::new();
        for record in entry.records(&mut decompressor, LIMIT).map_err(unexpected)? {
            let record = record.map_err(unexpected)?;
            match MetadataRecord::decode_framed(record.value.unwrap_or_default()) {
                Ok((message, _)) => records.push(message),
                Err(error) => runtime::log(
                    "ERROR",
                    &format!("unable to read metadata record at offset {}: {error}", record.offset),
                    "org.apache.kafka.metadata.util.SnapshotFileReader",
                ),
            }
        }
        let base = entry.as_batch().map_or(entry.last_offset(), |batch| batch.base_offset);
        if let Err(error) = loader.batch(base, entry.leader_epoch(), entry.max_timestamp(), &records) {
            runtime::log(
                "ERROR",
                &format!("Error loading metadata log record: {error}"),
                "org.apache.kafka.image.loader.MetadataBatchLoader",
            );
        }
        loader.publish();
    }
    Ok(loader.image().clone())
}
