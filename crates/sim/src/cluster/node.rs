//! One machine of the cluster: its disk, its clocks, and the process on it that comes and goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use ottla_log::fs::{Disk, Fault, SimDisk};
use ottla_log::{CheckpointEntry, CheckpointKind, DirOptions, LogDir};
use ottla_metadata::{Image, Loader};
use ottla_quorum::{LogLimits, Replica, ReplicaConfig, Retention, Time};
use ottla_raft::{Config, Endpoints, HostPort, VoterSet};
use ottla_replication::leader::Proposal;
use ottla_replication::{Broker, BrokerId};
use uuid::Uuid;

use super::ask::Key;
use super::desk::Desk;
use super::ear::{Ear, Outbox, Wire};
use super::life::Life;
use super::partition::{Around, Partition};
use super::plan::Plan;
use super::seats::Seat;
use super::world::{OFFSETS, TOPIC};

/// Wall clock at the beginning of every run.
const EPOCH_MS: i64 = 1_700_000_000_000;
/// Ports of controllers.
pub const PORT: u16 = 9000;
/// The log directory of every node, on its own disk.
const DIRECTORY: &str = "/d";

/// Proposals that a broker has sent: the number of its request, since when (ms), and what it asked for.
pub type Proposing = (u64, i64, Vec<(Key, Proposal)>);

/// A machine.
pub struct Node {
    pub index: usize,
    /// Its disk, which outlives every process.
    pub disk: SimDisk,
    /// The id of the directory on it: another one after the disk was swapped.
    pub dir_id: Uuid,
    /// What the quorum of the process says.
    pub said: Outbox,
    pub process: Option<Process>,
    /// Counts processes.
    pub incarnation: u64,
    /// Until then the process does nothing: it waits for its disk, or was stopped.
    pub held_until: i64,
    /// What a sync takes.
    pub sync_ms: i64,
    /// How wrong its wall clock is.
    pub skew_ms: i64,
    /// The call to its disk that was last planned to fail.
    struck: Option<u64>,
}

/// A process.
pub struct Process {
    pub replica: Replica<Ear, Wire>,
    pub dir: LogDir,
    /// When the quorum asked to be woken.
    pub wake: i64,
    /// The controller, on nodes that have one.
    pub desk: Option<Desk>,
    pub loader: Loader,
    pub image: Image,
    pub brokers: BTreeMap<BrokerId, Broker>,
    pub life: Life,
    pub partitions: BTreeMap<Key, Partition>,
    /// Group coordinators, by the partition of `__consumer_offsets`.
    pub seats: BTreeMap<i32, Seat>,
    /// Changes of in-sync replicas that wait for their turn.
    pub to_propose: Vec<(Key, Proposal)>,
    /// Those that are on their way.
    pub proposing: Option<Proposing>,
    pub checkpoint_at: i64,
    /// What the checkpoints said when the process began.
    found: BTreeMap<(String, i32), (i64, i64)>,
    pub clean: bool,
    /// Whether its partitions are open: not before its image is what was committed when it found its leader. An older
    /// one could name it the only replica in sync of a partition that has two.
    pub serves: bool,
    /// Set once the logs are closed for good: recovery points and high watermarks.
    pub closed: Option<(Vec<CheckpointEntry>, Vec<CheckpointEntry>)>,
    /// Partitions that lay here were not opened after an unclean stop: who comes next has to check them.
    pub unchecked: bool,
}

impl Node {
    /// A machine with an empty disk and nothing running.
    pub fn new(index: usize) -> anyhow::Result<Node> {
        Ok(Node {
            index,
            disk: empty_disk()?,
            dir_id: Uuid::from_u128(0x2000 + index as u128),
            said: Outbox::default(),
            process: None,
            incarnation: 0,
            held_until: 0,
            sync_ms: 0,
            skew_ms: 0,
            struck: None,
        })
    }

    /// Its id as controller and broker.
    pub fn id(&self) -> i32 {
        self.index as i32 + 1
    }

    /// Both clocks.
    pub fn time(&self, now: i64) -> Time {
        Time { monotonic: now, wall: EPOCH_MS + now + self.skew_ms }
    }

    fn config(&self, plan: &Plan) -> Config {
        let mut config = Config::new("simulated", self.id(), self.dir_id);
        config.endpoints = Endpoints::single("CONTROLLER", HostPort::new("node", PORT + self.index as u16));
        let addresses =
            (0..plan.controllers).map(|index| (index as i32 + 1, HostPort::new("node", PORT + index as u16)));
        config.static_voters = VoterSet::from_static("CONTROLLER", addresses);
        config.can_become_voter = self.index < plan.controllers;
        config
    }

    /// Starts the process on what the disk holds.
    pub fn start(&mut self, plan: &Plan, now: i64, seed: u64) -> anyhow::Result<()> {
        self.incarnation += 1;
        self.held_until = now;
        self.said.lock().clear();
        let options = DirOptions { disk: Arc::new(self.disk.clone()), ..DirOptions::default() };
        let dir = LogDir::open(Path::new(DIRECTORY), options)?;
        let shutdown = dir.clean_shutdown()?;
        let mut found: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
        for entry in dir.read_checkpoint(CheckpointKind::RecoveryPoint)? {
            found.entry((entry.topic.to_string(), entry.partition)).or_default().0 = entry.offset;
        }
        for entry in dir.read_checkpoint(CheckpointKind::HighWatermark)? {
            found.entry((entry.topic.to_string(), entry.partition)).or_default().1 = entry.offset;
        }
        dir.forget_clean_shutdown()?;
        let config = ReplicaConfig {
            log_dir: dir.clone(),
            clean: shutdown.is_some(),
            raft: self.config(plan),
            limits: LogLimits::default(),
            retention: Retention { bytes: 0, ms: -1 },
            seed,
        };
        let replica = Replica::open(config, Ear(self.said.clone()), Wire(self.said.clone()), self.time(now))?;
        let previous_epoch = shutdown.as_ref().and_then(|it| it.broker_epoch).unwrap_or(-1);
        let incarnation_id = Uuid::from_u128((0xabcd << 96) | u128::from(seed));
        let is_controller = self.index < plan.controllers;
        self.process = Some(Process {
            replica,
            dir,
            wake: i64::MAX,
            desk: is_controller.then(|| Desk::new(self.id(), plan, seed)),
            loader: Loader::default(),
            image: Image::default(),
            brokers: BTreeMap::new(),
            life: Life::new(plan.is_broker(self.index), incarnation_id, previous_epoch, now),
            partitions: BTreeMap::new(),
            seats: BTreeMap::new(),
            to_propose: Vec::new(),
            proposing: None,
            checkpoint_at: now + 3_000,
            found,
            clean: shutdown.is_some(),
            serves: false,
            closed: None,
            unchecked: false,
        });
        Ok(())
    }

    /// Makes a call to the disk fail, if there is not one that is going to already.
    pub fn strike(&mut self, call: u64, fault: Fault) {
        if self.struck.is_none_or(|planned| planned < self.disk.calls()) {
            self.struck = Some(call);
            self.disk.fail_at(call, fault);
        }
    }

    /// Whether the disk gave the process a reason to stop.
    pub fn has_reason_to_stop(&self) -> bool {
        !self.disk.is_on() || self.struck.is_some_and(|planned| planned < self.disk.calls())
    }

    /// No more failures.
    pub fn forgive_disk(&mut self) {
        self.disk.forgive();
        self.struck = None;
    }

    /// The process is gone from one moment to the next. The machine goes on, unless its power went.
    pub fn kill(&mut self, seed: u64) {
        self.process = None;
        self.said.lock().clear();
        if self.struck.is_some_and(|planned| planned < self.disk.calls()) {
            self.struck = None;
        }
        if !self.disk.is_on() {
            self.struck = None;
            self.disk.power_on(seed);
        }
    }

    /// The machine comes with another, empty disk.
    pub fn swap_disk(&mut self, dir_id: Uuid) {
        self.process = None;
        self.said.lock().clear();
        self.struck = None;
        self.disk = empty_disk().expect("SIM: an empty disk can be used");
        self.dir_id = dir_id;
    }

    /// Ends a process whose quorum has stopped, as the server does.
    pub fn close(&mut self, now: i64) -> anyhow::Result<()> {
        let time = self.time(now);
        let process = self.process.take().context("nothing runs")?;
        process.replica.close(time)?;
        let epoch = if process.life.is_broker { process.life.epoch } else { -1 };
        if let Some((recovery_points, high_watermarks)) = process.closed {
            process.dir.disk().sync_all(process.dir.path())?;
            process.dir.write_checkpoint(CheckpointKind::RecoveryPoint, recovery_points)?;
            process.dir.write_checkpoint(CheckpointKind::HighWatermark, high_watermarks)?;
        }
        if !process.unchecked {
            process.dir.mark_clean_shutdown(epoch)?;
        }
        Ok(())
    }
}

impl Process {
    /// What the checkpoints said of a partition, once: recovery point and high watermark.
    pub fn take_found(&mut self, topic: &str, index: i32) -> Option<(i64, i64)> {
        self.found.remove(&(topic.to_owned(), index))
    }

    /// What the checkpoints said of partitions that were not opened: it goes on to hold.
    pub fn carry_over(&self) -> (Vec<CheckpointEntry>, Vec<CheckpointEntry>) {
        let of = |it: fn(&(i64, i64)) -> i64| {
            let found = self.found.iter().filter(|((name, _), _)| is_ours(name));
            let entry = |((topic, partition), offsets): (&(String, i32), &(i64, i64))| CheckpointEntry {
                topic: topic.as_str().into(),
                partition: *partition,
                offset: it(offsets),
            };
            found.map(entry).collect()
        };
        (of(|it| it.0), of(|it| it.1))
    }

    /// The leader of the quorum as this process knows it.
    pub fn controller(&self) -> Option<usize> {
        self.replica.node().leader().map(|id| id as usize - 1)
    }

    /// Whether this process is an active controller.
    pub fn is_active(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.controller.is_active())
    }
}

/// What the partitions of a process see of the rest.
pub fn around<'a>(
    id: BrokerId,
    time: Time,
    brokers: &'a BTreeMap<BrokerId, Broker>,
    plan: &Plan,
) -> Around<'a> {
    Around {
        own: id,
        brokers,
        now_ms: time.monotonic,
        wall_ms: time.wall,
        min_isr: plan.min_isr,
        lag_ms: plan.lag_ms,
    }
}

/// Whether clients or groups write to a topic.
pub fn is_ours(topic: &str) -> bool {
    topic == TOPIC || topic == OFFSETS
}

fn empty_disk() -> anyhow::Result<SimDisk> {
    let disk = SimDisk::new();
    disk.create_dir(Path::new(DIRECTORY))?;
    disk.sync_dir(Path::new("/"))?;
    Ok(disk)
}
