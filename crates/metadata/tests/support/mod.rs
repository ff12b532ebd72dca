//! A controller with its log, as the tests drive it: every decision is appended and, unless told otherwise,
//! committed at once, while a standby follows the committed records.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::BTreeMap;

use ottla_metadata::controller::batches;
use ottla_metadata::decide::{
    Bootstrap, ConfigRules, CreateContext, Decision, EffectiveConfig, Record, RegistrationContext,
};
use ottla_metadata::error::MetadataError;
use ottla_metadata::features;
use ottla_metadata::image::config::ConfigMap;
use ottla_metadata::image::{ConfigResource, NO_LEADER, Partition};
use ottla_metadata::random::{Random, Seeded};
use ottla_metadata::{Controller, Image, Loader, MetadataVersion, Refusal, Settings, snapshot};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::broker_heartbeat_request::BrokerHeartbeatRequest;
use ottla_protocol::messages::broker_heartbeat_response::BrokerHeartbeatResponse;
use ottla_protocol::messages::broker_registration_request::{BrokerRegistrationRequest, Feature, Listener};
use ottla_protocol::messages::broker_registration_response::BrokerRegistrationResponse;
use ottla_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::metadata_records::MetadataRecord;
use uuid::Uuid;

/// Knows a handful of keys.
pub struct Table;

impl ConfigRules for Table {
    fn validate(&self, resource: &ConfigResource, new: &ConfigMap, _: &ConfigMap) -> Result<(), Refusal> {
        for (key, value) in new {
            let number = value.parse::<i64>().is_ok();
            let wrong = match key.as_str() {
                "min.insync.replicas" | "retention.ms" => !number,
                "cleanup.policy" | "unclean.leader.election.enable" | "cordoned.log.dirs" => false,
                _ => {
                    return Err(Refusal::new(
                        ErrorCode::InvalidConfig,
                        format!(
                            "Unknown {} config name: {key}",
                            if resource.kind == 2 { "topic" } else { "other" }
                        ),
                    ));
                }
            };
            if wrong {
                return Err(Refusal::new(
                    ErrorCode::InvalidConfig,
                    format!("Invalid value {value} for configuration {key}: Not a number"),
                ));
            }
        }
        Ok(())
    }

    fn is_list(&self, _: i8, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn default_value(&self, _: i8, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".to_owned())
    }

    fn effective_topic_configs(
        &self,
        topic: &ConfigMap,
        _: &ConfigMap,
        cluster: &ConfigMap,
    ) -> Vec<EffectiveConfig> {
        let keys = ["cleanup.policy", "min.insync.replicas"];
        keys.iter()
            .map(|&key| {
                let (value, source) = match (topic.get(key), cluster.get(key)) {
                    (Some(value), _) => (value.clone(), 1),
                    (None, Some(value)) => (value.clone(), 3),
                    (None, None) => ("default".to_owned(), 5),
                };
                EffectiveConfig {
                    name: key.to_owned(),
                    value: Some(value),
                    source,
                    is_sensitive: false,
                    read_only: false,
                }
            })
            .collect()
    }
}

/// One controller, its log and a standby.
pub struct Cluster {
    pub controller: Controller,
    /// Every record of the log, by offset.
    pub log: Vec<MetadataRecord>,
    /// Ends (last offsets) of the log's batches.
    pub ends: Vec<i64>,
    /// Last committed offset.
    pub committed: i64,
    pub standby: Loader,
    pub now_ms: i64,
    pub random: Seeded,
    pub kraft_version: i16,
    /// Incarnation by broker.
    pub lives: BTreeMap<i32, Uuid>,
}

pub fn incarnation(broker: i32, life: u32) -> Uuid {
    Uuid::from_u128((0xabcd << 96) | ((broker as u128) << 32) | u128::from(life))
}

pub fn directory(broker: i32, number: u32) -> Uuid {
    Uuid::from_u128((0xd1 << 96) | ((broker as u128) << 32) | u128::from(number))
}

impl Cluster {
    /// A new cluster at a metadata version, with its default features, bootstrapped.
    pub fn at(version: i16) -> Cluster {
        let version = MetadataVersion::from_level(version).unwrap();
        Cluster::with(Bootstrap::formatted(version), Settings::new(1, "cluster"))
    }

    pub fn latest() -> Cluster {
        Cluster::at(MetadataVersion::LATEST.level())
    }

    pub fn with(bootstrap: Bootstrap, settings: Settings) -> Cluster {
        let mut cluster = Cluster {
            controller: Controller::new(settings, Box::new(Table)),
            log: Vec::new(),
            ends: Vec::new(),
            committed: -1,
            standby: Loader::default(),
            now_ms: 1_000_000,
            random: Seeded(42),
            kraft_version: 1,
            lives: BTreeMap::new(),
        };
        let decision = cluster.controller.activate(&bootstrap, cluster.now_ms);
        cluster.run(decision);
        cluster
    }

    pub fn next_offset(&self) -> i64 {
        self.log.len() as i64
    }

    /// Appends a decision without committing it.
    pub fn append<R>(&mut self, decision: Decision<R>) -> R {
        let base = self.next_offset();
        check_versions(&decision.records);
        self.controller.append(base, &decision.records, decision.atomic);
        for batch in batches(&decision.records, decision.atomic) {
            self.log.extend(batch.iter().map(|(record, _)| record.clone()));
            self.ends.push(self.log.len() as i64 - 1);
        }
        decision.reply
    }

    /// Commits everything appended; the standby follows.
    pub fn commit(&mut self) {
        let committed = self.committed;
        for &end in self.ends.iter().filter(|end| **end > committed) {
            let from = (self.committed + 1) as usize;
            self.standby
                .batch(from as i64, 1, self.now_ms, &self.log[from..=end as usize])
                .expect("a committed record can be replayed");
            self.committed = end;
        }
        self.controller.commit(self.committed);
        self.standby.publish();
    }

    pub fn run<R>(&mut self, decision: Decision<R>) -> R {
        let reply = self.append(decision);
        self.commit();
        reply
    }

    pub fn image(&self) -> &Image {
        self.controller.image()
    }

    /// What must hold after every committed decision.
    pub fn check(&self) {
        let image = self.image();
        assert_eq!(image, self.standby.image(), "the standby follows the active controller");
        let records: Vec<_> = snapshot::records(image).map(|(record, _)| record).collect();
        assert_eq!(&snapshot::read(&records, 0, 0, 0).unwrap(), image, "a snapshot loses nothing");
        let elr = image.features.elr_enabled();
        let mut partitions = 0;
        for (topic, index, p) in image.partitions() {
            partitions += 1;
            let at = || format!("{}-{index}: {p:?}", topic.name);
            assert!(p.isr.iter().all(|id| p.replicas.contains(id)), "{}", at());
            assert!(p.elr().iter().all(|id| p.replicas.contains(id) && !p.isr.contains(id)), "{}", at());
            assert_eq!(p.replicas.len(), p.directories.len(), "{}", at());
            let distinct: std::collections::BTreeSet<_> = p.replicas.iter().collect();
            assert_eq!(distinct.len(), p.replicas.len(), "{}", at());
            assert!(elr || !p.isr.is_empty(), "without ELR the last member stays; {}", at());
            if p.has_leader() {
                assert!(p.isr.contains(&p.leader), "{}", at());
                assert!(
                    image.is_active(p.leader) || image.broker(p.leader).is_some_and(|b| !b.fenced),
                    "{}",
                    at()
                );
            }
            if elr {
                let fenced = |id: &i32| image.broker(*id).is_none_or(|broker| broker.fenced);
                assert!(!p.isr.iter().any(fenced), "no fenced broker in the ISR; {}", at());
                let min = image.effective_min_isr(topic, 1, 1);
                assert!(p.isr.len() < min || p.elr().is_empty(), "{}", at());
            }
        }
        assert_eq!(partitions, image.topics.partition_count());
        for topic in image.topics.iter() {
            assert_eq!(image.topics.id_of(&topic.name), Some(topic.id));
        }
    }

    /// A registration request of a broker's current life.
    pub fn registration(&self, id: i32) -> BrokerRegistrationRequest {
        BrokerRegistrationRequest {
            broker_id: id,
            cluster_id: "cluster".to_owned(),
            incarnation_id: self.lives.get(&id).copied().unwrap_or_else(|| incarnation(id, 1)),
            listeners: vec![Listener {
                name: "PLAINTEXT".to_owned(),
                host: format!("host{id}"),
                port: 9092,
                security_protocol: 0,
            }],
            features: features::supported()
                .into_iter()
                .map(|(name, range)| Feature {
                    name,
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                })
                .collect(),
            rack: None,
            log_dirs: vec![directory(id, 1)],
            ..BrokerRegistrationRequest::default()
        }
    }

    pub fn context(&self, request_version: i16) -> RegistrationContext {
        RegistrationContext {
            request_version,
            next_offset: self.next_offset(),
            kraft_version: self.kraft_version,
            now_ms: self.now_ms,
            own_process: true,
        }
    }

    pub fn register(&mut self, request: &BrokerRegistrationRequest) -> BrokerRegistrationResponse {
        self.lives.insert(request.broker_id, request.incarnation_id);
        let context = self.context(4);
        let decision = self.controller.register_broker(request, context);
        self.run(decision)
    }

    pub fn heartbeat_request(&self, id: i32) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: self.image().broker(id).map_or(-1, |broker| broker.epoch),
            current_metadata_offset: self.committed,
            ..BrokerHeartbeatRequest::default()
        }
    }

    pub fn heartbeat(&mut self, request: &BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
        let decision = self.controller.broker_heartbeat(request, self.next_offset(), self.now_ms);
        self.run(decision)
    }

    /// Registers and unfences brokers.
    pub fn start(&mut self, ids: &[i32]) {
        for &id in ids {
            let request = self.registration(id);
            assert_eq!(self.register(&request).error_code, 0);
            assert!(self.alive(id));
        }
    }

    /// A plain heartbeat; true if the broker is now unfenced.
    pub fn alive(&mut self, id: i32) -> bool {
        let request = self.heartbeat_request(id);
        let response = self.heartbeat(&request);
        assert_eq!(response.error_code, 0);
        !response.is_fenced
    }

    /// Lets sessions run out, except those of `alive`.
    pub fn expire_except(&mut self, alive: &[i32]) {
        self.now_ms += self.controller.settings().session_timeout_ms + 1;
        for &id in alive {
            let epoch = self.image().broker(id).unwrap().epoch;
            self.controller.contact(id, epoch, self.now_ms);
        }
        loop {
            let decision = self.controller.fence_stale_broker(self.now_ms);
            if !self.run(decision) {
                break;
            }
        }
    }

    pub fn create(&mut self, topics: Vec<CreatableTopic>) -> Vec<CreatableTopicResult> {
        self.create_with(CreateTopicsRequest { topics, ..CreateTopicsRequest::default() })
    }

    pub fn create_with(&mut self, request: CreateTopicsRequest) -> Vec<CreatableTopicResult> {
        let mut random = Seeded(self.random.next_u64());
        let mut context = CreateContext { access: &|_, _| true, forwarded: false, random: &mut random };
        let decision = self.controller.view().create_topics(&request, &mut context);
        self.run(decision).topics
    }

    /// A topic with given replicas for each partition.
    pub fn create_on(&mut self, name: &str, replicas: &[&[i32]], configs: &[(&str, &str)]) -> Uuid {
        let assignments = (0..)
            .zip(replicas)
            .map(|(partition_index, ids)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: ids.to_vec(),
            })
            .collect();
        let configs = configs
            .iter()
            .map(|&(name, value)| CreatableTopicConfig {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            })
            .collect();
        let results = self.create(vec![CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            assignments,
            configs,
        }]);
        assert_eq!((results[0].error_code, &results[0].error_message), (0, &None));
        results[0].topic_id
    }

    pub fn partition(&self, topic: &str, index: i32) -> &Partition {
        self.image().partition(topic, index).unwrap()
    }

    /// (leader or none, ISR, ELR) of partition 0.
    pub fn state(&self, topic: &str) -> (Option<i32>, Vec<i32>, Vec<i32>) {
        let p = self.partition(topic, 0);
        (Some(p.leader).filter(|&id| id != NO_LEADER), p.isr.to_vec(), p.elr().to_vec())
    }
}

/// A plain topic.
pub fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: replicas,
        ..CreatableTopic::default()
    }
}

/// Every record can be written in the version the decision says and comes back the same.
pub fn check_versions(records: &[Record]) {
    for (record, version) in records {
        let framed = record.encode_framed(*version).expect("a decided record can be written");
        let (back, back_version) = MetadataRecord::decode_framed(&framed).expect("and read");
        assert_eq!((&back, back_version), (record, *version));
    }
}

/// Replays records on an empty image.
pub fn replay_all(records: &[MetadataRecord]) -> Result<Image, MetadataError> {
    let mut delta = ottla_metadata::Delta::default();
    for record in records {
        delta.replay(record)?;
    }
    Ok(delta.after().clone())
}
