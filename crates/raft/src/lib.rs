//! KRaft consensus as a pure state machine: Kafka's pull-based Raft with pre-vote (KIP-996), fetch with
//! divergence, snapshots (KIP-630), check-quorum and dynamic voters (KIP-853).
//!
//! Nothing in here opens a socket, a file, a thread, a clock or a source of randomness. A program feeds
//! [`Node`] with messages and the time, and carries out the [`Effect`]s it returns, **in order**:
//!
//! ```text
//! handle_request / handle_response / handle_timeout / propose / handle_flushed ...   what happened
//! poll_effect                                                                        what to do about it
//! next_timeout                                                                       when to come back
//! ```
//!
//! The order of effects is the whole contract of durability. [`Effect::PersistElection`] and the log
//! effects come before any message that depends on them, so a runner that finishes one effect before it
//! starts the next can never tell the world something its disk does not know. [`Effect::Flush`] is the
//! only one with an answer, [`Node::handle_flushed`]: until it arrives a leader does not count itself and
//! a follower does not fetch on.
//!
//! The log lives outside. The machine keeps a [`LogView`] of it: start, end, epochs, snapshots.
//! Numbered rules it asserts are in [`invariants`].

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod answer;
mod config;
mod connections;
pub mod effect;
mod fault;
mod history;
pub mod invariants;
mod log_view;
pub mod message;
mod node;
mod outcome;
pub mod role;
mod serve;
mod transition;
pub mod voters;
pub mod watermark;

pub use config::Config;
pub use connections::Destination;
pub use effect::{Append, Body, Control, Effect, Election, LeaderAndEpoch, Notice, Read, RequestId};
pub use fault::Fault;
pub use history::History;
pub use log_view::{EpochEnd, LogView, SnapshotId, Validity};
pub use message::{BatchMeta, Request, Response};
pub use node::Node;
pub use outcome::{NotLeader, Proposed, RestoreError, Restored, SnapshotContent, UpgradeError};
pub use role::Role;
pub use voters::{Endpoints, HostPort, ReplicaKey, VersionRange, Voter, VoterSet};

/// Milliseconds on the clock the caller chose. Only differences matter here; the caller turns them into
/// wall-clock time where a person reads them.
pub type Millis = i64;

/// A moment that never comes.
pub const NEVER: Millis = i64::MAX;
