//! A partition as the coordinator uses it whose shard has its log there.

use std::sync::Arc;

use ottla_protocol::ErrorCode;

use crate::partition::{Partition, TransactionCheck};
use crate::wait::Waiters;

/// A partition that this node leads, as a shard's log.
pub(crate) trait Journal: Send + Sync {
    /// Appends a batch if the partition is led here in `leader_epoch`: its first offset and the one behind it. `check` is
    /// for batches of transactions.
    fn append(
        self: Arc<Self>,
        batch: &[u8],
        leader_epoch: i32,
        now_ms: i64,
        check: TransactionCheck,
    ) -> Result<(i64, i64), ErrorCode>;

    /// The offset below which everything is committed; `None` when the partition is not led here in `leader_epoch`
    /// (any more), and what was appended in that epoch may have been replaced.
    fn high_watermark(&self, leader_epoch: i32) -> Option<i64>;

    /// Where the log begins and ends.
    fn range(&self) -> (i64, i64);

    /// Batches from `offset` on, up to the log's end: at least one whole one, and the last may be cut off by the size.
    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, String>;

    /// Woken when the high watermark moves, and when the partition's leader changes.
    fn waiters(&self) -> &Waiters;
}

impl Journal for Partition {
    fn append(
        self: Arc<Self>,
        batch: &[u8],
        leader_epoch: i32,
        now_ms: i64,
        check: TransactionCheck,
    ) -> Result<(i64, i64), ErrorCode> {
        let appended = self.append_own(batch, Some(leader_epoch), now_ms, check)?;
        Ok((appended.base_offset, appended.next_offset))
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<i64> {
        self.high_watermark_of(leader_epoch)
    }

    fn range(&self) -> (i64, i64) {
        self.load_range()
    }

    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, String> {
        self.read_for_load(offset, max_bytes)
    }

    fn waiters(&self) -> &Waiters {
        Partition::waiters(self)
    }
}
