//! `ottla group reset`: where to, in which partitions, and the commit.

use std::collections::BTreeMap;

use ottla_client::{Cluster, OffsetSpec, TopicPartition};

use super::super::Form;
use super::{show, why};
use crate::consumer_groups::server::{self, Group};
use crate::consumer_groups::{plan, reset as kafka};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    pub(super) name: String,
    /// earliest, latest, current, an offset, +N or -N from where it stands, a moment (2026-11-21T08:00:00.000) or how
    /// long ago (PT1H, P1D).
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    to: String,
    /// Only this topic, or some of its partitions (orders:0,1); otherwise all that the group has committed.
    #[arg(short, long, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<String>,
    /// Show what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Where a group is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Earliest,
    Latest,
    /// Where it stands; a partition without offset goes to its end.
    Current,
    Offset(i64),
    By(i64),
    /// The first record at or after this many milliseconds since 1970.
    Time(i64),
}

impl To {
    pub(super) fn read(text: &str, now_ms: i64) -> Result<To, String> {
        let time = |parsed: Result<i64, crate::runtime::Thrown>| {
            parsed.map_err(|thrown| format!("--to {text}: {}", thrown.message))
        };
        Ok(match text {
            "earliest" => To::Earliest,
            "latest" => To::Latest,
            "current" => To::Current,
            _ if text.starts_with(['+', '-']) => match text.parse() {
                Ok(by) => To::By(by),
                Err(_) => return Err(format!("--to {text}: not a number of offsets")),
            },
            _ if text.starts_with('P') => To::Time(now_ms.saturating_sub(time(plan::duration_ms(text))?)),
            _ => match text.parse() {
                Ok(offset) => To::Offset(offset),
                Err(_) if text.contains('T') => To::Time(time(plan::date_time(text))?),
                Err(_) => {
                    return Err(format!(
                        "--to {text}: earliest, latest, current, an offset, +N, -N, a moment or how long ago"
                    ));
                }
            },
        })
    }
}

pub(super) async fn run(
    cluster: &Cluster,
    how: &Arguments,
    group: Result<Group, String>,
    form: Form,
) -> Result<String, String> {
    let to = To::read(&how.to, kafka::now_ms())?;
    match group {
        Ok(group) if group.state != "Empty" => {
            return Err(format!(
                "{}: it is {}, with {} members; stop its consumers first",
                group.id,
                group.state.to_lowercase(),
                group.members.len()
            ));
        }
        // A group that is not there yet may be given offsets, if it is said which.
        Err(message) if how.topic.is_empty() => return Err(message),
        _ => {}
    }
    let committed = server::committed(cluster, &how.name).await.map_err(why)?;
    let partitions = scope(cluster, how, committed.keys().cloned().collect()).await?;
    let known = kafka::check(cluster, &partitions).await.map_err(why)?;
    let new = offsets(cluster, to, &partitions, &committed).await?;
    let moves: Vec<(TopicPartition, Option<i64>, i64)> =
        new.iter().map(|(at, to)| (at.clone(), committed.get(at).map(|(offset, _)| *offset), *to)).collect();
    if !how.dry_run && !new.is_empty() {
        kafka::commit(cluster, &how.name, &new, known).await.map_err(why)?;
    }
    Ok(show::resets(&how.name, &moves, !how.dry_run, form))
}

async fn scope(
    cluster: &Cluster,
    how: &Arguments,
    committed: Vec<TopicPartition>,
) -> Result<Vec<TopicPartition>, String> {
    if how.topic.is_empty() {
        return Ok(committed);
    }
    let topics: Vec<&str> = how.topic.iter().map(String::as_str).collect();
    let mut partitions = kafka::named(cluster, &topics).await.map_err(why)?;
    partitions.sort();
    partitions.dedup();
    Ok(partitions)
}

async fn offsets(
    cluster: &Cluster,
    to: To,
    partitions: &[TopicPartition],
    committed: &BTreeMap<TopicPartition, (i64, Option<i32>)>,
) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let ask = |spec| async move { server::offsets(cluster, partitions, spec).await.map_err(why) };
    let wanted: BTreeMap<TopicPartition, i64> = match to {
        To::Earliest => return ask(OffsetSpec::Earliest).await,
        To::Latest => return ask(OffsetSpec::Latest).await,
        To::Time(timestamp) => {
            let mut found = ask(OffsetSpec::Timestamp(timestamp)).await?;
            let ends = ask(OffsetSpec::Latest).await?;
            for (at, offset) in found.iter_mut().filter(|(_, offset)| **offset < 0) {
                *offset = ends.get(at).copied().unwrap_or_default();
            }
            return Ok(found);
        }
        To::Current => {
            let ends = ask(OffsetSpec::Latest).await?;
            let current = |at: &TopicPartition| committed.get(at).map(|(offset, _)| *offset);
            let or_end = |at: &TopicPartition| current(at).or_else(|| ends.get(at).copied());
            partitions.iter().filter_map(|at| Some((at.clone(), or_end(at)?))).collect()
        }
        To::Offset(offset) => partitions.iter().map(|at| (at.clone(), offset)).collect(),
        To::By(by) => plan::shifted(partitions, committed, by).map_err(why)?,
    };
    let (starts, ends) = (ask(OffsetSpec::Earliest).await?, ask(OffsetSpec::Latest).await?);
    let (offsets, warnings) = plan::within(&wanted, &starts, &ends);
    for warning in warnings {
        eprintln!("{warning}");
    }
    Ok(offsets)
}
