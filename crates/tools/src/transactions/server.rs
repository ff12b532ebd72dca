//! What `kafka-transactions` asks of a cluster, with the exceptions of Kafka's admin client.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ottla_client::{Cluster, ClusterError, CoordinatorKind, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_request::TopicRequest;
use ottla_protocol::messages::describe_producers_response::ProducerState;
use ottla_protocol::messages::list_transactions_response::TransactionState as Listing;
use ottla_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest,
    WriteTxnMarkersRequest,
};

use crate::consumer_groups::server::spelled;
use crate::runtime::Thrown;

pub(super) use ottla_protocol::messages::describe_transactions_response::TransactionState as Described;

/// States of transactions, as Java's client spells them.
const STATES: [&str; 7] = [
    "Ongoing",
    "PrepareAbort",
    "PrepareCommit",
    "CompleteAbort",
    "CompleteCommit",
    "Empty",
    "PrepareEpochFence",
];
/// The time that a coordinator has to write down a new epoch: Kafka's `request.timeout.ms`.
const FENCE_TIMEOUT_MS: i32 = 30_000;

/// A state in the spelling of Java's client.
pub(super) fn state(word: &str) -> String {
    if word.is_empty() { "Unknown".to_owned() } else { spelled(&STATES, word) }
}

/// The exception of a code with the words of the client's handler.
fn thrown(code: i16, message: String) -> Thrown {
    let code = ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
    Thrown::new(exception::class(code), message)
}

/// The code of an answer that was an error as a whole, for words of our own.
fn code_of(error: &ClusterError) -> Option<i16> {
    match error {
        ClusterError::Code { code, .. } => Some((*code).into()),
        _ => None,
    }
}

/// The transactions of every coordinator, by its id.
pub(super) async fn list(
    cluster: &Cluster,
    producer_ids: Vec<i64>,
    duration_ms: i64,
    pattern: Option<&str>,
) -> Result<BTreeMap<i32, Vec<Listing>>, Thrown> {
    let request = ListTransactionsRequest {
        state_filters: Vec::new(),
        producer_id_filters: producer_ids,
        duration_filter: duration_ms,
        transactional_id_pattern: pattern.map(str::to_owned),
    };
    let mut listed = BTreeMap::new();
    for (node, answer) in cluster.each(&request).await {
        let sent = format!("ListTransactions request sent to broker {}", node.id);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => match code_of(&error) {
                Some(code) => return Err(listing_failed(code, &sent)),
                None => return Err(error.into()),
            },
        };
        if answer.error_code != 0 {
            return Err(listing_failed(answer.error_code, &sent));
        }
        listed.insert(node.id, answer.transaction_states);
    }
    Ok(listed)
}

fn listing_failed(code: i16, sent: &str) -> Thrown {
    if ErrorCode::from_i16(code) == Some(ErrorCode::CoordinatorNotAvailable) {
        return thrown(code, format!("{sent} failed because the coordinator is shutting down"));
    }
    let why = ErrorCode::from_i16(code).map_or("unknown", exception::message);
    thrown(code, format!("{sent} failed with an unexpected exception")).caused(&format!("    cause: {why}"))
}

/// One transactional id, with the id of its coordinator.
pub(super) async fn describe(cluster: &Cluster, id: &str) -> Result<(i32, Described), Thrown> {
    let mut found = cluster.find_coordinators(CoordinatorKind::Transaction, &[id]).await?;
    let node = match found.remove(id) {
        Some(node) => node?,
        None => return Err(thrown(ErrorCode::CoordinatorNotAvailable.into(), "no coordinator".into())),
    };
    let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
    let answer = cluster.coordinator(CoordinatorKind::Transaction, id, &request).await?;
    let Some(state) = answer.transaction_states.into_iter().find(|state| state.transactional_id == id) else {
        let message = format!("the coordinator did not describe {id}");
        return Err(Thrown::new("java.lang.IllegalStateException", message));
    };
    let why = match ErrorCode::from_i16(state.error_code) {
        Some(ErrorCode::None) => return Ok((node.id, state)),
        Some(ErrorCode::TransactionalIdNotFound) => "failed because the ID could not be found",
        Some(ErrorCode::TransactionalIdAuthorizationFailed) => "failed due to authorization failure",
        _ => "failed due to unexpected error",
    };
    let message = format!("DescribeTransactions request for transactionalId `{id}` {why}");
    Err(thrown(state.error_code, message))
}

/// The partitions in a transaction, sorted.
pub(super) fn partitions(state: &Described) -> BTreeSet<TopicPartition> {
    let topics = state.topics.iter();
    topics
        .flat_map(|topic| topic.partitions.iter().map(|at| TopicPartition::new(topic.topic.as_str(), *at)))
        .collect()
}

/// The producers that partitions remember, asked of their leaders or of one broker.
pub(super) async fn producers(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    broker: Option<i32>,
) -> Result<BTreeMap<TopicPartition, Vec<ProducerState>>, Thrown> {
    let mut by_node: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    let leaders = match broker {
        Some(_) => BTreeMap::new(),
        None => cluster.leaders(partitions).await?,
    };
    for at in partitions {
        let Some(node) = broker.or_else(|| leaders.get(at).copied()) else {
            return Err(timed_out_looking(at));
        };
        by_node.entry(node).or_default().entry(&at.topic).or_default().push(at.partition);
    }
    let mut producers = BTreeMap::new();
    for (node, topics) in by_node {
        let topics = topics
            .into_iter()
            .map(|(name, partition_indexes)| TopicRequest { name: name.to_owned(), partition_indexes });
        let request = DescribeProducersRequest { topics: topics.collect() };
        for topic in cluster.node(node, &request).await?.topics {
            for answer in topic.partitions {
                let at = TopicPartition::new(topic.name.as_str(), answer.partition_index);
                let why = match ErrorCode::from_i16(answer.error_code) {
                    Some(ErrorCode::None) => {
                        producers.insert(at, answer.active_producers);
                        continue;
                    }
                    Some(ErrorCode::NotLeaderOrFollower) if broker.is_some() => {
                        format!("Failed to describe active producers for partition {at} on brokerId {node}")
                    }
                    Some(ErrorCode::InvalidTopicException) => format!(
                        "Failed to fetch metadata for partition {at} due to invalid topic error: {}",
                        answer
                            .error_message
                            .as_deref()
                            .unwrap_or(exception::message(ErrorCode::InvalidTopicException))
                    ),
                    Some(ErrorCode::TopicAuthorizationFailed) => format!(
                        "Failed to describe active producers for partition {at} due to authorization failure on topic `{}`",
                        at.topic
                    ),
                    _ => format!(
                        "Failed to describe active producers for partition {at} due to unexpected error"
                    ),
                };
                let code = ErrorCode::from_i16(answer.error_code).unwrap_or(ErrorCode::UnknownServerError);
                return Err(thrown(answer.error_code, why)
                    .caused(&format!("    cause: {}", exception::message(code))));
            }
        }
    }
    Ok(producers)
}

/// What Kafka's client says when it has looked for a leader for as long as it may.
fn timed_out_looking(at: &TopicPartition) -> Thrown {
    Thrown::new(
        "org.apache.kafka.common.errors.TimeoutException",
        "Timed out waiting for a node assignment. Call: describeProducers(api=METADATA)",
    )
    .caused(&format!(
        "    cause: {at} is not there, or has no leader\n    next: kafka-topics --describe --topic {}",
        at.topic
    ))
}

/// What ends a transaction of one producer on one partition.
pub(super) struct Marker {
    pub(super) at: TopicPartition,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) coordinator_epoch: i32,
}

impl fmt::Display for Marker {
    /// Kafka's `AbortTransactionSpec`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AbortTransactionSpec(topicPartition={}, producerId={}, producerEpoch={}, coordinatorEpoch={})",
            self.at, self.producer_id, self.producer_epoch, self.coordinator_epoch
        )
    }
}

/// Writes an abort marker through the partition's leader.
pub(super) async fn abort(cluster: &Cluster, marker: &Marker) -> Result<(), Thrown> {
    let at = &marker.at;
    let leaders = cluster.leaders(std::slice::from_ref(at)).await?;
    let leader = *leaders.get(at).ok_or_else(|| timed_out_looking(at))?;
    let request = WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: at.topic.to_string(),
                partition_indexes: vec![at.partition],
            }],
            coordinator_epoch: marker.coordinator_epoch,
            ..WritableTxnMarker::default()
        }],
    };
    let answer = cluster.node(leader, &request).await?;
    let results = answer.markers.iter().filter(|result| result.producer_id == marker.producer_id);
    let mut codes = results
        .flat_map(|result| &result.topics)
        .filter(|topic| topic.name == *at.topic)
        .flat_map(|topic| &topic.partitions)
        .filter(|result| result.partition_index == at.partition)
        .map(|result| result.error_code);
    let Some(code) = codes.next() else {
        return Err(Thrown::new(
            "org.apache.kafka.common.KafkaException",
            format!("WriteTxnMarkers response included no entry with topic partition {at}"),
        ));
    };
    let request = format!("WriteTxnMarkers request with {marker}");
    Err(match ErrorCode::from_i16(code) {
        Some(ErrorCode::None) => return Ok(()),
        Some(ErrorCode::ClusterAuthorizationFailed) => {
            thrown(code, format!("{request} failed due to cluster authorization error"))
        }
        Some(ErrorCode::InvalidProducerEpoch) => {
            thrown(code, format!("{request} failed due an invalid producer epoch"))
        }
        Some(ErrorCode::TransactionCoordinatorFenced) => thrown(
            code,
            format!(
                "{request} failed since the provided coordinator epoch {} has been fenced by the active coordinator",
                marker.coordinator_epoch
            ),
        ),
        other => {
            let why = other.map_or("unknown", exception::message);
            thrown(code, format!("{request} failed due to unexpected error: {why}"))
        }
    })
}

/// Gives a transactional id a new epoch, which ends what the old one had begun.
pub(super) async fn fence(cluster: &Cluster, id: &str) -> Result<(), Thrown> {
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: FENCE_TIMEOUT_MS,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    let sent = format!("InitProducerId request for transactionalId `{id}`");
    let code = match cluster.coordinator(CoordinatorKind::Transaction, id, &request).await {
        Ok(answer) => answer.error_code,
        Err(error) => match code_of(&error) {
            // The coordinator was not found: that is no answer to this request.
            Some(code) if error_is_of(&error, "InitProducerId") => code,
            _ => return Err(error.into()),
        },
    };
    let why = match ErrorCode::from_i16(code) {
        Some(ErrorCode::None) => return Ok(()),
        Some(ErrorCode::ClusterAuthorizationFailed) => "failed due to cluster authorization failure",
        Some(ErrorCode::TransactionalIdAuthorizationFailed) => {
            "failed due to transactional ID authorization failure"
        }
        _ => "failed due to unexpected error",
    };
    Err(thrown(code, format!("{sent} {why}")))
}

fn error_is_of(error: &ClusterError, name: &str) -> bool {
    matches!(error, ClusterError::Code { api, .. } if *api == name)
}
