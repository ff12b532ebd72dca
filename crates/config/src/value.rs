//! Values: reading them with the rules of Kafka's `ConfigDef.parseType`, checking them with the rules of its
//! validators, printing them as Java prints them. The messages are Kafka's, since people search for them.

use crate::duration::is_iso_duration;
use crate::endpoint::{parse_host_port, parse_voter};
use crate::key::{Check, Kind};

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A [`Kind::Boolean`].
    Boolean(bool),
    /// A [`Kind::String`] or [`Kind::Class`].
    Text(String),
    /// A [`Kind::Int`], [`Kind::Short`] or [`Kind::Long`].
    Integer(i64),
    /// A [`Kind::Double`].
    Double(f64),
    /// A [`Kind::List`].
    List(Vec<String>),
    /// A [`Kind::Password`]; its `Debug` and [`Value::to_java`] show it, so callers look at the key first.
    Password(String),
}

/// A value that is not allowed. Prints Kafka's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Kafka's `ConfigException(name, value, message)`.
    #[error("Invalid value {value} for configuration {name}: {why}")]
    Invalid {
        /// The key.
        name: String,
        /// The value as it was given.
        value: String,
        /// Why it is refused, in Kafka's words.
        why: String,
    },
    /// Kafka's `ConfigException(message)`: the message stands alone.
    #[error("{0}")]
    Plain(String),
}

impl ValueError {
    pub(crate) fn new(name: &str, value: impl ToString, why: impl Into<String>) -> Self {
        Self::Invalid { name: name.to_owned(), value: value.to_string(), why: why.into() }
    }
}

/// Java's `String.trim`: every character up to the blank goes, at both ends.
#[must_use]
pub fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

impl Value {
    /// Reads `text` as a value of type `kind`.
    ///
    /// # Errors
    /// The text is no value of that type.
    pub fn parse(name: &str, kind: Kind, text: &str) -> Result<Self, ValueError> {
        let trimmed = java_trim(text);
        let no_number = || ValueError::new(name, text, format!("Not a number of type {}", kind.name()));
        match kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Self::Boolean(true)),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Self::Boolean(false)),
            Kind::Boolean => Err(ValueError::new(name, text, "Expected value to be either true or false")),
            Kind::String | Kind::Class => Ok(Self::Text(trimmed.to_owned())),
            Kind::Password => Ok(Self::Password(trimmed.to_owned())),
            Kind::Short => trimmed.parse::<i16>().map(|n| Self::Integer(n.into())).map_err(|_| no_number()),
            Kind::Int => trimmed.parse::<i32>().map(|n| Self::Integer(n.into())).map_err(|_| no_number()),
            Kind::Long => trimmed.parse::<i64>().map(Self::Integer).map_err(|_| no_number()),
            Kind::Double => parse_double(trimmed).map(Self::Double).ok_or_else(no_number),
            Kind::List => Ok(Self::List(split_list(trimmed))),
        }
    }

    /// The text Kafka prints for the value (`ConfigDef.convertToString`).
    #[must_use]
    pub fn to_java(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Text(text) | Self::Password(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Double(number) => double_to_java(*number),
            Self::List(entries) => entries.join(","),
        }
    }

    /// As [`Self::to_java`], but lists in brackets, as Java's `toString` shows them inside messages.
    #[must_use]
    pub fn to_message(&self) -> String {
        match self {
            Self::List(entries) => format!("[{}]", entries.join(", ")),
            Self::Password(_) => "[hidden]".to_owned(),
            other => other.to_java(),
        }
    }
}

/// Splits a list as Kafka does (`\s*,\s*`, empty entries kept; an empty text is an empty list).
#[must_use]
pub fn split_list(text: &str) -> Vec<String> {
    let text = java_trim(text);
    if text.is_empty() {
        return Vec::new();
    }
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    text.split(',').map(|entry| entry.trim_matches(blank).to_owned()).collect()
}

/// `Double.parseDouble` without its hexadecimal form: an `f` or `d` may follow, words are `NaN` and `Infinity`.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 {
        return None;
    }
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if plain { digits.parse().ok() } else { None }
}

/// `Double.toString`: digits between 10^-3 and 10^7, else one digit, a point, and an exponent after `E`.
#[must_use]
pub fn double_to_java(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').expect("the exponent form has an e");
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// A bound of a range as Kafka prints it: without a fraction where it has none.
fn bound(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { double_to_java(number) }
}

impl Check {
    /// Checks `value`, which was read from `text`; gives it back with a list's duplicates dropped.
    ///
    /// # Errors
    /// The value is not allowed.
    pub fn allow(&self, name: &str, value: Value, text: &str) -> Result<Value, ValueError> {
        let shown = java_trim(text);
        match (self, value) {
            (Self::Any | Self::NonNull, value) => Ok(value),
            (Self::AtLeast(least), value) => in_range(name, value, *least, f64::INFINITY),
            (Self::Between(least, most), value) => in_range(name, value, *least, *most),
            (Self::OneOf(texts), Value::Text(value)) => {
                one_of(name, &value, texts)?;
                Ok(Value::Text(value))
            }
            (Self::OneOfAnyCase(texts), Value::Text(value)) => {
                if texts.contains(&value.to_uppercase().as_str()) {
                    return Ok(Value::Text(value));
                }
                let why = format!("String must be one of (case insensitive): {}", texts.join(", "));
                Err(ValueError::new(name, value, why))
            }
            (Self::NonEmpty, Value::Text(value)) => {
                if value.is_empty() {
                    return Err(ValueError::new(name, "", "String must be non-empty"));
                }
                Ok(Value::Text(value))
            }
            (Self::Entries { empty, of, .. }, Value::List(entries)) => {
                let entries = distinct(entries);
                entries_allowed(name, &entries, *empty, of)?;
                Ok(Value::List(entries))
            }
            (Self::GzipLevel, Value::Integer(level)) => {
                if level == -1 || (1..=9).contains(&level) {
                    return Ok(Value::Integer(level));
                }
                Err(ValueError::new(name, level, "Value must be between 1 and 9 or equal to -1"))
            }
            (Self::ThrottledReplicas, Value::List(entries)) => {
                let pair = |entry: &String| {
                    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
                    entry.is_empty() || entry.split_once(':').is_some_and(|(p, b)| digits(p) && digits(b))
                };
                if entries.iter().all(pair) || entries.concat() == "*" {
                    return Ok(Value::List(entries));
                }
                let why = format!(
                    "{name} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                );
                Err(ValueError::new(name, Value::List(entries).to_message(), why))
            }
            (Self::Voters, Value::List(entries)) => {
                for entry in &entries {
                    parse_voter(entry).map_err(ValueError::Plain)?;
                }
                Ok(Value::List(entries))
            }
            (Self::BootstrapServers, Value::List(entries)) => {
                for entry in &entries {
                    parse_host_port(entry).map_err(|part| {
                        ValueError::Plain(format!(
                            "Failed to parse host {part} from {entry} for the configuration {name}. \
                             Each entry should be in the form \"{{host}}:{{port}}\""
                        ))
                    })?;
                }
                Ok(Value::List(entries))
            }
            (Self::ShareOffsetReset, Value::Text(value)) => {
                let duration = value.strip_prefix("by_duration:");
                if matches!(value.as_str(), "earliest" | "latest") || duration.is_some_and(is_iso_duration) {
                    return Ok(Value::Text(value));
                }
                let why = format!(
                    "Invalid value `{value}` for configuration {name}. The value must be either 'earliest', \
                     'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
                );
                Err(ValueError::new(name, value, why))
            }
            (check, value) => panic!("CONFIG-2: {check:?} cannot check {name}={shown}, read as {value:?}"),
        }
    }

    /// What is allowed for a key of type `kind` with this check, in plain words.
    #[must_use]
    pub fn words(&self, kind: Kind) -> String {
        let list = |texts: &[&str]| texts.join(", ");
        match self {
            Self::Any | Self::NonNull => match kind {
                Kind::Int => "an integer from -2147483648 to 2147483647".to_owned(),
                Kind::Short => "an integer from -32768 to 32767".to_owned(),
                other => other.words().to_owned(),
            },
            Self::AtLeast(least) => match kind {
                Kind::Int => format!("an integer from {} to 2147483647", bound(*least)),
                Kind::Short => format!("an integer from {} to 32767", bound(*least)),
                other => format!("{}, at least {}", other.words(), bound(*least)),
            },
            Self::Between(least, most) => {
                format!("{} from {} to {}", kind.words(), bound(*least), bound(*most))
            }
            Self::OneOf(texts) => format!("one of {}", list(texts)),
            Self::OneOfAnyCase(texts) => format!("one of {}, in any case", list(texts)),
            Self::NonEmpty => "a text that is not empty".to_owned(),
            Self::Entries { of: [], empty: true, .. } => kind.words().to_owned(),
            Self::Entries { of: [], .. } => "a comma separated list with at least one entry".to_owned(),
            Self::Entries { of, .. } => format!("a comma separated list of {}", list(of)),
            Self::GzipLevel => "an integer from 1 to 9, or -1 for gzip's own default".to_owned(),
            Self::ThrottledReplicas => "* or a list of partition:broker pairs".to_owned(),
            Self::Voters => "a comma separated list of id@host:port, one for each controller".to_owned(),
            Self::BootstrapServers => "a comma separated list of host:port".to_owned(),
            Self::ShareOffsetReset => "earliest, latest or by_duration:PnDTnHnMn.nS".to_owned(),
        }
    }
}

fn in_range(name: &str, value: Value, least: f64, most: f64) -> Result<Value, ValueError> {
    // Kafka compares as doubles too, so that a long near its end behaves alike.
    #[allow(clippy::cast_precision_loss, reason = "the rule that is followed compares doubles")]
    let number = match &value {
        Value::Integer(number) => *number as f64,
        Value::Double(number) => *number,
        other => panic!("CONFIG-2: a range cannot check {name}, read as {other:?}"),
    };
    if number < least {
        return Err(ValueError::new(
            name,
            value.to_java(),
            format!("Value must be at least {}", bound(least)),
        ));
    }
    if number > most {
        let why = format!("Value must be no more than {}", bound(most));
        return Err(ValueError::new(name, value.to_java(), why));
    }
    Ok(value)
}

fn one_of(name: &str, value: &str, texts: &[&str]) -> Result<(), ValueError> {
    if texts.contains(&value) {
        return Ok(());
    }
    Err(ValueError::new(name, value, format!("String must be one of: {}", texts.join(", "))))
}

fn distinct(entries: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(entries.len());
    for entry in entries {
        if !out.contains(&entry) {
            out.push(entry);
        }
    }
    out
}

fn entries_allowed(name: &str, entries: &[String], empty: bool, of: &[&str]) -> Result<(), ValueError> {
    if entries.is_empty() && !empty {
        let valid =
            if of.is_empty() { "any non-empty value".to_owned() } else { format!("[{}]", of.join(", ")) };
        let message = format!("Configuration '{name}' must not be empty. Valid values include: {valid}");
        return Err(ValueError::Plain(message));
    }
    for entry in entries {
        if entry.is_empty() {
            return Err(ValueError::Plain(format!("Configuration '{name}' values must not be empty.")));
        }
        if !of.is_empty() {
            one_of(name, entry, of)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Result<Value, String> {
        Value::parse("k", kind, text).map_err(|error| error.to_string())
    }

    #[test]
    fn types_are_read_as_java_reads_them() {
        assert_eq!(read(Kind::Boolean, " TRUE "), Ok(Value::Boolean(true)));
        assert_eq!(
            read(Kind::Boolean, "yes").unwrap_err(),
            "Invalid value yes for configuration k: Expected value to be either true or false"
        );
        assert_eq!(read(Kind::Int, " 12 "), Ok(Value::Integer(12)));
        assert_eq!(read(Kind::Int, "+12"), Ok(Value::Integer(12)));
        assert_eq!(
            read(Kind::Int, "2147483648").unwrap_err(),
            "Invalid value 2147483648 for configuration k: Not a number of type INT"
        );
        assert_eq!(
            read(Kind::Short, "32768").unwrap_err().rsplit(": ").next(),
            Some("Not a number of type SHORT")
        );
        assert_eq!(read(Kind::Long, "9223372036854775807"), Ok(Value::Integer(i64::MAX)));
        assert_eq!(
            read(Kind::List, " a ,b,, c"),
            Ok(Value::List(["a", "b", "", "c"].map(str::to_owned).into()))
        );
        assert_eq!(read(Kind::List, "  "), Ok(Value::List(Vec::new())));
        assert_eq!(read(Kind::String, " a b "), Ok(Value::Text("a b".to_owned())));
    }

    #[test]
    fn doubles_are_read_and_printed_as_java_does() {
        for (text, printed) in [
            ("0.5", "0.5"),
            ("1", "1.0"),
            (".5", "0.5"),
            ("1e3", "1000.0"),
            ("1.7976931348623157E308", "1.7976931348623157E308"),
            ("0.0001", "1.0E-4"),
            ("12345678", "1.2345678E7"),
            ("5d", "5.0"),
            ("-Infinity", "-Infinity"),
            ("0", "0.0"),
        ] {
            assert_eq!(read(Kind::Double, text).unwrap().to_java(), printed, "{text}");
        }
        for text in ["", "x", "inf", "infinity", "nan", "1_0", "--1", "0x1"] {
            assert!(read(Kind::Double, text).is_err(), "{text}");
        }
    }

    fn check(check: Check, kind: Kind, text: &str) -> Result<String, String> {
        let value = Value::parse("k", kind, text).map_err(|error| error.to_string())?;
        check.allow("k", value, text).map(|value| value.to_java()).map_err(|error| error.to_string())
    }

    #[test]
    fn ranges() {
        assert_eq!(check(Check::AtLeast(1.0), Kind::Int, "1"), Ok("1".to_owned()));
        assert_eq!(
            check(Check::AtLeast(1.0), Kind::Int, "0").unwrap_err(),
            "Invalid value 0 for configuration k: Value must be at least 1"
        );
        assert_eq!(
            check(Check::Between(1.0, 17.0), Kind::Int, "18").unwrap_err(),
            "Invalid value 18 for configuration k: Value must be no more than 17"
        );
        assert_eq!(
            check(Check::Between(0.0, 0.5), Kind::Double, "0.6").unwrap_err(),
            "Invalid value 0.6 for configuration k: Value must be no more than 0.5"
        );
    }

    #[test]
    fn lists_drop_duplicates_and_name_what_is_wrong() {
        let some = Check::Entries { empty: false, null: false, of: &[] };
        assert_eq!(check(some, Kind::List, "a, b,a"), Ok("a,b".to_owned()));
        assert_eq!(
            check(some, Kind::List, "").unwrap_err(),
            "Configuration 'k' must not be empty. Valid values include: any non-empty value"
        );
        assert_eq!(
            check(some, Kind::List, "a,,b").unwrap_err(),
            "Configuration 'k' values must not be empty."
        );
        let policy = Check::Entries { empty: true, null: false, of: &["compact", "delete"] };
        assert_eq!(
            check(policy, Kind::List, "delete,bogus").unwrap_err(),
            "Invalid value bogus for configuration k: String must be one of: compact, delete"
        );
    }

    #[test]
    fn throttled_replicas() {
        for good in ["", "*", "1:2,3:4", "0:0"] {
            assert!(check(Check::ThrottledReplicas, Kind::List, good).is_ok(), "{good}");
        }
        for bad in ["1", "1:2:3", "a:b", "*,1:2", ":"] {
            assert!(check(Check::ThrottledReplicas, Kind::List, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn share_offset_reset() {
        for good in ["earliest", "latest", "by_duration:PT1H", "by_duration:P1DT2H3M4.5S"] {
            assert!(check(Check::ShareOffsetReset, Kind::String, good).is_ok(), "{good}");
        }
        for bad in ["", "none", "by_duration", "by_duration:", "by_duration:1h", "by_duration:-PT1H"] {
            assert!(check(Check::ShareOffsetReset, Kind::String, bad).is_err(), "{bad}");
        }
    }
}
