//! Records of the internal topics as Kafka's JSON.

use ottla_protocol::coordinator_records::group_metadata_value::MemberMetadata;
use ottla_protocol::coordinator_records::{
    consumer_group_member_metadata_value::ConsumerGroupMemberMetadataValue,
    group_metadata_value::GroupMetadataValue, offset_commit_key::OffsetCommitKey,
    offset_commit_value::OffsetCommitValue,
};
use ottla_protocol::metadata_records::MetadataRecord;
use ottla_protocol::metadata_records::partition_record::PartitionRecord;
use ottla_protocol::wire::Message;
use uuid::Uuid;

use super::*;

fn prefixed(number: i16, message: &impl Message, version: i16) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(message.to_vec(version).unwrap());
    bytes
}

#[test]
fn a_committed_offset_shows_what_its_version_has() {
    let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
    let key = prefixed(1, &key, 0);
    let mut value =
        OffsetCommitValue { offset: 42, metadata: "m".into(), commit_timestamp: 7, ..Default::default() };
    let show = |value: &OffsetCommitValue, version: i16| {
        let found = coordinator(Family::Group, &key, Some(&prefixed(version, value, version))).unwrap();
        (
            found.record_type,
            found.key.to_string(),
            found.value.map(|(v, json)| (v, json.to_string())).unwrap(),
        )
    };
    let key_json = r#"{"group":"g","topic":"t","partition":3}"#.to_owned();
    assert_eq!(
        show(&value, 1),
        (
            1,
            key_json.clone(),
            (1, r#"{"offset":42,"metadata":"m","commitTimestamp":7,"expireTimestamp":-1}"#.to_owned())
        )
    );
    value.leader_epoch = 5;
    assert_eq!(show(&value, 3).2.1, r#"{"offset":42,"leaderEpoch":5,"metadata":"m","commitTimestamp":7}"#);
    assert_eq!(show(&value, 4).2.1, show(&value, 3).2.1, "a tagged field at its default is left out");
    value.topic_id = Uuid::from_u128(1);
    assert_eq!(
        show(&value, 4).2.1,
        r#"{"offset":42,"leaderEpoch":5,"metadata":"m","commitTimestamp":7,"topicId":"AAAAAAAAAAAAAAAAAAAAAQ"}"#
    );
}

#[test]
fn a_tombstone_has_no_value_and_unknown_types_are_named() {
    let key = prefixed(1, &OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 }, 0);
    assert_eq!(coordinator(Family::Group, &key, None).unwrap().value, None);
    assert_eq!(coordinator(Family::Share, &[0, 77], None), Err(CoordinatorError::UnknownType(77)));
    let broken = |key: &[u8], value: &[u8]| match coordinator(Family::Group, key, Some(value)) {
        Err(CoordinatorError::Broken(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(broken(&[0], &[]), "Could not read version from key's buffer.");
    assert_eq!(broken(&key, &[0]), "Could not read version from value's buffer.");
    assert_eq!(broken(&key, &[0, 9]), "Found an unknown record version 9 for 1 type");
    assert!(
        broken(&key, &[0, 1, 0])
            .starts_with("Could not read record with version 1 from value's buffer due to: ")
    );
}

#[test]
fn the_members_of_a_classic_group_are_opened() {
    let member = MemberMetadata {
        member_id: "m".into(),
        subscription: vec![0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff].into(),
        assignment: vec![1, 2, 3].into(),
        ..Default::default()
    };
    let mut value =
        GroupMetadataValue { protocol_type: "consumer".into(), members: vec![member], ..Default::default() };
    let show = |value: &GroupMetadataValue| {
        let bytes = value.to_vec(3).unwrap();
        let message = Family::Group.named("GroupMetadataValue").unwrap();
        let (mut json, left) = walk::read(message, &bytes, 3).unwrap();
        assert_eq!(left, 0);
        open_group_metadata(&mut json);
        json.get("members").unwrap().to_string()
    };
    let opened = show(&value);
    assert!(
        opened.contains(r#""subscription":{"topics":["t"],"userData":null},"assignment":"AQID""#),
        "{opened}"
    );
    value.protocol_type = "connect".into();
    let closed = show(&value);
    assert!(closed.contains(r#""subscription":"AAAAAAABAAF0/////w==""#), "{closed}");
}

#[test]
fn nullable_structs_and_their_defaults() {
    let message = Family::Group.named("ConsumerGroupMemberMetadataValue").unwrap();
    let mut value = ConsumerGroupMemberMetadataValue::default();
    let show = |value: &ConsumerGroupMemberMetadataValue| {
        walk::read(message, &value.to_vec(0).unwrap(), 0).unwrap().0.to_string()
    };
    let plain = show(&value);
    value.classic_member_metadata = None;
    assert_eq!(show(&value), plain.replace('}', ",\"classicMemberMetadata\":null}"));
}

#[test]
fn metadata_records_have_kafkas_names() {
    let record = PartitionRecord {
        partition_id: 1,
        topic_id: Uuid::from_u128(2),
        replicas: vec![1, 2],
        isr: vec![2],
        leader: 2,
        leader_epoch: 3,
        partition_epoch: 4,
        eligible_leader_replicas: Some(vec![1]),
        ..Default::default()
    };
    let bytes = MetadataRecord::PartitionRecord(record).encode_framed(2).unwrap();
    assert_eq!(
        metadata(&bytes).unwrap().to_string(),
        "{\"type\":\"PARTITION_RECORD\",\"version\":2,\"data\":{\"partitionId\":1,\
         \"topicId\":\"AAAAAAAAAAAAAAAAAAAAAg\",\"replicas\":[1,2],\"isr\":[2],\"removingReplicas\":[],\
         \"addingReplicas\":[],\"leader\":2,\"leaderEpoch\":3,\"partitionEpoch\":4,\"directories\":[],\
         \"eligibleLeaderReplicas\":[1]}}"
    );
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(metadata(&longer).unwrap_err(), "Found 1 byte(s) of garbage after 3");
    assert_eq!(metadata(&bytes[..9]).unwrap_err(), "Failed to deserialize record with type 3");
    assert_eq!(metadata(&[]).unwrap_err(), "Error while reading frame version");
    assert!(metadata(&[0]).unwrap_err().contains("frame version 0"));
    assert!(metadata(&[1, 99, 0]).unwrap_err().ends_with("Unknown metadata id 99"));
    assert_eq!(constant_name("NoOpRecord"), "NO_OP_RECORD");
}

/// The schema's text is read twice, by the generator and here: what every message's defaults encode to is read back
/// whole in every version.
#[test]
fn every_message_is_read_to_its_end() {
    let mut read = 0;
    for family in [
        Family::Metadata,
        Family::Group,
        Family::Share,
        Family::Transaction,
        Family::Consumer,
        Family::Control,
    ] {
        for message in family.messages() {
            let entry = ottla_protocol::registry::MESSAGES
                .iter()
                .find(|entry| entry.name == message.name)
                .unwrap_or_else(|| panic!("{} is not in the registry", message.name));
            for version in message.versions.min..=message.versions.max {
                // Zeros are a message of empty fields, but for what is left over behind it.
                let zeros = [0; 512];
                let Ok((_, left)) = walk::read(message, &zeros, version) else { continue };
                let used = &zeros[..zeros.len() - left];
                assert_eq!((entry.decode)(used, version), Ok(()), "{} {version}", message.name);
                read += 1;
            }
        }
    }
    assert!(read > 60, "only {read} messages of zeros could be read");
}
