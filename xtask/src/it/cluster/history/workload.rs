//! Processes that send and poll at any broker that leads, and write down what they did.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use super::super::super::batch::{self, Batch};
use super::super::wire;
use super::checker::{Operation, Outcome, What};
use crate::frame::{self, Bytes};

const ANSWER: Duration = Duration::from_secs(3);
/// How long an idempotent send is tried again.
const PATIENCE: Duration = Duration::from_secs(20);
const PACE: Duration = Duration::from_millis(4);
/// How long the last polls may take, with everything healed.
const LAST: Duration = Duration::from_secs(60);
/// NOT_ENOUGH_REPLICAS: found out before anything is appended.
const NOT_ENOUGH_REPLICAS: i16 = 19;
const DUPLICATE_SEQUENCE: i16 = 46;
/// Leaders that moved, brokers that are busy, replicas that are short.
const AGAIN: &[i16] = &[3, 5, 6, 7, 8, 9, 13, 15, 16, 19, 20, 56, 74, 75, 76];

/// Where the brokers are, by their ids.
pub type Places = BTreeMap<i32, SocketAddr>;

/// Processes at work.
pub struct Workload {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Result<Vec<Operation>>>>,
}

impl Workload {
    /// Two of three processes are idempotent and insist; the third sends each record once and takes what comes.
    pub fn start(places: &Places, topic: &str, partitions: i32, processes: usize) -> Workload {
        let stop = Arc::new(AtomicBool::new(false));
        let taken = Arc::new(AtomicUsize::new(0));
        let zero = Instant::now();
        let spawn = |process: usize| {
            let mut one = Process {
                number: process,
                places: places.clone(),
                topic: topic.to_owned(),
                partitions,
                zero,
                connections: HashMap::new(),
                leaders: HashMap::new(),
                producer: None,
                positions: HashMap::new(),
                history: Vec::new(),
            };
            let (stop, taken) = (stop.clone(), taken.clone());
            thread::spawn(move || one.work(&stop, &taken).map(|()| one.history))
        };
        Workload { threads: (0..processes).map(spawn).collect(), stop, taken }
    }

    /// Until `more` further records are acknowledged.
    pub fn until_more(&self, more: usize, limit: Duration) -> Result<()> {
        let (start, before) = (Instant::now(), self.taken.load(Ordering::Relaxed));
        while self.taken.load(Ordering::Relaxed) < before + more {
            ensure!(!self.threads.iter().any(JoinHandle::is_finished), "a process gave up");
            ensure!(start.elapsed() < limit, "no {more} acknowledgements in {} s", limit.as_secs());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the sends, polls everything to its end, and hands the history over.
    pub fn finish(mut self) -> Result<Vec<Operation>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut history = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            history.extend(thread.join().map_err(|_| anyhow::anyhow!("a process panicked"))??);
        }
        Ok(history)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Process {
    number: usize,
    places: Places,
    topic: String,
    partitions: i32,
    zero: Instant,
    connections: HashMap<i32, TcpStream>,
    leaders: HashMap<i32, i32>,
    /// Id, epoch, and the next sequence number of each partition.
    producer: Option<(i64, i16, HashMap<i32, i32>)>,
    positions: HashMap<i32, i64>,
    history: Vec<Operation>,
}

impl Process {
    fn work(&mut self, stop: &AtomicBool, taken: &AtomicUsize) -> Result<()> {
        let mut state = self.number as u64 * 0x9e37_79b9 + 1;
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let partition = ((state >> 33) % self.partitions as u64) as i32;
            let begin = self.zero.elapsed();
            let what = if (state >> 40).is_multiple_of(3) {
                match self.poll(partition) {
                    Ok(records) => What::Poll { records },
                    // What was not given was not polled.
                    Err(_) => continue,
                }
            } else {
                count += 1;
                let value = self.number as u64 * 1_000_000_000 + count;
                let outcome = self.send(partition, value, stop)?;
                if matches!(outcome, Outcome::Taken(_)) {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                What::Send { value, outcome }
            };
            self.note(partition, begin, what);
            thread::sleep(PACE);
        }
        for partition in 0..self.partitions {
            self.poll_to_the_end(partition)?;
        }
        Ok(())
    }

    fn note(&mut self, partition: i32, begin: Duration, what: What) {
        let end = self.zero.elapsed();
        self.history.push(Operation { process: self.number, partition, begin, end, what });
    }

    fn send(&mut self, partition: i32, value: u64, stop: &AtomicBool) -> Result<Outcome> {
        let insists = self.number % 3 != 2;
        let start = Instant::now();
        while insists && self.producer.is_none() {
            let found = self.places.values().find_map(|at| wire::producer_id_at(*at).ok());
            self.producer = found.map(|(id, epoch)| (id, epoch, HashMap::new()));
            if self.producer.is_none() && (start.elapsed() > PATIENCE || stop.load(Ordering::Relaxed)) {
                return Ok(Outcome::Refused);
            }
        }
        let mut records = Batch::of(batch::record(0, value.to_string().as_bytes()), 1);
        records.time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        if let Some((id, epoch, sequences)) = self.producer.as_ref().filter(|_| insists) {
            records.producer = (*id, *epoch, *sequences.get(&partition).unwrap_or(&0));
        }
        let body = Bytes::new().i16(-1).i16(-1).i32(2500).i32(1).string(&self.topic).i32(1).i32(partition);
        let bytes = records.bytes();
        let body = body.i32(bytes.len() as i32).raw(&bytes);
        let request = frame::request(frame::PRODUCE, 7, 21, false, body);
        let begin = Instant::now();
        loop {
            let answer = self.produce(partition, &request);
            match answer {
                Ok((0, offset)) => return Ok(self.settled(partition, Some(offset))),
                Ok((DUPLICATE_SEQUENCE, _)) if insists => return Ok(self.settled(partition, None)),
                Ok((code, _)) if !AGAIN.contains(&code) => bail!("{value} to {partition}: error {code}"),
                Ok((NOT_ENOUGH_REPLICAS, _)) if !insists => return Ok(Outcome::Refused),
                _ if !insists => return Ok(Outcome::Unknown),
                _ => {}
            }
            self.leaders.remove(&partition);
            if begin.elapsed() > PATIENCE {
                // Its sequence number is in doubt: another producer goes on.
                self.producer = None;
                return Ok(Outcome::Unknown);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn settled(&mut self, partition: i32, offset: Option<i64>) -> Outcome {
        if let Some((_, _, sequences)) = self.producer.as_mut().filter(|_| self.number % 3 != 2) {
            *sequences.entry(partition).or_insert(0) += 1;
        }
        Outcome::Taken(offset)
    }

    fn produce(&mut self, partition: i32, request: &[u8]) -> Result<(i16, i64)> {
        let at = 4 + 2 + self.topic.len() + 4 + 4;
        let body = self.ask(partition, request)?;
        let fields = body.get(at..at + 10).context("a Produce response that breaks off")?;
        Ok((i16::from_be_bytes([fields[0], fields[1]]), i64::from_be_bytes(fields[2..].try_into()?)))
    }

    /// Asks the partition's leader; on any error the connection and what was known of the leader go.
    fn ask(&mut self, partition: i32, request: &[u8]) -> Result<Vec<u8>> {
        let leader = match self.leaders.get(&partition) {
            Some(leader) => *leader,
            None => self.find_leader(partition)?,
        };
        let at = *self.places.get(&leader).context("a broker that is not on the list")?;
        let answer = match self.connections.remove(&leader) {
            Some(stream) => Ok(stream),
            None => frame::connect_to(at, ANSWER),
        };
        let answer = answer.and_then(|mut stream| Ok((frame::ask(&mut stream, request, 21)?, stream)));
        match answer {
            Ok((body, stream)) => {
                self.connections.insert(leader, stream);
                Ok(body)
            }
            Err(error) => {
                self.leaders.remove(&partition);
                Err(error)
            }
        }
    }

    /// As any broker says; which one is asked first changes from time to time.
    fn find_leader(&mut self, partition: i32) -> Result<i32> {
        let all: Vec<SocketAddr> = self.places.values().copied().collect();
        let first = self.history.len() % all.len();
        for at in all.iter().cycle().skip(first).take(all.len()) {
            let Ok(view) = wire::view_at(*at) else { continue };
            let found = view.partitions.get(&(self.topic.clone(), partition)).map(|p| p.leader);
            if let Some(leader) = found.filter(|leader| *leader >= 0) {
                self.leaders.insert(partition, leader);
                return Ok(leader);
            }
        }
        bail!("no broker knows a leader")
    }

    /// What the leader has from this process's position on; the position moves behind it.
    fn poll(&mut self, partition: i32) -> Result<Vec<(i64, u64)>> {
        let position = *self.positions.get(&partition).unwrap_or(&0);
        let body = Bytes::new().i32(-1).i32(100).i32(1).i32(1 << 20).i8(0).i32(1).string(&self.topic);
        let body = body.i32(1).i32(partition).i64(position).i32(1 << 16);
        let request = frame::request(frame::FETCH, 4, 21, false, body);
        let answer = self.ask(partition, &request)?;
        let at = 4 + 4 + 2 + self.topic.len() + 4 + 4;
        let code = answer.get(at..at + 2).context("a Fetch response that breaks off")?;
        let code = i16::from_be_bytes(code.try_into()?);
        if code != 0 {
            self.leaders.remove(&partition);
            ensure!(code != 1, "position {position} of {partition} is out of range");
            bail!("Fetch: error {code}");
        }
        let aborted = i32::from_be_bytes(answer.get(at + 18..at + 22).context("aborted")?.try_into()?);
        ensure!(aborted <= 0, "aborted transactions where there are none");
        let records = records(answer.get(at + 26..).context("records")?, position)?;
        if let Some((last, _)) = records.last() {
            self.positions.insert(partition, last + 1);
        }
        Ok(records)
    }

    /// Until there is nothing more, twice.
    fn poll_to_the_end(&mut self, partition: i32) -> Result<()> {
        let (start, mut nothing) = (Instant::now(), 0);
        while nothing < 2 {
            let begin = self.zero.elapsed();
            match self.poll(partition) {
                Ok(records) => {
                    nothing = if records.is_empty() { nothing + 1 } else { 0 };
                    self.note(partition, begin, What::Poll { records });
                }
                Err(error) if start.elapsed() > LAST => return Err(error.context("the last polls")),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
        Ok(())
    }
}

/// The records from `position` on of batches with one record each; the last batch may be cut off.
fn records(mut bytes: &[u8], position: i64) -> Result<Vec<(i64, u64)>> {
    let mut found = Vec::new();
    while bytes.len() >= 61 {
        let offset = i64::from_be_bytes(bytes[..8].try_into()?);
        let length = 12 + usize::try_from(i32::from_be_bytes(bytes[8..12].try_into()?))?;
        let Some(batch) = bytes.get(..length) else { break };
        ensure!(i32::from_be_bytes(batch[57..61].try_into()?) == 1, "a batch of one record at {offset}");
        // Length, attributes, time, offset delta, key of length -1, then the value behind its length.
        let mut at = 61;
        let mut varint = |skip: usize| -> Result<i64> {
            at += skip;
            let (mut raw, mut shift) = (0u64, 0);
            loop {
                let byte = *batch.get(at).context("a record that breaks off")?;
                at += 1;
                raw |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
                }
            }
        };
        varint(0)?;
        varint(1)?;
        varint(0)?;
        ensure!(varint(0)? == -1, "a record without a key at {offset}");
        let size = usize::try_from(varint(0)?)?;
        let value = std::str::from_utf8(batch.get(at..at + size).context("a value")?)?.parse()?;
        if offset >= position {
            found.push((offset, value));
        }
        bytes = &bytes[length..];
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_read_from_the_position_on() {
        let one = |offset: i64, value: &str| {
            Batch { base_offset: offset, ..Batch::of(batch::record(0, value.as_bytes()), 1) }.bytes()
        };
        let mut bytes = [one(4, "7"), one(5, "1000000001"), one(6, "9")].concat();
        assert_eq!(records(&bytes, 5).expect("read"), [(5, 1_000_000_001), (6, 9)]);
        bytes.truncate(bytes.len() - 3);
        assert_eq!(records(&bytes, 0).expect("read"), [(4, 7), (5, 1_000_000_001)]);
    }
}
