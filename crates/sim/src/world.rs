//! The cluster: nodes, network, time and workload, one event after the other on one thread.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Arguments;

use ottla_quorum::{QuorumError, Replica, Time};
use ottla_raft::message::ApiVersionsResponse;
use ottla_raft::{Fault, ReplicaKey, Request, Response, SnapshotId, VersionRange};

use crate::durable::{self, Durable};
use crate::host::{ALIAS_PORT, Host, PORT};
use crate::invariants::Invariants;
use crate::machine::{Machine, Said, Wire};
use crate::network::Network;
use crate::plan::Plan;
use crate::proposals::{self, Outcome};
use crate::random::Random;
use crate::trace::Trace;
use crate::words;

/// Something that is going to happen.
#[derive(Debug)]
pub enum Event {
    /// A request arrives.
    Request { from: usize, incarnation: u64, correlation: u64, to: usize, port: u16, request: Request },
    /// An answer arrives, or the news that there will be none.
    Response { to: usize, incarnation: u64, correlation: u64, response: Option<Response> },
    /// A process asked to be woken at this time.
    Wake { node: usize, incarnation: u64, at: i64 },
    /// Somebody has something to write.
    Propose,
    /// Trouble is due.
    Trouble,
    /// Cut links are joined.
    Unblock,
    /// A node comes up.
    Start { node: usize },
    /// A snapshot file is complete.
    SnapshotWritten { node: usize, incarnation: u64 },
}

/// Who waits for an answer.
struct Ticket {
    from: usize,
    incarnation: u64,
    correlation: u64,
    /// Of a standard vote: the candidate and its epoch.
    vote: Option<(ReplicaKey, i32)>,
}

/// One run.
pub struct World {
    /// Milliseconds since the run began.
    pub now: i64,
    /// Every node, up or down.
    pub hosts: Vec<Host>,
    /// Between them.
    pub network: Network,
    /// What this run is.
    pub plan: Plan,
    /// What must hold.
    pub invariants: Invariants,
    /// What happened.
    pub trace: Trace,
    /// Chance for trouble and workload.
    pub random: Random,
    /// Proposals and trouble go on.
    pub writing: bool,
    queue: BinaryHeap<Reverse<(i64, u64)>>,
    events: BTreeMap<u64, Event>,
    sequence: u64,
    tickets: BTreeMap<u64, Ticket>,
    proposals: u64,
}

impl World {
    /// A cluster from a seed, every node about to start. `keep` is how much of the trace is to be read.
    pub fn new(seed: u64, keep: usize, change: impl FnOnce(&mut Plan)) -> World {
        let mut random = Random::new(seed);
        let mut plan = Plan::draw(&mut random);
        change(&mut plan);
        let hosts = (0..plan.nodes()).map(|index| Host::new(index, &plan));
        let mut world = World {
            now: 0,
            hosts: hosts.map(|host| host.expect("SIM: an empty disk can be formatted")).collect(),
            network: Network::new(random.fork()),
            plan,
            invariants: Invariants::default(),
            trace: Trace::new(keep),
            random,
            writing: true,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            tickets: BTreeMap::new(),
            proposals: 0,
        };
        world.trace.note(0, format_args!("{:?}", world.plan));
        for node in 0..world.hosts.len() {
            let after = world.random.between(0, 200);
            world.post(after, Event::Start { node });
        }
        world.post(world.plan.propose_ms, Event::Propose);
        world.post(world.plan.gap_ms, Event::Trouble);
        world
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, line: Arguments<'_>) {
        self.trace.note(self.now, line);
    }

    /// Lets something happen later.
    pub fn post(&mut self, after: i64, event: Event) {
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

    /// The node that leads the highest epoch.
    pub fn leader(&self) -> Option<usize> {
        let leads = |index: usize| self.hosts[index].replica.as_ref().filter(|it| it.node().is_leader());
        (0..self.hosts.len())
            .filter_map(|index| leads(index).map(|replica| (replica.node().epoch(), index)))
            .max()
            .map(|(_, index)| index)
    }

    fn happen(&mut self, event: Event) {
        // A process that is stopped, or waits for its disk, finds what arrived when it goes on.
        let held = match &event {
            Event::Request { to, .. } | Event::Response { to, .. } => Some(*to),
            Event::Wake { node, .. } | Event::SnapshotWritten { node, .. } => Some(*node),
            Event::Propose | Event::Trouble | Event::Unblock | Event::Start { .. } => None,
        };
        if let Some(node) = held
            && self.hosts[node].replica.is_some()
            && self.hosts[node].held_until > self.now
        {
            return self.post(self.hosts[node].held_until - self.now, event);
        }
        match event {
            Event::Request { from, incarnation, correlation, to, port, request } => {
                self.arrive(Ticket { from, incarnation, correlation, vote: None }, to, port, request);
            }
            Event::Response { to, incarnation, correlation, response } => {
                if self.hosts[to].incarnation == incarnation && self.hosts[to].replica.is_some() {
                    let line = words::response(response.as_ref());
                    self.note(format_args!("{} <- #{correlation} {line}", to + 1));
                    self.step(to, |replica, time| replica.response(time, correlation, response));
                }
            }
            Event::Wake { node, incarnation, at } => {
                // It may have asked for another time since.
                if self.hosts[node].incarnation == incarnation && self.hosts[node].wake == at {
                    self.hosts[node].wake = i64::MAX;
                    self.step(node, Replica::timeout);
                }
            }
            Event::Propose => self.propose(),
            Event::Trouble => self.trouble(),
            Event::Unblock => {
                self.note(format_args!("links are joined"));
                self.network.unblock();
            }
            Event::Start { node } => self.start(node),
            Event::SnapshotWritten { node, incarnation } => {
                if self.hosts[node].incarnation == incarnation {
                    self.finish_snapshot(node);
                }
            }
        }
    }

    fn arrive(&mut self, mut ticket: Ticket, to: usize, port: u16, request: Request) {
        let Ticket { from, incarnation, correlation, .. } = ticket;
        let host = &self.hosts[to];
        let listens = port == host.port() || port / 100 == ALIAS_PORT / 100;
        if host.replica.is_none() || !listens {
            // A refused connection is noticed at once, if the way back is open.
            for after in self.network.arrivals(to, from).into_iter().take(1) {
                self.post(after, Event::Response { to: from, incarnation, correlation, response: None });
            }
            return;
        }
        let line = words::request(&request);
        self.note(format_args!("{} -> {} #{correlation} {line}", from + 1, to + 1));
        if request == Request::ApiVersions {
            // Answered by the server around the quorum.
            let kraft_versions = Some(VersionRange { min: 0, max: 1 });
            let answer = Response::ApiVersions(ApiVersionsResponse { error: Fault::None, kraft_versions });
            return self.send_answer(to, from, incarnation, correlation, answer, 0);
        }
        if let Request::Vote(vote) = &request
            && !vote.pre_vote
        {
            ticket.vote = Some((vote.candidate, vote.epoch));
        }
        self.sequence += 1;
        let number = self.sequence;
        self.tickets.insert(number, ticket);
        self.ask(to, number, request);
    }

    /// Hands a request to a node; its answer comes out under the ticket, or goes nowhere.
    pub fn ask(&mut self, to: usize, ticket: u64, request: Request) {
        let (said, disk) = (self.hosts[to].said.clone(), self.hosts[to].disk.clone());
        let reply = move |response: Response| {
            // A vote must be on disk when the answer leaves, not a moment later.
            let granted = matches!(&response, Response::Vote(vote) if vote.granted);
            let durable = granted.then(|| Durable::election(&disk));
            said.lock().push(Said::Answer { ticket, response, durable });
        };
        self.step(to, |replica, time| replica.request(time, "CONTROLLER", request, Box::new(reply)));
    }

    /// Starts a node that is down. A disk that fails at that moment leaves it down for a while.
    pub fn start(&mut self, node: usize) {
        if self.hosts[node].replica.is_some() {
            return;
        }
        let seed = self.random.bits();
        let started = self.hosts[node].start(&self.plan, self.now, seed);
        self.note(format_args!("{} starts: {}", node + 1, if started.is_ok() { "up" } else { "failed" }));
        if let Err(error) = started {
            let struck = !self.hosts[node].disk.is_on() || self.hosts[node].disk_was_struck();
            assert!(struck, "invariant 38 broken: node {} does not start again: {error:#}", node + 1);
            self.down(node);
            self.hosts[node].said.lock().clear();
            return self.post(500, Event::Start { node });
        }
        self.invariants.started(node);
        self.settle(node, 0);
    }

    /// The process is gone; so is the power, if the disk has none.
    fn down(&mut self, node: usize) {
        let seed = self.random.bits();
        let host = &mut self.hosts[node];
        if host.disk.is_on() { host.kill() } else { host.cut_power(seed) }
    }

    /// One step of a node: what came in, what it did about it, what it said, what must hold now.
    pub fn step(&mut self, node: usize, act: impl FnOnce(&mut Replica<Machine, Wire>, Time)) {
        self.try_step(node, |replica, time| {
            act(replica, time);
            Ok(())
        });
    }

    /// [`World::step`] for what may fail.
    pub fn try_step(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Replica<Machine, Wire>, Time) -> Result<(), QuorumError>,
    ) {
        let host = &mut self.hosts[node];
        let (time, syncs) = (host.time(self.now), host.disk.syncs());
        host.disk.set_time(time.wall);
        let Some(replica) = &mut host.replica else { return };
        let done = act(replica, time).and_then(|()| replica.settle(time));
        let took = host.sync_ms * (host.disk.syncs() - syncs) as i64;
        host.held_until = host.held_until.max(self.now + took);
        if let Err(error) = done {
            self.say_all(node, took);
            self.note(format_args!("{} stops: its disk failed", node + 1));
            let struck = !self.hosts[node].disk.is_on() || self.hosts[node].disk_was_struck();
            assert!(struck, "invariant 39 broken: node {} stops without reason: {error}", node + 1);
            self.down(node);
            let after = self.random.between(200, 4_000);
            return self.post(after, Event::Start { node });
        }
        self.settle(node, took);
    }

    /// After a step that went well.
    fn settle(&mut self, node: usize, took: i64) {
        self.say_all(node, took);
        let World { hosts, invariants, .. } = self;
        let Some(replica) = &hosts[node].replica else { return };
        let log_end = |id: i32| durable::log_end(&hosts[id as usize - 1].disk);
        invariants.look(node, replica.node(), &log_end);
        let status = (replica.node().epoch(), replica.node().role().name(), replica.node().log().end());
        let (wake, stopped) = (replica.node().next_timeout(), replica.stopped());
        let watermark = replica.node().high_watermark().unwrap_or(-1);
        self.note(format_args!(
            "{} is {} in {}, log end {}, committed {watermark}",
            node + 1,
            status.1,
            status.0,
            status.2
        ));
        if stopped.is_some() {
            return self.leave(node);
        }
        if wake < self.hosts[node].wake {
            self.hosts[node].wake = wake;
            let incarnation = self.hosts[node].incarnation;
            // A node may ask to be woken at once; time passes all the same.
            self.post((wake - self.now).max(1), Event::Wake { node, incarnation, at: wake });
        }
    }

    /// A node that was told to stop is through with it.
    fn leave(&mut self, node: usize) {
        let now = self.now;
        let closed = self.hosts[node].close(now);
        self.note(format_args!("{} has left", node + 1));
        if let Err(error) = closed {
            let struck = !self.hosts[node].disk.is_on() || self.hosts[node].disk_was_struck();
            assert!(struck, "invariant 39 broken: node {} does not close: {error:#}", node + 1);
            self.down(node);
        }
        let after = self.random.between(100, 3_000);
        self.post(after, Event::Start { node });
    }

    fn say_all(&mut self, node: usize, took: i64) {
        let said = std::mem::take(&mut *self.hosts[node].said.lock());
        for said in said {
            self.say(node, said, took);
        }
    }

    fn say(&mut self, node: usize, said: Said, took: i64) {
        match said {
            Said::Request { to, correlation, request, durable } => {
                match (&request, durable) {
                    (Request::Vote(vote), Some(durable)) => {
                        self.invariants.vote_granted(node, vote.candidate, vote.epoch, &durable);
                    }
                    (Request::Fetch(fetch), Some(durable))
                        if self.plan.dynamic || node < self.plan.voters =>
                    {
                        self.invariants.promised(node, fetch.offset, &durable);
                    }
                    _ => {}
                }
                let port = to.at.port;
                let target = usize::from((port - if port < PORT { ALIAS_PORT } else { PORT }) % 100);
                let incarnation = self.hosts[node].incarnation;
                for after in self.network.arrivals(node, target) {
                    let request = request.clone();
                    let event =
                        Event::Request { from: node, incarnation, correlation, to: target, port, request };
                    self.post(took + after, event);
                }
            }
            Said::Answer { ticket, response, durable } => {
                let Some(Ticket { from, incarnation, correlation, vote }) = self.tickets.remove(&ticket)
                else {
                    return;
                };
                if let (Some((candidate, epoch)), Some(durable)) = (vote, durable) {
                    self.invariants.vote_granted(node, candidate, epoch, &durable);
                }
                self.send_answer(node, from, incarnation, correlation, response, took);
            }
            Said::Committed { batch, state } => {
                self.note(format_args!("{} applies {} {state:?}", node + 1, batch.base_offset));
                self.invariants.committed(node, &batch, state);
            }
            Said::Loaded { end_offset, epoch, state } => {
                self.note(format_args!("{} loads {end_offset} of {epoch} {state:?}", node + 1));
                self.invariants.loaded(node, end_offset, state);
            }
            Said::Leadership(leadership) => self.note(format_args!("{} knows {leadership:?}", node + 1)),
            Said::Proposed { number, outcome } => {
                self.note(format_args!("{} answers proposal {number}: {outcome:?}", node + 1));
                self.invariants.proposed(number, &outcome);
            }
        }
    }

    fn send_answer(
        &mut self,
        node: usize,
        to: usize,
        incarnation: u64,
        correlation: u64,
        response: Response,
        took: i64,
    ) {
        for after in self.network.arrivals(node, to) {
            let response = Some(response.clone());
            self.post(took + after, Event::Response { to, incarnation, correlation, response });
        }
    }

    fn propose(&mut self) {
        if !self.writing {
            return;
        }
        let after = self.random.between(1, self.plan.propose_ms);
        self.post(after, Event::Propose);
        // Mostly to those that think they lead, now and then to anybody.
        let anybody = self.random.chance(50);
        for node in 0..self.hosts.len() {
            let replica = self.hosts[node].replica.as_ref();
            if replica.is_some_and(|replica| anybody || replica.node().is_leader()) {
                self.propose_at(node);
            }
        }
    }

    /// Proposes a few records to one node.
    pub fn propose_at(&mut self, node: usize) {
        if self.hosts[node].held_until > self.now {
            return;
        }
        self.proposals += 1;
        let number = self.proposals;
        let (records, padding) = (1 + self.random.index(3), self.random.index(200));
        let values = proposals::values(number, records, padding);
        let said = self.hosts[node].said.clone();
        let done = move |result| {
            said.lock().push(Said::Proposed { number, outcome: Outcome::from(result) });
        };
        self.note(format_args!("{} is asked to write {number}", node + 1));
        self.step(node, |replica, time| replica.propose(time, None, values, Box::new(done)));
    }

    /// Begins a snapshot of what a node has applied; it is finished a little later.
    pub fn begin_snapshot(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        if host.snapshot.is_some() || host.held_until > self.now {
            return;
        }
        let time = host.time(self.now);
        let Some(replica) = &mut host.replica else { return };
        let ((end_offset, epoch), state) = (replica.listener().applied, replica.listener().state());
        let id = SnapshotId { epoch, end_offset };
        if end_offset == 0 {
            return;
        }
        if let Ok(writer) = replica.begin_snapshot(id, time.wall, time) {
            host.snapshot = Some((writer, state));
            let incarnation = host.incarnation;
            let after = self.random.between(1, 400);
            self.note(format_args!("{} begins snapshot {id:?}", node + 1));
            self.post(after, Event::SnapshotWritten { node, incarnation });
        }
    }

    fn finish_snapshot(&mut self, node: usize) {
        let Some((mut writer, state)) = self.hosts[node].snapshot.take() else { return };
        let id = writer.id();
        let padding = proposals::values(0, 1 + self.random.index(20), 90);
        self.note(format_args!("{} finishes snapshot {id:?}", node + 1));
        let mut written = writer.append(state.encode());
        for value in padding {
            written = written.and_then(|()| writer.append(value));
        }
        let written = written.and_then(|()| writer.finish());
        self.try_step(node, |replica, time| {
            replica.snapshot_finished(id, written?);
            replica.clean(time)
        });
    }

    /// Every node in a few words.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let Some(replica) = &host.replica else {
                out += &format!("\n  {}: down", index + 1);
                continue;
            };
            let status = replica.status();
            let voters: Vec<i32> = status.voters.ids().collect();
            out += &format!(
                "\n  {}: {} in {} under {:?}, voters {voters:?}, log {}..{}, committed {}, epochs {:?}",
                index + 1,
                status.role,
                status.epoch,
                status.leader,
                status.log_start,
                status.log_end,
                status.high_watermark,
                replica.node().log().epochs()
            );
        }
        out
    }
}
