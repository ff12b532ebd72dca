//! Replica fetchers: this node as a follower. `num.replica.fetchers` threads, each with a share of the partitions and
//! one connection per broker that leads some of them.

mod session;
mod source;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tracing::error;

use crate::node::Node;
use crate::partition::Partition;
use source::Source;

/// Changes of the metadata that come one after the other are looked at together.
const GATHER: Duration = Duration::from_millis(2);

/// The fetchers' threads.
#[derive(Debug)]
pub(crate) struct Fetchers {
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Default for Fetchers {
    fn default() -> Fetchers {
        Fetchers { threads: Mutex::default(), stop: watch::Sender::new(false) }
    }
}

impl Fetchers {
    /// Starts the threads.
    pub(crate) fn start(&self, node: &Arc<Node>) -> io::Result<()> {
        let count = node.config().replication.fetchers.max(1) as usize;
        for number in 0..count {
            let (node, mut stop) = (node.clone(), self.stop.subscribe());
            let thread = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return node.fail(&format!("a replica fetcher cannot start: {error}")),
                };
                runtime.block_on(LocalSet::new().run_until(async {
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => {}
                        () = follow(&node, number, count) => {}
                    }
                }));
            };
            let thread = std::thread::Builder::new().name(format!("fetcher-{number}")).spawn(thread)?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Stops the threads; what is under way is given up.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                error!("a replica fetcher had panicked");
            }
        }
    }
}

/// A task that fetches from one leader.
struct Fetching {
    source: Arc<Source>,
    task: AbortHandle,
}

/// Keeps one source for each broker that leads a partition of this thread's share.
async fn follow(node: &Arc<Node>, number: usize, count: usize) {
    let mut changes = node.neighbours().followed();
    let mut fetching: HashMap<i32, Fetching> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let mut wanted: HashMap<i32, Vec<Arc<Partition>>> = HashMap::new();
        for partition in node.partitions().all() {
            if share(&partition, count) == number
                && let Some(leader) = partition.following()
            {
                wanted.entry(leader).or_default().push(partition);
            }
        }
        fetching.retain(|leader, known| {
            let is_wanted = wanted.contains_key(leader);
            if !is_wanted {
                known.task.abort();
            }
            is_wanted
        });
        for (leader, partitions) in wanted {
            let known = fetching.entry(leader).or_insert_with(|| {
                let source = Arc::new(Source::new(leader));
                let task = spawn_local(source::run(node.clone(), source.clone())).abort_handle();
                Fetching { source, task }
            });
            known.source.set(partitions);
        }
        if changes.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Which of `count` threads follows the partition.
fn share(partition: &Partition, count: usize) -> usize {
    let spread = partition.topic_id().as_u128() as usize ^ partition.index() as usize;
    spread % count
}
