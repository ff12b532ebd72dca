//! One partition's replica as a pure state machine: leader and follower.
//!
//! * [`Leader`]: what a broker knows of the other replicas in one leader epoch. From their fetches it moves the
//!   high watermark, says when an `acks=all` produce may be answered, and proposes in-sync replicas (ISR) to the
//!   controller (AlterPartition).
//! * [`Follower`]: what to ask the leader next, and what to do to the own log with its answer.
//! * [`compare_ends`]: what a leader says to a fetch whose log took another way (Fetch v12 and above).
//!
//! The program around it owns the log, the clock and the connections. It calls under one lock per partition,
//! always after the log did what is told: `appended` after the append, `truncated` after the truncation.
//! What an answer of these machines asks for is done before the next call.
//!
//! Origin of the rules: Kafka's `Partition`, `ReplicaState`, `AbstractFetcherThread` and KIP-101, 279, 320, 392,
//! 497, 595, 841, 903 and 966. Times are milliseconds of any one clock; offsets and epochs are Kafka's.

mod brokers;
mod divergence;
pub mod follower;
mod invariants;
pub mod leader;

pub use brokers::{Broker, BrokerEpoch, BrokerId, Brokers, PartitionEpoch, UNKNOWN_BROKER_EPOCH};
pub use divergence::{Ends, EpochEnd, compare_ends};
pub use follower::Follower;
pub use leader::Leader;

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
