//! librdkafka's sources out of cargo's registry, and its test program built from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// A build takes two to four minutes on two cores.
const LIMIT: Duration = Duration::from_secs(1800);

/// The test program, and where its sources are.
pub struct Built {
    /// The directory of the tests: sources, the program `test-runner`, files that tests read.
    pub tests: PathBuf,
    /// librdkafka's version.
    pub version: String,
}

/// Fetches, configures and builds, unless that was done.
pub fn build() -> Result<Built> {
    let (package, version) = fetch()?;
    let dir = super::directory().join(format!("librdkafka-{version}"));
    let built = Built { tests: dir.join("tests"), version };
    let complete = dir.join(".complete");
    if complete.exists() {
        return Ok(built);
    }
    eprintln!("building librdkafka {} and its tests", built.version);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(super::directory())?;
    process::checked(Command::new("cp").arg("-r").arg(&package).arg(&dir), Duration::from_secs(120))?;
    // What the machine happens to have must not decide which tests there are.
    let options = [
        "--disable-ssl",
        "--disable-gssapi",
        "--disable-zstd",
        "--disable-lz4-ext",
        "--disable-curl",
        "--disable-syslog",
    ];
    process::checked(Command::new("./configure").args(options).current_dir(&dir), LIMIT)?;
    let jobs = std::thread::available_parallelism().map_or(2, usize::from);
    process::checked(Command::new("make").arg(format!("-j{jobs}")).arg("libs").current_dir(&dir), LIMIT)?;
    let mut tests = Command::new("make");
    tests.arg(format!("-j{jobs}")).args(["-C", "tests", "build"]).current_dir(&dir);
    process::checked(&mut tests, LIMIT)?;
    fs::write(complete, "")?;
    Ok(built)
}

/// Builds the example `rdkafka_performance`; returns the program.
pub fn performance() -> Result<PathBuf> {
    let examples = build()?.tests.with_file_name("examples");
    let program = examples.join("rdkafka_performance");
    if !program.exists() {
        let mut make = Command::new("make");
        make.arg("rdkafka_performance").current_dir(&examples);
        process::checked(&mut make, LIMIT)?;
    }
    Ok(program)
}

/// The directory that holds librdkafka inside the fetched package, and its version.
fn fetch() -> Result<(PathBuf, String)> {
    let manifest = process::root().join("xtask/judges/librdkafka/Cargo.toml");
    let mut cargo = process::cargo();
    cargo.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(&manifest);
    let text = process::checked(&mut cargo, Duration::from_secs(600))
        .context("librdkafka's sources cannot be fetched")?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let package = packages.iter().find(|p| p["name"] == "rdkafka-sys").context("rdkafka-sys is not there")?;
    let path = package["manifest_path"].as_str().context("a package has a manifest")?;
    // 4.10.0+2.12.1: the package's version, then librdkafka's.
    let version =
        package["version"].as_str().and_then(|v| v.split('+').nth(1)).context("a version of librdkafka")?;
    Ok((Path::new(path).with_file_name("librdkafka"), version.to_owned()))
}
