//! The programs of this machine that the judges need, where they are, and how to get the ones that are not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;

/// A program that a judge needs and that cargo does not bring.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Need {
    /// A JDK (with its compiler) of 17 or newer.
    Jdk,
    Maven,
    /// A Python that kafka-python 2.0.2 can be imported on: 3.8 to 3.11.
    OlderPython,
    /// A Python of 3.10 or newer, for the newest clients.
    Python,
    /// Node.js of 18 or newer, with npm.
    Node,
    Kcat,
    /// A C and C++ compiler with make, for librdkafka's own programs.
    Compiler,
    /// The right to mount a small file system, for a disk that fills up.
    Mount,
    /// The right to make network namespaces and a bridge between them, for hosts that are cut off.
    Namespaces,
}

impl Need {
    /// Its name and the way to get it, in one line.
    pub fn how(self) -> &'static str {
        match self {
            Need::Jdk => "a JDK 17 or newer (apt-get install openjdk-17-jdk-headless, or set JAVA_HOME)",
            Need::Maven => "Maven (apt-get install maven)",
            Need::OlderPython => {
                "Python 3.8 to 3.11 with venv (pyenv install 3.11, or uv python install 3.11)"
            }
            Need::Python => "Python 3.10 or newer with venv (apt-get install python3-venv)",
            Need::Node => "Node.js 18 or newer with npm (apt-get install nodejs npm)",
            Need::Kcat => "kcat (apt-get install kcat)",
            Need::Compiler => "a C and C++ compiler and make (apt-get install build-essential)",
            Need::Namespaces => {
                "ip (apt-get install iproute2) and the right to make network namespaces (run as root; in a container \
                 with CAP_NET_ADMIN and CAP_SYS_ADMIN)"
            }
            Need::Mount => "the right to mount a tmpfs, for the check of a full disk (run as root)",
        }
    }

    /// Where it is, if it is there. kcat is installed on the way when this process may do so.
    pub fn find(self) -> Option<PathBuf> {
        match self {
            Need::Jdk => jdk().map(|home| home.join("bin/java")),
            Need::Maven => on_path("mvn"),
            Need::OlderPython => python(|minor| (8..=11).contains(&minor)),
            Need::Python => python(|minor| minor >= 10),
            Need::Node => on_path("npm").and_then(|_| node()),
            Need::Kcat => on_path("kcat").or_else(|| on_path("kafkacat")).or_else(install_kcat),
            Need::Mount => mounts_tmpfs(),
            Need::Namespaces => makes_namespaces(),
            Need::Compiler => on_path("make").and_then(|_| on_path("c++")).and_then(|_| on_path("cc")),
        }
    }
}

/// Those of `needs` that this machine lacks.
pub fn lacking(needs: &[Need]) -> BTreeSet<Need> {
    needs.iter().copied().filter(|need| need.find().is_none()).collect()
}

/// The home of a JDK of 17 or newer: `JAVA_HOME`, then the one on the path, then the usual places.
pub fn jdk() -> Option<PathBuf> {
    let mut homes = Vec::new();
    homes.extend(std::env::var_os("JAVA_HOME").map(PathBuf::from));
    if let Some(java) = on_path("javac").and_then(|p| p.canonicalize().ok()) {
        homes.extend(java.parent().and_then(Path::parent).map(Path::to_path_buf));
    }
    for place in ["/usr/lib/jvm", "/opt/java", "/Library/Java/JavaVirtualMachines"] {
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(place).into_iter().flatten().flatten().map(|e| e.path()).collect();
        found.sort();
        homes.extend(found.iter().cloned());
        homes.extend(found.iter().map(|p| p.join("Contents/Home")));
    }
    homes.into_iter().find(|home| home.join("bin/javac").exists() && java_version(home) >= Some(17))
}

fn java_version(home: &Path) -> Option<u32> {
    let output = process::capture(Command::new(home.join("bin/java")).arg("-version"), SHORT).ok()?;
    let text = output.stderr + &output.stdout;
    // `openjdk version "17.0.15" ...`; before Java 9 it was "1.8".
    let version = text.split('"').nth(1)?;
    version.split(['.', '-', '+']).next()?.parse().ok()
}

/// The newest Python 3 whose minor version `fits`.
fn python(fits: impl Fn(u32) -> bool) -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> =
        (8..20).rev().filter_map(|m| on_path(&format!("python3.{m}"))).collect();
    candidates.extend(on_path("python3"));
    if let Some(home) = std::env::home_dir() {
        for place in [".pyenv/versions", ".local/share/uv/python"] {
            let found = std::fs::read_dir(home.join(place)).into_iter().flatten().flatten();
            candidates.extend(found.map(|e| e.path().join("bin/python3")).filter(|p| p.exists()));
        }
    }
    let mut found: Vec<(u32, PathBuf)> = candidates
        .into_iter()
        .filter_map(|path| Some((python_minor(&path)?, path)))
        .filter(|(minor, _)| fits(*minor))
        .collect();
    found.sort_by_key(|(minor, _)| std::cmp::Reverse(*minor));
    found.into_iter().map(|(_, path)| path).next()
}

fn python_minor(path: &Path) -> Option<u32> {
    // A venv needs `ensurepip`; Debian's bare python3 comes without it.
    let script = "import sys, venv, ensurepip; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)";
    let output = process::capture(Command::new(path).args(["-c", script]), SHORT).ok()?;
    output.stdout.trim().parse().ok().filter(|_| output.status.success())
}

fn node() -> Option<PathBuf> {
    let path = on_path("node").or_else(|| on_path("nodejs"))?;
    let output = process::capture(Command::new(&path).arg("--version"), SHORT).ok()?;
    let major: u32 = output.stdout.trim().trim_start_matches('v').split('.').next()?.parse().ok()?;
    (major >= 18).then_some(path)
}

/// `mount`, when it may mount a tmpfs: root of a container may not, everywhere.
fn mounts_tmpfs() -> Option<PathBuf> {
    let mount = on_path("mount")?;
    let dir = std::env::temp_dir().join(format!("ottla-mount-{}", std::process::id()));
    std::fs::create_dir_all(&dir).ok()?;
    let mut command = Command::new(&mount);
    command.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&dir);
    let mounted = process::checked(&mut command, SHORT).is_ok();
    if mounted {
        let _ = process::checked(Command::new("umount").arg("-l").arg(&dir), SHORT);
    }
    let _ = std::fs::remove_dir(&dir);
    mounted.then_some(mount)
}

/// `ip`, when it may make a namespace with a cable to a bridge and run a program inside.
fn makes_namespaces() -> Option<PathBuf> {
    let ip = on_path("ip")?;
    let pid = std::process::id() % 10_000;
    let (space, bridge, cable) = (format!("try{pid}"), format!("tb{pid}"), format!("tc{pid}"));
    let run = |words: &[&str]| process::checked(Command::new(&ip).args(words), SHORT).is_ok();
    let made = run(&["netns", "add", &space])
        && run(&["link", "add", &bridge, "type", "bridge"])
        && run(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &space])
        && run(&["link", "set", &cable, "master", &bridge])
        && run(&["netns", "exec", &space, "true"]);
    for words in [["netns", "del", &space], ["link", "del", &cable], ["link", "del", &bridge]] {
        run(&words);
    }
    made.then_some(ip)
}

fn install_kcat() -> Option<PathBuf> {
    let root = process::checked(Command::new("id").arg("-u"), SHORT).is_ok_and(|id| id.trim() == "0");
    if !root {
        return None;
    }
    let apt = on_path("apt-get")?;
    let install = || {
        let mut command = Command::new(&apt);
        command.args(["install", "-y", "-q", "kcat"]).env("DEBIAN_FRONTEND", "noninteractive");
        process::checked(&mut command, Duration::from_secs(300))
    };
    eprintln!("installing kcat");
    if install().is_err() {
        let _ = process::checked(Command::new(&apt).args(["update", "-q"]), Duration::from_secs(300));
        install().ok()?;
    }
    on_path("kcat")
}

/// The file that the shell would run for `name`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

const SHORT: Duration = Duration::from_secs(20);
