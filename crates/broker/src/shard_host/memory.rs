//! A partition in memory, for the tests of the hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_protocol::ErrorCode;
use ottla_records::{Batch, BatchIter};
use parking_lot::Mutex;

use super::Journal;
use crate::partition::TransactionCheck;
use crate::wait::Waiters;

/// A partition in memory. Records are committed when the test says so.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) state: Mutex<State>,
    waiters: Waiters,
    /// Everything is committed after the next read.
    pub(crate) rises: AtomicBool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) bytes: Vec<u8>,
    end: i64,
    high_watermark: i64,
    pub(crate) epoch: i32,
    /// As with one replica: what is appended is committed.
    is_alone: bool,
}

impl Journal for Memory {
    fn append(
        self: Arc<Self>,
        batch: &[u8],
        epoch: i32,
        _now_ms: i64,
        _check: TransactionCheck,
    ) -> Result<(i64, i64), ErrorCode> {
        let mut state = self.state.lock();
        if state.epoch != epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let base = state.end;
        let count = Batch::parse(batch).unwrap().header().next_offset();
        state.bytes.extend_from_slice(&base.to_be_bytes());
        state.bytes.extend_from_slice(&batch[8..]);
        state.end += count;
        if state.is_alone {
            state.high_watermark = state.end;
        }
        Ok((base, state.end))
    }

    fn high_watermark(&self, leader_epoch: i32) -> Option<i64> {
        let state = self.state.lock();
        (state.epoch == leader_epoch).then_some(state.high_watermark)
    }

    fn range(&self) -> (i64, i64) {
        (0, self.state.lock().end)
    }

    /// As a partition's log: from the batch that holds `offset`, cut off at the size, the first batch whole.
    fn read(&self, offset: i64, max_bytes: usize) -> Result<Vec<u8>, String> {
        let state = self.state.lock();
        let mut from = 0;
        let mut first = 0;
        for batch in BatchIter::new(&state.bytes) {
            let batch = batch.unwrap();
            first = batch.size_in_bytes();
            if batch.header().next_offset() > offset {
                break;
            }
            from += first;
        }
        let to = (from + max_bytes.max(first)).min(state.bytes.len());
        let read = state.bytes[from..to].to_vec();
        let end = state.end;
        drop(state);
        if offset > 0 && self.rises.swap(false, Ordering::SeqCst) {
            self.commit_up_to(end);
        }
        Ok(read)
    }

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

impl Memory {
    /// An empty one that is led in `epoch`.
    pub(crate) fn led(epoch: i32, is_alone: bool) -> Arc<Memory> {
        let state = State { epoch, is_alone, ..State::default() };
        Arc::new(Memory { state: Mutex::new(state), ..Memory::default() })
    }

    pub(crate) fn commit_up_to(&self, offset: i64) {
        self.state.lock().high_watermark = offset;
        self.waiters.wake_all();
    }

    pub(crate) fn end(&self) -> i64 {
        self.state.lock().end
    }

    /// The same log on another node.
    pub(crate) fn copy(&self, epoch: i32) -> Arc<Memory> {
        let state = self.state.lock();
        let (bytes, end, high_watermark) = (state.bytes.clone(), state.end, state.high_watermark);
        let state = State { bytes, end, high_watermark, epoch, is_alone: false };
        Arc::new(Memory { state: Mutex::new(state), ..Memory::default() })
    }
}
