//! What `kafka-producer-perf-test` counts and prints.

use std::io::{self, Write};

use crate::java_format::fixed;

/// Latencies kept for the percentiles; beyond that only every so many is.
const KEPT: u64 = 500_000;

/// The numbers of a whole run and of the last few seconds.
#[derive(Debug)]
pub(super) struct Stats {
    start_ms: i64,
    window_start_ms: i64,
    interval_ms: i64,
    sampling: u64,
    latencies: Vec<i32>,
    whole: Counts,
    window: Counts,
    /// Whether these are the numbers behind a warm-up.
    steady: bool,
    quiet: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    records: u64,
    bytes: u64,
    latency: i64,
    max_latency: i32,
}

impl Counts {
    fn add(&mut self, latency: i32, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
        self.latency += i64::from(latency);
        self.max_latency = self.max_latency.max(latency);
    }

    fn mb_per_second(&self, elapsed_ms: i64) -> f64 {
        1000.0 * self.bytes as f64 / elapsed_ms as f64 / (1024.0 * 1024.0)
    }

    fn records_per_second(&self, elapsed_ms: i64) -> f64 {
        1000.0 * self.records as f64 / elapsed_ms as f64
    }
}

impl Stats {
    pub(super) fn new(records: u64, interval_ms: i64, steady: bool, now_ms: i64) -> Stats {
        Stats {
            start_ms: now_ms,
            window_start_ms: now_ms,
            interval_ms,
            sampling: (records / records.clamp(1, KEPT)).max(1),
            latencies: Vec::new(),
            whole: Counts::default(),
            window: Counts::default(),
            steady,
            quiet: false,
        }
    }

    /// From now on only the total is printed.
    pub(super) fn be_quiet(&mut self) {
        self.quiet = true;
    }

    /// One record was acknowledged.
    pub(super) fn record(
        &mut self,
        latency: i32,
        bytes: usize,
        now_ms: i64,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if self.whole.records.is_multiple_of(self.sampling) {
            self.latencies.push(latency);
        }
        self.whole.add(latency, bytes);
        self.window.add(latency, bytes);
        if now_ms - self.window_start_ms >= self.interval_ms {
            if self.steady && self.whole.records == self.window.records {
                writeln!(out, "In steady state.")?;
            }
            if !self.quiet {
                self.print_window(now_ms, out)?;
                out.flush()?;
            }
            self.window_start_ms = now_ms;
            self.window = Counts::default();
        }
        Ok(())
    }

    fn print_window(&self, now_ms: i64, out: &mut impl Write) -> io::Result<()> {
        let elapsed = now_ms - self.window_start_ms;
        writeln!(
            out,
            "{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency.",
            self.window.records,
            fixed(self.window.records_per_second(elapsed), 1),
            fixed(self.window.mb_per_second(elapsed), 2),
            fixed(self.window.latency as f64 / self.window.records as f64, 1),
            fixed(self.window.max_latency.into(), 1)
        )
    }

    /// The last line.
    pub(super) fn print_total(&mut self, now_ms: i64, out: &mut impl Write) -> io::Result<()> {
        let elapsed = now_ms - self.start_ms;
        self.latencies.sort_unstable();
        let percentile = |part: f64| {
            let at = (part * self.latencies.len() as f64) as usize;
            self.latencies.get(at).copied().unwrap_or(0)
        };
        writeln!(
            out,
            "{}{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency, {} ms 50th, {} ms \
             95th, {} ms 99th, {} ms 99.9th.",
            self.whole.records,
            if self.steady { " steady state" } else { "" },
            fixed(self.whole.records_per_second(elapsed), 6),
            fixed(self.whole.mb_per_second(elapsed), 2),
            fixed(self.whole.latency as f64 / self.whole.records as f64, 2),
            fixed(self.whole.max_latency.into(), 2),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kafkas() {
        let mut out = Vec::new();
        let mut stats = Stats::new(4, 5000, false, 1000);
        for (latency, now) in [(3, 1500), (9, 2000), (1, 3000)] {
            stats.record(latency, 1 << 20, now, &mut out).unwrap();
        }
        stats.record(2, 1 << 20, 6000, &mut out).unwrap();
        stats.print_total(6000, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "4 records sent, 0.8 records/sec (0.80 MB/sec), 3.8 ms avg latency, 9.0 ms max latency.\n\
             4 records sent, 0.800000 records/sec (0.80 MB/sec), 3.75 ms avg latency, 9.00 ms max latency, 3 ms 50th, \
             9 ms 95th, 9 ms 99th, 9 ms 99.9th.\n"
        );
    }

    #[test]
    fn a_steady_state_says_so() {
        let mut out = Vec::new();
        let mut stats = Stats::new(2, 10, true, 0);
        stats.record(1, 1, 20, &mut out).unwrap();
        stats.record(1, 1, 25, &mut out).unwrap();
        stats.print_total(25, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("In steady state.\n1 records sent, 50.0 records/sec"), "{text}");
        assert!(text.contains("2 steady state records sent, 80.000000 records/sec"), "{text}");
        let mut nothing = Vec::new();
        Stats::new(1, 10, false, 0).print_total(5, &mut nothing).unwrap();
        assert!(
            String::from_utf8(nothing)
                .unwrap()
                .starts_with("0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN")
        );
    }
}
