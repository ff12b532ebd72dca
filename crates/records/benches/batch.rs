//! What one batch costs: parse, verify, patch, walk, compress.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ottla_records::validate::{Rules, produced};
use ottla_records::*;

fn main() {
    divan::main();
}

const NOW: i64 = 1_700_000_000_000;

/// A batch of about 16 KiB with records of `value` bytes, as producers send it.
fn batch(value: usize, codec: Compression) -> Vec<u8> {
    let value: Vec<u8> =
        (0..value).map(|i| b"{\"order\": 12345, \"customer\": \"c-77\"}, "[i * i % 39]).collect();
    let mut builder = BatchBuilder::new(0).producer(1, 0, 0).compression(codec, None);
    let mut time = NOW;
    while builder.size() + value.len() + 10 < 16 * 1024 {
        builder.append(&NewRecord::new(time, None, Some(&value)));
        time += 1;
    }
    builder.build()
}

#[divan::bench]
fn parse_header(bencher: Bencher) {
    let bytes = batch(100, Compression::None);
    bencher.bench(|| BatchHeader::parse(black_box(&bytes)));
}

#[divan::bench]
fn crc_alone(bencher: Bencher) {
    let bytes = batch(100, Compression::None);
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| crc::crc32c(black_box(&bytes)));
}

#[divan::bench]
fn parse_and_verify(bencher: Bencher) {
    let bytes = batch(100, Compression::None);
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| Batch::parse(black_box(&bytes)).and_then(|batch| batch.verify()));
}

#[divan::bench]
fn patch_offsets(bencher: Bencher) {
    let bytes = batch(100, Compression::None);
    let batch = Batch::parse(&bytes).unwrap();
    let fields = LeaderFields { base_offset: 1 << 33, leader_epoch: 9, timestamp: None };
    bencher.bench(|| black_box(&batch).patched_header(black_box(&fields)));
}

#[divan::bench]
fn patch_append_time(bencher: Bencher) {
    let bytes = batch(100, Compression::None);
    let batch = Batch::parse(&bytes).unwrap();
    let timestamp = Some((TimestampType::LogAppendTime, NOW));
    let fields = LeaderFields { base_offset: 1 << 33, leader_epoch: 9, timestamp };
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| black_box(&batch).patched_header(black_box(&fields)));
}

#[divan::bench(args = [10, 100, 1024])]
fn validate_plain(bencher: Bencher, value: usize) {
    let bytes = batch(value, Compression::None);
    let rules = Rules::default();
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .with_inputs(Decompressor::new)
        .bench_refs(|decompressor| produced(black_box(&bytes), &rules, NOW, decompressor).is_ok());
}

#[divan::bench(args = Compression::ALL)]
fn validate_compressed_header_only(bencher: Bencher, codec: Compression) {
    let bytes = batch(100, codec);
    let rules = Rules::default();
    let mut decompressor = Decompressor::new();
    bencher.bench_local(|| produced(black_box(&bytes), &rules, NOW, &mut decompressor).is_ok());
}

#[divan::bench(args = Compression::ALL)]
fn validate_compressed_looked_into(bencher: Bencher, codec: Compression) {
    let bytes = batch(100, codec);
    let rules = Rules { inspect_compressed: true, ..Rules::default() };
    let mut decompressor = Decompressor::new();
    bencher
        .counter(BytesCount::new(16 * 1024usize))
        .bench_local(|| produced(black_box(&bytes), &rules, NOW, &mut decompressor).is_ok());
}

#[divan::bench]
fn iterate_records(bencher: Bencher) {
    let bytes = batch(100, Compression::None);
    let batch = Batch::parse(&bytes).unwrap();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| {
        black_box(&batch).plain_records().unwrap().map(|record| record.unwrap().offset).sum::<i64>()
    });
}

#[divan::bench(args = Compression::ALL)]
fn compress_16_kib(bencher: Bencher, codec: Compression) {
    let bytes = batch(100, Compression::None);
    let (mut compressor, mut out) = (Compressor::new(), Vec::new());
    bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
        out.clear();
        compressor.compress(codec, None, black_box(&bytes), &mut out);
        out.len()
    });
}

#[divan::bench]
fn build_plain(bencher: Bencher) {
    bencher.bench(|| batch(black_box(100), Compression::None));
}
