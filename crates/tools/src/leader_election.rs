//! `kafka-leader-election`: preferred or unclean leaders elected.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ElectLeadersRequest;
use ottla_protocol::messages::elect_leaders_request::TopicPartitions;
use serde_json::Value;

use crate::args::jopt::{Found, Kind, Parser};
use crate::consumer_groups::{java_order, rethrown};
use crate::reassign::json;
use crate::runtime::{self, Out, Stop, Thrown};

const ABOUT: &str = "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas.";
const TIMEOUT_MS: i32 = 30_000;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-leader-election", args, leader_election)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "A hostname and port for the broker to connect to, in the form host:port. Multiple comma separated URLs can be given. REQUIRED.",
        "host:port",
        Kind::Text,
    );
    p.takes(
        "admin.config",
        "(DEPRECATED) Configuration properties files to pass to the admin client. This option will be removed in a future version. Use --command-config instead.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Config properties file to pass to the admin client.",
        "Config file",
        Kind::Text,
    );
    p.takes(
        "path-to-json-file",
        "The JSON file with the list  of partition for which leader elections should be performed. This is an example format. \n{\"partitions\":\n\t[{\"topic\": \"foo\", \"partition\": 1},\n\t {\"topic\": \"foobar\", \"partition\": 2}]\n}\nNot allowed if --all-topic-partitions or --topic flags are specified.",
        "Path to JSON file",
        Kind::Text,
    );
    p.takes(
        "topic",
        "Name of topic for which to perform an election. Not allowed if --path-to-json-file or --all-topic-partitions is specified.",
        "topic name",
        Kind::Text,
    );
    p.takes(
        "partition",
        "Partition id for which to perform an election. REQUIRED if --topic is specified.",
        "partition id",
        Kind::Integer,
    );
    p.flag(
        "all-topic-partitions",
        "Perform election on all of the eligible topic partitions based on the type of election (see the --election-type flag). Not allowed if --topic or --path-to-json-file is specified.",
    );
    p.takes(
        "election-type",
        "Type of election to attempt. Possible values are \"preferred\" for preferred leader election or \"unclean\" for unclean leader election. If preferred election is selection, the election is only performed if the current leader is not the preferred leader for the topic partition. If unclean election is selected, the election is only performed if there are no leader for the topic partition. REQUIRED.",
        "election type",
        Kind::Class("[PREFERRED,UNCLEAN]"),
    );
    p
}

/// Which of the two elections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Election {
    Preferred = 0,
    Unclean = 1,
}

impl Election {
    fn name(self) -> &'static str {
        match self {
            Election::Preferred => "PREFERRED",
            Election::Unclean => "UNCLEAN",
        }
    }
}

fn leader_election(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = p.parse(args).map_err(|misuse| Stop::error(misuse.message()).and_err(misuse.more()))?;
    p.help_or_version(&found, ABOUT, out)?;
    validate(&p, &found)?;
    let text = found.value("election-type").unwrap_or_default();
    let election = match text.to_ascii_lowercase().as_str() {
        "preferred" => Election::Preferred,
        "unclean" => Election::Unclean,
        _ => {
            let message = format!("Cannot parse argument '{text}' of option election-type");
            return Err(Stop::error(message)
                .and_err("    next: --election-type preferred or --election-type unclean"));
        }
    };
    let partitions =
        match (found.value("path-to-json-file"), found.value("topic"), found.integer("partition")) {
            (Some(path), ..) => Some(from_json(&json::read(path).map_err(unread)?, path).map_err(failed)?),
            (None, Some(topic), Some(partition)) => Some(vec![TopicPartition::new(topic, partition)]),
            _ => None,
        };
    let config = found.value("admin.config").inspect(|_| {
        runtime::deprecated(
            "Option --admin.config has been deprecated and will be removed in a future version. Use --command-config instead.",
        );
    });
    let mut properties = runtime::properties(config.or(found.value("command-config")))?;
    properties.set_default("default.api.timeout.ms", "30000");
    properties.set_default("request.timeout.ms", "15000");
    let server = found.value("bootstrap-server").unwrap_or_default();
    runtime::block_on(async {
        let cluster = match runtime::open(server, &properties).await {
            Ok(cluster) => cluster,
            Err(thrown) => return Err(unanswered(thrown.calling("electLeaders"), out)),
        };
        elect(&cluster, election, partitions, out).await
    })
}

fn validate(p: &Parser, found: &Found) -> Result<(), Stop> {
    let missing: Vec<&str> =
        ["bootstrap-server", "election-type"].into_iter().filter(|name| !found.has(name)).collect();
    if !missing.is_empty() {
        return Err(Stop::error(format!("Missing required option(s): {}", missing.join(", "))));
    }
    p.check_invalid(found, "admin.config", &["command-config"])?;
    let scopes = ["topic", "all-topic-partitions", "path-to-json-file"];
    if scopes.iter().filter(|name| found.has(name)).count() != 1 {
        return Err(Stop::error(format!(
            "One and only one of the following options is required: {}",
            scopes.join(", ")
        )));
    }
    if found.has("topic") && !found.has("partition") {
        return Err(Stop::error("Missing required option(s): partition"));
    }
    if !found.has("topic") && found.has("partition") {
        return Err(Stop::error("Option partition is only allowed if topic is used"));
    }
    Ok(())
}

/// The message, then what we know beyond it.
fn failed(thrown: Thrown) -> Stop {
    Stop::error(thrown.message).and_err(thrown.causes)
}

/// A file that cannot be read is a RuntimeException around Java's own.
fn unread(thrown: Thrown) -> Stop {
    Stop::error(format!("{}: {}", thrown.class, thrown.message)).and_err(thrown.causes)
}

/// A call that nobody answered: Kafka has sentences of its own for two cases.
fn unanswered(thrown: Thrown, out: &mut Out) -> Stop {
    let message = match thrown.class {
        "org.apache.kafka.common.errors.TimeoutException" => "Timeout waiting for election results",
        "org.apache.kafka.common.errors.ClusterAuthorizationException" => {
            "Not authorized to perform leader election"
        }
        _ => return failed(rethrown(thrown)),
    };
    match writeln!(out, "{message}") {
        Ok(()) => Stop::error(message).and_err(thrown.text()),
        Err(error) => error.into(),
    }
}

/// `{"partitions": [{"topic": "foo", "partition": 1}]}`.
fn from_json(text: &str, path: &str) -> Result<Vec<TopicPartition>, Thrown> {
    let data: Value = json::parse(text, path)
        .map_err(|thrown| Thrown { message: "Replica election data is empty".into(), ..thrown })?;
    let data = json::object(&data)?;
    let list = data.get("partitions").ok_or_else(|| {
        Thrown::new(
            "org.apache.kafka.server.common.AdminOperationException",
            "Replica election data is missing \"partitions\" field",
        )
    })?;
    let mut partitions: Vec<TopicPartition> = Vec::new();
    let mut twice: Vec<(TopicPartition, ())> = Vec::new();
    for entry in json::array(list)? {
        let entry = json::object(entry)?;
        let topic = json::text(json::field(entry, "topic")?)?;
        let at = TopicPartition::new(topic, json::int(json::field(entry, "partition")?)?);
        if partitions.contains(&at) {
            if !twice.contains(&(at.clone(), ())) {
                twice.push((at, ()));
            }
        } else {
            partitions.push(at);
        }
    }
    if !twice.is_empty() {
        let twice = runtime::java_list(java_order(twice).into_iter().map(|(at, ())| at));
        return Err(Thrown::new(
            "org.apache.kafka.server.common.AdminOperationException",
            format!("Replica election data contains duplicate partitions: {twice}"),
        ));
    }
    Ok(partitions)
}

async fn elect(
    cluster: &Cluster,
    election: Election,
    partitions: Option<Vec<TopicPartition>>,
    out: &mut Out,
) -> Result<(), Stop> {
    let by_topic = partitions.map(|partitions| {
        let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for at in partitions {
            topics.entry(at.topic.to_string()).or_default().push(at.partition);
        }
        topics.into_iter().map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
    });
    let request = ElectLeadersRequest {
        election_type: election as i8,
        topic_partitions: by_topic,
        timeout_ms: TIMEOUT_MS,
    };
    let answer = match cluster.controller(&request).await {
        Ok(answer) => answer,
        Err(error) => return Err(unanswered(error.into(), out)),
    };
    if let Err(thrown) = Thrown::of_item(answer.error_code, None) {
        return Err(unanswered(thrown, out));
    }
    let mut results = Vec::new();
    for topic in answer.replica_election_results {
        for result in topic.partition_result {
            let at = TopicPartition::new(topic.topic.as_str(), result.partition_id);
            results.push((at, (result.error_code, result.error_message)));
        }
    }
    let (text, failures) = report(election, results);
    write!(out, "{text}")?;
    match failures {
        0 => Ok(()),
        count => Err(Stop::error(format!("{count} replica(s) could not be elected"))),
    }
}

/// What became of the elections, and how many failed.
fn report(election: Election, results: Vec<(TopicPartition, (i16, Option<String>))>) -> (String, usize) {
    let (mut elected, mut unneeded, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (code, message)) in results {
        match ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None => elected.push((at, ())),
            ErrorCode::ElectionNotNeeded => unneeded.push((at, ())),
            code => failed.push((at, exception::text(code, message.as_deref()))),
        }
    }
    let list = |partitions: Vec<(TopicPartition, ())>| {
        let names: Vec<String> = java_order(partitions).iter().map(|(at, ())| at.to_string()).collect();
        names.join(", ")
    };
    let mut text = String::new();
    let name = election.name();
    if !elected.is_empty() {
        let list = list(elected);
        text.push_str(&format!("Successfully completed leader election ({name}) for partitions {list}\n"));
    }
    if !unneeded.is_empty() {
        text.push_str(&format!("Valid replica already elected for partitions {}\n", list(unneeded)));
    }
    let failures = failed.len();
    for (at, why) in java_order(failed) {
        text.push_str(&format!("Error completing leader election ({name}) for partition: {at}: {why}\n"));
    }
    (text, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_said_in_three_sentences() {
        let at = |partition| TopicPartition::new("t", partition);
        let results = vec![
            (at(0), (0, None)),
            (at(1), (ErrorCode::ElectionNotNeeded as i16, None)),
            (at(2), (ErrorCode::PreferredLeaderNotAvailable as i16, Some("not there".into()))),
        ];
        let (text, failures) = report(Election::Preferred, results);
        assert_eq!(
            text,
            "Successfully completed leader election (PREFERRED) for partitions t-0\n\
             Valid replica already elected for partitions t-1\n\
             Error completing leader election (PREFERRED) for partition: t-2: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: not there\n"
        );
        assert_eq!(failures, 1);
    }

    #[test]
    fn files_are_read_and_their_faults_named() {
        let read = |text: &str| from_json(text, "f.json");
        let partitions = read(r#"{"partitions":[{"topic":"t","partition":1}]}"#).expect("a good file");
        assert_eq!(partitions, [TopicPartition::new("t", 1)]);
        let error = read("{\n  oops").expect_err("no JSON");
        assert_eq!(error.message, "Replica election data is empty");
        assert!(error.causes.contains("line 2 column 3"), "{}", error.causes);
        let error = read("{}").expect_err("no partitions");
        assert_eq!(error.message, "Replica election data is missing \"partitions\" field");
        let entry = r#"{"topic":"t","partition":1}"#;
        let error = read(&format!(r#"{{"partitions":[{entry},{entry}]}}"#)).expect_err("twice");
        assert_eq!(error.message, "Replica election data contains duplicate partitions: [t-1]");
        let error = read(r#"{"partitions":[{"topic":"t"}]}"#).expect_err("no partition");
        assert!(error.message.ends_with("No such field exists: `partition`"), "{}", error.message);
    }
}
