//! The metadata quorum: the raft machine of `ottla-raft` joined to a log of `ottla-log`, on one thread.
//!
//! `__cluster_metadata-0` is an ordinary Kafka partition directory plus `quorum-state` and snapshots. A
//! [`Replica`] feeds the machine and carries out its effects in order; it is the only place where
//! "persist before send" is true. A [`Driver`] runs it on a thread of its own, and everybody else holds a
//! [`Handle`]: to propose records, to pass on raft requests and answers, to ask how things are. What is
//! committed goes to a [`Listener`], on that thread, in order, each batch once per start.
//!
//! This crate does not know what the records mean: values go in and come out as bytes.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod batches;
mod driver;
mod files;
pub mod format;
mod handle;
mod listener;
mod metadata_log;
mod replica;
pub mod snapshots;
pub mod state_file;
mod survey;

pub use batches::MetadataError;
pub use driver::{Driver, DriverConfig};
pub use handle::{BeginSnapshotError, Handle, ProposeError, Reply, Stopped};
pub use listener::{Committed, Leadership, Listener, Status, Transport};
pub use metadata_log::LogLimits;
pub use replica::{QuorumError, Replica, ReplicaConfig, Time};
pub use snapshots::{Retention, SnapshotBatch, SnapshotHeader, SnapshotReader, SnapshotWriter};
pub use survey::{SurveyError, survey};

/// Directory of the metadata partition, inside `metadata.log.dir`.
pub const METADATA_DIRECTORY: &str = "__cluster_metadata-0";
/// Topic id of `__cluster_metadata`: (0, 1), `AAAAAAAAAAAAAAAAAAAAAQ`.
pub const METADATA_TOPIC_ID: uuid::Uuid = uuid::Uuid::from_u128(1);
/// A batch of metadata records is at most this large (a constant of Kafka).
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
