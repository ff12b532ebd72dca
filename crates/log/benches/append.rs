//! Appending and reading, beside the bare system calls that move the same bytes.
//!
//! `cargo bench -p ottla-log`. Each sample appends 32 MiB to an empty file; the page cache takes it, so what is
//! measured is the processor's work, not the disk's.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ottla_log::{DirOptions, LeaderAppend, Log, LogConfig, LogDir, OpenOptions, PartitionDir, ReadUpTo};
use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::validate::Accepted;
use ottla_records::{Batch, HEADER_SIZE, TimestampType};
use tempfile::TempDir;

const TOTAL: usize = 32 << 20;
const SIZES: [usize; 3] = [1 << 10, 16 << 10, 256 << 10];

fn main() {
    divan::main();
}

/// A batch of about `size` bytes.
fn batch(size: usize, producer: Option<i32>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    if let Some(sequence) = producer {
        builder = builder.producer(1, 0, sequence);
    }
    while builder.size() + 110 < size {
        builder.append(&NewRecord::new(1_700_000_000_000, None, Some(&[7; 100])));
    }
    builder.build()
}

fn accepted(bytes: &[u8]) -> Accepted<'_> {
    let batch = Batch::parse(bytes).expect("just built");
    Accepted { batch, timestamp: (TimestampType::CreateTime, batch.max_timestamp) }
}

fn log(dir: &Path) -> Log {
    let dir = LogDir::open(dir, DirOptions::default()).expect("open");
    let options = OpenOptions::new(Arc::new(LogConfig::default()), 0, true);
    Log::create(&dir, &PartitionDir::current("bench", 0), None, &options).expect("create")
}

/// The floor: the same bytes with one `pwritev` per batch.
#[divan::bench(args = SIZES)]
fn bare_pwritev(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = batch(size, None);
    let dir = TempDir::new().expect("temp dir");
    let fresh = || std::fs::File::create(dir.path().join("file")).expect("create");
    bencher.counter(BytesCount::new(TOTAL)).with_inputs(fresh).bench_local_refs(|file| {
        let (head, body) = bytes.split_at(HEADER_SIZE);
        for n in 0..TOTAL / bytes.len() {
            let position = (n * bytes.len()) as u64;
            let parts = [IoSlice::new(head), IoSlice::new(body)];
            let written = rustix::io::pwritev(&*file, &parts, position).expect("write");
            assert_eq!(written, bytes.len());
        }
    });
}

/// What a leader does for a batch that is already validated.
#[divan::bench(args = SIZES)]
fn append_as_leader(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = batch(size, None);
    let fresh = || {
        let dir = TempDir::new().expect("temp dir");
        (log(dir.path()), dir)
    };
    bencher.counter(BytesCount::new(TOTAL)).with_inputs(fresh).bench_local_refs(|(log, _)| {
        let batches = [accepted(&bytes)];
        for n in 0..TOTAL / bytes.len() {
            let append = LeaderAppend::from_client(n as i64, 0);
            black_box(log.append_as_leader(&append, &batches).expect("append"));
        }
    });
}

/// The same for an idempotent producer, which all current clients are. As coordinator, so that one batch can be
/// appended again and again; what a client's batch costs more is one comparison.
#[divan::bench(args = SIZES)]
fn append_idempotent(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = batch(size, Some(0));
    let fresh = || {
        let dir = TempDir::new().expect("temp dir");
        (log(dir.path()), dir)
    };
    bencher.counter(BytesCount::new(TOTAL)).with_inputs(fresh).bench_local_refs(|(log, _)| {
        let batches = [accepted(&bytes)];
        let append =
            LeaderAppend { origin: ottla_log::Origin::Coordinator, ..LeaderAppend::from_client(0, 0) };
        for _ in 0..TOTAL / bytes.len() {
            black_box(log.append_as_leader(&append, &batches).expect("append"));
        }
    });
}

/// Reading 1 MiB at a time through the index, copied out.
#[divan::bench]
fn read_sequentially(bencher: Bencher<'_, '_>) {
    let dir = TempDir::new().expect("temp dir");
    let mut log = log(dir.path());
    let bytes = batch(16 << 10, None);
    for _ in 0..TOTAL / bytes.len() {
        log.append_as_leader(&LeaderAppend::from_client(0, 0), &[accepted(&bytes)]).expect("append");
    }
    log.release().expect("release");
    let count = i64::from(Batch::parse(&bytes).expect("just built").count);
    let mut buffer = vec![0; 1 << 20];
    bencher.counter(BytesCount::new(TOTAL)).bench_local(|| {
        let mut at = 0;
        while at < log.log_end() {
            let slice = log.read(at, 1 << 20, true, ReadUpTo::LogEnd).expect("read").slice;
            slice.read_at(0, &mut buffer[..slice.len()]).expect("copy");
            at += (slice.len() / bytes.len()) as i64 * count;
        }
    });
}

/// Finding one batch in the middle of a log, cold index buffers.
#[divan::bench]
fn locate(bencher: Bencher<'_, '_>) {
    let dir = TempDir::new().expect("temp dir");
    let mut log = log(dir.path());
    let bytes = batch(1 << 10, None);
    for _ in 0..TOTAL / bytes.len() {
        log.append_as_leader(&LeaderAppend::from_client(0, 0), &[accepted(&bytes)]).expect("append");
    }
    log.release().expect("release");
    let middle = log.log_end() / 3;
    bencher
        .bench_local(|| black_box(log.read(middle, 1024, true, ReadUpTo::LogEnd).expect("read").slice.len()));
}
