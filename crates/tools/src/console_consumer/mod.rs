//! `kafka-console-consumer`: records as lines on standard output.

mod deserializer;
mod formatter;
mod options;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ottla_client::{Consumer, ConsumerRecord, Fetched, Polled, Seen, TopicPartition};

use crate::clients::{self, Signals};
use crate::runtime::{self, Out, Stop};
use options::Options;

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-console-consumer", args, consume)
}

const LOGGER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
/// Lines are handed to standard output in pieces of about this size.
const PIECE: usize = 64 * 1024;

fn consume(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = Options::parse(args, out)?;
    let mut console = Console { options, count: 0, line: Vec::with_capacity(2 * PIECE) };
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let (_, mut consumer) = tokio::select! {
            consumer = clients::consumer(&console.options.bootstrap, &console.options.properties) => consumer?,
            code = signals.next() => {
                eprintln!("Processed a total of 0 messages");
                return stopped(code, io::stdin().is_terminal());
            }
        };
        let ended = tokio::select! {
            ended = console.read(&mut consumer, out) => ended,
            code = signals.next() => stopped(code, io::stdin().is_terminal()),
        };
        let written = console.write(out);
        let closed = tokio::select! {
            closed = consumer.close() => closed,
            _ = signals.next() => Ok(()),
        };
        if let Err(error) = closed {
            let (class, message) = error.exception();
            runtime::log("ERROR", &format!("Failed to close the consumer: {class}: {message}"), LOGGER);
        }
        eprintln!("Processed a total of {} messages", console.count);
        if console.options.system_test_events && written.is_ok() {
            writeln!(out, "shutdown_complete")?;
        }
        out.flush().or_else(closed_pipe)?;
        ended
    })
}

/// The end that a signal asks for. At a terminal Ctrl-C is the way to end this tool, and no failure; a script that sends
/// a signal gets the exit code that a JVM gives, which is what Kafka's tool has for both.
fn stopped(code: u8, at_terminal: bool) -> Result<(), Stop> {
    if at_terminal && code == clients::INTERRUPTED { Ok(()) } else { Err(Stop::quiet(code)) }
}

/// A closed pipe is a way to end, not an error.
fn closed_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

struct Console {
    options: Options,
    /// Records that were processed.
    count: u64,
    /// Lines that are not written yet.
    line: Vec<u8>,
}

/// Why records are no longer looked at.
enum Enough {
    /// As many as were asked for.
    Counted,
    /// One cannot be shown.
    Unreadable(String),
    /// Nobody reads standard output any more, or it cannot be written.
    Output(io::Error),
}

impl Console {
    async fn read(&mut self, consumer: &mut Consumer, out: &mut Out) -> Result<(), Stop> {
        match (&self.options.topic, self.options.partition, &self.options.include) {
            (Some(topic), Some((partition, start)), _) => {
                consumer.assign(vec![(TopicPartition::new(topic.as_str(), partition), start)]).await?;
            }
            (Some(topic), None, _) => consumer.subscribe(&[topic])?,
            (None, _, include) => {
                clients::subscribe_matching(consumer, include.as_deref().unwrap_or_default())?
            }
        }
        let mut since = Instant::now();
        while self.options.max_messages.is_none_or(|most| self.count < most) {
            let patience = match self.options.timeout_ms {
                Some(ms) => Duration::from_millis(ms).saturating_sub(since.elapsed()),
                None => Duration::from_secs(3600),
            };
            match consumer.poll(patience).await {
                Ok(Polled::Records(mut fetched)) => {
                    let before = self.count;
                    if self.show(consumer, &mut fetched, out)? {
                        return Ok(());
                    }
                    if self.count > before {
                        since = Instant::now();
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let (class, message) = error.exception();
                    runtime::log("ERROR", "Error processing message, terminating consumer process: ", LOGGER);
                    eprintln!("{class}: {message}");
                    return Ok(());
                }
            }
            if let Some(ms) = self.options.timeout_ms
                && since.elapsed() > Duration::from_millis(ms)
            {
                runtime::log("ERROR", "Error processing message, terminating consumer process: ", LOGGER);
                eprintln!("org.apache.kafka.common.errors.TimeoutException");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shows what was fetched; true if that was the last.
    fn show(&mut self, consumer: &mut Consumer, fetched: &mut Fetched, out: &mut Out) -> Result<bool, Stop> {
        // What is shown counts as read, nothing else does.
        let mut shown = Seen::default();
        let seen = fetched.for_each(|record| {
            if self.options.max_messages.is_some_and(|most| self.count >= most) {
                return Err(Enough::Counted);
            }
            shown.note(record);
            self.one(record, out)
        })?;
        match seen {
            Ok(()) => {
                let done = self.options.max_messages.is_some_and(|most| self.count >= most);
                if let Err(error) = self.write(out) {
                    return Self::closed(error);
                }
                Ok(done)
            }
            Err(why) => {
                consumer.give_back(fetched, &shown)?;
                match why {
                    Enough::Counted => Ok(true),
                    Enough::Output(error) => Self::closed(error),
                    Enough::Unreadable(why) => {
                        Err(Stop::error(format!("Unknown error when running consumer: {why}"))
                            .and_err("    next: add --skip-message-on-error to go on with the next record"))
                    }
                }
            }
        }
    }

    fn closed(error: io::Error) -> Result<bool, Stop> {
        closed_pipe(error)?;
        eprintln!("Unable to write to standard out, closing consumer.");
        Ok(true)
    }

    fn one(&mut self, record: &ConsumerRecord<'_>, out: &mut Out) -> Result<(), Enough> {
        self.count += 1;
        let before = self.line.len();
        if let Err(why) = self.options.formatter.show(record, &mut self.line) {
            if !self.options.skip_on_error {
                return Err(Enough::Unreadable(why));
            }
            self.line.truncate(before);
            runtime::log("ERROR", &format!("Error processing message, skipping this message: {why}"), LOGGER);
        }
        if self.line.len() >= PIECE {
            return self.hand_over(out).map_err(Enough::Output);
        }
        Ok(())
    }

    fn hand_over(&mut self, out: &mut Out) -> io::Result<()> {
        let written = out.write_all(&self.line);
        self.line.clear();
        written
    }

    /// Everything so far reaches the reader.
    fn write(&mut self, out: &mut Out) -> io::Result<()> {
        self.hand_over(out)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_at_a_terminal_is_no_failure() {
        assert_eq!(stopped(130, true), Ok(()));
        assert_eq!(stopped(130, false), Err(Stop::quiet(130)));
        assert_eq!(stopped(143, true), Err(Stop::quiet(143)), "somebody else ended it");
    }
}
