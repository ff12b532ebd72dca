//! The commands of a leader's transcript. Brokers 1 to 9 are registered, with their id + 100 as epoch.

use std::collections::HashMap;

use ottla_replication::leader::{
    Answer, Assignment, LogEnds, Progress, Proposal, Recovery, Refusal, Settings,
};
use ottla_replication::{Broker, BrokerId, Leader};

use crate::line::{Line, Stage, ids};

pub struct Leading {
    leader: Option<Leader>,
    assignment: Assignment,
    brokers: HashMap<BrokerId, Broker>,
    racks: HashMap<BrokerId, String>,
    now: i64,
    sent: Vec<Proposal>,
}

impl Default for Leading {
    fn default() -> Self {
        let broker = |id| (id, Broker { epoch: 100 + i64::from(id), fenced: false, shutting_down: false });
        Leading {
            leader: None,
            assignment: Assignment::default(),
            brokers: (1..10).map(broker).collect(),
            racks: HashMap::new(),
            now: 1000,
            sent: Vec::new(),
        }
    }
}

fn proposal(proposal: &Proposal) -> String {
    let isr: Vec<String> = proposal.isr.iter().map(|it| format!("{}@{}", it.id, it.broker_epoch)).collect();
    format!(
        "propose #{} epoch {} version {} isr {} {:?}",
        proposal.number,
        proposal.leader_epoch,
        proposal.partition_epoch,
        isr.join(","),
        proposal.recovery
    )
}

fn progress(progress: Progress, out: &mut Vec<String>, sent: &mut Vec<Proposal>) {
    out.extend(progress.high_watermark.map(|hw| format!("high watermark {hw}")));
    out.extend(progress.low_watermark.map(|lw| format!("low watermark {lw}")));
    out.extend(progress.proposal.as_ref().map(proposal));
    sent.extend(progress.proposal);
}

fn refusal(name: &str) -> Refusal {
    match name {
        "not-attempted" => Refusal::OperationNotAttempted,
        "ineligible" => Refusal::IneligibleReplica,
        "unknown-partition" => Refusal::UnknownTopicOrPartition,
        "unknown-topic" => Refusal::UnknownTopicId,
        "fenced" => Refusal::FencedLeaderEpoch,
        "version" => Refusal::InvalidUpdateVersion,
        "request" => Refusal::InvalidRequest,
        "new-leader" => Refusal::NewLeaderElected,
        "other" => Refusal::Other,
        _ => panic!("no refusal {name}"),
    }
}

impl Leading {
    /// What the line does not say stays as it was.
    fn assignment(&mut self, line: &Line) -> Assignment {
        let old = &self.assignment;
        let recovery = if line.has("recovering") { Recovery::Recovering } else { Recovery::Recovered };
        let replicas = line.list("replicas").unwrap_or_else(|| old.replicas.clone());
        self.assignment = Assignment {
            leader_epoch: line.or("epoch", old.leader_epoch),
            partition_epoch: line.or("version", old.partition_epoch),
            isr: line.list("isr").unwrap_or_else(|| old.isr.clone()),
            adding: line.list("adding").unwrap_or_default(),
            removing: line.list("removing").unwrap_or_default(),
            replicas,
            recovery,
        };
        self.assignment.clone()
    }

    fn create(&mut self, line: &Line, out: &mut Vec<String>) {
        let settings = Settings {
            min_insync_replicas: line.or("min", 1),
            replica_lag_time_max_ms: line.or("lag", 30_000),
        };
        let (start, end) = line.range("log").unwrap_or((0, 0));
        let log = LogEnds { start, end, high_watermark: line.or("hw", start) };
        let assignment = self.assignment(line);
        let id = line.or("id", 1);
        let brokers = |id| self.brokers.get(&id).copied();
        let (leader, first) =
            Leader::new(id, 100 + i64::from(id), settings, assignment, log, &brokers, self.now);
        progress(first, out, &mut self.sent);
        self.leader = Some(leader);
    }
}

impl Stage for Leading {
    fn act(&mut self, line: &Line, out: &mut Vec<String>) {
        match line.verb {
            "new" => return self.create(line, out),
            "broker" => {
                let id = line.need("id");
                let epoch = line.or("epoch", 100 + i64::from(id));
                let broker =
                    Broker { epoch, fenced: line.has("fenced"), shutting_down: line.has("stopping") };
                self.brokers.insert(id, broker);
                if line.has("gone") {
                    self.brokers.remove(&id);
                }
                return;
            }
            "rack" => {
                self.racks.insert(line.need("id"), line.need("in"));
                return;
            }
            "wait" => self.now += line.need::<i64>("ms"),
            _ => {}
        }
        let changed = (line.verb == "image").then(|| self.assignment(line));
        let (now, racks) = (self.now, &self.racks);
        let brokers = |id| self.brokers.get(&id).copied();
        let leader = self.leader.as_mut().expect("a leader");
        match line.verb {
            "append" => progress(leader.appended(line.need("to"), &brokers, now), out, &mut self.sent),
            "deleted" => progress(leader.log_start_raised(line.need("to"), &brokers), out, &mut self.sent),
            "fetch" => {
                let from = line.need("from");
                let epoch = line.or("epoch", 100 + i64::from(from));
                let (offset, start) = (line.need("offset"), line.or("start", 0));
                match leader.follower_fetched(from, epoch, offset, start, &brokers, now) {
                    Ok(came) => progress(came, out, &mut self.sent),
                    Err(error) => out.push(format!("refused: {error}")),
                }
            }
            "wait" => {}
            "poll" => progress(leader.poll(&brokers, now), out, &mut self.sent),
            "answer" => {
                let answer = match line.text("refused") {
                    Some(name) => Answer::Refused(refusal(name)),
                    None => Answer::Committed {
                        leader_epoch: line.or("epoch", leader.leader_epoch()),
                        partition_epoch: line.need("version"),
                        isr: line.list("isr").expect("isr="),
                        recovery: Recovery::Recovered,
                    },
                };
                let number: u64 = line.need("n");
                if let Some(proposal) = self.sent.iter().rev().find(|it| {
                    // `of` names an earlier leadership's, which counted from 1 as well.
                    it.number == number && it.leader_epoch == line.or("of", leader.leader_epoch())
                }) {
                    progress(leader.answered(proposal, answer, &brokers, now), out, &mut Vec::new());
                }
            }
            "image" => {
                progress(leader.partition_changed(changed.expect("set"), &brokers, now), out, &mut self.sent)
            }
            "configure" => {
                let old = leader.settings();
                let new = Settings { min_insync_replicas: line.need("min"), ..old };
                progress(leader.configure(new, &brokers, now), out, &mut self.sent);
            }
            "ack" => out.push(format!("{:?}", leader.may_ack(line.need("to")))),
            "admit" => out.push(format!("{:?}", leader.admits())),
            "owes" => out.push(format!("{}", leader.owes_watermark(line.need("to")))),
            "sent" => leader.watermark_sent(line.need("to"), line.need("hw")),
            "read" => {
                let rack_of = |id| racks.get(&id).map(String::as_str);
                let (at, rack) = (line.need("at"), line.text("rack").unwrap_or_default());
                let best = leader.preferred_read_replica(at, rack, rack_of, &brokers);
                out.push(best.map_or("the leader".to_owned(), |id| format!("replica {id}")));
            }
            verb => panic!("no command {verb}"),
        }
    }

    fn summary(&self) -> String {
        let leader = self.leader.as_ref().expect("a leader");
        let brokers = |id| self.brokers.get(&id).copied();
        let mut out = format!(
            "= epoch {} version {} isr {} of {} log {}..{} hw {} lw {}",
            leader.leader_epoch(),
            leader.partition_epoch(),
            ids(leader.isr()),
            ids(leader.replicas()),
            leader.log_start(),
            leader.log_end(),
            leader.high_watermark(),
            leader.low_watermark(&brokers),
        );
        let flags = [
            (leader.in_flight().is_some(), "in-flight"),
            (leader.is_reassigning(), "reassigning"),
            (leader.is_under_replicated(), "under-replicated"),
            (leader.is_under_min_isr(), "under-min-isr"),
            (leader.is_at_min_isr(), "at-min-isr"),
            (leader.recovery() == Recovery::Recovering, "recovering"),
        ];
        flags.iter().filter(|(on, _)| *on).for_each(|(_, flag)| out += &format!(" {flag}"));
        out
    }
}
