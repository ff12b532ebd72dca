//! One run.

use std::collections::{BTreeMap, VecDeque};

use ottla_protocol::error_code::ErrorCode;
use ottla_records::random::Random;
use ottla_transactions::{
    Append, Config, Effect, Markers, Moment, Record, Request, Response, Shard, TopicPartition,
};

use crate::clients::{Client, Outcome, Step, Txn, at, error_of, is_retried};
use crate::partitions::Partition;

const PARTITIONS: usize = 4;

/// What is on its way, in no order.
#[derive(Debug)]
enum Message {
    Request { client: usize, question: u64, request: Request },
    Reply { client: usize, question: u64, response: Response },
    Markers { coordinator: i32, markers: Markers },
    Marked { coordinator: i32, markers: Markers, at: TopicPartition, error: ErrorCode },
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
    pub(crate) coordinators: u64,
}

pub(crate) struct World {
    random: Random,
    now: Moment,
    shard: Shard,
    coordinator: i32,
    /// The committed records, and the appends behind them.
    log: Vec<Record>,
    tail: VecDeque<Append>,
    waiting: BTreeMap<u64, (usize, u64)>,
    tokens: u64,
    questions: u64,
    producer_ids: i64,
    messages: Vec<Message>,
    partitions: Vec<Partition>,
    clients: Vec<Client>,
    txns: Vec<Txn>,
    /// The outcome of each transaction's markers, by producer and epoch where each has an epoch of its own.
    ends: BTreeMap<(i64, i16), bool>,
    is_quiet: bool,
    history: Vec<String>,
}

fn config() -> Config {
    Config { abort_check_interval_ms: 1_000, write_timeout_ms: 500, ..Config::default() }
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1));
        let clients = (0..4)
            .map(|n| {
                // Two clients may share an id: each takes it over from the other. All of an id are of one version.
                let id = if random.one_in(3) { random.index(2) } else { n };
                Client::new(&format!("tx-{id}"), if id % 2 == 0 { 2 } else { 0 })
            })
            .collect();
        let mut world = World {
            random,
            now: Moment { running_ms: 0, wall_ms: 1_000_000 },
            shard: Shard::new(config(), 0),
            coordinator: 0,
            log: Vec::new(),
            tail: VecDeque::new(),
            waiting: BTreeMap::new(),
            tokens: 0,
            questions: 0,
            producer_ids: 100,
            messages: Vec::new(),
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            clients,
            txns: Vec::new(),
            ends: BTreeMap::new(),
            is_quiet: false,
            history: Vec::new(),
        };
        world.shard.loaded(world.now);
        world
    }

    pub(crate) fn history(self) -> Vec<String> {
        self.history
    }

    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.random.below(20) {
                0..=7 => self.deliver(),
                8..=11 => self.commit_one(),
                12..=17 => {
                    let client = self.random.index(self.clients.len());
                    self.act(client);
                }
                18 => {
                    let ms = 1 + self.random.below(40);
                    self.pass(ms);
                }
                _ if self.random.one_in(12) => self.change_coordinator(),
                _ if self.random.one_in(30) => self.pass(70_000),
                _ => {}
            }
            self.effects();
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now.running_ms += ms;
        self.now.wall_ms += ms;
        self.shard.tick(self.now);
    }

    /// Nothing fails any more, and nobody begins anything: everything that is open comes to its end.
    pub(crate) fn heal(&mut self) {
        self.is_quiet = true;
        for round in 0..3_000 {
            while !self.messages.is_empty() || !self.tail.is_empty() {
                self.deliver();
                self.commit_one();
                self.effects();
            }
            self.pass(if round < 20 { 61_000 } else { 100 });
            self.effects();
        }
        assert!(self.messages.is_empty() && self.tail.is_empty());
    }

    /// Lets any one message arrive, or get lost.
    fn deliver(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let at = self.random.index(self.messages.len());
        let message = self.messages.swap_remove(at);
        let is_lost = !self.is_quiet && self.random.one_in(15);
        match message {
            Message::Request { client, question, request } => {
                // A question of an old client comes in time or not at all: nothing else tells it from a later one.
                let is_late =
                    self.clients[client].version == 0 && self.clients[client].waits != Some(question);
                if !is_lost && !is_late {
                    self.ask(client, question, request);
                }
            }
            Message::Reply { client, question, response } => {
                if !is_lost && self.clients[client].waits == Some(question) {
                    self.answered(client, &response);
                }
            }
            Message::Markers { coordinator, markers } => {
                for at in markers.partitions.clone() {
                    let is_lost = is_lost || (!self.is_quiet && self.random.one_in(10));
                    let error = if is_lost {
                        ErrorCode::NetworkException
                    } else {
                        let partition = &mut self.partitions[at.partition as usize];
                        let marked = partition.mark(&markers);
                        self.history.push(format!("marked {at:?} {markers:?}: {marked:?}"));
                        marked.err().unwrap_or(ErrorCode::None)
                    };
                    self.messages.push(Message::Marked { coordinator, markers: markers.clone(), at, error });
                }
            }
            Message::Marked { coordinator, markers, at, error } => {
                // A marker whose answer gets lost is reported as not written.
                let error = if is_lost { ErrorCode::NetworkException } else { error };
                if coordinator == self.coordinator {
                    let id = markers.transactional_id.clone();
                    self.shard.marked(self.now, &id, markers.id, [(at, error)]);
                }
            }
        }
    }

    fn ask(&mut self, client: usize, question: u64, request: Request) {
        if self.shard.lacks_producer_id() {
            self.producer_ids += 1;
            self.shard.stock(self.producer_ids);
        }
        self.tokens += 1;
        self.waiting.insert(self.tokens, (client, question));
        self.shard.handle(self.now, self.tokens, request);
    }

    /// The high watermark passes the oldest append, or the log refuses it (it is the only one then).
    fn commit_one(&mut self) {
        let is_refused = !self.is_quiet && self.tail.len() == 1 && self.random.one_in(25);
        let Some(append) = self.tail.pop_front() else { return };
        if is_refused {
            return self.shard.appended(self.now, append.id, Err(ErrorCode::NotEnoughReplicas));
        }
        self.log.extend(append.records);
        self.shard.appended(self.now, append.id, Ok(()));
    }

    fn effects(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Append(append) => self.tail.push_back(append),
                Effect::Reply { token, response } => {
                    let (client, question) = self.waiting.remove(&token).expect("one reply for each request");
                    self.history.push(format!("{client} {response:?}"));
                    self.messages.push(Message::Reply { client, question, response });
                }
                Effect::Mark(markers) => {
                    if markers.transaction_version >= 2 {
                        let end = (markers.producer_id, markers.epoch);
                        let before = self.ends.insert(end, markers.commit);
                        assert!(before.is_none_or(|before| before == markers.commit), "{end:?} ends twice");
                    }
                    self.messages.push(Message::Markers { coordinator: self.coordinator, markers });
                }
                Effect::Notice(notice) => self.history.push(notice.to_string()),
            }
        }
    }

    /// The coordinator is lost, with or without a word; what was above the high watermark is lost, too, or not.
    fn change_coordinator(&mut self) {
        if self.random.one_in(2) {
            self.shard.unload();
            self.effects();
        }
        self.waiting.clear();
        let kept = self.random.index(self.tail.len() + 1);
        for append in std::mem::take(&mut self.tail).into_iter().take(kept) {
            self.log.extend(append.records);
        }
        self.coordinator += 1;
        self.shard = self.reload();
        self.shard.loaded(self.now);
        self.history.push(format!("coordinator {}", self.coordinator));
    }

    fn reload(&self) -> Shard {
        let mut shard = Shard::new(config(), self.coordinator);
        for record in &self.log {
            shard.replay(&record.key, record.value.as_deref()).unwrap();
        }
        shard
    }

    /// A client does its next step, or asks again, or disappears and another comes up in its place.
    fn act(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if self.random.one_in(60) {
            let (id, version) = (client.transactional_id.clone(), client.version);
            *client = Client::new(&id, version);
            self.history.push(format!("{number} is another one"));
            return;
        }
        if client.waits.is_some() && !self.random.one_in(8) {
            return;
        }
        if let Step::Write(partition) = client.step
            && client.guard.is_none()
        {
            let begun = self.partitions[partition].begin(client.id, client.epoch, client.version >= 2);
            match begun {
                // The transaction is open there: nobody is asked.
                None if client.version >= 2 => return self.write(number),
                guard => client.guard = guard,
            }
        }
        self.questions += 1;
        let client = &mut self.clients[number];
        client.waits = Some(self.questions);
        client.asked += 1;
        if client.step == (Step::End { commit: true })
            && let Some(txn) = client.txn
        {
            self.txns[txn].outcome = Outcome::Unknown;
        }
        let request = client.request();
        self.history.push(format!("{number} asks {request:?}"));
        self.messages.push(Message::Request { client: number, question: self.questions, request });
    }

    fn answered(&mut self, number: usize, response: &Response) {
        let client = &mut self.clients[number];
        client.waits = None;
        let error = error_of(response);
        if is_retried(error) {
            return;
        }
        match (client.step.clone(), response) {
            (Step::Init, Response::InitProducerId(body)) if error == ErrorCode::None => {
                (client.id, client.epoch) = (body.producer_id, body.producer_epoch);
                self.begin(number);
            }
            (Step::Init, _) => panic!("a client cannot begin: {response:?}"),
            (Step::Write(_), _) if error == ErrorCode::None => self.write(number),
            (Step::Write(_), _) => self.fenced(number, Outcome::NotCommitted),
            (Step::End { commit }, Response::EndTxn(body)) if error == ErrorCode::None => {
                let txn = client.txn.take().expect("a transaction ends");
                self.txns[txn].outcome = if commit { Outcome::Committed } else { Outcome::NotCommitted };
                let client = &mut self.clients[number];
                if client.version >= 2 {
                    (client.id, client.epoch) = (body.producer_id, body.producer_epoch);
                }
                self.begin(number);
            }
            (Step::End { commit }, _) => {
                // What it asked before may have been heard.
                let is_definite = !commit || client.asked == 1;
                self.fenced(number, if is_definite { Outcome::NotCommitted } else { Outcome::Unknown });
            }
        }
    }

    fn begin(&mut self, number: usize) {
        self.txns.push(Txn { written: Vec::new(), outcome: Outcome::NotCommitted });
        let txn = self.txns.len() - 1;
        self.clients[number].txn = Some(txn);
        let partition = self.random.index(PARTITIONS);
        self.clients[number].go(Step::Write(partition));
    }

    fn fenced(&mut self, number: usize, outcome: Outcome) {
        let client = &mut self.clients[number];
        if let Some(txn) = client.txn.take() {
            self.txns[txn].outcome = outcome;
        }
        client.go(Step::Init);
    }

    /// The partition takes part: its leader takes the record, after one more question for old clients.
    fn write(&mut self, number: usize) {
        let client = &self.clients[number];
        let Step::Write(partition) = client.step else { panic!("{:?} writes nothing", client.step) };
        let (id, epoch, txn) = (client.id, client.epoch, client.txn.expect("a transaction is under way"));
        let guard = client.guard;
        let is_known = client.version >= 2 || self.is_verified(number, partition);
        let appended = match is_known {
            true => self.partitions[partition].append(id, epoch, guard, txn),
            false => Err(ErrorCode::InvalidTxnState),
        };
        self.history.push(format!("{number} writes {txn} to {partition} as {id}/{epoch}: {appended:?}"));
        if appended.is_ok() {
            self.txns[txn].written.push(partition);
        }
        let next = match appended {
            Ok(()) if self.random.one_in(2) => Step::Write(self.random.index(PARTITIONS)),
            Ok(()) => Step::End { commit: !self.random.one_in(3) },
            // What clients may abort is aborted; it has not begun anywhere, perhaps.
            Err(_) => return self.fenced(number, Outcome::NotCommitted),
        };
        self.clients[number].go(next);
    }

    /// The leader's question for a client from before transaction version 2.
    fn is_verified(&mut self, number: usize, partition: usize) -> bool {
        let client = &self.clients[number];
        let Request::AddPartitions { producer, .. } = client.request() else { return false };
        let request = Request::Verify { producer, partitions: vec![at(partition)] };
        self.tokens += 1;
        let token = self.tokens;
        self.shard.handle(self.now, token, request);
        // It is answered at once; what else there is keeps its order.
        let mut others = Vec::new();
        let mut errors = Vec::new();
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Reply { token: of, response: Response::Verify(said) } if of == token => errors = said,
                other => others.push(other),
            }
        }
        assert!(others.is_empty(), "a question changes nothing: {others:?}");
        errors == [ErrorCode::None]
    }

    /// What happened to a transaction, for whoever looks for a mistake.
    fn about(&self, txn: usize) -> String {
        let first =
            self.history.iter().position(|line| line.contains(&format!("writes {txn} "))).unwrap_or(0);
        let from = first.saturating_sub(10);
        self.history[from..].iter().take(150).cloned().collect::<Vec<_>>().join("\n")
    }

    /// What has to hold when everything has come to rest.
    pub(crate) fn verify(&mut self) -> Tally {
        assert_eq!(self.shard.dump(), self.reload().dump(), "the log says what the coordinator knows");
        for (index, partition) in self.partitions.iter().enumerate() {
            assert!(!partition.is_open(), "partition {index} has an open transaction");
        }
        let mut tally = Tally { coordinators: self.coordinator as u64, ..Tally::default() };
        for (number, txn) in self.txns.iter().enumerate() {
            let seen = |values: &Vec<usize>| values.iter().filter(|value| **value == number).count();
            let mut visible = 0;
            for (index, partition) in self.partitions.iter().enumerate() {
                let written = txn.written.iter().filter(|at| **at == index).count();
                let (shown, dropped) = (seen(&partition.visible), seen(&partition.aborted));
                assert_eq!(shown + dropped, written, "each record of {number} is decided once: {txn:?}");
                assert!(shown == 0 || dropped == 0, "transaction {number} is torn in partition {index}");
                visible += shown;
            }
            let all = txn.written.len();
            match txn.outcome {
                Outcome::Committed => assert_eq!(visible, all, "transaction {number} was committed: {txn:?}"),
                Outcome::NotCommitted => {
                    assert_eq!(visible, 0, "transaction {number} was not: {txn:?}\n{}", self.about(number))
                }
                Outcome::Unknown => assert!(visible == 0 || visible == all, "{number} is torn: {txn:?}"),
            }
            if visible > 0 {
                tally.committed += 1;
            } else if all > 0 {
                tally.aborted += 1;
            }
        }
        tally
    }
}
