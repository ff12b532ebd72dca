//! A node's configuration file.

use crate::node::Node;
use crate::topology::{Quorum, Topology};

/// The text of `server.properties` for `node`, one of `nodes`.
pub(crate) fn text(topology: &Topology, nodes: &[Node], node: &Node) -> String {
    let brokers = topology.brokers();
    let copies = brokers.min(3);
    let in_sync = if copies > 2 { 2 } else { 1 };
    let mut lines = vec![
        format!("process.roles={}", node.role.text()),
        format!("node.id={}", node.id),
        format!("log.dirs={}", node.data().display().to_string().replace('\\', "\\\\")),
        "controller.listener.names=CONTROLLER".to_owned(),
        quorum(topology, nodes),
    ];
    let mut listeners = Vec::new();
    if let Some(port) = node.port {
        listeners.push(format!("PLAINTEXT://localhost:{port}"));
        lines.push(format!("advertised.listeners=PLAINTEXT://localhost:{port}"));
        lines.push("inter.broker.listener.name=PLAINTEXT".to_owned());
    }
    if let Some(port) = node.controller_port {
        listeners.push(format!("CONTROLLER://localhost:{port}"));
    }
    lines.push(format!("listeners={}", listeners.join(",")));
    lines.push("listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned());
    // Topics that come into being by being written to survive one node as well.
    lines.push(format!("default.replication.factor={copies}"));
    lines.push(format!("min.insync.replicas={in_sync}"));
    lines.push(format!("offsets.topic.replication.factor={copies}"));
    lines.push(format!("transaction.state.log.replication.factor={copies}"));
    lines.push(format!("transaction.state.log.min.isr={in_sync}"));
    lines.push("group.initial.rebalance.delay.ms=0".to_owned());
    for (key, value) in &topology.settings {
        lines.retain(|line| line.split('=').next() != Some(key));
        lines.push(format!("{key}={value}"));
    }
    lines.join("\n") + "\n"
}

fn quorum(topology: &Topology, nodes: &[Node]) -> String {
    let of = |show: &dyn Fn(i32, u16) -> String| {
        let all = nodes.iter().filter_map(|n| Some(show(n.id, n.controller_port?)));
        all.collect::<Vec<_>>().join(",")
    };
    match topology.quorum {
        Quorum::Static => {
            format!("controller.quorum.voters={}", of(&|id, port| format!("{id}@localhost:{port}")))
        }
        Quorum::InitialControllers | Quorum::Standalone => {
            format!("controller.quorum.bootstrap.servers={}", of(&|_, port| format!("localhost:{port}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Role;

    fn nodes() -> Vec<Node> {
        vec![
            Node::new(1, Role::Broker, Some(9092), None, "/d/node-1".into()),
            Node::new(2, Role::Controller, None, Some(9093), "/d/node-2".into()),
        ]
    }

    #[test]
    fn a_broker_names_the_voters_and_listens_for_clients_alone() {
        let nodes = nodes();
        let text = text(&Topology::split(1, 1), &nodes, &nodes[0]);
        for line in [
            "process.roles=broker",
            "node.id=1",
            "listeners=PLAINTEXT://localhost:9092",
            "controller.quorum.voters=2@localhost:9093",
            "log.dirs=/d/node-1/data",
            "min.insync.replicas=1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_controller_has_no_advertised_listener_and_settings_replace() {
        let nodes = nodes();
        let topology = Topology::split(1, 1).quorum(Quorum::Standalone).with("min.insync.replicas", "7");
        let text = text(&topology, &nodes, &nodes[1]);
        assert!(!text.contains("advertised.listeners"), "{text}");
        assert!(text.contains("controller.quorum.bootstrap.servers=localhost:9093\n"), "{text}");
        assert!(!text.contains("controller.quorum.voters"), "{text}");
        assert_eq!(text.matches("min.insync.replicas=").count(), 1, "{text}");
        assert!(text.contains("min.insync.replicas=7\n"), "{text}");
    }
}
