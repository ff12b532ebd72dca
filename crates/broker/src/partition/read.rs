//! Reading from a partition: what a fetch gets, what a coordinator loads.

use std::sync::Arc;

use ottla_log::{ReadUpTo, Slice};
use ottla_protocol::ErrorCode;
use ottla_replication::leader::FetchRefused;
use ottla_replication::{Ends, compare_ends};
use tracing::{debug, error};

use super::role::Role;
use super::{Partition, State};
use crate::fetch_session::Wanted;
use crate::throttle;

/// What a fetch gets of one partition.
#[derive(Debug)]
pub(crate) struct FetchRead {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) slice: Option<Slice>,
    /// Producer id and first offset of the aborted transactions in the slice.
    pub(crate) aborted: Vec<(i64, i64)>,
    /// The epoch and end offset at which the reader's log diverged from this one.
    pub(crate) diverging: Option<(i32, i64)>,
    /// Whether the replica that reads has not been told this high watermark yet.
    pub(crate) owes_watermark: bool,
    /// Whether there is more than the reader has.
    pub(crate) behind: bool,
    /// Whether the replica that reads is not in sync: each of its fetches may bring it in.
    pub(crate) joining: bool,
    /// Whether the slice ends with its segment and there is more behind it. A fetch that waited for more bytes would
    /// wait in vain: one read never goes from one segment into the next.
    pub(crate) is_cut_short: bool,
    /// The replica that the consumer had better read from (KIP-392).
    pub(crate) nearer: Option<i32>,
    /// The partition, where what was read of it is still to be counted.
    pub(crate) from: Option<Arc<Partition>>,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A client, which reads what is committed. One that knows of preferred replicas may read from followers, too
    /// (KIP-392).
    Client { committed: bool, from_followers: bool },
    /// A replica, which reads to the log's end. `counts` for the first look of a fetch, which tells where the
    /// replica's log ends.
    Replica { id: i32, broker_epoch: i64, counts: bool },
}

impl Partition {
    /// Reads what `want` asks for, at most `left` bytes; `at_least_one` gives a first batch that is larger.
    pub(crate) fn fetch(
        self: &Arc<Self>,
        want: &Wanted,
        left: usize,
        at_least_one: bool,
        reader: Reader,
    ) -> Result<FetchRead, ErrorCode> {
        let mut state = self.state.lock();
        match state.check_leader(want.current_leader_epoch) {
            Err(ErrorCode::NotLeaderOrFollower)
                if matches!(reader, Reader::Client { from_followers: true, .. })
                    && matches!(state.role, Role::Follows(_)) => {}
            led => led?,
        }
        let log = state.log();
        let last_epoch = (want.last_fetched_epoch >= 0).then_some(want.last_fetched_epoch);
        let (start, end) = (log.log_start(), log.log_end());
        let diverging =
            match compare_ends(want.fetch_offset, last_epoch, start, end, |epoch| log.end_of_epoch(epoch)) {
                Ends::OutOfRange => return Err(ErrorCode::OffsetOutOfRange),
                Ends::Diverging(at) => Some((at.epoch, at.end_offset)),
                Ends::Match => None,
            };
        let (mut owes_watermark, mut joining) = (false, false);
        if let Reader::Replica { id, broker_epoch, counts } = reader
            && diverging.is_none()
        {
            (owes_watermark, joining) = self.count(&mut state, want, id, broker_epoch, counts)?;
        }
        let log = state.log();
        let mut read = FetchRead {
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.log_start(),
            slice: None,
            aborted: Vec::new(),
            diverging,
            owes_watermark,
            behind: false,
            joining,
            is_cut_short: false,
            nearer: None,
            from: None,
        };
        let (up_to, until) = match reader {
            Reader::Replica { .. } => (end, ReadUpTo::LogEnd),
            Reader::Client { committed: true, .. } => (read.last_stable_offset, ReadUpTo::LastStableOffset),
            Reader::Client { committed: false, .. } => (read.high_watermark, ReadUpTo::HighWatermark),
        };
        read.behind = want.fetch_offset < up_to;
        let mut max_bytes = left.min(usize::try_from(want.max_bytes).unwrap_or(0));
        let mut at_least_one = at_least_one;
        let throttle = &self.neighbours.sending;
        let is_throttled = matches!(reader, Reader::Replica { .. })
            && throttle.is_on()
            && throttle::names(&state.config.leader_throttled, self.index, self.neighbours.own());
        if is_throttled && joining && throttle.is_exceeded(self.neighbours.now_ms()) {
            (max_bytes, at_least_one) = (0, false);
        }
        if diverging.is_some() || want.fetch_offset >= up_to || (max_bytes == 0 && !at_least_one) {
            return Ok(read);
        }
        let fetched =
            log.read(want.fetch_offset, max_bytes, at_least_one, until).map_err(|e| self.unreadable(&e))?;
        // A part of a batch is of no use to anyone; with nothing at all a consumer knows that it has to ask again.
        if is_throttled {
            throttle.record(fetched.slice.len(), self.neighbours.now_ms());
        }
        if !fetched.first_incomplete {
            read.aborted = fetched.aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect();
            read.is_cut_short = !fetched.slice.is_empty()
                && log.segments().last().is_some_and(|(base, _)| want.fetch_offset < base);
            read.slice = Some(fetched.slice);
        }
        Ok(read)
    }

    /// Takes a replica's fetch for what it says: its log ends where it reads on. Returns whether it has not been told
    /// the high watermark yet, and whether it is not in sync.
    fn count(
        self: &Arc<Self>,
        state: &mut State,
        want: &Wanted,
        id: i32,
        broker_epoch: i64,
        counts: bool,
    ) -> Result<(bool, bool), ErrorCode> {
        let Role::Leads(leader) = &mut state.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        if !counts {
            return Ok((leader.owes_watermark(id), !leader.isr().contains(&id)));
        }
        let (offset, start) = (want.fetch_offset, want.log_start_offset);
        let now_ms = self.neighbours.now_ms();
        let progress = leader
            .follower_fetched(id, broker_epoch, offset, start, &*self.neighbours, now_ms)
            .map_err(|refused| {
                debug!("a fetch of {self:?} is refused: {refused}");
                match refused {
                    // The follower has seen a newer image than this node: it is to try again.
                    FetchRefused::NotAReplica(_) if want.current_leader_epoch >= 0 => {
                        ErrorCode::UnknownLeaderEpoch
                    }
                    FetchRefused::NotAReplica(_) | FetchRefused::StaleBrokerEpoch { .. } => {
                        ErrorCode::NotLeaderOrFollower
                    }
                    FetchRefused::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                }
            })?;
        let (owes, joining) = (leader.owes_watermark(id), !leader.isr().contains(&id));
        let moved = progress.high_watermark.is_some() || progress.low_watermark.is_some();
        self.advance(state, progress);
        if moved {
            // Produces with acks=all wait for this, and consumers. They look again when the lock is free.
            self.waiters.wake_all();
        }
        Ok((owes, joining))
    }

    /// `replica` is answered with this high watermark.
    pub(crate) fn watermark_sent(&self, replica: i32, high_watermark: i64) {
        if let Role::Leads(leader) = &mut self.state.lock().role {
            leader.watermark_sent(replica, high_watermark);
        }
    }

    /// The replica that a consumer in `rack` had better read from (KIP-392).
    pub(crate) fn preferred_read_replica(&self, fetch_offset: i64, rack: &str) -> Option<i32> {
        let state = self.state.lock();
        let Role::Leads(leader) = &state.role else { return None };
        if leader.remotes().is_empty() {
            return None;
        }
        let racks: Vec<_> = leader.replicas().iter().map(|id| (*id, self.neighbours.rack(*id))).collect();
        let rack_of = |id| racks.iter().find(|(known, _)| *known == id).and_then(|(_, rack)| rack.as_deref());
        leader.preferred_read_replica(fetch_offset, rack, rack_of, &*self.neighbours)
    }

    fn unreadable(&self, error: &ottla_log::Error) -> ErrorCode {
        error!("cannot read {}-{}: {error}", self.topic, self.index);
        ErrorCode::KafkaStorageError
    }

    /// The high watermark, as long as this node leads in `leader_epoch`. `None` afterwards: what was appended in that
    /// epoch may have been replaced since.
    pub(crate) fn high_watermark_of(&self, leader_epoch: i32) -> Option<i64> {
        let state = self.state.lock();
        state.check_leader(leader_epoch).ok().map(|()| self.high_watermark())
    }

    /// The offsets that a coordinator has to read when it takes the partition over.
    pub(crate) fn load_range(&self) -> (i64, i64) {
        let state = self.state.lock();
        (state.log().log_start(), state.log().log_end())
    }

    /// Batches from `offset` on, up to the log's end: at least one whole one, and the last may be cut off by the size.
    pub(crate) fn read_for_load(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, String> {
        let fetched = self
            .state
            .lock()
            .log()
            .read(offset, max_bytes, true, ReadUpTo::LogEnd)
            .map_err(|error| error.to_string())?;
        fetched.slice.to_vec().map_err(|error| error.to_string())
    }
}
