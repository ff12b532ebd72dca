//! 15 and 16, and what a partition's epochs must do: they never fall, the leader epoch grows with each leader, ISR and
//! ELR are disjoint parts of the replicas, the leader is in the ISR, and no fenced broker is.

use std::collections::BTreeMap;

use ottla_metadata::Delta;
use ottla_metadata::image::{Image, LeaderRecovery, Partition};

use super::hold;
use crate::cluster::ask::Key;

/// Who was registered as leader.
pub struct Registrations {
    elr: bool,
    unclean: bool,
    leaders: BTreeMap<(Key, i32), i32>,
}

impl Registrations {
    pub fn new(elr: bool, unclean: bool) -> Registrations {
        Registrations { elr, unclean, leaders: BTreeMap::new() }
    }

    /// A committed change; the partitions that got a leader which may lack records, and its epoch.
    pub fn changed(&mut self, delta: &Delta) -> Vec<(Key, i32)> {
        let mut unclean = Vec::new();
        for change in delta.partition_changes() {
            let Some(after) = change.after else { continue };
            let key = (change.topic.id, change.index);
            self.sound(delta.after(), key, after);
            if after.has_leader() {
                let first = *self.leaders.entry((key, after.leader_epoch)).or_insert(after.leader);
                hold!(1, first == after.leader, "{first} and {} in one epoch: {after:?}", after.leader);
            }
            let Some(before) = change.before else { continue };
            let grows = before.partition_epoch < after.partition_epoch
                && before.leader_epoch <= after.leader_epoch
                && (before.leader == after.leader || before.leader_epoch < after.leader_epoch);
            hold!(16, grows, "epochs of partition {} do not grow: {before:?}, {after:?}", key.1);
            // The wish of a leader that brings somebody into the ISR may end a reassignment, and so elect the new one.
            let ends = before.is_reassigning() && !after.is_reassigning();
            let joined = ends || after.isr.iter().any(|id| before.isr.contains(id));
            let joined = joined && before.has_leader() && after.recovery == LeaderRecovery::Recovered;
            let may_lead =
                joined || before.isr.contains(&after.leader) || before.elr().contains(&after.leader);
            if after.has_leader() && before.leader_epoch != after.leader_epoch && !may_lead {
                // Who was eligible has just come back after an unclean stop.
                let gone = |id: &i32| delta.changes().brokers.contains(id);
                let last = before.isr.iter().chain(before.elr()).all(gone);
                let last = last && before.last_known_elr().contains(&after.leader);
                hold!(
                    13,
                    last || self.unclean,
                    "an unclean election that nobody allowed: {before:?}, {after:?}"
                );
                unclean.push((key, after.leader_epoch));
            }
            if self.elr && unclean.is_empty() && after.isr.len() < before.isr.len() && after.isr.is_empty() {
                hold!(
                    15,
                    !after.elr().is_empty() || before.isr.is_empty() || !after.last_known_elr().is_empty(),
                    "nobody is left who may lead: {before:?}, {after:?}"
                );
            }
        }
        if !delta.changes().brokers.is_empty() && self.elr {
            for (topic, index, partition) in delta.after().partitions() {
                self.sound(delta.after(), (topic.id, index), partition);
            }
        }
        unclean
    }

    fn sound(&self, image: &Image, key: Key, partition: &Partition) {
        let at = key.1;
        let (isr, elr) = (&partition.isr, partition.elr());
        let parts = isr.iter().chain(elr).all(|id| partition.replicas.contains(id));
        hold!(16, parts, "ISR and ELR of partition {at} are not replicas: {partition:?}");
        hold!(16, !elr.iter().any(|id| isr.contains(id)), "ISR and ELR of {at} overlap: {partition:?}");
        let led = !partition.has_leader() || isr.contains(&partition.leader);
        hold!(16, led, "the leader of partition {at} is not in its ISR: {partition:?}");
        let fenced = |id: &i32| image.broker(*id).is_none_or(|broker| broker.fenced);
        if self.elr {
            hold!(16, !isr.iter().any(fenced), "a fenced broker is in the ISR of {at}: {partition:?}");
        }
        let lives = !partition.has_leader() || !fenced(&partition.leader);
        hold!(16, lives, "a fenced broker leads partition {at}: {partition:?}");
    }

    /// A node takes itself for the leader of an epoch: so does the controller.
    pub fn leads(&self, key: Key, epoch: i32, node: usize) {
        let known = self.leaders.get(&(key, epoch)).copied();
        let id = node as i32 + 1;
        hold!(1, known == Some(id), "{id} leads partition {} in epoch {epoch}, elected was {known:?}", key.1);
    }
}
