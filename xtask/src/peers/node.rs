//! Nodes of Apache Kafka that outlive the command that started them: `peers up`, `down`, `kill`, `start`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{HEAP_OF_SERVER, Jars, java, tool};
use crate::process;

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// Writes, formats and starts `count` combined nodes under `dir`; returns when every one answers.
pub fn up(jars: &Jars, dir: &Path, count: u16, overrides: &[&str]) -> Result<()> {
    ensure!((1..=99).contains(&count), "1 to 99 nodes");
    let base = base()?;
    let voters: Vec<String> = (1..=count).map(|id| format!("{id}@localhost:{}", base + 100 + id)).collect();
    for id in 1..=count {
        let file = dir.join(format!("{id}.properties"));
        let factor = count.min(3);
        let mut text = format!(
            "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={}\n\
             listeners=PLAINTEXT://localhost:{},CONTROLLER://localhost:{}\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n\
             log.dirs={}\noffsets.topic.replication.factor={factor}\n\
             transaction.state.log.replication.factor={factor}\ntransaction.state.log.min.isr={}\n\
             group.initial.rebalance.delay.ms=0\n",
            voters.join(","),
            base + id,
            base + 100 + id,
            dir.join(id.to_string()).display(),
            if factor < 2 { 1 } else { 2 },
        );
        for line in overrides {
            text.push_str(line);
            text.push('\n');
        }
        fs::write(&file, text)?;
        if !dir.join(id.to_string()).join("meta.properties").exists() {
            let mut format = tool(jars, "kafka-storage")?;
            format.args(["format", "-t", CLUSTER, "-c"]).arg(&file);
            process::checked(&mut format, Duration::from_secs(60))?;
        }
    }
    for id in 1..=count {
        start(jars, dir, id)?;
    }
    let addresses: Vec<String> = (1..=count).map(|id| format!("localhost:{}", base + id)).collect();
    for address in &addresses {
        wait_for_port(address, Duration::from_secs(60))?;
    }
    println!("bootstrap: {}", addresses.join(","));
    Ok(())
}

/// Starts the node `id` of `dir` in the background.
pub fn start(jars: &Jars, dir: &Path, id: u16) -> Result<Child> {
    let log = File::options().create(true).append(true).open(dir.join(format!("{id}.log")))?;
    let mut command = java(jars, HEAP_OF_SERVER, "INFO");
    command.arg("kafka.Kafka").arg(dir.join(format!("{id}.properties")));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = command.spawn().context("cannot start the JVM")?;
    fs::write(dir.join(format!("{id}.pid")), child.id().to_string())?;
    Ok(child)
}

/// SIGTERM to every node of `dir`, then SIGKILL to those that are there 20 seconds later.
pub fn down(dir: &Path) -> Result<()> {
    let mut pids = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "pid") {
            pids.push((fs::read_to_string(&path)?.trim().parse::<u32>()?, path));
        }
    }
    for (pid, _) in &pids {
        process::signal(*pid, "TERM");
    }
    for (pid, path) in &pids {
        let start = Instant::now();
        while process::signal(*pid, "0") && start.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(50));
        }
        process::signal(*pid, "KILL");
        fs::remove_file(path)?;
    }
    Ok(())
}

/// SIGKILL to one node.
pub fn kill(dir: &Path, id: u16) -> Result<()> {
    let file = dir.join(format!("{id}.pid"));
    let pid: u32 = fs::read_to_string(&file).with_context(|| file.display().to_string())?.trim().parse()?;
    ensure!(process::signal(pid, "KILL"), "no process {pid}");
    Ok(())
}

fn base() -> Result<u16> {
    match std::env::var("PEER_PORT_BASE") {
        Ok(base) => base.parse().context("PEER_PORT_BASE"),
        Err(_) => Ok(19091),
    }
}

fn wait_for_port(address: &str, limit: Duration) -> Result<()> {
    let start = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        if start.elapsed() > limit {
            bail!("nothing listens on {address} after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
