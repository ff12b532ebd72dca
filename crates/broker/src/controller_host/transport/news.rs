//! What the log says of other controllers: one line per change, never a flood. And how they were found last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use ottla_client::{ConnectError, Peer, PeerEvent};
use ottla_config::NodeConfig;
use parking_lot::Mutex;
use tracing::{info, warn};

/// How the other controllers were found last.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct PeerStates(Arc<Mutex<HashMap<Peer, (State, Instant)>>>);

/// How a controller was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    Connected,
    Broken,
    Refused,
    Unresolved,
    Silent,
    Failed,
}

impl State {
    pub(in super::super) fn is_connected(self) -> bool {
        self == State::Connected
    }

    /// In words, for who waits for it.
    pub(in super::super) fn text(self) -> &'static str {
        match self {
            State::Connected => "connected",
            State::Broken => "connection lost",
            State::Refused => "connection refused",
            State::Unresolved => "name does not resolve",
            State::Silent => "no answer",
            State::Failed => "cannot be reached",
        }
    }
}

impl PeerStates {
    /// How the controller at this address was found, and since when; under whichever id it was tried last.
    pub(in super::super) fn of(&self, host: &str, port: u16) -> Option<(State, Instant)> {
        let states = self.0.lock();
        let here = states.iter().filter(|(peer, _)| peer.host == host && peer.port == port);
        here.map(|(_, state)| *state).max_by_key(|(_, since)| *since)
    }

    /// Notes the state; true when it is another than before.
    fn note(&self, peer: &Peer, state: State) -> bool {
        let mut states = self.0.lock();
        match states.get(peer) {
            Some((before, _)) if *before == state => false,
            _ => {
                states.insert(peer.clone(), (state, Instant::now()));
                true
            }
        }
    }
}

/// Writes the log's lines.
pub(super) struct News {
    node_id: i32,
    /// The key that names the peers.
    source: &'static str,
    peers: PeerStates,
}

impl News {
    pub(super) fn new(config: &NodeConfig) -> News {
        let source = if config.quorum.voters.is_empty() {
            "controller.quorum.bootstrap.servers or the metadata log"
        } else {
            "controller.quorum.voters"
        };
        News { node_id: config.node_id, source, peers: PeerStates::default() }
    }

    pub(super) fn peers(&self) -> PeerStates {
        self.peers.clone()
    }

    pub(super) fn tell(&self, peer: &Peer, event: &PeerEvent) {
        if !self.peers.note(peer, state_of(event)) {
            return;
        }
        let (id, source) = (self.node_id, self.source);
        let Peer { host, port, .. } = peer;
        let who = match peer.id {
            known if known >= 0 => format!("controller {known} at {host}:{port}"),
            _ => format!("the controller at {host}:{port}"),
        };
        match event {
            PeerEvent::Connected => info!("[RaftManager id={id}] connected to {who}"),
            PeerEvent::Broken(reason) => warn!("[RaftManager id={id}] the connection to {who} was {reason}"),
            PeerEvent::Failed(ConnectError::Unresolved { host, .. }) => warn!(
                "[RaftManager id={id}] cannot resolve {host} ({who}): check DNS or /etc/hosts; from {source}"
            ),
            PeerEvent::Failed(error) => {
                warn!("[RaftManager id={id}] {who} cannot be reached: {error}; trying again (from {source})");
            }
        }
    }
}

fn state_of(event: &PeerEvent) -> State {
    match event {
        PeerEvent::Connected => State::Connected,
        PeerEvent::Broken(_) => State::Broken,
        PeerEvent::Failed(error) => match error {
            ConnectError::Unresolved { .. } => State::Unresolved,
            ConnectError::Timeout { .. } => State::Silent,
            error if error.is_refused() => State::Refused,
            _ => State::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let states = PeerStates::default();
        let peer = Peer { id: 2, host: "h".into(), port: 9 };
        assert!(states.note(&peer, State::Refused));
        assert!(!states.note(&peer, State::Refused));
        assert_eq!(states.of("h", 9).unwrap().0, State::Refused);
        assert!(states.note(&peer, State::Connected));
        assert!(states.of("h", 8).is_none());
    }
}
