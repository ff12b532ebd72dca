//! A small async Kafka client: connections, pool, what the tools, the fetchers and the tests need.
//!
//! * [`Connection`]: one TCP connection; pipelined, multiplexed, typed calls with deadlines. Cheap to clone.
//! * [`Cluster`]: bootstrap, nodes, routing, calls that are made again as Kafka's admin client does.
//! * [`Properties`]: a client's configuration, with Kafka's keys and defaults.
//! * [`Peers`]: one connection per peer, made on demand, with a pause after a failure; tells when one broke.

pub mod cluster;
mod connection;
mod errors;
pub mod exception;
mod handshake;
mod io;
mod peers;
pub mod properties;

pub use cluster::{
    Answer, Cluster, ClusterError, CoordinatorKind, Isolation, Node, OffsetAndTimestamp, OffsetSpec,
    TopicPartition,
};
pub use connection::{Connection, Options};
pub use errors::{CallError, CloseReason, ConnectError};
pub use handshake::Versions;
pub use peers::{Backoff, Peer, PeerEvent, Peers};
pub use properties::{Properties, PropertiesError, Role, Unknown};
