//! The log directories of this node: opened, locked, checked against each other, with their checkpoints.

mod ensemble;
mod placement;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ottla_config::NodeConfig;
use ottla_log::{
    CheckpointEntry, CheckpointKind, ClosedLogs, DirError, DirKind, DirOptions, Error, Handles, LogDir,
    PartitionDir, map::Windows,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::start_error::StartError;
use ensemble::Ensemble;
pub use ensemble::FailedDir;
pub(crate) use placement::place;

/// Files that all logs of a process keep open at most.
const OPEN_FILES: usize = 2048;
/// Bytes of log files that are mapped at most, for all readers together.
const MAPPED_BYTES: usize = 16 << 20;

/// One log directory.
pub(crate) struct Dir {
    log: LogDir,
    id: Uuid,
    cordoned: bool,
    /// Whether the last process that worked here closed everything: its files are trusted.
    pub(crate) clean: bool,
    /// The broker epoch of that process, if it left one.
    pub(crate) clean_broker_epoch: Option<i64>,
    /// Partition directories that wait for their removal, and when it is due.
    doomed: Mutex<Vec<(PartitionDir, i64)>>,
    /// The content of each checkpoint file, as written last.
    written: Mutex<HashMap<CheckpointKind, Vec<CheckpointEntry>>>,
    /// Partitions that lie here, and what the checkpoints say of them; taken out as they are opened.
    found: Mutex<HashMap<(Arc<str>, i32), Checkpointed>>,
    /// What is known of them from when they were closed.
    closed: Mutex<Option<Arc<ClosedLogs>>>,
}

/// What the checkpoints of a directory say of one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checkpointed {
    pub(crate) recovery_point: Option<i64>,
    pub(crate) log_start: Option<i64>,
    pub(crate) high_watermark: Option<i64>,
}

impl Checkpointed {
    fn of(&mut self, kind: CheckpointKind) -> Option<&mut Option<i64>> {
        match kind {
            CheckpointKind::RecoveryPoint => Some(&mut self.recovery_point),
            CheckpointKind::LogStart => Some(&mut self.log_start),
            CheckpointKind::HighWatermark => Some(&mut self.high_watermark),
            CheckpointKind::Cleaner => None,
        }
    }
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
    pub(crate) fn holds(&self, topic: &Arc<str>, index: i32) -> bool {
        self.found.lock().contains_key(&(topic.clone(), index))
    }

    /// What is known of the partitions here from when they were closed.
    pub(crate) fn closed(&self) -> Option<Arc<ClosedLogs>> {
        self.closed.lock().clone()
    }

    /// All that lies here is open.
    pub(crate) fn forget_closed(&self) {
        self.closed.lock().take();
    }

    /// What is known of a partition from the checkpoints, once.
    pub(crate) fn take_checkpointed(&self, topic: &Arc<str>, index: i32) -> Checkpointed {
        let mut found = self.found.lock();
        let taken = found.remove(&(topic.clone(), index)).unwrap_or_default();
        if found.is_empty() {
            // A map keeps the room it once needed.
            *found = HashMap::new();
        }
        taken
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
        let entry = |((topic, partition), known): (&(Arc<str>, i32), &Checkpointed)| {
            let offset = (*{ *known }.of(kind)?)?;
            Some(CheckpointEntry { topic: topic.clone(), partition: *partition, offset })
        };
        self.found.lock().iter().filter_map(entry).collect()
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
        let of = |entry: &&mut CheckpointEntry| *entry.topic == *topic && entry.partition == index;
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
        self.found.lock().remove(&(partition.topic.as_str().into(), partition.partition));
        Ok(aside)
    }

    /// Partitions on the disk that nobody opened: the metadata does not know them.
    pub(crate) fn strays(&self) -> Vec<PartitionDir> {
        self.found.lock().keys().map(|(topic, index)| PartitionDir::current(&**topic, *index)).collect()
    }
}

/// All directories of a node, and what they agree on.
pub(crate) struct Dirs {
    pub(crate) all: Vec<Arc<Dir>>,
    /// Those that could not be taken into use. What lies there stays offline.
    pub(crate) failed: Vec<FailedDir>,
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
    ///
    /// A directory in which that fails is offline from here on, which is no reason not to start as long as it is not
    /// the metadata's.
    pub(crate) fn begin(&self) -> Result<(), StartError> {
        for dir in &self.all {
            let Err(error) = dir.log.forget_clean_shutdown() else { continue };
            tracing::error!("Error while loading log dir {}: {error}", dir.path().display());
            // A full disk is one failure more than the directory notices by itself.
            dir.log.poison(|| error.to_string());
            if dir.path() == self.metadata.path() {
                return Err(StartError::storage(dir.path(), &error));
            }
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

/// Opens, locks and reads every directory; writes nothing. One that cannot be read is left out, as in Apache Kafka, as
/// long as there is another one and it is not the metadata's.
pub(crate) fn open(config: &NodeConfig) -> Result<Dirs, StartError> {
    let options = DirOptions {
        handles: Handles::new(OPEN_FILES),
        windows: Windows::new(MAPPED_BYTES),
        ..DirOptions::default()
    };
    let metadata_path = Path::new(&config.dirs.metadata);
    let data: Vec<&Path> = config.dirs.data.iter().map(Path::new).collect();
    let Ensemble { cluster_id, readable, mut failed } =
        Ensemble::load(&*options.disk, &data, metadata_path, config.node_id)?;
    let is_cordoned = |path: &Path| config.dirs.cordoned.iter().any(|c| Path::new(c) == path || c == "*");
    let (mut all, mut metadata) = (Vec::new(), None);
    for (path, id) in readable {
        let is_data = data.contains(&&*path);
        match take_in(&path, id, &options, is_data, is_cordoned(&path)) {
            Ok((log, dir)) => {
                if path == metadata_path {
                    metadata = Some((id, log, dir.as_ref().is_some_and(|dir| dir.clean)));
                }
                all.extend(dir.map(Arc::new));
            }
            Err(Unusable::Refused(error)) => return Err(error),
            Err(Unusable::Failed(why)) => {
                tracing::error!("Failed to create or validate data directory {}: {why}", path.display());
                let one = FailedDir { path, why };
                if one.path == metadata_path {
                    return Err(StartError::MetadataDirectory(one));
                }
                failed.push(one);
            }
        }
    }
    if all.is_empty() && config.roles.broker {
        return Err(StartError::NoDirectory { failed });
    }
    for failed in failed.iter().filter(|failed| data.contains(&&*failed.path)) {
        tracing::error!("Stopping serving logs in dir {}: {}", failed.path.display(), failed.why);
    }
    let (metadata_dir_id, metadata, metadata_clean) =
        metadata.expect("DIRS-1 the metadata's directory is one of the readable ones");
    no_metadata_elsewhere(&all, &metadata)?;
    let mut epochs = all.iter().map(|d: &Arc<Dir>| d.clean_broker_epoch);
    let first = epochs.next().flatten();
    let is_agreed = failed.is_empty() && epochs.all(|e| e == first);
    let previous_broker_epoch = if is_agreed { first.unwrap_or(-1) } else { -1 };
    Ok(Dirs { all, failed, cluster_id, previous_broker_epoch, metadata_dir_id, metadata, metadata_clean })
}

/// The topic whose partition is the quorum's, not a broker's.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Why a directory that was formatted for this node is not taken into use.
enum Unusable {
    /// Its disk does not work, or what lies there is damaged: the node may go on without it.
    Failed(String),
    /// A person has to look at it.
    Refused(StartError),
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Unusable {
        Unusable::Failed(error.to_string())
    }
}

/// Opens one directory. It is a broker's where it `is_data`, else the quorum's alone.
fn take_in(
    path: &Path,
    id: Uuid,
    options: &DirOptions,
    is_data: bool,
    cordoned: bool,
) -> Result<(LogDir, Option<Dir>), Unusable> {
    let log = LogDir::open(path, options.clone()).map_err(|error| match error {
        error @ DirError::Locked { .. } => Unusable::Refused(StartError::Dir(error)),
        error => Unusable::Failed(error.to_string()),
    })?;
    if !is_data {
        return Ok((log, None));
    }
    let shutdown = log.clean_shutdown()?;
    let found = log.partitions().map_err(|error| match error {
        // A name that is no partition's.
        error @ Error::Corrupt { .. } => Unusable::Refused(StartError::storage(path, &error)),
        error => error.into(),
    })?;
    // What an earlier process had put aside for deletion goes now.
    let doomed =
        found.iter().filter(|p| matches!(p.kind, DirKind::Delete(_))).map(|p| (p.clone(), 0)).collect();
    let mut found: HashMap<(Arc<str>, i32), Checkpointed> = found
        .into_iter()
        .filter(|p| p.kind == DirKind::Current && p.topic != METADATA_TOPIC)
        .map(|p| ((p.topic.into(), p.partition), Checkpointed::default()))
        .collect();
    for kind in [CheckpointKind::RecoveryPoint, CheckpointKind::LogStart, CheckpointKind::HighWatermark] {
        for CheckpointEntry { topic, partition, offset } in log.read_checkpoint(kind)? {
            if let Some(known) = found.get_mut(&(topic, partition)).and_then(|known| known.of(kind)) {
                *known = Some(offset);
            }
        }
    }
    let dir = Dir {
        cordoned,
        clean: shutdown.is_some(),
        clean_broker_epoch: shutdown.and_then(|s| s.broker_epoch),
        found: Mutex::new(found),
        doomed: Mutex::new(doomed),
        written: Mutex::default(),
        closed: Mutex::new(shutdown.and_then(|_| log.closed_logs()).map(Arc::new)),
        log: log.clone(),
        id,
    };
    Ok((log, Some(dir)))
}

/// A metadata log that lies elsewhere would be left behind, and with it the votes of this node.
fn no_metadata_elsewhere(all: &[Arc<Dir>], metadata: &LogDir) -> Result<(), StartError> {
    for dir in all.iter().filter(|dir| dir.path() != metadata.path()) {
        let path = dir.path().join(ottla_quorum::METADATA_DIRECTORY);
        if dir.log.disk().stat(&path).is_ok_and(|stat| stat.is_some()) {
            return Err(StartError::MetadataElsewhere { path, configured: metadata.path().to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory in which `orders-0` lies.
    pub(super) fn dir(path: &Path, clean: bool, id: u128) -> Dir {
        let known = Checkpointed { recovery_point: Some(70), log_start: Some(5), high_watermark: Some(75) };
        Dir {
            log: LogDir::open(path, DirOptions::default()).unwrap(),
            id: Uuid::from_u128(id),
            cordoned: false,
            clean,
            clean_broker_epoch: None,
            doomed: Mutex::default(),
            written: Mutex::default(),
            closed: Mutex::default(),
            found: Mutex::new(HashMap::from([(("orders".into(), 0), known)])),
        }
    }

    /// A node that was killed, started, and stopped before it knew the metadata has checked nothing.
    #[test]
    fn a_directory_is_clean_only_when_everything_in_it_was_checked() {
        let temp = tempfile::tempdir().unwrap();
        let after_crash = dir(temp.path(), false, 1);
        assert!(!after_crash.may_be_marked_clean());
        after_crash.take_checkpointed(&"orders".into(), 0);
        assert!(after_crash.may_be_marked_clean(), "all that lay here was opened");
        drop(after_crash);
        assert!(dir(temp.path(), true, 1).may_be_marked_clean(), "what was clean is clean");
    }

    #[test]
    fn partitions_that_were_not_opened_keep_their_checkpoints() {
        let temp = tempfile::tempdir().unwrap();
        let dir = dir(temp.path(), true, 1);
        let other = CheckpointEntry { topic: "payments".into(), partition: 3, offset: 9 };
        assert!(dir.write_checkpoint(CheckpointKind::HighWatermark, vec![other.clone()]));
        let kept = CheckpointEntry { topic: "orders".into(), partition: 0, offset: 75 };
        let read = || dir.log().read_checkpoint(CheckpointKind::HighWatermark).unwrap();
        assert_eq!(read(), [kept, other.clone()]);
        dir.take_checkpointed(&"orders".into(), 0);
        assert!(dir.write_checkpoint(CheckpointKind::HighWatermark, vec![other.clone()]));
        assert_eq!(read(), [other]);
    }
}
