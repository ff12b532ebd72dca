//! One shard on the partition that it coordinates: appends what it wants appended, tells it what is committed, hands out
//! its answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ottla_groups::{AppendId, Effect, Record, Response, Shard, Token};
use ottla_protocol::ErrorCode;
use ottla_records::{BatchBuilder, NewRecord};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::clock::Now;
use super::journal::Journal;
use crate::line_budget::{LineBudget, tame};

/// One shard and what it needs of the outside.
pub(super) struct Hosted {
    /// `None` for the shard that answers for partitions that are led elsewhere.
    pub(super) partition: Option<Arc<dyn Journal>>,
    pub(super) lines: Arc<LineBudget>,
    /// Where a shard goes whose appends wait for the high watermark.
    pub(super) behind: mpsc::UnboundedSender<Arc<Hosted>>,
    pub(super) inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) shard: Shard,
    /// The epoch in which the partition is led here.
    pub(super) leader_epoch: i32,
    pub(super) waiting: HashMap<Token, oneshot::Sender<Response>>,
    pub(super) last_token: Token,
    /// Appends that are in the log but not yet below the high watermark.
    pub(super) uncommitted: VecDeque<Uncommitted>,
    /// Somebody tells the shard when the high watermark moves.
    pub(super) is_followed: bool,
    /// Set once the partition is given up: what is read of its log counts no more.
    pub(super) resigned: bool,
}

/// An append on its way to being committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uncommitted {
    pub(super) id: AppendId,
    pub(super) base_offset: i64,
    /// The high watermark that commits it.
    pub(super) end_offset: i64,
}

impl Inner {
    /// Sets the shard's clock. Every call into the shard comes after one of these.
    pub(super) fn shard_at(&mut self, now: Now) -> &mut Shard {
        self.shard.set_wall_clock(now.running_ms, now.wall_ms);
        &mut self.shard
    }
}

impl Hosted {
    pub(super) fn new(
        partition: Option<Arc<dyn Journal>>,
        leader_epoch: i32,
        shard: Shard,
        lines: Arc<LineBudget>,
        behind: mpsc::UnboundedSender<Arc<Hosted>>,
    ) -> Arc<Hosted> {
        let inner = Inner {
            shard,
            leader_epoch,
            waiting: HashMap::new(),
            last_token: 0,
            uncommitted: VecDeque::new(),
            is_followed: false,
            resigned: false,
        };
        Arc::new(Hosted { partition, lines, behind, inner: Mutex::new(inner) })
    }

    /// Does what the shard wants done, in its order.
    pub(super) fn settle(self: &Arc<Self>, inner: &mut Inner, now: Now) {
        self.commit(inner, now);
        while let Some(effect) = inner.shard.poll_effect() {
            match effect {
                Effect::Append(append) => match self.append(&append.records, inner.leader_epoch, now) {
                    Ok((base_offset, end_offset)) => {
                        inner.uncommitted.push_back(Uncommitted { id: append.id, base_offset, end_offset });
                        self.commit(inner, now);
                    }
                    Err(error) => inner.shard_at(now).appended(now.running_ms, append.id, Err(error)),
                },
                Effect::Reply { token, response } => {
                    if let Some(waiting) = inner.waiting.remove(&token) {
                        // The client may have left: then nobody needs the answer.
                        let _ = waiting.send(response);
                    }
                }
                Effect::Notice(notice) => {
                    if let Some(leave) = self.lines.spend(now.running_ms) {
                        info!("[GroupCoordinator] {}{leave}", tame(&notice.to_string()));
                    }
                }
            }
        }
        if !inner.uncommitted.is_empty() && !inner.is_followed {
            inner.is_followed = true;
            // Nobody listens any more when the node stops; then the partition is given up next.
            let _ = self.behind.send(self.clone());
        }
    }

    /// Tells the shard of appends that the high watermark has passed.
    fn commit(&self, inner: &mut Inner, now: Now) {
        let Some(partition) = &self.partition else { return };
        if inner.uncommitted.is_empty() {
            return;
        }
        // Once another epoch has begun the high watermark may count records that others wrote in the place of ours.
        let Some(high_watermark) = partition.high_watermark(inner.leader_epoch) else { return };
        while let Some(&Uncommitted { id, base_offset, end_offset }) = inner.uncommitted.front() {
            if end_offset > high_watermark {
                return;
            }
            inner.uncommitted.pop_front();
            inner.shard_at(now).appended(now.running_ms, id, Ok(base_offset));
        }
    }

    fn append(&self, records: &[Record], leader_epoch: i32, now: Now) -> Result<(i64, i64), ErrorCode> {
        let Some(partition) = &self.partition else { return Err(ErrorCode::NotCoordinator) };
        let mut batch = BatchBuilder::new(0).leader_epoch(leader_epoch);
        for record in records {
            batch.append(&NewRecord::new(now.wall_ms, Some(&record.key), record.value.as_deref()));
        }
        partition.clone().append(&batch.build(), leader_epoch, now.wall_ms)
    }

    /// The partition is given up: everyone who waits is told so.
    pub(super) fn unload(self: &Arc<Self>, now: Now) {
        let mut inner = self.inner.lock();
        inner.resigned = true;
        inner.uncommitted.clear();
        inner.shard_at(now).unload();
        self.settle(&mut inner, now);
        drop(inner);
        if let Some(partition) = &self.partition {
            // Whoever follows the high watermark for this shard is to look, and leave off.
            partition.waiters().wake_all();
        }
    }
}
