//! Parked requests: a fetch that waits for bytes sleeps until one of its partitions has something new.
//!
//! A parked fetch is one [`Parked`] that stands in the [`Waiters`] of each of its partitions. Whoever moves a
//! partition forward wakes all that stand there; they look again and, if it was not enough, park again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One sleeping request.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    notify: Notify,
    woken: AtomicBool,
}

impl Parked {
    pub(crate) fn new() -> Arc<Parked> {
        Arc::new(Parked::default())
    }

    /// Wakes the request. Before it sleeps again it has to park anew.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }

    /// Sleeps until woken.
    pub(crate) async fn woken(&self) {
        while !self.woken.load(Ordering::Acquire) {
            self.notify.notified().await;
        }
    }
}

/// The requests that wait for one partition. Empty, it is a word and a byte.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    parked: Mutex<Vec<Arc<Parked>>>,
    any: AtomicBool,
}

impl Waiters {
    /// Lets `parked` wait here. The caller must look at the partition again afterwards: it may have moved before.
    pub(crate) fn park(&self, parked: &Arc<Parked>) {
        let mut waiting = self.parked.lock();
        // Requests that another partition woke are swept out here, so that a quiet partition gathers none.
        waiting.retain(|other| !other.woken.load(Ordering::Relaxed) && Arc::strong_count(other) > 1);
        waiting.push(parked.clone());
        self.any.store(true, Ordering::SeqCst);
    }

    /// Wakes everyone who waits here.
    pub(crate) fn wake_all(&self) {
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut waiting = self.parked.lock();
            self.any.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        for parked in woken {
            parked.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_wake_before_the_sleep_is_not_lost() {
        let (waiters, parked) = (Waiters::default(), Parked::new());
        waiters.park(&parked);
        waiters.wake_all();
        parked.woken().await;
        assert!(waiters.parked.lock().is_empty());
    }

    #[test]
    fn a_quiet_partition_gathers_no_sleepers() {
        let waiters = Waiters::default();
        for _ in 0..100 {
            let parked = Parked::new();
            waiters.park(&parked);
            parked.wake();
        }
        assert!(waiters.parked.lock().len() <= 1);
    }
}
