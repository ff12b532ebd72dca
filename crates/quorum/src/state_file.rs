//! `quorum-state`: the epoch, its leader and this node's vote, as Kafka's `FileQuorumStateStore` writes it:
//! one line of JSON, `data_version` 0 with `kraft.version` 0 and 1 from then on.

use std::path::{Path, PathBuf};

use ottla_log::fs::Disk;
use ottla_raft::{Election, ReplicaKey};
use ottla_records::uuid_text;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::files;

/// Name of the file in the metadata log's directory.
pub const FILE_NAME: &str = "quorum-state";

/// Why the file is not understood.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Reading, writing, syncing or renaming failed.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not what Kafka writes.
    #[error("{path}: {why}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Reads the file; `None` if there is none, as in a freshly formatted directory.
pub fn read(disk: &dyn Disk, directory: &Path) -> Result<Option<Election>, StateFileError> {
    let path = directory.join(FILE_NAME);
    let text = match files::read(disk, &path) {
        Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(None) => return Ok(None),
        Err(source) => return Err(StateFileError::Io { path, source }),
    };
    // Kafka treats what follows the first line as not there.
    let line = text.lines().next().unwrap_or_default();
    match parse(line) {
        Ok(election) => Ok(Some(election)),
        Err(why) => Err(StateFileError::Malformed { path, why }),
    }
}

/// Replaces the file: temporary file, fsync, rename, fsync of the directory.
pub fn write(disk: &dyn Disk, directory: &Path, election: &Election) -> Result<(), StateFileError> {
    let path = directory.join(FILE_NAME);
    files::replace(disk, &path, format(election).as_bytes())
        .map_err(|source| StateFileError::Io { path, source })
}

fn format(election: &Election) -> String {
    let leader = election.leader.unwrap_or(-1);
    let voted = election.voted.map_or(-1, |key| key.id);
    if election.kraft_version == 0 {
        let voters: Vec<Value> = election.voters.iter().map(|id| json!({ "voterId": id })).collect();
        json!({
            "clusterId": "",
            "leaderId": leader,
            "leaderEpoch": election.epoch,
            "votedId": voted,
            "appliedOffset": 0,
            "currentVoters": voters,
            "data_version": 0,
        })
        .to_string()
    } else {
        let directory = election.voted.map_or(Uuid::nil(), |key| key.directory_or_nil());
        json!({
            "leaderId": leader,
            "leaderEpoch": election.epoch,
            "votedId": voted,
            "votedDirectoryId": uuid_text::encode(&directory),
            "data_version": 1,
        })
        .to_string()
    }
}

/// Reads the file's one line. What is wrong comes back in words.
pub fn parse(line: &str) -> Result<Election, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
    let number = |key: &str| -> Result<i32, String> {
        let field = value.get(key).ok_or_else(|| format!("no field {key}"))?;
        let number = field.as_i64().ok_or_else(|| format!("{key} is not a number"))?;
        i32::try_from(number).map_err(|_| format!("{key} is out of range: {number}"))
    };
    let kraft_version = match number("data_version")? {
        0 => 0,
        1 => 1,
        other => return Err(format!("data_version {other} is not known")),
    };
    let epoch = number("leaderEpoch")?;
    if epoch < 0 {
        return Err(format!("leaderEpoch is negative: {epoch}"));
    }
    let known = |id: i32| (id >= 0).then_some(id);
    let leader = known(number("leaderId")?);
    let mut voters = Vec::new();
    let directory = if kraft_version == 0 {
        for entry in value.get("currentVoters").and_then(Value::as_array).into_iter().flatten() {
            let id = entry.get("voterId").and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok());
            voters.push(id.ok_or("an entry of currentVoters has no voterId")?);
        }
        Uuid::nil()
    } else {
        let text = value.get("votedDirectoryId").and_then(Value::as_str).unwrap_or("AAAAAAAAAAAAAAAAAAAAAA");
        uuid_text::decode(text).map_err(|error| format!("votedDirectoryId: {error}"))?
    };
    let voted = known(number("votedId")?).map(|id| ReplicaKey::new(id, directory));
    Ok(Election { epoch, leader, voted, voters, kraft_version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::fs::RealDisk;

    /// Both lines were written by Apache Kafka 4.3.1.
    #[test]
    fn the_text_is_kafkas_to_the_byte() {
        let fixed = Election { epoch: 1, leader: Some(1), voted: None, voters: vec![1], kraft_version: 0 };
        let line = r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
        assert_eq!(format(&fixed), line);
        assert_eq!(parse(line), Ok(fixed));
        let dynamic = Election { epoch: 1, leader: Some(1), voted: None, voters: vec![], kraft_version: 1 };
        let line = r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
        assert_eq!(format(&dynamic), line);
        assert_eq!(parse(line), Ok(dynamic));
    }

    #[test]
    fn a_vote_survives_with_its_directory() {
        let voted = Some(ReplicaKey::new(4, Uuid::from_u128(0x1234_5678_9abc_def0_1111_2222_3333_4444)));
        let election = Election { epoch: 9, leader: None, voted, voters: vec![], kraft_version: 1 };
        let directory = tempfile::tempdir().expect("a directory");
        assert!(read(&RealDisk, directory.path()).expect("readable").is_none());
        write(&RealDisk, directory.path(), &election).expect("writable");
        assert_eq!(read(&RealDisk, directory.path()).expect("readable"), Some(election));
        assert!(!directory.path().join("quorum-state.tmp").exists());
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for line in
            ["", "{}", "[1]", r#"{"data_version":7}"#, r#"{"data_version":1,"leaderEpoch":-3,"leaderId":1}"#]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
