//! The log directories of this node: opened, locked, checked against each other, with their checkpoints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_config::NodeConfig;
use ottla_log::{
    CheckpointEntry, CheckpointKind, DirKind, DirOptions, Error, Handles, LogDir, PartitionDir, map::Windows,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::start_error::StartError;

/// Files that all logs of a process keep open at most.
const OPEN_FILES: usize = 2048;
/// Bytes of log files that are mapped at most, for all readers together.
const MAPPED_BYTES: usize = 16 << 20;

type Offsets = HashMap<(String, i32), i64>;

/// One log directory.
pub(crate) struct Dir {
    log: LogDir,
    id: Uuid,
    cordoned: bool,
    /// Whether the last process that worked here closed everything: its files are trusted.
    pub(crate) clean: bool,
    /// The broker epoch of that process, if it left one.
    pub(crate) clean_broker_epoch: Option<i64>,
    recovery_points: Mutex<Offsets>,
    log_starts: Mutex<Offsets>,
    high_watermarks: Mutex<Offsets>,
    /// Partition directories that wait for their removal, and when it is due.
    doomed: Mutex<Vec<(PartitionDir, i64)>>,
    /// The content of each checkpoint file, as written last.
    written: Mutex<HashMap<CheckpointKind, Vec<CheckpointEntry>>>,
    /// Partitions that lie here, by name; taken out as they are opened.
    found: Mutex<HashMap<(String, i32), PartitionDir>>,
}

/// What the checkpoints of a directory say of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpointed {
    pub(crate) recovery_point: i64,
    pub(crate) log_start: Option<i64>,
    pub(crate) high_watermark: i64,
}

impl Dir {
    pub(crate) fn log(&self) -> &LogDir {
        &self.log
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn path(&self) -> &Path {
        self.log.path()
    }

    pub(crate) fn is_online(&self) -> bool {
        self.log.offline().is_none()
    }

    pub(crate) fn is_cordoned(&self) -> bool {
        self.cordoned
    }

    /// Total and usable bytes of the file system.
    pub(crate) fn space(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statvfs(self.path()).ok()?;
        Some((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
    }

    /// Whether a partition of this name lies here and is not opened yet.
    pub(crate) fn holds(&self, topic: &str, index: i32) -> bool {
        self.found.lock().contains_key(&(topic.to_owned(), index))
    }

    /// What is known of a partition from the checkpoints, once.
    pub(crate) fn take_checkpointed(&self, topic: &str, index: i32) -> Checkpointed {
        let key = (topic.to_owned(), index);
        self.found.lock().remove(&key);
        Checkpointed {
            recovery_point: self.recovery_points.lock().remove(&key).unwrap_or(0),
            log_start: self.log_starts.lock().remove(&key),
            high_watermark: self.high_watermarks.lock().remove(&key).unwrap_or(0),
        }
    }

    /// Removes a partition's directory, which has its `-delete` name already, once `due_ms` has come.
    pub(crate) fn doom(&self, partition: PartitionDir, due_ms: i64) {
        self.doomed.lock().push((partition, due_ms));
    }

    /// Removes what is due: directories of deleted partitions, files of deleted segments.
    pub(crate) fn remove_doomed(&self, now_ms: i64) {
        let due: Vec<PartitionDir> = {
            let mut doomed = self.doomed.lock();
            let (due, later) = doomed.drain(..).partition(|(_, due_ms)| *due_ms <= now_ms);
            *doomed = later;
            due.into_iter().map(|(partition, _): (PartitionDir, i64)| partition).collect()
        };
        for partition in due {
            if let Err(error) = self.log.remove_partition(&partition) {
                tracing::error!("cannot remove {partition} in {}: {error}", self.path().display());
            }
        }
        if let Err(error) = self.log.remove_doomed(now_ms) {
            tracing::error!("cannot remove deleted files in {}: {error}", self.path().display());
        }
    }

    /// Writes a checkpoint file, unless it says the same already: an idle node writes nothing. Returns whether the
    /// file says so now.
    ///
    /// What the file said of partitions that nobody has opened yet goes on to hold.
    pub(crate) fn write_checkpoint(&self, kind: CheckpointKind, mut entries: Vec<CheckpointEntry>) -> bool {
        entries.extend(self.unopened(kind));
        entries.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let mut written = self.written.lock();
        if written.get(&kind) == Some(&entries) {
            return true;
        }
        if !self.is_online() {
            return false;
        }
        if let Err(error) = self.log.write_checkpoint(kind, entries.clone()) {
            tracing::error!("cannot write a checkpoint in {}: {error}", self.path().display());
            return false;
        }
        written.insert(kind, entries);
        true
    }

    fn unopened(&self, kind: CheckpointKind) -> Vec<CheckpointEntry> {
        let known = match kind {
            CheckpointKind::RecoveryPoint => &self.recovery_points,
            CheckpointKind::HighWatermark => &self.high_watermarks,
            CheckpointKind::LogStart => &self.log_starts,
            CheckpointKind::Cleaner => return Vec::new(),
        };
        let (found, known) = (self.found.lock(), known.lock());
        let entry = |((topic, partition), offset): (&(String, i32), &i64)| CheckpointEntry {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
        };
        known.iter().filter(|(name, _)| found.contains_key(*name)).map(entry).collect()
    }

    /// Whether the next process may trust the files here once all that is open was closed. Partitions that came out
    /// of an unclean stop and were not opened since have not been checked.
    pub(crate) fn may_be_marked_clean(&self) -> bool {
        self.is_online() && (self.clean || self.found.lock().is_empty())
    }

    /// Makes the checkpoint of recovery points say no more than `offset` of a partition that was cut to there. To be
    /// done before the partition grows again: after a crash what is below the recovery point is taken for durable.
    pub(crate) fn lower_recovery_point(&self, topic: &str, index: i32, offset: i64) -> Result<(), Error> {
        let kind = CheckpointKind::RecoveryPoint;
        let mut written = self.written.lock();
        let mut entries = match written.get(&kind) {
            Some(entries) => entries.clone(),
            None => self.log.read_checkpoint(kind)?,
        };
        let of = |entry: &&mut CheckpointEntry| entry.topic == topic && entry.partition == index;
        let Some(entry) = entries.iter_mut().find(of).filter(|entry| entry.offset > offset) else {
            return Ok(());
        };
        entry.offset = offset;
        self.log.write_checkpoint(kind, entries.clone())?;
        written.insert(kind, entries);
        Ok(())
    }

    /// Puts a partition's directory aside as stray, as if it had never been found here. Returns its new name.
    pub(crate) fn put_aside(&self, partition: &PartitionDir) -> Result<PartitionDir, Error> {
        let aside = partition.with_kind(DirKind::Stray(Uuid::new_v4()));
        self.log.rename_partition(partition, &aside)?;
        self.found.lock().remove(&(partition.topic.clone(), partition.partition));
        Ok(aside)
    }

    /// Partitions on the disk that nobody opened: the metadata does not know them.
    pub(crate) fn strays(&self) -> Vec<PartitionDir> {
        self.found.lock().values().cloned().collect()
    }
}

/// All directories of a node, and what they agree on.
pub(crate) struct Dirs {
    pub(crate) all: Vec<Arc<Dir>>,
    pub(crate) cluster_id: String,
    /// The broker epoch before this start, if every directory was closed and agrees on it (ELR, KIP-966).
    pub(crate) previous_broker_epoch: i64,
    pub(crate) metadata_dir_id: Uuid,
    /// Where the metadata quorum keeps its log: one of `all`, or a directory of its own.
    pub(crate) metadata: LogDir,
    /// Whether the quorum's log was closed by the last process.
    pub(crate) metadata_clean: bool,
}

impl Dirs {
    /// From here on a crash means an unclean stop. Not earlier: a start that is refused leaves the directories as
    /// they were.
    pub(crate) fn begin(&self) -> Result<(), StartError> {
        for dir in &self.all {
            dir.log.forget_clean_shutdown().map_err(|e| StartError::storage(dir.path(), &e))?;
        }
        Ok(())
    }

    /// Takes [`Dirs::begin`] back: nothing was opened for clients, and what was clean is clean.
    pub(crate) fn end(&self) {
        for dir in self.all.iter().filter(|dir| dir.clean && dir.is_online()) {
            if let Err(error) = dir.log.mark_clean_shutdown(dir.clean_broker_epoch.unwrap_or(-1)) {
                tracing::warn!("cannot mark {} as cleanly closed: {error}", dir.path().display());
            }
        }
    }
}

/// Opens, locks and reads every directory; writes nothing.
pub(crate) fn open(config: &NodeConfig) -> Result<Dirs, StartError> {
    let options = DirOptions {
        handles: Handles::new(OPEN_FILES),
        windows: Windows::new(MAPPED_BYTES),
        ..DirOptions::default()
    };
    let mut cluster: Option<(String, PathBuf)> = None;
    let mut all = Vec::new();
    for path in &config.dirs.data {
        let path = Path::new(path);
        let (log, id) = open_one(path, &options, config.node_id, &mut cluster)?;
        if all.iter().any(|other: &Arc<Dir>| other.id == id) {
            return Err(StartError::DuplicateDirectoryId { path: path.to_owned(), id });
        }
        let shutdown = log.clean_shutdown().map_err(|e| StartError::storage(path, &e))?;
        let offsets = |kind| -> Result<Mutex<Offsets>, StartError> {
            let entries = log.read_checkpoint(kind).map_err(|e| StartError::storage(path, &e))?;
            Ok(Mutex::new(
                entries.into_iter().map(|e: CheckpointEntry| ((e.topic, e.partition), e.offset)).collect(),
            ))
        };
        let found = log.partitions().map_err(|e| StartError::storage(path, &e))?;
        // What an earlier process had put aside for deletion goes now.
        let doomed =
            found.iter().filter(|p| matches!(p.kind, DirKind::Delete(_))).map(|p| (p.clone(), 0)).collect();
        let found = found
            .into_iter()
            .filter(|p| p.kind == DirKind::Current && p.topic != METADATA_TOPIC)
            .map(|p| ((p.topic.clone(), p.partition), p))
            .collect();
        all.push(Arc::new(Dir {
            cordoned: config.dirs.cordoned.iter().any(|c| Path::new(c) == path || c == "*"),
            clean: shutdown.is_some(),
            clean_broker_epoch: shutdown.and_then(|s| s.broker_epoch),
            recovery_points: offsets(CheckpointKind::RecoveryPoint)?,
            log_starts: offsets(CheckpointKind::LogStart)?,
            high_watermarks: offsets(CheckpointKind::HighWatermark)?,
            found: Mutex::new(found),
            doomed: Mutex::new(doomed),
            written: Mutex::default(),
            log,
            id,
        }));
    }
    let metadata_path = Path::new(&config.dirs.metadata);
    let (metadata_dir_id, metadata, metadata_clean) = match all.iter().find(|d| d.path() == metadata_path) {
        Some(dir) => (dir.id, dir.log.clone(), dir.clean),
        None => {
            let (log, id) = open_one(metadata_path, &options, config.node_id, &mut cluster)?;
            (id, log, false)
        }
    };
    let mut epochs = all.iter().map(|d| d.clean_broker_epoch);
    let first = epochs.next().flatten();
    let previous_broker_epoch = if epochs.all(|e| e == first) { first.unwrap_or(-1) } else { -1 };
    let cluster_id = cluster.map(|(id, _)| id).unwrap_or_default();
    Ok(Dirs { all, cluster_id, previous_broker_epoch, metadata_dir_id, metadata, metadata_clean })
}

/// The topic whose partition is the quorum's, not a broker's.
const METADATA_TOPIC: &str = "__cluster_metadata";

fn open_one(
    path: &Path,
    options: &DirOptions,
    node_id: i32,
    cluster: &mut Option<(String, PathBuf)>,
) -> Result<(LogDir, Uuid), StartError> {
    if !path.join("meta.properties").exists() {
        return Err(StartError::NotFormatted { path: path.to_owned() });
    }
    let log = LogDir::open(path, options.clone()).map_err(StartError::Dir)?;
    let found = log
        .meta_properties()
        .map_err(|error| StartError::MetaProperties { path: path.to_owned(), why: error.to_string() })?
        .ok_or_else(|| StartError::NotFormatted { path: path.to_owned() })?;
    let incomplete = |what: &str| StartError::MetaProperties {
        path: path.to_owned(),
        why: format!(
            "no {what} was found; the directory was formatted for a ZooKeeper cluster, or the file is damaged"
        ),
    };
    let id = found.cluster_id.ok_or_else(|| incomplete("cluster.id"))?;
    match cluster {
        Some((other, at)) if *other != id => {
            return Err(StartError::ClusterIds {
                path: path.to_owned(),
                id,
                other: other.clone(),
                at: at.clone(),
            });
        }
        Some(_) => {}
        None => *cluster = Some((id, path.to_owned())),
    }
    let stored = found.node_id.ok_or_else(|| incomplete("node.id"))?;
    if stored != node_id {
        return Err(StartError::NodeId { path: path.to_owned(), stored, configured: node_id });
    }
    let directory_id = found.directory_id.ok_or_else(|| incomplete("directory.id"))?;
    Ok((log, directory_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(path: &Path, clean: bool) -> Dir {
        let name = ("orders".to_owned(), 0);
        let offsets = |offset| Mutex::new(HashMap::from([(name.clone(), offset)]));
        Dir {
            log: LogDir::open(path, DirOptions::default()).unwrap(),
            id: Uuid::from_u128(1),
            cordoned: false,
            clean,
            clean_broker_epoch: None,
            recovery_points: offsets(70),
            log_starts: offsets(5),
            high_watermarks: offsets(75),
            doomed: Mutex::default(),
            written: Mutex::default(),
            found: Mutex::new(HashMap::from([(name.clone(), PartitionDir::current("orders", 0))])),
        }
    }

    /// A node that was killed, started, and stopped before it knew the metadata has checked nothing.
    #[test]
    fn a_directory_is_clean_only_when_everything_in_it_was_checked() {
        let temp = tempfile::tempdir().unwrap();
        let after_crash = dir(temp.path(), false);
        assert!(!after_crash.may_be_marked_clean());
        after_crash.take_checkpointed("orders", 0);
        assert!(after_crash.may_be_marked_clean(), "all that lay here was opened");
        drop(after_crash);
        assert!(dir(temp.path(), true).may_be_marked_clean(), "what was clean is clean");
    }

    #[test]
    fn partitions_that_were_not_opened_keep_their_checkpoints() {
        let temp = tempfile::tempdir().unwrap();
        let dir = dir(temp.path(), true);
        let other = CheckpointEntry { topic: "payments".into(), partition: 3, offset: 9 };
        assert!(dir.write_checkpoint(CheckpointKind::HighWatermark, vec![other.clone()]));
        let kept = CheckpointEntry { topic: "orders".into(), partition: 0, offset: 75 };
        let read = || dir.log().read_checkpoint(CheckpointKind::HighWatermark).unwrap();
        assert_eq!(read(), [kept, other.clone()]);
        dir.take_checkpointed("orders", 0);
        assert!(dir.write_checkpoint(CheckpointKind::HighWatermark, vec![other.clone()]));
        assert_eq!(read(), [other]);
    }
}
