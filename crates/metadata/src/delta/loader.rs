//! The committed log as a series of deltas.

use ottla_protocol::metadata_records::MetadataRecord;

use super::Delta;
use crate::error::MetadataError;
use crate::image::{Image, Provenance};

/// A committed record that could not be replayed. The image stays as it was before that record, and this node must
/// not go on: it would follow a different cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot replay the metadata record at offset {offset}: {source}")]
pub struct LoadError {
    /// Offset of the record.
    pub offset: i64,
    /// What is wrong with it.
    #[source]
    pub source: MetadataError,
}

/// Turns committed batches into deltas, holding back what a metadata transaction has not ended (KIP-868).
#[derive(Debug, Clone, Default)]
pub struct Loader {
    /// Complete changes that were cut off by the begin of a transaction.
    ready: Vec<Delta>,
    /// Changes since then; inside a transaction everything since its begin.
    open: Delta,
    in_transaction: bool,
    last: Provenance,
}

impl Loader {
    /// A loader that goes on from an image.
    pub fn new(image: Image) -> Loader {
        Loader { ready: Vec::new(), last: image.provenance, open: Delta::new(image), in_transaction: false }
    }

    /// The image of everything published or ready to be: without an open transaction.
    pub fn image(&self) -> &Image {
        if self.in_transaction { self.open.before() } else { self.open.after() }
    }

    /// Offset of the last record seen; -1 for none.
    pub fn last_offset(&self) -> i64 {
        self.last.offset
    }

    /// Takes in one committed batch: the offset of its first record, the leader epoch it was written in, its append
    /// time in milliseconds.
    pub fn batch(
        &mut self,
        base_offset: i64,
        epoch: i32,
        timestamp_ms: i64,
        records: &[MetadataRecord],
    ) -> Result<(), LoadError> {
        for (offset, record) in (base_offset..).zip(records) {
            self.record(offset, record).map_err(|source| LoadError { offset, source })?;
            self.last = Provenance { offset, epoch, timestamp_ms, batch_aligned: false };
        }
        self.last.batch_aligned = true;
        Ok(())
    }

    /// Takes in a control batch or any other batch without metadata records: only the position moves.
    pub fn skip(&mut self, last_offset: i64, epoch: i32, timestamp_ms: i64) {
        self.last = Provenance { offset: last_offset, epoch, timestamp_ms, batch_aligned: true };
    }

    fn record(&mut self, _offset: i64, record: &MetadataRecord) -> Result<(), MetadataError> {
        match record {
            MetadataRecord::BeginTransactionRecord(_) => {
                self.expect_transaction(false, "BeginTransactionRecord")?;
                self.cut();
                self.in_transaction = true;
            }
            MetadataRecord::EndTransactionRecord(_) => {
                self.expect_transaction(true, "EndTransactionRecord")?;
                self.in_transaction = false;
            }
            MetadataRecord::AbortTransactionRecord(_) => {
                self.expect_transaction(true, "AbortTransactionRecord")?;
                self.in_transaction = false;
                self.open = Delta::new(self.open.before().clone());
            }
            record => self.open.replay(record)?,
        }
        Ok(())
    }

    fn expect_transaction(&self, open: bool, record: &'static str) -> Result<(), MetadataError> {
        if self.in_transaction == open {
            return Ok(());
        }
        Err(MetadataError::Transaction { record, open: self.in_transaction })
    }

    /// Ends the open delta at the last record seen and starts the next.
    fn cut(&mut self) {
        self.open.set_provenance(self.last);
        let next = Delta::new(self.open.after().clone());
        let done = std::mem::replace(&mut self.open, next);
        if done.after().provenance != done.before().provenance {
            self.ready.push(done);
        }
    }

    /// Every complete change since the last call, in order. Each delta's image after is the next one's before.
    /// What an open transaction did is not among them.
    pub fn publish(&mut self) -> Vec<Delta> {
        if !self.in_transaction {
            self.cut();
        }
        std::mem::take(&mut self.ready)
    }

    /// Replaces everything by a snapshot's image (see [`crate::snapshot::read`]) and gives the change that means.
    pub fn load_snapshot(&mut self, image: Image) -> Delta {
        let before = self.image().clone();
        *self = Loader::new(image.clone());
        Delta::between(before, image)
    }
}
