//! How a log behaves: the part of a topic's configuration that is about storage.

use ottla_records::ids::Offset;

/// Settings of one log; the names of the topic configs are given with each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it gets larger. At most 2^31 − 1.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when its first batch is this much older than the next.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: the most that is taken off `segment_ms`, differently for each segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment is rolled when an index reaches this.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; negative: no limit.
    pub retention_ms: i64,
    /// `retention.bytes`; negative: no limit.
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` contains `delete`: without it retention deletes nothing.
    pub delete: bool,
    /// Whether `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `file.delete.delay.ms`: how long deleted segments stay under another name.
    pub file_delete_delay_ms: i64,
    /// `flush.messages`: records after which an append asks for a flush.
    pub flush_messages: i64,
    /// `flush.ms`: age of unflushed records at which [`Log::flush_due`](crate::Log::flush_due) asks for a flush.
    pub flush_ms: i64,
    /// `producer.id.expiration.ms` (of the broker): silence after which a producer is forgotten.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    /// Kafka 4.3's defaults.
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            delete: true,
            compact: false,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            producer_id_expiration_ms: 24 * 3_600_000,
        }
    }
}

impl LogConfig {
    /// How much earlier than `segment_ms` the segment at `base` of the partition in `directory` is rolled: spread
    /// evenly over the jitter, so that the segments of many partitions are not rolled at once.
    pub(crate) fn jitter(&self, directory: &str, base: Offset) -> i64 {
        let most = self.segment_jitter_ms.min(self.segment_ms);
        if most <= 0 {
            return 0;
        }
        // FNV-1a.
        let bytes = directory.bytes().chain(base.to_be_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        (hash % most.unsigned_abs()) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_spread_and_bounded() {
        let none = LogConfig::default();
        assert_eq!(none.jitter("orders-0", 0), 0);
        let config = LogConfig { segment_ms: 1000, segment_jitter_ms: 5000, ..none };
        let jitters: Vec<i64> = (0..200).map(|base| config.jitter("orders-0", base)).collect();
        assert!(jitters.iter().all(|jitter| (0..1000).contains(jitter)));
        assert!(jitters.iter().any(|jitter| *jitter < 250) && jitters.iter().any(|jitter| *jitter > 750));
    }
}
