//! `ottla dev` with three nodes: the exercise of the README, and the lines that tell what happens.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::{contents, no_panic, refused, scratch};
use super::wire;
use crate::machine::Need;
use crate::process;
use crate::server::{binary, free_ports};
use crate::tally::Tally;

const LIMIT: Duration = Duration::from_secs(40);
const TOPIC: &str = "greetings";

/// `cluster-dev`.
pub fn run(tally: &mut Tally) {
    tally.check(
        "three nodes: write, kill -9 the leader, read everything, Enter, Ctrl-C, the same data",
        exercise,
    );
    tally.check("kill -9 of dev itself leaves no node behind", orphans);
    tally.check("a directory of three nodes cannot become one of one, nor the other way round", held);
}

/// `ottla dev` with a hand on its standard input.
struct Dev {
    child: Child,
    out: std::path::PathBuf,
}

impl Dev {
    fn start(dir: &Path, port: u16) -> Result<Dev> {
        let out = dir.join("out");
        let file = File::create(&out)?;
        let mut command = Command::new(binary());
        command.args(["dev", "--nodes", "3", "--port", &port.to_string()]).current_dir(dir);
        command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let mut dev = Dev { child: command.spawn()?, out };
        dev.until("Ctrl-C")?;
        Ok(dev)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    fn until(&mut self, word: &str) -> Result<()> {
        let start = Instant::now();
        while !self.text().contains(word) {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "it ended without `{word}`:\n{}", self.text());
            ensure!(start.elapsed() < LIMIT, "no `{word}` within {} s:\n{}", LIMIT.as_secs(), self.text());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The process ids that the screen names, by node.
    fn pids(&self) -> Vec<(i32, u32)> {
        let text = self.text();
        let line = |line: &str| {
            let (node, rest) = line.trim().strip_prefix("node ")?.split_once("pid ")?;
            Some((node.trim().parse().ok()?, rest.split_whitespace().next()?.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    fn end(mut self) -> Result<()> {
        process::signal(self.child.id(), "INT");
        let status = process::wait(&mut self.child, LIMIT)?.context("still there after Ctrl-C")?;
        ensure!(status.success(), "it ended with {status}:\n{}", self.text());
        no_panic(&self.text())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Six ports in a row that are free: dev takes them from the first on.
fn port() -> Result<u16> {
    let mut ports = free_ports::<32>()?;
    ports.sort_unstable();
    let row = ports.windows(6).find(|w| w[5] == w[0] + 5).context("no six free ports in a row")?;
    Ok(row[0])
}

fn kcat(port: u16, arguments: &[&str], input: Option<&Path>) -> Result<String> {
    let kcat = Need::Kcat.find().with_context(|| format!("lacking: {}", Need::Kcat.how()))?;
    let servers: Vec<String> = (port..port + 3).map(|port| format!("localhost:{port}")).collect();
    let mut command = Command::new(kcat);
    command.args(["-b", &servers.join(","), "-t", TOPIC]).args(arguments);
    if let Some(input) = input {
        command.arg("-l").arg(input);
    }
    process::checked(&mut command, LIMIT)
}

fn exercise() -> Result<()> {
    let dir = scratch("cluster-dev")?;
    let port = port()?;
    let mut dev = Dev::start(&dir, port)?;
    let pids = dev.pids();
    ensure!(pids.len() == 3, "three nodes with their pids:\n{}", dev.text());
    ensure!(dev.text().lines().count() <= 24, "one screen:\n{}", dev.text());
    let code = wire::create_topic(port, TOPIC, 1, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    let lines = dir.join("lines");
    fs::write(&lines, (0..100).map(|n| format!("hello {n}\n")).collect::<String>())?;
    kcat(port, &["-P", "-X", "acks=all"], Some(&lines))?;

    let leader = wire::view(port)?.partitions.get(&(TOPIC.to_owned(), 0)).context("the topic")?.leader;
    let (_, pid) = *pids.iter().find(|(id, _)| *id == leader).context("the leader's pid")?;
    // Dev looks at the cluster five times a second: what it never saw with a leader it cannot see losing it.
    thread::sleep(std::time::Duration::from_secs(1));
    process::signal(pid, "KILL");
    dev.until(&format!("node {leader} (pid {pid}) was killed (SIGKILL). Enter starts it again"))?;
    dev.until(&format!("{TOPIC}-0: the leader is node "))?;
    let read = kcat(port, &["-C", "-e", "-q"], None)?;
    ensure!(read == fs::read_to_string(&lines)?, "everything that was written, not:\n{read}");

    dev.child.stdin.as_mut().context("its input")?.write_all(b"\n")?;
    dev.until(&format!("node {leader} starts again"))?;
    dev.until(&format!("node {leader} is back and serves"))?;
    dev.end()?;
    let running = pids.iter().filter(|(_, pid)| process::signal(*pid, "0"));
    ensure!(running.count() == 0, "a node is still there");

    let dev = Dev::start(&dir, port)?;
    let read = kcat(port, &["-C", "-e", "-q"], None)?;
    ensure!(read == fs::read_to_string(&lines)?, "the same data again, not:\n{read}");
    dev.end()
}

fn orphans() -> Result<()> {
    let dir = scratch("cluster-dev-orphans")?;
    let dev = Dev::start(&dir, port()?)?;
    let pids = dev.pids();
    ensure!(pids.len() == 3, "three nodes:\n{}", dev.text());
    drop(dev);
    let start = Instant::now();
    while pids.iter().any(|(_, pid)| process::signal(*pid, "0")) {
        ensure!(start.elapsed() < Duration::from_secs(5), "a node outlives dev");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn held() -> Result<()> {
    let dir = scratch("cluster-dev-held")?;
    let port = port()?.to_string();
    for node in ["ottla-data/node-1", "ottla-data/node-2"] {
        fs::create_dir_all(dir.join(node))?;
        fs::write(dir.join(node).join("server.properties"), "process.roles=broker,controller\n")?;
    }
    fs::create_dir_all(dir.join("one"))?;
    fs::write(dir.join("one/meta.properties"), "version=1\n")?;
    let before = contents(&dir);
    let dev = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["dev", "--port", &port]).args(arguments).current_dir(&dir);
        command
    };
    refused(&mut dev(&["--nodes", "3"]), &["holds a cluster of 2 nodes", "--data-dir"])?;
    refused(&mut dev(&["--nodes", "1"]), &["holds a cluster of 2 nodes", "--data-dir"])?;
    refused(&mut dev(&["--nodes", "3", "--data-dir", "one"]), &["holds a cluster of 1 node", "--data-dir"])?;
    ensure!(contents(&dir) == before, "nothing changed");
    Ok(())
}
