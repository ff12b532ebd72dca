//! What can go wrong with a connection and with a call.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ottla_protocol::ApiKey;
use ottla_protocol::wire::{DecodeError, EncodeError};
use thiserror::Error;

/// Why there is no connection.
#[derive(Debug, Clone, Error)]
pub enum ConnectError {
    /// The host is there, and nobody listens: the process is gone, or not there yet.
    #[error("{at} refuses connections")]
    Refused {
        /// Who refused.
        at: SocketAddr,
    },
    /// The name has no address.
    #[error("{host} does not resolve{}", .why.as_deref().map(|why| format!(": {why}")).unwrap_or_default())]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver said.
        why: Option<String>,
    },
    /// No answer in time: a silent host, or a process that accepts and says nothing.
    #[error("no connection to {host}:{port} within {} ms", .after.as_millis())]
    Timeout {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The time that was given.
        after: Duration,
    },
    /// Anything else that the system says.
    #[error("{host}:{port}: {kind}: {message}")]
    Io {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The kind of the error.
        kind: io::ErrorKind,
        /// Its words.
        message: String,
    },
    /// The connection stood, and the first exchange (ApiVersions) failed.
    #[error("{host}:{port} did not tell its API versions: {why}")]
    Handshake {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        why: CallError,
    },
    /// The server is there, and does not serve yet: it waits for others.
    #[error("{host}:{port} does not serve yet: {why}")]
    NotYet {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What it says that it waits for.
        why: String,
    },
}

impl ConnectError {
    /// Whether nobody is there: refused, or reset before the first answer. A silent host is not known to be gone.
    pub fn is_refused(&self) -> bool {
        match self {
            ConnectError::Refused { .. } => true,
            ConnectError::Handshake { why: CallError::Closed(reason), .. } => reason.is_reset(),
            _ => false,
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The other side closed it.
    #[error("closed by the other side")]
    Ended,
    /// The other side reset it.
    #[error("reset by the other side")]
    Reset,
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// A frame that is larger than allowed, or no frame.
    #[error("the other side sent {0} as the length of a frame")]
    FrameLength(i64),
    /// Anything else that the system says.
    #[error("{0:?}")]
    Io(io::ErrorKind),
}

impl CloseReason {
    /// Whether the other side ended it, which a process that dies does too.
    pub fn is_reset(&self) -> bool {
        matches!(self, CloseReason::Ended | CloseReason::Reset)
    }

    pub(crate) fn of(error: &io::Error) -> CloseReason {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => CloseReason::Ended,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                CloseReason::Reset
            }
            kind => CloseReason::Io(kind),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The connection ended before the answer came; whether the request was carried out is not known.
    #[error("connection {0}")]
    Closed(CloseReason),
    /// No answer in time; whether the request was carried out is not known.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The two sides have no version of this API in common, or not the one asked for.
    #[error("{} is not spoken in a version of {wanted:?}: the other side speaks {theirs:?}", .api.name())]
    Unsupported {
        /// The API.
        api: ApiKey,
        /// Lowest and highest version that would do here.
        wanted: (i16, i16),
        /// What the other side told; `None` when it does not have the API.
        theirs: Option<(i16, i16)>,
    },
    /// The answer is not what it claims to be.
    #[error("an answer that cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The request cannot be written in that version.
    #[error("a request that cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// The request is larger than a frame may be.
    #[error("a request of {bytes} bytes, above the {max} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
