//! Whatever is built is read back the same: records, producer fields, control records, varints.

use ottla_records::control::{self, Endpoint, LeaderChange, LeaderChangeVoter, Voter, Voters};
use ottla_records::validate::{Rules, produced, sound_records};
use ottla_records::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug, Clone)]
struct Owned {
    timestamp: i64,
    gap: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

fn record() -> impl Strategy<Value = Owned> {
    let bytes = || vec(any::<u8>(), 0..200);
    let timestamp = prop_oneof![Just(-1), 1_700_000_000_000..1_700_003_000_000i64, 0..i64::MAX];
    (
        timestamp,
        0..3i32,
        option::of(bytes()),
        option::of(bytes()),
        vec((vec(any::<u8>(), 0..9), option::of(bytes())), 0..4),
    )
        .prop_map(|(timestamp, gap, key, value, headers)| Owned { timestamp, gap, key, value, headers })
}

fn append(builder: &mut BatchBuilder, offset: i64, record: &Owned) {
    let headers: Vec<_> =
        record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
    let new = NewRecord {
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &headers,
    };
    builder.append_at(offset, &new);
}

fn assert_same(read: &Record<'_>, wanted: &Owned) {
    assert_eq!(
        (read.timestamp, read.key, read.value),
        (wanted.timestamp, wanted.key.as_deref(), wanted.value.as_deref())
    );
    let headers: Vec<_> =
        read.headers.iter().map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec))).collect();
    assert_eq!(headers, wanted.headers);
    assert_eq!(read.headers.len(), wanted.headers.len());
}

proptest! {
    #[test]
    fn batches(
        records in vec(record(), 1..30),
        base_offset in 0..i64::MAX / 2,
        codec in proptest::sample::select(&Compression::ALL),
        producer in (0..i64::MAX, 0..i16::MAX, 0..i32::MAX),
        transactional: bool,
    ) {
        let mut builder = BatchBuilder::new(base_offset)
            .leader_epoch(3)
            .compression(codec, None)
            .producer(producer.0, producer.1, producer.2)
            .transactional(transactional);
        let (mut offset, mut offsets) = (base_offset, vec![]);
        for record in &records {
            offset += i64::from(record.gap);
            append(&mut builder, offset, record);
            offsets.push(offset);
            offset += 1;
        }
        let plain_size = builder.size();
        let bytes = builder.build();
        let mut decompressor = Decompressor::new();
        let batch = Batch::parse(&bytes).unwrap();
        batch.verify().unwrap();
        sound_records(&batch, &mut decompressor, plain_size).unwrap();
        prop_assert_eq!(batch.next_offset(), offset);
        prop_assert_eq!(batch.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!((batch.producer_id, batch.producer_epoch, batch.base_sequence), producer);
        prop_assert_eq!(batch.is_transactional(), transactional);

        let mut rebuilt = BatchBuilder::new(base_offset)
            .leader_epoch(3)
            .compression(codec, None)
            .producer(producer.0, producer.1, producer.2)
            .transactional(transactional);
        let mut sizes = 0;
        for ((read, wanted), offset) in
            decompressor.records(&batch, plain_size).unwrap().zip(&records).zip(&offsets)
        {
            let read = read.unwrap();
            prop_assert_eq!(read.offset, *offset);
            prop_assert_eq!(
                read.sequence,
                ids::add_sequence(producer.2, (offset - base_offset) as i32)
            );
            assert_same(&read, wanted);
            sizes += read.size_in_bytes;
            rebuilt.append_record(&read);
        }
        prop_assert_eq!(sizes + HEADER_SIZE, plain_size);
        prop_assert_eq!(rebuilt.build(), bytes);
    }

    #[test]
    fn what_a_client_builds_is_accepted(records in vec(record(), 1..30), codec in proptest::sample::select(&Compression::ALL)) {
        let mut builder = BatchBuilder::new(0).compression(codec, None);
        for (offset, record) in records.iter().enumerate() {
            append(&mut builder, offset as i64, record);
        }
        let bytes = builder.build();
        let rules = Rules { timestamp_after_max_ms: i64::MAX, inspect_compressed: true, ..Rules::default() };
        let mut decompressor = Decompressor::new();
        let accepted = produced(&bytes, &rules, 0, &mut decompressor).unwrap();
        let max_timestamp = records.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(accepted.timestamp, (TimestampType::CreateTime, max_timestamp));
    }

    #[test]
    fn leader_changes(version in 0..2i16, leader_id: i32, voters in vec((any::<i32>(), any::<u128>()), 0..9)) {
        let voters: Vec<_> = voters
            .into_iter()
            .map(|(id, bits)| LeaderChangeVoter {
                id,
                directory_id: if version == 0 { Uuid::nil() } else { Uuid::from_u128(bits) },
            })
            .collect();
        let granting_voters = voters.iter().skip(1).copied().collect();
        same_again(ControlRecord::LeaderChange(LeaderChange { version, leader_id, voters, granting_voters }));
    }

    #[test]
    fn voter_sets(voters in vec((any::<i32>(), any::<u128>(), vec((".{0,140}", ".{0,20}", any::<u16>()), 0..4), any::<(i16, i16)>()), 0..5)) {
        let voters = voters
            .into_iter()
            .map(|(id, bits, endpoints, range)| Voter {
                id,
                directory_id: Uuid::from_u128(bits),
                endpoints: endpoints.into_iter().map(|(name, host, port)| Endpoint { name, host, port }).collect(),
                min_kraft_version: range.0,
                max_kraft_version: range.1,
            })
            .collect();
        same_again(ControlRecord::KRaftVoters(Voters { version: 0, voters }));
    }

    #[test]
    fn varints(int: i32, long: i64, unsigned: u32, wide: u64) {
        let mut out = vec![];
        varint::write_i32(&mut out, int);
        varint::write_i64(&mut out, long);
        varint::write_u32(&mut out, unsigned);
        varint::write_u64(&mut out, wide);
        let size = varint::size_of_i32(int) + varint::size_of_i64(long) + varint::size_of_u32(unsigned) + varint::size_of_u64(wide);
        prop_assert_eq!(out.len(), size);
        let mut at = 0;
        prop_assert_eq!(varint::read_i32(&out, &mut at), Ok(int));
        prop_assert_eq!(varint::read_i64(&out, &mut at), Ok(long));
        prop_assert_eq!(varint::read_u32(&out, &mut at), Ok(unsigned));
        prop_assert_eq!(varint::read_u64(&out, &mut at), Ok(wide));
        prop_assert_eq!(at, out.len());
    }

    #[test]
    fn uuids(bits: u128) {
        let id = Uuid::from_u128(bits);
        prop_assert_eq!(uuid_text::decode(&uuid_text::encode(&id)), Ok(id));
    }
}

/// Reads a control record out of a batch made of it, with an unknown tagged field added at its end as well.
fn same_again(record: ControlRecord) {
    let bytes = control::control_batch(5, 1, 77, std::slice::from_ref(&record));
    let batch = Batch::parse(&bytes).unwrap();
    batch.verify().unwrap();
    let read = batch.plain_records().unwrap().next().unwrap().unwrap();
    assert_eq!(ControlRecord::parse(&read).as_ref(), Ok(&record));

    let mut value = record.value();
    value.pop();
    value.extend_from_slice(&[1, 99, 3, b'n', b'e', b'w']);
    assert_eq!(ControlRecord::parse_parts(Some(&record.control_type().key()), Some(&value)), Ok(record));
}

#[test]
fn a_delete_horizon_takes_the_place_of_the_base_timestamp() {
    let mut builder = BatchBuilder::new(0).delete_horizon(9_000);
    builder.append(&NewRecord::new(1_000, Some(b"k"), None));
    let bytes = builder.build();
    let batch = Batch::parse(&bytes).unwrap();
    batch.verify().unwrap();
    assert_eq!((batch.delete_horizon(), batch.max_timestamp), (Some(9_000), 1_000));
    assert_eq!(batch.plain_records().unwrap().next().unwrap().unwrap().timestamp, 1_000);
}
