//! Following: what to ask the leader, and what its answers do to the own log.

use ottla_log::{AppendError, Log};
use ottla_protocol::ErrorCode;
use ottla_records::Entry;
use ottla_replication::follower::{
    Advance, Answer, AppendFailure, Fetch, FetchError, Next, OffsetQuery, OffsetsError, Step,
};
use ottla_replication::{EpochEnd, Follower};
use tracing::{error, info, warn};

use super::role::{Role, follower_ends};
use super::{Partition, State};
use crate::network::wall_ms;
use crate::throttle;

/// How long a replica rests whose throttle is exceeded.
const THROTTLED_MS: i64 = 100;

/// What to ask the leader of a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    Fetch(Fetch),
    Offset(OffsetQuery),
    /// Nothing before this time on the neighbours' clock.
    Wait {
        until_ms: i64,
    },
    /// Nothing until the metadata says something new.
    Nothing,
}

impl Partition {
    /// What to ask the leader now. Cuts the own log first where that is due.
    pub(crate) fn question(&self) -> Question {
        let mut state = self.state.lock();
        loop {
            if state.gone {
                return Question::Nothing;
            }
            let Role::Follows(follower) = &state.role else { return Question::Nothing };
            let now_ms = self.neighbours.now_ms();
            match follower.next(now_ms) {
                Next::Fetch(fetch) => {
                    // A replica that has everything is in sync, or soon will be.
                    let is_behind = follower.lag().is_none_or(|lag| lag > 0);
                    let is_held = is_behind
                        && self.is_fetch_throttled(&state)
                        && self.neighbours.fetching.is_exceeded(now_ms);
                    return match is_held {
                        true => Question::Wait { until_ms: now_ms + THROTTLED_MS },
                        false => Question::Fetch(fetch),
                    };
                }
                Next::AskOffset(query) => return Question::Offset(query),
                Next::Wait { until_ms } => return Question::Wait { until_ms },
                Next::Stopped(_) => return Question::Nothing,
                Next::Truncate { to } => self.truncate(&mut state, to),
            }
        }
    }

    /// The leader's answer to a fetch: an error, the place where the logs part, or records.
    pub(crate) fn fetched(
        &self,
        asked: &Fetch,
        error: Option<ErrorCode>,
        diverging: Option<EpochEnd>,
        records: &[u8],
        high_watermark: i64,
        log_start: i64,
    ) {
        let mut state = self.state.lock();
        if state.gone {
            return;
        }
        let answer = match (error, diverging) {
            (Some(error), _) => Answer::Error(fetch_error(error)),
            (None, Some(end)) => Answer::Diverging(end),
            (None, None) => match span(records) {
                Ok(span) => Answer::Records { span, high_watermark, log_start },
                Err(why) => {
                    error!("what the leader sent of {self:?} is not a batch: {why}");
                    Answer::Error(FetchError::Other)
                }
            },
        };
        let now_ms = self.neighbours.now_ms();
        if self.is_fetch_throttled(&state) {
            self.neighbours.fetching.record(records.len(), now_ms);
        }
        let State { role, log, .. } = &mut *state;
        let Role::Follows(follower) = role else { return };
        let log = log.as_ref().expect("PARTITION-3 a closed partition is not used");
        let start = log.log_start();
        let step = follower.fetched(asked, answer, |epoch| log.end_of_epoch(epoch), now_ms);
        self.carry_out(&mut state, step, records);
        let moved = self.show_high_watermark(&state) | (state.log().log_start() != start);
        drop(state);
        if moved {
            self.waiters.wake_all();
        }
    }

    fn is_fetch_throttled(&self, state: &State) -> bool {
        self.neighbours.fetching.is_on()
            && throttle::names(&state.config.follower_throttled, self.index, self.neighbours.own())
    }

    /// The leader's answer to the question where its log begins or ends.
    pub(crate) fn offset_answered(&self, asked: &OffsetQuery, answer: Result<i64, ErrorCode>) {
        let mut state = self.state.lock();
        let Role::Follows(follower) = &mut state.role else { return };
        let answer = answer.map_err(|error| match error {
            ErrorCode::FencedLeaderEpoch => OffsetsError::FencedLeaderEpoch,
            _ => OffsetsError::Other,
        });
        let step = follower.offset_answered(asked, answer, self.neighbours.now_ms());
        self.carry_out(&mut state, step, &[]);
        self.show_high_watermark(&state);
        drop(state);
        self.waiters.wake_all();
    }

    fn carry_out(&self, state: &mut State, step: Step, records: &[u8]) {
        match step {
            Step::Stale | Step::Nothing => {}
            Step::Truncate { to, lost } => {
                if lost > 0 {
                    warn!(
                        "[ReplicaFetcher partition={self:?}] truncating to {to}, {lost} records below the high watermark go"
                    );
                }
                self.truncate(state, to);
            }
            Step::StartAt { offset, lost } => {
                if lost > 0 {
                    warn!(
                        "[ReplicaFetcher partition={self:?}] starting anew at {offset}, {lost} records below the high watermark go"
                    );
                }
                self.restart(state, offset);
            }
            Step::Append(append) => {
                if let Some(offset) = append.restart_at
                    && !self.empty_at(state, offset)
                {
                    return;
                }
                let appended = match records.is_empty() {
                    true => Ok(()),
                    false => self.append_as_told(state, append.up_to_epoch, records),
                };
                if let Err(error) = &appended {
                    self.give_up_full_disk(error);
                }
                let State { role, log, .. } = state;
                let Role::Follows(follower) = role else { return };
                let log = log.as_mut().expect("PARTITION-3 a closed partition is not used");
                match appended {
                    Ok(()) => {
                        let advance = follower.appended(log.log_end(), log.latest_epoch());
                        follow_up(follower, log, advance);
                    }
                    Err(error) => {
                        error!(
                            "[ReplicaFetcher partition={self:?}] cannot append what the leader sent: {error}"
                        );
                        follower.append_failed(failure(&error), self.neighbours.now_ms());
                    }
                }
            }
        }
    }

    /// `flush.messages` counts on replicas too: what it makes durable is durable before the leader hears of it.
    fn append_as_told(&self, state: &mut State, up_to_epoch: i32, records: &[u8]) -> Result<(), AppendError> {
        self.traffic.replication_bytes_in.add(records.len() as u64);
        let log = state.log_mut();
        if log.append_as_follower(wall_ms(), up_to_epoch, records)?.flush_due {
            log.flush(wall_ms())?;
        }
        Ok(())
    }

    fn truncate(&self, state: &mut State, to: i64) {
        let end = state.log().log_end();
        let done = state.log_mut().truncate_to(to, wall_ms()).and_then(|changed| {
            let recovery_point = state.log().recovery_point();
            self.log_dir.lower_recovery_point(&self.topic, self.index, recovery_point)?;
            Ok(changed)
        });
        let State { role, log, .. } = state;
        let Role::Follows(follower) = role else { return };
        let log = log.as_ref().expect("PARTITION-3 a closed partition is not used");
        match done {
            Ok(changed) => {
                if changed {
                    info!("[UnifiedLog partition={self:?}] truncated from {end} to {}", log.log_end());
                }
                follower.truncated(follower_ends(log), self.neighbours.now_ms());
            }
            Err(error) => {
                error!("[UnifiedLog partition={self:?}] cannot truncate to {to}: {error}");
                follower.truncation_failed();
            }
        }
    }

    fn restart(&self, state: &mut State, offset: i64) {
        if self.empty_at(state, offset)
            && let Role::Follows(follower) = &mut state.role
        {
            follower.restarted(offset);
        }
    }

    /// Empties the log so that it begins and ends at `offset`.
    fn empty_at(&self, state: &mut State, offset: i64) -> bool {
        let emptied = state.log_mut().truncate_fully(offset, wall_ms()).and_then(|()| {
            let recovery_point = state.log().recovery_point();
            self.log_dir.lower_recovery_point(&self.topic, self.index, recovery_point)
        });
        match emptied {
            Ok(()) => true,
            Err(error) => {
                error!("[UnifiedLog partition={self:?}] cannot start anew at {offset}: {error}");
                if let Role::Follows(follower) = &mut state.role {
                    follower.truncation_failed();
                }
                false
            }
        }
    }

    /// Whether the high watermark that others see has moved.
    fn show_high_watermark(&self, state: &State) -> bool {
        let shown = state.log().high_watermark();
        self.high_watermark.swap(shown, std::sync::atomic::Ordering::AcqRel) != shown
    }
}

fn follow_up(follower: &mut Follower, log: &mut Log, advance: Advance) {
    if let Some(offset) = advance.log_start {
        log.follow_log_start(offset);
    }
    if let Some(offset) = advance.high_watermark {
        log.set_high_watermark(offset);
    }
    follower.log_start_raised(log.log_start());
}

/// First and last offset of the whole batches in `records`.
fn span(records: &[u8]) -> Result<Option<(i64, i64)>, String> {
    let (mut at, mut span) = (0, None);
    while at < records.len() {
        let entry = match Entry::parse(&records[at..]) {
            // Cut off at the end: it comes whole with the next fetch.
            Err(error) if error.is_torn() => break,
            entry => entry.map_err(|error| error.to_string())?,
        };
        let first = entry.as_batch().map_or(entry.last_offset(), |batch| batch.base_offset);
        let (first, _) = span.unwrap_or((first, first));
        span = Some((first, entry.last_offset()));
        at += entry.bytes().len();
    }
    Ok(span)
}

fn fetch_error(error: ErrorCode) -> FetchError {
    match error {
        ErrorCode::OffsetOutOfRange => FetchError::OffsetOutOfRange,
        ErrorCode::FencedLeaderEpoch => FetchError::FencedLeaderEpoch,
        ErrorCode::UnknownLeaderEpoch => FetchError::UnknownLeaderEpoch,
        ErrorCode::NotLeaderOrFollower => FetchError::NotLeaderOrFollower,
        ErrorCode::UnknownTopicOrPartition => FetchError::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId => FetchError::UnknownTopicId,
        ErrorCode::InconsistentTopicId => FetchError::InconsistentTopicId,
        ErrorCode::OffsetMovedToTieredStorage => FetchError::OffsetMovedToTieredStorage,
        _ => FetchError::Other,
    }
}

fn failure(error: &AppendError) -> AppendFailure {
    match error {
        AppendError::Corrupt { .. } => AppendFailure::Corrupt,
        AppendError::Storage(_) => AppendFailure::Storage,
        _ => AppendFailure::Unexpected,
    }
}
