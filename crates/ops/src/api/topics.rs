//! Topics and their partitions.

use std::time::Duration;

use ottla_client::{Cluster, TopicPartition};
use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use ottla_records::uuid_text;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Problem, extents, page};
use crate::query::Target;

/// How long a list waits for the numbers of records in it.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Partitions whose offsets are asked for one list of topics.
const COUNTED: usize = 2_000;

/// Topics by name or by what they need, a page of them.
pub(super) async fn list(cluster: &Cluster, target: &Target) -> Result<Value, Problem> {
    let metadata = cluster.metadata(None).await?;
    let search = target.text("search").unwrap_or_default().to_lowercase();
    let internal = target.has("internal");
    let mut rows: Vec<Row> = metadata
        .topics
        .iter()
        .filter(|topic| internal || !topic.is_internal)
        .map(Row::of)
        .filter(|row| row.name.to_lowercase().contains(&search))
        .collect();
    sort(&mut rows, target.text("sort").unwrap_or("name"))?;
    let (all, rows) = page(target, 500, 50, rows)?;
    // A partition without a leader would be waited for.
    let partitions: Vec<TopicPartition> =
        rows.iter().filter(|row| row.offline == 0).flat_map(Row::partitions).collect();
    // A leader that does not answer is no reason not to show the list.
    let offsets = match partitions.len() {
        ..=COUNTED => timeout(PATIENCE, extents(cluster, &partitions)).await.ok().transpose()?,
        _ => None,
    };
    let records = |row: &Row| {
        let offsets = offsets.as_ref()?;
        row.partitions().map(|at| offsets.get(&at).map(|(first, next)| next - first)).sum::<Option<i64>>()
    };
    let shown = rows.iter().map(|row| {
        json!({
            "name": row.name, "is_internal": row.is_internal, "partitions": row.indexes.len(),
            "replication_factor": row.replication_factor, "offline": row.offline,
            "under_replicated": row.under_replicated, "records": records(row),
        })
    });
    Ok(json!({"all": all, "topics": shown.collect::<Vec<_>>()}))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    is_internal: bool,
    indexes: Vec<i32>,
    replication_factor: usize,
    offline: usize,
    under_replicated: usize,
}

impl Row {
    fn of(topic: &MetadataResponseTopic) -> Row {
        let count = |is: fn(&MetadataResponsePartition) -> bool| {
            topic.partitions.iter().filter(|partition| is(partition)).count()
        };
        Row {
            name: topic.name.clone().unwrap_or_default(),
            is_internal: topic.is_internal,
            indexes: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
            replication_factor: topic.partitions.first().map_or(0, |first| first.replica_nodes.len()),
            offline: count(|partition| partition.leader_id < 0),
            under_replicated: count(|partition| partition.isr_nodes.len() < partition.replica_nodes.len()),
        }
    }

    fn partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        let name: std::sync::Arc<str> = self.name.as_str().into();
        self.indexes.iter().map(move |index| TopicPartition::new(name.clone(), *index))
    }
}

fn sort(rows: &mut [Row], by: &str) -> Result<(), Problem> {
    match by {
        "name" => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        "partitions" => rows.sort_by(|a, b| b.indexes.len().cmp(&a.indexes.len()).then(a.name.cmp(&b.name))),
        "trouble" => rows.sort_by(|a, b| {
            (b.offline, b.under_replicated).cmp(&(a.offline, a.under_replicated)).then(a.name.cmp(&b.name))
        }),
        other => {
            return Err(Problem::asked_wrongly(format!("sort={other}: name, partitions or trouble")));
        }
    }
    Ok(())
}

/// A topic as the cluster knows it.
pub(super) async fn found(cluster: &Cluster, name: &str) -> Result<MetadataResponseTopic, Problem> {
    let metadata = cluster.metadata(Some(&[name])).await?;
    let topic = metadata.topics.into_iter().find(|topic| topic.name.as_deref() == Some(name));
    topic
        .filter(|topic| topic.error_code == 0)
        .ok_or_else(|| Problem::not_found(format!("there is no topic {name}")))
}

/// One topic, and a page of its partitions.
pub(super) async fn one(cluster: &Cluster, name: &str, target: &Target) -> Result<Value, Problem> {
    let topic = found(cluster, name).await?;
    let row = Row::of(&topic);
    let mut partitions = topic.partitions;
    partitions.sort_by_key(|partition| partition.partition_index);
    let (all, partitions) = page(target, 1_000, 200, partitions)?;
    let asked: Vec<TopicPartition> = partitions
        .iter()
        .filter(|partition| partition.leader_id >= 0)
        .map(|partition| TopicPartition::new(name, partition.partition_index))
        .collect();
    let offsets = extents(cluster, &asked).await?;
    let shown = partitions.iter().map(|partition| {
        let extent = offsets.get(&TopicPartition::new(name, partition.partition_index));
        json!({
            "partition": partition.partition_index, "leader": partition.leader_id,
            "leader_epoch": partition.leader_epoch, "replicas": partition.replica_nodes,
            "in_sync": partition.isr_nodes, "offline": partition.offline_replicas,
            "first_offset": extent.map(|(first, _)| first), "next_offset": extent.map(|(_, next)| next),
        })
    });
    Ok(json!({
        "name": name,
        "id": uuid_text::encode(&topic.topic_id),
        "is_internal": topic.is_internal,
        "replication_factor": row.replication_factor,
        "all": all,
        "partitions": shown.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, partitions: i32, offline: usize, under_replicated: usize) -> Row {
        let indexes = (0..partitions).collect();
        let name = name.to_owned();
        Row { name, is_internal: false, indexes, replication_factor: 3, offline, under_replicated }
    }

    #[test]
    fn what_needs_eyes_comes_first() {
        let mut rows = vec![row("a", 1, 0, 0), row("b", 9, 0, 2), row("c", 3, 1, 1), row("d", 3, 0, 2)];
        let mut names = |by: &str| {
            sort(&mut rows, by).expect("an order");
            rows.iter().map(|row| row.name.clone()).collect::<String>()
        };
        assert_eq!(names("trouble"), "cbda");
        assert_eq!(names("partitions"), "bcda");
        assert_eq!(names("name"), "abcd");
        assert_eq!(sort(&mut rows, "size").expect_err("no order").status, 400);
    }

    #[test]
    fn partitions_without_a_leader_or_a_replica_are_counted() {
        let partition = |leader_id, isr: &[i32]| MetadataResponsePartition {
            leader_id,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: isr.to_vec(),
            ..Default::default()
        };
        let partitions = vec![partition(1, &[1, 2, 3]), partition(-1, &[1]), partition(2, &[2, 3])];
        let topic = MetadataResponseTopic { name: Some("t".into()), partitions, ..Default::default() };
        let row = Row::of(&topic);
        assert_eq!((row.offline, row.under_replicated, row.replication_factor), (1, 2, 3));
    }
}
