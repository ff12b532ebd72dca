//! A log storage engine with Kafka's files: segments, indexes, producer state, recovery, retention.
