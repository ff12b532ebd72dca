//! One record applied to an image.

use std::sync::Arc;

use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::broker_registration_change_record::BrokerRegistrationChangeRecord;
use ottla_protocol::metadata_records::clear_elr_record::ClearElrRecord;
use ottla_protocol::metadata_records::client_quota_record::ClientQuotaRecord;
use ottla_protocol::metadata_records::config_record::ConfigRecord;
use ottla_protocol::metadata_records::feature_level_record::FeatureLevelRecord;
use ottla_protocol::metadata_records::partition_change_record::PartitionChangeRecord;
use ottla_protocol::metadata_records::partition_record::PartitionRecord;
use ottla_protocol::metadata_records::producer_ids_record::ProducerIdsRecord;
use ottla_protocol::metadata_records::topic_record::TopicRecord;
use uuid::Uuid;

use super::Changes;
use crate::error::MetadataError;
use crate::features::{self, MetadataVersion};
use crate::image::{
    Broker, ConfigResource, Controller, Image, LeaderRecovery, NextProducerId, Partition, QuotaEntity,
    ScramCredential, SharedMap, Topic,
};

/// Applies a record and notes what it touched. On an error the image is as it was.
///
/// Transaction records (begin, end, abort) change no image; whoever reads the log acts on them.
pub fn replay(
    image: &mut Image,
    record: &MetadataRecord,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    match record {
        MetadataRecord::TopicRecord(record) => topic(image, record, changes),
        MetadataRecord::PartitionRecord(record) => partition(image, record, changes),
        MetadataRecord::PartitionChangeRecord(record) => partition_change(image, record, changes),
        MetadataRecord::RemoveTopicRecord(record) => remove_topic(image, record.topic_id, changes),
        MetadataRecord::ClearElrRecord(record) => clear_elr(image, record, changes),
        MetadataRecord::ConfigRecord(record) => {
            config(image, record, changes);
            Ok(())
        }
        MetadataRecord::RegisterBrokerRecord(record) => {
            let broker = Broker::from_record(record);
            changes.brokers.insert(broker.id);
            Arc::make_mut(&mut image.brokers).insert(broker.id, Arc::new(broker));
            Ok(())
        }
        MetadataRecord::UnregisterBrokerRecord(record) => {
            const KIND: &str = "UnregisterBrokerRecord";
            registered(image, KIND, record.broker_id, record.broker_epoch)?;
            Arc::make_mut(&mut image.brokers).remove(&record.broker_id);
            changes.brokers.insert(record.broker_id);
            Ok(())
        }
        MetadataRecord::FenceBrokerRecord(record) => {
            fence(image, "FenceBrokerRecord", record.id, record.epoch, true, changes)
        }
        MetadataRecord::UnfenceBrokerRecord(record) => {
            fence(image, "UnfenceBrokerRecord", record.id, record.epoch, false, changes)
        }
        MetadataRecord::BrokerRegistrationChangeRecord(record) => registration_change(image, record, changes),
        MetadataRecord::RegisterControllerRecord(record) => {
            let controller = Controller::from_record(record);
            changes.controllers.insert(controller.id);
            Arc::make_mut(&mut image.controllers).insert(controller.id, Arc::new(controller));
            Ok(())
        }
        MetadataRecord::FeatureLevelRecord(record) => feature_level(image, record, changes),
        MetadataRecord::ProducerIdsRecord(record) => producer_ids(image, record, changes),
        MetadataRecord::ClientQuotaRecord(record) => {
            client_quota(image, record, changes);
            Ok(())
        }
        MetadataRecord::UserScramCredentialRecord(record) => {
            let key = (record.mechanism, record.name.clone());
            changes.scram.insert(key.clone());
            image.scram.insert(key, Arc::new(ScramCredential::from_record(record)));
            Ok(())
        }
        MetadataRecord::RemoveUserScramCredentialRecord(record) => {
            let key = (record.mechanism, record.name.clone());
            let missing = || MetadataError::Missing {
                record: "RemoveUserScramCredentialRecord",
                what: format!("a credential of {} for mechanism {}", record.name, record.mechanism),
            };
            image.scram.remove(&key).ok_or_else(missing)?;
            changes.scram.insert(key);
            Ok(())
        }
        MetadataRecord::AccessControlEntryRecord(record) => {
            changes.acls.insert(record.id);
            image.acls.insert(record.id, Arc::new(record.clone()));
            Ok(())
        }
        MetadataRecord::RemoveAccessControlEntryRecord(record) => {
            let missing = || MetadataError::Missing {
                record: "RemoveAccessControlEntryRecord",
                what: format!("an access control entry with id {}", record.id),
            };
            image.acls.remove(&record.id).ok_or_else(missing)?;
            changes.acls.insert(record.id);
            Ok(())
        }
        MetadataRecord::DelegationTokenRecord(record) => {
            changes.tokens.insert(record.token_id.clone());
            image.tokens.insert(record.token_id.clone(), Arc::new(record.clone()));
            Ok(())
        }
        MetadataRecord::RemoveDelegationTokenRecord(record) => {
            // Kafka's own image forgives a token that is not there.
            image.tokens.remove(&record.token_id);
            changes.tokens.insert(record.token_id.clone());
            Ok(())
        }
        MetadataRecord::NoOpRecord(_)
        | MetadataRecord::ZkMigrationStateRecord(_)
        | MetadataRecord::BeginTransactionRecord(_)
        | MetadataRecord::EndTransactionRecord(_)
        | MetadataRecord::AbortTransactionRecord(_) => Ok(()),
    }
}

fn topic(image: &mut Image, record: &TopicRecord, changes: &mut Changes) -> Result<(), MetadataError> {
    let topic =
        Topic { name: record.name.as_str().into(), id: record.topic_id, partitions: SharedMap::default() };
    if !image.topics.add(topic) {
        return Err(MetadataError::DuplicateTopic { name: record.name.clone(), topic_id: record.topic_id });
    }
    changes.topic(record.topic_id).created = true;
    Ok(())
}

fn partition(
    image: &mut Image,
    record: &PartitionRecord,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    let unknown = MetadataError::UnknownTopicId { record: "PartitionRecord", topic_id: record.topic_id };
    let known = image.topics.by_id(record.topic_id).ok_or(unknown)?;
    let next = Partition::from_record(record)?;
    let before = known.partition(record.partition_id).cloned();
    put(image, record.topic_id, record.partition_id, before.as_ref(), next, record.leader, changes);
    Ok(())
}

fn partition_change(
    image: &mut Image,
    record: &PartitionChangeRecord,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    let unknown =
        MetadataError::UnknownTopicId { record: "PartitionChangeRecord", topic_id: record.topic_id };
    let topic = image.topics.by_id(record.topic_id).ok_or(unknown)?;
    let before = topic.partition(record.partition_id).ok_or_else(|| MetadataError::UnknownPartition {
        topic: topic.name.to_string(),
        partition: record.partition_id,
    })?;
    let before = before.clone();
    let next = before.changed(record)?;
    // Only a record that says so counts as an unclean election; a partition may stay recovering for long.
    let unclean = LeaderRecovery::from_code(record.leader_recovery_state) == Some(LeaderRecovery::Recovering);
    let change = changes.topic(record.topic_id);
    change.unclean_elections += u32::from(unclean);
    put(image, record.topic_id, record.partition_id, Some(&before), next, record.leader, changes);
    Ok(())
}

fn put(
    image: &mut Image,
    topic_id: Uuid,
    index: i32,
    before: Option<&Partition>,
    next: Partition,
    elected: i32,
    changes: &mut Changes,
) {
    let change = changes.topic(topic_id);
    change.partitions.insert(index);
    change.elr_elections += u32::from(before.is_some_and(|before| before.elr().contains(&elected)));
    image.topics.put_partition(topic_id, index, next);
}

fn remove_topic(image: &mut Image, id: Uuid, changes: &mut Changes) -> Result<(), MetadataError> {
    let unknown = MetadataError::UnknownTopicId { record: "RemoveTopicRecord", topic_id: id };
    let topic = image.topics.remove(id).ok_or(unknown)?;
    let resource = ConfigResource::topic(&topic.name);
    if image.configs.clear(&resource) {
        changes.configs.insert(resource);
    }
    changes.removed_topic(id, topic);
    Ok(())
}

fn clear_elr(image: &mut Image, record: &ClearElrRecord, changes: &mut Changes) -> Result<(), MetadataError> {
    let topics = if record.topic_name.is_empty() {
        image.topics.iter().cloned().collect()
    } else {
        let unknown =
            || MetadataError::UnknownTopic { record: "ClearElrRecord", name: record.topic_name.clone() };
        vec![image.topics.by_name(&record.topic_name).ok_or_else(unknown)?.clone()]
    };
    let clear = PartitionChangeRecord {
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..PartitionChangeRecord::default()
    };
    for topic in topics {
        for (&index, partition) in topic.partitions.iter() {
            if partition.elr().is_empty() && partition.last_known_elr().is_empty() {
                continue;
            }
            let next = partition.changed(&clear)?;
            changes.topic(topic.id).partitions.insert(index);
            image.topics.put_partition(topic.id, index, next);
        }
    }
    Ok(())
}

fn config(image: &mut Image, record: &ConfigRecord, changes: &mut Changes) {
    let resource = ConfigResource::new(record.resource_type, &record.resource_name);
    image.configs.set(resource.clone(), &record.name, record.value.as_deref());
    // Even a record that sets what is set counts: brokers reload key stores on it (KAFKA-14136).
    changes.configs.insert(resource);
}

fn registered<'a>(
    image: &'a Image,
    kind: &'static str,
    broker_id: i32,
    epoch: i64,
) -> Result<&'a Arc<Broker>, MetadataError> {
    let known = image.brokers.get(&broker_id).filter(|broker| broker.epoch == epoch);
    known.ok_or(MetadataError::UnknownBroker { record: kind, broker_id, epoch })
}

fn fence(
    image: &mut Image,
    kind: &'static str,
    broker_id: i32,
    epoch: i64,
    fenced: bool,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    let broker = Broker { fenced, ..Broker::clone(registered(image, kind, broker_id, epoch)?) };
    put_broker(image, broker, changes);
    Ok(())
}

fn put_broker(image: &mut Image, broker: Broker, changes: &mut Changes) {
    if image.brokers.get(&broker.id).is_some_and(|known| **known == broker) {
        return;
    }
    changes.brokers.insert(broker.id);
    Arc::make_mut(&mut image.brokers).insert(broker.id, Arc::new(broker));
}

fn registration_change(
    image: &mut Image,
    record: &BrokerRegistrationChangeRecord,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    const KIND: &str = "BrokerRegistrationChangeRecord";
    let mut broker = Broker::clone(registered(image, KIND, record.broker_id, record.broker_epoch)?);
    let bad = |field, value: i8| MetadataError::BadField { record: KIND, field, value: value.into() };
    match record.fenced {
        0 => {}
        1 => broker.fenced = true,
        -1 => broker.fenced = false,
        other => return Err(bad("Fenced", other)),
    }
    match record.in_controlled_shutdown {
        0 => {}
        1 => broker.in_controlled_shutdown = true,
        other => return Err(bad("InControlledShutdown", other)),
    }
    if !record.log_dirs.is_empty() {
        broker.directories = record.log_dirs.clone();
        broker.directories.sort_by(crate::image::directory::compare);
    }
    if let Some(cordoned) = &record.cordoned_log_dirs {
        broker.cordoned = Some(cordoned.clone());
    }
    put_broker(image, broker, changes);
    Ok(())
}

fn feature_level(
    image: &mut Image,
    record: &FeatureLevelRecord,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    if record.name == features::KRAFT_VERSION {
        // Lives in control records; a stray one, written by early versions, is passed over (KAFKA-18979).
        return Ok(());
    }
    let range = features::supported_range(&record.name);
    if !range.contains(record.feature_level) {
        return Err(MetadataError::UnsupportedFeature {
            name: record.name.clone(),
            level: record.feature_level,
            min: range.min,
            max: range.max,
        });
    }
    let features = Arc::make_mut(&mut image.features);
    if record.name == features::METADATA_VERSION {
        features.metadata_version = MetadataVersion::from_level(record.feature_level);
    } else if record.feature_level == 0 {
        features.levels.remove(&record.name);
    } else {
        features.levels.insert(record.name.clone(), record.feature_level);
    }
    changes.features = true;
    Ok(())
}

fn producer_ids(
    image: &mut Image,
    record: &ProducerIdsRecord,
    changes: &mut Changes,
) -> Result<(), MetadataError> {
    let current = image.next_producer_id.0;
    if current >= 0 && record.next_producer_id <= current {
        return Err(MetadataError::ProducerIdBackwards { next: record.next_producer_id, current });
    }
    image.next_producer_id = NextProducerId(record.next_producer_id);
    changes.producer_ids = true;
    Ok(())
}

fn client_quota(image: &mut Image, record: &ClientQuotaRecord, changes: &mut Changes) {
    let entity = QuotaEntity::from_record(record);
    match (image.quotas.get_mut(&entity), record.remove) {
        (Some(quotas), false) => {
            Arc::make_mut(quotas).insert(record.key.clone(), record.value);
        }
        (None, false) => {
            let quotas = [(record.key.clone(), record.value)].into();
            image.quotas.insert(entity.clone(), Arc::new(quotas));
        }
        (Some(quotas), true) => {
            Arc::make_mut(quotas).remove(&record.key);
            if quotas.is_empty() {
                image.quotas.remove(&entity);
            }
        }
        (None, true) => {}
    }
    changes.quotas.insert(entity);
}
