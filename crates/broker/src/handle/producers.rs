//! DescribeProducers (key 61): the idempotent producers that a partition remembers (KIP-664).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use ottla_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use crate::dispatch::Call;
use crate::handle::find;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeProducersRequest = call.owned()?;
    let count = request.topics.iter().map(|topic| topic.partition_indexes.len()).sum();
    call.afford(count, size_of::<PartitionResponse>())?;
    let topics = request
        .topics
        .iter()
        .map(|topic| TopicResponse {
            name: topic.name.clone(),
            partitions: topic
                .partition_indexes
                .iter()
                .map(|&partition_index| {
                    let producers = match topic_names::check(&topic.name) {
                        Ok(()) => find::by_name(call.node(), &topic.name, partition_index)
                            .and_then(|p| p.producers()),
                        Err(_) => Err(ErrorCode::InvalidTopicException),
                    };
                    let mut response = PartitionResponse { partition_index, ..Default::default() };
                    match producers {
                        Ok(producers) => {
                            response.active_producers = producers
                                .into_iter()
                                .map(|p| ProducerState {
                                    producer_id: p.producer_id,
                                    producer_epoch: p.epoch.into(),
                                    last_sequence: p.last_sequence,
                                    last_timestamp: p.last_timestamp_ms,
                                    coordinator_epoch: p.coordinator_epoch,
                                    current_txn_start_offset: p.transaction_start.unwrap_or(-1),
                                })
                                .collect();
                        }
                        Err(error) => response.error_code = error.code(),
                    }
                    response
                })
                .collect(),
        })
        .collect();
    call.reply(&DescribeProducersResponse { topics, ..Default::default() })
}
