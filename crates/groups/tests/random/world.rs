//! The coordinator, its log, the clients and the network between them, on one clock.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use ottla_groups::{Append, Config, Effect, Request, Response, Shard};
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_records::random::Random;

use super::checks::Checks;
use super::client::{Client, PARTITIONS, REBALANCE_MS, Stage};
use super::support::{Log, check_encodable, show_effect};

const CHURN_MS: i64 = 240_000;
const QUIET_MS: i64 = 90_000;

enum Event {
    /// A request arrives.
    Request { token: u64, from: usize, request: Request },
    /// An answer arrives.
    Answer { to: usize, token: u64, response: Response },
    /// A client does what it does next.
    Step(usize),
    /// The oldest append has an outcome.
    Appended,
    /// Something happens.
    Chaos,
    /// A shard that was unloaded is loaded again.
    Load,
}

pub(crate) struct World {
    random: Random,
    now_ms: i64,
    events: BTreeMap<(i64, u64), Event>,
    planned: u64,
    shard: Shard,
    config: Config,
    log: Log,
    appends: VecDeque<(i64, Append)>,
    clients: Vec<Client>,
    checks: Checks,
    token: u64,
    drawn: u64,
    trace: DefaultHasher,
    is_quiet: bool,
    is_loading: bool,
    seed: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03);
        let config =
            Config { initial_rebalance_delay_ms: random.below(3) as i32 * 1_000, ..Config::default() };
        let mut clients = Vec::new();
        for i in 0..3 + random.below(8) {
            let is_static = random.one_in(3);
            let version = if is_static { 5 + random.below(5) } else { random.below(10) };
            let instance = is_static.then(|| format!("i{i}"));
            let group = format!("g{}", random.below(2));
            clients.push(Client::new(format!("c{i}"), group, instance, version as i16));
        }
        let mut shard = Shard::new(config.clone());
        shard.loaded(0);
        let mut world = World {
            random,
            now_ms: 0,
            events: BTreeMap::new(),
            planned: 0,
            shard,
            config,
            log: Log::default(),
            appends: VecDeque::new(),
            clients,
            checks: Checks::default(),
            token: 0,
            drawn: 0,
            trace: DefaultHasher::new(),
            is_quiet: false,
            is_loading: false,
            seed,
        };
        for i in 0..world.clients.len() {
            world.clients[i].start();
            let delay = world.random.below(5_000);
            world.plan(delay, Event::Step(i));
        }
        world.plan(1_000, Event::Chaos);
        world
    }

    fn plan(&mut self, in_ms: i64, event: Event) {
        self.planned += 1;
        self.events.insert((self.now_ms + in_ms, self.planned), event);
    }

    /// Runs the churn, then the quiet; returns what the run looked like.
    pub(crate) fn run(mut self) -> u64 {
        println!("seed {}", self.seed);
        self.run_until(CHURN_MS);
        self.is_quiet = true;
        for i in 0..self.clients.len() {
            self.clients[i].paused_until_ms = 0;
            if self.clients[i].stage == Stage::Off {
                self.clients[i].start();
                self.plan(0, Event::Step(i));
            }
        }
        self.run_until(CHURN_MS + QUIET_MS);
        while let Some((at, _)) = self.appends.front() {
            self.now_ms = self.now_ms.max(*at);
            self.outcome();
            self.carry_out();
        }
        self.check_at_rest();
        self.shard.unload();
        self.carry_out();
        self.checks.all_answered();
        assert!(self.checks.assigned > 0 && self.checks.answered > 100, "the run did something");
        self.trace.finish()
    }

    fn run_until(&mut self, end_ms: i64) {
        loop {
            let event_ms = self.events.keys().next().map_or(i64::MAX, |(at, _)| *at);
            let tick_ms = self.shard.next_deadline().unwrap_or(i64::MAX).max(self.now_ms);
            if event_ms.min(tick_ms) > end_ms {
                self.now_ms = end_ms;
                return;
            }
            if tick_ms < event_ms {
                self.now_ms = tick_ms;
                self.shard.tick(tick_ms);
            } else {
                let ((at, _), event) = self.events.pop_first().unwrap();
                self.now_ms = at;
                self.happen(event);
            }
            self.carry_out();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request { token, from, request } => self.receive(token, from, request),
            Event::Answer { to, token, response } => {
                let client = &mut self.clients[to];
                if client.waits.is_some_and(|(waited, _)| waited == token) && client.stage != Stage::Off {
                    client.waits = None;
                    let next_ms = client.take(&response);
                    self.plan(next_ms, Event::Step(to));
                }
            }
            Event::Step(i) => self.step(i),
            Event::Appended => self.outcome(),
            Event::Chaos => self.chaos(),
            Event::Load => {
                self.is_loading = false;
                self.shard = self.log.reload(self.config.clone(), self.now_ms);
                self.checks.failed_over();
            }
        }
    }

    fn receive(&mut self, token: u64, from: usize, request: Request) {
        let client = &self.clients[from];
        let identity = match &request {
            Request::SyncGroup(r) => r.group_instance_id.clone().unwrap_or_else(|| r.member_id.clone()),
            _ => client.identity(),
        };
        self.checks.asked(token, client.group.clone(), identity, request.clone());
        let asker = ottla_groups::Client {
            id: &client.name,
            host: "/10.0.0.1",
            api_version: version(client, &request),
        };
        self.shard.handle(self.now_ms, asker, token, request);
    }

    fn step(&mut self, i: usize) {
        let now_ms = self.now_ms;
        let client = &mut self.clients[i];
        if client.stage == Stage::Off || client.waits.is_some_and(|(_, until_ms)| now_ms < until_ms) {
            return;
        }
        if now_ms < client.paused_until_ms {
            let wait_ms = client.paused_until_ms - now_ms;
            return self.plan(wait_ms, Event::Step(i));
        }
        let client = &mut self.clients[i];
        if client.waits.take().is_some() && client.stage == Stage::Syncing {
            // A sync without an answer: the generation may be over.
            client.stage = Stage::Joining;
        }
        self.drawn += 1;
        let request = client.request(self.drawn);
        let patience_ms = match client.stage {
            Stage::Joining => i64::from(REBALANCE_MS) + 15_000,
            Stage::Syncing => i64::from(REBALANCE_MS) + 5_000,
            _ => 6_000,
        };
        self.token += 1;
        client.waits = Some((self.token, now_ms + patience_ms));
        self.plan(patience_ms, Event::Step(i));
        self.send(self.token, i, request);
    }

    fn send(&mut self, token: u64, from: usize, request: Request) {
        if self.is_quiet || !self.random.one_in(50) {
            let delay = self.random.below(30);
            self.plan(delay, Event::Request { token, from, request });
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            show_effect(&effect).hash(&mut self.trace);
            match effect {
                Effect::Reply { token, response } => self.reply(token, response),
                Effect::Append(append) => {
                    let is_slow = !self.is_quiet && self.random.one_in(40);
                    let delay = if is_slow { self.random.below(8_000) } else { self.random.below(20) };
                    // Appends become committed in order.
                    let last = self.appends.back().map_or(0, |(at, _)| *at);
                    let at = last.max(self.now_ms + delay);
                    self.appends.push_back((at, append));
                    self.plan(at - self.now_ms, Event::Appended);
                }
                Effect::Notice(_) => {}
            }
        }
    }

    fn reply(&mut self, token: u64, response: Response) {
        self.checks.answered(token, &response);
        let waiting = self.clients.iter().position(|c| c.waits.is_some_and(|(waited, _)| waited == token));
        let Some(to) = waiting else { return };
        check_encodable(&response, version_of(&self.clients[to], &response));
        if self.is_quiet || !self.random.one_in(50) {
            let delay = self.random.below(30);
            self.plan(delay, Event::Answer { to, token, response });
        }
    }

    fn outcome(&mut self) {
        let Some((_, append)) = self.appends.pop_front_if(|(at, _)| *at <= self.now_ms) else { return };
        let outcome = if !self.is_quiet && self.random.one_in(15) {
            Err(ErrorCode::NotEnoughReplicas)
        } else {
            self.checks.appended(&append);
            Ok(self.log.append(&append))
        };
        self.shard.appended(self.now_ms, append.id, outcome);
    }

    fn chaos(&mut self) {
        self.check_offsets();
        if self.is_quiet {
            return;
        }
        let delay = self.random.below(4_000);
        self.plan(delay, Event::Chaos);
        let i = self.random.below(self.clients.len() as i64) as usize;
        let client = &mut self.clients[i];
        match self.random.below(8) {
            0 => client.stop(),
            1 if client.stage != Stage::Off && !client.member_id.is_empty() => {
                let request = client.leave();
                client.stop();
                self.token += 1;
                self.send(self.token, i, request);
            }
            // A restart; of a static member also while its old self is still around.
            2 | 3 => {
                client.start();
                self.plan(100, Event::Step(i));
            }
            4 => client.paused_until_ms = self.now_ms + self.random.below(25_000),
            5 if client.stage == Stage::Member => {
                client.mood += 1;
                client.stage = Stage::Joining;
            }
            6 if !self.is_loading && self.random.one_in(4) => self.fail_over(),
            _ => {}
        }
    }

    /// The partition moves: what was on its way arrives in part.
    fn fail_over(&mut self) {
        self.shard.unload();
        self.carry_out();
        let arrive = self.random.below(self.appends.len() as i64 + 1);
        for (_, append) in std::mem::take(&mut self.appends).into_iter().take(arrive as usize) {
            self.checks.appended(&append);
            self.log.append(&append);
        }
        self.events.retain(|_, event| !matches!(event, Event::Appended));
        self.shard = Shard::new(self.config.clone());
        self.is_loading = true;
        let delay = self.random.below(3_000);
        self.plan(delay, Event::Load);
    }

    /// A plain fetch says what is in the log: nothing lost, nothing moved back, nothing too early.
    fn check_offsets(&mut self) {
        if self.is_loading {
            return;
        }
        for group in ["g0", "g1"] {
            let topic = OffsetFetchRequestTopics {
                name: "t".into(),
                partition_indexes: (0..i32::from(PARTITIONS)).collect(),
                ..Default::default()
            };
            let wanted = OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: Some(vec![topic]),
                ..Default::default()
            };
            let asker = ottla_groups::Client { id: "", host: "", api_version: 8 };
            let mut waiting = Vec::new();
            let request = Request::OffsetFetch { group: wanted, require_stable: false };
            self.shard.handle(self.now_ms, asker, 0, request);
            while let Some(effect) = self.shard.poll_effect() {
                match effect {
                    Effect::Reply { token: 0, response: Response::OffsetFetch(response) } => {
                        for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
                            let expected = self.checks.committed(group, partition.partition_index);
                            assert_eq!(partition.committed_offset, expected, "{group} {partition:?}");
                        }
                    }
                    other => waiting.push(other),
                }
            }
            assert!(waiting.is_empty(), "a plain fetch does nothing else");
        }
    }

    /// After the quiet everybody is a member of the newest generation, every partition has an owner, and the
    /// log says what the shard says.
    fn check_at_rest(&mut self) {
        self.check_offsets();
        for group in ["g0", "g1"] {
            let members: Vec<&Client> = self.clients.iter().filter(|client| client.group == group).collect();
            let generations: Vec<i32> = members.iter().map(|client| client.generation).collect();
            for client in &members {
                assert_eq!(client.stage, Stage::Member, "{} of {group} at rest", client.name);
                assert_eq!(client.generation, generations[0], "{group} is of one generation");
            }
            let mut owned: Vec<u8> = members.iter().flat_map(|client| client.assignment.to_vec()).collect();
            owned.sort();
            if !members.is_empty() {
                assert_eq!(owned, (0..PARTITIONS).collect::<Vec<u8>>(), "{group} owns every partition once");
            }
        }
        let reloaded = self.log.reload(self.config.clone(), self.now_ms);
        assert_eq!(reloaded.dump(), self.shard.dump(), "the log says what the shard says");
    }
}

/// The version a client sends this request in.
fn version(client: &Client, request: &Request) -> i16 {
    match request {
        Request::JoinGroup { .. } => client.api_version,
        Request::SyncGroup(_) => 4,
        Request::OffsetCommit(_) => 8,
        _ => 4,
    }
}

fn version_of(client: &Client, response: &Response) -> i16 {
    match response {
        Response::JoinGroup(_) => client.api_version,
        Response::OffsetCommit(_) => 8,
        _ => 4,
    }
}
