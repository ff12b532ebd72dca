//! The machines of a tutorial: each with its own addresses, ports, processes, host name, `/etc/hosts`, `/tmp` and
//! `/usr/local`, so that what the tutorial prints can be typed letter by letter. A machine is a set of Linux namespaces
//! around one idle process; when that ends, everything that was started in it ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::said::Said;
use crate::process;

const LIMIT: Duration = Duration::from_secs(60);

/// What a machine's first process does: its own view of the file system, then nothing; bash reaps what is orphaned.
/// $1 the machine's directory, $2 what the judges installed and built, $3 the host's name.
const FIRST: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$2" /mnt
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/local" /usr/local
chmod 1777 "$1/tmp"
mount --bind "$1/tmp" /tmp
case $2 in /tmp/*|/usr/local/*) mkdir -p "$2"; mount --bind /mnt "$2" ;; esac
ip link set lo up
hostname "$3"
echo ready
while :; do sleep 1000 & wait $!; done
"#;

fn ip(words: &[&str]) -> Result<String> {
    process::checked(Command::new("ip").args(words), Duration::from_secs(10))
}

/// A cable that machines are plugged into; nothing else of this computer is.
pub struct Lan {
    bridge: String,
    dir: PathBuf,
    sockets: std::cell::Cell<u32>,
}

impl Lan {
    /// `letter` tells the cables of this process apart.
    pub fn new(letter: char) -> Result<Lan> {
        let bridge = format!("os{}{letter}", std::process::id() % 100_000);
        let dir = crate::it::scratch(&format!("seeds-{letter}"))?;
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        let lan = Lan { bridge, dir, sockets: std::cell::Cell::new(0) };
        ip(&["link", "set", &lan.bridge, "up"])?;
        Ok(lan)
    }

    /// A machine of this name with these addresses (`10.0.0.1/24`); `hosts` is appended to its `/etc/hosts`.
    pub fn machine(&self, name: &str, addresses: &[&str], hosts: &str) -> Result<Host> {
        let home = self.dir.join(name);
        for part in ["tmp", "local", "work"] {
            fs::create_dir_all(home.join(part))?;
        }
        // A machine knows its own name; other names are asked of a server that answers at once, with nothing.
        let own = if hosts.contains(name) { String::new() } else { format!("127.0.1.1 {name}\n") };
        fs::write(home.join("hosts"), format!("127.0.0.1 localhost\n{own}{hosts}"))?;
        fs::write(home.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
        let target = process::target().canonicalize()?;
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount", "--net", "--uts", "--mount-proc"]);
        command.args(["bash", "-c", FIRST, "first"]).arg(&home).arg(&target).arg(name);
        let errors = fs::File::create(home.join("first.err"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().context("unshare")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let why = || fs::read_to_string(home.join("first.err")).unwrap_or_default();
        ensure!(line.trim() == "ready", "the machine {name} does not come up: {}", why());
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let first: u32 = fs::read_to_string(&children)?.trim().parse().context(children)?;
        let host = Host { first, child, home };
        let socket = format!("{}{}", self.bridge, self.sockets.get());
        self.sockets.set(self.sockets.get() + 1);
        let space = first.to_string();
        ip(&["link", "add", &socket, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
        ip(&["link", "set", &socket, "master", &self.bridge])?;
        ip(&["link", "set", &socket, "up"])?;
        for address in addresses {
            host.types(&format!("ip addr add {address} dev eth0"))?.code(0)?;
        }
        host.types("ip link set eth0 up")?.code(0)?;
        Ok(host)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.bridge]);
    }
}

/// A machine.
pub struct Host {
    /// Its first process, as this process sees it.
    first: u32,
    child: Child,
    home: PathBuf,
}

impl Drop for Host {
    fn drop(&mut self) {
        // The first process goes with it (`--kill-child`), and with the first process all others.
        process::signal(self.first, "KILL");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Host {
    /// Where its user works: outside of it and inside under the same name.
    pub fn work(&self) -> PathBuf {
        self.home.join("work")
    }

    /// What lies at an absolute path inside, `/tmp/x` or `/usr/local/x`, seen from outside.
    pub fn outside(&self, path: &str) -> PathBuf {
        if let Some(rest) = path.strip_prefix("/tmp/") {
            return self.home.join("tmp").join(rest);
        }
        match path.strip_prefix("/usr/local/") {
            Some(rest) => self.home.join("local").join(rest),
            None => PathBuf::from(path),
        }
    }

    /// A shell in a directory of the machine.
    pub fn shell(&self, cwd: impl AsRef<Path>) -> Shell<'_> {
        Shell { host: self, cwd: cwd.as_ref().to_path_buf(), user: None, path: String::new() }
    }

    /// Typed in the user's own directory.
    pub fn types(&self, line: &str) -> Result<Said> {
        self.shell(self.work()).types(line)
    }
}

/// Where and as whom one types.
#[derive(Clone)]
pub struct Shell<'h> {
    pub host: &'h Host,
    pub cwd: PathBuf,
    user: Option<&'static str>,
    path: String,
}

impl<'h> Shell<'h> {
    /// The same shell after `cd`.
    pub fn cd(&self, dir: impl AsRef<Path>) -> Self {
        let mut shell = self.clone();
        shell.cwd = self.cwd.join(dir);
        shell
    }

    /// The same as a user who owns nothing.
    pub fn nobody(&self) -> Self {
        let mut shell = self.clone();
        shell.user = Some("65534");
        shell
    }

    /// The same with a directory in front of `PATH`.
    pub fn with_path(&self, dir: &str) -> Self {
        let mut shell = self.clone();
        shell.path = format!("{dir}:");
        shell
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.host.first.to_string(), "-m", "-n", "-p", "-u"]);
        if let Some(user) = self.user {
            command.args(["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]);
        }
        // Not as an argument: what looks for words among the processes must not find this shell.
        command.args(["bash", "-c", "cd \"$AT\"; LINE=$TYPED; unset AT TYPED; eval \"$LINE\""]);
        command.env("AT", &self.cwd).env("TYPED", line);
        for gone in
            ["LOG_DIR", "KAFKA_HEAP_OPTS", "CARGO", "CARGO_MANIFEST_DIR", "RUST_LOG", "RUST_BACKTRACE"]
        {
            command.env_remove(gone);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}{path}", self.path)).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        command.env("SEEDS_OF", std::process::id().to_string());
        command
    }

    /// Types a line (or some) and waits for its end.
    pub fn types(&self, line: &str) -> Result<Said> {
        let start = Instant::now();
        let output = process::capture(&mut self.command(line), LIMIT).with_context(|| format!("$ {line}"))?;
        Ok(Said::new(line, output, start.elapsed()))
    }

    /// Types a line that does not end, in a terminal of its own; what it says goes to a file. (With `set -m`: other
    /// shells' background programs ignore Ctrl-C.)
    pub fn leaves(&self, line: &str, name: &str) -> Result<Left<'h>> {
        let log = self.host.work().join(format!("{name}.out"));
        let typed = format!("set -m; {line} > '{}' 2>&1 < /dev/null & echo $!", log.display());
        self.started(&typed, log, None)
    }

    /// The same with a keyboard: what [`Left::types`] gets is typed into it.
    pub fn talks(&self, line: &str, name: &str) -> Result<Left<'h>> {
        let log = self.host.work().join(format!("{name}.out"));
        let keys = self.host.work().join(format!("{name}.keys"));
        let typed = format!(
            "set -m; rm -f '{keys}'; mkfifo '{keys}'; (sleep 100000 > '{keys}') > /dev/null 2>&1 < /dev/null & \
             {line} > '{log}' 2>&1 < '{keys}' & echo $!",
            keys = keys.display(),
            log = log.display()
        );
        self.started(&typed, log, Some(keys))
    }

    fn started(&self, typed: &str, log: PathBuf, keys: Option<PathBuf>) -> Result<Left<'h>> {
        let said = self.types(typed)?.code(0)?;
        let pid = said.stdout.trim().parse().with_context(|| format!("{}{}", said.stdout, said.stderr))?;
        Ok(Left { shell: self.clone(), pid, log, keys })
    }
}

/// A program that was left running; its process is the machine's business, not this value's.
pub struct Left<'h> {
    shell: Shell<'h>,
    /// As the machine counts its processes.
    pub pid: u32,
    pub log: PathBuf,
    keys: Option<PathBuf>,
}

impl Left<'_> {
    pub fn text(&self) -> String {
        fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    pub fn alive(&self) -> bool {
        let state = format!("s=$(ps -o stat= -p {}); [ -n \"$s\" ] && [ \"${{s#Z}}\" = \"$s\" ]", self.pid);
        self.shell.types(&state).is_ok_and(|said| said.code == 0)
    }

    /// Types into its keyboard.
    pub fn types(&self, text: &str) -> Result<()> {
        let keys = self.keys.as_ref().context("it has a keyboard")?;
        let typed = format!("printf '%s\\n' '{text}' > '{}'", keys.display());
        self.shell.types(&typed)?.code(0).map(drop)
    }

    /// Until it said `word`, `times` times.
    pub fn until(&self, word: &str, times: usize, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while self.text().matches(word).count() < times {
            let alive = self.alive();
            let enough = self.text().matches(word).count() >= times;
            ensure!(alive || enough, "it ended without `{word}`: {}", tail(&self.text()));
            ensure!(
                start.elapsed() < limit,
                "no `{word}` ({times} times) within {limit:?}: {}",
                tail(&self.text())
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Sends a signal and waits for its end.
    pub fn end(&self, signal: &str) -> Result<String> {
        self.shell.types(&format!("kill -{signal} {}", self.pid))?.code(0)?;
        self.ended()
    }

    /// Waits for its end.
    pub fn ended(&self) -> Result<String> {
        until("it ends", Duration::from_secs(30), || Ok(!self.alive()))
            .with_context(|| format!("it says: {}", tail(&self.text())))?;
        Ok(self.text())
    }
}

/// The last lines.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Tries again until it is so; how long that took.
pub fn until(what: &str, limit: Duration, mut look: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let start = Instant::now();
    loop {
        let last = look();
        if matches!(last, Ok(true)) {
            return Ok(start.elapsed());
        }
        if start.elapsed() > limit {
            return Err(last.err().unwrap_or_else(|| anyhow::anyhow!("it is not so")))
                .with_context(|| format!("not within {limit:?}: {what}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
