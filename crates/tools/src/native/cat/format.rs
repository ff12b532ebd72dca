//! kcat's format strings: `%t [%p] at offset %o: key %k: %s\n`.

use std::io::{self, Write};

use ottla_client::ConsumerRecord;

/// A piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Value,
    ValueLength,
    Key,
    KeyLength,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Headers,
}

/// A format, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<Piece>);

impl Format {
    /// `Err` names what is not understood.
    pub(super) fn parse(text: &str) -> Result<Format, String> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = &rest[first.len_utf8()..];
            match first {
                '%' => {
                    let letter =
                        rest.chars().next().ok_or("a format cannot end in %; write %% for a percent sign")?;
                    rest = &rest[letter.len_utf8()..];
                    let piece = match letter {
                        's' => Piece::Value,
                        'S' => Piece::ValueLength,
                        'k' => Piece::Key,
                        'K' => Piece::KeyLength,
                        't' => Piece::Topic,
                        'p' => Piece::Partition,
                        'o' => Piece::Offset,
                        'T' => Piece::Timestamp,
                        'h' => Piece::Headers,
                        '%' => {
                            plain.push(b'%');
                            continue;
                        }
                        other => {
                            return Err(format!(
                                "%{other} is not known; there are %s value, %S its length, %k key, %K its length, %t topic, \
                                 %p partition, %o offset, %T timestamp, %h headers, %%"
                            ));
                        }
                    };
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(piece);
                }
                '\\' => rest = escape(rest, &mut plain)?,
                other => plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Format(pieces))
    }

    /// Writes a record.
    pub(super) fn write(&self, out: &mut impl Write, record: &ConsumerRecord<'_>) -> io::Result<()> {
        let length = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        let (key, value) = (record.record.key, record.record.value);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.write_all(text)?,
                Piece::Value => out.write_all(value.unwrap_or_default())?,
                Piece::ValueLength => write!(out, "{}", length(value))?,
                Piece::Key => out.write_all(key.unwrap_or_default())?,
                Piece::KeyLength => write!(out, "{}", length(key))?,
                Piece::Topic => out.write_all(record.topic.as_bytes())?,
                Piece::Partition => write!(out, "{}", record.partition)?,
                Piece::Offset => write!(out, "{}", record.record.offset)?,
                Piece::Timestamp => write!(out, "{}", record.record.timestamp)?,
                Piece::Headers => {
                    for (at, header) in record.record.headers.iter().enumerate() {
                        if at > 0 {
                            out.write_all(b",")?;
                        }
                        out.write_all(header.key)?;
                        out.write_all(b"=")?;
                        out.write_all(header.value.unwrap_or(b"NULL"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// `\n`, `\t`, `\xHH` and their like; what follows.
fn escape<'a>(text: &'a str, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let first = text.chars().next().ok_or("it ends in a backslash; write \\\\ for one")?;
    let rest = &text[first.len_utf8()..];
    let byte = match first {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        '0' => 0,
        '\\' => b'\\',
        'x' => {
            let digits = rest.get(..2).ok_or("\\x takes two digits")?;
            out.push(
                u8::from_str_radix(digits, 16)
                    .map_err(|_| format!("\\x{digits}: not two hexadecimal digits"))?,
            );
            return Ok(&rest[2..]);
        }
        other => return Err(format!("\\{other} is not known; there are \\n \\t \\r \\0 \\\\ \\xHH")),
    };
    out.push(byte);
    Ok(rest)
}

/// A delimiter as it is typed: `\n`, `\t`, `:`, `\x00`.
pub(super) fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        if first == '\\' {
            rest = escape(rest, &mut out)?;
        } else {
            out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if out.is_empty() { Err("a delimiter cannot be empty".to_owned()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_understood() {
        let format = Format::parse("%t[%p]@%o\\t%%\\x41%s\\n").unwrap();
        assert_eq!(
            format.0,
            [
                Piece::Topic,
                Piece::Text(b"[".to_vec()),
                Piece::Partition,
                Piece::Text(b"]@".to_vec()),
                Piece::Offset,
                Piece::Text(b"\t%A".to_vec()),
                Piece::Value,
                Piece::Text(b"\n".to_vec()),
            ]
        );
        for (text, part) in
            [("%", "end in %"), ("%z", "%z"), ("\\q", "\\q"), ("\\x1", "two digits"), ("\\xéé", "two")]
        {
            assert!(Format::parse(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn delimiters_are_what_is_typed() {
        assert_eq!(delimiter("\\n").unwrap(), b"\n");
        assert_eq!(delimiter("::").unwrap(), b"::");
        assert!(delimiter("").is_err());
    }
}
