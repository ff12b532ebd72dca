//! The high watermark and the low watermark.

use ottla_records::ids::Offset;
use ottla_records::mutant;

use super::{Leader, Progress, Remote};
use crate::{BrokerId, Brokers, UNKNOWN_BROKER_EPOCH, invariants};

impl Leader {
    /// Moves the high watermark as far as it may go: to the least log end of the leader and
    ///
    /// * every replica of the maximal ISR, which is the committed one and who is proposed for it (KIP-497);
    /// * every replica that has caught up and may join: else the watermark could run away from it for ever.
    ///
    /// It stays where it is while the ISR is under its minimum (KIP-966), and never falls.
    pub(super) fn advance_watermark(&mut self, brokers: &impl Brokers, now_ms: i64, progress: &mut Progress) {
        if self.is_under_min_isr() {
            return;
        }
        let (end, lag) = (self.log_end, self.settings.replica_lag_time_max_ms);
        let mut to = end;
        for remote in &self.remotes {
            let reached = remote.log_end.unwrap_or(-1);
            let reached = if mutant::is("watermark-one-ahead") { reached + 1 } else { reached };
            if reached < to
                && (self.in_maximal_isr(remote.id)
                    || (remote.is_caught_up(end, now_ms, lag) && may_join(remote, brokers)))
            {
                to = reached;
            }
        }
        if to > self.high_watermark {
            let holders = self.remotes.iter().filter(|remote| self.in_maximal_isr(remote.id));
            invariants::watermark_is_held(
                to,
                holders.map(|remote| (remote.id, remote.log_end.unwrap_or(-1))),
                self.isr.len(),
                self.effective_min_isr(),
            );
            invariants::watermark_grows(self.high_watermark, to);
            invariants::watermark_is_inside(self.log_start, to, self.log_end);
            self.high_watermark = to;
            progress.high_watermark = Some(to);
        }
    }

    /// Whether `id` is in the ISR, or is proposed for it.
    pub(super) fn in_maximal_isr(&self, id: BrokerId) -> bool {
        let joins = self.pending.as_ref().is_some_and(|pending| pending.joins(id));
        self.isr.contains(&id) || (joins && !mutant::is("joining-not-awaited"))
    }

    /// How many replicas the maximal ISR has.
    pub(super) fn maximal_isr_len(&self) -> usize {
        self.isr.len() + usize::from(self.pending.as_ref().is_some_and(|pending| pending.is_expansion()))
    }

    /// The least log start of all replicas that live: up to here records are deleted everywhere. -1 while one of
    /// them has not fetched yet.
    pub fn low_watermark(&self, brokers: &impl Brokers) -> Offset {
        let alive = self.remotes.iter().filter(|remote| brokers.alive_epoch(remote.id).is_some());
        alive.map(|remote| remote.log_start.unwrap_or(-1)).fold(self.log_start, Offset::min)
    }
}

/// Whether the replica's broker may be in an ISR: known, not fenced, not about to stop, and the one that fetched
/// (KIP-841, KIP-903).
pub(super) fn may_join(remote: &Remote, brokers: &impl Brokers) -> bool {
    let (Some(fetched), Some(broker)) = (remote.broker_epoch, brokers.broker(remote.id)) else {
        return false;
    };
    !broker.fenced && !broker.shutting_down && (fetched == UNKNOWN_BROKER_EPOCH || fetched == broker.epoch)
}
