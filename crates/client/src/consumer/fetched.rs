//! What a poll brings: batches as they came from the broker, and records borrowed from them.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashSet;
use ottla_protocol::messages::fetch_response::AbortedTransaction;
use ottla_records::control::ControlType;
use ottla_records::{Batch, BatchError, Decompressor, Record, TimestampType};
use parking_lot::Mutex;

use super::ConsumerError;
use crate::TopicPartition;

/// No batch becomes larger than a message may be.
const DECOMPRESSED_MOST: usize = i32::MAX as usize;

/// One record, borrowed from the batch it came in.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerRecord<'a> {
    /// The topic.
    pub topic: &'a Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: i32,
    /// Whose the timestamp is.
    pub timestamp_type: TimestampType,
    /// Offset, timestamp, key, value and headers.
    pub record: Record<'a>,
}

/// How far the records of one poll were looked at, for those who may stop in the middle of them; what was not looked at
/// goes back with [`Consumer::give_back`](super::Consumer::give_back).
#[derive(Debug, Default)]
pub struct Seen(Vec<(TopicPartition, i64)>);

impl Seen {
    /// This record counts as consumed.
    pub fn note(&mut self, record: &ConsumerRecord<'_>) {
        let next = record.record.offset + 1;
        match self.0.last_mut() {
            Some((tp, behind)) if tp.partition == record.partition && tp.topic == *record.topic => {
                *behind = next;
            }
            _ => {
                let topic = record.topic.clone();
                self.0.push((TopicPartition { topic, partition: record.partition }, next));
            }
        }
    }

    /// The offset behind the last record of a partition that was looked at.
    pub(super) fn behind(&self, partition: &TopicPartition) -> Option<i64> {
        self.0.iter().rev().find(|(seen, _)| seen == partition).map(|(_, behind)| *behind)
    }
}

/// Batches of some partitions, in the order in which they were fetched.
#[derive(Debug)]
pub struct Fetched {
    pub(super) parts: Vec<Part>,
    pub(super) decompressors: Arc<Spare>,
}

/// Decompressors that nobody uses at the moment.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Decompressor>>);

/// Batches of one partition.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) partition: TopicPartition,
    /// Whole batches.
    pub(super) bytes: Bytes,
    /// Records before this one were not asked for.
    pub(super) from: i64,
    /// The offset behind the last batch.
    pub(super) next: i64,
    /// The epoch of the last batch.
    pub(super) leader_epoch: i32,
    /// Transactions that were given up, for those who read committed records only.
    pub(super) aborted: Option<Vec<AbortedTransaction>>,
    pub(super) check_crcs: bool,
    /// How often the partition's place has been changed by hand.
    pub(super) era: u32,
}

impl Fetched {
    /// Shows every record, in order within a partition, control records and those of transactions that are not seen
    /// left out. Ends with the first error of `see`, which is given back inside.
    ///
    /// # Errors
    /// [`ConsumerError`] for a batch or record that is damaged.
    pub fn for_each<E>(
        &mut self,
        see: impl FnMut(&ConsumerRecord<'_>) -> Result<(), E>,
    ) -> Result<Result<(), E>, ConsumerError> {
        self.for_each_within(DECOMPRESSED_MOST, see)
    }

    /// As [`Fetched::for_each`], for those who must not need the memory that a batch asks for: one that becomes larger
    /// than `most` bytes is an error.
    ///
    /// # Errors
    /// As [`Fetched::for_each`].
    pub fn for_each_within<E>(
        &mut self,
        most: usize,
        mut see: impl FnMut(&ConsumerRecord<'_>) -> Result<(), E>,
    ) -> Result<Result<(), E>, ConsumerError> {
        let spare = self.decompressors.0.lock().pop();
        let mut decompressor = spare.unwrap_or_default();
        let mut end = Ok(Ok(()));
        for part in &self.parts {
            end = part.for_each(&mut decompressor, most, &mut see);
            if !matches!(end, Ok(Ok(()))) {
                break;
            }
        }
        self.decompressors.0.lock().push(decompressor);
        end
    }

    /// The partitions in it: each with the first offset that was asked for and the one behind its last batch.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, i64, i64)> {
        self.parts.iter().map(|part| (&part.partition, part.from, part.next))
    }

    /// Bytes as they were fetched.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }
}

impl Part {
    /// Looks at the heads of the batches: cuts off one that is not whole, and finds the offset behind the last.
    pub(super) fn whole(mut self) -> Result<Part, ConsumerError> {
        let mut at = 0;
        while at < self.bytes.len() {
            match Batch::parse(&self.bytes[at..]) {
                Ok(batch) => {
                    at += batch.size_in_bytes();
                    self.next = self.next.max(batch.last_offset() + 1);
                    self.leader_epoch = batch.partition_leader_epoch;
                }
                // A broker cuts what it sends at the limit that was asked for.
                Err(error) if error.is_torn() && at > 0 => break,
                Err(why) => return Err(self.damaged(why)),
            }
        }
        self.bytes.truncate(at);
        Ok(self)
    }

    /// Splits off batches with at least `records` records; the rest stays. How many there are in it.
    pub(super) fn split(&mut self, records: i64) -> (Part, i64) {
        let (mut at, mut count, mut next) = (0, 0, self.from);
        while at < self.bytes.len() && count < records {
            let batch =
                Batch::parse(&self.bytes[at..]).expect("CLIENT-40 the heads of batches were looked at");
            at += batch.size_in_bytes();
            count += i64::from(batch.count);
            next = next.max(batch.last_offset() + 1);
        }
        // Which transactions were given up is known only from the beginning on.
        if at == self.bytes.len() || self.aborted.is_some() {
            let rest = Part { bytes: Bytes::new(), from: self.next, aborted: None, ..self.clone() };
            return (std::mem::replace(self, rest), count);
        }
        let front = Part { bytes: self.bytes.split_to(at), next, aborted: None, ..self.clone() };
        self.from = next;
        (front, count)
    }

    fn damaged(&self, why: BatchError) -> ConsumerError {
        ConsumerError::Batch { partition: self.partition.clone(), offset: self.from, why }
    }

    fn for_each<E>(
        &self,
        decompressor: &mut Decompressor,
        most: usize,
        see: &mut impl FnMut(&ConsumerRecord<'_>) -> Result<(), E>,
    ) -> Result<Result<(), E>, ConsumerError> {
        let mut given_up = GivenUp::new(self.aborted.as_deref());
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            let batch = Batch::parse(rest).map_err(|why| self.damaged(why))?;
            rest = &rest[batch.size_in_bytes()..];
            if self.check_crcs {
                batch.verify().map_err(|why| self.damaged(why))?;
            }
            let control = batch.attributes.is_control();
            if control || given_up.hides(&batch) {
                if control && batch.last_offset() >= self.from {
                    self.control(&batch, decompressor, &mut given_up)?;
                }
                continue;
            }
            let (partition, offset) = (&self.partition, batch.base_offset);
            let records = decompressor.records(&batch, most);
            let records = records.map_err(|why| ConsumerError::Compressed {
                partition: partition.clone(),
                offset,
                why,
            })?;
            let (leader_epoch, timestamp_type) = (batch.partition_leader_epoch, batch.timestamp_type());
            for record in records {
                let record = record.map_err(|why| ConsumerError::Record {
                    partition: partition.clone(),
                    offset,
                    why,
                })?;
                if record.offset < self.from {
                    continue;
                }
                let (topic, partition) = (&self.partition.topic, self.partition.partition);
                if let Err(end) =
                    see(&ConsumerRecord { topic, partition, leader_epoch, timestamp_type, record })
                {
                    return Ok(Err(end));
                }
            }
        }
        Ok(Ok(()))
    }

    /// A marker ends its producer's transaction.
    fn control(
        &self,
        batch: &Batch<'_>,
        decompressor: &mut Decompressor,
        given_up: &mut GivenUp<'_>,
    ) -> Result<(), ConsumerError> {
        let (partition, offset) = (&self.partition, batch.base_offset);
        let records = decompressor
            .records(batch, DECOMPRESSED_MOST)
            .map_err(|why| ConsumerError::Compressed { partition: partition.clone(), offset, why })?;
        for record in records {
            let record =
                record.map_err(|why| ConsumerError::Record { partition: partition.clone(), offset, why })?;
            if is_abort(&record) {
                given_up.ended(batch.producer_id);
            }
        }
        Ok(())
    }
}

/// Follows which producers' records are not seen (`CompletedFetch`): from the first offset of a transaction that was
/// given up to its marker.
struct GivenUp<'a> {
    to_come: Vec<&'a AbortedTransaction>,
    producers: HashSet<i64>,
}

impl<'a> GivenUp<'a> {
    fn new(aborted: Option<&'a [AbortedTransaction]>) -> GivenUp<'a> {
        let mut to_come: Vec<&AbortedTransaction> = aborted.unwrap_or_default().iter().collect();
        to_come.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        GivenUp { to_come, producers: HashSet::default() }
    }

    fn hides(&mut self, batch: &Batch<'_>) -> bool {
        while let Some(next) = self.to_come.pop_if(|next| next.first_offset <= batch.last_offset()) {
            self.producers.insert(next.producer_id);
        }
        batch.attributes.is_transactional() && self.producers.contains(&batch.producer_id)
    }

    fn ended(&mut self, producer: i64) {
        self.producers.remove(&producer);
    }
}

fn is_abort(record: &Record<'_>) -> bool {
    record.key.is_some_and(|key| ControlType::parse(key) == Ok(ControlType::Abort))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{BatchBuilder, Compression, NewRecord};

    fn batch(base: i64, producer: Option<i64>, values: &[&str], codec: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new(base).compression(codec, None);
        if let Some(id) = producer {
            builder = builder.producer(id, 0, 0).transactional(true);
        }
        for value in values {
            builder.append(&NewRecord::new(1, None, Some(value.as_bytes())));
        }
        builder.build()
    }

    fn part(bytes: Vec<u8>, from: i64, aborted: Option<Vec<AbortedTransaction>>) -> Part {
        let partition = TopicPartition::new("t", 0);
        let part = Part {
            partition,
            bytes: bytes.into(),
            from,
            next: from,
            leader_epoch: -1,
            aborted,
            check_crcs: true,
            era: 0,
        };
        part.whole().unwrap()
    }

    fn seen(parts: Vec<Part>) -> Vec<(i64, String)> {
        let mut all = Vec::new();
        let mut fetched = Fetched { parts, decompressors: Arc::default() };
        let end = fetched.for_each(|record| {
            let value = String::from_utf8(record.record.value.unwrap().to_vec()).unwrap();
            all.push((record.record.offset, value));
            Ok::<(), ()>(())
        });
        end.unwrap().unwrap();
        all
    }

    #[test]
    fn records_before_the_one_asked_for_and_torn_batches_are_left_out() {
        let mut bytes = batch(10, None, &["a", "b", "c"], Compression::Zstd);
        bytes.extend(batch(13, None, &["d"], Compression::None));
        let torn = batch(14, None, &["e"], Compression::None);
        bytes.extend(&torn[..torn.len() - 1]);
        let part = part(bytes, 12, None);
        assert_eq!(part.next, 14);
        assert_eq!(seen(vec![part]), [(12, "c".to_owned()), (13, "d".to_owned())]);
    }

    #[test]
    fn a_part_is_split_between_batches() {
        let mut bytes = batch(0, None, &["a", "b"], Compression::None);
        bytes.extend(batch(2, None, &["c"], Compression::None));
        let mut rest = part(bytes, 0, None);
        let (front, count) = rest.split(1);
        assert_eq!((count, front.next, rest.from, rest.next), (2, 2, 2, 3));
        assert_eq!(seen(vec![front, rest]).len(), 3);
    }

    #[test]
    fn records_of_a_transaction_that_was_given_up_are_not_seen() {
        let mut bytes = batch(0, Some(7), &["no"], Compression::None);
        bytes.extend(batch(1, Some(8), &["yes"], Compression::None));
        let mut marker = BatchBuilder::new(2).producer(7, 0, -1).transactional(true).control(true);
        marker.append(&NewRecord::new(1, Some(&[0, 0, 0, 0]), Some(&[0, 0, 0, 0, 0, 0])));
        bytes.extend(marker.build());
        bytes.extend(batch(3, Some(7), &["again"], Compression::None));
        let aborted = vec![AbortedTransaction { producer_id: 7, first_offset: 0 }];
        let seen = seen(vec![part(bytes, 0, Some(aborted))]);
        assert_eq!(seen, [(1, "yes".to_owned()), (3, "again".to_owned())]);
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut bytes = batch(0, None, &["a"], Compression::None);
        *bytes.last_mut().unwrap() ^= 1;
        let mut fetched = Fetched { parts: vec![part(bytes, 0, None)], decompressors: Arc::default() };
        let error = fetched.for_each(|_| Ok::<(), ()>(())).unwrap_err();
        assert!(matches!(error, ConsumerError::Batch { .. }), "{error}");
    }
}
