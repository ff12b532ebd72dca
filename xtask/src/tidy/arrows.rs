//! Which crate may depend on which: the floors of `docs/ARCHITECTURE.md`, checked against `cargo metadata`.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Finding, Source};
use crate::process;

/// A crate of the house: its floor, and the crates on lower floors that it may use (`None`: all of them).
struct Room {
    name: &'static str,
    floor: u8,
    uses: Option<&'static [&'static str]>,
}

const fn room(name: &'static str, floor: u8, uses: Option<&'static [&'static str]>) -> Room {
    Room { name, floor, uses }
}

const ROOMS: &[Room] = &[
    room("ottla-records", 0, Some(&[])),
    room("ottla-protocol", 0, Some(&[])),
    room("ottla-log", 1, Some(&["ottla-records"])),
    room("ottla-raft", 1, Some(&["ottla-records"])),
    room("ottla-groups", 1, Some(&["ottla-protocol", "ottla-records"])),
    room("ottla-transactions", 1, Some(&["ottla-protocol", "ottla-records"])),
    room("ottla-metadata", 1, Some(&["ottla-protocol", "ottla-records"])),
    room("ottla-config", 1, Some(&[])),
    room("ottla-replication", 1, Some(&["ottla-records"])),
    room("ottla-quorum", 2, Some(&["ottla-raft", "ottla-log", "ottla-records"])),
    room("ottla-client", 2, Some(&["ottla-config", "ottla-protocol", "ottla-records"])),
    room("ottla-broker", 3, None),
    room("ottla-tools", 3, None),
    room("ottla-ops", 3, Some(&["ottla-client", "ottla-protocol", "ottla-records"])),
    room("ottla-server", 4, None),
];

/// Packages beside the house: nothing on the floors depends on them.
const BESIDE: &[&str] = &["xtask", "ottla-sim", LOCAL_CLUSTER];

/// Stands beside the house too; `ottla dev` is three processes that it keeps, and examples show such clusters.
const LOCAL_CLUSTER: &str = "ottla-local-cluster";

/// External crates that only some rooms may name outside of their tests.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("tokio", &["ottla-client", "ottla-broker", "ottla-tools", "ottla-ops", "ottla-server"]),
    ("anyhow", &["ottla-tools", "ottla-server", "ottla-sim", "ottla-local-cluster", "xtask"]),
    ("memmap2", &["ottla-log"]),
    ("clap", &["ottla-tools", "ottla-server", "ottla-sim"]),
    ("tracing-subscriber", &["ottla-server"]),
    ("mimalloc", &["ottla-server"]),
];

/// `cargo metadata` of the workspace, without what it depends on.
pub fn metadata() -> Result<Value> {
    let mut cargo = process::cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let text = process::checked(&mut cargo, Duration::from_secs(120))?;
    serde_json::from_str(&text).context("cargo metadata")
}

fn packages(metadata: &Value) -> Result<&Vec<Value>> {
    metadata["packages"].as_array().context("cargo metadata lists packages")
}

/// The names of the workspace's packages.
pub fn names(metadata: &Value) -> Result<Vec<String>> {
    Ok(packages(metadata)?.iter().filter_map(|p| p["name"].as_str().map(str::to_owned)).collect())
}

/// Every arrow that the house does not have.
pub fn check(metadata: &Value) -> Result<Vec<Finding>> {
    let names = names(metadata)?;
    let mut findings = Vec::new();
    for package in packages(metadata)? {
        let name = package["name"].as_str().context("a package has a name")?;
        let example = package["manifest_path"].as_str().is_some_and(|p| p.contains("/examples/"));
        if !example && !BESIDE.contains(&name) && !ROOMS.iter().any(|r| r.name == name) {
            findings.push(Finding::new(name, "has no floor: give it one in xtask/src/tidy/arrows.rs"));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().context("a dependency has a name")?;
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            let fault = if names.iter().any(|n| n == to) {
                inside(name, to, kind, example)
            } else {
                outside(name, to, kind, example)
            };
            findings.extend(fault.map(|what| Finding::new(name, what)));
        }
    }
    Ok(findings)
}

/// An arrow between two of our crates.
fn inside(from: &str, to: &str, kind: &str, example: bool) -> Option<String> {
    let arrow = format!("{kind} dependency on {to}");
    // The simulator runs the machines of the floors; the others know only what a user sees.
    if from == "ottla-sim" && ROOMS.iter().any(|room| room.name == to && room.floor <= 2) {
        return None;
    }
    if BESIDE.contains(&from) {
        return Some(format!("{arrow}: it depends on none of our crates"));
    }
    if to == LOCAL_CLUSTER && (example || from == "ottla-server") {
        return None;
    }
    let Some(target) = ROOMS.iter().find(|r| r.name == to) else {
        return Some(format!("{arrow}: nothing depends on what stands beside the house"));
    };
    let Some(source) = ROOMS.iter().find(|r| r.name == from) else {
        return (!example).then(|| format!("{arrow}: its own floor is unknown"));
    };
    if target.floor >= source.floor {
        return Some(format!("{arrow}: floor {} may not look at floor {}", source.floor, target.floor));
    }
    match source.uses {
        // What only the tests use may be anything lower.
        Some(uses) if kind == "normal" && !uses.contains(&to) => Some(format!(
            "{arrow}: it may use only {}",
            if uses.is_empty() { "nothing".into() } else { uses.join(", ") }
        )),
        _ => None,
    }
}

/// An arrow to a crate of others.
fn outside(from: &str, to: &str, kind: &str, example: bool) -> Option<String> {
    let (_, rooms) = KEPT_TO.iter().find(|(name, _)| *name == to)?;
    let allowed = kind == "dev" || example || rooms.contains(&from);
    (!allowed).then(|| format!("{kind} dependency on {to}: only {} may name it", rooms.join(", ")))
}

/// What every manifest of a crate says.
pub fn manifests(sources: &[Source], crates: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = 0;
    for source in sources.iter().filter(|s| s.path.ends_with("Cargo.toml") && s.path != "Cargo.toml") {
        let text = source.text.as_deref().unwrap_or_default();
        if !text.contains("[package]") || text.contains("[workspace]") {
            continue;
        }
        seen += 1;
        for line in ["version.workspace = true", "edition.workspace = true", "license.workspace = true"] {
            if !text.contains(line) {
                findings.push(Finding::new(&source.path, format!("says `{line}`")));
            }
        }
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(Finding::new(&source.path, "takes the workspace's lints"));
        }
        if !text.lines().any(|l| l.starts_with("description = \"")) {
            findings.push(Finding::new(&source.path, "has a description"));
        }
    }
    if seen < crates.len() {
        findings.push(Finding::new(
            "Cargo.toml",
            format!("{} packages, but {seen} manifests in git", crates.len()),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: Value) -> Value {
        serde_json::json!({ "name": name, "manifest_path": format!("/x/crates/{name}/Cargo.toml"), "dependencies": dependencies })
    }

    fn faults(from: &str, dependencies: Value) -> Vec<String> {
        let mut packages: Vec<Value> =
            ROOMS.iter().filter(|r| r.name != from).map(|r| package(r.name, serde_json::json!([]))).collect();
        packages.push(package(LOCAL_CLUSTER, serde_json::json!([])));
        if from != "xtask" {
            packages.push(package("xtask", serde_json::json!([])));
        }
        packages.push(package(from, dependencies));
        let findings = check(&serde_json::json!({ "packages": packages })).expect("well formed");
        findings.into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn arrows_point_down_and_only_where_the_table_says() {
        use serde_json::json;
        assert!(faults("ottla-log", json!([{"name": "ottla-records", "kind": null}])).is_empty());
        assert_eq!(faults("ottla-log", json!([{"name": "ottla-protocol", "kind": null}])).len(), 1);
        assert_eq!(faults("ottla-log", json!([{"name": "ottla-raft", "kind": "dev"}])).len(), 1);
        assert_eq!(faults("ottla-records", json!([{"name": "ottla-broker", "kind": null}])).len(), 1);
        assert_eq!(faults("xtask", json!([{"name": "ottla-records", "kind": null}])).len(), 1);
        assert_eq!(faults("ottla-log", json!([{"name": "xtask", "kind": null}])).len(), 1);
        assert!(faults("ottla-broker", json!([{"name": "ottla-quorum", "kind": null}])).is_empty());
        assert!(faults("ottla-server", json!([{"name": "ottla-local-cluster", "kind": null}])).is_empty());
        assert_eq!(faults("ottla-broker", json!([{"name": "ottla-local-cluster", "kind": null}])).len(), 1);
        assert_eq!(faults("ottla-newcomer", json!([])).len(), 1);
    }

    #[test]
    fn some_crates_of_others_are_kept_to_some_rooms() {
        use serde_json::json;
        assert_eq!(faults("ottla-quorum", json!([{"name": "tokio", "kind": null}])).len(), 1);
        assert!(faults("ottla-quorum", json!([{"name": "anyhow", "kind": "dev"}])).is_empty());
        assert!(faults("ottla-broker", json!([{"name": "tokio", "kind": null}])).is_empty());
        assert_eq!(faults("ottla-broker", json!([{"name": "anyhow", "kind": null}])).len(), 1);
    }
}
