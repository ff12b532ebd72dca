//! Kafka's command line tools: same flags, same output, milliseconds to start.
//!
//! Each tool is a function from its arguments (without its own name) to an exit code; [`find`] knows them by the names
//! of Kafka's release, with or without `.sh`. What waits for a later issue is not in the table: the caller says so.

pub mod args;
pub mod config_file;
pub mod dump_log;
pub mod metadata_shell;
pub mod native;
pub mod record_json;
pub mod runtime;
pub mod server_stop;
pub mod storage;

use std::ffi::OsString;
use std::process::ExitCode;

/// A tool: its arguments in, its exit code out.
pub type Tool = fn(&[OsString]) -> ExitCode;

/// The tool of this name (`kafka-storage`, `kafka-storage.sh`, `storage`), if it is served.
pub fn find(name: &str) -> Option<Tool> {
    let name = name.strip_suffix(".sh").unwrap_or(name);
    Some(match name.strip_prefix("kafka-").unwrap_or(name) {
        "dump-log" => dump_log::run,
        "metadata-shell" => metadata_shell::run,
        "storage" => storage::run,
        "server-stop" => server_stop::run,
        _ => return native::find(name),
    })
}

/// Kafka's tools that a later issue brings; they answer with that.
pub const WAITING: [&str; 32] = [
    "acls",
    "broker-api-versions",
    "client-metrics",
    "cluster",
    "configs",
    "console-consumer",
    "console-producer",
    "console-share-consumer",
    "consumer-groups",
    "consumer-perf-test",
    "delegation-tokens",
    "delete-records",
    "e2e-latency",
    "features",
    "get-offsets",
    "groups",
    "leader-election",
    "log-dirs",
    "metadata-quorum",
    "producer-perf-test",
    "reassign-partitions",
    "replica-verification",
    "share-consumer-perf-test",
    "share-groups",
    "streams-application-reset",
    "streams-groups",
    "topics",
    "transactions",
    "verifiable-consumer",
    "verifiable-producer",
    "verifiable-share-consumer",
    "jmx",
];
