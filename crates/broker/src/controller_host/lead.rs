//! Who leads the quorum, for those who wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

/// Who leads, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Leading {
    /// The leader of the quorum.
    pub(super) leader: Option<i32>,
    /// Its epoch.
    pub(super) epoch: i32,
    /// The epoch in which this node is the active controller, its first records committed.
    pub(super) active: Option<i32>,
}

/// The epoch in which this node is the active controller, and who leads otherwise.
#[derive(Debug, Clone)]
pub(super) struct Lead(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<Leading>,
    turned: Condvar,
    changes: watch::Sender<Leading>,
}

impl Default for Lead {
    fn default() -> Lead {
        let state = Mutex::default();
        let changes = watch::Sender::new(Leading::default());
        Lead(Arc::new(Inner { state, turned: Condvar::new(), changes }))
    }
}

impl Lead {
    /// This node is the active controller of an epoch, or is none.
    pub(super) fn set(&self, active: Option<i32>) {
        self.change(|state| state.active = active);
    }

    /// The quorum has another leader.
    pub(super) fn turn(&self, leader: Option<i32>, epoch: i32) {
        self.change(|state| (state.leader, state.epoch) = (leader, epoch));
    }

    fn change(&self, change: impl FnOnce(&mut Leading)) {
        let mut state = self.0.state.lock();
        let before = *state;
        change(&mut state);
        let after = *state;
        self.0.turned.notify_all();
        // Under the lock, so that the last change told is the last one made.
        self.0.changes.send_if_modified(|told| {
            *told = after;
            before != after
        });
    }

    /// Whether this node is the active controller.
    pub(super) fn is_active(&self) -> bool {
        self.0.state.lock().active.is_some()
    }

    /// Told of every change.
    pub(super) fn changes(&self) -> watch::Receiver<Leading> {
        self.0.changes.subscribe()
    }

    /// Waits for this node to be active; false if it is not in time.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let mut state = self.0.state.lock();
        let until = Instant::now() + timeout;
        while state.active.is_none() {
            if self.0.turned.wait_until(&mut state, until).timed_out() {
                return state.active.is_some();
            }
        }
        true
    }
}
