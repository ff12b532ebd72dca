//! kill -9 of a group's coordinator while clients of three makers and twelve years produce and consume: rows S0-31 and
//! S3-27 to S3-32. Nothing that was acknowledged is lost, nothing below a committed offset was not given to a member,
//! and no client is started again or told anything.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::nodes::{Nodes, Shape, Voters};
use super::wire;
use crate::compat::clients::python;
use crate::compat::mixed::programs::{self, Java, Program};
use crate::machine::Need;
use crate::process;
use crate::server::System;
use crate::tally::Tally;

pub const NEEDS: &[Need] = &[Need::Jdk, Need::Maven, Need::OlderPython, Need::Python, Need::Kcat];

const TOPIC: &str = "orders";
const OFFSETS: &str = "__consumer_offsets";
/// What every group must be given before the next event.
const SOME: usize = 300;
/// Apache Kafka misses a broker after nine seconds, and its clients may need as long again.
const GOES_ON: Duration = Duration::from_secs(90);
/// The group with members of two makers.
const TOGETHER: &str = "together";

/// `cluster-coordinator`.
pub fn run(tally: &mut Tally, system: System) {
    tally.check("S3-27..31 kill -9 of every group's coordinator, three makers' clients at work", || {
        kills(system)
    });
    tally.check("S3-32 kill -9 of the only controller: leaders and groups go on without it", || {
        without_controller(system)
    });
}

/// The programs: one client library each.
struct Makers {
    java: Java,
    old: PathBuf,
    new: PathBuf,
}

impl Makers {
    fn new() -> Result<Makers> {
        let find = |need: Need| need.find().with_context(|| format!("lacking: {}", need.how()));
        let old = python::older_environment(&find(Need::OlderPython)?)?;
        let new = python::newest_environment(&find(Need::Python)?)?;
        Ok(Makers { java: Java::new()?, old, new })
    }

    fn command(&self, maker: &str, bootstrap: &str, words: &[&str]) -> Command {
        let (python, script) = match maker {
            "java" => return self.java.command(bootstrap, words),
            "old" => (&self.old, "old.py"),
            _ => (&self.new, "new.py"),
        };
        let mut command = Command::new(python);
        command.arg("-B").arg(process::root().join("xtask/judges/failover").join(script));
        command.arg(bootstrap).args(words);
        command
    }
}

const MAKERS: [(&str, &str); 3] =
    [("old", "kafka-python"), ("new", "confluent-kafka"), ("java", "Java client")];

/// A program and the book that it keeps.
struct Keeper {
    maker: &'static str,
    /// The group of a member, the tag of a producer.
    name: String,
    program: Program,
    book: PathBuf,
}

/// Everything at work.
struct Crowd {
    dir: PathBuf,
    producers: Vec<Keeper>,
    members: Vec<Keeper>,
}

impl Crowd {
    fn start(nodes: &Nodes, makers: &Makers) -> Result<Crowd> {
        let dir = nodes.dir().to_owned();
        let bootstrap = nodes.bootstrap();
        let mut crowd = Crowd { dir: dir.clone(), producers: Vec::new(), members: Vec::new() };
        for (maker, _) in MAKERS {
            let book = dir.join(format!("{maker}-producer.book"));
            let words = ["produce", TOPIC, maker, &shown(&book)];
            let command = makers.command(maker, &bootstrap, &words);
            let program = Program::start(&dir, &format!("{maker}-producer"), command)?;
            crowd.producers.push(Keeper { maker, name: maker.to_owned(), program, book });
        }
        let own = MAKERS.iter().map(|(maker, _)| (*maker, format!("group-{maker}")));
        let together = ["old", "new"].map(|maker| (maker, TOGETHER.to_owned()));
        for (maker, group) in own.chain(together) {
            let name = format!("{group}-{maker}");
            let book = dir.join(format!("{name}.book"));
            let mut words = vec!["consume".to_owned(), TOPIC.to_owned(), group.clone(), shown(&book)];
            words.extend((maker == "java").then(|| "classic".to_owned()));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let program = Program::start(&dir, &name, makers.command(maker, &bootstrap, &words))?;
            crowd.members.push(Keeper { maker, name: group, program, book });
        }
        Ok(crowd)
    }

    fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.members.iter().map(|m| m.name.clone()).collect();
        groups.dedup();
        groups
    }

    /// Places that members of each group were given, by group.
    fn given(&self) -> BTreeMap<String, HashSet<(i32, i64)>> {
        let mut all: BTreeMap<String, HashSet<(i32, i64)>> = BTreeMap::new();
        for member in &self.members {
            all.entry(member.name.clone()).or_default().extend(Book::read(&member.book).given.keys());
        }
        all
    }

    /// Every producer and every group go on.
    fn goes_on(&mut self) -> Result<()> {
        let before = self.given();
        let acknowledged = |keeper: &Keeper| fs::metadata(&keeper.book).map_or(0, |m| m.len());
        let written: Vec<u64> = self.producers.iter().map(acknowledged).collect();
        programs::until("every group and producer going on", GOES_ON, || {
            for keeper in self.producers.iter_mut().chain(&mut self.members) {
                keeper.program.works()?;
            }
            let now = self.given();
            let slow = now
                .iter()
                .find(|(group, places)| places.len() < before.get(*group).map_or(0, HashSet::len) + SOME);
            if let Some((group, places)) = slow {
                bail!("{group} was given {} records and no more", places.len());
            }
            let mute = self.producers.iter().zip(&written).find(|(p, before)| acknowledged(p) <= **before);
            match mute {
                Some((producer, _)) => bail!("the {} producer has no more acknowledgements", producer.maker),
                None => Ok(true),
            }
        })
    }

    /// Ends everybody and judges what the books say.
    fn judge(self, nodes: &Nodes) -> Result<()> {
        let bootstrap = nodes.bootstrap();
        let mut silences = Vec::new();
        let mut acknowledged: HashMap<String, (i32, i64)> = HashMap::new();
        for producer in self.producers {
            let said = producer.program.end(false)?;
            silences.push(format!("{} producer {}", name_of(producer.maker), silence(&said)?));
            for (number, partition, offset) in programs::acknowledged(&producer.book)? {
                acknowledged.insert(format!("{}:{number}", producer.name), (partition, offset));
            }
        }
        let log = programs::read_all(&bootstrap, TOPIC)?;
        for (value, place) in &acknowledged {
            let found =
                log.get(value).with_context(|| format!("'{value}' is lost: acknowledged at {place:?}"))?;
            ensure!(found.contains(place), "'{value}' was acknowledged at {place:?} and lies at {found:?}");
            // kafka-python sends again what it is not sure of.
            let once = found.len() == 1 || value.starts_with("old:");
            ensure!(once, "'{value}' of an idempotent producer lies at {found:?}");
        }
        let everything: HashSet<(i32, i64)> = log.values().flatten().copied().collect();
        let all_given = |books: &[PathBuf]| {
            let given: HashSet<(i32, i64)> =
                books.iter().flat_map(|book| Book::read(book).given.into_keys()).collect();
            everything.difference(&given).count()
        };
        let mut books: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for member in &self.members {
            books.entry(member.name.clone()).or_default().push(member.book.clone());
        }
        programs::until("all groups given everything", GOES_ON, || {
            match books.iter().find(|(_, books)| all_given(books) > 0) {
                Some((group, books)) => bail!("{group} lacks {} records", all_given(books)),
                None => Ok(true),
            }
        })?;
        for member in self.members {
            let said = member.program.end(false)?;
            silences.push(format!("{} member of {} {}", name_of(member.maker), member.name, silence(&said)?));
        }
        let mut twice = 0;
        for (group, books) in &books {
            twice += at_least_once(group, books, &everything)?;
        }
        lags(&bootstrap, &books.keys().cloned().collect::<Vec<_>>())?;
        println!(
            "      {} acknowledged and read back; given twice: {twice}; longest silences:",
            acknowledged.len()
        );
        for line in silences {
            println!("        {line} ms");
        }
        nodes.no_panic()
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn name_of(maker: &str) -> &'static str {
    MAKERS.iter().find(|(short, _)| *short == maker).map_or("?", |(_, name)| name)
}

/// The figure behind the last `silence`.
fn silence(said: &str) -> Result<&str> {
    let (_, rest) = said.rsplit_once("silence ").with_context(|| format!("no silence in '{said}'"))?;
    Ok(rest.trim())
}

/// A member's book.
#[derive(Default)]
struct Book {
    /// How often a place was given.
    given: HashMap<(i32, i64), usize>,
    /// The highest offset that was committed in each partition.
    committed: HashMap<i32, i64>,
}

impl Book {
    fn read(path: &Path) -> Book {
        let text = fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        Book::of(&text)
    }

    /// The last line may be under way.
    fn of(text: &str) -> Book {
        let mut book = Book::default();
        for line in text[..text.rfind('\n').map_or(0, |at| at + 1)].lines() {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let [first, second, third] = words[..] else { continue };
            if first == "committed" {
                let (Ok(partition), Ok(offset)) = (second.parse(), third.parse()) else { continue };
                let highest = book.committed.entry(partition).or_insert(offset);
                *highest = offset.max(*highest);
            } else if let (Ok(partition), Ok(offset)) = (first.parse(), second.parse()) {
                *book.given.entry((partition, offset)).or_insert(0) += 1;
            }
        }
        book
    }
}

/// Everything below a committed offset was given to some member; how many places were given more than once.
fn at_least_once(group: &str, books: &[PathBuf], everything: &HashSet<(i32, i64)>) -> Result<usize> {
    let mut all = Book::default();
    for book in books.iter().map(|book| Book::read(book)) {
        for (place, count) in book.given {
            *all.given.entry(place).or_insert(0) += count;
        }
        for (partition, offset) in book.committed {
            let highest = all.committed.entry(partition).or_insert(offset);
            *highest = offset.max(*highest);
        }
    }
    ensure!(!all.committed.is_empty(), "{group} has committed nothing");
    missed(group, &all, everything)?;
    Ok(all.given.values().filter(|count| **count > 1).count())
}

fn missed(group: &str, book: &Book, everything: &HashSet<(i32, i64)>) -> Result<()> {
    for place @ (partition, offset) in everything {
        let below = book.committed.get(partition).is_some_and(|committed| offset < committed);
        ensure!(
            !below || book.given.contains_key(place),
            "{group} committed past {place:?} and was not given it"
        );
    }
    Ok(())
}

/// S3-28, S3-30: the tool's table is complete with dead servers in the list, and its figures agree with each other.
fn lags(bootstrap: &str, groups: &[String]) -> Result<()> {
    for group in groups {
        let arguments = ["--bootstrap-server", bootstrap, "--describe", "--group", group];
        let text = programs::tool("kafka-consumer-groups", &arguments)?;
        let rows: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| line.starts_with(group.as_str()))
            .map(|line| line.split_whitespace().collect())
            .collect();
        ensure!(rows.len() == 3, "three partitions of {group}: {text}");
        for row in rows {
            let figure = |at: usize| -> Result<i64> { Ok(row.get(at).context("a figure")?.parse()?) };
            let (current, end, lag) = (figure(3)?, figure(4)?, figure(5)?);
            ensure!(lag == end - current, "a lag of {lag} in {row:?}");
        }
    }
    Ok(())
}

fn kills(system: System) -> Result<()> {
    let makers = Makers::new()?;
    let mut nodes = Nodes::make(system, "cluster-coordinator", Shape::Combined(3), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let code = wire::create_topic(nodes.ports()[0], TOPIC, 3, 3)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    nodes.whole(TOPIC)?;
    let mut crowd = Crowd::start(&nodes, &makers)?;
    crowd.goes_on().context("before anything happened")?;
    nodes.whole(OFFSETS)?;
    let mut hit = Vec::new();
    for group in crowd.groups() {
        let id = coordinator(&nodes, &group)?;
        hit.push(id);
        nodes.kill(id)?;
        crowd
            .goes_on()
            .with_context(|| format!("after node {id}, the coordinator of {group}, was killed"))?;
        // S3-29: who is there is in sync, who was a replica is one.
        programs::until("an ISR without the dead", GOES_ON, || {
            let view = nodes.view()?;
            let mine: Vec<_> = view.partitions.iter().filter(|((topic, _), _)| topic == TOPIC).collect();
            ensure!(mine.iter().all(|(_, p)| p.replicas.len() == 3), "three replicas: {mine:?}");
            Ok(mine.iter().all(|(_, p)| p.leader != id && !p.isr.contains(&id)))
        })?;
        if hit.len() == 1 {
            lags(&nodes.bootstrap(), &crowd.groups()).context("with a dead server in the list")?;
        }
        nodes.start(id)?;
        nodes.ready()?;
        nodes.whole(TOPIC)?;
        nodes.whole(OFFSETS)?;
    }
    // S3-31: the leaders of before, at once.
    let bootstrap = nodes.bootstrap();
    let elect = ["--bootstrap-server", &bootstrap, "--election-type", "preferred", "--all-topic-partitions"];
    programs::tool("kafka-leader-election", &elect)?;
    programs::until("led by the preferred", GOES_ON, || {
        Ok(nodes.view()?.partitions.values().all(|p| p.leader == p.replicas[0]))
    })?;
    crowd.goes_on().context("after the preferred election")?;
    println!("      coordinators killed: {hit:?}; books in {}", crowd.dir.display());
    crowd.judge(&nodes)
}

fn coordinator(nodes: &Nodes, group: &str) -> Result<i32> {
    let mut found = None;
    programs::until("a coordinator", GOES_ON, || {
        found = nodes.ports().iter().find_map(|port| wire::coordinator(*port, group).ok());
        Ok(found.is_some())
    })?;
    found.context("a coordinator")
}

fn without_controller(system: System) -> Result<()> {
    let makers = Makers::new()?;
    let mut nodes = Nodes::make(system, "cluster-only-controller", Shape::Split(2, 1), Voters::Static)?;
    nodes.start_all()?;
    nodes.ready()?;
    let code = wire::create_topic(nodes.ports()[0], TOPIC, 3, 2)?;
    ensure!(code == 0, "CreateTopics: error {code}");
    let mut crowd = Crowd::start(&nodes, &makers)?;
    crowd.goes_on().context("before anything happened")?;
    let controller = nodes.controller()?;
    nodes.kill(controller)?;
    crowd.goes_on().context("without a controller")?;
    let answer = wire::create_topic(nodes.ports()[0], "meanwhile", 1, 2);
    ensure!(!matches!(answer, Ok(0)), "a topic was created without a controller");
    crowd.goes_on().context("without a controller, and after a topic was asked for")?;
    nodes.start(controller)?;
    programs::until("a controller again", GOES_ON, || {
        Ok(matches!(wire::create_topic(nodes.ports()[0], "afterwards", 1, 2)?, 0 | 36))
    })?;
    crowd.goes_on().context("with the controller again")?;
    crowd.judge(&nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_and_never_given_is_found() {
        let book = Book::of("0 0 a\n0 1 b\ncommitted 0 2\n1 0 c\n0 2 d\n0 2 d\ncommitted 0 1\n0 3");
        assert_eq!(book.committed[&0], 2);
        assert_eq!(book.given[&(0, 2)], 2);
        assert!(!book.given.contains_key(&(0, 3)), "a line that is under way");
        let all = |places: &[(i32, i64)]| places.iter().copied().collect::<HashSet<_>>();
        assert!(missed("g", &book, &all(&[(0, 0), (0, 1), (0, 2), (0, 7), (1, 4)])).is_ok());
        let short = Book::of("0 0 a\ncommitted 0 2\n");
        assert!(missed("g", &short, &all(&[(0, 0), (0, 1)])).is_err());
    }

    #[test]
    fn the_last_silence_counts() {
        assert_eq!(silence("sent 5 acknowledged 5 failed 0 silence 812\n").expect("one"), "812");
        assert!(silence("nothing").is_err());
    }
}
