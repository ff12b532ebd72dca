//! Consumer groups described: offsets and lag, members, or the state.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use ottla_client::{Cluster, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;

use super::layout::{self, OffsetRow};
use super::server::{self, Group};
use super::{Failure, error_line, rethrown};
use crate::args::jopt::Found;
use crate::runtime::{Out, Thrown};

pub(super) async fn describe(cluster: &Cluster, found: &Found, out: &mut Out) -> Result<(), Failure> {
    let names = if found.has("all-groups") {
        server::list_consumer_groups(cluster).await?
    } else {
        found.values("group").into_iter().map(str::to_owned).collect()
    };
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for name in names {
        let described = server::describe(cluster, &name).await;
        if described
            .as_ref()
            .is_err_and(|thrown| thrown.class == exception::class(ErrorCode::GroupIdNotFound))
        {
            // What Kafka's tool said before 4.0; what 4.3's says follows.
            eprintln!("Error: Consumer group '{name}' does not exist.");
        }
        let group = server::got(described)?;
        groups.insert(name, group);
    }
    let verbose = found.has("verbose");
    if found.has("members") {
        for (name, group) in &groups {
            let shown = may_show(group, group.members.len(), out)?;
            write!(out, "{}", layout::members(name, &group.members, verbose, shown))?;
        }
        return Ok(());
    }
    if found.has("state") {
        for group in groups.values() {
            if may_show(group, 1, out)? {
                write!(out, "{}", layout::state(group, verbose))?;
            }
        }
        return Ok(());
    }
    let mut tables = Vec::new();
    for group in groups.values() {
        tables.push((group, rows(cluster, group).await?));
    }
    for (group, rows) in tables {
        if may_show(group, rows.len(), out)? {
            write!(out, "{}", layout::offsets(&group.id, &rows, verbose))?;
        }
    }
    Ok(())
}

/// Says what the state of a group means, and whether there is anything to show.
fn may_show(group: &Group, rows: usize, out: &mut Out) -> Result<bool, Failure> {
    let name = &group.id;
    match group.state.as_str() {
        "Dead" => writeln!(out, "{}", error_line(&format!("Consumer group '{name}' does not exist.")))?,
        "Empty" => eprintln!("\nConsumer group '{name}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            eprintln!("\nWarning: Consumer group '{name}' is rebalancing.");
        }
        "Stable" => {}
        other => {
            return Err(Thrown::new(
                "org.apache.kafka.common.KafkaException",
                format!("Expected a valid consumer group state, but found '{other}'."),
            )
            .into());
        }
    }
    Ok(group.state != "Dead" && rows > 0)
}

async fn rows(cluster: &Cluster, group: &Group) -> Result<Vec<OffsetRow>, Failure> {
    let committed = server::committed(cluster, &group.id).await.map_err(rethrown)?;
    let ends = ends(cluster, &partitions_of(group, &committed)).await?;
    Ok(table(group, &committed, &ends))
}

/// The partitions that a group has to do with.
pub(crate) fn partitions_of<'a>(
    group: &'a Group,
    committed: &'a BTreeMap<TopicPartition, (i64, Option<i32>)>,
) -> BTreeSet<&'a TopicPartition> {
    let owned = group.members.iter().flat_map(|member| &member.assignment);
    committed.keys().chain(owned).collect()
}

/// Those of the partitions that have a leader, and the topics that are no more.
pub(crate) async fn led<'a>(
    cluster: &Cluster,
    partitions: &BTreeSet<&'a TopicPartition>,
) -> Result<(Vec<&'a TopicPartition>, Vec<String>), Thrown> {
    let names: BTreeSet<&str> = partitions.iter().map(|at| &*at.topic).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let metadata = if names.is_empty() { Default::default() } else { cluster.metadata(Some(&names)).await? };
    let mut led: BTreeSet<(&str, i32)> = BTreeSet::new();
    let mut gone = Vec::new();
    for topic in &metadata.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        if topic.error_code != 0 {
            gone.push(name.to_owned());
        }
        let alive = topic.partitions.iter().filter(|at| at.leader_id >= 0);
        led.extend(alive.map(|at| (name, at.partition_index)));
    }
    let led = partitions.iter().copied().filter(|at| led.contains(&(&*at.topic, at.partition)));
    Ok((led.collect(), gone))
}

/// Where partitions end; a partition without a leader has no end to tell.
async fn ends(
    cluster: &Cluster,
    partitions: &BTreeSet<&TopicPartition>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let names: BTreeSet<&str> = partitions.iter().map(|at| &*at.topic).collect();
    let metadata = server::topics(cluster, &names).await.map_err(rethrown)?;
    let mut leaderless: BTreeSet<TopicPartition> = BTreeSet::new();
    for topic in &metadata.topics {
        for partition in topic.partitions.iter().filter(|partition| partition.leader_id < 0) {
            let name = topic.name.as_deref().unwrap_or_default();
            leaderless.insert(TopicPartition::new(name, partition.partition_index));
        }
    }
    let led = partitions.iter().copied().filter(|at| !leaderless.contains(at));
    Ok(server::offsets(cluster, led, OffsetSpec::Latest).await?)
}

/// The rows of a group: members with most partitions first, then what nobody owns; within one owner by topic and
/// partition.
pub(crate) fn table(
    group: &Group,
    committed: &BTreeMap<TopicPartition, (i64, Option<i32>)>,
    ends: &BTreeMap<TopicPartition, i64>,
) -> Vec<OffsetRow> {
    let row = |at: &TopicPartition, owner: [&str; 3]| OffsetRow {
        topic: at.topic.to_string(),
        partition: at.partition,
        leader_epoch: committed.get(at).and_then(|(_, epoch)| *epoch),
        offset: committed.get(at).map(|(offset, _)| *offset),
        end: ends.get(at).copied(),
        member: owner[0].to_owned(),
        host: owner[1].to_owned(),
        client: owner[2].to_owned(),
    };
    let mut members: Vec<_> = group.members.iter().filter(|member| !member.assignment.is_empty()).collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    let mut rows = Vec::new();
    let mut owned = BTreeSet::new();
    for member in members {
        let assignment: BTreeSet<&TopicPartition> = member.assignment.iter().collect();
        rows.extend(assignment.iter().map(|at| row(at, [&member.id, &member.host, &member.client])));
        owned.extend(assignment);
    }
    let free = committed.keys().filter(|at| !owned.contains(at));
    rows.extend(free.map(|at| row(at, [layout::MISSING; 3])));
    rows
}
