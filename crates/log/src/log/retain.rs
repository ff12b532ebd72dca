//! Deleting from the start of a log: on request, by size, by age.

use std::path::{Path, PathBuf};

use ottla_records::ids::Offset;

use super::Log;
use crate::error::Error;
use crate::index::FileKind;
use crate::segment::Segment;

/// What a sweep has deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Segments below the log start.
    pub below_start: usize,
    /// Segments beyond `retention.bytes`.
    pub by_size: usize,
    /// Segments older than `retention.ms`.
    pub by_time: usize,
}

impl Deleted {
    /// All segments.
    pub fn segments(&self) -> usize {
        self.below_start + self.by_size + self.by_time
    }
}

impl Log {
    /// Raises the log start: records before `offset` are not read any more, and their segments go with the next
    /// sweep. Returns whether the log start has moved. Fails with [`Error::OffsetOutOfRange`] above the high
    /// watermark.
    pub fn delete_records_before(&mut self, offset: Offset) -> Result<bool, Error> {
        self.dir.check()?;
        if offset > self.high_watermark {
            return Err(Error::OffsetOutOfRange { offset, start: self.start, end: self.high_watermark });
        }
        if offset <= self.start {
            return Ok(false);
        }
        self.raise_start(offset);
        Ok(true)
    }

    /// As [`Log::delete_records_before`] for a follower, whose leader's log start has moved: it may be above the
    /// high watermark known here, which then moves along, up to the log end.
    pub fn follow_log_start(&mut self, offset: Offset) -> bool {
        let offset = offset.min(self.end);
        let moved = offset > self.start;
        if moved {
            self.raise_start(offset);
        }
        moved
    }

    fn raise_start(&mut self, offset: Offset) {
        self.start = offset;
        self.high_watermark = self.high_watermark.max(offset);
        self.recovery_point = self.recovery_point.max(offset);
        self.epochs.truncate_start(offset);
        self.producers.on_log_start(offset);
    }

    /// Deletes segments that retention does not keep: below the log start, beyond `retention.bytes`, older than
    /// `retention.ms`; the last two only where `cleanup.policy` says delete. Never above the high watermark.
    ///
    /// Files get the suffix `.deleted` now and are removed later by [`LogDir::remove_doomed`].
    ///
    /// [`LogDir::remove_doomed`]: crate::LogDir::remove_doomed
    pub fn apply_retention(&mut self, now_ms: i64) -> Result<Deleted, Error> {
        self.dir.check()?;
        self.prune_snapshots()?;
        let start = self.start;
        let below_start = self.segments[1..].iter().take_while(|next| next.base <= start).count();
        let below_start = self.delete_first(below_start, now_ms)?;
        if !self.config.delete {
            return Ok(Deleted { below_start, ..Deleted::default() });
        }
        let by_size = self.delete_first(self.beyond_size(), now_ms)?;
        let expired = self.expired(now_ms)?;
        let by_time = self.delete_first(expired, now_ms)?;
        Ok(Deleted { below_start, by_size, by_time })
    }

    /// How many segments from the first on are not needed to have `retention.bytes`.
    fn beyond_size(&self) -> usize {
        let Ok(keep) = u64::try_from(self.config.retention_bytes) else { return 0 };
        let Some(mut surplus) = self.size().checked_sub(keep) else { return 0 };
        let fits = |segment: &&Segment| match surplus.checked_sub(segment.size.into()) {
            Some(left) => {
                surplus = left;
                true
            }
            None => false,
        };
        self.segments.iter().take_while(fits).count()
    }

    /// How many segments from the first on are older than `retention.ms`.
    fn expired(&mut self, now_ms: i64) -> Result<usize, Error> {
        let retention_ms = self.config.retention_ms;
        if retention_ms < 0 {
            return Ok(0);
        }
        let Log { dir, path, segments, .. } = self;
        let mut count = 0;
        for segment in segments.iter_mut() {
            let timestamp = segment.age_timestamp(segment.place(dir, path))?;
            if now_ms.saturating_sub(timestamp) <= retention_ms {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Deletes the first `count` segments, but none that the high watermark has not passed and no empty active one.
    fn delete_first(&mut self, count: usize, now_ms: i64) -> Result<usize, Error> {
        let passed = |at: usize| {
            let end = self.segments.get(at + 1).map_or(self.end, |next| next.base);
            let empty = at + 1 == self.segments.len() && self.segments[at].size == 0;
            end <= self.high_watermark && !empty
        };
        let count = (0..count).take_while(|at| passed(*at)).count();
        if count == 0 {
            return Ok(0);
        }
        if count == self.segments.len() {
            self.roll_at(now_ms, self.end)?;
        }
        let start = self.segments[count].base;
        if start > self.start {
            self.raise_start(start);
        }
        let later = self.segments.split_off(count);
        let doomed = std::mem::replace(&mut self.segments, later);
        self.delete_segments(doomed, now_ms)?;
        Ok(count)
    }

    /// Renames the files of segments that are not in the log any more, and has them removed later. Their producer
    /// snapshots go at once.
    pub(super) fn delete_segments(&mut self, doomed: Vec<Segment>, now_ms: i64) -> Result<(), Error> {
        if doomed.is_empty() {
            return Ok(());
        }
        self.names_changed += 1;
        let due_ms = now_ms.saturating_add(self.config.file_delete_delay_ms.max(0));
        for segment in &doomed {
            let place = segment.place(&self.dir, &self.path);
            for kind in FileKind::ALL {
                place.close(kind);
                let path = place.path_of(kind);
                let deleted = with_suffix(&path, ".deleted");
                match self.dir.disk().rename(&path, &deleted) {
                    Ok(()) => self.dir.doom(deleted, due_ms),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        // The segment is not in the log any more, but would come back with the next start.
                        let error = Error::io("rename", &path, error);
                        self.dir.poison(|| error.to_string());
                        return Err(error);
                    }
                }
            }
            self.dir.windows().forget(segment.key);
        }
        let bases: Vec<Offset> = doomed.iter().map(|segment| segment.base).collect();
        self.remove_snapshots(|offset| bases.binary_search(&offset).is_ok())
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
