//! One step of the quorum: feed an event to the machine, carry out its effects in order.
//!
//! This file is the only place where "persist before send" is true, and it is true because nothing here is
//! done out of order and every step on disk is finished before the next effect is looked at.

mod deliver;
mod error;
mod reply;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_log::LogDir;
use ottla_raft::{
    Append, Body, Config, Effect, Election, LeaderAndEpoch, Node, NotLeader, Notice, Proposed, Request,
    RequestId, Response, SnapshotId,
};
use ottla_records::ids::{LeaderEpoch, Offset, TimestampMs};
use ottla_records::mutant;

use crate::METADATA_DIRECTORY;
use crate::batches::{self, Decoded};
use crate::handle::{BeginSnapshotError, Done, ProposeError, Stopped};
use crate::listener::{Listener, ReplyTo, Status, Transport};
use crate::metadata_log::{LogLimits, MetadataLog};
use crate::snapshots::{Download, Partials, Retention, SnapshotHeader, SnapshotStore, SnapshotWriter};
use crate::state_file;

pub use error::QuorumError;

/// Retired snapshot files stay this long for those who have them open (a constant of Kafka).
const DELETE_DELAY_MS: i64 = 60_000;
/// The same notice is not logged again within this time.
const REPEAT_NOTICE_MS: i64 = 30_000;

/// Two clocks: one that only goes forward, for timeouts, and the one people read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    /// Milliseconds since some start, never backwards.
    pub monotonic: i64,
    /// Milliseconds since 1970.
    pub wall: TimestampMs,
}

/// What a replica is opened with.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// `metadata.log.dir`, in use already; the partition's directory is made inside.
    pub log_dir: LogDir,
    /// Whether the directory's last user stopped cleanly ([`LogDir::clean_shutdown`]): then the log's files
    /// are trusted, else every batch is read and checked.
    pub clean: bool,
    /// Raft's part.
    pub raft: Config,
    /// Segment size and age.
    pub limits: LogLimits,
    /// How much history to keep.
    pub retention: Retention,
    /// Seed of the machine's randomness.
    pub seed: u64,
}

/// A proposal between append and commit.
struct Waiting {
    proposed: Proposed,
    done: Done,
}

/// The machine, the log, and who listens.
pub struct Replica<L, T> {
    node: Node,
    log: MetadataLog,
    snapshots: SnapshotStore,
    download: Option<Download>,
    log_dir: LogDir,
    directory: PathBuf,
    /// Shared with the handle, which writes snapshots on its callers' threads.
    pub(crate) partials: Partials,
    retention: Retention,
    listener: L,
    transport: T,
    /// What this node appended as leader and the listener has not seen: spares reading it back.
    tail: VecDeque<Decoded>,
    waiting: VecDeque<Waiting>,
    /// Proposals whose fate is known and not told yet.
    settled: Vec<(Done, Result<Proposed, ProposeError>)>,
    replies: HashMap<RequestId, ReplyTo>,
    next_request: u64,
    /// Offset the listener needs next; -1 before anything was given to it.
    delivered: Offset,
    /// The high watermark that the listener is to be brought to.
    committed: Offset,
    /// Leadership that was gained but not told: the listener is not there yet.
    gaining: Option<LeaderAndEpoch>,
    stopped: Option<bool>,
    /// Notices that were logged, and when.
    told: HashMap<String, i64>,
    /// Peers that answered INCONSISTENT_CLUSTER_ID.
    strangers: BTreeSet<i32>,
}

impl<L: Listener, T: Transport> Replica<L, T> {
    /// Opens the directory, recovers the log, and starts the machine. Runs its first effects.
    pub fn open(config: ReplicaConfig, listener: L, transport: T, now: Time) -> Result<Self, QuorumError> {
        let ReplicaConfig { log_dir, clean, raft, limits, retention, seed } = config;
        let directory = log_dir.path().join(METADATA_DIRECTORY);
        let disk = log_dir.disk().clone();
        let mut log = MetadataLog::open(&log_dir, limits, clean, now.wall)?;
        let mut snapshots = SnapshotStore::recover(disk.clone(), &directory, log.start())?;
        // A snapshot that goes beyond the log replaces it: the node stopped between the two.
        if let Some(latest) = snapshots.latest()
            && (latest.epoch, latest.end_offset) > (log.last_epoch(), log.end())
            && latest != SnapshotId::BOOTSTRAP
        {
            log.restart_at(latest.end_offset, now.wall)?;
            snapshots.retire_before(latest, now.wall)?;
        }
        let restored = crate::metadata_log::restore(&log, &snapshots, state_file::read(&*disk, &directory)?)?;
        let node = Node::new(raft, restored, now.monotonic, seed)?;
        let mut replica = Self {
            node,
            log,
            snapshots,
            download: None,
            log_dir,
            directory,
            partials: Partials::default(),
            retention,
            listener,
            transport,
            tail: VecDeque::new(),
            waiting: VecDeque::new(),
            settled: Vec::new(),
            replies: HashMap::new(),
            next_request: 0,
            delivered: -1,
            committed: -1,
            gaining: None,
            stopped: None,
            told: HashMap::new(),
            strangers: BTreeSet::new(),
        };
        replica.settle(now)?;
        Ok(replica)
    }

    /// The partition's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The machine, to look at.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The state machine.
    pub fn listener(&mut self) -> &mut L {
        &mut self.listener
    }

    /// Set once a shutdown is through: was it graceful?
    pub fn stopped(&self) -> Option<bool> {
        self.stopped
    }

    /// How things are.
    pub fn status(&self) -> Status {
        let log = self.node.log();
        Status {
            role: self.node.role().name(),
            leader: self.node.leader(),
            epoch: self.node.epoch(),
            high_watermark: self.node.high_watermark().unwrap_or(-1),
            log_start: log.start(),
            log_end: log.end(),
            last_epoch: log.last_epoch(),
            latest_snapshot_end: log.latest_snapshot().map_or(0, |id| id.end_offset),
            voters: self.node.voters().clone(),
            kraft_version: self.node.kraft_version(),
            is_voter: self.node.is_voter(),
            strangers: self.strangers.clone(),
        }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Time) {
        self.node.handle_timeout(now.monotonic);
    }

    /// Appends a proposal; `done` is called when its fate is known. Follow with [`Self::settle`].
    pub fn propose(&mut self, now: Time, epoch: Option<LeaderEpoch>, values: Vec<Bytes>, done: Done) {
        let size: usize = 61 + values.iter().map(|value| value.len() + 32).sum::<usize>();
        if values.is_empty() {
            return done(Err(ProposeError::Empty));
        }
        if size > crate::MAX_BATCH_BYTES {
            return done(Err(ProposeError::TooLarge { size, limit: crate::MAX_BATCH_BYTES }));
        }
        if epoch.is_some_and(|epoch| epoch != self.node.epoch()) {
            let refusal = NotLeader { leader: self.node.leader(), epoch: self.node.epoch() };
            return done(Err(refusal.into()));
        }
        match self.node.propose(now.monotonic, values) {
            Ok(proposed) if mutant::is("acknowledge-early") => self.settled.push((done, Ok(proposed))),
            Ok(proposed) => self.waiting.push_back(Waiting { proposed, done }),
            Err(refusal) => done(Err(refusal.into())),
        }
    }

    /// An inbound request. Follow with [`Self::settle`].
    pub fn request(&mut self, now: Time, listener: &str, request: Request, reply: ReplyTo) {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        self.replies.insert(id, reply);
        self.node.handle_request(now.monotonic, id, listener, request);
    }

    /// An answer to a request of this node. Follow with [`Self::settle`].
    pub fn response(&mut self, now: Time, correlation: u64, mut response: Option<Response>) {
        if let Some(Response::Fetch(fetch)) = &mut response {
            match batches::describe_run(&fetch.records) {
                Ok(metas) => fetch.batches = metas,
                Err(error) => {
                    tracing::warn!(%error, "fetched metadata batches are not sound; fetching again");
                    response = None;
                }
            }
        }
        self.node.handle_response(now.monotonic, correlation, response);
    }

    /// A peer's endpoint refuses connections. Follow with [`Self::settle`].
    pub fn peer_refused(&mut self, now: Time, peer: i32) {
        self.node.handle_peer_refused(now.monotonic, peer);
    }

    /// The header of a snapshot that is to be made of the committed state at `id`.
    pub fn snapshot_header(&self, id: SnapshotId) -> Result<SnapshotHeader, BeginSnapshotError> {
        if self.snapshots.known().contains_key(&id) {
            return Err(BeginSnapshotError::Exists(id));
        }
        if !self.node.may_snapshot(id) || !self.is_batch_start(id.end_offset) {
            return Err(BeginSnapshotError::NotThere(id));
        }
        let kraft_version = self.node.kraft_version_at(id.end_offset - 1);
        let voters = self.node.voters_at(id.end_offset - 1).cloned();
        let content = ottla_raft::SnapshotContent { kraft_version: Some(kraft_version), voters };
        Ok(SnapshotHeader { last_contained_timestamp: 0, content })
    }

    /// Starts the snapshot file on the caller's thread; finish the writer, then call
    /// [`Self::snapshot_finished`]. With a [`crate::Driver`] it is [`crate::Handle::begin_snapshot`].
    pub fn begin_snapshot(
        &self,
        id: SnapshotId,
        last_contained_timestamp: TimestampMs,
        now: Time,
    ) -> Result<SnapshotWriter, BeginSnapshotError> {
        let header = SnapshotHeader { last_contained_timestamp, ..self.snapshot_header(id)? };
        Ok(SnapshotWriter::create(
            self.log_dir.disk().clone(),
            &self.directory,
            &self.partials,
            id,
            &header,
            now.wall,
        )?)
    }

    /// A snapshot between two halves of a batch could never be fetched on from.
    fn is_batch_start(&self, offset: Offset) -> bool {
        if offset == self.node.log().end() {
            return true;
        }
        match self.log.read(offset, 1) {
            Ok(run) => batches::decode_first(&run).is_ok_and(|first| first.base_offset == offset),
            Err(_) => false,
        }
    }

    /// A snapshot of this node's making is in place.
    pub fn snapshot_finished(&mut self, id: SnapshotId, size: u64) {
        self.snapshots.add(id, size);
        self.node.snapshot_created(id, size);
    }

    /// Drops history that the retention does not want. Kafka looks once a minute.
    pub fn clean(&mut self, now: Time) -> Result<(), QuorumError> {
        if let Some(keep) = self.snapshots.surplus(self.retention, self.log.size(), now.wall)? {
            self.log.raise_start(keep.end_offset)?;
            self.snapshots.retire_before(keep, now.wall)?;
            self.node.log_start_raised(keep.end_offset);
        }
        self.log.sweep(now.wall)?;
        self.snapshots.sweep(DELETE_DELAY_MS, now.wall);
        Ok(())
    }

    /// Steps down.
    pub fn resign(&mut self, now: Time, epoch: LeaderEpoch) {
        self.node.resign(now.monotonic, epoch);
    }

    /// Upgrades `kraft.version`.
    pub fn upgrade_kraft_version(
        &mut self,
        now: Time,
        epoch: LeaderEpoch,
        to: i16,
        validate_only: bool,
    ) -> Result<bool, ottla_raft::UpgradeError> {
        self.node.upgrade_kraft_version(now.monotonic, epoch, to, validate_only)
    }

    /// Begins to leave.
    pub fn shutdown(&mut self, now: Time, timeout_ms: i64) {
        self.node.shutdown(now.monotonic, timeout_ms);
    }

    /// Flushes and closes the log.
    pub fn close(self, now: Time) -> Result<(), QuorumError> {
        self.fail_waiting(|_| ProposeError::Stopped(Stopped)).log.close(now.wall)
    }

    /// Tells everybody that it is over.
    pub fn fail(self, error: &QuorumError) {
        self.fail_waiting(|_| ProposeError::Stopped(Stopped)).listener.failed(error);
    }

    fn fail_waiting(mut self, why: impl Fn(&Proposed) -> ProposeError) -> Self {
        self.answer_proposals();
        for waiting in self.waiting.drain(..) {
            (waiting.done)(Err(why(&waiting.proposed)));
        }
        self
    }

    /// Carries out everything the machine wants, in order, and answers the proposals it settled.
    pub fn settle(&mut self, now: Time) -> Result<(), QuorumError> {
        let worked = self.work(now);
        self.answer_proposals();
        worked
    }

    /// [`Self::settle`] in two steps, for who has something to publish before proposers go on: this one
    /// does the work, [`Self::answer_proposals`] tells them.
    pub fn work(&mut self, now: Time) -> Result<(), QuorumError> {
        while let Some(effect) = self.node.poll_effect() {
            self.carry_out(now, effect)?;
        }
        if self.delivered < self.committed {
            self.deliver(self.committed)?;
        }
        Ok(())
    }

    /// Calls back the proposals that were committed, or lost, since the last time.
    pub fn answer_proposals(&mut self) {
        for (done, result) in self.settled.drain(..) {
            done(result);
        }
    }

    fn carry_out(&mut self, now: Time, effect: Effect) -> Result<(), QuorumError> {
        match effect {
            Effect::PersistElection(election) => self.persist(&election)?,
            Effect::Append(append) => self.append(now, append)?,
            Effect::AppendFetched { records, .. } => {
                self.log.append_fetched(now.wall, self.node.epoch(), &records)?;
            }
            Effect::Flush { token, .. } => {
                let skipped = if self.node.is_leader() { "leader-unsynced" } else { "fetch-unsynced" };
                if !mutant::is(skipped) {
                    self.log.flush(now.wall)?;
                }
                self.node.handle_flushed(now.monotonic, token);
            }
            Effect::Truncate { to } => {
                self.log.truncate(to, now.wall)?;
                if !mutant::is("cut-batches-delivered") {
                    self.tail.retain(|batch| batch.last_offset < to);
                }
            }
            Effect::BeginSnapshot { id } => {
                self.abandon_download();
                self.download =
                    Some(Download::create(self.log_dir.disk().clone(), &self.directory, &self.partials, id)?);
            }
            Effect::WriteSnapshot { id, bytes, .. } => {
                if let Some(download) = self.download.as_mut().filter(|download| download.id == id) {
                    download.append(&bytes)?;
                }
            }
            Effect::InstallSnapshot { id, size } => self.install(now, id, size)?,
            Effect::AbandonSnapshot { .. } => self.abandon_download(),
            Effect::Send { to, correlation, request } => self.transport.send(to, correlation, request),
            Effect::Reply { request, response, read } => self.reply(now, request, response, read),
            Effect::HighWatermark(to) => {
                self.log.set_high_watermark(to);
                self.committed = to;
                self.deliver(to)?;
            }
            Effect::LeaderChanged(change) => self.leader_changed(change),
            Effect::Notice(notice) => self.tell(now, &notice),
            Effect::ShutdownComplete { graceful } => self.stopped = Some(graceful),
        }
        Ok(())
    }

    /// One line for each thing, and again when it has gone on for a while: a peer that is asked every few
    /// milliseconds may give the same answer each time.
    fn tell(&mut self, now: Time, notice: &Notice) {
        if let Notice::UnexpectedError { peer, code } = notice
            && *code == ottla_raft::Fault::InconsistentClusterId.code()
        {
            self.strangers.insert(*peer);
        }
        self.told.retain(|_, at| now.monotonic - *at < REPEAT_NOTICE_MS);
        if let Entry::Vacant(entry) = self.told.entry(notice.to_string()) {
            tracing::warn!("{notice}");
            entry.insert(now.monotonic);
        }
    }

    /// A vote that may or may not be on disk is as bad as a record that may or may not be: what this
    /// directory holds is not known any more.
    fn persist(&mut self, election: &Election) -> Result<(), QuorumError> {
        self.log_dir.check()?;
        let written = state_file::write(&**self.log_dir.disk(), &self.directory, election);
        if let Err(error) = &written {
            self.log_dir.poison(|| error.to_string());
        }
        Ok(written?)
    }

    fn append(&mut self, now: Time, append: Append) -> Result<(), QuorumError> {
        let Append { base_offset, epoch, body } = append;
        let bytes = batches::build(base_offset, epoch, &body, now.wall);
        self.log.append(now.wall, epoch, &bytes)?;
        let last_offset = base_offset + body.len() as Offset - 1;
        let values = match body {
            Body::Data(values) => values,
            Body::Control(_) => Vec::new(),
        };
        let (timestamp, size, control) = (now.wall, bytes.len(), Vec::new());
        self.tail.push_back(Decoded { base_offset, last_offset, epoch, timestamp, size, control, values });
        Ok(())
    }

    fn abandon_download(&mut self) {
        if let Some(download) = self.download.take() {
            download.abandon();
        }
    }

    /// Checks a downloaded snapshot, puts it in place and starts the log over after it.
    fn install(&mut self, now: Time, id: SnapshotId, size: u64) -> Result<(), QuorumError> {
        let Some(download) = self.download.take().filter(|download| download.id == id) else {
            self.node.handle_snapshot_rejected(now.monotonic);
            return Ok(());
        };
        let checked = crate::snapshots::SnapshotReader::open(&**self.log_dir.disk(), download.temporary());
        let content = match checked.and_then(crate::snapshots::SnapshotReader::verify) {
            Ok(content) => content,
            Err(error) => {
                tracing::warn!(%error, "a fetched snapshot is not sound; fetching again");
                download.abandon();
                self.node.handle_snapshot_rejected(now.monotonic);
                return Ok(());
            }
        };
        download.finish(&self.directory)?;
        self.log.restart_at(id.end_offset, now.wall)?;
        self.snapshots.add(id, size);
        self.snapshots.retire_before(id, now.wall)?;
        self.tail.clear();
        self.node.handle_snapshot_installed(now.monotonic, id, size, content);
        Ok(())
    }
}
