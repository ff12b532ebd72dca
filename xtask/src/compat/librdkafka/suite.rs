//! The tests of librdkafka: which there are, how one is run, what it says.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::sources::Built;
use crate::peers;
use crate::process;

/// Tests at the same time: they wait more than they work.
const TOGETHER: usize = 4;

/// The slowest test, of cooperative rebalancing, takes seven to ten minutes: it waits for dozens of rebalances.
const LIMIT: Duration = Duration::from_secs(900);

/// The broker version that tests are told.
const BROKER: &str = "4.3.1";

/// The test whose many parts are judged one by one, by the functions that it calls.
const ADMIN: &str = "0081_admin";

/// Tests of which one part needs what the others do not, with a piece of each part's name.
const PARTED: [(&str, &[&str]); 2] = [
    ("0061_consumer_lag", &["lag without transactions", "lag with transactions"]),
    (
        "0137_barrier_batch_consume",
        &[
            "do_test_consume_batch_with_seek",
            "do_test_consume_batch_store_offset",
            "do_test_consume_batch_with_pause_and_resume_different_batch",
            "do_test_consume_batch_with_pause_and_resume_same_batch",
            "do_test_consume_batch_control_msgs",
        ],
    ),
];

/// What became of a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Passed; `alone`: only on its second try, with no other test beside it.
    Passed {
        alone: bool,
    },
    /// It found that it does not apply.
    Skipped(String),
    Failed(String),
}

impl Verdict {
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Passed { .. })
    }
}

/// One run of the test program, which takes numbers: tests of the same number run together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// The names of its tests.
    pub tests: Vec<String>,
    /// The only part of the test that is run.
    pub part: Option<String>,
    /// Whether topics are created by asking for them.
    pub scenario: &'static str,
}

impl Unit {
    fn number(&self) -> &str {
        &self.tests[0][..4]
    }

    /// What it is called in reports: a test, or `test/part`.
    fn names(&self) -> Vec<String> {
        match &self.part {
            Some(part) => vec![format!("{}/{part}", self.tests[0])],
            None => self.tests.clone(),
        }
    }
}

/// The built test program with the tests it has.
pub struct Suite {
    built: Built,
    units: Vec<Unit>,
}

impl Suite {
    /// Reads the table of tests out of the sources.
    pub fn new(built: Built) -> Result<Suite> {
        let table = fs::read_to_string(built.tests.join("test.c"))?;
        let mut units = Vec::new();
        for unit in table_of_tests(&table)? {
            let parted = PARTED.iter().find(|(test, _)| unit.tests == [*test]);
            let parts: Vec<String> = match parted {
                Some((_, parts)) => parts.iter().map(|part| (*part).to_owned()).collect(),
                None if unit.tests == [ADMIN] => {
                    parts_of_admin(&fs::read_to_string(built.tests.join("0081-admin.c"))?)?
                }
                None => {
                    units.push(unit);
                    continue;
                }
            };
            units.extend(parts.into_iter().map(|part| Unit { part: Some(part), ..unit.clone() }));
        }
        ensure!(units.len() > 80, "only {} tests were found in test.c", units.len());
        Ok(Suite { built, units })
    }

    /// librdkafka's version.
    pub fn version(&self) -> &str {
        &self.built.version
    }

    /// The tests whose name contains `only`.
    pub fn units(&self, only: Option<&str>) -> Vec<Unit> {
        let wanted =
            |unit: &&Unit| only.is_none_or(|only| unit.names().iter().any(|name| name.contains(only)));
        self.units.iter().filter(wanted).cloned().collect()
    }

    /// Runs `units` against the broker at `bootstrap`; logs go below `dir`.
    pub fn run(&self, bootstrap: &str, dir: &Path, units: &[&Unit]) -> Result<BTreeMap<String, Verdict>> {
        let place = Place { bootstrap, logs: dir.join("tests"), kafka: dir.join("kafka") };
        fs::create_dir_all(&place.logs)?;
        write_tools(&place.kafka)?;
        let config = place.logs.join("test.conf");
        fs::write(&config, format!("bootstrap.servers={bootstrap}\n"))?;
        let queue: Mutex<VecDeque<&Unit>> = Mutex::new(units.iter().copied().collect());
        let verdicts = Mutex::new(BTreeMap::new());
        let next = || queue.lock().expect("no worker panics").pop_front();
        thread::scope(|scope| {
            for _ in 0..TOGETHER {
                scope.spawn(|| {
                    while let Some(unit) = next() {
                        let of_unit = self.one(&place, unit, "");
                        verdicts.lock().expect("no worker panics").extend(of_unit);
                    }
                });
            }
        });
        let mut verdicts = verdicts.into_inner().expect("no worker panics");
        let failed = |verdict: Option<&Verdict>| matches!(verdict, Some(Verdict::Failed(_)));
        for unit in units {
            if !unit.names().iter().any(|name| failed(verdicts.get(name))) {
                continue;
            }
            for (name, second) in self.one(&place, unit, "-alone") {
                if failed(verdicts.get(&name)) {
                    let alone = if second.passed() { Verdict::Passed { alone: true } } else { second };
                    verdicts.insert(name, alone);
                }
            }
        }
        Ok(verdicts)
    }

    fn one(&self, place: &Place<'_>, unit: &Unit, suffix: &str) -> Vec<(String, Verdict)> {
        match self.attempt(place, unit, suffix) {
            Ok(verdicts) => verdicts,
            Err(error) => {
                let failed = Verdict::Failed(format!("{error:#}"));
                unit.names().into_iter().map(|name| (name, failed.clone())).collect()
            }
        }
    }

    fn attempt(&self, place: &Place<'_>, unit: &Unit, suffix: &str) -> Result<Vec<(String, Verdict)>> {
        // Without a broker every test would wait for one as long as it can.
        let one = place.bootstrap.split(',').next().unwrap_or_default();
        TcpStream::connect(one).with_context(|| format!("nobody listens on {one}"))?;
        let part = unit.part.as_deref().unwrap_or_default();
        let name = format!("{}{}{suffix}", unit.number(), part.replace(' ', "-"));
        let (log, report) = (place.logs.join(format!("{name}.log")), place.logs.join(format!("{name}.json")));
        let _ = fs::remove_file(&report);
        let output = File::create(&log)?;
        let mut command = Command::new("./test-runner");
        command
            .current_dir(&self.built.tests)
            .args(["-L", "-K", "-p1", "-s", unit.scenario])
            .env("LD_LIBRARY_PATH", "../src:../src-cpp")
            .env("RDKAFKA_TEST_CONF", place.logs.join("test.conf"))
            .env("TEST_KAFKA_VERSION", BROKER)
            .env("TEST_REPORT", &report)
            .env("TESTS", unit.number())
            .env("KAFKA_PATH", &place.kafka)
            .env("BROKERS", place.bootstrap)
            // Longer patience, no measurements of latency: the machine is shared with the broker.
            .env("CI", "true")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(part) = &unit.part {
            command.env("SUBTESTS", part);
        }
        let mut child = command.spawn().context("test-runner")?;
        if process::wait(&mut child, LIMIT)?.is_none() {
            child.kill()?;
            child.wait()?;
            bail!("took longer than {} s", LIMIT.as_secs());
        }
        let log = without_colours(&String::from_utf8_lossy(&fs::read(&log)?));
        let report = fs::read_to_string(&report).unwrap_or_default();
        let report: Value = serde_json::from_str(&report).unwrap_or_default();
        // A part of which nothing has passed has skipped itself.
        let any_part =
            |part: &str| log.lines().any(|l| l.contains("[ ") && l.contains(part) && l.contains(": PASS"));
        let verdict = |test: &String| match report["tests"][test]["state"].as_str() {
            Some("PASSED") => match &unit.part {
                Some(part) if !any_part(part) => Verdict::Skipped("not for this broker".to_owned()),
                _ => Verdict::Passed { alone: false },
            },
            Some("SKIPPED") => Verdict::Skipped(reason(&log, test)),
            _ => Verdict::Failed(reason(&log, test)),
        };
        Ok(unit.names().into_iter().zip(unit.tests.iter().map(verdict)).collect())
    }
}

/// Where a broker is, and where what is written about it goes.
struct Place<'p> {
    bootstrap: &'p str,
    logs: PathBuf,
    kafka: PathBuf,
}

/// The tools that some tests call by their names: Apache Kafka's, whoever serves.
fn write_tools(home: &Path) -> Result<()> {
    let bin = home.join("bin");
    fs::create_dir_all(&bin)?;
    let jars = peers::install()?;
    for name in ["kafka-topics.sh", "kafka-acls.sh", "kafka-configs.sh"] {
        let command = peers::tool(&jars, name)?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\nexec {} \"$@\"\n", line.join(" ")))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Every test of the table that talks to a broker: `_TEST(name, flags, ...)`.
fn table_of_tests(source: &str) -> Result<Vec<Unit>> {
    let table = source.split("struct test tests[] = {").nth(1).context("test.c has no table of tests")?;
    let table = table.split("{NULL}").next().unwrap_or_default();
    let mut units: Vec<Unit> = Vec::new();
    for entry in table.split("_TEST(").skip(1) {
        let name = entry.split([',', ')']).next().unwrap_or_default().trim();
        let has =
            |flag: &str| entry.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == flag);
        let without_broker =
            ["TEST_F_LOCAL", "TEST_F_MANUAL", "TEST_F_KNOWN_ISSUE"].iter().any(|flag| has(flag));
        if without_broker || name.ends_with("_mock") {
            continue;
        }
        let scenario = match entry.split(".scenario").nth(1) {
            Some(rest) if rest.contains("noautocreate") => "noautocreate",
            _ => "default",
        };
        let same = |unit: &&mut Unit| unit.number() == &name[..4] && unit.scenario == scenario;
        match units.iter_mut().find(same) {
            Some(unit) => unit.tests.push(name.to_owned()),
            None => units.push(Unit { tests: vec![name.to_owned()], part: None, scenario }),
        }
    }
    Ok(units)
}

/// The functions that the admin test calls, each once.
fn parts_of_admin(source: &str) -> Result<Vec<String>> {
    let body = source.split("static void do_test_apis").nth(1).context("0081-admin.c has no do_test_apis")?;
    let body = body.split("\n}\n").next().unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    // Calls that are commented out are those of parts that others call as well.
    for call in body.split("do_test_").skip(1) {
        let name: String = call.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let part = format!("do_test_{name}");
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Why a test failed or skipped itself: what it said when it failed, else the closing table's last column.
fn reason(log: &str, test: &str) -> String {
    let mut lines = log.lines();
    let failed = format!("### Test \"{test}");
    if lines.any(|line| line.starts_with(&failed) && line.contains(" failed at ")) {
        return lines.next().unwrap_or_default().trim().chars().take(300).collect();
    }
    let row = log.lines().rev().find_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells.get(1) == Some(&test)).then(|| cells.get(4).copied().unwrap_or_default().to_owned())
    });
    match row.filter(|text| !text.is_empty()) {
        Some(text) => text,
        None => log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("said nothing").trim().to_owned(),
    }
}

fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, behind)| behind);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let source = "struct test tests[] = {\n _TEST(0001_a, 0),\n _TEST(0002_b, TEST_F_LOCAL, X(1)),\n\
            _TEST(0003_c, TEST_F_KNOWN_ISSUE_WIN32, .scenario = \"noautocreate\"),\n _TEST(0004_d_mock, 0),\n\
            _TEST(0001_e, 0),\n {NULL}};";
        let units = table_of_tests(source).unwrap();
        let names: Vec<(String, &str)> = units.iter().map(|u| (u.tests.join(" "), u.scenario)).collect();
        assert_eq!(names, [("0001_a 0001_e".into(), "default"), ("0003_c".into(), "noautocreate")]);
    }

    #[test]
    fn reasons_are_found() {
        let log = "x\n|\u{1b}[31m 0001_a   |  FAILED | 1.0s \u{1b}[0m|\u{1b}[31m it broke\u{1b}[0m|\n";
        assert_eq!(reason(&without_colours(log), "0001_a"), "it broke");
        assert_eq!(
            reason("### Test \"0001_a (part)\" failed at a.c:1\nno luck\ndied\n", "0001_a"),
            "no luck"
        );
        assert_eq!(reason("died\n\n", "0001_a"), "died");
    }
}
