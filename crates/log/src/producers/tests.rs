//! Producers by themselves: what the log's own tests do not reach.

use ottla_records::Batch;
use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_records::control::end_transaction_batch;

use super::*;

const NOW: i64 = 1_700_000_000_000;

/// Batches by their base offset, checked and applied one behind the other as replication does.
fn take(producers: &mut Producers, batches: &[(Offset, Vec<u8>)]) -> UpdateDone {
    let incoming: Vec<Incoming<'_>> = batches
        .iter()
        .map(|(base_offset, bytes)| {
            let batch = Batch::parse(bytes).unwrap();
            Incoming { batch, base_offset: *base_offset, max_timestamp: batch.max_timestamp }
        })
        .collect();
    match producers.check(Origin::Replication, Transaction::default(), &incoming).unwrap() {
        Checked::New(update) => producers.apply(update),
        Checked::Duplicate(known) => panic!("{known:?}"),
    }
}

fn data(id: ProducerId, epoch: ProducerEpoch, sequence: Sequence, transactional: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).producer(id, epoch, sequence).transactional(transactional);
    for n in 0..2 {
        builder.append(&NewRecord::new(NOW + n, None, None));
    }
    builder.build()
}

fn marker(id: ProducerId, epoch: ProducerEpoch, commit: bool) -> Vec<u8> {
    end_transaction_batch(0, 0, NOW, (id, epoch), commit, 1)
}

#[test]
fn several_transactions_of_one_producer_in_one_append() {
    let mut producers = Producers::default();
    let done = take(
        &mut producers,
        &[
            (0, data(1, 0, 0, true)),
            (2, data(2, 0, 0, true)),
            (4, marker(1, 0, false)),
            (5, data(1, 0, 2, true)),
            (7, marker(1, 0, false)),
            (8, data(1, 0, 4, true)),
        ],
    );
    let aborted: Vec<_> =
        done.aborted.iter().map(|(txn, stable)| (txn.first_offset, txn.last_offset, *stable)).collect();
    assert_eq!(aborted, [(0, 4, 2), (5, 7, 2)], "producer 2 holds the stable offset back");
    assert_eq!(producers.first_undecided_offset(), Some(2));
    assert_eq!(producers.first_unstable_offset(), Some(0), "the markers are not replicated");
    producers.on_high_watermark(5);
    assert_eq!(producers.first_unstable_offset(), Some(2));
    take(&mut producers, &[(10, marker(2, 0, true))]);
    assert_eq!(producers.first_undecided_offset(), Some(8));
    assert_eq!(producers.first_unstable_offset(), Some(2));
    producers.on_high_watermark(11);
    assert_eq!(producers.first_unstable_offset(), Some(8));
}

#[test]
fn a_marker_without_a_transaction_only_moves_the_epoch() {
    let mut producers = Producers::default();
    let done = take(&mut producers, &[(0, marker(5, 3, false))]);
    assert!(done.aborted.is_empty());
    assert_eq!(producers.first_unstable_offset(), None);
    let entry = producers.get(5).unwrap();
    assert_eq!((entry.epoch, entry.coordinator_epoch, entry.batches().len()), (3, 1, 0));
}

#[test]
fn what_replication_brings_is_never_refused() {
    let mut producers = Producers::default();
    take(&mut producers, &[(0, data(1, 5, 100, true)), (2, data(1, 5, 7, false)), (4, data(1, 3, 0, true))]);
    take(&mut producers, &[(6, marker(1, 2, true))]);
    assert_eq!(producers.get(1).unwrap().epoch, 2);
    assert_eq!(producers.first_undecided_offset(), None);
}

#[test]
fn snapshots_bring_producers_and_transactions_back() {
    let mut producers = Producers::default();
    take(&mut producers, &[(0, data(1, 0, 0, false)), (2, data(2, 4, 0, true)), (4, data(1, 0, 2, false))]);
    let entries = snapshot::decode(&producers.encode()).unwrap();
    let mut loaded = Producers::default();
    loaded.load(6, entries.clone(), NOW + 100, 1000);
    assert_eq!((loaded.end_offset, loaded.snapshot_offset), (6, 6));
    assert_eq!(loaded.get(1).unwrap().batches(), &producers.get(1).unwrap().batches()[1..], "the last batch");
    assert_eq!(loaded.first_unstable_offset(), Some(2));
    // Who has been silent is forgotten, but not with an open transaction.
    loaded.load(6, entries, NOW + 1001, 1000);
    assert!(loaded.get(1).is_none() && loaded.get(2).is_some());
    assert_eq!(loaded.expire(NOW + 100_000, 1000), 0);
    take(&mut loaded, &[(6, marker(2, 4, true))]);
    assert_eq!(loaded.expire(NOW + 100_000, 1000), 1);
    assert!(!loaded.is_empty(), "its marker is not replicated");
    loaded.on_log_start(7);
    assert!(loaded.is_empty());
}

#[test]
fn control_batches_without_a_marker_are_nothing() {
    let mut producers = Producers::default();
    take(&mut producers, &[(0, data(1, 0, 0, true))]);
    // What compaction leaves of a marker whose transaction is gone.
    let header = *Batch::parse(&marker(1, 0, false)).unwrap().header();
    take(&mut producers, &[(2, ottla_records::builder::empty_batch(&header))]);
    assert_eq!(producers.first_undecided_offset(), Some(0));
}
