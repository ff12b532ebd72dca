//! A producer: records are put into batches by partition, and sent to the partitions' leaders. Idempotent by default:
//! what is sent again is not written twice (KIP-98, KIP-679).
//!
//! Bytes of a record are copied once, into its batch; there is no allocation per record. One task per producer
//! decides what is due, one per node writes requests in order.

mod batch;
mod collect;
mod error;
mod lane;
mod partitioner;
mod sender;
mod settings;
mod state;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_records::Header;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use batch::{Delivered, Sent};
pub use error::ProducerError;

use crate::Cluster;
use crate::properties::Properties;
use batch::Done;
use settings::Settings;
use state::{State, Taken};

/// A record that is to be sent, borrowed from its owner.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToSend<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None`: by the key, or the one that is convenient.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; `None`: now.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [Header<'a>],
}

/// What a producer has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProducerStats {
    /// Records that were taken.
    pub records: u64,
    /// Records that were acknowledged.
    pub delivered: u64,
    /// Records that failed.
    pub errors: u64,
    /// Batches that were acknowledged.
    pub batches: u64,
    /// Their bytes as they were sent.
    pub bytes: u64,
    /// Requests that ended, in whatever way.
    pub requests: u64,
    /// Batches that were sent again.
    pub retries: u64,
}

/// A producer. Clones share it; it is closed with the last one, and what was taken until then is still sent.
#[derive(Clone)]
pub struct Producer(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    cluster: Cluster,
    settings: Settings,
    state: Mutex<State>,
    refresh: Mutex<Refresh>,
    wake: Notify,
    room: Notify,
}

struct Refresh {
    running: bool,
    last: Instant,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.wake.notify_one();
    }
}

impl Producer {
    /// A producer for a cluster, with Kafka's keys and defaults.
    ///
    /// # Errors
    /// [`ProducerError::Properties`] for values that will not do or do not go together.
    pub async fn new(cluster: Cluster, properties: &Properties) -> Result<Producer, ProducerError> {
        let shared = Arc::new(Shared {
            cluster,
            settings: Settings::new(properties)?,
            state: Mutex::new(State::new()),
            refresh: Mutex::new(Refresh { running: false, last: Instant::now() }),
            wake: Notify::new(),
            room: Notify::new(),
        });
        tokio::spawn(sender::run(shared.clone()));
        Ok(Producer(Arc::new(Handle(shared))))
    }

    /// Takes a record: waits only for the topic to be known, and for memory, both at most `max.block.ms`. Lets the
    /// sender have its turn whenever a batch is full.
    ///
    /// # Errors
    /// [`ProducerError`] when the record cannot be taken; what becomes of it later is told by [`Sent`].
    pub async fn send(&self, record: &ToSend<'_>) -> Result<Sent, ProducerError> {
        loop {
            match self.take(record) {
                Taken::Yes { sent, ended, .. } => {
                    if ended {
                        tokio::task::yield_now().await;
                    }
                    return Ok(sent);
                }
                Taken::No(error) => return Err(error),
                Taken::UnknownTopic => self.shared().find_topic(record.topic, record.partition).await?,
                Taken::NoMemory(wanted) => self.wait_for_room(wanted).await?,
            }
        }
    }

    /// Takes a record without waiting; `None` when it would have to ([`Producer::send`] does). Whoever calls this in a
    /// loop lets other tasks run now and then.
    pub fn try_send(&self, record: &ToSend<'_>) -> Option<Result<Sent, ProducerError>> {
        match self.take(record) {
            Taken::Yes { sent, .. } => Some(Ok(sent)),
            Taken::No(error) => Some(Err(error)),
            Taken::UnknownTopic | Taken::NoMemory(_) => None,
        }
    }

    fn take(&self, record: &ToSend<'_>) -> Taken {
        let now_ms = if record.timestamp.is_some() { 0 } else { now_ms() };
        let shared = self.shared();
        let taken = shared.state.lock().take(&shared.settings, record, Instant::now(), now_ms);
        if let Taken::Yes { wake: true, .. } = &taken {
            shared.wake.notify_one();
        }
        taken
    }

    /// Waits until as many bytes are free.
    async fn wait_for_room(&self, wanted: usize) -> Result<(), ProducerError> {
        let (shared, settings) = (self.shared(), &self.shared().settings);
        let until = tokio::time::Instant::now() + settings.max_block;
        let _hurry = Hurry::new(shared);
        loop {
            let room = shared.room.notified();
            let used = shared.state.lock().memory_used;
            if used + wanted <= settings.memory || used == 0 {
                return Ok(());
            }
            if tokio::time::timeout_at(until, room).await.is_err() {
                let free = settings.memory.saturating_sub(shared.state.lock().memory_used);
                let (total, after) = (settings.memory, settings.max_block);
                return Err(ProducerError::NoMemory { wanted, total, free, after });
            }
        }
    }

    /// Sends what waits, and comes back when everything that was taken before is delivered or has failed.
    pub async fn flush(&self) {
        let shared = self.shared();
        let waiting: Vec<Arc<Done>> = {
            let state = shared.state.lock();
            let partitions = state.topics.iter().flat_map(|topic| &topic.partitions);
            let batches = partitions.flat_map(|partition| {
                let queued = partition.queue.iter().map(|batch| batch.done.clone());
                partition.in_flight.iter().map(|(_, done)| done.clone()).chain(queued)
            });
            batches.collect()
        };
        let _hurry = Hurry::new(shared);
        for done in waiting {
            std::future::poll_fn(|context| done.poll_ended(context)).await;
        }
    }

    /// Takes no more records, and sends what was taken for at most `within`; what is left then fails.
    pub async fn close(self, within: Duration) {
        let shared = self.shared().clone();
        shared.state.lock().closed = true;
        if tokio::time::timeout(within, self.flush()).await.is_err() {
            shared.fail_waiting(&ProducerError::Closed);
            let mut state = shared.state.lock();
            for partition in state.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                for (_, done) in &partition.in_flight {
                    done.end(Err(ProducerError::Closed));
                }
            }
        }
    }

    /// How many partitions a topic has; waits for it to be known, at most `max.block.ms`.
    ///
    /// # Errors
    /// [`ProducerError`] when it stays unknown.
    pub async fn partitions_of(&self, topic: &str) -> Result<i32, ProducerError> {
        loop {
            let known = self.shared().state.lock().topic(topic).map(|topic| topic.partitions.len());
            match known {
                Some(count) => return Ok(count as i32),
                None => self.shared().find_topic(topic, None).await?,
            }
        }
    }

    /// What was done so far.
    pub fn stats(&self) -> ProducerStats {
        self.shared().state.lock().stats
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

/// While one exists nothing lingers.
struct Hurry<'a>(&'a Shared);

impl Hurry<'_> {
    fn new(shared: &Shared) -> Hurry<'_> {
        shared.state.lock().hurried += 1;
        shared.wake.notify_one();
        Hurry(shared)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.state.lock().hurried -= 1;
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
