//! A log that lies outside of its leader's: where to go on.

use ottla_records::ids::Offset;

use super::{Failure, Follower, LeaderOffset, OffsetQuery, State, Step};

/// The errors of a question for an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetsError {
    /// FENCED_LEADER_EPOCH.
    FencedLeaderEpoch,
    /// Any other, or no answer at all.
    Other,
}

impl Follower {
    /// The leader answered `asked`.
    ///
    /// * A leader that ends before the own log does was elected uncleanly: the own log is cut to its end.
    /// * A leader that begins behind the own log's end has deleted what would come next: the own log is deleted,
    ///   and begins where the leader's does.
    /// * Else the fetch is tried again: the leader has moved meanwhile.
    pub fn offset_answered(
        &mut self,
        asked: &OffsetQuery,
        answer: Result<Offset, OffsetsError>,
        now_ms: i64,
    ) -> Step {
        let State::OutOfRange(leader_end) = self.state else {
            return Step::Stale;
        };
        let which = if leader_end.is_none() { LeaderOffset::Latest } else { LeaderOffset::Earliest };
        if *asked != (OffsetQuery { leader_epoch: self.leader_epoch, which }) {
            return Step::Stale;
        }
        self.delayed_until = None;
        let offset = match answer {
            Ok(offset) if offset >= 0 => offset,
            Ok(_) | Err(OffsetsError::Other) => {
                // Kafka begins the two questions anew after an error, too.
                self.state = State::OutOfRange(None);
                self.delay(now_ms);
                return Step::Nothing;
            }
            Err(OffsetsError::FencedLeaderEpoch) => {
                self.fail(Failure::Fenced);
                return Step::Nothing;
            }
        };
        match which {
            LeaderOffset::Latest if offset < self.log.end => self.cut(offset),
            LeaderOffset::Latest => {
                self.state = State::OutOfRange(Some(offset));
                Step::Nothing
            }
            LeaderOffset::Earliest if offset > self.log.end => Step::StartAt { offset, lost: 0 },
            LeaderOffset::Earliest => {
                self.state = State::Fetching;
                Step::Nothing
            }
        }
    }
}
