//! Voters of one kind that join a quorum of the other, and leave it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{A, HEAP, O, QUICK, agree, cluster, kind, programs, quorum};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Node, Nodes, Shape, Voters};
use crate::server::System;
use crate::tally::Tally;

const TOPIC: &str = "ledger";
const SOME: usize = 150;
const MINUTE: Duration = Duration::from_secs(60);

pub fn run(tally: &mut Tally) {
    for (old, new) in [(O, A), (A, O)] {
        tally.check(&format!("{} joins two voters of {} and leaves again", new.name(), old.name()), || {
            joins(old, new)
        });
    }
    for leads in [A, O] {
        tally.check(&format!("kraft.version is raised from 0 to 1 under {}", leads.name()), || raised(leads));
    }
}

fn joins(old: System, new: System) -> Result<()> {
    let name = format!("mixed-voters-{}", new.name().replace(' ', "-"));
    // The broker is ours; nodes 2 and 3 are voters from the beginning, node 4 joins.
    let kinds = [O, old, old, new];
    let mut nodes = Nodes::of_kinds(&kinds, HEAP, &name, Shape::Split(1, 3), Voters::First(2), QUICK)?;
    for id in 1..=3 {
        nodes.start(id)?;
    }
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 2, 1)?;
    nodes.start(4)?;
    let bootstrap = nodes.bootstrap();
    let quorum = |what: &str| {
        programs::tool("kafka-metadata-quorum", &["--bootstrap-server", &bootstrap, "describe", what])
    };
    let status = |id: i32| -> Result<String> {
        let text = quorum("--replication")?;
        let line = text.lines().find(|l| l.split_whitespace().next() == Some(&id.to_string()));
        let last = line.and_then(|l| l.split_whitespace().last());
        Ok(last.with_context(|| format!("node {id} is not in it: {text}"))?.to_owned())
    };
    programs::until("an observer", Duration::from_secs(60), || Ok(status(4)? == "Observer"))?;

    let file = nodes.all.iter().find(|n| n.id == 4).context("node 4")?.file().display().to_string();
    let add = ["--command-config", &file, "--bootstrap-server", &bootstrap, "add-controller"];
    programs::until("added", Duration::from_secs(60), || {
        programs::tool("kafka-metadata-quorum", &add).map(|_| true)
    })?;
    programs::until("a voter", Duration::from_secs(30), || Ok(status(4)? != "Observer"))?;
    ledger.until_more(SOME)?;

    // It counts: with one of the old ones gone, the quorum needs it.
    nodes.kill(2)?;
    let leader = nodes.controller()?;
    ensure!(leader == 3 || leader == 4, "node {leader} leads");
    ledger.until_more(SOME)?;
    nodes.start(2)?;
    programs::until("back", Duration::from_secs(60), || Ok(status(2).is_ok()))?;
    lead(&mut nodes, new)?;
    ledger.until_more(SOME)?;
    programs::until("following", Duration::from_secs(60), || {
        let text = quorum("--replication")?;
        Ok(text.lines().filter(|l| l.ends_with("Follower") || l.trim_end().ends_with("Follower")).count()
            == 2)
    })?;
    // The voters as both kinds wrote them down.
    agree::metadata(&nodes).context("with three voters")?;

    let directory = directory_of(&nodes, 4)?;
    let remove = [
        "--bootstrap-server",
        &bootstrap,
        "remove-controller",
        "--controller-id",
        "4",
        "--controller-directory-id",
        &directory,
    ];
    programs::until("removed", Duration::from_secs(60), || {
        programs::tool("kafka-metadata-quorum", &remove).map(|_| true)
    })?;
    programs::until("an observer again", Duration::from_secs(60), || Ok(status(4)? == "Observer"))?;
    ledger.until_more(SOME)?;
    // And back: a voter that has been one.
    programs::until("added again", Duration::from_secs(60), || {
        programs::tool("kafka-metadata-quorum", &add).map(|_| true)
    })?;
    programs::until("a voter again", Duration::from_secs(30), || Ok(status(4)? != "Observer"))?;
    ledger.until_more(SOME)?;
    // A voter that moved tells the leader where it is now (UpdateRaftVoter).
    nodes.stop(4)?;
    let port = nodes.readdress(4)?;
    nodes.start(4)?;
    let at = format!("localhost:{port}");
    programs::until("known under its new address", Duration::from_secs(60), || {
        Ok(quorum("--status")?.contains(&at) && status(4)? != "Observer")
    })?;
    ledger.until_more(SOME)?;
    let verdict = ledger.close(&nodes)?;
    println!("      {} records acknowledged and read back", verdict.records);
    agree::everything(&nodes, &[])
}

/// A quorum of static voters of both kinds becomes a dynamic one: its leader has heard from every voter which directory it
/// has (UpdateRaftVoter). Then a voter leaves and joins, and all forget their static list.
fn raised(leads: System) -> Result<()> {
    let kinds = if leads == A { [A, O, O] } else { [O, A, A] };
    let name = format!("raised-by-{}", leads.name().replace(' ', "-"));
    let mut nodes = cluster(&name, &kinds, Shape::Combined(3), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    quorum::elect(&mut nodes, &ledger, leads)?;
    let bootstrap = nodes.bootstrap();
    let tool = |name: &str, words: &[&str]| {
        programs::tool(name, &[&["--bootstrap-server", &bootstrap], words].concat())
    };
    let level = || -> Result<String> {
        let text = tool("kafka-features", &["describe"])?;
        let line = text.lines().find(|l| l.contains("kraft.version")).context("kraft.version")?;
        let (_, level) = line.split_once("FinalizedVersionLevel: ").context("its level")?;
        Ok(level.split_whitespace().next().unwrap_or_default().to_owned())
    };
    ensure!(level()? == "0", "kraft.version is {} from the beginning", level()?);
    programs::until("raised", MINUTE, || {
        tool("kafka-features", &["upgrade", "--feature", "kraft.version=1"]).map(|_| true)
    })?;
    let leader = nodes.controller()?;
    ensure!(kind(&nodes, leader) == leads, "the leader changed meanwhile: try again");
    programs::until("told by the brokers", MINUTE, || Ok(level()? == "1"))?;
    let lowered = tool("kafka-features", &["downgrade", "--feature", "kraft.version=0"]);
    ensure!(lowered.is_err(), "kraft.version was lowered: {}", lowered.unwrap_or_default());
    let status = || tool("kafka-metadata-quorum", &["describe", "--status"]);
    let text = status()?;
    for id in 1..=3 {
        let directory = directory_of(&nodes, id)?;
        ensure!(text.contains(&directory), "the directory {directory} of voter {id} is not in {text}");
    }
    agree::metadata(&nodes).context("at kraft.version 1")?;

    // Voters come and go now. Node 3 is of the other kind than the leader.
    let (directory, file) = (directory_of(&nodes, 3)?, nodes.node(3).file().display().to_string());
    programs::until("removed", MINUTE, || {
        let of_three = ["--controller-id", "3", "--controller-directory-id", &directory];
        tool("kafka-metadata-quorum", &[&["remove-controller"], &of_three[..]].concat()).map(|_| true)
    })?;
    programs::until("two voters", MINUTE, || Ok(!voters_line(&status()?).contains(&directory)))?;
    ledger.until_more(SOME)?;
    programs::until("added", MINUTE, || {
        tool("kafka-metadata-quorum", &["--command-config", &file, "add-controller"]).map(|_| true)
    })?;
    programs::until("three voters", MINUTE, || Ok(voters_line(&status()?).contains(&directory)))?;
    ledger.until_more(SOME)?;

    let at = |n: &Node| n.controller_port.map(|port| format!("localhost:{port}"));
    let servers = nodes.all.iter().filter_map(at).collect::<Vec<_>>().join(",");
    for id in 1..=3 {
        nodes.stop(id)?;
        let file = nodes.node(id).file();
        let text = std::fs::read_to_string(&file)?;
        let old =
            text.lines().find(|line| line.starts_with("controller.quorum.voters=")).context("voters")?;
        std::fs::write(&file, text.replace(old, &format!("controller.quorum.bootstrap.servers={servers}")))?;
        nodes.start(id)?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
    }
    ledger.until_more(SOME)?;
    let verdict = ledger.close(&nodes)?;
    println!("      {} records acknowledged and read back", verdict.records);
    agree::everything(&nodes, &[TOPIC])
}

/// The voters in what `describe --status` says.
fn voters_line(status: &str) -> String {
    status.lines().find(|line| line.starts_with("CurrentVoters:")).unwrap_or_default().to_owned()
}

/// Until the node of the new kind leads: the old ones stop in turn.
fn lead(nodes: &mut Nodes, wanted: System) -> Result<()> {
    for _ in 0..8 {
        let id = nodes.controller()?;
        if kind(nodes, id) == wanted {
            return Ok(());
        }
        nodes.kill(id)?;
        let next = nodes.controller()?;
        nodes.start(id)?;
        std::thread::sleep(Duration::from_secs(6));
        if kind(nodes, next) == wanted {
            return Ok(());
        }
    }
    anyhow::bail!("no node of {} was elected", wanted.name())
}

fn directory_of(nodes: &Nodes, id: i32) -> Result<String> {
    let node = nodes.all.iter().find(|n| n.id == id).context("the node")?;
    let text = std::fs::read_to_string(node.data().join("meta.properties"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("directory.id=")).context("its directory's id")?;
    Ok(line.to_owned())
}
