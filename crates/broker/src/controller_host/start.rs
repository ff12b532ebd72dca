//! How the quorum, the desk and the follower come into being.

use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use ottla_config::{Listener, NodeConfig};
use ottla_metadata::decide::Bootstrap;
use ottla_metadata::{Controller, MetadataError, Settings, features, understood};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_quorum::{Driver, DriverConfig, LogLimits, ReplicaConfig, Retention, SurveyError, format, survey};
use ottla_raft::{Endpoints, HostPort, VersionRange, VoterSet};
use parking_lot::Mutex;
use uuid::Uuid;

use super::backlog::Backlog;
use super::channel::Channel;
use super::desk::{Desk, Periods};
use super::ear::Ear;
use super::follower::{Follower, Shown, SnapshotRules};
use super::lead::Lead;
use super::machine_name::machine_name;
use super::{ControllerHost, STOP_MS, Threads, transport, voters_check};
use crate::config_rules::Rules;
use crate::dirs::Dirs;
use crate::node::Node;
use crate::reach;
use crate::start_error::StartError;

/// The levels of `kraft.version` that this node supports.
const KRAFT_VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

/// What a start needs to know of the quorum, read and checked before anything is changed.
pub(crate) struct Plan {
    replica: ReplicaConfig,
    bootstrap: Bootstrap,
    controllers: Vec<Listener>,
    metadata_log: std::path::PathBuf,
}

impl Plan {
    /// Reads and checks; changes nothing.
    pub(crate) fn new(
        config: &NodeConfig,
        dirs: &Dirs,
        bound_port: impl Fn(&str) -> Option<u16>,
    ) -> Result<Plan, StartError> {
        let metadata_log = dirs.metadata.path().join(ottla_quorum::METADATA_DIRECTORY);
        voters_check::check(config, dirs)?;
        let controllers = resolve(&config.listeners.advertised_controllers, bound_port, machine_name);
        look_over(dirs)?;
        Ok(Plan {
            bootstrap: read_bootstrap(dirs)?,
            replica: replica_config(config, dirs, &controllers),
            controllers,
            metadata_log,
        })
    }
}

impl ControllerHost {
    /// Opens the metadata log and starts the quorum and the controller. The image is given to [`Node::publish`] from
    /// then on; [`ControllerHost::wait_for_quorum`] waits for what is in it.
    pub(crate) fn start(node: &Arc<Node>, plan: Plan) -> Result<ControllerHost, StartError> {
        let config = node.static_config();
        let Plan { replica, bootstrap, controllers, metadata_log } = plan;
        let alone = replica.raft.static_voters.is_empty() && replica.raft.bootstrap.is_empty();
        let (events, desk_inbox) = mpsc::channel();
        let (news, follower_inbox) = mpsc::channel();
        let backlog = Arc::<Backlog>::default();
        let ear = Ear::new(events.clone(), news, Arc::downgrade(node), backlog.clone());
        let (wire, sender) = transport::channel(config);
        let peers = sender.peers();
        let (driver, quorum) =
            Driver::start(DriverConfig::new(replica), ear, move |_| wire).map_err(|error| {
                StartError::Quorum(format!(
                    "{}: {error}\n    nothing was changed; next: put back a copy of this directory, or, if its topics are not needed, format the node anew",
                    metadata_log.display()
                ))
            })?;
        backlog.wake(quorum.clone());
        let stop_quorum = |driver: Driver| {
            let _ = quorum.shutdown(STOP_MS);
            let _ = driver.join();
        };
        if alone && quorum.status().voters.is_empty() {
            stop_quorum(driver);
            return Err(StartError::Quorum(
                "this directory was formatted without voters, and no other controller can be asked for them\n    next: format it with --standalone, or set controller.quorum.bootstrap.servers".into(),
            ));
        }
        if let Err(error) = sender.start(quorum.clone()) {
            stop_quorum(driver);
            return Err(error);
        }
        let (lead, shown) = (Lead::default(), Shown::default());
        let rules = SnapshotRules {
            after_bytes: u64::try_from(config.metadata.snapshot_after_bytes).unwrap_or(1).max(1),
            after: config.metadata.snapshot_interval_ms.map(|ms| Duration::from_millis(ms.max(0) as u64)),
        };
        let broker_epoch = Arc::new(AtomicI64::new(-1));
        let listener = config.listeners.controller_names.first().cloned().unwrap_or_default();
        let at = (config.node_id, listener);
        let (channel, channel_thread) = Channel::start(
            events.clone(),
            quorum.clone(),
            lead.clone(),
            at,
            Arc::downgrade(node),
            peers.clone(),
            reach::controller(config),
        )
        .map_err(StartError::Thread)?;
        let follower = Follower::new(
            Arc::downgrade(node),
            quorum.clone(),
            channel.clone(),
            broker_epoch.clone(),
            shown.clone(),
            rules,
            backlog,
        );
        let controller = Controller::new(settings(config, node.cluster_id()), Box::new(config_rules(node)));
        let seed = Uuid::new_v4().as_u128() as u64;
        let periods = Periods {
            no_op_ms: config.metadata.idle_interval_ms.map(i64::from),
            balance_ms: config
                .replication
                .auto_leader_rebalance
                .then_some(config.replication.leader_imbalance_check_interval_ms),
            unclean_ms: config.replication.unclean_election_interval_ms,
        };
        let desk =
            Desk::new(controller, quorum.clone(), events.clone(), seed, bootstrap, lead.clone(), periods);
        let follower = spawn("metadata", Arc::downgrade(node), move || follower.run(&follower_inbox))?;
        let desk = spawn("controller", Arc::downgrade(node), move || desk.run(&desk_inbox))?;
        Ok(ControllerHost {
            events,
            channel,
            quorum,
            lead,
            shown,
            peers,
            controllers,
            incarnation_id: Uuid::new_v4(),
            broker_epoch,
            threads: Mutex::new(Some(Threads { quorum: driver, desk, follower, channel: channel_thread })),
        })
    }
}

/// Runs `work` on a named thread; a node whose controller panicked cannot go on.
fn spawn(
    name: &'static str,
    node: Weak<Node>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    struct Guard(&'static str, Weak<Node>);
    impl Drop for Guard {
        fn drop(&mut self) {
            if std::thread::panicking()
                && let Some(node) = self.1.upgrade()
            {
                node.fail(&format!("the {} thread panicked", self.0));
            }
        }
    }
    let work = move || {
        let _guard = Guard(name, node);
        work();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
}

fn config_rules(node: &Arc<Node>) -> Rules {
    let file = Arc::new(node.static_config().clone());
    let (weak, fallback) = (Arc::downgrade(node), file.clone());
    Rules::new(file, move || weak.upgrade().map_or_else(|| fallback.clone(), |node| node.config()))
}

/// What the controller is told of this node's configuration.
pub(super) fn settings(config: &NodeConfig, cluster_id: &str) -> Settings {
    Settings {
        default_partitions: config.topics.partitions,
        default_replication_factor: i16::try_from(config.topics.replication_factor).unwrap_or(i16::MAX),
        session_timeout_ms: config.broker.session_timeout_ms.into(),
        static_min_insync_replicas: config.topic_defaults.min_insync_replicas,
        static_unclean_leader_election: config.topic_defaults.unclean_leader_election,
        delete_topic_enable: config.topics.delete_enabled,
        early_fencing: config.quorum.early_fencing,
        ..Settings::new(config.node_id, cluster_id)
    }
}

/// Whether this release understands all that the metadata log says. What it does not understand it would meet again
/// later, with the directory in its hands.
fn look_over(dirs: &Dirs) -> Result<(), StartError> {
    let path = dirs.metadata.path();
    survey(&**dirs.metadata.disk(), path, &mut |record| understood(record).map(drop), &mut |level| {
        let (name, min, max) = (features::KRAFT_VERSION, KRAFT_VERSIONS.min, KRAFT_VERSIONS.max);
        if (min..=max).contains(&level) {
            return Ok(());
        }
        Err(MetadataError::UnsupportedFeature { name: name.to_owned(), level, min, max }.to_string())
    })
    .map_err(|error| match error {
        SurveyError::Refused { .. } => of_a_newer_release(error, path),
        error => StartError::Quorum(format!(
            "{error}\n    nothing was changed; next: put back a copy of this directory, or, if its topics are not needed, format the node anew"
        )),
    })
}

/// What a node says that stays away from a directory; whoever wrote it can go on with it.
fn of_a_newer_release(met: impl Display, directory: &Path) -> StartError {
    StartError::Quorum(format!(
        "{met}\n    a newer release wrote this; nothing in {} was changed\n    next: start this node with the program that ran it before, which can go on with the directory as it is",
        directory.display()
    ))
}

/// The records that a new cluster begins with.
fn read_bootstrap(dirs: &Dirs) -> Result<Bootstrap, StartError> {
    let path = dirs.metadata.path();
    let values = format::read_bootstrap(&**dirs.metadata.disk(), path)
        .map_err(|error| StartError::Quorum(error.to_string()))?;
    let Some(values) = values else { return Ok(Bootstrap::missing()) };
    bootstrap(&values).map_err(|why| {
        of_a_newer_release(format!("{}: {why}", path.join(format::BOOTSTRAP_FILE).display()), path)
    })
}

fn bootstrap(values: &[Bytes]) -> Result<Bootstrap, String> {
    let decode = |(index, value): (usize, &Bytes)| {
        let known =
            understood(value).and_then(|_| MetadataRecord::decode_framed(value).map_err(|e| e.to_string()));
        known.map_err(|why| format!("record {index}: {why}"))
    };
    let records = values.iter().enumerate().map(decode).collect::<Result<Vec<_>, _>>()?;
    Bootstrap::from_records(records)
        .ok_or_else(|| "it names no metadata.version that this release can run".to_owned())
}

/// Listeners as others are told of them: a host for each, and the port that a listener on port 0 got. Only a listener
/// without a host makes `name` be looked up.
pub(super) fn resolve(
    listeners: &[Listener],
    bound_port: impl Fn(&str) -> Option<u16>,
    name: impl Fn() -> &'static str,
) -> Vec<Listener> {
    listeners
        .iter()
        .map(|listener| {
            let port = match listener.port {
                0 => bound_port(&listener.name).unwrap_or(0),
                port => port,
            };
            let host = listener.host.clone().unwrap_or_else(|| name().to_owned());
            Listener { host: Some(host), port, ..listener.clone() }
        })
        .collect()
}

fn replica_config(config: &NodeConfig, dirs: &Dirs, controllers: &[Listener]) -> ReplicaConfig {
    let quorum = &config.quorum;
    let listener = config.listeners.controller_names.first().cloned().unwrap_or_default();
    let voters = quorum
        .voters
        .iter()
        .map(|voter| (voter.id, HostPort::new(voter.address.host.clone(), voter.address.port)));
    let voters = VoterSet::from_static(&listener, voters);
    let endpoints = controllers
        .iter()
        .map(|at| (at.name.clone(), HostPort::new(at.host.clone().unwrap_or_default(), at.port)));
    let raft = ottla_raft::Config {
        can_become_voter: config.roles.controller,
        listener,
        endpoints: Endpoints::from_pairs(endpoints),
        kraft_versions: KRAFT_VERSIONS,
        static_voters: voters,
        bootstrap: quorum
            .bootstrap_servers
            .iter()
            .map(|at| HostPort::new(at.host.clone(), at.port))
            .collect(),
        election_timeout_ms: quorum.election_timeout_ms.into(),
        election_backoff_max_ms: quorum.election_backoff_max_ms.into(),
        fetch_timeout_ms: quorum.fetch_timeout_ms.into(),
        request_timeout_ms: quorum.request_timeout_ms.into(),
        retry_backoff_ms: quorum.retry_backoff_ms.into(),
        fetch_max_bytes: quorum.fetch_max_bytes,
        fetch_snapshot_max_bytes: quorum.fetch_snapshot_max_bytes,
        auto_join: quorum.auto_join,
        early_election: quorum.early_election,
        early_start: quorum.early_election,
        ..ottla_raft::Config::new(dirs.cluster_id.clone(), config.node_id, dirs.metadata_dir_id)
    };
    ReplicaConfig {
        log_dir: dirs.metadata.clone(),
        clean: dirs.metadata_clean,
        raft,
        limits: LogLimits {
            segment_bytes: u32::try_from(config.metadata.segment_bytes).unwrap_or(1 << 30),
            segment_ms: config.metadata.segment_ms,
        },
        retention: Retention { bytes: config.metadata.retention_bytes, ms: config.metadata.retention_ms },
        seed: Uuid::new_v4().as_u128() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::SecurityProtocol;
    use ottla_metadata::MetadataVersion;
    use ottla_protocol::metadata_records::FeatureLevelRecord;

    fn listener(name: &str, host: Option<&str>, port: u16) -> Listener {
        Listener {
            name: name.to_owned(),
            host: host.map(str::to_owned),
            port,
            protocol: SecurityProtocol::Plaintext,
        }
    }

    #[test]
    fn what_is_advertised_has_a_host_and_a_port() {
        let listeners = [listener("A", None, 0), listener("B", Some("h"), 9)];
        let resolved = resolve(&listeners, |name| (name == "A").then_some(4711), || "me");
        assert_eq!(resolved, [listener("A", Some("me"), 4711), listener("B", Some("h"), 9)]);
        let nobody = || panic!("a host is there: the machine's name is not looked up");
        assert_eq!(resolve(&listeners[1..], |_| None, nobody), [listener("B", Some("h"), 9)]);
    }

    #[test]
    fn bootstrap_records_must_be_understood_and_name_a_version() {
        let formatted = Bootstrap::formatted(MetadataVersion::LATEST);
        let values: Vec<Bytes> = formatted
            .records()
            .iter()
            .map(|(record, version)| record.encode_framed(*version).unwrap().into())
            .collect();
        assert_eq!(bootstrap(&values).unwrap().version(), MetadataVersion::LATEST);
        assert!(bootstrap(&[]).unwrap_err().contains("no metadata.version"));
        assert!(bootstrap(&[Bytes::from_static(&[9])]).unwrap_err().contains("record 0"));
        // A feature that is not served stops a start before it is in the log.
        let strange = FeatureLevelRecord { name: "quite.new".to_owned(), feature_level: 1 };
        let strange = MetadataRecord::from(strange).encode_framed(0).unwrap();
        let all: Vec<Bytes> = values.iter().cloned().chain([strange.into()]).collect();
        assert!(bootstrap(&all).unwrap_err().contains("quite.new"));
    }
}
