//! The commands of a follower's transcript. The stage keeps the log's history of epochs.

use ottla_records::ids::{LeaderEpoch, Offset};
use ottla_replication::follower::{
    Answer, AppendFailure, Fetch, FetchError, LogEnds, Next, OffsetQuery, OffsetsError, Settings, State, Step,
};
use ottla_replication::{EpochEnd, Follower};

use crate::line::{Line, Stage};

#[derive(Default)]
pub struct Following {
    follower: Option<Follower>,
    /// (epoch, first offset)
    history: Vec<(LeaderEpoch, Offset)>,
    now: i64,
    asked: Option<Next>,
}

fn error(name: &str) -> FetchError {
    match name {
        "out-of-range" => FetchError::OffsetOutOfRange,
        "fenced" => FetchError::FencedLeaderEpoch,
        "unknown-epoch" => FetchError::UnknownLeaderEpoch,
        "not-leader" => FetchError::NotLeaderOrFollower,
        "unknown-partition" => FetchError::UnknownTopicOrPartition,
        "unknown-topic" => FetchError::UnknownTopicId,
        "inconsistent-topic" => FetchError::InconsistentTopicId,
        "tiered" => FetchError::OffsetMovedToTieredStorage,
        "other" => FetchError::Other,
        _ => panic!("no error {name}"),
    }
}

fn epoch(epoch: Option<LeaderEpoch>) -> String {
    epoch.map_or("-".to_owned(), |epoch| epoch.to_string())
}

impl Following {
    fn follower(&mut self) -> &mut Follower {
        self.follower.as_mut().expect("a follower")
    }

    fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.history.last().map(|(epoch, _)| *epoch)
    }

    fn ask(&mut self, out: &mut Vec<String>) {
        let now = self.now;
        let next = self.follower().next(now);
        out.push(match next {
            Next::Fetch(fetch) => format!(
                "fetch epoch {} offset {} last {} start {} hw {}",
                fetch.leader_epoch,
                fetch.offset,
                epoch(fetch.last_epoch),
                fetch.log_start,
                fetch.high_watermark
            ),
            Next::AskOffset(query) => format!("ask epoch {} {:?}", query.leader_epoch, query.which),
            Next::Truncate { to } => format!("truncate to {to}"),
            Next::Wait { until_ms } => format!("wait {} ms", until_ms - now),
            Next::Stopped(why) => format!("stopped: {why:?}"),
        });
        self.asked = Some(next);
    }

    fn fetched(&mut self, answer: Answer, line: &Line, out: &mut Vec<String>) {
        let asked = match self.asked {
            Some(Next::Fetch(fetch)) => fetch,
            _ => panic!("no fetch was asked for"),
        };
        let asked = Fetch { leader_epoch: line.or("asked-epoch", asked.leader_epoch), ..asked };
        let asked = Fetch { offset: line.or("asked-offset", asked.offset), ..asked };
        let asked = Fetch { last_epoch: line.get("asked-last").or(asked.last_epoch), ..asked };
        let (history, now) = (self.history.clone(), self.now);
        let end = self.follower().log().end;
        let step = self.follower().fetched(&asked, answer, |epoch| end_of(&history, epoch, end), now);
        self.step(step, out);
    }

    fn step(&mut self, step: Step, out: &mut Vec<String>) {
        match step {
            Step::Nothing => {}
            Step::Stale => out.push("stale".to_owned()),
            Step::Append(append) => {
                let restart =
                    append.restart_at.map_or(String::new(), |at| format!(" in a log restarted at {at}"));
                out.push(format!("append up to epoch {}{restart}", append.up_to_epoch));
                if append.restart_at.is_some() {
                    self.history.clear();
                }
            }
            Step::Truncate { to, lost } => {
                out.push(format!("truncate to {to}, {lost} committed lost"));
            }
            Step::StartAt { offset, lost } => {
                out.push(format!("start again at {offset}, {lost} committed lost"));
            }
        }
    }
}

fn end_of(
    history: &[(LeaderEpoch, Offset)],
    epoch: LeaderEpoch,
    end: Offset,
) -> Option<(LeaderEpoch, Offset)> {
    let next = history.iter().position(|(known, _)| *known > epoch);
    match next {
        None => history.last().filter(|(last, _)| *last == epoch).map(|_| (epoch, end)),
        Some(0) => Some((epoch, history[0].1)),
        Some(at) => Some((history[at - 1].0, history[at].1)),
    }
}

impl Stage for Following {
    fn act(&mut self, line: &Line, out: &mut Vec<String>) {
        let now = self.now;
        match line.verb {
            "new" => {
                let history = line.text("epochs").unwrap_or_default();
                let pair = |part: &str| {
                    let (epoch, start) = part.split_once(':').expect("epoch:start");
                    (epoch.parse().expect("an epoch"), start.parse().expect("an offset"))
                };
                self.history = history.split(',').filter(|part| !part.is_empty()).map(pair).collect();
                let (start, end) = line.range("log").unwrap_or((0, 0));
                let log = LogEnds { start, end, last_epoch: self.last_epoch() };
                let settings = Settings { fetch_backoff_ms: 1000 };
                let (leader, epoch) = (line.or("leader", 2), line.need("epoch"));
                self.follower = Some(Follower::new(leader, epoch, settings, log, line.or("hw", start)));
            }
            "next" => self.ask(out),
            "wait" => self.now += line.need::<i64>("ms"),
            "delay" => self.follower().delay(now),
            "records" => {
                let answer = Answer::Records {
                    span: line.range("span"),
                    high_watermark: line.or("hw", 0),
                    log_start: line.or("start", 0),
                };
                self.fetched(answer, line, out);
            }
            "diverging" => {
                let end = EpochEnd { epoch: line.need("epoch"), end_offset: line.need("end") };
                self.fetched(Answer::Diverging(end), line, out);
            }
            "error" => self.fetched(Answer::Error(error(line.text("is").expect("is="))), line, out),
            "appended" => {
                let to = line.need("to");
                if let Some(epoch) = line.get("epoch")
                    && self.last_epoch() != Some(epoch)
                {
                    let from = self.follower().log().end;
                    self.history.push((epoch, line.or("from", from)));
                }
                let last_epoch = self.last_epoch();
                let advance = self.follower().appended(to, last_epoch);
                out.extend(advance.high_watermark.map(|hw| format!("high watermark {hw}")));
                out.extend(advance.log_start.map(|start| format!("log start {start}")));
            }
            "append-failed" => {
                let failure = match line.text("is") {
                    Some("corrupt") => AppendFailure::Corrupt,
                    Some("storage") => AppendFailure::Storage,
                    _ => AppendFailure::Unexpected,
                };
                self.follower().append_failed(failure, now);
            }
            "truncated" => {
                let to: Offset = line.need("to");
                self.history.retain(|(_, start)| *start < to);
                let log = LogEnds { end: to, last_epoch: self.last_epoch(), ..self.follower().log() };
                self.follower().truncated(log, now);
            }
            "truncation-failed" => self.follower().truncation_failed(),
            "restarted" => {
                self.history.clear();
                self.follower().restarted(line.need("at"));
            }
            "offset" => {
                let asked = match self.asked {
                    Some(Next::AskOffset(query)) => query,
                    _ => panic!("no offset was asked for"),
                };
                let asked = OffsetQuery { leader_epoch: line.or("asked-epoch", asked.leader_epoch), ..asked };
                let answer = match line.text("error") {
                    None => Ok(line.need("is")),
                    Some("fenced") => Err(OffsetsError::FencedLeaderEpoch),
                    Some(_) => Err(OffsetsError::Other),
                };
                let step = self.follower().offset_answered(&asked, answer, now);
                self.step(step, out);
            }
            "retention" => self.follower().log_start_raised(line.need("to")),
            verb => panic!("no command {verb}"),
        }
    }

    fn summary(&self) -> String {
        let follower = self.follower.as_ref().expect("a follower");
        let state = match follower.state() {
            State::Fetching => "fetching".to_owned(),
            State::Truncating(to) => format!("truncating to {to}"),
            State::OutOfRange(None) => "out of range".to_owned(),
            State::OutOfRange(Some(end)) => format!("out of range, leader ends at {end}"),
            State::Failed(why) => format!("failed: {why:?}"),
        };
        let delayed = follower.delayed_until().filter(|until| *until > self.now);
        let delayed = delayed.map_or(String::new(), |until| format!(" for {} ms delayed", until - self.now));
        let lag = follower.lag().map_or("-".to_owned(), |lag| lag.to_string());
        let log = follower.log();
        let last = epoch(log.last_epoch);
        let hw = follower.high_watermark();
        format!("= {state}{delayed} log {}..{} last {last} hw {hw} lag {lag}", log.start, log.end)
    }
}
