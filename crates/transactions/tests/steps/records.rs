//! What becomes of a request whose record is on its way, refused, or too slow; and of those that nobody serves.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::list_transactions_request::ListTransactionsRequest;
use ottla_transactions::{Config, Effect, Moment, Request, Response, Shard};

use crate::stage::{Stage, add_request, code, init_request};
use ErrorCode::{
    ConcurrentTransactions, CoordinatorLoadInProgress, CoordinatorNotAvailable, None as Fine, NotCoordinator,
};

fn end_request(id: &str, producer: (i64, i16)) -> Request {
    let request = EndTxnRequest {
        transactional_id: id.to_owned(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed: true,
    };
    Request::EndTxn { request, client_version: 2 }
}

fn error_of(response: &Response) -> ErrorCode {
    match response {
        Response::InitProducerId(body) => code(body.error_code),
        Response::AddPartitions(error) => *error,
        Response::EndTxn(body) => code(body.error_code),
        other => panic!("{other:?}"),
    }
}

/// One step of each kind that a client waits for, on a stage where it is the next one.
fn steps() -> Vec<(&'static str, Stage, Request)> {
    let stage = |begun: bool| {
        let mut stage = Stage::new(Config::default());
        stage.init("tx");
        if begun {
            stage.add("tx", (100, 0), &[0], 2);
        }
        stage
    };
    vec![
        ("init", stage(false), Request::InitProducerId(init_request("tx"))),
        ("take over", stage(true), Request::InitProducerId(init_request("tx"))),
        ("add", stage(true), add_request("tx", (100, 0), &[1])),
        ("end", stage(true), end_request("tx", (100, 0))),
    ]
}

#[test]
fn nobody_is_answered_and_nothing_changes_before_the_record_is_committed() {
    for (step, mut stage, request) in steps() {
        let before = stage.shard.dump();
        let append = stage.begin(request.clone());
        assert_eq!(stage.answered(), [], "{step}");
        assert_eq!(stage.shard.dump(), before, "{step}");
        assert_eq!(error_of(&stage.ask(request)), ConcurrentTransactions, "{step}: one at a time");
        stage.shard.appended(stage.now, append.id, Ok(()));
        assert_ne!(stage.shard.dump(), before, "{step}");
        let told = if step == "take over" { ConcurrentTransactions } else { Fine };
        assert_eq!(stage.answered().iter().map(error_of).collect::<Vec<_>>(), [told], "{step}");
    }
}

#[test]
fn a_refused_record_is_told_in_words_of_the_coordinator_and_leaves_nothing_behind() {
    use ErrorCode::*;
    for (error, told) in [
        (UnknownTopicOrPartition, CoordinatorNotAvailable),
        (NotEnoughReplicas, CoordinatorNotAvailable),
        (NotEnoughReplicasAfterAppend, CoordinatorNotAvailable),
        (RequestTimedOut, CoordinatorNotAvailable),
        (NotLeaderOrFollower, NotCoordinator),
        (KafkaStorageError, NotCoordinator),
        (MessageTooLarge, UnknownServerError),
        (RecordListTooLarge, UnknownServerError),
        (InvalidTimestamp, InvalidTimestamp),
    ] {
        for (step, mut stage, request) in steps() {
            let before = stage.shard.dump();
            let append = stage.begin(request.clone());
            stage.shard.appended(stage.now, append.id, Err(error));
            let answers = stage.answered();
            assert_eq!(answers.iter().map(error_of).collect::<Vec<_>>(), [told], "{step}: {error:?}");
            assert_eq!(stage.shard.dump(), before, "{step}");
            // It can be tried again.
            let again = stage.begin(request);
            stage.shard.appended(stage.now, again.id, Ok(()));
            assert_ne!(stage.shard.dump(), before, "{step}");
        }
    }
    // An id that has never been is one again.
    let mut stage = Stage::new(Config::default());
    stage.shard.stock(7);
    let append = stage.begin(Request::InitProducerId(init_request("new")));
    stage.shard.appended(stage.now, append.id, Err(NotEnoughReplicas));
    assert_eq!((stage.answered().len(), stage.shard.size()), (1, 0));
    assert_eq!(stage.init("new").0, None);
}

#[test]
fn a_record_that_takes_too_long_is_told_once_and_counts_when_it_is_committed() {
    for (step, mut stage, request) in steps() {
        let before = stage.shard.dump();
        let append = stage.begin(request);
        let due = Moment { running_ms: 10_000, wall_ms: 1_010_000 };
        stage.shard.tick(Moment { running_ms: 9_999, wall_ms: 1_009_999 });
        assert_eq!(stage.answered(), [], "{step}");
        stage.shard.tick(due);
        let answers = stage.answered();
        assert_eq!(answers.iter().map(error_of).collect::<Vec<_>>(), [CoordinatorNotAvailable], "{step}");
        stage.shard.appended(due, append.id, Ok(()));
        assert_eq!(stage.answered(), [], "{step}: nobody waits any more");
        assert_ne!(stage.shard.dump(), before, "{step}");
    }
}

#[test]
fn whoever_waits_is_told_when_the_shard_is_lost() {
    for (step, mut stage, request) in steps() {
        let append = stage.begin(request);
        stage.shard.unload();
        assert_eq!(stage.answered().iter().map(error_of).collect::<Vec<_>>(), [NotCoordinator], "{step}");
        stage.shard.appended(stage.now, append.id, Ok(()));
        assert_eq!(stage.answered(), [], "{step}");
    }
}

#[test]
fn a_list_of_all_ids_waits_for_shards_that_load_and_passes_over_those_that_are_gone() {
    let mut shard = Shard::new(Config::default(), 0);
    let now = Moment { running_ms: 0, wall_ms: 0 };
    let ask = |shard: &mut Shard, request: Request| {
        shard.handle(now, 1, request);
        match shard.poll_effect() {
            Some(Effect::Reply { response, .. }) => response,
            other => panic!("{other:?}"),
        }
    };
    let list = || Request::List(ListTransactionsRequest { duration_filter: -1, ..Default::default() });
    let listed = |shard: &mut Shard| match ask(shard, list()) {
        Response::List(body) => (code(body.error_code), body.transaction_states.len()),
        other => panic!("{other:?}"),
    };
    let described = |shard: &mut Shard| match ask(shard, Request::Describe(vec!["a".into(), "b".into()])) {
        Response::Describe(all) => all.iter().map(|one| code(one.error_code)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(listed(&mut shard), (CoordinatorLoadInProgress, 0));
    assert_eq!(described(&mut shard), [CoordinatorLoadInProgress; 2]);
    shard.unload();
    assert_eq!(listed(&mut shard), (Fine, 0));
    assert_eq!(described(&mut shard), [NotCoordinator; 2]);
}
