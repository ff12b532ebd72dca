//! Reading a partition of `__consumer_offsets` when this node becomes its leader (Kafka's `CoordinatorLoaderImpl`).
//!
//! The log is read to its end. What is below the high watermark is committed; what is above it will be, now that this
//! node leads, but not yet: its offsets show when the high watermark has passed them.

use std::sync::Arc;

use ottla_groups::Logged;
use ottla_records::{Batch, BatchIter, ControlRecord, Decompressor};
use tracing::{error, info, warn};

use super::hosted::{Hosted, Inner, Uncommitted};
use super::journal::Journal;
use super::{GroupHost, Loading};

/// Bytes of the log that are read at once while a shard is loaded.
const LOAD_BYTES: usize = if cfg!(test) { 500 } else { 4 * 1024 * 1024 };
/// What one record batch of coordinator records may become when it is decompressed.
const LOAD_BATCH_BYTES: usize = 256 * 1024 * 1024;

impl GroupHost {
    /// Reads a partition's log; blocks. Leaves off when the partition is given up meanwhile.
    pub(crate) fn load(&self, loading: &Loading) {
        let Loading { index, partition, hosted } = loading;
        let started = std::time::Instant::now();
        match replay(hosted, &**partition) {
            Ok(records) => {
                let now = self.clock.now();
                let mut inner = hosted.inner.lock();
                if inner.resigned {
                    return;
                }
                inner.shard_at(now).loaded(now.running_ms);
                hosted.settle(&mut inner, now);
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
                hosted.unload(self.clock.now());
            }
        }
    }
}

fn replay(hosted: &Hosted, partition: &dyn Journal) -> Result<usize, String> {
    let mut decompressor = Decompressor::new();
    let (mut offset, end) = partition.range();
    let mut records = 0;
    while offset < end {
        let bytes = partition.read(offset, LOAD_BYTES)?;
        let before = offset;
        let mut inner = hosted.inner.lock();
        if inner.resigned {
            return Ok(records);
        }
        for batch in BatchIter::verified(&bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                // The size asked for cut it off: the next read begins with it.
                Err(e) if e.error.is_torn() && offset > before => break,
                Err(e) => return Err(format!("after offset {offset}: {e}")),
            };
            if batch.header().next_offset() <= offset {
                continue;
            }
            // When the lead is lost just now, nothing counts as committed.
            let high_watermark = partition.high_watermark(inner.leader_epoch).unwrap_or(-1);
            records += replay_batch(&mut inner, &mut decompressor, &batch, high_watermark)?;
            offset = batch.header().next_offset();
        }
        if offset == before {
            return Err(format!("no whole batch at offset {offset}"));
        }
    }
    Ok(records)
}

/// Takes in the records of one batch; gives back how many they are.
fn replay_batch(
    inner: &mut Inner,
    decompressor: &mut Decompressor,
    batch: &Batch<'_>,
    high_watermark: i64,
) -> Result<usize, String> {
    let header = *batch.header();
    let (base_offset, end_offset) = (header.base_offset, header.next_offset());
    let is_committed = end_offset <= high_watermark;
    let id = (!is_committed && !header.is_control()).then(|| {
        let id = inner.shard.begin_uncommitted();
        inner.uncommitted.push_back(Uncommitted { id, base_offset, end_offset });
        id
    });
    let mut records = 0;
    let all =
        decompressor.records(batch, LOAD_BATCH_BYTES).map_err(|e| format!("offset {base_offset}: {e}"))?;
    for record in all {
        let record = record.map_err(|e| format!("batch at offset {base_offset}: {e}"))?;
        if header.is_control() {
            if let Ok(ControlRecord::EndTransaction { commit, .. }) = ControlRecord::parse(&record) {
                inner.shard.replay_marker(header.producer_id, commit);
            }
            continue;
        }
        let Some(key) = record.key else {
            warn!("[GroupCoordinator] a record without a key at offset {} is passed over", record.offset);
            continue;
        };
        let producer_id = if header.is_transactional() { header.producer_id } else { -1 };
        let logged = Logged { offset: record.offset, producer_id, key, value: record.value };
        let taken = match id {
            Some(id) => inner.shard.replay_uncommitted(id, base_offset, logged),
            None => inner.shard.replay(logged),
        };
        taken.map_err(|e| format!("offset {}: {e}", record.offset))?;
        records += 1;
    }
    Ok(records)
}
