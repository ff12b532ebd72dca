//! Transactions over the wire, in the two ways of clients: what readers of committed records see, who is fenced, and what
//! a node that was stopped in the middle goes on with.

use std::time::{Duration, Instant};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    FetchRequest, FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest, ListTransactionsRequest,
    OffsetFetchRequest, TxnOffsetCommitRequest,
};
use ottla_records::{Batch, BatchBuilder, BatchIter, NewRecord};

use crate::fetch::{fetch, part};
use crate::offsets::find_group;
use crate::support::{Client, PATIENCE, Server, batch, code, now_ms, produce};

const SETTINGS: &str = "transaction.state.log.num.partitions=3\ntransaction.state.log.replication.factor=1\n\
                        transaction.state.log.min.isr=1\ntransaction.abort.timed.out.transaction.cleanup.interval.ms=50";

type Id = (i64, i16);

fn find(client: &mut Client, id: &str) {
    let begun = Instant::now();
    let request = FindCoordinatorRequest { key: id.into(), key_type: 1, ..Default::default() };
    while client.ask(3, &request).error_code != 0 {
        assert!(begun.elapsed() < PATIENCE);
    }
}

/// As clients do, for as long as they are told to.
fn init_within(client: &mut Client, id: &str, timeout_ms: i32) -> Id {
    let request = InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: timeout_ms,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let answer = client.ask(4, &request);
        if answer.error_code == 0 {
            return (answer.producer_id, answer.producer_epoch);
        }
        let again = [
            ErrorCode::ConcurrentTransactions,
            ErrorCode::CoordinatorLoadInProgress,
            ErrorCode::NotCoordinator,
        ];
        assert!(again.map(code).contains(&answer.error_code), "{answer:?}");
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn init(client: &mut Client, id: &str) -> Id {
    init_within(client, id, 60_000)
}

fn records(producer: Id, sequence: i32, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).producer(producer.0, producer.1, sequence).transactional(true);
    for value in values {
        builder.append(&NewRecord::new(now_ms(), None, Some(value.as_bytes())));
    }
    builder.build()
}

/// Version 11 belongs to clients from before transaction version 2, 12 to those of it.
fn write(client: &mut Client, version: i16, index: i32, batch: Vec<u8>) -> i16 {
    let mut request = produce("t", index, -1, batch);
    request.transactional_id = Some("tx".into());
    client.ask(version, &request).responses[0].partition_responses[0].error_code
}

fn add(client: &mut Client, producer: Id, partitions: &[i32]) -> Vec<i16> {
    let topic = AddPartitionsToTxnTopic { name: "t".into(), partitions: partitions.to_vec() };
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "tx".into(),
        v3_and_below_producer_id: producer.0,
        v3_and_below_producer_epoch: producer.1,
        v3_and_below_topics: vec![topic],
        ..Default::default()
    };
    let answer = client.ask(3, &request);
    let topics = answer.results_by_topic_v3_and_below;
    topics.iter().flat_map(|t| &t.results_by_partition).map(|p| p.partition_error_code).collect()
}

fn end(client: &mut Client, version: i16, producer: Id, committed: bool) -> (i16, Id) {
    let request = EndTxnRequest {
        transactional_id: "tx".into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed,
    };
    let begun = Instant::now();
    loop {
        let answer = client.ask(version, &request);
        if answer.error_code != code(ErrorCode::ConcurrentTransactions) {
            return (answer.error_code, (answer.producer_id, answer.producer_epoch));
        }
        assert!(begun.elapsed() < PATIENCE);
    }
}

/// What a consumer of committed records sees of a partition: aborted transactions are left out by what the answer says.
fn committed(client: &mut Client, index: i32) -> Vec<String> {
    let request = FetchRequest { isolation_level: 1, ..fetch(&[part("t", index, 0)]) };
    let data = client.ask(12, &request).responses[0].partitions[0].clone();
    let mut aborted: Vec<(i64, i64)> =
        data.aborted_transactions.unwrap().iter().map(|a| (a.producer_id, a.first_offset)).collect();
    let bytes = data.records.unwrap();
    let mut seen = Vec::new();
    let mut dropped: Vec<i64> = Vec::new();
    for batch in BatchIter::new(bytes.as_bytes().unwrap()) {
        let batch: Batch<'_> = batch.unwrap();
        let header = batch.header();
        aborted.retain(|(id, first)| {
            let begins = *first <= header.base_offset;
            if begins {
                dropped.push(*id);
            }
            !begins
        });
        if header.is_control() {
            dropped.retain(|id| *id != header.producer_id);
            continue;
        }
        if header.is_transactional() && dropped.contains(&header.producer_id) {
            continue;
        }
        let records = batch.plain_records().unwrap();
        seen.extend(records.map(|r| String::from_utf8(r.unwrap().value.unwrap().to_vec()).unwrap()));
    }
    seen
}

fn eventually(mut what: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn started() -> (Server, Client) {
    let server = Server::with(SETTINGS);
    server.topic("t", 2, &[]);
    let mut client = server.client();
    find(&mut client, "tx");
    (server, client)
}

#[test]
fn clients_from_before_version_2_add_partitions_themselves() {
    let (_server, mut client) = started();
    let me = init(&mut client, "tx");
    let refused = write(&mut client, 11, 0, records(me, 0, &["stray"]));
    assert_eq!(refused, code(ErrorCode::TransactionAbortable), "no partition takes part yet");
    assert_eq!(write(&mut client, 10, 0, records(me, 0, &["stray"])), code(ErrorCode::InvalidTxnState));
    assert_eq!(
        add(&mut client, me, &[0, 9]),
        [ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition].map(code)
    );
    assert_eq!(add(&mut client, me, &[0, 1]), [0, 0]);
    assert_eq!(write(&mut client, 11, 0, records(me, 0, &["a", "b"])), 0);
    assert_eq!(write(&mut client, 11, 1, records(me, 0, &["c"])), 0);
    client.append("t", 0, batch(&["plain"]));
    assert_eq!(committed(&mut client, 0), [""; 0], "nothing behind an open transaction is shown");
    assert_eq!(end(&mut client, 4, me, true), (0, (-1, -1)));
    eventually(|| committed(&mut client, 0) == ["a", "b", "plain"] && committed(&mut client, 1) == ["c"]);
    assert_eq!(end(&mut client, 4, me, true).0, 0, "it asks again");
    assert_eq!(end(&mut client, 4, me, false).0, code(ErrorCode::InvalidTxnState));
    // The same epoch goes on.
    assert_eq!(add(&mut client, me, &[0]), [0]);
    assert_eq!(write(&mut client, 11, 0, records(me, 2, &["dropped"])), 0);
    assert_eq!(end(&mut client, 4, me, false).0, 0);
    eventually(|| {
        client.append("t", 0, batch(&["."]));
        committed(&mut client, 0).last().is_some_and(|last| last == ".")
    });
    assert!(!committed(&mut client, 0).contains(&"dropped".to_owned()));
}

#[test]
fn with_version_2_each_end_has_an_epoch_of_its_own() {
    let (server, mut client) = started();
    let first = init(&mut client, "tx");
    assert_eq!(write(&mut client, 12, 0, records(first, 0, &["a"])), 0, "it takes part by being written to");
    assert_eq!(write(&mut client, 12, 0, records(first, 1, &["b"])), 0);
    assert_eq!(end(&mut client, 5, first, true), (0, (first.0, first.1 + 1)));
    let second = (first.0, first.1 + 1);
    assert_eq!(end(&mut client, 5, first, true), (0, second), "it asks again");
    eventually(|| write(&mut client, 12, 0, records(second, 0, &["c"])) == 0);
    assert_eq!(end(&mut client, 5, first, true).0, code(ErrorCode::ProducerFenced), "that one is over");
    assert_eq!(
        write(&mut client, 12, 0, records(first, 2, &["late"])),
        code(ErrorCode::InvalidProducerEpoch)
    );
    // Another takes the id over: what is open is dropped.
    let third = init(&mut client, "tx");
    assert!(third.1 > second.1);
    assert_eq!(end(&mut client, 5, second, true).0, code(ErrorCode::ProducerFenced));
    assert_eq!(
        end(&mut client, 1, second, true).0,
        code(ErrorCode::InvalidProducerEpoch),
        "as old clients know it"
    );
    assert_eq!(committed(&mut client, 0), ["a", "b"]);

    // What is decided stays so when the node is stopped, and what is open may still be ended.
    assert_eq!(write(&mut client, 12, 1, records(third, 0, &["d"])), 0);
    let server = server.restart();
    let mut client = server.client();
    find(&mut client, "tx");
    eventually(|| {
        let (error, _) = end(&mut client, 5, third, true);
        error == 0 || {
            assert_eq!(error, code(ErrorCode::CoordinatorLoadInProgress));
            false
        }
    });
    eventually(|| committed(&mut client, 1) == ["d"]);
}

#[test]
fn offsets_count_with_the_transaction() {
    let (_server, mut client) = started();
    find_group(&mut client, "g");
    let mut me = init(&mut client, "tx");
    let fetched = |client: &mut Client, require_stable| {
        let topic = OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0] };
        let request = OffsetFetchRequest {
            group_id: "g".into(),
            topics: Some(vec![topic]),
            require_stable,
            ..Default::default()
        };
        let partition = client.ask(7, &request).topics[0].partitions[0].clone();
        (partition.error_code, partition.committed_offset)
    };
    let commit = |client: &mut Client, version, me: Id, offset| {
        let partition = TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let request = TxnOffsetCommitRequest {
            transactional_id: "tx".into(),
            group_id: "g".into(),
            producer_id: me.0,
            producer_epoch: me.1,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] }],
            ..Default::default()
        };
        client.ask(version, &request).topics[0].partitions[0].error_code
    };
    assert_eq!(
        commit(&mut client, 3, me, 5),
        code(ErrorCode::InvalidTxnState),
        "the group does not take part"
    );
    let offsets = AddOffsetsToTxnRequest {
        transactional_id: "tx".into(),
        producer_id: me.0,
        producer_epoch: me.1,
        group_id: "g".into(),
    };
    assert_eq!(client.ask(3, &offsets).error_code, 0);
    assert_eq!(commit(&mut client, 3, me, 5), 0);
    assert_eq!(fetched(&mut client, false), (0, -1));
    assert_eq!(fetched(&mut client, true), (code(ErrorCode::UnstableOffsetCommit), -1));
    assert_eq!(end(&mut client, 4, me, true).0, 0);
    eventually(|| fetched(&mut client, true) == (0, 5));
    // Version 2 needs no question before.
    for (offset, committed, shown) in [(6, false, 5), (7, true, 7)] {
        eventually(|| commit(&mut client, 5, me, offset) == 0);
        let (error, next) = end(&mut client, 5, me, committed);
        assert_eq!(error, 0);
        me = next;
        eventually(|| fetched(&mut client, true) == (0, shown));
    }
}

#[test]
fn a_transaction_whose_producer_is_gone_is_aborted_in_time() {
    let (_server, mut client) = started();
    let me = init_within(&mut client, "tx", 300);
    assert_eq!(write(&mut client, 12, 0, records(me, 0, &["open"])), 0);
    client.append("t", 0, batch(&["behind"]));
    let described = |client: &mut Client| {
        let request = DescribeTransactionsRequest { transactional_ids: vec!["tx".into(), "none".into()] };
        let states = client.ask(0, &request).transaction_states;
        let of = |id: &str| states.iter().find(|s| s.transactional_id == id).unwrap().clone();
        assert_eq!(of("none").error_code, code(ErrorCode::TransactionalIdNotFound));
        of("tx")
    };
    let open = described(&mut client);
    assert_eq!((open.producer_id, open.producer_epoch, open.transaction_timeout_ms), (me.0, me.1, 300));
    let list = ListTransactionsRequest {
        duration_filter: -1,
        state_filters: vec!["CompleteAbort".into(), "Lost".into()],
        transactional_id_pattern: Some("t.".into()),
        ..Default::default()
    };
    eventually(|| committed(&mut client, 0) == ["behind"]);
    eventually(|| described(&mut client).transaction_state == "CompleteAbort");
    let listed = client.ask(2, &list);
    assert_eq!(listed.unknown_state_filters, ["Lost"]);
    assert_eq!(listed.transaction_states[0].transactional_id, "tx");
    assert_eq!(end(&mut client, 4, me, true).0, code(ErrorCode::ProducerFenced));
    let latest = ListOffsetsTopic {
        name: "t".into(),
        partitions: vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }],
    };
    let request =
        ListOffsetsRequest { replica_id: -1, isolation_level: 1, topics: vec![latest], ..Default::default() };
    assert_eq!(client.ask(7, &request).topics[0].partitions[0].offset, 3, "records and marker");
}

#[test]
fn a_write_that_comes_before_the_markers_waits_for_them() {
    let server = Server::with(&format!("{SETTINGS}\nadd.partitions.to.txn.retry.backoff.max.ms=10000"));
    server.topic("t", 2, &[]);
    let mut client = server.client();
    find(&mut client, "tx");
    let mut me = init(&mut client, "tx");
    // Often enough to come too early for once.
    for n in 0..30 {
        for index in 0..2 {
            assert_eq!(write(&mut client, 12, index, records(me, 0, &["x"])), 0, "transaction {n}");
        }
        let (error, next) = end(&mut client, 5, me, true);
        assert_eq!(error, 0);
        me = next;
    }
}

#[test]
fn a_topic_that_is_deleted_keeps_no_transaction_open() {
    let (_server, mut client) = started();
    let me = init(&mut client, "tx");
    assert_eq!(write(&mut client, 12, 0, records(me, 0, &["a"])), 0);
    crate::topics::delete(&mut client, "t");
    assert_eq!(end(&mut client, 5, me, true).0, 0);
    let request = DescribeTransactionsRequest { transactional_ids: vec!["tx".into()] };
    eventually(|| client.ask(0, &request).transaction_states[0].transaction_state == "CompleteCommit");
}

#[test]
fn transactions_wait_for_the_brokers_that_their_topic_needs() {
    let server = Server::with("transaction.state.log.replication.factor=2");
    let mut client = server.client();
    for version in 1..=3 {
        let request = FindCoordinatorRequest { key: "tx".into(), key_type: 1, ..Default::default() };
        let found = client.ask(version, &request);
        assert_eq!(found.error_code, code(ErrorCode::CoordinatorNotAvailable), "version {version}");
    }
}
