//! `cargo xtask compat librdkafka`: librdkafka's own tests of a broker, against Apache Kafka and against ours.
//!
//! Only tests that talk to a broker count: those that need none, or bring a simulated one, say nothing about it. B is
//! what Apache Kafka passes on one node. A test that fails beside others gets a second try alone, on either system.

mod sources;
mod suite;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::machine::Need;
use crate::process;
use crate::server::{self, Server, Site, System};
use suite::{Suite, Unit, Verdict};

/// What a test is about that has an issue of its own, by the beginning of the test's name.
const LATER: [(&str, &str); 18] = [
    ("0061_consumer_lag/lag with transactions", "transactions"),
    ("0077_compaction", "compaction"),
    ("0081_admin/do_test_CreateAcls", "ACLs"),
    ("0081_admin/do_test_DescribeAcls", "ACLs"),
    ("0081_admin/do_test_DeleteAcls", "ACLs"),
    ("0081_admin/do_test_DescribeConsumerGroups_with_authorized_ops", "SASL"),
    ("0081_admin/do_test_UserScramCredentials", "SASL"),
    ("0097_ssl_verify", "TLS"),
    ("0098_consumer_txn", "transactions"),
    ("0101_fetch_from_follower", "several brokers"),
    ("0103_transactions", "transactions"),
    ("0109_auto_create_topics", "ACLs"),
    ("0115_producer_auth", "ACLs"),
    ("0119_consumer_auth", "ACLs"),
    ("0126_oauthbearer_oidc", "SASL"),
    ("0129_fetch_aborted_msgs", "transactions"),
    ("0137_barrier_batch_consume/do_test_consume_batch_control_msgs", "transactions"),
    ("0142_reauthentication", "SASL"),
];

/// What to run.
pub struct Choice {
    /// One system only; for ours, B is then what an earlier run with Apache Kafka has left.
    pub against: Option<System>,
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
        let apache = read_verdicts()?;
        return compare(&suite, &apache, &on_both_scenarios(&suite, System::Ottla, &units)?, choice);
    }
    let apache = on_both_scenarios(&suite, System::Apache, &units)?;
    if choice.only.is_none() {
        write_verdicts(&apache)?;
    }
    if choice.against == Some(System::Apache) {
        report(System::Apache, &apache);
        return Ok(());
    }
    compare(&suite, &apache, &on_both_scenarios(&suite, System::Ottla, &units)?, choice)
}

fn on_both_scenarios(suite: &Suite, system: System, units: &[Unit]) -> Result<Verdicts> {
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
        let mut site = Site::fresh(&format!("librdkafka-{name}-{scenario}"))?
            .with("num.partitions", "4")
            .with("offsets.topic.num.partitions", "4")
            .with("transaction.state.log.num.partitions", "4")
            // Kafka's default: some tests count the rebalances of members that come in one after the other.
            .with("group.initial.rebalance.delay.ms", "3000")
            .with("auto.create.topics.enable", auto_create);
        if system == System::Apache {
            // So that Apache Kafka is judged by the tests of ACLs as well.
            site = site
                .with("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
                .with("allow.everyone.if.no.acl.found", "true");
        }
        let mut server = Server::start(system, &site)?;
        verdicts.extend(suite.run(&server.bootstrap(), &site.dir, &units)?);
        ensure!(server.alive(), "{} ended during the tests: see {}", system.name(), site.dir.display());
        server.stop()?;
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

fn write_verdicts(verdicts: &Verdicts) -> Result<()> {
    let passed: BTreeMap<&str, bool> = verdicts.iter().map(|(name, v)| (name.as_str(), v.passed())).collect();
    fs::write(directory().join("apache.json"), format!("{:#}\n", json!(passed)))?;
    Ok(())
}

/// What Apache Kafka passed in an earlier run.
fn read_verdicts() -> Result<Verdicts> {
    let file = directory().join("apache.json");
    let text =
        fs::read_to_string(&file).context("run it against Apache Kafka first: no result of that is here")?;
    let passed: BTreeMap<String, bool> = serde_json::from_str(&text)?;
    let verdict = |passed| match passed {
        true => Verdict::Passed { alone: false },
        false => Verdict::Failed("in an earlier run".to_owned()),
    };
    Ok(passed.into_iter().map(|(name, passed)| (name, verdict(passed))).collect())
}
