//! A request that was sent, and the wait for its answer.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::wire::{Message, Request};
use tokio::sync::oneshot;

use crate::connection::{api_of, body_of};
use crate::io::Answer;
use crate::{CallError, CloseReason, Connection};

/// A request that was sent; forgotten when nobody waits any more.
pub(crate) struct Posted {
    connection: Connection,
    correlation: i32,
    answer: oneshot::Receiver<Answer>,
}

impl Posted {
    pub(crate) fn new(connection: Connection, correlation: i32, answer: oneshot::Receiver<Answer>) -> Posted {
        Posted { connection, correlation, answer }
    }

    /// The answer's bytes, its correlation id cut off.
    pub(crate) async fn answer(mut self) -> Result<Bytes, CallError> {
        let gone = || CallError::Closed(self.connection.close_reason().unwrap_or(CloseReason::Local));
        (&mut self.answer).await.unwrap_or_else(|_| Err(gone()))
    }

    /// The answer to a request that was sent in `version`, waited for at most `within`.
    pub(crate) async fn finish<R: Request>(
        self,
        version: i16,
        within: Duration,
    ) -> Result<R::Response, CallError> {
        let answer = tokio::time::timeout(within, self.answer()).await;
        let body = body_of(api_of::<R>(), version, answer.map_err(|_| CallError::Timeout(within))??)?;
        Ok(R::Response::decode_sharing(&body, version)?)
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.connection.forget(self.correlation);
    }
}
