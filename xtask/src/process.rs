//! Other programs: run with a limit, captured or streamed; the paths of this workspace.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The workspace's directory.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Where everything that is built, fetched or measured lies.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The cargo that runs this command.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Set for this process by the outer cargo; inner ones find their own.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    command
}

/// What a program said and how it ended.
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The last lines of both streams, for a message about what went wrong.
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let lines: Vec<&str> = stream.lines().collect();
            if !lines.is_empty() {
                text.push_str(&format!("\n--- {name}\n"));
                text.push_str(&lines[lines.len().saturating_sub(25)..].join("\n"));
            }
        }
        text
    }
}

/// Runs to the end and captures both streams; a program that takes longer than `limit` is killed.
pub fn capture(command: &mut Command, limit: Duration) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let stdout = drain(child.stdout.take().expect("stdout is a pipe"));
    let stderr = drain(child.stderr.take().expect("stderr is a pipe"));
    let status = wait(&mut child, limit)?;
    // A grandchild may hold the pipes open for longer than its parent lived.
    let text = |stream: mpsc::Receiver<Vec<u8>>| {
        let bytes = stream.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    match status {
        Some(status) => Ok(Output { status, stdout, stderr }),
        None => {
            let _ = child.kill();
            let status = child.wait()?;
            let output = Output { status, stdout, stderr };
            bail!("{} took longer than {} s{}", shown(command), limit.as_secs(), output.tail())
        }
    }
}

/// As [`capture`], but a program that fails is an error that carries its last lines. Returns its standard output.
pub fn checked(command: &mut Command, limit: Duration) -> Result<String> {
    let output = capture(command, limit)?;
    if !output.status.success() {
        bail!("{} failed ({}){}", shown(command), output.status, output.tail());
    }
    Ok(output.stdout)
}

/// Runs with the caller's streams; a program that fails is an error.
pub fn stream(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Waits for the end of `child`, but not longer than `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(if start.elapsed().as_secs() < 2 { 2 } else { 20 }));
    }
}

/// Sends a signal (`TERM`, `KILL`, `0` to ask whether it is there); false when there is no such process.
pub fn signal(pid: u32, name: &str) -> bool {
    let script = format!("kill -{name} {pid}");
    Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        text.push(' ');
        text.push_str(&argument.chars().take(120).collect::<String>());
    }
    text
}

fn drain(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
