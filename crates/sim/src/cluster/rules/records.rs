//! 12, 13, 17, 18, 20: what is committed in a partition stays so, at its offset, with its bytes; whoever is elected
//! cleanly has it; nobody acknowledges anything else. An unclean election says where it took something away.

use std::collections::BTreeMap;

use ottla_log::{Log, ReadUpTo};
use ottla_records::BatchIter;

use super::hold;

/// A committed batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub base: i64,
    pub next: i64,
    pub epoch: i32,
    /// Number of the write that brought it.
    pub number: u64,
    pub producer: (i64, i32, i32),
    pub crc: u32,
}

/// All that is committed in one partition.
#[derive(Debug, Default)]
pub struct Chapter {
    records: BTreeMap<i64, Record>,
    end: i64,
    sequences: super::sequences::Sequences,
    /// An unclean election whose leader has not begun yet.
    open: Option<i32>,
    /// The epoch of the last unclean election; 0 for none.
    unclean: i32,
    /// The newest epoch that a leader began.
    newest: i32,
    /// Set when an older leader committed something.
    pub suspect: Option<i32>,
}

/// Batches of a log between two offsets.
pub fn read(log: &Log, from: i64, to: i64) -> Vec<Record> {
    let (mut at, mut found) = (from.max(log.log_start()), Vec::new());
    while at < to {
        let read =
            log.read(at, 1 << 20, true, ReadUpTo::LogEnd).expect("invariant 17 broken: a log cannot be read");
        let bytes = read.slice.to_vec().expect("invariant 17 broken: a log cannot be read");
        let before = at;
        for batch in BatchIter::verified(&bytes) {
            let Ok(batch) = batch else { break };
            let header = *batch.header();
            at = header.next_offset();
            if header.next_offset() <= from || header.base_offset >= to {
                continue;
            }
            found.push(Record {
                base: header.base_offset,
                next: header.next_offset(),
                epoch: header.partition_leader_epoch,
                number: number(&batch.body()[..batch.body().len().min(40)]),
                producer: (header.producer_id, header.base_sequence, header.last_sequence()),
                crc: header.crc,
            });
        }
        assert!(at > before, "invariant 22 broken: no whole batch at {before}");
    }
    found
}

/// What stands between the hash sign and the dot at the beginning of the first record's value.
fn number(body: &[u8]) -> u64 {
    // Lengths before the value are even as they are stored: none of them is a hash sign.
    let value = body.splitn(2, |byte| *byte == b'#').nth(1).unwrap_or_default();
    let digits = value.split(|byte| *byte == b'.').next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

impl Chapter {
    /// The offset behind everything.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Whether what is committed is about to be settled anew.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether records may have been lost by an election.
    pub fn had_unclean_election(&self) -> bool {
        self.unclean > 0
    }

    /// A leader was elected that may lack records.
    pub fn unclean_election(&mut self, epoch: i32) {
        self.open = Some(epoch);
        self.unclean = epoch;
    }

    /// The leader of an epoch begins.
    pub fn begins(&mut self, epoch: i32, log: &Log) {
        if epoch < self.unclean {
            return;
        }
        self.newest = self.newest.max(epoch);
        match self.open {
            Some(_) => self.settle_anew(log),
            None => self.complete(log),
        }
    }

    /// What an uncleanly elected leader has is what there is.
    fn settle_anew(&mut self, log: &Log) {
        self.open = None;
        let has: BTreeMap<i64, Record> =
            read(log, 0, self.end.min(log.log_end())).into_iter().map(|it| (it.base, it)).collect();
        let lost =
            self.records.iter().find(|(base, record)| has.get(base) != Some(record)).map(|(base, _)| *base);
        if let Some(lost) = lost {
            self.records.split_off(&lost);
            self.end = lost;
        }
        self.sequences.forget();
        for record in self.records.values() {
            self.sequences.restore(record);
        }
    }

    /// This log has everything that is committed.
    pub fn complete(&self, log: &Log) {
        if self.is_open() {
            return;
        }
        hold!(13, log.log_end() >= self.end, "a log ends at {}, committed is {}", log.log_end(), self.end);
        self.same(log, self.end, 13);
    }

    /// A log says up to `to` what is committed.
    pub fn same(&self, log: &Log, to: i64, rule: u32) {
        let mut has = read(log, 0, to).into_iter();
        for record in self.records.range(..to).map(|(_, record)| record) {
            let other = has.next();
            assert!(
                other.as_ref() == Some(record),
                "invariant {rule} broken: committed is {record:?}, a log has {other:?}"
            );
        }
    }

    /// The leader of an epoch says that everything below this is committed.
    pub fn committed(&mut self, epoch: i32, high_watermark: i64, log: &Log) {
        if epoch < self.unclean {
            // It does not know yet that others went on without it.
            return;
        }
        if self.is_open() {
            self.newest = self.newest.max(epoch);
            self.settle_anew(log);
        }
        if high_watermark <= self.end {
            return;
        }
        for record in read(log, self.end, high_watermark) {
            hold!(12, record.base == self.end, "{record:?} is committed at {}", self.end);
            self.end = record.next;
            self.sequences.committed(&record);
            self.records.insert(record.base, record);
        }
        hold!(19, self.end == high_watermark, "the high watermark {high_watermark} is inside of a batch");
        if epoch < self.newest {
            self.suspect = Some(self.newest);
        }
    }

    /// A client was told that its records lie here.
    pub fn acknowledged(&self, epoch: i32, base: i64, number: u64) {
        if epoch < self.unclean || self.is_open() {
            return;
        }
        let found = self.records.get(&base).map(|record| record.number);
        hold!(18, found == Some(number), "{number} is acknowledged at {base}, committed there is {found:?}");
    }
}
