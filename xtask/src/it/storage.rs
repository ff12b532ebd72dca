//! `kafka-storage.sh`: ids, formatting, and what it says when something is wrong.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{config, contents, good, own_config, refused, say, scratch, script};
use crate::dist;
use crate::tally::Tally;

/// The id that a tutorial shows.
const SEED: &str = "L5PYZLFDQZGPtCwp-Yj2lg";

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check("S0-03 random-uuid: one line, nothing else, at once", random_uuid);
    tally.check("S0-05 format: Kafka's line, the directory with its parents", format);
    tally.check("S0-05 format without an id, with a file that is not there", format_without);
    tally.check("S0-06 the stock files have the keys that people edit", stock_files);
    tally.check("S0-07 process.roles: what is allowed, with file and line", roles);
    tally.check("S0-19 a word in place of the node id: file, line, word", placeholder);
    tally.check("S1-21 formatted twice: said, refused, untouched; -g goes on", twice);
    tally.check("S3-16 meta.properties can be read with cat and grep", meta);
    tally.check("format --standalone makes a dynamic quorum; info describes it", standalone);
    tally.check("format: a directory that cannot be made is named", not_a_directory);
    Ok(())
}

fn random_uuid() -> Result<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..30 {
        let start = Instant::now();
        let output = say(script("kafka-storage.sh").arg("random-uuid"))?;
        fastest = fastest.min(start.elapsed());
        ensure!(output.status.success() && output.stderr.is_empty(), "{}{}", output.status, output.tail());
        let id = output.stdout.strip_suffix('\n').context("a line ends with a newline")?;
        ensure!(id.len() == 22 && !id.starts_with('-'), "22 characters and no dash in front, not '{id}'");
        ensure!(
            id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
            "URL-safe base64, not '{id}'"
        );
    }
    ensure!(fastest < Duration::from_millis(50), "the fastest of 30 took {fastest:?}");
    Ok(())
}

fn format() -> Result<()> {
    let dir = scratch("format")?;
    let data = dir.join("not/there/yet");
    let file = config(&dir, &[("log.dirs", &data.display().to_string())])?;
    let output = good(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file))?;
    let line = output.lines().find(|l| l.contains("Formatting")).context("a line with Formatting")?;
    ensure!(line.contains(&data.display().to_string()), "the directory in '{line}'");
    ensure!(line.contains("with metadata.version 4.3-IV0"), "the version in '{line}'");
    let meta = fs::read_to_string(data.join("meta.properties"))?;
    ensure!(meta.contains(&format!("cluster.id={SEED}\n")), "the id as it was given: {meta}");
    Ok(())
}

fn format_without() -> Result<()> {
    let dir = scratch("format-without")?;
    let data = dir.join("data");
    let file = config(&dir, &[("log.dirs", &data.display().to_string())])?;
    // An unset variable of the shell gives an empty word.
    refused(script("kafka-storage.sh").args(["format", "-t", "", "-c"]).arg(&file), &["random-uuid"])?;
    ensure!(!data.exists(), "nothing was made");
    let missing = dir.join("missing.properties");
    refused(
        script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&missing),
        &[&missing.display().to_string()],
    )
}

fn stock_files() -> Result<()> {
    let keys = [
        "process.roles",
        "node.id",
        "controller.quorum.voters",
        "listeners",
        "inter.broker.listener.name",
        "advertised.listeners",
        "controller.listener.names",
        "log.dirs",
        "num.partitions",
        "num.recovery.threads.per.data.dir",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "log.retention.hours",
        "log.segment.bytes",
        "log.retention.check.interval.ms",
    ];
    let config = dist::tree().join("config");
    let text = fs::read_to_string(config.join("kraft/server.properties"))?;
    for key in keys {
        let set = text.lines().any(|l| l.split('=').next().is_some_and(|k| k.trim() == key));
        ensure!(set, "config/kraft/server.properties sets {key}");
    }
    for file in ["server.properties", "broker.properties", "controller.properties"] {
        ensure!(config.join(file).exists(), "config/{file}");
    }
    for file in ["LICENSE", "NOTICE", "README", "bin/kafka-storage.sh", "bin/kafka-server-start.sh"] {
        ensure!(dist::tree().join(file).exists(), "{file} in the release tree");
    }
    Ok(())
}

fn roles() -> Result<()> {
    let dir = scratch("roles")?;
    for roles in ["broker,conductor", "broker,broker"] {
        let file =
            config(&dir, &[("process.roles", roles), ("log.dirs", &dir.join("data").display().to_string())])?;
        let line = line_of(&file, "process.roles")?;
        let place = format!("{}:{line}", file.display());
        refused(
            script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file),
            &[&place, "process.roles"],
        )?;
        refused(script("kafka-server-start.sh").arg(&file), &[&place, "process.roles"])?;
    }
    // A space after the comma is what people type.
    let file = config(
        &dir,
        &[("process.roles", "broker, controller"), ("log.dirs", &dir.join("data").display().to_string())],
    )?;
    good(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file)).map(drop)
}

fn placeholder() -> Result<()> {
    let dir = scratch("placeholder")?;
    let file =
        config(&dir, &[("node.id", "node_number"), ("log.dirs", &dir.join("data").display().to_string())])?;
    let said = format!("{}:{}: node.id", file.display(), line_of(&file, "node.id")?);
    let words = [said.as_str(), "integer", "'node_number'"];
    refused(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file), &words)?;
    refused(script("kafka-server-start.sh").arg(&file), &words)?;
    ensure!(!dir.join("data").exists(), "nothing was made");
    Ok(())
}

fn twice() -> Result<()> {
    let dir = scratch("twice")?;
    let file = own_config(&dir, 1, [9092, 9093])?;
    good(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file))?;
    let before = contents(&dir);
    let said = format!(
        "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
        dir.join("data").display()
    );
    let again = ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"];
    refused(script("kafka-storage.sh").args(again).arg(&file), &[&said, SEED])?;
    ensure!(contents(&dir) == before, "nothing changed");
    for flag in ["-g", "--ignore-formatted"] {
        let output =
            good(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file).arg(flag))?;
        ensure!(
            output.contains("All of the log directories are already formatted."),
            "{flag} says: {output}"
        );
    }
    ensure!(contents(&dir) == before, "nothing changed");
    Ok(())
}

fn meta() -> Result<()> {
    let dir = scratch("meta")?;
    let file = own_config(&dir, 3, [9092, 9093])?;
    good(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file))?;
    let text = fs::read_to_string(dir.join("data/meta.properties"))?;
    ensure!(text.starts_with('#'), "a comment first: {text}");
    for line in ["version=1", "node.id=3", &format!("cluster.id={SEED}")] {
        ensure!(text.lines().any(|l| l == line), "the line {line} in {text}");
    }
    let id = text.lines().find_map(|l| l.strip_prefix("directory.id=")).context("directory.id")?;
    ensure!(id.len() == 22, "an id of 22 characters, not '{id}'");
    Ok(())
}

fn standalone() -> Result<()> {
    let dir = scratch("standalone")?;
    let data = dir.join("data").display().to_string();
    let file =
        config(&dir, &[("controller.quorum.bootstrap.servers", "localhost:9093"), ("log.dirs", &data)])?;
    let text = fs::read_to_string(&file)?;
    let dynamic: Vec<&str> = text.lines().filter(|l| !l.starts_with("controller.quorum.voters")).collect();
    fs::write(&file, dynamic.join("\n") + "\n")?;
    let format = ["format", "-t", SEED, "-c"];
    refused(script("kafka-storage.sh").args(format).arg(&file), &["--standalone"])?;
    let output = good(script("kafka-storage.sh").args(format).arg(&file).arg("--standalone"))?;
    ensure!(output.contains("Formatting dynamic metadata voter directory"), "Kafka's line, not: {output}");
    let output = good(script("kafka-storage.sh").args(["info", "-c"]).arg(&file))?;
    ensure!(output.contains("Found log director") && output.contains(&data), "the directory: {output}");
    ensure!(output.contains("Found metadata:") && output.contains(SEED), "the id: {output}");
    Ok(())
}

fn not_a_directory() -> Result<()> {
    let dir = scratch("not-a-directory")?;
    fs::write(dir.join("file"), "this is a file")?;
    let data = dir.join("file/data").display().to_string();
    let file = config(&dir, &[("log.dirs", &data)])?;
    refused(script("kafka-storage.sh").args(["format", "-t", SEED, "-c"]).arg(&file), &[&data])
}

/// The number of the line that sets `key`.
fn line_of(file: &std::path::Path, key: &str) -> Result<usize> {
    let text = fs::read_to_string(file)?;
    let found = text.lines().position(|l| l.split('=').next().is_some_and(|k| k.trim() == key));
    Ok(found.with_context(|| format!("no {key}"))? + 1)
}
