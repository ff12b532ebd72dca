//! Feature levels (UpdateFeatures).

use std::collections::BTreeMap;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::config_record::ConfigRecord;
use ottla_protocol::metadata_records::feature_level_record::FeatureLevelRecord;
use ottla_protocol::metadata_records::no_op_record::NoOpRecord;

use super::{Decision, Record, Refusal, View};
use crate::features::{
    self, ELIGIBLE_LEADER_REPLICAS, Feature, KRAFT_VERSION, LevelRange, METADATA_VERSION, MetadataVersion,
};
use crate::image::config::{BROKER, MIN_INSYNC_REPLICAS};

/// Values of `UpgradeType`.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// What feature updates need to know besides the metadata.
#[derive(Debug, Clone)]
pub struct FeatureContext {
    /// Version of the request.
    pub request_version: i16,
    /// The level of `kraft.version`, which only the raft log knows.
    pub kraft_version: i16,
    /// Ids of the voters; each must have registered before a feature can be raised.
    pub voters: Vec<i32>,
}

/// The reply to a feature update.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureReply {
    /// What the requester gets.
    pub response: UpdateFeaturesResponse,
    /// The level `kraft.version` must be raised to, by the raft machine, before the response may leave. If raft
    /// refuses, its error replaces the response.
    pub raise_kraft_version: Option<i16>,
}

impl View<'_> {
    /// Changes finalized feature levels, all or none.
    pub fn update_features(
        &self,
        request: &UpdateFeaturesRequest,
        context: &FeatureContext,
    ) -> Decision<FeatureReply> {
        let reply = |response, raise_kraft_version| FeatureReply { response, raise_kraft_version };
        let mut records = Vec::new();
        let mut raise = None;
        let mut proposed: BTreeMap<&str, i16> =
            self.image.features.levels.iter().map(|(name, &level)| (name.as_str(), level)).collect();
        proposed.insert(METADATA_VERSION, self.image.metadata_version().level());
        for update in &request.feature_updates {
            proposed.insert(&update.feature, update.max_version_level);
        }
        for update in &request.feature_updates {
            let changed = self.update_feature(update, context, &proposed, &mut raise);
            match changed {
                Ok(record) => records.extend(record),
                Err(refusal) => {
                    let message = refusal.message.unwrap_or_default();
                    let response = UpdateFeaturesResponse {
                        throttle_time_ms: 0,
                        error_code: refusal.code.code(),
                        error_message: Some(format!(
                            "The update failed for all features since the following feature had an error: {message}"
                        )),
                        results: Vec::new(),
                    };
                    return Decision::read(reply(response, None));
                }
            }
        }
        // Before eligible leader replicas go on, min.insync.replicas must stand where it cannot differ by broker.
        let elr = request
            .feature_updates
            .iter()
            .any(|update| update.feature == ELIGIBLE_LEADER_REPLICAS && update.max_version_level > 0);
        if elr && !request.validate_only {
            let mut safe = self.elr_safety_records();
            safe.append(&mut records);
            records = safe;
        }
        let results = if context.request_version <= 1 {
            let done = |update: &FeatureUpdateKey| UpdatableFeatureResult {
                feature: update.feature.clone(),
                error_code: 0,
                error_message: None,
            };
            request.feature_updates.iter().map(done).collect()
        } else {
            Vec::new()
        };
        let response =
            UpdateFeaturesResponse { throttle_time_ms: 0, error_code: 0, error_message: None, results };
        let raise = raise.filter(|_| !request.validate_only);
        Decision::atomic(records, reply(response, raise)).only_validated(request.validate_only)
    }

    fn update_feature(
        &self,
        update: &FeatureUpdateKey,
        context: &FeatureContext,
        proposed: &BTreeMap<&str, i16>,
        raise_kraft: &mut Option<i16>,
    ) -> Result<Option<Record>, Refusal> {
        let (name, level) = (update.feature.as_str(), update.max_version_level);
        let invalid = |message: &str| {
            Err(Refusal::new(
                ErrorCode::InvalidUpdateVersion,
                format!("Invalid update version {level} for feature {name}. {message}"),
            ))
        };
        // Version 0 had a flag instead of the type.
        let kind = match (context.request_version, update.allow_downgrade) {
            (0, true) => SAFE_DOWNGRADE,
            (0, false) => UPGRADE,
            _ => update.upgrade_type,
        };
        if !matches!(kind, UPGRADE | SAFE_DOWNGRADE | UNSAFE_DOWNGRADE) {
            return invalid("The controller does not support the given upgrade type.");
        }
        let current = match name {
            KRAFT_VERSION => context.kraft_version,
            METADATA_VERSION => self.image.metadata_version().level(),
            name => self.image.features.level(name),
        };
        if level < 0 {
            return invalid("A feature version cannot be less than 0.");
        }
        if let Some(reason) = self.reason_not_supported(name, level, context) {
            return invalid(&reason);
        }
        if level < current && kind == UPGRADE {
            return invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.",
            );
        }
        if level > current && kind != UPGRADE {
            return invalid("Can't downgrade to a newer version.");
        }
        match name {
            METADATA_VERSION => self.update_metadata_version(level, kind == UNSAFE_DOWNGRADE),
            KRAFT_VERSION if kind == UPGRADE => {
                *raise_kraft = Some(level).filter(|&level| level > current);
                // A record to wait for: the level itself goes through raft.
                Ok(Some((MetadataRecord::NoOpRecord(NoOpRecord::default()), 0)))
            }
            KRAFT_VERSION if level != current => invalid("Can't downgrade the version of this feature."),
            KRAFT_VERSION => Ok(None),
            name => {
                let version = proposed.get(METADATA_VERSION).copied().and_then(MetadataVersion::from_level);
                // Level 0 is what every node can run of a feature that it has never heard of.
                let Some(feature) = Feature::named(name) else {
                    return invalid(&format!("Feature {name} not found."));
                };
                if let Some(reason) = feature.unmet_dependency(level, version) {
                    return invalid(&reason);
                }
                Ok(Some(feature_level(name, level)))
            }
        }
    }

    fn update_metadata_version(&self, level: i16, unsafe_downgrade: bool) -> Result<Option<Record>, Refusal> {
        let current = self.image.metadata_version();
        let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message));
        let Some(wished) = MetadataVersion::from_level(level) else {
            return refuse(format!(
                "Invalid metadata.version {level}. Valid versions are from {} to {}.",
                MetadataVersion::MINIMUM.level(),
                MetadataVersion::LATEST.level()
            ));
        };
        if wished < current && current.metadata_changes_between(wished) {
            let reason = if unsafe_downgrade {
                "Unsafe metadata downgrade is not supported in this version."
            } else {
                "Refusing to perform the requested downgrade because it might delete metadata information."
            };
            return refuse(format!(
                "Unsupported metadata.version downgrade from {} to {level}. {reason}",
                current.level()
            ));
        }
        Ok(Some(feature_level(METADATA_VERSION, level)))
    }

    /// Why some node cannot run a feature at a level; nothing if all can.
    fn reason_not_supported(&self, name: &str, level: i16, context: &FeatureContext) -> Option<String> {
        let reason = |who: String, range: LevelRange| {
            if range.contains(level) {
                None
            } else if range.max == 0 {
                Some(format!("{who} does not support this feature."))
            } else {
                Some(format!("{who} only supports versions {range}"))
            }
        };
        let own = self.settings.node_id;
        if let Some(reason) = reason(format!("Local controller {own}"), features::supported_range(name)) {
            return Some(reason);
        }
        let range = |supported: &BTreeMap<String, LevelRange>| {
            supported.get(name).copied().unwrap_or(LevelRange::DISABLED)
        };
        let broker =
            |b: &std::sync::Arc<crate::image::Broker>| reason(format!("Broker {}", b.id), range(&b.features));
        if let Some(reason) = self.image.brokers.values().find_map(broker) {
            return Some(reason);
        }
        if !self.image.metadata_version().has_controller_registration() {
            return None;
        }
        for controller in self.image.controllers.values().filter(|controller| controller.id != own) {
            let who = format!("Controller {}", controller.id);
            if let Some(reason) = reason(who, range(&controller.features)) {
                return Some(reason);
            }
        }
        let missing =
            context.voters.iter().find(|id| **id != own && !self.image.controllers.contains_key(*id));
        missing.map(|id| format!("controller {id} has not registered, and may not support this feature"))
    }

    /// What must be written before ELR can go on: a value for the whole cluster, none for single brokers.
    fn elr_safety_records(&self) -> Vec<Record> {
        let record = |resource_name: &str, value: Option<String>| {
            let record = ConfigRecord {
                resource_type: BROKER,
                resource_name: resource_name.to_owned(),
                name: MIN_INSYNC_REPLICAS.to_owned(),
                value,
            };
            (MetadataRecord::ConfigRecord(record), 0)
        };
        let mut records = Vec::new();
        let set = |map: &crate::image::config::ConfigMap| map.contains_key(MIN_INSYNC_REPLICAS);
        let cluster = crate::image::ConfigResource::cluster();
        if !self.image.configs.of(&cluster).is_some_and(|map| set(map)) {
            records.push(record("", Some(self.settings.static_min_insync_replicas.to_string())));
        }
        for (resource, map) in self.image.configs.iter() {
            if resource.kind == BROKER && !resource.name.is_empty() && set(map) {
                records.push(record(&resource.name, None));
            }
        }
        records
    }
}

fn feature_level(name: &str, level: i16) -> Record {
    let record = FeatureLevelRecord { name: name.to_owned(), feature_level: level };
    (MetadataRecord::FeatureLevelRecord(record), 0)
}
