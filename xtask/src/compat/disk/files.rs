//! Apache Kafka's own tools on the files that a node left: every segment, index, producer snapshot and checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::peers;
use crate::process::{self, Output};
use crate::server::{Site, System};
use crate::tally::Tally;

/// Words of `kafka-dump-log` that tell of a fault in what it reads.
const COMPLAINTS: &[&str] = &[
    "isvalid: false",
    "mismatch",
    "Mismatch",
    "is corrupt",
    "out of order",
    "Exception",
    "Could not",
    "could not",
    "invalid bytes at the end",
    "Non-secquential",
    "Non-sequential",
];

/// How the directory was left.
#[derive(Clone, Copy)]
pub struct Left {
    /// Stopped, not killed: the indexes are trimmed to their entries and the clean-shutdown marker is there.
    pub stopped: bool,
    /// Transactions were among what was written.
    pub transactions: bool,
}

/// Reads everything below the node's directory.
pub fn read(tally: &mut Tally, name: &str, site: &Site, left: Left) -> Result<()> {
    let files = files(&site.data())?;
    let (metadata, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().partition(|f| f.to_string_lossy().contains("__cluster_metadata-0"));
    let (offsets, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
        rest.into_iter().partition(|f| f.to_string_lossy().contains("__consumer_offsets-"));
    let (transactions, topics): (Vec<&PathBuf>, Vec<&PathBuf>) =
        rest.into_iter().partition(|f| f.to_string_lossy().contains("__transaction_state-"));

    tally.check(&format!("{name}: dump-log reads the topics' segments"), || {
        let text = dump_log(&with_suffix(&topics, ".log"), &["--print-data-log"])?;
        let records = text.lines().filter(|l| l.starts_with("| offset: ")).count();
        ensure!(records > 8_000, "{records} records");
        for word in
            ["compresscodec: gzip", "compresscodec: snappy", "compresscodec: lz4", "compresscodec: zstd"]
        {
            ensure!(text.contains(word), "no batch with {word}");
        }
        let markers = text.contains("endTxnMarker: ABORT") && text.contains("endTxnMarker: COMMIT");
        ensure!(markers || !left.transactions, "no markers");
        ensure!(text.contains("headerKeys: [b,a,b,n]"), "no headers");
        Ok(())
    });
    tally.check(&format!("{name}: dump-log agrees with the indexes"), || {
        let mut indexes = with_suffix(&topics, ".index");
        indexes.extend(with_suffix(&topics, ".timeindex"));
        indexes.extend(with_suffix(&offsets, ".index"));
        ensure!(indexes.len() > 40, "{} indexes", indexes.len());
        if !left.stopped {
            // The last ones still have their full, preallocated size; a dump would read zeros as entries.
            indexes.retain(|f| f.metadata().is_ok_and(|m| m.len() < 1_000_000));
        }
        let text = dump_log(&indexes, &[])?;
        let entries =
            text.lines().filter(|l| l.starts_with("offset: ") || l.starts_with("timestamp: ")).count();
        ensure!(!left.stopped || entries > 200, "{entries} entries");
        Ok(())
    });
    tally.check(&format!("{name}: dump-log reads the transaction indexes and producer snapshots"), || {
        let mut small = with_suffix(&topics, ".snapshot");
        ensure!(!small.is_empty(), "no producer snapshot");
        small.extend(with_suffix(&topics, ".txnindex"));
        let text = dump_log(&small, &[])?;
        ensure!(text.contains("producerId: "), "no producer in the snapshots");
        Ok(())
    });
    tally.check(&format!("{name}: dump-log decodes the cluster's metadata"), || {
        let mut logs = with_suffix(&metadata, ".log");
        logs.extend(with_suffix(&metadata, ".checkpoint"));
        let text = dump_log(&logs, &["--cluster-metadata-decoder"])?;
        for word in [
            "TOPIC_RECORD",
            "PARTITION_RECORD",
            "CONFIG_RECORD",
            "REMOVE_TOPIC_RECORD",
            "FEATURE_LEVEL_RECORD",
        ] {
            ensure!(text.contains(word), "no {word}");
        }
        Ok(())
    });
    tally.check(&format!("{name}: dump-log decodes the offsets and the transactions' states"), || {
        let text = dump_log(&with_suffix(&offsets, ".log"), &["--offsets-decoder"])?;
        ensure!(text.contains("\"group\":\"group-second\""), "no offsets of the second writer");
        if left.transactions {
            let text = dump_log(&with_suffix(&transactions, ".log"), &["--transaction-log-decoder"])?;
            ensure!(text.contains("\"transactionalId\":\"tx-first\""), "no transactional id");
        }
        Ok(())
    });
    tally.check(&format!("{name}: the clean-shutdown marker"), || {
        let there = site.data().join(".kafka_cleanshutdown").exists();
        ensure!(there == left.stopped, "it is {}there", if there { "" } else { "not " });
        Ok(())
    });
    tally.check(&format!("{name}: the metadata shell opens the metadata"), || shell(&site.data()));
    tally.check(&format!("{name}: kafka-storage info finds nothing wrong"), || {
        let mut info = System::Apache.program("kafka-storage")?;
        let text =
            process::checked(info.args(["info", "-c"]).arg(site.properties()), Duration::from_secs(60))?;
        ensure!(text.contains("Found metadata:") && !text.contains("Found problem"), "it says: {text}");
        Ok(())
    });
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for partition in fs::read_dir(dir)?.flatten().filter(|e| e.path().is_dir()) {
        // A directory that waits for its deletion is nobody's any more.
        if partition.file_name().to_string_lossy().ends_with("-delete") {
            continue;
        }
        files.extend(fs::read_dir(partition.path())?.flatten().map(|e| e.path()));
    }
    files.sort();
    ensure!(!files.is_empty(), "{} holds no partitions", dir.display());
    Ok(files)
}

fn with_suffix(files: &[&PathBuf], suffix: &str) -> Vec<PathBuf> {
    files.iter().filter(|f| f.to_string_lossy().ends_with(suffix)).map(|f| (*f).clone()).collect()
}

/// What `kafka-dump-log` says of `files`; an error with the place when it complains.
fn dump_log(files: &[PathBuf], flags: &[&str]) -> Result<String> {
    ensure!(!files.is_empty(), "no files");
    let list: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
    let mut tool = peers::tool(&peers::install()?, "kafka-dump-log")?;
    tool.args(["--files", &list.join(",")]).args(flags);
    let output: Output = process::capture(&mut tool, Duration::from_secs(120))?;
    ensure!(output.status.success(), "kafka-dump-log ended with {}{}", output.status, output.tail());
    complaints(&output.stdout)?;
    complaints(&output.stderr)?;
    Ok(output.stdout)
}

fn complaints(text: &str) -> Result<()> {
    let mut file = "";
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Dumping ") {
            file = name;
        }
        // A record's own text may say anything.
        let own = line.split(" payload: ").next().unwrap_or_default();
        if COMPLAINTS.iter().any(|word| own.contains(word)) {
            found.entry(file).or_default().push(line);
        }
    }
    let Some((file, lines)) = found.first_key_value() else { return Ok(()) };
    bail!("{file}: {}", lines[..lines.len().min(3)].join("\n"))
}

/// The log itself, which the shell opens as it opens a snapshot.
fn shell(data: &Path) -> Result<()> {
    let dir = data.join("__cluster_metadata-0");
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)?.flatten().map(|e| e.path()).collect();
    files.sort();
    let log = files.iter().rfind(|f| f.to_string_lossy().ends_with(".log")).context("no metadata log")?;
    let mut shell = peers::tool(&peers::install()?, "kafka-metadata-shell")?;
    shell.arg("--snapshot").arg(log).args(["ls", "/image/topics/byName"]);
    let mut text = process::checked(&mut shell, Duration::from_secs(60))?;
    if text.trim().is_empty() {
        // On a busy machine it may answer before it has read the file.
        text = process::checked(&mut shell, Duration::from_secs(60))?;
    }
    for topic in ["none", "transactions", "tombstones", "segments"] {
        ensure!(text.split_whitespace().any(|w| w == topic), "no topic {topic}: {text}");
    }
    ensure!(!text.split_whitespace().any(|w| w == "deleted"), "the deleted topic is there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_outside_of_what_records_say() {
        assert!(complaints("Dumping a.log\n| offset: 1 payload: Exception\n").is_ok());
        let error = complaints("Dumping a.log\nbaseOffset: 0 isvalid: false\n").expect_err("a broken batch");
        assert!(error.to_string().starts_with("a.log: "));
    }
}
