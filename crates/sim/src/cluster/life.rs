//! What a broker does by the clock: it registers, says that it lives, fetches what it follows, tells the controller of
//! changed in-sync replicas, writes checkpoints, and leaves when it is told to.

use std::collections::BTreeMap;

use ottla_log::{CheckpointKind, PartitionDir};
use ottla_metadata::{Image, features};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use ottla_protocol::messages::assign_replicas_to_dirs_request as dirs;
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_protocol::messages::{
    AlterPartitionRequest, AlterPartitionResponse, AssignReplicasToDirsRequest, BrokerHeartbeatRequest,
    BrokerRegistrationRequest,
};
use ottla_replication::leader::{self, Recovery, Refusal};
use uuid::Uuid;

use super::ask::{Answer, Ask, Key, Party, Purpose};
use super::copy::Question;
use super::node::is_ours;
use super::world::World;

/// Between heartbeats of a broker that serves.
const BEAT_MS: i64 = 400;
/// Between heartbeats of one that waits for the next state.
const AGAIN_MS: i64 = 100;
/// How long an answer is waited for.
const PATIENCE_MS: i64 = 1_500;
/// How long a broker tries to hand over what it leads.
const LEAVE_MS: i64 = 5_000;
/// Between two reports of where replicas lie.
const REPORT_MS: i64 = 1_000;
/// Between checkpoints.
const CHECKPOINT_MS: i64 = 3_000;

/// A broker as the controller is to see it.
#[derive(Debug)]
pub struct Life {
    pub is_broker: bool,
    pub incarnation_id: Uuid,
    /// The broker epoch before this process, if it ended cleanly.
    previous_epoch: i64,
    /// The epoch of the registration; -1 before there is one.
    pub epoch: i64,
    registered: bool,
    /// The question on its way, and since when.
    asking: Option<(u64, i64)>,
    next_at: i64,
    report_at: i64,
    /// Clients and followers are served: it was unfenced, and its own image showed that.
    pub serving: bool,
    /// Since when it wants to stop.
    pub leaving: Option<i64>,
}

impl Life {
    pub fn new(is_broker: bool, incarnation_id: Uuid, previous_epoch: i64, now: i64) -> Life {
        Life {
            is_broker,
            incarnation_id,
            previous_epoch,
            epoch: -1,
            registered: false,
            asking: None,
            next_at: now,
            report_at: now,
            serving: false,
            leaving: None,
        }
    }

    /// A new image is shown.
    pub fn look(&mut self, image: &Image, id: i32) {
        let unfenced = image.broker(id).is_some_and(|it| it.epoch == self.epoch && !it.fenced);
        self.serving |= self.registered && unfenced;
    }
}

fn registration(id: i32, life: &Life, dir_id: Uuid) -> BrokerRegistrationRequest {
    let feature = |(name, range): (String, features::LevelRange)| Feature {
        name,
        min_supported_version: range.min,
        max_supported_version: range.max,
    };
    BrokerRegistrationRequest {
        broker_id: id,
        cluster_id: "simulated".to_owned(),
        incarnation_id: life.incarnation_id,
        listeners: vec![Listener {
            name: "PLAINTEXT".to_owned(),
            host: format!("node{id}"),
            port: 9092,
            security_protocol: 0,
        }],
        features: features::supported().into_iter().map(feature).collect(),
        log_dirs: vec![dir_id],
        previous_broker_epoch: life.previous_epoch,
        ..BrokerRegistrationRequest::default()
    }
}

impl World {
    /// Everything that a process does by the clock.
    pub(super) fn tick(&mut self, node: usize) {
        self.do_chores(node);
        let Some(process) = &self.nodes[node].process else { return };
        if !process.life.is_broker || process.closed.is_some() {
            return;
        }
        self.say_alive(node);
        self.report_directories(node);
        self.propose_changes(node);
        let keys: Vec<Key> = match &self.nodes[node].process {
            Some(process) => process.partitions.keys().copied().collect(),
            None => return,
        };
        for key in keys {
            self.with(node, key, |partition, around, _| {
                partition.poll(around);
                Ok(())
            });
            self.go_on_fetching(node, key);
        }
        self.tick_seats(node);
        self.write_checkpoints(node);
    }

    fn do_chores(&mut self, node: usize) {
        loop {
            let (now, time) = (self.now, self.nodes[node].time(self.now));
            let host = &mut self.nodes[node];
            let Some(process) = &mut host.process else { return };
            let Some(decision) = process.desk.as_mut().and_then(|desk| desk.chore(now)) else { return };
            let answers = super::desk::append(process, &host.said, time, decision, None);
            self.answer_all(node, answers);
            self.step(node, |_, _| {});
        }
    }

    fn say_alive(&mut self, node: usize) {
        let (now, id, dir_id) = (self.now, self.nodes[node].id(), self.nodes[node].dir_id);
        let incarnation = self.nodes[node].incarnation;
        let Some(process) = &mut self.nodes[node].process else { return };
        let life = &mut process.life;
        if life.asking.is_some_and(|(_, since)| now - since > PATIENCE_MS) {
            life.asking = None;
        }
        if life.leaving.is_some_and(|since| now - since > LEAVE_MS) {
            return self.close_partitions(node);
        }
        if life.asking.is_some() || life.next_at > now {
            return;
        }
        let Some(controller) = process.controller() else { return };
        let life = &mut process.life;
        let ask = match life.registered {
            false => Ask::Register(registration(id, life, dir_id)),
            true => Ask::Heartbeat(BrokerHeartbeatRequest {
                broker_id: id,
                broker_epoch: life.epoch,
                current_metadata_offset: process.image.provenance.offset,
                want_fence: false,
                want_shut_down: life.leaving.is_some(),
                offline_log_dirs: Vec::new(),
                cordoned_log_dirs: Some(Vec::new()),
            }),
        };
        let number = self.send(Party::Node { index: node, incarnation }, controller, ask, Purpose::Life);
        if let Some(process) = &mut self.nodes[node].process {
            process.life.asking = Some((number, now));
        }
    }

    /// An answer to a registration or a heartbeat.
    fn told_of_life(&mut self, node: usize, number: u64, answer: Answer) {
        let now = self.now;
        let Some(process) = &mut self.nodes[node].process else { return };
        let life = &mut process.life;
        if life.asking.take_if(|(asked, _)| *asked == number).is_none() {
            return;
        }
        life.next_at = now + AGAIN_MS;
        match answer {
            Answer::Registered(response) if response.error_code == 0 => {
                (life.epoch, life.registered) = (response.broker_epoch, true);
                self.note(format_args!("{} is registered as {}", node + 1, response.broker_epoch));
            }
            Answer::Beat(response) => match ErrorCode::from_i16(response.error_code) {
                Some(ErrorCode::None) if response.should_shut_down => self.close_partitions(node),
                Some(ErrorCode::None) => {
                    let waits = response.is_fenced || !life.serving || life.leaving.is_some();
                    life.next_at = now + if waits { AGAIN_MS } else { BEAT_MS };
                }
                Some(ErrorCode::StaleBrokerEpoch) => life.registered = false,
                _ => {}
            },
            _ => {}
        }
    }

    /// Tells the controller where the replicas lie of which it does not know that.
    fn report_directories(&mut self, node: usize) {
        let (now, id, dir_id) = (self.now, self.nodes[node].id(), self.nodes[node].dir_id);
        let Some(process) = &mut self.nodes[node].process else { return };
        if !process.life.serving || process.life.report_at > now {
            return;
        }
        process.life.report_at = now + REPORT_MS;
        let recorded = |key: &Key| process.image.topics.by_id(key.0)?.partition(key.1)?.directory(id);
        let misplaced = |key: &&Key| recorded(key).is_some_and(|known| known != dir_id);
        let topics: Vec<dirs::TopicData> = process
            .partitions
            .keys()
            .filter(misplaced)
            .map(|key| dirs::TopicData {
                topic_id: key.0,
                partitions: vec![dirs::PartitionData { partition_index: key.1 }],
            })
            .collect();
        let (Some(controller), false) = (process.controller(), topics.is_empty()) else { return };
        let request = AssignReplicasToDirsRequest {
            broker_id: id,
            broker_epoch: process.life.epoch,
            directories: vec![dirs::DirectoryData { id: dir_id, topics }],
        };
        let party = Party::Node { index: node, incarnation: self.nodes[node].incarnation };
        self.send(party, controller, Ask::AssignDirs(request), Purpose::Nothing);
    }

    fn propose_changes(&mut self, node: usize) {
        let (now, id, incarnation) = (self.now, self.nodes[node].id(), self.nodes[node].incarnation);
        let Some(process) = &mut self.nodes[node].process else { return };
        if let Some((_, _, late)) = process.proposing.take_if(|(_, since, _)| now - *since > PATIENCE_MS) {
            for (key, proposal) in late {
                self.with(node, key, |partition, around, _| {
                    partition.answered(&proposal, leader::Answer::Refused(Refusal::Other), around);
                    Ok(())
                });
            }
        }
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.proposing.is_some() || process.to_propose.is_empty() {
            return;
        }
        let Some(controller) = process.controller() else { return };
        // Of one partition only the newest is still wanted; an answer names the partition, not the proposal.
        let newest: BTreeMap<Key, leader::Proposal> = process.to_propose.drain(..).collect();
        let proposals: Vec<(Key, leader::Proposal)> = newest.into_iter().collect();
        let mut topics: BTreeMap<Uuid, Vec<PartitionData>> = BTreeMap::new();
        for (key, proposal) in &proposals {
            let member =
                |it: &leader::InSync| BrokerState { broker_id: it.id, broker_epoch: it.broker_epoch };
            topics.entry(key.0).or_default().push(PartitionData {
                partition_index: key.1,
                leader_epoch: proposal.leader_epoch,
                new_isr: Vec::new(),
                new_isr_with_epochs: proposal.isr.iter().map(member).collect(),
                leader_recovery_state: i8::from(proposal.recovery == Recovery::Recovering),
                partition_epoch: proposal.partition_epoch,
            });
        }
        let topics = topics.into_iter().map(|(topic_id, partitions)| TopicData { topic_id, partitions });
        let request = AlterPartitionRequest {
            broker_id: id,
            broker_epoch: process.life.epoch,
            topics: topics.collect(),
        };
        let party = Party::Node { index: node, incarnation };
        let purpose = Purpose::Proposals;
        let number = self.send(party, controller, Ask::AlterPartition(request), purpose);
        if let Some(process) = &mut self.nodes[node].process {
            process.proposing = Some((number, now, proposals));
        }
    }

    fn told_of_proposals(&mut self, node: usize, number: u64, answer: Answer) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some((_, _, proposals)) = process.proposing.take_if(|(asked, _, _)| *asked == number) else {
            return;
        };
        let response = match answer {
            Answer::Altered(response) if response.error_code == 0 => Some(response),
            _ => None,
        };
        for (key, proposal) in proposals {
            let answer = response.as_ref().and_then(|response| decision(response, key));
            let answer = answer.unwrap_or(leader::Answer::Refused(Refusal::Other));
            self.with(node, key, |partition, around, _| {
                partition.answered(&proposal, answer, around);
                Ok(())
            });
        }
    }

    /// Asks the leader of a partition the next question, if there is one and none is on its way.
    pub(super) fn go_on_fetching(&mut self, node: usize, key: Key) {
        let (now, id, incarnation) = (self.now, self.nodes[node].id(), self.nodes[node].incarnation);
        let Some(process) = &mut self.nodes[node].process else { return };
        let broker_epoch = process.life.epoch;
        let Some(partition) = process.partitions.get_mut(&key) else { return };
        if let Some((_, since)) = partition.asking {
            if now - since <= PATIENCE_MS {
                return;
            }
            partition.asking = None;
        }
        let asked = self.with(node, key, |partition, around, dir| partition.question(dir, around));
        let Some((leader, question)) = asked else { return };
        let (ask, purpose) = match question {
            Question::Fetch(fetch) => {
                (Ask::Fetch { key, replica: id, broker_epoch, fetch }, Purpose::Fetch { key, asked: fetch })
            }
            Question::Offset(query) => (Ask::Offset { key, query }, Purpose::Offset { key, asked: query }),
            Question::Nothing => return,
        };
        let number = self.send(Party::Node { index: node, incarnation }, leader as usize - 1, ask, purpose);
        let process = self.nodes[node].process.as_mut();
        if let Some(partition) = process.and_then(|it| it.partitions.get_mut(&key)) {
            partition.asking = Some((number, now));
        }
    }

    /// An answer to something this node asked.
    pub(super) fn told(&mut self, node: usize, number: u64, purpose: Purpose, answer: Answer) {
        let current = |world: &mut World, key: Key| {
            let process = world.nodes[node].process.as_mut()?;
            let partition = process.partitions.get_mut(&key)?;
            partition.asking.take_if(|(asked, _)| *asked == number).map(|_| ())
        };
        match purpose {
            Purpose::Life => self.told_of_life(node, number, answer),
            Purpose::Proposals => self.told_of_proposals(node, number, answer),
            Purpose::Fetch { key, asked } => {
                if current(self, key).is_none() {
                    return;
                }
                self.with(node, key, |partition, around, dir| match answer {
                    Answer::Fetched(result) => partition.fetched(&asked, result, dir, around),
                    _ => {
                        partition.unanswered(around);
                        Ok(())
                    }
                });
                self.go_on_fetching(node, key);
            }
            Purpose::Offset { key, asked } => {
                if current(self, key).is_none() {
                    return;
                }
                self.with(node, key, |partition, around, dir| match answer {
                    Answer::Offset(result) => partition.offset_answered(&asked, result, dir, around),
                    _ => {
                        partition.unanswered(around);
                        Ok(())
                    }
                });
                self.go_on_fetching(node, key);
            }
            Purpose::Write | Purpose::Nothing => {}
        }
    }

    fn write_checkpoints(&mut self, node: usize) {
        let now = self.now;
        let flushes = self.random.chance(300);
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.checkpoint_at > now {
            return;
        }
        process.checkpoint_at = now + CHECKPOINT_MS;
        let mut done = Ok(());
        let (mut recovery_points, mut high_watermarks) = process.carry_over();
        for partition in process.partitions.values_mut() {
            if flushes && done.is_ok() {
                done = partition.log.flush(now).map(drop);
            }
            partition.checkpointed = partition.log.recovery_point();
            recovery_points.push(partition.entry(partition.log.recovery_point()));
            high_watermarks.push(partition.entry(partition.log.high_watermark()));
        }
        let dir = process.dir.clone();
        let done = done
            .and_then(|()| dir.write_checkpoint(CheckpointKind::RecoveryPoint, recovery_points))
            .and_then(|()| dir.write_checkpoint(CheckpointKind::HighWatermark, high_watermarks));
        if let Err(error) = done {
            self.failed(node, &error.to_string());
        }
    }

    /// Closes the logs for good, and has the quorum stop.
    pub(super) fn close_partitions(&mut self, node: usize) {
        self.leave_seats(node);
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.closed.is_some() {
            return;
        }
        let (mut recovery_points, mut high_watermarks) = process.carry_over();
        let mut done = Ok(());
        let held = process.dir.partitions().unwrap_or_default();
        let opened = |it: &PartitionDir| {
            process.partitions.values().any(|p| p.key.1 == it.partition && *p.topic == *it.topic)
        };
        process.unchecked = !process.clean && held.iter().any(|it| is_ours(&it.topic) && !opened(it));
        for partition in std::mem::take(&mut process.partitions).into_values() {
            recovery_points.push(partition.entry(partition.log.log_end()));
            high_watermarks.push(partition.entry(partition.log.high_watermark()));
            done = done.and(partition.log.close_at_shutdown().map(drop));
        }
        process.closed = Some((recovery_points, high_watermarks));
        if let Err(error) = done {
            return self.failed(node, &error.to_string());
        }
        self.note(format_args!("{} has closed its logs", node + 1));
        self.step(node, |replica, time| replica.shutdown(time, 1_000));
    }
}

/// What the controller said to one proposal.
fn decision(response: &AlterPartitionResponse, key: Key) -> Option<leader::Answer> {
    let topic = response.topics.iter().find(|topic| topic.topic_id == key.0)?;
    let data = topic.partitions.iter().find(|data| data.partition_index == key.1)?;
    let refusal = match ErrorCode::from_i16(data.error_code)? {
        ErrorCode::None => {
            return Some(leader::Answer::Committed {
                leader_epoch: data.leader_epoch,
                partition_epoch: data.partition_epoch,
                isr: data.isr.clone(),
                recovery: match data.leader_recovery_state {
                    1 => Recovery::Recovering,
                    _ => Recovery::Recovered,
                },
            });
        }
        ErrorCode::OperationNotAttempted => Refusal::OperationNotAttempted,
        ErrorCode::IneligibleReplica => Refusal::IneligibleReplica,
        ErrorCode::UnknownTopicOrPartition => Refusal::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId => Refusal::UnknownTopicId,
        ErrorCode::FencedLeaderEpoch => Refusal::FencedLeaderEpoch,
        ErrorCode::InvalidUpdateVersion => Refusal::InvalidUpdateVersion,
        ErrorCode::InvalidRequest => Refusal::InvalidRequest,
        ErrorCode::NewLeaderElected => Refusal::NewLeaderElected,
        _ => Refusal::Other,
    };
    Some(leader::Answer::Refused(refusal))
}
