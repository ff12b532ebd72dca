//! The follower of a partition: what to fetch, and what to do to the own log with the answer.

mod answer;
mod offsets;
mod truncation;

pub use answer::{Advance, Answer, Append, AppendFailure, FetchError, Step};
pub use offsets::OffsetsError;

use ottla_records::ids::{LeaderEpoch, Offset};
use ottla_records::mutant;

use crate::{BrokerId, invariants};

/// The settings a follower goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `replica.fetch.backoff.ms`: how long to wait after an error.
    pub fetch_backoff_ms: i64,
}

/// Where the own log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset behind the last record.
    pub end: Offset,
    /// The leader epoch of the last record, as the log's history of epochs has it; `None` if that is empty.
    pub last_epoch: Option<LeaderEpoch>,
}

/// What to ask the leader, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Fetch.
    Fetch(Fetch),
    /// Ask for an end of the leader's log (ListOffsets), as [`Follower::offset_answered`] needs it.
    AskOffset(OffsetQuery),
    /// Truncate the own log to `to`, then tell with [`Follower::truncated`].
    Truncate {
        /// The new log end.
        to: Offset,
    },
    /// Nothing before this time, in ms.
    Wait {
        /// When to ask again.
        until_ms: i64,
    },
    /// Nothing any more: a new leader epoch has to come, or the log has to be repaired.
    Stopped(Failure),
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The own leader epoch (CurrentLeaderEpoch).
    pub leader_epoch: LeaderEpoch,
    /// The own log end.
    pub offset: Offset,
    /// The epoch of the last record in the own log (LastFetchedEpoch, -1 on the wire for `None`).
    pub last_epoch: Option<LeaderEpoch>,
    /// The own log start.
    pub log_start: Offset,
    /// The own high watermark (Fetch v18).
    pub high_watermark: Offset,
}

/// A question for one end of the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetQuery {
    /// The own leader epoch (CurrentLeaderEpoch).
    pub leader_epoch: LeaderEpoch,
    /// Which end.
    pub which: LeaderOffset,
}

/// An end of the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderOffset {
    /// The log end: ListOffsets' timestamp -1, asked as a replica.
    Latest,
    /// The log start: timestamp -2.
    Earliest,
}

/// Why a follower stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The leader has a newer leader epoch than is known here: the image will tell.
    Fenced,
    /// The own log could not be written.
    Storage,
    /// What the leader sent does not fit the own log.
    Unexpected,
}

/// What a follower is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It fetches.
    Fetching,
    /// It has to cut its log to here first.
    Truncating(Offset),
    /// Its log lies outside of the leader's: it asks where that is. The leader's end once that is known.
    OutOfRange(Option<Offset>),
    /// It has stopped.
    Failed(Failure),
}

/// A replica that follows a leader, in one leader epoch. A new epoch gets a new `Follower`.
#[derive(Debug)]
pub struct Follower {
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    settings: Settings,
    log: LogEnds,
    high_watermark: Offset,
    state: State,
    delayed_until: Option<i64>,
    /// The high watermark that the leader told last.
    leader_watermark: Option<Offset>,
    appending: Option<Append>,
}

impl Follower {
    /// Follows `leader` from where the own log ends. `high_watermark` is as known from before.
    ///
    /// A log whose epochs are unknown cannot be compared to the leader's: what is not known to be committed is
    /// cut off first.
    pub fn new(
        leader: BrokerId,
        leader_epoch: LeaderEpoch,
        settings: Settings,
        log: LogEnds,
        high_watermark: Offset,
    ) -> Follower {
        let high_watermark = high_watermark.min(log.end).max(log.start);
        invariants::watermark_is_inside(log.start, high_watermark, log.end);
        let blind = log.last_epoch.is_none() || mutant::is("cut-to-watermark");
        let blind = blind && high_watermark < log.end;
        Follower {
            leader,
            leader_epoch,
            settings,
            log,
            high_watermark,
            state: if blind { State::Truncating(high_watermark) } else { State::Fetching },
            delayed_until: None,
            leader_watermark: None,
            appending: None,
        }
    }

    /// What to do now. Asking changes nothing: until the answer comes it is the same.
    pub fn next(&self, now_ms: i64) -> Next {
        if let State::Failed(failure) = self.state {
            return Next::Stopped(failure);
        }
        if let Some(until_ms) = self.delayed_until.filter(|until| *until > now_ms) {
            return Next::Wait { until_ms };
        }
        let ask = |which| Next::AskOffset(OffsetQuery { leader_epoch: self.leader_epoch, which });
        match self.state {
            State::Truncating(to) => Next::Truncate { to },
            State::OutOfRange(None) => ask(LeaderOffset::Latest),
            State::OutOfRange(Some(_)) => ask(LeaderOffset::Earliest),
            State::Fetching | State::Failed(_) => Next::Fetch(self.fetch()),
        }
    }

    fn fetch(&self) -> Fetch {
        Fetch {
            leader_epoch: self.leader_epoch,
            offset: self.log.end,
            last_epoch: self.log.last_epoch,
            log_start: self.log.start,
            high_watermark: self.high_watermark,
        }
    }

    /// Waits for the back-off, as after an error. To be called when a request got no answer, too.
    pub fn delay(&mut self, now_ms: i64) {
        self.delayed_until = Some(now_ms.saturating_add(self.settings.fetch_backoff_ms));
    }

    fn fail(&mut self, failure: Failure) {
        self.state = State::Failed(failure);
        self.appending = None;
    }

    /// The leader.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// The leader epoch.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// What it is about.
    pub fn state(&self) -> State {
        self.state
    }

    /// Until when it waits after an error, in ms.
    pub fn delayed_until(&self) -> Option<i64> {
        self.delayed_until
    }

    /// Where the own log stands.
    pub fn log(&self) -> LogEnds {
        self.log
    }

    /// The high watermark as known here: what the leader told, as far as the own log goes.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// How far the own log is behind what is committed; `None` before the first answer.
    pub fn lag(&self) -> Option<i64> {
        self.leader_watermark.map(|committed| (committed - self.log.end).max(0))
    }

    /// The own log begins at `log_start` now (retention). The high watermark goes along.
    pub fn log_start_raised(&mut self, log_start: Offset) {
        self.log.start = self.log.start.max(log_start);
        self.log.end = self.log.end.max(self.log.start);
        self.high_watermark = self.high_watermark.max(self.log.start);
    }
}
