//! `kafka-streams-groups`: groups of Kafka Streams (KIP-1071) listed, described and deleted, their offsets reset and
//! deleted.

mod layout;
mod options;
mod reset;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use options::parser;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ottla_client::{Cluster, CoordinatorKind, Node, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::streams_group_describe_response::{DescribedGroup, Subtopology};
use ottla_protocol::messages::{DeleteTopicsRequest, StreamsGroupDescribeRequest};

use crate::args::jopt::{Found, Parser};
use crate::consumer_groups::command::{self, Command};
use crate::consumer_groups::{self, Failure, error_line, executed, rethrown, server};
use crate::runtime::{self, Out, Stop, Thrown};
use crate::share_groups::layout as shared;
use crate::streams_reset::is_internal;
use layout::Standing;

/// Their type, as ListGroups spells it.
const OF: &str = "Streams";
/// States that groups of Kafka Streams may have.
const STATES: [&str; 6] = ["Stable", "Dead", "Empty", "Assigning", "Reconciling", "NotReady"];
const TIMEOUT_MS: i32 = 30_000;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-streams-groups", args, streams_groups)
}

const COMMAND: Command = Command {
    kind: "streams",
    parser: options::parser,
    check: options::check,
    not_served: Some(
        "    cause: this cluster serves no streams groups (KIP-1071); Ottla does not yet, Apache Kafka does from 4.2 on\n    next: applications with group.protocol=classic are consumer groups: kafka-consumer-groups",
    ),
};

fn streams_groups(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let (parser, found) = COMMAND.read(args, out)?;
    COMMAND.on_cluster(&parser, &found, async |cluster| act(cluster, &parser, &found, out).await)
}

async fn act(cluster: &Cluster, p: &Parser, found: &Found, out: &mut Out) -> Result<(), Failure> {
    if found.has("list") {
        command::list(cluster, OF, &STATES, found, out).await
    } else if found.has("describe") {
        describe(cluster, found, out).await
    } else if found.has("reset-offsets") {
        reset::reset(cluster, p, found, out).await
    } else if found.has("delete") {
        delete(cluster, found, out).await
    } else {
        delete_offsets(cluster, found, out).await
    }
}

/// A group, and the node that keeps it.
async fn described(cluster: &Cluster, name: &str) -> Result<(DescribedGroup, Node), Thrown> {
    let coordinator = server::coordinator(cluster, name).await?;
    let request = StreamsGroupDescribeRequest {
        group_ids: vec![name.to_owned()],
        include_authorized_operations: false,
    };
    let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await?;
    let Some(mut described) = answer.groups.into_iter().find(|group| group.group_id == name) else {
        let message = format!("the coordinator did not describe {name}");
        return Err(Thrown::new("java.lang.IllegalStateException", message));
    };
    Thrown::of_item(described.error_code, described.error_message.as_deref())?;
    described.group_state = server::spelled(&STATES, &described.group_state);
    Ok((described, coordinator))
}

/// The parts of a group's topology.
fn subtopologies(group: &DescribedGroup) -> &[Subtopology] {
    group.topology.as_ref().and_then(|topology| topology.subtopologies.as_deref()).unwrap_or_default()
}

async fn describe(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let verbose = found.has("verbose");
    for name in command::names(cluster, OF, found).await? {
        let (group, coordinator) = described(cluster, &name).await.map_err(executed)?;
        if found.has("state") {
            notice(&group, out)?;
            write!(out, "{}", layout::state(&group, &coordinator, verbose))?;
            continue;
        }
        let standing = match found.has("members") {
            true => BTreeMap::new(),
            false => standing(cluster, &group).await?,
        };
        if group.group_state == "Dead" || group.members.is_empty() {
            continue;
        }
        notice(&group, out)?;
        match found.has("members") {
            true => write!(out, "{}", layout::members(&group, verbose))?,
            false => write!(out, "{}", layout::offsets(&name, &standing, verbose))?,
        }
    }
    Ok(())
}

/// What the state of a group means.
fn notice(group: &DescribedGroup, out: &mut Out) -> Result<(), Failure> {
    let name = &group.group_id;
    match group.group_state.as_str() {
        "Dead" => writeln!(out, "{}", error_line(&format!("Streams group '{name}' does not exist.")))?,
        "Empty" => {
            writeln!(out, "{}", error_line(&format!("Streams group '{name}' has no active members.")))?;
        }
        _ => {}
    }
    Ok(())
}

/// Where the active tasks of a group stand in their topics.
async fn standing(
    cluster: &Cluster,
    group: &DescribedGroup,
) -> Result<BTreeMap<TopicPartition, Standing>, Failure> {
    let partitions: Vec<TopicPartition> = layout::read_by_tasks(group)?.into_iter().collect();
    let starts = server::offsets(cluster, &partitions, OffsetSpec::Earliest).await?;
    let ends = server::offsets(cluster, &partitions, OffsetSpec::Latest).await?;
    let committed = committed(cluster, group).await?;
    let of = |at: &TopicPartition| {
        let (start, end) = (*starts.get(at)?, *ends.get(at)?);
        let own = committed.get(at);
        Some(Standing {
            committed: own.map(|(offset, _)| *offset),
            leader_epoch: own.and_then(|(_, epoch)| *epoch),
            end,
            lag: end - own.map_or(start, |(offset, _)| *offset),
        })
    };
    Ok(partitions.iter().filter_map(|at| Some((at.clone(), of(at)?))).collect())
}

/// Committed offsets by partition, each with its leader epoch.
type Committed = BTreeMap<TopicPartition, (i64, Option<i32>)>;

/// The offsets that a group has committed in topics that it reads.
async fn committed(cluster: &Cluster, group: &DescribedGroup) -> Result<Committed, Failure> {
    let sources: BTreeSet<&str> = subtopologies(group)
        .iter()
        .flat_map(|part| {
            let between = part.repartition_source_topics.iter().map(|topic| topic.name.as_str());
            part.source_topics.iter().map(String::as_str).chain(between)
        })
        .collect();
    let mut offsets = server::committed(cluster, &group.group_id).await.map_err(rethrown)?;
    offsets.retain(|at, _| sources.contains(&*at.topic));
    Ok(offsets)
}

/// The offsets that a group has committed in topics that others fill.
async fn committed_inputs(cluster: &Cluster, name: &str) -> Result<Committed, Failure> {
    let (group, _) = described(cluster, name).await.map_err(rethrown)?;
    let inputs: BTreeSet<&str> =
        subtopologies(&group).iter().flat_map(|part| &part.source_topics).map(String::as_str).collect();
    let mut offsets = server::committed(cluster, name).await.map_err(rethrown)?;
    offsets.retain(|at, _| inputs.contains(&*at.topic));
    Ok(offsets)
}

/// The topics that Kafka Streams made for a group.
async fn internal_topics(cluster: &Cluster, name: &str, out: &mut Out) -> Result<Vec<String>, Failure> {
    let group = match described(cluster, name).await {
        Ok((group, _)) => group,
        Err(thrown) => {
            let line = format!("Retrieving internal topics failed due to {}", executed(thrown).message);
            writeln!(out, "{}", error_line(&line))?;
            return Ok(Vec::new());
        }
    };
    let mut internal = Vec::new();
    for topic in layout::made_by_streams(&group) {
        if is_internal(&topic, name) {
            internal.push(topic);
        } else {
            let line = format!(
                "The internal topic '{topic}' is not inferred as internal and thus will not be deleted with the group '{name}'."
            );
            writeln!(out, "{}", error_line(&line))?;
        }
    }
    Ok(internal)
}

/// Deletes topics; what could not be deleted has its error.
async fn delete_topics(cluster: &Cluster, topics: &[String]) -> Result<Vec<(String, Thrown)>, Thrown> {
    let state = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: topics.iter().map(state).collect(),
        topic_names: topics.to_vec(),
        timeout_ms: TIMEOUT_MS,
    };
    let answer = cluster.controller(&request).await?;
    let failed = answer.responses.into_iter().filter_map(|result| {
        let outcome = Thrown::of_item(result.error_code, result.error_message.as_deref());
        Some((result.name.unwrap_or_default(), outcome.err()?))
    });
    Ok(failed.collect())
}

async fn delete(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let there = command::listed(cluster, OF, &[]).await.map_err(rethrown)?;
    let wanted = command::names(cluster, OF, found).await?;
    let (mut results, mut topics) = (BTreeMap::new(), BTreeMap::new());
    for name in wanted {
        let listed = there.iter().find(|group| group.group_id == name);
        let may = shared::may_delete("Streams", &name, listed.map(|group| &*group.group_state));
        if may.is_ok() && found.has("delete-all-internal-topics") {
            let internal = internal_topics(cluster, &name, out).await?;
            if !internal.is_empty() {
                topics.insert(name.clone(), internal);
            }
        }
        let result = match may {
            Ok(()) => command::delete(cluster, &name).await,
            Err(thrown) => Err(thrown),
        };
        results.insert(name, result);
    }
    topics.retain(|name, _| results.get(name).is_some_and(Result::is_ok));
    let mut failed: Vec<(String, Thrown)> = Vec::new();
    for (name, topics) in &topics {
        match delete_topics(cluster, topics).await {
            Ok(wrong) => {
                for (topic, _) in &wrong {
                    writeln!(out, "Failed to delete internal topic: {topic}")?;
                }
                failed.extend(wrong.into_iter().next().map(|(_, thrown)| (name.clone(), thrown)));
            }
            Err(thrown) => failed.push((name.clone(), thrown)),
        }
    }
    let ended = shared::deletions("streams", results, out);
    if !topics.is_empty() {
        write!(out, "{}", layout::topics_deleted(topics.keys(), &failed))?;
    }
    let unknown = exception::class(ErrorCode::UnknownTopicOrPartition);
    if failed.iter().any(|(_, thrown)| thrown.class != unknown) {
        return Err(Stop::quiet(1).into());
    }
    ended
}

async fn delete_offsets(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let name = found.value("group").unwrap_or_default();
    if found.has("all-input-topics") {
        let partitions = committed_inputs(cluster, name).await?.into_keys().collect();
        return consumer_groups::delete::of_partitions(cluster, name, partitions, out).await;
    }
    consumer_groups::delete::of_topics(cluster, name, &found.values("input-topic"), out).await
}
