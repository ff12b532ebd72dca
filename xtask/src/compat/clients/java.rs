//! Apache Kafka's own Java client, from 1.0.2 to the newest: one source, compiled against each version.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Client, is_made, lines_of, made, sources};
use crate::peers::{self, Jars};
use crate::process;

/// (version, the classes that it can compile, whether it knows zstd)
const VERSIONS: &[(&str, &[&str], bool)] = &[
    ("1.0.2", &["EraOfMillis", "AdminOf1"], false),
    ("2.0.1", &["EraOfMillis", "AdminOf1", "ConfigsOf11", "AdminOf2"], false),
    ("2.6.3", &["EraOfDuration", "AdminOf1", "ConfigsOf11", "AdminOf2", "AdminOf26"], true),
    ("3.9.2", &["EraOfDuration", "AdminOf1", "ConfigsOf11", "AdminOf2", "AdminOf26"], true),
    ("4.3.1", &["EraOfDuration", "AdminOf2", "AdminOf26", "AdminOf4"], true),
    ("4.4.0", &["EraOfDuration", "AdminOf2", "AdminOf26", "AdminOf4"], true),
];

const BASE: &[&str] = &["Judge", "Members"];

/// What each class reports.
fn checks_of(class: &str) -> &'static [&'static str] {
    match class {
        "AdminOf1" => &["describe", "partitions", "delete"],
        "ConfigsOf11" => &["configs"],
        "AdminOf2" => &["groups", "delete-records"],
        "AdminOf26" => &["incremental", "list-offsets", "delete-offsets", "cooperative", "static"],
        "AdminOf4" => &[
            "describe",
            "partitions",
            "max-timestamp",
            "quorum",
            "log-dirs",
            "producers",
            "list-groups",
            "delete",
        ],
        _ => &[],
    }
}

/// One client for every version.
pub(super) fn clients() -> Result<Vec<Client>> {
    VERSIONS.iter().map(|(version, classes, zstd)| client(version, classes, *zstd)).collect()
}

fn client(version: &str, classes: &'static [&'static str], zstd: bool) -> Result<Client> {
    let jars = peers::client_jars(version)?;
    let compiled = compile(version, &jars, classes)?;
    let mut checks =
        vec!["create", "none", "gzip", "snappy", "lz4", "headers", "times", "idempotent", "group", "commit"];
    checks.extend(zstd.then_some("zstd"));
    for class in classes {
        checks.extend(checks_of(class));
    }
    let run = move |bootstrap: &str, prefix: &str, phase: &str| {
        let mut java = Command::new(jars.java());
        java.args(["-Xmx192M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error").arg("-cp");
        java.arg(format!("{}:{}", compiled.display(), jars.class_path()));
        java.args(["Judge", bootstrap, prefix, phase, &zstd.to_string()]).args(classes);
        lines_of(&mut java)
    };
    Ok(Client { name: format!("java {version}"), checks, run: Box::new(run) })
}

/// The program of any version as one types it into a shell, for a machine that is not this one; topics of two replicas.
pub fn typed(version: &str, bootstrap: &str, prefix: &str, phase: &str) -> Result<String> {
    let known = VERSIONS.iter().find(|(known, ..)| *known == version);
    let (classes, zstd) = known.map_or((VERSIONS[3].1, true), |(_, classes, zstd)| (*classes, *zstd));
    let jars = peers::client_jars(version)?;
    let compiled = compile(version, &jars, classes)?;
    Ok(format!(
        "JUDGE_COPIES=2 '{}' -Xmx192M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
         -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp '{}:{}' Judge {bootstrap} {prefix} {phase} {zstd} {}",
        jars.java().display(),
        compiled.canonicalize()?.display(),
        jars.dir.canonicalize()?.join("*").display(),
        classes.join(" ")
    ))
}

/// The classes of one version, compiled once for as long as their sources are the same.
fn compile(version: &str, jars: &Jars, classes: &[&str]) -> Result<PathBuf> {
    let files: Vec<PathBuf> =
        BASE.iter().chain(classes).map(|class| sources("java").join(format!("{class}.java"))).collect();
    let mut recipe = String::new();
    for file in &files {
        recipe.push_str(&fs::read_to_string(file)?);
    }
    let dir = process::target().join("peers").join(format!("judge-{version}"));
    if is_made(&dir, &recipe)? {
        return Ok(dir);
    }
    let mut javac = Command::new(jars.javac());
    javac
        .args(["-nowarn", "-proc:none", "--release", "17", "-d"])
        .arg(&dir)
        .arg("-cp")
        .arg(jars.class_path());
    process::checked(javac.args(&files), Duration::from_secs(120))?;
    made(&dir, &recipe)?;
    Ok(dir)
}
