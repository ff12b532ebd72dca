//! `ottla config init`: the files of a whole cluster that agree with each other, and how to format its nodes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use ottla_config::NodeConfig;
use ottla_records::uuid_text;
use uuid::Uuid;

use super::Init;

/// Between the ports of two nodes on one host.
const STEP: u16 = 10;

/// One node of the cluster to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    id: i32,
    host: String,
    broker: bool,
    controller: bool,
    port: u16,
    controller_port: u16,
    data: String,
    /// The controller's directory id, which dynamic voters are known by.
    directory: Uuid,
}

impl Node {
    fn file(&self) -> String {
        format!("server-{}.properties", self.id)
    }

    fn voter(&self) -> String {
        format!("{}@{}:{}", self.id, self.host, self.controller_port)
    }
}

pub(super) fn run(wanted: &Init) -> Result<ExitCode, String> {
    let cluster_id = match &wanted.cluster_id {
        Some(text) => uuid_text::decode(text).map(|_| text.clone()).map_err(|_| {
            format!("--cluster-id {text}: not a cluster id\n    next: ottla kafka-storage random-uuid")
        })?,
        None => uuid_text::encode(&uuid_text::random()),
    };
    let nodes = plan(wanted)?;
    std::fs::create_dir_all(&wanted.dir).map_err(|error| format!("{}: {error}", wanted.dir.display()))?;
    let paths: Vec<_> = nodes.iter().map(|node| wanted.dir.join(node.file())).collect();
    if let Some(there) = paths.iter().find(|path| path.exists() && !wanted.force) {
        return Err(format!(
            "{} is there already; nothing was written\n    next: give another --dir, or --force to write over it",
            there.display()
        ));
    }
    for (node, path) in nodes.iter().zip(&paths) {
        let text = properties(node, &nodes, wanted.fixed);
        let shown = path.display().to_string();
        NodeConfig::load(&shown, text.as_bytes(), &[]).map_err(|problems| problems.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("{shown}: {error}"))?;
        println!("wrote {shown}");
    }
    print!("{}", next(&nodes, &cluster_id, wanted));
    let voters = nodes.iter().filter(|node| node.controller).count();
    if voters > 1 && voters % 2 == 0 {
        eprintln!(
            "warning: {voters} voters survive no more failures than {}; use an odd number of controllers (2 brokers and 1 \
             controller on a third machine, or 3 of both)",
            voters - 1
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Ids, ports and directories: combined nodes and brokers from 1 on, controllers of their own after them.
fn plan(wanted: &Init) -> Result<Vec<Node>, String> {
    let mut on_host: BTreeMap<String, u16> = BTreeMap::new();
    let combined = wanted.controllers.is_empty();
    let mut nodes = Vec::new();
    let hosts = wanted
        .nodes
        .iter()
        .map(|host| (host, true))
        .chain(wanted.controllers.iter().map(|host| (host, false)));
    for (host, broker) in hosts {
        let host = host.trim();
        if host.is_empty() || host.contains(['/', '@', ' ']) || (host.contains(':') && !host.starts_with('['))
        {
            return Err(format!(
                "'{host}' is no host name or address\n    next: give hosts alone, as in --nodes kafka1,kafka2,kafka3 (ports: --port)"
            ));
        }
        let number = on_host.entry(host.to_owned()).or_default();
        let port = wanted.port.checked_add(*number * STEP).filter(|port| *port < u16::MAX);
        *number += 1;
        let port =
            port.ok_or_else(|| format!("too many nodes on {host} for ports from {} on", wanted.port))?;
        let id = i32::try_from(nodes.len()).expect("few") + 1;
        nodes.push(Node {
            id,
            host: host.to_owned(),
            broker,
            controller: combined || !broker,
            port,
            controller_port: port + 1,
            data: String::new(),
            directory: uuid_text::random(),
        });
    }
    // All on this machine: data beside the files, so that it can be tried as any user.
    let here = on_host.keys().all(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]"));
    let root = match &wanted.data_dir {
        Some(dir) => dir.trim_end_matches('/').to_owned(),
        None if here => std::path::absolute(&wanted.dir)
            .map_err(|error| error.to_string())?
            .join("data")
            .display()
            .to_string(),
        None => "/var/lib/ottla".to_owned(),
    };
    for node in &mut nodes {
        node.data = format!("{root}/node-{}", node.id);
    }
    Ok(nodes)
}

fn properties(node: &Node, nodes: &[Node], fixed: bool) -> String {
    let controllers: Vec<&Node> = nodes.iter().filter(|node| node.controller).collect();
    let brokers = nodes.iter().filter(|node| node.broker).count();
    let replicas = brokers.min(3);
    let in_sync = if replicas == 3 { 2 } else { 1 };
    let mut text = String::new();
    let mut put = |comment: &str, lines: &[(&str, String)]| {
        let _ = writeln!(text, "{}# {comment}", if text.is_empty() { "" } else { "\n" });
        for (key, value) in lines {
            let _ = writeln!(text, "{key}={value}");
        }
    };
    let roles = match (node.broker, node.controller) {
        (true, true) => "broker,controller",
        (true, false) => "broker",
        (false, _) => "controller",
    };
    put(
        &format!("Node {} of {}.", node.id, nodes.len()),
        &[("process.roles", roles.to_owned()), ("node.id", node.id.to_string())],
    );
    let quorum = if fixed {
        let voters: Vec<String> = controllers.iter().map(|node| node.voter()).collect();
        ("controller.quorum.voters", voters.join(","))
    } else {
        let servers: Vec<String> =
            controllers.iter().map(|node| format!("{}:{}", node.host, node.controller_port)).collect();
        ("controller.quorum.bootstrap.servers", servers.join(","))
    };
    put("The controllers; the same line on every node.", &[quorum]);
    let (mut listeners, mut advertised) = (Vec::new(), Vec::new());
    if node.broker {
        listeners.push(format!("PLAINTEXT://:{}", node.port));
        advertised.push(format!("PLAINTEXT://{}:{}", node.host, node.port));
    }
    if node.controller {
        listeners.push(format!("CONTROLLER://:{}", node.controller_port));
        advertised.push(format!("CONTROLLER://{}:{}", node.host, node.controller_port));
    }
    put(
        "Where it listens, and what others are told to connect to.",
        &[
            ("listeners", listeners.join(",")),
            ("advertised.listeners", advertised.join(",")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ],
    );
    if node.broker {
        put("", &[("inter.broker.listener.name", "PLAINTEXT".to_owned())]);
    }
    put("Where the data lives.", &[("log.dirs", node.data.clone())]);
    if node.broker {
        put(
            "Topics that are created without saying so.",
            &[
                ("num.partitions", brokers.max(1).to_string()),
                ("default.replication.factor", replicas.to_string()),
                ("min.insync.replicas", in_sync.to_string()),
                ("offsets.topic.replication.factor", replicas.to_string()),
                ("transaction.state.log.replication.factor", replicas.to_string()),
                ("transaction.state.log.min.isr", in_sync.to_string()),
                ("share.coordinator.state.topic.replication.factor", replicas.to_string()),
                ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
            ],
        );
    }
    text.replace("\n# \n", "")
}

/// What to type now, on which host.
fn next(nodes: &[Node], cluster_id: &str, wanted: &Init) -> String {
    let mut text = format!("\ncluster id {cluster_id}\n");
    let initial: Vec<String> = nodes
        .iter()
        .filter(|node| node.controller)
        .map(|node| format!("{}:{}", node.voter(), uuid_text::encode(&node.directory)))
        .collect();
    let mut last = "";
    for node in nodes {
        if node.host != last {
            let _ = writeln!(text, "\non {}:", node.host);
            last = &node.host;
        }
        let voters = match (wanted.fixed, node.controller) {
            (true, _) => String::new(),
            (false, true) => format!(" --initial-controllers {}", initial.join(",")),
            (false, false) => " --no-initial-controllers".to_owned(),
        };
        let file = wanted.dir.join(node.file());
        let file = file.strip_prefix(".").unwrap_or(&file).display();
        let _ = writeln!(text, "  bin/kafka-storage.sh format -t {cluster_id}{voters} -c {file}");
        let _ = writeln!(text, "  bin/kafka-server-start.sh -daemon {file}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(nodes: &[&str], controllers: &[&str]) -> Init {
        Init {
            nodes: nodes.iter().map(ToString::to_string).collect(),
            controllers: controllers.iter().map(ToString::to_string).collect(),
            dir: ".".into(),
            data_dir: Some("/d/".to_owned()),
            port: 9092,
            fixed: true,
            cluster_id: None,
            force: false,
        }
    }

    #[test]
    fn every_file_loads_and_all_agree_on_the_voters() {
        for (nodes, controllers, fixed) in [
            (&["kafka1", "kafka2", "kafka3"][..], &[][..], true),
            (&["localhost", "localhost"], &[], false),
            (&["b1", "b2"], &["c1"], true),
            (&["b1", "b2", "b3", "b4"], &["c1", "c2", "c3"], false),
        ] {
            let plan = plan(&wanted(nodes, controllers)).unwrap();
            let mut lists = std::collections::BTreeSet::new();
            for node in &plan {
                let text = properties(node, &plan, fixed);
                let loaded =
                    NodeConfig::load("f", text.as_bytes(), &[]).unwrap_or_else(|p| panic!("{p}\n{text}"));
                assert!(loaded.unserved.is_empty());
                assert_eq!(loaded.config.node_id, node.id);
                assert_eq!(
                    (loaded.config.roles.broker, loaded.config.roles.controller),
                    (node.broker, node.controller)
                );
                assert_eq!(loaded.config.dirs.data, [format!("/d/node-{}", node.id)]);
                lists.insert(
                    text.lines().find(|line| line.starts_with("controller.quorum")).unwrap().to_owned(),
                );
            }
            assert_eq!(lists.len(), 1, "{lists:?}");
        }
    }

    #[test]
    fn nodes_of_one_host_have_ports_of_their_own() {
        let plan = plan(&wanted(&["h", "h", "g"], &["h"])).unwrap();
        let ports: Vec<_> =
            plan.iter().map(|node| (node.host.as_str(), node.port, node.controller_port)).collect();
        assert_eq!(ports, [("h", 9092, 9093), ("h", 9102, 9103), ("g", 9092, 9093), ("h", 9112, 9113)]);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["", "a:9092", "1@h", "http://h"] {
            assert!(plan(&wanted(&[host], &[])).unwrap_err().contains("no host"), "{host}");
        }
    }

    #[test]
    fn every_node_is_told_how_to_be_formatted() {
        let mut wanted = wanted(&["b1", "b2"], &["c1"]);
        wanted.fixed = false;
        let plan = plan(&wanted).unwrap();
        let text = next(&plan, "ID", &wanted);
        let format: Vec<&str> = text.lines().filter(|line| line.contains("format -t ID")).collect();
        assert_eq!(format.len(), 3);
        assert!(format[0].contains("--no-initial-controllers -c server-1.properties"), "{text}");
        assert!(format[2].contains("--initial-controllers 3@c1:9093:"), "{text}");
    }
}
