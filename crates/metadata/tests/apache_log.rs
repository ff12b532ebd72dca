//! A metadata log and two snapshots that Apache Kafka 4.3.1 wrote (two combined nodes; topics made, altered, deleted;
//! a quota, a credential; one node killed and back; both shut down): replayed here, they give the same image, and
//! what we would have written for it is what Kafka wrote.

mod support;

use std::collections::BTreeMap;

use ottla_metadata::image::{LeaderRecovery, NO_LEADER};
use ottla_metadata::{Image, Loader, snapshot};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_records::BatchIter;

const LOG: &[u8] = include_bytes!("../testdata/apache-4.3.1.log");
/// By end offset, which is exclusive.
const SNAPSHOTS: [(i64, &[u8]); 2] = [
    (73, include_bytes!("../testdata/apache-4.3.1-73.checkpoint")),
    (121, include_bytes!("../testdata/apache-4.3.1-121.checkpoint")),
];

/// (first offset, last offset, leader epoch, records or nothing for a control batch) of each batch.
type Batches = Vec<(i64, i64, i32, Option<Vec<(MetadataRecord, i16)>>)>;

fn batches(bytes: &[u8]) -> Batches {
    BatchIter::verified(bytes)
        .map(|batch| {
            let batch = batch.expect("a batch Kafka wrote");
            let header = batch.header();
            let records = (!header.is_control()).then(|| {
                let records = batch.plain_records().expect("metadata is not compressed");
                records.map(|record| decode(record.unwrap().value.expect("a value"))).collect()
            });
            (header.base_offset, header.last_offset(), header.partition_leader_epoch, records)
        })
        .collect()
}

/// Decodes a record, and checks that encoding gives Kafka's bytes back.
fn decode(value: &[u8]) -> (MetadataRecord, i16) {
    let (record, version) = MetadataRecord::decode_framed(value).unwrap();
    assert_eq!(record.encode_framed(version).unwrap(), value, "{record:?}");
    (record, version)
}

fn images() -> BTreeMap<i64, Image> {
    let mut loader = Loader::default();
    let mut images = BTreeMap::new();
    for (base, last, epoch, records) in batches(LOG) {
        match records {
            None => loader.skip(last, epoch, 0),
            Some(records) => {
                let records: Vec<_> = records.into_iter().map(|(record, _)| record).collect();
                loader.batch(base, epoch, 0, &records).unwrap();
            }
        }
        loader.publish();
        images.insert(last + 1, loader.image().clone());
    }
    images
}

#[test]
fn kafkas_log_and_kafkas_snapshots_give_the_same_images() {
    let images = images();
    for (end, bytes) in SNAPSHOTS {
        let written: Vec<_> =
            batches(bytes).into_iter().filter_map(|(.., records)| records).flatten().collect();
        let plain: Vec<_> = written.iter().map(|(record, _)| record.clone()).collect();
        let image = snapshot::read(&plain, end - 1, 3, 0).unwrap();
        assert_eq!(image, images[&end]);
        // The same records in the same versions and sections; within a section Kafka's order is that of a hash map.
        let ours: Vec<_> = snapshot::records(&image).collect();
        let section = |(record, version): &(MetadataRecord, i16)| match record.name() {
            "TopicRecord" => ("PartitionRecord", 2),
            name => (name, *version),
        };
        let sections = |records: &[(MetadataRecord, i16)]| {
            let mut sections: Vec<_> = records.iter().map(section).collect();
            sections.dedup();
            sections
        };
        assert_eq!(sections(&ours), sections(&written));
        assert_eq!(ours.len(), written.len());
        for (record, version) in &ours {
            // Brokers and controllers list their features in an order of their own.
            let unordered = matches!(record.name(), "RegisterBrokerRecord" | "RegisterControllerRecord");
            let found = written.iter().any(|(other, v)| (unordered || other == record) && v == version);
            assert!(found, "Kafka wrote no {record:?}");
        }
    }
}

#[test]
fn the_end_of_kafkas_log_is_two_stopped_nodes() {
    let images = images();
    let image = images.values().next_back().unwrap();
    assert!(image.brokers.values().all(|broker| broker.fenced && broker.in_controlled_shutdown));
    let partition = image.partition("alpha", 0).unwrap();
    assert_eq!((partition.leader, partition.isr.len(), partition.elr()), (NO_LEADER, 0, &[1, 2][..]));
    assert_eq!(partition.last_known_elr(), [2]);
    let partition = image.partition("b.eta", 0).unwrap();
    assert_eq!(partition.recovery, LeaderRecovery::Recovering, "it was elected as the last known leader");
    assert!(image.topics.by_name("gone").is_none());
    assert_eq!(image.topics.colliding_with("b_eta").map(|name| &**name), Some("b.eta"));
    assert_eq!((image.quotas.len(), image.scram.len(), image.controllers.len()), (1, 1, 2));
}
