//! One file per API, or per family of small ones.

pub(crate) mod api_versions;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod controller_rpc;
pub(crate) mod delete_records;
pub(crate) mod describe_topic_partitions;
pub(crate) mod envelope;
pub(crate) mod fetch;
mod find;
pub(crate) mod find_coordinator;
pub(crate) mod groups;
pub(crate) mod init_producer_id;
pub(crate) mod list_offsets;
pub(crate) mod log_dirs;
pub(crate) mod metadata;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod offsets;
mod operations;
pub(crate) mod produce;
pub(crate) mod producers;
pub(crate) mod quorum;
pub(crate) mod raft_rpc;
pub(crate) mod reassignments;
#[cfg(test)]
mod three_brokers;
pub(crate) mod topics;
pub(crate) mod transactions;
pub(crate) mod txn_offsets;
pub(crate) mod unsecured;
mod verification;
pub(crate) mod write_txn_markers;
