//! Tests of what a leader asks of a produced batch.

use super::*;
use crate::batch::HEADER_SIZE;
use crate::{Attributes, BatchBuilder, NewRecord, crc};

const NOW: TimestampMs = 1_700_000_000_000;

fn batch_of(codec: Compression, records: &[NewRecord<'_>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).compression(codec, None).producer(5, 0, 10);
    records.iter().for_each(|record| {
        builder.append(record);
    });
    builder.build()
}

fn good(codec: Compression) -> Vec<u8> {
    let records = [NOW, NOW + 5, NOW - 7].map(|time| NewRecord::new(time, Some(b"key"), Some(b"value")));
    batch_of(codec, &records)
}

fn check<'a>(bytes: &'a [u8], rules: &Rules) -> Result<Accepted<'a>, Rejected> {
    produced(bytes, rules, NOW, &mut Decompressor::new())
}

/// Changes header fields (not the length) and makes the CRC right again.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = *Batch::parse(bytes).unwrap().header();
    change(&mut header);
    sealed(header, &bytes[HEADER_SIZE..])
}

fn sealed(mut header: BatchHeader, body: &[u8]) -> Vec<u8> {
    header.length = (HEADER_SIZE - 12 + body.len()) as i32;
    header.crc = crc::crc32c_of_two(&header.encode()[21..], body);
    [&header.encode()[..], body].concat()
}

fn inspect_all() -> Rules {
    Rules { inspect_compressed: true, ..Rules::default() }
}

#[test]
fn sound_batches_of_every_codec_are_accepted() {
    for codec in Compression::ALL {
        let bytes = good(codec);
        for rules in [Rules::default(), inspect_all()] {
            let accepted = check(&bytes, &rules).unwrap();
            assert_eq!(accepted.timestamp, (TimestampType::CreateTime, NOW + 5));
            let header = accepted.batch.patched_header(&accepted.leader_fields(900, 4));
            let stored = [&header[..], accepted.batch.body()].concat();
            let stored = Batch::parse(&stored).unwrap();
            stored.verify().unwrap();
            assert_eq!(
                (stored.base_offset, stored.last_offset(), stored.partition_leader_epoch),
                (900, 902, 4)
            );
            assert_eq!(stored.crc, accepted.batch.crc, "nothing under the CRC has changed");
        }
    }
}

#[test]
fn append_time_topics_stamp_the_batch() {
    let rules = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        timestamp_before_max_ms: 0,
        ..Rules::default()
    };
    let old = batch_of(Compression::None, &[NewRecord::new(3, None, Some(b"v"))]);
    assert_eq!(check(&old, &rules).unwrap().timestamp, (TimestampType::LogAppendTime, NOW));
}

#[test]
fn a_wrong_max_timestamp_is_put_right() {
    let bytes = with_header(&good(Compression::None), |header| header.max_timestamp = NOW + 1000);
    let accepted = check(&bytes, &Rules::default()).unwrap();
    assert_eq!(accepted.timestamp.1, NOW + 5);
    let header = accepted.batch.patched_header(&accepted.leader_fields(0, 0));
    let stored = [&header[..], accepted.batch.body()].concat();
    let stored = Batch::parse(&stored).unwrap();
    stored.verify().unwrap();
    assert_eq!(stored.max_timestamp, NOW + 5);
}

#[test]
fn one_whole_batch_and_nothing_else_is_asked_for() {
    let bytes = good(Compression::None);
    let rules = Rules::default();
    assert_eq!(check(&[], &rules), Err(Rejected::Empty));
    let two = [&bytes[..], &bytes].concat();
    assert_eq!(check(&two, &rules), Err(Rejected::Trailing { left: bytes.len() }));
    assert_eq!(check(&bytes[..bytes.len() - 1], &rules).unwrap_err().kind(), RejectionKind::Corrupt);
    for cut in [1, 16, 17, 60, 61] {
        assert_eq!(check(&bytes[..cut], &rules).unwrap_err().kind(), RejectionKind::Corrupt, "{cut}");
    }
    for magic in [0, 1, 3, 0x80] {
        let mut bytes = bytes.clone();
        bytes[MAGIC_AT] = magic;
        let expected = if magic < 2 { RejectionKind::Invalid } else { RejectionKind::Corrupt };
        assert_eq!(check(&bytes, &rules).unwrap_err().kind(), expected, "{magic}");
    }
    let tiny = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 0, 1][..], &[0; 9]].concat();
    assert_eq!(check(&tiny, &rules), Err(Rejected::OldMagic { magic: 1 }));
    let small = Rules { max_batch_bytes: bytes.len() - 1, ..rules };
    assert_eq!(check(&bytes, &small).unwrap_err().kind(), RejectionKind::TooLarge);
    assert!(check(&bytes, &Rules { max_batch_bytes: bytes.len(), ..rules }).is_ok());
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(check(&flipped, &rules).unwrap_err().kind(), RejectionKind::Corrupt);
}

#[test]
fn headers_a_client_may_not_send_are_refused() {
    let refused = |change: fn(&mut BatchHeader)| {
        check(&with_header(&good(Compression::None), change), &Rules::default()).unwrap_err()
    };
    assert_eq!(refused(|h| h.base_offset = 1), Rejected::BaseOffset { base_offset: 1 });
    assert_eq!(
        refused(|h| h.last_offset_delta = -1),
        Rejected::OffsetRange { base_offset: 0, last_offset: -1 }
    );
    assert_eq!(refused(|h| h.count = 0), Rejected::Count { count: 0 });
    assert_eq!(refused(|h| h.count = i32::MIN), Rejected::Count { count: i32::MIN });
    assert_eq!(
        refused(|h| h.count = 4),
        Rejected::CountMismatch { base_offset: 0, last_offset: 2, count: 4 }
    );
    assert_eq!(refused(|h| h.last_offset_delta = i32::MAX).kind(), RejectionKind::Invalid);
    assert_eq!(refused(|h| h.attributes = h.attributes.with_control(true)), Rejected::Control);
    assert_eq!(refused(|h| h.base_sequence = -1), Rejected::Sequence { sequence: -1, producer_id: 5 });
    assert_eq!(refused(|h| h.attributes = Attributes(0x80)), Rejected::Attributes { bits: 0x80 });
    assert_eq!(refused(|h| h.attributes = Attributes(0x40)), Rejected::Attributes { bits: 0x40 });
    for id in 5..8 {
        let bytes = with_header(&good(Compression::None), |h| h.attributes = Attributes(id));
        assert_eq!(check(&bytes, &Rules::default()), Err(Rejected::UnknownCodec { id: id as u8 }));
    }
    let without_producer =
        with_header(&good(Compression::None), |h| (h.producer_id, h.base_sequence) = (-1, -1));
    assert!(check(&without_producer, &Rules::default()).is_ok());
}

#[test]
fn append_time_batches_from_clients_are_refused() {
    let bytes = with_header(&good(Compression::Zstd), |header| {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    });
    let rejected = check(&bytes, &Rules::default()).unwrap_err();
    assert_eq!(rejected.kind(), RejectionKind::Timestamp);
    assert!(matches!(rejected, Rejected::Records { records, .. } if records.len() == 3));
}

#[test]
fn counts_that_the_body_does_not_have_are_refused() {
    for codec in Compression::ALL {
        for count in [1, 2, 4, 1000, i32::MAX] {
            let bytes = with_header(&good(codec), |header| {
                header.count = count;
                header.last_offset_delta = count - 1;
            });
            let rejected = check(&bytes, &inspect_all()).unwrap_err();
            assert!(matches!(rejected, Rejected::Structure(_)), "{codec} {count}: {rejected:?}");
        }
    }
}

#[test]
fn offsets_that_are_not_consecutive_are_refused() {
    let record = NewRecord::new(NOW, None, Some(b"v"));
    for codec in [Compression::None, Compression::Lz4] {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        builder.append(&record);
        builder.append_at(2, &record);
        let bytes = with_header(&builder.build(), |header| header.last_offset_delta = 1);
        let rejected = check(&bytes, &inspect_all()).unwrap_err();
        assert_eq!(rejected, Rejected::OffsetDelta { index: 1, offset_delta: 2 });
        assert_eq!(check(&bytes, &Rules::default()).is_ok(), codec == Compression::Lz4, "not looked at");
    }
}

#[test]
fn every_record_without_a_key_is_named() {
    let keys = [Some(&b"k"[..]), None, Some(b""), None];
    let records = keys.map(|key| NewRecord::new(NOW, key, Some(b"v")));
    for codec in Compression::ALL {
        let bytes = batch_of(codec, &records);
        assert!(check(&bytes, &Rules::default()).is_ok());
        let rules = Rules { require_keys: true, ..Rules::default() };
        let rejected = check(&bytes, &rules).unwrap_err();
        assert_eq!(rejected.kind(), RejectionKind::Invalid);
        let Rejected::Records { records, .. } = rejected else { panic!("{rejected:?}") };
        assert_eq!(records.iter().map(|record| record.index).collect::<Vec<_>>(), [1, 3]);
    }
}

#[test]
fn a_long_list_of_offenders_is_cut_but_counted() {
    let records = vec![NewRecord::new(NOW, None, None); LISTED_MAX + 5];
    let rules = Rules { require_keys: true, ..Rules::default() };
    for codec in [Compression::None, Compression::Zstd] {
        let rejected = check(&batch_of(codec, &records), &rules).unwrap_err();
        assert!(rejected.to_string().contains("due to 1005 record errors"), "{rejected}");
        assert!(
            matches!(rejected, Rejected::Records { total: 1005, records, .. } if records.len() == LISTED_MAX)
        );
    }
}

#[test]
fn timestamps_outside_the_window_are_named_and_minus_one_is_not() {
    let times = [NOW, NOW + 101, -1, NOW - 51, NOW + 100, NOW - 50, i64::MAX, i64::MIN + 1];
    let records = times.map(|time| NewRecord::new(time, None, Some(b"v")));
    for codec in Compression::ALL {
        let bytes = batch_of(codec, &records);
        let rules = Rules { timestamp_before_max_ms: 50, timestamp_after_max_ms: 100, ..Rules::default() };
        let rejected = check(&bytes, &rules).unwrap_err();
        assert_eq!(rejected.kind(), RejectionKind::Timestamp);
        let Rejected::Records { window, records, .. } = rejected else { panic!("{rejected:?}") };
        assert_eq!(window, (NOW - 50, NOW + 100));
        assert_eq!(records.iter().map(|record| record.index).collect::<Vec<_>>(), [1, 3, 6, 7]);
        assert!(
            records[0]
                .message(window)
                .starts_with(&format!("Timestamp {} of message with offset 1", NOW + 101))
        );
    }
    let unstamped = batch_of(Compression::None, &[NewRecord::new(-1, None, None)]);
    let rules = Rules { timestamp_before_max_ms: 50, ..Rules::default() };
    assert_eq!(check(&unstamped, &rules).unwrap().timestamp.1, -1);
}

#[test]
fn compressed_batches_that_claim_the_future_are_looked_into() {
    let late = batch_of(Compression::Gzip, &[NewRecord::new(NOW + 3_600_001, None, None)]);
    assert_eq!(check(&late, &Rules::default()).unwrap_err().kind(), RejectionKind::Timestamp);
    let lying = with_header(&good(Compression::Gzip), |header| header.max_timestamp = i64::MAX);
    assert_eq!(check(&lying, &Rules::default()).unwrap().timestamp.1, NOW + 5);
}

#[test]
fn compressed_bombs_and_rubbish_are_refused_when_looked_into() {
    let value = vec![0; 10_000_000];
    for codec in &Compression::ALL[1..] {
        let bomb = batch_of(*codec, &[NewRecord::new(NOW, None, Some(&value))]);
        let rules = Rules { max_decompressed_bytes: 1 << 20, ..inspect_all() };
        assert_eq!(check(&bomb, &rules).unwrap_err().kind(), RejectionKind::TooLarge, "{codec}");
        let header = *Batch::parse(&bomb).unwrap().header();
        let rubbish = sealed(header, b"this is not what it says it is");
        assert!(matches!(check(&rubbish, &rules), Err(Rejected::Decompress(_))), "{codec}");
        let nothing = sealed(header, b"");
        assert!(matches!(check(&nothing, &rules), Err(Rejected::Decompress(_))), "{codec}");
    }
}

#[test]
fn compacted_batches_have_sound_records() {
    let mut builder = BatchBuilder::new(50).last_offset(60);
    for offset in [51, 55, 58] {
        builder.append_at(offset, &NewRecord::new(NOW, Some(b"k"), None));
    }
    let bytes = builder.build();
    let batch = Batch::parse(&bytes).unwrap();
    batch.verify().unwrap();
    assert_eq!((batch.base_offset, batch.last_offset(), batch.count), (50, 60, 3));
    sound_records(&batch, &mut Decompressor::new(), 0xffff).unwrap();
    let shrunk = with_header(&bytes, |header| header.last_offset_delta = 7);
    let shrunk = Batch::parse(&shrunk).unwrap();
    let result = sound_records(&shrunk, &mut Decompressor::new(), 0xffff);
    assert_eq!(result, Err(Rejected::OffsetDelta { index: 2, offset_delta: 8 }));
}

#[test]
fn negative_counts_in_a_log_are_corruption() {
    for count in [-1, i32::MIN] {
        let bytes = with_header(&good(Compression::None), |header| header.count = count);
        let result = sound_records(&Batch::parse(&bytes).unwrap(), &mut Decompressor::new(), 0xffff);
        assert!(matches!(result, Err(Rejected::Corrupt(BatchError::BadOffsets { .. }))), "{result:?}");
    }
}
