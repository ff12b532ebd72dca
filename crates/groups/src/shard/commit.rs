//! OffsetCommit and OffsetDelete.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_commit_request::OffsetCommitRequest;
use ottla_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequest;
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use super::desk::{Undo, Write};
use super::{Group, Shard};
use crate::answer;
use crate::api::{AppendId, Record, Response, Token};
use crate::classic::State;
use crate::foreign::Kind;
use crate::offsets::{Committed, Place};
use crate::record;

/// The first version that may say GROUP_ID_NOT_FOUND.
const GROUP_NOT_FOUND_FROM: i16 = 9;
/// The first version that names topics by their ids.
const TOPIC_IDS_FROM: i16 = 10;

/// Whether metadata is longer than `limit` UTF-16 code units; that is what Kafka counts.
pub(super) fn is_too_long(metadata: &str, limit: usize) -> bool {
    metadata.len() > limit && metadata.encode_utf16().count() > limit
}

/// Offsets and the records that carry them, on their way into one append.
#[derive(Debug, Default)]
pub(super) struct Issue {
    pub(super) records: Vec<Record>,
    pub(super) values: Vec<(Place, Option<Committed>)>,
    /// About how large the tombstones are.
    pub(super) bytes: usize,
}

impl Issue {
    fn commit(&mut self, place: Place, value: Committed) {
        self.records.push(record::offset(&place.group, &place.topic, place.partition, &value));
        self.values.push((place, Some(value)));
    }

    /// Adds a tombstone.
    pub(super) fn delete(&mut self, place: Place) {
        let record = record::offset_tombstone(&place.group, &place.topic, place.partition);
        self.bytes += record.key.len() + 16;
        self.records.push(record);
        self.values.push((place, None));
    }
}

impl Shard {
    /// Issues an append of offsets (and whatever records follow them in `records`). Nothing is issued when
    /// there are no records.
    pub(super) fn issue(&mut self, issue: Issue, undo: Vec<Undo>) -> Option<AppendId> {
        if issue.records.is_empty() {
            return None;
        }
        let offsets = issue.values.iter().map(|(place, _)| place.clone()).zip(0..).collect();
        let id = self.desk.append(issue.records, Write { offsets, undo, ..Write::default() });
        for (place, value) in issue.values {
            self.offsets.issue(id, &place, value);
        }
        Some(id)
    }

    /// Checks that the commit is allowed, and counts it as a sign of life.
    fn check_commit(&mut self, api_version: i16, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        match self.groups.get(&*request.group_id) {
            None if generation < 0 => Ok(()),
            None if api_version >= GROUP_NOT_FOUND_FROM => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
            Some(Group::Classic(group)) => {
                let instance = request.group_instance_id.as_deref();
                group.check_commit(&request.member_id, instance, generation, false)?;
                if matches!(group.state, State::Stable | State::PreparingRebalance) {
                    self.desk.renew_session(group, &request.member_id);
                }
                Ok(())
            }
            Some(Group::Foreign(group)) if group.kind == Kind::Share => Err(ErrorCode::GroupIdNotFound),
            Some(Group::Foreign(group)) if generation < 0 && group.is_empty() => Ok(()),
            Some(Group::Foreign(_)) => Err(ErrorCode::UnknownMemberId),
        }
    }

    pub(super) fn commit(&mut self, api_version: i16, token: Token, request: OffsetCommitRequest) {
        if let Err(error) = self.check_commit(api_version, &request) {
            return self.desk.reply(token, answer::commit_error(&request, error));
        }
        let known = self.groups.get_key_value(&*request.group_id).map(|(id, _)| id.clone());
        let group: Arc<str> = known.unwrap_or_else(|| request.group_id.as_str().into());
        let expire_ms = match request.retention_time_ms {
            -1 => None,
            retention => Some(self.desk.wall_ms().saturating_add(retention)),
        };
        let mut issue = Issue::default();
        let mut response = OffsetCommitResponse::default();
        for topic in request.topics {
            let is_unknown = api_version >= TOPIC_IDS_FROM && topic.name.is_empty();
            let name: Arc<str> = topic.name.as_str().into();
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let partition_index = partition.partition_index;
                let metadata = partition.committed_metadata.unwrap_or_default();
                let error = if is_unknown {
                    ErrorCode::UnknownTopicId
                } else if is_too_long(&metadata, self.desk.config.offset_metadata_max_size) {
                    ErrorCode::OffsetMetadataTooLarge
                } else {
                    issue.commit(
                        Place { group: group.clone(), topic: name.clone(), partition: partition_index },
                        Committed {
                            offset: partition.committed_offset,
                            leader_epoch: partition.committed_leader_epoch,
                            metadata: metadata.into(),
                            commit_ms: self.desk.wall_ms(),
                            expire_ms,
                            topic_id: topic.topic_id,
                            record_offset: -1,
                        },
                    );
                    ErrorCode::None
                };
                partitions.push(OffsetCommitResponsePartition { partition_index, error_code: error.code() });
            }
            response.topics.push(OffsetCommitResponseTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions,
            });
        }
        let mut undo = Vec::new();
        if !issue.records.is_empty() && !self.groups.contains_key(&group) {
            // Nobody joined it: a group made by the offsets committed under its name.
            let incarnation = self.create(&group).incarnation;
            undo.push(Undo::Uncreate(group, incarnation));
        }
        let append = self.issue(issue, undo);
        self.desk.reply_after(append, token, Response::OffsetCommit(response));
    }

    fn check_offset_delete(&self, group: &str) -> Result<(), ErrorCode> {
        match self.groups.get(group) {
            None => Err(ErrorCode::GroupIdNotFound),
            Some(Group::Classic(group)) if group.is_empty() || group.is_of_consumers() => Ok(()),
            // What members of another protocol subscribe to is not known, so they must be gone.
            Some(Group::Classic(_)) => Err(ErrorCode::NonEmptyGroup),
            Some(Group::Foreign(group)) if group.kind == Kind::Share => Err(ErrorCode::GroupIdNotFound),
            Some(Group::Foreign(_)) => Ok(()),
        }
    }

    fn is_subscribed(&self, group: &str, topic: &str) -> bool {
        match self.groups.get(group) {
            None => false,
            Some(Group::Classic(group)) => group.is_subscribed_to(topic),
            Some(Group::Foreign(group)) => group.is_subscribed_to(topic),
        }
    }

    pub(super) fn delete_offsets(&mut self, token: Token, request: OffsetDeleteRequest) {
        if let Err(error) = self.check_offset_delete(&request.group_id) {
            return self.desk.reply(token, answer::offset_delete_error(error));
        }
        let group: Arc<str> = request.group_id.as_str().into();
        let mut issue = Issue::default();
        let mut response = OffsetDeleteResponse::default();
        for topic in request.topics {
            let name: Arc<str> = topic.name.as_str().into();
            let is_subscribed = self.is_subscribed(&group, &name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let partition = partition.partition_index;
                let error = if is_subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
                let is_there = self.offsets.latest(&group, &name, partition).is_some()
                    || self.offsets.is_open(&group, &name, partition);
                if !is_subscribed && is_there {
                    issue.delete(Place { group: group.clone(), topic: name.clone(), partition });
                }
                partitions.push(OffsetDeleteResponsePartition {
                    partition_index: partition,
                    error_code: error.code(),
                });
            }
            response.topics.push(OffsetDeleteResponseTopic { name: topic.name, partitions });
        }
        let append = self.issue(issue, Vec::new());
        self.desk.reply_after(append, token, Response::OffsetDelete(response));
    }

    /// Whether offsets of a topic outlive their retention because the group reads it.
    pub(super) fn protects(&self, group: &str, topic: &str) -> bool {
        self.is_subscribed(group, topic)
    }
}
