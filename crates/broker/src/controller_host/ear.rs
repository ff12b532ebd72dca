//! What the quorum tells: decoded on its thread, handed to the desk and to the follower.

use std::sync::{Arc, Weak, mpsc};

use bytes::Bytes;
use ottla_metadata::{Image, snapshot};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::wire::DecodeError;
use ottla_quorum::snapshots::SnapshotError;
use ottla_quorum::{Committed, Leadership, Listener, QuorumError, SnapshotReader};
use tracing::error;

use super::backlog::{Backlog, Room};
use super::desk::Event;
use super::follower::News;
use crate::node::Node;

/// A committed batch, understood.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) epoch: i32,
    pub(super) timestamp_ms: i64,
    /// Bytes in the log.
    pub(super) size: usize,
    /// Empty for raft's own batches.
    pub(super) records: Vec<MetadataRecord>,
    pub(super) _room: Room,
}

/// Where news goes.
pub(super) struct Ear {
    pub(super) desk: mpsc::Sender<Event>,
    pub(super) follower: mpsc::Sender<News>,
    pub(super) node: Weak<Node>,
    /// Set once something could not be understood: what comes after it has no meaning.
    pub(super) broken: bool,
    backlog: Arc<Backlog>,
}

impl Ear {
    pub(super) fn new(
        desk: mpsc::Sender<Event>,
        follower: mpsc::Sender<News>,
        node: Weak<Node>,
        backlog: Arc<Backlog>,
    ) -> Ear {
        Ear { desk, follower, node, broken: false, backlog }
    }

    fn give_up(&mut self, why: &str) {
        self.broken = true;
        if let Some(node) = self.node.upgrade() {
            node.fail(why);
        }
    }
}

/// Takes the records of a batch out of their frames; fails with the index of the one that is not understood.
pub(super) fn decode(values: &[Bytes]) -> Result<Vec<MetadataRecord>, (usize, DecodeError)> {
    let decode = |(index, value): (usize, &Bytes)| {
        MetadataRecord::decode_framed(value).map(|(record, _)| record).map_err(|error| (index, error))
    };
    values.iter().enumerate().map(decode).collect()
}

impl Listener for Ear {
    fn load_snapshot(
        &mut self,
        end_offset: i64,
        epoch: i32,
        snapshot: &mut SnapshotReader,
    ) -> Result<(), SnapshotError> {
        let timestamp_ms = snapshot.header().last_contained_timestamp;
        let mut reader = snapshot::Reader::default();
        let refuse = |detail: &dyn std::fmt::Display| {
            let id = ottla_raft::SnapshotId { end_offset, epoch };
            let path = ottla_quorum::snapshots::file_name(id).into();
            error!("snapshot {}: {detail}", ottla_quorum::snapshots::file_name(id));
            SnapshotError::Malformed { path, position: 0, why: "a record in it is not understood" }
        };
        while let Some(batch) = snapshot.next_batch()? {
            for value in &batch.values {
                let (record, _) = MetadataRecord::decode_framed(value).map_err(|error| refuse(&error))?;
                reader.record(&record).map_err(|error| refuse(&error))?;
            }
        }
        let image: Image = reader.finish(end_offset - 1, epoch, timestamp_ms);
        self.broken = false;
        // Both end only after the quorum, so somebody always listens.
        let _ = self.desk.send(Event::Snapshot(image.clone()));
        let _ = self.follower.send(News::Snapshot(image));
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        self.backlog.has_room()
    }

    fn commit(&mut self, batch: Committed) {
        if self.broken {
            return;
        }
        let records = match decode(&batch.values) {
            Ok(records) => records,
            Err((index, error)) => {
                let offset = batch.base_offset + index as i64;
                return self
                    .give_up(&format!("the metadata record at offset {offset} is not understood: {error}"));
            }
        };
        let batch = Arc::new(Batch {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            epoch: batch.epoch,
            timestamp_ms: batch.timestamp,
            size: batch.size,
            records,
            _room: self.backlog.take(batch.size),
        });
        let _ = self.desk.send(Event::Committed(batch.clone()));
        let _ = self.follower.send(News::Committed(batch));
    }

    fn leadership(&mut self, leadership: Leadership) {
        let _ = self.desk.send(Event::Leadership(leadership));
    }

    fn failed(&mut self, error: &QuorumError) {
        self.give_up(&format!("the metadata quorum failed: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::metadata_records::{FeatureLevelRecord, NoOpRecord};

    #[test]
    fn batches_are_decoded_whole_or_not_at_all() {
        let noop = MetadataRecord::from(NoOpRecord::default());
        let level = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
        let level = MetadataRecord::from(level);
        let framed = |record: &MetadataRecord| Bytes::from(record.encode_framed(0).unwrap());
        let values = [framed(&noop), framed(&level)];
        assert_eq!(decode(&values).unwrap(), [noop, level]);
        let values = [values[0].clone(), Bytes::from_static(&[1, 99, 0, 0])];
        assert_eq!(decode(&values).unwrap_err().0, 1, "the second one");
    }
}
