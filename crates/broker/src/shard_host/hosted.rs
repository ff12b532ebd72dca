//! One shard on the partition that has its log: its keeper does the work, its answers are handed to whoever waits.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_records::Moment;
use ottla_records::coordinator::Token;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::journal::Journal;
use super::{Kept, Said};
use crate::line_budget::{LineBudget, tame};

/// The ways out of a shard: lines for the log, shards that wait for the high watermark, errands.
pub(super) type Ways<K> = (
    Arc<LineBudget>,
    mpsc::UnboundedSender<Arc<Hosted<K>>>,
    mpsc::UnboundedSender<(i32, <K as Kept>::Errand)>,
);

/// One shard and what it needs of the outside.
pub(super) struct Hosted<K: Kept> {
    index: i32,
    /// `None` for the shard that answers for partitions that are led elsewhere.
    pub(super) partition: Option<Arc<dyn Journal>>,
    ways: Ways<K>,
    pub(super) inner: Mutex<Inner<K>>,
}

pub(super) struct Inner<K: Kept> {
    pub(super) keeper: K,
    pub(super) waiting: HashMap<Token, oneshot::Sender<K::Response>>,
    pub(super) last_token: Token,
    /// Somebody tells the shard when the high watermark moves.
    pub(super) is_followed: bool,
    /// Set once the partition is given up: what is read of its log counts no more.
    pub(super) resigned: bool,
}

impl<K: Kept> Hosted<K> {
    pub(super) fn new(
        index: i32,
        partition: Option<Arc<dyn Journal>>,
        keeper: K,
        ways: Ways<K>,
    ) -> Arc<Hosted<K>> {
        let inner =
            Inner { keeper, waiting: HashMap::new(), last_token: 0, is_followed: false, resigned: false };
        Arc::new(Hosted { index, partition, ways, inner: Mutex::new(inner) })
    }

    /// Does what the shard wants done, in its order.
    pub(super) fn settle(self: &Arc<Self>, inner: &mut Inner<K>, now: Moment) {
        let Inner { keeper, waiting, .. } = inner;
        let (lines, behind, errands) = &self.ways;
        keeper.settle(self.partition.clone(), now, &mut |said| match said {
            Said::Reply(token, response) => {
                if let Some(waiting) = waiting.remove(&token) {
                    // The client may have left: then nobody needs the answer.
                    let _ = waiting.send(response);
                }
            }
            Said::Line(line) => {
                if let Some(leave) = lines.spend(now.running_ms) {
                    info!("[{}] {}{leave}", K::NAME, tame(&line));
                }
            }
            // Nobody listens any more when the node stops; then the partition is given up next.
            Said::Errand(errand) => drop(errands.send((self.index, errand))),
        });
        if inner.keeper.waits() && !inner.is_followed {
            inner.is_followed = true;
            let _ = behind.send(self.clone());
        }
    }

    /// The partition is given up: everyone who waits is told so.
    pub(super) fn unload(self: &Arc<Self>, now: Moment) {
        let mut inner = self.inner.lock();
        inner.resigned = true;
        inner.keeper.unload(now);
        self.settle(&mut inner, now);
        drop(inner);
        if let Some(partition) = &self.partition {
            // Whoever follows the high watermark for this shard is to look, and leave off.
            partition.waiters().wake_all();
        }
    }
}
