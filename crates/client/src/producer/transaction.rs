//! Transactions of a producer (KIP-98), in the way of transaction version 2 (KIP-890): a partition takes part by being
//! written to, and each end gives the producer another epoch.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{EndTxnRequest, InitProducerIdRequest};

use super::state::Identity;
use super::{Producer, ProducerError, Shared};
use crate::{ClusterError, CoordinatorKind};

/// The finalized feature, and its level, that clusters need.
const FEATURE: (&str, i16) = ("transaction.version", 2);

/// Where a producer with a transactional id stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its coordinator has not been asked yet, or another producer has taken its id over.
    #[default]
    Unknown,
    /// A transaction may begin.
    Ready,
    /// Records belong to a transaction; whether there are any, and whether one of them was lost.
    Open { has_records: bool, is_doomed: bool },
}

impl Producer {
    /// Makes this producer the one of its `transactional.id`: a transaction that was left open under the id is aborted, and
    /// whoever began it can go on with nothing.
    ///
    /// # Errors
    /// [`ProducerError::NotServed`] for clusters without `transaction.version` 2; else the coordinator's.
    pub async fn init_transactions(&self) -> Result<(), ProducerError> {
        let shared = self.shared();
        let id = shared.transactional_id()?;
        shared.check_cluster().await?;
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: shared.settings.transaction_timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let answer = shared.cluster.coordinator(CoordinatorKind::Transaction, id, &request).await?;
        if answer.error_code != 0 {
            return Err(ClusterError::of_code("InitProducerId", answer.error_code, None).into());
        }
        let mut state = shared.state.lock();
        state.identity = Some(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
        state.stage = Stage::Ready;
        Ok(())
    }

    /// Begins a transaction: the records from here on belong to it.
    ///
    /// # Errors
    /// [`ProducerError::NoTransaction`] before [`Producer::init_transactions`], and while one is open.
    pub fn begin_transaction(&self) -> Result<(), ProducerError> {
        self.shared().transactional_id()?;
        let mut state = self.shared().state.lock();
        if state.stage != Stage::Ready {
            return Err(ProducerError::NoTransaction("a transaction cannot begin here"));
        }
        state.stage = Stage::Open { has_records: false, is_doomed: false };
        Ok(())
    }

    /// Sends what waits and commits: all of the transaction's records are there for readers of committed ones, or none.
    ///
    /// # Errors
    /// When a record was not delivered: then the transaction is still open, and can only be aborted. Else the
    /// coordinator's; what became of the transaction is not known after a timeout.
    pub async fn commit_transaction(&self) -> Result<(), ProducerError> {
        self.flush().await;
        self.end_transaction(true).await
    }

    /// Drops the transaction: no reader of committed records sees its records.
    ///
    /// # Errors
    /// The coordinator's; it aborts transactions by itself when they are open for too long.
    pub async fn abort_transaction(&self) -> Result<(), ProducerError> {
        self.flush().await;
        self.end_transaction(false).await
    }

    async fn end_transaction(&self, committed: bool) -> Result<(), ProducerError> {
        let shared = self.shared();
        let id = shared.transactional_id()?;
        let (has_records, identity) = {
            let state = shared.state.lock();
            match (state.stage, state.identity) {
                (Stage::Open { is_doomed: true, .. }, _) if committed => {
                    return Err(ProducerError::NoTransaction(
                        "a record of the transaction was not delivered: it can only be aborted",
                    ));
                }
                (Stage::Open { has_records, .. }, Some(identity)) => (has_records, identity),
                _ => return Err(ProducerError::NoTransaction("no transaction is open")),
            }
        };
        if !has_records {
            // The coordinator has not heard of it.
            shared.state.lock().stage = Stage::Ready;
            return Ok(());
        }
        let request = EndTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            committed,
        };
        let answer = shared.cluster.coordinator(CoordinatorKind::Transaction, id, &request).await?;
        let mut state = shared.state.lock();
        if answer.error_code != 0 {
            state.stage = Stage::Unknown;
            return Err(ClusterError::of_code("EndTxn", answer.error_code, None).into());
        }
        state.identity = Some(Identity { id: answer.producer_id, epoch: answer.producer_epoch });
        state.stage = Stage::Ready;
        Ok(())
    }
}

impl Shared {
    fn transactional_id(&self) -> Result<&str, ProducerError> {
        let id = self.settings.transactional_id.as_deref();
        id.ok_or(ProducerError::NoTransaction("the producer has no transactional.id"))
    }

    /// Clusters of older Kafka end transactions in a way in which a late word may end another one (KAFKA-17754).
    async fn check_cluster(&self) -> Result<(), ProducerError> {
        let nodes = self.cluster.nodes();
        let Some(node) = nodes.first() else {
            return Err(
                ClusterError::of_code("InitProducerId", ErrorCode::BrokerNotAvailable.code(), None).into()
            );
        };
        let connection = self.cluster.connection(node.id).await?;
        let features = &connection.versions().answer.finalized_features;
        let level = features.iter().find(|feature| feature.name == FEATURE.0).map(|f| f.max_version_level);
        if level.is_some_and(|level| level >= FEATURE.1) {
            return Ok(());
        }
        let text = format!(
            "transactional.id: the cluster has no {} {}, which Kafka 4.0 brought",
            FEATURE.0, FEATURE.1
        );
        Err(ProducerError::NotServed(text))
    }
}
