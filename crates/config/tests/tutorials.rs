//! What the tutorials type, file by file: the stock files with their edits load as they should, and their slips
//! are named.

use ottla_config::{Loaded, NodeConfig, Problems};

const SERVER: &str = include_str!("../../../config/server.properties");
const BROKER: &str = include_str!("../../../config/broker.properties");
const CONTROLLER: &str = include_str!("../../../config/controller.properties");
const KRAFT_SERVER: &str = include_str!("../../../config/kraft/server.properties");
const KRAFT_BROKER: &str = include_str!("../../../config/kraft/broker.properties");
const KRAFT_CONTROLLER: &str = include_str!("../../../config/kraft/controller.properties");

/// A stock file with lines replaced: each edit is `key=value` and takes the place of the line of that key, or is
/// added at the end.
fn edited(stock: &str, edits: &[&str]) -> String {
    let mut lines: Vec<String> = stock.lines().map(str::to_owned).collect();
    for edit in edits {
        let key = edit.split_once('=').map_or(*edit, |(key, _)| key);
        match lines.iter_mut().find(|line| line.split_once('=').is_some_and(|(k, _)| k == key)) {
            Some(line) => (*edit).clone_into(line),
            None => lines.push((*edit).to_owned()),
        }
    }
    lines.join("\n")
}

fn without(text: &str, key: &str) -> String {
    text.lines()
        .filter(|line| line.split_once('=').is_none_or(|(k, _)| k != key))
        .collect::<Vec<_>>()
        .join("\n")
}

fn load(text: &str) -> Result<Loaded, Problems> {
    NodeConfig::load("server.properties", text.as_bytes(), &[])
}

#[track_caller]
fn good(text: &str) -> Loaded {
    load(text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn bad(text: &str, parts: &[&str]) -> String {
    let problems = load(text).expect_err("the file must be refused").to_string();
    for part in parts {
        assert!(problems.contains(part), "{part:?} is not in\n{problems}");
    }
    problems
}

#[track_caller]
fn warns(loaded: &Loaded, part: &str) {
    let all: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(all.iter().any(|warning| warning.contains(part)), "{part:?} is not in\n{}", all.join("\n"));
}

fn line_of(text: &str, key: &str) -> usize {
    text.lines().position(|line| line.starts_with(&format!("{key}="))).expect("the key is there") + 1
}

#[test]
fn the_stock_files_load_without_errors() {
    for (text, broker, controller, id) in [
        (SERVER, true, true, 1),
        (BROKER, true, false, 2),
        (CONTROLLER, false, true, 1),
        (KRAFT_SERVER, true, true, 1),
        (KRAFT_BROKER, true, false, 2),
        (KRAFT_CONTROLLER, false, true, 1),
    ] {
        let loaded = good(text);
        let config = &loaded.config;
        assert_eq!((config.roles.broker, config.roles.controller, config.node_id), (broker, controller, id));
        assert!(loaded.unserved.is_empty());
        let unexpected: Vec<_> =
            loaded.warnings.iter().filter(|warning| !warning.message.contains("1 controller")).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        // The keys of S0-06.
        for key in [
            "process.roles",
            "node.id",
            "listeners",
            "controller.listener.names",
            "log.dirs",
            "num.partitions",
        ] {
            assert!(config.settings().is_set(key), "{key}");
        }
    }
    let stock = good(KRAFT_SERVER).config;
    assert_eq!(stock.quorum.voters[0].to_string(), "1@localhost:9093");
    assert_eq!(stock.dirs.all(), ["/tmp/kraft-combined-logs"]);
    assert_eq!(stock.topic_defaults.segment_bytes, 1 << 30);
    assert_eq!(stock.topic_defaults.retention_ms, 168 * 3_600_000);
    assert_eq!(stock.log.retention_check_interval_ms, 300_000);
    assert_eq!((stock.groups.offsets_replication_factor, stock.transactions.state_min_isr), (1, 1));
    let dynamic = good(SERVER).config;
    assert!(dynamic.quorum.voters.is_empty());
    assert_eq!(dynamic.quorum.bootstrap_servers[0].to_string(), "localhost:9093");
}

/// S0: three combined nodes on three hosts (S0-10, S0-12 to S0-16, S0-32).
#[test]
fn three_nodes_of_the_kraft_tutorial() {
    for id in 1..=3 {
        let text = edited(
            KRAFT_SERVER,
            &[
                &format!("node.id={id}"),
                "controller.quorum.voters=1@kafka1.mydomain.com:9093,2@kafka2.mydomain.com:9093,3@kafka3.mydomain.com:9093",
                &format!("listeners=PLAINTEXT://kafka{id}:9092,CONTROLLER://kafka{id}:9093"),
                "inter.broker.listener.name=PLAINTEXT",
                &format!("advertised.listeners=PLAINTEXT://kafka{id}.mydomain.com:9092"),
                "num.partitions=6",
                "offsets.topic.replication.factor=2",
                "transaction.state.log.replication.factor=2",
            ],
        );
        let loaded = good(&text);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let config = loaded.config;
        assert_eq!(config.quorum.voters.len(), 3);
        assert_eq!(config.listeners.bound[0].to_string(), format!("PLAINTEXT://kafka{id}:9092"));
        assert_eq!(config.listeners.controllers().count(), 1);
        assert_eq!(
            config.listeners.advertised[0].to_string(),
            format!("PLAINTEXT://kafka{id}.mydomain.com:9092")
        );
        assert_eq!(
            config.listeners.advertised_controllers[0].to_string(),
            format!("CONTROLLER://kafka{id}:9093")
        );
        assert_eq!((config.topics.partitions, config.groups.offsets_replication_factor), (6, 2));
        assert_eq!(config.transactions.state_replication_factor, 2);
    }
}

/// S0-07: unknown and doubled roles.
#[test]
fn roles_are_checked() {
    let text = edited(KRAFT_SERVER, &["process.roles=broker,kontroller"]);
    let line = line_of(&text, "process.roles");
    bad(
        &text,
        &[
            &format!("server.properties:{line}: process.roles=broker,kontroller is not allowed"),
            "Invalid value kontroller for configuration process.roles: String must be one of: broker, controller",
            "allowed: a comma separated list of broker, controller",
        ],
    );
    bad(&edited(KRAFT_SERVER, &["process.roles=broker,broker"]), &["names the role 'broker' twice"]);
    bad(
        &edited(KRAFT_SERVER, &["process.roles="]),
        &["process.roles is set to nothing", "must not be empty"],
    );
}

/// S0-09: the voter entry with the clients' port.
#[test]
fn the_wrong_port_among_the_voters_is_named() {
    let text = edited(KRAFT_SERVER, &["controller.quorum.voters=1@localhost:9092"]);
    bad(
        &text,
        &[
            "controller.quorum.voters says node 1 is at localhost:9092, but 9092 is the PLAINTEXT (client) listener; the \
           controller listener is 9093. Use 1@localhost:9093",
        ],
    );
    // A port that is forwarded from elsewhere is possible.
    warns(
        &good(&edited(KRAFT_SERVER, &["controller.quorum.voters=1@localhost:19093"])),
        "right only if something",
    );
}

/// S0-13 and S0-14.
#[test]
fn listener_names_and_advertised_addresses_are_checked() {
    bad(
        &edited(KRAFT_SERVER, &["inter.broker.listener.name=INTERNAL"]),
        &[
            "Listener with name INTERNAL defined in inter.broker.listener.name not found in \
           listener.security.protocol.map.",
            "allowed: the advertised listeners: PLAINTEXT\n",
            "next: write inter.broker.listener.name=PLAINTEXT; ",
        ],
    );
    bad(
        &edited(KRAFT_SERVER, &["inter.broker.listener.name=SSL"]),
        &[
            "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based \
           on currently configured listeners are PLAINTEXT",
        ],
    );
    bad(
        &edited(KRAFT_SERVER, &["advertised.listeners=PLAINTEXT://0.0.0.0:9092"]),
        &[
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.",
            "advertised.listeners=PLAINTEXT://HOST:9092, or PLAINTEXT://localhost:9092 while",
        ],
    );
    bad(
        &edited(KRAFT_SERVER, &["advertised.listeners=PLAINTEXT://localhost:9092,EXTRA://localhost:9099"]),
        &["No security protocol defined for listener EXTRA"],
    );
    bad(
        &edited(KRAFT_SERVER, &["advertised.listeners=PLAINTEXT://localhost:9092,SSL://localhost:9099"]),
        &[
            "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. Found \
           PLAINTEXT,SSL. The valid options based on the current configuration are PLAINTEXT,CONTROLLER",
        ],
    );
}

/// S0-19: the placeholder typed literally.
#[test]
fn a_placeholder_for_the_node_id_is_named_with_its_line() {
    let text = edited(KRAFT_SERVER, &["node.id=node_number"]);
    let line = line_of(&text, "node.id");
    let problems = NodeConfig::load("config/kraft/server.properties", text.as_bytes(), &[]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        format!(
            "config/kraft/server.properties:{line}: node.id must be an integer, got 'node_number'\n    \
             Invalid value node_number for configuration node.id: Not a number of type INT\n    \
             allowed: an integer from 0 to 2147483647\n    \
             next: give this node a number of its own, for example node.id=1"
        )
    );
}

/// S1-02 and S1-03: what is left of ZooKeeper is ignored, `node.id=0` is legal.
#[test]
fn zookeeper_keys_beside_kraft_keys_are_ignored() {
    let text = edited(
        KRAFT_SERVER,
        &["zookeeper.connect=localhost:2181", "zookeeper.connection.timeout.ms=18000", "broker.id=0"],
    );
    let text = edited(&without(&text, "node.id"), &["controller.quorum.voters=0@localhost:9093"]);
    let loaded = good(&text);
    assert_eq!(loaded.config.node_id, 0);
    warns(&loaded, "zookeeper.connect is ignored (no ZooKeeper in this product)");
    warns(&loaded, "zookeeper.connection.timeout.ms is ignored");
    warns(&loaded, "broker.id is the old name; used as node.id=0");
    bad(
        &edited(KRAFT_SERVER, &["broker.id=7"]),
        &["You must set `node.id` to the same value as `broker.id`.", "7"],
    );
    assert!(good(&edited(KRAFT_SERVER, &["broker.id=1"])).config.node_id == 1);
}

/// S4-01: a file of the ZooKeeper era.
#[test]
fn a_zookeeper_era_file_is_explained() {
    let text =
        "broker.id=1\nlisteners=PLAINTEXT://:9091\nlog.dirs=/tmp/broker1\nzookeeper.connect=localhost:2181\n";
    bad(text, &["ZooKeeper-era file", "process.roles"]);
    let migrated =
        ottla_config::node::migrate(&ottla_config::Properties::parse("old", text.as_bytes()).unwrap())
            .unwrap();
    let config = good(&migrated.text).config;
    assert_eq!((config.node_id, config.dirs.data[0].as_str()), (1, "/tmp/broker1"));
    assert_eq!(config.listeners.brokers().next().unwrap().port, 9091);
    assert!(migrated.changes.iter().any(|change| change.contains("removed zookeeper.connect")));
}

/// S1-04 and T-14: how many controllers survive what.
#[test]
fn the_number_of_controllers_is_commented() {
    warns(&good(KRAFT_SERVER), "no fault tolerance for metadata");
    let two = good(&edited(KRAFT_SERVER, &["controller.quorum.voters=1@a:9093,2@b:9095"]));
    warns(&two, "2 controllers tolerate no failure; use 1 or 3");
    let four = good(&edited(KRAFT_SERVER, &["controller.quorum.voters=1@a:9093,2@b:1,3@c:1,4@d:1"]));
    warns(&four, "4 controllers tolerate 1 failure; use 3 or 5");
}

/// S1-08: the block of the two-brokers tutorial, by address, without hosts in the listeners.
#[test]
fn listeners_without_a_host_bind_everything() {
    let config = good(
        "process.roles=broker,controller\nnode.id=0\n\
         controller.quorum.voters=0@172.17.20.57:9093,1@172.17.20.58:9093,2@172.17.20.59:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\nadvertised.listeners=PLAINTEXT://172.17.20.57:9092\n\
         controller.listener.names=CONTROLLER\nlog.dirs=/tmp/kraft-combined-logs\n",
    )
    .config;
    assert!(config.listeners.bound.iter().all(|listener| listener.host.is_none()));
    // What a controller tells others comes from its own entry among the voters.
    assert_eq!(config.listeners.advertised_controllers[0].to_string(), "CONTROLLER://172.17.20.57:9093");
    assert_eq!(config.groups.offsets_replication_factor, 3, "the default, since the file does not say");
}

/// S1-09: a controller on its own, whose snippet forgets the name of its listener.
#[test]
fn a_controller_alone() {
    let snippet = "process.roles=controller\nnode.id=1\nlisteners=CONTROLLER://controller1.example.com:9093\n\
                   controller.quorum.voters=1@controller1.example.com:9093,2@controller2.example.com:9093,\
                   3@controller3.example.com:9093\n";
    bad(
        snippet,
        &[
            "controller.listener.names is missing",
            "add controller.listener.names=CONTROLLER",
            "Missing required",
        ],
    );
    let config = good(&format!("{snippet}controller.listener.names=CONTROLLER\n")).config;
    assert!(!config.roles.broker);
    assert_eq!(config.listeners.brokers().count(), 0);
    assert!(config.listeners.advertised.is_empty());
    bad(
        &edited(KRAFT_CONTROLLER, &["listeners=CONTROLLER://:9093,PLAINTEXT://:9092"]),
        &[
            "The listeners config must only contain KRaft controller listeners from controller.listener.names when \
           process.roles=controller",
        ],
    );
    bad(
        &edited(KRAFT_CONTROLLER, &["node.id=9"]),
        &[
            "If process.roles contains the 'controller' role, the node id 9 must be included in the set of voters \
           controller.quorum.voters=Set(1)",
        ],
    );
    bad(
        &edited(KRAFT_CONTROLLER, &["listeners=PLAINTEXT://:9093"]),
        &[
            "controller.listener.names must only contain values appearing in the 'listeners' configuration when \
           running the KRaft controller role",
        ],
    );
}

/// S1-17 and S4-07: two listeners on one port.
#[test]
fn a_port_used_twice_is_named() {
    bad(
        &edited(KRAFT_SERVER, &["listeners=PLAINTEXT://:9093,CONTROLLER://:9093"]),
        &[
            "port 9093 is used by two listeners: PLAINTEXT and CONTROLLER",
            "Each listener must have a different port",
        ],
    );
    good(&edited(
        KRAFT_SERVER,
        &[
            "listeners=PLAINTEXT://127.0.0.1:9092,SSL://[::1]:9092,CONTROLLER://:9093",
            "advertised.listeners=PLAINTEXT://localhost:9092",
        ],
    ));
    bad(
        &edited(KRAFT_SERVER, &["listeners=PLAINTEXT://:9092,PLAINTEXT://:9094,CONTROLLER://:9093"]),
        &["Each listener must have a different name"],
    );
}

/// S3-09 to S3-14: two brokers and one controller of the lecture.
#[test]
fn the_lecture_with_two_brokers() {
    let first = edited(
        KRAFT_SERVER,
        &[
            "process.roles=broker, controller",
            "controller.quorum.voters=1@192.168.56.101:9093",
            "num.partitions=2",
            "default.replication.factor=2",
            "num.recovery.threads.per.data.dir=1",
            "offsets.topic.replication.factor=2",
        ],
    )
    .replace("advertised.listeners=", "advertised.listener=");
    let line = line_of(&first, "advertised.listener");
    let loaded = good(&first);
    warns(
        &loaded,
        &format!("unknown key advertised.listener (line {line}): did you mean advertised.listeners?"),
    );
    warns(&loaded, "clients are told the addresses in listeners");
    assert!(loaded.clone().strict().is_err());
    let config = loaded.config;
    assert!(config.roles.broker && config.roles.controller);
    assert_eq!((config.topics.partitions, config.topics.replication_factor), (2, 2));
    assert_eq!(config.listeners.advertised[0].host, None);

    let second = edited(
        KRAFT_BROKER,
        &[
            "node.id=2",
            "controller.quorum.voters=1@192.168.56.101:9093",
            "listeners=PLAINTEXT://:9092",
            "advertised.listeners=PLAINTEXT://192.168.57.101:9092",
        ],
    );
    let config = good(&second).config;
    assert!(!config.roles.controller);
    assert_eq!(config.listeners.bound.len(), 1);
    assert_eq!(config.quorum.voters[0].to_string(), "1@192.168.56.101:9093");
    bad(
        &edited(&second, &["controller.quorum.voters=1@192.168.56.101:9093,2@192.168.57.101:9093"]),
        &[
            "If process.roles contains just the 'broker' role, the node id 2 must not be included in the set of voters \
             controller.quorum.voters=Set(1, 2)",
            "next: write process.roles=broker,controller if",
        ],
    );
    bad(&without(&second, "controller.listener.names"), &["add controller.listener.names=CONTROLLER"]);
    bad(
        &edited(&second, &["listeners=PLAINTEXT://:9092,CONTROLLER://:9093"]),
        &[
            "controller.listener.names must not contain a value appearing in the 'listeners' configuration when running \
           KRaft with just the broker role",
        ],
    );
    bad(
        &without(&second, "controller.quorum.voters"),
        &[
            "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap \
           controllers or controller.quorum.voters must contain a parseable set of controllers.",
        ],
    );
}

/// S4-09 and S4-10.
#[test]
fn durability_settings_are_honoured_and_commented() {
    let loaded = good(&edited(
        KRAFT_SERVER,
        &[
            "log.flush.interval.messages=2",
            "transaction.state.log.replication.factor=3",
            "transaction.state.log.min.isr=3",
        ],
    ));
    assert_eq!(loaded.config.topic_defaults.flush_messages, 2);
    warns(&loaded, "log.flush.interval.messages=2");
    warns(&loaded, "any broker that is down stops transactions");
    let max = good(&edited(KRAFT_SERVER, &["log.flush.interval.messages=9223372036854775807"]));
    assert_eq!(max.config.topic_defaults.flush_messages, i64::MAX);
}

#[test]
fn overrides_and_the_environment_win_in_their_order() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let environment = [pair("num.partitions", "3"), pair("node.id", "1"), pair("log.dirs", "/data")];
    let overrides = [pair("num.partitions", "4")];
    let config = NodeConfig::load_all("f", KRAFT_SERVER.as_bytes(), &environment, &overrides).unwrap().config;
    assert_eq!((config.topics.partitions, config.dirs.data[0].as_str()), (4, "/data"));
    let wrong = NodeConfig::load("f", KRAFT_SERVER.as_bytes(), &[pair("num.partitions", "0")]).unwrap_err();
    assert!(wrong.to_string().starts_with("--override: num.partitions=0 is not allowed"), "{wrong}");
    for (variable, key) in [
        ("KAFKA_LOG_DIRS", Some("log.dirs")),
        ("KAFKA_LISTENER_NAME_A__B_X", Some("listener.name.a_b.x")),
        ("KAFKA_A___B", Some("a-b")),
        ("KAFKA_HEAP_OPTS", None),
        ("KAFKA_CLUSTER_ID", None),
        ("HOME", None),
        ("KAFKA_", None),
    ] {
        assert_eq!(ottla_config::node::environment_key(variable).as_deref(), key, "{variable}");
    }
}

#[test]
fn every_error_is_reported_at_once_in_the_order_of_the_file() {
    let text = edited(KRAFT_SERVER, &["num.partitions=many", "node.id=-1", "log.retention.hours=x"]);
    let problems = load(&text).unwrap_err();
    let keys: Vec<&str> = problems.errors.iter().filter_map(|error| error.key.as_deref()).collect();
    assert_eq!(keys, ["node.id", "num.partitions", "log.retention.hours"]);
}

#[test]
fn units_of_time_have_their_precedence() {
    let retention = |edits: &[&str]| good(&edited(KRAFT_SERVER, edits)).config.topic_defaults.retention_ms;
    assert_eq!(retention(&["log.retention.minutes=2"]), 120_000);
    assert_eq!(retention(&["log.retention.minutes=2", "log.retention.ms=5"]), 5);
    assert_eq!(retention(&["log.retention.hours=-1"]), -1);
    bad(&edited(KRAFT_SERVER, &["log.retention.ms=0"]), &["log.retention.ms must be unlimited (-1) or"]);
    let flush =
        good(&edited(KRAFT_SERVER, &["log.flush.scheduler.interval.ms=7"])).config.topic_defaults.flush_ms;
    assert_eq!(flush, 7);
}

#[test]
fn duplicates_and_unknown_keys_are_warned() {
    let text = format!(
        "{KRAFT_SERVER}\nnum.partitions=9\nmy.own.thing=1\ncontroller.quorum.voters=1@localhost:9093\n"
    );
    let loaded = good(&text);
    assert_eq!(loaded.config.topics.partitions, 9);
    warns(&loaded, "num.partitions is set again in line");
    warns(&loaded, "unknown key my.own.thing");
    warns(
        &good(&edited(KRAFT_SERVER, &["log.cleaner.threads=2"])),
        "log.cleaner.threads is accepted and waits for compaction",
    );
    warns(
        &good(&edited(KRAFT_SERVER, &["queued.max.requests=9"])),
        "queued.max.requests is accepted and has no effect",
    );
    let secret = good(&edited(KRAFT_SERVER, &["my.password=hunter2"]));
    assert!(secret.warnings.iter().all(|warning| !warning.to_string().contains("hunter2")));
}

/// What would be a promise that is not kept: access control, TLS, tiered storage.
#[test]
fn what_is_not_served_is_named_for_the_server_to_refuse() {
    let loaded = good(&edited(
        KRAFT_SERVER,
        &[
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:admin",
            "listeners=SSL://:9092,CONTROLLER://:9093",
            "inter.broker.listener.name=SSL",
            "advertised.listeners=SSL://localhost:9092",
        ],
    ));
    let all = loaded.unserved.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(all.contains("asks for access control"), "{all}");
    assert!(all.contains("the listener SSL uses SSL"), "{all}");
    warns(&loaded, "super.users has no effect yet");
}

#[test]
fn loading_is_cheap() {
    let started = std::time::Instant::now();
    for _ in 0..100 {
        good(KRAFT_SERVER);
    }
    let each = started.elapsed() / 100;
    // Far above what an optimised build needs (well under a millisecond), far below what a user notices.
    assert!(each.as_millis() < 50, "{each:?}");
    println!("one load takes {each:?}");
}
