//! Metadata in all its versions, and topics that come into being because somebody asked for them.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{DeleteTopicsRequest, MetadataRequest, MetadataResponse};
use uuid::Uuid;

use crate::support::{Client, Server, batch, code};

pub(crate) fn delete(client: &mut Client, topic: &str) {
    let state = DeleteTopicState { name: Some(topic.into()), ..Default::default() };
    let answer =
        client.ask(6, &DeleteTopicsRequest { topics: vec![state], timeout_ms: 5000, ..Default::default() });
    assert_eq!(answer.responses[0].error_code, 0);
}

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.into()), ..Default::default() }
}

fn about(topics: &[&str]) -> MetadataRequest {
    let topics = Some(topics.iter().map(|name| named(name)).collect());
    MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() }
}

/// Only from version 4 on a client can forbid that topics are created.
fn about_in(version: i16, topics: &[&str]) -> MetadataRequest {
    MetadataRequest { allow_auto_topic_creation: version < 4, ..about(topics) }
}

fn told(answer: &MetadataResponse) -> Vec<(String, i16)> {
    answer.topics.iter().map(|t| (t.name.clone().unwrap_or_default(), t.error_code)).collect()
}

#[test]
fn every_version_tells_the_same() {
    let server = Server::with("auto.create.topics.enable=false");
    let id = server.topic("t", 2, &[]);
    let mut client = server.client();
    crate::offsets::find_group(&mut client, "g");
    let port = i32::from(server.at("PLAINTEXT").port());
    for version in 0..=13 {
        let answer = client.ask(version, &about_in(version, &["t", "none", "a/b", "t"]));
        assert_eq!((answer.brokers[0].node_id, answer.brokers[0].port), (1, port), "version {version}");
        let mut topics = told(&answer);
        topics.sort();
        let invalid = code(ErrorCode::InvalidTopicException);
        assert_eq!(
            topics,
            [("a/b".into(), invalid), ("none".into(), 3), ("t".into(), 0)],
            "version {version}"
        );
        let topic = answer.topics.iter().find(|t| t.error_code == 0).unwrap();
        let partition = &topic.partitions[0];
        assert_eq!(
            (partition.leader_id, &*partition.replica_nodes, &*partition.isr_nodes),
            (1, &[1][..], &[1][..])
        );
        assert_eq!(topic.topic_id, if version >= 10 { id } else { Uuid::nil() });
        if version >= 1 {
            assert_eq!((answer.controller_id, topic.is_internal), (1, false));
        }
        if version >= 2 {
            assert_eq!(answer.cluster_id.as_deref(), Some(server.node.cluster_id()));
        }
        // All topics: an empty list at first, null later.
        let all = MetadataRequest {
            topics: if version == 0 { Some(vec![]) } else { None },
            ..about_in(version, &[])
        };
        let answer = client.ask(version, &all);
        assert_eq!(answer.topics.len(), 2, "version {version}");
        if version >= 1 {
            let internal =
                |t: &&ottla_protocol::messages::metadata_response::MetadataResponseTopic| t.is_internal;
            assert_eq!(answer.topics.iter().filter(internal).count(), 1);
            assert!(client.ask(version, &about_in(version, &[])).topics.is_empty());
        }
        // What may be done to the cluster is told from 8 to 10, to a topic from 8 on.
        if version >= 8 {
            let request = MetadataRequest {
                include_cluster_authorized_operations: version <= 10,
                include_topic_authorized_operations: true,
                ..about(&["t"])
            };
            let answer = client.ask(version, &request);
            if version <= 10 {
                assert!(answer.cluster_authorized_operations > 0);
            }
            assert!(answer.topics[0].topic_authorized_operations > 0);
            assert_eq!(client.ask(version, &about(&["t"])).topics[0].topic_authorized_operations, i32::MIN);
        }
    }
}

#[test]
fn topics_may_be_named_by_id_from_version_12_on() {
    let server = Server::start();
    let id = server.topic("t", 1, &[]);
    let mut client = server.client();
    let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
    let unknown = Uuid::from_u128(5);
    let request = MetadataRequest { topics: Some(vec![by_id(id), by_id(unknown), by_id(id)]), ..about(&[]) };
    for version in 12..=13 {
        let answer = client.ask(version, &request);
        let found: Vec<_> =
            answer.topics.iter().map(|t| (t.topic_id, t.name.as_deref(), t.error_code)).collect();
        assert_eq!(found, [(id, Some("t"), 0), (unknown, None, code(ErrorCode::UnknownTopicId))]);
    }
    for version in 10..=11 {
        let answer = client.ask(version, &request);
        assert!(answer.topics.iter().all(|t| t.error_code == code(ErrorCode::InvalidRequest)));
    }
}

#[test]
fn topics_come_into_being_when_they_are_asked_for() {
    let server = Server::with("num.partitions=3");
    let mut client = server.client();
    assert_eq!(
        told(&client.ask(9, &about(&["wanted"]))),
        [("wanted".to_owned(), 3)],
        "not unless it is allowed"
    );
    let request = MetadataRequest { allow_auto_topic_creation: true, ..about(&["wanted", "b/d"]) };
    let answer = client.ask(9, &request);
    let made = answer.topics.iter().find(|t| t.name.as_deref() == Some("wanted")).unwrap();
    assert_eq!((made.error_code, made.partitions.len()), (0, 3), "at once, with its leaders");
    assert_eq!(client.append("wanted", 2, batch(&["x"])), 0);
    // Many ask at the same time: there is one topic.
    let ids: Vec<Uuid> = std::thread::scope(|scope| {
        let ask = || {
            let request = MetadataRequest { allow_auto_topic_creation: true, ..about(&["together"]) };
            let answer = server.client().ask(12, &request);
            assert_eq!(answer.topics[0].error_code, 0);
            answer.topics[0].topic_id
        };
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|a| a.join().unwrap()).collect()
    });
    assert!(!ids[0].is_nil() && ids.iter().all(|id| *id == ids[0]));
    // Gone and made again, it is another topic, and empty.
    delete(&mut client, "wanted");
    let answer = client.ask(12, &request);
    let again = answer.topics.iter().find(|t| t.name.as_deref() == Some("wanted")).unwrap();
    assert_ne!(again.topic_id, made.topic_id);
    assert_eq!(client.append("wanted", 2, batch(&["x"])), 0);
}
