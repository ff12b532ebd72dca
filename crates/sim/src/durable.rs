//! What of a node would be left if its power went now and took all it may.

use std::path::{Path, PathBuf};

use ottla_log::fs::{Disk, SimDisk};
use ottla_quorum::METADATA_DIRECTORY;
use ottla_quorum::state_file;
use ottla_raft::Election;
use ottla_records::batch::peek;

/// The log directory of every node, on its own disk.
pub const DIRECTORY: &str = "/d";

/// The metadata partition's directory.
pub fn partition() -> PathBuf {
    Path::new(DIRECTORY).join(METADATA_DIRECTORY)
}

/// One of the things that promises stand on.
#[derive(Debug, Clone, PartialEq)]
pub enum Durable {
    /// `quorum-state`.
    Election(Option<Election>),
    /// Where the log would end.
    LogEnd(i64),
}

impl Durable {
    /// The vote and epoch.
    pub fn election(disk: &SimDisk) -> Durable {
        let path = partition().join(state_file::FILE_NAME);
        let bytes = disk.durable(&path, <[u8]>::to_vec);
        Durable::Election(bytes.and_then(|bytes| state_file::parse(&String::from_utf8_lossy(&bytes)).ok()))
    }

    /// The log's end.
    pub fn log(disk: &SimDisk) -> Durable {
        Durable::LogEnd(log_end(disk))
    }
}

/// Where the log, or the newest snapshot if that goes further, would end.
pub fn log_end(disk: &SimDisk) -> i64 {
    let directory = partition();
    let mut names: Vec<String> = match disk.list(&directory) {
        Ok(names) => names.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect(),
        Err(_) => return 0,
    };
    names.sort_unstable();
    let base = |name: &str| name.get(..20).and_then(|digits| digits.parse::<i64>().ok());
    let snapshots = names.iter().filter(|name| name.ends_with(".checkpoint"));
    let newest = snapshots
        .filter(|name| disk.durable(&directory.join(name), |_| ()).is_some())
        .filter_map(|name| base(name))
        .max()
        .unwrap_or(0);
    let mut end = None;
    for name in names.iter().filter(|name| name.ends_with(".log")) {
        let Some(start) = base(name) else { continue };
        if end.is_some_and(|end| end != start) {
            break;
        }
        match disk.durable(&directory.join(name), |bytes| walk(start, bytes)) {
            Some(reached) => end = Some(reached),
            None => break,
        }
    }
    end.unwrap_or(0).max(newest)
}

/// The offset after the last whole batch.
fn walk(start: i64, bytes: &[u8]) -> i64 {
    let (mut end, mut position) = (start, 0);
    while let Some(rest) = bytes.get(position..).filter(|rest| rest.len() >= 61)
        && let Ok(frame) = peek(rest)
        && frame.size <= rest.len()
    {
        let delta: [u8; 4] = rest[23..27].try_into().expect("SIM: four bytes");
        end = frame.base_offset + i64::from(i32::from_be_bytes(delta)) + 1;
        position += frame.size;
    }
    end
}
