//! Topics, the two console programs, and the topics that the cluster makes for itself.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::book::Book;
use super::super::host::until;
use super::super::{SOON, ids, partitions};
use super::Site;

const CREATE: &str = "./bin/kafka-topics.sh --create --topic first-topic --bootstrap-server kafka1:9092 --replication-factor 2";
const DESCRIBE: &str = "./bin/kafka-topics.sh --describe --bootstrap-server kafka1:9092 --topic first-topic";
const PRODUCE: &str = "./bin/kafka-console-producer.sh --topic first-topic --bootstrap-server kafka1:9092";
const CONSUME: &str =
    "./bin/kafka-console-consumer.sh --topic first-topic --from-beginning --bootstrap-server kafka1:9092";

pub fn created(book: &mut Book, site: &Site<'_>) {
    let sh = site.on(1);
    book.row(
        "S0-25 S0-15",
        "Created topic first-topic.; six partitions; again: refused; --if-not-exists: silence",
        || {
            let said = sh.types(CREATE)?.code(0)?;
            ensure!(said.stdout == "Created topic first-topic.\n", "{}", said.stdout);
            let again = sh.types(CREATE)?.code(1)?;
            again.says("Error while executing topic command : Topic 'first-topic' already exists.")?;
            sh.types(&format!("{CREATE} --if-not-exists"))?.code(0)?.no_out()?;
            sh.types(DESCRIBE)?.out("PartitionCount: 6")?.out("ReplicationFactor: 2")?;
            said.seen()
        },
    );
    book.row("S0-25", "a name with . or _: Kafka's warning about collisions", || {
        let typed = "./bin/kafka-topics.sh --create --topic with_underscore --bootstrap-server kafka1:9092";
        let said = sh.types(typed)?.code(0)?;
        said.says("WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide.")?
            .seen_at("WARNING")
    });
    book.row(
        "S0-26",
        "the header with TABs and segment.bytes; lines with TABs; ids without spaces; in order",
        || {
            let said = sh.types(DESCRIBE)?.code(0)?;
            let head = said.stdout.lines().next().unwrap_or_default().to_owned();
            let parts: Vec<&str> = head.split('\t').collect();
            ensure!(
                parts.len() == 5
                    && parts[0] == "Topic: first-topic"
                    && parts[1].starts_with("TopicId: ")
                    && parts[1].len() == 31,
                "{head:?}"
            );
            ensure!(parts[2..4] == ["PartitionCount: 6", "ReplicationFactor: 2"], "{head:?}");
            // Kafka 4.3 keeps min.insync.replicas in the metadata, where 3.8 had nothing: it stands there, too.
            let configs = [
                "Configs: segment.bytes=1073741824",
                "Configs: min.insync.replicas=1,segment.bytes=1073741824",
            ];
            ensure!(configs.contains(&parts[4]), "{head:?}");
            for (at, line) in said.stdout.lines().skip(1).enumerate() {
                let all = line.starts_with(&format!("\tTopic: first-topic\tPartition: {at}\tLeader: "))
                    && line.contains("\tReplicas: ")
                    && line.contains("\tIsr: ");
                ensure!(all, "{line:?}");
            }
            Ok(head)
        },
    );
    book.row("S0-27", "each of three leads two; the first replica leads; followers rotate", || {
        let said = sh.types(DESCRIBE)?.code(0)?;
        let all = partitions(&said.stdout);
        for id in ["1", "2", "3"] {
            let leads = all.iter().filter(|p| p.1 == id).count();
            ensure!(leads == 2, "{id} leads {leads}: {}", said.stdout);
        }
        ensure!(all.iter().all(|p| p.2.starts_with(&p.1) && ids(&p.2) == ids(&p.3)), "{}", said.stdout);
        let mut pairs: Vec<&str> = all.iter().map(|p| p.2.as_str()).collect();
        pairs.sort_unstable();
        pairs.dedup();
        // Which of the two orders of three brokers the second round takes is chance, as in Kafka.
        ensure!(pairs.len() == 3 || pairs.len() == 6, "{} different pairs: {pairs:?}", pairs.len());
        Ok(all.iter().map(|p| format!("{}:{}", p.0, p.2)).collect::<Vec<_>>().join(" "))
    });
    book.row("S0-28", "replica.lag.time.max.ms is 30000 on a broker", || {
        let typed = "./bin/kafka-configs.sh --bootstrap-server kafka1:9092 --describe --entity-type brokers --entity-name 1 --all";
        sh.types(typed)?.code(0)?.out("replica.lag.time.max.ms=30000")?.seen_at("replica.lag.time.max.ms")
    });
    book.row("S0-15", "an auto-created topic has the default, too", || {
        sh.types(
            "echo x | ./bin/kafka-console-producer.sh --topic by-itself --bootstrap-server kafka2:9092",
        )?
        .code(0)?;
        let said =
            sh.types("./bin/kafka-topics.sh --describe --topic by-itself --bootstrap-server kafka1:9092")?;
        said.code(0)?.out("PartitionCount: 6")?.seen()
    });
    book.row("S0-33", "bootstrap by short name, the advertised full name not known here: both are named", || {
        // This shell's machine loses the full names for a moment.
        sh.types("cp /etc/hosts /tmp/h; sed 's/kafka[123].mydomain.com//' /tmp/h > /tmp/short; cat /tmp/short > /etc/hosts")?.code(0)?;
        let typed = "echo x | timeout 25 ./bin/kafka-console-producer.sh --topic first-topic --bootstrap-server kafka2:9092 \
             --command-property max.block.ms=6000 --command-property delivery.timeout.ms=6000 \
             --command-property request.timeout.ms=3000 --command-property linger.ms=0";
        let said = sh.types(typed);
        sh.types("cat /tmp/h > /etc/hosts")?.code(0)?;
        let said = said?;
        said.says(".mydomain.com")?.says("advertise")?.says("resolve")?.seen_at("advertise")
    });
}

pub fn console(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = site.on(1);
    book.row("S0-29 S0-34", "on a terminal: a prompt for each line; Ctrl-D sends what is left and ends with 0", || {
        let typed = format!(
            "(sleep 1; printf 'hello\\r'; sleep 0.3; printf 'kafka\\r'; sleep 0.3; printf '\\004'; sleep 1) | timeout 20 script -qec '{PRODUCE}' /dev/null"
        );
        let said = sh.types(&typed)?.code(0)?;
        let prompts = said.stdout.matches('>').count();
        ensure!(prompts == 3, "{prompts} prompts: {:?}", said.stdout);
        Ok(format!("{prompts} prompts, exit 0"))
    });
    book.row("S0-29", "Ctrl-C: what was typed is sent, exit 130", || {
        let typed = format!(
            "(sleep 1; printf 'interrupted\\r'; sleep 0.2; printf '\\003'; sleep 1) | timeout 20 script -qec '{PRODUCE}; echo code $?' /dev/null"
        );
        let said = sh.types(&typed)?.out("code 130")?;
        let read = sh.types(&format!("{CONSUME} --timeout-ms 4000"))?;
        read.out("interrupted")?;
        Ok(said.line("code"))
    });
    book.row("S0-29", "piped: no prompt; an empty line is an empty record", || {
        let said =
            sh.types(&format!("printf 'one\\n\\nthree\\n' | {PRODUCE}"))?.code(0)?.no_out()?.no_err()?;
        drop(said);
        let said = sh.types(&format!("{CONSUME} --timeout-ms 4000"))?;
        ensure!(said.stdout.lines().any(str::is_empty), "no empty line: {:?}", said.stdout);
        Ok("three records, one of them empty".to_owned())
    });
    book.row("S0-29", "a delivery that fails: topic, partition, reason", || {
        sh.types("./bin/kafka-topics.sh --create --topic tiny --partitions 1 --config max.message.bytes=100 --bootstrap-server kafka1:9092")?.code(0)?;
        let said = sh.types("head -c 5000 /dev/zero | tr '\\0' x | ./bin/kafka-console-producer.sh --topic tiny --bootstrap-server kafka1:9092")?;
        said.err("tiny")?.err("RecordTooLargeException")?.seen_at("tiny")
    });
    book.row(
        "S0-30 S0-34",
        "every message from the beginning; Ctrl-C: Processed a total of N messages, exit 0",
        || {
            // As a person does it: at a terminal.
            let typed = format!(
                "(sleep 4; printf '\\003'; sleep 1) | timeout 20 script -qec '{CONSUME} > /tmp/out 2> /tmp/err; echo code $?' /dev/null"
            );
            sh.types(&typed)?.out("code 0")?;
            let out = std::fs::read_to_string(sh.host.outside("/tmp/out"))?;
            for word in ["hello", "kafka", "one", "three"] {
                ensure!(out.lines().any(|l| l == word), "no `{word}`: {out}");
            }
            let err = std::fs::read_to_string(sh.host.outside("/tmp/err"))?;
            let total = format!("Processed a total of {} messages", out.lines().count());
            ensure!(err.contains(&total), "`{total}`: {err}");
            Ok(total)
        },
    );
    book.row("S0-30", "a script that sends the signal gets Kafka's exit code, which is the JVM's: 130", || {
        // A background job of a shell ignores SIGINT unless it is told not to.
        let typed = format!(
            "set -m; {CONSUME} > /tmp/out 2> /tmp/err < /dev/null & p=$!; sleep 4; kill -INT $p; wait $p; echo code $?"
        );
        let said = sh.types(&typed)?.out("code 130")?;
        let err = std::fs::read_to_string(sh.host.outside("/tmp/err"))?;
        ensure!(err.contains("Processed a total of "), "{err}");
        Ok(said.line("code"))
    });
    Ok(())
}

pub fn internal(book: &mut Book, site: &Site<'_>) {
    let sh = site.on(1);
    book.row(
        "S0-16 S3-13",
        "__consumer_offsets: 50 partitions with 2 replicas, made when first used",
        || {
            let typed = format!("{CONSUME} --group readers --timeout-ms 4000");
            sh.types(&typed)?.out("hello")?;
            let said = sh.types(
                "./bin/kafka-topics.sh --describe --topic __consumer_offsets --bootstrap-server kafka1:9092",
            )?;
            said.code(0)?.out("PartitionCount: 50")?.out("ReplicationFactor: 2")?.seen()
        },
    );
    book.row("S0-16", "__transaction_state: 2 replicas, made when first used", || {
        let typed = "timeout 40 bin/kafka-producer-perf-test.sh --topic first-topic --num-records 10 --record-size 10 --throughput -1 --transactional-id t1 --bootstrap-server kafka1:9092";
        sh.types(typed)?.code(0)?;
        let said = sh.types("./bin/kafka-topics.sh --describe --topic __transaction_state --bootstrap-server kafka1:9092")?;
        said.code(0)?.out("ReplicationFactor: 2")?.seen()
    });
    book.row("S0-16", "fewer brokers alive than replicas: told once, the client waits and goes on", || {
        short(site)
    });
}

/// A cluster of its own on host 1: one broker, offsets on two replicas.
fn short(site: &Site<'_>) -> Result<String> {
    let sh = site.on(1);
    let file = "/tmp/alone.properties";
    let text = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9393\n\
                listeners=PLAINTEXT://:9392,CONTROLLER://:9393\nadvertised.listeners=PLAINTEXT://localhost:9392\n\
                controller.listener.names=CONTROLLER\nlog.dirs=/tmp/alone\noffsets.topic.replication.factor=2\n";
    std::fs::write(sh.host.outside(file), text)?;
    sh.types(&format!("bin/kafka-storage.sh format -t MkU3OEVBNTcwNTJENDM2Qg -c {file}"))?.code(0)?;
    let node = sh.leaves(&format!("bin/kafka-server-start.sh {file}"), "alone")?;
    node.until("Kafka Server started", 1, SOON)?;
    sh.types("echo x | bin/kafka-console-producer.sh --topic t --bootstrap-server localhost:9392")?
        .code(0)?;
    let _ = sh.types("timeout 6 bin/kafka-console-consumer.sh --topic t --group g --from-beginning --bootstrap-server localhost:9392")?;
    let told = until("it is told", Duration::from_secs(5), || {
        Ok(node.text().contains("offsets topic needs 2 brokers, 1 alive"))
    });
    let text = node.end("TERM")?;
    told?;
    let lines = text.lines().filter(|l| l.contains("offsets topic needs 2 brokers, 1 alive")).count();
    ensure!(lines == 1, "{lines} times");
    Ok("offsets topic needs 2 brokers, 1 alive".to_owned())
}
