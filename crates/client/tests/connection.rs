//! The connection and the peers against a small listener that answers by script.

mod script;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{
    Backoff, CallError, CloseReason, ConnectError, Connection, Options, Peer, PeerEvent, Peers,
};
use ottla_protocol::ApiKey;
use ottla_protocol::frame::RequestHead;
use ottla_protocol::messages::{
    ApiVersionsResponse, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse,
    api_versions_response::ApiVersion, fetch_response,
};
use ottla_protocol::wire::{Message, Records};
use parking_lot::Mutex;
use script::{frame, listen, serve};
use tokio::net::TcpListener;

fn versions(metadata: (i16, i16)) -> ApiVersionsResponse {
    let api = |api: ApiKey, (min_version, max_version)| ApiVersion {
        api_key: api as i16,
        min_version,
        max_version,
    };
    let api_keys =
        vec![api(ApiKey::ApiVersions, (0, 2)), api(ApiKey::Metadata, metadata), api(ApiKey::Fetch, (4, 17))];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn options() -> Options {
    Options { request_timeout: Duration::from_secs(5), ..Default::default() }
}

fn metadata(throttle_time_ms: i32) -> MetadataResponse {
    MetadataResponse { throttle_time_ms, ..Default::default() }
}

#[tokio::test]
async fn answers_out_of_order_find_their_calls() {
    let held: Mutex<Vec<Vec<u8>>> = Mutex::default();
    let port = listen(move |head, _| match head.api {
        ApiKey::ApiVersions => Some(vec![frame(head, &versions((0, 9)))]),
        _ => {
            assert_eq!(head.version, 9, "the highest version that both speak");
            let mut held = held.lock();
            held.push(frame(head, &metadata(head.correlation_id)));
            if held.len() < 3 {
                return Some(vec![]);
            }
            Some(held.drain(..).rev().collect())
        }
    })
    .await;
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    let call = || async { connection.call(&MetadataRequest::default()).await.unwrap().throttle_time_ms };
    let (a, b, c) = tokio::join!(call(), call(), call());
    assert!(a < b && b < c, "each call has its own answer: {a} {b} {c}");
}

#[tokio::test]
async fn an_old_side_is_asked_again_in_a_version_it_knows() {
    let port = listen(|head, _| {
        if head.api == ApiKey::ApiVersions && head.version > 2 {
            let mut refused = frame(&RequestHead { version: 0, ..*head }, &versions((0, 4)));
            refused[8..10].copy_from_slice(&35i16.to_be_bytes());
            return Some(vec![refused]);
        }
        assert_eq!(head.version, 2);
        Some(vec![frame(head, &versions((0, 4)))])
    })
    .await;
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    assert_eq!(connection.version_of::<MetadataRequest>().unwrap(), 4);
    assert_eq!(connection.versions().of(ApiKey::Vote), None);
    let error = connection.call_at(5, &MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error, CallError::Unsupported { theirs: Some((0, 4)), .. }), "{error}");
}

#[tokio::test]
async fn a_lost_connection_ends_every_call() {
    let port =
        listen(|head, _| (head.api == ApiKey::ApiVersions).then(|| vec![frame(head, &versions((0, 9)))]))
            .await;
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    let request = MetadataRequest::default();
    let (a, b) = tokio::join!(connection.call(&request), connection.call(&request));
    for error in [a.unwrap_err(), b.unwrap_err(), connection.call(&request).await.unwrap_err()] {
        assert!(matches!(&error, CallError::Closed(reason) if reason.is_reset()), "{error}");
    }
    assert!(connection.closed().await.is_reset());
}

#[tokio::test]
async fn a_silent_side_costs_the_deadline_and_not_the_connection() {
    let first = Mutex::new(true);
    let port = listen(move |head, _| match head.api {
        ApiKey::ApiVersions => Some(vec![frame(head, &versions((0, 9)))]),
        _ if std::mem::take(&mut *first.lock()) => Some(vec![]),
        _ => Some(vec![frame(head, &metadata(7))]),
    })
    .await;
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    let request = MetadataRequest::default();
    let soon = Duration::from_millis(50);
    assert_eq!(connection.call_within(9, &request, soon).await.unwrap_err(), CallError::Timeout(soon));
    assert_eq!(connection.call(&request).await.unwrap().throttle_time_ms, 7);
}

#[tokio::test]
async fn a_frame_that_is_too_large_is_not_taken() {
    let port = listen(|head, _| {
        if head.api == ApiKey::ApiVersions {
            return Some(vec![frame(head, &versions((0, 9)))]);
        }
        Some(vec![i32::MAX.to_be_bytes().to_vec()])
    })
    .await;
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    let error = connection.call(&MetadataRequest::default()).await.unwrap_err();
    assert_eq!(error, CallError::Closed(CloseReason::FrameLength(i32::MAX.into())));
    let small = Options { max_frame_bytes: 1000, ..options() };
    let connection = Connection::connect("127.0.0.1", port, &small).await.unwrap();
    let body = Bytes::from(vec![0; 1000]);
    let error = connection.call_raw(ApiKey::Metadata, 9, body, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, CallError::TooLarge { max: 1000, .. }), "{error}");
    assert!(!connection.is_closed());
}

/// Answers as a socket may give them: several in one piece, one in several, a byte alone, and a large one among small ones.
#[tokio::test]
async fn frames_are_cut_wherever_the_bytes_are_split() {
    const CALLS: usize = 5;
    for step in [1, 3, 4, 7, 64, 5_000, 1 << 20] {
        let held: Mutex<Vec<u8>> = Mutex::default();
        let calls = Mutex::new(0);
        let port = listen(move |head, _| {
            if head.api == ApiKey::ApiVersions {
                return Some(vec![frame(head, &versions((0, 9)))]);
            }
            let (mut held, mut calls) = (held.lock(), calls.lock());
            *calls += 1;
            // The third one is larger than the room for it, when it does not come byte by byte.
            let cluster_id = "x".repeat(if *calls == 3 && step > 7 { 30_000 } else { 3 });
            let answer = MetadataResponse { cluster_id: Some(cluster_id), ..metadata(head.correlation_id) };
            held.extend(frame(head, &answer));
            let pieces = held.chunks(step).map(<[u8]>::to_vec);
            Some(if *calls < CALLS { vec![] } else { pieces.collect() })
        })
        .await;
        let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
        let call = || async { connection.call(&MetadataRequest::default()).await.unwrap() };
        let (a, b, c, d, e) = tokio::join!(call(), call(), call(), call(), call());
        let told = [&a, &b, &c, &d, &e].map(|answer| answer.throttle_time_ms);
        assert!(told.is_sorted_by(|a, b| a < b), "each call has its own answer: {told:?}");
        let lengths = [&a, &b, &c, &d, &e].map(|answer| answer.cluster_id.as_ref().unwrap().len());
        assert_eq!(lengths, [3, 3, if step > 7 { 30_000 } else { 3 }, 3, 3], "pieces of {step}");
    }
}

#[tokio::test]
async fn fetched_records_come_whole() {
    let records: Vec<u8> = (0..3_000_000u32).map(|i| i as u8).collect();
    let sent = Bytes::from(records);
    let expected = sent.clone();
    let port = listen(move |head, body| {
        if head.api == ApiKey::ApiVersions {
            return Some(vec![frame(head, &versions((0, 9)))]);
        }
        assert_eq!(FetchRequest::decode(body, head.version).unwrap().max_wait_ms, 5);
        let partition = fetch_response::PartitionData {
            records: Some(Records::Bytes(sent.clone())),
            ..Default::default()
        };
        let topic =
            fetch_response::FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
        Some(vec![frame(head, &FetchResponse { responses: vec![topic], ..Default::default() })])
    })
    .await;
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    let request = FetchRequest { max_wait_ms: 5, ..Default::default() };
    let answer = connection.call(&request).await.unwrap();
    let got = answer.responses[0].partitions[0].records.as_ref().unwrap().as_bytes().unwrap().clone();
    assert_eq!(got, expected);
    // Raw: the same body, undecoded.
    let body = Bytes::from(request.to_vec(17).unwrap());
    let raw = connection.call_raw(ApiKey::Fetch, 17, body, Duration::from_secs(5)).await.unwrap();
    assert_eq!(FetchResponse::decode_sharing(&raw, 17).unwrap(), answer);
}

#[tokio::test]
async fn refused_silent_and_unknown_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hasty = Options { connect_timeout: Duration::from_millis(100), ..options() };
    let error = Connection::connect("127.0.0.1", port, &hasty).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }) && !error.is_refused(), "{error}");
    drop(listener);
    let error = Connection::connect("127.0.0.1", port, &hasty).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }) && error.is_refused(), "{error}");
    let error = Connection::connect("no-such-host.invalid", port, &options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unresolved { .. }), "{error}");
}

#[tokio::test]
async fn peers_share_a_connection_and_tell_when_it_breaks() {
    let accepted = Arc::new(Mutex::new(0));
    let counter = accepted.clone();
    let port = listen(move |head, _| {
        if head.api != ApiKey::ApiVersions {
            return None;
        }
        *counter.lock() += 1;
        Some(vec![frame(head, &versions((0, 9)))])
    })
    .await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backoff = Backoff { first: Duration::from_millis(40), most: Duration::from_millis(100) };
    let peers = Peers::new(
        options(),
        backoff,
        || 255,
        move |peer, event| {
            let _ = tell.send((peer.id, event.clone()));
        },
    );
    let peer = Peer { id: 3, host: "127.0.0.1".to_owned(), port };
    let (a, b) = tokio::join!(peers.connection(&peer), peers.connection(&peer));
    assert_eq!((a.is_ok(), *accepted.lock()), (true, 1), "both have the same one");
    assert!(matches!(told.recv().await, Some((3, PeerEvent::Connected))));
    b.unwrap().call(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(told.recv().await, Some((3, PeerEvent::Broken(reason))) if reason.is_reset()));
    peers.connection(&peer).await.unwrap();
    assert_eq!(*accepted.lock(), 2, "a broken one is replaced");

    let gone = Peer { id: 4, host: "127.0.0.1".to_owned(), port: 1 };
    peers.connection(&gone).await.unwrap_err();
    let failed = Instant::now();
    peers.connection(&gone).await.unwrap_err();
    assert!(failed.elapsed() >= Duration::from_millis(48), "first pause and its random part");
}

#[tokio::test]
async fn whoever_cannot_be_reached_gets_more_time() {
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (first, most) = (Duration::from_millis(10), Duration::from_millis(25));
    let options = Options { connect_timeout: first, connect_timeout_most: most, ..options() };
    let peers = Peers::new(options, Backoff::NONE, || 0, |_, _| ());
    let peer = Peer { id: 1, host: "127.0.0.1".to_owned(), port };
    for expected in [10, 20, 25, 25] {
        match peers.connection(&peer).await {
            Err(ConnectError::Timeout { after, .. }) => assert_eq!(after, Duration::from_millis(expected)),
            other => panic!("{other:?}"),
        }
    }
    peers.forget(&peer);
    let error = peers.connection(&peer).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { after, .. } if after == first), "{error}");
}

#[tokio::test]
async fn the_last_clone_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, Arc::new(|head, _| Some(vec![frame(head, &versions((0, 9)))]))).await;
    });
    let connection = Connection::connect("127.0.0.1", port, &options()).await.unwrap();
    let clone = connection.clone();
    drop(connection);
    assert!(!clone.is_closed());
    drop(clone);
    tokio::time::timeout(Duration::from_secs(5), server).await.expect("the socket is closed").unwrap();
}
