//! A look at records: bounded in number, bytes and time, without a group, so that nobody notices.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use hyper::StatusCode;
use ottla_client::{Cluster, Consumer, ConsumerError, ConsumerRecord, Polled, Start, TopicPartition};
use ottla_records::Record;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::topics::found;
use super::{Problem, extents};
use crate::query::Target;
use crate::reach::{Reach, properties};

/// A look takes at most this long; what was seen by then is told.
const PATIENCE: Duration = Duration::from_secs(4);
/// It reads at most so many bytes of batches.
const READ_BYTES: usize = 16 << 20;
/// A batch that becomes larger than this is not opened.
const OPENED_BYTES: usize = 8 << 20;
/// So much of a key or a value is shown, and of all of them together.
const SHOWN_BYTES: usize = 16 << 10;
const TOLD_BYTES: usize = 2 << 20;
/// Headers that are shown of a record.
const HEADERS: usize = 64;
/// Records that are shown at most.
const MOST: i64 = 500;
/// Partitions that are looked at together.
const PARTITIONS: usize = 256;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// So that the newest are seen.
    Latest,
    Earliest,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

impl Origin {
    fn read(text: Option<&str>) -> Result<Origin, Problem> {
        let wrong =
            || Problem::asked_wrongly("from: latest, earliest, an offset, or @milliseconds since 1970");
        match text {
            None | Some("latest") => Ok(Origin::Latest),
            Some("earliest") => Ok(Origin::Earliest),
            Some(text) => match text.strip_prefix('@') {
                Some(time) => time.parse().map(Origin::Time).map_err(|_| wrong()),
                None => text.parse().ok().filter(|at| *at >= 0).map(Origin::Offset).ok_or_else(wrong),
            },
        }
    }
}

/// What is wanted.
struct Wanted {
    from: Origin,
    limit: usize,
    contains: Vec<u8>,
}

impl Wanted {
    /// The offset to begin at in a partition with these first and next offsets, of which `found` is the one of the time
    /// that is asked for.
    fn start(&self, (first, next): (i64, i64), found: Option<i64>) -> i64 {
        let from = match self.from {
            // A filter looks further back than what it may show.
            Origin::Latest if !self.contains.is_empty() => next - 20 * MOST,
            Origin::Latest => next - self.limit as i64,
            Origin::Earliest => first,
            Origin::Offset(offset) => offset,
            Origin::Time(_) => found.filter(|offset| *offset >= 0).unwrap_or(next),
        };
        from.clamp(first, next)
    }
}

/// Records of a topic.
pub(super) async fn look(reach: &Reach, name: &str, target: &Target) -> Result<Value, Problem> {
    let wanted = Wanted {
        from: Origin::read(target.text("from"))?,
        limit: target.number("limit", 50, 1, MOST).map_err(Problem::asked_wrongly)? as usize,
        contains: target.text("contains").unwrap_or_default().as_bytes().to_vec(),
    };
    let only = match target.text("partition") {
        None => None,
        Some(text) => {
            Some(text.parse::<i32>().map_err(|_| Problem::asked_wrongly(format!("partition={text}")))?)
        }
    };
    // Whoever looks at the same time waits: what a look takes of the memory is bounded by this.
    let _leave = reach.readers.acquire().await;
    let cluster = reach.brokers().await?;
    let topic = found(&cluster, name).await?;
    let mut partitions: Vec<TopicPartition> = topic
        .partitions
        .iter()
        .filter(|partition| only.is_none_or(|only| only == partition.partition_index))
        .filter(|partition| partition.leader_id >= 0)
        .map(|partition| TopicPartition::new(name, partition.partition_index))
        .collect();
    if let Some(only) = only
        && !topic.partitions.iter().any(|partition| partition.partition_index == only)
    {
        return Err(Problem::not_found(format!("{name} has no partition {only}")));
    }
    partitions.sort();
    let left_out = partitions.len().saturating_sub(PARTITIONS);
    partitions.truncate(PARTITIONS);
    let extents = extents(&cluster, &partitions).await?;
    let mut seen = read(&cluster, &wanted, &extents).await?;
    let silent = partitions.iter().filter(|at| !extents.contains_key(at));
    let silent: Vec<String> = silent.map(|at| at.partition.to_string()).collect();
    let led = topic.partitions.iter().filter(|at| only.is_none_or(|only| only == at.partition_index));
    let leaderless = led.filter(|at| at.leader_id < 0).count();
    if !silent.is_empty() {
        seen.troubles.push(format!("the leaders of partitions {} do not answer", silent.join(", ")));
    }
    if leaderless > 0 {
        seen.troubles.push(format!("{leaderless} partitions have no leader"));
    }
    seen.is_whole &= seen.troubles.is_empty();
    Ok(seen.told(&wanted, left_out))
}

/// What a look has seen.
struct Seen {
    limit: usize,
    /// The oldest first; with `newest`, older ones make room for newer ones, without it the first ones stay.
    kept: BinaryHeap<Reverse<Shown>>,
    newest: bool,
    scanned: u64,
    matched: u64,
    bytes: usize,
    /// Whether everything that was there has been read.
    is_whole: bool,
    /// What could not be read.
    troubles: Vec<String>,
}

/// One record as it is shown. Ordered by time, then place, which is the order of the answer and of nothing else: only
/// within a partition does it say what came first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    timestamp: i64,
    partition: i32,
    offset: i64,
    size: usize,
    key: Option<Text>,
    value: Option<Text>,
    headers: Vec<(String, Option<Text>)>,
}

/// Bytes as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    text: String,
    is_hex: bool,
    /// How many bytes there are in all.
    size: usize,
    is_cut: bool,
}

impl Text {
    /// UTF-8 as it is, everything else in hexadecimal digits; the beginning of what is long.
    fn of(bytes: &[u8]) -> Text {
        let cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
        let is_cut = cut.len() < bytes.len();
        // A cut may go through a character.
        let text = match std::str::from_utf8(cut) {
            Ok(text) => Some(text),
            Err(error) if is_cut && error.error_len().is_none() => {
                std::str::from_utf8(&cut[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let readable =
            |text: &&str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
        match text.filter(readable) {
            Some(text) => Text { text: text.to_owned(), is_hex: false, size: bytes.len(), is_cut },
            None => {
                let cut = &bytes[..bytes.len().min(SHOWN_BYTES / 2)];
                let text = cut.iter().map(|byte| format!("{byte:02x}")).collect();
                Text { text, is_hex: true, size: bytes.len(), is_cut: cut.len() < bytes.len() }
            }
        }
    }

    fn told(&self) -> Value {
        json!({
            "text": self.text, "encoding": if self.is_hex { "hex" } else { "utf-8" },
            "size": self.size, "is_cut": self.is_cut,
        })
    }
}

impl Shown {
    fn of(record: &ConsumerRecord<'_>) -> Shown {
        let of = |bytes: Option<&[u8]>| bytes.map(Text::of);
        let headers = record.record.headers.iter().take(HEADERS);
        Shown {
            timestamp: record.record.timestamp,
            partition: record.partition,
            offset: record.record.offset,
            size: record.record.size_in_bytes,
            key: of(record.record.key),
            value: of(record.record.value),
            headers: headers.map(|header| (Text::of(header.key).text, of(header.value))).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let of = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.text.len());
        let headers: usize = self.headers.iter().map(|(key, value)| key.len() + of(value)).sum();
        of(&self.key) + of(&self.value) + headers
    }

    fn told(&self) -> Value {
        let of = |text: &Option<Text>| text.as_ref().map(Text::told);
        let headers = self.headers.iter().map(|(key, value)| json!({"key": key, "value": of(value)}));
        json!({
            "partition": self.partition, "offset": self.offset, "timestamp": self.timestamp,
            "size": self.size, "key": of(&self.key), "value": of(&self.value),
            "headers": headers.collect::<Vec<_>>(),
        })
    }
}

impl Seen {
    fn new(wanted: &Wanted) -> Seen {
        Seen {
            limit: wanted.limit,
            kept: BinaryHeap::new(),
            newest: wanted.from == Origin::Latest,
            scanned: 0,
            matched: 0,
            bytes: 0,
            is_whole: false,
            troubles: Vec::new(),
        }
    }

    /// Takes one record; false when there are enough.
    fn take(&mut self, record: Shown) -> bool {
        self.matched += 1;
        self.bytes += record.bytes();
        self.kept.push(Reverse(record));
        while self.kept.len() > self.limit || self.bytes > TOLD_BYTES && self.kept.len() > 1 {
            if !self.newest {
                break;
            }
            if let Some(Reverse(oldest)) = self.kept.pop() {
                self.bytes -= oldest.bytes();
            }
        }
        self.newest || self.kept.len() < self.limit && self.bytes < TOLD_BYTES
    }

    fn told(self, wanted: &Wanted, left_out: usize) -> Value {
        let mut records: Vec<Shown> = self.kept.into_iter().map(|Reverse(record)| record).collect();
        records.sort_by(|a, b| b.cmp(a));
        json!({
            "messages": records.iter().map(Shown::told).collect::<Vec<_>>(),
            "scanned": self.scanned,
            "matched": self.matched,
            "is_filtered": !wanted.contains.is_empty(),
            "is_whole": self.is_whole,
            "partitions_left_out": left_out,
            "troubles": self.troubles,
            "note": "Newest first by timestamp; only within a partition is this the order in which records were written",
        })
    }
}

/// Whether a record's key, value or a header has these bytes.
fn contains(record: &Record<'_>, wanted: &[u8]) -> bool {
    let has = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    wanted.is_empty()
        || record.key.is_some_and(has)
        || record.value.is_some_and(has)
        || record.headers.iter().any(|header| has(header.key) || header.value.is_some_and(has))
}

/// Reads from where it is wanted to where the partitions ended when the look began, as far as the bounds allow.
async fn read(
    cluster: &Cluster,
    wanted: &Wanted,
    extents: &BTreeMap<TopicPartition, (i64, i64)>,
) -> Result<Seen, Problem> {
    let mut seen = Seen::new(wanted);
    let starts = starts(cluster, wanted, extents).await?;
    let ends: BTreeMap<TopicPartition, i64> = starts
        .iter()
        .filter(|(at, start)| *start < extents[at].1)
        .map(|(at, _)| (at.clone(), extents[at].1))
        .collect();
    let assigned: Vec<_> = starts
        .into_iter()
        .filter(|(at, _)| ends.contains_key(at))
        .map(|(at, start)| (at, Start::Offset(start)))
        .collect();
    if assigned.is_empty() {
        seen.is_whole = true;
        return Ok(seen);
    }
    let mut consumer = Consumer::new(cluster.clone(), &properties())?;
    consumer.assign(assigned).await?;
    let (deadline, mut bytes) = (Instant::now() + PATIENCE, 0);
    loop {
        if ends.iter().all(|(at, end)| consumer.position(at).is_some_and(|position| position >= *end)) {
            seen.is_whole = true;
            break;
        }
        if bytes >= READ_BYTES {
            break;
        }
        let polled = match timeout_at(deadline, consumer.poll(Duration::from_millis(500))).await {
            Ok(polled) => polled?,
            Err(_) => break,
        };
        let Polled::Records(mut fetched) = polled else { continue };
        bytes += fetched.bytes();
        let ended = fetched.for_each_within(OPENED_BYTES, |record| {
            let at = TopicPartition { topic: record.topic.clone(), partition: record.partition };
            if ends.get(&at).is_none_or(|end| record.record.offset >= *end) {
                return Ok(());
            }
            seen.scanned += 1;
            let goes_on = !contains(&record.record, &wanted.contains) || seen.take(Shown::of(record));
            if goes_on { Ok(()) } else { Err(()) }
        });
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(())) => break,
            Err(error) => {
                seen.troubles.push(error.to_string());
                break;
            }
        }
    }
    Ok(seen)
}

/// The offset to begin at in each partition.
async fn starts(
    cluster: &Cluster,
    wanted: &Wanted,
    extents: &BTreeMap<TopicPartition, (i64, i64)>,
) -> Result<Vec<(TopicPartition, i64)>, Problem> {
    let mut times = BTreeMap::new();
    if let Origin::Time(time) = wanted.from {
        let asked: Vec<_> =
            extents.keys().map(|at| (at.clone(), ottla_client::OffsetSpec::Timestamp(time))).collect();
        times = cluster.list_offsets(&asked, ottla_client::Isolation::ReadUncommitted).await?;
    }
    let found = |at| times.get(at).and_then(|found| found.as_ref().ok()).map(|found| found.offset);
    Ok(extents.iter().map(|(at, extent)| (at.clone(), wanted.start(*extent, found(at)))).collect())
}

impl From<ConsumerError> for Problem {
    fn from(error: ConsumerError) -> Problem {
        Problem::new(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_records::{Batch, BatchBuilder, Header, NewRecord};

    fn shown(timestamp: i64, value: &str) -> Shown {
        Shown {
            timestamp,
            partition: 0,
            offset: timestamp,
            size: value.len(),
            key: None,
            value: Some(Text::of(value.as_bytes())),
            headers: Vec::new(),
        }
    }

    fn seen(from: Origin, limit: usize) -> Seen {
        Seen::new(&Wanted { from, limit, contains: Vec::new() })
    }

    #[test]
    fn the_newest_push_the_oldest_out() {
        let mut seen = seen(Origin::Latest, 2);
        for time in [5, 1, 9, 7] {
            assert!(seen.take(shown(time, "v")), "newer ones may come yet");
        }
        let mut times: Vec<i64> = seen.kept.into_iter().map(|Reverse(record)| record.timestamp).collect();
        times.sort_unstable();
        assert_eq!((times, seen.matched, seen.bytes), (vec![7, 9], 4, 2));
    }

    #[test]
    fn from_a_place_on_the_first_stay_and_the_look_ends() {
        let mut seen = seen(Origin::Offset(3), 2);
        assert!(seen.take(shown(3, "v")));
        assert!(!seen.take(shown(4, "v")));
    }

    #[test]
    fn an_answer_stays_small_whatever_the_records_are() {
        let long = "x".repeat(SHOWN_BYTES * 4);
        let text = Text::of(long.as_bytes());
        assert_eq!((text.text.len(), text.size, text.is_cut), (SHOWN_BYTES, SHOWN_BYTES * 4, true));
        let mut newest = seen(Origin::Latest, 500);
        let mut first = seen(Origin::Earliest, 500);
        let mut taken = 0;
        for time in 0..500 {
            newest.take(shown(time, &long));
            taken += 1;
            if !first.take(shown(time, &long)) {
                break;
            }
        }
        assert!(newest.bytes <= TOLD_BYTES && first.bytes <= TOLD_BYTES + SHOWN_BYTES);
        assert_eq!(taken, TOLD_BYTES / SHOWN_BYTES, "the first look ended for its bytes");
    }

    #[test]
    fn bytes_are_shown_as_text_or_as_digits() {
        let of = |bytes: &[u8]| {
            let text = Text::of(bytes);
            (text.text, text.is_hex)
        };
        assert_eq!(of("{\"a\": \"한\"}\n".as_bytes()), ("{\"a\": \"한\"}\n".to_owned(), false));
        assert_eq!(of(&[0, 0xff, 0x10]), ("00ff10".to_owned(), true));
        assert_eq!(of(b"a\x1b[31m"), ("611b5b33316d".to_owned(), true), "no control characters");
        let mut cut = vec![b'x'; SHOWN_BYTES - 1];
        cut.extend("한".as_bytes());
        assert_eq!(Text::of(&cut).text.len(), SHOWN_BYTES - 1, "cut before the character");
    }

    #[test]
    fn a_look_begins_within_what_there_is() {
        let start = |from, contains: &str, found| {
            Wanted { from, limit: 50, contains: contains.into() }.start((1_000, 20_000), found)
        };
        assert_eq!((start(Origin::Latest, "", None), start(Origin::Latest, "x", None)), (19_950, 10_000));
        assert_eq!(
            (start(Origin::Earliest, "", None), start(Origin::Offset(1_234), "", None)),
            (1_000, 1_234)
        );
        assert_eq!(
            (start(Origin::Offset(3), "", None), start(Origin::Offset(70_000), "", None)),
            (1_000, 20_000)
        );
        let at = |found| start(Origin::Time(1), "", found);
        assert_eq!(
            (at(Some(5_000)), at(Some(-1)), at(None)),
            (5_000, 20_000, 20_000),
            "nothing is that late"
        );
    }

    #[test]
    fn a_filter_looks_at_keys_values_and_headers() {
        let headers = [Header { key: b"trace", value: Some(b"abc") }, Header { key: b"empty", value: None }];
        let mut batch = BatchBuilder::new(0);
        batch.append(&NewRecord {
            headers: &headers,
            ..NewRecord::new(1, Some(b"the key"), Some(b"a value"))
        });
        batch.append(&NewRecord::new(1, None, None));
        let bytes = batch.build();
        let batch = Batch::parse(&bytes).expect("a batch");
        let records: Vec<_> = batch.plain_records().expect("records").map(|r| r.expect("a record")).collect();
        for found in ["key", "value", "trace", "bc", "empty", ""] {
            assert!(contains(&records[0], found.as_bytes()), "{found}");
        }
        assert!(!contains(&records[0], b"keys") && !contains(&records[1], b"a"));
        assert!(contains(&records[1], b""));
    }

    #[test]
    fn the_newest_is_told_first() {
        let mut seen = seen(Origin::Earliest, 5);
        for time in [3, 9, 5] {
            seen.take(shown(time, "v"));
        }
        let wanted = Wanted { from: Origin::Earliest, limit: 5, contains: b"v".to_vec() };
        let told = seen.told(&wanted, 2);
        let times: Vec<_> =
            told["messages"].as_array().expect("a list").iter().map(|m| &m["timestamp"]).collect();
        assert_eq!(times, [9, 5, 3]);
        assert_eq!((&told["partitions_left_out"], &told["is_filtered"]), (&json!(2), &json!(true)));
    }

    #[test]
    fn a_beginning_is_a_word_an_offset_or_a_time() {
        assert_eq!(Origin::read(None), Ok(Origin::Latest));
        assert_eq!(Origin::read(Some("earliest")), Ok(Origin::Earliest));
        assert_eq!(Origin::read(Some("17")), Ok(Origin::Offset(17)));
        assert_eq!(Origin::read(Some("@1700000000000")), Ok(Origin::Time(1_700_000_000_000)));
        for wrong in ["-1", "@", "x", "1.5"] {
            assert_eq!(Origin::read(Some(wrong)).expect_err(wrong).status, 400, "{wrong}");
        }
    }
}
