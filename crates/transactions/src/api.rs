//! What goes into a shard and what comes out: requests, replies, records to append, markers to write, notices.

use std::fmt;
use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::TransactionState;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::end_txn_response::EndTxnResponse;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use ottla_protocol::messages::list_transactions_request::ListTransactionsRequest;
use ottla_protocol::messages::list_transactions_response::ListTransactionsResponse;
pub use ottla_records::coordinator::{AppendId, Record, Token};
use ottla_records::ids::{ProducerEpoch, ProducerId};

use crate::txn::TopicPartition;

/// Names [`Markers`]; handed back with [`Shard::marked`](crate::Shard::marked).
pub type MarkId = u64;

/// A producer that says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The transactional id.
    pub transactional_id: String,
    /// Its producer id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

/// A request for the shard that owns its transactional id. The caller has authorized it, and has made sure that the
/// partitions it names exist.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// InitProducerId with a transactional id. The producer's id and epoch come together or not at all.
    InitProducerId(InitProducerIdRequest),
    /// AddPartitionsToTxn, AddOffsetsToTxn, and what the leader of a partition adds for a producer.
    AddPartitions {
        /// Who writes.
        producer: Producer,
        /// What it writes to.
        partitions: Vec<TopicPartition>,
        /// The transaction version that the request is of: 2 for AddPartitionsToTxn from version 4 on, else 0.
        client_version: i16,
    },
    /// AddPartitionsToTxn with VerifyOnly: do these partitions take part?
    Verify {
        /// Who writes.
        producer: Producer,
        /// What it writes to.
        partitions: Vec<TopicPartition>,
    },
    /// EndTxn.
    EndTxn {
        /// The request as it came.
        request: EndTxnRequest,
        /// The transaction version that the request is of: 2 from version 5 on, else 0.
        client_version: i16,
    },
    /// DescribeTransactions, as far as the ids live on this shard.
    Describe(Vec<String>),
    /// ListTransactions: the ids of this shard. The caller filters by pattern, and says which
    /// names of states are [unknown](crate::unknown_states).
    List(ListTransactionsRequest),
}

/// The answer to a [`Request`]. Errors are those of the newest versions: clients of older ones know PRODUCER_FENCED as
/// INVALID_PRODUCER_EPOCH.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// To InitProducerId.
    InitProducerId(InitProducerIdResponse),
    /// To AddPartitions: one for all of them.
    AddPartitions(ErrorCode),
    /// To Verify: one for each partition, in the request's order.
    Verify(Vec<ErrorCode>),
    /// To EndTxn.
    EndTxn(EndTxnResponse),
    /// To Describe.
    Describe(Vec<TransactionState>),
    /// To List.
    List(ListTransactionsResponse),
}

/// Records to append to the shard's partition: in one batch, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// To be handed back with the outcome, once the records are committed (below the high watermark) or refused.
    pub id: AppendId,
    /// Never empty.
    pub records: Vec<Record>,
}

/// The end of a transaction, to be written to the leaders of these partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markers {
    /// To be handed back with what came of them.
    pub id: MarkId,
    /// Whose transaction it is.
    pub transactional_id: Arc<str>,
    /// Its producer.
    pub producer_id: ProducerId,
    /// The epoch of the marker.
    pub epoch: ProducerEpoch,
    /// Commit or abort.
    pub commit: bool,
    /// The epoch in which this coordinator leads: partitions refuse those of coordinators before it.
    pub coordinator_epoch: i32,
    /// The transaction version by which partitions check the epoch (KIP-1228).
    pub transaction_version: i16,
    /// Where it has to be written; never empty.
    pub partitions: Vec<TopicPartition>,
}

/// Something the caller has to do, in the order the effects come.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Append these records, and report with [`Shard::appended`](crate::Shard::appended).
    Append(Append),
    /// Write these markers, and report with [`Shard::marked`](crate::Shard::marked).
    Mark(Markers),
    /// Answer a request. Every request gets exactly one reply.
    Reply {
        /// The request's token.
        token: Token,
        /// The answer.
        response: Response,
    },
    /// Something worth a log line or a metric; never something to act on.
    Notice(Notice),
}

/// What happened, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Notice {
    /// A producer begins under this id, or begins anew.
    Initialized { transactional_id: Arc<str>, producer_id: ProducerId, epoch: ProducerEpoch },
    /// A transaction was open for too long and is aborted.
    TimedOut { transactional_id: Arc<str>, producer_id: ProducerId, epoch: ProducerEpoch },
    /// After a change of the coordinator the markers of a decided transaction are written (again).
    Resumed { transactional_id: Arc<str>, commit: bool, partitions: usize },
    /// A marker could not be written, and is tried again.
    MarkerRefused { transactional_id: Arc<str>, partition: TopicPartition, error: ErrorCode },
    /// A marker came too late for its partition, which has gone on; nothing is left to do there.
    MarkerOvertaken { transactional_id: Arc<str>, partition: TopicPartition, error: ErrorCode },
    /// A later coordinator has written to the partition: this one leaves the transaction to it.
    Fenced { transactional_id: Arc<str>, partition: TopicPartition },
    /// A record could not be stored.
    WriteFailed { transactional_id: Arc<str>, error: ErrorCode },
    /// So many ids were not used for long and are forgotten.
    Expired { ids: usize },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Initialized { transactional_id, producer_id, epoch } => {
                write!(
                    f,
                    "initialized transactionalId {transactional_id} with producerId {producer_id} and producer epoch {epoch}"
                )
            }
            Notice::TimedOut { transactional_id, producer_id, epoch } => {
                write!(
                    f,
                    "rolling back the transaction of transactionalId {transactional_id} (producerId {producer_id}, epoch {epoch}) due to timeout"
                )
            }
            Notice::Resumed { transactional_id, commit, partitions } => {
                let what = if *commit { "COMMIT" } else { "ABORT" };
                write!(
                    f,
                    "sending {what} markers of transactionalId {transactional_id} to {partitions} partitions after loading"
                )
            }
            Notice::MarkerRefused { transactional_id, partition, error } => {
                let TopicPartition { topic, partition } = partition;
                write!(
                    f,
                    "transaction marker of transactionalId {transactional_id} for partition {topic}-{partition} failed with {error:?}, retrying"
                )
            }
            Notice::MarkerOvertaken { transactional_id, partition, error } => {
                let TopicPartition { topic, partition } = partition;
                write!(
                    f,
                    "transaction marker of transactionalId {transactional_id} for partition {topic}-{partition} is no longer needed: {error:?}"
                )
            }
            Notice::Fenced { transactional_id, partition } => {
                let TopicPartition { topic, partition } = partition;
                write!(
                    f,
                    "a later coordinator has ended a transaction on {topic}-{partition}; transactionalId {transactional_id} is left to it"
                )
            }
            Notice::WriteFailed { transactional_id, error } => {
                write!(f, "transactionalId {transactional_id}: its new state could not be stored: {error:?}")
            }
            Notice::Expired { ids } => write!(f, "{ids} transactional ids expired"),
        }
    }
}
