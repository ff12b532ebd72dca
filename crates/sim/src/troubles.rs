//! Trouble: one kind after the other, as the plan has it.

use ottla_log::fs::Fault as DiskFault;
use ottla_raft::Request;
use ottla_raft::message::{AddVoterRequest, RemoveVoterRequest};

use crate::plan::Trouble;
use crate::world::{Event, World};

/// A ticket nobody waits for.
const NOBODY: u64 = u64::MAX;

impl World {
    /// One piece of trouble, and the next one later.
    pub(crate) fn trouble(&mut self) {
        if !self.writing || self.plan.troubles.is_empty() {
            return;
        }
        let after = self.random.between(1, self.plan.gap_ms);
        self.post(after, Event::Trouble);
        let kind = self.plan.troubles[self.random.index(self.plan.troubles.len())];
        let node = self.random.index(self.hosts.len());
        let other = self.random.index(self.hosts.len());
        let up = self.hosts[node].replica.is_some();
        self.note(format_args!("trouble: {kind:?} {} {}", node + 1, other + 1));
        match kind {
            Trouble::Kill if up => {
                self.hosts[node].kill();
                self.come_back(node);
            }
            Trouble::PowerCut => self.cut_power(node),
            Trouble::PowerCutInCall => self.strike(node, 60, DiskFault::PowerCut),
            Trouble::DiskError => {
                let kind = std::io::ErrorKind::StorageFull;
                let half = self.random.chance(300);
                self.strike(node, 60, if half { DiskFault::HalfDone(kind) } else { DiskFault::Error(kind) });
            }
            Trouble::Isolate => {
                (0..self.hosts.len()).for_each(|other| self.network.cut(node, other));
                self.calm(4_000);
            }
            Trouble::OneWay => {
                self.network.block(node, other);
                self.calm(4_000);
            }
            Trouble::Split => {
                let side: Vec<bool> = self.hosts.iter().map(|_| self.random.chance(500)).collect();
                for one in 0..side.len() {
                    (0..one).filter(|other| side[one] != side[*other]).for_each(|other| {
                        self.network.cut(one, other);
                    });
                }
                self.calm(4_000);
            }
            Trouble::Loss => self.network.loss = self.random.below(300),
            Trouble::Duplicates => self.network.duplicates = self.random.below(400),
            Trouble::Delay => self.network.delay_ms = [4, 4, 40, 300, 2_000][self.random.index(5)],
            Trouble::SlowDisk => self.hosts[node].sync_ms = [0, 0, 5, 50, 400][self.random.index(5)],
            Trouble::Pause => {
                let until = self.now + self.random.between(100, 5_000);
                let host = &mut self.hosts[node];
                host.held_until = host.held_until.max(until);
            }
            Trouble::ClockJump => {
                self.hosts[node].skew_ms = self.random.between(-3_600_000, 3_600_000);
            }
            Trouble::Shutdown if up => self.step(node, |replica, time| replica.shutdown(time, 1_000)),
            Trouble::Resign => {
                if let Some(leader) = self.leader() {
                    self.step(leader, |replica, time| replica.resign(time, replica.node().epoch()));
                }
            }
            Trouble::Snapshot => self.begin_snapshot(node),
            Trouble::VoterChange => self.change_voters(node),
            Trouble::Move if up && self.may_move() => {
                self.hosts[node].kill();
                self.hosts[node].moves = (self.hosts[node].moves + 1) % 50;
                self.come_back(node);
            }
            Trouble::Kill | Trouble::Shutdown | Trouble::Move => {}
        }
    }

    /// Ends all trouble: everybody up, nothing lost, nothing slow.
    pub fn heal(&mut self) {
        self.writing = false;
        self.network.heal();
        self.note(format_args!("trouble ends"));
        for node in 0..self.hosts.len() {
            let host = &mut self.hosts[node];
            host.sync_ms = 0;
            host.held_until = self.now;
            host.forgive_disk();
            self.start(node);
        }
    }

    fn cut_power(&mut self, node: usize) {
        let seed = self.random.bits();
        self.hosts[node].cut_power(seed);
        self.come_back(node);
    }

    fn come_back(&mut self, node: usize) {
        let after = self.random.between(50, 6_000);
        self.post(after, Event::Start { node });
    }

    /// One of the next calls to a disk fails like this.
    fn strike(&mut self, node: usize, within: u64, fault: DiskFault) {
        let call = self.hosts[node].disk.calls() + self.random.below(within);
        self.hosts[node].strike(call, fault);
    }

    /// Most partitions end by themselves.
    fn calm(&mut self, within: i64) {
        if self.random.chance(600) {
            let after = self.random.between(200, within);
            self.post(after, Event::Unblock);
        }
    }

    fn may_move(&self) -> bool {
        self.addresses_are_known().is_some_and(|voters| voters > 2)
    }

    /// How many voters there are, if all are where the log says. Voters find each other by the addresses in the
    /// log: if most of them moved before the log says so, or one moved and others are removed, nobody could find a
    /// leader again. So it is one step at a time, as a person would do it.
    fn addresses_are_known(&self) -> Option<usize> {
        let leader = self.leader().and_then(|leader| self.hosts[leader].replica.as_ref());
        let node = leader?.node();
        let voters = node.voters_at(node.high_watermark()? - 1)?;
        let right = voters == node.voters()
            && voters.iter().all(|voter| *voter == self.hosts[voter.key.id as usize - 1].voter());
        right.then_some(voters.len())
    }

    fn change_voters(&mut self, node: usize) {
        let Some(leader) = self.leader() else { return };
        if self.hosts[leader].held_until > self.now {
            return;
        }
        let Some(replica) = &self.hosts[leader].replica else { return };
        if self.plan.troubles.contains(&Trouble::Move) && self.addresses_are_known().is_none() {
            return;
        }
        let own = self.hosts[node].voter();
        let request = if replica.node().voters().contains(&own.key) {
            Request::RemoveVoter(RemoveVoterRequest { cluster_id: None, voter: own.key })
        } else {
            Request::AddVoter(AddVoterRequest {
                cluster_id: None,
                timeout_ms: 1_000,
                voter: own.key,
                endpoints: own.endpoints,
                ack_when_committed: self.random.chance(500),
            })
        };
        self.ask(leader, NOBODY, request);
    }
}
