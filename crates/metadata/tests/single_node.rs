//! One broker, one controller: everything a single node asks of the controller.

mod support;

use ottla_metadata::decide::{Bootstrap, FeatureContext, TopicAction};
use ottla_metadata::image::{ConfigResource, Features};
use ottla_metadata::random::Seeded;
use ottla_metadata::{MetadataVersion, Settings};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::allocate_producer_ids_request::AllocateProducerIdsRequest;
use ottla_protocol::messages::alter_configs_request as legacy;
use ottla_protocol::messages::controller_registration_request::ControllerRegistrationRequest;
use ottla_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::unregister_broker_request::UnregisterBrokerRequest;
use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::metadata_records::MetadataRecord;
use support::{Cluster, topic};
use uuid::Uuid;

fn code(error: ErrorCode) -> i16 {
    error.code()
}

fn message(result: &ottla_protocol::messages::create_topics_response::CreatableTopicResult) -> (i16, &str) {
    (result.error_code, result.error_message.as_deref().unwrap_or(""))
}

#[test]
fn the_first_leader_writes_the_bootstrap_records_in_one_transaction() {
    let cluster = Cluster::latest();
    let kinds: Vec<_> = cluster.log.iter().map(MetadataRecord::name).collect();
    let mut expected = vec!["BeginTransactionRecord"];
    expected.extend(["FeatureLevelRecord"; 6]);
    expected.extend(["ConfigRecord", "EndTransactionRecord"]);
    assert_eq!(kinds, expected);
    let MetadataRecord::FeatureLevelRecord(first) = &cluster.log[1] else { panic!("{:?}", cluster.log[1]) };
    assert_eq!((first.name.as_str(), first.feature_level), ("metadata.version", 30));
    let features: &Features = &cluster.image().features;
    assert_eq!(features.level("transaction.version"), 2);
    assert!(features.elr_enabled());
    let cluster_config = ConfigResource::cluster();
    assert_eq!(cluster.image().configs.get(&cluster_config, "min.insync.replicas"), Some("1"));
    cluster.check();
}

#[test]
fn a_cluster_without_transactions_or_elr_begins_with_plain_records() {
    let version = MetadataVersion::from_level(7).unwrap();
    let cluster = Cluster::with(Bootstrap::formatted(version), Settings::new(1, "cluster"));
    assert_eq!(cluster.log.len(), 1);
    assert_eq!(cluster.ends, [0], "one atomic batch");
    let missing = Cluster::with(Bootstrap::missing(), Settings::new(1, "cluster"));
    assert_eq!(missing.image().features.metadata_version, Some(MetadataVersion::LATEST));
    assert!(!missing.image().features.elr_enabled());
}

#[test]
fn a_new_leader_ends_the_transaction_its_predecessor_left_open() {
    let mut cluster = Cluster::latest();
    cluster.controller.deactivate();
    let begin = MetadataRecord::BeginTransactionRecord(Default::default());
    let topic = MetadataRecord::TopicRecord(ottla_protocol::metadata_records::TopicRecord {
        name: "half".to_owned(),
        topic_id: Uuid::from_u128(77),
    });
    let base = cluster.next_offset();
    let records = [begin, topic];
    cluster.controller.replay_committed(base, &records).unwrap();
    cluster.standby.batch(base, 1, 5, &records).unwrap();
    cluster.standby.publish();
    assert!(cluster.standby.image().topics.is_empty(), "an open transaction is not shown");
    cluster.log.extend(records);
    cluster.ends.push(base + 1);
    cluster.committed = base + 1;
    let decision = cluster.controller.activate(&Bootstrap::missing(), cluster.now_ms);
    assert_eq!(decision.records[0].0.name(), "AbortTransactionRecord");
    assert_eq!(decision.records.len(), 1, "the log is not empty: no bootstrap records");
    cluster.run(decision);
    assert!(cluster.image().topics.is_empty());
    cluster.check();
}

#[test]
fn a_broker_is_registered_fenced_and_unfenced_once_it_has_read_its_registration() {
    let mut cluster = Cluster::latest();
    let epoch = cluster.next_offset();
    let request = cluster.registration(1);
    let response = cluster.register(&request);
    assert_eq!((response.error_code, response.broker_epoch), (0, epoch), "the epoch is the record's offset");
    assert!(cluster.image().broker(1).unwrap().fenced);
    let mut early = cluster.heartbeat_request(1);
    early.current_metadata_offset = epoch - 1;
    let response = cluster.heartbeat(&early);
    assert!(response.is_fenced && !response.is_caught_up);
    let mut waiting = cluster.heartbeat_request(1);
    waiting.want_fence = true;
    let response = cluster.heartbeat(&waiting);
    assert!(response.is_fenced && response.is_caught_up);
    assert!(cluster.alive(1));
    assert!(cluster.image().is_active(1));
    // The same life registers again: epoch and state stay.
    let again = cluster.register(&request);
    assert_eq!(again.broker_epoch, epoch);
    assert!(cluster.image().is_active(1));
    cluster.check();
}

#[test]
fn registrations_are_refused_for_reasons() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 3]);
    let refused = |cluster: &mut Cluster, edit: &dyn Fn(&mut _)| {
        let mut request = cluster.registration(2);
        edit(&mut request);
        let context = cluster.context(4);
        let before = cluster.image().clone();
        let decision = cluster.controller.register_broker(&request, context);
        assert!(decision.records.is_empty());
        assert_eq!(&before, cluster.image());
        decision.reply.error_code
    };
    type Request = ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
    type Edit<'a> = &'a dyn Fn(&mut Request);
    let cases: [(Edit<'_>, ErrorCode); 8] = [
        (&|r| r.cluster_id = "other".to_owned(), ErrorCode::InconsistentClusterId),
        (&|r| r.broker_id = 3, ErrorCode::DuplicateBrokerRegistration),
        (&|r| r.is_migrating_zk_broker = true, ErrorCode::BrokerIdNotRegistered),
        (&|r| r.log_dirs.clear(), ErrorCode::InvalidRegistration),
        (&|r| r.log_dirs = vec![Uuid::from_u128(5)], ErrorCode::InvalidRegistration),
        (&|r| r.log_dirs = vec![support::directory(1, 1)], ErrorCode::InvalidRegistration),
        (&|r| r.features.retain(|f| f.name != "metadata.version"), ErrorCode::InvalidRegistration),
        (&|r| r.features.retain(|f| f.name != "group.version"), ErrorCode::UnsupportedVersion),
    ];
    for (edit, expected) in cases {
        assert_eq!(refused(&mut cluster, edit), code(expected), "{expected}");
    }
    let too_old = |r: &mut Request| {
        r.features.iter_mut().filter(|f| f.name == "kraft.version").for_each(|f| f.max_supported_version = 0);
    };
    assert_eq!(refused(&mut cluster, &too_old), code(ErrorCode::UnsupportedVersion));
}

#[test]
fn a_node_that_was_killed_and_a_broker_that_stopped_are_back_at_once() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1, 2]);
    cluster.create_on("t", &[&[1]], &[]);
    // The whole node 1 was killed: its next controller finds its broker unfenced and gives it a session.
    cluster.controller.deactivate();
    let decision = cluster.controller.activate(&Bootstrap::missing(), cluster.now_ms);
    cluster.run(decision);
    let mut next_life = cluster.registration(1);
    next_life.incarnation_id = support::incarnation(1, 2);
    assert_eq!(cluster.register(&next_life).error_code, 0);
    assert_eq!(cluster.state("t").0, None);
    assert!(cluster.alive(1));
    assert_eq!(cluster.state("t").0, Some(1));
    // Another broker that is killed has to wait for its session, one that was told to stop has not.
    assert!(cluster.alive(2));
    let mut next_life = cluster.registration(2);
    next_life.incarnation_id = support::incarnation(2, 2);
    let context = cluster.context(4);
    let decision = cluster.controller.register_broker(&next_life, context);
    assert_eq!(decision.reply.error_code, code(ErrorCode::DuplicateBrokerRegistration));
    let mut stop = cluster.heartbeat_request(2);
    stop.want_shut_down = true;
    assert!(cluster.heartbeat(&stop).should_shut_down);
    assert_eq!(cluster.register(&next_life).error_code, 0);
    cluster.check();
}

#[test]
fn heartbeats_with_the_wrong_epoch_are_stale() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    let mut request = cluster.heartbeat_request(1);
    request.broker_epoch += 1;
    assert_eq!(cluster.heartbeat(&request).error_code, code(ErrorCode::StaleBrokerEpoch));
    request.broker_id = 9;
    assert_eq!(cluster.heartbeat(&request).error_code, code(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn creates_topics_with_records_in_kafkas_order() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    let before = cluster.log.len();
    let mut wished = topic("first-topic", 3, 1);
    wished.configs = vec![CreatableTopicConfig { name: "retention.ms".into(), value: Some("60000".into()) }];
    let results = cluster.create(vec![wished]);
    assert_eq!(message(&results[0]), (0, ""));
    assert_eq!((results[0].num_partitions, results[0].replication_factor), (3, 1));
    let configs = results[0].configs.as_ref().unwrap();
    assert_eq!(configs[1].name, "min.insync.replicas");
    assert_eq!((configs[1].value.as_deref(), configs[1].config_source), (Some("1"), 3));
    let kinds: Vec<_> = cluster.log[before..].iter().map(MetadataRecord::name).collect();
    assert_eq!(
        kinds,
        ["TopicRecord", "ConfigRecord", "PartitionRecord", "PartitionRecord", "PartitionRecord"]
    );
    let partition = cluster.partition("first-topic", 2);
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (1, 0, 0));
    assert_eq!(partition.directories[..], [support::directory(1, 1)]);
    let view = cluster.image().describe(partition, "PLAINTEXT");
    assert_eq!((view.leader.id(), view.offline_replicas), (1, vec![]));
    cluster.check();
}

#[test]
fn topics_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    cluster.create_on("a.b", &[&[1]], &[]);
    let mut refuse = |topic: CreatableTopic| {
        let results = cluster.create(vec![topic]);
        let (code, text) = message(&results[0]);
        (ErrorCode::from_i16(code).unwrap(), text.to_owned())
    };
    let with = |edit: &dyn Fn(&mut CreatableTopic)| {
        let mut wished = topic("new", 1, 1);
        edit(&mut wished);
        wished
    };
    use ErrorCode::{
        InvalidConfig, InvalidPartitions, InvalidReplicaAssignment, InvalidReplicationFactor, InvalidRequest,
        InvalidTopicException, TopicAlreadyExists,
    };
    let cases = [
        (topic("a.b", 1, 1), TopicAlreadyExists, "Topic 'a.b' already exists."),
        (topic("a_b", 1, 1), InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"),
        (topic("..", 1, 1), InvalidTopicException, "Topic name is invalid: '..' is not allowed"),
        (
            topic("new", 1, 3),
            InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached \
             because only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (
            topic("new", 1, 0),
            InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            topic("new", 0, 1),
            InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("__cluster_metadata", 1, 1),
            InvalidRequest,
            "Creation of internal topic __cluster_metadata is prohibited.",
        ),
        (
            with(&|t| t.configs = vec![CreatableTopicConfig { name: "retention.ms".into(), value: None }]),
            InvalidConfig,
            "Null value not supported for topic configs: retention.ms",
        ),
        (
            with(&|t| {
                t.configs =
                    vec![CreatableTopicConfig { name: "retention.ms".into(), value: Some("x".into()) }];
            }),
            InvalidConfig,
            "Invalid value x for configuration retention.ms: Not a number",
        ),
        (
            with(&|t| {
                t.assignments = vec![CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![1] }];
            }),
            InvalidRequest,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ),
    ];
    for (wished, expected, text) in cases {
        assert_eq!(refuse(wished), (expected, text.to_owned()));
    }
    let assigned = |assignments: &[(i32, &[i32])]| {
        with(&|t| {
            (t.num_partitions, t.replication_factor) = (-1, -1);
            let one = |&(partition_index, ids): &(i32, &[i32])| CreatableReplicaAssignment {
                partition_index,
                broker_ids: ids.to_vec(),
            };
            t.assignments = assignments.iter().map(one).collect();
        })
    };
    type Assigned<'a> = &'a [(i32, &'a [i32])];
    let cases: [(Assigned<'_>, &str); 5] = [
        (&[(0, &[])], "The manual partition assignment includes an empty replica list."),
        (&[(0, &[1, 1])], "The manual partition assignment includes the broker 1 more than once."),
        (
            &[(0, &[7])],
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (&[(0, &[1]), (0, &[1])], "Found multiple manual partition assignments for partition 0"),
        (&[(0, &[1]), (2, &[1])], "partitions should be a consecutive 0-based integer sequence"),
    ];
    for (assignments, text) in cases {
        assert_eq!(refuse(assigned(assignments)), (InvalidReplicaAssignment, text.to_owned()));
    }
    cluster.check();
}

#[test]
fn one_refused_topic_does_not_hinder_the_others_and_validation_writes_nothing() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    let topics = vec![topic("twice", 1, 1), topic("good", 1, 1), topic("twice", 1, 1), topic("bad", 1, 5)];
    let request = CreateTopicsRequest { topics, validate_only: true, ..Default::default() };
    let before = cluster.log.len();
    let results = cluster.create_with(request.clone());
    let outcome: Vec<_> = results.iter().map(|r| (r.name.as_str(), r.error_code)).collect();
    let expected = [
        ("good", 0),
        ("bad", code(ErrorCode::InvalidReplicationFactor)),
        ("twice", code(ErrorCode::InvalidRequest)),
    ];
    assert_eq!(outcome, expected);
    assert_eq!(cluster.log.len(), before);
    let results = cluster.create_with(CreateTopicsRequest { validate_only: false, ..request });
    assert_eq!(results.len(), 3);
    assert_eq!(cluster.image().topics.len(), 1);
    let huge = cluster.create(vec![topic("x", 9_000, 1), topic("y", 1_001, 1)]);
    assert_eq!(
        message(&huge[1]),
        (code(ErrorCode::PolicyViolation), "Excessively large number of partitions per request.")
    );
    let colliding = cluster.create(vec![topic("n.m", 1, 1), topic("n_m", 1, 1)]);
    assert_eq!(colliding[1].error_code, code(ErrorCode::InvalidTopicException));
    cluster.check();
}

#[test]
fn deletes_topics_by_name_and_by_id_with_their_configurations() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    let by_id = cluster.create_on("by-id", &[&[1]], &[("retention.ms", "1")]);
    cluster.create_on("by-name", &[&[1], &[1]], &[]);
    let both = cluster.create_on("both", &[&[1]], &[]);
    let unknown = Uuid::from_u128(123_456);
    let named = |name: &str| DeleteTopicState { name: Some(name.into()), topic_id: Uuid::nil() };
    let identified = |topic_id| DeleteTopicState { name: None, topic_id };
    let request = DeleteTopicsRequest {
        topics: vec![
            named("by-name"),
            named("missing"),
            named("both"),
            identified(by_id),
            identified(unknown),
            identified(both),
            identified(Uuid::nil()),
            DeleteTopicState { name: Some("x".into()), topic_id: both },
        ],
        ..Default::default()
    };
    let decision = cluster.controller.view().delete_topics(&request, 6, &|_, _| true);
    let response = cluster.run(decision);
    let mut outcome: Vec<_> =
        response.responses.iter().map(|r| (r.name.clone().unwrap_or_default(), r.error_code)).collect();
    outcome.sort();
    let invalid = code(ErrorCode::InvalidRequest);
    let mut expected = vec![
        ("by-name".to_owned(), 0),
        ("by-id".to_owned(), 0),
        ("missing".to_owned(), code(ErrorCode::UnknownTopicOrPartition)),
        ("both".to_owned(), invalid),
        (String::new(), code(ErrorCode::UnknownTopicId)),
        (String::new(), invalid),
        ("x".to_owned(), invalid),
    ];
    expected.sort();
    assert_eq!(outcome, expected);
    assert_eq!(cluster.image().topics.len(), 1);
    assert!(cluster.image().configs.of(&ConfigResource::topic("by-id")).is_none());
    let hidden = DeleteTopicsRequest { topics: vec![named("both")], ..Default::default() };
    let access = |action: TopicAction, _: &str| action == TopicAction::Describe;
    let decision = cluster.controller.view().delete_topics(&hidden, 6, &access);
    assert_eq!(decision.reply.responses[0].error_code, code(ErrorCode::TopicAuthorizationFailed));
    assert!(decision.records.is_empty());
    cluster.controller.settings_mut().delete_topic_enable = false;
    let decision = cluster.controller.view().delete_topics(&hidden, 6, &|_, _| true);
    assert_eq!(decision.reply.responses[0].error_code, code(ErrorCode::TopicDeletionDisabled));
    cluster.check();
}

#[test]
fn partition_counts_only_grow() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    cluster.create_on("t", &[&[1], &[1]], &[]);
    let mut grow = |count, assignments: Option<Vec<Vec<i32>>>| {
        let assignments = assignments.map(|lists| {
            lists.into_iter().map(|broker_ids| CreatePartitionsAssignment { broker_ids }).collect()
        });
        let wished = CreatePartitionsTopic { name: "t".into(), count, assignments };
        let request = CreatePartitionsRequest { topics: vec![wished], ..Default::default() };
        let view = cluster.controller.view();
        let decision = view.create_partitions(&request, &|_, _| true, &mut Seeded(3));
        let result = cluster.run(decision).results.remove(0);
        (
            result.error_code,
            result.error_message.unwrap_or_default(),
            cluster.image().topics.partition_count(),
        )
    };
    let invalid = code(ErrorCode::InvalidPartitions);
    assert_eq!(grow(2, None), (invalid, "Topic already has 2 partition(s).".to_owned(), 2));
    let shrunk = "The topic t currently has 2 partition(s); 1 would not be an increase.";
    assert_eq!(grow(1, None), (invalid, shrunk.to_owned(), 2));
    assert_eq!(grow(4, None), (0, String::new(), 4));
    assert_eq!(grow(5, Some(vec![vec![1]])), (0, String::new(), 5));
    let (error, text, _) = grow(7, Some(vec![vec![1]]));
    assert_eq!(error, code(ErrorCode::InvalidReplicaAssignment));
    assert!(
        text.starts_with("Attempted to add 2 additional partition(s), but only 1 assignment(s)"),
        "{text}"
    );
    assert_eq!(grow(i32::MAX, None).0, code(ErrorCode::PolicyViolation));
    cluster.check();
}

fn alter(cluster: &mut Cluster, kind: i8, name: &str, ops: &[(&str, i8, Option<&str>)]) -> (i16, String) {
    let configs = ops
        .iter()
        .map(|&(key, config_operation, value)| AlterableConfig {
            name: key.to_owned(),
            config_operation,
            value: value.map(str::to_owned),
        })
        .collect();
    let resource = AlterConfigsResource { resource_type: kind, resource_name: name.to_owned(), configs };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let decision = cluster.controller.view().incremental_alter_configs(&request, false);
    let result = cluster.run(decision).responses.remove(0);
    (result.error_code, result.error_message.unwrap_or_default())
}

#[test]
fn configurations_change_key_by_key() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    cluster.create_on("t", &[&[1]], &[]);
    let done = (0, String::new());
    let get = |cluster: &Cluster, key: &str| {
        cluster.image().configs.get(&ConfigResource::topic("t"), key).map(str::to_owned)
    };
    assert_eq!(alter(&mut cluster, 2, "t", &[("retention.ms", 0, Some("5"))]), done);
    assert_eq!(alter(&mut cluster, 2, "t", &[("cleanup.policy", 2, Some("compact"))]), done);
    assert_eq!(get(&cluster, "cleanup.policy").as_deref(), Some("delete,compact"));
    assert_eq!(alter(&mut cluster, 2, "t", &[("cleanup.policy", 3, Some("delete"))]), done);
    assert_eq!(get(&cluster, "cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(alter(&mut cluster, 2, "t", &[("cleanup.policy", 1, None)]), done);
    assert_eq!(get(&cluster, "cleanup.policy"), None);
    let before = cluster.log.len();
    assert_eq!(alter(&mut cluster, 2, "t", &[("retention.ms", 0, Some("5"))]), done);
    assert_eq!(cluster.log.len(), before, "a topic's key that stays is not written");
    assert_eq!(alter(&mut cluster, 4, "1", &[("retention.ms", 0, Some("5"))]), done);
    let before = cluster.log.len();
    assert_eq!(alter(&mut cluster, 4, "1", &[("retention.ms", 0, Some("5"))]), done);
    assert_eq!(cluster.log.len(), before + 1, "a broker's key is, so that brokers reload");
    let refuse = |error: ErrorCode, text: &str| (code(error), text.to_owned());
    assert_eq!(
        alter(&mut cluster, 2, "t", &[("retention.ms", 2, Some("6"))]),
        refuse(ErrorCode::InvalidConfig, "Can't APPEND to key retention.ms because its type is not LIST.")
    );
    assert_eq!(
        alter(&mut cluster, 2, "missing", &[("retention.ms", 0, Some("6"))]),
        refuse(ErrorCode::UnknownTopicOrPartition, "The topic 'missing' does not exist.")
    );
    assert_eq!(
        alter(&mut cluster, 4, "9", &[("retention.ms", 0, Some("6"))]),
        refuse(ErrorCode::BrokerIdNotRegistered, "No node with id 9 found.")
    );
    assert_eq!(
        alter(&mut cluster, 99, "x", &[]),
        refuse(ErrorCode::UnsupportedVersion, "Unknown resource type 99.")
    );
    assert_eq!(
        alter(&mut cluster, 4, "", &[("min.insync.replicas", 1, None)]),
        refuse(
            ErrorCode::InvalidConfig,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."
        )
    );
    assert_eq!(
        alter(&mut cluster, 4, "1", &[("min.insync.replicas", 0, Some("1"))]),
        refuse(
            ErrorCode::InvalidConfig,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
        )
    );
    let before = cluster.log.len();
    assert_eq!(alter(&mut cluster, 2, "t", &[("min.insync.replicas", 0, Some("2"))]), done);
    let kinds: Vec<_> = cluster.log[before..].iter().map(MetadataRecord::name).collect();
    assert_eq!(kinds, ["ConfigRecord", "ClearElrRecord"]);
    cluster.check();
}

#[test]
fn the_old_call_replaces_every_key() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    cluster.create_on("t", &[&[1]], &[("retention.ms", "5"), ("cleanup.policy", "compact")]);
    let resource = |name: &str| legacy::AlterConfigsResource {
        resource_type: 2,
        resource_name: name.to_owned(),
        configs: vec![legacy::AlterableConfig { name: "retention.ms".into(), value: Some("7".into()) }],
    };
    let resources = vec![resource("t"), resource("u"), resource("u")];
    let request = legacy::AlterConfigsRequest { resources, validate_only: false };
    let decision = cluster.controller.view().alter_configs(&request, true);
    let response = cluster.run(decision);
    let outcome: Vec<_> =
        response.responses.iter().map(|r| (r.resource_name.as_str(), r.error_code)).collect();
    assert_eq!(outcome, [("t", 0), ("u", code(ErrorCode::InvalidRequest))]);
    let configs = cluster.image().configs.of(&ConfigResource::topic("t")).unwrap();
    assert_eq!(configs.iter().collect::<Vec<_>>(), [(&"retention.ms".to_owned(), &"7".to_owned())]);
    cluster.check();
}

#[test]
fn producer_ids_come_in_blocks_of_a_thousand() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    let epoch = cluster.image().broker(1).unwrap().epoch;
    let mut allocate = |broker_epoch| {
        let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch };
        let decision = cluster.controller.view().allocate_producer_ids(&request);
        let response = cluster.run(decision);
        (response.error_code, response.producer_id_start, response.producer_id_len)
    };
    assert_eq!(allocate(epoch), (0, 0, 1000));
    assert_eq!(allocate(epoch), (0, 1000, 1000));
    assert_eq!(allocate(epoch + 5).0, code(ErrorCode::StaleBrokerEpoch));
    assert_eq!(cluster.image().next_producer_id.0, 2000);
    cluster.check();
}

fn update(cluster: &mut Cluster, name: &str, level: i16, kind: i8) -> (i16, String, Option<i16>) {
    let update = FeatureUpdateKey {
        feature: name.into(),
        max_version_level: level,
        upgrade_type: kind,
        allow_downgrade: false,
    };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
    let context = FeatureContext { request_version: 2, kraft_version: 0, voters: vec![1] };
    let decision = cluster.controller.view().update_features(&request, &context);
    let reply = cluster.run(decision);
    let response = reply.response;
    (response.error_code, response.error_message.unwrap_or_default(), reply.raise_kraft_version)
}

#[test]
fn features_change_only_as_far_as_every_node_and_dependency_allows() {
    let mut cluster = Cluster::at(22);
    cluster.kraft_version = 0;
    cluster.start(&[1]);
    let (error, text, _) = update(&mut cluster, "eligible.leader.replicas.version", 1, 1);
    assert_eq!(error, code(ErrorCode::InvalidUpdateVersion));
    assert!(text.ends_with("because it depends on metadata.version level 23"), "{text}");
    assert_eq!(update(&mut cluster, "metadata.version", 29, 1), (0, String::new(), None));
    let before = cluster.log.len();
    assert_eq!(update(&mut cluster, "eligible.leader.replicas.version", 1, 1).0, 0);
    let kinds: Vec<_> = cluster.log[before..].iter().map(MetadataRecord::name).collect();
    assert_eq!(kinds, ["ConfigRecord", "FeatureLevelRecord"], "first what makes it safe");
    let (_, text, _) = update(&mut cluster, "metadata.version", 25, 1);
    assert!(text.contains("Can't downgrade the version of this feature without setting"), "{text}");
    assert_eq!(update(&mut cluster, "metadata.version", 25, 2).0, 0, "25 to 29 share their formats");
    let (_, text, _) = update(&mut cluster, "metadata.version", 22, 3);
    assert!(text.contains("Unsafe metadata downgrade is not supported in this version."), "{text}");
    let (_, text, _) = update(&mut cluster, "group.version", 5, 1);
    assert!(text.contains("Local controller 1 only supports versions 0-1"), "{text}");
    let (_, text, _) = update(&mut cluster, "no.such.feature", 1, 1);
    assert!(text.contains("Local controller 1 does not support this feature."), "{text}");
    let unknown = "The update failed for all features since the following feature had an error: Invalid update version 0 \
                   for feature no.such.feature. Feature no.such.feature not found.";
    let refused = (code(ErrorCode::InvalidUpdateVersion), unknown.to_owned(), None);
    assert_eq!(update(&mut cluster, "no.such.feature", 0, 2), refused);
    assert_eq!(update(&mut cluster, "group.version", 0, 2).0, 0);
    assert_eq!(cluster.image().features.level("group.version"), 0);
    assert_eq!(update(&mut cluster, "kraft.version", 1, 1), (0, String::new(), Some(1)));
    assert_eq!(cluster.log.last().unwrap().name(), "NoOpRecord");
    cluster.check();
}

#[test]
fn controllers_register_and_brokers_can_be_forgotten() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    let request = ControllerRegistrationRequest { controller_id: 1, ..Default::default() };
    let decision = cluster.controller.view().register_controller(&request);
    assert_eq!(cluster.run(decision).error_code, 0);
    assert!(cluster.image().controllers.contains_key(&1));
    let forget = |cluster: &mut Cluster| {
        let request = UnregisterBrokerRequest { broker_id: 1 };
        let decision = cluster.controller.view().unregister_broker(&request);
        cluster.run(decision).error_code
    };
    cluster.create_on("t", &[&[1]], &[]);
    assert_eq!(forget(&mut cluster), 0);
    assert!(cluster.image().brokers.is_empty());
    assert_eq!(cluster.state("t"), (None, vec![], vec![]));
    assert_eq!(forget(&mut cluster), code(ErrorCode::BrokerIdNotRegistered));
    cluster.check();
}

#[test]
fn uncommitted_decisions_are_undone_when_leadership_is_lost() {
    let mut cluster = Cluster::latest();
    cluster.start(&[1]);
    cluster.create_on("kept", &[&[1]], &[]);
    let request = CreateTopicsRequest { topics: vec![topic("lost", 1, 1)], ..Default::default() };
    let mut random = Seeded(9);
    let mut context =
        ottla_metadata::decide::CreateContext { access: &|_, _| true, forwarded: false, random: &mut random };
    let decision = cluster.controller.view().create_topics(&request, &mut context);
    cluster.append(decision);
    assert!(cluster.image().topics.by_name("lost").is_some(), "the next decision sees it");
    assert!(cluster.controller.committed_image().topics.by_name("lost").is_none());
    cluster.controller.deactivate();
    assert!(cluster.image().topics.by_name("lost").is_none());
    assert!(cluster.image().topics.by_name("kept").is_some());
    assert!(!cluster.controller.is_active());
}
