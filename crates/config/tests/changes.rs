//! Configuration that changes while a node runs: topics, brokers, and what DescribeConfigs says about both.

use ottla_config::alter::{Change, Operation, apply, validate};
use ottla_config::describe::{Described, Source, effective_topic};
use ottla_config::topic::{Cleanup, Compression, TimestampType, validate_topic};
use ottla_config::{BrokerConfigs, NodeConfig, Overrides, Refusal, Resource, TopicConfig};

fn node(extra: &str) -> NodeConfig {
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n{extra}"
    );
    NodeConfig::load("f", text.as_bytes(), &[]).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn map(pairs: &[(&str, &str)]) -> Overrides {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn find<'a>(described: &'a [Described], name: &str) -> &'a Described {
    described.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("{name} is described"))
}

#[test]
fn a_topic_begins_with_kafkas_defaults() {
    let topic = TopicConfig::default();
    assert_eq!((topic.segment_bytes, topic.segment_ms), (1 << 30, 604_800_000));
    assert_eq!((topic.retention_ms, topic.retention_bytes), (604_800_000, -1));
    assert_eq!((topic.flush_messages, topic.flush_ms), (i64::MAX, i64::MAX));
    assert_eq!((topic.max_message_bytes, topic.min_insync_replicas), (1_048_588, 1));
    assert_eq!(topic.cleanup, Cleanup { compact: false, delete: true });
    assert_eq!(topic.compression, Compression::Producer);
    assert_eq!(topic.timestamp_type, TimestampType::CreateTime);
    assert_eq!((topic.timestamp_before_max_ms, topic.timestamp_after_max_ms), (i64::MAX, 3_600_000));
    assert_eq!((topic.index_interval_bytes, topic.segment_index_bytes), (4096, 10 << 20));
    assert_eq!(node("").topic_defaults, topic, "a file without log keys changes nothing");
}

#[test]
fn a_topics_own_values_lie_over_the_nodes() {
    let node = node("log.retention.minutes=3\ncompression.zstd.level=9\nlog.roll.hours=2\n");
    let own = map(&[
        ("compression.type", "zstd"),
        ("cleanup.policy", "compact, delete"),
        ("segment.bytes", "2000000"),
    ]);
    let topic = node.topic(&own).unwrap();
    assert_eq!(node.topic(&Overrides::new()).as_ref(), Ok(&node.topic_defaults));
    assert_eq!((topic.retention_ms, topic.segment_ms, topic.segment_bytes), (180_000, 7_200_000, 2_000_000));
    assert_eq!(topic.compression, Compression::Zstd(9));
    assert_eq!(topic.cleanup, Cleanup { compact: true, delete: true });
    let lag = map(&[("cleanup.policy", "compact"), ("max.compaction.lag.ms", "1000")]);
    assert_eq!(TopicConfig::of_topic(node.settings(), &lag).unwrap().max_segment_ms(), 1000);
    let tiny = map(&[("internal.segment.bytes", "100")]);
    assert_eq!(TopicConfig::of_topic(node.settings(), &tiny).unwrap().segment_bytes, 100);
    // A key from the future does no harm where metadata is read.
    assert!(TopicConfig::of_topic(node.settings(), &map(&[("from.the.future", "1")])).is_ok());
}

#[test]
fn topics_are_checked_in_kafkas_words() {
    let node = node("");
    for (key, value, message) in [
        ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        (
            "segment.bytes",
            "14",
            "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            "preallocate",
            "x",
            "Invalid value x for configuration preallocate: Expected value to be either true or false",
        ),
        (
            "max.message.bytes",
            "1k",
            "Invalid value 1k for configuration max.message.bytes: Not a number of type INT",
        ),
        ("retention.mss", "5", "Unknown topic config name: retention.mss (did you mean retention.ms?)"),
        ("min.compaction.lag.ms", "9223372036854775807", ""),
        (
            "remote.storage.enable",
            "true",
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
    ] {
        let checked = validate_topic(node.settings(), &Overrides::new(), &map(&[(key, value)]));
        match checked {
            Ok(_) => assert!(message.is_empty(), "{key}={value}"),
            Err(refusal) => assert_eq!(refusal, Refusal::Config(message.to_owned())),
        }
    }
    let conflict = map(&[("min.compaction.lag.ms", "6"), ("max.compaction.lag.ms", "5")]);
    assert_eq!(
        validate_topic(node.settings(), &Overrides::new(), &conflict).unwrap_err().to_string(),
        "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"
    );
    let was_remote = map(&[("remote.storage.enable", "true")]);
    let now = validate_topic(node.settings(), &was_remote, &Overrides::new()).unwrap_err().to_string();
    assert!(
        now.starts_with("It is invalid to disable remote storage without deleting remote data."),
        "{now}"
    );
    assert!(validate(&node, Resource::Topic, "t", &Overrides::new(), &conflict).is_err());
}

#[test]
fn tiered_topics_are_checked_where_the_node_has_tiered_storage() {
    let node = node("remote.log.storage.system.enable=true\n");
    let checked = |pairs: &[(&str, &str)]| {
        let mut own = map(pairs);
        own.insert("remote.storage.enable".to_owned(), "true".to_owned());
        validate_topic(node.settings(), &Overrides::new(), &own)
            .map(|_| ())
            .map_err(|refusal| refusal.to_string())
    };
    assert_eq!(checked(&[]), Ok(()));
    assert!(checked(&[("cleanup.policy", "compact")]).unwrap_err().contains("cleanup.policy=delete"));
    assert_eq!(
        checked(&[("retention.ms", "10"), ("local.retention.ms", "11")]).unwrap_err(),
        "Invalid value 11 for configuration local.retention.ms: Value must not be more than retention.ms property \
         value: 10"
    );
    assert_eq!(
        checked(&[("retention.bytes", "10"), ("local.retention.bytes", "-1")]).unwrap_err(),
        "Invalid value -1 for configuration local.retention.bytes: Value must not be -1 as retention.bytes value is \
         set as 10."
    );
    assert!(checked(&[("remote.log.copy.disable", "true"), ("local.retention.ms", "5")]).is_err());
}

#[test]
fn dynamic_values_lie_over_the_file_broker_over_cluster() {
    let mut configs = BrokerConfigs::new(node("log.retention.hours=1\nmax.connections=10\n"));
    let problems = configs.set_dynamic(
        &map(&[("log.retention.ms", "5000"), ("max.connections", "20"), ("message.max.bytes", "100")]),
        &map(&[("max.connections", "30")]),
    );
    assert!(problems.is_empty(), "{problems:?}");
    let current = configs.current();
    assert_eq!((current.topic_defaults.retention_ms, current.sockets.max_connections), (5000, 30));
    assert_eq!(current.topic_defaults.max_message_bytes, 100);
    assert_eq!(configs.file().sockets.max_connections, 10);
    let broker = configs.describe_broker();
    let connections = find(&broker, "max.connections");
    assert_eq!((connections.value.as_deref(), connections.source), (Some("30"), Source::Broker));
    assert!(!connections.read_only);
    let levels: Vec<(Option<&str>, Source)> =
        connections.synonyms.iter().map(|synonym| (synonym.value.as_deref(), synonym.source)).collect();
    assert_eq!(
        levels,
        [
            (Some("30"), Source::Broker),
            (Some("20"), Source::Cluster),
            (Some("10"), Source::File),
            (Some("2147483647"), Source::Default)
        ]
    );
    assert!(find(&broker, "node.id").read_only);
    assert_eq!(configs.describe_cluster().len(), 3);
    // Gone again, the file counts.
    assert!(configs.set_dynamic(&Overrides::new(), &Overrides::new()).is_empty());
    assert_eq!(configs.current(), configs.file());
}

#[test]
fn dynamic_values_that_cannot_be_applied_are_named_and_left_out() {
    let mut configs = BrokerConfigs::new(node(""));
    let problems = configs.set_dynamic(
        &map(&[
            ("node.id", "7"),
            ("listeners", "PLAINTEXT://:1"),
            ("log.segment.bytes", "abc"),
            ("ssl.keystore.type", "PEM"),
            ("log.index.interval.bytes", "17"),
            ("group.share.assignment.interval.ms", "99999"),
        ]),
        &Overrides::new(),
    );
    let said = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in ["node.id", "listeners", "Not a number of type INT", "listener prefix", "15000 counts"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    assert_eq!(configs.current().topic_defaults.index_interval_bytes, 17);
    assert_eq!(configs.current().settings().int("group.share.assignment.interval.ms"), 15_000);
}

#[test]
fn changes_of_a_broker_are_checked() {
    let configs = BrokerConfigs::new(node("num.io.threads=8\n"));
    let refused = |pairs: &[(&str, &str)], per_broker| {
        configs.validate(&map(pairs), per_broker).unwrap_err().to_string()
    };
    assert_eq!(refused(&[("node.id", "1")], true), "Cannot update these configs dynamically: [node.id]");
    assert_eq!(
        refused(&[("listeners", "PLAINTEXT://:1")], false),
        "Cannot update these configs at default cluster level, broker id must be specified: [listeners]"
    );
    assert!(
        refused(&[("num.io.threads", "17")], true)
            .ends_with("should not be greater than double the current value 8")
    );
    assert!(
        refused(&[("num.io.threads", "3")], true).ends_with("should be at least half the current value 8")
    );
    assert!(configs.validate(&map(&[("num.io.threads", "16"), ("a.plug.ins.key", "x")]), true).is_ok());
    assert_eq!(
        refused(&[("message.max.bytes", "-1")], false),
        "Invalid value -1 for configuration message.max.bytes: Value must be at least 0"
    );
}

#[test]
fn a_topic_is_described_with_where_its_values_come_from() {
    let mut configs = BrokerConfigs::new(node("log.segment.bytes=1073741824\nlog.retention.hours=168\n"));
    configs.set_dynamic(&map(&[("log.cleanup.policy", "compact")]), &Overrides::new());
    let own = map(&[("retention.bytes", " 5 "), ("internal.segment.bytes", "9")]);
    let described = configs.describe_topic(&own);
    // What kafka-topics.sh --describe shows: everything that is no default (S0-26).
    let shown: Vec<String> = described
        .iter()
        .filter(|one| one.source != Source::Default)
        .map(|one| format!("{}={}", one.name, one.value.as_deref().unwrap_or("null")))
        .collect();
    assert_eq!(
        shown,
        [
            "cleanup.policy=compact",
            "internal.segment.bytes=9",
            "retention.bytes=5",
            "segment.bytes=1073741824"
        ]
    );
    let retention = find(&described, "retention.bytes");
    assert_eq!((retention.source, retention.kind, retention.synonyms.len()), (Source::Topic, 5, 2));
    assert!(retention.documentation.is_some_and(|doc| !doc.is_empty()));
    assert_eq!(find(&described, "segment.bytes").source, Source::File);
    assert!(configs.describe_topic(&Overrides::new()).iter().all(|one| one.name != "internal.segment.bytes"));

    // The answer of CreateTopics counts hours of the file as the file's.
    let effective =
        effective_topic(configs.file(), &own, &Overrides::new(), &map(&[("log.roll.hours", "2")]));
    let of = |name: &str| {
        let one = effective.iter().find(|one| one.name == name).expect("the key is there");
        (one.value.clone().unwrap_or_default(), one.source)
    };
    assert_eq!(of("retention.ms"), ("604800000".to_owned(), Source::File));
    assert_eq!(of("segment.ms"), ("7200000".to_owned(), Source::Cluster));
    assert_eq!(of("retention.bytes"), (" 5 ".to_owned(), Source::Topic));
    assert_eq!(of("flush.ms"), ("9223372036854775807".to_owned(), Source::Default));
}

#[test]
fn secrets_are_never_shown() {
    let text =
        "ssl.keystore.password=hush1\nlistener.name.plaintext.ssl.key.password=hush2\nunknown.token=hush3\n";
    let mut configs = BrokerConfigs::new(node(text));
    configs
        .set_dynamic(&Overrides::new(), &map(&[("listener.name.plaintext.ssl.keystore.password", "hush4")]));
    let described = configs.describe_broker();
    for name in [
        "ssl.keystore.password",
        "listener.name.plaintext.ssl.key.password",
        "unknown.token",
        "listener.name.plaintext.ssl.keystore.password",
    ] {
        let one = find(&described, name);
        assert!(one.is_sensitive && one.value.is_none(), "{name}");
    }
    assert!(!format!("{described:?}").contains("hush"));
    let wrong = NodeConfig::load("f", b"ssl.key.password=hush\nprocess.roles=x", &[]).unwrap_err();
    assert!(!wrong.to_string().contains("hush"));
}

#[test]
fn groups_and_subscriptions_are_described() {
    let configs = BrokerConfigs::new(node("group.consumer.heartbeat.interval.ms=6000\n"));
    let own = map(&[("consumer.session.timeout.ms", "50000")]);
    let described = configs.describe_group(&own);
    let session = find(&described, "consumer.session.timeout.ms");
    assert_eq!((session.value.as_deref(), session.source), (Some("50000"), Source::Group));
    let heartbeat = find(&described, "consumer.heartbeat.interval.ms");
    assert_eq!((heartbeat.value.as_deref(), heartbeat.source), (Some("6000"), Source::File));
    let metrics = ottla_config::describe::describe_client_metrics(&map(&[("interval.ms", "100")]));
    assert_eq!(find(&metrics, "interval.ms").source, Source::ClientMetrics);
    assert_eq!(find(&metrics, "match").source, Source::Default);
}

#[test]
fn operations_compose() {
    let change = Change {
        name: "cleanup.policy".to_owned(),
        operation: Operation::Append,
        value: Some("compact".to_owned()),
    };
    let after = apply(Resource::Topic, &Overrides::new(), &[change]).unwrap();
    let topic = TopicConfig::of_topic(node("").settings(), &after).unwrap();
    assert_eq!(topic.cleanup, Cleanup { compact: true, delete: true });
}
