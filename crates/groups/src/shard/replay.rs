//! Reading the log: every record of the partition, in order, before the shard is served.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::coordinator_records::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use ottla_records::ids::{NO_PRODUCER_ID, Offset, ProducerId};
use ottla_records::mutant;

use super::desk::Write;
use super::{Group, Shard};
use crate::api::AppendId;
use crate::classic::{Classic, State};
use crate::foreign::{Foreign, Kind};
use crate::member::{Member, Protocol};
use crate::offsets::{Committed, Place};
use crate::record::{Parsed, ReplayError, parse};

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged<'a> {
    /// Its position.
    pub offset: Offset,
    /// The producer of its batch; -1 for none. A producer means a transaction: offsets stay hidden until its
    /// marker.
    pub producer_id: ProducerId,
    /// Record type and key message.
    pub key: &'a [u8],
    /// Value version and value message; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

impl Shard {
    /// Takes in a record of the log. Records of unknown types are passed over; they stay in the log.
    ///
    /// Records appended by this shard come back as [`Shard::appended`] only, not through here.
    pub fn replay(&mut self, record: Logged<'_>) -> Result<(), ReplayError> {
        match parse(record.key, record.value)? {
            Parsed::Offset { group, topic, partition, value } => {
                let id: Arc<str> = match self.groups.get_key_value(&*group) {
                    Some((id, _)) => id.clone(),
                    None => group.into(),
                };
                let place = Place { group: id.clone(), topic: topic.into(), partition };
                if value.is_some() && !self.groups.contains_key(&id) {
                    // Nobody joined it, or the record of those who did is still to come.
                    self.create(&id);
                }
                match value.map(|value| Committed::of_record(value, record.offset)) {
                    Some(value) if record.producer_id != NO_PRODUCER_ID => {
                        self.offsets.put_pending(record.producer_id, place, value);
                    }
                    value => self.offsets.put(place, value),
                }
            }
            Parsed::Group { group, value: None } => drop(self.groups.remove(&*group)),
            Parsed::Group { group, value: Some(value) } => self.replay_group(group, value)?,
            Parsed::Other { record_type, group, part } => {
                self.replay_foreign(record_type, group, part, record)?;
            }
            Parsed::Unknown => {}
        }
        Ok(())
    }

    /// Begins a batch of the log that is above the high watermark: the next calls of
    /// [`Shard::replay_uncommitted`] bring its records. It counts as an append of this shard; its outcome is
    /// reported with [`Shard::appended`] when the high watermark has passed it.
    pub fn begin_uncommitted(&mut self) -> AppendId {
        self.desk.issued += 1;
        self.desk.writes.insert(self.desk.issued, Write::default());
        self.desk.issued
    }

    /// Takes in a record of batch `id` of [`Shard::begin_uncommitted`], which begins at offset `base`. As with what this
    /// shard appends itself, groups change at once, and offsets show when they are committed.
    pub fn replay_uncommitted(
        &mut self,
        id: AppendId,
        base: Offset,
        record: Logged<'_>,
    ) -> Result<(), ReplayError> {
        let parsed = parse(record.key, record.value)?;
        let Parsed::Offset { group, topic, partition, value } = parsed else { return self.replay(record) };
        if record.producer_id != NO_PRODUCER_ID {
            // Hidden until the marker, which is behind it in the log.
            return self.replay(record);
        }
        let place = Place { group: group.into(), topic: topic.into(), partition };
        let value = value.map(|value| Committed::of_record(value, record.offset));
        self.offsets.issue(id, &place, value);
        self.ensure_group(&place.group);
        let index = usize::try_from(record.offset - base).unwrap_or(0);
        let write = self.desk.writes.get_mut(&id).expect("GROUPS-23 the batch was begun");
        write.offsets.push((place, index));
        Ok(())
    }

    /// The end of `producer_id`'s transaction: its offsets count from here on, or never did. Also while the
    /// shard is active, when the marker is committed.
    pub fn replay_marker(&mut self, producer_id: ProducerId, committed: bool) {
        self.offsets.end_transaction(producer_id, committed);
    }

    fn replay_group(&mut self, id: String, value: GroupMetadataValue) -> Result<(), ReplayError> {
        let mut instances = BTreeSet::new();
        for member in &value.members {
            if let Some(instance) = &member.group_instance_id
                && !instances.insert(instance.as_str())
            {
                return Err(ReplayError::DuplicateInstance { group: id, instance: instance.clone() });
            }
        }
        self.incarnations += 1;
        let mut group = Classic::new(id.as_str().into(), self.incarnations, 0);
        group.state = if value.members.is_empty() { State::Empty } else { State::Stable };
        group.state_since_ms = (value.current_state_timestamp != -1).then_some(value.current_state_timestamp);
        group.generation = if mutant::is("generation-forgotten") { 0 } else { value.generation };
        group.protocol_name = value.protocol;
        let protocol = group.protocol_name.clone().unwrap_or_default();
        for member in value.members {
            if group.member(&member.member_id).is_none() {
                group.add(restored(member, &protocol), &value.protocol_type);
            }
        }
        group.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
        let is_member = |leader: &String| group.member(leader).is_some();
        if let Some(leader) = value.leader.filter(is_member) {
            group.leader = Some(leader.into());
        }
        group.subscribed = group.compute_subscribed();
        self.groups.insert(id.into(), Group::Classic(Box::new(group)));
        Ok(())
    }

    fn replay_foreign(
        &mut self,
        record_type: i16,
        id: String,
        part: Option<String>,
        record: Logged<'_>,
    ) -> Result<(), ReplayError> {
        let kind = Kind::of(record_type);
        let is_known = matches!(self.groups.get(&*id), Some(Group::Foreign(group)) if group.kind == kind);
        if !is_known {
            if record.value.is_none() {
                return Ok(());
            }
            // What the group was before, its log has ended with tombstones, or it was simple and had no
            // record of its own.
            self.groups.insert(id.as_str().into(), Group::Foreign(Box::new(Foreign::new(kind))));
        }
        let Some(Group::Foreign(group)) = self.groups.get_mut(&*id) else { return Ok(()) };
        if !group.replay(record_type, part, record.key, record.value)? {
            self.groups.remove(&*id);
        }
        Ok(())
    }

    /// What the log says of this shard, one line per group and offset, in a fixed order: two shards that have
    /// read the same log have the same lines, and so has the one that wrote it, once it is at rest.
    pub fn dump(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.groups.iter().map(|(id, group)| dump_group(id, group)).collect();
        lines.extend(self.offsets.dump());
        lines
    }
}

fn restored(member: MemberMetadata, protocol: &str) -> Member {
    let rebalance = member.rebalance_timeout;
    Member {
        id: member.member_id.into(),
        instance: member.group_instance_id.map(Into::into),
        client_id: member.client_id,
        client_host: member.client_host,
        // Records of version 0 have one timeout for both.
        rebalance_timeout_ms: if rebalance == -1 { member.session_timeout } else { rebalance },
        session_timeout_ms: member.session_timeout,
        protocols: vec![Protocol { name: protocol.to_owned(), metadata: member.subscription }],
        assignment: member.assignment,
        joining: None,
        syncing: None,
        is_new: false,
    }
}

fn dump_group(id: &str, group: &Group) -> String {
    let group = match group {
        Group::Foreign(group) => return format!("group {id} {}", group.dump()),
        Group::Classic(group) => group,
    };
    let protocol = group.protocol_name.as_deref();
    let mut line = format!(
        "group {id} {} {} {:?} {:?} {:?}",
        group.state.name(),
        group.generation,
        group.protocol_type,
        protocol,
        group.leader
    );
    for member in group.members() {
        line += &format!(
            " [{} {:?} {} {} {} {} {:?} {:?}]",
            member.id,
            member.instance,
            member.client_id,
            member.client_host,
            member.rebalance_timeout_ms,
            member.session_timeout_ms,
            protocol.and_then(|name| member.metadata(name)),
            member.assignment,
        );
    }
    line
}
