//! Fetch over the wire: waits that end when they should, limits, offsets and epochs, every version.

use std::time::{Duration, Instant};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_records::Compression;
use uuid::Uuid;

use crate::support::{Client, Server, batch, code, large, values};

/// A topic, a partition of it, and what is wanted of that.
pub(crate) type Part = (&'static str, FetchPartition);

pub(crate) fn part(topic: &'static str, partition: i32, fetch_offset: i64) -> Part {
    (topic, FetchPartition { partition, fetch_offset, partition_max_bytes: 10 << 20, ..Default::default() })
}

/// A fetch outside of any session that waits for nothing.
pub(crate) fn fetch(parts: &[Part]) -> FetchRequest {
    let topic = |(topic, part): &Part| FetchTopic {
        topic: (*topic).to_owned(),
        partitions: vec![part.clone()],
        ..Default::default()
    };
    FetchRequest {
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: parts.iter().map(topic).collect(),
        ..Default::default()
    }
}

/// The same by id.
fn by_id(id: Uuid, part: Part) -> FetchRequest {
    let mut request = fetch(&[part]);
    request.topics[0].topic_id = id;
    request.topics[0].topic.clear();
    request
}

pub(crate) fn read(data: &PartitionData) -> Vec<String> {
    values(data.records.as_ref().unwrap().as_bytes().unwrap())
}

fn one(client: &mut Client, request: &FetchRequest) -> PartitionData {
    client.ask(12, request).responses[0].partitions[0].clone()
}

#[test]
fn a_waiting_fetch_wakes_when_something_is_produced() {
    let server = Server::with("num.network.threads=2");
    server.topic("t", 2, &[]);
    let (mut consumer, mut producer) = (server.client(), server.client());
    let mut fastest = Duration::MAX;
    for n in 0..10 {
        let wanted = [part("t", 0, 0), part("t", 1, n)];
        let id = consumer.send(12, &FetchRequest { max_wait_ms: 8_000, min_bytes: 1, ..fetch(&wanted[1..]) });
        std::thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        producer.append("t", 1, batch(&[&format!("v{n}")]));
        let (answered, answer) = consumer.receive::<FetchRequest>(12);
        assert_eq!(answered, id);
        assert_eq!(read(&answer.responses[0].partitions[0]), [format!("v{n}")]);
        fastest = fastest.min(begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    assert!(fastest < Duration::from_millis(20), "{fastest:?}");
}

#[test]
fn a_waiting_fetch_gives_up_when_its_time_has_come() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let (mut consumer, mut producer) = (server.client(), server.client());
    let begun = Instant::now();
    let answer =
        one(&mut consumer, &FetchRequest { max_wait_ms: 250, min_bytes: 1, ..fetch(&[part("t", 0, 0)]) });
    let took = begun.elapsed();
    assert_eq!((answer.error_code, answer.high_watermark, read(&answer).len()), (0, 0, 0));
    assert!(took >= Duration::from_millis(245) && took < Duration::from_millis(900), "{took:?}");
    // Too little comes: it is given when the time is up, not before.
    let patient = FetchRequest { max_wait_ms: 400, min_bytes: 5_000, ..fetch(&[part("t", 0, 0)]) };
    consumer.send(12, &patient);
    let begun = Instant::now();
    producer.append("t", 0, batch(&["little"]));
    let (_, answer) = consumer.receive::<FetchRequest>(12);
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    assert_eq!(read(&answer.responses[0].partitions[0]), ["little"]);
    // Enough comes, in two steps.
    consumer.send(12, &FetchRequest { max_wait_ms: 8_000, ..patient });
    std::thread::sleep(Duration::from_millis(30));
    producer.append("t", 0, large(2_000, Compression::None));
    producer.append("t", 0, large(4_000, Compression::None));
    let (_, answer) = consumer.receive::<FetchRequest>(12);
    assert_eq!(answer.responses[0].partitions[0].high_watermark, 3);
}

#[test]
fn a_topic_that_is_gone_is_no_reason_to_hurry() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    let begun = Instant::now();
    let wanted = [part("gone", 0, 0), part("t", 0, 0)];
    let answer = client.ask(12, &FetchRequest { max_wait_ms: 300, min_bytes: 1, ..fetch(&wanted) });
    assert!(begun.elapsed() >= Duration::from_millis(290), "a client would ask again at once, for ever");
    let gone = &answer.responses.iter().find(|t| t.topic == "gone").unwrap().partitions[0];
    assert_eq!(gone.error_code, code(ErrorCode::UnknownTopicOrPartition));
    let begun = Instant::now();
    client.ask(12, &FetchRequest { max_wait_ms: 5_000, min_bytes: 1, ..fetch(&wanted[..1]) });
    assert!(begun.elapsed() < Duration::from_secs(2), "nothing else is asked for");
    // Deleted while the fetch waits: told at once.
    let id = client.send(12, &FetchRequest { max_wait_ms: 8_000, min_bytes: 1, ..fetch(&wanted[1..]) });
    crate::topics::delete(&mut server.client(), "t");
    let (answered, answer) = client.receive::<FetchRequest>(12);
    assert_eq!(answered, id);
    assert!(answer.responses[0].partitions[0].error_code != 0);
}

#[test]
fn a_fetch_at_the_end_of_a_segment_does_not_wait_for_what_one_read_cannot_give() {
    let server = Server::start();
    server.topic("t", 1, &[("segment.bytes", "1048576")]);
    let mut client = server.client();
    client.append("t", 0, batch(&["first"]));
    for _ in 0..2 {
        client.append("t", 0, large(900_000, Compression::None));
    }
    let begun = Instant::now();
    let wanted = fetch(&[part("t", 0, 0)]);
    let answer = one(&mut client, &FetchRequest { max_wait_ms: 5_000, min_bytes: 1_500_000, ..wanted });
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((read(&answer).len(), answer.high_watermark), (2, 3));
}

#[test]
fn a_partition_gets_nothing_rather_than_a_part_of_its_first_batch() {
    let server = Server::start();
    server.topic("t", 2, &[]);
    let mut client = server.client();
    for index in 0..2 {
        client.append("t", index, large(10_000, Compression::None));
        client.append("t", index, large(10_000, Compression::None));
    }
    let wanted = [part("t", 0, 0), part("t", 1, 0)];
    let sizes = |client: &mut Client, request: &FetchRequest| -> Vec<usize> {
        let answer = client.ask(12, request);
        let parts = answer.responses.iter().flat_map(|t| t.partitions.clone());
        parts.map(|p| read(&p).len()).collect()
    };
    assert_eq!(sizes(&mut client, &fetch(&wanted)), [2, 2]);
    // The first batch of all is always given.
    for max_bytes in [0, 1, 5_000] {
        assert_eq!(sizes(&mut client, &FetchRequest { max_bytes, ..fetch(&wanted) }), [1, 0], "{max_bytes}");
    }
    let mut narrow = wanted;
    narrow[0].1.partition_max_bytes = 5;
    for (max_bytes, second) in [(15_000, 0), (20_000, 0), (20_150, 1), (40_000, 2)] {
        let request = FetchRequest { max_bytes, ..fetch(&narrow) };
        assert_eq!(sizes(&mut client, &request), [1, second], "{max_bytes}");
    }
    narrow[1].1.partition_max_bytes = 5;
    assert_eq!(sizes(&mut client, &fetch(&narrow)), [1, 0]);
}

#[test]
fn offsets_and_epochs_that_are_none_have_their_errors() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    client.append("t", 0, batch(&["a", "b"]));
    let mut error = |fetch_offset, current_leader_epoch| {
        let (topic, part) = part("t", 0, fetch_offset);
        one(&mut client, &fetch(&[(topic, FetchPartition { current_leader_epoch, ..part })])).error_code
    };
    assert_eq!(error(0, -1), 0);
    assert_eq!(error(2, 0), 0, "the end");
    assert_eq!(error(3, -1), code(ErrorCode::OffsetOutOfRange));
    assert_eq!(error(-1, -1), code(ErrorCode::OffsetOutOfRange));
    assert_eq!(error(0, 1), code(ErrorCode::UnknownLeaderEpoch));
    // A restart begins a new epoch; who still believes in the old one is told.
    let server = server.restart();
    let mut client = server.client();
    let (topic, wanted) = part("t", 0, 0);
    let stale = fetch(&[(topic, FetchPartition { current_leader_epoch: 0, ..wanted })]);
    for version in 9..=12 {
        let answer = client.ask(version, &stale);
        assert_eq!(answer.responses[0].partitions[0].error_code, code(ErrorCode::FencedLeaderEpoch));
    }
}

#[test]
fn every_version_reads_the_same() {
    let server = Server::start();
    let id = server.topic("t", 1, &[]);
    let mut client = server.client();
    client.append("t", 0, batch(&["a", "b"]));
    for version in 4..=12 {
        let answer = client.ask(version, &fetch(&[part("t", 0, 1)]));
        assert_eq!(read(&answer.responses[0].partitions[0]), ["a", "b"], "version {version}");
    }
    for version in 13..=17 {
        let answer = client.ask(version, &by_id(id, part("t", 0, 0)));
        assert_eq!(read(&answer.responses[0].partitions[0]), ["a", "b"], "version {version}");
        let answer = client.ask(version, &by_id(Uuid::from_u128(9), part("t", 0, 0)));
        let refused = &answer.responses[0].partitions[0];
        assert_eq!(refused.error_code, code(ErrorCode::UnknownTopicId));
        // Empty, where a read without errors that did not look for them has null.
        assert!(refused.aborted_transactions.as_ref().is_some_and(Vec::is_empty));
    }
    let committed = FetchRequest { isolation_level: 1, ..fetch(&[part("t", 0, 0)]) };
    let answer = one(&mut client, &committed);
    assert_eq!((answer.last_stable_offset, answer.aborted_transactions), (2, Some(vec![])));
}
