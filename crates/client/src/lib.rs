//! A small async Kafka client: connections, pool, what the tools, the fetchers and the tests need.
//!
//! * [`Connection`]: one TCP connection; pipelined, multiplexed, typed calls with deadlines. Cheap to clone.
//! * [`Peers`]: one connection per peer, made on demand, with a pause after a failure; tells when one broke.

mod connection;
mod errors;
mod handshake;
mod io;
mod peers;

pub use connection::{Connection, Options};
pub use errors::{CallError, CloseReason, ConnectError};
pub use handshake::Versions;
pub use peers::{Backoff, Peer, PeerEvent, Peers};
