//! How a tool runs: arguments in, an exit code out; standard output buffered, a closed pipe quiet, errors as text.
//!
//! A tool is a plain function. What it asks of a cluster it asks in [`block_on`]: one current-thread runtime, made when
//! it is needed, so that `--help` costs nothing.

mod explain;
pub(crate) mod java;
mod lines;
mod out;
mod reach;
mod thrown;

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::sync::OnceLock;

pub use explain::{causes, failure};
pub use lines::{deprecated, java_list, log, table, warn};
pub use out::Out;
pub use reach::{connect, connect_controllers, connect_either, open, open_either, properties};
pub use thrown::Thrown;

/// The release of Apache Kafka whose tools these are.
pub const KAFKA_VERSION: &str = "4.3.1";

static TOOL: OnceLock<String> = OnceLock::new();

/// The name of the tool that runs in this process, for messages.
pub(crate) fn tool_name() -> String {
    TOOL.get().cloned().unwrap_or_else(|| "kafka-tool".into())
}

/// Why a tool ended before its end, or not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The exit code.
    pub code: u8,
    /// What is still to be said on standard output.
    pub out: String,
    /// What is still to be said on standard error.
    pub err: String,
}

impl Stop {
    /// Everything has been said.
    pub fn quiet(code: u8) -> Stop {
        Stop { code, out: String::new(), err: String::new() }
    }

    /// A message on standard error, exit code 1.
    pub fn error(message: impl std::fmt::Display) -> Stop {
        Stop { code: 1, out: String::new(), err: message.to_string() }
    }

    /// A message on standard output, exit code 1: some of Kafka's tools say their errors there.
    pub fn said(message: impl std::fmt::Display) -> Stop {
        Stop { code: 1, out: message.to_string(), err: String::new() }
    }

    /// One more line on standard error; an empty one is not said.
    pub fn and_err(mut self, more: impl std::fmt::Display) -> Stop {
        let more = more.to_string();
        if !more.is_empty() {
            if !self.err.is_empty() {
                self.err.push('\n');
            }
            self.err.push_str(&more);
        }
        self
    }

    /// With another exit code.
    pub fn with_code(mut self, code: u8) -> Stop {
        self.code = code;
        self
    }
}

impl From<io::Error> for Stop {
    /// A closed pipe ends a tool quietly and well, as in Java, whose standard output swallows it.
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::quiet(0),
            _ => Stop::error(error),
        }
    }
}

/// Runs a tool with the arguments it was given.
pub fn tool(
    name: &str,
    args: &[OsString],
    tool: impl FnOnce(&[String], &mut Out) -> Result<(), Stop>,
) -> ExitCode {
    let _ = TOOL.set(name.to_owned());
    let mut texts = Vec::with_capacity(args.len());
    for arg in args {
        match arg.to_str() {
            Some(text) => texts.push(text.to_owned()),
            None => {
                eprintln!("an argument is not UTF-8: {}", arg.to_string_lossy());
                return ExitCode::from(1);
            }
        }
    }
    let mut out = Out::new();
    let ended = tool(&texts, &mut out);
    out.end(ended)
}

/// Runs what waits for the network. Ctrl-C ends the process, unless the future listens for it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("tool-1: no runtime for the network: {error}"));
    runtime.block_on(future)
}
