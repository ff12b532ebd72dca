//! The workload: records that carry a number of their own, and what their proposer was told.

use bytes::Bytes;
use ottla_quorum::ProposeError;
use ottla_raft::Proposed;

/// What a proposer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed, there.
    Acknowledged(Proposed),
    /// It is not in the log and never will be.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl From<Result<Proposed, ProposeError>> for Outcome {
    fn from(result: Result<Proposed, ProposeError>) -> Outcome {
        match result {
            Ok(proposed) => Outcome::Acknowledged(proposed),
            Err(ProposeError::NotLeader(_) | ProposeError::TooLarge { .. } | ProposeError::Empty) => {
                Outcome::Refused
            }
            Err(ProposeError::LeadershipLost { .. } | ProposeError::Stopped(_)) => Outcome::Unknown,
        }
    }
}

/// The records of a proposal.
pub fn values(number: u64, records: usize, padding: usize) -> Vec<Bytes> {
    let value = |part| Bytes::from(format!("{number}.{part}.{}", "x".repeat(padding)));
    (0..records).map(value).collect()
}

/// The proposal that a record belongs to.
pub fn number_of(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.split('.').next()?.parse().ok()
}
