//! The `.properties` file format with the semantics of `java.util.Properties`, plus what Java forgets: the
//! line of every entry, the order of the file, and which entries were overwritten.
//!
//! Bytes that are valid UTF-8 are read as UTF-8; anything else is read as ISO-8859-1, which is what Java
//! assumes. A UTF-8 byte order mark is dropped.

use std::fmt::Write as _;

/// One `key=value` of a file, unescaped, blanks at the end of the value kept as in Java.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped.
    pub value: String,
    /// Line (from 1) on which the entry starts.
    pub line: u32,
}

/// A parsed file: every entry in the order of the file, duplicates included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    file: String,
    entries: Vec<Entry>,
}

/// A file that cannot be read as properties at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct PropertiesError {
    /// The name that was given for the file.
    pub file: String,
    /// Line (from 1) of the logical line that is malformed.
    pub line: u32,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Properties {
    /// Parses `bytes`; `file` is only used in messages.
    ///
    /// # Errors
    /// Only a malformed `\uXXXX` escape is an error, as in Java.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, PropertiesError> {
        let text = decode(bytes);
        let mut entries = Vec::new();
        let mut lines = LogicalLines { rest: &text, line: 0, crlf: false };
        while let Some((line, logical)) = lines.next() {
            let (key, value) = split(&logical);
            let bad = |what| PropertiesError { file: file.to_owned(), line, what };
            entries.push(Entry {
                key: unescape(key).map_err(bad)?,
                value: unescape(value).map_err(bad)?,
                line,
            });
        }
        Ok(Self { file: file.to_owned(), entries })
    }

    /// The name the file was parsed under.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every entry in the order of the file, overwritten ones included.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that counts for `key`: the last one, as in Java.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// The value that counts for `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value.as_str())
    }

    /// Entries that a later entry of the same key overwrites, each with the line of the one that counts.
    pub fn overwritten(&self) -> impl Iterator<Item = (&Entry, u32)> {
        self.entries.iter().filter_map(|entry| {
            let last = self.entry(&entry.key).expect("the key is in the list, so a last entry exists");
            (last.line != entry.line).then_some((entry, last.line))
        })
    }

    /// Adds an entry at the end, as if the file had one more line.
    pub fn push(&mut self, key: &str, value: &str) {
        let line = self.entries.last().map_or(1, |entry| entry.line + 1);
        self.entries.push(Entry { key: key.to_owned(), value: value.to_owned(), line });
    }
}

/// Writes one entry so that any Java reads it back unchanged, whatever encoding it assumes: everything outside
/// printable ASCII becomes `\uXXXX`, as `Properties.store` does.
#[must_use]
pub fn write_entry(key: &str, value: &str) -> String {
    let mut out = String::with_capacity(key.len() + value.len() + 2);
    escape_into(&mut out, key, true);
    out.push('=');
    escape_into(&mut out, value, false);
    out.push('\n');
    out
}

fn escape_into(out: &mut String, text: &str, every_blank: bool) {
    for (at, c) in text.chars().enumerate() {
        match c {
            ' ' if every_blank || at == 0 => out.push_str("\\ "),
            ' '..='~' => {
                if matches!(c, '=' | ':' | '#' | '!' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{c}' => out.push_str("\\f"),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04X}").expect("writing to a String cannot fail");
                }
            }
        }
    }
}

/// UTF-8 where the bytes are UTF-8, else ISO-8859-1 (each byte is the character of that number).
fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Joins natural lines into logical ones: comments and empty lines dropped, continuations joined.
struct LogicalLines<'a> {
    rest: &'a str,
    /// Number of the last natural line that was taken.
    line: u32,
    /// Whether that line ended in `\r\n`.
    crlf: bool,
}

impl<'a> LogicalLines<'a> {
    /// The next natural line without its end (`\n`, `\r` or `\r\n`).
    fn natural(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.crlf = rest.starts_with("\r\n");
        self.rest = rest.strip_prefix("\r\n").or_else(|| rest.get(1..)).unwrap_or("");
        Some(line)
    }

    fn next(&mut self) -> Option<(u32, String)> {
        loop {
            let first = self.natural()?.trim_start_matches(is_blank);
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let start = self.line;
            let mut logical = String::new();
            let mut part = first;
            let mut cut = false;
            while continues(part) {
                logical.push_str(&part[..part.len() - 1]);
                part = match self.natural() {
                    Some(next) => next.trim_start_matches(is_blank),
                    None => {
                        cut = true;
                        ""
                    }
                };
                // Java starts over when nothing but backslashes and blanks has been read so far: a comment may
                // then begin here.
                if logical.is_empty() && part.starts_with(['#', '!']) {
                    part = "";
                }
            }
            logical.push_str(part);
            // Java makes an empty entry of a backslash alone on the last line, but not before `\r\n`.
            if logical.is_empty() && (!cut || self.crlf) {
                continue;
            }
            return Some((start, logical));
        }
    }
}

/// Whether a natural line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// Cuts a logical line at the first unescaped `=`, `:` or blank.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|&(_, c)| {
            let stops = !escaped && (matches!(c, '=' | ':') || is_blank(c));
            escaped = c == '\\' && !escaped;
            stops
        })
        .map_or(line.len(), |(at, _)| at);
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    // UTF-16 units of `\u` escapes that stand side by side, so that surrogate pairs come together.
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        if escaped == Some('u') {
            let digits = chars.as_str().get(..4).ok_or(MALFORMED)?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(MALFORMED);
            }
            units.push(u16::from_str_radix(digits, 16).map_err(|_| MALFORMED)?);
            chars = chars.as_str()[4..].chars();
            continue;
        }
        flush_units(&mut units, &mut out);
        match (c, escaped) {
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('f')) => out.push('\u{c}'),
            ('\\', Some(other)) => out.push(other),
            // A backslash at the very end: the line was the last of the file; Java drops it.
            ('\\', None) => {}
            (other, _) => out.push(other),
        }
    }
    flush_units(&mut units, &mut out);
    Ok(out)
}

const MALFORMED: &str =
    "malformed \\uXXXX escape: four hexadecimal digits must follow \\u; write \\\\u for a backslash";

fn flush_units(units: &mut Vec<u16>, out: &mut String) {
    if !units.is_empty() {
        out.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let parsed = Properties::parse("t", text.as_bytes()).unwrap();
        parsed.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?} gave {all:?}");
        all.remove(0)
    }

    fn kv(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn separators_are_equals_colon_or_blank() {
        for text in ["k=v", "k:v", "k v", "k = v", " k\t:\u{c}v", "k   v", "k =v", "\tk=v"] {
            assert_eq!(one(text), kv("k", "v"), "{text:?}");
        }
        // Only one separator is eaten.
        assert_eq!(one("k==v"), kv("k", "=v"));
        assert_eq!(one("k = :v"), kv("k", ":v"));
        assert_eq!(one("k"), kv("k", ""));
        assert_eq!(one("=v"), kv("", "v"));
    }

    #[test]
    fn blanks_at_the_end_belong_to_the_value() {
        assert_eq!(one("k=v  \n"), kv("k", "v  "));
    }

    #[test]
    fn comments_and_empty_lines_are_dropped() {
        assert_eq!(pairs("# a=b\n! c=d\n\n   \n  # e\nk=v # not a comment"), [kv("k", "v # not a comment")]);
        // A comment does not continue.
        assert_eq!(pairs("# a \\\nk=v"), [kv("k", "v")]);
    }

    #[test]
    fn lines_end_in_lf_crlf_or_cr_and_are_counted() {
        let parsed = Properties::parse("t", b"a=1\r\nb=2\rc=3\n\n\nd=4\\\n  5\ne=6").unwrap();
        let lines: Vec<(&str, &str, u32)> =
            parsed.entries().iter().map(|e| (e.key.as_str(), e.value.as_str(), e.line)).collect();
        assert_eq!(lines, [("a", "1", 1), ("b", "2", 2), ("c", "3", 3), ("d", "45", 6), ("e", "6", 8)]);
    }

    #[test]
    fn continuations() {
        assert_eq!(one("k=a,\\\n    b,\\\n\tc"), kv("k", "a,b,c"));
        assert_eq!(one("k=a\\\\\nl=b\n".split_once("l=").unwrap().0), kv("k", "a\\"));
        assert_eq!(one("k=a\\\n#b"), kv("k", "a#b"));
        // An empty line ends a continuation.
        assert_eq!(pairs("k=a\\\n\nl=b"), [kv("k", "a"), kv("l", "b")]);
        // A key may continue too.
        assert_eq!(one("long.\\\n  key=v"), kv("long.key", "v"));
        // A backslash before the end of the file is dropped.
        assert_eq!(one("k=a\\"), kv("k", "a"));
        assert_eq!(pairs("\\\n#k=v\nl=w"), [kv("l", "w")]);
    }

    #[test]
    fn escapes() {
        assert_eq!(one(r"k=\t\n\r\f\q\\"), kv("k", "\t\n\r\u{c}q\\"));
        assert_eq!(one(r"a\=b\:c\ d=v"), kv("a=b:c d", "v"));
        assert_eq!(one(r"k=\u0041\uac00\uD83D\uDE00!"), kv("k", "A가😀!"));
        assert_eq!(one(r"k=\ud800x"), kv("k", "\u{fffd}x"));
        let error = Properties::parse("f.properties", b"ok=1\nk=\\u00zz").unwrap_err();
        assert_eq!((error.line, error.file.as_str()), (2, "f.properties"));
        assert!(Properties::parse("t", b"k=\\u12").is_err());
        assert!(Properties::parse("t", b"k=\\u+123").is_err());
    }

    #[test]
    fn utf8_and_latin1_are_both_read() {
        assert_eq!(one("k=토픽명"), kv("k", "토픽명"));
        assert_eq!(Properties::parse("t", b"k=caf\xe9").unwrap().get("k"), Some("café"));
        assert_eq!(Properties::parse("t", b"\xef\xbb\xbfk=v").unwrap().get("k"), Some("v"));
    }

    #[test]
    fn the_last_duplicate_counts_and_the_others_are_named() {
        let parsed = Properties::parse("t", b"k=1\nx=0\nk=2\nk=3").unwrap();
        assert_eq!(parsed.get("k"), Some("3"));
        let lost: Vec<(u32, u32)> = parsed.overwritten().map(|(entry, by)| (entry.line, by)).collect();
        assert_eq!(lost, [(1, 4), (3, 4)]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(key in "\\PC{0,12}", value in "[\\PC \t\r\n\u{c}\\\\=:#!]{0,24}") {
            let text = write_entry(&key, &value);
            proptest::prop_assert!(text.is_ascii());
            // An empty key and value write a bare "=", which is an entry too.
            proptest::prop_assert_eq!(one(&text), (key, value));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Properties::parse("t", &bytes);
        }
    }
}
