//! Tests of the borrowed view of a batch.

use super::*;
use crate::Attributes;

fn sample(base_offset: Offset, body: &[u8]) -> Vec<u8> {
    let mut header = BatchHeader {
        base_offset,
        length: (HEADER_SIZE - LOG_OVERHEAD + body.len()) as i32,
        partition_leader_epoch: 3,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: 4,
        base_timestamp: 1000,
        max_timestamp: 1007,
        producer_id: 9,
        producer_epoch: 1,
        base_sequence: i32::MAX - 1,
        count: 5,
    };
    header.crc = crc::crc32c_of_two(&header.encode()[ATTRIBUTES_AT..], body);
    [&header.encode()[..], body].concat()
}

#[test]
fn header_round_trips_and_derives_its_fields() {
    let bytes = sample(40, b"records");
    let batch = Batch::parse(&bytes).unwrap();
    batch.verify().unwrap();
    assert_eq!(batch.header().encode()[..], bytes[..HEADER_SIZE]);
    assert_eq!((batch.base_offset, batch.last_offset(), batch.next_offset()), (40, 44, 45));
    assert_eq!((batch.size_in_bytes(), batch.body()), (68, &b"records"[..]));
    assert_eq!(batch.last_sequence(), 2);
    assert_eq!(peek(&bytes), Ok(Frame { base_offset: 40, size: 68, magic: 2 }));
}

#[test]
fn every_flipped_bit_behind_the_crc_is_noticed() {
    let bytes = sample(0, b"some records");
    for at in CRC_AT..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let result = Batch::parse(&bytes).unwrap().verify();
            assert!(matches!(result, Err(BatchError::BadCrc { .. })), "byte {at} bit {bit}: {result:?}");
        }
    }
}

#[test]
fn leader_fields_do_not_touch_the_crc_unless_the_timestamp_changes() {
    let bytes = sample(0, b"some records");
    let batch = Batch::parse(&bytes).unwrap();
    let mut fields = LeaderFields { base_offset: 1 << 40, leader_epoch: 77, timestamp: None };
    let header = batch.patched_header(&fields);
    assert_eq!(header[CRC_AT..], bytes[CRC_AT..HEADER_SIZE]);
    let patched = [&header[..], batch.body()].concat();
    let view = Batch::parse(&patched).unwrap();
    view.verify().unwrap();
    assert_eq!((view.base_offset, view.partition_leader_epoch), (1 << 40, 77));

    fields.timestamp = Some((TimestampType::LogAppendTime, 5_000));
    let patched = [&batch.patched_header(&fields)[..], batch.body()].concat();
    let view = Batch::parse(&patched).unwrap();
    view.verify().unwrap();
    assert_eq!((view.timestamp_type(), view.max_timestamp), (TimestampType::LogAppendTime, 5_000));
    assert_ne!(view.crc, batch.crc);

    let mut owned = [&bytes[..], b"next batch"].concat();
    fields.patch_in_place(&mut owned).unwrap();
    assert_eq!(owned[..bytes.len()], patched[..]);
    assert_eq!(&owned[bytes.len()..], b"next batch");
}

#[test]
fn a_walk_ends_at_the_torn_or_corrupt_batch_and_says_where() {
    let one = sample(0, b"first");
    let mut run = [&one[..], &sample(5, b"second")].concat();
    assert_eq!(BatchIter::verified(&run).map(|b| b.unwrap().base_offset).collect::<Vec<_>>(), [0, 5]);
    for cut in one.len() + 1..run.len() {
        let results: Vec<_> = BatchIter::new(&run[..cut]).collect();
        assert_eq!(results.len(), 2);
        let error = results[1].unwrap_err();
        assert!(error.position == one.len() && error.error.is_torn(), "{cut}: {error}");
    }
    *run.last_mut().unwrap() ^= 1;
    assert_eq!(BatchIter::new(&run).filter(Result::is_ok).count(), 2);
    let mut walk = BatchIter::verified(&run);
    assert!(walk.next().unwrap().is_ok());
    let error = walk.next().unwrap().unwrap_err();
    assert!(error.position == one.len() && matches!(error.error, BatchError::BadCrc { .. }));
    assert!(walk.next().is_none() && walk.position() == one.len());
}

#[test]
fn bad_lengths_and_magics_are_corruption_not_a_torn_tail() {
    let good = sample(0, b"");
    for length in [i32::MIN, -1, 0, 13, 14, 48] {
        let mut bytes = good.clone();
        bytes[8..12].copy_from_slice(&i32::to_be_bytes(length));
        assert!(matches!(Batch::parse(&bytes), Err(BatchError::BadLength { .. })), "{length}");
    }
    let mut bytes = good.clone();
    bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(Batch::parse(&bytes), Err(BatchError::Torn { needed: 12 + i32::MAX as usize, available: 61 }));
    for magic in [-1i8, 0, 1, 3] {
        let mut bytes = good.clone();
        bytes[MAGIC_AT] = magic as u8;
        assert_eq!(Batch::parse(&bytes), Err(BatchError::BadMagic { magic }));
        assert_eq!(Batch::parse(&bytes[..20]), Err(BatchError::BadMagic { magic }));
    }
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let sound = *Batch::parse(&sample(0, b"")).unwrap().header();
    sound.check_offsets().unwrap();
    BatchHeader { count: 0, ..sound }.check_offsets().unwrap();
    for bad in [
        BatchHeader { count: -1, ..sound },
        BatchHeader { count: 6, ..sound },
        BatchHeader { last_offset_delta: -1, count: 0, ..sound },
        BatchHeader { base_offset: -1, ..sound },
        BatchHeader { base_offset: i64::MAX - 4, ..sound },
    ] {
        assert!(matches!(bad.check_offsets(), Err(BatchError::BadOffsets { .. })), "{bad:?}");
    }
}
