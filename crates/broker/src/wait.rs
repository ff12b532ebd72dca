//! Parked requests: a fetch that waits for bytes sleeps until one of its partitions has something new.
//!
//! A parked fetch is one [`Parked`] that stands in the [`Waiters`] of each of its partitions. Whoever moves a
//! partition forward wakes all that stand there; they look again and, if it was not enough, park again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

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

/// The partitions of a replica's session that something happened to, as places in that session.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    places: Mutex<Vec<u32>>,
    any: Notify,
    /// What the fetch is known by that waits and lacks a watermark; 0 for none.
    owed: AtomicI32,
    /// Whether that fetch has waited long enough.
    is_ended: AtomicBool,
}

impl Hot {
    /// All places since the last time. Each may be noted anew once [`Watch::rearm`] was called for it.
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.places.lock())
    }

    /// Lets another one that sleeps here look.
    pub(crate) fn pass_on(&self) {
        self.any.notify_one();
    }

    /// Sleeps until there is a place, or the wait is ended.
    pub(crate) async fn woken(&self) {
        while !self.is_ended() && self.places.lock().is_empty() {
            self.any.notified().await;
        }
    }

    /// A fetch waits that lacks a watermark (0: none does).
    pub(crate) fn owe(&self, epoch: i32) {
        self.is_ended.store(false, Ordering::Relaxed);
        self.owed.store(epoch, Ordering::Relaxed);
    }

    /// The fetch that waits and lacks a watermark; 0 for none.
    pub(crate) fn owed(&self) -> i32 {
        self.owed.load(Ordering::Relaxed)
    }

    /// The fetch that lacks a watermark is to be answered with nothing else.
    pub(crate) fn end_wait(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
        self.any.notify_one();
    }

    /// Whether the fetch has waited long enough.
    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }
}

/// Watches one partition for a session, for as long as both are there: nobody has to park again and again.
#[derive(Debug)]
pub(crate) struct Watch {
    place: u32,
    hot: Arc<Hot>,
    /// Whether the place is among the hot ones.
    noted: AtomicBool,
    closed: AtomicBool,
}

impl Watch {
    pub(crate) fn new(place: u32, hot: &Arc<Hot>) -> Arc<Watch> {
        let (noted, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Watch { place, hot: hot.clone(), noted, closed })
    }

    fn wake(&self) {
        if !self.noted.swap(true, Ordering::AcqRel) {
            self.hot.places.lock().push(self.place);
            self.hot.any.notify_one();
        }
    }

    /// To be called before the partition is looked at: what happens from here on is noted again.
    pub(crate) fn rearm(&self) {
        // Not a mere store: what was done before a wake that changed nothing here is to be seen by the look.
        self.noted.swap(false, Ordering::AcqRel);
    }

    /// Nobody is interested any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// The requests that wait for one partition, and the sessions that watch it.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    parked: Mutex<Vec<Arc<Parked>>>,
    any: AtomicBool,
    watches: Mutex<Vec<Arc<Watch>>>,
    watched: AtomicBool,
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

    /// Lets `watch` stay here. The caller must look at the partition afterwards: it may have moved before.
    pub(crate) fn watch(&self, watch: &Arc<Watch>) {
        let mut watches = self.watches.lock();
        watches.retain(|other| !other.closed.load(Ordering::Relaxed) && !Arc::ptr_eq(other, watch));
        watches.push(watch.clone());
        self.watched.store(true, Ordering::SeqCst);
    }

    /// Wakes everyone who waits here.
    pub(crate) fn wake_all(&self) {
        if self.watched.load(Ordering::SeqCst) {
            self.watches.lock().iter().for_each(|watch| watch.wake());
        }
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

    #[tokio::test(flavor = "current_thread")]
    async fn a_watch_notes_what_happens_until_it_is_closed() {
        let (waiters, hot) = (Waiters::default(), Arc::<Hot>::default());
        let (first, second) = (Watch::new(4, &hot), Watch::new(7, &hot));
        waiters.watch(&first);
        waiters.watch(&first);
        waiters.watch(&second);
        waiters.wake_all();
        waiters.wake_all();
        hot.woken().await;
        assert_eq!(hot.take(), [4, 7], "each once");
        waiters.wake_all();
        assert!(hot.take().is_empty(), "nobody has looked since");
        first.rearm();
        waiters.wake_all();
        assert_eq!(hot.take(), [4]);
        first.close();
        waiters.watch(&Watch::new(9, &hot));
        assert_eq!(waiters.watches.lock().len(), 2);
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
