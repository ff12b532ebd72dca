//! DescribeGroups, ListGroups, DeleteGroups.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::describe_groups_response::DescribedGroup;
use ottla_protocol::messages::list_groups_request::ListGroupsRequest;
use ottla_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};

use super::commit::Issue;
use super::desk::Undo;
use super::{Group, Shard};
use crate::api::{Response, Token};
use crate::classic::{Classic, State};
use crate::member::Member;
use crate::offsets::Place;
use crate::record;

/// The first version of DescribeGroups that may say GROUP_ID_NOT_FOUND (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;

impl Group {
    /// Kafka's name of the group's type.
    fn type_name(&self) -> &'static str {
        match self {
            Group::Classic(_) => "classic",
            Group::Foreign(group) => group.kind.name(),
        }
    }

    fn state_name(&self) -> &'static str {
        match self {
            Group::Classic(group) => group.state.name(),
            Group::Foreign(group) => group.state(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Group::Classic(group) => group.is_empty(),
            Group::Foreign(group) => group.is_empty(),
        }
    }
}

fn described(group: &Classic) -> DescribedGroup {
    let protocol = group.protocol_name.as_deref().filter(|_| group.state == State::Stable);
    DescribedGroup {
        group_id: group.id.to_string(),
        group_state: group.state.name().to_owned(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: protocol.unwrap_or_default().to_owned(),
        members: group.members().map(|member: &Member| member.described(protocol)).collect(),
        ..Default::default()
    }
}

impl Shard {
    pub(super) fn describe(&mut self, api_version: i16, token: Token, groups: Vec<String>) {
        let described = groups.into_iter().map(|id| {
            let message = match self.groups.get(&*id) {
                Some(Group::Classic(group)) => return described(group),
                Some(Group::Foreign(_)) => format!("Group {id} is not a classic group."),
                None => format!("Group {id} not found."),
            };
            let mut dead =
                DescribedGroup { group_id: id, group_state: "Dead".to_owned(), ..Default::default() };
            if api_version >= NOT_FOUND_FROM {
                dead.error_code = ErrorCode::GroupIdNotFound.code();
                dead.error_message = Some(message);
            }
            dead
        });
        let response = Response::DescribeGroups(described.collect());
        self.desk.reply(token, response);
    }

    pub(super) fn list(&mut self, token: Token, request: &ListGroupsRequest) {
        let states: Vec<String> = request.states_filter.iter().map(|s| s.trim().to_lowercase()).collect();
        let types: Vec<String> = request.types_filter.iter().map(|t| t.to_lowercase()).collect();
        let wanted = |group: &Group| {
            (states.is_empty() || states.contains(&group.state_name().to_lowercase()))
                && (types.is_empty() || types.iter().any(|name| name == group.type_name()))
        };
        let listed = self.groups.iter().filter(|(_, group)| wanted(group)).map(|(id, group)| ListedGroup {
            group_id: id.to_string(),
            protocol_type: match group {
                Group::Classic(group) => group.protocol_type.clone().unwrap_or_default(),
                Group::Foreign(group) => group.kind.name().to_owned(),
            },
            group_state: group.state_name().to_owned(),
            group_type: group.type_name().to_owned(),
        });
        let response = ListGroupsResponse { groups: listed.collect(), ..Default::default() };
        self.desk.reply(token, Response::ListGroups(response));
    }

    fn check_delete(&self, id: &str) -> Result<(), ErrorCode> {
        match self.groups.get(id) {
            None => Err(ErrorCode::GroupIdNotFound),
            Some(group) if !group.is_empty() => Err(ErrorCode::NonEmptyGroup),
            // Its share partitions' state would be left behind with nobody to delete it.
            Some(Group::Foreign(group)) if group.has_share_state() => Err(ErrorCode::UnsupportedVersion),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn delete_groups(&mut self, token: Token, groups: Vec<String>) {
        let mut issue = Issue::default();
        let mut tombstones = Vec::new();
        let mut undo = Vec::new();
        let mut results = Vec::with_capacity(groups.len());
        for id in groups {
            let error = match self.check_delete(&id) {
                Err(error) => error,
                Ok(()) => {
                    for place in self.places_of(&id) {
                        issue.delete(place);
                    }
                    undo.extend(self.remove_group(&id, &mut tombstones));
                    ErrorCode::None
                }
            };
            results.push(DeletableGroupResult { group_id: id, error_code: error.code() });
        }
        issue.records.append(&mut tombstones);
        let append = self.issue(issue, undo);
        self.desk.reply_after(append, token, Response::DeleteGroups(results));
    }

    /// Everything under which a group has an offset, or an open transaction has one.
    pub(super) fn places_of(&self, id: &str) -> Vec<Place> {
        let group: Arc<str> = id.into();
        let latest = self.offsets.all_latest(id).map(|(topic, partition, _)| (topic.clone(), partition));
        let open = self.offsets.all_open(id).map(|(topic, partition)| (topic.clone(), partition));
        let mut places: Vec<Place> = latest
            .chain(open)
            .map(|(topic, partition)| Place { group: group.clone(), topic, partition })
            .collect();
        places.sort();
        places.dedup();
        places
    }

    /// Takes an empty group out, with tombstones for what is in the log of it.
    pub(super) fn remove_group(
        &mut self,
        id: &str,
        tombstones: &mut Vec<crate::api::Record>,
    ) -> Option<Undo> {
        let (id, group) = self.groups.remove_entry(id)?;
        match &group {
            Group::Classic(group) => {
                self.desk.end_timers(group);
                tombstones.push(record::group_tombstone(&id));
            }
            Group::Foreign(group) => tombstones.extend(group.tombstones()),
        }
        Some(Undo::Restore(id, group))
    }
}
