//! Writing markers: each goes to the leader of its partition, this node itself or another.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::WriteTxnMarkersRequest;
use ottla_protocol::messages::WriteTxnMarkersResponse;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_transactions::{Markers, TopicPartition};

use crate::handle::write_txn_markers;
use crate::node::Node;

/// Writes what the shards want written, for ever.
pub(crate) async fn run(node: Arc<Node>) {
    let Some(mut errands) = node.transactions().errands() else { return };
    while let Some((index, markers)) = errands.recv().await {
        send(&node, index, markers);
    }
}

/// Sends markers to the leaders of their partitions; the shard is told what came of each.
fn send(node: &Arc<Node>, index: i32, markers: Markers) {
    let image = node.image();
    let listener = &node.config().listeners.inter_broker_name;
    let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
    let mut known = Vec::new();
    for at in &markers.partitions {
        match image.partition(&at.topic, at.partition) {
            // It was deleted: there is nothing to end in it.
            None => known.push((at.clone(), ErrorCode::None)),
            Some(partition) if image.is_alive(partition.leader, listener) => {
                by_leader.entry(partition.leader).or_default().push(at.clone());
            }
            Some(_) => known.push((at.clone(), ErrorCode::LeaderNotAvailable)),
        }
    }
    let markers = Arc::new(markers);
    for (leader, partitions) in by_leader {
        let (node, markers) = (node.clone(), markers.clone());
        tokio::spawn(async move {
            let request = request(&markers, &partitions);
            let response = if leader == node.node_id() {
                Ok(write_txn_markers::write(&node, request).await)
            } else {
                node.courier().call(&node, leader, request).await
            };
            report(&node, index, &markers, outcomes(partitions, response));
        });
    }
    report(node, index, &markers, known);
}

fn report(node: &Node, index: i32, markers: &Markers, outcomes: Vec<(TopicPartition, ErrorCode)>) {
    if !outcomes.is_empty() {
        let id = &markers.transactional_id;
        node.transactions().tell(index, |keeper, now| keeper.marked(now, id, markers.id, outcomes));
    }
}

fn request(markers: &Markers, partitions: &[TopicPartition]) -> WriteTxnMarkersRequest {
    let mut topics: Vec<WritableTxnMarkerTopic> = Vec::new();
    for at in partitions {
        match topics.last_mut().filter(|last| *last.name == *at.topic) {
            Some(last) => last.partition_indexes.push(at.partition),
            None => topics.push(WritableTxnMarkerTopic {
                name: at.topic.to_string(),
                partition_indexes: vec![at.partition],
            }),
        }
    }
    let marker = WritableTxnMarker {
        producer_id: markers.producer_id,
        producer_epoch: markers.epoch,
        transaction_result: markers.commit,
        topics,
        coordinator_epoch: markers.coordinator_epoch,
        transaction_version: markers.transaction_version as i8,
    };
    WriteTxnMarkersRequest { markers: vec![marker] }
}

/// What a response says of each partition. One that it does not name has to be asked again.
fn outcomes(
    partitions: Vec<TopicPartition>,
    response: Result<WriteTxnMarkersResponse, ErrorCode>,
) -> Vec<(TopicPartition, ErrorCode)> {
    let mut said: BTreeMap<(&str, i32), i16> = BTreeMap::new();
    if let Ok(response) = &response {
        for topic in response.markers.iter().flat_map(|marker| &marker.topics) {
            let of_topic =
                topic.partitions.iter().map(|p| ((topic.name.as_str(), p.partition_index), p.error_code));
            said.extend(of_topic);
        }
    }
    // Whatever kept a broker from answering does not say that the marker is not needed.
    let unsaid = if response.is_ok() { ErrorCode::UnknownServerError } else { ErrorCode::NetworkException };
    partitions
        .into_iter()
        .map(|at| {
            let code = said.get(&(&*at.topic, at.partition));
            let error = code
                .map_or(unsaid, |code| ErrorCode::from_i16(*code).unwrap_or(ErrorCode::UnknownServerError));
            (at, error)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::write_txn_markers_response::{
        WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    };

    fn partitions() -> Vec<TopicPartition> {
        [("a", 0), ("a", 3), ("b", 1)].map(|(t, p)| TopicPartition::new(t, p)).to_vec()
    }

    #[test]
    fn a_request_has_each_topic_once() {
        let markers = Markers {
            id: 1,
            transactional_id: "tx".into(),
            producer_id: 7,
            epoch: 3,
            commit: true,
            coordinator_epoch: 9,
            transaction_version: 2,
            partitions: partitions(),
        };
        let request = request(&markers, &partitions());
        let [marker] = &request.markers[..] else { panic!("{request:?}") };
        assert_eq!((marker.producer_id, marker.producer_epoch, marker.transaction_result), (7, 3, true));
        assert_eq!((marker.coordinator_epoch, marker.transaction_version), (9, 2));
        let topics: Vec<_> =
            marker.topics.iter().map(|t| (t.name.as_str(), t.partition_indexes.clone())).collect();
        assert_eq!(topics, [("a", vec![0, 3]), ("b", vec![1])]);
    }

    #[test]
    fn what_is_not_answered_is_not_taken_for_written() {
        let partition = |partition_index, error: ErrorCode| WritableTxnMarkerPartitionResult {
            partition_index,
            error_code: error.code(),
        };
        let topic = WritableTxnMarkerTopicResult {
            name: "a".into(),
            partitions: vec![partition(3, ErrorCode::None), partition(0, ErrorCode::NotEnoughReplicas)],
        };
        let result = WritableTxnMarkerResult { producer_id: 7, topics: vec![topic] };
        let mut response = WriteTxnMarkersResponse { markers: vec![result] };
        let errors =
            |said: Vec<(TopicPartition, ErrorCode)>| said.into_iter().map(|(_, e)| e).collect::<Vec<_>>();
        assert_eq!(
            errors(outcomes(partitions(), Ok(response.clone()))),
            [ErrorCode::NotEnoughReplicas, ErrorCode::None, ErrorCode::UnknownServerError]
        );
        response.markers[0].topics[0].partitions[0].error_code = 31_000;
        assert_eq!(
            errors(outcomes(partitions(), Ok(response)))[1],
            ErrorCode::UnknownServerError,
            "of later releases"
        );
        let lost = errors(outcomes(partitions(), Err(ErrorCode::UnsupportedVersion)));
        assert_eq!(lost, [ErrorCode::NetworkException; 3]);
    }
}
