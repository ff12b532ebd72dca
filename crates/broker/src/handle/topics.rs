//! CreateTopics, DeleteTopics, CreatePartitions: decided by the controller, answered when committed and shown here.

use ottla_metadata::decide::CreateContext;
use ottla_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::messages::delete_topics_response::DeletableTopicResult;
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse,
};
use uuid::Uuid;

use crate::controller_host::Unavailable;
use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

/// The first version of DeleteTopics that names topics one by one, by name or id.
const NAMED_OR_BY_ID_FROM: i16 = 6;

pub(crate) fn create(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: CreateTopicsRequest = call.owned()?;
    let (node, to) = (call.node().clone(), call.reply_to());
    let forwarded = call.is_forwarded();
    Ok(Outcome::Later(Box::pin(async move {
        let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        let answer = node.controller().ask(&node, request.timeout_ms, move |turn| {
            let mut context = CreateContext { access: &|_, _| true, forwarded, random: &mut *turn.random };
            turn.controller.view().create_topics(&request, &mut context)
        });
        to.with(&answer.await.unwrap_or_else(|error| not_created(names, error)))
    })))
}

fn not_created(names: Vec<String>, error: Unavailable) -> CreateTopicsResponse {
    let refused = |name| CreatableTopicResult {
        name,
        error_code: error.code().code(),
        error_message: Some(error.to_string()),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    };
    CreateTopicsResponse { throttle_time_ms: 0, topics: names.into_iter().map(refused).collect() }
}

pub(crate) fn delete(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: DeleteTopicsRequest = call.owned()?;
    let version = call.version();
    if version < NAMED_OR_BY_ID_FROM {
        request.topics.clear();
    } else {
        request.topic_names.clear();
    }
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let by_name = request.topic_names.iter().map(|name| (Some(name.clone()), Uuid::nil()));
        let one_by_one = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
        let named: Vec<_> = by_name.chain(one_by_one).collect();
        let answer = node.controller().ask(&node, request.timeout_ms, move |turn| {
            turn.controller.view().delete_topics(&request, version, &|_, _| true)
        });
        to.with(&answer.await.unwrap_or_else(|error| not_deleted(named, error)))
    })))
}

fn not_deleted(named: Vec<(Option<String>, Uuid)>, error: Unavailable) -> DeleteTopicsResponse {
    let refused = |(name, topic_id)| DeletableTopicResult {
        name,
        topic_id,
        error_code: error.code().code(),
        error_message: Some(error.to_string()),
    };
    DeleteTopicsResponse { throttle_time_ms: 0, responses: named.into_iter().map(refused).collect() }
}

pub(crate) fn create_partitions(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: CreatePartitionsRequest = call.owned()?;
    let (node, to) = (call.node().clone(), call.reply_to());
    Ok(Outcome::Later(Box::pin(async move {
        let names: Vec<String> = request.topics.iter().map(|topic| topic.name.clone()).collect();
        let answer = node.controller().ask(&node, request.timeout_ms, move |turn| {
            turn.controller.view().create_partitions(&request, &|_, _| true, &mut *turn.random)
        });
        to.with(&answer.await.unwrap_or_else(|error| no_partitions(names, error)))
    })))
}

fn no_partitions(names: Vec<String>, error: Unavailable) -> CreatePartitionsResponse {
    let refused = |name| CreatePartitionsTopicResult {
        name,
        error_code: error.code().code(),
        error_message: Some(error.to_string()),
    };
    CreatePartitionsResponse { throttle_time_ms: 0, results: names.into_iter().map(refused).collect() }
}
