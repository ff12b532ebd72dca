//! A cluster at one moment as `ottla status`, `health` and `doctor` and a node's console tell it: asked once, judged
//! without a socket.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    MetadataResponse, describe_cluster_response::DescribeClusterResponse,
    describe_configs_request::DescribeConfigsResource, describe_quorum_request,
};

use crate::{CallError, Cluster, ClusterError};

const TOPIC: i8 = 2;
const MIN_ISR: &str = "min.insync.replicas";

/// A broker with what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// `host:port` that clients are told.
    pub address: String,
    /// `broker.rack`
    pub rack: Option<String>,
    /// Registered, but not serving: stopped, lost, or just starting.
    pub fenced: bool,
    /// Partitions it leads.
    pub leads: usize,
    /// Partitions it has a replica of.
    pub replicas: usize,
    /// Of these, how many are not in sync.
    pub behind: usize,
}

/// A voter or an observer of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Node id.
    pub id: i32,
    /// Whether it votes.
    pub votes: bool,
    /// Records it is behind the leader.
    pub lag: i64,
    /// When it last had everything, ms since the epoch; -1 unknown.
    pub caught_up_ms: i64,
}

/// The metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// Node id of the leader; -1 none.
    pub leader: i32,
    /// Its epoch.
    pub epoch: i32,
    /// Records that a majority has.
    pub high_watermark: i64,
    /// Voters first, then observers, by id.
    pub members: Vec<Member>,
}

/// A partition that needs somebody's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nobody leads it: it can neither be read nor written.
    Offline,
    /// Fewer replicas in sync than acks=all asks for: it cannot be written with acks=all.
    UnderMinIsr,
    /// A replica is missing or behind.
    UnderReplicated,
}

/// A cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub cluster_id: String,
    /// Brokers by id, fenced ones included.
    pub brokers: Vec<Broker>,
    /// The quorum, unless the cluster does not tell.
    pub quorum: Option<Quorum>,
    /// Why it does not tell, where that is trouble: there is no active controller.
    pub no_quorum: Option<String>,
    /// Topics, internal ones included.
    pub topics: usize,
    /// Partitions of all of them.
    pub partitions: usize,
    /// The worst of each partition that is not well.
    pub troubles: BTreeMap<(String, i32), Trouble>,
}

impl View {
    /// Asks the cluster.
    ///
    /// # Errors
    /// What keeps it from telling its nodes, topics or configurations. A quorum that it does not tell of is none.
    pub async fn ask(cluster: &Cluster) -> Result<View, ClusterError> {
        View::ask_of(cluster, true).await
    }

    /// As [`View::ask`]; without asking for the `quorum` where it is known that nobody could tell: the question would wait
    /// for one.
    ///
    /// # Errors
    /// As [`View::ask`].
    pub async fn ask_of(cluster: &Cluster, quorum: bool) -> Result<View, ClusterError> {
        let nodes = cluster.describe(true, false).await?;
        // Controllers know of topics, but do not tell.
        let metadata = match cluster.of_controllers() {
            true => MetadataResponse::default(),
            false => cluster.metadata(None).await?,
        };
        let request = DescribeQuorumRequest {
            topics: vec![describe_quorum_request::TopicData {
                topic_name: "__cluster_metadata".to_owned(),
                partitions: vec![describe_quorum_request::PartitionData { partition_index: 0 }],
            }],
        };
        // A cluster that is not KRaft cannot tell about its quorum: shown as unknown. Of the controllers the active one knows.
        let answer = match (quorum, cluster.of_controllers()) {
            (false, _) => None,
            (true, true) => Some(cluster.controller(&request).await),
            (true, false) => Some(cluster.any(&request).await),
        };
        let quorum = match answer {
            Some(Err(ClusterError::Call { why: CallError::Unsupported { .. }, .. })) => None,
            answer => answer,
        };
        let mut least = DescribeConfigsResponse::default();
        if !metadata.topics.is_empty() {
            let names = metadata.topics.iter().filter_map(|topic| topic.name.clone());
            let resources = names.map(|resource_name| DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name,
                configuration_keys: Some(vec![MIN_ISR.to_owned()]),
            });
            let request = DescribeConfigsRequest { resources: resources.collect(), ..Default::default() };
            least = cluster.any(&request).await?;
        }
        let told = quorum.as_ref().and_then(|answer| answer.as_ref().ok());
        let mut view = View::of(&nodes, &metadata, told, &least);
        view.no_quorum = quorum.as_ref().and_then(no_quorum);
        Ok(view)
    }

    /// Puts the answers together.
    pub fn of(
        nodes: &DescribeClusterResponse,
        metadata: &MetadataResponse,
        quorum: Option<&DescribeQuorumResponse>,
        configs: &DescribeConfigsResponse,
    ) -> View {
        let mut brokers: BTreeMap<i32, Broker> = BTreeMap::new();
        for node in &nodes.brokers {
            let address = if node.host.contains(':') {
                format!("[{}]:{}", node.host, node.port)
            } else {
                format!("{}:{}", node.host, node.port)
            };
            let broker = Broker {
                id: node.broker_id,
                address,
                rack: node.rack.clone(),
                fenced: node.is_fenced,
                leads: 0,
                replicas: 0,
                behind: 0,
            };
            brokers.insert(node.broker_id, broker);
        }
        let least: BTreeMap<&str, usize> = configs
            .results
            .iter()
            .filter_map(|result| {
                let value = result.configs.iter().find(|config| config.name == MIN_ISR)?.value.as_deref()?;
                Some((result.resource_name.as_str(), value.parse().ok()?))
            })
            .collect();
        let (mut partitions, mut troubles) = (0, BTreeMap::new());
        for topic in &metadata.topics {
            let name = topic.name.as_deref().unwrap_or_default();
            let least = least.get(name).copied().unwrap_or(1);
            for partition in &topic.partitions {
                partitions += 1;
                if let Some(leader) = brokers.get_mut(&partition.leader_id) {
                    leader.leads += 1;
                }
                for replica in &partition.replica_nodes {
                    if let Some(broker) = brokers.get_mut(replica) {
                        broker.replicas += 1;
                        broker.behind += usize::from(!partition.isr_nodes.contains(replica));
                    }
                }
                let trouble = if partition.leader_id < 0 {
                    Trouble::Offline
                } else if partition.isr_nodes.len() < least {
                    Trouble::UnderMinIsr
                } else if partition.isr_nodes.len() < partition.replica_nodes.len() {
                    Trouble::UnderReplicated
                } else {
                    continue;
                };
                troubles.insert((name.to_owned(), partition.partition_index), trouble);
            }
        }
        View {
            cluster_id: nodes.cluster_id.clone(),
            brokers: brokers.into_values().collect(),
            quorum: quorum.and_then(quorum_of),
            no_quorum: None,
            topics: metadata.topics.len(),
            partitions,
            troubles,
        }
    }

    /// How many partitions have this trouble as their worst.
    pub fn count(&self, trouble: Trouble) -> usize {
        self.troubles.values().filter(|worst| **worst == trouble).count()
    }

    /// What is wrong, the worst first, one sentence each; nothing when all is well.
    pub fn complaints(&self) -> Vec<(Health, String)> {
        let mut out = Vec::new();
        if let Some(quorum) = &self.quorum
            && quorum.leader < 0
        {
            out.push((Health::Down, "the metadata quorum has no leader".to_owned()));
        }
        if let Some(why) = &self.no_quorum {
            out.push((Health::Down, why.clone()));
        }
        for (trouble, health, what) in [
            (Trouble::Offline, Health::Down, "without a leader"),
            (Trouble::UnderMinIsr, Health::Down, "with fewer replicas in sync than min.insync.replicas"),
            (Trouble::UnderReplicated, Health::Degraded, "with a replica missing or behind"),
        ] {
            let count = self.count(trouble);
            if count > 0 {
                let some: Vec<String> = self
                    .troubles
                    .iter()
                    .filter(|(_, worst)| **worst == trouble)
                    .take(3)
                    .map(|((topic, partition), _)| format!("{topic}-{partition}"))
                    .collect();
                let more = if count > some.len() { ", ..." } else { "" };
                let noun = if count == 1 { "partition" } else { "partitions" };
                out.push((health, format!("{count} {noun} {what}: {}{more}", some.join(", "))));
            }
        }
        for broker in self.brokers.iter().filter(|broker| broker.fenced) {
            out.push((Health::Degraded, format!("broker {} ({}) is fenced", broker.id, broker.address)));
        }
        out.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
        out
    }

    /// The worst of the complaints.
    pub fn health(&self) -> Health {
        self.complaints().iter().map(|(health, _)| *health).max().unwrap_or(Health::Healthy)
    }
}

/// Why there is no word from an active controller.
fn no_quorum(answer: &Result<DescribeQuorumResponse, ClusterError>) -> Option<String> {
    let code = match answer {
        Ok(answer) if answer.error_code != 0 => {
            // Versions without a message are read as an empty one.
            if let Some(message) = answer.error_message.as_ref().filter(|message| !message.is_empty()) {
                return Some(message.clone());
            }
            answer.error_code
        }
        Ok(answer) => answer.topics.first()?.partitions.first()?.error_code,
        Err(error) => return Some(format!("no controller answers: {error}")),
    };
    (code != 0).then(|| {
        let name = ErrorCode::from_i16(code).map_or("an unknown error", ErrorCode::name);
        format!("no controller answers: {name}")
    })
}

fn quorum_of(answer: &DescribeQuorumResponse) -> Option<Quorum> {
    let partition = answer.topics.first()?.partitions.first()?;
    if answer.error_code != 0 || partition.error_code != 0 {
        return None;
    }
    let end = partition
        .current_voters
        .iter()
        .find(|voter| voter.replica_id == partition.leader_id)
        .map_or(partition.high_watermark, |leader| leader.log_end_offset);
    let member = |votes| {
        move |state: &ottla_protocol::messages::describe_quorum_response::ReplicaState| Member {
            id: state.replica_id,
            votes,
            lag: if state.log_end_offset < 0 { -1 } else { (end - state.log_end_offset).max(0) },
            caught_up_ms: state.last_caught_up_timestamp,
        }
    };
    let mut voters: Vec<Member> = partition.current_voters.iter().map(member(true)).collect();
    let mut observers: Vec<Member> = partition.observers.iter().map(member(false)).collect();
    voters.sort_by_key(|member| member.id);
    observers.sort_by_key(|member| member.id);
    voters.append(&mut observers);
    Some(Quorum {
        leader: partition.leader_id,
        epoch: partition.leader_epoch,
        high_watermark: partition.high_watermark,
        members: voters,
    })
}

/// How well a cluster is, as an exit code of `ottla health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Everything serves and is replicated.
    Healthy = 0,
    /// Everything serves; the next failure may hurt.
    Degraded = 1,
    /// Something cannot be read or written.
    Down = 2,
    /// Nobody answers.
    Unreachable = 3,
}

impl Health {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Down => "down",
            Health::Unreachable => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
    use ottla_protocol::messages::describe_configs_response::{
        DescribeConfigsResourceResult, DescribeConfigsResult,
    };
    use ottla_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

    fn view(leader: i32, isr: &[i32], least: &str, fenced: bool) -> View {
        let brokers = (1..=3)
            .map(|id| DescribeClusterBroker {
                broker_id: id,
                host: "h".into(),
                port: 9090 + id,
                rack: None,
                is_fenced: fenced && id == 3,
            })
            .collect();
        let nodes = DescribeClusterResponse { cluster_id: "c".into(), brokers, ..Default::default() };
        let partition = MetadataResponsePartition {
            leader_id: leader,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: isr.to_vec(),
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("t".into()),
            partitions: vec![partition],
            ..Default::default()
        };
        let metadata = MetadataResponse { topics: vec![topic], ..Default::default() };
        let config = DescribeConfigsResourceResult {
            name: MIN_ISR.into(),
            value: Some(least.into()),
            ..Default::default()
        };
        let result =
            DescribeConfigsResult { resource_name: "t".into(), configs: vec![config], ..Default::default() };
        View::of(
            &nodes,
            &metadata,
            None,
            &DescribeConfigsResponse { results: vec![result], ..Default::default() },
        )
    }

    #[test]
    fn the_worst_of_a_partition_counts() {
        assert_eq!(view(1, &[1, 2, 3], "2", false).health(), Health::Healthy);
        assert_eq!(view(1, &[1, 2], "2", false).health(), Health::Degraded);
        assert_eq!(view(1, &[1], "2", false).health(), Health::Down);
        assert_eq!(view(-1, &[1], "1", false).count(Trouble::Offline), 1);
        assert_eq!(view(1, &[1, 2, 3], "2", true).health(), Health::Degraded);
    }

    #[test]
    fn a_cluster_without_a_controller_is_down_and_says_which_is_missing() {
        let gone = "no controller: 1@h:9093 unreachable since 2026-11-21 14:39:07 UTC (connection refused)";
        let mut answer = DescribeQuorumResponse { error_code: 7, ..Default::default() };
        assert_eq!(
            no_quorum(&Ok(answer.clone())).as_deref(),
            Some("no controller answers: REQUEST_TIMED_OUT")
        );
        answer.error_message = Some(gone.to_owned());
        let mut view = view(1, &[1, 2, 3], "1", false);
        view.no_quorum = no_quorum(&Ok(answer));
        assert_eq!(view.complaints(), [(Health::Down, gone.to_owned())]);
        assert_eq!(no_quorum(&Ok(DescribeQuorumResponse::default())), None);
    }

    #[test]
    fn a_broker_knows_what_it_carries() {
        let view = view(1, &[1, 2], "1", false);
        let carried: Vec<_> = view.brokers.iter().map(|b| (b.leads, b.replicas, b.behind)).collect();
        assert_eq!(carried, [(1, 1, 0), (0, 1, 0), (0, 1, 1)]);
        assert_eq!(view.complaints()[0].1, "1 partition with a replica missing or behind: t-0");
    }
}
