//! The independent checker: writers that keep a book of every acknowledgement, and kcat, which reads all of it back.
//!
//! A writer owns one partition. It is idempotent: it sends batch after batch of one record with the next sequence
//! number, and sends the same one again until it is acknowledged, wherever the leader is by then.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use super::super::batch::{self, Batch};
use super::nodes::Nodes;
use super::wire;
use crate::frame;
use crate::machine::Need;
use crate::process;

/// How long one record may wait for its acknowledgement before its writer gives up. On a busy machine a JVM alone takes half a
/// minute to start; what was lost stays lost for longer.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long one request may wait: a leader that stands still shall be left soon.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a writer that was asked to end still tries the record at hand.
const STOPPING: Duration = Duration::from_secs(10);
/// Between two records of one writer: a full speed race would hide nothing, but fill the disk.
const PACE: Duration = Duration::from_millis(2);
/// NOT_ENOUGH_REPLICAS_AFTER_APPEND and its like, and leaders that moved: the same record again.
const AGAIN: &[i16] = &[3, 5, 6, 7, 8, 9, 13, 15, 16, 19, 20, 56, 74, 75, 76];
const DUPLICATE_SEQUENCE: i16 = 46;

/// One writer's book.
#[derive(Default)]
struct Book {
    /// Offset (-1: acknowledged as a duplicate) of record 0, 1, 2 ...
    offsets: Vec<i64>,
    silence: Duration,
}

/// Writers at work, one for each partition.
pub struct Ledger {
    topic: String,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<Result<Book>>>,
}

/// What the readers found.
pub struct Verdict {
    pub records: usize,
    /// The longest time that a partition's writer waited for an acknowledgement.
    pub silence: Duration,
}

fn value(partition: i32, number: usize) -> String {
    format!("{partition}:{number}")
}

impl Ledger {
    /// Creates `topic` and begins to write; returns once every partition has acknowledged.
    pub fn open(nodes: &Nodes, topic: &str, partitions: i32, copies: i16) -> Result<Ledger> {
        let ledger = Ledger::begin(nodes, topic, partitions, copies)?;
        ledger.until_more(20 * partitions as usize)?;
        Ok(ledger)
    }

    /// The same, without waiting for an acknowledgement.
    pub fn begin(nodes: &Nodes, topic: &str, partitions: i32, copies: i16) -> Result<Ledger> {
        until("the topic is created", || {
            match wire::create_topic(nodes.ports()[0], topic, partitions, copies)? {
                // It may be there already from an attempt whose answer got lost.
                0 | 36 => Ok(()),
                code => bail!("CreateTopics: error {code}"),
            }
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let ports = nodes.all_ports();
        let mut writers = Vec::new();
        for partition in 0..partitions {
            let (ports, topic) = (ports.clone(), topic.to_owned());
            let (stop, count) = (stop.clone(), count.clone());
            writers.push(thread::spawn(move || write(&ports, &topic, partition, &stop, &count)));
        }
        Ok(Ledger { topic: topic.to_owned(), stop, count, writers })
    }

    /// Where its records are.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Until `more` further records are acknowledged.
    pub fn until_more(&self, more: usize) -> Result<()> {
        let (start, before) = (Instant::now(), self.count.load(Ordering::Relaxed));
        while self.count.load(Ordering::Relaxed) < before + more {
            let ended = self.writers.iter().any(JoinHandle::is_finished);
            ensure!(!ended, "a writer gave up: its reason stands at the end");
            ensure!(start.elapsed() < PATIENCE, "no {more} acknowledgements in {} s", PATIENCE.as_secs());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the writers and lets kcat read everything: each acknowledged record at its offset, each once, in order.
    pub fn close(mut self, nodes: &Nodes) -> Result<Verdict> {
        self.stop.store(true, Ordering::Relaxed);
        let mut books = BTreeMap::new();
        for (partition, writer) in std::mem::take(&mut self.writers).into_iter().enumerate() {
            let book = writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?;
            books.insert(
                partition as i32,
                book.with_context(|| format!("the writer of partition {partition}"))?,
            );
        }
        let kcat = Need::Kcat.find().with_context(|| format!("lacking: {}", Need::Kcat.how()))?;
        let mut command = Command::new(kcat);
        command.args(["-b", &nodes.bootstrap(), "-C", "-e", "-q", "-o", "beginning", "-t", &self.topic]);
        command.args(["-X", "check.crcs=true", "-f", "%p %o %s\\n"]);
        let text = process::checked(&mut command, Duration::from_secs(60))?;
        let mut read: HashMap<i32, Vec<(i64, String)>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let partition = words.next().context("a partition")?.parse()?;
            let offset = words.next().context("an offset")?.parse()?;
            read.entry(partition).or_default().push((offset, words.collect::<Vec<_>>().join(" ")));
        }
        let mut verdict = Verdict { records: 0, silence: Duration::ZERO };
        for (partition, book) in &books {
            judge(*partition, book, read.get(partition).map_or(&[][..], Vec::as_slice))?;
            verdict.records += book.offsets.len();
            verdict.silence = verdict.silence.max(book.silence);
        }
        Ok(verdict)
    }
}

/// The writers of a check that failed shall not meet the next cluster on the same ports.
impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in std::mem::take(&mut self.writers) {
            let _ = writer.join();
        }
    }
}

/// Nothing lost, nothing doubled, everything in order, at the offsets that were acknowledged.
fn judge(partition: i32, book: &Book, read: &[(i64, String)]) -> Result<()> {
    let mut next = 0;
    for (offset, found) in read {
        let expected = value(partition, next);
        ensure!(
            *found == expected,
            "offset {offset} of partition {partition} is '{found}', not '{expected}'"
        );
        // The record that was under way when the writers ended is there or not, unacknowledged.
        if let Some(said) = book.offsets.get(next) {
            ensure!(
                *said == -1 || said == offset,
                "'{found}' was acknowledged at {said} and lies at {offset}"
            );
        }
        next += 1;
    }
    ensure!(
        next >= book.offsets.len(),
        "partition {partition}: {} acknowledged, {next} read: '{}' is lost",
        book.offsets.len(),
        value(partition, next)
    );
    ensure!(
        next <= book.offsets.len() + 1,
        "partition {partition}: {next} read, {} written",
        book.offsets.len()
    );
    Ok(())
}

fn write(ports: &[u16], topic: &str, partition: i32, stop: &AtomicBool, count: &AtomicUsize) -> Result<Book> {
    let at = std::cell::Cell::new(0);
    let (id, epoch) = until("a producer id", || {
        at.set((at.get() + 1) % ports.len());
        wire::producer_id(ports[at.get()])
    })?;
    let mut book = Book::default();
    let mut connection: Option<TcpStream> = None;
    let mut last = None;
    while !stop.load(Ordering::Relaxed) {
        let number = book.offsets.len();
        let mut records = Batch::of(batch::record(0, value(partition, number).as_bytes()), 1);
        // Of today: a node that starts again forgets producers whose records are old (`producer.id.expiration.ms`).
        records.time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        records.producer = (id, epoch, i32::try_from(number)?);
        let request = request(topic, partition, &records.bytes());
        let start = Instant::now();
        let offset = loop {
            match attempt(ports, topic, partition, &request, &mut connection) {
                Ok((0, offset)) => break offset,
                Ok((DUPLICATE_SEQUENCE, _)) => break -1,
                Ok((code, _)) if !AGAIN.contains(&code) => {
                    bail!("record {number} of {topic}-{partition}: error {code}")
                }
                answer => {
                    connection = None;
                    if stop.load(Ordering::Relaxed) && start.elapsed() > STOPPING {
                        return Ok(book);
                    }
                    if start.elapsed() > PATIENCE {
                        let said = match answer {
                            Ok((code, _)) => format!("error {code}"),
                            Err(error) => format!("{error:#}"),
                        };
                        bail!(
                            "record {number} of {topic}-{partition} after {} s: {said}",
                            PATIENCE.as_secs()
                        );
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            }
        };
        let now = Instant::now();
        if let Some(last) = last.replace(now) {
            book.silence = book.silence.max(now.duration_since(last));
        }
        book.offsets.push(offset);
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PACE);
    }
    Ok(book)
}

/// One request to the leader; its error code and offset.
fn attempt(
    ports: &[u16],
    topic: &str,
    partition: i32,
    request: &[u8],
    connection: &mut Option<TcpStream>,
) -> Result<(i16, i64)> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(connect(ports, topic, partition)?),
    };
    let body = frame::ask(stream, request, 21)?;
    let at = 4 + 2 + topic.len() + 4 + 4;
    let fields = body.get(at..at + 10).context("a Produce response that breaks off")?;
    Ok((i16::from_be_bytes([fields[0], fields[1]]), i64::from_be_bytes(fields[2..].try_into()?)))
}

/// To the leader, as the first broker that answers and knows one says. One after the other: one of them may be wrong.
fn connect(ports: &[u16], topic: &str, partition: i32) -> Result<TcpStream> {
    for port in ports {
        let Ok(view) = wire::view(*port) else { continue };
        let leader = view.partitions.get(&(topic.to_owned(), partition)).map(|p| p.leader);
        let Some(leader) = leader.and_then(|leader| view.brokers.get(&leader)) else { continue };
        if let Ok(stream) = frame::connect(*leader, ANSWER) {
            return Ok(stream);
        }
    }
    bail!("no broker knows a leader that takes connections")
}

/// Produce version 7, acks=all.
fn request(topic: &str, partition: i32, records: &[u8]) -> Vec<u8> {
    let body = frame::Bytes::new().i16(-1).i16(-1).i32(2500).i32(1).string(topic).i32(1).i32(partition);
    frame::request(frame::PRODUCE, 7, 21, false, body.i32(records.len() as i32).raw(records))
}

/// Again and again until it succeeds.
fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > PATIENCE => return Err(error.context(what.to_owned())),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<(i64, String)> {
        values.iter().enumerate().map(|(at, v)| (at as i64, (*v).to_owned())).collect()
    }

    #[test]
    fn the_checker_finds_what_it_is_there_for() {
        let book = Book { offsets: vec![0, 1, 2], silence: Duration::ZERO };
        let judged = |values: &[&str]| judge(4, &book, &read(values)).is_ok();
        assert!(judged(&["4:0", "4:1", "4:2"]));
        assert!(judged(&["4:0", "4:1", "4:2", "4:3"]), "one more may be under way");
        assert!(!judged(&["4:0", "4:1"]), "the last one is lost");
        assert!(!judged(&["4:0", "4:2"]), "one in the middle is lost");
        assert!(!judged(&["4:0", "4:1", "4:1", "4:2"]), "one is doubled");
        assert!(!judged(&["4:1", "4:0", "4:2"]), "out of order");
        assert!(!judged(&["4:0", "4:1", "4:2", "4:3", "4:4"]), "more than one was never acknowledged");
        let moved = vec![(0, "4:0".to_owned()), (1, "4:1".to_owned()), (7, "4:2".to_owned())];
        assert!(judge(4, &book, &moved).is_err(), "not where it was acknowledged");
    }
}
