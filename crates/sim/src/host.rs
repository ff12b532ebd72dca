//! One node of the simulated cluster: a disk, a process on it that comes and goes, clocks that may be wrong.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use ottla_log::fs::{Disk, Fault, SimDisk};
use ottla_log::{DirOptions, LogDir};
use ottla_quorum::{LogLimits, Replica, ReplicaConfig, Retention, SnapshotWriter, Time};
use ottla_raft::{Config, Endpoints, HostPort, ReplicaKey, VersionRange, Voter, VoterSet};
use uuid::Uuid;

use crate::durable::DIRECTORY;
use crate::machine::{Machine, Outbox, State, Wire};
use crate::plan::{Plan, Trouble};

/// Wall clock at the beginning of every run.
const EPOCH_MS: i64 = 1_700_000_000_000;
/// Ports of addresses in the voter set; a node that moved listens 100 further up.
pub const PORT: u16 = 9000;
/// Ports of names that follow a node wherever it moves, for bootstrap servers.
pub const ALIAS_PORT: u16 = 8000;

/// One node.
pub struct Host {
    index: usize,
    /// Its disk, which outlives every process.
    pub disk: SimDisk,
    /// What the process says.
    pub said: Outbox,
    /// The process, if it runs.
    pub replica: Option<Replica<Machine, Wire>>,
    log_dir: Option<LogDir>,
    /// A snapshot in the making.
    pub snapshot: Option<(SnapshotWriter, State)>,
    /// Counts processes.
    pub incarnation: u64,
    /// When the process asked to be woken.
    pub wake: i64,
    /// Until then it does nothing: it waits for its disk, or was stopped.
    pub held_until: i64,
    /// What a sync takes.
    pub sync_ms: i64,
    /// How wrong its wall clock is.
    pub skew_ms: i64,
    /// How often it has moved to another address.
    pub moves: u16,
    /// The call to its disk that was last planned to fail.
    struck: Option<u64>,
}

/// The key of a node.
pub fn key(index: usize) -> ReplicaKey {
    ReplicaKey::new(index as i32 + 1, Uuid::from_u128(0x1000 + index as u128))
}

fn voter(index: usize, moves: u16) -> Voter {
    Voter {
        key: key(index),
        endpoints: Endpoints::single("CONTROLLER", HostPort::new("node", PORT + index as u16 + 100 * moves)),
        kraft_versions: VersionRange { min: 0, max: 1 },
    }
}

impl Host {
    /// A machine with a formatted disk and nothing running.
    pub fn new(index: usize, plan: &Plan) -> anyhow::Result<Host> {
        let disk = SimDisk::new();
        disk.create_dir(Path::new(DIRECTORY))?;
        disk.sync_dir(Path::new("/"))?;
        if plan.dynamic && index < plan.voters {
            let voters = VoterSet::from_voters((0..plan.voters).map(|index| voter(index, 0)));
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            ottla_quorum::format::write_first_voters(&shared, Path::new(DIRECTORY), 1, voters, EPOCH_MS)?;
            disk.sync_all(Path::new("/"))?;
        }
        Ok(Host {
            index,
            disk,
            said: Outbox::default(),
            replica: None,
            log_dir: None,
            snapshot: None,
            incarnation: 0,
            wake: i64::MAX,
            held_until: 0,
            sync_ms: 0,
            skew_ms: 0,
            moves: 0,
            struck: None,
        })
    }

    /// Both clocks of this node.
    pub fn time(&self, now: i64) -> Time {
        Time { monotonic: now, wall: EPOCH_MS + now + self.skew_ms }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        PORT + self.index as u16 + 100 * self.moves
    }

    /// This node as a voter.
    pub fn voter(&self) -> Voter {
        voter(self.index, self.moves)
    }

    fn config(&self, plan: &Plan) -> Config {
        let own = self.voter();
        let directory = own.key.directory.expect("SIM: every node has a directory id");
        let mut config = Config::new("simulated", own.key.id, directory);
        config.endpoints = own.endpoints;
        let voters = 0..plan.voters;
        if plan.dynamic {
            let port = if plan.troubles.contains(&Trouble::Move) { ALIAS_PORT } else { PORT };
            config.bootstrap = voters.map(|voter| HostPort::new("node", port + voter as u16)).collect();
        } else {
            let addresses = voters.map(|i| (i as i32 + 1, HostPort::new("node", PORT + i as u16)));
            config.static_voters = VoterSet::from_static("CONTROLLER", addresses);
        }
        config.auto_join = plan.auto_join;
        config.fetch_max_bytes = plan.fetch_bytes;
        config.fetch_snapshot_max_bytes = plan.fetch_bytes.max(40);
        // Observers of a static quorum are brokers: they do not sync what they fetch.
        config.can_become_voter = plan.dynamic || self.index < plan.voters;
        config
    }

    /// Starts the process on what the disk holds.
    pub fn start(&mut self, plan: &Plan, now: i64, seed: u64) -> anyhow::Result<()> {
        self.incarnation += 1;
        self.wake = i64::MAX;
        self.held_until = now;
        self.said.lock().clear();
        let options = DirOptions { disk: Arc::new(self.disk.clone()), ..DirOptions::default() };
        let log_dir = LogDir::open(Path::new(DIRECTORY), options)?;
        let clean = log_dir.clean_shutdown()?.is_some();
        // As the server does: what happens from here on may end in a crash.
        log_dir.forget_clean_shutdown()?;
        let config = ReplicaConfig {
            log_dir: log_dir.clone(),
            clean,
            raft: self.config(plan),
            limits: LogLimits { segment_bytes: plan.segment_bytes, ..LogLimits::default() },
            retention: Retention { bytes: 0, ms: -1 },
            seed,
        };
        let machine = Machine::new(self.said.clone());
        let wire = Wire::new(self.said.clone(), self.disk.clone());
        let replica = Replica::open(config, machine, wire, self.time(now))?;
        self.replica = Some(replica);
        self.log_dir = Some(log_dir);
        Ok(())
    }

    /// Makes a call to the disk fail, if there is not one that is going to already.
    pub fn strike(&mut self, call: u64, fault: Fault) {
        if self.struck.is_none_or(|planned| planned < self.disk.calls()) {
            self.struck = Some(call);
            self.disk.fail_at(call, fault);
        }
    }

    /// Whether a planned failure has happened to the process that runs.
    pub fn disk_was_struck(&self) -> bool {
        self.struck.is_some_and(|planned| planned < self.disk.calls())
    }

    /// No more failures.
    pub fn forgive_disk(&mut self) {
        self.disk.forgive();
        self.struck = None;
    }

    /// The process is gone from one moment to the next. The machine goes on.
    pub fn kill(&mut self) {
        if self.disk_was_struck() {
            self.struck = None;
        }
        self.replica = None;
        self.log_dir = None;
        self.snapshot = None;
        self.wake = i64::MAX;
    }

    /// The machine loses its power, and what was not synced with it.
    pub fn cut_power(&mut self, seed: u64) {
        self.disk.power_off();
        self.struck = None;
        self.kill();
        self.disk.power_on(seed);
    }

    /// Ends a process that was told to stop, as the server does.
    pub fn close(&mut self, now: i64) -> anyhow::Result<()> {
        let time = self.time(now);
        let replica = self.replica.take().context("nothing runs")?;
        let log_dir = self.log_dir.take().context("nothing runs")?;
        self.snapshot = None;
        self.wake = i64::MAX;
        replica.close(time)?;
        log_dir.mark_clean_shutdown(-1)?;
        Ok(())
    }
}
