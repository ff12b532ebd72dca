//! Changes of in-sync replicas on their way to the controller and back: one AlterPartition at a time, with everything
//! that came up meanwhile in the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use ottla_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse, alter_partition_response};
use ottla_replication::leader::{Answer, Recovery, Refusal};
use tracing::{debug, info};
use uuid::Uuid;

use crate::neighbours::Proposed;
use crate::node::Node;

/// The time a request to the controller gets.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A little longer than the machine waits before it proposes again what got no answer.
const AGAIN: Duration = Duration::from_millis(60);
/// Of more partitions at a time than this there is one line in the log, not one each.
const FEW: usize = 100;
/// The shortest time between two looks at all partitions.
const LEAST: Duration = Duration::from_millis(100);

/// Brings proposals to the controller until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        let proposals = node.neighbours().proposals().await;
        let response = ask(&node, request(&node, &proposals)).await;
        let answers = match &response {
            Ok(response) => answers(response),
            Err(why) => {
                debug!("changes of in-sync replicas were not answered: {why}");
                HashMap::new()
            }
        };
        let mut again = Vec::new();
        let (is_flood, mut updated) = (proposals.len() > FEW, 0);
        for Proposed { partition, proposal } in proposals {
            let key = (partition.topic_id(), partition.index());
            let answer = answers.get(&key).cloned().unwrap_or(Answer::Refused(Refusal::Other));
            match &answer {
                Answer::Committed { .. } if is_flood => updated += 1,
                Answer::Committed { isr, partition_epoch, .. } => {
                    let end = partition.high_watermark();
                    info!(
                        "[Partition {partition:?}] ISR updated to {isr:?} and version {partition_epoch}, high watermark {end}"
                    );
                }
                Answer::Refused(refusal) => {
                    debug!("[Partition {partition:?}] the ISR stays: {refusal:?}");
                }
            }
            if let Answer::Committed { isr, .. } = &answer
                && let Some(led) = partition.figures().and_then(|figures| figures.leads)
            {
                node.note_isr(led.in_sync, isr.len());
            }
            let is_open = answer == Answer::Refused(Refusal::Other);
            partition.answered(&proposal, answer);
            if is_open {
                again.push(partition);
            }
        }
        if updated > 0 {
            info!("[Partition] ISR of {updated} partitions updated");
        }
        if !again.is_empty() {
            tokio::time::sleep(AGAIN).await;
            for partition in again {
                partition.poll_replicas();
            }
        }
    }
}

/// Looks by the clock for replicas that fell behind, until the node stops.
pub(crate) async fn watch(node: Arc<Node>) {
    let every = Duration::from_millis((node.neighbours().lag_time_max_ms() / 2).max(1) as u64).max(LEAST);
    loop {
        tokio::time::sleep(every).await;
        for partition in node.partitions().all() {
            partition.poll_replicas();
        }
    }
}

async fn ask(node: &Node, request: AlterPartitionRequest) -> Result<AlterPartitionResponse, String> {
    node.controller().ask_controller(request, TIMEOUT).await.map_err(|error| error.to_string())
}

fn request(node: &Node, proposals: &[Proposed]) -> AlterPartitionRequest {
    let mut topics: HashMap<Uuid, Vec<PartitionData>> = HashMap::new();
    for Proposed { partition, proposal } in proposals {
        let isr = &proposal.isr;
        topics.entry(partition.topic_id()).or_default().push(PartitionData {
            partition_index: partition.index(),
            leader_epoch: proposal.leader_epoch,
            // The ids alone are of versions before 3, which nobody here speaks.
            new_isr: Vec::new(),
            new_isr_with_epochs: isr
                .iter()
                .map(|member| BrokerState { broker_id: member.id, broker_epoch: member.broker_epoch })
                .collect(),
            leader_recovery_state: recovery_code(proposal.recovery),
            partition_epoch: proposal.partition_epoch,
        });
    }
    let topics = topics.into_iter().map(|(topic_id, partitions)| TopicData { topic_id, partitions });
    AlterPartitionRequest {
        broker_id: node.node_id(),
        broker_epoch: node.controller().broker_epoch(),
        topics: topics.collect(),
    }
}

fn answers(response: &AlterPartitionResponse) -> HashMap<(Uuid, i32), Answer> {
    // An error of the whole request says nothing of any partition.
    if response.error_code != 0 {
        return HashMap::new();
    }
    let answers = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|data| ((topic.topic_id, data.partition_index), answer(data)))
    });
    answers.collect()
}

fn answer(data: &alter_partition_response::PartitionData) -> Answer {
    let refusal = match ErrorCode::from_i16(data.error_code) {
        None if data.error_code == 0 => None,
        Some(ErrorCode::None) => None,
        Some(ErrorCode::OperationNotAttempted) => Some(Refusal::OperationNotAttempted),
        Some(ErrorCode::IneligibleReplica) => Some(Refusal::IneligibleReplica),
        Some(ErrorCode::UnknownTopicOrPartition) => Some(Refusal::UnknownTopicOrPartition),
        Some(ErrorCode::UnknownTopicId) => Some(Refusal::UnknownTopicId),
        Some(ErrorCode::FencedLeaderEpoch) => Some(Refusal::FencedLeaderEpoch),
        Some(ErrorCode::InvalidUpdateVersion) => Some(Refusal::InvalidUpdateVersion),
        Some(ErrorCode::InvalidRequest) => Some(Refusal::InvalidRequest),
        Some(ErrorCode::NewLeaderElected) => Some(Refusal::NewLeaderElected),
        _ => Some(Refusal::Other),
    };
    match refusal {
        Some(refusal) => Answer::Refused(refusal),
        None => Answer::Committed {
            leader_epoch: data.leader_epoch,
            partition_epoch: data.partition_epoch,
            isr: data.isr.clone(),
            recovery: match data.leader_recovery_state {
                1 => Recovery::Recovering,
                _ => Recovery::Recovered,
            },
        },
    }
}

fn recovery_code(recovery: Recovery) -> i8 {
    match recovery {
        Recovery::Recovered => 0,
        Recovery::Recovering => 1,
    }
}
