//! `cargo xtask compat wire`: is what the protocol crate reads and writes what Apache Kafka 4.3.1 reads and writes?
//!
//! Random values of every message in every version are written by an interpreter of the schema ([`generate`]), and
//! read and written again by our generated code and by the classes in Apache Kafka's jars: both must give the same
//! bytes. The schema itself is compared field by field with the schemas that lie in those jars. Nothing of the jars is
//! kept in the repository.

mod fields;
pub mod generate;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use crate::codegen::{self, schema};
use crate::peers::{self, Jars};
use crate::process;
use crate::tally::Tally;
use schema::Message;

/// Values of every message and version.
const VALUES: usize = 50;

/// Differences that are shown.
const SHOWN: usize = 40;

/// Runs the judge.
pub fn run() -> Result<()> {
    let jars = peers::install()?;
    let out = process::target().join("judges/wire");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    let families = codegen::load()?;
    let messages: Vec<&Message> = families.iter().flat_map(|(_, messages)| messages).collect();
    let vectors = out.join("vectors");
    let (groups, values) = write_vectors(&vectors, &messages)?;
    println!("wire: {} messages, {groups} messages and versions, {values} values", messages.len());

    // Both read the same file: the JVM works while ours is still being built.
    let mut java = java(&jars, &vectors, &out)?;
    let mut tally = Tally::new("compat wire");
    tally.check("values through the protocol crate", || rust(&vectors, &out));
    tally.check("values through Apache Kafka's classes", || {
        ensure!(java.wait()?.success(), "see above");
        Ok(())
    });
    tally.check("keys, versions, listeners and header versions", || compare_apis(&out));
    tally.check("the schema field by field", || compare_schemas(&out, &messages));
    tally.close()
}

fn compare_schemas(out: &Path, messages: &[&Message]) -> Result<()> {
    let findings = fields::compare(&out.join("schemas"), messages)?;
    for difference in findings.differences.iter().take(SHOWN) {
        println!("schema: {difference}");
    }
    let failed = findings.differences.len();
    println!(
        "schema: {} messages and {} fields compared in eleven respects, {failed} failed",
        findings.messages, findings.fields
    );
    println!("schema: in the jars, not in ours: {}", findings.only_theirs.join(", "));
    ensure!(findings.messages == messages.len(), "not every schema of ours was found in the jars");
    ensure!(failed == 0, "{failed} differences");
    Ok(())
}

/// Groups of `u16 length, name, i16 version, u32 count`, then as many times `u32 length, bytes`.
fn write_vectors(path: &Path, messages: &[&Message]) -> Result<(usize, usize)> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut groups, mut total) = (0, 0);
    for message in messages {
        for version in fields::versions(message) {
            let values = generate::values(message, version, VALUES)
                .with_context(|| format!("{} version {version}", message.name))?;
            file.write_all(&(message.name.len() as u16).to_be_bytes())?;
            file.write_all(message.name.as_bytes())?;
            file.write_all(&version.to_be_bytes())?;
            file.write_all(&(values.len() as u32).to_be_bytes())?;
            for value in &values {
                file.write_all(&(value.len() as u32).to_be_bytes())?;
                file.write_all(value)?;
            }
            groups += 1;
            total += values.len();
        }
    }
    file.flush()?;
    Ok((groups, total))
}

fn java(jars: &Jars, vectors: &Path, out: &Path) -> Result<Child> {
    let source = process::root().join("xtask/judges/wire/WireJudge.java");
    Command::new(jars.java())
        .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &jars.class_path()])
        .args([&source, vectors, out, &jars.dir])
        .spawn()
        .context("the JVM cannot be started")
}

fn rust(vectors: &Path, out: &Path) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "-p", "ottla-protocol", "--example", "recode", "--"]);
    cargo.args([vectors, &out.join("apis-ours.txt")]);
    process::stream(&mut cargo)
}

/// Line by line: the table that the jars' classes tell and the one of the protocol crate.
fn compare_apis(out: &Path) -> Result<()> {
    let read = |name: &str| fs::read_to_string(out.join(name)).with_context(|| name.to_owned());
    let (theirs, ours) = (read("apis.txt")?, read("apis-ours.txt")?);
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let missing =
        theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("only theirs: {line}"));
    let extra = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("only ours: {line}"));
    let wrong: Vec<String> = missing.chain(extra).collect();
    for line in wrong.iter().take(SHOWN) {
        println!("apis: {line}");
    }
    println!("apis: {} versions compared, {} lines failed", theirs.len(), wrong.len());
    ensure!(wrong.is_empty() && !theirs.is_empty(), "{} differences", wrong.len());
    Ok(())
}
