//! The first server: formatting, the foreground, the background, what one looks at, and what goes wrong.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::SOON;
use super::super::book::Book;
use super::super::host::until;
use super::super::vi;
use super::{Site, first_file};
use crate::server::{cpu_seconds, resident_mib};

const CONFIG: &str = "./config/kraft/server.properties";
const DATA: &str = "/usr/local/kafka/kraft-combined-logs";

pub fn go(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    book.row("S1-05", "a program without an interpreter, no shared library asked for", || {
        let said = sh.types("ldd bin/ottla")?;
        said.that("it is static", |s| {
            let all = format!("{}{}", s.stdout, s.stderr);
            all.contains("statically linked") || all.contains("not a dynamic executable")
        })?
        .seen()
    });
    first_file(site)?;
    not_yet(book, site);
    formats(book, site)?;
    foreground(book, site);
    background(book, site)?;
    again(book, site);
    unclean(book, site)
}

/// Before anything was formatted.
fn not_yet(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    book.row(
        "S1-14 S1-27 T-08",
        "no meta.properties: Kafka's sentence and the command with this file",
        || {
            let said = sh.types(&format!("./bin/kafka-server-start.sh {CONFIG}"))?.code(1)?;
            said.says(&format!(
            "No `meta.properties` found in {DATA} (have you run `kafka-storage.sh` to format the directory?)"
        ))?
        .says("kafka-storage.sh format")?
        .says("config/kraft/server.properties")?
        .seen_at("meta.properties")
        },
    );
    book.row("S1-15 T-01", "-daemon that cannot start: exit 1 with the reason on stderr", || {
        let said = sh.types(&format!("./bin/kafka-server-start.sh -daemon {CONFIG}"))?.code(1)?;
        said.err("No `meta.properties` found in")?.within(Duration::from_secs(10))?.seen_at("meta.properties")
    });
    book.row("S1-27", "ottla dev formats an empty directory by itself, start does not", || {
        let dev = sh.leaves("bin/ottla dev --nodes 1 --port 9192 --data-dir /tmp/dev", "dev")?;
        until("dev serves", SOON, || {
            Ok(sh.types("bin/kafka-topics.sh --list --bootstrap-server localhost:9192")?.code == 0)
        })
        .with_context(|| dev.text())?;
        let data = fs::read_dir(site.vm.outside("/tmp/dev"))?.count();
        ensure!(data > 0, "it keeps its data in /tmp/dev");
        dev.end("INT")?;
        Ok("dev formatted /tmp/dev by itself; server-start refused an unformatted one".to_owned())
    });
}

fn formats(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    let (nobody, own) = (sh.nobody(), site.file("server.properties"));
    book.row("S1-11", "`<uuid>` is named as a placeholder, with the command that makes an id", || {
        let in_shell = sh.types(&format!("./bin/kafka-storage.sh format -t <uuid> -c {CONFIG}"))?;
        ensure!(in_shell.code != 0, "the shell takes <uuid> for a file");
        let said = sh.types(&format!("./bin/kafka-storage.sh format -t '<uuid>' -c {CONFIG}"))?.code(1)?;
        said.says("not a cluster id")?.says("random-uuid")?.seen()
    });
    book.row("S1-11", "an id of another shape (base64 with padding) is accepted", || {
        let other = own.with_file_name("padded.properties");
        fs::copy(&own, &other)?;
        vi(&other, &["log.dirs=/tmp/padded"])?;
        let typed =
            "./bin/kafka-storage.sh format -t NTY5NzAwZGMtYjQ5ZC00ZA== -c config/kraft/padded.properties";
        sh.types(typed)?.code(0)?.out("Formatting")?.seen()
    });
    book.row("S1-10", "a directory that may not be made: which, why, as which user", || {
        let typed = format!("./bin/kafka-storage.sh format -t xtzWWN4bTjitpL3kfd9s5g -c {CONFIG}");
        let said = nobody.types(&typed)?.code(1)?.says(DATA)?;
        said.that("permission denied", |s| {
            format!("{}{}", s.stdout, s.stderr).to_lowercase().contains("permission denied")
        })?
        .says("65534")
        .or_else(|_| nobody.types(&typed)?.says("nobody"))?
        .seen_at("ermission denied")
    });
    let id = sh.types("./bin/kafka-storage.sh random-uuid")?.code(0)?.stdout.trim().to_owned();
    book.row(
        "S1-10 S1-12",
        "format makes the directory, prints it, and says on stderr where it is written",
        || {
            let said = sh.types(&format!("./bin/kafka-storage.sh format -t {id} -c {CONFIG}"))?.code(0)?;
            said.out("Formatting")?
                .out(DATA)?
                .err("log.dirs in ")?
                .err("config/kraft/server.properties")?
                .seen()
        },
    );
    let made = site.vm.outside(DATA).join("meta.properties").exists();
    ensure!(made, "format did not leave {DATA}/meta.properties");
    book.row("S1-10", "it works after mkdir -p, too", || {
        let other = own.with_file_name("made.properties");
        fs::copy(&own, &other)?;
        vi(&other, &["log.dirs=/tmp/made-before"])?;
        sh.types("mkdir -p /tmp/made-before")?.code(0)?;
        let typed = format!("./bin/kafka-storage.sh format -t {id} -c config/kraft/made.properties");
        sh.types(&typed)?.code(0)?.out("/tmp/made-before")?.seen()
    });
    Ok(())
}

fn foreground(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    book.row(
        "S1-13 S1-03",
        "foreground: `Kafka Server started` on stdout and in logs/server.log; SIGINT, SIGTERM",
        || {
            for signal in ["INT", "TERM"] {
                site.forget_logs()?;
                let node = sh.leaves(&format!("./bin/kafka-server-start.sh {CONFIG}"), "foreground")?;
                node.until("Kafka Server started", 1, SOON)?;
                let log = fs::read_to_string(site.vm.outside("/usr/local/kafka/logs").join("server.log"))?;
                ensure!(log.contains("Kafka Server started"), "logs/server.log has the line");
                node.end(signal)?;
                let clean = site.vm.outside(DATA).join(".kafka_cleanshutdown").exists();
                ensure!(clean, "a controlled end after SIG{signal}");
            }
            Ok("Kafka Server started, in both; controlled end after SIGINT and SIGTERM".to_owned())
        },
    );
    book.row("S1-13", "no argument: the usage line and exit 1; --version, --help; --override twice", || {
        let usage = "[-daemon] server.properties [--override property=value]*";
        let said = sh.types("./bin/kafka-server-start.sh")?.code(1)?.says("USAGE: ")?.says(usage)?;
        sh.types("./bin/kafka-server-start.sh --help")?.code(0)?.says("USAGE")?;
        sh.types("./bin/kafka-server-start.sh --version")?.code(0)?.out("4.3")?;
        let typed = format!(
            "./bin/kafka-server-start.sh {CONFIG} --override num.partitions=7 --override default.replication.factor=1"
        );
        let node = sh.leaves(&typed, "override")?;
        node.until("Kafka Server started", 1, SOON)?;
        let at = "--bootstrap-server localhost:9092";
        sh.types(&format!("bin/kafka-topics.sh --create --topic seven {at}"))?.code(0)?;
        sh.types(&format!("bin/kafka-topics.sh --describe --topic seven {at}"))?.out("PartitionCount: 7")?;
        sh.types(&format!("bin/kafka-topics.sh --delete --topic seven {at}"))?.code(0)?;
        node.end("TERM")?;
        said.seen_at("USAGE")
    });
    book.row("S1-04", "one voter: no fault tolerance is warned of at start", || {
        let logs = site.logs();
        let line =
            logs.lines().find(|l| l.contains("no fault tolerance for metadata")).context("no such line")?;
        Ok(line.to_owned())
    });
    book.row("S1-19", "the start says what memory there is and what the limits are", || {
        let logs = site.logs();
        let line =
            logs.lines().find(|l| l.to_lowercase().contains("memory")).context("no line about memory")?;
        Ok(line.to_owned())
    });
}

fn background(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    site.forget_logs()?;
    book.row("S1-15 T-01", "-daemon: silent, exit 0, and it serves; output in logs/kafkaServer.out; JVM variables once", || {
        let typed = "KAFKA_HEAP_OPTS=-Xmx1G JMX_PORT=9999 ./bin/kafka-server-start.sh -daemon config/kraft/server.properties";
        let said = sh.types(typed)?.code(0)?.no_out()?.no_err()?.within(Duration::from_secs(10))?;
        sh.types("bin/kafka-topics.sh --list --bootstrap-server localhost:9092")?.code(0)?;
        let out = fs::read_to_string(site.vm.outside("/usr/local/kafka/logs").join("kafkaServer.out"))?;
        ensure!(out.contains("Kafka Server started"), "kafkaServer.out: {out}");
        let about = out.lines().filter(|l| l.contains("KAFKA_HEAP_OPTS") && l.contains("JMX_PORT")).count();
        ensure!(about == 1, "{about} lines about the JVM's variables");
        said.seen()
    });
    book.row("S1-15", "a pid file is written", || {
        let said = sh.types("cat logs/*.pid || cat kraft-combined-logs/*.pid /tmp/*.pid")?;
        let pid = sh.types("pgrep -f kafka.Kafka")?.stdout.trim().to_owned();
        ensure!(said.stdout.trim() == pid && !pid.is_empty(), "pid {pid}; files: {}", said.stdout);
        Ok(format!("pid file with {pid}"))
    });
    book.row("S1-15", "LOG_DIR is honoured", || {
        let typed = "LOG_DIR=/tmp/elsewhere ./bin/kafka-server-start.sh -daemon config/kraft/made.properties";
        // The ports are taken: it says so, and what it said lies in that directory.
        sh.types(typed)?.code(1)?.err("9092")?;
        sh.types("ls /tmp/elsewhere")?.code(0)?.out("kafkaServer.out")?.seen()
    });
    book.row("S1-16", "netstat: both ports listen on :::, and the process has a name one knows", || {
        let said = sh.types("netstat -antp | grep 9092")?.code(0)?;
        let line = said.stdout.lines().find(|l| l.contains(":::9092") && l.contains("LISTEN"));
        let line = line.with_context(|| said.stdout.clone())?.to_owned();
        ensure!(line.contains("/ottla") || line.contains("/kafka") || line.contains("/java"), "{line}");
        let nine = sh.types("netstat -antp | grep 9093")?.code(0)?;
        ensure!(
            nine.stdout.lines().any(|l| l.contains(":::9093") && l.contains("LISTEN")),
            "{}",
            nine.stdout
        );
        sh.types("bin/ottla status -b localhost:9092")?.code(0)?;
        Ok(line)
    });
    book.row("S1-18", "the only voter is reached by an address that the machine does not have", || {
        let own = sh.types("ip -o addr")?.lacks(super::OUTSIDE)?;
        let at = format!("--bootstrap-server {}:9092", super::OUTSIDE);
        sh.types(&format!("bin/kafka-topics.sh --create --topic out --partitions 1 {at}"))?.code(0)?;
        sh.types(&format!("echo hello | bin/kafka-console-producer.sh --topic out {at}"))?.code(0)?;
        let read =
            format!("bin/kafka-console-consumer.sh --topic out --from-beginning --max-messages 1 {at}");
        sh.types(&read)?.code(0)?.out("hello")?;
        Ok(format!("{}; produced and consumed through {}", own.line("eth0"), super::OUTSIDE))
    });
    book.row("S1-04", "one voter: told beside quorum status, on stderr", || {
        let typed = "bin/kafka-metadata-quorum.sh --bootstrap-server localhost:9092 describe --status";
        sh.types(typed)?.code(0)?.out("LeaderId:")?.err("no fault tolerance")?.seen_at("tolerance")
    });
    book.row("S1-19 T-01", "an idle node: under 50 MB and nearly no processor time", || {
        let pid = outside_pid()?;
        let memory = resident_mib(pid)?;
        let before = cpu_seconds(pid)?;
        std::thread::sleep(Duration::from_secs(5));
        let used = (cpu_seconds(pid)? - before) / 5.0;
        ensure!(memory < 50.0, "{memory:.1} MiB");
        ensure!(used < 0.03, "{:.1} % of a processor", used * 100.0);
        Ok(format!("{memory:.1} MiB, {:.1} % of a processor", used * 100.0))
    });
    Ok(())
}

/// The number by which this process knows the machine's server.
fn outside_pid() -> Result<u32> {
    let me = std::process::id().to_string();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let read = |what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let (line, variables) = (read("cmdline"), read("environ"));
        let of_us = variables.split(|b| *b == 0).any(|v| v == format!("SEEDS_OF={me}").as_bytes());
        if of_us && line.windows(11).any(|w| w == b"kafka.Kafka") {
            return Ok(pid);
        }
    }
    bail!("no server of ours")
}

fn again(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    book.row("S1-21 T-03", "formatted already: Kafka's sentence, what is inside, nothing gone; -g is content", || {
        let meta = site.vm.outside(DATA).join("meta.properties");
        let before = fs::read(&meta)?;
        let typed = format!("./bin/kafka-storage.sh format -t xtzWWN4bTjitpL3kfd9s5g -c {CONFIG}");
        let said = sh.types(&typed)?.code(1)?;
        let said = said.says(&format!(
            "Log directory {DATA} is already formatted. Use --ignore-formatted to ignore this directory and format the others."
        ))?;
        let id = String::from_utf8_lossy(&before).lines().find_map(|l| l.strip_prefix("cluster.id=").map(str::to_owned));
        let said = said.says(&id.context("an id")?)?.says("topic")?.says("not need to format")?;
        ensure!(fs::read(&meta)? == before, "meta.properties is as it was");
        for flag in ["--ignore-formatted", "-g"] {
            let id = String::from_utf8_lossy(&before).into_owned();
            let id = id.lines().find_map(|l| l.strip_prefix("cluster.id=")).unwrap_or_default().to_owned();
            let typed = format!("./bin/kafka-storage.sh format {flag} -t {id} -c {CONFIG}");
            sh.types(&typed)?.code(0)?.says("All of the log directories are already formatted.")?;
        }
        ensure!(fs::read(&meta)? == before, "meta.properties is as it was");
        said.seen_at("already formatted")
    });
}

fn unclean(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    book.row(
        "S1-19 T-01",
        "after kill -9 the next start says that the run before ended without shutdown",
        || {
            sh.types("kill -9 $(pgrep -f kafka.Kafka)")?.code(0)?;
            site.gone()?;
            site.forget_logs()?;
            sh.types("./bin/kafka-server-start.sh -daemon config/kraft/server.properties")?.code(0)?;
            let logs = site.logs();
            let line = logs.lines().find(|l| l.contains("ended without shutdown")).context("no such line")?;
            ensure!(line.contains("dmesg"), "what to check: {line}");
            Ok(line.to_owned())
        },
    );
    // However that went, the tutorial goes on with a running server.
    if sh.types("pgrep -f kafka.Kafka")?.code != 0 {
        sh.types("./bin/kafka-server-start.sh -daemon config/kraft/server.properties")?.code(0)?;
    }
    book.row("S1-01", "one process is everything", || {
        let said = sh.types("pgrep -fc kafka.Kafka")?;
        ensure!(said.stdout.trim() == "1", "{} processes", said.stdout.trim());
        Ok("1 process: broker, controller".to_owned())
    });
    Ok(())
}
