//! S2: three brokers in one machine, and what the text claims about them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::book::Book;
use super::host::{Lan, Shell, until};
use super::{Release, SOON, gone, ids, partitions, vi};

const AT: &str = "--bootstrap-server localhost:9092";
const ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

pub fn replay(book: &mut Book, release: &Release) -> Result<()> {
    let lan = Lan::new('c')?;
    let vm = lan.machine("vm", &["10.5.0.1/24"], "")?;
    let tree = release.unpack(&vm)?;
    // As packages of Kafka have it: the tools are on the path, and have no suffix.
    let sh = tree.with_path(&tree.cwd.join("bin").display().to_string());
    three(book, &sh)?;
    topics(book, &sh);
    leaders(book, &sh);
    down(book, &sh)?;
    grows(book, &sh)?;
    sh.types("kafka-server-stop")?.code(0)?;
    gone(&sh)?;
    dev(book, &sh);
    Ok(())
}

/// Client port and controller port of a broker.
fn ports(id: u32) -> (u32, u32) {
    (9090 + id * 2, 9091 + id * 2)
}

fn file(sh: &Shell<'_>, id: u32) -> Result<String> {
    let name = format!("config/kraft/server{id}.properties");
    let path = sh.cwd.join(&name);
    fs::copy(sh.cwd.join("config/kraft/server.properties"), &path)?;
    let (client, controller) = ports(id);
    let voters = "controller.quorum.voters=1@localhost:9093,2@localhost:9095,3@localhost:9097";
    let alone = id > 3;
    let listeners = match alone {
        true => format!("listeners=PLAINTEXT://:{client}"),
        false => format!("listeners=PLAINTEXT://:{client},CONTROLLER://:{controller}"),
    };
    vi(
        &path,
        &[
            if alone { "process.roles=broker" } else { "process.roles=broker,controller" },
            &format!("node.id={id}"),
            voters,
            &listeners,
            &format!("advertised.listeners=PLAINTEXT://localhost:{client}"),
            &format!("log.dirs=/tmp/kafka-logs-{id}"),
        ],
    )?;
    Ok(name)
}

fn three(book: &mut Book, sh: &Shell<'_>) -> Result<()> {
    for id in 1..=3 {
        let name = file(sh, id)?;
        sh.types(&format!("kafka-storage format -t {ID} -c {name}"))?.code(0)?;
        sh.types(&format!("kafka-server-start -daemon {name}"))?.code(0)?.no_out()?.no_err()?;
    }
    book.row("S2-01", "three files in one tree: three brokers on one machine", || {
        until("three brokers", SOON, || {
            let said = sh.types(&format!("kafka-broker-api-versions {AT}"))?;
            Ok(said.stdout.matches("(id: ").count() == 3)
        })
        .map(|took| format!("three brokers listed after {} ms", took.as_millis()))
    });
    book.row("S2-01 T-20", "config init writes the three files and the commands with one cluster id", || {
        let said = sh
            .types("mkdir -p /tmp/init && ottla config init --nodes kafka1,kafka2,kafka3 --dir /tmp/init")?
            .code(0)?;
        let files = sh.types("ls /tmp/init")?.code(0)?;
        ensure!(files.stdout.lines().count() == 3, "{}", files.stdout);
        let all = format!("{}{}", said.stdout, said.stderr);
        let formats: Vec<&str> = all.lines().filter(|l| l.contains("format")).collect();
        ensure!(formats.len() >= 3, "three format commands: {all}");
        let id = |line: &str| line.split_whitespace().skip_while(|w| *w != "-t").nth(1).map(str::to_owned);
        let first = id(formats[0]).context("-t ID")?;
        ensure!(
            formats.iter().filter(|l| id(l).as_ref() == Some(&first)).count() == 3,
            "one id: {formats:?}"
        );
        for name in files.stdout.lines() {
            sh.types(&format!("ottla config check /tmp/init/{name}"))?.code(0)?;
        }
        Ok(format!(
            "{}; {}",
            files.stdout.split_whitespace().collect::<Vec<_>>().join(" "),
            formats[0].trim()
        ))
    });
    Ok(())
}

fn topics(book: &mut Book, sh: &Shell<'_>) {
    let create = format!("kafka-topics {AT} --create --partitions 3 --replication-factor 2");
    book.row("S2-02", "every tool has its name without .sh", || {
        let said = sh.types("for f in bin/*.sh; do [ -x ${f%.sh} ] || echo $f; done")?.code(0)?.no_out()?;
        ensure!(said.stderr.is_empty(), "{}", said.stderr);
        let said = sh.types(&format!("{create} --topic names"))?.code(0)?;
        ensure!(said.stdout == "Created topic names.\n", "{}", said.stdout);
        let count = sh.types("ls bin/*.sh | wc -l")?.stdout.trim().to_owned();
        Ok(format!("{count} tools; {}", said.stdout.trim()))
    });
    book.row(
        "S2-03",
        "the Korean placeholder typed literally: refused, shown as typed, with what is allowed",
        || {
            let said = sh.types(&format!("{create} --topic 토픽명"))?.code(1)?;
            let said = said.says("토픽명")?;
            said.that("`Topic name \"토픽명\" is illegal` and the allowed characters", |s| {
                let all = format!("{}{}", s.stdout, s.stderr);
                (all.contains("is illegal") || all.contains("is invalid"))
                    && (all.contains("'.', '_' and '-'") || all.contains("a-zA-Z0-9._-"))
            })?
            .seen()
        },
    );
    book.row("S2-03", "249 letters are a name, 250 are none", || {
        sh.types(&format!("{create} --topic $(printf 'a%.0s' $(seq 249))"))?.code(0)?;
        sh.types(&format!("{create} --topic $(printf 'b%.0s' $(seq 250))"))?.code(1)?.says("249")?.seen()
    });
    book.row("S2-04", "four replicas on three brokers: wanted, registered, alive", || {
        let typed = format!("kafka-topics {AT} --create --topic four --partitions 3 --replication-factor 4");
        let said = sh.types(&typed)?.code(1)?.says("InvalidReplicationFactorException")?;
        said.says("target replication factor of 4 cannot be reached because only 3 broker(s) are registered")?
            .seen_at("replication factor")
    });
    book.row("S2-05", "three partitions: one leader on each of three brokers", || {
        let said = sh.types(&format!("kafka-topics {AT} --describe --topic names"))?.code(0)?;
        let all = partitions(&said.stdout);
        let leaders: Vec<&str> = all.iter().map(|p| p.1.as_str()).collect();
        ensure!(ids(&leaders.join(",")) == [1, 2, 3], "leaders {leaders:?}");
        Ok(format!("leaders {}", leaders.join(", ")))
    });
}

fn leaders(book: &mut Book, sh: &Shell<'_>) {
    book.row("S2-09", "every broker tells the same leaders", || {
        let mut told = Vec::new();
        for id in 1..=3 {
            let typed =
                format!("kafka-topics --bootstrap-server localhost:{} --describe --topic names", ports(id).0);
            told.push(sh.types(&typed)?.code(0)?.stdout);
        }
        ensure!(told.windows(2).all(|w| w[0] == w[1]), "{told:?}");
        Ok("three brokers, one description".to_owned())
    });
    book.row(
        "S2-06",
        "whichever broker is asked first, records reach the leader and come back from it",
        || {
            for id in 1..=3 {
                let at = format!("--bootstrap-server localhost:{}", ports(id).0);
                sh.types(&format!("seq {id}01 {id}30 | kafka-console-producer --topic names {at}"))?
                    .code(0)?;
            }
            for id in 1..=3 {
                let at = format!("--bootstrap-server localhost:{}", ports(id).0);
                let said = sh.types(&format!(
                    "kafka-console-consumer --topic names --from-beginning --max-messages 90 {at}"
                ))?;
                let said = said.code(0)?;
                ensure!(said.stdout.lines().count() == 90, "{} lines", said.stdout.lines().count());
            }
            Ok("90 records through each of three".to_owned())
        },
    );
    book.row("S2-06", "a leader moves: a running producer follows at once", || {
        sh.types(&format!("kafka-topics {AT} --create --topic moves --replica-assignment 1:2"))?.code(0)?;
        // Kafka's verifiable producer tries nothing again: the console's does.
        let typed = format!("(for i in $(seq 400); do echo $i; sleep 0.01; done) | kafka-console-producer --topic moves {AT}");
        let producer = sh.leaves(&format!("({typed})"), "moves")?;
        std::thread::sleep(Duration::from_secs(2));
        let plan = r#"{"version":1,"partitions":[{"topic":"moves","partition":0,"replicas":[2,1]}]}"#;
        sh.types(&format!("echo '{plan}' > /tmp/plan.json; kafka-reassign-partitions {AT} --execute --reassignment-json-file /tmp/plan.json"))?.code(0)?;
        let elect = format!("kafka-leader-election {AT} --election-type preferred --topic moves --partition 0");
        until("the leader is 2", SOON, || {
            sh.types(&elect)?;
            let said = sh.types(&format!("kafka-topics {AT} --describe --topic moves"))?;
            Ok(partitions(&said.stdout).iter().all(|p| p.1 == "2"))
        })?;
        let text = producer.ended()?;
        // Without a group: its first rebalance would wait for three seconds.
        let read = format!("kafka-console-consumer --topic moves --partition 0 --offset earliest --timeout-ms 4000 {AT}");
        let said = sh.types(&read)?;
        let numbers: Vec<u32> = said.stdout.lines().filter_map(|l| l.parse().ok()).collect();
        ensure!(numbers == (1..=400).collect::<Vec<_>>(), "{} of 400 lines arrived in order; {text}", numbers.len());
        Ok("400 lines, each once and in order, while the leader moved".to_owned())
    });
}

fn down(book: &mut Book, sh: &Shell<'_>) -> Result<()> {
    sh.types("kill -9 $(pgrep -f server3.properties)")?.code(0)?;
    book.row("S2-08", "the one listed server is down: its address and why, in 5 s; list several", || {
        let typed = "kafka-topics --bootstrap-server localhost:9096 --list";
        let said = sh.types(typed)?.code(1)?.within(Duration::from_secs(6))?;
        said.says("localhost:9096")?.says("refused")?.seen()
    });
    book.row("S2-08", "with the others listed it works", || {
        let said =
            sh.types("kafka-topics --bootstrap-server localhost:9096,localhost:9092 --list")?.code(0)?;
        said.out("names")?.seen_at("names")
    });
    book.row("S2-04", "with one of three down the message tells which is not alive", || {
        until("fenced", SOON, || {
            let said = sh.types(&format!("kafka-topics {AT} --describe --topic names"))?;
            Ok(partitions(&said.stdout).iter().all(|p| p.1 != "3" && !ids(&p.3).contains(&3)))
        })?;
        let said = sh.types(&format!(
            "kafka-topics {AT} --create --topic all --partitions 1 --replication-factor 4"
        ))?;
        said.code(1)?
            .says("3")?
            .says("alive")
            .or_else(|_| {
                sh.types(&format!(
                    "kafka-topics {AT} --create --topic all --partitions 1 --replication-factor 4"
                ))?
                .says("fenced")
            })?
            .seen()
    });
    sh.types("kafka-server-start -daemon config/kraft/server3.properties")?.code(0)?;
    Ok(())
}

fn grows(book: &mut Book, sh: &Shell<'_>) -> Result<()> {
    let name = file(sh, 4)?;
    sh.types(&format!("kafka-storage format -t {ID} -c {name}"))?.code(0)?;
    book.row(
        "S2-10 S2-09",
        "a broker outside the quorum joins; it knows all leaders; new topics use it",
        || {
            sh.types(&format!("kafka-server-start -daemon {name}"))?.code(0)?;
            let at = format!("--bootstrap-server localhost:{}", ports(4).0);
            sh.types(&format!("kafka-topics {at} --describe --topic names"))?
                .code(0)?
                .out("PartitionCount: 3")?;
            let said = sh.types(&format!(
                "kafka-topics {at} --create --topic wide --partitions 4 --replication-factor 4"
            ))?;
            said.code(0)?.seen()
        },
    );
    book.row("S2-10", "it joined empty: its log says so, and how partitions come to it", || {
        let said = sh.types("cat logs/server-4.log")?.code(0)?;
        let said = said.out("broker 4 has no partitions")?.out("ottla rebalance --plan")?;
        Ok(said.line("no partitions"))
    });
    book.row("S2-10", "partitions are moved to it while running, with a plan that a tool makes", || {
        let topics = r#"{"version":1,"topics":[{"topic":"names"}]}"#;
        sh.types(&format!("echo '{topics}' > /tmp/topics.json"))?;
        let said = sh.types(&format!(
            "kafka-reassign-partitions {AT} --generate --topics-to-move-json-file /tmp/topics.json --broker-list 1,2,3,4 | tail -1 > /tmp/moved.json \
             && kafka-reassign-partitions {AT} --execute --reassignment-json-file /tmp/moved.json"
        ))?;
        said.code(0)?;
        until("moved", SOON, || {
            let said = sh.types(&format!("kafka-reassign-partitions {AT} --verify --reassignment-json-file /tmp/moved.json"))?;
            Ok(said.code == 0 && !said.stdout.contains("still in progress"))
        })?;
        let said = sh.types(&format!("kafka-topics {AT} --describe --topic names"))?.code(0)?;
        ensure!(partitions(&said.stdout).iter().any(|p| ids(&p.2).contains(&4)), "{}", said.stdout);
        Ok(said.stdout.lines().nth(1).unwrap_or_default().trim().to_owned())
    });
    book.row("S2-10", "`ottla rebalance` does so for all topics: each broker gets its share", || {
        sh.types("ottla rebalance --plan -b localhost:9092")?
            .code(0)?
            .out("next: ottla rebalance --execute")?;
        sh.types("ottla rebalance --execute -b localhost:9092")?.code(0)?.out("done")?;
        let said = sh.types(&format!("kafka-topics {AT} --describe"))?.code(0)?;
        let all = partitions(&said.stdout);
        let replicas = |id: i32| all.iter().filter(|p| ids(&p.2).contains(&id)).count();
        let first = |id: &str| all.iter().filter(|p| p.2.split(',').next() == Some(id)).count();
        let (held, led) = ([1, 2, 3, 4].map(replicas), ["1", "2", "3", "4"].map(first));
        let even =
            |counts: &[usize; 4]| counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0) <= 1;
        ensure!(even(&held) && even(&led), "replicas {held:?}, preferred leaders {led:?}");
        sh.types("ottla rebalance --plan -b localhost:9092")?.code(0)?.out("nothing to move")?;
        Ok(format!("replicas {held:?}, preferred leaders {led:?}"))
    });
    Ok(())
}

fn dev(book: &mut Book, sh: &Shell<'_>) {
    book.row("S2-01 T-20", "ottla dev --nodes 3: three nodes from nothing", || {
        let dev = sh.leaves("ottla dev --nodes 3 --port 9192 --data-dir /tmp/dev3", "dev")?;
        let took = until("three brokers", SOON, || {
            let said = sh.types("kafka-broker-api-versions --bootstrap-server localhost:9192")?;
            Ok(said.stdout.matches("(id: ").count() == 3)
        })?;
        dev.end("INT")?;
        Ok(format!("three brokers after {} ms", took.as_millis()))
    });
}
