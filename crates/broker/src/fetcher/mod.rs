//! Replica fetchers: this node as a follower. `num.replica.fetchers` threads, each with a share of the partitions and
//! one connection per broker that leads some of them.
//!
//! Nobody ever goes through all partitions: whoever changes what a partition follows puts it into its thread's
//! [`Queue`], the thread hands it to the [`Source`] of its leader, and that asks for what has changed.

mod session;
mod source;
mod tracks;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tracing::{error, info};

use crate::node::Node;
use crate::partition::Partition;
use crate::vigil::Vigil;
use source::{Change, Source};
use tracks::Key;

/// Changes that come one after the other are looked at together.
const GATHER: Duration = Duration::from_millis(2);

/// The partitions of one thread that follow somebody else than before, or nobody any more.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    moved: Mutex<Vec<Arc<Partition>>>,
    any: Notify,
}

impl Queue {
    /// Puts a partition to the others; which it follows is looked up when its turn comes.
    pub(crate) fn push(&self, partition: Arc<Partition>) {
        self.moved.lock().push(partition);
        self.any.notify_one();
    }

    /// Waits for partitions; all that there are.
    async fn take(&self) -> Vec<Arc<Partition>> {
        loop {
            let moved = std::mem::take(&mut *self.moved.lock());
            if !moved.is_empty() {
                return moved;
            }
            self.any.notified().await;
        }
    }
}

/// The fetchers' threads.
#[derive(Debug, Default)]
pub(crate) struct Fetchers {
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Running {
    fn end(self) {
        self.stop.send_replace(true);
        for thread in self.threads {
            if thread.join().is_err() {
                error!("a replica fetcher had panicked");
            }
        }
    }
}

impl Fetchers {
    /// Starts the threads.
    pub(crate) fn start(&self, node: &Arc<Node>) -> io::Result<()> {
        let count = node.config().replication.fetchers.max(1) as usize;
        *self.running.lock() = Some(run(node, count)?);
        Ok(())
    }

    /// Takes another `num.replica.fetchers`: the partitions are shared out anew.
    pub(crate) fn resize(&self, node: &Arc<Node>) {
        let count = node.config().replication.fetchers.max(1) as usize;
        let mut running = self.running.lock();
        if running.as_ref().is_none_or(|now| now.threads.len() == count) {
            return;
        }
        if let Some(before) = running.take() {
            before.end();
        }
        match run(node, count) {
            Ok(now) => *running = Some(now),
            Err(error) => return node.fail(&format!("the replica fetchers cannot start: {error}")),
        }
        info!("[ReplicaFetcherManager id={}] {count} replica fetchers per source", node.node_id());
    }

    /// Stops the threads; what is under way is given up.
    pub(crate) fn stop(&self) {
        if let Some(running) = self.running.lock().take() {
            running.end();
        }
    }
}

/// Starts `count` threads and shares the partitions out to them.
fn run(node: &Arc<Node>, count: usize) -> io::Result<Running> {
    let queues: Vec<Arc<Queue>> = (0..count).map(|_| Arc::default()).collect();
    // First the queues, then the partitions that there are: whatever moves meanwhile is in one of the two.
    node.neighbours().set_queues(queues.clone());
    for partition in node.partitions().all() {
        node.neighbours().followers_changed(&partition);
    }
    let mut running = Running { threads: Vec::new(), stop: watch::Sender::new(false) };
    for (number, queue) in queues.into_iter().enumerate() {
        let (node, mut stop) = (node.clone(), running.stop.subscribe());
        let thread = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return node.fail(&format!("a replica fetcher cannot start: {error}")),
            };
            let _vigil = Vigil::over(&node, "replica fetcher");
            runtime.block_on(async {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = follow(&node, &queue) => {}
                }
            });
        };
        let started = std::thread::Builder::new().name(format!("fetcher-{number}")).spawn(thread);
        match started {
            Ok(thread) => running.threads.push(thread),
            Err(error) => {
                running.end();
                return Err(error);
            }
        }
    }
    Ok(running)
}

/// Where a partition is fetched.
#[derive(Debug, PartialEq, Eq)]
struct Home {
    leader: i32,
    leader_epoch: i32,
    /// A partition that was deleted and made anew is another one.
    of: *const Partition,
}

/// A task that fetches from one leader.
struct Fetching {
    source: Arc<Source>,
    task: AbortHandle,
    partitions: usize,
}

/// Keeps one source for each broker that leads a partition of this thread's share.
async fn follow(node: &Arc<Node>, queue: &Queue) {
    let mut homes: HashMap<Key, Home> = HashMap::new();
    let mut fetching: HashMap<i32, Fetching> = HashMap::new();
    loop {
        let mut touched = HashSet::new();
        for partition in queue.take().await {
            let key = (partition.topic_id(), partition.index());
            let of = Arc::as_ptr(&partition);
            let home = partition.following().map(|(leader, leader_epoch)| Home { leader, leader_epoch, of });
            let before = homes.get(&key);
            if home.is_none() && before.is_some_and(|before| before.of != of) {
                // The last word of one that was deleted.
                continue;
            }
            let is_new = before != home.as_ref();
            if let Some(leader) = before.map(|before| before.leader)
                && home.as_ref().is_none_or(|home| home.leader != leader)
                && let Some(known) = fetching.get_mut(&leader)
            {
                known.source.put(Change::Leave(key), false);
                known.partitions -= 1;
                touched.insert(leader);
                homes.remove(&key);
            }
            let Some(home) = home else { continue };
            let known = fetching.entry(home.leader).or_insert_with(|| {
                let source = Arc::new(Source::new(home.leader));
                let task = tokio::spawn(watched(node.clone(), source.clone())).abort_handle();
                Fetching { source, task, partitions: 0 }
            });
            known.source.put(Change::Join(key, partition), is_new);
            touched.insert(home.leader);
            if homes.insert(key, home).is_none() {
                known.partitions += 1;
            }
        }
        for leader in touched {
            let Some(known) = fetching.get(&leader) else { continue };
            if known.partitions == 0 {
                known.task.abort();
                fetching.remove(&leader);
            } else {
                known.source.tell();
            }
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn watched(node: Arc<Node>, source: Arc<Source>) {
    let _vigil = Vigil::over(&node, "replica fetcher");
    source::run(node, source).await;
}
