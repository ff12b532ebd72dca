//! The Kafka record batch: read, verified, patched, built; compression; control records.
//!
//! This crate knows bytes only: no sockets, files, clocks or threads. It allocates nothing on the paths
//! that check and patch a batch, and nothing larger than what the input carries on the others.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod attributes;
pub mod batch;
pub mod builder;
pub mod compress;
pub mod control;
pub mod coordinator;
pub mod crc;
pub mod entry;
pub mod fuzz;
pub mod ids;
pub mod legacy;
pub mod mutant;
pub mod random;
pub mod record;
pub mod uuid_text;
pub mod validate;
pub mod varint;

pub use attributes::{Attributes, Compression, TimestampType};
pub use batch::{Batch, BatchError, BatchHeader, BatchIter, BatchIterError, HEADER_SIZE, LeaderFields};
pub use builder::{BatchBuilder, NewRecord};
pub use compress::{Compressor, DecompressError, Decompressor};
pub use control::ControlRecord;
pub use coordinator::Moment;
pub use entry::{Entry, EntryError};
pub use record::{Header, Headers, Record, RecordError, RecordIter};
