//! The figures side by side, as ratios, with what was to be reached; on the screen and as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde_json::{Value, json};

use super::Scale;
use crate::process;
use crate::server::System;

/// What one side measured, in the order in which it did.
#[derive(Default)]
pub struct Figures {
    rows: Vec<(String, &'static str, f64)>,
    quiet: bool,
}

impl Figures {
    /// Some that print nothing.
    pub fn quiet() -> Figures {
        Figures { rows: Vec::new(), quiet: true }
    }

    /// Notes and prints a figure.
    pub fn put(&mut self, name: &str, unit: &'static str, value: f64) {
        if !self.quiet {
            println!("{name:<62} {:>14} {unit}", shown(value));
        }
        self.rows.push((name.to_owned(), unit, value));
    }

    pub fn into_rows(self) -> Vec<(String, &'static str, f64)> {
        self.rows
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|(n, _, _)| n == name).map(|(_, _, value)| *value)
    }
}

/// What is to be reached.
enum Goal {
    /// Ours is at most so much of Apache Kafka's.
    AtMost(f64),
    /// Ours is at least so many times Apache Kafka's.
    AtLeast(f64),
    /// Ours is at most this, whatever Apache Kafka's is.
    Below(f64),
}

/// (beginning and end of the figure's name, goal)
const GOALS: &[(&str, &str, Goal)] = &[
    ("three nodes: produce ", "CPU", Goal::AtMost(0.125)),
    ("three nodes: produce ", "rate", Goal::AtLeast(3.0)),
    ("three nodes: rdkafka_performance ", "CPU", Goal::AtMost(0.125)),
    ("three nodes: rdkafka_performance ", "rate", Goal::AtLeast(3.0)),
    ("three nodes: end to end", "p99", Goal::AtMost(1.0 / 3.0)),
    ("three nodes: from nothing", "", Goal::Below(500.0)),
    ("three nodes: RSS idle", "", Goal::Below(60.0)),
    ("three nodes: kill -9", "", Goal::Below(1000.0)),
    ("kafka-topics --help", "wall time", Goal::Below(10.0)),
    ("kafka-topics --describe", "wall time", Goal::Below(20.0)),
    ("kafka-con", "rate", Goal::AtLeast(2.0)),
    ("kafka-con", "CPU", Goal::AtMost(0.25)),
    ("produce ", "broker CPU", Goal::AtMost(0.25)),
    ("produce ", "rate", Goal::AtLeast(1.0)),
    ("rdkafka_performance ", "rate", Goal::AtLeast(3.0)),
    ("rdkafka_performance ", "broker CPU", Goal::AtMost(0.25)),
    ("consume 100 B", "broker CPU", Goal::AtMost(0.25)),
    ("consume 1024 B", "broker CPU", Goal::AtMost(0.5)),
    ("end to end", "p99", Goal::AtMost(1.0 / 3.0)),
    ("start to first answer", "", Goal::Below(50.0)),
    ("start with ", "", Goal::Below(1000.0)),
    ("RSS idle", "", Goal::Below(15.0)),
    ("RSS per idle partition", "", Goal::Below(4.0)),
    ("RSS after the load", "", Goal::Below(64.0)),
    ("idle CPU", "", Goal::Below(0.2)),
];

/// Both sides, and the bare loop.
#[derive(Default)]
pub struct Report {
    sides: BTreeMap<&'static str, Figures>,
    floor: Option<Figures>,
}

struct Row {
    name: String,
    unit: &'static str,
    apache: Option<f64>,
    ottla: Option<f64>,
    goal: Option<(String, bool)>,
}

impl Report {
    pub fn put(&mut self, system: System, figures: Figures) {
        self.sides.entry(system.name()).or_default().rows.extend(figures.rows);
    }

    pub fn floor(&mut self, figures: Figures) {
        self.floor = Some(figures);
    }

    fn rows(&self) -> Vec<Row> {
        let (apache, ottla) = (self.sides.get(System::Apache.name()), self.sides.get(System::Ottla.name()));
        let Some(names) = ottla.or(apache) else { return Vec::new() };
        let row = |(name, unit, _): &(String, &'static str, f64)| {
            let apache = apache.and_then(|f| f.get(name));
            let ottla = ottla.and_then(|f| f.get(name));
            Row { name: name.clone(), unit, apache, ottla, goal: goal(name, apache, ottla) }
        };
        let mut rows: Vec<Row> = names.rows.iter().map(row).collect();
        rows.extend(self.above_the_floor());
        rows
    }

    /// What ours costs above the bare loop of the same bytes.
    fn above_the_floor(&self) -> Vec<Row> {
        let Some(floor) = &self.floor else { return Vec::new() };
        let mut rows = Vec::new();
        for size in ["100 B", "1024 B"] {
            let Some(bare) = floor.get(&format!("bare loop {size}: CPU")) else { continue };
            if let Some(side) = self.sides.get(System::Ottla.name()) {
                for acks in ["1", "all"] {
                    let Some(ours) = side.get(&format!("produce {size} acks={acks}: broker CPU")) else {
                        continue;
                    };
                    rows.push(Row {
                        name: format!("produce {size} acks={acks}: CPU above the bare loop"),
                        unit: "times",
                        apache: None,
                        ottla: Some(ours / bare),
                        goal: Some(("at most 1.5".to_owned(), ours / bare <= 1.5)),
                    });
                }
            }
        }
        rows
    }

    /// The table.
    pub fn print(&self) {
        println!("\n{:<62} {:>12} {:>12} {:>8}  goal", "", "Apache Kafka", "Ottla", "ratio");
        for row in self.rows() {
            let figure = |value: Option<f64>| value.map_or("-".to_owned(), shown);
            let ratio = match (row.apache, row.ottla) {
                (Some(apache), Some(ottla)) if apache > 0.0 => format!("{:.3}", ottla / apache),
                _ => "-".to_owned(),
            };
            let goal = row.goal.map_or(String::new(), |(goal, reached)| {
                format!("{goal}{}", if reached { ", reached" } else { ", NOT REACHED" })
            });
            let name = format!("{} ({})", row.name, row.unit);
            println!("{name:<62} {:>12} {:>12} {ratio:>8}  {goal}", figure(row.apache), figure(row.ottla));
        }
    }

    /// `target/bench/DATE-COMMIT.json`, and the same as `last.json`.
    pub fn save(&self, scale: Scale) -> Result<()> {
        let (commit, date) =
            (say("git", &["rev-parse", "--short", "HEAD"]), say("date", &["-u", "+%Y-%m-%dT%H:%MZ"]));
        let rows: Vec<Value> = self
            .rows()
            .into_iter()
            .map(|row| {
                let (goal, reached) =
                    row.goal.map_or((Value::Null, Value::Null), |(g, r)| (json!(g), json!(r)));
                json!({
                    "figure": row.name, "unit": row.unit, "apache": row.apache, "ottla": row.ottla,
                    "goal": goal, "reached": reached,
                })
            })
            .collect();
        let floor: Vec<Value> =
            self.floor.iter().flat_map(|f| &f.rows).map(|(n, u, v)| json!([n, u, v])).collect();
        let all = json!({
            "date": date,
            "commit": commit,
            "changed": !say("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty(),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "records": scale.records,
            "peer": "Apache Kafka 4.3.1, warm",
            "figures": rows,
            "bare_loop": floor,
        });
        let dir = process::target().join("bench");
        fs::create_dir_all(&dir)?;
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let text = serde_json::to_string_pretty(&all)? + "\n";
        let file = dir.join(format!("{seconds}-{commit}.json"));
        fs::write(&file, &text)?;
        fs::write(dir.join("last.json"), text)?;
        println!("\nsaved as {}", file.display());
        Ok(())
    }
}

fn goal(name: &str, apache: Option<f64>, ottla: Option<f64>) -> Option<(String, bool)> {
    let fits = |(begin, end, _): &&(&str, &str, Goal)| name.starts_with(begin) && name.ends_with(end);
    let (_, _, goal) = GOALS.iter().find(fits)?;
    let ours = ottla?;
    Some(match goal {
        Goal::AtMost(part) => {
            (format!("at most {part:.2} of it"), apache.is_some_and(|theirs| ours <= theirs * part))
        }
        Goal::AtLeast(times) => {
            (format!("at least {times:.0} times"), apache.is_some_and(|theirs| ours >= theirs * times))
        }
        Goal::Below(bound) => (format!("at most {bound}"), ours <= *bound),
    })
}

fn say(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(process::root());
    process::checked(&mut command, Duration::from_secs(20)).map_or(String::new(), |t| t.trim().to_owned())
}

/// Digits that mean something.
fn shown(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_met_or_not() {
        let reached =
            |name: &str, apache: f64, ottla: f64| goal(name, Some(apache), Some(ottla)).map(|(_, r)| r);
        assert_eq!(reached("produce 100 B acks=1: broker CPU", 1.0, 0.25), Some(true));
        assert_eq!(reached("produce 100 B acks=1: broker CPU", 1.0, 0.26), Some(false));
        assert_eq!(reached("rdkafka_performance 100 B acks=1: rate", 100.0, 290.0), Some(false));
        assert_eq!(reached("end to end: p99", 9.0, 3.0), Some(true));
        assert_eq!(reached("end to end: p99.9", 9.0, 9.0), None);
        assert_eq!(reached("start to first answer", 3000.0, 51.0), Some(false));
        assert_eq!(reached("consume 100 B: rate", 1.0, 1.0), None);
    }
}
