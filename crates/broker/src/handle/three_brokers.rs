//! The metadata of a cluster with something wrong at every node, for the tests of what clients are told about it.

use ottla_metadata::{Delta, Image};
use ottla_protocol::metadata_records::register_broker_record::BrokerEndpoint;
use ottla_protocol::metadata_records::register_controller_record::ControllerEndpoint;
use ottla_protocol::metadata_records::{
    MetadataRecord, PartitionRecord, RegisterBrokerRecord, RegisterControllerRecord, TopicRecord,
};
use uuid::Uuid;

/// A directory that broker 1 has.
const ONLINE: Uuid = Uuid::from_u128(101);

/// Brokers 1 (alive, in rack r1), 2 (fenced) and 3 (alive, without the listener INSIDE), controllers 4 and 5 of which
/// only 4 listens as CONTROLLER; a topic with partitions that are led by 1, 2, 3 and nobody, each with all replicas.
pub(super) fn image(topic: &str) -> Image {
    let mut delta = Delta::default();
    for (broker_id, fenced, listeners) in
        [(1, false, &["PLAIN", "INSIDE"][..]), (2, true, &["PLAIN", "INSIDE"]), (3, false, &["PLAIN"])]
    {
        let end_points = listeners.iter().zip(9000..).map(|(name, port)| BrokerEndpoint {
            name: (*name).to_owned(),
            host: format!("host{broker_id}"),
            port,
            ..Default::default()
        });
        let broker = RegisterBrokerRecord {
            broker_id,
            fenced,
            end_points: end_points.collect(),
            rack: (broker_id == 1).then(|| "r1".to_owned()),
            log_dirs: vec![ONLINE],
            ..Default::default()
        };
        delta.replay(&MetadataRecord::from(broker)).unwrap();
    }
    for (controller_id, name) in [(4, "CONTROLLER"), (5, "OTHER")] {
        let endpoint = ControllerEndpoint {
            name: name.to_owned(),
            host: format!("host{controller_id}"),
            port: 9093,
            ..Default::default()
        };
        let controller =
            RegisterControllerRecord { controller_id, end_points: vec![endpoint], ..Default::default() };
        delta.replay(&MetadataRecord::from(controller)).unwrap();
    }
    let topic_id = Uuid::from_u128(9);
    let topic = TopicRecord { name: topic.to_owned(), topic_id };
    delta.replay(&MetadataRecord::from(topic)).unwrap();
    for (partition_id, leader) in [(0, 1), (1, 2), (2, 3), (3, -1)] {
        let partition = PartitionRecord {
            partition_id,
            topic_id,
            replicas: vec![1, 2, 3],
            isr: vec![1, 3],
            leader,
            leader_epoch: 5,
            directories: vec![ONLINE; 3],
            ..Default::default()
        };
        delta.replay(&MetadataRecord::from(partition)).unwrap();
    }
    delta.after().clone()
}
