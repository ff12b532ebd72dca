//! Clusters put together wrongly: the message of its row, a clear refusal, nothing lost, and no other node down.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cluster::nodes::{Nodes, Shape, Voters};
use super::cluster::wire;
use super::{Background, config, contents, good, own_config, refused, scratch, script};
use crate::server::{CLUSTER, System, free_ports};
use crate::tally::Tally;

const O: System = System::Ottla;
const OTHER: &str = "L5PYZLFDQZGPtCwp-Yj2lg";
const SOON: Duration = Duration::from_secs(20);

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check("S0-20 a node of another cluster ends and says so; the others go on", other_cluster);
    tally.check("S0-20 a broker at the controller of another cluster ends and says so", broker_of_another);
    tally.check("S0-08 a second node with an id in use: whose it is, exit 1", same_id);
    tally.check(
        "S1-20 voters that changed in the file alone: Kafka's sentence, nothing changed",
        other_voters,
    );
    tally.check("voter lists that differ between nodes: the cluster serves", unlike_voters);
    tally.check("S0-09 the own voter entry on a client port: which port it should be", own_entry);
    tally.check("S0-11 a voter whose name does not resolve: one line", unresolved);
    tally.check("S0-12 a listener that cannot be bound: its address, exit 1", unbound);
    tally.check("S1-22, S1-23 missing peers: who and why, one line for each change", missing);
    tally.check("S1-04 one voter and two are warned of", even);
    Ok(())
}

fn says(log: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(log.contains(word), "it does not say `{word}`:\n{log}");
    }
    Ok(())
}

fn created(nodes: &Nodes, topic: &str, copies: i16) -> Result<()> {
    let code = wire::create_topic(nodes.ports()[0], topic, 1, copies)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    Ok(())
}

fn other_cluster() -> Result<()> {
    let mut nodes = Nodes::make(O, "misuse-cluster", Shape::Combined(3), Voters::Static)?;
    fs::remove_dir_all(nodes.node(3).data())?;
    nodes.format_as(3, OTHER, &[])?;
    nodes.start(1)?;
    nodes.start(2)?;
    nodes.ready()?;
    let before = contents(&nodes.node(3).data());
    let said = nodes.refuses(3, SOON)?;
    says(&said, &[&format!("formatted for cluster {OTHER}"), "controller 1@", "controller.quorum.voters"])?;
    let meta = |files: &std::collections::BTreeMap<_, Vec<u8>>| {
        files.get(&nodes.node(3).data().join("meta.properties")).cloned()
    };
    ensure!(meta(&before) == meta(&contents(&nodes.node(3).data())), "meta.properties changed");
    created(&nodes, "goes-on", 2)?;
    // Formatted for the right one it comes in.
    nodes.wipe(3)?;
    nodes.start(3)?;
    nodes.ready()?;
    created(&nodes, "whole", 3)?;
    nodes.no_panic()
}

fn broker_of_another() -> Result<()> {
    let mut nodes = Nodes::make(O, "misuse-broker", Shape::Split(2, 1), Voters::Static)?;
    fs::remove_dir_all(nodes.node(2).data())?;
    nodes.format_as(2, OTHER, &[])?;
    nodes.start(1)?;
    nodes.start(3)?;
    nodes.ready()?;
    let said = nodes.refuses(2, SOON)?;
    says(&said, &[&format!("formatted for cluster {OTHER}"), "INCONSISTENT_CLUSTER_ID"])?;
    created(&nodes, "goes-on", 1)
}

fn same_id() -> Result<()> {
    let mut nodes = Nodes::make(O, "misuse-id", Shape::Split(2, 1), Voters::Static)?;
    nodes.configure(2, &[("node.id", "1")])?;
    fs::remove_dir_all(nodes.node(2).data())?;
    nodes.format_as(2, CLUSTER, &[])?;
    nodes.start(3)?;
    nodes.start(1)?;
    let port = nodes.node(1).port.context("a broker")?;
    nodes.ready()?;
    let said = nodes.refuses(2, SOON)?;
    says(&said, &["node id 1 is already registered by", &port.to_string(), "this node will not start"])?;
    created(&nodes, "goes-on", 1)
}

fn other_voters() -> Result<()> {
    let mut nodes = Nodes::make(O, "misuse-voters", Shape::Combined(1), Voters::Static)?;
    nodes.start(1)?;
    nodes.ready()?;
    created(&nodes, "kept", 1)?;
    nodes.stop(1)?;
    let own = nodes.node(1).controller_port.context("a controller")?;
    let [new] = free_ports()?;
    // Its log lies there, too.
    let data = |nodes: &Nodes| {
        let mut files = contents(&nodes.node(1).data());
        files.retain(|path, _| !path.ends_with("server.log"));
        files
    };
    let before = data(&nodes);
    nodes.configure(1, &[("controller.quorum.voters", &format!("1@localhost:{own},2@localhost:{new}"))])?;
    let said = nodes.refuses(1, SOON)?;
    let sentence = "Configured voter set: [1, 2] is different from the voter set read from the state file: [1]. Check if \
                    the quorum configuration is up to date, or wipe out the local state file if necessary";
    says(&said, &[sentence, "quorum-state", "add-controller"])?;
    ensure!(data(&nodes) == before, "something changed");
    nodes.configure(1, &[("controller.quorum.voters", &format!("1@localhost:{own}"))])?;
    nodes.start(1)?;
    nodes.ready()?;
    let kept = nodes.view()?.partitions.contains_key(&("kept".to_owned(), 0));
    ensure!(kept, "the topic is there again");
    Ok(())
}

fn unlike_voters() -> Result<()> {
    let mut nodes = Nodes::make(O, "misuse-lists", Shape::Combined(3), Voters::Static)?;
    let at = |id: i32| nodes.node(id).controller_port.map(|port| format!("{id}@localhost:{port}"));
    let (Some(one), Some(three)) = (at(1), at(3)) else { anyhow::bail!("controllers") };
    nodes.configure(3, &[("controller.quorum.voters", &format!("{one},{three}"))])?;
    nodes.start_all()?;
    nodes.ready()?;
    created(&nodes, "one", 3)?;
    nodes.whole("one")?;
    let controller = nodes.controller()?;
    nodes.stop(controller)?;
    nodes.start(controller)?;
    nodes.ready()?;
    nodes.whole("one")?;
    created(&nodes, "two", 3)?;
    nodes.no_panic()
}

fn own_entry() -> Result<()> {
    let dir = scratch("misuse-entry")?;
    let [client, controller] = free_ports()?;
    let file = own_config(&dir, 1, [client, controller])?;
    good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    let text = fs::read_to_string(&file)?
        .replace(&format!("1@localhost:{controller}"), &format!("1@localhost:{client}"));
    fs::write(&file, text)?;
    let said = format!(
        "controller.quorum.voters says node 1 is at localhost:{client}, but {client} is the PLAINTEXT (client) listener; \
         the controller listener is {controller}. Use 1@localhost:{controller}"
    );
    refused(script("kafka-server-start.sh").arg(&file), &[&said])
}

/// A node whose one peer is `peer`; what it says in a while.
fn with_peer(name: &str, peer: &str, word: &str, then: Duration) -> Result<String> {
    let dir = scratch(name)?;
    let ports = free_ports()?;
    let file = own_config(&dir, 1, ports)?;
    let text = fs::read_to_string(&file)?;
    let own = format!("1@localhost:{}", ports[1]);
    fs::write(&file, text.replace(&own, &format!("{own},2@{peer}")))?;
    good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    let mut node = Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out"))?;
    node.until(word)?;
    std::thread::sleep(then);
    let text = node.text();
    node.end("TERM")?;
    Ok(text)
}

fn unresolved() -> Result<()> {
    let word = "cannot resolve kafka2.mydomain.invalid";
    let said = with_peer("misuse-name", "kafka2.mydomain.invalid:9093", word, Duration::from_secs(6))?;
    says(&said, &["check DNS or /etc/hosts; from controller.quorum.voters", "controller 2"])?;
    let lines = said.lines().filter(|line| line.contains(word)).count();
    ensure!(lines == 1, "{lines} times:\n{said}");
    Ok(())
}

fn unbound() -> Result<()> {
    let dir = scratch("misuse-bind")?;
    let ports: [u16; 2] = free_ports()?;
    // An address for documentation: nobody's.
    for (host, words) in [
        ("192.0.2.1", ["192.0.2.1", "PLAINTEXT", "address"]),
        ("kafka1.mydomain.invalid", ["cannot resolve kafka1.mydomain.invalid", "PLAINTEXT", "listen on all"]),
    ] {
        let data = dir.join("data").display().to_string();
        let listeners = format!("PLAINTEXT://{host}:{},CONTROLLER://:{}", ports[0], ports[1]);
        let changes = [
            ("node.id", "1"),
            ("controller.quorum.voters", &*format!("1@localhost:{}", ports[1])),
            ("listeners", &*listeners),
            ("advertised.listeners", &*format!("PLAINTEXT://{host}:{}", ports[0])),
            ("log.dirs", &*data),
        ];
        let file = config(&dir, &changes)?;
        let mut format = script("kafka-storage.sh");
        good(format.args(["format", "--ignore-formatted", "-t", CLUSTER, "-c"]).arg(&file))?;
        refused(script("kafka-server-start.sh").arg(&file), &words)?;
    }
    Ok(())
}

fn missing() -> Result<()> {
    let mut nodes = Nodes::make(O, "misuse-missing", Shape::Combined(3), Voters::Static)?;
    nodes.start(1)?;
    std::thread::sleep(Duration::from_secs(8));
    let log = nodes.node(1).log();
    says(
        &log,
        &["Waiting for controller quorum: 1 of 3 reachable, need 2. Missing: 2@localhost:", "refused"],
    )?;
    let of_peers = |log: &str| {
        let words = ["cannot be reached", "Waiting for controller quorum", "was broken", "cannot resolve"];
        log.lines().filter(|line| words.iter().any(|word| line.contains(word))).count()
    };
    ensure!(of_peers(&log) <= 6, "{} lines in 8 s:\n{log}", of_peers(&log));
    nodes.start(2)?;
    nodes.ready()?;
    says(&nodes.node(1).log(), &["Quorum formed: leader "])?;
    nodes.start(3)?;
    nodes.ready()?;
    created(&nodes, "all", 3)
}

fn even() -> Result<()> {
    let [absent] = free_ports()?;
    let peer = format!("localhost:{absent}");
    let said = with_peer("misuse-even", &peer, "tolerate no failure", Duration::ZERO)?;
    says(&said, &["2 controllers tolerate no failure; use 1 or 3"])?;
    let mut nodes = Nodes::make(O, "misuse-one", Shape::Combined(1), Voters::Static)?;
    nodes.start(1)?;
    nodes.ready()?;
    says(&nodes.node(1).log(), &["1 controller: no fault tolerance for metadata"])
}
