//! The tokio glue: listeners, connections, dispatch, one handler per API, the hosts of the pure machines.
//!
//! In the order data walks: [`Node`] starts listeners (`listen`), which hand connections to network threads (`network`,
//! `connection`); `dispatch` finds the handler (`handle/`); a handler asks a `partition`, a coordinator's shard
//! (`group_host`, `transaction_host`, both a `shard_host`) or the `controller_host`; `reply` and `outbox` bring the answer to the socket. `cluster` turns changes of the metadata into
//! partitions that are opened, led and deleted; `housekeeping` does what the clock asks for.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod admission;
mod anchor;
mod cluster;
mod config_rules;
mod connection;
mod controller_host;
mod courier;
mod dirs;
mod disk;
mod dispatch;
mod early;
mod errors;
mod fetch_session;
mod fetcher;
mod group_host;
mod handle;
mod housekeeping;
mod isr;
mod line_budget;
mod listen;
mod neighbours;
mod network;
mod node;
mod observe;
mod outbox;
mod owed;
mod partition;
mod reach;
mod reply;
mod shard_host;
mod standing;
mod start_error;
#[cfg(test)]
mod status_doc;
mod throttle;
mod topic_names;
mod transaction_host;
mod vigil;
mod wait;

pub use dirs::FailedDir;
pub use node::Node;
pub use observe::{Family, FigureKind, Observation, Phase, Tell};
pub use start_error::StartError;
