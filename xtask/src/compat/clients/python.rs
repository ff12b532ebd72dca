//! The Python clients: kafka-python 2.0.2 on a Python that it still imports on, the newest confluent-kafka (librdkafka)
//! and aiokafka; each in a virtual environment of its own under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Client, is_made, lines_of, made, sources};
use crate::process;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// A Python that imports kafka-python 2.0.2.
pub fn older_environment(python: &Path) -> Result<PathBuf> {
    environment("python-older", python, "requirements-older.txt")
}

/// A Python that imports the newest confluent-kafka and aiokafka.
pub fn newest_environment(python: &Path) -> Result<PathBuf> {
    environment("python-newest", python, "requirements.txt")
}

/// kafka-python 2.0.2.
pub(super) fn kafka_python(python: &Path) -> Result<Client> {
    let python = older_environment(python)?;
    let mut checks = vec!["create"];
    checks.extend(CODECS);
    checks.extend(["headers", "times", "group", "commit", "configs", "partitions", "groups", "delete"]);
    Ok(client(
        format!("kafka-python {}", version(&python, "kafka-python")?),
        checks,
        python,
        "kafka_python.py",
    ))
}

/// confluent-kafka and aiokafka.
pub(super) fn newest(python: &Path) -> Result<Vec<Client>> {
    let python = newest_environment(python)?;
    let mut checks = vec!["create"];
    checks.extend(CODECS);
    checks.extend(["headers", "times", "idempotent", "group", "commit", "configs", "partitions", "groups"]);
    checks.extend(["delete-records", "delete"]);
    let mut confluent = checks.clone();
    confluent.extend(["cooperative", "list-offsets"]);
    Ok(vec![
        client(
            format!("confluent-kafka {}", version(&python, "confluent-kafka")?),
            confluent,
            python.clone(),
            "confluent.py",
        ),
        client(format!("aiokafka {}", version(&python, "aiokafka")?), checks, python, "aio.py"),
    ])
}

fn client(name: String, checks: Vec<&'static str>, python: PathBuf, script: &'static str) -> Client {
    let run = move |bootstrap: &str, prefix: &str, phase: &str| {
        let mut command = Command::new(&python);
        command.arg("-B").arg(sources("python").join(script)).args([bootstrap, prefix, phase]);
        lines_of(&mut command)
    };
    Client { name, checks, run: Box::new(run) }
}

/// A virtual environment with what `requirements` lists; returns its Python.
fn environment(name: &str, python: &Path, requirements: &str) -> Result<PathBuf> {
    let list = sources("python").join(requirements);
    let recipe = format!("{}\n{}", python.display(), fs::read_to_string(&list)?);
    let dir = process::target().join("peers").join(name);
    let inside = dir.join("bin/python");
    if is_made(&dir, &recipe)? {
        return Ok(inside);
    }
    eprintln!("installing {requirements} with pip");
    process::checked(Command::new(python).args(["-m", "venv"]).arg(&dir), Duration::from_secs(120))?;
    let mut pip = Command::new(&inside);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list);
    process::checked(&mut pip, Duration::from_secs(600))?;
    made(&dir, &recipe)?;
    Ok(inside)
}

fn version(python: &Path, package: &str) -> Result<String> {
    let script = format!("import importlib.metadata as m; print(m.version('{package}'))");
    let text = process::checked(Command::new(python).args(["-c", &script]), Duration::from_secs(30));
    Ok(text.with_context(|| format!("{package} is not installed"))?.trim().to_owned())
}
