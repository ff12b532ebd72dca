//! Trouble: one kind after the other, as the plan has it.

use ottla_log::fs::Fault as DiskFault;
use ottla_metadata::snapshot;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::{AlterPartitionReassignmentsRequest, ElectLeadersRequest};
use ottla_raft::SnapshotId;
use uuid::Uuid;

use super::ask::{Ask, Party, Purpose};
use super::plan::Trouble;
use super::world::{Event, OFFSETS, TOPIC, World};

impl World {
    /// One piece of trouble, and the next one later.
    pub(super) fn trouble(&mut self) {
        if !self.troubled || self.plan.troubles.is_empty() {
            return;
        }
        let after = self.random.between(1, self.plan.gap_ms);
        self.post(after, Event::Trouble);
        let kind = self.plan.troubles[self.random.index(self.plan.troubles.len())];
        let node = self.random.index(self.nodes.len());
        let other = self.random.index(self.nodes.len());
        let up = self.nodes[node].process.is_some();
        self.note(format_args!("trouble: {kind:?} {} {}", node + 1, other + 1));
        match kind {
            Trouble::Kill if up => self.down(node),
            Trouble::PowerCut => {
                self.nodes[node].disk.power_off();
                self.down(node);
            }
            Trouble::PowerCutInCall => self.strike(node, DiskFault::PowerCut),
            Trouble::DiskError => {
                let kind = std::io::ErrorKind::Other;
                let half = self.random.chance(300);
                self.strike(node, if half { DiskFault::HalfDone(kind) } else { DiskFault::Error(kind) });
            }
            Trouble::DiskSwap => {
                let node = self.plan.controllers + self.random.index(self.plan.brokers);
                let dir_id = Uuid::from_u128((0x3000 << 64) | u128::from(self.random.bits()));
                self.down(node);
                self.nodes[node].swap_disk(dir_id);
            }
            Trouble::Isolate => {
                (0..self.nodes.len()).for_each(|other| self.network.cut(node, other));
                self.calm(6_000);
            }
            Trouble::OneWay => {
                self.network.block(node, other);
                self.calm(6_000);
            }
            Trouble::Split => {
                let side: Vec<bool> = self.nodes.iter().map(|_| self.random.chance(500)).collect();
                for one in 0..side.len() {
                    (0..one)
                        .filter(|other| side[one] != side[*other])
                        .for_each(|other| self.network.cut(one, other));
                }
                self.calm(6_000);
            }
            Trouble::Loss => self.network.loss = self.random.below(200),
            Trouble::Duplicates => self.network.duplicates = self.random.below(400),
            Trouble::Delay => self.network.delay_ms = [4, 4, 40, 300, 1_500][self.random.index(5)],
            Trouble::SlowDisk => self.nodes[node].sync_ms = [0, 0, 5, 50, 300][self.random.index(5)],
            Trouble::Pause => {
                let until = self.now + self.random.between(100, 8_000);
                let node = &mut self.nodes[node];
                node.held_until = node.held_until.max(until);
            }
            Trouble::ClockJump => {
                self.nodes[node].skew_ms = self.random.between(-3_600_000, 3_600_000);
            }
            Trouble::Shutdown if up => self.leave(node),
            Trouble::Resign => {
                let active = (0..self.nodes.len())
                    .find(|index| self.nodes[*index].process.as_ref().is_some_and(|it| it.is_active()));
                if let Some(active) = active {
                    self.step(active, |replica, time| replica.resign(time, replica.node().epoch()));
                }
            }
            Trouble::Snapshot => self.take_snapshot(node),
            Trouble::Reassign => self.reassign(),
            Trouble::Prefer => {
                let request =
                    ElectLeadersRequest { election_type: 0, topic_partitions: None, timeout_ms: 1_000 };
                self.administer(Ask::Elect(request));
            }
            Trouble::Refusal => self.post(1, Event::PeerRefused { node, peer: other }),
            Trouble::Kill | Trouble::Shutdown => {}
        }
    }

    /// Ends all trouble: everybody up, nothing lost, nothing slow.
    pub fn heal(&mut self) {
        self.troubled = false;
        self.network.heal();
        self.note(format_args!("trouble ends"));
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            (node.sync_ms, node.held_until) = (0, self.now);
            node.forgive_disk();
            if node.process.is_none() {
                self.start(index);
            }
        }
    }

    fn strike(&mut self, node: usize, fault: DiskFault) {
        let call = self.nodes[node].disk.calls() + self.random.below(60);
        self.nodes[node].strike(call, fault);
    }

    /// Most partitions end by themselves.
    fn calm(&mut self, within: i64) {
        if self.random.chance(700) {
            let after = self.random.between(200, within);
            self.post(after, Event::Unblock);
        }
    }

    /// A node is told to stop.
    fn leave(&mut self, node: usize) {
        let now = self.now;
        let Some(process) = &mut self.nodes[node].process else { return };
        match process.life.is_broker && process.life.epoch >= 0 {
            true => _ = process.life.leaving.get_or_insert(now),
            false => self.close_partitions(node),
        }
    }

    fn take_snapshot(&mut self, node: usize) {
        let host = &mut self.nodes[node];
        let time = host.time(self.now);
        let Some(process) = &mut host.process else { return };
        if host.held_until > self.now {
            return;
        }
        let image = process.loader.image().clone();
        let at = image.provenance;
        if at.offset < 0 || !at.batch_aligned {
            return;
        }
        let id = SnapshotId { end_offset: at.offset + 1, epoch: at.epoch };
        let Ok(mut writer) = process.replica.begin_snapshot(id, at.timestamp_ms, time) else { return };
        let mut written = Ok(());
        for (record, version) in snapshot::records(&image) {
            let value = record.encode_framed(version).expect("SIM: an image can be written");
            written = written.and_then(|()| writer.append(value.into()));
        }
        self.note(format_args!("{} makes snapshot {id:?}", node + 1));
        match written.and_then(|()| writer.finish()) {
            Err(error) => self.failed(node, &error.to_string()),
            Ok(size) => self.try_step(node, |replica, time| {
                replica.snapshot_finished(id, size);
                replica.clean(time)
            }),
        }
    }

    fn reassign(&mut self) {
        let mut brokers = self.plan.broker_ids();
        for at in (1..brokers.len()).rev() {
            brokers.swap(at, self.random.index(at + 1));
        }
        brokers.truncate(self.plan.replicas as usize);
        // Now and then it is cancelled.
        let replicas = (!self.random.chance(200)).then_some(brokers);
        let of_groups = self.plan.groups > 0 && self.random.chance(700);
        let (name, count) = match of_groups {
            true => (OFFSETS, self.plan.offsets_partitions),
            false => (TOPIC, self.plan.partitions),
        };
        let partition_index = self.random.index(count as usize) as i32;
        let topic = ReassignableTopic {
            name: name.to_owned(),
            partitions: vec![ReassignablePartition { partition_index, replicas }],
        };
        let request = AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() };
        self.administer(Ask::Reassign(request));
    }

    /// Asks whoever is the active controller.
    pub(super) fn administer(&mut self, ask: Ask) {
        let active = (0..self.nodes.len())
            .find(|index| self.nodes[*index].process.as_ref().is_some_and(|it| it.is_active()));
        if let Some(active) = active {
            self.send(Party::Nobody, active, ask, Purpose::Nothing);
        }
    }
}
