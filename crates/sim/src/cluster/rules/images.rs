//! 11: every node's image at one offset is the same, whether it came from records or from a snapshot.

use std::collections::BTreeMap;

use ottla_metadata::{Delta, Image, Loader};

use super::hold;
use crate::cluster::ear::Batch;

/// The committed metadata, as records alone give it.
#[derive(Default)]
pub struct Images {
    loader: Loader,
    at: BTreeMap<i64, Image>,
}

impl Images {
    /// A batch was committed; what it changes, if nobody had it before.
    pub fn batch(&mut self, batch: &Batch) -> Vec<Delta> {
        if batch.base_offset != self.loader.last_offset() + 1 {
            return Vec::new();
        }
        if batch.records.is_empty() {
            self.loader.skip(batch.last_offset, batch.epoch, batch.timestamp_ms);
        } else {
            let (base, epoch, at) = (batch.base_offset, batch.epoch, batch.timestamp_ms);
            let loaded = self.loader.batch(base, epoch, at, &batch.records);
            hold!(11, loaded.is_ok(), "the batch at {base} cannot be replayed: {loaded:?}");
        }
        let deltas = self.loader.publish();
        for delta in &deltas {
            self.at.insert(delta.after().provenance.offset, delta.after().clone());
        }
        deltas
    }

    /// A node shows this image.
    pub fn shown(&self, node: usize, image: &Image) {
        let offset = image.provenance.offset;
        if let Some(known) = self.at.get(&offset) {
            hold!(11, known == image, "node {} shows another image at {offset}", node + 1);
        }
    }

    /// The newest.
    pub fn newest(&self) -> &Image {
        self.loader.image()
    }
}
