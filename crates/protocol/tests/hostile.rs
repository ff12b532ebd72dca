//! Bytes that lie: every message in every version, cut off, with lengths that promise too much, with bits turned over.
//! Reading never panics, a view allocates nothing, and owned decoding allocates no more than its input justifies.

mod support;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocation_counter::measure;
use ottla_protocol::frame::RequestHead;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::registry::{Entry, MESSAGES};
use ottla_protocol::wire::BUDGET_FLOOR_BYTES;
use support::generate::Rng;
use support::{each_value, hex};

/// Values longer than this are cut and mutated at this many places only.
const PLACES: usize = 100;

/// Takes text and keeps nothing.
struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Reads `bytes` in every form; whether they were a message after all.
fn read(entry: &Entry, version: i16, bytes: &[u8]) -> bool {
    let mut owned = false;
    let limit = 4 * bytes.len() + BUDGET_FLOOR_BYTES;
    let info = measure(|| owned = (entry.decode)(bytes, version).is_ok());
    assert!(
        info.bytes_total <= limit as u64,
        "decoding allocated {} of at most {limit} bytes",
        info.bytes_total
    );
    if let Some(view) = entry.view {
        let mut viewed = false;
        let info = measure(|| viewed = view(bytes, version, &mut Nowhere).is_ok());
        assert_eq!(info.count_total, 0, "a view allocated");
        assert_eq!(viewed, owned, "the view and the owned form disagree on whether this is a message");
    }
    if owned {
        let again = (entry.recode)(bytes, version).expect("it was decoded a moment ago");
        let third = (entry.recode)(&again, version).expect("what was encoded can be decoded");
        assert_eq!(hex(&third), hex(&again), "encoding is stable");
    }
    owned
}

/// [`read`], naming message, version and bytes when it panics.
fn check(name: &str, entry: &Entry, version: i16, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| read(entry, version, bytes)))
        .unwrap_or_else(|_| panic!("{name} v{version}: {}", hex(bytes)))
}

/// At most [`PLACES`] places among `n`, the first and the last ones included.
fn places(n: usize) -> impl Iterator<Item = usize> {
    (0..n).filter(move |at| n <= PLACES || *at < PLACES / 2 || n - at <= PLACES / 2)
}

#[test]
fn every_truncation_is_refused() {
    let mut cut = 0;
    each_value(3, |message, entry, version, value| {
        for end in places(value.len()) {
            assert!(
                !check(&message.name, entry, version, &value[..end]),
                "{} v{version} cut at {end}",
                message.name
            );
            cut += 1;
        }
    });
    assert!(cut > 80_000, "{cut} truncations");
}

/// Whatever stands at a place is taken for a length and made to promise too much: in 16 bits, 32 bits and as a varint.
#[test]
fn lying_lengths_never_cost_more_than_they_carry() {
    let mut lies = 0;
    each_value(3, |message, entry, version, value| {
        for at in places(value.len()) {
            let left = (value.len() - at) as u32;
            let mut lie = |width: usize, promise: &[u8]| {
                let mut bytes = value[..at].to_vec();
                bytes.extend(promise);
                bytes.extend(value.get(at + width..).unwrap_or_default());
                check(&message.name, entry, version, &bytes);
                lies += 1;
            };
            for n in [-1i16, i16::MAX, i16::MIN] {
                lie(2, &n.to_be_bytes());
            }
            for n in [-1i32, i32::MAX, i32::MIN, left as i32, left as i32 / 4] {
                lie(4, &n.to_be_bytes());
            }
            lie(1, &[0]);
            lie(1, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
            lie(1, &[0xff, 0xff, 0xff, 0xff, 0x7f]);
            lie(1, &[0xff; 12]);
            lie(1, &[0x80 | (left + 2) as u8, (left >> 7) as u8 & 0x7f]);
        }
    });
    assert!(lies > 700_000, "{lies} lies");
}

#[test]
fn flipped_bits_never_panic() {
    let mut rng = Rng::new(0x0771a);
    let (mut flipped, mut messages) = (0, 0);
    each_value(4, |message, entry, version, value| {
        if value.is_empty() {
            return;
        }
        for _ in 0..50 {
            let mut bytes = value.to_vec();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = if rng.below(2) == 0 { bytes[at] ^ 1 << rng.below(8) } else { rng.next() as u8 };
            }
            messages += usize::from(check(&message.name, entry, version, &bytes));
            flipped += 1;
        }
    });
    assert!(flipped > 130_000 && messages > 10_000, "{flipped} mutations, {messages} of them still messages");
}

#[test]
fn noise_never_panics() {
    let mut rng = Rng::new(7);
    for entry in &MESSAGES {
        for version in entry.min_version..=entry.max_version {
            for _ in 0..60 {
                let size = rng.below(300);
                // Small numbers make plausible lengths.
                let small = rng.below(2) == 0;
                let noise: Vec<u8> =
                    (0..size).map(|_| if small { rng.below(6) as u8 } else { rng.next() as u8 }).collect();
                check(entry.name, entry, version, &noise);
            }
        }
    }
}

#[test]
fn noise_in_front_of_a_request_or_a_metadata_record_never_panics() {
    let mut rng = Rng::new(9);
    for _ in 0..200_000 {
        let size = rng.below(40);
        let mut noise: Vec<u8> = (0..size).map(|_| rng.next() as u8).collect();
        // A known key and a near version, so that more than the first field is read.
        if noise.len() > 4 {
            (noise[0], noise[1], noise[2], noise[3]) = (0, noise[1] % 100, 0, noise[3] % 20);
        }
        let info = measure(|| {
            let _ = RequestHead::read(&noise);
        });
        assert_eq!(info.count_total, 0, "{}", hex(&noise));
        if noise.len() > 2 {
            (noise[0], noise[1], noise[2]) = (1, noise[1] % 32, noise[2] % 5);
        }
        let _ = MetadataRecord::decode_framed(&noise);
    }
}

/// A few bytes that promise gigabytes.
#[test]
fn bombs_cost_nothing() {
    let find = |name: &str| MESSAGES.iter().find(|entry| entry.name == name).expect("a message of that name");
    let bombs: [(&str, i16, &[u8]); 6] = [
        ("MetadataRequest", 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("MetadataRequest", 4, &[0x7f, 0xff, 0xff, 0xff]),
        ("CreateTopicsRequest", 2, &[0x7f, 0xff, 0xff, 0xff]),
        ("FetchResponse", 4, &[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]),
        ("ApiVersionsRequest", 3, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("ProduceRequest", 9, &[0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (name, version, bytes) in bombs {
        let entry = find(name);
        let mut refused = false;
        let info = measure(|| refused = (entry.decode)(bytes, version).is_err());
        assert!(refused, "{name}");
        assert!(info.bytes_total < 1024, "{name} allocated {} bytes", info.bytes_total);
    }
}

/// Arrays whose elements are as small as they can be on the wire, and large in memory: the budget stops them.
#[test]
fn the_smallest_elements_are_bounded_by_the_budget() {
    let entry = MESSAGES.iter().find(|entry| entry.name == "MetadataRequest").expect("MetadataRequest");
    // Version 9: topics are a null name and no tags, two bytes each on the wire, dozens in memory.
    let count = 500_000u32;
    let mut bytes = Vec::new();
    let mut n = count + 1;
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes.extend(std::iter::repeat_n([1u8, 0], count as usize).flatten());
    bytes.extend([0, 0, 0, 0]);
    let mut outcome = Ok(());
    let info = measure(|| outcome = (entry.decode)(&bytes, 9));
    let error = outcome.expect_err("the structs are more than four times the bytes");
    assert!(error.to_string().contains("four times"), "{error}");
    assert!(info.bytes_total <= (4 * bytes.len() + BUDGET_FLOOR_BYTES) as u64);
}
