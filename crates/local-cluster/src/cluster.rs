//! All nodes of a cluster, with the directories they live in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::ask::{self, Leader, View};
use crate::node::Node;
use crate::topology::{Quorum, Topology};
use crate::{ports, properties};

/// A cluster of processes. Dropped, all of them are killed; a temporary directory goes with them.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    dir: PathBuf,
    topology: Topology,
    cluster_id: String,
    nodes: Vec<Node>,
    // After the nodes: they are dropped, and so ended, before their files go.
    temporary: Option<tempfile::TempDir>,
}

impl Cluster {
    /// A cluster in a temporary directory with free ports.
    pub fn ephemeral(binary: impl AsRef<Path>, topology: Topology) -> Result<Cluster> {
        let temporary = tempfile::Builder::new().prefix("ottla-cluster-").tempdir()?;
        let dir = temporary.path().to_owned();
        let mut cluster = Cluster::create(binary, &dir, topology)?;
        cluster.temporary = Some(temporary);
        Ok(cluster)
    }

    /// A cluster below `dir` with free ports: what is formatted there already is used as it is.
    pub fn create(binary: impl AsRef<Path>, dir: &Path, topology: Topology) -> Result<Cluster> {
        let ports = ports::free_ports(topology.brokers() + topology.controllers())?;
        Cluster::create_at(binary, dir, topology, &ports)
    }

    /// As [`Cluster::create`] with the ports named: one for each broker by its id, then one for each controller.
    pub fn create_at(
        binary: impl AsRef<Path>,
        dir: &Path,
        topology: Topology,
        ports: &[u16],
    ) -> Result<Cluster> {
        ensure!(topology.controllers() > 0, "a cluster has at least one controller");
        let needed = topology.brokers() + topology.controllers();
        ensure!(ports.len() == needed, "{needed} ports, not {}", ports.len());
        let dir = std::path::absolute(dir)?;
        let (mut for_clients, mut for_controllers) =
            (ports[..topology.brokers()].iter(), ports[topology.brokers()..].iter());
        let nodes = topology.roles.iter().map(|(id, role)| {
            let port = if role.is_broker() { for_clients.next().copied() } else { None };
            let controller_port = if role.is_controller() { for_controllers.next().copied() } else { None };
            Node::new(*id, *role, port, controller_port, dir.join(format!("node-{id}")))
        });
        let nodes = nodes.collect();
        let binary = std::path::absolute(binary.as_ref())?;
        let mut cluster =
            Cluster { binary, dir, topology, cluster_id: String::new(), nodes, temporary: None };
        for node in &cluster.nodes {
            fs::create_dir_all(&node.dir).with_context(|| node.dir.display().to_string())?;
            let text = properties::text(&cluster.topology, &cluster.nodes, node);
            fs::write(node.properties(), text)?;
        }
        cluster.cluster_id = match cluster.known_id()? {
            Some(id) => id,
            None => cluster.random_uuid()?,
        };
        cluster.format()?;
        Ok(cluster)
    }

    /// The cluster's id, as `meta.properties` has it.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The directory of all nodes' directories.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was asked for.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Every node.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node `id`; panics when there is none.
    pub fn node(&self, id: i32) -> &Node {
        self.nodes.iter().find(|n| n.id == id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    fn node_mut(&mut self, id: i32) -> &mut Node {
        self.nodes.iter_mut().find(|n| n.id == id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    /// Every broker's address, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let all = self.nodes.iter().filter_map(|n| n.port).map(|port| format!("localhost:{port}"));
        all.collect::<Vec<_>>().join(",")
    }

    // ---- life and death

    /// Starts one node; it does not wait for it to serve.
    pub fn start(&mut self, id: i32) -> Result<()> {
        let binary = self.binary.clone();
        self.node_mut(id).start(&binary)
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) -> Result<()> {
        let binary = self.binary.clone();
        self.nodes.iter_mut().filter(|n| n.pid().is_none()).try_for_each(|node| node.start(&binary))
    }

    /// Starts the nodes of `order`, each `pause` after the one before it.
    pub fn start_in_order(&mut self, order: &[i32], pause: Duration) -> Result<()> {
        for (at, id) in order.iter().enumerate() {
            if at > 0 {
                thread::sleep(pause);
            }
            self.start(*id)?;
        }
        Ok(())
    }

    /// kill -9 of one node.
    pub fn kill(&mut self, id: i32) -> Result<()> {
        self.node_mut(id).kill()
    }

    /// kill -9 of every node.
    pub fn kill_all(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::kill)
    }

    /// SIGTERM to one node; waits for its end, which must be a good one within `limit`.
    pub fn stop(&mut self, id: i32, limit: Duration) -> Result<()> {
        self.node_mut(id).terminate()?;
        self.node_mut(id).wait_end(limit)
    }

    /// SIGTERM to every node at once. What is there after `limit` is killed, and that is an error.
    pub fn stop_all(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        self.nodes.iter_mut().try_for_each(Node::terminate)?;
        let left = || limit.saturating_sub(start.elapsed());
        let ends: Vec<Result<()>> = self.nodes.iter_mut().map(|node| node.wait_end(left())).collect();
        ends.into_iter().collect()
    }

    /// SIGSTOP.
    pub fn pause(&mut self, id: i32) -> Result<()> {
        self.node_mut(id).pause()
    }

    /// SIGCONT.
    pub fn resume(&mut self, id: i32) -> Result<()> {
        self.node_mut(id).resume()
    }

    /// Takes a stopped node's data away and formats its directory anew, for the same cluster.
    pub fn wipe(&mut self, id: i32) -> Result<()> {
        let node = self.node(id);
        ensure!(node.pid().is_none(), "node {id} runs");
        let data = node.data();
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
        }
        self.format()
    }

    /// The nodes that ended since this was asked for the last time.
    pub fn exits(&mut self) -> Result<Vec<(i32, ExitStatus)>> {
        let mut all = Vec::new();
        for node in &mut self.nodes {
            if let Some(status) = node.take_exit()? {
                all.push((node.id, status));
            }
        }
        Ok(all)
    }

    // ---- what clients would see

    /// Waits until every running broker lists every running broker: then each of them serves.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some((id, status)) = self.exits()?.first() {
                bail!("node {id} ended ({status})\n{}", self.node(*id).log_tail(15));
            }
            let running: Vec<&Node> = self.nodes.iter().filter(|n| n.is_running()).collect();
            let wanted: Vec<i32> = running.iter().filter(|n| n.port.is_some()).map(|n| n.id).collect();
            let missing = running.iter().find(|node| {
                let Some(port) = node.port else { return false };
                let seen = ask::view(port, Duration::from_secs(2)).map(|v| v.brokers).unwrap_or_default();
                !wanted.iter().all(|id| seen.contains(id))
            });
            let Some(node) = missing else { return Ok(()) };
            if start.elapsed() > limit {
                bail!(
                    "node {} does not list all of {wanted:?} after {} s\n{}",
                    node.id,
                    limit.as_secs(),
                    node.log_tail(15)
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Brokers, partitions and leaders as the first running broker that answers knows them.
    pub fn view(&self) -> Result<View> {
        let mut last = None;
        for port in self.nodes.iter().filter(|n| n.is_running()).filter_map(|n| n.port) {
            match ask::view(port, Duration::from_secs(2)) {
                Ok(view) => return Ok(view),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no broker runs")))
    }

    /// The active controller, as the controllers themselves say; none while there is no majority.
    pub fn controller(&self) -> Option<Leader> {
        let ports = self.nodes.iter().filter(|n| n.is_running()).filter_map(|n| n.controller_port);
        // A leader that was cut off may not know yet: the highest epoch is the one that counts.
        ports
            .filter_map(|port| ask::quorum_leader(port, Duration::from_secs(1)).ok()?)
            .max_by_key(|l| l.epoch)
    }

    // ---- formatting

    fn known_id(&self) -> Result<Option<String>> {
        let mut found = None;
        for node in self.nodes.iter().filter(|n| n.is_formatted()) {
            let file = node.data().join("meta.properties");
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let id = text.lines().find_map(|l| l.strip_prefix("cluster.id=")).map(|id| id.trim().to_owned());
            let id = id.with_context(|| format!("{} has no cluster.id", file.display()))?;
            if let Some(other) = &found {
                ensure!(*other == id, "{} belongs to cluster {id}, another node to {other}", file.display());
            }
            found = Some(id);
        }
        Ok(found)
    }

    fn format(&self) -> Result<()> {
        let fresh: Vec<&Node> = self.nodes.iter().filter(|n| !n.is_formatted()).collect();
        let mut first_voters = Vec::new();
        if self.topology.quorum == Quorum::InitialControllers && fresh.len() == self.nodes.len() {
            for node in &self.nodes {
                if let Some(port) = node.controller_port {
                    first_voters.push(format!("{}@localhost:{port}:{}", node.id, self.random_uuid()?));
                }
            }
        }
        let leader = self.nodes.iter().find(|n| n.role.is_controller()).map(|n| n.id);
        for node in &fresh {
            let mut flags = Vec::new();
            match self.topology.quorum {
                Quorum::Static => {}
                // A cluster that is there already knows its voters; a node that joins it has to learn them.
                Quorum::InitialControllers if !first_voters.is_empty() && node.role.is_controller() => {
                    flags = vec!["--initial-controllers".to_owned(), first_voters.join(",")];
                }
                Quorum::Standalone if fresh.len() == self.nodes.len() && Some(node.id) == leader => {
                    flags.push("--standalone".to_owned());
                }
                Quorum::InitialControllers | Quorum::Standalone => {
                    flags.push("--no-initial-controllers".to_owned());
                }
            }
            let file = node.properties().display().to_string();
            let mut arguments = vec!["format", "--cluster-id", &self.cluster_id, "--config", &file];
            arguments.extend(flags.iter().map(String::as_str));
            self.storage(&arguments).with_context(|| format!("node {}", node.id))?;
        }
        Ok(())
    }

    fn random_uuid(&self) -> Result<String> {
        Ok(self.storage(&["random-uuid"])?.trim().to_owned())
    }

    /// Runs the binary's `kafka-storage`.
    fn storage(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        let output = command.arg("kafka-storage").args(arguments).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start {}", self.binary.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(
            output.status.success(),
            "kafka-storage {}: {}{}",
            arguments[0],
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }
}
