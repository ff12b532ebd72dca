//! The replicas, the messages between them, and what must hold.

use std::collections::BTreeMap;

use ottla_replication::follower::{self, Fetch, FetchError, Next, Step};
use ottla_replication::leader::{Acks, Admission, Answer, FetchRefused, Progress, Proposal, Refusal};
use ottla_replication::{BrokerId, Ends, compare_ends};

use crate::controller::Controller;
use crate::node::{LAG_MS, Node, Record, Role};

#[derive(Clone, Debug)]
pub enum Event {
    Produce {
        at: BrokerId,
        count: u8,
    },
    SendFetch {
        from: BrokerId,
    },
    ServeFetch {
        which: u8,
    },
    TakeAnswer {
        which: u8,
    },
    LoseMessage {
        which: u8,
    },
    ApplyImage {
        at: BrokerId,
    },
    ServeProposal {
        which: u8,
    },
    TakeDecision {
        which: u8,
    },
    Poll {
        at: BrokerId,
        ms: i64,
    },
    Fence {
        id: BrokerId,
    },
    Unfence {
        id: BrokerId,
    },
    /// A clean restart: the log stays.
    Restart {
        id: BrokerId,
    },
    /// The end of the log is lost, where the contract allows for that: another candidate is left.
    PowerCut {
        id: BrokerId,
        kept: u8,
    },
    ElectAgain,
    /// A round in which everything that is about gets through.
    Breathe,
}

struct Request {
    from: BrokerId,
    to: BrokerId,
    broker_epoch: i64,
    fetch: Fetch,
}

struct Response {
    to: BrokerId,
    broker_epoch: i64,
    fetch: Fetch,
    answer: follower::Answer,
    records: Vec<Record>,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub acked: usize,
    pub elections: usize,
    pub eligible_elections: usize,
    pub truncations: usize,
    pub shrinks: usize,
    pub expansions: usize,
    pub ineligible: usize,
    pub stale_versions: usize,
    pub stale_epochs: usize,
    pub not_admitted: usize,
    pub power_cuts: usize,
}

impl Seen {
    pub fn add(&mut self, other: &Seen) {
        self.acked += other.acked;
        self.elections += other.elections;
        self.eligible_elections += other.eligible_elections;
        self.truncations += other.truncations;
        self.shrinks += other.shrinks;
        self.expansions += other.expansions;
        self.ineligible += other.ineligible;
        self.stale_versions += other.stale_versions;
        self.stale_epochs += other.stale_epochs;
        self.not_admitted += other.not_admitted;
        self.power_cuts += other.power_cuts;
    }
}

pub struct Cluster {
    minimum: usize,
    controller: Controller,
    nodes: BTreeMap<BrokerId, Node>,
    requests: Vec<Request>,
    responses: Vec<Response>,
    proposals: Vec<(BrokerId, i64, Proposal)>,
    decisions: Vec<(BrokerId, i64, Proposal, Answer)>,
    now: i64,
    values: u64,
    /// What any replica said is committed.
    committed: Vec<Record>,
    /// Up to where acks=all produces were answered.
    acked: i64,
    pub seen: Seen,
}

impl Cluster {
    pub fn new(minimum: usize) -> Cluster {
        let controller = Controller::new(minimum);
        let nodes = (1..=3).map(|id| (id, Node::new(id, controller.image().clone()))).collect();
        let mut cluster = Cluster {
            minimum,
            controller,
            nodes,
            requests: Vec::new(),
            responses: Vec::new(),
            proposals: Vec::new(),
            decisions: Vec::new(),
            now: 0,
            values: 0,
            committed: Vec::new(),
            acked: 0,
            seen: Seen::default(),
        };
        (1..=3).for_each(|id| cluster.apply(id));
        cluster
    }

    fn node(&mut self, id: BrokerId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node")
    }

    pub fn happens(&mut self, event: Event) {
        let pick = |which: u8, len: usize| (len > 0).then(|| usize::from(which) % len);
        match event {
            Event::Produce { at, count } => self.produce(at, count),
            Event::SendFetch { from } => self.send_fetch(from),
            Event::ServeFetch { which } => {
                if let Some(at) = pick(which, self.requests.len()) {
                    self.serve_fetch(at);
                }
            }
            Event::TakeAnswer { which } => {
                if let Some(at) = pick(which, self.responses.len()) {
                    self.take_answer(at);
                }
            }
            Event::LoseMessage { which } => {
                if let Some(at) = pick(which, self.requests.len()) {
                    self.requests.remove(at);
                } else if let Some(at) = pick(which, self.responses.len()) {
                    self.responses.remove(at);
                } else if let Some(at) = pick(which, self.decisions.len()) {
                    // The broker finds out that there is no answer.
                    self.decisions[at].3 = Answer::Refused(Refusal::Other);
                }
            }
            Event::ApplyImage { at } => self.apply(at),
            Event::ServeProposal { which } => {
                if let Some(at) = pick(which, self.proposals.len()) {
                    self.serve_proposal(at);
                }
            }
            Event::TakeDecision { which } => {
                if let Some(at) = pick(which, self.decisions.len()) {
                    self.take_decision(at);
                }
            }
            Event::Poll { at, ms } => {
                self.now += ms;
                self.poll(at);
            }
            Event::Fence { id } => self.controller.fence(id),
            Event::Unfence { id } => {
                // Only who has caught up with the metadata asks to be unfenced.
                if self.nodes[&id].broker_epoch == self.controller.image().brokers[&id].epoch {
                    self.controller.unfence(id);
                }
            }
            Event::Restart { id } => self.restart(id, None),
            Event::PowerCut { id, kept } => {
                if self.controller.candidates().iter().any(|it| *it != id) {
                    self.restart(id, Some(kept));
                    self.seen.power_cuts += 1;
                }
            }
            Event::ElectAgain => self.controller.elect_again(),
            Event::Breathe => self.round(),
        }
        self.seen.elections = self.controller.elections;
        self.seen.eligible_elections = self.controller.eligible_elections;
    }

    /// The process ends and begins again: what it knew but for the log is gone, its messages are still about.
    fn restart(&mut self, id: BrokerId, kept: Option<u8>) {
        self.controller.register(id, kept.is_none());
        let mut new = Node::new(id, self.controller.image().clone());
        let old = self.node(id);
        new.log = std::mem::take(&mut old.log);
        if let Some(kept) = kept {
            new.log.truncate(new.log.end() * i64::from(kept) / 255);
        }
        // The checkpoint of the high watermark is older than the truth.
        new.high_watermark = (old.high_watermark / 2).min(new.log.end());
        new.applied = self.controller.images.len() - 1;
        self.nodes.insert(id, new);
        self.apply(id);
    }

    fn apply(&mut self, id: BrokerId) {
        let (minimum, now) = (self.minimum, self.now);
        let Some(image) = self.controller.images.get(self.nodes[&id].applied).cloned() else {
            return;
        };
        let progress = self.node(id).apply(image, minimum, now);
        self.came(id, progress);
    }

    /// Carries out what a leader's machine said.
    fn came(&mut self, id: BrokerId, progress: Progress) {
        let node = self.nodes.get_mut(&id).expect("a node");
        if let Some(proposal) = progress.proposal {
            if proposal.isr.len() > node.leader().expect("it proposes").isr().len() {
                self.seen.expansions += 1;
            } else {
                self.seen.shrinks += 1;
            }
            self.proposals.push((id, node.broker_epoch, proposal));
        }
        if let Some(to) = progress.high_watermark {
            node.high_watermark = to;
        }
        let mut waiting = std::mem::take(&mut node.waiting);
        if let Some(leader) = node.leader() {
            let mut acked = Vec::new();
            waiting.retain(|end| match leader.may_ack(*end) {
                Acks::Acked => {
                    acked.push(*end);
                    false
                }
                Acks::NotEnoughReplicasAfterAppend => false,
                Acks::Waiting => true,
            });
            self.seen.acked += acked.len();
            self.acked = acked.into_iter().fold(self.acked, i64::max);
            node.waiting = waiting;
        }
        self.commit(id);
    }

    /// What `id` believes to be committed is what everybody believed.
    fn commit(&mut self, id: BrokerId) {
        let node = &self.nodes[&id];
        let below = &node.log.records[..node.high_watermark as usize];
        let known = below.len().min(self.committed.len());
        assert_eq!(below[..known], self.committed[..known], "{id} has other committed records");
        self.committed.extend(&below[known..]);
    }

    fn produce(&mut self, id: BrokerId, count: u8) {
        let (now, first) = (self.now, self.values);
        self.values += u64::from(count);
        let node = self.nodes.get_mut(&id).expect("a node");
        let Role::Leader(leader) = &mut node.role else {
            return;
        };
        if leader.admits() != Admission::Admitted {
            self.seen.not_admitted += 1;
            return;
        }
        for value in first..first + u64::from(count) {
            node.log.append((leader.leader_epoch(), value));
        }
        node.waiting.push(node.log.end());
        let progress = leader.appended(node.log.end(), &Node::brokers(&node.image), now);
        self.came(id, progress);
    }

    fn send_fetch(&mut self, from: BrokerId) {
        let now = self.now;
        let node = self.node(from);
        let broker_epoch = node.broker_epoch;
        let Some(follower) = node.follower() else {
            return;
        };
        let to = follower.leader();
        match follower.next(now) {
            Next::Fetch(fetch) => self.requests.push(Request { from, to, broker_epoch, fetch }),
            Next::Truncate { to } => self.truncate(from, to, 0),
            Next::Wait { .. } | Next::Stopped(_) => {}
            Next::AskOffset(_) => panic!("a log that only clean leaders wrote is out of range"),
        }
    }

    fn serve_fetch(&mut self, at: usize) {
        let now = self.now;
        let Request { from, to, broker_epoch, fetch } = self.requests.remove(at);
        let node = self.nodes.get_mut(&to).expect("a node");
        let mut records = Vec::new();
        let mut progress = Progress::default();
        let error = follower::Answer::Error;
        let answer = match &mut node.role {
            Role::Leader(leader) if leader.leader_epoch() == fetch.leader_epoch => {
                let log = &node.log;
                let ends =
                    compare_ends(fetch.offset, fetch.last_epoch, 0, log.end(), |it| log.end_of_epoch(it));
                match ends {
                    Ends::Diverging(end) => follower::Answer::Diverging(end),
                    Ends::OutOfRange => error(FetchError::OffsetOutOfRange),
                    Ends::Match => {
                        let brokers = Node::brokers(&node.image);
                        match leader.follower_fetched(from, broker_epoch, fetch.offset, 0, &brokers, now) {
                            Ok(came) => {
                                progress = came;
                                let from = fetch.offset as usize;
                                let until = (from + 5).min(log.records.len());
                                records.extend(&log.records[from..until]);
                                let high_watermark = leader.high_watermark();
                                let span = (until > from).then_some((from as i64, until as i64 - 1));
                                follower::Answer::Records { span, high_watermark, log_start: 0 }
                            }
                            Err(FetchRefused::StaleBrokerEpoch { .. }) => {
                                self.seen.stale_epochs += 1;
                                error(FetchError::NotLeaderOrFollower)
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            }
            Role::Leader(leader) if leader.leader_epoch() > fetch.leader_epoch => {
                error(FetchError::FencedLeaderEpoch)
            }
            Role::Leader(_) => error(FetchError::UnknownLeaderEpoch),
            _ => error(FetchError::NotLeaderOrFollower),
        };
        self.came(to, progress);
        self.responses.push(Response { to: from, broker_epoch, fetch, answer, records });
    }

    fn take_answer(&mut self, at: usize) {
        let now = self.now;
        let Response { to, broker_epoch, fetch, answer, records } = self.responses.remove(at);
        let node = self.nodes.get_mut(&to).expect("a node");
        let Role::Follower(follower) = &mut node.role else {
            return;
        };
        if node.broker_epoch != broker_epoch {
            return; // the connection of a process that is gone
        }
        let log = &node.log;
        match follower.fetched(&fetch, answer, |epoch| log.end_of_epoch(epoch), now) {
            Step::Stale | Step::Nothing => {}
            Step::Append(append) => {
                let advance = node.append_fetched(append, &records);
                if let Some(to) = advance.high_watermark {
                    node.high_watermark = to;
                }
                self.commit(to);
            }
            Step::Truncate { to: end, lost } => self.truncate(to, end, lost),
            Step::StartAt { .. } => panic!("{to} starts again"),
        }
    }

    fn truncate(&mut self, id: BrokerId, to: i64, lost: i64) {
        assert_eq!(lost, 0, "{id} is to lose committed records");
        let now = self.now;
        let node = self.node(id);
        assert!(to >= node.high_watermark, "{id} truncates to {to} below {}", node.high_watermark);
        node.log.truncate(to);
        let ends = node.log.ends();
        node.follower().expect("it fetched").truncated(ends, now);
        self.seen.truncations += 1;
    }

    fn serve_proposal(&mut self, at: usize) {
        let (from, broker_epoch, proposal) = self.proposals.remove(at);
        if self.controller.image().brokers[&from].epoch != broker_epoch {
            return; // STALE_BROKER_EPOCH to a process that is gone
        }
        let answer = self.controller.alter(from, &proposal);
        match answer {
            Answer::Refused(Refusal::IneligibleReplica) => self.seen.ineligible += 1,
            Answer::Refused(Refusal::InvalidUpdateVersion) => self.seen.stale_versions += 1,
            _ => {}
        }
        self.decisions.push((from, broker_epoch, proposal, answer));
    }

    fn take_decision(&mut self, at: usize) {
        let now = self.now;
        let (to, broker_epoch, proposal, answer) = self.decisions.remove(at);
        let node = self.node(to);
        let Role::Leader(leader) = &mut node.role else {
            return;
        };
        if node.broker_epoch == broker_epoch {
            let progress = leader.answered(&proposal, answer, &Node::brokers(&node.image), now);
            self.came(to, progress);
        }
    }

    fn poll(&mut self, id: BrokerId) {
        let now = self.now;
        let node = self.node(id);
        if let Role::Leader(leader) = &mut node.role {
            let progress = leader.poll(&Node::brokers(&node.image), now);
            self.came(id, progress);
        }
    }

    /// What must hold after every event.
    pub fn check(&mut self) {
        assert!(self.acked <= self.committed.len() as i64, "acknowledged and not committed");
        // Who may be elected has everything.
        for id in self.controller.candidates() {
            let records = &self.nodes[&id].log.records;
            let has = records.len() >= self.committed.len()
                && records[..self.committed.len()] == self.committed[..];
            assert!(has, "{id} may lead without {} committed records", self.committed.len());
        }
    }

    fn round(&mut self) {
        for id in 1..=3 {
            while self.nodes[&id].applied < self.controller.images.len() {
                self.apply(id);
            }
        }
        for id in 1..=3 {
            self.poll(id);
            self.send_fetch(id);
        }
        while !self.requests.is_empty() {
            self.serve_fetch(0);
        }
        while !self.responses.is_empty() {
            self.take_answer(0);
        }
        while !self.proposals.is_empty() {
            self.serve_proposal(0);
        }
        while !self.decisions.is_empty() {
            self.take_decision(0);
        }
    }

    /// Everything works again: the replicas come together, and a produce is answered.
    pub fn heal(&mut self) {
        self.requests.clear();
        self.responses.clear();
        for id in 1..=3 {
            self.controller.unfence(id);
        }
        for round in 0..400 {
            self.now += LAG_MS / 10;
            self.round();
            self.check();
            if round == 300 {
                let leader = self.controller.image().leader.expect("a leader");
                let before = self.acked;
                self.produce(leader, 3);
                assert_eq!(self.nodes[&leader].waiting.len(), 1, "acked {before}");
            }
        }
        assert_eq!(self.controller.image().partition.isr.len(), 3, "all are in sync");
        let log = &self.nodes[&1].log.records;
        for node in self.nodes.values() {
            assert_eq!(node.log.records, *log, "{} has the same log", node.id);
            assert_eq!(node.high_watermark, node.log.end(), "{} knows all to be committed", node.id);
            assert!(node.waiting.is_empty(), "{} answers", node.id);
        }
    }
}
