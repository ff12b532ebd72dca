//! What the `meta.properties` of all log directories say together (Kafka's `MetaPropertiesEnsemble`): which directories
//! can be used, and whether they belong to this node.

use std::path::{Path, PathBuf};

use ottla_log::MetaProperties;
use ottla_log::fs::Disk;
use uuid::Uuid;

use crate::start_error::StartError;

/// A directory that could not be taken into use when the node started. It stays out until the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDir {
    /// Where it should be.
    pub path: PathBuf,
    /// What was tried, and what came of it.
    pub why: String,
}

/// The directories that were formatted for this node.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub(super) cluster_id: String,
    /// Those whose `meta.properties` was read, with their ids, in the order of the configuration.
    pub(super) readable: Vec<(PathBuf, Uuid)>,
    /// Those whose `meta.properties` cannot be read or understood.
    pub(super) failed: Vec<FailedDir>,
}

impl Ensemble {
    /// Reads the files of all directories. `metadata` may be one of `data`.
    ///
    /// # Errors
    /// A directory was never formatted, belongs to another node or cluster or is a copy of another one; none can be
    /// read, or the one of the metadata cannot.
    pub(super) fn load(
        disk: &dyn Disk,
        data: &[&Path],
        metadata: &Path,
        node_id: i32,
    ) -> Result<Ensemble, StartError> {
        let (mut read, mut missing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let apart = (!data.contains(&metadata)).then_some(metadata);
        for path in data.iter().copied().chain(apart) {
            match MetaProperties::read(disk, path) {
                Ok(Some(properties)) => read.push((path, properties)),
                Ok(None) => missing.push(path),
                Err(error) => {
                    tracing::error!("Error while reading meta.properties file: {error}");
                    failed.push(FailedDir { path: path.to_owned(), why: error.to_string() });
                }
            }
        }
        if read.is_empty() && !failed.is_empty() {
            return Err(StartError::NoDirectory { failed });
        }
        let cluster_id = same(&read, node_id)?;
        if let Some(failed) = failed.iter().find(|failed| failed.path == metadata) {
            return Err(StartError::MetadataDirectory(failed.clone()));
        }
        if let Some(path) = missing.first() {
            return Err(StartError::NotFormatted { path: path.to_path_buf() });
        }
        let readable = read.into_iter().map(|(path, properties)| {
            let id = properties.directory_id.ok_or_else(|| incomplete(path, "directory.id"))?;
            Ok((path.to_owned(), id))
        });
        Ok(Ensemble { cluster_id, readable: readable.collect::<Result<_, StartError>>()?, failed })
    }
}

fn incomplete(path: &Path, what: &str) -> StartError {
    StartError::MetaProperties {
        path: path.to_owned(),
        why: format!(
            "no {what} was found; the directory was formatted for a ZooKeeper cluster, or the file is damaged"
        ),
    }
}

/// Whether all belong to one cluster and to this node, and no two are one. Returns the cluster's id.
fn same(read: &[(&Path, MetaProperties)], node_id: i32) -> Result<String, StartError> {
    let mut cluster: Option<(&str, &Path)> = None;
    for (at, (path, found)) in read.iter().enumerate() {
        let id = found.cluster_id.as_deref().ok_or_else(|| incomplete(path, "cluster.id"))?;
        match cluster {
            Some((other, at)) if other != id => {
                return Err(StartError::ClusterIds {
                    path: path.to_path_buf(),
                    id: id.to_owned(),
                    other: other.to_owned(),
                    at: at.to_owned(),
                });
            }
            _ => cluster = Some((id, path)),
        }
        let stored = found.node_id.ok_or_else(|| incomplete(path, "node.id"))?;
        if stored != node_id {
            return Err(StartError::NodeId { path: path.to_path_buf(), stored, configured: node_id });
        }
        let is_copy = |id: &Uuid| read[..at].iter().any(|(_, other)| other.directory_id == Some(*id));
        if let Some(id) = found.directory_id.filter(is_copy) {
            return Err(StartError::DuplicateDirectoryId { path: path.to_path_buf(), id });
        }
    }
    Ok(cluster.map(|(id, _)| id.to_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::fs::RealDisk;

    /// Directories `a`, `b` ... formatted for node 1.
    fn formatted(count: u128) -> (tempfile::TempDir, Vec<PathBuf>) {
        let temp = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            (0..count).map(|n| temp.path().join(char::from(b'a' + n as u8).to_string())).collect();
        for (n, path) in paths.iter().enumerate() {
            std::fs::create_dir(path).unwrap();
            MetaProperties::new("c", 1, Uuid::from_u128(0x100 + n as u128)).write(&RealDisk, path).unwrap();
        }
        (temp, paths)
    }

    fn load(paths: &[PathBuf], metadata: &Path) -> Result<Ensemble, StartError> {
        let data: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        Ensemble::load(&RealDisk, &data, metadata, 1)
    }

    #[test]
    fn what_cannot_be_read_is_left_out_if_there_is_another_one() {
        let (_temp, paths) = formatted(3);
        std::fs::write(paths[1].join("meta.properties"), "version=9\n").unwrap();
        std::fs::remove_dir_all(&paths[2]).unwrap();
        std::fs::write(&paths[2], "a file where a directory was").unwrap();
        let ensemble = load(&paths, &paths[0]).unwrap();
        assert_eq!(ensemble.cluster_id, "c");
        assert_eq!(ensemble.readable, [(paths[0].clone(), Uuid::from_u128(0x100))]);
        let failed: Vec<&Path> = ensemble.failed.iter().map(|failed| failed.path.as_path()).collect();
        assert_eq!(failed, [&paths[1], &paths[2]]);
        assert!(ensemble.failed[0].why.contains("unknown version 9"), "{}", ensemble.failed[0].why);
        // The metadata's own directory must be one that can be read.
        let error = load(&paths, &paths[1]).unwrap_err();
        assert!(matches!(&error, StartError::MetadataDirectory(failed) if failed.path == paths[1]));
        let said = error.to_string();
        assert!(said.contains("Encountered I/O error in metadata log directory"), "{said}");
        let error = load(&paths[1..], &paths[1]).unwrap_err();
        assert!(matches!(&error, StartError::NoDirectory { failed } if failed.len() == 2));
        assert!(error.to_string().contains("No readable meta.properties files found."), "{error}");
    }

    #[test]
    fn what_was_never_formatted_is_no_failure_of_a_disk() {
        let (_temp, paths) = formatted(2);
        std::fs::remove_file(paths[1].join("meta.properties")).unwrap();
        let error = load(&paths, &paths[0]).unwrap_err();
        assert!(matches!(&error, StartError::NotFormatted { path } if *path == paths[1]), "{error}");
        std::fs::remove_dir(&paths[1]).unwrap();
        let error = load(&paths, &paths[0]).unwrap_err();
        assert!(matches!(&error, StartError::NotFormatted { path } if *path == paths[1]), "{error}");
    }

    #[test]
    fn directories_of_others_are_refused() {
        let (_temp, paths) = formatted(2);
        let other = |cluster: &str, node: i32, id: u128| {
            MetaProperties::new(cluster, node, Uuid::from_u128(id)).write(&RealDisk, &paths[1]).unwrap();
            load(&paths, &paths[0]).unwrap_err()
        };
        assert!(matches!(other("d", 1, 0x101), StartError::ClusterIds { .. }));
        assert!(matches!(other("c", 2, 0x101), StartError::NodeId { stored: 2, .. }));
        assert!(matches!(other("c", 1, 0x100), StartError::DuplicateDirectoryId { .. }));
    }
}
