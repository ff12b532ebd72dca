//! OffsetFetch across its versions: one group per request up to version 7, many from 8 on.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

/// The first version that asks for several groups at once.
const BATCHED_FROM: i16 = 8;
/// The first version with an error for the whole group, and with "all topics".
const GROUP_ERROR_FROM: i16 = 2;

/// What a request of `api_version` asks for, group by group.
///
/// With version 1, which cannot ask for all topics, a null list would be a list without topics; the decoder
/// does not let it through.
pub fn groups(request: OffsetFetchRequest, api_version: i16) -> Vec<OffsetFetchRequestGroup> {
    if api_version >= BATCHED_FROM {
        return request.groups;
    }
    let topics = request.topics.map(|topics| {
        let topic = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..Default::default()
        });
        topic.collect()
    });
    vec![OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }]
}

/// Puts the answers of the groups together, in the order of [`groups`].
///
/// Panics if there is not exactly one group below version 8.
pub fn response(mut groups: Vec<OffsetFetchResponseGroup>, api_version: i16) -> OffsetFetchResponse {
    if api_version >= BATCHED_FROM {
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    assert_eq!(groups.len(), 1, "GROUPS-17 OffsetFetch version {api_version} has one group");
    let group = groups.remove(0);
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata,
                error_code: partition.error_code,
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error_code, ..Default::default() }
}

/// The answer for a group that fails as a whole; version 1 has only the partitions to say so.
pub fn group_error(
    group: &OffsetFetchRequestGroup,
    error: ErrorCode,
    api_version: i16,
) -> OffsetFetchResponseGroup {
    let group_id = group.group_id.clone();
    if api_version >= GROUP_ERROR_FROM {
        return OffsetFetchResponseGroup { group_id, error_code: error.code(), ..Default::default() };
    }
    let topics = group.topics.iter().flatten().map(|topic| topic_error(topic, error));
    OffsetFetchResponseGroup { group_id, topics: topics.collect(), ..Default::default() }
}

/// The answer for a topic whose every partition fails the same way.
pub fn topic_error(topic: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(|index| nothing(*index, error)).collect(),
    }
}

/// The answer for a partition without an offset to give.
pub(crate) fn nothing(partition_index: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: error.code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
    use ottla_protocol::wire::Message;

    fn asked() -> OffsetFetchRequestTopics {
        OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0, 4], ..Default::default() }
    }

    #[test]
    fn old_versions_ask_for_one_group_and_get_one() {
        let topics = vec![OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0, 4] }];
        let request = OffsetFetchRequest { group_id: "g".into(), topics: Some(topics), ..Default::default() };
        let wanted = groups(request, 7);
        assert_eq!(wanted.len(), 1);
        assert_eq!((&*wanted[0].group_id, &wanted[0].topics), ("g", &Some(vec![asked()])));

        let answer = OffsetFetchResponseGroup {
            group_id: "g".into(),
            topics: vec![topic_error(&asked(), ErrorCode::None)],
            error_code: 0,
        };
        for version in 1..=7 {
            let response = response(vec![answer.clone()], version);
            assert_eq!(response.topics[0].partitions[1].partition_index, 4);
            response.to_vec(version).unwrap();
        }
        let all = OffsetFetchRequest { group_id: "g".into(), topics: None, ..Default::default() };
        assert_eq!(groups(all, 2)[0].topics, None);
    }

    #[test]
    fn a_group_error_stands_where_the_version_has_room_for_it() {
        let group = OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: Some(vec![asked()]),
            ..Default::default()
        };
        let old = group_error(&group, ErrorCode::NotCoordinator, 1);
        assert_eq!(old.error_code, 0);
        assert!(old.topics[0].partitions.iter().all(|p| p.error_code == 16 && p.committed_offset == -1));
        let new = group_error(&group, ErrorCode::NotCoordinator, 2);
        assert_eq!((new.error_code, new.topics.len()), (16, 0));
        assert_eq!(response(vec![new.clone()], 7).error_code, 16);
        assert_eq!(response(vec![new], 8).groups[0].error_code, 16);
    }
}
