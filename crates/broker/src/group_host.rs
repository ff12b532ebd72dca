//! Hosts the group coordinator's shards: one for each partition of `__consumer_offsets` that this node leads.
//!
//! The shard decides; this room appends what it wants appended, gives its replies to the connections that wait for
//! them, and wakes it when its timers run out. A shard is behind one lock, held for one request at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ottla_groups::{AppendId, Client, Config, Effect, Logged, Request, Response, Shard, Token};
use ottla_protocol::ErrorCode;
use ottla_records::{BatchBuilder, BatchIter, ControlRecord, Decompressor, NewRecord};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, oneshot};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use crate::line_budget::{LineBudget, tame};
use crate::network::wall_ms;
use crate::partition::Partition;

/// Bytes of the log that are read at once while a shard is loaded.
const LOAD_BYTES: usize = 4 * 1024 * 1024;
/// What one record batch of coordinator records may become when it is decompressed.
const LOAD_BATCH_BYTES: usize = 256 * 1024 * 1024;

/// Lines about groups that may be written at once, and the milliseconds after which there is one more.
const LINES: (u32, i64) = (1_000, 200);

/// The shards of this node.
pub(crate) struct GroupHost {
    config: Config,
    shards: RwLock<BTreeMap<i32, Arc<Hosted>>>,
    /// Answers for groups whose partition is not led here.
    elsewhere: Arc<Hosted>,
    next_tick_ms: AtomicI64,
    earlier: Notify,
    /// What groups do is told in the log, as far as they leave room for others.
    lines: Arc<LineBudget>,
}

/// One shard and what it needs of the outside.
struct Hosted {
    partition: Option<Arc<Partition>>,
    leader_epoch: i32,
    lines: Arc<LineBudget>,
    inner: Mutex<Inner>,
}

struct Inner {
    shard: Shard,
    waiting: HashMap<Token, oneshot::Sender<Response>>,
    last_token: Token,
    /// Appends that are in the log but not yet below the high watermark, with the end offset that commits them.
    uncommitted: VecDeque<(AppendId, i64, i64)>,
    /// Set once the partition is given up: what is read of its log counts no more.
    resigned: bool,
}

/// A shard whose log is to be read.
pub(crate) struct Loading {
    index: i32,
    partition: Arc<Partition>,
    hosted: Arc<Hosted>,
}

impl Hosted {
    fn new(
        partition: Option<Arc<Partition>>,
        leader_epoch: i32,
        shard: Shard,
        lines: Arc<LineBudget>,
    ) -> Hosted {
        let inner = Inner {
            shard,
            waiting: HashMap::new(),
            last_token: 0,
            uncommitted: VecDeque::new(),
            resigned: false,
        };
        Hosted { partition, leader_epoch, lines, inner: Mutex::new(inner) }
    }

    /// Does what the shard wants done, in its order.
    fn settle(&self, inner: &mut Inner, now_ms: i64) {
        self.commit(inner, now_ms);
        while let Some(effect) = inner.shard.poll_effect() {
            match effect {
                Effect::Append(append) => {
                    let outcome = self.append(&append.records, now_ms);
                    match outcome {
                        Ok((base, end)) => {
                            inner.uncommitted.push_back((append.id, base, end));
                            self.commit(inner, now_ms);
                        }
                        Err(error) => inner.shard.appended(now_ms, append.id, Err(error)),
                    }
                }
                Effect::Reply { token, response } => {
                    if let Some(waiting) = inner.waiting.remove(&token) {
                        // The client may have left: then nobody needs the answer.
                        let _ = waiting.send(response);
                    }
                }
                Effect::Notice(notice) => {
                    if let Some(leave) = self.lines.spend(now_ms) {
                        info!("[GroupCoordinator] {}{leave}", tame(&notice.to_string()));
                    }
                }
            }
        }
    }

    /// Tells the shard of appends that the high watermark has passed.
    fn commit(&self, inner: &mut Inner, now_ms: i64) {
        let Some(partition) = &self.partition else { return };
        if inner.uncommitted.is_empty() {
            return;
        }
        let high_watermark = partition.high_watermark();
        while let Some(&(id, base, end)) = inner.uncommitted.front() {
            if end > high_watermark {
                return;
            }
            inner.uncommitted.pop_front();
            inner.shard.appended(now_ms, id, Ok(base));
        }
    }

    fn append(&self, records: &[ottla_groups::Record], now_ms: i64) -> Result<(i64, i64), ErrorCode> {
        let Some(partition) = &self.partition else { return Err(ErrorCode::NotCoordinator) };
        let mut batch = BatchBuilder::new(0).leader_epoch(self.leader_epoch);
        for record in records {
            batch.append(&NewRecord::new(now_ms, Some(&record.key), record.value.as_deref()));
        }
        let appended = partition.append_own(&batch.build(), self.leader_epoch, now_ms)?;
        Ok((appended.base_offset, appended.next_offset))
    }
}

impl GroupHost {
    pub(crate) fn new(config: Config) -> GroupHost {
        let mut nowhere = Shard::new(config.clone());
        nowhere.unload();
        let lines = Arc::new(LineBudget::new(LINES.0, LINES.1));
        GroupHost {
            config,
            shards: RwLock::default(),
            elsewhere: Arc::new(Hosted::new(None, -1, nowhere, lines.clone())),
            lines,
            next_tick_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        }
    }

    /// Takes over a partition of `__consumer_offsets` that this node leads from now on. Until [`GroupHost::load`] is
    /// through, clients are told that it is being loaded.
    pub(crate) fn lead(&self, index: i32, partition: Arc<Partition>, leader_epoch: i32) -> Loading {
        let shard = Shard::new(self.config.clone());
        let hosted = Arc::new(Hosted::new(Some(partition.clone()), leader_epoch, shard, self.lines.clone()));
        let before = self.shards.write().insert(index, hosted.clone());
        if let Some(before) = before {
            Self::unload(&before);
        }
        Loading { index, partition, hosted }
    }

    /// Reads a partition's log; blocks. Leaves off when the partition is given up meanwhile.
    pub(crate) fn load(&self, loading: &Loading) {
        let Loading { index, partition, hosted } = loading;
        let started = std::time::Instant::now();
        match self.replay(hosted, partition) {
            Ok(records) => {
                let now_ms = wall_ms();
                let mut inner = hosted.inner.lock();
                if inner.resigned {
                    return;
                }
                inner.shard.loaded(now_ms);
                hosted.settle(&mut inner, now_ms);
                let (groups, offsets) = inner.shard.size();
                let deadline = inner.shard.next_deadline();
                drop(inner);
                if records > 0 {
                    info!(
                        "[GroupCoordinator] finished loading of metadata from __consumer_offsets-{index} in {} ms: {records} records, {groups} groups, {offsets} offsets",
                        started.elapsed().as_millis()
                    );
                }
                self.schedule(deadline);
            }
            Err(error) => {
                error!(
                    "[GroupCoordinator] cannot load __consumer_offsets-{index}: {error}; its groups stay unserved until the partition is led anew"
                );
                let mut shards = self.shards.write();
                if shards.get(index).is_some_and(|now| Arc::ptr_eq(now, hosted)) {
                    shards.remove(index);
                }
                drop(shards);
                Self::unload(hosted);
            }
        }
    }

    /// Gives a partition up.
    pub(crate) fn resign(&self, index: i32) {
        let gone = self.shards.write().remove(&index);
        if let Some(hosted) = gone {
            Self::unload(&hosted);
        }
    }

    fn unload(hosted: &Hosted) {
        let mut inner = hosted.inner.lock();
        inner.resigned = true;
        inner.shard.unload();
        hosted.settle(&mut inner, wall_ms());
    }

    fn replay(&self, hosted: &Hosted, partition: &Partition) -> Result<usize, String> {
        let mut decompressor = Decompressor::new();
        let (mut offset, end) = partition.load_range();
        let mut records = 0;
        while offset < end {
            let bytes = partition.read_for_load(offset, LOAD_BYTES)?;
            let before = offset;
            let mut inner = hosted.inner.lock();
            if inner.resigned {
                return Ok(records);
            }
            for batch in BatchIter::verified(&bytes) {
                let batch = batch.map_err(|e| format!("after offset {offset}: {e}"))?;
                let header = *batch.header();
                if header.next_offset() <= offset {
                    continue;
                }
                let all = decompressor
                    .records(&batch, LOAD_BATCH_BYTES)
                    .map_err(|e| format!("offset {offset}: {e}"))?;
                for record in all {
                    let record =
                        record.map_err(|e| format!("batch at offset {}: {e}", header.base_offset))?;
                    if header.is_control() {
                        if let Ok(ControlRecord::EndTransaction { commit, .. }) =
                            ControlRecord::parse(&record)
                        {
                            inner.shard.replay_marker(header.producer_id, commit);
                        }
                        continue;
                    }
                    let Some(key) = record.key else {
                        warn!(
                            "[GroupCoordinator] a record without a key at offset {} is passed over",
                            record.offset
                        );
                        continue;
                    };
                    let producer_id = if header.is_transactional() { header.producer_id } else { -1 };
                    let logged = Logged { offset: record.offset, producer_id, key, value: record.value };
                    inner.shard.replay(logged).map_err(|e| format!("offset {}: {e}", record.offset))?;
                    records += 1;
                }
                offset = header.next_offset();
            }
            if offset == before {
                return Err(format!("no whole batch at offset {offset}"));
            }
        }
        Ok(records)
    }

    fn hosted(&self, partition: i32) -> Arc<Hosted> {
        self.shards.read().get(&partition).unwrap_or(&self.elsewhere).clone()
    }

    /// Hands a request to the shard of offsets partition `partition`. The answer is there at once, or comes later.
    pub(crate) fn ask(&self, partition: i32, client: Client<'_>, request: Request) -> Answer {
        let hosted = self.hosted(partition);
        let (sender, mut receiver) = oneshot::channel();
        let now_ms = wall_ms();
        let deadline = {
            let mut inner = hosted.inner.lock();
            inner.last_token += 1;
            let token = inner.last_token;
            inner.waiting.insert(token, sender);
            inner.shard.handle(now_ms, client, token, request);
            hosted.settle(&mut inner, now_ms);
            inner.shard.next_deadline()
        };
        self.schedule(deadline);
        match receiver.try_recv() {
            Ok(response) => Answer::Now(response),
            Err(_) => Answer::Later(receiver),
        }
    }

    /// The offsets partitions that are led here.
    pub(crate) fn led(&self) -> Vec<i32> {
        self.shards.read().keys().copied().collect()
    }

    /// Topics are gone: their offsets go too.
    pub(crate) fn topics_deleted(&self, topics: &[(&str, Uuid)]) {
        let shards: Vec<_> = self.shards.read().values().cloned().collect();
        for hosted in shards {
            let mut inner = hosted.inner.lock();
            inner.shard.topics_deleted(wall_ms(), topics);
            hosted.settle(&mut inner, wall_ms());
        }
    }

    fn schedule(&self, deadline_ms: Option<i64>) {
        if let Some(deadline_ms) = deadline_ms
            && deadline_ms < self.next_tick_ms.fetch_min(deadline_ms, Ordering::SeqCst)
        {
            self.earlier.notify_one();
        }
    }

    /// Wakes the shards when their timers run out, for ever.
    pub(crate) async fn run_timers(self: Arc<Self>) {
        loop {
            let wait_ms = self.next_tick_ms.load(Ordering::SeqCst).saturating_sub(wall_ms()).clamp(0, 60_000);
            tokio::select! {
                () = self.earlier.notified() => continue,
                () = tokio::time::sleep(Duration::from_millis(wait_ms as u64)) => {}
            }
            self.next_tick_ms.store(i64::MAX, Ordering::SeqCst);
            let shards: Vec<_> = self.shards.read().values().cloned().collect();
            for hosted in shards {
                let now_ms = wall_ms();
                let mut inner = hosted.inner.lock();
                if inner.shard.next_deadline().is_some_and(|deadline| deadline <= now_ms) {
                    inner.shard.tick(now_ms);
                    hosted.settle(&mut inner, now_ms);
                }
                let deadline = inner.shard.next_deadline();
                drop(inner);
                self.schedule(deadline);
            }
            debug!("group timers ran");
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
