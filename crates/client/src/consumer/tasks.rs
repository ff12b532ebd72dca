//! What runs beside a consumer's owner, and what it tells: fetches, joins, offsets, metadata.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::{FetchResponse, MetadataResponse, OffsetFetchRequest};

use super::group::Joined;
use super::settings::Reset;
use super::{Committed, ConsumerError, Start};
use crate::{CallError, Cluster, ClusterError, CoordinatorKind, Isolation, OffsetSpec, TopicPartition};

/// Something that a task tells.
#[derive(Debug)]
pub(super) enum Event {
    /// A fetch has ended.
    Fetch { node: i32, version: i16, answer: Result<FetchResponse, CallError> },
    /// A node could not be connected to.
    Unreachable { node: i32, error: ClusterError },
    /// Where partitions begin.
    Places(Vec<(TopicPartition, u32, Result<i64, ConsumerError>)>),
    /// The topics.
    Metadata(Result<MetadataResponse, ClusterError>),
    /// The end of joining.
    Joined(Result<Joined, ConsumerError>),
    /// The group is joined anew.
    Rejoin { generation: i32 },
    /// This member is none any more.
    Lost { generation: i32, error: Option<ConsumerError> },
}

/// Offsets of groups are asked for by the topics' names up to this version.
pub(super) const BY_NAME_UP_TO: i16 = 9;

/// The offsets that a group has committed; partitions without one are left out.
pub(super) async fn committed(
    cluster: &Cluster,
    group: &str,
    partitions: &[TopicPartition],
    stable: bool,
) -> Result<BTreeMap<TopicPartition, Committed>, ConsumerError> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topic = |(name, partition_indexes): (&str, Vec<i32>)| OffsetFetchRequestTopics {
        name: name.to_owned(),
        partition_indexes,
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: Some(topics.into_iter().map(topic).collect()),
            ..Default::default()
        }],
        require_stable: stable,
        ..Default::default()
    };
    let answer = cluster.coordinator_at(CoordinatorKind::Group, group, BY_NAME_UP_TO, &request).await?;
    let mut found = BTreeMap::new();
    for group in answer.groups {
        refused("OffsetFetch", group.error_code)?;
        for topic in group.topics {
            for partition in topic.partitions {
                refused("OffsetFetch", partition.error_code)?;
                if partition.committed_offset >= 0 {
                    let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    found.insert(
                        place,
                        Committed {
                            offset: partition.committed_offset,
                            leader_epoch: partition.committed_leader_epoch,
                            metadata: partition.metadata.unwrap_or_default(),
                        },
                    );
                }
            }
        }
    }
    Ok(found)
}

fn refused(api: &'static str, code: i16) -> Result<(), ConsumerError> {
    if code == 0 { Ok(()) } else { Err(ClusterError::of_code(api, code, None).into()) }
}

/// Finds where partitions begin. `now_ms` is the time from which durations count back.
pub(super) async fn places(
    cluster: Cluster,
    group: Option<String>,
    wanted: Vec<(TopicPartition, u32, Start)>,
    reset: Reset,
    isolation: Isolation,
    now_ms: i64,
) -> Vec<(TopicPartition, u32, Result<i64, ConsumerError>)> {
    let from_group: Vec<TopicPartition> = wanted
        .iter()
        .filter(|(_, _, start)| *start == Start::Committed)
        .map(|(partition, _, _)| partition.clone())
        .collect();
    let mut committed_ones = BTreeMap::new();
    if let (Some(group), false) = (&group, from_group.is_empty()) {
        let stable = isolation == Isolation::ReadCommitted;
        match committed(&cluster, group, &from_group, stable).await {
            Ok(found) => committed_ones = found,
            Err(error) => {
                let all = wanted.into_iter();
                return all.map(|(partition, era, _)| (partition, era, Err(error.clone()))).collect();
            }
        }
    }
    let mut done = Vec::new();
    let mut asked = Vec::new();
    for (partition, era, start) in wanted {
        let spec = match start {
            Start::Offset(offset) => {
                done.push((partition, era, Ok(offset)));
                continue;
            }
            Start::Earliest => OffsetSpec::Earliest,
            Start::Latest => OffsetSpec::Latest,
            Start::Timestamp(at) => OffsetSpec::Timestamp(at),
            Start::Committed => match (committed_ones.get(&partition), reset) {
                (Some(committed), _) => {
                    done.push((partition, era, Ok(committed.offset)));
                    continue;
                }
                (None, Reset::Earliest) => OffsetSpec::Earliest,
                (None, Reset::Latest) => OffsetSpec::Latest,
                (None, Reset::Ago(ago)) => {
                    OffsetSpec::Timestamp(now_ms.saturating_sub(ago.as_millis() as i64))
                }
                (None, Reset::None) => {
                    let error = ConsumerError::NoOffset(partition.clone());
                    done.push((partition, era, Err(error)));
                    continue;
                }
            },
        };
        asked.push((partition, era, spec));
    }
    let specs: Vec<_> = asked.iter().map(|(partition, _, spec)| (partition.clone(), *spec)).collect();
    if specs.is_empty() {
        return done;
    }
    let mut found = match cluster.list_offsets(&specs, isolation).await {
        Ok(found) => found,
        Err(error) => {
            let all = asked.into_iter();
            done.extend(all.map(|(partition, era, _)| (partition, era, Err(error.clone().into()))));
            return done;
        }
    };
    // A time behind the last record is the end.
    let late = |offset: &Result<_, _>| matches!(offset, Ok(crate::OffsetAndTimestamp { offset: -1, .. }));
    let late: Vec<_> = found.iter().filter(|(_, offset)| late(offset)).map(|(at, _)| at.clone()).collect();
    if !late.is_empty() {
        let specs: Vec<_> = late.into_iter().map(|partition| (partition, OffsetSpec::Latest)).collect();
        if let Ok(ends) = cluster.list_offsets(&specs, isolation).await {
            found.extend(ends);
        }
    }
    for (partition, era, _) in asked {
        let offset = match found.get(&partition) {
            Some(Ok(offset)) => Ok(offset.offset),
            Some(Err(code)) => Err(ConsumerError::Partition { partition: partition.clone(), code: *code }),
            None => Err(ConsumerError::Partition {
                partition: partition.clone(),
                code: ErrorCode::UnknownTopicOrPartition,
            }),
        };
        done.push((partition, era, offset));
    }
    done
}
