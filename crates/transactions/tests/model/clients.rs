//! Producers as Kafka's clients are: they ask again when they hear nothing, begin anew when they are fenced.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_transactions::{Producer, Request, Response, TopicPartition};

/// What became of a transaction, as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    NotCommitted,
    Unknown,
}

/// A transaction.
#[derive(Debug, Clone)]
pub(crate) struct Txn {
    pub(crate) written: Vec<usize>,
    pub(crate) outcome: Outcome,
}

/// What a client does next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Init,
    /// Lets a partition take part, then writes there.
    Write(usize),
    End {
        commit: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) transactional_id: String,
    /// 2, or 0 for clients from before KIP-890.
    pub(crate) version: i16,
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// The transaction under way, by its number.
    pub(crate) txn: Option<usize>,
    pub(crate) step: Step,
    /// The question that is waited for, and how often this step was asked.
    pub(crate) waits: Option<u64>,
    pub(crate) asked: u32,
    /// The verification that a write waits for.
    pub(crate) guard: Option<u64>,
}

impl Client {
    pub(crate) fn new(transactional_id: &str, version: i16) -> Client {
        Client {
            transactional_id: transactional_id.to_owned(),
            version,
            id: -1,
            epoch: -1,
            txn: None,
            step: Step::Init,
            waits: None,
            asked: 0,
            guard: None,
        }
    }

    pub(crate) fn go(&mut self, step: Step) {
        self.step = step;
        self.waits = None;
        self.asked = 0;
        self.guard = None;
    }

    pub(crate) fn request(&self) -> Request {
        let transactional_id = self.transactional_id.clone();
        match &self.step {
            Step::Init => Request::InitProducerId(InitProducerIdRequest {
                transactional_id: Some(transactional_id),
                transaction_timeout_ms: 60_000,
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            }),
            Step::Write(partition) => Request::AddPartitions {
                producer: Producer { transactional_id, id: self.id, epoch: self.epoch },
                partitions: vec![at(*partition)],
                client_version: self.version,
            },
            Step::End { commit } => Request::EndTxn {
                request: EndTxnRequest {
                    transactional_id,
                    producer_id: self.id,
                    producer_epoch: self.epoch,
                    committed: *commit,
                },
                client_version: self.version,
            },
        }
    }
}

pub(crate) fn at(partition: usize) -> TopicPartition {
    TopicPartition::new("t", partition as i32)
}

pub(crate) fn error_of(response: &Response) -> ErrorCode {
    let code = match response {
        Response::InitProducerId(body) => body.error_code,
        Response::EndTxn(body) => body.error_code,
        Response::AddPartitions(error) => error.code(),
        other => panic!("nobody asked for {other:?}"),
    };
    ErrorCode::from_i16(code).unwrap()
}

/// Whether a client asks again on this error.
pub(crate) fn is_retried(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
    )
}
