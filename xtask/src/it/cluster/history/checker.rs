//! Judges a history of sends and polls as Jepsen's workload for Kafka does, by the names it gives to anomalies. There are
//! no transactions here, so every operation touches one partition.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged; the offset, unless the broker said that it has the record already.
    Taken(Option<i64>),
    /// Refused before it could be appended.
    Refused,
    /// Nobody knows. It may be appended long after its sender gave up.
    Unknown,
}

#[derive(Debug, Clone)]
pub enum What {
    Send {
        value: u64,
        outcome: Outcome,
    },
    /// In the order in which they were given.
    Poll {
        records: Vec<(i64, u64)>,
    },
}

/// One operation of a process, which has one at a time.
#[derive(Debug, Clone)]
pub struct Operation {
    pub process: usize,
    pub partition: i32,
    pub begin: Duration,
    pub end: Duration,
    pub what: What,
}

/// Every anomaly, with its name in front. `history`: each process's operations in its order.
pub fn anomalies(history: &[Operation]) -> Vec<String> {
    let mut found = Vec::new();
    let versions = Versions::of(history, &mut found);
    versions.sends(history, &mut found);
    versions.polls(history, &mut found);
    cycles(history, &versions, &mut found);
    found
}

/// Which value lies where, by all that was acknowledged and polled.
struct Versions {
    at: BTreeMap<(i32, i64), u64>,
    polled: HashSet<(i32, u64)>,
}

impl Versions {
    fn of(history: &[Operation], found: &mut Vec<String>) -> Versions {
        let mut all = Versions { at: BTreeMap::new(), polled: HashSet::new() };
        let mut places: HashMap<(i32, u64), i64> = HashMap::new();
        let mut note = |all: &mut Versions, partition: i32, offset: i64, value: u64| {
            let held = *all.at.entry((partition, offset)).or_insert(value);
            if held != value {
                found.push(format!("inconsistent-offsets: {partition}@{offset} is {held} and {value}"));
            }
            let place = *places.entry((partition, value)).or_insert(offset);
            if place != offset {
                found.push(format!("duplicate: {value} lies at {partition}@{place} and at {offset}"));
            }
        };
        for operation in history {
            match &operation.what {
                What::Send { value, outcome: Outcome::Taken(Some(offset)) } => {
                    note(&mut all, operation.partition, *offset, *value);
                }
                What::Send { .. } => {}
                What::Poll { records } => {
                    for (offset, value) in records {
                        note(&mut all, operation.partition, *offset, *value);
                        all.polled.insert((operation.partition, *value));
                    }
                }
            }
        }
        all
    }

    fn sends(&self, history: &[Operation], found: &mut Vec<String>) {
        let mut sent = HashSet::new();
        let mut last: HashMap<(usize, i32), i64> = HashMap::new();
        let mut highest: HashMap<i32, i64> = HashMap::new();
        for ((partition, offset), value) in &self.at {
            if self.polled.contains(&(*partition, *value)) {
                highest.insert(*partition, *offset);
            }
        }
        for operation in history {
            let What::Send { value, outcome } = operation.what else { continue };
            let (process, partition) = (operation.process, operation.partition);
            if outcome != Outcome::Refused {
                sent.insert((partition, value));
            }
            let Outcome::Taken(offset) = outcome else { continue };
            if let Some(offset) = offset {
                let before = last.insert((process, partition), offset);
                if before.is_some_and(|before| before >= offset) {
                    found.push(format!(
                        "nonmonotonic-send: process {process} sent {value} to {partition}@{offset} after {before:?}"
                    ));
                }
            }
            if !self.polled.contains(&(partition, value)) {
                let below =
                    offset.is_some_and(|o| highest.get(&partition).is_some_and(|highest| o < *highest));
                let name = if below { "lost-write" } else { "unseen" };
                found.push(format!(
                    "{name}: {value}, acknowledged at {partition}@{offset:?}, was never polled"
                ));
            }
        }
        for (partition, value) in &self.polled {
            if !sent.contains(&(*partition, *value)) {
                found.push(format!("G1a: {value} of {partition} was polled, and never sent or refused"));
            }
        }
    }

    fn polls(&self, history: &[Operation], found: &mut Vec<String>) {
        let mut last: HashMap<(usize, i32), i64> = HashMap::new();
        for operation in history {
            let What::Poll { records } = &operation.what else { continue };
            let (process, partition) = (operation.process, operation.partition);
            for (offset, value) in records {
                let before = last.insert((process, partition), *offset).unwrap_or(-1);
                if before >= *offset {
                    found.push(format!(
                        "nonmonotonic-poll: process {process} was given {partition}@{offset} after {before}"
                    ));
                    continue;
                }
                let between = (partition, before + 1)..(partition, *offset);
                if let Some(((_, skipped), _)) = self.at.range(between).next() {
                    found.push(format!(
                        "poll-skip: process {process} was given {value} at {partition}@{offset}, not {skipped}"
                    ));
                }
            }
        }
    }
}

/// G0 and G1c with their process and realtime variants: write order, what was read from whom, each process's order and
/// the order of what did not overlap must fit together.
fn cycles(history: &[Operation], versions: &Versions, found: &mut Vec<String>) {
    let ops = history.len();
    let mut ends: Vec<(Duration, usize)> =
        history.iter().enumerate().filter(|(_, op)| is_complete(op)).map(|(at, op)| (op.end, at)).collect();
    ends.sort();
    // One node for every operation, then one for every completion in the order of time.
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); ops + ends.len()];
    for (rank, (_, at)) in ends.iter().enumerate() {
        edges[*at].push(ops + rank);
        if rank > 0 {
            edges[ops + rank - 1].push(ops + rank);
        }
    }
    let mut previous: HashMap<usize, usize> = HashMap::new();
    let mut sender: HashMap<(i32, u64), usize> = HashMap::new();
    for (at, operation) in history.iter().enumerate() {
        let ended = ends.partition_point(|(end, _)| *end < operation.begin);
        if ended > 0 {
            edges[ops + ended - 1].push(at);
        }
        if let Some(before) = previous.insert(operation.process, at)
            && is_complete(&history[before])
        {
            edges[before].push(at);
        }
        if let What::Send { value, .. } = operation.what {
            sender.insert((operation.partition, value), at);
        }
    }
    let mut written: Option<(i32, usize)> = None;
    for ((partition, _), value) in &versions.at {
        let Some(at) = sender.get(&(*partition, *value)) else { continue };
        if let Some((same, before)) = written.replace((*partition, *at))
            && same == *partition
        {
            edges[before].push(*at);
        }
    }
    for (at, operation) in history.iter().enumerate() {
        let What::Poll { records } = &operation.what else { continue };
        for (_, value) in records {
            if let Some(send) = sender.get(&(operation.partition, *value)) {
                edges[*send].push(at);
            }
        }
    }
    let mut incoming = vec![0usize; edges.len()];
    edges.iter().flatten().for_each(|to| incoming[*to] += 1);
    let mut free: Vec<usize> = (0..edges.len()).filter(|node| incoming[*node] == 0).collect();
    let mut ordered = 0;
    while let Some(node) = free.pop() {
        ordered += 1;
        for to in &edges[node] {
            incoming[*to] -= 1;
            if incoming[*to] == 0 {
                free.push(*to);
            }
        }
    }
    if ordered < edges.len() {
        let stuck: Vec<&Operation> =
            (0..ops).filter(|at| incoming[*at] > 0).map(|at| &history[at]).take(6).collect();
        found.push(format!("G0 or G1c: no order fits these operations, and more: {stuck:?}"));
    }
}

/// What it did it had done when it ended.
fn is_complete(operation: &Operation) -> bool {
    !matches!(operation.what, What::Send { outcome: Outcome::Unknown | Outcome::Refused, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(process: usize, at: u64, value: u64, outcome: Outcome) -> Operation {
        operation(process, at, What::Send { value, outcome })
    }

    fn poll(process: usize, at: u64, records: &[(i64, u64)]) -> Operation {
        operation(process, at, What::Poll { records: records.to_vec() })
    }

    fn operation(process: usize, at: u64, what: What) -> Operation {
        let (begin, end) = (Duration::from_millis(at * 10), Duration::from_millis(at * 10 + 5));
        Operation { process, partition: 0, begin, end, what }
    }

    const fn taken(offset: i64) -> Outcome {
        Outcome::Taken(Some(offset))
    }

    fn names(history: &[Operation]) -> Vec<String> {
        let name = |text: String| text.split(':').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = anomalies(history).into_iter().map(name).collect();
        names.dedup();
        names
    }

    #[test]
    fn a_history_as_it_should_be_has_none() {
        let history = [
            send(0, 1, 10, taken(0)),
            send(1, 2, 20, Outcome::Unknown),
            send(0, 3, 11, Outcome::Taken(None)),
            send(1, 4, 21, Outcome::Refused),
            poll(2, 5, &[(0, 10), (1, 11)]),
            // What nobody knew of came in late.
            poll(2, 6, &[(2, 20)]),
        ];
        assert_eq!(anomalies(&history), Vec::<String>::new());
    }

    #[test]
    fn each_anomaly_is_found_by_its_name() {
        let rows: &[(&str, &[Operation])] = &[
            (
                "inconsistent-offsets",
                &[send(0, 1, 10, taken(0)), send(1, 1, 20, taken(0)), poll(2, 2, &[(0, 10), (1, 20)])],
            ),
            ("duplicate", &[send(0, 1, 10, taken(0)), poll(1, 2, &[(0, 10), (1, 10)])]),
            ("lost-write", &[send(0, 1, 10, taken(0)), send(0, 2, 11, taken(1)), poll(1, 3, &[(1, 11)])]),
            ("unseen", &[send(0, 1, 10, taken(0)), poll(1, 3, &[])]),
            ("G1a", &[send(0, 1, 10, Outcome::Refused), poll(1, 3, &[(0, 10)])]),
            (
                "nonmonotonic-send",
                &[send(0, 1, 10, taken(1)), send(0, 2, 11, taken(0)), poll(1, 3, &[(0, 11), (1, 10)])],
            ),
            (
                "nonmonotonic-poll",
                &[send(0, 1, 10, taken(0)), poll(1, 3, &[(0, 10)]), poll(1, 4, &[(0, 10)])],
            ),
            (
                "poll-skip",
                &[
                    send(0, 1, 10, taken(0)),
                    send(0, 2, 11, taken(1)),
                    poll(1, 3, &[(0, 10), (1, 11)]),
                    poll(2, 3, &[(1, 11)]),
                ],
            ),
            // The second began after the first had ended, and lies before it.
            (
                "G0 or G1c",
                &[send(0, 1, 10, taken(1)), send(1, 2, 20, taken(0)), poll(2, 3, &[(0, 20), (1, 10)])],
            ),
            // It was read before it was sent.
            ("G0 or G1c", &[poll(1, 1, &[(0, 10)]), send(0, 2, 10, taken(0))]),
        ];
        for (name, history) in rows {
            let found = names(history);
            assert!(found.iter().any(|found| found == name), "{name} among {found:?}");
        }
    }
}
