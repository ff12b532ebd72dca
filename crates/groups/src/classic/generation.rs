//! The generations of a classic group: which protocol its members agree on, what they read, who speaks for it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use ottla_records::mutant;

use super::{Classic, State};
use crate::member::{Member, Protocol};
use crate::subscription;

impl Classic {
    /// The protocol of the next generation: every member votes for the first of its protocols that all
    /// support; the most votes win, among equals the one the leader ranks first.
    pub(crate) fn select_protocol(&self) -> String {
        let shared = |protocol: &&Protocol| self.supporters(&protocol.name) == self.members.len();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(shared);
            let vote = vote.expect("GROUPS-13 the members of a group share a protocol");
            *votes.entry(&vote.name).or_default() += 1;
        }
        let leader = self.leader.as_ref().and_then(|leader| self.members.get(leader));
        let rank = |name: &str| {
            let rank = |leader: &Member| leader.protocols.iter().position(|protocol| protocol.name == name);
            leader.and_then(rank).unwrap_or(usize::MAX)
        };
        let winner = votes.iter().min_by_key(|(name, votes)| (usize::MAX - **votes, rank(name)));
        (*winner.expect("GROUPS-14 a protocol is selected for members").0).to_owned()
    }

    /// Ends the join phase: the next generation, waiting for its assignment or empty.
    pub(crate) fn start_generation(&mut self, wall_ms: i64) {
        self.generation = self.generation.wrapping_add(1);
        if self.members.is_empty() {
            self.protocol_name = None;
            self.subscribed = self.compute_subscribed();
            self.transition(State::Empty, wall_ms);
        } else {
            self.protocol_name = Some(self.select_protocol());
            self.subscribed = self.compute_subscribed();
            self.transition(State::CompletingRebalance, wall_ms);
        }
        self.unsynced.clear();
        self.is_assigning = false;
    }

    /// The topics all members subscribe to, if this is a group of consumers whose metadata can be read.
    pub(crate) fn compute_subscribed(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription::topics(member.metadata(protocol)?).ok()?);
        }
        Some(topics)
    }

    /// Whether the group reads a topic. Consumers whose topics are unknown might read any.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// Sets every member's assignment.
    pub(crate) fn assign(&mut self, assigned: impl Fn(&str) -> Bytes) {
        for (id, member) in &mut self.members {
            member.assignment = assigned(id);
        }
    }

    /// The members as the leader gets them.
    pub(crate) fn for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or("");
        let shown = |member: &Member| JoinGroupResponseMember {
            member_id: member.id.to_string(),
            group_instance_id: member.instance.as_deref().map(str::to_owned),
            metadata: member.metadata(protocol).cloned().unwrap_or_default(),
        };
        self.members.values().map(shown).collect()
    }

    /// Checks that a request comes from a member, and from the current holder of its instance id.
    pub(crate) fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(holder) if **holder != *id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Checks that an offset commit is allowed: from a member of the generation, or from outside of an empty
    /// group (a consumer that assigns itself, an admin client).
    pub(crate) fn check_commit(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        is_transactional: bool,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        if generation >= 0 || !id.is_empty() || instance.is_some() {
            self.check_member(id, instance)?;
            if generation != self.generation && !mutant::is("old-generation-commits") {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !is_transactional && !self.is_empty() {
            // Old versions of TxnOffsetCommit do not say who commits.
            return Err(ErrorCode::UnknownMemberId);
        }
        if !is_transactional && self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }
}
