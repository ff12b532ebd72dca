//! What goes from the start of a log: on request and by retention.

use std::time::{Duration, Instant};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DeleteRecordsRequest;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_records::Compression;

use crate::fetch::{fetch, part, read};
use crate::offsets::moment;
use crate::support::{Client, PATIENCE, Server, batch, batch_at, code, large};

/// Deletes what is before `offset`; the error and the low watermark.
fn delete(client: &mut Client, topic: &str, partition_index: i32, offset: i64) -> (i16, i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let answer = client.ask(2, &DeleteRecordsRequest { topics, timeout_ms: 1000 });
    let told = &answer.topics[0].partitions[0];
    (told.error_code, told.low_watermark)
}

fn earliest(client: &mut Client, topic: &str) -> i64 {
    client.ask(5, &moment(topic, 0, -2)).topics[0].partitions[0].offset
}

#[test]
fn records_are_deleted_up_to_an_offset() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    server.topic("compact", 1, &[("cleanup.policy", "compact")]);
    let mut client = server.client();
    for _ in 0..5 {
        client.append("t", 0, batch(&["x", "y"]));
    }
    assert_eq!(delete(&mut client, "t", 0, 3), (0, 3));
    assert_eq!(earliest(&mut client, "t"), 3);
    assert_eq!(delete(&mut client, "t", 0, 1), (0, 3), "deleted already");
    let below = client.ask(12, &fetch(&[part("t", 0, 2)])).responses[0].partitions[0].clone();
    assert_eq!(below.error_code, code(ErrorCode::OffsetOutOfRange));
    let rest = client.ask(12, &fetch(&[part("t", 0, 3)])).responses[0].partitions[0].clone();
    assert_eq!(
        (rest.log_start_offset, read(&rest).len()),
        (3, 8),
        "whole batches, from the one with the offset on"
    );
    assert_eq!(delete(&mut client, "t", 0, 11), (code(ErrorCode::OffsetOutOfRange), -1));
    assert_eq!(delete(&mut client, "t", 0, -2), (code(ErrorCode::OffsetOutOfRange), -1));
    assert_eq!(delete(&mut client, "t", 7, 0), (code(ErrorCode::UnknownTopicOrPartition), -1));
    assert_eq!(delete(&mut client, "compact", 0, 0), (code(ErrorCode::PolicyViolation), -1));
    crate::offsets::find_group(&mut client, "g");
    let internal = delete(&mut client, "__consumer_offsets", 0, 0);
    assert_eq!(internal, (code(ErrorCode::InvalidTopicException), -1));
    assert_eq!(delete(&mut client, "__transaction_state", 0, 0).0, code(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(delete(&mut client, "t", 0, -1), (0, 10), "all there is");
    assert_eq!(client.append("t", 0, batch(&["next"])), 10);
    let server = server.restart();
    assert_eq!(earliest(&mut server.client(), "t"), 10, "it stays deleted");
}

#[test]
fn retention_takes_old_segments() {
    let server = Server::with("log.retention.check.interval.ms=50\nlog.segment.delete.delay.ms=0");
    server.topic("old", 1, &[("retention.ms", "1000")]);
    server.topic("big", 1, &[("retention.bytes", "1500000"), ("segment.bytes", "1048576")]);
    let mut client = server.client();
    client.append("old", 0, batch_at(1_000, &["long ago"]));
    for _ in 0..4 {
        client.append("big", 0, large(900_000, Compression::None));
    }
    let begun = Instant::now();
    while earliest(&mut client, "old") != 1 || earliest(&mut client, "big") < 2 {
        assert!(begun.elapsed() < PATIENCE, "{}", earliest(&mut client, "big"));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(earliest(&mut client, "big"), 2, "no more than is over the limit");
    assert_eq!(client.append("old", 0, batch(&["new"])), 1);
}
