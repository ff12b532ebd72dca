//! `cluster-standalone`: dynamic voters in each way that `kafka-storage format` begins with, and added one by one.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::ledger::Ledger;
use super::nodes::{Nodes, Shape, Voters};
use crate::compat::mixed::programs::{self, tool};
use crate::machine::Need;
use crate::server::{CLUSTER, System};
use crate::tally::Tally;

pub const NEEDS: &[Need] = &[Need::Jdk, Need::Maven, Need::Kcat];

const TOPIC: &str = "ledger";
const SOME: usize = 200;
const SOON: Duration = Duration::from_secs(60);

pub fn run(tally: &mut Tally, system: System) {
    tally.check("--standalone, then two added by hand, then the first one killed", || by_hand(system));
    tally.check("--standalone, then two that join by themselves", || by_themselves(system));
    tally.check("--initial-controllers of two, a third with --no-initial-controllers", || given(system));
}

/// Node 1 alone in its quorum; 2 and 3 formatted to come to one.
fn one_and_two(system: System, name: &str, settings: &[(&str, &str)]) -> Result<Nodes> {
    let heap: &[&str] = &["-Xmx384m", "-XX:TieredStopAtLevel=1"];
    let name = format!("cluster-standalone-{name}");
    let shape = Shape::Combined(3);
    let mut nodes = Nodes::of_kinds(&[system], heap, &name, shape, Voters::First(1), settings)?;
    fs::remove_dir_all(nodes.node(1).data())?;
    nodes.format_as(1, CLUSTER, &["--standalone"])?;
    nodes.start(1)?;
    nodes.ready()?;
    Ok(nodes)
}

/// The ids in a row of `describe --status`.
fn members(nodes: &Nodes, label: &str) -> Result<Vec<i32>> {
    let bootstrap = nodes.bootstrap();
    let text = tool("kafka-metadata-quorum", &["--bootstrap-server", &bootstrap, "describe", "--status"])?;
    let row = text.lines().find_map(|l| l.strip_prefix(label)).with_context(|| format!("{label}: {text}"))?;
    let ids = row.split("\"id\": ").skip(1);
    let ids = ids.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let mut ids: Vec<i32> = ids.map(|id| Ok(id.parse()?)).collect::<Result<_>>()?;
    ids.sort_unstable();
    Ok(ids)
}

fn voters(nodes: &Nodes, wanted: &[i32]) -> Result<()> {
    let mut last = Vec::new();
    let outcome = programs::until("these voters", SOON, || {
        last = members(nodes, "CurrentVoters:")?;
        Ok(last == wanted)
    });
    outcome.with_context(|| format!("{wanted:?}, not {last:?}"))
}

fn add(nodes: &Nodes, id: i32) -> Result<()> {
    let (bootstrap, file) = (nodes.bootstrap(), nodes.node(id).file().display().to_string());
    let add = ["--command-config", &file, "--bootstrap-server", &bootstrap, "add-controller"];
    programs::until("added", SOON, || tool("kafka-metadata-quorum", &add).map(|_| true))
}

/// With three voters any one may go.
fn any_may_go(mut nodes: Nodes) -> Result<()> {
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    for id in 1..=3 {
        nodes.kill(id)?;
        ledger.until_more(SOME)?;
        let other = nodes.controller()?;
        ensure!(other != id, "node {id} leads and is dead");
        nodes.start(id)?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
    }
    super::finish(nodes, ledger)
}

fn by_hand(system: System) -> Result<()> {
    let mut nodes = one_and_two(system, "hand", &[])?;
    voters(&nodes, &[1])?;
    for id in [2, 3] {
        nodes.start(id)?;
        nodes.ready()?;
        programs::until("an observer", SOON, || Ok(members(&nodes, "CurrentObservers:")?.contains(&id)))?;
        add(&nodes, id)?;
        voters(&nodes, &(1..=id).collect::<Vec<_>>())?;
    }
    any_may_go(nodes)
}

fn by_themselves(system: System) -> Result<()> {
    let mut nodes = one_and_two(system, "themselves", &[("controller.quorum.auto.join.enable", "true")])?;
    nodes.start_all()?;
    nodes.ready()?;
    voters(&nodes, &[1, 2, 3])?;
    any_may_go(nodes)
}

fn given(system: System) -> Result<()> {
    let heap: &[&str] = &["-Xmx384m", "-XX:TieredStopAtLevel=1"];
    let (shape, first) = (Shape::Combined(3), Voters::First(2));
    let mut nodes = Nodes::of_kinds(&[system], heap, "cluster-standalone-given", shape, first, &[])?;
    // The one without voters first: it waits for those that have them.
    for id in [3, 1, 2] {
        nodes.start(id)?;
    }
    nodes.ready()?;
    voters(&nodes, &[1, 2])?;
    add(&nodes, 3)?;
    voters(&nodes, &[1, 2, 3])?;
    any_may_go(nodes)
}
