//! The group coordinator as a pure state machine: classic consumer groups (JoinGroup, SyncGroup, Heartbeat,
//! LeaveGroup, static members of KIP-345) and committed offsets, as Apache Kafka 4.3.1 coordinates them.
//!
//! A [`Shard`] owns one partition of `__consumer_offsets`. Nothing in here opens a socket, a file, a thread, a
//! clock or a source of randomness: the time and the uuids of new members are passed in.
//!
//! ```text
//! replay, replay_marker ... loaded     the partition's log, read from its start when the shard becomes ours
//! begin_uncommitted, replay_uncommitted   the same above the high watermark
//! set_wall_clock                       what is stored goes by the wall clock, deadlines by the calls' clock
//! handle                               a request, with the token its reply will carry
//! tick, next_deadline                  sessions, rebalance delays, expiry
//! topics_deleted                       topics that are gone
//! appended                             what became of an append
//! unload                               the partition is somebody else's now
//! poll_effect                          what to do about all that, in order
//! ```
//!
//! A [`Keeper`] joins a shard to a log: it reads the log, appends, and reports what the high watermark has passed. The log
//! itself is the caller's ([`Journal`]).
//!
//! **Order is the contract.** A reply that depends on records is not among the effects before
//! [`Shard::appended`] has said that they are committed. The state of a group changes when it is decided;
//! committed offsets become visible to a plain fetch when their records are committed. A failed append takes
//! back what it stood for: the offset, the new group, the new id of a static member; a group whose assignment
//! could not be stored rebalances.
//!
//! **What this crate never does:** authorize, look up topics, choose the partition's leader, open a log, or
//! understand what members of a group say to each other (except which topics consumers subscribe to).
//!
//! Broken internal rules panic with a message that starts with `GROUPS-` and a number; requests and records
//! cannot cause that.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod answer;
mod api;
mod classic;
mod config;
mod foreign;
mod keeper;
mod member;
pub mod offset_fetch;
mod offsets;
mod partition;
mod record;
mod shard;
mod subscription;
mod timers;

pub use api::{
    Append, AppendId, Client, Effect, InTransaction, Marker, Notice, Record, Request, Response, Token,
};
pub use config::Config;
pub use keeper::{Journal, Keeper, LoadError, Said, TransactionCheck};
pub use ottla_records::Moment;
pub use partition::{java_hash, partition_for};
pub use record::ReplayError;
pub use shard::{Logged, Shard};
