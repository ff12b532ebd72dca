//! A batch from its first record to its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use ottla_records::ids::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};
use ottla_records::{BatchBuilder, Compressor, crc};
use parking_lot::Mutex;

use super::ProducerError;

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset; −1 when the broker was not asked for it (`acks=0`), or has it for a retried batch no more.
    pub offset: i64,
    /// The record's timestamp: the broker's append time where the topic wants that, the producer's otherwise.
    pub timestamp: i64,
}

/// A record on its way. Waiting for it is optional: dropped, the record is sent all the same.
#[derive(Debug)]
pub struct Sent {
    pub(super) done: Arc<Done>,
    pub(super) index: i32,
    pub(super) partition: i32,
    pub(super) timestamp: i64,
}

impl Sent {
    /// The partition that was chosen.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// What became of it, if that is known.
    pub fn poll_now(&self) -> Option<Result<Delivered, ProducerError>> {
        self.done.0.lock().ended.as_ref().map(|(_, end)| self.of(end))
    }

    /// When its answer came.
    pub fn done_at(&self) -> Option<Instant> {
        self.done.0.lock().ended.as_ref().map(|(at, _)| *at)
    }

    fn of(&self, end: &End) -> Result<Delivered, ProducerError> {
        let place = end.as_ref().map_err(Clone::clone)?;
        Ok(Delivered {
            partition: self.partition,
            offset: if place.base_offset < 0 { -1 } else { place.base_offset + i64::from(self.index) },
            timestamp: if place.append_time < 0 { self.timestamp } else { place.append_time },
        })
    }
}

impl Future for Sent {
    type Output = Result<Delivered, ProducerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.done.0.lock();
        match &state.ended {
            Some((_, end)) => Poll::Ready(self.of(end)),
            None => {
                state.wait(context.waker());
                Poll::Pending
            }
        }
    }
}

/// Where a batch lies: base offset and append time, −1 for unknown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) base_offset: i64,
    pub(super) append_time: i64,
}

type End = Result<Place, ProducerError>;

/// The end of a batch, which its records wait for.
#[derive(Debug, Default)]
pub(super) struct Done(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    ended: Option<(Instant, End)>,
    wakers: Vec<Waker>,
}

impl Waiting {
    fn wait(&mut self, waker: &Waker) {
        // One task that waits for many records of a batch is woken once.
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }
}

impl Done {
    pub(super) fn end(&self, end: End) {
        let mut state = self.0.lock();
        if state.ended.is_none() {
            state.ended = Some((Instant::now(), end));
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    pub(super) fn poll_ended(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.ended.is_some() {
            return Poll::Ready(());
        }
        state.wait(context.waker());
        Poll::Pending
    }
}

/// The fields of an idempotent producer in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) id: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
}

impl Stamp {
    pub(super) const NONE: Stamp =
        Stamp { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH, sequence: NO_SEQUENCE };
}

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    /// Its place among the batches of its partition.
    pub(super) number: u64,
    pub(super) created: Instant,
    /// Bytes of `buffer.memory` that it takes.
    pub(super) memory: usize,
    pub(super) done: Arc<Done>,
    pub(super) records: i32,
    pub(super) body: Body,
    pub(super) attempts: u32,
    /// Not before this, after a failure.
    pub(super) not_before: Option<Instant>,
    /// What went wrong the last time.
    pub(super) last: Option<String>,
}

#[derive(Debug)]
pub(super) enum Body {
    /// Takes records, or has taken its last.
    Open(Box<BatchBuilder>),
    /// As it goes out.
    Sealed { bytes: Bytes, stamp: Stamp },
}

impl Batch {
    pub(super) fn size(&self) -> usize {
        match &self.body {
            Body::Open(builder) => builder.size(),
            Body::Sealed { bytes, .. } => bytes.len(),
        }
    }

    /// Compresses and stamps it; a batch that was sealed keeps its bytes, and its stamp too unless it is another one.
    pub(super) fn seal(&mut self, stamp: Stamp, compressor: &mut Compressor) -> Bytes {
        match &mut self.body {
            Body::Open(builder) => {
                let builder = std::mem::replace(&mut **builder, BatchBuilder::new(0));
                let built = builder.producer(stamp.id, stamp.epoch, stamp.sequence).build_with(compressor);
                let bytes = Bytes::from(built);
                self.body = Body::Sealed { bytes: bytes.clone(), stamp };
                bytes
            }
            Body::Sealed { bytes, stamp: old } => {
                if *old != stamp {
                    *bytes = restamp(bytes, stamp);
                    *old = stamp;
                }
                bytes.clone()
            }
        }
    }

    /// Forgets the stamp it was sent with.
    pub(super) fn renew(&mut self) {
        if let Body::Sealed { stamp, .. } = &mut self.body {
            *stamp = Stamp::NONE;
        }
    }

    /// The stamp it was sent with.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        match &self.body {
            Body::Open(_) => None,
            Body::Sealed { stamp, .. } => Some(*stamp),
        }
    }
}

/// The same batch with other producer fields, and a CRC that fits them.
fn restamp(bytes: &Bytes, stamp: Stamp) -> Bytes {
    // Where the fields lie: the table at the head of `ottla_records::batch`.
    const CRC_AT: usize = 17;
    const ATTRIBUTES_AT: usize = 21;
    const PRODUCER_AT: usize = 43;
    let mut batch = bytes.to_vec();
    batch[PRODUCER_AT..PRODUCER_AT + 8].copy_from_slice(&stamp.id.to_be_bytes());
    batch[PRODUCER_AT + 8..PRODUCER_AT + 10].copy_from_slice(&stamp.epoch.to_be_bytes());
    batch[PRODUCER_AT + 10..PRODUCER_AT + 14].copy_from_slice(&stamp.sequence.to_be_bytes());
    let crc = crc::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::NewRecord;

    #[test]
    fn a_batch_with_another_stamp_is_sound() {
        let mut builder = BatchBuilder::new(0);
        builder.append(&NewRecord::new(7, Some(b"k"), Some(b"v")));
        let mut batch = Batch {
            number: 0,
            created: Instant::now(),
            memory: 0,
            done: Arc::default(),
            records: 1,
            body: Body::Open(Box::new(builder)),
            attempts: 0,
            not_before: None,
            last: None,
        };
        let mut compressor = Compressor::new();
        let first = batch.seal(Stamp { id: 5, epoch: 1, sequence: 9 }, &mut compressor);
        assert_eq!(batch.seal(Stamp { id: 5, epoch: 1, sequence: 9 }, &mut compressor), first);
        let second = batch.seal(Stamp { id: 5, epoch: 2, sequence: 0 }, &mut compressor);
        let read = ottla_records::Batch::parse(&second).unwrap();
        read.verify().unwrap();
        assert_eq!((read.producer_id, read.producer_epoch, read.base_sequence), (5, 2, 0));
        assert_eq!(read.plain_records().unwrap().next().unwrap().unwrap().value, Some(&b"v"[..]));
    }
}
