//! Incremental fetch sessions (KIP-227) as a client sees them.

use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::ForgottenTopic;
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_records::Compression;

use crate::fetch::{Part, fetch, part};
use crate::support::{Client, Server, batch, code, large};

/// A request of a session; (0, 0) begins one.
fn of((session_id, session_epoch): (i32, i32), parts: &[Part]) -> FetchRequest {
    FetchRequest { session_id, session_epoch, ..fetch(parts) }
}

/// The partitions in an answer.
fn told(answer: &FetchResponse) -> Vec<i32> {
    assert_eq!(answer.error_code, 0);
    answer.responses.iter().flat_map(|t| t.partitions.iter().map(|p| p.partition_index)).collect()
}

fn ask(client: &mut Client, request: &FetchRequest) -> Vec<i32> {
    told(&client.ask(12, request))
}

#[test]
fn a_session_tells_only_what_changed() {
    let server = Server::start();
    server.topic("t", 3, &[]);
    let (mut client, mut producer) = (server.client(), server.client());
    let parts = [part("t", 0, 0), part("t", 1, 0), part("t", 2, 0)];
    let first = client.ask(12, &of((0, 0), &parts));
    assert_eq!(told(&first), [0, 1, 2], "the first answer tells all");
    let id = first.session_id;
    assert!(id > 0);
    assert!(ask(&mut client, &of((id, 1), &[])).is_empty(), "nothing has changed");
    producer.append("t", 1, batch(&["x"]));
    assert_eq!(ask(&mut client, &of((id, 2), &[])), [1]);
    assert_eq!(ask(&mut client, &of((id, 3), &[])), [1], "data is told until the client has moved on");
    assert!(ask(&mut client, &of((id, 4), &[part("t", 1, 1)])).is_empty());
    // A wait in a session ends with what came.
    let waiting = FetchRequest { max_wait_ms: 8_000, min_bytes: 1, ..of((id, 5), &[]) };
    client.send(12, &waiting);
    std::thread::sleep(Duration::from_millis(20));
    producer.append("t", 2, batch(&["y"]));
    assert_eq!(told(&client.receive::<FetchRequest>(12).1), [2]);
    // Forgotten partitions are told no more; a session without any ends.
    let forget = |partitions| vec![ForgottenTopic { topic: "t".into(), partitions, ..Default::default() }];
    producer.append("t", 0, batch(&["z"]));
    let request = FetchRequest { forgotten_topics_data: forget(vec![2]), ..of((id, 6), &[]) };
    assert_eq!(ask(&mut client, &request), [0]);
    let request = FetchRequest { forgotten_topics_data: forget(vec![0, 1]), ..of((id, 7), &[]) };
    assert_eq!(client.ask(12, &request).session_id, 0);
    assert_eq!(client.ask(12, &of((id, 8), &[])).error_code, code(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn requests_out_of_turn_are_refused() {
    let server = Server::start();
    let topic_id = server.topic("t", 1, &[]);
    let mut client = server.client();
    let id = client.ask(12, &of((0, 0), &[part("t", 0, 0)])).session_id;
    for epoch in [2, 7, i32::MAX] {
        let answer = client.ask(12, &of((id, epoch), &[]));
        assert_eq!(answer.error_code, code(ErrorCode::InvalidFetchSessionEpoch));
    }
    assert_eq!(client.ask(12, &of((id + 1, 1), &[])).error_code, code(ErrorCode::FetchSessionIdNotFound));
    let mut by_id = of((id, 1), &[]);
    assert_eq!(client.ask(13, &by_id).error_code, code(ErrorCode::FetchSessionTopicIdError));
    by_id.session_epoch = 0;
    by_id.topics = fetch(&[part("t", 0, 0)]).topics;
    by_id.topics[0].topic_id = topic_id;
    let next = client.ask(13, &by_id).session_id;
    assert!(next > 0 && next != id);
    let answer = client.ask(12, &of((id, 1), &[]));
    assert_eq!(answer.error_code, code(ErrorCode::FetchSessionIdNotFound), "the new one took its place");
    assert_eq!(client.ask(13, &of((next, -1), &[])).session_id, 0, "the end");
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_the_session() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let (mut late, mut other) = (server.client(), server.client());
    let id = late.ask(12, &of((0, 0), &[part("t", 0, 0)])).session_id;
    late.send(12, &FetchRequest { max_wait_ms: 8_000, min_bytes: 1, ..of((id, 1), &[]) });
    std::thread::sleep(Duration::from_millis(50));
    assert!(ask(&mut other, &of((id, 2), &[])).is_empty());
    other.append("t", 0, batch(&["x"]));
    let (_, answer) = late.receive::<FetchRequest>(12);
    assert_eq!(answer.error_code, code(ErrorCode::InvalidFetchSessionEpoch));
    assert_eq!(ask(&mut other, &of((id, 3), &[])), [0], "the other one still learns of it");
}

#[test]
fn partitions_take_turns_when_not_all_fit() {
    let server = Server::start();
    server.topic("t", 3, &[]);
    let mut client = server.client();
    for index in 0..3 {
        client.append("t", index, large(5_000, Compression::None));
    }
    let parts = [part("t", 0, 0), part("t", 1, 0), part("t", 2, 0)];
    let first = client.ask(12, &FetchRequest { max_bytes: 6_000, ..of((0, 0), &parts) });
    let with_data = |answer: &FetchResponse| -> Vec<i32> {
        let parts = answer.responses.iter().flat_map(|t| &t.partitions);
        parts.filter(|p| !p.records.as_ref().unwrap().is_empty()).map(|p| p.partition_index).collect()
    };
    assert_eq!(with_data(&first), [0]);
    let mut served = Vec::new();
    for epoch in 1..=4 {
        let request = FetchRequest { max_bytes: 6_000, ..of((first.session_id, epoch), &[]) };
        served.extend(with_data(&client.ask(12, &request)));
    }
    assert_eq!(served, [1, 2, 0, 1], "whoever was served goes to the end of the line");
}

#[test]
fn no_slots_means_no_sessions() {
    let server = Server::with("max.incremental.fetch.session.cache.slots=1");
    server.topic("t", 1, &[]);
    let mut client = server.client();
    assert!(client.ask(12, &of((0, 0), &[part("t", 0, 0)])).session_id > 0);
    assert_eq!(client.ask(12, &of((0, 0), &[part("t", 0, 0)])).session_id, 0);
    assert_eq!(client.ask(12, &of((0, -1), &[part("t", 0, 0)])).session_id, 0);
}
