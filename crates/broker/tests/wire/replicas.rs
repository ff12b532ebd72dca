//! What a leader owes its replicas and those who wait for them. The other replica is this test: a broker that registers
//! and fetches as one, and only when the test wants it to.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use ottla_metadata::features;
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, BrokerRegistrationRequest, CreateTopicsRequest, FetchRequest, FetchResponse,
    ProduceRequest,
};
use uuid::Uuid;

use crate::fetch::read;
use crate::support::{CLUSTER, Client, PATIENCE, Server, batch, produce};

/// The node of these tests leaves the replica in peace for longer than they run.
const SETTINGS: &str = "broker.session.timeout.ms=600000\nreplica.lag.time.max.ms=600000\n";

/// The second replica of one partition.
struct Follower {
    client: Client,
    epoch: i64,
    topic: Uuid,
    /// Where the node may see that somebody listens.
    _listener: TcpListener,
}

impl Follower {
    const ID: i32 = 2;

    /// Registers as a broker and makes `topic`, which the node leads and this replica follows.
    fn of(server: &Server, topic: &str) -> Follower {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut control = Client::connect(server.at("CONTROLLER"));
        let range = |(name, range): (String, features::LevelRange)| Feature {
            name,
            min_supported_version: range.min,
            max_supported_version: range.max,
        };
        let registration = BrokerRegistrationRequest {
            broker_id: Self::ID,
            cluster_id: CLUSTER.into(),
            incarnation_id: Uuid::new_v4(),
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                host: "127.0.0.1".into(),
                port: listener.local_addr().unwrap().port(),
                security_protocol: 0,
            }],
            features: features::supported().into_iter().map(range).collect(),
            rack: None,
            log_dirs: vec![Uuid::new_v4()],
            ..Default::default()
        };
        let registered = control.ask(4, &registration);
        assert_eq!(registered.error_code, 0, "{registered:?}");
        let epoch = registered.broker_epoch;
        let heartbeat = BrokerHeartbeatRequest {
            broker_id: Self::ID,
            broker_epoch: epoch,
            current_metadata_offset: epoch,
            ..Default::default()
        };
        let begun = Instant::now();
        while control.ask(1, &heartbeat).is_fenced {
            assert!(begun.elapsed() < PATIENCE, "it stays fenced");
            std::thread::sleep(Duration::from_millis(5));
        }
        let assignment = CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![1, Self::ID] };
        let topic = CreatableTopic {
            name: topic.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: vec![assignment],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let mut client = server.client();
        let created = client.ask(7, &request);
        assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0]);
        Follower { client, epoch, topic: created.topics[0].topic_id, _listener: listener }
    }

    fn ask(
        &mut self,
        offset: i64,
        (session_id, session_epoch): (i32, i32),
        max_wait_ms: i32,
    ) -> FetchResponse {
        let partition = FetchPartition {
            fetch_offset: offset,
            partition_max_bytes: 1 << 20,
            replica_directory_id: Uuid::new_v4(),
            ..Default::default()
        };
        let topic = FetchTopic { topic_id: self.topic, partitions: vec![partition], ..Default::default() };
        let request = FetchRequest {
            replica_state: ReplicaState { replica_id: Self::ID, replica_epoch: self.epoch },
            max_wait_ms,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_id,
            session_epoch,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.client.ask(17, &request);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        answer
    }

    /// What the leader has from `offset` on, which tells it that this replica has what is below; in no session.
    fn fetch(&mut self, offset: i64) -> PartitionData {
        let answer = self.ask(offset, (0, -1), 0);
        let part = answer.responses[0].partitions[0].clone();
        assert_eq!(part.error_code, 0, "{part:?}");
        part
    }
}

#[test]
fn a_produce_is_appended_while_another_waits_for_its_replicas() {
    let server = Server::with(SETTINGS);
    let mut follower = Follower::of(&server, "t");
    let mut producer = server.client();
    let sent = ["a", "b", "c"].map(|value| producer.send(11, &produce("t", 0, -1, batch(&[value]))));
    let begun = Instant::now();
    while read(&follower.fetch(0)) != ["a", "b", "c"] {
        assert!(begun.elapsed() < PATIENCE, "only {:?} is in the log", read(&follower.fetch(0)));
        std::thread::sleep(Duration::from_millis(2));
    }
    // No answer before the replica has what it is about, and then all of them, in their order.
    producer.stream.set_nonblocking(true).unwrap();
    let early = producer.stream.peek(&mut [0; 1]).expect_err("an answer before its time");
    assert_eq!(early.kind(), ErrorKind::WouldBlock);
    producer.stream.set_nonblocking(false).unwrap();
    assert_eq!(follower.fetch(3).high_watermark, 3);
    for (base_offset, sent) in sent.into_iter().enumerate() {
        let (answered, answer) = producer.receive::<ProduceRequest>(11);
        let part = &answer.responses[0].partition_responses[0];
        assert_eq!((answered, part.error_code, part.base_offset), (sent, 0, base_offset as i64));
    }
}

#[test]
fn a_replica_is_told_of_a_watermark_that_no_records_follow() {
    let server = Server::with(SETTINGS);
    let mut follower = Follower::of(&server, "t");
    let mut producer = server.client();
    producer.send(11, &produce("t", 0, -1, batch(&["a"])));
    let first = follower.ask(0, (0, 0), 60_000);
    assert_eq!(read(&first.responses[0].partitions[0]), ["a"]);
    assert_eq!(first.responses[0].partitions[0].high_watermark, 0);
    // It has the record by now. That alone is to be told, long before the minute is over.
    let second = follower.ask(1, (first.session_id, 1), 60_000);
    assert_eq!(second.responses[0].partitions[0].high_watermark, 1);
    let (_, answer) = producer.receive::<ProduceRequest>(11);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}
