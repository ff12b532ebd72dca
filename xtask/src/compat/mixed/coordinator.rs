//! Groups whose coordinator moves between the kinds while they consume.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::programs::{self, Java, Program};
use super::{A, O, agree, cluster, kind};
use crate::it::cluster::ledger::Ledger;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::process;
use crate::tally::Tally;

const TOPIC: &str = "ledger";
const OFFSETS: &str = "__consumer_offsets";
const SOME: usize = 300;

pub fn run(tally: &mut Tally) {
    tally.check("a group goes on while its coordinator moves between the kinds", || classic(false));
    tally.check("a group goes on while its coordinator is killed", || classic(true));
    tally.check("a group of the new protocol is kept by a coordinator that does not serve it", kept);
}

/// The partition of `__consumer_offsets` that a group's records lie in: Java's hash of its name.
fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group.encode_utf16().fold(0i32, |h, c| h.wrapping_mul(31).wrapping_add(i32::from(c)));
    // Kafka's `Utils.abs`: the smallest number of all has no positive one.
    hash.checked_abs().unwrap_or(0) % partitions
}

fn start(name: &str) -> Result<(Nodes, Ledger)> {
    let mut nodes = cluster(name, &[A, O, O], Shape::Combined(3), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let ledger = Ledger::open(&nodes, TOPIC, 3, 3)?;
    nodes.whole(TOPIC)?;
    Ok((nodes, ledger))
}

fn place(nodes: &Nodes) -> Result<std::path::PathBuf> {
    let dir = nodes.all[0].data();
    Ok(dir.parent().and_then(|d| d.parent()).context("the judge's place")?.to_path_buf())
}

fn classic(killed: bool) -> Result<()> {
    let java = Java::new()?;
    let (mut nodes, ledger) = start(if killed { "coordinator-killed" } else { "coordinator-stopped" })?;
    let (dir, bootstrap) = (place(&nodes)?, nodes.bootstrap());
    let file = dir.join("member.book");
    let words = ["consume", TOPIC, "both", &file.display().to_string(), "classic"];
    // Two members of one group, of different libraries; they share an assignor by its name.
    let java_member = Program::start(&dir, "java-member", java.command(&bootstrap, &words))?;
    let other = programs::librdkafka_member(&dir, &bootstrap, TOPIC, "both")?;
    let given = || {
        let mut all = programs::given(&std::fs::read_to_string(&file).unwrap_or_default());
        for (value, count) in programs::given(&other.said()) {
            *all.entry(value).or_insert(0) += count;
        }
        all
    };
    let goes_on = || {
        let before = given().len();
        programs::until("given more records", Duration::from_secs(70), || Ok(given().len() > before + SOME))
    };
    goes_on()?;
    nodes.whole(OFFSETS)?;
    let partition = partition_of("both", 5);
    let mut met = Vec::new();
    for _ in 0..6 {
        let id = nodes.leader(OFFSETS, partition)?;
        met.push(kind(&nodes, id));
        if killed {
            nodes.kill(id)?;
        } else {
            nodes.stop(id)?;
        }
        ledger.until_more(SOME)?;
        goes_on().with_context(|| format!("after node {id} went"))?;
        nodes.start(id)?;
        nodes.ready()?;
        nodes.whole(OFFSETS)?;
        nodes.whole(TOPIC)?;
        elect(&nodes)?;
        if met.contains(&A) && met.contains(&O) && met.len() > 3 {
            break;
        }
        // The next coordinator is the next replica in the row: moved there by hand.
        let next = id % 3 + 1;
        reassign(&nodes, partition, &[next, next % 3 + 1, (next + 1) % 3 + 1])?;
        goes_on().with_context(|| format!("after the coordinator moved to node {next}"))?;
    }
    ensure!(met.contains(&A) && met.contains(&O), "the coordinators were {met:?}");
    let verdict = ledger.close(&nodes)?;
    programs::until("given everything", Duration::from_secs(60), || Ok(given().len() >= verdict.records))?;
    java_member.end(false)?;
    let all = given();
    other.end(true)?;
    let doubled = all.values().filter(|n| **n > 1).count();
    // Everything was given and everything was committed.
    let text = programs::tool(
        "kafka-consumer-groups",
        &["--bootstrap-server", &bootstrap, "--describe", "--group", "both"],
    )?;
    let lag: Vec<&str> = text.lines().filter(|l| l.starts_with("both ")).collect();
    ensure!(lag.len() == 3, "the group's offsets: {text}");
    for line in lag {
        let lag = line.split_whitespace().nth(5).unwrap_or_default();
        ensure!(lag == "0", "a lag of {lag}: {text}");
    }
    println!("      {} records; coordinators {met:?}; {doubled} given twice", verdict.records);
    agree::everything(&nodes, &[TOPIC, OFFSETS])
}

fn elect(nodes: &Nodes) -> Result<()> {
    let bootstrap = nodes.bootstrap();
    let arguments =
        ["--bootstrap-server", &bootstrap, "--election-type", "preferred", "--all-topic-partitions"];
    programs::tool("kafka-leader-election", &arguments).map(drop)
}

/// The replicas of the partition in this order, the first one leading.
fn reassign(nodes: &Nodes, partition: i32, replicas: &[i32]) -> Result<()> {
    let file = place(nodes)?.join("reassignment.json");
    let entry = format!("{{\"topic\":\"{OFFSETS}\",\"partition\":{partition},\"replicas\":{replicas:?}}}");
    std::fs::write(&file, format!("{{\"version\":1,\"partitions\":[{entry}]}}"))?;
    let (bootstrap, file) = (nodes.bootstrap(), file.display().to_string());
    let arguments = ["--bootstrap-server", &bootstrap, "--reassignment-json-file", &file, "--execute"];
    programs::tool("kafka-reassign-partitions", &arguments)?;
    programs::until("reassigned", Duration::from_secs(30), || {
        let view = nodes.view()?;
        let found = view.partitions.get(&(OFFSETS.to_owned(), partition)).context("the partition")?;
        Ok(found.replicas == replicas)
    })?;
    elect(nodes)?;
    programs::until("led by the first", Duration::from_secs(30), || {
        Ok(nodes.leader(OFFSETS, partition)? == replicas[0])
    })
}

/// A group of the new protocol lives on Apache Kafka, lies with ours for a while, and is whole when it comes back.
fn kept() -> Result<()> {
    let java = Java::new()?;
    let (mut nodes, ledger) = start("coordinator-kept")?;
    let (dir, bootstrap) = (place(&nodes)?, nodes.bootstrap());
    // Any record of any group makes the topic.
    let words = ["consume", TOPIC, "first", &dir.join("first.book").display().to_string(), "classic"];
    let first = Program::start(&dir, "first", java.command(&bootstrap, &words))?;
    programs::until("an offsets topic", Duration::from_secs(60), || {
        Ok(nodes.view()?.partitions.keys().any(|(topic, _)| topic == OFFSETS))
    })?;
    first.end(false)?;
    nodes.whole(OFFSETS)?;
    let group = "modern";
    let partition = partition_of(group, 5);
    reassign(&nodes, partition, &[1, 2, 3])?;
    let book = dir.join("modern.book");
    let words = ["consume", TOPIC, group, &book.display().to_string(), "consumer"];
    let member = Program::start(&dir, "modern", java.command(&bootstrap, &words))?;
    let given = || programs::given(&std::fs::read_to_string(&book).unwrap_or_default()).len();
    programs::until("given records", Duration::from_secs(60), || Ok(given() > SOME))?;
    member.end(false)?;
    let offsets = || {
        let mut ask = java.command(&bootstrap, &["offsets", group]);
        let text = process::checked(&mut ask, Duration::from_secs(90))?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        ensure!(lines.len() == 3, "{text}");
        Ok(lines)
    };
    let before = offsets()?;
    reassign(&nodes, partition, &[2, 3, 1])?;
    let with_ours = offsets().context("with ours")?;
    ensure!(with_ours == before, "with ours: {with_ours:?}, not {before:?}");
    nodes.stop(1)?;
    ledger.until_more(SOME)?;
    nodes.start(1)?;
    nodes.ready()?;
    nodes.whole(OFFSETS)?;
    reassign(&nodes, partition, &[1, 2, 3])?;
    let after = offsets().context("with Apache Kafka again")?;
    ensure!(after == before, "with Apache Kafka again: {after:?}, not {before:?}");
    // And its members go on where they were.
    let words = ["consume", TOPIC, group, &dir.join("again.book").display().to_string(), "consumer"];
    let member = Program::start(&dir, "again", java.command(&bootstrap, &words))?;
    let again = || programs::given(&std::fs::read_to_string(dir.join("again.book")).unwrap_or_default());
    programs::until("given more", Duration::from_secs(60), || Ok(again().len() > SOME))?;
    member.end(false)?;
    let old = programs::given(&std::fs::read_to_string(&book)?);
    let twice = again().keys().filter(|value| old.contains_key(*value)).count();
    ensure!(twice == 0, "{twice} records were given again");
    ledger.close(&nodes)?;
    agree::everything(&nodes, &[TOPIC, OFFSETS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_java_puts_them() {
        // "both".hashCode() is 3029889, "polygenelubricants".hashCode() is the smallest of all.
        assert_eq!(partition_of("both", 5), 4);
        assert_eq!(partition_of("polygenelubricants", 5), 0);
        // Less than 0: -1068799201.
        assert_eq!(partition_of("modern", 5), 1);
    }
}
