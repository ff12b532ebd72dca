//! What `kafka-storage format` puts into directories for the quorum, and what a first start reads of it.
//!
//! | file | where | holds |
//! |---|---|---|
//! | `bootstrap.checkpoint` | every log directory | the records a new cluster starts with |
//! | `__cluster_metadata-0/0-0.checkpoint` | metadata directory of a dynamic quorum's first voters | `kraft.version` and the voter set |
//!
//! `meta.properties` is the log crate's. Directories that Kafka 4.4 formatted carry the records inside the
//! 0-0 checkpoint (KIP-1170); they are read too, never written.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::fs::Disk;
use ottla_raft::{SnapshotContent, SnapshotId, VoterSet};
use ottla_records::ids::TimestampMs;

use crate::METADATA_DIRECTORY;
use crate::files;
use crate::snapshots::{self, SnapshotError, SnapshotReader};

/// Name of the file with the first records.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";

/// Writes `bootstrap.checkpoint` into a log directory: header, one data batch with `records` (framed
/// metadata records), footer. `now` is the wall clock.
pub fn write_bootstrap(
    disk: &Arc<dyn Disk>,
    log_directory: &Path,
    records: &[Bytes],
    now: TimestampMs,
) -> Result<(), SnapshotError> {
    snapshots::write_bootstrap(disk.clone(), log_directory, records, now)
}

/// Makes `__cluster_metadata-0` in the metadata log directory and writes the voter set of a new dynamic
/// quorum (`--standalone`, `--initial-controllers`) into its `0-0.checkpoint`.
pub fn write_first_voters(
    disk: &Arc<dyn Disk>,
    metadata_log_directory: &Path,
    kraft_version: i16,
    voters: VoterSet,
    now: TimestampMs,
) -> Result<(), SnapshotError> {
    let directory = metadata_log_directory.join(METADATA_DIRECTORY);
    files::ensure_directory(&**disk, &directory)
        .map_err(|source| SnapshotError::Io { path: directory.clone(), source })?;
    snapshots::write_dynamic_bootstrap(disk.clone(), &directory, kraft_version, voters, now)
}

/// The records a first leader has to write: of the 0-0 checkpoint if it carries any, else of
/// `bootstrap.checkpoint`; `None` if there are neither, where Kafka falls back to the newest
/// `metadata.version` it knows.
pub fn read_bootstrap(
    disk: &dyn Disk,
    metadata_log_directory: &Path,
) -> Result<Option<Vec<Bytes>>, SnapshotError> {
    let directory = metadata_log_directory.join(METADATA_DIRECTORY);
    let newer = read_records(disk, &snapshots::path(&directory, SnapshotId::BOOTSTRAP))?;
    match newer.filter(|records| !records.is_empty()) {
        Some(records) => Ok(Some(records)),
        None => read_records(disk, &metadata_log_directory.join(BOOTSTRAP_FILE)),
    }
}

/// The voters that formatting named; `None` in a static quorum, or before a dynamic one was joined.
pub fn read_first_voters(
    disk: &dyn Disk,
    metadata_log_directory: &Path,
) -> Result<Option<SnapshotContent>, SnapshotError> {
    let directory = metadata_log_directory.join(METADATA_DIRECTORY);
    let path = snapshots::path(&directory, SnapshotId::BOOTSTRAP);
    Ok(open_if_there(disk, &path)?.map(|reader| reader.header().content.clone()))
}

fn read_records(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<Bytes>>, SnapshotError> {
    let Some(mut reader) = open_if_there(disk, path)? else { return Ok(None) };
    let mut records = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        records.extend(batch.values);
    }
    Ok(Some(records))
}

fn open_if_there(disk: &dyn Disk, path: &Path) -> Result<Option<SnapshotReader>, SnapshotError> {
    let stat = disk.stat(path).map_err(|source| SnapshotError::Io { path: path.to_owned(), source })?;
    stat.map(|_| SnapshotReader::open(disk, path)).transpose()
}
