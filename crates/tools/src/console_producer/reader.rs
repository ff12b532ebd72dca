//! Lines of standard input as records: what separates lines, and what separates headers, key and value in a line.

use ottla_records::Header;

/// Bytes that were read, and the lines in them: ended by `\n`, `\r` or `\r\n`, as Java's.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Where to go on looking for its end.
    looked: usize,
    /// The last line ended with `\r`: a `\n` that follows belongs to it.
    after_return: bool,
}

impl Lines {
    /// Takes what was read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.looked -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, which stays the next one until [`Lines::done`].
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if self.after_return && self.bytes.get(self.start) == Some(&b'\n') {
            self.start += 1;
            self.looked = self.looked.max(self.start);
        }
        if self.start < self.bytes.len() {
            self.after_return = false;
        }
        let end = self.bytes[self.looked..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        match end {
            None => {
                self.looked = self.bytes.len();
                None
            }
            Some(at) => {
                self.looked += at;
                Some(&self.bytes[self.start..self.looked])
            }
        }
    }

    /// The line of [`Lines::next`] is dealt with.
    pub(super) fn done(&mut self) {
        self.after_return = self.bytes.get(self.looked) == Some(&b'\r');
        self.start = (self.looked + 1).min(self.bytes.len());
        self.looked = self.start;
    }

    /// At the end of the input: what is left, if anything, is a line too.
    pub(super) fn finish(&mut self) {
        if self.start < self.bytes.len() && !self.bytes.ends_with(b"\n") && !self.bytes.ends_with(b"\r") {
            self.bytes.push(b'\n');
        }
    }

    /// How many whole lines have not been dealt with.
    pub(super) fn waiting(&mut self) -> usize {
        let mut rest = Lines {
            bytes: self.bytes[self.start..].to_vec(),
            after_return: self.after_return,
            ..Lines::default()
        };
        let mut count = 0;
        while rest.next().is_some() {
            rest.done();
            count += 1;
        }
        count
    }
}

/// How a line is taken apart (Kafka's `LineMessageReader`).
#[derive(Debug)]
pub(super) struct Reader {
    parse_key: bool,
    key_separator: Vec<u8>,
    parse_headers: bool,
    headers_delimiter: Vec<u8>,
    headers_separator: Vec<u8>,
    headers_key_separator: Vec<u8>,
    ignore_error: bool,
    null_marker: Option<Vec<u8>>,
    line: u64,
}

/// A line taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed<'l> {
    pub(super) key: Option<&'l [u8]>,
    pub(super) value: Option<&'l [u8]>,
    pub(super) headers: Vec<Header<'l>>,
}

impl Reader {
    /// A reader with these properties; the error is Kafka's sentence.
    pub(super) fn new(properties: &[(String, String)]) -> Result<Reader, String> {
        let get = |name: &str| properties.iter().rev().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
        let truth = |name: &str| get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let bytes = |name: &str, default: &str| get(name).unwrap_or(default).as_bytes().to_vec();
        let reader = Reader {
            parse_key: truth("parse.key"),
            key_separator: bytes("key.separator", "\t"),
            parse_headers: truth("parse.headers"),
            headers_delimiter: bytes("headers.delimiter", "\t"),
            headers_separator: bytes("headers.separator", ","),
            headers_key_separator: bytes("headers.key.separator", ":"),
            ignore_error: truth("ignore.error"),
            null_marker: get("null.marker").map(|marker| marker.as_bytes().to_vec()),
            line: 0,
        };
        let null = reader.null_marker.as_ref();
        for (equal, names) in [
            (reader.headers_delimiter == reader.headers_separator, "headers.delimiter and headers.separator"),
            (
                reader.headers_delimiter == reader.headers_key_separator,
                "headers.delimiter and headers.key.separator",
            ),
            (
                reader.headers_separator == reader.headers_key_separator,
                "headers.separator and headers.key.separator",
            ),
            (null == Some(&reader.key_separator), "null.marker and key.separator"),
            (null == Some(&reader.headers_separator), "null.marker and headers.separator"),
            (null == Some(&reader.headers_delimiter), "null.marker and headers.delimiter"),
            (null == Some(&reader.headers_key_separator), "null.marker and headers.key.separator"),
        ] {
            if equal {
                return Err(format!("{names} may not be equal"));
            }
        }
        Ok(reader)
    }

    /// Takes the next line apart; the error is Kafka's sentence.
    pub(super) fn parse<'l>(&mut self, line: &'l [u8]) -> Result<Parsed<'l>, String> {
        self.line += 1;
        let mut rest = line;
        let headers = match self.parse_headers {
            true => self.cut(line, &mut rest, &self.headers_delimiter, "headers delimiter")?,
            false => None,
        };
        let key = match self.parse_key {
            true => self.cut(line, &mut rest, &self.key_separator, "key separator")?,
            false => None,
        };
        let real = |bytes: &&[u8]| self.null_marker.as_deref() != Some(*bytes);
        let headers = headers.filter(real).map(|headers| self.headers(headers)).transpose()?;
        Ok(Parsed {
            key: key.filter(real),
            value: Some(rest).filter(real),
            headers: headers.unwrap_or_default(),
        })
    }

    /// What lies before the separator, which `rest` is moved behind.
    fn cut<'l>(
        &self,
        line: &[u8],
        rest: &mut &'l [u8],
        separator: &[u8],
        name: &str,
    ) -> Result<Option<&'l [u8]>, String> {
        match find(rest, separator) {
            Some(at) => {
                let (before, after) = (&rest[..at], &rest[at + separator.len()..]);
                *rest = after;
                Ok(Some(before))
            }
            None if self.ignore_error => Ok(None),
            None => Err(format!(
                "No {name} found on line number {}: '{}'",
                self.line,
                String::from_utf8_lossy(line)
            )),
        }
    }

    fn headers<'l>(&self, headers: &'l [u8]) -> Result<Vec<Header<'l>>, String> {
        let mut pairs = Vec::new();
        let mut rest = Some(headers);
        while let Some(bytes) = rest {
            // An empty separator parts every character in Java; here it parts nothing.
            match find(bytes, &self.headers_separator).filter(|_| !self.headers_separator.is_empty()) {
                Some(at) => {
                    pairs.push(&bytes[..at]);
                    rest = Some(&bytes[at + self.headers_separator.len()..]);
                }
                None => {
                    pairs.push(bytes);
                    rest = None;
                }
            }
        }
        // Java drops empty pieces at the end, unless there is nothing else.
        while pairs.len() > 1 && pairs.last().is_some_and(|pair| pair.is_empty()) {
            pairs.pop();
        }
        pairs.into_iter().map(|pair| self.header(pair)).collect()
    }

    fn header<'l>(&self, pair: &'l [u8]) -> Result<Header<'l>, String> {
        let Some(at) = find(pair, &self.headers_key_separator) else {
            if self.ignore_error {
                return Ok(Header { key: pair, value: None });
            }
            return Err(format!(
                "No header key separator found in pair '{}' on line number {}",
                String::from_utf8_lossy(pair),
                self.line
            ));
        };
        let (key, value) = (&pair[..at], &pair[at + self.headers_key_separator.len()..]);
        let null = self.null_marker.as_deref();
        if null == Some(key) {
            return Err(format!(
                "Header keys should not be equal to the null marker '{}' as they can't be null",
                String::from_utf8_lossy(key)
            ));
        }
        Ok(Header { key, value: Some(value).filter(|value| null != Some(*value)) })
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Reader {
        try_reader(properties).unwrap()
    }

    fn try_reader(properties: &[(&str, &str)]) -> Result<Reader, String> {
        let properties: Vec<_> = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Reader::new(&properties)
    }

    fn all(lines: &mut Lines) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            found.push(String::from_utf8_lossy(line).into_owned());
            lines.done();
        }
        found
    }

    #[test]
    fn lines_end_as_in_java_wherever_the_input_is_cut() {
        let input = b"a\nb\r\nc\rd\n\ne\r\r\nlast";
        let expected = ["a", "b", "c", "d", "", "e", "", "last"];
        for cut in 0..=input.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for part in [&input[..cut], &input[cut..]] {
                lines.feed(part);
                found.extend(all(&mut lines));
            }
            lines.finish();
            found.extend(all(&mut lines));
            assert_eq!(found, expected, "cut at {cut}");
            assert_eq!(lines.waiting(), 0);
        }
        let mut lines = Lines::default();
        lines.feed(b"x\ny\nz");
        assert_eq!(lines.next(), Some(&b"x"[..]));
        assert_eq!(lines.waiting(), 2);
        lines.finish();
        assert_eq!(lines.waiting(), 3);
    }

    #[test]
    fn keys_and_headers() {
        let mut plain = reader(&[]);
        assert_eq!(
            plain.parse(b"a\tb").unwrap(),
            Parsed { key: None, value: Some(b"a\tb"), headers: vec![] }
        );
        let mut keyed = reader(&[("parse.key", " TRUE "), ("key.separator", "::")]);
        assert_eq!(
            keyed.parse(b"k::v::w").unwrap(),
            Parsed { key: Some(b"k"), value: Some(b"v::w"), headers: vec![] }
        );
        assert_eq!(keyed.parse(b"none").unwrap_err(), "No key separator found on line number 2: 'none'");
        let mut both = reader(&[("parse.key", "true"), ("parse.headers", "true")]);
        assert_eq!(
            both.parse(b"h1:v1,h2:v:2,,\tkey\tvalue").unwrap(),
            Parsed {
                key: Some(b"key"),
                value: Some(b"value"),
                headers: vec![
                    Header { key: b"h1", value: Some(b"v1") },
                    Header { key: b"h2", value: Some(b"v:2") }
                ]
            }
        );
        assert_eq!(both.parse(b"x").unwrap_err(), "No headers delimiter found on line number 2: 'x'");
        assert_eq!(
            both.parse(b"x\ty\tz").unwrap_err(),
            "No header key separator found in pair 'x' on line number 3"
        );
    }

    #[test]
    fn errors_can_be_ignored_and_fields_be_null() {
        let mut reader = reader(&[
            ("parse.key", "true"),
            ("parse.headers", "true"),
            ("ignore.error", "true"),
            ("null.marker", "NULL"),
        ]);
        assert_eq!(
            reader.parse(b"only").unwrap(),
            Parsed { key: None, value: Some(b"only"), headers: vec![] }
        );
        assert_eq!(
            reader.parse(b"a,b:NULL\tNULL\tNULL").unwrap(),
            Parsed {
                key: None,
                value: None,
                headers: vec![Header { key: b"a", value: None }, Header { key: b"b", value: None }]
            }
        );
        assert_eq!(
            reader.parse(b"NULL\tk\t").unwrap(),
            Parsed { key: Some(b"k"), value: Some(b""), headers: vec![] }
        );
        assert_eq!(
            reader.parse(b"NULL:x\tk\tv").unwrap_err(),
            "Header keys should not be equal to the null marker 'NULL' as they can't be null"
        );
    }

    #[test]
    fn separators_must_differ() {
        for (properties, error) in [
            ([("headers.delimiter", ","), ("x", "")], "headers.delimiter and headers.separator"),
            ([("headers.delimiter", ":"), ("x", "")], "headers.delimiter and headers.key.separator"),
            ([("headers.separator", ":"), ("x", "")], "headers.separator and headers.key.separator"),
            ([("null.marker", "\t"), ("x", "")], "null.marker and key.separator"),
            ([("null.marker", "\t"), ("key.separator", ";")], "null.marker and headers.delimiter"),
        ] {
            assert_eq!(try_reader(&properties).unwrap_err(), format!("{error} may not be equal"));
        }
    }
}
