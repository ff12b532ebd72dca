//! `kafka-log-dirs`: what lies in the brokers' log directories.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DescribeLogDirsRequest;
use ottla_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use serde_json::{Value, json};

use crate::args::jopt::{Kind, Parser};
use crate::runtime::{self, Out, Stop, Thrown, java};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-log-dirs", args, log_dirs)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED: the server(s) to use for bootstrapping",
        "The server(s) to use for bootstrapping",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Property file containing configs to be passed to Admin Client.",
        "Admin client property file",
        Kind::Text,
    );
    p.flag("describe", "Describe the specified log directories on the specified brokers.");
    p.takes(
        "topic-list",
        "The list of topics to be queried in the form \"topic1,topic2,topic3\". All topics will be queried if no topic list is specified",
        "Topic list",
        Kind::Text,
    )
    .default("");
    p.takes(
        "broker-list",
        "The list of brokers to be queried in the form \"0,1,2\". All brokers in the cluster will be queried if no broker list is specified",
        "Broker list",
        Kind::Text,
    )
    .default("");
    p
}

fn log_dirs(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = p.parse(args)?;
    p.help_or_version(&found, "This tool helps to query log directory usage on the specified brokers.", out)?;
    p.check_required(&found, &["bootstrap-server", "describe"])?;
    let parts = |name: &str| -> Vec<String> {
        let list = found.value(name).unwrap_or_default();
        list.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let topics: BTreeSet<String> = parts("topic-list").into_iter().collect();
    let brokers: Result<BTreeSet<i32>, String> =
        parts("broker-list").iter().map(|id| java::int(id)).collect();
    let brokers = brokers.map_err(Stop::error)?;
    let properties = runtime::properties(found.value("command-config"))?;
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let cluster =
            runtime::open(server, &properties).await.map_err(|thrown| thrown.calling("listNodes"))?;
        let live: BTreeSet<i32> = cluster.nodes().iter().map(|node| node.id).collect();
        let missing: Vec<&i32> = brokers.difference(&live).collect();
        if !missing.is_empty() {
            return Err(Stop::error(format!(
                "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
                ids(missing),
                ids(&live)
            )));
        }
        let wanted = if brokers.is_empty() { live } else { brokers };
        writeln!(out, "Querying brokers for log directories information")?;
        let json = described(&cluster, &wanted, &topics).await?;
        writeln!(out, "Received log directory information from brokers {}", ids(&wanted))?;
        Ok(writeln!(out, "{json}")?)
    })
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a i32>) -> String {
    ids.into_iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

async fn described(
    cluster: &Cluster,
    brokers: &BTreeSet<i32>,
    topics: &BTreeSet<String>,
) -> Result<Value, Stop> {
    let mut described = Vec::new();
    for &broker in brokers {
        let answer = cluster.node(broker, &DescribeLogDirsRequest { topics: None }).await?;
        Thrown::of_item(answer.error_code, None)?;
        let dirs: Vec<Value> = answer.results.iter().map(|dir| dir_json(dir, topics)).collect();
        described.push(json!({ "broker": broker, "logDirs": dirs }));
    }
    // The keys in the order in which Kafka's tool has them.
    Ok(json!({ "brokers": described, "version": 1 }))
}

fn dir_json(dir: &DescribeLogDirsResult, topics: &BTreeSet<String>) -> Value {
    let error = match dir.error_code {
        0 => Value::Null,
        code => exception::class(ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError)).into(),
    };
    let mut replicas: Vec<(&str, i32, Value)> = Vec::new();
    for topic in dir.topics.iter().filter(|topic| topics.is_empty() || topics.contains(&topic.name)) {
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let value = json!({
                "partition": format!("{}-{index}", topic.name),
                "size": partition.partition_size,
                "offsetLag": partition.offset_lag,
                "isFuture": partition.is_future_key,
            });
            replicas.push((&topic.name, index, value));
        }
    }
    replicas.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let replicas: Vec<Value> = replicas.into_iter().map(|(_, _, value)| value).collect();
    json!({ "partitions": replicas, "error": error, "logDir": dir.log_dir })
}
