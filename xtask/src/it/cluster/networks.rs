//! `cluster-networks`: three hosts with the names of the tutorials, each a network namespace of its own, started from the
//! stock file with the tutorial's changes (S0-32); one host is then cut off from the others, in one direction or both,
//! while clients still reach all of them. Histories are judged as in `cluster-history`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::history::{PARTITIONS, PROCESSES, Places, TOPIC, Workload, judge};
use super::wire;
use crate::machine::Need;
use crate::peers::{self, HEAP_OF_SERVER};
use crate::process;
use crate::server::{CLUSTER, System};
use crate::tally::Tally;

pub const NEEDS: &[Need] = &[Need::Namespaces];

const SOON: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(180);
/// Nobody's: what is sent there arrives nowhere.
const NOWHERE: &str = "02:00:00:00:00:99";

pub fn run(tally: &mut Tally, system: System) {
    tally.check(
        "three hosts from the stock file; each is cut off: both ways, then only what it sends",
        || cuts(system),
    );
}

fn ip(words: &[&str]) -> Result<String> {
    process::checked(Command::new("ip").args(words), Duration::from_secs(10))
}

/// Hosts 1 to 3 on one bridge; gone when this is dropped.
struct Hosts {
    system: System,
    bridge: String,
    /// The first three numbers of all addresses.
    net: String,
    dir: PathBuf,
    nodes: BTreeMap<i32, Child>,
}

impl Hosts {
    fn make(system: System) -> Result<Hosts> {
        let pid = std::process::id() % 10_000;
        let dir = super::super::scratch("cluster-networks")?;
        let net = format!("10.{}.{}", 200 + pid % 50, pid % 250);
        let hosts = Hosts { system, bridge: format!("ob{pid}"), net, dir, nodes: BTreeMap::new() };
        let bridge = hosts.bridge.clone();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}.254/24", hosts.net), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        let names: String =
            (1..=3).map(|id| format!("{}.{id} kafka{id}.mydomain.com kafka{id}\n", hosts.net)).collect();
        for id in 1..=3 {
            let (space, outside) = (hosts.space(id), format!("{bridge}-{id}"));
            ip(&["netns", "add", &space])?;
            ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["link", "set", &outside, "master", &bridge])?;
            ip(&["link", "set", &outside, "up"])?;
            ip(&["-n", &space, "addr", "add", &format!("{}.{id}/24", hosts.net), "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            // `ip netns exec` puts what lies here over /etc.
            let etc = Path::new("/etc/netns").join(&space);
            fs::create_dir_all(&etc)?;
            fs::write(etc.join("hosts"), format!("127.0.0.1 localhost\n{names}"))?;
            hosts.configure(id)?;
        }
        Ok(hosts)
    }

    fn space(&self, id: i32) -> String {
        format!("{}n{id}", self.bridge)
    }

    fn address(&self, id: i32) -> String {
        format!("{}.{id}", self.net)
    }

    fn places(&self) -> Result<Places> {
        let at = |id: i32| -> Result<(i32, SocketAddr)> {
            Ok((id, format!("{}:9092", self.address(id)).parse()?))
        };
        (1..=3).map(at).collect()
    }

    fn inside(&self, id: i32, command: &Command) -> Command {
        let mut within = Command::new("ip");
        within.args(["netns", "exec", &self.space(id)]).arg(command.get_program()).args(command.get_args());
        within
    }

    fn home(&self, id: i32) -> PathBuf {
        self.dir.join(format!("kafka{id}"))
    }

    /// What the tutorial types over the stock file.
    fn configure(&self, id: i32) -> Result<()> {
        let home = self.home(id);
        fs::create_dir_all(&home)?;
        let voters: Vec<String> = (1..=3).map(|id| format!("{id}@kafka{id}.mydomain.com:9093")).collect();
        let name = format!("kafka{id}.mydomain.com");
        let file = super::super::config(
            &home,
            &[
                ("node.id", &id.to_string()),
                ("controller.quorum.voters", &voters.join(",")),
                ("listeners", &format!("PLAINTEXT://{name}:9092,CONTROLLER://{name}:9093")),
                ("advertised.listeners", &format!("PLAINTEXT://{name}:9092")),
                ("log.dirs", &home.join("data").display().to_string()),
                ("num.partitions", "6"),
                ("min.insync.replicas", "2"),
                ("offsets.topic.replication.factor", "3"),
            ],
        )?;
        let mut format = self.system.program("kafka-storage")?;
        format.args(["format", "-t", CLUSTER, "-c"]).arg(file);
        process::checked(&mut self.inside(id, &format), SOON).map(drop)
    }

    fn start(&mut self, id: i32) -> Result<()> {
        let mut server = match self.system {
            System::Apache => {
                let mut java = peers::java(&peers::install()?, HEAP_OF_SERVER, "INFO");
                java.arg("kafka.Kafka");
                java
            }
            System::Ottla => self.system.program("kafka-server-start")?,
        };
        let home = self.home(id);
        server.arg(home.join("server.properties"));
        let mut command = self.inside(id, &server);
        let log = File::options().create(true).append(true).open(home.join("output.log"))?;
        command.current_dir(&home).env("OTTLA_OWNER", std::process::id().to_string()).env_remove("LOG_DIR");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.nodes.insert(id, command.spawn().context("cannot start a node")?);
        Ok(())
    }

    fn kill(&mut self, id: i32) -> Result<()> {
        let mut child = self.nodes.remove(&id).context("it runs")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn log(&self, id: i32) -> String {
        let bytes = fs::read(self.home(id).join("output.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What `from` sends to `to` arrives nowhere, or arrives again.
    fn cut(&self, from: i32, to: i32, cut: bool) -> Result<()> {
        let (space, address) = (self.space(from), self.address(to));
        let neighbour = ["dev", "eth0"];
        let words = match cut {
            true => [
                &["-n", &space, "neigh", "replace", &address, "lladdr", NOWHERE, "nud", "permanent"],
                &neighbour[..],
            ]
            .concat(),
            false => [&["-n", &space, "neigh", "del", &address], &neighbour[..]].concat(),
        };
        ip(&words).map(drop)
    }

    /// Until the others do without `id`: it is fenced, and in no ISR.
    fn missed(&self, id: i32) -> Result<()> {
        let (places, start) = (self.places()?, Instant::now());
        let without = |at: &SocketAddr| {
            let Ok(view) = wire::view_at(*at) else { return false };
            let holds = view.partitions.values().any(|p| p.isr.contains(&id) || p.leader == id);
            !view.brokers.contains_key(&id) && !holds
        };
        while !places.iter().filter(|(other, _)| **other != id).all(|(_, at)| without(at)) {
            ensure!(start.elapsed() < SOON, "kafka{id} is cut off, and the others do not miss it");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Every broker lists three, and the topic, if any, is whole.
    fn whole(&self, topic: Option<&str>) -> Result<()> {
        let (places, start) = (self.places()?, Instant::now());
        loop {
            let views: Vec<_> = places.values().filter_map(|at| wire::view_at(*at).ok()).collect();
            let short = |view: &wire::View| {
                let mine = view.partitions.iter().filter(|((name, _), _)| topic.is_some_and(|t| t == name));
                mine.filter(|(_, p)| p.isr.len() < 3 || p.leader < 0).count()
            };
            if views.len() == 3 && views.iter().all(|view| view.brokers.len() == 3 && short(view) == 0) {
                return Ok(());
            }
            if start.elapsed() > START {
                let tails: Vec<String> =
                    (1..=3).map(|id| self.log(id).lines().rev().take(5).collect()).collect();
                bail!("not whole after {} s: {views:?}\n{}", START.as_secs(), tails.join("\n"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for child in self.nodes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for id in 1..=3 {
            let _ = ip(&["netns", "del", &self.space(id)]);
            let _ = fs::remove_dir_all(Path::new("/etc/netns").join(self.space(id)));
        }
        let _ = ip(&["link", "del", &self.bridge]);
    }
}

fn cuts(system: System) -> Result<()> {
    let mut hosts = Hosts::make(system)?;
    for id in [3, 1, 2] {
        hosts.start(id)?;
    }
    hosts.whole(None)?;
    let places = hosts.places()?;
    let code = wire::create_topic_at(places[&1], TOPIC, PARTITIONS, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    hosts.whole(Some(TOPIC))?;
    let workload = Workload::start(&places, TOPIC, PARTITIONS, PROCESSES);
    workload.until_more(200, SOON)?;
    let mut faults = Vec::new();
    for id in 1..=3 {
        let others: Vec<i32> = (1..=3).filter(|other| *other != id).collect();
        for both in [true, false] {
            faults.push(if both { "cut off" } else { "mute" });
            for other in &others {
                hosts.cut(id, *other, true)?;
                if both {
                    hosts.cut(*other, id, true)?;
                }
            }
            hosts.missed(id)?;
            // The other two go on.
            workload.until_more(50, SOON).with_context(|| format!("while kafka{id} was cut off"))?;
            for other in &others {
                hosts.cut(id, *other, false)?;
                if both {
                    hosts.cut(*other, id, false)?;
                }
            }
            hosts.whole(Some(TOPIC))?;
            workload.until_more(50, SOON)?;
        }
        faults.push("kill");
        hosts.kill(id)?;
        workload.until_more(50, SOON)?;
        hosts.start(id)?;
        hosts.whole(Some(TOPIC))?;
    }
    judge(workload, &faults)?;
    (1..=3).try_for_each(|id| super::super::no_panic(&hosts.log(id)))
}
