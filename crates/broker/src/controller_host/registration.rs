//! How this node's broker becomes known to the active controller: its registration, what a refusal means, and what stands in
//! for a former life of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ottla_metadata::{Image, features};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_protocol::messages::{
    BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRequest,
};
use tracing::{error, info, warn};

use super::ControllerHost;
use super::machine_name::machine_name;
use super::start::resolve;
use crate::node::Node;
use crate::start_error::StartError;

/// Between registrations that were refused for a reason that passes.
pub(super) const REGISTER_AGAIN: Duration = Duration::from_millis(200);

impl ControllerHost {
    /// The epoch of the new registration. A former life of this broker whose session has not expired yet is waited
    /// for; one that goes on is another broker.
    pub(super) fn register(&self, node: &Node, until: Instant) -> Result<i64, StartError> {
        let mut told: Option<Instant> = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let request = registration_request(node, self.incarnation_id);
            let answer = self.channel.ask_blocking(request, left);
            let response = answer.map_err(|error| StartError::Registration(error.to_string()))?;
            let Some(code) = registration_refusal(&response) else { return Ok(response.broker_epoch) };
            let why = refusal_text(node, code);
            let session = Duration::from_millis(node.static_config().broker.session_timeout_ms.max(0) as u64);
            if passes_by_itself(code) && left >= REGISTER_AGAIN {
                warn!("[BrokerLifecycleManager id={}] {why}; trying again", node.node_id());
                std::thread::sleep(REGISTER_AGAIN);
                continue;
            }
            if code == ErrorCode::DuplicateBrokerRegistration && self.ends_former_life(node, left) {
                continue;
            }
            let passes = code == ErrorCode::DuplicateBrokerRegistration
                && told.is_none_or(|at| at.elapsed() < session + session / 4);
            if !passes || left < REGISTER_AGAIN {
                error!("[BrokerLifecycleManager id={}] {why}", node.node_id());
                return Err(StartError::Registration(why));
            }
            if told.is_none() {
                info!(
                    "[BrokerLifecycleManager id={}] {why}; waiting, since a former life of this broker may be \
                     remembered for {} ms",
                    node.node_id(),
                    session.as_millis()
                );
                told = Some(Instant::now());
            }
            std::thread::sleep(REGISTER_AGAIN);
        }
    }

    /// The controller does not know this life of the broker any more: it introduces itself again. Gives what went
    /// wrong, if anything did.
    pub(super) async fn register_again(&self, node: &Node, timeout: Duration) -> String {
        let request = registration_request(node, self.incarnation_id);
        match self.channel.ask(request, timeout).await {
            Ok(response) => match registration_refusal(&response) {
                None => {
                    self.broker_epoch.store(response.broker_epoch, Ordering::Release);
                    info!(
                        "[BrokerLifecycleManager id={}] registered again with broker epoch {}",
                        node.node_id(),
                        response.broker_epoch
                    );
                    String::new()
                }
                Some(code) => refusal_text(node, code),
            },
            Err(error) => format!("the broker was not registered again: {error}"),
        }
    }

    /// Has the registration of this broker's former life taken out where that life has certainly ended; whether that was
    /// done.
    ///
    /// A controller of Apache Kafka keeps the session of a broker that has left in order for as long as that of one that
    /// died, and takes no other registration under its id meanwhile.
    fn ends_former_life(&self, node: &Node, timeout: Duration) -> bool {
        let id = node.node_id();
        if !node.static_config().quorum.early_fencing
            || !is_over(&node.image(), id, node.previous_broker_epoch())
        {
            return false;
        }
        let answer = self.channel.ask_blocking(UnregisterBrokerRequest { broker_id: id }, timeout);
        let ended = answer.as_ref().is_ok_and(|response| response.error_code == 0);
        if ended {
            info!(
                "[BrokerLifecycleManager id={id}] the former life of this broker (epoch {}) has ended in order on this \
                 disk, and no partition rests on it: its registration is taken out, to register anew",
                node.previous_broker_epoch()
            );
        }
        ended
    }
}

/// Whether the registered life of broker `id` is the one that closed this node's directories in order: `previous_epoch` is what
/// it left in them, -1 when they were not left so. Nobody else can go on under its epoch then. It must also have been
/// let go by the controller, and no partition may count on it, so that nothing is lost with its registration.
fn is_over(image: &Image, id: i32, previous_epoch: i64) -> bool {
    let left = image.broker(id).is_some_and(|broker| broker.epoch == previous_epoch && broker.fenced);
    left && image.partitions().all(|(_, _, partition)| {
        ![&partition.isr[..], partition.elr(), partition.last_known_elr()].iter().any(|ids| ids.contains(&id))
    })
}

/// The error of an answer, if it is one.
fn registration_refusal(response: &BrokerRegistrationResponse) -> Option<ErrorCode> {
    match response.error_code {
        0 => None,
        code => Some(ErrorCode::from_i16(code).unwrap_or(ErrorCode::UnknownServerError)),
    }
}

/// Whether a registration was refused for a reason that says nothing of this broker: the controller was too busy to answer in
/// time, or lost its lead over it.
fn passes_by_itself(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RequestTimedOut
            | ErrorCode::NotController
            | ErrorCode::NetworkException
            | ErrorCode::UnknownServerError
    )
}

/// What a refused registration means; the response only has a code.
fn refusal_text(node: &Node, code: ErrorCode) -> String {
    let id = node.node_id();
    match code {
        ErrorCode::DuplicateBrokerRegistration => {
            let image = node.image();
            let holder = image.broker(id);
            let at = holder.and_then(|broker| broker.endpoints.first());
            let at = at.map_or_else(|| "another node".to_owned(), |at| format!("{}:{}", at.host, at.port));
            let incarnation = holder.map(|broker| ottla_records::uuid_text::encode(&broker.incarnation_id));
            format!(
                "node id {id} is already registered by {at} (incarnation {}), this node will not start; set a \
                 different node.id and re-format",
                incarnation.unwrap_or_else(|| "unknown".to_owned())
            )
        }
        ErrorCode::InconsistentClusterId => {
            format!(
                "INCONSISTENT_CLUSTER_ID: the controllers belong to another cluster than {}",
                node.cluster_id()
            )
        }
        code => format!("the controller refused the registration of broker {id}: {}", code.name()),
    }
}

fn registration_request(node: &Node, incarnation_id: uuid::Uuid) -> BrokerRegistrationRequest {
    let config = node.static_config();
    let listeners = resolve(&config.listeners.advertised, |name| node.bound_port(name), machine_name);
    let mut log_dirs: Vec<_> = node.dirs().iter().filter(|dir| dir.is_online()).map(|dir| dir.id()).collect();
    log_dirs.sort_by(ottla_metadata::image::directory::compare);
    BrokerRegistrationRequest {
        broker_id: config.node_id,
        cluster_id: node.cluster_id().to_owned(),
        incarnation_id,
        listeners: listeners
            .into_iter()
            .map(|listener| Listener {
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

#[cfg(test)]
mod tests {
    use ottla_protocol::metadata_records::{PartitionRecord, RegisterBrokerRecord, TopicRecord};

    use super::*;

    #[test]
    fn only_what_says_nothing_of_this_broker_is_tried_again() {
        for code in [ErrorCode::RequestTimedOut, ErrorCode::NotController, ErrorCode::NetworkException] {
            assert!(passes_by_itself(code), "{}", code.name());
        }
        for code in [
            ErrorCode::InconsistentClusterId,
            ErrorCode::DuplicateBrokerRegistration,
            ErrorCode::UnsupportedVersion,
            ErrorCode::InvalidRegistration,
        ] {
            assert!(!passes_by_itself(code), "{}", code.name());
        }
    }

    /// Broker 3, registered in epoch 40, and a partition of brokers 1 to 3.
    fn image(fenced: bool, isr: &[i32], elr: &[i32], last_known_elr: &[i32]) -> Image {
        let mut delta = ottla_metadata::Delta::default();
        let broker = RegisterBrokerRecord { broker_id: 3, broker_epoch: 40, fenced, ..Default::default() };
        delta.replay(&broker.into()).unwrap();
        let topic_id = uuid::Uuid::from_u128(9);
        delta.replay(&TopicRecord { name: "orders".into(), topic_id }.into()).unwrap();
        let partition = PartitionRecord {
            topic_id,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            eligible_leader_replicas: Some(elr.to_vec()),
            last_known_elr: Some(last_known_elr.to_vec()),
            leader: -1,
            directories: vec![uuid::Uuid::from_u128(101); 3],
            ..Default::default()
        };
        delta.replay(&partition.into()).unwrap();
        delta.after().clone()
    }

    #[test]
    fn a_former_life_is_over_when_it_closed_this_disk_was_let_go_and_nothing_rests_on_it() {
        assert!(is_over(&image(true, &[1, 2], &[], &[]), 3, 40));
        assert!(!is_over(&image(true, &[1, 2], &[], &[]), 3, 39), "another life is registered");
        assert!(!is_over(&image(true, &[1, 2], &[], &[]), 3, -1), "it did not close this disk in order");
        assert!(!is_over(&image(true, &[1, 2], &[], &[]), 2, 40), "not registered");
        assert!(!is_over(&image(false, &[1, 2], &[], &[]), 3, 40), "not let go yet");
        assert!(!is_over(&image(true, &[3], &[], &[]), 3, 40), "the last one in sync");
        assert!(!is_over(&image(true, &[1], &[3], &[]), 3, 40), "may be elected");
        assert!(!is_over(&image(true, &[], &[], &[3]), 3, 40), "led last");
    }
}
