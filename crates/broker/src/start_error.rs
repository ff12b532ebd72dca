//! Why a node does not start: what, where, and what to type next. `FILE` stands for the configuration file.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

use crate::dirs::FailedDir;

/// Why a node does not start. Nothing was changed on the disk.
#[derive(Debug, Error)]
pub enum StartError {
    /// A directory was never formatted.
    #[error(
        "No `meta.properties` found in {} (have you run `kafka-storage.sh` to format the directory?)\n    next: bin/kafka-storage.sh format -t $(bin/kafka-storage.sh random-uuid) -c FILE",
        path.display()
    )]
    NotFormatted {
        /// The directory.
        path: PathBuf,
    },
    /// A directory cannot be used.
    #[error("{0}")]
    Dir(ottla_log::DirError),
    /// The identity of a directory cannot be read.
    #[error("{}/meta.properties: {why}\n    next: if the data is not needed, remove the directory and format it again", path.display())]
    MetaProperties {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// None of the directories can be used.
    #[error(
        "No readable meta.properties files found.{}\n    none of the log directories can be used, nothing was changed; next: look at the disks, or put back a copy of a directory",
        listed(failed)
    )]
    NoDirectory {
        /// All of them.
        failed: Vec<FailedDir>,
    },
    /// The directory of the metadata log cannot be used: a node cannot do without.
    #[error(
        "Encountered I/O error in metadata log directory {}. Cannot continue.\n    {}\n    nothing was changed; next: look at its disk, or put back a copy of this directory, or, if its data is not needed, format it again",
        .0.path.display(), .0.why
    )]
    MetadataDirectory(FailedDir),
    /// There is a metadata log in a directory that is not the metadata's.
    #[error(
        "Found unexpected metadata location in data directory `{}` (the configured metadata directory is {}).\n    next: set metadata.log.dir to the directory that the metadata log lies in",
        path.display(), configured.display()
    )]
    MetadataElsewhere {
        /// The log that was found.
        path: PathBuf,
        /// Where it should be.
        configured: PathBuf,
    },
    /// A directory belongs to another node.
    #[error(
        "Stored node id {stored} doesn't match previous node id {configured} in {}/meta.properties. If you moved your data, make sure your configured node id matches. If you intend to create a new node, you should remove all data in your data directories.\n    node.id is {configured} in FILE and {stored} in {}/meta.properties",
        path.display(), path.display()
    )]
    NodeId {
        /// The directory.
        path: PathBuf,
        /// The id it was formatted for.
        stored: i32,
        /// The id in the configuration.
        configured: i32,
    },
    /// Two directories belong to different clusters.
    #[error("Mismatched cluster IDs between storage directories: {id} in {}, {other} in {}", path.display(), at.display())]
    ClusterIds {
        /// A directory.
        path: PathBuf,
        /// Its cluster.
        id: String,
        /// The other cluster.
        other: String,
        /// The other directory.
        at: PathBuf,
    },
    /// Two directories have one id: one is a copy of the other.
    #[error("{}: another log directory has the same directory.id {id}; one is a copy of the other", path.display())]
    DuplicateDirectoryId {
        /// The directory.
        path: PathBuf,
        /// The id.
        id: Uuid,
    },
    /// Files of a directory cannot be read.
    #[error("{}: {why}", path.display())]
    Storage {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A listener's host has no address.
    #[error(
        "cannot resolve {host} of listener {listener}: {source}\n    next: use {listener}://:{port} to listen on all addresses"
    )]
    Resolve {
        /// The listener.
        listener: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the resolver says.
        source: io::Error,
    },
    /// A listener's address is taken, or not one of this machine.
    #[error("Socket server failed to bind to {address} (listener {listener}): {source}")]
    Bind {
        /// The listener.
        listener: String,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Ended from outside while it waited for other nodes.
    #[error("the start was interrupted while it waited for other nodes")]
    Interrupted,
    /// The metadata quorum cannot start.
    #[error("the metadata quorum cannot start: {0}")]
    Quorum(String),
    /// The broker was not taken in by the controller.
    #[error("the controller refuses this broker: {0}")]
    Registration(String),
    /// `controller.quorum.voters` is not the list under which this controller has voted.
    #[error(
        "Configured voter set: {configured:?} is different from the voter set read from the state file: {stored:?}. Check if the quorum configuration is up to date, or wipe out the local state file if necessary\n    {} is the state file; nothing was changed. Two lists at once can elect two leaders, and what one of them commits is lost\n{remedies}",
        path.display()
    )]
    Voters {
        /// The ids in the configuration.
        configured: Vec<i32>,
        /// The ids in the state file.
        stored: Vec<i32>,
        /// The state file.
        path: PathBuf,
        /// The ways out, with the commands.
        remedies: String,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

fn listed(failed: &[FailedDir]) -> String {
    failed.iter().map(|failed| format!("\n    {}: {}", failed.path.display(), failed.why)).collect()
}

impl StartError {
    pub(crate) fn storage(path: &Path, error: &dyn std::fmt::Display) -> StartError {
        StartError::Storage { path: path.to_owned(), why: error.to_string() }
    }
}
