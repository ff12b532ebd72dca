//! Who reads which partitions: the strategies of Kafka's classic groups, computed by the group's leader.

mod even;
mod protocol;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use protocol::{
    Subscription, read_assignment, read_subscription, write_assignment, write_subscription,
};

use crate::TopicPartition;

/// How partitions are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

/// A member as its leader sees it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) subscription: Subscription,
}

/// Partitions by member id.
pub(super) type Assignment = BTreeMap<String, Vec<TopicPartition>>;

impl Strategy {
    /// The strategy of a Java class, or of the name that stands in the protocol.
    pub(super) fn named(name: &str) -> Option<Strategy> {
        Some(match name.rsplit('.').next()? {
            "RangeAssignor" | "range" => Strategy::Range,
            "RoundRobinAssignor" | "roundrobin" => Strategy::RoundRobin,
            "StickyAssignor" | "sticky" => Strategy::Sticky,
            "CooperativeStickyAssignor" | "cooperative-sticky" => Strategy::CooperativeSticky,
            _ => return None,
        })
    }

    /// Its name in the protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Strategy::Range => "range",
            Strategy::RoundRobin => "roundrobin",
            Strategy::Sticky => "sticky",
            Strategy::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Shares out the partitions of `topics` (name and number of partitions) among `members`.
    pub(super) fn assign(self, members: &[Member], topics: &BTreeMap<Arc<str>, i32>) -> Assignment {
        match self {
            Strategy::Range => even::range(members, topics),
            Strategy::RoundRobin => even::round_robin(members, topics),
            Strategy::Sticky => sticky::assign(members, topics),
            Strategy::CooperativeSticky => sticky::hold_back(members, sticky::assign(members, topics)),
        }
    }
}

impl Member {
    fn wants(&self, topic: &str) -> bool {
        self.subscription.topics.iter().any(|name| **name == *topic)
    }
}

/// Members in the order in which they are served: static ones by instance id first (`MemberInfo.compareTo`).
fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by(|a, b| match (&a.instance, &b.instance) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.id.cmp(&b.id),
    });
    order
}

fn nobody(members: &[Member]) -> Assignment {
    members.iter().map(|member| (member.id.clone(), Vec::new())).collect()
}

/// Topics that somebody wants, and that are there.
fn wanted<'a>(members: &[Member], topics: &'a BTreeMap<Arc<str>, i32>) -> Vec<(&'a Arc<str>, i32)> {
    let names: BTreeSet<&str> =
        members.iter().flat_map(|member| &member.subscription.topics).map(|name| &**name).collect();
    topics.iter().filter(|(name, _)| names.contains(&***name)).map(|(name, count)| (name, *count)).collect()
}
