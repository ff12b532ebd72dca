//! How one partition changes: elections, the ISR and the ELR, the end of a reassignment (Kafka's
//! `PartitionChangeBuilder`, KIP-966, KIP-455).

use ottla_records::mutant;
use std::collections::BTreeMap;

use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::partition_change_record::PartitionChangeRecord;
use uuid::Uuid;

use super::{Record, View};
use crate::image::partition::{LEADER_UNCHANGED, RECOVERY_UNCHANGED};
use crate::image::{LeaderRecovery, NO_LEADER, Partition, Topic};

/// Who may be elected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first replica if it can lead; else as online.
    Preferred,
    /// The leader stays if it can; else somebody who has every committed record.
    Online,
    /// As online; if nobody is left, somebody who may miss records.
    Unclean,
}

/// Collects what should become of a partition and works out the record that says so.
pub struct ChangeBuilder<'a> {
    partition: &'a Partition,
    topic_id: Uuid,
    index: i32,
    view: View<'a>,
    acceptable: Box<dyn Fn(i32) -> bool + 'a>,
    min_isr: usize,
    elr_enabled: bool,
    election: Election,
    isr: Vec<i32>,
    replicas: Vec<i32>,
    removing: Vec<i32>,
    adding: Vec<i32>,
    elr: Vec<i32>,
    unclean_shutdown: Option<i32>,
    recovery: LeaderRecovery,
    directories: BTreeMap<i32, Uuid>,
}

/// The outcome of an election.
struct Elected {
    leader: i32,
    unclean: bool,
}

impl<'a> ChangeBuilder<'a> {
    /// A change of one partition of a topic, so far without any wish.
    ///
    /// A leader is acceptable if its broker is active and its directory online.
    pub fn new(view: View<'a>, topic: &Topic, index: i32, partition: &'a Partition) -> ChangeBuilder<'a> {
        let image = view.image;
        ChangeBuilder {
            partition,
            topic_id: topic.id,
            index,
            view,
            acceptable: Box::new(move |broker| image.is_active(broker)),
            min_isr: view.min_isr(topic),
            elr_enabled: image.features.elr_enabled(),
            election: Election::Online,
            isr: partition.isr.to_vec(),
            replicas: partition.replicas.to_vec(),
            removing: partition.removing().to_vec(),
            adding: partition.adding().to_vec(),
            elr: partition.elr().to_vec(),
            unclean_shutdown: None,
            recovery: partition.recovery,
            directories: partition
                .replicas
                .iter()
                .copied()
                .zip(partition.directories.iter().copied())
                .collect(),
        }
    }

    /// Replaces the rule that says which brokers are active; directories are still checked.
    pub fn acceptable(mut self, active: impl Fn(i32) -> bool + 'a) -> Self {
        self.acceptable = Box::new(active);
        self
    }

    /// Sets the kind of election.
    pub fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    /// Sets the in-sync replicas wished for.
    pub fn isr(mut self, isr: Vec<i32>) -> Self {
        self.isr = isr;
        self
    }

    /// Sets the assignment wished for, with the replicas that come and go.
    pub fn assignment(mut self, replicas: Vec<i32>, removing: Vec<i32>, adding: Vec<i32>) -> Self {
        self.replicas = replicas;
        self.removing = removing;
        self.adding = adding;
        self
    }

    /// Names a broker that stopped without care: it may have lost records, so it leaves the ELR too.
    pub fn unclean_shutdown(mut self, broker: i32) -> Self {
        self.unclean_shutdown = Some(broker);
        self
    }

    /// Sets the recovery state the leader reports.
    pub fn recovery(mut self, recovery: LeaderRecovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Puts a broker's replica in a directory.
    pub fn directory(mut self, broker: i32, directory: Uuid) -> Self {
        self.directories.insert(broker, directory);
        self
    }

    fn is_acceptable(&self, broker: i32) -> bool {
        // A broker outside the old assignment has no directory yet, which counts as online.
        let directory = self.partition.directory(broker).unwrap_or(crate::image::directory::UNASSIGNED);
        (self.acceptable)(broker)
            && self.view.image.broker(broker).is_some_and(|known| known.has_online_dir(directory))
    }

    /// In the wished ISR, or in the ELR if that ISR is empty, and acceptable.
    fn is_clean_leader(&self, broker: i32) -> bool {
        let eligible = if self.isr.is_empty() { &self.elr } else { &self.isr };
        (eligible.contains(&broker) || mutant::is("anybody-is-elected")) && self.is_acceptable(broker)
    }

    /// The last known leader, if it is the only one known and nobody else is eligible.
    fn last_known_leader(&self) -> Option<i32> {
        if !self.elr_enabled || !self.elr.is_empty() || !self.isr.is_empty() {
            return None;
        }
        match self.partition.last_known_elr() {
            // A reassignment may have taken it away since.
            &[last] if self.replicas.contains(&last) && self.is_acceptable(last) => Some(last),
            _ => None,
        }
    }

    fn elect(&self) -> Elected {
        let clean = |leader| Elected { leader, unclean: false };
        let current = self.partition.leader;
        let preferred = self.replicas.first().copied();
        if self.election == Election::Preferred
            && let Some(leader) = preferred.filter(|&leader| self.is_clean_leader(leader))
        {
            return clean(leader);
        }
        if self.is_clean_leader(current) {
            return clean(current);
        }
        if let Some(&leader) = self.replicas.iter().find(|&&replica| self.is_clean_leader(replica)) {
            return clean(leader);
        }
        if let Some(leader) = self.last_known_leader() {
            return Elected { leader, unclean: true };
        }
        if self.election == Election::Unclean
            && let Some(&leader) = self.replicas.iter().find(|&&replica| self.is_acceptable(replica))
        {
            return Elected { leader, unclean: true };
        }
        clean(NO_LEADER)
    }

    /// The reassignment ends if every new replica is in sync and enough of the others are.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let stays = |broker: &i32| !self.removing.contains(broker);
        let isr: Vec<i32> = self.isr.iter().copied().filter(stays).collect();
        let replicas: Vec<i32> = self.replicas.iter().copied().filter(stays).collect();
        if !self.removing.is_empty() && (isr.is_empty() || replicas.is_empty()) {
            return;
        }
        if !self.adding.iter().all(|broker| isr.contains(broker)) {
            return;
        }
        // With fewer replicas than before the rest must be in sync too, or the end would shrink the ISR.
        if self.adding.len() < self.removing.len() && !replicas.iter().all(|broker| isr.contains(broker)) {
            return;
        }
        self.isr = isr;
        self.replicas = replicas;
        self.removing.clear();
        self.adding.clear();
    }

    /// Members that leave an ISR below the minimum stay eligible, unless they may have lost records.
    fn populate_elr(&mut self) {
        if !self.elr_enabled {
            return;
        }
        if self.isr.len() >= self.min_isr {
            self.elr.clear();
            return;
        }
        let mut elr = std::mem::take(&mut self.elr);
        elr.extend(self.partition.isr.iter().copied());
        elr.sort_unstable();
        elr.dedup();
        // A replica that a finished reassignment took away is no candidate any more.
        elr.retain(|broker| {
            !self.isr.contains(broker)
                && (self.unclean_shutdown != Some(*broker) || mutant::is("unclean-stays-eligible"))
                && self.replicas.contains(broker)
        });
        self.elr = elr;
    }

    fn elect_into(&mut self, record: &mut PartitionChangeRecord) {
        let elected = self.elect();
        if elected.leader == self.partition.leader {
            return;
        }
        if self.elr.contains(&elected.leader) {
            self.isr = vec![elected.leader];
            self.elr.retain(|&broker| broker != elected.leader);
        }
        record.leader = elected.leader;
        if elected.unclean {
            record.isr = Some(vec![elected.leader]);
            if self.partition.recovery != LeaderRecovery::Recovering {
                record.leader_recovery_state = LeaderRecovery::Recovering.code();
            }
        }
    }

    /// The record, or nothing if the partition stays as it is.
    pub fn build(mut self) -> Option<Record> {
        let before = self.partition;
        let version = self.view.image.metadata_version();
        let mut record = PartitionChangeRecord {
            partition_id: self.index,
            topic_id: self.topic_id,
            leader: LEADER_UNCHANGED,
            leader_recovery_state: RECOVERY_UNCHANGED,
            ..PartitionChangeRecord::default()
        };
        self.isr.retain(|broker| self.replicas.contains(broker));
        self.complete_reassignment();
        self.populate_elr();
        self.elect_into(&mut record);

        // A replica that leaves the assignment must notice: name the leader again, which bumps its epoch.
        let lost_replica = before.replicas.iter().any(|broker| !self.replicas.contains(broker));
        if record.leader == LEADER_UNCHANGED && lost_replica {
            record.leader = before.leader;
        }

        // An unclean election has set the ISR and ends all eligibility.
        let unclean = record.isr.is_some();
        if unclean || !self.elr_enabled || self.isr.len() >= self.min_isr {
            self.elr.clear();
        }
        if self.elr.as_slice() != before.elr() {
            record.eligible_leader_replicas = Some(self.elr.clone());
        }
        if !unclean
            && (!self.isr.is_empty() || self.elr_enabled)
            && self.isr.as_slice() != before.isr.as_slice()
        {
            record.isr = Some(self.isr.clone());
        }
        let shrinks = |isr: &Vec<i32>| before.isr.iter().any(|broker| !isr.contains(broker));
        if version.bumps_epoch_on_shrink()
            && record.leader == LEADER_UNCHANGED
            && record.isr.as_ref().is_some_and(shrinks)
        {
            record.leader = before.leader;
        }
        self.update_last_known_leader(&mut record);
        self.set_assignment(&mut record);
        if self.recovery != before.recovery && !unclean {
            record.leader_recovery_state = self.recovery.code();
        }
        if is_no_op(&record) {
            return None;
        }
        self.assert_invariants(&record, unclean);
        Some((MetadataRecord::PartitionChangeRecord(record), version.partition_record()))
    }

    fn update_last_known_leader(&self, record: &mut PartitionChangeRecord) {
        if !self.elr_enabled {
            // Switched off since: nothing may stay behind that only ELR reads.
            if !self.partition.last_known_elr().is_empty() && record.leader >= 0 {
                record.last_known_elr = Some(Vec::new());
            }
            return;
        }
        let known = self.partition.last_known_elr();
        let gone = known.iter().any(|broker| !self.replicas.contains(broker));
        if record.leader == NO_LEADER && known.is_empty() {
            let last = Some(self.partition.leader).filter(|leader| self.replicas.contains(leader));
            record.last_known_elr = last.map(|leader| vec![leader]);
        } else if !known.is_empty() && (record.leader >= 0 || gone) {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn set_assignment(&self, record: &mut PartitionChangeRecord) {
        let before = self.partition;
        if !self.replicas.is_empty() {
            if self.view.image.metadata_version().has_directories() {
                let directory = |broker: &i32| match self.directories.get(broker) {
                    Some(&directory) => directory,
                    None => self.view.default_dir(*broker),
                };
                let directories: Vec<Uuid> = self.replicas.iter().map(directory).collect();
                if directories[..] != before.directories[..] {
                    record.directories = Some(directories);
                }
            }
            if self.replicas.as_slice() != before.replicas.as_slice() {
                record.replicas = Some(self.replicas.clone());
            }
        }
        if self.removing.as_slice() != before.removing() {
            record.removing_replicas = Some(self.removing.clone());
        }
        if self.adding.as_slice() != before.adding() {
            record.adding_replicas = Some(self.adding.clone());
        }
    }

    /// Checks what no decision may break (docs/INVARIANTS.md), in every build. A partition that another controller
    /// left broken is not blamed on this one.
    fn assert_invariants(&self, record: &PartitionChangeRecord, unclean: bool) {
        if !is_sound(self.partition) {
            return;
        }
        let after = self.partition.changed(record).expect("a decided change can be replayed");
        let at =
            || format!("topic {} partition {}: {:?} + {record:?}", self.topic_id, self.index, self.partition);
        let all_replicas = |ids: &[i32]| ids.iter().all(|id| after.replicas.contains(id));
        assert!(all_replicas(&after.isr), "invariant 16: the ISR is among the replicas; {}", at());
        assert!(all_replicas(after.elr()), "invariant 16: the ELR is among the replicas; {}", at());
        let disjoint = !after.elr().iter().any(|id| after.isr.contains(id));
        assert!(disjoint, "invariant 16: ISR and ELR are disjoint; {}", at());
        let unneeded = self.elr_enabled && after.isr.len() >= self.min_isr && !after.elr().is_empty();
        assert!(!unneeded, "invariant 16: no ELR beside a full ISR; {}", at());
        // Whoever had every committed record keeps its claim while the ISR is below the minimum.
        if self.elr_enabled && !unclean && after.isr.len() < self.min_isr {
            let keeps = |id: &&i32| {
                self.unclean_shutdown == Some(**id)
                    || !after.replicas.contains(*id)
                    || after.isr.contains(*id)
                    || after.elr().contains(*id)
            };
            let kept = self.partition.isr.iter().chain(self.partition.elr()).all(|id| keeps(&id));
            assert!(kept, "invariant 15: ISR and ELR cover the old ones below the minimum; {}", at());
        }
    }
}

/// Whether the ISR and the ELR are disjoint parts of the replicas.
fn is_sound(partition: &Partition) -> bool {
    let replica = |id: &i32| partition.replicas.contains(id);
    partition.isr.iter().all(replica)
        && partition.elr().iter().all(|id| replica(id) && !partition.isr.contains(id))
}

fn is_no_op(record: &PartitionChangeRecord) -> bool {
    record.isr.is_none()
        && record.leader == LEADER_UNCHANGED
        && record.replicas.is_none()
        && record.removing_replicas.is_none()
        && record.adding_replicas.is_none()
        && record.leader_recovery_state == RECOVERY_UNCHANGED
        && record.directories.is_none()
        && record.eligible_leader_replicas.is_none()
        && record.last_known_elr.is_none()
}
