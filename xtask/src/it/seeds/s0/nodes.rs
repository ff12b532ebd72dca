//! The three files, with the slips of the text; formatting; and nodes that must not come in.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::book::Book;
use super::super::host::tail;
use super::super::{SOON, gone, vi};
use super::{DATA, FILE, ID, Site, VOTERS};

/// What is wrong in the text, and what one may get wrong from it. On host 1, before it is formatted.
pub fn slips(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = site.on(1);
    let file = sh.cwd.join(FILE);
    let stock = fs::read_to_string(&file)?;
    let format = format!("./bin/kafka-storage.sh format -t {ID} -c {FILE}");
    let start = format!("timeout 20 ./bin/kafka-server-start.sh {FILE}");
    let own = "controller.quorum.voters=1@localhost:9093";
    book.row("S0-07", "a role that is none, or twice: file, line, what is allowed", || {
        let mut seen = String::new();
        for roles in ["broker,kontroller", "broker,broker"] {
            vi(&file, &[&format!("process.roles={roles}")])?;
            let line = fs::read_to_string(&file)?
                .lines()
                .position(|l| l.starts_with("process.roles"))
                .context("a line")?
                + 1;
            let said = sh.types(&start)?.code(1)?;
            let said = said.says(&format!("{FILE}:{line}"))?.says("process.roles")?;
            seen = said.line("process.roles");
        }
        Ok(seen)
    });
    fs::write(&file, &stock)?;
    book.row("S0-09 T-08", "the first snippet: the own voter entry on 9092, which is the clients' port", || {
        vi(&file, &["controller.quorum.voters=1@localhost:9092", "log.dirs=/tmp/first-snippet"])?;
        let typed = format!("./bin/kafka-storage.sh format -t {ID} -c {FILE}; {start}");
        let said = sh.types(&typed)?.code(1)?;
        said.says(
            "controller.quorum.voters says node 1 is at localhost:9092, but 9092 is the PLAINTEXT (client) listener; \
             the controller listener is 9093. Use 1@localhost:9093",
        )?
        .seen_at("controller.quorum.voters")
    });
    fs::write(&file, &stock)?;
    book.row("S0-19", "node.id=node_number: file, line, key and value, from format and from start", || {
        vi(&file, &["node.id=node_number"])?;
        let line =
            fs::read_to_string(&file)?.lines().position(|l| l.starts_with("node.id")).context("a line")? + 1;
        let place = format!("{FILE}:{line}");
        let said = sh.types(&start)?.code(1)?.says(&place)?.says("node.id")?.says("node_number")?;
        sh.types(&format)?.code(1)?.says(&place)?.says("node_number")?;
        said.seen_at("node_number")
    });
    fs::write(&file, &stock)?;
    book.row("S0-13", "inter.broker.listener.name that is not advertised: the valid ones are listed", || {
        vi(&file, &["inter.broker.listener.name=INTERNAL", own])?;
        let said = sh.types(&format)?.code(1)?;
        said.says("inter.broker.listener.name")?.says("PLAINTEXT")?.seen()
    });
    fs::write(&file, &stock)?;
    book.row("S0-14", "0.0.0.0 advertised: refused in Kafka's words, with this machine's addresses", || {
        vi(&file, &["advertised.listeners=PLAINTEXT://0.0.0.0:9092"])?;
        let said = sh.types(&format)?.code(1)?.says("0.0.0.0")?.says("advertised.listeners")?;
        said.says("10.20.0.1").or_else(|_| sh.types(&start)?.says("10.20.0.1"))?.seen_at("0.0.0.0")
    });
    fs::write(&file, &stock)?;
    book.row("S0-12", "a listener's name of another machine: its address, ours, and what to write", || {
        vi(&file, &["listeners=PLAINTEXT://kafka3:9092,CONTROLLER://:9093", "log.dirs=/tmp/bind"])?;
        sh.types(&format)?.code(0)?;
        let said = sh.types(&start)?.code(1)?;
        said.says("cannot bind PLAINTEXT://kafka3:9092")?
            .says("10.20.0.3")?
            .says("10.20.0.1")?
            .says("PLAINTEXT://:9092")?
            .seen_at("cannot bind")
    });
    fs::write(&file, &stock)?;
    book.row("S0-12", "a name that is 127.0.1.1 here: others cannot connect, it is warned", || {
        sh.types("cp /etc/hosts /tmp/hosts.kept; echo '127.0.1.1 debian' >> /etc/hosts")?.code(0)?;
        vi(
            &file,
            &[
                "listeners=PLAINTEXT://debian:9092,CONTROLLER://debian:9093",
                "advertised.listeners=PLAINTEXT://debian:9092",
                "controller.quorum.voters=1@debian:9093",
                "log.dirs=/tmp/debian",
            ],
        )?;
        sh.types(&format)?.code(0)?;
        let node = sh.leaves(&format!("./bin/kafka-server-start.sh {FILE}"), "debian")?;
        let served = node.until("Kafka Server started", 1, SOON);
        let text = node.end("TERM")?;
        sh.types("cat /tmp/hosts.kept > /etc/hosts")?.code(0)?;
        served?;
        let line = text
            .lines()
            .find(|l| l.contains("WARN") && l.contains("127.0.1.1"))
            .with_context(|| tail(&text))?;
        Ok(line.to_owned())
    });
    fs::write(&file, &stock)?;
    book.row("S0-11 S1-22", "voters with the text's domain left as it is: one warning for each, in the waiting line too", || {
        vi(&file, &["controller.quorum.voters=1@localhost:9093,2@kafka2.yourdomain.invalid:9093,3@kafka3.yourdomain.invalid:9093", "log.dirs=/tmp/names"])?;
        sh.types(&format)?.code(0)?;
        let node = sh.leaves(&format!("./bin/kafka-server-start.sh {FILE}"), "names")?;
        node.until("Waiting for controller quorum", 1, SOON)?;
        std::thread::sleep(Duration::from_secs(6));
        let text = node.text();
        node.end("TERM")?;
        for id in [2, 3] {
            let word = format!("cannot resolve kafka{id}.yourdomain.invalid (controller {id}");
            let rest = "check DNS or /etc/hosts; from controller.quorum.voters";
            let lines = text.lines().filter(|l| l.contains(&word) && l.contains(rest)).count();
            ensure!(lines == 1, "{lines} lines `{word}`: {}", tail(&text));
        }
        Ok(text.lines().find(|l| l.contains("cannot resolve")).unwrap_or_default().to_owned())
    });
    fs::write(&file, &stock)?;
    Ok(())
}

pub fn formats(book: &mut Book, site: &Site<'_>) -> Result<()> {
    for id in 1..=3 {
        site.edit(id)?;
    }
    let sh = site.on(1);
    book.row("S0-05", "an empty id: the variable that is not set in this shell", || {
        let said = sh.types(&format!(
            "unset KAFKA_CLUSTER_ID; ./bin/kafka-storage.sh format -t \"$KAFKA_CLUSTER_ID\" -c {FILE}"
        ))?;
        let said = said.code(1)?.says("cluster id is empty")?.says("random-uuid")?;
        // Without quotes there is no argument at all.
        sh.types(&format!(
            "unset KAFKA_CLUSTER_ID; ./bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c {FILE}"
        ))?
        .code(1)?;
        said.seen_at("cluster id is empty")
    });
    let said = sh.types(&format!(
        "KAFKA_CLUSTER_ID={ID}\n./bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c {FILE}"
    ))?;
    book.row(
        "S0-05 S0-34",
        "one line for the directory on stdout: Formatting, its path, its metadata.version; exit 0",
        || {
            let said = said.clone().code(0)?.out("Formatting ")?.out(DATA)?.out("metadata.version 4.3")?;
            // Kafka 4.3 tells the records that the cluster begins with before that.
            let (dirs, rest): (Vec<&str>, Vec<&str>) =
                said.stdout.lines().partition(|line| line.starts_with("Formatting "));
            ensure!(dirs.len() == 1 && rest.len() == 1, "{}", said.stdout);
            ensure!(rest[0].starts_with("Bootstrap metadata: "), "{}", said.stdout);
            said.seen_at("Formatting ")
        },
    );
    book.row("S0-21 T-08", "the next step on stderr: Next: bin/kafka-server-start.sh with this file", || {
        let said = said.clone().err(&format!("Next: bin/kafka-server-start.sh {FILE}"))?;
        said.seen_at("Next:")
    });
    for id in [2, 3] {
        let typed = format!(
            "KAFKA_CLUSTER_ID=\"{ID}\"\n./bin/kafka-storage.sh format -t $KAFKA_CLUSTER_ID -c {FILE}"
        );
        site.on(id).types(&typed)?.code(0)?;
    }
    Ok(())
}

/// Nodes that come with a wrong identity while the cluster runs; host 3 plays them.
pub fn refused(book: &mut Book, site: &Site<'_>) -> Result<()> {
    let sh = site.on(3);
    sh.types("./bin/kafka-server-stop.sh")?.code(0)?;
    gone(sh)?;
    let own = "/tmp/stranger.properties";
    let path = sh.host.outside(own);
    book.row("S0-08", "a file with another id than the directory's: both ids, both files", || {
        fs::copy(sh.cwd.join(FILE), &path)?;
        vi(
            &path,
            &[
                "node.id=2",
                "listeners=PLAINTEXT://kafka3:9092,CONTROLLER://kafka3:9093",
                &VOTERS
                    .replace("kafka2.mydomain.com", "kafka3")
                    .replace("3@kafka3.mydomain.com", "3@kafka2.mydomain.com"),
            ],
        )?;
        let said = sh.types(&format!("timeout 20 ./bin/kafka-server-start.sh {own}"))?.code(1)?;
        said.says("meta.properties")?.says("stranger.properties")?.says("3")?.says("2")?.seen_at("node")
    });
    book.row("S0-08", "a broker with an id in use: whose it is, this node will not start, exit 1", || {
        fs::copy(sh.cwd.join(FILE), &path)?;
        vi(
            &path,
            &["process.roles=broker", "node.id=4", "listeners=PLAINTEXT://kafka3:9092", "log.dirs=/tmp/four"],
        )?;
        sh.types(&format!(
            "./bin/kafka-storage.sh format -t {ID} -c {own} && ./bin/kafka-server-start.sh -daemon {own}"
        ))?
        .code(0)?;
        vi(
            &path,
            &[
                "listeners=PLAINTEXT://kafka3:9192",
                "advertised.listeners=PLAINTEXT://kafka3:9192",
                "log.dirs=/tmp/four-again",
            ],
        )?;
        let said = sh.types(&format!(
            "./bin/kafka-storage.sh format -t {ID} -c {own} && timeout 30 ./bin/kafka-server-start.sh {own}"
        ))?;
        let said =
            said.code(1)?.says("node id 4 is already registered by")?.says("this node will not start")?;
        said.seen_at("already registered")
    });
    let _ = sh.types("./bin/kafka-server-stop.sh; sleep 2");
    book.row("S0-20", "a node of another cluster ends within seconds: both ids, the controller, what to do", || {
        fs::copy(sh.cwd.join(FILE), &path)?;
        vi(&path, &["log.dirs=/tmp/other-cluster"])?;
        let start = Instant::now();
        let said = sh.types(&format!("./bin/kafka-storage.sh format -t MkU3OEVBNTcwNTJENDM2Qg -c {own} && timeout 30 ./bin/kafka-server-start.sh {own}"))?;
        ensure!(start.elapsed() < Duration::from_secs(15), "after {:?}", start.elapsed());
        said.code(1)?
            .says("formatted for cluster MkU3OEVBNTcwNTJENDM2Qg")?
            .says(ID)?
            .says("controller.quorum.voters")?
            .seen_at("formatted for cluster")
    });
    Ok(())
}
