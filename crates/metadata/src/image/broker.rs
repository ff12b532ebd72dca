//! Registered brokers and controllers.

use std::collections::BTreeMap;

use ottla_protocol::metadata_records::register_broker_record::{
    BrokerEndpoint, BrokerFeature, RegisterBrokerRecord,
};
use ottla_protocol::metadata_records::register_controller_record::{
    ControllerEndpoint, ControllerFeature, RegisterControllerRecord,
};
use uuid::Uuid;

use super::directory;
use crate::features::{LevelRange, MetadataVersion};

/// An address under a listener's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener, for instance `PLAINTEXT`.
    pub name: String,
    /// Host name or address to connect to.
    pub host: String,
    /// Port.
    pub port: u16,
    /// 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// A broker's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// The offset its registration got; every request it sends carries it.
    pub epoch: i64,
    /// Changes with every start of the process.
    pub incarnation_id: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Feature levels it supports.
    pub features: BTreeMap<String, LevelRange>,
    /// Its rack.
    pub rack: Option<String>,
    /// A fenced broker serves no clients, leads nothing and is in no ISR.
    pub fenced: bool,
    /// The broker is leaving and must get no new leadership.
    pub in_controlled_shutdown: bool,
    /// Left over from ZooKeeper migrations; kept so that a snapshot loses nothing.
    pub is_migrating_zk_broker: bool,
    /// Online log directories in Kafka's order; empty if it registered before directories existed.
    pub directories: Vec<Uuid>,
    /// Directories that get no new replicas; nothing until the broker reports them.
    pub cordoned: Option<Vec<Uuid>>,
}

impl Broker {
    /// The broker a record registers.
    pub fn from_record(record: &RegisterBrokerRecord) -> Broker {
        let mut directories = record.log_dirs.clone();
        directories.sort_by(directory::compare);
        Broker {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record
                .end_points
                .iter()
                .map(|endpoint| Endpoint {
                    name: endpoint.name.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|f| {
                    let range = LevelRange { min: f.min_supported_version, max: f.max_supported_version };
                    (f.name.clone(), range)
                })
                .collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            directories,
            cordoned: record.cordoned_log_dirs.clone(),
        }
    }

    /// The record that registers it as it is now, and the version to write it in. What the metadata version
    /// cannot express is left out.
    pub fn to_record(&self, version: MetadataVersion) -> (RegisterBrokerRecord, i16) {
        let record = RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: self.is_migrating_zk_broker && version.level() >= 8,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: self
                .endpoints
                .iter()
                .map(|endpoint| BrokerEndpoint {
                    name: endpoint.name.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: self
                .features
                .iter()
                .map(|(name, range)| BrokerFeature {
                    name: name.clone(),
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                })
                .collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: if version.has_directories() { self.directories.clone() } else { Vec::new() },
            cordoned_log_dirs: if version.has_cordoned_dirs() { self.cordoned.clone() } else { None },
        };
        (record, version.register_broker_record())
    }

    /// Neither fenced nor leaving: may lead partitions and be in an ISR.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether a directory of it is online.
    pub fn has_online_dir(&self, id: Uuid) -> bool {
        directory::is_online(id, &self.directories)
    }

    /// Whether it has a directory that takes new replicas.
    pub fn has_uncordoned_dirs(&self) -> bool {
        match &self.cordoned {
            Some(cordoned) if !self.directories.is_empty() => {
                self.directories.iter().any(|dir| !cordoned.contains(dir))
            }
            _ => true,
        }
    }

    /// The directory a new replica is assigned to: its only one, else still unassigned.
    pub fn default_dir(&self) -> Uuid {
        match self.directories.as_slice() {
            [] => directory::MIGRATING,
            [only] => *only,
            _ => directory::UNASSIGNED,
        }
    }

    /// Its address under a listener's name.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }
}

/// A controller's registration (KIP-919).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its id.
    pub id: i32,
    /// Changes with every start of the process.
    pub incarnation_id: Uuid,
    /// Left over from ZooKeeper migrations; kept so that a snapshot loses nothing.
    pub zk_migration_ready: bool,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Feature levels it supports.
    pub features: BTreeMap<String, LevelRange>,
}

impl Controller {
    /// The controller a record registers.
    pub fn from_record(record: &RegisterControllerRecord) -> Controller {
        Controller {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            endpoints: record
                .end_points
                .iter()
                .map(|endpoint| Endpoint {
                    name: endpoint.name.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|f| {
                    let range = LevelRange { min: f.min_supported_version, max: f.max_supported_version };
                    (f.name.clone(), range)
                })
                .collect(),
        }
    }

    /// The record that registers it; written in version 0.
    pub fn to_record(&self) -> RegisterControllerRecord {
        RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: self.zk_migration_ready,
            end_points: self
                .endpoints
                .iter()
                .map(|endpoint| ControllerEndpoint {
                    name: endpoint.name.clone(),
                    host: endpoint.host.clone(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: self
                .features
                .iter()
                .map(|(name, range)| ControllerFeature {
                    name: name.clone(),
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                })
                .collect(),
        }
    }
}
