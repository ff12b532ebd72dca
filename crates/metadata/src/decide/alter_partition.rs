//! A leader's wish to change the ISR of its partitions (AlterPartition).

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData as WishedPartition,
};
use ottla_protocol::messages::alter_partition_response::{AlterPartitionResponse, PartitionData, TopicData};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_records::mutant;

use super::{ChangeBuilder, Decision, Election, Record, View};
use crate::image::partition::LEADER_UNCHANGED;
use crate::image::{LeaderRecovery, Partition, Topic};

/// The first request version that gives the epoch of each ISR member.
const WITH_EPOCHS: i16 = 3;

impl View<'_> {
    /// Changes ISRs and recovery states as their leaders wish, if nothing speaks against it.
    pub fn alter_partition(
        &self,
        request: &AlterPartitionRequest,
        request_version: i16,
    ) -> Decision<AlterPartitionResponse> {
        if let Err(refusal) = self.check_broker_epoch(request.broker_id, request.broker_epoch) {
            return Decision::read(AlterPartitionResponse {
                error_code: refusal.code.code(),
                ..AlterPartitionResponse::default()
            });
        }
        let mut records = Vec::new();
        let mut topics = Vec::new();
        for wished in &request.topics {
            let topic = self.image.topics.by_id(wished.topic_id);
            let alter = |partition: &WishedPartition| {
                let result = match topic {
                    None => Err(ErrorCode::UnknownTopicId),
                    Some(topic) => {
                        self.alter(request.broker_id, topic, partition, request_version, &mut records)
                    }
                };
                let refused = |code: ErrorCode| PartitionData {
                    partition_index: partition.partition_index,
                    error_code: code.code(),
                    ..PartitionData::default()
                };
                result.unwrap_or_else(refused)
            };
            let partitions = wished.partitions.iter().map(alter).collect();
            topics.push(TopicData { topic_id: wished.topic_id, partitions });
        }
        Decision::of(records, AlterPartitionResponse { throttle_time_ms: 0, error_code: 0, topics })
    }

    fn alter(
        &self,
        leader: i32,
        topic: &Topic,
        wished: &WishedPartition,
        request_version: i16,
        records: &mut Vec<Record>,
    ) -> Result<PartitionData, ErrorCode> {
        let index = wished.partition_index;
        let partition = topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let isr: Vec<BrokerState> = if request_version < WITH_EPOCHS {
            wished.new_isr.iter().map(|&broker_id| BrokerState { broker_id, broker_epoch: -1 }).collect()
        } else {
            wished.new_isr_with_epochs.clone()
        };
        let recovery = self.check_wish(leader, partition, wished, &isr)?;
        let mut builder = ChangeBuilder::new(*self, topic, index, partition)
            .isr(isr.iter().map(|member| member.broker_id).collect())
            .recovery(recovery);
        if self.unclean_election_enabled(&topic.name) {
            builder = builder.election(Election::Unclean);
        }
        let changed = match builder.build() {
            None => partition.clone(),
            Some((record, version)) => {
                let MetadataRecord::PartitionChangeRecord(change) = &record else {
                    unreachable!("a change of a partition is a PartitionChangeRecord");
                };
                let changed = partition.changed(change).expect("a decided change can be replayed");
                let led_away = change.leader != leader && change.leader != LEADER_UNCHANGED;
                records.push((record, version));
                if led_away {
                    // The change ended a reassignment that takes the leader away: it is written, but the leader
                    // has to read what became of it.
                    return Err(ErrorCode::NewLeaderElected);
                }
                changed
            }
        };
        Ok(PartitionData {
            partition_index: index,
            error_code: 0,
            leader_id: changed.leader,
            leader_epoch: changed.leader_epoch,
            isr: changed.isr.to_vec(),
            leader_recovery_state: changed.recovery.code(),
            partition_epoch: changed.partition_epoch,
        })
    }

    /// The checks, in Kafka's order; the recovery state wished for if all pass.
    fn check_wish(
        &self,
        leader: i32,
        partition: &Partition,
        wished: &WishedPartition,
        isr: &[BrokerState],
    ) -> Result<LeaderRecovery, ErrorCode> {
        // A leader that knows more than this controller talks to one that is not active any more.
        if wished.leader_epoch > partition.leader_epoch || wished.partition_epoch > partition.partition_epoch
        {
            return Err(ErrorCode::NotController);
        }
        if wished.leader_epoch < partition.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if leader != partition.leader {
            return Err(ErrorCode::InvalidRequest);
        }
        if wished.partition_epoch < partition.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        if isr.len() > partition.replicas.len() {
            return Err(ErrorCode::InvalidRequest);
        }
        let twice = (1..isr.len()).any(|at| isr[..at].iter().any(|m| m.broker_id == isr[at].broker_id));
        let strangers = isr.iter().any(|member| !partition.replicas.contains(&member.broker_id));
        let without_leader = !isr.iter().any(|member| member.broker_id == leader);
        if twice || strangers || without_leader {
            return Err(ErrorCode::InvalidRequest);
        }
        let recovery =
            LeaderRecovery::from_code(wished.leader_recovery_state).ok_or(ErrorCode::InvalidRequest)?;
        if recovery == LeaderRecovery::Recovering
            && (isr.len() > 1 || partition.recovery == LeaderRecovery::Recovered)
        {
            return Err(ErrorCode::InvalidRequest);
        }
        let eligible = |member: &BrokerState| {
            let broker = self.image.broker(member.broker_id);
            broker.is_some_and(|broker| {
                let right_life = member.broker_epoch == -1 || member.broker_epoch == broker.epoch;
                broker.is_active() && right_life
            })
        };
        if !isr.iter().all(eligible) && !mutant::is("ineligible-joins") {
            return Err(ErrorCode::IneligibleReplica);
        }
        Ok(recovery)
    }
}
