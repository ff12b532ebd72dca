//! A producer against a scripted leader: what is sent again, in which order, under which sequence.

mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottla_client::{Cluster, Producer, ProducerError, Properties, ToSend};
use ottla_protocol::messages::api_versions_response::ApiVersion;
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use ottla_protocol::messages::{
    ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataResponse, ProduceRequest,
    ProduceResponse,
};
use ottla_protocol::wire::Message;
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_records::Batch;
use parking_lot::Mutex;
use script::{frame, listen};

/// What the leader does with a request: an error code for its batch, or the end of the connection, after or before
/// the batch is written.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Code(ErrorCode),
    Loses,
    Writes,
}

/// A batch as the leader saw it: epoch, first sequence, values.
type Seen = (i16, i32, Vec<String>);

async fn leader(then: &'static [Then]) -> (Cluster, Arc<Mutex<Vec<Seen>>>) {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (port, log) = (Arc::new(AtomicU32::new(0)), seen.clone());
    let own = port.clone();
    let listening = listen(move |head, body| {
        let apis = [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::InitProducerId, ApiKey::Produce];
        match head.api {
            ApiKey::ApiVersions => {
                let api = |api: ApiKey| {
                    let (min_version, max_version) = (api.info().min_version, api.info().highest(false));
                    ApiVersion { api_key: api as i16, min_version, max_version }
                };
                let api_keys = apis.into_iter().map(api).collect();
                Some(vec![frame(head, &ApiVersionsResponse { api_keys, ..Default::default() })])
            }
            ApiKey::Metadata => {
                let partition =
                    MetadataResponsePartition { leader_id: 1, leader_epoch: 3, ..Default::default() };
                let topic = MetadataResponseTopic {
                    name: Some("t".into()),
                    topic_id: uuid::Uuid::from_u128(7),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let port = own.load(Ordering::SeqCst) as i32;
                let brokers =
                    vec![MetadataResponseBroker { node_id: 1, host: "127.0.0.1".into(), port, rack: None }];
                Some(vec![frame(
                    head,
                    &MetadataResponse { brokers, topics: vec![topic], ..Default::default() },
                )])
            }
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::decode(body, head.version).unwrap();
                assert_eq!((request.transactional_id, request.producer_id), (None, -1));
                let answer =
                    InitProducerIdResponse { producer_id: 77, producer_epoch: 0, ..Default::default() };
                Some(vec![frame(head, &answer)])
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(body, head.version).unwrap();
                let topic = &request.topic_data[0];
                assert_eq!(topic.topic_id, uuid::Uuid::from_u128(7));
                let records = topic.partition_data[0].records.as_ref().unwrap();
                let bytes = records.as_bytes().unwrap();
                let batch = Batch::parse(bytes).unwrap();
                batch.verify().unwrap();
                assert_eq!(batch.producer_id, 77);
                let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
                let values = batch.plain_records().unwrap().map(|r| text(r.unwrap().value.unwrap()));
                let mut log = log.lock();
                let what = then.get(log.len()).copied().unwrap_or(Then::Writes);
                log.push((batch.producer_epoch, batch.base_sequence, values.collect()));
                let error_code = match what {
                    Then::Loses => return None,
                    Then::Writes => 0,
                    Then::Code(code) => code.code(),
                };
                let partition =
                    PartitionProduceResponse { error_code, base_offset: 40, ..Default::default() };
                let topic = TopicProduceResponse {
                    topic_id: topic.topic_id,
                    partition_responses: vec![partition],
                    ..Default::default()
                };
                Some(vec![frame(head, &ProduceResponse { responses: vec![topic], ..Default::default() })])
            }
            _ => None,
        }
    })
    .await;
    port.store(listening.into(), Ordering::SeqCst);
    let properties = Properties::new();
    (Cluster::connect(&format!("127.0.0.1:{listening}"), &properties).await.unwrap(), seen)
}

fn quick() -> Properties {
    Properties::new().with("retry.backoff.ms", "5").with("linger.ms", "1")
}

fn record(value: &str) -> ToSend<'_> {
    ToSend { topic: "t", value: Some(value.as_bytes()), ..Default::default() }
}

#[tokio::test]
async fn a_batch_is_sent_again_under_its_sequence() {
    let lost = &[
        Then::Loses,
        Then::Code(ErrorCode::NotLeaderOrFollower),
        Then::Code(ErrorCode::DuplicateSequenceNumber),
    ];
    let (cluster, seen) = leader(lost).await;
    let producer = Producer::new(cluster, &quick()).await.unwrap();
    let first = producer.send(&record("a")).await.unwrap();
    producer.send(&record("b")).await.unwrap();
    // It was written the first time, and the broker has forgotten where.
    assert_eq!(first.await.unwrap().offset, -1);
    let next = producer.send(&record("c")).await.unwrap();
    assert_eq!(next.await.unwrap().offset, 40);
    let both = || vec!["a".to_owned(), "b".to_owned()];
    let expected = [(0, 0, both()), (0, 0, both()), (0, 0, both()), (0, 2, vec!["c".to_owned()])];
    assert_eq!(*seen.lock(), expected);
    assert_eq!(producer.stats().delivered, 3);
}

#[tokio::test]
async fn a_batch_that_is_refused_leaves_no_gap_in_the_sequences() {
    let (cluster, seen) = leader(&[Then::Writes, Then::Code(ErrorCode::InvalidRecord), Then::Writes]).await;
    let producer = Producer::new(cluster, &quick()).await.unwrap();
    producer.send(&record("a")).await.unwrap().await.unwrap();
    let error = producer.send(&record("b")).await.unwrap().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidRecord));
    producer.send(&record("c")).await.unwrap().await.unwrap();
    let sequences: Vec<(i16, i32)> =
        seen.lock().iter().map(|(epoch, sequence, _)| (*epoch, *sequence)).collect();
    assert_eq!(sequences, [(0, 0), (0, 1), (1, 0)], "a new epoch begins at 0");
}

#[tokio::test]
async fn a_broker_that_lost_count_is_followed() {
    let (cluster, seen) = leader(&[Then::Writes, Then::Code(ErrorCode::OutOfOrderSequenceNumber)]).await;
    let producer = Producer::new(cluster, &quick()).await.unwrap();
    producer.send(&record("a")).await.unwrap().await.unwrap();
    producer.send(&record("b")).await.unwrap().await.unwrap();
    let sequences: Vec<(i16, i32)> =
        seen.lock().iter().map(|(epoch, sequence, _)| (*epoch, *sequence)).collect();
    assert_eq!(sequences, [(0, 0), (0, 1), (1, 0)]);
}

#[tokio::test]
async fn time_is_over_for_a_batch_that_nobody_takes() {
    const NEVER: Then = Then::Code(ErrorCode::NotEnoughReplicas);
    let (cluster, seen) = leader(&[NEVER; 1000]).await;
    let properties = quick().with("delivery.timeout.ms", "300").with("request.timeout.ms", "200");
    let producer = Producer::new(cluster, &properties).await.unwrap();
    let error = producer.send(&record("a")).await.unwrap().await.unwrap_err();
    assert!(matches!(error, ProducerError::Expired { records: 1, .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("Expiring 1 record(s) for t-0:") && text.ends_with("Last: NOT_ENOUGH_REPLICAS"),
        "{text}"
    );
    assert!(seen.lock().len() > 2, "it was tried several times");
}

#[tokio::test]
async fn what_was_taken_is_sent_before_the_end() {
    let (cluster, seen) = leader(&[]).await;
    let properties = Properties::new().with("linger.ms", "60000").with("delivery.timeout.ms", "120000");
    let producer = Producer::new(cluster, &properties).await.unwrap();
    let sent = producer.send(&record("a")).await.unwrap();
    assert!(sent.poll_now().is_none(), "it lingers");
    producer.close(Duration::from_secs(5)).await;
    assert_eq!(sent.await.unwrap().offset, 40);
    assert_eq!(seen.lock().len(), 1);
}

#[tokio::test]
async fn records_that_cannot_be_sent_are_refused_at_once() {
    let (cluster, _) = leader(&[]).await;
    let producer = Producer::new(cluster, &quick().with("max.block.ms", "200")).await.unwrap();
    let large = "x".repeat(2 << 20);
    let error = producer.send(&record(&large)).await.unwrap_err();
    assert!(matches!(error, ProducerError::TooLarge { max: 1_048_576, .. }), "{error}");
    let error = producer.send(&ToSend { partition: Some(9), ..record("a") }).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Partition 9 of topic t with partition count 1 is not present in metadata after 200 ms."
    );
}
