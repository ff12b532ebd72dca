//! One connection per peer, made when it is needed; a pause after a failure; word when one broke.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::{CloseReason, ConnectError, Connection, Options};

/// Whom to speak to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Node id; negative for a bootstrap server, whose id is not known.
    pub id: i32,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What became of a peer's connection.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// It stands.
    Connected,
    /// It ended; not told when this side closed it.
    Broken(CloseReason),
    /// It could not be made.
    Failed(ConnectError),
}

/// The pause after a failure: twice as long each time, from `first` to `most`, and a random part of it on top.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl Backoff {
    /// No pause: whoever asks has one of their own.
    pub const NONE: Backoff = Backoff { first: Duration::ZERO, most: Duration::ZERO };

    /// The pause after `failures` failures in a row; `share` in 0..=255 is the random part, up to a fifth.
    pub(crate) fn pause(&self, failures: u32, share: u8) -> Duration {
        let pause = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.most);
        pause + pause.mul_f64(f64::from(share) / 255.0 / 5.0)
    }
}

type Listener = Box<dyn Fn(&Peer, &PeerEvent) + Send + Sync>;
type Random = Box<dyn Fn() -> u8 + Send + Sync>;

/// The connections of a node to its peers. Clones share them.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    options: Options,
    backoff: Backoff,
    random: Random,
    listener: Listener,
    slots: Mutex<HashMap<Peer, Arc<Slot>>>,
}

/// One peer's connection. The lock is held while one is made: whoever else wants it waits for the same.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<State>);

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    failures: u32,
    not_before: Option<Instant>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("peers", &self.0.slots.lock().len()).finish_non_exhaustive()
    }
}

impl Peers {
    /// `random` gives the random part of a pause; `listener` is told of every change, and must not block.
    pub fn new(
        options: Options,
        backoff: Backoff,
        random: impl Fn() -> u8 + Send + Sync + 'static,
        listener: impl Fn(&Peer, &PeerEvent) + Send + Sync + 'static,
    ) -> Peers {
        Peers(Arc::new(Shared {
            options,
            backoff,
            random: Box::new(random),
            listener: Box::new(listener),
            slots: Mutex::default(),
        }))
    }

    /// The peer's connection: the one there is, or a new one, after the pause that an earlier failure asks for.
    ///
    /// # Errors
    /// [`ConnectError`] of this one attempt.
    pub async fn connection(&self, peer: &Peer) -> Result<Connection, ConnectError> {
        let slot = self.0.slots.lock().entry(peer.clone()).or_default().clone();
        let mut state = slot.0.lock().await;
        if let Some(connection) = state.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        state.connection = None;
        if let Some(not_before) = state.not_before {
            sleep_until(not_before).await;
        }
        let connect_timeout = self.0.options.patience(state.failures);
        let options = Options { connect_timeout, ..self.0.options.clone() };
        match Connection::connect(&peer.host, peer.port, &options).await {
            Ok(connection) => {
                (state.failures, state.not_before) = (0, None);
                state.connection = Some(connection.clone());
                (self.0.listener)(peer, &PeerEvent::Connected);
                tokio::spawn(watch(Arc::downgrade(&self.0), peer.clone(), connection.closed()));
                Ok(connection)
            }
            Err(error) => {
                state.failures += 1;
                let pause = self.0.backoff.pause(state.failures, (self.0.random)());
                state.not_before = Some(Instant::now() + pause);
                (self.0.listener)(peer, &PeerEvent::Failed(error.clone()));
                Err(error)
            }
        }
    }

    /// Closes the connection to a peer (one that did not answer in time: what comes later is not wanted) and forgets
    /// its failures.
    pub fn forget(&self, peer: &Peer) {
        let slot = self.0.slots.lock().remove(peer);
        // While one is being made nobody needs to close it: it goes with the last who waits for it.
        if let Some(slot) = slot
            && let Ok(state) = slot.0.try_lock()
            && let Some(connection) = &state.connection
        {
            connection.close();
        }
    }

    /// Keeps the connections to these peers only.
    pub fn retain(&self, keep: impl Fn(&Peer) -> bool) {
        let gone: Vec<Peer> = self.0.slots.lock().keys().filter(|peer| !keep(peer)).cloned().collect();
        for peer in gone {
            self.forget(&peer);
        }
    }
}

async fn watch(peers: Weak<Shared>, peer: Peer, closed: impl Future<Output = CloseReason>) {
    let reason = closed.await;
    if reason == CloseReason::Local {
        return;
    }
    if let Some(peers) = peers.upgrade() {
        (peers.listener)(&peer, &PeerEvent::Broken(reason));
    }
}
