//! The figures of a node, against what was done to it.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchRequest;

use crate::fetch::{fetch, part};
use crate::producers::{numbered, producer_id};
use crate::support::{Server, batch, code};

/// Every figure under its name, with its labels as `{a="b",...}`. None is told twice.
fn figures(server: &Server) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let mut families: Vec<&str> = Vec::new();
    server.node.measure(&mut |family, labels, value| {
        if families.last() != Some(&family.name) {
            assert!(!families.contains(&family.name), "{} is told in one go", family.name);
            families.push(family.name);
        }
        let mut name = family.name.to_owned();
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        if !labels.is_empty() {
            name += &format!("{{{}}}", labels.join(","));
        }
        assert!(all.insert(name.clone(), value).is_none(), "{name} is told twice");
    });
    all
}

#[test]
fn what_goes_in_and_out_is_counted_by_topic() {
    let server = Server::start();
    server.topic("t", 2, &[]);
    server.topic("quiet", 1, &[]);
    let mut client = server.client();
    let (first, second) = (batch(&["a", "b"]), batch(&["c"]));
    let written = first.len() + second.len();
    client.append("t", 0, first);
    client.append("t", 1, second.clone());
    // One that fails for what its producer did, and one that is nobody's failure.
    let me = producer_id(&mut client);
    let third = numbered((me, 0), 0, 1);
    let written = written + third.len();
    client.append("t", 0, third);
    let stray = client.produce("t", 0, numbered((me, 0), 7, 1));
    assert_eq!(stray.error_code, code(ErrorCode::OutOfOrderSequenceNumber));
    let mut damaged = second.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce("t", 0, damaged).error_code, code(ErrorCode::CorruptMessage));
    let answer = client.ask(12, &FetchRequest { ..fetch(&[part("t", 0, 0)]) });
    let read = answer.responses[0].partitions[0].records.as_ref().unwrap().as_bytes().unwrap().len();
    assert!(read > 0 && read < written);

    let all = figures(&server);
    let of = |name: &str, topic: &str| {
        all[&format!("kafka_server_brokertopicmetrics_{name}_total{{topic=\"{topic}\"}}")]
    };
    assert_eq!((of("messagesin", "t"), of("bytesin", "t")), (4.0, written as f64));
    assert_eq!((of("bytesout", "t"), of("totalfetchrequests", "t")), (read as f64, 1.0));
    assert_eq!((of("totalproducerequests", "t"), of("failedproducerequests", "t")), (5.0, 1.0));
    assert_eq!((of("failedfetchrequests", "t"), of("bytesin", "quiet")), (0.0, 0.0));
    assert_eq!((of("replicationbytesin", "t"), of("replicationbytesout", "t")), (0.0, 0.0));
    assert_eq!(all["kafka_network_requestmetrics_requests_total{request=\"Produce\"}"], 5.0);
    assert_eq!(all["kafka_network_requestmetrics_requests_total{request=\"Fetch\"}"], 1.0);
    assert!(all["kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\"}"] >= 1.0);
}

#[test]
fn what_a_node_holds_and_leads_is_told_by_partition_and_in_sums() {
    let server = Server::start();
    server.topic("t", 2, &[]);
    server.topic("strict", 1, &[("min.insync.replicas", "2")]);
    let mut client = server.client();
    client.append("t", 1, batch(&["a", "b"]));
    let all = figures(&server);
    let sum = |name: &str| all[&format!("kafka_server_replicamanager_{name}")];
    assert_eq!(
        (sum("leadercount"), sum("partitioncount"), sum("underreplicatedpartitions")),
        (3.0, 3.0, 0.0)
    );
    // No topic needs more replicas in sync than it has.
    assert_eq!((sum("underminisrpartitioncount"), sum("atminisrpartitioncount")), (0.0, 3.0));
    assert_eq!((sum("isrshrinks_total"), sum("isrexpands_total")), (0.0, 0.0));
    let one = |name: &str, topic: &str, index: i32| {
        all[&format!("{name}{{topic=\"{topic}\",partition=\"{index}\"}}")]
    };
    assert_eq!(
        (one("kafka_log_log_logendoffset", "t", 1), one("kafka_log_log_logendoffset", "t", 0)),
        (2.0, 0.0)
    );
    assert_eq!(one("kafka_log_log_logstartoffset", "t", 1), 0.0);
    assert_eq!(one("kafka_log_log_numlogsegments", "t", 1), 1.0);
    assert!(one("kafka_log_log_size", "t", 1) > one("kafka_log_log_size", "t", 0));
    assert_eq!(one("kafka_topic_partition_current_offset", "t", 1), 2.0);
    assert_eq!(one("kafka_topic_partition_oldest_offset", "t", 1), 0.0);
    assert_eq!(one("kafka_topic_partition_leader", "t", 0), 1.0);
    assert_eq!(one("kafka_topic_partition_leader_is_preferred", "t", 0), 1.0);
    assert_eq!(
        (one("kafka_topic_partition_replicas", "t", 0), one("kafka_topic_partition_in_sync_replica", "t", 0)),
        (1.0, 1.0)
    );
    assert_eq!(one("kafka_cluster_partition_underreplicated", "t", 0), 0.0);
    for topic in ["t", "strict"] {
        assert_eq!(one("kafka_cluster_partition_underminisr", topic, 0), 0.0, "{topic}");
        assert_eq!(one("kafka_cluster_partition_atminisr", topic, 0), 1.0, "{topic}");
    }
    // The controller of this one node.
    let of = |name: &str| all[&format!("kafka_controller_kafkacontroller_{name}")];
    assert_eq!(
        (of("activecontrollercount"), of("activebrokercount"), of("fencedbrokercount")),
        (1.0, 1.0, 0.0)
    );
    assert_eq!((of("globaltopiccount"), of("globalpartitioncount")), (2.0, 3.0));
    assert_eq!((of("offlinepartitionscount"), of("preferredreplicaimbalancecount")), (0.0, 0.0));
    assert_eq!((all["kafka_brokers"], all["kafka_topic_partitions{topic=\"t\"}"]), (1.0, 2.0));
    assert_eq!(all["kafka_server_raftmetrics_current_state{state=\"leader\"}"], 1.0);
    let raft = |name: &str| all[&format!("kafka_server_raftmetrics_{name}")];
    assert_eq!((raft("current_leader"), raft("number_of_voters")), (1.0, 1.0));
    assert!(raft("current_epoch") >= 1.0);
    assert_eq!(raft("high_watermark"), raft("log_end_offset"));
    assert!(raft("high_watermark") > 0.0);
    assert_eq!(all["kafka_server_kafkaserver_brokerstate"], 3.0);
    assert_eq!(all["ottla_metrics_partitions_without_figures"], 0.0);
}

#[test]
fn a_log_directory_that_failed_is_offline_from_the_start() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("failed");
    let server = Server::with_failed_dir(&path);
    let all = figures(&server);
    assert_eq!(all["kafka_log_logmanager_offlinelogdirectorycount"], 1.0);
    let spaces: Vec<_> = all.keys().filter(|name| name.starts_with("ottla_log_directory_size")).collect();
    assert_eq!(spaces.len(), 1, "only of what is there");
    let (free, size): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|(name, _)| name.starts_with("ottla_log_directory_"))
        .partition(|(name, _)| name.contains("free"));
    assert!(*free[0].1 > 0.0 && free[0].1 < size[0].1);
    let seen = server.node.observe();
    let said = format!("the log directory {} is offline", path.display());
    assert!(seen.notices.contains(&said) && seen.obstacles.is_empty(), "{seen:?}");
    assert_eq!((seen.leader, &seen.voters[..], seen.phase as u8), (Some(1), &[1][..], 3));
    let whole = Server::start();
    assert_eq!(figures(&whole)["kafka_log_logmanager_offlinelogdirectorycount"], 0.0);
    let (address, is_controller) = whole.node.way_in().unwrap();
    assert_eq!((address, is_controller), (whole.at("PLAINTEXT"), false));
}
