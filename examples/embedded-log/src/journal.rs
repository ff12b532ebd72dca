//! A log of numbered records: record `n` has offset `n`, and everything in it can be checked.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use ottla_log::{
    CheckpointEntry, CheckpointKind, DirOptions, LeaderAppend, LoadReport, Log, LogConfig, LogDir,
    OpenOptions, PartitionDir, ReadUpTo,
};
use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::validate::{self, Rules};
use ottla_records::{BatchIter, Decompressor, Record};

const TOPIC: &str = "journal";
/// Timestamp of record 0; one millisecond lies between two records.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// The log and what is needed to use it.
pub(crate) struct Journal {
    dir: LogDir,
    log: Log,
    decompressor: Decompressor,
    /// What opening the log has found.
    pub(crate) report: LoadReport,
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

fn value_of(n: i64) -> String {
    format!("record number {n}, {}", "x".repeat((n % 90) as usize))
}

impl Journal {
    /// Opens the directory, which nobody else may be using, and the log in it.
    pub(crate) fn open(path: &Path) -> Result<Journal> {
        let dir = LogDir::open(path, DirOptions::default())?;
        // The last user may have stopped cleanly, or not: then the end of the log is checked.
        let clean = dir.clean_shutdown()?.is_some();
        let points = dir.read_checkpoint(CheckpointKind::RecoveryPoint)?;
        let config = LogConfig { segment_bytes: 16 << 20, retention_ms: -1, ..LogConfig::default() };
        let options = OpenOptions {
            recovery_point: points.first().map_or(0, |entry| entry.offset),
            high_watermark: i64::MAX,
            ..OpenOptions::new(Arc::new(config), now_ms(), clean)
        };
        let partition = PartitionDir::current(TOPIC, 0);
        let (log, report) = match dir.partitions()?.contains(&partition) {
            true => Log::open(&dir, &partition, &options)?,
            false => (Log::create(&dir, &partition, None, &options)?, LoadReport::default()),
        };
        // From here on, until `close`, a crash is a crash.
        dir.forget_clean_shutdown()?;
        Ok(Journal { dir, log, decompressor: Decompressor::new(), report })
    }

    /// The number of the next record.
    pub(crate) fn end(&self) -> i64 {
        self.log.log_end()
    }

    /// Appends one batch of this many records.
    pub(crate) fn append(&mut self, count: i64) -> Result<()> {
        let first = self.end();
        let mut builder = BatchBuilder::new(0);
        for n in first..first + count {
            let (key, value) = (n.to_be_bytes(), value_of(n));
            builder.append(&NewRecord::new(FIRST_TIMESTAMP + n, Some(&key), Some(value.as_bytes())));
        }
        let bytes = builder.build();
        let batch = validate::produced(&bytes, &Rules::default(), now_ms(), &mut self.decompressor)?;
        let appended = self.log.append_as_leader(&LeaderAppend::from_client(now_ms(), 0), &[batch])?;
        ensure!(appended.first_offset == first, "got offset {} for {first}", appended.first_offset);
        self.log.set_high_watermark(self.end());
        Ok(())
    }

    /// Makes everything durable; returns how many records are.
    pub(crate) fn flush(&mut self) -> Result<i64> {
        let durable = self.log.flush(now_ms())?;
        let entry = CheckpointEntry { topic: TOPIC.into(), partition: 0, offset: durable };
        self.dir.write_checkpoint(CheckpointKind::RecoveryPoint, [entry])?;
        Ok(durable)
    }

    /// Reads all records from `first` to the end and checks each; returns how many there are.
    pub(crate) fn check_from(&mut self, first: i64) -> Result<i64> {
        let mut n = first;
        while n < self.end() {
            let slice = self.log.read(n, 1 << 20, true, ReadUpTo::LogEnd)?.slice;
            let bytes = slice.to_vec()?;
            for batch in BatchIter::new(&bytes) {
                let batch = match batch {
                    // The last batch of a read may be cut off.
                    Err(error) if error.error.is_torn() => break,
                    batch => batch?,
                };
                batch.verify()?;
                for record in self.decompressor.records(&batch, 1 << 30)? {
                    let record = record?;
                    if record.offset >= n {
                        check(&record, n)?;
                        n += 1;
                    }
                }
            }
        }
        Ok(n - first)
    }

    /// The number in the record at `offset`.
    pub(crate) fn record_at(&mut self, offset: i64) -> Result<i64> {
        let bytes = self.log.read(offset, 1, true, ReadUpTo::LogEnd)?.slice.to_vec()?;
        let batch = BatchIter::verified(&bytes).next().context("a batch")??;
        for record in self.decompressor.records(&batch, 1 << 30)? {
            let record = record?;
            if record.offset == offset {
                check(&record, offset)?;
                return Ok(i64::from_be_bytes(record.key.context("a key")?.try_into()?));
            }
        }
        bail!("no record at {offset}")
    }

    /// The offset that the log finds for the time of record `n`.
    pub(crate) fn offset_at_time_of(&mut self, n: i64) -> Result<Option<i64>> {
        let found = self.log.offset_for_timestamp(FIRST_TIMESTAMP + n, &mut self.decompressor)?;
        Ok(found.map(|found| found.offset))
    }

    /// Closes the log cleanly: the next [`Journal::open`] reads nothing again.
    pub(crate) fn close(self) -> Result<()> {
        self.log.close()?;
        self.dir.mark_clean_shutdown(0)?;
        Ok(())
    }
}

fn check(record: &Record<'_>, n: i64) -> Result<()> {
    ensure!(record.offset == n, "offset {} instead of {n}", record.offset);
    ensure!(record.timestamp == FIRST_TIMESTAMP + n, "record {n} has another time");
    ensure!(record.key == Some(&n.to_be_bytes()[..]), "record {n} has another key");
    ensure!(record.value == Some(value_of(n).as_bytes()), "record {n} has another value");
    Ok(())
}
