//! DeleteRecords (key 21): raises a partition's log start offset (KIP-107, KIP-204).

use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::dispatch::Call;
use crate::handle::find;
use crate::partition::Partition;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;
use crate::wait::Parked;

/// Records that were deleted here and may be there still on other replicas.
struct Waiting {
    partition: Arc<Partition>,
    /// Where the logs are to begin.
    offset: i64,
    /// The place in the response.
    topic: usize,
    at: usize,
}

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DeleteRecordsRequest = call.owned()?;
    let mut waiting = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for p in &topic.partitions {
            let mut result =
                DeleteRecordsPartitionResult { partition_index: p.partition_index, ..Default::default() };
            match delete(call, &topic.name, p.partition_index, p.offset) {
                Ok((partition, offset)) => {
                    let (topic, at) = (topics.len(), partitions.len());
                    let waits = Waiting { partition, offset, topic, at };
                    if !waits.is_done(&mut result) {
                        waiting.push(waits);
                    }
                }
                Err(error) => (result.low_watermark, result.error_code) = (-1, error.code()),
            }
            partitions.push(result);
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name.clone(), partitions });
    }
    let mut response = DeleteRecordsResponse { topics, ..Default::default() };
    if waiting.is_empty() {
        return call.reply(&response);
    }
    let to = call.reply_to();
    let patience = Duration::from_millis(request.timeout_ms.max(0) as u64);
    Ok(Outcome::Later(Box::pin(async move {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let parked = Parked::new();
            waiting.iter().for_each(|waits| waits.partition.waiters().park(&parked));
            waiting.retain(|waits| !waits.is_done(&mut response.topics[waits.topic].partitions[waits.at]));
            if waiting.is_empty() {
                return to.with(&response);
            }
            if tokio::time::timeout_at(deadline, parked.woken()).await.is_err() {
                for waits in &waiting {
                    let result = &mut response.topics[waits.topic].partitions[waits.at];
                    if !waits.is_done(result) {
                        result.error_code = ErrorCode::RequestTimedOut.code();
                    }
                }
                return to.with(&response);
            }
        }
    })))
}

impl Waiting {
    /// Notes how far the deletion is; whether nothing more is to be waited for.
    fn is_done(&self, result: &mut DeleteRecordsPartitionResult) -> bool {
        match self.partition.low_watermark() {
            Ok(low) => {
                result.low_watermark = low;
                low >= self.offset
            }
            Err(error) => {
                (result.low_watermark, result.error_code) = (-1, error.code());
                true
            }
        }
    }
}

fn delete(call: &Call<'_>, topic: &str, index: i32, offset: i64) -> Result<(Arc<Partition>, i64), ErrorCode> {
    let partition = find::by_name(call.node(), topic, index)?;
    // The cluster's own state is not for clients to cut.
    if topic_names::is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let log_start = partition.delete_records(offset)?;
    Ok((partition, log_start))
}
