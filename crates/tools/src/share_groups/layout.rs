//! The tables of `kafka-share-groups`, some of which `kafka-streams-groups` has too: pure, from what is known to text.

use std::collections::BTreeMap;
use std::io::Write as _;

use ottla_client::{Node, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::share_group_describe_response::{DescribedGroup, Member};

use crate::consumer_groups::layout::{assignment, length, pad};
use crate::consumer_groups::{Failure, error_line};
use crate::runtime::{Out, Stop, Thrown, java};

/// Where a group starts to read a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) start: i64,
    pub(super) leader_epoch: Option<i32>,
    pub(super) lag: Option<i64>,
}

/// Cells side by side, each as wide as it is told; the last one as it is.
fn row(cells: &[(&str, usize)]) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        pad(&mut text, cell, *width);
    }
    text
}

fn widest<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    cells.map(length).max().unwrap_or(0).max(15)
}

/// `--state stable,empty`; nothing means all.
pub(crate) fn states(input: &str, valid: &[&str]) -> Result<Vec<String>, Thrown> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let one = |name: &str| valid.iter().find(|valid| valid.eq_ignore_ascii_case(name.trim()));
    let named = input.split(',').map(|name| one(name).map(|name| (*name).to_owned()));
    named.collect::<Option<_>>().ok_or_else(|| {
        Thrown::illegal_argument(format!(
            "Invalid state list '{input}'. Valid states are: {}",
            valid.join(", ")
        ))
    })
}

/// Groups with their states.
pub(crate) fn list(groups: &[ListedGroup]) -> String {
    let width = widest(groups.iter().map(|group| group.group_id.as_str()));
    let mut text = row(&[("GROUP", width), ("STATE", 0)]) + "\n";
    for group in groups {
        let state = if group.group_state.is_empty() { "Unknown" } else { &group.group_state };
        text += &(row(&[(&group.group_id, width), (state, 0)]) + "\n");
    }
    text
}

fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A group's offsets, with an empty line before them and the end of the last line after them.
pub(super) fn offsets(
    group: &str,
    offsets: &BTreeMap<TopicPartition, Option<Offset>>,
    verbose: bool,
) -> String {
    let group_width = length(group).max(15);
    let topic_width = widest(offsets.keys().map(|at| &*at.topic));
    let line = |cells: [&str; 6]| {
        let [group, topic, partition, epoch, start, lag] = cells;
        let mut cells = vec![(group, group_width), (topic, topic_width), (partition, 10)];
        if verbose {
            cells.push((epoch, 13));
        }
        cells.extend([(start, 13), (lag, 0)]);
        format!("\n{}", row(&cells))
    };
    let mut text = line(["GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "START-OFFSET", "LAG"]);
    for (at, offset) in offsets {
        let epoch = or_missing(offset.as_ref().and_then(|offset| offset.leader_epoch));
        let start = or_missing(offset.as_ref().map(|offset| offset.start));
        let lag = or_missing(offset.as_ref().and_then(|offset| offset.lag));
        text += &line([group, &at.topic, &at.partition.to_string(), &epoch, &start, &lag]);
    }
    text + "\n"
}

/// A group's state.
pub(super) fn state(group: &DescribedGroup, coordinator: &Node, verbose: bool) -> String {
    let at = format!("{}:{}  ({})", coordinator.host, coordinator.port, coordinator.id);
    let (group_width, at_width) = (length(&group.group_id).max(15), length(&at).max(25));
    let line = |cells: [&str; 6]| {
        let [name, at, state, epoch, target, members] = cells;
        let mut row_cells = vec![(name, group_width), (at, at_width), (state, 15)];
        if verbose {
            row_cells.extend([(epoch, 12), (target, 17)]);
        }
        row_cells.push((members, 0));
        format!("\n{}", row(&row_cells))
    };
    let head = line(["GROUP", "COORDINATOR (ID)", "STATE", "GROUP-EPOCH", "ASSIGNMENT-EPOCH", "#MEMBERS"]);
    let own = line([
        &group.group_id,
        &at,
        &group.group_state,
        &group.group_epoch.to_string(),
        &group.assignment_epoch.to_string(),
        &group.members.len().to_string(),
    ]);
    format!("{head}{own}\n")
}

fn partitions(member: &Member) -> Vec<TopicPartition> {
    let topics = member.assignment.topic_partitions.iter();
    topics
        .flat_map(|topic| {
            topic.partitions.iter().map(|at| TopicPartition::new(topic.topic_name.as_str(), *at))
        })
        .collect()
}

/// A group's members.
pub(super) fn members(group: &DescribedGroup, verbose: bool) -> String {
    let mut all: Vec<&Member> = group.members.iter().collect();
    all.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    let name_width = length(&group.group_id).max(15);
    let id_width = widest(all.iter().map(|member| member.member_id.as_str()));
    let host_width = widest(all.iter().map(|member| member.client_host.as_str()));
    let client_width = widest(all.iter().map(|member| member.client_id.as_str()));
    let line = |cells: [&str; 7]| {
        let [name, id, host, client, count, epoch, assignment] = cells;
        let mut cells =
            vec![(name, name_width), (id, id_width), (host, host_width), (client, client_width), (count, 12)];
        if verbose {
            cells.push((epoch, 13));
        }
        cells.push((assignment, 0));
        format!("\n{}", row(&cells))
    };
    let mut text =
        line(["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "MEMBER-EPOCH", "ASSIGNMENT"]);
    for member in all {
        let partitions = partitions(member);
        let given = if partitions.is_empty() { String::new() } else { assignment(&partitions) };
        text += &line([
            &group.group_id,
            &member.member_id,
            &member.client_host,
            &member.client_id,
            &partitions.len().to_string(),
            &member.member_epoch.to_string(),
            &given,
        ]);
    }
    text + "\n"
}

/// Whether a group in this state may be deleted; `None`: no group of this kind has that name.
pub(crate) fn may_delete(kind: &str, name: &str, state: Option<&str>) -> Result<(), Thrown> {
    let lower = kind.to_lowercase();
    match state {
        None if kind == "Share" => {
            Err(Thrown::illegal_argument(format!("Group '{name}' is not a {lower} group.")))
        }
        None => {
            Err(Thrown::illegal_argument(format!("Group '{name}' does not exist or is not a {lower} group.")))
        }
        Some("Dead") => Err(Thrown::new(
            "java.lang.IllegalStateException",
            format!("{kind} group '{name}' group state is DEAD."),
        )),
        Some("Empty" | "") => Ok(()),
        Some(_) => Err(Thrown::new(
            exception::class(ErrorCode::NonEmptyGroup),
            format!("{kind} group '{name}' is not EMPTY."),
        )),
    }
}

/// What became of groups that were to be deleted.
pub(crate) fn deletions(
    kind: &str,
    results: BTreeMap<String, Result<(), Thrown>>,
    out: &mut Out,
) -> Result<(), Failure> {
    let results = java::hash_order(results.into_iter().collect::<Vec<_>>(), |(name, _)| name);
    let done: Vec<String> =
        results.iter().filter(|(_, result)| result.is_ok()).map(|(name, _)| format!("'{name}'")).collect();
    let done = done.join(", ");
    if results.iter().all(|(_, result)| result.is_ok()) {
        // The tool of streams groups quotes the list, not the names in it.
        let done = if done.is_empty() && kind == "streams" { "''" } else { &done };
        writeln!(out, "Deletion of requested {kind} groups ({done}) was successful.")?;
        return Ok(());
    }
    writeln!(out, "{}", error_line(&format!("Deletion of some {kind} groups failed:")))?;
    for (name, result) in &results {
        if let Err(thrown) = result {
            let text = thrown.clone().caused("").text();
            writeln!(out, "* Group '{name}' could not be deleted due to: {text}")?;
        }
    }
    if !done.is_empty() {
        let dot = if kind == "share" { "" } else { "." };
        writeln!(out, "\nThese {kind} groups were deleted successfully: {done}{dot}")?;
    }
    Err(Stop::quiet(1).into())
}

/// What became of each topic whose offsets were to be deleted.
pub(super) fn deleted_offsets(rows: &BTreeMap<&str, Result<(), String>>) -> String {
    let width = widest(rows.keys().copied());
    let mut text = format!("\n{}", row(&[("TOPIC", width), ("STATUS", 0)]));
    for (topic, result) in rows {
        let status = match result {
            Ok(()) => "Successful".to_owned(),
            Err(why) => format!("Error: {why}"),
        };
        text += &format!("\n{}", row(&[(topic, width), (&status, 0)]));
    }
    text + "\n"
}
