//! Idempotent and transactional producers, as the log's users see them.

use super::*;
use crate::producers::Transaction;

fn as_client(log: &mut Log, bytes: &[u8]) -> Result<Appended, AppendError> {
    append(log, bytes)
}

fn as_coordinator(log: &mut Log, version: i16, bytes: &[u8]) -> Result<Appended, AppendError> {
    let transaction = Transaction { version, ..Transaction::default() };
    let append =
        LeaderAppend { origin: Origin::Coordinator, transaction, ..LeaderAppend::from_client(NOW, 0) };
    log.append_as_leader(&append, &[accepted(bytes)])
}

fn transactional(id: ProducerId, epoch: ProducerEpoch, sequence: Sequence, count: i32) -> Vec<u8> {
    build(BatchBuilder::new(0).producer(id, epoch, sequence).transactional(true), count, NOW)
}

fn marker(id: ProducerId, epoch: ProducerEpoch, commit: bool, coordinator_epoch: i32) -> Vec<u8> {
    ottla_records::control::end_transaction_batch(0, 0, NOW, (id, epoch), commit, coordinator_epoch)
}

fn log() -> Log {
    Bench::new(LogConfig::default()).create()
}

#[test]
fn a_batch_sent_again_is_answered_with_its_first_offsets() {
    let mut log = log();
    append(&mut log, &batch(10, NOW)).unwrap();
    let batches: Vec<Vec<u8>> = (0..6).map(|n| idempotent(1, 0, n * 3, 3)).collect();
    for bytes in &batches {
        assert!(!as_client(&mut log, bytes).unwrap().duplicate);
    }
    for (n, bytes) in batches.iter().enumerate().skip(1) {
        let again = as_client(&mut log, bytes).unwrap();
        let first = 10 + n as i64 * 3;
        assert_eq!((again.duplicate, again.first_offset, again.last_offset), (true, first, first + 2));
    }
    assert_eq!(log.log_end(), 28);
    let error = as_client(&mut log, &batches[0]).unwrap_err();
    assert!(
        matches!(error, AppendError::OutOfOrderSequence { sequence: 0, expected_after: 17, .. }),
        "{error}"
    );
}

#[test]
fn gaps_and_old_epochs_are_refused() {
    let mut log = log();
    // Where nothing is known any sequence may come: older records may have been deleted.
    as_client(&mut log, &idempotent(1, 3, 40, 2)).unwrap();
    for (epoch, sequence) in [(3, 43), (3, 41), (3, 0), (4, 42)] {
        let error = as_client(&mut log, &idempotent(1, epoch, sequence, 1)).unwrap_err();
        assert!(matches!(error, AppendError::OutOfOrderSequence { .. }), "{epoch} {sequence}: {error}");
    }
    let error = as_client(&mut log, &idempotent(1, 2, 42, 1)).unwrap_err();
    assert!(matches!(error, AppendError::InvalidProducerEpoch { epoch: 2, current: 3, .. }), "{error}");
    assert_eq!(log.log_end(), 2);
    as_client(&mut log, &idempotent(1, 3, 42, 1)).unwrap();
    as_client(&mut log, &idempotent(1, 4, 0, 1)).unwrap();
    as_client(&mut log, &idempotent(2, 0, i32::MAX, 1)).unwrap();
    as_client(&mut log, &idempotent(2, 0, 0, 1)).unwrap();
    // A coordinator's batches carry no meaningful sequence.
    as_coordinator(&mut log, 0, &idempotent(1, 4, 77, 1)).unwrap();
}

#[test]
fn producers_survive_rolls_truncation_and_restarts() {
    let config = LogConfig { segment_bytes: 2000, producer_id_expiration_ms: 5000, ..LogConfig::default() };
    let bench = Bench::new(config);
    let mut log = bench.create();
    let batches: Vec<Vec<u8>> = (0..10).map(|n| idempotent(1, 0, n * 5, 5)).collect();
    for bytes in &batches {
        as_client(&mut log, bytes).unwrap();
    }
    assert!(log.segments().len() > 2);
    log.set_high_watermark(50);
    log.truncate_to(35, NOW).unwrap();
    assert_eq!(log.producer(1).unwrap().last_sequence(), 34);
    assert!(as_client(&mut log, &batches[6]).unwrap().duplicate);
    as_client(&mut log, &batches[7]).unwrap();
    log.close().unwrap();
    for clean in [true, false] {
        let (mut log, _) = bench.open(clean, 40);
        assert!(as_client(&mut log, &batches[7]).unwrap().duplicate, "clean {clean}");
        assert!(as_client(&mut log, &batches[9]).is_err(), "clean {clean}");
    }
    let (mut log, _) = bench.open(true, 0);
    assert_eq!(log.expire_producers(NOW + 4999), 0);
    assert_eq!(log.expire_producers(NOW + 5004), 1);
    as_client(&mut log, &batches[9]).unwrap();
}

#[test]
fn open_transactions_hold_back_the_last_stable_offset() {
    let mut log = log();
    as_client(&mut log, &batch(2, NOW)).unwrap();
    as_client(&mut log, &transactional(1, 0, 0, 3)).unwrap();
    as_client(&mut log, &transactional(2, 0, 0, 2)).unwrap();
    as_client(&mut log, &transactional(1, 0, 3, 1)).unwrap();
    log.set_high_watermark(8);
    assert_eq!((log.first_unstable_offset(), log.last_stable_offset()), (Some(2), 2));
    assert!(log.has_open_transaction(1, 0) && !log.has_open_transaction(1, 1));
    assert_eq!(log.oldest_transaction_timestamp(), Some(NOW));

    as_coordinator(&mut log, 0, &marker(1, 0, false, 0)).unwrap();
    assert_eq!(log.last_stable_offset(), 2, "the marker is not replicated");
    log.set_high_watermark(9);
    assert_eq!(log.last_stable_offset(), 5, "the other transaction is open");
    as_coordinator(&mut log, 0, &marker(2, 0, true, 0)).unwrap();
    log.set_high_watermark(10);
    assert_eq!((log.first_unstable_offset(), log.last_stable_offset()), (None, 10));

    let aborted = log.aborted_transactions(0, 10).unwrap();
    let expected = AbortedTxn { producer_id: 1, first_offset: 2, last_offset: 8, last_stable_offset: 5 };
    assert_eq!(aborted, [expected]);
    assert_eq!(log.aborted_transactions(9, 10).unwrap(), []);
    assert_eq!(log.aborted_transactions(0, 2).unwrap(), []);
    let fetched = log.read(0, usize::MAX, true, ReadUpTo::LastStableOffset).unwrap();
    assert_eq!(fetched.aborted, [expected]);
    let plain = log.read(0, usize::MAX, true, ReadUpTo::HighWatermark).unwrap();
    assert_eq!(plain.aborted, []);
}

#[test]
fn truncation_takes_transactions_along() {
    let bench = Bench::new(LogConfig { segment_bytes: 1500, ..LogConfig::default() });
    let mut log = bench.create();
    for n in 0..6 {
        as_client(&mut log, &transactional(1, 0, n * 4, 4)).unwrap();
        as_coordinator(&mut log, 0, &marker(1, 0, n % 2 == 1, 0)).unwrap();
    }
    log.set_high_watermark(30);
    assert_eq!(log.aborted_transactions(0, 30).unwrap().len(), 3);
    log.truncate_to(24, NOW).unwrap();
    assert_eq!(log.aborted_transactions(0, 30).unwrap().len(), 2);
    assert_eq!(log.first_undecided_offset(), Some(20), "its marker is gone");
    log.truncate_to(2, NOW).unwrap();
    assert_eq!((log.log_end(), log.first_undecided_offset()), (2, None));
    assert_eq!(log.aborted_transactions(0, 30).unwrap(), []);
}

#[test]
fn what_does_not_fit_a_transaction_is_refused() {
    let mut log = log();
    as_client(&mut log, &transactional(1, 5, 0, 1)).unwrap();
    let error = as_client(&mut log, &idempotent(1, 5, 1, 1)).unwrap_err();
    assert!(matches!(error, AppendError::InvalidTxnState { .. }), "{error}");
    let error = as_coordinator(&mut log, 1, &marker(1, 4, true, 3)).unwrap_err();
    assert!(matches!(error, AppendError::InvalidProducerEpoch { .. }), "{error}");
    // Transaction version 2: a marker has a higher epoch than the transaction.
    let error = as_coordinator(&mut log, 2, &marker(1, 5, true, 3)).unwrap_err();
    assert!(matches!(error, AppendError::InvalidProducerEpoch { .. }), "{error}");
    as_coordinator(&mut log, 2, &marker(1, 6, true, 3)).unwrap();
    as_coordinator(&mut log, 2, &marker(1, 6, true, 3)).expect("written again after a lost answer");
    let error = as_coordinator(&mut log, 1, &marker(1, 6, true, 2)).unwrap_err();
    assert!(matches!(error, AppendError::CoordinatorFenced { epoch: 2, current: 3, .. }), "{error}");
}

#[test]
fn a_transaction_begins_only_with_its_own_verification() {
    let mut log = log();
    let append = |log: &mut Log, guard, bytes: &[u8]| {
        let transaction = Transaction { guard, version: 0, verify: true };
        let append = LeaderAppend { transaction, ..LeaderAppend::from_client(NOW, 0) };
        log.append_as_leader(&append, &[accepted(bytes)])
    };
    let first = transactional(1, 0, 0, 2);
    let refused = append(&mut log, None, &first).unwrap_err();
    assert!(matches!(refused, AppendError::InvalidTxnState { .. }), "{refused}");
    let guard = log.begin_verification(NOW, 1, 0, 0, false);
    assert!(guard.is_some());
    append(&mut log, guard, &first).unwrap();
    assert_eq!(log.begin_verification(NOW, 1, 2, 0, false), None, "it is open");
    append(&mut log, None, &transactional(1, 0, 2, 1)).unwrap();
    as_coordinator(&mut log, 0, &marker(1, 0, true, 0)).unwrap();
    // The old guard does not open the next one.
    let next = transactional(1, 0, 3, 1);
    append(&mut log, guard, &next).unwrap_err();
    let second = log.begin_verification(NOW, 1, 3, 0, false);
    assert_ne!(second, guard);
    append(&mut log, second, &next).unwrap();
    // While the first batch is being verified a later one does not overtake it.
    let guard = log.begin_verification(NOW, 9, 5, 0, true);
    assert_eq!(log.begin_verification(NOW, 9, 0, 0, true), guard);
    let overtaking = append(&mut log, guard, &transactional(9, 0, 5, 1)).unwrap_err();
    assert!(matches!(overtaking, AppendError::OutOfOrderSequence { .. }), "{overtaking}");
    append(&mut log, guard, &transactional(9, 0, 0, 5)).unwrap();
    append(&mut log, None, &transactional(9, 0, 5, 1)).unwrap();
}
