//! What the author's other programs ask of the two brokers: Spring's Kafka client, and a web interface.

use anyhow::{Result, ensure};

use super::super::book::Book;
use super::super::host::Lan;
use super::{OUTSIDE, Site};
use crate::compat::clients::java;
use crate::machine::{self, Need};
use crate::peers;

/// What Spring Kafka brought in June of 2023.
const SPRING: &str = "3.4.1";

pub fn go(book: &mut Book, site: &Site<'_>, lan: &Lan) -> Result<()> {
    let needs = machine::lacking(&[Need::Jdk, Need::Maven]);
    if let Some(need) = needs.first() {
        book.not_run("S1-25", &format!("the machine lacks {}", need.how()));
    } else {
        spring(book, lan)?;
    }
    interfaces(book, site);
    Ok(())
}

fn spring(book: &mut Book, lan: &Lan) -> Result<()> {
    let office = lan.machine("office", &["10.178.0.77/24"], "")?;
    office.types(&format!("ip route add {OUTSIDE}/32 via 10.178.0.1"))?.code(0)?;
    book.row(
        "S1-25",
        "the Java client of that year: idempotent producer, a group over both brokers, rebalances",
        || {
            let both = format!("{OUTSIDE}:9092,{OUTSIDE}:9094");
            let line = java::typed(SPRING, &both, "spring", "first")?;
            let said = office.types(&line)?.code(0)?;
            // The rest of that program looks at a node of its own making.
            let asked = ["group", "idempotent", "cooperative", "commit", "static", "none", "lz4"];
            let of_row = |l: &&str| asked.iter().any(|name| l.starts_with(&format!("fail {name}:")));
            let failed: Vec<&str> = said.stdout.lines().filter(of_row).collect();
            ensure!(failed.is_empty(), "{failed:?}");
            let passed = said.stdout.lines().filter(|l| l.starts_with("ok ")).count();
            let said = said.out("ok group")?.out("ok idempotent")?.out("ok cooperative")?.out("ok commit")?;
            Ok(format!("kafka-clients {SPRING}: {passed} checks passed in {:.1} s", said.took.as_secs_f64()))
        },
    );
    Ok(())
}

fn interfaces(book: &mut Book, site: &Site<'_>) {
    let sh = &site.sh;
    let at = format!("--bootstrap-server {OUTSIDE}:9092");
    let asks: &[(&str, &str)] = &[
        ("kafka-cluster.sh cluster-id", "Cluster ID"),
        ("kafka-topics.sh --describe", ""),
        ("kafka-configs.sh --describe --entity-type brokers --entity-name 0 --all", "log.dirs"),
        ("kafka-log-dirs.sh --describe", "kraft-combined-logs"),
        ("kafka-consumer-groups.sh --list", ""),
        ("kafka-get-offsets.sh", ""),
        ("kafka-metadata-quorum.sh describe --replication", "NodeId"),
    ];
    book.row(
        "S1-26",
        "cluster, topics, configurations, directories, groups, offsets, quorum are answered",
        || {
            for (typed, word) in asks {
                let (tool, rest) = typed.split_once(' ').unwrap_or((typed, ""));
                // Some take the server first.
                sh.types(&format!("bin/{tool} {at} {rest}"))
                    .and_then(|said| said.code(0))
                    .or_else(|_| sh.types(&format!("bin/{tool} {rest} {at}"))?.code(0))?
                    .out(word)?;
            }
            Ok(format!("{} kinds of questions answered", asks.len()))
        },
    );
    if machine::lacking(&[Need::Jdk, Need::Maven]).is_empty() {
        book.row("S1-26", "ACLs asked of a cluster without them: Kafka's error, by Kafka's own tool", || {
            let jars = peers::install()?;
            let said = sh.types(&format!(
                "'{}' -cp '{}' org.apache.kafka.tools.AclCommand --list {at}",
                jars.java().display(),
                jars.class_path()
            ))?;
            said.says("SecurityDisabledException")?.seen_at("SecurityDisabled")
        });
    } else {
        book.not_run("S1-26", "the question for ACLs needs a JDK and Maven");
    }
    book.row("S1-26", "a Prometheus endpoint", || {
        let ports = sh.types("ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -u")?.stdout;
        for port in ports.split_whitespace().filter(|p| p.len() != 4 || !p.starts_with("909")) {
            let said = sh.types(&format!("curl -s -m 3 http://localhost:{port}/metrics"))?;
            if said.stdout.contains("# TYPE") {
                return said.seen();
            }
        }
        anyhow::bail!(
            "no port serves /metrics; ports: {}",
            ports.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    });
}
