//! Names of partition directories: `<topic>-<partition>`, and with a suffix `.<32 hex digits>-delete` (being
//! deleted), `-future` (being moved here from another directory) or `-stray` (not assigned to this broker).

use std::fmt;

use uuid::Uuid;

/// The longest name most file systems take, in bytes.
const MAX_NAME: usize = 255;

/// What a partition directory is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirKind {
    /// The partition itself.
    Current,
    /// Waits for its deletion.
    Delete(Uuid),
    /// Becomes the partition once it has caught up.
    Future(Uuid),
    /// Found, but not assigned to this broker.
    Stray(Uuid),
}

/// A partition directory, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionDir {
    /// The topic; of a directory to be deleted or stray possibly cut short.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What it is there for.
    pub kind: DirKind,
}

/// A directory that is not named like a partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "directory '{name}' is not in the form of topic-partition or topic-partition.uniqueId-delete (if marked for deletion); log directories should only contain topic data"
)]
pub struct NameError {
    /// The name.
    pub name: String,
}

impl PartitionDir {
    /// The directory of a partition in use.
    pub fn current(topic: impl Into<String>, partition: i32) -> PartitionDir {
        PartitionDir { topic: topic.into(), partition, kind: DirKind::Current }
    }

    /// The same partition as another kind; the topic is cut if the name would be too long for a file system.
    #[must_use]
    pub fn with_kind(&self, kind: DirKind) -> PartitionDir {
        let mut dir = PartitionDir { kind, ..self.clone() };
        if kind != DirKind::Current && !matches!(kind, DirKind::Future(_)) {
            let suffix = dir.to_string().len() - dir.topic.len();
            dir.topic.truncate(MAX_NAME.saturating_sub(suffix));
        }
        dir
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Result<PartitionDir, NameError> {
        PartitionDir::try_parse(name).ok_or_else(|| NameError { name: name.to_owned() })
    }

    fn try_parse(name: &str) -> Option<PartitionDir> {
        let suffix = ["-delete", "-future", "-stray"].into_iter().find(|suffix| name.ends_with(suffix));
        let (base, kind) = match suffix {
            Some(suffix) => {
                let (base, id) = name[..name.len() - suffix.len()].rsplit_once('.')?;
                if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                let id = Uuid::try_parse(id).ok()?;
                let kind = match suffix {
                    "-delete" => DirKind::Delete(id),
                    "-future" => DirKind::Future(id),
                    _ => DirKind::Stray(id),
                };
                (base, kind)
            }
            None => (name, DirKind::Current),
        };
        let (topic, partition) = base.rsplit_once('-')?;
        if topic.is_empty() || !partition.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(PartitionDir { topic: topic.to_owned(), partition: partition.parse().ok()?, kind })
    }
}

impl fmt::Display for PartitionDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)?;
        match self.kind {
            DirKind::Current => Ok(()),
            DirKind::Delete(id) => write!(f, ".{}-delete", id.simple()),
            DirKind::Future(id) => write!(f, ".{}-future", id.simple()),
            DirKind::Stray(id) => write!(f, ".{}-stray", id.simple()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let plain = PartitionDir::current("my-topic.v1-x", 12);
        assert_eq!(plain.to_string(), "my-topic.v1-x-12");
        for kind in [DirKind::Current, DirKind::Delete(id), DirKind::Future(id), DirKind::Stray(id)] {
            let dir = plain.with_kind(kind);
            assert_eq!(PartitionDir::parse(&dir.to_string()), Ok(dir));
        }
        let delete = plain.with_kind(DirKind::Delete(id)).to_string();
        assert_eq!(delete, "my-topic.v1-x-12.0123456789abcdef0123456789abcdef-delete");
    }

    #[test]
    fn other_names_are_refused() {
        let long_id = "x-0.0123456789abcdef0123456789abcdef0-delete";
        for bad in
            ["", "topic", "topic-", "-1", "topic-x", "topic-+1", "t-99999999999", "x-0.12-delete", long_id]
        {
            assert!(PartitionDir::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_topics_are_cut_to_what_a_file_system_takes() {
        let dir = PartitionDir::current("t".repeat(249), 100).with_kind(DirKind::Delete(Uuid::max()));
        assert_eq!(dir.to_string().len(), MAX_NAME);
        assert_eq!(PartitionDir::parse(&dir.to_string()), Ok(dir));
    }
}
