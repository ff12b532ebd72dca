//! The processes of a judged cluster: Apache Kafka's or ours, in every topology, killed, paused, wiped and started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::wire::{self, View};
use crate::peers::{self, HEAP_OF_SERVER};
use crate::process;
use crate::server::{CLUSTER, System, free_ports};

/// No cluster of a judge is larger.
const MOST_PORTS: usize = 8;
/// How long nodes may take to serve.
const READY: Duration = Duration::from_secs(180);

/// How a cluster is made.
#[derive(Clone, Copy)]
pub enum Shape {
    /// This many nodes that are both.
    Combined(usize),
    /// Brokers, and controllers of their own behind them.
    Split(usize, usize),
}

/// How the nodes know the voters.
#[derive(Clone, Copy, PartialEq)]
pub enum Voters {
    Static,
    Dynamic,
    /// Dynamic, and only so many controllers are voters from the beginning.
    First(usize),
}

pub struct Nodes {
    voters: Voters,
    /// What every node's configuration has beside the usual.
    settings: Vec<(String, String)>,
    /// What a JVM gets.
    heap: &'static [&'static str],
    pub all: Vec<Node>,
}

pub struct Node {
    pub id: i32,
    /// Whose program it is now; a stopped node may change hands.
    pub system: System,
    pub port: Option<u16>,
    pub controller_port: Option<u16>,
    dir: PathBuf,
    child: Option<Child>,
    paused: bool,
}

impl Node {
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// All its log directories that are there: [`Node::data`], and a second one where the settings ask for it.
    pub fn dirs(&self) -> Vec<PathBuf> {
        let second = self.dir.join("data-2");
        std::iter::once(self.data()).chain(second.exists().then_some(second)).collect()
    }

    pub fn file(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    pub fn log(&self) -> String {
        let read = |name: &str| fs::read(self.dir.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&read("output.log")).into_owned()
    }

    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("\n--- log of node {}\n{}", self.id, lines[lines.len().saturating_sub(15)..].join("\n"))
    }

    /// Whether it was started and neither stopped nor killed since.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Nodes {
    /// A formatted cluster of one kind under `target/judges/NAME`; nothing runs yet.
    pub fn make(system: System, name: &str, shape: Shape, voters: Voters) -> Result<Nodes> {
        Nodes::of_kinds(&[system], HEAP_OF_SERVER, name, shape, voters, &[])
    }

    /// As [`Nodes::make`], the nodes being of these kinds in turn, brokers first, with further `settings`, in which
    /// `{dir}` is the node's place. What is formatted is formatted by the node's own kind.
    pub fn of_kinds(
        kinds: &[System],
        heap: &'static [&'static str],
        name: &str,
        shape: Shape,
        voters: Voters,
        settings: &[(&str, &str)],
    ) -> Result<Nodes> {
        let dir = super::super::scratch(name)?;
        let ports = free_ports::<MOST_PORTS>()?;
        let mut ports = ports.into_iter();
        let (brokers, controllers, combined) = match shape {
            Shape::Combined(count) => (count, 0, true),
            Shape::Split(brokers, controllers) => (brokers, controllers, false),
        };
        let mut all = Vec::new();
        for at in 0..brokers + controllers {
            let id = at as i32 + 1;
            let system = kinds[at % kinds.len()];
            let broker = at < brokers;
            let port = broker.then(|| ports.next()).flatten();
            let controller_port = (combined || !broker).then(|| ports.next()).flatten();
            let dir = dir.join(format!("node-{id}"));
            fs::create_dir_all(&dir)?;
            all.push(Node { id, system, port, controller_port, dir, child: None, paused: false });
        }
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let nodes = Nodes { voters, settings: settings.collect(), heap, all };
        for node in &nodes.all {
            fs::write(node.file(), nodes.properties(node, brokers))?;
        }
        let mut first = Vec::new();
        let most = match voters {
            Voters::Static => 0,
            Voters::Dynamic => usize::MAX,
            Voters::First(count) => count,
        };
        for node in &nodes.all {
            if first.len() == most {
                break;
            }
            if let Some(port) = node.controller_port {
                let mut random = node.system.program("kafka-storage")?;
                let directory = process::checked(random.arg("random-uuid"), READY)?;
                first.push(format!("{}@localhost:{port}:{}", node.id, directory.trim()));
            }
        }
        for node in &nodes.all {
            nodes.format(node, &first)?;
        }
        Ok(nodes)
    }

    fn properties(&self, node: &Node, brokers: usize) -> String {
        let copies = brokers.min(3);
        let in_sync = if copies > 2 { 2 } else { 1 };
        let roles = match (node.port, node.controller_port) {
            (Some(_), Some(_)) => "broker,controller",
            (Some(_), None) => "broker",
            _ => "controller",
        };
        let client = node.port.map(|p| format!("PLAINTEXT://localhost:{p}"));
        let controller = node.controller_port.map(|p| format!("CONTROLLER://localhost:{p}"));
        let listeners: Vec<String> = client.iter().chain(&controller).cloned().collect();
        let known = |show: &dyn Fn(i32, u16) -> String| {
            let all = self.all.iter().filter_map(|n| Some(show(n.id, n.controller_port?)));
            all.collect::<Vec<_>>().join(",")
        };
        let quorum = match self.voters {
            Voters::Static => format!("voters={}", known(&|id, port| format!("{id}@localhost:{port}"))),
            Voters::Dynamic | Voters::First(_) => {
                format!("bootstrap.servers={}", known(&|_, port| format!("localhost:{port}")))
            }
        };
        let mut text = format!(
            "process.roles={roles}\nnode.id={}\ncontroller.quorum.{quorum}\nlisteners={}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n{}log.dirs={}\n\
             min.insync.replicas={in_sync}\noffsets.topic.replication.factor={copies}\n\
             offsets.topic.num.partitions=5\ntransaction.state.log.replication.factor={copies}\n\
             transaction.state.log.min.isr={in_sync}\ngroup.initial.rebalance.delay.ms=0\n",
            node.id,
            listeners.join(","),
            if client.is_some() { "inter.broker.listener.name=PLAINTEXT\n" } else { "" },
            node.data().display(),
        );
        for (key, value) in &self.settings {
            let value = value.replace("{dir}", &node.dir.display().to_string());
            // In place of the usual one.
            if let Some(at) = text.find(&format!("\n{key}=")) {
                let end = text[at + 1..].find('\n').map_or(text.len(), |end| at + 1 + end);
                text.replace_range(at..end, "");
            }
            text.push_str(&format!("{key}={value}\n"));
        }
        text
    }

    /// `first`: the voters that a dynamic quorum begins with; empty for a node that comes to one.
    fn format(&self, node: &Node, first: &[String]) -> Result<()> {
        let mut format = node.system.program("kafka-storage")?;
        format.args(["format", "-t", CLUSTER, "-c"]).arg(node.file());
        if self.voters != Voters::Static {
            if !first.iter().any(|voter| voter.starts_with(&format!("{}@", node.id))) {
                format.arg("--no-initial-controllers");
            } else {
                format.arg("--initial-controllers").arg(first.join(","));
            }
        }
        process::checked(&mut format, READY).map(drop)
    }

    fn at(&mut self, id: i32) -> &mut Node {
        self.all.iter_mut().find(|n| n.id == id).expect("a node of this cluster")
    }

    // ---- life and death

    /// A stopped node's directory and configuration change hands.
    pub fn give(&mut self, id: i32, system: System) -> Result<()> {
        let node = self.at(id);
        ensure!(node.child.is_none(), "node {id} runs");
        node.system = system;
        Ok(())
    }

    /// A stopped controller gets another port, in its own configuration alone; the port.
    pub fn readdress(&mut self, id: i32) -> Result<u16> {
        let [port] = free_ports::<1>()?;
        let node = self.at(id);
        ensure!(node.child.is_none(), "node {id} runs");
        let old = node.controller_port.replace(port).context("a controller")?;
        let text = fs::read_to_string(node.file())?;
        fs::write(node.file(), text.replace(&format!("localhost:{old}"), &format!("localhost:{port}")))?;
        Ok(port)
    }

    pub fn start(&mut self, id: i32) -> Result<()> {
        let heap = self.heap;
        let node = self.at(id);
        ensure!(node.child.is_none(), "node {id} runs already");
        let mut command = match node.system {
            System::Apache => {
                let mut command = peers::java(&peers::install()?, heap, "INFO");
                command.arg("kafka.Kafka");
                command
            }
            System::Ottla => node.system.program("kafka-server-start")?,
        };
        let log = File::options().create(true).append(true).open(node.dir.join("output.log"))?;
        // Ours ends when this program does, however that ends.
        command.arg(node.file()).current_dir(&node.dir).env("OTTLA_OWNER", std::process::id().to_string());
        command.env_remove("LOG_DIR").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        node.child = Some(command.spawn().context("cannot start a node")?);
        Ok(())
    }

    pub fn start_all(&mut self) -> Result<()> {
        let ids: Vec<i32> = self.all.iter().filter(|n| n.child.is_none()).map(|n| n.id).collect();
        ids.into_iter().try_for_each(|id| self.start(id))
    }

    /// kill -9.
    pub fn kill(&mut self, id: i32) -> Result<()> {
        let mut child = self.at(id).child.take().with_context(|| format!("node {id} does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGTERM; it must end by itself, and well.
    pub fn stop(&mut self, id: i32) -> Result<()> {
        let mut child = self.at(id).child.take().with_context(|| format!("node {id} does not run"))?;
        process::signal(child.id(), "TERM");
        let Some(status) = process::wait(&mut child, Duration::from_secs(40))? else {
            child.kill()?;
            child.wait()?;
            bail!("node {id} is there 40 s after SIGTERM{}", self.at(id).tail());
        };
        // A JVM ends with 128 + 15.
        ensure!(status.success() || status.code() == Some(143), "{status}{}", self.at(id).tail());
        Ok(())
    }

    /// SIGSTOP, or SIGCONT.
    pub fn pause(&mut self, id: i32, paused: bool) -> Result<()> {
        let node = self.at(id);
        let pid = node.child.as_ref().context("it runs")?.id();
        ensure!(process::signal(pid, if paused { "STOP" } else { "CONT" }), "no process {pid}");
        node.paused = paused;
        Ok(())
    }

    /// A node that must end by itself, with 1; what it said.
    pub fn refuses(&mut self, id: i32, limit: Duration) -> Result<String> {
        self.start(id)?;
        let mut child = self.at(id).child.take().context("it was started")?;
        let Some(status) = process::wait(&mut child, limit)? else {
            child.kill()?;
            child.wait()?;
            bail!("node {id} is there after {} s{}", limit.as_secs(), self.at(id).tail());
        };
        ensure!(status.code() == Some(1), "exit 1, not {status}{}", self.at(id).tail());
        super::super::no_panic(&self.node(id).log())?;
        Ok(self.node(id).log())
    }

    /// Whether its process is there; one that ended by itself counts as stopped from then on.
    pub fn is_there(&mut self, id: i32) -> bool {
        let node = self.at(id);
        if node.child.is_some() && !node.alive() {
            node.child = None;
        }
        node.child.is_some()
    }

    /// Changes lines of a stopped node's configuration.
    pub fn configure(&mut self, id: i32, changes: &[(&str, &str)]) -> Result<()> {
        let file = self.node(id).file();
        let text = fs::read_to_string(&file)?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (key, value) in changes {
            lines.retain(|line| !line.starts_with(&format!("{key}=")));
            lines.push(format!("{key}={value}"));
        }
        Ok(fs::write(file, lines.join("\n") + "\n")?)
    }

    /// Formats a stopped node's directories, for this cluster or another, with further arguments.
    pub fn format_as(&self, id: i32, cluster: &str, arguments: &[&str]) -> Result<()> {
        let node = self.node(id);
        let mut format = node.system.program("kafka-storage")?;
        format.args(["format", "-t", cluster, "-c"]).arg(node.file()).args(arguments);
        process::checked(&mut format, READY).map(drop)
    }

    /// Its data are gone, its directory is formatted anew.
    pub fn wipe(&mut self, id: i32) -> Result<()> {
        let node = self.at(id);
        ensure!(node.child.is_none(), "node {id} runs");
        fs::remove_dir_all(node.data())?;
        let node = self.all.iter().find(|n| n.id == id).expect("a node of this cluster");
        self.format(node, &[])
    }

    // ---- what they say

    /// Clients' ports of the nodes that run.
    pub fn ports(&self) -> Vec<u16> {
        self.all.iter().filter(|n| n.child.is_some() && !n.paused).filter_map(|n| n.port).collect()
    }

    /// Clients' ports of all nodes.
    pub fn all_ports(&self) -> Vec<u16> {
        self.all.iter().filter_map(|n| n.port).collect()
    }

    /// The directory of all nodes' directories.
    pub fn dir(&self) -> &Path {
        self.all[0].dir.parent().expect("a node's directory lies in the cluster's")
    }

    pub fn node(&self, id: i32) -> &Node {
        self.all.iter().find(|n| n.id == id).expect("a node of this cluster")
    }

    pub fn bootstrap(&self) -> String {
        self.all_ports().iter().map(|p| format!("localhost:{p}")).collect::<Vec<_>>().join(",")
    }

    /// Until every broker that runs lists every broker that runs.
    pub fn ready(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let wanted: Vec<i32> =
            self.all.iter().filter(|n| n.child.is_some() && n.port.is_some()).map(|n| n.id).collect();
        loop {
            for node in &mut self.all {
                ensure!(node.child.is_none() || node.alive(), "node {} ended{}", node.id, node.tail());
            }
            let sees = |port: &u16| {
                wire::view(*port).is_ok_and(|view| wanted.iter().all(|id| view.brokers.contains_key(id)))
            };
            if self.ports().iter().all(sees) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > READY {
                let logs: String = self.all.iter().map(Node::tail).collect();
                bail!("not all of {wanted:?} serve after {} s{logs}", READY.as_secs());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// As the first broker that answers sees it.
    pub fn view(&self) -> Result<View> {
        self.ports().iter().find_map(|port| wire::view(*port).ok()).context("no broker answers")
    }

    pub fn leader(&self, topic: &str, partition: i32) -> Result<i32> {
        let view = self.view()?;
        let found = view.partitions.get(&(topic.to_owned(), partition)).context("the partition")?;
        ensure!(found.leader >= 0, "{topic}-{partition} has no leader");
        Ok(found.leader)
    }

    /// The active controller, as itself says.
    pub fn controller(&self) -> Result<i32> {
        let start = Instant::now();
        while start.elapsed() < READY {
            let running = self.all.iter().filter(|n| n.child.is_some() && !n.paused);
            let found = running.filter_map(|n| wire::quorum_leader(n.controller_port?).ok()?);
            if let Some((_, id)) = found.max() {
                return Ok(id);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("no active controller")
    }

    /// Until every partition of `topic` has all its replicas in sync; how long that took.
    pub fn whole(&self, topic: &str) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let view = self.view().unwrap_or_default();
            let mut mine = view.partitions.iter().filter(|((name, _), _)| name == topic).peekable();
            let there = mine.peek().is_some();
            let short: Vec<_> = mine.filter(|(_, p)| p.isr.len() < p.replicas.len()).collect();
            if there && short.is_empty() {
                return Ok(start.elapsed());
            }
            if start.elapsed() > READY {
                let logs: String = self.all.iter().map(Node::tail).collect();
                bail!("the ISR is not whole after {} s: {short:?}{logs}", READY.as_secs());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn no_panic(&self) -> Result<()> {
        self.all.iter().try_for_each(|node| super::super::no_panic(&node.log()))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.all {
            if let Some(child) = &mut node.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
