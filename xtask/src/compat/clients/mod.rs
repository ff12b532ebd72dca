//! `cargo xtask compat clients`: client libraries of many years and makers, each doing with one server, or with three, what clients do:
//! produce and consume with every compression, headers, times, groups with a rebalance, commits that survive a restart
//! of the server, and the admin calls it has.

pub mod java;
mod kcat;
pub mod node;
pub mod python;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::machine::{self, Need};
use crate::peers::HEAP_OF_SERVER;
use crate::process;
use crate::server::{self, Server, Site, System};
use crate::tally::Tally;

/// What the judge needs of the machine, beyond what cargo brings.
pub const NEEDS: &[Need] = &[Need::Jdk, Need::Maven, Need::Kcat, Need::OlderPython, Need::Python, Need::Node];

/// The checks of the first run, in the columns of the table; then those after the restart.
const FIRST: &[&str] = &[
    "create",
    "none",
    "gzip",
    "snappy",
    "lz4",
    "zstd",
    "headers",
    "times",
    "idempotent",
    "group",
    "cooperative",
    "static",
    "commit",
    "describe",
    "configs",
    "incremental",
    "partitions",
    "groups",
    "list-groups",
    "list-offsets",
    "max-timestamp",
    "delete-offsets",
    "delete-records",
    "quorum",
    "log-dirs",
    "producers",
    "delete",
];
const SECOND: &[&str] = &["restart", "survived"];

/// Programs that run at the same time: they wait for each other's rebalances more than they compute.
const WORKERS: usize = 3;
const LIMIT: Duration = Duration::from_secs(240);

/// What is to be run.
pub struct Choice {
    pub against: System,
    /// One node, or three with three replicas of everything.
    pub nodes: usize,
    /// Only clients whose name contains this.
    pub only: Option<String>,
    /// A program that the machine lacks is a failure.
    pub all: bool,
}

/// One client library in one version.
struct Client {
    name: String,
    /// The checks that it must report as passed, no fewer.
    checks: Vec<&'static str>,
    run: Box<Run>,
}

/// (bootstrap, prefix of topics and groups, phase) -> the lines `ok NAME` and `fail NAME: REASON`.
type Run = dyn Fn(&str, &str, &str) -> Result<String> + Send + Sync;

/// Those that this machine can run, and what it lacks for the others.
fn clients(only: Option<&str>) -> Result<(Vec<Client>, Vec<Need>)> {
    let mut clients = Vec::new();
    let mut lacking = Vec::new();
    let wanted = |names: &[&str]| only.is_none_or(|only| names.iter().any(|name| name.contains(only)));
    if wanted(&[kcat::NAME]) {
        match Need::Kcat.find() {
            Some(program) => clients.push(kcat::client(program)),
            None => lacking.push(Need::Kcat),
        }
    }
    if wanted(&["kafka-python"]) {
        match Need::OlderPython.find() {
            Some(python) => clients.push(python::kafka_python(&python)?),
            None => lacking.push(Need::OlderPython),
        }
    }
    if wanted(&["confluent-kafka", "aiokafka"]) {
        match Need::Python.find() {
            Some(python) => clients.extend(python::newest(&python)?),
            None => lacking.push(Need::Python),
        }
    }
    if wanted(&["kafkajs"]) {
        match Need::Node.find() {
            Some(program) => clients.push(node::client(program)?),
            None => lacking.push(Need::Node),
        }
    }
    if wanted(&["java"]) || only.is_some_and(|only| only.starts_with("java")) {
        let needs = machine::lacking(&[Need::Jdk, Need::Maven]);
        if needs.is_empty() {
            clients.extend(java::clients()?);
        }
        lacking.extend(needs);
    }
    clients.retain(|client| wanted(&[&client.name]));
    Ok((clients, lacking))
}

/// Runs the judge.
pub fn run(choice: &Choice) -> Result<()> {
    let mut tally = Tally::new("compat clients");
    let (clients, lacking) = clients(choice.only.as_deref())?;
    if choice.against == System::Ottla {
        server::build()?;
    }
    COPIES.store(choice.nodes, Ordering::Relaxed);
    let mut servers = Servers::start(choice)?;
    println!("{} clients against {}, {} node(s)", clients.len(), choice.against.name(), choice.nodes);

    let mut results: BTreeMap<usize, BTreeMap<String, Outcome>> = BTreeMap::new();
    phase(&clients, &servers.bootstrap(), "first", &mut results);
    servers.restart()?;
    phase(&clients, &servers.bootstrap(), "second", &mut results);

    for (index, client) in clients.iter().enumerate() {
        let reported = results.remove(&index).unwrap_or_default();
        for check in client.checks.iter().chain(SECOND) {
            let outcome = reported.get(*check).map(|o| o.clone().map_err(|e| anyhow!(e)));
            tally.note(
                &format!("{} {check}", client.name),
                outcome.unwrap_or_else(|| Err(anyhow!("not reported"))),
            );
        }
        for name in
            reported.keys().filter(|n| !client.checks.contains(&n.as_str()) && !SECOND.contains(&n.as_str()))
        {
            tally.note(&format!("{} {name}", client.name), Err(anyhow!("a check that is not on the list")));
        }
        results.insert(index, reported);
    }
    table(&clients, &results);
    if !tally.failed().is_empty() {
        println!("{}", servers.logs());
    }
    for need in &lacking {
        println!("lacking: {}", need.how());
    }
    tally.close()?;
    servers.stop()?;
    if choice.all && !lacking.is_empty() {
        bail!("compat clients: {} programs are lacking", lacking.len());
    }
    Ok(())
}

/// What the clients talk to.
enum Servers {
    One(Option<Server>),
    Several(Nodes),
}

impl Servers {
    fn start(choice: &Choice) -> Result<Servers> {
        let name = format!("clients-{:?}-{}", choice.against, choice.nodes).to_lowercase();
        if choice.nodes == 1 {
            let site = Site::fresh(&name)?.with("num.partitions", "2");
            return Server::start(choice.against, &site).map(|server| Servers::One(Some(server)));
        }
        let copies = choice.nodes.to_string();
        let settings = [("num.partitions", "2"), ("default.replication.factor", copies.as_str())];
        let shape = Shape::Combined(choice.nodes);
        let mut nodes =
            Nodes::of_kinds(&[choice.against], HEAP_OF_SERVER, &name, shape, Voters::Static, &settings)?;
        nodes.start_all()?;
        nodes.ready()?;
        Ok(Servers::Several(nodes))
    }

    fn bootstrap(&self) -> String {
        match self {
            Servers::One(server) => server.as_ref().map(Server::bootstrap).unwrap_or_default(),
            Servers::Several(nodes) => nodes.bootstrap(),
        }
    }

    /// One node is stopped and started; of several each in its turn.
    fn restart(&mut self) -> Result<()> {
        match self {
            Servers::One(server) => {
                let old = server.take().context("it runs")?;
                let (system, site) = (old.system, old.site.clone());
                old.stop()?;
                *server = Some(Server::start(system, &site)?);
            }
            Servers::Several(nodes) => {
                let ids: Vec<i32> = nodes.all.iter().map(|node| node.id).collect();
                for id in ids {
                    nodes.stop(id)?;
                    nodes.start(id)?;
                    nodes.ready()?;
                }
            }
        }
        Ok(())
    }

    fn logs(&self) -> String {
        match self {
            Servers::One(server) => {
                let dir = server.as_ref().map(|server| server.site.dir.join("server.log"));
                format!("the server's log: {}", dir.unwrap_or_default().display())
            }
            Servers::Several(nodes) => nodes.all.iter().map(|node| node.tail()).collect(),
        }
    }

    fn stop(self) -> Result<()> {
        match self {
            Servers::One(server) => server.map_or(Ok(()), |server| server.stop().map(drop)),
            Servers::Several(nodes) => nodes.no_panic(),
        }
    }
}

/// Replicas of the topics that the programs make; they read it from their environment.
static COPIES: AtomicUsize = AtomicUsize::new(1);

fn copies() -> usize {
    COPIES.load(Ordering::Relaxed)
}

type Outcome = std::result::Result<(), String>;

/// Runs one phase of every client, some at a time.
fn phase(
    clients: &[Client],
    bootstrap: &str,
    phase: &str,
    results: &mut BTreeMap<usize, BTreeMap<String, Outcome>>,
) {
    let next = Mutex::new(0);
    let gathered = Mutex::new(results);
    let work = || {
        loop {
            let index = {
                let mut next = next.lock().expect("no worker panics");
                *next += 1;
                *next - 1
            };
            let Some(client) = clients.get(index) else { return };
            let start = Instant::now();
            let prefix: String =
                client.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let outcomes = match (client.run)(bootstrap, &prefix, phase) {
                Ok(lines) => read_lines(&lines),
                Err(error) => {
                    let missing = if phase == "first" { &client.checks } else { SECOND };
                    missing.iter().map(|name| ((*name).to_owned(), Err(format!("{error:#}")))).collect()
                }
            };
            let failed = outcomes.values().filter(|o| o.is_err()).count();
            let passed = outcomes.len() - failed;
            let seconds = start.elapsed().as_secs_f64();
            println!("{:<24} {phase:<7} {passed} passed, {failed} failed ({seconds:.1} s)", client.name);
            let mut gathered = gathered.lock().expect("no worker panics");
            gathered.entry(index).or_default().extend(outcomes);
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
}

fn read_lines(lines: &str) -> BTreeMap<String, Outcome> {
    let mut outcomes = BTreeMap::new();
    for line in lines.lines() {
        if let Some(name) = line.strip_prefix("ok ") {
            outcomes.insert(name.trim().to_owned(), Ok(()));
        } else if let Some((name, reason)) = line.strip_prefix("fail ").and_then(|rest| rest.split_once(": "))
        {
            outcomes.insert(name.to_owned(), Err(reason.to_owned()));
        }
    }
    outcomes
}

/// One row for every check, one column for every client.
fn table(clients: &[Client], results: &BTreeMap<usize, BTreeMap<String, Outcome>>) {
    println!();
    for (index, client) in clients.iter().enumerate() {
        println!("{:>16} {}", format!("({})", index + 1), client.name);
    }
    let heads: String = (1..=clients.len()).map(|n| format!("{:>6}", format!("({n})"))).collect();
    println!("{:<16}{heads}", "");
    for check in FIRST.iter().chain(SECOND) {
        let cells: String = (0..clients.len())
            .map(|index| match results.get(&index).and_then(|r| r.get(*check)) {
                Some(Ok(())) => "    ok",
                Some(Err(_)) => "  FAIL",
                None => "     .",
            })
            .collect();
        println!("{check:<16}{cells}");
    }
    println!("(. the client has no such call)\n");
}

/// Runs a client's program; its end counts, and its lines.
fn lines_of(command: &mut Command) -> Result<String> {
    command.env("JUDGE_COPIES", copies().to_string());
    let output = process::capture(command, LIMIT)?;
    if !output.status.success() {
        bail!("{} ended with {}{}", process::shown(command), output.status, output.tail());
    }
    Ok(output.stdout)
}

/// The directory of the judges' sources in this repository.
fn sources(name: &str) -> std::path::PathBuf {
    process::root().join("xtask/judges/clients").join(name)
}

/// True when `dir` was made from `recipe`; else the directory is emptied, to be made anew and then [`made`].
fn is_made(dir: &std::path::Path, recipe: &str) -> Result<bool> {
    if std::fs::read_to_string(dir.join(".recipe")).ok().as_deref() == Some(recipe) {
        return Ok(true);
    }
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    std::fs::create_dir_all(dir)?;
    Ok(false)
}

fn made(dir: &std::path::Path, recipe: &str) -> Result<()> {
    Ok(std::fs::write(dir.join(".recipe"), recipe)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_programs_print_them() {
        let outcomes =
            read_lines("ok none\nsome noise\nfail group: AssertionError: expected this: that at x.py:3\n");
        assert_eq!(outcomes.len(), 2);
        assert_eq!(outcomes["none"], Ok(()));
        assert_eq!(outcomes["group"], Err("AssertionError: expected this: that at x.py:3".to_owned()));
    }
}
