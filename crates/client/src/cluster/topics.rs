//! Topics and their leaders.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{MetadataRequest, MetadataResponse};
use tokio::time::{Instant, sleep};

use super::{Cluster, ClusterError, TopicPartition};

impl Cluster {
    /// Metadata of some topics, or of all; sorted by name and partition. Topics are not made by asking.
    ///
    /// # Errors
    /// [`ClusterError`]; a topic that is not there has an error code of its own.
    pub async fn metadata(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, ClusterError> {
        self.ask_topics(topics, false).await
    }

    /// As [`Cluster::metadata`]; `create` lets brokers make the topics that they do not have.
    pub(crate) async fn ask_topics(
        &self,
        topics: Option<&[&str]>,
        create: bool,
    ) -> Result<MetadataResponse, ClusterError> {
        let named = |name: &&str| MetadataRequestTopic {
            name: Some((*name).to_owned()),
            ..MetadataRequestTopic::default()
        };
        let request = MetadataRequest {
            topics: topics.map(|topics| topics.iter().map(named).collect()),
            allow_auto_topic_creation: create,
            ..MetadataRequest::default()
        };
        let mut answer = self.any(&request).await?;
        answer.topics.sort_by(|a, b| a.name.cmp(&b.name));
        for topic in &mut answer.topics {
            topic.partitions.sort_by_key(|partition| partition.partition_index);
        }
        self.learn(&answer);
        Ok(answer)
    }

    /// The leaders of partitions. A partition that has none is waited for; one that the cluster does not have is left
    /// out.
    ///
    /// # Errors
    /// [`ClusterError::Code`] with LEADER_NOT_AVAILABLE when a partition stays without a leader.
    pub async fn leaders(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i32>, ClusterError> {
        let until = Instant::now() + self.0.settings.call_timeout;
        for failures in 1.. {
            let (leaders, without) = self.leaders_now(partitions).await?;
            if without.is_empty() {
                return Ok(leaders);
            }
            if Instant::now() > until {
                let names: Vec<String> = without.iter().map(ToString::to_string).collect();
                let message = format!("no leader for {}", names.join(", "));
                let code = ErrorCode::LeaderNotAvailable;
                return Err(ClusterError::Code { api: "Metadata", code, message: Some(message) });
            }
            sleep(self.pause(failures)).await;
        }
        unreachable!("CLIENT-14 attempts do not run out")
    }

    /// The leaders as they are told now, and the partitions that have none.
    pub(super) async fn leaders_now(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<(BTreeMap<TopicPartition, i32>, Vec<TopicPartition>), ClusterError> {
        let names: BTreeSet<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let answer = self.metadata(Some(&names)).await?;
        let (mut leaders, mut without) = (BTreeMap::new(), Vec::new());
        for partition in partitions {
            let topic = answer.topics.iter().find(|topic| topic.name.as_deref() == Some(&partition.topic));
            let Some(topic) = topic else { continue };
            // A broker that is about to know the topic says so in the topic's code.
            if topic.error_code == ErrorCode::LeaderNotAvailable.code() {
                without.push(partition.clone());
                continue;
            }
            let told = topic.partitions.iter().find(|told| told.partition_index == partition.partition);
            match told {
                Some(told) if told.leader_id >= 0 => {
                    leaders.insert(partition.clone(), told.leader_id);
                }
                Some(_) => without.push(partition.clone()),
                None => {}
            }
        }
        Ok((leaders, without))
    }
}
