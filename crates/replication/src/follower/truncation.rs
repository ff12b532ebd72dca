//! Where to cut the own log, and what stands after it.

use ottla_records::ids::{LeaderEpoch, Offset};
use ottla_records::mutant;

use super::{Failure, Follower, LogEnds, State, Step};
use crate::{EpochEnd, invariants};

impl Follower {
    /// The leader says that the largest epoch it has, not above the one of the own last record, ends at
    /// `leader.end_offset`. What is common ends at the latest there, and at the latest where the own log ends that
    /// epoch. Where the own log does not have that epoch, it is cut to the end of the one before, and the next
    /// fetch compares again (KIP-279).
    pub(super) fn cut_at_divergence(
        &mut self,
        leader: EpochEnd,
        end_of_epoch: impl Fn(LeaderEpoch) -> Option<(LeaderEpoch, Offset)>,
    ) -> Step {
        let own_end = self.log.end;
        let to = if leader.end_offset < 0 {
            // The leader cannot say. Only what is committed is known to be common.
            self.high_watermark
        } else {
            match end_of_epoch(leader.epoch) {
                Some(_) if mutant::is("cut-too-little") => (leader.end_offset + 1).min(own_end),
                Some((epoch, end)) if epoch == leader.epoch => end.min(leader.end_offset),
                Some((_, end)) => end,
                None => leader.end_offset,
            }
        };
        self.cut(to.min(own_end).max(0))
    }

    /// Cuts to `to`, or starts anew there if that is before everything that is kept.
    pub(super) fn cut(&mut self, to: Offset) -> Step {
        if to < self.log.start {
            return Step::StartAt { offset: to, lost: self.high_watermark - self.log.start };
        }
        self.state = State::Truncating(to);
        Step::Truncate { to, lost: (self.high_watermark - to).max(0) }
    }

    /// The own log is truncated and is now as said. Fetching goes on from its end.
    ///
    /// A truncation that changed nothing means that leader and follower do not understand each other: it waits
    /// for the back-off before it tries again.
    pub fn truncated(&mut self, log: LogEnds, now_ms: i64) {
        if let State::Truncating(to) = self.state {
            invariants::truncation_is_done(to, log.end);
        }
        let useless = log == self.log;
        self.log = log;
        self.high_watermark = self.high_watermark.min(log.end).max(log.start);
        self.resume();
        if useless {
            self.delay(now_ms);
        }
    }

    /// The own log is empty and begins at `offset`. Fetching goes on from there.
    pub fn restarted(&mut self, offset: Offset) {
        self.log = LogEnds { start: offset, end: offset, last_epoch: None };
        self.high_watermark = offset;
        self.resume();
    }

    /// The truncation failed: nothing can be said of the log any more.
    pub fn truncation_failed(&mut self) {
        self.fail(Failure::Storage);
    }

    fn resume(&mut self) {
        self.state = State::Fetching;
        self.appending = None;
        self.delayed_until = None;
    }
}
