//! Walking over batches that lie back to back, as in a segment file or a fetch response.

use super::{Batch, BatchError};

/// Where and why a walk over batches ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {error}")]
pub struct BatchIterError {
    /// Start of the offending batch, counted from the start of the run.
    pub position: usize,
    /// What is wrong with it.
    #[source]
    pub error: BatchError,
}

/// Walks over magic 2 batches that lie back to back; ends at the end of the bytes or after the first error.
#[derive(Debug, Clone)]
pub struct BatchIter<'a> {
    bytes: &'a [u8],
    position: usize,
    verify: bool,
    failed: bool,
}

impl<'a> BatchIter<'a> {
    /// Checks lengths and magic only.
    pub fn new(bytes: &'a [u8]) -> BatchIter<'a> {
        BatchIter { bytes, position: 0, verify: false, failed: false }
    }

    /// Checks every batch with [`Batch::verify`] before it is handed out.
    pub fn verified(bytes: &'a [u8]) -> BatchIter<'a> {
        BatchIter { verify: true, ..BatchIter::new(bytes) }
    }

    /// Bytes walked over so far: the end of the last sound batch.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<Batch<'a>, BatchIterError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.position..];
        if rest.is_empty() || self.failed {
            return None;
        }
        let batch = Batch::parse(rest).and_then(|batch| {
            if self.verify {
                batch.verify()?;
            }
            Ok(batch)
        });
        match batch {
            Ok(batch) => {
                self.position += batch.size_in_bytes();
                Some(Ok(batch))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(BatchIterError { position: self.position, error }))
            }
        }
    }
}
