//! Groups as people and programs read them: pure.

use std::fmt::Write as _;

use ottla_client::TopicPartition;
use ottla_protocol::messages::list_groups_response::ListedGroup;
use serde_json::{Value, json};

use super::super::Form;
use super::super::status::table;
use crate::consumer_groups::layout::{OffsetRow, assignment};
use crate::consumer_groups::server::Group;

/// A group with where it stands in each partition.
pub(super) struct Described {
    pub(super) group: Group,
    pub(super) rows: Vec<OffsetRow>,
    /// Topics of which offsets are committed and that are no more.
    pub(super) gone: Vec<String>,
}

pub(super) fn list(groups: &[ListedGroup], form: Form) -> String {
    if form == Form::Json {
        let rows = groups.iter().map(|group| {
            json!({
                "group": group.group_id, "type": group.group_type, "protocol": group.protocol_type,
                "state": group.group_state,
            })
        });
        return Value::Array(rows.collect()).to_string() + "\n";
    }
    if groups.is_empty() {
        return "no groups yet: a consumer with a group.id makes one\n".to_owned();
    }
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let rows = groups.iter().map(|group| {
        vec![
            group.group_id.clone(),
            or_dash(&group.group_type).to_lowercase(),
            or_dash(&group.protocol_type),
            or_dash(&group.group_state).to_lowercase(),
        ]
    });
    let mut out = String::new();
    table(&mut out, &["group", "type", "protocol", "state"], rows.collect());
    out
}

/// The sum of what is known, and in how many partitions it is not.
fn lag(rows: &[OffsetRow]) -> (i64, usize) {
    let known = rows.iter().filter_map(OffsetRow::lag).sum();
    (known, rows.iter().filter(|row| row.lag().is_none()).count())
}

pub(super) fn describe(all: &[Described], form: Form) -> String {
    if form == Form::Json {
        let groups = all.iter().map(|Described { group, rows, .. }| {
            let partitions = rows.iter().map(|row| {
                json!({
                    "topic": row.topic, "partition": row.partition, "committed": row.offset, "end": row.end,
                    "lag": row.lag(), "member": known(&row.member), "host": known(&row.host),
                    "client": known(&row.client),
                })
            });
            json!({
                "group": group.id, "state": group.state, "assignor": group.assignor,
                "coordinator": group.coordinator.id, "members": group.members.len(), "lag": lag(rows).0,
                "partitions": partitions.collect::<Vec<_>>(),
            })
        });
        return Value::Array(groups.collect()).to_string() + "\n";
    }
    let mut out = String::new();
    for (n, Described { group, rows, gone }) in all.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let (behind, unknown) = lag(rows);
        let _ = write!(out, "{}: {}, lag {behind}", heading(group), count(rows.len(), "partition"));
        let _ = match unknown {
            0 => writeln!(out),
            unknown => writeln!(out, " (of {unknown} it is not known)"),
        };
        for topic in gone {
            let _ = writeln!(out, "  {topic} is committed but no longer there");
        }
        let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                vec![
                    row.topic.clone(),
                    row.partition.to_string(),
                    number(row.offset),
                    number(row.end),
                    number(row.lag()),
                    row.client.clone(),
                    row.host.trim_start_matches('/').to_owned(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            table(&mut out, &["topic", "partition", "committed", "end", "lag", "client", "host"], rows);
        }
    }
    out
}

fn heading(group: &Group) -> String {
    let assignor =
        if group.assignor.is_empty() { String::new() } else { format!(", assignor {}", group.assignor) };
    format!(
        "group {}: {}, {}{assignor}, coordinator {}",
        group.id,
        group.state.to_lowercase(),
        count(group.members.len(), "member"),
        group.coordinator.id
    )
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn known(text: &str) -> Option<&str> {
    (text != "-").then_some(text)
}

pub(super) fn members(groups: &[Group], form: Form) -> String {
    if form == Form::Json {
        let groups = groups.iter().map(|group| {
            let members = group.members.iter().map(|member| {
                let partitions = member.assignment.iter();
                let partitions: Vec<Value> =
                    partitions.map(|at| json!({"topic": &*at.topic, "partition": at.partition})).collect();
                json!({
                    "member": member.id, "instance": member.instance, "client": member.client,
                    "host": member.host, "partitions": partitions,
                })
            });
            json!({"group": group.id, "state": group.state, "members": members.collect::<Vec<_>>()})
        });
        return Value::Array(groups.collect()).to_string() + "\n";
    }
    let mut out = String::new();
    for (n, group) in groups.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", heading(group));
        let rows: Vec<Vec<String>> = group
            .members
            .iter()
            .map(|member| {
                vec![
                    member.id.clone(),
                    member.instance.clone().unwrap_or_else(|| "-".to_owned()),
                    member.client.clone(),
                    member.host.trim_start_matches('/').to_owned(),
                    assignment(&member.assignment),
                ]
            })
            .collect();
        if !rows.is_empty() {
            table(&mut out, &["member", "instance", "client", "host", "partitions"], rows);
        }
    }
    out
}

/// Offsets before and after a reset.
pub(super) fn resets(
    group: &str,
    moves: &[(TopicPartition, Option<i64>, i64)],
    done: bool,
    form: Form,
) -> String {
    if form == Form::Json {
        let partitions = moves.iter().map(
            |(at, from, to)| json!({"topic": &*at.topic, "partition": at.partition, "from": from, "to": to}),
        );
        let value = json!({"group": group, "done": done, "partitions": partitions.collect::<Vec<_>>()});
        return value.to_string() + "\n";
    }
    let mut out = String::new();
    let what = if done { "moved" } else { "would move" };
    let _ = writeln!(out, "{what} {group} in {}", count(moves.len(), "partition"));
    let rows: Vec<Vec<String>> = moves
        .iter()
        .map(|(at, from, to)| {
            vec![
                at.topic.to_string(),
                at.partition.to_string(),
                from.map_or("-".to_owned(), |from| from.to_string()),
                to.to_string(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        table(&mut out, &["topic", "partition", "from", "to"], rows);
    }
    out
}
