//! `-daemon`: the server goes on without its terminal; the launcher waits until it serves, or says why it does not.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

/// Tells a server that it was launched this way: its standard input is the pipe to the launcher.
pub(crate) const DETACHED: &str = "--detached-by-launcher";

const WAIT: Duration = Duration::from_secs(10);

/// Starts the server in the background. `Ok` once it serves, or is still starting after ten seconds.
pub(crate) fn launch(args: &[OsString], log_dirs: &[PathBuf]) -> Result<(), String> {
    let (file, path) = log_dirs
        .iter()
        .find_map(|dir| {
            std::fs::create_dir_all(dir).ok()?;
            let path = dir.join("kafkaServer.out");
            Some((OpenOptions::new().create(true).append(true).open(&path).ok()?, path))
        })
        .ok_or_else(|| format!("cannot write kafkaServer.out into any of {log_dirs:?}; set LOG_DIR"))?;
    if path.parent() != log_dirs.first().map(PathBuf::as_path) {
        eprintln!("output goes to {}", path.display());
    }
    let length = file.metadata().map_or(0, |m| m.len());
    let own =
        std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let (ready, told) = rustix::pipe::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    let errors = file.try_clone().map_err(|error| error.to_string())?;
    let mut child = Command::new(own)
        // The word by which scripts look for the server among the processes.
        .arg("kafka.Kafka")
        .arg(DETACHED)
        .args(args.iter().filter(|a| !matches!(a.to_str(), Some("-daemon" | "--daemon"))))
        .stdin(Stdio::from(told))
        .stdout(Stdio::from(file))
        .stderr(Stdio::from(errors))
        .spawn()
        .map_err(|error| format!("cannot start the server: {error}"))?;
    if wait_ready(&ready) {
        return Ok(());
    }
    match child.try_wait() {
        Ok(Some(status)) => {
            let out = std::fs::read(&path).unwrap_or_default();
            let tail = String::from_utf8_lossy(&out[(length as usize).min(out.len())..]).into_owned();
            let lines: Vec<&str> = tail.lines().rev().take(8).collect();
            let reason: Vec<&str> = lines.into_iter().rev().collect();
            Err(format!(
                "the server ended at once ({status}):\n{}\nall of it is in {}",
                reason.join("\n"),
                path.display()
            ))
        }
        _ => Ok(()),
    }
}

/// Waits for the server's word; `false` when the pipe closed without it.
fn wait_ready(ready: &OwnedFd) -> bool {
    let deadline = Instant::now() + WAIT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        let timeout =
            rustix::time::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::new(ready, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return true,
            Ok(_) => {
                let mut word = [0; 1];
                let Ok(mut pipe) = ready.try_clone().map(std::fs::File::from) else { return false };
                let served = pipe.read(&mut word).is_ok_and(|n| n == 1);
                // The child's status is there a moment after its pipe has closed.
                std::thread::sleep(Duration::from_millis(if served { 0 } else { 50 }));
                return served;
            }
            Err(_) => {}
        }
    }
}

/// Leaves the launcher's session, so that its terminal's end is not the server's.
pub(crate) fn detach() {
    let _ = rustix::process::setsid();
}

/// Tells the launcher, if there is one, that the server serves; then lets go of the pipe.
pub(crate) fn tell_ready() {
    if !std::env::args_os().any(|a| a == DETACHED) {
        return;
    }
    let _ = rustix::io::write(rustix::stdio::stdin(), b".");
    if let Ok(null) = OpenOptions::new().read(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}
