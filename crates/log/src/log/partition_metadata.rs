//! `partition.metadata`: the topic's id. Two lines, `version: 0` and `topic_id: ` with the id in Kafka's base64.

use std::io;
use std::path::Path;

use ottla_records::uuid_text;
use uuid::Uuid;

use super::Log;
use crate::error::Error;
use crate::fs::{Disk, OpenMode, read_file};

pub(super) const FILE: &str = "partition.metadata";

/// Reads the file in a partition's directory; `None` if there is none.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Uuid>, Error> {
    let path = dir.join(FILE);
    let bytes = read_file(disk, &path).map_err(|source| Error::io("read", &path, source))?;
    let Some(bytes) = bytes else { return Ok(None) };
    decode(&bytes).map(Some).map_err(|reason| Error::corrupt(&path, 0, reason))
}

fn decode(bytes: &[u8]) -> Result<Uuid, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    let mut lines = text.lines();
    let mut value = |key: &str| {
        let line = lines.next().unwrap_or("");
        let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(':')).map(str::trim);
        value.map(str::to_owned).ok_or_else(|| format!("malformed line '{line}', expected '{key}: ...'"))
    };
    let version = value("version")?;
    match version.parse::<i32>() {
        // Later versions are read as this one, so that a downgrade works.
        Ok(0..) => {}
        _ => return Err(format!("unrecognised version '{version}'")),
    }
    let id = uuid_text::decode(&value("topic_id")?).map_err(|error| format!("invalid topic id: {error}"))?;
    if id.is_nil() { Err("invalid topic id: all zeros".into()) } else { Ok(id) }
}

fn encode(id: &Uuid) -> String {
    format!("version: 0\ntopic_id: {}", uuid_text::encode(id))
}

impl Log {
    /// Writes `partition.metadata`, for a log that has none: a topic keeps its id for ever. Durable with the first
    /// flush, together with the first records that are.
    ///
    /// Panics if the log has another id: the caller compares first and refuses.
    pub fn set_topic_id(&mut self, id: Uuid) -> Result<(), Error> {
        if self.topic_id == Some(id) {
            return Ok(());
        }
        assert!(
            self.topic_id.is_none(),
            "LOG-14: {} has topic id {:?} and cannot get {id}",
            self.path.display(),
            self.topic_id
        );
        self.dir.check()?;
        let path = self.path.join(FILE);
        let file = self.dir.open_file(&path, OpenMode::Replace)?;
        let written = file.write_at(&mut [io::IoSlice::new(encode(&id).as_bytes())], 0);
        self.dir.changed("write", &path, written)?;
        self.names_changed += 1;
        self.topic_id_unsynced = true;
        self.topic_id = Some(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        let id = Uuid::from_u128(0x1234_5678_9abc_4ef0_9234_5678_9abc_def0);
        let text = encode(&id);
        assert_eq!(text, "version: 0\ntopic_id: EjRWeJq8TvCSNFZ4mrze8A");
        assert_eq!(decode(text.as_bytes()), Ok(id));
        assert_eq!(decode(b"version:  3\r\ntopic_id: EjRWeJq8TvCSNFZ4mrze8A\r\n"), Ok(id));
        for bad in ["", "version: 0", "version: -1\ntopic_id: EjRWeJq8TvCSNFZ4mrze8A", "version: 0\nid: x"] {
            assert!(decode(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(decode(b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA").is_err());
    }
}
