//! The life of this node's broker and controller as the active controller sees it: registration and
//! heartbeats (Kafka's `BrokerLifecycleManager` and `ControllerRegistrationManager`). The active controller may be in this
//! process or in another; the channel knows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ottla_config::Listener;
use ottla_metadata::Image;
use ottla_metadata::features;
use ottla_metadata::image::LeaderRecovery;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::controller_registration_request::{
    Feature as ControllerFeature, Listener as ControllerListener,
};
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, ControllerRegistrationRequest,
};
use tracing::{error, info, warn};

use super::registration::REGISTER_AGAIN;
use super::unreported::Unreported;
use super::{ControllerHost, OWN_TIMEOUT, Unavailable, assignments};
use crate::node::Node;
use crate::start_error::StartError;
use crate::topic_names::OFFSETS;

/// Between heartbeats that only wait for the next state.
pub(super) const AGAIN: Duration = Duration::from_millis(10);
/// Between heartbeats while somebody waits for them, at most: this broker, to be let in again; another one, which may
/// not stop before everybody has seen who leads instead.
const URGENT_PAUSE: Duration = Duration::from_millis(100);
/// Until a controller's registration is tried again.
const CONTROLLER_AGAIN: Duration = Duration::from_secs(30);

impl ControllerHost {
    /// Registers this controller (KIP-919) with the active one, so that DescribeCluster and feature updates know
    /// it. Does not wait.
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
        let request = ControllerRegistrationRequest {
            controller_id: self.channel.own_id(),
            incarnation_id: self.incarnation_id,
            zk_migration_ready: false,
            listeners: listeners.collect(),
            features: features.collect(),
        };
        let channel = self.channel.clone();
        self.channel.spawn(async move {
            loop {
                match channel.ask(request.clone(), CONTROLLER_AGAIN).await {
                    // Before metadata.version 3.7 controllers do not register.
                    Ok(response) if response.error_code == ErrorCode::UnsupportedVersion.code() => return,
                    Ok(response) if response.error_code != 0 => {
                        error!("this controller was not registered: {:?}", response.error_message);
                        tokio::time::sleep(CONTROLLER_AGAIN).await;
                    }
                    Ok(_) | Err(Unavailable::Stopped) => return,
                    Err(error) => warn!("this controller was not registered: {error}"),
                }
            }
        });
    }

    /// Registers this broker and waits until it is unfenced and its own image shows that. By then every partition
    /// it has is open.
    pub(crate) fn join_cluster(&self, node: &Arc<Node>) -> Result<(), StartError> {
        let config = node.static_config();
        let id = config.node_id;
        let patience = Duration::from_millis(config.broker.registration_timeout_ms.max(1) as u64);
        let until = Instant::now() + patience;
        let left = || until.saturating_duration_since(Instant::now());
        let refused = |why: String| StartError::Registration(why);
        let late = || refused(format!("it did not become active within {} ms", patience.as_millis()));

        let epoch = self.register(node, until)?;
        self.broker_epoch.store(epoch, Ordering::Release);
        info!("[BrokerLifecycleManager id={id}] registered with broker epoch {epoch}");
        let registered = |image: &Image| image.broker(id).is_some_and(|broker| broker.epoch >= epoch);
        if !self.image_shows(node, until, registered) {
            return Err(late());
        }
        let mut trouble = None;
        loop {
            let request = self.heartbeat_request(node, false);
            match self.channel.ask_blocking(request, left()) {
                Ok(response) => match refusal(&response) {
                    // A heartbeat that is refused is sent again, as Kafka does: a controller that is busy or loses its
                    // lead refuses those of brokers that it has taken in.
                    Some(ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered)
                        if !left().is_zero() =>
                    {
                        self.broker_epoch.store(self.register(node, until)?, Ordering::Release);
                    }
                    Some(code) if left().is_zero() => return Err(refused(code.name().to_owned())),
                    Some(code) if trouble != Some(code) => {
                        warn!(
                            "[BrokerLifecycleManager id={id}] the controller refused a heartbeat: {}",
                            code.name()
                        );
                        trouble = Some(code);
                    }
                    Some(_) => {}
                    None if !response.is_fenced => break,
                    None => trouble = None,
                },
                Err(Unavailable::Stopped) => return Err(refused(Unavailable::Stopped.to_string())),
                Err(error) if left().is_zero() => return Err(refused(error.to_string())),
                Err(_) => {}
            }
            if left().is_zero() {
                return Err(late());
            }
            std::thread::sleep(if trouble.is_some() { REGISTER_AGAIN } else { AGAIN });
        }
        let unfenced = |image: &Image| image.broker(id).is_some_and(|broker| !broker.fenced);
        if !self.image_shows(node, until, unfenced) {
            return Err(late());
        }
        // Kafka's words: programs that start a broker for their tests wait for them.
        info!(
            "[BrokerLifecycleManager id={id}] The broker has been unfenced. Transitioning from RECOVERY to RUNNING."
        );
        self.report_recovered(node);
        self.report_directories(node);
        if let Some(line) = too_few_copies(&node.image(), node.config().groups.offsets_replication_factor) {
            warn!("{line}");
        }
        if let Some(line) = empty(&node.image(), id) {
            info!("{line}");
        }
        Ok(())
    }

    /// Waits until this node's image is as wanted; false if it is not in time.
    fn image_shows(&self, node: &Node, until: Instant, wanted: impl Fn(&Image) -> bool) -> bool {
        loop {
            let image = node.image();
            if wanted(&image) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.shown.wait(image.provenance.offset + 1, left);
        }
    }

    /// Tells the active controller that this broker lives, for as long as it does: each
    /// `broker.heartbeat.interval.ms`, and at once when the leader changes.
    pub(crate) async fn live(&self, node: &Arc<Node>) {
        let mut leading = self.channel.leading();
        let mut images = node.image_changes();
        let mut fenced = false;
        let mut trouble = String::new();
        let mut unreported = Unreported::default();
        let patience = node.static_config().broker.log_dir_failure_timeout_ms.max(1);
        loop {
            let interval = Duration::from_millis(node.config().broker.heartbeat_interval_ms.max(1) as u64);
            let due = tokio::time::Instant::now() + interval;
            let urgent = due - interval + interval.min(URGENT_PAUSE);
            loop {
                // Fenced, a broker that has caught up is let in again as soon as it says so.
                let is_urgent = fenced || somebody_leaves(&node.image(), node.node_id());
                tokio::select! {
                    () = tokio::time::sleep_until(if is_urgent { urgent } else { due }) => break,
                    Ok(()) = leading.changed() => break,
                    Ok(()) = images.changed() => {}
                }
            }
            leading.borrow_and_update();
            if node.is_stopping() {
                return;
            }
            let request = self.heartbeat_request(node, false);
            let offline = request.offline_log_dirs.clone();
            unreported.offline(&offline, Instant::now());
            let now = match self.channel.ask(request, interval).await {
                Ok(response) => match refusal(&response) {
                    None => {
                        unreported.told(&offline);
                        self.tell_fenced(node, &mut fenced, response.is_fenced);
                        String::new()
                    }
                    Some(ErrorCode::StaleBrokerEpoch) => self.register_again(node, interval).await,
                    Some(code) => format!("the controller refused a heartbeat: {}", code.name()),
                },
                Err(Unavailable::Stopped) => return,
                Err(error) => format!("the controller did not take a heartbeat: {error}"),
            };
            if now != trouble {
                match now.is_empty() {
                    true => {
                        info!("[BrokerLifecycleManager id={}] heartbeats are taken again", node.node_id())
                    }
                    false => warn!("[BrokerLifecycleManager id={}] {now}", node.node_id()),
                }
                trouble = now;
            }
            if let Some(dir) =
                unreported.overdue(Instant::now(), Duration::from_millis(patience.unsigned_abs()))
            {
                return node.fail(&format!(
                    "the controller could not be told for {patience} ms (log.dir.failure.timeout.ms) that log directory {} has failed",
                    ottla_records::uuid_text::encode(&dir)
                ));
            }
        }
    }

    fn tell_fenced(&self, node: &Node, before: &mut bool, now: bool) {
        if *before != now {
            let state = if now { "fenced" } else { "unfenced" };
            info!("[BrokerLifecycleManager id={}] the broker has been {state}", node.node_id());
        }
        *before = now;
    }

    /// Tells the controller where the replicas lie that were opened before this broker was registered.
    fn report_directories(&self, node: &Node) {
        let all = node.partitions().all();
        let replicas = all.iter().map(|partition| (partition.topic_id(), partition.index()));
        if let Some(request) = assignments::missing(node, &node.image(), self.broker_epoch(), replicas) {
            assignments::hand_over(&self.channel, request);
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
        match self.channel.ask_blocking(request, OWN_TIMEOUT) {
            Ok(response) if response.error_code == 0 => {
                info!("partitions with an unclean leader election are reported as recovered");
            }
            Ok(response) => warn!("recovered partitions were not taken: error {}", response.error_code),
            Err(error) => warn!("recovered partitions were not taken: {error}"),
        }
    }

    pub(super) fn heartbeat_request(&self, node: &Node, want_shut_down: bool) -> BrokerHeartbeatRequest {
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

/// Whether another broker waits to be let go.
fn somebody_leaves(image: &Image, own: i32) -> bool {
    image.brokers.values().any(|broker| broker.id != own && broker.in_controlled_shutdown && !broker.fenced)
}

pub(super) fn refusal(response: &BrokerHeartbeatResponse) -> Option<ErrorCode> {
    match response.error_code {
        0 => None,
        code => Some(ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError)),
    }
}

/// The offsets topic keeps the replicas that it was made with: a cluster that grew does not give it more by itself.
fn too_few_copies(image: &Image, wanted: i16) -> Option<String> {
    let has = image.partition(OFFSETS, 0)?.replicas.len();
    (has < usize::try_from(wanted).unwrap_or(0)).then(|| {
        format!(
            "offsets.topic.replication.factor={wanted} but {OFFSETS} has RF {has}: raise it with: \
             ottla topic set-rf {OFFSETS} {wanted}"
        )
    })
}

/// Said of a broker that holds nothing while others do: in Kafka partitions stay where they are.
fn empty(image: &Image, own: i32) -> Option<String> {
    let mut partitions = image.topics.iter().flat_map(|topic| topic.partitions.values()).peekable();
    partitions.peek()?;
    let none = partitions.all(|partition| !partition.replicas.contains(&own));
    none.then(|| {
        format!(
            "broker {own} has no partitions: those of existing topics stay where they are until they are moved, see: \
             ottla rebalance --plan"
        )
    })
}
