//! What the active controller remembers about brokers besides the log: last contact, reported offset, shutdown.
//!
//! Heartbeats would flood the log, so none of this survives a change of controllers; the new one gives every
//! unfenced broker a full session again (Kafka's `BrokerHeartbeatManager` and `BrokerHeartbeatTracker`). Such a session
//! is doubted until the broker is heard of: its next life need not wait for the end of it (see `register`).

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;

use crate::image::Image;

/// What a broker may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerState {
    /// Serves nobody.
    Fenced,
    /// Serves everybody.
    Unfenced,
    /// Serves, but is handing over its leaderships.
    ControlledShutdown,
    /// May stop at once.
    ShutdownNow,
}

impl BrokerState {
    /// Whether the broker counts as fenced in the answer to its heartbeat.
    pub fn is_fenced(self) -> bool {
        matches!(self, BrokerState::Fenced | BrokerState::ShutdownNow)
    }
}

/// One broker's volatile state.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    fenced: bool,
    /// Metadata offset of its last heartbeat; -1 if none came.
    metadata_offset: i64,
    /// Offset every active broker must reach before it may stop; nothing outside of a controlled shutdown.
    shutdown_offset: Option<i64>,
}

/// The volatile state of all brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    timeout_ms: i64,
    brokers: BTreeMap<i32, Session>,
    /// Last contact by broker id and epoch, so that a former life of a broker cannot keep its next one alive.
    contacts: BTreeMap<(i32, i64), i64>,
    /// Sessions that may be of the dead: this controller only gave them when it became active, or the broker's
    /// connection broke since it was heard of. A heartbeat ends the doubt.
    doubted: BTreeSet<(i32, i64)>,
}

impl Sessions {
    /// Sessions as a controller begins with: every registered broker, the unfenced ones heard of just now.
    pub fn begin(image: &Image, timeout_ms: i64, now_ms: i64) -> Sessions {
        let mut sessions = Sessions {
            timeout_ms,
            brokers: BTreeMap::new(),
            contacts: BTreeMap::new(),
            doubted: BTreeSet::new(),
        };
        for broker in image.brokers.values() {
            sessions.register(broker.id, broker.fenced);
            if !broker.fenced {
                sessions.contact(broker.id, broker.epoch, now_ms);
                sessions.doubt(broker.id, broker.epoch);
            }
        }
        sessions
    }

    /// Notes that a broker was heard of.
    pub fn contact(&mut self, id: i32, epoch: i64, now_ms: i64) {
        self.contacts.insert((id, epoch), now_ms);
        self.doubted.remove(&(id, epoch));
    }

    /// Notes that nobody knows whether a broker still lives, although its session goes on.
    pub(crate) fn doubt(&mut self, id: i32, epoch: i64) {
        if self.contacts.contains_key(&(id, epoch)) {
            self.doubted.insert((id, epoch));
        }
    }

    /// Whether a session may be of a broker that is gone.
    pub(super) fn is_doubted(&self, id: i32, epoch: i64) -> bool {
        self.doubted.contains(&(id, epoch))
    }

    /// Forgets a contact: the broker was told to stop, so its next life need not wait for the session to expire.
    pub(super) fn end(&mut self, id: i32, epoch: i64) {
        self.contacts.remove(&(id, epoch));
        self.doubted.remove(&(id, epoch));
    }

    /// When a broker was last heard of, in milliseconds.
    pub fn last_contact_ms(&self, id: i32, epoch: i64) -> Option<i64> {
        self.contacts.get(&(id, epoch)).copied()
    }

    /// Whether a broker was heard of within the session timeout.
    pub fn is_live(&self, id: i32, epoch: i64, now_ms: i64) -> bool {
        self.last_contact_ms(id, epoch).is_some_and(|at| !self.is_expired(at, now_ms))
    }

    fn is_expired(&self, at_ms: i64, now_ms: i64) -> bool {
        now_ms > at_ms.saturating_add(self.timeout_ms)
    }

    /// When the next session expires unless its broker is heard of, in milliseconds.
    pub fn next_expiry_ms(&self) -> Option<i64> {
        self.contacts.values().min().map(|at| at.saturating_add(self.timeout_ms).saturating_add(1))
    }

    /// Takes out one contact that is too long ago, and says whose.
    pub(super) fn take_expired(&mut self, now_ms: i64) -> Option<(i32, i64)> {
        let expired = self.contacts.iter().find(|&(_, &at)| self.is_expired(at, now_ms));
        let key = expired.map(|(&key, _)| key)?;
        self.end(key.0, key.1);
        Some(key)
    }

    /// Notes a registration, or a change of its fencing.
    pub(crate) fn register(&mut self, id: i32, fenced: bool) {
        let offset = match self.brokers.get(&id) {
            Some(session) if session.fenced != fenced => session.metadata_offset,
            _ => -1,
        };
        self.brokers.entry(id).or_insert(Session { fenced, metadata_offset: -1, shutdown_offset: None });
        self.touch(id, fenced, offset);
    }

    /// Forgets a broker; its contacts expire on their own.
    pub(crate) fn remove(&mut self, id: i32) {
        self.brokers.remove(&id);
    }

    /// Notes that a broker is fenced.
    pub(super) fn fence(&mut self, id: i32) {
        if let Some(session) = self.brokers.get_mut(&id) {
            session.fenced = true;
        }
    }

    /// Notes a heartbeat's outcome.
    pub(super) fn touch(&mut self, id: i32, fenced: bool, metadata_offset: i64) {
        if let Some(session) = self.brokers.get_mut(&id) {
            session.fenced = fenced;
            session.metadata_offset = metadata_offset;
            if fenced {
                session.shutdown_offset = None;
            }
        }
    }

    /// Notes up to which offset the others must read before a leaving broker may stop; the first one counts.
    pub(super) fn begin_shutdown(&mut self, id: i32, offset: i64) {
        if let Some(session) = self.brokers.get_mut(&id) {
            session.shutdown_offset.get_or_insert(offset);
        }
    }

    /// The offset a leaving broker waits for.
    pub fn shutdown_offset(&self, id: i32) -> Option<i64> {
        self.brokers.get(&id)?.shutdown_offset
    }

    /// The lowest metadata offset among brokers that are neither fenced nor leaving.
    fn lowest_active_offset(&self) -> i64 {
        let active = self.brokers.values().filter(|s| !s.fenced && s.shutdown_offset.is_none());
        active.map(|session| session.metadata_offset).min().unwrap_or(i64::MAX)
    }

    /// What a broker is, as far as this controller has seen; nothing if it is not registered.
    pub fn state(&self, id: i32) -> Option<BrokerState> {
        let session = self.brokers.get(&id)?;
        Some(if session.shutdown_offset.is_some() {
            BrokerState::ControlledShutdown
        } else if session.fenced {
            BrokerState::Fenced
        } else {
            BrokerState::Unfenced
        })
    }

    /// What a broker is and what its heartbeat makes it.
    pub(super) fn next_state(
        &self,
        request: &BrokerHeartbeatRequest,
        registration_offset: i64,
        leads: impl FnOnce() -> bool,
    ) -> Option<(BrokerState, BrokerState)> {
        use BrokerState::{ControlledShutdown, Fenced, ShutdownNow, Unfenced};
        let current = self.state(request.broker_id)?;
        let next = match current {
            Fenced if request.want_shut_down => ShutdownNow,
            Fenced if request.want_fence => Fenced,
            Fenced if request.current_metadata_offset >= registration_offset => Unfenced,
            Fenced => Fenced,
            Unfenced => match (request.want_fence, request.want_shut_down) {
                (true, true) => ShutdownNow,
                (true, false) => Fenced,
                (false, true) if leads() => ControlledShutdown,
                (false, true) => ShutdownNow,
                (false, false) => Unfenced,
            },
            ControlledShutdown if leads() => ControlledShutdown,
            ControlledShutdown => {
                let needed = self.shutdown_offset(request.broker_id).unwrap_or(i64::MIN);
                if needed <= self.lowest_active_offset() { ShutdownNow } else { ControlledShutdown }
            }
            ShutdownNow => ShutdownNow,
        };
        Some((current, next))
    }
}
