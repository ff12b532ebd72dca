//! WriteTxnMarkers (key 27): the ends of transactions, appended to the partitions that this node leads.

use std::sync::Arc;
use std::time::Duration;

use ottla_groups::{Client, Marker, Request, Response};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use ottla_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use ottla_records::control::end_transaction_batch;
use tokio::time::Instant;

use crate::dispatch::Call;
use crate::group_host::Answer;
use crate::handle::find;
use crate::handle::produce::Wait;
use crate::network::wall_ms;
use crate::node::Node;
use crate::partition::TransactionCheck;
use crate::reply::{Outcome, Refusal};
use crate::topic_names;

/// What an append and its answer take, until the answer has left.
const MARKER_BYTES: usize = 300;

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: WriteTxnMarkersRequest = call.owned()?;
    let topics = request.markers.iter().flat_map(|marker| &marker.topics);
    call.afford(topics.map(|topic| topic.partition_indexes.len()).sum(), MARKER_BYTES)?;
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move { to.with(&write(&node, request).await) })))
}

/// A marker that is appended, or why not.
enum Written {
    /// To be waited for until all in-sync replicas have it.
    Appended(Option<Wait>),
    /// On its way through the group coordinator.
    Offsets(Answer),
    Refused(ErrorCode),
}

impl Written {
    async fn done(self, deadline: Instant) -> ErrorCode {
        match self {
            Written::Refused(error) => error,
            Written::Appended(None) => ErrorCode::None,
            Written::Appended(Some(wait)) => wait.done(deadline).await.err().unwrap_or(ErrorCode::None),
            Written::Offsets(answer) => match answer.wait().await {
                Some(Response::EndTransaction(error)) => of_coordinator(error),
                _ => ErrorCode::NotLeaderOrFollower,
            },
        }
    }
}

/// The transaction coordinator knows the errors of partitions, not those of group coordinators: it is to try again.
fn of_coordinator(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::NotCoordinator => ErrorCode::NotLeaderOrFollower,
        error => error,
    }
}

/// Appends markers, and waits until they are replicated.
pub(crate) async fn write(node: &Arc<Node>, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
    let deadline = Instant::now() + Duration::from_millis(node.config().requests.timeout_ms.max(1) as u64);
    // All are on their way before the first is waited for.
    let mut written = Vec::new();
    for marker in &request.markers {
        for topic in &marker.topics {
            for &index in &topic.partition_indexes {
                let of = append(node, marker, &topic.name, index);
                written.push((marker.producer_id, topic.name.clone(), index, of));
            }
        }
    }
    let mut response = WriteTxnMarkersResponse { markers: Vec::new() };
    for (producer_id, name, partition_index, of) in written {
        let error_code = of.done(deadline).await.code();
        let result = WritableTxnMarkerPartitionResult { partition_index, error_code };
        note(&mut response, producer_id, name, result);
    }
    response
}

/// The results of one producer stand together, as those who ask look for them.
fn note(
    response: &mut WriteTxnMarkersResponse,
    producer_id: i64,
    name: String,
    result: WritableTxnMarkerPartitionResult,
) {
    let markers = &mut response.markers;
    let at = markers.iter().position(|marker| marker.producer_id == producer_id).unwrap_or_else(|| {
        markers.push(WritableTxnMarkerResult { producer_id, topics: Vec::new() });
        markers.len() - 1
    });
    let topics = &mut markers[at].topics;
    match topics.iter_mut().find(|topic| topic.name == name) {
        Some(topic) => topic.partitions.push(result),
        None => topics.push(WritableTxnMarkerTopicResult { name, partitions: vec![result] }),
    }
}

fn append(node: &Arc<Node>, marker: &WritableTxnMarker, topic: &str, index: i32) -> Written {
    let partition = match find::by_name(node, topic, index) {
        Ok(partition) => partition,
        Err(error) => return Written::Refused(error),
    };
    let producer = (marker.producer_id, marker.producer_epoch);
    if topic == topic_names::OFFSETS {
        let client = Client { id: "", host: "", api_version: 0 };
        let marker = Marker {
            commit: marker.transaction_result,
            coordinator_epoch: marker.coordinator_epoch,
            transaction_version: marker.transaction_version.into(),
        };
        let request = Request::EndTransaction { producer, marker };
        return Written::Offsets(node.groups().ask(index, client, request));
    }
    let (commit, coordinator_epoch) = (marker.transaction_result, marker.coordinator_epoch);
    let now_ms = wall_ms();
    // The leader's epoch is set when it is appended.
    let batch = end_transaction_batch(0, -1, now_ms, producer, commit, coordinator_epoch);
    let check = TransactionCheck { guard: None, version: marker.transaction_version.into() };
    match partition.append_own(&batch, None, now_ms, check) {
        Ok(appended) => Written::Appended(Wait::of((partition, appended), -1, (0, 0))),
        Err(error) => Written::Refused(error),
    }
}
