//! The life of this node's broker and controller as the controller sees it: registration, heartbeats, the way out.
//!
//! Both live in one process, so what would be BrokerRegistration, BrokerHeartbeat and ControllerRegistration on the
//! wire are the same requests handed over directly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ottla_config::Listener;
use ottla_metadata::decide::RegistrationContext;
use ottla_metadata::features;
use ottla_metadata::image::LeaderRecovery;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::broker_registration_request::{Feature, Listener as BrokerListener};
use ottla_protocol::messages::controller_registration_request::{
    Feature as ControllerFeature, Listener as ControllerListener,
};
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, ControllerRegistrationRequest,
};
use ottla_protocol::wire::Message;
use tracing::{error, info, warn};

use super::machine_name::machine_name;
use super::start::resolve;
use super::{Answer, ControllerHost, Turn, Unavailable, assignments};
use crate::node::Node;
use crate::start_error::StartError;

/// The version of BrokerRegistration whose fields are filled in here.
const REGISTRATION_VERSION: i16 = 4;
/// How long a controlled shutdown may take; the rest is left to the next start.
const LEAVE: Duration = Duration::from_secs(5);
/// Between heartbeats that only wait for the next state.
const AGAIN: Duration = Duration::from_millis(10);

/// Why a heartbeat was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeartbeatError {
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
    #[error("{0}")]
    Refused(ErrorCode),
}

impl ControllerHost {
    /// Registers this controller (KIP-919), so that DescribeCluster and feature updates know it. Does not wait.
    pub(super) fn register_controller(&self, listeners: &[Listener]) {
        let listeners = listeners.iter().map(|listener| ControllerListener {
            name: listener.name.clone(),
            host: listener.host.clone().unwrap_or_default(),
            port: listener.port,
            security_protocol: listener.protocol.id(),
        });
        let features = features::supported().into_iter().map(|(name, range)| ControllerFeature {
            name,
            min_supported_version: range.min,
            max_supported_version: range.max,
        });
        let (listeners, features) = (listeners.collect(), features.collect());
        let incarnation_id = self.incarnation_id;
        self.submit(
            move |turn: &mut Turn<'_>| {
                let request = ControllerRegistrationRequest {
                    controller_id: turn.controller.settings().node_id,
                    incarnation_id,
                    zk_migration_ready: false,
                    listeners,
                    features,
                };
                turn.controller.view().register_controller(&request)
            },
            |answer| match answer {
                // Before metadata.version 3.7 controllers do not register.
                Ok((response, _)) if response.error_code == ErrorCode::UnsupportedVersion.code() => {}
                Ok((response, _)) if response.error_code != 0 => {
                    error!("this controller was not registered: {:?}", response.error_message);
                }
                Ok(_) => {}
                Err(error) => warn!("this controller was not registered: {error}"),
            },
        );
    }

    /// Registers this broker and waits until it is unfenced and its own image shows that. By then every partition
    /// it has is open.
    pub(crate) fn join_cluster(&self, node: &Arc<Node>) -> Result<(), StartError> {
        let config = node.static_config();
        let patience = Duration::from_millis(config.broker.registration_timeout_ms.max(1) as u64);
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        let refused = |why: String| StartError::Registration(why);
        let late = || refused(format!("it did not become active within {} ms", patience.as_millis()));

        let (epoch, offset) = self.register(node)?;
        self.broker_epoch.store(epoch, Ordering::Release);
        info!("[BrokerLifecycleManager id={}] registered with broker epoch {epoch}", config.node_id);
        if !self.shown.wait(offset, left()) {
            return Err(late());
        }
        loop {
            let request = self.heartbeat_request(node, false);
            let answer = self.committed_blocking(move |turn| beat(turn, &request));
            let (response, offset) = answer.map_err(|error| refused(error.to_string()))?;
            if let Some(code) = refusal(&response) {
                return Err(refused(code.name().to_owned()));
            }
            if !response.is_fenced {
                info!("[BrokerLifecycleManager id={}] the broker has been unfenced", config.node_id);
                if !self.shown.wait(offset, left()) {
                    return Err(late());
                }
                self.report_recovered(node);
                self.report_directories(node);
                return Ok(());
            }
            if left().is_zero() {
                return Err(late());
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// The broker epoch, and the offset of the registration.
    fn register(&self, node: &Node) -> Result<(i64, i64), StartError> {
        let request = registration_request(node, self.incarnation_id);
        let kraft_version = self.kraft_version();
        let answer = self.committed_blocking(move |turn| {
            let context = RegistrationContext {
                request_version: REGISTRATION_VERSION,
                next_offset: turn.next_offset,
                kraft_version,
                now_ms: turn.now_ms,
            };
            let why = turn.controller.sessions().and_then(|sessions| {
                turn.controller.view().registration_refusal(&request, sessions, context)
            });
            let decision = turn.controller.register_broker(&request, context);
            decision.map(|response| (response, why))
        });
        let ((response, why), offset) =
            answer.map_err(|error| StartError::Registration(error.to_string()))?;
        match why {
            Some(refusal) => Err(StartError::Registration(refusal.to_string())),
            None => Ok((response.broker_epoch, offset)),
        }
    }

    /// Tells the controller that this broker lives, how far its image is and which directories failed.
    pub(crate) async fn heartbeat(&self, node: &Node) -> Result<(), HeartbeatError> {
        let request = self.heartbeat_request(node, false);
        let timeout_ms = node.config().broker.heartbeat_interval_ms;
        let (response, _) = self.committed(timeout_ms, move |turn| beat(turn, &request)).await?;
        match refusal(&response) {
            Some(code) => Err(HeartbeatError::Refused(code)),
            None => Ok(()),
        }
    }

    /// Controlled shutdown: hands over what this broker leads, then is fenced. Gives up after a few seconds, and at
    /// once where `controlled.shutdown.enable` is off.
    pub(crate) fn leave_cluster(&self, node: &Node) {
        if !node.config().broker.controlled_shutdown || self.broker_epoch() < 0 {
            return;
        }
        let until = Instant::now() + LEAVE;
        while Instant::now() < until {
            let request = self.heartbeat_request(node, true);
            let answer: Answer<BrokerHeartbeatResponse> =
                self.committed_blocking(move |turn| beat(turn, &request));
            match answer {
                Ok((response, offset)) if refusal(&response).is_none() => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.shown.wait(offset, left);
                    if response.should_shut_down {
                        info!(
                            "[BrokerLifecycleManager id={}] controlled shutdown is through",
                            node.node_id()
                        );
                        return;
                    }
                }
                Ok((response, _)) => {
                    return warn!("controlled shutdown was refused: {:?}", refusal(&response));
                }
                Err(error) => return warn!("controlled shutdown was not possible: {error}"),
            }
            std::thread::sleep(AGAIN);
        }
        warn!("controlled shutdown did not end within {} s; the node stops all the same", LEAVE.as_secs());
    }

    /// Tells the controller where the replicas lie that were opened before this broker was registered.
    fn report_directories(&self, node: &Node) {
        let all = node.partitions().all();
        let replicas = all.iter().map(|partition| (partition.topic_id(), partition.index()));
        if let Some(request) = assignments::missing(node, &node.image(), self.broker_epoch(), replicas) {
            // A desk that is gone needs to know nothing.
            let _ = self.events.send(assignments::hand_over(request));
        }
    }

    /// Tells the controller that partitions which got their leader uncleanly have been recovered here: what is on
    /// the disk is what there is.
    fn report_recovered(&self, node: &Node) {
        let (own, broker_epoch) = (node.node_id(), self.broker_epoch());
        let mut topics: Vec<TopicData> = Vec::new();
        for (topic, index, partition) in node.image().partitions() {
            if partition.leader != own || partition.recovery == LeaderRecovery::Recovered {
                continue;
            }
            // Partitions come topic by topic.
            if topics.last().is_none_or(|last| last.topic_id != topic.id) {
                topics.push(TopicData { topic_id: topic.id, partitions: Vec::new() });
            }
            let Some(last) = topics.last_mut() else { continue };
            last.partitions.push(PartitionData {
                partition_index: index,
                leader_epoch: partition.leader_epoch,
                new_isr_with_epochs: vec![BrokerState { broker_id: own, broker_epoch }],
                leader_recovery_state: LeaderRecovery::Recovered.code(),
                partition_epoch: partition.partition_epoch,
                ..Default::default()
            });
        }
        if topics.is_empty() {
            return;
        }
        let request = AlterPartitionRequest { broker_id: own, broker_epoch, topics };
        let answer = self.committed_blocking(move |turn| {
            turn.controller.view().alter_partition(&request, AlterPartitionRequest::MAX_VERSION)
        });
        match answer {
            Ok((response, _)) if response.error_code == 0 => {
                info!("partitions with an unclean leader election are reported as recovered");
            }
            Ok((response, _)) => warn!("recovered partitions were not taken: error {}", response.error_code),
            Err(error) => warn!("recovered partitions were not taken: {error}"),
        }
    }

    fn heartbeat_request(&self, node: &Node, want_shut_down: bool) -> BrokerHeartbeatRequest {
        let config = node.config();
        let offline = node.dirs().iter().filter(|dir| !dir.is_online()).map(|dir| dir.id());
        let is_cordoned =
            |path: &std::path::Path| config.dirs.cordoned.iter().any(|c| std::path::Path::new(c) == path);
        let cordoned = node.dirs().iter().filter(|dir| is_cordoned(dir.path())).map(|dir| dir.id());
        BrokerHeartbeatRequest {
            broker_id: node.node_id(),
            broker_epoch: self.broker_epoch(),
            current_metadata_offset: node.image().provenance.offset,
            want_fence: false,
            want_shut_down,
            offline_log_dirs: offline.collect(),
            cordoned_log_dirs: Some(cordoned.collect()),
        }
    }
}

fn beat(
    turn: &mut Turn<'_>,
    request: &BrokerHeartbeatRequest,
) -> ottla_metadata::Decision<BrokerHeartbeatResponse> {
    turn.controller.broker_heartbeat(request, turn.next_offset, turn.now_ms)
}

fn refusal(response: &BrokerHeartbeatResponse) -> Option<ErrorCode> {
    match response.error_code {
        0 => None,
        code => Some(ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError)),
    }
}

fn registration_request(node: &Node, incarnation_id: uuid::Uuid) -> BrokerRegistrationRequest {
    let config = node.static_config();
    let listeners = resolve(&config.listeners.advertised, |name| node.bound_port(name), &machine_name());
    let mut log_dirs: Vec<_> = node.dirs().iter().filter(|dir| dir.is_online()).map(|dir| dir.id()).collect();
    log_dirs.sort_by(ottla_metadata::image::directory::compare);
    BrokerRegistrationRequest {
        broker_id: config.node_id,
        cluster_id: node.cluster_id().to_owned(),
        incarnation_id,
        listeners: listeners
            .into_iter()
            .map(|listener| BrokerListener {
                name: listener.name,
                host: listener.host.unwrap_or_default(),
                port: listener.port,
                security_protocol: listener.protocol.id(),
            })
            .collect(),
        features: features::supported()
            .into_iter()
            .map(|(name, range)| Feature {
                name,
                min_supported_version: range.min,
                max_supported_version: range.max,
            })
            .collect(),
        rack: config.rack.clone(),
        is_migrating_zk_broker: false,
        log_dirs,
        previous_broker_epoch: node.previous_broker_epoch(),
    }
}
