//! Hosts the group coordinator's shards: one for each partition of `__consumer_offsets` that this node leads.
//!
//! The shard decides; this room appends what it wants appended, tells it what the high watermark has passed, gives its
//! replies to the connections that wait for them, and wakes it when its timers run out. A shard is behind one lock, held
//! for one request at a time.

mod clock;
mod hosted;
mod journal;
mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ottla_groups::{Client, Config, Keeper, Request, Response};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::debug;
use uuid::Uuid;

use crate::line_budget::LineBudget;
use crate::wait::Parked;
use clock::Clock;
use hosted::Hosted;
use journal::Journal;

/// Lines about groups that may be written at once, and the milliseconds after which there is one more.
const LINES: (u32, i64) = (1_000, 200);

/// The shards of this node.
pub(crate) struct GroupHost {
    config: Config,
    clock: Clock,
    shards: RwLock<BTreeMap<i32, Arc<Hosted>>>,
    /// Answers for groups whose partition is not led here.
    elsewhere: Arc<Hosted>,
    /// On [`Clock`], like all deadlines of shards.
    next_tick_ms: AtomicI64,
    earlier: Notify,
    /// What groups do is told in the log, as far as they leave room for others.
    lines: Arc<LineBudget>,
    /// Shards whose appends wait for the high watermark, on their way to whoever follows it for them.
    behind: mpsc::UnboundedSender<Arc<Hosted>>,
    to_follow: Mutex<Option<mpsc::UnboundedReceiver<Arc<Hosted>>>>,
    /// What was said last about why groups cannot be served.
    said: Mutex<String>,
}

/// A shard whose log is to be read.
pub(crate) struct Loading {
    index: i32,
    partition: Arc<dyn Journal>,
    hosted: Arc<Hosted>,
}

impl GroupHost {
    pub(crate) fn new(config: Config) -> GroupHost {
        let clock = Clock::start();
        let mut nowhere = Keeper::new(config.clone(), -1);
        nowhere.unload(clock.now());
        let lines = Arc::new(LineBudget::new(LINES.0, LINES.1));
        let (behind, to_follow) = mpsc::unbounded_channel();
        GroupHost {
            config,
            clock,
            shards: RwLock::default(),
            elsewhere: Hosted::new(None, nowhere, lines.clone(), behind.clone()),
            lines,
            next_tick_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
            behind,
            to_follow: Mutex::new(Some(to_follow)),
            said: Mutex::default(),
        }
    }

    /// Takes over a partition of `__consumer_offsets` that this node leads from now on. Until [`GroupHost::load`] is
    /// through, clients are told that it is being loaded.
    ///
    /// `None` when it was led here already: the leader's log is the truth, so a new epoch alone changes nothing for the
    /// groups (Kafka: an active coordinator stays active).
    pub(crate) fn lead(&self, index: i32, partition: Arc<dyn Journal>, leader_epoch: i32) -> Option<Loading> {
        let mut shards = self.shards.write();
        if let Some(hosted) = shards.get(&index)
            && hosted
                .partition
                .as_ref()
                .is_some_and(|led| std::ptr::addr_eq(Arc::as_ptr(led), Arc::as_ptr(&partition)))
        {
            let hosted = hosted.clone();
            drop(shards);
            let mut inner = hosted.inner.lock();
            inner.keeper.lead_on(leader_epoch);
            hosted.settle(&mut inner, self.clock.now());
            return None;
        }
        let keeper = Keeper::new(self.config.clone(), leader_epoch);
        let (lines, behind) = (self.lines.clone(), self.behind.clone());
        let hosted = Hosted::new(Some(partition.clone()), keeper, lines, behind);
        let before = shards.insert(index, hosted.clone());
        drop(shards);
        if let Some(before) = before {
            before.unload(self.clock.now());
        }
        Some(Loading { index, partition, hosted })
    }

    /// Gives a partition up: who waits for one of its groups is told NOT_COORDINATOR at once.
    pub(crate) fn resign(&self, index: i32) {
        let gone = self.shards.write().remove(&index);
        if let Some(hosted) = gone {
            hosted.unload(self.clock.now());
        }
    }

    fn hosted(&self, partition: i32) -> Arc<Hosted> {
        self.shards.read().get(&partition).unwrap_or(&self.elsewhere).clone()
    }

    /// Hands a request to the shard of offsets partition `partition`. The answer is there at once, or comes later.
    pub(crate) fn ask(&self, partition: i32, client: Client<'_>, request: Request) -> Answer {
        let hosted = self.hosted(partition);
        let (sender, mut receiver) = oneshot::channel();
        let now = self.clock.now();
        let deadline = {
            let mut inner = hosted.inner.lock();
            inner.last_token += 1;
            let token = inner.last_token;
            inner.waiting.insert(token, sender);
            inner.keeper.handle(now, client, token, request);
            hosted.settle(&mut inner, now);
            inner.keeper.next_deadline()
        };
        self.schedule(deadline);
        match receiver.try_recv() {
            Ok(response) => Answer::Now(response),
            Err(_) => Answer::Later(receiver),
        }
    }

    /// Whether `line` is another one than the last time: what clients cause every 100 ms is said once.
    pub(crate) fn is_news(&self, line: &str) -> bool {
        let mut said = self.said.lock();
        let is_news = *said != line;
        if is_news {
            line.clone_into(&mut said);
        }
        is_news
    }

    /// The offsets partitions that are led here.
    pub(crate) fn led(&self) -> Vec<i32> {
        self.shards.read().keys().copied().collect()
    }

    /// Topics are gone: their offsets go too.
    pub(crate) fn topics_deleted(&self, topics: &[(&str, Uuid)]) {
        let shards: Vec<_> = self.shards.read().values().cloned().collect();
        for hosted in shards {
            let now = self.clock.now();
            let mut inner = hosted.inner.lock();
            inner.keeper.topics_deleted(now, topics);
            hosted.settle(&mut inner, now);
        }
    }

    fn schedule(&self, deadline_ms: Option<i64>) {
        if let Some(deadline_ms) = deadline_ms
            && deadline_ms < self.next_tick_ms.fetch_min(deadline_ms, Ordering::SeqCst)
        {
            self.earlier.notify_one();
        }
    }

    /// Wakes the shards when their timers run out, and when what they wait for is committed, for ever.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        let to_follow = self.to_follow.lock().take();
        if let Some(mut to_follow) = to_follow {
            let host = self.clone();
            tokio::spawn(async move {
                while let Some(hosted) = to_follow.recv().await {
                    tokio::spawn(host.clone().follow(hosted));
                }
            });
        }
        loop {
            let next_ms = self.next_tick_ms.load(Ordering::SeqCst);
            let wait_ms = next_ms.saturating_sub(self.clock.now().running_ms).clamp(0, 60_000);
            tokio::select! {
                () = self.earlier.notified() => continue,
                () = tokio::time::sleep(Duration::from_millis(wait_ms as u64)) => {}
            }
            self.next_tick_ms.store(i64::MAX, Ordering::SeqCst);
            let shards: Vec<_> = self.shards.read().values().cloned().collect();
            for hosted in shards {
                let now = self.clock.now();
                let mut inner = hosted.inner.lock();
                if inner.keeper.next_deadline().is_some_and(|deadline| deadline <= now.running_ms) {
                    inner.keeper.tick(now);
                    hosted.settle(&mut inner, now);
                }
                let deadline = inner.keeper.next_deadline();
                drop(inner);
                self.schedule(deadline);
            }
            debug!("group timers ran");
        }
    }

    /// Tells a shard of its appends as the high watermark passes them, until none is left.
    async fn follow(self: Arc<Self>, hosted: Arc<Hosted>) {
        let Some(partition) = &hosted.partition else { return };
        loop {
            let parked = Parked::new();
            partition.waiters().park(&parked);
            let (goes_on, deadline) = {
                let mut inner = hosted.inner.lock();
                hosted.settle(&mut inner, self.clock.now());
                inner.is_followed = inner.keeper.waits();
                (inner.is_followed, inner.keeper.next_deadline())
            };
            self.schedule(deadline);
            if !goes_on {
                return;
            }
            parked.woken().await;
        }
    }
}

/// The answer of a shard.
pub(crate) enum Answer {
    Now(Response),
    Later(oneshot::Receiver<Response>),
}

impl Answer {
    /// Waits for it; `None` when the shard went away without answering.
    pub(crate) async fn wait(self) -> Option<Response> {
        match self {
            Answer::Now(response) => Some(response),
            Answer::Later(receiver) => receiver.await.ok(),
        }
    }
}
