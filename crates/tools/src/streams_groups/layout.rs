//! The tables of `kafka-streams-groups`: pure, from what is known to text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ottla_client::{Node, TopicPartition};
use ottla_protocol::messages::streams_group_describe_response::{Assignment, DescribedGroup, TaskIds};

use super::subtopologies;
use crate::consumer_groups::layout::{length, pad};
use crate::runtime::Thrown;

/// Where a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) committed: Option<i64>,
    pub(super) leader_epoch: Option<i32>,
    pub(super) end: i64,
    pub(super) lag: i64,
}

/// Cells, each as wide as it is told and with a blank behind it; the last one as it is.
fn row(cells: &[(&str, usize)]) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        pad(&mut text, cell, *width);
    }
    text.push('\n');
    text
}

fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The partitions that active tasks read.
pub(super) fn read_by_tasks(group: &DescribedGroup) -> Result<BTreeSet<TopicPartition>, Thrown> {
    let mut partitions = BTreeSet::new();
    for task in group.members.iter().flat_map(|member| &member.assignment.active_tasks) {
        let id = &task.subtopology_id;
        let part = subtopologies(group).iter().find(|part| part.subtopology_id == *id).ok_or_else(|| {
            Thrown::illegal_argument(format!("Subtopology {id} not found in group description!"))
        })?;
        let between = part.repartition_source_topics.iter().map(|topic| &topic.name);
        for topic in part.source_topics.iter().chain(between) {
            partitions.extend(task.partitions.iter().map(|at| TopicPartition::new(topic.as_str(), *at)));
        }
    }
    Ok(partitions)
}

/// The topics of a topology that are not its inputs: repartition and changelog topics, each once.
pub(super) fn made_by_streams(group: &DescribedGroup) -> BTreeSet<String> {
    let parts = subtopologies(group);
    let inputs: BTreeSet<&String> = parts.iter().flat_map(|part| &part.source_topics).collect();
    let made = parts
        .iter()
        .flat_map(|part| part.repartition_source_topics.iter().chain(&part.state_changelog_topics));
    made.map(|topic| &topic.name).filter(|topic| !inputs.contains(topic)).cloned().collect()
}

/// A group's offsets.
pub(super) fn offsets(group: &str, standing: &BTreeMap<TopicPartition, Standing>, verbose: bool) -> String {
    let group_width = length(group).max(15);
    let topic_width = standing.keys().map(|at| length(&at.topic)).max().unwrap_or(0).max(15);
    let line = |cells: [&str; 7]| {
        let [group, topic, partition, committed, epoch, end, lag] = cells;
        let mut cells = vec![(group, group_width), (topic, topic_width), (partition, 10)];
        match verbose {
            true => cells.extend([(committed, 15), (epoch, 15), (end, 15), (lag, 15)]),
            false => cells.push((lag, 0)),
        }
        row(&cells)
    };
    let mut text = line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LEADER-EPOCH",
        "LOG-END-OFFSET",
        "OFFSET-LAG",
    ]);
    for (at, standing) in standing {
        text += &line([
            group,
            &at.topic,
            &at.partition.to_string(),
            &or_missing(standing.committed),
            &or_missing(standing.leader_epoch),
            &standing.end.to_string(),
            &standing.lag.to_string(),
        ]);
    }
    text
}

/// A group's state.
pub(super) fn state(group: &DescribedGroup, coordinator: &Node, verbose: bool) -> String {
    let at = format!("{}:{} ({})", coordinator.host, coordinator.port, coordinator.id);
    let (group_width, at_width) = (length(&group.group_id).max(15), length(&at).max(25));
    let line = |cells: [&str; 6]| {
        let [name, at, state, epoch, target, members] = cells;
        let mut cells = vec![(name, group_width), (at, at_width), (state, 25)];
        if verbose {
            cells.extend([(epoch, 15), (target, 25)]);
        }
        cells.push((members, 0));
        row(&cells)
    };
    let head =
        line(["GROUP", "COORDINATOR (ID)", "STATE", "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS"]);
    head + &line([
        &group.group_id,
        &at,
        &group.group_state,
        &group.group_epoch.to_string(),
        &group.assignment_epoch.to_string(),
        &group.members.len().to_string(),
    ])
}

fn tasks(tasks: &[TaskIds], kind: &str) -> String {
    if tasks.is_empty() {
        return String::new();
    }
    let mut text = format!("{kind}: ");
    for task in tasks {
        let partitions: Vec<String> = task.partitions.iter().map(i32::to_string).collect();
        let _ = write!(text, "{}:[{}]; ", task.subtopology_id, partitions.join(","));
    }
    text
}

fn given(assignment: &Assignment, prefix: &str) -> String {
    tasks(&assignment.active_tasks, &format!("{prefix}ACTIVE"))
        + &tasks(&assignment.standby_tasks, &format!("{prefix}STANDBY"))
        + &tasks(&assignment.warmup_tasks, &format!("{prefix}WARMUP"))
}

/// A group's members.
pub(super) fn members(group: &DescribedGroup, verbose: bool) -> String {
    let widest = |cell: fn(&ottla_protocol::messages::streams_group_describe_response::Member) -> &str| {
        group.members.iter().map(|member| length(cell(member))).max().unwrap_or(0).max(15)
    };
    let name_width = length(&group.group_id).max(15);
    let (id_width, process_width, client_width) = (
        widest(|member| &member.member_id),
        widest(|member| &member.process_id),
        widest(|member| &member.client_id),
    );
    let line = |cells: [&str; 9]| {
        let [name, target, topology, id, protocol, epoch, process, client, assignments] = cells;
        if !verbose {
            return row(&[
                (name, name_width),
                (id, id_width),
                (process, process_width),
                (client, client_width),
                (assignments, 0),
            ]);
        }
        // Kafka's format has no blank behind the topology's epoch.
        let mut epoch_and_id = String::new();
        pad(&mut epoch_and_id, topology, 15);
        pad(&mut epoch_and_id, id, id_width);
        row(&[
            (name, name_width),
            (target, 25),
            (&epoch_and_id, 0),
            (protocol, 15),
            (epoch, 15),
            (process, process_width),
            (client, client_width),
            (assignments, 0),
        ])
    };
    let mut text = line([
        "GROUP",
        "TARGET-ASSIGNMENT-EPOCH",
        "TOPOLOGY-EPOCH",
        "MEMBER",
        "MEMBER-PROTOCOL",
        "MEMBER-EPOCH",
        "PROCESS",
        "CLIENT-ID",
        "ASSIGNMENTS",
    ]);
    let topology = group.topology.as_ref().map_or(-1, |topology| topology.epoch);
    for member in &group.members {
        let target = if verbose { given(&member.target_assignment, "TARGET-") } else { String::new() };
        text += &line([
            &group.group_id,
            &group.assignment_epoch.to_string(),
            &topology.to_string(),
            &member.member_id,
            if member.is_classic { "classic" } else { "streams" },
            &member.member_epoch.to_string(),
            &member.process_id,
            &member.client_id,
            &(given(&member.assignment, "") + &target),
        ]);
    }
    text
}

/// Offsets to which groups are reset.
pub(super) fn resets(groups: &[(String, Vec<(TopicPartition, i64)>)]) -> String {
    let line = |group: &str, topic: &str, partition: &str, offset: &str| {
        let text = row(&[(group, 30), (topic, 30), (partition, 10), (offset, 15)]);
        format!("\n{}", text.trim_end_matches('\n'))
    };
    let mut text = String::new();
    if !groups.is_empty() {
        text += &line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (group, offsets) in groups {
        for (at, offset) in offsets {
            text += &line(group, &at.topic, &at.partition.to_string(), &offset.to_string());
        }
    }
    text + "\n"
}

/// What became of the internal topics of groups that are gone.
pub(super) fn topics_deleted<'a>(
    groups: impl Iterator<Item = &'a String>,
    failed: &[(String, Thrown)],
) -> String {
    if failed.is_empty() {
        let groups: Vec<&str> = groups.map(String::as_str).collect();
        return format!(
            "Deletion of associated internal topics of the streams groups ('{}') was successful.\n",
            groups.join("', '")
        );
    }
    let mut text = String::from("Deletion of some associated internal topics failed:\n");
    for (group, thrown) in failed {
        let _ = writeln!(
            text,
            "* Internal topics of the streams group '{group}' could not be deleted due to: {}: {}",
            thrown.class, thrown.message
        );
    }
    text
}
