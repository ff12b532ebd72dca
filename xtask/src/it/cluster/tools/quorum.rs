//! `kafka-metadata-quorum`: who leads and who follows, and voters that come and go.

use anyhow::{Context, Result, ensure};

use super::super::ledger::Ledger;
use super::super::nodes::{Nodes, Shape, Voters};
use super::{SOME, SOON, TOPIC, cluster_of, finish};
use crate::compat::mixed::programs::{self, tool};
use crate::server::{CLUSTER, System};

/// The labels of `describe --status`, in their order (S0-22).
const LABELS: [&str; 8] = [
    "ClusterId:",
    "LeaderId:",
    "LeaderEpoch:",
    "HighWatermark:",
    "MaxFollowerLag:",
    "MaxFollowerLagTimeMs:",
    "CurrentVoters:",
    "CurrentObservers:",
];

pub fn describe(system: System) -> Result<()> {
    let mut nodes = cluster_of(system, "describe", Shape::Combined(3), &[])?;
    let mut ways = vec![["--bootstrap-server".to_owned(), nodes.bootstrap()]];
    // Any voter will do.
    let controllers = nodes.all.iter().filter_map(|n| n.controller_port);
    ways.extend(controllers.map(|port| ["--bootstrap-controller".to_owned(), format!("localhost:{port}")]));
    for way in &ways {
        let [option, servers] = way;
        let status = tool("kafka-metadata-quorum", &[option, servers, "describe", "--status"])?;
        let lines: Vec<&str> = status.lines().filter(|l| !l.is_empty()).collect();
        for (line, label) in lines.iter().zip(LABELS) {
            ensure!(line.starts_with(label), "{label} in its place: {status}");
        }
        let value = |label: &str| {
            let line = lines.iter().find_map(|l| l.strip_prefix(label));
            line.map(str::trim).with_context(|| format!("{label}: {status}"))
        };
        ensure!(value("ClusterId:")? == CLUSTER, "{status}");
        ensure!(value("LeaderId:")? == nodes.controller()?.to_string(), "{status}");
        let voters = value("CurrentVoters:")?;
        for id in 1..=3 {
            ensure!(voters.contains(&format!("\"id\": {id}")), "voter {id}: {status}");
        }
        ensure!(value("HighWatermark:")?.parse::<i64>()? > 0, "{status}");
    }
    roles(&nodes, 1, 2, 0)?;
    // A follower that is gone lags behind and is still a voter.
    let leader = nodes.controller()?;
    let gone = leader % 3 + 1;
    nodes.kill(gone)?;
    programs::until("a lag", SOON, || {
        let text = replication(&nodes)?;
        let row = text.lines().find(|l| l.split_whitespace().next() == Some(&gone.to_string()));
        let lag = row.and_then(|row| row.split_whitespace().nth(3)).context("its row")?;
        Ok(lag.parse::<i64>()? > 0)
    })?;
    nodes.kill(leader)?;
    nodes.start(gone)?;
    nodes.ready()?;
    programs::until("another leader", SOON, || Ok(nodes.controller()? != leader))?;
    nodes.start(leader)?;
    nodes.ready()?;
    roles(&nodes, 1, 2, 0)?;
    nodes.no_panic()
}

fn replication(nodes: &Nodes) -> Result<String> {
    tool("kafka-metadata-quorum", &["--bootstrap-server", &nodes.bootstrap(), "describe", "--replication"])
}

/// So many of each, soon.
fn roles(nodes: &Nodes, leaders: usize, followers: usize, observers: usize) -> Result<()> {
    let mut last = String::new();
    let outcome = programs::until("these roles", SOON, || {
        last = replication(nodes)?;
        let count = |role: &str| last.lines().filter(|l| l.trim_end().ends_with(role)).count();
        Ok((count("Leader"), count("Follower"), count("Observer")) == (leaders, followers, observers))
    });
    outcome
        .with_context(|| format!("{leaders} leader, {followers} followers, {observers} observers:\n{last}"))
}

/// Node 1 is the broker, nodes 2 and 3 are voters from the beginning, node 4 comes and goes.
pub fn change(system: System) -> Result<()> {
    let heap: &[&str] = &["-Xmx384m", "-XX:TieredStopAtLevel=1"];
    let (shape, voters) = (Shape::Split(1, 3), Voters::First(2));
    let mut nodes = Nodes::of_kinds(&[system], heap, "cluster-tools-voters", shape, voters, &[])?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 2, 1)?;
    roles(&nodes, 1, 1, 2)?;
    let bootstrap = nodes.bootstrap();
    let file = nodes.node(4).file().display().to_string();
    let add = ["--command-config", &file, "--bootstrap-server", &bootstrap, "add-controller"];
    programs::until("added", SOON, || tool("kafka-metadata-quorum", &add).map(|_| true))?;
    roles(&nodes, 1, 2, 1)?;
    ensure!(tool("kafka-metadata-quorum", &add).is_err(), "a voter was added twice");
    ledger.until_more(SOME)?;
    // It counts: without one of the old ones the quorum needs it.
    nodes.kill(2)?;
    let code = super::wire::create_topic(nodes.ports()[0], "needs-the-new-voter", 1, 1)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.start(2)?;
    roles(&nodes, 1, 2, 1)?;
    let meta = std::fs::read_to_string(nodes.node(4).data().join("meta.properties"))?;
    let directory = meta.lines().find_map(|l| l.strip_prefix("directory.id=")).context("directory.id")?;
    let remove = |directory: &str| {
        let words = ["remove-controller", "--controller-id", "4", "--controller-directory-id", directory];
        tool("kafka-metadata-quorum", &[&["--bootstrap-server", &bootstrap], &words[..]].concat())
    };
    ensure!(remove("AAAAAAAAAAAAAAAAAAAAAQ").is_err(), "another directory's voter was removed");
    remove(directory)?;
    roles(&nodes, 1, 1, 2)?;
    ledger.until_more(SOME)?;
    programs::until("added again", SOON, || tool("kafka-metadata-quorum", &add).map(|_| true))?;
    roles(&nodes, 1, 2, 1)?;
    ledger.until_more(SOME)?;
    finish(&nodes, ledger)
}
