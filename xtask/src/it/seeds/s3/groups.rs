//! kafka-python 2.0.2 at two terminals, and what the tools show of its group.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::book::Book;
use super::super::host::{Left, until};
use super::super::{SOON, ids, partitions};
use super::{BOTH, Site};

/// The lecture's producer, letter by letter.
const PRODUCER: &str = "\
from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers='192.168.56.101:9092,192.168.57.101:9092')

try:
    while True:
        message = input(\"Enter message: \")
        producer.send('helloworld', message.encode('utf-8'))
finally:
    producer.close()
";

/// The lecture's consumer, letter by letter: its quotes end each other.
pub const CONSUMER: &str = "\
from kafka import KafkaConsumer

consumer = KafkaConsumer(
    'helloworld',
    bootstrap_servers='192.168.56.101:9092,192.168.57.101:9092',
    group_id='mygroup',
    auto_offset_reset='earliest'
)

for message in consumer:
    print(f'Received: {message.value.decode('utf-8')}')

consumer.close()
";

/// The same with quotes that a Python of 3.8 to 3.11 reads.
fn fixed() -> String {
    CONSUMER.replace("decode('utf-8')}'", "decode(\"utf-8\")}'")
}

/// Starts the producer of the lecture.
pub fn producer<'h>(site: &Site<'h>, python: &str) -> Result<Left<'h>> {
    let pc = site.pc.shell(site.pc.work());
    fs::write(site.pc.work().join("producer.py"), PRODUCER)?;
    pc.talks(&format!("'{python}' -u producer.py"), "producer")
}

/// Starts a consumer of the lecture.
pub fn consumer<'h>(site: &Site<'h>, python: &str, name: &str) -> Result<Left<'h>> {
    let pc = site.pc.shell(site.pc.work());
    fs::write(site.pc.work().join("consumer.py"), fixed())?;
    pc.leaves(&format!("'{python}' -u consumer.py"), name)
}

pub fn lecture(book: &mut Book, site: &Site<'_>, python: &str) -> Result<()> {
    printed(book, site, python);
    let (one, two) = (producer(site, python)?, consumer(site, python, "consumer")?);
    book.row(
        "S3-21 S3-06 S3-13 S3-34",
        "kafka-python's producer: the first send makes the topic, all arrive",
        || {
            for n in 1..=7 {
                one.types(&format!("first {n}"))?;
                std::thread::sleep(Duration::from_millis(150));
            }
            two.until("Received: first ", 7, SOON)?;
            let said = site.tool("kafka-topics.sh --describe --topic helloworld")?.code(0)?;
            said.out("PartitionCount: 2")?.out("ReplicationFactor: 2")?.seen()
        },
    );
    book.row("S3-06", "a first send to a new topic is acknowledged within a second", || {
        let said = site.own.types(&format!(
            "'{python}' -c \"from kafka import KafkaProducer; import time; p = KafkaProducer(bootstrap_servers='{BOTH}'); \
             t = time.time(); p.send('nobody-made-it', b'x').get(30); print('%d ms' % ((time.time() - t) * 1000))\""
        ))?;
        let said = said.code(0)?;
        let ms: u64 = said.stdout.trim().trim_end_matches(" ms").parse().with_context(|| said.stdout.clone())?;
        ensure!(ms < 1000, "{ms} ms");
        Ok(format!("acknowledged after {ms} ms"))
    });
    book.row(
        "S3-24 S3-13 S3-08",
        "describe through both servers: TABs, Elr, LastKnownElr, leaders 1 and 2",
        || {
            let said = site.tool("kafka-topics.sh --describe --topic helloworld")?.code(0)?;
            let lines: Vec<&str> = said.stdout.lines().collect();
            let head = "Topic: helloworld\tTopicId: ";
            ensure!(
                lines[0].starts_with(head)
                    && lines[0].contains("\tPartitionCount: 2\tReplicationFactor: 2\tConfigs: "),
                "{}",
                lines[0]
            );
            ensure!(lines[0].contains("segment.bytes=1073741824"), "{}", lines[0]);
            let all = partitions(&said.stdout);
            let leaders: Vec<&str> = all.iter().map(|p| p.1.as_str()).collect();
            ensure!(ids(&leaders.join(",")) == [1, 2], "leaders {leaders:?}");
            for (at, (_, leader, replicas, isr)) in all.iter().enumerate() {
                ensure!(
                    replicas.starts_with(leader.as_str()) && ids(replicas) == [1, 2] && ids(isr) == [1, 2],
                    "{}",
                    lines[at + 1]
                );
                ensure!(lines[at + 1].contains("\tElr: \tLastKnownElr: "), "{:?}", lines[at + 1]);
            }
            Ok(lines[1].trim().to_owned())
        },
    );
    book.row("S3-22 S3-25", "the group: Kafka's columns, member ids, /host, lag 0", || {
        let mut seen = String::new();
        until("a table with lag 0", SOON, || {
            let said = site.tool("kafka-consumer-groups.sh --group mygroup --describe")?.code(0)?;
            let rows = table(&said.stdout)?;
            ensure!(rows.len() == 2, "{}", said.stdout);
            for row in &rows {
                ensure!(row[6].starts_with("kafka-python-2.0.2-") && row[6].len() == 19 + 36, "{row:?}");
                ensure!(row[7] == "/192.168.56.1" && row[8] == "kafka-python-2.0.2", "{row:?}");
            }
            ensure!(rows[0][2] == "0" && rows[1][2] == "1", "by partition: {rows:?}");
            seen = rows[0].join(" ");
            // kafka-python commits every five seconds.
            let sum: i64 = rows.iter().filter_map(|r| r[4].parse::<i64>().ok()).sum();
            Ok(sum == 7 && rows.iter().all(|r| r[5] == "0" && r[3] == r[4]))
        })?;
        Ok(seen)
    });
    others(book, site, python);
    watched(book, site);
    spare(book, site, python);
    vanish(book, site, two);
    let _ = one.end("INT");
    Ok(())
}

fn printed(book: &mut Book, site: &Site<'_>, python: &str) {
    book.row("S3-23 T-19", "as printed it is a SyntaxError here; with other quotes it is compiled", || {
        let pc = site.pc.shell(site.pc.work());
        fs::write(site.pc.work().join("printed.py"), CONSUMER)?;
        fs::write(site.pc.work().join("fixed.py"), fixed())?;
        let said = pc.types(&format!("'{python}' printed.py"))?;
        let said = said.code(1)?.err("SyntaxError")?;
        pc.types(&format!("'{python}' -m py_compile fixed.py"))?.code(0)?;
        Ok(said.line("SyntaxError"))
    });
}

/// The rows of a described group, after its blank line and its header in Kafka's widths.
pub fn table(text: &str) -> Result<Vec<Vec<String>>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some(""), "a blank line first: {text}");
    let header = lines.next().context("a header")?;
    let rows: Vec<Vec<String>> = lines
        .filter(|l| !l.trim().is_empty())
        .map(|l| l.split_whitespace().map(str::to_owned).collect())
        .collect();
    ensure!(rows.iter().all(|r| r.len() == 9), "nine columns: {text}");
    let wide = |at: usize| rows.iter().map(|r| r[at].len()).max().unwrap_or(0).max(15);
    let (group, topic, member, host) = (wide(0), wide(1), wide(6), wide(7));
    let expected = format!(
        "{:<group$} {:<topic$} {:<10} {:<15} {:<15} {:<15} {:<member$} {:<host$} CLIENT-ID",
        "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST"
    );
    ensure!(header.trim_end() == expected, "header `{header}`, not `{expected}`");
    for row in &rows {
        let number = |at: usize| row[at].parse::<i64>().ok();
        if let (Some(committed), Some(end), Some(lag)) = (number(3), number(4), number(5)) {
            ensure!(lag == end - committed, "lag: {row:?}");
        }
    }
    Ok(rows)
}

fn others(book: &mut Book, site: &Site<'_>, python: &str) {
    book.row("S3-25", "an unknown group and one without members, in Kafka's words", || {
        let said = site.tool("kafka-consumer-groups.sh --group nobody --describe")?;
        said.says("Error: Consumer group 'nobody' does not exist.")?;
        let once = format!(
            "from kafka import KafkaConsumer; c = KafkaConsumer('helloworld', bootstrap_servers='{BOTH}', group_id='left', \
             auto_offset_reset='earliest', consumer_timeout_ms=8000); n = 0\nfor m in c:\n  n += 1\n  if n == 7: break\nc.commit(); c.close()"
        );
        fs::write(site.pc.work().join("once.py"), once)?;
        site.pc.types(&format!("'{python}' once.py"))?.code(0)?;
        let said = site.tool("kafka-consumer-groups.sh --group left --describe")?.code(0)?;
        let said = said.err("Consumer group 'left' has no active members.")?;
        let rows = table(&said.stdout)?;
        ensure!(rows.iter().all(|r| r[6] == "-" && r[7] == "-" && r[8] == "-"), "dashes: {rows:?}");
        Ok(rows[0].join(" "))
    });
}

fn watched(book: &mut Book, site: &Site<'_>) {
    book.row("S3-26 T-13", "watch -n 1 shows it; one run in less than 50 ms; no colour codes", || {
        let typed = format!("./bin/kafka-consumer-groups.sh --bootstrap-server {BOTH} --group mygroup --describe");
        // In a terminal, as watch wants one.
        let said = site.sh1.types(&format!(
            "timeout 4 script -qfc 'watch -n 1 \"{typed}\"' /dev/null < /dev/null"
        ))?;
        said.out("CURRENT-OFFSET")?.out("mygroup")?;
        let said = site.sh1.types(&typed)?.code(0)?;
        ensure!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "colours");
        let said = site.sh1.types(&format!(
            "for i in $(seq 21); do s=$(date +%s%N); {typed} > /dev/null; e=$(date +%s%N); echo $(( (e - s) / 1000 )); done | sort -n | sed -n '1p;11p'"
        ))?;
        let figures: Vec<u64> = said.stdout.lines().filter_map(|l| l.trim().parse().ok()).collect();
        let [best, median] = figures[..] else { anyhow::bail!("two figures: {}", said.stdout) };
        // The best of them is the program's own time; the middle has this machine's other work in it.
        ensure!(best < 50_000, "{best} us at best, {median} us in the middle of 21 runs");
        Ok(format!("{best} us at best, {median} us in the middle of 21 runs"))
    });
    book.row("T-13", "a live view of its own: --watch", || {
        let typed = format!("timeout 3 ./bin/ottla status -b {BOTH} --watch");
        let said = site.sh1.types(&typed)?;
        ensure!(
            said.code == 124,
            "it goes on until stopped: exit {} {}{}",
            said.code,
            said.stdout,
            said.stderr
        );
        said.seen()
    });
}

/// More members than partitions.
fn spare(book: &mut Book, site: &Site<'_>, python: &str) {
    book.row("S3-35", "three members of two partitions: no partition twice, one member with 0", || {
        let more = [consumer(site, python, "second")?, consumer(site, python, "third")?];
        let mut seen = String::new();
        until("three members", SOON, || {
            let said = site.tool("kafka-consumer-groups.sh --group mygroup --describe --members")?.code(0)?;
            let counts: Vec<String> = said
                .stdout
                .lines()
                .filter(|l| l.starts_with("mygroup"))
                .filter_map(|l| l.split_whitespace().nth(4).map(str::to_owned))
                .collect();
            let mut counts = counts;
            counts.sort();
            seen = format!("#PARTITIONS {}", counts.join(", "));
            Ok(counts == ["0", "1", "1"])
        })
        .with_context(|| seen.clone())?;
        let said = site.tool("kafka-consumer-groups.sh --group mygroup --describe")?.code(0)?;
        let rows = table(&said.stdout)?;
        let owned: Vec<&String> = rows.iter().filter(|r| r[2] != "-").map(|r| &r[2]).collect();
        ensure!(owned.len() == 2 && owned[0] != owned[1], "{rows:?}");
        for one in &more {
            one.end("INT")?;
        }
        Ok(seen)
    });
}

/// A client that is killed: its group learns it from its silence.
fn vanish(book: &mut Book, site: &Site<'_>, last: Left<'_>) {
    book.row(
        "S3-39",
        "a consumer killed: gone from the group after its timeout, nothing above INFO in the logs",
        || {
            // What the others' leaving left to be balanced.
            std::thread::sleep(Duration::from_secs(4));
            let loud =
                |text: &str| text.lines().filter(|l| l.contains("] WARN ") || l.contains("] ERROR ")).count();
            let before = loud(&Site::logs(&site.sh1)?) + loud(&Site::logs(&site.sh2)?);
            last.end("KILL")?;
            let took = until("no member", Duration::from_secs(25), || {
                let said = site.tool("kafka-consumer-groups.sh --group mygroup --describe")?.code(0)?;
                Ok(said.stderr.contains("has no active members"))
            })?;
            let after = loud(&Site::logs(&site.sh1)?) + loud(&Site::logs(&site.sh2)?);
            ensure!(after == before, "{} new lines above INFO", after - before);
            Ok(format!("gone after {:.1} s", took.as_secs_f64()))
        },
    );
}
