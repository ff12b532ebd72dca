//! `kafka-e2e-latency`: a record is sent, acknowledged and read before the next one, and the time in between is told.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ottla_client::{Consumer, Polled, Producer, Properties, Role, Start, ToSend, TopicPartition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_records::Header;

use crate::args::jopt::{Found, Kind, Parser};
use crate::clients::{self, Signals};
use crate::java_format::fixed;
use crate::perf::now_ms;
use crate::record_json::java_double;
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-e2e-latency", args, measure)
}

fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes(
        "bootstrap-server",
        "REQUIRED: The Kafka broker list string in the form HOST1:PORT1,HOST2:PORT2.",
        "bootstrap-server",
        Kind::Text,
    );
    p.takes("topic", "REQUIRED: The topic to use for the test.", "topic-name", Kind::Text);
    p.takes("num-records", "REQUIRED: The number of messages to send.", "count", Kind::Integer);
    p.takes(
        "producer-acks",
        "REQUIRED: Producer acknowledgements. Must be '1' or 'all'.",
        "producer-acks",
        Kind::Text,
    );
    p.takes("record-size", "REQUIRED: The size of each message payload in bytes.", "bytes", Kind::Integer);
    p.may_take(
        "record-key-size",
        "Optional: The size of the message key in bytes. If not set, messages are sent without a \
         key.",
        "bytes",
        Kind::Integer,
    )
    .default("0");
    p.may_take(
        "record-header-key-size",
        "Optional: The size of the message header key in bytes. Used together with \
         record-header-size.",
        "bytes",
        Kind::Integer,
    )
    .default("0");
    p.may_take(
        "record-header-size",
        "Optional: The size of message header value in bytes. Use -1 for null header value.",
        "bytes",
        Kind::Integer,
    )
    .default("0");
    p.may_take(
        "num-headers",
        "Optional: The number of headers to include in each message.",
        "count",
        Kind::Integer,
    )
    .default("0");
    p.may_take(
        "command-config",
        "Optional: A property file for Kafka producer/consumer/admin client configuration.",
        "config-file",
        Kind::Text,
    );
    p
}

const REQUIRED: [&str; 5] = ["bootstrap-server", "topic", "num-records", "producer-acks", "record-size"];
/// How long a record may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The old form, five or six arguments without names, as the new one.
fn named(args: &[String]) -> Result<Vec<String>, Stop> {
    let is_named = |arg: &String| REQUIRED.iter().any(|name| arg.strip_prefix("--") == Some(name));
    let wants_help = |arg: &String| arg == "--help" || arg == "--version";
    if args.is_empty() || args.iter().any(is_named) || args.iter().all(wants_help) {
        return Ok(args.to_vec());
    }
    if args.len() != 5 && args.len() != 6 {
        return Err(Stop::error(format!(
            "Invalid number of arguments. Expected 5 or 6 positional arguments, but got {}. Usage: bootstrap-server \
             topic num-records producer-acks record-size [optional] command-config",
            args.len()
        )));
    }
    runtime::deprecated(
        "WARNING: Positional argument usage is deprecated and will be removed in Apache Kafka 5.0. Please use named \
         arguments instead: --bootstrap-server, --topic, --num-records, --producer-acks, --record-size, \
         --command-config",
    );
    let names = REQUIRED.iter().chain(&["command-config"]);
    Ok(names.zip(args).flat_map(|(name, value)| [format!("--{name}"), value.clone()]).collect())
}

/// What was asked for.
struct Options {
    bootstrap: String,
    topic: String,
    records: usize,
    acks: String,
    size: usize,
    /// 0 for no key.
    key_size: usize,
    headers: usize,
    header_key_size: usize,
    /// `None` for null.
    header_size: Option<usize>,
    properties: Properties,
}

fn options(args: &[String], out: &mut Out) -> Result<Options, Stop> {
    let args = named(args)?;
    let mut p = parser();
    let found = match p.parse(&args) {
        Ok(found) => found,
        Err(misuse) if misuse.is_conversion() => return Err(misuse.into()),
        Err(misuse) => return Err(p.usage(misuse)),
    };
    p.help_or_version(
        &found,
        "This tool measures end-to-end latency in Kafka by sending messages and timing their reception.",
        out,
    )?;
    p.check_required(&found, &REQUIRED)?;
    let acks = found.value("producer-acks").unwrap_or_default();
    let number = |name: &str| found.integer(name).unwrap_or(0);
    for (wrong, message) in [
        (
            !["1", "all"].contains(&acks),
            "Invalid value for --producer-acks. Latency testing requires synchronous acknowledgement. Please use '1' \
             or 'all'.",
        ),
        (number("num-records") <= 0, "Value for --num-records must be a positive integer."),
        (number("record-size") < 0, "Value for --record-size must be a non-negative integer."),
        (number("record-key-size") < 0, "Value for --record-key-size must be a non-negative integer."),
        (
            number("record-header-key-size") < 0,
            "Value for --record-header-key-size must be a non-negative integer.",
        ),
        (
            number("record-header-size") < -1,
            "Value for --record-header-size must be a non-negative integer or -1 for null header value.",
        ),
        (number("num-headers") < 0, "Value for --num-headers must be a non-negative integer."),
    ] {
        if wrong {
            return Err(p.usage(message));
        }
    }
    let size = |name: &str| usize::try_from(number(name)).unwrap_or(0);
    Ok(Options {
        bootstrap: text(&found, "bootstrap-server"),
        topic: text(&found, "topic"),
        records: size("num-records"),
        acks: acks.to_owned(),
        size: size("record-size"),
        key_size: size("record-key-size"),
        headers: size("num-headers"),
        header_key_size: size("record-header-key-size"),
        header_size: usize::try_from(number("record-header-size")).ok(),
        properties: runtime::properties(found.value("command-config"))?,
    })
}

fn text(found: &Found, name: &str) -> String {
    found.value(name).unwrap_or_default().to_owned()
}

fn measure(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = options(args, out)?;
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            ended = round_trips(&options, out) => ended,
            code = signals.next() => Err(Stop::quiet(code)),
        }
    })
}

async fn round_trips(options: &Options, out: &mut Out) -> Result<(), Stop> {
    let base = |role| clients::cluster(&options.bootstrap, &options.properties, role);
    let cluster = base(Role::Admin).await?;
    let known = cluster.metadata(Some(&[&options.topic])).await?;
    let partitions =
        known.topics.iter().find(|topic| topic.error_code == 0).map(|topic| topic.partitions.len());
    let partitions = match partitions {
        Some(partitions) => partitions,
        None => {
            writeln!(
                out,
                "Topic \"{}\" does not exist. Will create topic with 1 partition(s) and replication factor = 1",
                options.topic
            )?;
            out.flush()?;
            create(&cluster, &options.topic, out).await?;
            1
        }
    };
    let reading = options
        .properties
        .clone()
        .with("group.id", &format!("test-group-{}", now_ms()))
        .with("enable.auto.commit", "false")
        .with("auto.offset.reset", "latest")
        .with("fetch.max.wait.ms", "0");
    let writing = options
        .properties
        .clone()
        .with("linger.ms", "0")
        .with("max.block.ms", &i64::MAX.to_string())
        .with("acks", &options.acks);
    let (_, mut consumer) = clients::consumer(&options.bootstrap, &reading).await?;
    let producer = clients::producer(&options.bootstrap, &writing).await?;
    let all: Vec<TopicPartition> = (0..partitions as i32)
        .map(|partition| TopicPartition::new(options.topic.as_str(), partition))
        .collect();
    // The end as it is now: what was there before is not this tool's.
    let ends = consumer.end_offsets(&all).await?;
    consumer.assign(ends.into_iter().map(|(tp, end)| (tp, Start::Offset(end))).collect()).await?;
    let mut latencies = Vec::with_capacity(options.records.min(1 << 20));
    let mut random = Letters(0);
    for i in 0..options.records {
        let took = one(options, &mut random, &producer, &mut consumer).await?;
        if i % 1000 == 0 {
            writeln!(out, "{i}\t{}", java_double(took.as_nanos() as f64 / 1000.0 / 1000.0))?;
            out.flush()?;
        }
        latencies.push(took);
    }
    write!(out, "{}", results(&mut latencies))?;
    out.flush()?;
    consumer.commit().await?;
    Ok(consumer.close().await?)
}

async fn create(cluster: &ottla_client::Cluster, topic: &str, out: &mut Out) -> Result<(), Stop> {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 30_000,
        ..CreateTopicsRequest::default()
    };
    let answer = cluster.controller(&request).await?;
    for result in answer.topics {
        if result.error_code != 0 {
            let code = ErrorCode::from_i16(result.error_code).unwrap_or(ErrorCode::UnknownServerError);
            writeln!(out, "Creation of topic {topic} failed")?;
            let why = ottla_client::exception::text(code, result.error_message.as_deref());
            return Err(Stop::error(format!("java.util.concurrent.ExecutionException: {why}")));
        }
    }
    Ok(())
}

/// Pieces of one letter each, a different one every time.
struct Letters(u64);

impl Letters {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        vec![b'A' + ((self.0 >> 33) % 26) as u8; length]
    }
}

/// One record there and back.
async fn one(
    options: &Options,
    random: &mut Letters,
    producer: &Producer,
    consumer: &mut Consumer,
) -> Result<Duration, Stop> {
    let key = (options.key_size > 0).then(|| random.bytes(options.key_size));
    let value = random.bytes(options.size);
    let pairs: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..options.headers)
        .map(|_| (random.bytes(options.header_key_size), options.header_size.map(|size| random.bytes(size))))
        .collect();
    let headers: Vec<Header<'_>> =
        pairs.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
    let record = ToSend {
        topic: &options.topic,
        key: key.as_deref(),
        value: Some(&value),
        headers: &headers,
        ..ToSend::default()
    };
    let begin = Instant::now();
    producer.send(&record).await?.await?;
    let fetched = loop {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        match consumer.poll(left).await? {
            Polled::Records(fetched) => break Some(fetched),
            Polled::Idle if begin.elapsed() >= PATIENCE => break None,
            _ => {}
        }
    };
    let took = begin.elapsed();
    let wrong = |message: String| Stop::error(message);
    let Some(mut fetched) = fetched else {
        return Err(wrong("poll() timed out before finding a result (timeout:[60000ms])".to_owned()));
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut count = 0;
    fetched.for_each(|read| {
        count += 1;
        let read = &read.record;
        if count > 1 {
            return Ok(());
        }
        if read.value != Some(&value) {
            let read = text(read.value.unwrap_or_default());
            return Err(wrong(format!(
                "The message value read [{read}] did not match the message value sent [{}]",
                text(&value)
            )));
        }
        if read.key != key.as_deref() {
            let (read, sent) = (text(read.key.unwrap_or_default()), text(key.as_deref().unwrap_or_default()));
            return Err(wrong(format!(
                "The message key read [{read}] did not match the message key sent [{sent}]"
            )));
        }
        if !read.headers.iter().eq(headers.iter().copied()) {
            return Err(wrong("The message headers read did not match the message headers sent".to_owned()));
        }
        Ok(())
    })??;
    if count != 1 {
        return Err(wrong(format!("Only one result was expected during this test. We found [{count}]")));
    }
    Ok(took)
}

/// The last two lines.
fn results(latencies: &mut [Duration]) -> String {
    let total: u128 = latencies.iter().map(Duration::as_nanos).sum();
    latencies.sort_unstable();
    let percentile = |part: f64| {
        let at = (latencies.len() as f64 * part) as usize;
        latencies.get(at).map_or(0, Duration::as_millis)
    };
    format!(
        "Avg latency: {} ms\nPercentiles: 50th = {}, 99th = {}, 99.9th = {}\n",
        fixed(total as f64 / latencies.len() as f64 / 1000.0 / 1000.0, 4),
        percentile(0.5),
        percentile(0.99),
        percentile(0.999)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_form_is_taken() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let new = named(&words("h:1 t 10 all 100 c.properties")).unwrap();
        assert_eq!(
            new.join(" "),
            "--bootstrap-server h:1 --topic t --num-records 10 --producer-acks all --record-size 100 --command-config c.properties"
        );
        assert!(named(&words("a b")).unwrap_err().err.contains("but got 2. Usage: bootstrap-server topic"));
        let same = words("--topic t");
        assert_eq!(named(&same).unwrap(), same);
    }

    #[test]
    fn values_are_checked() {
        let err = |more: &str| {
            let args = format!("--bootstrap-server h:1 --topic t {more}");
            let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
            let stop = options(&args, &mut Out::new_for_test()).err().unwrap();
            stop.err.lines().next().unwrap_or_default().to_owned()
        };
        assert!(
            err("--num-records 1 --producer-acks 0 --record-size 1")
                .starts_with("Invalid value for --producer-acks.")
        );
        assert_eq!(
            err("--num-records 0 --producer-acks 1 --record-size 1"),
            "Value for --num-records must be a positive integer."
        );
        assert_eq!(err("--num-records 1 --producer-acks 1"), "Missing required argument \"[record-size]\"");
    }

    #[test]
    fn results_are_kafkas() {
        let mut latencies: Vec<Duration> = (1..=1000).rev().map(Duration::from_millis).collect();
        assert_eq!(
            results(&mut latencies),
            "Avg latency: 500.5000 ms\nPercentiles: 50th = 501, 99th = 991, 99.9th = 1000\n"
        );
    }
}
