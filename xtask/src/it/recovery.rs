//! What a node finds when it starts after a bad end: torn tails, indexes that are gone or wrong, files that nobody can
//! read any more.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{batch, good, own_config, refused, script};
use crate::machine::Need;
use crate::process;
use crate::server::{CLUSTER, Server, Site, System};
use crate::tally::Tally;

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check("kill -9: every acknowledged record is there again", killed);
    tally.check("a torn tail is cut off, what is before it stays", torn);
    tally.check("indexes that are gone, empty or noise are made anew", indexes);
    tally.check("a batch that went bad in the middle after kill -9: cut there, as Kafka does", rotten);
    tally.check("a metadata log that nobody can read: file and position, exit 1, untouched", metadata);
    match Need::Mount.find() {
        Some(_) => tally.check("a full disk: one clear line, and what was acknowledged is kept", full),
        None => println!("left out: a full disk; lacking: {}", Need::Mount.how()),
    }
    Ok(())
}

/// A node of ours with a topic of `count` records, and where the topic lies.
fn filled(name: &str, count: i64) -> Result<(Site, Server, PathBuf)> {
    let site = Site::fresh(&format!("it-recovery-{name}"))?;
    let server = Server::start(System::Ottla, &site)?;
    batch::create_topic(site.port, "kept", 1)?;
    for i in 0..count / 5 {
        let answer = batch::produce(site.port, "kept", &batch::Batch::plain(5).bytes())?;
        ensure!(answer == (0, i * 5), "taken at {}, not {answer:?}", i * 5);
    }
    let dir = site.data().join("kept-0");
    Ok((site, server, dir))
}

fn expect(site: &Site, end: i64) -> Result<()> {
    let server = Server::start(System::Ottla, site)?;
    let found = batch::end_offset(site.port, "kept")?;
    ensure!(found == end, "{end} records, not {found}");
    let answer = batch::produce(site.port, "kept", &batch::Batch::plain(5).bytes())?;
    ensure!(answer == (0, end), "the next at {end}, not {answer:?}");
    server.stop()?;
    Ok(())
}

fn segment(dir: &Path, suffix: &str) -> PathBuf {
    dir.join(format!("{:020}{suffix}", 0))
}

fn killed() -> Result<()> {
    let (site, server, _) = filled("killed", 500)?;
    server.kill()?;
    expect(&site, 500)?;
    expect(&site, 505)
}

fn torn() -> Result<()> {
    let (site, server, dir) = filled("torn", 50)?;
    server.kill()?;
    let log = segment(&dir, ".log");
    let whole = fs::read(&log)?;
    // Half of one more batch: a write that the machine did not finish.
    let batch = batch::Batch { base_offset: 50, ..batch::Batch::plain(5) }.bytes();
    File::options().append(true).open(&log)?.write_all(&batch[..batch.len() / 2])?;
    expect(&site, 50)?;
    let after = fs::read(&log)?;
    ensure!(after.starts_with(&whole), "what was acknowledged is as it was");
    ensure!(after.len() == whole.len() + batch.len(), "the torn half is gone: {} bytes", after.len());
    Ok(())
}

fn indexes() -> Result<()> {
    let (site, server, dir) = filled("indexes", 50)?;
    server.kill()?;
    fs::remove_file(segment(&dir, ".index"))?;
    fs::write(segment(&dir, ".timeindex"), [0xff; 36])?;
    expect(&site, 50)?;
    // After a clean end nothing is read anew unless it has to be.
    fs::write(segment(&dir, ".index"), b"noise that is not a multiple")?;
    fs::remove_file(segment(&dir, ".timeindex"))?;
    expect(&site, 55)
}

fn rotten() -> Result<()> {
    let (site, server, dir) = filled("rotten", 50)?;
    server.kill()?;
    let log = segment(&dir, ".log");
    let mut bytes = fs::read(&log)?;
    let each = bytes.len() / 10;
    bytes[each * 6 + each - 2] ^= 0xff;
    fs::write(&log, bytes)?;
    // Six batches of five are whole; from the seventh on the log ends.
    expect(&site, 30)
}

fn metadata() -> Result<()> {
    let (site, server, _) = filled("metadata", 5)?;
    server.stop()?;
    let log = segment(&site.data().join("__cluster_metadata-0"), ".log");
    let mut bytes = fs::read(&log)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&log, &bytes)?;
    let name = log.file_name().context("a name")?.to_string_lossy().into_owned();
    let mut start = System::Ottla.program("kafka-server-start")?;
    refused(
        start.arg(site.properties()).current_dir(&site.dir),
        &["__cluster_metadata-0", &name, "at byte "],
    )?;
    ensure!(fs::read(&log)? == bytes, "the file is as it was");
    Ok(())
}

/// A small file system of its own, filled by records. Where nobody may mount, the log crate's simulated disk
/// is what remains.
fn full() -> Result<()> {
    let dir = super::scratch("full")?;
    let data = dir.join("data");
    fs::create_dir_all(&data)?;
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&data);
    process::checked(&mut mount, super::LIMIT)?;
    let _guard = Mounted(data.clone());
    let ports = crate::server::free_ports()?;
    let file = own_config(&dir, 1, ports)?;
    good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    let mut node = super::Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out"))?;
    node.until("Kafka Server started")?;
    batch::create_topic(ports[0], "kept", 1)?;
    let big = batch::Batch::of(batch::record(0, &[b'x'; 500_000]), 1).bytes();
    let mut acknowledged = 0;
    for _ in 0..100 {
        match batch::produce(ports[0], "kept", &big) {
            Ok((0, base)) => acknowledged = base + 1,
            _ => break,
        }
    }
    ensure!((5..60).contains(&acknowledged), "{acknowledged} records fit");
    let said = |text: &str| {
        text.to_lowercase().contains("no space left") && text.contains(&data.display().to_string())
    };
    let start = std::time::Instant::now();
    while !said(&node.text()) {
        ensure!(start.elapsed() < Duration::from_secs(5), "no word of the full disk:\n{}", node.text());
        std::thread::sleep(Duration::from_millis(20));
    }
    super::no_panic(&node.text())?;
    drop(node);
    // With room again, all that was acknowledged is there.
    process::checked(
        std::process::Command::new("mount").args(["-o", "remount,size=64m"]).arg(&data),
        super::LIMIT,
    )?;
    let mut node = super::Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out2"))?;
    node.until("Kafka Server started")?;
    let found = batch::end_offset(ports[0], "kept")?;
    ensure!(found >= acknowledged, "{acknowledged} records, not {found}");
    node.end("TERM").map(drop)
}

/// Unmounts at the end of its scope.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
