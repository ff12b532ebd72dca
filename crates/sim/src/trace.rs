//! What happened, in order: always as a hash, on demand as the last lines.

use std::collections::VecDeque;
use std::fmt::{Arguments, Write};

/// The trace of one run.
#[derive(Debug)]
pub struct Trace {
    hash: Fnv,
    events: u64,
    tail: Option<VecDeque<String>>,
    limit: usize,
}

impl Trace {
    /// An empty trace, of which this many of the last lines can be read afterwards.
    pub fn new(keep: usize) -> Trace {
        let tail = (keep > 0).then(VecDeque::new);
        Trace { hash: Fnv(0xcbf2_9ce4_8422_2325), events: 0, tail, limit: keep }
    }

    /// Adds a line. Everything in it must follow from the seed: no address, no clock, no thread.
    pub fn note(&mut self, now: i64, line: Arguments<'_>) {
        self.events += 1;
        writeln!(self.hash, "{now} {line}").expect("a hash takes everything");
        if let Some(tail) = &mut self.tail {
            if tail.len() == self.limit {
                tail.pop_front();
            }
            tail.push_back(format!("{:>9.3} {line}", now as f64 / 1000.0));
        }
    }

    /// The hash of everything so far. Two runs of a seed must agree in it (invariant 44).
    pub fn digest(&self) -> u64 {
        self.hash.0
    }

    /// How many lines there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The last lines, if they are kept.
    pub fn tail(&self) -> Vec<String> {
        self.tail.iter().flatten().cloned().collect()
    }
}

/// FNV-1a over the text.
#[derive(Debug)]
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
