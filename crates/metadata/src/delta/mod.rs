//! Replaying records, and what they changed.
//!
//! [`replay`] applies one record to an image and notes what it touched. A [`Delta`] pairs the image before with the
//! image after; a [`Loader`] cuts the committed log into deltas that respect metadata transactions (KIP-868).

mod changes;
mod loader;
mod replay;

pub use changes::{Changes, LocalChanges, LocalPartition, PartitionChange, TopicChange};
pub use loader::{LoadError, Loader};
pub use replay::replay;

use ottla_protocol::metadata_records::MetadataRecord;

use crate::error::MetadataError;
use crate::image::{Image, Provenance};

/// A change of the metadata: the image before, the image after, and what differs.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    before: Image,
    after: Image,
    changes: Changes,
}

impl Delta {
    /// An empty change of `image`.
    pub fn new(image: Image) -> Delta {
        Delta { after: image.clone(), before: image, changes: Changes::default() }
    }

    /// The change from one image to any other, found by comparing them: what loading a snapshot means for those
    /// who follow the metadata.
    pub fn between(before: Image, after: Image) -> Delta {
        let changes = Changes::between(&before, &after);
        Delta { before, after, changes }
    }

    /// Replays one record.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), MetadataError> {
        replay(&mut self.after, record, &mut self.changes)
    }

    /// The image the records are replayed on.
    pub fn before(&self) -> &Image {
        &self.before
    }

    /// The image with all records replayed.
    pub fn after(&self) -> &Image {
        &self.after
    }

    /// What differs between the two.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// True if no record touched anything.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Sets where in the log the image after stands.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.after.provenance = provenance;
    }

    /// The partitions that differ, in the order of topic ids and indices.
    pub fn partition_changes(&self) -> impl Iterator<Item = PartitionChange<'_>> + '_ {
        self.changes.partitions(&self.before, &self.after)
    }

    /// What the change means for the replicas of one broker.
    pub fn local_changes(&self, broker: i32) -> LocalChanges {
        changes::local(self, broker)
    }
}
