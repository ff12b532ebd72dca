//! The way to the active controller (Kafka's `NodeToControllerChannelManager`): this node's own desk while that
//! leads, else the controller that leads, over its listener.
//!
//! Whoever asks says how long it may take. Until then a question goes on: a controller that turns out not to lead,
//! a broken connection or a quorum without a leader only make it wait, and it tries again at once when the leader
//! changes. Connections live on a thread of their own, so threads without a runtime can ask too.

use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use ottla_client::{Backoff, Options, Peer, PeerEvent, Peers};
use ottla_protocol::ErrorCode;
use ottla_protocol::wire::Request;
use ottla_quorum::Handle;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info};

use super::absence::Absence;
use super::asked::{Asked, Origin};
use super::desk::{Event, Job};
use super::lead::{Lead, Leading};
use super::transport::PeerStates;
use super::{Answer, Turn, Unavailable};
use crate::node::Node;

/// Pauses between attempts that nothing else wakes (`retry.backoff.ms` and its maximum in Kafka).
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// When no controller has answered for this long, clients are told so instead of being kept waiting: an election is
/// over by then, and so is the restart of an only controller.
const NOBODY: Duration = Duration::from_secs(10);

/// Asks the active controller. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Shared>);

struct Shared {
    events: mpsc::Sender<Event>,
    quorum: Handle,
    lead: Lead,
    peers: Peers,
    /// A controller that is silent for this long is asked again (`controller.socket.timeout.ms`).
    silence: Duration,
    runtime: tokio::runtime::Handle,
    /// The listener at which controllers are reached.
    listener: String,
    own_id: i32,
    node: Weak<Node>,
    /// How the controllers are found.
    states: PeerStates,
    /// Since when no controller has answered.
    silent: Mutex<Option<Instant>>,
}

/// The thread on which a channel's connections live.
#[derive(Debug)]
pub(super) struct ChannelThread {
    stop: oneshot::Sender<()>,
    join: std::thread::JoinHandle<()>,
}

impl ChannelThread {
    /// Ends the connections; whoever still asks is told that the node stops.
    pub(super) fn stop(self) -> std::thread::Result<()> {
        let _ = self.stop.send(());
        self.join.join()
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("peers", &self.0.peers).finish_non_exhaustive()
    }
}

impl Channel {
    /// Starts the thread of the connections, which are made as `options` say. `listener` is the name of the controllers'
    /// listener.
    pub(super) fn start(
        events: mpsc::Sender<Event>,
        quorum: Handle,
        lead: Lead,
        (own_id, listener): (i32, String),
        node: Weak<Node>,
        states: PeerStates,
        options: Options,
    ) -> std::io::Result<(Channel, ChannelThread)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let join = std::thread::Builder::new().name("controller-channel".into()).spawn(move || {
            // Either way it is time to go.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        let silence = options.request_timeout;
        let news = News { own_id, last: Mutex::default() };
        let peers = Peers::new(options, Backoff::NONE, || 0, move |peer, event| news.tell(peer, event));
        let silent = Mutex::default();
        let shared = Shared {
            events,
            quorum,
            lead,
            peers,
            silence,
            runtime: handle,
            listener,
            own_id,
            node,
            states,
            silent,
        };
        Ok((Channel(Arc::new(shared)), ChannelThread { stop, join }))
    }

    /// Asks the active controller, again and again until `timeout`.
    ///
    /// The future needs no runtime of its own.
    pub(crate) fn ask<R: Asked>(
        &self,
        request: R,
        timeout: Duration,
    ) -> impl Future<Output = Result<R::Response, Unavailable>> + Send + 'static {
        let receiver = self.send(request, timeout);
        async move { receiver.await.unwrap_or(Err(Unavailable::Stopped)) }
    }

    /// [`Channel::ask`], for threads that may wait.
    pub(crate) fn ask_blocking<R: Asked>(
        &self,
        request: R,
        timeout: Duration,
    ) -> Result<R::Response, Unavailable> {
        self.send(request, timeout).blocking_recv().unwrap_or(Err(Unavailable::Stopped))
    }

    fn send<R: Asked>(
        &self,
        request: R,
        timeout: Duration,
    ) -> oneshot::Receiver<Result<R::Response, Unavailable>> {
        let (mut sender, receiver) = oneshot::channel();
        let channel = self.clone();
        self.spawn(async move {
            let answer = tokio::select! {
                answer = channel.persist(Arc::new(request), timeout) => answer,
                // Nobody waits any more.
                () = sender.closed() => return,
            };
            let _ = sender.send(answer);
        });
        receiver
    }

    /// Runs `work` beside the connections.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.runtime.spawn(work);
    }

    /// Runs `work` beside the connections and waits for what comes of it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Unavailable>> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.0.runtime.spawn(work).await.unwrap_or(Err(Unavailable::Stopped))
    }

    /// Whether this node's own desk is the active controller.
    pub(crate) fn leads(&self) -> bool {
        self.0.lead.is_active()
    }

    /// Who leads; changes with every change of it.
    pub(super) fn leading(&self) -> watch::Receiver<Leading> {
        self.0.lead.changes()
    }

    /// The listener at which controllers are reached.
    pub(super) fn listener(&self) -> &str {
        &self.0.listener
    }

    pub(super) fn own_id(&self) -> i32 {
        self.0.own_id
    }

    pub(super) fn node(&self) -> Option<Arc<Node>> {
        self.0.node.upgrade()
    }

    /// Attempts that may take `timeout` together.
    pub(super) fn attempts(&self, timeout: Duration) -> Attempts {
        Attempts { until: Instant::now() + timeout, changes: self.leading(), pause: FIRST_PAUSE }
    }

    /// Notes whether an attempt had an answer of the active controller.
    pub(super) fn heard(&self, answered: bool) {
        let mut silent = self.0.silent.lock();
        match answered {
            true => *silent = None,
            false => _ = silent.get_or_insert_with(Instant::now),
        }
    }

    /// Why a client need not wait any longer: no controller has answered for [`NOBODY`].
    pub(super) fn nobody(&self) -> Option<Unavailable> {
        let silent = self.0.silent.lock().filter(|since| since.elapsed() >= NOBODY)?;
        let (status, listener) = (self.0.quorum.status(), &self.0.listener);
        let absence = Absence::of(&status, &self.0.states, self.0.own_id, listener);
        Some(Unavailable::NoController(absence.nobody(silent.into_std()).into()))
    }

    async fn persist<R: Asked>(
        &self,
        request: Arc<R>,
        timeout: Duration,
    ) -> Result<R::Response, Unavailable> {
        let mut attempts = self.attempts(timeout);
        loop {
            attempts.begin();
            let answer = self.attempt(&request, &mut attempts).await;
            let leads = |response| R::code(response) != ErrorCode::NotController.code();
            self.heard(answer.as_ref().is_ok_and(leads));
            match answer {
                Ok(response) if leads(&response) => return Ok(response),
                Err(Unavailable::TooLarge) => return Err(Unavailable::TooLarge),
                Ok(_) | Err(_) => {}
            }
            if !attempts.pause().await {
                return Err(answer.err().unwrap_or(Unavailable::NotController));
            }
        }
    }

    async fn attempt<R: Asked>(
        &self,
        request: &Arc<R>,
        attempts: &mut Attempts,
    ) -> Result<R::Response, Unavailable> {
        if self.leads() {
            let (request, origin) = (request.clone(), Origin { version: R::VERSION, own_process: true });
            let decided = self.decide(move |turn| request.decide(turn, origin));
            return match tokio::time::timeout(attempts.left(), decided).await {
                Ok(answer) => answer.map(|(response, _)| response),
                Err(_) => Err(Unavailable::TimedOut),
            };
        }
        attempts.call(self, &**request, R::VERSION).await
    }

    /// Has this node's own desk decide.
    pub(super) async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Turn<'_>) -> ottla_metadata::Decision<T> + Send + 'static,
    ) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let done = move |answer: Answer<T>| _ = sender.send(answer);
        let job: Job = Box::new(move |desk| desk.decide(decide, done));
        let _ = self.0.events.send(Event::Job(job));
        receiver.await.unwrap_or(Err(Unavailable::Stopped))
    }

    /// The controller that leads and is another node.
    fn leader(&self) -> Option<Peer> {
        let status = self.0.quorum.status();
        let id = status.leader.filter(|&id| id != self.0.own_id)?;
        if let Some(at) = status.voters.endpoints(id).get(&self.0.listener) {
            return Some(Peer { id, host: at.host.clone(), port: at.port });
        }
        let image = self.node()?.image();
        let at = image.controllers.get(&id)?.endpoints.iter().find(|at| at.name == self.0.listener)?;
        Some(Peer { id, host: at.host.clone(), port: at.port })
    }

    /// One call of another node's controller. Must run beside the connections.
    async fn call_leader<R: Request>(
        &self,
        request: &R,
        version: i16,
        within: Duration,
    ) -> Result<R::Response, Unavailable> {
        let leader = self.leader().ok_or(Unavailable::NotController)?;
        let connection = match tokio::time::timeout(within, self.0.peers.connection(&leader)).await {
            Ok(connection) => connection.map_err(|_| Unavailable::NotController)?,
            Err(_) => return Err(Unavailable::TimedOut),
        };
        let answer = match connection.version_of::<R>() {
            Ok(common) => {
                connection.call_within(common.min(version), request, within.min(self.0.silence)).await
            }
            Err(error) => Err(error),
        };
        answer.map_err(|error| {
            debug!("[NodeToControllerChannelManager id={}] {}: {error}", self.0.own_id, R::NAME);
            match error {
                ottla_client::CallError::Timeout(_) => {
                    // What comes later belongs to nobody.
                    self.0.peers.forget(&leader);
                    Unavailable::TimedOut
                }
                _ => Unavailable::NotController,
            }
        })
    }
}

/// Attempts at the same question.
pub(super) struct Attempts {
    until: Instant,
    changes: watch::Receiver<Leading>,
    pause: Duration,
}

impl Attempts {
    /// Begins one: changes of the leader from here on end it.
    pub(super) fn begin(&mut self) {
        self.changes.borrow_and_update();
    }

    /// The time that is left for all of them.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Calls another node's controller; given up when the leader changes meanwhile.
    pub(super) async fn call<R: Request>(
        &mut self,
        channel: &Channel,
        request: &R,
        version: i16,
    ) -> Result<R::Response, Unavailable> {
        let within = self.left();
        tokio::select! {
            biased;
            answer = channel.call_leader(request, version, within) => answer,
            Ok(()) = self.changes.changed() => {
                self.changes.mark_changed();
                Err(Unavailable::NotController)
            }
        }
    }

    /// Waits for the next attempt: a while, or until the leader changes. False when the time is over.
    pub(super) async fn pause(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        tokio::select! {
            Ok(()) = self.changes.changed() => self.pause = FIRST_PAUSE,
            () = tokio::time::sleep(self.pause.min(left)) => self.pause = (self.pause * 2).min(LONGEST_PAUSE),
        }
        !self.left().is_zero()
    }
}

/// Tells the log about connections to controllers: one line per change.
struct News {
    own_id: i32,
    last: Mutex<String>,
}

impl News {
    fn tell(&self, peer: &Peer, event: &PeerEvent) {
        let Peer { id, host, port } = peer;
        let line = match event {
            PeerEvent::Connected => format!("connected to controller {id} at {host}:{port}"),
            PeerEvent::Broken(why) => {
                format!("the connection to controller {id} at {host}:{port} broke: {why}")
            }
            PeerEvent::Failed(why) => format!("no connection to controller {id}: {why}"),
        };
        let mut last = self.last.lock();
        if *last != line {
            info!("[NodeToControllerChannelManager id={}] {line}", self.own_id);
            *last = line;
        }
    }
}
