//! Offsets of moments, ends of epochs, producers: what is asked about a partition.

use std::sync::Arc;

use ottla_log::Log;
use ottla_protocol::ErrorCode;
use ottla_records::Decompressor;

use super::Partition;
use super::role::Role;

/// A moment whose offset is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    Earliest,
    HighWatermark,
    LastStable,
    LogEnd,
    /// The record with the largest timestamp.
    MaxTimestamp {
        read_committed: bool,
    },
    /// The first record of this timestamp or a later one.
    At {
        timestamp_ms: i64,
        read_committed: bool,
    },
}

/// The answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundOffset {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) leader_epoch: i32,
}

/// An idempotent producer that the partition remembers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Producer {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) last_sequence: i32,
    pub(crate) last_timestamp_ms: i64,
    pub(crate) coordinator_epoch: i32,
    pub(crate) transaction_start: Option<i64>,
}

/// The offset up to which a client may read.
fn readable(log: &Log, read_committed: bool) -> i64 {
    if read_committed { log.last_stable_offset() } else { log.high_watermark() }
}

impl Partition {
    /// The offset of a moment; `None` when no record is that late.
    pub(crate) fn offset_of(
        &self,
        moment: Moment,
        current_leader_epoch: i32,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let mut state = self.state.lock();
        state.check_leader(current_leader_epoch)?;
        let leader_epoch = state.leader_epoch;
        let Role::Leads(leader) = &state.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        let epoch_start = leader.epoch_start();
        let log = state.log_mut();
        // Right after an election the high watermark may be behind what clients have been told by the leader before:
        // what lies between is not known yet (KIP-207). An open transaction holds back the last stable offset for
        // longer, and is no reason.
        let is_known = match epoch_start > log.high_watermark() {
            true => Err(ErrorCode::OffsetNotAvailable),
            false => Ok(()),
        };
        let mut decompressor = Decompressor::new();
        let plain = |offset| Ok(Some(FoundOffset { offset, timestamp_ms: -1, leader_epoch }));
        let (found, before) = match moment {
            Moment::Earliest => {
                let offset = log.log_start();
                let leader_epoch = log.epoch_at(offset).unwrap_or(-1);
                return Ok(Some(FoundOffset { offset, timestamp_ms: -1, leader_epoch }));
            }
            Moment::HighWatermark => {
                is_known?;
                return plain(log.high_watermark());
            }
            Moment::LastStable => {
                is_known?;
                return plain(log.last_stable_offset());
            }
            Moment::LogEnd => return plain(log.log_end()),
            Moment::MaxTimestamp { read_committed } => {
                (log.max_timestamp(&mut decompressor), readable(log, read_committed))
            }
            Moment::At { timestamp_ms, read_committed } => {
                (log.offset_for_timestamp(timestamp_ms, &mut decompressor), readable(log, read_committed))
            }
        };
        let found = found.map_err(|error| {
            tracing::error!("cannot search {}-{}: {error}", self.topic, self.index);
            ErrorCode::KafkaStorageError
        })?;
        let found = found.filter(|f| f.offset < before);
        if found.is_none() {
            is_known?;
        }
        Ok(found.map(|f| FoundOffset {
            offset: f.offset,
            timestamp_ms: f.timestamp,
            leader_epoch: f.leader_epoch.unwrap_or(-1),
        }))
    }

    /// The largest epoch that is not above `epoch`, and where it ended; (-1, -1) when none is known.
    pub(crate) fn epoch_end(&self, epoch: i32, current_leader_epoch: i32) -> Result<(i32, i64), ErrorCode> {
        let state = self.state.lock();
        state.check_leader(current_leader_epoch)?;
        Ok(state.log().end_of_epoch(epoch).unwrap_or((-1, -1)))
    }

    /// The offset up to which records are deleted on every replica that lives.
    pub(crate) fn low_watermark(&self) -> Result<i64, ErrorCode> {
        let state = self.state.lock();
        match &state.role {
            Role::Leads(leader) if !state.gone => Ok(leader.low_watermark(&*self.neighbours)),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Raises the log start offset; -1 stands for the high watermark. Returns the new log start; the other replicas
    /// follow ([`Partition::low_watermark`]).
    pub(crate) fn delete_records(self: &Arc<Self>, offset: i64) -> Result<i64, ErrorCode> {
        let mut state = self.state.lock();
        state.check_leader(-1)?;
        if !state.config.cleanup.delete {
            // A compacted topic's records are dropped by key, not by offset.
            return Err(ErrorCode::PolicyViolation);
        }
        let high_watermark = state.log().high_watermark();
        let offset = if offset == -1 { high_watermark } else { offset };
        if offset < 0 || offset > high_watermark {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        state.log_mut().delete_records_before(offset).map_err(|error| {
            tracing::error!("cannot delete records of {}-{}: {error}", self.topic, self.index);
            ErrorCode::KafkaStorageError
        })?;
        self.log_start_moved(&mut state);
        Ok(state.log().log_start())
    }

    /// The producers that the partition remembers; every replica has them with its log.
    pub(crate) fn producers(&self) -> Result<Vec<Producer>, ErrorCode> {
        let state = self.state.lock();
        if state.gone {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        let Some(log) = state.log.as_ref() else { return Err(ErrorCode::NotLeaderOrFollower) };
        let mut producers: Vec<Producer> = log
            .producers()
            .map(|(producer_id, entry)| Producer {
                producer_id,
                epoch: entry.epoch,
                last_sequence: entry.last_sequence(),
                last_timestamp_ms: entry.last_timestamp,
                coordinator_epoch: entry.coordinator_epoch,
                transaction_start: entry.open_transaction(),
            })
            .collect();
        producers.sort_by_key(|p| p.producer_id);
        Ok(producers)
    }
}
