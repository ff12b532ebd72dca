//! The values a node was given, each with the place it came from, read through the table: a key that is not
//! set gives its default.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::key::{Fallback, Kind};
use crate::keys::{node_key, node_synonyms};
use crate::problem::Problem;
use crate::value::{Value, ValueError};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file.
    File(Arc<str>, u32),
    /// `--override key=value`.
    Override,
    /// An environment variable such as `KAFKA_LOG_DIRS`.
    Environment,
    /// The cluster's metadata: a value set while the node runs.
    Dynamic,
    /// Derived from another key that was set, such as `broker.id` from `node.id`.
    Synonym,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, line) => write!(f, "{file}:{line}"),
            Self::Override => f.write_str("--override"),
            Self::Environment => f.write_str("environment"),
            Self::Dynamic => f.write_str("dynamic configuration"),
            Self::Synonym => f.write_str("derived"),
        }
    }
}

/// A value as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The text, not trimmed.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// Everything that was set, known keys or not, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
}

impl Settings {
    /// Sets `key`, over whatever it was.
    pub fn set(&mut self, key: &str, value: &str, place: Place) {
        self.values.insert(key.to_owned(), Setting { value: value.to_owned(), place });
    }

    /// Takes `key` away, so that its default counts.
    pub fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// Every key that was set, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.values.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// Whether `key` was set.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// What `key` was set to, as written.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|setting| setting.value.as_str())
    }

    /// Where `key` was set.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.values.get(key).map(|setting| &setting.place)
    }

    /// The value of a key of the table, set or default; `None` where it has neither.
    ///
    /// # Errors
    /// What was set is no value of the key.
    pub fn value(&self, key: &str) -> Result<Option<Value>, ValueError> {
        let known = node_key(key).unwrap_or_else(|| panic!("CONFIG-3: {key} is not in the table"));
        match self.raw(key) {
            Some(text) => known.parse(text).map(Some),
            None => Ok(known.default_value()),
        }
    }

    /// The value of a key for one listener: `listener.name.<listener>.<key>` where set, else the key itself.
    ///
    /// # Errors
    /// What was set is no value of the key.
    pub fn value_for_listener(&self, listener: &str, key: &str) -> Result<Option<Value>, ValueError> {
        let known = node_key(key).unwrap_or_else(|| panic!("CONFIG-3: {key} is not in the table"));
        match self.raw(&format!("listener.name.{}.{key}", listener.to_lowercase())) {
            Some(text) => known.parse(text).map(Some),
            None => self.value(key),
        }
    }

    /// Lays the entries of `over` on top, as Kafka lays dynamic values over static ones: a value that is set
    /// takes away every other key that sets the same thing, so `log.retention.hours` from above beats
    /// `log.retention.ms` from below.
    #[must_use]
    pub fn overlaid(&self, over: &BTreeMap<String, String>) -> Self {
        let mut out = self.clone();
        for (key, value) in over {
            for synonym in node_synonyms(key, false) {
                out.remove(synonym);
            }
            out.set(key, value, Place::Dynamic);
        }
        out
    }

    /// A problem at the place where `key` stands.
    #[must_use]
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let setting = self.values.get(key).filter(|setting| setting.place != Place::Synonym);
        let hidden = node_key(key).is_none_or(|known| known.is_sensitive());
        let shown = |value: &str| if hidden { "[hidden]".to_owned() } else { value.to_owned() };
        Problem {
            place: setting.map(|setting| setting.place.to_string()),
            key: Some(key.to_owned()),
            value: setting.map(|setting| shown(&setting.value)),
            ..Problem::new(message)
        }
    }

    /// The problem of a value that its key refuses.
    #[must_use]
    pub fn value_problem(&self, key: &str, error: &ValueError) -> Problem {
        let known = node_key(key).unwrap_or_else(|| panic!("CONFIG-3: {key} is not in the table"));
        let raw = self.raw(key).unwrap_or_default().trim();
        let got = if known.is_sensitive() { "[hidden]" } else { raw };
        let number = matches!(known.kind, Kind::Int | Kind::Short | Kind::Long | Kind::Double);
        let not_a_number = number && error.to_string().contains("Not a number");
        let message = match known.kind {
            // Too many digits are still an integer to the one who reads the message.
            _ if not_a_number && raw.parse::<i128>().is_ok() => format!("{key}={got} is out of range"),
            _ if not_a_number || known.kind == Kind::Boolean => {
                format!("{key} must be {}, got '{got}'", known.kind.words())
            }
            _ if raw.is_empty() => format!("{key} is set to nothing"),
            _ => format!("{key}={got} is not allowed"),
        };
        let default = match known.fallback {
            Fallback::Text(text) if !text.is_empty() => format!(" (default {text})"),
            _ => String::new(),
        };
        let kafka = if known.is_sensitive() { None } else { Some(error.to_string()) };
        Problem { kafka, ..self.problem(key, message).allowed(format!("{}{default}", known.allowed())) }
    }
}

/// Typed reading of settings that were checked before: a value that does not parse is a broken promise.
impl Settings {
    fn checked(&self, key: &str) -> Option<Value> {
        self.value(key)
            .unwrap_or_else(|error| panic!("CONFIG-4: {key} was not checked before it was read: {error}"))
    }

    /// A number; `None` where the key has no value.
    #[must_use]
    pub fn integer_or_none(&self, key: &str) -> Option<i64> {
        match self.checked(key)? {
            Value::Integer(number) => Some(number),
            other => panic!("CONFIG-5: {key} is read as a number, but it is {other:?}"),
        }
    }

    /// A number.
    #[must_use]
    pub fn long(&self, key: &str) -> i64 {
        self.integer_or_none(key).unwrap_or_else(|| panic!("CONFIG-6: {key} has no default"))
    }

    /// A number of 32 bits.
    #[must_use]
    pub fn int(&self, key: &str) -> i32 {
        i32::try_from(self.long(key)).unwrap_or_else(|_| panic!("CONFIG-5: {key} is read as an int"))
    }

    /// A number of 16 bits.
    #[must_use]
    pub fn short(&self, key: &str) -> i16 {
        i16::try_from(self.long(key)).unwrap_or_else(|_| panic!("CONFIG-5: {key} is read as a short"))
    }

    /// A number with a fraction.
    #[must_use]
    pub fn double(&self, key: &str) -> f64 {
        match self.checked(key) {
            Some(Value::Double(number)) => number,
            other => panic!("CONFIG-5: {key} is read as a double, but it is {other:?}"),
        }
    }

    /// True or false.
    #[must_use]
    pub fn boolean(&self, key: &str) -> bool {
        match self.checked(key) {
            Some(Value::Boolean(value)) => value,
            other => panic!("CONFIG-5: {key} is read as a boolean, but it is {other:?}"),
        }
    }

    /// A text, class name or password; `None` where the key has no value.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        match self.checked(key)? {
            Value::Text(text) | Value::Password(text) => Some(text),
            other => panic!("CONFIG-5: {key} is read as a text, but it is {other:?}"),
        }
    }

    /// A list; `None` where the key has no value.
    #[must_use]
    pub fn list_or_none(&self, key: &str) -> Option<Vec<String>> {
        match self.checked(key)? {
            Value::List(entries) => Some(entries),
            other => panic!("CONFIG-5: {key} is read as a list, but it is {other:?}"),
        }
    }

    /// A list; empty where the key has no value.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<String> {
        self.list_or_none(key).unwrap_or_default()
    }
}
