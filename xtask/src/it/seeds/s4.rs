//! S4: three brokers on one server, with files and flags of the ZooKeeper era.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::book::Book;
use super::host::{Lan, Left, Shell, tail, until};
use super::{Release, SOON, ids, partitions, vi};

const THREE: &str = "192.168.1.93:9091,192.168.1.93:9092,192.168.1.93:9093";
const ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// A file as Kafka 3's tree had it, with the tutorial's changes.
fn old_file(id: u32) -> String {
    format!(
        "broker.id={id}\nlisteners=PLAINTEXT://192.168.1.93:909{id}\nnum.network.threads=3\nnum.io.threads=8\n\
         log.dirs=/tmp/broker{id}\nnum.partitions=1\nnum.recovery.threads.per.data.dir=1\n\
         offsets.topic.replication.factor=3\ntransaction.state.log.replication.factor=3\n\
         transaction.state.log.min.isr=3\nlog.flush.interval.messages=2\nlog.retention.hours=168\n\
         zookeeper.connect=localhost:2181\nzookeeper.connection.timeout.ms=18000\n\
         group.initial.rebalance.delay.ms=0\n"
    )
}

pub fn replay(book: &mut Book, release: &Release) -> Result<()> {
    let lan = Lan::new('e')?;
    let server = lan.machine("server", &["192.168.1.93/24"], "")?;
    let sh = release.unpack(&server)?;
    era(book, &sh)?;
    files(book, &sh)?;
    let nodes = start(book, &sh)?;
    topic(book, &sh);
    flushes(book, &sh);
    console(book, &sh);
    stale(book, &sh);
    for node in &nodes {
        node.end("TERM")?;
    }
    Ok(())
}

/// ZooKeeper's step, and its file.
fn era(book: &mut Book, sh: &Shell<'_>) -> Result<()> {
    book.row("S4-02 T-15", "zookeeper-server-start.sh: not needed, exit 0; the stop script too", || {
        let said = sh.types("bin/zookeeper-server-start.sh config/zookeeper.properties")?.code(0)?;
        sh.types("bin/zookeeper-server-stop.sh")?.code(0)?;
        said.says("ZooKeeper is not needed; skip this step")?.seen()
    });
    fs::write(sh.cwd.join("config/server1.properties"), old_file(1))?;
    book.row(
        "S4-01 S1-02",
        "an old file: named as one, the command that converts it, exit 1; never in place",
        || {
            let said = sh.types("bin/kafka-server-start.sh config/server1.properties")?.code(1)?;
            let said = said.says("ZooKeeper-era file")?.says("config migrate")?;
            let done = sh.types("bin/ottla config migrate config/server1.properties")?.code(0)?;
            done.says("server1.properties.kraft")?;
            ensure!(
                fs::read_to_string(sh.cwd.join("config/server1.properties"))? == old_file(1),
                "it was changed"
            );
            let new = fs::read_to_string(sh.cwd.join("config/server1.properties.kraft"))?;
            ensure!(new.contains("process.roles=") && new.contains("node.id=1"), "{new}");
            ensure!(!new.lines().any(|l| l.starts_with("zookeeper.connect")), "{new}");
            said.seen_at("ZooKeeper-era")
        },
    );
    book.row("S4-01", "the converted copy starts", || {
        sh.types(&format!("bin/kafka-storage.sh format -t {ID} -c config/server1.properties.kraft"))?
            .code(0)?;
        let node = sh.leaves("bin/kafka-server-start.sh config/server1.properties.kraft", "converted")?;
        node.until("Kafka Server started", 1, SOON)?;
        node.end("TERM")?;
        sh.types("rm -rf /tmp/broker1")?;
        Ok("Kafka Server started".to_owned())
    });
    Ok(())
}

/// The three files, brought up to date as the tutorial names them.
fn files(book: &mut Book, sh: &Shell<'_>) -> Result<()> {
    let names = ["server.properties", "server2.properties", "server3.properties"];
    for (at, name) in names.iter().enumerate() {
        let id = at + 1;
        let file = sh.cwd.join("config").join(name);
        fs::write(&file, old_file(id as u32))?;
        vi(
            &file,
            &[
                "process.roles=broker,controller",
                "controller.listener.names=CONTROLLER",
                &format!("listeners=PLAINTEXT://192.168.1.93:909{id},CONTROLLER://192.168.1.93:1909{id}"),
                "controller.quorum.voters=1@192.168.1.93:19091,2@192.168.1.93:19092,3@192.168.1.93:19093",
            ],
        )?;
        let said = sh.types(&format!("bin/kafka-storage.sh format -t {ID} -c config/{name}"))?.code(0)?;
        if id == 1 {
            book.row("S4-08 S4-06", "broker.id for node.id; /tmp/broker1 is made", || {
                let meta = fs::read_to_string(sh.host.outside("/tmp/broker1/meta.properties"))?;
                ensure!(meta.lines().any(|l| l == "node.id=1"), "{meta}");
                said.out("/tmp/broker1")?.seen()
            });
        }
    }
    let odd = sh.cwd.join("config/odd.properties");
    book.row("S4-06", "broker.id and node.id that differ: both are named", || {
        fs::copy(sh.cwd.join("config/server.properties"), &odd)?;
        vi(&odd, &["node.id=5"])?;
        let said = sh.types("bin/kafka-server-start.sh config/odd.properties")?.code(1)?;
        said.says("broker.id")?.says("node.id")?.seen()
    });
    book.row("S4-07", "one port for two listeners is refused before anything is bound", || {
        fs::copy(sh.cwd.join("config/server3.properties"), &odd)?;
        vi(
            &odd,
            &[
                "listeners=PLAINTEXT://192.168.1.93:9093,CONTROLLER://192.168.1.93:9093",
                "controller.quorum.voters=1@192.168.1.93:19091,2@192.168.1.93:19092,3@192.168.1.93:9093",
            ],
        )?;
        let said = sh.types("bin/kafka-server-start.sh config/odd.properties")?.code(1)?;
        said.says("9093")?.says("CONTROLLER")?.says("PLAINTEXT")?.seen_at("9093")
    });
    book.row("S4-10", "Long.MAX between flushes is accepted, as testcontainers sets it", || {
        fs::copy(sh.cwd.join("config/server.properties"), &odd)?;
        vi(&odd, &["log.flush.interval.messages=9223372036854775807"])?;
        sh.types("bin/ottla config check config/odd.properties")?.code(0)?.seen()
    });
    Ok(())
}

fn start<'h>(book: &mut Book, sh: &Shell<'h>) -> Result<Vec<Left<'h>>> {
    let mut nodes = Vec::new();
    for (at, name) in ["server.properties", "server2.properties", "server3.properties"].iter().enumerate() {
        let typed = format!("bin/kafka-server-start.sh config/{name}");
        nodes.push(sh.leaves(&typed, &format!("terminal{}", at + 1))?);
    }
    let all = nodes.iter().try_for_each(|node| node.until("Kafka Server started", 1, SOON));
    book.row("S4-05 S4-07 S4-11", "three terminals, three files, clients on 9091, 9092, 9093", || {
        all?;
        let said = sh.types("netstat -antp | grep LISTEN")?.code(0)?;
        said.out("192.168.1.93:9091")?.out("192.168.1.93:9092")?.out("192.168.1.93:9093")?.seen()
    });
    until("three brokers", SOON, || {
        let said = sh.types(&format!("bin/kafka-broker-api-versions.sh --bootstrap-server {THREE}"))?;
        Ok(said.stdout.matches("(id: ").count() == 3)
    })?;
    book.row("S4-11", "log lines carry the node's id, so that terminals can be told apart", || {
        for (at, node) in nodes.iter().enumerate() {
            let text = node.text();
            let lines = text.lines().filter(|l| l.starts_with('[')).count();
            let id = at + 1;
            let of = |l: &&str| l.contains(&format!("node {id}")) || l.contains(&format!("id={id}"));
            let with = text.lines().filter(of).count();
            ensure!(
                with * 2 >= lines,
                "{with} of {lines} lines of terminal {id} say which node: {}",
                tail(&text)
            );
        }
        Ok(nodes[1].text().lines().nth(1).unwrap_or_default().to_owned())
    });
    book.row("S4-09", "as many in sync as replicas, for transactions: warned of", || {
        let text = nodes[0].text();
        let line = text.lines().find(|l| l.contains("WARN") && l.contains("transaction.state.log.min.isr"));
        let line = line.with_context(|| tail(&text))?;
        ensure!(line.contains("any broker") && line.contains("down stops transactions"), "{line}");
        Ok(line.to_owned())
    });
    book.row("S4-10", "the price of a flush after every 2 messages is warned of", || {
        let text = nodes[0].text();
        let line = text.lines().find(|l| l.contains("WARN") && l.contains("log.flush.interval.messages"));
        Ok(line.with_context(|| tail(&text))?.to_owned())
    });
    Ok(nodes)
}

fn topic(book: &mut Book, sh: &Shell<'_>) {
    let bin = sh.cd("bin");
    book.row("S4-12", "typed within bin/: Created topic test.", || {
        let typed = format!("./kafka-topics.sh --create --bootstrap-server {THREE} --replication-factor 3 --partitions 10 --topic test");
        let said = bin.types(&typed)?.code(0)?;
        ensure!(said.stdout == "Created topic test.\n", "{}", said.stdout);
        said.seen()
    });
    book.row("S4-13", "ten partitions; leaders 4, 3, 3; three in sync", || {
        let said = bin
            .types(&format!("./kafka-topics.sh --describe --bootstrap-server {THREE} --topic test"))?
            .code(0)?;
        let all = partitions(&said.stdout);
        ensure!(all.len() == 10, "{}", said.stdout);
        let mut leads: Vec<usize> =
            ["1", "2", "3"].iter().map(|id| all.iter().filter(|p| p.1 == *id).count()).collect();
        leads.sort_unstable();
        ensure!(leads == [3, 3, 4], "leaders {leads:?}");
        ensure!(all.iter().all(|p| ids(&p.3) == [1, 2, 3]), "{}", said.stdout);
        Ok(format!("leaders per broker {leads:?}"))
    });
    book.row("S4-14", "--broker-list: as --bootstrap-server, one line on stderr that it is old", || {
        let typed = format!(
            "printf 'one\\ntwo\\nthree\\n' | ./kafka-console-producer.sh --broker-list {THREE} --topic test"
        );
        let said = bin.types(&typed)?.code(0)?.no_out()?.err("--broker-list")?;
        ensure!(said.stderr.lines().count() == 1, "{}", said.stderr);
        let offsets = format!("./kafka-get-offsets.sh --broker-list {THREE} --topic test");
        bin.types(&offsets)?.code(0)?.err("--broker-list")?;
        said.seen()
    });
    book.row("S4-15", "the console consumer reads all of it", || {
        let typed = format!("./kafka-console-consumer.sh --bootstrap-server {THREE} --topic test --from-beginning --timeout-ms 4000");
        let said = bin.types(&typed)?;
        let mut lines: Vec<&str> = said.stdout.lines().collect();
        lines.sort_unstable();
        ensure!(lines == ["one", "three", "two"], "{lines:?}");
        Ok(lines.join(", "))
    });
}

fn flushes(book: &mut Book, sh: &Shell<'_>) {
    book.row(
        "S4-10",
        "log.flush.interval.messages=2: fsync of the partition with every second message",
        || {
            if sh.types("command -v strace")?.code != 0 {
                bail!("strace is needed to see it");
            }
            let at = format!("--bootstrap-server {THREE}");
            let said = sh.types(&format!(
                "bin/kafka-topics.sh --create --topic flushed --replica-assignment 1 {at}"
            ))?;
            said.code(0)?;
            let pid = sh
                .types("pgrep -f 'kafka.Kafka.*config/server.properties'")?
                .code(0)?
                .stdout
                .trim()
                .to_owned();
            let trace = sh.leaves(
                &format!("strace -f -y -e trace=fsync,fdatasync -p {pid} -o /tmp/flushes"),
                "strace",
            )?;
            std::thread::sleep(Duration::from_secs(1));
            for n in 0..6 {
                sh.types(&format!("echo {n} | bin/kafka-console-producer.sh --topic flushed {at}"))?
                    .code(0)?;
            }
            let _ = trace.end("INT");
            let calls = fs::read_to_string(sh.host.outside("/tmp/flushes"))?;
            let count = calls.lines().filter(|l| l.contains("flushed-0") && l.contains(".log")).count();
            ensure!(
                (3..=6).contains(&count),
                "{count} flushes of flushed-0 with 6 messages:\n{}",
                tail(&calls)
            );
            Ok(format!("{count} flushes of the partition's log with 6 messages"))
        },
    );
    book.row("S4-09", "__transaction_state with 3 replicas and 3 in sync", || {
        let at = format!("--bootstrap-server {THREE}");
        sh.types(&format!(
            "timeout 30 bin/kafka-producer-perf-test.sh --topic test --num-records 10 --record-size 10 --throughput -1 \
             --transactional-id t1 {at}"
        ))?
        .code(0)?;
        let said = sh.types(&format!("bin/kafka-topics.sh --describe --topic __transaction_state {at}"))?.code(0)?;
        said.out("ReplicationFactor: 3")?.out("min.insync.replicas=3")?.seen()
    });
}

fn console(book: &mut Book, sh: &Shell<'_>) {
    book.row("S4-16 T-12", "a page of its own shows topic test, its partitions and messages", || {
        let ports = sh.types("ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -u")?.stdout;
        let others = ports.split_whitespace().filter(|p| !p.starts_with("909") && !p.starts_with("1909"));
        let mut consoles = Vec::new();
        for port in others {
            if sh.types(&format!("curl -s -m 3 http://localhost:{port}/"))?.stdout.contains("<html") {
                consoles.push(port);
            }
        }
        ensure!(consoles.len() == 3, "three nodes, consoles on {consoles:?} of {ports}");
        for port in &consoles {
            let told = sh.types(&format!("curl -s -m 9 http://localhost:{port}/api/topics/test"))?;
            let told: serde_json::Value = serde_json::from_str(&told.stdout)?;
            let all = told["partitions"].as_array().context("partitions")?;
            ensure!(all.len() == 10, "{told}");
            ensure!(all.iter().all(|p| p["leader"].as_i64().is_some_and(|id| id > 0)), "{told}");
            ensure!(all.iter().all(|p| p["in_sync"].as_array().is_some_and(|isr| isr.len() == 3)), "{told}");
            let seen = sh.types(&format!("curl -s -m 9 http://localhost:{port}/api/topics/test/messages"))?;
            for word in ["one", "two", "three"] {
                ensure!(seen.stdout.contains(&format!("\"text\":\"{word}\"")), "{}", seen.stdout);
            }
        }
        Ok(format!("consoles on {}: 10 partitions, one, two, three", consoles.join(", ")))
    });
}

/// No ZooKeeper to clean: what is stale is found out by its ids.
fn stale(book: &mut Book, sh: &Shell<'_>) {
    book.row("S4-03 T-15", "a directory of another node id: both ids, both places, what to do", || {
        let odd = sh.cwd.join("config/odd.properties");
        fs::copy(sh.cwd.join("config/server2.properties"), &odd)?;
        vi(&odd, &["log.dirs=/tmp/stale"])?;
        sh.types(&format!("bin/kafka-storage.sh format -t {ID} -c config/odd.properties"))?.code(0)?;
        vi(
            &odd,
            &["broker.id=3", "listeners=PLAINTEXT://192.168.1.93:9193,CONTROLLER://192.168.1.93:19093"],
        )?;
        let said = sh.types("bin/kafka-server-start.sh config/odd.properties")?.code(1)?;
        said.says("/tmp/stale/meta.properties")?.says("2")?.says("3")?.seen()
    });
}
