//! `ottla produce`: each line of standard input, or each file, is a record.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ottla_client::{Producer, Role, ToSend};
use ottla_records::Header;

use super::super::{block_on, parse};
use super::connect;
use super::format::delimiter;

/// Write records: each line of standard input is one; kcat's letters.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  seq 1000 | ottla produce -t orders\n  echo 'k1:hello' | ottla produce -t orders -K: -H source=shell\n  ottla produce -t images picture.png        the file as one record"
)]
struct Arguments {
    /// Brokers to ask first, host:port separated by commas.
    #[arg(short, long, env = "OTTLA_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    #[arg(short, long)]
    topic: String,
    /// This partition only.
    #[arg(short, long)]
    partition: Option<i32>,
    /// The same key for every record.
    #[arg(short, long)]
    key: Option<String>,
    /// What stands between key and value on a line.
    #[arg(short = 'K', value_name = "DELIMITER")]
    key_delimiter: Option<String>,
    /// What ends a record.
    #[arg(short = 'D', value_name = "DELIMITER", default_value = "\\n")]
    delimiter: String,
    /// An empty value (and an empty key) is none: a tombstone.
    #[arg(short = 'Z')]
    null: bool,
    #[arg(short = 'H', value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(short = 'z', value_name = "CODEC")]
    compression: Option<String>,
    /// Stop after so many records.
    #[arg(short = 'c', value_name = "N")]
    count: Option<u64>,
    /// The files are read line by line, as standard input is.
    #[arg(short = 'l')]
    lines: bool,
    /// A setting of the producer, as in its documentation.
    #[arg(short = 'X', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    files: Vec<PathBuf>,
}

/// A record larger than any broker takes is refused before it is read to its end.
const LARGEST: u64 = 1 << 30;

pub(in super::super) fn run(args: &[OsString]) -> ExitCode {
    let wanted: Arguments = match parse("produce", args) {
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

async fn work(wanted: &Arguments) -> Result<(), String> {
    let mut settings = wanted.settings.clone();
    settings.extend(wanted.compression.iter().map(|codec| format!("compression.type={codec}")));
    let (cluster, properties) = connect(&wanted.bootstrap, &settings, Role::Producer).await?;
    let producer = Producer::new(cluster, &properties).await.map_err(|error| error.to_string())?;
    let headers = wanted
        .header
        .iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("-H {pair}: not NAME=VALUE"))?;
            Ok(Header { key: key.as_bytes(), value: Some(value.as_bytes()) })
        })
        .collect::<Result<Vec<_>, String>>()?;
    let mut sender = Sender {
        wanted,
        producer: &producer,
        headers: &headers,
        left: wanted.count.unwrap_or(u64::MAX),
        waiting: Vec::new(),
        failed: 0,
    };
    let end = delimiter(&wanted.delimiter).map_err(|why| format!("-D: {why}"))?;
    let between =
        wanted.key_delimiter.as_deref().map(delimiter).transpose().map_err(|why| format!("-K: {why}"))?;
    if wanted.files.is_empty() {
        sender.lines(io::stdin().lock(), &end, between.as_deref()).await?;
    }
    for path in &wanted.files {
        let shown = path.display();
        let file = std::fs::File::open(path).map_err(|error| format!("{shown}: {error}"))?;
        if wanted.lines {
            sender.lines(BufReader::new(file), &end, between.as_deref()).await?;
        } else {
            let mut whole = Vec::new();
            file.take(LARGEST).read_to_end(&mut whole).map_err(|error| format!("{shown}: {error}"))?;
            sender.send(&whole, None).await?;
        }
    }
    producer.flush().await;
    sender.settle(0).await;
    let failed = sender.failed;
    producer.close(Duration::from_secs(10)).await;
    if failed > 0 { Err(format!("{failed} records were not delivered")) } else { Ok(()) }
}

struct Sender<'a> {
    wanted: &'a Arguments,
    producer: &'a Producer,
    headers: &'a [Header<'a>],
    left: u64,
    waiting: Vec<ottla_client::Sent>,
    failed: u64,
}

impl Sender<'_> {
    /// Every record of a stream, the last one with or without its delimiter.
    async fn lines(
        &mut self,
        mut input: impl BufRead,
        end: &[u8],
        between: Option<&[u8]>,
    ) -> Result<(), String> {
        let last = *end.last().expect("not empty");
        let mut line = Vec::new();
        while self.left > 0 {
            line.clear();
            loop {
                let read =
                    input.read_until(last, &mut line).map_err(|error| format!("standard input: {error}"))?;
                if read == 0 || line.ends_with(end) {
                    break;
                }
            }
            if line.is_empty() {
                break;
            }
            let record = line.strip_suffix(end).unwrap_or(&line);
            self.send(record, between).await?;
        }
        Ok(())
    }

    async fn send(&mut self, record: &[u8], between: Option<&[u8]>) -> Result<(), String> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let split = between.and_then(|between| {
            let at = record.windows(between.len()).position(|window| window == between)?;
            Some((&record[..at], &record[at + between.len()..]))
        });
        let (key, value) = match split {
            Some((key, value)) => (Some(key), value),
            None => (None, record),
        };
        let none = |bytes: &&[u8]| !(self.wanted.null && bytes.is_empty());
        let sent = self
            .producer
            .send(&ToSend {
                topic: &self.wanted.topic,
                partition: self.wanted.partition,
                timestamp: None,
                key: key.filter(none).or(self.wanted.key.as_deref().map(str::as_bytes)),
                value: Some(value).filter(none),
                headers: self.headers,
            })
            .await
            .map_err(|error| error.to_string())?;
        self.waiting.push(sent);
        self.settle(10_000).await;
        Ok(())
    }

    /// Waits until at most so many answers are owed; says which records failed.
    async fn settle(&mut self, most: usize) {
        if self.waiting.len() <= most {
            return;
        }
        for sent in std::mem::take(&mut self.waiting) {
            if let Err(error) = sent.await {
                self.failed += 1;
                if self.failed <= 5 {
                    eprintln!("not delivered: {error}");
                }
            }
        }
    }
}
