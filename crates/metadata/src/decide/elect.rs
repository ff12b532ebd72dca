//! Elections: after brokers come and go, on request, and in the background.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use ottla_protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};

use super::{ChangeBuilder, Decision, Election, MAX_RECORDS_PER_REQUEST, Record, Refusal, View, outcome};
use crate::image::{Partition, Topic};

/// Who comes and who goes while leaders and in-sync replicas are worked out anew.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Movement {
    /// Leaves leadership and ISR.
    pub(super) removed: Option<i32>,
    /// May lead although the image still shows it fenced.
    pub(super) added: Option<i32>,
    /// Leaves leadership, ISR and ELR: it stopped without care.
    pub(super) unclean: Option<i32>,
}

impl<'a> View<'a> {
    /// Records for every partition that `affected` picks, given who comes and goes. Partitions that stay as they
    /// are cause none. Walks all partitions: at 100,000 of them a matter of milliseconds, and rare.
    pub(super) fn leader_and_isr_updates(
        &self,
        movement: Movement,
        affected: impl Fn(&Partition) -> bool,
        records: &mut Vec<Record>,
    ) {
        let image = self.image;
        let active = move |broker: i32| {
            Some(broker) != movement.removed
                && Some(broker) != movement.unclean
                && (Some(broker) == movement.added || image.is_active(broker))
        };
        for (topic, index, partition) in image.partitions().filter(|(_, _, partition)| affected(partition)) {
            let gone = |broker: &i32| Some(*broker) == movement.removed || Some(*broker) == movement.unclean;
            let isr = partition.isr.iter().copied().filter(|broker| !gone(broker)).collect();
            let mut builder = ChangeBuilder::new(*self, topic, index, partition).acceptable(active).isr(isr);
            if self.unclean_election_enabled(&topic.name) {
                builder = builder.election(Election::Unclean);
            }
            if let Some(broker) = movement.unclean {
                builder = builder.unclean_shutdown(broker);
            }
            records.extend(builder.build());
        }
    }

    /// Elects leaders on request (ElectLeaders): type 0 the preferred ones, type 1 whoever is left.
    ///
    /// Without a list every partition is meant, and those that need no election are not reported.
    pub fn elect_leaders(&self, request: &ElectLeadersRequest) -> Decision<ElectLeadersResponse> {
        let mut response = ElectLeadersResponse::default();
        let unclean = match request.election_type {
            0 => false,
            1 => true,
            _ => {
                return Decision::read(ElectLeadersResponse {
                    error_code: ErrorCode::InvalidRequest.code(),
                    ..ElectLeadersResponse::default()
                });
            }
        };
        let mut records = Vec::new();
        let report = |partition_id, result: Result<(), Refusal>| {
            let (error_code, error_message) = outcome(result);
            PartitionResult { partition_id, error_code, error_message }
        };
        match &request.topic_partitions {
            None => {
                for topic in self.image.topics.iter_by_name() {
                    let mut results = Vec::new();
                    for &index in topic.partitions.keys() {
                        let result = self.elect(&topic.name, index, unclean, &mut records);
                        let needless = matches!(&result, Err(r) if r.code == ErrorCode::ElectionNotNeeded);
                        if !needless {
                            results.push(report(index, result));
                        }
                    }
                    response.replica_election_results.push(ReplicaElectionResult {
                        topic: topic.name.to_string(),
                        partition_result: results,
                    });
                }
            }
            Some(topics) => {
                for topic in topics {
                    let elect =
                        |&index: &i32| report(index, self.elect(&topic.topic, index, unclean, &mut records));
                    response.replica_election_results.push(ReplicaElectionResult {
                        topic: topic.topic.clone(),
                        partition_result: topic.partitions.iter().map(elect).collect(),
                    });
                }
            }
        }
        if records.len() > MAX_RECORDS_PER_REQUEST {
            return Decision::read(ElectLeadersResponse {
                error_code: Refusal::too_large().code.code(),
                ..ElectLeadersResponse::default()
            });
        }
        Decision::of(records, response)
    }

    fn elect(&self, name: &str, index: i32, unclean: bool, records: &mut Vec<Record>) -> Result<(), Refusal> {
        let unknown = |message| Refusal::new(ErrorCode::UnknownTopicOrPartition, message);
        let topic = self.image.topics.by_name(name);
        let topic = topic.ok_or_else(|| unknown(format!("No such topic as {name}")))?;
        let partition = topic.partition(index);
        let partition = partition.ok_or_else(|| unknown(format!("No such partition as {name}-{index}")))?;
        let needless = if unclean { partition.has_leader() } else { partition.has_preferred_leader() };
        if needless {
            return Err(Refusal::new(
                ErrorCode::ElectionNotNeeded,
                "Leader election not needed for topic partition.",
            ));
        }
        let election = if unclean { Election::Unclean } else { Election::Preferred };
        match ChangeBuilder::new(*self, topic, index, partition).election(election).build() {
            Some(record) => {
                records.push(record);
                Ok(())
            }
            None if unclean => Err(Refusal::new(
                ErrorCode::EligibleLeadersNotAvailable,
                "Eligible topic partition leaders are not available.",
            )),
            None => Err(Refusal::new(
                ErrorCode::PreferredLeaderNotAvailable,
                "The preferred leader was not available.",
            )),
        }
    }

    /// Gives partitions back to their preferred leaders (`auto.leader.rebalance.enable`). True in the reply: the
    /// pass was full, run it again at once.
    pub fn balance_leaders(&self) -> Decision<bool> {
        let build = |(topic, index, partition): (_, i32, &Partition)| {
            let topic: &Topic = topic;
            ChangeBuilder::new(*self, topic, index, partition).election(Election::Preferred).build()
        };
        let imbalanced =
            self.image.partitions().filter(|(_, _, partition)| !partition.has_preferred_leader());
        let imbalanced = imbalanced.map(|(topic, index, partition)| (&**topic, index, partition));
        let max = self.settings.max_elections_per_pass;
        let records: Vec<Record> = imbalanced.filter_map(build).take(max).collect();
        let full = records.len() >= max;
        Decision::of(records, full)
    }

    /// Elects leaders that may miss records, for leaderless partitions of topics that allow it
    /// (`unclean.leader.election.interval.ms`). True in the reply: run it again at once.
    pub fn elect_unclean_leaders(&self) -> Decision<bool> {
        let mut records = Vec::new();
        let max = self.settings.max_elections_per_pass;
        for (topic, index, partition) in self.image.partitions() {
            if records.len() >= max {
                break;
            }
            if partition.has_leader() || !self.unclean_election_enabled(&topic.name) {
                continue;
            }
            let builder = ChangeBuilder::new(*self, topic, index, partition).election(Election::Unclean);
            records.extend(builder.build());
        }
        let full = records.len() >= max;
        Decision::of(records, full)
    }
}
