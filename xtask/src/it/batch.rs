//! Record batches written byte by byte, right ones and wrong ones, and the requests that carry them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::frame::{self, Bytes, CREATE_TOPICS, PRODUCE};

/// A batch of format 2 with every field open to change.
pub struct Batch {
    pub base_offset: i64,
    pub magic: i8,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub producer: (i64, i16, i32),
    pub count: i32,
    /// Milliseconds since the epoch, of every record.
    pub time: i64,
    /// What follows the header, as it is.
    pub records: Vec<u8>,
    /// Added to the true length and the true checksum.
    pub length_off: i32,
    pub crc_off: u32,
}

impl Batch {
    /// `count` records without keys and with small values.
    pub fn plain(count: i32) -> Batch {
        let records = (0..count).flat_map(|i| record(i, b"value")).collect();
        Batch::of(records, count)
    }

    /// A batch that says it has `count` records.
    pub fn of(records: Vec<u8>, count: i32) -> Batch {
        Batch {
            base_offset: 0,
            magic: 2,
            attributes: 0,
            last_offset_delta: count - 1,
            producer: (-1, -1, -1),
            count,
            time: 1_700_000_000_000,
            records,
            length_off: 0,
            crc_off: 0,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let body = Bytes::new()
            .i16(self.attributes)
            .i32(self.last_offset_delta)
            .i64(self.time)
            .i64(self.time)
            .i64(self.producer.0)
            .i16(self.producer.1)
            .i32(self.producer.2)
            .i32(self.count)
            .raw(&self.records)
            .0;
        let crc = crc32c(&body).wrapping_add(self.crc_off);
        let rest = Bytes::new().i32(0).i8(self.magic).i32(crc as i32).raw(&body).0;
        Bytes::new().i64(self.base_offset).i32(rest.len() as i32 + self.length_off).raw(&rest).0
    }
}

/// One record: no key, `value`, no headers.
pub fn record(offset_delta: i32, value: &[u8]) -> Vec<u8> {
    let body = signed(Bytes::new().i8(0).varint(0), i64::from(offset_delta));
    let body = signed(signed(body, -1), value.len() as i64).raw(value).varint(0).0;
    signed(Bytes::new(), body.len() as i64).raw(&body).0
}

/// A number as records write it: zigzag, then a varint.
pub fn signed(bytes: Bytes, value: i64) -> Bytes {
    bytes.varint(((value << 1) ^ (value >> 63)) as u64)
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc(bytes, 0x82f6_3b78)
}

/// A bit at a time: nothing here is in a hurry.
fn crc(bytes: &[u8], polynomial: u32) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ polynomial } else { crc >> 1 };
        }
    }
    !crc
}

/// A Produce request of version 3 to 8 with one partition's records.
pub fn produce_request(version: i16, topic: &str, acks: i16, records: &[u8]) -> Vec<u8> {
    request_to(version, topic, 0, acks, records)
}

fn request_to(version: i16, topic: &str, partition: i32, acks: i16, records: &[u8]) -> Vec<u8> {
    let body = Bytes::new().i16(-1).i16(acks).i32(5000).i32(1).string(topic).i32(1).i32(partition);
    frame::request(PRODUCE, version, 21, false, body.i32(records.len() as i32).raw(records))
}

/// Sends the records; the partition's error code and base offset.
pub fn produce(port: u16, topic: &str, records: &[u8]) -> Result<(i16, i64)> {
    produce_as(port, 7, topic, records)
}

/// As [`produce`], in a version of one's own.
pub fn produce_as(port: u16, version: i16, topic: &str, records: &[u8]) -> Result<(i16, i64)> {
    send(port, topic, &produce_request(version, topic, -1, records))
}

/// As [`produce`], to a partition.
pub fn produce_to(port: u16, topic: &str, partition: i32, records: &[u8]) -> Result<(i16, i64)> {
    send(port, topic, &request_to(7, topic, partition, -1, records))
}

fn send(port: u16, topic: &str, request: &[u8]) -> Result<(i16, i64)> {
    let mut stream = frame::connect(port, Duration::from_secs(20))?;
    let body = frame::ask(&mut stream, request, 21)?;
    // One topic: count, name, count of partitions, index, error code, base offset.
    let at = 4 + 2 + topic.len() + 4 + 4;
    let fields = body.get(at..at + 10).context("a Produce response that breaks off")?;
    Ok((i16::from_be_bytes([fields[0], fields[1]]), i64::from_be_bytes(fields[2..].try_into()?)))
}

/// Creates a topic and waits until its first partition takes records.
pub fn create_topic(port: u16, name: &str, partitions: i32) -> Result<()> {
    let mut stream = frame::connect(port, Duration::from_secs(20))?;
    // Version 2: topics (name, partitions, replication factor, assignments, configs), timeout, validate only.
    let body = Bytes::new().i32(1).string(name).i32(partitions).i16(1).i32(0).i32(0).i32(10_000).i8(0);
    let answer = frame::ask(&mut stream, &frame::request(CREATE_TOPICS, 2, 22, false, body), 22)?;
    let at = 4 + 4 + 2 + name.len();
    let code = i16::from_be_bytes(answer.get(at..at + 2).context("a CreateTopics response")?.try_into()?);
    ensure!(code == 0, "{name} could not be created: error {code}");
    let start = std::time::Instant::now();
    // An empty set of records tells whether the partition is there without adding to it.
    while matches!(produce(port, name, &[])?.0, 3 | 5 | 6) {
        ensure!(start.elapsed() < Duration::from_secs(10), "{name} has no leader after 10 s");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// How many records, by offsets, the partition 0 of `topic` holds: its latest offset.
pub fn end_offset(port: u16, topic: &str) -> Result<i64> {
    let mut stream = frame::connect(port, Duration::from_secs(20))?;
    // ListOffsets version 1: replica, topics (name, partitions (index, timestamp)).
    let body = Bytes::new().i32(-1).i32(1).string(topic).i32(1).i32(0).i64(-1);
    let answer = frame::ask(&mut stream, &frame::request(2, 1, 23, false, body), 23)?;
    let at = 4 + 2 + topic.len() + 4 + 4;
    let fields = answer.get(at..at + 18).context("a ListOffsets response")?;
    let code = i16::from_be_bytes([fields[0], fields[1]]);
    ensure!(code == 0, "ListOffsets of {topic}: error {code}");
    Ok(i64::from_be_bytes(fields[10..18].try_into()?))
}

/// gzip that does not compress: a right one, of up to 65,535 bytes.
pub fn gzip_stored(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    out.extend(crc(bytes, 0xedb8_8320).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

/// gzip of `zeros` zeros behind `head`: a small stream that becomes very much.
pub fn gzip_bomb(head: &[u8], zeros: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut bits = Bits::default();
    // One last block with the fixed codes.
    bits.low_first(1, 1);
    bits.low_first(1, 2);
    for byte in head.iter().chain(&[0]) {
        // Literals below 144 have 8 bits from 00110000 on, the others 9 bits from 110010000 on.
        match *byte {
            b @ 0..144 => bits.high_first(0x30 + u32::from(b), 8),
            b => bits.high_first(0x190 + u32::from(b) - 144, 9),
        }
    }
    for _ in 0..zeros / 258 {
        // 258 bytes from one byte back: length code 285, distance code 0.
        bits.high_first(0b1100_0101, 8);
        bits.high_first(0, 5);
    }
    bits.high_first(0, 7);
    out.extend(bits.finish());
    // Checksum and length, which only the end of all of it would show to be wrong.
    out.extend([0; 8]);
    out
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    byte: u8,
    used: u32,
}

impl Bits {
    fn bit(&mut self, bit: u32) {
        self.byte |= (bit as u8 & 1) << self.used;
        self.used += 1;
        if self.used == 8 {
            self.bytes.push(self.byte);
            (self.byte, self.used) = (0, 0);
        }
    }

    fn low_first(&mut self, value: u32, count: u32) {
        (0..count).for_each(|i| self.bit(value >> i));
    }

    fn high_first(&mut self, value: u32, count: u32) {
        (0..count).rev().for_each(|i| self.bit(value >> i));
    }

    fn finish(mut self) -> Vec<u8> {
        while self.used != 0 {
            self.bit(0);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc(b"123456789", 0xedb8_8320), 0xcbf4_3926);
    }

    #[test]
    fn a_plain_batch_is_as_long_as_it_says() {
        let bytes = Batch::plain(2).bytes();
        assert_eq!(i32::from_be_bytes(bytes[8..12].try_into().expect("4 bytes")) as usize, bytes.len() - 12);
        assert_eq!(bytes[16], 2);
    }
}
