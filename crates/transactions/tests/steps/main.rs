//! What a shard answers, step by step: the tables of Kafka's coordinator.

mod records;
mod settings;
mod stage;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::list_transactions_request::ListTransactionsRequest;
use ottla_transactions::{Config, Effect, Moment, Producer, Request, Response, Shard, unknown_states};

use stage::{LAST_EPOCH, Stage, at, code};

use ErrorCode::{
    ConcurrentTransactions, InvalidProducerIdMapping, InvalidRequest, InvalidTransactionTimeout,
    InvalidTxnState, None as Fine, ProducerFenced, TransactionAbortable, TransactionCoordinatorFenced,
    TransactionalIdNotFound,
};

#[test]
fn a_transaction_of_version_2_ends_with_another_epoch() {
    let mut stage = Stage::new(Config::default());
    assert_eq!(stage.init("tx"), (Fine, 100, 0));
    assert_eq!(stage.add("tx", (100, 0), &[0, 3], 2), Fine);
    assert_eq!(stage.add("tx", (100, 0), &[3], 2), Fine);
    assert_eq!(stage.log.len(), 2, "what takes part already needs no record");
    assert_eq!(stage.end("tx", (100, 0), true, 2), (Fine, 100, 1));
    let markers = stage.markers[0].clone();
    assert_eq!((markers.producer_id, markers.epoch, markers.commit), (100, 1, true));
    assert_eq!((markers.coordinator_epoch, markers.transaction_version), (5, 2));
    assert_eq!(markers.partitions, [at(0), at(3)]);
    // Until all are written nothing else begins.
    assert_eq!(stage.add("tx", (100, 1), &[0], 2), ConcurrentTransactions);
    assert_eq!(stage.init("tx").0, ConcurrentTransactions);
    stage.shard.marked(stage.now, "tx", markers.id, [(at(0), Fine)]);
    stage.settle();
    assert_eq!(stage.state("tx"), "PrepareCommit");
    stage.mark();
    assert_eq!(stage.state("tx"), "CompleteCommit");
    assert_eq!(stage.add("tx", (100, 0), &[0], 2), ProducerFenced);
    assert_eq!(stage.add("tx", (100, 1), &[0], 2), Fine);
}

/// Kafka's table of what EndTxn of version 2 gets where nothing is under way.
#[test]
fn an_end_that_comes_again_is_told_from_the_next_one() {
    let retry = |state: &str| {
        let mut stage = Stage::new(Config::default());
        stage.init("tx");
        if state != "Empty" {
            stage.add("tx", (100, 0), &[0], 2);
            stage.end("tx", (100, 0), state == "CompleteCommit", 2);
            stage.mark();
        }
        assert_eq!(stage.state("tx"), state);
        stage
    };
    for (state, commit, of_retry, of_current) in [
        ("Empty", false, ProducerFenced, Fine),
        ("Empty", true, ProducerFenced, InvalidTxnState),
        ("CompleteAbort", false, Fine, Fine),
        ("CompleteAbort", true, InvalidTxnState, InvalidTxnState),
        ("CompleteCommit", false, InvalidTxnState, Fine),
        ("CompleteCommit", true, Fine, InvalidTxnState),
    ] {
        let epoch = if state == "Empty" { 0 } else { 1 };
        let mut stage = retry(state);
        let records = stage.log.len();
        assert_eq!(stage.end("tx", (100, epoch - 1), commit, 2).0, of_retry, "{state}, {commit}, retry");
        assert_eq!(stage.log.len(), records, "a retry changes nothing");
        let mut stage = retry(state);
        let (error, id, bumped) = stage.end("tx", (100, epoch), commit, 2);
        assert_eq!(error, of_current, "{state}, {commit}, current");
        if error == Fine {
            assert_eq!((id, bumped, stage.log.len()), (100, epoch + 1, records + 2), "aborted, and complete");
        }
    }
    // Later than that it is nobody's.
    let mut stage = retry("CompleteCommit");
    stage.add("tx", (100, 1), &[0], 2);
    assert_eq!(stage.end("tx", (100, 0), true, 2).0, ProducerFenced);
    assert_eq!(stage.state("tx"), "Ongoing");
    assert_eq!(stage.end("tx", (7, 1), true, 2).0, InvalidProducerIdMapping);
    assert_eq!(stage.end("unheard", (7, 1), true, 2).0, InvalidProducerIdMapping);
    assert_eq!(stage.end("", (7, 1), true, 2).0, InvalidRequest);
}

#[test]
fn clients_from_before_keep_their_epoch() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    assert_eq!(stage.end("tx", (100, 0), false, 0).0, InvalidTxnState, "nothing has begun");
    for commit in [true, false] {
        assert_eq!(stage.add("tx", (100, 0), &[0], 0), Fine);
        assert_eq!(stage.end("tx", (100, 0), commit, 0), (Fine, -1, -1));
        assert_eq!(stage.end("tx", (100, 0), commit, 0).0, ConcurrentTransactions);
        let markers = stage.mark();
        assert_eq!((markers[0].epoch, markers[0].transaction_version), (0, 0));
        assert_eq!(stage.end("tx", (100, 0), commit, 0).0, Fine, "again");
        assert_eq!(stage.end("tx", (100, 0), !commit, 0).0, InvalidTxnState);
        assert_eq!(stage.end("tx", (100, 1), commit, 0).0, ProducerFenced);
    }
}

#[test]
fn whoever_takes_an_id_over_ends_what_is_open_first() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.add("tx", (100, 0), &[1], 2);
    assert_eq!(stage.init("tx").0, ConcurrentTransactions);
    let markers = stage.mark();
    assert_eq!((markers[0].commit, markers[0].epoch), (false, 1));
    assert_eq!(stage.init("tx"), (Fine, 100, 2));
    assert_eq!(stage.end("tx", (100, 0), true, 2).0, ProducerFenced);
    assert_eq!(stage.add("tx", (100, 1), &[1], 0), ProducerFenced);
    // Where no end has an epoch of its own the one that fences has.
    let mut stage = Stage::new(Config { transaction_version: 1, ..Config::default() });
    stage.init("tx");
    stage.add("tx", (100, 0), &[1], 0);
    assert_eq!(stage.init("tx").0, ConcurrentTransactions);
    let markers = stage.mark();
    assert_eq!((markers[0].epoch, markers[0].transaction_version), (1, 0));
    assert_eq!(stage.init("tx"), (Fine, 100, 2));
}

#[test]
fn a_producer_goes_on_with_the_epoch_it_says() {
    let mut stage = Stage::new(Config::default());
    assert_eq!(stage.init("tx"), (Fine, 100, 0));
    assert_eq!(stage.init_as("tx", 100, 0), (Fine, 100, 1));
    assert_eq!(stage.init_as("tx", 100, 0), (Fine, 100, 1), "its answer was lost");
    assert_eq!(stage.init_as("tx", 7, 1).0, ProducerFenced);
    assert_eq!(stage.init("tx"), (Fine, 100, 2));
    assert_eq!(stage.init_as("tx", 100, 1).0, ProducerFenced, "another one has come between");
    let mut request = InitProducerIdRequest {
        transactional_id: Some("tx".into()),
        transaction_timeout_ms: 900_001,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    for timeout_ms in [900_001, 0] {
        request.transaction_timeout_ms = timeout_ms;
        let Response::InitProducerId(body) = stage.ask(Request::InitProducerId(request.clone())) else {
            panic!()
        };
        assert_eq!(code(body.error_code), InvalidTransactionTimeout);
    }
    assert_eq!(stage.init("").0, InvalidRequest);
}

#[test]
fn when_the_epochs_are_used_up_there_is_another_producer_id() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    for epoch in 0..LAST_EPOCH {
        assert_eq!(stage.init("tx"), (Fine, 100, epoch + 1));
    }
    assert_eq!(stage.add("tx", (100, LAST_EPOCH), &[0], 2), Fine);
    assert_eq!(stage.end("tx", (100, LAST_EPOCH), true, 2), (Fine, 101, 0));
    assert_eq!(stage.markers[0].epoch, i16::MAX);
    stage.reload(Config::default(), 6);
    assert_eq!((stage.markers[0].producer_id, stage.markers[0].epoch), (100, i16::MAX));
    stage.mark();
    assert_eq!(stage.end("tx", (100, LAST_EPOCH), true, 2), (Fine, 101, 0), "asked again after all that");
    assert_eq!(stage.add("tx", (101, 0), &[0], 2), Fine);

    let mut stage = Stage::new(Config::default());
    stage.init("ty");
    for _ in 0..LAST_EPOCH {
        stage.init("ty");
    }
    assert_eq!(stage.init_as("ty", 100, LAST_EPOCH), (Fine, 101, 0));
    assert_eq!(stage.init_as("ty", 100, LAST_EPOCH), (Fine, 101, 0), "its answer was lost");
    // Fencing needs the epoch that was kept for it.
    let mut stage = Stage::new(Config::default());
    stage.init("tz");
    for _ in 0..LAST_EPOCH {
        stage.init("tz");
    }
    stage.add("tz", (100, LAST_EPOCH), &[0], 2);
    assert_eq!(stage.init("tz").0, ConcurrentTransactions);
    assert_eq!(stage.mark()[0].epoch, i16::MAX);
    assert_eq!(stage.init("tz"), (Fine, 101, 1));
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.add("tx", (100, 0), &[2], 2);
    stage.pass(59_000);
    assert_eq!(stage.state("tx"), "Ongoing");
    stage.pass(11_000);
    assert_eq!(stage.state("tx"), "PrepareAbort");
    let markers = stage.mark();
    assert_eq!((markers[0].commit, markers[0].epoch, &markers[0].partitions[..]), (false, 1, &[at(2)][..]));
    assert_eq!(stage.end("tx", (100, 0), true, 2).0, InvalidTxnState, "its end is known, and is another one");
    assert_eq!(stage.add("tx", (100, 0), &[2], 2), ProducerFenced);
    // The clock runs on after another coordinator has taken over.
    stage.init("tx");
    stage.add("tx", (100, 2), &[2], 2);
    stage.reload(Config::default(), 6);
    stage.pass(71_000);
    assert_eq!(stage.state("tx"), "PrepareAbort");
    assert_eq!(stage.markers[0].coordinator_epoch, 6);
}

#[test]
fn markers_are_written_until_all_of_them_are() {
    let mut stage = Stage::new(Config { marker_retry_ms: 50, ..Config::default() });
    stage.init("tx");
    stage.add("tx", (100, 0), &[0, 1, 2], 2);
    stage.end("tx", (100, 0), true, 2);
    let first = stage.markers.remove(0);
    let outcomes =
        [(at(0), ErrorCode::NotLeaderOrFollower), (at(1), Fine), (at(2), ErrorCode::InvalidProducerEpoch)];
    stage.shard.marked(stage.now, "tx", first.id, outcomes);
    stage.settle();
    assert!(stage.markers.is_empty(), "after a pause");
    stage.pass(50);
    assert_eq!(stage.markers[0].partitions, [at(0)]);
    // What comes late of the first attempt says nothing about the second.
    stage.shard.marked(stage.now, "tx", first.id, [(at(0), Fine)]);
    stage.settle();
    assert_eq!(stage.state("tx"), "PrepareCommit");
    stage.mark();
    assert_eq!(stage.state("tx"), "CompleteCommit");

    // A later coordinator's word ends it here; that one goes on.
    stage.add("tx", (100, 1), &[0], 2);
    stage.end("tx", (100, 1), false, 2);
    let markers = stage.markers.remove(0);
    stage.shard.marked(stage.now, "tx", markers.id, [(at(0), TransactionCoordinatorFenced)]);
    stage.settle();
    stage.pass(600_000);
    assert!(stage.markers.is_empty());
    assert_eq!(stage.state("tx"), "PrepareAbort");
    stage.reload(Config::default(), 9);
    assert_eq!((stage.markers[0].coordinator_epoch, stage.markers[0].commit), (9, false));
}

#[test]
fn the_record_of_a_completion_is_tried_until_it_is_stored() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.add("tx", (100, 0), &[0], 2);
    stage.end("tx", (100, 0), true, 2);
    let markers = stage.markers.remove(0);
    stage.shard.marked(stage.now, "tx", markers.id, [(at(0), Fine)]);
    for _ in 0..2 {
        let append = stage.append();
        stage.shard.appended(stage.now, append.id, Err(ErrorCode::NotEnoughReplicas));
        assert_eq!(stage.add("tx", (100, 1), &[0], 2), ConcurrentTransactions);
        stage.now.running_ms += 50;
        stage.shard.tick(stage.now);
    }
    stage.settle();
    assert_eq!(stage.state("tx"), "CompleteCommit");
}

#[test]
fn an_id_that_nobody_uses_is_forgotten() {
    let config =
        Config { id_expiration_ms: 1_000_000, expiration_check_interval_ms: 500_000, ..Config::default() };
    let mut stage = Stage::new(config.clone());
    stage.init("idle");
    stage.init("open");
    stage.add("open", (101, 0), &[0], 2);
    stage.pass(500_000);
    stage.mark();
    stage.init("young");
    stage.pass(500_000);
    stage.pass(1);
    assert_eq!(stage.state("idle"), "");
    assert_eq!((stage.state("open"), stage.state("young")), ("CompleteAbort".into(), "Empty".into()));
    assert_eq!(stage.init("idle"), (Fine, 103, 0), "it begins like a new one");
    let before = stage.shard.dump();
    stage.reload(config, 6);
    assert_eq!(stage.shard.dump(), before);
}

#[test]
fn partitions_are_verified_against_what_is_stored() {
    let mut stage = Stage::new(Config::default());
    let verify = |stage: &mut Stage, id: i64, epoch: i16| {
        let producer = Producer { transactional_id: "tx".into(), id, epoch };
        match stage.ask(Request::Verify { producer, partitions: vec![at(0), at(1)] }) {
            Response::Verify(errors) => errors,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(verify(&mut stage, 100, 0), [InvalidProducerIdMapping; 2]);
    stage.init("tx");
    assert_eq!(verify(&mut stage, 100, 0), [TransactionAbortable; 2]);
    stage.add("tx", (100, 0), &[1], 0);
    assert_eq!(verify(&mut stage, 100, 0), [TransactionAbortable, Fine]);
    assert_eq!(verify(&mut stage, 100, 1), [ProducerFenced; 2]);
    assert_eq!(verify(&mut stage, 7, 0), [InvalidProducerIdMapping; 2]);
    stage.end("tx", (100, 0), true, 0);
    assert_eq!(verify(&mut stage, 100, 0), [ConcurrentTransactions; 2]);
    stage.mark();
    assert_eq!(verify(&mut stage, 100, 0), [TransactionAbortable; 2], "the next one has to add it anew");
}

#[test]
fn ids_are_described_and_listed() {
    let mut stage = Stage::new(Config::default());
    stage.init("a");
    stage.init("b");
    stage.add("b", (101, 0), &[4, 0], 2);
    let Response::Describe(described) =
        stage.ask(Request::Describe(vec!["b".into(), "c".into(), String::new()]))
    else {
        panic!()
    };
    let [b, c, none] = &described[..] else { panic!("{described:?}") };
    assert_eq!((b.transaction_state.as_str(), b.producer_id, b.producer_epoch), ("Ongoing", 101, 0));
    assert_eq!((b.transaction_timeout_ms, b.transaction_start_time_ms), (60_000, 1_000_000));
    assert_eq!((b.topics[0].topic.as_str(), &b.topics[0].partitions[..]), ("t", &[0, 4][..]));
    assert_eq!((code(c.error_code), code(none.error_code)), (TransactionalIdNotFound, InvalidRequest));
    let mut list = |request: ListTransactionsRequest| {
        stage.now.wall_ms = 1_000_500;
        match stage.ask(Request::List(request)) {
            Response::List(body) => {
                body.transaction_states.into_iter().map(|state| state.transactional_id).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let all = ListTransactionsRequest { duration_filter: -1, ..Default::default() };
    assert_eq!(list(all.clone()), ["a", "b"]);
    assert_eq!(list(ListTransactionsRequest { state_filters: vec!["Empty".into()], ..all.clone() }), ["a"]);
    assert_eq!(list(ListTransactionsRequest { producer_id_filters: vec![101], ..all.clone() }), ["b"]);
    assert_eq!(list(ListTransactionsRequest { duration_filter: 500, ..all.clone() }), ["a"], "as in Kafka");
    assert_eq!(list(ListTransactionsRequest { duration_filter: 499, ..all }), ["a", "b"]);
    assert_eq!(unknown_states(&["Ongoing".into(), "Open".into(), "Dead".into()]), ["Open"]);
}

#[test]
fn a_shard_that_is_not_served_says_so() {
    let mut shard = Shard::new(Config::default(), 0);
    let now = Moment { running_ms: 0, wall_ms: 0 };
    let ask = |shard: &mut Shard, request: Request| {
        shard.handle(now, 1, request);
        match shard.poll_effect() {
            Some(Effect::Reply { response, .. }) => response,
            other => panic!("{other:?}"),
        }
    };
    let end = || Request::EndTxn { request: EndTxnRequest::default(), client_version: 2 };
    let Response::EndTxn(loading) = ask(&mut shard, end()) else { panic!() };
    assert_eq!(code(loading.error_code), ErrorCode::CoordinatorLoadInProgress);
    shard.loaded(now);
    shard.stock(100);
    let request = InitProducerIdRequest {
        transactional_id: Some("tx".into()),
        transaction_timeout_ms: 1,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    shard.handle(now, 2, Request::InitProducerId(request));
    let Some(Effect::Append(append)) = shard.poll_effect() else { panic!("a record") };
    shard.unload();
    let Some(Effect::Reply { token: 2, response: Response::InitProducerId(lost) }) = shard.poll_effect()
    else {
        panic!("whoever waits is told")
    };
    assert_eq!(code(lost.error_code), ErrorCode::NotCoordinator);
    shard.appended(now, append.id, Ok(()));
    assert_eq!((shard.poll_effect(), shard.size()), (None, 0), "what comes late is of no interest");
    let Response::EndTxn(gone) = ask(&mut shard, end()) else { panic!() };
    assert_eq!(code(gone.error_code), ErrorCode::NotCoordinator);
}
