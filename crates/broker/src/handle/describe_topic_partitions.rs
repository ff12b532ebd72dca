//! DescribeTopicPartitions (key 75): topics page by page, with their eligible leader replicas (KIP-966).

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_topic_partitions_request::Cursor as Asked;
use ottla_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use ottla_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use uuid::Uuid;

use crate::dispatch::Call;
use crate::handle::operations;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeTopicPartitionsRequest = call.owned()?;
    let limit = call.node().config().requests.partition_limit.min(request.response_partition_limit).max(1);
    call.reply(&answer(&call.node().image(), &call.peer.listener_name, request, limit as usize))
}

fn answer(
    image: &Image,
    listener: &str,
    request: DescribeTopicPartitionsRequest,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    if !is_sound(&request) {
        let refused = |name| DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::InvalidRequest.code(),
            name: Some(name),
            ..Default::default()
        };
        let topics = request.topics.into_iter().map(|topic| refused(topic.name)).collect();
        return DescribeTopicPartitionsResponse { topics, ..Default::default() };
    }
    let first = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
    let mut page = Page { image, listener, limit, cursor: request.cursor.as_ref(), topics: Vec::new() };
    let next_cursor = if request.topics.is_empty() {
        let all = image.topics.iter_by_name_from(first);
        page.fill(all.map(|topic| (&*topic.name, Some(topic))))
    } else {
        let names: BTreeSet<&str> =
            request.topics.iter().map(|topic| topic.name.as_str()).filter(|name| *name >= first).collect();
        page.fill(names.into_iter().map(|name| (name, image.topics.by_name(name))))
    };
    DescribeTopicPartitionsResponse { topics: page.topics, next_cursor, ..Default::default() }
}

/// A cursor names one of the topics asked for, and a partition there can be.
fn is_sound(request: &DescribeTopicPartitionsRequest) -> bool {
    let Some(cursor) = &request.cursor else { return true };
    let listed = request.topics.is_empty() || request.topics.iter().any(|t| t.name == cursor.topic_name);
    listed && cursor.partition_index >= 0
}

/// What fits into one response.
struct Page<'a> {
    image: &'a Image,
    listener: &'a str,
    /// Partitions that still fit.
    limit: usize,
    cursor: Option<&'a Asked>,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
}

impl Page<'_> {
    /// Puts in what fits; gives the cursor to go on from if something does not.
    fn fill<'n>(
        &mut self,
        topics: impl Iterator<Item = (&'n str, Option<&'n Arc<Topic>>)>,
    ) -> Option<Cursor> {
        for (name, topic) in topics {
            if self.limit == 0 {
                return Some(Cursor { topic_name: name.to_owned(), partition_index: 0 });
            }
            let Some(topic) = topic else {
                let known = topic_names::check(name).is_ok();
                let error =
                    if known { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::InvalidTopicException };
                self.topics.push(DescribeTopicPartitionsResponseTopic {
                    error_code: error.code(),
                    name: Some(name.to_owned()),
                    topic_id: Uuid::nil(),
                    is_internal: topic_names::is_internal(name),
                    topic_authorized_operations: operations::TOPIC,
                    ..Default::default()
                });
                continue;
            };
            let first = self.cursor.filter(|cursor| cursor.topic_name == name);
            if let Some(partition_index) = self.add(topic, first.map_or(0, |cursor| cursor.partition_index)) {
                return Some(Cursor { topic_name: name.to_owned(), partition_index });
            }
        }
        None
    }

    /// Adds a topic from partition `first` on; gives the first partition that did not fit.
    fn add(&mut self, topic: &Topic, first: i32) -> Option<i32> {
        let mut rest = topic.partitions.iter_from(&first);
        let mut partitions = Vec::new();
        for (&partition_index, partition) in rest.by_ref().take(self.limit) {
            let view = self.image.describe(partition, self.listener);
            partitions.push(DescribeTopicPartitionsResponsePartition {
                error_code: 0,
                partition_index,
                leader_id: view.leader.id(),
                leader_epoch: partition.leader_epoch,
                replica_nodes: partition.replicas.to_vec(),
                isr_nodes: partition.isr.to_vec(),
                eligible_leader_replicas: Some(partition.elr().to_vec()),
                last_known_elr: Some(partition.last_known_elr().to_vec()),
                offline_replicas: view.offline_replicas,
            });
        }
        self.limit -= partitions.len();
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            error_code: 0,
            name: Some(topic.name.to_string()),
            topic_id: topic.id,
            is_internal: topic_names::is_internal(&topic.name),
            partitions,
            topic_authorized_operations: operations::TOPIC,
        });
        rest.next().map(|(&index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_metadata::Delta;
    use ottla_protocol::messages::describe_topic_partitions_request::TopicRequest;
    use ottla_protocol::metadata_records::{MetadataRecord, PartitionRecord, TopicRecord};

    /// Topics a (3 partitions), b (1), c (2).
    fn image() -> Image {
        let mut delta = Delta::default();
        for (number, (name, count)) in [("a", 3), ("b", 1), ("c", 2)].into_iter().enumerate() {
            let topic_id = Uuid::from_u128(number as u128 + 7);
            let topic = TopicRecord { name: name.to_owned(), topic_id };
            delta.replay(&MetadataRecord::from(topic)).unwrap();
            for partition_id in 0..count {
                let partition = PartitionRecord {
                    partition_id,
                    topic_id,
                    replicas: vec![1],
                    isr: vec![1],
                    leader: 1,
                    ..Default::default()
                };
                delta.replay(&MetadataRecord::from(partition)).unwrap();
            }
        }
        delta.after().clone()
    }

    fn ask(
        names: &[&str],
        cursor: Option<(&str, i32)>,
        limit: usize,
    ) -> (Vec<String>, Option<(String, i32)>) {
        let request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name: (*name).to_owned() }).collect(),
            cursor: cursor.map(|(name, index)| Asked { topic_name: name.to_owned(), partition_index: index }),
            ..Default::default()
        };
        let response = answer(&image(), "PLAINTEXT", request, limit);
        let shown = response.topics.into_iter().map(|topic| {
            let indexes: Vec<String> =
                topic.partitions.iter().map(|p| p.partition_index.to_string()).collect();
            let error = if topic.error_code == 0 { String::new() } else { format!("!{}", topic.error_code) };
            format!("{}{error}:{}", topic.name.unwrap_or_default(), indexes.join(","))
        });
        (shown.collect(), response.next_cursor.map(|c| (c.topic_name, c.partition_index)))
    }

    fn next(name: &str, index: i32) -> Option<(String, i32)> {
        Some((name.to_owned(), index))
    }

    #[test]
    fn pages_end_inside_between_and_after_topics() {
        assert_eq!(ask(&[], None, 2), (vec!["a:0,1".into()], next("a", 2)));
        assert_eq!(ask(&[], Some(("a", 2)), 2), (vec!["a:2".into(), "b:0".into()], next("c", 0)));
        assert_eq!(ask(&[], Some(("c", 0)), 2), (vec!["c:0,1".into()], None));
        assert_eq!(ask(&[], None, 100).1, None);
        // A cursor may name a topic that has been deleted since.
        assert_eq!(ask(&[], Some(("bb", 5)), 9), (vec!["c:0,1".into()], None));
    }

    #[test]
    fn named_topics_come_sorted_once_each_with_their_errors() {
        let (topics, cursor) = ask(&["c", "x", "a", "c", "no/name"], None, 9);
        assert_eq!(topics, ["a:0,1,2", "c:0,1", "no/name!17:", "x!3:"]);
        assert_eq!(cursor, None);
        assert_eq!(ask(&["c", "a"], Some(("c", 1)), 9), (vec!["c:1".into()], None));
    }

    #[test]
    fn cursors_that_make_no_sense_are_refused() {
        assert_eq!(ask(&["a", "c"], Some(("b", 0)), 9).0, ["a!42:", "c!42:"]);
        assert_eq!(ask(&["a"], Some(("a", -1)), 9).0, ["a!42:"]);
    }

    #[test]
    fn leaders_that_cannot_be_reached_are_not_named() {
        let request = DescribeTopicPartitionsRequest::default();
        let response = answer(&image(), "PLAINTEXT", request, 1);
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.leader_id, &partition.offline_replicas[..]), (-1, &[1][..]));
        assert_eq!(partition.eligible_leader_replicas.as_deref(), Some(&[][..]));
    }

    #[test]
    fn partitions_of_several_brokers() {
        let request = DescribeTopicPartitionsRequest::default();
        let response = answer(&crate::handle::three_brokers::image("t"), "INSIDE", request, 9);
        let told: Vec<_> = response.topics[0]
            .partitions
            .iter()
            .map(|p| (p.error_code, p.leader_id, &p.isr_nodes[..], &p.offline_replicas[..]))
            .collect();
        let (isr, offline) = (&[1, 3][..], &[2, 3][..]);
        assert_eq!(told, [1, 2, -1, -1].map(|leader| (0, leader, isr, offline)));
    }
}
