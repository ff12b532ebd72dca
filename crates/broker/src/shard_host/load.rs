//! Reading a partition of a coordinator's topic when this node becomes its leader (Kafka's `CoordinatorLoaderImpl`).
//!
//! The log is read to its end. What is below the high watermark is committed; what is above it will be, now that this
//! node leads, but not yet.

use std::sync::Arc;

use ottla_records::Decompressor;
use tracing::{error, info, warn};

use super::hosted::Hosted;
use super::journal::Journal;
use super::{Host, Kept, Loading};

/// Bytes of the log that are read at once while a shard is loaded.
const LOAD_BYTES: usize = if cfg!(test) { 500 } else { 4 * 1024 * 1024 };

impl<K: Kept> Host<K> {
    /// Reads a partition's log; blocks. Leaves off when the partition is given up meanwhile.
    pub(crate) fn load(&self, loading: &Loading<K>) {
        let Loading { index, partition, hosted } = loading;
        let started = std::time::Instant::now();
        match replay(hosted, &**partition) {
            Ok(records) => {
                let now = self.clock.now();
                let mut inner = hosted.inner.lock();
                if inner.resigned {
                    return;
                }
                inner.keeper.loaded(now);
                hosted.settle(&mut inner, now);
                let holds = inner.keeper.holds();
                let (deadline, keyless) = (inner.keeper.next_deadline(), inner.keeper.keyless());
                drop(inner);
                if keyless > 0 {
                    warn!(
                        "[{}] {keyless} records without a key are passed over in {}-{index}",
                        K::NAME,
                        K::TOPIC
                    );
                }
                if records > 0 {
                    info!(
                        "[{}] finished loading of metadata from {}-{index} in {} ms: {records} records, {holds}",
                        K::NAME,
                        K::TOPIC,
                        started.elapsed().as_millis()
                    );
                }
                self.schedule(deadline);
            }
            Err(error) => {
                error!(
                    "[{}] cannot load {}-{index}: {error}; it stays unserved until the partition is led anew",
                    K::NAME,
                    K::TOPIC
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

fn replay<K: Kept>(hosted: &Hosted<K>, partition: &dyn Journal) -> Result<usize, String> {
    let mut decompressor = Decompressor::new();
    let (mut offset, end) = partition.range();
    let mut records = 0;
    while offset < end {
        let bytes = partition.read(offset, LOAD_BYTES)?;
        let mut inner = hosted.inner.lock();
        if inner.resigned {
            return Ok(records);
        }
        let high_watermark = partition.high_watermark(inner.keeper.leader_epoch());
        let read = inner.keeper.read(&mut decompressor, &bytes, offset, high_watermark);
        let (count, next) = read?;
        records += count;
        offset = next;
    }
    Ok(records)
}
