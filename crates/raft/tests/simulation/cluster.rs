//! Nodes, disks, a clock and a network, all in one thread and all from one seed.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use bytes::Bytes;
use ottla_raft::message::ApiVersionsResponse;
use ottla_raft::{
    Config, Effect, Endpoints, Fault, HostPort, Node, Read, ReplicaKey, Request, RequestId, Response,
    SnapshotContent, SnapshotId, VersionRange, Voter, VoterSet,
};
use uuid::Uuid;

use crate::checks::Checks;
use crate::disk::{Arena, Disk};

/// Which nodes there are.
#[derive(Clone, Copy)]
pub struct Setup {
    pub voters: usize,
    pub observers: usize,
    pub dynamic: bool,
}

impl Setup {
    pub fn fixed(voters: usize) -> Self {
        Self { voters, observers: 0, dynamic: false }
    }

    pub fn dynamic(voters: usize, spare: usize) -> Self {
        Self { voters, observers: spare, dynamic: true }
    }

    pub fn with_observers(self, observers: usize) -> Self {
        Self { observers, ..self }
    }
}

#[derive(Debug)]
enum Event {
    Request { from: usize, incarnation: u64, correlation: u64, to: usize, request: Request },
    Response { to: usize, incarnation: u64, correlation: u64, response: Option<Response> },
    Flushed { node: usize, incarnation: u64, token: u64, up_to: i64, generation: u64 },
    Timeout { node: usize, incarnation: u64 },
}

pub struct Peer {
    pub node: Option<Node>,
    pub disk: Disk,
    pub incarnation: u64,
    wake: i64,
}

pub struct Cluster {
    pub now: i64,
    pub peers: Vec<Peer>,
    pub arena: Arena,
    pub checks: Checks,
    pub drop_percent: u64,
    setup: Setup,
    blocked: BTreeSet<(usize, usize)>,
    events: BinaryHeap<Reverse<(i64, u64)>>,
    payloads: HashMap<u64, Event>,
    sequence: u64,
    requests: HashMap<u64, (usize, u64, u64)>,
    /// Standard votes that were asked for: by request, the candidate and its epoch.
    votes: HashMap<u64, (ReplicaKey, i32)>,
    seed: u64,
}

pub fn voter(index: usize) -> Voter {
    Voter {
        key: ottla_raft::ReplicaKey::new(index as i32 + 1, Uuid::from_u128(0x1000 + index as u128)),
        endpoints: Endpoints::single("CONTROLLER", HostPort::new("node", 9000 + index as u16)),
        kraft_versions: VersionRange { min: 0, max: 1 },
    }
}

impl Cluster {
    pub fn new(seed: u64, setup: Setup) -> Self {
        let peer = || Peer { node: None, disk: Disk::default(), incarnation: 0, wake: i64::MAX };
        let mut cluster = Cluster {
            now: 0,
            peers: (0..setup.voters + setup.observers).map(|_| peer()).collect(),
            arena: Arena::default(),
            checks: Checks::new(seed),
            drop_percent: 0,
            setup,
            blocked: BTreeSet::new(),
            events: BinaryHeap::new(),
            payloads: HashMap::new(),
            sequence: 0,
            requests: HashMap::new(),
            votes: HashMap::new(),
            seed,
        };
        (0..cluster.peers.len()).for_each(|node| cluster.start(node));
        cluster
    }

    /// A number below `bound`, from the seed.
    pub fn draw(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mixed = (self.seed ^ (self.seed >> 33)).wrapping_mul(0xff51afd7ed558ccd);
        (mixed >> 20) % bound
    }

    fn bootstrap(&self) -> SnapshotContent {
        if !self.setup.dynamic {
            return SnapshotContent::default();
        }
        let voters = VoterSet::from_voters((0..self.setup.voters).map(voter));
        SnapshotContent { kraft_version: Some(1), voters: Some(voters) }
    }

    pub fn start(&mut self, index: usize) {
        let own = voter(index);
        let mut config =
            Config::new("sim", own.key.id, own.key.directory.expect("the simulator names directories"));
        config.endpoints = own.endpoints;
        let addresses =
            (0..self.setup.voters).map(|i| (i as i32 + 1, HostPort::new("node", 9000 + i as u16)));
        if self.setup.dynamic {
            config.bootstrap = addresses.map(|(_, at)| at).collect();
        } else {
            config.static_voters = VoterSet::from_static("CONTROLLER", addresses);
        }
        config.fetch_max_bytes = 64;
        config.fetch_snapshot_max_bytes = 24;
        // Observers of a static quorum are brokers: they do not flush what they fetch.
        config.can_become_voter = self.setup.dynamic || index < self.setup.voters;
        let bootstrap = self.bootstrap();
        let restored = self.peers[index].disk.restore(&self.arena, &bootstrap);
        let seed = self.draw(u64::MAX);
        let node = Node::new(config, restored, self.now, seed).expect("a consistent disk");
        self.checks.restarted(index, &node);
        let peer = &mut self.peers[index];
        peer.node = Some(node);
        peer.incarnation += 1;
        peer.wake = i64::MAX;
        self.settle(index);
    }

    pub fn crash(&mut self, index: usize) {
        let keep = self.draw(4) as usize;
        let peer = &mut self.peers[index];
        peer.node = None;
        peer.disk.lose_unflushed(&self.arena, keep);
    }

    pub fn is_up(&self, index: usize) -> bool {
        self.peers[index].node.is_some()
    }

    pub fn epoch(&self, index: usize) -> i32 {
        self.peers[index].node.as_ref().map_or(-1, Node::epoch)
    }

    /// The node that leads the highest epoch.
    pub fn leader(&self) -> Option<usize> {
        let leading = |i: &usize| self.peers[*i].node.as_ref().is_some_and(Node::is_leader);
        (0..self.peers.len()).filter(leading).max_by_key(|i| self.epoch(*i))
    }

    pub fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    pub fn isolate(&mut self, index: usize) {
        for other in 0..self.peers.len() {
            self.block(index, other);
            self.block(other, index);
        }
    }

    pub fn heal(&mut self) {
        self.blocked.clear();
        self.drop_percent = 0;
    }

    /// Runs something on a node that is up, then carries out what it wants.
    pub fn with<T>(&mut self, index: usize, act: impl FnOnce(&mut Node, i64) -> T) -> Option<T> {
        let now = self.now;
        let out = self.peers[index].node.as_mut().map(|node| act(node, now));
        self.settle(index);
        out
    }

    pub fn resign(&mut self, index: usize) {
        let epoch = self.epoch(index);
        self.with(index, |node, now| node.resign(now, epoch));
    }

    /// A client request from outside the cluster: nobody waits for its answer.
    pub fn ask(&mut self, index: usize, request: Request) {
        self.sequence += 1;
        let id = RequestId(self.sequence);
        self.with(index, |node, now| node.handle_request(now, id, "CONTROLLER", request));
    }

    /// Makes a snapshot at the high watermark if a batch ends there, and drops the log before it.
    pub fn snapshot(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let Some(node) = &mut peer.node else { return };
        let Some(committed) = node.high_watermark() else { return };
        let mut run = peer.disk.history(&self.arena);
        run.retain(|batch| self.arena.get(*batch).last() < committed);
        let Some(last) = run.last().map(|batch| self.arena.get(*batch)) else { return };
        let id = SnapshotId { epoch: last.append.epoch, end_offset: last.last() + 1 };
        if !node.may_snapshot(id) || peer.disk.snapshots.contains_key(&id) {
            return;
        }
        node.snapshot_created(id, run.len() as u64 * 8);
        peer.disk.snapshots.insert(id, run);
        peer.disk.snapshots.retain(|old, _| *old >= id);
        peer.disk.start = id.end_offset;
        let arena = &self.arena;
        peer.disk.log.retain(|batch| arena.get(*batch).base() >= id.end_offset);
        node.log_start_raised(id.end_offset);
        self.settle(index);
    }

    fn post(&mut self, after: i64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + after, self.sequence)));
        self.payloads.insert(self.sequence, event);
    }

    fn is_lost(&mut self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to)) || self.draw(100) < self.drop_percent
    }

    /// Carries out a node's effects in order, then plans its next wake-up.
    fn settle(&mut self, index: usize) {
        while let Some(effect) = self.peers[index].node.as_mut().and_then(Node::poll_effect) {
            self.carry_out(index, effect);
            if let Some(node) = &self.peers[index].node {
                self.checks.look(index, node);
            }
        }
        let Some(node) = &self.peers[index].node else { return };
        let (wake, incarnation) = (node.next_timeout(), self.peers[index].incarnation);
        if wake < self.peers[index].wake {
            self.peers[index].wake = wake;
            let after = (wake - self.now).max(0);
            self.post(after, Event::Timeout { node: index, incarnation });
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        let incarnation = self.peers[index].incarnation;
        match effect {
            Effect::PersistElection(election) => {
                self.checks.election_persisted(index, self.peers[index].disk.election.as_ref(), &election);
                self.peers[index].disk.election = Some(election);
            }
            Effect::Append(append) => {
                let batch = self.arena.add(append);
                self.peers[index].disk.push(&self.arena, batch);
            }
            Effect::AppendFetched { records, base_offset, last_offset } => {
                let disk = &mut self.peers[index].disk;
                assert_eq!(disk.end, base_offset);
                Arena::decode(&records).into_iter().for_each(|batch| disk.push(&self.arena, batch));
                assert_eq!(disk.end, last_offset + 1);
            }
            Effect::Flush { token, up_to } => {
                let generation = self.peers[index].disk.generation;
                let delay = self.draw(8) as i64;
                self.post(delay, Event::Flushed { node: index, incarnation, token, up_to, generation });
            }
            Effect::Truncate { to } => self.peers[index].disk.truncate(&self.arena, to),
            Effect::BeginSnapshot { id } => self.peers[index].disk.partial = Some((id, Vec::new())),
            Effect::WriteSnapshot { id, position, bytes } => {
                let partial = self.peers[index].disk.partial.as_mut().expect("begun");
                assert_eq!((partial.0, partial.1.len() as u64), (id, position));
                partial.1.extend_from_slice(&bytes);
            }
            Effect::InstallSnapshot { id, size } => {
                let disk = &mut self.peers[index].disk;
                let (_, bytes) = disk.partial.take().expect("begun");
                assert_eq!(bytes.len() as u64, size);
                let run = Arena::decode(&bytes);
                let mut content = Disk::content(&self.arena, &run);
                disk.snapshots = [(id, run)].into();
                (disk.start, disk.end, disk.flushed) = (id.end_offset, id.end_offset, id.end_offset);
                disk.log.clear();
                disk.generation += 1;
                if content.voters.is_none() {
                    content.voters = self.bootstrap().voters;
                    content.kraft_version = self.bootstrap().kraft_version;
                }
                let now = self.now;
                let node = self.peers[index].node.as_mut().expect("running");
                node.handle_snapshot_installed(now, id, size, content);
            }
            Effect::AbandonSnapshot { .. } => self.peers[index].disk.partial = None,
            Effect::Send { to, correlation, request } => {
                let target = usize::from(to.at.port - 9000);
                if !self.is_lost(index, target) && target < self.peers.len() {
                    let delay = 1 + self.draw(30) as i64;
                    let event = Event::Request { from: index, incarnation, correlation, to: target, request };
                    self.post(delay, event);
                }
            }
            Effect::Reply { request, mut response, read } => {
                if let (Some((candidate, epoch)), Response::Vote(vote)) =
                    (self.votes.remove(&request.0), &response)
                    && vote.granted
                {
                    let stored = self.peers[index].disk.election.as_ref();
                    self.checks.vote_granted(index, candidate, epoch, stored);
                }
                self.fill(index, &mut response, read);
                let Some((to, incarnation, correlation)) = self.requests.remove(&request.0) else { return };
                if !self.is_lost(index, to) {
                    let delay = 1 + self.draw(30) as i64;
                    self.post(
                        delay,
                        Event::Response { to, incarnation, correlation, response: Some(response) },
                    );
                }
            }
            Effect::HighWatermark(to) => {
                let peers = &self.peers;
                self.checks.committed(index, to, peers, &self.arena);
            }
            Effect::LeaderChanged(leader) => {
                self.checks.leader_changed(index, leader, &self.peers, &self.arena);
            }
            Effect::Notice(notice) => self.checks.noticed(&notice),
            Effect::ShutdownComplete { .. } => {}
        }
    }

    fn fill(&mut self, index: usize, response: &mut Response, read: Option<Read>) {
        let disk = &self.peers[index].disk;
        match (response, read) {
            (Response::Fetch(fetch), Some(Read::Log { from, max_bytes })) => {
                fetch.records = self.arena.encode(&disk.read(&self.arena, from, max_bytes));
                fetch.batches = self.arena.metas(&fetch.records);
            }
            (Response::FetchSnapshot(fetch), Some(Read::Snapshot { id, position, max_bytes })) => {
                let whole = disk.snapshots.get(&id).map_or_else(Bytes::new, |run| self.arena.encode(run));
                let end = (position as usize + max_bytes as usize).min(whole.len());
                fetch.bytes = whole.slice(position as usize..end);
            }
            _ => {}
        }
    }

    /// Every node in a few words, for failures.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        for (index, peer) in self.peers.iter().enumerate() {
            let Some(node) = &peer.node else { continue };
            let voters: Vec<i32> = node.voters().ids().collect();
            let (role, log) = (node.role().name(), node.log());
            out += &format!(
                "\n  {}: {role} epoch {} leader {:?} voters {voters:?} log {}..{} flushed {} last epoch {} hw {:?} wake {}",
                voter(index).key.id,
                node.epoch(),
                node.leader(),
                log.start(),
                log.end(),
                log.flushed(),
                log.last_epoch(),
                node.high_watermark(),
                node.next_timeout()
            );
        }
        out + &format!("\n  now {}", self.now)
    }

    /// Lets time pass until `until`.
    pub fn run_until(&mut self, until: i64) {
        while let Some(Reverse((at, sequence))) = self.events.peek().copied() {
            if at > until {
                break;
            }
            self.events.pop();
            self.now = at;
            let event = self.payloads.remove(&sequence).expect("posted with its payload");
            self.happen(event);
        }
        self.now = until;
    }

    pub fn run_for(&mut self, ms: i64) {
        self.run_until(self.now + ms);
    }

    fn happen(&mut self, event: Event) {
        self.checks.trace(self.now, &event);
        match event {
            Event::Request { from, incarnation, correlation, to, request } => {
                self.sequence += 1;
                let id = self.sequence;
                if request == Request::ApiVersions && self.is_up(to) {
                    // Answered by the server around the machine, from its own feature ranges.
                    let kraft_versions = Some(VersionRange { min: 0, max: 1 });
                    let answer = ApiVersionsResponse { error: Fault::None, kraft_versions };
                    let response = Some(Response::ApiVersions(answer));
                    self.post(1, Event::Response { to: from, incarnation, correlation, response });
                } else if self.is_up(to) {
                    self.requests.insert(id, (from, incarnation, correlation));
                    if let Request::Vote(vote) = &request
                        && !vote.pre_vote
                    {
                        self.votes.insert(id, (vote.candidate, vote.epoch));
                    }
                    self.with(to, |node, now| node.handle_request(now, RequestId(id), "CONTROLLER", request));
                } else {
                    // A refused connection is noticed at once.
                    self.post(1, Event::Response { to: from, incarnation, correlation, response: None });
                }
            }
            Event::Response { to, incarnation, correlation, response } => {
                if self.peers[to].incarnation == incarnation {
                    self.with(to, |node, now| node.handle_response(now, correlation, response));
                }
            }
            Event::Flushed { node, incarnation, token, up_to, generation } => {
                let peer = &mut self.peers[node];
                if peer.incarnation == incarnation && peer.node.is_some() {
                    if peer.disk.generation == generation {
                        peer.disk.flushed = peer.disk.flushed.max(up_to);
                    }
                    self.with(node, |node, now| node.handle_flushed(now, token));
                }
            }
            Event::Timeout { node, incarnation } => {
                if self.peers[node].incarnation == incarnation {
                    self.peers[node].wake = i64::MAX;
                    self.with(node, |node, now| node.handle_timeout(now));
                }
            }
        }
    }
}
