//! `kill -9` of broker 2 under load, its return, and the loss of the only controller.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::book::Book;
use super::super::host::until;
use super::super::{SOON, ids, partitions};
use super::groups::{consumer, producer, table};
use super::{BOTH, ONE, Site, TWO};
use crate::machine::Need;

const STEADY: u32 = 3000;
const START: &str = "./bin/kafka-server-start.sh -daemon config/kraft/server.properties";

pub fn killed(book: &mut Book, site: &Site<'_>, python: Option<&str>) -> Result<()> {
    // Each broker leads one partition, whatever happened before.
    let _ = site.tool("kafka-leader-election.sh --election-type preferred --all-topic-partitions")?;
    let kcat = Need::Kcat.find();
    let steady = match &kcat {
        Some(kcat) => {
            site.tool("kafka-topics.sh --create --topic steady --partitions 2 --replication-factor 2")?
                .code(0)?;
            let typed = format!(
                "(for i in $(seq {STEADY}); do echo $i; sleep 0.004; done) | '{}' -P -b {BOTH} -t steady \
                 -X enable.idempotence=true -X acks=all -X linger.ms=1",
                kcat.display()
            );
            Some(site.pc.shell(site.pc.work()).leaves(&format!("({typed})"), "steady")?)
        }
        None => {
            book.not_run(
                "S3-27 S3-34",
                &format!("the part with acks=all: the machine lacks {}", Need::Kcat.how()),
            );
            None
        }
    };
    let lecture = match python {
        Some(python) => {
            let (from, to) = (producer(site, python)?, consumer(site, python, "watching")?);
            for n in 0..20 {
                from.types(&format!("before {n}"))?;
            }
            to.until("Received: before ", 20, SOON)?;
            Some((from, to))
        }
        None => None,
    };
    std::thread::sleep(Duration::from_secs(1));
    let killed = Instant::now();
    site.sh2.types("kill -9 $(pgrep -f kafka.Kafka)")?.code(0)?;
    let moved = until("leader 1 of all", SOON, || {
        let said =
            site.sh1.types(&format!("bin/kafka-topics.sh --describe --bootstrap-server {ONE}:9092"))?;
        let all = partitions(&said.stdout);
        Ok(said.code == 0 && !all.is_empty() && all.iter().all(|p| p.1 == "1"))
    });
    let took = killed.elapsed();
    book.row("S3-27 T-09", "another leader for all within two seconds of kill -9", || {
        moved?;
        ensure!(took < Duration::from_secs(2), "{} ms", took.as_millis());
        Ok(format!("broker 1 led all after {} ms", took.as_millis()))
    });
    if let Some((from, to)) = &lecture {
        book.row("S3-27 S3-30", "the lecture's two programs go on; what was replicated arrived", || {
            for n in 0..30 {
                from.types(&format!("after {n}"))?;
                std::thread::sleep(Duration::from_millis(100));
            }
            from.types("the end")?;
            to.until("Received: the end", 1, SOON)?;
            let text = to.text();
            ensure!(from.alive() && to.alive(), "one of them ended");
            let after = text.matches("Received: after ").count();
            // It sends with acks=1 and tries nothing again: what was on its way to broker 2 is lost to it.
            ensure!(after >= 20, "{after} of 30 sent after the kill arrived");
            Ok(format!("{after} of 30 sent after the kill arrived; both programs run on"))
        });
    }
    book.row("S3-28", "one short WARN on stderr, the whole table on stdout, exit 0, no second lost", || {
        let said = site.tool("kafka-consumer-groups.sh --group mygroup --describe")?.code(0)?;
        let said = said.within(Duration::from_millis(1300))?;
        let lines: Vec<&str> = said.stderr.lines().filter(|l| l.contains(TWO)).collect();
        ensure!(lines.len() == 1, "lines about {TWO}: {lines:?}");
        for part in ["WARN [AdminClient clientId=adminclient-1] Connection to node -2 (/192.168.57.101:9092) could not be established.", "(org.apache.kafka.clients.NetworkClient)"] {
            ensure!(lines[0].contains(part), "{}", lines[0]);
        }
        table(&said.stdout)?;
        Ok(lines[0].to_owned())
    });
    book.row("S3-29 S3-24", "leader 1 and in sync 1 for both partitions, replicas unchanged", || {
        let said = site.tool("kafka-topics.sh --describe --topic helloworld")?.code(0)?;
        let all = partitions(&said.stdout);
        ensure!(all.len() == 2, "{}", said.stdout);
        for (_, leader, replicas, isr) in &all {
            ensure!(leader == "1" && isr == "1" && ids(replicas) == [1, 2], "{}", said.stdout);
        }
        ensure!(all[0].2 != all[1].2, "1,2 and 2,1: {}", said.stdout);
        Ok(said.stdout.lines().nth(2).unwrap_or_default().trim().to_owned())
    });
    if lecture.is_some() {
        book.row("S3-30", "commits go on: committed reaches the end, lag is the difference", || {
            let mut seen = String::new();
            until("lag 0", SOON, || {
                let said = site.tool("kafka-consumer-groups.sh --group mygroup --describe")?.code(0)?;
                let rows = table(&said.stdout)?;
                seen = rows.iter().map(|r| r[2..6].join(" ")).collect::<Vec<_>>().join("; ");
                Ok(rows.len() == 2 && rows.iter().all(|r| r[5] == "0"))
            })
            .with_context(|| seen.clone())?;
            Ok(format!("partition, committed, end, lag: {seen}"))
        });
    }
    returns(book, site)?;
    if let (Some(steady), Some(kcat)) = (steady, &kcat) {
        book.row(
            "S3-27 S3-34 S3-36",
            "acks=all, idempotent, through kill and return: nothing lost, doubled or out of order",
            || {
                until("all is sent", Duration::from_secs(60), || Ok(!steady.alive()))?;
                ensure!(
                    !steady.text().contains("ERROR") || !steady.text().contains("elivery failed"),
                    "{}",
                    steady.text()
                );
                let said = site.pc.types(&format!(
                    "'{}' -C -q -b {BOTH} -t steady -o beginning -e -f '%p %s\\n'",
                    kcat.display()
                ))?;
                let said = said.code(0)?;
                let mut of: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
                for line in said.stdout.lines() {
                    let (partition, number) = line.split_once(' ').context("two words")?;
                    of.entry(partition).or_default().push(number.parse()?);
                }
                for (partition, numbers) in &of {
                    ensure!(numbers.is_sorted_by(|a, b| a < b), "partition {partition} is not in order");
                }
                let mut all: Vec<u32> = of.values().flatten().copied().collect();
                all.sort_unstable();
                ensure!(all == (1..=STEADY).collect::<Vec<_>>(), "{} records of {STEADY}", all.len());
                Ok(format!("{STEADY} records, each once, in order in its partition"))
            },
        );
    }
    if let Some((from, to)) = lecture {
        let _ = (from.end("KILL"), to.end("KILL"));
    }
    book.row("S3-08", "no topic has a partition with two replicas on one broker", || {
        let said = site.tool("kafka-topics.sh --describe")?.code(0)?;
        let all = partitions(&said.stdout);
        for (.., replicas, _) in &all {
            let mut each = ids(replicas);
            each.dedup();
            ensure!(each.len() == replicas.split(',').count(), "{replicas}");
        }
        Ok(format!("{} partitions looked at", all.len()))
    });
    Ok(())
}

fn returns(book: &mut Book, site: &Site<'_>) -> Result<()> {
    book.row("S3-31", "broker 2 again: in sync, and the preferred election gives it its partition", || {
        site.sh2.types(START)?.code(0)?.no_out()?.no_err()?;
        let back = until("in sync", SOON, || {
            let said = site.tool("kafka-topics.sh --describe --topic helloworld")?;
            Ok(partitions(&said.stdout).iter().all(|p| ids(&p.3) == [1, 2]))
        })?;
        let said = site
            .tool("kafka-leader-election.sh --election-type preferred --all-topic-partitions")?
            .code(0)?;
        let describe = site.tool("kafka-topics.sh --describe --topic helloworld")?.code(0)?;
        let leaders: Vec<String> = partitions(&describe.stdout).into_iter().map(|p| p.1).collect();
        ensure!(ids(&leaders.join(",")) == [1, 2], "leaders {leaders:?}");
        Ok(format!("in sync after {} ms; {}", back.as_millis(), said.line("elect")))
    });
    book.row("S1-19 T-01", "the log says that the run before was killed", || {
        let logs = Site::logs(&site.sh2)?;
        Ok(logs.lines().find(|l| l.contains("ended without shutdown")).context("no such line")?.to_owned())
    });
    Ok(())
}

/// Node 1 is the only controller.
pub fn controller_gone(book: &mut Book, site: &Site<'_>) -> Result<()> {
    site.tool("kafka-topics.sh --create --topic served --replica-assignment 2")?.code(0)?;
    site.sh1.types("kill -9 $(pgrep -f kafka.Kafka)")?.code(0)?;
    book.row("S3-32 T-14", "the only controller is gone: existing leaders serve on", || {
        std::thread::sleep(Duration::from_secs(2));
        let at = format!("--bootstrap-server {TWO}:9092");
        site.sh2.types(&format!("echo still | ./bin/kafka-console-producer.sh --topic served {at}"))?.code(0)?.no_err()?;
        let read = format!("./bin/kafka-console-consumer.sh --topic served --partition 0 --offset earliest --max-messages 1 {at}");
        site.sh2.types(&read)?.code(0)?.out("still")?.seen()
    });
    book.row("S3-32", "a change says that there is no controller, which one, and since when", || {
        let typed = format!("./bin/kafka-topics.sh --create --topic new --bootstrap-server {TWO}:9092");
        let said = site.sh2.types(&format!("timeout 50 {typed}"))?;
        ensure!(said.code == 1, "exit {}: {}{}", said.code, said.stdout, said.stderr);
        said.says("no controller")?.says(&format!("1@{ONE}:9093"))?.seen()
    });
    site.sh1.types(START)?.code(0)?;
    until("node 1 serves again", SOON, || {
        Ok(site.sh1.types(&format!("bin/kafka-topics.sh --list --bootstrap-server {ONE}:9092"))?.code == 0)
    })
    .map(drop)
}
