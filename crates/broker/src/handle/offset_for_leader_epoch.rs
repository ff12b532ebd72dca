//! OffsetForLeaderEpoch (key 23): where a leader's epoch ended, so that a reader can tell whether its log diverged (KIP-101, KIP-279).

use ottla_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use ottla_protocol::messages::{OffsetForLeaderEpochRequestView, OffsetForLeaderEpochResponse};

use crate::dispatch::Call;
use crate::handle::find;
use crate::reply::{Outcome, Refusal};

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: OffsetForLeaderEpochRequestView<'_> = call.view()?;
    let count = request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum();
    call.afford(count, size_of::<EpochEndOffset>() + size_of::<OffsetForLeaderTopicResult>())?;
    let topics = request
        .topics
        .iter()
        .map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.to_owned(),
            partitions: topic
                .partitions
                .iter()
                .map(|asked| {
                    let found = find::by_name(call.node(), topic.topic, asked.partition)
                        .and_then(|p| p.epoch_end(asked.leader_epoch, asked.current_leader_epoch));
                    let partition = asked.partition;
                    match found {
                        Ok((leader_epoch, end_offset)) => {
                            EpochEndOffset { partition, leader_epoch, end_offset, ..Default::default() }
                        }
                        Err(error) => {
                            EpochEndOffset { partition, error_code: error.code(), ..Default::default() }
                        }
                    }
                })
                .collect(),
        })
        .collect();
    call.reply(&OffsetForLeaderEpochResponse { topics, ..Default::default() })
}
