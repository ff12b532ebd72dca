//! Beginning a new segment.

use ottla_records::ids::{Offset, TimestampMs};

use super::Log;
use crate::error::Error;
use crate::fs::OpenMode;
use crate::index::Place;
use crate::segment::Segment;

impl Log {
    pub(super) fn should_roll(
        &mut self,
        now_ms: i64,
        bytes: usize,
        max_timestamp: TimestampMs,
        last_offset: Offset,
    ) -> Result<bool, Error> {
        let Log { dir, path, segments, config, .. } = self;
        let active = segments.last_mut().expect("LOG-17: a log has a segment");
        let place = active.place(dir, path);
        active.should_roll(place, config, now_ms, bytes, max_timestamp, last_offset)
    }

    /// Rolls if the batches to come belong into a new segment. Returns whether it did.
    pub(super) fn roll_if_needed(
        &mut self,
        now_ms: i64,
        bytes: usize,
        max_timestamp: TimestampMs,
        last_offset: Offset,
        base_offset: Offset,
    ) -> Result<bool, Error> {
        let roll = self.should_roll(now_ms, bytes, max_timestamp, last_offset)?;
        if roll {
            self.roll_at(now_ms, base_offset)?;
        }
        Ok(roll)
    }

    /// Completes the active segment and begins a new one, unless the active one is empty. Returns whether it did.
    pub fn roll(&mut self, now_ms: i64) -> Result<bool, Error> {
        self.dir.check()?;
        if self.active().size == 0 {
            return Ok(false);
        }
        self.roll_at(now_ms, self.end).map(|()| true)
    }

    /// Begins a segment at `offset` or the log end, whichever is larger. Offsets between are left out, as compaction
    /// on the leader leaves them out.
    pub(super) fn roll_at(&mut self, now_ms: i64, offset: Offset) -> Result<(), Error> {
        let base = offset.max(self.end);
        if self.active().size == 0 {
            // Its base is too low for what comes, or its indexes have no room for a single entry.
            return self.replace_empty_segment(now_ms, base);
        }
        let Log { dir, path, segments, .. } = self;
        let active = segments.last_mut().expect("LOG-18: a log has a segment");
        active.finish(active.place(dir, path))?;
        let segment = self.new_segment(base, now_ms)?;
        self.segments.push(segment);
        self.recent.clear();
        self.producers.end_offset = base;
        self.write_snapshot()
    }

    fn replace_empty_segment(&mut self, now_ms: i64, base: Offset) -> Result<(), Error> {
        if self.active().base == base {
            return Ok(());
        }
        let old = self.segments.pop().expect("LOG-19: a log has a segment");
        let segment = self.new_segment(base, now_ms)?;
        self.segments.push(segment);
        self.recent.clear();
        self.delete_segments(vec![old], now_ms)
    }

    pub(super) fn new_segment(&mut self, base: Offset, now_ms: i64) -> Result<Segment, Error> {
        self.names_changed += 1;
        let key = self.dir.handles().new_keys(4);
        Segment::create(Place { dir: &self.dir, path: &self.path, base, key }, now_ms)
    }

    /// Writes a producer snapshot at the offset up to which the producers are known, unless there is one. It
    /// becomes durable with the next flush.
    pub(super) fn write_snapshot(&mut self) -> Result<(), Error> {
        let offset = self.producers.end_offset;
        if offset <= self.producers.snapshot_offset {
            return Ok(());
        }
        let path = self.snapshot_path(offset);
        let bytes = self.producers.encode();
        let file = self.dir.open_file(&path, OpenMode::Replace)?;
        let written = file.write_at(&mut [std::io::IoSlice::new(&bytes)], 0);
        self.dir.changed("write", &path, written)?;
        self.names_changed += 1;
        self.producers.snapshot_offset = offset;
        if let Err(at) = self.snapshots.binary_search(&offset) {
            self.snapshots.insert(at, offset);
        }
        self.unsynced_snapshots.push(offset);
        Ok(())
    }

    /// Removes snapshots that are of no use: all but those at the start of a segment and the newest.
    pub(super) fn prune_snapshots(&mut self) -> Result<(), Error> {
        let bases: Vec<Offset> = self.segments.iter().map(|segment| segment.base).collect();
        let newest = self.snapshots.last().copied();
        self.remove_snapshots(|offset| Some(offset) != newest && bases.binary_search(&offset).is_err())
    }

    /// Removes the snapshots at these offsets.
    pub(super) fn remove_snapshots(&mut self, doomed: impl Fn(Offset) -> bool) -> Result<(), Error> {
        for offset in self.snapshots.iter().copied().filter(|offset| doomed(*offset)) {
            self.dir.remove_file(&self.snapshot_path(offset))?;
            self.names_changed += 1;
        }
        self.snapshots.retain(|offset| !doomed(*offset));
        self.unsynced_snapshots.retain(|offset| !doomed(*offset));
        Ok(())
    }
}
