//! Valid input, mutated a few thousand times from a fixed seed: nothing may panic, and no call may hold more
//! memory than four times its input plus the cap it was given.
//!
//! `OTTLA_FUZZ_ROUNDS` sets the number of mutations per family and seed input (default 400).

#![allow(unsafe_code, reason = "a counting allocator cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ottla_records::control::{Endpoint, LeaderChange, LeaderChangeVoter, Voter, Voters};
use ottla_records::random::Random;
use ottla_records::{
    BatchBuilder, Compression, Compressor, ControlRecord, Decompressor, HEADER_SIZE, Header, NewRecord, crc,
    fuzz,
};

/// What the current thread holds, and the most it has held since the mark was last set.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    HELD.with(|held| {
        held.set(held.get() + bytes);
        MOST.with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call is handed to the system allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and returns the most memory it held at once, beyond what was held before.
fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD.with(Cell::get);
    MOST.with(|most| most.set(before));
    work();
    (MOST.with(Cell::get) - before) as usize
}

/// One to four changes: flipped bits, extreme numbers, bytes cut out, repeated, inserted or taken off the end.
fn mutate(random: &mut Random, input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.index(4) {
        let at = random.index(bytes.len());
        match random.index(8) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << random.index(8),
            2 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.index(5)],
            3 => {
                let number = [i32::MIN, -1, 0, 1, 0x7fff, i32::MAX][random.index(6)].to_be_bytes();
                bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
            }
            4 => bytes.truncate(at),
            5 => {
                let end = bytes.len().min(at + random.index(64));
                bytes.drain(at..end);
            }
            6 => {
                let end = bytes.len().min(at + random.index(64));
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let piece: Vec<u8> = (0..random.index(12)).map(|_| random.bits() as u8).collect();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Makes length and CRC of a mutated batch right again, so that what lies behind those checks is reached.
fn reseal(bytes: &mut [u8]) {
    if bytes.len() >= HEADER_SIZE {
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        let crc = crc::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
}

fn rounds() -> usize {
    std::env::var("OTTLA_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(400)
}

const CAP: usize = 256 * 1024;
/// What texts of errors and lists of offenders may take, whatever the input.
const FIXED: usize = 64 * 1024;

/// Feeds mutations of `inputs` to `work`, which says whether an input was accepted; some must be.
fn storm(seed: u64, inputs: &[Vec<u8>], sealed: bool, mut work: impl FnMut(&[u8]) -> bool) {
    let mut random = Random::new(seed);
    let mut accepted = 0;
    for input in inputs {
        assert!(work(input), "the input that is mutated is itself accepted");
        for round in 0..rounds() {
            let mut bytes = mutate(&mut random, input);
            if sealed {
                reseal(&mut bytes);
            }
            let mut took = false;
            let most = most_held(|| took = work(&bytes));
            accepted += usize::from(took);
            assert!(
                most <= 4 * bytes.len() + CAP + FIXED,
                "round {round}: {most} bytes held for {} bytes of input",
                bytes.len()
            );
        }
    }
    assert!(accepted > 0, "mutations never get past the first check");
}

/// Batches of all codecs with headers, null keys and values, and one that is large when decompressed.
fn batches() -> Vec<Vec<u8>> {
    let headers = [Header { key: b"k", value: Some(b"v") }, Header { key: b"k", value: None }];
    let long = vec![b'x'; 100_000];
    let mut batches = vec![];
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new(0).compression(codec, None).producer(1, 0, 5);
        for index in 0..20 {
            builder.append(&NewRecord {
                timestamp: 1_700_000_000_000 + index,
                key: (index % 3 != 0).then_some(b"key"),
                value: (index % 5 != 0).then_some(b"some value, some value"),
                headers: if index % 4 == 0 { &headers } else { &[] },
            });
        }
        batches.push(builder.clone().build());
        if codec != Compression::None {
            builder.append(&NewRecord::new(1_700_000_000_000, None, Some(&long)));
            batches.push(builder.build());
        }
    }
    batches
}

/// Message sets of magic 0 and 1, taken from the golden files.
fn old_messages() -> Vec<Vec<u8>> {
    let mut sets = vec![];
    for name in
        ["magic0-none", "magic0-gzip", "magic0-lz4", "magic1-none", "magic1-snappy", "magic1-append-time"]
    {
        let path = format!("{}/tests/golden/{name}.hex", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let digits: Vec<u8> = text.trim().chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        sets.push(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    }
    sets
}

/// A decompressor whose contexts are made, so that only its output is counted.
fn warm() -> Decompressor {
    let mut decompressor = Decompressor::new();
    for bytes in batches() {
        fuzz::log(&bytes, &mut decompressor, CAP);
    }
    decompressor
}

#[test]
fn segment_files() {
    let mut decompressor = warm();
    let inputs: Vec<_> = batches().into_iter().chain(old_messages()).collect();
    for sealed in [false, true] {
        let inputs = if sealed { &inputs[..9] } else { &inputs[..] };
        storm(1, inputs, sealed, |bytes| {
            decompressor.shrink(0);
            fuzz::log(bytes, &mut decompressor, CAP) > 0
        });
    }
}

#[test]
fn produce_requests() {
    let mut decompressor = warm();
    for sealed in [false, true] {
        storm(2, &batches(), sealed, |bytes| {
            decompressor.shrink(0);
            fuzz::produce(bytes, &mut decompressor, CAP)
        });
    }
}

#[test]
fn compressed_bytes() {
    let mut decompressor = warm();
    let mut inputs = vec![];
    for text in [&b"some text that is not very long"[..], &[7; 70_000], &[0; CAP + 1000]] {
        for codec in &Compression::ALL[1..] {
            let mut out = vec![];
            Compressor::new().compress(*codec, None, text, &mut out);
            inputs.push(out);
        }
    }
    // A raw snappy block too.
    inputs.push(b"\x05\x10hello".to_vec());
    storm(3, &inputs, false, |bytes| {
        decompressor.shrink(0);
        fuzz::decompress(bytes, &mut decompressor, CAP) > 0
    });
}

#[test]
fn recompression() {
    let (mut decompressor, mut compressor) = (warm(), Compressor::new());
    for bytes in batches() {
        fuzz::recompressed(&bytes, &mut decompressor, &mut compressor, CAP);
    }
    let mut random = Random::new(4);
    for input in batches() {
        for _ in 0..rounds() / 8 {
            let mut bytes = mutate(&mut random, &input);
            reseal(&mut bytes);
            // The output is a batch of its own, so only panics are looked for.
            fuzz::recompressed(&bytes, &mut decompressor, &mut compressor, CAP);
        }
    }
}

#[test]
fn control_records() {
    let voter = |id| LeaderChangeVoter { id, directory_id: uuid::Uuid::nil() };
    let records = [
        ControlRecord::EndTransaction { commit: true, coordinator_epoch: 4 },
        ControlRecord::LeaderChange(LeaderChange {
            version: 1,
            leader_id: 1,
            voters: vec![voter(1), voter(2)],
            granting_voters: vec![voter(1)],
        }),
        ControlRecord::KRaftVoters(Voters {
            version: 0,
            voters: vec![
                Voter {
                    id: 1,
                    endpoints: vec![Endpoint { name: "CONTROLLER".into(), host: "h".into(), port: 9 }; 3],
                    ..Voter::default()
                };
                3
            ],
        }),
        ControlRecord::SnapshotHeader(Default::default()),
        ControlRecord::SnapshotFooter(Default::default()),
        ControlRecord::KRaftVersion(Default::default()),
    ];
    let inputs: Vec<_> =
        records.iter().map(|record| [&record.control_type().key()[..], &record.value()].concat()).collect();
    storm(5, &inputs, false, fuzz::control);
}

#[test]
fn checking_a_sound_batch_allocates_nothing() {
    let mut decompressor = warm();
    for bytes in batches() {
        fuzz::log(&bytes, &mut decompressor, CAP);
        let batch = ottla_records::Batch::parse(&bytes).unwrap();
        let rules = ottla_records::validate::Rules { inspect_compressed: true, ..Default::default() };
        let most = most_held(|| {
            batch.verify().unwrap();
            let accepted =
                ottla_records::validate::produced(&bytes, &rules, 1_700_000_000_000, &mut decompressor);
            let fields = accepted.unwrap().leader_fields(1, 2);
            std::hint::black_box(batch.patched_header(&fields));
        });
        assert_eq!(most, 0, "{:?}", batch.compression());
    }
}
