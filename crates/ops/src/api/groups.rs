//! Groups: who is in them, and how far they are behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hyper::StatusCode;
use ottla_client::consumer::assigned;
use ottla_client::{Cluster, CoordinatorKind, Isolation, OffsetSpec, TopicPartition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{
    DescribeGroupsRequest, ListGroupsRequest, MetadataResponse, OffsetFetchRequest,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Problem, page};
use crate::query::Target;

/// Groups with their lag, a page of them by name.
pub(super) async fn list(cluster: &Cluster, target: &Target) -> Result<Value, Problem> {
    let request = ListGroupsRequest { states_filter: Vec::new(), types_filter: Vec::new() };
    cluster.refresh().await?;
    let mut groups: BTreeMap<String, (i32, ListedGroup)> = BTreeMap::new();
    let mut silent = Vec::new();
    for (node, answer) in cluster.each(&request).await {
        match answer {
            Ok(answer) => {
                groups.extend(answer.groups.into_iter().map(|g| (g.group_id.clone(), (node.id, g))));
            }
            // The groups of the others are worth showing.
            Err(error) => silent.push(format!("node {} did not tell its groups: {error}", node.id)),
        }
    }
    let search = target.text("search").unwrap_or_default().to_lowercase();
    let rows: Vec<_> =
        groups.into_values().filter(|(_, group)| group.group_id.to_lowercase().contains(&search)).collect();
    let (all, rows) = page(target, 200, 50, rows)?;
    let known = Known::of(&cluster.metadata(None).await?);
    let mut committed = BTreeMap::new();
    for (_, group) in &rows {
        committed.insert(group.group_id.clone(), offsets(cluster, &group.group_id, &known).await?);
    }
    let ends = ends(cluster, committed.values().flat_map(BTreeMap::keys), &known).await?;
    let shown = rows.iter().map(|(coordinator, group)| {
        let offsets = &committed[&group.group_id];
        let lags = offsets.iter().filter_map(|(at, offset)| lag(ends.get(at), *offset));
        json!({
            "name": group.group_id, "state": group.group_state, "type": group.group_type,
            "protocol": group.protocol_type, "coordinator": coordinator,
            "topics": offsets.keys().map(|at| at.topic.to_string()).collect::<BTreeSet<_>>(),
            "lag": lags.clone().sum::<i64>(), "most_lag": lags.max(),
        })
    });
    Ok(json!({"all": all, "groups": shown.collect::<Vec<_>>(), "notices": silent}))
}

/// One group: its members, and every partition that it has read or reads.
pub(super) async fn one(cluster: &Cluster, name: &str) -> Result<Value, Problem> {
    let request =
        DescribeGroupsRequest { groups: vec![name.to_owned()], include_authorized_operations: false };
    let answer = cluster.coordinator(CoordinatorKind::Group, name, &request).await?;
    let group = answer.groups.into_iter().next();
    let group = group.filter(|group| group.error_code == 0 && group.group_state != "Dead");
    let Some(group) = group else { return Err(Problem::not_found(format!("there is no group {name}"))) };
    let known = Known::of(&cluster.metadata(None).await?);
    let committed = offsets(cluster, name, &known).await?;
    let owners = owners(&group);
    let all: BTreeSet<&TopicPartition> = committed.keys().chain(owners.keys()).collect();
    let ends = ends(cluster, all.iter().copied(), &known).await?;
    let partitions = all.iter().map(|at| {
        let (offset, end) = (committed.get(*at), ends.get(*at));
        json!({
            "topic": &*at.topic, "partition": at.partition, "committed": offset, "next_offset": end,
            "lag": offset.and_then(|offset| lag(end, *offset)), "member": owners.get(*at),
        })
    });
    let members = group.members.iter().map(|member| {
        let given = assigned(&member.member_assignment);
        json!({
            "id": member.member_id, "instance": member.group_instance_id, "client": member.client_id,
            "host": member.client_host, "partitions": given.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    Ok(json!({
        "name": name, "state": group.group_state, "protocol": group.protocol_type,
        "assignor": group.protocol_data,
        "members": members.collect::<Vec<_>>(), "partitions": partitions.collect::<Vec<_>>(),
    }))
}

/// Which member has which partition.
fn owners(group: &DescribedGroup) -> BTreeMap<TopicPartition, String> {
    let members = group.members.iter();
    members
        .flat_map(|member| {
            assigned(&member.member_assignment).into_iter().map(|at| (at, member.member_id.clone()))
        })
        .collect()
}

/// What a group is behind in a partition; nothing where the end is not known.
fn lag(end: Option<&i64>, committed: i64) -> Option<i64> {
    end.map(|end| (end - committed).max(0))
}

/// What is known of topics: their names, and which of their partitions can say where they end.
struct Known {
    names: BTreeMap<Uuid, Arc<str>>,
    led: BTreeSet<TopicPartition>,
}

impl Known {
    fn of(metadata: &MetadataResponse) -> Known {
        let (mut names, mut led) = (BTreeMap::new(), BTreeSet::new());
        for topic in &metadata.topics {
            let name: Arc<str> = topic.name.as_deref().unwrap_or_default().into();
            let leaders = topic.partitions.iter().filter(|partition| partition.leader_id >= 0);
            led.extend(leaders.map(|at| TopicPartition::new(name.clone(), at.partition_index)));
            names.insert(topic.topic_id, name);
        }
        Known { names, led }
    }
}

/// What a group has committed, in topics that there are.
async fn offsets(
    cluster: &Cluster,
    group: &str,
    known: &Known,
) -> Result<BTreeMap<TopicPartition, i64>, Problem> {
    let (group_id, member_epoch) = (group.to_owned(), -1);
    let asked = OffsetFetchRequestGroup { group_id, member_id: None, member_epoch, topics: None };
    let request = OffsetFetchRequest { groups: vec![asked], ..OffsetFetchRequest::default() };
    let answer = cluster.coordinator(CoordinatorKind::Group, group, &request).await?;
    let mut found = BTreeMap::new();
    for told in answer.groups {
        if told.error_code != 0 && told.error_code != ErrorCode::GroupIdNotFound.code() {
            let why = format!("{group}: its offsets are not told (error {})", told.error_code);
            return Err(Problem::new(StatusCode::BAD_GATEWAY, why));
        }
        for topic in told.topics {
            // From version 10 on topics have ids in place of names.
            let name = match topic.name.is_empty() {
                true => known.names.get(&topic.topic_id).cloned(),
                false => Some(topic.name.into()),
            };
            let Some(name) = name else { continue };
            let read = topic.partitions.iter().filter(|at| at.error_code == 0 && at.committed_offset >= 0);
            found.extend(
                read.map(|at| (TopicPartition::new(name.clone(), at.partition_index), at.committed_offset)),
            );
        }
    }
    Ok(found)
}

/// Where partitions end; those that are gone or have no leader are left out, they would be waited for.
async fn ends<'a>(
    cluster: &Cluster,
    partitions: impl Iterator<Item = &'a TopicPartition>,
    known: &Known,
) -> Result<BTreeMap<TopicPartition, i64>, Problem> {
    let all: BTreeSet<&TopicPartition> = partitions.filter(|at| known.led.contains(at)).collect();
    if all.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked: Vec<_> = all.into_iter().map(|at| (at.clone(), OffsetSpec::Latest)).collect();
    let found = cluster.list_offsets(&asked, Isolation::ReadUncommitted).await?;
    Ok(found.into_iter().filter_map(|(at, end)| Some((at, end.ok()?.offset))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

    #[test]
    fn partitions_without_a_leader_are_not_asked() {
        let partition = |partition_index, leader_id| MetadataResponsePartition {
            partition_index,
            leader_id,
            ..Default::default()
        };
        let id = Uuid::from_u128(7);
        let topic = MetadataResponseTopic {
            name: Some("t".into()),
            topic_id: id,
            partitions: vec![partition(0, 1), partition(1, -1)],
            ..Default::default()
        };
        let known = Known::of(&MetadataResponse { topics: vec![topic], ..Default::default() });
        assert_eq!(known.led, BTreeSet::from([TopicPartition::new("t", 0)]));
        assert_eq!(known.names[&id], "t".into());
    }

    #[test]
    fn nobody_is_ahead_and_an_unknown_end_is_no_lag() {
        assert_eq!(lag(Some(&10), 7), Some(3));
        assert_eq!(lag(Some(&10), 12), Some(0));
        assert_eq!(lag(None, 12), None);
    }
}
