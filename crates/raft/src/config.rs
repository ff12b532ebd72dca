//! What a node is told once: who it is, who it may ask, how long it waits.

use uuid::Uuid;

use crate::{Endpoints, HostPort, Millis, ReplicaKey, VersionRange, Voter, VoterSet};

/// The static part of a node. Defaults of the timings are Kafka's `controller.quorum.*`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Requests with another cluster id are refused; requests without one are not.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// Id of the metadata directory; never the zero uuid.
    pub directory_id: Uuid,
    /// Controllers can be voters and so flush before they fetch on; plain brokers only observe.
    pub can_become_voter: bool,
    /// Listener on which raft talks, such as `CONTROLLER`.
    pub listener: String,
    /// Where this node can be reached.
    pub endpoints: Endpoints,
    /// `kraft.version` levels this node supports.
    pub kraft_versions: VersionRange,
    /// `controller.quorum.voters`; used until the log or a snapshot holds a voter set.
    pub static_voters: VoterSet,
    /// `controller.quorum.bootstrap.servers`; when empty the static voters are asked.
    pub bootstrap: Vec<HostPort>,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout_ms: Millis,
    /// `controller.quorum.election.backoff.max.ms`
    pub election_backoff_max_ms: Millis,
    /// `controller.quorum.fetch.timeout.ms`
    pub fetch_timeout_ms: Millis,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout_ms: Millis,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff_ms: Millis,
    /// How long a leader may park our Fetch; a constant of Kafka.
    pub fetch_max_wait_ms: i32,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `controller.quorum.fetch.snapshot.max.bytes`
    pub fetch_snapshot_max_bytes: i32,
    /// `controller.quorum.auto.join.enable`
    pub auto_join: bool,
    /// Runs early when the leader's endpoint refuses connections; not in Kafka.
    pub early_election: bool,
    /// Runs soon after a start without a leader; not in Kafka.
    pub early_start: bool,
}

impl Config {
    /// A config with Kafka's default timings.
    pub fn new(cluster_id: impl Into<String>, node_id: i32, directory_id: Uuid) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            node_id,
            directory_id,
            can_become_voter: true,
            listener: "CONTROLLER".to_owned(),
            endpoints: Endpoints::empty(),
            kraft_versions: VersionRange { min: 0, max: 1 },
            static_voters: VoterSet::empty(),
            bootstrap: Vec::new(),
            election_timeout_ms: 1000,
            election_backoff_max_ms: 1000,
            fetch_timeout_ms: 2000,
            request_timeout_ms: 2000,
            retry_backoff_ms: 20,
            fetch_max_wait_ms: 500,
            fetch_max_bytes: 1 << 20,
            fetch_snapshot_max_bytes: 1 << 20,
            auto_join: false,
            early_election: true,
            early_start: true,
        }
    }

    /// This node's key.
    pub fn key(&self) -> ReplicaKey {
        ReplicaKey::new(self.node_id, self.directory_id)
    }

    /// This node as a voter entry.
    pub fn voter(&self) -> Voter {
        Voter { key: self.key(), endpoints: self.endpoints.clone(), kraft_versions: self.kraft_versions }
    }
}
