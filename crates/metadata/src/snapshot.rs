//! An image as records, and back.
//!
//! The order is the one Kafka's own nodes write: features (the metadata version first, because it says how the rest
//! is encoded), brokers, controllers, each topic with its partitions, configurations, quotas, producer ids, access
//! control entries, SCRAM credentials, delegation tokens. Framing, batches, header and footer are the log's affair.

use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::client_quota_record::ClientQuotaRecord;
use ottla_protocol::metadata_records::config_record::ConfigRecord;
use ottla_protocol::metadata_records::feature_level_record::FeatureLevelRecord;
use ottla_protocol::metadata_records::producer_ids_record::ProducerIdsRecord;
use ottla_protocol::metadata_records::topic_record::TopicRecord;

use crate::decide::Record;
use crate::delta::{Changes, LoadError, replay};
use crate::error::MetadataError;
use crate::features::METADATA_VERSION;
use crate::image::{Image, Provenance};

/// The records that make up an image, made one at a time, each with the version to write it in. Things the image's
/// metadata version has no records for are left out.
pub fn records(image: &Image) -> impl Iterator<Item = Record> + '_ {
    features(image)
        .chain(cluster(image))
        .chain(topics(image))
        .chain(configs(image))
        .chain(quotas(image))
        .chain(producer_ids(image))
        .chain(security(image))
}

fn features(image: &Image) -> impl Iterator<Item = Record> + '_ {
    let record = |name: &str, level| {
        let record = FeatureLevelRecord { name: name.to_owned(), feature_level: level };
        (MetadataRecord::FeatureLevelRecord(record), 0)
    };
    let version =
        image.features.metadata_version.map(move |version| record(METADATA_VERSION, version.level()));
    version.into_iter().chain(image.features.levels.iter().map(move |(name, &level)| record(name, level)))
}

fn cluster(image: &Image) -> impl Iterator<Item = Record> + '_ {
    let version = image.metadata_version();
    let brokers = image.brokers.values().map(move |broker| {
        let (record, record_version) = broker.to_record(version);
        (MetadataRecord::RegisterBrokerRecord(record), record_version)
    });
    let controllers = image.controllers.values().filter(move |_| version.has_controller_registration());
    brokers.chain(
        controllers.map(|controller| (MetadataRecord::RegisterControllerRecord(controller.to_record()), 0)),
    )
}

fn topics(image: &Image) -> impl Iterator<Item = Record> + '_ {
    let version = image.metadata_version();
    image.topics.iter().flat_map(move |topic| {
        let record = TopicRecord { name: topic.name.to_string(), topic_id: topic.id };
        let partitions = topic.partitions.iter().map(move |(&index, partition)| {
            let (record, record_version) = partition.to_record(topic.id, index, version, version.has_elr());
            (MetadataRecord::PartitionRecord(record), record_version)
        });
        std::iter::once((MetadataRecord::TopicRecord(record), 0)).chain(partitions)
    })
}

fn configs(image: &Image) -> impl Iterator<Item = Record> + '_ {
    image.configs.iter().flat_map(|(resource, map)| {
        map.iter().map(|(key, value)| {
            let record = ConfigRecord {
                resource_type: resource.kind,
                resource_name: resource.name.to_string(),
                name: key.clone(),
                value: Some(value.clone()),
            };
            (MetadataRecord::ConfigRecord(record), 0)
        })
    })
}

fn quotas(image: &Image) -> impl Iterator<Item = Record> + '_ {
    image.quotas.iter().flat_map(|(entity, quotas)| {
        quotas.iter().map(|(key, &value)| {
            let record =
                ClientQuotaRecord { entity: entity.to_record(), key: key.clone(), value, remove: false };
            (MetadataRecord::ClientQuotaRecord(record), 0)
        })
    })
}

fn producer_ids(image: &Image) -> impl Iterator<Item = Record> + '_ {
    let next = Some(image.next_producer_id.0).filter(|&next| next >= 0);
    next.into_iter().map(|next_producer_id| {
        let record = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id };
        (MetadataRecord::ProducerIdsRecord(record), 0)
    })
}

fn security(image: &Image) -> impl Iterator<Item = Record> + '_ {
    let version = image.metadata_version();
    let acls = image.acls.values().map(|acl| MetadataRecord::AccessControlEntryRecord((**acl).clone()));
    let scram =
        image.scram.iter().filter(move |_| version.has_scram()).map(|((mechanism, user), credential)| {
            MetadataRecord::UserScramCredentialRecord(credential.to_record(*mechanism, user))
        });
    let tokens = image.tokens.values().filter(move |_| version.has_delegation_tokens());
    let tokens = tokens.map(|token| MetadataRecord::DelegationTokenRecord((**token).clone()));
    acls.chain(scram).chain(tokens).map(|record| (record, 0))
}

/// Builds an image from a snapshot's data records.
#[derive(Debug, Default)]
pub struct Reader {
    image: Image,
    changes: Changes,
    read: i64,
}

impl Reader {
    /// Takes in the next record. Transaction records have no place in a snapshot.
    pub fn record(&mut self, record: &MetadataRecord) -> Result<(), LoadError> {
        let kind = match record {
            MetadataRecord::BeginTransactionRecord(_) => Some("BeginTransactionRecord"),
            MetadataRecord::EndTransactionRecord(_) => Some("EndTransactionRecord"),
            MetadataRecord::AbortTransactionRecord(_) => Some("AbortTransactionRecord"),
            _ => None,
        };
        let result = match kind {
            Some(record) => Err(MetadataError::Transaction { record, open: false }),
            None => replay(&mut self.image, record, &mut self.changes),
        };
        result.map_err(|source| LoadError { offset: self.read, source })?;
        self.read += 1;
        Ok(())
    }

    /// The image, standing where the snapshot's name and header say.
    pub fn finish(mut self, offset: i64, epoch: i32, timestamp_ms: i64) -> Image {
        self.image.provenance = Provenance { offset, epoch, timestamp_ms, batch_aligned: true };
        self.image
    }
}

/// Builds an image from all records of a snapshot: `offset` and `epoch` of the last record it contains, and the
/// time its header gives.
pub fn read<'a>(
    records: impl IntoIterator<Item = &'a MetadataRecord>,
    offset: i64,
    epoch: i32,
    timestamp_ms: i64,
) -> Result<Image, LoadError> {
    let mut reader = Reader::default();
    for record in records {
        reader.record(record)?;
    }
    Ok(reader.finish(offset, epoch, timestamp_ms))
}
