//! `cargo xtask compat librdkafka`: librdkafka's own tests of a broker, against Apache Kafka and against ours.
//!
//! Only tests that talk to a broker count: those that need none, or bring a simulated one, say nothing about it. B is
//! what Apache Kafka passes on as many nodes. A test that fails beside others gets a second try alone, on either system.

mod sources;
mod suite;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::machine::Need;
use crate::peers::HEAP_OF_SERVER;
use crate::process;
use crate::server::{self, Server, Site, System};
use suite::{Suite, Unit, Verdict};

/// What a test is about that has an issue of its own, by the beginning of the test's name.
const LATER: [(&str, &str); 13] = [
    ("0077_compaction", "compaction"),
    ("0081_admin/do_test_CreateAcls", "ACLs"),
    ("0081_admin/do_test_DescribeAcls", "ACLs"),
    ("0081_admin/do_test_DeleteAcls", "ACLs"),
    ("0081_admin/do_test_DescribeConsumerGroups_with_authorized_ops", "SASL"),
    ("0081_admin/do_test_UserScramCredentials", "SASL"),
    ("0097_ssl_verify", "TLS"),
    ("0101_fetch_from_follower", "several brokers"),
    ("0109_auto_create_topics", "ACLs"),
    ("0115_producer_auth", "ACLs"),
    ("0119_consumer_auth", "ACLs"),
    ("0126_oauthbearer_oidc", "SASL"),
    ("0142_reauthentication", "SASL"),
];

/// What to run.
pub struct Choice {
    /// One system only; for ours, B is then what an earlier run with Apache Kafka has left.
    pub against: Option<System>,
    /// One node, or three with three replicas of everything.
    pub nodes: usize,
    /// Tests whose name contains this.
    pub only: Option<String>,
}

/// Verdicts by the test's name.
type Verdicts = BTreeMap<String, Verdict>;

/// librdkafka's load generator, built from the same sources: `cargo xtask bench` measures with it.
pub fn performance() -> Result<PathBuf> {
    ensure!(Need::Compiler.find().is_some(), "lacking: {}", Need::Compiler.how());
    sources::performance()
}

/// Runs the judge.
pub fn run(choice: &Choice) -> Result<()> {
    ensure!(Need::Compiler.find().is_some(), "lacking: {}", Need::Compiler.how());
    let suite = Suite::new(sources::build()?)?;
    let units = suite.units(choice.only.as_deref());
    ensure!(!units.is_empty(), "no such test");
    println!("librdkafka {}: {} tests that talk to a broker", suite.version(), units.len());
    if choice.against == Some(System::Ottla) {
        let apache = read_verdicts(choice.nodes)?;
        let ottla = on_both_scenarios(&suite, System::Ottla, choice.nodes, &units)?;
        return compare(&suite, &apache, &ottla, choice);
    }
    let apache = on_both_scenarios(&suite, System::Apache, choice.nodes, &units)?;
    if choice.only.is_none() {
        write_verdicts(choice.nodes, &apache)?;
    }
    if choice.against == Some(System::Apache) {
        report(System::Apache, &apache);
        return Ok(());
    }
    let ottla = on_both_scenarios(&suite, System::Ottla, choice.nodes, &units)?;
    compare(&suite, &apache, &ottla, choice)
}

fn on_both_scenarios(suite: &Suite, system: System, nodes: usize, units: &[Unit]) -> Result<Verdicts> {
    if system == System::Ottla {
        server::build()?;
    }
    let mut verdicts = Verdicts::new();
    for (scenario, auto_create) in [("default", "true"), ("noautocreate", "false")] {
        let units: Vec<&Unit> = units.iter().filter(|unit| unit.scenario == scenario).collect();
        if units.is_empty() {
            continue;
        }
        let name = if system == System::Apache { "apache" } else { "ottla" };
        let copies = nodes.to_string();
        let mut settings = vec![
            ("num.partitions", "4"),
            ("offsets.topic.num.partitions", "4"),
            ("transaction.state.log.num.partitions", "4"),
            // Kafka's default: some tests count the rebalances of members that come in one after the other.
            ("group.initial.rebalance.delay.ms", "3000"),
            ("auto.create.topics.enable", auto_create),
        ];
        if system == System::Apache {
            // So that Apache Kafka is judged by the tests of ACLs as well.
            settings
                .push(("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"));
            settings.push(("allow.everyone.if.no.acl.found", "true"));
        }
        if nodes == 1 {
            let site = Site::fresh(&format!("librdkafka-{name}-{scenario}"))?;
            let site = settings.iter().fold(site, |site, (key, value)| site.with(key, *value));
            let mut server = Server::start(system, &site)?;
            verdicts.extend(suite.run(&server.bootstrap(), &site.dir, &units)?);
            ensure!(server.alive(), "{} ended during the tests: see {}", system.name(), site.dir.display());
            server.stop()?;
            continue;
        }
        settings.push(("default.replication.factor", &copies));
        let (name, shape) = (format!("librdkafka-{name}-{nodes}-{scenario}"), Shape::Combined(nodes));
        let mut several =
            Nodes::of_kinds(&[system], HEAP_OF_SERVER, &name, shape, Voters::Static, &settings)?;
        several.start_all()?;
        several.ready()?;
        verdicts.extend(suite.run(&several.bootstrap(), several.dir(), &units)?);
        let ids: Vec<i32> = several.all.iter().map(|node| node.id).collect();
        let alive = ids.into_iter().all(|id| several.is_there(id));
        ensure!(alive, "a node of {} ended during the tests: see {}", system.name(), several.dir().display());
        several.no_panic()?;
    }
    Ok(verdicts)
}

/// Every test that was not passed, with its reason.
fn report(system: System, verdicts: &Verdicts) {
    for (name, verdict) in verdicts {
        match verdict {
            Verdict::Passed { alone: false } => {}
            Verdict::Passed { alone: true } => {
                println!("{}: {name}: passed on its second try", system.name())
            }
            Verdict::Skipped(why) => println!("{}: {name}: skips itself: {why}", system.name()),
            Verdict::Failed(why) => println!("{}: {name}: failed: {why}", system.name()),
        }
    }
    let passed = verdicts.values().filter(|v| v.passed()).count();
    println!("{}: passed {passed} of {}", system.name(), verdicts.len());
}

fn later(name: &str) -> Option<&'static str> {
    LATER.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, why)| *why)
}

fn compare(suite: &Suite, apache: &Verdicts, ottla: &Verdicts, choice: &Choice) -> Result<()> {
    report(System::Apache, apache);
    report(System::Ottla, ottla);
    let bar: Vec<&String> = apache
        .iter()
        .filter(|(name, v)| v.passed() && ottla.contains_key(*name))
        .map(|(name, _)| name)
        .collect();
    let (mut passed, mut waiting, mut failed) = (0, Vec::new(), Vec::new());
    for name in &bar {
        match (ottla.get(*name).is_some_and(Verdict::passed), later(name)) {
            (true, _) => passed += 1,
            (false, Some(why)) => waiting.push(format!("{name} ({why})")),
            (false, None) => failed.push((*name).clone()),
        }
    }
    println!(
        "needs a later issue: {}",
        if waiting.is_empty() { "none".to_owned() } else { waiting.join(", ") }
    );
    println!(
        "needs a later issue: every test once more with the consumer protocol of KIP-848, and over TLS and SASL"
    );
    println!("failed: {}", if failed.is_empty() { "none".to_owned() } else { failed.join(", ") });
    println!("librdkafka {}: passed {passed} of {}", suite.version(), bar.len());
    if choice.only.is_none() {
        let result = json!({
            "librdkafka": suite.version(), "passed": passed, "of": bar.len(), "later": waiting, "failed": failed,
        });
        fs::write(directory().join("result.json"), format!("{result:#}\n"))?;
    }
    if !failed.is_empty() {
        bail!("compat librdkafka: {} of {} tests failed", failed.len(), bar.len());
    }
    Ok(())
}

fn directory() -> PathBuf {
    process::target().join("judges/librdkafka")
}

/// Where the verdicts on Apache Kafka with so many nodes are kept.
fn of_apache(nodes: usize) -> PathBuf {
    directory().join(if nodes == 1 { "apache.json".to_owned() } else { format!("apache-{nodes}.json") })
}

fn write_verdicts(nodes: usize, verdicts: &Verdicts) -> Result<()> {
    let passed: BTreeMap<&str, bool> = verdicts.iter().map(|(name, v)| (name.as_str(), v.passed())).collect();
    fs::write(of_apache(nodes), format!("{:#}\n", json!(passed)))?;
    Ok(())
}

/// What Apache Kafka passed in an earlier run.
fn read_verdicts(nodes: usize) -> Result<Verdicts> {
    let mut file = of_apache(nodes);
    if !file.exists() && of_apache(1).exists() {
        println!("B is what Apache Kafka passed on one node: no result of {nodes} is here");
        file = of_apache(1);
    }
    let text =
        fs::read_to_string(&file).context("run it against Apache Kafka first: no result of that is here")?;
    let passed: BTreeMap<String, bool> = serde_json::from_str(&text)?;
    let verdict = |passed| match passed {
        true => Verdict::Passed { alone: false },
        false => Verdict::Failed("in an earlier run".to_owned()),
    };
    Ok(passed.into_iter().map(|(name, passed)| (name, verdict(passed))).collect())
}
