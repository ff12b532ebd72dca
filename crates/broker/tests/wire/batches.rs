//! Batches that a producer must not send, and what it is told about each.

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ListOffsetsRequest;
use ottla_protocol::messages::produce_request::TopicProduceData;
use ottla_records::{Attributes, Batch, BatchBuilder, BatchHeader, Compression, HEADER_SIZE, NewRecord, crc};
use uuid::Uuid;

use crate::fetch::{fetch, part};
use crate::offsets::moment;
use crate::support::{Client, Server, batch, code, frame, large, now_ms, produce};

/// Changes a batch's header and makes its CRC right again.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = *Batch::parse(bytes).unwrap().header();
    change(&mut header);
    let body = &bytes[HEADER_SIZE..];
    header.crc = crc::crc32c_of_two(&header.encode()[21..], body);
    [&header.encode()[..], body].concat()
}

fn end(client: &mut Client, topic: &str) -> i64 {
    let answer = client.ask::<ListOffsetsRequest>(7, &moment(topic, 0, -1));
    answer.topics[0].partitions[0].offset
}

#[test]
fn each_fault_of_a_batch_has_its_error() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    let good = batch(&["a", "b", "c"]);
    let invalid = ErrorCode::InvalidRecord;
    let mut wrong_crc = good.clone();
    *wrong_crc.last_mut().unwrap() ^= 1;
    let mut old = good.clone();
    old[16] = 1;
    let changed = |change: fn(&mut BatchHeader)| with_header(&good, change);
    let faults = [
        ("wrong CRC", wrong_crc, ErrorCode::CorruptMessage),
        ("cut off", good[..good.len() - 1].to_vec(), invalid),
        ("half a header", good[..30].to_vec(), invalid),
        (
            "shorter than a header",
            [&[0; 8][..], &10i32.to_be_bytes(), &good[12..]].concat(),
            ErrorCode::CorruptMessage,
        ),
        ("nothing", vec![], invalid),
        ("two batches", good.repeat(2), invalid),
        ("an old format", old, invalid),
        ("offsets of its own", changed(|h| h.base_offset = 5), invalid),
        ("fewer records than it says", changed(|h| (h.count, h.last_offset_delta) = (4, 3)), invalid),
        ("more records than it says", changed(|h| (h.count, h.last_offset_delta) = (2, 1)), invalid),
        ("2^31-1 records", changed(|h| (h.count, h.last_offset_delta) = (i32::MAX, i32::MAX - 1)), invalid),
        ("no records", changed(|h| (h.count, h.last_offset_delta) = (0, -1)), invalid),
        ("offsets that overlap", changed(|h| h.last_offset_delta = 1), invalid),
        ("reserved attributes", changed(|h| h.attributes = Attributes(0x80)), invalid),
        ("a delete horizon", changed(|h| h.attributes = Attributes(0x40)), invalid),
        ("control", changed(|h| h.attributes = h.attributes.with_control(true)), invalid),
        ("no such codec", changed(|h| h.attributes = Attributes(6)), invalid),
        ("a producer without sequence", changed(|h| (h.producer_id, h.producer_epoch) = (5, 0)), invalid),
        ("the future", batch_of(now_ms() + 7_200_000), ErrorCode::InvalidTimestamp),
        ("too large", large(1_100_000, Compression::None), ErrorCode::MessageTooLarge),
    ];
    for (what, bytes, expected) in faults {
        let answer = client.produce("t", 0, bytes);
        assert_eq!((answer.error_code, answer.base_offset), (code(expected), -1), "{what}");
    }
    assert_eq!(end(&mut client, "t"), 0, "nothing of it was taken");
    assert_eq!(client.append("t", 0, good), 0);
    assert_eq!(end(&mut client, "t"), 3);
}

fn batch_of(timestamp_ms: i64) -> Vec<u8> {
    crate::support::batch_at(timestamp_ms, &["x"])
}

#[test]
fn what_is_asked_for_wrongly_has_its_error_too() {
    let server = Server::start();
    let id = server.topic("t", 1, &[]);
    let mut client = server.client();
    let mut told = |version, request: &ottla_protocol::messages::ProduceRequest| {
        client.ask(version, request).responses[0].partition_responses[0].error_code
    };
    for acks in [2, -2, i16::MAX] {
        assert_eq!(told(9, &produce("t", 0, acks, batch(&["x"]))), code(ErrorCode::InvalidRequiredAcks));
    }
    assert_eq!(told(9, &produce("none", 0, 1, batch(&["x"]))), code(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(told(9, &produce("t", 1, 1, batch(&["x"]))), code(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(told(9, &produce("t", -1, 1, batch(&["x"]))), code(ErrorCode::UnknownTopicOrPartition));
    let zstd = large(10, Compression::Zstd);
    assert_eq!(told(6, &produce("t", 0, 1, zstd.clone())), code(ErrorCode::UnsupportedCompressionType));
    assert_eq!(told(7, &produce("t", 0, 1, zstd)), 0);
    let mut transactional = BatchBuilder::new(0).producer(1, 0, 0).transactional(true);
    transactional.append(&NewRecord::new(now_ms(), None, Some(b"v")));
    let mut request = produce("t", 0, 1, transactional.build());
    assert_eq!(told(9, &request), code(ErrorCode::TransactionalIdAuthorizationFailed));
    request.transactional_id = Some("someone".into());
    // Nobody knows of the transaction yet who could say that it does not exist: the client tries again.
    assert_eq!(told(9, &request), code(ErrorCode::NotEnoughReplicas));
    let mut null = produce("t", 0, 1, vec![]);
    null.topic_data[0].partition_data[0].records = None;
    assert_eq!(told(9, &null), code(ErrorCode::InvalidRecord));
    // From version 13 on topics are named by their ids.
    let by_id = |id: Uuid, index: i32| {
        let mut request = produce("", index, 1, batch(&["x"]));
        request.topic_data[0] = TopicProduceData { topic_id: id, ..request.topic_data[0].clone() };
        request
    };
    assert_eq!(told(13, &by_id(Uuid::from_u128(7), 0)), code(ErrorCode::UnknownTopicId));
    assert_eq!(told(13, &by_id(id, 9)), code(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(told(13, &by_id(id, 0)), 0);
    for version in 3..=12 {
        assert_eq!(told(version, &produce("t", 0, 1, batch(&["x"]))), 0, "version {version}");
    }
}

#[test]
fn internal_topics_are_not_for_clients() {
    let server = Server::start();
    let mut client = server.client();
    crate::offsets::find_group(&mut client, "g");
    let answer = client.produce("__consumer_offsets", 0, batch(&["x"]));
    assert_eq!(answer.error_code, code(ErrorCode::InvalidTopicException));
}

#[test]
fn a_failed_request_with_acks_0_closes_the_connection() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    client.write(&frame(1, 9, &produce("t", 0, 0, batch(&["kept"]))));
    client.write(&frame(2, 9, &produce("t", 0, 0, b"rubbish".to_vec())));
    assert!(client.is_closed());
    let read = server.client().ask(12, &fetch(&[part("t", 0, 0)]));
    assert_eq!(read.responses[0].partitions[0].high_watermark, 1);
}

#[test]
fn compressed_bombs_stay_small() {
    let server = Server::start();
    let small = ("max.message.bytes", "1000000");
    server.topic("plain", 1, &[("compression.type", "uncompressed"), small]);
    server.topic("compact", 1, &[("cleanup.policy", "compact"), small]);
    let mut client = server.client();
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        // 150 MB of zeros in a batch that the topic takes by its size.
        let size = if codec == Compression::Lz4 { 150 << 20 } else { 160 << 20 };
        let bomb = large(size, codec);
        assert!(bomb.len() < 1_000_000, "{codec}: {}", bomb.len());
        for topic in ["plain", "compact"] {
            let answer = client.produce(topic, 0, bomb.clone());
            assert_eq!(answer.error_code, code(ErrorCode::MessageTooLarge), "{codec} {topic}");
        }
        // Larger than the topic allows once it is stored the way the topic asks for.
        let answer = client.produce("plain", 0, large(2_000_000, codec));
        assert_eq!(answer.error_code, code(ErrorCode::MessageTooLarge), "{codec}");
        assert!(answer.error_message.unwrap().contains("1000000"));
    }
    assert_eq!(client.append("plain", 0, large(100_000, Compression::Zstd)), 0);
    let read = client.ask(12, &fetch(&[part("plain", 0, 0)]));
    let bytes: Bytes = read.responses[0].partitions[0].records.clone().unwrap().as_bytes().unwrap().clone();
    let stored = Batch::parse(&bytes).unwrap();
    assert_eq!((stored.compression(), bytes.len() > 100_000), (Some(Compression::None), true));
}
