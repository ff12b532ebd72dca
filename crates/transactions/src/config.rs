//! The settings a shard works by; each field names its Kafka key.

/// Settings of the coordinator, with the defaults of Kafka 4.3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `transaction.max.timeout.ms`: an InitProducerId that asks for more is refused.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: an id without a transaction that has not changed for so long is forgotten.
    pub id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: how often transactions past their timeout are
    /// looked for.
    pub abort_check_interval_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: how often forgotten ids are looked for.
    pub expiration_check_interval_ms: i64,
    /// `transaction.two.phase.commit.enable`.
    pub two_phase_commit: bool,
    /// The finalized level of the feature `transaction.version`: 0 writes the log's values as version 0, from 1 on as
    /// version 1, from 2 on transactions that the coordinator ends itself get a new epoch with their end (KIP-890).
    pub transaction_version: i16,
    /// How long a reply waits for its records; then the client gets COORDINATOR_NOT_AVAILABLE and tries again.
    pub write_timeout_ms: i64,
    /// The pause before markers that were refused are sent again.
    pub marker_retry_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_timeout_ms: 900_000,
            id_expiration_ms: 7 * 24 * 60 * 60 * 1000,
            abort_check_interval_ms: 10_000,
            expiration_check_interval_ms: 3_600_000,
            two_phase_commit: false,
            transaction_version: 2,
            write_timeout_ms: 10_000,
            marker_retry_ms: 50,
        }
    }
}
