//! Deadlines by name: setting one again moves it, and those of the same moment go off in the order they were set.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::api::{AppendId, Token};

/// What goes off.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    /// A member's session, or the time a pending member has to come back.
    Session { group: Arc<str>, member: Arc<str> },
    /// The end of a join phase.
    Join { group: Arc<str> },
    /// The end of a sync phase.
    Sync { group: Arc<str> },
    /// A reply has waited long enough for its records.
    Write { append: AppendId },
    /// A fetch has waited long enough for the commits before it.
    Fetch { token: Token },
    /// Time to look for expired offsets.
    Expiry,
}

/// All deadlines of a shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeMap<(i64, u64), Timer>,
    places: HashMap<Timer, (i64, u64)>,
    set: u64,
}

impl Timers {
    /// Sets `timer` to go off at `deadline_ms`; replaces the earlier setting.
    pub(crate) fn set(&mut self, timer: Timer, deadline_ms: i64) {
        self.set += 1;
        let place = (deadline_ms, self.set);
        if let Some(old) = self.places.insert(timer.clone(), place) {
            self.queue.remove(&old);
        }
        self.queue.insert(place, timer);
    }

    /// Takes `timer` back; nothing happens if it is not set.
    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(place) = self.places.remove(timer) {
            self.queue.remove(&place);
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.queue.keys().next().map(|(deadline, _)| *deadline)
    }

    /// The earliest timer if it is due at `now_ms`; it is no longer set then.
    pub(crate) fn pop(&mut self, now_ms: i64) -> Option<Timer> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 > now_ms {
            return None;
        }
        let timer = entry.remove();
        self.places.remove(&timer);
        Some(timer)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(group: &str) -> Timer {
        Timer::Join { group: group.into() }
    }

    #[test]
    fn setting_again_moves_and_equal_deadlines_keep_their_order() {
        let mut timers = Timers::default();
        timers.set(join("b"), 10);
        timers.set(join("a"), 10);
        timers.set(join("c"), 5);
        timers.set(join("c"), 20);
        assert_eq!(timers.next_deadline(), Some(10));
        assert_eq!(timers.pop(9), None);
        assert_eq!(timers.pop(10), Some(join("b")));
        assert_eq!(timers.pop(10), Some(join("a")));
        assert_eq!(timers.pop(10), None);
        timers.cancel(&join("c"));
        timers.cancel(&join("c"));
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(timers.pop(i64::MAX), None);
    }
}
