//! `ottla topic`: topics listed, made, described, changed and deleted, in short words.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ottla_client::{Cluster, ClusterError, Properties, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use ottla_protocol::messages::{
    AlterPartitionReassignmentsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest, alter_partition_reassignments_request as reassign,
};
use ottla_records::uuid_text;
use serde_json::{Value, json};

use super::status::table;
use super::{Form, block_on, parse};

/// Topics, in short words; kafka-topics has all of Kafka's.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092", global = true)]
    bootstrap: String,
    #[arg(short, long, value_enum, default_value = "text", global = true)]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  ottla topic create orders -p 6 -r 3 -c retention.ms=86400000
  ottla topic describe orders
  ottla topic set orders min.insync.replicas=2
  ottla topic set-rf __consumer_offsets 3";

#[derive(Debug, Subcommand)]
enum Command {
    /// Every topic with its partitions, replicas and what is wrong.
    List {
        /// Kafka's own topics too.
        #[arg(short, long)]
        all: bool,
    },
    /// Partitions, leaders, replicas and in-sync replicas.
    Describe {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Make topics.
    Create {
        #[arg(required = true)]
        names: Vec<String>,
        /// The brokers' num.partitions if left out.
        #[arg(short, long)]
        partitions: Option<i32>,
        /// The brokers' default.replication.factor if left out.
        #[arg(short, long)]
        replicas: Option<i16>,
        #[arg(short, long, value_name = "KEY=VALUE")]
        config: Vec<String>,
    },
    /// Delete topics with everything in them.
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Give a topic more partitions.
    Grow { name: String, partitions: i32 },
    /// Set configurations of a topic; KEY= without a value takes it back to the default.
    Set {
        name: String,
        #[arg(required = true, value_name = "KEY=VALUE")]
        configs: Vec<String>,
    },
    /// Change how many replicas each partition has; leaders and those in sync stay.
    SetRf { name: String, replicas: usize },
}

pub(super) fn run(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("topic", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    block_on(async {
        match work(&wanted).await {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(message) => {
                eprintln!("{message}");
                ExitCode::from(1)
            }
        }
    })
}

/// Several things asked for at once: what was done is said, what failed makes the error.
#[derive(Default)]
struct Deeds {
    done: String,
    failed: String,
}

impl Deeds {
    fn one(&mut self, done: &str, what: &str, code: i16, message: Option<&str>) {
        if code == 0 {
            let _ = writeln!(self.done, "{done} {what}");
        } else {
            let _ = writeln!(self.failed, "{what}: {}", message.unwrap_or(meaning(code)));
        }
    }

    fn end(self) -> Result<String, String> {
        if self.failed.is_empty() {
            return Ok(self.done);
        }
        print!("{}", self.done);
        Err(self.failed.trim_end().to_owned())
    }
}

async fn work(wanted: &Arguments) -> Result<String, String> {
    let cluster = Cluster::connect(&wanted.bootstrap, &Properties::new()).await.map_err(|error| {
        format!(
            "{error}\n    next: is the cluster up? give its addresses with -b (asked: {})",
            wanted.bootstrap
        )
    })?;
    let say = |error: ClusterError| error.to_string();
    let mut deeds = Deeds::default();
    match &wanted.command {
        Command::List { all } => {
            let metadata = cluster.metadata(None).await.map_err(say)?;
            return Ok(list(&metadata, *all, wanted.output));
        }
        Command::Describe { names } => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let metadata = cluster.metadata(Some(&names)).await.map_err(say)?;
            return describe(&metadata, wanted.output);
        }
        Command::Create { names, partitions, replicas, config } => {
            let configs = pairs(config)?;
            let topics = names.iter().map(|name| CreatableTopic {
                name: name.clone(),
                num_partitions: partitions.unwrap_or(-1),
                replication_factor: replicas.unwrap_or(-1),
                configs: configs
                    .iter()
                    .map(|(name, value)| CreatableTopicConfig {
                        name: name.clone(),
                        value: Some(value.clone()),
                    })
                    .collect(),
                ..Default::default()
            });
            let request = CreateTopicsRequest {
                topics: topics.collect(),
                timeout_ms: TIMEOUT_MS,
                ..Default::default()
            };
            let answer = cluster.controller(&request).await.map_err(say)?;
            for topic in answer.topics {
                let what = match (topic.num_partitions, topic.replication_factor) {
                    (1.., 1..) => format!(
                        "{} ({} partitions, {} replicas)",
                        topic.name, topic.num_partitions, topic.replication_factor
                    ),
                    _ => topic.name.clone(),
                };
                deeds.one("created", &what, topic.error_code, topic.error_message.as_deref());
            }
        }
        Command::Delete { names } => {
            let topics =
                names.iter().map(|name| DeleteTopicState { name: Some(name.clone()), ..Default::default() });
            let request = DeleteTopicsRequest {
                topics: topics.collect(),
                topic_names: names.clone(),
                timeout_ms: TIMEOUT_MS,
            };
            let answer = cluster.controller(&request).await.map_err(say)?;
            for topic in answer.responses {
                let name = topic.name.unwrap_or_default();
                deeds.one("deleted", &name, topic.error_code, topic.error_message.as_deref());
            }
        }
        Command::Grow { name, partitions } => {
            let topic = CreatePartitionsTopic { name: name.clone(), count: *partitions, assignments: None };
            let request =
                CreatePartitionsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only: false };
            let answer = cluster.controller(&request).await.map_err(say)?;
            for topic in answer.results {
                let what = format!("{} to {partitions} partitions", topic.name);
                deeds.one("grew", &what, topic.error_code, topic.error_message.as_deref());
            }
        }
        Command::Set { name, configs } => {
            let configs = pairs(configs)?.into_iter().map(|(name, value)| AlterableConfig {
                name,
                config_operation: i8::from(value.is_empty()),
                value: (!value.is_empty()).then_some(value),
            });
            let resource = AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: name.clone(),
                configs: configs.collect(),
            };
            let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
            let answer = cluster.controller(&request).await.map_err(say)?;
            for resource in answer.responses {
                let what = resource.resource_name;
                deeds.one("set", &what, resource.error_code, resource.error_message.as_deref());
            }
        }
        Command::SetRf { name, replicas } => {
            let metadata = cluster.metadata(Some(&[name.as_str()])).await.map_err(say)?;
            let brokers: Vec<i32> = cluster.nodes().iter().map(|node| node.id).collect();
            let topic = topic_of(&metadata, name)?;
            let request = AlterPartitionReassignmentsRequest {
                timeout_ms: TIMEOUT_MS,
                allow_replication_factor_change: true,
                topics: vec![reassign::ReassignableTopic {
                    name: name.clone(),
                    partitions: place(topic, &brokers, *replicas)?,
                }],
            };
            let answer = cluster.controller(&request).await.map_err(say)?;
            if answer.error_code != 0 {
                deeds.one("", name, answer.error_code, answer.error_message.as_deref());
            }
            for topic in answer.responses {
                for partition in topic.partitions {
                    let what = format!("{}-{} to {replicas} replicas", topic.name, partition.partition_index);
                    deeds.one("moving", &what, partition.error_code, partition.error_message.as_deref());
                }
            }
        }
    }
    deeds.end()
}

const TOPIC: i8 = 2;
const TIMEOUT_MS: i32 = 30_000;

/// Kafka's words for an error that came without any.
fn meaning(code: i16) -> &'static str {
    ErrorCode::from_i16(code).map_or("an error that this release does not know", exception::message)
}

fn pairs(texts: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &String| {
        text.split_once('=')
            .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
            .ok_or_else(|| format!("'{text}' is not KEY=VALUE"))
    };
    texts.iter().map(pair).collect()
}

fn topic_of<'a>(metadata: &'a MetadataResponse, name: &str) -> Result<&'a MetadataResponseTopic, String> {
    let topic = metadata.topics.iter().find(|topic| topic.name.as_deref() == Some(name));
    match topic {
        Some(topic) if topic.error_code == 0 => Ok(topic),
        Some(topic) => Err(format!("{name}: {}", meaning(topic.error_code))),
        None => Err(format!("{name}: there is no such topic\n    next: ottla topic list")),
    }
}

/// New replica lists: those in sync stay first, then who has fewest of this topic's replicas is added.
fn place(
    topic: &MetadataResponseTopic,
    brokers: &[i32],
    wanted: usize,
) -> Result<Vec<reassign::ReassignablePartition>, String> {
    if wanted == 0 || wanted > brokers.len() {
        return Err(format!("{wanted} replicas need as many brokers; {} are up", brokers.len()));
    }
    let mut load: Vec<(usize, i32)> = brokers.iter().map(|id| (0, *id)).collect();
    for id in topic.partitions.iter().flat_map(|partition| &partition.replica_nodes) {
        if let Some(entry) = load.iter_mut().find(|(_, broker)| broker == id) {
            entry.0 += 1;
        }
    }
    let mut out = Vec::new();
    for partition in &topic.partitions {
        let mut replicas = partition.replica_nodes.clone();
        // The leader, those in sync, then the rest: the rest goes first.
        replicas.sort_by_key(|id| (*id != partition.leader_id, !partition.isr_nodes.contains(id)));
        for gone in replicas.drain(wanted.min(replicas.len())..) {
            if let Some(entry) = load.iter_mut().find(|(_, broker)| *broker == gone) {
                entry.0 -= 1;
            }
        }
        while replicas.len() < wanted {
            let least = load.iter_mut().filter(|(_, id)| !replicas.contains(id)).min();
            let least = least.ok_or("not enough brokers")?;
            least.0 += 1;
            replicas.push(least.1);
        }
        out.push(reassign::ReassignablePartition {
            partition_index: partition.partition_index,
            replicas: Some(replicas),
        });
    }
    Ok(out)
}

fn list(metadata: &MetadataResponse, all: bool, form: Form) -> String {
    let mut topics: Vec<&MetadataResponseTopic> =
        metadata.topics.iter().filter(|topic| all || !topic.is_internal).collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let replicas = |topic: &MetadataResponseTopic| {
        topic.partitions.iter().map(|partition| partition.replica_nodes.len()).max().unwrap_or(0)
    };
    let count = |topic: &MetadataResponseTopic,
                 wrong: fn(
        &ottla_protocol::messages::metadata_response::MetadataResponsePartition,
    ) -> bool| { topic.partitions.iter().filter(|partition| wrong(partition)).count() };
    let offline = |topic| count(topic, |partition| partition.leader_id < 0);
    let behind = |topic| count(topic, |partition| partition.isr_nodes.len() < partition.replica_nodes.len());
    if form == Form::Json {
        let rows = topics.iter().map(|topic| {
            json!({
                "name": topic.name, "id": uuid_text::encode(&topic.topic_id), "internal": topic.is_internal,
                "partitions": topic.partitions.len(), "replicas": replicas(topic),
                "offline": offline(topic), "under_replicated": behind(topic),
            })
        });
        return Value::Array(rows.collect()).to_string() + "\n";
    }
    if topics.is_empty() {
        return "no topics yet: ottla topic create orders\n".to_owned();
    }
    let rows = topics.iter().map(|topic| {
        vec![
            topic.name.clone().unwrap_or_default(),
            topic.partitions.len().to_string(),
            replicas(topic).to_string(),
            match (offline(topic), behind(topic)) {
                (0, 0) => "in sync".to_owned(),
                (0, behind) => format!("{behind} under-replicated"),
                (offline, behind) => format!("{offline} offline, {behind} under-replicated"),
            },
        ]
    });
    let mut out = String::new();
    table(&mut out, &["topic", "partitions", "replicas", "state"], rows.collect());
    out
}

fn describe(metadata: &MetadataResponse, form: Form) -> Result<String, String> {
    let mut out = String::new();
    let mut values = Vec::new();
    for topic in &metadata.topics {
        let name = topic.name.clone().unwrap_or_default();
        topic_of(metadata, &name)?;
        let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let rows = topic.partitions.iter().map(|partition| {
            let missing: Vec<i32> = partition
                .replica_nodes
                .iter()
                .copied()
                .filter(|id| !partition.isr_nodes.contains(id))
                .collect();
            vec![
                partition.partition_index.to_string(),
                if partition.leader_id < 0 { "none".to_owned() } else { partition.leader_id.to_string() },
                partition.leader_epoch.to_string(),
                ids(&partition.replica_nodes),
                ids(&partition.isr_nodes),
                if missing.is_empty() { "-".to_owned() } else { ids(&missing) },
            ]
        });
        let _ = writeln!(out, "{name} (id {})", uuid_text::encode(&topic.topic_id));
        table(&mut out, &["partition", "leader", "epoch", "replicas", "in sync", "missing"], rows.collect());
        values.push(json!({
            "name": name, "id": uuid_text::encode(&topic.topic_id), "internal": topic.is_internal,
            "partitions": topic.partitions.iter().map(|partition| json!({
                "partition": partition.partition_index, "leader": partition.leader_id,
                "epoch": partition.leader_epoch, "replicas": partition.replica_nodes, "isr": partition.isr_nodes,
            })).collect::<Vec<_>>(),
        }));
    }
    Ok(match form {
        Form::Text => out,
        Form::Json => Value::Array(values).to_string() + "\n",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::metadata_response::MetadataResponsePartition;

    fn topic(partitions: &[(i32, &[i32], &[i32])]) -> MetadataResponseTopic {
        let partitions =
            partitions.iter().enumerate().map(|(index, (leader, replicas, isr))| MetadataResponsePartition {
                partition_index: i32::try_from(index).unwrap(),
                leader_id: *leader,
                replica_nodes: replicas.to_vec(),
                isr_nodes: isr.to_vec(),
                ..Default::default()
            });
        MetadataResponseTopic {
            name: Some("t".into()),
            partitions: partitions.collect(),
            ..Default::default()
        }
    }

    fn placed(topic: &MetadataResponseTopic, brokers: &[i32], wanted: usize) -> Vec<Vec<i32>> {
        place(topic, brokers, wanted).unwrap().into_iter().map(|p| p.replicas.unwrap()).collect()
    }

    #[test]
    fn more_replicas_spread_and_fewer_keep_the_leader_and_those_in_sync() {
        let one = topic(&[(1, &[1], &[1]), (1, &[1], &[1])]);
        assert_eq!(placed(&one, &[1, 2, 3], 2), [[1, 2], [1, 3]]);
        let three = topic(&[(3, &[1, 2, 3], &[3, 2])]);
        assert_eq!(placed(&three, &[1, 2, 3], 2), [[3, 2]]);
        assert!(place(&one, &[1, 2], 3).is_err());
        assert!(place(&one, &[1, 2], 0).is_err());
    }

    #[test]
    fn what_is_wrong_is_counted() {
        let metadata = MetadataResponse {
            topics: vec![topic(&[(-1, &[1, 2], &[1]), (2, &[1, 2], &[2]), (1, &[1, 2], &[1, 2])])],
            ..Default::default()
        };
        assert!(list(&metadata, false, Form::Text).contains("1 offline, 2 under-replicated"));
        let described = describe(&metadata, Form::Text).unwrap();
        assert!(described.contains("none"), "{described}");
    }
}
