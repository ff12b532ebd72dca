//! A node with a listener that remembers everything it was told.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_log::fs::{Disk, RealDisk};
use ottla_log::{DirOptions, LogDir};
use ottla_quorum::{
    Committed, Driver, DriverConfig, Handle, Leadership, Listener, LogLimits, QuorumError, ReplicaConfig,
    Retention, SnapshotReader, Transport,
};
use ottla_raft::{Config, Destination, Endpoints, HostPort, Request, VersionRange, Voter, VoterSet};
use parking_lot::Mutex;
use uuid::Uuid;

/// What a listener has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Values by offset, snapshots included (those have no offsets of their own).
    pub values: Vec<Bytes>,
    pub batches: Vec<Committed>,
    pub next_offset: i64,
    pub snapshots: Vec<i64>,
    pub leadership: Vec<Leadership>,
    pub failure: Option<String>,
    /// With so many batches it has no room for more.
    pub most: Option<usize>,
}

#[derive(Clone, Default)]
pub struct Recorder(pub Arc<Mutex<Seen>>);

impl Listener for Recorder {
    fn load_snapshot(
        &mut self,
        end_offset: i64,
        _epoch: i32,
        snapshot: &mut SnapshotReader,
    ) -> Result<(), ottla_quorum::snapshots::SnapshotError> {
        let mut seen = self.0.lock();
        seen.values.clear();
        seen.batches.clear();
        while let Some(batch) = snapshot.next_batch()? {
            seen.values.extend(batch.values);
        }
        seen.next_offset = end_offset;
        seen.snapshots.push(end_offset);
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        let seen = self.0.lock();
        seen.most.is_none_or(|most| seen.batches.len() < most)
    }

    fn commit(&mut self, batch: Committed) {
        let mut seen = self.0.lock();
        assert_eq!(batch.base_offset, seen.next_offset, "a gap or a repetition");
        seen.next_offset = batch.last_offset + 1;
        seen.values.extend(batch.values.iter().cloned());
        seen.batches.push(batch);
    }

    fn leadership(&mut self, leadership: Leadership) {
        self.0.lock().leadership.push(leadership);
    }

    fn failed(&mut self, error: &QuorumError) {
        self.0.lock().failure = Some(error.to_string());
    }
}

/// Routes requests to other handles in this process; a cut link answers nothing.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<HashMap<u16, Handle>>>);

impl Network {
    pub fn join(&self, id: i32, handle: Handle) {
        self.0.lock().insert(id as u16, handle);
    }

    pub fn cut(&self, id: i32) {
        self.0.lock().remove(&(id as u16));
    }
}

pub struct Wire {
    network: Network,
    own: Handle,
}

impl Transport for Wire {
    fn send(&mut self, to: Destination, correlation: u64, request: Request) {
        let own = self.own.clone();
        let Some(peer) = self.network.0.lock().get(&to.at.port).cloned() else {
            return own.response(correlation, None);
        };
        peer.request("CONTROLLER", request, move |reply| own.response(correlation, Some(reply)));
    }
}

pub fn voter(id: i32) -> Voter {
    Voter {
        key: ottla_raft::ReplicaKey::new(id, Uuid::from_u128(0xd0 + id as u128)),
        endpoints: at(id),
        kraft_versions: VersionRange { min: 0, max: 1 },
    }
}

fn at(id: i32) -> Endpoints {
    Endpoints::single("CONTROLLER", HostPort::new("localhost", id as u16))
}

pub fn raft(id: i32) -> Config {
    let mut config = Config::new("test-cluster", id, Uuid::from_u128(0xd0 + id as u128));
    config.endpoints = at(id);
    config
}

pub fn fixed(id: i32, voters: &[i32]) -> Config {
    let mut config = raft(id);
    let addresses = voters.iter().map(|id| (*id, HostPort::new("localhost", *id as u16)));
    config.static_voters = VoterSet::from_static("CONTROLLER", addresses);
    config
}

pub fn replica_config(directory: &Path, raft: Config) -> ReplicaConfig {
    config_on(Arc::new(RealDisk), directory, raft)
}

pub fn config_on(disk: Arc<dyn Disk>, directory: &Path, raft: Config) -> ReplicaConfig {
    let options = DirOptions { disk, ..DirOptions::default() };
    ReplicaConfig {
        log_dir: LogDir::open(directory, options).expect("a log directory"),
        clean: false,
        raft,
        limits: LogLimits::default(),
        retention: Retention::default(),
        seed: 7,
    }
}

pub struct Node {
    pub driver: Driver,
    pub handle: Handle,
    pub seen: Arc<Mutex<Seen>>,
}

impl Node {
    pub fn start(directory: &Path, raft: Config) -> Node {
        Node::start_with(replica_config(directory, raft), &Network::default())
    }

    pub fn start_with(config: ReplicaConfig, network: &Network) -> Node {
        Node::try_start(config, network).expect("the replica opens")
    }

    pub fn try_start(config: ReplicaConfig, network: &Network) -> Result<Node, QuorumError> {
        Node::try_start_telling(Recorder::default(), config, network)
    }

    pub fn try_start_telling(
        recorder: Recorder,
        config: ReplicaConfig,
        network: &Network,
    ) -> Result<Node, QuorumError> {
        let (seen, id) = (recorder.0.clone(), config.raft.node_id);
        let wire = |own| Wire { network: network.clone(), own };
        let (driver, handle) = Driver::start(DriverConfig::new(config), recorder, wire)?;
        network.join(id, handle.clone());
        Ok(Node { driver, handle, seen })
    }

    pub fn on_disk(disk: Arc<dyn Disk>, directory: &Path, raft: Config) -> Result<Node, QuorumError> {
        Node::try_start(config_on(disk, directory, raft), &Network::default())
    }

    pub fn stop(self) -> bool {
        let graceful = self.handle.shutdown(2_000).expect("running");
        self.driver.join().expect("a clean end");
        graceful
    }

    pub fn propose(&self, values: &[&str]) -> ottla_raft::Proposed {
        let values = values.iter().map(|value| Bytes::from(value.to_string())).collect();
        self.handle.propose_and_wait(None, values).expect("committed")
    }

    pub fn texts(&self) -> Vec<String> {
        let seen = self.seen.lock();
        seen.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    pub fn is_active(&self) -> bool {
        self.seen.lock().leadership.last().is_some_and(|last| last.active)
    }
}

/// Waits until something holds, for ten seconds at most.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
