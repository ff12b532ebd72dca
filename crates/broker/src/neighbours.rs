//! What a partition has to know of the rest of the cluster: who the other brokers are, and where to say that the
//! in-sync replicas should change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use ottla_metadata::Image;
use ottla_replication::leader::Proposal;
use ottla_replication::{Broker, BrokerId, Brokers};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::fetcher::Queue;
use crate::partition::Partition;
use crate::throttle::Throttle;

/// A registered broker, as far as replication is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Neighbour {
    broker: Broker,
    rack: Option<Arc<str>>,
}

/// The cluster around this node's partitions, shared by all of them.
#[derive(Debug)]
pub(crate) struct Neighbours {
    own: BrokerId,
    lag_time_max_ms: i64,
    fetch_backoff_ms: i64,
    clock: Instant,
    brokers: ArcSwap<HashMap<BrokerId, Neighbour>>,
    /// Changes of in-sync replicas that wait for their turn at the controller.
    proposals: Mutex<Vec<Proposed>>,
    proposed: Notify,
    /// The queues of the replica fetchers; none while there are no fetchers.
    queues: ArcSwap<Vec<Arc<Queue>>>,
    /// How fast throttled replicas are sent to others, and fetched from them.
    pub(crate) sending: Throttle,
    pub(crate) fetching: Throttle,
    /// Whether records of a transaction are taken only when its coordinator knows of it
    /// (`transaction.partition.verification.enable`).
    verifies_transactions: AtomicBool,
    /// When each broker fetched last as a replica, whatever it fetched.
    heard: ArcSwap<HashMap<BrokerId, AtomicI64>>,
}

/// A change of the in-sync replicas that a partition asks for.
#[derive(Debug)]
pub(crate) struct Proposed {
    pub(crate) partition: Arc<Partition>,
    pub(crate) proposal: Proposal,
}

impl Neighbours {
    /// No broker is known yet. Times are `replica.lag.time.max.ms` and `replica.fetch.backoff.ms`.
    /// `windows` is what replication throttles are measured by.
    pub(crate) fn new(
        own: BrokerId,
        lag_time_max_ms: i64,
        fetch_backoff_ms: i64,
        windows: (i32, i32),
    ) -> Arc<Neighbours> {
        Arc::new(Neighbours {
            own,
            lag_time_max_ms,
            fetch_backoff_ms,
            clock: Instant::now(),
            brokers: ArcSwap::default(),
            proposals: Mutex::default(),
            proposed: Notify::new(),
            queues: ArcSwap::default(),
            sending: Throttle::new(windows.0, windows.1),
            fetching: Throttle::new(windows.0, windows.1),
            verifies_transactions: AtomicBool::new(true),
            heard: ArcSwap::default(),
        })
    }

    pub(crate) fn verifies_transactions(&self) -> bool {
        self.verifies_transactions.load(Ordering::Relaxed)
    }

    pub(crate) fn set_verifies_transactions(&self, verifies: bool) {
        self.verifies_transactions.store(verifies, Ordering::Relaxed);
    }

    /// This broker.
    pub(crate) fn own(&self) -> BrokerId {
        self.own
    }

    /// The epoch of this broker's registration; -1 before the metadata shows one.
    pub(crate) fn own_epoch(&self) -> i64 {
        self.broker(self.own).map_or(-1, |broker| broker.epoch)
    }

    pub(crate) fn lag_time_max_ms(&self) -> i64 {
        self.lag_time_max_ms
    }

    pub(crate) fn fetch_backoff_ms(&self) -> i64 {
        self.fetch_backoff_ms
    }

    /// Milliseconds on a clock that only goes forward.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.elapsed().as_millis() as i64
    }

    /// The brokers of a new image.
    pub(crate) fn take(&self, image: &Image) {
        let neighbours = image.brokers.iter().map(|(id, known)| {
            let broker = Broker {
                epoch: known.epoch,
                fenced: known.fenced,
                shutting_down: known.in_controlled_shutdown,
            };
            (*id, Neighbour { broker, rack: known.rack.as_deref().map(Arc::from) })
        });
        let neighbours: HashMap<_, _> = neighbours.collect();
        if **self.brokers.load() != neighbours {
            let before = self.heard.load();
            let heard = |id: &BrokerId| {
                let at = before.get(id).map_or(i64::MIN, |at| at.load(Ordering::Relaxed));
                (*id, AtomicI64::new(at))
            };
            self.heard.store(Arc::new(neighbours.keys().map(heard).collect()));
            self.brokers.store(Arc::new(neighbours));
        }
    }

    /// The rack of a broker.
    pub(crate) fn rack(&self, id: BrokerId) -> Option<Arc<str>> {
        self.brokers.load().get(&id).and_then(|known| known.rack.clone())
    }

    /// A broker fetches as a replica.
    pub(crate) fn heard(&self, id: BrokerId) {
        if let Some(at) = self.heard.load().get(&id) {
            at.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Hands a change of the in-sync replicas to whoever tells the controller.
    pub(crate) fn propose(&self, partition: Arc<Partition>, proposal: Proposal) {
        self.proposals.lock().push(Proposed { partition, proposal });
        self.proposed.notify_one();
    }

    /// Waits for changes to propose; all that there are.
    pub(crate) async fn proposals(&self) -> Vec<Proposed> {
        loop {
            let proposals = std::mem::take(&mut *self.proposals.lock());
            if !proposals.is_empty() {
                return proposals;
            }
            self.proposed.notified().await;
        }
    }

    /// Tells its fetcher that a partition follows somebody else, or nobody any more.
    pub(crate) fn followers_changed(&self, partition: &Arc<Partition>) {
        let queues = self.queues.load();
        if !queues.is_empty() {
            let spread = partition.topic_id().as_u128() as usize ^ partition.index() as usize;
            queues[spread % queues.len()].push(partition.clone());
        }
    }

    /// There are other fetchers: one for each queue.
    pub(crate) fn set_queues(&self, queues: Vec<Arc<Queue>>) {
        self.queues.store(Arc::new(queues));
    }
}

impl Brokers for Neighbours {
    fn broker(&self, id: BrokerId) -> Option<Broker> {
        self.brokers.load().get(&id).map(|known| known.broker)
    }

    fn last_fetch_ms(&self, id: BrokerId) -> Option<i64> {
        let at = self.heard.load().get(&id)?.load(Ordering::Relaxed);
        (at != i64::MIN).then_some(at)
    }
}
