//! EndTxn, in the two ways of clients: before transaction version 2 a transaction is named by its producer's epoch, which
//! many transactions share; from version 2 on every end takes an epoch of its own, so that an EndTxn that comes late or twice
//! is known for what it is (KIP-890).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::end_txn_request::EndTxnRequest;
use ottla_protocol::messages::end_txn_response::EndTxnResponse;
use ottla_records::ids::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, ProducerEpoch, ProducerId};

use super::desk::Reply;
use super::{Held, Shard};
use crate::api::{Response, Token};
use crate::state::State;
use crate::txn::{EPOCH_BUMP_FROM, LAST_EPOCH, Txn};

/// An EndTxn answer that is an error.
pub(super) fn refused(error: ErrorCode) -> Response {
    answer(error, NO_PRODUCER_ID, NO_PRODUCER_EPOCH)
}

/// An EndTxn answer.
pub(super) fn answer(error: ErrorCode, producer_id: ProducerId, producer_epoch: ProducerEpoch) -> Response {
    Response::EndTxn(EndTxnResponse {
        error_code: error.code(),
        producer_id,
        producer_epoch,
        ..Default::default()
    })
}

/// What an EndTxn comes to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The transaction ends.
    Ends,
    /// It has ended so already.
    Done,
    Refused(ErrorCode),
}

use Verdict::{Done, Ends, Refused};

impl Shard {
    pub(super) fn end(&mut self, token: Token, request: &EndTxnRequest, client_version: i16) {
        if request.transactional_id.is_empty() {
            return self.desk.reply(token, refused(ErrorCode::InvalidRequest));
        }
        let Some((id, held)) = self.ids.get_key_value(&*request.transactional_id) else {
            return self.desk.reply(token, refused(ErrorCode::InvalidProducerIdMapping));
        };
        let bumps = client_version >= EPOCH_BUMP_FROM;
        let verdict = if bumps { verdict_of_new(held, request) } else { verdict_of_old(held, request) };
        let txn = held.txn.as_ref();
        match (verdict, txn) {
            (Refused(error), _) => self.desk.reply(token, refused(error)),
            (Done, Some(txn)) if bumps => {
                let response = answer(ErrorCode::None, txn.producer_id, txn.epoch);
                self.desk.reply(token, response);
            }
            (Done, _) => self.desk.reply(token, refused(ErrorCode::None)),
            (Ends, None) => unreachable!("nothing ends before there is a value"),
            (Ends, Some(txn)) => {
                let id = id.clone();
                let next_id = match bumps && txn.is_exhausted() {
                    true => match self.desk.fresh.take() {
                        Some(fresh) => Some(fresh),
                        None => {
                            let error = ErrorCode::CoordinatorLoadInProgress;
                            return self.desk.reply(token, refused(error));
                        }
                    },
                    false => None,
                };
                let version = if bumps { client_version } else { 0 };
                let next = txn.prepared(request.committed, version, next_id, self.desk.wall_ms());
                self.step(&id, next, Reply::EndTxn(token));
            }
        }
    }
}

/// Transaction versions 0 and 1 (Kafka: `endTransactionWithTV1`).
fn verdict_of_old(held: &Held, request: &EndTxnRequest) -> Verdict {
    let Some(txn) = &held.txn else { return Refused(ErrorCode::InvalidProducerIdMapping) };
    if let Err(error) = txn.check_producer(request.producer_id, request.producer_epoch) {
        return Refused(error);
    }
    if held.pending.is_some() {
        return Refused(ErrorCode::ConcurrentTransactions);
    }
    match (txn.state, request.committed) {
        (State::Ongoing, _) => Ends,
        (State::CompleteCommit, true) | (State::CompleteAbort, false) => Done,
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => {
            Refused(ErrorCode::ConcurrentTransactions)
        }
        _ => Refused(ErrorCode::InvalidTxnState),
    }
}

/// Transaction version 2 (Kafka: `endTransaction`, with its table).
fn verdict_of_new(held: &Held, request: &EndTxnRequest) -> Verdict {
    let (Some(txn), None) = (&held.txn, &held.pending) else {
        return Refused(ErrorCode::ConcurrentTransactions);
    };
    let is_current = request.producer_epoch == txn.epoch;
    let (over, bumped) = (is_retry_over_ids(txn, request), is_retry(txn, request));
    if txn.producer_id != request.producer_id && !over {
        return Refused(ErrorCode::InvalidProducerIdMapping);
    }
    let is_valid = match txn.state {
        State::Empty | State::Ongoing => is_current,
        State::PrepareCommit | State::PrepareAbort => bumped,
        State::CompleteCommit | State::CompleteAbort => bumped || over || is_current,
    };
    if !is_valid {
        return Refused(ErrorCode::ProducerFenced);
    }
    let is_retry = bumped || over;
    match (txn.state, request.committed) {
        (State::Ongoing, _) => Ends,
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => {
            Refused(ErrorCode::ConcurrentTransactions)
        }
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_retry => Done,
        // An abort of what has not begun: the client cannot know whether something has.
        (State::Empty | State::CompleteCommit | State::CompleteAbort, false) if !is_retry => Ends,
        _ => Refused(ErrorCode::InvalidTxnState),
    }
}

/// It asks again, with the epoch from before the end that it asks for.
fn is_retry(txn: &Txn, request: &EndTxnRequest) -> bool {
    i32::from(txn.epoch) == i32::from(request.producer_epoch) + 1
}

/// It asks again, and with the end came another producer id.
fn is_retry_over_ids(txn: &Txn, request: &EndTxnRequest) -> bool {
    txn.previous_producer_id == request.producer_id && request.producer_epoch == LAST_EPOCH && txn.epoch == 0
}
