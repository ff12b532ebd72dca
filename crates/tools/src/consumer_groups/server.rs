//! What the group tools ask of a cluster: groups listed and described, offsets they have committed, ends of logs.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use ottla_client::consumer::assigned;
use ottla_client::{Cluster, CoordinatorKind, Isolation, Node, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_describe_response::Assignment;
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, ListGroupsRequest, MetadataResponse,
    OffsetFetchRequest, consumer_group_describe_response, describe_groups_response,
};
use uuid::Uuid;

use super::{Failure, executed, rethrown};
use crate::runtime::{Thrown, java};

/// A group, whichever of the two protocols its members speak.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) assignor: String,
    pub(crate) coordinator: Node,
    pub(crate) members: Vec<Member>,
    /// Only groups of KIP-848 have epochs.
    pub(crate) epoch: Option<i32>,
    pub(crate) target_epoch: Option<i32>,
}

/// One member of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) assignment: Vec<TopicPartition>,
    pub(crate) target: Vec<TopicPartition>,
    pub(crate) epoch: Option<i32>,
    /// Whether a member of a KIP-848 group speaks the new protocol; `None` where the server does not tell.
    pub(crate) upgraded: Option<bool>,
    /// The epoch of the assignment that the group is going to.
    pub(crate) target_epoch: Option<i32>,
}

/// Types of groups, as Java's client spells them; servers send them in any case.
pub(crate) const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];
/// States of groups, likewise.
const STATES: [&str; 8] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
    "NotReady",
];

/// A word of a server in the spelling of Java's client; nothing stays nothing.
pub(crate) fn spelled(known: &[&str], word: &str) -> String {
    let spelled = known.iter().find(|known| known.eq_ignore_ascii_case(word));
    match spelled {
        Some(spelled) => (*spelled).to_owned(),
        None if word.is_empty() => String::new(),
        None => "Unknown".to_owned(),
    }
}

/// The exception of an error code, as a future's `get` throws it.
pub(crate) fn refused(code: i16, message: Option<&str>) -> Result<(), Thrown> {
    Thrown::of_item(code, message)
}

/// The groups of all brokers that pass the filters, in the order of the map that Java's client gives.
pub(crate) async fn list(
    cluster: &Cluster,
    types: &[String],
    states: &[String],
    protocols: Option<&[&str]>,
) -> Result<Vec<ListedGroup>, Thrown> {
    let request = ListGroupsRequest { states_filter: states.to_vec(), types_filter: types.to_vec() };
    let mut groups: BTreeMap<String, ListedGroup> = BTreeMap::new();
    for (_, answer) in cluster.each(&request).await {
        let answer = answer?;
        refused(answer.error_code, None)?;
        for mut group in answer.groups {
            group.group_type = spelled(&TYPES, &group.group_type);
            group.group_state = spelled(&STATES, &group.group_state);
            if protocols.is_none_or(|protocols| protocols.contains(&group.protocol_type.as_str())) {
                groups.insert(group.group_id.clone(), group);
            }
        }
    }
    Ok(java::hash_order(groups.into_values().collect(), |group| &group.group_id))
}

/// The groups that consumers may be members of.
pub(crate) async fn list_consumer_groups(cluster: &Cluster) -> Result<Vec<String>, Thrown> {
    let types = ["Classic".to_owned(), "Consumer".to_owned()];
    let groups = list(cluster, &types, &[], Some(&["", "consumer"])).await.map_err(rethrown)?;
    Ok(groups.into_iter().map(|group| group.group_id).collect())
}

/// The node that keeps a group.
pub(crate) async fn coordinator(cluster: &Cluster, group: &str) -> Result<Node, Thrown> {
    let mut found = cluster.find_coordinators(CoordinatorKind::Group, &[group]).await?;
    match found.remove(group) {
        Some(node) => Ok(node?),
        None => Err(Thrown::of_item(ErrorCode::CoordinatorNotAvailable.into(), None)
            .expect_err("a code that is not 0")),
    }
}

/// A group described: as a group of KIP-848, else as a classic one.
pub(crate) async fn describe(cluster: &Cluster, group: &str) -> Result<Group, Thrown> {
    let node = coordinator(cluster, group).await?;
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![group.to_owned()],
        include_authorized_operations: false,
    };
    let mut why_not = None;
    match cluster.coordinator(CoordinatorKind::Group, group, &request).await {
        Ok(answer) => {
            for described in answer.groups {
                match ErrorCode::from_i16(described.error_code) {
                    Some(ErrorCode::None) => return Ok(of_consumer(described, node)),
                    Some(ErrorCode::GroupIdNotFound) => why_not = described.error_message,
                    Some(ErrorCode::UnsupportedVersion) => {}
                    _ => refused(described.error_code, described.error_message.as_deref())?,
                }
            }
        }
        Err(error) if error.code() == Some(ErrorCode::UnsupportedVersion) => {}
        Err(error) => return Err(error.into()),
    }
    let request =
        DescribeGroupsRequest { groups: vec![group.to_owned()], include_authorized_operations: false };
    let answer = cluster.coordinator(CoordinatorKind::Group, group, &request).await?;
    let Some(described) = answer.groups.into_iter().next() else {
        let message = format!("the coordinator did not describe {group}");
        return Err(Thrown::new("java.lang.IllegalStateException", message));
    };
    let message = match ErrorCode::from_i16(described.error_code) {
        Some(ErrorCode::GroupIdNotFound) => why_not.as_deref().or(described.error_message.as_deref()),
        _ => described.error_message.as_deref(),
    };
    refused(described.error_code, message)?;
    if !matches!(described.protocol_type.as_str(), "" | "consumer") {
        return Err(Thrown::illegal_argument(format!(
            "GroupId {group} is not a consumer group ({}).",
            described.protocol_type
        )));
    }
    Ok(of_classic(described, node))
}

fn of_consumer(described: consumer_group_describe_response::DescribedGroup, coordinator: Node) -> Group {
    let target_epoch = described.assignment_epoch;
    let members = described.members.into_iter().map(|member| Member {
        id: member.member_id,
        instance: member.instance_id,
        client: member.client_id,
        host: member.client_host,
        assignment: partitions(&member.assignment),
        target: partitions(&member.target_assignment),
        epoch: Some(member.member_epoch),
        upgraded: (member.member_type != -1).then_some(member.member_type == 1),
        target_epoch: Some(target_epoch),
    });
    Group {
        id: described.group_id,
        state: spelled(&STATES, &described.group_state),
        assignor: described.assignor_name,
        coordinator,
        members: members.collect(),
        epoch: Some(described.group_epoch),
        target_epoch: Some(described.assignment_epoch),
    }
}

fn partitions(assignment: &Assignment) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.iter();
    topics
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|partition| TopicPartition::new(topic.topic_name.as_str(), *partition))
        })
        .collect()
}

fn of_classic(described: describe_groups_response::DescribedGroup, coordinator: Node) -> Group {
    let members = described.members.into_iter().map(|member| Member {
        assignment: assigned(&member.member_assignment),
        id: member.member_id,
        instance: member.group_instance_id,
        client: member.client_id,
        host: member.client_host,
        ..Member::default()
    });
    Group {
        id: described.group_id,
        state: spelled(&STATES, &described.group_state),
        assignor: described.protocol_data,
        coordinator,
        members: members.collect(),
        epoch: None,
        target_epoch: None,
    }
}

/// The offsets a group has committed: partition to (offset, leader epoch). A partition with none is not there.
pub(crate) async fn committed(
    cluster: &Cluster,
    group: &str,
) -> Result<BTreeMap<TopicPartition, (i64, Option<i32>)>, Thrown> {
    // Before version 8 a request names one group at its top, from then on a list of groups.
    let node = coordinator(cluster, group).await?;
    let line = cluster.connection(node.id).await?;
    let request = if line.version_of::<OffsetFetchRequest>().is_ok_and(|version| version < 8) {
        OffsetFetchRequest { group_id: group.to_owned(), topics: None, ..OffsetFetchRequest::default() }
    } else {
        let group_id = group.to_owned();
        let group = OffsetFetchRequestGroup { group_id, member_id: None, member_epoch: -1, topics: None };
        OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
    };
    let answer = cluster.coordinator(CoordinatorKind::Group, group, &request).await?;
    refused(answer.error_code, None)?;
    let mut offsets = BTreeMap::new();
    let mut put = |topic: &str, partition: i32, offset: i64, epoch: i32| {
        if offset >= 0 {
            offsets.insert(TopicPartition::new(topic, partition), (offset, (epoch >= 0).then_some(epoch)));
        }
    };
    for topic in &answer.topics {
        for at in &topic.partitions {
            put(&topic.name, at.partition_index, at.committed_offset, at.committed_leader_epoch);
        }
    }
    // From version 10 on topics have ids in place of names.
    let nameless = answer.groups.iter().flat_map(|group| &group.topics).any(|topic| topic.name.is_empty());
    let names = if nameless { ids(&cluster.metadata(None).await?) } else { BTreeMap::new() };
    for group in &answer.groups {
        refused(group.error_code, None)?;
        for topic in &group.topics {
            let name = match names.get(&topic.topic_id) {
                Some(name) if topic.name.is_empty() => name,
                _ if topic.name.is_empty() => continue,
                _ => &topic.name,
            };
            for at in &topic.partitions {
                put(name, at.partition_index, at.committed_offset, at.committed_leader_epoch);
            }
        }
    }
    Ok(offsets)
}

fn ids(metadata: &MetadataResponse) -> BTreeMap<Uuid, String> {
    let topics = metadata.topics.iter();
    topics.filter_map(|topic| Some((topic.topic_id, topic.name.clone()?))).collect()
}

/// What the cluster knows of some topics; one that is not there is an error, as in Java's `describeTopics`.
pub(crate) async fn topics(cluster: &Cluster, names: &BTreeSet<&str>) -> Result<MetadataResponse, Thrown> {
    if names.is_empty() {
        return Ok(MetadataResponse::default());
    }
    let names: Vec<&str> = names.iter().copied().collect();
    let answer = cluster.metadata(Some(&names)).await?;
    for topic in &answer.topics {
        refused(topic.error_code, None)?;
    }
    Ok(answer)
}

/// Offsets of partitions of one kind; one that has none fails the whole, as Java's `all()` does.
pub(crate) async fn offsets(
    cluster: &Cluster,
    partitions: impl IntoIterator<Item = &TopicPartition>,
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>, Thrown> {
    let wanted: Vec<(TopicPartition, OffsetSpec)> =
        partitions.into_iter().map(|partition| (partition.clone(), spec)).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer =
        cluster.list_offsets(&wanted, Isolation::ReadUncommitted).await.map_err(|e| rethrown(e.into()))?;
    let mut offsets = BTreeMap::new();
    for (partition, found) in answer {
        match found {
            Ok(found) => {
                offsets.insert(partition, found.offset);
            }
            Err(code) => return Err(rethrown(Thrown::new(exception::class(code), exception::message(code)))),
        }
    }
    Ok(offsets)
}

/// For `?` on a Thrown that a future gave.
pub(crate) fn got<T>(result: Result<T, Thrown>) -> Result<T, Failure> {
    result.map_err(|thrown| executed(thrown).into())
}
