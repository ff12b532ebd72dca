//! How many connections there may be, where, and for how long.

use std::io::Read;
use std::time::{Duration, Instant};

use ottla_protocol::messages::{FetchRequest, IncrementalAlterConfigsRequest, MetadataRequest};
use ottla_protocol::messages::{fetch_request, incremental_alter_configs_request as alter};

use crate::support::{Client, Server};

fn all() -> MetadataRequest {
    MetadataRequest { topics: None, ..Default::default() }
}

fn is_served(client: &mut Client) -> bool {
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    client.send(1, &all());
    client.stream.read_exact(&mut [0; 4]).is_ok()
}

/// Listeners for clients inside and outside, and two more limits on the latter.
const TWO: &str = "listeners=PLAINTEXT://127.0.0.1:0,OUTSIDE://127.0.0.1:0,CONTROLLER://127.0.0.1:0\n\
    inter.broker.listener.name=PLAINTEXT\n\
    listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT\n";

#[test]
fn each_listener_tells_its_own_address() {
    let server = Server::with(TWO);
    server.topic("t", 1, &[]);
    for listener in ["PLAINTEXT", "OUTSIDE"] {
        let address = server.at(listener);
        let answer = Client::connect(address).ask(9, &all());
        assert_eq!(answer.brokers.len(), 1);
        assert_eq!(answer.brokers[0].port, i32::from(address.port()), "{listener}");
        assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions[0].leader_id), (0, 1));
    }
}

#[test]
fn a_full_listener_lets_the_next_one_wait_until_one_leaves() {
    let server = Server::with(&format!("{TWO}listener.name.outside.max.connections=2\n"));
    let outside = server.at("OUTSIDE");
    let (mut one, mut two) = (Client::connect(outside), Client::connect(outside));
    assert!(is_served(&mut one) && is_served(&mut two));
    let mut three = Client::connect(outside);
    assert!(!is_served(&mut three), "there are two already");
    server.assert_serves();
    drop(one);
    three.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    three.stream.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn an_address_with_too_many_is_turned_away() {
    let server = Server::with("max.connections.per.ip=2");
    let (mut one, mut two) = (server.client(), server.client());
    assert!(is_served(&mut one) && is_served(&mut two));
    let mut three = server.client();
    assert!(three.is_closed());
    drop(one);
    let begun = Instant::now();
    // The node notices that one has left when it reads from it.
    while !is_served(&mut server.client()) {
        assert!(begun.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn connections_that_say_nothing_are_closed() {
    let server = Server::with("connections.max.idle.ms=400");
    let (mut idle, mut busy) = (server.client(), server.client());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(900) {
        busy.ask(1, &all());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(idle.is_closed());
    busy.ask(1, &all());
}

#[test]
fn visitors_give_their_places_back() {
    let server = Server::with("max.connections=30");
    for _ in 0..40 {
        // Fewer than the system's backlog holds.
        let visitors: Vec<Client> = (0..25).map(|_| server.client()).collect();
        drop(visitors);
        server.assert_serves();
    }
    let mut last: Vec<Client> = (0..25).map(|_| server.client()).collect();
    for client in &mut last {
        client.ask(1, &all());
    }
}

#[test]
fn a_lower_limit_closes_those_that_were_silent_for_longest() {
    let server = Server::with("num.network.threads=1");
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for index in [2, 0, 3, 1] {
        clients[index].ask(1, &all());
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = clients[1].ask(
        1,
        &IncrementalAlterConfigsRequest {
            resources: vec![alter::AlterConfigsResource {
                resource_type: 4,
                resource_name: String::new(),
                configs: vec![alter::AlterableConfig {
                    name: "max.connections".to_owned(),
                    config_operation: 0,
                    value: Some("2".to_owned()),
                }],
            }],
            validate_only: false,
        },
    );
    assert_eq!(answer.responses[0].error_code, 0);
    assert!(clients[2].is_closed() && clients[0].is_closed());
    assert!(is_served(&mut clients[3]) && is_served(&mut clients[1]));
}

#[test]
fn the_controller_refuses_a_fetch_that_knows_the_topic_by_its_name() {
    let server = Server::start();
    let mut client = Client::connect(server.at("CONTROLLER"));
    let request = FetchRequest {
        topics: vec![fetch_request::FetchTopic {
            topic: "__cluster_metadata".to_owned(),
            partitions: vec![fetch_request::FetchPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in 4..=12 {
        let answer = client.ask(version, &request);
        // The field came with version 7; before that there is nothing but an empty answer.
        let expected = if version >= 7 { 42 } else { 0 };
        assert_eq!((answer.error_code, answer.responses.len()), (expected, 0), "version {version}");
    }
}
