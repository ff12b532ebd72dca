//! One partition's registration, kept small: a cluster has many.

use ottla_records::mutant;
use std::sync::Arc;

use ottla_protocol::metadata_records::partition_change_record::PartitionChangeRecord;
use ottla_protocol::metadata_records::partition_record::PartitionRecord;
use smallvec::SmallVec;
use uuid::Uuid;

use super::directory;
use crate::error::MetadataError;
use crate::features::MetadataVersion;

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;
/// In a change record: the leader stays.
pub const LEADER_UNCHANGED: i32 = -2;
/// In a change record: the recovery state stays.
pub const RECOVERY_UNCHANGED: i8 = -1;

/// A short list of broker ids; up to four need no memory of their own.
pub type BrokerIds = SmallVec<[i32; 4]>;

/// Whether a leader still has to recover from an unclean election.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LeaderRecovery {
    /// The leader was elected from the ISR or the ELR, or has recovered.
    #[default]
    Recovered,
    /// The leader came from outside and has not reported recovery.
    Recovering,
}

impl LeaderRecovery {
    /// The state a record or request names; nothing for other values.
    pub fn from_code(code: i8) -> Option<LeaderRecovery> {
        match code {
            0 => Some(LeaderRecovery::Recovered),
            1 => Some(LeaderRecovery::Recovering),
            _ => None,
        }
    }

    /// Its value in records and responses.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// Lists most partitions leave empty, kept apart so that those partitions stay small.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rare {
    removing: BrokerIds,
    adding: BrokerIds,
    elr: BrokerIds,
    last_known_elr: BrokerIds,
}

/// A partition as the controller knows it (Kafka's `PartitionRegistration`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Assigned brokers, the preferred leader first.
    pub replicas: BrokerIds,
    /// Brokers in sync with the leader.
    pub isr: BrokerIds,
    /// Log directory of each replica, in the replicas' order.
    pub directories: Arc<[Uuid]>,
    /// The leader, or [`NO_LEADER`].
    pub leader: i32,
    /// Counts elections.
    pub leader_epoch: i32,
    /// Counts changes.
    pub partition_epoch: i32,
    /// Whether the leader recovers from an unclean election.
    pub recovery: LeaderRecovery,
    rare: Option<Arc<Rare>>,
}

impl Partition {
    /// A new partition as the controller creates it: both epochs 0, led by the first in-sync replica.
    ///
    /// Panics if `isr` is empty or `directories` does not match `replicas`: callers refuse such requests before.
    pub fn created(replicas: &[i32], isr: &[i32], directories: Vec<Uuid>) -> Partition {
        assert_eq!(replicas.len(), directories.len(), "a new partition has a directory per replica");
        Partition {
            replicas: replicas.into(),
            isr: isr.into(),
            directories: directories.into(),
            leader: *isr.first().expect("a new partition has an in-sync replica"),
            leader_epoch: 0,
            partition_epoch: 0,
            recovery: LeaderRecovery::Recovered,
            rare: None,
        }
    }

    /// The partition a record describes.
    pub fn from_record(record: &PartitionRecord) -> Result<Partition, MetadataError> {
        const KIND: &str = "PartitionRecord";
        let directories = checked_directories(KIND, Some(&record.directories), None, record.replicas.len())?;
        let recovery = recovery(KIND, record.leader_recovery_state)?;
        let mut partition = Partition {
            replicas: record.replicas.as_slice().into(),
            isr: record.isr.as_slice().into(),
            directories,
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            recovery,
            rare: None,
        };
        partition.set_rare(Rare {
            removing: record.removing_replicas.as_slice().into(),
            adding: record.adding_replicas.as_slice().into(),
            elr: record.eligible_leader_replicas.as_deref().unwrap_or_default().into(),
            last_known_elr: record.last_known_elr.as_deref().unwrap_or_default().into(),
        });
        Ok(partition)
    }

    /// This partition after a change. Absent lists stay; the partition epoch always grows by one; the leader
    /// epoch grows by one whenever the record names a leader, be it the same one.
    pub fn changed(&self, record: &PartitionChangeRecord) -> Result<Partition, MetadataError> {
        const KIND: &str = "PartitionChangeRecord";
        let ids = |new: &Option<Vec<i32>>, old: &[i32]| -> BrokerIds { new.as_deref().unwrap_or(old).into() };
        let replicas = ids(&record.replicas, &self.replicas);
        let directories = checked_directories(
            KIND,
            record.directories.as_deref(),
            Some(&self.directories),
            replicas.len(),
        )?;
        let elected = record.leader != LEADER_UNCHANGED;
        let mut partition = Partition {
            isr: ids(&record.isr, &self.isr),
            directories,
            leader: if elected { record.leader } else { self.leader },
            leader_epoch: self
                .leader_epoch
                .wrapping_add(i32::from(elected && !mutant::is("epoch-not-raised"))),
            partition_epoch: self.partition_epoch.wrapping_add(1),
            recovery: match record.leader_recovery_state {
                RECOVERY_UNCHANGED => self.recovery,
                code => recovery(KIND, code)?,
            },
            rare: None,
            replicas,
        };
        partition.set_rare(Rare {
            removing: ids(&record.removing_replicas, self.removing()),
            adding: ids(&record.adding_replicas, self.adding()),
            elr: ids(&record.eligible_leader_replicas, self.elr()),
            last_known_elr: ids(&record.last_known_elr, self.last_known_elr()),
        });
        Ok(partition)
    }

    /// The record that creates this partition, and the version to write it in.
    pub fn to_record(
        &self,
        topic_id: Uuid,
        partition: i32,
        version: MetadataVersion,
        elr_enabled: bool,
    ) -> (PartitionRecord, i16) {
        let filled = |ids: &[i32]| (elr_enabled && !ids.is_empty()).then(|| ids.to_vec());
        let record = PartitionRecord {
            partition_id: partition,
            topic_id,
            replicas: self.replicas.to_vec(),
            isr: self.isr.to_vec(),
            removing_replicas: self.removing().to_vec(),
            adding_replicas: self.adding().to_vec(),
            leader: self.leader,
            leader_recovery_state: self.recovery.code(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: if version.has_directories() { self.directories.to_vec() } else { Vec::new() },
            eligible_leader_replicas: filled(if mutant::is("snapshot-without-elr") {
                &[]
            } else {
                self.elr()
            }),
            last_known_elr: filled(self.last_known_elr()),
        };
        (record, version.partition_record())
    }

    fn rare(&self, list: impl Fn(&Rare) -> &BrokerIds) -> &[i32] {
        self.rare.as_ref().map_or(&[], |rare| list(rare))
    }

    fn set_rare(&mut self, rare: Rare) {
        self.rare = (rare != Rare::default()).then(|| Arc::new(rare));
    }

    /// Replicas a reassignment is taking away.
    pub fn removing(&self) -> &[i32] {
        self.rare(|rare| &rare.removing)
    }

    /// Replicas a reassignment is bringing in.
    pub fn adding(&self) -> &[i32] {
        self.rare(|rare| &rare.adding)
    }

    /// Replicas outside the ISR that still have every committed record (KIP-966).
    pub fn elr(&self) -> &[i32] {
        self.rare(|rare| &rare.elr)
    }

    /// The leader a leaderless partition had last.
    pub fn last_known_elr(&self) -> &[i32] {
        self.rare(|rare| &rare.last_known_elr)
    }

    /// Whether anybody leads the partition.
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// Whether the first replica leads.
    pub fn has_preferred_leader(&self) -> bool {
        self.leader == self.replicas.first().copied().unwrap_or(NO_LEADER)
    }

    /// Whether a reassignment is going on.
    pub fn is_reassigning(&self) -> bool {
        !self.removing().is_empty() || !self.adding().is_empty()
    }

    /// The log directory of a replica; nothing if the broker is none.
    pub fn directory(&self, broker: i32) -> Option<Uuid> {
        let at = self.replicas.iter().position(|&replica| replica == broker)?;
        self.directories.get(at).copied()
    }
}

fn recovery(kind: &'static str, code: i8) -> Result<LeaderRecovery, MetadataError> {
    LeaderRecovery::from_code(code).ok_or(MetadataError::BadField {
        record: kind,
        field: "LeaderRecoveryState",
        value: code.into(),
    })
}

/// The directory list a record leads to: the new one, else the old one; a list that is empty or knows no
/// directory becomes one `MIGRATING` per replica.
fn checked_directories(
    kind: &'static str,
    new: Option<&[Uuid]>,
    old: Option<&Arc<[Uuid]>>,
    replicas: usize,
) -> Result<Arc<[Uuid]>, MetadataError> {
    let list = match (new, old) {
        (Some(new), _) => new,
        (None, Some(old)) => {
            if old.len() == replicas {
                return Ok(old.clone());
            }
            old
        }
        (None, None) => &[],
    };
    if list.iter().all(|&id| id == directory::MIGRATING) {
        return Ok(std::iter::repeat_n(directory::MIGRATING, replicas).collect());
    }
    if list.len() != replicas {
        return Err(MetadataError::DirectoryCount { record: kind, directories: list.len(), replicas });
    }
    Ok(list.into())
}
