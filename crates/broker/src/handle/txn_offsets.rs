//! TxnOffsetCommit (key 28): offsets of a group that a producer commits in its transaction.

use ottla_groups::{Client, Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use ottla_records::ids::NO_SEQUENCE;
use ottla_transactions::{Producer, TopicPartition};

use crate::dispatch::Call;
use crate::handle::find;
use crate::handle::offsets::{GONE, RECORD_BYTES, merge, take_missing};
use crate::handle::verification::{Question, Support};
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

/// Clients before this version cannot bear that the coordinator is loading (KAFKA-7296).
const LOADING_FROM: i16 = 2;

pub(crate) fn commit(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: TxnOffsetCommitRequest = call.owned()?;
    let version = call.version();
    call.afford(request.topics.iter().map(|topic| topic.partitions.len()).sum(), RECORD_BYTES)?;
    let image = call.node().image();
    let mut refused = Vec::new();
    for topic in &mut request.topics {
        let found = image.topics.by_name(&topic.name);
        let missing = take_missing(found, &mut topic.partitions, |p| p.partition_index);
        if !missing.is_empty() {
            let missing = TxnOffsetCommitRequestTopic { name: topic.name.clone(), partitions: missing };
            refused.push(all_refused(&missing, ErrorCode::UnknownTopicOrPartition));
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    if request.topics.is_empty() {
        return call.reply(&TxnOffsetCommitResponse { topics: refused, ..Default::default() });
    }
    let (node, to) = (call.node().clone(), call.reply_to());
    let (client_id, host) = (call.head.client_id.unwrap_or_default().to_owned(), call.peer.host());
    Ok(Outcome::Later(Box::pin(async move {
        let index = node.group_partition(&request.group_id);
        let support = Support::of_txn_offset_commit(version);
        let mut guard = None;
        // Where the partition is not led here the group's shard says so.
        if support.asks(&node)
            && let Ok(partition) = find::by_name(&node, topic_names::OFFSETS, index)
            && let producer = (request.producer_id, request.producer_epoch)
            && let Ok(Some(begun)) = partition.begin_verification(producer, NO_SEQUENCE, support.joins())
        {
            let question = Question {
                producer: Producer {
                    transactional_id: request.transactional_id.clone(),
                    id: request.producer_id,
                    epoch: request.producer_epoch,
                },
                support,
                partitions: vec![(TopicPartition::new(topic_names::OFFSETS, index), begun)],
            };
            let errors = question.ask(&node).await;
            if let Some(error) = errors.into_iter().find(|error| *error != ErrorCode::None) {
                let error = as_known(of_verification(error), version);
                let failed = request.topics.iter().map(|topic| all_refused(topic, error));
                let topics = merged(failed.collect(), refused);
                return to.with(&TxnOffsetCommitResponse { topics, ..Default::default() });
            }
            guard = Some(begun.number());
        }
        let client = Client { id: &client_id, host: &host, api_version: version };
        let answer = node.groups().ask(index, client, Request::TxnOffsetCommit { request, guard });
        let Some(Response::TxnOffsetCommit(mut body)) = answer.wait().await else { return Err(GONE) };
        for partition in body.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            let error = ErrorCode::from_i16(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
            partition.error_code = as_known(error, version).code();
        }
        body.topics = merged(body.topics, refused);
        to.with(&body)
    })))
}

/// Errors of the question as group coordinators tell them.
fn of_verification(error: ErrorCode) -> ErrorCode {
    use ErrorCode::*;
    match error {
        // A client that tries again does so here, without looking for another coordinator.
        NetworkException => CoordinatorLoadInProgress,
        UnknownTopicOrPartition | NotEnoughReplicas | RequestTimedOut => CoordinatorNotAvailable,
        NotLeaderOrFollower | KafkaStorageError => NotCoordinator,
        error => error,
    }
}

fn as_known(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorLoadInProgress if version < LOADING_FROM => ErrorCode::CoordinatorNotAvailable,
        error => error,
    }
}

fn all_refused(topic: &TxnOffsetCommitRequestTopic, error: ErrorCode) -> TxnOffsetCommitResponseTopic {
    let partition =
        |index: i32| TxnOffsetCommitResponsePartition { partition_index: index, error_code: error.code() };
    TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(|p| partition(p.partition_index)).collect(),
    }
}

/// Each topic once.
fn merged(
    mut topics: Vec<TxnOffsetCommitResponseTopic>,
    more: Vec<TxnOffsetCommitResponseTopic>,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let name = |topic: &TxnOffsetCommitResponseTopic| topic.name.clone();
    merge(&mut topics, more, name, |same, more| same.partitions.extend(more.partitions));
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_that_clients_try_again_on() {
        use ErrorCode::*;
        assert_eq!(of_verification(NetworkException), CoordinatorLoadInProgress);
        assert_eq!(of_verification(InvalidProducerEpoch), InvalidProducerEpoch);
        assert_eq!(as_known(CoordinatorLoadInProgress, 1), CoordinatorNotAvailable);
        assert_eq!(as_known(CoordinatorLoadInProgress, 2), CoordinatorLoadInProgress);
    }

    #[test]
    fn a_topic_stands_in_the_answer_once() {
        let of = |name: &str, index| TxnOffsetCommitResponseTopic {
            name: name.into(),
            partitions: vec![TxnOffsetCommitResponsePartition { partition_index: index, error_code: 0 }],
        };
        let all = merged(vec![of("a", 0), of("b", 0)], vec![of("b", 1), of("c", 0)]);
        let counts: Vec<_> = all.iter().map(|t| (t.name.as_str(), t.partitions.len())).collect();
        assert_eq!(counts, [("a", 1), ("b", 2), ("c", 1)]);
    }
}
