//! A client's configuration: Kafka's keys, from a file and from `key=value` overrides, checked as Kafka checks it.

mod keys;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use keys::{KEYS, Key, Kind, PREFIXES};

/// A client's configuration. The last value of a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(String, String)>,
}

/// Whose configuration it is: keys that the others have are unknown to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A tool that asks and changes.
    Admin,
    /// A producer.
    Producer,
    /// A consumer.
    Consumer,
}

/// A key that nobody knows, which is warned about and otherwise ignored, as Kafka does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The key.
    pub key: String,
    /// The known key that was perhaps meant.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration '{}' was supplied but isn't a known config", self.key)?;
        self.nearest.map_or(Ok(()), |nearest| write!(f, "; did you mean '{nearest}'?"))
    }
}

/// A configuration that cannot be used. The wording is that of Kafka's `ConfigException`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PropertiesError {
    /// The file is not one of properties.
    #[error("{0}")]
    File(String),
    /// `key=value` without `=`.
    #[error("'{0}' is not of the form key=value")]
    Pair(String),
    /// A value that is not what the key wants.
    #[error("Invalid value {value} for configuration {key}: {why}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// Values that do not go together, or something that is not served yet.
    #[error("{0}")]
    Conflict(String),
}

impl Properties {
    /// None at all: everything has its default.
    pub fn new() -> Properties {
        Properties::default()
    }

    /// Reads the bytes of a `.properties` file (the format of `java.util.Properties`); `file` is used in messages.
    ///
    /// # Errors
    /// [`PropertiesError::File`] for a malformed `\uXXXX`.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Properties, PropertiesError> {
        let read = ottla_config::Properties::parse(file, bytes)
            .map_err(|error| PropertiesError::File(error.to_string()))?;
        let mut properties = Properties::new();
        for entry in read.entries() {
            properties.set(&entry.key, &entry.value);
        }
        Ok(properties)
    }

    /// Sets a key, whether it was there or not.
    pub fn set(&mut self, key: &str, value: &str) {
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => value.clone_into(&mut entry.1),
            None => self.entries.push((key.to_owned(), value.to_owned())),
        }
    }

    /// The same with one more key.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Properties {
        self.set(key, value);
        self
    }

    /// Sets a key that is not there.
    pub fn set_default(&mut self, key: &str, value: &str) {
        if self.get(key).is_none() {
            self.set(key, value);
        }
    }

    /// Sets what `key=value` says; the value may be empty, and have a `=` of its own.
    ///
    /// # Errors
    /// [`PropertiesError::Pair`].
    pub fn set_pair(&mut self, pair: &str) -> Result<(), PropertiesError> {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                self.set(key, value);
                Ok(())
            }
            _ => Err(PropertiesError::Pair(pair.to_owned())),
        }
    }

    /// Takes over every key of `other`.
    pub fn extend(&mut self, other: &Properties) {
        for (key, value) in other.iter() {
            self.set(key, value);
        }
    }

    /// The value that was set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Everything that was set, in the order in which it was first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Checks every value that is set, and names the keys that `role` does not have.
    ///
    /// # Errors
    /// [`PropertiesError`] for the first value that will not do.
    pub fn check(&self, role: Role) -> Result<Vec<Unknown>, PropertiesError> {
        let mut unknown = Vec::new();
        for (name, value) in self.iter() {
            match keys::find(name) {
                Some(key) if key.belongs_to(role) => check(key, value)?,
                _ if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {}
                found => {
                    let names = || KEYS.iter().filter(|key| key.belongs_to(role)).map(|key| key.name);
                    let nearest = if found.is_some() { None } else { ottla_config::nearest(name, names()) };
                    unknown.push(Unknown { key: name.to_owned(), nearest });
                }
            }
        }
        let protocol = self.text("security.protocol");
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Err(PropertiesError::Conflict(format!(
                "security.protocol={protocol} is not served by this release yet: only PLAINTEXT is"
            )));
        }
        Ok(unknown)
    }

    /// The value of a known key, or its default.
    pub(crate) fn text(&self, name: &'static str) -> &str {
        self.get(name).unwrap_or_else(|| row(name).default)
    }

    /// The value of a known key without a default; empty counts as absent.
    pub(crate) fn optional(&self, name: &'static str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn int(&self, name: &'static str) -> Result<i32, PropertiesError> {
        let value = self.checked(name)?;
        Ok(value.trim().parse().expect("CLIENT-10 a checked INT parses"))
    }

    pub(crate) fn long(&self, name: &'static str) -> Result<i64, PropertiesError> {
        let value = self.checked(name)?;
        Ok(value.trim().parse().expect("CLIENT-11 a checked LONG parses"))
    }

    pub(crate) fn bool(&self, name: &'static str) -> Result<bool, PropertiesError> {
        Ok(self.checked(name)?.trim().eq_ignore_ascii_case("true"))
    }

    /// A number of milliseconds.
    pub(crate) fn millis(&self, name: &'static str) -> Result<Duration, PropertiesError> {
        Ok(Duration::from_millis(u64::try_from(self.long(name)?).unwrap_or(0)))
    }

    /// A number of milliseconds that Kafka keeps as an INT.
    pub(crate) fn millis_of_int(&self, name: &'static str) -> Result<Duration, PropertiesError> {
        Ok(Duration::from_millis(u64::try_from(self.int(name)?).unwrap_or(0)))
    }

    fn checked(&self, name: &'static str) -> Result<&str, PropertiesError> {
        let value = self.text(name);
        check(row(name), value)?;
        Ok(value)
    }
}

fn row(name: &str) -> &'static Key {
    keys::find(name).expect("CLIENT-12 only known keys are asked for")
}

fn check(key: &'static Key, value: &str) -> Result<(), PropertiesError> {
    let wrong = |why: String| Err(PropertiesError::Value { key: key.name, value: value.to_owned(), why });
    let at_least = |least: i64| wrong(format!("Value must be at least {least}"));
    match key.kind {
        Kind::Int(least) => match value.trim().parse::<i32>() {
            Err(_) => wrong("Not a number of type INT".to_owned()),
            Ok(number) if number < least => at_least(least.into()),
            Ok(_) => Ok(()),
        },
        Kind::IntRange(least, most) => match value.trim().parse::<i32>() {
            Err(_) => wrong("Not a number of type INT".to_owned()),
            Ok(number) if number < least => at_least(least.into()),
            Ok(number) if number > most => wrong(format!("Value must be no more than {most}")),
            Ok(_) => Ok(()),
        },
        Kind::Long(least) => match value.trim().parse::<i64>() {
            Err(_) => wrong("Not a number of type LONG".to_owned()),
            Ok(number) if number < least => at_least(least),
            Ok(_) => Ok(()),
        },
        Kind::Bool => match value.trim() {
            word if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") => Ok(()),
            _ => wrong("Expected value to be either true or false".to_owned()),
        },
        Kind::OneOf(words) if words.contains(&value) => Ok(()),
        Kind::AnyCase(words) if words.iter().any(|word| word.eq_ignore_ascii_case(value)) => Ok(()),
        Kind::OneOf(words) => wrong(format!("String must be one of: {}", words.join(", "))),
        Kind::AnyCase(words) => {
            wrong(format!("String must be one of (case insensitive): {}", words.join(", ")))
        }
        Kind::Text => Ok(()),
    }
}
