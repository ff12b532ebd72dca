//! What the nodes made of the metadata: Apache Kafka's `kafka-dump-log` reads the logs and snapshots of both kinds, its
//! `kafka-metadata-shell` walks a snapshot of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::agree::{METADATA, batches, end, short, with_suffix};
use crate::it::cluster::nodes::Nodes;
use crate::peers;
use crate::process;
use crate::server::System;

/// How long a tool of Apache Kafka may take on a busy machine.
const TOOL: Duration = Duration::from_secs(120);
/// How long a node may take to write down what there is.
const WRITTEN: Duration = Duration::from_secs(120);

/// Every node's log is read by Apache Kafka's tool; the nodes' snapshots say the same, record by record and path by path.
pub fn same(nodes: &Nodes) -> Result<()> {
    let mut files = Vec::new();
    for node in &nodes.all {
        files.extend(with_suffix(&node.data().join(METADATA), ".log")?);
    }
    let text = dump(&files)?;
    let records = text.contains("FEATURE_LEVEL_RECORD") || text.contains("NO_OP_RECORD");
    ensure!(records, "no record in the metadata");
    let newest = newest(nodes)?;
    images(&newest)?;
    walked(nodes, &newest)
}

/// A snapshot of every node that runs, with all that is in the logs now.
fn newest(nodes: &Nodes) -> Result<BTreeMap<i32, PathBuf>> {
    let start = Instant::now();
    // Nothing changes any more; until every node has written down what there is, the next snapshot shows it.
    let floor =
        nodes.all.iter().map(|n| batches(n, METADATA).map(|b| end(&b))).collect::<Result<Vec<_>>>()?;
    let floor = floor.into_iter().max().unwrap_or(0);
    loop {
        let mut newest = BTreeMap::new();
        for node in nodes.all.iter().filter(|n| n.runs()) {
            let files = with_suffix(&node.data().join(METADATA), ".checkpoint")?;
            let offset = |f: &PathBuf| {
                let name = f.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.split('-').next().and_then(|o| o.parse::<i64>().ok()).unwrap_or(-1)
            };
            let last = files.into_iter().rfind(|f| offset(f) >= floor);
            newest.extend(last.map(|file| (node.id, file)));
        }
        if newest.len() == nodes.all.iter().filter(|n| n.runs()).count() {
            return Ok(newest);
        }
        let waited = start.elapsed() < WRITTEN;
        ensure!(waited, "snapshots from offset {floor} on have only {:?}", newest.keys());
        thread::sleep(Duration::from_millis(300));
    }
}

/// The snapshots hold the same records, in any order.
fn images(newest: &BTreeMap<i32, PathBuf>) -> Result<()> {
    let mut states: Vec<(i32, BTreeSet<String>)> = Vec::new();
    for (id, file) in newest {
        let text = dump(std::slice::from_ref(file))?;
        states.push((*id, text.lines().filter_map(record).collect()));
    }
    let (first, state) = states.first().context("no node runs")?;
    ensure!(state.len() > 3, "a state of {} records", state.len());
    states[1..].iter().try_for_each(|(other, theirs)| differ(*first, state, *other, theirs))
}

fn differ(first: i32, state: &BTreeSet<String>, other: i32, theirs: &BTreeSet<String>) -> Result<()> {
    let less: Vec<&String> = state.difference(theirs).take(6).collect();
    let more: Vec<&String> = theirs.difference(state).take(6).collect();
    ensure!(
        less.is_empty() && more.is_empty(),
        "the states of nodes {first} and {other} differ\n- {}\n+ {}",
        less.iter().map(|l| short(l)).collect::<Vec<_>>().join("\n- "),
        more.iter().map(|l| short(l)).collect::<Vec<_>>().join("\n+ ")
    );
    Ok(())
}

/// The shell finds the same paths in a snapshot of each kind.
fn walked(nodes: &Nodes, newest: &BTreeMap<i32, PathBuf>) -> Result<()> {
    let mut found: Vec<(i32, BTreeSet<String>)> = Vec::new();
    for kind in [System::Apache, System::Ottla] {
        let of_kind = |id: &i32| nodes.node(*id).system == kind;
        let Some((id, file)) = newest.iter().find(|(id, _)| of_kind(id)) else { continue };
        // The shell wants the lock of the directory that a snapshot lies in, which its node has.
        let copy = nodes.dir().join(format!("walked-{id}/{METADATA}"));
        fs::create_dir_all(&copy)?;
        let copy = copy.join(file.file_name().context("a name")?);
        fs::copy(file, &copy)?;
        found.push((*id, paths(&copy)?));
    }
    for pair in found.windows(2) {
        let [(first, state), (other, theirs)] = pair else { continue };
        differ(*first, state, *other, theirs).context("kafka-metadata-shell")?;
    }
    Ok(())
}

/// Every path that the shell shows of a snapshot.
fn paths(snapshot: &Path) -> Result<BTreeSet<String>> {
    let start = Instant::now();
    loop {
        let mut shell = peers::tool(&peers::install()?, "kafka-metadata-shell")?;
        let text = process::checked(shell.arg("--snapshot").arg(snapshot).args(["find", "/image"]), TOOL)?;
        let paths: BTreeSet<String> = text.lines().map(str::to_owned).collect();
        // On a busy machine it may answer before it has read the file.
        if paths.iter().any(|path| path.starts_with("/image/cluster/brokers/")) {
            return Ok(paths);
        }
        ensure!(
            start.elapsed() < TOOL,
            "kafka-metadata-shell finds no broker in {}: {text}",
            snapshot.display()
        );
    }
}

/// What a line of the dump says beside where it lies: `payload: {...}`, or a control record's content.
fn record(line: &str) -> Option<String> {
    if let Some((_, payload)) = line.split_once(" payload: ") {
        return Some(features_in_order(payload));
    }
    if let Some((_, voters)) = line.split_once("KRaftVoters ") {
        // Voters are a set, too.
        let mut voters: Vec<&str> =
            voters.split("{\"voterId\":").map(|v| v.trim_end_matches([',', ']', '}'])).collect();
        voters.sort_unstable();
        return Some(voters.join(" "));
    }
    line.split_once("KRaftVersion ").map(|(_, rest)| rest.to_owned())
}

/// A registration's features are a set: whoever writes a snapshot writes them in an order of its own.
fn features_in_order(payload: &str) -> String {
    let key = "\"features\":[";
    let Some(from) = payload.find(key).map(|at| at + key.len()) else { return payload.to_owned() };
    let Some(to) = payload[from..].find(']').map(|at| from + at) else { return payload.to_owned() };
    let mut features: Vec<&str> = payload[from..to].split("},").map(|f| f.trim_end_matches('}')).collect();
    features.sort_unstable();
    format!("{}{}{}", &payload[..from], features.join("},"), &payload[to..])
}

fn dump(files: &[PathBuf]) -> Result<String> {
    let list: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    let mut tool = peers::tool(&peers::install()?, "kafka-dump-log")?;
    tool.args(["--cluster-metadata-decoder", "--files", &list.join(",")]);
    let output = process::capture(&mut tool, TOOL)?;
    ensure!(output.status.success(), "kafka-dump-log ended with {}{}", output.status, output.tail());
    for word in ["isvalid: false", "Exception", "Could not", "invalid bytes"] {
        let bad = output.stdout.lines().chain(output.stderr.lines()).find(|l| l.contains(word));
        ensure!(bad.is_none(), "kafka-dump-log: {}", bad.unwrap_or_default());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumped_record_is_what_it_says() {
        let line = "| offset: 3 CreateTime: 5 keySize: -1 valueSize: 9 sequence: -1 headerKeys: [] payload: {\"type\":\"X\"}";
        assert_eq!(record(line).as_deref(), Some("{\"type\":\"X\"}"));
        assert_eq!(record("baseOffset: 0 lastOffset: 1"), None);
        let of = |features: &str| {
            record(&format!("| offset: 1 payload: {{\"features\":[{features}],\"rack\":null}}"))
        };
        assert_eq!(of("{\"a\":1},{\"b\":2}"), of("{\"b\":2},{\"a\":1}"));
        let voters = |ids: [u8; 2]| {
            let voter = |id| format!("{{\"voterId\":{id},\"endpoints\":[{{\"port\":{id}}}]}}");
            record(&format!("| offset: 2 KRaftVoters {{\"voters\":[{},{}]}}", voter(ids[0]), voter(ids[1])))
        };
        assert!(
            voters([1, 2]).is_some() && voters([1, 2]) == voters([2, 1]) && voters([1, 2]) != voters([1, 3])
        );
        assert_ne!(of("{\"a\":1},{\"b\":2}"), of("{\"b\":2},{\"a\":2}"));
    }
}
