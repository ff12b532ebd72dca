//! Offsets by place or by time, asked of the partitions' leaders (ListOffsets).

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::ListOffsetsRequest;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Cluster, ClusterError, TopicPartition};

/// Which offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first one that is kept.
    Earliest,
    /// The one that comes next: the high watermark, or the last stable offset for committed readers.
    Latest,
    /// That of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first one on the broker's own disk (KIP-405).
    EarliestLocal,
    /// The last one in remote storage (KIP-1005).
    LatestTiered,
    /// The first one that is not in remote storage yet (KIP-1023).
    EarliestPendingUpload,
    /// The first one whose timestamp is at or after this, in milliseconds since the epoch.
    Timestamp(i64),
}

impl OffsetSpec {
    /// The number that stands for it in a request, and the first version that knows it.
    fn wire(self) -> (i64, i16) {
        match self {
            OffsetSpec::Latest => (-1, 1),
            OffsetSpec::Earliest => (-2, 1),
            OffsetSpec::MaxTimestamp => (-3, 7),
            OffsetSpec::EarliestLocal => (-4, 8),
            OffsetSpec::LatestTiered => (-5, 9),
            OffsetSpec::EarliestPendingUpload => (-6, 11),
            OffsetSpec::Timestamp(at) => (at, 1),
        }
    }
}

/// Which records are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i8)]
pub enum Isolation {
    /// All of them.
    #[default]
    ReadUncommitted = 0,
    /// Those of transactions that were committed, and those of none.
    ReadCommitted = 1,
}

/// An offset that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// The offset; −1 when no record answers the question.
    pub offset: i64,
    /// The timestamp of the record found; −1 when places, not times, were asked for.
    pub timestamp: i64,
    /// The epoch of the leader that wrote the record; −1 when it is not known.
    pub leader_epoch: i32,
}

type Told = Vec<(TopicPartition, Result<OffsetAndTimestamp, ErrorCode>)>;

impl Cluster {
    /// Offsets of partitions, from their leaders. Leaders that have moved are followed until
    /// `default.api.timeout.ms` is over.
    ///
    /// # Errors
    /// [`ClusterError`] when nobody answers. A partition that is not there, or stays without a leader, has an error
    /// of its own.
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, Result<OffsetAndTimestamp, ErrorCode>>, ClusterError> {
        let until = Instant::now() + self.0.settings.call_timeout;
        let mut found = BTreeMap::new();
        let mut left: Vec<(TopicPartition, OffsetSpec)> = wanted.to_vec();
        for failures in 1.. {
            let partitions: Vec<TopicPartition> =
                left.iter().map(|(partition, _)| partition.clone()).collect();
            let (leaders, _) = self.leaders_now(&partitions).await?;
            for (partition, answer) in self.offsets_once(&left, &leaders, isolation).await {
                found.insert(partition, answer);
            }
            for (partition, _) in &left {
                let known = leaders.contains_key(partition);
                found.entry(partition.clone()).or_insert(Err(if known {
                    ErrorCode::NetworkException
                } else {
                    ErrorCode::UnknownTopicOrPartition
                }));
            }
            let (unknown_wait, now) = (failures > 3, Instant::now());
            left.retain(|(partition, _)| match found.get(partition) {
                // A topic that is not there may be news that has not spread; not for a minute, though.
                Some(Err(ErrorCode::UnknownTopicOrPartition)) => !unknown_wait,
                Some(Err(code)) => crate::exception::retriable(*code),
                _ => false,
            });
            if left.is_empty() || now > until {
                break;
            }
            sleep(self.pause(failures)).await;
        }
        Ok(found)
    }

    /// One request to every leader, side by side.
    async fn offsets_once(
        &self,
        left: &[(TopicPartition, OffsetSpec)],
        leaders: &BTreeMap<TopicPartition, i32>,
        isolation: Isolation,
    ) -> Told {
        let mut by_node: BTreeMap<i32, Vec<(TopicPartition, OffsetSpec)>> = BTreeMap::new();
        for (partition, spec) in left {
            if let Some(leader) = leaders.get(partition) {
                by_node.entry(*leader).or_default().push((partition.clone(), *spec));
            }
        }
        let mut calls = JoinSet::new();
        for (node, asked) in by_node {
            let cluster = self.clone();
            calls.spawn(async move { cluster.offsets_of(node, asked, isolation).await });
        }
        let mut told = Told::new();
        while let Some(done) = calls.join_next().await {
            match done {
                Ok(answers) => told.extend(answers),
                Err(gone) => std::panic::resume_unwind(gone.into_panic()),
            }
        }
        told
    }

    async fn offsets_of(
        &self,
        node: i32,
        asked: Vec<(TopicPartition, OffsetSpec)>,
        isolation: Isolation,
    ) -> Told {
        let all =
            |code: ErrorCode| asked.iter().map(|(partition, _)| (partition.clone(), Err(code))).collect();
        let Ok(connection) = self.connection(node).await else { return all(ErrorCode::NetworkException) };
        let Ok(version) = connection.version_of::<ListOffsetsRequest>() else {
            return all(ErrorCode::UnsupportedVersion);
        };
        if asked.iter().any(|(_, spec)| spec.wire().1 > version) {
            return all(ErrorCode::UnsupportedVersion);
        }
        let mut request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: isolation as i8,
            timeout_ms: self.0.settings.options.request_timeout.as_millis() as i32,
            ..ListOffsetsRequest::default()
        };
        if version < 10 {
            request.timeout_ms = 0;
        }
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for (partition, spec) in &asked {
            topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
                partition_index: partition.partition,
                current_leader_epoch: -1,
                timestamp: spec.wire().0,
            });
        }
        let topic = |(name, partitions): (&str, _)| ListOffsetsTopic { name: name.to_owned(), partitions };
        request.topics = topics.into_iter().map(topic).collect();
        let Ok(answer) = connection.call_at(version, &request).await else {
            return all(ErrorCode::NetworkException);
        };
        let mut told = Told::new();
        for topic in answer.topics {
            let name: std::sync::Arc<str> = topic.name.into();
            for partition in topic.partitions {
                let place = TopicPartition::new(name.clone(), partition.partition_index);
                let code = ErrorCode::from_i16(partition.error_code).unwrap_or(ErrorCode::UnknownServerError);
                let offset = OffsetAndTimestamp {
                    offset: partition.offset,
                    timestamp: partition.timestamp,
                    leader_epoch: partition.leader_epoch,
                };
                told.push((place, if code == ErrorCode::None { Ok(offset) } else { Err(code) }));
            }
        }
        told
    }
}
