//! Replicas that lack nothing but the new high watermark: it travels with the next records, or leaves after a while.
//!
//! One clock serves all of a network thread. A timer for each such fetch would cost two system calls for every batch.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::wait::Hot;

/// A new high watermark waits at least so long for records to travel with, and about twice as long at most: under load
/// it would cost each replica a second round of fetching for every batch.
const WAIT: Duration = Duration::from_millis(4);

/// The replicas' sessions of one network thread that are owed a watermark.
#[derive(Default)]
pub(crate) struct Owed {
    sessions: RefCell<Vec<(Arc<Hot>, i32)>>,
    any: Notify,
}

impl Owed {
    /// A fetch begins to wait that lacks the watermark; the session's next one will carry `epoch`.
    pub(crate) fn note(&self, hot: &Arc<Hot>, epoch: i32) {
        hot.owe(epoch);
        let mut sessions = self.sessions.borrow_mut();
        // The clock finds out by itself that another fetch of the session waits now.
        if !sessions.iter().any(|(known, _)| Arc::ptr_eq(known, hot)) {
            sessions.push((hot.clone(), epoch));
            self.any.notify_one();
        }
    }

    /// Fetches that were there the last time have waited long enough; those that came since stay. Returns whether any do.
    fn tick(&self) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain_mut(|(hot, epoch)| match hot.owed() {
            0 => false,
            now if now == *epoch => {
                hot.end_wait();
                false
            }
            now => {
                *epoch = now;
                true
            }
        });
        !sessions.is_empty()
    }
}

/// Lets the time pass for a network thread.
pub(crate) async fn run(owed: Rc<Owed>) {
    loop {
        owed.any.notified().await;
        loop {
            tokio::time::sleep(WAIT).await;
            if !owed.tick() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fetch_that_has_waited_is_ended() {
        let (owed, hot) = (Owed::default(), Arc::<Hot>::default());
        owed.note(&hot, 5);
        assert!(!hot.is_ended());
        // It was answered with records, and the next one waits.
        hot.owe(0);
        owed.note(&hot, 6);
        assert!(owed.tick() && !hot.is_ended(), "the younger one has another round");
        assert!(!owed.tick() && hot.is_ended());
        hot.owe(0);
        assert!(!hot.is_ended(), "what has ended one does not end the next");
        owed.note(&hot, 7);
        hot.owe(0);
        assert!(!owed.tick() && !hot.is_ended(), "nobody waits");
    }
}
