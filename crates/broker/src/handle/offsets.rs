//! OffsetCommit, OffsetFetch, OffsetDelete: topics are looked up here, offsets live in the group's shard.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use ottla_groups::{Request, Response, offset_fetch};
use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions,
};
use ottla_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
};

use crate::dispatch::Call;
use crate::handle::groups::{ask, ask_partition};
use crate::reply::{Outcome, Refusal};

pub(super) const GONE: Refusal = Refusal::Told("the group coordinator went away while the request waited");
/// The first versions of OffsetCommit and OffsetFetch that name topics by id.
const IDS_FROM: i16 = 10;
/// What the record of one offset takes, with its place in the group, until it is in the log.
pub(super) const RECORD_BYTES: usize = 400;

pub(crate) fn commit(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: OffsetCommitRequest = call.owned()?;
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    call.afford(count, RECORD_BYTES)?;
    let image = call.node().image();
    let by_id = call.version() >= IDS_FROM;
    let mut refused = Vec::new();
    let mut known = Vec::new();
    for mut topic in std::mem::take(&mut request.topics) {
        let found =
            if by_id { image.topics.by_id(topic.topic_id) } else { image.topics.by_name(&topic.name) };
        let Some(found) = found else {
            let error = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            refused.push(all_refused(&topic, error));
            continue;
        };
        topic.name = found.name.to_string();
        topic.topic_id = found.id;
        let partitions = take_missing(Some(found), &mut topic.partitions, |p| p.partition_index);
        if !partitions.is_empty() {
            let of =
                OffsetCommitRequestTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions };
            refused.push(all_refused(&of, ErrorCode::UnknownTopicOrPartition));
        }
        if !topic.partitions.is_empty() {
            known.push(topic);
        }
    }
    if known.is_empty() {
        return call.reply(&OffsetCommitResponse { topics: refused, ..Default::default() });
    }
    request.topics = known;
    let group_id = request.group_id.clone();
    let answer = ask(call, &group_id, Request::OffsetCommit(request));
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let Some(Response::OffsetCommit(mut body)) = answer.wait().await else { return Err(GONE) };
        let name = |topic: &OffsetCommitResponseTopic| (topic.name.clone(), topic.topic_id);
        merge(&mut body.topics, refused, name, |same, more| same.partitions.extend(more.partitions));
        to.with(&body)
    })))
}

/// Takes the partitions that `topic` does not have out of a request's; a topic that does not exist has none.
pub(super) fn take_missing<P>(
    topic: Option<&Arc<Topic>>,
    partitions: &mut Vec<P>,
    index: impl Fn(&P) -> i32,
) -> Vec<P> {
    let is_missing = |p: &mut P| topic.is_none_or(|topic| topic.partition(index(p)).is_none());
    partitions.extract_if(.., is_missing).collect()
}

/// Adds topics to those of an answer. Each stands in it once: one that is there already, by its name, gets more partitions.
pub(super) fn merge<T, N: Eq + Hash>(
    topics: &mut Vec<T>,
    more: Vec<T>,
    name: impl Fn(&T) -> N,
    join: impl Fn(&mut T, T),
) {
    if more.is_empty() {
        return;
    }
    let places: HashMap<N, usize> = topics.iter().enumerate().map(|(at, topic)| (name(topic), at)).collect();
    for topic in more {
        match places.get(&name(&topic)) {
            Some(&same) => join(&mut topics[same], topic),
            None => topics.push(topic),
        }
    }
}

fn all_refused(topic: &OffsetCommitRequestTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    let partition =
        |index: i32| OffsetCommitResponsePartition { partition_index: index, error_code: error.code() };
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|p| partition(p.partition_index)).collect(),
    }
}

pub(crate) fn fetch(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: OffsetFetchRequest = call.owned()?;
    let version = call.version();
    let require_stable = version >= 7 && request.require_stable;
    let image = call.node().image();
    let groups = offset_fetch::groups(request, version);
    let topics = groups.iter().flat_map(|group| group.topics.iter().flatten());
    let count = groups.len() + topics.map(|topic| 1 + topic.partition_indexes.len()).sum::<usize>();
    call.afford(count, size_of::<OffsetFetchResponsePartitions>())?;
    let mut waiting = Vec::new();
    for mut group in groups {
        let mut unknown = Vec::new();
        if version >= IDS_FROM
            && let Some(topics) = &mut group.topics
        {
            topics.retain_mut(|topic| match image.topics.by_id(topic.topic_id) {
                Some(found) => {
                    topic.name = found.name.to_string();
                    true
                }
                None => {
                    unknown.push(offset_fetch::topic_error(topic, ErrorCode::UnknownTopicId));
                    false
                }
            });
        }
        let partition = call.node().group_partition(&group.group_id);
        waiting
            .push((ask_partition(call, partition, Request::OffsetFetch { group, require_stable }), unknown));
    }
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let mut groups: Vec<OffsetFetchResponseGroup> = Vec::with_capacity(waiting.len());
        for (answer, unknown) in waiting {
            let Some(Response::OffsetFetch(mut group)) = answer.wait().await else { return Err(GONE) };
            if version >= IDS_FROM {
                with_ids(&image, &mut group);
                group.topics.extend(unknown);
            }
            groups.push(group);
        }
        to.with(&offset_fetch::response(groups, version))
    })))
}

/// Fills in topic ids by name; topics that are gone are left out, as a client by id could not name them.
fn with_ids(image: &Image, group: &mut OffsetFetchResponseGroup) {
    group.topics.retain_mut(|topic| {
        if topic.topic_id.is_nil() {
            match image.topics.id_of(&topic.name) {
                Some(id) => topic.topic_id = id,
                None => return false,
            }
        }
        true
    });
}

pub(crate) fn delete(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let mut request: OffsetDeleteRequest = call.owned()?;
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    call.afford(count, RECORD_BYTES)?;
    let image = call.node().image();
    let mut refused = Vec::new();
    for topic in &mut request.topics {
        let found = image.topics.by_name(&topic.name);
        let gone = take_missing(found, &mut topic.partitions, |p| p.partition_index);
        if !gone.is_empty() {
            let partition = |index| OffsetDeleteResponsePartition {
                partition_index: index,
                error_code: ErrorCode::UnknownTopicOrPartition.code(),
            };
            refused.push(OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions: gone.iter().map(|p| partition(p.partition_index)).collect(),
            });
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    let group_id = request.group_id.clone();
    let answer = ask(call, &group_id, Request::OffsetDelete(request));
    let to = call.reply_to();
    Ok(Outcome::Later(Box::pin(async move {
        let Some(Response::OffsetDelete(mut body)) = answer.wait().await else { return Err(GONE) };
        if body.error_code == 0 {
            let name = |topic: &OffsetDeleteResponseTopic| topic.name.clone();
            merge(&mut body.topics, refused, name, |same, more| same.partitions.extend(more.partitions));
        } else {
            body = OffsetDeleteResponse { error_code: body.error_code, ..Default::default() };
        }
        to.with(&body)
    })))
}
