//! Cutting a log off at its end, or starting it anew.

use ottla_records::ids::Offset;
use ottla_records::mutant;

use super::Log;
use crate::error::Error;
use crate::producers::Producers;

impl Log {
    /// Removes the records at `offset` and behind it. Returns whether anything changed.
    ///
    /// A batch that holds `offset` goes as a whole. If the log begins behind `offset` it is emptied and goes on
    /// at `offset`.
    ///
    /// The recovery point moves back. Its checkpoint must be written before the next append: it would vouch for
    /// records that are not durable.
    pub fn truncate_to(&mut self, offset: Offset, now_ms: i64) -> Result<bool, Error> {
        assert!(offset >= 0, "LOG-20: cannot truncate {} to {offset}", self.path.display());
        self.dir.check()?;
        if offset >= self.end {
            // An epoch may have begun here without a single record.
            self.epochs.truncate_end(self.end);
            return Ok(false);
        }
        if self.segments[0].base > offset {
            self.truncate_fully(offset, now_ms)?;
            return Ok(true);
        }
        self.truncations += 1;
        self.recent.clear();
        let keep = self.segment_at(offset) + 1;
        let doomed = self.segments.split_off(keep);
        if !doomed.is_empty() {
            self.delete_segments(doomed, now_ms)?;
            // They must not come back behind what is appended from here on.
            self.dir.sync_dir(&self.path)?;
        }
        let Log { dir, path, segments, .. } = self;
        let active = segments.last_mut().expect("LOG-21: one segment at least was kept");
        active.truncate_to(active.place(dir, path), offset, now_ms)?;
        let base = active.base;
        self.end = offset;
        self.start = self.start.min(offset);
        // The cut itself must become durable with the next flush, even if what follows goes to another segment:
        // records that come back after a power cut would overlap with it.
        self.recovery_point = self.recovery_point.min(base.max(self.start));
        self.high_watermark = self.high_watermark.min(offset);
        self.epochs.truncate_end(offset);
        if mutant::is("producers-outlive-truncation") {
            self.producers.end_offset = self.end;
            return Ok(true);
        }
        self.rebuild_producers(now_ms)?;
        Ok(true)
    }

    /// Removes all records; the log goes on at `offset`. The recovery point's checkpoint is to be written as after
    /// [`Log::truncate_to`].
    pub fn truncate_fully(&mut self, offset: Offset, now_ms: i64) -> Result<(), Error> {
        self.dir.check()?;
        self.truncations += 1;
        self.recent.clear();
        let doomed = std::mem::take(&mut self.segments);
        let removed = self.delete_segments(doomed, now_ms).and_then(|()| self.dir.sync_dir(&self.path));
        // Even if that fails there must be a segment.
        let segment = self.new_segment(offset, now_ms);
        match (removed, segment) {
            (Ok(()), Ok(segment)) => self.segments.push(segment),
            (Err(error), _) | (_, Err(error)) => {
                // Files of the old segments may be there or not: only a new start can tell.
                self.dir.poison(|| error.to_string());
                let key = self.dir.handles().new_keys(4);
                let place = crate::index::Place { dir: &self.dir, path: &self.path, base: offset, key };
                self.segments.push(crate::segment::Segment::unchecked(place, 0, now_ms));
                return Err(error);
            }
        }
        self.epochs.clear();
        self.remove_snapshots(|_| true)?;
        self.producers.clear(offset);
        self.start = offset;
        self.end = offset;
        self.high_watermark = offset;
        self.recovery_point = self.recovery_point.min(offset);
        Ok(())
    }

    /// Brings the producers to the state of the log end, which has moved back.
    fn rebuild_producers(&mut self, now_ms: i64) -> Result<(), Error> {
        let end = self.end;
        self.remove_snapshots(|offset| offset > end)?;
        self.producers.forget_verifications();
        if self.producers.is_empty() && self.producers.end_offset >= end {
            // Without producers there were none before either.
            self.producers.end_offset = end;
            self.producers.snapshot_offset = self.snapshots.last().copied().unwrap_or(0);
            return Ok(());
        }
        self.producers = Producers::default();
        self.producers = self.producers_at(end, now_ms)?;
        self.write_snapshot()
    }
}
