//! `kafka-verifiable-producer`, `kafka-verifiable-consumer` and `kafka-verifiable-share-consumer`: what they do is told
//! as one JSON object a line, for tests that look at it from outside.

pub mod consumer;
pub mod producer;
mod share;

use std::io::{self, Write as _};

use ottla_client::Properties;

use crate::args::argparse::Parser;
use crate::perf::now_ms;
use crate::record_json::Json;
use crate::runtime::{self, Out, Stop};

pub use share::run as run_share;

/// The client's configuration of a file. One that cannot be read is a misuse to these tools, told by its bare name.
fn properties(p: &Parser, file: Option<&str>) -> Result<Properties, Stop> {
    runtime::properties(file).map_err(|stop| p.error(file.unwrap_or_default()).and_err(stop.err))
}

/// Prints an event: its time and name, then these members.
fn event<const N: usize>(name: &str, members: [(&str, Json); N], out: &mut Out) -> io::Result<()> {
    let mut all = vec![("timestamp".to_owned(), Json::Int(now_ms())), ("name".to_owned(), Json::text(name))];
    all.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
    writeln!(out, "{}", Json::Object(all))?;
    out.flush()
}
