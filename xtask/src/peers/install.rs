//! Fetches Apache Kafka's jars, and those of its older clients, with Maven into `target/peers/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::machine::{self, Need};
use crate::process;

/// The release that is the judge of everything here.
pub const VERSION: &str = "4.3.1";

/// A directory of jars and the JDK that runs them.
#[derive(Clone)]
pub struct Jars {
    pub dir: PathBuf,
    pub jdk: PathBuf,
}

impl Jars {
    /// The class path with every jar.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.dir.display())
    }

    pub fn java(&self) -> PathBuf {
        self.jdk.join("bin/java")
    }

    pub fn javac(&self) -> PathBuf {
        self.jdk.join("bin/javac")
    }
}

/// Brokers, controllers, tools and the newest stable client, of [`VERSION`].
pub fn install() -> Result<Jars> {
    fetch("peers/pom.xml", &format!("kafka-{VERSION}"), &["-Dkafka.version=".to_owned() + VERSION])
}

/// One version of the Java client with what it needs at run time.
pub fn client_jars(version: &str) -> Result<Jars> {
    fetch("clients/java/pom.xml", &format!("clients-{version}"), &[format!("-Dclients.version={version}")])
}

fn fetch(pom: &str, name: &str, settings: &[String]) -> Result<Jars> {
    let jdk = machine::jdk().with_context(|| format!("lacking: {}", Need::Jdk.how()))?;
    let dir = process::target().join("peers").join(name);
    let jars = Jars { dir, jdk };
    let complete = jars.dir.join(".complete");
    let pom = process::root().join("xtask/judges").join(pom);
    // Fetched anew when the list of artefacts changed.
    let wanted = fs::read_to_string(&pom).with_context(|| pom.display().to_string())?;
    if fs::read_to_string(&complete).ok().as_deref() == Some(&wanted) {
        return Ok(jars);
    }
    let mvn = Need::Maven.find().with_context(|| format!("lacking: {}", Need::Maven.how()))?;
    eprintln!("fetching {name} with Maven");
    if jars.dir.exists() {
        fs::remove_dir_all(&jars.dir)?;
    }
    fs::create_dir_all(&jars.dir)?;
    copy_dependencies(&mvn, &pom, &jars, settings)?;
    fs::write(&complete, wanted)?;
    Ok(jars)
}

fn copy_dependencies(mvn: &Path, pom: &Path, jars: &Jars, settings: &[String]) -> Result<()> {
    let run = || {
        let mut command = Command::new(mvn);
        command.args(["-q", "-B", "-f"]).arg(pom).args(settings);
        command.arg("dependency:copy-dependencies").arg("-DincludeScope=runtime");
        command.arg(format!("-DoutputDirectory={}", jars.dir.display())).env("JAVA_HOME", &jars.jdk);
        process::checked(&mut command, Duration::from_secs(600))
    };
    // A fetch that broke off halfway goes on where it stopped.
    run().or_else(|_| run()).map(drop)
}
