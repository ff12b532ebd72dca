//! What blocks need that their readers install from the network: the judges' own copies take its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::compat::clients::{node, python};
use crate::machine::{self, Need};
use crate::peers;
use crate::process;

/// Whether this machine has `name` (the word of a mark); else how to get it.
pub fn lacks(name: &str) -> Result<Option<String>> {
    let need = match name {
        "python" => Need::Python,
        "older-python" => Need::OlderPython,
        "java" | "apache" => {
            let missing = machine::lacking(&[Need::Jdk, Need::Maven]);
            return Ok(missing.first().map(|need| need.how().to_owned()));
        }
        "node" => Need::Node,
        "kcat" => Need::Kcat,
        "go" => {
            return Ok(go()
                .is_none()
                .then(|| "Go 1.24 or newer (https://go.dev/dl, or set PATH)".to_owned()));
        }
        "librdkafka" => {
            let there = librdkafka().is_some() && Need::Compiler.find().is_some();
            let how = "a C compiler and librdkafka with its headers (apt-get install build-essential librdkafka-dev, \
                       or once `cargo xtask compat librdkafka`)";
            return Ok((!there).then(|| how.to_owned()));
        }
        other => bail!("no program '{other}' is known to the marks"),
    };
    Ok(need.find().is_none().then(|| need.how().to_owned()))
}

/// Installs `name` for the judges, unless it is there, and returns the shell commands that put it where the guide's own
/// commands would have put it.
pub fn stand_in(name: &str) -> Result<String> {
    Ok(match name {
        "python" => {
            let python = Need::Python.find().context("looked for before")?;
            let inside = python::newest_environment(&python)?;
            let environment = inside.parent().and_then(|bin| bin.parent()).context("bin/python")?;
            format!("ln -s '{}' venv", environment.display())
        }
        "java" => {
            let jars = peers::client_jars(peers::VERSION)?;
            format!("ln -s '{}' libs", jars.dir.display())
        }
        "node" => {
            let dir = node::install()?;
            format!("ln -s '{}/node_modules' node_modules", dir.display())
        }
        "go" => {
            let dir = go_modules()?;
            let dir = dir.display();
            format!(
                "cp '{dir}/go.mod' '{dir}/go.sum' .; export GOMODCACHE='{dir}/modules' GOCACHE='{dir}/built' \
                 GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local"
            )
        }
        "apache" => apache()?,
        "librdkafka" => match librdkafka().context("looked for before")? {
            Librdkafka::Installed => String::new(),
            Librdkafka::Built(sources) => format!(
                "mkdir include; ln -s '{0}' include/librdkafka; export C_INCLUDE_PATH=$PWD/include LIBRARY_PATH='{0}' \
                 LD_LIBRARY_PATH='{0}'",
                sources.display()
            ),
        },
        other => bail!("nothing stands in for '{other}'"),
    })
}

/// A node of Apache Kafka in `kafka/`, formatted, with the scripts that the guide calls.
fn apache() -> Result<String> {
    let jars = peers::install()?;
    let (java, path) = (jars.java(), jars.class_path());
    let java = java.display();
    Ok(format!(
        r#"
mkdir -p kafka/bin kafka/config
cp config/server.properties kafka/config/
cat >kafka/bin/kafka-server-start.sh <<'END'
#!/bin/sh
if [ "$1" = -daemon ]; then
  shift
  "$0" "$@" >>kafka/server.out 2>&1 </dev/null &
  exit 0
fi
exec {java} -Xmx512M -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '{path}' kafka.Kafka "$@"
END
cat >kafka/bin/kafka-server-stop.sh <<'END'
#!/bin/sh
kill $(pgrep -f 'java.*kafka[.]Kafka')
END
chmod +x kafka/bin/*
bin/kafka-storage.sh format --standalone -t $(bin/kafka-storage.sh random-uuid) -c kafka/config/server.properties
kafka/bin/kafka-server-start.sh -daemon $PWD/kafka/config/server.properties
for i in $(seq 600); do grep -q 'Kafka Server started' kafka/server.out && break; sleep 0.1; done
"#
    ))
}

/// Where a C program finds librdkafka.
enum Librdkafka {
    Installed,
    /// By the judge `compat librdkafka`, here.
    Built(PathBuf),
}

fn librdkafka() -> Option<Librdkafka> {
    if Path::new("/usr/include/librdkafka/rdkafka.h").exists() {
        return Some(Librdkafka::Installed);
    }
    let built = fs::read_dir(process::target().join("judges/librdkafka")).ok()?.flatten();
    let mut sources = built.map(|entry| entry.path().join("src"));
    let found = sources.find(|src| src.join("librdkafka.so.1").exists() && src.join("rdkafka.h").exists())?;
    Some(Librdkafka::Built(found.canonicalize().ok()?))
}

fn go() -> Option<PathBuf> {
    machine::on_path("go")
}

/// What the guide's program in Go imports.
const FRANZ: &str = "github.com/twmb/franz-go@v1.19.5";

fn go_modules() -> Result<PathBuf> {
    let dir = process::target().join("peers/go");
    let made = dir.join(".made");
    if fs::read_to_string(&made).is_ok_and(|recipe| recipe == FRANZ) {
        return Ok(dir);
    }
    fs::create_dir_all(&dir)?;
    let _ = fs::remove_file(dir.join("go.mod"));
    eprintln!("fetching {FRANZ} with go");
    // A program that imports it, so that everything it needs is fetched and compiled.
    fs::write(
        dir.join("main.go"),
        "package main\n\nimport _ \"github.com/twmb/franz-go/pkg/kgo\"\n\nfunc main() {}\n",
    )?;
    let go = go().context("looked for before")?;
    for words in
        [&["mod", "init", "hello"][..], &["get", FRANZ], &["mod", "tidy"], &["build", "-o", "unused"]]
    {
        let mut command = Command::new(&go);
        command.args(words).current_dir(&dir).env("GOMODCACHE", dir.join("modules"));
        command.env("GOCACHE", dir.join("built")).env("GOTOOLCHAIN", "local");
        process::checked(&mut command, Duration::from_secs(600))?;
    }
    fs::write(&made, FRANZ)?;
    Ok(dir)
}
