//! Idempotent producers over the wire: duplicates are answered with their first offset, gaps are refused.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_request::TopicRequest;
use ottla_protocol::messages::{DescribeProducersRequest, InitProducerIdRequest};
use ottla_records::{BatchBuilder, NewRecord};

use crate::support::{Client, Server, code, now_ms};

pub(crate) fn numbered(producer: (i64, i16), sequence: i32, count: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).producer(producer.0, producer.1, sequence);
    for n in 0..count {
        builder.append(&NewRecord::new(
            now_ms(),
            None,
            Some(format!("{}", sequence as usize + n).as_bytes()),
        ));
    }
    builder.build()
}

pub(crate) fn producer_id(client: &mut Client) -> i64 {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let answer = client.ask(4, &request);
    assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
    answer.producer_id
}

#[test]
fn duplicates_and_gaps() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    let id = producer_id(&mut client);
    assert!(producer_id(&mut client) > id);
    for n in 0..5 {
        assert_eq!(client.append("t", 0, numbered((id, 0), n * 2, 2)), i64::from(n) * 2);
    }
    for n in 0..5 {
        let again = client.append("t", 0, numbered((id, 0), n * 2, 2));
        assert_eq!(again, i64::from(n) * 2, "one of the last five is answered with its offset");
    }
    let refused = |client: &mut Client, epoch, sequence, count, error: ErrorCode| {
        let answer = client.produce("t", 0, numbered((id, epoch), sequence, count));
        assert_eq!((answer.error_code, answer.base_offset), (code(error), -1), "{epoch} {sequence}");
    };
    refused(&mut client, 0, 12, 1, ErrorCode::OutOfOrderSequenceNumber);
    refused(&mut client, 0, 8, 3, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(client.append("t", 0, numbered((id, 0), 10, 1)), 10);
    refused(&mut client, 1, 5, 1, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(client.append("t", 0, numbered((id, 1), 0, 1)), 11, "a new epoch begins at 0");
    refused(&mut client, 0, 11, 1, ErrorCode::InvalidProducerEpoch);
    let topic = |name: &str| TopicRequest { name: name.into(), partition_indexes: vec![0] };
    let asked = DescribeProducersRequest { topics: ["t", "none", "a/b"].map(topic).to_vec() };
    let told = client.ask(0, &asked).topics;
    let known = &told[0].partitions[0].active_producers[0];
    assert_eq!((known.producer_id, known.producer_epoch, known.last_sequence), (id, 1, 0));
    assert_eq!(known.current_txn_start_offset, -1);
    assert_eq!(told[1].partitions[0].error_code, code(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(told[2].partitions[0].error_code, code(ErrorCode::InvalidTopicException));
}

#[test]
fn what_a_producer_sent_is_known_after_a_restart() {
    let server = Server::start();
    server.topic("t", 1, &[]);
    let mut client = server.client();
    let id = producer_id(&mut client);
    client.append("t", 0, numbered((id, 0), 0, 3));
    client.append("t", 0, numbered((id, 0), 3, 1));
    let server = server.restart();
    let mut client = server.client();
    assert_eq!(client.append("t", 0, numbered((id, 0), 3, 1)), 3);
    assert_eq!(client.append("t", 0, numbered((id, 0), 4, 1)), 4);
    let answer = client.produce("t", 0, numbered((id, 0), 9, 1));
    assert_eq!(answer.error_code, code(ErrorCode::OutOfOrderSequenceNumber));
    assert!(producer_id(&mut client) > id, "no id is given twice");
}

#[test]
fn a_flush_before_the_answer_holds_for_duplicates_too() {
    let server = Server::start();
    server.topic("t", 1, &[("flush.messages", "1")]);
    let mut client = server.client();
    let id = producer_id(&mut client);
    for n in 0..20 {
        assert_eq!(client.append("t", 0, numbered((id, 0), n, 1)), i64::from(n));
        assert_eq!(client.append("t", 0, numbered((id, 0), n, 1)), i64::from(n));
    }
}
