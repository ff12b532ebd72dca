//! Dynamic configurations (IncrementalAlterConfigs, AlterConfigs).

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_configs_request::AlterConfigsRequest;
use ottla_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse as LegacyResult, AlterConfigsResponse,
};
use ottla_protocol::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use ottla_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::clear_elr_record::ClearElrRecord;
use ottla_protocol::metadata_records::config_record::ConfigRecord;

use super::names::validate_topic_name;
use super::{Decision, MAX_RECORDS_PER_REQUEST, Record, Refusal, View, outcome};
use crate::image::config::{
    BROKER, CLIENT_METRICS, CORDONED_LOG_DIRS, ConfigMap, ConfigResource, GROUP, MIN_INSYNC_REPLICAS, TOPIC,
};

/// Longest value a configuration may have, in UTF-16 units as Java counts.
const MAX_VALUE_LENGTH: usize = i16::MAX as usize;

/// What a change does to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    Set(Option<String>),
    Delete,
    Append(String),
    Subtract(String),
}

/// A key of a record that is going to be written: its new value, or none if it goes.
type Change = (String, Option<String>);

impl View<'_> {
    /// Changes single keys of resources. The authorizer has filtered the request, and brokers answer for their
    /// loggers themselves. `forwarded` is true if a broker passed the request on, having checked it.
    pub fn incremental_alter_configs(
        &self,
        request: &IncrementalAlterConfigsRequest,
        forwarded: bool,
    ) -> Decision<IncrementalAlterConfigsResponse> {
        let mut records = Vec::new();
        let mut responses = Vec::new();
        let keys = request.resources.iter().map(|r| (r.resource_type, r.resource_name.as_str()));
        let counts = count(keys);
        let mut reported = BTreeSet::new();
        for resource in &request.resources {
            let key = (resource.resource_type, resource.resource_name.as_str());
            if reported.contains(&key) {
                continue;
            }
            let result = known_once(key, counts[&key]).and_then(|resource_id| {
                let mut operations = BTreeMap::new();
                for config in &resource.configs {
                    let operation = operation(config.config_operation, config.value.as_deref())?;
                    operations.insert(config.name.clone(), operation);
                }
                self.alter_resource(&resource_id, operations, true, forwarded)
            });
            if counts[&key] > 1 {
                reported.insert(key);
            }
            let (error_code, error_message) = outcome(result.map(|new| records.extend(new)));
            responses.push(AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
            });
        }
        let mut response = IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses };
        if let Err(refusal) = self.finish_configs(&mut records) {
            for result in &mut response.responses {
                (result.error_code, result.error_message) = outcome::<()>(Err(refusal.clone()));
            }
        }
        Decision::atomic(records, response).only_validated(request.validate_only)
    }

    /// Replaces all keys of resources: what is not named goes.
    pub fn alter_configs(
        &self,
        request: &AlterConfigsRequest,
        forwarded: bool,
    ) -> Decision<AlterConfigsResponse> {
        let mut records = Vec::new();
        let mut responses = Vec::new();
        let keys = request.resources.iter().map(|r| (r.resource_type, r.resource_name.as_str()));
        let counts = count(keys);
        let mut reported = BTreeSet::new();
        for resource in &request.resources {
            let key = (resource.resource_type, resource.resource_name.as_str());
            if reported.contains(&key) {
                continue;
            }
            let result = known_once(key, counts[&key]).and_then(|resource_id| {
                let new = resource.configs.iter().map(|c| (c.name.clone(), c.value.clone())).collect();
                self.replace_resource(&resource_id, new, forwarded)
            });
            if counts[&key] > 1 {
                reported.insert(key);
            }
            let (error_code, error_message) = outcome(result.map(|new| records.extend(new)));
            responses.push(LegacyResult {
                error_code,
                error_message,
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
            });
        }
        let mut response = AlterConfigsResponse { throttle_time_ms: 0, responses };
        if let Err(refusal) = self.finish_configs(&mut records) {
            for result in &mut response.responses {
                (result.error_code, result.error_message) = outcome::<()>(Err(refusal.clone()));
            }
        }
        Decision::atomic(records, response).only_validated(request.validate_only)
    }

    /// Adds what changed values of `min.insync.replicas` entail, and refuses what is too much for one request.
    fn finish_configs(&self, records: &mut Vec<Record>) -> Result<(), Refusal> {
        let clear = self.clear_elr_records(records);
        records.extend(clear);
        if records.len() <= MAX_RECORDS_PER_REQUEST {
            return Ok(());
        }
        records.clear();
        Err(Refusal::too_large())
    }

    /// With ELR on, a new `min.insync.replicas` ends every claim that was made under the old one.
    pub(super) fn clear_elr_records(&self, records: &[Record]) -> Vec<Record> {
        if !self.image.features.elr_enabled() {
            return Vec::new();
        }
        let clear = |(record, _): &Record| match record {
            MetadataRecord::ConfigRecord(config) if config.name == MIN_INSYNC_REPLICAS => {
                let topic_name =
                    if config.resource_type == TOPIC { config.resource_name.clone() } else { String::new() };
                Some((MetadataRecord::ClearElrRecord(ClearElrRecord { topic_name }), 0))
            }
            _ => None,
        };
        records.iter().filter_map(clear).collect()
    }

    /// The records of single changes to one resource, checked. `must_exist` is false for a topic that the same
    /// decision creates.
    pub(super) fn alter_resource(
        &self,
        resource: &ConfigResource,
        operations: BTreeMap<String, Operation>,
        must_exist: bool,
        forwarded: bool,
    ) -> Result<Vec<Record>, Refusal> {
        let nothing = ConfigMap::new();
        let current = self.image.configs.of(resource).map_or(&nothing, |map| map);
        let mut changes: Vec<Change> = Vec::new();
        for (key, operation) in operations {
            let old = current.get(&key);
            let new = self.apply(resource, &key, old, operation)?;
            // A broker's key is written even if it stays: brokers reload key stores on it (KAFKA-14136).
            if old != new.as_ref() || resource.kind == BROKER {
                changes.push((key, new));
            }
        }
        self.check_changes(resource, current, &changes, &[], must_exist, forwarded)?;
        Ok(changes.into_iter().map(|change| config_record(resource, change)).collect())
    }

    fn replace_resource(
        &self,
        resource: &ConfigResource,
        new: BTreeMap<String, Option<String>>,
        forwarded: bool,
    ) -> Result<Vec<Record>, Refusal> {
        let nothing = ConfigMap::new();
        let current = self.image.configs.of(resource).map_or(&nothing, |map| map);
        let gone: Vec<Change> =
            current.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None)).collect();
        let changed = |(key, value): &Change| current.get(key) != value.as_ref() || resource.kind == BROKER;
        let changes: Vec<Change> = new.into_iter().filter(changed).collect();
        self.check_changes(resource, current, &changes, &gone, true, forwarded)?;
        Ok(changes.into_iter().chain(gone).map(|change| config_record(resource, change)).collect())
    }

    fn apply(
        &self,
        resource: &ConfigResource,
        key: &str,
        old: Option<&String>,
        operation: Operation,
    ) -> Result<Option<String>, Refusal> {
        let (list, append) = match operation {
            Operation::Set(value) => return Ok(value),
            Operation::Delete => return Ok(None),
            Operation::Append(list) => (list, true),
            Operation::Subtract(list) => (list, false),
        };
        if !self.rules.is_list(resource.kind, key) {
            let name = if append { "APPEND" } else { "SUBTRACT" };
            return Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Can't {name} to key {key} because its type is not LIST."),
            ));
        }
        let old = old.cloned().or_else(|| self.rules.default_value(resource.kind, key)).unwrap_or_default();
        let mut parts: Vec<&str> = old.split(',').filter(|part| !part.is_empty()).collect();
        for part in list.split(',') {
            match parts.iter().position(|known| *known == part) {
                None if append => parts.push(part),
                Some(at) if !append => {
                    parts.remove(at);
                }
                _ => {}
            }
        }
        Ok(Some(parts.join(",")))
    }

    /// All checks: what ELR and cordoned directories forbid, the size of values, the resource itself, and whatever
    /// the configuration table says.
    fn check_changes(
        &self,
        resource: &ConfigResource,
        current: &ConfigMap,
        changes: &[Change],
        gone: &[Change],
        must_exist: bool,
        forwarded: bool,
    ) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
        let elr = self.image.features.elr_enabled();
        let mut all = current.clone();
        for (key, value) in changes.iter().chain(gone) {
            let broker_key = |name: &str| resource.kind == BROKER && key == name;
            if broker_key(MIN_INSYNC_REPLICAS) && elr {
                if !resource.name.is_empty() {
                    return invalid(format!(
                        "Broker-level {MIN_INSYNC_REPLICAS} cannot be altered while ELR is enabled."
                    ));
                }
                if value.is_none() {
                    return invalid(format!(
                        "Cluster-level {MIN_INSYNC_REPLICAS} cannot be removed while ELR is enabled."
                    ));
                }
            }
            if broker_key(CORDONED_LOG_DIRS) {
                self.check_cordoned(current.get(CORDONED_LOG_DIRS), value.as_deref(), forwarded)?;
            }
            match value {
                None => {
                    all.remove(key);
                }
                Some(value) if value.encode_utf16().count() > MAX_VALUE_LENGTH => {
                    return invalid(format!(
                        "The configuration value cannot be added because it exceeds the maximum value size of \
                         {MAX_VALUE_LENGTH} bytes."
                    ));
                }
                Some(value) => {
                    all.insert(key.clone(), value.clone());
                }
            }
        }
        check_resource(resource)?;
        self.rules.validate(resource, &all, current)?;
        if must_exist { self.check_exists(resource) } else { Ok(()) }
    }

    fn check_cordoned(
        &self,
        current: Option<&String>,
        new: Option<&str>,
        forwarded: bool,
    ) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
        if !self.image.metadata_version().has_cordoned_dirs() {
            return invalid(format!(
                "The {CORDONED_LOG_DIRS} configuration value cannot be set because it requires metadata.version >= \
                 4.3-IV0"
            ));
        }
        // Controllers know directory ids, not paths: only a broker can judge new entries.
        let split = |list: &str| list.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let Some(new) = new.map(str::trim).filter(|new| !forwarded && !new.is_empty()) else {
            return Ok(());
        };
        let current = current.map_or_else(Vec::new, |current| split(current.trim()));
        if split(new).iter().all(|entry| current.contains(entry)) {
            return Ok(());
        }
        invalid(format!(
            "When updating {CORDONED_LOG_DIRS} via controllers,  the new value must be a subset of the current \
             configuration value."
        ))
    }

    fn check_exists(&self, resource: &ConfigResource) -> Result<(), Refusal> {
        match resource.kind {
            BROKER if !resource.name.is_empty() => {
                let id: i32 = resource.name.parse().unwrap_or(-1);
                let known = self.image.broker(id).is_some()
                    || self.image.controllers.contains_key(&id)
                    || id == self.settings.node_id;
                if known {
                    return Ok(());
                }
                Err(Refusal::new(
                    ErrorCode::BrokerIdNotRegistered,
                    format!("No node with id {} found.", resource.name),
                ))
            }
            TOPIC if self.image.topics.by_name(&resource.name).is_none() => Err(Refusal::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{}' does not exist.", resource.name),
            )),
            _ => Ok(()),
        }
    }
}

/// Checks a resource's type and the form of its name (Kafka's `ControllerConfigurationValidator`).
fn check_resource(resource: &ConfigResource) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let name = &*resource.name;
    match resource.kind {
        TOPIC if name.is_empty() => invalid("Default topic resources are not allowed."),
        TOPIC => validate_topic_name(name)
            .map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message)),
        BROKER if name.is_empty() => Ok(()),
        BROKER => match name.parse::<i32>() {
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
            Ok(id) if id < 0 => invalid("Invalid negative broker ID."),
            Ok(_) => Ok(()),
        },
        GROUP if name.is_empty() => invalid("Default group resources are not allowed."),
        GROUP | CLIENT_METRICS => Ok(()),
        kind => invalid(&format!("Unknown resource type {kind}")),
    }
}

fn config_record(resource: &ConfigResource, (name, value): Change) -> Record {
    let record =
        ConfigRecord { resource_type: resource.kind, resource_name: resource.name.to_string(), name, value };
    (MetadataRecord::ConfigRecord(record), 0)
}

fn operation(code: i8, value: Option<&str>) -> Result<Operation, Refusal> {
    let list = || value.unwrap_or_default().to_owned();
    match code {
        0 => Ok(Operation::Set(value.map(str::to_owned))),
        1 => Ok(Operation::Delete),
        2 => Ok(Operation::Append(list())),
        3 => Ok(Operation::Subtract(list())),
        other => Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown config operation {other}."))),
    }
}

fn count<'a>(keys: impl Iterator<Item = (i8, &'a str)>) -> BTreeMap<(i8, &'a str), usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// Refuses unknown resource types and resources that a request names more than once.
fn known_once((kind, name): (i8, &str), count: usize) -> Result<ConfigResource, Refusal> {
    if !ConfigResource::is_known(kind) {
        return Err(Refusal::new(ErrorCode::UnsupportedVersion, format!("Unknown resource type {kind}.")));
    }
    if count > 1 {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate resource."));
    }
    Ok(ConfigResource::new(kind, name))
}
