//! `kafka-server-start.sh`: how a node starts, what it prints, how it ends, and what it says when it cannot start.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Background, contents, good, own_config, refused, say, scratch, script};
use crate::frame;
use crate::server::{CLUSTER, free_ports};
use crate::tally::Tally;

pub fn run(tally: &mut Tally) -> Result<()> {
    tally.check("S1-13 no argument: Kafka's usage line and exit 1", || {
        let usage = "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*";
        refused(&mut script("kafka-server-start.sh"), &[usage])
    });
    tally.check("S1-13 --version and --help", || {
        ensure!(
            good(script("kafka-server-start.sh").arg("--version"))?.contains("4.3.1"),
            "the version served"
        );
        ensure!(good(script("kafka-server-start.sh").arg("--help"))?.contains("USAGE"), "the usage");
        Ok(())
    });
    tally.check(
        "S1-13 foreground: `Kafka Server started`, SIGTERM and SIGINT stop it, it goes on",
        foreground,
    );
    tally.check("S1-13 --override, more than one", overrides);
    tally.check("S1-14 not formatted: Kafka's sentence, the command to type, nothing made", not_formatted);
    tally.check("S1-15 variables of a JVM are ignored in one line", jvm_variables);
    tally.check("S1-16 both listeners listen on all addresses", listening);
    tally.check("the port is taken: the port, the listener and whose it is", port_taken);
    tally.check("a second process on the same directory: which process holds it", same_directory);
    tally.check("formatted for another node id: both are named, nothing changed", other_node);
    tally.check("an unknown key: warned of, with the key that was meant", unknown_key);
    tally.check("a value that cannot be: file, line, key", bad_value);
    tally.check("meta.properties that is no longer one: named, untouched", bad_meta);
    Ok(())
}

/// A formatted directory and its configuration.
fn formatted(name: &str, node: u16) -> Result<(std::path::PathBuf, std::path::PathBuf, [u16; 2])> {
    let dir = scratch(name)?;
    let ports = free_ports()?;
    let file = own_config(&dir, node, ports)?;
    good(script("kafka-storage.sh").args(["format", "-t", CLUSTER, "-c"]).arg(&file))?;
    Ok((dir, file, ports))
}

fn foreground() -> Result<()> {
    let (dir, file, ports) = formatted("foreground", 1)?;
    for signal in ["TERM", "INT"] {
        let mut node = Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out"))?;
        node.until("Kafka Server started")?;
        ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "it serves");
        // The script's process is the server: its pid and its signals.
        node.end(signal)?;
        ensure!(
            dir.join("data/.kafka_cleanshutdown").exists(),
            "the clean-shutdown marker after SIG{signal}"
        );
    }
    Ok(())
}

fn overrides() -> Result<()> {
    let (dir, file, _) = formatted("override", 1)?;
    let [port, _] = free_ports()?;
    let listeners = format!("listeners=PLAINTEXT://:{port},CONTROLLER://:{}", controller_port(&file)?);
    let advertised = format!("advertised.listeners=PLAINTEXT://localhost:{port}");
    let mut command = script("kafka-server-start.sh");
    command.arg(&file).args(["--override", &listeners, "--override", &advertised]);
    let mut node = Background::spawn(&mut command, dir.join("out"))?;
    node.until("Kafka Server started")?;
    ensure!(frame::brokers(port, Duration::from_secs(5))? == 1, "it serves on the other port");
    node.end("TERM")?;
    refused(
        script("kafka-server-start.sh").arg(&file).args(["--override", "no-equals-sign"]),
        &["no-equals-sign"],
    )
}

fn controller_port(file: &std::path::Path) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|l| l.starts_with("controller.quorum.voters=")).context("voters")?;
    Ok(line.rsplit(':').next().unwrap_or_default().to_owned())
}

fn not_formatted() -> Result<()> {
    let dir = scratch("not-formatted")?;
    let file = own_config(&dir, 1, free_ports()?)?;
    let before = contents(&dir);
    let data = dir.join("data").display().to_string();
    let said = format!("No `meta.properties` found in {data}");
    refused(
        script("kafka-server-start.sh").arg(&file),
        &[&said, "kafka-storage.sh", "format", &file.display().to_string()],
    )?;
    ensure!(contents(&dir) == before, "nothing was made");
    Ok(())
}

fn jvm_variables() -> Result<()> {
    let (dir, file, _) = formatted("jvm", 1)?;
    let mut command = script("kafka-server-start.sh");
    command
        .arg(&file)
        .env("KAFKA_HEAP_OPTS", "-Xmx1G -Xms1G")
        .env("JMX_PORT", "9999")
        .env("KAFKA_OPTS", "-Dx=y");
    let mut node = Background::spawn(&mut command, dir.join("out"))?;
    node.until("Kafka Server started")?;
    let text = node.end("TERM")?;
    let lines: Vec<&str> = text.lines().filter(|l| l.contains("KAFKA_HEAP_OPTS")).collect();
    ensure!(lines.len() == 1 && lines[0].contains("JMX_PORT"), "one line names them all: {lines:?}");
    Ok(())
}

fn listening() -> Result<()> {
    let (dir, file, ports) = formatted("listening", 1)?;
    let mut node = Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out"))?;
    node.until("Kafka Server started")?;
    // /proc/net/tcp6: local address, then state 0A for LISTEN; all zeros is every address of both families.
    let table = fs::read_to_string("/proc/net/tcp6")? + &fs::read_to_string("/proc/net/tcp")?;
    for port in ports {
        let everywhere = format!(":{port:04X}");
        let line = table.lines().find(|l| {
            let mut words = l.split_whitespace().skip(1);
            let local = words.next().unwrap_or_default();
            local.ends_with(&everywhere)
                && words.nth(1) == Some("0A")
                && local.trim_start_matches('0').starts_with(':')
        });
        ensure!(line.is_some(), "port {port} listens on all addresses");
    }
    node.end("TERM").map(drop)
}

fn port_taken() -> Result<()> {
    let (dir, file, ports) = formatted("taken", 1)?;
    let _holder = TcpListener::bind(("0.0.0.0", ports[0]))?;
    let before = contents(&dir.join("data"));
    let words = [ports[0].to_string(), "PLAINTEXT".to_owned(), std::process::id().to_string()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    refused(script("kafka-server-start.sh").arg(&file), &words)?;
    let changed: Vec<_> =
        contents(&dir.join("data")).into_iter().filter(|(p, b)| before.get(p) != Some(b)).collect();
    let grown: Vec<_> =
        changed.iter().filter(|(p, _)| p.to_string_lossy().contains("__cluster_metadata")).collect();
    ensure!(grown.is_empty(), "the metadata stayed as it was, not {:?}", grown[0].0);
    Ok(())
}

fn same_directory() -> Result<()> {
    let (dir, file, ports) = formatted("same-directory", 1)?;
    let mut node = Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out"))?;
    node.until("Kafka Server started")?;
    let pid = node.child.id().to_string();
    let [client, controller] = free_ports()?;
    let listeners = format!("listeners=PLAINTEXT://:{client},CONTROLLER://:{controller}");
    let voters = format!("controller.quorum.voters=1@localhost:{controller}");
    let data = dir.join("data").display().to_string();
    refused(
        script("kafka-server-start.sh").arg(&file).args(["--override", &listeners, "--override", &voters]),
        &[&data, &pid],
    )?;
    ensure!(frame::brokers(ports[0], Duration::from_secs(5))? == 1, "the first still serves");
    node.end("TERM").map(drop)
}

fn other_node() -> Result<()> {
    let (dir, file, _) = formatted("other-node", 4)?;
    let before = contents(&dir.join("data"));
    let voters = format!("controller.quorum.voters=5@localhost:{}", controller_port(&file)?);
    refused(
        script("kafka-server-start.sh").arg(&file).args(["--override", "node.id=5", "--override", &voters]),
        &["4", "5", "meta.properties"],
    )?;
    unchanged(&dir, &before)
}

/// Nothing but the lock file, which Kafka makes too, and a log of what was said, is new in the data directory.
fn unchanged(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let spoken = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name == ".lock" || name.ends_with(".log") && name.starts_with("server")
    };
    let mut after = contents(&dir.join("data"));
    after.retain(|path, _| !spoken(path));
    for (path, bytes) in &after {
        ensure!(before.get(path) == Some(bytes), "{} changed", path.display());
    }
    ensure!(before.keys().all(|path| after.contains_key(path)), "a file is gone");
    Ok(())
}

fn unknown_key() -> Result<()> {
    let (dir, file, _) = formatted("unknown-key", 1)?;
    fs::write(&file, fs::read_to_string(&file)? + "advertised.listener=PLAINTEXT://localhost:1\n")?;
    let mut node = Background::spawn(script("kafka-server-start.sh").arg(&file), dir.join("out"))?;
    node.until("Kafka Server started")?;
    let text = node.end("TERM")?;
    let line =
        text.lines().find(|l| l.contains("advertised.listener ") || l.contains("'advertised.listener'"));
    let line = line.or_else(|| text.lines().find(|l| l.contains("did you mean"))).context("no warning")?;
    ensure!(
        line.contains("did you mean") && line.contains("advertised.listeners"),
        "the key that was meant: {line}"
    );
    Ok(())
}

fn bad_value() -> Result<()> {
    let (_, file, _) = formatted("bad-value", 1)?;
    let text = fs::read_to_string(&file)? + "log.segment.bytes=many\n";
    fs::write(&file, &text)?;
    let place = format!("{}:{}", file.display(), text.lines().count());
    refused(script("kafka-server-start.sh").arg(&file), &[&place, "log.segment.bytes", "many"])
}

fn bad_meta() -> Result<()> {
    let (dir, file, _) = formatted("bad-meta", 1)?;
    fs::write(dir.join("data/meta.properties"), "version=9\nthis is no longer what it was\n")?;
    let before = contents(&dir.join("data"));
    refused(
        script("kafka-server-start.sh").arg(&file),
        &[&dir.join("data/meta.properties").display().to_string()],
    )?;
    unchanged(&dir, &before)?;
    fs::remove_file(dir.join("data/meta.properties"))?;
    let output = say(script("kafka-storage.sh").args(["info", "-c"]).arg(&file))?;
    ensure!(output.status.code() == Some(1), "info finds the problem: {}{}", output.status, output.tail());
    Ok(())
}
