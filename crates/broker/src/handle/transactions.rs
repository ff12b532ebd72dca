//! AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, DescribeTransactions, ListTransactions: handed to the shard of the
//! transactional id.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_metadata::Image;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use ottla_protocol::messages::describe_transactions_response::TransactionState;
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeTransactionsRequest, DescribeTransactionsResponse, EndTxnRequest, ListTransactionsRequest,
    ListTransactionsResponse,
};
use ottla_transactions::{Producer, Request, Response, TopicPartition, unknown_states};
use regex_lite::Regex;

use crate::dispatch::Call;
use crate::node::Node;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;
use crate::transaction_host::Answer;

const GONE: Refusal = Refusal::Told("the transaction coordinator went away while the request waited");
/// The first version of AddPartitionsToTxn that brokers use among themselves, for several transactions at once.
const BATCHED_FROM: i16 = 4;
/// The first version of EndTxn whose clients take the producer's next epoch from the answer (KIP-890).
const EPOCH_BUMP_FROM: i16 = 5;
/// The first versions of AddPartitionsToTxn, AddOffsetsToTxn and EndTxn that know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// What one partition of a transaction takes until it is in the log.
const PARTITION_BYTES: usize = 200;

fn ask(node: &Node, transactional_id: &str, request: Request) -> Answer {
    node.transactions().ask(node.transaction_partition(transactional_id), request)
}

/// PRODUCER_FENCED as clients before `since` know it.
pub(super) fn fenced_as_known(code: i16, version: i16, since: i16) -> i16 {
    if version < since && code == ErrorCode::ProducerFenced.code() {
        ErrorCode::InvalidProducerEpoch.code()
    } else {
        code
    }
}

pub(crate) fn add_partitions(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: AddPartitionsToTxnRequest = call.owned()?;
    let version = call.version();
    let transactions = if version < BATCHED_FROM {
        vec![AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        }]
    } else {
        request.transactions
    };
    let topics = transactions.iter().flat_map(|transaction| &transaction.topics);
    let count = transactions.len() + topics.map(|topic| 1 + topic.partitions.len()).sum::<usize>();
    call.afford(count, PARTITION_BYTES)?;
    let image = call.node().image();
    let client_version = if version >= BATCHED_FROM { 2 } else { 0 };
    let asked: Vec<_> = transactions
        .into_iter()
        .map(|transaction| {
            let checked = missing(&image, &transaction.topics);
            let answer = checked.is_none().then(|| put(call.node(), &transaction, client_version));
            (transaction, checked, answer)
        })
        .collect();
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut results = Vec::with_capacity(asked.len());
        for (transaction, checked, answer) in asked {
            let mut codes = match (checked, answer) {
                (Some(codes), _) => codes,
                (None, Some(answer)) => answered(&transaction, answer.wait().await.ok_or(GONE)?),
                (None, None) => unreachable!("what was not refused was asked about"),
            }
            .into_iter();
            let topic_results = transaction.topics.into_iter().map(|topic| {
                let one = |(partition_index, error): (i32, ErrorCode)| AddPartitionsToTxnPartitionResult {
                    partition_index,
                    partition_error_code: fenced_as_known(error.code(), version, FENCED_FROM),
                };
                AddPartitionsToTxnTopicResult {
                    name: topic.name,
                    results_by_partition: topic.partitions.into_iter().zip(&mut codes).map(one).collect(),
                }
            });
            results.push(AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id,
                topic_results: topic_results.collect(),
            });
        }
        let mut response = AddPartitionsToTxnResponse::default();
        if version < BATCHED_FROM {
            let only = results.pop().map(|result| result.topic_results);
            response.results_by_topic_v3_and_below = only.unwrap_or_default();
        } else {
            response.results_by_transaction = results;
        }
        to.with(&response)
    })))
}

/// The errors of all partitions, when one of them does not exist: then none is added.
fn missing(image: &Image, topics: &[AddPartitionsToTxnTopic]) -> Option<Vec<ErrorCode>> {
    let all = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |index| (topic, *index)));
    let codes: Vec<ErrorCode> = all
        .map(|(topic, index)| match image.partition(&topic.name, index) {
            Some(_) => ErrorCode::OperationNotAttempted,
            None => ErrorCode::UnknownTopicOrPartition,
        })
        .collect();
    codes.contains(&ErrorCode::UnknownTopicOrPartition).then_some(codes)
}

fn put(node: &Node, transaction: &AddPartitionsToTxnTransaction, client_version: i16) -> Answer {
    let producer = Producer {
        transactional_id: transaction.transactional_id.clone(),
        id: transaction.producer_id,
        epoch: transaction.producer_epoch,
    };
    let mut partitions = Vec::new();
    for topic in &transaction.topics {
        let name: Arc<str> = topic.name.as_str().into();
        let of_topic = |&partition: &i32| TopicPartition { topic: name.clone(), partition };
        partitions.extend(topic.partitions.iter().map(of_topic));
    }
    let request = match transaction.verify_only {
        true => Request::Verify { producer, partitions },
        false => Request::AddPartitions { producer, partitions, client_version },
    };
    ask(node, &transaction.transactional_id, request)
}

/// One error for each partition.
fn answered(transaction: &AddPartitionsToTxnTransaction, response: Response) -> Vec<ErrorCode> {
    let count = transaction.topics.iter().map(|topic| topic.partitions.len()).sum();
    match response {
        Response::AddPartitions(error) => vec![error; count],
        Response::Verify(errors) => errors,
        _ => unreachable!("a shard answers what it was asked"),
    }
}

pub(crate) fn add_offsets(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: AddOffsetsToTxnRequest = call.owned()?;
    let version = call.version();
    let producer = Producer {
        transactional_id: request.transactional_id,
        id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let partition = call.node().group_partition(&request.group_id);
    let partitions = vec![TopicPartition::new(topic_names::OFFSETS, partition)];
    let id = producer.transactional_id.clone();
    // Clients of transaction version 2 do not ask this.
    let request = Request::AddPartitions { producer, partitions, client_version: 0 };
    let answer = ask(call.node(), &id, request);
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let Response::AddPartitions(error) = answer.wait().await.ok_or(GONE)? else { return Err(GONE) };
        let error_code = fenced_as_known(error.code(), version, FENCED_FROM);
        to.with(&AddOffsetsToTxnResponse { error_code, ..Default::default() })
    })))
}

pub(crate) fn end(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: EndTxnRequest = call.owned()?;
    let (version, node, to) = (call.version(), call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let partition = node.transaction_partition(&request.transactional_id);
        // Without one the shard says so, should it need one.
        let _ = stock(&node, partition).await;
        let client_version = if version >= EPOCH_BUMP_FROM { 2 } else { 0 };
        let answer = node.transactions().ask(partition, Request::EndTxn { request, client_version });
        let Response::EndTxn(mut body) = answer.wait().await.ok_or(GONE)? else { return Err(GONE) };
        body.error_code = fenced_as_known(body.error_code, version, FENCED_FROM);
        if version < EPOCH_BUMP_FROM {
            // These versions have no place for them.
            (body.producer_id, body.producer_epoch) = (-1, -1);
        }
        to.with(&body)
    })))
}

/// Sees to it that a shard has a producer id for whoever needs one next.
pub(super) async fn stock(node: &Arc<Node>, partition: i32) -> Result<(), ErrorCode> {
    if node.transactions().look(partition, ottla_transactions::Keeper::lacks_producer_id) {
        let fresh = node.producer_ids().give(node).await?;
        node.transactions().tell(partition, |keeper, _| keeper.stock(fresh));
    }
    Ok(())
}

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeTransactionsRequest = call.owned()?;
    call.afford(request.transactional_ids.len(), size_of::<TransactionState>())?;
    let node = call.node();
    let mut shards: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for id in request.transactional_ids {
        shards.entry(node.transaction_partition(&id)).or_default().push(id);
    }
    let answers: Vec<Answer> = shards
        .into_iter()
        .map(|(partition, ids)| node.transactions().ask(partition, Request::Describe(ids)))
        .collect();
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut transaction_states = Vec::new();
        for answer in answers {
            if let Response::Describe(described) = answer.wait().await.ok_or(GONE)? {
                transaction_states.extend(described);
            }
        }
        to.with(&DescribeTransactionsResponse { transaction_states, ..Default::default() })
    })))
}

pub(crate) fn list(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ListTransactionsRequest = call.owned()?;
    let pattern = match pattern(request.transactional_id_pattern.as_deref()) {
        Ok(pattern) => pattern,
        Err(error) => {
            let refused = ListTransactionsResponse { error_code: error.code(), ..Default::default() };
            return call.reply(&refused);
        }
    };
    let host = call.node().transactions();
    let unknown_state_filters = unknown_states(&request.state_filters);
    let ask = |index| host.ask(index, Request::List(request.clone()));
    let answers: Vec<Answer> = host.led().into_iter().map(ask).collect();
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut all = ListTransactionsResponse { unknown_state_filters, ..Default::default() };
        for answer in answers {
            if let Response::List(listed) = answer.wait().await.ok_or(GONE)? {
                if listed.error_code != 0 {
                    all = ListTransactionsResponse { error_code: listed.error_code, ..Default::default() };
                    break;
                }
                all.transaction_states.extend(listed.transaction_states);
            }
        }
        if let Some(pattern) = pattern {
            all.transaction_states.retain(|state| pattern.is_match(&state.transactional_id));
        }
        to.with(&all)
    })))
}

/// A pattern matches whole ids; an empty one is none.
fn pattern(text: Option<&str>) -> Result<Option<Regex>, ErrorCode> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            Regex::new(&format!("^(?:{text})$")).map(Some).map_err(|_| ErrorCode::InvalidRegularExpression)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::three_brokers;

    #[test]
    fn one_partition_that_does_not_exist_keeps_all_from_being_added() {
        let image = three_brokers::image("t");
        let topic = |name: &str, partitions: &[i32]| AddPartitionsToTxnTopic {
            name: name.into(),
            partitions: partitions.to_vec(),
        };
        assert_eq!(missing(&image, &[topic("t", &[0, 3])]), None);
        let (kept_out, unknown) = (ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition);
        assert_eq!(missing(&image, &[topic("t", &[0, 9])]), Some(vec![kept_out, unknown]));
        assert_eq!(missing(&image, &[topic("t", &[1]), topic("u", &[0])]), Some(vec![kept_out, unknown]));
    }

    #[test]
    fn old_clients_know_a_fenced_producer_by_another_name() {
        let fenced = ErrorCode::ProducerFenced.code();
        assert_eq!(fenced_as_known(fenced, 1, FENCED_FROM), ErrorCode::InvalidProducerEpoch.code());
        assert_eq!(fenced_as_known(fenced, 2, FENCED_FROM), fenced);
        assert_eq!(fenced_as_known(0, 0, FENCED_FROM), 0);
    }

    #[test]
    fn a_pattern_is_for_the_whole_id() {
        let is_match = |text: &str, id: &str| pattern(Some(text)).unwrap().is_none_or(|p| p.is_match(id));
        assert!(is_match("tx-.*", "tx-1") && !is_match("tx", "tx-1") && !is_match("a|tx", "tx-a"));
        assert!(is_match("", "anything"));
        assert_eq!(pattern(Some("(")).unwrap_err(), ErrorCode::InvalidRegularExpression);
    }
}
