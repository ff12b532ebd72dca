//! Topics that go (DeleteTopics), by name or by id.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::remove_topic_record::RemoveTopicRecord;
use uuid::Uuid;

use super::{Access, Decision, MAX_RECORDS_PER_REQUEST, Record, Refusal, TopicAction, View};

/// The first request version that can be answered with TOPIC_DELETION_DISABLED.
const KNOWS_DELETION_DISABLED: i16 = 3;

/// Results so far, and what is to go.
#[derive(Default)]
struct Deletions {
    results: Vec<DeletableTopicResult>,
    records: Vec<Record>,
}

impl Deletions {
    fn refuse(&mut self, name: Option<&str>, topic_id: Uuid, refusal: Refusal) {
        self.results.push(DeletableTopicResult {
            name: name.map(str::to_owned),
            topic_id,
            error_code: refusal.code.code(),
            error_message: refusal.message,
        });
    }

    fn delete(&mut self, name: &str, topic_id: Uuid) {
        self.records.push((MetadataRecord::RemoveTopicRecord(RemoveTopicRecord { topic_id }), 0));
        self.results.push(DeletableTopicResult {
            name: Some(name.to_owned()),
            topic_id,
            error_code: 0,
            error_message: None,
        });
    }
}

impl View<'_> {
    /// Deletes topics with all they have. Answers in the order of the request, those given by id after those given
    /// by name.
    pub fn delete_topics(
        &self,
        request: &DeleteTopicsRequest,
        request_version: i16,
        access: Access<'_>,
    ) -> Decision<DeleteTopicsResponse> {
        let mut deletions = Deletions::default();
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut ids: BTreeMap<Uuid, usize> = BTreeMap::new();
        for name in &request.topic_names {
            *names.entry(name).or_default() += 1;
        }
        let invalid = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
        for topic in &request.topics {
            match (topic.name.as_deref(), topic.topic_id) {
                (None, id) if id.is_nil() => {
                    deletions.refuse(None, id, invalid("Neither topic name nor id were specified."));
                }
                (None, id) => *ids.entry(id).or_default() += 1,
                (Some(name), id) if id.is_nil() => *names.entry(name).or_default() += 1,
                (Some(name), id) => {
                    let refusal = invalid("You may not specify both topic name and topic id.");
                    deletions.refuse(Some(name), id, refusal);
                }
            }
        }
        if !self.settings.delete_topic_enable {
            let refusal = if request_version < KNOWS_DELETION_DISABLED {
                invalid("This version does not support topic deletion.")
            } else {
                Refusal::new(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.")
            };
            names.keys().for_each(|name| deletions.refuse(Some(name), Uuid::nil(), refusal.clone()));
            ids.keys().for_each(|&id| deletions.refuse(None, id, refusal.clone()));
        } else {
            // A topic given by name and by id is deleted by neither.
            let by_name: BTreeSet<Uuid> =
                names.keys().filter_map(|name| self.image.topics.id_of(name)).collect();
            for (&name, &count) in &names {
                self.delete_by_name(name, count, &ids, access, &mut deletions);
            }
            for (&id, &count) in &ids {
                self.delete_by_id(id, count, by_name.contains(&id), access, &mut deletions);
            }
        }
        if deletions.records.len() > MAX_RECORDS_PER_REQUEST {
            for result in &mut deletions.results {
                (result.error_code, result.error_message) = super::outcome::<()>(Err(Refusal::too_large()));
            }
            deletions.records.clear();
        }
        let response = DeleteTopicsResponse { throttle_time_ms: 0, responses: deletions.results };
        Decision::atomic(deletions.records, response)
    }

    fn delete_by_name(
        &self,
        name: &str,
        count: usize,
        ids: &BTreeMap<Uuid, usize>,
        access: Access<'_>,
        deletions: &mut Deletions,
    ) {
        let refusal = if count > 1 {
            Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name.")
        } else if !access(TopicAction::Describe, name) {
            Refusal::new(ErrorCode::TopicAuthorizationFailed, "Topic authorization failed.")
        } else {
            match self.image.topics.id_of(name) {
                None => Refusal::new(
                    ErrorCode::UnknownTopicOrPartition,
                    "This server does not host this topic-partition.",
                ),
                Some(_) if !access(TopicAction::Delete, name) => {
                    Refusal::new(ErrorCode::TopicAuthorizationFailed, "Topic authorization failed.")
                }
                Some(id) if ids.contains_key(&id) => {
                    let refusal = Refusal::new(
                        ErrorCode::InvalidRequest,
                        "The provided topic name maps to an ID that was already supplied.",
                    );
                    return deletions.refuse(Some(name), id, refusal);
                }
                Some(id) => return deletions.delete(name, id),
            }
        };
        deletions.refuse(Some(name), Uuid::nil(), refusal);
    }

    fn delete_by_id(
        &self,
        id: Uuid,
        count: usize,
        given_by_name: bool,
        access: Access<'_>,
        deletions: &mut Deletions,
    ) {
        if count > 1 {
            let refusal = Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic id.");
            return deletions.refuse(None, id, refusal);
        }
        let Some(topic) = self.image.topics.by_id(id) else {
            let refusal = Refusal::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.");
            return deletions.refuse(None, id, refusal);
        };
        let name = &*topic.name;
        if !access(TopicAction::Delete, name) {
            let shown = access(TopicAction::Describe, name).then_some(name);
            let refusal = Refusal::new(ErrorCode::TopicAuthorizationFailed, "Topic authorization failed.");
            return deletions.refuse(shown, id, refusal);
        }
        if !given_by_name {
            deletions.delete(name, id);
        }
    }
}
