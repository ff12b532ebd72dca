//! `cargo xtask compat disk`: the same directory under both systems, in turn. Apache Kafka fills it and is stopped (or
//! killed); the other serves every record and offset, adds more, is stopped (or killed); Apache Kafka serves all of
//! that; and its own tools read every file on the way.

mod client;
mod files;

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use crate::machine::Need;
use crate::server::{self, Server, Site, System};
use crate::tally::Tally;
use client::Client;

/// What the judge needs of the machine, beyond what cargo brings.
pub const NEEDS: &[Need] = &[Need::Jdk, Need::Maven];

/// How a node ends its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stopped,
    Killed,
}

/// Runs the judge; `other` takes the turns between those of Apache Kafka.
pub fn run(other: System) -> Result<()> {
    if other == System::Ottla {
        server::build()?;
    }
    let client = Client::new()?;
    let mut tally = Tally::new("compat disk");
    for (name, end, dynamic) in [("stopped", End::Stopped, false), ("killed", End::Killed, true)] {
        println!("-- Apache Kafka, {}, Apache Kafka; each {name}", other.name());
        if let Err(error) = turns(&mut tally, &client, name, other, end, dynamic) {
            // What comes after needs what failed here.
            tally.note(&format!("{name}: all turns"), Err(error));
        }
    }
    println!("-- {}, Apache Kafka, {}", other.name(), other.name());
    if let Err(error) = begun(&mut tally, &client, other) {
        tally.note("begun: all turns", Err(error));
    }
    tally.close()
}

/// A directory that the other formatted and filled, under Apache Kafka.
fn begun(tally: &mut Tally, client: &Client, other: System) -> Result<()> {
    let mut site = Site::fresh("disk-begun")?.with("offsets.topic.num.partitions", "4");
    site = site.with("transaction.state.log.num.partitions", "2");
    site.dynamic = true;

    let server = Server::start(other, &site)?;
    client.steps(&server, &["create", "write=first", "write=second", "delete=40"])?;
    let written = client.dump(&server, "1-other")?;
    finish(server, End::Stopped)?;
    files::read(tally, "begun", &site, files::Left { stopped: true, transactions: false })?;

    let said = log_of(&site).len();
    let server = Server::start(System::Apache, &site)?;
    let served = client.dump(&server, "2-apache")?;
    let what = format!("begun: Apache Kafka opens what {} left without a complaint", other.name());
    tally.note(&what, no_complaint(&log_of(&site)[said..], End::Stopped));
    let what = format!("begun: Apache Kafka serves what {} began", other.name());
    tally.note(&what, same(&written, &served, End::Stopped));
    client.steps(&server, &["write=third", "transact=third"])?;
    let added = client.dump(&server, "3-apache")?;
    tally.note("begun: and more", grown(&served, &added));
    finish(server, End::Stopped)?;

    let server = Server::start(other, &site)?;
    let served = client.dump(&server, "4-other")?;
    tally.note(&format!("begun: {} serves all of it", other.name()), same(&added, &served, End::Stopped));
    finish(server, End::Stopped)
}

fn turns(
    tally: &mut Tally,
    client: &Client,
    name: &str,
    other: System,
    end: End,
    dynamic: bool,
) -> Result<()> {
    let mut site = Site::fresh(&format!("disk-{name}"))?.with("offsets.topic.num.partitions", "4");
    site = site.with("transaction.state.log.num.partitions", "2").with("log.cleaner.enable", "true");
    site.dynamic = dynamic;

    let server = Server::start(System::Apache, &site)?;
    let mut steps = vec!["create", "write=first", "transact=first", "delete=40"];
    if end == End::Killed {
        steps.push("open=first");
    }
    client.steps(&server, &steps)?;
    let written = client.dump(&server, "1-apache")?;
    finish(server, end)?;
    let expected =
        BTreeSet::from(["transactions", "open", "headers", "tombstones", "segments", "idempotent"]);
    tally.check(&format!("{name}: Apache Kafka wrote of every kind"), || of_every_kind(&written, &expected));

    // The other's turn.
    let server = Server::start(other, &site)?;
    let served = client.dump(&server, "2-other")?;
    tally.note(&format!("{name}: {} serves all of it", other.name()), same(&written, &served, end));
    client.steps(&server, &["write=second", "delete=130"])?;
    let added = client.dump(&server, "3-other")?;
    tally.note(&format!("{name}: and more"), grown(&served, &added));
    finish(server, end)?;
    files::read(tally, name, &site, files::Left { stopped: end == End::Stopped, transactions: true })?;

    // Apache Kafka again.
    let said = log_of(&site).len();
    let server = Server::start(System::Apache, &site)?;
    let served = client.dump(&server, "4-apache")?;
    let what = format!("{name}: Apache Kafka opens what {} left without a complaint", other.name());
    tally.note(&what, no_complaint(&log_of(&site)[said..], end));
    tally
        .note(&format!("{name}: Apache Kafka serves what {} left", other.name()), same(&added, &served, end));
    client.steps(&server, &["write=third", "transact=third"])?;
    let added = client.dump(&server, "5-apache")?;
    tally.note(&format!("{name}: Apache Kafka adds to it"), grown(&served, &added));
    finish(server, end)?;

    let server = Server::start(other, &site)?;
    let served = client.dump(&server, "6-other")?;
    tally.note(&format!("{name}: {} serves all of it once more", other.name()), same(&added, &served, end));
    finish(server, end)
}

fn finish(server: Server, end: End) -> Result<()> {
    match end {
        End::Stopped => {
            let system = server.system;
            let status = server.stop()?;
            // The JVM says 128 + SIGTERM after a controlled shutdown.
            let controlled = status.success() || (system == System::Apache && status.code() == Some(143));
            ensure!(controlled, "{} ended with {status}", system.name());
            Ok(())
        }
        End::Killed => server.kill(),
    }
}

fn log_of(site: &Site) -> String {
    std::fs::read(site.dir.join("server.log"))
        .map_or(String::new(), |b| String::from_utf8_lossy(&b).into_owned())
}

/// What Apache Kafka logs when it does not like what it opens. After a kill it looks through the segments that were
/// not flushed; after a clean stop it has nothing to do.
fn no_complaint(log: &str, end: End) -> Result<()> {
    let always =
        ["] ERROR ", "corrupt", "Corrupt", "Rebuilding", "Could not find offset index", "inconsistent"];
    let when_stopped = ["Recovering unflushed segment", "Attempting recovery", "not cleanly shut"];
    let stopped: &[&str] = if end == End::Stopped { &when_stopped } else { &[] };
    let bad = |line: &&str| {
        // The metadata log is looked through at every start.
        let expected = line.contains("partition=__cluster_metadata-0") && !line.contains("] ERROR ");
        !expected && always.iter().chain(stopped).any(|word| line.contains(word))
    };
    let found: Vec<&str> = log.lines().filter(bad).take(5).collect();
    ensure!(found.is_empty(), "{}", found.join("\n"));
    ensure!(log.contains("Kafka Server started"), "its log is empty");
    Ok(())
}

fn of_every_kind(dump: &[String], topics: &BTreeSet<&str>) -> Result<()> {
    for topic in topics {
        // The topic `open` stays empty where no transaction is left open.
        let records = dump.iter().filter(|l| l.starts_with(&format!("read_uncommitted {topic}-0 "))).count();
        ensure!(*topic == "open" || records > 1, "no record in {topic}");
    }
    let committed =
        |level: &str| dump.iter().filter(|l| l.starts_with(&format!("{level} transactions-"))).count();
    ensure!(committed("read_committed") < committed("read_uncommitted"), "no aborted transaction");
    for kind in ["group group-first ", "group group-tx ", "producer idempotent-0 ", "configs segments {index"]
    {
        ensure!(dump.iter().any(|line| line.starts_with(kind)), "no line '{kind}'");
    }
    Ok(())
}

/// Both nodes say the same, line by line. Where a log begins after records were deleted is checkpointed every minute, as
/// in Apache Kafka: after a kill the deleted ones may be there again.
fn same(before: &[String], after: &[String], end: End) -> Result<()> {
    let counts = |line: &&String| end == End::Stopped || !line.contains(" trimmed-0 ");
    let before: BTreeSet<&String> = before.iter().filter(counts).collect();
    let after: BTreeSet<&String> = after.iter().filter(counts).collect();
    let lost: Vec<&&String> = before.difference(&after).collect();
    let new: Vec<&&String> = after.difference(&before).collect();
    if lost.is_empty() && new.is_empty() {
        return Ok(());
    }
    let mut text = format!("of {} lines {} are lost and {} are new", before.len(), lost.len(), new.len());
    for (mark, lines) in [("-", &lost), ("+", &new)] {
        for line in lines.iter().take(12) {
            let line: String = line.chars().take(160).collect();
            text.push_str(&format!("\n{mark} {line}"));
        }
    }
    bail!(text)
}

/// Every record of before is there, and more.
fn grown(before: &[String], after: &[String]) -> Result<()> {
    let records = |dump: &[String]| -> BTreeSet<String> {
        let record = |line: &&String| line.starts_with("read_") && line.contains(" value ");
        // What was deleted in between is not missed.
        dump.iter().filter(record).filter(|l| !l.contains(" trimmed-0 ")).cloned().collect()
    };
    let (before, after) = (records(before), records(after));
    let lost: Vec<&String> = before.difference(&after).take(8).collect();
    ensure!(lost.is_empty(), "lost: {lost:?}");
    ensure!(after.len() > before.len() + 6000, "{} records after {}", after.len(), before.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|l| (*l).to_owned()).collect()
    }

    #[test]
    fn a_difference_is_found_on_both_sides() {
        let one = lines(&["a", "b"]);
        assert!(same(&one, &lines(&["b", "a"]), End::Stopped).is_ok());
        assert!(same(&one, &lines(&["a"]), End::Killed).is_err());
        assert!(same(&one, &lines(&["a", "b", "c"]), End::Stopped).is_err());
    }

    #[test]
    fn complaints_of_the_log_are_found() {
        let started = "[2026] INFO Kafka Server started (x)\n";
        assert!(no_complaint(started, End::Stopped).is_ok());
        assert!(no_complaint(&format!("[2026] ERROR no\n{started}"), End::Killed).is_err());
        let recovery = format!("[2026] INFO Recovering unflushed segment 0.\n{started}");
        assert!(no_complaint(&recovery, End::Killed).is_ok());
        assert!(no_complaint(&recovery, End::Stopped).is_err());
    }

    #[test]
    fn a_lost_record_is_found() {
        let before = lines(&["read_committed none-0 0 value 'x'"]);
        let mut after: Vec<String> =
            (0..7000).map(|i| format!("read_committed none-1 {i} value 'y'")).collect();
        assert!(grown(&before, &after).is_err());
        after.extend(before.clone());
        assert!(grown(&before, &after).is_ok());
    }
}
