//! DescribeQuorum (key 55): the voters and observers of the metadata log as its leader sees them.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_quorum_response::{
    Listener, Node as Voter, PartitionData, ReplicaState, TopicData,
};
use ottla_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use ottla_raft::message::{DescribeResponse, ReplicaInfo};
use ottla_raft::{Request, Response};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::controller_host;
use crate::dispatch::Call;
use crate::reply::{Outcome, Refusal};

/// The one topic that has a quorum.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";
/// The first version that names directories, and says where the voters are.
const DIRECTORIES_AND_NODES_FROM: i16 = 2;

pub(crate) fn describe(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: DescribeQuorumRequest = call.owned()?;
    if !asks_for_metadata(&request) {
        return call.reply(&unknown_partitions(request));
    }
    if let Some(why) = controller_host::verdict() {
        let (code, message) = (why.code().code(), Some(why.to_string()));
        return call.reply(&DescribeQuorumResponse {
            error_code: code,
            error_message: message,
            ..Default::default()
        });
    }
    let (sender, receiver) = oneshot::channel();
    let quorum = call.node().controller().quorum();
    // The client may have left.
    quorum.request(&call.peer.listener_name, Request::DescribeQuorum, move |answer| _ = sender.send(answer));
    let (to, version) = (call.reply_to(), call.version());
    Ok(Outcome::Later(Box::pin(async move { to.with(&body(receiver.await.ok(), version)) })))
}

fn asks_for_metadata(request: &DescribeQuorumRequest) -> bool {
    match &request.topics[..] {
        [topic] if topic.topic_name == METADATA_TOPIC => {
            matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
        }
        _ => false,
    }
}

fn unknown_partitions(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| TopicData {
        topic_name: topic.topic_name,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| failed(partition.partition_index, ErrorCode::UnknownTopicOrPartition.code()))
            .collect(),
    });
    DescribeQuorumResponse { topics: topics.collect(), ..Default::default() }
}

fn failed(partition_index: i32, error_code: i16) -> PartitionData {
    PartitionData { partition_index, error_code, ..Default::default() }
}

fn body(answer: Option<Response>, version: i16) -> DescribeQuorumResponse {
    match answer {
        Some(Response::DescribeQuorum(report)) => told(&report, version),
        Some(Response::Refused(fault)) => {
            DescribeQuorumResponse { error_code: fault.code(), ..Default::default() }
        }
        // The quorum has stopped.
        _ => DescribeQuorumResponse {
            error_code: ErrorCode::UnknownServerError.code(),
            error_message: Some("The metadata quorum has stopped.".to_owned()),
            ..Default::default()
        },
    }
}

fn told(report: &DescribeResponse, version: i16) -> DescribeQuorumResponse {
    let known = version >= DIRECTORIES_AND_NODES_FROM;
    let replica = |info: &ReplicaInfo| replica(info, known);
    let partition = if report.error == ottla_raft::Fault::None {
        PartitionData {
            leader_id: report.leader.id.unwrap_or(-1),
            leader_epoch: report.leader.epoch,
            high_watermark: report.high_watermark,
            current_voters: report.voters.iter().map(replica).collect(),
            observers: report.observers.iter().map(replica).collect(),
            ..failed(0, 0)
        }
    } else {
        failed(0, report.error.code())
    };
    let nodes = report.voters.iter().filter(|_| known).map(|voter| Voter {
        node_id: voter.key.id,
        listeners: voter
            .endpoints
            .iter()
            .map(|(name, at)| Listener { name: name.to_owned(), host: at.host.clone(), port: at.port })
            .collect(),
    });
    let nodes = nodes.collect();
    let topics = vec![TopicData { topic_name: METADATA_TOPIC.to_owned(), partitions: vec![partition] }];
    DescribeQuorumResponse { topics, nodes, ..Default::default() }
}

fn replica(info: &ReplicaInfo, with_directory: bool) -> ReplicaState {
    ReplicaState {
        replica_id: info.key.id,
        replica_directory_id: if with_directory { info.key.directory_or_nil() } else { Uuid::nil() },
        log_end_offset: info.end_offset,
        last_fetch_timestamp: info.last_fetch.unwrap_or(-1),
        last_caught_up_timestamp: info.last_caught_up.unwrap_or(-1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::describe_quorum_request as asked;
    use ottla_protocol::wire::Message;
    use ottla_raft::message::Leader;
    use ottla_raft::{Endpoints, Fault, HostPort, ReplicaKey};
    fn request(topic: &str, partitions: &[i32]) -> DescribeQuorumRequest {
        let partitions =
            partitions.iter().map(|&partition_index| asked::PartitionData { partition_index }).collect();
        DescribeQuorumRequest { topics: vec![asked::TopicData { topic_name: topic.to_owned(), partitions }] }
    }

    #[test]
    fn only_the_metadata_partition_has_a_quorum() {
        assert!(asks_for_metadata(&request(METADATA_TOPIC, &[0])));
        for other in [request(METADATA_TOPIC, &[1]), request(METADATA_TOPIC, &[0, 0]), request("t", &[0])] {
            assert!(!asks_for_metadata(&other), "{other:?}");
        }
        let answer = unknown_partitions(request("t", &[4]));
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.partition_index, partition.error_code), (4, 3));
    }

    #[test]
    fn a_report_becomes_an_answer() {
        let report = DescribeResponse {
            error: Fault::None,
            leader: Leader { id: Some(1), epoch: 4, at: None },
            high_watermark: 99,
            voters: vec![ReplicaInfo {
                key: ReplicaKey::new(1, Uuid::from_u128(5)),
                end_offset: 100,
                last_fetch: Some(7),
                last_caught_up: None,
                endpoints: Endpoints::single("CONTROLLER", HostPort::new("h", 9093)),
            }],
            observers: Vec::new(),
            now: 7,
        };
        let answer = body(Some(Response::DescribeQuorum(report.clone())), 2);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.leader_id, partition.leader_epoch, partition.high_watermark), (1, 4, 99));
        let voter = &partition.current_voters[0];
        assert_eq!(
            (voter.log_end_offset, voter.last_fetch_timestamp, voter.last_caught_up_timestamp),
            (100, 7, -1)
        );
        assert_eq!((answer.nodes[0].node_id, answer.nodes[0].listeners[0].port), (1, 9093));
        for version in 0..=2 {
            let answer = body(Some(Response::DescribeQuorum(report.clone())), version);
            assert!(answer.to_vec(version).is_ok(), "version {version}");
        }
        let lost = DescribeResponse { error: Fault::NotLeaderOrFollower, voters: Vec::new(), ..report };
        assert_eq!(body(Some(Response::DescribeQuorum(lost)), 2).topics[0].partitions[0].error_code, 6);
        assert_eq!(body(None, 2).error_code, -1);
    }
}
