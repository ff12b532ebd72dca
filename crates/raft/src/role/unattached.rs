//! Unattached: no way to a leader. Asks around, and as a voter runs when nobody answers.

use crate::node::Node;
use crate::{Millis, ReplicaKey};

/// What an unattached node remembers.
#[derive(Clone, Debug)]
pub struct Unattached {
    /// The leader, when its id is known but no address.
    pub leader: Option<i32>,
    /// Whom it voted for in this epoch.
    pub voted: Option<ReplicaKey>,
    /// When it runs itself; never for plain observers.
    pub election_at: Millis,
}

impl Node {
    pub(crate) fn drive_unattached(&mut self, now: Millis, election_at: Millis) -> Millis {
        if self.may_run() {
            if self.is_stopping() {
                return self.stop_deadline();
            }
            if now >= election_at {
                self.become_prospective(now);
                return now;
            }
            return self.fetch_from_bootstrap(now).min(election_at);
        }
        self.fetch_from_bootstrap(now)
    }
}
