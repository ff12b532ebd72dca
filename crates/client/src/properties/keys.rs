//! The keys of Kafka's clients: who has them, their types and their defaults (Kafka 4.3's `AdminClientConfig`,
//! `ProducerConfig`, `ConsumerConfig`).

use super::Role;

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A whole number of 32 bits (Kafka's INT) of at least this.
    Int(i32),
    /// A whole number of 32 bits within a range.
    IntRange(i32, i32),
    /// A whole number of 64 bits (Kafka's LONG) of at least this.
    Long(i64),
    /// `true` or `false`.
    Bool,
    /// One of these words, as it stands.
    OneOf(&'static [&'static str]),
    /// One of these words, in whatever case.
    AnyCase(&'static [&'static str]),
    /// Text that is looked at by whoever uses it.
    Text,
}

/// Who has a key: a sum of these.
const A: u8 = 1;
const P: u8 = 2;
const C: u8 = 4;
const ALL: u8 = A | P | C;

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    roles: u8,
    pub(super) kind: Kind,
    /// The default of everyone who has the key, unless [`default_of`] says otherwise; empty: none.
    pub(super) default: &'static str,
}

impl Key {
    pub(super) fn belongs_to(&self, role: Role) -> bool {
        let bit = match role {
            Role::Admin => A,
            Role::Producer => P,
            Role::Consumer => C,
        };
        self.roles & bit != 0
    }
}

const fn key(name: &'static str, roles: u8, kind: Kind, default: &'static str) -> Key {
    Key { name, roles, kind, default }
}

/// Prefixes whose keys are taken as they are: they belong to security and to plug-ins.
pub(super) const PREFIXES: &[&str] = &["ssl.", "sasl.", "security.", "metrics.context.", "config.providers"];

/// The key's row.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

use Kind::*;

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("acks", P, OneOf(&["all", "-1", "0", "1"]), "all"),
    key("allow.auto.create.topics", C, Bool, "true"),
    key("auto.commit.interval.ms", C, Int(0), "5000"),
    key("auto.include.jmx.reporter", ALL, Bool, "true"),
    key("auto.offset.reset", C, Text, "latest"),
    key("batch.size", P, Int(0), "16384"),
    key("bootstrap.controllers", A, Text, ""),
    key("bootstrap.servers", ALL, Text, ""),
    key("buffer.memory", P, Long(0), "33554432"),
    key("check.crcs", C, Bool, "true"),
    key("client.dns.lookup", ALL, OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]), "use_all_dns_ips"),
    key("client.id", ALL, Text, ""),
    key("client.rack", C, Text, ""),
    key("compression.gzip.level", P, IntRange(-1, 9), "-1"),
    key("compression.lz4.level", P, IntRange(1, 17), "9"),
    key("compression.type", P, OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]), "none"),
    key("compression.zstd.level", P, IntRange(-131_072, 22), "3"),
    key("connections.max.idle.ms", ALL, Long(i64::MIN), "540000"),
    key("default.api.timeout.ms", A | C, Int(0), "60000"),
    key("delivery.timeout.ms", P, Int(0), "120000"),
    key("enable.auto.commit", C, Bool, "true"),
    key("enable.idempotence", P, Bool, "true"),
    key("enable.metrics.push", ALL, Bool, "false"),
    key("exclude.internal.topics", C, Bool, "true"),
    key("fetch.max.bytes", C, Int(0), "52428800"),
    key("fetch.max.wait.ms", C, Int(0), "500"),
    key("fetch.min.bytes", C, Int(0), "1"),
    key("group.id", C, Text, ""),
    key("group.instance.id", C, Text, ""),
    key("group.protocol", C, AnyCase(&["CLASSIC", "CONSUMER"]), "classic"),
    key("group.remote.assignor", C, Text, ""),
    key("heartbeat.interval.ms", C, Int(i32::MIN), "3000"),
    key("interceptor.classes", P | C, Text, ""),
    key("internal.throw.on.fetch.stable.offset.unsupported", C, Bool, "false"),
    key("isolation.level", C, OneOf(&["read_committed", "read_uncommitted"]), "read_uncommitted"),
    key("key.deserializer", C, Text, ""),
    key("key.serializer", P, Text, ""),
    key("linger.ms", P, Long(0), "5"),
    key("max.block.ms", P, Long(0), "60000"),
    key("max.in.flight.requests.per.connection", P, Int(1), "5"),
    key("max.partition.fetch.bytes", C, Int(0), "1048576"),
    key("max.poll.interval.ms", C, Int(1), "300000"),
    key("max.poll.records", C, Int(1), "500"),
    key("max.request.size", P, Int(0), "1048576"),
    key("metadata.max.age.ms", ALL, Long(0), "300000"),
    key("metadata.max.idle.ms", P, Long(5000), "300000"),
    key("metadata.recovery.rebootstrap.trigger.ms", ALL, Long(0), "300000"),
    key("metadata.recovery.strategy", ALL, AnyCase(&["NONE", "REBOOTSTRAP"]), "rebootstrap"),
    key("metric.reporters", ALL, Text, ""),
    key("metrics.num.samples", ALL, Int(1), "2"),
    key("metrics.recording.level", ALL, OneOf(&["INFO", "DEBUG", "TRACE"]), "INFO"),
    key("metrics.sample.window.ms", ALL, Long(0), "30000"),
    key("partition.assignment.strategy", C, Text, "range,cooperative-sticky"),
    key("partitioner.adaptive.partitioning.enable", P, Bool, "true"),
    key("partitioner.availability.timeout.ms", P, Long(0), "0"),
    key("partitioner.class", P, Text, ""),
    key("partitioner.ignore.keys", P, Bool, "false"),
    key("receive.buffer.bytes", ALL, Int(-1), "65536"),
    key("reconnect.backoff.max.ms", ALL, Long(0), "1000"),
    key("reconnect.backoff.ms", ALL, Long(0), "50"),
    key("request.timeout.ms", ALL, Int(0), "30000"),
    key("retries", A | P, Int(0), "2147483647"),
    key("retry.backoff.max.ms", ALL, Long(0), "1000"),
    key("retry.backoff.ms", ALL, Long(0), "100"),
    key("security.protocol", ALL, AnyCase(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), "PLAINTEXT"),
    key("send.buffer.bytes", ALL, Int(-1), "131072"),
    key("session.timeout.ms", C, Int(i32::MIN), "45000"),
    key("share.acknowledgement.mode", C, Text, "implicit"),
    key("share.acquire.mode", C, Text, "batch_optimized"),
    key("socket.connection.setup.timeout.max.ms", ALL, Long(0), "30000"),
    key("socket.connection.setup.timeout.ms", ALL, Long(0), "10000"),
    key("transaction.timeout.ms", P, Int(i32::MIN), "60000"),
    key("transaction.two.phase.commit.enable", P, Bool, "false"),
    key("transactional.id", P, Text, ""),
    key("value.deserializer", C, Text, ""),
    key("value.serializer", P, Text, ""),
];
