//! A partition as its follower has it: what the leader sent meets the own log.

use ottla_log::{AppendError, LogDir};
use ottla_protocol::ErrorCode;
use ottla_records::Entry;
use ottla_replication::follower::{
    self, Answer, AppendFailure, Fetch, FetchError, Next, OffsetQuery, OffsetsError, Step,
};
use ottla_replication::{BrokerId, Follower};

use super::ask::Fetched;
use super::partition::{Around, News, Partition, Role};

/// `replica.fetch.backoff.ms`
const BACKOFF_MS: i64 = 200;

/// What to ask the leader.
pub enum Question {
    Fetch(Fetch),
    Offset(OffsetQuery),
    Nothing,
}

type Done = Result<(), ottla_log::Error>;

impl Partition {
    fn ends(&self) -> follower::LogEnds {
        let log = &self.log;
        follower::LogEnds { start: log.log_start(), end: log.log_end(), last_epoch: log.latest_epoch() }
    }

    /// Follows another broker from now on.
    pub fn follow(&mut self, leader: BrokerId, leader_epoch: i32) {
        if leader_epoch < self.leader_epoch {
            return;
        }
        let goes_on = matches!(&self.role, Role::Follows(follower)
            if follower.leader() == leader && follower.leader_epoch() == leader_epoch);
        if goes_on {
            return;
        }
        let settings = follower::Settings { fetch_backoff_ms: BACKOFF_MS };
        let (ends, high_watermark) = (self.ends(), self.log.high_watermark());
        self.role =
            Role::Follows(Box::new(Follower::new(leader, leader_epoch, settings, ends, high_watermark)));
        self.leader_epoch = leader_epoch;
        self.asking = None;
    }

    /// Nobody leads it.
    pub fn resign(&mut self, leader_epoch: i32) {
        self.role = Role::Idle;
        self.leader_epoch = self.leader_epoch.max(leader_epoch);
        self.asking = None;
    }

    /// What to ask the leader now, and whom. Cuts the own log first where that is due.
    pub fn question(
        &mut self,
        dir: &LogDir,
        around: &Around<'_>,
    ) -> Result<(BrokerId, Question), ottla_log::Error> {
        loop {
            let Role::Follows(follower) = &self.role else { return Ok((-1, Question::Nothing)) };
            let leader = follower.leader();
            match follower.next(around.now_ms) {
                Next::Fetch(fetch) => return Ok((leader, Question::Fetch(fetch))),
                Next::AskOffset(query) => return Ok((leader, Question::Offset(query))),
                Next::Wait { .. } | Next::Stopped(_) => return Ok((leader, Question::Nothing)),
                Next::Truncate { to } => self.truncate(to, dir, around)?,
            }
        }
    }

    /// The request got no answer.
    pub fn unanswered(&mut self, around: &Around<'_>) {
        if let Role::Follows(follower) = &mut self.role {
            follower.delay(around.now_ms);
        }
    }

    /// The leader's answer to a fetch.
    pub fn fetched(
        &mut self,
        asked: &Fetch,
        answer: Result<Fetched, ErrorCode>,
        dir: &LogDir,
        around: &Around<'_>,
    ) -> Done {
        let (answer, records) = match answer {
            Err(error) => (Answer::Error(fetch_error(error)), Vec::new()),
            Ok(Fetched { diverging: Some(end), .. }) => (Answer::Diverging(end), Vec::new()),
            Ok(Fetched { records, high_watermark, log_start, .. }) => {
                (Answer::Records { span: span(&records), high_watermark, log_start }, records)
            }
        };
        let Role::Follows(follower) = &mut self.role else { return Ok(()) };
        let log = &self.log;
        let step = follower.fetched(asked, answer, |epoch| log.end_of_epoch(epoch), around.now_ms);
        self.carry_out(step, &records, dir, around)
    }

    /// The leader's answer to the question where its log begins or ends.
    pub fn offset_answered(
        &mut self,
        asked: &OffsetQuery,
        answer: Result<i64, ErrorCode>,
        dir: &LogDir,
        around: &Around<'_>,
    ) -> Done {
        let Role::Follows(follower) = &mut self.role else { return Ok(()) };
        let answer = answer.map_err(|error| match error {
            ErrorCode::FencedLeaderEpoch => OffsetsError::FencedLeaderEpoch,
            _ => OffsetsError::Other,
        });
        let step = follower.offset_answered(asked, answer, around.now_ms);
        self.carry_out(step, &[], dir, around)
    }

    fn carry_out(&mut self, step: Step, records: &[u8], dir: &LogDir, around: &Around<'_>) -> Done {
        match step {
            Step::Stale | Step::Nothing => Ok(()),
            Step::Truncate { to, lost } => {
                self.news.push(News::Lost { records: lost });
                self.truncate(to, dir, around)
            }
            Step::StartAt { offset, lost } => {
                self.news.push(News::Lost { records: lost });
                self.empty_at(offset, dir, around)?;
                if let Role::Follows(follower) = &mut self.role {
                    follower.restarted(offset);
                }
                Ok(())
            }
            Step::Append(append) => {
                if let Some(offset) = append.restart_at {
                    self.empty_at(offset, dir, around)?;
                }
                let appended = match records.is_empty() {
                    true => Ok(()),
                    false => {
                        self.log.append_as_follower(around.wall_ms, append.up_to_epoch, records).map(drop)
                    }
                };
                let Role::Follows(follower) = &mut self.role else { return Ok(()) };
                match appended {
                    Ok(()) => {
                        let advance = follower.appended(self.log.log_end(), self.log.latest_epoch());
                        if let Some(offset) = advance.log_start {
                            self.log.follow_log_start(offset);
                        }
                        if let Some(offset) = advance.high_watermark {
                            self.log.set_high_watermark(offset);
                        }
                        follower.log_start_raised(self.log.log_start());
                        Ok(())
                    }
                    Err(AppendError::Storage(error)) => Err(error),
                    Err(AppendError::Corrupt { .. }) => {
                        follower.append_failed(AppendFailure::Corrupt, around.now_ms);
                        Ok(())
                    }
                    Err(error) => panic!("invariant 12 broken: {:?} cannot append: {error}", self.key),
                }
            }
        }
    }

    fn truncate(&mut self, to: i64, dir: &LogDir, around: &Around<'_>) -> Done {
        self.log.truncate_to(to, around.wall_ms)?;
        self.lower_checkpoint(dir)?;
        let ends = self.ends();
        if let Role::Follows(follower) = &mut self.role {
            follower.truncated(ends, around.now_ms);
        }
        Ok(())
    }

    fn empty_at(&mut self, offset: i64, dir: &LogDir, around: &Around<'_>) -> Done {
        self.log.truncate_fully(offset, around.wall_ms)?;
        self.lower_checkpoint(dir)
    }
}

/// First and last offset of the whole batches in `records`.
fn span(records: &[u8]) -> Option<(i64, i64)> {
    let (mut at, mut span) = (0, None);
    while at < records.len() {
        let entry = match Entry::parse(&records[at..]) {
            Err(error) if error.is_torn() => break,
            entry => entry.expect("SIM: what a leader of ours sends is sound"),
        };
        let first = entry.as_batch().map_or(entry.last_offset(), |batch| batch.base_offset);
        let (first, _) = span.unwrap_or((first, first));
        span = Some((first, entry.last_offset()));
        at += entry.bytes().len();
    }
    span
}

fn fetch_error(error: ErrorCode) -> FetchError {
    match error {
        ErrorCode::OffsetOutOfRange => FetchError::OffsetOutOfRange,
        ErrorCode::FencedLeaderEpoch => FetchError::FencedLeaderEpoch,
        ErrorCode::UnknownLeaderEpoch => FetchError::UnknownLeaderEpoch,
        ErrorCode::NotLeaderOrFollower => FetchError::NotLeaderOrFollower,
        ErrorCode::UnknownTopicOrPartition => FetchError::UnknownTopicOrPartition,
        _ => FetchError::Other,
    }
}
