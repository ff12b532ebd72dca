//! The quorum: asked while nothing runs, started in any order, asked again, and without one of its nodes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::SOON;
use super::super::book::Book;
use super::super::host::until;
use super::super::said::Said;
use super::super::{gone, ids, partitions, vi};
use super::{FILE, Site};

const STATUS: &str =
    "./bin/kafka-metadata-quorum.sh --bootstrap-controller kafka1.mydomain.com:9093 describe --status";
const START: &str = "./bin/kafka-server-start.sh -daemon config/kraft/server.properties";

/// The tutorial never starts a server.
pub fn not_running(book: &mut Book, site: &Site<'_>) {
    let sh = site.on(1);
    let five = Duration::from_secs(6);
    book.row("S0-23 T-08", "nothing runs: refused, is the server started, within 5 s, exit 1", || {
        let said = sh.types(STATUS)?.code(1)?.within(five)?;
        said.says("kafka1.mydomain.com:9093")?
            .says("refused")?
            .says("kafka-server-start.sh")?
            .seen_at("refused")
    });
    book.row("S0-23", "a name that does not resolve is told apart from that", || {
        let typed = STATUS.replace("kafka1.mydomain.com", "kafka1.yourdomain.invalid");
        let said = sh.types(&typed)?.code(1)?.within(five)?.says("kafka1.yourdomain.invalid")?;
        said.says("resolve")?.seen_at("resolve")
    });
    book.row("S0-23", "a host that does not answer is told apart, too", || {
        // An address of the cable that nobody has.
        let said = sh.types(&STATUS.replace("kafka1.mydomain.com", "10.20.0.77"))?.code(1)?;
        let said = said.within(Duration::from_secs(8))?.says("10.20.0.77")?;
        said.that("no route, or a timeout", |s| {
            let all = format!("{}{}", s.stdout, s.stderr).to_lowercase();
            ["no route", "unreachable", "timed out", "timeout", "within"].iter().any(|w| all.contains(w))
        })?
        .seen_at("10.20.0.77")
    });
}

pub fn starts(book: &mut Book, site: &Site<'_>) -> Result<()> {
    book.row("S0-10 S0-18 S0-32 S0-12", "started 3, 1, 2 with time between: one cluster", || {
        // A space after each comma is as good.
        let file = site.on(2).cwd.join(FILE);
        let spaced = super::VOTERS.replace(',', ", ");
        vi(&file, &[&spaced])?;
        for id in [3, 1, 2] {
            site.on(id).types(START)?.code(0)?.no_out()?.no_err()?;
            std::thread::sleep(Duration::from_secs(2));
        }
        until("three brokers", SOON, || {
            let said = site.on(1).types("bin/kafka-broker-api-versions.sh --bootstrap-server kafka1:9092")?;
            Ok((1..=3).all(|id| said.stdout.contains(&format!("kafka{id}.mydomain.com:9092 (id: {id}"))))
        })
        .map(|took| format!("three brokers, {} ms after the last start", took.as_millis()))
    });
    book.row(
        "S0-14",
        "what is advertised is what clients are told; nothing of the controllers' listener",
        || {
            let said = site
                .on(1)
                .types("bin/kafka-broker-api-versions.sh --bootstrap-server kafka1:9092")?
                .code(0)?;
            said.out("kafka1.mydomain.com:9092 (id: 1")?.lacks(":9093")?.seen_at("(id: 1")
        },
    );
    Ok(())
}

fn eight_lines(said: Said) -> Result<Said> {
    let said = said.code(0)?;
    let labels = [
        "ClusterId:",
        "LeaderId:",
        "LeaderEpoch:",
        "HighWatermark:",
        "MaxFollowerLag:",
        "MaxFollowerLagTimeMs:",
        "CurrentVoters:",
        "CurrentObservers:",
    ];
    let lines: Vec<&str> = said.stdout.lines().collect();
    ensure!(lines.len() == 8, "{}", said.stdout);
    for (line, label) in lines.iter().zip(labels) {
        ensure!(line.starts_with(&format!("{label:<23}")), "`{line}`, not `{label:<23}...`");
    }
    for id in 1..=3 {
        let endpoint = format!("CONTROLLER://kafka{id}.mydomain.com:9093");
        ensure!(lines[6].contains(&format!("\"id\": {id},")) && lines[6].contains(&endpoint), "{}", lines[6]);
    }
    Ok(said)
}

pub fn asked(book: &mut Book, site: &Site<'_>) {
    let sh = site.on(1);
    book.row(
        "S0-22 S0-34",
        "eight labelled lines, voters 1, 2, 3; the same from any voter and from a broker",
        || {
            let said = eight_lines(sh.types(STATUS)?)?;
            for id in 2..=3 {
                let other = sh.types(&STATUS.replace("kafka1", &format!("kafka{id}")))?;
                let other = eight_lines(other)?;
                ensure!(other.line("LeaderId") == said.line("LeaderId"), "{}", other.stdout);
            }
            eight_lines(
                sh.types("./bin/kafka-metadata-quorum.sh --bootstrap-server kafka1:9092 describe --status")?,
            )?;
            Ok(format!("{}; {}", said.line("LeaderId"), said.line("CurrentVoters")))
        },
    );
    book.row("S0-24", "a broker's port as a controller's, and the reverse: which flag it should be", || {
        let said = sh.types(&STATUS.replace(":9093", ":9092"))?.code(1)?;
        let said = said.says("kafka1.mydomain.com:9092 is a broker")?.says("--bootstrap-server")?;
        let back = sh.types("./bin/kafka-topics.sh --bootstrap-server kafka1:9093 --list")?.code(1)?;
        back.says("kafka1:9093")?.says("controller")?;
        said.seen_at("broker")
    });
}

fn leader(site: &Site<'_>, at: usize) -> Result<i32> {
    let typed =
        format!("bin/kafka-metadata-quorum.sh --bootstrap-controller kafka{at}:9093 describe --status");
    let said = site.on(at).types(&typed)?.code(0)?;
    said.line("LeaderId").split_whitespace().nth(1).and_then(|id| id.parse().ok()).context("a leader")
}

/// "Then we take one node down": stopped and killed, each of the three.
pub fn one_goes(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let mut slowest = Duration::ZERO;
    for id in 1..=3usize {
        let other = id % 3 + 1;
        let how = if id == 1 { "TERM" } else { "KILL" };
        let expected =
            format!("kafka{id} goes by SIG{how}: the others produce, consume, lead; it comes back in sync");
        let at = format!("--bootstrap-server kafka{other}:9092");
        book.row("S0-31 S0-32", &expected, || {
            let led = leader(site, other)?;
            site.on(id).types(&format!("kill -{how} $(pgrep -f kafka.Kafka)"))?.code(0)?;
            let took = until("a leader among the others", SOON, || Ok(leader(site, other)? != id as i32))?;
            if led == id as i32 && how == "KILL" {
                slowest = slowest.max(took);
            }
            let sh = site.on(other);
            until("leaders among the others", SOON, || {
                let said = sh.types(&format!("bin/kafka-topics.sh --describe --topic first-topic {at}"))?;
                let all = partitions(&said.stdout);
                Ok(all.len() == 6
                    && all.iter().all(|p| p.1 != id.to_string() && !ids(&p.3).contains(&(id as i32))))
            })?;
            let produce =
                format!("echo without-{id} | bin/kafka-console-producer.sh --topic first-topic {at}");
            sh.types(&produce)?.code(0)?;
            let read = format!(
                "bin/kafka-console-consumer.sh --topic first-topic --from-beginning --timeout-ms 4000 {at}"
            );
            sh.types(&read)?.out(&format!("without-{id}"))?;
            site.on(id).types(START)?.code(0)?;
            let back = until("in sync again", SOON, || {
                let said = sh.types(&format!("bin/kafka-topics.sh --describe --topic first-topic {at}"))?;
                Ok(partitions(&said.stdout).iter().all(|p| ids(&p.3) == ids(&p.2)))
            })?;
            Ok(format!("another controller and leaders; back in sync after {} ms", back.as_millis()))
        });
    }
    book.row("S1-01 T-09", "kill -9 of the active controller: another within two seconds", || {
        let led = leader(site, 1)? as usize;
        let other = led % 3 + 1;
        site.on(led).types("kill -9 $(pgrep -f kafka.Kafka)")?.code(0)?;
        let took = until("another controller", SOON, || Ok(leader(site, other)? != led as i32))?;
        site.on(led).types(START)?.code(0)?;
        slowest = slowest.max(took);
        ensure!(slowest < Duration::from_millis(2500), "{} ms", slowest.as_millis());
        Ok(format!("{} ms at most", slowest.as_millis()))
    });
    book.row("S0-17 T-16 S0-15", "another num.partitions takes a restart and no format", || {
        let sh = site.on(1);
        vi(&sh.cwd.join(FILE), &["num.partitions=4"])?;
        sh.types("./bin/kafka-server-stop.sh")?.code(0)?;
        gone(sh)?;
        sh.types(START)?.code(0)?;
        let said = sh
            .types("bin/kafka-topics.sh --bootstrap-server kafka1:9092 --list")?
            .code(0)?
            .out("first-topic")?;
        Ok(format!("restarted with the topic still there: {}", said.line("first-topic")))
    });
    Ok(())
}
