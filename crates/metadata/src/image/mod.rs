//! The cluster's metadata at one offset of the metadata log.
//!
//! An [`Image`] is a handful of shared maps: cloning it copies about ten pointers, and changing a clone copies
//! only what the change touches. Readers hold a clone for as long as they like; the controller keeps one clone
//! per uncommitted batch so that it can go back.

pub mod broker;
pub mod config;
pub mod describe;
pub mod directory;
pub mod map;
pub mod partition;
pub mod security;
pub mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::features::{self, MetadataVersion};

pub use broker::{Broker, Controller, Endpoint};
pub use config::{ConfigResource, Configs};
pub use map::SharedMap;
pub use partition::{LeaderRecovery, NO_LEADER, Partition};
pub use security::{Acl, QuotaEntity, Scram, ScramCredential, Token};
pub use topics::{Topic, Topics};

/// Where in the log an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// Offset of the last record the image contains; -1 for the empty image.
    pub offset: i64,
    /// Leader epoch of that record; -1 for the empty image.
    pub epoch: i32,
    /// Append time of the batch that record came in, in milliseconds; -1 for the empty image.
    pub timestamp_ms: i64,
    /// Whether the offset is the last one of a batch, as a snapshot's must be.
    pub batch_aligned: bool,
}

impl Default for Provenance {
    fn default() -> Self {
        Provenance { offset: -1, epoch: -1, timestamp_ms: -1, batch_aligned: true }
    }
}

/// Finalized feature levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// The metadata version; nothing before the bootstrap records.
    pub metadata_version: Option<MetadataVersion>,
    /// Levels above 0 of the other features, without `kraft.version`.
    pub levels: BTreeMap<String, i16>,
}

impl Features {
    /// The finalized level of a feature other than `kraft.version`; 0 if it is off.
    pub fn level(&self, name: &str) -> i16 {
        if name == features::METADATA_VERSION {
            return self.metadata_version.map_or(0, MetadataVersion::level);
        }
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// Whether eligible leader replicas are on (KIP-966).
    pub fn elr_enabled(&self) -> bool {
        self.level(features::ELIGIBLE_LEADER_REPLICAS) >= 1
    }
}

/// The whole metadata of a cluster at one offset. See the module for what a clone costs.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Where in the log the image stands. Not part of equality: the same metadata may come from a snapshot.
    pub provenance: Provenance,
    /// Finalized features.
    pub features: Arc<Features>,
    /// Registered brokers by id.
    pub brokers: Arc<BTreeMap<i32, Arc<Broker>>>,
    /// Registered controllers by id.
    pub controllers: Arc<BTreeMap<i32, Arc<Controller>>>,
    /// Topics and their partitions.
    pub topics: Topics,
    /// Dynamic configurations.
    pub configs: Configs,
    /// Client quotas: entity to key to value.
    pub quotas: SharedMap<QuotaEntity, Arc<BTreeMap<String, f64>>>,
    /// First producer id of the next block; -1 before the first block was handed out.
    pub next_producer_id: NextProducerId,
    /// Access control entries by id.
    pub acls: SharedMap<uuid::Uuid, Arc<Acl>>,
    /// SCRAM credentials.
    pub scram: Scram,
    /// Delegation tokens by id, as their records.
    pub tokens: SharedMap<String, Arc<security::Token>>,
}

/// First producer id of the next block, -1 until one was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextProducerId(pub i64);

impl Default for NextProducerId {
    fn default() -> Self {
        NextProducerId(-1)
    }
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        self.features == other.features
            && self.brokers == other.brokers
            && self.controllers == other.controllers
            && self.topics == other.topics
            && self.configs == other.configs
            && self.quotas == other.quotas
            && self.next_producer_id == other.next_producer_id
            && self.acls == other.acls
            && self.scram == other.scram
            && self.tokens == other.tokens
    }
}

impl Image {
    /// True before any record was replayed on it.
    pub fn is_empty(&self) -> bool {
        self == &Image::default()
    }

    /// The metadata version, or the lowest one 4.x knows while the log has none.
    pub fn metadata_version(&self) -> MetadataVersion {
        self.features.metadata_version.unwrap_or(MetadataVersion::MINIMUM)
    }
}
