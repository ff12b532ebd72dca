//! What kafka-transactions prints and what it takes for hanging.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::TopicPartition;
use ottla_protocol::messages::describe_producers_response::ProducerState;
use ottla_protocol::messages::describe_transactions_response::{TopicData, TransactionState};

use super::hanging::{Open, hanging, long_open};
use super::{check, description, options, producer, server};
use crate::runtime::{Out, Stop};

fn parsed(args: &[&str]) -> Result<(), Stop> {
    let args: Vec<String> =
        ["--bootstrap-server", "h:1"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    let ns = options::parser().parse(&args, &mut Out::new_for_test())?;
    check(ns.text("command").unwrap_or_default(), &ns)
}

#[test]
fn arguments_are_refused_in_kafkas_words() {
    let refused = |args: &[&str]| parsed(args).expect_err("refused").err;
    assert!(
        refused(&["abort", "--topic", "t", "--partition", "0"]).starts_with("The transaction to abort must")
    );
    let old = ["abort", "--topic", "t", "--partition", "0", "--producer-id", "7"];
    assert_eq!(refused(&old), "Missing required argument --producer-epoch");
    let older = [&old[..], &["--producer-epoch", "1"]].concat();
    assert_eq!(refused(&older), "Missing required argument --coordinator-epoch");
    assert!(parsed(&[&older[..], &["--coordinator-epoch", "-1"]].concat()).is_ok());
    assert!(refused(&["find-hanging"]).starts_with("The `find-hanging` command requires"));
    assert_eq!(
        refused(&["find-hanging", "--broker-id", "1", "--partition", "0"]),
        "The --partition argument requires --topic to be provided"
    );
    assert!(refused(&["describe"]).ends_with("error: argument --transactional-id is required"));
    assert!(parsed(&["list", "--duration-filter", "5"]).is_ok());
}

#[test]
fn a_transaction_that_is_not_open_has_no_times() {
    let mut state = TransactionState {
        transactional_id: "tx".into(),
        transaction_state: "CompleteCommit".into(),
        transaction_timeout_ms: 60_000,
        transaction_start_time_ms: -1,
        producer_id: 4,
        producer_epoch: 2,
        ..TransactionState::default()
    };
    assert_eq!(
        description(1, "tx", &state, 500),
        ["1", "tx", "4", "2", "CompleteCommit", "60000", "None", "None", ""]
    );
    state.transaction_state = "Ongoing".into();
    state.transaction_start_time_ms = 400;
    state.topics = vec![TopicData { topic: "t".into(), partitions: vec![1, 0] }];
    assert_eq!(
        description(1, "tx", &state, 500),
        ["1", "tx", "4", "2", "Ongoing", "60000", "400", "100", "t-0,t-1"]
    );
    assert_eq!(server::state("of a later release"), "Unknown");
}

fn state(producer_id: i64, last_timestamp: i64, begun: i64) -> ProducerState {
    ProducerState {
        producer_id,
        last_timestamp,
        current_txn_start_offset: begun,
        coordinator_epoch: -1,
        last_sequence: 3,
        ..ProducerState::default()
    }
}

#[test]
fn a_producer_without_transaction_has_none() {
    assert_eq!(producer(&state(9, 77, -1)), ["9", "0", "-1", "3", "77", "None"]);
    assert_eq!(producer(&state(9, 77, 5))[5], "5");
}

#[test]
fn only_what_no_coordinator_will_end_hangs() {
    let at = |partition| TopicPartition::new("t", partition);
    let producers = BTreeMap::from([
        (at(0), vec![state(1, 0, 5), state(2, 999, 6), state(3, 0, -1)]),
        (at(1), vec![state(1, 0, 8), state(4, 0, 9)]),
    ]);
    let open = long_open(producers, 500, 1000);
    let short = |open: &[Open]| -> Vec<(i32, i64)> {
        open.iter().map(|open| (open.at.partition, open.producer.producer_id)).collect()
    };
    assert_eq!(short(&open), [(0, 1), (1, 1), (1, 4)], "2 spoke lately, 3 has none");
    let known = BTreeMap::from([(1, BTreeSet::from([at(0)]))]);
    assert_eq!(short(&hanging(open, &known)), [(1, 1), (1, 4)]);
}
