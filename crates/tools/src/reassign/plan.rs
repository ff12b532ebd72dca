//! Reassignments as files and as arithmetic: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ottla_client::TopicPartition;
use ottla_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;
use serde_json::{Value, json};

use super::json;
use crate::runtime::{Thrown, java_list};

const ANY_LOG_DIR: &str = "any";
const COMMAND_FAILED: &str = "org.apache.kafka.tools.AdminCommandFailedException";
const OPERATION: &str = "org.apache.kafka.server.common.AdminOperationException";

/// Replicas by partition.
pub(super) type Assignment = BTreeMap<TopicPartition, Vec<i32>>;
/// Reassignments under way.
pub(super) type Ongoing = BTreeMap<TopicPartition, OngoingPartitionReassignment>;

/// One replica of a partition, in the order in which Kafka names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Replica {
    pub(super) broker: i32,
    pub(super) at: TopicPartition,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.broker)
    }
}

/// What a file wants: partitions in its order, duplicates kept, and log directories of replicas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) partitions: Vec<(TopicPartition, Vec<i32>)>,
    pub(super) dirs: BTreeMap<Replica, String>,
}

pub(super) fn command_failed(message: impl Into<String>) -> Thrown {
    Thrown::new(COMMAND_FAILED, message)
}

fn version(data: &serde_json::Map<String, Value>) -> Result<(), Thrown> {
    match data.get("version").map(json::int).transpose()? {
        None | Some(1) => Ok(()),
        Some(other) => Err(Thrown::new(OPERATION, format!("Not supported version field value {other}"))),
    }
}

/// The file of `--reassignment-json-file`.
pub(super) fn reassignment(text: &str, path: &str) -> Result<Wanted, Thrown> {
    let data = json::parse(text, path)
        .map_err(|thrown| Thrown { message: format!("{}: {}", thrown.class, thrown.message), ..thrown })?;
    let data = json::object(&data)?;
    version(data)?;
    let mut wanted = Wanted::default();
    let Some(list) = data.get("partitions") else { return Ok(wanted) };
    for entry in json::array(list)? {
        let entry = json::object(entry)?;
        let topic = json::text(json::field(entry, "topic")?)?;
        let at = TopicPartition::new(topic, json::int(json::field(entry, "partition")?)?);
        let replicas = json::array(json::field(entry, "replicas")?)?;
        let replicas: Vec<i32> = replicas.iter().map(json::int).collect::<Result<_, _>>()?;
        if let Some(dirs) = entry.get("log_dirs") {
            let dirs: Vec<&str> = json::array(dirs)?.iter().map(json::text).collect::<Result<_, _>>()?;
            if dirs.len() != replicas.len() {
                return Err(command_failed(format!(
                    "Size of replicas list {} is different from size of log dirs list {} for partition {at}",
                    java_list(&replicas),
                    java_list(&dirs)
                )));
            }
            for (broker, dir) in replicas.iter().zip(dirs).filter(|(_, dir)| *dir != ANY_LOG_DIR) {
                wanted.dirs.insert(Replica { broker: *broker, at: at.clone() }, dir.to_owned());
            }
        }
        wanted.partitions.push((at, replicas));
    }
    Ok(wanted)
}

/// What `--execute` accepts: no partition twice, no replica twice, none empty.
pub(super) fn executable(wanted: &Wanted) -> Result<Assignment, Thrown> {
    if wanted.partitions.is_empty() {
        return Err(command_failed("Partition reassignment list cannot be empty"));
    }
    if wanted.partitions.iter().any(|(_, replicas)| replicas.is_empty()) {
        return Err(command_failed("Partition replica list cannot be empty"));
    }
    let names: Vec<&TopicPartition> = wanted.partitions.iter().map(|(at, _)| at).collect();
    let twice = join(&duplicates(&names), ",");
    if !twice.is_empty() {
        return Err(command_failed(format!(
            "Partition reassignment contains duplicate topic partitions: {twice}"
        )));
    }
    let twice: Vec<String> = wanted
        .partitions
        .iter()
        .map(|(at, replicas)| (at, duplicates(replicas)))
        .filter(|(_, twice)| !twice.is_empty())
        .map(|(at, twice)| format!("{at} contains multiple entries for {}", join(&twice, ",")))
        .collect();
    if !twice.is_empty() {
        return Err(command_failed(format!(
            "Partition replica lists may not contain duplicate entries: {}",
            twice.join(". ")
        )));
    }
    Ok(wanted.partitions.iter().cloned().collect())
}

/// The topics of `--topics-to-move-json-file` and the brokers of `--broker-list`.
pub(super) fn to_generate(text: &str, path: &str, brokers: &str) -> Result<(Vec<i32>, Vec<String>), Thrown> {
    let number = |text: &str| {
        let message = || format!("For input string: \"{text}\"");
        text.parse::<i32>().map_err(|_| Thrown::new("java.lang.NumberFormatException", message()))
    };
    let brokers: Vec<i32> = brokers.trim_end_matches(',').split(',').map(number).collect::<Result<_, _>>()?;
    let twice = duplicates(&brokers);
    if !twice.is_empty() {
        let twice = java_list(twice);
        return Err(command_failed(format!("Broker list contains duplicate entries: {twice}")));
    }
    let data = json::parse(text, path)
        .map_err(|thrown| Thrown { message: "The input string is not a valid JSON".into(), ..thrown })?;
    let data = json::object(&data)?;
    version(data)?;
    let mut topics: Vec<String> = Vec::new();
    if let Some(list) = data.get("topics") {
        for entry in json::array(list)? {
            topics.push(json::text(json::field(json::object(entry)?, "topic")?)?.to_owned());
        }
    }
    let twice = duplicates(&topics);
    if !twice.is_empty() {
        let twice = java_list(twice);
        return Err(command_failed(format!(
            "List of topics to reassign contains duplicate entries: {twice}"
        )));
    }
    Ok((brokers, topics))
}

/// An assignment as the file that `--reassignment-json-file` takes, keys in Kafka's order.
pub(super) fn to_json(assignment: &Assignment, dirs: &BTreeMap<Replica, String>) -> String {
    let mut parts = Vec::with_capacity(assignment.len());
    for (at, replicas) in assignment {
        let dir = |broker: &i32| {
            let dir = dirs.get(&Replica { broker: *broker, at: at.clone() });
            dir.map_or(ANY_LOG_DIR, String::as_str).to_owned()
        };
        let dirs: Vec<String> = replicas.iter().map(dir).collect();
        parts.push(format!(
            "{{\"topic\":{},\"partition\":{},\"replicas\":{},\"log_dirs\":{}}}",
            json!(&*at.topic),
            at.partition,
            json!(replicas),
            json!(dirs)
        ));
    }
    format!("{{\"version\":1,\"partitions\":[{}]}}", parts.join(","))
}

fn duplicates<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&T> = items.iter().filter(|item| !seen.insert(*item)).collect();
    twice.into_iter().cloned().collect()
}

pub(super) fn join<T: ToString>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

/// The lines of `--list`.
pub(super) fn listed(ongoing: &Ongoing) -> String {
    if ongoing.is_empty() {
        return "No partition reassignments found.".to_owned();
    }
    let mut text = "Current partition reassignments:".to_owned();
    for (at, move_of) in ongoing {
        text.push_str(&format!("\n{at}: replicas: {}.", join(&move_of.replicas, ",")));
        for (word, brokers) in
            [("adding", &move_of.adding_replicas), ("removing", &move_of.removing_replicas)]
        {
            if !brokers.is_empty() {
                text.push_str(&format!(" {word}: {}.", join(brokers, ",")));
            }
        }
    }
    text
}

/// Where one partition comes from and goes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) sources: BTreeSet<i32>,
    pub(super) destinations: BTreeSet<i32>,
}

/// Everything that moves: what moves already, and what is proposed on top of it.
pub(super) fn moves(
    ongoing: &Ongoing,
    proposed: &Assignment,
    current: &Assignment,
) -> BTreeMap<TopicPartition, Move> {
    let mut moves: BTreeMap<TopicPartition, Move> = BTreeMap::new();
    for (at, of) in ongoing {
        let destinations: BTreeSet<i32> = of.adding_replicas.iter().copied().collect();
        let sources = of.replicas.iter().copied().filter(|broker| !destinations.contains(broker)).collect();
        moves.insert(at.clone(), Move { sources, destinations });
    }
    for (at, replicas) in proposed {
        let sources = match moves.get(at) {
            Some(of) => of.sources.clone(),
            None => current.get(at).into_iter().flatten().copied().collect(),
        };
        let destinations = replicas.iter().copied().filter(|broker| !sources.contains(broker)).collect();
        moves.insert(at.clone(), Move { sources, destinations });
    }
    moves
}

/// `leader.replication.throttled.replicas` and its sibling of the followers, per topic. The parts are sorted as text.
pub(super) fn throttles(moves: &BTreeMap<TopicPartition, Move>) -> BTreeMap<String, (String, String)> {
    let mut parts: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for (at, of) in moves {
        let (leaders, followers) = parts.entry(at.topic.to_string()).or_default();
        leaders.extend(of.sources.iter().map(|broker| format!("{}:{broker}", at.partition)));
        let new = of.destinations.iter().filter(|broker| !of.sources.contains(broker));
        followers.extend(new.map(|broker| format!("{}:{broker}", at.partition)));
    }
    let text = |parts: BTreeSet<String>| parts.into_iter().collect::<Vec<_>>().join(",");
    parts.into_iter().map(|(topic, (leaders, followers))| (topic, (text(leaders), text(followers)))).collect()
}

/// Where a replica's directory stands against the one it should be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DirMove {
    MissingDir,
    Active { current: String, future: String },
    Cancelled { current: String },
    Completed,
}

impl DirMove {
    /// From the directories that the broker tells: the one it is in, and the one it is going to.
    pub(super) fn of(target: &str, current: Option<&str>, future: Option<&str>) -> DirMove {
        match (current, future) {
            (None, _) => DirMove::MissingDir,
            (Some(current), Some(future)) => {
                DirMove::Active { current: current.to_owned(), future: future.to_owned() }
            }
            (Some(current), None) if current == target => DirMove::Completed,
            (Some(current), None) => DirMove::Cancelled { current: current.to_owned() },
        }
    }

    pub(super) fn line(&self, replica: &Replica, target: &str) -> String {
        let (at, broker) = (&replica.at, replica.broker);
        match self {
            DirMove::MissingDir => format!(
                "Partition {at} is not found in any live log dir on broker {broker}. There is likely an offline log directory on the broker."
            ),
            DirMove::Active { future, .. } if future == target => {
                format!("Reassignment of replica {replica} is still in progress.")
            }
            DirMove::Active { future, .. } => format!(
                "Partition {at} on broker {broker} is being moved to log dir {future} instead of {target}."
            ),
            DirMove::Cancelled { current } => format!(
                "Partition {at} on broker {broker} is not being moved from log dir {current} to {target}."
            ),
            DirMove::Completed => format!("Reassignment of replica {replica} completed successfully."),
        }
    }
}

/// What `--verify` says of one partition; `current` is `None` while it moves.
pub(super) fn verified(at: &TopicPartition, current: Option<&[i32]>, target: &[i32]) -> String {
    match current {
        None => format!("Reassignment of partition {at} is still in progress."),
        Some(current) if current == target => format!("Reassignment of partition {at} is completed."),
        Some(current) => format!(
            "There is no active reassignment of partition {at}, but replica set is {} rather than {}.",
            join(current, ","),
            join(target, ",")
        ),
    }
}
