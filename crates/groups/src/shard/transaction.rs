//! Offsets that a producer commits in its transaction: they lie in the log from the commit on, and count from the marker on.

use std::sync::Arc;

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequest;
use ottla_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_records::ids::{Offset, ProducerEpoch, ProducerId};
use uuid::Uuid;

use super::commit::is_too_long;
use super::desk::{Undo, Write};
use super::{Group, Shard};
use crate::answer;
use crate::api::{InTransaction, Marker, Response, Token};
use crate::foreign::Kind;
use crate::offsets::{Committed, Place};
use crate::record;

impl Shard {
    /// Whether the commit is allowed. Older versions of the request do not say which member commits; then nobody is asked.
    fn check_commit_in_transaction(&self, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = request.generation_id;
        let instance = request.group_instance_id.as_deref();
        match self.groups.get(&*request.group_id) {
            None if generation < 0 => Ok(()),
            None => Err(ErrorCode::IllegalGeneration),
            Some(Group::Classic(group)) => group.check_commit(&request.member_id, instance, generation, true),
            Some(Group::Foreign(group)) if group.kind == Kind::Share => Err(ErrorCode::GroupIdNotFound),
            Some(Group::Foreign(group)) if generation < 0 && group.is_empty() => Ok(()),
            Some(Group::Foreign(_)) => {
                let is_unnamed = generation < 0 && request.member_id.is_empty() && instance.is_none();
                if is_unnamed { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
            }
        }
    }

    pub(super) fn commit_in_transaction(
        &mut self,
        token: Token,
        request: TxnOffsetCommitRequest,
        guard: Option<u64>,
    ) {
        if let Err(error) = self.check_commit_in_transaction(&request) {
            return self.desk.reply(token, answer::txn_commit_error(&request, error));
        }
        let known = self.groups.get_key_value(&*request.group_id).map(|(id, _)| id.clone());
        let group: Arc<str> = known.unwrap_or_else(|| request.group_id.as_str().into());
        let transaction = InTransaction {
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
            guard,
            marker: None,
        };
        let (mut records, mut offsets) = (Vec::new(), Vec::new());
        let mut response = TxnOffsetCommitResponse::default();
        for topic in request.topics {
            let name: Arc<str> = topic.name.as_str().into();
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                let partition_index = partition.partition_index;
                let metadata = partition.committed_metadata.unwrap_or_default();
                let error = if is_too_long(&metadata, self.desk.config.offset_metadata_max_size) {
                    ErrorCode::OffsetMetadataTooLarge
                } else {
                    let committed = Committed {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: metadata.into(),
                        commit_ms: self.desk.wall_ms(),
                        expire_ms: None,
                        // As in Kafka, whose transactional commits know topics by name only.
                        topic_id: Uuid::nil(),
                        record_offset: -1,
                    };
                    records.push(record::offset(&group, &name, partition_index, &committed));
                    let place =
                        Place { group: group.clone(), topic: name.clone(), partition: partition_index };
                    offsets.push((place, committed));
                    ErrorCode::None
                };
                partitions
                    .push(TxnOffsetCommitResponsePartition { partition_index, error_code: error.code() });
            }
            response.topics.push(TxnOffsetCommitResponseTopic { name: topic.name, partitions });
        }
        if records.is_empty() {
            return self.desk.reply(token, Response::TxnOffsetCommit(response));
        }
        let mut undo = Vec::new();
        if !self.groups.contains_key(&group) {
            let incarnation = self.create(&group).incarnation;
            undo.push(Undo::Uncreate(group, incarnation));
        }
        let write = Write {
            transaction: Some(transaction),
            in_transaction: offsets,
            undo,
            replies: vec![(token, Response::TxnOffsetCommit(response))],
            ..Write::default()
        };
        self.desk.append(records, write);
    }

    /// The end of a transaction goes into the log like any other record, so that its place there says which offsets it is
    /// about.
    pub(super) fn write_marker(
        &mut self,
        token: Token,
        (producer_id, producer_epoch): (ProducerId, ProducerEpoch),
        marker: Marker,
    ) {
        let transaction = InTransaction { producer_id, producer_epoch, guard: None, marker: Some(marker) };
        let write = Write {
            transaction: Some(transaction),
            replies: vec![(token, Response::EndTransaction(ErrorCode::None))],
            ..Write::default()
        };
        self.desk.append(Vec::new(), write);
    }

    /// Offsets of a transaction, or its marker, are committed; the batch begins at `base`.
    pub(super) fn transaction_written(
        &mut self,
        transaction: InTransaction,
        offsets: Vec<(Place, Committed)>,
        base: Offset,
    ) {
        if let Some(marker) = transaction.marker {
            return self.replay_marker(transaction.producer_id, marker.commit);
        }
        for (index, (place, value)) in offsets.into_iter().enumerate() {
            // The group may have been deleted meanwhile, with its other offsets.
            if !self.groups.contains_key(&place.group) {
                self.create(&place.group);
            }
            let record_offset = base.saturating_add(index as i64);
            self.offsets.put_pending(transaction.producer_id, place, Committed { record_offset, ..value });
        }
    }
}
