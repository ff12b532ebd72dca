//! The move: three nodes of Apache Kafka under producers and groups; each in turn stopped and started as ours on its own
//! disk and configuration; then all three moved back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::programs::{self, Java, Librdkafka, Program};
use super::{A, O, agree, cluster, kind};
use crate::frame;
use crate::it::cluster::nodes::{Nodes, Shape, Voters};
use crate::it::cluster::wire;
use crate::process;
use crate::server::System;
use crate::tally::Tally;

const TOPIC: &str = "moved";
const PARTITIONS: i32 = 6;

/// One move, over and back.
pub fn static_voters(tally: &mut Tally) {
    tally.check("three nodes move to Ottla, one by one, and back (static voters)", || {
        moved("move-static", Voters::Static, How::Clean)
    });
}

pub fn run(tally: &mut Tally) {
    static_voters(tally);
    tally.check("three nodes move to Ottla, one by one, and back (dynamic voters)", || {
        moved("move-dynamic", Voters::Dynamic, How::Clean)
    });
    tally.check("the same, each node killed with -9 in the middle of its move", || {
        moved("move-killed", Voters::Static, How::Killed)
    });
}

/// Producers and group members of both client libraries.
struct Load {
    dir: PathBuf,
    java: Program,
    librdkafka: Librdkafka,
    java_member: Program,
    librdkafka_member: Program,
}

impl Load {
    fn start(nodes: &Nodes, java: &Java) -> Result<Load> {
        let bootstrap = nodes.bootstrap();
        let dir =
            nodes.all[0].data().parent().and_then(|d| d.parent()).context("the judge's place")?.to_path_buf();
        let file = |name: &str| dir.join(name).display().to_string();
        let produce = java.command(&bootstrap, &["produce", TOPIC, "java", &file("java.book")]);
        let consume =
            java.command(&bootstrap, &["consume", TOPIC, "java-group", &file("member.book"), "classic"]);
        let mut load = Load {
            java: Program::start(&dir, "java-producer", produce)?,
            librdkafka: Librdkafka::produce(&dir, &bootstrap, TOPIC, "librdkafka")?,
            java_member: Program::start(&dir, "java-member", consume)?,
            librdkafka_member: programs::librdkafka_member(&dir, &bootstrap, TOPIC, "librdkafka-group")?,
            dir,
        };
        load.goes_on()?;
        Ok(load)
    }

    fn member_book(&self) -> String {
        let bytes = std::fs::read(self.dir.join("member.book")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Both groups are given what both producers write from now on.
    fn goes_on(&mut self) -> Result<()> {
        let count = |book: &str, tag: &str| book.lines().filter(|l| l.contains(tag)).count();
        let seen = |load: &Load| -> Vec<usize> {
            let (one, other) = (load.member_book(), load.librdkafka_member.said());
            let tags = [" java:", " librdkafka:"];
            [&one, &other].iter().flat_map(|book| tags.map(|tag| count(book, tag))).collect()
        };
        let before = seen(self);
        programs::until("given records of both producers to both groups", Duration::from_secs(60), || {
            self.java.works()?;
            self.librdkafka.works()?;
            self.java_member.works()?;
            self.librdkafka_member.works()?;
            Ok(seen(self).iter().zip(&before).all(|(now, then)| *now >= then + 30))
        })
    }

    /// Ends everything: what was acknowledged lies in the log once, in order, and each group was given all of it.
    fn end(self, nodes: &Nodes, clean: bool) -> Result<()> {
        let said = self.java.end(false).context("the Java producer")?;
        let fed = self.librdkafka.end().context("librdkafka's producer")?;
        ensure!(said.contains(" failed 0 "), "the Java producer: {said}");
        let book = programs::acknowledged(&self.dir.join("java.book"))?;
        ensure!(said.starts_with(&format!("sent {} acknowledged {} ", book.len(), book.len())), "{said}");

        let all = programs::read_all(&nodes.bootstrap(), TOPIC)?;
        for (number, partition, offset) in &book {
            let value = format!("java:{number}");
            let places = all.get(&value).with_context(|| format!("'{value}' is lost"))?;
            ensure!(
                places == &[(*partition, *offset)],
                "'{value}', acknowledged at {partition} {offset}: {places:?}"
            );
        }
        for number in 0..fed {
            let value = format!("librdkafka:{number}");
            let places = all.get(&value).with_context(|| format!("'{value}' is lost"))?;
            ensure!(places.len() == 1, "'{value}' lies at {places:?}");
        }
        ensure!(all.len() == book.len() + fed, "{} values, {} written", all.len(), book.len() + fed);
        in_order(&all)?;

        // The members still work on what came last.
        let wanted = all.len();
        let member = |load: &PathBuf| {
            let bytes = std::fs::read(load.join("member.book")).unwrap_or_default();
            programs::given(&String::from_utf8_lossy(&bytes))
        };
        programs::until("given everything to both groups", Duration::from_secs(60), || {
            let (one, other) = (member(&self.dir), programs::given(&self.librdkafka_member.said()));
            ensure!(one.len() >= wanted, "the Java group was given {} of {wanted}", one.len());
            ensure!(other.len() >= wanted, "librdkafka's group was given {} of {wanted}", other.len());
            Ok(true)
        })?;
        let java_says = self.java_member.end(false).context("the Java member")?;
        self.librdkafka_member.end(true).context("librdkafka's member")?;
        let doubled = member(&self.dir).values().filter(|n| **n > 1).count();
        // It commits after every poll: without a kill nobody is given a record again.
        ensure!(doubled == 0 || !clean, "the Java group was given {doubled} records twice");
        println!(
            "      java: {}; librdkafka: {fed}; {}; {doubled} given twice",
            said.trim(),
            java_says.trim()
        );
        Ok(())
    }
}

/// In each partition the numbers of each producer rise.
fn in_order(all: &HashMap<String, Vec<(i32, i64)>>) -> Result<()> {
    let mut rows: Vec<(&str, i32, i64, u64)> = Vec::new();
    for (value, places) in all {
        let (tag, number) = value.split_once(':').with_context(|| format!("'{value}' is nobody's"))?;
        rows.extend(places.iter().map(|(p, o)| (tag, *p, *o, number.parse().unwrap_or(u64::MAX))));
    }
    rows.sort_unstable();
    for pair in rows.windows(2) {
        let [(tag, p, o, n), (next_tag, next_p, _, next_n)] = pair else { continue };
        let rises = tag != next_tag || p != next_p || n < next_n;
        ensure!(rises, "partition {p}: {tag}:{n} at {o} and then {tag}:{next_n}");
    }
    Ok(())
}

/// How a node goes from one program to the other.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Clean,
    /// Each node meets another accident: its first start as the other is killed and begun again; it was killed itself and
    /// left its directory unclean; its first start as the other is killed, and it goes back and over once more.
    Killed,
}

/// When a start is killed: in the middle of it, as far as the two take the same time on every machine.
fn middle(of: System, id: i32) -> Duration {
    match (of, id) {
        (O, 1) => Duration::from_millis(40),
        (O, _) => Duration::from_millis(400),
        (A, 1) => Duration::from_millis(1500),
        (A, _) => Duration::from_millis(4000),
    }
}

fn moved(name: &str, voters: Voters, how: How) -> Result<()> {
    let java = Java::new()?;
    let mut nodes = cluster(name, &[A], Shape::Combined(3), voters)?;
    nodes.start_all()?;
    nodes.ready()?;
    let created = wire::create_topic(nodes.ports()[0], TOPIC, PARTITIONS, 3)?;
    ensure!(created == 0, "CreateTopics: error {created}");
    nodes.whole(TOPIC)?;
    let mut load = Load::start(&nodes, &java)?;
    for to in [O, A] {
        for id in 1..=3 {
            swap(&mut nodes, id, to, how).with_context(|| format!("node {id} to {}", to.name()))?;
            load.goes_on().with_context(|| format!("after node {id} went to {}", to.name()))?;
        }
        agree::metadata(&nodes).context("the metadata")?;
    }
    load.end(&nodes, how == How::Clean)?;
    agree::everything(&nodes, &[TOPIC, "__consumer_offsets"])
}

/// One node's turn: stopped, started as the other on its disk, back in every ISR.
fn swap(nodes: &mut Nodes, id: i32, to: System, how: How) -> Result<()> {
    let start = Instant::now();
    let clean = how == How::Clean || id != 2;
    if clean {
        nodes.stop(id)?;
    } else {
        nodes.kill(id)?;
    }
    let stopped = start.elapsed();
    let from = kind(nodes, id);
    nodes.give(id, to)?;
    if to == O {
        let mut doctor = O.program("doctor")?;
        let file = nodes.node(id).file();
        let text = process::checked(doctor.arg("--before-move").arg(file), Duration::from_secs(20))?;
        ensure!(text.contains("ready to move"), "doctor: {text}");
        ensure!(text.contains("stopped cleanly") == clean, "doctor: {text}");
    }
    nodes.start(id)?;
    if how == How::Killed && id != 2 {
        std::thread::sleep(middle(to, id));
        nodes.kill(id)?;
        if id == 3 {
            nodes.give(id, from)?;
            nodes.start(id)?;
            serves(nodes, id).with_context(|| format!("as {} again", from.name()))?;
            nodes.stop(id)?;
            nodes.give(id, to)?;
        }
        nodes.start(id)?;
    }
    serves(nodes, id)?;
    let serves = start.elapsed();
    nodes.ready()?;
    nodes.whole(TOPIC)?;
    nodes.whole("__consumer_offsets")?;
    println!(
        "      node {id} to {}: stopped in {:.1} s, serves after {:.1} s, in every ISR after {:.1} s",
        to.name(),
        stopped.as_secs_f64(),
        serves.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    // What each leaves behind is what the other's own tool takes for a formatted directory.
    let mut info = A.program("kafka-storage")?;
    let text =
        process::checked(info.args(["info", "-c"]).arg(nodes.node(id).file()), Duration::from_secs(60))?;
    ensure!(!text.contains("Found problem"), "kafka-storage info: {text}");
    Ok(())
}

/// Until the node answers clients.
fn serves(nodes: &Nodes, id: i32) -> Result<()> {
    let port = nodes.node(id).port.context("a broker")?;
    programs::until("serving", Duration::from_secs(90), || {
        Ok(frame::brokers(port, Duration::from_secs(2)).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_order_is_found() {
        let all = |rows: &[(&str, i32, i64)]| -> HashMap<String, Vec<(i32, i64)>> {
            rows.iter().map(|(v, p, o)| ((*v).to_owned(), vec![(*p, *o)])).collect()
        };
        assert!(in_order(&all(&[("a:1", 0, 0), ("b:0", 0, 1), ("a:2", 0, 2), ("a:0", 1, 9)])).is_ok());
        assert!(in_order(&all(&[("a:2", 0, 0), ("a:1", 0, 1)])).is_err());
    }
}
