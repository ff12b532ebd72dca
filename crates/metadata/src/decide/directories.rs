//! Which directory a broker has put its replicas in (AssignReplicasToDirs, KIP-858).

use std::collections::BTreeSet;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::assign_replicas_to_dirs_request::AssignReplicasToDirsRequest;
use ottla_protocol::messages::assign_replicas_to_dirs_response::{
    AssignReplicasToDirsResponse, DirectoryData, PartitionData, TopicData,
};
use uuid::Uuid;

use super::{ChangeBuilder, Decision, Election, Record, View};

impl View<'_> {
    /// Notes where a broker's replicas are. A replica in a directory that is not online loses its leadership and
    /// its place in the ISR at once.
    pub fn assign_replicas_to_dirs(
        &self,
        request: &AssignReplicasToDirsRequest,
    ) -> Decision<AssignReplicasToDirsResponse> {
        let refuse = |code: ErrorCode| {
            Decision::read(AssignReplicasToDirsResponse {
                error_code: code.code(),
                ..AssignReplicasToDirsResponse::default()
            })
        };
        if !self.image.metadata_version().has_directories() {
            return refuse(ErrorCode::UnsupportedVersion);
        }
        let id = request.broker_id;
        if let Err(refusal) = self.check_broker_epoch(id, request.broker_epoch) {
            return refuse(refusal.code);
        }
        let Some(broker) = self.image.broker(id) else {
            return refuse(ErrorCode::BrokerIdNotRegistered);
        };
        let mut records = Vec::new();
        let mut stranded = BTreeSet::new();
        let mut directories = Vec::new();
        for directory in &request.directories {
            let online = broker.has_online_dir(directory.id);
            let mut topics = Vec::new();
            for topic in &directory.topics {
                let mut partitions = Vec::new();
                for partition in &topic.partitions {
                    let index = partition.partition_index;
                    let result = self.assign(id, directory.id, topic.topic_id, index);
                    let error_code = match result {
                        Ok(record) => {
                            records.extend(record);
                            if !online {
                                stranded.insert((topic.topic_id, index));
                            }
                            0
                        }
                        Err(code) => code.code(),
                    };
                    partitions.push(PartitionData { partition_index: index, error_code });
                }
                topics.push(TopicData { topic_id: topic.topic_id, partitions });
            }
            directories.push(DirectoryData { id: directory.id, topics });
        }
        for (topic_id, index) in stranded {
            records.extend(self.leave_partition(id, topic_id, index));
        }
        let response =
            AssignReplicasToDirsResponse { directories, ..AssignReplicasToDirsResponse::default() };
        Decision::of(records, response)
    }

    fn assign(
        &self,
        broker: i32,
        directory: Uuid,
        topic_id: Uuid,
        index: i32,
    ) -> Result<Option<Record>, ErrorCode> {
        let topic = self.image.topics.by_id(topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.replicas.contains(&broker) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(ChangeBuilder::new(*self, topic, index, partition).directory(broker, directory).build())
    }

    /// Takes a broker out of one partition's leadership and ISR.
    fn leave_partition(&self, broker: i32, topic_id: Uuid, index: i32) -> Option<Record> {
        let topic = self.image.topics.by_id(topic_id)?;
        let partition = topic.partition(index)?;
        let image = self.image;
        let isr = partition.isr.iter().copied().filter(|&member| member != broker).collect();
        let mut builder = ChangeBuilder::new(*self, topic, index, partition)
            .acceptable(move |other| other != broker && image.is_active(other))
            .isr(isr);
        if self.unclean_election_enabled(&topic.name) {
            builder = builder.election(Election::Unclean);
        }
        builder.build()
    }
}
