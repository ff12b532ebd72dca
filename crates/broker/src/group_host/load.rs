//! Reading a partition of `__consumer_offsets` when this node becomes its leader (Kafka's `CoordinatorLoaderImpl`).
//!
//! The log is read to its end. What is below the high watermark is committed; what is above it will be, now that this
//! node leads, but not yet: its offsets show when the high watermark has passed them.

use std::sync::Arc;

use ottla_records::Decompressor;
use tracing::{error, info, warn};

use super::hosted::Hosted;
use super::journal::Journal;
use super::{GroupHost, Loading};

/// Bytes of the log that are read at once while a shard is loaded.
const LOAD_BYTES: usize = if cfg!(test) { 500 } else { 4 * 1024 * 1024 };

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
                inner.keeper.loaded(now);
                hosted.settle(&mut inner, now);
                let (groups, offsets) = inner.keeper.size();
                let (deadline, keyless) = (inner.keeper.next_deadline(), inner.keeper.keyless());
                drop(inner);
                if keyless > 0 {
                    warn!(
                        "[GroupCoordinator] {keyless} records without a key are passed over in __consumer_offsets-{index}"
                    );
                }
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
        let mut inner = hosted.inner.lock();
        if inner.resigned {
            return Ok(records);
        }
        let high_watermark = partition.high_watermark(inner.keeper.leader_epoch());
        let read = inner.keeper.read(&mut decompressor, &bytes, offset, high_watermark);
        let (count, next) = read.map_err(|error| error.to_string())?;
        records += count;
        offset = next;
    }
    Ok(records)
}
