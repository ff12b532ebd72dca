//! What our node must not take over: it says what it met and which step back is safe, and leaves the directory as it was,
//! so that Apache Kafka opens it as before. And a move that was interrupted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::agree;
use crate::it::batch::{Batch, record};
use crate::it::cluster::wire;
use crate::process::{self, Output};
use crate::server::{Server, Site, System};
use crate::tally::Tally;

const LIMIT: Duration = Duration::from_secs(30);

/// (what, the frame of a record in the metadata log, what has to be said about it)
const RECORDS: &[(&str, &[u8], &str)] = &[
    // metadata.version 31, an unstable one.
    ("a newer metadata.version", &frame_of_level(31), "metadata.version level 31 is not supported"),
    ("a record of an unknown kind", &[1, 99, 0, 0], "99"),
    ("a record of an unknown version", &[1, 2, 7, 0], "7"),
];

/// A `FeatureLevelRecord` of `metadata.version`.
const fn frame_of_level(level: u8) -> [u8; 23] {
    let name = *b"metadata.version";
    let mut frame = [0; 23];
    (frame[0], frame[1], frame[2], frame[3]) = (1, 12, 0, name.len() as u8 + 1);
    let mut at = 0;
    while at < name.len() {
        frame[4 + at] = name[at];
        at += 1;
    }
    (frame[20], frame[21]) = (0, level);
    frame
}

pub fn run(tally: &mut Tally) {
    let site = match filled() {
        Ok(site) => site,
        Err(error) => return tally.note("a directory of Apache Kafka", Err(error)),
    };
    for (what, frame, words) in RECORDS {
        tally.check(&format!("{what}: refused and named, the directory untouched"), || {
            met(&site, frame, words)
        });
    }
    tally.check("what was never touched starts as Apache Kafka again", || {
        let server = Server::start(System::Apache, &site)?;
        server.stop().map(drop)
    });
    tally.check("a move that broke off leaves a directory that either kind opens", || broken_off(&site));
}

/// One node of Apache Kafka, stopped, with a topic.
fn filled() -> Result<Site> {
    let site = Site::fresh("mixed-refused")?;
    let server = Server::start(System::Apache, &site)?;
    let code = wire::create_topic(site.port, "there", 3, 1)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    server.stop()?;
    Ok(site)
}

fn met(site: &Site, frame: &[u8], words: &str) -> Result<()> {
    let log = site.data().join("__cluster_metadata-0/00000000000000000000.log");
    let sound = fs::read(&log)?;
    let end = agree::end_of_segment(&sound)?;
    let mut bytes = sound.clone();
    bytes.extend(batch(end, frame));
    fs::write(&log, &bytes)?;
    let before = contents(&site.data());
    let outcome =
        start_refused(site, &["newer release wrote this", "nothing in", "next: start this node with", words]);
    let mut doctor = System::Ottla.program("doctor")?;
    let said = process::capture(doctor.arg("--before-move").arg(site.properties()), LIMIT)?;
    let after = contents(&site.data());
    fs::write(&log, &sound)?;
    outcome?;
    let named = said.status.code() == Some(1) && said.stdout.contains("STOPS") && said.stdout.contains(words);
    ensure!(named, "doctor ended with {}{}", said.status, said.tail());
    for (path, bytes) in &before {
        ensure!(after.get(path) == Some(bytes), "{} is not what it was", path.display());
    }
    // The lock says that nobody else has the directory; either kind makes it when it looks.
    let lock = site.data().join(".lock");
    let new: Vec<&PathBuf> =
        after.keys().filter(|path| !before.contains_key(*path) && **path != lock).collect();
    ensure!(new.is_empty(), "new: {new:?}");
    Ok(())
}

/// One record in a batch of its own, as a leader in epoch 1 appends it.
fn batch(base: i64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Batch::of(record(0, value), 1).bytes();
    // Offset and leader epoch are outside of what the CRC covers.
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes[12..16].copy_from_slice(&1i32.to_be_bytes());
    bytes
}

fn start_refused(site: &Site, words: &[&str]) -> Result<()> {
    let mut start = System::Ottla.program("kafka-server-start")?;
    start.arg(site.properties()).current_dir(&site.dir).env("LOG_DIR", site.dir.join("logs"));
    let output: Output = process::capture(&mut start, LIMIT)?;
    ensure!(output.status.code() == Some(1), "exit 1, not {}{}", output.status, output.tail());
    let all = format!("{}{}", output.stdout, output.stderr);
    for word in words {
        ensure!(all.contains(word), "it does not say `{word}`:{}", output.tail());
    }
    ensure!(!all.contains("panicked at"), "it panicked:{}", output.tail());
    Ok(())
}

/// Ours is killed at moments of its first start on Apache Kafka's directory; both open what that leaves.
fn broken_off(site: &Site) -> Result<()> {
    for after in [1, 5, 15, 30, 60, 120, 300] {
        let mut start = System::Ottla.program("kafka-server-start")?;
        start.arg(site.properties()).current_dir(&site.dir).env_remove("LOG_DIR");
        start.env("OTTLA_OWNER", std::process::id().to_string());
        start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = start.spawn().context("cannot start the node")?;
        std::thread::sleep(Duration::from_millis(after));
        child.kill()?;
        child.wait()?;
        if after == 15 || after == 300 {
            let server =
                Server::start(System::Apache, site).with_context(|| format!("killed after {after} ms"))?;
            server.stop()?;
        }
    }
    let server = Server::start(System::Ottla, site)?;
    let view = wire::view(site.port)?;
    ensure!(
        view.partitions.keys().filter(|(topic, _)| topic == "there").count() == 3,
        "{:?}",
        view.partitions
    );
    server.stop().map(drop)
}

/// Every file below a directory with its bytes.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            all.insert(path, bytes);
        }
    }
    all
}
