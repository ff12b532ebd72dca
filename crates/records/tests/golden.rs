//! Batches written by Apache Kafka 4.3.1's own classes (`golden/Golden.java`), read here field by field; and,
//! where no compressor has a say, written here byte for byte.

use ottla_records::builder::empty_batch;
use ottla_records::control::{
    self, Endpoint, KRaftVersion, LeaderChange, LeaderChangeVoter, SnapshotFooter, SnapshotHeader, Voter,
    Voters,
};
use ottla_records::validate::{Rules, produced, sound_records};
use ottla_records::*;
use uuid::Uuid;

const T: i64 = 1_700_000_000_000;

/// The entries of a golden file.
fn golden(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/tests/golden/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .map(|line| {
            let digits: Vec<u8> =
                line.chars().map(|digit| digit.to_digit(16).expect("a hexadecimal digit") as u8).collect();
            digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
        })
        .collect()
}

fn only(name: &str) -> Vec<u8> {
    let [entry] = golden(name).try_into().expect("one entry");
    entry
}

const HEADERS: [Header<'static>; 4] = [
    Header { key: b"a", value: Some(b"1") },
    Header { key: b"b", value: None },
    Header { key: b"a", value: Some(b"2") },
    Header { key: b"", value: Some(b"") },
];

fn content() -> [NewRecord<'static>; 4] {
    [
        NewRecord::new(T, Some(b"k0"), Some(b"value 0")),
        NewRecord { timestamp: T + 250, key: None, value: Some(b"no key"), headers: &HEADERS },
        NewRecord::new(T - 1000, Some(b"tombstone"), None),
        NewRecord::new(T + 100, Some(b""), Some(b"")),
    ]
}

fn builder() -> BatchBuilder {
    BatchBuilder::new(42).leader_epoch(7).producer(4711, 3, i32::MAX - 1).transactional(true)
}

#[test]
fn batches_of_every_codec_hold_the_records_that_were_written() {
    let mut decompressor = Decompressor::new();
    for codec in Compression::ALL {
        let bytes = only(&format!("magic2-{codec}"));
        let batch = Batch::parse(&bytes).unwrap();
        batch.verify().unwrap();
        sound_records(&batch, &mut decompressor, 1 << 20).unwrap();
        assert_eq!(batch.size_in_bytes(), bytes.len());
        assert_eq!(batch.compression(), Some(codec));
        assert_eq!((batch.base_offset, batch.last_offset(), batch.partition_leader_epoch), (42, 45, 7));
        assert_eq!((batch.base_timestamp, batch.max_timestamp), (T, T + 250));
        assert_eq!((batch.producer_id, batch.producer_epoch), (4711, 3));
        assert_eq!((batch.base_sequence, batch.last_sequence()), (i32::MAX - 1, 1));
        assert!(batch.is_transactional() && !batch.is_control());

        let records: Vec<_> = decompressor.records(&batch, 1 << 20).unwrap().map(Result::unwrap).collect();
        let sequences = [i32::MAX - 1, i32::MAX, 0, 1];
        assert_eq!(records.len(), 4);
        for (index, (record, wanted)) in records.iter().zip(content()).enumerate() {
            assert_eq!(record.offset, 42 + index as i64, "{codec}");
            assert_eq!(record.sequence, sequences[index]);
            assert_eq!(
                (record.timestamp, record.key, record.value),
                (wanted.timestamp, wanted.key, wanted.value)
            );
            assert_eq!(record.headers.iter().collect::<Vec<_>>(), wanted.headers);
        }
    }
}

#[test]
fn long_batches_of_every_codec_are_read_whole() {
    let mut decompressor = Decompressor::new();
    for codec in &Compression::ALL[1..] {
        let bytes = only(&format!("large-{codec}"));
        let batch = Batch::parse(&bytes).unwrap();
        let rules = Rules { inspect_compressed: true, require_keys: true, ..Rules::default() };
        let accepted = produced(&bytes, &rules, T, &mut decompressor).unwrap();
        assert_eq!(accepted.timestamp, (TimestampType::CreateTime, T + 699));
        let mut count = 0;
        for (index, record) in decompressor.records(&batch, 1 << 20).unwrap().enumerate() {
            let record = record.unwrap();
            assert_eq!(record.key.unwrap(), format!("key-{}", index % 97).as_bytes());
            let value = format!("value number {index}{}", " of a longer batch ".repeat(5));
            assert_eq!(record.value.unwrap(), value.as_bytes());
            assert_eq!((record.offset, record.timestamp), (index as i64, T + index as i64));
            count += 1;
        }
        assert_eq!(count, 700, "{codec}");
    }
}

#[test]
fn a_plain_batch_is_built_byte_for_byte() {
    let mut builder = builder();
    content().iter().for_each(|record| {
        builder.append(record);
    });
    assert_eq!(builder.size(), only("magic2-none").len());
    assert_eq!(builder.build(), only("magic2-none"));

    let mut builder = BatchBuilder::new(42).append_time(1_700_000_123_456);
    content().iter().for_each(|record| {
        builder.append(record);
    });
    let bytes = builder.build();
    assert_eq!(bytes, only("append-time"));
    let times: Vec<i64> = Batch::parse(&bytes)
        .unwrap()
        .plain_records()
        .unwrap()
        .map(|record| record.unwrap().timestamp)
        .collect();
    assert_eq!(times, [1_700_000_123_456; 4]);
}

#[test]
fn a_batch_emptied_by_compaction_is_built_byte_for_byte() {
    let bytes = only("magic2-none");
    let empty = only("empty");
    assert_eq!(empty_batch(Batch::parse(&bytes).unwrap().header()), empty);
    let batch = Batch::parse(&empty).unwrap();
    batch.verify().unwrap();
    assert_eq!((batch.count, batch.last_offset(), batch.last_sequence()), (0, 45, 1));
    assert_eq!(batch.plain_records().unwrap().count(), 0);
}

#[test]
fn recompressing_keeps_everything_but_the_codec() {
    let (mut decompressor, mut compressor) = (Decompressor::new(), Compressor::new());
    let plain = only("magic2-none");
    for from in Compression::ALL {
        let bytes = only(&format!("magic2-{from}"));
        let batch = Batch::parse(&bytes).unwrap();
        for to in Compression::ALL {
            let again =
                builder::recompress(&batch, to, None, &mut decompressor, &mut compressor, 1 << 20).unwrap();
            let again = Batch::parse(&again).unwrap();
            again.verify().unwrap();
            assert_eq!(again.compression(), Some(to));
            let back = builder::recompress(
                &again,
                Compression::None,
                None,
                &mut decompressor,
                &mut compressor,
                1 << 20,
            );
            assert_eq!(back.unwrap(), plain, "{from} to {to}");
        }
    }
}

#[test]
fn transaction_markers_are_read_and_built_byte_for_byte() {
    let entries = golden("markers");
    assert_eq!(entries.len(), 2);
    for (bytes, (commit, coordinator_epoch)) in entries.iter().zip([(true, 17), (false, 18)]) {
        assert_eq!(control::end_transaction_batch(42, 7, T, (4711, 3), commit, coordinator_epoch), *bytes);
        let batch = Batch::parse(bytes).unwrap();
        assert!(batch.is_control() && batch.is_transactional() && batch.last_sequence() == -1);
        let record = batch.plain_records().unwrap().next().unwrap().unwrap();
        assert_eq!(
            ControlRecord::parse(&record),
            Ok(ControlRecord::EndTransaction { commit, coordinator_epoch })
        );
    }
}

#[test]
fn kraft_records_are_read_and_built_byte_for_byte() {
    let voter = |id| LeaderChangeVoter { id, directory_id: Uuid::nil() };
    let endpoint = |name: &str, host: &str, port| Endpoint { name: name.into(), host: host.into(), port };
    let expected = [
        (
            10,
            ControlRecord::LeaderChange(LeaderChange {
                version: 0,
                leader_id: 2,
                voters: vec![voter(1), voter(2), voter(3)],
                granting_voters: vec![voter(2), voter(3)],
            }),
        ),
        (
            0,
            ControlRecord::SnapshotHeader(SnapshotHeader {
                version: 0,
                last_contained_log_timestamp: 1_699_999_999_999,
            }),
        ),
        (9, ControlRecord::SnapshotFooter(SnapshotFooter { version: 0 })),
        (1, ControlRecord::KRaftVersion(KRaftVersion { version: 0, kraft_version: 1 })),
        (
            2,
            ControlRecord::KRaftVoters(Voters {
                version: 0,
                voters: vec![
                    Voter {
                        id: 1,
                        directory_id: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
                        endpoints: vec![
                            endpoint("CONTROLLER", "localhost", 9093),
                            endpoint("C2", "höst", 65535),
                        ],
                        min_kraft_version: 0,
                        max_kraft_version: 1,
                    },
                    Voter {
                        id: 2,
                        directory_id: Uuid::nil(),
                        endpoints: vec![],
                        min_kraft_version: 1,
                        max_kraft_version: 1,
                    },
                ],
            }),
        ),
    ];
    let entries = golden("kraft");
    assert_eq!(entries.len(), expected.len());
    for (bytes, (offset, record)) in entries.iter().zip(expected) {
        let batch = Batch::parse(bytes).unwrap();
        batch.verify().unwrap();
        let read = batch.plain_records().unwrap().next().unwrap().unwrap();
        assert_eq!(ControlRecord::parse(&read).as_ref(), Ok(&record));
        assert_eq!(control::control_batch(offset, 7, T, &[record]), *bytes);
    }
}

#[test]
fn messages_of_magic_0_and_1_are_read() {
    let mut decompressor = Decompressor::new();
    for magic in [0, 1] {
        for codec in &Compression::ALL[..4] {
            let bytes = only(&format!("magic{magic}-{codec}"));
            let (mut at, mut records) = (0, vec![]);
            while at < bytes.len() {
                let entry = Entry::parse(&bytes[at..]).unwrap();
                entry.verify().unwrap();
                assert_eq!((entry.magic(), entry.compression()), (magic, Some(*codec)));
                at += entry.bytes().len();
                let first = entry.base_offset(&mut decompressor, 1 << 20).unwrap();
                let inside: Vec<_> = entry
                    .records(&mut decompressor, 1 << 20)
                    .unwrap()
                    .map(|record| {
                        let record = record.unwrap();
                        (
                            record.offset,
                            record.timestamp,
                            record.key.map(<[u8]>::to_vec),
                            record.value.map(<[u8]>::to_vec),
                        )
                    })
                    .collect();
                assert_eq!(inside.first().unwrap().0, first);
                assert_eq!(inside.last().unwrap().0, entry.last_offset());
                assert_eq!(inside.iter().map(|record| record.1).max().unwrap(), entry.max_timestamp());
                records.extend(inside);
            }
            let time = |timestamp| if magic == 0 { -1 } else { timestamp };
            let text = |text: &str| Some(text.as_bytes().to_vec());
            assert_eq!(
                records,
                [
                    (100, time(1_500_000_000_000), text("k0"), text("value 0")),
                    (101, time(1_500_000_000_500), None, text("no key")),
                    (105, time(1_500_000_000_250), text("tombstone"), None),
                ],
                "magic {magic} {codec}"
            );
        }
    }
}

#[test]
fn the_append_time_of_a_magic_1_wrapper_is_that_of_its_messages() {
    let bytes = only("magic1-append-time");
    let entry = Entry::parse(&bytes).unwrap();
    assert_eq!(entry.timestamp_type(), TimestampType::LogAppendTime);
    let mut decompressor = Decompressor::new();
    let times: Vec<_> =
        entry.records(&mut decompressor, 1 << 20).unwrap().map(|record| record.unwrap().timestamp).collect();
    assert_eq!(times, [1_600_000_000_000; 3]);
}

#[test]
fn every_flipped_bit_of_an_old_message_is_noticed() {
    let bytes = only("magic1-gzip");
    for at in 12..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        let result = Entry::parse(&bytes).and_then(|entry| entry.verify());
        assert!(result.is_err(), "byte {at}");
    }
}
