//! What the quorum's thread has decoded and nobody has applied yet: a bounded number of bytes. A node that starts with a
//! long log would otherwise hold all of its records at once.

use std::sync::{Arc, OnceLock};

use ottla_quorum::Handle;
use parking_lot::Mutex;

/// So many bytes of the log are decoded ahead of those who apply them. A record takes three to four times as much in memory.
const MOST: usize = 1 << 20;

/// Counts the bytes. Shared by the decoder and those who apply.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    quorum: OnceLock<Handle>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    /// Whether the decoder was sent away and has not come back.
    is_held: bool,
}

/// The place of one batch in the backlog: free again once everybody has let go of it.
#[derive(Debug)]
pub(super) struct Room {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Backlog {
    /// Who is told that there is room again.
    pub(super) fn wake(&self, quorum: Handle) {
        // Set once, by who makes both.
        let _ = self.quorum.set(quorum);
    }

    /// Takes a batch in, whether there is room or not.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Room {
        self.state.lock().bytes += bytes;
        Room { backlog: self.clone(), bytes }
    }

    /// Whether the decoder may go on. If not, it is woken when half is applied.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        state.is_held = state.bytes >= MOST;
        !state.is_held
    }

    /// Whether more is to come that is committed already: who applies had better wait for it.
    pub(super) fn is_held(&self) -> bool {
        self.state.lock().is_held
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let wakes = {
            let mut state = self.backlog.state.lock();
            let before = state.bytes;
            state.bytes -= self.bytes;
            state.is_held && before > MOST / 2 && state.bytes <= MOST / 2
        };
        if wakes && let Some(quorum) = self.backlog.quorum.get() {
            quorum.go_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_much_is_decoded_ahead() {
        let backlog = Arc::<Backlog>::default();
        let first = backlog.take(MOST - 1);
        assert!(backlog.has_room() && !backlog.is_held());
        let second = backlog.take(MOST);
        assert!(!backlog.has_room() && backlog.is_held());
        drop(first);
        assert!(!backlog.has_room(), "still full");
        drop(second);
        assert!(backlog.is_held(), "until the decoder comes back");
        assert!(backlog.has_room() && !backlog.is_held());
    }
}
