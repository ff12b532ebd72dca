//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, ListGroups, DeleteGroups: handed to the shard of the group.

use std::collections::{BTreeMap, BTreeSet};

use ottla_groups::{Client, Request, Response};
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, ListGroupsResponse,
    SyncGroupRequest,
};
use uuid::Uuid;

use crate::dispatch::Call;
use crate::group_host::Answer;
use crate::handle::operations;
use crate::reply::{Outcome, Refusal, Reply, ReplyTo};

const GONE: Refusal = Refusal::Told("the group coordinator went away while the request waited");

/// Hands `request` to the shard of `group_id`.
pub(super) fn ask(call: &Call<'_>, group_id: &str, request: Request) -> Answer {
    ask_partition(call, call.node().group_partition(group_id), request)
}

pub(super) fn ask_partition(call: &Call<'_>, partition: i32, request: Request) -> Answer {
    let host = call.peer.host();
    let client =
        Client { id: call.head.client_id.unwrap_or_default(), host: &host, api_version: call.version() };
    call.node().groups().ask(partition, client, request)
}

/// Answers with what the shard says, now or later.
pub(super) fn answer(call: &Call<'_>, answer: Answer) -> Result<Outcome, Refusal> {
    let to = call.reply_to();
    match answer {
        Answer::Now(response) => encode(to, response).map(Outcome::Reply),
        later => Ok(Outcome::Later(Box::pin(async move { encode(to, later.wait().await.ok_or(GONE)?) }))),
    }
}

fn encode(to: ReplyTo, response: Response) -> Result<Reply, Refusal> {
    match response {
        Response::JoinGroup(body) => to.with(&body),
        Response::SyncGroup(body) => to.with(&body),
        Response::Heartbeat(body) => to.with(&body),
        Response::LeaveGroup(body) => to.with(&body),
        Response::OffsetCommit(body) => to.with(&body),
        Response::OffsetDelete(body) => to.with(&body),
        Response::ListGroups(body) => to.with(&body),
        Response::OffsetFetch(_)
        | Response::TxnOffsetCommit(_)
        | Response::EndTransaction(_)
        | Response::DescribeGroups(_)
        | Response::DeleteGroups(_) => {
            unreachable!("these answers are put together by their own handlers")
        }
    }
}

pub(crate) fn join(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: JoinGroupRequest = call.owned()?;
    let group_id = request.group_id.clone();
    answer(call, ask(call, &group_id, Request::JoinGroup { request, fresh: Uuid::new_v4() }))
}

pub(crate) fn sync(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: SyncGroupRequest = call.owned()?;
    let group_id = request.group_id.clone();
    answer(call, ask(call, &group_id, Request::SyncGroup(request)))
}

pub(crate) fn heartbeat(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: HeartbeatRequest = call.owned()?;
    let group_id = request.group_id.clone();
    answer(call, ask(call, &group_id, Request::Heartbeat(request)))
}

pub(crate) fn leave(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: LeaveGroupRequest = call.owned()?;
    let group_id = request.group_id.clone();
    answer(call, ask(call, &group_id, Request::LeaveGroup(request)))
}

/// The groups of a request by the offsets partition that has them.
fn by_partition(call: &Call<'_>, groups: impl IntoIterator<Item = String>) -> BTreeMap<i32, Vec<String>> {
    let mut shards: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for group in groups {
        shards.entry(call.node().group_partition(&group)).or_default().push(group);
    }
    shards
}

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeGroupsRequest = call.owned()?;
    call.afford(request.groups.len(), size_of::<DescribedGroup>())?;
    let operations = call.version() >= 3 && request.include_authorized_operations;
    let answers: Vec<Answer> = by_partition(call, request.groups)
        .into_iter()
        .map(|(partition, groups)| ask_partition(call, partition, Request::DescribeGroups(groups)))
        .collect();
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut groups = Vec::new();
        for answer in answers {
            if let Response::DescribeGroups(described) = answer.wait().await.ok_or(GONE)? {
                groups.extend(described);
            }
        }
        for group in &mut groups {
            group.authorized_operations = if operations { operations::GROUP } else { i32::MIN };
        }
        to.with(&DescribeGroupsResponse { groups, ..Default::default() })
    })))
}

pub(crate) fn list(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ListGroupsRequest = call.owned()?;
    let answers: Vec<Answer> = call
        .node()
        .groups()
        .led()
        .into_iter()
        .map(|partition| ask_partition(call, partition, Request::ListGroups(request.clone())))
        .collect();
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut all = ListGroupsResponse::default();
        for answer in answers {
            if let Response::ListGroups(listed) = answer.wait().await.ok_or(GONE)? {
                if listed.error_code != 0 && all.error_code == 0 {
                    all.error_code = listed.error_code;
                }
                all.groups.extend(listed.groups);
            }
        }
        to.with(&all)
    })))
}

pub(crate) fn delete(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DeleteGroupsRequest = call.owned()?;
    // As in Kafka, a group that is named twice is deleted once.
    let names: BTreeSet<String> = request.groups_names.into_iter().collect();
    let answers: Vec<Answer> = by_partition(call, names)
        .into_iter()
        .map(|(partition, groups)| ask_partition(call, partition, Request::DeleteGroups(groups)))
        .collect();
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut results = Vec::new();
        for answer in answers {
            if let Response::DeleteGroups(deleted) = answer.wait().await.ok_or(GONE)? {
                results.extend(deleted);
            }
        }
        to.with(&DeleteGroupsResponse { results, ..Default::default() })
    })))
}
