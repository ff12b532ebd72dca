//! Asking the transaction coordinator about a producer that writes to a partition in its transaction (KIP-890): whether the
//! partition takes part, or, for clients of transaction version 2, to let it take part from now on (Kafka:
//! `AddPartitionsToTxnManager`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_log::VerificationGuard;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use ottla_transactions::{Producer, Request, Response, TopicPartition};
use tokio::time::{Instant, sleep};

use crate::node::Node;
use crate::topic_names;

/// What a client of a version knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// INVALID_TXN_STATE for a partition that does not take part.
    Nothing,
    /// TRANSACTION_ABORTABLE for it.
    Abortable,
    /// Writing to a partition lets it take part (transaction version 2).
    Joining,
}

impl Support {
    pub(super) fn of_produce(version: i16) -> Support {
        match version {
            12.. => Support::Joining,
            11 => Support::Abortable,
            _ => Support::Nothing,
        }
    }

    pub(super) fn of_txn_offset_commit(version: i16) -> Support {
        match version {
            5.. => Support::Joining,
            4 => Support::Abortable,
            _ => Support::Nothing,
        }
    }

    pub(super) fn joins(self) -> bool {
        self == Support::Joining
    }

    /// Whether there is anything to ask.
    pub(super) fn asks(self, node: &Node) -> bool {
        self.joins() || node.neighbours().verifies_transactions()
    }
}

/// The error, and what a client may be told in words.
pub(super) type Failure = (ErrorCode, String);

/// A producer's question about partitions.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) producer: Producer,
    pub(super) support: Support,
    pub(super) partitions: Vec<(TopicPartition, VerificationGuard)>,
}

/// What was asked about each partition, and the guard or the failure that came of it.
#[derive(Debug, Default)]
pub(super) struct Verdicts(HashMap<TopicPartition, Result<VerificationGuard, Failure>>);

impl Verdicts {
    /// The guard for an append, if the partition was asked about.
    pub(super) fn of(&self, topic: &str, partition: i32) -> Result<Option<VerificationGuard>, Failure> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.0.get(&TopicPartition::new(topic, partition)).cloned().transpose()
    }
}

impl Question {
    /// Asks once: an error for each partition, in their order.
    pub(super) async fn ask(&self, node: &Arc<Node>) -> Vec<ErrorCode> {
        let count = self.partitions.len();
        let image = node.image();
        let index = node.transaction_partition(&self.producer.transactional_id);
        let leader = image.partition(topic_names::TRANSACTIONS, index).map(|partition| partition.leader);
        let listener = &node.config().listeners.inter_broker_name;
        let Some(leader) = leader.filter(|leader| image.is_alive(*leader, listener)) else {
            return vec![ErrorCode::CoordinatorNotAvailable; count];
        };
        let answers = if leader == node.node_id() {
            self.ask_here(node, index).await
        } else {
            match node.courier().call(node, leader, self.request()).await {
                Ok(response) => self.answers(&response),
                // Kafka takes a coordinator that cannot be asked for one that need not be.
                Err(ErrorCode::UnsupportedVersion) => vec![ErrorCode::None; count],
                Err(error) => vec![error; count],
            }
        };
        answers.into_iter().map(|error| self.told(error)).collect()
    }

    async fn ask_here(&self, node: &Node, index: i32) -> Vec<ErrorCode> {
        let count = self.partitions.len();
        match node.transactions().ask(index, self.here()).wait().await {
            Some(Response::AddPartitions(error)) => vec![error; count],
            Some(Response::Verify(errors)) => errors,
            _ => vec![ErrorCode::NotCoordinator; count],
        }
    }

    /// The question to a shard of this node.
    fn here(&self) -> Request {
        let producer = self.producer.clone();
        let partitions = self.partitions.iter().map(|(at, _)| at.clone()).collect();
        match self.support.joins() {
            true => Request::AddPartitions { producer, partitions, client_version: 2 },
            false => Request::Verify { producer, partitions },
        }
    }

    /// The same to another node.
    fn request(&self) -> AddPartitionsToTxnRequest {
        let mut topics: Vec<AddPartitionsToTxnTopic> = Vec::new();
        for (at, _) in &self.partitions {
            match topics.iter_mut().find(|topic| *topic.name == *at.topic) {
                Some(topic) => topic.partitions.push(at.partition),
                None => topics.push(AddPartitionsToTxnTopic {
                    name: at.topic.to_string(),
                    partitions: vec![at.partition],
                }),
            }
        }
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: self.producer.transactional_id.clone(),
            producer_id: self.producer.id,
            producer_epoch: self.producer.epoch,
            verify_only: !self.support.joins(),
            topics,
        };
        AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() }
    }

    fn answers(&self, response: &AddPartitionsToTxnResponse) -> Vec<ErrorCode> {
        let known = |code: i16| ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError);
        let whole = match known(response.error_code) {
            ErrorCode::None => ErrorCode::UnknownServerError,
            // No business of the client's: the question could not be asked.
            ErrorCode::ClusterAuthorizationFailed => ErrorCode::InvalidTxnState,
            error => error,
        };
        let result = response
            .results_by_transaction
            .iter()
            .find(|result| result.transactional_id == self.producer.transactional_id);
        let of = |at: &TopicPartition| {
            let topic = result?.topic_results.iter().find(|topic| *topic.name == *at.topic)?;
            let partition = topic.results_by_partition.iter().find(|p| p.partition_index == at.partition)?;
            Some(known(partition.partition_error_code))
        };
        let is_refused = response.error_code != 0;
        self.partitions
            .iter()
            .map(|(at, _)| if is_refused { whole } else { of(at).unwrap_or(whole) })
            .collect()
    }

    /// What clients of this version understand.
    fn told(&self, error: ErrorCode) -> ErrorCode {
        match error {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if self.support == Support::Nothing => ErrorCode::InvalidTxnState,
            error => error,
        }
    }

    /// Whether the transaction before is still being ended. Clients from before version 2 try again by themselves.
    fn is_early(&self, errors: &[ErrorCode]) -> bool {
        self.support.joins() && errors.contains(&ErrorCode::ConcurrentTransactions)
    }

    /// Asks for a produce request. While the transaction before is still being ended it asks again for a short time: a
    /// client would wait for longer, and send all its records anew.
    pub(super) async fn ask_for_produce(self, node: &Arc<Node>) -> Verdicts {
        let begun = Instant::now();
        let errors = loop {
            let errors = self.ask(node).await;
            if !self.is_early(&errors) {
                break errors;
            }
            let config = node.config();
            let millis = |key| Duration::from_millis(config.settings().int(key).max(0) as u64);
            if begun.elapsed() >= millis("add.partitions.to.txn.retry.backoff.max.ms") {
                break errors;
            }
            sleep(millis("add.partitions.to.txn.retry.backoff.ms")).await;
        };
        let support = self.support;
        let verdict = |guard, error| match error {
            ErrorCode::None => Ok(guard),
            error => Err(of_produce(error, support)),
        };
        let verdicts = self.partitions.into_iter().zip(errors);
        Verdicts(verdicts.map(|((at, guard), error)| (at, verdict(guard, error))).collect())
    }
}

/// Errors of coordinators as producers know them: NOT_ENOUGH_REPLICAS is one on which every client tries again, without
/// asking for new metadata.
fn of_produce(error: ErrorCode, support: Support) -> Failure {
    use ErrorCode::*;
    let again = |error: ErrorCode| {
        let why = format!(
            "Unable to verify the partition has been added to the transaction. Underlying error: {error:?}"
        );
        (NotEnoughReplicas, why)
    };
    match error {
        NetworkException | CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator => {
            again(error)
        }
        ConcurrentTransactions if !support.joins() => again(error),
        InvalidTxnState => (error, "Partition was not added to the transaction".to_owned()),
        error => (error, format!("the transaction coordinator refused the partition: {error:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::add_partitions_to_txn_response::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
    };

    fn question(support: Support) -> Question {
        let producer = Producer { transactional_id: "tx".into(), id: 7, epoch: 3 };
        let guard = VerificationGuard::from_number(1);
        let partitions = [("a", 0), ("b", 1), ("a", 2)].map(|(t, p)| (TopicPartition::new(t, p), guard));
        Question { producer, support, partitions: partitions.into() }
    }

    #[test]
    fn versions_are_those_of_kafka() {
        assert_eq!([10, 11, 12, 13].map(|v| Support::of_produce(v) as u8), [0, 1, 2, 2]);
        assert_eq!([3, 4, 5].map(|v| Support::of_txn_offset_commit(v) as u8), [0, 1, 2]);
    }

    #[test]
    fn a_client_of_version_2_adds_and_others_only_ask() {
        for (support, verify_only) in [(Support::Joining, false), (Support::Abortable, true)] {
            let request = question(support).request();
            let [transaction] = &request.transactions[..] else { panic!("{request:?}") };
            assert_eq!(transaction.verify_only, verify_only);
            let topics: Vec<_> =
                transaction.topics.iter().map(|t| (t.name.as_str(), t.partitions.clone())).collect();
            assert_eq!(topics, [("a", vec![0, 2]), ("b", vec![1])]);
        }
        assert!(matches!(
            question(Support::Joining).here(),
            Request::AddPartitions { client_version: 2, .. }
        ));
        assert!(matches!(question(Support::Abortable).here(), Request::Verify { .. }));
    }

    #[test]
    fn only_a_client_of_version_2_is_spared_the_end_of_the_transaction_before() {
        let early = [ErrorCode::None, ErrorCode::ConcurrentTransactions];
        assert!(question(Support::Joining).is_early(&early));
        assert!(!question(Support::Joining).is_early(&[ErrorCode::None, ErrorCode::NotCoordinator]));
        assert!(!question(Support::Abortable).is_early(&early));
    }

    #[test]
    fn what_the_coordinator_does_not_say_is_not_verified() {
        let result = |partition_index, error: ErrorCode| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: error.code(),
        };
        let topic = AddPartitionsToTxnTopicResult {
            name: "a".into(),
            results_by_partition: vec![
                result(2, ErrorCode::TransactionAbortable),
                result(0, ErrorCode::None),
            ],
        };
        let of_txn = AddPartitionsToTxnResult { transactional_id: "tx".into(), topic_results: vec![topic] };
        let mut response =
            AddPartitionsToTxnResponse { results_by_transaction: vec![of_txn], ..Default::default() };
        let question = question(Support::Nothing);
        let errors = question.answers(&response);
        let unsaid = ErrorCode::UnknownServerError;
        assert_eq!(errors, [ErrorCode::None, unsaid, ErrorCode::TransactionAbortable]);
        assert_eq!(question.told(errors[2]), ErrorCode::InvalidTxnState, "as old clients know it");
        response.error_code = ErrorCode::ClusterAuthorizationFailed.code();
        assert_eq!(question.answers(&response), [ErrorCode::InvalidTxnState; 3]);
    }

    #[test]
    fn producers_are_told_what_they_can_do() {
        let (code, why) = of_produce(ErrorCode::NotCoordinator, Support::Joining);
        assert_eq!(code, ErrorCode::NotEnoughReplicas);
        assert!(why.ends_with("Underlying error: NotCoordinator"), "{why}");
        let concurrent = ErrorCode::ConcurrentTransactions;
        assert_eq!(of_produce(concurrent, Support::Abortable).0, ErrorCode::NotEnoughReplicas);
        assert_eq!(of_produce(concurrent, Support::Joining).0, concurrent);
        let fenced = ErrorCode::InvalidProducerEpoch;
        assert_eq!(of_produce(fenced, Support::Nothing).0, fenced);
    }
}
