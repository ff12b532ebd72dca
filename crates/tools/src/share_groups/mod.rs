//! `kafka-share-groups`: share groups (KIP-932) listed, described and deleted, their offsets reset and deleted.

pub(crate) mod layout;
mod options;
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
use ottla_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use ottla_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use ottla_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use ottla_protocol::messages::share_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequest,
    ShareGroupDescribeRequest,
};

use crate::args::jopt::Found;
use crate::consumer_groups::command::{self, Command};
use crate::consumer_groups::{Failure, error_line, executed, plan, reset, rethrown, server};
use crate::runtime::{self, Out, Stop, Thrown};
use layout::Offset;

/// Their type, as ListGroups spells it.
const OF: &str = "Share";
/// States that share groups may have.
const STATES: [&str; 3] = ["Stable", "Dead", "Empty"];

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-share-groups", args, share_groups)
}

const COMMAND: Command = Command {
    kind: "share",
    parser: options::parser,
    check: options::check,
    not_served: Some(
        "    cause: this cluster serves no share groups (KIP-932); Ottla does not yet, Apache Kafka does from 4.2 on\n    next: kafka-groups --list shows the groups that there are",
    ),
};

fn share_groups(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let (parser, found) = COMMAND.read(args, out)?;
    COMMAND.on_cluster(&parser, &found, async |cluster| act(cluster, &found, out).await)
}

async fn act(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    if found.has("list") {
        command::list(cluster, OF, &STATES, found, out).await
    } else if found.has("describe") {
        describe(cluster, found, out).await
    } else if found.has("delete") {
        delete(cluster, found, out).await
    } else if found.has("reset-offsets") {
        reset_offsets(cluster, found, out).await
    } else {
        delete_offsets(cluster, found, out).await
    }
}

/// A group with the node that keeps it.
struct Group {
    described: DescribedGroup,
    coordinator: Node,
}

async fn described(cluster: &Cluster, name: &str) -> Result<Group, Thrown> {
    let coordinator = server::coordinator(cluster, name).await?;
    let request =
        ShareGroupDescribeRequest { group_ids: vec![name.to_owned()], include_authorized_operations: false };
    let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await?;
    let Some(mut described) = answer.groups.into_iter().find(|group| group.group_id == name) else {
        let message = format!("the coordinator did not describe {name}");
        return Err(Thrown::new("java.lang.IllegalStateException", message));
    };
    Thrown::of_item(described.error_code, described.error_message.as_deref())?;
    described.group_state = server::spelled(&STATES, &described.group_state);
    Ok(Group { described, coordinator })
}

async fn describe(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let mut groups = Vec::new();
    let names: BTreeSet<String> = command::names(cluster, OF, found).await?.into_iter().collect();
    for name in names {
        groups.push(described(cluster, &name).await.map_err(executed)?);
    }
    let verbose = found.has("verbose");
    for Group { described: group, coordinator } in &groups {
        let (name, state) = (&group.group_id, group.group_state.as_str());
        if found.has("members") {
            if may_show(name, state, group.members.len(), out)? {
                write!(out, "{}", layout::members(group, verbose))?;
            }
        } else if found.has("state") {
            may_show(name, state, 1, out)?;
            write!(out, "{}", layout::state(group, coordinator, verbose))?;
        } else {
            let offsets = offsets(cluster, name).await.map_err(rethrown)?;
            match offsets.is_empty() {
                true => writeln!(out, "\nShare group '{name}' has no offset information.")?,
                false => write!(out, "{}", layout::offsets(name, &offsets, verbose))?,
            }
        }
    }
    Ok(())
}

/// Says what the state of a group means, and whether there is anything to show.
fn may_show(name: &str, state: &str, rows: usize, out: &mut Out) -> Result<bool, Failure> {
    match state {
        "Dead" => writeln!(out, "{}", error_line(&format!("Share group '{name}' does not exist.")))?,
        "Empty" => eprintln!("\nShare group '{name}' has no active members."),
        _ => {}
    }
    Ok(state != "Dead" && rows > 0)
}

/// Where a group's partitions start; `None` where that is not known yet.
async fn offsets(cluster: &Cluster, name: &str) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Thrown> {
    let group = DescribeShareGroupOffsetsRequestGroup { group_id: name.to_owned(), topics: None };
    let request = DescribeShareGroupOffsetsRequest { groups: vec![group] };
    let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await?;
    let mut offsets = BTreeMap::new();
    for group in answer.groups.into_iter().filter(|group| group.group_id == name) {
        Thrown::of_item(group.error_code, group.error_message.as_deref())?;
        for topic in group.topics {
            for part in topic.partitions {
                let at = TopicPartition::new(topic.topic_name.as_str(), part.partition_index);
                if part.error_code != 0 {
                    runtime::warn(format_args!(
                        "Skipping return offset for {at} due to error {}: {}.",
                        part.error_code,
                        part.error_message.as_deref().unwrap_or("null")
                    ));
                    continue;
                }
                let offset = (part.start_offset >= 0).then_some(Offset {
                    start: part.start_offset,
                    leader_epoch: (part.leader_epoch >= 0).then_some(part.leader_epoch),
                    lag: (part.lag >= 0).then_some(part.lag),
                });
                offsets.insert(at, offset);
            }
        }
    }
    Ok(offsets)
}

async fn delete(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let there = command::listed(cluster, OF, &[]).await.map_err(rethrown)?;
    let wanted: Vec<String> = match found.has("all-groups") {
        true => there.iter().map(|group| group.group_id.clone()).collect(),
        false => found.values("group").into_iter().map(str::to_owned).collect(),
    };
    let mut results: BTreeMap<String, Result<(), Thrown>> = BTreeMap::new();
    for name in wanted {
        let listed = there.iter().find(|group| group.group_id == name);
        let result = match layout::may_delete("Share", &name, listed.map(|group| &*group.group_state)) {
            Ok(()) => command::delete(cluster, &name).await,
            Err(thrown) => Err(thrown),
        };
        results.insert(name, result);
    }
    layout::deletions("share", results, out)
}

async fn reset_offsets(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let name = found.value("group").unwrap_or_default();
    match described(cluster, name).await {
        Ok(group) if !matches!(group.described.group_state.as_str(), "Empty" | "Dead") => {
            return Err(Stop::error(format!("Share group '{name}' is not empty.")).into());
        }
        Ok(_) => {}
        Err(thrown) if thrown.class == exception::class(ErrorCode::GroupIdNotFound) => {}
        Err(thrown) if thrown.class == exception::class(ErrorCode::UnsupportedVersion) => {
            return Err(executed(thrown).into());
        }
        Err(thrown) => return Err(Stop::error(thrown.message).and_err(thrown.causes).into()),
    }
    let partitions = if found.has("topic") {
        reset::named(cluster, &found.values("topic")).await?
    } else {
        offsets(cluster, name).await?.into_keys().collect()
    };
    reset::check(cluster, &partitions).await?;
    let targets = if found.has("to-earliest") {
        server::offsets(cluster, &partitions, OffsetSpec::Earliest).await?
    } else if found.has("to-latest") {
        server::offsets(cluster, &partitions, OffsetSpec::Latest).await?
    } else {
        let timestamp = plan::date_time(found.value("to-datetime").unwrap_or_default())?;
        reset::at_time(cluster, &partitions, timestamp, out).await?
    };
    if found.has("execute") {
        alter(cluster, name, &targets).await?;
    }
    let targets = plan::java_order(targets.into_iter().collect());
    write!(out, "{}", crate::consumer_groups::layout::resets(&[(name.to_owned(), targets)]))?;
    Ok(())
}

async fn alter(cluster: &Cluster, name: &str, targets: &BTreeMap<TopicPartition, i64>) -> Result<(), Thrown> {
    let mut topics: Vec<AlterShareGroupOffsetsRequestTopic> = Vec::new();
    for (at, offset) in targets {
        if topics.last().is_none_or(|topic| topic.topic_name != *at.topic) {
            topics.push(AlterShareGroupOffsetsRequestTopic {
                topic_name: at.topic.to_string(),
                partitions: Vec::new(),
            });
        }
        let topic = topics.last_mut().expect("one has just been put there");
        topic.partitions.push(AlterShareGroupOffsetsRequestPartition {
            partition_index: at.partition,
            start_offset: *offset,
        });
    }
    let request = AlterShareGroupOffsetsRequest { group_id: name.to_owned(), topics };
    let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await?;
    Thrown::of_item(answer.error_code, answer.error_message.as_deref())?;
    for part in answer.responses.iter().flat_map(|topic| &topic.partitions) {
        Thrown::of_item(part.error_code, part.error_message.as_deref())?;
    }
    Ok(())
}

async fn delete_offsets(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let name = found.value("group").unwrap_or_default();
    let topics: BTreeSet<&str> = found.values("topic").into_iter().collect();
    let topic = |name: &&str| DeleteShareGroupOffsetsRequestTopic { topic_name: (*name).to_owned() };
    let request = DeleteShareGroupOffsetsRequest {
        group_id: name.to_owned(),
        topics: topics.iter().map(topic).collect(),
    };
    let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await?;
    let mut rows: BTreeMap<&str, Result<(), String>> = BTreeMap::new();
    let whole = Thrown::of_item(answer.error_code, answer.error_message.as_deref());
    if let Err(thrown) = &whole {
        let expected = matches!(
            ErrorCode::from_i16(answer.error_code),
            Some(
                ErrorCode::InvalidGroupId
                    | ErrorCode::GroupIdNotFound
                    | ErrorCode::GroupAuthorizationFailed
                    | ErrorCode::NonEmptyGroup
            )
        );
        let line = match expected {
            true => thrown.message.clone(),
            false => format!("Encounter some unknown error: {}: {}", thrown.class, thrown.message),
        };
        writeln!(out, "{}", error_line(&line))?;
    }
    for topic in topics {
        let own = answer.responses.iter().find(|result| result.topic_name == topic);
        let result = whole.clone().and_then(|()| {
            own.map_or(Ok(()), |own| Thrown::of_item(own.error_code, own.error_message.as_deref()))
        });
        rows.insert(topic, result.map_err(|thrown| thrown.message));
    }
    write!(out, "{}", layout::deleted_offsets(&rows))?;
    if rows.values().all(Result::is_ok) { Ok(()) } else { Err(Stop::quiet(1).into()) }
}
