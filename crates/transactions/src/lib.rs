//! The transaction coordinator as a pure state machine: which producer and epoch a transactional id has, which partitions
//! its transaction writes to, how the transaction ends, as Apache Kafka 4.3.1 coordinates it (KIP-98, KIP-360, KIP-890).
//!
//! A [`Shard`] owns one partition of `__transaction_state`. Nothing in here opens a socket, a file, a thread, a clock or a
//! source of randomness: the time and fresh producer ids are passed in.
//!
//! ```text
//! replay ... loaded            the partition's log, read from its start when the shard becomes ours
//! stock, lacks_producer_id     a fresh producer id, for whoever needs one next
//! handle                       a request, with the token its reply will carry
//! tick, next_deadline          timeouts of transactions, expiry of ids, markers to be tried again
//! appended, marked             what became of an append, of markers
//! unload                       the partition is somebody else's now
//! poll_effect                  what to do about all that, in order
//! ```
//!
//! A [`Keeper`] joins a shard to a log: it reads the log, appends, and reports what the high watermark has passed. The log
//! itself is the caller's ([`Journal`]).
//!
//! **What holds, always** (the numbers are those of the panics that guard them):
//!
//! 1. The states of an id follow each other as Kafka's do (`TRANSACTIONS-1`).
//! 2. What a shard knows of an id is its newest committed record; a reply that depends on a record is not among the effects
//!    before the record is committed, and a step whose record was refused was never taken (`TRANSACTIONS-7`).
//! 3. One step of an id at a time: while a record or markers are on their way, requests are told CONCURRENT_TRANSACTIONS
//!    (`TRANSACTIONS-8`).
//! 4. A marker is written only when the decision is committed, only with that decision's outcome, only to partitions of that
//!    transaction (`TRANSACTIONS-9`), and the transaction is complete only when every one of them has its marker or is gone
//!    (`TRANSACTIONS-10`).
//! 5. Producer id and epoch of an id never go back: the epoch grows under one producer id, and a producer id that was given up
//!    does not return (`TRANSACTIONS-11`).
//! 6. A shard that is loaded from the log goes on where the one before was: decided transactions get their markers (again,
//!    where some were written), open ones stay open until their timeout.
//! 7. With transaction version 2 each end of a transaction changes the producer's epoch: an EndTxn that comes late or twice
//!    changes no other transaction (KAFKA-17754).
//!
//! **What this crate never does:** authorize, look up topics or leaders, send a marker, open a log.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod api;
mod config;
mod keeper;
mod record;
mod shard;
mod state;
mod txn;

pub use api::{
    Append, AppendId, Effect, MarkId, Markers, Notice, Producer, Record, Request, Response, Token,
};
pub use config::Config;
pub use keeper::{Journal, Keeper, LoadError, Said};
pub use ottla_records::Moment;
pub use record::ReplayError;
pub use shard::Shard;
pub use shard::look::unknown_states;
pub use txn::TopicPartition;
