//! A small async Kafka client: connections, pool, what the tools, the fetchers and the tests need.
//!
//! * [`Connection`]: one TCP connection; pipelined, multiplexed, typed calls with deadlines. Cheap to clone.
//! * [`Cluster`]: bootstrap, nodes, routing, calls that are made again as Kafka's admin client does.
//! * [`Consumer`]: partitions of its own or those that a group gives it; records borrowed from whole batches.
//! * [`Producer`]: records in, batches out; idempotent unless told otherwise.
//! * [`Properties`]: a client's configuration, with Kafka's keys and defaults.
//! * [`overview`]: how a cluster is, in a few numbers and sentences.
//! * [`Peers`]: one connection per peer, made on demand, with a pause after a failure; tells when one broke.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod cluster;
mod connection;
pub mod consumer;
mod errors;
pub mod exception;
mod handshake;
mod io;
pub mod overview;
mod peers;
mod posted;
pub mod producer;
pub mod properties;

pub use cluster::{
    Answer, Cluster, ClusterError, CoordinatorKind, Isolation, Node, OffsetAndTimestamp, OffsetSpec,
    TopicPartition,
};
pub use connection::{Connection, Options};
pub use consumer::{
    Committed, Consumer, ConsumerError, ConsumerRecord, ConsumerStats, Fetched, Polled, Seen, Start,
};
pub use errors::{CallError, CloseReason, ConnectError};
pub use handshake::Versions;
pub use peers::{Backoff, Peer, PeerEvent, Peers};
pub use producer::{Delivered, Producer, ProducerError, ProducerStats, Sent, ToSend};
pub use properties::{Properties, PropertiesError, Role, Unknown};
