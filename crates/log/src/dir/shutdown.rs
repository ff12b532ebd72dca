//! `.kafka_cleanshutdown`: a file that is there if the last user of the directory stopped cleanly.
//!
//! Its content is `{"version":0,"brokerEpoch":N}`. Older Kafka left it empty; whatever it holds, that it is there
//! says "clean", and what cannot be read says nothing about the epoch.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::fs::{Disk, OpenMode, read_file};

pub(super) const FILE: &str = ".kafka_cleanshutdown";

/// What a clean shutdown left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanShutdown {
    /// The broker's epoch then, if the file says it.
    pub broker_epoch: Option<i64>,
}

pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<CleanShutdown>> {
    let bytes = read_file(disk, path)?;
    Ok(bytes.map(|bytes| CleanShutdown { broker_epoch: broker_epoch(&bytes) }))
}

pub(super) fn write(disk: &dyn Disk, dir: &Path, path: &Path, broker_epoch: i64) -> io::Result<()> {
    let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
    let file = disk.open(path, OpenMode::Replace)?;
    file.write_at(&mut [IoSlice::new(text.as_bytes())], 0)?;
    file.sync()?;
    disk.sync_dir(dir)
}

pub(super) fn remove(disk: &dyn Disk, dir: &Path, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.and_then(|()| disk.sync_dir(dir)),
    }
}

fn broker_epoch(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("\"brokerEpoch\"")?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(value.len());
    value[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_found_or_left_open() {
        assert_eq!(broker_epoch(br#"{"version":0,"brokerEpoch":17}"#), Some(17));
        assert_eq!(broker_epoch(br#"{ "brokerEpoch" : -1 , "version": 0 }"#), Some(-1));
        for bad in [&b""[..], b"{}", b"\"brokerEpoch\":x", b"\xff", b"\"brokerEpoch\" 7"] {
            assert_eq!(broker_epoch(bad), None);
        }
    }
}
