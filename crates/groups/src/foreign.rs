//! Groups of the other protocols: consumer (KIP-848), share (KIP-932) and streams groups (KIP-1071).
//!
//! Their machines are not here yet. Their records are: a group found in the log is known with its members
//! and subscriptions, is listed, keeps its offsets, and cannot be taken over by classic members while it has
//! members of its own. Nothing is written to it, except tombstones when it is empty and deleted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ottla_protocol::coordinator_records::consumer_group_current_member_assignment_value::ConsumerGroupCurrentMemberAssignmentValue;
use ottla_protocol::coordinator_records::consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue;
use ottla_protocol::coordinator_records::consumer_group_metadata_value::ConsumerGroupMetadataValue;
use ottla_protocol::coordinator_records::consumer_group_regular_expression_value::ConsumerGroupRegularExpressionValue;
use ottla_protocol::coordinator_records::consumer_group_target_assignment_metadata_value::ConsumerGroupTargetAssignmentMetadataValue;
use ottla_protocol::coordinator_records::streams_group_current_member_assignment_value::StreamsGroupCurrentMemberAssignmentValue;
use ottla_protocol::coordinator_records::streams_group_metadata_value::StreamsGroupMetadataValue;
use ottla_protocol::coordinator_records::streams_group_target_assignment_metadata_value::StreamsGroupTargetAssignmentMetadataValue;
use ottla_protocol::coordinator_records::streams_group_topology_value::StreamsGroupTopologyValue;

use crate::api::Record;
use crate::record::{ReplayError, read_value};

/// Which protocol a group follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Consumer,
    Share,
    Streams,
}

impl Kind {
    /// The protocol whose records have this type.
    pub(crate) fn of(record_type: i16) -> Kind {
        match record_type {
            3..=8 | 16 => Kind::Consumer,
            10..=15 => Kind::Share,
            17 | 19..=23 => Kind::Streams,
            _ => panic!("GROUPS-15 record type {record_type} belongs to no group protocol"),
        }
    }

    /// Kafka's name: the group type and the protocol type of ListGroups.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Consumer => "consumer",
            Kind::Share => "share",
            Kind::Streams => "streams",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Member {
    topics: BTreeSet<String>,
    epoch: i32,
    is_settled: bool,
}

/// A group this shard keeps but does not run.
#[derive(Debug, Clone)]
pub(crate) struct Foreign {
    pub(crate) kind: Kind,
    epoch: i32,
    assignment_epoch: i32,
    /// Streams only: the topology the members brought, and the one that was validated.
    topology_epoch: Option<i32>,
    validated_epoch: i32,
    source_topics: BTreeSet<String>,
    members: BTreeMap<String, Member>,
    expressions: BTreeMap<String, BTreeSet<String>>,
    /// The keys of all records that make up the group, by the order in which their tombstones are written.
    keys: BTreeSet<(u8, Bytes)>,
}

/// Members and what hangs on them go first, the group itself last: a reader that stops in between still has
/// a group to hang the rest on (the order of Kafka's `createGroupTombstoneRecords`).
fn tombstone_rank(record_type: i16) -> u8 {
    match record_type {
        8 | 14 | 22 => 0,
        7 | 13 | 21 => 1,
        6 | 12 | 20 => 2,
        5 | 10 | 19 => 3,
        16 | 15 => 4,
        4 => 5,
        3 | 11 | 17 => 6,
        _ => 7,
    }
}

impl Foreign {
    pub(crate) fn new(kind: Kind) -> Foreign {
        Foreign {
            kind,
            epoch: 0,
            assignment_epoch: 0,
            topology_epoch: None,
            validated_epoch: -1,
            source_topics: BTreeSet::new(),
            members: BTreeMap::new(),
            expressions: BTreeMap::new(),
            keys: BTreeSet::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Kafka's name of the state, derived as its group classes derive it.
    pub(crate) fn state(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.kind == Kind::Share {
            "Stable"
        } else if self.kind == Kind::Streams && self.topology_epoch != Some(self.validated_epoch) {
            "NotReady"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().any(|m| !m.is_settled || m.epoch != self.assignment_epoch) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    /// Whether the group reads a topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.topics.contains(topic))
            || self.expressions.values().any(|topics| topics.contains(topic))
            || (!self.is_empty() && self.source_topics.contains(topic))
    }

    /// Whether share state elsewhere hangs on this group, so that it cannot simply be deleted.
    pub(crate) fn has_share_state(&self) -> bool {
        self.keys.iter().any(|(_, key)| key.starts_with(&15i16.to_be_bytes()))
    }

    /// Tombstones for every record of the group.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = Record> {
        self.keys.iter().map(|(_, key)| Record { key: key.clone(), value: None })
    }

    /// Takes in a record of the group. False when nothing of the group is left.
    pub(crate) fn replay(
        &mut self,
        record_type: i16,
        part: Option<String>,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<bool, ReplayError> {
        let place = (tombstone_rank(record_type), Bytes::copy_from_slice(key));
        let part = part.unwrap_or_default();
        let Some(value) = value else {
            self.keys.remove(&place);
            match record_type {
                3 | 11 | 17 => return Ok(false),
                5 | 10 | 19 => drop(self.members.remove(&part)),
                16 => drop(self.expressions.remove(&part)),
                23 => (self.topology_epoch, self.source_topics) = (None, BTreeSet::new()),
                _ => {}
            }
            return Ok(!self.keys.is_empty());
        };
        match record_type {
            3 => self.epoch = read_value::<ConsumerGroupMetadataValue>(3, value)?.epoch,
            5 => {
                let member: ConsumerGroupMemberMetadataValue = read_value(5, value)?;
                let topics = member.subscribed_topic_names.into_iter().collect();
                self.members.entry(part).or_default().topics = topics;
            }
            6 => {
                let target: ConsumerGroupTargetAssignmentMetadataValue = read_value(6, value)?;
                self.assignment_epoch = target.assignment_epoch;
            }
            8 => {
                let current: ConsumerGroupCurrentMemberAssignmentValue = read_value(8, value)?;
                let member = self.members.entry(part).or_default();
                (member.epoch, member.is_settled) = (current.member_epoch, current.state == 0);
            }
            16 => {
                let resolved: ConsumerGroupRegularExpressionValue = read_value(16, value)?;
                self.expressions.insert(part, resolved.topics.into_iter().collect());
            }
            10 | 19 => drop(self.members.entry(part).or_default()),
            17 => {
                let group: StreamsGroupMetadataValue = read_value(17, value)?;
                (self.epoch, self.validated_epoch) = (group.epoch, group.validated_topology_epoch);
            }
            20 => {
                let target: StreamsGroupTargetAssignmentMetadataValue = read_value(20, value)?;
                self.assignment_epoch = target.assignment_epoch;
            }
            22 => {
                let current: StreamsGroupCurrentMemberAssignmentValue = read_value(22, value)?;
                let member = self.members.entry(part).or_default();
                (member.epoch, member.is_settled) = (current.member_epoch, current.state == 0);
            }
            23 => {
                let topology: StreamsGroupTopologyValue = read_value(23, value)?;
                self.topology_epoch = Some(topology.epoch);
                let topics = topology.subtopologies.into_iter().flat_map(|part| {
                    let repartition = part.repartition_source_topics.into_iter().map(|topic| topic.name);
                    part.source_topics.into_iter().chain(repartition)
                });
                self.source_topics = topics.collect();
            }
            // 4, 7, 11 to 15, 21: known to be there, nothing in them is needed yet.
            _ => {}
        }
        self.keys.insert(place);
        Ok(true)
    }

    /// One line for comparisons.
    pub(crate) fn dump(&self) -> String {
        format!("{:?} {} {} {:?} {:?}", self.kind, self.epoch, self.state(), self.members, self.keys)
    }
}
