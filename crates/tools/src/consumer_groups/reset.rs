//! Offsets reset: shown (`--dry-run`), written down (`--export`) or done (`--execute`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_client::{Cluster, CoordinatorKind, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{MetadataResponse, OffsetCommitRequest};

use super::plan::{self, Offsets};
use super::{Failure, error_line, layout, rethrown, server};
use crate::args::jopt::{Found, Parser};
use crate::runtime::{self, Out, Stop, Thrown, java};

struct Reset<'a> {
    cluster: &'a Cluster,
    parser: &'a Parser,
    found: &'a Found,
    /// Whether something has been said that makes this a failure, although other groups go on.
    has_failed: bool,
}

pub(super) async fn reset(
    cluster: &Cluster,
    parser: &Parser,
    found: &Found,
    out: &mut Out,
) -> Result<(), Failure> {
    let groups: Vec<String> = if found.has("all-groups") {
        server::list_consumer_groups(cluster).await?
    } else {
        found.values("group").into_iter().map(str::to_owned).collect()
    };
    let mut this = Reset { cluster, parser, found, has_failed: false };
    let mut done: BTreeMap<String, Vec<(TopicPartition, i64)>> = BTreeMap::new();
    for group in groups {
        let state = match server::describe(cluster, &group).await {
            Ok(described) => described.state,
            Err(thrown) if thrown.class == exception::class(ErrorCode::GroupIdNotFound) => "Dead".to_owned(),
            Err(thrown) => return Err(rethrown(thrown).into()),
        };
        let offsets = match state.as_str() {
            "Empty" | "Dead" => this.inactive(&group, out).await?,
            _ => {
                let message = format!(
                    "Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}."
                );
                writeln!(out, "{}", error_line(&message))?;
                this.has_failed = true;
                Offsets::new()
            }
        };
        done.insert(group, plan::java_order(offsets.into_iter().collect()));
    }
    let done = java::hash_order(done.into_iter().collect(), |(group, _)| group);
    if found.has("export") {
        writeln!(out, "{}", plan::to_csv(&done, found.values("group").len() != 1))?;
    } else {
        write!(out, "{}", layout::resets(&done))?;
    }
    if this.has_failed { Err(Stop::quiet(1).into()) } else { Ok(()) }
}

impl Reset<'_> {
    async fn inactive(&mut self, group: &str, out: &mut Out) -> Result<Offsets, Failure> {
        let partitions = self.partitions(group).await?;
        let known = check(self.cluster, &partitions).await?;
        let offsets = self.prepare(group, &partitions, out).await?;
        if self.found.has("execute") && !offsets.is_empty() {
            commit(self.cluster, group, &offsets, known).await?;
        }
        Ok(offsets)
    }

    /// What is in scope.
    async fn partitions(&self, group: &str) -> Result<Vec<TopicPartition>, Failure> {
        if self.found.has("all-topics") {
            let committed = server::committed(self.cluster, group).await.map_err(rethrown)?;
            return Ok(committed.into_keys().collect());
        }
        if !self.found.has("topic") {
            if !self.found.has("from-file") {
                let message = "One of the reset scopes should be defined: --all-topics, --topic.";
                return Err(self.parser.usage(message).into());
            }
            return Ok(Vec::new());
        }
        Ok(named(self.cluster, &self.found.values("topic")).await?)
    }

    async fn prepare(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
        out: &mut Out,
    ) -> Result<Offsets, Failure> {
        let found = self.found;
        if let Some(offset) = found.long("to-offset") {
            let wanted = partitions.iter().map(|at| (at.clone(), offset)).collect();
            return Ok(within(self.cluster, &wanted).await?);
        }
        if found.has("to-earliest") {
            return Ok(server::offsets(self.cluster, partitions, OffsetSpec::Earliest).await?);
        }
        if found.has("to-latest") {
            return Ok(server::offsets(self.cluster, partitions, OffsetSpec::Latest).await?);
        }
        if let Some(by) = found.long("shift-by") {
            let committed = server::committed(self.cluster, group).await.map_err(rethrown)?;
            return Ok(within(self.cluster, &plan::shifted(partitions, &committed, by)?).await?);
        }
        if let Some(text) = found.value("to-datetime") {
            return at_time(self.cluster, partitions, plan::date_time(text)?, out).await;
        }
        if let Some(text) = found.value("by-duration") {
            let then = now_ms().saturating_sub(plan::duration_ms(text)?);
            return at_time(self.cluster, partitions, then, out).await;
        }
        if let Some(path) = found.value("from-file") {
            let mut plan = plan::from_csv(&file(path)?, &found.values("group"))?;
            let Some(wanted) = plan.remove(group) else {
                writeln!(out, "{}", error_line(&format!("No reset plan for group {group} found")))?;
                self.has_failed = true;
                return Ok(Offsets::new());
            };
            return Ok(within(self.cluster, &wanted).await?);
        }
        if found.has("to-current") {
            let committed = server::committed(self.cluster, group).await.map_err(rethrown)?;
            let without = partitions.iter().filter(|at| !committed.contains_key(*at));
            let mut offsets = server::offsets(self.cluster, without, OffsetSpec::Latest).await?;
            for at in partitions {
                if let Some((offset, _)) = committed.get(at) {
                    offsets.insert(at.clone(), *offset);
                }
            }
            return Ok(offsets);
        }
        // In the order of the Java set that Kafka prints.
        let message = "Option '[reset-offsets]' requires one of the following scenarios: [[shift-by], [to-offset], \
                       [to-earliest], [to-current], [to-latest], [by-duration], [to-datetime], [from-file]]";
        Err(self.parser.usage(message).into())
    }
}

/// The partitions that `topic` and `topic:0,1` mean.
pub(crate) async fn named(cluster: &Cluster, topics: &[&str]) -> Result<Vec<TopicPartition>, Thrown> {
    let (with, without): (Vec<&str>, Vec<&str>) = topics.iter().partition(|topic| topic.contains(':'));
    let mut partitions = Vec::new();
    for arg in with {
        partitions.extend(plan::topic_with_partitions(arg)?);
    }
    let names: BTreeSet<&str> = without.into_iter().collect();
    for topic in server::topics(cluster, &names).await?.topics {
        let name = topic.name.unwrap_or_default();
        let own = topic.partitions.iter();
        partitions.extend(own.map(|at| TopicPartition::new(name.as_str(), at.partition_index)));
    }
    Ok(partitions)
}

/// Offsets brought into the logs; what is changed is logged.
pub(crate) async fn within(cluster: &Cluster, wanted: &Offsets) -> Result<Offsets, Thrown> {
    let starts = server::offsets(cluster, wanted.keys(), OffsetSpec::Earliest).await?;
    let ends = server::offsets(cluster, wanted.keys(), OffsetSpec::Latest).await?;
    let (offsets, warnings) = plan::within(wanted, &starts, &ends);
    for warning in warnings {
        runtime::log("WARN", &warning, "org.apache.kafka.tools.OffsetsUtils");
    }
    Ok(offsets)
}

/// The first offset at or after a time; a partition that has none goes to its end.
pub(crate) async fn at_time(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    timestamp: i64,
    out: &mut Out,
) -> Result<Offsets, Failure> {
    let found = server::offsets(cluster, partitions, OffsetSpec::Timestamp(timestamp)).await?;
    let (mut offsets, mut without) = (Offsets::new(), Vec::new());
    for (at, offset) in found {
        if offset >= 0 {
            offsets.insert(at, offset);
        } else {
            without.push((at, ()));
        }
    }
    let without = plan::java_order(without);
    for (at, ()) in &without {
        writeln!(
            out,
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            at.partition, at.topic
        )?;
    }
    let partitions = without.iter().map(|(at, ())| at);
    offsets.extend(server::offsets(cluster, partitions, OffsetSpec::Latest).await?);
    Ok(offsets)
}

/// The milliseconds since 1970, now.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The text of a plan's file.
pub(crate) fn file(path: &str) -> Result<String, Thrown> {
    std::fs::read_to_string(path).map_err(|error| {
        Thrown::new("java.lang.RuntimeException", format!("java.io.IOException: Unable to read file {path}"))
            .caused(&format!("{error}\n    next: check the path given with --from-file"))
    })
}

/// Every partition must be there and have a leader.
pub(crate) async fn check(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> Result<MetadataResponse, Thrown> {
    let names: BTreeSet<&str> = partitions.iter().map(|at| &*at.topic).collect();
    let known = server::topics(cluster, &names).await.map_err(rethrown)?;
    let mut leaders: BTreeMap<TopicPartition, i32> = BTreeMap::new();
    for topic in &known.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        for at in &topic.partitions {
            leaders.insert(TopicPartition::new(name, at.partition_index), at.leader_id);
        }
    }
    let list = |wrong: &dyn Fn(&TopicPartition) -> bool| {
        let wrong = partitions.iter().filter(|at| wrong(at)).map(ToString::to_string);
        wrong.collect::<Vec<_>>().join(",")
    };
    let missing = list(&|at| !leaders.contains_key(at));
    if !missing.is_empty() {
        let class = exception::class(ErrorCode::UnknownTopicOrPartition);
        return Err(Thrown::new(class, format!("The partitions \"{missing}\" do not exist")));
    }
    let leaderless = list(&|at| leaders.get(at).is_some_and(|leader| *leader < 0));
    if !leaderless.is_empty() {
        let class = exception::class(ErrorCode::LeaderNotAvailable);
        return Err(Thrown::new(class, format!("The partitions \"{leaderless}\" have no leader")));
    }
    Ok(known)
}

/// Commits offsets for a group that has no members.
pub(crate) async fn commit(
    cluster: &Cluster,
    group: &str,
    offsets: &Offsets,
    known: MetadataResponse,
) -> Result<(), Thrown> {
    let known = if known.topics.is_empty() {
        let names = offsets.keys().map(|at| &*at.topic).collect();
        server::topics(cluster, &names).await?
    } else {
        known
    };
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for (at, offset) in offsets {
        if topics.last().is_none_or(|topic| topic.name != *at.topic) {
            let topic = known.topics.iter().find(|topic| topic.name.as_deref() == Some(&at.topic));
            topics.push(OffsetCommitRequestTopic {
                name: at.topic.to_string(),
                topic_id: topic.map(|topic| topic.topic_id).unwrap_or_default(),
                partitions: Vec::new(),
            });
        }
        let topic = topics.last_mut().expect("one has just been put there");
        topic.partitions.push(OffsetCommitRequestPartition {
            partition_index: at.partition,
            committed_offset: *offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(String::new()),
        });
    }
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics,
        ..OffsetCommitRequest::default()
    };
    let answer = cluster.coordinator(CoordinatorKind::Group, group, &request).await;
    let answer = answer.map_err(Thrown::from)?;
    let mut failed: Vec<(TopicPartition, i16)> = Vec::new();
    for topic in &answer.topics {
        let of_id = known.topics.iter().find(|known| known.topic_id == topic.topic_id);
        let name = match topic.name.as_str() {
            "" => of_id.and_then(|topic| topic.name.as_deref()).unwrap_or_default(),
            name => name,
        };
        let wrong = topic.partitions.iter().filter(|at| at.error_code != 0);
        failed.extend(wrong.map(|at| (TopicPartition::new(name, at.partition_index), at.error_code)));
    }
    let failed = plan::java_order(failed);
    let Some((_, code)) = failed.first() else { return Ok(()) };
    let partitions = runtime::java_list(failed.iter().map(|(at, _)| at));
    let message = format!("Failed altering group offsets for the following partitions: {partitions}");
    Err(Thrown::of_item(*code, Some(&message)).expect_err("the code is not 0"))
}
