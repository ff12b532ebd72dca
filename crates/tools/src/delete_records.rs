//! `kafka-delete-records`: partitions cut off below an offset.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DeleteRecordsRequest;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use serde_json::Value;

use crate::args::jopt::{Kind, Parser};
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-delete-records", args, delete_records)
}

fn delete_records(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED: The server to connect to.",
        "server(s) to use for bootstrapping",
        Kind::Text,
    );
    p.takes(
        "offset-json-file",
        "REQUIRED: The JSON file with offset per partition. The format to use is:\n{\"partitions\":\n  [{\"topic\": \"foo\", \"partition\": 1, \"offset\": 1}],\n \"version\":1\n}",
        "Offset json file path",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "A property file containing configs to be passed to Admin Client.",
        "command config property file path",
        Kind::Text,
    );
    let found = p.parse(args)?;
    let about = "This tool helps to delete records of the given partitions down to the specified offset.";
    p.help_or_version(&found, about, out)?;
    p.check_required(&found, &["bootstrap-server", "offset-json-file"])?;
    let properties = runtime::properties(found.value("command-config"))?;
    let file = found.value("offset-json-file").unwrap_or_default();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Stop::error(format!("Unable to read file {file}\n    {error}")))?;
    let wanted = offsets(&text)?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let cluster = runtime::connect(server, &properties).await?;
        writeln!(out, "Executing records delete operation")?;
        let outcomes = delete(&cluster, &wanted).await?;
        writeln!(out, "Records delete operation completed:")?;
        for (partition, outcome) in outcomes {
            match outcome {
                Ok(low_watermark) => {
                    writeln!(out, "partition: {partition}\tlow_watermark: {low_watermark}")?;
                }
                Err(error) => writeln!(out, "partition: {partition}\terror: {error}")?,
            }
        }
        Ok(())
    })
}

/// The file's partitions with their offsets.
fn offsets(text: &str) -> Result<BTreeMap<TopicPartition, i64>, Stop> {
    let json: Value = serde_json::from_str(text)
        .map_err(|error| Stop::error(format!("The input string is not a valid JSON\n    {error}")))?;
    let version = json.get("version").map_or(Some(1), Value::as_i64);
    if version != Some(1) {
        let version = json.get("version").unwrap_or(&Value::Null);
        return Err(Stop::error(format!("Not supported version field value {version}")));
    }
    let partitions = json.get("partitions").ok_or_else(|| Stop::error("Missing partitions field"))?;
    let partitions = partitions.as_array();
    let partitions =
        partitions.ok_or_else(|| Stop::error(format!("Expected JSON array, received {json}")))?;
    let mut offsets = BTreeMap::new();
    let mut twice: Vec<String> = Vec::new();
    for entry in partitions {
        let missing = |name: &str, kind: &str| match entry.get(name) {
            None => Stop::error(format!("No such field exists: `{name}`")),
            Some(value) => Stop::error(format!("Expected `{kind}` value, received {value}")),
        };
        let topic = entry.get("topic").and_then(Value::as_str).ok_or_else(|| missing("topic", "String"))?;
        let partition = entry.get("partition").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
        let partition = partition.ok_or_else(|| missing("partition", "Integer"))?;
        let offset = entry.get("offset").and_then(Value::as_i64).ok_or_else(|| missing("offset", "Long"))?;
        let partition = TopicPartition::new(topic, partition);
        if offsets.insert(partition.clone(), offset).is_some() && !twice.contains(&partition.to_string()) {
            twice.push(partition.to_string());
        }
    }
    if !twice.is_empty() {
        let twice = twice.join(",");
        return Err(Stop::error(format!("Offset json file contains duplicate topic partitions: {twice}")));
    }
    Ok(offsets)
}

type Outcomes = BTreeMap<TopicPartition, Result<i64, String>>;

async fn delete(cluster: &Cluster, wanted: &BTreeMap<TopicPartition, i64>) -> Result<Outcomes, Stop> {
    let partitions: Vec<TopicPartition> = wanted.keys().cloned().collect();
    let leaders = cluster.leaders(&partitions).await?;
    let mut outcomes = Outcomes::new();
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<DeleteRecordsPartition>>> = BTreeMap::new();
    for (partition, &offset) in wanted {
        match leaders.get(partition) {
            Some(&leader) => {
                let topics = by_leader.entry(leader).or_default();
                let entry = DeleteRecordsPartition { partition_index: partition.partition, offset };
                topics.entry(&partition.topic).or_default().push(entry);
            }
            None => {
                let error = exception::text(ErrorCode::UnknownTopicOrPartition, None);
                outcomes.insert(partition.clone(), Err(error));
            }
        }
    }
    for (leader, topics) in by_leader {
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| DeleteRecordsTopic { name: name.to_owned(), partitions })
            .collect();
        let answer = cluster.node(leader, &DeleteRecordsRequest { topics, timeout_ms: 30_000 }).await?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let outcome = match partition.error_code {
                    0 => Ok(partition.low_watermark),
                    code => {
                        let code = ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
                        Err(exception::text(code, None))
                    }
                };
                let key = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                outcomes.insert(key, outcome);
            }
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_refused_as_kafka_does() {
        let good = r#"{"partitions": [{"topic": "t", "partition": 1, "offset": -1}], "version": 1}"#;
        assert_eq!(offsets(good).expect("good")[&TopicPartition::new("t", 1)], -1);
        let error = |text: &str| offsets(text).expect_err(text).err;
        assert!(error("{").starts_with("The input string is not a valid JSON\n    EOF"));
        assert_eq!(error("{}"), "Missing partitions field");
        assert_eq!(error(r#"{"version": 2}"#), "Not supported version field value 2");
        let twice = r#"{"partitions": [{"topic":"t","partition":1,"offset":1},{"topic":"t","partition":1,"offset":2}]}"#;
        assert_eq!(error(twice), "Offset json file contains duplicate topic partitions: t-1");
    }
}
