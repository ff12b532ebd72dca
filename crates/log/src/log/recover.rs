//! Reading segments again after a crash: batches checked, indexes made anew, epochs and producers found again.

use ottla_records::ids::Offset;

use super::Log;
use super::open::{LoadReport, OpenOptions, Repair};
use crate::error::Error;
use crate::fs::read_file;
use crate::index::{AbortedTxn, FileKind, Place};
use crate::producers::{Checked, Incoming, Origin, Producers, Transaction, snapshot};
use crate::segment::{MAX_SIZE, Segment};
use crate::walk::Batches;

impl Log {
    /// Loads the indexes of segments that are trusted and recovers the others. Returns the producers at the log
    /// end, if they came out of that. `transaction_indexes` are the segments that have one.
    pub(super) fn check_segments(
        &mut self,
        transaction_indexes: &[Offset],
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<Option<Producers>, Error> {
        let trusted = match options.clean {
            true => self.segments.len(),
            false => self.segment_at(options.recovery_point),
        };
        let mut producers = None;
        let mut at = 0;
        while at < trusted {
            let segment = &mut self.segments[at];
            let place = segment.place(&self.dir, &self.path);
            let transactions = transaction_indexes.contains(&segment.base);
            if let Some(reason) = segment.load_indexes(place, transactions, !options.clean)? {
                let file = place.path_of(FileKind::Log);
                report.repairs.push(Repair::RebuiltIndexes { file, reason });
                let recovered = self.recover_segment(at, None, options, report)?;
                if at + 1 == self.segments.len() {
                    producers = Some(recovered);
                }
            }
            at += 1;
        }
        if options.clean || self.segments.is_empty() {
            return Ok(producers);
        }
        // Snapshots behind the first doubtful record may be of records that were truncated before the crash.
        let doubtful = self.segments[at].base;
        self.remove_snapshots(|offset| offset > doubtful)?;
        while at < self.segments.len() {
            if at > 0 && !self.follows(at, producers.as_ref())? {
                self.remove_segments_from(at, options.now_ms, report)?;
                break;
            }
            let cuts = report.repairs.len();
            producers = Some(self.recover_segment(at, producers.take(), options, report)?);
            at += 1;
            if report.repairs[cuts..].iter().any(|repair| matches!(repair, Repair::CutOff { .. })) {
                self.remove_segments_from(at, options.now_ms, report)?;
            }
        }
        Ok(producers)
    }

    /// Whether a doubtful segment begins where the one before ends. It may overlap, if it was deleted before the
    /// crash and has come back; or there may be a gap, if the end of the one before was never written. Compaction
    /// leaves gaps too, so where it is at work nothing can be said of them, and Kafka's way is taken.
    fn follows(&self, at: usize, before: Option<&Producers>) -> Result<bool, Error> {
        let previous = &self.segments[at - 1];
        let end = match before {
            Some(producers) => producers.end_offset,
            None => previous.next_offset(previous.place(&self.dir, &self.path))?,
        };
        let base = self.segments[at].base;
        Ok(end == base || (end < base && self.config.compact))
    }

    fn remove_segments_from(&mut self, at: usize, now_ms: i64, report: &mut LoadReport) -> Result<(), Error> {
        let doomed = self.segments.split_off(at);
        for segment in &doomed {
            let file = segment.place(&self.dir, &self.path).path_of(FileKind::Log);
            report.repairs.push(Repair::RemovedSegment { file });
        }
        self.delete_segments(doomed, now_ms)
    }

    /// Reads a whole segment, cuts it off at the first unsound batch, and makes its indexes anew. `before` are the
    /// producers at its start, if they are known. Returns the producers at its end.
    ///
    /// Only the last segment of a trusted log may be cut: fails with [`Error::Corrupt`] for any other.
    pub(super) fn recover_segment(
        &mut self,
        at: usize,
        before: Option<Producers>,
        options: &OpenOptions,
        report: &mut LoadReport,
    ) -> Result<Producers, Error> {
        let base = self.segments[at].base;
        let mut producers = match before {
            Some(producers) => producers,
            None => self.producers_from_snapshot(base, options.now_ms, report)?,
        };
        // Between two segments of a compacted log there may be a gap.
        producers.end_offset = base;
        let is_last = at + 1 == self.segments.len();
        let place = self.segments[at].place(&self.dir, &self.path);
        if is_last && self.segments[at].recover_blank(place)? {
            report.segments_checked += 1;
            return Ok(producers);
        }
        let may_cut = !options.clean && base >= self.first_doubtful(options) || at + 1 == self.segments.len();
        let Log { dir, path, segments, epochs, config, .. } = self;
        let segment = &mut segments[at];
        let place = segment.place(dir, path);
        let file = place.file(FileKind::Log)?;
        let end = u64::from(segment.size);
        segment.start_recovery(place)?;
        let mut batches = Batches::new(place, &*file, 0, end);
        let mut unsound = None;
        while let Some((position, entry)) = batches.next()? {
            let entry = match entry.and_then(|entry| entry.verify().map(|()| entry)) {
                Ok(entry) => entry,
                Err(error) => {
                    unsound = Some((position, error.to_string()));
                    break;
                }
            };
            let last_offset = entry.last_offset();
            let base_offset = entry.as_batch().map_or(last_offset, |batch| batch.base_offset);
            let size = entry.bytes().len() as u32;
            let relative = last_offset.checked_sub(base).unwrap_or(i64::MAX);
            let fits = relative <= i64::from(i32::MAX) && position + size <= MAX_SIZE;
            if base_offset < producers.end_offset || last_offset < base_offset || !fits {
                let expected = producers.end_offset;
                unsound = Some((position, format!("batch at offset {base_offset}, expected {expected}")));
                break;
            }
            segment.appended(place, config.index_interval_bytes, size, last_offset, entry.max_timestamp())?;
            if let Some(batch) = entry.as_batch() {
                epochs.found(batch.partition_leader_epoch, base_offset);
                let incoming = Incoming { batch: *batch, base_offset, max_timestamp: batch.max_timestamp };
                replay(&mut producers, &incoming, Some((place, segment)))?;
            }
            producers.end_offset = last_offset.saturating_add(1);
        }
        report.segments_checked += 1;
        report.bytes_checked += u64::from(segment.size);
        let sound = unsound.is_none();
        if let Some((position, reason)) = unsound {
            if !may_cut {
                return Err(place.corrupt(FileKind::Log, position.into(), reason));
            }
            place.truncate(FileKind::Log, position.into())?;
            let file = place.path_of(FileKind::Log);
            let bytes = end - u64::from(position);
            report.repairs.push(Repair::CutOff { file, position: position.into(), bytes, reason });
        }
        segment.finish(place)?;
        // The next segment's recovery, or a truncation later, need not read this one again.
        if sound && at + 1 < self.segments.len() && !options.clean {
            let next = self.segments[at + 1].base;
            if self.config.compact && producers.end_offset < next {
                producers.end_offset = next;
            }
            self.producers = producers;
            self.write_snapshot()?;
            producers = std::mem::take(&mut self.producers);
        }
        Ok(producers)
    }

    fn first_doubtful(&self, options: &OpenOptions) -> Offset {
        self.segments[self.segment_at(options.recovery_point)].base
    }

    /// The producers at `offset`, from the newest snapshot at or before it and the batches behind that.
    pub(super) fn producers_at(&mut self, offset: Offset, now_ms: i64) -> Result<Producers, Error> {
        self.producers_from_snapshot(offset, now_ms, &mut LoadReport::default())
    }

    pub(super) fn producers_from_snapshot(
        &mut self,
        offset: Offset,
        now_ms: i64,
        report: &mut LoadReport,
    ) -> Result<Producers, Error> {
        let mut producers = Producers::default();
        let mut damaged = Vec::new();
        for candidate in self.snapshots.iter().rev().copied().filter(|at| *at <= offset) {
            let path = self.snapshot_path(candidate);
            let bytes = read_file(&**self.dir.disk(), &path);
            let bytes = bytes.map_err(|source| Error::io("read", &path, source))?.unwrap_or_default();
            match snapshot::decode(&bytes) {
                Ok(entries) => {
                    producers.load(candidate, entries, now_ms, self.config.producer_id_expiration_ms);
                    break;
                }
                Err(reason) => {
                    damaged.push(candidate);
                    report.repairs.push(Repair::RemovedSnapshot { file: path, reason });
                }
            }
        }
        self.remove_snapshots(|offset| damaged.contains(&offset))?;
        self.replay_until(&mut producers, offset)?;
        Ok(producers)
    }

    /// Brings producers forward to `offset`.
    fn replay_until(&self, producers: &mut Producers, offset: Offset) -> Result<(), Error> {
        let from =
            producers.end_offset.max(self.start).max(self.segments.first().map_or(0, |first| first.base));
        producers.end_offset = from;
        if from >= offset {
            producers.end_offset = offset;
            return Ok(());
        }
        let first = self.segment_at(from);
        for segment in self.segments[first..].iter().take_while(|segment| segment.base < offset) {
            let place = segment.place(&self.dir, &self.path);
            let Some(located) = segment.locate(place, producers.end_offset)? else { continue };
            let file = place.file(FileKind::Log)?;
            let mut batches = Batches::new(place, &*file, located.position.into(), segment.size.into());
            while let Some((position, entry)) = batches.next()? {
                let entry = entry
                    .map_err(|error| place.corrupt(FileKind::Log, position.into(), error.to_string()))?;
                if entry.last_offset() >= offset {
                    break;
                }
                if let Some(batch) = entry.as_batch() {
                    let (base_offset, max_timestamp) = (batch.base_offset, batch.max_timestamp);
                    replay(producers, &Incoming { batch: *batch, base_offset, max_timestamp }, None)?;
                }
                producers.end_offset = entry.last_offset().saturating_add(1);
            }
        }
        producers.end_offset = offset;
        Ok(())
    }
}

/// Takes a batch of the log into the producers; and, when its segment is recovered, into the transaction index.
fn replay(
    producers: &mut Producers,
    incoming: &Incoming<'_>,
    mut recovered: Option<(Place<'_>, &mut Segment)>,
) -> Result<(), Error> {
    if !incoming.batch.has_producer_id() {
        return Ok(());
    }
    let checked =
        producers.check(Origin::Replication, Transaction::default(), std::slice::from_ref(incoming));
    let Ok(Checked::New(update)) = checked else {
        unreachable!("LOG-23: nothing of what is in a log is refused or a duplicate when it is read again");
    };
    for (completed, last_stable_offset) in producers.apply(update).aborted {
        if let Some((place, segment)) = &mut recovered {
            let aborted = AbortedTxn {
                producer_id: completed.producer_id,
                first_offset: completed.first_offset,
                last_offset: completed.last_offset,
                last_stable_offset,
            };
            segment.aborted.push(*place, &aborted)?;
        }
    }
    Ok(())
}
