//! What Kafka's `CommandLineUtils` checks of options that were read, with its messages.

use std::io::Write;

use super::{Found, Parser};
use crate::runtime::{KAFKA_VERSION, Out, Stop};

impl Parser {
    /// A message and the help on standard error, exit code 1.
    pub fn usage(&self, message: impl std::fmt::Display) -> Stop {
        Stop::error(format!("{message}\n{}", self.help().trim_end_matches('\n')))
    }

    /// Without any argument: what the tool is for and its help, on standard error, as Kafka's. `--help`: the same on
    /// standard output and a success, so that it can be piped (Kafka: standard error, exit code 1). `--version`.
    pub fn help_or_version(&self, found: &Found, about: &str, out: &mut Out) -> Result<(), Stop> {
        if found.nothing {
            return Err(self.usage(about));
        }
        if found.has("help") {
            write!(out, "{about}\n{}", self.help())?;
            return Err(Stop::quiet(0));
        }
        if found.has("version") {
            writeln!(out, "{KAFKA_VERSION}")?;
            return Err(Stop::quiet(0));
        }
        Ok(())
    }

    /// Every one of these must be given.
    pub fn check_required(&self, found: &Found, required: &[&str]) -> Result<(), Stop> {
        match required.iter().find(|name| !found.has(name)) {
            Some(name) => Err(self.usage(format!("Missing required argument \"{}\"", self.spell(name)))),
            None => Ok(()),
        }
    }

    /// None of these may be given beside `used`.
    pub fn check_invalid(&self, found: &Found, used: &str, invalid: &[&str]) -> Result<(), Stop> {
        if !found.has(used) {
            return Ok(());
        }
        match invalid.iter().find(|name| found.has(name)) {
            Some(name) => Err(self.usage(format!(
                "Option \"{}\" can't be used with option \"{}\"",
                self.spell(used),
                self.spell(name)
            ))),
            None => Ok(()),
        }
    }

    /// When all of `used` are given, none of `invalid` may be; `more` is put behind the message.
    pub fn check_invalid_set(
        &self,
        found: &Found,
        used: &[&str],
        invalid: &[&str],
        more: &str,
    ) -> Result<(), Stop> {
        if !used.iter().all(|name| found.has(name)) {
            return Ok(());
        }
        match invalid.iter().find(|name| found.has(name)) {
            Some(name) => {
                let used: Vec<String> = used.iter().map(|name| self.spell(name)).collect();
                Err(self.usage(format!(
                    "Option combination \"[{}]\" can't be used with option \"{}\"{more}",
                    used.join(", "),
                    self.spell(name)
                )))
            }
            None => Ok(()),
        }
    }

    /// Exactly one of these must be given.
    pub fn check_one_of(&self, found: &Found, names: &[&str]) -> Result<(), Stop> {
        if names.iter().filter(|name| found.has(name)).count() == 1 {
            return Ok(());
        }
        let names: Vec<String> = names.iter().map(|name| self.spell(name)).collect();
        Err(self.usage(format!("Exactly one of the following arguments is required: {}", names.join(", "))))
    }
}

/// `key=value` pairs; the value may hold `=`, and may be missing.
pub fn key_values(pairs: &[&str]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The same, and a missing value is an error (Kafka's text, with its stray brace).
pub fn key_values_strict(pairs: &[&str]) -> Result<Vec<(String, String)>, Stop> {
    let pairs = key_values(pairs);
    match pairs.iter().find(|(_, value)| value.is_empty()) {
        Some((key, _)) => Err(Stop::error(format!("Missing value for key {key}}}"))),
        None => Ok(pairs),
    }
}
