//! What the committed log of a partition of `__consumer_offsets` says, record by record.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_log::{Log, ReadUpTo};
use ottla_protocol::coordinator_records::group_metadata_key::GroupMetadataKey;
use ottla_protocol::coordinator_records::group_metadata_value::GroupMetadataValue;
use ottla_protocol::coordinator_records::offset_commit_key::OffsetCommitKey;
use ottla_protocol::coordinator_records::offset_commit_value::OffsetCommitValue;
use ottla_protocol::wire::Message;
use ottla_records::{BatchIter, Decompressor};

/// A committed offset.
#[derive(Debug, Clone)]
pub struct Commit {
    pub group: String,
    pub partition: i32,
    pub offset: i64,
    /// Number of the request that brought it.
    pub number: u64,
    /// The client that sent it.
    pub by: u64,
    /// Where the record stands.
    pub at: i64,
}

/// A generation of a group: who has what in it.
#[derive(Debug, Clone)]
pub struct Generation {
    pub group: String,
    pub number: i32,
    /// Assignments, by instance id, or by member id where there is none.
    pub shares: BTreeMap<String, Bytes>,
    /// Where the record stands.
    pub at: i64,
}

/// A record.
#[derive(Debug)]
pub enum Line {
    Commit(Commit),
    Generation(Generation),
    /// The group, or one of its offsets, is no more.
    Gone {
        group: String,
        partition: Option<i32>,
    },
}

/// What a member writes beside the offsets of a commit: the request's number, and its own.
pub fn metadata(number: u64, by: usize) -> String {
    format!("#{number}/{by}")
}

/// The number of a commit.
pub fn number(metadata: &str) -> u64 {
    parse(metadata).map_or(0, |(number, _)| number)
}

fn parse(metadata: &str) -> Option<(u64, u64)> {
    let (number, by) = metadata.strip_prefix('#')?.split_once('/')?;
    Some((number.parse().ok()?, by.parse().ok()?))
}

/// What stands in a log from `from` to `to`, both at the border of a batch.
pub fn lines(log: &Log, from: i64, to: i64) -> Vec<Line> {
    let (mut at, mut found, mut decompressor) = (from, Vec::new(), Decompressor::new());
    while at < to {
        let read =
            log.read(at, 1 << 20, true, ReadUpTo::LogEnd).expect("invariant 17 broken: a log cannot be read");
        let bytes = read.slice.to_vec().expect("invariant 17 broken: a log cannot be read");
        for batch in BatchIter::verified(&bytes) {
            let Ok(batch) = batch else { break };
            let next = batch.header().next_offset();
            if next <= at || batch.header().base_offset >= to {
                continue;
            }
            at = next;
            let records = decompressor.records(&batch, 1 << 20).expect("SIM: a batch of ours");
            for record in records {
                let record = record.expect("SIM: a record of ours");
                let key = record.key.expect("SIM: a coordinator's record has a key");
                found.extend(line(key, record.value, record.offset));
            }
        }
    }
    found
}

fn line(key: &[u8], value: Option<&[u8]>, at: i64) -> Option<Line> {
    let kind = i16::from_be_bytes([key[0], key[1]]);
    let body = value.map(|value| (i16::from_be_bytes([value[0], value[1]]), &value[2..]));
    match kind {
        1 => {
            let key = OffsetCommitKey::decode(&key[2..], 0).expect("SIM: a key of ours");
            let (group, partition) = (key.group, key.partition);
            let Some((version, value)) = body else {
                return Some(Line::Gone { group, partition: Some(partition) });
            };
            let value = OffsetCommitValue::decode(value, version).expect("SIM: a value of ours");
            let (number, by) = parse(&value.metadata).expect("SIM: a commit of ours");
            Some(Line::Commit(Commit { group, partition, offset: value.offset, number, by, at }))
        }
        2 => {
            let key = GroupMetadataKey::decode(&key[2..], 0).expect("SIM: a key of ours");
            let Some((version, value)) = body else {
                return Some(Line::Gone { group: key.group, partition: None });
            };
            let value = GroupMetadataValue::decode(value, version).expect("SIM: a value of ours");
            let share =
                |member: ottla_protocol::coordinator_records::group_metadata_value::MemberMetadata| {
                    (member.group_instance_id.unwrap_or(member.member_id), member.assignment)
                };
            let shares = value.members.into_iter().map(share).collect();
            Some(Line::Generation(Generation { group: key.group, number: value.generation, shares, at }))
        }
        _ => None,
    }
}
