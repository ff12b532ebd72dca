//! What moves the leader: its own appends, and the fetches of its followers.

use ottla_records::ids::Offset;

use super::{Leader, Progress};
use crate::{BrokerEpoch, BrokerId, Brokers, UNKNOWN_BROKER_EPOCH, invariants};

/// A fetch that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefused {
    /// Not (yet) one of the replicas here. Answered with UNKNOWN_LEADER_EPOCH where the fetch names a leader epoch,
    /// so that the follower tries again, else with NOT_LEADER_OR_FOLLOWER.
    #[error("broker {0} is not a replica of the partition")]
    NotAReplica(BrokerId),
    /// Sent before its broker started anew: NOT_LEADER_OR_FOLLOWER.
    #[error("broker {id} fetched with broker epoch {epoch}, it is registered with {registered}")]
    StaleBrokerEpoch {
        /// The replica.
        id: BrokerId,
        /// The epoch of the fetch.
        epoch: BrokerEpoch,
        /// The epoch in the image.
        registered: BrokerEpoch,
    },
    /// Behind the log's end, or negative: OFFSET_OUT_OF_RANGE.
    #[error("offset {offset} is not within the log, which ends at {log_end}")]
    OutOfRange {
        /// The offset that was asked for.
        offset: Offset,
        /// The leader's log end.
        log_end: Offset,
    },
}

impl Leader {
    /// The own log ends at `log_end` now. The high watermark moves at once if the leader is alone in sync.
    pub fn appended(&mut self, log_end: Offset, brokers: &impl Brokers, now_ms: i64) -> Progress {
        invariants::leader_appends(self.log_end, log_end);
        let half = self.settings.replica_lag_time_max_ms / 2;
        for remote in &mut self.remotes {
            // Whoever stands at the end of a log that rests goes on fetching it, though nobody is told of that.
            if remote.stands_at(self.log_end, now_ms - half)
                && let Some(at) = brokers.last_fetch_ms(remote.id)
            {
                remote.still_stood(at);
            }
        }
        self.log_end = log_end;
        let mut progress = Progress::default();
        self.advance_watermark(brokers, now_ms, &mut progress);
        progress
    }

    /// The own log begins at `log_start` now (DeleteRecords or retention). Never above the high watermark.
    pub fn log_start_raised(&mut self, log_start: Offset, brokers: &impl Brokers) -> Progress {
        let before = self.low_watermark(brokers);
        self.log_start = self.log_start.max(log_start);
        invariants::watermark_is_inside(self.log_start, self.high_watermark, self.log_end);
        let low = self.low_watermark(brokers);
        Progress { low_watermark: (low > before).then_some(low), ..Progress::default() }
    }

    /// A follower fetched from `fetch_offset`: its log ends there and begins at `follower_log_start`. To be told
    /// of fetches that [`crate::compare_ends`] finds to match, of the current leader epoch, and no others.
    /// `broker_epoch` is -1 if the fetch does not say it.
    ///
    /// The fetch may move the high watermark and the low watermark, and may bring the follower into the ISR.
    ///
    /// # Errors
    /// The fetch is refused and changes nothing.
    pub fn follower_fetched(
        &mut self,
        replica: BrokerId,
        broker_epoch: BrokerEpoch,
        fetch_offset: Offset,
        follower_log_start: Offset,
        brokers: &impl Brokers,
        now_ms: i64,
    ) -> Result<Progress, FetchRefused> {
        let log_end = self.log_end;
        if !(0..=log_end).contains(&fetch_offset) {
            return Err(FetchRefused::OutOfRange { offset: fetch_offset, log_end });
        }
        let at = self.remotes.iter().position(|remote| remote.id == replica);
        let at = at.ok_or(FetchRefused::NotAReplica(replica))?;
        if let Some(registered) = brokers.alive_epoch(replica)
            && broker_epoch != UNKNOWN_BROKER_EPOCH
            && registered > broker_epoch
        {
            return Err(FetchRefused::StaleBrokerEpoch { id: replica, epoch: broker_epoch, registered });
        }
        let mut progress = Progress::default();
        let start_moves = self.remotes[at].log_start != Some(follower_log_start);
        let low = if start_moves { self.low_watermark(brokers) } else { Offset::MAX };
        self.remotes[at].fetched(fetch_offset, follower_log_start, broker_epoch, log_end, now_ms);
        if start_moves {
            let raised = self.low_watermark(brokers);
            progress.low_watermark = (raised > low).then_some(raised);
        }
        progress.proposal = self.propose_expansion(at, brokers);
        self.advance_watermark(brokers, now_ms, &mut progress);
        Ok(progress)
    }

    /// Whether `replica` has not been told the present high watermark yet. A fetch that would wait is better
    /// answered at once then, with nothing but the watermark: followers that serve consumers (KIP-392) are up to
    /// date so.
    pub fn owes_watermark(&self, replica: BrokerId) -> bool {
        self.remote(replica).is_some_and(|remote| remote.sent_watermark() < self.high_watermark)
    }

    /// `replica` was answered with `high_watermark`.
    pub fn watermark_sent(&mut self, replica: BrokerId, high_watermark: Offset) {
        if let Some(remote) = self.remotes.iter_mut().find(|remote| remote.id == replica) {
            remote.set_sent_watermark(high_watermark);
        }
    }
}
