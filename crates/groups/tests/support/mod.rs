//! What the tests of a whole shard share: a log that stands in for the partition, and effects as text.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_groups::{
    Append, AppendId, Config, Effect, InTransaction, Logged, Marker, Record, Response, Shard,
};
use ottla_protocol::coordinator_records::group_metadata_key::GroupMetadataKey;
use ottla_protocol::coordinator_records::group_metadata_value::GroupMetadataValue;
use ottla_protocol::coordinator_records::offset_commit_key::OffsetCommitKey;
use ottla_protocol::coordinator_records::offset_commit_value::OffsetCommitValue;
use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::wire::Message;
use uuid::Uuid;

/// The records of a partition, as its log would hold them.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<Record>,
    /// For each of them the producer whose transaction it belongs to, -1 for none, and how that ends if it is a marker,
    /// which has no key.
    transactions: Vec<(i64, Option<bool>)>,
}

impl Log {
    /// Appends, and returns the offset of the first record.
    pub(crate) fn append(&mut self, append: &Append) -> i64 {
        let base = self.records.len() as i64;
        let producer_id = append.transaction.map_or(-1, |transaction| transaction.producer_id);
        if let Some(marker) = append.transaction.and_then(|transaction| transaction.marker) {
            self.records.push(Record { key: Default::default(), value: None });
            self.transactions.push((producer_id, Some(marker.commit)));
        }
        self.records.extend(append.records.iter().cloned());
        self.transactions.resize(self.records.len(), (producer_id, None));
        base
    }

    /// A shard that has read this log.
    pub(crate) fn reload(&self, config: Config, now_ms: i64) -> Shard {
        self.read_up_to(config, now_ms, i64::MAX).0
    }

    /// A shard that has read this log while the high watermark was `high_watermark`, and the offsets of the records
    /// above it by the appends that they count as.
    pub(crate) fn read_up_to(
        &self,
        config: Config,
        now_ms: i64,
        high_watermark: i64,
    ) -> (Shard, BTreeMap<AppendId, i64>) {
        let mut shard = Shard::new(config);
        let mut uncommitted = BTreeMap::new();
        for (offset, (record, transaction)) in (0..).zip(self.records.iter().zip(&self.transactions)) {
            let (producer_id, marker) = *transaction;
            if let Some(commit) = marker {
                shard.replay_marker(producer_id, commit);
                continue;
            }
            let logged = Logged { offset, producer_id, key: &record.key, value: record.value.as_deref() };
            if offset < high_watermark {
                shard.replay(logged).unwrap();
                continue;
            }
            let id = shard.begin_uncommitted();
            shard.replay_uncommitted(id, offset, logged).unwrap();
            uncommitted.insert(id, offset);
        }
        shard.loaded(now_ms);
        (shard, uncommitted)
    }
}

/// The n-th uuid a test draws.
pub(crate) fn uuid(n: u64) -> Uuid {
    Uuid::from_u128(n.into())
}

/// Uuids drawn by [`uuid`] as `#n`.
pub(crate) fn short(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("00000000-0000-0000-0000-") {
        let end = at + 36;
        let Some(tail) = rest.get(at + 24..end) else { break };
        let Ok(n) = u64::from_str_radix(tail, 16) else { break };
        write!(out, "{}#{n}", &rest[..at]).unwrap();
        rest = &rest[end..];
    }
    out + rest
}

/// `#n` as the uuid that [`uuid`] draws.
pub(crate) fn long(text: &str) -> String {
    match text.rsplit_once('#') {
        Some((head, n)) => match n.parse() {
            Ok(n) => format!("{head}{}", uuid(n)),
            Err(_) => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

fn name(code: i16) -> &'static str {
    ErrorCode::from_i16(code).expect("a known error").name()
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn opt(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("-")
}

fn show_topic_id(id: Uuid) -> String {
    if id.is_nil() { String::new() } else { format!(" topic-id={}", short(&id.to_string())) }
}

/// One line for a record.
pub(crate) fn show_record(record: &Record) -> String {
    let record_type = i16::from_be_bytes([record.key[0], record.key[1]]);
    let key = &record.key[2..];
    let value = record.value.as_ref().map(|value| (i16::from_be_bytes([value[0], value[1]]), &value[2..]));
    match (record_type, value) {
        (1, None) => {
            let key = OffsetCommitKey::decode(key, 0).unwrap();
            format!("offset {} {}-{} tombstone", key.group, key.topic, key.partition)
        }
        (1, Some((version, value))) => {
            let key = OffsetCommitKey::decode(key, 0).unwrap();
            let value = OffsetCommitValue::decode(value, version).unwrap();
            let expire = match value.expire_timestamp {
                -1 => String::new(),
                at => format!(" expires={at}"),
            };
            format!(
                "offset {} {}-{} v{version} {} epoch={} metadata='{}' at={}{expire}{}",
                key.group,
                key.topic,
                key.partition,
                value.offset,
                value.leader_epoch,
                value.metadata,
                value.commit_timestamp,
                show_topic_id(value.topic_id)
            )
        }
        (2, None) => format!("group {} tombstone", GroupMetadataKey::decode(key, 0).unwrap().group),
        (2, Some((version, value))) => {
            let value = GroupMetadataValue::decode(value, version).unwrap();
            let mut line = format!(
                "group {} v{version} generation={} type='{}' protocol={} leader={} since={}",
                GroupMetadataKey::decode(key, 0).unwrap().group,
                value.generation,
                value.protocol_type,
                opt(&value.protocol),
                opt(&value.leader),
                value.current_state_timestamp
            );
            for member in value.members {
                write!(
                    line,
                    " [{} instance={} client={}{} rebalance={} session={} {}={}]",
                    member.member_id,
                    opt(&member.group_instance_id),
                    member.client_id,
                    member.client_host,
                    member.rebalance_timeout,
                    member.session_timeout,
                    text(&member.subscription),
                    text(&member.assignment)
                )
                .unwrap();
            }
            line
        }
        (other, None) => format!("type {other} {} tombstone", text(key)),
        (other, Some(_)) => format!("type {other} {}", text(key)),
    }
}

/// One line for a reply.
pub(crate) fn show_response(response: &Response) -> String {
    match response {
        Response::JoinGroup(r) => {
            let mut line = format!("JoinGroup {} member={}", name(r.error_code), r.member_id);
            if r.error_code == 0 {
                write!(
                    line,
                    " generation={} type={} protocol={} leader={}",
                    r.generation_id,
                    opt(&r.protocol_type),
                    opt(&r.protocol_name),
                    r.leader
                )
                .unwrap();
                for m in &r.members {
                    let instance = opt(&m.group_instance_id);
                    write!(line, " [{} instance={instance} {}]", m.member_id, text(&m.metadata)).unwrap();
                }
            } else if r.generation_id != -1 {
                write!(line, " generation={} leader={}", r.generation_id, r.leader).unwrap();
            }
            if r.skip_assignment {
                line += " skip-assignment";
            }
            line
        }
        Response::SyncGroup(r) => format!(
            "SyncGroup {} type={} protocol={} assignment='{}'",
            name(r.error_code),
            opt(&r.protocol_type),
            opt(&r.protocol_name),
            text(&r.assignment)
        ),
        Response::Heartbeat(r) => format!("Heartbeat {}", name(r.error_code)),
        Response::LeaveGroup(r) => {
            let mut line = format!("LeaveGroup {}", name(r.error_code));
            for m in &r.members {
                let instance = opt(&m.group_instance_id);
                write!(line, " [{} instance={instance} {}]", m.member_id, name(m.error_code)).unwrap();
            }
            line
        }
        Response::OffsetCommit(r) => {
            let mut line = "OffsetCommit".to_owned();
            for t in &r.topics {
                for p in &t.partitions {
                    let id = show_topic_id(t.topic_id);
                    write!(line, " [{}-{} {}{id}]", t.name, p.partition_index, name(p.error_code)).unwrap();
                }
            }
            line
        }
        Response::TxnOffsetCommit(r) => {
            let mut line = "TxnOffsetCommit".to_owned();
            for t in &r.topics {
                for p in &t.partitions {
                    write!(line, " [{}-{} {}]", t.name, p.partition_index, name(p.error_code)).unwrap();
                }
            }
            line
        }
        Response::EndTransaction(error) => format!("EndTransaction {}", error.name()),
        Response::OffsetFetch(r) => {
            let mut line = format!("OffsetFetch {} {}", r.group_id, name(r.error_code));
            for t in &r.topics {
                for p in &t.partitions {
                    write!(
                        line,
                        " [{}-{} {} epoch={} metadata='{}'{}{}]",
                        t.name,
                        p.partition_index,
                        p.committed_offset,
                        p.committed_leader_epoch,
                        opt(&p.metadata),
                        show_topic_id(t.topic_id),
                        if p.error_code == 0 { String::new() } else { format!(" {}", name(p.error_code)) }
                    )
                    .unwrap();
                }
            }
            line
        }
        Response::OffsetDelete(r) => {
            let mut line = format!("OffsetDelete {}", name(r.error_code));
            for t in &r.topics {
                for p in &t.partitions {
                    write!(line, " [{}-{} {}]", t.name, p.partition_index, name(p.error_code)).unwrap();
                }
            }
            line
        }
        Response::DescribeGroups(groups) => {
            let mut line = "DescribeGroups".to_owned();
            for g in groups {
                let (id, error) = (&g.group_id, name(g.error_code));
                let (state, of, data) = (&g.group_state, &g.protocol_type, &g.protocol_data);
                write!(line, " {id}: {error} {} '{state}' type='{of}' data='{data}'", opt(&g.error_message))
                    .unwrap();
                for m in &g.members {
                    write!(
                        line,
                        " [{} instance={} client={}{} {}={}]",
                        m.member_id,
                        opt(&m.group_instance_id),
                        m.client_id,
                        m.client_host,
                        text(&m.member_metadata),
                        text(&m.member_assignment)
                    )
                    .unwrap();
                }
            }
            line
        }
        Response::ListGroups(r) => {
            let mut line = format!("ListGroups {}", name(r.error_code));
            for g in &r.groups {
                let (id, of, state, kind) = (&g.group_id, &g.protocol_type, &g.group_state, &g.group_type);
                write!(line, " [{id} type='{of}' {state} {kind}]").unwrap();
            }
            line
        }
        Response::DeleteGroups(results) => {
            let mut line = "DeleteGroups".to_owned();
            for r in results {
                write!(line, " [{} {}]", r.group_id, name(r.error_code)).unwrap();
            }
            line
        }
    }
}

/// Checks that a response can be encoded for the client that asked.
pub(crate) fn check_encodable(response: &Response, api_version: i16) {
    use ottla_protocol::messages as m;
    let encoded = match response {
        Response::JoinGroup(r) => r.to_vec(api_version),
        Response::SyncGroup(r) => r.to_vec(api_version),
        Response::Heartbeat(r) => r.to_vec(api_version),
        Response::LeaveGroup(r) => r.to_vec(api_version),
        Response::OffsetCommit(r) => r.to_vec(api_version),
        Response::TxnOffsetCommit(r) => r.to_vec(api_version),
        // A part of an answer that others put together.
        Response::EndTransaction(_) => return,
        Response::OffsetFetch(r) => {
            ottla_groups::offset_fetch::response(vec![r.clone()], api_version).to_vec(api_version)
        }
        Response::OffsetDelete(r) => r.to_vec(api_version),
        Response::DescribeGroups(groups) => m::describe_groups_response::DescribeGroupsResponse {
            groups: groups.clone(),
            ..Default::default()
        }
        .to_vec(api_version),
        Response::ListGroups(r) => r.to_vec(api_version),
        Response::DeleteGroups(results) => {
            m::delete_groups_response::DeleteGroupsResponse { results: results.clone(), ..Default::default() }
                .to_vec(api_version)
        }
    };
    encoded.unwrap_or_else(|e| panic!("{response:?} in version {api_version}: {e}"));
}

/// An effect without its token, as text.
pub(crate) fn show_effect(effect: &Effect) -> String {
    match effect {
        Effect::Append(append) => {
            let mut lines = format!("append {}", append.id);
            if let Some(InTransaction { producer_id, producer_epoch, guard, marker }) = append.transaction {
                write!(lines, " of producer {producer_id}/{producer_epoch}").unwrap();
                if let Some(guard) = guard {
                    write!(lines, " guard={guard}").unwrap();
                }
                if let Some(Marker { commit, coordinator_epoch, transaction_version }) = marker {
                    let end = if commit { "COMMIT" } else { "ABORT" };
                    write!(lines, " {end} by coordinator {coordinator_epoch} v{transaction_version}")
                        .unwrap();
                }
            }
            for record in &append.records {
                write!(lines, "\n  {}", show_record(record)).unwrap();
            }
            lines
        }
        Effect::Reply { response, .. } => show_response(response),
        Effect::Notice(notice) => format!("notice {notice}"),
    }
}
