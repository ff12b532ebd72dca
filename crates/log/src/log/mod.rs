//! One partition's log: a row of segments, its producers, its epochs, its offsets.
//!
//! A log is used by one thread at a time; whoever shares it puts a lock around it. Appends go straight to the
//! file; reads return a [`Slice`](crate::Slice) that is used without the lock; flushes are prepared with the lock
//! and carried out without it ([`Log::flush_work`]).

mod append;
mod close;
mod leftovers;
mod open;
mod partition_metadata;
mod read;
mod recover;
mod retain;
mod roll;
#[cfg(test)]
mod tests;
mod times;
mod truncate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_records::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use uuid::Uuid;

pub use append::{Appended, LeaderAppend, Replicated};
pub use open::{LoadReport, OpenOptions, Repair};
pub use read::{Fetched, ReadUpTo};
pub use retain::Deleted;
pub use times::TimestampOffset;

use crate::config::LogConfig;
use crate::dir::{LogDir, PartitionDir};
use crate::epochs::{EpochEntry, Epochs};
use crate::error::Error;
use crate::producers::{ProducerEntry, Producers, VerificationGuard};
use crate::segment::Segment;

/// A partition's log.
#[derive(Debug)]
pub struct Log {
    dir: LogDir,
    path: PathBuf,
    config: Arc<LogConfig>,
    /// Ascending, never empty; the last one is written to.
    segments: Vec<Segment>,
    producers: Producers,
    /// Offsets of the producer snapshots on disk, ascending.
    snapshots: Vec<Offset>,
    epochs: Epochs,
    topic_id: Option<Uuid>,
    /// Whether `partition.metadata` is written but may not be durable.
    topic_id_unsynced: bool,
    start: Offset,
    end: Offset,
    high_watermark: Offset,
    recovery_point: Offset,
    recent: Recent,
    /// When the oldest record was appended that is not flushed; of no meaning if there is none.
    unflushed_since_ms: i64,
    /// Truncations so far: a flush that was begun before one says nothing about what is there now.
    truncations: u32,
    /// Counts changes of names in the partition's directory, and those that are durable.
    names_changed: u32,
    names_synced: u32,
    /// Whether the partition's directory itself may not be durable.
    new_dir: bool,
    /// Snapshots written but not synced.
    unsynced_snapshots: Vec<Offset>,
}

/// Where the last few batches begin: most reads are for one of them, and need not look into any file.
#[derive(Debug, Default)]
struct Recent {
    batches: [(Offset, u32); Recent::MANY],
    count: u8,
}

impl Recent {
    const MANY: usize = 8;

    fn push(&mut self, base: Offset, position: u32) {
        if usize::from(self.count) == Self::MANY {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[usize::from(self.count)] = (base, position);
        self.count += 1;
    }

    fn clear(&mut self) {
        self.count = 0;
    }

    /// Position and size of the batch that begins with `offset`, in a segment of `end` bytes.
    fn find(&self, offset: Offset, end: u32) -> Option<(u32, u32)> {
        let batches = &self.batches[..usize::from(self.count)];
        let at = batches.iter().rposition(|(base, _)| *base == offset)?;
        let next = batches.get(at + 1).map_or(end, |(_, position)| *position);
        Some((batches[at].1, next - batches[at].1))
    }
}

impl Log {
    /// The partition's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log directory it is in.
    pub fn dir(&self) -> &LogDir {
        &self.dir
    }

    /// Its settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Gives it other settings; they apply from the next append or sweep on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// The topic's id, if `partition.metadata` has one.
    pub fn topic_id(&self) -> Option<Uuid> {
        self.topic_id
    }

    /// Offset of the first record that may be read.
    pub fn log_start(&self) -> Offset {
        self.start
    }

    /// Offset of the first record on this disk; with tiered storage it may be above the log start.
    pub fn local_log_start(&self) -> Offset {
        self.start.max(self.segments[0].base)
    }

    /// The offset the next record gets.
    pub fn log_end(&self) -> Offset {
        self.end
    }

    /// The offset below which all in-sync replicas have everything.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Sets the high watermark, kept between log start and log end. Returns what it is now.
    pub fn set_high_watermark(&mut self, offset: Offset) -> Offset {
        self.high_watermark = offset.clamp(self.start, self.end.max(self.start));
        self.producers.on_high_watermark(self.high_watermark);
        self.high_watermark
    }

    /// The offset below which every transaction is decided and replicated: how far `read_committed` may read.
    pub fn last_stable_offset(&self) -> Offset {
        match self.first_unstable_offset() {
            Some(unstable) => unstable.min(self.high_watermark),
            None => self.high_watermark,
        }
    }

    /// First offset of the oldest transaction that is open, or whose marker is not replicated yet.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        self.producers.first_unstable_offset().map(|offset| offset.max(self.start))
    }

    /// The offset below which everything is durable; recovery after a crash begins there.
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.size)).sum()
    }

    /// Base offset and bytes of each segment, ascending.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = (Offset, u32)> {
        self.segments.iter().map(|segment| (segment.base, segment.size))
    }

    /// The leader epochs, ascending.
    pub fn epochs(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    /// The epoch of the last record, or of the leader that was noted last.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.latest().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at the log end: called when this replica becomes leader.
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        self.epochs.assign(epoch, self.end);
    }

    /// The end of an epoch (Kafka: `endOffsetForEpoch`): the largest epoch known that is not above `epoch`, and
    /// the offset behind its last record. An epoch older than all that are known ends where the first begins;
    /// `None` for one that is newer than all, or negative.
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.end_of(epoch, self.end)
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.epoch_at(offset)
    }

    /// What is known of a producer.
    pub fn producer(&self, id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(id)
    }

    /// All producers, in no order.
    pub fn producers(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter()
    }

    /// Whether the producer has a transaction open in this epoch.
    pub fn has_open_transaction(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        let entry = self.producers.get(id);
        entry.is_some_and(|entry| entry.open_transaction().is_some() && entry.epoch == epoch)
    }

    /// Timestamp of the last batch of the oldest open transaction.
    pub fn oldest_transaction_timestamp(&self) -> Option<TimestampMs> {
        self.producers.oldest_transaction_timestamp()
    }

    /// First offset of the oldest open transaction.
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.producers.first_undecided_offset()
    }

    /// Begins to verify a transactional append (KIP-890): the guard goes with the append once the transaction
    /// coordinator has confirmed the transaction. `None` if the transaction is open here already.
    ///
    /// `sequence` is the batch's first; `supports_epoch_bump` says that the producer changes its epoch with each
    /// transaction (transaction version 2).
    pub fn begin_verification(
        &mut self,
        now_ms: i64,
        producer_id: ProducerId,
        sequence: Sequence,
        epoch: ProducerEpoch,
        supports_epoch_bump: bool,
    ) -> Option<VerificationGuard> {
        self.producers.begin_verification(now_ms, producer_id, sequence, epoch, supports_epoch_bump)
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`. Returns how many.
    pub fn expire_producers(&mut self, now_ms: i64) -> usize {
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms)
    }

    /// Gives back memory and open files that an idle log does not need. It may be used on as if nothing happened.
    pub fn release(&mut self) -> Result<(), Error> {
        self.dir.check()?;
        let Log { dir, path, segments, .. } = self;
        for segment in segments.iter_mut() {
            segment.release(segment.place(dir, path))?;
        }
        self.segments.shrink_to_fit();
        self.epochs.shrink();
        self.snapshots.shrink_to_fit();
        self.unsynced_snapshots.shrink_to_fit();
        Ok(())
    }

    /// Renames the partition's directory within the log directory, durably: into `-delete` or `-stray`, or a
    /// `-future` one to the partition's own name.
    pub fn rename(&mut self, to: &PartitionDir) -> Result<(), Error> {
        self.dir.check()?;
        let new = self.dir.partition_path(to);
        self.release()?;
        self.dir.rename_file(&self.path, &new)?;
        self.path = new;
        self.dir.sync_dir(self.dir.path())
    }

    fn active(&self) -> &Segment {
        self.segments.last().expect("LOG-13: a log has a segment")
    }

    /// The segment that holds `offset`, or where it would be.
    fn segment_at(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    fn snapshot_path(&self, offset: Offset) -> PathBuf {
        snapshot_path(&self.path, offset)
    }
}

fn snapshot_path(path: &Path, offset: Offset) -> PathBuf {
    path.join(format!("{offset:020}.snapshot"))
}
