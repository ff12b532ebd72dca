//! One shard on the partition that it coordinates: its keeper does the work, its answers are handed to whoever waits.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_groups::{Keeper, Response, Said, Token};
use ottla_protocol::ErrorCode;
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
    pub(super) keeper: Keeper,
    pub(super) waiting: HashMap<Token, oneshot::Sender<Response>>,
    pub(super) last_token: Token,
    /// Somebody tells the shard when the high watermark moves.
    pub(super) is_followed: bool,
    /// Set once the partition is given up: what is read of its log counts no more.
    pub(super) resigned: bool,
}

/// The partition as the keeper writes to it.
struct Led(Arc<dyn Journal>);

impl ottla_groups::Journal for Led {
    fn append(&mut self, batch: &[u8], leader_epoch: i32, wall_ms: i64) -> Result<(i64, i64), ErrorCode> {
        self.0.clone().append(batch, leader_epoch, wall_ms)
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<i64> {
        self.0.high_watermark(leader_epoch)
    }
}

impl Hosted {
    pub(super) fn new(
        partition: Option<Arc<dyn Journal>>,
        keeper: Keeper,
        lines: Arc<LineBudget>,
        behind: mpsc::UnboundedSender<Arc<Hosted>>,
    ) -> Arc<Hosted> {
        let inner =
            Inner { keeper, waiting: HashMap::new(), last_token: 0, is_followed: false, resigned: false };
        Arc::new(Hosted { partition, lines, behind, inner: Mutex::new(inner) })
    }

    /// Does what the shard wants done, in its order.
    pub(super) fn settle(self: &Arc<Self>, inner: &mut Inner, now: Now) {
        let Inner { keeper, waiting, .. } = inner;
        let mut led = self.partition.clone().map(Led);
        let journal = led.as_mut().map(|led| led as &mut dyn ottla_groups::Journal);
        keeper.settle(journal, now, &mut |said| match said {
            Said::Reply { token, response } => {
                if let Some(waiting) = waiting.remove(&token) {
                    // The client may have left: then nobody needs the answer.
                    let _ = waiting.send(response);
                }
            }
            Said::Notice(notice) => {
                if let Some(leave) = self.lines.spend(now.running_ms) {
                    info!("[GroupCoordinator] {}{leave}", tame(&notice.to_string()));
                }
            }
        });
        if inner.keeper.waits() && !inner.is_followed {
            inner.is_followed = true;
            // Nobody listens any more when the node stops; then the partition is given up next.
            let _ = self.behind.send(self.clone());
        }
    }

    /// The partition is given up: everyone who waits is told so.
    pub(super) fn unload(self: &Arc<Self>, now: Now) {
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
