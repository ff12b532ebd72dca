//! Clusters of scripted listeners: ways in that fail, calls that are made again, addresses that move.

mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ottla_client::{Cluster, ClusterError, CoordinatorKind, Properties, TopicPartition};
use ottla_protocol::frame::RequestHead;
use ottla_protocol::messages::api_versions_response::ApiVersion;
use ottla_protocol::messages::create_topics_response::CreatableTopicResult;
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::describe_quorum_response::{PartitionData, TopicData};
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::{
    ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse, DescribeClusterResponse,
    DescribeQuorumRequest, DescribeQuorumResponse, FindCoordinatorResponse, HeartbeatRequest,
    HeartbeatResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};
use script::{frame, listen};

const BROKER: &[ApiKey] = &[
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::CreateTopics,
    ApiKey::DescribeCluster,
    ApiKey::DescribeQuorum,
    ApiKey::FindCoordinator,
    ApiKey::Heartbeat,
    ApiKey::InitProducerId,
];

fn versions(apis: &[ApiKey]) -> ApiVersionsResponse {
    let api = |api: &ApiKey| ApiVersion {
        api_key: *api as i16,
        min_version: api.info().min_version,
        max_version: api.info().highest(false),
    };
    ApiVersionsResponse { api_keys: apis.iter().map(api).collect(), ..Default::default() }
}

fn brokers(ports: &[u16]) -> MetadataResponse {
    let broker = |(at, port): (usize, &u16)| MetadataResponseBroker {
        node_id: at as i32 + 1,
        host: "127.0.0.1".to_owned(),
        port: i32::from(*port),
        rack: None,
    };
    MetadataResponse {
        brokers: ports.iter().enumerate().map(broker).collect(),
        cluster_id: Some("a-cluster".to_owned()),
        controller_id: 1,
        ..Default::default()
    }
}

/// A broker that knows itself alone, and answers the rest by `more`.
async fn broker(
    more: impl Fn(&RequestHead<'_>, MetadataResponse) -> Option<Vec<Vec<u8>>> + Send + Sync + 'static,
) -> u16 {
    let port = Arc::new(AtomicU32::new(0));
    let own = port.clone();
    let listening = listen(move |head, _| {
        let this = brokers(&[own.load(Ordering::SeqCst) as u16]);
        match head.api {
            ApiKey::ApiVersions => Some(vec![frame(head, &versions(BROKER))]),
            _ => more(head, this),
        }
    })
    .await;
    port.store(listening.into(), Ordering::SeqCst);
    listening
}

/// A port that nobody listens on.
async fn nobody() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn quick() -> Properties {
    Properties::new().with("retry.backoff.ms", "5").with("default.api.timeout.ms", "5000")
}

#[tokio::test]
async fn an_empty_bootstrap_ends_soon_and_names_every_address() {
    let (one, two) = (nobody().await, nobody().await);
    let list = format!("127.0.0.1:{one},no-such-host.invalid:1,localhost:{two}");
    let began = Instant::now();
    let error = Cluster::connect(&list, &quick()).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let names: Vec<&str> = error.attempts().iter().map(|(address, _)| address.as_str()).collect();
    assert_eq!(names, [&*format!("127.0.0.1:{one}"), "no-such-host.invalid:1", &*format!("localhost:{two}")]);
    assert!(error.attempts()[0].1.is_refused() && !error.attempts()[1].1.is_refused(), "{error}");
    assert_eq!(error.exception().1, "Timed out waiting for a node assignment.");
}

#[tokio::test]
async fn a_dead_address_is_told_and_costs_nothing() {
    let alive = broker(|head, this| Some(vec![frame(head, &this)])).await;
    let dead = nobody().await;
    let began = Instant::now();
    let list = format!("127.0.0.1:{dead},127.0.0.1:{alive}");
    let cluster = Cluster::connect(&list, &quick()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!((cluster.cluster_id().as_str(), cluster.controller_id()), ("a-cluster", 1));
    assert_eq!(cluster.nodes()[0].port, alive);
    let failures = cluster.bootstrap_failures();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].0, &failures[0].1), (-1, &format!("127.0.0.1:{dead}")));
    let list = format!("127.0.0.1:{alive},127.0.0.1:{dead}");
    let failures = Cluster::connect(&list, &quick()).await.unwrap().bootstrap_failures();
    assert_eq!(failures[0].0, -2, "the second of the list");
}

#[tokio::test]
async fn a_server_that_does_not_serve_yet_says_why_and_others_are_used() {
    const WHY: &str = "Waiting for controller quorum: 1 of 2 reachable, need 2";
    let waiting = broker(|head, _| {
        let answer = DescribeClusterResponse {
            error_code: ErrorCode::BrokerNotAvailable.code(),
            error_message: Some(WHY.to_owned()),
            ..Default::default()
        };
        // Everything else ends the connection.
        (head.api == ApiKey::DescribeCluster).then(|| vec![frame(head, &answer)])
    })
    .await;
    let began = Instant::now();
    let error = Cluster::connect(&format!("127.0.0.1:{waiting}"), &quick()).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(error.to_string().contains(&format!("it does not serve yet: {WHY}")), "{error}");

    let alive = broker(|head, this| Some(vec![frame(head, &this)])).await;
    let list = format!("127.0.0.1:{waiting},127.0.0.1:{alive}");
    let cluster = Cluster::connect(&list, &quick()).await.unwrap();
    assert_eq!(cluster.nodes()[0].port, alive);
}

#[tokio::test]
async fn a_controller_is_not_taken_for_a_broker_nor_the_reverse() {
    let apis = [ApiKey::ApiVersions, ApiKey::DescribeCluster];
    let controller = listen(move |head, _| match head.api {
        ApiKey::ApiVersions => Some(vec![frame(head, &versions(&apis))]),
        _ => {
            let node =
                DescribeClusterBroker { broker_id: 3000, host: "h".into(), port: 9, ..Default::default() };
            let answer = DescribeClusterResponse {
                endpoint_type: 2,
                cluster_id: "a-cluster".into(),
                controller_id: 3000,
                brokers: vec![node],
                ..Default::default()
            };
            Some(vec![frame(head, &answer)])
        }
    })
    .await;
    let address = format!("127.0.0.1:{controller}");
    let error = Cluster::connect(&address, &quick()).await.unwrap_err();
    assert!(matches!(error, ClusterError::WrongListener { is_controller: true, .. }), "{error}");
    let cluster = Cluster::connect_controllers(&address, &quick()).await.unwrap();
    assert_eq!((cluster.controller_id(), cluster.nodes()[0].id), (3000, 3000));

    let broker = broker(|head, this| Some(vec![frame(head, &this)])).await;
    let error = Cluster::connect_controllers(&format!("127.0.0.1:{broker}"), &quick()).await.unwrap_err();
    assert!(matches!(error, ClusterError::WrongListener { is_controller: false, .. }), "{error}");
}

/// What a broker says to CreateTopics the n-th time.
async fn creating(codes: &'static [i16]) -> (Cluster, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let port = broker(move |head, this| match head.api {
        ApiKey::CreateTopics => {
            let n = count.fetch_add(1, Ordering::SeqCst) as usize;
            let code = codes[n.min(codes.len() - 1)];
            if code == -999 {
                return None; // the connection ends without an answer
            }
            let topic = CreatableTopicResult { error_code: code, ..Default::default() };
            Some(vec![frame(head, &CreateTopicsResponse { topics: vec![topic], ..Default::default() })])
        }
        _ => Some(vec![frame(head, &this)]),
    })
    .await;
    (Cluster::connect(&format!("127.0.0.1:{port}"), &quick()).await.unwrap(), asked)
}

#[tokio::test]
async fn a_controller_that_moves_and_a_connection_that_breaks_are_survived() {
    let (cluster, asked) = creating(&[ErrorCode::NotController as i16, -999, 0]).await;
    let answer = cluster.controller(&CreateTopicsRequest::default()).await.unwrap();
    assert_eq!((answer.topics[0].error_code, asked.load(Ordering::SeqCst)), (0, 3));
}

#[tokio::test]
async fn a_quorum_between_two_leaders_is_asked_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let port = broker(move |head, this| match head.api {
        ApiKey::DescribeQuorum => {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let error_code = if first { ErrorCode::NotLeaderOrFollower.code() } else { 0 };
            let partitions = vec![PartitionData { error_code, leader_id: 1, ..Default::default() }];
            let topics = vec![TopicData { partitions, ..Default::default() }];
            Some(vec![frame(head, &DescribeQuorumResponse { topics, ..Default::default() })])
        }
        _ => Some(vec![frame(head, &this)]),
    })
    .await;
    let cluster = Cluster::connect(&format!("127.0.0.1:{port}"), &quick()).await.unwrap();
    let answer = cluster.controller(&DescribeQuorumRequest::default()).await.unwrap();
    assert_eq!((answer.topics[0].partitions[0].error_code, asked.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test]
async fn an_error_of_its_own_is_the_callers() {
    let (cluster, asked) = creating(&[ErrorCode::TopicAlreadyExists as i16]).await;
    let answer = cluster.controller(&CreateTopicsRequest::default()).await.unwrap();
    assert_eq!((answer.topics[0].error_code, asked.load(Ordering::SeqCst)), (36, 1));
}

#[tokio::test]
async fn attempts_end_with_the_time_and_with_kafkas_words() {
    let (cluster, asked) = creating(&[-999]).await;
    drop(cluster);
    let properties = quick().with("default.api.timeout.ms", "300");
    let port = broker(|head, this| match head.api {
        ApiKey::CreateTopics => None,
        _ => Some(vec![frame(head, &this)]),
    })
    .await;
    let cluster = Cluster::connect(&format!("127.0.0.1:{port}"), &properties).await.unwrap();
    let error = cluster.controller(&CreateTopicsRequest::default()).await.unwrap_err();
    let (class, text) = error.exception();
    assert_eq!(class, "org.apache.kafka.common.errors.TimeoutException");
    assert!(text.starts_with("Call(callName=createTopics) timed out after"), "{text}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// A coordinator that answers everything but the first request of each kind well; how many came.
async fn coordinator(first: ErrorCode) -> (Cluster, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let code = move || if count.fetch_add(1, Ordering::SeqCst) == 0 { first.code() } else { 0 };
    let port = broker(move |head, this| match head.api {
        ApiKey::FindCoordinator => {
            let port = this.brokers[0].port;
            let found = |key: &str| Coordinator {
                key: key.to_owned(),
                node_id: 1,
                host: "127.0.0.1".into(),
                port,
                ..Default::default()
            };
            let answer = FindCoordinatorResponse { coordinators: vec![found("g")], ..Default::default() };
            Some(vec![frame(head, &answer)])
        }
        ApiKey::Heartbeat => {
            Some(vec![frame(head, &HeartbeatResponse { error_code: code(), ..Default::default() })])
        }
        ApiKey::InitProducerId => {
            let answer = InitProducerIdResponse { error_code: code(), producer_id: 7, ..Default::default() };
            Some(vec![frame(head, &answer)])
        }
        _ => Some(vec![frame(head, &this)]),
    })
    .await;
    (Cluster::connect(&format!("127.0.0.1:{port}"), &quick()).await.unwrap(), asked)
}

#[tokio::test]
async fn a_coordinator_that_moves_is_looked_for_again() {
    let (cluster, asked) = coordinator(ErrorCode::NotCoordinator).await;
    let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
    let answer = cluster.coordinator(CoordinatorKind::Group, "g", &request).await.unwrap();
    assert_eq!((answer.error_code, asked.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test]
async fn a_new_producer_waits_for_the_end_of_the_old_ones_transaction() {
    let (cluster, asked) = coordinator(ErrorCode::ConcurrentTransactions).await;
    let request = InitProducerIdRequest { transactional_id: Some("g".into()), ..Default::default() };
    let answer = cluster.coordinator(CoordinatorKind::Transaction, "g", &request).await.unwrap();
    assert_eq!((answer.error_code, answer.producer_id, asked.load(Ordering::SeqCst)), (0, 7, 2));
    // To others it is an answer like any other.
    let (cluster, asked) = coordinator(ErrorCode::ConcurrentTransactions).await;
    let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
    let answer = cluster.coordinator(CoordinatorKind::Group, "g", &request).await.unwrap();
    assert_eq!(answer.error_code, ErrorCode::ConcurrentTransactions.code());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_leader_is_waited_for_and_an_unknown_partition_is_left_out() {
    let asked = AtomicU32::new(0);
    let port = broker(move |head, mut this| {
        let elected = asked.fetch_add(1, Ordering::SeqCst) >= 3;
        let partition = MetadataResponsePartition {
            partition_index: 0,
            leader_id: if elected { 1 } else { -1 },
            ..Default::default()
        };
        this.topics = vec![MetadataResponseTopic {
            name: Some("t".into()),
            partitions: vec![partition],
            ..Default::default()
        }];
        Some(vec![frame(head, &this)])
    })
    .await;
    let cluster = Cluster::connect(&format!("127.0.0.1:{port}"), &quick()).await.unwrap();
    let wanted = [TopicPartition::new("t", 0), TopicPartition::new("t", 7), TopicPartition::new("u", 0)];
    let leaders = cluster.leaders(&wanted).await.unwrap();
    assert_eq!(leaders.into_iter().collect::<Vec<_>>(), [(wanted[0].clone(), 1)]);
}
