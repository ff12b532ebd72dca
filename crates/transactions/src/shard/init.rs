//! InitProducerId: a transactional id gets its producer, and whoever had it before is fenced.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use ottla_records::ids::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID, ProducerEpoch, ProducerId};

use super::desk::{Reply, Then};
use super::{Held, Shard};
use crate::api::{Response, Token};
use crate::state::State;
use crate::txn::{EPOCH_BUMP_FROM, LAST_EPOCH, Refused, Txn};

/// An InitProducerId answer that is an error.
pub(super) fn refused(error: ErrorCode) -> Response {
    Response::InitProducerId(InitProducerIdResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..Default::default()
    })
}

/// The producer that asks, when it has an id already (KIP-360).
#[derive(Debug, Clone, Copy)]
struct Expected {
    id: ProducerId,
    epoch: ProducerEpoch,
}

impl Expected {
    fn of(request: &InitProducerIdRequest) -> Option<Expected> {
        let known = request.producer_id != NO_PRODUCER_ID && request.producer_epoch != NO_PRODUCER_EPOCH;
        known.then_some(Expected { id: request.producer_id, epoch: request.producer_epoch })
    }

    /// Whether nobody else has taken the transactional id over since.
    fn holds(self, txn: &Txn) -> bool {
        self.id == txn.producer_id
            // A retry: the answer that gave the next producer id was lost.
            || (self.id == txn.previous_producer_id && self.epoch >= LAST_EPOCH)
    }
}

impl Shard {
    pub(super) fn init(&mut self, token: Token, request: &InitProducerIdRequest) {
        if let Err(error) = self.begin(token, request) {
            self.desk.reply(token, refused(error));
        }
    }

    fn begin(&mut self, token: Token, request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
        let Some(id) = request.transactional_id.as_deref().filter(|id| !id.is_empty()) else {
            return Err(ErrorCode::InvalidRequest);
        };
        let config = &self.desk.config;
        if request.enable2_pc && !config.two_phase_commit {
            return Err(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        if request.keep_prepared_txn {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let is_timeout = (1..=config.max_timeout_ms).contains(&request.transaction_timeout_ms);
        if !request.enable2_pc && !is_timeout {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let timeout_ms = if request.enable2_pc { i32::MAX } else { request.transaction_timeout_ms };
        let expected = Expected::of(request);
        let now_ms = self.desk.wall_ms();
        let Some((id, held)) = self.ids.get_key_value(id) else {
            let id: Arc<str> = id.into();
            let producer_id = self.desk.fresh.take().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            // A producer that comes back after its id was forgotten begins like a new one.
            let next = Txn::new(producer_id, timeout_ms, now_ms)
                .next_epoch(expected.map(|e| e.epoch), timeout_ms, now_ms)
                .expect("TRANSACTIONS-15 a new id has no epoch to be wrong about");
            self.ids.insert(id.clone(), Held { txn: None, pending: None });
            self.step(&id, next, Reply::InitProducerId(token));
            return Ok(());
        };
        let (Some(txn), None) = (&held.txn, &held.pending) else {
            return Err(ErrorCode::ConcurrentTransactions);
        };
        if expected.is_some_and(|expected| !expected.holds(txn)) {
            return Err(ErrorCode::ProducerFenced);
        }
        let id = id.clone();
        match txn.state {
            State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::ConcurrentTransactions),
            State::Ongoing => {
                let next = self.fenced(&id)?;
                self.step(&id, next, Reply::InitLater(token));
                Ok(())
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                let is_current = expected.is_none_or(|expected| expected.epoch == txn.epoch);
                let next = if txn.is_exhausted() && is_current {
                    let fresh = self.desk.fresh.take().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
                    txn.next_id(fresh, expected.is_some(), timeout_ms, now_ms)
                } else {
                    let next = txn.next_epoch(expected.map(|e| e.epoch), timeout_ms, now_ms);
                    next.map_err(|Refused::Fenced| ErrorCode::ProducerFenced)?
                };
                self.step(&id, next, Reply::InitProducerId(token));
                Ok(())
            }
        }
    }

    /// The end of an open transaction whose producer is shut out: by another that takes over, or by its timeout.
    pub(super) fn fenced(&mut self, id: &str) -> Result<Txn, ErrorCode> {
        let version = self.desk.config.transaction_version;
        let txn = self.ids.get(id).and_then(|held| held.txn.as_ref());
        let txn = txn.expect("TRANSACTIONS-16 an open transaction has a value");
        let next_id = match version >= EPOCH_BUMP_FROM && txn.is_exhausted() {
            true => Some(self.desk.fresh.take().ok_or(ErrorCode::CoordinatorLoadInProgress)?),
            false => None,
        };
        Ok(txn.fenced(version, next_id, self.desk.wall_ms()))
    }

    /// Takes a step of an id: its record is on its way from here on.
    pub(super) fn step(&mut self, id: &Arc<str>, next: Txn, reply: Reply) {
        let record = crate::record::record(id, &next, self.desk.config.transaction_version);
        let then = Then { reply, completes: false };
        let append = self.desk.append(vec![record], vec![(id.clone(), Some(next))], then);
        self.wait_for(id, append);
    }
}
