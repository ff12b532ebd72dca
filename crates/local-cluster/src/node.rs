//! One node: its directory, its ports, its process.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::spawner;
use crate::topology::Role;

/// One node of a cluster; its process may or may not be there.
#[derive(Debug)]
pub struct Node {
    /// Its id (`node.id`).
    pub id: i32,
    /// What it does.
    pub role: Role,
    /// Where clients connect; none on a controller.
    pub port: Option<u16>,
    /// Where controllers connect; none on a broker.
    pub controller_port: Option<u16>,
    /// Holds `server.properties`, `server.log`, `output.log` and `data`.
    pub dir: PathBuf,
    child: Option<Child>,
    paused: bool,
}

impl Node {
    pub(crate) fn new(
        id: i32,
        role: Role,
        port: Option<u16>,
        controller_port: Option<u16>,
        dir: PathBuf,
    ) -> Node {
        Node { id, role, port, controller_port, dir, child: None, paused: false }
    }

    /// Its configuration file.
    pub fn properties(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    /// Its log directory, in Kafka's meaning of the word.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Whether its directory is formatted.
    pub fn is_formatted(&self) -> bool {
        self.data().join("meta.properties").is_file()
    }

    /// The process, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether the process is there and not paused.
    pub fn is_running(&self) -> bool {
        self.child.is_some() && !self.paused
    }

    /// What the node said in all its lives: its log, then what it printed.
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read(self.dir.join(name)).unwrap_or_default();
        let text = |name| String::from_utf8_lossy(&read(name)).into_owned();
        text("server.log") + &text("output.log")
    }

    /// The last `count` lines of [`Node::log`].
    pub fn log_tail(&self, count: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Starts the process; it does not wait for the node to serve.
    pub(crate) fn start(&mut self, binary: &Path) -> Result<()> {
        if let Some(pid) = self.pid() {
            bail!("node {} runs already (process {pid})", self.id);
        }
        // A panic or a refusal goes to standard error; the log lines are in server.log already.
        let output = File::options().create(true).append(true).open(self.dir.join("output.log"))?;
        let mut command = Command::new(binary);
        command.arg("kafka-server-start").arg(self.properties()).env("LOG_DIR", &self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        // Ctrl-C in a terminal is for the owner, which stops the nodes in order.
        command.process_group(0);
        let child = spawner::spawn(command).with_context(|| format!("cannot start {}", binary.display()))?;
        (self.child, self.paused) = (Some(child), false);
        Ok(())
    }

    /// How the process ended, told once.
    pub fn take_exit(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// kill -9; returns when the process is gone. Nothing happens when there is none.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, without waiting. A paused process goes on first: it could not stop otherwise.
    pub fn terminate(&mut self) -> Result<()> {
        self.resume()?;
        self.signal(Signal::TERM)
    }

    /// Waits for the end of the process, then kills it. An error when it had to be killed or ended with a failure.
    pub fn wait_end(&mut self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while self.child.is_some() {
            if let Some(status) = self.take_exit()? {
                anyhow::ensure!(
                    status.success(),
                    "node {} ended with {status}\n{}",
                    self.id,
                    self.log_tail(15)
                );
                return Ok(());
            }
            if start.elapsed() > limit {
                self.kill()?;
                bail!(
                    "node {} was still there {} s after SIGTERM\n{}",
                    self.id,
                    limit.as_secs(),
                    self.log_tail(15)
                );
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// SIGSTOP: the process stands still, its connections stay open.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        if let Some(pid) = self.process() {
            // Its other threads may go on for a moment; told to the parent it is when all of them stand.
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(pid), stopped).with_context(|| format!("node {}", self.id))?;
        }
        self.paused = self.child.is_some();
        Ok(())
    }

    /// SIGCONT after [`Node::pause`].
    pub fn resume(&mut self) -> Result<()> {
        if self.paused {
            self.signal(Signal::CONT)?;
            self.paused = false;
        }
        Ok(())
    }

    /// Not waited for yet, so the number is still this process's.
    fn process(&self) -> Option<Pid> {
        self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.process() else { return Ok(()) };
        kill_process(pid, signal).with_context(|| format!("node {}", self.id))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
