//! One node under judgement: Apache Kafka's or ours, started, stopped and killed the same way on the same directory.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::frame;
use crate::peers::{self, HEAP_OF_SERVER};
use crate::process;

/// The cluster id of every judged cluster.
pub const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// Whose server it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum System {
    Apache,
    Ottla,
}

impl System {
    pub fn parse(name: &str) -> Result<System> {
        match name {
            "apache" => Ok(System::Apache),
            "ottla" => Ok(System::Ottla),
            _ => bail!("'{name}' is neither apache nor ottla"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            System::Apache => "Apache Kafka",
            System::Ottla => "Ottla",
        }
    }

    /// One of its programs, ready for its arguments: `kafka-storage`, `kafka-server-start`.
    pub fn program(self, name: &str) -> Result<Command> {
        match self {
            System::Apache => peers::tool(&peers::install()?, name),
            System::Ottla => {
                let mut command = Command::new(binary());
                command.arg(name);
                Ok(command)
            }
        }
    }
}

/// Our program, as Cargo leaves it.
pub fn binary() -> PathBuf {
    process::target().join(profile()).join("ottla")
}

/// Builds our program.
pub fn build() -> Result<()> {
    build_for(None)
}

/// Builds our program for another target than this machine's usual one.
pub fn build_for(target: Option<&str>) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--quiet", "--profile", &profile(), "--package", "ottla-server"]);
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    process::stream(&mut cargo)
}

/// The Cargo profile of our program. `OTTLA_PROFILE=sim` builds in a third of the time, for work on a judge; figures come
/// from `release` alone.
pub fn profile() -> String {
    std::env::var("OTTLA_PROFILE").unwrap_or_else(|_| "release".to_owned())
}

/// A node's directory, its ports, and what its configuration has beside the usual.
#[derive(Clone)]
pub struct Site {
    pub dir: PathBuf,
    pub port: u16,
    pub controller_port: u16,
    /// A dynamic quorum, formatted with `--standalone`, in place of `controller.quorum.voters`.
    pub dynamic: bool,
    pub settings: Vec<(String, String)>,
}

impl Site {
    /// An empty directory under `target/NAME` and two free ports.
    pub fn fresh(name: &str) -> Result<Site> {
        let dir = process::target().join("judges").join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
        }
        fs::create_dir_all(&dir)?;
        let [port, controller_port] = free_ports()?;
        Ok(Site { dir, port, controller_port, dynamic: false, settings: Vec::new() })
    }

    /// The same site with one more line in its configuration.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Site {
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    pub fn bootstrap(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Where the node keeps its partitions.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn properties(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    /// Writes the configuration file.
    pub fn write_properties(&self) -> Result<()> {
        let (port, controller) = (self.port, self.controller_port);
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            "node.id=1".to_owned(),
            format!("listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}"),
            "controller.listener.names=CONTROLLER".to_owned(),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
            format!("log.dirs={}", self.data().display()),
            "offsets.topic.replication.factor=1".to_owned(),
            "transaction.state.log.replication.factor=1".to_owned(),
            "transaction.state.log.min.isr=1".to_owned(),
            "group.initial.rebalance.delay.ms=0".to_owned(),
            if self.dynamic {
                format!("controller.quorum.bootstrap.servers=localhost:{controller}")
            } else {
                format!("controller.quorum.voters=1@localhost:{controller}")
            },
        ];
        for (key, value) in &self.settings {
            lines.retain(|line| !line.starts_with(&format!("{key}=")));
            lines.push(format!("{key}={value}"));
        }
        fs::write(self.properties(), lines.join("\n") + "\n")?;
        Ok(())
    }

    /// Writes the configuration and formats the directory with `system`'s own tool, unless it is formatted.
    pub fn format(&self, system: System) -> Result<()> {
        self.write_properties()?;
        if self.data().join("meta.properties").exists() {
            return Ok(());
        }
        let mut format = system.program("kafka-storage")?;
        format.args(["format", "-t", CLUSTER, "-c"]).arg(self.properties());
        if self.dynamic {
            format.arg("--standalone");
        }
        process::checked(&mut format, Duration::from_secs(180)).map(drop)
    }
}

/// Two ports below the range that outgoing connections take theirs from, free at this moment.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut found = [0; N];
    let mut held = Vec::new();
    // Different judges at the same time begin at different places: their writers must never meet each other's nodes.
    let mut port = match std::env::var("JUDGE_PORT_BASE") {
        Ok(base) => base.parse().context("JUDGE_PORT_BASE")?,
        Err(_) => 20_000 + (std::process::id() % 1_000) as u16 * 10,
    };
    for slot in &mut found {
        loop {
            port += 1;
            ensure!(port < 32_000, "no free port");
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                held.push(listener);
                break;
            }
        }
        *slot = port;
    }
    Ok(found)
}

/// A running node. Dropped, it is killed.
pub struct Server {
    pub system: System,
    pub site: Site,
    /// From the start of the process to its first Metadata answer that lists a broker.
    pub ready: Duration,
    child: Child,
}

impl Server {
    /// Formats the site when it is new, starts the node and waits until it serves.
    pub fn start(system: System, site: &Site) -> Result<Server> {
        Server::start_within(system, site, Duration::from_secs(60))
    }

    /// As [`Server::start`]; an error when it does not serve within `limit`.
    pub fn start_within(system: System, site: &Site, limit: Duration) -> Result<Server> {
        site.format(system)?;
        let log = File::options().create(true).append(true).open(site.dir.join("server.log"))?;
        let mut command = match system {
            System::Apache => {
                let mut command = peers::java(&peers::install()?, HEAP_OF_SERVER, "INFO");
                command.arg("kafka.Kafka");
                command
            }
            System::Ottla => system.program("kafka-server-start")?,
        };
        command.arg(site.properties()).current_dir(&site.dir);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", system.name()))?;
        let mut server = Server { system, site: site.clone(), ready: Duration::ZERO, child };
        while !frame::brokers(site.port, Duration::from_secs(5)).is_ok_and(|n| n > 0) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended before it served ({status}){}", system.name(), server.log_tail());
            }
            if start.elapsed() > limit {
                bail!("{} does not serve after {} s{}", system.name(), limit.as_secs(), server.log_tail());
            }
            thread::sleep(Duration::from_millis(1));
        }
        server.ready = start.elapsed();
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn bootstrap(&self) -> String {
        self.site.bootstrap()
    }

    /// What the node logged so far, in all its lives on this site.
    pub fn log(&self) -> String {
        fs::read(self.site.dir.join("server.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("\n--- its log\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
    }

    /// SIGTERM; waits for a controlled end.
    pub fn stop(mut self) -> Result<ExitStatus> {
        process::signal(self.pid(), "TERM");
        match process::wait(&mut self.child, Duration::from_secs(40))? {
            Some(status) => Ok(status),
            None => bail!("{} is still there 40 s after SIGTERM{}", self.system.name(), self.log_tail()),
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether the process is still there.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor seconds (user and system) that a process has used.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / ticks_per_second())
}

/// Processor seconds of all programs that this one has started and that have ended.
pub fn children_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[13].parse::<f64>()? + fields[14].parse::<f64>()?;
    Ok(ticks / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    let output = process::capture(Command::new("getconf").arg("CLK_TCK"), Duration::from_secs(5));
    output.ok().and_then(|o| o.stdout.trim().parse().ok()).unwrap_or(100.0)
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmRSS:")
}

/// The most that a process was ever resident with, in MiB.
pub fn peak_mib(pid: u32) -> Result<f64> {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|l| l.starts_with(field)).with_context(|| format!("no {field}"))?;
    let kib: f64 = line.split_whitespace().nth(1).context("a figure")?.parse()?;
    Ok(kib / 1024.0)
}
