//! `cargo xtask fuzz [--seconds N] [TARGET ...]`: builds the targets of `fuzz/` with libFuzzer and runs each for a time.
//!
//! The build is what `cargo fuzz build --sanitizer none` does, done here because it needs a few compiler flags and no
//! program of its own. The inputs committed in `fuzz/corpus/TARGET` are where a run starts; what it finds on the way is
//! kept in `target/fuzz/corpus/TARGET`, and an input that fails in `target/fuzz/failures/TARGET`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::codegen;
use crate::compat::wire::generate;
use crate::machine::Need;
use crate::process;
use crate::tally::Tally;

/// The targets and the longest input of each, in bytes.
const TARGETS: [(&str, usize); 5] =
    [("frame", 4096), ("records", 8192), ("log_files", 16384), ("snapshot", 8192), ("properties", 4096)];

/// Seconds for each target unless `--seconds` says otherwise.
const SECONDS: u64 = 20;

/// What the input of one run may make of memory, in MiB. The instrumented program itself takes about 50.
const MEMORY_MIB: u32 = 512;

const FLAGS: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Cdebug-assertions",
];

/// Runs the targets named in `words`, or all of them.
pub fn run(words: &[&str]) -> Result<()> {
    let mut seconds = SECONDS;
    let mut chosen = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--seconds" => seconds = words.next().context("--seconds N")?.parse().context("--seconds N")?,
            name => match TARGETS.iter().find(|(target, _)| *target == name) {
                Some(target) => chosen.push(*target),
                None => bail!("no target '{name}': {}", TARGETS.map(|(target, _)| target).join(", ")),
            },
        }
    }
    if chosen.is_empty() {
        chosen = TARGETS.to_vec();
    }
    ensure!(Need::Compiler.find().is_some(), "lacking: {}", Need::Compiler.how());
    let programs = build()?;
    let mut tally = Tally::new("fuzz");
    for (target, longest) in chosen {
        tally.check(target, || fuzz(&programs.join(target), target, longest, seconds));
    }
    tally.close()
}

/// Builds every target; the directory that they are in.
fn build() -> Result<PathBuf> {
    let rustc = process::checked(Command::new("rustc").arg("-vV"), Duration::from_secs(60))?;
    let host =
        rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    let mut cargo = process::cargo();
    // With a target of its own, build scripts and macros are built without the flags.
    cargo
        .current_dir(home())
        .args(["build", "--quiet", "--release", "--bins", "--target", host])
        .env("CARGO_TARGET_DIR", work())
        .env("RUSTFLAGS", FLAGS.join(" "));
    process::stream(&mut cargo).context("the fuzz targets cannot be built")?;
    Ok(work().join(host).join("release"))
}

fn home() -> PathBuf {
    process::root().join("fuzz")
}

fn work() -> PathBuf {
    process::target().join("fuzz")
}

fn fuzz(program: &Path, target: &str, longest: usize, seconds: u64) -> Result<()> {
    let (corpus, failures) = (work().join("corpus").join(target), work().join("failures").join(target));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&failures)?;
    if target == "frame" {
        write_frames(&corpus)?;
    }
    let mut command = Command::new(program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={longest}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .args(["-timeout=10", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", failures.display()))
        .arg(&corpus)
        .arg(home().join("corpus").join(target));
    if target == "properties" {
        command.arg(process::root().join("config"));
    }
    let output = process::capture(&mut command, Duration::from_secs(seconds + 120))?;
    let stat = |name: &str| {
        let found = output.stderr.lines().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        found.map_or("?", str::trim).to_owned()
    };
    if !output.status.success() {
        let input =
            output.stderr.lines().rev().find_map(|line| line.split("written to ").nth(1)).unwrap_or("?");
        bail!("failed; the input: {input}{}", output.tail());
    }
    let runs = stat("number_of_executed_units");
    ensure!(runs.parse::<u64>().is_ok_and(|runs| runs > 100), "no more than {runs} runs{}", output.tail());
    println!("{target}: {runs} runs in {seconds} s, peak memory {} MiB", stat("peak_rss_mb"));
    Ok(())
}

/// Requests of every API and version, straight from the schema.
fn write_frames(corpus: &Path) -> Result<()> {
    for (_, messages) in codegen::load()? {
        for message in messages.iter().filter(|m| m.kind == "request") {
            for version in message.versions.min..=message.versions.max {
                let Some(key) = message.key else { continue };
                let flexible = message.flexible.has(version);
                for (i, value) in generate::values(message, version, 3)?.into_iter().enumerate() {
                    let mut input = vec![0];
                    input.extend(key.to_be_bytes());
                    input.extend(version.to_be_bytes());
                    input.extend([0, 0, 0, 7, 0, 1, b'c']);
                    if flexible {
                        input.push(0);
                    }
                    input.extend(value);
                    fs::write(corpus.join(format!("schema-{}-{version}-{i}", message.name)), input)?;
                }
            }
        }
    }
    Ok(())
}
