//! The other blocks of the text: what is left of ZooKeeper, three servers by address, controllers alone; and the tree
//! installed for everybody.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::super::book::Book;
use super::super::host::{Lan, tail, until};
use super::super::{Release, SOON, console, vi, without};
use super::Site;

const ID: &str = "xtzWWN4bTjitpL3kfd9s5g";

pub fn go(book: &mut Book, site: &Site<'_>, release: &Release, lan: &Lan) -> Result<()> {
    site.stop()?;
    leftovers(book, site);
    read_only(book, site)?;
    book.not_run("S1-06 T-07", "nothing is published under an address yet: no link to follow");
    by_address(book, release, lan)?;
    controllers(book, release, lan)
}

fn leftovers(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    book.row(
        "S1-02",
        "keys of ZooKeeper are ignored with one warning each; broker.id stands for node.id",
        || {
            let file = site.file("old.properties");
            fs::copy(site.file("server.properties"), &file)?;
            without(&file, &["node.id"])?;
            vi(
                &file,
                &[
                    "broker.id=0",
                    "zookeeper.connect=localhost:2181",
                    "zookeeper.connection.timeout.ms=18000",
                    "controller.quorum.voters=0@localhost:9093",
                    "advertised.listeners=PLAINTEXT://localhost:9092",
                    "log.dirs=/tmp/old-keys",
                ],
            )?;
            sh.types(&format!("./bin/kafka-storage.sh format -t {ID} -c config/kraft/old.properties"))?
                .code(0)?;
            site.forget_logs()?;
            let node = sh.leaves("./bin/kafka-server-start.sh config/kraft/old.properties", "old")?;
            node.until("Kafka Server started", 1, SOON)?;
            let text = node.end("TERM")?;
            for key in ["zookeeper.connect ", "zookeeper.connection.timeout.ms"] {
                let lines: Vec<&str> =
                    text.lines().filter(|l| l.contains("WARN") && l.contains(key)).collect();
                ensure!(lines.len() == 1, "{key}: {lines:?}\n{}", tail(&text));
                ensure!(lines[0].contains("is ignored"), "{lines:?}");
            }
            let line = text.lines().find(|l| l.contains("WARN") && l.contains("broker.id"));
            let line = line.with_context(|| format!("no line about broker.id: {text}"))?;
            ensure!(line.contains("node.id=0"), "{line}");
            Ok(line.to_owned())
        },
    );
}

/// As root installs and another user runs it.
fn read_only(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let (sh, nobody) = (&site.sh, site.sh.nobody());
    sh.types(
        "rm -rf logs; chmod -R go-w . ; mkdir -p /tmp/home && chown 65534:65534 /tmp/home && chmod 1777 /tmp",
    )?
    .code(0)?;
    let file = site.file("everybody.properties");
    fs::copy(site.file("server.properties"), &file)?;
    vi(
        &file,
        &[
            "controller.quorum.voters=0@localhost:9093",
            "advertised.listeners=PLAINTEXT://localhost:9092",
            "log.dirs=/tmp/home/data",
        ],
    )?;
    book.row(
        "S1-07 S1-15",
        "through the link, read-only, as another user: it runs, and says where its logs went",
        || {
            let own = nobody.types("touch bin/mine")?;
            ensure!(own.code != 0, "the tree may not be written to");
            let file = "config/kraft/everybody.properties";
            nobody.types(&format!("./bin/kafka-storage.sh format -t {ID} -c {file}"))?.code(0)?;
            let said = nobody
                .types(&format!("HOME=/tmp/home ./bin/kafka-server-start.sh -daemon {file}"))?
                .code(0)?;
            let said = said.err("output goes to")?;
            nobody.types("bin/kafka-topics.sh --list --bootstrap-server localhost:9092")?.code(0)?;
            let user = sh.types("ps -o uid= -p $(pgrep -f kafka.Kafka)")?;
            ensure!(user.stdout.trim() == "65534", "run by {}", user.stdout);
            nobody.types("./bin/kafka-server-stop.sh")?.code(0)?;
            site.gone()?;
            said.seen()
        },
    );
    Ok(())
}

/// The block with three addresses; two of the three machines are switched on.
fn by_address(book: &mut Book, release: &Release, lan: &Lan) -> Result<()> {
    let one = lan.machine("s57", &["172.17.20.57/24"], "")?;
    let two = lan.machine("s58", &["172.17.20.58/24"], "")?;
    book.row("S1-08 S1-03", "the block as printed: it starts, forms with one of the others, listens on both families", || {
        for (id, host) in [&one, &two].into_iter().enumerate() {
            let sh = release.unpack(host)?;
            vi(
                &sh.cwd.join("config/kraft/server.properties"),
                &[
                    "process.roles=broker,controller",
                    &format!("node.id={id}"),
                    "controller.quorum.voters=0@172.17.20.57:9093,1@172.17.20.58:9093,2@172.17.20.59:9093",
                    "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
                    &format!("advertised.listeners=PLAINTEXT://172.17.20.5{}:9092", 7 + id),
                    "controller.listener.names=CONTROLLER",
                    "log.dirs=/tmp/kraft-combined-logs",
                ],
            )?;
            let typed = format!("./bin/kafka-storage.sh format -t {ID} -c ./config/kraft/server.properties");
            sh.types(&typed)?.code(0)?.out("Formatting")?;
            sh.types("./bin/kafka-server-start.sh -daemon config/kraft/server.properties")?.code(0)?;
        }
        let sh = one.shell(one.work().join("kafka"));
        until("two brokers", SOON, || {
            let said = sh.types("bin/kafka-broker-api-versions.sh --bootstrap-server 172.17.20.58:9092")?;
            Ok(said.stdout.contains("172.17.20.57:9092 (id: 0") && said.stdout.contains("172.17.20.58:9092 (id: 1"))
        })?;
        // Dual stack: over IPv6, too.
        sh.types("bin/kafka-topics.sh --list --bootstrap-server [::1]:9092")?.code(0)?;
        let said = sh.types("netstat -antp | grep LISTEN")?.code(0)?.out(":::9092")?.out(":::9093")?;
        Ok(said.line(":::9092"))
    });
    Ok(())
}

/// "10 brokers and 3 controllers": the README's snippet, on one machine with four addresses.
fn controllers(book: &mut Book, release: &Release, lan: &Lan) -> Result<()> {
    let names: String = (1..=3)
        .map(|n| format!("10.9.0.{n} controller{n}.example.com\n"))
        .chain(["10.9.0.4 broker4.example.com\n".to_owned()])
        .collect();
    let addresses = ["10.9.0.1/24", "10.9.0.2/24", "10.9.0.3/24", "10.9.0.4/24"];
    let host = lan.machine("many", &addresses, &names)?;
    let sh = release.unpack(&host)?;
    let voters: Vec<String> = (1..=3).map(|n| format!("{n}@controller{n}.example.com:9093")).collect();
    let voters = format!("controller.quorum.voters={}", voters.join(","));
    let snippet = |n: u32| {
        format!(
            "process.roles=controller\nnode.id={n}\nlisteners=CONTROLLER://controller{n}.example.com:9093\n{voters}\n\
             log.dirs=/tmp/controller{n}\n"
        )
    };
    let file = |n: u32| format!("node{n}.properties");
    book.row(
        "S1-09",
        "the snippet as printed lacks controller.listener.names: the key and the value to write",
        || {
            fs::write(sh.cwd.join(file(1)), snippet(1))?;
            let said = sh.types(&format!("bin/kafka-storage.sh format -t {ID} -c {}", file(1)))?.code(1)?;
            said.says("controller.listener.names")?
                .says("controller.listener.names=CONTROLLER")?
                .seen_at("names")
        },
    );
    book.row("S1-09", "with it: controllers open one port each, a broker joins them", || {
        for n in 1..=3 {
            fs::write(sh.cwd.join(file(n)), snippet(n) + "controller.listener.names=CONTROLLER\n")?;
        }
        let broker = format!(
            "process.roles=broker\nnode.id=4\nlisteners=PLAINTEXT://broker4.example.com:9092\n{voters}\n\
             controller.listener.names=CONTROLLER\nlog.dirs=/tmp/broker4\n"
        );
        fs::write(sh.cwd.join(file(4)), broker)?;
        for n in [4, 2, 3, 1] {
            sh.types(&format!("bin/kafka-storage.sh format -t {ID} -c {}", file(n)))?.code(0)?;
            sh.leaves(&format!("bin/kafka-server-start.sh {}", file(n)), &format!("node{n}"))?;
        }
        let at = "--bootstrap-server broker4.example.com:9092";
        until("the broker serves", SOON, || {
            Ok(sh.types(&format!("bin/kafka-topics.sh --create --if-not-exists --topic t {at}"))?.code == 0)
        })?;
        let said = sh.types("netstat -antp | grep LISTEN")?.code(0)?;
        let all = said.stdout.lines().filter_map(|l| l.split_whitespace().nth(3));
        // Beside them each has its console, for this machine only.
        let (consoles, ports): (Vec<&str>, Vec<&str>) =
            all.partition(|at| (1..=4).any(|node| *at == console(node)));
        ensure!(consoles.len() == 4, "{consoles:?} {ports:?}");
        let of = |port: &str| ports.iter().filter(|p| p.ends_with(port)).count();
        ensure!(of(":9093") == 3 && of(":9092") == 1 && ports.len() == 4, "{ports:?}");
        Ok(ports.join(" "))
    });
    Ok(())
}
