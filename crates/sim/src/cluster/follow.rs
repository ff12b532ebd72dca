//! What the quorum says, and what committed metadata means here: partitions are opened, led, followed and deleted.

use ottla_log::{Log, OpenOptions, PartitionDir};
use ottla_metadata::delta::LocalPartition;
use ottla_metadata::image::LeaderRecovery;
use ottla_metadata::{Delta, Image};
use ottla_replication::Broker;
use ottla_replication::leader::{Assignment, Recovery};

use super::ask::Key;
use super::ear::Said;
use super::node::{Process, around};
use super::partition::{Partition, log_config};
use super::plan::Plan;
use super::world::{Event, OFFSETS, Ticket, World};

/// A partition's registration as its leader needs it.
fn assignment(partition: &ottla_metadata::image::Partition) -> Assignment {
    Assignment {
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: partition.replicas.to_vec(),
        adding: partition.adding().to_vec(),
        removing: partition.removing().to_vec(),
        isr: partition.isr.to_vec(),
        recovery: match partition.recovery {
            LeaderRecovery::Recovered => Recovery::Recovered,
            LeaderRecovery::Recovering => Recovery::Recovering,
        },
    }
}

impl World {
    /// Takes up one thing that a node's quorum said.
    pub(super) fn heed(&mut self, node: usize, said: Said, took: i64) {
        match said {
            Said::Request { to, correlation, request } => {
                let target = usize::from(to.at.port - super::node::PORT);
                let incarnation = self.nodes[node].incarnation;
                for after in self.network.arrivals(node, target) {
                    let request = request.clone();
                    self.post(
                        took + after,
                        Event::Request { from: node, incarnation, correlation, to: target, request },
                    );
                }
            }
            Said::Answer { ticket, response } => {
                let Some(Ticket { from, incarnation, correlation }) = self.tickets.remove(&ticket) else {
                    return;
                };
                for after in self.network.arrivals(node, from) {
                    let response = Some(response.clone());
                    self.post(took + after, Event::Response { to: from, incarnation, correlation, response });
                }
            }
            Said::Committed(batch) => {
                for delta in self.rules.batch(&batch) {
                    self.note_changes(&delta);
                }
                let Some(process) = &mut self.nodes[node].process else { return };
                let answers = process.desk.as_mut().map(|desk| desk.committed(&batch)).unwrap_or_default();
                if batch.records.is_empty() {
                    process.loader.skip(batch.last_offset, batch.epoch, batch.timestamp_ms);
                } else {
                    let loaded = process.loader.batch(
                        batch.base_offset,
                        batch.epoch,
                        batch.timestamp_ms,
                        &batch.records,
                    );
                    loaded.expect("invariant 11 broken: committed metadata cannot be replayed");
                }
                self.answer_all(node, answers);
            }
            Said::Loaded(image) => {
                self.publish(node);
                let Some(process) = &mut self.nodes[node].process else { return };
                if let Some(desk) = &mut process.desk {
                    desk.loaded((*image).clone());
                }
                let delta = process.loader.load_snapshot(*image);
                self.apply(node, delta);
            }
            Said::Leadership(leadership) => {
                self.note(format_args!("{} knows {leadership:?}", node + 1));
                let (now, time) = (self.now, self.nodes[node].time(self.now));
                let host = &mut self.nodes[node];
                let Some(process) = &mut host.process else { return };
                let Some(desk) = &mut process.desk else { return };
                let (mut answers, begins) = desk.leadership(leadership);
                if begins {
                    let first = desk.begin(now);
                    answers.extend(super::desk::append(process, &host.said, time, first, None));
                }
                self.answer_all(node, answers);
            }
            Said::Refused { epoch } => {
                let Some(process) = &mut self.nodes[node].process else { return };
                let Some(desk) = &mut process.desk else { return };
                if !desk.controller.is_active() || desk.epoch() != epoch {
                    return;
                }
                let answers = desk.deactivate();
                let time = self.nodes[node].time(self.now);
                if let Some(process) = &mut self.nodes[node].process {
                    process.replica.resign(time, epoch);
                }
                self.answer_all(node, answers);
            }
        }
    }

    fn note_changes(&mut self, delta: &Delta) {
        for change in delta.partition_changes() {
            let Some(it) = change.after else { continue };
            let (leader, epoch, version) = (it.leader, it.leader_epoch, it.partition_epoch);
            self.note(format_args!(
                "committed: -{} led by {leader} in {epoch}, version {version}, replicas {:?} isr {:?} elr {:?} last {:?}",
                change.index,
                it.replicas,
                it.isr,
                it.elr(),
                it.last_known_elr()
            ));
        }
        for id in &delta.changes().brokers {
            let known = delta.after().broker(*id);
            let known = known.map(|it| (it.epoch, it.fenced, it.in_controlled_shutdown));
            self.note(format_args!("committed: broker {id} {known:?}"));
        }
    }

    /// Applies every change that is complete.
    pub(super) fn publish(&mut self, node: usize) {
        let Some(process) = &mut self.nodes[node].process else { return };
        for delta in process.loader.publish() {
            self.apply(node, delta);
        }
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.serves {
            return;
        }
        let status = process.replica.status();
        let committed = status.high_watermark;
        if status.leader.is_some() && committed > 0 && process.loader.last_offset() + 1 >= committed {
            process.serves = true;
            let whole = Delta::between(Image::default(), process.image.clone());
            self.apply(node, whole);
        }
    }

    fn apply(&mut self, node: usize, delta: Delta) {
        let (id, time) = (self.nodes[node].id(), self.nodes[node].time(self.now));
        let image = delta.after().clone();
        self.rules.shown(node, &image);
        let Some(process) = &mut self.nodes[node].process else { return };
        let broker = |known: &ottla_metadata::image::Broker| Broker {
            epoch: known.epoch,
            fenced: known.fenced,
            shutting_down: known.in_controlled_shutdown,
        };
        process.brokers = image.brokers.values().map(|known| (known.id, broker(known))).collect();
        process.image = image;
        process.life.look(&process.image, id);
        if !process.serves || process.closed.is_some() || !process.life.is_broker {
            return;
        }
        let local = delta.local_changes(id);
        let of_process = process.life.incarnation_id;
        let known = process.image.broker(id).is_some_and(|it| it.incarnation_id == of_process);
        let mut failed = None;
        let mut left: Vec<i32> = Vec::new();
        for (topic, topic_id, index, _) in &local.deletes {
            process.partitions.remove(&(*topic_id, *index));
            let gone = process.dir.remove_partition(&PartitionDir::current(topic.as_ref(), *index));
            failed = failed.or(gone.err().map(|error| error.to_string()));
            left.extend((**topic == *OFFSETS).then_some(*index));
        }
        let mut touched: Vec<Key> = Vec::new();
        let mut taken: Vec<(Key, i32)> = Vec::new();
        let locals =
            local.leaders.iter().map(|it| (it, true)).chain(local.followers.iter().map(|it| (it, false)));
        for (local, leads) in locals {
            let key = (local.topic_id, local.index);
            if !process.partitions.contains_key(&key) {
                match open(process, local, &self.plan, time.wall) {
                    Ok(partition) => drop(process.partitions.insert(key, partition)),
                    Err(error) => {
                        failed = failed.or(Some(error.to_string()));
                        continue;
                    }
                }
            }
            let Process { partitions, brokers, .. } = &mut *process;
            let partition = partitions.get_mut(&key).expect("SIM: it is open");
            let around = around(id, time, brokers, &self.plan);
            let epoch = local.partition.leader_epoch;
            match (leads, local.partition.has_leader()) {
                (true, _) => partition.lead(assignment(&local.partition), &around),
                (false, true) => partition.follow(local.partition.leader, epoch),
                (false, false) => partition.resign(epoch),
            }
            if *local.topic == *OFFSETS {
                match leads {
                    // What it led before this process was registered it leads no longer.
                    true if local.new_leader_epoch && known => taken.push((key, epoch)),
                    true => {}
                    false => left.push(key.1),
                }
            }
            touched.push(key);
        }
        if let Some(why) = failed {
            return self.failed(node, &why);
        }
        for index in left {
            self.leave_seat(node, index);
        }
        for key in touched {
            self.tell(node, key);
        }
        for (key, epoch) in taken {
            self.take_seat(node, key, epoch);
        }
    }
}

/// Opens a partition's log, or makes it.
fn open(
    process: &mut Process,
    local: &LocalPartition,
    plan: &Plan,
    wall_ms: i64,
) -> Result<Partition, ottla_log::Error> {
    let name = PartitionDir::current(local.topic.as_ref(), local.index);
    let found = process.take_found(&local.topic, local.index);
    let (recovery_point, high_watermark) = found.unwrap_or_default();
    let options = OpenOptions {
        recovery_point,
        high_watermark,
        ..OpenOptions::new(log_config(plan.segment_bytes), wall_ms, process.clean)
    };
    let held = process.dir.partitions()?.contains(&name);
    let mut log = match held {
        true => Log::open(&process.dir, &name, &options)?.0,
        false => {
            let fresh = OpenOptions { recovery_point: 0, high_watermark: 0, ..options };
            Log::create(&process.dir, &name, Some(local.topic_id), &fresh)?
        }
    };
    if log.topic_id().is_none() {
        log.set_topic_id(local.topic_id)?;
    }
    // Whatever the checkpoint says of a partition that is made anew, it says of a former one.
    let checkpointed = if held { recovery_point } else { i64::MAX };
    let mut partition = Partition::new(local.topic.clone(), (local.topic_id, local.index), log, checkpointed);
    partition.lower_checkpoint(&process.dir)?;
    Ok(partition)
}
