//! What our node must not take over: it says what it met and which step back is safe, and leaves the directory as it was,
//! so that Apache Kafka opens it as before. And a move that was interrupted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{agree, programs};
use crate::frame::Bytes;
use crate::it::batch::{Batch, record, signed};
use crate::it::cluster::wire;
use crate::process::{self, Output};
use crate::server::{Server, Site, System};
use crate::tally::Tally;

const LIMIT: Duration = Duration::from_secs(30);

/// Where a newer release may have written what we do not know.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Log,
    Snapshot,
    /// What its `kafka-storage format` leaves for the first leader.
    Bootstrap,
}

const PLACES: &[(Place, &str)] = &[
    (Place::Log, "in the metadata log"),
    (Place::Snapshot, "in a snapshot"),
    (Place::Bootstrap, "in a directory that was formatted and never started"),
];

/// (what, the frame of a record in the metadata log, what has to be said about it)
const RECORDS: &[(&str, &[u8], &str)] = &[
    // metadata.version 31, an unstable one.
    ("a newer metadata.version", &frame_of_level(31), "metadata.version level 31 is not supported"),
    // FeatureLevelRecord of `new.feature`, level 1.
    ("a feature that is not served", b"\x01\x0c\x00\x0cnew.feature\x00\x01\x00", "new.feature"),
    ("a record of an unknown kind", &[1, 99, 0, 0], "99"),
    ("a record of an unknown version", &[1, 2, 7, 0], "7"),
];

/// A name, settings, and what the refusal says.
type Line = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// (what, lines of the configuration, what has to be said): refused for what the file asks for.
const LINES: &[Line] = &[
    (
        "TLS for clients",
        &[("listener.security.protocol.map", "PLAINTEXT:SSL,CONTROLLER:PLAINTEXT")],
        "the listener PLAINTEXT uses SSL",
    ),
    (
        "SASL for controllers",
        &[("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT")],
        "the listener CONTROLLER uses SASL_PLAINTEXT",
    ),
    (
        "access control",
        &[("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")],
        "authorizer.class.name",
    ),
    (
        "a plug-in named by its class",
        &[("create.topic.policy.class.name", "com.example.Policy")],
        "create.topic.policy.class.name",
    ),
    ("tiered storage", &[("remote.log.storage.system.enable", "true")], "remote.log.storage.system.enable"),
    ("a value that is none", &[("num.network.threads", "many")], "num.network.threads"),
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
    let made = filled().and_then(|site| Ok((site, formatted()?)));
    let (site, new) = match made {
        Ok(made) => made,
        Err(error) => return tally.note("directories of Apache Kafka", Err(error)),
    };
    for (place, named) in PLACES {
        let site = if *place == Place::Bootstrap { &new } else { &site };
        for (what, frame, words) in RECORDS {
            tally.check(&format!("{what} {named}: refused and named, the directory untouched"), || {
                let sound = insert(site, *place, &Batch::of(record(0, frame), 1))?;
                let outcome = met(
                    site,
                    &["newer release wrote this", "nothing in", "next: start this node with", words],
                    words,
                );
                restore(sound)?;
                outcome
            });
        }
    }
    tally.check("a newer kraft.version: refused and named, the directory untouched", || {
        let sound = insert(&site, Place::Log, &kraft_version(2))?;
        let words = "kraft.version level 2 is not supported";
        let outcome = met(
            &site,
            &["newer release wrote this", "nothing in", "next: start this node with", words],
            words,
        );
        restore(sound)?;
        outcome
    });
    for (what, lines, words) in LINES {
        tally.check(&format!("{what}: refused with its line, the directory untouched"), || {
            let mut asked = site.clone();
            asked.settings.extend(lines.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
            asked.write_properties()?;
            let outcome = met(&asked, &["server.properties:", words], words);
            site.write_properties()?;
            outcome
        });
    }
    tally.check("what was never touched starts as Apache Kafka again", || {
        for site in [&site, &new] {
            Server::start(System::Apache, site)?.stop()?;
        }
        Ok(())
    });
    tally.check("a move that broke off leaves a directory that either kind opens", || broken_off(&site));
}

/// One node of Apache Kafka, stopped, with a topic and a snapshot.
fn filled() -> Result<Site> {
    // The snapshots of every NoOpRecord: one is there at any time.
    let site = Site::fresh("mixed-refused")?.with("metadata.log.max.record.bytes.between.snapshots", "1");
    let server = Server::start(System::Apache, &site)?;
    let code = wire::create_topic(site.port, "there", 3, 1)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    programs::until("a snapshot", Duration::from_secs(60), || Ok(snapshot(&site).is_ok()))?;
    server.stop()?;
    Ok(site)
}

/// A directory that Apache Kafka's tool has formatted, and nobody started.
fn formatted() -> Result<Site> {
    let site = Site::fresh("mixed-refused-new")?;
    site.format(System::Apache)?;
    Ok(site)
}

fn snapshot(site: &Site) -> Result<PathBuf> {
    let files = agree::with_suffix(&site.data().join(agree::METADATA), ".checkpoint")?;
    files.into_iter().next_back().context("no snapshot")
}

/// Puts a batch where it would be read; the file and its bytes as they were.
fn insert(site: &Site, place: Place, batch: &Batch) -> Result<(PathBuf, Vec<u8>)> {
    let path = match place {
        Place::Log => site.data().join(agree::METADATA).join("00000000000000000000.log"),
        Place::Snapshot => snapshot(site)?,
        Place::Bootstrap => site.data().join("bootstrap.checkpoint"),
    };
    let sound = fs::read(&path)?;
    let mut batches = agree::Batches::new();
    agree::read_into(&sound, &mut batches)?;
    // A snapshot ends with its footer; what follows the log's last batch may be preallocated.
    let footer = if place == Place::Log { None } else { batches.pop_last() };
    let (_, last) = batches.last_key_value().context("a batch")?;
    let end = agree::end(&batches);
    let mut own = batch.bytes();
    // Offset and leader epoch are outside of what the CRC covers.
    own[..8].copy_from_slice(&end.to_be_bytes());
    own[12..16].copy_from_slice(&last[12..16]);
    let mut bytes: Vec<u8> = batches.into_values().flatten().chain(own).collect();
    if let Some((_, mut footer)) = footer {
        footer[..8].copy_from_slice(&(end + 1).to_be_bytes());
        bytes.extend(footer);
    }
    fs::write(&path, bytes)?;
    Ok((path, sound))
}

fn restore((path, sound): (PathBuf, Vec<u8>)) -> Result<()> {
    Ok(fs::write(path, sound)?)
}

/// A start says `said` and ends, `doctor` names `named`, and nothing in the directory is different.
fn met(site: &Site, said: &[&str], named: &str) -> Result<()> {
    let before = contents(&site.data());
    start_refused(site, said)?;
    let mut doctor = System::Ottla.program("doctor")?;
    let output = process::capture(doctor.arg("--before-move").arg(site.properties()), LIMIT)?;
    let all = output.stdout.clone();
    let found = output.status.code() == Some(1) && all.contains("STOPS") && all.contains(named);
    ensure!(found, "doctor ended with {}{}", output.status, output.tail());
    let after = contents(&site.data());
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

/// A control batch with a `KRaftVersionRecord` of this level.
fn kraft_version(level: u8) -> Batch {
    // Version 0, of type 5; version 0, the level, no tagged fields.
    let (key, value) = ([0, 0, 0, 5], [0, 0, 0, level, 0]);
    let body = signed(Bytes::new().i8(0).varint(0).varint(0), key.len() as i64).raw(&key);
    let body = signed(body, value.len() as i64).raw(&value).varint(0).0;
    let mut batch = Batch::of(signed(Bytes::new(), body.len() as i64).raw(&body).0, 1);
    batch.attributes = 1 << 5;
    batch
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

/// Ours is killed at moments of its first start on Apache Kafka's directory, and Apache Kafka at moments of its start on ours;
/// both open what that leaves.
fn broken_off(site: &Site) -> Result<()> {
    for after in [1, 5, 15, 30, 60, 120, 300] {
        killed(System::Ottla, site, after)?;
        if after == 15 || after == 300 {
            opens(System::Apache, site).with_context(|| format!("Ottla was killed after {after} ms"))?;
        }
    }
    opens(System::Ottla, site)?;
    for after in [500, 1500, 2500, 4000] {
        killed(System::Apache, site, after)?;
        opens(System::Ottla, site).with_context(|| format!("Apache Kafka was killed after {after} ms"))?;
    }
    opens(System::Apache, site)
}

/// A start that is killed after so many milliseconds.
fn killed(system: System, site: &Site, after: u64) -> Result<()> {
    let mut start = system.program("kafka-server-start")?;
    start.arg(site.properties()).current_dir(&site.dir).env_remove("LOG_DIR");
    start.env("OTTLA_OWNER", std::process::id().to_string());
    start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = start.spawn().context("cannot start the node")?;
    std::thread::sleep(Duration::from_millis(after));
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// It serves what is there, and ends well.
fn opens(system: System, site: &Site) -> Result<()> {
    let server = Server::start(system, site)?;
    let view = wire::view(site.port)?;
    let there = view.partitions.keys().filter(|(topic, _)| topic == "there").count();
    ensure!(there == 3, "{:?}", view.partitions);
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
