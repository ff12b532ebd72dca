//! Which of Kafka's error codes a typed error becomes for clients.

use ottla_protocol::ErrorCode;
use ottla_records::validate::{Rejected, RejectionKind};

/// The code of a batch that was refused.
pub(crate) fn of_rejected(rejected: &Rejected) -> ErrorCode {
    // A batch that is cut off is none at all to Kafka.
    if matches!(rejected, Rejected::Corrupt(error) if error.is_torn()) {
        return ErrorCode::InvalidRecord;
    }
    match rejected.kind() {
        RejectionKind::Corrupt => ErrorCode::CorruptMessage,
        RejectionKind::Invalid => ErrorCode::InvalidRecord,
        RejectionKind::Timestamp => ErrorCode::InvalidTimestamp,
        RejectionKind::TooLarge => ErrorCode::MessageTooLarge,
    }
}
