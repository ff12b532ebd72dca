//! Registration of brokers and controllers.

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::messages::controller_registration_request::ControllerRegistrationRequest;
use ottla_protocol::messages::controller_registration_response::ControllerRegistrationResponse;
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::register_broker_record::{
    BrokerEndpoint, BrokerFeature, RegisterBrokerRecord,
};
use ottla_protocol::metadata_records::register_controller_record::{
    ControllerEndpoint, ControllerFeature, RegisterControllerRecord,
};
use ottla_records::uuid_text;
use uuid::Uuid;

use super::{Decision, Refusal, Sessions, View};
use crate::features::{KRAFT_VERSION, LevelRange, METADATA_VERSION};
use crate::image::{Broker, directory};

/// The first request version in which a broker says which epoch it stopped cleanly in.
const CLEAN_SHUTDOWN_DETECTION: i16 = 3;

/// What a registration needs to know besides the metadata.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationContext {
    /// Version of the request.
    pub request_version: i16,
    /// Offset the first record of the decision will get: a new incarnation's broker epoch.
    pub next_offset: i64,
    /// The level of `kraft.version`, which only the raft log knows.
    pub kraft_version: i16,
    /// The time, in milliseconds.
    pub now_ms: i64,
    /// Whether the broker asks from within the controller's own process.
    pub own_process: bool,
}

impl View<'_> {
    /// Registers a broker, or a new incarnation of one: first the former life is cleaned up, then the registration
    /// follows, fenced.
    ///
    /// Not atomic: the registration goes last, so that a broker whose clean-up was cut short registers again.
    pub fn register_broker(
        &self,
        request: &BrokerRegistrationRequest,
        sessions: &mut Sessions,
        context: RegistrationContext,
    ) -> Decision<BrokerRegistrationResponse> {
        let mut decision = match self.registration(request, sessions, context) {
            Ok(decision) => decision,
            Err(refusal) => {
                return Decision::read(BrokerRegistrationResponse {
                    error_code: refusal.code.code(),
                    ..BrokerRegistrationResponse::default()
                });
            }
        };
        let Some((MetadataRecord::RegisterBrokerRecord(record), _)) = decision.records.last_mut() else {
            unreachable!("a granted registration ends with its record");
        };
        let known = self.image.broker(request.broker_id);
        if known.is_none_or(|known| known.incarnation_id != request.incarnation_id) {
            sessions.remove(request.broker_id);
            if let Some(former) = known {
                sessions.end(former.id, former.epoch);
            }
        }
        sessions.register(request.broker_id, record.fenced);
        decision
    }

    /// Why a registration is refused, for the log: the response has no room for it.
    pub fn registration_refusal(
        &self,
        request: &BrokerRegistrationRequest,
        sessions: &Sessions,
        context: RegistrationContext,
    ) -> Option<Refusal> {
        self.registration(request, sessions, context).err()
    }

    fn registration(
        &self,
        request: &BrokerRegistrationRequest,
        sessions: &Sessions,
        context: RegistrationContext,
    ) -> Result<Decision<BrokerRegistrationResponse>, Refusal> {
        let id = request.broker_id;
        let cluster_id = &self.settings.cluster_id;
        if request.cluster_id != *cluster_id {
            return Err(Refusal::new(
                ErrorCode::InconsistentClusterId,
                format!("Expected cluster ID {cluster_id}, but got cluster ID {}", request.cluster_id),
            ));
        }
        let known = self.image.broker(id);
        let same_life = known.is_some_and(|known| known.incarnation_id == request.incarnation_id);
        // A former life of the broker in this controller's own process ended with the former process: it need not
        // be waited for, and a single node that was killed is back at once.
        let own_process = context.own_process && id == self.settings.node_id;
        if let Some(known) = known
            && !same_life
            && !own_process
            && sessions.is_live(id, known.epoch, context.now_ms)
            && !self.has_taken_over(known, request, sessions)
        {
            return Err(Refusal::new(
                ErrorCode::DuplicateBrokerRegistration,
                "Another broker is registered with that broker id. If the broker was recently restarted this \
                 should self-resolve once the heartbeat manager expires the broker's session.",
            ));
        }
        if request.is_migrating_zk_broker {
            return Err(Refusal::new(
                ErrorCode::BrokerIdNotRegistered,
                "Controller does not support registering ZK brokers.",
            ));
        }
        let version = self.image.metadata_version();
        if version.has_directories() {
            self.check_directories(request)?;
        }
        self.check_features(request, context.kraft_version)?;

        let mut records = Vec::new();
        let mut record = RegisterBrokerRecord {
            broker_id: id,
            is_migrating_zk_broker: false,
            incarnation_id: request.incarnation_id,
            broker_epoch: context.next_offset,
            end_points: endpoints(request),
            features: request
                .features
                .iter()
                .map(|feature| BrokerFeature {
                    name: feature.name.clone(),
                    min_supported_version: feature.min_supported_version,
                    max_supported_version: feature.max_supported_version,
                })
                .collect(),
            rack: request.rack.clone(),
            fenced: true,
            in_controlled_shutdown: false,
            log_dirs: if version.has_directories() { request.log_dirs.clone() } else { Vec::new() },
            cordoned_log_dirs: None,
        };
        match known {
            Some(known) if same_life => {
                record.fenced = known.fenced;
                record.in_controlled_shutdown = known.in_controlled_shutdown;
                record.broker_epoch = known.epoch;
            }
            known => {
                let clean = context.request_version >= CLEAN_SHUTDOWN_DETECTION
                    && known.is_some_and(|known| known.epoch == request.previous_broker_epoch);
                self.clean_up_former_life(id, clean, &mut records);
            }
        }
        let response = BrokerRegistrationResponse {
            broker_epoch: record.broker_epoch,
            ..BrokerRegistrationResponse::default()
        };
        records.push((MetadataRecord::RegisterBrokerRecord(record), version.register_broker_record()));
        Ok(Decision::of(records, response))
    }

    /// Whether the broker that asks works on a directory of a former life that may be dead: a running broker holds the
    /// lock of each of its directories, so that life has ended. Its session, which nobody has confirmed, need not
    /// be waited for. Kafka waits for it.
    fn has_taken_over(
        &self,
        former: &Broker,
        request: &BrokerRegistrationRequest,
        sessions: &Sessions,
    ) -> bool {
        let is_same = |id: &Uuid| !directory::is_reserved(*id) && former.directories.contains(id);
        self.settings.early_fencing
            && sessions.is_doubted(former.id, former.epoch)
            && request.log_dirs.iter().any(is_same)
    }

    fn check_directories(&self, request: &BrokerRegistrationRequest) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRegistration, message));
        let directories = &request.log_dirs;
        if directories.is_empty() {
            return invalid("No directories specified in request".to_owned());
        }
        if directories.iter().any(|&id| directory::is_reserved(id)) {
            return invalid("Reserved directory ID in request".to_owned());
        }
        if directories.iter().collect::<BTreeSet<_>>().len() != directories.len() {
            return invalid("Duplicate directory ID in request".to_owned());
        }
        for other in self.image.brokers.values().filter(|other| other.id != request.broker_id) {
            if let Some(taken) = directories.iter().find(|id| other.directories.contains(id)) {
                return invalid(format!(
                    "Broker {} is already registered with directory {}",
                    other.id,
                    uuid_text::encode(taken)
                ));
            }
        }
        Ok(())
    }

    /// Every feature's range must include its finalized level; a feature that is not named has range 0 to 0.
    fn check_features(&self, request: &BrokerRegistrationRequest, kraft_version: i16) -> Result<(), Refusal> {
        let finalized = |name: &str| match name {
            KRAFT_VERSION => kraft_version,
            name => self.image.features.level(name),
        };
        let check = |name: &str, range: LevelRange| {
            let level = finalized(name);
            if range.contains(level) {
                return Ok(());
            }
            Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "Unable to register because the broker does not support finalized version {level} of {name}. \
                     The broker wants a version between {} and {}, inclusive.",
                    range.min, range.max
                ),
            ))
        };
        for feature in &request.features {
            let range = LevelRange { min: feature.min_supported_version, max: feature.max_supported_version };
            check(&feature.name, range)?;
        }
        let named = |name: &str| request.features.iter().any(|feature| feature.name == name);
        if !named(METADATA_VERSION) {
            return Err(Refusal::new(
                ErrorCode::InvalidRegistration,
                format!("Request features do not contain '{METADATA_VERSION}'"),
            ));
        }
        let others = self.image.features.levels.keys().map(String::as_str).chain([KRAFT_VERSION]);
        for name in others.filter(|name| !named(name) && finalized(name) != 0) {
            check(name, LevelRange::DISABLED)?;
        }
        Ok(())
    }

    /// Registers a controller (KIP-919).
    pub fn register_controller(
        &self,
        request: &ControllerRegistrationRequest,
    ) -> Decision<ControllerRegistrationResponse> {
        if !self.image.metadata_version().has_controller_registration() {
            return Decision::read(ControllerRegistrationResponse {
                throttle_time_ms: 0,
                error_code: ErrorCode::UnsupportedVersion.code(),
                error_message: Some(
                    "The current MetadataVersion is too old to support controller registrations.".to_owned(),
                ),
            });
        }
        let record = RegisterControllerRecord {
            controller_id: request.controller_id,
            incarnation_id: request.incarnation_id,
            zk_migration_ready: false,
            end_points: request
                .listeners
                .iter()
                .map(|listener| ControllerEndpoint {
                    name: listener.name.clone(),
                    host: listener.host.clone(),
                    port: listener.port,
                    security_protocol: listener.security_protocol,
                })
                .collect(),
            features: request
                .features
                .iter()
                .map(|feature| ControllerFeature {
                    name: feature.name.clone(),
                    min_supported_version: feature.min_supported_version,
                    max_supported_version: feature.max_supported_version,
                })
                .collect(),
        };
        let response =
            ControllerRegistrationResponse { throttle_time_ms: 0, error_code: 0, error_message: None };
        Decision::atomic(vec![(MetadataRecord::RegisterControllerRecord(record), 0)], response)
    }
}

fn endpoints(request: &BrokerRegistrationRequest) -> Vec<BrokerEndpoint> {
    request
        .listeners
        .iter()
        .map(|listener| BrokerEndpoint {
            name: listener.name.clone(),
            host: listener.host.clone(),
            port: listener.port,
            security_protocol: listener.security_protocol,
        })
        .collect()
}
