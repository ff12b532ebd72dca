//! A host as a guide means it: a shell in namespaces of its own, so that a block may take any port, path below `/tmp`,
//! host name and process for its own, and is gone with everything it started when the session ends.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// What runs first inside: private mounts, the host's name, then the shell that blocks are given to.
const PRELUDE: &str = r#"
set -e
work=$1 everyone=$2 name=$3; shift 3
mount -t tmpfs none /mnt
mkdir /mnt/ottla /mnt/docs /mnt/hosts
mount --bind "$work/ottla" /mnt/ottla
mount --bind "$work/docs" /mnt/docs
mount --bind "$everyone" /mnt/hosts
# What lies below /tmp and is needed stays in its place.
for dir; do
  case $dir in /tmp/*) mkdir -p "/mnt/keep$dir"; mount --rbind "$dir" "/mnt/keep$dir" ;; esac
done
mount -t tmpfs none /tmp
chmod 1777 /tmp
# Installed nodes keep their data here.
mount -t tmpfs none /var/lib
for dir; do
  case $dir in /tmp/*) mkdir -p "$dir"; mount --rbind "/mnt/keep$dir" "$dir" ;; esac
done
mount --bind /mnt/hosts/names /etc/hosts
hostname "$name"
ip link set lo up
cd /mnt/ottla
export PATH=/mnt/docs/bin:$PATH
# Ctrl-C in the terminal of the block in the background.
ctrl_c() {
  for child in $(cat /proc/$BACKGROUND/task/$BACKGROUND/children); do kill -INT "$child"; done
  wait $BACKGROUND || true
}
set -E -o pipefail
trap 'echo $? >/mnt/docs/ended' EXIT
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
set --
echo ready >/mnt/docs/ready
"#;

/// How a block is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How<'a> {
    /// To its end, which must be good.
    Good,
    /// To its end, whatever it is; the session goes on.
    Any,
    /// Beside the blocks after it, once it has said this.
    Background(&'a str),
}

/// What a block did.
pub struct Ran {
    pub good: bool,
    pub printed: String,
}

pub struct Session {
    child: Child,
    input: ChildStdin,
    /// As seen from outside.
    dir: PathBuf,
    count: usize,
}

impl Session {
    /// A host called `name` whose directory is `everyone/NAME`; `kept` are directories that programs inside need.
    pub fn open(everyone: &Path, name: &str, kept: &[PathBuf]) -> Result<Session> {
        let dir = everyone.join(name);
        for part in ["ottla", "docs/bin"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let shell = "exec bash --noprofile --norc";
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--net",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        command.args(["bash", "-c", shell]);
        for variable in ["LOG_DIR", "BASH_ENV", "OTTLA_LOG", "OTTLA_OWNER", "CLUSTER_ID"] {
            command.env_remove(variable);
        }
        let errors = fs::File::create(dir.join("docs/session.log"))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(errors.try_clone()?)
            .stderr(errors)
            .spawn()
            .context("unshare, of util-linux")?;
        let input = child.stdin.take().context("a pipe")?;
        let mut session = Session { child, input, dir, count: 0 };
        let quoted: Vec<String> = [session.dir.clone(), everyone.to_owned(), PathBuf::from(name)]
            .iter()
            .chain(kept)
            .map(|path| format!("'{}'", path.display()))
            .collect();
        session.say(&format!("set -- {}\n{PRELUDE}", quoted.join(" ")))?;
        let ready = session.dir.join("docs/ready");
        session.until(Duration::from_secs(20), || ready.exists()).with_context(|| session.log())?;
        Ok(session)
    }

    /// Of the process that is in the namespaces, as seen from outside.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.input.write_all(text.as_bytes()).context("the shell is gone")?;
        Ok(self.input.write_all(b"\n")?)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("docs/session.log")).unwrap_or_default()
    }

    fn until(&mut self, limit: Duration, mut reached: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !reached() {
            if let Some(status) = self.child.try_wait()? {
                // It may have come to its end in this moment.
                ensure!(reached(), "the shell ended ({status})");
                break;
            }
            ensure!(start.elapsed() < limit, "not after {} s", limit.as_secs());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Runs a script in this session's shell: its variables and its directory stay for the next.
    pub fn run(&mut self, script: &str, how: How, limit: Duration) -> Result<Ran> {
        self.count += 1;
        let (number, docs) = (self.count, self.dir.join("docs"));
        fs::write(docs.join(format!("{number}.sh")), script)?;
        let inside = format!("/mnt/docs/{number}");
        let (out, code) = (docs.join(format!("{number}.out")), docs.join(format!("{number}.code")));
        let printed = || String::from_utf8_lossy(&fs::read(&out).unwrap_or_default()).into_owned();
        match how {
            How::Good => self.say(&format!(
                ". {inside}.sh >{inside}.out 2>&1 </dev/null; echo 0 >{inside}.part; mv {inside}.part {inside}.code"
            ))?,
            How::Any => self.say(&format!(
                "if ( set +e; . {inside}.sh ) >{inside}.out 2>&1 </dev/null; then echo 0; else echo 1; fi \
                 >{inside}.part; mv {inside}.part {inside}.code"
            ))?,
            How::Background(word) => {
                self.say(&format!(
                    "mkfifo {inside}.keys; SCREEN={inside}.out KEYS={inside}.keys; export SCREEN KEYS\n\
                     ( . {inside}.sh ) >{inside}.out 2>&1 <>{inside}.keys & BACKGROUND=$!"
                ))?;
                let waited = self.until(limit, || printed().contains(word));
                return match waited {
                    Ok(()) => Ok(Ran { good: true, printed: printed() }),
                    Err(error) => bail!("it does not say `{word}` ({error}); it printed\n{}", printed()),
                };
            }
        }
        let ended = self.dir.join("docs/ended");
        let waited = self.until(limit, || code.exists() || ended.exists());
        if waited.is_err() && !ended.exists() {
            bail!("it is not done after {} s; it printed\n{}", limit.as_secs(), printed());
        }
        let good = fs::read_to_string(&code).is_ok_and(|code| code.trim() == "0");
        Ok(Ran { good, printed: printed() })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // With the first process of its namespace everything inside goes.
        process::signal(self.child.id(), "KILL");
        let _ = self.child.wait();
    }
}

/// A cable between the hosts of a guide: a bridge in a namespace of its own.
pub struct Lan {
    child: Child,
}

impl Lan {
    /// Connects the sessions, the first as 10.77.0.1.
    pub fn connect<'a>(sessions: impl Iterator<Item = &'a Session>) -> Result<Lan> {
        let child = Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn()?;
        let lan = Lan { child };
        let own = fs::read_link("/proc/self/ns/net")?;
        let start = Instant::now();
        while fs::read_link(format!("/proc/{}/ns/net", lan.child.id())).is_ok_and(|there| there == own) {
            ensure!(start.elapsed() < Duration::from_secs(10), "unshare made no namespace");
            thread::sleep(Duration::from_millis(2));
        }
        let hub = lan.child.id();
        ip(hub, &["link", "add", "lan", "type", "bridge"])?;
        ip(hub, &["link", "set", "lan", "up"])?;
        for (index, session) in sessions.enumerate() {
            let (host, plug) = (session.pid(), format!("host{}", index + 1));
            ip(
                hub,
                &["link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", &host.to_string()],
            )?;
            ip(hub, &["link", "set", &plug, "master", "lan", "up"])?;
            ip(host, &["addr", "add", &format!("{}/24", address(index)), "dev", "eth0"])?;
            ip(host, &["link", "set", "eth0", "up"])?;
        }
        Ok(lan)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of the host at `index` of a guide's list.
pub fn address(index: usize) -> String {
    format!("10.77.0.{}", index + 1)
}

fn ip(within: u32, words: &[&str]) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.args(["--target", &within.to_string(), "--net", "ip"]).args(words);
    process::checked(&mut command, Duration::from_secs(10)).map(drop)
}
