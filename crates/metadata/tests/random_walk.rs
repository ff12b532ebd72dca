//! Random histories: brokers come, go, crash and lie about, leaders shrink and grow their ISRs, topics are made,
//! moved and deleted, controllers fail over. After every step the standby has followed, a snapshot loses nothing and
//! no invariant is broken.

mod support;

use ottla_metadata::decide::{Bootstrap, CreateContext};
use ottla_metadata::image::{ConfigResource, LeaderRecovery};
use ottla_metadata::random::{Random, Seeded};
use ottla_metadata::{MetadataVersion, Settings};
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData, TopicData,
};
use ottla_protocol::messages::create_topics_request::CreateTopicsRequest;
use ottla_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use ottla_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use ottla_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_protocol::messages::unregister_broker_request::UnregisterBrokerRequest;
use support::{Cluster, incarnation, topic};
use uuid::Uuid;

const BROKERS: usize = 5;

struct Walk {
    cluster: Cluster,
    random: Seeded,
    lives: u32,
    topics: u32,
}

impl Walk {
    fn broker(&mut self) -> i32 {
        self.random.below(BROKERS) as i32 + 1
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn some_topic(&mut self) -> Option<String> {
        let count = self.cluster.image().topics.len();
        if count == 0 {
            return None;
        }
        let at = self.random.below(count);
        Some(self.cluster.image().topics.iter().nth(at)?.name.to_string())
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0 => self.register(),
            1..=4 => self.heartbeat(),
            5 => self.expire(),
            6 => self.create(),
            7..=10 => self.alter_partition(),
            11 => self.reassign(),
            12 => self.elect(),
            13 => self.configure(),
            14 => self.delete_or_unregister(),
            _ => self.fail_over(),
        }
    }

    fn register(&mut self) {
        let id = self.broker();
        let mut request = self.cluster.registration(id);
        if self.one_in(2) {
            self.lives += 1;
            request.incarnation_id = incarnation(id, self.lives);
            let clean = self.one_in(2);
            let epoch = self.cluster.image().broker(id).map_or(-1, |broker| broker.epoch);
            request.previous_broker_epoch = if clean { epoch } else { -1 };
        }
        let context = self.cluster.context(4);
        let decision = self.cluster.controller.register_broker(&request, context);
        if self.cluster.run(decision).error_code == 0 {
            self.cluster.lives.insert(id, request.incarnation_id);
        }
    }

    fn heartbeat(&mut self) {
        let id = self.broker();
        let mut request = self.cluster.heartbeat_request(id);
        request.want_fence = self.one_in(12);
        request.want_shut_down = self.one_in(12);
        if self.one_in(6) {
            request.current_metadata_offset -= self.random.below(20) as i64;
        }
        self.cluster.heartbeat(&request);
    }

    fn expire(&mut self) {
        let unfenced: Vec<i32> =
            self.cluster.image().brokers.values().filter(|broker| !broker.fenced).map(|b| b.id).collect();
        let alive: Vec<i32> = unfenced.into_iter().filter(|_| !self.one_in(3)).collect();
        self.cluster.expire_except(&alive);
    }

    fn create(&mut self) {
        self.topics += 1;
        let (count, replicas) = (self.random.below(3) + 1, self.random.below(4) + 1);
        let wished = topic(&format!("t{}", self.topics), count as i32, replicas as i16);
        self.cluster.create(vec![wished]);
    }

    fn alter_partition(&mut self) {
        let Some(name) = self.some_topic() else { return };
        let image = self.cluster.image().clone();
        let topic = image.topics.by_name(&name).unwrap();
        let index = self.random.below(topic.partitions.len()) as i32;
        let partition = topic.partition(index).unwrap();
        let Some(leader) = image.broker(partition.leader) else { return };
        let mut isr = vec![leader.id];
        for &id in partition.replicas.iter().filter(|id| **id != leader.id) {
            if !self.one_in(3) {
                isr.push(id);
            }
        }
        if partition.recovery == LeaderRecovery::Recovering && self.one_in(2) {
            isr.truncate(1);
        }
        let epoch = |id: i32| image.broker(id).map_or(-1, |broker| broker.epoch);
        let wished = PartitionData {
            partition_index: index,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            new_isr_with_epochs: isr
                .iter()
                .map(|&id| BrokerState { broker_id: id, broker_epoch: epoch(id) })
                .collect(),
            leader_recovery_state: if isr.len() == 1 { partition.recovery.code() } else { 0 },
            new_isr: Vec::new(),
        };
        let request = AlterPartitionRequest {
            broker_id: leader.id,
            broker_epoch: leader.epoch,
            topics: vec![TopicData { topic_id: topic.id, partitions: vec![wished] }],
        };
        let decision = self.cluster.controller.view().alter_partition(&request, 3);
        self.cluster.run(decision);
    }

    fn reassign(&mut self) {
        let Some(name) = self.some_topic() else { return };
        let mut target: Vec<i32> = (1..=BROKERS as i32).filter(|_| !self.one_in(2)).collect();
        ottla_metadata::random::shuffle(&mut target, &mut self.random);
        let replicas = if self.one_in(3) { None } else { Some(target) };
        let partition = ReassignablePartition { partition_index: 0, replicas };
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic { name, partitions: vec![partition] }],
            ..Default::default()
        };
        let decision = self.cluster.controller.view().alter_partition_reassignments(&request);
        self.cluster.run(decision);
    }

    fn elect(&mut self) {
        match self.random.below(4) {
            0 => {
                let decision = self.cluster.controller.view().balance_leaders();
                self.cluster.run(decision);
            }
            1 => {
                let decision = self.cluster.controller.view().elect_unclean_leaders();
                self.cluster.run(decision);
            }
            kind => {
                let request = ElectLeadersRequest {
                    election_type: kind as i8 - 2,
                    topic_partitions: None,
                    ..Default::default()
                };
                let decision = self.cluster.controller.view().elect_leaders(&request);
                self.cluster.run(decision);
            }
        }
    }

    fn configure(&mut self) {
        let Some(name) = self.some_topic() else { return };
        let (kind, name) = if self.one_in(4) { (4, String::new()) } else { (2, name) };
        let (key, value) = if self.one_in(3) {
            ("unclean.leader.election.enable", ["true", "false"][self.random.below(2)].to_owned())
        } else {
            ("min.insync.replicas", (self.random.below(3) + 1).to_string())
        };
        let config = AlterableConfig { name: key.to_owned(), config_operation: 0, value: Some(value) };
        let resource =
            AlterConfigsResource { resource_type: kind, resource_name: name, configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        let decision = self.cluster.controller.view().incremental_alter_configs(&request, false);
        self.cluster.run(decision);
    }

    fn delete_or_unregister(&mut self) {
        if self.one_in(3) {
            let request = UnregisterBrokerRequest { broker_id: self.broker() };
            let decision = self.cluster.controller.view().unregister_broker(&request);
            self.cluster.run(decision);
        } else if let Some(name) = self.some_topic().filter(|_| self.cluster.image().topics.len() > 3) {
            let topics = vec![DeleteTopicState { name: Some(name), topic_id: Uuid::nil() }];
            let request = DeleteTopicsRequest { topics, ..Default::default() };
            let decision = self.cluster.controller.view().delete_topics(&request, 6, &|_, _| true);
            self.cluster.run(decision);
        }
    }

    /// Some decisions stay uncommitted, leadership is lost, another term begins on what is committed.
    fn fail_over(&mut self) {
        if !self.one_in(4) {
            return;
        }
        let (length, batches) = (self.cluster.log.len(), self.cluster.ends.len());
        let committed = self.cluster.image().clone();
        self.topics += 1;
        let topics = vec![topic(&format!("t{}", self.topics), 1, 1)];
        let request = CreateTopicsRequest { topics, ..Default::default() };
        let mut random = Seeded(self.random.next_u64());
        let mut context = CreateContext { access: &|_, _| true, forwarded: false, random: &mut random };
        let decision = self.cluster.controller.view().create_topics(&request, &mut context);
        self.cluster.append(decision);
        self.cluster.controller.deactivate();
        assert_eq!(self.cluster.image(), &committed);
        // The uncommitted tail is truncated on the other nodes.
        self.cluster.log.truncate(length);
        self.cluster.ends.truncate(batches);
        let decision = self.cluster.controller.activate(&Bootstrap::missing(), self.cluster.now_ms);
        self.cluster.run(decision);
    }
}

fn walk(version: i16, seed: u64, steps: usize) -> Walk {
    let version = MetadataVersion::from_level(version).unwrap();
    let mut settings = Settings::new(1, "cluster");
    settings.static_min_insync_replicas = 2;
    let cluster = Cluster::with(Bootstrap::formatted(version), settings);
    let mut walk = Walk { cluster, random: Seeded(seed), lives: 1, topics: 0 };
    walk.cluster.start(&[1, 2, 3]);
    for _ in 0..steps {
        walk.step();
        walk.cluster.check();
    }
    walk
}

#[test]
fn histories_with_elr_break_nothing() {
    let mut elections = 0;
    for seed in 0..60 {
        let end = walk(30, seed, 400);
        let from_elr = |p: &ottla_metadata::image::Partition| p.leader_epoch > 0;
        elections += end.cluster.image().partitions().filter(|(_, _, p)| from_elr(p)).count();
    }
    assert!(elections > 100, "the walks do get somewhere: {elections} partitions had elections");
}

#[test]
fn histories_without_elr_break_nothing() {
    for version in [8, 11, 14, 17, 25] {
        for seed in 0..10 {
            walk(version, seed, 300);
        }
    }
}

#[test]
fn the_same_seed_writes_the_same_log() {
    let (one, two) = (walk(30, 7, 300), walk(30, 7, 300));
    assert_eq!(one.cluster.log, two.cluster.log);
    let value = one.cluster.image().configs.get(&ConfigResource::cluster(), "min.insync.replicas");
    assert!(value.is_some(), "with ELR on the cluster always has a minimum");
}
