//! A JSON value, and its text as Jackson writes it (which is what Kafka's tools print): members in the order in which
//! they were set, bytes in base64, doubles as Java prints them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A JSON value. Numbers keep Java's two forms apart, because they print differently.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any of Java's integer types.
    Int(i64),
    /// A Java `double`.
    Double(f64),
    /// A string.
    Text(String),
    /// Bytes; printed as a string of base64 with padding.
    Bytes(Vec<u8>),
    /// An array.
    Array(Vec<Json>),
    /// An object; names are distinct.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A string.
    pub fn text(text: impl Into<String>) -> Json {
        Json::Text(text.into())
    }

    /// An object of these members.
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A member of an object; `None` for any other value.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// As [`Json::get`], to be changed in place.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Json> {
        match self {
            Json::Object(members) => members.iter_mut().find(|(n, _)| n == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Int(value) => write!(f, "{value}"),
            Json::Double(value) if value.is_finite() => f.write_str(&java_double(*value)),
            Json::Double(value) => write!(f, "\"{}\"", java_double(*value)),
            Json::Text(text) => write_text(f, text),
            Json::Bytes(bytes) => write!(f, "\"{}\"", STANDARD.encode(bytes)),
            Json::Array(elements) => {
                f.write_str("[")?;
                for (i, element) in elements.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    element.fmt(f)?;
                }
                f.write_str("]")
            }
            Json::Object(members) => {
                f.write_str("{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    write_text(f, name)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A JSON string with Jackson's escapes: the short ones where there is one, `\u00XX` for the other control characters.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            8 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            12 => "\\f",
            b'\r' => "\\r",
            0..=0x1f => "",
            _ => continue,
        };
        f.write_str(&text[plain..at])?;
        match short {
            "" => write!(f, "\\u{byte:04X}")?,
            short => f.write_str(short)?,
        }
        plain = at + 1;
    }
    f.write_str(&text[plain..])?;
    f.write_str("\"")
}

/// `Double.toString`: at least one digit after the point, and an exponent below 0.001 and from ten million on.
pub fn java_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        let text = format!("{value}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("an exponent was asked for");
    if digits.contains('.') { format!("{digits}E{exponent}") } else { format!("{digits}.0E{exponent}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_jackson_does() {
        let json = Json::object([
            ("a\"b", Json::text("tab\t nul\u{0} del\u{7f} slash/ back\\ é \u{1f}")),
            ("bytes", Json::Bytes(vec![0, 255, 1, 2])),
            ("list", Json::Array(vec![Json::Null, Json::Bool(true), Json::Int(-5), Json::Double(1.0)])),
        ]);
        assert_eq!(
            json.to_string(),
            "{\"a\\\"b\":\"tab\\t nul\\u0000 del\u{7f} slash/ back\\\\ é \\u001F\",\"bytes\":\"AP8BAg==\",\
             \"list\":[null,true,-5,1.0]}"
        );
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1024.0, "1024.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (12345678.0, "1.2345678E7"),
            (1e7, "1.0E7"),
            (9999999.5, "9999999.5"),
            (-2.5e-9, "-2.5E-9"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(java_double(value), text);
        }
        assert_eq!(Json::Double(f64::INFINITY).to_string(), "\"Infinity\"");
    }
}
