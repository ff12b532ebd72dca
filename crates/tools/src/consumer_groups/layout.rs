//! The tables of `kafka-consumer-groups`: pure, from what is known to text.

use std::fmt::Write;

use ottla_client::TopicPartition;
use ottla_protocol::messages::list_groups_response::ListedGroup;

use super::server::{Group, Member};

/// What stands where nothing is known.
pub(super) const MISSING: &str = "-";

/// The table of groups with types, states or both.
pub(super) fn list(groups: &[ListedGroup], with_type: bool, with_state: bool) -> String {
    let widest = groups.iter().map(|group| length(&group.group_id)).max().unwrap_or(0).max(15) + 10;
    let mut text = String::new();
    let mut line = |group: &str, kind: &str, state: &str| {
        pad(&mut text, group, widest);
        for (cell, _) in [(kind, with_type), (state, with_state)].iter().filter(|(_, with)| *with) {
            text.push(' ');
            pad(&mut text, cell, 20);
        }
        text.push('\n');
    };
    line("GROUP", "TYPE", "STATE");
    let known = |text: &str| if text.is_empty() { "Unknown".to_owned() } else { text.to_owned() };
    for group in groups {
        line(&group.group_id, &known(&group.group_type), &known(&group.group_state));
    }
    text
}

/// One row of a group's offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OffsetRow {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) offset: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) member: String,
    pub(crate) host: String,
    pub(crate) client: String,
}

impl OffsetRow {
    /// How many records are behind it; unknown without an offset or an end.
    pub(crate) fn lag(&self) -> Option<i64> {
        let offset = self.offset.filter(|offset| *offset != -1)?;
        Some(self.end? - offset)
    }
}

/// A group's offsets, with an empty line before and the end of the last line after them.
pub(super) fn offsets(group: &str, rows: &[OffsetRow], verbose: bool) -> String {
    let widest =
        |cell: fn(&OffsetRow) -> &str| rows.iter().map(|row| length(cell(row))).max().unwrap_or(0).max(15);
    let widths = [
        length(group).max(15),
        widest(|row| &row.topic),
        10,
        15,
        15,
        15,
        15,
        widest(|row| &row.member),
        widest(|row| &row.host),
        0,
    ];
    let mut text = String::new();
    let mut line = |cells: [&str; 10]| {
        text.push('\n');
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if at == 3 && !verbose {
                continue;
            }
            if at > 0 {
                text.push(' ');
            }
            pad(&mut text, cell, width);
        }
    };
    line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]);
    for row in rows {
        line([
            group,
            &row.topic,
            &row.partition.to_string(),
            &or_missing(row.leader_epoch),
            &or_missing(row.offset),
            &or_missing(row.end),
            &or_missing(row.lag()),
            &row.member,
            &row.host,
            &row.client,
        ]);
    }
    text.push('\n');
    text
}

/// A group's members. Kafka prints the head even when it has said that there is none.
pub(super) fn members(group: &str, all: &[Member], verbose: bool, shown: bool) -> String {
    let known: &[Member] = if shown { all } else { &[] };
    let widest =
        |least: usize, cell: &dyn Fn(&Member) -> usize| known.iter().map(cell).max().unwrap_or(0).max(least);
    let group_width = if known.is_empty() { 15 } else { length(group).max(15) };
    let id_width = widest(15, &|member| length(&member.id));
    let instance_width = widest(17, &|member| length(instance(member)));
    let host_width = widest(15, &|member| length(&member.host));
    let client_width = widest(15, &|member| length(&member.client));
    let current_width = widest(20, &|member| length(&assignment(&member.assignment)));
    let target_width = widest(20, &|member| length(&assignment(&member.target)));
    let has_instance = known.iter().any(|member| !instance(member).is_empty());
    let has = |upgraded: bool| known.iter().any(|member| member.upgraded == Some(upgraded));
    let mixed = has(true) && has(false);
    let mut text = String::from("\n");
    let mut line = |cells: [&str; 11]| {
        let [group, id, instance, host, client, count, epoch, current, target_epoch, target, upgraded] =
            cells;
        pad(&mut text, group, group_width);
        text.push(' ');
        pad(&mut text, id, id_width);
        text.push(' ');
        if has_instance {
            pad(&mut text, instance, instance_width);
            text.push(' ');
        }
        pad(&mut text, host, host_width);
        text.push(' ');
        pad(&mut text, client, client_width);
        text.push(' ');
        pad(&mut text, count, 15);
        text.push(' ');
        if verbose {
            pad(&mut text, epoch, 15);
            text.push(' ');
            pad(&mut text, current, current_width);
            text.push(' ');
            pad(&mut text, target_epoch, 15);
            text.push(' ');
            pad(&mut text, target, target_width);
            if mixed {
                text.push(' ');
                text.push_str(upgraded);
            }
        }
        text.push('\n');
    };
    line([
        "GROUP",
        "CONSUMER-ID",
        "GROUP-INSTANCE-ID",
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
        "CURRENT-EPOCH",
        "CURRENT-ASSIGNMENT",
        "TARGET-EPOCH",
        "TARGET-ASSIGNMENT",
        "UPGRADED",
    ]);
    for member in all {
        line([
            group,
            &member.id,
            instance(member),
            &member.host,
            &member.client,
            &member.assignment.len().to_string(),
            &or_missing(member.epoch),
            &assignment(&member.assignment),
            &or_missing(member.target_epoch),
            &assignment(&member.target),
            &or_missing(member.upgraded),
        ]);
    }
    text
}

fn instance(member: &Member) -> &str {
    member.instance.as_deref().unwrap_or_default()
}

/// `topic:0,1;other:2`.
pub(crate) fn assignment(partitions: &[TopicPartition]) -> String {
    if partitions.is_empty() {
        return MISSING.to_owned();
    }
    let mut topics: std::collections::BTreeMap<&str, Vec<i32>> = std::collections::BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let mut parts: Vec<String> = Vec::new();
    for (topic, mut partitions) in topics {
        partitions.sort_unstable();
        let partitions: Vec<String> = partitions.iter().map(i32::to_string).collect();
        parts.push(format!("{topic}:{}", partitions.join(",")));
    }
    parts.sort_unstable();
    parts.join(";")
}

/// A group's state.
pub(super) fn state(group: &Group, verbose: bool) -> String {
    let at = &group.coordinator;
    let coordinator = format!("{}:{}  ({})", at.host, at.port, at.id);
    let assignor = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    let (group_width, at_width) = (length(&group.id).max(15), length(&coordinator).max(25));
    let mut text = String::new();
    let mut line = |cells: [&str; 7]| {
        text.push('\n');
        for (at, (cell, width)) in cells.iter().zip([group_width, at_width, 20, 20, 15, 25, 0]).enumerate() {
            if matches!(at, 4 | 5) && !verbose {
                continue;
            }
            if at > 0 {
                text.push(' ');
            }
            pad(&mut text, cell, width);
        }
    };
    line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ]);
    line([
        &group.id,
        &coordinator,
        assignor,
        &group.state,
        &or_missing(group.epoch),
        &or_missing(group.target_epoch),
        &group.members.len().to_string(),
    ]);
    text.push('\n');
    text
}

/// Offsets to which groups are reset, in the order given.
pub(crate) fn resets(groups: &[(String, Vec<(TopicPartition, i64)>)]) -> String {
    let group_width = groups.iter().map(|(group, _)| length(group)).max().unwrap_or(0).max(15);
    let partitions = groups.iter().flat_map(|(_, offsets)| offsets);
    let topic_width = partitions.map(|(at, _)| length(&at.topic)).max().unwrap_or(0).max(15);
    let mut text = String::new();
    let mut line = |group: &str, topic: &str, partition: &str, offset: &str| {
        text.push('\n');
        pad(&mut text, group, group_width);
        text.push(' ');
        pad(&mut text, topic, topic_width);
        text.push(' ');
        pad(&mut text, partition, 10);
        text.push(' ');
        text.push_str(offset);
    };
    if !groups.is_empty() {
        line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (group, offsets) in groups {
        for (at, offset) in offsets {
            line(group, &at.topic, &at.partition.to_string(), &offset.to_string());
        }
    }
    text.push('\n');
    text
}

/// What became of each partition whose offsets were to be deleted; -1 stands for a topic as a whole.
pub(crate) fn deleted(rows: &[(TopicPartition, Result<(), String>)]) -> String {
    let width = rows.iter().map(|(at, _)| length(&at.topic)).max().unwrap_or(0).max(15);
    let mut text = String::new();
    let mut line = |topic: &str, partition: &str, status: &str| {
        text.push('\n');
        pad(&mut text, topic, width);
        text.push(' ');
        pad(&mut text, partition, 10);
        text.push(' ');
        pad(&mut text, status, 15);
    };
    line("TOPIC", "PARTITION", "STATUS");
    for (at, result) in rows {
        let partition = if at.partition >= 0 { at.partition.to_string() } else { MISSING.to_owned() };
        let status = match result {
            Ok(()) => "Successful".to_owned(),
            Err(why) => format!("Error: {why}"),
        };
        line(&at.topic, &partition, &status);
    }
    text.push('\n');
    text
}

fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

/// Java counts UTF-16 units.
pub(crate) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `%-WIDTHs`.
pub(crate) fn pad(text: &mut String, cell: &str, width: usize) {
    let blanks = width.saturating_sub(length(cell));
    write!(text, "{cell}{:blanks$}", "").expect("writing to a String cannot fail");
}
