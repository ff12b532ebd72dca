//! AddPartitionsToTxn, AddOffsetsToTxn, and the question whether a partition takes part (KIP-890).

use ottla_protocol::error_code::ErrorCode;

use super::Shard;
use super::desk::Reply;
use crate::api::{Producer, Response, Token};
use crate::state::State;
use crate::txn::{TopicPartition, Txn};

/// Refuses who is not the id's producer, and anybody while the transaction before is being ended.
fn check_open(txn: &Txn, producer: &Producer) -> Result<(), ErrorCode> {
    txn.check_producer(producer.id, producer.epoch)?;
    if txn.state.is_prepared() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    Ok(())
}

impl Shard {
    pub(super) fn add_partitions(
        &mut self,
        token: Token,
        producer: &Producer,
        partitions: Vec<TopicPartition>,
        client_version: i16,
    ) {
        if let Err(answer) = self.add(token, producer, partitions, client_version) {
            self.desk.reply(token, Response::AddPartitions(answer));
        }
    }

    /// `Err` is the answer that needs no record; it may be that everything is as it should be.
    fn add(
        &mut self,
        token: Token,
        producer: &Producer,
        partitions: Vec<TopicPartition>,
        client_version: i16,
    ) -> Result<(), ErrorCode> {
        if producer.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let Some((id, held)) = self.ids.get_key_value(&*producer.transactional_id) else {
            return Err(ErrorCode::InvalidProducerIdMapping);
        };
        // First: the producer may go by an id that is on its way to being its own.
        let (Some(txn), None) = (&held.txn, &held.pending) else {
            return Err(ErrorCode::ConcurrentTransactions);
        };
        check_open(txn, producer)?;
        if txn.state == State::Ongoing && partitions.iter().all(|at| txn.partitions.contains(at)) {
            return Err(ErrorCode::None);
        }
        let id = id.clone();
        let next = txn.with_partitions(partitions, client_version, self.desk.wall_ms());
        self.step(&id, next, Reply::AddPartitions(token));
        Ok(())
    }

    pub(super) fn verify(&mut self, token: Token, producer: &Producer, partitions: &[TopicPartition]) {
        let answers = match self.verified(producer, partitions) {
            Ok(answers) => answers,
            Err(error) => vec![error; partitions.len()],
        };
        self.desk.reply(token, Response::Verify(answers));
    }

    /// A step on its way does not matter here: the partition's leader looks again when it appends.
    fn verified(
        &self,
        producer: &Producer,
        partitions: &[TopicPartition],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        if producer.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let held = self.ids.get(&*producer.transactional_id);
        let txn = held.and_then(|held| held.txn.as_ref()).ok_or(ErrorCode::InvalidProducerIdMapping)?;
        check_open(txn, producer)?;
        let answer = |at: &TopicPartition| match txn.partitions.contains(at) {
            true => ErrorCode::None,
            false => ErrorCode::TransactionAbortable,
        };
        Ok(partitions.iter().map(answer).collect())
    }
}
