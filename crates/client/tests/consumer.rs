//! A consumer against a scripted broker that leads a topic and coordinates a group.

mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottla_client::{Cluster, Consumer, Polled, Properties, Seen, Start, TopicPartition};
use ottla_protocol::messages::api_versions_response::ApiVersion;
use ottla_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::join_group_response::JoinGroupResponseMember;
use ottla_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_protocol::messages::*;
use ottla_protocol::wire::{Message, Records};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_records::{BatchBuilder, NewRecord};
use parking_lot::Mutex;
use script::{frame, listen};

/// The log begins here and has ten records.
const BEGIN: i64 = 100;
const END: i64 = 110;

#[derive(Default)]
struct Told {
    joins: u32,
    beats: u32,
    commits: Vec<(i32, i64)>,
    left: bool,
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new(BEGIN);
    for offset in BEGIN..END {
        builder.append(&NewRecord::new(1, None, Some(offset.to_string().as_bytes())));
    }
    builder.build()
}

async fn broker() -> (Cluster, Arc<Mutex<Told>>) {
    use ApiKey::*;
    let apis = [
        ApiVersions,
        Metadata,
        Fetch,
        ListOffsets,
        FindCoordinator,
        JoinGroup,
        SyncGroup,
        Heartbeat,
        OffsetFetch,
        OffsetCommit,
        LeaveGroup,
    ];
    let (port, told) = (Arc::new(AtomicU32::new(0)), Arc::<Mutex<Told>>::default());
    let (own, log) = (port.clone(), told.clone());
    let id = uuid::Uuid::from_u128(7);
    let listening = listen(move |head, body| {
        let mut told = log.lock();
        let port = own.load(Ordering::SeqCst) as i32;
        let v = head.version;
        Some(vec![match head.api {
            ApiVersions => {
                let api = |api: ApiKey| {
                    let (min_version, max_version) = (api.info().min_version, api.info().highest(false));
                    ApiVersion { api_key: api as i16, min_version, max_version }
                };
                let api_keys = apis.into_iter().map(api).collect();
                frame(head, &ApiVersionsResponse { api_keys, ..Default::default() })
            }
            Metadata => {
                let partition =
                    MetadataResponsePartition { leader_id: 1, leader_epoch: 3, ..Default::default() };
                let topic = MetadataResponseTopic {
                    name: Some("t".into()),
                    topic_id: id,
                    partitions: vec![partition],
                    ..Default::default()
                };
                let broker =
                    MetadataResponseBroker { node_id: 1, host: "127.0.0.1".into(), port, rack: None };
                let (brokers, topics) = (vec![broker], vec![topic]);
                frame(head, &MetadataResponse { brokers, topics, ..Default::default() })
            }
            ListOffsets => {
                let request = ListOffsetsRequest::decode(body, v).unwrap();
                let latest = request.topics[0].partitions[0].timestamp == -1;
                let offset = if latest { END } else { BEGIN };
                let partition = ListOffsetsPartitionResponse { offset, ..Default::default() };
                let topic = ListOffsetsTopicResponse { name: "t".into(), partitions: vec![partition] };
                frame(head, &ListOffsetsResponse { topics: vec![topic], ..Default::default() })
            }
            Fetch => {
                let request = FetchRequest::decode(body, v).unwrap();
                let mut data = PartitionData::default();
                match request.topics.first().map(|topic| topic.partitions[0].fetch_offset) {
                    Some(BEGIN..END) => data.records = Some(Records::Bytes(batch().into())),
                    Some(END) | None => {}
                    Some(_) => data.error_code = ErrorCode::OffsetOutOfRange.code(),
                }
                if data.records.is_none() && data.error_code == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                }
                let topic =
                    FetchableTopicResponse { topic_id: id, partitions: vec![data], ..Default::default() };
                frame(head, &FetchResponse { responses: vec![topic], ..Default::default() })
            }
            FindCoordinator => {
                let coordinator = Coordinator {
                    key: "g".into(),
                    node_id: 1,
                    host: "127.0.0.1".into(),
                    port,
                    ..Default::default()
                };
                frame(
                    head,
                    &FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() },
                )
            }
            JoinGroup => {
                let request = JoinGroupRequest::decode(body, v).unwrap();
                let member_id = "m-1".to_owned();
                if request.member_id.is_empty() {
                    let error_code = ErrorCode::MemberIdRequired.code();
                    frame(head, &JoinGroupResponse { error_code, member_id, ..Default::default() })
                } else {
                    told.joins += 1;
                    let protocol = &request.protocols[0];
                    let member = JoinGroupResponseMember {
                        member_id: member_id.clone(),
                        metadata: protocol.metadata.clone(),
                        ..Default::default()
                    };
                    let answer = JoinGroupResponse {
                        generation_id: told.joins as i32,
                        protocol_type: Some("consumer".into()),
                        protocol_name: Some(protocol.name.clone()),
                        leader: member_id.clone(),
                        member_id,
                        members: vec![member],
                        ..Default::default()
                    };
                    frame(head, &answer)
                }
            }
            SyncGroup => {
                let request = SyncGroupRequest::decode(body, v).unwrap();
                let assignment = request.assignments[0].assignment.clone();
                frame(head, &SyncGroupResponse { assignment, ..Default::default() })
            }
            Heartbeat => {
                told.beats += 1;
                let code = if told.beats == 2 { ErrorCode::RebalanceInProgress } else { ErrorCode::None };
                frame(head, &HeartbeatResponse { error_code: code.code(), ..Default::default() })
            }
            OffsetFetch => {
                let partition = OffsetFetchResponsePartitions { committed_offset: 105, ..Default::default() };
                let topic = OffsetFetchResponseTopics {
                    name: "t".into(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let group = OffsetFetchResponseGroup {
                    group_id: "g".into(),
                    topics: vec![topic],
                    ..Default::default()
                };
                frame(head, &OffsetFetchResponse { groups: vec![group], ..Default::default() })
            }
            OffsetCommit => {
                let request = OffsetCommitRequest::decode(body, v).unwrap();
                let offset = request.topics[0].partitions[0].committed_offset;
                told.commits.push((request.generation_id_or_member_epoch, offset));
                frame(head, &OffsetCommitResponse::default())
            }
            LeaveGroup => {
                told.left = true;
                frame(head, &LeaveGroupResponse::default())
            }
            _ => return None,
        }])
    })
    .await;
    port.store(listening.into(), Ordering::SeqCst);
    (Cluster::connect(&format!("127.0.0.1:{listening}"), &Properties::new()).await.unwrap(), told)
}

/// Polls until there are records; their offsets.
async fn offsets(consumer: &mut Consumer) -> Vec<i64> {
    loop {
        if let Polled::Records(mut fetched) = consumer.poll(Duration::from_secs(5)).await.unwrap() {
            let mut offsets = Vec::new();
            let end = fetched.for_each(|record| {
                assert_eq!(record.record.value, Some(record.record.offset.to_string().as_bytes()));
                offsets.push(record.record.offset);
                Ok::<(), ()>(())
            });
            end.unwrap().unwrap();
            return offsets;
        }
    }
}

#[tokio::test]
async fn an_assigned_partition_is_read_sought_and_reset() {
    let (cluster, _) = broker().await;
    let properties = Properties::new().with("auto.offset.reset", "earliest");
    let mut consumer = Consumer::new(cluster, &properties).unwrap();
    let partition = TopicPartition::new("t", 0);
    consumer.assign(vec![(partition.clone(), Start::Earliest)]).await.unwrap();
    assert_eq!(offsets(&mut consumer).await, (BEGIN..END).collect::<Vec<_>>());
    assert_eq!(consumer.position(&partition), Some(END));
    consumer.seek(&partition, Start::Offset(107)).unwrap();
    assert_eq!(offsets(&mut consumer).await, [107, 108, 109]);
    // An offset that is not there any more: the beginning, as the configuration says.
    consumer.seek(&partition, Start::Offset(3)).unwrap();
    assert_eq!(offsets(&mut consumer).await[0], BEGIN);
    assert!(matches!(consumer.poll(Duration::from_millis(50)).await.unwrap(), Polled::Idle));
    let ends = consumer.end_offsets(std::slice::from_ref(&partition)).await.unwrap();
    assert_eq!(ends[&partition], END);
}

#[tokio::test]
async fn what_was_not_looked_at_is_not_committed_and_comes_again() {
    let (cluster, told) = broker().await;
    let mut consumer = Consumer::new(cluster, &Properties::new().with("group.id", "g")).unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let mut fetched = loop {
        if let Polled::Records(fetched) = consumer.poll(Duration::from_secs(5)).await.unwrap() {
            break fetched;
        }
    };
    let mut seen = Seen::default();
    let end = fetched.for_each(|record| {
        seen.note(record);
        if record.record.offset == 106 { Err(()) } else { Ok(()) }
    });
    assert_eq!(end.unwrap(), Err(()), "in the middle of five");
    consumer.give_back(&fetched, &seen).unwrap();
    consumer.commit().await.unwrap();
    assert_eq!(told.lock().commits, [(1, 107)]);
    assert_eq!(offsets(&mut consumer).await, [107, 108, 109]);
    // Nothing of it was looked at.
    consumer.give_back(&fetched, &Seen::default()).unwrap();
    assert_eq!(consumer.position(&TopicPartition::new("t", 0)), Some(105));
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn a_member_joins_reads_from_its_offset_rebalances_and_leaves() {
    let (cluster, told) = broker().await;
    let properties = Properties::new().with("group.id", "g").with("heartbeat.interval.ms", "50");
    let mut consumer = Consumer::new(cluster, &properties).unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let partition = || vec![TopicPartition::new("t", 0)];
    match consumer.poll(Duration::from_secs(5)).await.unwrap() {
        Polled::Assigned(partitions) => assert_eq!(partitions, partition()),
        other => panic!("{other:?}"),
    }
    assert_eq!((consumer.member_id(), consumer.generation()), ("m-1", 1));
    assert_eq!(offsets(&mut consumer).await, [105, 106, 107, 108, 109]);
    // The second heartbeat asks for a rebalance: what was read is committed, then everything is given up.
    let revoked = loop {
        match consumer.poll(Duration::from_secs(5)).await.unwrap() {
            Polled::Revoked(partitions) => break partitions,
            Polled::Idle => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(revoked, partition());
    assert_eq!(told.lock().commits, [(1, END)]);
    assert!(matches!(consumer.poll(Duration::from_secs(5)).await.unwrap(), Polled::Assigned(_)));
    assert_eq!(consumer.generation(), 2);
    assert_eq!(offsets(&mut consumer).await[0], 105);
    consumer.close().await.unwrap();
    let told = told.lock();
    assert_eq!((told.joins, told.left, told.commits.last()), (2, true, Some(&(2, END))));
}
