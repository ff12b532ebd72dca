//! `cargo xtask it`: the program as a user meets it: processes, directories, scripts, messages, and what the network may
//! send. Against the release tree that `dist` lays out; the rows named `S0-03` and so on are the acceptance list's.

pub mod batch;
mod batches;
pub mod cluster;
mod completions;
mod dev;
mod directories;
mod frames;
mod misuse;
mod ops;
mod packages;
mod recovery;
mod scripts;
mod seeds;
mod start;
mod storage;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::dist;
use crate::machine::{self, Need};
use crate::process::{self, Output};
use crate::server::{Server, Site, System};
use crate::tally::Tally;

pub use seeds::relay;

/// How long one of our commands may take.
const LIMIT: Duration = Duration::from_secs(20);

/// What single checks need beside cargo; the rest of the judge does without.
pub const NEEDS: &[Need] = &[Need::Mount, Need::Kcat];

type Group = fn(&mut Tally) -> Result<()>;
const GROUPS: &[(&str, Group)] = &[
    ("storage", storage::run),
    ("start", start::run),
    ("scripts", scripts::run),
    ("packages", packages::run),
    ("dev", dev::run),
    ("recovery", recovery::run),
    ("directories", directories::run),
    ("misuse", misuse::run),
    ("ops", ops::run),
    ("frames", |tally| on_a_node(tally, System::Ottla, "frames", frames::run)),
    ("batches", |tally| on_a_node(tally, System::Ottla, "batches", batches::run)),
];

/// A group of several nodes.
struct OfNodes {
    name: &'static str,
    run: fn(&mut Tally, System),
    /// It runs when no group is named; the others take minutes, and are named.
    always: bool,
    needs: &'static [Need],
}

const fn always(name: &'static str, run: fn(&mut Tally, System)) -> OfNodes {
    OfNodes { name, run, always: true, needs: &[Need::Kcat] }
}

const fn on_demand(name: &'static str, run: fn(&mut Tally, System), needs: &'static [Need]) -> OfNodes {
    OfNodes { name, run, always: false, needs }
}

const CLUSTERS: &[OfNodes] = &[
    always("cluster-topologies", cluster::topologies),
    always("cluster-kills", cluster::kills),
    always("cluster-outages", cluster::outages),
    always("cluster-pause", cluster::pause),
    always("cluster-rolling", cluster::rolling),
    always("cluster-wipe", cluster::wipe),
    always("cluster-strangers", cluster::strangers::run),
    OfNodes {
        name: "cluster-full-disk",
        run: cluster::full_disk::run,
        always: true,
        needs: cluster::full_disk::NEEDS,
    },
    on_demand("cluster-history", cluster::history::run, &[]),
    on_demand("cluster-networks", cluster::networks::run, cluster::networks::NEEDS),
    on_demand("cluster-standalone", cluster::standalone::run, cluster::standalone::NEEDS),
    on_demand("cluster-coordinator", cluster::coordinator::run, cluster::coordinator::NEEDS),
    on_demand("cluster-tools", cluster::tools::run, cluster::tools::NEEDS),
    on_demand("seeds", seeds::run, seeds::NEEDS),
];

/// Runs every group, or the one that is named, or of that the checks with `word` in their names.
pub fn run(only: Option<&str>, word: Option<&str>) -> Result<()> {
    dist::lay_out()?;
    let mut tally = Tally::new("it").only(word);
    let mut found = false;
    for (name, group) in GROUPS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        println!("-- {name}");
        found = true;
        if let Err(error) = group(&mut tally) {
            tally.note(&format!("{name}: all of it"), Err(error));
        }
    }
    for group in CLUSTERS.iter().filter(|g| only.map_or(g.always, |only| only == g.name)) {
        found = true;
        let lacking = machine::lacking(group.needs);
        if let Some(need) = lacking.first() {
            ensure!(only.is_none(), "{} lacks {}", group.name, need.how());
            println!("left out: {}; lacking: {}", group.name, need.how());
            continue;
        }
        println!("-- {}", group.name);
        (group.run)(&mut tally, System::Ottla);
    }
    if Need::Kcat.find().is_some() && only.is_none_or(|only| only == "cluster-dev") {
        println!("-- cluster-dev");
        found = true;
        cluster::dev(&mut tally);
    }
    let names = GROUPS.iter().map(|(name, _)| *name).chain(CLUSTERS.iter().map(|group| group.name));
    let names: Vec<&str> = names.chain(["cluster-dev"]).collect();
    ensure!(found, "no group '{}': {}", only.unwrap_or_default(), names.join(", "));
    tally.close()
}

/// The network's bad input, or one group of clusters, against Apache Kafka: proves that what these groups expect is
/// Kafka's own behaviour.
pub fn prove_on_apache(only: Option<&str>, word: Option<&str>) -> Result<()> {
    let mut tally = Tally::new("it against Apache Kafka").only(word);
    if let Some(only) = only {
        let group = CLUSTERS.iter().find(|group| group.name == only);
        let group = group.with_context(|| format!("no group '{only}' of clusters"))?;
        (group.run)(&mut tally, System::Apache);
        return tally.close();
    }
    on_a_node(&mut tally, System::Apache, "frames-apache", frames::run)?;
    on_a_node(&mut tally, System::Apache, "batches-apache", batches::run)?;
    tally.close()
}

fn on_a_node(
    tally: &mut Tally,
    system: System,
    name: &str,
    group: fn(&mut Tally, &mut Server) -> Result<()>,
) -> Result<()> {
    let site = Site::fresh(&format!("it-{name}"))?.with("message.max.bytes", "8000000");
    let mut server = Server::start(system, &site)?;
    group(tally, &mut server)?;
    let alive = server.alive();
    tally.note("the node is still the one that was started", if alive { Ok(()) } else { bail_dead(&server) });
    tally.note("no panic in its log", no_panic(&server.log()));
    Ok(())
}

fn bail_dead(server: &Server) -> Result<()> {
    let log = server.log();
    let lines: Vec<&str> = log.lines().collect();
    bail!("it ended; its last lines:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
}

fn no_panic(log: &str) -> Result<()> {
    match log.lines().find(|l| l.contains("panicked at")) {
        Some(line) => bail!("{line}"),
        None => Ok(()),
    }
}

// ---- what the groups are made of

/// An empty directory of the group's own.
fn scratch(name: &str) -> Result<PathBuf> {
    let dir = process::target().join("judges").join(format!("it-{name}"));
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// A script of the release tree.
fn script(name: &str) -> Command {
    let mut command = Command::new(dist::tree().join("bin").join(name));
    command.env_remove("LOG_DIR");
    command
}

/// Runs to its end.
fn say(command: &mut Command) -> Result<Output> {
    process::capture(command, LIMIT)
}

/// It must succeed; returns its standard output.
fn good(command: &mut Command) -> Result<String> {
    process::checked(command, LIMIT)
}

/// It must end with 1 and say each of `words` (on either stream).
fn refused(command: &mut Command, words: &[&str]) -> Result<()> {
    let output = say(command)?;
    ensure!(output.status.code() == Some(1), "exit 1, not {}{}", output.status, output.tail());
    let all = format!("{}{}", output.stdout, output.stderr);
    for word in words {
        ensure!(all.contains(word), "it does not say `{word}`:{}", output.tail());
    }
    ensure!(!all.contains("panicked at"), "it panicked:{}", output.tail());
    Ok(())
}

/// A copy of the stock configuration with lines of its own in place of those with the same keys.
fn config(dir: &Path, changes: &[(&str, &str)]) -> Result<PathBuf> {
    let stock = fs::read_to_string(dist::tree().join("config/kraft/server.properties"))?;
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let changed: Vec<&str> = changes.iter().map(|(key, _)| *key).collect();
    let mut lines: Vec<String> =
        stock.lines().filter(|line| !changed.contains(&key(line).as_str())).map(str::to_owned).collect();
    lines.extend(changes.iter().map(|(key, value)| format!("{key}={value}")));
    let file = dir.join("server.properties");
    fs::write(&file, lines.join("\n") + "\n")?;
    Ok(file)
}

/// The stock configuration with two ports, a node id and a directory of its own.
fn own_config(dir: &Path, node: u16, ports: [u16; 2]) -> Result<PathBuf> {
    let data = dir.join("data").display().to_string();
    config(
        dir,
        &[
            ("node.id", &node.to_string()),
            ("controller.quorum.voters", &format!("{node}@localhost:{}", ports[1])),
            ("listeners", &format!("PLAINTEXT://:{},CONTROLLER://:{}", ports[0], ports[1])),
            ("advertised.listeners", &format!("PLAINTEXT://localhost:{}", ports[0])),
            ("log.dirs", &data),
        ],
    )
}

/// A process in the background whose output goes to a file.
struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    fn spawn(command: &mut Command, log: PathBuf) -> Result<Background> {
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| process::shown(command))?;
        Ok(Background { child, log })
    }

    fn text(&self) -> String {
        fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Until its output holds `word`; an error when it ends before.
    fn until(&mut self, word: &str) -> Result<()> {
        let start = Instant::now();
        while !self.text().contains(word) {
            if let Some(status) = self.child.try_wait()? {
                // It may have said the word on its way out.
                ensure!(self.text().contains(word), "it ended ({status}) without `{word}`:\n{}", self.text());
                break;
            }
            ensure!(start.elapsed() < LIMIT, "no `{word}` within {} s:\n{}", LIMIT.as_secs(), self.text());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Sends the signal; it must end by itself with 0.
    fn end(mut self, signal: &str) -> Result<String> {
        process::signal(self.child.id(), signal);
        let status = process::wait(&mut self.child, LIMIT)?;
        let status =
            status.with_context(|| format!("still there {} s after SIG{signal}", LIMIT.as_secs()))?;
        ensure!(status.success(), "it ended with {status} after SIG{signal}:\n{}", self.text());
        no_panic(&self.text())?;
        Ok(self.text())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file below a directory with its bytes: to see that nothing changed.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(contents(&path));
            all.insert(path, Vec::new());
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            all.insert(path, bytes);
        }
    }
    all
}
