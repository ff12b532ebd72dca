//! Finding offsets by time.

use ottla_records::Decompressor;
use ottla_records::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset, TimestampMs};

use super::Log;
use crate::error::Error;
use crate::index::FileKind;
use crate::walk::Batches;

/// The most bytes a batch may become while its records are looked at.
const MAX_DECOMPRESSED: usize = 128 << 20;

/// A record by its time and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// Its offset.
    pub offset: Offset,
    /// Epoch of the leader that took it in; `None` in older formats.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl Log {
    /// The first record at or above the log start whose timestamp is `timestamp` or later.
    ///
    /// "First" is by offset, as in Kafka. Reads the disk.
    pub fn offset_for_timestamp(
        &mut self,
        timestamp: TimestampMs,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampOffset>, Error> {
        let from = self.start;
        for at in 0..self.segments.len() {
            let Log { dir, path, segments, .. } = self;
            let segment = &mut segments[at];
            let place = segment.place(dir, path);
            if segment.age_timestamp(place)? < timestamp {
                continue;
            }
            let position = segment.floor_of_time(place, timestamp, from)?;
            let found = self.find_record(at, position, decompressor, |record| {
                record.timestamp >= timestamp && record.offset >= from
            })?;
            // The records that are late enough may all lie below the log start.
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp of all; `None` if no record has a timestamp.
    pub fn max_timestamp(
        &mut self,
        decompressor: &mut Decompressor,
    ) -> Result<Option<TimestampOffset>, Error> {
        let mut latest: Option<(TimestampMs, Offset, usize)> = None;
        let Log { dir, path, segments, .. } = self;
        for (at, segment) in segments.iter_mut().enumerate() {
            let (timestamp, offset) = segment.max_timestamp(segment.place(dir, path))?;
            if timestamp >= 0 && latest.is_none_or(|(known, _, _)| timestamp > known) {
                latest = Some((timestamp, offset, at));
            }
        }
        let Some((timestamp, offset, at)) = latest else { return Ok(None) };
        let segment = &self.segments[at];
        let position = segment.floor(segment.place(&self.dir, &self.path), offset)?;
        self.find_record(at, position, decompressor, |record| record.timestamp == timestamp)
    }

    /// The first record that is wanted, in a segment from the batch at `position` on.
    fn find_record(
        &self,
        segment: usize,
        position: u32,
        decompressor: &mut Decompressor,
        mut wanted: impl FnMut(&TimestampOffset) -> bool,
    ) -> Result<Option<TimestampOffset>, Error> {
        let segment = &self.segments[segment];
        let place = segment.place(&self.dir, &self.path);
        let file = place.file(FileKind::Log)?;
        let mut batches = Batches::new(place, &*file, position.into(), segment.size.into());
        while let Some((position, entry)) = batches.next()? {
            let corrupt = |error: ottla_records::EntryError| {
                place.corrupt(FileKind::Log, position.into(), error.to_string())
            };
            let entry = entry.map_err(corrupt)?;
            let leader_epoch = Some(entry.leader_epoch()).filter(|epoch| *epoch != NO_LEADER_EPOCH);
            // The whole batch is asked first: its records need not be looked at if none can be late enough.
            let last = TimestampOffset {
                timestamp: entry.max_timestamp(),
                offset: entry.last_offset(),
                leader_epoch,
            };
            if !wanted(&last) {
                continue;
            }
            for record in entry.records(decompressor, MAX_DECOMPRESSED).map_err(corrupt)? {
                let record = record.map_err(corrupt)?;
                let found =
                    TimestampOffset { timestamp: record.timestamp, offset: record.offset, leader_epoch };
                if wanted(&found) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }
}
