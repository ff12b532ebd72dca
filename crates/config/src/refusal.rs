//! A change of configuration that is refused, with the family of Kafka's error so that floor 3 can choose the
//! code: INVALID_CONFIG or INVALID_REQUEST.

/// Why a change is refused. Prints the message for the client, which is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The values are wrong: INVALID_CONFIG (40).
    #[error("{0}")]
    Config(String),
    /// The request is wrong: INVALID_REQUEST (42).
    #[error("{0}")]
    Request(String),
}

impl Refusal {
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Config(message.into())
    }

    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::Request(message.into())
    }
}
