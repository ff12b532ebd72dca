//! What a node knows when it comes back: records, offsets of groups, epochs; and what it does not, sessions.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{FetchRequest, ListOffsetsRequest};

use crate::fetch::{fetch, part, read};
use crate::offsets::{commit, committed, find_group, moment};
use crate::support::{Server, batch, code};

#[test]
fn a_node_goes_on_where_it_stopped() {
    let mut server = Server::start();
    server.topic("t", 3, &[]);
    server.topic("kept", 1, &[("max.message.bytes", "5000")]);
    let mut expected: Vec<String> = Vec::new();
    let mut epoch = -1;
    for round in 0..3i64 {
        let mut client = server.client();
        find_group(&mut client, "g");
        assert_eq!(committed(&mut client, "g", "t", 1), round - 1, "round {round}");
        let value = format!("round {round}");
        assert_eq!(client.append("t", 1, batch(&[&value])), round);
        expected.push(value);
        let data = client.ask(12, &fetch(&[part("t", 1, 0)])).responses[0].partitions[0].clone();
        let mut values = read(&data);
        if values.len() < expected.len() {
            // One answer does not go beyond a segment.
            let rest = part("t", 1, values.len() as i64);
            values.extend(read(&client.ask(12, &fetch(&[rest])).responses[0].partitions[0]));
        }
        assert_eq!(values, expected);
        assert_eq!(commit(&mut client, "g", "t", 1, round), 0);
        let end = client.ask::<ListOffsetsRequest>(7, &moment("t", 1, -1)).topics[0].partitions[0].clone();
        assert_eq!(end.offset, round + 1);
        assert!(end.leader_epoch > epoch, "every start is an epoch of its own");
        epoch = end.leader_epoch;
        let large = client.produce("kept", 0, batch(&[&"x".repeat(6000)]));
        assert_eq!(large.error_code, code(ErrorCode::MessageTooLarge), "a topic keeps its configuration");
        let first = client.ask(12, &FetchRequest { session_epoch: 0, ..fetch(&[part("t", 1, 0)]) });
        assert!(first.session_id > 0);
        server = server.restart();
        let next = FetchRequest { session_id: first.session_id, session_epoch: 1, ..fetch(&[]) };
        let answer = server.client().ask(12, &next);
        assert_eq!(
            answer.error_code,
            code(ErrorCode::FetchSessionIdNotFound),
            "sessions do not outlive the node"
        );
    }
}

#[test]
fn a_second_node_does_not_touch_what_the_first_one_uses() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let taken = server.at("PLAINTEXT").port();
    let other = std::panic::catch_unwind(|| {
        Server::with(&format!(
            "listeners=PLAINTEXT://127.0.0.1:{taken},CONTROLLER://127.0.0.1:0\ninter.broker.listener.name=PLAINTEXT"
        ))
    });
    assert!(other.is_err(), "the port is taken");
    server.assert_serves();
    assert_eq!(server.client().append("t", 0, batch(&["x"])), 0);
}
