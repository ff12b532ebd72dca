//! What a node's quorum tells and sends, put down in order and taken up after the step.

use std::sync::Arc;

use ottla_metadata::{Image, snapshot};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_quorum::snapshots::SnapshotError;
use ottla_quorum::{Committed, Leadership, Listener, SnapshotReader, Transport};
use ottla_raft::{Destination, Request, Response};
use parking_lot::Mutex;

/// What a replica said during one step.
#[derive(Debug)]
pub enum Said {
    Request {
        to: Destination,
        correlation: u64,
        request: Request,
    },
    Answer {
        ticket: u64,
        response: Response,
    },
    Committed(Batch),
    Loaded(Box<Image>),
    Leadership(Leadership),
    /// A proposal of this epoch was not appended, or its fate is not known.
    Refused {
        epoch: i32,
    },
}

/// A committed batch, understood.
#[derive(Debug)]
pub struct Batch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub epoch: i32,
    pub timestamp_ms: i64,
    /// Empty for raft's own batches.
    pub records: Vec<MetadataRecord>,
}

/// Where everything that a replica says is put down.
pub type Outbox = Arc<Mutex<Vec<Said>>>;

/// The listener of one node.
#[derive(Debug)]
pub struct Ear(pub Outbox);

impl Listener for Ear {
    fn load_snapshot(
        &mut self,
        end_offset: i64,
        epoch: i32,
        snapshot: &mut SnapshotReader,
    ) -> Result<(), SnapshotError> {
        let timestamp_ms = snapshot.header().last_contained_timestamp;
        let mut reader = snapshot::Reader::default();
        while let Some(batch) = snapshot.next_batch()? {
            for value in &batch.values {
                let (record, _) = MetadataRecord::decode_framed(value).expect("SIM: a record of ours");
                reader.record(&record).expect("SIM: a snapshot of ours can be replayed");
            }
        }
        let image = reader.finish(end_offset - 1, epoch, timestamp_ms);
        self.0.lock().push(Said::Loaded(Box::new(image)));
        Ok(())
    }

    fn commit(&mut self, batch: Committed) {
        let decode = |value| MetadataRecord::decode_framed(value).expect("SIM: a record of ours").0;
        let records = batch.values.iter().map(|value| decode(value)).collect();
        self.0.lock().push(Said::Committed(Batch {
            base_offset: batch.base_offset,
            last_offset: batch.last_offset,
            epoch: batch.epoch,
            timestamp_ms: batch.timestamp,
            records,
        }));
    }

    fn leadership(&mut self, leadership: Leadership) {
        self.0.lock().push(Said::Leadership(leadership));
    }
}

/// The way out of one node.
#[derive(Debug)]
pub struct Wire(pub Outbox);

impl Transport for Wire {
    fn send(&mut self, to: Destination, correlation: u64, request: Request) {
        self.0.lock().push(Said::Request { to, correlation, request });
    }
}
