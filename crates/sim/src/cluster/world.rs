//! The events of a run, one after the other on one thread.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Arguments;

use ottla_log::LogDir;
use ottla_protocol::messages::CreateTopicsRequest;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_quorum::{QuorumError, Replica, Time};
use ottla_raft::message::ApiVersionsResponse;
use ottla_raft::{Request, Response, VersionRange};
use uuid::Uuid;

use super::ask::{Answer, Ask, Key, Party, Purpose, Route};
use super::ear::{Ear, Said, Wire};
use super::members::Member;
use super::node::{self, Node};
use super::partition::{Around, Partition, Role};
use super::plan::Plan;
use super::producers::Producer;
use super::rules::Rules;
use crate::network::Network;
use crate::random::Random;
use crate::trace::Trace;
use crate::words;

/// The topic of a run.
pub const TOPIC: &str = "orders";
/// Where consumer groups are written.
pub const OFFSETS: &str = "__consumer_offsets";
/// How often a process looks at the clock.
const TICK_MS: i64 = 40;
/// How often the simulator looks at everything.
const AUDIT_MS: i64 = 250;

/// Something that is going to happen.
#[derive(Debug)]
pub enum Event {
    /// A request of the quorum arrives.
    Request {
        from: usize,
        incarnation: u64,
        correlation: u64,
        to: usize,
        request: Request,
    },
    /// Its answer arrives, or the news that there will be none.
    Response {
        to: usize,
        incarnation: u64,
        correlation: u64,
        response: Option<Response>,
    },
    /// The quorum of a process asked to be woken.
    Wake {
        node: usize,
        incarnation: u64,
        at: i64,
    },
    /// A process looks at the clock.
    Tick {
        node: usize,
        incarnation: u64,
    },
    /// A question arrives.
    Ask {
        route: Route,
        to: usize,
        ask: Ask,
    },
    /// An answer arrives.
    Answer {
        route: Route,
        answer: Answer,
    },
    /// A listener refused a connection.
    PeerRefused {
        node: usize,
        peer: usize,
    },
    /// A client's turn.
    Write {
        client: usize,
    },
    /// A member's turn; only the newest counts.
    Member {
        member: usize,
        turn: u64,
    },
    /// A coordinator reads the next piece of its log.
    Load {
        node: usize,
        incarnation: u64,
        index: i32,
        seat: u64,
    },
    /// The topics are asked for until they are there.
    Create,
    Audit,
    Trouble,
    Unblock,
    Start {
        node: usize,
    },
}

/// Who waits for an answer of the quorum.
pub(super) struct Ticket {
    pub(super) from: usize,
    pub(super) incarnation: u64,
    pub(super) correlation: u64,
}

/// One run.
pub struct World {
    pub(super) now: i64,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    pub(super) plan: Plan,
    pub(super) rules: Rules,
    pub(super) random: Random,
    pub(super) trace: Trace,
    /// Clients write.
    pub(super) writing: bool,
    /// Trouble goes on.
    pub(super) troubled: bool,
    pub(super) topic: Option<Uuid>,
    pub(super) offsets: Option<Uuid>,
    pub(super) members: Vec<Member>,
    pub(super) producers: Vec<Producer>,
    pub(super) producer_ids: i64,
    pub(super) numbers: u64,
    pub(super) tickets: BTreeMap<u64, Ticket>,
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    events: BTreeMap<u64, Event>,
    sequence: u64,
}

impl World {
    /// A cluster from a seed, every node about to start. `keep` is how much of the trace is to be read.
    ///
    /// With `groups` there are consumer groups in it.
    pub fn new(seed: u64, groups: bool, keep: usize, change: impl FnOnce(&mut Plan)) -> World {
        let mut random = Plan::random(seed, groups);
        let mut plan = Plan::draw(&mut random, groups);
        change(&mut plan);
        let nodes = (0..plan.nodes()).map(|index| Node::new(index).expect("SIM: an empty disk can be used"));
        let mut world = World {
            now: 0,
            nodes: nodes.collect(),
            network: Network::new(random.fork()),
            rules: Rules::new(plan.elr, plan.unclean),
            plan,
            random,
            trace: Trace::new(keep),
            writing: true,
            troubled: true,
            topic: None,
            offsets: None,
            members: Vec::new(),
            producers: Vec::new(),
            producer_ids: 1_000,
            numbers: 0,
            tickets: BTreeMap::new(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            sequence: 0,
        };
        world.trace.note(0, format_args!("{:?}", world.plan));
        for node in 0..world.nodes.len() {
            let after = world.random.between(0, 100);
            world.post(after, Event::Start { node });
        }
        world.post(1_500, Event::Create);
        world.post(AUDIT_MS, Event::Audit);
        let first_trouble = 3_000 + world.plan.gap_ms;
        world.post(first_trouble, Event::Trouble);
        world.begin_producers();
        world.begin_members();
        world
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, line: Arguments<'_>) {
        self.trace.note(self.now, line);
    }

    /// Lets something happen later.
    pub(super) fn post(&mut self, after: i64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + after.max(0), self.sequence)));
        self.events.insert(self.sequence, event);
    }

    /// Lets time pass until `until`.
    pub fn run_until(&mut self, until: i64) {
        while let Some(Reverse((at, sequence))) = self.queue.peek().copied()
            && at <= until
        {
            self.queue.pop();
            self.now = at;
            let event = self.events.remove(&sequence).expect("SIM: every number in the queue has its event");
            self.happen(event);
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        // A process that is stopped, or waits for its disk, finds what arrived when it goes on.
        let held = match &event {
            Event::Request { to, .. } | Event::Response { to, .. } | Event::Ask { to, .. } => Some(*to),
            Event::Wake { node, .. }
            | Event::Tick { node, .. }
            | Event::Load { node, .. }
            | Event::PeerRefused { node, .. } => Some(*node),
            Event::Answer { route: Route { party: Party::Node { index, .. }, .. }, .. } => Some(*index),
            _ => None,
        };
        if let Some(node) = held
            && self.nodes[node].process.is_some()
            && self.nodes[node].held_until > self.now
        {
            return self.post(self.nodes[node].held_until - self.now, event);
        }
        match event {
            Event::Request { from, incarnation, correlation, to, request } => {
                self.arrive(Ticket { from, incarnation, correlation }, to, request);
            }
            Event::Response { to, incarnation, correlation, response } => {
                if self.runs(to, incarnation) {
                    let line = words::response(response.as_ref());
                    self.note(format_args!("{} <- #{correlation} {line}", to + 1));
                    self.step(to, |replica, time| replica.response(time, correlation, response));
                }
            }
            Event::Wake { node, incarnation, at } => {
                // It may have asked for another time since.
                let asked = self.nodes[node].process.as_ref().is_some_and(|it| it.wake == at);
                if asked && self.runs(node, incarnation) {
                    if let Some(process) = &mut self.nodes[node].process {
                        process.wake = i64::MAX;
                    }
                    self.step(node, Replica::timeout);
                }
            }
            Event::Tick { node, incarnation } => {
                if self.runs(node, incarnation) {
                    self.tick(node);
                    self.post(TICK_MS, Event::Tick { node, incarnation });
                }
            }
            Event::Ask { route, to, ask } => {
                self.note(format_args!("{} is asked #{} {ask}", to + 1, route.id));
                match self.nodes[to].process.is_some() {
                    true => self.serve(to, route, ask),
                    false => self.answer(to, route, Answer::Refused),
                }
            }
            Event::Answer { route: Route { party, id, purpose }, answer } => {
                self.note(format_args!("{party} is answered #{id} {answer}"));
                match party {
                    Party::Node { index, incarnation } => {
                        if self.runs(index, incarnation) {
                            self.told(index, id, purpose, answer);
                        }
                    }
                    Party::Client(client) => self.written(client, id, answer),
                    Party::Member(member) => self.member_told(member, id, answer),
                    Party::Nobody => {}
                }
            }
            Event::PeerRefused { node, peer } => self.peer_refused(node, peer),
            Event::Write { client } => self.write(client),
            Event::Member { member, turn } => self.member_turn(member, turn),
            Event::Load { node, incarnation, index, seat } => {
                if self.runs(node, incarnation) {
                    self.load_seat(node, index, seat);
                }
            }
            Event::Create => self.create_topics(),
            Event::Audit => {
                self.post(AUDIT_MS, Event::Audit);
                self.audit(false);
            }
            Event::Trouble => self.trouble(),
            Event::Unblock => {
                self.note(format_args!("links are joined"));
                self.network.unblock();
            }
            Event::Start { node } => self.start(node),
        }
    }

    fn runs(&self, node: usize, incarnation: u64) -> bool {
        self.nodes[node].process.is_some() && self.nodes[node].incarnation == incarnation
    }

    fn arrive(&mut self, ticket: Ticket, to: usize, request: Request) {
        let Ticket { from, incarnation, correlation } = ticket;
        if self.nodes[to].process.is_none() {
            for after in self.network.arrivals(to, from).into_iter().take(1) {
                self.post(after, Event::Response { to: from, incarnation, correlation, response: None });
            }
            return;
        }
        let line = words::request(&request);
        self.note(format_args!("{} -> {} #{correlation} {line}", from + 1, to + 1));
        if request == Request::ApiVersions {
            let kraft_versions = Some(VersionRange { min: 0, max: 1 });
            let answer = ApiVersionsResponse { error: ottla_raft::Fault::None, kraft_versions };
            for after in self.network.arrivals(to, from) {
                let response = Some(Response::ApiVersions(answer.clone()));
                self.post(after, Event::Response { to: from, incarnation, correlation, response });
            }
            return;
        }
        self.sequence += 1;
        let number = self.sequence;
        self.tickets.insert(number, ticket);
        let said = self.nodes[to].said.clone();
        let reply = move |response: Response| said.lock().push(Said::Answer { ticket: number, response });
        self.step(to, |replica, time| replica.request(time, "CONTROLLER", request, Box::new(reply)));
    }

    /// Sends a question; gives its number.
    pub(super) fn send(&mut self, party: Party, to: usize, ask: Ask, purpose: Purpose) -> u64 {
        self.sequence += 1;
        let route = Route { party, id: self.sequence, purpose };
        // A request for a group goes over one connection: it arrives once, if at all.
        let most = if matches!(party, Party::Member(_)) { 1 } else { usize::MAX };
        for after in self.network.arrivals(self.place(party), to).into_iter().take(most) {
            self.post(after, Event::Ask { route: route.clone(), to, ask: ask.clone() });
        }
        route.id
    }

    /// Where somebody is on the network: clients are beside all nodes.
    fn place(&self, party: Party) -> usize {
        match party {
            Party::Node { index, .. } => index,
            Party::Client(client) => self.nodes.len() + client,
            Party::Member(member) => self.nodes.len() + self.producers.len() + member,
            Party::Nobody => usize::MAX,
        }
    }

    pub(super) fn answer(&mut self, node: usize, route: Route, answer: Answer) {
        let took = (self.nodes[node].held_until - self.now).max(0);
        for after in self.network.arrivals(node, self.place(route.party)) {
            self.post(took + after, Event::Answer { route: route.clone(), answer: answer.clone() });
        }
    }

    pub(super) fn answer_all(&mut self, node: usize, answers: Vec<(Route, Answer)>) {
        for (route, answer) in answers {
            self.answer(node, route, answer);
        }
    }

    /// Starts a node that is down. A disk that fails at that moment leaves it down for a while.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].process.is_some() {
            return;
        }
        let seed = self.random.bits();
        let started = self.nodes[node].start(&self.plan, self.now, seed);
        self.note(format_args!("{} starts: {}", node + 1, if started.is_ok() { "up" } else { "failed" }));
        if let Err(error) = started {
            let reason = self.nodes[node].has_reason_to_stop();
            assert!(reason, "invariant 38 broken: node {} does not start again: {error:#}", node + 1);
            let seed = self.random.bits();
            self.nodes[node].kill(seed);
            return self.post(500, Event::Start { node });
        }
        self.rules.started(node);
        let incarnation = self.nodes[node].incarnation;
        self.post(1, Event::Tick { node, incarnation });
        self.step(node, |_, _| {});
    }

    /// The process is gone; it comes back later. Whoever has a connection to it notices.
    pub(super) fn down(&mut self, node: usize) {
        let seed = self.random.bits();
        let had_power = self.nodes[node].disk.is_on();
        self.nodes[node].kill(seed);
        let after = self.random.between(50, 6_000);
        self.post(after, Event::Start { node });
        if had_power {
            self.members_lose(node);
        }
        if !had_power || !self.plan.early {
            return;
        }
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            for after in self.network.arrivals(node, other) {
                self.post(after + 20, Event::PeerRefused { node: other, peer: node });
            }
        }
    }

    /// The disk of a process failed, which stops it.
    pub(super) fn failed(&mut self, node: usize, why: &str) {
        self.note(format_args!("{} stops: {why}", node + 1));
        let reason = self.nodes[node].has_reason_to_stop();
        assert!(reason, "invariant 39 broken: node {} stops without reason: {why}", node + 1);
        self.down(node);
    }

    fn peer_refused(&mut self, node: usize, peer: usize) {
        let Some(process) = &self.nodes[node].process else { return };
        if !self.plan.early || node == peer {
            return;
        }
        let id = peer as i32 + 1;
        let epoch = process.image.broker(id).filter(|it| !it.fenced).map(|it| it.epoch);
        if let Some(epoch) = epoch.filter(|_| process.is_active()) {
            let time = self.nodes[node].time(self.now);
            let host = &mut self.nodes[node];
            let process = host.process.as_mut().expect("SIM: it runs");
            let desk = process.desk.as_mut().expect("SIM: it is active");
            let decision = desk.controller.fence_lost_broker(id, epoch).map(|_| ());
            let answers = super::desk::append(process, &host.said, time, decision, None);
            self.answer_all(node, answers);
        }
        self.step(node, |replica, time| replica.peer_refused(time, id));
    }

    /// One step of a node's quorum, and of everything that follows from it.
    pub(super) fn step(&mut self, node: usize, act: impl FnOnce(&mut Replica<Ear, Wire>, Time)) {
        self.try_step(node, |replica, time| {
            act(replica, time);
            Ok(())
        });
    }

    /// [`World::step`] for what may fail.
    pub(super) fn try_step(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Replica<Ear, Wire>, Time) -> Result<(), QuorumError>,
    ) {
        if !self.settle(node, act) {
            return;
        }
        loop {
            let said = std::mem::take(&mut *self.nodes[node].said.lock());
            if said.is_empty() {
                break;
            }
            for said in said {
                let took = (self.nodes[node].held_until - self.now).max(0);
                self.heed(node, said, took);
            }
            self.publish(node);
            if !self.settle(node, |_, _| Ok(())) {
                return;
            }
        }
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.replica.stopped().is_some() {
            return self.leave_for_good(node);
        }
        let wake = process.replica.node().next_timeout();
        if wake < process.wake {
            process.wake = wake;
            let incarnation = self.nodes[node].incarnation;
            self.post((wake - self.now).max(1), Event::Wake { node, incarnation, at: wake });
        }
    }

    /// Does something to a quorum and carries its effects out; false if the process is gone.
    fn settle(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Replica<Ear, Wire>, Time) -> Result<(), QuorumError>,
    ) -> bool {
        let host = &mut self.nodes[node];
        let (time, syncs) = (host.time(self.now), host.disk.syncs());
        host.disk.set_time(time.wall);
        let Some(process) = &mut host.process else { return false };
        let done = act(&mut process.replica, time).and_then(|()| process.replica.settle(time));
        let took = host.sync_ms * (host.disk.syncs() - syncs) as i64;
        host.held_until = host.held_until.max(self.now + took);
        match done {
            Ok(()) => true,
            Err(error) => {
                self.failed(node, &error.to_string());
                false
            }
        }
    }

    /// A node that was told to stop is through with it.
    fn leave_for_good(&mut self, node: usize) {
        let closed = self.nodes[node].close(self.now);
        self.note(format_args!("{} has left", node + 1));
        if let Err(error) = closed {
            let reason = self.nodes[node].has_reason_to_stop();
            assert!(reason, "invariant 39 broken: node {} does not close: {error:#}", node + 1);
        }
        self.down(node);
    }

    /// Does something to a partition, and tells what came of it. Nothing if the partition is not here, or the disk
    /// failed.
    pub(super) fn with<R>(
        &mut self,
        node: usize,
        key: Key,
        act: impl FnOnce(&mut Partition, &Around<'_>, &LogDir) -> Result<R, ottla_log::Error>,
    ) -> Option<R> {
        let host = &mut self.nodes[node];
        let (id, time, syncs) = (host.id(), host.time(self.now), host.disk.syncs());
        host.disk.set_time(time.wall);
        let process = host.process.as_mut()?;
        let around = node::around(id, time, &process.brokers, &self.plan);
        let partition = process.partitions.get_mut(&key)?;
        let done = act(partition, &around, &process.dir);
        let took = host.sync_ms * (host.disk.syncs() - syncs) as i64;
        host.held_until = host.held_until.max(self.now + took);
        let offline = process.dir.check();
        match done.and_then(|done| offline.map(|()| done)) {
            Ok(done) => {
                self.tell(node, key);
                Some(done)
            }
            Err(error) => {
                self.failed(node, &error.to_string());
                None
            }
        }
    }

    fn create_topics(&mut self) {
        (self.topic, self.offsets) = (self.rules.topic(TOPIC), self.rules.topic(OFFSETS));
        let topic = |name: &str, partitions| CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: self.plan.replicas,
            ..CreatableTopic::default()
        };
        let mut topics = Vec::new();
        topics.extend(self.topic.is_none().then(|| topic(TOPIC, self.plan.partitions)));
        let lacks_offsets = self.offsets.is_none() && self.plan.groups > 0;
        topics.extend(lacks_offsets.then(|| topic(OFFSETS, self.plan.offsets_partitions)));
        if topics.is_empty() {
            return;
        }
        self.administer(Ask::CreateTopics(CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }));
        self.post(300, Event::Create);
    }

    /// An older leader committed something: whoever leads now must have it.
    pub(super) fn compare_with_newest(&mut self, key: Key) {
        let Some(epoch) = self.rules.suspect(key) else { return };
        for node in &self.nodes {
            let partition = node.process.as_ref().and_then(|it| it.partitions.get(&key));
            if let Some(partition) = partition.filter(|it| it.leader_epoch == epoch)
                && matches!(partition.role, Role::Leads(_))
            {
                self.rules.complete(partition);
            }
        }
    }

    /// Looks at everything: members of ISR and ELR have what is committed, and what replicas take for committed is.
    pub fn audit(&mut self, all: bool) {
        self.probe();
        let chosen = self.random.index(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(process) = &node.process else { continue };
            for partition in process.partitions.values() {
                let registered = process.life.serving
                    && self.rules.incarnation_of(node.id()) == Some(process.life.incarnation_id);
                self.rules.member(node.id(), partition, registered);
                if all || index == chosen {
                    self.rules.prefix(node.id(), partition);
                }
            }
        }
    }

    /// Whether every partition has its leader and all its replicas in sync, with nothing left to copy.
    pub fn is_whole(&self) -> bool {
        let Some(topic) = self.topic else { return false };
        let groups_are_whole = || {
            let index_is_whole = |index| self.offsets.is_some_and(|id| self.partition_is_whole((id, index)));
            self.plan.groups == 0 || (0..self.plan.offsets_partitions).all(index_is_whole)
        };
        let up = |node: &Node| node.process.as_ref().is_some_and(|it| it.life.serving || !it.life.is_broker);
        self.nodes.iter().all(up)
            && (0..self.plan.partitions).all(|index| self.partition_is_whole((topic, index)))
            && groups_are_whole()
    }

    fn partition_is_whole(&self, key: Key) -> bool {
        let Some(registered) = self.rules.registered(key) else { return false };
        if !registered.has_leader()
            || registered.isr.len() != registered.replicas.len()
            || registered.is_reassigning()
        {
            return false;
        }
        let end_of = |id: &i32| {
            let process = self.nodes[*id as usize - 1].process.as_ref()?;
            let partition = process.partitions.get(&key)?;
            Some((partition.log.log_end(), partition.log.high_watermark()))
        };
        let ends: Vec<_> = registered.replicas.iter().map(end_of).collect();
        ends.iter()
            .all(|end| end.is_some_and(|(end, committed)| end == committed && Some((end, end)) == ends[0]))
    }

    /// Lives through the trouble of the plan.
    pub fn suffer(&mut self) {
        self.run_until(self.plan.trouble_ms);
    }

    /// Clients have written all they want.
    pub fn rest(&mut self) {
        self.writing = false;
    }

    /// Milliseconds since the run began.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Produces with acks=all that were acknowledged.
    pub fn acknowledgements(&self) -> u64 {
        self.rules.acknowledgements()
    }

    /// Acknowledged to clients so far.
    pub fn acknowledged_to_clients(&self) -> Vec<u64> {
        self.producers.iter().map(|it| it.acknowledged).collect()
    }

    /// The cluster in a few words.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        for node in &self.nodes {
            let Some(process) = &node.process else {
                out += &format!("\n  {}: down", node.id());
                continue;
            };
            let raft = process.replica.node();
            out += &format!(
                "\n  {}: {} in {}, committed {:?}, active {}, {:?}",
                node.id(),
                raft.role().name(),
                raft.epoch(),
                raft.high_watermark(),
                process.is_active(),
                process.life
            );
            for (key, partition) in &process.partitions {
                let role = match &partition.role {
                    Role::Idle => "idle".to_owned(),
                    Role::Leads(leader) => {
                        format!("leads, {:?}, pending {:?}", leader.isr(), leader.in_flight())
                    }
                    Role::Follows(follower) => {
                        format!("follows {} {:?}", follower.leader(), follower.state())
                    }
                };
                out += &format!(
                    "\n     -{}: epoch {} {role}, end {}, committed {}, asking {:?}",
                    key.1,
                    partition.leader_epoch,
                    partition.log.log_end(),
                    partition.log.high_watermark(),
                    partition.asking
                );
            }
        }
        for (index, member) in self.members.iter().enumerate() {
            out += &format!("\n  member {index}: {member:?}");
        }
        out + &self.rules.summary()
    }
}
