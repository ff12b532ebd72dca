//! Building magic 2 batches: record by record, or by compressing the body of another one anew.

use crate::attributes::{Attributes, Compression, TimestampType};
use crate::batch::{ATTRIBUTES_AT, BatchHeader, HEADER_SIZE, LOG_OVERHEAD};
use crate::compress::{Compressor, DecompressError, Decompressor};
use crate::ids::{
    LeaderEpoch, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, Offset,
    ProducerEpoch, ProducerId, Sequence, TimestampMs,
};
use crate::record::{Header, Record};
use crate::{Batch, crc, varint};

/// The content of a record that is to be written.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since the epoch; −1 for none.
    pub timestamp: TimestampMs,
    /// The key; `None` for a null key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` for a null value (a tombstone).
    pub value: Option<&'a [u8]>,
    /// Headers, written in this order.
    pub headers: &'a [Header<'a>],
}

impl<'a> NewRecord<'a> {
    /// A record without headers.
    pub fn new(timestamp: TimestampMs, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> NewRecord<'a> {
        NewRecord { timestamp, key, value, headers: &[] }
    }

    /// Bytes the record takes in a batch with these deltas, its length field included.
    pub fn size(&self, timestamp_delta: i64, offset_delta: i32) -> usize {
        let body = self.body_size(timestamp_delta, offset_delta);
        varint::size_of_i32(body as i32) + body
    }

    fn body_size(&self, timestamp_delta: i64, offset_delta: i32) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|header| nullable_size(Some(header.key)) + nullable_size(header.value))
            .sum();
        1 + varint::size_of_i64(timestamp_delta)
            + varint::size_of_i32(offset_delta)
            + nullable_size(self.key)
            + nullable_size(self.value)
            + varint::size_of_i32(self.headers.len() as i32)
            + headers
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::size_of_i32(bytes.len() as i32) + bytes.len())
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write_i32(out, -1),
        Some(bytes) => {
            varint::write_i32(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

/// Collects records and makes one batch of them.
///
/// The batch must stay below 2 GiB: callers bound it with [`BatchBuilder::size`], which is checked.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    header: BatchHeader,
    level: Option<i32>,
    body: Vec<u8>,
    append_time: Option<TimestampMs>,
    last_offset: Option<Offset>,
}

impl BatchBuilder {
    /// A batch that starts at `base_offset`: uncompressed, CreateTime, no producer id, leader epoch −1.
    pub fn new(base_offset: Offset) -> BatchBuilder {
        BatchBuilder {
            header: BatchHeader {
                base_offset,
                length: 0,
                partition_leader_epoch: NO_LEADER_EPOCH,
                crc: 0,
                attributes: Attributes::default(),
                last_offset_delta: 0,
                base_timestamp: NO_TIMESTAMP,
                max_timestamp: NO_TIMESTAMP,
                producer_id: NO_PRODUCER_ID,
                producer_epoch: NO_PRODUCER_EPOCH,
                base_sequence: NO_SEQUENCE,
                count: 0,
            },
            level: None,
            body: Vec::new(),
            append_time: None,
            last_offset: None,
        }
    }

    /// Makes room for `bytes` of records at once.
    pub fn reserve(&mut self, bytes: usize) {
        self.body.reserve(bytes);
    }

    /// Sets the partition leader epoch.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.partition_leader_epoch = epoch;
        self
    }

    /// Sets the fields of an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self, transactional: bool) -> Self {
        self.header.attributes = self.header.attributes.with_transactional(transactional);
        self
    }

    /// Marks the batch as one of control records.
    #[must_use]
    pub fn control(mut self, control: bool) -> Self {
        self.header.attributes = self.header.attributes.with_control(control);
        self
    }

    /// Sets compression and its level (`None`: the codec's default).
    #[must_use]
    pub fn compression(mut self, codec: Compression, level: Option<i32>) -> Self {
        self.header.attributes = self.header.attributes.with_compression(codec);
        self.level = level;
        self
    }

    /// Makes the batch LogAppendTime with this time for all its records.
    #[must_use]
    pub fn append_time(mut self, time: TimestampMs) -> Self {
        self.append_time = Some(time);
        self.header.attributes = self.header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        self
    }

    /// Sets the delete horizon (KIP-534), which takes the place of the base timestamp. Before the first record.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: TimestampMs) -> Self {
        assert_eq!(self.header.count, 0, "RECORDS-10: the delete horizon is set before the first record");
        self.header.attributes = self.header.attributes.with_delete_horizon(true);
        self.header.base_timestamp = horizon;
        self
    }

    /// Keeps the offset range of the batch up to `offset`, although its last records are gone (compaction).
    #[must_use]
    pub fn last_offset(mut self, offset: Offset) -> Self {
        self.last_offset = Some(offset);
        self
    }

    /// Appends a record at the next offset and returns that offset.
    pub fn append(&mut self, record: &NewRecord<'_>) -> Offset {
        let offset = match self.header.count {
            0 => self.header.base_offset,
            _ => self.header.next_offset(),
        };
        self.append_at(offset, record);
        offset
    }

    /// Appends a record at `offset`, which must be larger than that of the record before.
    pub fn append_at(&mut self, offset: Offset, record: &NewRecord<'_>) {
        let header = &mut self.header;
        assert!(
            offset >= header.base_offset && (header.count == 0 || offset > header.last_offset()),
            "RECORDS-11: offset {offset} does not follow those of the batch"
        );
        let offset_delta = i32::try_from(offset - header.base_offset)
            .expect("RECORDS-12: offsets of one batch lie within 31 bits");
        if header.count == 0 && !header.attributes.has_delete_horizon() {
            header.base_timestamp = record.timestamp;
        }
        header.last_offset_delta = offset_delta;
        header.count += 1;
        header.max_timestamp = header.max_timestamp.max(record.timestamp);

        let timestamp_delta = record.timestamp.wrapping_sub(header.base_timestamp);
        let size = record.body_size(timestamp_delta, offset_delta);
        assert!(
            size < i32::MAX as usize - HEADER_SIZE - self.body.len(),
            "RECORDS-13: a batch stays below 2 GiB"
        );
        let out = &mut self.body;
        out.reserve(size + 5);
        varint::write_i32(out, size as i32);
        out.push(0);
        varint::write_i64(out, timestamp_delta);
        varint::write_i32(out, offset_delta);
        write_nullable(out, record.key);
        write_nullable(out, record.value);
        varint::write_i32(out, record.headers.len() as i32);
        for header in record.headers {
            write_nullable(out, Some(header.key));
            write_nullable(out, header.value);
        }
    }

    /// Appends a record that was read, at its own offset.
    pub fn append_record(&mut self, record: &Record<'_>) {
        let headers: Vec<Header<'_>> = record.headers.iter().collect();
        let new = NewRecord {
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: &headers,
        };
        self.append_at(record.offset, &new);
    }

    /// Records appended so far.
    pub fn count(&self) -> i32 {
        self.header.count
    }

    /// Bytes of the batch so far, uncompressed, header included.
    pub fn size(&self) -> usize {
        HEADER_SIZE + self.body.len()
    }

    /// The batch, compressed with a compressor made for it. See [`BatchBuilder::build_with`].
    pub fn build(self) -> Vec<u8> {
        self.build_with(&mut Compressor::new())
    }

    /// The batch. Without records it is what compaction leaves of a batch it has emptied: a bare header.
    pub fn build_with(mut self, compressor: &mut Compressor) -> Vec<u8> {
        if let Some(time) = self.append_time {
            self.header.max_timestamp = time;
        }
        if let Some(offset) = self.last_offset {
            let delta = i32::try_from(offset - self.header.base_offset)
                .expect("RECORDS-12: offsets of one batch lie within 31 bits");
            assert!(
                delta >= self.header.last_offset_delta,
                "RECORDS-14: the last offset {offset} is in front of a record"
            );
            self.header.last_offset_delta = delta;
        }
        let codec = self.header.compression().expect("RECORDS-15: builders set only codecs that exist");
        let mut batch = Vec::with_capacity(self.size());
        batch.resize(HEADER_SIZE, 0);
        if self.header.count > 0 {
            compressor.compress(codec, self.level, &self.body, &mut batch);
        }
        seal(&mut self.header, &mut batch);
        batch
    }
}

/// What compaction leaves of a batch whose records are all gone but whose producer state is still needed:
/// a header with the same offsets, producer fields and max timestamp, and no records.
pub fn empty_batch(of: &BatchHeader) -> Vec<u8> {
    let mut header = BatchHeader {
        base_timestamp: NO_TIMESTAMP,
        count: 0,
        attributes: of.attributes.with_delete_horizon(false),
        ..*of
    };
    let mut batch = vec![0; HEADER_SIZE];
    seal(&mut header, &mut batch);
    batch
}

/// The same batch with its body compressed by `codec` (or by nothing): what a leader does when a topic's
/// `compression.type` is not the producer's. Offsets, timestamps and producer fields stay.
///
/// `cap` bounds the decompressed body in bytes. The records are not looked at; a batch from a client is
/// validated with its records first.
pub fn recompress(
    batch: &Batch<'_>,
    codec: Compression,
    level: Option<i32>,
    decompressor: &mut Decompressor,
    compressor: &mut Compressor,
    cap: usize,
) -> Result<Vec<u8>, DecompressError> {
    let body = decompressor.body(batch, cap)?;
    let mut out = Vec::with_capacity(batch.size_in_bytes());
    out.resize(HEADER_SIZE, 0);
    if batch.count > 0 {
        compressor.compress(codec, level, body, &mut out);
    }
    let mut header = *batch.header();
    header.attributes = header.attributes.with_compression(codec);
    seal(&mut header, &mut out);
    Ok(out)
}

/// Sets length and CRC and writes the header in front of the body.
fn seal(header: &mut BatchHeader, batch: &mut [u8]) {
    header.length = i32::try_from(batch.len() - LOG_OVERHEAD).expect("RECORDS-13: a batch stays below 2 GiB");
    batch[..HEADER_SIZE].copy_from_slice(&header.encode());
    header.crc = crc::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[..HEADER_SIZE].copy_from_slice(&header.encode());
}
