//! `kafka-replica-verification`: whether all replicas of topics hold the same bytes, compared again and again up to the
//! high watermark.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::{Cluster, Isolation, OffsetSpec, TopicPartition, exception};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ReplicaState};
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_protocol::wire::Records;
use ottla_records::BatchIter;
use regex_lite::Regex;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::args::jopt::{Kind, Parser};
use crate::console_producer::options::valid_bootstrap;
use crate::runtime::{self, Out, Stop};

const ABOUT: &str = "Validate that all replicas for a set of topics have the same data.";
const LOGGER: &str = "org.apache.kafka.tools.ReplicaVerificationTool";
/// A reader that is no replica, and whom every replica answers.
const DEBUGGING_CONSUMER: i32 = -2;
/// The first version in which topics have ids.
const TOPIC_IDS_FROM: i16 = 13;
/// How long to wait before a broker that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-replica-verification", args, verify)
}

pub(crate) fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "broker-list",
        "REQUIRED: The list of hostname and port of the server to connect to.",
        "hostname:port,...,hostname:port",
        Kind::Text,
    );
    p.takes("fetch-size", "The fetch size of each request.", "bytes", Kind::Integer).default(1_048_576);
    p.takes("max-wait-ms", "The max amount of time each fetch request waits.", "ms", Kind::Integer)
        .default(1_000);
    p.takes(
        "topics-include",
        "List of topics to verify replica consistency.",
        "Java regex (String)",
        Kind::Text,
    )
    .default(".*");
    p.takes(
        "time",
        "Timestamp for getting the initial offsets.",
        "timestamp/-1(latest)/-2(earliest)",
        Kind::Long,
    )
    .default(-1);
    p.takes("report-interval-ms", "The reporting interval.", "ms", Kind::Long).default(30_000);
    p
}

fn verify(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = p.parse(args).map_err(|misuse| Stop::error(misuse.message()).and_err(misuse.more()))?;
    p.help_or_version(&found, ABOUT, out)?;
    p.check_required(&found, &["broker-list"])?;
    runtime::log("WARN", "This tool is deprecated and may be removed in a future major release.", LOGGER);
    let list = found.value("broker-list").unwrap_or_default();
    valid_bootstrap(list).map_err(|why| p.usage(why))?;
    let topics = included(found.value("topics-include").unwrap_or_default())?;
    let integer = |name: &str| found.integer(name).unwrap_or_default();
    let wish = Wish { fetch_size: integer("fetch-size"), max_wait_ms: integer("max-wait-ms") };
    let spec = match found.long("time") {
        None | Some(-1) => OffsetSpec::Latest,
        Some(-2) => OffsetSpec::Earliest,
        Some(timestamp) => OffsetSpec::Timestamp(timestamp),
    };
    let interval = Duration::from_millis(found.long("report-interval-ms").unwrap_or_default().max(0) as u64);
    runtime::block_on(async {
        let cluster = runtime::connect(list, &ottla_client::Properties::new()).await?;
        let mut partitions = partitions(&cluster, &topics).await?;
        if partitions.is_empty() {
            let message = "No topics found. [topics-include] if specified, is either filtering out all topics or there is no topic.";
            runtime::log("ERROR", message, LOGGER);
            return Err(Stop::quiet(1));
        }
        begin(&cluster, &mut partitions, spec).await?;
        writeln!(out, "{}: verification process is started", moment())?;
        out.flush()?;
        let mut reported = Instant::now();
        loop {
            let complaints = round(&cluster, &mut partitions, &wish).await;
            for complaint in &complaints {
                writeln!(out, "{}: {}", moment(), complaint.text)?;
            }
            if complaints.iter().any(|complaint| complaint.ends_it) {
                return Err(Stop::quiet(1));
            }
            if reported.elapsed() > interval {
                writeln!(out, "{}: {}", moment(), report(&partitions))?;
                reported = Instant::now();
            }
            out.flush()?;
        }
    })
}

/// What `--topics-include` means: commas stand for "or".
fn included(text: &str) -> Result<Regex, Stop> {
    let pattern = text.trim().replace(',', "|").replace(' ', "");
    let pattern = pattern.trim_matches(['"', '\'']);
    Regex::new(&format!("^(?:{pattern})$")).map_err(|why| {
        Stop::error(format!("{text} is an invalid regex")).and_err(format!("    cause: {why}"))
    })
}

/// `yyyy-MM-dd HH:mm:ss,SSS` here.
fn moment() -> String {
    let now = OffsetDateTime::now_local().unwrap_or_else(|_| OffsetDateTime::now_utc());
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second, milli) = now.to_hms_milli();
    format!("{year}-{:02}-{day:02} {hour:02}:{minute:02}:{second:02},{milli:03}", u8::from(month))
}

/// A partition under comparison.
#[derive(Debug, Clone)]
struct Watched {
    at: TopicPartition,
    topic_id: Uuid,
    replicas: Vec<i32>,
    /// Everything before it is the same everywhere.
    offset: i64,
    /// How far the highest of the replicas' high watermarks is away from it.
    lag: i64,
}

struct Wish {
    fetch_size: i32,
    max_wait_ms: i32,
}

async fn partitions(cluster: &Cluster, topics: &Regex) -> Result<Vec<Watched>, Stop> {
    let metadata = cluster.metadata(None).await?;
    let mut partitions = Vec::new();
    for topic in &metadata.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        if !topics.is_match(name) {
            continue;
        }
        partitions.extend(topic.partitions.iter().map(|at| Watched {
            at: TopicPartition::new(name, at.partition_index),
            topic_id: topic.topic_id,
            replicas: at.replica_nodes.clone(),
            offset: 0,
            lag: -1,
        }));
    }
    Ok(partitions)
}

/// Where the comparison begins. Without a record at or after a time it begins at the end.
async fn begin(cluster: &Cluster, partitions: &mut [Watched], spec: OffsetSpec) -> Result<(), Stop> {
    let ask = async |spec| {
        let wanted: Vec<_> = partitions.iter().map(|watched| (watched.at.clone(), spec)).collect();
        cluster.list_offsets(&wanted, Isolation::ReadUncommitted).await
    };
    let (found, ends) = (ask(spec).await?, ask(OffsetSpec::Latest).await?);
    let offset = |found: &BTreeMap<_, Result<ottla_client::OffsetAndTimestamp, ErrorCode>>,
                  at: &TopicPartition| {
        match found.get(at) {
            Some(Ok(found)) => Ok(found.offset),
            Some(Err(code)) => Err(Stop::error(format!("{at}: {}", exception::text(*code, None)))),
            None => Err(Stop::error(format!("{at}: it is not there any more"))),
        }
    };
    for watched in partitions {
        let begun = offset(&found, &watched.at)?;
        watched.offset = if begun < 0 { offset(&ends, &watched.at)? } else { begun };
    }
    Ok(())
}

/// What one replica has of a partition.
#[derive(Debug, Clone, Default)]
struct Part {
    high_watermark: i64,
    records: Bytes,
}

/// Asks every broker for its replicas, side by side, and compares what came.
async fn round(cluster: &Cluster, partitions: &mut [Watched], wish: &Wish) -> Vec<Complaint> {
    let mut brokers: Vec<i32> = partitions.iter().flat_map(|watched| &watched.replicas).copied().collect();
    brokers.sort_unstable();
    brokers.dedup();
    let mut calls = tokio::task::JoinSet::new();
    for &broker in &brokers {
        let own: Vec<Watched> =
            partitions.iter().filter(|watched| watched.replicas.contains(&broker)).cloned().collect();
        let (cluster, size, wait) = (cluster.clone(), wish.fetch_size, wish.max_wait_ms);
        calls.spawn(async move { (broker, fetch(&cluster, broker, &own, size, wait).await) });
    }
    let mut parts: BTreeMap<TopicPartition, BTreeMap<i32, Part>> = BTreeMap::new();
    let mut silent = false;
    while let Some(done) = calls.join_next().await {
        match done {
            Ok((broker, Ok((fetched, refused)))) => {
                silent |= refused;
                for (at, part) in fetched {
                    parts.entry(at).or_default().insert(broker, part);
                }
            }
            // Its partitions wait until it is back.
            Ok((_, Err(()))) => silent = true,
            Err(gone) => std::panic::resume_unwind(gone.into_panic()),
        }
    }
    if silent {
        tokio::time::sleep(PAUSE).await;
    }
    let mut complaints = Vec::new();
    for watched in partitions {
        let mut of = parts.remove(&watched.at).unwrap_or_default();
        for replica in &watched.replicas {
            of.entry(*replica).or_default();
        }
        compare(watched, &of, &mut complaints);
    }
    complaints
}

/// What a broker has, and whether it refused any of it.
type Fetched = (Vec<(TopicPartition, Part)>, bool);

async fn fetch(
    cluster: &Cluster,
    broker: i32,
    own: &[Watched],
    fetch_size: i32,
    max_wait_ms: i32,
) -> Result<Fetched, ()> {
    let connection = cluster.connection(broker).await.map_err(drop)?;
    let version = connection.version_of::<FetchRequest>().map_err(drop)?;
    let mut topics: Vec<FetchTopic> = Vec::new();
    for watched in own {
        if topics.last().is_none_or(|topic| topic.topic != *watched.at.topic) {
            topics.push(FetchTopic {
                topic: watched.at.topic.to_string(),
                topic_id: watched.topic_id,
                partitions: Vec::new(),
            });
        }
        let topic = topics.last_mut().expect("one has just been put there");
        topic.partitions.push(FetchPartition {
            partition: watched.at.partition,
            current_leader_epoch: -1,
            fetch_offset: watched.offset,
            last_fetched_epoch: -1,
            partition_max_bytes: fetch_size,
            ..FetchPartition::default()
        });
    }
    if version >= TOPIC_IDS_FROM {
        topics.iter_mut().for_each(|topic| topic.topic.clear());
    } else {
        topics.iter_mut().for_each(|topic| topic.topic_id = Uuid::nil());
    }
    let request = FetchRequest {
        replica_id: if version >= 15 { -1 } else { DEBUGGING_CONSUMER },
        replica_state: ReplicaState {
            replica_id: if version >= 15 { DEBUGGING_CONSUMER } else { -1 },
            replica_epoch: -1,
        },
        max_wait_ms,
        min_bytes: 1,
        max_bytes: i32::MAX,
        session_id: 0,
        // Outside of any session.
        session_epoch: -1,
        topics,
        ..FetchRequest::default()
    };
    let answer = connection.call_at(version, &request).await.map_err(drop)?;
    Ok(parts(answer, own))
}

fn parts(answer: FetchResponse, own: &[Watched]) -> Fetched {
    let (mut parts, mut refused) = (Vec::new(), false);
    for topic in answer.responses {
        let mut known = own.iter().filter(|watched| match topic.topic_id.is_nil() {
            true => topic.topic == *watched.at.topic,
            false => topic.topic_id == watched.topic_id,
        });
        let Some(name) = known.next().map(|watched| watched.at.topic.clone()) else { continue };
        for partition in topic.partitions {
            let at = TopicPartition::new(name.clone(), partition.partition_index);
            if let Some(code) =
                ErrorCode::from_i16(partition.error_code).filter(|code| *code != ErrorCode::None)
            {
                runtime::warn(format_args!("{at}: {}", exception::message(code)));
                refused = true;
            }
            let records = match partition.records {
                Some(Records::Bytes(bytes)) => bytes,
                _ => Bytes::new(),
            };
            parts.push((at, Part { high_watermark: partition.high_watermark, records }));
        }
    }
    (parts, refused)
}

/// Something that replicas do not agree on.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    text: String,
    /// Their batches are not even at the same offsets.
    ends_it: bool,
}

/// Compares batch by batch what the replicas of a partition have below their high watermarks, and moves on over what
/// all of them have.
fn compare(watched: &mut Watched, parts: &BTreeMap<i32, Part>, complaints: &mut Vec<Complaint>) {
    let at = &watched.at;
    let highest = parts.values().map(|part| part.high_watermark).max().unwrap_or(-1);
    let mut walks: Vec<(i32, i64, BatchIter<'_>)> = parts
        .iter()
        .map(|(&replica, part)| (replica, part.high_watermark, BatchIter::new(&part.records)))
        .collect();
    'batches: loop {
        let mut first: Option<(i32, i64, i64, u32)> = None;
        for (replica, high_watermark, walk) in &mut walks {
            // A batch that was cut off by the size of the answer comes whole the next time.
            let Some(Ok(batch)) = walk.next() else { break 'batches };
            let header = batch.header();
            let (last, crc) = (header.last_offset(), header.crc);
            if last >= *high_watermark {
                break 'batches;
            }
            match first {
                None => first = Some((*replica, last, header.next_offset(), crc)),
                Some((other, expected, ..)) if expected != last => {
                    complaints.push(Complaint {
                        text: format!(
                            "partition {at}: replica {other}'s offset {expected} doesn't match replica {replica}'s offset {last}"
                        ),
                        ends_it: true,
                    });
                    return;
                }
                Some((other, _, _, expected)) if expected != crc => complaints.push(Complaint {
                    text: format!(
                        "partition {at} has unmatched checksum at offset {last}; replica {other}'s checksum {expected}; replica {replica}'s checksum {crc}"
                    ),
                    ends_it: false,
                }),
                Some(_) => {}
            }
        }
        match first {
            Some((_, _, next, _)) => watched.offset = next,
            None => break,
        }
    }
    watched.lag = highest - watched.offset;
}

fn report(partitions: &[Watched]) -> String {
    let worst = partitions.iter().rev().max_by_key(|watched| watched.lag);
    match worst {
        Some(worst) => format!(
            "max lag is {} for partition {} at offset {} among {} partitions",
            worst.lag,
            worst.at,
            worst.offset,
            partitions.len()
        ),
        None => "there is nothing to compare".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{BatchBuilder, NewRecord};

    fn batch(offset: i64, value: &str) -> Vec<u8> {
        let mut builder = BatchBuilder::new(offset);
        builder.append(&NewRecord::new(0, None, Some(value.as_bytes())));
        builder.build()
    }

    fn part(high_watermark: i64, batches: &[Vec<u8>]) -> Part {
        Part { high_watermark, records: Bytes::from(batches.concat()) }
    }

    fn compared(parts: &[(i32, Part)]) -> (Watched, Vec<Complaint>) {
        let mut watched = Watched {
            at: TopicPartition::new("t", 0),
            topic_id: Uuid::nil(),
            replicas: vec![1, 2],
            offset: 0,
            lag: -1,
        };
        let mut complaints = Vec::new();
        compare(&mut watched, &parts.iter().cloned().collect(), &mut complaints);
        (watched, complaints)
    }

    #[test]
    fn what_all_have_below_the_watermark_is_passed_over() {
        let all = [batch(0, "a"), batch(1, "b"), batch(2, "c")];
        let (watched, complaints) = compared(&[(1, part(3, &all)), (2, part(2, &all))]);
        assert_eq!(complaints, []);
        assert_eq!(
            (watched.offset, watched.lag),
            (2, 1),
            "of the third replica 2 does not know that it counts"
        );
        let (watched, _) = compared(&[(1, part(3, &all)), (2, Part::default())]);
        assert_eq!((watched.offset, watched.lag), (0, 3), "a broker that is down holds it up");
        assert_eq!(report(&[watched]), "max lag is 3 for partition t-0 at offset 0 among 1 partitions");
    }

    #[test]
    fn a_cut_batch_waits() {
        let mut cut = [batch(0, "a"), batch(1, "b")].concat();
        cut.pop();
        let cut = Part { high_watermark: 2, records: Bytes::from(cut) };
        let (watched, complaints) = compared(&[(1, part(2, &[batch(0, "a"), batch(1, "b")])), (2, cut)]);
        assert_eq!((watched.offset, complaints), (1, vec![]));
    }

    #[test]
    fn other_bytes_and_other_offsets_are_told() {
        let (_, complaints) = compared(&[(1, part(1, &[batch(0, "a")])), (2, part(1, &[batch(0, "b")]))]);
        assert!(
            complaints[0].text.starts_with("partition t-0 has unmatched checksum at offset 0; replica 1's")
        );
        assert!(!complaints[0].ends_it);
        let (_, complaints) = compared(&[(1, part(9, &[batch(0, "a")])), (2, part(9, &[batch(5, "a")]))]);
        assert_eq!(
            complaints[0].text,
            "partition t-0: replica 1's offset 0 doesn't match replica 2's offset 5"
        );
        assert!(complaints[0].ends_it);
    }

    #[test]
    fn topics_are_meant_by_a_list_or_a_pattern() {
        let matches = |pattern: &str, topic: &str| included(pattern).unwrap().is_match(topic);
        assert!(matches("a, b", "b") && !matches("a,b", "ab") && matches("'x.*'", "xyz"));
        assert_eq!(included("[").expect_err("no pattern").err.lines().next(), Some("[ is an invalid regex"));
    }
}
