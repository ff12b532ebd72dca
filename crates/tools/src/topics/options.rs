//! The options of `kafka-topics`, and which go together.

use std::io::Write;

use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{Out, Stop};

const ABOUT: &str = "This tool helps to create, delete, describe, or change a topic.";
const OTHER_TOOL: &str = " (To alter topic configurations, the kafka-configs tool can be used.)";
/// The topic configurations that users may set, as the help lists them.
pub(crate) const CONFIGS: [&str; 33] = [
    "cleanup.policy",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
    "unclean.leader.election.enable",
];
const ACTIONS: [&str; 5] = ["alter", "create", "describe", "list", "delete"];
const REPORTS: [&str; 4] = [
    "under-replicated-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "unavailable-partitions",
];

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED: The Kafka server to connect to.",
        "server to connect to",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "command config property file",
        Kind::Text,
    );
    p.flag("list", "List all available topics.");
    p.flag("create", "Create a new topic.");
    p.flag("delete", "Delete a topic.");
    p.flag("alter", &format!("Alter the number of partitions and replica assignment.{OTHER_TOOL}"));
    p.flag("describe", "List details for the given topics.");
    p.takes(
        "topic",
        "The topic to create, alter, describe or delete. It also accepts a regular expression, except for --create option.",
        "topic",
        Kind::Text,
    );
    p.takes("topic-id", "The topic-id to describe.", "topic-id", Kind::Text);
    let configs: Vec<String> = CONFIGS.iter().map(|name| format!("\t{name}")).collect();
    p.takes(
        "config",
        &format!(
            "A topic configuration override for the topic being created. The following is a list of valid configurations: \n{}\nSee the Kafka documentation for full details on the topic configs. It is supported only in combination with --create.{OTHER_TOOL}",
            configs.join("\n")
        ),
        "name=value",
        Kind::Text,
    );
    p.takes(
        "delete-config",
        "This option is no longer supported and has been deprecated since 4.0",
        "name",
        Kind::Text,
    );
    p.takes(
        "partitions",
        "The number of partitions for the topic being created or altered. If not supplied with --create, the topic uses the cluster default. (WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the messages will be affected).",
        "# of partitions",
        Kind::Integer,
    );
    p.takes(
        "replication-factor",
        "The replication factor for each partition in the topic being created. If not supplied, the topic uses the cluster default.",
        "replication factor",
        Kind::Integer,
    );
    p.takes(
        "replica-assignment",
        "A list of manual partition-to-broker assignments for the topic being created or altered.",
        "broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ...",
        Kind::Text,
    );
    report_options(&mut p);
    p.flag(
        "if-exists",
        "If set when altering or deleting or describing topics, the action will only execute if the topic exists.",
    );
    p.flag(
        "if-not-exists",
        "If set when creating topics, the create request will not fail if the topic already exists, but the request will still be sent.",
    );
    p.flag(
        "exclude-internal",
        "Exclude internal topics when listing or describing topics. By default, the internal topics are included.",
    );
    p.takes(
        "partition-size-limit-per-response",
        "The maximum partition size to be included in one DescribeTopicPartitions response.",
        "maximum number of partitions per response",
        Kind::Integer,
    );
    p
}

fn report_options(p: &mut Parser) {
    p.flag(
        "under-replicated-partitions",
        "If set when describing topics, only show under-replicated partitions.",
    );
    p.flag(
        "unavailable-partitions",
        "If set when describing topics, only show partitions whose leader is not available.",
    );
    p.flag(
        "under-min-isr-partitions",
        "If set when describing topics, only show partitions whose isr count is less than the configured minimum.",
    );
    p.flag(
        "at-min-isr-partitions",
        "If set when describing topics, only show partitions whose isr count is equal to the configured minimum.",
    );
    p.flag(
        "topics-with-overrides",
        "If set when describing topics, only show topics that have overridden configs.",
    );
}

/// Everything that Kafka's tool checks before it connects.
pub(super) fn check(p: &Parser, found: &Found, out: &mut Out) -> Result<(), Stop> {
    p.help_or_version(
        found,
        if found.is_empty() { "Create, delete, describe, or change a topic." } else { ABOUT },
        out,
    )?;
    if ACTIONS.iter().filter(|action| found.has(action)).count() != 1 {
        return Err(p.usage(
            "Command must include exactly one action: --list, --describe, --create, --alter or --delete",
        ));
    }
    if found.has("delete-config") {
        eprintln!(
            "delete-config option is no longer supported and deprecated since version 4.0. The config will be fully removed in future releases."
        );
    }
    if !found.has("bootstrap-server") {
        return Err(Stop::error("--bootstrap-server must be specified"));
    }
    if found.has("describe") && found.has("if-exists") {
        if !found.has("topic") && !found.has("topic-id") {
            return Err(p.usage("--topic or --topic-id is required to describe a topic"));
        }
        if found.has("topic") && found.has("topic-id") {
            writeln!(
                out,
                "Only topic id will be used when both --topic and --topic-id are specified and topicId is not Uuid.ZERO_UUID"
            )?;
        }
    }
    if !found.has("list") && !found.has("describe") {
        p.check_required(found, &["topic"])?;
    }
    if found.has("alter") {
        p.check_invalid_set(found, &["config", "bootstrap-server"], &["alter"], OTHER_TOOL)?;
        p.check_required(found, &["partitions"])?;
    }
    check_combinations(p, found)
}

fn check_combinations(p: &Parser, found: &Found) -> Result<(), Stop> {
    let without = |allowed: &[&str]| -> Vec<&str> {
        ACTIONS.iter().copied().filter(|action| !allowed.contains(action)).collect()
    };
    p.check_invalid(found, "config", &without(&["alter", "create"]))?;
    p.check_invalid(found, "partitions", &without(&["alter", "create"]))?;
    p.check_invalid(found, "replication-factor", &without(&["create"]))?;
    p.check_invalid(found, "replica-assignment", &without(&["alter", "create"]))?;
    if found.has("create") {
        p.check_invalid(found, "replica-assignment", &["partitions", "replication-factor"])?;
    }
    for report in REPORTS {
        let mut invalid = without(&["describe"]);
        invalid.push("topics-with-overrides");
        p.check_invalid(found, report, &invalid)?;
    }
    let mut invalid = without(&["describe"]);
    invalid.extend(REPORTS);
    p.check_invalid(found, "topics-with-overrides", &invalid)?;
    p.check_invalid(found, "if-exists", &without(&["alter", "delete", "describe"]))?;
    p.check_invalid(found, "if-not-exists", &without(&["create"]))?;
    p.check_invalid(found, "exclude-internal", &without(&["list", "describe"]))
}
