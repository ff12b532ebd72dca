//! Groups deleted, and offsets of groups deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_client::{Cluster, CoordinatorKind, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::OffsetDeleteRequest;
use ottla_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::{Failure, command, error_line, layout, plan, server};
use crate::args::jopt::Found;
use crate::runtime::{Out, Stop, java};

pub(super) async fn groups(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let names: BTreeSet<String> = if found.has("all-groups") {
        server::list_consumer_groups(cluster).await?.into_iter().collect()
    } else {
        found.values("group").into_iter().map(str::to_owned).collect()
    };
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        match command::delete(cluster, &name).await {
            Ok(()) => deleted.push(name),
            Err(thrown) => failed.push((name, thrown)),
        }
    }
    let deleted = java::hash_order(deleted, |name| name);
    let list = deleted.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    if failed.is_empty() {
        writeln!(out, "Deletion of requested consumer groups ({list}) was successful.")?;
        return Ok(());
    }
    writeln!(out, "{}", error_line("Deletion of some consumer groups failed:"))?;
    for (name, thrown) in java::hash_order(failed, |(name, _)| name) {
        writeln!(out, "* Group '{name}' could not be deleted due to: {}: {}", thrown.class, thrown.message)?;
    }
    if !deleted.is_empty() {
        writeln!(out, "\nThese consumer groups were deleted successfully: {list}")?;
    }
    Err(Stop::quiet(1).into())
}

type Results = BTreeMap<TopicPartition, Result<(), ErrorCode>>;

pub(super) async fn offsets(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    of_topics(cluster, found.value("group").unwrap_or_default(), &found.values("topic"), out).await
}

/// Deletes the offsets of a group in topics, or in some of their partitions (`topic:0,1`).
pub(crate) async fn of_topics(
    cluster: &Cluster,
    group: &str,
    topics: &[&str],
    out: &mut Out,
) -> Result<(), Failure> {
    let mut results = Results::new();
    let mut partitions: BTreeSet<TopicPartition> = BTreeSet::new();
    let (with, without): (Vec<&str>, Vec<&str>) = topics.iter().partition(|topic| topic.contains(':'));
    for arg in with {
        partitions.extend(plan::topic_with_partitions(arg)?);
    }
    if !without.is_empty() {
        for topic in cluster.metadata(Some(&without)).await?.topics {
            let name = topic.name.unwrap_or_default();
            match ErrorCode::from_i16(topic.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => partitions.extend(
                    topic.partitions.iter().map(|at| TopicPartition::new(name.as_str(), at.partition_index)),
                ),
                code => {
                    results.insert(TopicPartition::new(name, -1), Err(code));
                }
            }
        }
    }
    finish(cluster, group, &partitions, results, out).await
}

/// The same for partitions.
pub(crate) async fn of_partitions(
    cluster: &Cluster,
    group: &str,
    partitions: BTreeSet<TopicPartition>,
    out: &mut Out,
) -> Result<(), Failure> {
    finish(cluster, group, &partitions, Results::new(), out).await
}

async fn finish(
    cluster: &Cluster,
    group: &str,
    partitions: &BTreeSet<TopicPartition>,
    mut results: Results,
    out: &mut Out,
) -> Result<(), Failure> {
    let top = delete_offsets(cluster, group, partitions, &mut results).await?;
    match top {
        ErrorCode::None => writeln!(out, "Request succeeded for deleting offsets from group {group}.")?,
        ErrorCode::InvalidGroupId
        | ErrorCode::GroupIdNotFound
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::NonEmptyGroup => writeln!(out, "{}", error_line(exception::message(top)))?,
        ErrorCode::GroupSubscribedToTopic
        | ErrorCode::TopicAuthorizationFailed
        | ErrorCode::UnknownTopicOrPartition => {
            let message = "Encountered some partition-level error, see the follow-up details.";
            writeln!(out, "{}", error_line(message))?;
        }
        other => writeln!(out, "{}", error_line(&format!("Encountered some unknown error: {other}")))?,
    }
    let mut rows: Vec<(TopicPartition, Result<(), String>)> = results
        .into_iter()
        .map(|(at, result)| (at, result.map_err(|code| exception::text(code, None))))
        .collect();
    rows.sort_by_key(|(at, _)| format!("{}{}", at.topic, at.partition));
    write!(out, "{}", layout::deleted(&rows))?;
    if rows.iter().all(|(_, result)| result.is_ok()) { Ok(()) } else { Err(Stop::quiet(1).into()) }
}

/// Asks for the deletion and notes what became of each partition; the error that counts for the whole is given back.
async fn delete_offsets(
    cluster: &Cluster,
    group: &str,
    partitions: &BTreeSet<TopicPartition>,
    results: &mut Results,
) -> Result<ErrorCode, Failure> {
    let mut topics: Vec<OffsetDeleteRequestTopic> = Vec::new();
    for at in partitions {
        if topics.last().is_none_or(|topic| topic.name != *at.topic) {
            topics.push(OffsetDeleteRequestTopic { name: at.topic.to_string(), partitions: Vec::new() });
        }
        let topic = topics.last_mut().expect("one has just been put there");
        topic.partitions.push(OffsetDeleteRequestPartition { partition_index: at.partition });
    }
    let request = OffsetDeleteRequest { group_id: group.to_owned(), topics };
    let answer = cluster.coordinator(CoordinatorKind::Group, group, &request).await?;
    let code = |code: i16| ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
    let top = code(answer.error_code);
    for at in partitions {
        results.insert(at.clone(), if top == ErrorCode::None { Ok(()) } else { Err(top) });
    }
    let mut first = top;
    for topic in &answer.topics {
        for at in topic.partitions.iter().filter(|at| at.error_code != 0) {
            let code = code(at.error_code);
            results.insert(TopicPartition::new(topic.name.as_str(), at.partition_index), Err(code));
            if first == ErrorCode::None {
                first = code;
            }
        }
    }
    Ok(first)
}
