//! Kafka's command line tools: same flags, same output, milliseconds to start.
//!
//! Each tool is a function from its arguments (without its own name) to an exit code; [`find`] knows them by the names
//! of Kafka's release, with or without `.sh`.

pub mod acls;
pub mod args;
pub mod broker_api_versions;
pub mod client_metrics;
mod clients;
pub mod cluster;
pub mod config_file;
pub mod configs;
pub mod console_consumer;
pub mod console_producer;
pub mod console_share;
pub mod consumer_groups;
pub mod delegation_tokens;
pub mod delete_records;
pub mod dump_log;
pub mod e2e;
pub mod features;
pub mod get_offsets;
pub mod groups;
mod java_format;
pub mod jmx;
pub mod leader_election;
pub mod log_dirs;
pub mod machine;
pub mod metadata_quorum;
pub mod metadata_shell;
pub mod native;
pub mod perf;
pub mod reassign;
pub mod record_json;
pub mod replica_verification;
pub mod runtime;
pub mod server_stop;
pub mod share_groups;
pub mod storage;
pub mod streams_groups;
pub mod streams_reset;
pub mod topics;
pub mod transactions;
pub mod verifiable;

#[cfg(test)]
mod help_tests;

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
        "acls" => acls::run,
        "broker-api-versions" => broker_api_versions::run,
        "client-metrics" => client_metrics::run,
        "cluster" => cluster::run,
        "configs" => configs::run,
        "consumer-groups" => consumer_groups::run,
        "delegation-tokens" => delegation_tokens::run,
        "delete-records" => delete_records::run,
        "features" => features::run,
        "get-offsets" => get_offsets::run,
        "groups" => groups::run,
        "leader-election" => leader_election::run,
        "log-dirs" => log_dirs::run,
        "replica-verification" => replica_verification::run,
        "reassign-partitions" => reassign::run,
        "metadata-quorum" => metadata_quorum::run,
        "share-groups" => share_groups::run,
        "streams-groups" => streams_groups::run,
        "streams-application-reset" => streams_reset::run,
        "topics" => topics::run,
        "transactions" => transactions::run,
        "jmx" => jmx::run,
        "console-consumer" => console_consumer::run,
        "console-producer" => console_producer::run,
        "console-share-consumer" => console_share::run,
        "consumer-perf-test" => perf::consumer::run,
        "e2e-latency" => e2e::run,
        "producer-perf-test" => perf::producer::run,
        "share-consumer-perf-test" => perf::run_share,
        "verifiable-consumer" => verifiable::consumer::run,
        "verifiable-producer" => verifiable::producer::run,
        "verifiable-share-consumer" => verifiable::run_share,
        _ => return native::find(name),
    })
}

/// Kafka's tools that are served, without `kafka-`; `server-start` is the server's own.
pub const KAFKA_TOOLS: &[&str] = &[
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
    "dump-log",
    "e2e-latency",
    "features",
    "get-offsets",
    "groups",
    "jmx",
    "leader-election",
    "log-dirs",
    "metadata-quorum",
    "metadata-shell",
    "producer-perf-test",
    "reassign-partitions",
    "replica-verification",
    "server-start",
    "server-stop",
    "share-consumer-perf-test",
    "share-groups",
    "storage",
    "streams-application-reset",
    "streams-groups",
    "topics",
    "transactions",
    "verifiable-consumer",
    "verifiable-producer",
    "verifiable-share-consumer",
];
