//! Appending: as leader, which gives the offsets, or with the offsets another leader has given.
//!
//! Record bytes are not copied: what is written is each batch's header with the leader's fields, made here, and
//! the rest of the batch from where it lies.

use std::io::IoSlice;

use ottla_records::ids::{LeaderEpoch, NO_LEADER_EPOCH, Offset, TimestampMs};
use ottla_records::validate::Accepted;
use ottla_records::{Entry, EntryError, HEADER_SIZE};
use smallvec::SmallVec;

use super::Log;
use crate::error::{AppendError, Error};
use crate::index::{AbortedTxn, FileKind};
use crate::producers::{Checked, Incoming, Origin, Transaction, Update};

/// How a leader appends.
#[derive(Debug, Clone, Copy)]
pub struct LeaderAppend {
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Who asks.
    pub origin: Origin,
    /// For transactional batches and markers.
    pub transaction: Transaction,
}

impl LeaderAppend {
    /// For a produce request without transactions.
    pub fn from_client(now_ms: i64, leader_epoch: LeaderEpoch) -> LeaderAppend {
        LeaderAppend { now_ms, leader_epoch, origin: Origin::Client, transaction: Transaction::default() }
    }
}

/// What an append has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub first_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The append time on a LogAppendTime topic, and the batch's timestamp if it is a duplicate; else −1.
    pub log_append_time: TimestampMs,
    /// Whether the batch was in the log already: nothing was written, the offsets are those it got then.
    pub duplicate: bool,
    /// Whether `flush.messages` asks for a flush before the append is acknowledged.
    pub flush_due: bool,
    /// Whether a segment was completed, which should be flushed soon.
    pub rolled: bool,
}

/// What an append of replicated batches has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicated {
    /// Base offset of the first batch and last offset of the last; `None` if nothing was appended.
    pub offsets: Option<(Offset, Offset)>,
    /// Bytes appended; what lies behind was cut off, or of a leader that is too new.
    pub bytes: usize,
    /// Whether `flush.messages` asks for a flush.
    pub flush_due: bool,
    /// Whether a segment was completed, which should be flushed soon.
    pub rolled: bool,
}

/// A batch as the segment has to know it.
#[derive(Debug, Clone, Copy)]
struct Written {
    size: u32,
    base_offset: Offset,
    last_offset: Offset,
    max_timestamp: TimestampMs,
    leader_epoch: LeaderEpoch,
    magic: i8,
}

impl Log {
    /// Appends batches that were [validated](ottla_records::validate::produced), all or none, and gives them their
    /// offsets. Their CRC is not computed again unless the timestamp fields change.
    pub fn append_as_leader(
        &mut self,
        append: &LeaderAppend,
        batches: &[Accepted<'_>],
    ) -> Result<Appended, AppendError> {
        self.dir.check()?;
        let total: usize = batches.iter().map(|accepted| accepted.batch.size_in_bytes()).sum();
        if total > self.config.segment_bytes as usize {
            return Err(AppendError::LargerThanSegment { size: total, max: self.config.segment_bytes });
        }
        let mut next = self.end;
        let mut headers: SmallVec<[[u8; HEADER_SIZE]; 2]> = SmallVec::new();
        let mut incoming: SmallVec<[Incoming<'_>; 2]> = SmallVec::new();
        let mut written: SmallVec<[Written; 2]> = SmallVec::new();
        let mut max_timestamp = TimestampMs::MIN;
        for accepted in batches {
            let batch = accepted.batch;
            let last_offset = next
                .checked_add(i64::from(batch.last_offset_delta))
                .filter(|last| *last < Offset::MAX)
                .ok_or(AppendError::OffsetsExhausted)?;
            headers.push(batch.patched_header(&accepted.leader_fields(next, append.leader_epoch)));
            incoming.push(Incoming { batch, base_offset: next, max_timestamp: accepted.timestamp.1 });
            written.push(Written {
                size: batch.size_in_bytes() as u32,
                base_offset: next,
                last_offset,
                max_timestamp: accepted.timestamp.1,
                leader_epoch: append.leader_epoch,
                magic: 2,
            });
            max_timestamp = max_timestamp.max(accepted.timestamp.1);
            next = last_offset + 1;
        }
        let update = match self.producers.check(append.origin, append.transaction, &incoming)? {
            Checked::New(update) => update,
            Checked::Duplicate(known) => {
                return Ok(Appended {
                    first_offset: known.first_offset(),
                    last_offset: known.last_offset,
                    log_append_time: known.timestamp,
                    duplicate: true,
                    flush_due: false,
                    rolled: false,
                });
            }
        };
        let first_offset = self.end;
        let rolled = self.roll_if_needed(append.now_ms, total, max_timestamp, next - 1, first_offset)?;
        let mut bytes: SmallVec<[IoSlice<'_>; 4]> = SmallVec::new();
        for (header, incoming) in headers.iter().zip(&incoming) {
            bytes.push(IoSlice::new(header));
            bytes.push(IoSlice::new(incoming.batch.body()));
        }
        self.write(append.now_ms, &mut bytes, &written, update)?;
        let append_time = batches.first().and_then(|accepted| match accepted.timestamp {
            (ottla_records::TimestampType::LogAppendTime, time) => Some(time),
            _ => None,
        });
        Ok(Appended {
            first_offset,
            last_offset: next - 1,
            log_append_time: append_time.unwrap_or(-1),
            duplicate: false,
            flush_due: self.flush_messages_due(),
            rolled,
        })
    }

    /// Appends batches that another leader has numbered, as they come in a fetch response: checked, a cut-off
    /// batch at the end left out. Batches of an epoch above `leader_epoch` are left out too, with all behind them.
    pub fn append_as_follower(
        &mut self,
        now_ms: i64,
        leader_epoch: LeaderEpoch,
        bytes: &[u8],
    ) -> Result<Replicated, AppendError> {
        self.append_numbered(now_ms, bytes, |entry| {
            if let Err(error) = entry.verify() {
                return Err(Verdict::Corrupt(error));
            }
            let epoch = entry.leader_epoch();
            if epoch != NO_LEADER_EPOCH && epoch > leader_epoch { Err(Verdict::Stop) } else { Ok(()) }
        })
    }

    /// Appends batches that the raft leader, who writes to this log, has numbered itself. They are trusted but
    /// for their epoch.
    pub fn append_as_raft_leader(
        &mut self,
        now_ms: i64,
        leader_epoch: LeaderEpoch,
        bytes: &[u8],
    ) -> Result<Replicated, AppendError> {
        self.append_numbered(now_ms, bytes, |entry| match entry.leader_epoch() {
            epoch if epoch == leader_epoch => Ok(()),
            epoch => Err(Verdict::WrongEpoch { epoch, expected: leader_epoch }),
        })
    }

    fn append_numbered(
        &mut self,
        now_ms: i64,
        bytes: &[u8],
        judge: impl Fn(&Entry<'_>) -> Result<(), Verdict>,
    ) -> Result<Replicated, AppendError> {
        self.dir.check()?;
        let mut incoming: Vec<Incoming<'_>> = Vec::new();
        let mut written: Vec<Written> = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let corrupt = |error| AppendError::Corrupt { position: at, error };
            let entry = match Entry::parse(&bytes[at..]) {
                Err(error) if error.is_torn() => break,
                entry => entry.map_err(corrupt)?,
            };
            match judge(&entry) {
                Ok(()) => {}
                Err(Verdict::Stop) => break,
                Err(Verdict::Corrupt(error)) => return Err(corrupt(error)),
                Err(Verdict::WrongEpoch { epoch, expected }) => {
                    return Err(AppendError::WrongEpoch { epoch, expected });
                }
            }
            let size = entry.bytes().len();
            if size > self.config.segment_bytes as usize {
                return Err(AppendError::LargerThanSegment { size, max: self.config.segment_bytes });
            }
            let last_offset = entry.last_offset();
            let base_offset = entry.as_batch().map_or(last_offset, |batch| batch.base_offset);
            let previous = written.last().map_or(self.end - 1, |batch| batch.last_offset);
            if base_offset <= previous || last_offset < base_offset || last_offset == Offset::MAX {
                return Err(match written.is_empty() {
                    true => AppendError::UnexpectedOffset {
                        first: base_offset,
                        last: last_offset,
                        expected: self.end,
                    },
                    false => AppendError::OffsetsOutOfOrder { offset: last_offset, previous },
                });
            }
            written.push(Written {
                size: size as u32,
                base_offset,
                last_offset,
                max_timestamp: entry.max_timestamp(),
                leader_epoch: entry.leader_epoch(),
                magic: entry.magic(),
            });
            if let Some(batch) = entry.as_batch() {
                incoming.push(Incoming { batch: *batch, base_offset, max_timestamp: batch.max_timestamp });
            }
            at += size;
        }
        let offsets =
            written.first().zip(written.last()).map(|(first, last)| (first.base_offset, last.last_offset));
        let rolled = self.write_numbered(now_ms, &bytes[..at], &written, &incoming)?;
        Ok(Replicated { offsets, bytes: at, flush_due: self.flush_messages_due(), rolled })
    }

    /// Writes batches run by run, each run into one segment.
    fn write_numbered(
        &mut self,
        now_ms: i64,
        mut bytes: &[u8],
        mut written: &[Written],
        mut incoming: &[Incoming<'_>],
    ) -> Result<bool, AppendError> {
        let mut any_rolled = false;
        while let Some(first) = written.first() {
            any_rolled |= self.roll_if_needed(
                now_ms,
                first.size as usize,
                first.max_timestamp,
                first.last_offset,
                first.base_offset,
            )?;
            let (mut run, mut len) = (1, first.size as usize);
            while let Some(batch) = written.get(run) {
                let size = len + batch.size as usize;
                if self.should_roll(now_ms, size, batch.max_timestamp, batch.last_offset)? {
                    break;
                }
                (run, len) = (run + 1, size);
            }
            let (now, later) = written.split_at(run);
            let last_offset = now[run - 1].last_offset;
            let batches = incoming.partition_point(|incoming| incoming.base_offset <= last_offset);
            let checked =
                self.producers.check(Origin::Replication, Transaction::default(), &incoming[..batches])?;
            let Checked::New(update) = checked else {
                unreachable!("LOG-15: replicated batches are not compared with older ones");
            };
            self.write(now_ms, &mut [IoSlice::new(&bytes[..len])], now, update)?;
            (written, bytes, incoming) = (later, &bytes[len..], &incoming[batches..]);
        }
        Ok(any_rolled)
    }

    /// Writes at the end of the active segment, then takes the batches into everything that knows of them.
    fn write(
        &mut self,
        now_ms: i64,
        bytes: &mut [IoSlice<'_>],
        written: &[Written],
        update: Update,
    ) -> Result<(), Error> {
        let Some(last) = written.last() else { return Ok(()) };
        let Log { dir, path, segments, .. } = self;
        let active = segments.last_mut().expect("LOG-16: a log has a segment");
        let place = active.place(dir, path);
        let file = place.file(FileKind::Log)?;
        if let Err(error) = file.write_at(bytes, active.size.into()) {
            let failed = dir.changed("write", &place.path_of(FileKind::Log), Err::<(), _>(error));
            // A full disk leaves part of the bytes behind; without them the log is as it was.
            if matches!(failed, Err(Error::DiskFull { .. })) {
                place.truncate(FileKind::Log, active.size.into())?;
            }
            return failed;
        }
        if self.end == self.recovery_point {
            self.unflushed_since_ms = now_ms;
        }
        for batch in written {
            if batch.magic >= 2 {
                self.epochs.assign(batch.leader_epoch, batch.base_offset);
            } else {
                // Older formats carry no epoch: what is known cannot be relied on any more.
                self.epochs.clear();
            }
            self.recent.push(batch.base_offset, active.size);
            active.appended(
                place,
                self.config.index_interval_bytes,
                batch.size,
                batch.last_offset,
                batch.max_timestamp,
            )?;
        }
        self.end = last.last_offset + 1;
        let done = self.producers.apply(update);
        for (completed, last_stable_offset) in done.aborted {
            let aborted = AbortedTxn {
                producer_id: completed.producer_id,
                first_offset: completed.first_offset,
                last_offset: completed.last_offset,
                last_stable_offset,
            };
            self.names_changed += u32::from(active.aborted.is_empty());
            if let Err(error) = active.aborted.push(place, &aborted) {
                // The marker is in the log and the index does not have it: only recovery brings them together.
                dir.poison(|| error.to_string());
                return Err(error);
            }
        }
        self.producers.end_offset = self.end;
        Ok(())
    }
}

/// Why a numbered batch is not appended.
enum Verdict {
    Corrupt(EntryError),
    WrongEpoch {
        epoch: LeaderEpoch,
        expected: LeaderEpoch,
    },
    /// It and what follows is left out.
    Stop,
}
