//! What happens to a partition by the clock, and at its end: retention, checkpoints, flushes, deletion, closing.

use std::sync::Arc;

use ottla_log::{ClosedLog, DirKind, Error, Log, PartitionDir};
use uuid::Uuid;

use super::Partition;
use super::role::Role;

/// What the checkpoint files say of a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoints {
    pub(crate) recovery_point: i64,
    pub(crate) log_start: Option<i64>,
    pub(crate) high_watermark: i64,
}

impl Checkpoints {
    fn of(log: &Log) -> Checkpoints {
        let first = log.segments().next().map_or(0, |(base, _)| base);
        Checkpoints {
            recovery_point: log.recovery_point(),
            log_start: (log.log_start() > first).then(|| log.log_start()),
            high_watermark: log.high_watermark(),
        }
    }
}

impl Partition {
    /// Deletes what is past its retention. Returns how many segments went.
    pub(crate) fn apply_retention(self: &Arc<Self>, now_ms: i64) -> Result<usize, Error> {
        let mut state = self.state.lock();
        if state.gone {
            return Ok(0);
        }
        let deleted = state.log_mut().apply_retention(now_ms).map(|deleted| deleted.segments());
        self.log_start_moved(&mut state);
        deleted
    }

    /// Forgets producers that have been silent for long.
    pub(crate) fn expire_producers(&self, now_ms: i64) {
        let mut state = self.state.lock();
        if state.gone {
            return;
        }
        let expired = state.log_mut().expire_producers(now_ms);
        drop(state);
        if expired > 0 {
            tracing::debug!("{}-{}: {expired} producers expired", self.topic, self.index);
        }
    }

    /// Flushes in the background when `flush.ms` asks for it.
    pub(crate) fn flush_if_due(self: &Arc<Self>, now_ms: i64) {
        let mut state = self.state.lock();
        if !state.gone && state.log().flush_due(now_ms) {
            drop(self.flush_soon(&mut state));
        }
    }

    /// Gives back memory and open files of a partition that nobody uses.
    pub(crate) fn release(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.gone { Ok(()) } else { state.log_mut().release() }
    }

    pub(crate) fn checkpoints(&self) -> Option<Checkpoints> {
        let state = self.state.lock();
        if state.gone {
            return None;
        }
        Some(Checkpoints::of(state.log()))
    }

    /// Puts the partition's directory aside for deletion; its files go after `file.delete.delay.ms`.
    pub(crate) fn delete(self: &Arc<Self>, now_ms: i64) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.gone {
            return Ok(());
        }
        state.gone = true;
        state.role = Role::Idle;
        let doomed =
            PartitionDir::current(self.topic.as_ref(), self.index).with_kind(DirKind::Delete(Uuid::new_v4()));
        let renamed = state.log_mut().rename(&doomed);
        let delay_ms = state.config.file_delete_delay_ms;
        drop(state);
        self.waiters.wake_all();
        self.neighbours.followers_changed(self);
        renamed?;
        self.log_dir.doom(doomed, now_ms + delay_ms);
        // A partition of the same name that is made soon must not inherit what this one had on the disk.
        self.log_dir.lower_recovery_point(&self.topic, self.index, 0)
    }

    /// Closes the log so that the next start can trust its files. Nothing is served afterwards.
    ///
    /// Durable it becomes with the rest of the directory: the checkpoints count only after that.
    pub(crate) fn close(&self) -> Result<Option<(Checkpoints, Option<ClosedLog>)>, Error> {
        let mut state = self.state.lock();
        if state.gone {
            return Ok(None);
        }
        state.gone = true;
        state.role = Role::Idle;
        let Some(log) = state.log.take() else { return Ok(None) };
        drop(state);
        self.waiters.wake_all();
        let checkpoints = Checkpoints { recovery_point: log.log_end(), ..Checkpoints::of(&log) };
        let closed = log.close_at_shutdown()?;
        Ok(Some((checkpoints, closed)))
    }
}
