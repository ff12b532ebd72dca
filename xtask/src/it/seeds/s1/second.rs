//! The second server on the same machine, and the troubles on the way to two that run.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::SOON;
use super::super::book::Book;
use super::super::host::{tail, until};
use super::super::vi;
use super::{OUTSIDE, Site, remedies};

const ONE: &str = "config/kraft/server.properties";
const TWO: &str = "config/kraft/server2.properties";

pub fn go(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    let (first, second) = (site.file("server.properties"), site.file("server2.properties"));
    fs::copy(&first, &second)?;
    clashes(book, site);
    let both = format!("controller.quorum.voters=0@{OUTSIDE}:9093,1@{OUTSIDE}:9095");
    vi(
        &second,
        &[
            "process.roles=broker,controller",
            "node.id=1",
            &both,
            "listeners=PLAINTEXT://:9094,CONTROLLER://:9095",
            &format!("advertised.listeners=PLAINTEXT://{OUTSIDE}:9094"),
            "controller.listener.names=CONTROLLER",
            // As the tutorial spells it.
            "log.dirs=/usr/local/kakfa/kraft-combined-logs2",
        ],
    )?;
    vi(&first, &[&both])?;
    site.stop()?;
    remedies::go(book, site);
    voters(book, site);
    // The author throws both away and formats again.
    sh.types("rm -rf /usr/local/kafka/kraft-combined-logs /usr/local/kakfa/kraft-combined-logs2")?.code(0)?;
    let typed = format!(
        "KAFKA_CLUSTER_ID=$(./bin/kafka-storage.sh random-uuid); \
         ./bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c {ONE} && \
         ./bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c {TWO}"
    );
    let said = sh.types(&typed)?.code(0)?;
    book.row("S1-03 T-10", "a misspelt path is made as it is written, and printed", || {
        said.out("/usr/local/kakfa/kraft-combined-logs2")?.seen_at("kakfa")
    });
    alone_of_two(book, site)?;
    together(book, site)
}

/// One tree, one directory, one port, wanted twice.
fn clashes(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    book.row("S1-17 T-18", "the same log.dirs twice: which process holds it", || {
        let pid = sh.types("pgrep -f kafka.Kafka")?.code(0)?.stdout.trim().to_owned();
        vi(
            &site.file("server2.properties"),
            &[
                "listeners=PLAINTEXT://:9094,CONTROLLER://:9095",
                &format!("controller.quorum.voters=0@{OUTSIDE}:9095"),
                &format!("advertised.listeners=PLAINTEXT://{OUTSIDE}:9094"),
            ],
        )?;
        let said = sh.types(&format!("./bin/kafka-server-start.sh {TWO}"))?.code(1)?;
        said.says("/usr/local/kafka/kraft-combined-logs")?.says(&pid)?.seen_at(&pid)
    });
    book.row("S1-17 T-18", "a port in use: its number, its listener, and whose it is", || {
        let pid = sh.types("pgrep -f kafka.Kafka")?.code(0)?.stdout.trim().to_owned();
        let typed = "./bin/kafka-server-start.sh config/kraft/made.properties";
        let said = sh.types(typed)?.code(1)?.says("9092")?.says("PLAINTEXT")?.says(&pid)?;
        said.seen_at("9092")
    });
}

fn voters(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    book.row("S1-20 T-02", "Kafka's sentence, three remedies, nothing changed, exit 1", || {
        let data = site.vm.outside("/usr/local/kafka/kraft-combined-logs");
        let state = data.join("__cluster_metadata-0/quorum-state");
        let before = fs::read(&state)?;
        let said = sh.types(&format!("./bin/kafka-server-start.sh {ONE}"))?.code(1)?;
        let said = said.says(
            "Configured voter set: [0, 1] is different from the voter set read from the state file: [0]. \
             Check if the quorum configuration is up to date, or wipe out the local state file if necessary",
        )?;
        ensure!(fs::read(&state)? == before, "quorum-state changed");
        // Online, on purpose, thrown away.
        said.says("add-controller")?
            .says("ottla.voter.change.enable")?
            .says("rm -r")?
            .says("kafka-storage.sh format")?
            .seen_at("Configured voter set")
    });
    book.row("S1-20 T-02", "a lone node's voters can be changed on purpose, as printed; its topics are kept", || {
        let refused = sh.types(&format!("./bin/kafka-server-start.sh {ONE}"))?.code(1)?.stderr;
        let printed = remedies::lines(&refused, 2);
        ensure!(printed.len() == 1, "one command: {printed:?}");
        sh.types(&printed[0])?.code(0)?;
        let said = sh.types("bin/ottla status -b localhost:9092; bin/kafka-topics.sh --list --bootstrap-server localhost:9092");
        let seen = said.as_ref().map(|s| format!("exit {}, {}", s.code, s.stdout.trim().replace('\n', " "))).unwrap_or_default();
        // Alone it is no majority of two: with the second node the topic is there again.
        let id = sh.types("grep cluster.id kraft-combined-logs/meta.properties | cut -d= -f2")?.stdout.trim().to_owned();
        sh.types(&format!("./bin/kafka-storage.sh format -t {id} -c {TWO}"))?.code(0)?;
        sh.types(&format!("./bin/kafka-server-start.sh -daemon {TWO}"))?.code(0)?;
        until("the topic of before", SOON, || {
            let said = sh.types("bin/kafka-topics.sh --list --bootstrap-server localhost:9092")?;
            Ok(said.code == 0 && said.stdout.contains("out"))
        })
        .with_context(|| format!("{seen}\n{}", tail(&site.logs())))?;
        let said = sh.types("bin/kafka-metadata-quorum.sh --bootstrap-server localhost:9092 describe --status")?;
        said.code(0)?.out("\"id\": 1")?.seen_at("CurrentVoters")
    });
    if let Err(error) = site.stop() {
        println!("      stopping both: {error:#}");
        let _ = sh.types("pkill -9 -f kafka.Kafka");
        let _ = site.gone();
    }
}

/// Both are voters, one is there.
fn alone_of_two(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    site.forget_logs()?;
    sh.types(&format!("./bin/kafka-server-start.sh -daemon {ONE}"))?.code(0)?;
    std::thread::sleep(Duration::from_secs(9));
    book.row("S1-22 T-04", "who is missing, why, how many are needed; once, not over and over", || {
        let logs = site.logs();
        let line =
            logs.lines().find(|l| l.contains("Waiting for controller quorum: 1 of 2 reachable, need 2."));
        let line = line.with_context(|| tail(&logs))?;
        ensure!(line.contains(&format!("Missing: 1@{OUTSIDE}:9095")), "{line}");
        let lines = logs.lines().filter(|l| l.contains("Waiting for controller quorum")).count();
        ensure!(lines <= 4, "{lines} lines in 10 s");
        ensure!(!logs.contains("still catching up"), "Kafka's line");
        Ok(line.to_owned())
    });
    book.row(
        "S1-23 T-05",
        "the peer: who it is, where its address is from, why not reached; seldom, no trace",
        || {
            let logs = site.logs();
            let about: Vec<&str> =
                logs.lines().filter(|l| l.contains("WARN") && l.contains(":9095")).collect();
            let line = about.first().with_context(|| tail(&logs))?;
            ensure!(line.contains("controller 1"), "who: {line}");
            ensure!(line.contains("controller.quorum.voters"), "where from: {line}");
            ensure!(about.len() <= 4, "{} lines: {about:?}", about.len());
            ensure!(!logs.contains("\tat "), "a trace");
            Ok((*line).to_owned())
        },
    );
    book.row("S1-22", "ottla status says the same", || {
        let said = sh.types("bin/ottla status -b localhost:9092")?.within(Duration::from_secs(5))?;
        said.says("Waiting for controller quorum: 1 of 2 reachable, need 2.")?
            .says(&format!("1@{OUTSIDE}:9095 (connection refused"))?
            .seen_at("Waiting")
    });
    book.row("S1-22", "/readyz says the same", || {
        // The operations' port, whichever it is: something beside the two listeners must answer.
        let ports = sh.types("ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -u")?.stdout;
        for port in ports.split_whitespace().filter(|p| !["9092", "9093"].contains(p)) {
            let said = sh.types(&format!("curl -s -m 3 http://localhost:{port}/readyz"))?;
            if said.stdout.contains("controller quorum") {
                return said.seen();
            }
        }
        anyhow::bail!(
            "no port answers /readyz; ports: {}",
            ports.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    });
    book.row("S1-04 S3-33 T-14", "two voters: they tolerate no failure", || {
        let logs = site.logs();
        let line = logs.lines().find(|l| l.contains("2 controllers tolerate no failure; use 1 or 3"));
        Ok(line.with_context(|| tail(&logs))?.to_owned())
    });
    Ok(())
}

fn together(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh;
    book.row("S1-24 S1-03 S1-18 T-05", "the second one started: a quorum, four ports, both serve", || {
        sh.types(&format!("./bin/kafka-server-start.sh -daemon {TWO}"))?.code(0)?.no_out()?.no_err()?;
        for port in [9092, 9093, 9094, 9095] {
            let said = sh.types(&format!("netstat -antp | grep {port}"))?.code(0)?;
            let listens = |l: &str| l.contains(&format!(":::{port}")) && l.contains("LISTEN");
            ensure!(said.stdout.lines().any(listens), "{port}: {}", said.stdout);
        }
        for port in [9092, 9094] {
            let typed = format!("bin/kafka-topics.sh --list --bootstrap-server {OUTSIDE}:{port}");
            until("it serves", SOON, || Ok(sh.types(&typed)?.code == 0))?;
        }
        let logs = site.logs();
        let line =
            logs.lines().find(|l| l.contains("Quorum formed: leader")).context("no `Quorum formed`")?;
        Ok(line.to_owned())
    });
    book.row("S1-17 T-18", "two nodes of one tree log into files of their own", || {
        let said = sh.types("ls logs")?.code(0)?;
        for id in [0, 1] {
            let one = sh.types(&format!("grep -l 'nodeId={id}\\b' logs/server*.log"))?;
            ensure!(one.code == 0, "no file names node {id}: {}", said.stdout);
        }
        let logs =
            said.stdout.split_whitespace().filter(|n| n.starts_with("server") && n.ends_with(".log")).count();
        ensure!(logs == 2, "{}", said.stdout);
        Ok(said.stdout.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    book.row("S1-04", "two voters: told beside quorum status", || {
        let typed =
            format!("bin/kafka-metadata-quorum.sh --bootstrap-controller {OUTSIDE}:9095 describe --status");
        sh.types(&typed)?.code(0)?.err("tolerate no failure")?.seen_at("tolerate")
    });
    book.row("T-01 S1-19", "two nodes on one small machine: what both take", || {
        let said = sh.types("ps -o rss= -p $(pgrep -d, -f kafka.Kafka)")?.code(0)?;
        let each: Vec<f64> = said
            .stdout
            .split_whitespace()
            .filter_map(|n| n.parse::<f64>().ok())
            .map(|k| k / 1024.0)
            .collect();
        ensure!(each.len() == 2 && each.iter().all(|m| *m < 50.0), "MiB: {each:?}");
        Ok(format!("{each:.1?} MiB"))
    });
    Ok(())
}
