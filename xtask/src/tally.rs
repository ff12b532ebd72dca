//! What passed and what failed, printed as it happens and counted at the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

static PASSED: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);

/// What all judges of this process counted: passed, failed.
pub fn totals() -> (usize, usize) {
    (PASSED.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed))
}

/// The checks of one judge.
pub struct Tally {
    judge: &'static str,
    start: Instant,
    passed: usize,
    failed: Vec<String>,
    /// Only checks with this word in their names run.
    only: Option<String>,
}

impl Tally {
    pub fn new(judge: &'static str) -> Tally {
        Tally { judge, start: Instant::now(), passed: 0, failed: Vec::new(), only: None }
    }

    /// Leaves out every check of [`Tally::check`] that has not this word in its name.
    pub fn only(mut self, word: Option<&str>) -> Tally {
        self.only = word.map(str::to_owned);
        self
    }

    /// The word that the checks' names must have, if any.
    pub fn word(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Counts one check and prints it.
    pub fn note(&mut self, name: &str, outcome: Result<()>) {
        self.note_timed(name, outcome, None);
    }

    /// Runs one check, counts it and prints how long it took.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) {
        if self.only.as_deref().is_some_and(|word| !name.contains(word)) {
            return;
        }
        let start = Instant::now();
        let outcome = check();
        self.note_timed(name, outcome, Some(start.elapsed()));
    }

    fn note_timed(&mut self, name: &str, outcome: Result<()>, took: Option<Duration>) {
        let took = took.map(|t| format!("  ({:.1} s)", t.as_secs_f64())).unwrap_or_default();
        match outcome {
            Ok(()) => {
                println!("ok    {name}{took}");
                self.passed += 1;
                PASSED.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                println!("FAIL  {name}{took}\n      {}", format!("{error:#}").replace('\n', "\n      "));
                self.failed.push(name.to_owned());
                FAILED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts what another program checked and printed.
    pub fn count(&mut self, passed: usize, failed: usize) {
        self.passed += passed;
        PASSED.fetch_add(passed, Ordering::Relaxed);
        FAILED.fetch_add(failed, Ordering::Relaxed);
    }

    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// The closing line; an error when anything failed, or when nothing was checked at all.
    pub fn close(self) -> Result<()> {
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!(
            "{}: {} passed, {} failed ({:.0} s)",
            self.judge,
            self.passed,
            self.failed.len(),
            self.start.elapsed().as_secs_f64()
        );
        if !self.failed.is_empty() {
            bail!(
                "{}: {} of {} checks failed",
                self.judge,
                self.failed.len(),
                self.passed + self.failed.len()
            );
        }
        if self.passed == 0 {
            bail!("{}: nothing was checked", self.judge);
        }
        Ok(())
    }
}
