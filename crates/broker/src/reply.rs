//! What a handler gives back, and the bytes that leave for it.

use std::future::Future;
use std::pin::Pin;

use ottla_log::Slice;
use ottla_protocol::frame::{RequestHead, ResponseFrame};
use ottla_protocol::wire::{EncodeError, Message, Records};
use ottla_protocol::{ApiKey, wire};

/// One response on its way to the socket: framed bytes, and file slices that belong between them.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) inserts: Vec<Insert>,
    /// Whether the connection ends after this response.
    pub(crate) last: bool,
}

/// Record data that goes in front of byte `at` of a reply.
#[derive(Debug)]
pub(crate) struct Insert {
    pub(crate) at: usize,
    pub(crate) data: InsertData,
}

#[derive(Debug)]
pub(crate) enum InsertData {
    Bytes(bytes::Bytes),
    File(Slice),
}

/// What a response's head needs of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyTo {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

impl From<&RequestHead<'_>> for ReplyTo {
    fn from(head: &RequestHead<'_>) -> ReplyTo {
        ReplyTo { api: head.api, version: head.version, correlation_id: head.correlation_id }
    }
}

impl ReplyTo {
    /// Frames `body`.
    pub(crate) fn with<M: Message>(self, body: &M) -> Result<Reply, Refusal> {
        self.with_slices(body, Vec::new())
    }

    /// Frames `body`, whose `Records::Elsewhere` tokens are indexes into `slices`.
    pub(crate) fn with_slices<M: Message>(self, body: &M, slices: Vec<Slice>) -> Result<Reply, Refusal> {
        let frame =
            ResponseFrame::new(Vec::with_capacity(256), self.api, self.version, self.correlation_id, body)
                .map_err(|error| Refusal::Unanswerable { api: self.api, version: self.version, error })?;
        let mut slices: Vec<Option<Slice>> = slices.into_iter().map(Some).collect();
        let inserts = frame
            .gathered
            .into_iter()
            .map(|part| Insert {
                at: part.at,
                data: match part.records {
                    Records::Bytes(bytes) => InsertData::Bytes(bytes),
                    Records::Elsewhere { token, .. } => {
                        InsertData::File(slices[token].take().expect("every token is used once"))
                    }
                },
            })
            .collect();
        Ok(Reply { bytes: frame.bytes, inserts, last: false })
    }
}

/// A response that is not there yet. It runs on its connection's network thread.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Reply, Refusal>>>>;

/// What came of a request.
pub(crate) enum Outcome {
    /// The response.
    Reply(Reply),
    /// None is wanted (acks=0).
    Silence,
    /// It comes later; the connection's next requests wait for it (but for Produce behind Produce).
    Later(Pending),
    /// It comes later, and all of the connection's next requests wait for it.
    Alone(Pending),
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Outcome {
        Outcome::Reply(reply)
    }
}

/// Why a connection is closed instead of answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "invalid receive (size = {0}): the first four bytes of a request are its length, at most socket.request.max.bytes"
    )]
    FrameSize(i32),
    #[error("{0}")]
    Head(#[from] ottla_protocol::frame::HeadError),
    #[error("error getting request for apiKey: {api:?}, apiVersion: {version}: {error}")]
    Body { api: ApiKey, version: i16, error: wire::DecodeError },
    #[error("received request api key {api:?} with version {version} which is not supported")]
    Version { api: ApiKey, version: i16 },
    #[error("received request api key {api:?} which is not enabled on this listener")]
    NotServed { api: ApiKey },
    #[error("no response of {api:?} version {version} can carry the answer: {error}")]
    Unanswerable { api: ApiKey, version: i16, error: EncodeError },
    #[error("{0}")]
    Told(&'static str),
    #[error(
        "received request api key {api:?} of {received} bytes that asks about {count} things: more than an answer may hold"
    )]
    Answer { api: ApiKey, received: usize, count: usize },
    #[error("this broker does not serve yet")]
    NotYet,
    #[error("cannot read a log file: {0}")]
    File(#[from] std::io::Error),
}
