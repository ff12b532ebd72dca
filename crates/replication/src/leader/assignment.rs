//! A partition's registration, as far as its leader is concerned.

use ottla_records::ids::LeaderEpoch;

use crate::{BrokerId, PartitionEpoch};

/// Whether the leader was elected cleanly (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// The leader has everything that was committed, or has recovered from an unclean election. 0 on the wire.
    #[default]
    Recovered,
    /// The leader was elected uncleanly and has not said yet that it is done. 1 on the wire.
    Recovering,
}

/// A partition's registration in the metadata image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The version of the registration.
    pub partition_epoch: PartitionEpoch,
    /// All replicas, the preferred leader first, those being added and removed included.
    pub replicas: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment removes.
    pub removing: Vec<BrokerId>,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// How the leader was elected.
    pub recovery: Recovery,
}
