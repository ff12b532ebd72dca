//! The quorum's thread: takes what arrived, steps the replica once for all of it, sleeps until something
//! is due.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use parking_lot::RwLock;

use crate::handle::{Command, Handle};
use crate::listener::{Listener, Status, Transport};
use crate::replica::{QuorumError, Replica, ReplicaConfig, Time};
use crate::snapshots::Partials;

/// Commands taken before the disk is touched again; together they cost one fsync.
const COMMANDS_PER_STEP: usize = 1024;
/// Kafka looks for surplus snapshots and segments once a minute.
const CLEAN_EVERY_MS: i64 = 60_000;

/// What the thread is started with.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// The replica.
    pub replica: ReplicaConfig,
    /// Name of the thread.
    pub thread_name: String,
}

impl DriverConfig {
    /// A replica on a thread called `quorum`.
    pub fn new(replica: ReplicaConfig) -> Self {
        Self { replica, thread_name: "quorum".to_owned() }
    }
}

/// The running thread.
#[derive(Debug)]
pub struct Driver {
    thread: JoinHandle<Result<(), QuorumError>>,
}

impl Driver {
    /// Opens the replica on the caller's thread, so that what is wrong with the directory is known here,
    /// then runs it on its own. `listener` gets its first calls before this returns. `transport` is made
    /// from the handle, through which answers come back.
    pub fn start<L: Listener, T: Transport>(
        config: DriverConfig,
        listener: L,
        transport: impl FnOnce(Handle) -> T,
    ) -> Result<(Driver, Handle), QuorumError> {
        let clock = Clock::start();
        let (commands, inbox) = unbounded();
        let directory = config.replica.log_dir.path().join(crate::METADATA_DIRECTORY);
        let voters = config.replica.raft.static_voters.clone();
        let status = Arc::new(RwLock::new(Status {
            role: "Unattached",
            leader: None,
            epoch: 0,
            high_watermark: -1,
            log_start: 0,
            log_end: 0,
            last_epoch: 0,
            latest_snapshot_end: 0,
            voters,
            kraft_version: 0,
            is_voter: false,
            strangers: std::collections::BTreeSet::new(),
        }));
        let disk = config.replica.log_dir.disk().clone();
        let partials = Partials::default();
        let handle = Handle { commands, status: status.clone(), directory, partials: partials.clone(), disk };
        let transport = transport(handle.clone());
        let mut replica = Replica::open(config.replica, listener, transport, clock.now())?;
        replica.partials = partials;
        *status.write() = replica.status();
        let run = move || Loop { replica, inbox, status, clock, leaving: Vec::new() }.run();
        let thread = Builder::new().name(config.thread_name).spawn(run).map_err(QuorumError::Thread)?;
        Ok((Driver { thread }, handle))
    }

    /// Waits for the thread to end. It ends after [`Handle::shutdown`], or when the disk fails.
    pub fn join(self) -> Result<(), QuorumError> {
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Has the thread ended?
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Both clocks of [`Time`].
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> Time {
        let monotonic = self.0.elapsed().as_millis() as i64;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        Time { monotonic, wall }
    }
}

struct Loop<L, T> {
    replica: Replica<L, T>,
    inbox: Receiver<Command>,
    status: Arc<RwLock<Status>>,
    clock: Clock,
    leaving: Vec<Sender<bool>>,
}

impl<L: Listener, T: Transport> Loop<L, T> {
    fn run(mut self) -> Result<(), QuorumError> {
        match self.turn() {
            Ok(()) => {
                let graceful = self.replica.stopped().unwrap_or(false);
                let closed = self.replica.close(self.clock.now());
                for done in &self.leaving {
                    // Who asked may have stopped waiting.
                    let _ = done.send(graceful);
                }
                closed
            }
            Err(error) => {
                tracing::error!(%error, "the metadata quorum stops");
                self.replica.fail(&error);
                Err(error)
            }
        }
    }

    fn turn(&mut self) -> Result<(), QuorumError> {
        let mut clean_at = self.clock.now().monotonic + CLEAN_EVERY_MS;
        while self.replica.stopped().is_none() {
            let now = self.clock.now();
            let due = self.replica.node().next_timeout().min(clean_at);
            let wait = Duration::from_millis((due - now.monotonic).max(0) as u64);
            let first = match self.inbox.recv_timeout(wait) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                // Nobody can ask for anything any more, but the node still votes and replicates.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(wait);
                    None
                }
            };
            let now = self.clock.now();
            if let Some(first) = first {
                self.take(now, first);
                for command in self.inbox.try_iter().take(COMMANDS_PER_STEP).collect::<Vec<_>>() {
                    self.take(now, command);
                }
            }
            if now.monotonic >= self.replica.node().next_timeout() {
                self.replica.timeout(now);
            }
            self.replica.work(now)?;
            if now.monotonic >= clean_at {
                clean_at = now.monotonic + CLEAN_EVERY_MS;
                self.replica.clean(now)?;
            }
            // Who is answered must not find an older state than the answer is about.
            self.publish();
            self.replica.answer_proposals();
        }
        Ok(())
    }

    fn take(&mut self, now: Time, command: Command) {
        match command {
            Command::Propose { epoch, values, done } => self.replica.propose(now, epoch, values, done),
            Command::Request { listener, request, reply } => {
                self.replica.request(now, &listener, request, reply);
            }
            Command::Response { correlation, response } => {
                self.replica.response(now, correlation, response);
            }
            Command::PeerRefused { peer } => self.replica.peer_refused(now, peer),
            Command::BeginSnapshot { id, answer } => {
                let _ = answer.send(self.replica.snapshot_header(id));
            }
            Command::SnapshotFinished { id, size } => self.replica.snapshot_finished(id, size),
            Command::Resign { epoch } => self.replica.resign(now, epoch),
            // Every step does.
            Command::GoOn => {}
            Command::UpgradeKraftVersion { epoch, to, validate_only, answer } => {
                let _ = answer.send(self.replica.upgrade_kraft_version(now, epoch, to, validate_only));
            }
            Command::Shutdown { timeout_ms, done } => {
                self.leaving.push(done);
                self.replica.shutdown(now, timeout_ms);
            }
        }
    }

    fn publish(&self) {
        let status = self.replica.status();
        // Most steps change nothing that others look at.
        if *self.status.read() != status {
            *self.status.write() = status;
        }
    }
}
