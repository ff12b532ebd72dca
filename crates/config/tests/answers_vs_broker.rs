//! What we answer to AlterConfigs, DescribeConfigs and CreateTopics against what a running Apache Kafka answers:
//! values, sources, synonyms, flags, and the words of every refusal. Needs a JDK, so it only runs when asked for:
//!
//! `KAFKA_LIBS=<directory of Kafka's jars> cargo test -p ottla-config --test answers_vs_broker -- --ignored`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ottla_config::alter::{Change, Operation, apply, validate};
use ottla_config::describe::{Described, Effective, describe_client_metrics, effective_topic};
use ottla_config::{BrokerConfigs, NodeConfig, Overrides, Refusal, Resource};

/// Lines of the file that are not defaults, of every kind that DescribeConfigs treats in a way of its own.
const FILE: &str = "\
log.retention.hours=100
log.roll.ms=3600000
log.flush.interval.messages=7
log.segment.bytes=1073741824
log.cleaner.min.cleanable.ratio=0.50
num.io.threads=4
offsets.topic.replication.factor=1
log.initial.task.delay.ms=20000
my.own.key=hello
listener.name.plaintext.max.connections=500
ssl.keystore.password=secret
log.cleanup.policy=delete , delete
metric.reporters=
group.consumer.heartbeat.interval.ms=6000
";

/// What is asked, in order. The answers depend on what was changed before.
const QUESTIONS: &str = "\
describe BROKER 1
create t segment.bytes=2000000;retention.ms=5000
create plain
create bad1 no.such.key=1
create bad2 retention.ms=-2
create bad3 cleanup.policy=delete,bogus
create bad4 min.compaction.lag.ms=10;max.compaction.lag.ms=5
create bad5 segment.bytes=1000
create bad6 compression.type=lzma
create bad7 remote.storage.enable=true
create bad8 max.message.bytes=x
create bad9 compression.gzip.level=10
create bad10 leader.replication.throttled.replicas=1
create bad11 preallocate=maybe
create bad12 min.cleanable.dirty.ratio=1.5
create bad13 segment.ms=99999999999999999999
describe TOPIC t
describe TOPIC plain
alter TOPIC t APPEND cleanup.policy compact
alter TOPIC t APPEND retention.ms 1
alter TOPIC t SUBTRACT cleanup.policy delete
alter TOPIC t SET min.cleanable.dirty.ratio 1
alter TOPIC t SET compression.type zstd
alter TOPIC t SET no.such.key 1
alter TOPIC t SET internal.segment.bytes 3000000
alter TOPIC t DELETE retention.ms
describe TOPIC t
alter BROKER 1 SET log.retention.ms 86400000
alter BROKER  SET log.retention.ms 43200000
alter BROKER  SET log.cleanup.policy compact
alter BROKER 1 SET num.io.threads 9
alter BROKER 1 SET num.io.threads 1
alter BROKER 1 SET num.io.threads 6
alter BROKER 1 SET num.io.threads 0
alter BROKER 1 SET node.id 5
alter BROKER 1 SET num.partitions 5
alter BROKER 1 SET ssl.keystore.location /x
alter BROKER  SET listener.security.protocol.map PLAINTEXT:PLAINTEXT
alter BROKER 1 SET log.segment.bytes 5
alter BROKER 1 SET log.segment.bytes abc
alter BROKER 1 SET my.other.key 5
alter BROKER 1 APPEND num.io.threads 5
alter BROKER 1 APPEND no.such.list 5
alter BROKER 1 APPEND log.cleanup.policy delete
alter BROKER  SET leader.replication.throttled.rate 1000
alter BROKER 1 SET leader.replication.throttled.rate -1
alter BROKER  SET max.connections 900
alter BROKER  SET listener.name.plaintext.max.connections 800
alter BROKER  SET listener.name.plaintext.ssl.keystore.type JKS
alter BROKER 1 SET log.cleaner.threads 3
alter BROKER 1 SET log.local.retention.ms -1
alter BROKER 1 SET log.flush.interval.ms 1000
alter BROKER 1 SET unclean.leader.election.enable true
alter BROKER 1 SET background.threads 20
alter BROKER 1 SET log.roll.ms 0
alter BROKER 1 SET message.max.bytes -5
alter BROKER 1 DELETE log.retention.ms
alter BROKER 1 SET log.retention.hours 3
alter BROKER 1 SET cordoned.log.dirs /nowhere
alter BROKER 1 SET max.connections.per.ip 0
alter BROKER 1 SET compression.type none
alter BROKER 1 SET listeners PLAINTEXT://127.0.0.1:1,PLAINTEXT://127.0.0.1:2
alter BROKER 1 SET producer.id.expiration.ms 5
alter BROKER 1 SET sasl.jaas.config secret
alter BROKER 1 SET listener.name.plaintext.ssl.keystore.password hush
alter BROKER  SET group.consumer.assignment.interval.ms 99999
alter BROKER  SET group.share.assignment.interval.ms 500
alter BROKER  SET log.index.interval.bytes  12 
alter BROKER  SET log.preallocate TRUE
alter BROKER 1 SET num.network.threads 40
alter BROKER 1 SET num.network.threads 5
alter BROKER 1 SET log.message.timestamp.type logappendtime
describe BROKER 1
describe BROKER 
describe TOPIC t
describe TOPIC plain
create after
alter GROUP g SET consumer.session.timeout.ms 50000
alter GROUP g SET consumer.session.timeout.ms 1
alter GROUP g SET consumer.heartbeat.interval.ms 20000
alter GROUP g SET share.auto.offset.reset never
alter GROUP g SET share.auto.offset.reset by_duration:PT1H
alter GROUP g SET no.such.key 1
alter GROUP g SET share.delivery.count.limit 1
alter GROUP g SET streams.num.standby.replicas 3
alter GROUP g APPEND share.isolation.level read_committed
describe GROUP g
alter CLIENT_METRICS m SET interval.ms 5
alter CLIENT_METRICS m SET interval.ms 5000
alter CLIENT_METRICS m SET match client_id
alter CLIENT_METRICS m SET match client_id=a.*
alter CLIENT_METRICS m APPEND metrics org.apache.
alter CLIENT_METRICS m SET nothing 5000
describe CLIENT_METRICS m
";

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .port()
}

fn java(libs: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-cp", libs]);
    command
}

/// Starts Apache Kafka on a fresh directory; gives its client port and the file it was started with.
fn start(libs: &str, dir: &Path) -> (Node, u16, String) {
    let (port, controller) = (free_port(), free_port());
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\nlog.dirs={}\n{FILE}",
        dir.join("data").display()
    );
    let file = dir.join("server.properties");
    std::fs::write(&file, &text).expect("the directory is writable");
    let file = file.to_str().expect("the path is UTF-8");
    let quiet = || (Stdio::null(), Stdio::null());
    let format = ["kafka.tools.StorageTool", "format", "-t", "L5PYZLFDQZGPtCwp-Yj2lg", "-c", file];
    let status = java(libs).args(format).stdout(quiet().0).stderr(quiet().1).status().expect("java starts");
    assert!(status.success(), "Kafka formats the directory");
    let child = java(libs)
        .args(["kafka.Kafka", file])
        .stdout(quiet().0)
        .stderr(quiet().1)
        .spawn()
        .expect("java starts");
    let node = Node(child);
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "Kafka listens");
        std::thread::sleep(Duration::from_millis(100));
    }
    (node, port, text)
}

fn ask(libs: &str, port: u16, questions: &str) -> Vec<String> {
    let source = format!("{}/tests/java/AdminJudge.java", env!("CARGO_MANIFEST_DIR"));
    let mut child = java(libs)
        .args([&source, &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("java starts");
    child.stdin.take().expect("stdin is piped").write_all(questions.as_bytes()).expect("java reads");
    let output = child.wait_with_output().expect("java ends");
    assert!(output.status.success(), "the judge ends well");
    let text = String::from_utf8(output.stdout).expect("java writes UTF-8");
    let mut answers: Vec<String> = text.split("\n.\n").map(str::to_owned).collect();
    answers.pop();
    answers
}

/// Our side: the state that the questions change.
struct Ours {
    configs: BrokerConfigs,
    cluster: Overrides,
    broker: Overrides,
    others: BTreeMap<(Resource2, String), Overrides>,
}

type Resource2 = i8;

impl Ours {
    fn answer(&mut self, question: &str) -> String {
        let fields: Vec<&str> = question.splitn(6, '\t').collect();
        let result = match fields[0] {
            "describe" => Ok(self.describe(fields[1], fields[2])),
            "create" => self.create(fields[1], fields[2]),
            _ => self.alter(&fields).map(|()| "ok".to_owned()),
        };
        result.unwrap_or_else(|refusal| match refusal {
            Refusal::Config(message) => format!("InvalidConfigurationException\t{message}"),
            Refusal::Request(message) => format!("InvalidRequestException\t{message}"),
        })
    }

    fn describe(&self, kind: &str, name: &str) -> String {
        let own = self.others.get(&(resource(kind).wire(), name.to_owned())).cloned().unwrap_or_default();
        let described = match (kind, name) {
            ("TOPIC", _) => self.configs.describe_topic(&own),
            ("GROUP", _) => self.configs.describe_group(&own),
            ("CLIENT_METRICS", _) => describe_client_metrics(&own),
            (_, "") => self.configs.describe_cluster(),
            _ => self.configs.describe_broker(),
        };
        lines(described.iter().map(described_line))
    }

    fn create(&mut self, name: &str, pairs: &str) -> Result<String, Refusal> {
        let own: Overrides = pairs
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        validate(self.configs.file(), Resource::Topic, name, &Overrides::new(), &own)?;
        let effective = effective_topic(self.configs.file(), &own, &self.broker, &self.cluster);
        self.others.insert((Resource::Topic.wire(), name.to_owned()), own);
        Ok(lines(effective.iter().map(effective_line)))
    }

    fn alter(&mut self, fields: &[&str]) -> Result<(), Refusal> {
        let (kind, name) = (resource(fields[1]), fields[2]);
        let operation = match fields[3] {
            "SET" => Operation::Set,
            "DELETE" => Operation::Delete,
            "APPEND" => Operation::Append,
            _ => Operation::Subtract,
        };
        let change = Change { name: fields[4].to_owned(), operation, value: Some(fields[5].to_owned()) };
        if kind == Resource::Broker {
            let per_broker = !name.is_empty();
            let level = if per_broker { &self.broker } else { &self.cluster };
            let after = apply(kind, level, &[change])?;
            self.configs.validate(&after, per_broker)?;
            if per_broker {
                self.broker = after;
            } else {
                self.cluster = after;
            }
            let problems = self.configs.set_dynamic(&self.cluster, &self.broker);
            assert!(problems.is_empty(), "{problems:?}");
            return Ok(());
        }
        let key = (kind.wire(), name.to_owned());
        let before = self.others.get(&key).cloned().unwrap_or_default();
        let after = apply(kind, &before, &[change])?;
        validate(self.configs.file(), kind, name, &before, &after)?;
        self.others.insert(key, after);
        Ok(())
    }
}

fn resource(kind: &str) -> Resource {
    match kind {
        "TOPIC" => Resource::Topic,
        "BROKER" => Resource::Broker,
        "GROUP" => Resource::Group,
        _ => Resource::ClientMetrics,
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn or_null(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

fn described_line(described: &Described) -> String {
    const TYPES: [&str; 10] =
        ["UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"];
    let synonyms: Vec<String> = described
        .synonyms
        .iter()
        .map(|synonym| {
            format!("{}={}@{}", synonym.name, or_null(synonym.value.as_ref()), synonym.source.name())
        })
        .collect();
    [
        &described.name,
        or_null(described.value.as_ref()),
        described.source.name(),
        &described.is_sensitive.to_string(),
        &described.read_only.to_string(),
        TYPES[usize::try_from(described.kind).expect("types are not negative")],
        &synonyms.join(" "),
    ]
    .join("\t")
}

/// The answer of CreateTopics has no types and no synonyms.
fn effective_line(effective: &Effective) -> String {
    let sensitive = effective.is_sensitive.to_string();
    let value = or_null(effective.value.as_ref());
    [effective.name, value, effective.source.name(), &sensitive, "false", "UNKNOWN", ""].join("\t")
}

/// Kafka's message without what its code wraps around it by accident: the prefix of Scala's `require`, and a
/// cause that was passed where a value belongs.
fn unwrapped(answer: &str) -> String {
    let answer = answer.replace("\trequirement failed: ", "\t");
    let wrapped = answer
        .split_once("Invalid value org.apache.kafka.common.config.ConfigException: ")
        .and_then(|(class, rest)| {
            Some((class, rest.strip_suffix(" for configuration Invalid dynamic configuration")?))
        });
    match wrapped {
        Some((class, message)) => format!("{class}Invalid dynamic configuration: {message}"),
        None => answer,
    }
}

#[test]
#[ignore = "needs a JDK and Apache Kafka's jars"]
fn answers_are_kafkas() {
    let libs = std::env::var("KAFKA_LIBS").expect("set KAFKA_LIBS to the directory of Apache Kafka's jars");
    let libs = format!("{libs}/*");
    let dir = std::env::temp_dir().join(format!("ottla-config-judge-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the temporary directory is writable");
    let (node, port, text) = start(&libs, &dir);
    // Blanks separate the fields above; an empty field is two of them.
    let questions: Vec<String> = QUESTIONS
        .lines()
        .map(|line| {
            let fields = line.splitn(if line.starts_with("create") { 3 } else { 6 }, ' ').collect::<Vec<_>>();
            let wanted = if fields[0] == "alter" { 6 } else { 3 };
            let missing = wanted - fields.len();
            format!("{}{}", fields.join("\t"), "\t".repeat(missing))
        })
        .collect();
    let theirs = ask(&libs, port, &format!("{}\n", questions.join("\n")));
    drop(node);
    std::fs::remove_dir_all(&dir).expect("the directory can be removed");
    let file = NodeConfig::load("server.properties", text.as_bytes(), &[]).expect("the file is good").config;
    let mut ours = Ours {
        configs: BrokerConfigs::new(file),
        // Kafka writes this one itself when it forms a cluster whose leader election remembers eligible replicas.
        cluster: Overrides::from([("min.insync.replicas".to_owned(), "1".to_owned())]),
        broker: Overrides::new(),
        others: BTreeMap::new(),
    };
    assert!(ours.configs.set_dynamic(&ours.cluster, &ours.broker).is_empty());
    assert_eq!(theirs.len(), questions.len(), "every question is answered");
    let mut differences = Vec::new();
    for (question, theirs) in questions.iter().zip(&theirs) {
        let answer = ours.answer(question);
        let theirs = unwrapped(theirs);
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (answer.lines().collect(), theirs.lines().collect());
        let question = question.replace('\t', " ");
        differences.extend(
            theirs
                .iter()
                .filter(|line| !ours.contains(line))
                .map(|line| format!("{question}\n    kafka: {line}")),
        );
        differences.extend(
            ours.iter()
                .filter(|line| !theirs.contains(line))
                .map(|line| format!("{question}\n    ours:  {line}")),
        );
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
