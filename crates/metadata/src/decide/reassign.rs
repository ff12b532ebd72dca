//! Moving partitions between brokers (KIP-455): new replicas come first, old ones leave when the new are in sync.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition,
};
use ottla_protocol::messages::alter_partition_reassignments_response::{
    AlterPartitionReassignmentsResponse, ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use ottla_protocol::messages::list_partition_reassignments_response::{
    ListPartitionReassignmentsResponse, OngoingPartitionReassignment, OngoingTopicReassignment,
};

use super::{ChangeBuilder, Decision, Election, MAX_RECORDS_PER_REQUEST, Record, Refusal, View, outcome};
use crate::image::{LeaderRecovery, Partition, Topic};

impl View<'_> {
    /// Starts, changes or cancels reassignments (AlterPartitionReassignments). No replicas means cancel.
    pub fn alter_partition_reassignments(
        &self,
        request: &AlterPartitionReassignmentsRequest,
    ) -> Decision<AlterPartitionReassignmentsResponse> {
        let allow_change = request.allow_replication_factor_change;
        let mut records = Vec::new();
        let mut responses = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for target in &topic.partitions {
                let result = self.reassign(&topic.name, target, allow_change);
                let (error_code, error_message) = outcome(result.map(|record| records.extend(record)));
                let partition_index = target.partition_index;
                partitions.push(ReassignablePartitionResponse { partition_index, error_code, error_message });
            }
            responses.push(ReassignableTopicResponse { name: topic.name.clone(), partitions });
        }
        let mut response = AlterPartitionReassignmentsResponse {
            throttle_time_ms: 0,
            allow_replication_factor_change: allow_change,
            error_code: 0,
            error_message: None,
            responses,
        };
        if records.len() > MAX_RECORDS_PER_REQUEST {
            (response.error_code, response.error_message) = outcome::<()>(Err(Refusal::too_large()));
            response.responses.clear();
            return Decision::read(response);
        }
        Decision::atomic(records, response)
    }

    fn reassign(
        &self,
        name: &str,
        target: &ReassignablePartition,
        allow_change: bool,
    ) -> Result<Option<Record>, Refusal> {
        let unknown = |message| Refusal::new(ErrorCode::UnknownTopicOrPartition, message);
        let index = target.partition_index;
        let topic = self.image.topics.by_name(name);
        let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
        let partition = topic.partition(index);
        let partition =
            partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
        match &target.replicas {
            None => self.cancel(topic, index, partition),
            Some(replicas) => self.start(topic, index, partition, replicas, allow_change),
        }
    }

    fn start(
        &self,
        topic: &Topic,
        index: i32,
        partition: &Partition,
        target: &[i32],
        allow_change: bool,
    ) -> Result<Option<Record>, Refusal> {
        self.validate_assignment(target, None)?;
        if !allow_change {
            // The replicas there will be once a reassignment that is going on has ended.
            let stays = |id: &&i32| !partition.removing().contains(id);
            let current = partition.replicas.iter().filter(stays).count();
            if current != target.len() {
                return Err(Refusal::new(
                    ErrorCode::InvalidReplicationFactor,
                    format!("The replication factor is changed from {current} to {}", target.len()),
                ));
            }
        }
        let sorted = |ids: &mut dyn Iterator<Item = i32>| {
            let mut ids: Vec<i32> = ids.collect();
            ids.sort_unstable();
            ids
        };
        let current = &partition.replicas;
        let removing = sorted(&mut current.iter().copied().filter(|id| !target.contains(id)));
        // Those a reassignment under way was bringing in are still on their way if the new target keeps them.
        let coming = |id: &i32| !current.contains(id) || partition.adding().contains(id);
        let adding = sorted(&mut target.iter().copied().filter(coming));
        let mut replicas = target.to_vec();
        replicas.extend(&removing);
        Ok(ChangeBuilder::new(*self, topic, index, partition).assignment(replicas, removing, adding).build())
    }

    fn cancel(&self, topic: &Topic, index: i32, partition: &Partition) -> Result<Option<Record>, Refusal> {
        if !partition.is_reassigning() {
            return Err(Refusal::new(
                ErrorCode::NoReassignmentInProgress,
                "No partition reassignment is in progress.",
            ));
        }
        let stays = |id: &i32| !partition.adding().contains(id);
        let replicas: Vec<i32> = partition.replicas.iter().copied().filter(stays).collect();
        let mut isr: Vec<i32> = partition.isr.iter().copied().filter(stays).collect();
        let unclean_allowed = self.unclean_election_enabled(&topic.name);
        let elr_enabled = self.image.features.elr_enabled();
        let eligible = elr_enabled && partition.elr().iter().any(stays);
        let mut builder = ChangeBuilder::new(*self, topic, index, partition);
        if isr.is_empty() && !eligible {
            // Only new replicas are in sync: going back means a leader that may miss records.
            let Some(&first) = replicas.first() else {
                return Err(Refusal::new(
                    ErrorCode::InvalidReplicaAssignment,
                    "Invalid replica assignment: addingReplicas contains all replicas.",
                ));
            };
            if !unclean_allowed {
                return Err(Refusal::new(
                    ErrorCode::InvalidReplicaAssignment,
                    format!(
                        "Unable to revert partition assignment for {}:{index} because it would require an unclean \
                         leader election.",
                        topic.name
                    ),
                ));
            }
            // With ELR the ISR stays empty and the election below finds somebody, or nobody. Without, it must not
            // be empty: the first replica enters it, and whoever reads the partition is told what that may mean.
            if !elr_enabled {
                isr.push(first);
                builder = builder.recovery(LeaderRecovery::Recovering);
            }
        }
        let mut builder = builder.isr(isr).assignment(replicas, Vec::new(), Vec::new());
        if unclean_allowed {
            builder = builder.election(Election::Unclean);
        }
        Ok(builder.build())
    }

    /// The reassignments under way (ListPartitionReassignments): of the topics asked for, or of all.
    pub fn list_partition_reassignments(
        &self,
        request: &ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        let ongoing = |index: i32, partition: &Partition| {
            partition.is_reassigning().then(|| OngoingPartitionReassignment {
                partition_index: index,
                replicas: partition.replicas.to_vec(),
                adding_replicas: partition.adding().to_vec(),
                removing_replicas: partition.removing().to_vec(),
            })
        };
        let mut topics = Vec::new();
        let mut report = |topic: &Topic, partitions: Vec<OngoingPartitionReassignment>| {
            if !partitions.is_empty() {
                topics.push(OngoingTopicReassignment { name: topic.name.to_string(), partitions });
            }
        };
        match &request.topics {
            None => {
                for topic in self.image.topics.iter_by_name() {
                    let partitions = topic.partitions.iter();
                    report(topic, partitions.filter_map(|(&index, p)| ongoing(index, p)).collect());
                }
            }
            Some(asked) => {
                for asked in asked {
                    let Some(topic) = self.image.topics.by_name(&asked.name) else { continue };
                    let indexes = asked.partition_indexes.iter();
                    let partitions = indexes.filter_map(|&index| ongoing(index, topic.partition(index)?));
                    report(topic, partitions.collect());
                }
            }
        }
        ListPartitionReassignmentsResponse { throttle_time_ms: 0, error_code: 0, error_message: None, topics }
    }

    /// Refuses replica lists that are empty, name a broker twice or one that is not registered, or are not as
    /// long as the partitions before.
    pub(super) fn validate_assignment(
        &self,
        replicas: &[i32],
        expected: Option<usize>,
    ) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
        if replicas.is_empty() {
            return invalid("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        for (at, &broker) in sorted.iter().enumerate() {
            if self.image.broker(broker).is_none() {
                return invalid(format!(
                    "The manual partition assignment includes broker {broker}, but no such broker is registered."
                ));
            }
            if at > 0 && sorted[at - 1] == broker {
                return invalid(format!(
                    "The manual partition assignment includes the broker {broker} more than once."
                ));
            }
        }
        match expected {
            Some(expected) if expected != replicas.len() => invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not \
                 consistent with previous partitions, which have {expected} replica(s).",
                replicas.len()
            )),
            _ => Ok(()),
        }
    }
}
