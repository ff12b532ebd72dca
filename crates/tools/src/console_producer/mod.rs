//! `kafka-console-producer`: every line of standard input becomes a record.
//!
//! What was read is sent or reported: at the end of the input, at Ctrl-C and when a line cannot be read, what was taken
//! until then is flushed, and what could not be delivered is told, record by record.

pub(crate) mod options;
mod reader;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use ottla_client::{Producer, ProducerError, Sent, ToSend};
use tokio::sync::mpsc;

use crate::clients::{self, Signals};
use crate::runtime::{self, Out, Stop};
use options::Options;
use reader::{Lines, Reader};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-console-producer", args, produce)
}

/// Bytes read at once.
const CHUNK: usize = 128 * 1024;
/// Records on their way after which those that have arrived are looked for.
const MANY: usize = 1024;
/// Lines after which others have their turn.
const TURN: usize = 256;

fn produce(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = Options::parse(args, out)?;
    let reader = Reader::new(&options.reader)
        .map_err(|why| Stop::error(format!("org.apache.kafka.common.KafkaException: {why}")))?;
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let producer = tokio::select! {
            producer = clients::producer(&options.bootstrap, &options.producer) => producer?,
            code = signals.next() => return Err(Stop::quiet(code)),
        };
        let prompt = io::stdin().is_terminal() && io::stdout().is_terminal();
        let mut console = Console {
            producer,
            options,
            reader,
            lines: Lines::default(),
            waiting: VecDeque::new(),
            prompt,
            failed: 0,
        };
        console.run(&mut signals, out).await
    })
}

/// A record on its way: its answer, and the sizes of key and value.
struct Waiting {
    sent: Sent,
    key: Option<usize>,
    value: Option<usize>,
}

struct Console {
    producer: Producer,
    options: Options,
    reader: Reader,
    lines: Lines,
    waiting: VecDeque<Waiting>,
    /// Whether a person types.
    prompt: bool,
    failed: u64,
}

/// Reads standard input until its end, a piece at a time.
fn read(to: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => Ok(buffer[..n].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if to.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

impl Console {
    async fn run(&mut self, signals: &mut Signals, out: &mut Out) -> Result<(), Stop> {
        let (to, mut input) = mpsc::channel(2);
        std::thread::spawn(move || read(&to));
        let ended = tokio::select! {
            ended = self.lines_until_end(&mut input, out) => ended,
            code = signals.next() => Err(Stop::quiet(code)),
        };
        let code = ended.as_ref().err().map_or(0, |stop| stop.code);
        if code >= 128 {
            // What had been read when the signal came is still sent; another signal ends that.
            let rest = tokio::select! {
                rest = self.send_lines(out) => rest,
                code = signals.next() => Err(Stop::quiet(code)),
            };
            if let Err(stop) = rest
                && !stop.err.is_empty()
            {
                eprintln!("{}", stop.err);
            }
        }
        let flushed = tokio::select! {
            () = self.producer.flush() => true,
            _ = signals.next() => false,
        };
        if !flushed {
            self.producer.clone().close(Duration::ZERO).await;
        }
        let unsent = self.lines.waiting();
        for waiting in std::mem::take(&mut self.waiting) {
            self.ended(&waiting, waiting.sent.poll_now().unwrap_or(Err(ProducerError::Closed)).err());
        }
        if code >= 128 && (unsent > 0 || self.failed > 0) {
            eprintln!("{} messages were typed but not sent.", unsent as u64 + self.failed);
        }
        ended
    }

    async fn lines_until_end(
        &mut self,
        input: &mut mpsc::Receiver<io::Result<Vec<u8>>>,
        out: &mut Out,
    ) -> Result<(), Stop> {
        self.show_prompt(out)?;
        loop {
            let read = match self.waiting.front_mut() {
                None => input.recv().await,
                // Failures are told when they happen, not with the next line.
                Some(front) => tokio::select! {
                    biased;
                    read = input.recv() => read,
                    end = &mut front.sent => {
                        if let Some(waiting) = self.waiting.pop_front() {
                            self.ended(&waiting, end.err());
                        }
                        continue;
                    }
                },
            };
            match read {
                Some(Ok(bytes)) => self.lines.feed(&bytes),
                Some(Err(error)) => {
                    return Err(Stop::error(format!("org.apache.kafka.common.KafkaException: {error}")));
                }
                None => {
                    self.lines.finish();
                    return self.send_lines(out).await;
                }
            }
            self.send_lines(out).await?;
        }
    }

    fn show_prompt(&self, out: &mut Out) -> io::Result<()> {
        if !self.prompt {
            return Ok(());
        }
        out.write_all(b">")?;
        out.flush()
    }

    /// Sends every whole line. It may be given up at any moment: a line is either taken by the producer or still there.
    async fn send_lines(&mut self, out: &mut Out) -> Result<(), Stop> {
        let mut turn = 0;
        loop {
            let Console { lines, reader, producer, options, waiting, .. } = self;
            let Some(line) = lines.next() else { return Ok(()) };
            let parsed = reader
                .parse(line)
                .map_err(|why| Stop::error(format!("org.apache.kafka.common.KafkaException: {why}")));
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(stop) => {
                    lines.done();
                    return Err(stop);
                }
            };
            let record = ToSend {
                topic: &options.topic,
                key: parsed.key,
                value: parsed.value,
                headers: &parsed.headers,
                ..ToSend::default()
            };
            let (key, value) = (parsed.key.map(<[u8]>::len), parsed.value.map(<[u8]>::len));
            let sent = loop {
                if let Some(sent) = producer.try_send(&record) {
                    break sent;
                }
                // Either the topic is not known yet, or there is no room: both are waited for without the record in hand.
                if let Err(error) = producer.partitions_of(&options.topic).await {
                    break Err(error);
                }
                match waiting.front_mut() {
                    Some(front) => drop((&mut front.sent).await),
                    None => tokio::task::yield_now().await,
                }
                if waiting.front().is_some_and(|front| front.sent.poll_now().is_some()) {
                    break_off(waiting, &options.topic, &mut self.failed);
                }
            };
            lines.done();
            match sent {
                Ok(sent) if options.sync => {
                    sent.await.map_err(|error| {
                        let (class, message) = error.exception();
                        Stop::error(format!("java.util.concurrent.ExecutionException: {class}: {message}"))
                    })?;
                }
                Ok(sent) => self.waiting.push_back(Waiting { sent, key, value }),
                Err(error) if options.sync => {
                    let (class, message) = error.exception();
                    return Err(Stop::error(format!(
                        "java.util.concurrent.ExecutionException: {class}: {message}"
                    )));
                }
                Err(error) => {
                    self.failed += 1;
                    tell(&self.options.topic, key, value, &error);
                }
            }
            self.show_prompt(out)?;
            if self.waiting.len() >= MANY {
                break_off(&mut self.waiting, &self.options.topic, &mut self.failed);
            }
            turn += 1;
            if turn % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn ended(&mut self, waiting: &Waiting, error: Option<ProducerError>) {
        if let Some(error) = error {
            self.failed += 1;
            tell(&self.options.topic, waiting.key, waiting.value, &error);
        }
    }
}

/// Takes away those at the front whose end is known; failures are told.
fn break_off(waiting: &mut VecDeque<Waiting>, topic: &str, failed: &mut u64) {
    while let Some(end) = waiting.front().and_then(|front| front.sent.poll_now()) {
        let Some(front) = waiting.pop_front() else { return };
        if let Err(error) = end {
            *failed += 1;
            tell(topic, front.key, front.value, &error);
        }
    }
}

/// What Kafka's `ErrorLoggingCallback` logs, with the exception in one line.
fn tell(topic: &str, key: Option<usize>, value: Option<usize>, error: &ProducerError) {
    let size = |size: Option<usize>| size.map_or("null".to_owned(), |size| format!("{size} bytes"));
    let message = format!(
        "Error when sending message to topic {topic} with key: {}, value: {} with error:",
        size(key),
        size(value)
    );
    runtime::log("ERROR", &message, "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback");
    let (class, message) = error.exception();
    eprintln!("{class}: {message}");
}
