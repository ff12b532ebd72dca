//! What a typed command said and how it ended, and what one may expect of that.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::Output;

/// A finished command.
#[derive(Clone, Debug)]
pub struct Said {
    pub typed: String,
    /// As a shell gives it: 128 and the signal when one ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Said {
    pub fn new(typed: &str, output: Output, took: Duration) -> Said {
        let status = output.status;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Said { typed: typed.to_owned(), code, stdout: output.stdout, stderr: output.stderr, took }
    }

    fn shown(&self) -> String {
        let short = |text: &str| text.lines().take(20).collect::<Vec<_>>().join("\n");
        format!(
            "`{}` -> exit {}, stdout `{}`, stderr `{}`",
            self.typed.chars().take(160).collect::<String>(),
            self.code,
            short(&self.stdout),
            short(&self.stderr)
        )
    }

    /// It ended with this code.
    pub fn code(self, code: i32) -> Result<Said> {
        ensure!(self.code == code, "exit {code} expected: {}", self.shown());
        Ok(self)
    }

    pub fn out(self, word: &str) -> Result<Said> {
        ensure!(self.stdout.contains(word), "stdout lacks `{word}`: {}", self.shown());
        Ok(self)
    }

    pub fn err(self, word: &str) -> Result<Said> {
        ensure!(self.stderr.contains(word), "stderr lacks `{word}`: {}", self.shown());
        Ok(self)
    }

    /// On either stream.
    pub fn says(self, word: &str) -> Result<Said> {
        let both = self.stdout.contains(word) || self.stderr.contains(word);
        ensure!(both, "it does not say `{word}`: {}", self.shown());
        Ok(self)
    }

    pub fn lacks(self, word: &str) -> Result<Said> {
        let neither = !self.stdout.contains(word) && !self.stderr.contains(word);
        ensure!(neither, "it says `{word}`: {}", self.shown());
        Ok(self)
    }

    pub fn no_out(self) -> Result<Said> {
        ensure!(self.stdout.is_empty(), "stdout is not empty: {}", self.shown());
        Ok(self)
    }

    pub fn no_err(self) -> Result<Said> {
        ensure!(self.stderr.is_empty(), "stderr is not empty: {}", self.shown());
        Ok(self)
    }

    pub fn within(self, limit: Duration) -> Result<Said> {
        ensure!(self.took <= limit, "within {limit:?}, not {:?}: {}", self.took, self.shown());
        Ok(self)
    }

    /// Any expectation over the whole of it.
    pub fn that(self, what: &str, so: impl FnOnce(&Said) -> bool) -> Result<Said> {
        ensure!(so(&self), "{what}: {}", self.shown());
        Ok(self)
    }

    /// The line with `word`, else the first: what the table shows.
    pub fn line(&self, word: &str) -> String {
        let mut lines = self.stdout.lines().chain(self.stderr.lines());
        lines.find(|line| line.contains(word)).unwrap_or_default().trim().to_owned()
    }

    /// What was seen, for the table.
    pub fn seen(self) -> Result<String> {
        let first = self.stdout.lines().chain(self.stderr.lines()).find(|line| !line.trim().is_empty());
        Ok(format!("{} (exit {})", first.unwrap_or("silence").trim(), self.code))
    }

    /// What was seen, with one line picked out.
    pub fn seen_at(self, word: &str) -> Result<String> {
        Ok(format!("{} (exit {})", self.line(word), self.code))
    }
}
