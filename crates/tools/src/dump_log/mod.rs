//! `kafka-dump-log` (Kafka's `DumpLogSegments`): what is in a segment, its indexes, a producer snapshot or a metadata
//! snapshot, without a running server.

mod batches;
mod decoders;
mod index;
mod producers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::jopt::{Found, Kind, Parser};
use crate::runtime::{self, Out, Stop};
use decoders::Decoders;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-dump-log", args, dump)
}

const STRING_DECODER: &str = "org.apache.kafka.tools.api.StringDecoder";

fn parser() -> Parser {
    let mut p = Parser::new();
    p.flag(
        "print-data-log",
        "If set, printing the messages content when dumping data logs. Automatically set if any decoder option is \
         specified.",
    );
    p.flag("verify-index-only", "If set, just verify the index log without printing its content.");
    p.flag(
        "index-sanity-check",
        "If set, just checks the index sanity without printing its content. This is the same check that is executed \
         on broker startup to determine if an index needs rebuilding or not.",
    );
    p.takes(
        "files",
        "REQUIRED: The comma separated list of data and index log files to be dumped.",
        "file1, file2, ...",
        Kind::Text,
    );
    p.takes("max-message-size", "Size of largest message.", "size", Kind::Integer).default("5242880");
    p.takes(
        "max-bytes",
        "Limit the amount of total batches read in bytes avoiding reading the whole .log file(s).",
        "size",
        Kind::Integer,
    )
    .default("2147483647");
    p.flag(
        "deep-iteration",
        "If set, uses deep instead of shallow iteration. Automatically set if print-data-log is enabled.",
    );
    for (name, what) in [("value-decoder-class", "messages"), ("key-decoder-class", "keys")] {
        p.may_take(
            name,
            &format!(
                "If set, used to deserialize the {what}. This class should implement \
                 org.apache.kafka.tools.api.Decoder trait. Custom jar should be available in kafka/libs directory."
            ),
            "",
            Kind::Text,
        )
        .default(STRING_DECODER);
    }
    for (name, what) in [
        ("offsets-decoder", "offset data from the __consumer_offsets topic."),
        ("transaction-log-decoder", "transaction metadata from the __transaction_state topic."),
        ("cluster-metadata-decoder", "cluster metadata records."),
        (
            "remote-log-metadata-decoder",
            "TopicBasedRemoteLogMetadataManager (RLMM) metadata records. Instead, the value-decoder-class option can \
             be used if a custom RLMM implementation is configured.",
        ),
        ("share-group-state-decoder", "share group state data from the __share_group_state topic."),
    ] {
        p.flag(name, &format!("If set, log data will be parsed as {what}"));
    }
    p.flag(
        "skip-record-metadata",
        "Skip metadata when printing records. This flag also skips control records.",
    );
    p
}

/// What was asked for.
struct Wanted {
    print: bool,
    deep: bool,
    skip_record_metadata: bool,
    sanity_only: bool,
    verify_only: bool,
    max_message_size: u64,
    max_bytes: i32,
    /// Told only when a log is dumped.
    decoders: Result<Decoders, Stop>,
}

impl Wanted {
    fn of(found: &Found) -> Wanted {
        let decoders = Decoders::of(found);
        let print = [
            "print-data-log",
            "offsets-decoder",
            "transaction-log-decoder",
            "cluster-metadata-decoder",
            "remote-log-metadata-decoder",
            "value-decoder-class",
            "key-decoder-class",
            "share-group-state-decoder",
        ]
        .iter()
        .any(|name| found.has(name));
        Wanted {
            print,
            deep: print || found.has("deep-iteration"),
            skip_record_metadata: found.has("skip-record-metadata"),
            sanity_only: found.has("index-sanity-check"),
            verify_only: found.has("verify-index-only"),
            max_message_size: found.integer("max-message-size").unwrap_or(5_242_880).max(0) as u64,
            max_bytes: found.integer("max-bytes").unwrap_or(i32::MAX),
            decoders,
        }
    }
}

/// What is wrong with several files, told at the end.
#[derive(Default)]
struct Findings {
    index_mismatches: BTreeMap<String, BTreeMap<i64, i64>>,
    time_mismatches: BTreeMap<String, Vec<(i64, i64)>>,
    time_disorder: BTreeMap<String, Vec<(i64, i64)>>,
    time_unknown: BTreeMap<String, Vec<(i64, i64)>>,
    gaps: BTreeMap<String, BTreeMap<i64, i64>>,
}

fn dump(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = p.parse(args)?;
    p.help_or_version(
        &found,
        "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly \
         corrupt log segment.",
        out,
    )?;
    p.check_required(&found, &["files"])?;
    let wanted = Wanted::of(&found);
    let mut findings = Findings::default();
    let files = found.value("files").unwrap_or_default();
    for name in files.trim_end_matches(',').split(',') {
        let path = normal(name);
        writeln!(out, "Dumping {}", path.display())?;
        let file_name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match file_name.rfind('.').map(|at| &file_name[at..]) {
            Some(".log" | ".checkpoint") => batches::dump(&path, &file_name, &wanted, &mut findings, out)?,
            Some(".index") => index::dump_offsets(&path, &file_name, &wanted, &mut findings, out)?,
            Some(".timeindex") => index::dump_times(&path, &file_name, &wanted, &mut findings, out)?,
            Some(".txnindex") => index::dump_aborted(&path, out)?,
            Some(".snapshot") => producers::dump(&path, out)?,
            _ => {
                out.flush()?;
                eprintln!("Ignoring unknown file {}", path.display());
            }
        }
    }
    out.flush()?;
    findings.tell();
    Ok(())
}

impl Findings {
    fn tell(&self) {
        for (file, pairs) in &self.index_mismatches {
            eprintln!("Mismatches in :{file}");
            for (index, log) in pairs.iter().rev() {
                eprintln!("  Index offset: {index}, log offset: {log}");
            }
        }
        for (file, pairs) in &self.time_mismatches {
            eprintln!("Found timestamp mismatch in :{file}");
            for (index, log) in pairs {
                eprintln!("  Index timestamp: {index}, log timestamp: {log}");
            }
        }
        for (file, pairs) in &self.time_disorder {
            eprintln!("Found out of order timestamp in :{file}");
            for (index, previous) in pairs {
                eprintln!("  Index timestamp: {index}, Previously indexed timestamp: {previous}");
            }
        }
        for (file, pairs) in &self.time_unknown {
            eprintln!("The following indexed offsets are not found in :{file}");
            for (index, log) in pairs {
                eprintln!("Indexed offset: {index}, found log offset: {log}");
            }
        }
        for (file, pairs) in &self.gaps {
            eprintln!("Non-consecutive offsets in {file}");
            for (before, after) in pairs {
                eprintln!("  {before} is followed by {after}");
            }
        }
    }
}

/// The path as `java.io.File` shows it: no doubled and no trailing slashes.
fn normal(name: &str) -> PathBuf {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '/' || !text.ends_with('/') {
            text.push(c);
        }
    }
    if text.len() > 1 && text.ends_with('/') {
        text.pop();
    }
    PathBuf::from(text)
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// Where Kafka ends with a Java stack trace: its first line.
fn thrown(class: &str, message: impl Display) -> Stop {
    Stop::error(format!("Exception in thread \"main\" {class}: {message}"))
}

/// A file that cannot be opened or read.
fn unreadable(path: &Path, error: &std::io::Error) -> Stop {
    let shown = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => thrown("java.nio.file.NoSuchFileException", shown).and_err(
            "    next: give the path of a segment file, for example LOG_DIR/TOPIC-0/00000000000000000000.log",
        ),
        std::io::ErrorKind::PermissionDenied => thrown("java.nio.file.AccessDeniedException", shown)
            .and_err("    next: run the tool as the user that owns the log directory"),
        _ => thrown("java.io.IOException", format!("{shown}: {error}")),
    }
}

/// The number that a segment's file name begins with.
fn first_offset(file_name: &str) -> Result<i64, Stop> {
    let text = file_name.split('.').next().unwrap_or_default();
    text.parse().map_err(|_| {
        thrown("java.lang.NumberFormatException", format!("For input string: \"{text}\"")).and_err(
            "    cause: the name of a segment's file is its first offset, for example 00000000000000000000.log",
        )
    })
}

#[cfg(test)]
mod tests;
