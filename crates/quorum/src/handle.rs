//! What the rest of the node holds of the quorum: cheap to clone, never blocks for long.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use ottla_log::fs::Disk;
use ottla_raft::{NotLeader, Proposed, Request, Response, SnapshotId, UpgradeError};
use ottla_records::ids::{LeaderEpoch, TimestampMs};
use parking_lot::RwLock;

use crate::listener::{ReplyTo, Status};
use crate::snapshots::{Partials, SnapshotError, SnapshotHeader, SnapshotWriter};

/// The answer to an inbound raft request, records and snapshot bytes filled in. Times in a DescribeQuorum
/// answer are wall-clock milliseconds.
pub type Reply = Response;

/// The quorum's thread is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the metadata quorum has stopped")]
pub struct Stopped;

/// A proposal did not become part of the metadata, or not for sure.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Not appended: this node does not lead (that epoch).
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// Appended, but the lead was lost before it was committed: a later leader may or may not have it.
    #[error("the lead of epoch {epoch} was lost before the records were committed")]
    LeadershipLost {
        /// The epoch that ended.
        epoch: LeaderEpoch,
    },
    /// Not appended: one decision is one batch, and batches have a limit.
    #[error("a batch of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Not appended: nothing to append.
    #[error("a proposal without records")]
    Empty,
    /// The quorum has stopped, before or after it appended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A snapshot cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum BeginSnapshotError {
    /// Not committed, no longer in the log, of another epoch, or not between two batches.
    #[error("no snapshot can be made at offset {} of epoch {}", .0.end_offset, .0.epoch)]
    NotThere(SnapshotId),
    /// There is one under this name already.
    #[error("a snapshot at offset {} of epoch {} exists", .0.end_offset, .0.epoch)]
    Exists(SnapshotId),
    /// The file cannot be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The quorum has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

pub(crate) type Done = Box<dyn FnOnce(Result<Proposed, ProposeError>) + Send>;

/// What comes in to the quorum's thread.
pub(crate) enum Command {
    Propose {
        epoch: Option<LeaderEpoch>,
        values: Vec<Bytes>,
        done: Done,
    },
    Request {
        listener: String,
        request: Request,
        reply: ReplyTo,
    },
    Response {
        correlation: u64,
        response: Option<Response>,
    },
    PeerRefused {
        peer: i32,
    },
    BeginSnapshot {
        id: SnapshotId,
        answer: Sender<Result<SnapshotHeader, BeginSnapshotError>>,
    },
    SnapshotFinished {
        id: SnapshotId,
        size: u64,
    },
    Resign {
        epoch: LeaderEpoch,
    },
    /// The listener has room again.
    GoOn,
    UpgradeKraftVersion {
        epoch: LeaderEpoch,
        to: i16,
        validate_only: bool,
        answer: Sender<Result<bool, UpgradeError>>,
    },
    Shutdown {
        timeout_ms: i64,
        done: Sender<bool>,
    },
}

/// A hold on a running quorum.
#[derive(Clone)]
pub struct Handle {
    pub(crate) commands: Sender<Command>,
    pub(crate) status: Arc<RwLock<Status>>,
    pub(crate) directory: PathBuf,
    pub(crate) partials: Partials,
    pub(crate) disk: Arc<dyn Disk>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Handle {
    /// Appends the values as one batch, all or nothing. `done` is called on the quorum's thread: with the
    /// offsets once the batch is committed and the [`crate::Listener`] has seen it, or with what went
    /// wrong. Proposals are appended in the order of the calls; many of them share one fsync. With an
    /// `epoch` the batch is refused unless this node leads exactly that epoch.
    pub fn propose(
        &self,
        epoch: Option<LeaderEpoch>,
        values: Vec<Bytes>,
        done: impl FnOnce(Result<Proposed, ProposeError>) + Send + 'static,
    ) {
        self.send(Command::Propose { epoch, values, done: Box::new(done) });
    }

    /// [`Self::propose`], waiting for the outcome. Not for the quorum's own thread.
    pub fn propose_and_wait(
        &self,
        epoch: Option<LeaderEpoch>,
        values: Vec<Bytes>,
    ) -> Result<Proposed, ProposeError> {
        let (sender, outcome) = bounded(1);
        self.propose(epoch, values, move |result| _ = sender.send(result));
        outcome.recv().unwrap_or(Err(ProposeError::Stopped(Stopped)))
    }

    /// Passes on an inbound raft request (Vote, Fetch, DescribeQuorum ...). `listener` is the one it came
    /// in on. `reply` is called on the quorum's thread, perhaps much later (a parked Fetch), and not at
    /// all when the quorum stops first.
    pub fn request(&self, listener: &str, request: Request, reply: impl FnOnce(Reply) + Send + 'static) {
        self.send(Command::Request { listener: listener.to_owned(), request, reply: Box::new(reply) });
    }

    /// [`Self::request`], waiting for the answer.
    pub fn request_and_wait(&self, listener: &str, request: Request) -> Result<Reply, Stopped> {
        let (sender, answer) = bounded(1);
        self.request(listener, request, move |reply| _ = sender.send(reply));
        answer.recv().map_err(|_| Stopped)
    }

    /// The answer to a request that went out by the [`crate::Transport`]; `None` if there was none.
    pub fn response(&self, correlation: u64, response: Option<Response>) {
        self.send(Command::Response { correlation, response });
    }

    /// The endpoint of a peer refuses connections; see [`ottla_raft::Node::handle_peer_refused`].
    pub fn peer_refused(&self, peer: i32) {
        self.send(Command::PeerRefused { peer });
    }

    /// How the replica is doing, as of its last step.
    pub fn status(&self) -> Status {
        self.status.read().clone()
    }

    /// Starts a snapshot of the state as of `id.end_offset`. Append the records to the writer, then give
    /// it to [`Self::finish_snapshot`]. The file is written on the caller's thread; the quorum goes on.
    pub fn begin_snapshot(
        &self,
        id: SnapshotId,
        last_contained_timestamp: TimestampMs,
        now: TimestampMs,
    ) -> Result<SnapshotWriter, BeginSnapshotError> {
        let (answer, header) = bounded(1);
        self.send(Command::BeginSnapshot { id, answer });
        let mut header = wait(&header)??;
        header.last_contained_timestamp = last_contained_timestamp;
        Ok(SnapshotWriter::create(self.disk.clone(), &self.directory, &self.partials, id, &header, now)?)
    }

    /// Completes a snapshot and makes it known. Older ones, and the log before it, go by the retention.
    pub fn finish_snapshot(&self, writer: SnapshotWriter) -> Result<u64, SnapshotError> {
        let id = writer.id();
        let size = writer.finish()?;
        self.send(Command::SnapshotFinished { id, size });
        Ok(size)
    }

    /// Steps down if this node leads `epoch`.
    pub fn resign(&self, epoch: LeaderEpoch) {
        self.send(Command::Resign { epoch });
    }

    /// The listener has room again, after [`crate::Listener::has_room`] said that it has none.
    pub fn go_on(&self) {
        self.send(Command::GoOn);
    }

    /// Upgrades `kraft.version`; see [`ottla_raft::Node::upgrade_kraft_version`].
    pub fn upgrade_kraft_version(
        &self,
        epoch: LeaderEpoch,
        to: i16,
        validate_only: bool,
    ) -> Result<Result<bool, UpgradeError>, Stopped> {
        let (answer, outcome) = bounded(1);
        self.send(Command::UpgradeKraftVersion { epoch, to, validate_only, answer });
        wait(&outcome)
    }

    /// Leaves the quorum gracefully and stops the thread. Returns whether a successor was found in time
    /// (or none was needed); the log is flushed and closed either way.
    pub fn shutdown(&self, timeout_ms: i64) -> Result<bool, Stopped> {
        let (done, outcome) = bounded(1);
        self.send(Command::Shutdown { timeout_ms, done });
        wait(&outcome)
    }

    fn send(&self, command: Command) {
        // A stopped quorum drops the command, and with it the callback's channel.
        if let Err(crossbeam_channel::SendError(Command::Propose { done, .. })) = self.commands.send(command)
        {
            done(Err(ProposeError::Stopped(Stopped)));
        }
    }
}

fn wait<T>(receiver: &Receiver<T>) -> Result<T, Stopped> {
    receiver.recv().map_err(|_| Stopped)
}
