//! OffsetFetch: what is committed; with `require_stable` not before everything on its way has arrived.

use std::collections::HashMap;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_records::mutant;
use uuid::Uuid;

use super::{Group, Shard};
use crate::api::{AppendId, Response, Token};
use crate::foreign::Kind;
use crate::offset_fetch::{group_error, nothing, topic_error};
use crate::offsets::Committed;
use crate::timers::Timer;

/// The first version that names topics by their ids.
const TOPIC_IDS_FROM: i16 = 10;

/// A fetch that waits for the appends issued before it.
#[derive(Debug)]
pub(super) struct WaitingFetch {
    after: AppendId,
    api_version: i16,
    token: Token,
    group: OffsetFetchRequestGroup,
}

impl Shard {
    pub(super) fn fetch(
        &mut self,
        api_version: i16,
        token: Token,
        group: OffsetFetchRequestGroup,
        require_stable: bool,
    ) {
        if require_stable && !self.desk.writes.is_empty() {
            let deadline = self.desk.after(self.desk.config.write_timeout_ms);
            self.desk.timers.set(Timer::Fetch { token }, deadline);
            let after = self.desk.issued;
            self.fetches.push_back(WaitingFetch { after, api_version, token, group });
            return;
        }
        let answer = self.offsets_of(api_version, &group, require_stable);
        self.desk.reply(token, Response::OffsetFetch(answer));
    }

    /// Answers the fetches whose appends all have an outcome.
    pub(super) fn release_fetches(&mut self) {
        let oldest = self.desk.writes.keys().next().copied().unwrap_or(AppendId::MAX);
        while self.fetches.front().is_some_and(|fetch| fetch.after < oldest) {
            let Some(fetch) = self.fetches.pop_front() else { return };
            self.desk.timers.cancel(&Timer::Fetch { token: fetch.token });
            let answer = self.offsets_of(fetch.api_version, &fetch.group, true);
            self.desk.reply(fetch.token, Response::OffsetFetch(answer));
        }
    }

    /// A waiting fetch gives up. Consumers before 3.9 do not retry on any kinder error.
    pub(super) fn fetch_time_over(&mut self, token: Token) {
        let at = self.fetches.iter().position(|fetch| fetch.token == token);
        if let Some(fetch) = at.and_then(|at| self.fetches.remove(at)) {
            self.refuse_fetch(&fetch, ErrorCode::NotCoordinator);
        }
    }

    pub(super) fn refuse_fetch(&mut self, fetch: &WaitingFetch, error: ErrorCode) {
        let answer = group_error(&fetch.group, error, fetch.api_version);
        self.desk.reply(fetch.token, Response::OffsetFetch(answer));
    }

    fn offsets_of(
        &self,
        api_version: i16,
        request: &OffsetFetchRequestGroup,
        require_stable: bool,
    ) -> OffsetFetchResponseGroup {
        let group = &*request.group_id;
        let is_from_member = request.member_id.is_some() || request.member_epoch >= 0;
        match self.groups.get(group) {
            // Members of these groups are not served yet, so nobody can prove to be one.
            Some(Group::Foreign(of)) if of.kind != Kind::Share && is_from_member => {
                return group_error(request, ErrorCode::UnknownMemberId, api_version);
            }
            _ => {}
        }
        let give = |topic: &str, partition: i32, committed: Option<&Committed>| {
            if require_stable && self.offsets.is_open(group, topic, partition) {
                return nothing(partition, ErrorCode::UnstableOffsetCommit);
            }
            match committed {
                None => nothing(partition, ErrorCode::None),
                Some(committed) => OffsetFetchResponsePartitions {
                    partition_index: partition,
                    committed_offset: committed.offset,
                    committed_leader_epoch: committed.leader_epoch,
                    metadata: Some(committed.metadata.to_string()),
                    error_code: 0,
                },
            }
        };
        let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
        match &request.topics {
            None => {
                let mut places: HashMap<&str, usize> = HashMap::new();
                for (topic, partition, committed) in self.offsets.all_stable(group) {
                    let at = *places.entry(topic).or_insert_with(|| {
                        topics.push(OffsetFetchResponseTopics {
                            name: topic.to_string(),
                            ..Default::default()
                        });
                        topics.len() - 1
                    });
                    topics[at].partitions.push(give(topic, partition, Some(committed)));
                }
            }
            Some(asked) => {
                for topic in asked {
                    if api_version >= TOPIC_IDS_FROM && topic.name.is_empty() {
                        topics.push(topic_error(topic, ErrorCode::UnknownTopicId));
                        continue;
                    }
                    let partitions = topic.partition_indexes.iter().map(|partition| {
                        let committed = match mutant::is("offsets-shown-early") {
                            true => self.offsets.latest(group, &topic.name, *partition),
                            false => self.offsets.stable(group, &topic.name, *partition),
                        };
                        // Committed for an earlier topic of the same name: not an offset of this one.
                        let is_of_another =
                            |committed: &&Committed| is_other(committed.topic_id, topic.topic_id);
                        give(&topic.name, *partition, committed.filter(|c| !is_of_another(c)))
                    });
                    topics.push(OffsetFetchResponseTopics {
                        name: topic.name.clone(),
                        topic_id: topic.topic_id,
                        partitions: partitions.collect(),
                    });
                }
            }
        }
        OffsetFetchResponseGroup { group_id: request.group_id.clone(), topics, error_code: 0 }
    }
}

/// Whether both ids are known, and differ.
fn is_other(one: Uuid, another: Uuid) -> bool {
    !one.is_nil() && !another.is_nil() && one != another
}
