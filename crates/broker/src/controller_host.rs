//! Hosts the controller and the metadata quorum of this node.
//!
//! ```text
//! handler -> submit -> desk (decides, proposes) -> quorum (appends, commits) -> desk (answers)
//!                                                                           \-> follower (image, partitions, snapshots)
//! ```
//!
//! Three threads: the quorum's own; the *desk*, which owns the pure controller and decides one request after the
//! other on an image that shows what is not committed yet; the *follower*, which turns what is committed into the
//! image that clients see. An answer leaves when its records are committed, and waits a moment longer for this
//! node's own image, so that whoever created a topic here finds it here.

mod absence;
mod asked;
mod assignments;
mod auto_create;
mod backlog;
mod channel;
mod departure;
mod desk;
mod ear;
mod follower;
mod forward;
mod gate;
mod lead;
mod life;
pub(crate) mod lookout;
mod machine_name;
mod registration;
mod start;
#[cfg(test)]
mod tests;
mod transport;
mod unreported;
mod voters_check;
mod waiting;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use ottla_config::Listener;
use ottla_metadata::Decision;
use ottla_metadata::random::Seeded;
use ottla_protocol::ErrorCode;
use ottla_quorum::{Driver, Handle};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::{error, warn};
use uuid::Uuid;

pub(crate) use asked::{Asked, Origin};
pub(crate) use auto_create::auto_create;
pub(crate) use channel::Channel;
pub(crate) use forward::{is_forwardable, is_passed_on, pass_on, run_watched};
pub(crate) use gate::verdict;
pub(crate) use start::Plan;
pub(crate) use waiting::led_by;

use crate::node::Node;
use desk::Event;
use follower::Shown;
use lead::Lead;

/// How long a stopping node waits for the quorum.
const STOP_MS: i64 = 5_000;
/// How long an answer waits for this node's own image once its records are committed.
const SHOW_MS: u64 = 10_000;
/// Requests that give less time than this get this much: a commit takes an fsync.
const LEAST_TIMEOUT_MS: i32 = 1_000;
/// How long questions of this node to its own controller may take.
const OWN_TIMEOUT: Duration = Duration::from_secs(30);

/// What a decision can use.
pub(crate) struct Turn<'a> {
    pub(crate) controller: &'a mut ottla_metadata::Controller,
    /// Where ids and placements come from.
    pub(crate) random: &'a mut Seeded,
    /// Where the decision's records will go.
    pub(crate) next_offset: i64,
    /// Milliseconds on the controller's clock, which only goes forward.
    pub(crate) now_ms: i64,
    /// The epoch that this node leads.
    pub(crate) epoch: i32,
    pub(crate) quorum: &'a Handle,
}

/// Why the controller gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// This node does not lead the quorum, or lost the lead before the records were committed.
    #[error("No controller appears to be active.")]
    NotController,
    /// Not decided or not committed in time.
    #[error("The request timed out.")]
    TimedOut,
    /// The decision's records do not fit into a batch.
    #[error("The server experienced an unexpected error when processing the request.")]
    TooLarge,
    /// The node is stopping.
    #[error("The controller is shutting down.")]
    Stopped,
    /// No controller has answered for so long that it is no use to wait: which, and since when.
    #[error("{0}")]
    NoController(Arc<str>),
}

impl Unavailable {
    /// The code for clients. A client of a stopping node looks for another controller.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Unavailable::NotController | Unavailable::Stopped => ErrorCode::NotController,
            // Kafka's clients ask again after NOT_CONTROLLER until their time is over, and then know no reason.
            Unavailable::TimedOut | Unavailable::NoController(_) => ErrorCode::RequestTimedOut,
            Unavailable::TooLarge => ErrorCode::UnknownServerError,
        }
    }
}

/// An answer, and the offset it is true at.
type Answer<R> = Result<(R, i64), Unavailable>;

/// The controller and the quorum of this node.
pub(crate) struct ControllerHost {
    events: mpsc::Sender<Event>,
    channel: Channel,
    quorum: Handle,
    lead: Lead,
    shown: Shown,
    /// The other controllers, as the transport finds them.
    peers: transport::PeerStates,
    /// The listeners of this node's controller, as others are told of them.
    controllers: Vec<Listener>,
    /// This process, among all that ever ran under this node id.
    incarnation_id: Uuid,
    /// Epoch of this broker's registration; -1 before it has one.
    broker_epoch: Arc<AtomicI64>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    quorum: Driver,
    desk: JoinHandle<()>,
    follower: JoinHandle<()>,
    channel: channel::ChannelThread,
}

impl std::fmt::Debug for ControllerHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControllerHost").field("incarnation_id", &self.incarnation_id).finish_non_exhaustive()
    }
}

impl ControllerHost {
    /// Has `decide` run on the controller's thread; `done` is called there when the decision's records are
    /// committed, or dropped when the controller is gone.
    fn submit<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Turn<'_>) -> Decision<R> + Send + 'static,
        done: impl FnOnce(Answer<R>) + Send + 'static,
    ) {
        let job: desk::Job = Box::new(move |desk| desk.decide(decide, done));
        // A desk that is gone drops the job, and `done` with it: whoever waits sees that.
        let _ = self.events.send(Event::Job(job));
    }

    /// Decides, commits, and waits until `node` shows the outcome. `timeout_ms` is the requester's.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        node: &Node,
        timeout_ms: i32,
        decide: impl FnOnce(&mut Turn<'_>) -> Decision<R> + Send + 'static,
    ) -> Result<R, Unavailable> {
        if let Some(why) = gate::verdict() {
            return Err(why);
        }
        let committed = self.committed(timeout_ms, decide).await;
        if let Err(Unavailable::NotController | Unavailable::Stopped) = committed {
            gate::lost();
        }
        let (reply, offset) = committed?;
        let mut changes = node.image_changes();
        let shown = changes.wait_for(|at| *at >= offset);
        if tokio::time::timeout(Duration::from_millis(SHOW_MS), shown).await.is_err() {
            warn!("metadata offset {offset} is committed, but not applied on this node after {SHOW_MS} ms");
        }
        Ok(reply)
    }

    /// As [`ControllerHost::ask`], without waiting for the image.
    pub(crate) async fn committed<R: Send + 'static>(
        &self,
        timeout_ms: i32,
        decide: impl FnOnce(&mut Turn<'_>) -> Decision<R> + Send + 'static,
    ) -> Answer<R> {
        let (sender, receiver) = oneshot::channel();
        // The requester may be gone.
        self.submit(decide, move |answer| _ = sender.send(answer));
        let timeout = Duration::from_millis(timeout_ms.max(LEAST_TIMEOUT_MS) as u64);
        match tokio::time::timeout(timeout, receiver).await {
            Ok(answer) => answer.unwrap_or(Err(Unavailable::Stopped)),
            Err(_) => Err(Unavailable::TimedOut),
        }
    }

    /// Asks the active controller, wherever it is, again and again until `timeout` ([`Channel::ask`]).
    ///
    /// # Errors
    /// [`Unavailable`] when nobody leads or answers in time.
    pub(crate) fn ask_controller<R: Asked>(
        &self,
        request: R,
        timeout: Duration,
    ) -> impl Future<Output = Result<R::Response, Unavailable>> + Send + 'static {
        self.channel.ask(request, timeout)
    }

    /// The way to the active controller.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The quorum, for requests that are raft's.
    pub(crate) fn quorum(&self) -> &Handle {
        &self.quorum
    }

    /// The level of `kraft.version`.
    pub(crate) fn kraft_version(&self) -> i16 {
        self.quorum.status().kraft_version
    }

    /// Whether this node is the active controller.
    pub(crate) fn is_active(&self) -> bool {
        self.lead.is_active()
    }

    /// The leader of the quorum, as far as this node knows.
    pub(crate) fn leader(&self) -> Option<i32> {
        self.quorum.status().leader
    }

    /// The epoch of this broker's registration; -1 before it is registered.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.broker_epoch.load(Ordering::Acquire)
    }

    /// Ends the quorum and the threads. What was committed is on disk; what was not is answered with an error.
    pub(crate) fn stop(&self) {
        let Some(threads) = self.threads.lock().take() else { return };
        self.stop_quorum();
        if let Err(error) = threads.quorum.join() {
            error!("the metadata quorum did not stop cleanly: {error}");
        }
        let _ = self.events.send(Event::Stop);
        let channel = threads.channel.stop();
        let desk = threads.desk.join();
        let follower = threads.follower.join();
        for (name, ended) in [("controller", desk), ("metadata", follower), ("controller channel", channel)] {
            if ended.is_err() {
                error!("the {name} thread had panicked");
            }
        }
    }
}
