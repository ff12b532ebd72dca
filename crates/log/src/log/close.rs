//! Flushing and closing.

use std::sync::Arc;

use ottla_records::ids::Offset;
use smallvec::SmallVec;

use super::{Log, snapshot_path};
use crate::dir::closed::{ClosedLog, ClosedSegment};
use crate::error::Error;
use crate::flush::{FlushFile, FlushWork, Flushed};
use crate::fs::{DiskFile, OpenMode};
use crate::index::FileKind;
use crate::segment::Segment;

impl Log {
    /// Records that are not known to be durable.
    pub fn unflushed(&self) -> i64 {
        self.end - self.recovery_point
    }

    pub(super) fn flush_messages_due(&self) -> bool {
        self.unflushed() >= self.config.flush_messages
    }

    /// Whether `flush.ms` asks for a flush.
    pub fn flush_due(&self, now_ms: i64) -> bool {
        self.unflushed() > 0 && now_ms.saturating_sub(self.unflushed_since_ms) >= self.config.flush_ms
    }

    /// What has to be made durable to move the recovery point to the log end; `None` if nothing has to.
    ///
    /// Run it without the log's lock, alone or through the directory's [`Flusher`](crate::Flusher), and hand the
    /// result to [`Log::flushed`].
    pub fn flush_work(&mut self) -> Result<Option<FlushWork>, Error> {
        self.flush_work_to(self.end, true)
    }

    /// The same for the completed segments only: what should be done in the background after a roll.
    pub fn flush_work_of_completed(&mut self) -> Result<Option<FlushWork>, Error> {
        self.flush_work_to(self.active().base, false)
    }

    fn flush_work_to(&mut self, up_to: Offset, active: bool) -> Result<Option<FlushWork>, Error> {
        self.dir.check()?;
        let epochs = self.epochs.unwritten();
        let names = self.names_changed != self.names_synced || self.topic_id_unsynced;
        if up_to <= self.recovery_point && !(active && (epochs.is_some() || names || self.new_dir)) {
            return Ok(None);
        }
        let mut files: SmallVec<[(FlushFile, Arc<dyn DiskFile>); 1]> = SmallVec::new();
        let mut segments = SmallVec::new();
        let first = self.segment_at(self.recovery_point);
        let last = self.segments.len() - 1;
        for (at, segment) in self.segments.iter().enumerate().skip(first) {
            let place = segment.place(&self.dir, &self.path);
            let kinds: &[FileKind] = match at == last {
                // The indexes of the active segment are made anew after a crash.
                true if active && up_to > self.recovery_point => &[FileKind::Log],
                true => &[],
                false if segment.synced => &[],
                false => &FileKind::ALL,
            };
            for kind in kinds {
                if *kind == FileKind::TxnIndex && segment.aborted.is_empty() {
                    continue;
                }
                files.push((FlushFile::Segment(segment.base, *kind), place.file(*kind)?));
            }
            if at < last && !segment.synced {
                segments.push(segment.base);
            }
        }
        if self.topic_id_unsynced {
            let path = self.path.join(super::partition_metadata::FILE);
            files.push((FlushFile::PartitionMetadata, self.dir.open_file(&path, OpenMode::Write)?));
        }
        for offset in &self.unsynced_snapshots {
            let path = snapshot_path(&self.path, *offset);
            files.push((FlushFile::Snapshot(*offset), self.dir.open_file(&path, OpenMode::Write)?));
        }
        Ok(Some(FlushWork {
            dir: self.dir.clone(),
            path: self.path.clone(),
            flushed: Flushed {
                up_to,
                segments,
                epochs,
                names: self.names_changed,
                truncations: self.truncations,
            },
            files,
            epochs: epochs.map(|_| self.epochs.encode()),
            names,
            new_dir: self.new_dir,
        }))
    }

    /// Takes in that a flush is done. Returns the recovery point.
    pub fn flushed(&mut self, flushed: &Flushed, now_ms: i64) -> Offset {
        // What was cut off since then may have been written anew.
        if flushed.truncations != self.truncations {
            return self.recovery_point;
        }
        for segment in &mut self.segments {
            segment.synced |= flushed.segments.contains(&segment.base);
        }
        self.unsynced_snapshots.retain(|offset| *offset > flushed.up_to);
        if flushed.up_to > self.recovery_point {
            self.recovery_point = flushed.up_to;
            self.unflushed_since_ms = now_ms;
        }
        if let Some(version) = flushed.epochs {
            self.epochs.set_written(version);
        }
        self.names_synced = flushed.names;
        self.topic_id_unsynced = false;
        self.new_dir = false;
        self.recovery_point
    }

    /// Makes everything durable, on this thread, and returns the recovery point.
    pub fn flush(&mut self, now_ms: i64) -> Result<Offset, Error> {
        let Some(work) = self.flush_work()? else { return Ok(self.recovery_point) };
        let flushed = work.run()?;
        Ok(self.flushed(&flushed, now_ms))
    }

    /// Closes the log so that [`Log::open`] can trust its files: indexes complete, a producer snapshot at the end,
    /// epochs written. They become durable with [`LogDir::mark_clean_shutdown`](crate::LogDir::mark_clean_shutdown),
    /// or with [`Log::flush`] before.
    pub fn close(mut self) -> Result<(), Error> {
        self.complete_files()?;
        if let Some(version) = self.epochs.unwritten() {
            let written = self.epochs.write(&**self.dir.disk(), &self.path);
            self.dir.changed("write", &self.path.join(crate::epochs::FILE), written)?;
            self.epochs.set_written(version);
        }
        Ok(())
    }

    /// As [`Log::close`], for the end of the process: what needs an fsync is left to
    /// [`LogDir::mark_clean_shutdown`](crate::LogDir::mark_clean_shutdown), which does it for all logs at once. Until
    /// then the log must not be opened again as one that was closed cleanly.
    ///
    /// Returns what the next start may be told of it ([`LogDir::write_closed_logs`](crate::LogDir::write_closed_logs));
    /// nothing of a log that had better be looked at.
    pub fn close_at_shutdown(mut self) -> Result<Option<ClosedLog>, Error> {
        self.complete_files()?;
        // An election since the last record leaves no trace: thousands of small files, of which nothing would be read.
        self.epochs.truncate_end(self.end);
        if self.epochs.is_unwritten_before(self.end) {
            self.dir.replace_at_shutdown(self.path.join(crate::epochs::FILE), &self.epochs.encode())?;
        }
        let name = self.path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|_| self.segments.iter().all(|segment| segment.aborted.is_empty()))
        else {
            return Ok(None);
        };
        let segment = |segment: &Segment| ClosedSegment {
            base: segment.base,
            size: segment.size,
            offsets: segment.offsets.len(),
            times: segment.times.len(),
        };
        Ok(Some(ClosedLog {
            name: name.to_owned(),
            topic_id: self.topic_id,
            end: self.end,
            segments: self.segments.iter().map(segment).collect(),
            snapshots: self.snapshots.clone(),
            epochs: self.epochs.entries().to_vec(),
        }))
    }

    fn complete_files(&mut self) -> Result<(), Error> {
        self.dir.check()?;
        let Log { dir, path, segments, .. } = self;
        if let Some(active) = segments.last_mut() {
            active.finish(active.place(dir, path))?;
        }
        self.write_snapshot()
    }
}

impl Drop for Log {
    /// Closes its files. What is not written yet is left to recovery, as after a crash.
    fn drop(&mut self) {
        for segment in &self.segments {
            let place = segment.place(&self.dir, &self.path);
            FileKind::ALL.into_iter().for_each(|kind| place.close(kind));
            self.dir.windows().forget(segment.key);
        }
    }
}
