//! How answers look: what a client of an old version gets, and what each request is refused with.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::heartbeat_response::HeartbeatResponse;
use ottla_protocol::messages::join_group_response::JoinGroupResponse;
use ottla_protocol::messages::leave_group_response::LeaveGroupResponse;
use ottla_protocol::messages::list_groups_response::ListGroupsResponse;
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequest;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_delete_response::OffsetDeleteResponse;
use ottla_protocol::messages::sync_group_response::SyncGroupResponse;
use ottla_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequest;
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use crate::api::{Request, Response};
use crate::member::Parked;
use crate::offset_fetch;

/// A JoinGroup answer in the shape of its version: up to version 6 the protocol name cannot be null and "none"
/// is empty, from 7 on it is null.
pub(crate) fn join(parked: Parked, mut response: JoinGroupResponse) -> Response {
    let name = response.protocol_name.take().filter(|name| !name.is_empty());
    response.protocol_name = if parked.api_version < 7 { Some(name.unwrap_or_default()) } else { name };
    Response::JoinGroup(response)
}

/// A JoinGroup answer that is an error.
pub(crate) fn join_error(member_id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse { member_id: member_id.to_owned(), error_code: error.code(), ..Default::default() }
}

/// A SyncGroup answer that is an error.
pub(crate) fn sync_error(error: ErrorCode) -> Response {
    Response::SyncGroup(SyncGroupResponse { error_code: error.code(), ..Default::default() })
}

/// A Heartbeat answer.
pub(crate) fn heartbeat(error: ErrorCode) -> Response {
    Response::Heartbeat(HeartbeatResponse { error_code: error.code(), ..Default::default() })
}

/// A LeaveGroup answer that is an error as a whole.
pub(crate) fn leave_error(error: ErrorCode) -> Response {
    Response::LeaveGroup(LeaveGroupResponse { error_code: error.code(), ..Default::default() })
}

/// An OffsetDelete answer that is an error as a whole.
pub(crate) fn offset_delete_error(error: ErrorCode) -> Response {
    Response::OffsetDelete(OffsetDeleteResponse { error_code: error.code(), ..Default::default() })
}

/// An OffsetCommit answer that gives every partition the same error; the protocol has no other place for it.
pub(crate) fn commit_error(request: &OffsetCommitRequest, error: ErrorCode) -> Response {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
            })
            .collect(),
    });
    Response::OffsetCommit(OffsetCommitResponse { topics: topics.collect(), ..Default::default() })
}

/// A TxnOffsetCommit answer that gives every partition the same error.
pub(crate) fn txn_commit_error(request: &TxnOffsetCommitRequest, error: ErrorCode) -> Response {
    let topics = request.topics.iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
            })
            .collect(),
    });
    Response::TxnOffsetCommit(TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() })
}

/// The answer to a request that is refused as a whole.
pub(crate) fn refusal(request: &Request, api_version: i16, error: ErrorCode) -> Response {
    match request {
        Request::JoinGroup { .. } => join(Parked { token: 0, api_version }, join_error("", error)),
        Request::SyncGroup(_) => sync_error(error),
        Request::Heartbeat(_) => heartbeat(error),
        Request::LeaveGroup(_) => leave_error(error),
        Request::OffsetCommit(request) => commit_error(request, error),
        Request::TxnOffsetCommit { request, .. } => txn_commit_error(request, error),
        Request::EndTransaction { .. } => Response::EndTransaction(error),
        Request::OffsetFetch { group, .. } => {
            Response::OffsetFetch(offset_fetch::group_error(group, error, api_version))
        }
        Request::OffsetDelete(_) => offset_delete_error(error),
        Request::DescribeGroups(groups) => Response::DescribeGroups(
            groups
                .iter()
                .map(|group| DescribedGroup {
                    group_id: group.clone(),
                    error_code: error.code(),
                    ..Default::default()
                })
                .collect(),
        ),
        Request::ListGroups(_) => {
            Response::ListGroups(ListGroupsResponse { error_code: error.code(), ..Default::default() })
        }
        Request::DeleteGroups(groups) => Response::DeleteGroups(
            groups
                .iter()
                .map(|group| DeletableGroupResult { group_id: group.clone(), error_code: error.code() })
                .collect(),
        ),
    }
}

/// What becomes of an answer whose records could not be stored.
pub(crate) fn spoiled(response: Response, error: ErrorCode) -> Response {
    match response {
        Response::LeaveGroup(_) => leave_error(error),
        Response::OffsetDelete(_) => offset_delete_error(error),
        Response::OffsetCommit(mut response) => {
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error_code = error.code();
            }
            Response::OffsetCommit(response)
        }
        Response::TxnOffsetCommit(mut response) => {
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error_code = error.code();
            }
            Response::TxnOffsetCommit(response)
        }
        Response::EndTransaction(_) => Response::EndTransaction(error),
        Response::DeleteGroups(mut results) => {
            for result in &mut results {
                result.error_code = error.code();
            }
            Response::DeleteGroups(results)
        }
        other => panic!("GROUPS-16 {other:?} does not wait for records"),
    }
}

/// What a client is told when the log refuses records with `error`: errors of the partition become errors of
/// the coordinator, which clients know how to retry.
pub(crate) fn of_write(error: ErrorCode) -> ErrorCode {
    use ErrorCode::*;
    match error {
        NetworkException => CoordinatorLoadInProgress,
        UnknownTopicOrPartition | NotEnoughReplicas | RequestTimedOut => CoordinatorNotAvailable,
        NotLeaderOrFollower | KafkaStorageError => NotCoordinator,
        MessageTooLarge | RecordListTooLarge | InvalidFetchSize => UnknownServerError,
        other => other,
    }
}
