//! `kafka-verifiable-producer`: increasing numbers, and for each of them whether it was acknowledged.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use ottla_client::{Delivered, Producer, ProducerError, Properties, Sent, ToSend};

use super::event;
use crate::args::argparse::{Arg, Kind, Parser};
use crate::clients::{self, Signals};
use crate::perf::now_ms;
use crate::perf::throttle::Throttle;
use crate::record_json::Json;
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-verifiable-producer", args, produce)
}

fn parser() -> Parser {
    Parser::new("verifiable-producer")
        .default_help()
        .description(
            "This tool produces increasing integers to the specified topic and prints JSON metadata to stdout on each \
             \"send\" request, making externally visible which messages have been acked and which have not.",
        )
        .arg(
            Arg::option(&["--topic"])
                .required()
                .metavar("TOPIC")
                .help(
                    "Produce messages to this topic.",
                ),
        )
        .exclusive_titled(
            "Connection Group",
            "Group of arguments for connection to brokers",
            true,
            vec![
            Arg::option(&["--bootstrap-server"])
                .dest("bootstrapServer")
                .metavar("HOST1:PORT1[,HOST2:PORT2[...]]")
                .help(
                    "REQUIRED: The server(s) to connect to. Comma-separated list of Kafka brokers \
                     in the form HOST1:PORT1,HOST2:PORT2,...",
                ),
            ],
        )
        .arg(
            Arg::option(&["--max-messages"])
                .dest("maxMessages")
                .kind(Kind::Integer)
                .default("-1")
                .metavar("MAX-MESSAGES")
                .help(
                    "Produce this many messages. If -1, produce messages until the process is \
                     killed externally.",
                ),
        )
        .arg(
            Arg::option(&["--throughput"])
                .kind(Kind::Integer)
                .default("-1")
                .metavar("THROUGHPUT")
                .help(
                    "If set >= 0, throttle maximum message throughput to *approximately* \
                     THROUGHPUT messages/sec.",
                ),
        )
        .arg(
            Arg::option(&["--acks"])
                .kind(Kind::Integer)
                .default("-1")
                .choices(&["0", "1", "-1"])
                .metavar("ACKS")
                .help(
                    "Acks required on each produced message. See Kafka docs on acks for details.",
                ),
        )
        .arg(
            Arg::option(&["--producer.config"])
                .metavar("CONFIG-FILE")
                .help(
                    "(DEPRECATED) Producer config properties file. This option will be removed in \
                     a future version. Use --command-config instead.",
                ),
        )
        .arg(
            Arg::option(&["--message-create-time"])
                .dest("createTime")
                .kind(Kind::Long)
                .default("-1")
                .metavar("CREATE-TIME")
                .help(
                    "Send messages with creation time starting at the arguments value, in \
                     milliseconds since epoch",
                ),
        )
        .arg(
            Arg::option(&["--value-prefix"])
                .dest("valuePrefix")
                .kind(Kind::Integer)
                .metavar("VALUE-PREFIX")
                .help(
                    "If specified, each produced value will have this prefix with a dot separator",
                ),
        )
        .arg(
            Arg::option(&["--repeating-keys"])
                .dest("repeatingKeys")
                .kind(Kind::Integer)
                .metavar("REPEATING-KEYS")
                .help(
                    "If specified, each produced record will have a key starting at 0 increment \
                     by 1 up to the number specified (exclusive), then the key is set to 0 again",
                ),
        )
        .arg(
            Arg::option(&["--command-config"])
                .dest("commandConfigFile")
                .metavar("CONFIG-FILE")
                .help(
                    "Config properties file (config options shared with command line parameters \
                     will be overridden).",
                ),
        )
}

/// What was asked for.
struct Options {
    topic: String,
    bootstrap: String,
    properties: Properties,
    most: Option<u64>,
    throughput: i64,
    prefix: Option<i32>,
    keys: Option<i32>,
    create_time: Option<i64>,
}

fn options(args: &[String], out: &mut Out) -> Result<Options, Stop> {
    let p = parser();
    if args.is_empty() {
        write!(out, "{}", p.help())?;
        return Err(Stop::quiet(0));
    }
    let ns = p.parse(args, out)?;
    let (old, new) = (ns.text("producer.config"), ns.text("commandConfigFile"));
    if old.is_some() && new.is_some() {
        return Err(p.error("Options --producer.config and --command-config are mutually exclusive."));
    }
    if old.is_some() {
        runtime::deprecated(
            "Option --producer.config has been deprecated and will be removed in a future version. Use \
             --command-config instead.",
        );
    }
    let bootstrap = ns.text("bootstrapServer").unwrap_or_default().to_owned();
    let mut properties = Properties::new();
    properties.set("bootstrap.servers", &bootstrap);
    properties.set("acks", &ns.integer("acks").unwrap_or(-1).to_string());
    // What failed is told, not tried again.
    properties.set("retries", "0");
    if let Some(file) = old.or(new) {
        properties.extend(&super::properties(&p, Some(file))?);
    }
    let bootstrap = properties.get("bootstrap.servers").unwrap_or_default().to_owned();
    Ok(Options {
        topic: ns.text("topic").unwrap_or_default().to_owned(),
        bootstrap,
        properties,
        most: ns.integer("maxMessages").and_then(|most| u64::try_from(most).ok()),
        throughput: ns.integer("throughput").unwrap_or(-1).into(),
        prefix: ns.integer("valuePrefix"),
        keys: ns.integer("repeatingKeys"),
        create_time: ns.long("createTime").filter(|ms| *ms != -1),
    })
}

/// A record on its way.
struct Waiting {
    sent: Sent,
    key: Option<String>,
    value: String,
}

struct Run {
    options: Options,
    waiting: VecDeque<Waiting>,
    sent: u64,
    acked: u64,
}

fn produce(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = options(args, out)?;
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let producer = tokio::select! {
            producer = clients::producer(&options.bootstrap, &options.properties) => producer?,
            code = signals.next() => return Err(Stop::quiet(code)),
        };
        let start_ms = now_ms();
        event("startup_complete", [], out)?;
        let mut run = Run { options, waiting: VecDeque::new(), sent: 0, acked: 0 };
        let ended = tokio::select! {
            ended = run.send(&producer, start_ms, out) => ended,
            code = signals.next() => Err(Stop::quiet(code)),
        };
        tokio::select! {
            () = producer.flush() => {}
            _ = signals.next() => producer.clone().close(Duration::ZERO).await,
        }
        run.arrived(out)?;
        event("shutdown_complete", [], out)?;
        let seconds = (now_ms() - start_ms) as f64 / 1000.0;
        event(
            "tool_data",
            [
                ("sent", Json::Int(run.sent as i64)),
                ("acked", Json::Int(run.acked as i64)),
                ("target_throughput", Json::Int(run.options.throughput)),
                ("avg_throughput", Json::Double(run.acked as f64 / seconds)),
            ],
            out,
        )?;
        ended
    })
}

/// The next key: from 0 up to the number, and again.
fn key(keys: Option<i32>, record: u64) -> Option<String> {
    match keys? {
        // Kafka begins again only where the counter meets the number, which it then never does.
        keys if keys <= 0 => Some(record.to_string()),
        keys => Some((record % keys as u64).to_string()),
    }
}

fn value(prefix: Option<i32>, record: u64) -> String {
    prefix.map_or_else(|| record.to_string(), |prefix| format!("{prefix}.{record}"))
}

impl Run {
    async fn send(&mut self, producer: &Producer, start_ms: i64, out: &mut Out) -> Result<(), Stop> {
        let mut throttle = Throttle::new(self.options.throughput as f64, start_ms);
        let mut create_time = self.options.create_time;
        let mut record = 0;
        while self.options.most.is_none_or(|most| record < most) {
            let now = now_ms();
            let (key, value) = (key(self.options.keys, record), value(self.options.prefix, record));
            let to_send = ToSend {
                topic: &self.options.topic,
                timestamp: create_time,
                key: key.as_ref().map(String::as_bytes),
                value: Some(value.as_bytes()),
                ..ToSend::default()
            };
            self.sent += 1;
            match producer.send(&to_send).await {
                Ok(sent) => self.waiting.push_back(Waiting { sent, key, value }),
                Err(error) => failed(&self.options.topic, key, value, &error, out)?,
            }
            if let Some(time) = &mut create_time {
                *time += now_ms() - start_ms;
            }
            match throttle.pause(record as i64, now) {
                Some(Duration::ZERO) => {
                    if record % 16 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
            self.arrived(out)?;
            record += 1;
        }
        // The last answers are told as they come, too.
        while let Some(front) = self.waiting.front_mut() {
            let _ = (&mut front.sent).await;
            self.arrived(out)?;
        }
        Ok(())
    }

    /// Tells those at the front whose end is known.
    fn arrived(&mut self, out: &mut Out) -> Result<(), Stop> {
        while let Some(end) = self.waiting.front().and_then(|front| front.sent.poll_now()) {
            let Some(Waiting { key, value, .. }) = self.waiting.pop_front() else { break };
            match end {
                Ok(delivered) => {
                    self.acked += 1;
                    succeeded(&self.options.topic, key, value, delivered, out)?;
                }
                Err(error) => failed(&self.options.topic, key, value, &error, out)?,
            }
        }
        Ok(())
    }
}

fn text(text: Option<String>) -> Json {
    text.map_or(Json::Null, Json::Text)
}

fn succeeded(
    topic: &str,
    key: Option<String>,
    value: String,
    delivered: Delivered,
    out: &mut Out,
) -> Result<(), Stop> {
    let members = [
        ("key", text(key)),
        ("value", Json::Text(value)),
        ("offset", Json::Int(delivered.offset)),
        ("topic", Json::text(topic)),
        ("partition", Json::Int(delivered.partition.into())),
    ];
    Ok(event("producer_send_success", members, out)?)
}

fn failed(
    topic: &str,
    key: Option<String>,
    value: String,
    error: &ProducerError,
    out: &mut Out,
) -> Result<(), Stop> {
    let (class, message) = error.exception();
    let members = [
        ("key", text(key)),
        ("value", Json::Text(value)),
        ("topic", Json::text(topic)),
        ("exception", Json::Text(format!("class {class}"))),
        ("message", Json::Text(message)),
    ];
    Ok(event("producer_send_error", members, out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_begin_again_and_values_have_a_prefix() {
        let keys: Vec<_> = (0..4).map(|record| key(Some(3), record).unwrap()).collect();
        assert_eq!(keys, ["0", "1", "2", "0"]);
        assert_eq!(key(None, 3), None);
        assert_eq!(value(Some(7), 12), "7.12");
        assert_eq!(value(None, 12), "12");
    }

    #[test]
    fn events_are_lines_of_json() {
        let mut out = Out::new_for_test();
        let delivered = Delivered { partition: 1, offset: 9, timestamp: 0 };
        succeeded("t", None, "5".into(), delivered, &mut out).unwrap();
        let line = String::from_utf8(out.into_test()).unwrap();
        let (head, rest) = line.split_once(",\"name\"").unwrap();
        assert!(head.starts_with("{\"timestamp\":"), "{line}");
        assert_eq!(
            rest,
            ":\"producer_send_success\",\"key\":null,\"value\":\"5\",\"offset\":9,\"topic\":\"t\",\"partition\":1}\n"
        );
    }
}
