//! Opening a log: what is on disk, trusted or checked, brought into a state from which it can go on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_records::ids::Offset;
use uuid::Uuid;

use super::{Log, Recent, leftovers, partition_metadata};
use crate::config::LogConfig;
use crate::dir::closed::ClosedSegment;
use crate::dir::{ClosedLogs, LogDir, PartitionDir};
use crate::epochs::Epochs;
use crate::error::Error;
use crate::index::{FileKind, Index, Place};
use crate::producers::Producers;
use crate::segment::{MAX_SIZE, Segment};

/// How a log is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Its settings.
    pub config: Arc<LogConfig>,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// Whether the directory's last user stopped cleanly: then the files are trusted. Otherwise everything from the
    /// segment of the recovery point on is read and checked.
    pub clean: bool,
    /// From the `recovery-point-offset-checkpoint`; 0 if it does not name the partition.
    pub recovery_point: Offset,
    /// From the `log-start-offset-checkpoint`; 0 if it does not name the partition.
    pub log_start: Offset,
    /// From the `replication-offset-checkpoint`; 0 if it does not name the partition.
    pub high_watermark: Offset,
}

impl OpenOptions {
    /// For a log of which no checkpoint says anything.
    pub fn new(config: Arc<LogConfig>, now_ms: i64, clean: bool) -> OpenOptions {
        OpenOptions { config, now_ms, clean, recovery_point: 0, log_start: 0, high_watermark: 0 }
    }
}

/// What opening a log has found and done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// What was not in order, in the order in which it was met. Each is worth a line in the server's log.
    pub repairs: Vec<Repair>,
    /// Segments that were read and checked.
    pub segments_checked: usize,
    /// Bytes that were read for it.
    pub bytes_checked: u64,
}

/// Something that was not in order, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// A file of an interrupted deletion or compaction was removed.
    RemovedLeftover {
        /// The file.
        file: PathBuf,
    },
    /// A file of a finished compaction got its name.
    FinishedSwap {
        /// Its name now.
        file: PathBuf,
    },
    /// An index without its log file was removed.
    OrphanIndex {
        /// The file.
        file: PathBuf,
    },
    /// The indexes of a segment were made anew.
    RebuiltIndexes {
        /// The log file.
        file: PathBuf,
        /// What was wrong with them.
        reason: &'static str,
    },
    /// A log file was cut off at its first unsound batch.
    CutOff {
        /// The log file.
        file: PathBuf,
        /// Its length now.
        position: u64,
        /// Bytes that were cut off.
        bytes: u64,
        /// What is wrong with the batch.
        reason: String,
    },
    /// A segment behind a cut-off one, or one that overlaps the segment before, was removed from the log.
    RemovedSegment {
        /// The log file.
        file: PathBuf,
    },
    /// A producer snapshot was removed: it is damaged, or of records that are not there.
    RemovedSnapshot {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `partition.metadata` was torn by the crash; the topic id is to be set again.
    LostTopicId {
        /// The file.
        file: PathBuf,
    },
    /// The log ends before its log start: its files have been removed by someone. It goes on empty at the log start.
    StartedAnew {
        /// The log start.
        log_start: Offset,
        /// Where the log ended.
        log_end: Offset,
    },
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::RemovedLeftover { file } => write!(f, "removed leftover {}", file.display()),
            Repair::FinishedSwap { file } => write!(f, "finished the interrupted swap of {}", file.display()),
            Repair::OrphanIndex { file } => {
                write!(f, "removed orphaned index {}: its log file is missing", file.display())
            }
            Repair::RebuiltIndexes { file, reason } => {
                write!(f, "rebuilt the indexes of {}: {reason}", file.display())
            }
            Repair::CutOff { file, position, bytes, reason } => {
                write!(f, "cut {bytes} bytes off {} at position {position}: {reason}", file.display())
            }
            Repair::RemovedSegment { file } => {
                write!(f, "removed segment {}, which does not follow the one before", file.display())
            }
            Repair::RemovedSnapshot { file, reason } => {
                write!(f, "removed producer snapshot {}: {reason}", file.display())
            }
            Repair::LostTopicId { file } => write!(f, "{} is torn and is written again", file.display()),
            Repair::StartedAnew { log_start, log_end } => write!(
                f,
                "deleted all segments because the log end offset {log_end} is smaller than the log start offset {log_start}; files may have been deleted from the file system"
            ),
        }
    }
}

impl Log {
    /// Makes a partition's directory (or takes one that is empty) and opens the log in it.
    pub fn create(
        dir: &LogDir,
        partition: &PartitionDir,
        topic_id: Option<Uuid>,
        options: &OpenOptions,
    ) -> Result<Log, Error> {
        dir.check()?;
        let path = dir.partition_path(partition);
        match dir.disk().create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => dir.changed("create", &path, made)?,
        }
        let (mut log, _) = Log::open(dir, partition, options)?;
        log.new_dir = true;
        if let Some(id) = topic_id.filter(|_| log.topic_id.is_none()) {
            log.set_topic_id(id)?;
        }
        Ok(log)
    }

    /// Opens the log in a partition's directory, which must be there.
    ///
    /// Fails with [`Error::Corrupt`] where Kafka's repairs do not reach: a damaged checkpoint file, or damage below
    /// the recovery point, where everything was durable once.
    pub fn open(
        dir: &LogDir,
        partition: &PartitionDir,
        options: &OpenOptions,
    ) -> Result<(Log, LoadReport), Error> {
        dir.check()?;
        let path = dir.partition_path(partition);
        let mut report = LoadReport::default();
        let names = leftovers::resolve(dir, &path, &mut report)?;
        let disk = &**dir.disk();
        let topic_id = match partition_metadata::read(disk, &path) {
            Err(Error::Corrupt { path, .. }) if !options.clean => {
                report.repairs.push(Repair::LostTopicId { file: path });
                None
            }
            id => id?,
        };
        let epochs = Epochs::load(disk, &path)?;
        let mut log = Log::empty(dir, path, topic_id, epochs, options);
        log.segments.reserve_exact(names.logs.len().max(1));
        log.snapshots = names.snapshots;
        log.names_changed = u32::from(!report.repairs.is_empty());
        for base in names.logs {
            let place = Place { dir, path: &log.path, base, key: dir.handles().new_keys(4) };
            let len = place.len(FileKind::Log)?.unwrap_or(0);
            let size = u32::try_from(len).ok().filter(|size| *size <= MAX_SIZE);
            let size = size.ok_or_else(|| place.corrupt(FileKind::Log, len, "larger than 2 GiB"))?;
            log.segments.push(Segment::unchecked(place, size, options.now_ms));
        }
        log.load(&names.transaction_indexes, options, &mut report)?;
        Ok((log, report))
    }

    /// Opens a log without looking into its directory, of which is known that nothing was made or removed there since
    /// the log was closed. `None` if it has to be looked at: nothing is known of it, or something was done to it.
    ///
    /// Only for directories whose last user stopped cleanly, and did this.
    pub fn open_closed(
        dir: &LogDir,
        partition: &PartitionDir,
        options: &OpenOptions,
        closed: &ClosedLogs,
    ) -> Result<Option<Log>, Error> {
        dir.check()?;
        let Some((known, stamp)) = closed.find(&partition.to_string()) else { return Ok(None) };
        let path = dir.partition_path(partition);
        let found = dir.disk().stamp(&path).map_err(|source| Error::io("stat", &path, source))?;
        let is_ascending = known.segments.is_sorted_by(|a, b| a.base < b.base);
        if !options.clean || found != Some(stamp) || known.segments.is_empty() || !is_ascending {
            return Ok(None);
        }
        let mut log = Log::empty(dir, path, known.topic_id, Epochs::in_file(known.epochs), options);
        log.segments.reserve_exact(known.segments.len());
        log.snapshots = known.snapshots;
        for ClosedSegment { base, size, offsets, times } in known.segments {
            let place = Place { dir, path: &log.path, base, key: dir.handles().new_keys(4) };
            let mut segment = Segment::unchecked(place, size, options.now_ms);
            (segment.offsets, segment.times) = (Index::in_file(offsets), Index::in_file(times));
            log.segments.push(segment);
        }
        // Nobody looks into the files of a log that never had a record. Others must be as long as they were.
        let has_records = log.segments.iter().any(|segment| segment.size > 0);
        for segment in log.segments.iter().filter(|_| has_records) {
            if !segment.has_known_lengths(segment.place(dir, &log.path))? {
                return Ok(None);
            }
        }
        let mut report = LoadReport::default();
        log.settle(Some(known.end), None, options, &mut report)?;
        Ok(Some(log))
    }

    /// A log of which nothing is known yet.
    fn empty(
        dir: &LogDir,
        path: PathBuf,
        topic_id: Option<Uuid>,
        epochs: Epochs,
        options: &OpenOptions,
    ) -> Log {
        Log {
            dir: dir.clone(),
            path,
            config: options.config.clone(),
            segments: Vec::new(),
            producers: Producers::default(),
            snapshots: Vec::new(),
            epochs,
            topic_id,
            topic_id_unsynced: false,
            start: options.log_start,
            end: 0,
            high_watermark: 0,
            recovery_point: options.recovery_point,
            recent: Recent::default(),
            unflushed_since_ms: options.now_ms,
            truncations: 0,
            names_changed: 0,
            names_synced: 0,
            new_dir: false,
            unsynced_snapshots: Vec::new(),
        }
    }

    fn load(
        &mut self,
        transaction_indexes: &[Offset],
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<(), Error> {
        let recovered = self.check_segments(transaction_indexes, options, report)?;
        let known_end = match &recovered {
            Some(producers) => Some(producers.end_offset),
            None => self.end_of_last(options, report)?,
        };
        self.settle(known_end, recovered, options, report)
    }

    /// The segments are there and end at `known_end`: finds out the rest.
    fn settle(
        &mut self,
        known_end: Option<Offset>,
        recovered: Option<Producers>,
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<(), Error> {
        match known_end {
            Some(end) if end >= self.start => self.end = end,
            Some(end) => self.start_anew(end, options, report)?,
            None => {
                let segment = self.new_segment(self.start, options.now_ms)?;
                self.segments.push(segment);
                self.end = self.start;
            }
        }
        self.start = self.start.max(self.segments[0].base);
        self.epochs.truncate_end(self.end);
        self.epochs.truncate_start(options.log_start);
        self.recovery_point = match options.clean {
            true => self.end,
            false => self.recovery_point.min(self.end),
        };
        self.recovery_point = self.recovery_point.max(self.start);
        self.high_watermark = options.high_watermark.clamp(self.start, self.end.max(self.start));
        self.load_producers(recovered, options, report)
    }

    /// Where the log ends if the last segment is as it should be; repairs it otherwise.
    fn end_of_last(
        &mut self,
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<Option<Offset>, Error> {
        let Some(last) = self.segments.last() else { return Ok(None) };
        match last.next_offset(last.place(&self.dir, &self.path)) {
            Err(Error::Corrupt { .. }) => {
                let at = self.segments.len() - 1;
                let file = last.place(&self.dir, &self.path).path_of(FileKind::Log);
                let reason = "the offset index does not lead to the end of the log file";
                report.repairs.push(Repair::RebuiltIndexes { file, reason });
                let producers = self.recover_segment(at, None, options, report)?;
                Ok(Some(producers.end_offset))
            }
            end => end.map(Some),
        }
    }

    fn start_anew(
        &mut self,
        end: Offset,
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<(), Error> {
        report.repairs.push(Repair::StartedAnew { log_start: self.start, log_end: end });
        let doomed = std::mem::take(&mut self.segments);
        self.delete_segments(doomed, options.now_ms)?;
        self.remove_snapshots(|_| true)?;
        self.epochs.clear();
        let segment = self.new_segment(self.start, options.now_ms)?;
        self.segments.push(segment);
        self.end = self.start;
        Ok(())
    }

    fn load_producers(
        &mut self,
        recovered: Option<Producers>,
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<(), Error> {
        let end = self.end;
        self.remove_snapshots(|offset| offset > end)?;
        self.producers = match recovered {
            Some(producers) if producers.end_offset == end => producers,
            _ if self.snapshots.is_empty() && options.clean => {
                // Left by a Kafka that kept no producer state, or new: there is nothing to find.
                Producers::none_at(end)
            }
            _ => self.producers_from_snapshot(end, options.now_ms, report)?,
        };
        self.producers.on_high_watermark(self.high_watermark);
        self.write_snapshot()
    }
}
