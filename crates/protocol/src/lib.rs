//! The Kafka wire language: every message of Apache Kafka 4.3.1 in every version, generated from a compact schema.
//!
//! * [`wire`]: reading with bounds, writing with gathered record data, lists walked in place.
//! * [`messages`], [`metadata_records`], [`coordinator_records`], [`control_records`], [`consumer_protocol`]: the
//!   generated messages, one file each. Every message has an owned form ([`wire::Message`]); every request has a
//!   borrowed form too ([`wire::View`]), whose decoding allocates nothing.
//! * [`schema`]: the text the messages were generated from, for readers that know messages by name only.
//! * [`api`]: keys, versions, listeners. [`frame`]: the head of a request or response. [`error_code`]: error codes.
//!
//! This crate knows nothing of record batches (a `records` field is bytes), sockets or files.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod api;
mod api_table;
pub mod consumer_protocol;
pub mod control_records;
pub mod coordinator_records;
pub mod error_code;
pub mod frame;
pub mod messages;
pub mod metadata_records;
pub mod registry;
pub mod schema;
pub mod wire;

pub use api::{APIS, ApiInfo, ApiKey, Listener};
pub use error_code::ErrorCode;
