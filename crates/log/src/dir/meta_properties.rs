//! `meta.properties`: which cluster and node a log directory belongs to, and its own id.
//!
//! Version 1 (KRaft) has `cluster.id`, `node.id` and `directory.id`; version 0 (before KRaft) has `broker.id` and
//! perhaps `cluster.id`. The file is in Java's properties format.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ottla_records::uuid_text;
use uuid::Uuid;

use crate::fs::{Disk, read_file, replace_file};

pub(super) const FILE: &str = "meta.properties";

/// The content of `meta.properties`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    /// 0 or 1.
    pub version: i32,
    /// The cluster; always there in version 1.
    pub cluster_id: Option<String>,
    /// The node; always there in version 1.
    pub node_id: Option<i32>,
    /// The directory's own id; missing in directories formatted before Kafka 3.7.
    pub directory_id: Option<Uuid>,
}

/// Why `meta.properties` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MetaPropertiesError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A property is missing or has no sense.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl MetaProperties {
    /// Version 1.
    pub fn new(cluster_id: impl Into<String>, node_id: i32, directory_id: Uuid) -> MetaProperties {
        MetaProperties {
            version: 1,
            cluster_id: Some(cluster_id.into()),
            node_id: Some(node_id),
            directory_id: Some(directory_id),
        }
    }

    /// Reads the file of a directory; `None` if it has none: the directory is not formatted.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<MetaProperties>, MetaPropertiesError> {
        let path = dir.join(FILE);
        match read_file(disk, &path) {
            Err(source) => Err(MetaPropertiesError::Io { path, source }),
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => match MetaProperties::decode(&bytes) {
                Ok(properties) => Ok(Some(properties)),
                Err(reason) => Err(MetaPropertiesError::Invalid { path, reason }),
            },
        }
    }

    /// Replaces the file of a directory, durably.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        replace_file(disk, &dir.join(FILE), self.encode().as_bytes())
    }

    fn encode(&self) -> String {
        let id_key = if self.version == 0 { "broker.id" } else { "node.id" };
        let mut lines = BTreeMap::from([("version", self.version.to_string())]);
        lines.extend(self.cluster_id.clone().map(|id| ("cluster.id", id)));
        lines.extend(self.node_id.map(|id| (id_key, id.to_string())));
        lines.extend(self.directory_id.map(|id| ("directory.id", uuid_text::encode(&id))));
        let mut text = String::from("#\n");
        for (key, value) in lines {
            text.push_str(key);
            text.push('=');
            escape(&value, &mut text);
            text.push('\n');
        }
        text
    }

    fn decode(bytes: &[u8]) -> Result<MetaProperties, String> {
        let mut properties = parse(bytes);
        let mut number = |key: &str| -> Result<Option<i32>, String> {
            let Some(text) = properties.remove(key) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| format!("unable to read {key} as a base-10 number: '{text}'"))
        };
        let version = number("version")?.unwrap_or(0);
        let node_id = match version {
            0 => number("broker.id")?,
            1 => Some(number("node.id")?.ok_or("failed to find node.id")?),
            _ => return Err(format!("unknown version {version}")),
        };
        let directory_id = match properties.remove("directory.id") {
            None => None,
            Some(text) => Some(
                uuid_text::decode(&text)
                    .map_err(|error| format!("unable to read directory.id as a Uuid: {error}"))?,
            ),
        };
        let cluster_id = properties.remove("cluster.id");
        if version == 1 && cluster_id.is_none() {
            return Err("cluster.id was not found".into());
        }
        Ok(MetaProperties { version, cluster_id, node_id, directory_id })
    }
}

fn escape(value: &str, out: &mut String) {
    for (at, c) in value.chars().enumerate() {
        match c {
            ' ' if at == 0 => out.push_str("\\ "),
            '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
}

/// Java's properties format: comments, `=`, `:` or blanks behind the key, escapes, lines that go on.
fn parse(bytes: &[u8]) -> BTreeMap<String, String> {
    // Java reads the bytes as Latin-1, Kafka's writer as UTF-8; a UTF-8 file without escapes is ASCII in practice.
    let text = String::from_utf8_lossy(bytes);
    let mut properties = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while logical.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            logical.pop();
            logical.push_str(lines.next().unwrap_or("").trim_start());
        }
        let (key, value) = split_key(&logical);
        properties.insert(unescape(key), unescape(value));
    }
    properties
}

fn split_key(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}');
        escaped = c == '\\' && !escaped;
        ends
    });
    let end = end.unwrap_or(line.len());
    let rest = line[end..].trim_start_matches([' ', '\t', '\u{c}']);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches([' ', '\t', '\u{c}']))
}

fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
                    continue;
                }
                Some(other) => other,
                None => continue,
            },
            c => c,
        };
        units.extend(plain.encode_utf16(&mut [0; 2]).iter());
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimDisk;

    #[test]
    fn what_is_written_is_read() {
        let disk = SimDisk::new();
        assert_eq!(MetaProperties::read(&disk, Path::new("/")).unwrap(), None);
        let id = Uuid::from_u128(0x1234_5678_9abc_4ef0_9234_5678_9abc_def0);
        for cluster_id in ["MkU3OEVBNTcwNTJENDM2Qg", " my = cluster: #1!\\ ü 🦀"] {
            let properties = MetaProperties::new(cluster_id, 7, id);
            properties.write(&disk, Path::new("/")).unwrap();
            assert_eq!(MetaProperties::read(&disk, Path::new("/")).unwrap(), Some(properties));
        }
    }

    #[test]
    fn kafkas_own_file_is_read() {
        let text = b"#\n#Fri Nov 21 02:00:00 UTC 2025\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n\
            directory.id=xp1HZpFoTPmtDQZYdSJk8g\nnode.id=1\nversion=1\n";
        let read = MetaProperties::decode(text).unwrap();
        let id = uuid_text::decode("xp1HZpFoTPmtDQZYdSJk8g").unwrap();
        assert_eq!(read, MetaProperties::new("MkU3OEVBNTcwNTJENDM2Qg", 1, id));
        let old = MetaProperties::decode(b"version=0\nbroker.id = 3\n").unwrap();
        assert_eq!(
            old,
            MetaProperties { version: 0, cluster_id: None, node_id: Some(3), directory_id: None }
        );
    }

    #[test]
    fn javas_format_in_all_its_forms() {
        let read = parse(b"  ! comment\na:1\nb 2\n c = 3 \nd=\\u00e4\\t\\:\ne=x\\\n   y\nf\\==g\nlone\n");
        let expected =
            [("a", "1"), ("b", "2"), ("c", "3 "), ("d", "ä\t:"), ("e", "xy"), ("f=", "g"), ("lone", "")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, reason) in [
            ("version=1\nnode.id=1\n", "cluster.id was not found"),
            ("version=1\ncluster.id=x\n", "failed to find node.id"),
            ("version=1\ncluster.id=x\nnode.id=a\n", "unable to read node.id as a base-10 number: 'a'"),
            ("version=2\n", "unknown version 2"),
        ] {
            assert_eq!(MetaProperties::decode(text.as_bytes()).unwrap_err(), reason);
        }
        assert!(MetaProperties::decode(b"version=1\ncluster.id=x\nnode.id=1\ndirectory.id=!\n").is_err());
    }
}
