//! New topics (CreateTopics).

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::topic_record::TopicRecord;
use uuid::Uuid;

use super::configs::Operation;
use super::names::validate_topic_name;
use super::{
    Access, Decision, MAX_RECORDS_PER_REQUEST, Record, Refusal, TopicAction, View, new_topic_id, place,
};
use crate::image::Partition;
use crate::image::config::{ConfigMap, ConfigResource};
use crate::image::topics::{collision_form, has_collision_chars};
use crate::random::Random;

/// Partitions one request may create.
const MAX_PARTITIONS_PER_REQUEST: i64 = 10_000;
/// The metadata log itself is no topic that anybody creates.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// What creating topics needs besides the metadata.
pub struct CreateContext<'a> {
    /// Who may create what, and see whose configuration.
    pub access: Access<'a>,
    /// Whether a broker passed the request on.
    pub forwarded: bool,
    /// Where topic ids and placements come from.
    pub random: &'a mut dyn Random,
}

impl View<'_> {
    /// Creates topics: for each a topic record, its configurations, its partitions; all in one batch. A topic that
    /// is refused does not hinder the others.
    pub fn create_topics(
        &self,
        request: &CreateTopicsRequest,
        context: &mut CreateContext<'_>,
    ) -> Decision<CreateTopicsResponse> {
        let respond = |topics| CreateTopicsResponse { throttle_time_ms: 0, topics };
        if self.wanted_partitions(request) > MAX_PARTITIONS_PER_REQUEST {
            let refusal = Refusal::new(
                ErrorCode::PolicyViolation,
                "Excessively large number of partitions per request.",
            );
            return Decision::read(respond(refuse_all(request, &refusal)));
        }
        let duplicates = super::duplicates(request.topics.iter().map(|topic| topic.name.as_str()));
        let mut created = NewTopics::default();
        let mut topics = Vec::new();
        for topic in request.topics.iter().filter(|topic| !duplicates.contains(topic.name.as_str())) {
            let result = self.check_and_create(topic, context, &mut created);
            topics.push(result.unwrap_or_else(|refusal| refused(&topic.name, refusal)));
        }
        for name in duplicates {
            let refusal = Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
            topics.push(refused(name, refusal));
        }
        if created.records.len() > MAX_RECORDS_PER_REQUEST {
            return Decision::read(respond(refuse_all(request, &Refusal::too_large())));
        }
        Decision::atomic(created.records, respond(topics)).only_validated(request.validate_only)
    }

    /// An upper bound, so that a huge request is refused before anything is built for it.
    fn wanted_partitions(&self, request: &CreateTopicsRequest) -> i64 {
        let wanted = |topic: &CreatableTopic| match (topic.assignments.len(), topic.num_partitions) {
            (0, -1) => i64::from(self.settings.default_partitions),
            (0, count) => i64::from(count.max(0)),
            (assigned, _) => assigned as i64,
        };
        request.topics.iter().map(wanted).sum()
    }

    fn check_and_create(
        &self,
        topic: &CreatableTopic,
        context: &mut CreateContext<'_>,
        created: &mut NewTopics,
    ) -> Result<CreatableTopicResult, Refusal> {
        let name = topic.name.as_str();
        if name == CLUSTER_METADATA {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("Creation of internal topic {CLUSTER_METADATA} is prohibited."),
            ));
        }
        if !(context.access)(TopicAction::Create, name) {
            return Err(Refusal::new(ErrorCode::TopicAuthorizationFailed, "Authorization failed."));
        }
        if self.image.topics.by_name(name).is_some() {
            return Err(Refusal::new(
                ErrorCode::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        validate_topic_name(name)
            .map_err(|message| Refusal::new(ErrorCode::InvalidTopicException, message))?;
        let colliding = self.image.topics.colliding_with(name).map(|other| other.to_string());
        if let Some(other) = colliding.or_else(|| created.colliding_with(name)) {
            return Err(Refusal::new(
                ErrorCode::InvalidTopicException,
                format!("Topic '{name}' collides with existing topic: {other}"),
            ));
        }
        let (wished, configs) = self.creation_configs(topic, context.forwarded)?;
        let partitions = if topic.assignments.is_empty() {
            self.placed_partitions(topic, context.random)?
        } else {
            self.assigned_partitions(topic)?
        };
        let id = loop {
            let id = new_topic_id(self.image, context.random);
            if !created.ids.contains(&id) {
                break id;
            }
        };
        let result = self.created_result(name, id, &partitions, &wished, context.access);
        created.add(self, name, id, configs, &partitions);
        Ok(result)
    }

    /// The configurations wished for and the records they become.
    fn creation_configs(
        &self,
        topic: &CreatableTopic,
        forwarded: bool,
    ) -> Result<(ConfigMap, Vec<Record>), Refusal> {
        let without_value = topic.configs.iter().filter(|config| config.value.is_none());
        let names: Vec<&str> = without_value.map(|config| config.name.as_str()).collect();
        if !names.is_empty() {
            return Err(Refusal::new(
                ErrorCode::InvalidConfig,
                format!("Null value not supported for topic configs: {}", names.join(",")),
            ));
        }
        let wished: ConfigMap = topic
            .configs
            .iter()
            .filter_map(|config| Some((config.name.clone(), config.value.clone()?)))
            .collect();
        let set = |(key, value): (&String, &String)| (key.clone(), Operation::Set(Some(value.clone())));
        let operations: BTreeMap<_, _> = wished.iter().map(set).collect();
        let records = if operations.is_empty() {
            Vec::new()
        } else {
            self.alter_resource(&ConfigResource::topic(&topic.name), operations, false, forwarded)?
        };
        Ok((wished, records))
    }

    /// Partitions as the request assigns them.
    fn assigned_partitions(&self, topic: &CreatableTopic) -> Result<Vec<Partition>, Refusal> {
        let refuse = |code, message: &str| Err(Refusal::new(code, message));
        if topic.replication_factor != -1 {
            return refuse(
                ErrorCode::InvalidRequest,
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            );
        }
        if topic.num_partitions != -1 {
            return refuse(
                ErrorCode::InvalidRequest,
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            );
        }
        let mut partitions = BTreeMap::new();
        let mut replication_factor = None;
        for assignment in &topic.assignments {
            let index = assignment.partition_index;
            if partitions.contains_key(&index) {
                return refuse(
                    ErrorCode::InvalidReplicaAssignment,
                    &format!("Found multiple manual partition assignments for partition {index}"),
                );
            }
            self.validate_assignment(&assignment.broker_ids, replication_factor)?;
            replication_factor = Some(assignment.broker_ids.len());
            let Some(partition) = self.new_partition(&assignment.broker_ids) else {
                return refuse(
                    ErrorCode::InvalidReplicaAssignment,
                    &format!(
                        "All brokers specified in the manual partition assignment for partition {index} are fenced \
                         or in controlled shutdown."
                    ),
                );
            };
            partitions.insert(index, partition);
        }
        if !partitions.keys().copied().eq(0..partitions.len() as i32) {
            return refuse(
                ErrorCode::InvalidReplicaAssignment,
                "partitions should be a consecutive 0-based integer sequence",
            );
        }
        Ok(partitions.into_values().collect())
    }

    /// Partitions placed by the controller.
    fn placed_partitions(
        &self,
        topic: &CreatableTopic,
        random: &mut dyn Random,
    ) -> Result<Vec<Partition>, Refusal> {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            return Err(Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            return Err(Refusal::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        let or_default = |wished: i32, default: i32| if wished == -1 { default } else { wished };
        let count = or_default(topic.num_partitions, self.settings.default_partitions);
        let replicas = match topic.replication_factor {
            -1 => self.settings.default_replication_factor,
            wished => wished,
        };
        let cannot = |reason: &str| {
            Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                format!("Unable to replicate the partition {replicas} time(s): {reason}"),
            )
        };
        let placed = place(&self.usable_brokers(), usize::try_from(count).unwrap_or(0), replicas, random)
            .map_err(|refusal| cannot(refusal.message.as_deref().unwrap_or_default()))?;
        let fenced = || cannot("All brokers are currently fenced or in controlled shutdown.");
        placed.iter().map(|replicas| self.new_partition(replicas).ok_or_else(fenced)).collect()
    }

    /// A new partition on these brokers: the active ones are in sync, the first of them leads. Nothing if none is
    /// active.
    pub(super) fn new_partition(&self, replicas: &[i32]) -> Option<Partition> {
        let isr: Vec<i32> = replicas.iter().copied().filter(|&id| self.image.is_active(id)).collect();
        let directories = replicas.iter().map(|&id| self.default_dir(id)).collect();
        (!isr.is_empty()).then(|| Partition::created(replicas, &isr, directories))
    }

    fn created_result(
        &self,
        name: &str,
        id: Uuid,
        partitions: &[Partition],
        wished: &ConfigMap,
        access: Access<'_>,
    ) -> CreatableTopicResult {
        let mut result = CreatableTopicResult {
            name: name.to_owned(),
            topic_id: id,
            error_code: 0,
            error_message: None,
            topic_config_error_code: 0,
            num_partitions: -1,
            replication_factor: -1,
            configs: Some(Vec::new()),
        };
        if !access(TopicAction::DescribeConfigs, name) {
            result.topic_config_error_code = ErrorCode::TopicAuthorizationFailed.code();
            return result;
        }
        let nothing = ConfigMap::new();
        let configs = &self.image.configs;
        let set = |resource: &ConfigResource| configs.of(resource).map_or(&nothing, |map| map);
        let node = ConfigResource::broker(self.settings.node_id);
        let effective =
            self.rules.effective_topic_configs(wished, set(&node), set(&ConfigResource::cluster()));
        let shown = effective.into_iter().map(|config| CreatableTopicConfigs {
            name: config.name,
            value: config.value.filter(|_| !config.is_sensitive),
            read_only: config.read_only,
            config_source: config.source,
            is_sensitive: config.is_sensitive,
        });
        result.configs = Some(shown.collect());
        result.num_partitions = partitions.len() as i32;
        result.replication_factor = partitions.first().map_or(-1, |first| first.replicas.len() as i16);
        result
    }
}

/// Topics the decision creates so far.
#[derive(Default)]
struct NewTopics {
    records: Vec<Record>,
    ids: BTreeSet<Uuid>,
    /// Names by the form in which they collide.
    forms: BTreeMap<String, String>,
}

impl NewTopics {
    /// Kafka only looks at topics that exist; two new ones that collide would make each other's metrics useless
    /// just the same.
    fn colliding_with(&self, name: &str) -> Option<String> {
        has_collision_chars(name).then(|| self.forms.get(&collision_form(name)).cloned())?
    }

    fn add(&mut self, view: &View<'_>, name: &str, id: Uuid, configs: Vec<Record>, partitions: &[Partition]) {
        self.ids.insert(id);
        if has_collision_chars(name) {
            self.forms.insert(collision_form(name), name.to_owned());
        }
        let topic = TopicRecord { name: name.to_owned(), topic_id: id };
        self.records.push((MetadataRecord::TopicRecord(topic), 0));
        let clear = view.clear_elr_records(&configs);
        self.records.extend(configs);
        self.records.extend(clear);
        let version = view.image.metadata_version();
        let elr = view.image.features.elr_enabled();
        for (index, partition) in (0..).zip(partitions) {
            let (record, record_version) = partition.to_record(id, index, version, elr);
            self.records.push((MetadataRecord::PartitionRecord(record), record_version));
        }
    }
}

fn refused(name: &str, refusal: Refusal) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        topic_id: Uuid::nil(),
        error_code: refusal.code.code(),
        error_message: refusal.message,
        topic_config_error_code: 0,
        num_partitions: -1,
        replication_factor: -1,
        configs: Some(Vec::new()),
    }
}

fn refuse_all(request: &CreateTopicsRequest, refusal: &Refusal) -> Vec<CreatableTopicResult> {
    request.topics.iter().map(|topic| refused(&topic.name, refusal.clone())).collect()
}
