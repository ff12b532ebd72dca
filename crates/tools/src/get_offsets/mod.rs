//! `kafka-get-offsets`: where partitions begin and end.

mod filter;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, Isolation, OffsetSpec, TopicPartition, exception};

use crate::args::jopt::{Found, Kind, Parser};
use crate::console_producer::options::valid_bootstrap;
use crate::runtime::{self, Out, Stop, Thrown};

use filter::PartitionFilter;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-get-offsets", args, get_offsets)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED. The server(s) to connect to in the form HOST1:PORT1,HOST2:PORT2.",
        "HOST1:PORT1,...,HOST3:PORT3",
        Kind::Text,
    );
    p.takes(
        "topic-partitions",
        "Comma separated list of topic-partition patterns to get the offsets for, with the format of '([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?'. The first group is an optional regex for the topic name, if omitted, it matches any topic name. The section after ':' describes a 'partition' pattern, which can be: a number, a range in the format of 'NUMBER-NUMBER' (lower inclusive, upper exclusive), an inclusive lower bound in the format of 'NUMBER-', an exclusive upper bound in the format of '-NUMBER' or may be omitted to accept all partitions.",
        "topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3",
        Kind::Text,
    );
    p.takes(
        "topic",
        "The topic to get the offsets for. It also accepts a regular expression. If not present, all authorized topics are queried. Cannot be used if --topic-partitions is present.",
        "topic",
        Kind::Text,
    );
    p.takes(
        "partitions",
        "Comma separated list of partition ids to get the offsets for. If not present, all partitions of the authorized topics are queried. Cannot be used if --topic-partitions is present.",
        "partition ids",
        Kind::Text,
    );
    p.takes(
        "time",
        "timestamp of the offsets before that. [Note: No offset is returned, if the timestamp greater than recently committed record timestamp is given.]",
        "<timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload",
        Kind::Text,
    )
    .default("latest");
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "config file",
        Kind::Text,
    );
    p.flag(
        "exclude-internal-topics",
        "By default, internal topics are included. If specified, internal topics are excluded.",
    );
    p
}

fn get_offsets(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = p.parse(args).map_err(|misuse| occurred(misuse.message()).and_err(misuse.more()))?;
    p.help_or_version(&found, "An interactive shell for getting topic-partition offsets.", out)?;
    p.check_required(&found, &["bootstrap-server"])?;
    valid_bootstrap(found.value("bootstrap-server").unwrap_or_default())
        .map_err(|message| p.usage(message))?;
    if found.has("topic-partitions") && (found.has("topic") || found.has("partitions")) {
        return Err(occurred("--topic-partitions cannot be used with --topic or --partitions"));
    }
    let spec = offset_spec(found.value("time").unwrap_or_default())?;
    let filter = match found.value("topic-partitions") {
        Some(patterns) => PartitionFilter::of_patterns(patterns),
        None => PartitionFilter::of_topic_and_partitions(found.value("topic"), found.value("partitions")),
    };
    let filter = filter.map_err(|thrown| occurred(&thrown.message))?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let cluster = runtime::open(server, &properties).await.map_err(failed)?;
        let offsets = offsets(&cluster, &found, &filter, spec).await?;
        for (partition, offset) in offsets {
            writeln!(out, "{}:{}:{offset}", partition.topic, partition.partition)?;
        }
        Ok(())
    })
}

fn occurred(message: impl std::fmt::Display) -> Stop {
    Stop::error(format!("Error occurred: {message}"))
}

fn failed(thrown: Thrown) -> Stop {
    let thrown = thrown.calling("listTopics");
    occurred(thrown.text())
}

async fn offsets(
    cluster: &Cluster,
    found: &Found,
    filter: &PartitionFilter,
    spec: OffsetSpec,
) -> Result<Vec<(TopicPartition, i64)>, Stop> {
    let exclude = found.has("exclude-internal-topics");
    let all = cluster.metadata(None).await.map_err(|error| failed(error.into()))?;
    // In the order of their text: t-10 before t-2.
    let mut wanted: BTreeMap<String, TopicPartition> = BTreeMap::new();
    for topic in all.topics.iter().filter(|topic| !(exclude && topic.is_internal)) {
        let Some(name) = topic.name.as_deref() else { continue };
        for partition in &topic.partitions {
            if filter.allows(name, partition.partition_index) {
                let partition = TopicPartition::new(name, partition.partition_index);
                wanted.insert(partition.to_string(), partition);
            }
        }
    }
    if wanted.is_empty() {
        return Err(occurred("Could not match any topic-partitions with the specified filters"));
    }
    let specs: Vec<(TopicPartition, OffsetSpec)> =
        wanted.values().map(|partition| (partition.clone(), spec)).collect();
    let answer = cluster.list_offsets(&specs, Isolation::ReadUncommitted).await;
    let mut answer = answer.map_err(|error| failed(error.into()))?;
    let mut offsets = Vec::new();
    for partition in wanted.into_values() {
        match answer.remove(&partition) {
            Some(Ok(found)) if found.offset >= 0 => offsets.push((partition, found.offset)),
            Some(Err(code)) => eprintln!(
                "Skip getting offsets for topic-partition {partition} due to error: {}",
                exception::text(code, None)
            ),
            _ => {}
        }
    }
    Ok(offsets)
}

fn offset_spec(text: &str) -> Result<OffsetSpec, Stop> {
    Ok(match text {
        "latest" | "-1" => OffsetSpec::Latest,
        "earliest" | "-2" => OffsetSpec::Earliest,
        "max-timestamp" | "-3" => OffsetSpec::MaxTimestamp,
        "earliest-local" | "-4" => OffsetSpec::EarliestLocal,
        "latest-tiered" | "-5" => OffsetSpec::LatestTiered,
        "earliest-pending-upload" | "-6" => OffsetSpec::EarliestPendingUpload,
        number => OffsetSpec::Timestamp(number.parse().map_err(|_| {
            occurred(format!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
            ))
        })?),
    })
}
