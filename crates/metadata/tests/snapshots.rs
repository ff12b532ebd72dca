//! Records of every kind, in random order: images, deltas, snapshots and the loader agree.

mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_metadata::delta::{Changes, replay};
use ottla_metadata::{Delta, Image, Loader, MetadataError, snapshot};
use ottla_protocol::metadata_records::broker_registration_change_record::BrokerRegistrationChangeRecord;
use ottla_protocol::metadata_records::client_quota_record::{ClientQuotaRecord, EntityData};
use ottla_protocol::metadata_records::register_broker_record::{BrokerEndpoint, BrokerFeature};
use ottla_protocol::metadata_records::{self as records, MetadataRecord};
use proptest::prelude::*;
use uuid::Uuid;

type Records = BoxedStrategy<MetadataRecord>;

fn id() -> impl Strategy<Value = Uuid> + Clone {
    (1u128..5).prop_map(|n| Uuid::from_u128(1000 + n))
}

fn name() -> impl Strategy<Value = String> + Clone {
    prop_oneof![Just("a.b"), Just("a_b"), Just("plain"), Just("other")].prop_map(str::to_owned)
}

fn brokers() -> impl Strategy<Value = Vec<i32>> + Clone {
    proptest::sample::subsequence(vec![1, 2, 3, 4], 1..4)
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    some: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(some)
}

fn uuids(n: usize) -> Vec<Uuid> {
    (0..n).map(|n| Uuid::from_u128(5000 + n as u128)).collect()
}

fn topic_records() -> Vec<Records> {
    let topic = (name(), id())
        .prop_map(|(name, topic_id)| MetadataRecord::TopicRecord(records::TopicRecord { name, topic_id }));
    let partition = (id(), 0..3i32, brokers(), maybe(brokers()), -1..5i32, 0..2i8).prop_map(
        |(topic_id, partition_id, replicas, elr, leader, leader_recovery_state)| {
            MetadataRecord::PartitionRecord(records::PartitionRecord {
                partition_id,
                topic_id,
                isr: replicas.clone(),
                directories: uuids(replicas.len()),
                replicas,
                leader,
                leader_recovery_state,
                leader_epoch: 3,
                partition_epoch: 7,
                eligible_leader_replicas: elr,
                ..Default::default()
            })
        },
    );
    let change = (id(), 0..3i32, maybe(brokers()), maybe(brokers()), -2..5i32, maybe(brokers()));
    let change = change.prop_map(|(topic_id, partition_id, isr, replicas, leader, adding_replicas)| {
        MetadataRecord::PartitionChangeRecord(records::PartitionChangeRecord {
            partition_id,
            topic_id,
            directories: replicas.as_ref().map(|replicas| uuids(replicas.len())),
            isr,
            replicas,
            leader,
            adding_replicas,
            last_known_elr: Some(vec![leader.max(0)]),
            ..Default::default()
        })
    });
    let remove =
        id().prop_map(|topic_id| MetadataRecord::RemoveTopicRecord(records::RemoveTopicRecord { topic_id }));
    let clear = prop_oneof![name(), Just(String::new())]
        .prop_map(|topic_name| MetadataRecord::ClearElrRecord(records::ClearElrRecord { topic_name }));
    let config = (0..3usize, name(), name(), maybe(name())).prop_map(|(kind, resource, key, value)| {
        MetadataRecord::ConfigRecord(records::ConfigRecord {
            resource_type: [2, 4, 32][kind],
            resource_name: resource,
            name: key,
            value,
        })
    });
    vec![
        topic.boxed(),
        topic_twice(),
        partition.boxed(),
        change.boxed(),
        remove.boxed(),
        clear.boxed(),
        config.boxed(),
    ]
}

/// Topics weigh more, so that the others find something to change.
fn topic_twice() -> Records {
    let pairs = [("plain", 1001u128), ("a.b", 1002), ("other", 1003)];
    proptest::sample::select(pairs.to_vec())
        .prop_map(|(name, id)| {
            let (name, topic_id) = (name.to_owned(), Uuid::from_u128(id));
            MetadataRecord::TopicRecord(records::TopicRecord { name, topic_id })
        })
        .boxed()
}

fn cluster_records() -> Vec<Records> {
    let broker = (1..4i32, any::<bool>(), maybe(name()), 0..3usize).prop_map(|(id, fenced, rack, dirs)| {
        MetadataRecord::RegisterBrokerRecord(records::RegisterBrokerRecord {
            broker_id: id,
            broker_epoch: 10,
            incarnation_id: Uuid::from_u128(id as u128),
            end_points: vec![BrokerEndpoint {
                name: "P".into(),
                host: "h".into(),
                port: 1,
                security_protocol: 0,
            }],
            features: vec![BrokerFeature {
                name: "group.version".into(),
                min_supported_version: 0,
                max_supported_version: 1,
            }],
            rack,
            fenced,
            log_dirs: uuids(dirs),
            cordoned_log_dirs: (dirs > 1).then(Vec::new),
            ..Default::default()
        })
    });
    let change = (1..4i32, -1..2i8, 0..2i8, 0..2usize).prop_map(|(id, fenced, leaving, dirs)| {
        MetadataRecord::BrokerRegistrationChangeRecord(BrokerRegistrationChangeRecord {
            broker_id: id,
            broker_epoch: 10,
            fenced,
            in_controlled_shutdown: leaving,
            log_dirs: uuids(dirs),
            cordoned_log_dirs: (dirs == 0).then(|| uuids(1)),
        })
    });
    let unregister = (1..4i32).prop_map(|broker_id| {
        let record = records::UnregisterBrokerRecord { broker_id, broker_epoch: 10 };
        MetadataRecord::UnregisterBrokerRecord(record)
    });
    let fence = (1..4i32)
        .prop_map(|id| MetadataRecord::FenceBrokerRecord(records::FenceBrokerRecord { id, epoch: 10 }));
    let controller = (1..4i32).prop_map(|controller_id| {
        let record = records::RegisterControllerRecord { controller_id, ..Default::default() };
        MetadataRecord::RegisterControllerRecord(record)
    });
    let feature = (0..2i16).prop_map(|feature_level| {
        let record = records::FeatureLevelRecord { name: "group.version".into(), feature_level };
        MetadataRecord::FeatureLevelRecord(record)
    });
    vec![
        broker.boxed(),
        change.boxed(),
        unregister.boxed(),
        fence.boxed(),
        controller.boxed(),
        feature.boxed(),
    ]
}

fn other_records() -> Vec<Records> {
    let quota = (maybe(name()), 0..3u8, 1..9u8, any::<bool>()).prop_map(|(entity, key, value, remove)| {
        MetadataRecord::ClientQuotaRecord(ClientQuotaRecord {
            entity: vec![EntityData { entity_type: "user".into(), entity_name: entity }],
            key: format!("k{key}"),
            value: f64::from(value),
            remove,
        })
    });
    let ids = (0..100i64).prop_map(|n| {
        let record = records::ProducerIdsRecord { next_producer_id: n * 1000, ..Default::default() };
        MetadataRecord::ProducerIdsRecord(record)
    });
    let acl = id().prop_map(|id| {
        let record =
            records::AccessControlEntryRecord { id, resource_name: "r".into(), ..Default::default() };
        MetadataRecord::AccessControlEntryRecord(record)
    });
    let acl_gone = id().prop_map(|id| {
        let record = records::RemoveAccessControlEntryRecord { id };
        MetadataRecord::RemoveAccessControlEntryRecord(record)
    });
    let scram = (name(), 1..3i8).prop_map(|(name, mechanism)| {
        MetadataRecord::UserScramCredentialRecord(records::UserScramCredentialRecord {
            name,
            mechanism,
            salt: Bytes::from_static(b"salt"),
            stored_key: Bytes::from_static(b"stored"),
            server_key: Bytes::from_static(b"server"),
            iterations: 4096,
        })
    });
    let scram_gone = (name(), 1..3i8).prop_map(|(name, mechanism)| {
        let record = records::RemoveUserScramCredentialRecord { name, mechanism };
        MetadataRecord::RemoveUserScramCredentialRecord(record)
    });
    let token = (name(), 0..5i64).prop_map(|(token_id, n)| {
        MetadataRecord::DelegationTokenRecord(records::DelegationTokenRecord {
            owner: "User:o".into(),
            requester: "User:r".into(),
            renewers: vec!["User:x".into()],
            issue_timestamp: n,
            max_timestamp: n + 1,
            expiration_timestamp: n + 2,
            token_id,
        })
    });
    let token_gone = name().prop_map(|token_id| {
        MetadataRecord::RemoveDelegationTokenRecord(records::RemoveDelegationTokenRecord { token_id })
    });
    let no_op = Just(MetadataRecord::NoOpRecord(records::NoOpRecord::default()));
    vec![
        quota.boxed(),
        ids.boxed(),
        acl.boxed(),
        acl_gone.boxed(),
        scram.boxed(),
        scram_gone.boxed(),
        token.boxed(),
        token_gone.boxed(),
        no_op.boxed(),
    ]
}

fn any_record() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![
        3 => proptest::strategy::Union::new(topic_records()),
        2 => proptest::strategy::Union::new(cluster_records()),
        2 => proptest::strategy::Union::new(other_records()),
    ]
}

/// Only records that fit the image, as a real log holds.
fn fitting(candidates: Vec<MetadataRecord>) -> (Vec<MetadataRecord>, Vec<Image>) {
    let version = records::FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
    let first = MetadataRecord::FeatureLevelRecord(version);
    let (mut fitting, mut images, mut image) = (Vec::new(), Vec::new(), Image::default());
    for record in std::iter::once(first).chain(candidates) {
        let mut next = image.clone();
        if replay(&mut next, &record, &mut Changes::default()).is_ok() {
            image = next;
            fitting.push(record);
            images.push(image.clone());
        }
    }
    (fitting, images)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_replays_to_the_equal_image(candidates in proptest::collection::vec(any_record(), 0..120)) {
        let (log, images) = fitting(candidates);
        let image = images.last().unwrap();
        let written: Vec<_> = snapshot::records(image).collect();
        support::check_versions(&written);
        let plain: Vec<_> = written.into_iter().map(|(record, _)| record).collect();
        let back = snapshot::read(&plain, 9, 2, 77).unwrap();
        prop_assert_eq!(&back, image);
        prop_assert_eq!(back.provenance.offset, 9);
        prop_assert_eq!(support::replay_all(&log).unwrap(), image.clone());
    }

    #[test]
    fn what_records_touched_covers_what_differs(
        candidates in proptest::collection::vec(any_record(), 0..120),
        split in 0usize..100,
    ) {
        let (log, images) = fitting(candidates);
        let split = split.min(log.len() - 1);
        let before = images[split].clone();
        let mut delta = Delta::new(before.clone());
        for record in &log[split + 1..] {
            delta.replay(record).unwrap();
        }
        prop_assert_eq!(delta.before(), &before);
        let compared = Delta::between(before.clone(), delta.after().clone());
        let pairs = |delta: &Delta| -> Vec<String> {
            delta.partition_changes().map(|change| format!("{change:?}")).collect()
        };
        prop_assert_eq!(pairs(&delta), pairs(&compared));
        let (touched, differ) = (delta.changes(), compared.changes());
        prop_assert!(differ.brokers.is_subset(&touched.brokers));
        prop_assert!(differ.configs.is_subset(&touched.configs));
        prop_assert!(differ.quotas.is_subset(&touched.quotas));
        prop_assert!(differ.acls.is_subset(&touched.acls));
        prop_assert!(differ.scram.is_subset(&touched.scram));
        prop_assert!(differ.tokens.is_subset(&touched.tokens));
        let new = |changes: &Changes| changes.created_topics().collect::<BTreeSet<_>>();
        prop_assert!(new(differ).is_subset(&new(touched)));
        let gone = |changes: &Changes| changes.deleted_topics().map(|t| t.id).collect::<BTreeSet<_>>();
        // A topic deleted and made again with the same id is both deleted and created, and differs as neither.
        prop_assert!(gone(differ).is_subset(&gone(touched)));
    }

    #[test]
    fn the_loader_shows_no_open_transaction(
        candidates in proptest::collection::vec(any_record(), 0..60),
        batch in 1usize..9,
        begin in 0usize..60,
        length in 0usize..20,
        abort in any::<bool>(),
    ) {
        let (plain, images) = fitting(candidates);
        let begin = begin.min(plain.len());
        let end = (begin + length).min(plain.len());
        let close = if abort {
            MetadataRecord::AbortTransactionRecord(records::AbortTransactionRecord::default())
        } else {
            MetadataRecord::EndTransactionRecord(records::EndTransactionRecord::default())
        };
        let mut log = plain[..begin].to_vec();
        log.push(MetadataRecord::BeginTransactionRecord(records::BeginTransactionRecord::default()));
        log.extend_from_slice(&plain[begin..end]);
        log.push(close);
        let at = |count: usize| if count == 0 { Image::default() } else { images[count - 1].clone() };
        let mut loader = Loader::default();
        let mut shown = Image::default();
        for (n, records) in log.chunks(batch).enumerate() {
            loader.batch((n * batch) as i64, 1, n as i64, records).unwrap();
            for delta in loader.publish() {
                prop_assert_eq!(delta.before(), &shown);
                shown = delta.after().clone();
            }
            let seen = (n * batch + records.len()).min(log.len());
            let expected = if seen <= begin {
                at(seen)
            } else if seen < end + 2 || abort {
                at(begin)
            } else {
                at(end)
            };
            prop_assert_eq!(&shown, &expected);
            prop_assert_eq!(loader.image(), &expected);
        }
        prop_assert_eq!(shown.provenance.offset, log.len() as i64 - 1);
        prop_assert!(shown.provenance.batch_aligned);
    }
}

#[test]
fn records_that_do_not_fit_are_errors_and_change_nothing() {
    let unknown = Uuid::from_u128(9);
    let cases = [
        MetadataRecord::PartitionRecord(records::PartitionRecord { topic_id: unknown, ..Default::default() }),
        MetadataRecord::RemoveTopicRecord(records::RemoveTopicRecord { topic_id: unknown }),
        MetadataRecord::FenceBrokerRecord(records::FenceBrokerRecord { id: 4, epoch: 1 }),
        MetadataRecord::ClearElrRecord(records::ClearElrRecord { topic_name: "x".into() }),
        MetadataRecord::FeatureLevelRecord(records::FeatureLevelRecord {
            name: "metadata.version".into(),
            feature_level: 99,
        }),
        MetadataRecord::RemoveAccessControlEntryRecord(records::RemoveAccessControlEntryRecord {
            id: unknown,
        }),
        MetadataRecord::RemoveUserScramCredentialRecord(records::RemoveUserScramCredentialRecord::default()),
    ];
    for record in cases {
        let mut delta = Delta::default();
        delta.replay(&record).unwrap_err();
        assert!(delta.is_empty() && delta.after().is_empty(), "{record:?}");
    }
    let mut loader = Loader::default();
    let end = MetadataRecord::EndTransactionRecord(records::EndTransactionRecord::default());
    let error = loader.batch(5, 1, 1, &[end]).unwrap_err();
    assert_eq!(error.offset, 5);
    assert_eq!(error.source, MetadataError::Transaction { record: "EndTransactionRecord", open: false });
    assert_eq!(
        error.to_string(),
        "cannot replay the metadata record at offset 5: EndTransactionRecord outside of a metadata transaction"
    );
}

#[test]
fn a_snapshot_tells_followers_what_changed() {
    let topic = |name: &str, id| {
        MetadataRecord::TopicRecord(records::TopicRecord { name: name.into(), topic_id: Uuid::from_u128(id) })
    };
    let partition = |id, replicas: &[i32]| {
        MetadataRecord::PartitionRecord(records::PartitionRecord {
            partition_id: 0,
            topic_id: Uuid::from_u128(id),
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            leader: replicas[0],
            leader_epoch: 0,
            partition_epoch: 0,
            ..Default::default()
        })
    };
    let mut loader = Loader::default();
    let log = [topic("gone", 1), partition(1, &[1]), topic("kept", 2), partition(2, &[1, 2])];
    loader.batch(0, 1, 1, &log).unwrap();
    let delta = loader.publish().remove(0);
    let local = delta.local_changes(1);
    assert_eq!((local.leaders.len(), local.followers.len(), local.deletes.len()), (2, 0, 0));
    assert!(local.leaders.iter().all(|p| p.new_leader_epoch && p.moved_to.is_none()));
    assert_eq!(delta.local_changes(2).followers.len(), 1);
    let later = [topic("kept", 2), partition(2, &[2]), topic("new", 3), partition(3, &[2])];
    let image = snapshot::read(&later, 50, 4, 9).unwrap();
    let delta = loader.load_snapshot(image);
    let local = delta.local_changes(1);
    let deleted: Vec<_> = local.deletes.iter().map(|(name, _, _, gone)| (&**name, *gone)).collect();
    assert_eq!(deleted, [("gone", true), ("kept", false)]);
    let local = delta.local_changes(2);
    let leads: Vec<_> = local.leaders.iter().map(|p| &*p.topic).collect();
    assert_eq!(leads, ["kept", "new"]);
    assert_eq!(loader.last_offset(), 50);
    assert!(loader.publish().is_empty(), "the snapshot's own change is not published twice");
}
