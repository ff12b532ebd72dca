//! A classic group: its members, its generation, the rules of joining. Timers, records and replies are the
//! shard's; this is what they are decided by (Kafka's `ClassicGroup`).

mod generation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::member::{Member, Parked, Protocol};
use crate::subscription;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; offsets only.
    Empty,
    /// Members are joining; joins are parked.
    PreparingRebalance,
    /// The generation is known, the leader's assignment is not; syncs are parked.
    CompletingRebalance,
    /// Every member has, or can ask for, its assignment.
    Stable,
}

impl State {
    /// Kafka's name of the state, as ListGroups and DescribeGroups give it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    fn may_become(self, next: State) -> bool {
        use State::*;
        match next {
            Empty | CompletingRebalance => self == PreparingRebalance,
            PreparingRebalance => self != PreparingRebalance,
            Stable => self == CompletingRebalance,
        }
    }
}

/// What the join timer of a group means when it goes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinTimer {
    /// The join phase ends.
    Complete,
    /// The initial delay is over; it goes on while members keep arriving, as long as time remains.
    Initial { delay_ms: i32, remaining_ms: i32 },
}

#[derive(Debug, Clone)]
pub(crate) struct Classic {
    pub(crate) id: Arc<str>,
    /// Tells this group from an earlier one of the same id; outcomes of appends are matched by it.
    pub(crate) incarnation: u64,
    /// Records of the group on their way to the log.
    pub(crate) records_on_the_way: u32,
    pub(crate) state: State,
    pub(crate) previous: State,
    pub(crate) state_since_ms: Option<i64>,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol_name: Option<String>,
    pub(crate) generation: i32,
    pub(crate) leader: Option<Arc<str>>,
    /// The topics of all members of the generation; `None` when they cannot be known.
    pub(crate) subscribed: Option<BTreeSet<String>>,
    /// Member ids given out with MEMBER_ID_REQUIRED that have not come back, with their session timeouts.
    pub(crate) pending: BTreeMap<Arc<str>, i32>,
    /// Members of the generation that have not synced yet.
    pub(crate) unsynced: BTreeSet<Arc<str>>,
    /// A member came during the initial delay.
    pub(crate) prolong_initial_delay: bool,
    pub(crate) join_timer: JoinTimer,
    /// The leader's assignment is on its way to the log.
    pub(crate) is_assigning: bool,
    members: BTreeMap<Arc<str>, Member>,
    statics: BTreeMap<Arc<str>, Arc<str>>,
    supporters: BTreeMap<String, usize>,
    joining: usize,
}

impl Classic {
    /// An empty group without a protocol.
    pub(crate) fn new(id: Arc<str>, incarnation: u64, wall_ms: i64) -> Classic {
        Classic {
            id,
            incarnation,
            records_on_the_way: 0,
            state: State::Empty,
            previous: State::Empty,
            state_since_ms: Some(wall_ms),
            protocol_type: None,
            protocol_name: None,
            generation: 0,
            leader: None,
            subscribed: None,
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            prolong_initial_delay: false,
            join_timer: JoinTimer::Complete,
            is_assigning: false,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            supporters: BTreeMap::new(),
            joining: 0,
        }
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    /// A member that the caller knows to be there.
    pub(crate) fn expect_member(&mut self, id: &str) -> &mut Member {
        match self.members.get_mut(id) {
            Some(member) => member,
            None => panic!("GROUPS-6 {id} was checked to be a member"),
        }
    }

    /// The members, by id.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The ids of all members.
    pub(crate) fn member_ids(&self) -> Vec<Arc<str>> {
        self.members.keys().cloned().collect()
    }

    pub(crate) fn member_count(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Members whose join is parked.
    pub(crate) fn joining(&self) -> usize {
        self.joining
    }

    pub(crate) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    pub(crate) fn static_member(&self, instance: &str) -> Option<&Arc<str>> {
        self.statics.get(instance)
    }

    /// A group nobody ever joined: it exists because offsets were committed under its name.
    pub(crate) fn is_simple(&self) -> bool {
        self.protocol_type.is_none() && self.is_empty() && self.pending.is_empty()
    }

    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(subscription::CONSUMER)
    }

    pub(crate) fn everyone_joined(&self) -> bool {
        self.members.len() == self.joining && self.pending.is_empty()
    }

    /// The longest time a member takes to rejoin.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    pub(crate) fn transition(&mut self, next: State, wall_ms: i64) {
        assert!(
            self.state.may_become(next),
            "GROUPS-7 group {} cannot go from {:?} to {next:?}",
            self.id,
            self.state
        );
        self.previous = self.state;
        self.state = next;
        self.state_since_ms = Some(wall_ms);
    }

    fn count(&mut self, protocols: &[Protocol], by: isize) {
        for protocol in protocols {
            let supporters = self.supporters.entry(protocol.name.clone()).or_default();
            *supporters =
                supporters.checked_add_signed(by).expect("GROUPS-8 supporters are counted once each");
            if *supporters == 0 {
                self.supporters.remove(&protocol.name);
            }
        }
    }

    fn supporters(&self, protocol: &str) -> usize {
        self.supporters.get(protocol).copied().unwrap_or(0)
    }

    /// Whether a member with these protocols can be in this group: same type, and at least one protocol that
    /// everybody knows. An empty group takes any type.
    pub(crate) fn accepts(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.supporters(&protocol.name) == self.members.len())
    }

    /// Adds a member; the first one gives the group its type, and leads.
    pub(crate) fn add(&mut self, member: Member, protocol_type: &str) {
        assert!(!self.members.contains_key(&member.id), "GROUPS-9 member {} is added once", member.id);
        if let Some(instance) = &member.instance {
            let known = self.statics.insert(instance.clone(), member.id.clone());
            assert!(known.is_none(), "GROUPS-10 instance {instance} belongs to one member");
        }
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.count(&member.protocols, 1);
        self.joining += usize::from(member.joining.is_some());
        self.pending.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Takes a member, or a pending one, out. The next member leads if it led. Its parked requests are in
    /// what is returned, still to be answered.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        let removed = self.members.remove(id);
        if let Some(member) = &removed {
            self.count(&member.protocols, -1);
            self.joining -= usize::from(member.joining.is_some());
            if let Some(instance) = &member.instance {
                self.statics.remove(instance);
            }
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending.remove(id);
        self.unsynced.remove(id);
        removed
    }

    /// Gives the static member `old` the id `new`, everything else kept. Returns what it had parked: whoever
    /// waits there is fenced.
    pub(crate) fn rename(&mut self, old: &str, new: &Arc<str>) -> (Option<Parked>, Option<u64>) {
        let parked = self.take_join(old);
        let mut member = self.members.remove(old).expect("GROUPS-11 a static member is a member");
        let syncing = member.syncing.take();
        member.id = new.clone();
        member.is_new = false;
        let instance = member.instance.clone().expect("GROUPS-12 only static members change their id");
        self.statics.insert(instance, new.clone());
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        if self.unsynced.remove(old) {
            self.unsynced.insert(new.clone());
        }
        self.members.insert(new.clone(), member);
        (parked, syncing)
    }

    /// Sets what a (re)joining member brings.
    pub(crate) fn update(&mut self, id: &str, protocols: Vec<Protocol>, rebalance_ms: i32, session_ms: i32) {
        self.count(&protocols, 1);
        let member = self.expect_member(id);
        let old = std::mem::replace(&mut member.protocols, protocols);
        member.rebalance_timeout_ms = rebalance_ms;
        member.session_timeout_ms = session_ms;
        self.count(&old, -1);
    }

    /// Parks a member's join; returns the one that waited there already.
    pub(crate) fn park_join(&mut self, id: &str, join: Parked) -> Option<Parked> {
        let earlier = self.expect_member(id).joining.replace(join);
        self.joining += usize::from(earlier.is_none());
        earlier
    }

    /// Takes a member's parked join, to answer it.
    pub(crate) fn take_join(&mut self, id: &str) -> Option<Parked> {
        let join = self.members.get_mut(id)?.joining.take();
        self.joining -= usize::from(join.is_some());
        join
    }

    /// Makes sure that the leader is one that has joined. False when nobody has, or there is nobody.
    pub(crate) fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &Arc<str>| self.members.get(id).is_some_and(|leader| leader.joining.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.values().find(|member| member.joining.is_some());
        match joined {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }
}
