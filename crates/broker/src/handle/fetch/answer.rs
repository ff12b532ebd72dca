//! What a fetch is answered with: record data as slices of files.

use std::collections::HashMap;

use ottla_log::Slice;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchResponse;
use ottla_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use ottla_protocol::wire::Records;
use uuid::Uuid;

use super::Fetch;
use crate::fetch_session::{TopicRef, Wanted};
use crate::partition::FetchRead;
use crate::reply::{Refusal, Reply};

/// The first version that is told who leads where this node does not (KIP-951).
const LEADER_FROM: i16 = 16;
/// The first version whose clients know KAFKA_STORAGE_ERROR for a reason to look for the leader.
const STORAGE_ERROR_FROM: i16 = 6;

impl Fetch {
    /// The answer that tells of these partitions.
    pub(super) fn answer(
        &self,
        parts: impl Iterator<Item = (Wanted, Result<FetchRead, ErrorCode>)>,
        session_id: i32,
    ) -> Result<Reply, Refusal> {
        let mut slices = Vec::new();
        let mut topics: Vec<FetchableTopicResponse> = Vec::new();
        let mut places: HashMap<TopicRef, usize> = HashMap::new();
        let mut endpoints: Vec<NodeEndpoint> = Vec::new();
        for (want, read) in parts {
            if let (Some((replica, _)), Ok(read)) = (self.replica, &read)
                && let Ok(partition) = self.find(&want)
            {
                partition.watermark_sent(replica, read.high_watermark);
            }
            let data = self.partition_data(&want, read, &mut slices, &mut endpoints);
            let place = *places.entry(want.topic.clone()).or_insert_with(|| {
                let (topic, topic_id) = match &want.topic {
                    TopicRef::Name(name) => (name.to_string(), Uuid::nil()),
                    TopicRef::Id(id) => (String::new(), *id),
                };
                topics.push(FetchableTopicResponse { topic, topic_id, partitions: Vec::new() });
                topics.len() - 1
            });
            topics[place].partitions.push(data);
        }
        let body =
            FetchResponse { session_id, responses: topics, node_endpoints: endpoints, ..Default::default() };
        self.to.with_slices(&body, slices)
    }

    fn partition_data(
        &self,
        want: &Wanted,
        read: Result<FetchRead, ErrorCode>,
        slices: &mut Vec<Slice>,
        endpoints: &mut Vec<NodeEndpoint>,
    ) -> PartitionData {
        let mut data = PartitionData {
            partition_index: want.partition,
            high_watermark: -1,
            // Clients before version 12 take null for an error.
            records: Some(Records::default()),
            aborted_transactions: None,
            ..Default::default()
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                data.error_code = self.error_for_client(error).code();
                // As Apache Kafka's brokers have it; what was read without looking for them has null.
                data.aborted_transactions = Some(Vec::new());
                if matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
                    self.current_leader(want, &mut data, endpoints);
                }
                return data;
            }
        };
        data.high_watermark = read.high_watermark;
        data.last_stable_offset = read.last_stable_offset;
        data.log_start_offset = read.log_start_offset;
        data.diverging_epoch = read
            .diverging
            .map_or_else(EpochEndOffset::default, |(epoch, end_offset)| EpochEndOffset { epoch, end_offset });
        if let Some(nearer) = read.nearer {
            data.preferred_read_replica = nearer;
            return data;
        }
        if self.read_committed {
            let aborted =
                |&(producer_id, first_offset): &(i64, i64)| AbortedTransaction { producer_id, first_offset };
            data.aborted_transactions = Some(read.aborted.iter().map(aborted).collect());
        }
        if let Some(slice) = read.slice.filter(|s| !s.is_empty()) {
            if let Some(from) = &read.from {
                let traffic = from.traffic();
                let out = match self.replica {
                    Some(_) => &traffic.replication_bytes_out,
                    None => &traffic.bytes_out,
                };
                out.add(slice.len() as u64);
            }
            data.records = Some(Records::Elsewhere { len: slice.len(), token: slices.len() });
            slices.push(slice);
        }
        data
    }

    /// Old clients would take an error they do not know for one that does not pass.
    fn error_for_client(&self, error: ErrorCode) -> ErrorCode {
        match error {
            ErrorCode::KafkaStorageError if self.to.version < STORAGE_ERROR_FROM => {
                ErrorCode::NotLeaderOrFollower
            }
            error => error,
        }
    }

    fn current_leader(&self, want: &Wanted, data: &mut PartitionData, endpoints: &mut Vec<NodeEndpoint>) {
        if self.to.version < LEADER_FROM {
            return;
        }
        let image = self.node.image();
        let topic = match &want.topic {
            TopicRef::Id(id) => image.topics.by_id(*id),
            TopicRef::Name(name) => image.topics.by_name(name),
        };
        let Some(partition) = topic.and_then(|t| t.partition(want.partition)) else { return };
        data.current_leader =
            LeaderIdAndEpoch { leader_id: partition.leader, leader_epoch: partition.leader_epoch };
        let Some(broker) = image.broker(partition.leader) else { return };
        let Some(endpoint) = broker.endpoint(&self.listener_name) else { return };
        if !endpoints.iter().any(|e| e.node_id == broker.id) {
            endpoints.push(NodeEndpoint {
                node_id: broker.id,
                host: endpoint.host.to_string(),
                port: endpoint.port.into(),
                rack: broker.rack.as_ref().map(ToString::to_string),
            });
        }
    }
}
