//! `kafka-producer-perf-test`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ottla_client::{Producer, ProducerError, Properties, Sent, ToSend};
use ottla_records::random::splitmix64;
use ottla_records::uuid_text;

use super::now_ms;
use super::stats::Stats;
use super::throttle::Throttle;
use crate::args::argparse::{Arg, Kind, Namespace, Parser};
use crate::clients::{self, Signals};
use crate::runtime::{self, Out, Stop};

/// How long a transaction is open if nothing is said, in milliseconds.
const TRANSACTION_MS: i64 = 3_000;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-producer-perf-test", args, produce)
}

fn parser() -> Parser {
    Parser::new("kafka-producer-perf-test")
        .default_help()
        .description(
            "This tool is used to verify the producer performance. To enable transactions, you can specify a \
             transactional id or set a transaction duration using --transaction-duration-ms. There are three ways to \
             specify the transactional id: set transactional.id=<id> via --command-property, set transactional.id=<id> \
             in the config file via --command-config, or use --transactional-id <id>.",
        )
        .arg(
            Arg::option(&["--bootstrap-server"])
                .dest("bootstrapServer")
                .metavar("BOOTSTRAP-SERVER")
                .help(
                    "The server(s) to connect to. This config takes precedence over \
                     bootstrap.servers specified via --command-property or --command-config.",
                ),
        )
        .exclusive_titled(
            "",
            "Note that you must provide exactly one of --record-size, --payload-file or --payload-monotonic.",
            true,
            vec![
            Arg::option(&["--record-size"])
                .dest("recordSize")
                .kind(Kind::Integer)
                .metavar("RECORD-SIZE")
                .help(
                    "Record size in bytes. Note that you must provide exactly one of \
                     --record-size, --payload-file or --payload-monotonic.",
                ),
            Arg::option(&["--payload-file"])
                .dest("payloadFile")
                .metavar("PAYLOAD-FILE")
                .help(
                    "File to read the record payloads from. This works only for UTF-8 encoded \
                     text files. Payloads will be read from this file and a payload will be \
                     randomly selected when sending records. Note that you must provide exactly \
                     one of --record-size, --payload-file or --payload-monotonic.",
                ),
            Arg::option(&["--payload-monotonic"])
                .store_true()
                .dest("payloadMonotonic")
                .metavar("PAYLOAD-MONOTONIC")
                .help(
                    "Payload is a monotonically increasing integer. Note that you must provide \
                     exactly one of --record-size, --payload-file or --payload-monotonic.",
                ),
            ],
        )
        .arg(
            Arg::option(&["--topic"])
                .required()
                .metavar("TOPIC")
                .help(
                    "Produce records to this topic.",
                ),
        )
        .arg(
            Arg::option(&["--num-records"])
                .required()
                .dest("numRecords")
                .kind(Kind::Long)
                .metavar("NUM-RECORDS")
                .help(
                    "Number of records to produce.",
                ),
        )
        .arg(
            Arg::option(&["--payload-delimiter"])
                .dest("payloadDelimiter")
                .default("\\n")
                .metavar("PAYLOAD-DELIMITER")
                .help(
                    "Provides the delimiter to be used when --payload-file is provided. Defaults \
                     to new line. Note that this parameter will be ignored if --payload-file is \
                     not provided.",
                ),
        )
        .arg(
            Arg::option(&["--throughput"])
                .required()
                .kind(Kind::Double)
                .metavar("THROUGHPUT")
                .help(
                    "Throttle maximum record throughput to *approximately* THROUGHPUT \
                     records/sec. Set this to -1 to disable throttling.",
                ),
        )
        .arg(
            Arg::option(&["--producer-props"])
                .dest("producerConfig")
                .nargs("+")
                .metavar("PROP-NAME=PROP-VALUE")
                .help(
                    "(DEPRECATED) Kafka producer related configuration properties like client.id. \
                     These configs take precedence over those passed via --command-config or \
                     --producer.config. This option will be removed in a future version. Use \
                     --command-property instead. Example: --command-property linger.ms=10 \
                     batch.size=32768",
                ),
        )
        .arg(
            Arg::option(&["--command-property"])
                .dest("commandProperties")
                .nargs("+")
                .metavar("PROP-NAME=PROP-VALUE")
                .help(
                    "Kafka producer related configuration properties like client.id. These \
                     configs take precedence over those passed via --command-config or \
                     --producer.config. Example: --command-property linger.ms=10 batch.size=32768",
                ),
        )
        .arg(
            Arg::option(&["--producer.config"])
                .dest("producerConfigFile")
                .metavar("CONFIG-FILE")
                .help(
                    "(DEPRECATED) Producer config properties file. This option will be removed in \
                     a future version. Use --command-config instead.",
                ),
        )
        .arg(
            Arg::option(&["--command-config"])
                .dest("commandConfigFile")
                .metavar("CONFIG-FILE")
                .help(
                    "Producer config properties file.",
                ),
        )
        .arg(
            Arg::option(&["--print-metrics"])
                .store_true()
                .dest("printMetrics")
                .metavar("PRINT-METRICS")
                .help(
                    "Print out metrics at the end of the test.",
                ),
        )
        .arg(
            Arg::option(&["--transactional-id"])
                .dest("transactionalId")
                .metavar("TRANSACTIONAL-ID")
                .help(
                    "The transactional id to use. This config takes precedence over the \
                     transactional.id specified via --command-property or --command-config. Note \
                     that if the transactional id is not specified while \
                     --transaction-duration-ms is provided, the default value for the \
                     transactional id will be performance-producer- followed by a random uuid.",
                ),
        )
        .arg(
            Arg::option(&["--transaction-duration-ms"])
                .dest("transactionDurationMs")
                .kind(Kind::Long)
                .metavar("TRANSACTION-DURATION")
                .help(
                    "The maximum duration of each transaction. The commitTransaction will be \
                     called after this time has elapsed. The value should be greater than 0. If \
                     the transactional id is specified via --command-property, --command-config \
                     or --transactional-id but --transaction-duration-ms is not specified, the \
                     default value will be 3000.",
                ),
        )
        .arg(
            Arg::option(&["--warmup-records"])
                .dest("warmupRecords")
                .kind(Kind::Long)
                .default("0")
                .metavar("WARMUP-RECORDS")
                .help(
                    "The number of records to treat as warmup. These initial records will not be \
                     included in steady-state statistics. An additional summary line will be \
                     printed describing the steady-state statistics.",
                ),
        )
        .arg(
            Arg::option(&["--reporting-interval"])
                .dest("reportingInterval")
                .kind(Kind::Long)
                .default("5000")
                .metavar("INTERVAL-MS")
                .help(
                    "Interval in milliseconds at which to print progress info.",
                ),
        )
}

/// What was asked for.
struct Options {
    topic: String,
    records: u64,
    warmup: u64,
    throughput: f64,
    interval_ms: i64,
    payload: Payload,
    properties: Properties,
    bootstrap: String,
    metrics: bool,
    /// How long a transaction is open, where records are sent in transactions.
    transaction: Option<Duration>,
}

/// What is in the records.
enum Payload {
    /// This many random capital letters.
    Random(usize),
    /// One of these, at random.
    Among(Vec<Vec<u8>>),
    /// The record's number.
    Counting,
}

fn options(args: &[String], out: &mut Out) -> Result<Options, Stop> {
    let p = parser();
    if args.is_empty() {
        write!(out, "{}", p.help())?;
        return Err(Stop::quiet(0));
    }
    let ns = p.parse(args, out)?;
    let records = ns.long("numRecords").unwrap_or(0);
    let warmup = ns.long("warmupRecords").unwrap_or(0).max(0);
    let size = ns.integer("recordSize");
    let interval_ms = ns.long("reportingInterval").unwrap_or(5000);
    let duration = ns.long("transactionDurationMs");
    for (wrong, message) in [
        (records <= 0, "--num-records should be greater than zero."),
        (
            warmup >= records,
            "The value for --warmup-records must be strictly fewer than the number of records in the test, \
             --num-records.",
        ),
        (size.is_some_and(|size| size <= 0), "--record-size should be greater than zero."),
        (
            [
                "bootstrapServer",
                "commandProperties",
                "producerConfig",
                "producerConfigFile",
                "commandConfigFile",
            ]
            .iter()
            .all(|name| !ns.given(name)),
            "At least one of --bootstrap-server, --command-property, --producer-props, --producer.config or \
             --command-config must be specified.",
        ),
        (
            ns.given("commandProperties") && ns.given("producerConfig"),
            "--command-property and --producer-props cannot be specified together.",
        ),
        (
            ns.given("commandConfigFile") && ns.given("producerConfigFile"),
            "--command-config and --producer.config cannot be specified together.",
        ),
        (duration.is_some_and(|ms| ms <= 0), "--transaction-duration-ms should be greater than zero."),
        (interval_ms <= 0, "--reporting-interval should be greater than zero."),
    ] {
        if wrong {
            return Err(p.error(message));
        }
    }
    let payload = match (ns.text("payloadFile"), size) {
        (Some(file), _) => Payload::Among(payloads(file, ns.text("payloadDelimiter").unwrap_or("\\n"), out)?),
        (None, Some(size)) => Payload::Random(size as usize),
        (None, None) => Payload::Counting,
    };
    let mut properties = properties(&ns)?;
    if duration.is_some() {
        let id = format!("performance-producer-{}", uuid_text::encode(&uuid_text::random()));
        properties.set_default("transactional.id", &id);
    }
    let is_transactional = properties.get("transactional.id").is_some_and(|id| !id.is_empty());
    let transaction =
        is_transactional.then(|| Duration::from_millis(duration.unwrap_or(TRANSACTION_MS).unsigned_abs()));
    let Some(bootstrap) = properties.get("bootstrap.servers").map(str::to_owned) else {
        return Err(Stop::error(
            "org.apache.kafka.common.config.ConfigException: Missing required configuration \"bootstrap.servers\" \
             which has no default value.",
        )
        .and_err("    next: add --bootstrap-server HOST:PORT"));
    };
    Ok(Options {
        topic: ns.text("topic").unwrap_or_default().to_owned(),
        records: records as u64,
        warmup: warmup as u64,
        throughput: ns.double("throughput").unwrap_or(-1.0),
        interval_ms,
        payload,
        properties,
        bootstrap,
        metrics: ns.flag("printMetrics"),
        transaction,
    })
}

fn properties(ns: &Namespace) -> Result<Properties, Stop> {
    for (given, old, new) in [
        ("producerConfig", "--producer-props", "--command-property"),
        ("producerConfigFile", "--producer.config", "--command-config"),
    ] {
        if ns.given(given) {
            runtime::deprecated(&format!(
                "Option {old} has been deprecated and will be removed in a future version. Use {new} instead."
            ));
        }
    }
    let file = ns.text("commandConfigFile").or(ns.text("producerConfigFile"));
    let mut properties = runtime::properties(file)?;
    let pairs =
        if ns.given("producerConfig") { ns.texts("producerConfig") } else { ns.texts("commandProperties") };
    for pair in pairs {
        match pair.split('=').collect::<Vec<_>>().as_slice() {
            [key, value] => properties.set(key, value),
            _ => {
                return Err(Stop::error(format!(
                    "java.lang.IllegalArgumentException: Invalid property: {pair}"
                )));
            }
        }
    }
    properties.set_default("client.id", "perf-producer-client");
    if let Some(server) = ns.text("bootstrapServer") {
        properties.set("bootstrap.servers", server);
    }
    if let Some(id) = ns.text("transactionalId") {
        properties.set("transactional.id", id);
    }
    Ok(properties)
}

/// The pieces of a file. Its delimiter is a text here; Java takes it as a regular expression.
fn payloads(file: &str, delimiter: &str, out: &mut Out) -> Result<Vec<Vec<u8>>, Stop> {
    let path = Path::new(file);
    writeln!(out, "Reading payloads from: {}", std::path::absolute(path)?.display())?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if text.is_empty() {
        return Err(Stop::error(
            "java.lang.IllegalArgumentException: File does not exist or empty file provided.",
        ));
    }
    let payloads = split(&text, if delimiter == "\\n" { "\n" } else { delimiter });
    writeln!(out, "Number of records read: {}", payloads.len())?;
    Ok(payloads)
}

fn split(text: &str, delimiter: &str) -> Vec<Vec<u8>> {
    let text = text.strip_suffix(delimiter).unwrap_or(text);
    text.split(delimiter).map(|piece| piece.as_bytes().to_vec()).collect()
}

/// A small generator of random numbers (SplitMix64); the same ones in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// Random capital letters, eight from one number.
    fn letters(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            let bits = self.next();
            for (i, byte) in piece.iter_mut().enumerate() {
                *byte = b'A' + ((((bits >> (8 * i)) & 0xff) * 26) >> 8) as u8;
            }
        }
    }
}

/// A record on its way.
struct Waiting {
    sent: Sent,
    bytes: usize,
    start_ms: i64,
    start: Instant,
}

/// The records on their way, and what was counted.
struct Count {
    waiting: VecDeque<Waiting>,
    stats: Stats,
    steady: Option<Stats>,
}

impl Count {
    /// Counts those at the front that have arrived.
    fn arrived(&mut self, out: &mut Out) -> Result<(), Stop> {
        while let Some(end) = self.waiting.front().and_then(|front| front.sent.poll_now()) {
            let Some(front) = self.waiting.pop_front() else { break };
            match end {
                Ok(_) => {
                    let done = front.sent.done_at().unwrap_or(front.start);
                    let took = done.saturating_duration_since(front.start).as_millis() as i64;
                    let now = front.start_ms + took;
                    self.stats.record(took as i32, front.bytes, now, out)?;
                    if let Some(steady) = &mut self.steady {
                        steady.record(took as i32, front.bytes, now, out)?;
                    }
                }
                Err(error) => tell(&error),
            }
        }
        Ok(())
    }
}

/// What ends the run: a transaction that does not go on.
fn of(error: &ProducerError) -> Stop {
    let (class, message) = error.exception();
    Stop::error(format!("{class}: {message}"))
}

fn tell(error: &ProducerError) {
    let (class, message) = error.exception();
    eprintln!("{class}: {message}");
}

fn produce(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = options(args, out)?;
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let producer = tokio::select! {
            producer = clients::producer(&options.bootstrap, &options.properties) => producer?,
            code = signals.next() => return Err(Stop::quiet(code)),
        };
        if options.transaction.is_some() {
            tokio::select! {
                ready = producer.init_transactions() => ready.map_err(|error| of(&error))?,
                code = signals.next() => return Err(Stop::quiet(code)),
            }
        }
        let mut count = Count {
            waiting: VecDeque::new(),
            stats: Stats::new(options.records, options.interval_ms, false, now_ms()),
            steady: None,
        };
        tokio::select! {
            ended = send(&options, &producer, &mut count, out) => ended?,
            code = signals.next() => return Err(Stop::quiet(code)),
        }
        tokio::select! {
            () = producer.flush() => {}
            code = signals.next() => return Err(Stop::quiet(code)),
        }
        count.arrived(out)?;
        count.stats.print_total(now_ms(), out)?;
        if let Some(steady) = &mut count.steady {
            steady.print_total(now_ms(), out)?;
        }
        if options.metrics {
            metrics(&producer, out)?;
        }
        producer.close(Duration::ZERO).await;
        Ok(())
    })
}

async fn send(options: &Options, producer: &Producer, count: &mut Count, out: &mut Out) -> Result<(), Stop> {
    if options.warmup > 0 {
        writeln!(
            out,
            "Warmup first {} records. Steady state results will print after the complete test summary.",
            options.warmup
        )?;
        out.flush()?;
        count.stats = Stats::new(options.records, options.interval_ms, false, now_ms());
    }
    let mut open: Option<Instant> = None;
    let (start_ms, start) = (now_ms(), Instant::now());
    let mut throttle = Throttle::new(options.throughput, start_ms);
    let mut random = Random(0);
    let mut buffer = match options.payload {
        Payload::Random(size) => vec![0; size],
        _ => Vec::new(),
    };
    for i in 0..options.records {
        let value: &[u8] = match &options.payload {
            Payload::Random(_) => {
                random.letters(&mut buffer);
                &buffer
            }
            Payload::Among(payloads) => &payloads[random.below(payloads.len())],
            Payload::Counting => {
                buffer.clear();
                write!(buffer, "{i}")?;
                &buffer
            }
        };
        // One reading of the clock: the wall clock's time is where the run began, plus what has passed since.
        let now = Instant::now();
        let sent_ms = start_ms + now.duration_since(start).as_millis() as i64;
        if options.warmup > 0 && i == options.warmup {
            count.steady =
                Some(Stats::new(options.records - options.warmup, options.interval_ms, true, sent_ms));
            count.stats.be_quiet();
        }
        if options.transaction.is_some() && open.is_none() {
            producer.begin_transaction().map_err(|error| of(&error))?;
            open = Some(now);
        }
        let record = ToSend { topic: &options.topic, value: Some(value), ..ToSend::default() };
        let sent = match producer.try_send(&record) {
            Some(sent) => sent,
            None => {
                count.arrived(out)?;
                producer.send(&record).await
            }
        };
        match sent {
            Ok(sent) => {
                count.waiting.push_back(Waiting { sent, bytes: value.len(), start_ms: sent_ms, start: now });
            }
            Err(error) => tell(&error),
        }
        if let (Some(longest), Some(since)) = (options.transaction, open)
            && longest <= now - since
        {
            producer.commit_transaction().await.map_err(|error| of(&error))?;
            open = None;
        }
        match throttle.pause(i as i64, sent_ms) {
            Some(Duration::ZERO) if i % 64 != 63 => {}
            Some(Duration::ZERO) => {
                tokio::task::yield_now().await;
                if i % 1024 == 1023 {
                    count.arrived(out)?;
                }
            }
            Some(pause) => {
                count.arrived(out)?;
                tokio::time::sleep(pause).await;
            }
            None => std::future::pending().await,
        }
    }
    if open.is_some() {
        producer.commit_transaction().await.map_err(|error| of(&error))?;
    }
    Ok(())
}

/// What this producer counts, in the form of Kafka's table. Java's client has other metrics.
fn metrics(producer: &Producer, out: &mut Out) -> Result<(), Stop> {
    let stats = producer.stats();
    let rows = [
        ("producer-metrics:batch-total", stats.batches),
        ("producer-metrics:byte-total", stats.bytes),
        ("producer-metrics:record-error-total", stats.errors),
        ("producer-metrics:record-retry-total", stats.retries),
        ("producer-metrics:record-send-total", stats.delivered),
        ("producer-metrics:request-total", stats.requests),
    ];
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    writeln!(out, "\n{:<width$}   Value", "Metric Name")?;
    for (name, value) in rows {
        writeln!(out, "{name:<width$} : {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, Stop> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        options(&args, &mut Out::new_for_test())
    }

    #[test]
    fn misuse_is_told_in_kafkas_words() {
        let all = |more: &[&str]| {
            let least = ["--topic", "t", "--throughput", "-1", "--record-size", "10"];
            let args = [&least[..], more].concat();
            // argparse4j breaks long lines.
            let error = parse(&args).err()?.err.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(
                error
                    .split_once(" kafka-producer-perf-test: error: ")
                    .map_or(error.clone(), |(_, why)| why.to_owned()),
            )
        };
        let error = |text: &str| Some(text.to_owned());
        assert_eq!(all(&["--num-records", "0"]), error("--num-records should be greater than zero."));
        assert_eq!(
            all(&["--num-records", "5", "--warmup-records", "5", "--bootstrap-server", "h:1"]),
            error(
                "The value for --warmup-records must be strictly fewer than the number of records in the test, \
                 --num-records."
            )
        );
        assert_eq!(all(&["--num-records", "5", "--bootstrap-server", "h:1"]), None);
        let text = "--transaction-duration-ms should be greater than zero.";
        let duration = ["--num-records", "5", "--bootstrap-server", "h:1", "--transaction-duration-ms", "0"];
        assert_eq!(all(&duration), error(text));
        assert!(all(&["--num-records", "5"]).unwrap().contains("At least one of --bootstrap-server"));
        let both = ["--num-records", "5", "--producer-props", "a=b", "--command-property", "c=d"];
        assert_eq!(
            all(&both),
            error("--command-property and --producer-props cannot be specified together.")
        );
        assert!(
            all(&["--num-records", "5", "--command-property", "a"]).unwrap().ends_with("Invalid property: a")
        );
    }

    #[test]
    fn transactions_are_asked_for_by_their_id_or_their_duration() {
        let transaction = |more: &[&str]| {
            let least = ["--topic", "t", "--throughput", "-1", "--record-size", "10", "--num-records", "5"];
            let args = [&least[..], &["--bootstrap-server", "h:1"], more].concat();
            let options = parse(&args).ok().unwrap();
            (
                options.transaction.map(|d| d.as_millis()),
                options.properties.get("transactional.id").map(str::to_owned),
            )
        };
        assert_eq!(transaction(&[]), (None, None));
        assert_eq!(transaction(&["--transactional-id", "tx"]), (Some(3_000), Some("tx".into())));
        let (duration, id) = transaction(&["--transaction-duration-ms", "50"]);
        assert_eq!(duration, Some(50));
        assert!(id.unwrap().starts_with("performance-producer-"));
    }

    #[test]
    fn payloads_are_split_and_random() {
        assert_eq!(split("a\nb\n", "\n"), [b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(split("a||b", "||"), [b"a".to_vec(), b"b".to_vec()]);
        let mut random = Random(0);
        let mut letters = [0; 1000];
        random.letters(&mut letters);
        assert!(letters.iter().all(u8::is_ascii_uppercase));
        assert!((b'A'..=b'Z').all(|letter| letters.contains(&letter)));
        assert!((0..1000).map(|_| random.below(3)).all(|n| n < 3));
    }
}
