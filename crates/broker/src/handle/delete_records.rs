//! DeleteRecords (key 21): raises a partition's log start offset (KIP-107, KIP-204).

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::dispatch::Call;
use crate::handle::find;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DeleteRecordsRequest = call.owned()?;
    let topics = request
        .topics
        .iter()
        .map(|topic| DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions: topic
                .partitions
                .iter()
                .map(|p| {
                    let outcome = delete(call, &topic.name, p.partition_index, p.offset);
                    DeleteRecordsPartitionResult {
                        partition_index: p.partition_index,
                        low_watermark: outcome.unwrap_or(-1),
                        error_code: outcome.err().map_or(0, ErrorCode::code),
                    }
                })
                .collect(),
        })
        .collect();
    call.reply(&DeleteRecordsResponse { topics, ..Default::default() })
}

fn delete(call: &Call<'_>, topic: &str, index: i32, offset: i64) -> Result<i64, ErrorCode> {
    let partition = find::by_name(call.node(), topic, index)?;
    // The cluster's own state is not for clients to cut.
    if topic_names::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    partition.delete_records(offset)
}
