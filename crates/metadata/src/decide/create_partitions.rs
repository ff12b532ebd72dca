//! More partitions for topics that exist (CreatePartitions).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use ottla_protocol::metadata_records::MetadataRecord;

use super::{Access, Decision, MAX_RECORDS_PER_REQUEST, Record, Refusal, TopicAction, View, outcome, place};
use crate::random::Random;

impl View<'_> {
    /// Raises partition counts. A topic that is refused does not hinder the others.
    pub fn create_partitions(
        &self,
        request: &CreatePartitionsRequest,
        access: Access<'_>,
        random: &mut dyn Random,
    ) -> Decision<CreatePartitionsResponse> {
        let duplicates = super::duplicates(request.topics.iter().map(|topic| topic.name.as_str()));
        let mut records = Vec::new();
        let mut results = Vec::new();
        let mut report = |name: &str, result: Result<(), Refusal>| {
            let (error_code, error_message) = outcome(result);
            results.push(CreatePartitionsTopicResult { name: name.to_owned(), error_code, error_message });
        };
        for &name in &duplicates {
            report(name, Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.")));
        }
        for topic in request.topics.iter().filter(|topic| !duplicates.contains(topic.name.as_str())) {
            let result = if access(TopicAction::Alter, &topic.name) {
                self.new_partitions(topic, random, MAX_RECORDS_PER_REQUEST - records.len())
            } else {
                Err(Refusal::code(ErrorCode::TopicAuthorizationFailed))
            };
            report(&topic.name, result.map(|new| records.extend(new)));
        }
        let response = CreatePartitionsResponse { throttle_time_ms: 0, results };
        Decision::atomic(records, response).only_validated(request.validate_only)
    }

    fn new_partitions(
        &self,
        wished: &CreatePartitionsTopic,
        random: &mut dyn Random,
        room: usize,
    ) -> Result<Vec<Record>, Refusal> {
        let refuse = |code, message: String| Err(Refusal::new(code, message));
        let name = &wished.name;
        let topic = self.image.topics.by_name(name);
        let topic = topic.ok_or(Refusal::code(ErrorCode::UnknownTopicOrPartition))?;
        let existing = topic.partitions.len();
        let additional = i64::from(wished.count) - existing as i64;
        if additional == 0 {
            return refuse(
                ErrorCode::InvalidPartitions,
                format!("Topic already has {existing} partition(s)."),
            );
        }
        if additional < 0 {
            return refuse(
                ErrorCode::InvalidPartitions,
                format!(
                    "The topic {name} currently has {existing} partition(s); {} would not be an increase.",
                    wished.count
                ),
            );
        }
        let additional = additional as usize;
        if let Some(assignments) = &wished.assignments
            && assignments.len() != additional
        {
            return refuse(
                ErrorCode::InvalidReplicaAssignment,
                format!(
                    "Attempted to add {additional} additional partition(s), but only {} assignment(s) were \
                     specified.",
                    assignments.len()
                ),
            );
        }
        // Before anything is built: the count comes from outside.
        if additional > room {
            return Err(Refusal::too_large());
        }
        let Some(first) = topic.partitions.values().next() else {
            return refuse(
                ErrorCode::UnknownServerError,
                format!("Invalid state: topic {name} appears to have no partitions."),
            );
        };
        let replicas = first.replicas.len();
        let placed = match &wished.assignments {
            Some(assignments) => {
                let mut placed = Vec::with_capacity(additional);
                for assignment in assignments {
                    self.validate_assignment(&assignment.broker_ids, Some(replicas))?;
                    placed.push(assignment.broker_ids.clone());
                }
                placed
            }
            None => {
                let factor = i16::try_from(replicas).unwrap_or(i16::MAX);
                place(&self.usable_brokers(), additional, factor, random)?
            }
        };
        let version = self.image.metadata_version();
        let elr = self.image.features.elr_enabled();
        let mut records = Vec::with_capacity(additional);
        for (index, brokers) in (existing as i32..).zip(&placed) {
            let Some(partition) = self.new_partition(brokers) else {
                return match &wished.assignments {
                    Some(_) => refuse(
                        ErrorCode::InvalidReplicaAssignment,
                        format!(
                            "All brokers specified in the manual partition assignment for partition {index} are \
                             fenced or in controlled shutdown."
                        ),
                    ),
                    None => refuse(
                        ErrorCode::InvalidReplicationFactor,
                        format!(
                            "Unable to replicate the partition {replicas} time(s): All brokers are currently fenced \
                             or in controlled shutdown."
                        ),
                    ),
                };
            };
            let (record, record_version) = partition.to_record(topic.id, index, version, elr);
            records.push((MetadataRecord::PartitionRecord(record), record_version));
        }
        Ok(records)
    }
}
