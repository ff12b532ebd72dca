//! What a change of the metadata means here: partitions are opened, led, re-configured and deleted.
//!
//! Called with one change after the other, in the log's order, before the new image is shown to clients: whoever sees a
//! partition in the image finds it in the table.

use std::collections::HashMap;
use std::sync::Arc;

use ottla_config::TopicConfig;
use ottla_metadata::delta::LocalPartition;
use ottla_metadata::image::ConfigResource;
use ottla_metadata::image::config::{BROKER, TOPIC};
use ottla_metadata::{Delta, Image};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::dirs::place;
use crate::disk::in_parallel;
use crate::network::wall_ms;
use crate::node::Node;
use crate::partition::{OpenError, Partition, assignment};
use crate::topic_names;

/// The feature that says how transactions are written and ended (KIP-890).
const TRANSACTION_VERSION: &str = "transaction.version";

impl Node {
    /// Applies a change of the metadata, then shows the new image.
    pub(crate) fn publish(self: &Arc<Self>, delta: Delta) {
        let image = Arc::new(delta.after().clone());
        let local = delta.local_changes(self.node_id());
        self.neighbours().take(&image);
        let level = |image: &Image| image.features.level(TRANSACTION_VERSION);
        if level(&image) != level(&self.image()) {
            self.transactions().set_transaction_version(self.static_config(), level(&image));
        }
        for (topic, topic_id, index, topic_is_gone) in &local.deletes {
            self.delete(topic, *topic_id, *index, *topic_is_gone);
        }
        self.lead(&image, local.leaders);
        self.follow(&image, local.followers);
        self.reconfigure(&delta, &image);
        let gone: Vec<(&str, Uuid)> =
            delta.changes().deleted_topics().map(|topic| (topic.name.as_ref(), topic.id)).collect();
        self.show(image);
        if !gone.is_empty() {
            self.groups().topics_deleted(&gone);
        }
    }

    /// The configuration of a topic: its own values over those of the broker.
    pub(crate) fn topic_config(&self, image: &Image, topic: &str) -> Arc<TopicConfig> {
        let config = self.config();
        let resource = ConfigResource::topic(topic);
        let Some(overrides) = image.configs.of(&resource) else {
            return Arc::new(config.topic_defaults.clone());
        };
        let overrides = overrides.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        match TopicConfig::of_topic(config.settings(), &overrides) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                // A record of a node with other rules: what cannot be understood is not applied.
                warn!("configuration of topic {topic} is not applied: {error}");
                Arc::new(config.topic_defaults.clone())
            }
        }
    }

    /// Opens one partition and puts it into the table.
    fn open(&self, local: &LocalPartition, config: Arc<TopicConfig>, dir: usize) -> Option<Arc<Partition>> {
        let opened = Partition::open(
            &self.dirs()[dir],
            dir,
            &local.topic,
            local.topic_id,
            local.index,
            config,
            self.producer_expiry_ms(),
            wall_ms(),
            self.neighbours(),
        );
        match opened {
            Ok(mut partition) => {
                partition.count_with(self.traffic().of(local.topic_id));
                let partition = Arc::new(partition);
                self.partitions().insert(partition.clone());
                Some(partition)
            }
            Err(OpenError { path, why }) => {
                error!("cannot open {}: {why}; the partition stays offline", path.display());
                self.partitions().set_offline(local.topic_id, local.index);
                None
            }
        }
    }

    /// Leads these partitions from now on, opening or making those that are new.
    fn lead(self: &Arc<Self>, image: &Arc<Image>, leaders: Vec<LocalPartition>) {
        // Metadata that is older than this process may say what its predecessor led. Whoever takes that for its own and
        // writes groups there writes in an epoch in which other records may have been lost.
        let is_registered = self.is_registered_in(image);
        self.at_hand(image, leaders, |node, partition, local, config| {
            node.lead_one(partition, local, config, is_registered);
        });
    }

    /// Follows the leaders of these partitions from now on, opening or making those that are new.
    fn follow(self: &Arc<Self>, image: &Arc<Image>, followers: Vec<LocalPartition>) {
        for local in &followers {
            self.resign_coordinator(&local.topic, local.index);
        }
        self.at_hand(image, followers, |_, partition, local, config| {
            let leader_epoch = local.partition.leader_epoch;
            match local.partition.has_leader() {
                true => partition.follow(local.partition.leader, leader_epoch, config),
                false => partition.resign(leader_epoch),
            }
        });
    }

    /// Has `act` run on each partition, whose log is opened or made before where it is not at hand.
    fn at_hand(
        self: &Arc<Self>,
        image: &Arc<Image>,
        locals: Vec<LocalPartition>,
        act: impl Fn(&Arc<Self>, &Arc<Partition>, &LocalPartition, Arc<TopicConfig>) + Send + Sync,
    ) {
        let mut configs: HashMap<Arc<str>, Arc<TopicConfig>> = HashMap::new();
        let mut fresh = Vec::new();
        for local in locals {
            let config = configs
                .entry(local.topic.clone())
                .or_insert_with(|| self.topic_config(image, &local.topic))
                .clone();
            match self.partitions().by_id(local.topic_id, local.index) {
                Some(partition) => act(self, &partition, &local, config),
                None => fresh.push((local, config)),
            }
        }
        if fresh.is_empty() {
            return;
        }
        let threads = self.config().log.recovery_threads_per_dir.max(1) as usize;
        let mut held = self.held_by_dir();
        let (mut planned, mut unreachable) = (vec![Vec::new(); self.dirs().len()], 0);
        for (local, config) in fresh {
            let replica = (&local.topic, local.index);
            let assigned = local.partition.directory(self.node_id());
            match place(self.dirs(), self.has_offline_dir(), replica, assigned, &held) {
                Some(dir) => {
                    held[dir] += 1;
                    planned[dir].push((local, config, dir));
                }
                None => {
                    self.partitions().set_offline(local.topic_id, local.index);
                    unreachable += 1;
                }
            }
        }
        if unreachable > 0 {
            warn!(
                "Skipping creation of {unreachable} logs because there are potentially offline log directories and the logs may already exist there"
            );
        }
        in_parallel(planned, threads, |(local, config, dir)| {
            if let Some(partition) = self.open(&local, config.clone(), dir) {
                act(self, &partition, &local, config);
            }
        });
    }

    fn lead_one(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        local: &LocalPartition,
        config: Arc<TopicConfig>,
        is_registered: bool,
    ) {
        let leader_epoch = local.partition.leader_epoch;
        partition.lead(assignment(&local.partition), config);
        if !is_registered || !local.new_leader_epoch {
            return;
        }
        // A shard is there at once, so that whoever gives it up later finds it.
        let (node, index, journal) = (self.clone(), local.index, partition.clone());
        match local.topic.as_ref() {
            topic_names::OFFSETS => {
                if let Some(loading) = self.groups().lead(index, journal, leader_epoch) {
                    self.disk().run(move || node.groups().load(&loading));
                }
            }
            topic_names::TRANSACTIONS => {
                if let Some(loading) = self.transactions().lead(index, journal, leader_epoch) {
                    self.disk().run(move || node.transactions().load(&loading));
                }
            }
            _ => {}
        }
    }

    /// A partition is not led here any more, or gone: neither is what it coordinates.
    fn resign_coordinator(&self, topic: &str, index: i32) {
        match topic {
            topic_names::OFFSETS => self.groups().resign(index),
            topic_names::TRANSACTIONS => self.transactions().resign(index),
            _ => {}
        }
    }

    /// How many partitions each directory holds.
    fn held_by_dir(&self) -> Vec<usize> {
        let mut held = vec![0; self.dirs().len()];
        for partition in self.partitions().all() {
            held[partition.dir()] += 1;
        }
        held
    }

    fn delete(self: &Arc<Self>, topic: &str, topic_id: Uuid, index: i32, topic_is_gone: bool) {
        self.resign_coordinator(topic, index);
        let Some(partition) = self.partitions().remove(topic_id, index) else { return };
        match partition.delete(wall_ms()) {
            Ok(()) if topic_is_gone => info!("deleted partition {topic}-{index}"),
            Ok(()) => info!("partition {topic}-{index} has moved away; its files are deleted"),
            Err(error) => error!("cannot delete {topic}-{index}: {error}"),
        }
    }

    /// New configurations of topics, or of this broker, for the partitions they concern.
    fn reconfigure(self: &Arc<Self>, delta: &Delta, image: &Image) {
        let changed = &delta.changes().configs;
        if changed.is_empty() {
            return;
        }
        if changed.iter().any(|resource| resource.kind == BROKER) {
            self.broker_configs_changed(image);
            self.fetchers().resize(self);
            for partition in self.partitions().all() {
                partition.configure(self.topic_config(image, partition.topic()));
            }
            return;
        }
        for resource in changed.iter().filter(|resource| resource.kind == TOPIC) {
            let partitions = self.partitions().of_topic(&resource.name);
            if let Some(first) = partitions.first() {
                let config = self.topic_config(image, first.topic());
                for partition in &partitions {
                    partition.configure(config.clone());
                }
            }
        }
    }

    /// Partitions on the disk that the metadata does not know are put aside, not deleted (Kafka's stray partitions).
    pub(crate) fn put_strays_aside(&self) {
        for dir in self.dirs() {
            for stray in dir.strays() {
                let (topic, index) = (stray.topic.clone(), stray.partition);
                match dir.put_aside(&stray) {
                    Ok(aside) => warn!(
                        "partition {topic}-{index} in {} is not in the metadata; it was renamed to {aside}",
                        dir.path().display()
                    ),
                    Err(error) => error!("cannot put stray partition {topic}-{index} aside: {error}"),
                }
            }
            dir.forget_closed();
        }
    }
}
