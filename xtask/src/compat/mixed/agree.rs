//! What must be the same on every node: each batch of each log at its offset, byte for byte. And what Apache Kafka's nodes say
//! of their peers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::state;
use crate::it::cluster::nodes::{Node, Nodes};

pub const METADATA: &str = "__cluster_metadata-0";
/// Base offset, length, leader epoch, magic, CRC, attributes, last offset delta.
const HEADER: usize = 27;
/// How long logs may take to become equal.
const SOON: Duration = Duration::from_secs(30);

/// Base offset to the bytes of each batch of one partition on one node.
pub type Batches = BTreeMap<i64, Vec<u8>>;

/// Reads a partition's segments. The last batch may be under way.
pub fn batches(node: &Node, partition: &str) -> Result<Batches> {
    let dir = place(node, partition).with_context(|| format!("node {} has no {partition}", node.id))?;
    let mut found = Batches::new();
    for file in with_suffix(&dir, ".log")? {
        read_into(&fs::read(&file)?, &mut found)?;
    }
    Ok(found)
}

pub(super) fn read_into(mut rest: &[u8], found: &mut Batches) -> Result<()> {
    while rest.len() >= HEADER {
        let base = i64::from_be_bytes(rest[..8].try_into()?);
        let length = 12 + usize::try_from(i32::from_be_bytes(rest[8..12].try_into()?))?;
        // Preallocated bytes, or a write under way.
        if length == 12 || rest.len() < length {
            break;
        }
        found.insert(base, rest[..length].to_vec());
        rest = &rest[length..];
    }
    Ok(())
}

/// One past the last offset.
pub fn end(batches: &Batches) -> i64 {
    let Some((base, bytes)) = batches.last_key_value() else { return 0 };
    base + 1 + i64::from(i32::from_be_bytes(bytes[23..27].try_into().expect("four bytes")))
}

pub(super) fn with_suffix(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.to_string_lossy().ends_with(suffix));
    files.sort();
    Ok(files)
}

/// Where a node keeps a partition.
fn place(node: &Node, partition: &str) -> Option<PathBuf> {
    node.dirs().iter().map(|dir| dir.join(partition)).find(|dir| dir.exists())
}

/// The names of the directories that hold a topic's partitions on this node.
pub fn partitions(node: &Node, topic: &str) -> Result<BTreeSet<String>> {
    let mut entries = Vec::new();
    for dir in node.dirs() {
        entries.extend(fs::read_dir(dir)?.flatten().map(|e| e.file_name().to_string_lossy().into_owned()));
    }
    let of_topic = |name: &String| {
        name.rsplit_once('-').is_some_and(|(t, number)| t == topic && number.parse::<u32>().is_ok())
    };
    Ok(entries.into_iter().filter(of_topic).collect())
}

/// Both have the same bytes at every offset that both have.
fn same(one: &Batches, other: &Batches) -> Result<()> {
    let from = one.keys().next().max(other.keys().next()).copied().unwrap_or(0);
    let to = end(one).min(end(other));
    let cut = |all: &Batches| -> Batches {
        all.range(from..).filter(|(base, _)| **base < to).map(|(k, v)| (*k, v.clone())).collect()
    };
    let (one, other) = (cut(one), cut(other));
    for (base, bytes) in &one {
        let theirs = other.get(base).with_context(|| format!("no batch at offset {base} on the second"))?;
        if bytes != theirs {
            let at = bytes.iter().zip(theirs).take_while(|(a, b)| a == b).count();
            bail!(
                "the batch at offset {base} differs from byte {at} on ({} and {} bytes):\n{:02x?}\n{:02x?}",
                bytes.len(),
                theirs.len(),
                &bytes[..bytes.len().min(96)],
                &theirs[..theirs.len().min(96)]
            );
        }
    }
    for base in other.keys() {
        ensure!(one.contains_key(base), "no batch at offset {base} on the first");
    }
    Ok(())
}

/// Every node that has the partition has the same batches, and nobody lacks the end of another. Where it ends.
pub fn logs(nodes: &Nodes, partition: &str) -> Result<i64> {
    let start = Instant::now();
    loop {
        let read = |n: &&Node| place(n, partition).is_some();
        let found: Result<Vec<(i32, Batches)>> =
            nodes.all.iter().filter(read).map(|n| Ok((n.id, batches(n, partition)?))).collect();
        let verdict = found.and_then(|found| all_same(&found, partition));
        match verdict {
            Ok(end) => return Ok(end),
            Err(error) if start.elapsed() > SOON => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn all_same(found: &[(i32, Batches)], partition: &str) -> Result<i64> {
    ensure!(found.len() > 1, "{partition}: on {} nodes", found.len());
    let furthest = found.iter().map(|(_, b)| end(b)).max().unwrap_or(0);
    for pair in found.windows(2) {
        let [(one, a), (other, b)] = pair else { continue };
        same(a, b).with_context(|| format!("{partition} of nodes {one} and {other}"))?;
    }
    for (id, batches) in found {
        // The metadata log grows by itself: what was appended while it was read may be missing.
        let lag = furthest - end(batches);
        let allowed = if partition == METADATA { 8 } else { 0 };
        ensure!(lag <= allowed, "{partition}: node {id} ends {lag} offsets before another");
    }
    Ok(furthest)
}

/// Every partition of `topic`, on every node.
pub fn topic(nodes: &Nodes, topic: &str) -> Result<()> {
    let mut names = BTreeSet::new();
    for node in nodes.all.iter().filter(|n| n.port.is_some()) {
        names.extend(partitions(node, topic)?);
    }
    ensure!(!names.is_empty(), "no partition of {topic}");
    let ends = names.iter().map(|name| logs(nodes, name)).collect::<Result<Vec<_>>>()?;
    ensure!(ends.iter().any(|end| *end > 0), "every partition of {topic} is empty");
    Ok(())
}

/// The metadata: the same log everywhere, and what each node made of it.
pub fn metadata(nodes: &Nodes) -> Result<()> {
    ensure!(logs(nodes, METADATA)? > 0, "no metadata");
    state::same(nodes)
}

/// Faults of Apache Kafka's nodes: what none of them says as long as its peers are of its own kind.
const FAULTS: &[&str] = &[
    "Encountered fatal fault",
    "Encountered nonfatal fault",
    "Unexpected e",
    "Uncaught exception",
    "SchemaException",
    "UnsupportedVersionException",
    "IllegalStateException",
    "IllegalArgumentException",
    "NullPointerException",
    "ClassCastException",
    "BufferUnderflowException",
    "InvalidRequestException",
    "CorruptRecordException",
    "KafkaStorageException",
    "RuntimeException",
];
/// The line after says that it is the usual coming and going of leaders.
const USUAL: &[&str] = &[
    "NotControllerException",
    "NotLeaderOrFollowerException",
    "FencedLeaderEpochException",
    "UnknownLeaderEpochException",
    "StaleBrokerEpochException",
    "BrokerIdNotRegisteredException",
    "TimeoutException",
    "DuplicateBrokerRegistrationException",
    "CoordinatorNotAvailableException",
    "REQUEST_TIMED_OUT",
];

/// No node panicked, and none of Apache Kafka's met what it did not expect of a peer.
pub fn content(nodes: &Nodes) -> Result<()> {
    nodes.no_panic()?;
    nodes.all.iter().try_for_each(|node| match faults(&node.log()) {
        found if found.is_empty() => Ok(()),
        found => bail!("node {} says:\n{}", node.id, found[..found.len().min(3)].join("\n")),
    })
}

fn faults(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let usual = |at: usize| {
        lines[at..lines.len().min(at + 2)].iter().any(|line| USUAL.iter().any(|word| line.contains(word)))
    };
    let bad = lines.iter().enumerate().filter(|(at, line)| {
        !line.contains(" DEBUG ") && FAULTS.iter().any(|word| line.contains(word)) && !usual(*at)
    });
    bad.map(|(at, line)| {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        format!("{}\n  {}", short(line), short(next))
    })
    .collect()
}

pub(super) fn short(line: &str) -> String {
    line.chars().take(400).collect()
}

/// All of it: what a check ends with, while the nodes still run.
pub fn everything(nodes: &Nodes, topics: &[&str]) -> Result<()> {
    metadata(nodes).context("the metadata")?;
    topics.iter().try_for_each(|name| topic(nodes, name))?;
    content(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, epoch: i32, more: u8) -> (i64, Vec<u8>) {
        let mut bytes = base.to_be_bytes().to_vec();
        bytes.extend(20i32.to_be_bytes());
        bytes.extend(epoch.to_be_bytes());
        bytes.extend([2, 0, 0, 0, more, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
        (base, bytes)
    }

    #[test]
    fn a_difference_is_found_where_both_have_bytes() {
        let one: Batches = [batch(0, 1, 7), batch(2, 1, 8), batch(4, 2, 9)].into();
        assert_eq!(end(&one), 6);
        let short: Batches = [batch(0, 1, 7), batch(2, 1, 8)].into();
        assert!(same(&one, &short).is_ok(), "an end that the other lacks is no difference");
        let other: Batches = [batch(0, 1, 7), batch(2, 3, 8)].into();
        assert!(same(&one, &other).is_err(), "another epoch is one");
        let hole: Batches = [batch(0, 1, 7), batch(4, 2, 9)].into();
        assert!(same(&one, &hole).is_err() && same(&hole, &one).is_err());
        assert!(all_same(&[(1, one.clone()), (2, short)], "t-0").is_err(), "and a node that lags is named");
        assert!(all_same(&[(1, one.clone()), (2, one)], "t-0").is_ok());
    }

    #[test]
    fn faults_are_told_from_the_usual() {
        let usual = "ERROR Unexpected error handling request\norg.apache.kafka.common.errors.NotControllerException: x\n";
        assert_eq!(faults(usual), Vec::<String>::new());
        assert_eq!(faults("INFO fine\nERROR Unexpected error\njava.lang.Error\n").len(), 1);
        assert_eq!(faults("java.lang.IllegalStateException: no\n").len(), 1);
    }
}
