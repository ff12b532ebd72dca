//! DescribeTransactions and ListTransactions (KIP-664).

use std::collections::HashSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use ottla_protocol::messages::list_transactions_request::ListTransactionsRequest;
use ottla_protocol::messages::list_transactions_response::{
    ListTransactionsResponse, TransactionState as Listed,
};

use super::{Phase, Shard};
use crate::api::{Response, Token};
use crate::state::State;
use crate::txn::Txn;

fn failed(transactional_id: String, error: ErrorCode) -> TransactionState {
    TransactionState { transactional_id, error_code: error.code(), ..Default::default() }
}

/// The answer to Describe that is an error for every id.
pub(super) fn describe_refused(ids: &[String], error: ErrorCode) -> Response {
    Response::Describe(ids.iter().map(|id| failed(id.clone(), error)).collect())
}

impl Shard {
    pub(super) fn describe(&mut self, token: Token, ids: Vec<String>) {
        let described = ids.into_iter().map(|id| self.describe_one(id)).collect();
        self.desk.reply(token, Response::Describe(described));
    }

    fn describe_one(&self, transactional_id: String) -> TransactionState {
        if transactional_id.is_empty() {
            return failed(transactional_id, ErrorCode::InvalidRequest);
        }
        let Some(txn) = self.ids.get(&*transactional_id).and_then(|held| held.txn.as_ref()) else {
            return failed(transactional_id, ErrorCode::TransactionalIdNotFound);
        };
        let mut topics: Vec<TopicData> = Vec::new();
        for at in &txn.partitions {
            match topics.last_mut().filter(|last| *last.topic == *at.topic) {
                Some(last) => last.partitions.push(at.partition),
                None => {
                    topics.push(TopicData { topic: at.topic.to_string(), partitions: vec![at.partition] })
                }
            }
        }
        TransactionState {
            error_code: 0,
            transactional_id,
            transaction_state: txn.state.name().to_owned(),
            transaction_timeout_ms: txn.timeout_ms,
            transaction_start_time_ms: txn.started_ms,
            producer_id: txn.producer_id,
            producer_epoch: txn.epoch,
            topics,
        }
    }

    pub(super) fn list(&mut self, token: Token, request: &ListTransactionsRequest) {
        let states: HashSet<&str> = request.state_filters.iter().map(String::as_str).collect();
        let producers: HashSet<i64> = request.producer_id_filters.iter().copied().collect();
        let now_ms = self.desk.wall_ms();
        let is_wanted = |txn: &Txn| {
            (producers.is_empty() || producers.contains(&txn.producer_id))
                && (states.is_empty() || states.contains(txn.state.name()))
                && (request.duration_filter < 0
                    || now_ms.saturating_sub(txn.started_ms) > request.duration_filter)
        };
        let listed = self.ids.iter().filter_map(|(id, held)| {
            let txn = held.txn.as_ref().filter(|txn| is_wanted(txn))?;
            Some(Listed {
                transactional_id: id.to_string(),
                producer_id: txn.producer_id,
                transaction_state: txn.state.name().to_owned(),
            })
        });
        let response =
            ListTransactionsResponse { transaction_states: listed.collect(), ..Default::default() };
        self.desk.reply(token, Response::List(response));
    }

    /// The list of all ids is put together from many shards; one that has moved adds nothing.
    pub(super) fn list_refused(&self, error: ErrorCode) -> Response {
        let error = if self.phase == Phase::Unloaded { ErrorCode::None } else { error };
        Response::List(ListTransactionsResponse { error_code: error.code(), ..Default::default() })
    }
}

/// The names among the states that a ListTransactions asks for that no state has.
pub fn unknown_states(filters: &[String]) -> Vec<String> {
    filters.iter().filter(|name| !State::is_name(name)).cloned().collect()
}
