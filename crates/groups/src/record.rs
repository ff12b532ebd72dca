//! The records of `__consumer_offsets`: those written here, and how those found there are read.
//!
//! A key is `i16` record type and the key message, a value `i16` version and the value message. Written
//! versions are those of Kafka 4.3.1 (`GroupCoordinatorRecordHelpers`).

use bytes::Bytes;
use ottla_protocol::coordinator_records::group_metadata_key::GroupMetadataKey;
use ottla_protocol::coordinator_records::group_metadata_value::{GroupMetadataValue, MemberMetadata};
use ottla_protocol::coordinator_records::legacy_offset_commit_value::LegacyOffsetCommitValue;
use ottla_protocol::coordinator_records::offset_commit_key::OffsetCommitKey;
use ottla_protocol::coordinator_records::offset_commit_value::OffsetCommitValue;
use ottla_protocol::wire::{DecodeError, Message, Reader};

use crate::api::Record;
use crate::classic::Classic;
use crate::offsets::Committed;

/// Record type of an offset written by very old brokers.
pub(crate) const LEGACY_OFFSET_COMMIT: i16 = 0;
/// Record type of a committed offset.
pub(crate) const OFFSET_COMMIT: i16 = 1;
/// Record type of a classic group.
pub(crate) const GROUP_METADATA: i16 = 2;

const OFFSET_VALUE_VERSION: i16 = 4;
const EXPIRING_OFFSET_VALUE_VERSION: i16 = 1;
const GROUP_VALUE_VERSION: i16 = 3;

/// Why a record of the log cannot be taken in. The shard must not be served then: its state would be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Key or value is not what its type and version say.
    #[error("record of type {record_type}: {source}")]
    Malformed {
        /// The record type; -1 when even that is missing.
        record_type: i16,
        /// What was wrong with the bytes.
        source: DecodeError,
    },
    /// Two members of a classic group claim the same static identity.
    #[error("group {group}: two members have the instance id {instance}")]
    DuplicateInstance {
        /// The group.
        group: String,
        /// The instance id both have.
        instance: String,
    },
}

/// A record, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    /// Types 0 and 1.
    Offset { group: String, topic: String, partition: i32, value: Option<OffsetCommitValue> },
    /// Type 2.
    Group { group: String, value: Option<GroupMetadataValue> },
    /// Types 3 to 23: consumer, share and streams groups. `part` is the member id or regular expression.
    Other { record_type: i16, group: String, part: Option<String> },
    /// A type this version does not know; stays in the log, means nothing here (as in Kafka).
    Unknown,
}

/// Reads the value message behind its version. Bytes after it are left alone, as in Kafka.
pub(crate) fn read_value<M: Message>(record_type: i16, value: &[u8]) -> Result<M, ReplayError> {
    let wrong = |source| ReplayError::Malformed { record_type, source };
    let version = Reader::new(value, 0, false).i16().map_err(wrong)?;
    let mut r = Reader::new(value, version, M::is_flexible(version));
    r.i16().map_err(wrong)?;
    M::check_version(version).map_err(|kind| wrong(r.error(kind)))?;
    M::read(&mut r).map_err(wrong)
}

/// Takes a record apart; the value of [`Parsed::Other`] is left to the one that understands it.
pub(crate) fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Parsed, ReplayError> {
    let mut r = Reader::new(key, 0, false);
    let record_type = r.i16().map_err(|source| ReplayError::Malformed { record_type: -1, source })?;
    let wrong = |source| ReplayError::Malformed { record_type, source };
    match record_type {
        LEGACY_OFFSET_COMMIT | OFFSET_COMMIT => {
            let OffsetCommitKey { group, topic, partition } = OffsetCommitKey::read(&mut r).map_err(wrong)?;
            let value = match value {
                None => None,
                Some(value) if record_type == OFFSET_COMMIT => Some(read_value(record_type, value)?),
                Some(value) => {
                    let old: LegacyOffsetCommitValue = read_value(record_type, value)?;
                    Some(OffsetCommitValue {
                        offset: old.offset,
                        metadata: old.metadata,
                        commit_timestamp: old.commit_timestamp,
                        ..Default::default()
                    })
                }
            };
            Ok(Parsed::Offset { group, topic, partition, value })
        }
        GROUP_METADATA => {
            let GroupMetadataKey { group } = GroupMetadataKey::read(&mut r).map_err(wrong)?;
            let value = value.map(|value| read_value(record_type, value)).transpose()?;
            Ok(Parsed::Group { group, value })
        }
        3 | 4 | 6 | 11 | 12 | 15 | 17 | 20 | 23 => {
            let group = r.string("GroupId").map_err(wrong)?;
            Ok(Parsed::Other { record_type, group, part: None })
        }
        5 | 7 | 8 | 10 | 13 | 14 | 16 | 19 | 21 | 22 => {
            let group = r.string("GroupId").map_err(wrong)?;
            let part = r.string("MemberId").map_err(wrong)?;
            Ok(Parsed::Other { record_type, group, part: Some(part) })
        }
        _ => Ok(Parsed::Unknown),
    }
}

fn key<M: Message>(record_type: i16, key: &M) -> Bytes {
    let mut out = record_type.to_be_bytes().to_vec();
    key.encode(&mut out, 0).expect("GROUPS-2 a key of checked strings is encodable");
    out.into()
}

fn value<M: Message>(version: i16, value: &M) -> Bytes {
    let mut out = version.to_be_bytes().to_vec();
    value.encode(&mut out, version).expect("GROUPS-3 a value of decoded fields is encodable");
    out.into()
}

fn offset_key(group: &str, topic: &str, partition: i32) -> Bytes {
    key(OFFSET_COMMIT, &OffsetCommitKey { group: group.into(), topic: topic.into(), partition })
}

/// The record of a committed offset: value version 4, or 1 (the only one with an expiry) for a client that
/// set its own retention time.
pub(crate) fn offset(group: &str, topic: &str, partition: i32, committed: &Committed) -> Record {
    let message = OffsetCommitValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.to_string(),
        commit_timestamp: committed.commit_ms,
        expire_timestamp: committed.expire_ms.unwrap_or(-1),
        topic_id: committed.topic_id,
    };
    let version = match committed.expire_ms {
        Some(_) => EXPIRING_OFFSET_VALUE_VERSION,
        None => OFFSET_VALUE_VERSION,
    };
    Record { key: offset_key(group, topic, partition), value: Some(value(version, &message)) }
}

/// The tombstone of a committed offset.
pub(crate) fn offset_tombstone(group: &str, topic: &str, partition: i32) -> Record {
    Record { key: offset_key(group, topic, partition), value: None }
}

/// The tombstone of a classic group.
pub(crate) fn group_tombstone(group: &str) -> Record {
    Record { key: key(GROUP_METADATA, &GroupMetadataKey { group: group.into() }), value: None }
}

/// The record that makes a new group known before its first generation.
pub(crate) fn new_group(group: &Classic) -> Record {
    group_record(
        &group.id,
        &GroupMetadataValue {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp: group.state_since_ms.unwrap_or(-1),
            members: Vec::new(),
        },
    )
}

/// The record of a group as it stands, with assignments from `assigned`.
pub(crate) fn group(group: &Classic, assigned: impl Fn(&str) -> Bytes) -> Record {
    let protocol = group.protocol_name.as_deref();
    let members = group.members().map(|member| MemberMetadata {
        member_id: member.id.to_string(),
        group_instance_id: member.instance.as_deref().map(str::to_owned),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: protocol
            .and_then(|name| member.metadata(name))
            .cloned()
            .expect("GROUPS-4 every member of a stored generation supports its protocol"),
        assignment: assigned(&member.id),
    });
    group_record(
        &group.id,
        &GroupMetadataValue {
            protocol_type: group.protocol_type.clone().unwrap_or_default(),
            generation: group.generation,
            protocol: group.protocol_name.clone(),
            leader: group.leader.as_deref().map(str::to_owned),
            current_state_timestamp: group.state_since_ms.unwrap_or(-1),
            members: members.collect(),
        },
    )
}

fn group_record(group: &str, message: &GroupMetadataValue) -> Record {
    Record {
        key: key(GROUP_METADATA, &GroupMetadataKey { group: group.into() }),
        value: Some(value(GROUP_VALUE_VERSION, message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn committed() -> Committed {
        Committed {
            offset: 42,
            leader_epoch: 3,
            metadata: "m".into(),
            commit_ms: 1_000,
            expire_ms: None,
            topic_id: Uuid::from_u128(0x0102),
            record_offset: -1,
        }
    }

    #[test]
    fn an_offset_is_written_as_kafka_4_3_1_writes_it() {
        let record = offset("g", "t", 7, &committed());
        assert_eq!(&record.key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x07");
        let mut expected = b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x03\x02m\0\0\0\0\0\0\x03\xe8".to_vec();
        expected.extend(b"\x01\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02");
        assert_eq!(record.value.as_deref(), Some(&expected[..]));
        // Without a topic id the tagged field is left out.
        let record = offset("g", "t", 7, &Committed { topic_id: Uuid::nil(), ..committed() });
        assert_eq!(
            &record.value.unwrap()[..],
            b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x03\x02m\0\0\0\0\0\0\x03\xe8\0"
        );
    }

    #[test]
    fn an_offset_with_its_own_expiry_is_version_1() {
        let record = offset("g", "t", 7, &Committed { expire_ms: Some(2_000), ..committed() });
        let expected = b"\0\x01\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x07\xd0";
        assert_eq!(record.value.as_deref(), Some(&expected[..]));
    }

    #[test]
    fn tombstones_have_the_key_and_nothing_else() {
        assert_eq!(offset_tombstone("g", "t", 7).key, offset("g", "t", 7, &committed()).key);
        assert_eq!(offset_tombstone("g", "t", 7).value, None);
        assert_eq!(group_tombstone("gr"), Record { key: Bytes::from_static(b"\0\x02\0\x02gr"), value: None });
    }

    #[test]
    fn a_new_group_is_an_empty_version_3() {
        let group = Classic::new("g".into(), 1, 99);
        let record = new_group(&group);
        assert_eq!(&record.key[..], b"\0\x02\0\x01g");
        let expected = b"\0\x03\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x63\0\0\0\0";
        assert_eq!(record.value.as_deref(), Some(&expected[..]));
    }

    #[test]
    fn old_values_are_read_and_unknown_types_passed_over() {
        let legacy =
            parse(b"\0\0\0\x01g\0\x01t\0\0\0\x07", Some(b"\0\0\0\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0\0\x03\xe8"));
        let Ok(Parsed::Offset { value: Some(value), partition: 7, .. }) = legacy else {
            panic!("{legacy:?}")
        };
        assert_eq!((value.offset, value.leader_epoch, value.commit_timestamp), (42, -1, 1_000));
        assert_eq!(parse(b"\0\x09whatever", Some(b"?")), Ok(Parsed::Unknown));
        assert_eq!(parse(b"\x7f\xff", None), Ok(Parsed::Unknown));
        assert!(parse(b"\0", None).is_err());
        assert!(parse(b"\0\x01\0\x01g", None).is_err());
        assert!(parse(b"\0\x02\0\x01g", Some(b"\0\x05")).is_err(), "version 5 is not known");
    }
}
