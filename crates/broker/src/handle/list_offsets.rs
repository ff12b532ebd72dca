//! ListOffsets (key 2): the offset of a moment, or of one of the special moments (KIP-734, KIP-405, KIP-1005, KIP-1023).

use std::collections::HashSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::list_offsets_request::ListOffsetsPartition;
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::{ListOffsetsRequestView, ListOffsetsResponse};

use crate::dispatch::Call;
use crate::handle::find;
use crate::partition::Moment;
use crate::reply::{Outcome, Refusal};

/// The first version that tells the epoch in which a record was written (KIP-320).
const LEADER_EPOCH_FROM: i16 = 4;

/// The first version whose clients know that an offset may not be known yet (KIP-207).
const OFFSET_NOT_AVAILABLE_FROM: i16 = 5;

/// What is noted of a partition while duplicates are looked for.
const SEEN_BYTES: usize = 2 * size_of::<(&str, i32)>();

pub(crate) fn handle(call: &Call<'_>) -> Result<Outcome, Refusal> {
    let request: ListOffsetsRequestView<'_> = call.view()?;
    let read_committed = call.version() >= 2 && request.isolation_level == 1;
    let count = request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum();
    call.afford(count, size_of::<ListOffsetsPartitionResponse>() + SEEN_BYTES)?;
    // What is asked for twice in one request is refused, however often it stands there.
    let (mut seen, mut twice) = (HashSet::with_capacity(count.min(1024)), HashSet::new());
    for topic in request.topics {
        for p in topic.partitions {
            if !seen.insert((topic.name, p.partition_index)) {
                twice.insert((topic.name, p.partition_index));
            }
        }
    }
    let topics = request
        .topics
        .iter()
        .map(|topic| ListOffsetsTopicResponse {
            name: topic.name.to_owned(),
            partitions: topic
                .partitions
                .iter()
                .map(|p| {
                    let is_twice = twice.contains(&(topic.name, p.partition_index));
                    answer(call, topic.name, &p, request.replica_id, read_committed, is_twice)
                })
                .collect(),
        })
        .collect();
    call.reply(&ListOffsetsResponse { topics, ..Default::default() })
}

fn answer(
    call: &Call<'_>,
    topic: &str,
    asked: &ListOffsetsPartition,
    replica_id: i32,
    read_committed: bool,
    is_twice: bool,
) -> ListOffsetsPartitionResponse {
    let mut response = ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..Default::default()
    };
    let found = match is_twice {
        true => Err(ErrorCode::InvalidRequest),
        false => look_up(call, topic, asked, replica_id, read_committed),
    };
    match found {
        Ok(Some(found)) => {
            response.timestamp = found.timestamp_ms;
            response.offset = found.offset;
            // Older responses have no room for it.
            if call.version() >= LEADER_EPOCH_FROM {
                response.leader_epoch = found.leader_epoch;
            }
        }
        Ok(None) => {}
        // Older clients know no better reason to ask again.
        Err(ErrorCode::OffsetNotAvailable) if call.version() < OFFSET_NOT_AVAILABLE_FROM => {
            response.error_code = ErrorCode::LeaderNotAvailable.code();
        }
        Err(error) => response.error_code = error.code(),
    }
    response
}

fn look_up(
    call: &Call<'_>,
    topic: &str,
    asked: &ListOffsetsPartition,
    replica_id: i32,
    read_committed: bool,
) -> Result<Option<crate::partition::FoundOffset>, ErrorCode> {
    // Special timestamps came one by one; an older version that names a newer one asks for nothing that exists.
    let needs_version = match asked.timestamp {
        -1 | -2 => 1,
        -3 => 7,
        -4 => 8,
        -5 => 9,
        -6 => 11,
        timestamp if timestamp < -6 => i16::MAX,
        _ => 1,
    };
    if call.version() < needs_version {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let partition = find::by_name(call.node(), topic, asked.partition_index)?;
    let moment = match asked.timestamp {
        // -1 is the end: for a consumer the last offset it may read, for a broker the end of the log.
        -1 if replica_id >= 0 => Moment::LogEnd,
        -1 if read_committed => Moment::LastStable,
        -1 => Moment::HighWatermark,
        // Without tiered storage the earliest local offset is the earliest of all.
        -2 | -4 => Moment::Earliest,
        -3 => Moment::MaxTimestamp { read_committed },
        // Nothing is tiered.
        -5 => return partition.check_leader(asked.current_leader_epoch).map(|()| None),
        // Without tiered storage nothing waits to be uploaded.
        -6 => return partition.check_leader(asked.current_leader_epoch).map(|()| None),
        timestamp_ms => Moment::At { timestamp_ms, read_committed },
    };
    partition.offset_of(moment, asked.current_leader_epoch)
}
