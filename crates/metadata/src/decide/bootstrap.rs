//! What a controller writes when it becomes active: the first records of a new cluster, the end of a transaction
//! its predecessor left open.

use std::collections::BTreeMap;

use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::abort_transaction_record::AbortTransactionRecord;
use ottla_protocol::metadata_records::begin_transaction_record::BeginTransactionRecord;
use ottla_protocol::metadata_records::config_record::ConfigRecord;
use ottla_protocol::metadata_records::end_transaction_record::EndTransactionRecord;
use ottla_protocol::metadata_records::feature_level_record::FeatureLevelRecord;

use super::{Decision, Record};
use crate::features::{ELIGIBLE_LEADER_REPLICAS, KRAFT_VERSION, METADATA_VERSION, MetadataVersion, defaults};
use crate::image::Image;
use crate::image::config::{BROKER, MIN_INSYNC_REPLICAS};

/// The records a cluster begins with (what `bootstrap.checkpoint` holds).
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    records: Vec<Record>,
    version: MetadataVersion,
}

impl Bootstrap {
    /// The records of a new cluster: its metadata version, then its other features above 0 in name order. Levels
    /// for `kraft.version` are passed over: they live in control records.
    pub fn new(version: MetadataVersion, levels: &BTreeMap<String, i16>) -> Bootstrap {
        let record = |name: &str, level| {
            let record = FeatureLevelRecord { name: name.to_owned(), feature_level: level };
            (MetadataRecord::FeatureLevelRecord(record), 0)
        };
        let mut records = vec![record(METADATA_VERSION, version.level())];
        for (name, &level) in levels {
            if level > 0 && name != METADATA_VERSION && name != KRAFT_VERSION {
                records.push(record(name, level));
            }
        }
        Bootstrap { records, version }
    }

    /// The records of a cluster formatted at `version` with its default features.
    pub fn formatted(version: MetadataVersion) -> Bootstrap {
        Bootstrap::new(version, &defaults(version))
    }

    /// What Kafka begins with when no bootstrap file is there: the latest metadata version alone.
    pub fn missing() -> Bootstrap {
        Bootstrap::new(MetadataVersion::LATEST, &BTreeMap::new())
    }

    /// Records as a bootstrap file holds them. Nothing if they name no metadata version this node can run.
    pub fn from_records(records: Vec<Record>) -> Option<Bootstrap> {
        let level = level_of(&records, METADATA_VERSION)?;
        Some(Bootstrap { version: MetadataVersion::from_level(level)?, records })
    }

    /// Adds a record: format tools put SCRAM credentials here.
    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// The records, for writing the file.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The metadata version the cluster begins with.
    pub fn version(&self) -> MetadataVersion {
        self.version
    }
}

fn level_of(records: &[Record], feature: &str) -> Option<i16> {
    let level = |(record, _): &Record| match record {
        MetadataRecord::FeatureLevelRecord(record) if record.name == feature => Some(record.feature_level),
        _ => None,
    };
    records.iter().rev().find_map(level)
}

/// The records of a new active controller. `open_transaction` is true if the log ends inside a metadata transaction;
/// `min_insync_replicas` is the node's own setting, which becomes the cluster's if ELR is on from the start.
///
/// Panics if a transaction is open although the metadata version has none: such a log cannot have been written.
pub fn activation(
    image: &Image,
    bootstrap: &Bootstrap,
    open_transaction: bool,
    min_insync_replicas: i32,
) -> Decision<()> {
    let version = image.features.metadata_version;
    let transactions = version.unwrap_or(bootstrap.version).has_transactions();
    assert!(
        transactions || !open_transaction,
        "a metadata transaction is open, but metadata.version {:?} has no transactions",
        version.unwrap_or(bootstrap.version)
    );
    let mut records = Vec::new();
    if open_transaction {
        let record = AbortTransactionRecord { reason: Some("Controller failover".to_owned()) };
        records.push((MetadataRecord::AbortTransactionRecord(record), 0));
    }
    if version.is_some() {
        return Decision::atomic(records, ());
    }
    if transactions {
        let record = BeginTransactionRecord { name: Some("Bootstrap records".to_owned()) };
        records.push((MetadataRecord::BeginTransactionRecord(record), 0));
    }
    records.extend(bootstrap.records.iter().cloned());
    if level_of(&bootstrap.records, ELIGIBLE_LEADER_REPLICAS).unwrap_or(0) > 0 {
        let record = ConfigRecord {
            resource_type: BROKER,
            resource_name: String::new(),
            name: MIN_INSYNC_REPLICAS.to_owned(),
            value: Some(min_insync_replicas.to_string()),
        };
        records.push((MetadataRecord::ConfigRecord(record), 0));
    }
    if transactions {
        records.push((MetadataRecord::EndTransactionRecord(EndTransactionRecord::default()), 0));
        return Decision::of(records, ());
    }
    Decision::atomic(records, ())
}
