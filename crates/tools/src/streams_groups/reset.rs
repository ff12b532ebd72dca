//! Offsets of Kafka Streams' groups reset: shown (`--dry-run`), written down (`--export`) or done (`--execute`).

use std::collections::BTreeMap;
use std::io::Write;

use ottla_client::{Cluster, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;

use super::{OF, committed, committed_inputs, delete_topics, described, internal_topics, options};
use crate::args::jopt::{Found, Parser};
use crate::consumer_groups::command;
use crate::consumer_groups::plan::{self, Offsets};
use crate::consumer_groups::{self as groups, Failure, error_line, rethrown, server};
use crate::runtime::{self, Out, Stop, Thrown, java};

pub(super) async fn reset(
    cluster: &Cluster,
    p: &Parser,
    found: &Found,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut done: BTreeMap<String, Vec<(TopicPartition, i64)>> = BTreeMap::new();
    let mut has_failed = false;
    for name in command::names(cluster, OF, found).await? {
        let group = match described(cluster, &name).await {
            Ok((group, _)) => Some(group),
            Err(thrown) if thrown.class == exception::class(ErrorCode::GroupIdNotFound) => None,
            Err(thrown) => return Err(rethrown(thrown).into()),
        };
        let state = group.as_ref().map_or("Dead", |group| group.group_state.as_str());
        if !matches!(state, "Empty" | "Dead") {
            let line = format!(
                "Assignments can only be reset if the group '{name}' is inactive, but the current state is {state}."
            );
            writeln!(out, "{}", error_line(&line))?;
            has_failed = true;
            done.insert(name, Vec::new());
            continue;
        }
        let partitions = partitions(cluster, p, found, &name, out).await?;
        let targets = targets(cluster, p, found, &name, &partitions, out).await?;
        if found.has("execute") {
            if !targets.is_empty() {
                groups::reset::commit(cluster, &name, &targets, Default::default()).await?;
            }
            // A group that nobody knows has no topics of its own: nothing is deleted in its name.
            has_failed |= group.is_some() && !delete_internal(cluster, found, &name, out).await?;
        }
        done.insert(name, plan::java_order(targets.into_iter().collect()));
    }
    let done = java::hash_order(done.into_iter().collect(), |(group, _)| group);
    if found.has("export") {
        writeln!(out, "{}", plan::to_csv(&done, found.values("group").len() != 1))?;
    } else {
        write!(out, "{}", super::layout::resets(&done))?;
    }
    if has_failed { Err(Stop::quiet(1).into()) } else { Ok(()) }
}

/// What is in scope: topics that the group has offsets in.
async fn partitions(
    cluster: &Cluster,
    p: &Parser,
    found: &Found,
    name: &str,
    out: &mut Out,
) -> Result<Vec<TopicPartition>, Failure> {
    if found.has("all-input-topics") {
        return Ok(committed_inputs(cluster, name).await?.into_keys().collect());
    }
    if found.has("input-topic") {
        let partitions = groups::reset::named(cluster, &found.values("input-topic")).await?;
        groups::reset::check(cluster, &partitions).await?;
        let own = server::committed(cluster, name).await.map_err(rethrown)?;
        if partitions.iter().all(|at| own.contains_key(at)) {
            return Ok(partitions);
        }
        let line = format!("One or more topics are not part of the group '{name}'.");
        writeln!(out, "{}", error_line(&line))?;
        return Ok(Vec::new());
    }
    if !found.has("from-file") {
        return Err(p.usage("One of the reset scopes should be defined: --all-topics, --topic.").into());
    }
    Ok(Vec::new())
}

async fn targets(
    cluster: &Cluster,
    p: &Parser,
    found: &Found,
    name: &str,
    partitions: &[TopicPartition],
    out: &mut Out,
) -> Result<Offsets, Failure> {
    let own = async || -> Result<_, Failure> {
        let (group, _) = described(cluster, name).await.map_err(rethrown)?;
        committed(cluster, &group).await
    };
    let wanted = if let Some(offset) = found.long("to-offset") {
        partitions.iter().map(|at| (at.clone(), offset)).collect()
    } else if let Some(by) = found.long("shift-by") {
        plan::shifted(partitions, &own().await?, by)?
    } else if let Some(path) = found.value("from-file") {
        let mut plan = plan::from_csv(&groups::reset::file(path)?, &found.values("group"))?;
        match plan.remove(name) {
            Some(wanted) => wanted,
            None => {
                writeln!(out, "{}", error_line(&format!("No reset plan for group {name} found")))?;
                Offsets::new()
            }
        }
    } else if found.has("to-earliest") {
        return Ok(server::offsets(cluster, partitions, OffsetSpec::Earliest).await?);
    } else if found.has("to-latest") {
        return Ok(server::offsets(cluster, partitions, OffsetSpec::Latest).await?);
    } else if let Some(text) = found.value("to-datetime") {
        return groups::reset::at_time(cluster, partitions, plan::date_time(text)?, out).await;
    } else if let Some(text) = found.value("by-duration") {
        let then = groups::reset::now_ms().saturating_sub(plan::duration_ms(text)?);
        return groups::reset::at_time(cluster, partitions, then, out).await;
    } else if found.has("to-current") {
        let own = own().await?;
        let without = partitions.iter().filter(|at| !own.contains_key(*at));
        let mut offsets = server::offsets(cluster, without, OffsetSpec::Latest).await?;
        let with = partitions.iter().filter_map(|at| Some((at.clone(), own.get(at)?.0)));
        offsets.extend(with);
        return Ok(offsets);
    } else {
        let scenarios: Vec<String> = options::SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
        let message = format!(
            "Option '[reset-offsets]' requires one of the following scenarios: {}",
            runtime::java_list(scenarios)
        );
        return Err(p.usage(message).into());
    };
    Ok(groups::reset::within(cluster, &wanted).await?)
}

/// Whether the internal topics that were to go are gone.
async fn delete_internal(
    cluster: &Cluster,
    found: &Found,
    name: &str,
    out: &mut Out,
) -> Result<bool, Failure> {
    let topics = if found.has("delete-all-internal-topics") {
        internal_topics(cluster, name, out).await?
    } else {
        found.values("delete-internal-topic").into_iter().map(str::to_owned).collect()
    };
    if topics.is_empty() {
        return Ok(true);
    }
    let failed: Result<Vec<(String, Thrown)>, Thrown> = delete_topics(cluster, &topics).await;
    let thrown = match failed {
        Ok(failed) => failed.into_iter().next().map(|(_, thrown)| thrown),
        Err(thrown) => Some(thrown),
    };
    let Some(thrown) = thrown else { return Ok(true) };
    let line = if thrown.class == exception::class(ErrorCode::UnknownTopicOrPartition) {
        format!("Deleting internal topics for group '{name}' failed because the topics do not exist.")
    } else {
        format!(
            "Deleting internal topics for group '{name}' failed due to {}",
            groups::executed(thrown).message
        )
    };
    writeln!(out, "{}", error_line(&line))?;
    Ok(false)
}
