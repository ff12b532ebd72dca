//! The lecture's two nodes: files, ids, joins, sockets.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::book::Book;
use super::super::host::{Shell, tail, until};
use super::super::{SOON, console, gone, vi, without};
use super::{BOTH, DATA, FILE, ONE, Site, TWO};

const START: &str = "./bin/kafka-server-start.sh -daemon config/kraft/server.properties";

/// The broker of the week before: everything on one replica, clients on the same machine.
pub fn last_week(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh1;
    let typed = format!("./bin/kafka-storage.sh format -t ILA_jE0YTqCofpAro5ksiQ -c {FILE} && {START}");
    sh.types(&typed)?.code(0)?;
    let at = "--bootstrap-server localhost:9092";
    sh.types(&format!("echo last-week | ./bin/kafka-console-producer.sh --topic week6 {at}"))?.code(0)?;
    let read = "--topic week6 --group week6 --from-beginning --max-messages 1";
    sh.types(&format!("./bin/kafka-console-consumer.sh {read} {at}"))?.code(0)?.out("last-week")?;
    book.row(
        "S3-37 T-11 S0-33",
        "from another computer: the server answers, but is advertised as localhost",
        || {
            let said = site.own.types(&format!("bin/ottla doctor -b {ONE}:9092"))?;
            ensure!(said.code != 0, "doctor finds something: {}", said.stdout);
            said.says("localhost:9092")?.says("advertised.listeners")?.seen_at("advertise")
        },
    );
    book.row("S0-33 T-11", "a tool that cannot reach what is advertised says so, and what to change", || {
        let said = site.own.types(&format!(
            "echo x | timeout 20 bin/kafka-console-producer.sh --topic week6 --bootstrap-server {ONE}:9092 \
             --command-property max.block.ms=6000 --command-property delivery.timeout.ms=6000 \
             --command-property request.timeout.ms=3000 --command-property linger.ms=0"
        ))?;
        said.says("advertise")?.says("localhost:9092")?.seen_at("advertise")
    });
    sh.types("./bin/kafka-server-stop.sh")?.code(0)?;
    gone(sh)
}

/// The existing broker becomes a voter; its storage stays.
pub fn first(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh1;
    let file = sh.cwd.join(FILE);
    let printed = [
        "process.roles=broker, controller",
        "node.id=1",
        "controller.quorum.voters=1@192.168.56.101:9093",
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
        "inter.broker.listener.name=PLAINTEXT",
        "num.partitions=2",
        "default.replication.factor=2",
        "num.recovery.threads.per.data.dir=1",
        "offsets.topic.replication.factor=2",
    ];
    vi(&file, &printed)?;
    without(&file, &["advertised.listeners"])?;
    vi(&file, &["advertised.listener=PLAINTEXT://192.168.56.101:9092"])?;
    book.row("S3-10 T-10", "the misspelt key: its line, the key that was meant, what follows", || {
        sh.types("rm -rf logs")?;
        let node = sh.leaves(&format!("./bin/kafka-server-start.sh {FILE}"), "typo")?;
        node.until("Kafka Server started", 1, SOON)?;
        let text = node.end("TERM")?;
        let line =
            text.lines().find(|l| l.contains("unknown key advertised.listener")).context("no warning")?;
        let number = fs::read_to_string(&file)?
            .lines()
            .position(|l| l.starts_with("advertised.listener="))
            .unwrap_or(0)
            + 1;
        ensure!(line.contains("did you mean advertised.listeners?"), "{line}");
        ensure!(line.contains(&number.to_string()), "line {number}: {line}");
        ensure!(line.contains("WARN") && line.contains("listeners"), "{line}");
        let strict = sh.types(&format!("bin/ottla config check --strict {FILE}"))?;
        ensure!(strict.code != 0, "--strict makes it an error: {}", strict.stdout);
        Ok(line.to_owned())
    });
    without(&file, &["advertised.listener"])?;
    vi(&file, &["advertised.listeners=PLAINTEXT://192.168.56.101:9092"])?;
    book.row(
        "S3-16",
        "grep finds the cluster id in meta.properties, which is text with a first comment",
        || {
            let said = sh.types(&format!("cat {DATA}/meta.properties | grep cluster.id"))?.code(0)?;
            ensure!(said.stdout.trim() == "cluster.id=ILA_jE0YTqCofpAro5ksiQ", "{}", said.stdout);
            let all = sh.types(&format!("cat {DATA}/meta.properties"))?.stdout;
            ensure!(all.starts_with('#'), "{all}");
            for key in ["version=1", "node.id=1", "directory.id="] {
                ensure!(all.lines().any(|l| l.starts_with(key)), "{key}: {all}");
            }
            said.seen()
        },
    );
    sh.types("rm -rf logs")?;
    book.row(
        "S3-09 S3-14 S3-13",
        "it starts with a space in the list of roles and one recovery thread",
        || sh.types(START)?.code(0)?.no_out()?.no_err()?.seen(),
    );
    book.row(
        "S3-15 T-17",
        "at start: offsets are kept on one replica though 2 are configured, and how to raise it",
        || {
            let logs = Site::logs(sh)?;
            let line = logs
                .lines()
                .find(|l| l.contains("__consumer_offsets has RF 1"))
                .with_context(|| tail(&logs))?;
            ensure!(line.contains("ottla topic set-rf __consumer_offsets 2"), "{line}");
            Ok(line.to_owned())
        },
    );
    book.row("S3-32 T-14", "a single controller is warned of", || {
        let logs = Site::logs(sh)?;
        Ok(logs
            .lines()
            .find(|l| l.contains("no fault tolerance for metadata"))
            .context("no warning")?
            .to_owned())
    });
    Ok(())
}

/// The new broker, with everything that can go wrong on the way.
pub fn second(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = &site.sh2;
    let file = sh.cwd.join(FILE);
    vi(
        &file,
        &[
            "process.roles=broker",
            "node.id=2",
            "controller.quorum.voters=1@192.168.56.101:9093",
            "listeners=PLAINTEXT://:9092",
            "inter.broker.listener.name=PLAINTEXT",
            "advertised.listeners=PLAINTEXT://192.168.57.101:9092",
            "num.partitions=2",
            "default.replication.factor=2",
            "num.recovery.threads.per.data.dir=1",
            "offsets.topic.replication.factor=2",
        ],
    )?;
    let good = fs::read_to_string(&file)?;
    let format = |id: &str| {
        format!(
            "rm -rf {DATA}; KAFKA_CLUSTER_ID={id}; ./bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c {FILE}"
        )
    };
    book.row("S3-12", "controller.listener.names left out on a broker: the key to write", || {
        without(&file, &["controller.listener.names"])?;
        let said = sh.types(&format("ILA_jE0YTqCofpAro5ksiQ"))?.code(1)?;
        said.says("controller.listener.names")?.seen_at("controller.listener.names")
    });
    book.row("S3-12", "a broker that lists itself as voter: Kafka's error and what to do", || {
        fs::write(&file, &good)?;
        vi(&file, &["controller.quorum.voters=1@192.168.56.101:9093,2@192.168.57.101:9093"])?;
        let said = sh.types(&format("ILA_jE0YTqCofpAro5ksiQ"))?.code(1)?;
        said.says("controller.quorum.voters")?.says("process.roles")?.seen()
    });
    fs::write(&file, &good)?;
    book.row("S3-18 S0-20", "formatted with another id: it ends within seconds and names both ids", || {
        sh.types(&format("L5PYZLFDQZGPtCwp-Yj2lg"))?.code(0)?;
        let node = sh.leaves(&format!("timeout 40 ./bin/kafka-server-start.sh {FILE}"), "other-id")?;
        let start = std::time::Instant::now();
        let text = node.ended()?;
        let line = text.lines().find(|l| l.contains("formatted for cluster L5PYZLFDQZGPtCwp-Yj2lg"));
        let line = line.with_context(|| tail(&text))?;
        ensure!(start.elapsed() < Duration::from_secs(20), "after {:?}", start.elapsed());
        ensure!(text.contains("ILA_jE0YTqCofpAro5ksiQ"), "the cluster's id: {}", tail(&text));
        Ok(line.to_owned())
    });
    book.row("S3-11 T-10", "voters at the heading's wrong address: who is missing, and why", || {
        sh.types(&format("ILA_jE0YTqCofpAro5ksiQ"))?.code(0)?;
        // Its own network's .57 in place of .56: nobody listens on 9093 there.
        vi(&file, &["controller.quorum.voters=1@192.168.57.101:9093"])?;
        let node = sh.leaves(&format!("./bin/kafka-server-start.sh {FILE}"), "wrong-voter")?;
        node.until("192.168.57.101:9093", 1, SOON)?;
        std::thread::sleep(Duration::from_secs(3));
        let text = node.end("TERM").or_else(|_| node.end("KILL"))?;
        let line = text.lines().find(|l| l.contains("192.168.57.101:9093") && l.contains("refused"));
        Ok(line.with_context(|| tail(&text))?.to_owned())
    });
    fs::write(&file, &good)?;
    book.row("S3-17 S3-12", "removed, formatted with the cluster's id, started: it joins", || {
        sh.types("rm -rf logs")?;
        sh.types(&format("ILA_jE0YTqCofpAro5ksiQ"))?.code(0)?.out("Formatting")?;
        sh.types(START)?.code(0)?.no_out()?.no_err()?;
        until("two brokers", SOON, || {
            let said = site.tool("kafka-broker-api-versions.sh")?;
            Ok(said.stdout.contains(&format!("{ONE}:9092 (id: 1"))
                && said.stdout.contains(&format!("{TWO}:9092 (id: 2")))
        })
        .map(|took| format!("both brokers listed after {} ms", took.as_millis()))
    });
    book.row("S3-15 T-17", "one line raises the offsets topic to two replicas", || {
        let said = site.sh1.types(&format!("bin/ottla topic -b {BOTH} set-rf __consumer_offsets 2"));
        let said = said.and_then(|s| s.code(0)).or_else(|_| {
            site.sh1.types(&format!("bin/ottla topic set-rf __consumer_offsets 2 -b {BOTH}"))?.code(0)
        })?;
        until("two replicas", SOON, || {
            let said = site.tool("kafka-topics.sh --describe --topic __consumer_offsets")?;
            let all = super::super::partitions(&said.stdout);
            Ok(all.len() == 50 && all.iter().all(|(_, _, _, isr)| super::super::ids(isr) == [1, 2]))
        })?;
        said.seen()
    });
    // The disk is replaced: the same id with a new directory id comes back, and its replicas are filled.
    book.row(
        "S3-17",
        "formatted anew as a registered broker: accepted as a new disk, replicas fetched",
        || {
            site.tool("kafka-topics.sh --create --topic disk --partitions 1 --replication-factor 2")?
                .code(0)?;
            site.sh1
                .types(&format!(
                    "seq 1 100 | ./bin/kafka-console-producer.sh --topic disk --bootstrap-server {BOTH}"
                ))?
                .code(0)?;
            sh.types("./bin/kafka-server-stop.sh")?.code(0)?;
            gone(sh)?;
            sh.types(&format("ILA_jE0YTqCofpAro5ksiQ"))?.code(0)?;
            sh.types(START)?.code(0)?;
            until("two replicas in sync", SOON, || {
                let said = site.tool("kafka-topics.sh --describe --topic disk")?;
                Ok(super::super::partitions(&said.stdout)
                    .iter()
                    .all(|(_, _, _, isr)| super::super::ids(isr) == [1, 2]))
            })?;
            let bytes = fs::metadata(site_file(sh, "disk-0/00000000000000000000.log"))?.len();
            ensure!(bytes > 0, "its log is empty");
            Ok(format!("in sync again, {bytes} bytes fetched"))
        },
    );
    Ok(())
}

fn site_file(sh: &Shell<'_>, name: &str) -> std::path::PathBuf {
    sh.host.outside(DATA).join(name)
}

/// Where the only node of this host listens.
fn listens(sh: &Shell<'_>) -> Result<Vec<String>> {
    let pid = sh.types("pgrep -f kafka.Kafka")?.code(0)?.stdout.trim().to_owned();
    let said = sh.types(&format!("netstat -nap | grep {pid}/"))?.code(0)?;
    let mut ports: Vec<String> = said
        .stdout
        .lines()
        .filter(|l| l.contains("LISTEN") && l.starts_with("tcp"))
        .filter_map(|l| Some(l.split_whitespace().nth(3)?.to_owned()))
        .collect();
    ports.sort();
    Ok(ports)
}

pub fn sockets(book: &mut Book, site: &Site<'_>) {
    book.row(
        "S3-20 S3-12",
        "node 1 listens on 9092 and 9093, node 2 on 9092 alone and is connected to 9093; the console to this machine only",
        || {
            let (one, two) = (listens(&site.sh1)?, listens(&site.sh2)?);
            ensure!(one == [&console(1), ":::9092", ":::9093"], "node 1: {one:?}");
            ensure!(two == [&console(2), ":::9092"], "node 2: {two:?}");
            let said = site.sh2.types("netstat -nap | grep ESTABLISHED")?;
            let line =
                said.stdout.lines().find(|l| l.contains(&format!("{ONE}:9093"))).context("no connection")?;
            Ok(format!("{one:?} {two:?}; {line}"))
        },
    );
    book.row("S3-19", "ps finds kafka.Kafka with the file, as scripts look for it", || {
        let said = site.sh1.types("ps ax | grep -i 'kafka\\.Kafka' | grep -v grep")?.code(0)?;
        said.out("config/kraft/server.properties")?.seen()
    });
}

pub fn stopping(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh2;
    book.row("S3-19", "the stop script: by role, by id, all; and when there is none", || {
        let stop = "./bin/kafka-server-stop.sh";
        sh.types(&format!("{stop} --process-role=controller"))?.code(1)?;
        sh.types(&format!("{stop} --node-id=7"))?.code(1)?;
        sh.types("pgrep -f kafka.Kafka")?.code(0)?;
        sh.types(&format!("{stop} --process-role=broker"))?.code(0)?;
        gone(sh)?;
        sh.types(stop)?.code(1)?.says("No kafka server to stop")?.seen()
    });
    book.row("S3-20 S3-12", "ottla.ops.listener=off: node 2 listens on 9092 alone", || {
        let start = format!("./bin/kafka-server-start.sh {FILE} --override ottla.ops.listener=off");
        sh.leaves(&start, "no-console")?.until("Kafka Server started", 1, SOON)?;
        let ports = listens(sh)?;
        ensure!(ports == [":::9092"], "{ports:?}");
        sh.types("./bin/kafka-server-stop.sh")?.code(0)?;
        gone(sh)?;
        Ok(format!("{ports:?}"))
    });
    book.not_run("S3-38", "a note: nothing of MQTT is typed");
}
