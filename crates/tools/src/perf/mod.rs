//! `kafka-producer-perf-test`, `kafka-consumer-perf-test` and `kafka-share-consumer-perf-test`: how fast records go in
//! and come out. Their lines are read by many scripts, so they are Apache Kafka's to the byte.

pub mod consumer;
pub mod producer;
mod share;
mod stats;
pub(crate) mod throttle;

pub use share::run as run_share;

/// Milliseconds since the epoch, by the wall clock.
pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis() as i64)
}
