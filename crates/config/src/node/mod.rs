//! The static configuration of one node, typed: what `server.properties` says after defaults, synonyms and
//! checks. [`NodeConfig::load`] is the way in; [`NodeConfig::with_dynamic`] lays the values on top that were
//! set while the node runs.
//!
//! Times are milliseconds (`_ms`), sizes bytes.

mod advice;
mod build;
mod legacy;
mod listeners;
mod load;
mod rules;

pub use advice::fault_tolerance;
pub use legacy::{Migration, migrate};
pub use listeners::Listeners;
pub use load::{Loaded, environment_key};

use crate::endpoint::{HostPort, Voter};
use crate::settings::Settings;
use crate::topic::{Overrides, TopicConfig};
use crate::value::ValueError;

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Serves clients.
    pub broker: bool,
    /// Votes in the metadata quorum.
    pub controller: bool,
}

/// Everything one node needs to know before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// `process.roles`
    pub roles: Roles,
    /// `node.id`
    pub node_id: i32,
    /// `broker.rack`
    pub rack: Option<String>,
    /// Listeners, bound and advertised.
    pub listeners: Listeners,
    /// Data directories.
    pub dirs: Dirs,
    /// The controllers' quorum.
    pub quorum: Quorum,
    /// The metadata log.
    pub metadata: Metadata,
    /// The life of a broker as the controller sees it.
    pub broker: Broker,
    /// Sockets and limits of connections.
    pub sockets: Sockets,
    /// Limits of single requests.
    pub requests: Requests,
    /// How topics come into being.
    pub topics: Topics,
    /// The configuration of a topic that sets nothing itself.
    pub topic_defaults: TopicConfig,
    /// What the node does for all logs together.
    pub log: Log,
    /// Compaction.
    pub cleaner: Cleaner,
    /// Replicas.
    pub replication: Replication,
    /// Groups and their offsets.
    pub groups: Groups,
    /// Transactions.
    pub transactions: Transactions,
    /// `ottla.ops.listener`
    pub ops_listener: OpsListener,
    pub(crate) settings: Settings,
}

impl NodeConfig {
    /// Every value as it was written, for keys that have no field of their own (TLS, SASL, tiered storage,
    /// share groups ...), for DescribeConfigs and for listings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The configuration of a topic with these values of its own on this node; cheap where it has none.
    ///
    /// # Errors
    /// A value its key refuses.
    pub fn topic(&self, own: &Overrides) -> Result<TopicConfig, ValueError> {
        if own.is_empty() {
            return Ok(self.topic_defaults.clone());
        }
        TopicConfig::of_topic(&self.settings, own)
    }
}

/// `ottla.ops.listener`: where the console, the metrics and the health of the node are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpsListener {
    /// Not set: on the loopback address, at the first of these ports that is free, beginning with the node's own.
    AnyOf(OpsPorts),
    /// Exactly here; port 0 lets the system choose.
    At(HostPort),
    /// Nowhere.
    Off,
}

/// The ports that a node tries that was told none: those of the range, beginning in the middle of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpsPorts {
    own: u16,
}

impl OpsPorts {
    /// The range that all nodes share.
    const RANGE: std::ops::Range<u16> = 8780..8880;

    /// Those of a node: nodes of one cluster on one machine do not meet, unless they are a hundred.
    #[must_use]
    pub fn of(node_id: i32) -> Self {
        Self { own: node_id.rem_euclid(100) as u16 }
    }

    /// Every port of the range once, the node's own first.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        let count = Self::RANGE.end - Self::RANGE.start;
        (0..count).map(move |step| Self::RANGE.start + (self.own + step) % count)
    }
}

/// `log.dirs` and its company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// `log.dirs`, else `log.dir`; at least one.
    pub data: Vec<String>,
    /// `metadata.log.dir`, else the first of `data`.
    pub metadata: String,
    /// `cordoned.log.dirs`, with `*` spelled out.
    pub cordoned: Vec<String>,
}

impl Dirs {
    /// Every directory of the node, each once: the data directories, then the metadata directory if it is
    /// not among them.
    #[must_use]
    pub fn all(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.data.iter().map(String::as_str).collect();
        if !all.contains(&self.metadata.as_str()) {
            all.push(&self.metadata);
        }
        all
    }
}

/// `controller.quorum.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// `controller.quorum.voters`: the fixed voters; empty where the voters live in the metadata log.
    pub voters: Vec<Voter>,
    /// `controller.quorum.bootstrap.servers`
    pub bootstrap_servers: Vec<HostPort>,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout_ms: i32,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout_ms: i32,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max_ms: i32,
    /// `controller.quorum.append.linger.ms`
    pub append_linger_ms: i32,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout_ms: i32,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff_ms: i32,
    /// `controller.quorum.auto.join.enable`
    pub auto_join: bool,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`
    pub fetch_snapshot_max_bytes: i32,
    /// `ottla.early.election.enable`
    pub early_election: bool,
    /// `ottla.early.fencing.enable`
    pub early_fencing: bool,
    /// `ottla.voter.change.enable`
    pub voter_change: bool,
}

/// `metadata.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// `metadata.log.segment.bytes`
    pub segment_bytes: i32,
    /// `metadata.log.segment.ms`
    pub segment_ms: i64,
    /// `metadata.max.retention.bytes`
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`
    pub retention_ms: i64,
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub snapshot_after_bytes: i64,
    /// `metadata.log.max.snapshot.interval.ms`; `None` where it is 0: never by time.
    pub snapshot_interval_ms: Option<i64>,
    /// `metadata.max.idle.interval.ms`; `None` where it is 0: no empty records.
    pub idle_interval_ms: Option<i32>,
}

/// Heartbeats and registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// `broker.heartbeat.interval.ms`
    pub heartbeat_interval_ms: i32,
    /// `broker.session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `initial.broker.registration.timeout.ms`
    pub registration_timeout_ms: i32,
    /// `controlled.shutdown.enable`
    pub controlled_shutdown: bool,
    /// `controller.socket.timeout.ms`
    pub controller_socket_timeout_ms: i32,
    /// `log.dir.failure.timeout.ms`
    pub log_dir_failure_timeout_ms: i64,
}

/// `socket.*`, `connections.*` and `max.connections*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// `socket.send.buffer.bytes`; `None` where it is -1: the system's choice.
    pub send_buffer_bytes: Option<i32>,
    /// `socket.receive.buffer.bytes`; `None` where it is -1: the system's choice.
    pub receive_buffer_bytes: Option<i32>,
    /// `socket.listen.backlog.size`
    pub backlog: i32,
    /// `socket.request.max.bytes`
    pub request_max_bytes: i32,
    /// `connections.max.idle.ms`; `None` where it is negative: never closed for idling.
    pub max_idle_ms: Option<i64>,
    /// `max.connections`
    pub max_connections: i32,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: i32,
    /// `max.connections.per.ip.overrides`: address or host name, and its limit.
    pub max_connections_overrides: Vec<(String, i32)>,
    /// `max.connection.creation.rate`
    pub max_creation_rate: i32,
    /// `num.network.threads`
    pub network_threads: i32,
    /// `connection.failed.authentication.delay.ms`
    pub failed_authentication_delay_ms: i32,
    /// `socket.connection.setup.timeout.ms`
    pub connection_setup_timeout_ms: i64,
    /// `socket.connection.setup.timeout.max.ms`
    pub connection_setup_timeout_max_ms: i64,
}

/// Limits of requests and their answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requests {
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`
    pub fetch_session_slots: i32,
    /// `max.request.partition.size.limit`
    pub partition_limit: i32,
    /// `request.timeout.ms`
    pub timeout_ms: i32,
}

/// The creation and deletion of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// `auto.create.topics.enable`
    pub auto_create: bool,
    /// `num.partitions`
    pub partitions: i32,
    /// `default.replication.factor`
    pub replication_factor: i32,
    /// `delete.topic.enable`
    pub delete_enabled: bool,
}

/// Work on all logs of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: i64,
    /// `log.flush.scheduler.interval.ms`
    pub flush_scheduler_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub recovery_point_checkpoint_interval_ms: i32,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub start_offset_checkpoint_interval_ms: i32,
    /// `log.initial.task.delay.ms`
    pub initial_task_delay_ms: i64,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads_per_dir: i32,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i32,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_id_check_interval_ms: i32,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint_interval_ms: i64,
}

/// `log.cleaner.*`
#[derive(Debug, Clone, PartialEq)]
pub struct Cleaner {
    /// `log.cleaner.enable`
    pub enabled: bool,
    /// `log.cleaner.threads`
    pub threads: i32,
    /// `log.cleaner.dedupe.buffer.size`
    pub dedupe_buffer_bytes: i64,
    /// `log.cleaner.io.buffer.size`
    pub io_buffer_bytes: i32,
    /// `log.cleaner.io.buffer.load.factor`
    pub load_factor: f64,
    /// `log.cleaner.io.max.bytes.per.second`
    pub max_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`
    pub backoff_ms: i64,
}

/// `replica.*` and the election of leaders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// `replica.lag.time.max.ms`
    pub lag_time_max_ms: i64,
    /// `replica.fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `replica.fetch.wait.max.ms`
    pub fetch_wait_max_ms: i32,
    /// `replica.fetch.min.bytes`
    pub fetch_min_bytes: i32,
    /// `replica.fetch.response.max.bytes`
    pub fetch_response_max_bytes: i32,
    /// `replica.fetch.backoff.ms`
    pub fetch_backoff_ms: i32,
    /// `replica.socket.timeout.ms`
    pub socket_timeout_ms: i32,
    /// `replica.socket.receive.buffer.bytes`; `None` where it is -1 or nobody has set it: the system's choice.
    pub socket_receive_buffer_bytes: Option<u32>,
    /// `num.replica.fetchers`
    pub fetchers: i32,
    /// `auto.leader.rebalance.enable`
    pub auto_leader_rebalance: bool,
    /// `leader.imbalance.check.interval.seconds`, in milliseconds.
    pub leader_imbalance_check_interval_ms: i64,
    /// `unclean.leader.election.interval.ms`
    pub unclean_election_interval_ms: i64,
}

/// `group.*` of the classic protocol, and `offsets.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub max_size: i32,
    /// `group.coordinator.rebalance.protocols`, in lower case.
    pub protocols: Vec<String>,
    /// `offsets.topic.num.partitions`
    pub offsets_partitions: i32,
    /// `offsets.topic.replication.factor`
    pub offsets_replication_factor: i16,
    /// `offsets.topic.segment.bytes`
    pub offsets_segment_bytes: i32,
    /// `offsets.topic.compression.codec`: the codec's number in a batch.
    pub offsets_compression_codec: i32,
    /// `offsets.load.buffer.size`
    pub offsets_load_buffer_bytes: i32,
    /// `offsets.commit.timeout.ms`
    pub offsets_commit_timeout_ms: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_bytes: i32,
}

/// `transaction.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transactions {
    /// `transaction.max.timeout.ms`
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`
    pub id_expiration_ms: i32,
    /// `transaction.state.log.num.partitions`
    pub state_partitions: i32,
    /// `transaction.state.log.replication.factor`
    pub state_replication_factor: i16,
    /// `transaction.state.log.min.isr`
    pub state_min_isr: i32,
    /// `transaction.state.log.segment.bytes`
    pub state_segment_bytes: i32,
    /// `transaction.state.log.load.buffer.size`
    pub state_load_buffer_bytes: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_check_interval_ms: i32,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expiration_check_interval_ms: i32,
    /// `transaction.partition.verification.enable`
    pub verify_partitions: bool,
    /// `transaction.two.phase.commit.enable`
    pub two_phase_commit: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(node_id: i32, line: &str) -> Result<OpsListener, String> {
        let text = format!(
            "process.roles=broker,controller\nnode.id={node_id}\ncontroller.quorum.voters={node_id}@localhost:9093\n\
             listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n{line}\n"
        );
        let loaded = NodeConfig::load("f", text.as_bytes(), &[]);
        loaded.map(|loaded| loaded.config.ops_listener).map_err(|problems| problems.to_string())
    }

    #[test]
    fn nodes_of_one_machine_begin_at_ports_of_their_own() {
        let ports = |id| match ops(id, "") {
            Ok(OpsListener::AnyOf(ports)) => ports.iter().collect::<Vec<u16>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!((ports(1)[0], ports(2)[0], ports(99)[0], ports(3000)[0]), (8781, 8782, 8879, 8780));
        let mut all = ports(99);
        assert_eq!(all[1], 8780, "the range goes round");
        all.sort_unstable();
        assert_eq!(all, (8780..8880).collect::<Vec<u16>>(), "every port once");
    }

    #[test]
    fn an_address_is_taken_as_it_stands_and_a_mistake_is_refused() {
        let at = |host: &str, port| Ok(OpsListener::At(HostPort { host: host.to_owned(), port }));
        assert_eq!(ops(1, "ottla.ops.listener=0.0.0.0:9400"), at("0.0.0.0", 9400));
        assert_eq!(ops(1, "ottla.ops.listener=[::1]:0"), at("::1", 0));
        assert_eq!(ops(1, "ottla.ops.listener=OFF"), Ok(OpsListener::Off));
        for wrong in ["9400", ":9400", "localhost", "localhost:99999"] {
            let said = ops(1, &format!("ottla.ops.listener={wrong}")).expect_err(wrong);
            assert!(said.contains("ottla.ops.listener") && said.contains("or off"), "{said}");
        }
    }

    #[test]
    fn numbers_of_controllers_that_buy_nothing_are_named() {
        let said: Vec<Option<String>> = (0..=5).map(fault_tolerance).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            said,
            [
                None,
                text("1 controller: no fault tolerance for metadata; use 3"),
                text("2 controllers tolerate no failure; use 1 or 3"),
                None,
                text("4 controllers tolerate 1 failure; use 3 or 5"),
                None,
            ]
        );
    }
}
