//! One member of a classic group.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::messages::describe_groups_response::DescribedGroupMember;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use crate::api::Token;

/// A JoinGroup that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) token: Token,
    pub(crate) api_version: i16,
}

/// A protocol (for consumers: an assignor) a member can work by, with what it says to the leader about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

/// The protocols of a request in the member's order of preference. A name given twice counts once: the group
/// counts supporters by name, and one member must not be two of them. The metadata is copied, because it
/// stays here for as long as the member does, and as a slice it would keep the whole request in memory.
pub(crate) fn protocols_of(listed: Vec<JoinGroupRequestProtocol>) -> Vec<Protocol> {
    let mut protocols: Vec<Protocol> = Vec::with_capacity(listed.len());
    for JoinGroupRequestProtocol { name, metadata } in listed {
        if protocols.iter().all(|known| known.name != name) {
            protocols.push(Protocol { name, metadata: Bytes::copy_from_slice(&metadata) });
        }
    }
    protocols
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// `group.instance.id` of a static member (KIP-345).
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
    /// What the leader gave it in the generation last stored; empty for nothing.
    pub(crate) assignment: Bytes,
    /// The join it waits in. Only the group changes this: it counts the waiting members.
    pub(crate) joining: Option<Parked>,
    /// The sync it waits in.
    pub(crate) syncing: Option<Token>,
    /// It has not seen the end of a join phase yet, so it may expire while its join is parked.
    pub(crate) is_new: bool,
}

impl Member {
    /// What the member says to the leader under `protocol`, if it knows that one.
    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|known| known.name == protocol).map(|known| &known.metadata)
    }

    /// Whether a due session timer leaves the member alone: one that waits for the group is alive by
    /// definition, except in its very first join.
    pub(crate) fn is_excused(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }

    /// The member as DescribeGroups shows it; metadata only in a stable group.
    pub(crate) fn described(&self, stable_protocol: Option<&str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: self.id.to_string(),
            group_instance_id: self.instance.as_deref().map(str::to_owned),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            member_metadata: stable_protocol
                .and_then(|protocol| self.metadata(protocol))
                .cloned()
                .unwrap_or_default(),
            member_assignment: self.assignment.clone(),
        }
    }
}
