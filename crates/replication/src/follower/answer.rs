//! Answers to fetches.

use ottla_records::ids::{LeaderEpoch, Offset};

use super::{Failure, Fetch, Follower, LogEnds, State};
use crate::{EpochEnd, invariants};

/// The partition's part of a Fetch response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records, perhaps none.
    Records {
        /// The first and the last offset of the batches; `None` if there are none.
        span: Option<(Offset, Offset)>,
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's log start.
        log_start: Offset,
    },
    /// The logs part before the fetch offset (DivergingEpoch).
    Diverging(EpochEnd),
    /// An error code.
    Error(FetchError),
}

/// The errors of a fetch, as far as a follower does different things about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// OFFSET_OUT_OF_RANGE.
    OffsetOutOfRange,
    /// FENCED_LEADER_EPOCH: the leader epoch here is an old one.
    FencedLeaderEpoch,
    /// UNKNOWN_LEADER_EPOCH: the leader does not know its epoch, or this replica, yet.
    UnknownLeaderEpoch,
    /// NOT_LEADER_OR_FOLLOWER.
    NotLeaderOrFollower,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownTopicOrPartition,
    /// UNKNOWN_TOPIC_ID.
    UnknownTopicId,
    /// INCONSISTENT_TOPIC_ID.
    InconsistentTopicId,
    /// OFFSET_MOVED_TO_TIERED_STORAGE: records that only remote storage has; there is none here to read them.
    OffsetMovedToTieredStorage,
    /// Any other.
    Other,
}

/// What to do to the own log with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the log has to follow"]
pub enum Step {
    /// Nothing: the answer is to another question than the present one.
    Stale,
    /// Nothing now: ask [`Follower::next`] again.
    Nothing,
    /// Append, then tell with [`Follower::appended`] or [`Follower::append_failed`]. Where there is nothing to
    /// append, too: the watermarks come with `appended`.
    Append(Append),
    /// Truncate, then tell with [`Follower::truncated`].
    Truncate {
        /// The new log end.
        to: Offset,
        /// How many records below the high watermark go with it: more than none only after an unclean election.
        lost: i64,
    },
    /// Delete everything and begin again at this offset, then tell with [`Follower::restarted`].
    StartAt {
        /// The new log start and log end.
        offset: Offset,
        /// How many records below the high watermark go that the leader never had: more than none only after an
        /// unclean election. Not those that the leader has deleted.
        lost: i64,
    },
}

/// An append to the own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Append {
    /// Batches of later leaders than this are not to be appended, nor what follows them: they came behind a
    /// change of the leader that is not known here (KAFKA-18723).
    pub up_to_epoch: LeaderEpoch,
    /// Delete everything and begin again at this offset, before: the leader's first batch begins before the own
    /// empty log does.
    pub restart_at: Option<Offset>,
    /// The leader's high watermark.
    pub(super) high_watermark: Offset,
    /// The leader's log start.
    pub(super) log_start: Offset,
}

/// What an append brought besides records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the log has to follow"]
pub struct Advance {
    /// The high watermark of the own log is this now.
    pub high_watermark: Option<Offset>,
    /// The own log is to begin here: the leader's does.
    pub log_start: Option<Offset>,
}

/// Why an append failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFailure {
    /// The batches are corrupt. It may be otherwise the next time.
    Corrupt,
    /// The log could not be written.
    Storage,
    /// The batches do not fit the log.
    Unexpected,
}

impl Follower {
    /// The leader answered `asked`. `end_of_epoch` answers from the own log, as in [`crate::compare_ends`].
    pub fn fetched(
        &mut self,
        asked: &Fetch,
        answer: Answer,
        end_of_epoch: impl Fn(LeaderEpoch) -> Option<(LeaderEpoch, Offset)>,
        now_ms: i64,
    ) -> Step {
        // The epoch, too: between two fetches at one offset the log may have been cut and have grown again.
        let present = self.fetch();
        let asks = |fetch: &Fetch| (fetch.leader_epoch, fetch.offset, fetch.last_epoch);
        let current = asks(asked) == asks(&present);
        if !current || self.state != State::Fetching || self.appending.is_some() {
            return Step::Stale;
        }
        self.delayed_until = None;
        match answer {
            Answer::Records { span, high_watermark, log_start } => {
                self.take_records(span, high_watermark, log_start)
            }
            Answer::Diverging(end) => self.cut_at_divergence(end, end_of_epoch),
            Answer::Error(FetchError::OffsetOutOfRange) => {
                self.state = State::OutOfRange(None);
                Step::Nothing
            }
            Answer::Error(FetchError::FencedLeaderEpoch) => {
                self.fail(Failure::Fenced);
                Step::Nothing
            }
            Answer::Error(_) => {
                self.delay(now_ms);
                Step::Nothing
            }
        }
    }

    /// Compaction leaves gaps, so batches may begin behind the log end. They may begin before it only where the
    /// log is empty: deleted records end in the middle of the leader's first batch then.
    fn take_records(
        &mut self,
        span: Option<(Offset, Offset)>,
        high_watermark: Offset,
        log_start: Offset,
    ) -> Step {
        let end = self.log.end;
        let restart_at = match span {
            Some((first, last)) if first < end => {
                if self.log.start != end || last < end || first < 0 {
                    self.fail(Failure::Unexpected);
                    return Step::Nothing;
                }
                Some(first)
            }
            _ => None,
        };
        let append = Append { up_to_epoch: self.leader_epoch, restart_at, high_watermark, log_start };
        self.appending = Some(append);
        Step::Append(append)
    }

    /// The append is done: the own log is now as said. Answers what the watermarks are then.
    pub fn appended(&mut self, log_end: Offset, last_epoch: Option<LeaderEpoch>) -> Advance {
        let Some(append) = self.appending.take() else {
            return Advance::default();
        };
        if let Some(offset) = append.restart_at {
            self.log = LogEnds { start: offset, end: offset, last_epoch: None };
            self.high_watermark = self.high_watermark.min(log_end).max(offset);
        }
        invariants::fetched_is_appended(self.log.end, log_end, last_epoch, self.leader_epoch);
        self.log.end = log_end;
        self.log.last_epoch = last_epoch;
        self.leader_watermark = Some(append.high_watermark);
        let old = self.high_watermark.max(self.log.start);
        // What is committed stays so, even if a new leader does not know of it yet.
        let watermark = append.high_watermark.min(log_end).max(old);
        invariants::follower_watermark_grows(self.high_watermark, watermark);
        invariants::watermark_is_inside(self.log.start, watermark, log_end);
        let mut advance = Advance::default();
        if watermark > self.high_watermark {
            self.high_watermark = watermark;
            advance.high_watermark = Some(watermark);
        }
        if append.log_start > self.log.start && append.log_start <= watermark {
            self.log.start = append.log_start;
            advance.log_start = Some(append.log_start);
        }
        advance
    }

    /// The append failed; the own log is as before.
    pub fn append_failed(&mut self, failure: AppendFailure, now_ms: i64) {
        self.appending = None;
        match failure {
            AppendFailure::Corrupt => self.delay(now_ms),
            AppendFailure::Storage => self.fail(Failure::Storage),
            AppendFailure::Unexpected => self.fail(Failure::Unexpected),
        }
    }
}
