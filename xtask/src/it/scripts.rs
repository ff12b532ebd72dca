//! The release tree's scripts: from any directory, through links, under any name of its path, as any user; in the
//! background; and stopped by their own stop script.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Background, LIMIT, good, own_config, refused, say, scratch, script};
use crate::dist;
use crate::frame;
use crate::process;
use crate::server::{CLUSTER, free_ports};
use crate::tally::Tally;

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check("S0-02 from any directory, through links, with spaces, by sh and bash", anywhere);
    tally.check("S0-02 as a user who owns nothing of the tree", as_any_user);
    tally.check("S1-15 -daemon: returns when it serves; LOG_DIR; the stop script ends it", daemon);
    tally.check("S1-15 -daemon that cannot start: exit 1 with the reason", daemon_refused);
    tally.check("S3-19 the stop script with nothing to stop", || {
        // Of a node id that nobody has: the script must not end other people's servers.
        refused(script("kafka-server-stop.sh").arg("--node-id=64099"), &["No kafka server", "to stop"])
    });
    tally.check("the .tgz unpacks to a tree that runs", archive);
    Ok(())
}

fn is_id(text: &str) -> Result<()> {
    ensure!(text.trim().len() == 22, "an id, not '{text}'");
    Ok(())
}

fn anywhere() -> Result<()> {
    let dir = scratch("anywhere")?;
    let tree = dist::tree();
    let storage = tree.join("bin/kafka-storage.sh");
    is_id(&good(Command::new(&storage).arg("random-uuid").current_dir("/"))?)?;
    is_id(&good(Command::new("./kafka-storage.sh").arg("random-uuid").current_dir(tree.join("bin")))?)?;
    is_id(&good(Command::new("bin/kafka-storage.sh").arg("random-uuid").current_dir(&tree))?)?;
    // A link to a script, a link to a link, a link to the tree.
    symlink(&storage, dir.join("storage"))?;
    symlink("storage", dir.join("again"))?;
    symlink(&tree, dir.join("kafka"))?;
    for link in ["storage", "again", "kafka/bin/kafka-storage.sh"] {
        is_id(&good(Command::new(dir.join(link)).arg("random-uuid").current_dir("/"))?)?;
    }
    let spaced = dir.join("a path with spaces/kafka");
    copy_tree(&tree, &spaced)?;
    is_id(&good(Command::new(spaced.join("bin/kafka-storage.sh")).arg("random-uuid"))?)?;
    for shell in ["sh", "bash"] {
        is_id(&good(Command::new(shell).arg(spaced.join("bin/kafka-storage.sh")).arg("random-uuid"))?)?;
    }
    for entry in fs::read_dir(tree.join("bin"))?.flatten() {
        let mode = entry.metadata()?.permissions().mode();
        ensure!(mode & 0o111 == 0o111, "{} may be run by all", entry.path().display());
    }
    Ok(())
}

fn as_any_user() -> Result<()> {
    let root = process::checked(Command::new("id").arg("-u"), LIMIT)?.trim() == "0";
    if !root {
        // This process is such a user itself.
        return Ok(());
    }
    let base = std::env::temp_dir().join(format!("ottla-it-{}", std::process::id()));
    let _guard = Removed(base.clone());
    let tree = base.join("kafka");
    copy_tree(&dist::tree(), &tree)?;
    // What earlier runs from this tree left.
    let _ = fs::remove_dir_all(tree.join("logs"));
    let home = base.join("home");
    fs::create_dir_all(&home)?;
    let nobody = 65534;
    std::os::unix::fs::chown(&home, Some(nobody), Some(nobody))?;
    let ports = free_ports()?;
    let file = own_config(&home, 1, ports)?;
    let run = |name: &str| {
        let mut command = Command::new(tree.join("bin").join(name));
        command.uid(nobody).gid(nobody).current_dir(&home).env("HOME", &home).env_remove("LOG_DIR");
        command
    };
    good(run("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    let mut node = Background::spawn(run("kafka-server-start.sh").arg(&file), base.join("out"))?;
    node.until("Kafka Server started")?;
    ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "it serves");
    node.end("TERM")?;
    ensure!(!tree.join("logs").exists(), "nothing was written into a tree of others");
    Ok(())
}

/// Removes a directory at the end of its scope.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn daemon() -> Result<()> {
    let dir = scratch("daemon")?;
    let node = 64000 + (std::process::id() % 90) as u16;
    let ports = free_ports()?;
    let file = own_config(&dir, node, ports)?;
    good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    let logs = dir.join("logs");
    let output = say(script("kafka-server-start.sh").arg("-daemon").arg(&file).env("LOG_DIR", &logs))?;
    ensure!(
        output.status.success() && output.stdout.is_empty(),
        "silence and exit 0, not {}{}",
        output.status,
        output.tail()
    );
    // The launcher waited: it serves at once.
    ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "it serves when the launcher returns");
    let out = fs::read_to_string(logs.join("kafkaServer.out")).context("logs/kafkaServer.out")?;
    ensure!(out.contains("Kafka Server started"), "its line in kafkaServer.out: {out}");
    good(script("kafka-server-stop.sh").arg(format!("--node-id={node}")))?;
    let start = Instant::now();
    while frame::brokers(ports[0], Duration::from_secs(1)).is_ok()
        || !dir.join("data/.kafka_cleanshutdown").exists()
    {
        ensure!(start.elapsed() < LIMIT, "stopped within {} s", LIMIT.as_secs());
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn daemon_refused() -> Result<()> {
    let dir = scratch("daemon-refused")?;
    let file = own_config(&dir, 1, free_ports()?)?;
    let start = Instant::now();
    refused(
        script("kafka-server-start.sh").arg("-daemon").arg(&file).env("LOG_DIR", dir.join("logs")),
        &["No `meta.properties` found in"],
    )?;
    ensure!(start.elapsed() < Duration::from_secs(5), "at once, not after {:?}", start.elapsed());
    Ok(())
}

fn archive() -> Result<()> {
    dist::run(&dist::Release::default())?;
    let dir = scratch("archive")?;
    let archives: Vec<PathBuf> = fs::read_dir(process::target().join("dist"))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "tgz"))
        .collect();
    ensure!(archives.len() == 1, "one archive, not {archives:?}");
    process::checked(Command::new("tar").arg("-xzf").arg(&archives[0]).current_dir(&dir), LIMIT)?;
    let inside: Vec<PathBuf> = fs::read_dir(&dir)?.flatten().map(|e| e.path()).collect();
    ensure!(inside.len() == 1, "it unpacks to one directory, not {inside:?}");
    is_id(&good(Command::new(inside[0].join("bin/kafka-storage.sh")).arg("random-uuid"))?)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a parent")?)?;
    process::checked(Command::new("cp").arg("-R").arg(from).arg(to), LIMIT).map(drop)
}
