//! The settings a shard works by; each field names its Kafka key.

/// Settings of the coordinator, with the defaults of Kafka 4.3.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `group.min.session.timeout.ms`: a join that asks for less is refused.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`: a join that asks for more is refused.
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long a new group waits for more members; every further member
    /// prolongs it, up to the rebalance timeout.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: members of a classic group.
    pub max_size: usize,
    /// `offset.metadata.max.bytes`, compared (as Kafka does) with the length in UTF-16 code units.
    pub offset_metadata_max_size: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: how often offsets and empty groups are expired.
    pub offsets_retention_check_interval_ms: i64,
    /// `offsets.commit.timeout.ms`: how long a reply waits for its records; then the client gets
    /// COORDINATOR_NOT_AVAILABLE and tries again.
    pub write_timeout_ms: i64,
}

/// How long the first JoinGroup of a new member may be parked: a client without a member id cannot heartbeat,
/// and one that gave up and tries again would otherwise leave members behind. A constant in Kafka, too.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1000;

impl Default for Config {
    fn default() -> Self {
        Config {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_size: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            write_timeout_ms: 5_000,
        }
    }
}
