//! A log storage engine with Kafka's files: segments, indexes, producer state, recovery, retention.
//!
//! Synchronous, without a network and without a runtime. A [`LogDir`] is a directory with its lock, checkpoints
//! and group commit; a [`Log`] is one partition in it. Every file has Apache Kafka's name and layout, so that
//! Kafka can open what this crate has written, and the other way round.
//!
//! Three things to know:
//! * what is appended is in the file when the call returns, and durable when it was flushed: [`Log::flush`], or
//!   [`Log::flush_work`] with the directory's [`Flusher`] when many logs flush at once;
//! * a read returns a [`Slice`], a place in a file, which is copied or handed to a socket without the log's lock;
//! * the first failed write or fsync takes the directory offline for good, because nothing is known then of what
//!   is on disk. A full disk does not: the append is refused and undone.

// The program in the README is compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod config;
mod dir;
mod epochs;
mod error;
mod flush;
pub mod fs;
mod handles;
mod index;
mod log;
pub mod map;
mod producers;
mod segment;
mod slice;
mod walk;

pub use config::LogConfig;
pub use dir::{
    CheckpointEntry, CheckpointKind, CleanShutdown, ClosedLog, ClosedLogs, DirError, DirKind, DirOptions,
    LOCK_FILE, LogDir, MetaProperties, MetaPropertiesError, NameError, PartitionDir,
};
pub use epochs::EpochEntry;
pub use error::{AppendError, Error};
pub use flush::{FlushDone, FlushWork, Flushed, Flusher};
pub use handles::Handles;
pub use index::AbortedTxn;
pub use log::{
    Appended, Deleted, Fetched, LeaderAppend, LoadReport, Log, OpenOptions, ReadUpTo, Repair, Replicated,
    TimestampOffset,
};
pub use producers::{
    AppendedBatch, BATCHES_REMEMBERED, Origin, ProducerEntry, Transaction, VerificationGuard,
};
pub use slice::Slice;
