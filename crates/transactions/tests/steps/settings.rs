//! What settings, the clock and the stock of producer ids decide.

use ottla_protocol::coordinator_records::transaction_log_value::TransactionLogValue;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::wire::Message;
use ottla_transactions::{Config, Producer, Request, Response, Shard};

use crate::stage::{LAST_EPOCH, Stage, add_request, at, init_request};
use ErrorCode::{
    CoordinatorLoadInProgress, InvalidRequest, InvalidTransactionTimeout, None as Fine, ProducerFenced,
    TransactionalIdAuthorizationFailed, UnsupportedVersion,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[test]
fn a_transaction_of_two_phases_is_for_those_who_may_and_has_no_timeout() {
    let two_phases =
        || InitProducerIdRequest { enable2_pc: true, transaction_timeout_ms: 900_001, ..init_request("tx") };
    let mut stage = Stage::new(Config::default());
    assert_eq!(stage.init_by(two_phases()).0, TransactionalIdAuthorizationFailed);
    let keeping = InitProducerIdRequest { keep_prepared_txn: true, ..init_request("tx") };
    assert_eq!(stage.init_by(keeping).0, UnsupportedVersion);

    let mut stage = Stage::new(Config { two_phase_commit: true, ..Config::default() });
    assert_eq!(stage.init_by(two_phases()), (Fine, 100, 0), "whatever timeout it asks for");
    assert_eq!(stage.describe("tx").transaction_timeout_ms, i32::MAX);
    stage.add("tx", (100, 0), &[0], 2);
    stage.pass(40 * DAY_MS);
    assert_eq!(stage.state("tx"), "Ongoing", "an outside coordinator decides");
    let keeping = InitProducerIdRequest { keep_prepared_txn: true, ..two_phases() };
    assert_eq!(stage.init_by(keeping).0, UnsupportedVersion);
}

#[test]
fn a_timeout_counts_from_the_first_partition_and_is_passed_when_it_is_over() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.add("tx", (100, 0), &[0], 2);
    stage.pass(40_000);
    stage.add("tx", (100, 0), &[1], 2);
    stage.pass(20_000);
    assert_eq!(stage.state("tx"), "Ongoing", "the last moment of its time");
    stage.pass(10_000);
    assert_eq!(stage.state("tx"), "PrepareAbort");
    // The next one has a time of its own, and what its producer said last counts.
    stage.mark();
    let request = InitProducerIdRequest { transaction_timeout_ms: 5_000, ..init_request("tx") };
    assert_eq!(stage.init_by(request), (Fine, 100, 2));
    assert_eq!(stage.describe("tx").transaction_timeout_ms, 5_000);
    stage.add("tx", (100, 2), &[0], 2);
    stage.pass(10_000);
    assert_eq!(stage.state("tx"), "PrepareAbort");
}

#[test]
fn a_transaction_that_takes_a_step_is_not_aborted_in_the_middle_of_it() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.add("tx", (100, 0), &[0], 2);
    stage.pass(59_000);
    let append = stage.begin(add_request("tx", (100, 0), &[1]));
    stage.now.running_ms += 11_000;
    stage.now.wall_ms += 11_000;
    stage.shard.tick(stage.now);
    assert_eq!(stage.answered().len(), 1, "whoever waits is told that it takes long, and nothing is decided");
    stage.shard.appended(stage.now, append.id, Ok(()));
    stage.settle();
    assert_eq!(stage.state("tx"), "Ongoing");
    stage.pass(10_000);
    assert_eq!((stage.state("tx"), stage.mark().remove(0).partitions.len()), ("PrepareAbort".into(), 2));
}

#[test]
fn records_say_when_a_transaction_began_and_when_it_changed() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    for partition in [0, 1] {
        stage.pass(10);
        stage.add("tx", (100, 0), &[partition], 2);
    }
    stage.pass(10);
    stage.end("tx", (100, 0), true, 2);
    stage.pass(10);
    stage.mark();
    stage.pass(10);
    stage.end("tx", (100, 1), false, 2);
    let told = |record: &ottla_transactions::Record| {
        let value = record.value.as_deref().unwrap();
        let value = TransactionLogValue::decode(&value[2..], 1).unwrap();
        let (began, changed) =
            (value.transaction_start_timestamp_ms, value.transaction_last_update_timestamp_ms);
        (value.transaction_status, value.client_transaction_version, began, changed - 1_000_000)
    };
    let records: Vec<_> = stage.log.iter().map(told).collect();
    let (first, second) = (1_000_010, 1_000_050);
    assert_eq!(
        records,
        [
            (0, 0, -1, 0),
            (1, 2, first, 10),
            (1, 2, first, 20),
            (2, 2, first, 30),
            (4, 2, first, 40),
            (3, 2, second, 50),
            (5, 2, second, 50)
        ]
    );
    assert_eq!(stage.describe("tx").transaction_start_time_ms, second, "of what has not begun, too");
}

#[test]
fn an_id_is_forgotten_at_its_time_and_not_before() {
    let config =
        Config { id_expiration_ms: 1_000_000, expiration_check_interval_ms: 500_000, ..Config::default() };
    let mut stage = Stage::new(config.clone());
    stage.init("idle");
    stage.init("done");
    stage.add("done", (101, 0), &[0], 2);
    stage.end("done", (101, 0), true, 2);
    stage.pass(500_000);
    stage.pass(400_000);
    stage.mark();
    stage.init("late");
    stage.pass(100_000);
    assert_eq!(stage.state("idle"), "", "after exactly that time");
    stage.pass(800_000);
    assert_eq!(stage.state("done"), "CompleteCommit", "its time begins with its completion");
    // Another coordinator looks, too.
    stage.reload(config.clone(), 6);
    assert_eq!(stage.shard.size(), 2, "what is forgotten stays so");
    stage.pass(500_000);
    assert_eq!(stage.shard.size(), 0);
    stage.reload(config, 7);
    assert_eq!(stage.shard.size(), 0);
}

#[test]
fn an_id_that_takes_a_step_is_not_forgotten() {
    let config = Config { id_expiration_ms: 1_000, expiration_check_interval_ms: 2_000, ..Config::default() };
    let mut stage = Stage::new(config);
    stage.init("tx");
    stage.now.running_ms += 2_000;
    stage.now.wall_ms += 2_000;
    let append = stage.begin(add_request("tx", (100, 0), &[0]));
    stage.shard.tick(stage.now);
    assert_eq!(stage.answered(), []);
    stage.shard.appended(stage.now, append.id, Ok(()));
    stage.settle();
    assert_eq!(stage.state("tx"), "Ongoing");
}

#[test]
fn ids_without_number_are_forgotten_in_appends_of_some_size() {
    let config = Config { id_expiration_ms: 1_000, expiration_check_interval_ms: 2_000, ..Config::default() };
    let mut stage = Stage::new(config);
    for n in 0..300 {
        stage.init(&format!("{n:0>100}"));
    }
    stage.appends.clear();
    stage.pass(2_000);
    assert_eq!(stage.appends.iter().sum::<usize>(), 300, "each of them once");
    let (first, rest) = stage.appends.split_first().unwrap();
    assert!((100..200).contains(first) && !rest.is_empty(), "{:?}", stage.appends);
    assert_eq!(stage.shard.size(), 0);
}

#[test]
fn a_step_that_needs_a_producer_id_waits_for_one() {
    let mut stage = Stage::new(Config::default());
    stage.is_dry = true;
    assert_eq!(stage.init("tx"), (CoordinatorLoadInProgress, -1, -1));
    stage.is_dry = false;
    assert_eq!(stage.init("tx"), (Fine, 100, 0));
    for _ in 0..LAST_EPOCH {
        stage.init("tx");
    }
    let last = (100, LAST_EPOCH);
    stage.is_dry = true;
    assert_eq!(stage.init("other"), (Fine, 101, 0), "that was the last one");
    assert!(stage.shard.lacks_producer_id());
    assert_eq!(stage.init("tx").0, CoordinatorLoadInProgress);
    assert_eq!(stage.add("tx", last, &[0], 2), Fine);
    assert_eq!(stage.end("tx", last, true, 2).0, CoordinatorLoadInProgress);
    assert_eq!(stage.init("tx").0, CoordinatorLoadInProgress, "also to end it for another");
    stage.pass(70_000);
    assert_eq!(stage.state("tx"), "Ongoing", "a timeout waits, too");
    stage.is_dry = false;
    assert_eq!(stage.end("tx", last, true, 2), (Fine, 102, 0));
}

#[test]
fn another_producer_id_is_for_whoever_has_the_last_epoch() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    for _ in 0..LAST_EPOCH - 1 {
        stage.init("tx");
    }
    assert_eq!(stage.init_as("tx", 100, LAST_EPOCH - 1), (Fine, 100, LAST_EPOCH));
    assert_eq!(stage.init_as("tx", 100, LAST_EPOCH - 1), (Fine, 100, LAST_EPOCH), "its answer was lost");
    assert_eq!(stage.init_as("tx", 100, LAST_EPOCH - 2).0, ProducerFenced);
    // From then on only a retry with the very last epoch is its own.
    assert_eq!(stage.init("tx"), (Fine, 101, 0));
    assert_eq!(stage.init_as("tx", 100, 7).0, ProducerFenced);
    assert_eq!(stage.end("tx", (100, 7), false, 2).0, ErrorCode::InvalidProducerIdMapping);
}

#[test]
fn after_an_end_a_producer_may_begin_anew_with_the_epoch_from_before() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.add("tx", (100, 0), &[0], 2);
    assert_eq!(stage.end("tx", (100, 0), true, 2), (Fine, 100, 1));
    stage.mark();
    // The answer to EndTxn was lost: it knows of epoch 0 alone.
    assert_eq!(stage.init_as("tx", 100, 0), (Fine, 100, 1));
}

#[test]
fn all_partitions_of_a_request_take_part() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    assert_eq!(stage.add("tx", (100, 0), &[0], 2), Fine);
    assert_eq!(stage.add("tx", (100, 0), &[0, 1], 2), Fine);
    let topics = stage.describe("tx").topics;
    assert_eq!((topics.len(), &topics[0].partitions[..]), (1, &[0, 1][..]));
    let verify = |id: &str| Request::Verify {
        producer: Producer { transactional_id: id.into(), id: 100, epoch: 0 },
        partitions: vec![at(0), at(1), at(2)],
    };
    let no = ErrorCode::TransactionAbortable;
    assert_eq!(stage.ask(verify("tx")), Response::Verify(vec![Fine, Fine, no]));
    assert_eq!(stage.ask(verify("")), Response::Verify(vec![InvalidRequest; 3]));
    assert_eq!(stage.add("", (100, 0), &[0], 2), InvalidRequest);
    assert_eq!(stage.add("unheard", (100, 0), &[0], 2), ErrorCode::InvalidProducerIdMapping);
}

#[test]
fn other_settings_and_another_epoch_apply_from_then_on() {
    let mut stage = Stage::new(Config::default());
    stage.init("tx");
    stage.shard.configure(Config { max_timeout_ms: 59_999, ..Config::default() });
    assert_eq!(stage.init("tx").0, InvalidTransactionTimeout);
    stage.add("tx", (100, 0), &[0], 2);
    stage.shard.lead_on(9);
    stage.end("tx", (100, 0), true, 2);
    assert_eq!(stage.markers[0].coordinator_epoch, 9);
}

#[test]
fn only_a_shard_that_serves_asks_for_a_producer_id_and_looks_at_the_clock() {
    let mut shard = Shard::new(Config::default(), 0);
    assert!(!shard.lacks_producer_id() && shard.next_deadline().is_none());
    shard.loaded(Stage::new(Config::default()).now);
    assert!(shard.lacks_producer_id() && shard.next_deadline().is_some());
    shard.unload();
    assert!(!shard.lacks_producer_id() && shard.next_deadline().is_none());
}
