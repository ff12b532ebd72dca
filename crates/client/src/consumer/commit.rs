//! Offsets: committed, looked up, at the ends, by time.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::OffsetCommitRequest;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use tokio::time::Instant;

use super::group::Identity;
use super::{Committed, Consumer, ConsumerError, Mode, tasks};
use crate::{
    Cluster, ClusterError, CoordinatorKind, Isolation, OffsetAndTimestamp, OffsetSpec, TopicPartition,
};

impl Consumer {
    /// Commits the positions of everything that polls have handed out.
    ///
    /// # Errors
    /// [`ConsumerError::CommitFailed`] when the partitions belong to others by now.
    pub async fn commit(&mut self) -> Result<(), ConsumerError> {
        let offsets = self.consumed();
        self.commit_offsets(&offsets).await
    }

    /// Commits these offsets: the next ones to read.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub async fn commit_offsets(
        &mut self,
        offsets: &[(TopicPartition, Committed)],
    ) -> Result<(), ConsumerError> {
        let (group, request) = self.commit_request(offsets)?;
        if offsets.is_empty() {
            return Ok(());
        }
        send(&self.cluster, &group, &request).await
    }

    fn consumed(&self) -> Vec<(TopicPartition, Committed)> {
        let known = self.places.iter().filter(|(_, place)| place.start.is_none());
        let offset = |(partition, place): (&TopicPartition, &super::Place)| {
            let (offset, leader_epoch) = (place.position, place.position_epoch);
            (partition.clone(), Committed { offset, leader_epoch, metadata: String::new() })
        };
        known.map(offset).collect()
    }

    fn commit_request(
        &self,
        offsets: &[(TopicPartition, Committed)],
    ) -> Result<(String, OffsetCommitRequest), ConsumerError> {
        let membership = self.membership.as_ref().ok_or(ConsumerError::NoGroup)?;
        let member = matches!(self.mode, Mode::Topics(_) | Mode::Matching { .. });
        let identity = if member { membership.identity.clone() } else { Identity::nobody() };
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (partition, committed) in offsets {
            topics.entry(&partition.topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch,
                committed_metadata: Some(committed.metadata.clone()),
            });
        }
        let topic = |(name, partitions): (&str, _)| OffsetCommitRequestTopic {
            name: name.to_owned(),
            partitions,
            ..Default::default()
        };
        let group = membership.settings.id.clone();
        let request = OffsetCommitRequest {
            group_id: group.clone(),
            generation_id_or_member_epoch: identity.generation,
            member_id: identity.member,
            group_instance_id: if member { membership.settings.instance.clone() } else { None },
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        Ok((group, request))
    }

    /// Every `auto.commit.interval.ms` the positions are committed, beside everything else.
    pub(super) fn commit_now_and_then(&mut self) {
        let Some(interval) = self.settings.auto_commit else { return };
        let now = Instant::now();
        if now < self.commit_at {
            return;
        }
        self.commit_at = now + interval;
        let offsets = self.consumed();
        if offsets.is_empty() {
            return;
        }
        if let Ok((group, request)) = self.commit_request(&offsets) {
            let cluster = self.cluster.clone();
            tokio::spawn(async move {
                if let Err(error) = send(&cluster, &group, &request).await {
                    tracing::warn!("group {group}: offsets are not committed: {error}");
                }
            });
        }
    }

    /// What the group has committed; `None` for partitions without.
    ///
    /// # Errors
    /// [`ConsumerError`].
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Committed>>, ConsumerError> {
        let group = &self.membership.as_ref().ok_or(ConsumerError::NoGroup)?.settings.id;
        let stable = self.settings.isolation == Isolation::ReadCommitted;
        let mut found = tasks::committed(&self.cluster, group, partitions, stable).await?;
        Ok(partitions.iter().map(|partition| (partition.clone(), found.remove(partition))).collect())
    }

    /// The first offsets that are kept.
    ///
    /// # Errors
    /// [`ConsumerError::Partition`] for one that is not there.
    pub async fn begin_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ConsumerError> {
        self.ends(partitions, OffsetSpec::Earliest).await
    }

    /// The offsets that come next.
    ///
    /// # Errors
    /// [`ConsumerError::Partition`] for one that is not there.
    pub async fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ConsumerError> {
        self.ends(partitions, OffsetSpec::Latest).await
    }

    async fn ends(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>, ConsumerError> {
        let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
        let found = self.look_up(&wanted).await?;
        Ok(found.into_iter().map(|(partition, found)| (partition, found.offset)).collect())
    }

    /// The first records that are not older than these times, in milliseconds since the epoch; `None` where there is
    /// none.
    ///
    /// # Errors
    /// [`ConsumerError::Partition`] for one that is not there.
    pub async fn offsets_for_times(
        &self,
        partitions: &[(TopicPartition, i64)],
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, ConsumerError> {
        let spec = |(partition, at): &(TopicPartition, i64)| (partition.clone(), OffsetSpec::Timestamp(*at));
        let wanted: Vec<_> = partitions.iter().map(spec).collect();
        let found = self.look_up(&wanted).await?.into_iter();
        Ok(found
            .map(|(partition, found)| (partition, Some(found).filter(|found| found.offset >= 0)))
            .collect())
    }

    async fn look_up(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
    ) -> Result<BTreeMap<TopicPartition, OffsetAndTimestamp>, ConsumerError> {
        let found = self.cluster.list_offsets(wanted, self.settings.isolation).await?;
        let sound = found.into_iter().map(|(partition, found)| match found {
            Ok(found) => Ok((partition, found)),
            Err(code) => Err(ConsumerError::Partition { partition, code }),
        });
        sound.collect()
    }
}

async fn send(cluster: &Cluster, group: &str, request: &OffsetCommitRequest) -> Result<(), ConsumerError> {
    let most = tasks::BY_NAME_UP_TO;
    let answer = cluster.coordinator_at(CoordinatorKind::Group, group, most, request).await?;
    for topic in answer.topics {
        for partition in topic.partitions {
            let code = ErrorCode::from_i16(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
            match code {
                ErrorCode::None => {}
                ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId => {
                    return Err(ConsumerError::CommitFailed);
                }
                ErrorCode::RebalanceInProgress => {
                    return Err(ConsumerError::Group { code, message: None });
                }
                ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator => {
                    return Err(ClusterError::of_code("OffsetCommit", code.code(), None).into());
                }
                code => {
                    let partition = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    return Err(ConsumerError::Partition { partition, code });
                }
            }
        }
    }
    Ok(())
}
