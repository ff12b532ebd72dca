//! kafkajs, the newest, with the codecs that it leaves to others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Client, is_made, lines_of, made, sources};
use crate::machine;
use crate::process;

/// kafkajs on this Node.js.
pub(super) fn client(node: PathBuf) -> Result<Client> {
    let dir = install()?;
    let package = fs::read_to_string(dir.join("node_modules/kafkajs/package.json"))?;
    let package: serde_json::Value = serde_json::from_str(&package)?;
    let version = package["version"].as_str().context("a package has a version")?.to_owned();
    let checks = vec![
        "create",
        "none",
        "gzip",
        "snappy",
        "lz4",
        "zstd",
        "headers",
        "times",
        "idempotent",
        "group",
        "commit",
        "configs",
        "partitions",
        "groups",
        "delete-records",
        "delete",
    ];
    let run = move |bootstrap: &str, prefix: &str, phase: &str| {
        let mut command = Command::new(&node);
        command
            .arg(dir.join("judge.js"))
            .args([bootstrap, prefix, phase])
            .env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
        lines_of(&mut command)
    };
    Ok(Client { name: format!("kafkajs {version}"), checks, run: Box::new(run) })
}

/// The packages under `target/`, and the judge beside them, where Node.js looks for what it requires.
pub fn install() -> Result<PathBuf> {
    let list = fs::read_to_string(sources("node").join("package.json"))?;
    let dir = process::target().join("peers/node");
    if !is_made(&dir, &list)? {
        eprintln!("installing kafkajs with npm");
        fs::write(dir.join("package.json"), &list)?;
        npm(&dir)?;
        made(&dir, &list)?;
    }
    fs::copy(sources("node").join("judge.js"), dir.join("judge.js"))?;
    Ok(dir)
}

fn npm(dir: &Path) -> Result<()> {
    let npm = machine::on_path("npm").context("npm is not on the path")?;
    let mut command = Command::new(npm);
    command.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(dir);
    process::checked(&mut command, Duration::from_secs(600)).map(drop)
}
