//! LeaveGroup: members that go, and static members that are removed by an administrator.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};

use super::desk::Desk;
use super::{Group, Shard};
use crate::api::{Response, Token};
use crate::classic::{Classic, State};

/// From this version on a request names many members (KIP-345).
const BATCHED_FROM: i16 = 3;

impl Shard {
    pub(super) fn leave(&mut self, api_version: i16, token: Token, request: LeaveGroupRequest) {
        let leaving = if api_version >= BATCHED_FROM {
            request.members
        } else {
            vec![MemberIdentity { member_id: request.member_id, ..Default::default() }]
        };
        let mut append = None;
        let members = match self.groups.get_mut(&*request.group_id) {
            Some(Group::Classic(group)) => {
                let members: Vec<_> =
                    leaving.into_iter().map(|member| self.desk.leave(group, member)).collect();
                let gone = members.iter().filter(|member| member.error_code == 0).count();
                if gone > 0 && group.state != State::Empty {
                    let reason = format!("{gone} members left");
                    append = self.desk.rebalance_or_complete(group, reason);
                }
                members
            }
            _ => leaving.into_iter().map(|member| left(member, ErrorCode::UnknownMemberId)).collect(),
        };
        let mut response = LeaveGroupResponse { members, ..Default::default() };
        if api_version < BATCHED_FROM {
            // The old answer has one error, that of its one member.
            response.error_code = response.members.remove(0).error_code;
        }
        self.desk.reply_after(append, token, Response::LeaveGroup(response));
    }
}

fn left(member: MemberIdentity, error: ErrorCode) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: error.code(),
    }
}

impl Desk {
    fn leave(&mut self, group: &mut Classic, member: MemberIdentity) -> MemberResponse {
        let leaver: Result<Arc<str>, ErrorCode> = if member.member_id.is_empty() {
            // An administrator removes a static member by its instance id alone.
            let instance = member.group_instance_id.as_deref();
            let holder = instance.and_then(|instance| group.static_member(instance)).cloned();
            holder.ok_or(ErrorCode::UnknownMemberId)
        } else if let Some((pending, _)) = group.pending.get_key_value(&*member.member_id) {
            let pending = pending.clone();
            group.remove(&pending);
            self.end_session(group, &pending);
            return left(member, ErrorCode::None);
        } else {
            let instance = member.group_instance_id.as_deref();
            group.check_member(&member.member_id, instance).map(|()| member.member_id.as_str().into())
        };
        match leaver {
            Ok(id) => {
                self.remove_member(group, &id, "it left");
                left(member, ErrorCode::None)
            }
            Err(error) => left(member, error),
        }
    }
}
