//! Which files Apache Kafka takes and which it refuses, and with which words, against ours. Needs a JDK, so it only
//! runs when asked for:
//!
//! `KAFKA_LIBS=<directory of Kafka's jars> cargo test -p ottla-config --test files_vs_jar -- --ignored`

use std::io::Write as _;
use std::process::{Command, Stdio};

use ottla_config::NodeConfig;

const STOCK: [(&str, &str); 6] = [
    ("server", include_str!("../../../config/server.properties")),
    ("broker", include_str!("../../../config/broker.properties")),
    ("controller", include_str!("../../../config/controller.properties")),
    ("kraft/server", include_str!("../../../config/kraft/server.properties")),
    ("kraft/broker", include_str!("../../../config/kraft/broker.properties")),
    ("kraft/controller", include_str!("../../../config/kraft/controller.properties")),
];

/// Edits of a stock file, separated by `;`. `-key` takes a key away.
const EDITS: &str = "\
kraft/server |
kraft/server | node.id=x
kraft/server | node.id=-1
kraft/server | -node.id
kraft/server | -node.id;broker.id=1
kraft/server | broker.id=2
kraft/server | -process.roles
kraft/server | process.roles=
kraft/server | process.roles=broker, controller
kraft/server | process.roles=broker,watcher
kraft/server | process.roles=broker,,controller
kraft/server | -controller.listener.names
kraft/server | controller.listener.names=
kraft/server | controller.listener.names=NOPE
kraft/server | controller.listener.names=CONTROLLER,NOPE
kraft/server | -controller.quorum.voters
kraft/server | controller.quorum.voters=
kraft/server | controller.quorum.voters=2@localhost:9093
kraft/server | controller.quorum.voters=1@localhost
kraft/server | controller.quorum.voters=localhost:9093
kraft/server | controller.quorum.voters=x@localhost:9093
kraft/server | controller.quorum.voters=1@localhost:9093, 2@b:9093 , 3@c:9093
kraft/server | controller.quorum.voters=1@lo calhost:9093
kraft/server | controller.quorum.voters=1@[::1]:9093
kraft/server | controller.quorum.bootstrap.servers=localhost
kraft/server | controller.quorum.bootstrap.servers=localhost:9093,b:1
kraft/server | listeners=
kraft/server | listeners=PLAINTEXT
kraft/server | listeners=PLAINTEXT://:9092
kraft/server | listeners=CONTROLLER://:9093
kraft/server | listeners=PLAINTEXT://:9092,CONTROLLER://:9092
kraft/server | listeners=PLAINTEXT://127.0.0.1:9092,SSL://[::1]:9092,CONTROLLER://:9093
kraft/server | listeners=PLAINTEXT://127.0.0.1:9092,SSL://127.0.0.2:9092,CONTROLLER://:9093
kraft/server | listeners=PLAINTEXT://127.0.0.1:9092,SSL://[::1]:9092,SASL_SSL://[::2]:9092,CONTROLLER://:9093
kraft/server | listeners=PLAINTEXT://:9092,PLAINTEXT://:9094,CONTROLLER://:9093
kraft/server | listeners=plaintext://:9092,controller://:9093
kraft/server | listeners=OTHER://:9092,CONTROLLER://:9093
kraft/server | listeners=PLAINTEXT://:0,CONTROLLER://:0
kraft/server | listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093;-advertised.listeners
kraft/server | listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093
kraft/server | -listeners
kraft/server | advertised.listeners=PLAINTEXT://0.0.0.0:9092
kraft/server | advertised.listeners=
kraft/server | advertised.listeners=SSL://localhost:9092
kraft/server | advertised.listeners=CONTROLLER://localhost:9093
kraft/server | advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://0.0.0.0:9093
kraft/server | -advertised.listeners
kraft/server | listener.security.protocol.map=PLAINTEXT:PLAINTEXT
kraft/server | listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:NONE
kraft/server | listener.security.protocol.map=PLAINTEXT:plaintext,CONTROLLER:PLAINTEXT
kraft/server | -listener.security.protocol.map
kraft/server | -listener.security.protocol.map;listeners=SSL://:9092,CONTROLLER://:9093
kraft/server | inter.broker.listener.name=SSL
kraft/server | inter.broker.listener.name=NOPE
kraft/server | inter.broker.listener.name=CONTROLLER
kraft/server | inter.broker.listener.name=plaintext
kraft/server | security.inter.broker.protocol=PLAINTEXT
kraft/server | -inter.broker.listener.name;security.inter.broker.protocol=SSL
kraft/server | -inter.broker.listener.name;security.inter.broker.protocol=TLS
kraft/server | early.start.listeners=PLAINTEXT
kraft/server | early.start.listeners=NOPE
kraft/server | log.dirs=
kraft/server | log.dirs=/a,/b,/a
kraft/server | log.dirs=/a,,/b
kraft/server | -log.dirs;log.dir=/a
kraft/server | cordoned.log.dirs=/nowhere
kraft/server | cordoned.log.dirs=*
kraft/server | cordoned.log.dirs=*,/tmp/kraft-combined-logs
kraft/server | log.retention.hours=0
kraft/server | log.retention.hours=-5
kraft/server | log.retention.minutes=0
kraft/server | log.retention.ms=0
kraft/server | log.roll.ms=0
kraft/server | log.roll.hours=0
kraft/server | log.roll.jitter.ms=-1
kraft/server | log.cleaner.dedupe.buffer.size=1000
kraft/server | log.cleaner.threads=200
kraft/server | log.segment.bytes=14
kraft/server | log.cleanup.policy=keep
kraft/server | log.cleanup.policy=
kraft/server | log.message.timestamp.type=Never
kraft/server | replica.fetch.wait.max.ms=40000
kraft/server | replica.lag.time.max.ms=100
kraft/server | queued.max.request.bytes=5
kraft/server | max.connections.per.ip=0
kraft/server | max.connections.per.ip=0;max.connections.per.ip.overrides=127.0.0.1:5
kraft/server | max.connections.per.ip.overrides=h o:5
kraft/server | connections.max.idle.ms=50
kraft/server | connections.max.idle.ms=-1
kraft/server | socket.request.max.bytes=0
kraft/server | offsets.topic.replication.factor=40000
kraft/server | offsets.topic.replication.factor=0
kraft/server | offsets.topic.num.partitions=0
kraft/server | offsets.topic.compression.codec=9
kraft/server | group.coordinator.rebalance.protocols=consumer
kraft/server | group.coordinator.rebalance.protocols=classic,nothing
kraft/server | group.consumer.heartbeat.interval.ms=60000
kraft/server | group.consumer.heartbeat.interval.ms=1
kraft/server | group.consumer.session.timeout.ms=1
kraft/server | group.consumer.max.session.timeout.ms=1
kraft/server | group.consumer.min.heartbeat.interval.ms=50000;group.consumer.max.heartbeat.interval.ms=55000;group.consumer.heartbeat.interval.ms=50000
kraft/server | group.consumer.assignment.interval.ms=20000
kraft/server | group.consumer.migration.policy=sideways
kraft/server | group.consumer.migration.policy=Upgrade
kraft/server | group.share.assignors=a,b
kraft/server | group.share.delivery.count.limit=99
kraft/server | group.share.max.delivery.count.limit=5;group.share.delivery.count.limit=6
kraft/server | group.share.partition.max.record.locks=9000
kraft/server | group.share.record.lock.duration.ms=1000
kraft/server | group.share.max.size=500;group.share.max.share.sessions=400
kraft/server | group.streams.num.standby.replicas=3
kraft/server | group.streams.session.timeout.ms=1
kraft/server | compression.gzip.level=0
kraft/server | compression.lz4.level=18
kraft/server | compression.zstd.level=23
kraft/server | compression.type=none
kraft/server | auto.create.topics.enable=yes
kraft/server | auto.create.topics.enable= FALSE
kraft/server | num.partitions=1.5
kraft/server | num.partitions=
kraft/server | log.cleaner.min.cleanable.ratio=2
kraft/server | log.cleaner.min.cleanable.ratio=half
kraft/server | ssl.client.auth=maybe
kraft/server | sasl.oauthbearer.assertion.algorithm=none
kraft/server | sasl.oauthbearer.assertion.algorithm=es256
kraft/server | controller.quorum.voters=1@localhost:99999
kraft/server | controller.quorum.voters=1@:9093
kraft/server | controller.quorum.voters=1@localhost:9093,1@localhost:9094
kraft/server | listeners=PLAINTEXT://:99999,CONTROLLER://:9093
kraft/server | listeners=PLAINTEXT://:-1,CONTROLLER://:9093
kraft/server | advertised.listeners=PLAINTEXT://:9092
kraft/server | advertised.listeners=PLAINTEXT://localhost:0
kraft/server | delegation.token.max.lifetime.ms=0
kraft/server | quota.window.num=0
kraft/server | replica.socket.timeout.ms=400
kraft/server | log.cleaner.min.compaction.lag.ms=10;log.cleaner.max.compaction.lag.ms=5
kraft/server | sasl.login.refresh.buffer.seconds=99999
kraft/server | remote.log.storage.manager.impl.prefix=
kraft/server | metadata.log.segment.bytes=5
kraft/server | fetch.max.bytes=10
kraft/server | broker.heartbeat.interval.ms=8000
kraft/server | controller.quorum.auto.join.enable=true
kraft/server | listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT;sasl.mechanism.inter.broker.protocol=PLAIN
kraft/server | listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT;sasl.mechanism.inter.broker.protocol=PLAIN;listener.name.plaintext.sasl.enabled.mechanisms=PLAIN
kraft/server | min.insync.replicas=0
kraft/server | message.max.bytes=-1
kraft/server | zookeeper.connect=localhost:2181
server |
server | -controller.quorum.bootstrap.servers
broker |
broker | controller.quorum.auto.join.enable=true
broker | listeners=PLAINTEXT://:9092,CONTROLLER://:9093
broker | controller.listener.names=OTHER
broker | -listener.security.protocol.map
broker | -listener.security.protocol.map;controller.listener.names=SSL
broker | inter.broker.listener.name=NOPE
kraft/broker |
kraft/broker | node.id=1
kraft/broker | -controller.quorum.voters
kraft/broker | -controller.listener.names
controller |
kraft/controller |
kraft/controller | node.id=2
kraft/controller | listeners=CONTROLLER://:9093,PLAINTEXT://:9092
kraft/controller | listeners=PLAINTEXT://:9092
kraft/controller | inter.broker.listener.name=CONTROLLER
kraft/controller | inter.broker.listener.name=PLAINTEXT
kraft/controller | -listeners
kraft/controller | advertised.listeners=PLAINTEXT://localhost:9092
";

fn edited(stock: &str, edits: &str) -> String {
    let mut lines: Vec<String> =
        stock.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect();
    for edit in edits.split(';').filter(|edit| !edit.is_empty()) {
        let (gone, edit) = edit.strip_prefix('-').map_or((false, edit), |key| (true, key));
        let key = edit.split('=').next().expect("split gives at least one part");
        lines.retain(|line| line.split_once('=').is_none_or(|(name, _)| name != key));
        if !gone {
            lines.push(edit.to_owned());
        }
    }
    lines.join("\n")
}

/// Where our words differ from Kafka's by decision, or where we refuse at once what fails in Kafka later.
fn deliberate(edits: &str) -> Option<&'static str> {
    match edits {
        "controller.quorum.voters=1@localhost:99999" => Some(
            "Failed to parse host port from entry 1@localhost:99999 for the configuration controller.quorum.voters. \
             Each entry should be in the form `{id}@{host}:{port}`.",
        ),
        "controller.quorum.voters=1@:9093" => {
            Some("the voter 1@:9093 has no host that other nodes could reach")
        }
        "listeners=PLAINTEXT://:99999,CONTROLLER://:9093" => {
            Some("listeners: 'PLAINTEXT://:99999' is no NAME://host:port")
        }
        "listeners=PLAINTEXT://:-1,CONTROLLER://:9093" => {
            Some("listeners: 'PLAINTEXT://:-1' is no NAME://host:port")
        }
        "log.cleaner.min.compaction.lag.ms=10;log.cleaner.max.compaction.lag.ms=5" => {
            Some("conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)")
        }
        // Kafka reads the synonym that it derived, and names a key that is not in the file.
        "node.id=x" => Some("Invalid value x for configuration node.id: Not a number of type INT"),
        // Kafka first loads the classes, of which there are none here.
        "group.share.assignors=a,b" => {
            Some("group.share.assignors must contain exactly one assignor, but found 2")
        }
        _ => None,
    }
}

#[test]
#[ignore = "needs a JDK and Apache Kafka's jars"]
fn files_are_judged_as_kafka_judges_them() {
    let libs = std::env::var("KAFKA_LIBS").expect("set KAFKA_LIBS to the directory of Apache Kafka's jars");
    let cases: Vec<(String, String)> = EDITS
        .lines()
        .map(|line| {
            let (stock, edits) = line.split_once('|').expect("a line names its stock file");
            let text = STOCK.iter().find(|(name, _)| *name == stock.trim()).expect("the stock file exists").1;
            (line.to_owned(), edited(text, edits.trim_start()))
        })
        .collect();
    let mut input = Vec::new();
    for (_, text) in &cases {
        input.extend_from_slice(format!("{}\n{text}", text.len()).as_bytes());
    }
    let source = format!("{}/tests/java/FileJudge.java", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("java")
        .args(["-cp", &format!("{libs}/*"), &source])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("java starts");
    child.stdin.take().expect("stdin is piped").write_all(&input).expect("java reads");
    let output = child.wait_with_output().expect("java ends");
    assert!(output.status.success(), "the judge ends well");
    let output = String::from_utf8(output.stdout).expect("java writes UTF-8");
    let verdicts: Vec<&str> =
        output.lines().filter(|line| !line.contains(" WARN ") && !line.contains(" ERROR ")).collect();
    assert_eq!(verdicts.len(), cases.len(), "every file is judged");
    let mut differences = Vec::new();
    for ((case, text), theirs) in cases.iter().zip(verdicts) {
        let ours = NodeConfig::load("f", text.as_bytes(), &[]).map(|_| ());
        let edits = case.split_once("| ").map_or("", |(_, edits)| edits);
        let theirs = theirs.strip_prefix("requirement failed: ").unwrap_or(theirs);
        let theirs = deliberate(edits).unwrap_or(theirs);
        let agree = match &ours {
            Ok(()) => theirs == "ok",
            Err(problems) => problems
                .errors
                .iter()
                .any(|error| error.message == theirs || error.kafka.as_deref() == Some(theirs)),
        };
        if !agree {
            let ours = ours.map_or_else(|problems| problems.to_string(), |()| "ok".to_owned());
            differences.push(format!("{case}\n  kafka: {theirs}\n  ours:  {ours}"));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
