//! `ottla consume`: the records of a topic, formatted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ottla_client::{Consumer, ConsumerRecord, Polled, Role, Seen, Start, TopicPartition};
use serde_json::{Value, json};

use super::super::{block_on, parse};
use super::connect;
use super::format::{Format, delimiter};
use super::position::Position;

/// Read records; kcat's letters.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    #[arg(short, long)]
    topic: String,
    /// This partition only.
    #[arg(short, long)]
    partition: Option<i32>,
    /// Where to begin, and (with e@) to end: beginning, end, stored, an offset, -N for the last N, s@MILLISECONDS, e@MILLISECONDS.
    #[arg(short = 'o', value_name = "POSITION", allow_hyphen_values = true)]
    position: Vec<Position>,
    /// Stop at the end instead of waiting for more.
    #[arg(short)]
    exit: bool,
    /// Stop after so many records.
    #[arg(short, value_name = "N")]
    count: Option<u64>,
    /// As a member of this group, which shares the partitions and commits.
    #[arg(short = 'G', long)]
    group: Option<String>,
    /// %s value, %S its length, %k key, %K its length, %t topic, %p partition, %o offset, %T timestamp, %h headers.
    #[arg(short, long)]
    format: Option<String>,
    /// One JSON object a record.
    #[arg(short = 'J')]
    json: bool,
    /// What stands between key and value; without it the key is not shown.
    #[arg(short = 'K', value_name = "DELIMITER")]
    key_delimiter: Option<String>,
    /// What ends a record.
    #[arg(short = 'D', value_name = "DELIMITER", default_value = "\\n")]
    delimiter: String,
    /// Say nothing beside the records.
    #[arg(short)]
    quiet: bool,
    /// A setting of the consumer, as in its documentation.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  ottla consume -t orders -e                              all there is, then end
  ottla consume -t orders -o -10 -e                       the last ten of each partition
  ottla consume -t orders -f '%t[%p]@%o %k: %s\\n'
  ottla consume -t orders -o s@1767225600000 -J -e        since a moment, as JSON";

pub(in super::super) fn run(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("consume", args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    block_on(async {
        match work(&wanted).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("{message}");
                ExitCode::from(1)
            }
        }
    })
}

enum Shown {
    Format(Format),
    Json,
    Plain { between: Option<Vec<u8>>, end: Vec<u8> },
}

impl Shown {
    fn of(wanted: &Arguments) -> Result<Shown, String> {
        if let Some(text) = &wanted.format {
            return Format::parse(text).map(Shown::Format).map_err(|why| format!("-f: {why}"));
        }
        if wanted.json {
            return Ok(Shown::Json);
        }
        let between =
            wanted.key_delimiter.as_deref().map(delimiter).transpose().map_err(|why| format!("-K: {why}"))?;
        Ok(Shown::Plain { between, end: delimiter(&wanted.delimiter).map_err(|why| format!("-D: {why}"))? })
    }

    fn write(&self, out: &mut impl Write, record: &ConsumerRecord<'_>) -> io::Result<()> {
        match self {
            Shown::Format(format) => format.write(out, record),
            Shown::Json => writeln!(out, "{}", json_of(record)?),
            Shown::Plain { between, end } => {
                if let Some(between) = between {
                    out.write_all(record.record.key.unwrap_or_default())?;
                    out.write_all(between)?;
                }
                out.write_all(record.record.value.unwrap_or_default())?;
                out.write_all(end)
            }
        }
    }
}

fn json_of(record: &ConsumerRecord<'_>) -> io::Result<Value> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut headers = Vec::new();
    for header in record.record.headers.iter() {
        headers.push(json!([String::from_utf8_lossy(header.key), text(header.value)]));
    }
    Ok(json!({
        "topic": &**record.topic,
        "partition": record.partition,
        "offset": record.record.offset,
        "ts": record.record.timestamp,
        "key": text(record.record.key),
        "payload": text(record.record.value),
        "headers": headers,
    }))
}

/// Why reading ends.
enum End {
    Count,
    Pipe,
    Write(io::Error),
}

async fn work(wanted: &Arguments) -> Result<(), String> {
    let shown = Shown::of(wanted)?;
    let mut settings = wanted.settings.clone();
    if let Some(group) = &wanted.group {
        settings.push(format!("group.id={group}"));
        let reset = if wanted.position.contains(&Position::End) { "latest" } else { "earliest" };
        settings.push(format!("auto.offset.reset={reset}"));
    }
    let (cluster, properties) = connect(&wanted.bootstrap, &settings, Role::Consumer).await?;
    let mut consumer = Consumer::new(cluster.clone(), &properties).map_err(|error| error.to_string())?;
    let mut ends: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    if wanted.group.is_some() {
        consumer.subscribe(&[&wanted.topic]).map_err(|error| error.to_string())?;
    } else {
        let partitions = partitions(&cluster, wanted).await?;
        ends = ends_of(&consumer, &partitions, wanted).await?;
        let starts = starts_of(&consumer, &partitions, wanted).await?;
        consumer.assign(starts).await.map_err(|error| error.to_string())?;
    }
    let bounded =
        wanted.exit || wanted.position.iter().any(|position| matches!(position, Position::Until(_)));
    let mut left = wanted.count.unwrap_or(u64::MAX);
    let terminal = io::stdout().is_terminal();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let (mut idle, mut stopped) = (0, None);
    while left > 0 {
        if bounded && wanted.group.is_none() && reached(&consumer, &ends) {
            break;
        }
        let polled = tokio::select! {
            polled = consumer.poll(Duration::from_millis(200)) => polled.map_err(|error| error.to_string())?,
            _ = tokio::signal::ctrl_c() => break,
        };
        match polled {
            Polled::Records(mut fetched) => {
                idle = 0;
                // A group commits what is shown, and nothing else.
                let mut seen = Seen::default();
                let mut beyond = Vec::new();
                let ended = fetched
                    .for_each(|record| {
                        let tp = TopicPartition { topic: record.topic.clone(), partition: record.partition };
                        if bounded && ends.get(&tp).is_some_and(|end| record.record.offset >= *end) {
                            if beyond.last() != Some(&tp) {
                                beyond.push(tp);
                            }
                            return Ok(());
                        }
                        shown.write(&mut out, record).map_err(|error| match error.kind() {
                            io::ErrorKind::BrokenPipe => End::Pipe,
                            _ => End::Write(error),
                        })?;
                        seen.note(record);
                        left -= 1;
                        if left == 0 { Err(End::Count) } else { Ok(()) }
                    })
                    .map_err(|error| error.to_string())?;
                if ended.is_err() || !beyond.is_empty() {
                    consumer.give_back(&fetched, &seen).map_err(|error| error.to_string())?;
                    // All that was before the end has been shown, also where that end is no record's place.
                    for tp in &beyond {
                        consumer.seek(tp, Start::Offset(ends[tp])).map_err(|error| error.to_string())?;
                    }
                    consumer.pause(&beyond);
                }
                match ended {
                    Ok(()) => {}
                    Err(end) => {
                        stopped = Some(end);
                        break;
                    }
                }
                if terminal {
                    out.flush().map_err(|error| error.to_string())?;
                }
            }
            Polled::Idle => {
                out.flush().map_err(|error| error.to_string())?;
                idle += 1;
                // A group's member does not know its end beforehand: a second without a record is one.
                if bounded && wanted.group.is_some() && !consumer.assignment().is_empty() && idle >= 5 {
                    break;
                }
            }
            Polled::Assigned(list) if !wanted.quiet => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                eprintln!("assigned: {}", list.join(", "));
            }
            Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_) => {}
        }
    }
    let flushed = match stopped {
        Some(End::Pipe) => Ok(()),
        Some(End::Write(error)) => Err(error),
        Some(End::Count) | None => out.flush(),
    };
    consumer.close().await.map_err(|error| error.to_string())?;
    match flushed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

async fn partitions(
    cluster: &ottla_client::Cluster,
    wanted: &Arguments,
) -> Result<Vec<TopicPartition>, String> {
    let metadata = cluster.metadata(Some(&[&wanted.topic])).await.map_err(|error| error.to_string())?;
    let found = metadata
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some(&*wanted.topic) && topic.error_code == 0);
    let found = found.ok_or_else(|| {
        format!(
            "{}: there is no such topic\n    next: ottla topic list, or ottla topic create {0}",
            wanted.topic
        )
    })?;
    let mut all: Vec<i32> = found.partitions.iter().map(|partition| partition.partition_index).collect();
    all.sort_unstable();
    if let Some(one) = wanted.partition {
        if !all.contains(&one) {
            return Err(format!(
                "{} has no partition {one}; it has 0 to {}",
                wanted.topic,
                all.len().saturating_sub(1)
            ));
        }
        all = vec![one];
    }
    Ok(all.into_iter().map(|partition| TopicPartition::new(wanted.topic.as_str(), partition)).collect())
}

/// Where each partition ends for `-e` and `e@`.
async fn ends_of(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    wanted: &Arguments,
) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let say = |error: ottla_client::ConsumerError| error.to_string();
    let mut ends = consumer.end_offsets(partitions).await.map_err(say)?;
    for position in &wanted.position {
        if let Position::Until(time) = position {
            let asked: Vec<_> = partitions.iter().map(|tp| (tp.clone(), *time)).collect();
            for (tp, found) in consumer.offsets_for_times(&asked).await.map_err(say)? {
                if let Some(found) = found {
                    ends.insert(tp, found.offset);
                }
            }
        }
    }
    Ok(ends)
}

async fn starts_of(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    wanted: &Arguments,
) -> Result<Vec<(TopicPartition, Start)>, String> {
    let begin = wanted.position.iter().find(|position| !matches!(position, Position::Until(_)));
    let last = match begin {
        Some(Position::Last(count)) => {
            let first = consumer.begin_offsets(partitions).await.map_err(|error| error.to_string())?;
            let ends = consumer.end_offsets(partitions).await.map_err(|error| error.to_string())?;
            ends.into_iter()
                .map(|(tp, end)| {
                    let first = first.get(&tp).copied().unwrap_or(0);
                    (tp, (end - count).max(first))
                })
                .collect()
        }
        _ => BTreeMap::new(),
    };
    let start = |tp: &TopicPartition| match begin {
        None | Some(Position::Beginning) => Start::Earliest,
        Some(Position::End) => Start::Latest,
        Some(Position::Stored) => Start::Committed,
        Some(Position::Offset(offset)) => Start::Offset(*offset),
        Some(Position::From(time) | Position::Until(time)) => Start::Timestamp(*time),
        Some(Position::Last(_)) => Start::Offset(last.get(tp).copied().unwrap_or(0)),
    };
    Ok(partitions.iter().map(|tp| (tp.clone(), start(tp))).collect())
}

/// Whether everything that was there at the beginning has been read.
fn reached(consumer: &Consumer, ends: &BTreeMap<TopicPartition, i64>) -> bool {
    ends.iter().all(|(tp, end)| *end <= 0 || consumer.position(tp).is_some_and(|position| position >= *end))
}
