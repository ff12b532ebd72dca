//! Hosts the shards of a coordinator: one for each partition of its topic that this node leads.
//!
//! A shard decides; this room appends what it wants appended, tells it what the high watermark has passed, gives its
//! replies to the connections that wait for them, and wakes it when its timers run out. A shard is behind one lock, held
//! for one request at a time.

mod clock;
mod hosted;
mod journal;
mod load;
#[cfg(test)]
pub(crate) mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ottla_records::coordinator::Token;
use ottla_records::{Decompressor, Moment};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::debug;

use crate::line_budget::LineBudget;
use crate::wait::Parked;
use clock::Clock;
use hosted::Hosted;
pub(crate) use journal::Journal;

/// Lines about shards that may be written at once, and the milliseconds after which there is one more.
const LINES: (u32, i64) = (1_000, 200);

/// A shard and what it has on its way to its log, as a host needs it.
pub(crate) trait Kept: Sized + Send + 'static {
    /// The settings of its shards.
    type Config: Clone + Send + Sync;
    /// The answer to a request.
    type Response: Send;
    /// What it wants done elsewhere than in its log.
    type Errand: Send;
    /// Whose log lines they are.
    const NAME: &str;
    /// The topic whose partitions have the shards' logs.
    const TOPIC: &str;

    fn new(config: Self::Config, leader_epoch: i32) -> Self;
    fn leader_epoch(&self) -> i32;
    fn lead_on(&mut self, leader_epoch: i32);
    fn waits(&self) -> bool;
    fn next_deadline(&self) -> Option<i64>;
    /// What it holds, in words.
    fn holds(&self) -> String;
    /// Records without a key that were passed over.
    fn keyless(&self) -> usize;
    fn tick(&mut self, now: Moment);
    fn unload(&mut self, now: Moment);
    fn loaded(&mut self, now: Moment);
    fn read(
        &mut self,
        decompressor: &mut Decompressor,
        bytes: &[u8],
        offset: i64,
        high_watermark: Option<i64>,
    ) -> Result<(usize, i64), String>;
    /// Does what the shard wants done, in its order; without a partition every append is refused.
    fn settle(&mut self, partition: Option<Arc<dyn Journal>>, now: Moment, said: &mut dyn FnMut(Said<Self>));
}

/// What shards want done elsewhere, each with its partition.
pub(crate) type Errands<K> = mpsc::UnboundedReceiver<(i32, <K as Kept>::Errand)>;

/// What comes out of a shard.
pub(crate) enum Said<K: Kept> {
    Reply(Token, K::Response),
    Line(String),
    Errand(K::Errand),
}

/// The shards of this node.
pub(crate) struct Host<K: Kept> {
    config: RwLock<K::Config>,
    clock: Clock,
    shards: RwLock<BTreeMap<i32, Arc<Hosted<K>>>>,
    /// Answers for what is not led here.
    elsewhere: Arc<Hosted<K>>,
    /// On [`Clock`], like all deadlines of shards.
    next_tick_ms: AtomicI64,
    earlier: Notify,
    /// What shards do is told in the log, as far as they leave room for others.
    lines: Arc<LineBudget>,
    /// Shards whose appends wait for the high watermark, on their way to whoever follows it for them.
    behind: mpsc::UnboundedSender<Arc<Hosted<K>>>,
    to_follow: Mutex<Option<mpsc::UnboundedReceiver<Arc<Hosted<K>>>>>,
    errands: mpsc::UnboundedSender<(i32, K::Errand)>,
    to_run: Mutex<Option<Errands<K>>>,
    /// What was said last about why clients cannot be served.
    said: Mutex<String>,
}

/// A shard whose log is to be read.
pub(crate) struct Loading<K: Kept> {
    index: i32,
    partition: Arc<dyn Journal>,
    hosted: Arc<Hosted<K>>,
}

impl<K: Kept> Host<K> {
    pub(crate) fn new(config: K::Config) -> Host<K> {
        let clock = Clock::start();
        let mut nowhere = K::new(config.clone(), -1);
        nowhere.unload(clock.now());
        let lines = Arc::new(LineBudget::new(LINES.0, LINES.1));
        let (behind, to_follow) = mpsc::unbounded_channel();
        let (errands, to_run) = mpsc::unbounded_channel();
        let ways = (lines.clone(), behind.clone(), errands.clone());
        Host {
            config: RwLock::new(config),
            clock,
            shards: RwLock::default(),
            elsewhere: Hosted::new(-1, None, nowhere, ways),
            lines,
            next_tick_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
            behind,
            to_follow: Mutex::new(Some(to_follow)),
            errands,
            to_run: Mutex::new(Some(to_run)),
            said: Mutex::default(),
        }
    }

    /// Takes over a partition that this node leads from now on. Until [`Host::load`] is through, clients are told that it is
    /// being loaded.
    ///
    /// `None` when it was led here already: the leader's log is the truth, so a new epoch alone changes nothing for the
    /// shard (Kafka: an active coordinator stays active).
    pub(crate) fn lead(
        &self,
        index: i32,
        partition: Arc<dyn Journal>,
        leader_epoch: i32,
    ) -> Option<Loading<K>> {
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
        let keeper = K::new(self.config.read().clone(), leader_epoch);
        let ways = (self.lines.clone(), self.behind.clone(), self.errands.clone());
        let hosted = Hosted::new(index, Some(partition.clone()), keeper, ways);
        let before = shards.insert(index, hosted.clone());
        drop(shards);
        if let Some(before) = before {
            before.unload(self.clock.now());
        }
        Some(Loading { index, partition, hosted })
    }

    /// Gives a partition up: who waits for one of its answers is told NOT_COORDINATOR at once.
    pub(crate) fn resign(&self, index: i32) {
        let gone = self.shards.write().remove(&index);
        if let Some(hosted) = gone {
            hosted.unload(self.clock.now());
        }
    }

    fn hosted(&self, partition: i32) -> Arc<Hosted<K>> {
        self.shards.read().get(&partition).unwrap_or(&self.elsewhere).clone()
    }

    /// Hands a request to the shard of `partition`. The answer is there at once, or comes later.
    pub(crate) fn put(
        &self,
        partition: i32,
        request: impl FnOnce(&mut K, Moment, Token),
    ) -> Answer<K::Response> {
        let (sender, mut receiver) = oneshot::channel();
        self.with(partition, |inner, now| {
            inner.last_token += 1;
            let token = inner.last_token;
            inner.waiting.insert(token, sender);
            request(&mut inner.keeper, now, token);
        });
        match receiver.try_recv() {
            Ok(response) => Answer::Now(response),
            Err(_) => Answer::Later(receiver),
        }
    }

    /// Tells the shard of `partition` something that nobody waits for.
    pub(crate) fn tell(&self, partition: i32, news: impl FnOnce(&mut K, Moment)) {
        self.with(partition, |inner, now| news(&mut inner.keeper, now));
    }

    fn with(&self, partition: i32, act: impl FnOnce(&mut hosted::Inner<K>, Moment)) {
        let hosted = self.hosted(partition);
        let now = self.clock.now();
        let mut inner = hosted.inner.lock();
        act(&mut inner, now);
        hosted.settle(&mut inner, now);
        let deadline = inner.keeper.next_deadline();
        drop(inner);
        self.schedule(deadline);
    }

    /// Something about the shard of `partition`, as it is now.
    pub(crate) fn look<T>(&self, partition: i32, see: impl FnOnce(&K) -> T) -> T {
        see(&self.hosted(partition).inner.lock().keeper)
    }

    /// Tells every shard something.
    pub(crate) fn tell_all(&self, news: impl Fn(&mut K, Moment)) {
        for index in self.led() {
            self.tell(index, &news);
        }
    }

    /// Shards that come from now on have these settings.
    pub(crate) fn set_config(&self, config: K::Config) {
        *self.config.write() = config;
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

    /// The partitions that are led here.
    pub(crate) fn led(&self) -> Vec<i32> {
        self.shards.read().keys().copied().collect()
    }

    /// What shards want done elsewhere, with the partition of each; can be taken once.
    pub(crate) fn errands(&self) -> Option<Errands<K>> {
        self.to_run.lock().take()
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
            debug!("timers of {} ran", K::NAME);
        }
    }

    /// Tells a shard of its appends as the high watermark passes them, until none is left.
    async fn follow(self: Arc<Self>, hosted: Arc<Hosted<K>>) {
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
pub(crate) enum Answer<R> {
    Now(R),
    Later(oneshot::Receiver<R>),
}

impl<R> Answer<R> {
    /// Waits for it; `None` when the shard went away without answering.
    pub(crate) async fn wait(self) -> Option<R> {
        match self {
            Answer::Now(response) => Some(response),
            Answer::Later(receiver) => receiver.await.ok(),
        }
    }
}
